"""The document of an incident, from its journal alone: no text from outside is active in it, and it names nobody."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from datetime import timedelta
from html import unescape
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt
from matplotlib import rc_context

from lib.actions.action_registry import ACTIONS
from lib.diagnosis.checks import ALL as CHECKS
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.journal.entry import Alert, Argument, DiagnosisRecord, Fact, Kind, Outcome, Receipt, dumped, loaded
from lib.journal.incident_export import IncidentRecord, incident_record
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import HeadlineState
from lib.reports.chart_images import Image, chart
from lib.reports.diagnosis_record import diagnosis_record, keep_diagnosis, keep_if_changed, last_state
from lib.reports.documents import ExportFormat, export
from lib.reports.html_page import html_page
from lib.reports.incident_report import report_of
from tests.clocks import Clock
from tests.diagnosis.builders import NOW
from tests.reports.conftest import ANA, undelivered, whole

LONDON = ZoneInfo("Europe/London")
RENDERER = MarkdownIt("gfm-like", {"linkify": False})
HOSTILE = "<img src=x onerror=alert(1)></style><script>alert(1)</script> | [x](javascript:alert(1)) =1+1 ![p](http://e)"


def acted(journal: Journal, incident: object, message: str) -> None:
    new = NewRequest(
        "promote",
        2,
        "booking.example",
        "ab" * 32,
        arguments=(Argument("deployment", "dpl_1"),),
        reason=message,
        incident_id=incident,  # type: ignore[arg-type]
    )
    request = journal.submit_request(new, ANA)
    journal.lock(request.id, "alias", ANA)
    journal.start(request.id, ANA, timedelta(minutes=5))
    facts = (Fact("serving", "3f2c1ab"),)
    journal.finish(request.id, Receipt(Outcome.SUCCEEDED, message, facts, facts, True, (message,), "dpl_1"), ANA)


def an_incident(journal: Journal, clock: Clock, message: str = "It is the carriers.") -> IncidentRecord:
    """Return an incident that was opened while texts did not arrive, acted on, and closed while they arrived."""
    incident = journal.open_incident(f"No texts {message}", ANA)
    clock.advance(minutes=1)
    keep_diagnosis(journal, undelivered(), ANA, incident.id)
    acted(journal, incident.id, message)
    journal.note(message, ANA, incident_id=incident.id)
    clock.advance(minutes=20)
    keep_diagnosis(journal, whole(), ANA, incident.id)
    journal.close_incident(incident.id, ANA, message)
    return incident_record(journal, incident.id)


def test_it_says_how_long_it_took_to_detect_to_diagnose_and_to_fix(journal: Journal, clock: Clock) -> None:
    report = report_of(an_incident(journal, clock), clock.now)
    lengths = {measure.id: measure.length for measure in report.measures}
    assert lengths == {
        "detect": timedelta(hours=6),
        "diagnose": timedelta(minutes=1),
        "fix": timedelta(minutes=21),
        "outage": timedelta(hours=6, minutes=21),
    }
    assert all(measure.means for measure in report.measures)


def test_an_alert_of_something_else_is_no_notice_of_this(journal: Journal, clock: Clock) -> None:
    clock.now = NOW - timedelta(minutes=30)
    journal.append(Alert("main_ahead", "fired", "Main is ahead of production.", NOW), ANA)
    clock.now = NOW - timedelta(minutes=10)
    journal.append(Alert("flow", "fired", "Texts do not arrive.", NOW), ANA)
    clock.now = NOW
    incident = journal.open_incident("No texts", ANA)
    keep_diagnosis(journal, undelivered(), ANA, incident.id)
    lengths = {one.id: one.length for one in report_of(incident_record(journal, incident.id), clock.now).measures}
    assert lengths["detect"] == timedelta(hours=5, minutes=50)


def test_an_incident_was_detected_when_the_monitor_sent_its_first_alert(journal: Journal, clock: Clock) -> None:
    for event in ("fired", "reminder"):
        journal.append(Alert("flow", event, "Texts do not arrive.", NOW), ANA)
        clock.advance(minutes=10)
    report = report_of(an_incident(journal, clock), clock.now)
    lengths = {measure.id: measure.length for measure in report.measures}
    assert (lengths["detect"], lengths["diagnose"]) == (timedelta(hours=6), timedelta(minutes=21))


def test_a_measure_whose_mark_is_lacking_is_unknown_and_says_which(journal: Journal, clock: Clock) -> None:
    incident = journal.open_incident("Something", ANA)
    report = report_of(incident_record(journal, incident.id), clock.now)
    assert {measure.length for measure in report.measures} == {None}
    assert all(measure.message.startswith("unknown: ") for measure in report.measures)
    keep_diagnosis(journal, undelivered(), ANA, incident.id)
    keep_diagnosis(journal, whole(), ANA, incident.id)
    keep_diagnosis(journal, undelivered(), ANA, incident.id)
    again = report_of(incident_record(journal, incident.id), clock.now)
    assert again.fixed_at is None  # it was whole in between, and then no more


def test_the_causes_carry_the_evidence_for_and_against(journal: Journal, clock: Clock) -> None:
    report = report_of(an_incident(journal, clock), clock.now)
    first = report.weighed[0]
    assert first.hypothesis.id == "provider_failing" and first.title != first.hypothesis.id
    assert [(check.id, check.status.value) for check in first.supports] == [("texts_arrive", "fail")]
    assert first.supports[0].summary and "missing_column" in {cause.hypothesis.id for cause in report.causes}
    text = export(report.source, ExportFormat.MARKDOWN, LONDON, clock.now)
    assert "Do texts arrive? (failed): " in text and "Ruled out: " in text and "Verified: yes." in text


def test_people_stand_there_as_counts_and_seats_alone(journal: Journal, clock: Clock) -> None:
    story = an_incident(journal, clock)
    document = json.loads(export(story, ExportFormat.JSON, LONDON, clock.now))
    assert document["report"]["affected"]["people"] == 0  # as the last diagnosis had it: the world was another then
    opened = next(entry.payload for entry in story.entries if isinstance(entry.payload, DiagnosisRecord))
    assert opened.people is not None and opened.people.count == 6
    assert "affected: 6 people got no working link" in export(story, ExportFormat.CSV, LONDON, clock.now)
    for form in ExportFormat:
        text = export(story, form, LONDON, clock.now)
        assert not re.search(r"\+?4474001\d+|token-\d|code-\d", text), form


def test_the_page_to_print_holds_its_images_and_fetches_and_runs_nothing(journal: Journal, clock: Clock) -> None:
    harmless, hostile = (
        export(an_incident(journal, clock, message), ExportFormat.HTML, LONDON, clock.now)
        for message in ("words", HOSTILE)
    )
    images = re.findall(r'src="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)"', hostile)
    assert len(images) == 2
    for image in images:
        drawing = ElementTree.fromstring(base64.b64decode(image))
        assert drawing.tag.endswith("svg") and not [e for e in drawing.iter() if e.tag.endswith("script")]
    for page in (harmless, hostile):
        assert "default-src &#39;none&#39;" in page and "@page" in page
        assert "<script" not in page and not re.search(r'(?:src|href)="(?!data:)', page)
    tags = [re.findall(r"<(\w+)", page) for page in (harmless, hostile)]
    assert tags[0] == tags[1]  # the same bones, whatever was written
    assert "onerror=alert(1)" in unescape(hostile)


def test_a_page_shows_a_link_an_image_or_html_that_is_not_ours_as_text_though_nobody_escaped_it() -> None:
    ours = "data:image/png;base64,AAAA"
    hostile = f"{HOSTILE} <https://e.example> ![x](data:image/png;base64,BBBB) [r]\n\n[r]: https://e.example"
    page = html_page("<b>Title</b>", f"![Chart][c]\n\n{hostile}\n\n[c]: {ours}\n", [ours])
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == [ours]
    assert "<title>&lt;b&gt;Title&lt;/b&gt;</title>" in page and "<small>Chart</small>" in page
    assert not re.search(r"<script|<b>|<a |<img src=x", page)


def test_the_markdown_holds_its_images_and_no_link_or_html_of_a_stranger(journal: Journal, clock: Clock) -> None:
    text = export(an_incident(journal, clock, HOSTILE), ExportFormat.MARKDOWN, LONDON, clock.now)
    html = RENDERER.render(text)
    sources = re.findall(r'<img src="([^"]{22})', html)
    assert sources == ["data:image/png;base64,"] * 2
    assert set(re.findall(r"<(\w+)", html)) <= {
        "h1",
        "h2",
        "h3",
        "p",
        "br",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
        "code",
        "img",
    }


def test_no_cell_of_the_csv_runs_as_a_formula(journal: Journal, clock: Clock) -> None:
    rows = list(
        csv.reader(
            io.StringIO(export(an_incident(journal, clock, "=1+1"), ExportFormat.CSV, LONDON, clock.now), newline="")
        )
    )
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_a_line_that_could_not_be_read_is_named_unknown_in_the_chart_and_never_drawn_as_zero() -> None:
    buckets = diagnosis_record(whole(texts=Failure(FailureKind.UNAVAILABLE, "It is away."))).buckets
    assert buckets is not None
    lines = {line.id: line.counts for line in buckets.lines}
    assert lines["initiated"] is not None and sum(lines["initiated"]) == 6 and lines["accepted"] is None
    with rc_context({"svg.fonttype": "none"}):  # letters instead of their shapes
        drawn = chart(buckets, LONDON, Image.SVG).decode()
    assert "texts accepted: unknown" in drawn and "bookings initiated<" in drawn
    assert chart(buckets, LONDON, Image.PNG).startswith(b"\x89PNG")
    assert chart(buckets, LONDON, Image.SVG) == chart(buckets, LONDON, Image.SVG)


OLD = (
    '{"checks":[{"id":"texts_arrive","status":"fail"}],"hypotheses":[{"id":"provider_failing","verdict":"confirmed"}],'
    '"sentence":"Texts do not arrive.","since":"2026-11-18T12:00:00Z","state":"broken"}'
)


@pytest.mark.parametrize("form", list(ExportFormat))
def test_an_entry_of_before_charts_and_people_were_kept_still_verifies_and_exports(
    journal: Journal, clock: Clock, form: ExportFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = journal.open_incident("An old one", ANA)
    monkeypatch.setattr("lib.journal.chain.dumped", lambda payload: OLD)
    journal.append(DiagnosisRecord(HeadlineState.BROKEN, "as it was stored then"), ANA, incident.id)
    monkeypatch.undo()
    assert journal.verify().ok
    old = loaded(Kind.DIAGNOSIS, OLD)
    assert (
        isinstance(old, DiagnosisRecord)
        and old.buckets is None
        and old.people is None
        and loaded(Kind.DIAGNOSIS, dumped(old))
    )
    text = export(incident_record(journal, incident.id), form, LONDON, clock.now)
    assert "provider" in text
    if form in (ExportFormat.MARKDOWN, ExportFormat.HTML):
        assert "has no count" in text and "there is no chart" in text


def test_what_is_kept_of_a_diagnosis_is_small_enough_to_keep_often() -> None:
    assert len(dumped(diagnosis_record(undelivered()))) < 20_000


def test_a_diagnosis_is_recorded_when_the_state_of_the_headline_changes_and_not_before(
    journal: Journal, clock: Clock
) -> None:
    incident = journal.open_incident("Something", ANA).id
    kept = [keep_if_changed(journal, one, ANA, incident) for one in (undelivered(), undelivered(), whole(), whole())]
    assert [entry is not None for entry in kept] == [True, False, True, False]
    assert last_state(journal, incident) is HeadlineState.FLOWING
    assert report_of(incident_record(journal, incident), clock.now).summary[-2] == "Texts were flowing again."


def test_the_document_calls_checks_causes_and_actions_by_their_titles(journal: Journal, clock: Clock) -> None:
    text = export(an_incident(journal, clock), ExportFormat.MARKDOWN, LONDON, clock.now)
    said = re.sub(r"\\(?=[^\w\s])", "", text)
    ids = {check.id for check in CHECKS} | {cause.id for cause in HYPOTHESES} | set(ACTIONS)
    assert not [id_ for id_ in ids if "_" in id_ and re.search(rf"\b{id_}\b", said)]
