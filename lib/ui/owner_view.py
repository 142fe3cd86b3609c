"""What the owner reads: their sentences for this view, and who was affected in one line."""

from __future__ import annotations

import streamlit as st

from lib.diagnosis.tasks import tasks
from lib.model.task import Task
from lib.owner_summary import OwnerSummary, owner_summary
from lib.ui import affected_view
from lib.ui import html_components as html
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside
from lib.ui.page_frame import View
from lib.ui.styles import draw

_NOBODY = Sign("nobody waits", "✓", Tone.QUIET)


def tasks_of(view: View) -> tuple[Task, ...]:
    """Return what to do now, the most urgent first."""
    return view.diagnosis.cached("tasks", lambda: tasks(view.diagnosis, view.settings))


def owner_of(view: View) -> OwnerSummary:
    """Return the owner's sentences, with what the journal says was done for people since."""
    return owner_summary(view.diagnosis, tasks_of(view), affected_view.affected_in_window(view))


def draw_affected_line(view: View) -> None:
    """Draw who was affected in a line, with a link to the list; or that it cannot be told, and why."""
    found = affected_view.affected_or_reason(view)
    if found is None:
        return
    waiting = len(found.to_do)
    sign = html.NOTHING
    if found.people:
        sign = html.chip(Sign(f"{waiting:,} still to help", "!", Tone.WARN) if waiting else _NOBODY)
    draw(html.detail(html.text("{} {} {}", html.bold("Who was affected"), sign, outside(found.message))), narrow=True)
    if found.people:
        st.page_link("pages/bookings_page.py", label="Who they are", icon=":material/event_seat:")
