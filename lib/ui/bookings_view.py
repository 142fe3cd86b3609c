"""Bookings: by event, and what became of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
from markupsafe import Markup

from lib import formatting
from lib.affected import NO_EVENT
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Stage, stage_counts
from lib.ui import html_components as html
from lib.ui import tables
from lib.ui.page_frame import View


def of_window(facts: Facts) -> pd.DataFrame | None:
    """Return the journeys of the window with the names of their events; None where the bookings are unread."""
    journeys = facts.journeys
    return None if journeys is None else with_event_names(journeys, facts.rows(facts.snapshot.events))


def with_event_names(journeys: pd.DataFrame, events: pd.DataFrame | None) -> pd.DataFrame:
    """Return `journeys`, newest first, with `event_name`: the event's name and date where it is known."""
    if events is None:
        names = pd.Series(NO_EVENT, index=journeys.index)
    else:
        known = events.drop_duplicates("id").set_index("id")
        titles = known["name"] + known["date"].map(lambda date: "" if pd.isna(date) else f", {date}")
        names = journeys["event_id"].map(titles).fillna(NO_EVENT)
    return journeys.assign(event_name=names.astype("str")).sort_values("created_at", ascending=False, kind="stable")


def per_event(named: pd.DataFrame) -> pd.DataFrame:
    """Return one row per event with how many of its bookings reached each stage; null: cannot be told."""
    rows = [
        {"event_name": name, **{stage.value: count for stage, count in stage_counts(group).items()}}
        for name, group in named.groupby("event_name", sort=False)
    ]
    columns = ["event_name", *(stage.value for stage in Stage)]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({stage.value: "Int64" for stage in Stage})


def booking_labels(named: pd.DataFrame, view: View) -> dict[str, str]:
    """Return the label of each booking in a list, by id: when, for what, and the first characters of the id."""
    when = named["created_at"].dt.tz_convert(view.zone).dt.strftime("%d %b %H:%M")
    return {
        booking_id: f"{at} · {event} · {booking_id[:8]}"
        for booking_id, at, event in zip(named["id"], when, named["event_name"], strict=True)
    }


def booking_card(named: pd.DataFrame, booking_id: str, view: View) -> Markup:
    """Return what became of one booking, step by step. Masked as the table is."""
    found = named[named["id"] == booking_id]
    if found.empty:
        return html.nothing("This booking is not among those of the window: choose a longer one.")
    row = tables.prepared(found, tables.STORY, sharing=view.sharing).iloc[0]
    facts = ((column.label, _value(row[column.name], view)) for column in tables.STORY.columns)
    return html.card(f"Booking {booking_id}", html.facts(facts))


def _value(value: Any, view: View) -> str:
    if pd.isna(value):
        return formatting.UNKNOWN
    if isinstance(value, datetime):
        return view.time_and_age(value)
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return str(value)
