"""Typed settings: from the environment first, then from the root of `.streamlit/secrets.toml`.

A value that cannot be used is left out and becomes a `SettingProblem`, so that one wrong line never takes
the desk down: the source that needs it is then not configured, and Systems says why.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from lib.model.database import KeyKind
from lib.model.keys import classify, url_project_ref
from lib.model.phone import NOBODYS_NUMBER, number
from lib.model.reading import SourceName

SECRETS_FILE = Path(__file__).resolve().parent.parent / ".streamlit" / "secrets.toml"


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that could not be used. `sentence` says the fix and never repeats the value."""

    name: str
    sentence: str


def _wrong(sentence: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{sentence}", {"sentence": sentence})


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its words repeat the value
        return False


def _base_url(value: str) -> str:
    if not _is_web_address(value):
        raise _wrong("must be an address like https://example.com: add https:// and the host name.")
    parts = urlsplit(value)
    if parts.username or parts.password:
        raise _wrong("must not hold a user name or password: remove the part before the @.")
    if parts.query or parts.fragment:
        raise _wrong("must be an address alone: remove what follows the ? or #.")
    return value.rstrip("/")


def _supabase_url(value: str) -> str:
    kind = classify(value)
    if kind is KeyKind.DSN:
        raise _wrong("holds a database connection string: move it to DATABASE_URL, and put https://… here.")
    if kind is not KeyKind.UNKNOWN:
        raise _wrong("holds a key: move it to SUPABASE_SECRET_KEY, and put the project's https://… address here.")
    url = _base_url(value.rstrip("/").removesuffix("/rest/v1"))
    if urlsplit(url).hostname in ("supabase.com", "app.supabase.com"):
        raise _wrong("is the dashboard's address: put the project's own, https://<project ref>.supabase.co.")
    return url


def _form(pattern: str, sentence: str, tidy: Callable[[str], str] = str) -> AfterValidator:
    """Hold a text, once tidied, to a form."""

    def held(value: str) -> str:
        tidied = tidy(value)
        if not re.fullmatch(pattern, tidied):
            raise _wrong(sentence)
        return tidied

    return AfterValidator(held)


def _dsn(value: SecretStr) -> SecretStr:
    if classify(value.get_secret_value()) is not KeyKind.DSN:
        raise _wrong("must begin with postgresql://: copy it from Supabase → Connect → Session pooler.")
    if "[YOUR-PASSWORD]" in value.get_secret_value():
        raise _wrong("still says [YOUR-PASSWORD]: put the database's password in its place.")
    return value


def _supabase_key(value: SecretStr) -> SecretStr:
    kind = classify(value.get_secret_value())
    if kind is KeyKind.DSN:
        raise _wrong("holds a database connection string: move it to DATABASE_URL, and put sb_secret_… here.")
    if kind is KeyKind.MANAGEMENT_TOKEN:
        raise _wrong("holds a management token: move it to SUPABASE_ACCESS_TOKEN, and put sb_secret_… here.")
    return value


def _access_token(value: SecretStr) -> SecretStr:
    if classify(value.get_secret_value()) not in (KeyKind.MANAGEMENT_TOKEN, KeyKind.UNKNOWN):
        raise _wrong("must be a management token (sbp_…): make one under Supabase → Account → Access Tokens.")
    return value


def _uuid(value: str) -> str:
    try:
        return str(UUID(value))
    except ValueError:
        raise _wrong("must be a uuid: copy the id of an event from the database.") from None


def _mobile(value: SecretStr) -> SecretStr:
    mobile = number(value.get_secret_value())
    if mobile is None:
        raise _wrong("must be a mobile number such as +447…: it could not be read as one.")
    return SecretStr(mobile)


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise _wrong("must be a time zone name such as Europe/London.")
    return value


def _list(value: Any) -> Any:
    return tuple(filter(None, re.split(r"[,\s]+", value))) if isinstance(value, str) else value


def _addresses(value: Any) -> Any:
    """Split addresses at spaces, and at commas that another address follows: one may hold commas itself."""
    if isinstance(value, str):
        value = tuple(filter(None, re.split(r"\s+|,\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)|,$", value)))
    return tuple(map(SecretStr, value)) if _all_texts(value) else value


def _secret_url(value: SecretStr) -> SecretStr:
    if not _is_web_address(value.get_secret_value()):
        raise _wrong("must be an address like https://example.com/ping.")
    return value


def _pace(value: Any) -> Any:
    """Read how often: 60s, 2m or off. A number alone is seconds."""
    if not isinstance(value, str):
        return value
    if value.lower() == "off":
        return None
    return duration(value)


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _rarely(value: timedelta | None) -> timedelta | None:
    if value is not None and value < timedelta(minutes=10):
        raise _wrong("must be ten minutes or more: each booking is a text that is paid for.")
    return value


# As in "mon 09:00".
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def duration(text: str) -> timedelta:
    """Return `text` as a length of time: 60s, 20m, 2h, 1d; a number alone is seconds. Raises `ValueError`."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd]?)", text.strip())
    if match is None or not float(match[1]):
        raise _wrong("must be a length of time such as 60s, 20m or 2h.")
    return timedelta(seconds=float(match[1]) * _UNITS[match[2]])


def _all_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)


_PROJECT_REF = _form(r"[a-z0-9]{20}", "must be the 20 letters that stand before .supabase.co in the project's address.")
_REPOSITORY = _form(
    r"[\w.-]+/[\w.-]+",
    "must be owner/name, as in lantern-arms/booking.",
    lambda value: value.removeprefix("https://github.com/").removesuffix(".git").strip("/"),
)
_COMMIT = _form(r"[0-9a-f]{7,40}", "must be a commit id of 7 to 40 hexadecimal digits.", str.lower)
_ACCOUNT_SID = _form(
    r"AC[0-9a-fA-F]{32}", "must be AC and 32 hexadecimal digits: copy it from the front page of Twilio's console."
)
_WEEKLY = _form(
    rf"(?:{'|'.join(WEEKDAYS)}) (?:[01]\d|2[0-3]):[0-5]\d", 'must be a day and a time such as "mon 09:00".', str.lower
)
BaseUrl = Annotated[str, AfterValidator(_base_url)]
Names = Annotated[tuple[str, ...], BeforeValidator(_list)]


class Settings(BaseModel):
    """Everything that can be configured.

    Its repr names what is set and shows no value: people paste secrets into the wrong boxes too.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    supabase_url: Annotated[str, AfterValidator(_supabase_url)] | None = None
    supabase_secret_key: Annotated[SecretStr, AfterValidator(_supabase_key)] | None = None
    database_url: Annotated[SecretStr, AfterValidator(_dsn)] | None = None
    supabase_project_ref: Annotated[str, _PROJECT_REF] | None = None
    supabase_access_token: Annotated[SecretStr, AfterValidator(_access_token)] | None = None
    supabase_api_url: BaseUrl = "https://api.supabase.com"

    vercel_token: SecretStr | None = None
    vercel_project_id: str | None = None
    vercel_team_id: str | None = None
    vercel_api_url: BaseUrl = "https://api.vercel.com"

    github_token: SecretStr | None = None
    github_repository: Annotated[str, _REPOSITORY] | None = None
    github_api_url: BaseUrl = "https://api.github.com"
    required_commit: Annotated[str, _COMMIT] | None = None

    twilio_account_sid: Annotated[str, _ACCOUNT_SID] | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_api_key: SecretStr | None = None
    twilio_api_secret: SecretStr | None = None
    twilio_api_url: BaseUrl = "https://api.twilio.com"

    booking_app_url: BaseUrl | None = None
    booking_api_key: SecretStr | None = None
    test_event_id: Annotated[str, AfterValidator(_uuid)] | None = None
    test_mobile_number: Annotated[SecretStr, AfterValidator(_mobile)] | None = None

    journal_url: SecretStr | None = None
    time_zone: Annotated[str, AfterValidator(_zone)] = "Europe/London"
    notify_urls: Annotated[tuple[SecretStr, ...], BeforeValidator(_addresses)] = ()
    heartbeat_url: Annotated[SecretStr, AfterValidator(_secret_url)] | None = None
    dashboard_url: BaseUrl | None = None  # where people open the desk: the links in messages lead there
    monitor_every: Annotated[timedelta | None, BeforeValidator(_pace)] = timedelta(seconds=60)  # None: off
    main_ahead_minutes: Annotated[int, Field(ge=1)] = 30  # how long main may be ahead of production
    synthetic_every: Annotated[timedelta | None, BeforeValidator(_pace), AfterValidator(_rarely)] = None  # None: off
    weekly_summary: Annotated[str, _WEEKLY] | None = None  # as in "mon 09:00"; None: off
    status_token: SecretStr | None = None  # what machines show at /metrics and /api/status
    operators: Names = ()
    viewers: Names = ()
    require_second_person: bool = False
    required_env_names: Names = ()

    sandbox_url: BaseUrl | None = None  # the control of a sandbox; set by the sandbox itself
    problems: tuple[SettingProblem, ...] = ()

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        yield "set", [name for name in sorted(self.model_fields_set - {"problems"}) if getattr(self, name)]
        yield "problems", self.problems

    @property
    def zone(self) -> ZoneInfo:
        """The business's time zone, in which people are shown instants."""
        return ZoneInfo(self.time_zone)

    @property
    def own_numbers(self) -> frozenset[str]:
        """Phones of the business itself, in E.164, and nobody's: what is booked for them is a test, and no business."""
        own = self.test_mobile_number
        return frozenset({NOBODYS_NUMBER, *((own.get_secret_value(),) if own else ())})

    @model_validator(mode="before")
    @classmethod
    def _project_ref_from_url(cls, values: dict[str, Any]) -> dict[str, Any]:
        given = values.get("supabase_project_ref") not in (None, "")  # whatever it is: to pass over a slip hides it
        if given or not isinstance(values.get("supabase_url"), str):
            return values
        return values | {"supabase_project_ref": url_project_ref(values["supabase_url"])}

    def missing(self, source: SourceName) -> tuple[str, ...]:
        """Return the names of the settings that `source` cannot do without and that are not set."""
        unset = [[name for name in names if not getattr(self, name)] for names in _NEEDS[source]]
        # Of two ways that lack as much, the one that somebody has begun with.
        begun = [len(names) - len(lacking) for names, lacking in zip(_NEEDS[source], unset, strict=True)]
        best = min(range(len(unset)), key=lambda way: (len(unset[way]), -begun[way]))
        return tuple(name.upper() for name in unset[best])

    def configured(self, source: SourceName) -> bool:
        return not self.missing(source)

    @property
    def anything_configured(self) -> bool:
        return any(self.configured(source) for source in SourceName)


# Per source the alternatives; each is the list of settings it needs.
_NEEDS: Mapping[SourceName, tuple[tuple[str, ...], ...]] = {
    SourceName.BOOKING_DATA: (("supabase_url", "supabase_secret_key"),),
    SourceName.CATALOG: (
        ("database_url",),
        ("supabase_access_token", "supabase_project_ref"),
        ("supabase_url", "supabase_secret_key"),
    ),
    SourceName.VERCEL: (("vercel_token", "vercel_project_id"),),
    SourceName.GITHUB: (("github_token", "github_repository"),),
    SourceName.TWILIO: (
        ("twilio_account_sid", "twilio_auth_token"),
        ("twilio_account_sid", "twilio_api_key", "twilio_api_secret"),
    ),
    SourceName.BOOKING_APP: (("booking_app_url",),),
}


def load(environ: Mapping[str, str] | None = None, secrets_file: Path = SECRETS_FILE) -> Settings:
    """Read the settings. Never raises: what cannot be used is in `problems`.

    Where it is not clear whether a second person is asked for, one is: a typing error must not remove a guard.
    `NAME_FILE` in the environment reads the value of `NAME` from that file.
    """
    problems: list[SettingProblem] = []
    values = _from_toml(secrets_file, problems) | _from_environment(
        os.environ if environ is None else environ, problems
    )
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for detail in error.errors(include_input=False, include_url=False):
            wrong.setdefault(str(detail["loc"][0]), _sentence(detail["type"], detail["msg"]))
        for field, sentence in wrong.items():
            problems.append(SettingProblem(field.upper(), f"{field.upper()} {sentence}"))
        settings = Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
    found: dict[str, Any] = {"problems": tuple(problems)}
    if any(problem.name in ("REQUIRE_SECOND_PERSON", secrets_file.name) for problem in problems):
        found["require_second_person"] = True
    return settings.model_copy(update=found)


def _sentence(kind: str, message: str) -> str:
    """Return our words for a refusal. Those of pydantic can repeat the value, so they are used for none."""
    if kind == "setting":
        return message
    if kind.startswith("bool"):
        return "must be true or false."
    if kind.startswith(("int", "greater")):
        return "must be a whole number from 1 on."
    if kind.startswith("tuple"):
        return "must be a list of texts, or one text with commas between them."
    return 'must be a text: put it in quotes, as in "value".'


def _names() -> tuple[str, ...]:
    return tuple(name for name in Settings.model_fields if name != "problems")


def _from_toml(path: Path, problems: list[SettingProblem]) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        # The parser's message can quote the line, and the line can hold a key.
        where = getattr(error, "lineno", None)
        line = f" (line {where})" if where else ""
        problems.append(
            SettingProblem(path.name, f"{path.name} cannot be read{line}: compare with secrets.example.toml.")
        )
        return {}
    given = {name: document[name.upper()] for name in _names() if name.upper() in document}
    stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
    return {name: value for name, value in stripped.items() if value != ""}


def _from_environment(environ: Mapping[str, str], problems: list[SettingProblem]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in _names():
        variable = name.upper()
        if path := environ.get(f"{variable}_FILE"):
            try:
                value = Path(path).read_text(encoding="utf-8-sig").strip()
            except (OSError, ValueError):
                value = ""
            if value:
                values[name] = value
            else:
                sentence = f"{variable}_FILE names a file that is empty or cannot be read: check its path and rights."
                problems.append(SettingProblem(variable, sentence))
        elif value := environ.get(variable, "").strip():
            values[name] = value
    return values
