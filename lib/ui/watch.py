"""The monitor as a background task of the dashboard: it looks through the desk's own readings, not beside them."""

from __future__ import annotations

import threading
from datetime import timedelta

from lib.model.window import WindowSize
from lib.monitor.loop import Monitor
from lib.monitor.view import View, world_of
from lib.snapshot import utc_now
from lib.ui.desk import Desk, opening

# How long the end of the server waits for a look that is under way.
STOP_SECONDS = 5.0
# The summary of a week need not know its last minutes.
_WEEK_MAY_BE_OLD = timedelta(minutes=10)


class BackgroundWatch:
    """A monitor in a thread of its own. Of many dashboards on one journal, the one with the lease watches."""

    def __init__(self, every: timedelta) -> None:
        self._monitor = Monitor(desk_view, utc_now, every)
        self._thread = threading.Thread(target=self._monitor.run, name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Begin no further round, and give the lease back."""
        self._monitor.stop.set()
        self._thread.join(STOP_SECONDS)


def desk_view() -> View | None:
    """Return what the desk watches now; None while it is not open, or its journal is not.

    On a sandbox the desk follows the scenario, and the watch follows the desk.
    """
    played = opening().sandbox()
    desk = opening().desk
    hands = desk.hands() if desk else None
    if desk is None or hands is None:
        return None
    return View(
        desk.settings,
        hands.journal,
        lambda max_age: desk.look(WindowSize.DAY, max_age),
        world_of(desk.settings, played.scenario if played else None),
        lambda: _still(desk),
        lambda: desk.look(WindowSize.WEEK, _WEEK_MAY_BE_OLD),
        lambda: hands.executor,
    )


def _still(desk: Desk) -> bool:
    """Whether this is the desk still. It is replaced when its sandbox plays another scenario, whoever switched it."""
    opening().sandbox(now=True)
    return opening().desk is desk
