"""The phrases that docs/glossary.md says to avoid are in no text that people read: on screen, in reports, in docs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.source_tree import ROOT, SourceFile, app_files
from tests.test_glossary import IN_TEXT, words_to_avoid

# Where the phrases are named on purpose, and the history of decisions and releases, which nobody rewrites.
_NOT_READ = ("docs/glossary.md", "docs/decisions/")

# Ids and stored values, which do not change; and texts that are still to be changed. Take a line out with the text.
KEPT = frozenset(
    {
        ("lib/actions/migration_actions.py", "cures"),
        ("lib/actions/repository_migration.py", "cures"),
        ("lib/diagnosis/journeys.py", "deferred"),
        ("lib/migrations/catalogue.py", "cures"),
        ("lib/ui/code_view.py", "cures"),  # a column of a frame, as in tables.py
        ("lib/ui/tables.py", "cures"),
    }
)
LEFT: frozenset[tuple[str, str]] = frozenset(
    {
        ("lib/ui/html_components.py", "the desk"),
    }
)


@cache
def _phrases() -> re.Pattern[str]:
    phrases = sorted(words_to_avoid(IN_TEXT), key=len, reverse=True)
    return re.compile("|".join(rf"(?<![\w/.`-]){re.escape(phrase)}(?![\w(=-])" for phrase in phrases), re.IGNORECASE)


def found_in(text: str) -> set[str]:
    """Return the phrases to avoid that `text` contains, in small letters; line breaks count as spaces."""
    return {match.lower() for match in _phrases().findall(re.sub(r"\s+", " ", text))}


def texts(file: SourceFile) -> Iterator[str]:
    """Yield every string of the file; of an f-string what it says, with … for its values.

    Docstrings count where the command line shows them as help.
    """
    inside = {id(part) for node in file.nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in file.nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def docstrings(file: SourceFile) -> set[str]:
    """Return the texts that describe the code itself, which nobody sees on screen."""
    if file.name.startswith("lib/commands/") or file.name == "lib/__main__.py":
        return set()
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = {ast.get_docstring(node, clean=False) for node in file.nodes if isinstance(node, described)}
    of_fields = {
        node.value.value
        for node in file.nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }
    return {text for text in found if text} | of_fields


def documents() -> list[Path]:
    """Return the pages of the docs and the files beside them that people read."""
    beside = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    listed = sorted((ROOT / "docs").rglob("*.md"))
    return [*beside, *(path for path in listed if not path.relative_to(ROOT).as_posix().startswith(_NOT_READ))]


@pytest.mark.parametrize("text", ["Cures what was seen", "nobody\nis told", "“It waits its turn.”"])
def test_a_phrase_is_found_however_it_is_written(text: str):
    assert found_in(text)


def test_a_phrase_within_a_longer_word_or_an_id_is_not_found():
    assert not found_in("amendment, secures, no_phantoms, --phantom")


def test_no_text_of_the_dashboard_contains_a_phrase_to_avoid():
    found = {
        (file.name, phrase)
        for file in app_files()
        for text in set(texts(file)) - docstrings(file)
        for phrase in found_in(text)
    }
    assert not found - KEPT - LEFT, "\n".join(map(str, sorted(found - KEPT - LEFT)))


def test_no_page_of_the_docs_contains_a_phrase_to_avoid():
    found = {
        (path.relative_to(ROOT).as_posix(), phrase)
        for path in documents()
        for phrase in found_in(path.read_text(encoding="utf-8"))
    }
    assert not found, "\n".join(map(str, sorted(found)))
