"""Each reported input is told right: the headline's state, no contradiction, and a flow in order flows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lib.diagnosis.diagnose import diagnose
from lib.model.verdict import HeadlineState
from tests.diagnosis.builders import NOW, ago, snapshot
from tests.diagnosis.invariants import contradictions
from tests.diagnosis.reported_cases import CASES, TEMPLATES, Case, bookings, message, read_texts


@pytest.mark.parametrize("case", CASES, ids=[f"{case.habit}: {case.name}" for case in CASES])
def test_a_reported_case_is_told_right(case: Case) -> None:
    diagnosis = case.diagnosis()
    assert list(contradictions(diagnosis)) == []
    headline = diagnosis.headline
    assert headline.state is case.state, headline.sentence
    assert case.says in headline.sentence
    assert not [said for said in case.says_not if said in headline.sentence]


def test_every_habit_has_its_cases() -> None:
    assert {case.habit for case in CASES} == set(range(1, 11))


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("template", TEMPLATES)
def test_two_hundred_bookings_in_perfect_order_flow_whatever_the_template_of_the_text(
    template: str, stored: bool
) -> None:
    times = [(n, ago(minutes=6 * n + 45)) for n in range(200, 0, -1)]
    texts = read_texts([message(n, at, template, timedelta(seconds=2)) for n, at in reversed(times)])
    diagnosis = diagnose(snapshot(texts=texts, **bookings(times, stored=stored)), NOW)
    assert diagnosis.headline.state is HeadlineState.FLOWING, diagnosis.headline.sentence
    assert list(contradictions(diagnosis)) == []
