"""Actions that try something, on real systems: what they say is so, and what they leave behind is what they said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from lib.actions.action import Effect
from lib.actions.action_registry import open_executor
from lib.actions.executor import Executor, Order
from lib.actions.preview_store import PreviewStore
from lib.affected import Affected, PersonState, affected, follow_ups_of
from lib.diagnosis.facts import Facts, Terms
from lib.journal.request import Request, RequestState
from lib.model.window import WindowSize
from lib.sandbox.releases import FIX
from lib.sandbox.serve import Running
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources.http import Deadline
from lib.sources.source_registry import connect
from tests.actions.conftest import OPERATOR
from tests.sandbox.twins import build_quickly
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


@pytest.fixture
def context(play: Callable[[str], dict[str, str]], tmp_path: Path) -> Iterator[Executor]:
    """An executor on `missing-column`, with a journal of its own."""
    values = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    settings = load(values, secrets_file=Path("/nonexistent/secrets.toml"))
    sources = connect(settings, utc_now)
    executor = open_executor(settings, sources, lambda: take(sources, WindowSize.DAY), utc_now)
    yield executor
    executor.journal.close()


def done(context: Executor, action: str, **args: str) -> Request:
    preview = context.preview(action, args)
    assert not preview.blocked and preview.phrase is None, preview.preflight
    return context.carry_out(context.submit(Order(action, args, preview.digest), OPERATOR).id, OPERATOR)


def test_a_migration_that_is_tried_works_and_leaves_nothing(context: Executor, sandbox: Running) -> None:
    preview = context.preview("rehearse_migration", {"name": "pending_bookings_metadata"})
    assert "rollback" in preview.calls[0].lower()
    request = done(context, "rehearse_migration", name="pending_bookings_metadata")
    assert request.state is RequestState.SUCCEEDED
    assert "It works. It was rolled back. Nothing was changed." in request.message
    with sandbox.world.connection() as connection:
        found = connection.execute(
            "select from information_schema.columns where table_name = 'pending_bookings' and column_name = 'metadata'"
        )
        assert found.fetchall() == []


def test_a_number_that_is_nobodys_tests_the_call_and_promises_nothing_of_delivery(
    context: Executor, sandbox: Running
) -> None:
    request = done(context, "test_validation")
    assert request.state is RequestState.SUCCEEDED
    assert "Delivery was not tested" in request.message
    with sandbox.world.connection() as connection:
        made = connection.execute("select from public.pending_bookings where mobile_number = '+447700900000'")
        assert len(made.fetchall()) == 1


def test_the_newest_commit_that_was_previewed_is_built_whatever_branch_is_live(
    context: Executor, sandbox: Running
) -> None:
    """Somebody has put a branch of their own into production: its newest commit is not the one that was shown."""
    build_quickly(sandbox)
    with sandbox.world.connection() as connection:
        connection.execute("insert into twin.branches (name, sha) select 'hotfix', sha from twin.commits limit 1")
        connection.execute("update twin.deployments set branch = 'hotfix'")
    head = context.context.sources.github.branch(None, Deadline(10)).value.head
    preview = context.preview("redeploy_newest", {})
    assert any(head.sha in call and "main" in call for call in preview.calls)
    request = done(context, "redeploy_newest")
    assert request.state is RequestState.SUCCEEDED, request.message
    hosts = context.context.sources.vercel.hostnames(Deadline(10)).value
    assert {host.serving_commit for host in hosts if host.redirect_to is None} == {head.sha}


def test_where_the_preview_is_not_kept_todays_newest_commit_is_not_held_against_what_was_built(
    context: Executor, sandbox: Running
) -> None:
    build_quickly(sandbox)
    action = context.actions["redeploy_newest"]
    preview = context.preview(action.id, {})
    request = context.submit(Order(action.id, {}, preview.digest), OPERATOR)
    assert context.journal.lock(request.id, "vercel:booking", OPERATOR).granted
    assert context.journal.start(request.id, OPERATOR, timedelta(0)).granted
    action.run(context.context, preview.target, {}, str(request.id), lambda message: None)
    with sandbox.world.connection() as connection:
        older = "select sha from twin.commits order by position limit 1"
        connection.execute(f"update twin.branches set sha = ({older}) where name = 'main'")
    context.previews = PreviewStore()
    wait_until(lambda: context.recheck(request.id, OPERATOR).state is not RequestState.UNKNOWN)
    assert context.journal.request(request.id).state is RequestState.SUCCEEDED


@pytest.mark.parametrize(
    ("action", "args"), [("redeploy_newest", {}), ("deploy_commit", {"sha": FIX}), ("redeploy", {})]
)
def test_a_build_of_another_commit_than_was_confirmed_is_not_called_a_success(
    context: Executor, sandbox: Running, action: str, args: dict[str, str]
) -> None:
    build = context.actions[action]
    target = build.resolve(context.context, args)
    with sandbox.world.connection() as connection:
        (other,) = connection.execute(
            "select d.id from twin.deployments d where target = 'production' and promoted_at is not null "
            "order by created_at limit 1"
        ).fetchall()
    seen = build.verify(context.context, target, args, Effect("Vercel accepted it.", "", "", other["id"]))
    assert seen.agreed is False
    assert "was confirmed" in seen.message


def test_all_who_got_no_text_are_sent_a_link_at_once_as_soon_as_a_test_booking_went_through(
    play: Callable[[str], dict[str, str]], control: httpx.Client, tmp_path: Path
) -> None:
    values = play("provider-rejecting") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    settings = load(values, secrets_file=Path("/nonexistent/secrets.toml"))
    sources = connect(settings, utc_now)
    executor = open_executor(settings, sources, lambda: take(sources, WindowSize.DAY), utc_now)

    def people() -> Affected:
        facts = Facts(take(sources, WindowSize.DAY), utc_now(), Terms.of(settings))
        return affected(facts, follow_ups_of(executor.journal, utc_now() - timedelta(days=1)))

    waiting = people().to_do
    assert len(waiting) >= 3
    chosen = [contact.first.booking_id for contact in waiting[:3]]
    args = {"bookings": ",".join(chosen)}
    for blocked in (executor.preview("resend_links", args), executor.preview("resend_link", {"booking": chosen[0]})):
        assert any(check.id == "flow" and "Twilio refuses our texts" in check.message for check in blocked.preflight)
        assert blocked.blocked

    control.post("/manual-fix", json={}).raise_for_status()
    tried = done(executor, "test_booking")
    assert tried.state is RequestState.SUCCEEDED, tried.message
    preview = executor.preview("resend_links", args)
    assert not preview.blocked, preview.preflight
    order = Order("resend_links", args, preview.digest, phrase="3 people", reason="they got no text")
    request = executor.submit(order, OPERATOR)
    assert executor.submit(order, OPERATOR).id == request.id, "a second click is the same order"
    request = executor.carry_out(request.id, OPERATOR)
    assert request.state is RequestState.SUCCEEDED, request.message
    assert "3 of 3 were sent a new link. Delivered: 3 of 3" in request.message
    after = people()
    assert len(after.to_do) == len(waiting) - 3
    assert {contact.state for contact in after.contacts if set(chosen) & set(contact.booking_ids)} == {
        PersonState.RE_SENT
    }
    assert executor.preview("resend_links", args).blocked, "each of them was texted a moment ago"
    executor.journal.close()
