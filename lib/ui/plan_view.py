"""The action plan: evidence, state and advice of each step, what counts since the fix, and after-care."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from lib.diagnosis.checks import code, delivery, link, recording
from lib.journal.entry import StepState
from lib.journal.incident import Incident, StepRecord
from lib.model.task import Task
from lib.plan import ESTIMATE, EvidenceState, StepEvidence
from lib.plan_state import PlanState, Remediation, why_nothing
from lib.ui import affected_view, labels
from lib.ui import html_components as html
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View

_DO_NOW = Sign("do this now", "→", Tone.WARN)
_UNTIL_THEN = Sign("helps until then", "→", Tone.QUIET)
_WAITS = Sign("waiting for evidence", "○", Tone.QUIET)
_EVIDENCE: Final = {  # with the colour of a label's badge
    EvidenceState.ADVISED: (Sign("advised now", "→", Tone.WARN), "orange"),
    EvidenceState.NOTHING_TO_DO: (Sign("evidence: nothing to do", "✓", Tone.GOOD), "green"),
    EvidenceState.NOT_YET: (Sign("evidence: not yet", "○", Tone.QUIET), "gray"),
}
_STEP_ICONS: Final = {
    StepState.DOING: ":material/pending:",
    StepState.DONE: ":material/task_alt:",
    StepState.SKIPPED: ":material/do_not_disturb_on:",
    StepState.FAILED: ":material/cancel:",
}


def recorded_as_done(task: Task, incident: Incident | None) -> StepRecord | None:
    """Return the record that people did a task, if there is one; the evidence may not be there yet."""
    step = incident.step(task.step_id) if incident else None
    return step if step and step.state is StepState.DONE and step.reason == task.message else None


def task_card(view: View, task: Task, incident: Incident | None) -> Markup:
    """What to do, why, and, where the desk has no button for it, who does it where and with what exactly."""
    rows: html.Rows = [("Because", task.why)]
    if task.who:
        rows.append(("Who", f"{task.who[0].upper()}{task.who[1:]}"))
    if task.place:
        rows.append(("Where", task.place))
    sign = _UNTIL_THEN if task.meanwhile else _DO_NOW
    if done := recorded_as_done(task, incident):
        who = html.person(done.actor.name)
        rows.append(("Said to be done", html.text("{}, {}", who, view.time_and_age(done.at))))
        sign = _WAITS
    return html.card(task.message, html.facts(rows), sign=sign)


def step_icon(evidence: StepEvidence, incident: Incident | None) -> str:
    """Return the icon of a step in the timeline."""
    step = incident.step(evidence.step.id) if incident else None
    if step is not None:
        return _STEP_ICONS[step.state]
    advised = evidence.state is EvidenceState.ADVISED
    return ":material/priority_high:" if advised else ":material/radio_button_unchecked:"


def step_label(evidence: StepEvidence, incident: Incident | None) -> str:
    """Return the line of a step, in Markdown: its number and title, what people say and what the evidence says."""
    step = incident.step(evidence.step.id) if incident else None
    state = labels.STEP[step.state] if step else labels.TO_DO
    sign, colour = _EVIDENCE[evidence.state]
    badges = f":gray-badge[{state.word}] :{colour}-badge[{sign.word}]"
    return f"**{evidence.step.number}** {plain(evidence.step.title)} {badges}"


def step_facts(view: View, evidence: StepEvidence, incident: Incident | None) -> Markup:
    """What the step asks, what the evidence advises, and who did what with it when."""
    rows: html.Rows = [("Asks", evidence.step.asks)]
    if evidence.advice:
        sign = html.chip(_EVIDENCE[evidence.state][0])
        rows.append(("Advice", html.text("{} {}", sign, outside(evidence.advice))))
    step = incident.step(evidence.step.id) if incident else None
    if step is not None:
        state, who = html.chip(labels.STEP[step.state]), html.person(step.actor.name)
        when, reason = view.time_and_age(step.at), outside(step.reason)
        rows.append(("State", html.text("{} {}, {}. {}", state, who, when, reason)))
    return html.facts(rows)


def incident_clock(view: View, incident: Incident) -> Markup:
    """How long the incident is open, against the plan's own estimate."""
    least, most = (int(limit / timedelta(minutes=1)) for limit in ESTIMATE)
    late = view.now - incident.opened_at > ESTIMATE[1]
    sign = Sign("longer than planned", "!", Tone.WARN) if late else Sign("within the plan", "○", Tone.QUIET)
    age = html.bold(html.age(incident.opened_at))
    rows: html.Rows = [
        ("Open for", html.text("{} of the {} to {} minutes planned", age, least, most)),
        ("Opened", html.by(view.time_and_age(incident.opened_at), incident.opened_by.name)),
        ("Id", html.code(str(incident.id))),
    ]
    return html.card(incident.title, html.facts(rows), sign=sign)


def since_fix(view: View, fix: Remediation) -> Markup:
    """From when on the tiles count."""
    message, when = outside(fix.message), view.time_and_age(fix.at)
    return html.paragraph(html.text("On evidence from after “{}” alone, {}:", message, when))


def nothing_to_do(view: View, state: PlanState) -> Markup:
    """Why nothing is asked for."""
    when = view.time_and_age(state.fix.at) if state.fix else ""
    return html.nothing(outside(why_nothing(view.diagnosis, state, when)))


# After-care.

# What keeps it from happening again, and the check that says how it stands here.
_CARE_BY_CHECK: Final = (
    ("A push to the production branch becomes a deployment by itself", code.git_integration),
    ("Every production hostname serves the required commit", code.serving_commit),
    ("The build has every variable that the app needs", code.required_env),
    ("Tests of the required commit pass", code.actions_pass),
    ("The database takes all that the code writes", recording.schema_contract),
    ("Every text is known to the database", recording.texts_recorded),
    ("Twilio's receipts reach the app", delivery.receipts_arrive),
    ("The confirmation link opens for a stranger", link.link_opens),
    ("No number gets too many texts", delivery.over_sending),
)


def after_care(view: View) -> Markup:
    """The long-term list, each with its state here."""
    rows: list[tuple[str, Markup, str]] = []
    for title, spec in _CARE_BY_CHECK:
        check = view.diagnosis.check(spec)
        rows.append((title, html.chip(labels.CHECK[check.status]), check.summary))
    rows += [(title, html.chip(_yes(fact)), detail) for title, fact, detail in _care_by_setting(view)]
    return html.table(("So that it does not happen again", "Here", "Because"), rows)


def _care_by_setting(view: View) -> Iterable[tuple[str, bool | None, str]]:
    settings = view.settings
    rules = view.facts.value(view.snapshot.rules)
    yield (
        "The production branch is guarded by rules",
        None if rules is None else bool(rules.required_checks or rules.rule_types or rules.classic_protection),
        ", ".join(rules.rule_types) or "no rule is set" if rules else "the rules could not be read",
    )
    needed = ("test_event_id", "test_mobile_number", "booking_api_key")
    missing = ", ".join(name.upper() for name in needed if getattr(settings, name) is None)
    why = f"missing: {missing}" if missing else "all settings are there"
    yield "A test booking can be made at any time", not missing, why
    notified = bool(settings.notify_urls)
    yield "Somebody is told when it breaks", notified, f"NOTIFY_URLS is {'' if notified else 'not '}set"
    second = settings.require_second_person
    yield "A second person looks at what is dangerous", second, f"REQUIRE_SECOND_PERSON is {'on' if second else 'off'}"
    found = affected_view.affected_in_window(view)
    yield (
        "Everybody who got no working link was told",
        None if found is None else not found.to_do,
        "who was affected cannot be told" if found is None else f"{len(found.to_do):,} still to help in {view.window}",
    )


def _yes(fact: bool | None) -> Sign:
    if fact is None:
        return labels.CANNOT_TELL
    return labels.YES if fact else Sign("not yet", "!", Tone.WARN)
