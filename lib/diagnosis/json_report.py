"""The diagnosis as plain data, the same for the command line, the status door and files. Keys are stable."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from lib.diagnosis.diagnose import Diagnosis
from lib.model.reading import SourceName, source_health
from lib.model.verdict import Hypothesis, Verdict
from lib.served_code import code_report
from lib.snapshot import Snapshot

Json = dict[str, Any]


def as_json(diagnosis: Diagnosis) -> Json:
    """Return the diagnosis for machines: instants in ISO 8601 UTC, states in lower_snake_case."""
    facts = diagnosis.facts
    return {
        "headline": headline(diagnosis),
        "measured_at": _iso(facts.now),
        "window_hours": facts.snapshot.window.hours,
        "checks": [
            {
                "id": check.id,
                "hop": check.hop.value,
                "status": check.status.value,
                "summary": check.summary,
                "evidence": list(check.evidence),
                "source": check.source.value if check.source else None,
                "observed_at": _iso(check.observed_at),
            }
            for check in diagnosis.checks
        ],
        "hypotheses": [
            {
                "id": hypothesis.id,
                "verdict": hypothesis.verdict.value,
                "summary": _summary(hypothesis),
                "supports": list(hypothesis.supports),
                "refutes": list(hypothesis.refutes),
                "remedy": {"action": hypothesis.remedy.action, "words": hypothesis.remedy.message},
            }
            for hypothesis in diagnosis.hypotheses
        ],
        "sources": [_source(facts.snapshot, source, facts.now) for source in SourceName],
        "code": code_report.report((one.code for one in facts.code.commits), facts.code.misfits, facts.code.migrations),
    }


def headline(diagnosis: Diagnosis) -> Json:
    """Return the headline for machines."""
    found = diagnosis.headline
    return {
        "state": found.state.value,
        "sentence": found.sentence,
        "since": _iso(found.since),
        "since_at_least": found.since_at_least,
    }


def _summary(hypothesis: Hypothesis) -> str:
    """A title reads as a claim: where it is none, the verdict stands beside it."""
    closed = hypothesis.verdict in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)
    verdict = f" ({hypothesis.verdict.value.replace('_', ' ')})" if closed else ""
    return f"{hypothesis.title}{verdict}. {hypothesis.for_engineer}"


def _source(snapshot: Snapshot, source: SourceName, now: datetime) -> Json:
    readings = snapshot.of(source)
    failures = [reading.failure.sentence for reading in readings if reading.failure and not reading.is_coming]
    answered = [reading.latency_ms for reading in readings if reading.failure is None]
    return {
        "name": source.value,
        "state": source_health(readings, now).state.value,
        "latency_ms": round(max(answered)) if answered else None,
        "error": failures[0] if failures else None,
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Json]:
    """Return what changed between two diagnoses: `{"kind", "id", "before", "after"}`, headline first.

    `before` is a diagnosis as JSON, perhaps of an older version: what one side lacks shows as None.
    """
    rows: list[Json] = []
    for kind, key, field in (("checks", "id", "status"), ("hypotheses", "id", "verdict"), ("sources", "name", "state")):
        old, new = (_by_key(document.get(kind), key, field) for document in (before, after))
        rows += [
            {"kind": kind, "id": name, "before": old.get(name), "after": new.get(name)}
            for name in dict.fromkeys((*new, *old))
            if old.get(name) != new.get(name)
        ]
    headline_before, headline_after = (_headline_state(document) for document in (before, after))
    if headline_before != headline_after:
        rows.insert(0, {"kind": "headline", "id": "state", "before": headline_before, "after": headline_after})
    return rows


def _by_key(rows: Any, key: str, field: str) -> dict[str, Any]:
    if not isinstance(rows, list):
        return {}
    return {str(row[key]): row.get(field) for row in rows if isinstance(row, dict) and key in row}


def _headline_state(document: Mapping[str, Any]) -> Any:
    headline = document.get("headline")
    return headline.get("state") if isinstance(headline, dict) else None


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
