"""Actions that try something, on real systems: what they say is so, and what they leave behind is what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.actions.executor import Executor, Order
from lib.actions.registry import open_executor
from lib.journal.request import Request, RequestState
from lib.model.window import WindowSize
from lib.sandbox.serve import Running
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources.connected import connect
from tests.actions.conftest import OPERATOR

pytestmark = pytest.mark.sandbox


@pytest.fixture
def desk(play: Callable[[str], dict[str, str]], tmp_path: Path) -> Iterator[Executor]:
    """An executor on `missing-column`, with a journal of its own."""
    values = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    settings = load(values, secrets_file=Path("/nonexistent/secrets.toml"))
    sources = connect(settings, utc_now)
    executor = open_executor(settings, sources, lambda: take(sources, WindowSize.DAY), utc_now)
    yield executor
    executor.journal.close()


def done(desk: Executor, action: str, **args: str) -> Request:
    preview = desk.preview(action, args)
    assert not preview.blocked and preview.phrase is None, preview.preflight
    return desk.carry_out(desk.submit(Order(action, args, preview.digest), OPERATOR).id, OPERATOR)


def test_a_migration_that_is_tried_works_and_leaves_nothing(desk: Executor, sandbox: Running) -> None:
    preview = desk.preview("rehearse_migration", {"name": "pending_bookings_metadata"})
    assert "rollback" in preview.calls[0].lower()
    request = done(desk, "rehearse_migration", name="pending_bookings_metadata")
    assert request.state is RequestState.SUCCEEDED
    assert "It works. It was rolled back. Nothing was changed." in request.words
    with sandbox.world.connection() as connection:
        found = connection.execute(
            "select from information_schema.columns where table_name = 'pending_bookings' and column_name = 'metadata'"
        )
        assert found.fetchall() == []


def test_a_number_that_is_nobodys_tests_the_call_and_promises_nothing_of_delivery(
    desk: Executor, sandbox: Running
) -> None:
    request = done(desk, "test_validation")
    assert request.state is RequestState.SUCCEEDED
    assert "Delivery was not tried" in request.words
    with sandbox.world.connection() as connection:
        made = connection.execute("select from public.pending_bookings where mobile_number = '+447700900000'")
        assert len(made.fetchall()) == 1
