"""The inputs of a monitor: the dashboard's readings within the dashboard, or readings of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from lib.actions.action_registry import executor_on
from lib.actions.executor import Executor
from lib.journal.journal import Journal
from lib.model.reading import SourceError
from lib.model.window import WindowSize
from lib.settings import Settings
from lib.snapshot import Snapshot, SnapshotCache
from lib.sources.http import Http
from lib.sources.sandbox_control import SandboxControl, SandboxState
from lib.sources.source_registry import Sources

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MonitorInputs:
    """What is monitored at this moment. `take_snapshot` takes the greatest acceptable age of a reading.

    `world` identifies the monitored project: when it changes, known deployments are dropped. `still` says whether it is
    unchanged: a snapshot taken while it changed belongs to neither. `week` and `executor` are for the scheduled jobs.
    """

    settings: Settings
    journal: Journal
    take_snapshot: Callable[[timedelta], Snapshot]
    world: str
    still: Callable[[], bool] = lambda: True
    week: Callable[[], Snapshot] | None = None
    executor: Callable[[], Executor] | None = None


def world_of(settings: Settings, scenario: str | None) -> str:
    """Return an id of the monitored project; each scenario of a sandbox has its own."""
    return "/".join(filter(None, (settings.vercel_project_id, scenario)))


class StandaloneInputs:
    """The inputs of a monitor without a dashboard. On a sandbox they follow the scenario, as the dashboard does."""

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], journal: Journal, clock: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._journal = journal
        self._clock = clock
        self._http = Http(clock=clock)
        self._played: SandboxState | None = None
        self._cache = self._cache_on(settings)

    def __call__(self) -> MonitorInputs:
        """Return what is to be monitored now."""
        self._follow_the_sandbox()
        cache, scenario = self._cache, self._played.scenario if self._played else None
        return MonitorInputs(
            self._settings,
            self._journal,
            lambda max_age: cache.no_older_than(WindowSize.DAY, max_age),
            world_of(self._settings, scenario),
            lambda: not self._follow_the_sandbox(),
            lambda: cache.snapshot(WindowSize.WEEK),
            self._executor,
        )

    def close(self) -> None:
        """Stop reading."""
        self._cache.close()
        self._http.close()

    def _executor(self) -> Executor:
        cache = self._cache
        return executor_on(
            self._journal, self._settings, cache.sources, lambda: cache.snapshot(WindowSize.DAY), self._clock
        )

    def _follow_the_sandbox(self) -> bool:
        """Take over the sandbox's scenario: its keys, and no earlier reading. Return whether it is another one."""
        if self._settings.sandbox_url is None:
            return False
        try:
            state = SandboxControl(self._settings.sandbox_url, self._http).state()
        except SourceError as error:
            log.warning("%s", error)
            return False
        before, self._played = self._played, state
        if not state.replaces(before, self._settings, self._environ):
            return False
        self._cache.close()
        self._settings = state.settings_over(self._environ)
        self._cache = self._cache_on(self._settings)
        return True

    def _cache_on(self, settings: Settings) -> SnapshotCache:
        return SnapshotCache(Sources(settings, self._http, self._clock), self._clock)
