"""The two ways in which a migration reaches the database: a direct connection, or the Management API.

They ask and write as the same user. A script is sent exactly once, whatever happens.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

import psycopg

from lib.model.database import CatalogAccess
from lib.model.reading import FailureKind, SourceError
from lib.redaction import redact
from lib.sources import parse
from lib.sources.catalog import (
    MANAGEMENT_API,
    CatalogSource,
    DirectCatalogClient,
    ManagementCatalogClient,
    Row,
    cut_off,
    refused,
)
from lib.sources.http import Deadline, HttpError, OutcomeUnknownError, understood

MAX_WORDS_LENGTH = 200

# The Management API's words for what Postgres answered: "Failed to run sql query: ERROR:  55P03: canceling …".
_FAILED = "Failed to run sql query"
_ERROR = re.compile(r"\bERROR:\s*(?P<state>[0-9A-Z]{5}):\s*(?P<words>.*)")


class SqlRefusedError(Exception):
    """Postgres answered with an error, so its transaction has changed nothing. `state` is its SQLSTATE."""

    def __init__(self, state: str, message: str) -> None:
        super().__init__(redact(message)[:MAX_WORDS_LENGTH].rstrip(". "))
        self.state = state


class MigrationExecutor(Protocol):
    """A way to ask the database, and to have it run a script, as the user who will change it."""

    @property
    def way(self) -> CatalogAccess: ...

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        """Return the answer to a question. Raises `SourceError`."""

    def run(self, script: str, deadline: Deadline) -> None:
        """Run a script of one transaction, once.

        Raises `SqlRefusedError` where Postgres refused, `OutcomeUnknownError` where the answer was lost, and any
        other `SourceError` where the script was never sent.
        """


@dataclass(frozen=True, slots=True)
class DirectMigrationExecutor:
    """A direct connection, or a pooler's in whichever mode: nothing here outlives a transaction."""

    client: DirectCatalogClient
    way: CatalogAccess = CatalogAccess.DIRECT

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        return replace(self.client, read_only=False).rows(sql, deadline)

    def run(self, script: str, deadline: Deadline) -> None:
        try:
            connection = self.client.connect(deadline)
        except psycopg.Error as error:
            raise refused(error) from None
        with closing(connection), cut_off(connection, deadline):
            try:
                # The script has its own BEGIN and COMMIT.
                connection.autocommit = True
                connection.execute(script.encode())
            except psycopg.Error as error:
                raise _told(error) from None


def _told(error: psycopg.Error) -> Exception:
    # FATAL and worse end the session: they may come after the commit as well as before it.
    if error.sqlstate and error.diag.severity_nonlocalized == "ERROR":
        return SqlRefusedError(error.sqlstate, error.diag.message_primary or "")
    return OutcomeUnknownError(
        FailureKind.UNAVAILABLE,
        "The connection to the database broke while it was at work. Whether it did what we asked is not known.",
        "Look at what is there before you do anything again.",
    )


@dataclass(frozen=True, slots=True)
class ManagementMigrationExecutor:
    """Supabase's Management API, which runs what it is given as `postgres`."""

    client: ManagementCatalogClient
    way: CatalogAccess = CatalogAccess.MANAGEMENT_API

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        answer = self.client.http.query_json(
            self._url, {"query": sql}, system=MANAGEMENT_API, headers=self.client.headers, deadline=deadline
        )
        return parse.rows(answer, MANAGEMENT_API)

    def run(self, script: str, deadline: Deadline) -> None:
        try:
            answer = self.client.http.send_json(
                "POST",
                self._url,
                {"query": script},
                system=MANAGEMENT_API,
                headers=self.client.headers,
                deadline=deadline,
                read_seconds=deadline.seconds,
            )
        except HttpError as error:
            if error.status != 400 or not (error.reason or "").startswith(_FAILED):
                raise
            told = _ERROR.search(error.reason or "")
            if told:
                raise SqlRefusedError(told["state"], told["words"]) from None
            raise OutcomeUnknownError(
                error.kind, f"{error} Whether it did what we asked is not known.", error.failure.hint, status=400
            ) from None
        # The rows are of no interest; that they are rows says that it was the Management API that answered.
        understood(MANAGEMENT_API, lambda: parse.rows(answer.json(MANAGEMENT_API), MANAGEMENT_API))

    @property
    def _url(self) -> str:
        return f"{self.client.project}/database/query"


def migration_executor(catalog: CatalogSource) -> MigrationExecutor:
    """Return the way in by which `catalog` is read, to write through it. Raises `SourceError(not_configured)`."""
    match catalog.client:
        case DirectCatalogClient() as direct:
            return DirectMigrationExecutor(direct)
        case ManagementCatalogClient() as management:
            return ManagementMigrationExecutor(management)
        case _:
            raise SourceError(
                FailureKind.NOT_CONFIGURED,
                "No connection can change the database.",
                "Set DATABASE_URL, or SUPABASE_ACCESS_TOKEN with the permission Database: Read-write.",
            )
