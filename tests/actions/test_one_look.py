"""A preview looks at its target once: what it shows is of one moment, and a dialog is there at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lib.actions.action_registry import open_executor
from lib.actions.executor import Executor, Order
from lib.journal.request import RequestState
from lib.model.window import WindowSize
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources.catalog import DirectCatalogClient
from lib.sources.source_registry import connect
from tests.actions.conftest import OPERATOR

pytestmark = pytest.mark.sandbox

MIGRATION = {"name": "pending_bookings_metadata"}


class Asked(Counter[str]):
    """Counts the connections to the database and the requests to the other systems."""

    @property
    def connections(self) -> int:
        return self["connection"]

    def requests(self) -> dict[str, int]:
        return {question: times for question, times in self.items() if question != "connection"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the actions ask from now on; the sandbox's own connections, in this process as well, do not count."""
    counted = Asked()
    connecting, sending = DirectCatalogClient.connect, requests.Session.request

    def connect_to(self: DirectCatalogClient, *given: Any) -> Any:
        counted["connection"] += 1
        return connecting(self, *given)

    def request(self: requests.Session, method: str, url: str, **more: Any) -> requests.Response:
        counted[f"{method} {url} {more.get('json') or ''}"] += 1
        return sending(self, method, url, **more)

    monkeypatch.setattr(DirectCatalogClient, "connect", connect_to)
    monkeypatch.setattr(requests.Session, "request", request)
    return counted


@pytest.fixture
def executor(play: Callable[[str], dict[str, str]], tmp_path: Path) -> Iterator[Executor]:
    """An executor on `missing-column`, whose snapshot has been read already, as that of a page has."""
    values = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    settings = load(values, secrets_file=Path("/nonexistent/secrets.toml"))
    sources = connect(settings, utc_now)
    snapshot = take(sources, WindowSize.DAY)
    made = open_executor(settings, sources, lambda: snapshot, utc_now)
    yield made
    made.journal.close()


def test_the_preview_of_a_migration_opens_one_connection_and_sends_no_request(executor: Executor, asked: Asked) -> None:
    preview = executor.preview("run_migration", MIGRATION)
    assert not preview.blocked
    assert (asked.connections, asked.requests()) == (1, {})


def test_a_migration_from_the_dialog_to_its_receipt_opens_seven_connections(executor: Executor, asked: Asked) -> None:
    """One each for: the dialog, what was confirmed, the check under the lock, before, the script, after, verified."""
    preview = executor.preview("run_migration", MIGRATION)
    order = Order("run_migration", MIGRATION, preview.digest, "pending_bookings", "the column is gone")
    done = executor.carry_out(executor.submit(order, OPERATOR).id, OPERATOR)
    assert done.state is RequestState.SUCCEEDED, done.message
    assert asked.connections == 7


@pytest.mark.parametrize("action", ["redeploy", "redeploy_newest", "test_booking", "force_deploy"])
def test_no_preview_asks_the_same_thing_twice(executor: Executor, asked: Asked, action: str) -> None:
    executor.preview(action, {})
    again = {question: times for question, times in asked.requests().items() if times > 1}
    assert again == {} and asked.connections == 0
