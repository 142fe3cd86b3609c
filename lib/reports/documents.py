"""An incident as a document: Markdown, a page to print, JSON, and its entries as CSV.

What strangers wrote shows as text in each; nothing in them identifies a customer, for the journal holds no such thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from lib.affected import STATE_LABELS, PersonState
from lib.formatting import both_times
from lib.journal.entry import AffectedRecord, BucketsRecord, CheckRecord
from lib.journal.incident_export import IncidentRecord, as_csv, as_json, as_markdown, in_markdown
from lib.journal.rendering import render
from lib.journal.request import Request
from lib.model.verdict import Verdict
from lib.reports import html_page
from lib.reports.diagnosis_record import changes
from lib.reports.incident_report import DatedDiagnosis, IncidentReport, WeighedHypothesis, report_of


class ExportFormat(StrEnum):
    """The forms of an export; the value is also the ending of its file."""

    MARKDOWN = "md"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


_VERIFIED = {True: "yes", False: "no: the sources did not agree", None: "not looked, or not yet to be seen"}
_NO_PEOPLE = "The journal keeps no count of the people affected by this incident."
_NO_ACTIONS = "No action was asked for in this incident."
_NO_COUNTS = "The journal keeps no counts with the diagnoses of this incident, so there is no chart."


def export(story: IncidentRecord, form: ExportFormat, zone: ZoneInfo, now: datetime) -> str:
    """Return an incident in one of the forms, with instants in the business's zone and in UTC."""
    if form is ExportFormat.CSV:
        return as_csv(story, zone)
    report = report_of(story, now)
    if form is ExportFormat.JSON:
        return as_json(story, zone, {"report": _json(report)})
    if form is ExportFormat.MARKDOWN:
        return as_markdown(story, zone, tuple(_markdown(report, zone)))
    return _html(report, zone)


# Charts.


@dataclass(frozen=True, slots=True)
class _Picture:
    name: str
    message: str
    uri: str


def _pictures(report: IncidentReport, zone: ZoneInfo, *, vector: bool) -> tuple[_Picture, ...]:
    """Return before and after in one scale, as far as the journal keeps the counts."""
    from lib.reports.chart_images import Image, chart, data_uri, top  # only who has a chart drawn waits for Matplotlib

    image = Image.SVG if vector else Image.PNG
    kept: list[tuple[str, DatedDiagnosis, BucketsRecord]] = [
        (name, dated, dated.record.buckets)
        for name, dated in (("before", report.before), ("after", report.after))
        if dated is not None and dated.record.buckets is not None
    ]
    highest = max((top(buckets) for _, _, buckets in kept), default=0)
    return tuple(
        _Picture(
            name,
            f"{name.capitalize()}: bookings and texts up to {both_times(dated.at, zone)}",
            data_uri(image, chart(buckets, zone, image, highest=highest)),
        )
        for name, dated, buckets in kept
    )


# What all forms say alike.


def _evidence(check: CheckRecord) -> str:
    status = check.status.value.replace("_", " ")
    return f"{check.id} ({status}): {check.summary}" if check.summary else f"{check.id} ({status})"


def _others(report: IncidentReport, verdict: Verdict) -> str:
    return ", ".join(cause.hypothesis.id for cause in report.of_verdict(verdict))


def _states(people: AffectedRecord) -> Iterator[tuple[str, str]]:
    known = {state.value: message for state, message in STATE_LABELS.items()}
    for one in people.states:
        yield known.get(one.id, one.id), f"{one.count:,}"


def _receipt(request: Request, zone: ZoneInfo) -> Iterator[str]:
    yield f"Asked for at {both_times(request.requested_at, zone)} by {_people(request)}."
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
    done = f"{request.action} of {request.asked.target}" + (f" ({given})" if given else "")
    return f"{done}: {request.state.value.replace('_', ' ')}"


def _people(request: Request) -> str:
    approved = f", approved by {request.approved_by.name}" if request.approved_by else ""
    return f"{request.requested_by.name}{approved}"


def _change_rows(report: IncidentReport) -> list[tuple[str, str, str]]:
    if report.before is None or report.after is None:
        return []
    return [
        (f"{row['kind']}: {row['id']}", _word(row["before"]), _word(row["after"]))
        for row in changes(report.before.record, report.after.record)
    ]


def _word(state: str | None) -> str:
    return state.replace("_", " ") if state else "not asked"


def _dated_line(dated: DatedDiagnosis, zone: ZoneInfo) -> str:
    return f"{both_times(dated.at, zone)}: {dated.record.state.word}. {dated.record.sentence}"


# Markdown.


def _markdown(report: IncidentReport, zone: ZoneInfo) -> Iterator[str]:
    yield from ("## In short", "", *(f"- {in_markdown(line)}" for line in report.summary), "")
    yield from ("## How long it took", "", "| what | how long | from what to what |", "|---|---|---|")
    for measure in report.measures:
        yield f"| {measure.title} | {measure.message} | {measure.means} |"
    yield from ("", "## Causes", "", *_markdown_causes(report, zone))
    yield from ("## What was done", "")
    for request in report.actions:
        yield from (f"### {in_markdown(_action(request))}", "")
        yield from (*(f"- {in_markdown(line)}" for line in _receipt(request, zone)), "")
    if not report.actions:
        yield from (_NO_ACTIONS, "")
    yield from ("## Who was affected", "")
    people = report.people
    yield from (in_markdown(people.message if people else _NO_PEOPLE), "")
    if people is not None and people.states:
        yield from _markdown_table(("what became of them", "people, once per event"), _states(people))
    yield from ("## Before and after", "", *_markdown_changes(report, zone))


def _markdown_causes(report: IncidentReport, zone: ZoneInfo) -> Iterator[str]:
    if report.judged is None:
        yield from ("No diagnosis was recorded.", "")
        return
    yield from (f"As the diagnosis saw it at {in_markdown(_dated_line(report.judged, zone))}", "")
    for cause in report.weighed:
        yield from (f"### {in_markdown(cause.title)}: {cause.hypothesis.verdict.value}", "")
        for message, checks in (("For it", cause.supports), ("Against it", cause.refutes)):
            yield f"- {message}:" + ("" if checks else " nothing")
            yield from (f"  - {in_markdown(_evidence(check))}" for check in checks)
        yield ""
    if not report.weighed:
        yield from ("No cause was even possible by the evidence.", "")
    for title, verdict in (("Ruled out", Verdict.RULED_OUT), ("Cannot be told", Verdict.CANNOT_TELL)):
        if names := _others(report, verdict):
            yield from (f"{title}: {in_markdown(names)}.", "")


def _markdown_changes(report: IncidentReport, zone: ZoneInfo) -> Iterator[str]:
    diagnoses = [dated for dated in (report.before, report.after) if dated is not None]
    for name, dated in zip(("Before", "After"), diagnoses, strict=False):
        yield f"- {name}, {in_markdown(_dated_line(dated, zone))}"
    if len(diagnoses) < 2:
        yield from ("", "There are no two diagnoses to compare.")
    yield ""
    if rows := _change_rows(report):
        yield from _markdown_table(("what", "before", "after"), rows)
    pictures = _pictures(report, zone, vector=False)
    yield from (in_markdown(_NO_COUNTS), "") if not pictures else ()
    for picture in pictures:
        yield from (f"![{in_markdown(picture.message)}][{picture.name}]", "")
    for picture in pictures:
        yield from (f"[{picture.name}]: {picture.uri}", "")


def _markdown_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = tuple(heads)
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield f"| {' | '.join(in_markdown(cell) for cell in row)} |"
    yield ""


# The page to print.


def _html(report: IncidentReport, zone: ZoneInfo) -> str:
    incident = report.story.incident
    closed = (
        f"Closed {both_times(incident.closed_at, zone)} by {incident.closed_by.name}. {incident.closing_message}"
        if incident.closed_at and incident.closed_by
        else "Still open."
    )
    opened = f"Opened {both_times(incident.opened_at, zone)} by {incident.opened_by.name}. {closed}"
    parts = [
        html_page.heading(1, f"Incident: {incident.title}"),
        html_page.paragraph(f"{opened} Times are those of {zone.key}, with UTC beside.", "quiet"),
        html_page.heading(2, "In short"),
        *(html_page.paragraph(line, "lead" if place == 0 else "") for place, line in enumerate(report.summary)),
        html_page.heading(2, "How long it took"),
        html_page.table(
            ("What", "How long", "From what to what"),
            ((Markup("<b>{}</b>").format(one.title), one.message, one.means) for one in report.measures),
        ),
        html_page.heading(2, "Causes"),
        *_html_causes(report, zone),
        html_page.heading(2, "What was done"),
        *_html_actions(report, zone),
        html_page.heading(2, "Who was affected"),
        html_page.paragraph(report.people.message if report.people else _NO_PEOPLE),
        *_html_states(report),
        html_page.heading(2, "Before and after"),
        *_html_changes(report, zone),
        html_page.heading(2, "What happened"),
        *_html_story(report, zone),
        html_page.paragraph(
            Markup(
                "The journal's chain ended at entry {} when this was written, with the hash <code>{}</code>."
            ).format(report.story.position.seq, report.story.position.hash),
            "quiet",
        ),
    ]
    return html_page.page(f"Incident: {incident.title}", html_page.join(parts))


def _html_causes(report: IncidentReport, zone: ZoneInfo) -> Iterator[Markup]:
    if report.judged is None:
        yield html_page.paragraph("No diagnosis was recorded.")
        return
    yield html_page.paragraph(f"As the diagnosis saw it at {_dated_line(report.judged, zone)}", "quiet")
    for cause in report.weighed:
        yield html_page.heading(3, f"{cause.title}: {cause.hypothesis.verdict.value}")
        yield html_page.bullets(_html_evidence(cause))
    if not report.weighed:
        yield html_page.paragraph("No cause was even possible by the evidence.")
    for title, verdict in (("Ruled out", Verdict.RULED_OUT), ("Cannot be told", Verdict.CANNOT_TELL)):
        if names := _others(report, verdict):
            yield html_page.paragraph(f"{title}: {names}.", "quiet")


def _html_actions(report: IncidentReport, zone: ZoneInfo) -> Iterator[Markup]:
    for request in report.actions:
        yield html_page.heading(3, _action(request))
        yield html_page.bullets(_receipt(request, zone))
    if not report.actions:
        yield html_page.paragraph(_NO_ACTIONS)


def _html_evidence(cause: WeighedHypothesis) -> Iterator[Markup]:
    for message, checks in (("For it", cause.supports), ("Against it", cause.refutes)):
        inner = html_page.bullets(_evidence(check) for check in checks) if checks else Markup("nothing")
        yield Markup("{}: {}").format(message, inner)


def _html_states(report: IncidentReport) -> Iterator[Markup]:
    if report.people is not None and report.people.states:
        yield html_page.table(("What became of them", "People, once per event"), _states(report.people))


def _html_changes(report: IncidentReport, zone: ZoneInfo) -> Iterator[Markup]:
    diagnoses = [dated for dated in (report.before, report.after) if dated is not None]
    yield html_page.bullets(
        f"{name}, {_dated_line(dated, zone)}" for name, dated in zip(("Before", "After"), diagnoses, strict=False)
    )
    if len(diagnoses) < 2:
        yield html_page.paragraph("There are no two diagnoses to compare.")
    pictures = _pictures(report, zone, vector=True)
    if not pictures:
        yield html_page.paragraph(_NO_COUNTS)
    yield from (html_page.picture(picture.uri, picture.message) for picture in pictures)
    if rows := _change_rows(report):
        yield html_page.table(("What", "Before", "After"), rows)


def _html_story(report: IncidentReport, zone: ZoneInfo) -> Iterator[Markup]:
    for day, entries in groupby(report.story.entries, key=lambda entry: entry.at.astimezone(zone).date()):
        yield html_page.heading(3, f"{day:%A} {day.day} {day:%B %Y}")
        rows = []
        for entry in entries:
            alerts_sent = render(entry)
            details = html_page.bullets(alerts_sent.details) if alerts_sent.details else Markup("")
            who = Markup("<small>{} ({})</small>").format(entry.actor.name, entry.actor.role.value)
            rows.append((_clock(entry.at, zone), Markup("{} {}{}").format(alerts_sent.line, who, details)))
        yield html_page.table(("Time", "What"), rows)


def _clock(at: datetime, zone: ZoneInfo) -> Markup:
    return Markup("{} <small>{} UTC</small>").format(
        f"{at.astimezone(zone):%H:%M:%S}", f"{at.astimezone(ZoneInfo('UTC')):%H:%M:%S}"
    )


# JSON.


def _json(report: IncidentReport) -> dict[str, Any]:
    people = report.people
    counts = {one.id: one.count for one in people.states} if people else {}
    return {
        "summary": list(report.summary),
        "broke_at": report.broke_at.isoformat() if report.broke_at else None,
        "fixed_at": report.fixed_at.isoformat() if report.fixed_at else None,
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
                "verdict": cause.hypothesis.verdict.value,
                "supports": [_evidence(check) for check in cause.supports],
                "refutes": [_evidence(check) for check in cause.refutes],
            }
            for cause in report.causes
        ],
        "actions": [
            {
                "request_id": str(request.id),
                "action": request.action,
                "at": request.requested_at.isoformat(),
                "by": request.requested_by.name,
                "state": request.state.value,
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
        "changes": changes(report.before.record, report.after.record) if report.before and report.after else [],
    }
