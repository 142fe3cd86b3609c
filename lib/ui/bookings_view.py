"""Bookings: by event, and what became of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from lib.affected import NO_EVENT
from lib.diagnosis.booking_state import reached
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Stage, stage_counts
from lib.ui import html_components as html
from lib.ui import labels, tables
from lib.ui.page_frame import View


def of_window(facts: Facts) -> pd.DataFrame | None:
    """Return the journeys of the window with the names of their events; None where the bookings are unread."""
    journeys = facts.journeys
    return None if journeys is None else with_event_names(journeys, facts.rows(facts.snapshot.events))


def with_event_names(journeys: pd.DataFrame, events: pd.DataFrame | None) -> pd.DataFrame:
    """Return `journeys`, newest first, with `event_name`, the event's name and date where known, and `reached`."""
    if events is None:
        names = pd.Series(NO_EVENT, index=journeys.index)
    else:
        known = events.drop_duplicates("id").set_index("id")
        titles = known["name"] + known["date"].map(lambda date: "" if pd.isna(date) else f", {date}")
        names = journeys["event_id"].map(titles).fillna(NO_EVENT)
    named = journeys.assign(event_name=names.astype("str"), reached=reached(journeys))
    return named.sort_values("created_at", ascending=False, kind="stable")


def per_event(named: pd.DataFrame) -> pd.DataFrame:
    """Return one row per event with how many of its bookings reached each stage; null: cannot be told."""
    rows = [
        {"event_name": name, **{stage.value: count for stage, count in stage_counts(group).items()}}
        for name, group in named.groupby("event_name", sort=False)
    ]
    columns = ["event_name", *(stage.value for stage in Stage)]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({stage.value: "Int64" for stage in Stage})


def booking_card(named: pd.DataFrame, booking_id: str, view: View) -> Markup:
    """Return what became of one booking, step by step. Masked as the table is."""
    found = named[named["id"] == booking_id]
    if found.empty:
        return html.nothing("This booking is not among those of the window: choose a longer one.")
    row = tables.prepared(found, tables.STORY, sharing=view.sharing).iloc[0]
    facts = present_facts(row, tables.STORY, view)
    return html.card(f"Booking {booking_id}", html.facts(facts), sign=labels.BOOKING.get(found.iloc[0]["reached"]))


def present_facts(row: pd.Series, table: tables.Table, view: View) -> list[tuple[str, str]]:
    """Return the label and the value of each column that has one, for the box beside a table."""
    return [
        (column.label, _value(row[column.name], view))
        for column in table.columns
        if not pd.isna(row[column.name]) and row[column.name] != ""
    ]


def _value(value: Any, view: View) -> str:
    if isinstance(value, datetime):
        # What lies ahead, as the end of a link does, has no age.
        return view.local_time(value) if value > view.now else view.time_and_age(value)
    if pd.api.types.is_bool(value):
        return "yes" if value else "no"
    return str(value)


def chosen_list(lists: Sequence[str], first: str) -> str:
    """Draw the switch between the lists of the page and return which is shown. The address keeps it."""
    asked = st.query_params.get("list")
    key = "list_of_bookings"
    st.session_state.setdefault(key, asked if asked in lists else first)
    chosen = st.segmented_control("List", lists, key=key, required=True, label_visibility="collapsed")
    if chosen is None:
        return first
    if chosen != first or asked:
        st.query_params["list"] = chosen
    return chosen
