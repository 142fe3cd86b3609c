"""The tables: which columns of a frame a person sees, under which name, and in which form.

Frames that the diagnosis derives get their schema here, so that their columns are declared as well: what is
not declared is masked (`lib.ui.masking`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Literal

import pandas as pd
import pandera.pandas as pa
import streamlit as st

from lib.model import frames
from lib.model.frames import Privacy
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.labels import Sign, Tone
from lib.ui.masking import for_browser
from lib.ui.page_frame import View
from lib.ui.styles import draw


def _column(privacy: Privacy) -> pa.Column:
    return pa.Column(nullable=True, metadata={"privacy": privacy, "unit": ""})


def _derived(schema: pa.DataFrameSchema, *public: str) -> pa.DataFrameSchema:
    return schema.add_columns({name: _column(Privacy.PUBLIC) for name in public})


JOURNEYS = _derived(
    frames.PENDING_BOOKINGS,
    "text_sid",
    "text_status",
    "text_at",
    "text_error",
    "sending",
    "delivery",
    "recording",
    "opened",
    "text_after",
    "event_name",
    "reached",
)
BY_STATUS = _derived(pa.DataFrameSchema(), "status", "error_code", "count", "last_at", "meaning", "action", "fault")
OVER_SENT = _derived(
    pa.DataFrameSchema({"to_number": frames.TEXTS.columns["to_number"]}), "in_an_hour", "in_a_day", "duplicates"
)
EVENT_FUNNEL = _derived(pa.DataFrameSchema(), "event_name", *(stage.value for stage in labels.STAGE))
DEPLOYMENTS = _derived(
    pa.DataFrameSchema({name: _column(Privacy.STRANGER_TEXT) for name in ("message", "author", "branch", "failure")}),
    "badges",
    "created_at",
    "sha",
    "took",
)
CODE_MISFITS = _derived(
    pa.DataFrameSchema({name: _column(Privacy.STRANGER_TEXT) for name in ("place", "where", "asks", "detail")}),
    "answer",
    "error",
)
REPOSITORY_MIGRATIONS = _derived(
    pa.DataFrameSchema({name: _column(Privacy.STRANGER_TEXT) for name in ("name", "detail")}),
    "state",
    "version",
    "cures",
)


class ColumnFormat(Enum):
    """How the values of a column are shown."""

    TEXT = auto()
    SENTENCE = auto()
    LONG_SENTENCE = auto()
    TIME = auto()
    COUNT = auto()
    BADGE = auto()  # one of the column's words, as a coloured tag
    DURATION = auto()  # a timedelta, in seconds
    MINUTES = auto()


@dataclass(frozen=True, slots=True)
class TableColumn:
    """One column of a table: its name in the frame, its label, its form, and words that stand for enum values."""

    name: str
    label: str
    form: ColumnFormat = ColumnFormat.TEXT
    words: Mapping[str, str] = field(default_factory=dict)
    help: str | None = None
    signs: Mapping[str, Sign] = field(default_factory=dict)  # of a BADGE: how each value is shown


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a table, from frames of `schema`."""

    schema: pa.DataFrameSchema
    columns: Sequence[TableColumn]


def _table(schema: pa.DataFrameSchema, *columns: TableColumn) -> Table:
    return Table(schema, columns)


# On a phone the first columns are all that is seen, so the one that decides comes first.
PENDING = _table(
    JOURNEYS,
    TableColumn("reached", "State", ColumnFormat.BADGE, signs=labels.BOOKING),
    TableColumn("created_at", "Asked", ColumnFormat.TIME),
    TableColumn("mobile_number", "Phone"),
    TableColumn("event_name", "Event"),
    TableColumn("seats", "Seats", ColumnFormat.COUNT),
    TableColumn("text_after", "Text after", ColumnFormat.DURATION, help="How long the text took to reach Twilio."),
    TableColumn("recording", "In the database", words=labels.RECORDING),
    TableColumn("metadata_state", "Stored with it", words=labels.METADATA, help="In pending_bookings.metadata."),
    TableColumn("opened", "Link opened"),
    TableColumn("confirmed_at", "Confirmed", ColumnFormat.TIME),
    TableColumn("id", "Booking id"),
)
STORY = _table(
    JOURNEYS,
    TableColumn("event_name", "Event"),
    TableColumn("mobile_number", "Phone"),
    TableColumn("seats", "Seats"),
    TableColumn("created_at", "Asked"),
    TableColumn("sending", "Text", words=labels.SENDING),
    TableColumn("text_at", "Text reached Twilio"),
    TableColumn("text_status", "Twilio's status"),
    TableColumn("text_error", "Twilio's error"),
    TableColumn("delivery", "Delivery", words=labels.DELIVERY),
    TableColumn("recording", "In the database", words=labels.RECORDING),
    TableColumn("metadata_state", "Stored with the booking", words=labels.METADATA),
    TableColumn("opened", "Link opened"),
    TableColumn("expires_at", "Link ends"),
    TableColumn("confirmed_at", "Confirmed"),
    TableColumn("booking_id", "Booked as"),
    TableColumn("text_sid", "SID of the text"),
)
EVENTS = _table(
    EVENT_FUNNEL,
    TableColumn("event_name", "Event"),
    *(TableColumn(s.value, label, ColumnFormat.COUNT) for s, label in labels.STAGE.items()),
)
STATUSES = _table(
    BY_STATUS,
    TableColumn("status", "Status"),
    TableColumn("count", "Texts", ColumnFormat.COUNT),
    TableColumn("error_code", "Error"),
    TableColumn("meaning", "In plain words", ColumnFormat.SENTENCE),
    TableColumn("action", "What to do", ColumnFormat.SENTENCE),
    TableColumn("fault", "On whose side"),
    TableColumn("last_at", "Last", ColumnFormat.TIME),
)
# People and texts: what is clicked, and what the box beside the table says.
TEXT_LOG = _derived(
    frames.TEXTS, "fate", "error", "recording", "booking_id", "event_id", "event_name", "meaning", "action", "fault"
)
TEXTS = _table(
    TEXT_LOG,
    TableColumn("fate", "State", ColumnFormat.BADGE, signs=labels.FATE),
    TableColumn("recording", "In the database", ColumnFormat.BADGE, signs=labels.RECORDED),
    TableColumn("to_number", "To"),
    TableColumn("created_at", "When", ColumnFormat.TIME),
    TableColumn("error", "What went wrong", ColumnFormat.LONG_SENTENCE),
)
TEXT_STORY = _table(
    TEXT_LOG,
    TableColumn("to_number", "To"),
    TableColumn("created_at", "When"),
    TableColumn("event_name", "Event"),
    TableColumn("status", "Twilio's status"),
    TableColumn("error", "What went wrong"),
    TableColumn("action", "What to do"),
    TableColumn("fault", "On whose side"),
    TableColumn("recording", "In the database", words=labels.RECORDING),
    TableColumn("segments", "Segments"),
    TableColumn("sid", "SID"),
)
CONTACTS = _derived(
    pa.DataFrameSchema(
        {"number": _column(Privacy.PHONE), "event": _column(Privacy.STRANGER_TEXT), "why": _column(Privacy.PUBLIC)}
    ),
    "state",
    "asked_at",
    "seats",
)
PEOPLE = _table(
    CONTACTS,
    TableColumn("state", "State", ColumnFormat.BADGE, signs=labels.PERSON),
    TableColumn("number", "Phone"),
    TableColumn("event", "Event"),
    TableColumn("asked_at", "Asked", ColumnFormat.TIME),
    TableColumn("seats", "Seats", ColumnFormat.COUNT),
    TableColumn("why", "Why they have no link", ColumnFormat.SENTENCE),
)
TOO_MANY = _table(
    OVER_SENT,
    TableColumn("to_number", "To"),
    TableColumn("in_an_hour", "Most in an hour", ColumnFormat.COUNT),
    TableColumn("in_a_day", "Most in a day", ColumnFormat.COUNT),
    TableColumn("duplicates", "Same text again", ColumnFormat.COUNT),
)
ALERTS = _table(
    frames.ALERTS,
    TableColumn("error_code", "Error"),
    TableColumn("created_at", "When", ColumnFormat.TIME),
    TableColumn("level", "Level"),
    TableColumn("text", "What Twilio says", ColumnFormat.LONG_SENTENCE),
    TableColumn("resource_sid", "About"),
)
DEPLOYMENT_LIST = _table(
    DEPLOYMENTS,
    TableColumn("badges", "State"),
    TableColumn("message", "Message", ColumnFormat.SENTENCE),
    TableColumn("sha", "Commit"),
    TableColumn("created_at", "Age", ColumnFormat.TIME),
    TableColumn("author", "Author"),
    TableColumn("branch", "Branch"),
    TableColumn("took", "Build took"),
    TableColumn("failure", "Why it failed", ColumnFormat.SENTENCE),
)
MISFITS = _table(
    CODE_MISFITS,
    TableColumn("place", "Line"),
    TableColumn("asks", "Asks for", ColumnFormat.SENTENCE),
    TableColumn("answer", "The database answers"),
    TableColumn("error", "Its error"),
    TableColumn("where", "In"),
    TableColumn("detail", "In words", ColumnFormat.SENTENCE),
)
MIGRATIONS = _table(
    REPOSITORY_MIGRATIONS,
    TableColumn("state", "State"),
    TableColumn("version", "Version"),
    TableColumn("name", "Name"),
    TableColumn(
        "cures", "Would fix", ColumnFormat.COUNT, help="Lines of the code that do not match the database without it."
    ),
    TableColumn("detail", "In words", ColumnFormat.SENTENCE),
)
UNKNOWN_TO_TWILIO = _table(_derived(pa.DataFrameSchema(), "sid"), TableColumn("sid", "SID"))

# More rows than this are cut before they are sent, and the table says so.
MAX_ROWS = 2000


def prepared(frame: pd.DataFrame, table: Table, *, sharing: bool) -> pd.DataFrame:
    """Return what a browser may get of `frame`: the table's columns only, masked, with words for enum values."""
    present = [column for column in table.columns if column.name in frame.columns]
    masked = for_browser(frame[[column.name for column in present]], table.schema, sharing=sharing)
    for column in present:
        if column.form is ColumnFormat.BADGE and column.name in masked.columns:
            words = {value: badge(sign) for value, sign in column.signs.items()}
            masked[column.name] = [[words[value]] if value in words else [] for value in masked[column.name]]
        if column.words and column.name in masked.columns:
            masked[column.name] = masked[column.name].map(lambda value, words=column.words: words.get(value, value))
        if column.form is ColumnFormat.DURATION and column.name in masked.columns:
            masked[column.name] = masked[column.name].dt.total_seconds().round()
    return masked


def badge(sign: Sign) -> str:
    """Return the text of a coloured tag: a glyph and a word, so that its colour never stands alone."""
    return f"{sign.glyph} {sign.word}"


def draw_table(view: View, frame: pd.DataFrame, table: Table, *, key: str, alt: str, empty: str = "") -> None:
    """Draw `frame` as `table`, in its order; without rows the sentence `empty`, if one is given.

    Only what `prepared` returns leaves the server.
    """
    if empty and frame.empty:
        draw(html.nothing(empty))
        return
    st.dataframe(
        prepared(frame.head(MAX_ROWS), table, sharing=view.sharing),
        key=key,
        hide_index=True,
        column_config={column.name: _config(column, view.settings.time_zone) for column in table.columns},
        placeholder="—",
        alt=alt,
    )
    if len(frame) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS:,} of {len(frame):,} rows.")


def draw_choice(
    view: View,
    frame: pd.DataFrame,
    table: Table,
    *,
    key: str,
    alt: str,
    ids: Sequence[str],
    chosen: str | None,
    on_choose: Callable[[str | None], None],
) -> None:
    """Draw `frame` as `table` with rows that can be clicked; `on_choose` gets the id of the row, or None.

    `ids` names the rows. What is chosen is kept by its id: while the page is open rows are added above it.
    """
    shown = list(ids[:MAX_ROWS])
    rows = [shown.index(chosen)] if chosen in shown else []
    st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}

    def choose() -> None:
        selection = st.session_state[key]["selection"]
        # A clicked cell says more than the row that was marked before; without either the row was given up.
        clicked = [row for row, _ in selection["cells"]] or selection["rows"]
        on_choose(shown[clicked[0]] if clicked and clicked[0] < len(shown) else None)

    st.dataframe(
        prepared(frame.head(MAX_ROWS), table, sharing=view.sharing),
        key=key,
        hide_index=True,
        column_config={column.name: _config(column, view.settings.time_zone) for column in table.columns},
        placeholder="—",
        alt=alt,
        on_select=choose,
        # Without cells, only a click on the box at the left end of a row would count.
        selection_mode=["single-row", "single-cell"],
    )
    if len(frame) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS:,} of {len(frame):,} rows.")


def _config(column: TableColumn, zone: str) -> Any:
    """Return the configuration of a column. Its type has no public name in Streamlit."""
    match column.form:
        case ColumnFormat.TIME:
            form = "D MMM, HH:mm:ss"
            return st.column_config.DatetimeColumn(column.label, format=form, timezone=zone, help=column.help)
        case ColumnFormat.BADGE:
            options = [badge(sign) for sign in column.signs.values()]
            colours = [_COLOURS[sign.tone] for sign in column.signs.values()]
            return st.column_config.MultiselectColumn(column.label, options=options, color=colours, help=column.help)
        case ColumnFormat.TEXT:
            return st.column_config.Column(column.label, help=column.help)
        case ColumnFormat.SENTENCE | ColumnFormat.LONG_SENTENCE:
            width: Literal["medium", "large"] = "medium" if column.form is ColumnFormat.SENTENCE else "large"
            return st.column_config.Column(column.label, width=width, help=column.help)
        case _:
            return st.column_config.NumberColumn(column.label, format=_NUMBERS[column.form], help=column.help)


_COLOURS: Mapping[Tone, Literal["green", "orange", "red", "gray", "blue"]] = {
    Tone.GOOD: "green",
    Tone.WARN: "orange",
    Tone.BAD: "red",
    Tone.UNKNOWN: "gray",
    Tone.QUIET: "blue",
}
_NUMBERS = {ColumnFormat.COUNT: "localized", ColumnFormat.DURATION: "%d s", ColumnFormat.MINUTES: "%.1f min"}
