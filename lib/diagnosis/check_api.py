"""How a check is made: a question, a function that answers it from the facts, and "cannot tell" for free."""

from __future__ import annotations

from collections.abc import Callable
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

    def check(self, facts: Facts) -> Check:
        """Answer from `facts`; a reading that is missing makes the answer "cannot tell", with the reason.

        Names, notes and messages in it were written by others, so all of it is redacted.
        """
        reading: Reading[object] = getattr(facts.snapshot, self.rests_on)
        try:
            finding = self.answer(facts)
        except CannotTellError as error:
            reading = error.reading
            finding = CheckResult(CheckStatus.CANNOT_TELL, str(error))
        return Check(
            id=self.id,
            hop=self.hop,
            question=self.question,
            status=finding.status,
            summary=redact(finding.summary),
            evidence=tuple(redact(line) for line in finding.evidence if line),
            would_change=self.would_change,
            source=reading.source,
            observed_at=reading.observed_at,
        )


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
