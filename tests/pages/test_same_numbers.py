"""Every number that stands on two pages is the same on both, in every scenario of the sandbox.

To add a number: one `SharedNumber` in `NUMBERS`, with how each page is read. A reader gets what a page says as a
person reads it (`Said`) and returns the number, or None where that page does not show it in this scenario.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest
from streamlit.testing.v1 import AppTest

from lib import settings as settings_
from lib.model.window import WindowSize
from lib.sandbox.scenarios import SCENARIOS
from lib.snapshot import Snapshot, take, utc_now
from lib.sources.http import Http
from lib.sources.source_registry import Sources
from tests.pages.conftest import Open

CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Said:
    """What one page says: its numbers by label, its whole text, and how many rows its tables have, by key."""

    numbers: Mapping[str, str]
    text: str
    rows: Mapping[str, int]

    def number(self, *labels: str) -> str | None:
        """Return the number under the first of `labels` that the page shows."""
        return next((self.numbers[label] for label in labels if label in self.numbers), None)

    def found(self, pattern: str) -> str | None:
        """Return the first group of `pattern` in the page's text."""
        match = re.search(pattern, self.text)
        return match[1].replace(",", "") if match else None


Reader = Callable[[Said], str | None]


@dataclass(frozen=True)
class SharedNumber:
    """A number and how it is read, by page."""

    name: str
    readers: Mapping[str, Reader]


def _people(said: Said) -> str | None:
    return said.found(r"([\d,]+) (?:person|people)(?: got no working link|, )")


def _to_go(said: Said) -> str | None:
    return said.found(r"([\d,]+) to go")


NUMBERS = (
    SharedNumber("people affected", {"status": _people, "bookings": _people}),
    SharedNumber(
        "people affected, as the list has them", {"status": _people, "bookings": lambda said: _rows(said, "people")}
    ),
    SharedNumber("people still to help", {"status": _to_go, "bookings": _to_go}),
    SharedNumber(
        "texts delivered",
        {
            "status": lambda said: said.number("Texts delivered"),
            "texts": lambda said: said.number("Texts delivered"),
        },
    ),
    SharedNumber(
        "texts not recorded",
        {
            "status": lambda said: said.found(r"(?:knows nothing of|[Nn]ot recorded:) ([\d,]+)"),
            "texts": lambda said: _plain(said.number("Not recorded")),
        },
    ),
    SharedNumber(
        "texts not sent",
        {
            "status": lambda said: said.found(r"([\d,]+) texts? (?:was|were) not sent"),
            "texts": lambda said: _plain(said.number("Not sent")),
        },
    ),
)


def _rows(said: Said, key: str) -> str | None:
    return str(said.rows[key]) if key in said.rows else None


def _plain(value: str | None) -> str | None:
    """A zero and what cannot be told stand in tiles, and not in the sentences of other pages."""
    return None if value in (None, "0", CANNOT_TELL) else value


@pytest.fixture(params=SCENARIOS)
def taken(request: pytest.FixtureRequest, play: Callable[[str], dict[str, str]]) -> tuple[str, Snapshot]:
    """The snapshot of a scenario, of real readings."""
    settings = settings_.load(play(request.param))
    return request.param, take(Sources(settings, Http(clock=utc_now), utc_now), WindowSize.DAY)


def said_by(test: AppTest) -> Said:
    """Read a page as a person does: tags gone, the number of each tile or metric under its label."""
    assert not test.exception
    pieces = [str(piece.value) for piece in test.get("html") if "<style" not in str(piece.value)]
    numbers = {metric.label: metric.value for metric in test.metric}
    for piece in pieces:
        cells = re.findall(r'<span class="sb-name">(.*?)</span><span class="sb-value[^"]*">(.*?)</span>', piece)
        numbers |= {html.unescape(label): html.unescape(value) for label, value in cells}
    words = [
        element.value for kind in ("markdown", "caption", "subheader", "warning", "text") for element in test.get(kind)
    ]
    text = html.unescape(re.sub(r"<[^>]+>", " ", " ".join((*pieces, *words))))
    rows = {found.key: len(found.value) for found in test.dataframe if found.key}
    return Said(numbers, re.sub(r"\s+", " ", text), rows)


@pytest.mark.sandbox
def test_a_number_on_two_pages_is_the_same_on_both(open_page: Open, taken: tuple[str, Snapshot]) -> None:
    scenario, snapshot = taken
    pages = sorted({page for number in NUMBERS for page in number.readers})
    said = {page: said_by(open_page(page, snapshot, live=True)) for page in pages}
    differ = {
        number.name: found
        for number in NUMBERS
        if len(set((found := {page: read(said[page]) for page, read in number.readers.items()}).values())) > 1
    }
    assert differ == {}, scenario
    assert said["status"].number("Texts delivered"), "the reader finds what it looks for"
    assert said["texts"].number("Not recorded")


def test_a_reader_finds_numbers_wherever_they_stand() -> None:
    said = Said({"Texts delivered": "4 of 10"}, "5 people got no working link (1 called, 3 to go; about 12 seats).", {})
    assert (_people(said), _to_go(said)) == ("5", "3")
    assert _people(Said({}, "At least 1,200 people, 1 called, 3 to go", {})) == "1200"
    assert said.number("Delivered", "Texts delivered") == "4 of 10"
