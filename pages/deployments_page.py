"""Deployments: what each production hostname serves, how far it is behind, and why."""

from lib.ui.guard import guard

guard()

import streamlit as st  # noqa: E402

from lib.model.verdict import CheckStatus, Hop  # noqa: E402
from lib.ui import actions, charts, checks, deployments, offers, pieces, tables  # noqa: E402
from lib.ui.look import draw  # noqa: E402
from lib.ui.shell import View, panel, show  # noqa: E402


def body(view: View) -> None:
    snapshot = view.snapshot
    serving(view)
    reasons(view)
    build_log(view)
    deployed(view)
    if actions.may_act():
        st.subheader("Act on it", anchor=False)
        offers.deploying(view, key="deployments")
        offers.forcing(key="deployments")
    left, right = st.columns(2, gap="large")
    with left:
        if panel(view, "From push to deployment", snapshot.project) and snapshot.project.value:
            draw(deployments.git_link(snapshot.project.value))
    with right:
        environment(view)


def serving(view: View) -> None:
    snapshot = view.snapshot
    if panel(view, "What customers get", snapshot.hostnames):
        servings = view.facts.servings
        if servings:
            draw(pieces.cards(deployments.hostname(view, one) for one in servings))
        else:
            draw(pieces.nothing("The project has no production hostname."))
    card = view.cannot_tell(snapshot.required_commit)
    required = snapshot.required_commit.value
    draw(card or (deployments.required(view, required) if required else pieces.nothing("")))


def reasons(view: View) -> None:
    asked = [check for check in view.diagnosis.checks if check.hop is Hop.CODE]
    if not asked:
        return
    st.subheader("Why", anchor=False)
    found = checks.of_status(asked, CheckStatus.FAIL, CheckStatus.WARN)
    unknown = checks.of_status(asked, CheckStatus.CANNOT_TELL)
    if not found:
        draw(pieces.nothing(f"No reason was found. Of {len(asked)} possible ones, {len(unknown)} cannot be told."))
    checks.listed(view, found)
    others = [check for check in asked if check not in found]
    if others and st.toggle(f"Show the {len(others)} others", key="all_reasons", bind="query-params"):
        checks.listed(view, sorted(others, key=lambda check: check.status is not CheckStatus.CANNOT_TELL))


def build_log(view: View) -> None:
    if not panel(view, "The newest production build", view.snapshot.build_log):
        return
    log = view.snapshot.build_log.value
    if log is None:
        draw(pieces.nothing("It neither failed nor is it under way: there is no log to read."))
    else:
        draw(deployments.build_log(log))


def deployed(view: View) -> None:
    if not panel(view, "Deployments", view.snapshot.deployments):
        return
    found = view.snapshot.deployments.value or ()
    if not found:
        draw(pieces.nothing("There is none yet."))
        return
    st.plotly_chart(
        charts.durations(found, view.zone),
        key="durations",
        config=dict(charts.CONFIG),
        alt="How long each production build took, and whether it failed.",
    )
    live = frozenset(one.hostname.deployment.id for one in view.facts.servings or () if one.hostname.deployment)
    tables.draw(
        deployments.listed(found, live),
        tables.DEPLOYED,
        key="deployments",
        sharing=view.sharing,
        zone=view.settings.time_zone,
        alt="Deployments, newest first.",
    )


def environment(view: View) -> None:
    if not panel(view, "Environment names", view.snapshot.env_names):
        return
    table = deployments.environment(view)
    draw(table or pieces.nothing("Set REQUIRED_ENV_NAMES to have them held against what is there."))


show(body)
