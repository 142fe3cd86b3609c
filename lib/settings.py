"""Typed settings: from the environment first, then from the root of `.streamlit/secrets.toml`.

A value that cannot be used is left out and becomes a `SettingProblem`, so that one wrong line never takes
the desk down: the source that needs it is then not configured, and Systems says why.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
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
from lib.model.served_code import BOOKING_ADDRESSES, METHODS

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


_FLOW_ADDRESS = re.compile(rf"(?:(?:{'|'.join(sorted(METHODS))}) )?/[\w.~*:()@\[\]/-]{{0,199}}", re.ASCII)
_MOST_FLOW_ADDRESSES = 20


def _flow_addresses(value: Any) -> Any:
    """Split the addresses of the flow at commas and ends of lines: a method and a space may stand before one.

    Without any, nothing would lie on the way of a booking, and all would seem to fit.
    """
    if isinstance(value, str):
        value = filter(None, map(str.strip, re.split(r"[,\r\n]", value)))
    elif not _all_texts(value):
        return value
    found = tuple(dict.fromkeys(" ".join(address.split()) for address in value))
    if not found or len(found) > _MOST_FLOW_ADDRESSES or not all(map(_FLOW_ADDRESS.fullmatch, found)):
        raise _wrong(
            f"must be 1 to {_MOST_FLOW_ADDRESSES} addresses of the booking app with commas between them, such as "
            "/api/bookings/initiate or POST /api/webhooks/twilio."
        )
    return found


def _secret_url(value: SecretStr) -> SecretStr:
    if not _is_web_address(value.get_secret_value()):
        raise _wrong("must be an address like https://example.com/ping.")
    return value


_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _every(least: str, most: str, why: str = "") -> BeforeValidator:
    """Read how often: 60s, 2m or off; a number alone is seconds. What is out of range is refused.

    What uses such a length waits for so long, or adds it to an instant.
    """
    low, high = duration(least), duration(most)
    refusal = f"must be a length of time from {least} to {most}, or off{why}."

    def read(value: Any) -> Any:
        if isinstance(value, str) and value.casefold() == "off":
            return None
        try:
            length = _length(value) if isinstance(value, str) else _seconds(value)
        except (TypeError, ValueError, OverflowError):
            raise _wrong(refusal) from None
        if length is not None and not low <= length <= high:
            raise _wrong(refusal)
        return length

    return BeforeValidator(read)


def _seconds(value: Any) -> timedelta | None:
    if value is None or isinstance(value, timedelta):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return timedelta(seconds=value)


# As in "mon 09:00".
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


# Longer than anything here lasts. An instant so far ahead can still be written as a date.
LONGEST_DURATION = timedelta(days=366)
# How often the monitor may look: more often is a load on the systems that it asks, less often is no monitoring.
PACE_RANGE = ("1s", "1d")


def duration(text: str) -> timedelta:
    """Return `text` as a length of time up to a year: 60s, 20m, 2h, 1d; a number alone is seconds.

    Raises `ValueError`.
    """
    length = _length(text)
    if length > LONGEST_DURATION:
        raise _wrong(f"must be a length of time up to {LONGEST_DURATION.days}d.")
    return length


def pace(text: str) -> timedelta:
    """Return how often the monitor looks, as `duration` reads it. Raises `ValueError` outside of the range."""
    length = _length(text)
    if not duration(PACE_RANGE[0]) <= length <= duration(PACE_RANGE[1]):
        raise _wrong(f"must be a length of time from {' to '.join(PACE_RANGE)}.")
    return length


def _length(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd]?)", text.strip(), re.ASCII)
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
# A month: main that is longer ahead is no matter of patience.
MOST_MINUTES_AHEAD = 43_200
_PROBED = _every("10m", "30d", ": each booking is a text that is paid for")
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
    monitor_every: Annotated[timedelta | None, _every(*PACE_RANGE)] = timedelta(seconds=60)  # None: off
    main_ahead_minutes: Annotated[int, Field(ge=1, le=MOST_MINUTES_AHEAD)] = (
        30  # how long main may be ahead of production
    )
    synthetic_every: Annotated[timedelta | None, _PROBED] = None  # None: off
    weekly_summary: Annotated[str, _WEEKLY] | None = None  # as in "mon 09:00"; None: off
    status_token: SecretStr | None = None  # what machines show at /metrics and /api/status
    operators: Names = ()
    viewers: Names = ()
    require_second_person: bool = False
    required_env_names: Names = ()
    # The addresses of the booking app that a booking passes, from which its code is followed.
    served_code_addresses: Annotated[tuple[str, ...], BeforeValidator(_flow_addresses)] = BOOKING_ADDRESSES

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
    if kind.startswith(("int", "greater", "less")):
        return f"must be a whole number from 1 to {MOST_MINUTES_AHEAD}."
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
    problems.extend(_slips(document))
    problems.extend(_exposed(path))
    given = {name: document[name.upper()] for name in _names() if name.upper() in document}
    stripped = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
    return {name: value for name, value in stripped.items() if value != ""}


# What Streamlit reads from the same file: its sections, and the names in the one of its login.
_LOGIN = "auth"
_SECTIONS = (_LOGIN, "connections")
_LOGIN_NAMES = (
    "redirect_uri",
    "cookie_secret",
    "client_id",
    "client_secret",
    "client_kwargs",
    "server_metadata_url",
    "expose_tokens",
)
# Without one of these a guard would be gone, so a name that is only a little like one counts as meant for it.
_GUARDS = ("OPERATORS", "VIEWERS", "REQUIRE_SECOND_PERSON")
_CLOSE, _SOMEWHAT_CLOSE = 0.8, 0.6
# A key pasted in the place of a name is not repeated: only what looks like a name is.
_SHOWN = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")


def _slips(document: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Yield a problem for each line of the file that has no effect, under the name of the setting that was meant."""
    for name, value in document.items():
        if name.upper() in _upper_names():
            if name != name.upper():
                yield SettingProblem(name.upper(), f"{name.upper()} must be written in capitals: correct its line.")
        elif isinstance(value, dict):
            if name not in _SECTIONS:
                yield _unknown_section(name)
            yield from _slips_inside(name, value)
        else:
            yield _unknown_name(name)


def _unknown_section(name: str) -> SettingProblem:
    if get_close_matches(name.casefold(), [_LOGIN], cutoff=_SOMEWHAT_CLOSE):
        return SettingProblem(_LOGIN, f"{_show(name)} is not a section: write [{_LOGIN}] if you mean the login.")
    return SettingProblem(_show(name), f"{_show(name)} is not a section of this file: remove it, or correct its name.")


def _slips_inside(section: str, table: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Yield a problem for each of our names in a section: there it belongs to the section, and has no effect."""
    for name, value in table.items():
        meant = name.upper() if name.upper() in _upper_names() else None
        if meant is None and section == _LOGIN and not isinstance(value, dict) and name not in _LOGIN_NAMES:
            meant = _meant(name)
        if meant is not None:
            where = f"[{section}]" if section in _SECTIONS else "a section"
            sentence = f"{meant} stands in {where}, where it has no effect: move it above the first line in brackets."
            yield SettingProblem(meant, sentence)
        if isinstance(value, dict):
            yield from _slips_inside(section, value)


def _unknown_name(name: str) -> SettingProblem:
    of_file = name.upper().removesuffix("_FILE")
    if name.upper().endswith("_FILE") and of_file in _upper_names():
        return SettingProblem(of_file, f"{of_file}_FILE works in the environment only: put {of_file} here.")
    if meant := _meant(name):
        return SettingProblem(meant, f"{_show(name)} is not a setting: write {meant} if you mean that.")
    return SettingProblem(_show(name), f"{_show(name)} is not a setting: compare with secrets.example.toml.")


def _meant(name: str) -> str | None:
    """Return the setting that somebody who wrote `name` probably meant."""
    upper = name.upper().replace("-", "_")[:80]
    close = get_close_matches(upper, _upper_names(), 1, _CLOSE) or get_close_matches(upper, _GUARDS, 1, _SOMEWHAT_CLOSE)
    return close[0] if close else None


def _show(name: str) -> str:
    return name if _SHOWN.fullmatch(name) and classify(name) is KeyKind.UNKNOWN else "A name that is not shown here"


def _upper_names() -> tuple[str, ...]:
    return tuple(name.upper() for name in _names())


def _exposed(path: Path) -> Iterator[SettingProblem]:
    """Yield a warning if every user of this machine may read or write the file. It is read all the same."""
    if os.name == "posix" and path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        sentence = f"{path.name} can be read by every user of this machine: run chmod 600 {path}"
        yield SettingProblem(f"rights of {path.name}", sentence)


def unclear_who_acts(settings: Settings) -> bool:
    """Whether nobody can tell who the operators are: then nobody is one."""
    return any(problem.name in ("OPERATORS", _LOGIN, SECRETS_FILE.name) for problem in settings.problems)


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
