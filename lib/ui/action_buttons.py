"""Which buttons belong to what is seen: on deployments, migrations and test bookings."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.diagnosis.applicable_migrations import cured_by, database_faults
from lib.diagnosis.applicable_migrations import recommended as cures_most_first
from lib.journal.incident import Incident
from lib.migrations.catalogue import Migration, catalogue
from lib.model.deployments import Deployment, DeploymentState
from lib.model.task import Task
from lib.redaction import redact
from lib.ui import html_components, incidents_view, labels, plan_view
from lib.ui.action_dialog import action_button, may_act
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View
from lib.ui.styles import draw

_LABELS = {
    "deploy_commit": "Deploy it",
    "promote": "Promote it",
    "redeploy": "Redeploy",
    "roll_back": "Roll back",
    "run_migration": "Run this migration",
}
_CURES = Sign("cures what was seen", "→", Tone.WARN)
_CURES_NOTHING = Sign("cures nothing that was seen", "–", Tone.QUIET)
_UNREAD = Sign("cannot tell", "?", Tone.UNKNOWN)


def task_button(view: View, task: Task, incident: Incident | None) -> None:
    """Draw one task: its card, and its button, or where people do it and the way to say that they have."""
    with st.container(border=False, gap="xsmall", key=f"task_{task.id}"):
        draw(plan_view.task_card(view, task, incident))
        if task.exactly:
            st.code(redact(task.exactly), language=None, wrap_lines=True)
        with st.container(horizontal=True):
            if task.action is not None:
                action_button(
                    task.action,
                    dict(task.args),
                    _LABELS[task.action],
                    key=f"do_{task.id}",
                    step_id=task.step_id,
                    primary=not task.meanwhile,
                )
                return
            if task.link is not None:
                st.link_button(plain(f"Open {task.place}"), task.link, icon=":material/open_in_new:")
            if incident is not None and may_act() and plan_view.said_done(task, incident) is None:
                st.button(
                    "It is done: look again",
                    key=f"done_{task.id}",
                    type="primary",
                    icon=":material/task_alt:",
                    on_click=incidents_view.done_elsewhere,
                    args=(task.step_id, task.message),
                )


def deployment_buttons(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that build, move and stop production builds."""
    if not may_act():
        return
    required = view.facts.value(view.snapshot.required_commit)
    with st.container(horizontal=True, key=f"{key}_builds"):
        if required is not None:
            label = f"Deploy {required.sha[:7]}, the required commit"
            action_button("deploy_commit", {"sha": required.sha}, label, key=f"{key}_deploy_commit", step_id=step_id)
        action_button("redeploy_newest", {}, "Deploy the newest commit", key=f"{key}_newest", step_id=step_id)
        action_button("redeploy", {}, "Redeploy the same commit", key=f"{key}_redeploy", step_id=step_id)
    production = _production(view)
    if not production:
        return
    names = {one.id: _called(one, view) for one in production}
    chosen = st.selectbox(
        "One production build",
        list(names),
        format_func=lambda id_: outside(names.get(str(id_), str(id_))),
        key=f"{key}_chosen",
    )
    found = next((one for one in production if one.id == chosen), production[0])
    live = {host.deployment.id for host in view.facts.value(view.snapshot.hostnames) or () if host.deployment}
    ready = found.state is DeploymentState.READY and live != {found.id}
    with st.container(horizontal=True, key=f"{key}_moves"):
        given = {"deployment": found.id}
        action_button("promote", given, "Promote it", key=f"{key}_promote", step_id=step_id, disabled=not ready)
        action_button(
            "roll_back", given, "Roll back to it", key=f"{key}_roll_back", step_id=step_id, disabled=not ready
        )
        action_button(
            "cancel_build",
            given,
            "Cancel its build",
            key=f"{key}_cancel",
            step_id=step_id,
            disabled=not found.state.in_progress,
        )


def _production(view: View) -> list[Deployment]:
    """Return the production builds, the newest first."""
    found = view.facts.value(view.snapshot.deployments) or ()
    return sorted((one for one in found if one.target == "production"), key=lambda one: one.created_at, reverse=True)


def _called(one: Deployment, view: View) -> str:
    made = formatting.local_time(one.created_at, view.zone, view.now)
    state = labels.DEPLOYMENT[one.state].word
    return f"{(one.sha or 'upload')[:7]} · {state} · {made} · {one.commit_message or one.id}"


def force_button(*, key: str, step_id: str | None = None) -> None:
    action_button("force_deploy", {}, "Force a deployment by an empty commit", key=f"{key}_force", step_id=step_id)


def migration_buttons(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the catalogue: what cures an error that was seen first, and of the others that they cure nothing."""
    unread = view.cannot_tell(view.snapshot.catalog)
    faults = {} if unread is not None else database_faults(view.facts)
    first = cures_most_first(faults)
    # One that cures nothing by its own word is the way back of another, and offered as its undo.
    ordered = (*first, *(one for one in catalogue().values() if one.cures and one not in first))
    if unread is not None:
        draw(unread)
    elif not first:
        draw(
            html_components.nothing(
                "No migration of the catalogue cures anything that was seen. Running one changes nothing."
            )
        )
    draw(html_components.cards(_migration(one, cured_by(one, faults), known=unread is None) for one in ordered))
    if not may_act():
        return
    names = [one.name for one in ordered]
    chosen = str(
        st.selectbox(
            "Which migration", names, format_func=lambda name: catalogue()[str(name)].title, key=f"{key}_migration"
        )
    )
    with st.container(horizontal=True, key=f"{key}_migrate"):
        recommended = any(one.name == chosen for one in first)
        action_button(
            "run_migration",
            {"name": chosen},
            "Run it",
            key=f"{key}_run_migration",
            step_id=step_id,
            primary=recommended,
        )
        action_button(
            "rehearse_migration", {"name": chosen}, "Try it and roll back", key=f"{key}_rehearse", step_id=step_id
        )
        if catalogue()[chosen].undone_by is not None:
            action_button("undo_migration", {"name": chosen}, "Undo it", key=f"{key}_undo_migration", step_id=step_id)


def _migration(migration: Migration, cured: Iterable[str], *, known: bool) -> Markup:
    page_view = tuple(cured)
    sign = _UNREAD if not known else _CURES if page_view else _CURES_NOTHING
    undo = f"by {migration.undone_by}" if migration.undone_by else f"Cannot be undone. {migration.cannot_be_undone}"
    rows: list[tuple[str, str | Markup]] = [("Name", html_components.code(migration.name))]
    if page_view:
        rows.append(("Cures", html_components.bullets(page_view)))
    rows += [("Lock", migration.lock), ("Undo", undo)]
    return html_components.card(migration.title, html_components.facts(rows), sign=sign)


def test_buttons(*, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that try the flow."""
    with st.container(horizontal=True, key=f"{key}_try"):
        action_button("test_booking", {}, "Test booking to our own phone", key=f"{key}_test_booking", step_id=step_id)
        action_button(
            "test_validation", {}, "Test the booking call alone", key=f"{key}_test_validation", step_id=step_id
        )
        action_button("recheck_link", {}, "Open the newest link again", key=f"{key}_recheck_link", step_id=step_id)
