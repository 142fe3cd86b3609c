"""The monitor as a background thread of the dashboard: it uses the readings that the viewers share."""

from __future__ import annotations

import threading
from datetime import timedelta
from enum import StrEnum

from lib.model.window import WindowSize
from lib.monitor.inputs import MonitorInputs, world_of
from lib.monitor.loop import Monitor
from lib.monitor.monitor_status import MonitorStatus
from lib.snapshot import utc_now
from lib.ui.runtime import DiagnosisService, app_runtime

# How long the end of the server waits for a round that is under way.
STOP_SECONDS = 5.0
# The summary of a week does not need the last minutes.
_WEEK_MAY_BE_OLD = timedelta(minutes=10)


class MonitorHealth(StrEnum):
    """How the monitor is, in the word that /healthz answers with."""

    OK = "ok"
    OFF = "off"  # none in this process; the age of the last round says whether another one runs
    FAILING = "failing"  # its last round could not be finished
    ENDED = "ended"  # its thread is no more, and nobody stopped it


class MonitorThread:
    """A monitor in a thread of its own. Of several dashboards on one journal, only the one with the lease runs it."""

    def __init__(self, every: timedelta) -> None:
        self._monitor = Monitor(monitor_inputs, utc_now, every)
        self._thread = threading.Thread(target=self._monitor.run, name="monitor", daemon=True)

    @property
    def health(self) -> MonitorHealth:
        if not self._thread.is_alive():
            return MonitorHealth.OFF if self._monitor.stop.is_set() else MonitorHealth.ENDED
        return MonitorHealth.FAILING if self._monitor.failure else MonitorHealth.OK

    def start(self) -> None:
        global _started
        _started = self
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round, and give the lease back."""
        self._monitor.stop.set()
        self._thread.join(STOP_SECONDS)


_started: MonitorThread | None = None


def monitor_health(status: MonitorStatus | None) -> MonitorHealth:
    """Return how the monitor is: the one of this process, or the one that last wrote to the journal's database.

    `status` is None if the journal cannot be read.
    """
    here = _started.health if _started else MonitorHealth.OFF
    failed = status is not None and status.failure is not None
    return MonitorHealth.FAILING if failed and here in (MonitorHealth.OK, MonitorHealth.OFF) else here


def monitor_inputs() -> MonitorInputs | None:
    """Return what the monitor reads now; None while the app or its journal is not open.

    On a sandbox the app follows the scenario, and the monitor follows the app.
    """
    sandbox = app_runtime().sandbox()
    service = app_runtime().desk
    action_service = service.action_service() if service else None
    if service is None or action_service is None:
        return None
    return MonitorInputs(
        service.settings,
        action_service.journal,
        lambda max_age: service.no_older_than(WindowSize.DAY, max_age),
        world_of(service.settings, sandbox.scenario if sandbox else None),
        lambda: _is_current(service),
        lambda: service.no_older_than(WindowSize.WEEK, _WEEK_MAY_BE_OLD),
        lambda: action_service.executor,
    )


def _is_current(service: DiagnosisService) -> bool:
    """Whether this service is still in use. It is replaced when its sandbox switches to another scenario."""
    app_runtime().sandbox(now=True)
    return app_runtime().desk is service
