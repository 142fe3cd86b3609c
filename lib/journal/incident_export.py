"""An incident read whole from the journal, as CSV for a spreadsheet and as JSON for other programs.

`lib.reports.documents` writes the document for people. No cell of the CSV runs as a formula.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from lib.formatting import in_csv, json_text
from lib.journal.chain import ChainPosition
from lib.journal.entry import DiagnosisRecord, Entry, Kind, payload_fields
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.journal.rendering import render

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """An incident with all its entries, and where the chain ended when they were read.

    `alerts` are the monitor's from when the flow broke until the incident was closed; no incident owns them.
    """

    incident: Incident
    entries: tuple[Entry, ...]
    position: ChainPosition
    alerts: tuple[Entry, ...] = ()


def incident_record(journal: Journal, incident_id: UUID) -> IncidentRecord:
    """Read an incident whole. Raises `JournalError`."""
    incident = journal.incident(incident_id)
    entries: list[Entry] = []
    while page := journal.entries(incident_id=incident_id, since_seq=entries[-1].seq if entries else 0, limit=_PAGE):
        entries += page
    broke = (entry.payload.broke_at for entry in entries if isinstance(entry.payload, DiagnosisRecord))
    since = min((*filter(None, broke), incident.opened_at))
    found = journal.entries(kinds=[Kind.ALERT], since=since, limit=_PAGE)
    alerts = tuple(entry for entry in found if incident.closed_at is None or entry.at <= incident.closed_at)
    return IncidentRecord(incident, tuple(entries), journal.position(), alerts)


def incident_csv(record: IncidentRecord, zone: ZoneInfo) -> str:
    """Return the entries as CSV (RFC 4180), one row each; no cell runs as a formula."""
    out = io.StringIO(newline="")
    rows = [_row(entry, zone) for entry in record.entries]
    writer = csv.DictWriter(out, rows[0], lineterminator="\r\n")  # an incident has the entry that opened it, at least
    writer.writeheader()
    writer.writerows({name: in_csv(str(cell or "")) for name, cell in row.items()} for row in rows)
    return out.getvalue()


def _row(entry: Entry, zone: ZoneInfo) -> dict[str, object]:
    return {
        "seq": entry.seq,
        "at_utc": entry.at.astimezone(UTC).isoformat(),
        "at_local": entry.at.astimezone(zone).isoformat(),
        "kind": entry.kind,
        "actor": entry.actor.name,
        "role": entry.actor.role,
        "via": entry.actor.via,
        "step": entry.about.step_id,
        "action": entry.about.action,
        "request_id": entry.about.request_id,
        "words": render(entry).text,
        "hash": entry.hash,
    }


def incident_json(record: IncidentRecord, zone: ZoneInfo, report: Mapping[str, Any]) -> str:
    """Return an incident as one JSON document with stable keys; instants in ISO 8601. `report` is one key more."""
    incident = record.incident
    document = {
        "incident": {
            "id": incident.id,
            "title": incident.title,
            "opened_at": incident.opened_at,
            "opened_by": incident.opened_by.name,
            "closed_at": incident.closed_at,
            "closed_by": incident.closed_by.name if incident.closed_by else None,
            "closing_words": incident.closing_message,
        },
        "time_zone": zone.key,
        "steps": [
            {"id": step.id, "state": step.state, "reason": step.reason, "actor": step.actor.name, "at": step.at}
            for step in incident.steps
        ],
        "entries": [_entry_json(entry, zone) for entry in record.entries],
        "chain": {"seq": record.position.seq, "hash": record.position.hash},
        "report": report,
    }
    return json_text(document)


def _entry_json(entry: Entry, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "id": entry.id,
        "at": entry.at,
        "at_local": entry.at.astimezone(zone),
        "kind": entry.kind,
        "actor": entry.actor.name,
        "role": entry.actor.role,
        "via": entry.actor.via,
        "step_id": entry.about.step_id,
        "action": entry.about.action,
        "request_id": entry.about.request_id,
        "words": render(entry).text,
        "payload": payload_fields(entry.payload),
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }
