"""The story of an incident as a file: Markdown for people, CSV for a spreadsheet, JSON for machines.

`lib.reports` makes a document of it. What strangers wrote shows as text in each: no Markdown, HTML or formula of
theirs comes to life.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from lib.formatting import both_times
from lib.journal.chain import ChainPosition
from lib.journal.entry import DiagnosisRecord, Entry, Kind, payload_fields
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.journal.rendering import render
from lib.model.people import Actor

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """An incident with all its entries, and where the chain ended when they were read.

    `alerts` are what the monitor told of from when it broke until it was closed; they belong to no incident.
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
    told = journal.entries(kinds=[Kind.ALERT], since=since, limit=_PAGE)
    alerts = tuple(entry for entry in told if incident.closed_at is None or entry.at <= incident.closed_at)
    return IncidentRecord(incident, tuple(entries), journal.position(), alerts)


# Markdown.


def as_markdown(story: IncidentRecord, zone: ZoneInfo, findings: Sequence[str] = ()) -> str:
    """Return the incident as CommonMark: its steps as a table, then everything that happened, by day.

    `findings` are lines of CommonMark that stand before both.
    """
    incident = story.incident
    lines = [f"# Incident: {in_markdown(incident.title)}", ""]
    lines.append(f"Opened {both_times(incident.opened_at, zone)} by {_person(incident.opened_by)}.  ")
    if incident.closed_at and incident.closed_by:
        message = f" {in_markdown(incident.closing_message)}" if incident.closing_message else ""
        lines.append(f"Closed {both_times(incident.closed_at, zone)} by {_person(incident.closed_by)}.{message}  ")
    else:
        lines.append("Still open.  ")
    lines += [f"Times are those of {zone.key}, with UTC beside.", ""]
    lines += [*findings, *_steps(incident, zone)]
    lines += ["## What happened", ""]
    for day, entries in groupby(story.entries, key=lambda entry: entry.at.astimezone(zone).date()):
        lines += [f"### {day:%A} {day.day} {day:%B %Y}", ""]
        for entry in entries:
            lines += [*_item(entry, zone), ""]
    lines.append(f"The journal's chain ended at entry {story.position.seq} when this was written, with the hash")
    lines.append(f"`{story.position.hash}`.")
    return "\n".join(lines) + "\n"


def _steps(incident: Incident, zone: ZoneInfo) -> list[str]:
    if not incident.steps:
        return []
    lines = ["## Steps", "", "| step | state | who | when | reason |", "|---|---|---|---|---|"]
    for step in incident.steps:
        who, reason = in_markdown(step.actor.name), in_markdown(step.reason)
        lines.append(f"| {in_markdown(step.id)} | {step.state} | {who} | {both_times(step.at, zone)} | {reason} |")
    return [*lines, ""]


def _item(entry: Entry, zone: ZoneInfo) -> list[str]:
    local, utc = entry.at.astimezone(zone), entry.at.astimezone(UTC)
    told = render(entry)
    times = f"**{local:%H:%M:%S}** ({utc:%H:%M:%S} UTC)"
    lines = [f"- {times} {in_markdown(told.line)} — {_person(entry.actor)}"]
    for detail in told.details:
        # A list of its own: each line of it begins as text, whatever it begins with.
        first, *rest = detail.split("\n")
        lines.append(f"  - {in_markdown(first)}" + ("" if not rest else "  "))
        lines += [f"    {in_markdown(line) or '&nbsp;'}  " for line in rest]
    return lines


# What has a meaning within a line, in CommonMark, in GitHub's tables, links and mentions, and in Streamlit's colours.
_INLINE = re.compile(r"([\\`*_\[\]{}<>&|~!$^@]|:(?=[^\s\d]))|(?<=www)(\.)|(?<=WWW)(\.)")
# What makes a heading, a list, a quote or a rule of a line that begins with it.
_LINE_START = re.compile(r"^(?:\d{1,9}(?=[.)])|(?=[#+=-]))")


def in_markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it stands, in one line."""
    one_line = " ".join(text.split())
    escaped = _INLINE.sub(lambda match: "\\" + match.group(0), one_line)
    return _LINE_START.sub(lambda match: match.group(0) + "\\", escaped)


def _person(actor: Actor) -> str:
    return in_markdown(f"{actor.name} ({actor.role}, {actor.via.replace('_', ' ')})")


# CSV.

_COLUMNS = (
    "seq",
    "at_utc",
    "at_local",
    "kind",
    "actor",
    "role",
    "via",
    "step",
    "action",
    "request_id",
    "words",
    "hash",
)
# With any of these a spreadsheet takes a cell for a formula; the wide ones where full-width input is usual.
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def as_csv(story: IncidentRecord, zone: ZoneInfo) -> str:
    """Return the entries as CSV (RFC 4180), one row each; no cell runs as a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows(map(in_csv, _row(entry, zone)) for entry in story.entries)
    return out.getvalue()


def _row(entry: Entry, zone: ZoneInfo) -> Iterable[str]:
    about, actor = entry.about, entry.actor
    return (
        str(entry.seq),
        entry.at.astimezone(UTC).isoformat(),
        entry.at.astimezone(zone).isoformat(),
        entry.kind.value,
        actor.name,
        actor.role.value,
        actor.via.value,
        about.step_id or "",
        about.action or "",
        str(about.request_id or ""),
        render(entry).text,
        entry.hash,
    )


def in_csv(cell: str) -> str:
    """Return `cell` so that a spreadsheet shows it as text."""
    return f"'{cell}" if cell.startswith(_FORMULA_START) else cell


# JSON.


def as_json(story: IncidentRecord, zone: ZoneInfo, findings: Mapping[str, Any] | None = None) -> str:
    """Return the incident as one JSON document with stable keys; instants in ISO 8601 UTC.

    `findings` are more keys beside them.
    """
    incident = story.incident
    document = {
        "incident": {
            "id": str(incident.id),
            "title": incident.title,
            "opened_at": incident.opened_at.isoformat(),
            "opened_by": incident.opened_by.name,
            "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
            "closed_by": incident.closed_by.name if incident.closed_by else None,
            "closing_words": incident.closing_message,
        },
        "time_zone": zone.key,
        "steps": [
            {
                "id": step.id,
                "state": step.state.value,
                "reason": step.reason,
                "actor": step.actor.name,
                "at": step.at.isoformat(),
            }
            for step in incident.steps
        ],
        "entries": [_entry_json(entry, zone) for entry in story.entries],
        "chain": {"seq": story.position.seq, "hash": story.position.hash},
        **(findings or {}),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _entry_json(entry: Entry, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "id": str(entry.id),
        "at": entry.at.isoformat(),
        "at_local": entry.at.astimezone(zone).isoformat(),
        "kind": entry.kind.value,
        "actor": entry.actor.name,
        "role": entry.actor.role.value,
        "via": entry.actor.via.value,
        "step_id": entry.about.step_id,
        "action": entry.about.action,
        "request_id": str(entry.about.request_id) if entry.about.request_id else None,
        "words": render(entry).text,
        "payload": json.loads(json.dumps(payload_fields(entry.payload), default=_plain)),
        "prev_hash": entry.prev_hash,
        "hash": entry.hash,
    }


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
