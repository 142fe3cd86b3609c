"""The machine: real PostgreSQL and Supabase Lite, and nothing of them left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from postgrest import APIError
from supabase import Client, create_client

from lib.sandbox import infrastructure, ports
from lib.sandbox.infrastructure import FOLDER_PREFIX, Infrastructure
from lib.sandbox.postgres import SUPERUSER
from lib.sandbox.serve import Running
from lib.sandbox.world import Credentials
from tests.processes import runs
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

A_TEXT = {"body": "Hello", "direction": "outbound", "message_sid": "SM1", "status": "queued"}


@pytest.fixture
def client(sandbox: Running) -> Client:
    return create_client(f"{sandbox.world.base_url}/supabase", sandbox.world.credentials.supabase_secret_key)


def test_the_database_refuses_a_text_without_a_customer(client: Client, play: Callable[..., object]) -> None:
    play("healthy")
    with pytest.raises(APIError) as refused:
        client.table("messages").insert(A_TEXT).execute()
    assert refused.value.code == "23502"
    assert 'null value in column "customer_id" of relation "messages"' in str(refused.value.message)


def test_a_migration_over_the_direct_connection_reaches_the_data_api_by_itself(
    sandbox: Running, client: Client, play: Callable[..., object]
) -> None:
    play("healthy")
    before = sandbox.infrastructure.lite_url
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        connection.execute("alter table public.pending_bookings add column walk_in boolean")
    wait_until(lambda: sandbox.infrastructure.lite_url != before)
    client.table("pending_bookings").update({"walk_in": True}).is_("id", "null").execute()


def test_a_reload_with_nothing_new_to_know_keeps_the_data_api_that_runs(
    sandbox: Running, client: Client, play: Callable[..., object]
) -> None:
    play("healthy")
    before = sandbox.infrastructure.lite_url
    play("undelivered")
    assert sandbox.infrastructure.lite_url == before
    assert client.table("messages").select("id").limit(1).execute().data


def test_a_schema_that_comes_back_is_served_by_the_data_api_that_knows_it(
    sandbox: Running, client: Client, play: Callable[..., object]
) -> None:
    play("healthy")
    before = sandbox.infrastructure.lite_url
    play("missing-column")
    assert sandbox.infrastructure.lite_url != before
    with pytest.raises(APIError, match="metadata"):
        client.table("pending_bookings").select("metadata").limit(1).execute()
    play("healthy")
    assert sandbox.infrastructure.lite_url == before
    assert client.table("pending_bookings").select("metadata").limit(1).execute().data


def test_a_scenario_that_changes_the_schema_in_several_steps_starts_the_data_api_once(
    sandbox: Running, monkeypatch: pytest.MonkeyPatch, play: Callable[..., object]
) -> None:
    play("healthy")
    started = []

    class Noted(infrastructure.Lite):
        def __init__(self, *arguments: Any) -> None:
            started.append(self)
            super().__init__(*arguments)

    monkeypatch.setattr(infrastructure, "Lite", Noted)
    play("api-500")
    assert len(started) == 1


@pytest.mark.parametrize(
    "change",
    [
        "revoke all on all tables in schema public from anon, authenticated, service_role",
        "alter table public.short_link_clicks drop constraint short_link_clicks_short_link_id_fkey",
        "drop table public.short_link_clicks",
        "create function public.reporting_tried() returns int language sql as 'select 1'",
    ],
)
def test_whatever_the_data_api_knew_of_a_changed_schema_is_gone_with_the_next_scenario(
    sandbox: Running, client: Client, play: Callable[..., object], change: str
) -> None:
    play("healthy")
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        connection.execute(change)
    sandbox.world.reload_schema_cache()
    changed = sandbox.infrastructure.lite_url
    play("healthy")
    assert sandbox.infrastructure.lite_url != changed
    assert client.table("short_links").select("id, short_link_clicks(id)").limit(1).execute().data


def test_rolled_back_ddl_does_not_reload_the_data_api(sandbox: Running) -> None:
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        connection.execute("listen pgrst")
        connection.commit()
        connection.execute("alter table public.pending_bookings add column dry_run boolean")
        connection.rollback()
        connection.execute("notify pgrst, 'the next thing heard'")
        connection.commit()
        assert next(connection.notifies()).payload == "the next thing heard"


def test_the_owner_of_the_database_is_no_superuser_and_sees_past_row_security(sandbox: Running) -> None:
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        roles = connection.execute("select rolsuper, rolbypassrls from pg_roles where rolname = current_user")
        assert roles.fetchone() == (False, True)
        owners = connection.execute("select distinct tableowner from pg_tables where schemaname = 'public'")
        assert owners.fetchall() == [("postgres",)]


def test_nobody_gets_in_without_the_password_of_this_run(sandbox: Running) -> None:
    port = psycopg.conninfo.conninfo_to_dict(sandbox.infrastructure.dsn)["port"]
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres")


def test_a_forgotten_transaction_does_not_stop_a_switch_of_scenario(
    sandbox: Running, play: Callable[..., object]
) -> None:
    forgotten = psycopg.connect(sandbox.infrastructure.dsn)
    forgotten.execute("lock table public.messages in access exclusive mode")
    play("healthy")
    with pytest.raises(psycopg.OperationalError):
        forgotten.execute("select 1")


def test_a_switch_of_scenario_forgets_what_was_done_before(sandbox: Running, play: Callable[..., object]) -> None:
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        connection.execute("insert into public.events (name, date, time, slug) values ('X', now(), '19:00', 'x-1')")
        connection.execute("alter table public.messages drop column body")
    play("healthy")
    with psycopg.connect(sandbox.infrastructure.dsn) as connection:
        assert connection.execute("select from public.events where slug = 'x-1'").rowcount == 0
        connection.execute("select body from public.messages limit 0")


def test_what_a_killed_run_left_behind_is_removed_and_what_lives_is_not() -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    leftover = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{dead.pid}-"))
    in_use = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
    infrastructure = Infrastructure(Credentials())
    try:
        assert not leftover.exists()
        assert in_use.exists()
    finally:
        infrastructure.stop()
        in_use.rmdir()
    assert not infrastructure.folder.exists()


def test_a_child_ends_with_its_parent_even_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, pathlib; from lib.sandbox.supervisor import SupervisedProcess\n"
            "wait = 'import os, sys, time; open(sys.argv[1], \"w\").write(str(os.getpid())); time.sleep(600)'\n"
            "folder = pathlib.Path(sys.argv[1])\n"
            "kept = SupervisedProcess([sys.executable, '-c', wait, folder / 'pid'], log=folder / 'log', env={})\n"
            "time.sleep(600)",
            str(tmp_path),
        ]
    )
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    child = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_until(lambda: not runs(child))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a server as somebody else")
def test_a_server_started_by_root_does_not_run_as_root(sandbox: Running) -> None:
    pid = int((sandbox.infrastructure.folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    assert Path(f"/proc/{pid}").stat().st_uid != 0


def test_a_server_that_cannot_start_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lib.sandbox.postgres._SETTINGS", {"no_such_setting": "1"})
    infrastructure = Infrastructure(Credentials())
    try:
        with pytest.raises(ports.SandboxError, match="PostgreSQL did not start"):
            infrastructure.start()
    finally:
        infrastructure.stop()


def test_a_taken_port_is_reported_in_a_sentence() -> None:
    with (
        ports.listen() as taken,
        pytest.raises(ports.SandboxError, match="is taken"),
        ports.listen(taken.getsockname()[1]),
    ):
        pass


# Keys of the business, and what a shell may hold besides.
PLANTED = {
    "SUPABASE_SECRET_KEY": "sb_secret_planted",
    "VERCEL_TOKEN": "vcp_planted",
    "DATABASE_URL": "postgresql://postgres:planted@db.invalid/postgres",
    "PGPASSWORD": "planted",
    "AWS_SECRET_ACCESS_KEY": "planted",
    "STATUS_TOKEN": "planted",
}


def test_no_child_of_the_sandbox_is_given_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    machine = Infrastructure(Credentials())
    machine.start()
    try:
        machine.reset()
        machine.reload_schema_cache()
        children = psutil.Process().children(recursive=True)
        ours = [child for child in children if str(machine.folder) in " ".join([*child.cmdline(), child.cwd()])]
        names = {Path(child.cmdline()[0]).name for child in ours}
        assert {"postgres", "node"} <= names
        environments = [Path(f"/proc/{child.pid}/environ").read_text(errors="replace") for child in ours]
        # PostgreSQL writes its titles over what /proc shows, so it is asked itself.
        with psycopg.connect(machine.postgres.dsn(SUPERUSER)) as connection:
            connection.execute("create temp table environment (line text)")
            connection.execute("copy environment from program 'env'")
            environments.append("\n".join(line for (line,) in connection.execute("select line from environment")))
        assert "PATH=" in environments[-1] and "HOME=" in " ".join(environments)
        assert [environment for environment in environments if "planted" in environment] == []
    finally:
        machine.stop()
