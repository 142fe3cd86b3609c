"""Brings the look and the clock into the page, once per page."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st
from markupsafe import Markup

from lib.ui.masking import shared

_HERE = Path(__file__).parent
# Everything on the page is measured in rem, so this makes it readable from across a room; eight hops side by side
# then need a wide screen.
_SHARED_SCREEN = """<style>
html { font-size: 125% }
@media (min-width: 1101px) and (max-width: 1800px) {
  .sb-hops.sb-hops { display: grid; grid-template-columns: repeat(4, 1fr); }
}
</style>"""


@cache
def clock() -> str:
    """Return the script that counts ages in the browser. `lib.server` allows it by its digest."""
    return (_HERE / "clock.js").read_text(encoding="utf-8")


def install_styles(*, sharing: bool) -> None:
    """Add styles and clock to the page that is being drawn."""
    st.html(_HERE / "styles.css")
    if sharing:
        st.html(_SHARED_SCREEN)
    # The one script on the glass, and a constant one: nothing from outside ever enters it.
    st.html(f"<script>{clock()}</script>", unsafe_allow_javascript=True)


def sharing() -> bool:
    """Whether this viewer shares the screen."""
    return bool(st.session_state.get("share", False))


def draw(piece: Markup) -> None:
    """Put a piece on the page. On a shared screen no digit of a masked number passes, whoever put it into the words."""
    st.html(shared(str(piece), sharing=sharing()))
