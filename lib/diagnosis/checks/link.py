"""Can the customer act on it? The link in the text, opened as a stranger would."""

from __future__ import annotations

from lib.diagnosis import thresholds
from lib.diagnosis.checking import Finding, Question, counted, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.model.provider import Landing
from lib.model.verdict import Hop

_LANDING_WORDS = {
    Landing.LOGIN: "The confirmation link leads a stranger to a login.",
    Landing.NOT_FOUND: "The confirmation link leads nowhere (not found).",
    Landing.ERROR: "The confirmation page fails with an error.",
    Landing.ELSEWHERE: "The confirmation link does not end on the confirmation page.",
}


def _link_opens(facts: Facts) -> Finding:
    opening = facts.need(facts.snapshot.link_opening)
    if opening is None:
        return not_applicable("There is no open booking whose link could be tried.")
    evidence = (f"opened at {facts.clock(opening.opened_at)}, answered {opening.status_code}", *opening.steps)
    if opening.landing is Landing.CONFIRMATION:
        return ok("The newest confirmation link opens for a stranger.", *evidence)
    return fail(_LANDING_WORDS[opening.landing], *evidence)


def _opened_confirm(facts: Facts) -> Finding:
    facts.need_rows(facts.snapshot.short_links)
    journeys = facts.need_journeys()
    opened = journeys[journeys["opened"].fillna(False)]
    if opened.empty:
        return not_applicable("No link was opened in this window.")
    confirmed = int(opened["confirmed_at"].notna().sum())
    evidence = (f"{counted(len(opened), 'link')} opened, {confirmed:,} confirmed",)
    recent = opened.tail(thresholds.OPENERS_WITHOUT_CONFIRM)
    enough = len(recent) == thresholds.OPENERS_WITHOUT_CONFIRM
    if enough and not confirmed:
        return fail("People open the link and nobody confirms.", *evidence)
    return ok("People who open the link confirm.", *evidence) if confirmed else warn(
        "Nobody who opened the link has confirmed yet.", *evidence
    )  # fmt: skip


QUESTIONS = (
    Question(
        "link_opens", Hop.LINK, "Does the link open for a stranger?", "link_opening",
        "Opening the newest link again without cookies.", _link_opens,
    ),
    Question(
        "openers_confirm", Hop.LINK, "Do people who open the link confirm?", "short_links",
        "The next person who opens a link.", _opened_confirm,
    ),
)  # fmt: skip
