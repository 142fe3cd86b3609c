"""The words that docs/glossary.md says to avoid are in no identifier and in no file name."""

from __future__ import annotations

import ast
import keyword
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from lib.diagnosis.checks import ALL
from tests.source_tree import ROOT, SourceFile, every_file, source_files

GLOSSARY = ROOT / "docs" / "glossary.md"
AS_PART, AS_WHOLE, IN_TEXT = "part of a name", "whole name", "in a text"
_ROW = re.compile(
    rf"^\| (?P<words>[a-z0-9 +,]+) \| (?P<rule>{AS_PART}|{AS_WHOLE}|{IN_TEXT}) \| (?P<instead>[^|]+) \|$", re.MULTILINE
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# Names that are still to be changed, with their file. Take a line out with the name; add none.
LEFT: frozenset[tuple[str, str]] = frozenset(
    {
        ("lib/sources/catalog.py", "offers"),
        ("lib/ui/action_dialog.py", "look"),
        ("lib/ui/runtime.py", "desk"),
        ("tests/sources/fake_server.py", "tell"),
    }
)


@cache
def words_to_avoid(rule: str) -> frozenset[str]:
    """Return the words of the glossary's table that `rule` is about."""
    rows = _ROW.finditer(GLOSSARY.read_text(encoding="utf-8"))
    return frozenset(word for row in rows if row["rule"] == rule for word in row["words"].split(", "))


def parts(name: str) -> set[str]:
    """Return the words that a name is made of: `HopState`, `hop_state` and `HOP_STATE` give hop and state."""
    return {part.lower() for part in _PART.findall(name)}


def identifiers(file: SourceFile) -> Iterator[str]:
    """Yield every name in the file, whether it is defined there or only used; but for ids, which do not change."""
    ids = {check.id for check in ALL}
    with file.path.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string) and token.string not in ids:
                yield token.string


def public_names(file: SourceFile) -> Iterator[str]:
    """Yield the name of the module, and of each class, function and method in it that is not private."""
    yield file.path.stem
    for node in file.nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node.name


def test_the_glossary_names_words_of_both_kinds():
    assert {"hands", "mends", "rehearsal"} <= words_to_avoid(AS_PART)
    assert {"look", "turn", "told"} <= words_to_avoid(AS_WHOLE)
    assert not words_to_avoid(AS_PART) & words_to_avoid(AS_WHOLE)


@pytest.mark.parametrize("name", ["action_hands", "ActionHands", "_HANDS", "test_of_hands_that_act"])
def test_a_word_is_found_however_a_name_is_written(name: str):
    assert "hands" in parts(name)


def test_no_identifier_contains_a_word_to_avoid():
    found = {
        (file.name, name)
        for file in source_files()
        for name in identifiers(file)
        if parts(name) & words_to_avoid(AS_PART)
    }
    assert not found - LEFT, _listed(found)


def test_no_module_class_or_function_is_called_only_by_a_word_to_avoid():
    found = {
        (file.name, name)
        for file in source_files()
        for name in public_names(file)
        if name.lower() in words_to_avoid(AS_WHOLE)
    }
    assert not found - LEFT, _listed(found)


def test_no_file_name_contains_a_word_to_avoid():
    found = {(path.relative_to(ROOT).as_posix(), path.name) for path in every_file() if _is_avoided(path)}
    assert not found - LEFT, _listed(found)


def _listed(found: set[tuple[str, str]]) -> str:
    return "\n".join(f"{file}: {name}" for file, name in sorted(found - LEFT))


def _is_avoided(path: Path) -> bool:
    words = {word for part in path.relative_to(ROOT).parts for word in parts(part.partition(".")[0])}
    return bool(words & words_to_avoid(AS_PART))
