"""Which code runs? What each production hostname serves, whether the newest code got there, and why not."""

from __future__ import annotations

from lib.diagnosis.builds import BUILT, is_transient, newest_first
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.checks.deployment_failure_modes import NO_HOSTNAME, required_is_live
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.environment import required_environment
from lib.diagnosis.facts import Facts
from lib.diagnosis.live_deployment import waiting
from lib.diagnosis.moves import Move, target, under_way
from lib.diagnosis.production_branch import branch_change
from lib.diagnosis.pushes import Push, PushState, push_of_required
from lib.diagnosis.serving import CommitPosition, Serving, relation
from lib.formatting import counted
from lib.model.deployments import Deployment, DeploymentState, RequiredCommit, RunOutcome, same_commit
from lib.model.verdict import Hop


def production(facts: Facts) -> list[Deployment]:
    """Return the production deployments, newest first. Raises `CannotTellError`."""
    return newest_first(facts.need(facts.snapshot.deployments))


def _servings(facts: Facts) -> tuple[Serving, ...]:
    facts.need(facts.snapshot.hostnames)
    return facts.servings or ()


@check(
    Hop.CODE,
    "Does production serve the required commit?",
    rests_on="hostnames",
    would_change="Every production hostname's alias moving to a build of the required commit.",
)
def serving_commit(facts: Facts) -> CheckResult:
    servings = _servings(facts)
    required = facts.need(facts.snapshot.required_commit)
    if not servings:
        return cannot_tell(NO_HOSTNAME)
    evidence = tuple(_message(facts, serving) for serving in servings)
    required_message = f"required commit {required.sha[:7]} ({required.taken_from.value.replace('_', ' ')})"
    behind = [s for s in servings if s.position.contains_required is False]
    unknown = [s for s in servings if s.position is CommitPosition.UNKNOWN]
    building = [
        d
        for d in facts.value(facts.snapshot.deployments) or ()
        if d.state.in_progress and same_commit(d.commit, required.sha)
    ]
    move = under_way(facts)
    if behind and building:
        return warn("The required commit is being built now.", required_message, *evidence)
    if behind and move and _brings(facts, move, required):
        return warn(f"The required commit is on its way to production. {move.message}", required_message, *evidence)
    if behind:
        worst = max((s.behind_by or 0) for s in behind)
        by = f", {counted(worst, 'commit')} behind" if worst else ""
        some = f"{len(behind)} of {len(servings)} hostnames {'does' if len(behind) == 1 else 'do'}"
        which = "Production does" if len(behind) == len(servings) else some
        return fail(f"{which} not serve the required commit{by}.", required_message, *evidence)
    if unknown:
        which = "Whether production serves" if len(unknown) == len(servings) else "Whether every hostname serves"
        return cannot_tell(f"{which} the required commit is unknown.", required_message, *evidence)
    facts.need_complete(facts.snapshot.hostnames)
    return ok("Every production hostname serves the required commit.", required_message, *evidence)


def _brings(facts: Facts, move: Move, required: RequiredCommit) -> bool:
    """Whether what the move leads to is known to hold the required commit."""
    moved = target(facts, move)
    if moved is None or moved.commit is None:
        return False
    branch, compared = facts.value(facts.snapshot.branch), facts.value(facts.snapshot.comparisons) or ()
    return bool(relation(moved.commit, required.sha, branch, compared).holds) or same_commit(moved.commit, required.sha)


def _message(facts: Facts, serving: Serving) -> str:
    host = serving.hostname
    if serving.position is CommitPosition.UNKNOWN:
        return f"{host.name}: unknown ({serving.why_unknown})"
    since = f" since {facts.clock(host.alias_moved_at)}" if host.alias_moved_at else ""
    where = {
        CommitPosition.SAME: "the required commit",
        CommitPosition.NEWER: "newer than the required commit",
        CommitPosition.BEHIND: f"{counted(serving.behind_by, 'commit')} behind" if serving.behind_by else "behind",
        CommitPosition.ELSEWHERE: "which does not contain the required commit",
    }[serving.position]
    return f"{host.name}: {(host.serving_commit or '')[:7]}{since}, {where}"


@check(
    Hop.CODE,
    "Does the live code contain the fix?",
    rests_on="hostnames",
    would_change="A build that contains the fix taking over every hostname.",
)
def fix_live(facts: Facts) -> CheckResult:
    running = facts.running_code
    if facts.code.complete and not running.after_fix:
        refused = [one for one in facts.code.on_flow if (one.table, one.column) == ("messages", "customer_id")]
        if not refused:
            return not_applicable("The live code does not store the text with its booking, and does not need to.")
        return fail(
            "The live code is older than the fix: it cannot record a text for a new customer.",
            *map(misfit_line, refused),
        )
    if running.after_fix is None:
        _servings(facts)
        facts.need(facts.snapshot.branch)
        return cannot_tell("Whether the live code contains the fix cannot be told from its commits.")
    if not running.after_fix:
        message = "The live code is older than the fix: it cannot record a text for a new customer."
        # Where the required commit is live, or not known, older code is no fault that was seen.
        return fail(message) if required_is_live(facts) is False else warn(message)
    since = f" since {facts.clock(running.since)}" if running.since else ""
    return ok(f"The live code contains the fix{since}.")


@check(
    Hop.CODE,
    "Could the live code be read?",
    rests_on="served_code",
    would_change="The code of every serving commit, read from GitHub.",
)
def code_read(facts: Facts) -> CheckResult:
    """Whether verdicts rest on the code that is served, or on what was declared of it."""
    code = facts.code
    evidence = tuple(
        f"{(one.code.commit or '')[:7]}: {counted(len(one.code.files), 'file')}, "
        f"{counted(len(one.code.uses), 'use')} of the database, {len(one.code.all_unread):,} unread"
        for one in code.serving
    )
    if not code.complete:
        return cannot_tell(
            f"What the live code writes is taken from the declared contract. {code.why_partial}", *evidence
        )
    return ok("The live code was read.", *evidence, *code.gaps)


@check(
    Hop.CODE,
    "Do production builds pass?",
    rests_on="deployments",
    would_change="A production build that ends READY.",
)
def builds_pass(facts: Facts) -> CheckResult:
    unended = [d for d in production(facts) if d.state not in BUILT]
    ended = [d for d in production(facts) if d.state in BUILT]
    notes = [f"{(d.sha or 'upload')[:7]} at {facts.clock(d.created_at)}: {d.state.value.lower()}" for d in unended]
    if not ended:
        return not_applicable("No production build has finished.", *notes)
    newest = ended[0]
    failed = next((i for i, d in enumerate(ended) if d.state is DeploymentState.READY), len(ended))
    if not failed:
        return ok(
            "The newest finished production build passed.",
            f"{(newest.sha or 'upload')[:7]} at {facts.clock(newest.created_at)}",
            *(note for d, note in zip(unended, notes, strict=True) if d.created_at > newest.created_at),
        )
    log = facts.value(facts.snapshot.build_log)
    first_error = log.first_error if log and log.deployment_id == newest.id else None
    evidence = (
        *((f"first error: {first_error.text}",) if first_error else ()),
        *((f"Vercel says: {newest.error_message}",) if newest.error_message else ()),
        f"{(newest.sha or 'upload')[:7]} at {facts.clock(newest.created_at)}",
    )
    times = f"The last {failed} production builds failed" if failed > 1 else "The newest production build failed"
    told = f"{first_error.text if first_error else ''} {newest.error_message or ''}"
    if is_transient(told):
        return warn(f"{times} because of a fault outside the code: building again may succeed.", *evidence)
    return fail(f"{times}.", *evidence)


@check(
    Hop.CODE,
    "Do finished builds go live?",
    rests_on="project",
    would_change="A promotion, which also lets new builds go live automatically again.",
)
def nothing_waits(facts: Facts) -> CheckResult:
    project = facts.need(facts.snapshot.project)
    live = [s.hostname.deployment for s in _servings(facts) if s.hostname.deployment]
    facts.need(facts.snapshot.deployments)
    waits = waiting(facts)
    pinned = project.auto_assign_custom_domains is False
    evidence = tuple(f"{(d.sha or 'upload')[:7]} is ready since {facts.clock(d.ready_at)}" for d in waits if d.ready_at)
    note = project.rollback_note
    if note and pinned:
        evidence += (f"rolled back by {note.username or 'someone'}: “{note.description or 'no reason given'}”",)
    if move := under_way(facts):
        since = (f"asked for at {facts.clock(move.since)}",) if move.since else ()
        return warn(move.message, *since, *evidence)
    if waits and pinned:
        return fail("Newer builds are ready and wait for promotion: production is pinned.", *evidence)
    if waits:
        return fail("A newer build is ready, but production still serves an older one.", *evidence)
    if pinned:
        return warn("New builds do not go live automatically: production is pinned.", *evidence)
    if not live:
        return cannot_tell("What is live is unknown, so what waits for promotion is too.")
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Whether new builds go live automatically is unknown: Vercel does not say.")
    return ok("No finished build waits for promotion.")


@check(
    Hop.CODE,
    "Does a push reach Vercel?",
    rests_on="project",
    would_change="The right repository and branch in Vercel's Git settings, and a push that is built.",
)
def git_integration(facts: Facts) -> CheckResult:
    project = facts.need(facts.snapshot.project)
    if project.link is None:
        return fail("The Vercel project is not connected to a Git repository: a push builds nothing.")
    branch = project.link.production_branch or "not said"
    evidence = [f"Vercel builds {project.link.full_name}, production branch {branch}"]
    repository = facts.value(facts.snapshot.repository)
    is_ours = None if repository is None else project.link.is_to(repository)
    if repository is not None and is_ours is False:
        return fail("Vercel builds a different repository.", *evidence, f"ours is {repository.full_name}")
    if change := branch_change(facts):
        if required_is_live(facts) is True:
            return warn(change.message, *evidence, "the required commit is live all the same")
        return fail(change.message, *evidence)
    push = None if required_is_live(facts) else push_of_required(facts)
    if push is not None and (result := _not_reached(facts, push, evidence)):
        return result
    if repository is None:
        return cannot_tell("The project is connected; whether to the right repository needs GitHub.", *evidence)
    if is_ours is None:
        return cannot_tell("Which repository Vercel builds cannot be told.", *evidence)
    return ok("Vercel builds our repository and branch.", *evidence)


def _not_reached(facts: Facts, push: Push, evidence: list[str]) -> CheckResult | None:
    """Return what is to be said of a push that Vercel did not build; None where it did, or none is due."""
    if push.state is PushState.REFUSED:
        return fail(push.message, *evidence)
    if push.state is PushState.UNHEARD:
        return fail("The newest commit never reached Vercel.", *evidence, push.message)
    return cannot_tell(push.message, *evidence) if push.state is PushState.UNKNOWN else None


@check(
    Hop.CODE,
    "Does the serving build have its environment variables?",
    rests_on="env_names",
    would_change="The variables set for Production, and a build after that.",
)
def required_env(facts: Facts) -> CheckResult:
    return required_environment(facts)


@check(
    Hop.CODE,
    "Did GitHub Actions pass?",
    rests_on="runs",
    would_change="Actions passing for the required commit.",
)
def actions_pass(facts: Facts) -> CheckResult:
    runs = facts.need(facts.snapshot.runs)
    if not runs:
        return not_applicable("No GitHub Actions ran for the required commit.")
    by_outcome = {outcome: [run for run in runs if run.outcome is outcome] for outcome in RunOutcome}
    if failed := by_outcome[RunOutcome.NOT_PASSED]:
        ended = (f"{run.name}: {(run.conclusion or '').replace('_', ' ')}" for run in failed)
        return warn(f"{counted(len(failed), 'Actions run')} did not pass for the required commit.", *ended)
    if waits := by_outcome[RunOutcome.RUNNING]:
        return warn("Actions are still running for the required commit.", *(run.name for run in waits))
    if unknown := by_outcome[RunOutcome.UNKNOWN]:
        said = (f"{run.name}: status {run.status}, conclusion {run.conclusion}" for run in unknown)
        return cannot_tell(
            "Whether Actions passed for the required commit cannot be told from what GitHub says.", *said
        )
    facts.need_complete(facts.snapshot.runs)
    return ok("Actions passed for the required commit.")
