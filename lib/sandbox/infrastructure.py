"""The infrastructure under the twins: PostgreSQL, Supabase Lite in front of it, and the folder they live in."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from lib.sandbox.lite import Lite, find_node
from lib.sandbox.postgres import SUPERUSER, Postgres, PostgresLogLine
from lib.sandbox.world import Credentials

FOLDER_PREFIX = "switchboard-sandbox-"
# PostgREST waits as long for more DDL before it reloads.
DEBOUNCE_SECONDS = 0.1
# How long a replaced Lite has to answer the requests that it has.
OLD_LITE_SECONDS = 2.0
LOCK_WAIT = "500ms"

_DESCRIPTION_SQL = """
select c.relname::text as "table", a.attname::text as "column", a.attnotnull as required,
       format_type(a.atttypid, null) as format, information_schema._pg_char_max_length(a.atttypid, a.atttypmod)
           as max_length,
       pg_get_expr(d.adbin, d.adrelid) as "default",
       exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey))
           as is_key
from pg_attribute a
join pg_class c on c.oid = a.attrelid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
  and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
_FUNCTIONS_SQL = """
select distinct p.proname::text as name from pg_proc p
where p.pronamespace = 'public'::regnamespace and p.prokind = 'f' and p.prorettype <> 'trigger'::regtype
order by 1
"""
# What else Lite reads of a schema: constraints (to embed), signatures (to call), and privileges.
_SHAPES_SQL = """
select format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) as shape from pg_constraint
where connamespace = 'public'::regnamespace
union all
select format('%s(%s) %s %s', proname, pg_get_function_arguments(oid), pg_get_function_result(oid), proacl) from pg_proc
where pronamespace = 'public'::regnamespace
union all
select format('%s %s %s', relname, relkind, relacl) from pg_class where relnamespace = 'public'::regnamespace
union all
select format('%s %s', nspname, nspacl) from pg_namespace where oid = 'public'::regnamespace
order by 1
"""
# Sessions that hold or wait for a lock on what a reset drops: a forgotten transaction must not stop it.
_END_LOCK_HOLDERS_SQL = """
select pg_terminate_backend(pid) from (
    select distinct l.pid from pg_locks l
    join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('public', 'twin', 'platform', 'supabase_migrations')
      and l.database = (select oid from pg_database where datname = current_database())
      and l.pid <> pg_backend_pid()
) holders
"""


@dataclass(frozen=True, slots=True)
class SchemaCache:
    """What the Data API knew of the schema `public` when it last loaded it."""

    columns: tuple[dict[str, Any], ...]
    functions: tuple[str, ...]
    shapes: tuple[str, ...]

    @property
    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """The columns of each table and view."""
        tables: dict[str, list[dict[str, Any]]] = {}
        for column in self.columns:
            tables.setdefault(column["table"], []).append(column)
        return tables


class Infrastructure:
    """PostgreSQL and Lite, started and stopped together, with a schema that can be reset at any time."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._node = find_node()
        _remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        self.postgres = Postgres(self.folder)
        self._lite: Lite | None = None
        self.schema_cache = SchemaCache((), (), ())
        # The Lite before this one, with the schema that it knows: many a change of the schema is soon taken back.
        self._spare: tuple[SchemaCache, Lite] | None = None
        self._reloads: list[Future[None]] = []
        self._reload_now = False
        self._loading = False
        self._changing = False
        self._reset_at = datetime.now(UTC)
        self._something_to_do = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def dsn(self) -> str:
        """Opens the database as `postgres`, who owns it and is no superuser."""
        return self.postgres.dsn()

    @property
    def lite_url(self) -> str:
        """Where the Data API answers now; it moves when a changed schema is loaded."""
        assert self._lite is not None  # noqa: S101
        return self._lite.url

    def start(self) -> None:
        """Start PostgreSQL. `reset` then makes the schemas and `reload_schema_cache` starts the Data API.

        Raises `SandboxError`.
        """
        self.postgres.start()
        self._in_background(self._reload_when_asked)
        self._in_background(self._listen)

    def stop(self) -> None:
        """Stop both and remove their folder."""
        with self._something_to_do:
            self._stopping.set()
            self._something_to_do.notify_all()
        for thread in self._threads:
            thread.join()
        for lite in (self._lite, self._spare and self._spare[1]):
            if lite:
                lite.stop()
        self.postgres.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def reset(self) -> None:
        """Put the schemas back to production's, without rows. The caller reloads the schema cache."""
        here = Path(__file__).parent
        scripts = [here / "production.sql", here / "twin.sql"]
        statements = "\n".join(script.read_text(encoding="utf-8") for script in scripts)
        while True:
            try:
                with psycopg.connect(self.dsn) as connection:
                    connection.execute(f"set local lock_timeout = '{LOCK_WAIT}'")
                    connection.execute("set local client_min_messages = 'warning'")
                    connection.execute(statements)
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                with psycopg.connect(self.postgres.dsn(SUPERUSER), autocommit=True) as superuser:
                    superuser.execute(_END_LOCK_HOLDERS_SQL)
            else:
                self._reset_at = datetime.now(UTC)
                return

    @contextmanager
    def changing_the_schema(self) -> Iterator[None]:
        """Put reloads off while the schema is changed in several steps: each would start the Data API again.

        A reload that is under way is waited for: a Lite that starts during a reset would know half of a schema. It may
        itself wait for a lock that only the reset ends, so it is not waited for long.
        """
        with self._something_to_do:
            self._changing = True
            self._something_to_do.wait_for(lambda: not self._loading, timeout=OLD_LITE_SECONDS)
        try:
            yield
        finally:
            with self._something_to_do:
                self._changing = False
                self._something_to_do.notify_all()

    def reload_schema_cache(self) -> None:
        """Make the Data API read the schema again and return when it has. There is no more DDL to wait for."""
        self._ask_for_reload(now=True).result()

    def log_lines(self, start: datetime, end: datetime) -> list[PostgresLogLine]:
        """Return PostgreSQL's own log lines of `[start, end)`, of the time since the last reset."""
        return list(self.postgres.log_lines(max(start, self._reset_at), end))

    def _in_background(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, name=f"sandbox {work.__name__}", daemon=True)
        thread.start()
        self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]

    def _ask_for_reload(self, *, now: bool = False) -> Future[None]:
        done: Future[None] = Future()
        with self._something_to_do:
            self._reloads.append(done)
            self._reload_now |= now
            self._something_to_do.notify_all()
        return done

    def _load(self) -> None:
        """Let requests go to a Lite that knows the schema: the one that serves, the spare one, or a new one."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            columns = tuple(connection.execute(_DESCRIPTION_SQL).fetchall())
            functions = tuple(row["name"] for row in connection.execute(_FUNCTIONS_SQL))
            shapes = tuple(row["shape"] for row in connection.execute(_SHAPES_SQL))
        schema = SchemaCache(columns, functions, shapes)
        names = {table: [one["column"] for one in described] for table, described in schema.tables.items()}
        if self._lite is not None and schema == self.schema_cache and self._lite.serves(names):
            return
        spare, self._spare = self._spare, None
        if spare is not None and not (spare[0] == schema and spare[1].serves(names)):
            self._in_background(self._retire, spare[1])
            spare = None
        a_table = next(iter(names), "none")
        new = (
            spare[1]
            if spare
            else Lite(self.folder, self._node, self.postgres.dsn("authenticator"), self._credentials, a_table)
        )
        if self._lite is not None:
            self._spare = self.schema_cache, self._lite
        self._lite, self.schema_cache = new, schema

    def _retire(self, lite: Lite) -> None:
        """Stop a Lite that gets no more requests, once it has had the time to answer those it has."""
        self._stopping.wait(OLD_LITE_SECONDS)
        lite.stop()

    def _reload_when_asked(self) -> None:
        while True:
            asked = self._next_reloads()
            try:
                if not self._stopping.is_set():
                    self._load()
            except Exception as error:  # noqa: BLE001 - whoever asked must hear of it, and the thread go on
                for done in asked:
                    done.set_exception(error)
            else:
                for done in asked:
                    done.set_result(None)
            finally:
                with self._something_to_do:
                    self._loading = False
                    self._something_to_do.notify_all()
            if self._stopping.is_set():
                return

    def _next_reloads(self) -> list[Future[None]]:
        """Wait until a reload is due, or until the end; return those who wait for it."""
        with self._something_to_do:
            while not self._stopping.is_set():
                self._something_to_do.wait_for(
                    lambda: (self._reloads and not self._changing) or self._stopping.is_set()
                )
                self._something_to_do.wait_for(
                    lambda: self._reload_now or self._stopping.is_set(), timeout=DEBOUNCE_SECONDS
                )
                if not self._changing:
                    break
            asked, self._reloads, self._reload_now, self._loading = self._reloads, [], False, True
            return asked

    def _listen(self) -> None:
        """Reload on `NOTIFY pgrst`, as the hosted Data API does, and when Lite has died."""
        while not self._stopping.is_set():
            # The listening session may be ended like any other; then listen again.
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(self.dsn, autocommit=True) as connection,
            ):
                connection.execute("listen pgrst")
                while not self._stopping.is_set():
                    notified = any(connection.notifies(timeout=0.2, stop_after=1))
                    if notified or (self._lite is not None and not self._lite.running):
                        self._ask_for_reload()


def _remove_leftovers() -> None:
    """Remove the folders of sandboxes whose process was killed before it could."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        pid = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if pid.isdigit() and folder.stat().st_uid == os.geteuid() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
