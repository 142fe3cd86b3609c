"""Did confirming work? Confirmations that became bookings, and the jobs behind them."""

from __future__ import annotations

from lib.diagnosis import thresholds
from lib.diagnosis.checking import Finding, Question, counted, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.model.verdict import Hop


def _become_bookings(facts: Facts) -> Finding:
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    confirmed = pending[pending["confirmed_at"].notna()]
    if confirmed.empty:
        return not_applicable("Nobody confirmed in this window.")
    without = confirmed[confirmed["booking_id"].isna()]
    booked = len(confirmed) - len(without)
    summary = f"Of {counted(len(confirmed), 'confirmation')}, {booked:,} became a booking."
    if without.empty:
        return ok(summary)
    newest_fails = bool(confirmed.tail(thresholds.FAILURES_TO_WARN)["booking_id"].isna().all())
    return fail(summary) if newest_fails else warn(summary)


def _jobs(facts: Facts) -> Finding:
    jobs = facts.need_rows(facts.snapshot.background_jobs)
    if jobs.empty:
        return not_applicable("There are no background jobs.")
    unfinished = jobs[jobs["status"].isin(["pending", "processing"])]
    due = unfinished["scheduled_for"].fillna(unfinished["created_at"])
    stuck = unfinished[due <= facts.now - thresholds.JOB_STUCK]
    failed = jobs[jobs["status"] == "failed"]
    evidence = tuple(f"{count:,} × {kind}" for kind, count in stuck["type"].value_counts().items())
    if not stuck.empty:
        oldest = due.loc[stuck.index].min().to_pydatetime()
        words = f"the oldest is due since {facts.clock(oldest)}"
        return fail(f"{counted(len(stuck), 'background job')} do not move.", words, *evidence)
    if not failed.empty:
        return warn(f"{counted(len(failed), 'background job')} failed.", *dict.fromkeys(failed["type"].dropna()))
    return ok("Background jobs move.")


QUESTIONS = (
    Question(
        "confirmations_book", Hop.CONFIRMED, "Do confirmations become bookings?", "pending_bookings",
        "The next confirmation.", _become_bookings,
    ),
    Question(
        "jobs_move", Hop.CONFIRMED, "Do background jobs move?", "background_jobs",
        "The stuck jobs running.", _jobs,
    ),
)  # fmt: skip
