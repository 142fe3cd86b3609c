"""Handbook: the runbook and the deployment process, where the person on the call can read them."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib import handbook
from lib.handbook import Document

cause = str(st.query_params.get("cause", ""))
if section := handbook.sections().get(cause):
    with st.container(border=True):
        st.markdown(handbook.below_the_title(section))
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
st.markdown(handbook.below_the_title(handbook.document_text(Document(chosen))))
