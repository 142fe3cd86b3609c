"""Why pushed code is not live: the known ways, each answered from the snapshot or "cannot tell: needs …".

The order is the order in which a push travels: GitHub, Vercel's ears, the build, the alias, the visitor.
Source of the ways: Vercel's and GitHub's API descriptions and the public threads of people they happened to.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, CheckSpec, cannot_tell, fail, not_applicable, ok, warn
from lib.diagnosis.environment import required_environment
from lib.diagnosis.facts import Facts
from lib.model.deployments import Deployment, DeploymentState, Hostname, Project, RequiredCommit, same_commit
from lib.model.reading import FailureKind
from lib.model.verdict import Hop

_WRONG_DOOR = (FailureKind.UNAUTHORIZED, FailureKind.FORBIDDEN, FailureKind.NOT_FOUND)


def _required(facts: Facts) -> RequiredCommit:
    return facts.need(facts.snapshot.required_commit)


def _project(facts: Facts) -> Project:
    return facts.need(facts.snapshot.project)


def _hosts(facts: Facts) -> list[Hostname]:
    return [host for host in facts.need(facts.snapshot.hostnames) if host.redirect_to is None]


def _of_required(facts: Facts) -> list[Deployment]:
    """The deployments of the required commit, newest first, for production where there are any."""
    sha = _required(facts).sha
    found = [d for d in facts.need(facts.snapshot.deployments) if same_commit(d.sha, sha)]
    return [d for d in found if d.target == "production"] or found


def required_is_live(facts: Facts) -> bool | None:
    """Whether every production hostname serves the required commit, or newer. None: cannot be told."""
    answers = {serving.position.contains_required for serving in facts.servings or ()}
    if False in answers:
        return False
    return None if None in answers or not answers else True


def _unless_live(answer: Callable[[Facts], CheckResult]) -> Callable[[Facts], CheckResult]:
    """A way in which code fails to become live cannot apply to code that is live."""

    def answer_or_skip(facts: Facts) -> CheckResult:
        return not_applicable("The required commit is live.") if required_is_live(facts) else answer(facts)

    return answer_or_skip


def _newest(facts: Facts) -> Deployment | None:
    return next(iter(_of_required(facts)), None)


def _about_newest(applies: Callable[[Deployment, Facts], str | None], otherwise: str) -> Callable[[Facts], CheckResult]:
    """A question about the newest deployment of the required commit: `applies` says how it is hit, or None."""

    def answer(facts: Facts) -> CheckResult:
        deployment = _newest(facts)
        if deployment is None:
            return not_applicable("There is no deployment of the required commit.")
        message = applies(deployment, facts)
        return ok(otherwise) if message is None else fail(message, f"deployment {deployment.id}")

    return _unless_live(answer)


def _nothing_wrong(facts: Facts) -> CheckResult:
    facts.need(facts.snapshot.hostnames)
    _required(facts)
    live = required_is_live(facts)
    if live is None:
        return cannot_tell("Needs the commit of every production hostname.")
    return ok("The required commit is live: look elsewhere.") if live else fail("The required commit is not live.")


def _reached_github(facts: Facts) -> CheckResult:
    required = _required(facts)
    if required.commit is None:
        return fail(f"GitHub does not know the commit {required.sha[:7]}: the push did not arrive.")
    return ok("The commit is on GitHub.")


def _on_branch(facts: Facts) -> CheckResult:
    required = _required(facts)
    if required.on_branch is None:
        return cannot_tell("Needs a comparison of the commit with the production branch.")
    return (
        ok("The production branch contains it.")
        if required.on_branch
        else fail("The commit is not on the production branch: merge it.")
    )


def _refused_by_rules(facts: Facts) -> CheckResult:
    if _required(facts).commit is not None:
        return ok("The push arrived, so no rule refused it.")
    return cannot_tell("Needs the log of refused pushes (rule suites; right: Administration).")


def _gated_by_checks(facts: Facts) -> CheckResult:
    if _required(facts).on_branch:
        return ok("It is merged, so nothing holds the merge.")
    waiting = [
        run for run in facts.need(facts.snapshot.runs) if run.status != "completed" or run.conclusion == "failure"
    ]
    if waiting:
        return warn("Actions that did not pass may hold the merge.", *(run.name for run in waiting))
    return cannot_tell("Needs the pull request's state (right: Pull requests, read).")


def _unheard(facts: Facts) -> CheckResult:
    required = _required(facts)
    if _of_required(facts):
        return ok("Vercel began a deployment of it.")
    if required.commit and facts.now - required.commit.committed_at < thresholds.PUSH_SETTLES:
        return warn("The push is only moments old.")
    signs = facts.need(facts.snapshot.vercel_signs)
    if signs.status_state is None and not signs.has_check_suite:
        return fail("Vercel left no sign of this commit: no deployment, no status, no check.")
    return warn("Vercel's app saw the commit, and there is no deployment of it.", signs.status_description or "")


def _disconnected(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.link is None:
        return fail("The project is connected to no repository.")
    repository = facts.need(facts.snapshot.repository)
    if project.link.repo_id is not None and project.link.repo_id != repository.id:
        return fail(f"The project builds {project.link.full_name}, which is not {repository.full_name}.")
    if project.link.repo_id is None:
        return cannot_tell("Vercel does not say the repository's numeric id.")
    return ok(f"The project builds {project.link.full_name}.")


def _branch_mismatch(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.link is None:
        return not_applicable("The project is connected to no repository.")
    deployments = _of_required(facts)
    branch = project.link.production_branch
    default = facts.need(facts.snapshot.repository).default_branch
    if deployments and all(deployment.target != "production" for deployment in deployments):
        return fail("It was built as a preview only.", f"production branch in Vercel: {branch}, at GitHub: {default}")
    if branch and branch != default:
        return fail(f"Vercel's production branch is {branch}, GitHub's is {default}.")
    return (
        ok("The production branch is the same on both sides.")
        if branch
        else cannot_tell("Vercel does not say its production branch.")
    )


def _git_deploys_off(facts: Facts) -> CheckResult:
    if _project(facts).policy_allows_git is False:
        return fail("The project's deployment policy excludes Git.")
    enabled = facts.need(facts.snapshot.vercel_signs).git_deployments_enabled
    if enabled is False:
        return fail("vercel.json switches Git deployments off.")
    return ok("Git deployments are on.") if enabled else cannot_tell("Needs vercel.json at the head of the branch.")


def _ignored(deployment: Deployment, facts: Facts) -> str | None:
    message = f"{deployment.error_link or ''} {deployment.error_message or ''}".lower()
    if deployment.state is not DeploymentState.CANCELED or "ignored" not in message:
        return None
    project = facts.value(facts.snapshot.project)
    command = project.ignore_command if project else None
    return f"Skipped by the ignored build step{f' “{command}”' if command else ''}."


def _unaffected(facts: Facts) -> CheckResult:
    if _of_required(facts):
        return ok("It was not skipped.")
    if _project(facts).skips_unaffected is None:
        return cannot_tell("Vercel does not say whether it skips unaffected projects.")
    if _project(facts).skips_unaffected:
        return warn("The project skips commits that touch nothing of it, and there is no deployment of this one.")
    return ok("The project does not skip unaffected commits.")


def _blocked(deployment: Deployment, _: Facts) -> str | None:
    if deployment.state is DeploymentState.BLOCKED or deployment.seat_block:
        return f"Its author may not deploy ({deployment.seat_block or 'blocked'})."
    return None


def _unsigned(deployment: Deployment, facts: Facts) -> str | None:
    named = "verified" in (deployment.error_message or "").lower()
    if deployment.state is DeploymentState.CANCELED and named:
        return "Cancelled because the commit is not signed."
    return None


def _cancelled(deployment: Deployment, facts: Facts) -> str | None:
    if deployment.state is not DeploymentState.CANCELED or _ignored(deployment, facts) or _unsigned(deployment, facts):
        return None
    newer = [d for d in facts.need(facts.snapshot.deployments) if d.created_at > deployment.created_at]
    return "It was superseded by a newer push." if newer else "Somebody cancelled it."


def _queued(deployment: Deployment, facts: Facts) -> str | None:
    if deployment.state not in (DeploymentState.QUEUED, DeploymentState.INITIALIZING):
        return None
    if deployment.waits_for_platform:
        return "It waits in Vercel's own queue."
    return f"It has been waiting for a build slot since {facts.clock(deployment.created_at)}."


def _slow(deployment: Deployment, facts: Facts) -> str | None:
    if deployment.state is not DeploymentState.BUILDING or deployment.building_at is None:
        return None
    took = [
        (d.ready_at - d.building_at).total_seconds()
        for d in facts.need(facts.snapshot.deployments)
        if d.ready_at and d.building_at
    ][: thresholds.RECENT_BUILDS]
    age = (facts.now - deployment.building_at).total_seconds()
    if took and age > thresholds.SLOW_BUILD * median(took):
        return f"It has been building for {age / 60:.0f} minutes; {median(took) / 60:.0f} are usual."
    return None


def _build_failed(deployment: Deployment, _: Facts) -> str | None:
    if deployment.state is not DeploymentState.ERROR:
        return None
    reason = (deployment.error_message or deployment.error_code or "no reason given").rstrip(".")
    memory = " It ran out of memory." if deployment.out_of_memory else ""
    return f"Its build failed: {reason}.{memory}"


def _limits(facts: Facts) -> CheckResult:
    if _of_required(facts):
        return ok("A deployment was begun, so no limit stopped it.")
    message = facts.need(facts.snapshot.vercel_signs).status_description or ""
    if "limit" in message.lower():
        return fail("Vercel says that a limit is reached.", message)
    return cannot_tell("Needs Vercel's answer to a new deployment.")


def _held_by_checks(deployment: Deployment, _: Facts) -> str | None:
    if deployment.alias_check_state in ("pending", "failed") or deployment.checks_state == "running":
        state = deployment.alias_check_state or deployment.checks_state
        return f"It is built, and held by a check ({state})."
    return None


def _rolled_back(facts: Facts) -> bool:
    """Whether production was rolled back. Raises `CannotTellError` where only the activity could say so."""
    project = _project(facts)
    last = project.last_alias_request
    if facts.rolled_back_at or project.rollback_note or (last and last.type == "rollback"):
        return True
    facts.need(facts.snapshot.vercel_events)
    return False


def _pinned(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Vercel does not say whether new builds become live by themselves.")
    if project.auto_assign_custom_domains is False and _rolled_back(facts):
        note = project.rollback_note
        who = f" by {note.username}" if note and note.username else ""
        since = f" since {facts.clock(facts.rolled_back_at)}" if facts.rolled_back_at else ""
        return fail(f"Production was rolled back{who}, and is pinned{since}.")
    return ok("Production is not pinned by a rollback.")


def _auto_assign_off(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Vercel does not say whether new builds become live by themselves.")
    if project.auto_assign_custom_domains is False and not _rolled_back(facts):
        by = f" by {project.auto_assign_updated_by}" if project.auto_assign_updated_by else ""
        return fail(f"New builds are staged and wait for promotion: going live by themselves was switched off{by}.")
    return ok("Promotion was not switched to manual.")


def _alias_failed(deployment: Deployment, facts: Facts) -> str | None:
    project = facts.value(facts.snapshot.project)
    last = project.last_alias_request if project else None
    if deployment.alias_error:
        return f"Its hostnames could not be moved: {deployment.alias_error}."
    if last and last.job_status == "failed" and last.to_deployment_id == deployment.id:
        return f"The last {last.type} failed."
    return None


def _alias_slow(deployment: Deployment, facts: Facts) -> str | None:
    waits = deployment.state is DeploymentState.READY and deployment.alias_assigned is False
    if deployment.substate == "STAGED":
        return None  # it waits for a promotion, not for the platform
    if (
        waits
        and deployment.ready_at
        and facts.now - deployment.ready_at > thresholds.ALIAS_SETTLES
        and not deployment.alias_error
    ):
        return f"It is ready since {facts.clock(deployment.ready_at)}, and its hostnames are not assigned."
    return None


def _older_took_domain(facts: Facts) -> CheckResult:
    promoted = [d for d in _of_required(facts) if d.substate == "PROMOTED" and d.ready_at]
    for host in _hosts(facts):
        for wanted in promoted:
            took_over = host.alias_moved_at and wanted.ready_at and host.alias_moved_at > wanted.ready_at
            if host.deployment and host.deployment.created_at < wanted.created_at and took_over:
                return fail(f"An older build finished later and took {host.name} back.")
    return ok("No older build took a hostname back.")


def _rolling(facts: Facts) -> CheckResult:
    active = _project(facts).rolling_release_active
    if active is None:
        return cannot_tell("Needs the project's rolling release.")
    return fail("A rolling release is on: two commits are live.") if active else ok("No rolling release is on.")


def _other_project(facts: Facts) -> CheckResult:
    project = _project(facts)
    foreign = [h.name for h in _hosts(facts) if h.alias_project_id and h.alias_project_id != project.id]
    gone = [
        h.name for h in _hosts(facts) if h.failure and h.failure.kind in (FailureKind.NOT_FOUND, FailureKind.FORBIDDEN)
    ]
    if foreign or gone:
        return fail("A hostname belongs to another project, or to nobody.", *foreign, *gone)
    if any(host.alias_project_id is None for host in _hosts(facts)):
        return cannot_tell("Needs the project that each hostname's alias belongs to.")
    return ok("Every hostname belongs to this project.")


def _dns(facts: Facts) -> CheckResult:
    hosts = _hosts(facts)
    wrong = [host.name for host in hosts if host.dns_misconfigured]
    if wrong:
        return fail("DNS does not lead to Vercel.", *wrong)
    if any(host.dns_misconfigured is None for host in hosts):
        return cannot_tell("Needs Vercel's look at the DNS of each hostname.")
    return ok("DNS leads to Vercel.")


def _wrong_door(facts: Facts) -> CheckResult:
    failure = facts.snapshot.project.failure
    if failure is not None and failure.kind in _WRONG_DOOR:
        return fail("The desk does not get at this project: token, team or project are wrong.", failure.sentence)
    _project(facts)
    return ok("The desk looks at the project that it is set to.")


def _paused(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.paused or project.live is False:
        return fail("The project is paused.")
    return cannot_tell("Vercel does not say.") if project.paused is None else ok("The project is not paused.")


def _cached(facts: Facts) -> CheckResult:
    said = facts.need(facts.snapshot.app_health).commit
    if said is None:
        return cannot_tell("Needs the booking app to say which commit it runs.")
    serving = {host.serving_commit for host in _hosts(facts)}
    if None in serving:
        return cannot_tell("Needs the commit of every production hostname.")
    if any(same_commit(said, sha) for sha in serving):
        return ok("The app itself says that it runs the serving commit.")
    return fail("The app answers with another commit than its hostname serves: a cache stands between.", said[:7])


def _by_hand(facts: Facts) -> CheckResult:
    for host in _hosts(facts):
        deployment = host.deployment
        if deployment and (deployment.sha is None or deployment.source == "cli"):
            return fail(f"{host.name} serves an upload by hand.", f"by {deployment.creator or 'somebody'}")
    if any(host.deployment is None for host in _hosts(facts)):
        return cannot_tell("Needs the deployment of every production hostname.")
    return ok("What is served came from Git.")


def _crons(facts: Facts) -> CheckResult:
    return cannot_tell("Needs the deployment's schedule beside vercel.json; the desk does not read it.")


def _reason(
    number: int, slug: str, question: str, rests_on: str, would_change: str, answer: Callable[[Facts], CheckResult]
) -> CheckSpec:
    return CheckSpec(f"reason_{number:02d}_{slug}", Hop.CODE, question, rests_on, would_change, answer)


QUESTIONS = (
    _reason(
        0,
        "nothing_wrong",
        "Is anything wrong at all?",
        "hostnames",
        "The required commit becoming live.",
        _nothing_wrong,
    ),
    _reason(
        1,
        "not_at_github",
        "Did the commit reach GitHub?",
        "required_commit",
        "The push arriving.",
        _unless_live(_reached_github),
    ),
    _reason(
        2, "other_branch", "Is it on the production branch?", "required_commit", "Merging it.", _unless_live(_on_branch)
    ),
    _reason(
        3,
        "refused_by_rules",
        "Did a rule refuse the push?",
        "rules",
        "A pull request, or an admin.",
        _unless_live(_refused_by_rules),
    ),
    _reason(
        4, "gated_by_checks", "Do checks hold the merge?", "runs", "The checks passing.", _unless_live(_gated_by_checks)
    ),
    _reason(
        5,
        "unheard",
        "Did Vercel hear of the push?",
        "vercel_signs",
        "A deployment of it; reconnecting the repository.",
        _unless_live(_unheard),
    ),
    _reason(
        6, "disconnected", "Is the project connected to our repository?", "project", "Connecting it.", _disconnected
    ),
    _reason(
        7,
        "branch_mismatch",
        "Is the production branch the same on both sides?",
        "project",
        "Correcting the setting.",
        _branch_mismatch,
    ),
    _reason(
        8,
        "git_deploys_off",
        "Are Git deployments on?",
        "vercel_signs",
        "Switching them on.",
        _unless_live(_git_deploys_off),
    ),
    _reason(
        9,
        "ignored_step",
        "Did the ignored build step skip it?",
        "deployments",
        "Correcting the command.",
        _about_newest(_ignored, "The ignored build step did not skip it."),
    ),
    _reason(
        10, "unaffected", "Was it skipped as unaffected?", "project", "A forced deployment.", _unless_live(_unaffected)
    ),
    _reason(
        11,
        "author_blocked",
        "May its author deploy?",
        "deployments",
        "A seat for the author, or a redeploy by the owner.",
        _about_newest(_blocked, "Its author may deploy."),
    ),
    _reason(
        12,
        "unsigned",
        "Was it cancelled as unsigned?",
        "deployments",
        "A signed commit.",
        _about_newest(_unsigned, "It was not cancelled as unsigned."),
    ),
    _reason(
        13,
        "cancelled",
        "Was it cancelled?",
        "deployments",
        "A new build.",
        _about_newest(_cancelled, "Nobody cancelled it."),
    ),
    _reason(
        14,
        "queued",
        "Does it wait for a build slot?",
        "deployments",
        "A free slot.",
        _about_newest(_queued, "It does not wait."),
    ),
    _reason(
        15,
        "slow_build",
        "Does its build take too long?",
        "deployments",
        "The build ending.",
        _about_newest(_slow, "It does not build slowly."),
    ),
    _reason(
        16,
        "build_failed",
        "Did its build fail?",
        "deployments",
        "A build that passes.",
        _about_newest(_build_failed, "Its build did not fail."),
    ),
    _reason(17, "limits", "Is a limit reached?", "vercel_signs", "The limit's reset.", _unless_live(_limits)),
    _reason(
        18,
        "held_by_checks",
        "Do deployment checks hold it?",
        "deployments",
        "The checks ending.",
        _about_newest(_held_by_checks, "No check holds it."),
    ),
    _reason(19, "rollback_pin", "Is production pinned by a rollback?", "project", "Promoting a deployment.", _pinned),
    _reason(
        20,
        "auto_assign_off",
        "Was promotion switched to manual?",
        "project",
        "Promoting a deployment.",
        _auto_assign_off,
    ),
    _reason(
        21,
        "alias_failed",
        "Did moving a hostname fail?",
        "deployments",
        "Promoting again.",
        _about_newest(_alias_failed, "No hostname failed to move."),
    ),
    _reason(
        22,
        "alias_slow",
        "Is the domain assignment pending?",
        "deployments",
        "The assignment, or a promotion.",
        _about_newest(_alias_slow, "Nothing is pending."),
    ),
    _reason(
        23,
        "older_took_domain",
        "Did an older build take the domain back?",
        "hostnames",
        "Promoting the newer one.",
        _unless_live(_older_took_domain),
    ),
    _reason(24, "rolling_release", "Is a rolling release on?", "project", "Its end.", _rolling),
    _reason(
        25,
        "other_project",
        "Do the hostnames belong to this project?",
        "hostnames",
        "Moving the domain.",
        _other_project,
    ),
    _reason(26, "dns", "Does DNS lead to Vercel?", "hostnames", "Correcting the DNS records.", _dns),
    _reason(
        27,
        "wrong_door",
        "Does the desk look at the right project?",
        "project",
        "The right token, team and project.",
        _wrong_door,
    ),
    _reason(28, "paused", "Is the project paused?", "project", "Resuming it.", _paused),
    _reason(
        29,
        "env",
        "Does the serving build have its variables?",
        "env_names",
        "Setting them, and a new build.",
        required_environment,
    ),
    _reason(30, "cached", "Does a cache show older pages?", "app_health", "Purging it.", _cached),
    _reason(31, "by_hand", "Was it overwritten by hand?", "hostnames", "Deploying the commit again.", _by_hand),
    _reason(32, "schedule", "Is a scheduled job on older code?", "deployments", "Reading the schedule.", _crons),
)
