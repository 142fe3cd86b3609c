"""The list of deployments: what is live and how far it is behind, a row for each, and the panel of the chosen row."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.actions.deployment_actions import action_options
from lib.diagnosis.serving import CommitPosition, Serving
from lib.model.deployments import Branch, BuildLog, Commit, Deployment, DeploymentState, RequiredCommit, RequiredFrom
from lib.model.reading import SourceError
from lib.ui import charts, deployments_view, labels, tables
from lib.ui import html_components as html
from lib.ui.action_dialog import action_button, may_act
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View, diagnosis_service, expander
from lib.ui.styles import draw

# Where session state and the address keep which deployment was chosen.
CHOSEN = "deployment"
MAX_ROWS = 100
TABLE_ROWS = 10  # beyond these the list scrolls
MISSING_LISTED = 5

# The word on a row's badge, and its colour. A build that is ready is not green: visitors may not get it.
LIVE = "Live"
PREVIEW = "Preview"
_BADGES: Mapping[str, str] = {
    LIVE: "green",
    PREVIEW: "gray",
    "Ready": "gray",
    "Failed": "red",
    "Blocked": "red",
    "Canceled": "orange",
    "Queued": "blue",
    "Starting": "blue",
    "Building": "blue",
    "Deleted": "gray",
    "Cannot tell": "gray",
}
_STATES: Mapping[DeploymentState, str] = {
    DeploymentState.QUEUED: "Queued",
    DeploymentState.INITIALIZING: "Starting",
    DeploymentState.BUILDING: "Building",
    DeploymentState.READY: "Ready",
    DeploymentState.ERROR: "Failed",
    DeploymentState.CANCELED: "Canceled",
    DeploymentState.BLOCKED: "Blocked",
    DeploymentState.DELETED: "Deleted",
    DeploymentState.UNKNOWN: "Cannot tell",
}
# What Vercel's word for the source of a deployment means.
_STARTED_BY: Mapping[str, str] = {
    "git": "a push",
    "cli": "an upload by hand",
    "redeploy": "a redeploy",
    "api-trigger-git-deploy": "a call, of a commit",
    "import": "an import",
}
_ACTIONS: Mapping[str, str] = {
    "promote": "Promote it",
    "roll_back": "Roll back to it",
    "deploy_commit": "Build this commit again",
    "cancel_build": "Cancel its build",
}


# What is live.


def draw_live(view: View, servings: Sequence[Serving]) -> None:
    """Draw what is live and how far that is behind what must be live: once for hostnames that serve the same."""
    groups: dict[tuple[object, ...], list[Serving]] = {}
    for one in servings:
        deployment = one.hostname.deployment
        same = (deployment.id, one.position, one.behind_by) if deployment else (one.hostname.name,)
        groups.setdefault(same, []).append(one)
    for group in groups.values():
        draw(_live_line(view, group, alone=len(groups) == 1))


def _live_line(view: View, group: Sequence[Serving], *, alone: bool) -> Markup:
    first, deployment = group[0], group[0].hostname.deployment
    hosts = ", ".join(one.hostname.name for one in group)
    what = "Live" if alone else f"Live on {hosts}"
    if deployment is None:
        return html.live_line(f"{what}: cannot tell", labels.CANNOT_TELL, [hosts, first.why_unknown])
    required, branch = view.facts.value(view.snapshot.required_commit), view.facts.value(view.snapshot.branch)
    since = [f"{one.hostname.name}, {_since(view, one.hostname.serving_since)}" for one in group]
    rows = [" · ".join(since), first.why_unknown]
    if missing := _missing(first, required, branch):
        rows.append(f"Not live yet: {missing}")
    if required is not None and (not missing or required.taken_from is RequiredFrom.SETTING):
        rows.append(_measured_against(required))
    rows += [
        f"The DNS of {one.hostname.name} is misconfigured: visitors may not reach Vercel."
        for one in group
        if one.hostname.dns_misconfigured
    ]
    return html.live_line(f"{what}: {named(deployment)}", position_sign(first, required), filter(None, rows))


def _since(view: View, at: datetime | None) -> str:
    return f"since {view.time_and_age(at)}" if at else "since when is not known"


def named(deployment: Deployment) -> str:
    """Return a deployment as people call it: its commit, and what its author wrote."""
    message = f" “{deployment.commit_message}”" if deployment.commit_message else ""
    if deployment.git_dirty:
        return f"an upload from {short(deployment)} with uncommitted changes"
    return f"{short(deployment)}{message}" if deployment.sha else f"an upload without a commit{message}"


def short(deployment: Deployment) -> str:
    return (deployment.sha or "upload")[:7]


def position_sign(serving: Serving, required: RequiredCommit | None) -> Sign:
    """Return how far a hostname is behind what must be live, in the words of a list."""
    behind = serving.behind_by
    commits = formatting.counted(behind, "commit") if behind else ""
    match serving.position:
        case CommitPosition.SAME:
            is_head = required is not None and required.taken_from is RequiredFrom.BRANCH_HEAD
            return Sign("up to date" if is_head else "the required commit", "✓", Tone.GOOD)
        case CommitPosition.NEWER:
            return Sign("newer than the required commit", "✓", Tone.GOOD)
        case CommitPosition.BEHIND:
            return Sign(f"{commits} behind" if behind else "behind, by how many cannot be told", "✕", Tone.BAD)
        case CommitPosition.ELSEWHERE:
            lacks = f", and lacks {commits}" if behind else ""
            return Sign(f"on another branch{lacks}", "✕", Tone.BAD)
        case CommitPosition.UNKNOWN:
            return Sign("cannot tell how far behind", "?", Tone.UNKNOWN)


def _missing(serving: Serving, required: RequiredCommit | None, branch: Branch | None) -> str:
    """Return which commits are not live there, the newest first; empty where that cannot be told."""
    sha = serving.hostname.serving_commit
    if branch is None or required is None or sha is None or serving.position is not CommitPosition.BEHIND:
        return ""
    shas = branch.missing_from(sha, required.sha) or frozenset()
    missing = [commit for commit in branch.commits if commit.sha in shas]
    named_ = ", ".join(_commit_name(commit) for commit in missing[:MISSING_LISTED])
    return named_ + (f" and {len(missing) - MISSING_LISTED} more" if len(missing) > MISSING_LISTED else "")


def _commit_name(commit: Commit) -> str:
    return f"{commit.sha[:7]} “{commit.headline}”"


def _measured_against(required: RequiredCommit) -> str:
    where = {
        RequiredFrom.SETTING: "the commit that REQUIRED_COMMIT names",
        RequiredFrom.BRANCH_HEAD: "the head of the production branch",
    }
    name = _commit_name(required.commit) if required.commit else required.sha[:7]
    off = " The production branch does not contain it." if required.on_branch is False else ""
    return f"Measured against {name}, {where[required.taken_from]}.{off}"


# The rows.


def ordered(view: View) -> tuple[Deployment, ...]:
    """Return the deployments that the list shows, newest first."""
    found = view.facts.value(view.snapshot.deployments) or ()
    return tuple(sorted(found, key=lambda one: (one.created_at, one.id), reverse=True))[:MAX_ROWS]


def rows(deployments: Sequence[Deployment], live_ids: frozenset[str]) -> pd.DataFrame:
    """Return the deployments as rows of the list."""
    return pd.DataFrame(
        [
            {
                "badges": badges(one, live_ids),
                "message": one.commit_message,
                "sha": one.built_from,
                "created_at": one.created_at,
                "author": one.commit_author or one.creator,
                "branch": one.branch,
                "took": _took(one),
                "failure": _why_failed(one),
            }
            for one in deployments
        ],
        columns=["badges", "message", "sha", "created_at", "author", "branch", "took", "failure"],
    )


def badges(deployment: Deployment, live_ids: frozenset[str]) -> list[str]:
    """Return the words that a row begins with: whether it is live, else what became of it."""
    state = _STATES[deployment.state]
    if deployment.id in live_ids:
        return [LIVE] if deployment.state is DeploymentState.READY else [LIVE, state]
    return [state] if deployment.target == "production" else [state, PREVIEW]


def _took(deployment: Deployment) -> str | None:
    minutes = charts.build_minutes(deployment)
    return None if minutes is None else formatting.exact_duration(timedelta(minutes=minutes))


def _why_failed(deployment: Deployment) -> str | None:
    if not deployment.state.failed:
        return None
    return deployment.error_message or deployment.ready_state_reason or deployment.error_code


def draw_list(view: View, deployments: Sequence[Deployment]) -> Deployment:
    """Draw the list and return the chosen deployment: by the address, by a click, else the one that matters most."""
    ids = [one.id for one in deployments]
    chosen = chosen_id(view, deployments)
    # Rows that come or go are another list: else a row that was chosen would be another deployment's.
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:12]
    key = f"deployment_list_{digest}"
    frame = tables.prepared(rows(deployments, view.facts.live_ids), tables.DEPLOYMENT_LIST, sharing=view.sharing)
    # A shared screen names nobody; and a column without anything says nothing.
    unused = [*(["author"] if view.sharing else []), *(["failure"] if frame["failure"].eq("").all() else [])]
    frame = frame.drop(columns=unused)
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        height=36 * (min(len(ids), TABLE_ROWS) + 1),
        column_config=_columns(view.settings.time_zone),
        on_select=partial(_choose, key, ids),
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [ids.index(chosen)]}},
        placeholder="—",
        alt="Deployments, newest first. Choose one to see its build log and what can be done with it.",
    )
    return next(one for one in deployments if one.id == chosen)


def _columns(zone: str) -> dict[str, Any]:
    config = st.column_config
    return {
        "badges": config.MultiselectColumn("State", options=list(_BADGES), color=list(_BADGES.values()), width=104),
        "message": config.TextColumn("Message", width=210),
        "sha": config.TextColumn("Commit", width="small"),
        "created_at": config.DatetimeColumn("Age", format="distance", timezone=zone, width=98),
        "author": config.TextColumn("Author", width=84),
        "branch": config.TextColumn("Branch", width=64),
        "took": config.TextColumn("Build took", width="small"),
        "failure": config.TextColumn("Why it failed", width="medium"),
    }


def chosen_id(view: View, deployments: Sequence[Deployment]) -> str:
    """Return the id of the chosen deployment. One that is not in the list counts as not chosen."""
    ids = {one.id for one in deployments}
    linked = st.query_params.get(CHOSEN)
    if linked in ids:
        st.session_state[CHOSEN] = linked
    known = st.session_state.get(CHOSEN)
    return known if known in ids else _most_important(view, deployments).id


def _most_important(view: View, deployments: Sequence[Deployment]) -> Deployment:
    """Return the newest production build if it failed or is under way, else what is live, else the newest."""
    newest = next((one for one in deployments if one.target == "production"), None)
    if newest is not None and (newest.state.failed or newest.state.in_progress):
        return newest
    return next((one for one in deployments if one.id in view.facts.live_ids), deployments[0])


def _choose(key: str, ids: Sequence[str]) -> None:
    """Keep which row was chosen, by its id. The index comes from a browser: one out of range chooses nothing."""
    found = st.session_state[key]["selection"]["rows"]
    if len(found) == 1 and isinstance(found[0], int) and 0 <= found[0] < len(ids):
        st.session_state[CHOSEN] = st.query_params[CHOSEN] = ids[found[0]]


# The panel of the chosen row.


def draw_panel(view: View, deployment: Deployment) -> None:
    """Draw one deployment: what it is, what can be done with it and what cannot and why, and its build log."""
    with st.container(border=True, key="deployment_panel"):
        st.markdown(f"**{plain(named(deployment))}**")
        with st.container(horizontal=True, gap="small"):
            for word in badges(deployment, view.facts.live_ids):
                st.badge(word, color=_colour(word))
        draw(html.facts(_facts(view, deployment), short=True))
        if deployment.state.failed:
            draw(_failure(view, deployment))
        if not view.sharing:
            _draw_options(view, deployment)
        _draw_log(view, deployment)


def _colour(word: str) -> Any:
    """Return the colour of a badge. Streamlit's type for it is a list of literals."""
    return _BADGES[word]


def _facts(view: View, deployment: Deployment) -> html.Rows:
    found: html.Rows = [
        ("Created", view.time_and_age(deployment.created_at)),
        *([] if view.sharing else [("By", deployment.commit_author or deployment.creator or "not said")]),
        ("Branch", deployment.branch or "not said"),
        ("Build took", _took(deployment) or "not said"),
        ("Deployment", html.code(deployment.id)),
    ]
    if deployment.source:
        found.append(("Started by", _STARTED_BY.get(deployment.source, deployment.source)))
    if deployment.git_dirty:
        found.append(("Holds", "uncommitted changes: what is in it cannot be told"))
    return found


def _failure(view: View, deployment: Deployment) -> Markup:
    """Return why a build failed: what Vercel says, and what its log says beyond that."""
    said = _why_failed(deployment)
    log = _log_at_hand(view, deployment)
    logged = deployments_view.error_lines(log) if log else ()
    found: html.Rows = []
    if deployment.error_step:
        found.append(("Step", deployment.error_step))
    if deployment.error_code and deployment.error_code != said:
        found.append(("Code", html.code(deployment.error_code)))
    if deployment.error_link:
        found.append(("More", html.link("What Vercel says about it", deployment.error_link)))
    body = html.facts(found, short=True) if found else html.NOTHING
    if logged and not any(line in (said or "") for line in logged):
        body = html.join([html.log_lines((line, Tone.BAD) for line in logged), body])
    return html.card(said or "Vercel does not say why.", body, sign=Sign(_STATES[deployment.state], "✕", Tone.BAD))


def _log_at_hand(view: View, deployment: Deployment) -> BuildLog | None:
    """Return the log of a build if it is the one that every snapshot reads."""
    read = view.facts.value(view.snapshot.build_log)
    return read if read is not None and read.deployment_id == deployment.id else None


def _draw_options(view: View, deployment: Deployment) -> None:
    if not may_act():
        return
    found = action_options(deployment, view.facts.value(view.snapshot.project), view.facts.live_ids)
    with st.container(horizontal=True, key="deployment_actions"):
        for one in found:
            if not one.refusal:
                action_button(one.action, one.args, _ACTIONS[one.action], key=f"row_{one.action}")
    refused = [(f"{_ACTIONS[one.action]}:", one.refusal) for one in found if one.refusal]
    if refused:
        draw(html.not_possible(refused))


def _draw_log(view: View, deployment: Deployment) -> None:
    log = _log_at_hand(view, deployment)
    if log is None and deployment.state.in_progress:
        draw(html.nothing("The build is under way. Its log can be read here once it is over."))
        return
    with expander("Build log", key="log", icon=":material/terminal:") as is_open:
        if is_open and log is not None:
            draw(deployments_view.log_end(log, deployments_view.MAX_LOG_LINES))
        elif is_open:
            _draw_log_of(deployment)


def _draw_log_of(deployment: Deployment) -> None:
    try:
        with st.spinner("Reading the build log …"):
            log: BuildLog = diagnosis_service().build_log(deployment.id)
    except SourceError as error:
        draw(html.nothing("The build log could not be read."))
        st.text(outside(f"{error.failure.sentence} {error.failure.hint}".strip()))
        return
    if log.lines:
        draw(deployments_view.log_end(log, deployments_view.MAX_LOG_LINES))
    else:
        draw(html.nothing("Vercel has no lines of it."))
