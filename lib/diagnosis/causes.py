"""Causes with what follows from them: one cause on the screen, and its consequences and checks within it.

A hypothesis follows from another that stands before it in depth and can break every hop that it can break. A check is
explained where it speaks for a cause or for one of its consequences; what is not explained stays on the page by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lib.diagnosis.checks import recording, visibility
from lib.diagnosis.checks.deployment_failure_modes import FAILURE_MODE_PREFIX
from lib.diagnosis.code_findings import CodeFindings
from lib.diagnosis.contract import Code
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.diagnosis.hypothesis_api import HypothesisSpec
from lib.model.served_code import Problem
from lib.model.verdict import Check, CheckStatus, Hop, Hypothesis, Verdict

BAD = (CheckStatus.FAIL, CheckStatus.WARN)
OPEN = (Verdict.CONFIRMED, Verdict.LIKELY, Verdict.POSSIBLE)

_SPECS: Mapping[str, HypothesisSpec] = {spec.id: spec for spec in HYPOTHESES}
# It says what is seen. A cause that leads to it comes first, also where it is only likely.
_NAMES_NO_CAUSE = "sent_not_recorded"
_MISSING = (Problem.MISSING_TABLE, Problem.MISSING_COLUMN, Problem.MISSING_FUNCTION)


@dataclass(frozen=True, slots=True)
class Cause:
    """A possible cause, the hypotheses that follow from it, and the bad checks that all of them explain."""

    hypothesis: Hypothesis
    consequences: tuple[Hypothesis, ...]
    explains: tuple[Check, ...]


def causes(diagnosis: Diagnosis) -> tuple[Cause, ...]:
    """Return the causes that the evidence leaves open, the likeliest first; each hypothesis once."""
    rest = [one for one in diagnosis.hypotheses if one.verdict in OPEN]
    found = []
    while rest:
        first = rest[0]
        if first.id == _NAMES_NO_CAUSE:
            first = next((one for one in rest if _follows(rest[0], one)), first)
        rest.remove(first)
        followers = tuple(one for one in rest if _follows(one, first))
        rest = [one for one in rest if one not in followers]
        found.append(Cause(first, followers, tuple(_explained(diagnosis, (first, *followers)))))
    return tuple(found)


def _follows(one: Hypothesis, cause: Hypothesis) -> bool:
    """Whether `one` is what `cause` leads to. What is only possible is never called a consequence."""
    spec, before = _SPECS[one.id], _SPECS[cause.id]
    sure = (Verdict.CONFIRMED, Verdict.LIKELY)
    return (
        one.verdict in sure and cause.verdict in sure and before.depth < spec.depth and spec.explains <= before.explains
    )


def _explained(diagnosis: Diagnosis, hypotheses: tuple[Hypothesis, ...]) -> Iterator[Check]:
    ids = {check_id for one in hypotheses for check_id in one.supports}
    # The reasons why code is not live stand on Deployments, where they are a chain.
    of_code = any(Hop.CODE in _SPECS[one.id].explains for one in hypotheses)
    if any(one.id == "missing_column" and one.verdict is Verdict.CONFIRMED for one in hypotheses):
        ids |= _of_missing_columns(diagnosis)
    for check in diagnosis.checks:
        in_chain = of_code and check.id.startswith(FAILURE_MODE_PREFIX)
        if check.status in BAD and (check.id in ids or in_chain):
            yield check


def _of_missing_columns(diagnosis: Diagnosis) -> set[str]:
    """Return the checks that fail for no other reason than the columns that are missing."""
    code, facts = diagnosis.facts.code, diagnosis.facts
    found = {recording.schema_contract.id} if _only_missing(code) else set()
    gone = {(one.table, one.column) for one in code.on_flow if one.problem in _MISSING}
    own = [breach for breach in facts.breaches or () if breach.rule.code is Code.DESK]
    if own and all((breach.rule.table, breach.column) in gone for breach in own):
        found.add(visibility.own_queries_fit.id)
    return found


def _only_missing(code: CodeFindings) -> bool:
    return code.complete and all(one.problem in _MISSING for one in code.on_flow)


def unexplained(diagnosis: Diagnosis, found: tuple[Cause, ...]) -> tuple[Check, ...]:
    """Return the checks that are not fine and that no cause explains, failures first."""
    explained = {check.id for cause in found for check in cause.explains}
    return tuple(
        check for status in BAD for check in diagnosis.checks if check.status is status and check.id not in explained
    )
