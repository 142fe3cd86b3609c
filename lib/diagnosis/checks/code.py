"""Which code runs? What each production hostname serves, whether the newest code got there, and why not."""

from __future__ import annotations

from lib.diagnosis import thresholds
from lib.diagnosis.builds import is_transient
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.checks.deployment_failure_modes import required_is_live
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.environment import required_environment
from lib.diagnosis.facts import Facts
from lib.diagnosis.serving import CommitPosition, Serving
from lib.formatting import counted
from lib.model.deployments import Deployment, DeploymentState, same_commit
from lib.model.verdict import Hop

# A build that ended by itself: one that was skipped, cancelled or refused never tried.
_BUILT = (DeploymentState.READY, DeploymentState.ERROR)


def production(facts: Facts) -> list[Deployment]:
    """Return the production deployments, newest first. Raises `CannotTellError`."""
    return [d for d in facts.need(facts.snapshot.deployments) if d.target == "production"]


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
        return fail("The project has no production hostname.")
    evidence = tuple(_message(facts, serving) for serving in servings)
    required_message = f"required commit {required.sha[:7]} ({required.taken_from.value.replace('_', ' ')})"
    behind = [s for s in servings if s.position.contains_required is False]
    unknown = [s for s in servings if s.position is CommitPosition.UNKNOWN]
    building = [
        d
        for d in facts.value(facts.snapshot.deployments) or ()
        if d.state.in_progress and same_commit(d.sha, required.sha)
    ]
    if behind and building:
        return warn("The required commit is being built just now.", required_message, *evidence)
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


def _message(facts: Facts, serving: Serving) -> str:
    host = serving.hostname
    if serving.position is CommitPosition.UNKNOWN:
        return f"{host.name}: unknown ({serving.why_unknown})"
    since = f" since {facts.clock(host.alias_moved_at)}" if host.alias_moved_at else ""
    where = {
        CommitPosition.SAME: "the required commit",
        CommitPosition.NEWER: "newer than the required commit",
        CommitPosition.BEHIND: f"{counted(serving.behind_by or 0, 'commit')} behind",
        CommitPosition.ELSEWHERE: "on another branch",
    }[serving.position]
    return f"{host.name}: {(host.serving_commit or '')[:7]}{since}, {where}"


@check(
    Hop.CODE,
    "Does the code that runs contain the fix?",
    rests_on="hostnames",
    would_change="A build that contains the fix taking over every hostname.",
)
def fix_live(facts: Facts) -> CheckResult:
    running = facts.running_code
    if facts.code.complete and not running.after_fix:
        refused = [one for one in facts.code.on_flow if (one.table, one.column) == ("messages", "customer_id")]
        if not refused:
            return not_applicable("The code that is served keeps no text with its booking, and loses none by that.")
        return fail(
            "The code that is served is from before the fix: it cannot record a text for a new customer.",
            *map(misfit_line, refused),
        )
    if running.after_fix is None:
        _servings(facts)
        facts.need(facts.snapshot.branch)
        return cannot_tell("Whether the code that is served contains the fix cannot be told from its commits.")
    if not running.after_fix:
        return fail("The code that is served is from before the fix: it cannot record a text for a new customer.")
    since = f" since {facts.clock(running.since)}" if running.since else ""
    return ok(f"The code that is served contains the fix{since}.")


@check(
    Hop.CODE,
    "Could the code that is served be read?",
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
            f"What the served code writes is taken from what was declared of it. {code.why_partial}", *evidence
        )
    return ok("The code that is served was read.", *evidence, *code.gaps)


@check(
    Hop.CODE,
    "Do production builds pass?",
    rests_on="deployments",
    would_change="A production build that ends READY.",
)
def builds_pass(facts: Facts) -> CheckResult:
    unended = [d for d in production(facts) if d.state not in _BUILT]
    ended = [d for d in production(facts) if d.state in _BUILT]
    notes = [f"{(d.sha or 'upload')[:7]} at {facts.clock(d.created_at)}: {d.state.value.lower()}" for d in unended]
    if not ended:
        return not_applicable("No production build came to an end.", *notes)
    newest = ended[0]
    failed = next((i for i, d in enumerate(ended) if d.state is DeploymentState.READY), len(ended))
    if not failed:
        return ok(
            "The newest production build that came to an end passed.",
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
        return warn(f"{times}, by a fault outside the code: building again may succeed.", *evidence)
    return fail(f"{times}.", *evidence)


@check(
    Hop.CODE,
    "Does what is ready become live?",
    rests_on="project",
    would_change="A promotion, which also lets new builds become live by themselves again.",
)
def nothing_waits(facts: Facts) -> CheckResult:
    project = facts.need(facts.snapshot.project)
    live = [s.hostname.deployment for s in _servings(facts) if s.hostname.deployment]
    oldest = min((d.created_at for d in live), default=None)
    settled = facts.now - thresholds.ALIAS_SETTLES
    waiting = [
        d
        for d in production(facts)
        if d.state is DeploymentState.READY
        and oldest is not None
        and d.created_at > oldest
        and any(d.id != served.id for served in live)
        and (d.ready_at is None or d.ready_at <= settled)
    ]
    pinned = project.auto_assign_custom_domains is False
    evidence = tuple(
        f"{(d.sha or 'upload')[:7]} is ready since {facts.clock(d.ready_at)}" for d in waiting if d.ready_at
    )
    note = project.rollback_note
    if note and pinned:
        evidence += (f"rolled back by {note.username or 'someone'}: “{note.description or 'no reason given'}”",)
    if waiting and pinned:
        return fail("Newer builds are ready and wait for promotion: production is pinned.", *evidence)
    if waiting:
        return fail("A newer build is ready, and production still serves an older one.", *evidence)
    if pinned:
        return warn("New builds will not become live by themselves: production is pinned.", *evidence)
    if not live:
        return cannot_tell("What is live is unknown, and with it what waits.")
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Whether new builds become live by themselves is unknown: Vercel does not say.")
    return ok("Nothing that is ready waits for promotion.")


@check(
    Hop.CODE,
    "Does a push reach Vercel?",
    rests_on="project",
    would_change="The right repository and branch in Vercel's Git settings, and a push that is built.",
)
def git_integration(facts: Facts) -> CheckResult:
    project = facts.need(facts.snapshot.project)
    if project.link is None:
        return fail("The Vercel project is connected to no Git repository: a push builds nothing.")
    evidence = [f"Vercel builds {project.link.full_name}, production branch {project.link.production_branch}"]
    repository = facts.value(facts.snapshot.repository)
    if repository is not None:
        if project.link.repo_id is not None and project.link.repo_id != repository.id:
            return fail("Vercel builds another repository than ours.", *evidence, f"ours is {repository.full_name}")
        branch = project.link.production_branch
        if branch and branch != repository.default_branch:
            message = (
                f"Vercel takes production from the branch {branch}, and the work is on {repository.default_branch}."
            )
            if required_is_live(facts) is True:
                return warn(message, *evidence, "the required commit is live all the same")
            return fail(message, *evidence)
    unheard = _unheard_pushes(facts)
    if unheard:
        return fail("Vercel never heard of the newest commit.", *evidence, *unheard)
    if repository is None:
        return cannot_tell("The link is there; whether it is to the right repository needs GitHub.", *evidence)
    return ok("Vercel builds our repository and branch.", *evidence)


def _unheard_pushes(facts: Facts) -> tuple[str, ...]:
    """Return the signs that no deployment of the required commit was ever begun, if all of them agree."""
    if required_is_live(facts):
        return ()
    required = facts.need(facts.snapshot.required_commit)
    if any(same_commit(deployment.sha, required.sha) for deployment in facts.need(facts.snapshot.deployments)):
        return ()
    signs = facts.need(facts.snapshot.vercel_signs)
    if signs.status_state is not None or signs.has_check_suite or not required.on_branch:
        return ()
    if required.commit and facts.now - required.commit.committed_at < thresholds.PUSH_SETTLES:
        return ()
    return (f"no deployment of {required.sha[:7]}", "no status and no check of Vercel's app on it at GitHub")


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
        return not_applicable("No Actions ran for the required commit.")
    failed = [run for run in runs if run.conclusion in ("failure", "timed_out", "action_required")]
    if failed:
        return warn(
            f"{counted(len(failed), 'Actions run')} failed for the required commit.", *(run.name for run in failed)
        )
    waiting = [run for run in runs if run.status != "completed"]
    if waiting:
        return warn("Actions are still running for the required commit.", *(run.name for run in waiting))
    return ok("Actions passed for the required commit.")
