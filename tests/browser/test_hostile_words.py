"""Words from outside, shown in every place that reads Markdown or HTML, stay words in a real browser."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import free_port, running

pytestmark = pytest.mark.browser

HOSTILE = (
    "<img src=x onerror=alert(1)> **bold** [click](https://evil.example) www.evil.example "
    ":red[x] :material/bolt: $x^2$ `code` ~~gone~~ <b>b</b> # no heading"
)
SCRIPT = f"""
import streamlit as st
from lib.ui import html_components, labels, styles
from lib.ui.masking import plain

HOSTILE = {HOSTILE!r}
with st.container(key="masked"):
    with st.expander(plain(HOSTILE), expanded=True):
        st.caption(plain(HOSTILE))
    st.warning(plain(HOSTILE))
    st.markdown(plain(HOSTILE))
    styles.draw(html_components.card(HOSTILE, html_components.bullets([HOSTILE])))
with st.container(key="code"):
    lines = [(1, HOSTILE), (2, "</span></pre><script>alert(2)</script>"), (3, "  \\tindented")]
    styles.draw(html_components.code_lines(lines, 2))
    styles.draw(html_components.live_line(HOSTILE, labels.CANNOT_TELL, [HOSTILE]))
    styles.draw(html_components.link(HOSTILE, "javascript:alert(3)"))
    nothing = html_components.NOTHING
    styles.draw(html_components.misfit(HOSTILE, nothing, nothing, nothing))
"""


def test_nothing_from_outside_becomes_a_tag_a_link_or_a_picture(chromium: Browser, tmp_path: Path) -> None:
    script = tmp_path / "masked.py"
    script.write_text(SCRIPT)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        script,
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.address",
        "127.0.0.1",
    ]
    with running(command, port, {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}) as address:
        page = chromium.new_page()
        page.goto(address)
        masked = page.locator(".st-key-masked")
        expect(masked.locator(".sb-card")).to_be_visible(timeout=30_000)
        for tag in ("img", "a", "strong", "code", "del", "h1", ".katex"):
            expect(masked.locator(tag)).to_have_count(0)
        # Where a word joiner was put in, the eye sees none.
        seen = masked.inner_text().replace("\u2060", "")
        assert seen.count("**bold** [click](https://evil.example) www.evil.example") >= 5
        assert ":red[x] :material/bolt: $x^2$ `code` ~~gone~~ <b>b</b>" in seen
        code = page.locator(".st-key-code")
        expect(code.locator(".sb-line")).to_have_count(3)
        for tag in ("img", "a", "strong", "script", "h1"):
            expect(code.locator(tag)).to_have_count(0)
        expect(code.locator(".sb-marked")).to_contain_text("</span></pre><script>alert(2)</script>")
        expect(code.locator(".sb-line").nth(0)).to_contain_text("<img src=x onerror=alert(1)> **bold**")
        page.close()
