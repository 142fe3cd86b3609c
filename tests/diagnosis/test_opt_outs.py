"""Opt-outs are counted as people, and few of them are nobody's fault."""

from __future__ import annotations

import pytest

from lib.diagnosis.checks.opt_outs import OPTED_OUT, opt_outs_usual
from lib.diagnosis.diagnose import diagnose
from lib.model import frames
from lib.model.verdict import CheckStatus, Verdict
from lib.snapshot import Snapshot
from tests.diagnosis.builders import NOW, ago, snapshot, table, text

REFUSED = {"status": "failed", "error_code": OPTED_OUT}


def texts_to(people: int, *, opted_out: int, attempts: int = 1) -> Snapshot:
    """Return a snapshot with one text to each of `people`; the first `opted_out` were refused `attempts` times."""
    rows = []
    for person in range(people):
        refused = person < opted_out
        for attempt in range(attempts if refused else 1):
            fields = REFUSED if refused else {}
            number = f"+44770090{person:04}"
            rows.append(text(1000 * attempt + person, ago(minutes=person + 30), to_number=number, **fields))
    return snapshot(texts=table(frames.TEXTS, rows))


@pytest.mark.parametrize(
    ("people", "opted_out", "attempts", "status"),
    [
        (10, 0, 1, CheckStatus.OK),
        (10, 1, 8, CheckStatus.OK),  # one person who keeps asking is one
        (100, 3, 1, CheckStatus.OK),
        (20, 5, 1, CheckStatus.WARN),
        (100, 10, 1, CheckStatus.WARN),
    ],
)
def test_people_count_and_not_attempts(people: int, opted_out: int, attempts: int, status: CheckStatus) -> None:
    diagnosis = diagnose(texts_to(people, opted_out=opted_out, attempts=attempts), NOW)
    assert diagnosis.check(opt_outs_usual).status is status


def test_a_rise_is_a_possible_cause_and_its_absence_rules_it_out() -> None:
    def verdict(opted_out: int) -> Verdict:
        diagnosis = diagnose(texts_to(20, opted_out=opted_out), NOW)
        return next(one.verdict for one in diagnosis.hypotheses if one.id == "opt_outs_rise")

    assert (verdict(5), verdict(0)) == (Verdict.POSSIBLE, Verdict.RULED_OUT)
