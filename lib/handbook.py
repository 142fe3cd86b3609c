"""The documents that a person on an incident needs, from `docs/`: whole, or the section about one cause."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"

# A section about a cause or a rule carries its id at the end of its heading: ## Pushes are not heard (`an_id`)
_SECTION = re.compile(r"^## .*\(`(\w+)`\)\n(?:(?!## ).*\n?)*", re.MULTILINE)
_LINK = re.compile(r"\]\(([\w-]+)\.md\)")


class Document(StrEnum):
    """What there is to read; the value is the file's name and stands in links."""

    RUNBOOK = "runbook"
    DEPLOYMENT_PROCESS = "deployment-process"


TITLES = {Document.RUNBOOK: "Runbook", Document.DEPLOYMENT_PROCESS: "Deployment process"}


@cache
def text(document: Document) -> str:
    """Return the document as Markdown; links between documents lead to where the desk shows them."""
    markdown = (DOCS / f"{document}.md").read_text(encoding="utf-8")
    return _LINK.sub(r"](/handbook?doc=\1)", markdown)


def sections() -> dict[str, str]:
    """Return the runbook's sections about one cause or rule each, by its id, as Markdown."""
    return {found[1]: found[0].strip() for found in _SECTION.finditer(text(Document.RUNBOOK))}
