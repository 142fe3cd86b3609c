"""Do people opt out? How many were refused because they had asked for no more texts, against what is usual."""

from __future__ import annotations

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, check, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.diagnosis.statistics import chance_of_at_least, percent
from lib.formatting import counted
from lib.model.verdict import Hop

# Twilio's error for a recipient who texted STOP.
OPTED_OUT = "21610"


@check(
    Hop.ACCEPTED,
    "Do unusually many people opt out of texts?",
    rests_on="texts",
    would_change="Fewer people among the next ones who had texted STOP.",
)
def opt_outs_usual(facts: Facts) -> CheckResult:
    """Count people, not attempts: one who books again and again and gets no text is one."""
    texts = facts.of_customers(facts.need_outbound(), "to_number").dropna(subset="to_number")
    newest = texts[~texts["to_number"].duplicated(keep="last")].tail(thresholds.RECENT_PEOPLE)
    people = len(newest)
    if not people:
        return not_applicable("No text was sent to a customer in this window.")
    count = int((newest["error_code"] == OPTED_OUT).sum())
    summary = f"Of the last {counted(people, 'person', 'people')} to be texted, {count:,} had opted out."
    chance = chance_of_at_least(count, people, thresholds.USUAL_OPT_OUTS)
    if count < thresholds.OPT_OUTS_TO_WARN or chance >= thresholds.OPT_OUTS_P:
        return ok(summary)
    usual = (
        f"{percent(thresholds.USUAL_OPT_OUTS)} are usual; so many by chance alone happens in {percent(chance)} of cases"
    )
    return warn(summary, usual)
