"""Systems: what the desk can see of each source, what it lacks and how to add it, and every check."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.model.reading import SourceName
from lib.model.verdict import CheckStatus
from lib.ui import alerts_view, checks_view, counts_view, labels, systems_view
from lib.ui import html_components as html
from lib.ui.masking import plain
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw


def body(view: View) -> None:
    for problem in view.settings.problems:
        st.warning(plain(problem.sentence), title="A setting cannot be used", icon=":material/settings_alert:")
    st.subheader("Sources", anchor=False)
    draw(html.cards(systems_view.source_card(view, name) for name in SourceName))
    alerts_view.draw_monitor(view)
    if panel(view, "What the code expects of the database", view.snapshot.catalog):
        breaches = view.facts.breaches or ()
        draw(systems_view.contract_table(breaches))
        with st.expander(systems_view.desk_sentence(breaches), icon=":material/table_eye:", key="desk_reads"):
            draw(systems_view.desk_table(breaches))
    counts_view.draw_counting(view)
    all_checks(view)


def all_checks(view: View) -> None:
    st.subheader("Checks", anchor=False)
    chosen = st.pills(
        "Show",
        list(CheckStatus),
        selection_mode="multi",
        format_func=lambda status: labels.CHECK[status].word,
        key="status",
        bind="query-params",
        label_visibility="collapsed",
    )
    listed = [check for check in view.diagnosis.checks if not chosen or check.status in chosen]
    if listed:
        checks_view.draw_by_hop(view, listed)
    else:
        draw(html.nothing("No check has this answer."))


draw_page(body)
