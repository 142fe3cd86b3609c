"""Escalation: what somebody at Vercel, GitHub or Twilio needs to know, on a card and as a text to paste."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from lib.diagnosis.journeys import Delivery
from lib.journal.request import Request
from lib.model.reading import Reading
from lib.redaction import redact
from lib.ui import deployments_view, labels
from lib.ui import html_components as html
from lib.ui.masking import outside
from lib.ui.page_frame import View

MAX_TEXTS = 20
MAX_DEPLOYMENTS = 10
MAX_LOG_LINES = 15


def questions_card(view: View) -> Markup:
    """What to look at before asking others: build, names, Git link, Actions, rules, right to push."""
    snapshot, facts = view.snapshot, view.facts
    log, project, rules = facts.value(snapshot.build_log), facts.value(snapshot.project), facts.value(snapshot.rules)
    repository, runs = facts.value(snapshot.repository), facts.value(snapshot.runs) or ()
    error = log.first_error.text if log and log.first_error else "none in the newest production build"
    command = project.build_command or f"the usual one of {project.framework or 'the framework'}" if project else ""
    actions = ", ".join(f"{run.name}: {run.conclusion or run.status}" for run in runs)
    may_push = labels.YES_NO[repository.can_push] if repository else ""

    def known(reading: Reading[Any], value: str) -> str:
        if reading.usable(view.now):
            return value or "none"
        return f"cannot tell: {reading.failure.sentence if reading.failure else 'the last answer is too old'}"

    rows = (
        ("First error of the build", known(snapshot.build_log, error)),
        ("Build command", known(snapshot.project, command)),
        ("Actions", known(snapshot.runs, actions)),
        ("Rules of the branch", known(snapshot.rules, ", ".join(rules.rule_types) if rules else "")),
        ("May our token push", known(snapshot.repository, may_push)),
    )
    questions = html.card("What others will ask", html.facts(rows))
    return html.cards([questions, deployments_view.git_card(project)] if project else [questions])


def bundle(view: View, requests: Iterable[Request]) -> str:
    """Return the text to paste to Vercel's or Twilio's support: ids, times and request ids, nothing of a customer."""
    return redact("\n".join(_lines(view, requests))) + "\n"


def _lines(view: View, requests: Iterable[Request]) -> Iterator[str]:
    head = view.diagnosis.headline
    yield f"Switchboard, support bundle of {_utc(view.now)}. All times are UTC."
    yield f"State: {head.state.value}. {outside(head.sentence)}"
    yield from _of_vercel(view)
    yield from _of_twilio(view)
    yield ""
    yield "What we did"
    for request in requests:
        known_as = request.receipt.external_id if request.receipt else None
        outside_id = f", known outside as {known_as}" if known_as else ""
        what = f"{request.action}: {request.state.value}, request {request.id}{outside_id}"
        yield f"- {_utc(request.requested_at)} {what}"


def _of_vercel(view: View) -> Iterator[str]:
    snapshot, facts = view.snapshot, view.facts
    yield ""
    yield "Vercel"
    project = facts.value(snapshot.project)
    yield f"- project {project.id} ({outside(project.name)})" if project else "- project: could not be read"
    for host in facts.value(snapshot.hostnames) or ():
        serves = host.deployment.id if host.deployment else "unknown"
        yield f"- {outside(host.name)} serves {serves}, alias moved {_utc(host.alias_moved_at)}"
    for one in (facts.value(snapshot.deployments) or ())[:MAX_DEPLOYMENTS]:
        error = f", error {outside(one.error_code)}" if one.error_code else ""
        yield f"- deployment {one.id} {one.state.value} {one.built_from}, created {_utc(one.created_at)}{error}"
    log = facts.value(snapshot.build_log)
    if log is not None and log.first_error is not None:
        yield f"- build log of {log.deployment_id}, from its first error on:"
        start = log.lines.index(log.first_error)
        for line in log.lines[start : start + MAX_LOG_LINES]:
            yield f"    {_utc(line.at)} {outside(line.text)}"


def _of_twilio(view: View) -> Iterator[str]:
    yield ""
    yield "Twilio"
    outbound = view.facts.outbound
    if outbound is None:
        yield "- the message log could not be read"
        return
    failed = outbound[outbound["delivery"] == Delivery.FAILED].tail(MAX_TEXTS)
    yield f"- {len(outbound):,} texts in {view.window}; the last that failed:"
    for row in failed[["sid", "status", "error_code", "created_at"]].to_dict("records"):
        yield f"- {row['sid']} {row['status']}, error {row['error_code']}, created {_utc(row['created_at'])}"


def _utc(at: datetime | None) -> str:
    return "unknown" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
