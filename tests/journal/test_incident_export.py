"""An incident as a file, with hostile text from outside in every place."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from zoneinfo import ZoneInfo

import pytest
from markdown_it import MarkdownIt

from lib.journal.entry import (
    Acknowledgement,
    Alert,
    Argument,
    CheckRecord,
    DiagnosisRecord,
    Fact,
    FollowedUp,
    FollowUp,
    HypothesisRecord,
    Kind,
    Mute,
    Outcome,
    Payload,
    Receipt,
    StepState,
    Unmute,
)
from lib.journal.incident_export import IncidentRecord, incident_csv, incident_json, incident_record
from lib.journal.journal import Journal
from lib.journal.rendering import render
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from lib.reports.documents import ExportFormat, export
from tests.clocks import Clock
from tests.journal.conftest import START
from tests.journal.workers import DESK, a_request

LONDON, KOLKATA = ZoneInfo("Europe/London"), ZoneInfo("Asia/Kolkata")
RENDERER = MarkdownIt("gfm-like", {"linkify": False})

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://evil.example/x.png)",
    "<https://evil.example>",
    "&lt;b&gt; &amp;",
    "**bold** _it_ `code` ~~gone~~",
    "# heading",
    "| a | b |",
    "```\ncode\n```",
    "1. one\n2. two",
    "text\n===\n---",
    "    indented code",
    "> quote\n- list\n+ list",
    ":red[x] $x^2$ :material/lock:",
    "[x]: https://evil.example",
    "\\<b>",
    "a  \nb\n\n\nc",
)


@pytest.fixture
def story(local: Journal, ann: Actor, bob: Actor, clock: Clock) -> Callable[[str], IncidentRecord]:
    """A function that writes a message into each place of an incident and reads it back."""

    def write(message: str) -> IncidentRecord:
        clock.now = START
        incident = local.open_incident(message, ann)
        seen = DiagnosisRecord(
            HeadlineState.BROKEN,
            message,
            clock.now,
            (CheckRecord("schema_contract", CheckStatus.FAIL),),
            (HypothesisRecord("missing_column", Verdict.CONFIRMED),),
        )
        local.append(seen, DESK, incident.id)
        clock.advance(hours=11)
        new = a_request(
            target=message,
            summary=message,
            reason=message,
            needs_approval=True,
            incident_id=incident.id,
            arguments=(Argument("commit", "3f" * 20),),
        )
        request = local.submit_request(new, ann)
        local.approve(request.id, bob, message)
        local.lock(request.id, "vercel:booking-app", ann)
        local.start(request.id, ann, timedelta(minutes=5))
        local.progress(request.id, ann, message, "dpl_1")
        facts = (Fact(message, message),)
        local.finish(request.id, Receipt(Outcome.SUCCEEDED, message, facts, facts, True, (message,), "dpl_1"), ann)
        local.step(incident.id, "verify_deployment", StepState.SKIPPED, ann, message)
        local.note(message, bob, incident_id=incident.id, happened_at=clock.now)
        local.append(Mute("sms", clock.now, message), ann, incident.id)
        local.append(Unmute("sms", message), ann, incident.id)
        local.append(Acknowledgement("sms", message), ann, incident.id)
        local.append(Alert("sms", "fired", message, clock.now), DESK, incident.id)
        local.append(FollowedUp(incident.id, FollowUp.CALLED), ann, incident.id)
        local.close_incident(incident.id, ann, message)
        return incident_record(local, incident.id)

    return write


def test_markdown_lists_the_entries_in_order_in_the_business_zone_with_utc_beside(
    story: Callable[[str], IncidentRecord],
) -> None:
    text = export(story("All words"), ExportFormat.MARKDOWN, KOLKATA, START)
    assert "# Incident: All words" in text
    assert "Opened 2026-03-02 19:33:21 (2026-03-02 14:03:21 UTC) by ann\\@lantern.example" in text
    assert text.index("### Monday 2 March 2026") < text.index("### Tuesday 3 March 2026")
    assert "- **06:33:21** (01:03:21 UTC) requested: Redeploy the same commit, on All words" in text
    order = [
        "incident opened",
        "diagnosis: BROKEN",
        "requested",
        "approved",
        "last checks before it starts",
        "started",
        "Redeploy the same commit: All words",
        "Redeploy the same commit: succeeded",
        "was skipped",
        "note of",
        "muted until",
        "no longer muted",
        "incident closed",
    ]
    happened = text[text.index("## What happened") :]
    places = [happened.index(message) for message in order]
    assert places == sorted(places)


@pytest.mark.parametrize("message", HOSTILE)
def test_what_strangers_wrote_shows_as_text_in_markdown(story: Callable[[str], IncidentRecord], message: str) -> None:
    harmless, hostile = (
        RENDERER.render(export(story(text), ExportFormat.MARKDOWN, LONDON, START)) for text in ("words", message)
    )
    allowed = {"h1", "h2", "h3", "p", "br", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code"}
    assert set(re.findall(r"<(\w+)", hostile)) <= allowed
    for tag in ("h1", "h2", "h3", "strong", "table", "tr", "td", "ul", "li", "code"):  # the same bones
        assert hostile.count(f"<{tag}>") == harmless.count(f"<{tag}>"), tag
    shown = " ".join(unescape(re.sub(r"<[^>]+>", " ", hostile)).split())
    assert " ".join(message.split()) in shown


@pytest.mark.parametrize("message", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", '=HYPERLINK("x","y")'])
def test_no_cell_of_the_csv_runs_as_a_formula(story: Callable[[str], IncidentRecord], message: str) -> None:
    text = incident_csv(story(message), LONDON)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]


def test_csv_is_as_rfc_4180_has_it(story: Callable[[str], IncidentRecord]) -> None:
    message = 'He said "no",\nand left'
    text = incident_csv(story(message), KOLKATA)
    assert text.endswith("\r\n")
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    notes = [row for row in rows if row[header.index("kind")] == "note"]
    assert message in notes[0][header.index("words")]
    assert rows[0][header.index("at_utc")] == "2026-03-02T14:03:21.123456+00:00"
    assert rows[0][header.index("at_local")] == "2026-03-02T19:33:21.123456+05:30"


def test_json_holds_every_entry_with_its_place_in_the_chain(
    story: Callable[[str], IncidentRecord], local: Journal
) -> None:
    written = story("<b>words</b>")
    document = json.loads(incident_json(written, KOLKATA, {}))
    assert document["incident"]["title"] == "<b>words</b>"
    assert [entry["seq"] for entry in document["entries"]] == [entry.seq for entry in written.entries]
    for before, after in zip(document["entries"], document["entries"][1:], strict=False):
        assert after["prev_hash"] == before["hash"]
    assert document["steps"][0]["state"] == "skipped"
    assert document["entries"][0]["payload"] == {"title": "<b>words</b>"}
    assert local.verify(noted=document["chain"]["hash"]).ok


def test_a_long_incident_is_exported_whole(local: Journal, ann: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.journal.incident_export._PAGE", 7)
    incident = local.open_incident("No texts", ann)
    for number in range(20):
        local.note(f"note {number}", ann, incident_id=incident.id)
    assert len(incident_record(local, incident.id).entries) == 21


def test_every_kind_of_entry_is_rendered_in_its_own_way(
    story: Callable[[str], IncidentRecord], local: Journal, ann: Actor
) -> None:
    story("words")
    for stop in (lambda i: local.refuse(i, "no", ann), lambda i: local.cancel(i, ann)):
        stop(local.submit_request(a_request(), ann).id)
    local.submit_request(a_request(valid_for=timedelta(0)), ann)
    local.expire(DESK)
    lost = local.submit_request(a_request(), ann)
    local.lock(lost.id, "x", ann)
    local.start(lost.id, ann, timedelta(0))
    local.resolve(lost.id, Outcome.FAILED, "nothing there", ann)
    local.freeze("look first", ann)
    local.unfreeze(ann)
    lines: dict[Kind, str] = {}
    for entry in local.entries():
        payload: Payload = entry.payload
        lines[entry.kind] = render(entry).line
        assert render(entry).line, payload
    assert set(lines) == set(Kind)
    assert len(set(lines.values())) == len(Kind)
