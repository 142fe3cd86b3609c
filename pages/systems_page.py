"""Systems: what the desk can see of each source, what it lacks and how to add it, and every check."""

from lib.ui.guard import guard

guard()

import streamlit as st  # noqa: E402

from lib.model.reading import SourceName  # noqa: E402
from lib.model.verdict import CheckStatus  # noqa: E402
from lib.ui import alerts, checks, counting, pieces, systems, words  # noqa: E402
from lib.ui.look import draw  # noqa: E402
from lib.ui.redact import plain  # noqa: E402
from lib.ui.shell import View, panel, show  # noqa: E402


def body(view: View) -> None:
    for problem in view.settings.problems:
        st.warning(plain(problem.sentence), title="A setting cannot be used", icon=":material/settings_alert:")
    st.subheader("Sources", anchor=False)
    draw(pieces.cards(systems.source(view, name) for name in SourceName))
    alerts.panel(view)
    if panel(view, "What the code expects of the database", view.snapshot.catalog):
        breaches = view.facts.breaches or ()
        draw(systems.contract_table(breaches))
        with st.expander(systems.desk_reads(breaches), icon=":material/table_eye:", key="desk_reads"):
            draw(systems.desk_table(breaches))
    counting.section(view)
    all_checks(view)


def all_checks(view: View) -> None:
    st.subheader("Checks", anchor=False)
    chosen = st.pills(
        "Show",
        list(CheckStatus),
        selection_mode="multi",
        format_func=lambda status: words.CHECK[status].word,
        key="status",
        bind="query-params",
        label_visibility="collapsed",
    )
    listed = [check for check in view.diagnosis.checks if not chosen or check.status in chosen]
    if listed:
        checks.by_hop(view, listed)
    else:
        draw(pieces.nothing("No check has this answer."))


show(body)
