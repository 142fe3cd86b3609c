"""Handbook: the runbook and the deployment process, where the person on the call can read them."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib import handbook
from lib.handbook import Document, HandbookSection
from lib.ui.page_frame import current_cause

# A document with no more sections than this is read as a whole.
_SHORT = 8


def main() -> None:
    asked = str(st.query_params.get("cause", ""))
    chosen = st.segmented_control(
        "Document",
        list(Document),
        default=Document.RUNBOOK,
        required=True,
        format_func=handbook.TITLES.__getitem__,
        key="doc",
        bind="query-params",
        label_visibility="collapsed",
    )
    before, sections = handbook.contents(Document(chosen))
    cause = (asked or current_cause()) if chosen == Document.RUNBOOK else ""
    first = [section for section in sections if section.id == cause]
    for section in first:
        st.subheader("About this cause" if asked else "The likeliest cause now", anchor=False)
        draw_section(section, is_open=True)
    st.subheader("Contents", anchor=False)
    st.markdown(before)
    others = [section for section in sections if section not in first]
    with st.container(gap="xsmall"):
        for number, section in enumerate(others):
            draw_section(section, is_open=len(others) <= _SHORT or (not first and number == 0))


def draw_section(section: HandbookSection, *, is_open: bool) -> None:
    with st.expander(f"**{section.title}**", is_open, key=f"section_{section.id}"):
        st.markdown(section.markdown)


main()
