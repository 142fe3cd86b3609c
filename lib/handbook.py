"""The documents that a person on an incident needs: whole, or the runbook's section about one cause.

They lie in `docs/`; the runbook's sections about causes are written with the hypotheses that they belong to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from lib.diagnosis.hypotheses import HYPOTHESES

DOCS = Path(__file__).resolve().parent.parent / "docs"

_SECTIONS = re.compile(r"^## ", re.MULTILINE)
# A section about a cause or a rule carries its id at the end of its heading: ## Pushes are not heard (`an_id`)
_NAMED = re.compile(r"(?P<title>.*) \(`(?P<id>\w+)`\)")
# Where the sections of the hypotheses go.
_CAUSES = "<!-- causes -->"
_LINK = re.compile(r"\]\(([\w-]+)\.md\)")
_HEADING = re.compile(r"^```.*?^```|^(?P<heading>#{1,5} )", re.MULTILINE | re.DOTALL)


class Document(StrEnum):
    """The documents; the value is the file's name and is part of links."""

    RUNBOOK = "runbook"
    DEPLOYMENT_PROCESS = "deployment-process"


TITLES = {Document.RUNBOOK: "Runbook", Document.DEPLOYMENT_PROCESS: "Deployment process"}


@dataclass(frozen=True, slots=True)
class HandbookSection:
    """A part of a document under one heading. `id` is the cause or rule that it is about, or made from the title."""

    id: str
    title: str
    markdown: str


@cache
def document_text(document: Document) -> str:
    """Return the document as Markdown; links between documents lead to the page that shows them."""
    markdown = (DOCS / f"{document}.md").read_text(encoding="utf-8")
    markdown = markdown.replace(_CAUSES, "\n".join(spec.section for spec in HYPOTHESES).rstrip())
    return _LINK.sub(r"](/handbook?doc=\1)", markdown)


@cache
def contents(document: Document) -> tuple[str, tuple[HandbookSection, ...]]:
    """Return what stands before the first section, without the document's own title, and the sections in order."""
    before, *parts = _SECTIONS.split(document_text(document))
    return before.partition("\n")[2].strip(), tuple(map(_section, parts))


def _section(text: str) -> HandbookSection:
    heading, _, markdown = text.partition("\n")
    named = _NAMED.fullmatch(heading)
    title = named["title"] if named else heading
    id_ = named["id"] if named else re.sub(r"\W+", "-", title.lower()).strip("-")
    return HandbookSection(id_, title.strip(), below_the_title(markdown.strip()))


def below_the_title(markdown: str) -> str:
    """Return `markdown` with each heading one level deeper: the page that shows it has a title of its own."""
    # In a block of code a line that begins so is a comment.
    return _HEADING.sub(lambda found: f"#{found[0]}" if found["heading"] else found[0], markdown)
