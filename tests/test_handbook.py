"""The handbook: every hypothesis has a section that says what to do."""

from __future__ import annotations

import re

import pytest

from lib import handbook
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.handbook import Document


@pytest.mark.parametrize("cause", HYPOTHESES, ids=lambda cause: cause.id)
def test_every_cause_has_its_section_under_its_own_title(cause) -> None:
    assert f"\n## {cause.title} (`{cause.id}`)\n" in handbook.document_text(Document.RUNBOOK)
    (section,) = (one for one in handbook.contents(Document.RUNBOOK)[1] if one.id == cause.id)
    assert section.title == cause.title
    assert re.search(r"^- (Do|Account)", section.markdown, re.MULTILINE), "it says what to do"


def test_a_section_ends_where_the_next_begins() -> None:
    whole = handbook.document_text(Document.RUNBOOK)
    headings = re.findall(r"^## (.*?)(?: \(`\w+`\))?$", whole, re.MULTILINE)
    assert [section.title for section in handbook.contents(Document.RUNBOOK)[1]] == headings


@pytest.mark.parametrize("document", Document)
def test_links_between_documents_lead_to_the_page_that_shows_them(document: Document) -> None:
    assert ".md)" not in handbook.document_text(document)
    for name in re.findall(r"/handbook\?doc=([\w-]+)", handbook.document_text(document)):
        assert name in set(Document)


def test_the_contents_of_the_runbook_hold_each_cause_and_rule_once_and_lose_no_section() -> None:
    before, found = handbook.contents(Document.RUNBOOK)
    ids = [section.id for section in found]
    assert len(ids) == len(set(ids)) and {cause.id for cause in HYPOTHESES} <= set(ids)
    assert len(ids) == handbook.document_text(Document.RUNBOOK).count("\n## ")
    assert before and not before.startswith("#") and all(section.markdown for section in found)
    assert next(section.title for section in found if section.id == "offline") == "The monitor itself is offline"


def test_on_a_page_each_heading_is_one_level_deeper_and_comments_in_code_stay():
    markdown = "# Runbook\n\n## One\n\n```bash\n# a comment\n```\n\n## Two\n"
    deeper = "## Runbook\n\n### One\n\n```bash\n# a comment\n```\n\n### Two\n"
    assert handbook.below_the_title(markdown) == deeper
