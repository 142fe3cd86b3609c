"""The snapshot: the readings of all sources, asked at once, each under its own deadline.

One `SnapshotCache` serves all viewers: it asks again only what is due, so fifty viewers cost the outside
systems what one does. A reading that nobody can trust any more is waited for; one that is merely due is
refreshed in the background while its last value is shown with its age. What is slow and only makes verdicts stronger
(`ReadingSpec.background`) is waited for by nobody who looks at a screen: it comes when it comes.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd

from lib.model.counts import Counts
from lib.model.database import AppliedMigration, Blocker, Catalog, Visibility
from lib.model.deployments import (
    Branch,
    BranchRules,
    BuildLog,
    Comparison,
    Deployment,
    EnvName,
    Hostname,
    Project,
    Repository,
    RequiredCommit,
    VercelEvent,
    VercelSigns,
    WorkflowRun,
)
from lib.model.provider import AppHealth, Balance, LinkOpening, TwilioAccount
from lib.model.reading import Failure, FailureKind, Observed, Reading, SourceError, SourceName
from lib.model.served_code import Schema, ServedCode
from lib.model.window import Window, WindowSize
from lib.sources import booking_data as tables
from lib.sources import follow_up
from lib.sources.http import Deadline
from lib.sources.http import utc_now as utc_now
from lib.sources.source_registry import Sources

Clock = Callable[[], datetime]
Readings = Mapping[str, Reading[Any]]
Ask = Callable[[Sources, Window, Readings, Deadline], Observed[Any]]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The readings of all sources for one window. Every field but the first three is one reading.

    Where there are very many rows, those of bookings and texts begin at `rows_since` only, all at the same time, and
    `counts` are over the whole window. Otherwise `rows_since` is the window's start.
    """

    window: Window
    taken_at: datetime
    rows_since: datetime

    visibility: Reading[Visibility]
    pending_bookings: Reading[pd.DataFrame]
    demand_history: Reading[pd.DataFrame]
    bookings: Reading[pd.DataFrame]
    events: Reading[pd.DataFrame]
    customers: Reading[pd.DataFrame]
    messages: Reading[pd.DataFrame]
    delivery_receipts: Reading[pd.DataFrame]
    webhook_log: Reading[pd.DataFrame]
    audit_log: Reading[pd.DataFrame]
    api_usage: Reading[pd.DataFrame]
    api_keys: Reading[pd.DataFrame]
    background_jobs: Reading[pd.DataFrame]
    short_links: Reading[pd.DataFrame]
    counts: Reading[Counts | None]
    reconciled: Reading[pd.DataFrame | None]

    catalog: Reading[Catalog]
    migrations: Reading[tuple[AppliedMigration, ...]]
    blockers: Reading[tuple[Blocker, ...]]
    database_errors: Reading[pd.DataFrame]

    project: Reading[Project]
    hostnames: Reading[tuple[Hostname, ...]]
    deployments: Reading[tuple[Deployment, ...]]
    build_log: Reading[BuildLog | None]
    env_names: Reading[tuple[EnvName, ...]]
    vercel_events: Reading[tuple[VercelEvent, ...]]

    repository: Reading[Repository]
    branch: Reading[Branch]
    required_commit: Reading[RequiredCommit]
    comparisons: Reading[tuple[Comparison, ...]]
    runs: Reading[tuple[WorkflowRun, ...]]
    rules: Reading[BranchRules]
    vercel_signs: Reading[VercelSigns]

    account: Reading[TwilioAccount]
    texts: Reading[pd.DataFrame]
    known_texts: Reading[pd.DataFrame]
    balance: Reading[Balance]
    alerts: Reading[pd.DataFrame]

    app_health: Reading[AppHealth]
    link_opening: Reading[LinkOpening | None]

    live_schema: Reading[Schema]
    served_code: Reading[tuple[ServedCode, ...]]

    @property
    def readings(self) -> tuple[Reading[Any], ...]:
        """All readings, in the order of the fields."""
        return tuple(getattr(self, field.name) for field in dataclasses.fields(self)[3:])

    @property
    def cut(self) -> bool:
        """Whether only the newest part of the window was read row by row, on purpose."""
        return self.rows_since > self.window.start

    def of(self, source: SourceName) -> tuple[Reading[Any], ...]:
        """The readings of one source."""
        return tuple(reading for reading in self.readings if reading.source is source)


@dataclass(frozen=True)
class ReadingSpec:
    """How one reading is asked for.

    `label` completes "can …" for a person. `every` is how often it is asked while somebody views a page; three times
    that is its budget. `needs` are readings that must be there first; `ask` gets them by name, and also those
    of `glances` that happen to be known already: they are not waited for. With `from_known` it is asked at once with
    what is already known of its needs, and waits for them only where `from_known` does not accept that answer. A
    `background` reading is waited for only by who asks for everything (`SnapshotCache.fresh`); `progress` says how far
    it has come.
    """

    name: str
    source: SourceName
    label: str
    ask: Ask
    every: timedelta
    deadline_seconds: float = 8.0
    windowed: bool = False
    needs: tuple[str, ...] = ()
    glances: tuple[str, ...] = ()
    from_known: Callable[[Observed[Any]], bool] | None = None
    background: bool = False
    progress: Callable[[Sources], str] = lambda _: ""

    @property
    def budget(self) -> timedelta:
        return 3 * self.every


def _spec(source: SourceName, name: str, label: str, every: float, ask: Ask, **more: Any) -> ReadingSpec:
    return ReadingSpec(name, source, label, ask, timedelta(seconds=every), **more)


def _table(name: str, query: tables.TableQuery, every: float = 10) -> ReadingSpec:
    def ask(sources: Sources, window: Window, _: Readings, deadline: Deadline) -> Observed[pd.DataFrame]:
        return sources.booking_data.read(query, window, deadline, newest=True)

    return _spec(SourceName.BOOKING_DATA, name, f"read {query.table}", every, ask, windowed=True)


def _texts(sources: Sources, window: Window, deadline: Deadline) -> Observed[pd.DataFrame]:
    return sources.twilio.texts(window, deadline, lambda: follow_up.counted_elsewhere(sources, deadline))


_booking, _catalog, _vercel, _github, _twilio, _app = (partial(_spec, source) for source in SourceName)
_OF_A_TEXT = ("texts", "messages", "pending_bookings")

# Each comes after those it needs: its name, what it lets one do, every how many seconds it is asked, and how.
READING_SPECS: tuple[ReadingSpec, ...] = (
    # First, for over very many rows it takes longest.
    _booking(
        "counts",
        "count over the whole window",
        60,
        lambda s, w, r, d: s.reporting.counts(w, d),
        deadline_seconds=20,
        windowed=True,
    ),
    # Early, for others wait for them, and the database's gateway answers one after the other.
    _table("pending_bookings", tables.PENDING_BOOKINGS),
    _table("short_links", tables.SHORT_LINKS),
    _booking("visibility", "see all rows (row level security)", 60, lambda s, w, r, d: s.booking_data.visibility(d)),
    _booking(
        "demand_history",
        "read the usual demand of the last weeks",
        600,
        lambda s, w, r, d: s.reporting.demand(Window.ending(w.end, WindowSize.MONTH), d),
    ),
    _table("bookings", tables.BOOKINGS),
    _table("events", tables.EVENTS),
    _table("customers", tables.CUSTOMERS, every=60),
    _table("messages", tables.MESSAGES),
    _table("delivery_receipts", tables.DELIVERY_RECEIPTS, every=120),
    _table("webhook_log", tables.WEBHOOK_LOG),
    _table("audit_log", tables.AUDIT_LOG, every=120),
    _table("api_usage", tables.API_USAGE),
    _table("api_keys", tables.API_KEYS),
    _table("background_jobs", tables.BACKGROUND_JOBS),
    _catalog("catalog", "read columns, checks and policies", 30, lambda s, w, r, d: s.catalog.schema(d)),
    _catalog("migrations", "read the migration history", 120, lambda s, w, r, d: s.catalog.migrations(d)),
    _catalog("blockers", "see who holds locks", 60, lambda s, w, r, d: s.catalog.blockers(d)),
    _catalog(
        "database_errors",
        "read the logs for failed writes",
        60,
        lambda s, w, r, d: s.catalog.errors(w, d),
        windowed=True,
    ),
    _vercel("project", "read the project", 30, lambda s, w, r, d: s.vercel.project(d)),
    _vercel("hostnames", "resolve what each production hostname serves", 30, lambda s, w, r, d: s.vercel.hostnames(d)),
    _vercel("deployments", "list deployments", 20, lambda s, w, r, d: s.vercel.deployments(d)),
    _vercel("env_names", "list the names of environment variables", 120, lambda s, w, r, d: s.vercel.env_names(d)),
    _vercel("vercel_events", "read the activity", 60, lambda s, w, r, d: s.vercel.activity(w, d), windowed=True),
    _vercel(
        "build_log",
        "read the build log",
        20,
        lambda s, w, r, d: follow_up.build_log(s.vercel, r["deployments"].value or (), d),
        needs=("deployments",),
    ),
    _github("repository", "read the repository", 120, lambda s, w, r, d: s.github.repository(d)),
    _github(
        "branch",
        "read the production branch",
        60,
        lambda s, w, r, d: s.github.branch(follow_up.production_branch(r), d),
        needs=("project", "deployments"),
        from_known=follow_up.known_branch,
    ),
    _github(
        "required_commit",
        "resolve the required commit",
        60,
        lambda s, w, r, d: s.github.required_commit(s.settings.required_commit, d, follow_up.production_branch(r)),
        needs=("project", "deployments"),
        from_known=follow_up.known_branch,
    ),
    _github(
        "rules",
        "read the rules of the branch",
        300,
        lambda s, w, r, d: s.github.rules(d, follow_up.production_branch(r)),
        needs=("project", "deployments"),
        from_known=follow_up.known_branch,
    ),
    _github(
        "runs",
        "read Actions runs",
        60,
        lambda s, w, r, d: s.github.runs(follow_up.present(r["required_commit"]).sha, d),
        needs=("required_commit",),
    ),
    _github(
        "vercel_signs",
        "see the statuses that Vercel's app left",
        60,
        lambda s, w, r, d: follow_up.vercel_signs(s.github, r, d),
        needs=("required_commit", "branch", "project"),
    ),
    _github(
        "comparisons",
        "compare commits",
        60,
        lambda s, w, r, d: follow_up.comparisons(s.github, r, d),
        needs=("hostnames", "required_commit", "branch"),
    ),
    _twilio("account", "read the account", 120, lambda s, w, r, d: s.twilio.account(d)),
    _twilio(
        "texts", "read the message log", 20, lambda s, w, r, d: _texts(s, w, d), deadline_seconds=20, windowed=True
    ),
    _booking(
        "reconciled",
        "look single texts up",
        20,
        lambda s, w, r, d: follow_up.reconciled(s.reporting, r, d),
        windowed=True,
        needs=_OF_A_TEXT,
    ),
    _twilio("balance", "read the balance", 300, lambda s, w, r, d: s.twilio.balance(d)),
    _twilio("alerts", "read the alerts", 60, lambda s, w, r, d: s.twilio.alerts(w, d), windowed=True),
    _twilio(
        "known_texts",
        "read single messages",
        60,
        lambda s, w, r, d: follow_up.known_texts(s.twilio, r, d),
        windowed=True,
        needs=_OF_A_TEXT,
    ),
    _app("app_health", "open the home page", 30, lambda s, w, r, d: s.booking_app.health(d)),
    # Opening the link counts as a click in the app, so it is done rarely.
    _app(
        "link_opening",
        "open the newest confirmation link as a stranger",
        300,
        lambda s, w, r, d: follow_up.link_opening(s.booking_app, r, d),
        windowed=True,
        needs=("pending_bookings", "short_links", "texts"),
        glances=("hostnames",),
        from_known=follow_up.link_opened,
    ),
    _catalog(
        "live_schema",
        "read the schema that the code is compared with",
        30,
        lambda s, w, r, d: s.catalog.live_schema(d),
        background=True,
    ),
    # An archive can be large and far away, and reading it takes time of its own: once for each commit.
    _github(
        "served_code",
        "read the live code",
        60,
        lambda s, w, r, d: follow_up.served_code(s.github_archive, r, d),
        deadline_seconds=60,
        needs=("hostnames", "branch"),
        background=True,
        progress=lambda s: s.github_archive.progress,
    ),
)

_Key = tuple[str, WindowSize | None]
# A viewer comes back every ten seconds, give or take: what is due within this time is due.
PUNCTUAL = timedelta(seconds=1)
# What is asked this rarely changes slowly or costs much: a hurry is no reason to ask it more often.
RARELY = timedelta(minutes=1)


def _patience() -> float:
    """How long a viewer may wait at most: the longest chain of deadlines, and a little."""
    return 2 * max(question.deadline_seconds for question in READING_SPECS if not question.background) + 1


@dataclass
class SnapshotCache:
    """Holds the newest readings and asks for those that are due. Shared by all viewers; thread-safe."""

    sources: Sources
    clock: Clock = utc_now
    patience_seconds: float = field(default_factory=_patience)
    _latest: dict[_Key, Reading[Any]] = field(default_factory=dict, repr=False)
    _asked: dict[_Key, Future[Reading[Any]]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=48, thread_name_prefix="reading")

    def snapshot(self, size: WindowSize) -> Snapshot:
        """Return the readings for the window `size` ending now; waits only for those past their budget."""
        return self._collect(size, lambda question: question.every - PUNCTUAL)

    def fresh(self, size: WindowSize) -> Snapshot:
        """Ask every source now, wait for all, also for what is read in the background, and return the snapshot."""
        return self._collect(size, lambda _: timedelta(0), patient=True, background=True)

    def no_older_than(self, size: WindowSize, max_age: timedelta) -> Snapshot:
        """Return readings that are no older than `max_age`, waiting for them; what is rarely asked keeps its pace."""
        return self._collect(
            size, lambda question: max_age if question.every < RARELY else question.every, patient=True
        )

    def close(self) -> None:
        """Stop asking. Questions on their way end by their own deadlines."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _collect(
        self,
        size: WindowSize,
        pace: Callable[[ReadingSpec], timedelta],
        *,
        patient: bool = False,
        background: bool = False,
    ) -> Snapshot:
        """Ask what is older than `pace` says; wait for all of it if `patient`, else for what nobody can trust.

        What is read in the background is waited for with `background` only, each to its own deadline.
        """
        window = Window.ending(self.clock(), size)
        with self._lock:
            asked = {question.name: self._ask_if_due(question, window, pace(question)) for question in READING_SPECS}
            latest = {question.name: self._latest.get(_key(question, size)) for question in READING_SPECS}
        awaited = {
            question.name: future
            for question in READING_SPECS
            if (future := asked[question.name])
            and not self._in_background(question)
            and (patient or (reading := latest[question.name]) is None or self._age(reading) > question.budget)
        }
        wait(awaited.values(), timeout=self.patience_seconds)
        if background:
            awaited |= self._background(asked)
        readings = {
            question.name: self._answer(question, awaited.get(question.name), latest[question.name])
            for question in READING_SPECS
        }
        since = max(window.start, follow_up.rows_since(readings) or window.start)
        readings |= follow_up.newest_part(readings, since) if since > window.start else {}
        return Snapshot(window=window, taken_at=self.clock(), rows_since=since, **readings)

    def _in_background(self, question: ReadingSpec) -> bool:
        """Whether nobody waits for it. That a source is not configured is said at once."""
        return question.background and self.sources.settings.configured(question.source)

    def _background(self, asked: Mapping[str, Future[Reading[Any]] | None]) -> dict[str, Future[Reading[Any]]]:
        """Wait for what is read in the background, each to its own deadline, and return it."""
        waited = {}
        for question in READING_SPECS:
            if question.background and (future := asked[question.name]):
                wait([future], timeout=question.deadline_seconds + 1)
                waited[question.name] = future
        return waited

    def _answer(
        self, question: ReadingSpec, future: Future[Reading[Any]] | None, latest: Reading[Any] | None
    ) -> Reading[Any]:
        if future is not None and future.done():
            return future.result()
        if latest is not None:
            return latest
        if question.background:
            coming = self._reading(question, time.monotonic(), failure=self._coming(question))
            return dataclasses.replace(coming, is_coming=True)
        late = Failure(FailureKind.TIMEOUT, f"No answer yet to: {question.label}.", "It is still being asked.")
        return self._reading(question, started=time.monotonic(), failure=late)

    def _coming(self, question: ReadingSpec) -> Failure:
        sentence = f"Being done now: {question.label}. {question.progress(self.sources)}".strip()
        return Failure(FailureKind.TIMEOUT, sentence, "It takes a moment; verdicts get stronger with it.")

    def _ask_if_due(self, question: ReadingSpec, window: Window, pace: timedelta) -> Future[Reading[Any]] | None:
        """Start asking unless it is on its way or younger than `pace`. Called with the lock held."""
        key = _key(question, window.size)
        running = self._asked.get(key)
        if running is not None and not running.done():
            return running
        latest = self._latest.get(key)
        if latest is not None and self._age(latest) < pace:
            return None
        needed = {
            name: self._asked.get(_key(_BY_NAME[name], window.size)) or self._latest[_key(_BY_NAME[name], window.size)]
            for name in question.needs
        }
        known = self._known(question, window.size) if question.from_known else None
        future = self._pool.submit(self._observe, question, window, needed, known)
        self._asked[key] = future
        return future

    def _known(self, question: ReadingSpec, size: WindowSize) -> Readings | None:
        """Return what is known of the needs of `question`, of this window or of another; None if not of all.

        Only what a verdict may rest on is known. It is kept in memory alone: links in it are secret. Lock held.
        """
        known = {}
        for name in question.needs:
            need = _BY_NAME[name]
            readings = [self._latest.get(_key(need, each)) for each in (size, *WindowSize)]
            usable = (reading for reading in readings if reading and reading.usable(self.clock()))
            if (reading := next(usable, None)) is None:
                return None
            known[name] = reading
        return known

    def _observe(
        self,
        question: ReadingSpec,
        window: Window,
        needed: Mapping[str, Future[Reading[Any]] | Reading[Any]],
        known: Readings | None,
    ) -> Reading[Any]:
        """Ask one question and keep the reading. Runs in the pool, after what it needs was submitted."""
        if known is not None and (reading := self._observe_from_known(question, window, known)) is not None:
            return self._keep(question, window, reading)
        readings = {name: item.result() if isinstance(item, Future) else item for name, item in needed.items()}
        readings |= self._glances(question, window)
        started = time.monotonic()
        try:
            observed = self._ask(question, window, readings)
            reading = self._reading(question, started, observed=observed)
        except SourceError as error:
            reading = self._reading(question, started, failure=error.failure)
        except Exception as error:  # noqa: BLE001 - a bug in one source must not take the other readings down
            failure = Failure(
                FailureKind.BAD_DATA,
                f"Switchboard failed at: {question.label} ({type(error).__name__}).",
                "This is a bug in Switchboard: please report it.",
            )
            reading = self._reading(question, started, failure=failure)
        return self._keep(question, window, reading)

    def _observe_from_known(self, question: ReadingSpec, window: Window, known: Readings) -> Reading[Any] | None:
        """Ask with what is known already; None where the answer does not count, because what is known may be old."""
        started = time.monotonic()
        try:
            observed = self._ask(question, window, {**known, **self._glances(question, window)})
        except Exception:  # noqa: BLE001 - whatever it is: it is asked again, and then its failure counts
            return None
        accepts = question.from_known
        return self._reading(question, started, observed=observed) if accepts and accepts(observed) else None

    def _glances(self, question: ReadingSpec, window: Window) -> Readings:
        with self._lock:
            found = {name: self._latest.get(_key(_BY_NAME[name], window.size)) for name in question.glances}
        return {name: reading for name, reading in found.items() if reading}

    def _keep(self, question: ReadingSpec, window: Window, reading: Reading[Any]) -> Reading[Any]:
        with self._lock:
            reading = _with_failing_since(reading, self._latest.get(_key(question, window.size)))
            self._latest[_key(question, window.size)] = reading
        return reading

    def _ask(self, question: ReadingSpec, window: Window, readings: Readings) -> Observed[Any]:
        for need in question.needs:
            failure = readings[need].failure
            # A need that failed makes the follow-up unknown, for the same reason.
            if failure is not None and need not in follow_up.OPTIONAL_NEEDS.get(question.name, ()):
                why = f"Not asked, because this is unknown: {label(need)}. {failure.sentence}"
                raise SourceError(failure.kind, why, failure.hint)
        return question.ask(self.sources, window, readings, Deadline(question.deadline_seconds))

    def _reading(
        self,
        question: ReadingSpec,
        started: float,
        observed: Observed[Any] | None = None,
        failure: Failure | None = None,
    ) -> Reading[Any]:
        return Reading(
            name=question.name,
            source=question.source,
            observed_at=self.clock(),
            latency_ms=(time.monotonic() - started) * 1000,
            budget=question.budget,
            value=observed.value if observed else None,
            failure=failure,
            caveats=observed.caveats if observed else (),
            since=observed.since if observed else None,
        )

    def _age(self, reading: Reading[Any]) -> timedelta:
        return self.clock() - reading.observed_at


_BY_NAME: Mapping[str, ReadingSpec] = {question.name: question for question in READING_SPECS}


def label(name: str) -> str:
    """Return what the reading `name` lets one do, completing "can …"."""
    return _BY_NAME[name].label


def _key(question: ReadingSpec, size: WindowSize) -> _Key:
    return (question.name, size if question.windowed else None)


def _with_failing_since(reading: Reading[Any], previous: Reading[Any] | None) -> Reading[Any]:
    if reading.failure is None:
        return reading
    since = previous.failing_since if previous and previous.failing_since else reading.observed_at
    return dataclasses.replace(reading, failing_since=since)


def take(sources: Sources, size: WindowSize, clock: Clock = utc_now) -> Snapshot:
    """Ask every source once, at the same time, and return the snapshot."""
    cache = SnapshotCache(sources, clock)
    try:
        return cache.fresh(size)
    finally:
        cache.close()
