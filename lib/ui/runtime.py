"""What all viewers share: settings, sources, readings and diagnoses, each once per process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from lib import launch
from lib import settings as settings_
from lib.actions.action_registry import open_executor
from lib.cache import Cache
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.journal.errors import JournalError
from lib.model.deployments import BuildLog
from lib.model.reading import FailureKind, SourceError
from lib.model.window import WindowSize
from lib.redaction import redact_logs
from lib.settings import Settings
from lib.snapshot import Clock, Snapshot, SnapshotCache, utc_now
from lib.sources.http import Deadline, Http
from lib.sources.sandbox_control import SandboxControl, SandboxState
from lib.sources.source_registry import Sources
from lib.ui.action_service import ActionService

log = logging.getLogger(__name__)

# All viewers of one window share what was judged within this time.
SHARED_SECONDS = 4.0
# Without a newer reading the diagnosis is made again after this time, because readings age.
JUDGED_AGAIN_SECONDS = 20.0
# When somebody asks to look again, every source is asked; but not more often than this, whoever asks.
RECHECKED_AGAIN_SECONDS = 5.0
# Build logs of builds that are over never change: so many are kept. One that could not be read is asked for again.
LOGS_KEPT = 20
LOG_SECONDS, LOG_AGAIN_SECONDS = 8.0, 20.0
# A journal that could not be opened is tried again after this time.
OPENED_AGAIN_SECONDS = 30.0


@dataclass(frozen=True)
class _Judged:
    """A diagnosis, the newest reading that it rests on, and when it was made (monotonic seconds)."""

    diagnosis: Diagnosis
    newest: datetime
    at: float


def _logs() -> Cache:
    return Cache(errors=(SourceError,), retry_after=LOG_AGAIN_SECONDS)


def _no_build_log(deployment_id: str) -> BuildLog:
    raise SourceError(FailureKind.NOT_CONFIGURED, "No build logs are read here.", "")


def _no_action_service() -> ActionService:
    raise JournalError("Switchboard can only read here: it has no journal.")


class DiagnosisService:
    """One set of settings with its readings, and the service that acts on the same systems. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        snapshots: Callable[[WindowSize], Snapshot],
        clock: Clock = utc_now,
        close: Callable[[], None] = lambda: None,
        open_action_service: Callable[[], ActionService] = _no_action_service,
        fresh: Callable[[WindowSize], Snapshot] | None = None,
        no_older_than: Callable[[WindowSize, timedelta], Snapshot] | None = None,
        read_build_log: Callable[[str], BuildLog] = _no_build_log,
    ) -> None:
        self.settings = settings
        self.why_read_only = ""
        self._close = close
        self._open_action_service = open_action_service
        self._action_service: ActionService | None = None
        self._action_service_lock = threading.Lock()
        self._action_service_tried: float | None = None
        self._snapshots = snapshots
        self._fresh = fresh or snapshots
        self._no_older_than = no_older_than or (lambda size, _: snapshots(size))
        self._clock = clock
        self._read_build_log = read_build_log
        self._build_logs = _logs()
        self._logs_read: set[str] = set()
        self._judged = Cache(max_age=SHARED_SECONDS)
        self._rechecks: set[WindowSize] = set()  # windows that somebody wants to be read again
        self._rechecked_at = dict.fromkeys(WindowSize, float("-inf"))

    @classmethod
    def on(cls, settings: Settings) -> DiagnosisService:
        """Return a service that reads the systems that `settings` name."""
        http = Http(clock=utc_now)
        sources = Sources(settings, http, utc_now)
        cache = SnapshotCache(sources)

        def close() -> None:
            cache.close()
            http.close()

        def open_action_service() -> ActionService:
            return ActionService(open_executor(settings, sources, lambda: cache.snapshot(WindowSize.DAY), utc_now))

        return cls(
            settings,
            cache.snapshot,
            close=close,
            open_action_service=open_action_service,
            fresh=cache.fresh,
            no_older_than=cache.no_older_than,
            read_build_log=lambda deployment_id: sources.vercel.build_log(deployment_id, Deadline(LOG_SECONDS)).value,
        )

    def close(self) -> None:
        """Stop reading and begin no further action."""
        if self._action_service:
            self._action_service.close()
        self._close()

    def action_service(self) -> ActionService | None:
        """Return what can act here; None while the journal cannot be opened: then `why_read_only` says why."""
        with self._action_service_lock:
            waits = (
                self._action_service_tried is not None
                and time.monotonic() - self._action_service_tried < OPENED_AGAIN_SECONDS
            )
            if self._action_service is None and not waits:
                self._action_service_tried = time.monotonic()
                try:
                    self._action_service = self._open_action_service()
                    self._action_service.on_end = self.recheck
                except JournalError as error:
                    self.why_read_only = f"{error.sentence} {error.hint}".strip()
            return self._action_service

    def no_older_than(self, size: WindowSize, max_age: timedelta) -> Snapshot:
        """Return readings no older than `max_age`, shared with all viewers: for the monitor, which shows nothing."""
        return self._no_older_than(size, max_age)

    def recheck(self) -> None:
        """Have every source asked again for what is shown next: something has changed, or somebody wants to know."""
        self._rechecks.update(WindowSize)

    def diagnosis(self, size: WindowSize) -> Diagnosis:
        """Return the diagnosis of the window `size`; fifty viewers cost what one does."""
        if self._may_recheck(size):
            self._judged.forget(size)
        return self._judged.get(size, lambda before: self._judge(size, before)).diagnosis

    def newest_diagnosis(self) -> Diagnosis | None:
        """Return the newest diagnosis of any window that was made here; None before the first. Never waits."""
        newest = max(self._judged.values(_Judged), key=lambda judged: judged.at, default=None)
        return newest.diagnosis if newest else None

    def build_log(self, deployment_id: str) -> BuildLog:
        """Return the log of a build that is over, read once for all viewers. Raises `SourceError`."""
        if deployment_id not in self._logs_read:
            if len(self._logs_read) >= LOGS_KEPT:
                self._logs_read, self._build_logs = set(), _logs()
            self._logs_read.add(deployment_id)
        return self._build_logs.get(deployment_id, lambda _: self._read_build_log(deployment_id))

    def newest_reading(self) -> datetime | None:
        """Return when the newest reading of any window was observed; None before the first."""
        return max((judged.newest for judged in self._judged.values(_Judged)), default=None)

    def _may_recheck(self, size: WindowSize) -> bool:
        return size in self._rechecks and time.monotonic() - self._rechecked_at[size] > RECHECKED_AGAIN_SECONDS

    def _judge(self, size: WindowSize, before: _Judged | None) -> _Judged:
        again = self._may_recheck(size)
        if again:
            self._rechecks.discard(size)  # before reading: a request that comes meanwhile counts
            self._rechecked_at[size] = time.monotonic()
        snapshot = self._fresh(size) if again else self._snapshots(size)
        now = time.monotonic()
        newest = max(reading.observed_at for reading in snapshot.readings)
        if before and newest == before.newest and now - before.at < JUDGED_AGAIN_SECONDS:
            return before
        return _Judged(diagnose(snapshot, self._clock(), Terms.of(self.settings)), newest, now)


class AppRuntime:
    """Holds the diagnosis service: at once if systems are configured, else as soon as a sandbox has started."""

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._lock = threading.Lock()
        self._http = Http(clock=utc_now)
        self._desk: DiagnosisService | None = None
        self._sandbox: launch.LaunchedSandbox | None = None
        self._state: SandboxState | None = None
        self._followed: SandboxState | None = None  # the last state; other than `_state`, kept while no one answers
        self._state_asked = 0.0
        self.progress: list[str] = []
        self.failure: str | None = None
        if settings.anything_configured:
            self._desk = DiagnosisService.on(settings)
        else:
            self.progress.append("Starting the sandbox")
            threading.Thread(target=self._start, name="sandbox start", daemon=True).start()

    @property
    def desk(self) -> DiagnosisService | None:
        """The diagnosis service; None while its sandbox starts or if it could not start."""
        return self._desk

    def sandbox(self, *, now: bool = False) -> SandboxState | None:
        """Return what the sandbox plays, or a moment ago played; None on live systems or if it does not answer.

        When somebody else switched its scenario, the desk follows: other keys, and no reading of before.
        """
        with self._lock:
            if self._desk is None or self._desk.settings.sandbox_url is None:
                return None
            if now or time.monotonic() - self._state_asked > SHARED_SECONDS:
                self._state_asked = time.monotonic()
                try:
                    self._follow(self._control().state())
                except SourceError as error:
                    log.warning("%s", error)
                    self._state = None
            return self._state

    def play(self, scenario: str) -> None:
        """Put the sandbox into `scenario` and start over with reading it. Raises `SourceError`."""
        with self._lock:
            self._follow(self._control().play(scenario), anew=True)

    def set_pace(self, bookings_per_minute: float) -> None:
        """Let the sandbox's bookings come in at this pace. Raises `SourceError`."""
        with self._lock:
            self._follow(self._control().set_pace(bookings_per_minute))

    def manual_fix(self) -> None:
        """Let the sandbox do what somebody would do in another system, and look again. Raises `SourceError`."""
        with self._lock:
            self._follow(self._control().manual_fix())
            if self._desk:
                self._desk.recheck()

    def health(self) -> dict[str, Any]:
        """Return the state of the app, for `/healthz`."""
        desk = self._desk
        newest = desk.newest_reading() if desk else None
        return {
            "desk": "failed" if self.failure else "ready" if desk else "starting",
            "sandbox": bool(desk and desk.settings.sandbox_url),
            "newest_reading_at": newest.isoformat() if newest else None,
        }

    def close(self) -> None:
        """Stop reading, and the sandbox if we started one."""
        if self._desk:
            self._desk.close()
        if self._sandbox:
            self._sandbox.stop()

    def _control(self) -> SandboxControl:
        url = self._desk.settings.sandbox_url if self._desk else None
        if url is None:
            raise SourceError(FailureKind.NOT_CONFIGURED, "Switchboard is not on a sandbox.", "Set SANDBOX_URL.")
        return SandboxControl(url, self._http)

    def _follow(self, state: SandboxState, anew: bool = False) -> None:
        """Take over the sandbox's state; with another scenario or other keys, open a new service. Lock held."""
        before, self._state, self._followed = self._followed, state, state
        old = self._desk
        if anew or old is None or state.replaces(before, old.settings, self._environ):
            self._desk = DiagnosisService.on(state.settings_over(self._environ))
            if old:
                old.close()

    def _start(self) -> None:
        try:
            self._sandbox = launch.start_sandbox(on_progress=self.progress.append)
        except (launch.LaunchError, OSError) as error:
            self.failure = str(error)
            return
        self._environ = {**self._environ, **self._sandbox.settings}
        self._desk = DiagnosisService.on(settings_.load(self._environ))


def _closed(app: AppRuntime) -> None:
    app.close()


@st.cache_resource(show_spinner=False, on_release=_closed)
def app_runtime() -> AppRuntime:
    """Return the one runtime of this process."""
    redact_logs()
    return AppRuntime(settings_.load(), os.environ)
