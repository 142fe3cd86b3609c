"""The HTTP session that all sources share: deadlines, retries for reads, rate limits, ETags, safe errors.

Whatever goes wrong outside becomes one `SourceError` whose sentence names the system and never holds a
header, an address's query or path, or a word that looks like a secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import json
import logging
import math
import re
import ssl
import threading
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from importlib import metadata
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential_jitter

from lib.model.reading import FailureKind, SourceError
from lib.redaction import redact
from lib.sources import parse

T = TypeVar("T")
Json = Any
Params = Mapping[str, str | int] | None
Hints = Mapping[FailureKind, str]

CONNECT_SECONDS = 4.0
READ_SECONDS = 15.0
MAX_BODY_BYTES = 32 * 2**20
MAX_ATTEMPTS = 4
FIRST_BACKOFF_SECONDS = 0.25
# Enough for every source reading everything at once.
POOL_SIZE = 40
# The longest that another system may ask us to wait: a wrong clock there must not stop all readings.
LONGEST_PAUSE = timedelta(hours=1)
# GitHub's own advice for a secondary rate limit that names no time:
# https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
SECONDARY_LIMIT_PAUSE = timedelta(minutes=1)
MAX_ETAGS = 256
MAX_ETAG_BODY_BYTES = 512 * 2**10
MAX_REASON_LENGTH = 200

# Its lines below this level hold whole addresses, and an address can hold a booking's token.
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

_CHUNK_BYTES = 64 * 2**10
_PASSING_STATUSES = frozenset({429, 502, 503, 504})
# Answers to a write after which it may have taken effect all the same; so may any 5xx.
_UNSURE_STATUSES = frozenset({408})
_ASKED_TOO_OFTEN = "we made too many requests"
_UNKNOWN = "Whether it did what we asked is not known."
_SECONDARY_LIMIT = re.compile(r"(?i)secondary rate limit|abuse detection mechanism")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_KINDS = {
    401: FailureKind.UNAUTHORIZED,
    402: FailureKind.FORBIDDEN,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.TIMEOUT,
    410: FailureKind.NOT_FOUND,
    429: FailureKind.RATE_LIMITED,
}
_FAILURE_LABELS = {
    FailureKind.UNAUTHORIZED: "our credential is not accepted",
    FailureKind.FORBIDDEN: "our credential may not do this",
    FailureKind.NOT_FOUND: "there is nothing at this address",
    FailureKind.TIMEOUT: "it took too long",
    FailureKind.RATE_LIMITED: "we make too many requests",
    FailureKind.UNAVAILABLE: "it has an internal error",
    FailureKind.BAD_DATA: "it did not understand the question",
}


def wrong_address(setting: str) -> str:
    """Return the hint for an answer that is not of the system that was asked."""
    return f"Check {setting}: a proxy or another system may be answering."


_HINTS: Hints = {
    FailureKind.UNAUTHORIZED: "Check the credential in the settings: it may have been revoked or have expired.",
    FailureKind.FORBIDDEN: "Give the credential the right to read this, or use one that has it.",
    FailureKind.NOT_FOUND: "Check the ids and the address in the settings.",
    FailureKind.TIMEOUT: "It is slow or unreachable now; Switchboard retries automatically.",
    FailureKind.RATE_LIMITED: "Nothing to do: Switchboard retries automatically.",
    FailureKind.UNAVAILABLE: "Look at its status page; Switchboard retries automatically.",
    FailureKind.BAD_DATA: wrong_address("the address in the settings"),
}


def _version() -> str:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not project.is_file():  # installed, not a checkout
        return metadata.version("switchboard")
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


USER_AGENT = f"Switchboard/{_version()}"


def utc_now() -> datetime:
    """The clock that everything uses outside tests."""
    return datetime.now(UTC)


class Deadline:
    """A point in time by which an answer must be there, by the monotonic clock."""

    def __init__(self, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._monotonic = monotonic
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left; zero or less when it is over."""
        return self._end - self._monotonic()

    def remaining(self) -> float:
        """Return the seconds left. Raises `SourceError(timeout)` when it is over."""
        left = self.left()
        if left <= 0:
            raise SourceError(
                FailureKind.TIMEOUT,
                f"There was no complete answer within {self.seconds:g} seconds.",
                _HINTS[FailureKind.TIMEOUT],
            )
        return left

    def within(self, seconds: float) -> Deadline:
        """Return the earlier of this deadline and `seconds` from now."""
        return Deadline(min(seconds, self.left()), self._monotonic)


class HttpError(SourceError):
    """A `SourceError` that keeps what is known of the HTTP exchange.

    `status` is the answer's status, None if there was no answer. `passing` says whether the same read may
    succeed soon, and `wait` for how many seconds the other side wants to be left alone. `reason` is the other
    side's own words for a refusal, redacted.
    """

    def __init__(
        self,
        kind: FailureKind,
        sentence: str,
        hint: str = "",
        *,
        status: int | None = None,
        passing: bool = False,
        wait: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(kind, sentence, hint)
        self.status = status
        self.passing = passing
        self.wait = wait
        self.reason = reason


class OutcomeUnknownError(HttpError):
    """A write that was sent, and whose answer says neither yes nor no: it may have taken effect.

    Never send it again; read what is there. Every other `SourceError` of a write means that nothing happened: it was
    never sent (no connection, no time left, we are asked to wait) or it was refused (any 4xx but 408, a redirect).
    """


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One HTTP answer, read to its end. Its repr shows the status alone: the rest may hold secrets."""

    status: int
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self, system: str) -> Json:
        """Return the body as JSON; None for no body at all (204). Raises `bad_data`."""
        if not self.body.strip():
            if self.status == 204:
                return None
            raise _bad_data(system, "an empty answer")
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            page = self.body.lstrip()[:1] == b"<"
            what = "a web page instead of data" if page else "data that is cut off or not JSON"
            raise _bad_data(system, what) from None


class _Extras(TypedDict, total=False):
    """What a question may say besides its address and parameters."""

    headers: Mapping[str, str]
    hints: Hints  # what to do, by the kind of failure; for the other kinds ours are taken
    etag: bool  # whether an unchanged answer may be taken from memory
    max_bytes: int
    read_seconds: float


class _Asking(_Extras):
    """What every question says: which system is asked (as people call it), and with which parameters."""

    system: str
    params: NotRequired[Params]


@dataclass(frozen=True, slots=True)
class _Call:
    """One question. `credential` distinguishes credentials without holding one."""

    method: str
    url: str
    system: str
    headers: Mapping[str, str] = field(default_factory=dict)
    hints: Hints = field(default_factory=dict)
    body: Json = None
    etag: bool = False
    max_bytes: int = MAX_BODY_BYTES
    is_write: bool = False
    read_seconds: float = READ_SECONDS

    @property
    def credential(self) -> str:
        secrets = "\0".join(_credentials(self.headers))
        return hashlib.sha256(secrets.encode()).hexdigest()[:16]

    @property
    def pause_key(self) -> tuple[str, str]:
        return urlsplit(self.url).netloc, self.credential

    def error(self, kind: FailureKind, sentence: str, **facts: Any) -> HttpError:
        return HttpError(kind, sentence, self.hints.get(kind) or _HINTS[kind], **facts)

    def lost(self, kind: FailureKind, sentence: str, **facts: Any) -> HttpError:
        """Return the error for a call that was sent and has no answer to rely on."""
        if not self.is_write:
            return self.error(kind, sentence, **facts)
        hint = "Look at what is there before you do anything again."
        return OutcomeUnknownError(kind, f"{sentence} {_UNKNOWN}", hint, **facts)

    def timeout(self, deadline: Deadline) -> HttpError:
        return self.lost(
            FailureKind.TIMEOUT,
            f"{self.system} did not answer within {min(deadline.seconds, self.read_seconds):g} seconds.",
        )


def _call(
    method: str, url: str, body: Json = None, *, system: str, params: Params = None, **more: Unpack[_Extras]
) -> _Call:
    call = _Call(method, url, system, body=body, **more)
    try:
        prepared = requests.Request(method, url, params=params).prepare()
    except (requests.RequestException, ValueError):
        # Without its cause: the text of an outside error may hold an address with its secrets.
        raise _unsendable(call) from None
    return replace(call, url=prepared.url or url)


def join(base_url: str, *segments: str | int) -> str:
    """Return `base_url` with path `segments`, each quoted: an id from outside cannot climb to another path."""
    for segment in segments:
        if str(segment) in ("", ".", ".."):
            raise SourceError(FailureKind.BAD_DATA, "An id that is needed in an address is empty or malformed.")
    return "/".join((base_url.rstrip("/"), *(quote(str(segment), safe="") for segment in segments)))


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of `url`, comparable. Raises `ValueError` for a malformed one."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), port


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by name or address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def retrying(
    deadline: Deadline,
    attempt: Callable[[], T],
    *,
    sleep: Callable[[float], None] = time.sleep,
    first_backoff: float = FIRST_BACKOFF_SECONDS,
) -> T:
    """Return `attempt()`, tried up to four times while the error may pass and the wait fits the deadline.

    For reads only. Raises the last `SourceError`.
    """
    backoff = wait_exponential_jitter(multiplier=first_backoff, max=4, jitter=first_backoff)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.wait if isinstance(error, HttpError) else None
        return backoff(state) if asked is None else asked

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= MAX_ATTEMPTS or state.upcoming_sleep >= deadline.left()

    retry = Retrying(retry=retry_if_exception(_may_pass), wait=wait, stop=stop, sleep=sleep, reraise=True)
    return retry(attempt)


def understood(system: str, read: Callable[[], T]) -> T:
    """Return `read()`, which reads the answer to an accepted write.

    Raises `OutcomeUnknownError` alone: an answer that cannot be read does not say what was done.
    """
    try:
        return read()
    except SourceError as error:
        raise OutcomeUnknownError(
            error.kind, f"{system} accepted it, and its answer cannot be read. {_UNKNOWN}", error.failure.hint
        ) from None


def together(questions: Iterable[Callable[[], Any]], *, at_most: int = 8) -> list[Any]:
    """Ask all `questions` at the same time, `at_most` so many at once; one that failed yields its `SourceError`."""
    asked = tuple(questions)
    if not asked:
        return []
    with ThreadPoolExecutor(min(at_most, len(asked)), thread_name_prefix="source") as pool:
        return list(pool.map(_caught, asked))


def _caught(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except SourceError as error:
        return error


def answered(result: Any) -> Any:
    """Return a result of `together`, or raise the error that stands in its place."""
    if isinstance(result, SourceError):
        raise result
    return result


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, HttpError):
        return error.passing
    return isinstance(error, SourceError) and error.kind in (FailureKind.UNAVAILABLE, FailureKind.RATE_LIMITED)


class Http:
    """One `requests` session for all sources and threads. It keeps no cookies and reads no `.netrc`.

    `clock` and `sleep` are passed in for tests; `first_backoff` is in seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        first_backoff: float = FIRST_BACKOFF_SECONDS,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._first_backoff = first_backoff
        self._lock = threading.Lock()
        self._not_before: dict[tuple[str, str], datetime] = {}
        self._etags: OrderedDict[tuple[str, str], tuple[str, bytes]] = OrderedDict()
        self._session = requests.Session()
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # Any auth of our own keeps requests from reading .netrc.
        self._session.auth = _as_it_is
        adapter = HTTPAdapter(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def close(self) -> None:
        """Close all pooled connections."""
        self._session.close()

    def get_json(self, url: str, *, deadline: Deadline, redirects: int = 0, **asking: Unpack[_Asking]) -> Json:
        """Read JSON. Retries what may pass; follows up to `redirects` redirects, on the same origin only."""
        return self.read(url, deadline=deadline, redirects=redirects, **asking).json(asking["system"])

    def read(self, url: str, *, deadline: Deadline, redirects: int = 0, **asking: Unpack[_Asking]) -> HttpResponse:
        """Read a successful answer as `get_json` does, and return it whole (its headers, where it came from)."""
        call = _call("GET", url, **asking)

        def attempt() -> HttpResponse:
            now = call
            for _ in range(redirects + 1):
                answer = self._exchange(now, deadline)
                if answer.status not in _REDIRECTS:
                    break
                now = _redirected(now, answer)
            return self._accepted(now, answer)

        return self._retrying(deadline, attempt)

    def query_json(self, url: str, body: Json, *, deadline: Deadline, **asking: Unpack[_Asking]) -> Json:
        """Read JSON through a POST that changes nothing (a query in a body), with retries."""
        call = _call("POST", url, body, **asking)
        return self._retrying(deadline, lambda: self._accepted(call, self._exchange(call, deadline))).json(call.system)

    def send_json(
        self, method: str, url: str, body: Json = None, *, deadline: Deadline, **asking: Unpack[_Asking]
    ) -> HttpResponse:
        """Write: POST, PATCH, PUT or DELETE. Never sent twice. Waits at most `read_seconds` for the answer.

        Raises `OutcomeUnknownError` where it may have taken effect, any other `HttpError` where it has not.
        """
        call = replace(_call(method, url, body, **asking), is_write=True)
        return self._accepted(call, self._exchange(call, deadline))

    def send(
        self, method: str, url: str, body: Json = None, *, deadline: Deadline, **asking: Unpack[_Asking]
    ) -> HttpResponse:
        """Write as `send_json` does, and return the answer whatever its status, except a rate limit."""
        return self._exchange(replace(_call(method, url, body, **asking), is_write=True), deadline)

    def get(self, url: str, *, deadline: Deadline, **asking: Unpack[_Asking]) -> HttpResponse:
        """Return the answer whatever its status, except a rate limit. Asks again only if no answer came at all."""
        call = _call("GET", url, **asking)
        return self._retrying(deadline, lambda: self._exchange(call, deadline))

    @contextmanager
    def stream(self, url: str, *, deadline: Deadline, **asking: Unpack[_Asking]) -> Iterator[Iterator[bytes]]:
        """Open a successful answer, and give its body in chunks as they arrive. Asks once and follows no redirect.

        How much is taken is for the caller to bound; the deadline holds for each chunk.
        """
        call = _call("GET", url, **asking)
        self._obey_pause(call)
        try:
            with self._open(call, call.headers, deadline) as response:
                if not 200 <= response.status_code < 300:
                    answered = CaseInsensitiveDict(response.headers)
                    self._accepted(call, HttpResponse(response.status_code, call.url, answered, b""))
                yield _chunks(response, call, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _broken(call, error, deadline) from None

    def _retrying(self, deadline: Deadline, attempt: Callable[[], T]) -> T:
        return retrying(deadline, attempt, sleep=self._sleep, first_backoff=self._first_backoff)

    def _exchange(self, call: _Call, deadline: Deadline) -> HttpResponse:
        """Ask once. Returns answers of any status; raises for limits that are in force and for broken ones."""
        self._obey_pause(call)
        known = self._known(call) if call.etag else None
        headers = {**call.headers, **({"If-None-Match": known[0]} if known else {})}
        answer = self._transfer(call, headers, deadline)
        if known and answer.status == 304:
            return replace(answer, status=200, body=known[1])
        if _limits_us(answer):
            raise self._paused(call, answer)
        if call.etag and answer.status == 200:
            self._remember(call, answer)
        return answer

    def _transfer(self, call: _Call, headers: Mapping[str, str], deadline: Deadline) -> HttpResponse:
        try:
            with self._open(call, headers, deadline) as response:
                body = _body(response, call, deadline)
                return HttpResponse(response.status_code, call.url, CaseInsensitiveDict(response.headers), body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            raise _broken(call, error, deadline) from None

    def _open(self, call: _Call, headers: Mapping[str, str], deadline: Deadline) -> requests.Response:
        """Ask, and return the answer with its body still to come."""
        left = deadline.left()
        if left <= 0:
            raise call.error(FailureKind.TIMEOUT, f"No time was left to ask {call.system}.")
        # The sandbox and its twins are on this machine: no proxy of the environment may stand between.
        direct = {"http": "", "https": "", "all": ""} if is_loopback(urlsplit(call.url).hostname or "") else None
        return self._session.request(
            call.method,
            call.url,
            headers=headers,
            json=call.body,
            timeout=(min(CONNECT_SECONDS, left), min(call.read_seconds, left)),
            proxies=direct,
            allow_redirects=False,
            stream=True,
        )

    def _accepted(self, call: _Call, answer: HttpResponse) -> HttpResponse:
        """Return a successful answer; raise what any other means."""
        if 200 <= answer.status < 300:
            return answer
        try:
            body = json.loads(answer.body)
        except (ValueError, RecursionError):
            body = None
        # Vercel answers 403 to a token that it does not know at all, and marks that by this flag.
        unknown = answer.status == 403 and parse.boolean(body, "error", "invalidToken")
        wait = asked_wait(answer.headers, self._clock()) if answer.status == 503 else None
        raise _refusal(
            call,
            answer.status,
            kind=FailureKind.UNAUTHORIZED if unknown else None,
            reason=_reason(call, body),
            wait=wait.total_seconds() if wait is not None else None,
        )

    def _obey_pause(self, call: _Call) -> None:
        with self._lock:
            until = self._not_before.get(call.pause_key)
        if until is not None and until > self._clock():
            raise self._rate_limited(call, until, None)

    def _paused(self, call: _Call, answer: HttpResponse) -> HttpError:
        """Remember until when the other side wants no calls, and return the error that says so."""
        now = self._clock()
        secondary = _is_secondary_limit(answer)
        wait = _secondary_wait(answer, now) if secondary else asked_wait(answer.headers, now)
        if wait is None:
            return _refusal(call, answer.status, kind=FailureKind.RATE_LIMITED)
        until = now + wait
        with self._lock:
            self._not_before = {key: end for key, end in self._not_before.items() if end > now}
            self._not_before[call.pause_key] = until
        why = "we made too many requests in a short time (its secondary rate limit)" if secondary else _ASKED_TOO_OFTEN
        return self._rate_limited(call, until, answer.status, why)

    def _rate_limited(self, call: _Call, until: datetime, status: int | None, why: str = _ASKED_TOO_OFTEN) -> HttpError:
        wait = max((until - self._clock()).total_seconds(), 0.0)
        return call.error(
            FailureKind.RATE_LIMITED,
            f"{call.system} accepts requests again only after {until:%H:%M:%S} UTC: {why}.",
            status=status,
            passing=True,
            wait=wait,
        )

    def _known(self, call: _Call) -> tuple[str, bytes] | None:
        key = (call.url, call.credential)
        with self._lock:
            if key in self._etags:
                self._etags.move_to_end(key)
            return self._etags.get(key)

    def _remember(self, call: _Call, answer: HttpResponse) -> None:
        tag = answer.headers.get("ETag")
        if not tag or len(answer.body) > MAX_ETAG_BODY_BYTES:
            return
        with self._lock:
            self._etags[(call.url, call.credential)] = (tag, answer.body)
            while len(self._etags) > MAX_ETAGS:
                self._etags.popitem(last=False)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _bad_data(system: str, what: str) -> HttpError:
    return HttpError(FailureKind.BAD_DATA, f"{system} sent {what}.", _HINTS[FailureKind.BAD_DATA])


def _body(response: requests.Response, call: _Call, deadline: Deadline) -> bytes:
    """Read the body as it arrives, so that a slow or endless one ends at the deadline or the size cap."""
    body = bytearray()
    for chunk in _chunks(response, call, deadline, decode=True):
        body += chunk
        if len(body) > call.max_bytes:
            raise call.lost(
                FailureKind.BAD_DATA, f"{call.system} sent more than {call.max_bytes / 2**20:g} MB in one answer."
            )
    return bytes(body)


def _chunks(response: requests.Response, call: _Call, deadline: Deadline, *, decode: bool = False) -> Iterator[bytes]:
    """Yield the body as it arrives. `decode` unpacks what was packed for the way; an archive stays as it is."""
    while True:
        left = deadline.left()
        if left <= 0:
            raise call.timeout(deadline)
        connection = response.raw.connection
        if connection is not None and connection.sock is not None:
            connection.sock.settimeout(min(call.read_seconds, left))
        try:
            chunk = response.raw.read1(_CHUNK_BYTES, decode_content=decode)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError, OSError) as error:
            raise _broken(call, error, deadline) from None
        if not chunk:
            return
        yield chunk


def _broken(call: _Call, error: Exception, deadline: Deadline) -> HttpError:
    """Turn an exchange that never became an answer into our error."""
    failed = call.error if _never_sent(error) else call.lost
    match error:
        case requests.exceptions.SSLError() | urllib3.exceptions.SSLError():
            return failed(
                FailureKind.UNAVAILABLE, f"No secure connection to {call.system}: its certificate is not accepted."
            )
        case requests.exceptions.ProxyError():
            return failed(
                FailureKind.UNAVAILABLE, f"The proxy on the way to {call.system} refuses our request.", passing=True
            )
        case requests.exceptions.ConnectTimeout():
            return failed(FailureKind.TIMEOUT, f"{call.system} does not answer: no connection.", passing=True)
        case requests.exceptions.Timeout() | urllib3.exceptions.TimeoutError() | TimeoutError():
            return call.timeout(deadline)
        case requests.exceptions.ContentDecodingError() | urllib3.exceptions.DecodeError():
            return failed(FailureKind.BAD_DATA, f"{call.system} sent data that cannot be unpacked.")
        case requests.exceptions.ChunkedEncodingError() | urllib3.exceptions.ProtocolError():
            return failed(FailureKind.UNAVAILABLE, f"{call.system} stopped in the middle of its answer.", passing=True)
        case requests.exceptions.ConnectionError() | urllib3.exceptions.HTTPError() | OSError() if not isinstance(
            error, ValueError
        ):
            return failed(FailureKind.UNAVAILABLE, f"{call.system} cannot be reached: no connection.", passing=True)
        case _:
            return _unsendable(call)


def _never_sent(error: BaseException | None) -> bool:
    """Whether the exchange ended before a connection stood: then nothing can have happened on the other side.

    The libraries wrap the reason, so the whole chain of causes is searched.
    """
    while error is not None:
        if isinstance(
            error,
            urllib3.exceptions.NewConnectionError  # refused, unreachable, or a name that nobody knows
            | urllib3.exceptions.ConnectTimeoutError
            | urllib3.exceptions.ProxyError
            | ssl.SSLCertVerificationError,
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unsendable(call: _Call) -> HttpError:
    """The question cannot even be put: a malformed address, or a credential with characters no header holds."""
    return HttpError(
        FailureKind.BAD_DATA,
        f"{call.system} cannot be asked: its address or credential in the settings is malformed.",
        "Copy them again: no line breaks, spaces or dots in their middle.",
    )


def _redirected(call: _Call, answer: HttpResponse) -> _Call:
    """Return `call` to where the answer points, if that is the same origin."""
    try:
        target = urljoin(call.url, answer.headers.get("Location", ""))
        same = origin(target) == origin(call.url)
    except ValueError:
        same = False
    if not same or target == call.url:
        raise _refusal(call, answer.status)
    return replace(call, url=target)


def _refusal(
    call: _Call, status: int, *, kind: FailureKind | None = None, reason: str | None = None, wait: float | None = None
) -> HttpError:
    if status in _REDIRECTS:
        return call.error(FailureKind.BAD_DATA, f"{call.system} redirected us ({status}).", status=status)
    kind = kind or _KINDS.get(status) or (FailureKind.UNAVAILABLE if status >= 500 else FailureKind.BAD_DATA)
    message = "it refuses this" if call.is_write and kind is FailureKind.BAD_DATA else _FAILURE_LABELS[kind]
    failed = call.lost if status >= 500 or status in _UNSURE_STATUSES else call.error
    return failed(
        kind,
        f"{call.system} answered {status} ({message})" + (f": {reason}." if reason else "."),
        status=status,
        passing=status in _PASSING_STATUSES or kind is FailureKind.RATE_LIMITED,
        wait=wait,
        reason=reason,
    )


def _reason(call: _Call, body: Json) -> str | None:
    """Return the other side's own words for its refusal, without our secrets should it repeat them."""
    found = (
        parse.text(body, "error", "message")
        or parse.text(body, "message")
        or parse.text(body, "error")
        or parse.text(body, "err", "message")
    )
    if found is None:
        return None
    for secret in _credentials(call.headers):
        found = found.replace(secret, "…")
    return " ".join(redact(found[: 4 * MAX_REASON_LENGTH]).split())[:MAX_REASON_LENGTH].rstrip(". ") or None


def _credentials(headers: Mapping[str, str]) -> list[str]:
    """Return the secrets in `headers`: keys, tokens, and what a Basic login is made of."""
    secrets: list[str] = []
    for name, value in headers.items():
        match name.lower():
            case "authorization":
                scheme, _, credential = value.partition(" ")
                secrets.append(credential or scheme)
                if scheme.lower() == "basic":
                    secrets += _basic_parts(credential)
            case "apikey" | "x-api-key":
                secrets.append(value)
    return sorted(filter(None, secrets), key=len, reverse=True)


def _basic_parts(credential: str) -> list[str]:
    try:
        return base64.b64decode(credential, validate=True).decode().split(":", 1)
    except (binascii.Error, ValueError):
        return []


def _limits_us(answer: HttpResponse) -> bool:
    """Whether the answer is a rate limit. GitHub answers 403 for its own, with the headers of a limit or its words."""
    if answer.status == 429:
        return True
    spent = answer.headers.get("X-RateLimit-Remaining") == "0"
    return answer.status == 403 and (spent or "Retry-After" in answer.headers or _is_secondary_limit(answer))


def _is_secondary_limit(answer: HttpResponse) -> bool:
    """Whether GitHub limits how much we ask at once. Its message alone may say so, and calls may be left."""
    if answer.status not in (403, 429):
        return False
    try:
        message = parse.text(json.loads(answer.body), "message")
    except (ValueError, RecursionError):
        return False
    return message is not None and _SECONDARY_LIMIT.search(message) is not None


def _secondary_wait(answer: HttpResponse, now: datetime) -> timedelta:
    """Return how long to wait. Unless no calls are left, the reset in the headers is that of another limit."""
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        return asked_wait(answer.headers, now) or SECONDARY_LIMIT_PAUSE
    asked = asked_wait({"Retry-After": answer.headers.get("Retry-After", "")}, now)
    return SECONDARY_LIMIT_PAUSE if asked is None else asked


def asked_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long the other side asks us to wait: `Retry-After`, else the reset of its rate limit."""
    asked = headers.get("Retry-After", "").strip()
    seconds = _seconds(asked)
    if seconds is None and asked:
        try:
            seconds = (parsedate_to_datetime(asked).astimezone(UTC) - now).total_seconds()
        except (ValueError, TypeError, IndexError, OverflowError):
            seconds = None
    if seconds is None:
        reset = _seconds(headers.get("X-RateLimit-Reset", ""))
        seconds = None if reset is None else reset - now.timestamp()
    if seconds is None:
        return None
    return timedelta(seconds=max(min(seconds, LONGEST_PAUSE.total_seconds()), 0.0))


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None
