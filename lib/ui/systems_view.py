"""Systems: what each source can and cannot read, how fast, and what is missing; what is read of the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from lib import formatting
from lib.diagnosis import contract
from lib.diagnosis.contract import Breach, Code, ContractRule
from lib.model.reading import Freshness, Reading, SourceName, source_health
from lib.model.verdict import CheckStatus
from lib.snapshot import label
from lib.sources.source_registry import WHERE_TO_GET
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.page_frame import View

_CODE_LABELS = {
    Code.ANY: "the booking code",
    Code.BEFORE: "the booking code before the fix",
    Code.AFTER: "the booking code since the fix",
}


def source_rows(view: View) -> Markup:
    """One row per source: its state in words. What can be read of it, and what is missing, opens under it."""
    return html.rows_that_open(_source_row(view, name) for name in SourceName)


def _source_row(view: View, name: SourceName) -> tuple[labels.Sign, str, str, Markup]:
    readings = view.snapshot.of(name)
    health = source_health(readings, view.now)
    sign = labels.of_source(health)
    if missing := view.settings.missing(name):
        names = html.join(map(html.code, missing), ", ")
        body = html.paragraph(html.text("Missing: {}", names))
        body += html.paragraph(html.text("Where to get it: {}", WHERE_TO_GET[name]))
        return sign, labels.SOURCE[name], f"missing: {', '.join(missing)}", body
    body = html.rights(_right(view, reading) for reading in readings)
    configured = health.state is not Freshness.NOT_CONFIGURED
    return sign, labels.SOURCE[name], _summary(view, readings) if configured else "", body


def _summary(view: View, readings: Sequence[Reading[Any]]) -> str:
    """Say how much can be read, what cannot, and how slow the slowest answer was."""
    can = sum(reading.usable(view.now) for reading in readings)
    cannot = [label(reading.name) for reading in readings if not reading.usable(view.now)]
    slowest = max(readings, key=lambda reading: reading.latency_ms)
    parts = [
        f"{can} of {len(readings)} readings",
        f"slowest answer {slowest.latency_ms:,.0f} ms ({label(slowest.name)})",
    ]
    if cannot:
        more = f" and {len(cannot) - 1} more" if len(cannot) > 1 else ""
        parts.insert(1, f"cannot {cannot[0]}{more}")
    return " · ".join(parts)


def _right(view: View, reading: Reading[Any]) -> tuple[labels.Sign, str, str, list[str]]:
    """Return whether we can read this, how old the answer is or since when there is none, and what limits it."""
    sign = labels.FRESHNESS[reading.freshness(view.now)]
    failure = reading.failure
    if failure is None:
        verb = "can" if reading.usable(view.now) else "could"
        detail = f"{reading.latency_ms:,.0f} ms, {formatting.ago(reading.observed_at, view.now)}"
        notes = [caveat.sentence for caveat in reading.caveats]
    else:
        verb, detail = "cannot", f"since {view.time_and_age(reading.failing_since or reading.observed_at)}"
        notes = [f"{failure.sentence} {failure.hint}"]
    word = "" if sign.word == "fresh" else f"{sign.word},"
    return sign, f"{verb} {label(reading.name)}", f"{word} {detail}", notes


def _rules(*, desk: bool) -> list[ContractRule]:
    """Return what Switchboard reads itself, or else what the booking code reads and writes."""
    return [rule for rule in contract.load().rules if (rule.code is Code.DESK) is desk]


def contract_table(breaches: Sequence[Breach]) -> Markup:
    """What the booking code expects of the database, and where it is not so."""
    rows = (
        (
            html.code(rule.table),
            html.two_lines(_CODE_LABELS[rule.code], rule.why),
            _columns(rule, dict.fromkeys((*rule.writes, *rule.writes_null))),
            _columns(rule, rule.reads),
            _kept(rule, breaches),
        )
        for rule in _rules(desk=False)
    )
    return html.table(("Table", "Who", "Writes", "Reads", "Is it there?"), rows)


def contract_sentence(breaches: Sequence[Breach]) -> str:
    """Say how many tables the booking code uses, and whether the database has what it expects."""
    broken = len({breach.rule.table for breach in breaches if breach.rule.code is not Code.DESK})
    kept = f"{broken} not as expected" if broken else "all as expected"
    tables = len({rule.table for rule in _rules(desk=False)})
    return f"What the booking code expects of the database: {tables} tables, {kept}"


def desk_sentence(breaches: Sequence[Breach]) -> str:
    """Say how many tables Switchboard reads itself, and whether the database has what it reads."""
    broken = len({breach.rule.table for breach in breaches if breach.rule.code is Code.DESK})
    kept = f"{broken} not as expected" if broken else "all as expected"
    return f"What Switchboard reads: {len(_rules(desk=True))} tables, {kept}"


def desk_table(breaches: Sequence[Breach]) -> Markup:
    """What Switchboard itself reads of the database, and what of it is not there."""
    rows = ((html.code(rule.table), _columns(rule, rule.reads), _kept(rule, breaches)) for rule in _rules(desk=True))
    return html.table(("Table", "Reads", "Is it there?"), rows)


def _columns(rule: ContractRule, names: Iterable[str]) -> Markup:
    literals = rule.literals or {}

    def note(name: str) -> str:
        if name in rule.writes_null:
            return " (also null)"
        return f" ({', '.join(literals[name])})" if name in literals else ""

    return html.join((html.text("{}{}", html.code(name), note(name)) for name in names), ", ")


def _kept(rule: ContractRule, breaches: Sequence[Breach]) -> Markup:
    broken = [breach for breach in breaches if breach.rule == rule]
    if not broken:
        return html.chip(labels.CHECK[CheckStatus.OK], text="yes")
    sign = labels.CHECK[CheckStatus.FAIL if any(breach.is_write for breach in broken) else CheckStatus.WARN]
    return html.chip(sign, text="no") + html.bullets(breach.sentence for breach in broken)
