"""The frames: every column has its type, unit and privacy, and a value that does not fit is no silent null."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.model import frames
from lib.model.frames import OddColumn, Privacy, frame, privacy_of, readable
from lib.model.reading import FailureKind, SourceError
from tests.sources.failures import failure_of

NAMES = [schema.name for schema in frames.SCHEMAS]
BOOKED = {"id": "1", "created_at": "2026-11-22T10:00:00+00:00"}


@pytest.mark.parametrize("schema", frames.SCHEMAS, ids=NAMES)
def test_no_rows_make_an_empty_frame_of_the_declared_types(schema: pa.DataFrameSchema):
    empty = frame(schema, [])
    assert list(empty.columns) == list(schema.columns)
    times = [name for name, column in schema.columns.items() if str(column.dtype) == str(frames.TIME)]
    assert all(isinstance(empty[name].dtype, pd.DatetimeTZDtype) for name in times)
    assert str(empty.dtypes.iloc[0]) == str(frame(schema, []).dtypes.iloc[0])


@pytest.mark.parametrize("schema", frames.SCHEMAS, ids=NAMES)
def test_every_column_says_what_it_is_and_who_may_see_it(schema: pa.DataFrameSchema):
    for name, column in schema.columns.items():
        assert column.description
        assert privacy_of(schema, name) in Privacy


@pytest.mark.parametrize("schema", frames.SCHEMAS, ids=NAMES)
def test_numbers_tokens_and_outside_text_are_not_public(schema: pa.DataFrameSchema):
    private = ("number", "token", "link_url", "link_code", "short_code", "error_message", "message")
    public = [name for name in schema.columns if privacy_of(schema, name) is Privacy.PUBLIC]
    assert not [name for name in public if name in private or name.endswith("_number")]


def test_a_column_nobody_declared_has_no_privacy_and_is_dropped():
    assert privacy_of(frames.MESSAGES, "body") is None
    assert "body" not in frame(frames.MESSAGES, [BOOKED | {"body": "planted"}]).columns


def test_absent_values_are_null_and_not_nothing():
    row = frame(frames.PENDING_BOOKINGS, [BOOKED | {"metadata_state": "null"}]).iloc[0]
    assert pd.isna(row["seats"]) and pd.isna(row["customer_id"]) and pd.isna(row["expires_at"])


def test_instants_in_all_of_postgres_spellings_are_the_same_utc():
    spellings = [
        "2026-06-22T10:00:00+00:00",
        "2026-06-22T10:00:00.000000+00:00",
        "2026-06-22T11:00:00+01:00",
        "2026-06-22 10:00:00+00",
        "2026-06-22T10:00:00.000Z",
        "2026-06-22T10:00:00.0+00:00",
    ]
    made = frame(frames.DEMAND, [{"id": str(n), "created_at": at} for n, at in enumerate(spellings)])
    assert set(made["created_at"]) == {pd.Timestamp("2026-06-22T10:00:00Z")}


def test_microseconds_survive():
    made = frame(frames.DEMAND, [BOOKED | {"created_at": "2026-06-22T10:00:00.123457+00:00"}])
    assert made["created_at"].iloc[0].microsecond == 123457


@pytest.mark.parametrize(
    ("column", "value"), [("created_at", "soon"), ("created_at", None), ("id", None), ("seats", "many"), ("seats", 2.5)]
)
def test_a_value_that_does_not_fit_is_bad_data_that_names_the_column_and_not_the_value(column: str, value: Any):
    caught = failure_of(lambda: frame(frames.BOOKINGS, [BOOKED, BOOKED | {column: value}]))
    assert caught.kind is FailureKind.BAD_DATA
    assert column in caught.failure.sentence and "bookings" in caught.failure.sentence
    assert value is None or str(value) not in caught.failure.sentence


@pytest.mark.parametrize(
    ("column", "value"), [("seats", "many"), ("seats", 2.5), ("event_id", "\ud800"), ("seats", [1])]
)
def test_a_value_that_does_not_fit_costs_its_cell_only(column: str, value: Any):
    made, odd = readable(frames.BOOKINGS, [BOOKED, BOOKED | {column: value, "customer_id": "7"}])
    assert len(made) == 2 and made["customer_id"].iloc[1] == "7"
    assert pd.isna(made[column].iloc[1])
    assert odd == (OddColumn(column, cells=1, rows=0),)


@pytest.mark.parametrize("time", [None, "infinity", "-infinity", "soon"])
def test_a_row_without_an_instant_is_left_out_and_the_others_stay(time: Any):
    made, odd = readable(frames.BOOKINGS, [BOOKED, BOOKED | {"id": "2", "created_at": time}])
    assert list(made["id"]) == ["1"]
    assert [(column.name, column.rows) for column in odd] == [("created_at", 1)]


def test_a_table_in_which_no_row_can_be_read_is_still_bad_data():
    caught = failure_of(lambda: readable(frames.BOOKINGS, [BOOKED | {"id": None}, BOOKED | {"created_at": "soon"}]))
    assert caught.kind is FailureKind.BAD_DATA


def test_text_that_is_no_unicode_is_bad_data_and_no_crash():
    assert failure_of(lambda: frame(frames.BOOKINGS, [BOOKED | {"event_id": "\ud800"}])).kind is FailureKind.BAD_DATA


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", "infinity", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00Z", 10**400, "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning", "ignore::RuntimeWarning")  # of junk as times
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_rows_raise_anything_but_a_source_error(data: st.DataObject):
    schema = data.draw(st.sampled_from(frames.SCHEMAS))
    row = st.dictionaries(st.sampled_from([*schema.columns]), JUNK)
    rows = data.draw(st.lists(row, max_size=3))
    try:
        made = frame(schema, rows)
    except SourceError as error:
        assert error.kind is FailureKind.BAD_DATA
    else:
        assert len(made) == len(rows)
    try:
        kept, odd = readable(schema, rows)
    except SourceError as error:
        assert error.kind is FailureKind.BAD_DATA
    else:
        assert len(kept) + sum(column.rows for column in odd) == len(rows)
