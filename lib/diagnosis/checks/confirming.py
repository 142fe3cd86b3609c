"""Did confirming work? Confirmations that became bookings, and the jobs behind them."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, check, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.formatting import counted
from lib.model.verdict import Hop


@check(
    Hop.CONFIRMED,
    "Do confirmations become bookings?",
    rests_on="pending_bookings",
    would_change="The next confirmation.",
)
def confirmations_book(facts: Facts) -> CheckResult:
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    confirmed = pending.dropna(subset="confirmed_at").sort_values("confirmed_at", kind="stable")
    if confirmed.empty:
        return not_applicable("Nobody confirmed in this window.")
    without = confirmed[confirmed["booking_id"].isna()]
    booked = len(confirmed) - len(without)
    summary = f"Of {counted(len(confirmed), 'confirmation')}, {booked:,} became a booking."
    if without.empty:
        return ok(summary)
    newest_fails = bool(confirmed.tail(thresholds.FAILURES_TO_WARN)["booking_id"].isna().all())
    return fail(summary) if newest_fails else warn(summary)


def overdue_jobs(facts: Facts) -> pd.DataFrame:
    """Return the jobs that should have run by now, with when they were `due`. Raises `CannotTellError`."""
    jobs = facts.need_rows(facts.snapshot.background_jobs)
    due = jobs["scheduled_for"].fillna(jobs["created_at"])
    waits = jobs["status"].isin(["pending", "processing"])
    return jobs.assign(due=due)[waits & (due <= facts.now - thresholds.JOB_STUCK)]


@check(
    Hop.CONFIRMED,
    "Do background jobs run?",
    rests_on="background_jobs",
    would_change="The stuck jobs running again.",
)
def jobs_move(facts: Facts) -> CheckResult:
    jobs = facts.need_rows(facts.snapshot.background_jobs)
    if jobs.empty:
        return not_applicable("There are no background jobs.")
    stuck = overdue_jobs(facts)
    failed = jobs[jobs["status"] == "failed"]
    evidence = tuple(f"{count:,} × {kind}" for kind, count in stuck["type"].value_counts().items())
    if not stuck.empty:
        oldest = stuck["due"].min().to_pydatetime()
        which = counted(len(stuck), "background job is overdue", "background jobs are overdue")
        return fail(f"{which}, the oldest since {facts.clock(oldest)}.", *evidence)
    if not failed.empty:
        return warn(f"{counted(len(failed), 'background job')} failed.", *dict.fromkeys(failed["type"].dropna()))
    return ok("Background jobs run.")
