"""What would cure what is seen now, as tasks: a button of the desk, or what a person does in another system.

A task is given only where the evidence says that it cures something. What one task will settle is not asked for twice:
after each, the desk looks again and says what is left.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

import pandas as pd

from lib.actions.applicable_migrations import cured_by, database_faults, recommended
from lib.diagnosis import thresholds
from lib.diagnosis.builds import is_transient
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.error_codes import ErrorCode, explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Delivery
from lib.model.deployments import Deployment, DeploymentState, Hostname, LogLevel
from lib.model.provider import Landing
from lib.model.verdict import CheckStatus, Verdict
from lib.settings import Settings

FAIL = CheckStatus.FAIL
_VERCEL_ADMIN = "whoever administers the Vercel project"
_TWILIO_ADMIN = "whoever administers the Twilio account"
_DATABASE_ADMIN = "whoever administers the Supabase project"
_DEVELOPER = "a developer of the booking app"
# Vercel hears of a push and does not build it: each says for itself what would change that.
_UNBUILT = ("reason_08_git_deploys_off", "reason_09_ignored_step", "reason_11_author_blocked", "reason_12_unsigned")
# Vercel's word in its activity for connecting a repository.
_CONNECTED_EVENT = "project-git-repository-connected"
# Where Vercel's own protection sends strangers.
_PROTECTION_HOSTS = ("vercel.com", "sso-api")
# The first line of an error often says only that there is one.
_ERROR_LINES = 4
_WEBHOOK_VARIABLE = "TWILIO_WEBHOOK_URL"
_WEBHOOK_PATH = "/api/webhooks/twilio"


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do now against `cause`, in the plan's step `step_id`.

    Either `action` with `args` is a button of the desk; or `who` does it at `place` (with `link`, where one is
    known), and `exactly` is the value, statement or error to go by. `meanwhile`: it helps until the cure.
    """

    id: str
    cause: str
    step_id: str
    message: str
    why: str
    action: str | None = None
    args: tuple[tuple[str, str], ...] = ()
    who: str = ""
    place: str = ""
    link: str | None = None
    exactly: str = ""
    meanwhile: bool = False


@dataclass(frozen=True)
class _Case:
    """What is seen, and the settings that say where things are."""

    diagnosis: Diagnosis
    settings: Settings

    @property
    def facts(self) -> Facts:
        return self.diagnosis.facts

    def fails(self, check: str) -> bool:
        return self.diagnosis.check(check).status is FAIL

    def summary(self, check: str) -> str:
        return self.diagnosis.check(check).summary

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

    @property
    def live_host(self) -> Hostname | None:
        """The hostname that serves the oldest deployment of those that are being served."""
        hosts = self.facts.value(self.facts.snapshot.hostnames) or ()
        served = [(host.deployment.created_at, host) for host in hosts if host.deployment and host.redirect_to is None]
        return min(served, key=lambda one: one[0], default=(None, None))[1]

    @property
    def live(self) -> Deployment | None:
        """The oldest of the deployments that are being served."""
        return self.live_host.deployment if self.live_host else None

    @property
    def ready(self) -> list[Deployment]:
        """The production builds that are ready and not what is served, the newest first."""
        live = self.live
        found = self.facts.value(self.facts.snapshot.deployments) or ()
        ready = [one for one in found if one.target == "production" and one.state is DeploymentState.READY]
        return sorted((one for one in ready if live and one.id != live.id), key=_created, reverse=True)

    def changed_since_build(self, *names: str) -> list[str]:
        """Return which of the variables were changed after the live build was made, which then has the old value."""
        live, known = self.live, self.facts.value(self.facts.snapshot.env_names) or ()
        if live is None:
            return []
        return [
            one.key
            for one in known
            if one.key in names and one.in_production and one.updated_at and one.updated_at > live.created_at
        ]


def tasks(diagnosis: Diagnosis, settings: Settings) -> tuple[Task, ...]:
    """Return what to do now, the most urgent first; empty if nothing that is seen can be cured, or needs to be."""
    case = _Case(diagnosis, settings)
    code = tuple(_code(case))
    database = tuple(_database(case, fix_on_its_way=bool(code)))
    found = (
        *_visibility(case),
        *_callers(case, explained=bool(database)),
        *database,
        *code,
        *_environment(case),
        *_provider(case),
        *_link(case),
        *_receipts(case),
        *_jobs(case),
    )
    once: dict[str, Task] = {}
    for task in found or _others(case):
        once.setdefault(task.id, task)  # two causes may ask for the same
    return tuple(sorted(once.values(), key=lambda task: task.meanwhile))


def _created(deployment: Deployment) -> datetime:
    return deployment.created_at


def _others(case: _Case) -> Iterator[Task]:
    """Yield the words of causes for which there is no better advice; nobody can be made to want to book."""
    for one in case.diagnosis.hypotheses:
        if one.verdict in (Verdict.CONFIRMED, Verdict.LIKELY) and one.id != "no_demand":
            yield Task(
                one.id, one.id, "other_systems", one.remedy.message, one.for_owner, who="whoever knows that system"
            )


# Who may see and who may ask.


def _visibility(case: _Case) -> Iterator[Task]:
    if not case.fails("key_sees_all"):
        return
    yield Task(
        "give_secret_key",
        "reads_blocked",
        "other_systems",
        "Give the desk the project's secret key, in its environment or in .streamlit/secrets.toml, and start it again.",
        case.summary("key_sees_all"),
        who="whoever runs this desk",
        place="Supabase → Project Settings → API Keys → Secret keys",
        link=case.supabase("settings/api-keys"),
        exactly='SUPABASE_SECRET_KEY = "sb_secret_…"',
    )


def _callers(case: _Case, *, explained: bool) -> Iterator[Task]:
    if case.fails("api_key_active"):
        yield Task(
            "switch_key_on",
            "api_key_rejected",
            "other_systems",
            "Switch the API key on again. If it was revoked on purpose, make a new one and give it to the website.",
            case.summary("api_key_active"),
            who=_DATABASE_ADMIN,
            place="Supabase → SQL Editor",
            link=case.supabase("sql/new"),
            exactly=_switch_on(case.facts),
        )
    for check in ("front_door", "api_answers"):
        if case.fails(check) and not explained:
            yield Task(
                "read_app_log",
                "api_failing",
                "other_systems",
                "Read the app's log for the failing call, and fix what it names.",
                case.summary(check),
                who=_DEVELOPER,
                place="Vercel → Project → Logs",
                link=case.vercel("logs"),
            )
            return


def _switch_on(facts: Facts) -> str:
    """Return the statement that switches on the key that was used last; empty if that is not known."""
    keys = facts.rows(facts.snapshot.api_keys)
    if keys is None:
        return ""
    off = keys[keys["can_write_bookings"].fillna(False) & ~keys["is_active"].fillna(False)]
    try:
        key = UUID(str(off.sort_values("last_used_at")["id"].iloc[-1]))
    except (IndexError, ValueError):
        return ""
    return f"update public.api_keys set is_active = true where id = '{key}';"  # noqa: S608 - text for a person


# The database.


def _database(case: _Case, *, fix_on_its_way: bool) -> Iterator[Task]:
    facts = case.facts
    if not facts.snapshot.catalog.usable(facts.now):
        return
    faults = database_faults(facts.snapshot, facts.now)
    for migration in recommended(faults):
        # Code that writes no null any more is the cure; until it is live, the column may take the nulls.
        bridge = fix_on_its_way and all(fault.startswith("null_refused:") for fault in migration.cures)
        yield Task(
            f"run_{migration.name}",
            "not_null_constraint" if bridge else "missing_column",
            "migration",
            f"{migration.title}{', while the code that needs no such thing is not live' if bridge else ''}.",
            " ".join(cured_by(migration, faults)),
            action="run_migration",
            args=(("name", migration.name),),
            meanwhile=bridge,
        )


# The code.


def _code(case: _Case) -> Iterator[Task]:
    connected = yield from _git(case)
    if not connected:
        return
    facts = case.facts
    if case.fails("nothing_waits") and case.ready:
        newest = case.ready[0]
        yield Task(
            "promote",
            "not_promoted",
            "redeploy",
            f"Promote {_named(newest)}: it is ready, and production serves an older one.",
            case.summary("nothing_waits"),
            action="promote",
            args=(("deployment", newest.id),),
        )
        return
    if case.fails("builds_pass") and (error := _error_of_the_code(facts)):
        yield Task(
            "mend_the_build",
            "build_failing",
            "other_systems",
            "Fix the first error of the build with a commit, and push it: Vercel then builds it by itself. "
            "Building the same commit again fails again.",
            case.summary("builds_pass"),
            who=_DEVELOPER,
            place="the code; its build log is on Deployments",
            link=case.github("commits"),
            exactly=error,
        )
        return
    required = facts.value(facts.snapshot.required_commit)
    if not case.fails("serving_commit") or required is None:
        return
    if required.commit is None:
        yield Task(
            "push_the_commit",
            "code_not_deployed",
            "other_systems",
            "Push the required commit: GitHub does not know it. Or correct REQUIRED_COMMIT.",
            case.summary("serving_commit"),
            who=_DEVELOPER,
            place="the code",
            exactly=required.sha,
        )
        return
    yield Task(
        "deploy_commit",
        "code_not_deployed",
        "redeploy",
        f"Deploy {required.sha[:7]}, the required commit: “{required.commit.headline}”.",
        case.summary("serving_commit"),
        action="deploy_commit",
        args=(("sha", required.sha),),
    )


def _git(case: _Case) -> Generator[Task, None, bool]:
    """Yield what is to be set right between GitHub and Vercel; return whether Vercel can build our commits at all."""
    facts = case.facts
    project, repository = facts.value(facts.snapshot.project), facts.value(facts.snapshot.repository)
    ours = repository.full_name if repository else case.settings.github_repository or "the booking app's repository"

    def setting(id_: str, message: str, place: str, path: str, exactly: str) -> Task:
        why = case.summary("git_integration")
        return Task(
            id_,
            "git_integration_broken",
            "git_integration",
            message,
            why,
            who=_VERCEL_ADMIN,
            place=place,
            link=case.vercel(path),
            exactly=exactly,
        )

    if project is None:
        return True
    link = project.link
    elsewhere = link and repository and link.repo_id is not None and link.repo_id != repository.id
    if link is None or elsewhere:
        message = "Connect the project to its repository again: until then no commit of it can be built."
        yield setting("connect_repository", message, "Vercel → Project → Settings → Git", "settings/git", ours)
        return False
    if repository and link.production_branch and link.production_branch != repository.default_branch:
        message = (
            f"Set the production branch to {repository.default_branch}: only its pushes become live by themselves."
        )
        place = "Vercel → Project → Settings → Environments → Production → Branch Tracking"
        yield setting(
            "set_production_branch", message, place, "settings/environments/production", repository.default_branch
        )
    elif case.fails("git_integration") and not _connected_since(facts):
        message = (
            "Let Vercel's GitHub app see the repository, or connect the project anew: it did not hear of the push, "
            "and will not hear of the next one."
        )
        yield setting("reconnect_repository", message, "Vercel → Project → Settings → Git", "settings/git", ours)
    for check in _UNBUILT:
        if case.fails(check):
            message = f"{case.summary(check)} What changes that: {case.diagnosis.check(check).would_change}"
            yield setting(check, message, "Vercel → Project → Settings → Git", "settings/git", "")
    return True


def _connected_since(facts: Facts) -> bool:
    """Whether the project was connected after the push that Vercel did not hear of, which explains it."""
    required = facts.value(facts.snapshot.required_commit)
    events = facts.value(facts.snapshot.vercel_events) or ()
    connected = [event.at for event in events if event.type == _CONNECTED_EVENT]
    return bool(required and required.commit and any(at > required.commit.committed_at for at in connected))


def _error_of_the_code(facts: Facts) -> str | None:
    """Return how the newest production build failed, if by the code: building it again cannot help."""
    found = facts.value(facts.snapshot.deployments) or ()
    ended = [one for one in found if one.target == "production" and not one.state.in_progress]
    newest = max(ended, key=_created, default=None)
    if newest is None or newest.state is not DeploymentState.ERROR:
        return None
    log = facts.value(facts.snapshot.build_log)
    lines = log.lines if log and log.deployment_id == newest.id else ()
    errors = [line.text for line in lines if line.level is LogLevel.ERROR][:_ERROR_LINES]
    told = "\n".join(errors) or newest.error_message or ""
    return None if not told or is_transient(f"{told} {newest.error_message or ''}") else told


def _named(deployment: Deployment) -> str:
    return f"{(deployment.sha or 'the upload')[:7]} “{deployment.commit_message or deployment.id}”"


# Settings of the app.


def _environment(case: _Case) -> Iterator[Task]:
    if not case.fails("required_env"):
        return
    known = case.facts.value(case.facts.snapshot.env_names) or ()
    there = {one.key for one in known if one.in_production}
    unset = [name for name in case.settings.required_env_names if name not in there]
    if unset:
        yield Task(
            "set_variables",
            "provider_unconfigured",
            "other_systems",
            "Add these variables for Production; those of Twilio are in its Console under Account Info. "
            "They reach the app with the next build: the desk then offers it.",
            case.summary("required_env"),
            who=_VERCEL_ADMIN,
            place="Vercel → Project → Settings → Environment Variables",
            link=case.vercel("settings/environment-variables"),
            exactly="\n".join(unset),
        )
    else:
        yield _rebuild("provider_unconfigured", case.summary("required_env"))


def _rebuild(cause: str, why: str) -> Task:
    message = "Build the same commit again: variables are read when a build is made."
    return Task("redeploy", cause, "redeploy", message, why, action="redeploy")


def _provider(case: _Case) -> Iterator[Task]:
    def at_twilio(id_: str, message: str, check: str, place: str, link: str, exactly: str = "") -> Task:
        return Task(
            id_,
            "provider_failing",
            "other_systems",
            message,
            case.summary(check),
            who=_TWILIO_ADMIN,
            place=place,
            link=case.link(link),
            exactly=exactly,
        )

    if case.fails("account_active"):
        yield at_twilio(
            "settle_twilio_account",
            "Settle the bill or have the suspension lifted.",
            "account_active",
            "Twilio Console → Billing",
            "https://console.twilio.com/us1/billing/manage-billing/billing-overview",
        )
    elif case.fails("account_errors") and (error := _account_error(case.facts)):
        message = f"{error.meaning}: {_sentence(error.action)}"
        yield at_twilio(
            "mend_twilio_account", message, "account_errors", "Twilio Console", error.url, f"error {error.code}"
        )
    elif case.fails("texts_arrive") and (error := _delivery_error(case.facts)):
        message = f"{error.meaning}: {_sentence(error.action)} A cluster of it is also a ticket for Twilio's support."
        yield at_twilio("mend_delivery", message, "texts_arrive", "Twilio Console", error.url, f"error {error.code}")
    elif case.fails("texts_follow") and not (case.fails("required_env") or case.fails("api_answers")):
        yield Task(
            "read_app_log",
            "provider_unconfigured",
            "other_systems",
            "Read the app's log for why it sends nothing: Twilio's variables may be wrong, not only missing.",
            case.summary("texts_follow"),
            who=_DEVELOPER,
            place="Vercel → Project → Logs",
            link=case.vercel("logs"),
        )


def _sentence(message: str) -> str:
    return message[0].lower() + message[1:]


def _account_error(facts: Facts) -> ErrorCode | None:
    """Return the newest error that stops every text at once."""
    readings = [facts.value(reading) for reading in (facts.snapshot.texts, facts.snapshot.alerts)]
    rows = [frame[["error_code", "created_at"]].dropna() for frame in readings if frame is not None]
    if not rows:
        return None
    codes = pd.concat(rows).sort_values("created_at")["error_code"]
    return next((error for code in reversed(codes.tolist()) if (error := explain(str(code))).account_level), None)


def _delivery_error(facts: Facts) -> ErrorCode | None:
    """Return the error that most texts failed with."""
    if facts.outbound is None:
        return None
    codes = facts.outbound.loc[facts.outbound["delivery"] == Delivery.FAILED, "error_code"].dropna().value_counts()
    return explain(str(codes.index[0])) if len(codes) else None


# What customers and Twilio meet.


def _link(case: _Case) -> Iterator[Task]:
    opening = case.facts.value(case.facts.snapshot.link_opening)
    if not case.fails("link_opens") or opening is None:
        return
    way = " → ".join(opening.steps)
    if opening.landing is Landing.LOGIN and any(host in way for host in _PROTECTION_HOSTS):
        yield Task(
            "lift_protection",
            "link_broken",
            "other_systems",
            "Let strangers open production: protect previews only.",
            case.summary("link_opens"),
            who=_VERCEL_ADMIN,
            place="Vercel → Project → Settings → Deployment Protection",
            link=case.vercel("settings/deployment-protection"),
            exactly=way,
        )
        return
    yield Task(
        "open_the_page",
        "link_broken",
        "other_systems",
        "Let the confirmation page open for a stranger, with a commit, and push it: Vercel then builds it by itself.",
        case.summary("link_opens"),
        who=_DEVELOPER,
        place="the code",
        link=case.github("commits"),
        exactly=way,
    )
    yield from _back_to_when_it_worked(case)


def _back_to_when_it_worked(case: _Case) -> Iterator[Task]:
    """Yield the way back to the build before, if people confirmed until the live one came and nobody did by it."""
    host, pending = case.live_host, case.facts.pending
    live, since = (host.deployment, host.serving_since) if host else (None, None)
    before = next(
        (one for one in case.ready if one.is_rollback_candidate and live and one.created_at < live.created_at), None
    )
    if before is None or since is None or pending is None:
        return
    confirmed = pending.dropna(subset="confirmed_at")
    if confirmed.empty or _confirmed_by_what_serves(confirmed, since):
        return
    yield Task(
        "roll_back",
        "link_broken",
        "redeploy",
        f"Until then, roll back to {_named(before)}: people could confirm until the build that is live now came.",
        case.summary("link_opens"),
        action="roll_back",
        args=(("deployment", before.id),),
        meanwhile=True,
    )


def _confirmed_by_what_serves(confirmed: pd.DataFrame, since: datetime) -> bool:
    """Whether somebody confirmed on a page of what serves `since` then, and not on one that was open before."""
    asked_since = confirmed["created_at"] >= since
    too_late_for_an_open_page = confirmed["confirmed_at"] >= since + thresholds.CONFIRM_SETTLES
    return bool((asked_since | too_late_for_an_open_page).any())


def _receipts(case: _Case) -> Iterator[Task]:
    changed = case.changed_since_build(_WEBHOOK_VARIABLE, "TWILIO_AUTH_TOKEN")
    if changed and case.diagnosis.check("receipts_arrive").status is not CheckStatus.OK:
        yield _rebuild("receipts_stale", f"{changed[0]} was changed after the build that is live was made.")
        return
    if not case.fails("receipts_arrive"):
        return
    why = case.summary("receipts_arrive")
    app = case.settings.booking_app_url
    yield Task(
        "correct_webhook",
        "receipts_stale",
        "other_systems",
        f"Set {_WEBHOOK_VARIABLE} for Production to the very address that Twilio calls: the app checks each receipt's "
        "signature against it. It reaches the app with the next build: the desk then offers it.",
        why,
        who=_VERCEL_ADMIN,
        place="Vercel → Project → Settings → Environment Variables",
        link=case.vercel("settings/environment-variables"),
        exactly=f"{_WEBHOOK_VARIABLE} = {app}{_WEBHOOK_PATH}" if app else _WEBHOOK_VARIABLE,
    )


def _jobs(case: _Case) -> Iterator[Task]:
    if not case.fails("jobs_move"):
        return
    yield Task(
        "start_scheduler",
        "jobs_stuck",
        "other_systems",
        "Switch the scheduled job on that calls the app's job worker. The jobs that wait then run by themselves.",
        case.summary("jobs_move"),
        who=_VERCEL_ADMIN,
        place="Vercel → Project → Settings → Cron Jobs",
        link=case.vercel("settings/cron-jobs"),
    )
