"""How a hypothesis is made: one possible cause, and all that is said of it, in one module of `hypotheses/`.

A module there defines `SPEC` and is registered by being there. A verdict follows from the statuses of named checks
alone: a check that cannot tell can only make a verdict weaker; direct evidence against a cause rules it out, whatever
else looks like it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from lib.diagnosis.check_api import Answers, CheckSpec, Statuses
from lib.diagnosis.facts import Facts
from lib.model.task import Task
from lib.model.verdict import Check, CheckStatus, Hop, Remedy, Verdict
from lib.settings import Settings

Judge = Callable[[Statuses], Verdict]

# Who does what the desk has no button for.
VERCEL_ADMIN = "whoever administers the Vercel project"
TWILIO_ADMIN = "whoever administers the Twilio account"
DATABASE_ADMIN = "whoever administers the Supabase project"
DEVELOPER = "a developer of the booking app"
# The step of the plan for what people do in other systems, and the one for builds and moves of hostnames.
OTHER_SYSTEMS = "other_systems"
REDEPLOY = "redeploy"
# The task to wait until a move of the hostnames has ended.
AWAIT_MOVE = "await_move"


@dataclass(frozen=True)
class TaskContext:
    """What is known when tasks are made: the answers, and the settings that say where things are.

    `new_code_is_due`: some cause keeps new code from production, and its task will bring it there.
    """

    facts: Facts
    answers: Answers
    settings: Settings
    new_code_is_due: bool = False

    def check(self, spec: CheckSpec) -> Check:
        return self.answers[spec]

    def fails(self, spec: CheckSpec) -> bool:
        return self.answers[spec].status is CheckStatus.FAIL

    def summary(self, spec: CheckSpec) -> str:
        return self.answers[spec].summary

    def link(self, url: str) -> str | None:
        """Return `url`, but for the sandbox: its names may be somebody else's out there."""
        return None if self.settings.sandbox_url else url

    def vercel(self, path: str) -> str | None:
        """Return the address of a page of the project at Vercel."""
        deployments = self.facts.value(self.facts.snapshot.deployments) or ()
        inspector = next((one.inspector_url for one in deployments if one.inspector_url), None)
        if inspector:
            return self.link(f"{inspector.rsplit('/', 1)[0]}/{path}")
        # Vercel asks for team and project, and goes on to the page.
        return self.link(f"https://vercel.com/d?to={quote(f'/[team]/[project]/{path}', safe='')}")

    def supabase(self, path: str) -> str | None:
        ref = self.settings.supabase_project_ref
        return self.link(f"https://supabase.com/dashboard/project/{ref}/{path}") if ref else None

    def github(self, path: str) -> str | None:
        repository = self.settings.github_repository
        return self.link(f"https://github.com/{repository}/{path}") if repository else None


TaskFunction = Callable[[TaskContext], Iterable[Task]]


def no_tasks(_: TaskContext) -> Iterable[Task]:
    """Return no task: the remedy's words are all that is known."""
    return ()


@dataclass(frozen=True, slots=True)
class HypothesisSpec:
    """One possible cause, and the checks its verdict rests on. `explains` are the hops that it can break.

    `depth` orders causes: one stands before those that follow from it. What fails of `checks` speaks for the cause,
    what passes against it. What fails of `signs` speaks for it, and passing says nothing. The `rest` must be in order
    for this to be the cause: there it is the other way round. Where a cause is an absence, a check that does not apply
    speaks for it. `basis` are checks that say how much the others are worth, and speak neither way.
    `settled_elsewhere` are checks that only people in other systems, or a developer, can set right.
    `runbook` is Markdown: what to look at, what to do, and when it is done.
    """

    id: str
    depth: int
    title: str
    for_owner: str
    remedy: Remedy
    explains: frozenset[Hop]
    judge: Judge
    checks: tuple[CheckSpec, ...]
    runbook: str
    signs: tuple[CheckSpec, ...] = ()
    rest: tuple[CheckSpec, ...] = ()
    basis: tuple[CheckSpec, ...] = ()
    is_absence: bool = False
    tasks: TaskFunction = no_tasks
    settled_elsewhere: tuple[CheckSpec, ...] = ()

    @property
    def all_checks(self) -> tuple[CheckSpec, ...]:
        return self.checks + self.signs + self.rest + self.basis

    @property
    def section(self) -> str:
        """Its section of the runbook, as Markdown with the heading that links lead to."""
        return f"## {self.title} (`{self.id}`)\n\n{self.runbook.strip()}\n"


def decided_by(
    check: CheckSpec, *, on_warn: Verdict = Verdict.LIKELY, on_absent: Verdict = Verdict.CANNOT_TELL
) -> Judge:
    """The verdict follows one check: its failure confirms, its success rules out."""
    verdicts = {
        CheckStatus.FAIL: Verdict.CONFIRMED,
        CheckStatus.WARN: on_warn,
        CheckStatus.OK: Verdict.RULED_OUT,
        CheckStatus.CANNOT_TELL: Verdict.CANNOT_TELL,
        CheckStatus.NOT_APPLICABLE: on_absent,
    }
    return lambda statuses: verdicts[statuses[check]]


def read_app_log(context: TaskContext, cause: str, message: str, why: CheckSpec) -> Task:
    """Return the task to read the app's own log, for what only it can say."""
    return Task(
        "read_app_log",
        cause,
        OTHER_SYSTEMS,
        message,
        context.summary(why),
        who=DEVELOPER,
        place="Vercel → Project → Logs",
        link=context.vercel("logs"),
    )


def rebuild(cause: str, why: str) -> Task:
    """Return the task to build the same commit again, which takes the variables of today in."""
    message = "Build the same commit again: variables are read when a build is made."
    return Task("redeploy", cause, REDEPLOY, message, why, action="redeploy")
