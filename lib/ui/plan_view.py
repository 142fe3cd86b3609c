"""The action plan: evidence, state and advice of each step, what counts since the fix, and after-care."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup

from lib.diagnosis.checks import code, delivery, link, recording
from lib.journal.incident import Incident
from lib.model.task import Task
from lib.plan import ESTIMATE, PLANNED, StepEvidence
from lib.plan_state import PlanState, Remediation, StepStatus, recorded_as_done, why_nothing
from lib.ui import affected_view, labels
from lib.ui import html_components as html
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View

_DO_NOW = Sign("Do now", "→", Tone.WARN)
_UNTIL_THEN = Sign("Stopgap", "→", Tone.QUIET)
_WAITS = Sign("Waiting for evidence", "…", Tone.QUIET)
_BADGE_COLOURS: Final = {
    StepStatus.NOT_NEEDED: "gray",
    StepStatus.DO_NOW: "orange",
    StepStatus.WAITING: "blue",
    StepStatus.DONE: "green",
    StepStatus.CANNOT_TELL: "gray",
}
_STATUS_ICONS: Final = {
    StepStatus.NOT_NEEDED: ":material/remove:",
    StepStatus.DO_NOW: ":material/priority_high:",
    StepStatus.WAITING: ":material/hourglass_empty:",
    StepStatus.DONE: ":material/check:",
    StepStatus.CANNOT_TELL: ":material/question_mark:",
}


def task_card(view: View, task: Task, incident: Incident | None) -> Markup:
    """What to do, why, and, where it is done in another system, who does it where and with what exactly."""
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


def step_icon(status: StepStatus) -> str:
    """Return the icon of a step in the timeline."""
    return _STATUS_ICONS[status]


def step_label(evidence: StepEvidence, status: StepStatus) -> str:
    """Return the line of a step, in Markdown: its number and title, and one chip that says where it stands."""
    badge = f":{_BADGE_COLOURS[status]}-badge[{labels.STEP_STATUS[status].word}]"
    return f"**{evidence.step.number}** {plain(evidence.step.title)} {badge}"


def folded_label(count: int) -> str:
    """Return the line behind which the steps stand that are not needed."""
    return f"{count} steps are not needed" if count != 1 else "1 step is not needed"


def step_facts(view: View, evidence: StepEvidence, incident: Incident | None) -> Markup:
    """What the step asks, what the evidence advises, and who did what with it when."""
    rows: html.Rows = [("Asks", evidence.step.asks)]
    if evidence.advice:
        rows.append(("Advice", evidence.advice))
    step = incident.step(evidence.step.id) if incident else None
    if step is not None:
        state, who = html.chip(labels.STEP[step.state]), html.person(step.actor.name)
        when, reason = view.time_and_age(step.at), outside(step.reason)
        rows.append(("Recorded", html.text("{} {}, {}. {}", state, who, when, reason)))
    return html.facts(rows)


def incident_clock(view: View, incident: Incident) -> Markup:
    """How long the incident is open, against the plan's own estimate."""
    late = view.now - incident.opened_at > ESTIMATE[1]
    sign = Sign("longer than planned", "!", Tone.WARN) if late else Sign("within the plan", "○", Tone.QUIET)
    age = html.bold(html.age(incident.opened_at))
    rows: html.Rows = [
        ("Open for", html.text("{} of the {}", age, PLANNED)),
        ("Opened", html.by(view.time_and_age(incident.opened_at), incident.opened_by.name)),
        ("Id", html.code(str(incident.id))),
    ]
    return html.card(incident.title, html.facts(rows), sign=sign)


def since_fix(view: View, fix: Remediation) -> Markup:
    """From when on the tiles count."""
    message, when = outside(fix.message), view.time_and_age(fix.at)
    return html.paragraph(html.text("On evidence from after “{}” alone, {}:", message, when))


def waiting_for_bookings(view: View, fix: Remediation) -> Markup:
    """What was done, and that the next bookings will show whether it helped."""
    what = outside(fix.message)
    line = html.text("“{}”, {}. No evidence since contradicts it.", what, view.time_and_age(fix.at))
    return html.card(f"{fix.done} Waiting for the next bookings to confirm.", html.paragraph(line), sign=_WAITS)


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
    yield "Somebody is alerted when it breaks", notified, f"NOTIFY_URLS is {'' if notified else 'not '}set"
    second = settings.require_second_person
    yield "A second person looks at what is dangerous", second, f"REQUIRE_SECOND_PERSON is {'on' if second else 'off'}"
    found = affected_view.affected_in_window(view)
    yield (
        "Everybody who got no working link was helped",
        None if found is None else not found.to_do,
        "who was affected cannot be told" if found is None else f"{len(found.to_do):,} still to help in {view.window}",
    )


def _yes(fact: bool | None) -> Sign:
    if fact is None:
        return labels.CANNOT_TELL
    return labels.YES if fact else Sign("not yet", "!", Tone.WARN)
