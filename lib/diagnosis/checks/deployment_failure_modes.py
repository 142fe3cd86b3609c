"""Why pushed code is not live: the known ways, each answered from the snapshot or "cannot tell: needs …".

The order is the order in which a push travels: GitHub, Vercel's ears, the build, the alias, the visitor.
Source of the ways: Vercel's and GitHub's API descriptions and the public threads of people they happened to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from statistics import median

from lib.diagnosis import thresholds
from lib.diagnosis.builds import Stop, why_stopped, words_of_vercel
from lib.diagnosis.check_api import CheckFunction, CheckResult, CheckSpec, cannot_tell, fail, not_applicable, ok, warn
from lib.diagnosis.environment import required_environment
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.live_deployment import is_paused
from lib.diagnosis.moves import ROLLING_RELEASE, under_way
from lib.diagnosis.production_branch import branch_change
from lib.diagnosis.pushes import PushState, push_of_required
from lib.model.deployments import (
    Deployment,
    DeploymentState,
    Hostname,
    Project,
    RequiredCommit,
    RunOutcome,
    same_commit,
)
from lib.model.reading import FailureKind
from lib.model.verdict import Hop

# The ids of the failure modes begin with it.
FAILURE_MODE_PREFIX = "reason_"
NO_HOSTNAME = "Vercel lists no production hostname with a deployment, so what is live cannot be told."
_UNEXPLAINED = "It was cancelled; the reason is not known."
_WRONG_DOOR = (FailureKind.UNAUTHORIZED, FailureKind.FORBIDDEN, FailureKind.NOT_FOUND)


def _required(facts: Facts) -> RequiredCommit:
    return facts.need(facts.snapshot.required_commit)


def _project(facts: Facts) -> Project:
    return facts.need(facts.snapshot.project)


def _hosts(facts: Facts) -> list[Hostname]:
    """The production hostnames that serve something. Raises `CannotTellError` where none is listed."""
    hosts = [host for host in facts.need(facts.snapshot.hostnames) if host.redirect_to is None]
    if not hosts:
        raise CannotTellError(facts.snapshot.hostnames, NO_HOSTNAME)
    return hosts


def _of_required(facts: Facts) -> list[Deployment]:
    """The deployments of the required commit, newest first, for production where there are any."""
    sha = _required(facts).sha
    found = [d for d in facts.need(facts.snapshot.deployments) if same_commit(d.commit, sha)]
    found.sort(key=lambda d: d.created_at, reverse=True)
    return [d for d in found if d.target == "production"] or found


def required_is_live(facts: Facts) -> bool | None:
    """Whether every production hostname serves the required commit, or newer. None: cannot be told."""
    answers = {serving.position.contains_required for serving in facts.servings or ()}
    if False in answers:
        return False
    # A hostname that was not read may serve something else.
    return None if None in answers or not answers or facts.snapshot.hostnames.truncated else True


def _newest(facts: Facts) -> Deployment | None:
    return next(iter(_of_required(facts)), None)


def _rolled_back(facts: Facts) -> bool:
    """Whether production was rolled back. Raises `CannotTellError` where only the activity could say so."""
    project = _project(facts)
    last = project.last_alias_request
    if facts.rolled_back_at or project.rollback_note or (last and last.type == "rollback"):
        return True
    facts.need(facts.snapshot.vercel_events)
    return False


def _is_unexplained(deployment: Deployment) -> bool:
    """Whether it was stopped without a word of Vercel why: the list of deployments carries no reason."""
    stopped = deployment.state in (DeploymentState.CANCELED, DeploymentState.BLOCKED)
    silent = not words_of_vercel(deployment) and not deployment.error_link and not deployment.seat_block
    return stopped and silent


def failure_mode(
    number: int, question: str, *, rests_on: str, would_change: str
) -> Callable[[CheckFunction], CheckSpec]:
    """Make the decorated function the check of one failure mode; its id carries the number."""

    def spec(answer: CheckFunction) -> CheckSpec:
        return CheckSpec(
            f"{FAILURE_MODE_PREFIX}{number:02d}_{answer.__name__}", Hop.CODE, question, rests_on, would_change, answer
        )

    return spec


def unless_live(answer: CheckFunction) -> CheckFunction:
    """Do not ask why code is not live where it is."""

    @wraps(answer)
    def answer_or_skip(facts: Facts) -> CheckResult:
        return not_applicable("The required commit is live.") if required_is_live(facts) else answer(facts)

    return answer_or_skip


Applies = Callable[[Deployment, Facts], str | CheckResult | None]


def about_newest(*, otherwise: str) -> Callable[[Applies], CheckFunction]:
    """Ask of the newest deployment of the required commit: the function says how it was hit, or returns None."""

    def wrapped(applies: Applies) -> CheckFunction:
        @wraps(applies)
        def answer(facts: Facts) -> CheckResult:
            deployment = _newest(facts)
            if deployment is None:
                return not_applicable("There is no deployment of the required commit.")
            if deployment.state is DeploymentState.UNKNOWN:
                return cannot_tell("Vercel gives its deployment a state that is not known.")
            found = applies(deployment, facts)
            if isinstance(found, CheckResult):
                return found
            return ok(otherwise) if found is None else fail(found, f"deployment {deployment.id}")

        return unless_live(answer)

    return wrapped


@failure_mode(0, "Is anything wrong at all?", rests_on="hostnames", would_change="The required commit going live.")
def nothing_wrong(facts: Facts) -> CheckResult:
    _hosts(facts)
    _required(facts)
    live = required_is_live(facts)
    if live is None:
        return cannot_tell("Needs the commit of every production hostname.")
    return ok("The required commit is live.") if live else fail("The required commit is not live.")


@failure_mode(1, "Did the commit reach GitHub?", rests_on="required_commit", would_change="The push arriving.")
@unless_live
def not_at_github(facts: Facts) -> CheckResult:
    required = _required(facts)
    if required.commit is None:
        return fail(f"The commit {required.sha[:7]} is not on GitHub: the push did not arrive.")
    return ok("The commit is on GitHub.")


@failure_mode(2, "Is it on the production branch?", rests_on="required_commit", would_change="Merging it.")
@unless_live
def other_branch(facts: Facts) -> CheckResult:
    required = _required(facts)
    if required.on_branch is None:
        return cannot_tell("Needs a comparison of the commit with the production branch.")
    if required.on_branch:
        return ok("The production branch contains it.")
    if required.commit is None:
        return fail("The commit is not on the production branch: it is not on GitHub.")
    return _merged(facts, required)


def _merged(facts: Facts, required: RequiredCommit) -> CheckResult:
    """Say of a commit that the branch does not contain whether what its pull request became is on it."""
    branch = facts.value(facts.snapshot.branch)
    if required.merged_as and branch is not None:
        found = branch.contains(branch.head.sha, required.merged_as)
        if found is None:
            return cannot_tell("Needs a comparison of what was merged with the production branch.")
        if found:
            return ok(f"The production branch holds its change, merged as {required.merged_as[:7]}.")
    if not required.pulls_read:
        return cannot_tell(
            "The branch does not contain the commit itself. Whether a squash merge took its change in needs its pull "
            "requests (right: Pull requests, read)."
        )
    return fail("The commit is not on the production branch: merge it.")


@failure_mode(3, "Did a rule refuse the push?", rests_on="rules", would_change="A pull request, or an admin.")
@unless_live
def refused_by_rules(facts: Facts) -> CheckResult:
    if _required(facts).commit is not None:
        return ok("The push arrived, so no rule refused it.")
    return cannot_tell("Needs the log of refused pushes (rule suites; right: Administration).")


@failure_mode(4, "Do checks hold the merge?", rests_on="runs", would_change="The checks passing.")
@unless_live
def gated_by_checks(facts: Facts) -> CheckResult:
    if _required(facts).on_branch or _required(facts).merged_as:
        return ok("It is merged, so nothing holds the merge.")
    in_the_way = (RunOutcome.NOT_PASSED, RunOutcome.RUNNING)
    waiting = [run for run in facts.need(facts.snapshot.runs) if run.outcome in in_the_way]
    if waiting:
        return warn("Actions that did not pass may hold the merge.", *(run.name for run in waiting))
    return cannot_tell("Needs the pull request's state (right: Pull requests, read).")


@failure_mode(
    5,
    "Did the push reach Vercel?",
    rests_on="vercel_signs",
    would_change="A deployment of it; reconnecting the repository.",
)
@unless_live
def unheard(facts: Facts) -> CheckResult:
    push = push_of_required(facts)
    match push.state:
        case PushState.BUILT:
            return ok(push.message)
        case PushState.REFUSED | PushState.UNHEARD:
            return fail(push.message)
        case PushState.RECENT | PushState.SEEN:
            return warn(push.message, facts.need(facts.snapshot.vercel_signs).status_description or "")
        case PushState.NOT_DUE:
            return not_applicable(push.message)
    return cannot_tell(push.message)


@failure_mode(6, "Is the project connected to our repository?", rests_on="project", would_change="Connecting it.")
def disconnected(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.link is None:
        return fail("The project is not connected to a repository.")
    repository = facts.need(facts.snapshot.repository)
    is_ours = project.link.is_to(repository)
    if is_ours is None:
        return cannot_tell(f"The project builds {project.link.full_name}; Vercel gives no id to tell it by.")
    if not is_ours:
        return fail(f"The project builds {project.link.full_name}, which is not {repository.full_name}.")
    return ok(f"The project builds {project.link.full_name}.")


@failure_mode(
    7, "Is production built from the right branch?", rests_on="project", would_change="Correcting the setting."
)
def branch_mismatch(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.link is None:
        return not_applicable("The project is not connected to a repository.")
    branch, default = project.link.production_branch, facts.need(facts.snapshot.repository).default_branch
    if change := branch_change(facts):
        return fail(change.message, f"default branch at GitHub: {default}")
    deployments = [] if required_is_live(facts) else _of_required(facts)
    if deployments and all(deployment.target != "production" for deployment in deployments):
        built_from = f", from {deployments[0].branch}" if deployments[0].branch else ""
        return fail(
            f"It was built as a preview only{built_from}.", f"production branch in Vercel: {branch or 'not said'}"
        )
    if branch is None:
        return cannot_tell("Vercel does not say its production branch.")
    other = f" The repository's default branch is {default}, which is fine." if branch != default else ""
    return ok(f"Production is built from {branch}.{other}")


@failure_mode(8, "Are Git deployments on?", rests_on="vercel_signs", would_change="Switching them on.")
@unless_live
def git_deploys_off(facts: Facts) -> CheckResult:
    if any(deployment.source == "git" for deployment in _of_required(facts)):
        return ok("Git deployments are on: the push was built.")
    if _project(facts).policy_allows_git is False:
        return fail("The project's deployment policy lets no push build production.")
    enabled = facts.need(facts.snapshot.vercel_signs).git_deployments_enabled
    if enabled is False:
        return fail("vercel.json switches Git deployments off for this branch.")
    if _project(facts).policy_unclear:
        return cannot_tell("The project has a deployment policy; whether it lets our pushes in cannot be told.")
    return ok("Git deployments are on.") if enabled else cannot_tell("Needs vercel.json at the head of the branch.")


@failure_mode(9, "Did the ignored build step skip it?", rests_on="deployments", would_change="Correcting the command.")
@about_newest(otherwise="The ignored build step did not skip it.")
def ignored_step(deployment: Deployment, facts: Facts) -> str | CheckResult | None:
    if why_stopped(deployment) is Stop.IGNORED_STEP:
        project = facts.value(facts.snapshot.project)
        command = project.ignore_command if project else None
        return f"Skipped by the ignored build step{f' “{command}”' if command else ''}."
    if deployment.state is DeploymentState.CANCELED and _is_unexplained(deployment):
        return cannot_tell(_UNEXPLAINED)
    return None


@failure_mode(10, "Was it skipped as unaffected?", rests_on="project", would_change="A forced deployment.")
@unless_live
def unaffected(facts: Facts) -> CheckResult:
    if _of_required(facts):
        return ok("It was not skipped.")
    if _project(facts).skips_unaffected is None:
        return cannot_tell("Vercel does not say whether it skips unaffected projects.")
    if _project(facts).skips_unaffected:
        return warn("The project skips commits that do not touch it, and there is no deployment of this one.")
    return ok("The project does not skip unaffected commits.")


@failure_mode(
    11,
    "May its author deploy?",
    rests_on="deployments",
    would_change="A seat for the author, or a redeploy by the owner.",
)
@about_newest(otherwise="Its author may deploy.")
def author_blocked(deployment: Deployment, _: Facts) -> str | None:
    words, stop = words_of_vercel(deployment), why_stopped(deployment)
    if stop is Stop.AUTHOR or deployment.seat_block:
        return f"Its author may not deploy: {words or deployment.seat_block}."
    if deployment.state is DeploymentState.BLOCKED and stop is None:
        return f"Vercel blocked it: “{words}”." if words else "Vercel blocked it; the reason is not known."
    return None


@failure_mode(12, "Was it cancelled as unsigned?", rests_on="deployments", would_change="A signed commit.")
@about_newest(otherwise="It was not cancelled as unsigned.")
def unsigned(deployment: Deployment, _: Facts) -> str | CheckResult | None:
    if why_stopped(deployment) is Stop.UNVERIFIED:
        stopped = "Cancelled" if deployment.state is DeploymentState.CANCELED else "Refused"
        return f"{stopped} because the commit is not signed."
    return cannot_tell("Why it was stopped is not known.") if _is_unexplained(deployment) else None


@failure_mode(13, "Was it cancelled?", rests_on="deployments", would_change="A new build.")
@about_newest(otherwise="It was not cancelled.")
def cancelled(deployment: Deployment, facts: Facts) -> str | CheckResult | None:
    if deployment.state is not DeploymentState.CANCELED:
        return None
    if why_stopped(deployment):
        return ok("It was cancelled, for a reason given by another check.")
    words = words_of_vercel(deployment)
    later = [
        d
        for d in facts.need(facts.snapshot.deployments)
        if d.created_at > deployment.created_at and (d.branch, d.target) == (deployment.branch, deployment.target)
    ]
    since = f" A newer build of {deployment.branch} was begun since." if later and deployment.branch else ""
    return (f"It was cancelled: “{words}”." if words else _UNEXPLAINED) + since


@failure_mode(14, "Does it wait for a build slot?", rests_on="deployments", would_change="A free slot.")
@about_newest(otherwise="It is not waiting.")
def queued(deployment: Deployment, facts: Facts) -> str | None:
    if deployment.state not in (DeploymentState.QUEUED, DeploymentState.INITIALIZING):
        return None
    if deployment.waits_for_platform:
        return "It is in Vercel's queue."
    return f"It has been waiting for a build slot since {facts.clock(deployment.created_at)}."


@failure_mode(15, "Does its build take too long?", rests_on="deployments", would_change="The build ending.")
@about_newest(otherwise="Its build is not slow.")
def slow_build(deployment: Deployment, facts: Facts) -> str | None:
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


@failure_mode(16, "Did its build fail?", rests_on="deployments", would_change="A build that passes.")
@about_newest(otherwise="Its build did not fail.")
def build_failed(deployment: Deployment, _: Facts) -> str | None:
    if deployment.state is not DeploymentState.ERROR:
        return None
    reason = (deployment.error_message or deployment.error_code or "no reason given").rstrip(".")
    memory = " It ran out of memory." if deployment.out_of_memory else ""
    return f"Its build failed: {reason}.{memory}"


@failure_mode(17, "Is a limit reached?", rests_on="vercel_signs", would_change="The limit's reset.")
@unless_live
def limits(facts: Facts) -> CheckResult:
    if _of_required(facts):
        return ok("A deployment was started, so no limit stopped it.")
    message = facts.need(facts.snapshot.vercel_signs).status_description or ""
    if "limit" in message.lower():
        return fail("Vercel says that a limit is reached.", message)
    return cannot_tell("Needs Vercel's answer to a new deployment.")


@failure_mode(18, "Do deployment checks hold it?", rests_on="deployments", would_change="The checks ending.")
@about_newest(otherwise="No check holds it.")
def held_by_checks(deployment: Deployment, _: Facts) -> str | None:
    if deployment.alias_check_state in ("pending", "failed") or deployment.checks_state == "running":
        state = deployment.alias_check_state or deployment.checks_state
        return f"It is built, and held by a check ({state})."
    return None


@failure_mode(19, "Is production pinned by a rollback?", rests_on="project", would_change="Promoting a deployment.")
def rollback_pin(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Vercel does not say whether new builds go live automatically.")
    if project.auto_assign_custom_domains is False and _rolled_back(facts):
        note = project.rollback_note
        who = f" by {note.username}" if note and note.username else ""
        since = f" since {facts.clock(facts.rolled_back_at)}" if facts.rolled_back_at else ""
        return fail(f"Production was rolled back{who}, and is pinned{since}.")
    return ok("Production is not pinned by a rollback.")


@failure_mode(20, "Was promotion switched to manual?", rests_on="project", would_change="Promoting a deployment.")
def auto_assign_off(facts: Facts) -> CheckResult:
    project = _project(facts)
    if project.auto_assign_custom_domains is None:
        return cannot_tell("Vercel does not say whether new builds go live automatically.")
    if project.auto_assign_custom_domains is False and not _rolled_back(facts):
        by = f" by {project.auto_assign_updated_by}" if project.auto_assign_updated_by else ""
        return fail(f"New builds are staged and wait for promotion: going live automatically was switched off{by}.")
    return ok("Promotion was not switched to manual.")


@failure_mode(21, "Did moving a hostname fail?", rests_on="deployments", would_change="Promoting again.")
@about_newest(otherwise="No hostname failed to move.")
def alias_failed(deployment: Deployment, facts: Facts) -> str | None:
    project = facts.value(facts.snapshot.project)
    last = project.last_alias_request if project else None
    if deployment.alias_error:
        return f"Its hostnames could not be moved: {deployment.alias_error}."
    if last and last.job_status == "failed" and last.to_deployment_id == deployment.id:
        return f"The last {last.type} failed."
    return None


@failure_mode(
    22, "Is the domain assignment pending?", rests_on="deployments", would_change="The assignment, or a promotion."
)
@about_newest(otherwise="Nothing is pending.")
def alias_slow(deployment: Deployment, facts: Facts) -> str | None:
    waits = deployment.state is DeploymentState.READY and deployment.alias_assigned is False
    move = under_way(facts)
    if deployment.substate == "STAGED" or (move and move.deployment_id in (deployment.id, None)):
        return None  # it waits for a promotion, or is being promoted
    if (
        waits
        and deployment.ready_at
        and facts.now - deployment.ready_at > thresholds.ALIAS_SETTLES
        and not deployment.alias_error
    ):
        return f"It is ready since {facts.clock(deployment.ready_at)}, and its hostnames are not assigned."
    return None


@failure_mode(
    23, "Did an older build take the domain back?", rests_on="hostnames", would_change="Promoting the newer one."
)
@unless_live
def older_took_domain(facts: Facts) -> CheckResult:
    promoted = [d for d in _of_required(facts) if d.substate == "PROMOTED" and d.ready_at]
    for host in _hosts(facts):
        for wanted in promoted:
            took_over = host.alias_moved_at and wanted.ready_at and host.alias_moved_at > wanted.ready_at
            if host.deployment and host.deployment.created_at < wanted.created_at and took_over:
                return fail(f"An older build finished later and took {host.name} back.")
    return ok("No older build took a hostname back.")


@failure_mode(24, "Is a rolling release on?", rests_on="project", would_change="Its end.")
def rolling_release(facts: Facts) -> CheckResult:
    active, move = _project(facts).rolling_release_active, under_way(facts)
    if move and move.kind == ROLLING_RELEASE:
        return warn(f"{move.message} Two builds are live.")
    if active is None:
        return cannot_tell("Needs the project's rolling release.")
    return ok("No rolling release is on.")


@failure_mode(25, "Do the hostnames belong to this project?", rests_on="hostnames", would_change="Moving the domain.")
def other_project(facts: Facts) -> CheckResult:
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


@failure_mode(26, "Does DNS lead to Vercel?", rests_on="hostnames", would_change="Correcting the DNS records.")
def dns(facts: Facts) -> CheckResult:
    hosts = _hosts(facts)
    wrong = [host.name for host in hosts if host.dns_misconfigured]
    if wrong:
        return fail("DNS does not lead to Vercel.", *wrong)
    if any(host.dns_misconfigured is None for host in hosts):
        return cannot_tell("Needs Vercel's DNS check of each hostname.")
    return ok("DNS leads to Vercel.")


@failure_mode(
    27,
    "Does Switchboard read the right project?",
    rests_on="project",
    would_change="The right token, team and project.",
)
def wrong_door(facts: Facts) -> CheckResult:
    failure = facts.snapshot.project.failure
    if failure is not None and failure.kind in _WRONG_DOOR:
        return fail("Switchboard cannot read this project: the token, team or project is wrong.", failure.sentence)
    _project(facts)
    return ok("Switchboard reads the project that is set.")


@failure_mode(28, "Is the project paused?", rests_on="project", would_change="Resuming it.")
def paused(facts: Facts) -> CheckResult:
    found = is_paused(facts)
    if found:
        return fail("The project is paused at Vercel: its hostnames answer 503 instead of the app.")
    if found is None:
        _project(facts)
        return cannot_tell("Vercel does not say whether the project is paused.")
    return ok("The project is not paused.")


@failure_mode(
    29,
    "Does the serving build have its variables?",
    rests_on="env_names",
    would_change="Setting them, and a new build.",
)
def env(facts: Facts) -> CheckResult:
    return required_environment(facts)


@failure_mode(30, "Does a cache show older pages?", rests_on="app_health", would_change="Purging it.")
def cached(facts: Facts) -> CheckResult:
    said = facts.need(facts.snapshot.app_health).commit
    if said is None:
        return cannot_tell("Needs the booking app to say which commit it runs.")
    serving = {host.serving_commit for host in _hosts(facts)}
    if None in serving:
        return cannot_tell("Needs the commit of every production hostname.")
    if any(same_commit(said, sha) for sha in serving):
        return ok("The app itself reports the serving commit.")
    return fail("The app reports a different commit from the one its hostname serves: a cache is in between.", said[:7])


@failure_mode(31, "Was it overwritten by hand?", rests_on="hostnames", would_change="Deploying the commit again.")
def by_hand(facts: Facts) -> CheckResult:
    for host in _hosts(facts):
        deployment = host.deployment
        if deployment and (deployment.git_dirty or deployment.source == "cli"):
            changes = ", with changes that are in no commit" if deployment.git_dirty else ""
            return fail(f"{host.name} serves an upload by hand{changes}.", f"by {deployment.creator or 'somebody'}")
    if any(host.deployment is None or host.deployment.sha is None for host in _hosts(facts)):
        return cannot_tell("Needs the deployment of every production hostname, and what it was built from.")
    return ok("What is served was built from Git.")


@failure_mode(32, "Is a scheduled job on older code?", rests_on="deployments", would_change="Reading the schedule.")
def schedule(facts: Facts) -> CheckResult:
    return cannot_tell("Needs the deployment's schedule beside vercel.json, which Switchboard does not read.")
