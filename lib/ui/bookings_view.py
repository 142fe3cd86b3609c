"""What the Bookings page shows: bookings by event, and the story of one."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from markupsafe import Markup

from lib import formatting
from lib.affected import NO_EVENT
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Stage, stage_counts
from lib.ui import html_components, tables


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


def titles(named: pd.DataFrame, zone: ZoneInfo) -> dict[str, str]:
    """Return by id how bookings are called in a list, in its order: when, for what, and the head of the id."""
    when = named["created_at"].dt.tz_convert(zone).dt.strftime("%d %b %H:%M")
    return {
        booking_id: f"{at} · {event} · {booking_id[:8]}"
        for booking_id, at, event in zip(named["id"], when, named["event_name"], strict=True)
    }


def not_here(booking_id: str) -> str:
    """Return how a booking is called that the window does not have."""
    return f"{booking_id[:8]} (not in this window)"


def story(named: pd.DataFrame, booking_id: str, zone: ZoneInfo, now: datetime, *, sharing: bool) -> Markup:
    """Return what became of one booking, step by step. Masked as the table is."""
    found = named[named["id"] == booking_id]
    if found.empty:
        return html_components.nothing("This booking is not among those of the window: choose a longer one.")
    row = tables.prepared(found, tables.STORY, sharing=sharing).iloc[0]
    return html_components.card(
        f"Booking {booking_id}",
        html_components.facts((shown.label, _message(row[shown.column], zone, now)) for shown in tables.STORY.columns),
    )


def _message(value: Any, zone: ZoneInfo, now: datetime) -> str:
    if pd.isna(value):
        return formatting.UNKNOWN
    if isinstance(value, datetime):
        return formatting.time_and_age(value, zone, now)
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return str(value)
