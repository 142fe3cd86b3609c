"""An incident as a document: Markdown, the same as a page to print, JSON, and its entries as CSV.

Text from outside shows as text in each. Nothing in them identifies a customer, because the journal holds no such thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from lib.affected import STATE_LABELS, PersonState
from lib.formatting import both_times, in_markdown
from lib.journal.entry import AffectedRecord, CheckRecord, Entry
from lib.journal.incident import Incident
from lib.journal.incident_export import IncidentRecord, incident_csv, incident_json
from lib.journal.rendering import render
from lib.journal.request import Request
from lib.model.people import Actor
from lib.model.verdict import Verdict
from lib.reports.diagnosis_record import record_changes
from lib.reports.html_page import html_page
from lib.reports.incident_report import DatedDiagnosis, IncidentReport, report_of
from lib.reports.titles import TITLES, status_word, title_of


class ExportFormat(StrEnum):
    """The forms of an export; the value is also the ending of its file."""

    MARKDOWN = "md"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


_VERIFIED = {True: "yes", False: "no: the sources did not agree", None: "not checked, or not visible yet"}
_NO_PEOPLE = "The journal has no count of the people affected by this incident."
_NO_ACTIONS = "No action was requested in this incident."
_NO_COUNTS = "The journal has no counts for this incident, so there is no chart."


def export(record: IncidentRecord, form: ExportFormat, zone: ZoneInfo, now: datetime) -> str:
    """Return an incident in one of the forms, with instants in the business's zone and in UTC."""
    if form is ExportFormat.CSV:
        return incident_csv(record, zone)
    report = report_of(record, now)
    if form is ExportFormat.JSON:
        return incident_json(record, zone, _report_json(report))
    images = _charts(report, zone, vector=form is ExportFormat.HTML)
    markdown = "\n".join(_markdown(report, zone, images)) + "\n"
    if form is ExportFormat.HTML:
        return html_page(f"Incident: {record.incident.title}", markdown, images.values())
    return markdown


def _charts(report: IncidentReport, zone: ZoneInfo, *, vector: bool) -> dict[str, str]:
    """Return the charts before and after in one scale, as far as the journal keeps the counts: caption → data URI."""
    from lib.reports.chart_images import Image, chart, data_uri, top  # Matplotlib takes long to import

    image = Image.SVG if vector else Image.PNG
    kept = [
        (f"{name}: bookings and texts up to {both_times(dated.at, zone)}", dated.record.buckets)
        for name, dated in (("Before", report.before), ("After", report.after))
        if dated is not None and dated.record.buckets is not None
    ]
    highest = max((top(buckets) for _, buckets in kept), default=0)
    return {caption: data_uri(image, chart(buckets, zone, image, highest=highest)) for caption, buckets in kept}


# Markdown.


def _markdown(report: IncidentReport, zone: ZoneInfo, images: Mapping[str, str]) -> Iterator[str]:
    """Yield the document line by line, as CommonMark with tables."""
    record = report.source
    yield from _heading(record.incident, zone)
    yield from ("## In short", "", *(f"- {in_markdown(line)}" for line in report.summary), "")
    yield from ("## How long it took", "")
    measures = ((one.title, one.message, one.means) for one in report.measures)
    yield from _table(("what", "how long", "from what to what"), measures)
    yield from ("## Causes", "", *_causes(report, zone))
    yield from ("## What was done", "")
    for request in report.actions:
        yield from (f"### {in_markdown(_action(request))}", "")
        yield from (*(f"- {in_markdown(line)}" for line in _receipt(request, zone)), "")
    if not report.actions:
        yield from (_NO_ACTIONS, "")
    people = report.people
    yield from ("## Who was affected", "", in_markdown(people.message if people else _NO_PEOPLE), "")
    if people is not None and people.states:
        yield from _table(("what became of them", "people, once per event"), _states(people))
    yield from ("## Before and after", "", *_changes(report, zone), *_images(images))
    yield from _steps(record.incident, zone)
    yield from ("## What happened", "")
    for day, entries in groupby(record.entries, key=lambda entry: entry.at.astimezone(zone).date()):
        yield from (f"### {day:%A} {day.day} {day:%B %Y}", "")
        for entry in entries:
            yield from (*_item(entry, zone), "")
    yield f"The journal's chain ended at entry {record.position.seq} when this was written, with the hash"
    yield f"`{record.position.hash}`."


def _heading(incident: Incident, zone: ZoneInfo) -> Iterator[str]:
    yield from (f"# Incident: {in_markdown(incident.title)}", "")
    yield f"Opened {both_times(incident.opened_at, zone)} by {_person(incident.opened_by)}.  "
    if incident.closed_at and incident.closed_by:
        message = f" {in_markdown(incident.closing_message)}" if incident.closing_message else ""
        yield f"Closed {both_times(incident.closed_at, zone)} by {_person(incident.closed_by)}.{message}  "
    else:
        yield "Still open.  "
    yield from (f"Times are those of {zone.key}, with UTC beside.", "")


def _causes(report: IncidentReport, zone: ZoneInfo) -> Iterator[str]:
    if report.judged is None:
        yield from ("No diagnosis was recorded.", "")
        return
    yield from (f"As the diagnosis saw it at {in_markdown(_dated_line(report.judged, zone))}", "")
    for cause in report.weighed:
        yield from (f"### {in_markdown(cause.title)}: {cause.hypothesis.verdict.value}", "")
        for message, checks in (("For it", cause.supports), ("Against it", cause.refutes)):
            yield f"- {message}:" + ("" if checks else " none")
            yield from (f"  - {in_markdown(_evidence(check))}" for check in checks)
        yield ""
    if not report.weighed:
        yield from ("No cause was possible, according to the evidence.", "")
    for title, verdict in (("Ruled out", Verdict.RULED_OUT), ("Cannot tell", Verdict.CANNOT_TELL)):
        if names := _ids(report, verdict):
            yield from (f"{title}: {in_markdown(names)}.", "")


def _changes(report: IncidentReport, zone: ZoneInfo) -> Iterator[str]:
    diagnoses = [dated for dated in (report.before, report.after) if dated is not None]
    for name, dated in zip(("Before", "After"), diagnoses, strict=False):
        yield f"- {name}, {in_markdown(_dated_line(dated, zone))}"
    if len(diagnoses) < 2:
        yield from ("", "Only one diagnosis was recorded, so there is nothing to compare.")
    yield ""
    if rows := _differences(report):
        cells = (
            (title_of(row["kind"], str(row["id"])), status_word(row["before"]), status_word(row["after"]))
            for row in rows
        )
        yield from _table(("what", "before", "after"), cells)


def _images(images: Mapping[str, str]) -> Iterator[str]:
    """Yield the charts. Their long data URIs stand below, so that the text stays readable as it is."""
    if not images:
        yield from (_NO_COUNTS, "")
    for caption in images:
        yield from (f"![{in_markdown(caption)}][{_label(caption)}]", "")
    for caption, uri in images.items():
        yield from (f"[{_label(caption)}]: {uri}", "")


def _label(caption: str) -> str:
    return caption.partition(":")[0].lower()


def _steps(incident: Incident, zone: ZoneInfo) -> Iterator[str]:
    if incident.steps:
        yield from ("## Steps", "")
        rows = (
            (TITLES.step(one.id), one.state, one.actor.name, both_times(one.at, zone), one.reason)
            for one in incident.steps
        )
        yield from _table(("step", "state", "who", "when", "reason"), rows)


def _item(entry: Entry, zone: ZoneInfo) -> Iterator[str]:
    """Yield one entry as an item of a list, with its details as a list below."""
    local, utc = entry.at.astimezone(zone), entry.at.astimezone(UTC)
    rendered = render(entry, TITLES)
    times = f"**{local:%H:%M:%S}** ({utc:%H:%M:%S} UTC)"
    yield f"- {times} {in_markdown(rendered.line)} — {_person(entry.actor)}"
    for detail in rendered.details:
        # A list of its own: each line of it begins as text, whatever it begins with.
        first, *others = detail.split("\n")
        yield f"  - {in_markdown(first)}" + ("  " if others else "")
        yield from (f"    {in_markdown(line) or '&nbsp;'}  " for line in others)


def _table(heads: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(in_markdown(cell) for cell in row)} |"
    yield ""


def _person(actor: Actor) -> str:
    return in_markdown(f"{actor.name} ({actor.role}, {actor.via.replace('_', ' ')})")


# Sentences, not yet escaped.


def _evidence(check: CheckRecord) -> str:
    said = f"{TITLES.check(check.id)} ({status_word(check.status)})"
    return f"{said}: {check.summary}" if check.summary else said


def _ids(report: IncidentReport, verdict: Verdict) -> str:
    return "; ".join(cause.title for cause in report.of_verdict(verdict))


def _states(people: AffectedRecord) -> Iterator[tuple[str, str]]:
    labels = {state.value: label for state, label in STATE_LABELS.items()}
    return ((labels.get(one.id, one.id), f"{one.count:,}") for one in people.states)


def _receipt(request: Request, zone: ZoneInfo) -> Iterator[str]:
    yield f"Asked for at {both_times(request.requested_at, zone)} by {_requesters(request)}."
    if request.asked.reason:
        yield f"Reason: {request.asked.reason}"
    if request.message:
        yield f"Receipt: {request.message}"
    if request.receipt is None:
        yield "There is no receipt."
        return
    yield f"Verified: {_VERIFIED[request.receipt.verified]}."
    for name, facts in (("Before", request.receipt.before), ("After", request.receipt.after)):
        if facts:
            yield f"{name}: {'; '.join(f'{fact.name} = {fact.value}' for fact in facts)}."


def _action(request: Request) -> str:
    given = ", ".join(f"{argument.name}={argument.value}" for argument in request.asked.arguments)
    done = f"{TITLES.action(request.action)}, on {request.asked.target}" + (f" ({given})" if given else "")
    return f"{done}: {request.state.value.replace('_', ' ')}"


def _requesters(request: Request) -> str:
    approved = f", approved by {request.approved_by.name}" if request.approved_by else ""
    return f"{request.requested_by.name}{approved}"


def _differences(report: IncidentReport) -> list[dict[str, Any]]:
    """Return what differs between the first diagnosis and the last."""
    if report.before is None or report.after is None:
        return []
    return record_changes(report.before.record, report.after.record)


def _dated_line(dated: DatedDiagnosis, zone: ZoneInfo) -> str:
    return f"{both_times(dated.at, zone)}: {dated.record.state.word}. {dated.record.sentence}"


# JSON.


def _evidence_by_id(check: CheckRecord) -> str:
    """Return a check as other programs know it: by its id and the status of the model."""
    status = check.status.value.replace("_", " ")
    return f"{check.id} ({status}): {check.summary}" if check.summary else f"{check.id} ({status})"


def _report_json(report: IncidentReport) -> dict[str, Any]:
    people = report.people
    counts = {one.id: one.count for one in people.states} if people else {}
    return {
        "summary": report.summary,
        "broke_at": report.broke_at,
        "fixed_at": report.fixed_at,
        "measures": [
            {
                "id": one.id,
                "means": one.means,
                "seconds": None if one.length is None else round(one.length.total_seconds()),
                "lacks": one.lacks if one.length is None else None,
            }
            for one in report.measures
        ],
        "causes": [
            {
                "id": cause.hypothesis.id,
                "title": cause.title,
                "verdict": cause.hypothesis.verdict,
                "supports": [_evidence_by_id(check) for check in cause.supports],
                "refutes": [_evidence_by_id(check) for check in cause.refutes],
            }
            for cause in report.causes
        ],
        "actions": [
            {
                "request_id": request.id,
                "action": request.action,
                "at": request.requested_at,
                "by": request.requested_by.name,
                "state": request.state,
                "verified": request.receipt.verified if request.receipt else None,
                "words": request.message,
            }
            for request in report.actions
        ],
        "affected": None
        if people is None
        else {
            "people": people.count,
            "at_least": people.at_least,
            "seats": people.seats,
            "states": {state.value: counts.get(state.value, 0) for state in PersonState}
            if people.count is not None
            else {},
            "words": people.message,
        },
        "changes": _differences(report),
    }
