"""Phone numbers: one form to join them by, one mask to show them by."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.model.phone import e164, masked, number


@pytest.mark.parametrize(
    "written",
    [
        "07700 900123",
        "+447700900123",
        "+44 (0)7700 900123",
        "0044 7700 900123",
        "07700-900-123",
        "(07700)900123",
        "whatsapp:+447700900123",
        "WhatsApp:+44 7700 900123",
        "\u202a+447700900123\u202c",  # copied out of a page that is read from right to left
        "+44\u200b7700900123",
        "07700\u2011900\u2013123",  # a hyphen that does not break, and a dash
        "\uff0b\uff14\uff147700900123",  # full width
        "07700\u00a0900123",
    ],
)
def test_one_number_has_one_form_however_it_is_written(written: str):
    assert e164(written) == "+447700900123"


@pytest.mark.parametrize("text", ["INFO2024", "LanternArms", "60001", "", "n/a", "+", "07700 900123 ext 4", "٠٧٧"])
def test_what_is_no_number_stays_as_it_is(text: str):
    assert e164(text) == text


@pytest.mark.parametrize(
    ("region", "written", "read"),
    [("IE", "085 012 3456", "+353850123456"), ("US", "(202) 555-0123", "+12025550123")],
)
def test_a_national_form_is_read_as_one_of_the_home_region(region: str, written: str, read: str):
    assert number(written, region) == read
    assert e164("+447700900123", region) == "+447700900123", "an international form stands for itself"


def test_a_number_abroad_keeps_its_country_and_no_number_is_none():
    assert e164("+353 85 012 3456") == "+353850123456"
    assert e164(None) is None


def test_a_mask_shows_the_last_three_digits_and_always_has_one_width():
    assert masked("+447700900123") == "+•• •••• ••123"
    assert (
        len({len(masked(number)) for number in ("+447700900123", "+1 555 012 3456", "0770", "+447700900123456")}) == 1
    )
    assert masked("+447700900123", show_last=0) == "+•• •••• •••••"
    assert masked(None) == "—"


@given(st.text(max_size=30), st.integers(0, 3))
def test_no_mask_shows_more_than_it_says(text: str, show_last: int):
    digits = [c for c in text if c.isdigit()]
    shown = [c for c in masked(text, show_last=show_last) if c.isdigit()]
    assert len(shown) <= show_last
    assert len(digits) > show_last + 3 or not shown, "of a short number they would be most of it"


@given(st.text(max_size=30) | st.from_regex(re.compile(r"[+\d\s().-]{1,20}"), fullmatch=True))
def test_the_form_is_stable_and_nothing_makes_it_fail(text: str):
    once = e164(text)
    assert once is not None and e164(once) == once
