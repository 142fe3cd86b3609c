"""The catalogue of migrations: each keeps what its header promises, and passes the linter as it really runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lib.migrations.catalogue import Migration, catalogue
from lib.migrations.script import HistoryRow, scripts
from lib.served_code.statements import statements_with_comments, tree

SQUAWK = Path(sys.executable).with_name("squawk")
EVERY = pytest.mark.parametrize("migration", catalogue().values(), ids=lambda migration: migration.name)


def complaints(script: str) -> set[str]:
    """The rules that the linter says this script breaks."""
    asked = [str(SQUAWK), "--reporter", "json", "--include", "require-table-schema", "--pg-version", "15"]
    told = subprocess.run(asked, input=script, capture_output=True, text=True, check=False)
    assert told.returncode in (0, 1), told.stderr
    return {complaint["rule_name"] for complaint in json.loads(told.stdout)}


@EVERY
def test_every_script_passes_the_linter_but_for_what_its_header_allows(migration: Migration):
    history = HistoryRow("20251122120000", migration.name, (migration.sql,))
    rendered = (*scripts(migration), *scripts(migration, history=history), *scripts(migration, dry_run=True))
    found = set().union(*(complaints(step.sql) for step in rendered))
    assert found == set(migration.allows), "allowed and not needed is as wrong as needed and not allowed"


def test_the_linter_would_find_a_script_without_timeouts_and_a_dangerous_one():
    assert "require-lock-timeout" in complaints("alter table public.messages add column a text;")
    assert "ban-drop-column" in complaints("alter table public.messages drop column body;")


@EVERY
def test_every_step_is_one_transaction_with_all_three_timeouts_and_the_lock_that_lets_one_run(migration: Migration):
    for step in scripts(migration):
        assert step.sql.startswith("begin;\n") and step.sql.endswith("\ncommit;\n")
        assert step.sql.count("commit;") == 1 and "rollback;" not in step.sql
        for setting in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            assert f"set local {setting} = '" in step.sql
        assert step.sql.index("pg_try_advisory_xact_lock") < step.sql.index(migration.table)


@EVERY
def test_only_the_last_step_verifies_and_tells_the_data_api(migration: Migration):
    *before, last = scripts(migration)
    assert migration.verify in last.sql and "notify pgrst" in last.sql
    assert not any(migration.verify in step.sql or "notify" in step.sql for step in before)


@EVERY
def test_a_dry_run_is_the_first_step_word_for_word_but_for_its_end(migration: Migration):
    (dry_run,) = scripts(migration, dry_run=True)
    first = scripts(migration)[0]
    assert dry_run.sql.removesuffix("rollback;\n") == first.sql.removesuffix("commit;\n")


@EVERY
def test_a_way_back_leads_to_a_migration_that_there_is_and_it_leads_back(migration: Migration):
    if migration.undone_by is not None:
        assert catalogue()[migration.undone_by].undone_by == migration.name


@EVERY
def test_visible_columns_are_named_with_their_table(migration: Migration):
    assert all(place.partition(".")[0] == migration.table for place in migration.visible)


def test_the_digest_is_of_the_statements():
    one, other = catalogue()["pending_bookings_metadata"], catalogue()["messages_customer_id_nullable"]
    assert one.digest != other.digest and len(one.digest) == 64
    assert replace(one, title="Another title").digest == one.digest


@pytest.mark.parametrize(
    ("wrong", "duty"),
    [
        ({"undone_by": "x"}, "undone_by or cannot_be_undone"),
        ({"cannot_be_undone": None}, "undone_by or cannot_be_undone"),
        ({"lock_timeout": "500ms"}, "whole seconds"),
        ({"lock_timeout": "15s"}, "longer for a statement"),
        ({"requires": "select true"}, "requires_message"),
        ({"allows": ("ban-drop-column",)}, "because"),
    ],
)
def test_a_header_that_promises_too_little_is_refused(wrong: dict[str, object], duty: str):
    with pytest.raises(ValueError, match=duty):
        replace(catalogue()["pending_bookings_metadata"], **wrong)  # type: ignore[arg-type]


def test_a_version_in_the_history_is_digits_and_nothing_else():
    with pytest.raises(ValueError, match="digits"):
        HistoryRow("2025'); drop table x; --", "name", ())


def test_a_name_in_the_history_cannot_leave_its_quotes():
    hostile = "o'brien'); drop table x; --"
    history = HistoryRow("1", hostile, (hostile, "a\\'b"))
    (script,) = scripts(catalogue()["pending_bookings_metadata"], history=history)
    assert "'o''brien''); drop table x; --'" in script.sql
    *_, recorded, _, _ = statements_with_comments(script.sql)
    kind, inside = tree(recorded.sql)
    assert kind == "InsertStmt" and inside["relation"]["relname"] == "schema_migrations"


@EVERY
def test_its_button_is_named_by_the_act(migration: Migration):
    assert 1 < len(migration.button.split()) <= 4 and migration.button[0].isupper()
