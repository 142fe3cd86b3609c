"""Brings styles and clock into the page, and puts components on it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from markupsafe import Markup

from lib.ui.masking import shared

_HERE = Path(__file__).parent


@cache
def clock() -> str:
    """Return the script that counts ages in the browser. `lib.server` allows it by its digest."""
    return (_HERE / "clock.js").read_text(encoding="utf-8")


def install_styles() -> None:
    """Add styles and clock to the page that is being drawn."""
    st.html(_HERE / "styles.css")
    if sharing():
        st.html(_HERE / "shared_screen.css")
    # The only script of the page. It is a constant: no text from outside ever enters it.
    st.html(f"<script>{clock()}</script>", unsafe_allow_javascript=True)


def sharing() -> bool:
    """Whether this viewer shares the screen. In the first run the switch is not drawn yet, and the address says so."""
    return bool(st.session_state.get("share", st.query_params.get("share") == "true"))


def draw(component: Markup, *, narrow: bool = False) -> None:
    """Put a component on the page. On a shared screen no digit of a masked number is left, wherever it stands.

    `narrow` makes it as wide as its content, for what stands beside something else.
    """
    st.html(shared(str(component), sharing=sharing()), width="content" if narrow else "stretch")
