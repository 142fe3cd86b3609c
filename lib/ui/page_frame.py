"""The frame of every page: waiting until the app is ready, a view to draw from, a body that keeps itself up to date."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar
from zoneinfo import ZoneInfo

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.facts import Facts
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.journal_state import JournalState
from lib.model.reading import CaveatKind, Failure, FailureKind, Reading, SourceName
from lib.model.verdict import Verdict
from lib.model.window import WindowSize
from lib.settings import Settings
from lib.snapshot import Snapshot, label
from lib.ui import html_components as html
from lib.ui import runtime
from lib.ui.action_service import ActionService
from lib.ui.masking import plain
from lib.ui.runtime import SHARED_SECONDS, DiagnosisService
from lib.ui.styles import draw, sharing

T = TypeVar("T")

REFRESH_SECONDS = 10.0
_NAMED = (Verdict.CONFIRMED, Verdict.LIKELY)
STATUS = "Status"  # the title of the page that is about the headline
# Where session state keeps why the last button did nothing, until it was shown above the page.
PROBLEM = "act_problem"

_BLIND = Failure(
    FailureKind.FORBIDDEN,
    "Row level security may hide rows from this key, so an empty answer proves nothing.",
    "Put the secret key (sb_secret_…) into SUPABASE_SECRET_KEY.",
)


@dataclass(frozen=True)
class View:
    """What a page draws from: one diagnosis, and how this viewer wants to see it."""

    diagnosis: Diagnosis
    settings: Settings
    sharing: bool

    @property
    def facts(self) -> Facts:
        return self.diagnosis.facts

    @property
    def snapshot(self) -> Snapshot:
        return self.facts.snapshot

    @property
    def now(self) -> datetime:
        return self.facts.now

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.zone

    @property
    def window(self) -> str:
        """The window in a sentence: "the last 24 hours"."""
        return self.snapshot.window.size.message

    @property
    def rows(self) -> str:
        """What lists and verdicts are about, in a sentence: of very many rows only the newest were read."""
        return "the newest rows" if self.snapshot.cut else self.window

    def local_time(self, at: datetime | None) -> str:
        return formatting.local_time(at, self.zone, self.now)

    def time_and_age(self, at: datetime | None) -> str:
        return formatting.time_and_age(at, self.zone, self.now)

    def cannot_tell(self, *readings: Reading[Any]) -> Markup | None:
        """Return the grey card for the first of `readings` that nothing may rest on; None if all are fine.

        Rows that row level security may hide from our key count as unread: an empty answer proves nothing.
        """
        for reading in readings:
            if not reading.usable(self.now):
                return self._card(reading, reading.failure)
            if reading.source is SourceName.BOOKING_DATA and self.facts.blind is not False:
                return self._card(self.snapshot.visibility, self.snapshot.visibility.failure or _BLIND)
        return None

    def _card(self, reading: Reading[Any], failure: Failure | None) -> Markup:
        since = reading.failing_since or reading.observed_at
        return html.cannot_tell(failure, f"Switchboard has to {label(reading.name)}", since, self.zone, self.now)


def current_cause() -> str:
    """Return the id of the likeliest cause, as of the newest diagnosis; empty if there is none. It never waits."""
    service = runtime.app_runtime().desk
    diagnosis = service.newest_diagnosis() if service else None
    found = (one.id for one in diagnosis.hypotheses if one.verdict in _NAMED) if diagnosis else ()
    return next(iter(found), "")


def diagnosis_service() -> DiagnosisService:
    """Return the diagnosis service; while its sandbox starts, show how far that is and stop."""
    service = runtime.app_runtime().desk
    if service is None:
        _starting()
        st.stop()
    return service


@st.fragment(run_every=0.7)
def _starting() -> None:
    app = runtime.app_runtime()
    if app.failure:
        st.error(app.failure, title="Switchboard cannot open", icon=":material/error:")
    elif app.desk is None:
        with st.status("No keys are configured: opening Switchboard on a sandbox", expanded=True):
            for line in tuple(app.progress):
                st.text(line)
    else:
        st.rerun()


def from_journal(read: Callable[[ActionService], T]) -> T | None:
    """Return what `read` reads; None where the journal cannot be read, which every page says at its top."""
    action_service = diagnosis_service().action_service()
    try:
        return read(action_service) if action_service else None
    except JournalError:
        return None


def current_journal_state() -> JournalState | None:
    """Return what the journal says now; None where it cannot be read."""
    return from_journal(lambda action_service: action_service.journal_state())


def cached_with_journal(view: View, key: Hashable, make: Callable[[Journal], T]) -> T | None:
    """Return what `make` makes of the view's diagnosis and the journal, made once until one of the two changes.

    None where the journal cannot be read.
    """
    return from_journal(
        lambda action_service: view.diagnosis.cached(
            (key, action_service.journal_state().position), lambda: make(action_service.journal)
        )
    )


def chosen_window() -> WindowSize:
    """Return the window that is chosen. In the first run its control is not drawn yet, and the address says it."""
    chosen = st.session_state.get("window") or st.query_params.get("window")
    return WindowSize(chosen) if chosen in list(WindowSize) else WindowSize.DAY


# Where session state keeps what the run that draws the whole page shows. Refreshes of a part look for something newer.
_SHOWN_IN_RUN = "shown_in_run"


def show_in_run(diagnosis: Diagnosis | None) -> None:
    """Let everything that is drawn until this is called with None show `diagnosis`, without waiting for a newer one."""
    if diagnosis is None:
        st.session_state.pop(_SHOWN_IN_RUN, None)
    else:
        st.session_state[_SHOWN_IN_RUN] = (diagnosis, time.monotonic())


def _shown_in_run(size: WindowSize) -> Diagnosis | None:
    diagnosis, since = st.session_state.get(_SHOWN_IN_RUN, (None, 0.0))
    # A run that was cut short by a click did not end it.
    if diagnosis is None or time.monotonic() - since > SHARED_SECONDS:
        return None
    return diagnosis if diagnosis.facts.snapshot.window.size is size else None


def current_view() -> View:
    """Return what this viewer sees in the chosen window; waits for the first answers of the sources."""
    size = chosen_window()
    service = diagnosis_service()
    return View(_shown_in_run(size) or service.diagnosis(size), service.settings, sharing())


def refresh_seconds() -> float:
    """Return after how many seconds this viewer's page is drawn again.

    It differs a little between viewers: otherwise fifty who came at once would always ask at once.
    """
    own = random.uniform(1.0, 1.1)  # noqa: S311 - no secret
    return float(st.session_state.setdefault("seconds_between_runs", REFRESH_SECONDS * own))


def draw_page(body: Callable[[View], None]) -> None:
    """Draw a page's body, now and again whenever there may be something new."""

    @st.fragment(run_every=refresh_seconds())
    def live() -> None:
        if PROBLEM in st.session_state:
            st.rerun()  # it is shown above the page, outside of this fragment
        body(current_view())

    live()


def panel(view: View, title: str, *needs: Reading[Any]) -> bool:
    """Begin a titled panel that needs these readings; False if a grey card says why it cannot be drawn."""
    st.subheader(title, anchor=False)
    if (card := view.cannot_tell(*needs)) is not None:
        draw(card)
        return False
    for caveat in (caveat for reading in needs for caveat in reading.caveats):
        if caveat.kind is CaveatKind.MISSING_COLUMN:
            st.caption(plain(caveat.sentence))  # no row is left out, and the checks say what it breaks
        else:
            st.warning(plain(caveat.sentence), icon=":material/rule:")
    return True


@contextmanager
def expander(label: str, *, key: str, icon: str, expanded: bool = False, step: bool = False) -> Iterator[bool]:
    """Draw into a box that opens; yields whether it is open. The address keeps that.

    What is not drawn while it is closed is not sent. `step` makes the box a part of a connected timeline.
    """
    kind: Literal["step", "default"] = "step" if step else "default"
    box = st.expander(label, expanded, key=key, icon=icon, type=kind, on_change="rerun", bind="query-params")
    with box:
        yield bool(box.open)
