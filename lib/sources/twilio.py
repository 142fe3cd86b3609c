"""Twilio: the message log, single texts, the account, its balance and its alerts.

Facts: https://www.twilio.com/docs/messaging/api and https://github.com/twilio/twilio-oai. The log is never filtered
by DateSent: texts that wait to be sent have none and would be missing. It is read newest first until it is older
than the window. Bodies are not kept: only their first link and a digest by which equal bodies are found.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import pandas as pd
from pydantic import AfterValidator, SecretStr

from lib.model import frames
from lib.model.phone import HOME_REGION, e164
from lib.model.provider import Balance, TwilioAccount
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, SourceError
from lib.model.window import Window
from lib.sources import parse
from lib.sources.http import Deadline, Http, HttpError, Json, Params, join, origin, together, wrong_address
from lib.sources.parse import found

SYSTEM = "Twilio"
_STRANGE = wrong_address("TWILIO_API_URL")
HINTS: Mapping[FailureKind, str] = {
    FailureKind.UNAUTHORIZED: "Check TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and _SECRET;"
    " a suspended account is refused like this, too.",
    FailureKind.FORBIDDEN: "Test credentials may not read; a restricted API key needs the right to read messages.",
    FailureKind.NOT_FOUND: "Is it of this account? Check TWILIO_ACCOUNT_SID.",
    FailureKind.BAD_DATA: _STRANGE,
}

# Twilio's words for 20005, and for a 20003 that is about the account's state.
_NOT_ACTIVE = ("not active", "suspended", "closed")
_ACTIVATE = "The account is suspended or closed: see its state in Twilio's console, and pay or ask Twilio's support."
PAGE_TEXTS = 1000
MAX_PAGES = 50
# After so many, the newest texts may be enough.
NEWEST_PAGES = 2
MAX_ALERT_PAGES = 10
MAX_SINGLE_TEXTS = 50
# Twilio limits how many calls run at once, not how many are made.
CALLS_AT_ONCE = 4
VERSION = "2010-04-01"
MAX_MESSAGE_LENGTH = 1000

_SID = re.compile(r"(?:SM|MM)[0-9A-Za-z]{1,64}")
# A link, also without its scheme: then it needs a path, or every dot between two words would make one.
_LINK = re.compile(r"(?:https?://|(?<![\w@./-])(?:[a-z0-9-]+\.)+[a-z]{2,}(?::\d+)?/)[^\s<>\"'\\]+", re.IGNORECASE)
# A link that a line break cuts in two behind a slash.
_BROKEN_LINK = re.compile(r"(?<=[\w.]/)[ \t]*\r?\n[ \t]*(?=[\w-])")
# The parameters in which a link may hold its token.
_TOKEN_PARAMETERS = ("token", "t", "code", "c", "key", "k", "id", "booking")
# What stands for a body that Twilio does not keep.
_REDACTED = frozenset({"[redacted]", "redacted"})


@dataclass(frozen=True, kw_only=True)
class Twilio:
    """One Twilio account, with its auth token or with an API key and its secret. All raise `SourceError` only."""

    http: Http
    base_url: str
    account_sid: str
    auth_token: SecretStr | None = None
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    home_region: str = HOME_REGION
    # Digests are comparable within this process only: short bodies could be guessed from a plain hash.
    _digest_key: bytes = field(default_factory=lambda: secrets.token_bytes(16), init=False, repr=False)

    def texts(
        self, window: Window, deadline: Deadline, newest_do: Callable[[], bool] = lambda: False
    ) -> Observed[pd.DataFrame]:
        """Return the texts created in `window` (frame TEXTS), newest first, outbound and inbound.

        `newest_do` is asked once, when 2,000 were read and more follow: if it says yes, these are enough, and
        `since` of the answer says from when on they are complete.
        """
        rows: dict[str, dict[str, Any]] = {}
        caveats: tuple[Caveat, ...] = ()
        unread: tuple[Caveat, ...] = ()
        enough = False
        pages = self._pages(self._account_url("Messages.json"), {"PageSize": PAGE_TEXTS}, ("next_page_uri",), deadline)
        try:
            for number, page in enumerate(pages, start=1):
                texts, some_unread = parse.readable_rows(page, SYSTEM, "texts", self._text, "messages")
                unread += some_unread
                rows |= {text["sid"]: text for text in texts}
                # Newest first by the time of sending: nothing that follows was created in the window.
                if texts and _last_moment(texts[-1]) < window.start:
                    break
                more = parse.text(page, "next_page_uri") is not None
                enough = more and number == NEWEST_PAGES and newest_do()
                if enough:
                    break
                if more and number >= MAX_PAGES:
                    caveats = _truncated_texts(rows, f"the cap of {MAX_PAGES} pages was reached")
                    break
        except SourceError as error:
            if not rows:
                raise
            caveats = _truncated_texts(rows, str(error).rstrip("."))
        since = _complete_since(rows.values()) if enough or caveats else None
        begins = max(since, window.start) if since and enough else window.start
        inside = [row for row in rows.values() if begins <= row["created_at"] < window.end]
        return Observed(frames.frame(frames.TEXTS, inside), caveats + unread, since)

    def text(self, sid: str, deadline: Deadline) -> Observed[pd.DataFrame]:
        """Return one text as a frame of one row (frame TEXTS). Raises `not_found` if the account has none such."""
        return Observed(frames.frame(frames.TEXTS, [self._one(sid, deadline)]))

    def texts_by_sid(self, sids: Sequence[str], deadline: Deadline) -> Observed[pd.DataFrame]:
        """Return the texts of `sids` (frame TEXTS).

        A SID without a row that no caveat names is one that Twilio does not know. At most 50 are asked for; ids
        that are no SIDs of Twilio (`local-fail-…`) are not asked for at all.
        """
        wanted = [sid for sid in dict.fromkeys(sids) if _SID.fullmatch(sid)]
        asked, rest = wanted[:MAX_SINGLE_TEXTS], wanted[MAX_SINGLE_TEXTS:]
        results = together((partial(self._one, sid, deadline) for sid in asked), at_most=CALLS_AT_ONCE)
        rows = [result for result in results if isinstance(result, dict)]
        errors = {sid: result for sid, result in zip(asked, results, strict=True) if isinstance(result, SourceError)}
        unread = {sid: error for sid, error in errors.items() if error.kind is not FailureKind.NOT_FOUND}
        if unread and len(unread) == len(asked):
            raise next(iter(unread.values()))
        caveats = [Caveat(CaveatKind.PARTIAL, sid, f"The text {sid} was not read: {e}") for sid, e in unread.items()]
        if rest:
            sentence = f"Only {MAX_SINGLE_TEXTS} of {len(wanted)} texts were asked for one by one."
            caveats.append(Caveat(CaveatKind.TRUNCATED, "texts", sentence))
            caveats += (Caveat(CaveatKind.PARTIAL, sid, f"The text {sid} was not asked for.") for sid in rest)
        return Observed(frames.frame(frames.TEXTS, rows), tuple(caveats))

    def account(self, deadline: Deadline) -> Observed[TwilioAccount]:
        """Read whether the account is active, and whether it is a trial."""
        raw = self._get(join(self.base_url, VERSION, "Accounts", f"{self.account_sid}.json"), deadline)
        account = _read_account(raw)
        # The answer may leave the SID out: it is the one that was asked for.
        return Observed(replace(account, sid=account.sid or self.account_sid))

    def balance(self, deadline: Deadline) -> Observed[Balance]:
        """Read what is left on the account. Subaccounts have no balance of their own (`not_found`)."""
        return Observed(_read_balance(self._get(self._account_url("Balance.json"), deadline)))

    def alerts(self, window: Window, deadline: Deadline) -> Observed[pd.DataFrame]:
        """Return the error alerts of `window` (frame ALERTS): failed webhooks, rejected API calls. Kept 30 days."""
        params: dict[str, str | int] = {
            "LogLevel": "error",
            "StartDate": _iso(window.start),
            "EndDate": _iso(window.end),
            "PageSize": PAGE_TEXTS,
        }
        rows: dict[str, dict[str, Any]] = {}
        caveats: tuple[Caveat, ...] = ()
        unread: tuple[Caveat, ...] = ()
        pages = self._pages(join(self._monitor_url, "v1", "Alerts"), params, ("meta", "next_page_url"), deadline)
        try:
            for number, page in enumerate(pages, start=1):
                alerts, some_unread = parse.readable_rows(page, SYSTEM, "alerts", _Alert.model_validate, "alerts")
                unread += some_unread
                rows |= {alert.sid: dict(alert) for alert in alerts if alert.sid}
                if number >= MAX_ALERT_PAGES and parse.text(page, "meta", "next_page_url"):
                    caveats = _truncated_alerts(f"the cap of {MAX_ALERT_PAGES} pages was reached")
                    break
        except SourceError as error:
            if not rows:
                raise
            caveats = _truncated_alerts(str(error).rstrip("."))
        inside = [row for row in rows.values() if window.start <= row["created_at"] < window.end]
        return Observed(frames.frame(frames.ALERTS, inside), caveats + unread)

    def _pages(self, url: str, params: Params, link: tuple[str, ...], deadline: Deadline) -> Iterator[Json]:
        """Yield page after page as the field `link` of each leads on: on the same path, and none of them twice."""
        page = self._get(url, deadline, params)
        yield page
        seen: set[str] = set()
        while (following := parse.text(page, *link)) is not None:
            following = self._following(url, following)
            if following in seen:
                raise SourceError(FailureKind.BAD_DATA, "Twilio's pages go round in a circle.", _STRANGE)
            seen.add(following)
            page = self._get(following, deadline)
            yield page

    def _following(self, path: str, link: str) -> str:
        """Return the address of the next page if it is another page of `path`; our login goes nowhere else."""
        try:
            # Twilio's links begin at the root of its API, which may stand below a path here.
            url = self.base_url + link if link.startswith(f"/{VERSION}/") else urljoin(path, link)
            same = origin(url) == origin(path) and urlsplit(url).path == urlsplit(path).path
        except ValueError:
            same = False
        if not same:
            raise SourceError(FailureKind.BAD_DATA, "Twilio points to another address for its next page.", _STRANGE)
        return url

    def _one(self, sid: str, deadline: Deadline) -> dict[str, Any]:
        return self._text(self._get(self._account_url("Messages", f"{sid}.json"), deadline))

    def _text(self, raw: Json) -> dict[str, Any]:
        """Read one message into a row of TEXTS. The body is gone after this."""
        row = dict(_Text.model_validate(raw))
        body = _readable(row.pop("body"))
        link = _first_link(body)
        return row | {
            "to_number": e164(row["to_number"], self.home_region),
            "from_number": e164(row["from_number"], self.home_region),
            "link_url": link,
            "link_code": _link_code(link),
            "body_digest": self._digest(body) if body else None,
        }

    def _digest(self, body: str) -> str:
        return hashlib.blake2b(body.encode(), key=self._digest_key, digest_size=8).hexdigest()

    def _account_url(self, *segments: str) -> str:
        return join(self.base_url, VERSION, "Accounts", self.account_sid, *segments)

    @property
    def _monitor_url(self) -> str:
        if urlsplit(self.base_url).hostname == "api.twilio.com":
            return "https://monitor.twilio.com"
        return join(self.base_url, "monitor")

    def _get(self, url: str, deadline: Deadline, params: Params = None) -> Json:
        login = {"Authorization": self._login()}
        try:
            return self.http.get_json(url, system=SYSTEM, deadline=deadline, params=params, headers=login, hints=HINTS)
        except HttpError as error:
            raise _explained(error) from None

    def _login(self) -> str:
        if self.api_key and self.api_secret:
            user, password = self.api_key.get_secret_value(), self.api_secret.get_secret_value()
        elif self.auth_token:
            user, password = self.account_sid, self.auth_token.get_secret_value()
        else:
            raise SourceError(
                FailureKind.NOT_CONFIGURED,
                "Twilio has no login in the settings.",
                "Set TWILIO_AUTH_TOKEN, or TWILIO_API_KEY and TWILIO_API_SECRET.",
            )
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _explained(error: HttpError) -> HttpError:
    """Return the error with the fix for what Twilio says: an account that is not active is no matter of its keys."""
    words = (error.reason or "").lower()
    if error.kind in (FailureKind.UNAUTHORIZED, FailureKind.FORBIDDEN) and any(w in words for w in _NOT_ACTIVE):
        return HttpError(error.kind, error.failure.sentence, _ACTIVATE, status=error.status, reason=error.reason)
    return error


def _last_moment(text: Mapping[str, Any]) -> datetime:
    """Return when the text last could stand in Twilio's order, which is by sending, else by creation."""
    created: datetime = text["created_at"]
    sent: datetime | None = text["sent_at"]
    return created if sent is None else max(created, sent)


def _complete_since(texts: Iterable[Mapping[str, Any]]) -> datetime:
    """Return from when on all texts were read: Twilio's times are whole seconds, and a second may be cut in two."""
    return min(map(_last_moment, texts)) + timedelta(seconds=1)


class _Answer(parse.Answer):
    """An object of Twilio's API, in which any field may be null. Times of the log are as in an e-mail."""

    SYSTEM = SYSTEM


_Message = Annotated[str | None, parse.lenient(parse.clean(MAX_MESSAGE_LENGTH))]
# Alerts give codes as texts, the log as numbers.
_Code = Annotated[parse.Integer, AfterValidator(lambda code: None if code is None else str(code))]
_Lower = Annotated[parse.Text, AfterValidator(lambda word: word and word.lower())]
_Float = Annotated[float | None, parse.lenient(parse.decimal)]


class _Text(_Answer):
    sid: parse.Text = found(need="a text's SID")
    status: _Lower = found(need="a text's status")
    direction: parse.Text = found(need="a text's direction")
    to_number: parse.Text = found("to")
    from_number: parse.Text = found("from")
    body: parse.Text
    segments: parse.Integer = found("num_segments")  # sent as a text
    price: _Float  # negative, sent as a text; null until it is billed
    price_unit: parse.Text
    error_code: _Code
    error_message: _Message
    created_at: parse.MailTime = found("date_created", need="a text's time")
    sent_at: parse.MailTime = found("date_sent")  # null while it waits to be sent
    updated_at: parse.MailTime = found("date_updated")


class _Alert(_Answer):
    sid: parse.Text = found(need="an alert's id")
    error_code: _Code
    level: parse.Text = found("log_level")
    text: _Message = found("alert_text")
    resource_sid: parse.Text
    created_at: parse.IsoTime = found("date_created", "date_generated", need="an alert's time")


_read_account = parse.reader(
    TwilioAccount,
    SYSTEM,
    "the account",
    sid=found("sid", otherwise=""),
    type=found("type", otherwise="unknown"),
)
_read_balance = parse.reader(
    Balance,
    SYSTEM,
    "the account",
    amount=found("balance", need="the balance"),
    currency=found("currency", otherwise="(currency not named)"),
)


def _readable(body: str | None) -> str | None:
    """Return a body that can be read; None where Twilio keeps none, or only says that it took it out."""
    return None if body is None or body.strip().casefold() in _REDACTED else body


def _first_link(body: str | None) -> str | None:
    """Return the first link with a path, else the first: the name of a customer may be read as a link, too."""
    found = [match.rstrip(".,;:!?)]}") for match in _LINK.findall(_BROKEN_LINK.sub("", body or ""))]
    links = [link if "://" in link else f"https://{link}" for link in found]
    return next(filter(_link_code, links), links[0] if links else None)


def _link_code(url: str | None) -> str | None:
    """Return the short code or token of a link: a parameter that is named so, else the end of its path."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query))
    except ValueError:
        return None
    named = next((given[name] for name in _TOKEN_PARAMETERS if given.get(name)), None)
    segments = [segment for segment in parts.path.split("/") if segment]
    return named or (segments[-1] if segments else None)


def _truncated_texts(rows: Mapping[str, Mapping[str, Any]], reason: str) -> tuple[Caveat, ...]:
    oldest = min(row["created_at"] for row in rows.values())
    sentence = f"Texts were read back to {oldest:%d %B %H:%M} UTC only: {reason}."
    return (Caveat(CaveatKind.TRUNCATED, "texts", sentence),)


def _truncated_alerts(reason: str) -> tuple[Caveat, ...]:
    return (Caveat(CaveatKind.TRUNCATED, "alerts", f"Not all alerts were read: {reason}."),)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
