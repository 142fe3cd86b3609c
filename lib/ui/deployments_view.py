"""Deployments: the build log, the link to Git, and environment names."""

from __future__ import annotations

from markupsafe import Markup

from lib.model.deployments import BuildLog, LogLevel, Project
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.labels import Sign, Tone
from lib.ui.page_frame import View

MAX_LOG_LINES = 400
MAX_ERROR_LINES = 4

_TONES = {LogLevel.ERROR: Tone.BAD, LogLevel.WARNING: Tone.WARN, LogLevel.INFO: Tone.QUIET}


# Vercel's word for which deployments ask visitors for a login (ssoProtection.deploymentType).
_PROTECTED = {
    "all": "on every deployment",
    "preview": "on previews only",
    "prod_deployment_urls_and_all_previews": "on previews and on addresses of single deployments",
    "all_except_custom_domains": "everywhere but on custom domains",
}


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
        ("New builds go live by themselves", labels.YES_NO[project.auto_assign_custom_domains]),
        ("Ignored build step", project.ignore_command or "none"),
        ("Root directory", project.root_directory or "the root of the repository"),
        ("Project paused", labels.YES_NO[project.paused]),
        ("Visitors must log in", _PROTECTED.get(project.protection or "", project.protection or "no")),
        ("Deploy hooks", str(link.deploy_hook_count)),
    ]
    return html.card("Git", html.facts(rows))


def error_lines(log: BuildLog) -> tuple[str, ...]:
    """Return the first error of a build log and what follows of it."""
    first = log.first_error
    if first is None:
        return ()
    errors = [line.text for line in log.lines[log.lines.index(first) :] if line.level is LogLevel.ERROR]
    return tuple(errors[:MAX_ERROR_LINES])


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
    return html.table(("Name", "Set for production", "In the live build"), rows)


def _has(name: str, known: set[str] | None) -> Markup:
    if known is None:
        return html.chip(labels.CANNOT_TELL)
    return html.chip(labels.YES if name in known else Sign("missing", "✕", Tone.BAD))
