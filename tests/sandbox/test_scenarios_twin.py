"""Each scenario is a healthy past and one cause: what the systems' tables say about it, before anybody looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lib.sandbox.history import HistoryBuilder
from lib.sandbox.releases import FIX
from lib.sandbox.scenarios import DEFAULT, HIT, SCENARIOS
from lib.sandbox.serve import Running
from lib.sandbox.world import World

pytestmark = pytest.mark.sandbox

WITH_FIX_LIVE = {
    "migration-not-applied",
    "literal-not-allowed",
    "misfit-elsewhere",
    "code-unreadable",
    "missing-column",
    "sent-not-recorded",
    "healthy",
    "quiet-day",
    "provider-rejecting",
    "undelivered",
    "twilio-unconfigured",
    "env-missing",
    "link-to-login",
    "api-500",
    "api-key-revoked",
    "rls-blind",
    "receipts-stale",
    "jobs-stuck",
}
DAY = "created_at > now() - interval '24 hours'"


# The served commit and all before it.
SERVED_LINE = """
with recursive line as (
    select c.* from twin.aliases a join twin.deployments d on d.id = a.deployment_id join twin.commits c using (sha)
    where a.host = 'booking.lantern-arms.example'
    union all
    select parent.* from twin.commits parent join line on parent.sha = line.parent
)
"""
# What else distinguishes the scenario from a healthy one: true in it.
EVIDENCE = {
    "build-failing": "select count(*) = 3 from twin.deployments where error_message like '%Type error%'",
    "not-promoted": "select not auto_assign_domains from twin.project",
    "wrong-branch": f"select target is null from twin.deployments where sha = '{FIX}'",
    "git-disconnected": f"select count(*) = 0 from twin.deployments where sha = '{FIX}'",
    "provider-rejecting": "select count(*) = 6 from twin.alerts where error_code = '21606'",
    "undelivered": "select count(*) >= 4 from twin.texts where error_code = 30007",
    "twilio-unconfigured": (
        "select not d.env ? 'TWILIO_AUTH_TOKEN' from twin.aliases a join twin.deployments d on d.id = a.deployment_id"
    ),
    "env-missing": (
        "select not d.env ? 'TWILIO_PHONE_NUMBER' and e.updated_at > d.created_at from twin.aliases a"
        " join twin.deployments d on d.id = a.deployment_id, twin.env e where e.key = 'TWILIO_PHONE_NUMBER'"
    ),
    "api-500": "select count(*) = 6 from public.api_usage where status_code = 500",
    "api-key-revoked": "select not is_active from public.api_keys",
    "receipts-stale": "select count(*) = 12 from public.webhook_logs where status = 'signature_failed'",
    "jobs-stuck": "select count(*) > 3 from public.background_jobs where status = 'pending'",
    "older-build-took-domain": (
        f"select l.created_at < f.created_at and l.done_at > f.done_at from twin.aliases a"
        f" join twin.deployments l on l.id = a.deployment_id, twin.deployments f where f.sha = '{FIX}'"
    ),
    "link-to-login": (
        "select count(*) = 0 from public.bookings b, twin.deployments d join twin.aliases a"
        " on a.deployment_id = d.id where b.created_at > d.done_at + interval '30 minutes'"
    ),
}


@pytest.fixture
def stage(sandbox: Running) -> Callable[[str], None]:
    """Put the tables into a scenario. The Data API does not reload: these tests read the tables only."""

    def apply(name: str) -> None:
        sandbox.infrastructure.reset()
        SCENARIOS[name].apply(sandbox.world)

    return apply


@pytest.fixture
def ask(sandbox: Running) -> Callable[[str], Any]:
    """Ask for one value."""

    def answer(sql: str) -> Any:
        with sandbox.world.connection() as connection:
            row = connection.execute(sql.encode()).fetchone()
            assert row is not None
            return next(iter(row.values()))

    return answer


def test_every_scenario_has_a_title_and_a_story() -> None:
    assert DEFAULT == "code-not-deployed"
    assert all(scenario.title and scenario.story and name == scenario.name for name, scenario in SCENARIOS.items())


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_the_past_is_healthy_the_fix_is_where_the_story_says_and_the_cause_shows(stage, ask, name: str) -> None:
    stage(name)
    assert ask(f"select count(*) from twin.commits where sha = '{FIX}'") == 1
    live = ask(f"{SERVED_LINE} select count(*) from line where sha = '{FIX}'")
    assert bool(live) is (name in WITH_FIX_LIVE)

    past = "created_at < now() - interval '3 days'"
    initiated = ask(f"select count(*) from public.pending_bookings where {past}")
    least, most = (25, 30) if name == "quiet-day" else (180, 300)
    assert least < initiated < most
    assert ask(f"select count(*) from twin.texts where {past} and final_status = 'delivered'") == initiated
    assert ask(f"select count(*) from public.api_usage where status_code <> 201 and {past}") == 0

    assert ask(EVIDENCE.get(name, "select true")) is True


def test_in_the_default_exactly_ten_bookings_have_no_stored_text(stage, ask) -> None:
    stage(DEFAULT)
    assert ask(f"select count(*) from public.pending_bookings where {DAY}") == 10
    assert ask(f"select count(*) from public.pending_bookings where {DAY} and metadata is not null") == 0
    assert ask(f"select count(*) from public.messages where {DAY}") == 0
    assert ask(f"select count(*) from twin.texts where {DAY} and final_status = 'delivered'") == 10
    null = "select is_nullable from information_schema.columns where table_schema = 'public'"
    assert ask(f"{null} and table_name = 'messages' and column_name = 'customer_id'") == "NO"
    newest = "select error_message from twin.deployments where target = 'production' order by created_at desc limit 1"
    assert ask(newest)
    lost = "select count(*) from platform.log where log_attributes->>'parsed.sql_state_code' = '23502'"
    assert ask(lost) == 10


def test_in_missing_column_the_column_is_gone_and_the_texts_went_out(stage, ask) -> None:
    stage("missing-column")
    column = "select count(*) from information_schema.columns where table_name = 'pending_bookings'"
    assert ask(f"{column} and column_name = 'metadata'") == 0
    assert ask(f"select count(*) from twin.texts where {DAY}") == 10
    newest = "select name from supabase_migrations.schema_migrations order by version desc limit 1"
    assert ask(newest) == "drop_unused_columns"


def test_in_sent_not_recorded_columns_are_right_and_only_the_right_to_write_is_gone(stage, ask) -> None:
    stage("sent-not-recorded")
    may = "select has_column_privilege('service_role', 'public.pending_bookings', '{}', 'UPDATE')"
    assert ask(may.format("metadata")) is False
    assert ask(may.format("confirmed_at")) is True
    assert ask(f"select count(*) from public.pending_bookings where {DAY} and metadata is null") == 6


def test_on_a_healthy_day_every_text_is_stored_and_received(stage, ask) -> None:
    stage("healthy")
    assert ask(f"select count(*) from public.pending_bookings where {DAY} and metadata is null") == 0
    assert ask("select count(*) from public.webhook_logs where status not in ('received', 'success')") == 0
    assert ask("select count(*) from twin.alerts") == 0
    assert ask("select count(*) from public.background_jobs where status <> 'completed'") == 0


def test_on_a_quiet_day_nobody_called_and_nobody_will(stage, ask) -> None:
    stage("quiet-day")
    assert ask(f"select count(*) from public.api_usage where {DAY}") == 0
    assert ask("select count(*) from public.pending_bookings") == 29
    assert SCENARIOS["quiet-day"].pace == 0


def test_the_newest_bookings_fare_the_same_at_every_hour_of_the_day(
    sandbox: Running, ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = """select string_agg(fate, ' ' order by created_at) from (
        select p.created_at, concat(l.click_count, p.confirmed_at is not null) as fate from public.pending_bookings p
        join public.short_links l on right(l.destination_url, 36) = p.token::text
        order by p.created_at desc limit 10) as newest"""
    fates = set()
    for hours in range(0, 24, 3):
        sandbox.infrastructure.reset()
        monkeypatch.setattr(World, "now", lambda _, ahead=timedelta(hours=hours): datetime.now(UTC) + ahead)
        SCENARIOS["healthy"].apply(sandbox.world)
        fates.add(ask(newest))
    assert len(fates) == 1
    (fate,) = fates
    assert fate.count("1") > fate.count("1t") > 0, "some opened and did not confirm, and some did"


@pytest.fixture
def crowd(sandbox: Running) -> Callable[[str], datetime]:
    """A function that sets up a scenario in which thirty people asked within five minutes before the break.

    It returns when the break was.
    """

    def set_up(name: str) -> datetime:
        sandbox.infrastructure.reset()
        with sandbox.world.connection() as connection, connection.transaction():
            stage = HistoryBuilder(connection, sandbox.world)
            newest = stage.moments[-HIT]
            stage.moments = sorted([*stage.moments, *(newest - timedelta(seconds=10 * n) for n in range(1, 31))])
            SCENARIOS[name].plot(stage)
            return stage.just_before_newest(HIT)

    return set_up


def test_who_asked_shortly_before_the_login_came_met_it_too(crowd: Callable[[str], datetime], ask) -> None:
    since = crowd("link-to-login")
    pending = "select count(*) from public.pending_bookings where"
    assert ask(f"{pending} created_at between '{since}'::timestamptz - interval '6 minutes' and '{since}'") >= 30
    assert ask(f"{pending} confirmed_at > '{since}'") == 0


def test_no_job_is_done_after_the_scheduler_stopped(crowd: Callable[[str], datetime], ask) -> None:
    since = crowd("jobs-stuck")
    jobs = "select count(*) from public.background_jobs where status"
    assert ask(f"{jobs} = 'completed' and created_at > '{since}'") == 0
    assert ask(f"{jobs} = 'pending' and created_at > '{since}'") > 10


def test_the_blind_dashboard_has_the_publishable_key_and_no_other_way_in(sandbox: Running, play) -> None:
    settings = play("rls-blind")
    assert settings["SUPABASE_SECRET_KEY"] == sandbox.world.credentials.supabase_publishable_key
    assert not settings.get("DATABASE_URL")
    assert not settings.get("SUPABASE_ACCESS_TOKEN")
