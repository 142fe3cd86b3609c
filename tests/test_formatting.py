"""How durations and text from outside are written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lib.formatting import ago, exact_duration, in_csv, in_markdown, json_text

RENDERER = MarkdownIt("gfm-like", {"linkify": False})


def test_an_exact_duration_has_the_two_largest_units() -> None:
    assert [exact_duration(timedelta(seconds=seconds)) for seconds in (-5, 59, 60, 125, 3600, 7500, 200_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 min 5 s",
        "1 h",
        "2 h 5 min",
        "2 days 7 h",
    ]


def test_what_is_still_to_come_is_not_called_past() -> None:
    now = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
    told = [ago(now + timedelta(seconds=seconds), now) for seconds in (-300, -8, 0, 4, 6, 600)]
    assert told == ["5 min ago", "8 s ago", "0 s ago", "0 s ago", "in 6 s", "in 10 min"]


@given(st.text(st.characters(codec="ascii"), max_size=60) | st.text(max_size=30))
def test_markdown_shows_any_text_as_it_stands(text: str) -> None:
    rendered = RENDERER.render(in_markdown(text)).strip()
    message = " ".join(text.replace("\x00", "\ufffd").split())
    assert unescape(rendered.replace("&quot;", '"')) == (f"<p>{message}</p>" if message else "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("x","y")'])
def test_a_cell_that_a_spreadsheet_would_run_is_marked_as_text(text: str) -> None:
    assert (in_csv(text), in_csv("plain = text")) == (f"'{text}", "plain = text")


def test_json_holds_instants_ids_and_money_as_text_and_refuses_what_it_has_no_form_for() -> None:
    at, key = datetime(2026, 3, 2, 14, 3, 21, tzinfo=UTC), UUID(int=1)
    document = json.loads(json_text({"at": at, "id": key, "total": Decimal("0.10")}))
    assert document == {"at": "2026-03-02T14:03:21+00:00", "id": str(key), "total": "0.10"}
    with pytest.raises(TypeError, match="object"):
        json_text({"x": object()})
