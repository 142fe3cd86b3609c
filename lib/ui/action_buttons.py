"""Which buttons belong to what is seen: on tasks, deployments, migrations and test bookings."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st
from markupsafe import Markup

from lib.actions.deployment_actions import action_options
from lib.diagnosis.applicable_migrations import cured_by, database_faults, recommended
from lib.journal.incident import Incident
from lib.migrations.catalogue import Migration, catalogue
from lib.model.deployments import Deployment
from lib.model.task import Task
from lib.plan_state import recorded_as_done
from lib.redaction import redact
from lib.ui import html_components as html
from lib.ui import labels, plan_view
from lib.ui.action_dialog import action_button, may_act, operator_button
from lib.ui.incidents_view import record_done_elsewhere
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View, expander
from lib.ui.styles import draw

_HELPS = Sign("Helps now", "→", Tone.WARN)
_WOULD_NOT_HELP = Sign("Would not help", "–", Tone.QUIET)


def draw_task(view: View, task: Task, incident: Incident | None) -> None:
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
                    key=f"do_{task.id}",
                    step_id=task.step_id,
                    primary=not task.meanwhile,
                )
                return
            if task.link is not None:
                st.link_button(plain(f"Open {task.place}"), task.link, icon=":material/open_in_new:")
            if incident is not None and may_act() and recorded_as_done(task, incident) is None:
                record, icon = partial(record_done_elsewhere, task.step_id, task.message), ":material/task_alt:"
                operator_button("It is done: check again", f"done_{task.id}", record, type="primary", icon=icon)


def draw_deployment_buttons(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that build, move and stop production builds."""
    if not may_act():
        return
    draw_build_buttons(view, key=key, step_id=step_id)
    draw_move_buttons(view, key=key, step_id=step_id)


def draw_build_buttons(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that make a new production build."""
    required = view.facts.value(view.snapshot.required_commit)
    with st.container(horizontal=True, key=f"{key}_builds"):
        if required is not None:
            label = f"Deploy {required.sha[:7]}, the required commit"
            action_button("deploy_commit", {"sha": required.sha}, label, key=f"{key}_deploy_commit", step_id=step_id)
        action_button("redeploy_newest", {}, "Deploy the newest commit", key=f"{key}_newest", step_id=step_id)
        action_button("redeploy", {}, "Redeploy the same commit", key=f"{key}_redeploy", step_id=step_id)


def draw_move_buttons(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that move production to one of its builds, or stop one."""
    deployments = view.facts.value(view.snapshot.deployments) or ()
    production = [deployment for deployment in deployments if deployment.target == "production"]
    production.sort(key=lambda deployment: deployment.created_at, reverse=True)
    if not production:
        return
    names = {deployment.id: _build_label(deployment, view) for deployment in production}
    chosen = st.selectbox(
        "One production build",
        list(names),
        format_func=lambda id_: outside(names.get(str(id_), str(id_))),
        key=f"{key}_chosen",
    )
    build = next((deployment for deployment in production if deployment.id == chosen), production[0])
    project = view.facts.value(view.snapshot.project)
    refused = {one.action: one.refusal for one in action_options(build, project, view.facts.live_ids)}
    with st.container(horizontal=True, key=f"{key}_moves"):
        for action, label, name in (
            ("promote", "Promote it", "promote"),
            ("roll_back", "Roll back to it", "roll_back"),
            ("cancel_build", "Cancel its build", "cancel"),
        ):
            given, disabled = {"deployment": build.id}, bool(refused[action])
            action_button(action, given, label, key=f"{key}_{name}", step_id=step_id, disabled=disabled)


def _build_label(deployment: Deployment, view: View) -> str:
    state, made = labels.DEPLOYMENT[deployment.state].word, view.local_time(deployment.created_at)
    about = deployment.commit_message or deployment.id
    return f"{deployment.built_from} · {state} · {made} · {about}"


def draw_force_button(*, key: str, step_id: str | None = None) -> None:
    action_button("force_deploy", {}, "Push an empty commit …", key=f"{key}_force", step_id=step_id)


def draw_migrations(view: View, *, key: str, step_id: str | None = None) -> None:
    """Draw the migrations that help against what was seen, each with its buttons; the others stand behind one line."""
    unread = view.cannot_tell(view.snapshot.catalog)
    faults = {} if unread is not None else database_faults(view.facts)
    first = recommended(faults)
    # A migration that states no cure is the undo of another, and is offered as such.
    others = tuple(one for one in catalogue().values() if one.cures and one not in first)
    if unread is not None:
        draw(unread)
    elif not first:
        draw(html.nothing("No migration of the catalogue would help now."))
    for number, migration in enumerate(first):
        draw(_migration_card(migration, tuple(cured_by(migration, faults)), known=True))
        if may_act():
            # The first one has the key that the only one would have.
            _draw_migration_buttons(migration, f"{key}_{migration.name}" if number else key, step_id, primary=True)
    if not others:
        return
    line = f"Would not help now ({len(others)})" if unread is None else f"Migrations of the catalogue ({len(others)})"
    with expander(line, key=f"{key}_other_migrations", icon=":material/more_horiz:") as is_open:
        if not is_open:
            return
        draw(html.cards(_migration_card(one, (), known=unread is None) for one in others))
        if not may_act():
            return
        names = {one.name: one for one in others}
        chosen = st.selectbox(
            "Which migration",
            list(names),
            format_func=lambda name: catalogue()[str(name)].title,
            key=f"{key}_migration",
        )
        migration = names.get(str(chosen), others[0])
        _draw_migration_buttons(migration, f"{key}_other", step_id, primary=False)


def _draw_migration_buttons(migration: Migration, key: str, step_id: str | None, *, primary: bool) -> None:
    actions = [("run_migration", "", "run_migration"), ("rehearse_migration", "", "rehearse")]
    if migration.undone_by is not None:
        actions.append(("undo_migration", f"Undo: {catalogue()[migration.undone_by].title} …", "undo_migration"))
    with st.container(horizontal=True, key=f"{key}_migrate"):
        for action, label, name in actions:
            main = primary and action == "run_migration"
            given = {"name": migration.name}
            action_button(action, given, label, key=f"{key}_{name}", step_id=step_id, primary=main)


def _migration_card(migration: Migration, cured: Sequence[str], *, known: bool) -> Markup:
    sign = labels.CANNOT_TELL if not known else _HELPS if cured else _WOULD_NOT_HELP
    undo = catalogue()[migration.undone_by].title if migration.undone_by else migration.cannot_be_undone or ""
    fixes = [("Fixes", html.bullets(cured))] if cured else []
    undone = undo if migration.undone_by else f"Cannot be undone. {undo}"
    rows: html.Rows = [*fixes, ("Lock", migration.lock), ("Undo", undone)]
    return html.card(migration.title, html.facts(rows), sign=sign)


def draw_test_buttons(*, key: str, step_id: str | None = None) -> None:
    """Draw the buttons that try the flow."""
    with st.container(horizontal=True, key=f"{key}_try"):
        for action, label in (
            ("test_booking", "Make a test booking for our own phone …"),
            ("test_validation", "Test the booking call alone …"),
            ("recheck_link", "Open the newest link again"),
        ):
            action_button(action, {}, label, key=f"{key}_{action}", step_id=step_id)
