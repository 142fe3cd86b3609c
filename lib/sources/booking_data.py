"""The booking data: the app's own tables, read through the `supabase` client.

The Data API silently stops at its row cap (1,000 by default), so every table is read in pages by key, and
the count of the first page says when it is complete. Where there are very many rows, the newest are read and the
database counts the rest, if its reporting functions are installed. A column the database does not have is reported as a
caveat, never as empty values alone.
"""

from __future__ import annotations

import json
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pandera.pandas as pa
from postgrest import APIError
from postgrest.types import CountMethod
from pydantic import SecretStr
from supabase import Client, ClientOptions, create_client

from lib.model import frames
from lib.model.database import Visibility
from lib.model.frames import MetadataState
from lib.model.keys import classify, key_project_ref, url_project_ref
from lib.model.phone import e164
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, SourceError
from lib.model.window import Window
from lib.sources import parse
from lib.sources.http import CONNECT_SECONDS, USER_AGENT, Deadline, HttpError, asked_wait, is_loopback, retrying

SYSTEM = "Supabase"
PAGE_ROWS = 1000
MAX_ROWS = 50_000
# So many of the newest rows are enough to judge by, where the database counts the rest (`lib.sources.reporting`).
NEWEST_ROWS = 2000
# Whether the reporting functions are there is asked again after this time.
INSTALLED_FOR_SECONDS = 30.0
# The tables whose all-time counts distinguish a key without rights from an empty database.
COUNTED_TABLES = ("pending_bookings", "messages", "webhook_logs", "bookings", "events")
# What a call of a reporting function ends in where there is none that our key may call.
NOT_INSTALLED = (FailureKind.NOT_FOUND, FailureKind.FORBIDDEN)

Row = dict[str, Any]
# A SQLSTATE, or a code of PostgREST's.
_CODE = re.compile(r"[0-9A-Z]{5}|PGRST\w{3}")


@dataclass(frozen=True, slots=True)
class TableQuery:
    """How one table is read: which of its columns, under which names, and how rows become frame rows.

    `columns` maps a name in the answer to the column (or JSON path) of the table. `time` is the column that
    the window is about; None reads the whole table. `extra` narrows the rows further.
    """

    schema: pa.DataFrameSchema
    columns: Mapping[str, str]
    time: str | None = None
    extra: Callable[[Any, Window], Any] | None = None
    parse: Callable[[Row], Row] = dict

    @property
    def table(self) -> str:
        return str(self.schema.name)

    def select(self, missing: frozenset[str]) -> str:
        """Return the PostgREST select list without the columns known to be missing."""
        wanted = ((name, path) for name, path in self.columns.items() if column_of(path) not in missing)
        return ",".join(path if name == path else f"{name}:{path}" for name, path in wanted)

    @property
    def database_columns(self) -> tuple[str, ...]:
        """The columns of the table that this query needs; also part of the schema contract."""
        return tuple(dict.fromkeys(column_of(path) for path in self.columns.values()))


def column_of(path: str) -> str:
    """Return the column that a JSON path such as `params->>MessageStatus` starts at."""
    return path.split("->", 1)[0]


def _query(schema: pa.DataFrameSchema, *computed: str, places: Mapping[str, str] = {}, **how: Any) -> TableQuery:
    """Return the query of all columns of the frame but those `computed` from others.

    `places` are those that stand elsewhere in the table than under their own name, and what is computed from.
    """
    return TableQuery(schema, {name: name for name in schema.columns if name not in computed} | dict(places), **how)


def _pending_booking(row: Row) -> Row:
    if "metadata" in row:
        row = row | {"metadata": _unwrapped(row["metadata"])}
    sms = _initial_sms(row.get("metadata"))
    return row | {
        "mobile_number": e164(parse.text(row, "mobile_number")),
        "metadata_state": metadata_state(row),
        "sms_sid": sms.get("message_sid"),
        "sms_sent_at": sms.get("sent_at"),
        "sms_segments": sms.get("segments"),
    }


def _unwrapped(value: Any) -> Any:
    """Return what a value of jsonb means: an app that wrote it with `JSON.stringify` stored a text that holds JSON."""
    if not isinstance(value, str):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return inner if isinstance(inner, dict | list) else value


def _initial_sms(metadata: Any) -> Mapping[str, Any]:
    sms = metadata.get("initial_sms") if isinstance(metadata, dict) else None
    return sms if isinstance(sms, dict) else {}


def metadata_state(row: Row) -> MetadataState:
    """Return which of those it is that a simple script prints as `{}`: no column, null, empty, without the SMS."""
    if "metadata" not in row:
        return MetadataState.COLUMN_MISSING
    metadata = _unwrapped(row["metadata"])
    if metadata is None:
        return MetadataState.NULL
    if metadata == {}:
        return MetadataState.EMPTY
    return MetadataState.STORED if _initial_sms(metadata).get("message_sid") else MetadataState.WITHOUT_SMS


def _message(row: Row) -> Row:
    return row | {name: e164(parse.text(row, name)) for name in ("to_number", "from_number")}


def _api_key(row: Row) -> Row:
    permissions = _unwrapped(row.get("permissions"))
    granted = permissions if isinstance(permissions, list) else []
    return row | {"can_write_bookings": "write:bookings" in granted or "*" in granted}


# What an event without a name is shown as: it takes bookings all the same.
NAMELESS = "(no name)"


def _event(row: Row) -> Row:
    return row | {"name": NAMELESS} if row.get("name") is None and "id" in row else row


def _short_link(row: Row) -> Row:
    return row | {"token": _path_tail(parse.text(row, "destination_url"))}


def _path_tail(url: str | None) -> str | None:
    try:
        return urlsplit(url or "").path.rstrip("/").rpartition("/")[2] or None
    except ValueError:
        return None


def _unfinished_or_recent(query: Any, window: Window) -> Any:
    # What is done says nothing after a day, and there is a job for every booking.
    recent = max(window.start, window.end - timedelta(days=1))
    return query.or_(f"created_at.gte.{recent.isoformat()},status.in.(pending,processing)")


PENDING_BOOKINGS = _query(
    frames.PENDING_BOOKINGS,
    *("metadata_state", "sms_sid", "sms_sent_at", "sms_segments"),
    places={"metadata": "metadata", "api_key_id": "initiated_by_api_key"},
    time="created_at",
    parse=_pending_booking,
)
# When people asked in the weeks before: what is usual, to judge a time without bookings by.
DEMAND = _query(frames.DEMAND, "initiated", time="created_at")
BOOKINGS = _query(frames.BOOKINGS, time="created_at")
EVENTS = _query(frames.EVENTS, parse=_event)
# Only those who cannot be texted: nobody else's row is needed to judge the flow.
CUSTOMERS = _query(
    frames.CUSTOMERS, extra=lambda query, _: query.or_("sms_opt_in.is.false,messaging_status.neq.active")
)
MESSAGES = _query(frames.MESSAGES, time="created_at", parse=_message)
DELIVERY_RECEIPTS = _query(frames.DELIVERY_RECEIPTS, time="created_at")
WEBHOOK_LOG = _query(frames.WEBHOOK_LOG, places={"message_status": "params->>MessageStatus"}, time="processed_at")
AUDIT_LOG = _query(frames.AUDIT_LOG, time="created_at")
API_USAGE = _query(frames.API_USAGE, time="created_at", extra=lambda query, _: query.like("endpoint", "%/bookings/%"))
API_KEYS = _query(frames.API_KEYS, "can_write_bookings", places={"permissions": "permissions"}, parse=_api_key)
BACKGROUND_JOBS = _query(frames.BACKGROUND_JOBS, extra=_unfinished_or_recent)
SHORT_LINKS = _query(
    frames.SHORT_LINKS,
    "token",
    places={"destination_url": "destination_url"},
    time="created_at",
    parse=_short_link,
)

QUERIES: tuple[TableQuery, ...] = (
    PENDING_BOOKINGS,
    BOOKINGS,
    EVENTS,
    CUSTOMERS,
    MESSAGES,
    DELIVERY_RECEIPTS,
    WEBHOOK_LOG,
    AUDIT_LOG,
    API_USAGE,
    API_KEYS,
    BACKGROUND_JOBS,
    SHORT_LINKS,
)


# Which deadline the request under way has: the supabase client has no way to pass one on.
_DEADLINE: ContextVar[Deadline] = ContextVar("deadline of the request under way")


@dataclass
class BookingData:
    """The booking tables of one Supabase project. Thread-safe; reads only."""

    url: str
    key: SecretStr
    max_rows: int = MAX_ROWS
    # Columns that a table was found not to have, until it has them.
    _missing: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    # By the monotonic clock: until when Supabase wants to be left alone.
    _quiet_until: float = field(default=0.0, repr=False)
    # Whether the reporting functions are there, and when that was asked, by the monotonic clock.
    _installed: tuple[bool, float] | None = field(default=None, repr=False)
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        # The sandbox is on this machine: no proxy of the environment may stand between.
        environment = not is_loopback(urlsplit(self.url).hostname or "")
        # HTTP/1.1: idle HTTP/2 connections die and surface as errors in a long-lived process.
        self._http = httpx.Client(
            http1=True,
            http2=False,
            trust_env=environment,
            limits=httpx.Limits(max_connections=24, max_keepalive_connections=24),
            headers={"User-Agent": USER_AGENT},
            event_hooks={"request": [_bound_by_deadline], "response": [self._refuse_unreadable]},
        )
        options = ClientOptions(httpx_client=self._http, auto_refresh_token=False, persist_session=False)
        key = self.key.get_secret_value()
        if not (key.isascii() and key.isprintable()):  # no header can hold it
            raise _malformed("it holds characters that no key has")
        try:
            self._client: Client = create_client(self.url, key, options)
        except Exception as error:  # noqa: BLE001 - supabase raises bare subclasses of it for a malformed key
            raise _malformed(type(error).__name__) from None

    def read(
        self, query: TableQuery, window: Window, deadline: Deadline, *, newest: bool = False
    ) -> Observed[pd.DataFrame]:
        """Return all rows of `query` in `window`, oldest first, and what is missing from them.

        With `newest`, of very many rows only the newest are read where the database can count the rest; `since` of
        the answer then says from when on they are complete.
        Raises `SourceError`: `not_found` for a missing table, `forbidden` for a missing grant.
        """
        # A column that was missing may have been added: only those are asked for again.
        known = self._missing.get(query.table, frozenset()) & frozenset(query.database_columns)
        missing = self._missing_of(query.table, known, deadline)
        try:
            rows, total, enough = self._rows(query, window, deadline, missing, newest)
        except _MissingColumnError:
            missing = self._missing_of(query.table, frozenset(query.database_columns), deadline)
            rows, total, enough = self._rows(query, window, deadline, missing, newest)
        self._missing[query.table] = missing
        frame, odd = frames.readable(query.schema, [query.parse(row) for row in rows])
        if query.time:
            frame = frame.sort_values([query.time, "id"], ignore_index=True)
        since = None
        if query.time and len(rows) < total and len(frame):
            # Of the oldest instant there may be rows that were not read.
            since = frame[query.time].iloc[0].to_pydatetime() + timedelta(microseconds=1)
            if enough:
                frame = frame[frame[query.time] >= since].reset_index(drop=True)
        truncated = () if enough else _truncated_caveat(query, len(rows), total)
        unread = (*_odd_caveats(query, odd), *_nameless_caveat(query, rows, missing))
        return Observed(frame, (*_missing_caveats(query, missing), *truncated, *unread), since)

    def can_count(self, deadline: Deadline) -> bool:
        """Whether the reporting functions are installed and our key may call them. Raises `SourceError`."""
        with self._asking:
            if self._installed is None or time.monotonic() - self._installed[1] > INSTALLED_FOR_SECONDS:
                try:
                    self.call("switchboard_reconcile", {"sids": []}, deadline)
                except SourceError as error:
                    if error.kind not in NOT_INSTALLED:
                        raise
                    self._installed = (False, time.monotonic())
                else:
                    self._installed = (True, time.monotonic())
            return self._installed[0]

    def _surely_counts(self, deadline: Deadline) -> bool:
        try:
            return self.can_count(deadline)
        except SourceError:  # unknown: then row by row, as without it
            return False

    def call(self, function: str, params: Mapping[str, Any], deadline: Deadline) -> Any:
        """Return what a function of the database answers. It must change nothing: a passing failure is retried.

        Raises `SourceError`: `not_found` where there is no such function, `forbidden` where our key may not call it.
        """
        return self._execute(self._client.rpc(function, dict(params)), function, deadline).data

    def visibility(self, deadline: Deadline) -> Observed[Visibility]:
        """Return how much our key can see: its class, whether the server agrees, and all-time counts."""
        key = self.key.get_secret_value()
        with ThreadPoolExecutor(len(COUNTED_TABLES) + 1) as pool:
            proved = pool.submit(self._key_proved, deadline)
            counted = pool.map(lambda table: self._count(table, deadline), COUNTED_TABLES)
            answers = dict(zip(COUNTED_TABLES, counted, strict=True))
            return Observed(
                Visibility(
                    key_kind=classify(key),
                    key_proved=proved.result(),
                    project_ref=url_project_ref(self.url),
                    key_project_ref=key_project_ref(key),
                    counts={table: n for table, n in answers.items() if isinstance(n, int)},
                    refused={table: code for table, code in answers.items() if isinstance(code, str)},
                )
            )

    def _rows(
        self, query: TableQuery, window: Window, deadline: Deadline, missing: frozenset[str], newest: bool
    ) -> tuple[list[Row], int, bool]:
        """Read page after page by key, and return the rows, how many there are, and whether the newest are enough.

        The key is (time, id), so a row is neither skipped nor read twice, also while rows come and go. The
        newest come first: where `max_rows` or the deadline cuts, it is the old ones that are missing.
        """
        newest = newest and query.time is not None
        # To count very many rows takes long: where they are likely, the planner's estimate comes first.
        likely = newest and window.end - window.start > timedelta(days=1)
        first = self._page(query, window, deadline, missing, CountMethod.estimated if likely else CountMethod.exact)
        rows, total = parse.rows(first.data, SYSTEM), _counted(first)
        if total and not rows:
            raise _unreadable()
        if likely and total <= NEWEST_ROWS and not total <= len(rows) < PAGE_ROWS:
            total = _counted(self._page(query, window, deadline, missing, CountMethod.exact, limit=1))
        enough = newest and total > NEWEST_ROWS and self._surely_counts(deadline)
        if likely and total > NEWEST_ROWS and not enough:
            total = _counted(self._page(query, window, deadline, missing, CountMethod.exact, limit=1))
        # What the server gives at once may be less than we ask for.
        cap, ended = len(rows), len(rows) >= total
        while not ended and len(rows) < (NEWEST_ROWS if enough else self.max_rows):
            try:
                answer = self._page(query, window, deadline, missing, after=rows[-1])
            except SourceError as error:
                if error.kind is FailureKind.TIMEOUT:
                    break
                raise
            page = parse.rows(answer.data, SYSTEM)
            rows += page
            ended = not page or (len(page) < cap and len(rows) >= total)
        return rows, len(rows) if ended else max(total, len(rows)), enough and len(rows) >= NEWEST_ROWS

    def _page(
        self,
        query: TableQuery,
        window: Window,
        deadline: Deadline,
        missing: frozenset[str],
        count: CountMethod | None = None,
        after: Row | None = None,
        limit: int | None = None,
    ) -> Any:
        """Return one answer: the first rows, or those that follow `after`, and with `count` how many there are."""
        request: Any = self._client.table(query.table).select(query.select(missing), count=count)
        if query.time:
            request = request.gte(query.time, window.start.isoformat()).lt(query.time, window.end.isoformat())
            request = request.order(query.time, desc=True)
        if query.extra:
            request = query.extra(request, window)
        if after and query.time:
            last, key = after.get(query.time), after.get("id")
            request = request.or_(f'{query.time}.lt."{last}",and({query.time}.eq."{last}",id.gt."{key}")')
        elif after:
            request = request.gt("id", after.get("id"))
        return self._execute(request.order("id").limit(limit or PAGE_ROWS), query.table, deadline)

    def _missing_of(self, table: str, columns: frozenset[str], deadline: Deadline) -> frozenset[str]:
        """Return those of `columns` that `table` has not, by asking for each alone: error texts are not a contract."""

        def missing(column: str) -> bool:
            try:
                self._execute(self._client.table(table).select(column).limit(0), table, deadline)
            except _MissingColumnError:
                return True
            return False

        if not columns:
            return columns
        with ThreadPoolExecutor(min(len(columns), 8)) as pool:
            return frozenset(c for c, gone in zip(columns, pool.map(missing, columns), strict=True) if gone)

    def _count(self, table: str, deadline: Deadline) -> int | str:
        """Return the all-time count of `table`, or the kind of refusal."""
        request = self._client.table(table).select("id", count=CountMethod.exact).limit(1)
        try:
            return _counted(self._execute(request, table, deadline))
        except SourceError as error:
            if error.kind in (FailureKind.FORBIDDEN, FailureKind.NOT_FOUND):
                return error.kind.value
            raise

    def _key_proved(self, deadline: Deadline) -> bool | None:
        """Ask for the API's own description, which only service-level keys get. None: no clear answer."""
        key = self.key.get_secret_value()
        _DEADLINE.set(deadline)
        try:
            answer = self._http.get(f"{self.url}/rest/v1/", headers={"apikey": key, "Authorization": f"Bearer {key}"})
        except SourceError as error:
            return False if error.kind in (FailureKind.UNAUTHORIZED, FailureKind.FORBIDDEN) else None
        except httpx.HTTPError:
            return None
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return False
        return True if answer.status_code == httpx.codes.OK else None

    def _execute(self, request: Any, table: str, deadline: Deadline) -> Any:
        return retrying(deadline, lambda: self._execute_once(request, table, deadline))

    def _execute_once(self, request: Any, table: str, deadline: Deadline) -> Any:
        quiet = self._quiet_until - time.monotonic()
        if quiet > 0:
            raise _rate_limited(quiet)
        _DEADLINE.set(deadline)
        try:
            return request.retry(False).execute()
        except APIError as error:
            raise _translated(error, table) from None
        except httpx.TimeoutException:
            late = f"{SYSTEM} did not answer in time for {table}."
            raise SourceError(FailureKind.TIMEOUT, late, _SHORTER) from None
        except httpx.HTTPError as error:
            raise SourceError(
                FailureKind.UNAVAILABLE,
                f"{SYSTEM} cannot be reached ({type(error).__name__}).",
                _GONE if _has_no_address(error) else "Check SUPABASE_URL and the network.",
            ) from None
        except ValueError:
            raise _unreadable() from None

    def _refuse_unreadable(self, response: httpx.Response) -> None:
        """Raise for every answer that is not of the Data API: refusals, proxies' pages, overload."""
        response.stream = _InTime(response.stream, _DEADLINE.get())
        response.read()
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait = asked_wait(response.headers, datetime.now(UTC))
            if wait is not None:
                self._quiet_until = time.monotonic() + wait.total_seconds()
            raise _rate_limited(wait.total_seconds() if wait is not None else None)
        is_json = "json" in response.headers.get("content-type", "")
        # An error that PostgREST explains is left to the client, which turns it into APIError.
        if not (is_json and (response.is_success or _explained(response))):
            raise _refused(response)


def _bound_by_deadline(request: httpx.Request) -> None:
    """Let no part of the exchange take longer than its deadline has left."""
    left = _DEADLINE.get().remaining()
    request.extensions["timeout"] = httpx.Timeout(left, connect=min(CONNECT_SECONDS, left)).as_dict()


class _InTime(httpx.SyncByteStream):
    """A body that ends with its deadline, however slowly it drips."""

    def __init__(self, stream: Any, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream:
            self._deadline.remaining()
            yield chunk

    def close(self) -> None:
        self._stream.close()


class _MissingColumnError(SourceError):
    """A select named a column that the table does not have."""


# Postgres's classes for: no connection, no resources, being shut down, a fault of its own.
_DATABASE_AWAY = ("PGRST00", "08", "53", "57P", "58", "XX")


_SECRET_KEY = "Use the secret key (sb_secret_…)."
_SHORTER = "Try a shorter window."
_STATUS_PAGE = "See Supabase's status page."
_RESTORE = "Restore the project in Supabase's dashboard: a free project pauses when idle."
_GONE = f"The project's name leads nowhere: it may be paused or deleted, or SUPABASE_URL is misspelt. {_RESTORE}"
# What the platform answers for a project that is paused.
_PAUSED = 540
# By the code of the Data API (never by its words): what it means for the table or function that was asked for.
_MEANINGS: Mapping[str, tuple[FailureKind, str, str]] = {
    "PGRST205": (FailureKind.NOT_FOUND, "The database has no table {}.", "Is this the right Supabase project?"),
    "42P01": (FailureKind.NOT_FOUND, "The database has no table {}.", "Is this the right Supabase project?"),
    "PGRST202": (FailureKind.NOT_FOUND, "The database has no function {}.", "Run the action install_reporting."),
    "42883": (FailureKind.NOT_FOUND, "The database has no function {}.", "Run the action install_reporting."),
    "42501": (FailureKind.FORBIDDEN, "Our key may not read {}.", _SECRET_KEY),
    "57014": (FailureKind.TIMEOUT, "Reading {} took too long.", _SHORTER),
}


def _translated(error: APIError, table: str) -> SourceError:
    """Turn an error that the Data API explains into ours."""
    code = str(error.code or "")
    if code == "42703":
        return _MissingColumnError(
            FailureKind.BAD_DATA,
            f"A column that Switchboard needs is missing from {table}.",
            "Compare the table with the schema contract.",
        )
    if code in _MEANINGS:
        kind, sentence, hint = _MEANINGS[code]
        return SourceError(kind, sentence.format(table), hint)
    if code.startswith("PGRST3"):
        return _key_refused()
    if code == "53300":
        sentence = f"{SYSTEM}'s database has no free connection (53300)."
        return SourceError(
            FailureKind.UNAVAILABLE, sentence, "Close connections that nobody needs, or raise the limit."
        )
    if code.startswith(_DATABASE_AWAY):
        return SourceError(FailureKind.UNAVAILABLE, f"{SYSTEM} cannot reach its database ({code}).", _STATUS_PAGE)
    return SourceError(
        FailureKind.BAD_DATA, f"{SYSTEM} answered {table} with an error ({code}).", "Look it up in PostgREST's manual."
    )


def _refused(response: httpx.Response) -> SourceError:
    """Return what an answer means that is no data and that PostgREST does not explain."""
    status = response.status_code
    if status == httpx.codes.UNAUTHORIZED:
        return _key_refused()
    if status == httpx.codes.FORBIDDEN:
        return SourceError(FailureKind.FORBIDDEN, f"{SYSTEM} refuses our key this (403).", _SECRET_KEY)
    if status == httpx.codes.NOT_FOUND:
        return SourceError(FailureKind.NOT_FOUND, f"{SYSTEM} has nothing at this address (404).", "Check SUPABASE_URL.")
    if status == _PAUSED:
        return SourceError(FailureKind.UNAVAILABLE, f"The {SYSTEM} project is paused (540).", _RESTORE)
    if status >= 500:
        return SourceError(FailureKind.UNAVAILABLE, f"{SYSTEM} answered with error {status}.", _STATUS_PAGE)
    if "html" in response.headers.get("content-type", ""):
        sentence = f"{SYSTEM} answered with a web page: the project may be paused, or the address is wrong."
        return SourceError(FailureKind.BAD_DATA, sentence, f"Check SUPABASE_URL. {_RESTORE}")
    return _unreadable()


def _has_no_address(error: httpx.HTTPError) -> bool:
    """Whether the name of the host could not be resolved; httpx keeps the resolver's error as a distant cause."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _rate_limited(seconds: float | None) -> HttpError:
    when = f" in {math.ceil(seconds)} seconds" if seconds else " later"
    return HttpError(
        FailureKind.RATE_LIMITED,
        f"{SYSTEM} is limiting our requests (429): we may ask again{when}.",
        "Nothing to do: Switchboard retries automatically.",
        status=429,
        passing=True,
        wait=seconds,
    )


def _explained(response: httpx.Response) -> bool:
    try:
        code = response.json().get("code")
    except (ValueError, AttributeError):
        return False
    return isinstance(code, str) and _CODE.fullmatch(code) is not None


def _malformed(why: str) -> SourceError:
    return SourceError(
        FailureKind.UNAUTHORIZED,
        f"The Supabase client refused the address or key ({why}).",
        "Set SUPABASE_SECRET_KEY to the key that begins with sb_secret_.",
    )


def _key_refused() -> SourceError:
    return SourceError(
        FailureKind.UNAUTHORIZED,
        f"{SYSTEM} does not accept our key (401).",
        "Set SUPABASE_SECRET_KEY to a current secret key (sb_secret_…): Supabase → Settings → API Keys.",
    )


def _counted(answer: Any) -> int:
    """Return how many rows the server counted; no count is no zero."""
    if answer.count is None:
        raise _unreadable()
    return int(answer.count)


def _unreadable() -> SourceError:
    return SourceError(
        FailureKind.BAD_DATA,
        f"{SYSTEM} sent an answer that is not data.",
        "Does SUPABASE_URL point at the project's API (https://….supabase.co)?",
    )


def _missing_caveats(query: TableQuery, missing: frozenset[str]) -> tuple[Caveat, ...]:
    return tuple(
        Caveat(
            CaveatKind.MISSING_COLUMN, f"{query.table}.{column}", f"The database has no column {query.table}.{column}."
        )
        for column in sorted(missing)
    )


def _odd_caveats(query: TableQuery, odd: tuple[frames.OddColumn, ...]) -> tuple[Caveat, ...]:
    """Return what the values that do not fit their column cost, by column. The values are not repeated."""
    caveats = []
    for column in odd:
        place = f"{query.table}.{column.name}"
        if column.rows:
            sentence = f"{column.rows:,} rows of {query.table} are left out: {place} has no value that can be read."
            caveats.append(Caveat(CaveatKind.TRUNCATED, query.table, sentence))
        elif column.cells:
            sentence = f"{column.cells:,} values of {place} cannot be read and count as unknown."
            caveats.append(Caveat(CaveatKind.PARTIAL, place, sentence))
    return tuple(caveats)


def _nameless_caveat(query: TableQuery, rows: list[Row], missing: frozenset[str]) -> tuple[Caveat, ...]:
    count = sum(row.get("name") is None for row in rows) if query.schema is frames.EVENTS else 0
    if not count or "name" in missing:
        return ()
    return (Caveat(CaveatKind.PARTIAL, "events.name", f"{count:,} events have no name (events.name is null)."),)


def _truncated_caveat(query: TableQuery, read: int, total: int) -> tuple[Caveat, ...]:
    if read >= total:
        return ()
    newest = ", the newest" if query.time else ""
    more = " To have the rest counted in the database, run the action install_reporting." if query.time else ""
    sentence = f"Only {read:,} of {total:,} rows of {query.table} were read{newest}.{more}"
    return (Caveat(CaveatKind.TRUNCATED, query.table, sentence),)
