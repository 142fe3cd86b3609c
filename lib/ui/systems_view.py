"""What the Systems page shows: per source what it can and cannot read, how fast, and what is missing."""

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
from lib.ui import html_components, labels
from lib.ui.masking import outside
from lib.ui.page_frame import View


def source(view: View, name: SourceName) -> Markup:
    """One source: its state, what is missing, and each of its rights with its age and latency."""
    readings = view.snapshot.of(name)
    health = source_health(readings, view.now)
    missing = view.settings.missing(name)
    parts = [_summary(view, readings, health.state)]
    if missing:
        parts.append(_how_to_add(name, missing))
    else:
        parts.append(
            Markup('<ul class="sb-rights">{}</ul>').format(html_components.join(_right(view, r) for r in readings))
        )
    return html_components.card(labels.SOURCE[name], html_components.join(parts), sign=labels.of_source(health))


_CODE_LABELS = {
    Code.ANY: "the booking code",
    Code.BEFORE: "the booking code before the fix",
    Code.AFTER: "the booking code since the fix",
}


def contract_table(breaches: Sequence[Breach]) -> Markup:
    """What the booking code expects of the database, and where it does not keep that."""
    return html_components.table(
        ("Table", "Who", "Writes", "Reads", "Does the database keep it?"),
        (
            (
                Markup("<code>{}</code>").format(rule.table),
                Markup("{}<br><small>{}</small>").format(_CODE_LABELS[rule.code], rule.why),
                _columns(rule, dict.fromkeys((*rule.writes, *rule.writes_null))),
                _columns(rule, rule.reads),
                _kept([breach for breach in breaches if breach.rule == rule]),
            )
            for rule in contract.load().rules
            if rule.code is not Code.DESK
        ),
    )


def desk_reads(breaches: Sequence[Breach]) -> str:
    """Say how many tables this desk reads itself, and whether the database has what it reads."""
    tables = len(_desk_rules())
    broken = len({breach.rule.table for breach in breaches if breach.rule.code is Code.DESK})
    kept = f"{broken} not as expected" if broken else "all as expected"
    return f"What this desk reads itself: {tables} tables, {kept}"


def desk_table(breaches: Sequence[Breach]) -> Markup:
    """What this desk itself reads of the database, and what of it is not there."""
    return html_components.table(
        ("Table", "Reads", "Does the database keep it?"),
        (
            (
                Markup("<code>{}</code>").format(rule.table),
                _columns(rule, rule.reads),
                _kept([breach for breach in breaches if breach.rule == rule]),
            )
            for rule in _desk_rules()
        ),
    )


def _desk_rules() -> list[ContractRule]:
    return [rule for rule in contract.load().rules if rule.code is Code.DESK]


def _columns(rule: ContractRule, names: Iterable[str]) -> Markup:
    literals = rule.literals or {}
    notes = {
        name: " (also null)" if name in rule.writes_null else f" ({', '.join(literals[name])})"
        for name in names
        if name in rule.writes_null or name in literals
    }
    return Markup(", ").join(Markup("<code>{}</code>{}").format(name, notes.get(name, "")) for name in names)


def _kept(breaches: Sequence[Breach]) -> Markup:
    if not breaches:
        return html_components.chip(labels.CHECK[CheckStatus.OK], text="yes")
    sign = labels.CHECK[CheckStatus.FAIL if any(breach.is_write for breach in breaches) else CheckStatus.WARN]
    return html_components.join(
        [html_components.chip(sign, text="no"), html_components.bullets(breach.sentence for breach in breaches)]
    )


def _summary(view: View, readings: tuple[Reading[Any], ...], state: Freshness) -> Markup:
    if state is Freshness.NOT_CONFIGURED:
        return Markup("")
    can = sum(reading.usable(view.now) for reading in readings)
    slowest = max(readings, key=lambda reading: reading.latency_ms)
    return Markup("<p>Can {} of {}. Slowest answer: {:,.0f} ms ({}).</p>").format(
        can, len(readings), slowest.latency_ms, label(slowest.name)
    )


def _how_to_add(name: SourceName, missing: tuple[str, ...]) -> Markup:
    names = Markup(", ").join(Markup("<code>{}</code>").format(setting) for setting in missing)
    return Markup("<p>Missing: {}</p><p>Where to get it: {}</p>").format(names, WHERE_TO_GET[name])


def _right(view: View, reading: Reading[Any]) -> Markup:
    sign = labels.FRESHNESS[reading.freshness(view.now)]
    failure = reading.failure
    if failure is None:
        verb = "can" if reading.usable(view.now) else "could"
        detail = f"{reading.latency_ms:,.0f} ms, {formatting.ago(reading.observed_at, view.now)}"
        notes = [outside(caveat.sentence) for caveat in reading.caveats]
    else:
        since = reading.failing_since or reading.observed_at
        verb, detail = "cannot", f"since {formatting.time_and_age(since, view.zone, view.now)}"
        notes = [outside(f"{failure.sentence} {failure.hint}")]
    return Markup(
        '<li class="sb-{}"><b title="{}" aria-hidden="true">{}</b> {} {} <span class="sb-detail">{} {}</span>{}</li>'
    ).format(
        sign.tone,
        sign.word,
        sign.glyph,
        verb,
        label(reading.name),
        "" if sign.word == "fresh" else f"{sign.word},",
        detail,
        html_components.join(Markup('<div class="sb-detail">{}</div>').format(note) for note in notes),
    )
