"""What belongs to a misfit: the hop that it breaks, since when it is live, the migration that cures it, its address."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from lib.diagnosis import misfit_details
from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.facts import Facts
from lib.model.database import AppliedMigration
from lib.model.served_code import Misfit, Operation, Problem, Schema, ServedCode, Use
from lib.model.verdict import Hop
from lib.settings import Settings
from tests.diagnosis.builders import (
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    NOW,
    OLD,
    OLD_BUILD,
    ago,
    deployment,
    hostname,
    snapshot,
)
from tests.diagnosis.test_served_code import METADATA, MIGRATION, code, schema

INITIATE, CONFIRM, WEBHOOK = "/api/bookings/initiate", "/api/bookings/confirm", "/api/webhooks/twilio"
SQL = "alter table public.pending_bookings add column metadata jsonb;\n"


def facts(*codes: ServedCode, held_against: Schema | None = None, **changed: Any) -> Facts:
    values = {"served_code": codes, "live_schema": held_against or schema(METADATA)} | changed
    return diagnose(snapshot(**values), NOW).facts


def misfit(table: str | None, operation: Operation, hop: str | None) -> Misfit:
    use = Use("a.ts", 1, operation, table)
    on_flow = hop is not None
    return Misfit(use, Problem.MISSING_COLUMN, table, "x", 1, ("42703",), "", on_flow=on_flow, hop=hop)


@pytest.mark.parametrize(
    ("table", "operation", "address", "hop"),
    [
        ("pending_bookings", Operation.INSERT, INITIATE, Hop.ACCEPTED),
        ("pending_bookings", Operation.INSERT, f"POST {INITIATE}", Hop.ACCEPTED),
        ("pending_bookings", Operation.UPDATE, INITIATE, Hop.RECORDED),
        ("pending_bookings", Operation.SELECT, INITIATE, None),
        ("pending_bookings", Operation.UPDATE, CONFIRM, None),
        ("messages", Operation.INSERT, INITIATE, Hop.RECORDED),
        ("messages", Operation.SELECT, WEBHOOK, None),
        ("short_links", Operation.INSERT, INITIATE, Hop.LINK),
        ("bookings", Operation.INSERT, CONFIRM, Hop.CONFIRMED),
        ("customers", Operation.SELECT, INITIATE, None),
        ("messages", Operation.INSERT, None, None),
        (None, Operation.RPC, INITIATE, None),
    ],
)
def test_the_broken_hop_is_named_where_the_table_tells(
    table: str | None, operation: Operation, address: str | None, hop: Hop | None
):
    assert misfit_details.broken_hop(misfit(table, operation, address)) is hop


def test_a_misfit_has_the_lines_around_it_and_where_it_is_live():
    found = misfit_details.served(facts(code("on_pending")))
    written = next(one for one in found if one.misfit.use.operation is Operation.UPDATE)
    assert written.misfit.line in dict(written.lines) and len(written.lines) == 7
    assert "metadata" in dict(written.lines)[written.misfit.line]
    (live,) = written.live
    assert (live.hostname, live.deployment) == ("booking.example", HEAD_BUILD.id)
    assert live.since == hostname(HEAD_BUILD).serving_since


def test_code_that_is_not_served_is_live_nowhere():
    before = {"hostnames": (hostname(OLD_BUILD),)}
    given = facts(code("without_customer", OLD), code("on_pending", HEAD), **before)
    assert {one.misfit.commit for one in misfit_details.served(given)} == {OLD}
    coming = misfit_details.coming(given)
    assert coming and {one.misfit.commit for one in coming} == {HEAD}
    assert all(one.live == () for one in coming)


def test_building_the_same_commit_again_does_not_make_a_line_younger():
    again = deployment("dpl_again", HEAD, ago(minutes=20))
    host = hostname(again)
    assert misfit_details.live_since(host, (HEAD_BUILD, again)) == HEAD_BUILD.ready_at
    assert misfit_details.live_since(host, (again,)) == min(filter(None, (host.serving_since, again.ready_at)))


def test_another_commit_in_between_and_a_move_by_hand_are_a_break():
    again = deployment("dpl_again", HEAD, ago(minutes=20))
    between = deployment("dpl_between", OLD, ago(minutes=40))
    first = deployment("dpl_first", HEAD, ago(hours=3))
    assert misfit_details.live_since(hostname(again), (first, between, again)) == again.ready_at
    assert again.ready_at is not None
    moved = again.ready_at + timedelta(minutes=15)
    by_hand = dataclasses.replace(hostname(again), alias_moved_at=moved)
    assert misfit_details.live_since(by_hand, (first, again)) == moved


def test_the_migration_that_cures_is_named_with_its_state_and_the_commit_that_holds_it():
    (first, *_) = misfit_details.served(facts(code("on_pending", HEAD, {MIGRATION: SQL})))
    assert first.migration is not None and first.migration.version == "20251103101500"
    assert first.migration.state.value == "not_applied" and first.migration_commit == HEAD


def test_a_migration_that_only_newer_code_holds_is_found_there():
    served = code("on_pending", FIX_BUILD.sha or "")
    newer = code("on_pending", HEAD, {MIGRATION: SQL})
    (first, *_) = misfit_details.served(facts(served, newer, hostnames=(hostname(FIX_BUILD),)))
    assert first.migration is not None and first.migration_commit == HEAD
    assert first.misfit.commit == FIX_BUILD.sha


def test_without_such_a_file_no_migration_is_named():
    applied = (AppliedMigration("20251103101500", "pending_bookings_metadata"),)
    found = misfit_details.served(facts(code("on_pending", HEAD, {MIGRATION: "-- later\n"}), migrations=applied))
    assert found and all(one.migration is None for one in found)


def test_misfits_off_the_way_are_one_for_each_place():
    page = "src/app/staff/page.tsx"
    text = (
        "import { createClient } from '@supabase/supabase-js'\nconst supabase = createClient(a, b)\n"
        "export default async function Page() { await supabase.from('customers').select('loyalty') }\n"
    )
    given = facts(code("without_customer", OLD, {page: text}), code("on_pending", HEAD, {page: text}))
    (one,) = [one for one in misfit_details.elsewhere(given.code) if one.file == page]
    assert (one.table, one.column, one.on_flow) == ("customers", "loyalty", False)


GITHUB = Settings.model_validate({"github_repository": "lantern-arms/booking"})
ENTERPRISE = GITHUB.model_copy(update={"github_api_url": "https://git.example/api/v3"})
ODD = "src/app/[token]/a b#c?.ts"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (GITHUB, "https://github.com/lantern-arms/booking/blob/abc/src/app/%5Btoken%5D/a%20b%23c%3F.ts#L7"),
        (ENTERPRISE, "https://git.example/lantern-arms/booking/blob/abc/src/app/%5Btoken%5D/a%20b%23c%3F.ts#L7"),
        (GITHUB.model_copy(update={"github_api_url": "http://127.0.0.1:9/github"}), None),
        (GITHUB.model_copy(update={"sandbox_url": "http://127.0.0.1:9"}), None),
        (Settings(), None),
    ],
)
def test_a_line_has_an_address_at_its_commit(settings: Settings, address: str | None):
    assert misfit_details.code_link(settings, "abc", ODD, 7) == address
    assert misfit_details.code_link(settings, None, ODD, 7) is None
