"""Can the customer act on it? The link in the text, opened as a stranger would."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.diagnosis.statistics import percent
from lib.formatting import counted
from lib.model.provider import Landing
from lib.model.verdict import CheckStatus, Hop

_LANDING_MESSAGES = {
    Landing.LOGIN: "The confirmation link leads a stranger to a login.",
    Landing.NOT_FOUND: "The confirmation link leads nowhere (not found).",
    Landing.ERROR: "The confirmation page fails with an error.",
    Landing.ELSEWHERE: "The confirmation link does not end on the confirmation page.",
}

_NOT_AS_TEXTED = (
    "The page was opened itself. The link of a text is tried only if it leads to a host of ours and a customer has "
    "opened it before, for the app counts whoever does."
)


@check(
    Hop.LINK,
    "Does the link open for a stranger?",
    rests_on="link_opening",
    would_change="Opening the newest link again without cookies.",
)
def link_opens(facts: Facts) -> CheckResult:
    opening = facts.need(facts.snapshot.link_opening)
    if opening is None:
        return not_applicable("There is no open booking whose link could be opened.")
    evidence = (f"opened at {facts.clock(opening.opened_at)}, answered {opening.status_code}", *opening.steps)
    if opening.landing is Landing.CONFIRMATION:
        if not opening.as_texted:
            return ok("The confirmation page opens for a stranger.", _NOT_AS_TEXTED, *evidence)
        return ok("The confirmation link opens for a stranger.", *evidence)
    return fail(_LANDING_MESSAGES[opening.landing], *evidence)


def opened_links(facts: Facts) -> pd.DataFrame:
    """Return the journeys whose link was opened and that had time to be confirmed. Raises `CannotTellError`."""
    facts.need_rows(facts.snapshot.short_links)
    journeys = facts.need_journeys()
    # A test booking is opened by the desk itself, and need not be confirmed.
    tests = journeys["mobile_number"].isin(facts.terms.own_numbers) & journeys["confirmed_at"].isna()
    journeys = journeys[~tests]
    settled = (journeys["created_at"] <= facts.now - thresholds.CONFIRM_SETTLES) | journeys["confirmed_at"].notna()
    return journeys[journeys["opened"].fillna(False).astype(bool) & settled]


@check(
    Hop.LINK,
    "Do people who open the link confirm?",
    rests_on="short_links",
    would_change="The next person who opens a link.",
)
def openers_confirm(facts: Facts) -> CheckResult:
    opened = opened_links(facts)
    if opened.empty:
        return not_applicable("No link was opened long enough ago to judge.")
    confirmed = opened["confirmed_at"].notna()
    who, count = counted(len(opened), "person", "people"), int(confirmed.sum())
    summary = f"Of {who} who opened their link, {count:,} confirmed."
    status = openers_status(confirmed)
    if not count:
        return fail(summary) if status is CheckStatus.FAIL else cannot_tell(f"{summary} That is too few to judge by.")
    if status is CheckStatus.OK:
        return ok(summary)
    last = facts.clock(opened.loc[confirmed, "created_at"].iloc[-1].to_pydatetime())
    message = f"{summary} The last who did booked at {last}."
    run = _run_of_others(confirmed)
    rare = f"{run:,} in a row did not: by chance alone, that happens in {percent(_chance_of_run(confirmed))} of cases"
    return warn(message, rare) if status is CheckStatus.WARN else cannot_tell(message, rare)


def openers_status(confirmed: pd.Series) -> CheckStatus:
    """Judge people who opened their link, oldest first, by whether each confirmed."""
    if not confirmed.any():
        too_few = len(confirmed) < thresholds.OPENERS_WITHOUT_CONFIRM
        return CheckStatus.CANNOT_TELL if too_few else CheckStatus.FAIL
    chance = _chance_of_run(confirmed)
    if chance >= thresholds.CONFIRM_P_TO_DOUBT:
        return CheckStatus.OK
    return CheckStatus.WARN if chance < thresholds.CONFIRM_P_TO_WARN else CheckStatus.CANNOT_TELL


def _run_of_others(confirmed: pd.Series) -> int:
    """Count the newest in a row who did not confirm; somebody did before."""
    return int(confirmed.iloc[::-1].to_numpy().argmax())


def _chance_of_run(confirmed: pd.Series) -> float:
    """Return how likely so many in a row would not confirm, by the share of the others who did."""
    run, count = _run_of_others(confirmed), int(confirmed.sum())
    return float((1 - (count + 1) / (len(confirmed) - run + 2)) ** run)
