"""The possible causes: what speaks for each and against it, and what would fix it.

A verdict follows from the statuses of named checks alone. A check that cannot tell can only make a verdict
weaker; direct evidence against a cause rules it out, whatever else looks like it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lib.model.verdict import Check, CheckStatus, Hop, Hypothesis, Remedy, Verdict

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE

Statuses = Mapping[str, CheckStatus]
Judge = Callable[[Statuses], Verdict]

_RANK = {
    Verdict.CONFIRMED: 0,
    Verdict.LIKELY: 1,
    Verdict.POSSIBLE: 2,
    Verdict.CANNOT_TELL: 3,
    Verdict.RULED_OUT: 4,
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One possible cause. `checks` are those its verdict rests on; `explains` the hops that it can break."""

    id: str
    title: str
    for_owner: str
    remedy: Remedy
    explains: frozenset[Hop]
    checks: tuple[str, ...]
    judge: Judge


def decided_by(check: str, *, on_warn: Verdict = Verdict.LIKELY, on_absent: Verdict = Verdict.CANNOT_TELL) -> Judge:
    """The verdict follows one check: its failure confirms, its success rules out."""
    verdicts = {
        FAIL: Verdict.CONFIRMED,
        WARN: on_warn,
        OK: Verdict.RULED_OUT,
        CANNOT_TELL: Verdict.CANNOT_TELL,
        NOT_APPLICABLE: on_absent,
    }
    return lambda statuses: verdicts[statuses[check]]


def _code_not_deployed(statuses: Statuses) -> Verdict:
    verdict = decided_by("serving_commit")(statuses)
    if verdict is Verdict.CANNOT_TELL and statuses["fix_live"] is FAIL:
        return Verdict.CONFIRMED
    return verdict


def _not_promoted(statuses: Statuses) -> Verdict:
    if FAIL in (statuses["nothing_waits"], statuses["reason_23_older_took_domain"]):
        return Verdict.CONFIRMED
    return decided_by("nothing_waits", on_warn=Verdict.POSSIBLE)(statuses)


def _git_integration(statuses: Statuses) -> Verdict:
    if statuses["reason_08_git_deploys_off"] is FAIL:
        return Verdict.CONFIRMED
    return decided_by("git_integration")(statuses)


def _not_null(statuses: Statuses) -> Verdict:
    if statuses["null_customer_errors"] is FAIL:
        return Verdict.CONFIRMED
    if statuses["null_customer_errors"] is OK:
        return Verdict.RULED_OUT
    # Unread logs: the constraint may stand in the way of the code, but nobody saw it do so.
    return Verdict.POSSIBLE if statuses["schema_contract"] in (FAIL, WARN) else Verdict.CANNOT_TELL


def _provider_failing(statuses: Statuses) -> Verdict:
    asked = (statuses["account_active"], statuses["account_errors"], statuses["texts_arrive"])
    if FAIL in asked:
        return Verdict.CONFIRMED
    if WARN in asked:
        return Verdict.POSSIBLE
    if CANNOT_TELL in asked:
        return Verdict.CANNOT_TELL
    return Verdict.RULED_OUT


def _provider_unconfigured(statuses: Statuses) -> Verdict:
    follow, environment = statuses["texts_follow"], statuses["required_env"]
    if follow is OK:
        return Verdict.RULED_OUT
    if environment is FAIL:
        return Verdict.CONFIRMED if follow in (FAIL, WARN) else Verdict.LIKELY
    provider_is_fine = statuses["account_active"] is OK and statuses["account_errors"] is OK
    if follow is FAIL and provider_is_fine and statuses["api_answers"] is not FAIL:
        return Verdict.LIKELY
    return Verdict.POSSIBLE if follow in (FAIL, WARN) else Verdict.CANNOT_TELL


def _link_broken(statuses: Statuses) -> Verdict:
    verdict = decided_by("link_opens")(statuses)
    if verdict is Verdict.CANNOT_TELL and statuses["openers_confirm"] is FAIL:
        return Verdict.LIKELY
    return verdict


def _api_failing(statuses: Statuses) -> Verdict:
    if FAIL in (statuses["api_answers"], statuses["front_door"]):
        return Verdict.CONFIRMED
    return decided_by("api_answers", on_warn=Verdict.POSSIBLE)(statuses)


def _no_demand(statuses: Statuses) -> Verdict:
    if statuses["demand_seen"] is OK:
        return Verdict.RULED_OUT
    if statuses["demand_seen"] is CANNOT_TELL:
        return Verdict.CANNOT_TELL
    if FAIL in (statuses["api_key_active"], statuses["front_door"], statuses["api_answers"]):
        return Verdict.POSSIBLE
    unusual = statuses["bookings_initiated"] is WARN
    return Verdict.POSSIBLE if unusual else Verdict.LIKELY


# In the order of depth: a cause stands before those that follow from it.
CAUSES: tuple[Cause, ...] = (
    Cause(
        "reads_blocked",
        "The desk cannot see",
        "Nothing can be said about the texts: the desk's own key does not see the data.",
        Remedy("Put the secret key (sb_secret_…) into SUPABASE_SECRET_KEY."),
        frozenset(Hop),
        ("key_sees_all", "empty_means_empty", "project_matches"),
        decided_by("key_sees_all"),
    ),
    Cause(
        "api_key_rejected",
        "The caller's API key is refused",
        "Bookings cannot start: the key that the booking calls use is switched off.",
        Remedy("Switch the API key on again, or give the caller a new one."),
        frozenset({Hop.DEMAND}),
        ("api_key_active", "api_answers"),
        decided_by("api_key_active"),
    ),
    Cause(
        "api_failing",
        "The booking API fails",
        "Bookings cannot start: the booking app answers with errors of its own.",
        Remedy(
            "Read the app's log at Vercel for the failing call; roll back if it began with a deployment.", "roll_back"
        ),
        frozenset({Hop.DEMAND}),
        ("api_answers", "front_door"),
        _api_failing,
    ),
    Cause(
        "missing_column",
        "The database lacks a column that the code writes",
        "Texts go out, but the database has no place to record them. Deploying again does not change that.",
        Remedy("Run the migration that adds the column pending_bookings.metadata.", "run_migration"),
        frozenset({Hop.RECORDED}),
        ("columns_exist", "schema_contract", "metadata_stored", "serving_commit"),
        decided_by("columns_exist"),
    ),
    Cause(
        "git_integration_broken",
        "Pushes do not reach production",
        "New code does not reach production: the connection between GitHub and Vercel is broken or set wrong.",
        Remedy(
            "Correct the Git connection in Vercel's settings; deploy the commit without a push meanwhile.",
            "deploy_commit",
        ),
        frozenset({Hop.CODE, Hop.RECORDED}),
        ("git_integration", "reason_05_unheard", "reason_08_git_deploys_off"),
        _git_integration,
    ),
    Cause(
        "build_failing",
        "Production builds fail",
        "New code cannot become live: its builds fail.",
        Remedy(
            "Fix the first error of the build log; if it came from outside the code, build again.", "redeploy_newest"
        ),
        frozenset({Hop.CODE, Hop.RECORDED}),
        ("builds_pass", "reason_16_build_failed"),
        decided_by("builds_pass"),
    ),
    Cause(
        "not_promoted",
        "The right build is ready, and another is live",
        "New code is ready and waits: production still shows an older version.",
        Remedy("Promote the newest ready build.", "promote"),
        frozenset({Hop.CODE, Hop.RECORDED}),
        ("nothing_waits", "reason_19_rollback_pin", "reason_20_auto_assign_off", "reason_23_older_took_domain"),
        _not_promoted,
    ),
    Cause(
        "code_not_deployed",
        "The required code is not live",
        "Production runs older code than it should.",
        Remedy("Deploy the required commit.", "deploy_commit"),
        frozenset({Hop.CODE, Hop.RECORDED}),
        ("serving_commit", "fix_live"),
        _code_not_deployed,
    ),
    Cause(
        "not_null_constraint",
        "A NOT NULL column refuses the record",
        "Texts go out, but recording them fails for new customers.",
        Remedy("Deploy the fix; or let messages.customer_id be null by its migration.", "run_migration"),
        frozenset({Hop.RECORDED}),
        ("null_customer_errors", "schema_contract"),
        _not_null,
    ),
    Cause(
        "provider_unconfigured",
        "The app has no working Twilio settings",
        "No texts go out: the booking app is not set up to send them.",
        Remedy("Set Twilio's variables in Vercel for Production, then redeploy.", "redeploy"),
        frozenset({Hop.ACCEPTED, Hop.CODE}),
        ("texts_follow", "required_env", "account_active", "account_errors"),
        _provider_unconfigured,
    ),
    Cause(
        "provider_failing",
        "Twilio or the phone networks refuse the texts",
        "Texts are refused or do not arrive: the trouble is at Twilio or the phone network.",
        Remedy("Do what the error code asks for; then send a test booking.", "test_booking"),
        frozenset({Hop.ACCEPTED, Hop.DELIVERED}),
        ("account_errors", "account_active", "texts_arrive"),
        _provider_failing,
    ),
    Cause(
        "link_broken",
        "The confirmation link does not open",
        "Customers get the text, but its link does not let them confirm.",
        Remedy("Make the confirmation page open without a login, then check the link again.", "recheck_link"),
        frozenset({Hop.LINK}),
        ("link_opens", "openers_confirm"),
        _link_broken,
    ),
    Cause(
        "sent_not_recorded",
        "Texts go out and are not recorded",
        "Customers get their texts, but the database does not know of them.",
        Remedy("Find what refuses the app's write: its trigger, policy or grant, named in the database's log."),
        frozenset({Hop.RECORDED}),
        ("texts_recorded", "metadata_stored", "writes_succeed"),
        decided_by("texts_recorded"),
    ),
    Cause(
        "receipts_stale",
        "Twilio's receipts do not reach the database",
        "Texts arrive, but the booking system does not learn of it.",
        Remedy("Correct the status callback at Twilio and the webhook's signature check in the app."),
        frozenset({Hop.DELIVERED}),
        ("receipts_arrive", "receipts_known"),
        decided_by("receipts_arrive"),
    ),
    Cause(
        "jobs_stuck",
        "Background jobs do not move",
        "Reminders and other later texts wait: the app's background jobs do not run.",
        Remedy("Check the app's scheduled job at Vercel, then let the stuck jobs run again."),
        frozenset({Hop.CONFIRMED}),
        ("jobs_move",),
        decided_by("jobs_move", on_warn=Verdict.POSSIBLE, on_absent=Verdict.RULED_OUT),
    ),
    Cause(
        "no_demand",
        "Nobody asked to book",
        "There is nothing to text: nobody asked to book.",
        Remedy("Nothing to fix; a test booking shows whether the flow works.", "test_booking"),
        frozenset({Hop.DEMAND}),
        ("demand_seen", "bookings_initiated", "api_key_active"),
        _no_demand,
    ),
)


def weigh(checks: Sequence[Check]) -> tuple[Hypothesis, ...]:
    """Judge every cause by `checks`; those that explain most of the broken flow come first."""
    by_id = {check.id: check for check in checks}
    statuses = {check.id: check.status for check in checks}
    broken = {check.hop for check in checks if check.status is FAIL}
    verdicts = {cause.id: cause.judge(statuses) for cause in CAUSES}
    ordered = sorted(CAUSES, key=lambda cause: (_RANK[verdicts[cause.id]], -len(cause.explains & broken)))
    return tuple(_hypothesis(cause, verdicts[cause.id], by_id) for cause in ordered)


def _hypothesis(cause: Cause, verdict: Verdict, checks: Mapping[str, Check]) -> Hypothesis:
    supports = tuple(name for name in cause.checks if checks[name].status in (FAIL, WARN))
    refutes = tuple(name for name in cause.checks if checks[name].status is OK)
    telling = supports if verdict in (Verdict.CONFIRMED, Verdict.LIKELY) else refutes or cause.checks
    return Hypothesis(
        id=cause.id,
        title=cause.title,
        verdict=verdict,
        for_owner=cause.for_owner,
        for_engineer=" ".join(dict.fromkeys(checks[name].summary for name in telling)),
        remedy=cause.remedy,
        supports=supports,
        refutes=refutes,
    )
