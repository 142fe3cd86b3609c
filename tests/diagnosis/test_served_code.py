"""What the code that is served says of the database, by file and line, and no more than that."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from lib.diagnosis.applicable_migrations import database_faults
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.model.database import AppliedMigration, CheckConstraint
from lib.model.reading import Failure, FailureKind
from lib.model.served_code import Schema, ServedCode, UniqueKey
from lib.model.verdict import Check, CheckStatus, Verdict
from lib.sandbox import booking_app_code
from lib.served_code import live_schema, reader
from lib.served_code.archive import Files
from tests.diagnosis.builders import (
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    LINK_TYPES,
    NOW,
    OLD,
    OLD_BUILD,
    PROJECT,
    catalog,
    hostname,
    snapshot,
)

OK, WARN, FAIL, CANNOT_TELL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.CANNOT_TELL
METADATA = "pending_bookings.metadata"
RECORD = "src/lib/sms/record.ts"
LINKS = "src/lib/shortLinks.ts"
MIGRATION = "supabase/migrations/20251103101500_pending_bookings_metadata.sql"
WITHOUT_CONFIRMATION = CheckConstraint(
    "short_links", "short_links_link_type_check", "CHECK (link_type = ANY (ARRAY['custom'::text]))", ("link_type",)
)


def code(variant: str, sha: str = HEAD, files: Mapping[str, str] | None = None, **replaced: str) -> ServedCode:
    """Return the sandbox's booking app as that way of recording texts has it, read; words of it can be replaced."""
    tree = booking_app_code.tree(variant, False, files or {})
    for old, new in replaced.items():
        tree = {path: text.replace(old, new) for path, text in tree.items()}
    return reader.read(Files({path: text.encode() for path, text in tree.items()}), sha)


def schema(*without: str, checks: tuple[CheckConstraint, ...] = (LINK_TYPES,), **nullable: bool) -> Schema:
    """Return a database that has all that the app asks for, without some columns (`table.column`)."""
    known = live_schema.from_catalog(catalog(*without, checks=checks, **nullable))
    asked = {use.table: use for one in VARIANTS for use in code(one).uses if use.table}
    tables = {relation.name for relation in known.relations}
    columns = {(column.table, column.name) for column in known.columns}
    more = [
        (use.table, name)
        for one in VARIANTS
        for use in code(one).uses
        for name in (*use.reads, *(w.column for w in use.writes), *(f.column for f in use.filters))
        if use.table and "->" not in name and name != "*"
    ]
    added = [
        live_schema.SchemaColumn(table, name, "text", nullable=True)
        for table, name in dict.fromkeys(more)
        if (table, name) not in columns and f"{table}.{name}" not in without
    ]
    relations = [live_schema.Relation(name) for name in asked if name not in tables]
    return dataclasses.replace(
        known,
        relations=(*known.relations, *relations),
        columns=(*(dataclasses.replace(one, default="d") for one in known.columns), *added),
        triggers=(),
        routines=(),
        enums=(),
        unique_keys=(UniqueKey("bookings", "bookings_pkey", ("id",)),),
    )


VARIANTS = ("with_customer", "without_customer", "on_pending")


def diagnosed(*codes: ServedCode, held_against: Schema | None = None, **changed: Any) -> Diagnosis:
    """Return the diagnosis of the healthy world with this code read and held against that database."""
    return diagnose(snapshot(served_code=codes, live_schema=held_against or schema(), **changed), NOW)


def check(diagnosis: Diagnosis, name: str) -> Check:
    return next(one for one in diagnosis.checks if one.id == name)


def verdict(diagnosis: Diagnosis, name: str) -> Verdict:
    return next(one.verdict for one in diagnosis.hypotheses if one.id == name)


BEFORE = {"hostnames": (hostname(OLD_BUILD),)}


def test_code_that_fits_its_database_is_said_to_have_been_read():
    diagnosis = diagnosed(code("on_pending"))
    assert [check(diagnosis, one).status for one in ("code_read", "columns_exist", "schema_contract")] == [OK] * 3
    assert verdict(diagnosis, "missing_column") is Verdict.RULED_OUT
    assert diagnosis.facts.code.misfits == ()


def test_a_missing_column_is_confirmed_by_the_line_that_writes_it():
    diagnosis = diagnosed(code("on_pending"), held_against=schema(METADATA), catalog=catalog(METADATA))
    found = check(diagnosis, "columns_exist")
    assert found.status is FAIL and METADATA in found.summary
    line = next(one for one in found.evidence if "writes" in one)
    assert line.startswith(f"initiate writes {METADATA} ({RECORD}, line ")
    assert "which the database does not have" in line and line.endswith("its error is ignored")
    assert any("serves booking.example since" in one for one in found.evidence)
    assert verdict(diagnosis, "missing_column") is Verdict.CONFIRMED


@pytest.mark.parametrize("variant", ["with_customer", "without_customer"])
def test_code_from_before_the_fix_misses_no_column_that_it_does_not_write(variant: str):
    diagnosis = diagnosed(code(variant, OLD), held_against=schema(METADATA), catalog=catalog(METADATA), **BEFORE)
    assert check(diagnosis, "columns_exist").status is OK
    assert verdict(diagnosis, "missing_column") not in (Verdict.CONFIRMED, Verdict.LIKELY)


def test_what_the_head_will_miss_is_possible_and_is_prepared_for():
    codes = (code("without_customer", OLD), code("on_pending", HEAD, {MIGRATION: "-- Later.\n"}))
    diagnosis = diagnosed(*codes, held_against=schema(METADATA), catalog=catalog(METADATA), **BEFORE)
    assert check(diagnosis, "next_code_fits").status is WARN
    assert verdict(diagnosis, "missing_column") is Verdict.POSSIBLE
    assert f"missing_column:{METADATA}" in database_faults(diagnosis.facts)


def test_two_hostnames_that_serve_different_commits_are_two_answers():
    hosts = (hostname(OLD_BUILD, "old.example"), hostname(HEAD_BUILD, "new.example"))
    codes = (code("without_customer", OLD), code("on_pending", HEAD))
    diagnosis = diagnosed(*codes, held_against=schema(METADATA), catalog=catalog(METADATA), hostnames=hosts)
    found = check(diagnosis, "columns_exist")
    assert found.status is FAIL
    assert any("new.example" in one for one in found.evidence)
    assert not any("old.example" in one for one in found.evidence)


def test_a_literal_that_the_served_code_does_not_write_is_blamed_nowhere():
    custom = code("on_pending", **{"link_type: 'booking_confirmation'": "link_type: 'custom'"})
    refusing = schema(checks=(WITHOUT_CONFIRMATION,))
    diagnosis = diagnosed(custom, held_against=refusing, catalog=catalog(checks=(WITHOUT_CONFIRMATION,)))
    assert check(diagnosis, "schema_contract").status is OK
    assert not any("link_type" in one for one in database_faults(diagnosis.facts))


def test_a_refused_literal_names_file_line_value_and_the_migration_that_would_allow_it():
    allow = (
        "alter table short_links drop constraint short_links_link_type_check;\n"
        "alter table short_links add constraint short_links_link_type_check\n"
        "    check (link_type in ('custom', 'booking_confirmation'));\n"
    )
    written = code("on_pending", files={"supabase/migrations/20251120090000_link_types.sql": allow})
    refusing = schema(checks=(WITHOUT_CONFIRMATION,))
    applied = (AppliedMigration("20250601090000", "initial_schema"),)
    diagnosis = diagnosed(
        written, held_against=refusing, catalog=catalog(checks=(WITHOUT_CONFIRMATION,)), migrations=applied
    )
    found = check(diagnosis, "schema_contract")
    assert found.status is FAIL
    line = found.evidence[0]
    for part in (
        f"({LINKS}, line ",
        "“booking_confirmation”",
        "short_links_link_type_check",
        "23514",
        "20251120090000",
    ):
        assert part in line
    assert line.startswith("initiate writes") and "its error is checked" in line


def test_a_misfit_off_the_way_of_a_booking_changes_no_verdict():
    page = "src/app/staff/loyalty/page.tsx"
    elsewhere = code("on_pending", files={page: booking_app_code.files("misfit_elsewhere")[page]})
    diagnosis, fine = diagnosed(elsewhere), diagnosed(code("on_pending"))
    (first, *_) = diagnosis.facts.code.misfits
    assert (first.file, first.column, first.on_flow) == (page, "loyalty_points", False)
    assert {one.id: one.verdict for one in diagnosis.hypotheses} == {one.id: one.verdict for one in fine.hypotheses}
    assert {one.id: one.status for one in diagnosis.checks} == {one.id: one.status for one in fine.checks}


def test_what_fails_on_some_of_the_ways_only_warns():
    diagnosis = diagnosed(code("without_customer", OLD), **BEFORE)
    found = check(diagnosis, "schema_contract")
    assert found.status is WARN
    assert f"initiate can write null to messages.customer_id ({RECORD}, line 11)" in found.evidence[0]
    assert check(diagnosis, "fix_live").status is FAIL


UNREAD = Failure(FailureKind.FORBIDDEN, "GitHub does not let us read the code.")


@pytest.mark.parametrize("unread", [UNREAD, Failure(FailureKind.NOT_CONFIGURED, "Not connected.")])
def test_without_the_code_what_was_declared_makes_nothing_more_than_likely(unread: Failure):
    diagnosis = diagnose(snapshot(served_code=unread, catalog=catalog(METADATA)), NOW)
    found = check(diagnosis, "columns_exist")
    assert found.status is FAIL and unread.sentence in found.evidence
    assert verdict(diagnosis, "missing_column") is Verdict.LIKELY
    assert check(diagnosis, "code_read").status is CANNOT_TELL


def test_where_it_is_unknown_which_code_is_served_no_version_of_it_is_blamed():
    away = Failure(FailureKind.TIMEOUT, "It did not answer.")
    diagnosis = diagnose(snapshot(branch=away, catalog=catalog(METADATA)), NOW)
    assert check(diagnosis, "columns_exist").status is CANNOT_TELL


@pytest.mark.parametrize(
    ("hosts", "codes", "why"),
    [
        ((hostname(None),), ("on_pending",), "hostnames serves is not known"),
        ((hostname(HEAD_BUILD), hostname(FIX_BUILD, "b.example")), ("on_pending",), "has not been read yet"),
        ((hostname(OLD_BUILD),), ("on_pending",), "has not been read yet"),
    ],
)
def test_code_of_which_a_part_is_unread_vouches_for_nothing(hosts: Any, codes: tuple[str, ...], why: str):
    diagnosis = diagnosed(*map(code, codes), hostnames=hosts)
    assert check(diagnosis, "code_read").status is CANNOT_TELL
    assert why in diagnosis.facts.code.why_partial


def test_code_without_the_addresses_of_the_flow_says_nothing_of_the_flow():
    other = reader.read(Files({"src/app/page.tsx": b"export default () => null"}), HEAD)
    diagnosis = diagnosed(other, catalog=catalog(METADATA))
    assert check(diagnosis, "code_read").status is CANNOT_TELL
    assert "/api/bookings/initiate" in diagnosis.facts.code.why_partial
    assert check(diagnosis, "columns_exist").status is FAIL, "what was declared serves"


def test_the_findings_are_worked_out_once_for_the_same_code_and_database():
    written, base = code("on_pending"), schema(METADATA)
    first, again = diagnosed(written, held_against=base), diagnosed(written, held_against=dataclasses.replace(base))
    assert first.facts.code.serving[0] is again.facts.code.serving[0]
    other = diagnosed(written, held_against=schema())
    assert other.facts.code.serving[0] is not first.facts.code.serving[0]


def test_a_live_schema_that_is_away_is_made_up_for_by_the_catalog():
    away = Failure(FailureKind.TIMEOUT, "It did not answer.")
    world = snapshot(served_code=(code("on_pending"),), live_schema=away, catalog=catalog(METADATA))
    assert METADATA in check(diagnose(world, NOW), "columns_exist").summary


def test_the_addresses_of_the_flow_are_those_of_the_settings():
    terms = Terms(addresses=("/api/bookings/confirm",))
    diagnosis = diagnose(snapshot(served_code=(code("on_pending"),), live_schema=schema(METADATA)), NOW, terms)
    (commit,) = diagnosis.facts.code.serving
    assert commit.way.missing == () and set(commit.way.places.values()) == {"/api/bookings/confirm"}
    assert not any(one.column == "metadata" and "initiate" in (one.hop or "") for one in commit.on_flow)


@pytest.mark.parametrize(("root", "fits"), [("apps/booking", True), ("apps/other", False), (None, True)])
def test_only_the_app_in_the_folder_that_vercel_builds_answers(root: str | None, fits: bool):
    tree = booking_app_code.tree("on_pending", False, {})
    files = {f"apps/booking/{path}": text.encode() for path, text in tree.items()}
    project = dataclasses.replace(PROJECT, root_directory=root)
    diagnosis = diagnosed(reader.read(Files(files), HEAD), project=project)
    assert diagnosis.facts.code.complete is fits
    if not fits:
        assert "answers /api/bookings/initiate" in diagnosis.facts.code.why_partial


def test_an_upload_with_uncommitted_changes_is_said_to_be_one():
    dirty = hostname(dataclasses.replace(HEAD_BUILD, git_dirty=True, source="cli"))
    diagnosis = diagnosed(code("on_pending"), hostnames=(dirty,))
    why = "booking.example serves an upload with uncommitted changes: what it holds cannot be told."
    assert diagnosis.facts.code.why_partial == why
    assert check(diagnosis, "columns_exist").status is not FAIL
