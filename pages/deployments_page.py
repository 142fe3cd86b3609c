"""Deployments: what each production hostname serves, how far it is behind, and why."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.model.verdict import CheckStatus, Hop
from lib.ui import action_buttons, action_dialog, charts, checks_view, deployments_view, tables
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw


def body(view: View) -> None:
    snapshot = view.snapshot
    serving(view)
    failure_modes(view)
    build_log(view)
    deployments(view)
    if action_dialog.may_act():
        st.subheader("Act on it", anchor=False)
        action_buttons.draw_deployment_buttons(view, key="deployments")
        action_buttons.draw_force_button(key="deployments")
    left, right = st.columns(2, gap="large")
    with left:
        if panel(view, "From push to deployment", snapshot.project) and snapshot.project.value:
            draw(deployments_view.git_card(snapshot.project.value))
    with right:
        if panel(view, "Environment names", snapshot.env_names):
            unset = html.nothing("Set REQUIRED_ENV_NAMES to have them held against what is there.")
            draw(deployments_view.environment_table(view) or unset)


def serving(view: View) -> None:
    snapshot = view.snapshot
    if panel(view, "What customers get", snapshot.hostnames):
        servings = view.facts.servings
        if servings:
            draw(html.cards(deployments_view.hostname_card(view, one) for one in servings))
        else:
            draw(html.nothing("The project has no production hostname."))
    required, unread = snapshot.required_commit.value, view.cannot_tell(snapshot.required_commit)
    draw(unread or (deployments_view.required_commit_card(view, required) if required else html.nothing("")))


def failure_modes(view: View) -> None:
    asked = [check for check in view.diagnosis.checks if check.hop is Hop.CODE]
    if not asked:
        return
    st.subheader("Why", anchor=False)
    found = checks_view.with_status(asked, CheckStatus.FAIL, CheckStatus.WARN)
    unknown = checks_view.with_status(asked, CheckStatus.CANNOT_TELL)
    if not found:
        possible = f"Of {len(asked)} possible ones, {len(unknown)} cannot be told."
        draw(html.nothing(f"No reason was found. {possible}"))
    checks_view.draw_checks(view, found)
    others = [check for check in asked if check not in found]
    if others and st.toggle(f"Show the {len(others)} others", key="all_reasons", bind="query-params"):
        checks_view.draw_checks(view, sorted(others, key=lambda check: check.status is not CheckStatus.CANNOT_TELL))


def build_log(view: View) -> None:
    if not panel(view, "The newest production build", view.snapshot.build_log):
        return
    log = view.snapshot.build_log.value
    if log is None:
        draw(html.nothing("It neither failed nor is it under way: there is no log to read."))
    else:
        draw(deployments_view.build_log(log))


def deployments(view: View) -> None:
    if not panel(view, "Deployments", view.snapshot.deployments):
        return
    found = view.snapshot.deployments.value or ()
    if not found:
        draw(html.nothing("There is none yet."))
        return
    figure, alt = charts.durations(found, view.zone), "How long each production build took, and whether it failed."
    st.plotly_chart(figure, key="durations", config=charts.CONFIG, alt=alt)
    live = frozenset(one.hostname.deployment.id for one in view.facts.servings or () if one.hostname.deployment)
    rows = deployments_view.deployment_rows(found, live)
    tables.draw_table(view, rows, tables.DEPLOYED, key="deployments", alt="Deployments, newest first.")


draw_page(body)
