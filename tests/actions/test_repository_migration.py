"""A migration of the repository on real systems: it cures what it names, and what is not known is not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lib.actions.action import Preview, RefusedError
from lib.actions.action_registry import open_executor
from lib.actions.executor import Executor, Order
from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.tasks import tasks
from lib.journal.request import Request, RequestState
from lib.model.served_code import MigrationFile, ServedCode
from lib.model.task import Task
from lib.model.window import WindowSize
from lib.sandbox.serve import Running
from lib.served_code.statements import statements_with_comments
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources.http import Deadline
from lib.sources.source_registry import connect
from tests.actions.conftest import OPERATOR

pytestmark = pytest.mark.sandbox

Play = Callable[[str], dict[str, str]]
Opened = Callable[[str], Executor]
RUN, TRY = "run_repository_migration", "rehearse_repository_migration"
LINKS, METADATA = "20251120090000", "20251103101500"


@pytest.fixture
def opened(play: Play, tmp_path: Path) -> Iterator[Opened]:
    """A function that plays a scenario and opens an executor on it, with a journal of its own."""
    executors: list[Executor] = []

    def open_on(scenario: str, **changed: str) -> Executor:
        values = play(scenario) | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"} | changed
        settings = load({name: value for name, value in values.items() if value}, Path("/nonexistent/secrets.toml"))
        sources = connect(settings, utc_now)
        executor = open_executor(settings, sources, lambda: take(sources, WindowSize.DAY), utc_now)
        executors.append(executor)
        return executor

    yield open_on
    for executor in executors:
        executor.journal.close()


def advised(executor: Executor) -> tuple[Task, ...]:
    """What the plan asks for now, of the kind that changes the database."""
    context = executor.context
    found = tasks(diagnose(context.take_snapshot(), utc_now()), context.settings)
    return tuple(task for task in found if task.step_id == "migration")


def head(executor: Executor) -> str:
    return executor.context.sources.github.branch(None, Deadline(10)).value.head.sha


def args_of(executor: Executor, version: str) -> dict[str, str]:
    return {"version": version, "commit": head(executor)}


def done(executor: Executor, action: str, args: dict[str, str]) -> Request:
    preview = executor.preview(action, args)
    assert not preview.blocked, preview.preflight
    order = Order(action, args, preview.digest, preview.phrase or "", "It cures what was seen.")
    return executor.carry_out(executor.submit(order, OPERATOR).id, OPERATOR)


def ask(sandbox: Running, sql: str) -> list[dict[str, Any]]:
    with sandbox.world.connection() as connection:
        return connection.execute(sql.encode()).fetchall()


def history_of(sandbox: Running, version: str) -> list[dict[str, Any]]:
    asked = f"select name, statements from supabase_migrations.schema_migrations where version = '{version}'"
    return ask(sandbox, asked)


def check(preview: Preview, name: str) -> str:
    return " ".join(f"{one.status.value}: {one.message}" for one in preview.preflight if one.id == name)


@dataclass
class OtherArchive:
    """The archive of a repository in which a commit holds other migrations than the twin's."""

    code_of_twin: ServedCode
    migrations: tuple[MigrationFile, ...]

    def code(self, sha: str, deadline: Deadline) -> ServedCode:
        return replace(self.code_of_twin, commit=sha, migrations=self.migrations)


def with_file(executor: Executor, sql: str, version: str = "20990101000000", name: str = "change") -> dict[str, str]:
    """Let the repository hold one more migration; return the arguments that name it."""
    sources, sha = executor.context.sources, head(executor)
    code = sources.github_archive.code(sha, Deadline(30))
    others = (file for file in code.migrations if file.version != version)
    added = MigrationFile(f"supabase/migrations/{version}_{name}.sql", version, name, sql)
    vars(sources)["github_archive"] = OtherArchive(code, (*others, added))
    return {"version": version, "commit": sha}


# What it is for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("database", ["direct", "management"])
def test_the_file_that_allows_the_refused_value_is_advised_and_cures_it(
    opened: Opened, sandbox: Running, database: str
):
    executor = opened("literal-not-allowed", **({"DATABASE_URL": ""} if database == "management" else {}))
    (task,) = advised(executor)
    assert task.action == RUN and dict(task.args) == args_of(executor, LINKS)
    for part in ("booking_confirmation", "src/lib/shortLinks.ts, line ", "short_links_link_type_check", LINKS):
        assert part in task.why
    request = done(executor, RUN, dict(task.args))
    assert request.state is RequestState.SUCCEEDED, request.message
    assert "The served code now has 0 misfits" in request.message
    code = executor.context.sources.github_archive.code(head(executor), Deadline(10))
    (file,) = (one for one in code.migrations if one.version == LINKS)
    assert history_of(sandbox, LINKS) == [
        {"name": "allow_confirmation_links", "statements": [one.sql for one in statements_with_comments(file.sql)]}
    ]
    assert advised(executor) == ()
    again = executor.preview(RUN, dict(task.args))
    assert again.blocked and "nothing to do" in check(again, "needed")


def test_the_fix_that_was_released_without_its_migration_is_cured_by_running_that(opened: Opened, sandbox: Running):
    executor = opened("migration-not-applied")
    (task,) = advised(executor)
    assert task.action == RUN and dict(task.args) == args_of(executor, METADATA)
    preview = executor.preview(RUN, dict(task.args))
    assert preview.phrase == METADATA and not preview.blocked
    (script,) = preview.calls
    assert "add column if not exists metadata jsonb" in script.lower() and "commit;" in script
    assert "ACCESS EXCLUSIVE on pending_bookings: reads and writes wait" in " ".join(preview.will_differ)
    assert "it would fix 2 misfits: initiate writes pending_bookings.metadata" in check(preview, "cures")
    request = done(executor, RUN, dict(task.args))
    assert request.state is RequestState.SUCCEEDED, request.message
    assert "so does the Data API" in request.message
    assert advised(executor) == ()


@pytest.mark.parametrize("database", ["direct", "management"])
def test_trying_it_counts_the_misfits_before_and_after_and_leaves_nothing(
    opened: Opened, sandbox: Running, database: str
):
    executor = opened("migration-not-applied", **({"DATABASE_URL": ""} if database == "management" else {}))
    preview = executor.preview(TRY, args_of(executor, METADATA))
    assert preview.phrase is None and "rollback;" in preview.calls[0]
    request = done(executor, TRY, args_of(executor, METADATA))
    assert request.state is RequestState.SUCCEEDED, request.message
    assert "Before: 2 misfits, 2 on the way of a booking. With it: 0 misfits, 0 on the way" in request.message
    assert history_of(sandbox, METADATA) == []
    assert not ask(sandbox, "select from pg_attribute where attname = 'metadata' and attrelid::regclass::text ~ 'pend'")


# What changes nothing --------------------------------------------------------------------------------------


def test_a_file_that_would_break_the_served_code_is_tried_rolled_back_and_not_run(opened: Opened, sandbox: Running):
    executor = opened("healthy")
    narrower = (
        "alter table public.short_links drop constraint short_links_link_type_check;\n"
        "alter table public.short_links add constraint short_links_link_type_check\n"
        "    check (link_type = 'custom') not valid;\n"
    )
    args = with_file(executor, narrower)
    request = done(executor, RUN, args)
    assert request.state is RequestState.FAILED
    assert "would fail" in request.message and "src/lib/shortLinks.ts" in request.message
    assert "Nothing was changed." in request.message
    (row,) = ask(
        sandbox,
        "select pg_get_constraintdef(oid) as it from pg_constraint where conname = 'short_links_link_type_check'",
    )
    assert "booking_confirmation" in row["it"] and history_of(sandbox, args["version"]) == []


@pytest.mark.parametrize(
    ("sql", "reason", "command"),
    [
        ("drop table public.messages;", "DROP TABLE", "supabase db push"),
        ("create index concurrently i on public.messages (status);", "CONCURRENTLY", 'psql "$DATABASE_URL" --file'),
        ("alter table public.messages add column a text; commit;", "transaction of its own", "psql"),
        ("do $$ begin execute 'drop table messages'; end $$;", "DO block", "supabase db push"),
    ],
)
def test_what_is_refused_is_shown_with_its_reason_and_the_command_to_use_instead(
    opened: Opened, sandbox: Running, sql: str, reason: str, command: str
):
    executor = opened("healthy")
    args = with_file(executor, sql)
    preview = executor.preview(RUN, args)
    assert preview.blocked and all(one.sql in preview.calls[0] for one in statements_with_comments(sql))
    assert reason in check(preview, "statements") and command in check(preview, "statements")
    order = Order(RUN, args, preview.digest, args["version"], "Try it anyway.")
    assert executor.submit(order, OPERATOR).state is RequestState.REFUSED
    assert history_of(sandbox, args["version"]) == []


def test_a_file_that_changed_since_it_was_confirmed_is_another_order(opened: Opened, sandbox: Running):
    executor = opened("healthy")
    args = with_file(executor, "alter table public.messages add column first text;")
    preview = executor.preview(RUN, args)
    order = Order(RUN, args, preview.digest, args["version"], "It is needed.")
    request = executor.submit(order, OPERATOR)
    assert with_file(executor, "alter table public.messages add column second text;") == args
    finished = executor.carry_out(request.id, OPERATOR)
    assert finished.state is RequestState.REFUSED and "SQL: " in finished.message
    assert not ask(sandbox, "select from pg_attribute where attname in ('first', 'second') and attnum > 0")


def test_a_commit_that_is_neither_served_nor_the_newest_is_not_run_from(opened: Opened, sandbox: Running):
    executor = opened("migration-not-applied")
    with sandbox.world.connection() as connection:
        connection.execute("update twin.branches set sha = (select sha from twin.commits order by position limit 1)")
    (older,) = ask(sandbox, "select sha from twin.branches where name = 'main'")
    args = with_file(executor, "alter table public.messages add column a text;")
    assert args["commit"] == older["sha"]
    with sandbox.world.connection() as connection:
        connection.execute(
            "update twin.branches set sha = (select sha from twin.commits order by position desc limit 1)"
        )
    preview = executor.preview(RUN, args)
    assert "neither served nor the newest" in check(preview, "commit") and preview.blocked


def test_the_newest_commit_is_that_of_the_branch_that_production_is_built_from(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
):
    executor = opened("migration-not-applied")
    args, github, asked = args_of(executor, METADATA), executor.context.sources.github, []
    read = type(github).branch

    def branch(self: Any, name: str | None, deadline: Deadline) -> Any:
        asked.append(name)
        return read(self, name, deadline)

    monkeypatch.setattr(type(github), "branch", branch)
    executor.preview(RUN, args)
    project = executor.context.sources.vercel.project(Deadline(10)).value
    assert project.link is not None
    assert asked[-1] == project.link.production_branch is not None


def test_who_holds_the_table_is_not_made_to_wait_for_long(opened: Opened, sandbox: Running):
    executor = opened("migration-not-applied")
    preview = executor.preview(RUN, args_of(executor, METADATA))
    order = Order(RUN, args_of(executor, METADATA), preview.digest, METADATA, "It is needed.")
    with sandbox.world.connection() as connection, connection.transaction():
        connection.execute("lock table public.pending_bookings in row exclusive mode")
        request = executor.carry_out(executor.submit(order, OPERATOR).id, OPERATOR)
    assert request.state is RequestState.FAILED and "was not free within 2s" in request.message
    assert history_of(sandbox, METADATA) == []


def test_a_file_on_record_whose_effect_is_gone_is_not_run_again_behind_the_history(opened: Opened):
    executor = opened("missing-column")
    preview = executor.preview(RUN, args_of(executor, METADATA))
    assert preview.blocked
    assert f"supabase migration repair --status reverted {METADATA}" in check(preview, "needed")
    (task,) = advised(executor)
    assert task.action == "run_migration"


def test_what_is_pending_before_it_is_named(opened: Opened):
    executor = opened("healthy")
    with_file(executor, "alter table public.messages add column a text;", "20980101000000", "earlier")
    args = with_file(executor, "alter table public.messages add column b text;")
    assert "20980101000000_earlier" in check(executor.preview(RUN, args), "order")
    assert dict(executor.preview(RUN, args).target.facts)["pending before it"] == "20980101000000_earlier"


@pytest.mark.parametrize(
    "args", [{"version": "1'; --", "commit": "a" * 40}, {"version": "1", "commit": "main"}, {"version": "1"}]
)
def test_arguments_of_another_form_are_refused(opened: Opened, args: dict[str, str]):
    executor = opened("healthy")
    with pytest.raises(RefusedError):
        executor.preview(RUN, args)
