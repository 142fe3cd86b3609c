"""Which migration the plan proposes: a file of the repository that cures what was seen, before one of the catalogue."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.tasks import tasks
from lib.model.database import AppliedMigration
from lib.model.served_code import MigrationFile, MigrationState, RepositoryMigration, ServedCode
from lib.model.task import Task
from lib.served_code.misfits import judge
from lib.served_code.repository_migrations import compare, files_that_cure
from lib.settings import load
from tests.diagnosis.builders import FIX_BUILD, HEAD, NOW, catalog, hostname, snapshot
from tests.diagnosis.test_served_code import METADATA, code, schema

FIX = FIX_BUILD.sha or ""
SETTINGS = load({}, secrets_file=Path("/nonexistent"))
APPLIED = (AppliedMigration("20250601090000", "initial_schema"),)
ADD = "alter table public.pending_bookings add column metadata jsonb;"
FOLDER = "supabase/migrations"


def advised(*codes: ServedCode, **changed: Any) -> list[Task]:
    """What the plan proposes for a database without `metadata`."""
    given = {"live_schema": schema(METADATA), "catalog": catalog(METADATA), "migrations": APPLIED} | changed
    found = diagnose(snapshot(served_code=codes, **given), NOW)
    return [task for task in tasks(found, SETTINGS) if task.step_id == "migration"]


def with_files(sha: str = HEAD, /, files: Mapping[str, str] | None = None) -> ServedCode:
    """The code that stores texts with their booking, with these migrations and no others."""
    made = tuple(
        MigrationFile(f"{FOLDER}/{version}_{name}.sql", version, name, sql)
        for version, (name, sql) in ((key, tuple(value.split(": ", 1))) for key, value in (files or {}).items())
    )
    return dataclasses.replace(code("on_pending", sha), migrations=made)


def test_a_file_that_was_not_applied_comes_before_the_catalogue():
    (task,) = advised(with_files(files={"20260101000000": f"metadata: {ADD}"}))
    assert task.action == "run_repository_migration"
    assert dict(task.args) == {"version": "20260101000000", "commit": HEAD}
    assert "initiate writes pending_bookings.metadata" in task.why and "20260101000000" in task.message


def test_what_no_file_cures_is_left_to_the_catalogue():
    (task,) = advised(with_files(files={"20260101000000": "other: alter table messages add column a text;"}))
    assert (task.action, dict(task.args)) == ("run_migration", {"name": "pending_bookings_metadata"})


def test_a_file_of_the_newest_commit_is_proposed_before_its_code_is_served():
    served, newest = with_files(FIX), with_files(HEAD, files={"20260101000000": f"metadata: {ADD}"})
    (task,) = advised(served, newest, hostnames=(hostname(FIX_BUILD),))
    assert dict(task.args) == {"version": "20260101000000", "commit": HEAD}


def test_a_file_that_is_refused_is_somebodys_task_with_the_command_to_use():
    files = {"20260101000000": f"metadata: {ADD} create index concurrently i on messages (id);"}
    (task,) = advised(with_files(files=files))
    assert task.action is None and task.who
    assert task.exactly == (
        f'psql "$DATABASE_URL" --file {FOLDER}/20260101000000_metadata.sql; '
        "then supabase migration repair --status applied 20260101000000"
    )
    assert "CONCURRENTLY" in task.why


def test_a_file_on_record_whose_effect_is_gone_is_not_proposed_again():
    recorded = (*APPLIED, AppliedMigration("20260101000000", "metadata"))
    (task,) = advised(with_files(files={"20260101000000": f"metadata: {ADD}"}), migrations=recorded)
    assert task.action == "run_migration"


def test_nothing_is_proposed_where_nothing_is_missing():
    files = {"20260101000000": f"metadata: {ADD}"}
    assert advised(with_files(files=files), live_schema=schema(), catalog=catalog()) == []


def test_a_file_that_builds_on_others_is_proposed_after_just_those():
    base = schema("pending_bookings.metadata")
    files = tuple(
        MigrationFile(f"{FOLDER}/{version}_a.sql", version, "a", sql)
        for version, sql in (
            ("1", "create type stored as enum ('x');"),
            ("2", "alter table public.pending_bookings add column other text;"),
            ("3", "alter table public.pending_bookings rename column other to metadata;"),
        )
    )
    states = compare(files, APPLIED, base)
    (misfit, *_) = (one for one in judge(code("on_pending").uses, base).misfits if one.column == "metadata")
    assert [file.version for file in files_that_cure(misfit, files, states, base)] == ["2", "3"]
    none = [RepositoryMigration("2", "a", MigrationState.APPLIED, file.path) for file in files]
    assert files_that_cure(misfit, files, none, base) == ()
