"""The monitor as a background thread of the dashboard: it uses the readings that the viewers share."""

from __future__ import annotations

import threading
from datetime import timedelta

from lib.model.window import WindowSize
from lib.monitor.inputs import MonitorInputs, world_of
from lib.monitor.loop import Monitor
from lib.snapshot import utc_now
from lib.ui.runtime import DiagnosisService, app_runtime

# How long the end of the server waits for a round that is under way.
STOP_SECONDS = 5.0
# The summary of a week does not need the last minutes.
_WEEK_MAY_BE_OLD = timedelta(minutes=10)


class MonitorThread:
    """A monitor in a thread of its own. Of several dashboards on one journal, only the one with the lease runs it."""

    def __init__(self, every: timedelta) -> None:
        self._monitor = Monitor(monitor_inputs, utc_now, every)
        self._thread = threading.Thread(target=self._monitor.run, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round, and give the lease back."""
        self._monitor.stop.set()
        self._thread.join(STOP_SECONDS)


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
