"""Deployments: what each production hostname serves, how far it is behind, and why."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.model.verdict import CheckStatus, Hop
from lib.ui import action_buttons, action_dialog, charts, checks_view, deployments_view, html_components, tables
from lib.ui.page_frame import View, panel, show
from lib.ui.styles import draw


def body(view: View) -> None:
    snapshot = view.snapshot
    serving(view)
    reasons(view)
    build_log(view)
    deployed(view)
    if action_dialog.may_act():
        st.subheader("Act on it", anchor=False)
        action_buttons.deployment_buttons(view, key="deployments")
        action_buttons.force_button(key="deployments")
    left, right = st.columns(2, gap="large")
    with left:
        if panel(view, "From push to deployment", snapshot.project) and snapshot.project.value:
            draw(deployments_view.git_link(snapshot.project.value))
    with right:
        environment(view)


def serving(view: View) -> None:
    snapshot = view.snapshot
    if panel(view, "What customers get", snapshot.hostnames):
        servings = view.facts.servings
        if servings:
            draw(html_components.cards(deployments_view.hostname(view, one) for one in servings))
        else:
            draw(html_components.nothing("The project has no production hostname."))
    card = view.cannot_tell(snapshot.required_commit)
    required = snapshot.required_commit.value
    draw(card or (deployments_view.required(view, required) if required else html_components.nothing("")))


def reasons(view: View) -> None:
    asked = [check for check in view.diagnosis.checks if check.hop is Hop.CODE]
    if not asked:
        return
    st.subheader("Why", anchor=False)
    found = checks_view.of_status(asked, CheckStatus.FAIL, CheckStatus.WARN)
    unknown = checks_view.of_status(asked, CheckStatus.CANNOT_TELL)
    if not found:
        draw(
            html_components.nothing(
                f"No reason was found. Of {len(asked)} possible ones, {len(unknown)} cannot be told."
            )
        )
    checks_view.listed(view, found)
    others = [check for check in asked if check not in found]
    if others and st.toggle(f"Show the {len(others)} others", key="all_reasons", bind="query-params"):
        checks_view.listed(view, sorted(others, key=lambda check: check.status is not CheckStatus.CANNOT_TELL))


def build_log(view: View) -> None:
    if not panel(view, "The newest production build", view.snapshot.build_log):
        return
    log = view.snapshot.build_log.value
    if log is None:
        draw(html_components.nothing("It neither failed nor is it under way: there is no log to read."))
    else:
        draw(deployments_view.build_log(log))


def deployed(view: View) -> None:
    if not panel(view, "Deployments", view.snapshot.deployments):
        return
    found = view.snapshot.deployments.value or ()
    if not found:
        draw(html_components.nothing("There is none yet."))
        return
    st.plotly_chart(
        charts.durations(found, view.zone),
        key="durations",
        config=dict(charts.CONFIG),
        alt="How long each production build took, and whether it failed.",
    )
    live = frozenset(one.hostname.deployment.id for one in view.facts.servings or () if one.hostname.deployment)
    tables.draw(
        deployments_view.listed(found, live),
        tables.DEPLOYED,
        key="deployments",
        sharing=view.sharing,
        zone=view.settings.time_zone,
        alt="Deployments, newest first.",
    )


def environment(view: View) -> None:
    if not panel(view, "Environment names", view.snapshot.env_names):
        return
    table = deployments_view.environment(view)
    draw(table or html_components.nothing("Set REQUIRED_ENV_NAMES to have them held against what is there."))


show(body)
