"""Deployments: what is live and how far behind, each deployment with its actions, and the code against the database."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.model.verdict import CheckStatus, Hop
from lib.ui import action_buttons, action_dialog, charts, checks_view, code_view, deployment_list, deployments_view
from lib.ui import html_components as html
from lib.ui.first_frame import draw_chart
from lib.ui.page_frame import View, draw_page, expander, panel
from lib.ui.styles import draw

LIST = "Deployments"


def body(view: View) -> None:
    listed, code = st.tabs([LIST, code_view.VIEW], key="view", on_change="rerun", bind="query-params")
    if code.open:
        with code:
            code_view.draw_code_view(view)
    else:
        with listed:
            deployments(view)


def deployments(view: View) -> None:
    live(view)
    rows(view)
    what_fails(view)
    if action_dialog.may_act() and not view.sharing:
        st.subheader("Build production again", anchor=False)
        action_buttons.draw_build_buttons(view, key="deployments")
        action_buttons.draw_force_button(key="deployments")
    settings(view)


def live(view: View) -> None:
    if (unread := view.cannot_tell(view.snapshot.hostnames)) is not None:
        draw(unread)
    elif servings := view.facts.servings:
        deployment_list.draw_live(view, servings)
    else:
        draw(html.nothing("The project has no production hostname."))


def rows(view: View) -> None:
    if not panel(view, "Deployments", view.snapshot.deployments):
        return
    found = deployment_list.ordered(view)
    if not found:
        draw(html.nothing("There is none yet."))
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chosen = deployment_list.draw_list(view, found)
    with right:
        deployment_list.draw_panel(view, chosen)


def what_fails(view: View) -> None:
    asked = [check for check in view.diagnosis.checks if check.hop is Hop.CODE]
    found = checks_view.with_status(asked, CheckStatus.FAIL, CheckStatus.WARN)
    unknown = checks_view.with_status(asked, CheckStatus.CANNOT_TELL)
    if not asked:
        return
    st.subheader("What stands between a push and production", anchor=False)
    if not found:
        draw(html.nothing(f"Nothing was found. Of {len(asked)} checks {len(unknown)} cannot be answered."))
    checks_view.draw_checks(view, found)
    others = [check for check in asked if check not in found]
    which = f"the {len(others)} other" if found else f"all {len(others)}"
    if others and st.toggle(f"Show {which} checks", key="all_reasons", bind="query-params"):
        checks_view.draw_checks(view, sorted(others, key=lambda check: check.status is not CheckStatus.CANNOT_TELL))


def settings(view: View) -> None:
    if found := view.facts.value(view.snapshot.deployments):
        with expander("How long builds took", key="build_times", icon=":material/timer:") as is_open:
            if is_open:
                figure = charts.durations(found, view.zone)
                alt = "How long each production build took, and whether it failed."
                draw_chart(figure, key="durations", alt=alt)
    left, right = st.columns(2, gap="large")
    with left:
        if panel(view, "From push to deployment", view.snapshot.project) and view.snapshot.project.value:
            draw(deployments_view.git_card(view.snapshot.project.value))
    with right:
        if panel(view, "Environment names", view.snapshot.env_names):
            unset = html.nothing("Set REQUIRED_ENV_NAMES to have them held against what is there.")
            draw(deployments_view.environment_table(view) or unset)


draw_page(body)
