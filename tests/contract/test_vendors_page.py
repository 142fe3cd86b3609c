"""docs/vendors.md names every field that a reader looks at, and the packages say from where nothing was taken."""

from __future__ import annotations

import json
import re

import pytest

from tests.contract import test_github_readers, test_supabase_readers, test_twilio_readers, test_vercel_readers
from tests.contract.documents import FACTS, HERE, NODE
from tests.contract.survey import survey
from tests.contract.variants import ITEM

PAGE = (HERE.parent.parent / "docs/vendors.md").read_text(encoding="utf-8")
HEADINGS = {
    "Vercel": test_vercel_readers.READERS,
    "GitHub": test_github_readers.READERS,
    "Twilio": test_twilio_readers.READERS,
    # The columns of the tables stand in the readers themselves.
    "Supabase and Postgres": test_supabase_readers.API_READERS,
}


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_page_names_every_field_that_is_read(heading: str):
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`]+)`", section(heading)))))
    readers = HEADINGS[heading]
    # A table's name and its column stand for all of them.
    examples = {"messages", "customer_id"} if heading.startswith("Supabase") else set()
    read = {step for reader in readers for path in survey(reader).fields for step in path.split(".")}
    assert read - {ITEM} - examples - named == set()


def test_the_lock_of_the_node_packages_says_not_where_they_come_from():
    lock = json.loads((NODE / "package-lock.json").read_text(encoding="utf-8"))
    assert not any("resolved" in package for package in lock["packages"].values())


@pytest.mark.parametrize("vendor", ["twilio", "supabase"])
def test_our_facts_hold_names_and_types_only(vendor: str):
    """No sentence of the vendor's: the file says where the facts are from, and what they are called."""
    facts = json.loads((FACTS / f"{vendor}.json").read_text(encoding="utf-8"))
    assert _keywords(facts["answers"]) <= {
        "type", "enum", "nullable", "format", "pattern", "properties", "items", "required", "anyOf",
        "additionalProperties",
    }  # fmt: skip


def _keywords(named: dict[str, object]) -> set[str]:
    """Return the keywords of the schemas under `named`, whose own keys are names of the vendor's."""
    found: set[str] = set()
    for schema in named.values():
        found |= _of_schema(schema)
    return found


def _of_schema(schema: object) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    found = set(schema) | _keywords(schema.get("properties", {}))
    for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())):
        found |= _of_schema(inner)
    return found
