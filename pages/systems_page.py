"""Systems: what can be read of each source, what is missing and how to add it, and every check."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.ui import alerts_view, checks_view, counts_view, systems_view
from lib.ui.masking import plain
from lib.ui.page_frame import View, draw_page
from lib.ui.styles import draw


def body(view: View) -> None:
    for problem in view.settings.problems:
        st.warning(plain(problem.sentence), title="A setting cannot be used", icon=":material/settings_alert:")
    st.subheader("Sources", anchor=False)
    draw(systems_view.source_rows(view))
    alerts_view.draw_monitor(view)
    all_checks(view)
    contract(view)
    counts_view.draw_counting(view)


def all_checks(view: View) -> None:
    st.subheader("Checks", anchor=False)
    counts = checks_view.counts(view.diagnosis.checks)
    chosen = st.pills(
        "Show the checks that are",
        [status for status in checks_view.WORST_FIRST if counts[status]],
        selection_mode="multi",
        format_func=lambda status: checks_view.counted(counts, status),
        key="status",
        bind="query-params",
        label_visibility="collapsed",
    )
    if chosen:
        checks_view.draw_by_hop(view, [check for check in view.diagnosis.checks if check.status in chosen])
    else:
        checks_view.draw_folded(view, view.diagnosis.checks)


def contract(view: View) -> None:
    st.subheader("The database", anchor=False)
    if (unknown := view.cannot_tell(view.snapshot.catalog)) is not None:
        draw(unknown)
        return
    for caveat in view.snapshot.catalog.caveats:
        st.warning(plain(caveat.sentence), icon=":material/rule:")
    breaches = view.facts.breaches or ()
    with st.expander(systems_view.contract_sentence(breaches), icon=":material/table:", key="contract"):
        draw(systems_view.contract_table(breaches))
    with st.expander(systems_view.desk_sentence(breaches), icon=":material/table_eye:", key="desk_reads"):
        draw(systems_view.desk_table(breaches))


draw_page(body)
