"""The record of a diagnosis in the journal: enough to report and draw it later without the sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from lib.affected import NO_FOLLOW_UPS, FollowUpRecord, TimeRange, affected_record, follow_ups_of, time_range_of
from lib.diagnosis import json_report
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.timeline import COUNTED, READ, Series
from lib.journal.entry import BucketsRecord, CheckRecord, DiagnosisRecord, Entry, HypothesisRecord, Kind, SeriesRecord
from lib.journal.journal import Journal
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState

# The lines of the timeline by their names in the journal.
LINES: Mapping[str, Series] = {series.name.lower(): series for series in Series}
_SPEAKS_FOR_ITSELF = (CheckStatus.OK, CheckStatus.NOT_APPLICABLE)


def diagnosis_record(
    diagnosis: Diagnosis, record: FollowUpRecord = NO_FOLLOW_UPS, time_range: TimeRange | None = None
) -> DiagnosisRecord:
    """Return the record of a diagnosis: verdicts with their evidence, counts per bucket, and the people affected.

    `record` holds the follow-ups of the people affected, `time_range` is the time over which they count.
    """
    head = diagnosis.headline
    cited = {name for one in diagnosis.hypotheses for name in (*one.supports, *one.refutes)}
    return DiagnosisRecord(
        state=head.state,
        sentence=head.sentence,
        since=head.since,
        checks=tuple(
            CheckRecord(
                check.id,
                check.status,
                check.summary if check.id in cited or check.status not in _SPEAKS_FOR_ITSELF else "",
            )
            for check in diagnosis.checks
        ),
        hypotheses=tuple(
            HypothesisRecord(one.id, one.verdict, one.title, one.supports, one.refutes) for one in diagnosis.hypotheses
        ),
        buckets=_buckets(diagnosis),
        people=affected_record(diagnosis.facts, record, time_range),
    )


def _buckets(diagnosis: Diagnosis) -> BucketsRecord:
    """Return the lines that the screen draws: of the rows that were read, or of the database's counts."""
    window, lines = diagnosis.facts.snapshot.window, diagnosis.facts.timeline
    drawn = COUNTED if Series.RECORDED in lines else READ
    counts = {series.name.lower(): lines.get(series) for series in drawn}
    return BucketsRecord(
        begins=window.start,
        seconds=int(window.size.bucket.total_seconds()),
        lines=tuple(
            SeriesRecord(name, None if line is None else tuple(int(count) for count in line))
            for name, line in counts.items()
        ),
    )


def keep_diagnosis(journal: Journal, diagnosis: Diagnosis, actor: Actor, incident_id: UUID) -> Entry:
    """Record the diagnosis in an incident, with the people affected so far. Raises `JournalError`."""
    incident = journal.incident(incident_id)
    entries = journal.entries(incident_id=incident_id, kinds=[Kind.DIAGNOSIS])
    earlier = [entry.payload for entry in entries if isinstance(entry.payload, DiagnosisRecord)]
    time_range = time_range_of(incident, [*earlier, diagnosis_record(diagnosis)], diagnosis.facts.now)
    return journal.append(
        diagnosis_record(diagnosis, follow_ups_of(journal, time_range.since), time_range), actor, incident_id
    )


def keep_if_changed(journal: Journal, diagnosis: Diagnosis, actor: Actor, incident_id: UUID) -> Entry | None:
    """Record the diagnosis if its headline has another state than the last one recorded in the incident.

    So the document of an incident says when it broke and when texts flowed again, without anybody pressing a button.
    Returns None, and writes nothing, where the state is the same. Raises `JournalError`.
    """
    if last_state(journal, incident_id) is diagnosis.headline.state:
        return None
    return keep_diagnosis(journal, diagnosis, actor, incident_id)


def last_state(journal: Journal, incident_id: UUID) -> HeadlineState | None:
    """Return the state of the headline last recorded in the incident; None if none was."""
    newest = journal.entries(incident_id=incident_id, kinds=[Kind.DIAGNOSIS], limit=1, newest=True)
    return next((entry.payload.state for entry in newest if isinstance(entry.payload, DiagnosisRecord)), None)


def record_changes(before: DiagnosisRecord, after: DiagnosisRecord) -> list[dict[str, Any]]:
    """Return what differs in `after`, each as `{"kind", "id", "before", "after"}`, the headline first."""
    return json_report.changes(_document(before), _document(after))


def _document(record: DiagnosisRecord) -> dict[str, Any]:
    """Return `record` in the form of a diagnosis as JSON, as far as the journal keeps it."""
    return {
        "headline": {"state": record.state.value},
        "checks": [{"id": check.id, "status": check.status.value} for check in record.checks],
        "hypotheses": [{"id": one.id, "verdict": one.verdict.value} for one in record.hypotheses],
    }
