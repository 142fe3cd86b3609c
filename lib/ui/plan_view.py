"""What the Action plan shows of each step: evidence, state, advice; the tiles since the fix; after-care."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from markupsafe import Markup

from lib import formatting
from lib.diagnosis.checks import code, delivery, link, recording
from lib.journal.entry import StepState
from lib.journal.incident import Incident, StepRecord
from lib.model.task import Task
from lib.model.verdict import CheckStatus
from lib.plan import ESTIMATE, EvidenceState, StepEvidence
from lib.plan_state import PlanState, Remediation, why_nothing
from lib.ui import affected_view, html_components, labels
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


def said_done(task: Task, incident: Incident | None) -> StepRecord | None:
    """Return the word of somebody that a task of people is done, if it was given; the evidence may not be there yet."""
    step = incident.step(task.step_id) if incident else None
    return step if step and step.state is StepState.DONE and step.reason == task.message else None


def task_card(view: View, task: Task, incident: Incident | None) -> Markup:
    """What to do, why, and, where the desk has no button for it, who does it where and with what exactly."""
    rows: list[tuple[str, str | Markup]] = [("Because", task.why)]
    if task.who:
        rows.append(("Who", f"{task.who[0].upper()}{task.who[1:]}"))
    if task.place:
        rows.append(("Where", task.place))
    sign = _UNTIL_THEN if task.meanwhile else _DO_NOW
    if done := said_done(task, incident):
        when = formatting.time_and_age(done.at, view.zone, view.now)
        rows.append(("Said to be done", Markup("{}, {}").format(html_components.person(done.actor.name), when)))
        sign = _WAITS
    return html_components.card(task.message, html_components.facts(rows), sign=sign)


def state_sign(found: StepEvidence, incident: Incident | None) -> Sign:
    """Return how far people say that a step is."""
    step = incident.step(found.step.id) if incident else None
    return labels.STEP[step.state] if step else labels.TO_DO


def icon(found: StepEvidence, incident: Incident | None) -> str:
    """Return the icon of a step in the timeline."""
    step = incident.step(found.step.id) if incident else None
    if step is not None:
        return {
            StepState.DOING: ":material/pending:",
            StepState.DONE: ":material/task_alt:",
            StepState.SKIPPED: ":material/do_not_disturb_on:",
            StepState.FAILED: ":material/cancel:",
        }[step.state]
    advised = found.state is EvidenceState.ADVISED
    return ":material/priority_high:" if advised else ":material/radio_button_unchecked:"


def label(found: StepEvidence, incident: Incident | None) -> str:
    """Return the line of a step, in Markdown: its number and title, what people say and what the evidence says."""
    sign, colour = _EVIDENCE[found.state]
    signs = f":gray-badge[{state_sign(found, incident).word}] :{colour}-badge[{sign.word}]"
    return f"**{found.step.number}** {plain(found.step.title)} {signs}"


def said(view: View, found: StepEvidence, incident: Incident | None) -> Markup:
    """What the step asks, what the evidence advises, and who did what with it when."""
    rows: list[tuple[str, str | Markup]] = [("Asks", found.step.asks)]
    if found.advice:
        rows.append(
            ("Advice", Markup("{} {}").format(html_components.chip(_EVIDENCE[found.state][0]), outside(found.advice)))
        )
    step = incident.step(found.step.id) if incident else None
    if step is not None:
        when = formatting.time_and_age(step.at, view.zone, view.now)
        who = html_components.person(step.actor.name)
        state = html_components.chip(labels.STEP[step.state])
        rows.append(("State", Markup("{} {}, {}. {}").format(state, who, when, outside(step.reason))))
    return html_components.facts(rows)


def clock(view: View, incident: Incident) -> Markup:
    """How long the incident is open, against the plan's own estimate."""
    least, most = (int(limit / timedelta(minutes=1)) for limit in ESTIMATE)
    late = view.now - incident.opened_at > ESTIMATE[1]
    sign = Sign("longer than planned", "!", Tone.WARN) if late else Sign("within the plan", "○", Tone.QUIET)
    rows: list[tuple[str, str | Markup]] = [
        (
            "Open for",
            Markup("<b>{}</b> of the {} to {} minutes planned").format(
                html_components.age(incident.opened_at), least, most
            ),
        ),
        (
            "Opened",
            html_components.by(
                formatting.time_and_age(incident.opened_at, view.zone, view.now), incident.opened_by.name
            ),
        ),
        ("Id", html_components.code(str(incident.id))),
    ]
    return html_components.card(incident.title, html_components.facts(rows), sign=sign)


# Since the fix.


def since_message(view: View, fix: Remediation) -> Markup:
    """From when on the tiles count."""
    when = formatting.time_and_age(fix.at, view.zone, view.now)
    return Markup("<p>On evidence from after “{}” alone, {}:</p>").format(outside(fix.message), when)


def nothing_to_do(view: View, state: PlanState) -> Markup:
    """Say why nothing is asked for."""
    when = formatting.time_and_age(state.fix.at, view.zone, view.now) if state.fix else ""
    return html_components.nothing(outside(why_nothing(view.diagnosis, state, when)))


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
    rows = [
        (outside(title), html_components.chip(labels.CHECK[check.status]), outside(check.summary))
        for title, spec in _CARE_BY_CHECK
        for check in (view.diagnosis.check(spec),)
    ]
    rows += [(title, html_components.chip(sign), detail) for title, sign, detail in _care_by_setting(view)]
    return html_components.table(
        ("So that it does not happen again", "Here", "Because"),
        ((Markup("{}").format(title), sign, Markup("{}").format(detail)) for title, sign, detail in rows),
    )


def _care_by_setting(view: View) -> Iterable[tuple[str, Sign, str]]:
    settings = view.settings
    rules = view.facts.value(view.snapshot.rules)
    guarded = None if rules is None else bool(rules.required_checks or rules.rule_types or rules.classic_protection)
    yield (
        "The production branch is guarded by rules",
        _yes(guarded),
        ", ".join(rules.rule_types) or "no rule is set" if rules else "the rules could not be read",
    )
    tries = [
        name
        for name, value in (
            ("TEST_EVENT_ID", settings.test_event_id),
            ("TEST_MOBILE_NUMBER", settings.test_mobile_number),
            ("BOOKING_API_KEY", settings.booking_api_key),
        )
        if value is None
    ]
    yield (
        "A test booking can be made at any time",
        _yes(not tries),
        f"missing: {', '.join(tries)}" if tries else "all settings are there",
    )
    yield (
        "Somebody is told when it breaks",
        _yes(bool(settings.notify_urls)),
        "NOTIFY_URLS is set" if settings.notify_urls else "NOTIFY_URLS is not set",
    )
    yield (
        "A second person looks at what is dangerous",
        _yes(settings.require_second_person),
        "REQUIRE_SECOND_PERSON is on" if settings.require_second_person else "REQUIRE_SECOND_PERSON is off",
    )
    found = affected_view.known(view)
    yield (
        "Everybody who got no working link was told",
        _yes(None if found is None else not found.to_do),
        "who was affected cannot be told" if found is None else f"{len(found.to_do):,} still to help in {view.window}",
    )


def _yes(fact: bool | None) -> Sign:
    if fact is None:
        return labels.CHECK[CheckStatus.CANNOT_TELL]
    return Sign("yes", "✓", Tone.GOOD) if fact else Sign("not yet", "!", Tone.WARN)
