"""Deployments: what each hostname serves, the build log, the link to Git, and environment names."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from lib import formatting
from lib.diagnosis.serving import CommitPosition, Serving
from lib.model.deployments import BuildLog, Deployment, LogLevel, Project, RequiredCommit
from lib.ui import charts, labels
from lib.ui import html_components as html
from lib.ui.labels import Sign, Tone
from lib.ui.page_frame import View

MAX_LOG_LINES = 400
MAX_ERROR_LINES = 4

_TONES = {LogLevel.ERROR: Tone.BAD, LogLevel.WARNING: Tone.WARN, LogLevel.INFO: Tone.QUIET}


def hostname_card(view: View, serving: Serving) -> Markup:
    """One production hostname: what it serves, since when, and how far that is from the required commit."""
    host, deployment = serving.hostname, serving.hostname.deployment
    rows: html.Rows = []
    if deployment is not None:
        rows += [
            ("Serves", html.code((deployment.sha or "an upload without a commit")[:26])),
            ("Commit", deployment.commit_message or formatting.UNKNOWN),
            ("Since", view.time_and_age(host.serving_since)),
            ("Deployment", html.code(deployment.id)),
        ]
    if serving.behind_by is not None and serving.position in (CommitPosition.BEHIND, CommitPosition.ELSEWHERE):
        rows.append(("Behind by", formatting.counted(serving.behind_by, "commit")))
    if serving.why_unknown:
        rows.append(("Because", serving.why_unknown))
    if host.dns_misconfigured:
        rows.append(("DNS", "misconfigured: visitors may not reach Vercel"))
    return html.card(host.name, html.facts(rows), sign=labels.POSITION[serving.position])


def required_commit_card(view: View, commit: RequiredCommit) -> Markup:
    """The commit that must be live."""
    where = {"setting": "the setting REQUIRED_COMMIT", "branch_head": "the head of the production branch"}
    on_branch = {True: "yes", False: "no: the production branch does not contain it", None: "cannot tell"}
    rows: html.Rows = [
        ("Commit", html.code(commit.sha[:12])),
        ("Taken from", where[commit.taken_from]),
        ("On the branch", on_branch[commit.on_branch]),
    ]
    if commit.commit is not None:
        rows.insert(1, ("Says", commit.commit.headline))
        rows.append(("Made", view.time_and_age(commit.commit.committed_at)))
    return html.card("The required commit", html.facts(rows))


def git_card(project: Project) -> Markup:
    """How a push becomes a deployment."""
    link = project.link
    if link is None:
        body = html.nothing("The Vercel project builds from no repository.")
        return html.card("Git", body, sign=Sign("disconnected", "✕", Tone.BAD))
    rows: html.Rows = [
        ("Repository", f"{link.full_name} ({link.type})"),
        ("Production branch", link.production_branch or "not said"),
        ("Deploys on push", labels.YES_NO[project.creates_git_deployments]),
        ("Moves the domain by itself", labels.YES_NO[project.auto_assign_custom_domains]),
        ("Ignored build step", project.ignore_command or "none"),
        ("Root directory", project.root_directory or "the repository's"),
        ("Project paused", labels.YES_NO[project.paused]),
        ("Visitors must log in", project.protection or "no"),
        ("Deploy hooks", str(link.deploy_hook_count)),
    ]
    return html.card("Git", html.facts(rows))


def deployment_rows(deployments: Sequence[Deployment], live_ids: frozenset[str]) -> pd.DataFrame:
    """Return the deployments as rows, newest first."""
    rows = [
        {
            "created_at": deployment.created_at,
            "state": f"{labels.DEPLOYMENT[deployment.state].glyph} {labels.DEPLOYMENT[deployment.state].word}",
            "live": deployment.id in live_ids,
            "target": deployment.target or "preview",
            "sha": (deployment.sha or "upload")[:7],
            "message": deployment.commit_message,
            "author": deployment.commit_author or deployment.creator,
            "branch": deployment.branch,
            "minutes": charts.build_minutes(deployment),
            "source": deployment.source,
        }
        for deployment in sorted(deployments, key=lambda deployment: deployment.created_at, reverse=True)
    ]
    columns = ["created_at", "state", "live", "target", "sha", "message", "author", "branch", "minutes", "source"]
    return pd.DataFrame(rows, columns=columns)


def build_log(log: BuildLog) -> Markup:
    """The build log, with the first error on top."""
    first = log.first_error
    if first is None:
        return log_end(log, MAX_LOG_LINES)
    errors = [line.text for line in log.lines[log.lines.index(first) :] if line.level is LogLevel.ERROR]
    top = html.log_lines((text, Tone.BAD) for text in errors[:MAX_ERROR_LINES])
    card = html.card("The first error, and what followed", top, sign=Sign("error", "✕", Tone.BAD))
    return html.stacked(card, log_end(log, MAX_LOG_LINES))


def log_end(log: BuildLog, count: int) -> Markup:
    """The newest lines of a build."""
    return html.log_lines((line.text, _TONES[line.level]) for line in log.lines[-count:])


def environment_table(view: View) -> Markup | None:
    """Which names the build needs, and whether the project and the serving build have them; None: none is required."""
    needed = view.settings.required_env_names
    if not needed:
        return None
    names = view.facts.value(view.snapshot.env_names)
    present = None if names is None else {name.key for name in names if name.in_production}
    builds = [s.hostname.deployment.env_names for s in view.facts.servings or () if s.hostname.deployment]
    in_build = None if not builds or None in builds else set[str]().union(*(group or () for group in builds))
    rows = ((html.code(name), _has(name, present), _has(name, in_build)) for name in needed)
    return html.table(("Name", "Set for production", "In the build that serves"), rows)


def _has(name: str, known: set[str] | None) -> Markup:
    if known is None:
        return html.chip(labels.CANNOT_TELL)
    return html.chip(labels.YES if name in known else Sign("missing", "✕", Tone.BAD))
