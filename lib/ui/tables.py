"""The tables: which columns of a frame a person sees, under which name, and in which form.

Frames that the diagnosis derives get their schema here, so that their columns are declared as well: what is
not declared is masked (`lib.ui.redact`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import pandas as pd
import pandera.pandas as pa
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from lib.model import frames
from lib.model.frames import Privacy
from lib.ui import words
from lib.ui.redact import for_glass


def _public(dtype: Any = None) -> pa.Column:
    return pa.Column(dtype, nullable=True, metadata={"privacy": Privacy.PUBLIC, "unit": ""})


def _derived(schema: pa.DataFrameSchema, *columns: str) -> pa.DataFrameSchema:
    return schema.add_columns({name: _public() for name in columns})


JOURNEYS = _derived(
    frames.PENDING_BOOKINGS,
    "text_sid", "text_status", "text_at", "text_error", "sending", "delivery", "recording", "opened", "text_after",
    "event_name",
)  # fmt: skip
OUTBOUND = _derived(frames.TEXTS, "delivery", "recording")
BY_STATUS = _derived(pa.DataFrameSchema(), "status", "error_code", "count", "last_at", "meaning", "action", "fault")
OVER_SENT = _derived(
    pa.DataFrameSchema({"to_number": frames.TEXTS.columns["to_number"]}), "in_an_hour", "in_a_day", "duplicates"
)
EVENT_FUNNEL = _derived(pa.DataFrameSchema(), "event_name", *(stage.value for stage in words.STAGE))
PHANTOMS = _derived(pa.DataFrameSchema(), "sid")
DEPLOYMENTS = _derived(
    pa.DataFrameSchema(
        {
            name: pa.Column(nullable=True, metadata={"privacy": Privacy.STRANGER_TEXT, "unit": ""})
            for name in ("message", "author", "branch")
        }
    ),
    "created_at", "state", "target", "sha", "minutes", "source", "live",
)  # fmt: skip


class Form(Enum):
    """How the values of a column are shown."""

    TEXT = auto()
    SENTENCE = auto()
    TIME = auto()
    COUNT = auto()
    DURATION = auto()  # a timedelta, in seconds
    MINUTES = auto()


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a table: where from, under which name, in which form; `words` replace enum values."""

    column: str
    label: str
    form: Form = Form.TEXT
    words: Mapping[str, str] = field(default_factory=dict)
    help: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The columns of a table, from frames of `schema`."""

    schema: pa.DataFrameSchema
    columns: Sequence[Shown]


PENDING = Table(
    JOURNEYS,
    (
        Shown("created_at", "Initiated", Form.TIME),
        Shown("event_name", "Event"),
        Shown("mobile_number", "Phone"),
        Shown("seats", "Seats", Form.COUNT),
        Shown("sending", "Text", words=words.SENDING),
        Shown("text_after", "After", Form.DURATION, help="How long the text took to reach Twilio."),
        Shown("delivery", "Delivery", words=words.DELIVERY),
        Shown("recording", "Record", words=words.RECORDING),
        Shown("metadata_state", "Stored SMS", words=words.METADATA, help="What pending_bookings.metadata holds."),
        Shown("opened", "Link opened"),
        Shown("confirmed_at", "Confirmed", Form.TIME),
        Shown("id", "Booking id"),
    ),
)
STORY = Table(
    JOURNEYS,
    (
        Shown("event_name", "Event"),
        Shown("mobile_number", "Phone"),
        Shown("seats", "Seats"),
        Shown("created_at", "Initiated"),
        Shown("sending", "Text", words=words.SENDING),
        Shown("text_at", "Text reached Twilio"),
        Shown("text_status", "Twilio's status"),
        Shown("text_error", "Twilio's error"),
        Shown("delivery", "Delivery", words=words.DELIVERY),
        Shown("recording", "Record", words=words.RECORDING),
        Shown("metadata_state", "Stored SMS", words=words.METADATA),
        Shown("opened", "Link opened"),
        Shown("expires_at", "Link ends"),
        Shown("confirmed_at", "Confirmed"),
        Shown("booking_id", "Booked as"),
        Shown("text_sid", "SID of the text"),
    ),
)
EVENTS = Table(
    EVENT_FUNNEL,
    (Shown("event_name", "Event"), *(Shown(s.value, label, Form.COUNT) for s, label in words.STAGE.items())),
)
STATUSES = Table(
    BY_STATUS,
    (
        Shown("status", "Status"),
        Shown("count", "Texts", Form.COUNT),
        Shown("error_code", "Error"),
        Shown("meaning", "In plain words", Form.SENTENCE),
        Shown("action", "What to do", Form.SENTENCE),
        Shown("fault", "On whose side"),
        Shown("last_at", "Last", Form.TIME),
    ),
)
TEXTS = Table(
    OUTBOUND,
    (
        Shown("created_at", "Created", Form.TIME),
        Shown("to_number", "To"),
        Shown("status", "Status"),
        Shown("delivery", "Delivery", words=words.DELIVERY),
        Shown("recording", "Record", words=words.RECORDING),
        Shown("error_code", "Error"),
        Shown("segments", "Segments", Form.COUNT),
        Shown("sid", "SID"),
    ),
)
TOO_MANY = Table(
    OVER_SENT,
    (
        Shown("to_number", "To"),
        Shown("in_an_hour", "Most in an hour", Form.COUNT),
        Shown("in_a_day", "Most in a day", Form.COUNT),
        Shown("duplicates", "Same text again", Form.COUNT),
    ),
)
ALERTS = Table(
    frames.ALERTS,
    (
        Shown("created_at", "When", Form.TIME),
        Shown("level", "Level"),
        Shown("error_code", "Error"),
        Shown("text", "What Twilio says", Form.SENTENCE),
        Shown("resource_sid", "About"),
    ),
)
DEPLOYED = Table(
    DEPLOYMENTS,
    (
        Shown("created_at", "Created", Form.TIME),
        Shown("state", "State"),
        Shown("live", "Serves now"),
        Shown("target", "Target"),
        Shown("sha", "Commit"),
        Shown("message", "Message", Form.SENTENCE),
        Shown("author", "Author"),
        Shown("branch", "Branch"),
        Shown("minutes", "Build", Form.MINUTES),
        Shown("source", "Made by"),
    ),
)
PHANTOM = Table(PHANTOMS, (Shown("sid", "SID"),))

# More rows than this are cut before they are sent, and the table says so.
MAX_ROWS = 2000


def prepared(frame: pd.DataFrame, table: Table, *, sharing: bool) -> pd.DataFrame:
    """Return what a browser may get of `frame`: the table's columns only, masked, with words for enum values."""
    present = [shown for shown in table.columns if shown.column in frame.columns]
    masked = for_glass(frame[[shown.column for shown in present]], table.schema, sharing=sharing)
    for shown in present:
        if shown.words and shown.column in masked.columns:
            masked[shown.column] = masked[shown.column].map(lambda value, known=shown.words: known.get(value, value))
        if shown.form is Form.DURATION and shown.column in masked.columns:
            masked[shown.column] = masked[shown.column].dt.total_seconds().round()
    return masked


def draw(frame: pd.DataFrame, table: Table, *, key: str, sharing: bool, zone: str, alt: str) -> None:
    """Draw `frame` as `table`, newest as given. Only what `prepared` returns leaves the server."""
    shown = prepared(frame.head(MAX_ROWS), table, sharing=sharing)
    st.dataframe(
        shown,
        key=key,
        hide_index=True,
        column_config={column.column: _config(column, zone) for column in table.columns},
        placeholder="—",
        alt=alt,
    )
    if len(frame) > MAX_ROWS:
        st.caption(f"The first {MAX_ROWS:,} of {len(frame):,} rows.")


def _config(shown: Shown, zone: str) -> ColumnConfig:
    match shown.form:
        case Form.TIME:
            return st.column_config.DatetimeColumn(
                shown.label, format="D MMM, HH:mm:ss", timezone=zone, help=shown.help
            )
        case Form.COUNT:
            return st.column_config.NumberColumn(shown.label, format="localized", help=shown.help)
        case Form.DURATION:
            return st.column_config.NumberColumn(shown.label, format="%d s", help=shown.help)
        case Form.MINUTES:
            return st.column_config.NumberColumn(shown.label, format="%.1f min", help=shown.help)
        case Form.SENTENCE:
            return st.column_config.Column(shown.label, width="medium", help=shown.help)
        case Form.TEXT:
            return st.column_config.Column(shown.label, help=shown.help)
