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
class HypothesisSpec:
    """One possible cause, and the checks its verdict rests on. `explains` are the hops that it can break.

    What fails of `checks` speaks for the cause, what passes against it. What fails of `signs` speaks for it, and
    passing says nothing. The `rest` must be in order for this to be the cause: there it is the other way round.
    Where a cause is an absence, a check that does not apply speaks for it.
    """

    id: str
    title: str
    for_owner: str
    remedy: Remedy
    explains: frozenset[Hop]
    judge: Judge
    checks: tuple[str, ...]
    signs: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    is_absence: bool = False

    @property
    def all_checks(self) -> tuple[str, ...]:
        return self.checks + self.signs + self.rest


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
    # Which commit is required may be unknown; code from before the fix is hardly it.
    old = statuses["fix_live"] is FAIL
    return Verdict.POSSIBLE if verdict is Verdict.CANNOT_TELL and old else verdict


# The ways in which Vercel hears of a push and does not build it.
_UNBUILT = (
    "reason_05_unheard",
    "reason_08_git_deploys_off",
    "reason_09_ignored_step",
    "reason_11_author_blocked",
    "reason_12_unsigned",
)


def _git_integration(statuses: Statuses) -> Verdict:
    unbuilt = [statuses[name] for name in _UNBUILT]
    if FAIL in unbuilt:
        return Verdict.CONFIRMED
    verdict = decided_by("git_integration", on_warn=Verdict.POSSIBLE)(statuses)
    return Verdict.CANNOT_TELL if verdict is Verdict.RULED_OUT and CANNOT_TELL in unbuilt else verdict


def _not_null(statuses: Statuses) -> Verdict:
    # Unread logs: the constraint may stand in the way of the code, but nobody saw it do so.
    unread = statuses["null_customer_errors"] is CANNOT_TELL
    if unread and statuses["schema_contract"] is FAIL:
        return Verdict.POSSIBLE
    return decided_by("null_customer_errors")(statuses)


def _provider_failing(statuses: Statuses) -> Verdict:
    asked = (statuses["account_active"], statuses["account_errors"], statuses["texts_arrive"])
    if FAIL in asked:
        return Verdict.CONFIRMED
    if WARN in asked[1:]:  # a balance that runs low refuses nothing yet
        return Verdict.POSSIBLE
    if CANNOT_TELL in asked:
        return Verdict.CANNOT_TELL
    return Verdict.RULED_OUT


def _provider_unconfigured(statuses: Statuses) -> Verdict:
    follow, environment = statuses["texts_follow"], statuses["required_env"]
    refused = statuses["account_errors"]
    if follow is OK:
        return Verdict.RULED_OUT
    if follow is not FAIL:
        return Verdict.POSSIBLE if follow is WARN or environment is FAIL else Verdict.CANNOT_TELL
    if environment is FAIL:
        return Verdict.CONFIRMED
    if statuses["api_answers"] in (FAIL, CANNOT_TELL):
        return Verdict.CANNOT_TELL  # it may fail before it would send
    if refused is FAIL:
        return Verdict.RULED_OUT if environment is OK else Verdict.CANNOT_TELL  # Twilio heard the app
    in_order = refused is OK and statuses["account_active"] is OK
    return Verdict.LIKELY if in_order else Verdict.POSSIBLE


def _link_broken(statuses: Statuses) -> Verdict:
    verdict = decided_by("link_opens")(statuses)
    unopened = verdict is Verdict.CANNOT_TELL
    return Verdict.POSSIBLE if unopened and statuses["openers_confirm"] in (FAIL, WARN) else verdict


def _api_failing(statuses: Statuses) -> Verdict:
    asked = (statuses["api_answers"], statuses["front_door"])
    if FAIL in asked:
        return Verdict.CONFIRMED
    if asked[0] is OK and asked[1] is CANNOT_TELL:
        return Verdict.CANNOT_TELL  # it may have gone down since
    return decided_by("api_answers", on_warn=Verdict.POSSIBLE)(statuses)


def _no_demand(statuses: Statuses) -> Verdict:
    if statuses["demand_seen"] in (OK, CANNOT_TELL):
        return decided_by("demand_seen")(statuses)
    others = (statuses["api_key_active"], statuses["front_door"], statuses["api_answers"])
    # A key that is refused, or an app that is down, looks the same from here.
    could_be_another = FAIL in others or CANNOT_TELL in others
    return Verdict.POSSIBLE if could_be_another or statuses["bookings_initiated"] is WARN else Verdict.LIKELY


# In the order of depth: a cause stands before those that follow from it.
HYPOTHESES: tuple[HypothesisSpec, ...] = (
    HypothesisSpec(
        "reads_blocked",
        "The desk cannot see",
        "Nothing can be said about the texts: the desk's own key does not see the data.",
        Remedy("Put the secret key (sb_secret_…) into SUPABASE_SECRET_KEY."),
        frozenset(Hop),
        decided_by("key_sees_all"),
        checks=("key_sees_all",),
        signs=("empty_means_empty", "project_matches"),
    ),
    HypothesisSpec(
        "api_key_rejected",
        "The caller's API key is refused",
        "Bookings cannot start: the key that the booking calls use is switched off.",
        Remedy("Switch the API key on again, or give the caller a new one."),
        frozenset({Hop.DEMAND}),
        decided_by("api_key_active"),
        checks=("api_key_active",),
    ),
    HypothesisSpec(
        "api_failing",
        "The booking API fails",
        "Bookings cannot start: the booking app answers with errors of its own.",
        Remedy(
            "Read the app's log at Vercel for the failing call; roll back if it began with a deployment.", "roll_back"
        ),
        frozenset({Hop.DEMAND}),
        _api_failing,
        checks=("api_answers",),
        signs=("front_door",),
    ),
    HypothesisSpec(
        "missing_column",
        "The database lacks a column that the code writes",
        "Texts go out, but the database has no place to record them. Deploying again does not change that.",
        Remedy("Run the migration that adds the missing column.", "run_migration"),
        frozenset({Hop.RECORDED}),
        decided_by("columns_exist"),
        checks=("columns_exist", "metadata_stored"),
    ),
    HypothesisSpec(
        "git_integration_broken",
        "Pushes do not reach production",
        "New code does not reach production: the connection between GitHub and Vercel is broken or set wrong.",
        Remedy(
            "Correct the Git connection in Vercel's settings; deploy the commit without a push meanwhile.",
            "deploy_commit",
        ),
        frozenset({Hop.CODE, Hop.RECORDED}),
        _git_integration,
        checks=("git_integration",),
        signs=_UNBUILT,
    ),
    HypothesisSpec(
        "build_failing",
        "Production builds fail",
        "New code cannot become live: its builds fail.",
        Remedy(
            "Fix the first error of the build log; if it came from outside the code, build again.", "redeploy_newest"
        ),
        frozenset({Hop.CODE, Hop.RECORDED}),
        decided_by("builds_pass"),
        checks=("builds_pass",),
        signs=("reason_16_build_failed",),
    ),
    HypothesisSpec(
        "not_promoted",
        "The right build is ready, and another is live",
        "New code is ready and waits: production still shows an older version.",
        Remedy("Promote the newest ready build.", "promote"),
        frozenset({Hop.CODE, Hop.RECORDED}),
        decided_by("nothing_waits", on_warn=Verdict.POSSIBLE),
        checks=("nothing_waits",),
        signs=("reason_19_rollback_pin", "reason_20_auto_assign_off", "reason_23_older_took_domain"),
    ),
    HypothesisSpec(
        "code_not_deployed",
        "The required code is not live",
        "Production runs older code than it should.",
        Remedy("Deploy the required commit.", "deploy_commit"),
        frozenset({Hop.CODE, Hop.RECORDED}),
        _code_not_deployed,
        checks=("serving_commit", "fix_live"),
    ),
    HypothesisSpec(
        "not_null_constraint",
        "A NOT NULL column refuses the record",
        "Texts go out, but recording them fails for new customers.",
        Remedy("Deploy the fix; or let messages.customer_id be null by its migration.", "run_migration"),
        frozenset({Hop.RECORDED}),
        _not_null,
        checks=("null_customer_errors",),
        signs=("schema_contract",),
    ),
    HypothesisSpec(
        "provider_unconfigured",
        "The app has no working Twilio settings",
        "No texts go out: the booking app is not set up to send them.",
        Remedy("Set Twilio's variables in Vercel for Production, then redeploy.", "redeploy"),
        frozenset({Hop.ACCEPTED, Hop.CODE}),
        _provider_unconfigured,
        checks=("texts_follow", "required_env"),
        rest=("api_answers", "account_errors", "account_active"),
    ),
    HypothesisSpec(
        "provider_failing",
        "Twilio or the phone networks refuse the texts",
        "Texts are refused or do not arrive: the trouble is at Twilio or the phone network.",
        Remedy("Do what the error code asks for; then send a test booking.", "test_booking"),
        frozenset({Hop.ACCEPTED, Hop.DELIVERED}),
        _provider_failing,
        checks=("account_errors", "texts_arrive"),
        signs=("account_active",),
    ),
    HypothesisSpec(
        "link_broken",
        "The confirmation link does not open",
        "Customers get the text, but its link does not let them confirm.",
        Remedy("Make the confirmation page open without a login, then check the link again.", "recheck_link"),
        frozenset({Hop.LINK}),
        _link_broken,
        checks=("link_opens", "openers_confirm"),
    ),
    HypothesisSpec(
        "sent_not_recorded",
        "Texts go out and are not recorded",
        "Customers get their texts, but the database does not know of them.",
        Remedy(
            "Fix the cause that is named above this; if none is, the database's log names what refuses the app's "
            "write: a trigger, a policy or a grant."
        ),
        frozenset({Hop.RECORDED}),
        decided_by("texts_recorded"),
        checks=("texts_recorded", "metadata_stored"),
        signs=("writes_succeed",),
    ),
    HypothesisSpec(
        "receipts_stale",
        "Twilio's receipts do not reach the database",
        "Texts arrive, but the booking system does not learn of it.",
        Remedy("Correct the status callback at Twilio and the webhook's signature check in the app."),
        frozenset({Hop.DELIVERED}),
        decided_by("receipts_arrive"),
        checks=("receipts_arrive",),
    ),
    HypothesisSpec(
        "jobs_stuck",
        "Background jobs do not move",
        "Reminders and other later texts wait: the app's background jobs do not run.",
        Remedy("Check the app's scheduled job at Vercel, then let the stuck jobs run again."),
        frozenset({Hop.CONFIRMED}),
        decided_by("jobs_move", on_warn=Verdict.POSSIBLE, on_absent=Verdict.RULED_OUT),
        checks=("jobs_move",),
    ),
    HypothesisSpec(
        "no_demand",
        "Nobody asked to book",
        "There is nothing to text: nobody asked to book.",
        Remedy("Nothing to fix; a test booking shows whether the flow works.", "test_booking"),
        frozenset({Hop.DEMAND}),
        _no_demand,
        checks=("demand_seen", "bookings_initiated"),
        rest=("api_key_active", "front_door"),
        is_absence=True,
    ),
)


def weigh(checks: Sequence[Check]) -> tuple[Hypothesis, ...]:
    """Judge every cause by `checks`; those that explain most of the broken flow come first."""
    by_id = {check.id: check for check in checks}
    statuses = {check.id: check.status for check in checks}
    broken = {check.hop for check in checks if check.status is FAIL}
    verdicts = {cause.id: cause.judge(statuses) for cause in HYPOTHESES}
    ordered = sorted(HYPOTHESES, key=lambda cause: (_RANK[verdicts[cause.id]], -len(cause.explains & broken)))
    return tuple(_hypothesis(cause, verdicts[cause.id], by_id) for cause in ordered)


def _hypothesis(cause: HypothesisSpec, verdict: Verdict, checks: Mapping[str, Check]) -> Hypothesis:
    open_ = verdict not in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)
    bad, good = {FAIL, WARN}, {OK}
    if verdict is Verdict.RULED_OUT:
        good.add(NOT_APPLICABLE)
    elif cause.is_absence:
        bad.add(NOT_APPLICABLE)

    def with_status(names: tuple[str, ...], statuses: set[CheckStatus]) -> tuple[str, ...]:
        return tuple(name for name in names if checks[name].status in statuses)

    supports = with_status(cause.checks + cause.signs, bad) + (with_status(cause.rest, good) if open_ else ())
    refutes = with_status(cause.checks, good) + with_status(cause.rest, {FAIL})
    decisive = {
        Verdict.CONFIRMED: supports,
        Verdict.LIKELY: supports,
        Verdict.POSSIBLE: supports + refutes,
        Verdict.RULED_OUT: refutes,
        Verdict.CANNOT_TELL: with_status(cause.all_checks, {CANNOT_TELL}) or cause.all_checks,
    }[verdict]
    return Hypothesis(
        id=cause.id,
        title=cause.title,
        verdict=verdict,
        for_owner=cause.for_owner,
        for_engineer=" ".join(dict.fromkeys(checks[name].summary for name in decisive)),
        remedy=cause.remedy,
        supports=supports,
        refutes=refutes,
    )
