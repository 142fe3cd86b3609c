"""Actions on deployments: build, promote, roll back, cancel, and force by an empty commit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from lib.actions import production
from lib.actions.action import (
    Action,
    ActionContext,
    Args,
    Effect,
    OnProgress,
    Preflight,
    PreflightStatus,
    RefusedError,
    Target,
    Tier,
    Touches,
    Verification,
    block,
    ok,
    warn,
)
from lib.actions.production import soon
from lib.formatting import counted
from lib.model.deployments import (
    Deployment,
    DeploymentState,
    GitLink,
    Hostname,
    Project,
    same_commit,
)
from lib.sources.github_writes import GitHubWrites
from lib.sources.http import Deadline
from lib.sources.vercel_writes import DEPLOYABLE_LINKS, Accepted, VercelWrites

_WRITE_SECONDS = 30.0
_BUILD_SETTLES = timedelta(minutes=10)
_SHORT = 7
_COMMIT = "commit"  # the fact that names the commit to be built
_RULES_AGAINST_A_PUSH = ("pull_request", "merge_queue", "required_status_checks", "lock_branch")


def _serving(hosts: Sequence[Hostname]) -> tuple[tuple[str, str], ...]:
    """The state that every deployment action relies on: which deployment and commit each hostname serves."""
    return tuple(
        (
            f"{host.name} serves",
            f"{host.deployment.id} ({_short(host.serving_commit)})" if host.deployment else "unknown",
        )
        for host in hosts
    )


def _short(sha: str | None) -> str:
    return (sha or "upload")[:_SHORT]


def _one(context: ActionContext, deployment_id: str) -> Deployment:
    return context.ask(("deployment", deployment_id), lambda: context.sources.vercel.deployment(deployment_id, soon()))


class _DeploymentAction(Action):
    """What they have in common: one lock per project, and the same things to look at first."""

    touches: ClassVar[Touches] = Touches.CODE
    settles_within: ClassVar[timedelta] = _BUILD_SETTLES
    cooldown: ClassVar[timedelta] = timedelta(seconds=15)

    def lock(self, context: ActionContext, args: Args) -> str:
        return f"vercel:{context.settings.vercel_project_id}"

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        project = production.project(context)
        return (*_project_checks(project), *self.own_checks(context, project, args))

    @abstractmethod
    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        """Return what this action looks at besides."""

    def _target(self, context: ActionContext, name: str, *facts: tuple[str, str]) -> Target:
        return Target(name, (*facts, *_serving(production.hostnames(context))))


def _project_checks(project: Project) -> tuple[Preflight, ...]:
    last = project.last_alias_request
    busy = last is not None and last.job_status in ("pending", "in-progress")
    return (
        block("project_live", "The project is paused.")
        if project.paused
        else ok("project_live", "The project is live."),
        block("nothing_moving", "A promotion or rollback is still under way.")
        if busy
        else ok("nothing_moving", "No promotion or rollback is under way."),
        block("no_rolling_release", "A rolling release is on: end it in Vercel first.")
        if project.rolling_release_active
        else ok("no_rolling_release", "No rolling release is on."),
    )


class _Build(_DeploymentAction):
    """An action that makes a new production build. It is found again by the request's id in its metadata."""

    tier: ClassVar[Tier] = Tier.CONFIRM
    undo: ClassVar[str] = "roll_back"

    def will_differ(self, target: Target) -> tuple[str, ...]:
        sha, _, headline = dict(target.facts).get(_COMMIT, "").partition(" ")
        named = f"{_short(sha)} “{headline}”" if headline else _short(sha) if sha else "what is being served"
        return (
            f"Vercel builds {named} for production.",
            "If the build passes, and production is not pinned, the hostnames move to it.",
            "Settings and variables are read again.",
        )

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        found = context.sources.vercel.made_for(request_id, since, soon())
        if found is None:
            return None
        return Effect(f"Vercel made {found.id}.", _described(target), f"building {found.built_from}", found.id)

    def not_previewed(self, target: Target) -> Target:
        return replace(target, facts=tuple(fact for fact in target.facts if fact[0] != _COMMIT))

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        if effect.found_by is None:
            return Verification(None, "The new build was not found.")
        deployment = _one(context, effect.found_by)
        confirmed = _confirmed(target)
        if confirmed and deployment.commit and not same_commit(deployment.commit, confirmed):
            message = f"It is a build of {deployment.built_from}, and {_short(confirmed)} was confirmed"
            return Verification(False, f"{message}: cancel it, or roll back if it is live.")
        if deployment.state.failed:
            why = deployment.error_message or deployment.state.value.lower()
            return Verification(False, f"The build ended: {why}.")
        if deployment.state is not DeploymentState.READY:
            return Verification(None, f"The build is {deployment.state.value.lower()}.")
        if confirmed and not deployment.commit:
            return Verification(None, "The build is ready; Vercel does not say of which commit it is.")
        return _served_everywhere(context, deployment)


def _confirmed(target: Target) -> str | None:
    """Return the commit that was previewed, where the target names one."""
    return dict(target.facts).get(_COMMIT, "").partition(" ")[0] or None


def _commit_fact(sha: str, headline: str | None) -> tuple[str, str]:
    """The commit in full: what was confirmed is what is built, and what is verified."""
    return (_COMMIT, f"{sha} {headline or ''}".strip())


def _exact_call(sha: str, branch: str) -> str:
    return f"POST /v13/deployments?forceNew=1  gitSource: {sha} of {branch}, target: production"


def _build_exactly(context: ActionContext, target: Target, branch: str | None, request_id: str) -> Effect:
    """Have the commit that was confirmed built, and no other: where its branch points by now does not matter."""
    project, sha = production.project(context), _confirmed(target)
    if project.link is None or project.link.repo_id is None or sha is None:
        raise RefusedError("The project is not connected to a repository: it cannot build a commit of it.")
    if project.link.type not in DEPLOYABLE_LINKS:
        raise RefusedError(_not_from_github(project.link))
    branch = branch or project.link.production_branch or production.repository(context).default_branch
    accepted = VercelWrites(context.sources.vercel).deploy_commit(
        sha,
        branch,
        project.link.repo_id,
        project.name,
        Deadline(_WRITE_SECONDS),
        request_id=request_id,
        link_type=project.link.type,
    )
    return _effect(accepted, target, f"building {_short(sha)}")


def _served_everywhere(context: ActionContext, deployment: Deployment) -> Verification:
    hosts = production.hostnames(context)
    elsewhere = [host.name for host in hosts if host.deployment is None or host.deployment.id != deployment.id]
    if not elsewhere:
        return Verification(True, f"Every hostname serves {deployment.built_from}.")
    if production.project(context).auto_assign_custom_domains is False:
        return Verification(False, "The build is ready but not live: production is pinned. Promote it.")
    return Verification(None, f"Ready; not yet served by {', '.join(elsewhere)}.")


def _described(target: Target) -> str:
    return "; ".join(f"{name} {value}" for name, value in target.facts)


def _report_queue(accepted: Accepted, progress: OnProgress) -> None:
    """Say that it waits, where it does. Of that moment alone: in the receipt it would still be said once it is live."""
    if accepted.queued:
        progress("Vercel has put it in its queue.")


def _effect(accepted: Accepted, target: Target, after: str) -> Effect:
    return Effect(f"Vercel accepted it: {accepted.id}.", _described(target), after, accepted.id)


class Redeploy(_Build):
    """Build the commit that is being served once more."""

    id: ClassVar[str] = "redeploy"
    title: ClassVar[str] = "Redeploy the same commit"
    button: ClassVar[str] = "Redeploy"

    def resolve(self, context: ActionContext, args: Args) -> Target:
        live = _live(context)
        again = ("builds again", f"{live.id} ({live.built_from})")
        commit = (_commit_fact(live.commit, live.commit_message),) if live.commit else ()
        return self._target(context, production.project(context).name, again, *commit)

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"POST /v13/deployments?forceNew=1  deploymentId: {_live(context).id}, target: production",)

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        return (warn("same_commit", "The same commit is built again: this never deploys a commit that is missing."),)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        live = _live(context)
        accepted = VercelWrites(context.sources.vercel).redeploy(
            live.id, production.project(context).name, Deadline(_WRITE_SECONDS), request_id=request_id
        )
        return _effect(accepted, target, f"building {live.built_from} again")


class RedeployNewest(_Build):
    """Build the newest commit of the branch: the one that the preview names, without a push."""

    id: ClassVar[str] = "redeploy_newest"
    title: ClassVar[str] = "Deploy the newest commit of the branch"
    button: ClassVar[str] = "Deploy the newest commit"

    def resolve(self, context: ActionContext, args: Args) -> Target:
        branch = production.production_branch(context)
        commit = _commit_fact(branch.head.sha, branch.head.headline)
        return self._target(context, production.project(context).name, commit, ("newest of", branch.name))

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (_exact_call(_confirmed(target) or "?", dict(target.facts)["newest of"]),)

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        return (_linked(project), *_backwards(context, None))

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        return _build_exactly(context, target, dict(target.facts)["newest of"], request_id)


class DeployCommit(_Build):
    """Build exactly one commit, without a push. Without `sha` it is the required commit."""

    id: ClassVar[str] = "deploy_commit"
    title: ClassVar[str] = "Deploy exactly one commit, without a push"
    button: ClassVar[str] = "Deploy this commit"
    asks: ClassVar[tuple[str, ...]] = ("sha",)

    def resolve(self, context: ActionContext, args: Args) -> Target:
        commit = context.sources.github.required_commit(args["sha"], soon()).value.commit
        if commit is None:
            raise RefusedError(f"The commit {_short(args['sha'])} is not on GitHub.")
        return self._target(context, production.project(context).name, _commit_fact(commit.sha, commit.headline))

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        link = production.project(context).link
        branch = link.production_branch if link else None
        return (_exact_call(_confirmed(target) or "?", branch or "the default branch"),)

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        return (_linked(project), *_backwards(context, args["sha"]))

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        return _build_exactly(context, target, None, request_id)


class _Move(_DeploymentAction):
    """An action that moves the hostnames to a deployment that is there, without a build."""

    asks: ClassVar[tuple[str, ...]] = ("deployment",)
    settles_within: ClassVar[timedelta] = timedelta(minutes=3)
    kind: ClassVar[str]

    def resolve(self, context: ActionContext, args: Args) -> Target:
        deployment = _one(context, args["deployment"])
        facts = (
            ("moves to", f"{deployment.id} ({deployment.built_from})"),
            ("its state", f"{deployment.state.value} {deployment.substate or ''}".strip()),
        )
        return self._target(context, production.project(context).name, *facts)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        move = context.sources.vercel.move_since(self.kind, args["deployment"], since, soon())
        if move is None:
            return None
        return Effect(
            f"Vercel has the {self.kind}.", _described(target), f"moving to {args['deployment']}", args["deployment"]
        )

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        hosts = production.hostnames(context)
        elsewhere = [h.name for h in hosts if h.deployment is None or h.deployment.id != args["deployment"]]
        if not elsewhere:
            return Verification(True, f"Every hostname serves {args['deployment']}.")
        move = production.project(context).last_alias_request
        if move and move.to_deployment_id == args["deployment"] and move.job_status == "failed":
            return Verification(False, f"Vercel could not move {', '.join(elsewhere)}.")
        return Verification(None, f"Not yet moved: {', '.join(elsewhere)}.")

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        deployment = _one(context, args["deployment"])
        live = frozenset(host.deployment.id for host in production.hostnames(context) if host.deployment)
        return (*_movable(deployment, live), *self.move_checks(context, deployment))

    @abstractmethod
    def move_checks(self, context: ActionContext, deployment: Deployment) -> tuple[Preflight, ...]:
        """Return what this move looks at besides."""


class Promote(_Move):
    """Move production to a build that is ready."""

    id: ClassVar[str] = "promote"
    title: ClassVar[str] = "Promote a ready build"
    button: ClassVar[str] = "Promote this build"
    tier: ClassVar[Tier] = Tier.CONFIRM
    undo: ClassVar[str] = "roll_back"
    kind: ClassVar[str] = "promote"

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"POST /v10/projects/{context.settings.vercel_project_id}/promote/{args['deployment']}",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (
            f"The hostnames move to {dict(target.facts)['moves to']} at once, without a build.",
            "New builds go live automatically again, even if somebody switched that off on purpose.",
        )

    def move_checks(self, context: ActionContext, deployment: Deployment) -> tuple[Preflight, ...]:
        return _backwards(context, deployment.commit)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        accepted = VercelWrites(context.sources.vercel).promote(args["deployment"], Deadline(_WRITE_SECONDS))
        _report_queue(accepted, progress)
        return _effect(accepted, target, f"moving to {args['deployment']}")


class RollBack(_Move):
    """Move production back to a build that has served it."""

    id: ClassVar[str] = "roll_back"
    title: ClassVar[str] = "Roll production back"
    button: ClassVar[str] = "Roll back"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    undo: ClassVar[str] = "promote"
    kind: ClassVar[str] = "rollback"

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"POST /v1/projects/{context.settings.vercel_project_id}/rollback/{args['deployment']}",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (
            f"The hostnames move back to {dict(target.facts)['moves to']} at once.",
            "Variables and schedules of that build come back with it.",
            "Production is pinned: new builds wait until something is promoted.",
            "The database is not rolled back: migrations stay.",
        )

    def move_checks(self, context: ActionContext, deployment: Deployment) -> tuple[Preflight, ...]:
        hostnames = context.sources.vercel.rollback_hostnames(deployment.id, soon())
        return (
            _rollback_candidate(deployment),
            warn("moves", f"Would move: {', '.join(hostnames) or 'no hostname'}."),
        )

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        accepted = VercelWrites(context.sources.vercel).roll_back(
            args["deployment"], f"Switchboard {request_id}", Deadline(_WRITE_SECONDS)
        )
        _report_queue(accepted, progress)
        return _effect(accepted, target, f"moving back to {args['deployment']}")


class CancelBuild(_DeploymentAction):
    """Stop a build that is queued or under way."""

    id: ClassVar[str] = "cancel_build"
    title: ClassVar[str] = "Cancel a build"
    button: ClassVar[str] = "Stop the build"
    tier: ClassVar[Tier] = Tier.CONFIRM
    undo: ClassVar[str] = "deploy_commit"
    asks: ClassVar[tuple[str, ...]] = ("deployment",)
    settles_within: ClassVar[timedelta] = timedelta(minutes=1)

    def resolve(self, context: ActionContext, args: Args) -> Target:
        deployment = _one(context, args["deployment"])
        under_way = "under way" if deployment.state.in_progress else deployment.state.value
        return self._target(context, deployment.id, ("commit", deployment.built_from), ("state", under_way))

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"PATCH /v12/deployments/{args['deployment']}/cancel",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (f"Vercel stops the build of {dict(target.facts)['commit']}.", "What is being served stays.")

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        return (_under_way(_one(context, args["deployment"])),)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        accepted = VercelWrites(context.sources.vercel).cancel(args["deployment"], Deadline(_WRITE_SECONDS))
        return _effect(accepted, target, "cancelled")

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        return Effect("Checked the build.", _described(target), "cancelled", args["deployment"])

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        state = _one(context, args["deployment"]).state
        if state is DeploymentState.CANCELED:
            return Verification(True, "Vercel says it is cancelled.")
        return Verification(None if state.in_progress else False, f"The build is {state.value.lower()}.")


class ForceDeploy(_DeploymentAction):
    """Put an empty commit on the production branch: it also shows whether a push is heard."""

    id: ClassVar[str] = "force_deploy"
    title: ClassVar[str] = "Force a deployment by an empty commit"
    button: ClassVar[str] = "Push an empty commit"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    undo: ClassVar[str] = "A commit stays in the history; roll_back moves production."

    def resolve(self, context: ActionContext, args: Args) -> Target:
        repository = production.repository(context)
        branch = production.production_branch(context)
        facts = (("head", f"{branch.head.sha} {branch.head.headline}"), ("branch", branch.name))
        return self._target(context, repository.full_name, *facts)

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        facts = dict(target.facts)
        head = facts["head"].split(" ", 1)[0]
        return (f"createCommitOnBranch  {target.name} {facts['branch']}, expectedHeadOid: {head}, no file changes",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        branch = dict(target.facts)["branch"]
        return (
            f"The branch {branch} gets one commit without changes.",
            "If it reaches Vercel, a production build starts.",
        )

    def own_checks(self, context: ActionContext, project: Project, args: Args) -> tuple[Preflight, ...]:
        repository = production.repository(context)
        rules = context.sources.github.rules(soon(), production.production_branch(context).name).value
        in_the_way = [rule for rule in rules.rule_types if rule in _RULES_AGAINST_A_PUSH]
        return (
            block("not_archived", "The repository is archived.")
            if repository.archived
            else ok("not_archived", "The repository takes pushes."),
            block("may_push", "The token may not push.")
            if repository.can_push is False
            else ok("may_push", "The token may push."),
            block("rules", f"The branch's rules refuse a direct push: {', '.join(in_the_way)}.")
            if in_the_way
            else ok("rules", "No rule of the branch refuses it."),
            warn("ignored_step", "An ignored build step may skip an empty commit.")
            if project.ignore_command
            else ok("ignored_step", "No ignored build step may skip it."),
            _linked(project),
        )

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        facts = dict(target.facts)
        head = facts["head"].split(" ", 1)[0]
        sha = GitHubWrites(context.sources.github).empty_commit(
            facts["branch"], head, _commit_message(request_id), Deadline(_WRITE_SECONDS)
        )
        return Effect(f"GitHub made the empty commit {_short(sha)}.", _described(target), f"head {_short(sha)}", sha)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        facts = dict(target.facts)
        branch = context.sources.github.branch(facts["branch"], soon()).value
        made = next((c for c in branch.commits if c.headline == _commit_message(request_id)), None)
        if made is None:
            return None
        return Effect(f"GitHub has the commit {_short(made.sha)}.", facts["head"], f"head {_short(made.sha)}", made.sha)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        deployments = context.sources.vercel.deployments(soon()).value
        built = next((d for d in deployments if same_commit(d.commit, effect.found_by)), None)
        if built is None:
            return Verification(None, "Vercel has not started a build of it.")
        if built.state.failed:
            return Verification(False, f"Its build ended: {built.error_message or built.state.value.lower()}.")
        if built.state is not DeploymentState.READY:
            return Verification(None, f"The build is {built.state.value.lower()}.")
        return _served_everywhere(context, built)


def _commit_message(request_id: str) -> str:
    return f"Deploy again (Switchboard {request_id})"


def _live(context: ActionContext) -> Deployment:
    """The deployment that is being served; the oldest, where hostnames disagree."""
    serving = [host.deployment for host in production.hostnames(context) if host.deployment]
    if not serving:
        raise RefusedError("What production serves is unknown, so there is nothing to build again.")
    return min(serving, key=lambda deployment: deployment.created_at)


def _not_from_github(link: GitLink) -> str:
    kind = {"gitlab": "GitLab", "bitbucket": "Bitbucket"}.get(link.type, f"a connection of the kind {link.type}")
    return f"The project builds from {kind}: only commits of GitHub can be built from here. Deploy it in Vercel."


def _linked(project: Project) -> Preflight:
    if project.link is None:
        return block("linked", "The project is not connected to a repository.")
    if project.link.type not in DEPLOYABLE_LINKS:
        return block("linked", _not_from_github(project.link))
    return ok("linked", f"The project builds {project.link.full_name}.")


def _movable(deployment: Deployment, live: frozenset[str]) -> tuple[Preflight, ...]:
    """Return what stands against moving the hostnames to a deployment. `live` are those that are being served."""
    if deployment.target != "production":
        ready = block("ready", "It is a preview: only a production build can become live.")
    elif deployment.state.in_progress:
        ready = block("ready", "Its build is not over yet.")
    elif deployment.state is DeploymentState.DELETED:
        ready = block("ready", "It was deleted.")
    elif deployment.state is DeploymentState.UNKNOWN:
        ready = block("ready", "Whether its build succeeded is not known.")
    elif deployment.state is not DeploymentState.READY:
        ready = block("ready", "Its build did not succeed: there is nothing to serve.")
    else:
        ready = ok("ready", "It is a production build, and ready.")
    is_live = live == {deployment.id}
    return (
        ready,
        block("not_live", "It is live already: every hostname serves it.")
        if is_live
        else ok("not_live", "It is not what is being served."),
    )


def _rollback_candidate(deployment: Deployment) -> Preflight:
    if deployment.is_rollback_candidate is False:
        return block("candidate", "Vercel does not offer this build for a rollback.")
    return ok("candidate", "Vercel offers this build for a rollback.")


def _under_way(deployment: Deployment) -> Preflight:
    if deployment.state.in_progress:
        return ok("under_way", "The build is under way.")
    return block("under_way", "Its build is over: there is nothing to cancel.")


def _of_a_commit(deployment: Deployment) -> Preflight:
    if deployment.git_dirty:
        return block("commit", "It is an upload with uncommitted changes: no commit holds what was built.")
    if deployment.sha is None:
        return block("commit", "It is an upload without a commit: there is nothing to build from the repository.")
    return ok("commit", f"It was built from {_short(deployment.sha)}.")


@dataclass(frozen=True, slots=True)
class ActionOption:
    """An action on one deployment, with its arguments; `refusal` is why it would be refused now, else empty."""

    action: str
    args: Args
    refusal: str = ""


def action_options(deployment: Deployment, project: Project | None, live: frozenset[str]) -> tuple[ActionOption, ...]:
    """Return what can be done with a deployment, by what is known without asking anybody.

    `live` are the ids of the deployments that are being served. Without the project its checks are left to the
    preview, which looks again at everything.
    """
    common = _project_checks(project) if project else ()
    about, commit = {"deployment": deployment.id}, {"sha": deployment.sha or ""}
    linked = (_linked(project),) if project else ()
    return (
        _option(Promote.id, about, *common, *_movable(deployment, live)),
        _option(RollBack.id, about, *common, *_movable(deployment, live), _rollback_candidate(deployment)),
        _option(DeployCommit.id, commit, _of_a_commit(deployment), *common, *linked),
        _option(CancelBuild.id, about, *common, _under_way(deployment)),
    )


def _option(action: str, args: Args, *checks: Preflight) -> ActionOption:
    refused = (check.message for check in checks if check.status is PreflightStatus.BLOCK)
    return ActionOption(action, args, next(refused, ""))


def _backwards(context: ActionContext, sha: str | None) -> tuple[Preflight, ...]:
    """Warn where the commit is older than what is being served."""
    if sha is None:
        return ()
    branch = production.production_branch(context)
    serving = {host.serving_commit for host in production.hostnames(context) if host.serving_commit}
    # A list of commits is in the order of their dates: which contains which is known from their parents only.
    contained = {commit: branch.contains(commit, sha) for commit in serving if not same_commit(commit, sha)}
    if newer := [commit for commit, found in contained.items() if found]:
        counts = [branch.behind_by(sha, commit) for commit in newer]
        by = f", by {counted(max(filter(None, counts)), 'commit')}" if all(counts) else ""
        return (warn("forward", f"This moves production backwards{by}."),)
    if None in contained.values():
        return (warn("forward", "Whether this moves production backwards cannot be told from the commits read."),)
    return (ok("forward", "This does not move production backwards."),)
