"""The report of an incident as data: times, causes, actions, people, before and after.

It uses the journal alone and no source, so that a year later the report is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from lib.formatting import exact_duration
from lib.journal.entry import (
    PHASE_OF,
    AffectedRecord,
    Alert,
    CheckRecord,
    DiagnosisRecord,
    Entry,
    HypothesisRecord,
    Kind,
)
from lib.journal.incident_export import IncidentRecord
from lib.journal.request import Request, request_of
from lib.model.verdict import HeadlineState, Verdict
from lib.reports.titles import TITLES

# The event of an alert that began, and the monitor's rules whose alerts mean that customers are affected.
FIRED = "fired"
_NOTICES = ("flow", "account", "probe")
_NAMED = (Verdict.CONFIRMED, Verdict.LIKELY)
_WEIGHED = (*_NAMED, Verdict.POSSIBLE)


@dataclass(frozen=True, slots=True)
class DatedDiagnosis:
    """A diagnosis as the journal keeps it, and when it was recorded."""

    at: datetime
    record: DiagnosisRecord


@dataclass(frozen=True, slots=True)
class Measure:
    """How long something took, and from what to what. `length` None: unknown, because of what `lacks` says."""

    id: str
    title: str
    means: str
    length: timedelta | None
    lacks: str

    @property
    def message(self) -> str:
        return f"unknown: {self.lacks}" if self.length is None else exact_duration(self.length)


@dataclass(frozen=True, slots=True)
class WeighedHypothesis:
    """One hypothesis with the checks for and against it, as recorded with the diagnosis."""

    hypothesis: HypothesisRecord
    supports: tuple[CheckRecord, ...]
    refutes: tuple[CheckRecord, ...]

    @property
    def title(self) -> str:
        return self.hypothesis.title or self.hypothesis.id


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """The content of a document about an incident. `judged` is the diagnosis whose causes it gives."""

    source: IncidentRecord
    summary: tuple[str, ...]
    measures: tuple[Measure, ...]
    broke_at: datetime | None
    fixed_at: datetime | None
    judged: DatedDiagnosis | None
    causes: tuple[WeighedHypothesis, ...]
    actions: tuple[Request, ...]
    people: AffectedRecord | None
    before: DatedDiagnosis | None
    after: DatedDiagnosis | None

    def of_verdict(self, verdict: Verdict) -> tuple[WeighedHypothesis, ...]:
        return tuple(cause for cause in self.causes if cause.hypothesis.verdict is verdict)

    @property
    def weighed(self) -> tuple[WeighedHypothesis, ...]:
        """The causes that were at least possible, the surest first."""
        return tuple(cause for verdict in _WEIGHED for cause in self.of_verdict(verdict))


def report_of(source: IncidentRecord, now: datetime) -> IncidentReport:
    """Return the report of an incident as of `now`. Pure."""
    diagnoses = [
        DatedDiagnosis(entry.at, entry.payload)
        for entry in source.entries
        if isinstance(entry.payload, DiagnosisRecord)
    ]
    judged = _judged(diagnoses)
    broke_at, fixed_at = _broke_at(diagnoses), _fixed_at(diagnoses)
    people = next((dated.record.people for dated in reversed(diagnoses) if dated.record.people is not None), None)
    actions = tuple(_requests(source.entries, now))
    measures = _measures(source, diagnoses, broke_at, fixed_at)
    return IncidentReport(
        source=source,
        summary=tuple(_summary(source, judged, people, actions, fixed_at)),
        measures=measures,
        broke_at=broke_at,
        fixed_at=fixed_at,
        judged=judged,
        causes=_causes(judged.record) if judged else (),
        actions=actions,
        people=people,
        before=diagnoses[0] if diagnoses else None,
        after=diagnoses[-1] if len(diagnoses) > 1 else None,
    )


# Times.


def _broke_at(diagnoses: Sequence[DatedDiagnosis]) -> datetime | None:
    return min(filter(None, (dated.record.broke_at for dated in diagnoses)), default=None)


def _fixed_at(diagnoses: Sequence[DatedDiagnosis]) -> datetime | None:
    """When the flow was first recorded whole after it was last recorded broken; None: not yet, or never broken."""
    last = max((place for place, dated in enumerate(diagnoses) if dated.record.broken), default=None)
    if last is None:
        return None
    return next((dated.at for dated in diagnoses[last + 1 :] if dated.record.state is HeadlineState.FLOWING), None)


def _measures(
    source: IncidentRecord, diagnoses: Sequence[DatedDiagnosis], broke_at: datetime | None, fixed_at: datetime | None
) -> tuple[Measure, ...]:
    opened = source.incident.opened_at
    alerts_sent = ((entry.at, entry.payload) for entry in source.alerts if isinstance(entry.payload, Alert))
    noticed = min((*(at for at, alert in alerts_sent if alert.event == FIRED and alert.subject in _NOTICES), opened))
    diagnosed = next((dated.at for dated in diagnoses if dated.record.broken and _named(dated.record)), None)
    return (
        Measure(
            "detect",
            "Time to detect",
            "From when it broke, according to the diagnosis, until the first alert of the flow, an account or the "
            "synthetic booking, or the opening of the incident.",
            _between(broke_at, noticed),
            "no diagnosis said since when it was broken",
        ),
        Measure(
            "diagnose",
            "Time to diagnose",
            "From that notice until a recorded diagnosis first called a cause confirmed or likely.",
            _between(noticed, diagnosed),
            "no recorded diagnosis called a cause confirmed or likely",
        ),
        Measure(
            "fix",
            "Time to fix",
            "From that notice until a recorded diagnosis showed texts flowing, and none after it showed a break.",
            _between(noticed, fixed_at),
            "no recorded diagnosis shows texts flowing after the break",
        ),
        Measure(
            "outage",
            "Outage",
            "From when it broke until a recorded diagnosis showed texts flowing, and none after it showed a break.",
            _between(broke_at, fixed_at),
            "the journal does not say when it broke, or when texts flowed again",
        ),
    )


def _between(start: datetime | None, end: datetime | None) -> timedelta | None:
    return None if start is None or end is None else max(end - start, timedelta(0))


# The causes.


def _named(record: DiagnosisRecord) -> bool:
    return any(one.verdict in _NAMED for one in record.hypotheses)


def _judged(diagnoses: Sequence[DatedDiagnosis]) -> DatedDiagnosis | None:
    """Return the diagnosis that says most about the cause: the last one of a broken flow that named a cause.

    If none named a cause, the first one of a broken flow; if there is none, the first of all.
    """
    broken = [dated for dated in diagnoses if dated.record.broken]
    named = [dated for dated in broken if _named(dated.record)]
    return named[-1] if named else next(iter(broken or diagnoses), None)


def _causes(record: DiagnosisRecord) -> tuple[WeighedHypothesis, ...]:
    checks = {check.id: check for check in record.checks}
    return tuple(
        WeighedHypothesis(
            one,
            tuple(checks[name] for name in one.supports if name in checks),
            tuple(checks[name] for name in one.refutes if name in checks),
        )
        for one in record.hypotheses
    )


# What was done.


def _requests(entries: Iterable[Entry], now: datetime) -> Iterable[Request]:
    parts: dict[UUID, list[Entry]] = {}
    for entry in entries:
        if entry.about.request_id is not None and (entry.kind in PHASE_OF or entry.kind is Kind.PROGRESS):
            parts.setdefault(entry.about.request_id, []).append(entry)
    return (request_of(of_one, now) for of_one in parts.values() if of_one[0].kind is Kind.REQUEST)


def _summary(
    source: IncidentRecord,
    judged: DatedDiagnosis | None,
    people: AffectedRecord | None,
    actions: Sequence[Request],
    fixed_at: datetime | None,
) -> Iterable[str]:
    """Yield the incident in a few sentences, for a reader who stops there."""
    if judged is None:
        yield "No diagnosis was recorded in this incident, so the journal cannot say what was wrong."
    elif not judged.record.broken:
        yield f"The diagnosis said {judged.record.state.word}: {judged.record.sentence}"
    else:
        yield judged.record.sentence
        titles = [one.title or one.id for one in judged.record.hypotheses if one.verdict in _NAMED]
        yield f"Cause: {'; '.join(titles)}." if titles else "No cause was confirmed or likely."
    if people is not None:
        yield people.message
    done = [request for request in actions if request.started_at is not None]
    if done:
        names = ", ".join(dict.fromkeys(TITLES.action(request.action) for request in done))
        yield f"Actions run here: {len(done)} ({names})."
    else:
        yield "No action was run here."
    if judged is not None and judged.record.broken:
        yield "Texts were flowing again." if fixed_at else "Texts were not seen flowing again in this incident."
    if source.incident.open:
        yield "The incident is still open."
