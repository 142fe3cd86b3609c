"""What comes from outside is read without surprises."""

from __future__ import annotations

import pytest

from lib.sources import parse


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), float("nan"), float("inf"), "9" * 5000, True, None, [], {}, 2.5]
)
def test_what_is_no_sensible_whole_number_is_none(value: object) -> None:
    assert parse.integer(value) is None


@pytest.mark.parametrize(("value", "number"), [(2, 2), (2.0, 2), ("2", 2), (0, 0), (-3, -3)])
def test_a_whole_number_is_read_in_each_form_it_is_sent_in(value: object, number: int) -> None:
    assert parse.integer(value) == number
