"""The monitor as a background task of the dashboard: it looks through the desk's own readings, not beside them."""

from __future__ import annotations

import threading
from datetime import timedelta

from lib.model.window import WindowSize
from lib.monitor.inputs import MonitorInputs, world_of
from lib.monitor.loop import Monitor
from lib.snapshot import utc_now
from lib.ui.runtime import DiagnosisService, app_runtime

# How long the end of the server waits for a look that is under way.
STOP_SECONDS = 5.0
# The summary of a week need not know its last minutes.
_WEEK_MAY_BE_OLD = timedelta(minutes=10)


class MonitorThread:
    """A monitor in a thread of its own. Of many dashboards on one journal, the one with the lease watches."""

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
    """Return what the desk watches now; None while it is not open, or its journal is not.

    On a sandbox the desk follows the scenario, and the watch follows the desk.
    """
    played = app_runtime().sandbox()
    desk = app_runtime().desk
    action_service = desk.action_service() if desk else None
    if desk is None or action_service is None:
        return None
    return MonitorInputs(
        desk.settings,
        action_service.journal,
        lambda max_age: desk.no_older_than(WindowSize.DAY, max_age),
        world_of(desk.settings, played.scenario if played else None),
        lambda: _still(desk),
        lambda: desk.no_older_than(WindowSize.WEEK, _WEEK_MAY_BE_OLD),
        lambda: action_service.executor,
    )


def _still(desk: DiagnosisService) -> bool:
    """Whether this is the desk still. It is replaced when its sandbox plays another scenario, whoever switched it."""
    app_runtime().sandbox(now=True)
    return app_runtime().desk is desk
