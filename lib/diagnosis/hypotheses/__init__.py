"""The possible causes, one module each, registered by being there: `SPEC` is what it defines."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.hypothesis_api import HypothesisSpec
from lib.model.verdict import CheckStatus, Hypothesis, Verdict

_RANK = {
    Verdict.CONFIRMED: 0,
    Verdict.LIKELY: 1,
    Verdict.POSSIBLE: 2,
    Verdict.CANNOT_TELL: 3,
    Verdict.RULED_OUT: 4,
}


def _defined() -> Iterator[HypothesisSpec]:
    for found in iter_modules(__path__):
        yield import_module(f"{__name__}.{found.name}").SPEC


# In the order of depth: a cause stands before those that follow from it.
HYPOTHESES: tuple[HypothesisSpec, ...] = tuple(sorted(_defined(), key=lambda spec: spec.depth))


def weigh(answers: Answers) -> tuple[Hypothesis, ...]:
    """Judge every cause by `answers`; those that explain most of the broken flow come first."""
    statuses = {spec: check.status for spec, check in answers.items()}
    broken = {check.hop for check in answers.values() if check.status is CheckStatus.FAIL}
    verdicts = {spec.id: spec.judge(statuses) for spec in HYPOTHESES}
    ordered = sorted(HYPOTHESES, key=lambda spec: (_RANK[verdicts[spec.id]], -len(spec.explains & broken)))
    return tuple(_hypothesis(spec, verdicts[spec.id], answers) for spec in ordered)


def _hypothesis(spec: HypothesisSpec, verdict: Verdict, answers: Answers) -> Hypothesis:
    is_open = verdict not in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)
    bad, good = {CheckStatus.FAIL, CheckStatus.WARN}, {CheckStatus.OK}
    if verdict is Verdict.RULED_OUT:
        good.add(CheckStatus.NOT_APPLICABLE)
    elif spec.is_absence:
        bad.add(CheckStatus.NOT_APPLICABLE)

    def with_status(checks: tuple[CheckSpec, ...], statuses: set[CheckStatus]) -> tuple[CheckSpec, ...]:
        return tuple(check for check in checks if answers[check].status in statuses)

    supports = with_status(spec.checks + spec.signs, bad) + (with_status(spec.rest, good) if is_open else ())
    refutes = with_status(spec.checks, good) + with_status(spec.rest, {CheckStatus.FAIL})
    decisive = {
        Verdict.CONFIRMED: supports,
        Verdict.LIKELY: supports,
        Verdict.POSSIBLE: supports + refutes,
        Verdict.RULED_OUT: refutes,
        Verdict.CANNOT_TELL: with_status(spec.all_checks, {CheckStatus.CANNOT_TELL}) or spec.all_checks,
    }[verdict]
    return Hypothesis(
        id=spec.id,
        title=spec.title,
        verdict=verdict,
        for_owner=spec.for_owner,
        for_engineer=" ".join(dict.fromkeys(answers[check].summary for check in decisive)),
        remedy=spec.remedy,
        supports=tuple(check.id for check in supports),
        refutes=tuple(check.id for check in refutes),
    )
