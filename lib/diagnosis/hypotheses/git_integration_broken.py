"""Vercel does not hear of pushes, or hears of them and does not build them."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import code
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.facts import Facts
from lib.diagnosis.hypothesis_api import VERCEL_ADMIN, HypothesisSpec, TaskContext, decided_by
from lib.diagnosis.live_deployment import is_connected
from lib.diagnosis.production_branch import branch_change
from lib.diagnosis.pushes import Push, refusal
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict

# Vercel hears of a push and does not build it: each says for itself what would change that.
_NOT_BUILT = (modes.git_deploys_off, modes.ignored_step, modes.author_blocked, modes.unsigned)
_SIGNS = (modes.unheard, *_NOT_BUILT)
# Vercel's word in its activity for connecting a repository.
_CONNECTED_EVENT = "project-git-repository-connected"
_GIT_SETTINGS = ("Vercel → Project → Settings → Git", "settings/git")


def judge(statuses: Statuses) -> Verdict:
    signs = [statuses[spec] for spec in _SIGNS]
    if CheckStatus.FAIL in signs:
        return Verdict.CONFIRMED
    verdict = decided_by(code.git_integration, on_warn=Verdict.POSSIBLE)(statuses)
    unknown = verdict is Verdict.RULED_OUT and CheckStatus.CANNOT_TELL in signs
    return Verdict.CANNOT_TELL if unknown else verdict


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield what is to be set right between GitHub and Vercel."""
    facts = context.facts
    project, repository = facts.value(facts.snapshot.project), facts.value(facts.snapshot.repository)
    ours = repository.full_name if repository else context.settings.github_repository or "the booking app's repository"
    if project is None:
        return
    if not is_connected(facts):
        message = "Connect the project to its repository again: until then no commit of it can be built."
        yield _setting(context, "connect_repository", message, *_GIT_SETTINGS, ours)
        return
    if change := branch_change(facts):
        message = f"Set the production branch to {change.before}: only its pushes become live by themselves."
        place = "Vercel → Project → Settings → Environments → Production → Branch Tracking"
        path = "settings/environments/production"
        yield _setting(context, "set_production_branch", message, place, path, change.before)
    elif context.fails(modes.unheard) and (push := refusal(facts)):
        message = f"{push.message} Fix what it names, then push again or deploy the commit by itself."
        yield _setting(context, "settle_refusal", message, *_place(push), push.words)
    elif context.fails(code.git_integration) and not _connected_since(facts):
        message = (
            "Give Vercel's GitHub app access to the repository, or connect the project again: the push did not reach "
            "it, and the next one will not either."
        )
        yield _setting(context, "reconnect_repository", message, *_GIT_SETTINGS, ours)
    for spec in _NOT_BUILT:
        if context.fails(spec):
            message = f"{context.summary(spec)} What changes that: {spec.would_change}"
            yield _setting(context, spec.id, message, *_GIT_SETTINGS, "")


def _place(push: Push) -> tuple[str, str]:
    """Return where a refusal is settled, by what Vercel says of it; the page is one of the project."""
    if push.is_about_a_person:
        return "Vercel → Team → Settings → Members", "settings/git"
    if push.is_about_the_account:
        return "Vercel → Team → Settings → Billing", "settings/git"
    return _GIT_SETTINGS


def _setting(context: TaskContext, id_: str, message: str, place: str, path: str, exactly: str) -> Task:
    return Task(
        id_,
        SPEC.id,
        "git_integration",
        message,
        context.summary(code.git_integration),
        who=VERCEL_ADMIN,
        place=place,
        link=context.vercel(path),
        exactly=exactly,
    )


def _connected_since(facts: Facts) -> bool:
    """Whether the project was connected after the push that Vercel did not hear of, which explains it."""
    required = facts.value(facts.snapshot.required_commit)
    events = facts.value(facts.snapshot.vercel_events) or ()
    connected = [event.at for event in events if event.type == _CONNECTED_EVENT]
    return bool(required and required.commit and any(at > required.commit.committed_at for at in connected))


SPEC = HypothesisSpec(
    id="git_integration_broken",
    depth=50,
    title="Pushes do not reach production",
    for_owner="New code does not reach production: the connection between GitHub and Vercel is broken or set wrong.",
    remedy=Remedy(
        "Correct the Git connection in Vercel's settings; deploy the commit without a push meanwhile.",
        "deploy_commit",
    ),
    explains=frozenset({Hop.CODE, Hop.RECORDED}),
    judge=judge,
    checks=(code.git_integration,),
    signs=_SIGNS,
    tasks=tasks,
    runbook="""
- Look: *Deployments*: repository, production branch, the last push that reached Vercel, and the reason that is named.
- Do: fix the named setting (Vercel → Project → Settings → Git; GitHub → Settings → Applications → Vercel). Deploy the
  exact commit meanwhile: that needs no push.
- Done when: an empty commit is built by itself.
""",
)
