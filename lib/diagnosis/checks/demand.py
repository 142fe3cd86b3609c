"""Is anyone asking? What reached the booking API, and whether silence is unusual."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.outage import over_since
from lib.diagnosis.statistics import chance_of_silence, percent
from lib.formatting import counted
from lib.model.served_code import ErrorHandling, Misfit
from lib.model.verdict import Hop

INITIATE = "/bookings/initiate"


def initiate_calls(facts: Facts) -> pd.DataFrame:
    """Return the logged calls that start a booking, oldest first. Raises `CannotTellError`."""
    usage = facts.need_rows(facts.snapshot.api_usage).dropna(subset="status_code")
    calls = usage[usage["endpoint"].fillna("").str.contains(INITIATE, regex=False)]
    return calls.sort_values("created_at", kind="stable")


@check(
    Hop.DEMAND,
    "Is anyone asking to book?",
    rests_on="pending_bookings",
    would_change="A booking that is initiated.",
)
def bookings_initiated(facts: Facts) -> CheckResult:
    everything = facts.need_rows(facts.snapshot.pending_bookings)
    pending, window = facts.of_customers(everything), facts.snapshot.window
    tests = len(everything) - len(pending)
    of_ours = (f"{counted(tests, 'test booking')} of our own, not counted.",) if tests else ()
    if not pending.empty:
        last = pending["created_at"].max().to_pydatetime()
        count = counted(facts.initiated, "booking was", "bookings were")
        return ok(f"{count} initiated in {window.size.message}, the last at {facts.clock(last)}.", *of_ours)
    usual = facts.usual_demand
    if usual is None:
        return warn(f"No booking was initiated in {window.size.message}; the usual number is not known.", *of_ours)
    chance = chance_of_silence(usual)
    message = f"about {usual:.1f} would be usual; none at all happens by chance in {percent(chance)} of such windows"
    if chance < thresholds.SILENCE_P:
        return warn(f"No booking was initiated in {window.size.message}, which is unusual.", message, *of_ours)
    usual_silence = f"No booking was initiated in {window.size.message}, which is not unusual."
    return not_applicable(usual_silence, message, *of_ours)


@check(
    Hop.DEMAND,
    "Is there any sign of demand?",
    rests_on="pending_bookings",
    would_change="A booking or a logged call.",
)
def demand_seen(facts: Facts) -> CheckResult:
    """Whether anybody is known to have asked at all: a booking, or a logged call of any outcome."""
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    if len(pending):
        return ok(f"{counted(facts.initiated, 'booking')} in {facts.snapshot.window.size.message}.")
    calls = initiate_calls(facts)
    if len(calls):
        return ok(f"No booking, but {counted(len(calls), 'logged call')} to start one.")
    return not_applicable("No booking and no logged call to start one in this window.")


@check(
    Hop.DEMAND,
    "Is the booking app up?",
    rests_on="app_health",
    would_change="A status below 500 from its home page.",
)
def front_door(facts: Facts) -> CheckResult:
    health = facts.need(facts.snapshot.app_health)
    where = f"{health.url_host} answered {health.status_code}"
    if health.status_code >= 500:
        return fail("The booking app's home page answers with an error.", where)
    if health.status_code in (401, 403):
        return cannot_tell("The booking app's home page asks for a login, so it shows nothing.", where)
    return ok("The booking app is up.", where)


@check(
    Hop.DEMAND,
    "What does the booking API answer?",
    rests_on="api_usage",
    would_change="The next logged call to start a booking.",
)
def api_answers(facts: Facts) -> CheckResult:
    calls = initiate_calls(facts)
    if calls.empty:
        return not_applicable(
            "No call to start a booking is logged.",
            "Refused calls (401, 403, 429) are never logged by the app: a revoked key looks like no demand.",
        )
    codes = calls["status_code"].value_counts()
    evidence = tuple(f"{counted(int(count), 'call')} answered {code}" for code, count in codes.items())
    recent = calls["status_code"].tail(thresholds.FAILURES_TO_FAIL)
    last = f"The last call, at {facts.clock(calls['created_at'].iloc[-1].to_pydatetime())}, answered {recent.iloc[-1]}."
    errors = calls[calls["status_code"] >= 500]
    if not errors.empty and bool((recent >= 500).all()):
        message = "The last booking call" if len(recent) == 1 else f"The last {len(recent)} booking calls"
        refused = (
            misfit_line(one) for one in facts.code.on_flow if one.error is not ErrorHandling.IGNORED and _starts(one)
        )
        return fail(f"{message} failed inside the booking app.", last, *evidence, *dict.fromkeys(refused))
    over = over_since(calls["created_at"], calls["status_code"] >= 500)
    if over is not None:
        return ok(f"The booking API answers again since {facts.clock(over)}.", last, *evidence)
    if not errors.empty:
        return warn(f"{len(errors):,} of {counted(len(calls), 'call')} failed inside the booking app.", last, *evidence)
    rejected = calls[calls["status_code"] >= 400]
    if len(rejected) > len(calls) / 2:
        message = f"{len(rejected):,} of {counted(len(calls), 'call')} asked for what cannot be booked."
        return warn(message, last, *evidence)
    started = int((calls["status_code"] == 201).sum())
    return ok(f"{started:,} of {counted(len(calls), 'logged call')} started a booking.", last, *evidence)


def _starts(misfit: Misfit) -> bool:
    """Whether it stands on the way of the call that starts a booking."""
    return misfit.hop is not None and misfit.hop.endswith(INITIATE)


def _accepted_calls(facts: Facts) -> bool:
    """Whether the newest logged calls started bookings: then some key may, whatever its row seems to say."""
    try:
        newest = initiate_calls(facts)["status_code"].tail(thresholds.FAILURES_TO_FAIL)
    except CannotTellError:
        return False
    return bool(len(newest) and (newest == 201).all())


def _key_message(facts: Facts, row: object) -> str:
    name, active, used = row.name, row.is_active, row.last_used_at  # type: ignore[attr-defined]
    label = "key without a name" if pd.isna(name) else f"key “{name}”"
    when = "never used" if pd.isna(used) else f"last used {facts.clock(used.to_pydatetime())}"
    return f"{label}: {'active' if pd.notna(active) and active else 'switched off'}, {when}"


@check(
    Hop.DEMAND,
    "Is a key switched on that may start bookings?",
    rests_on="api_keys",
    would_change="An active key with the permission write:bookings.",
)
def api_key_active(facts: Facts) -> CheckResult:
    keys = facts.need_rows(facts.snapshot.api_keys)
    writers = keys[keys["can_write_bookings"].fillna(False)]
    if writers.empty:
        if _accepted_calls(facts):
            return cannot_tell("No API key is known to hold write:bookings, and calls are accepted all the same.")
        return fail("No API key may start bookings (permission write:bookings).")
    active = writers[writers["is_active"].fillna(False)]
    evidence = tuple(_key_message(facts, row) for row in writers.itertuples())
    if active.empty:
        return fail("Every API key that may start bookings is switched off: callers get a 401.", *evidence)
    used = writers.dropna(subset="last_used_at").sort_values("last_used_at")
    if not used.empty and used.index[-1] not in active.index:
        return fail("The last used API key is switched off: its callers get a 401.", *evidence)
    return ok(f"{counted(len(active), 'active API key')} may start bookings.", *evidence)
