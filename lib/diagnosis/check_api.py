"""How a check is made: a function that answers one question from the facts, registered by being defined.

A check is a module-level function of `lib/diagnosis/checks/` under the decorator `check`. Its name is its id, and code
that needs its answer names the function itself: `answers[sending.texts_follow]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lib.diagnosis.facts import CannotTellError, Facts
from lib.model.reading import Reading
from lib.model.verdict import Check, CheckStatus, Hop
from lib.redaction import redact


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found. `evidence` are short facts, the most telling first, free of customers' data."""

    status: CheckStatus
    summary: str
    evidence: tuple[str, ...] = ()


CheckFunction = Callable[[Facts], CheckResult]


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check before it is answered. `rests_on` is the reading whose source and time the answer carries."""

    id: str
    hop: Hop
    question: str
    rests_on: str
    would_change: str
    answer: CheckFunction

    def __call__(self, facts: Facts) -> Check:
        """Answer from `facts`; a reading that is missing makes the answer "cannot tell", with the reason.

        Names, notes and messages in it were written by others, so all of it is redacted.
        """
        reading: Reading[object] = getattr(facts.snapshot, self.rests_on)
        try:
            result = self.answer(facts)
        except CannotTellError as error:
            reading = error.reading
            result = CheckResult(CheckStatus.CANNOT_TELL, str(error))
        return Check(
            id=self.id,
            hop=self.hop,
            question=self.question,
            status=result.status,
            summary=redact(result.summary),
            evidence=tuple(redact(line) for line in result.evidence if line),
            would_change=self.would_change,
            source=reading.source,
            observed_at=reading.observed_at,
        )


# The answers of one diagnosis, in the order of the flow.
Answers = Mapping[CheckSpec, Check]
# Only their statuses: what verdicts follow from.
Statuses = Mapping[CheckSpec, CheckStatus]


def check(hop: Hop, question: str, *, rests_on: str, would_change: str) -> Callable[[CheckFunction], CheckSpec]:
    """Make the decorated function a check. `would_change` says what would give another answer."""

    def spec(answer: CheckFunction) -> CheckSpec:
        return CheckSpec(answer.__name__, hop, question, rests_on, would_change, answer)

    return spec


def ok(summary: str, *evidence: str) -> CheckResult:
    return CheckResult(CheckStatus.OK, summary, evidence)


def warn(summary: str, *evidence: str) -> CheckResult:
    return CheckResult(CheckStatus.WARN, summary, evidence)


def fail(summary: str, *evidence: str) -> CheckResult:
    return CheckResult(CheckStatus.FAIL, summary, evidence)


def cannot_tell(summary: str, *evidence: str) -> CheckResult:
    return CheckResult(CheckStatus.CANNOT_TELL, summary, evidence)


def not_applicable(summary: str, *evidence: str) -> CheckResult:
    return CheckResult(CheckStatus.NOT_APPLICABLE, summary, evidence)
