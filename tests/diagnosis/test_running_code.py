"""Which commit production serves, since when it holds the fix, and the schema contract."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lib.diagnosis.contract import Break, Code, breaches, load
from lib.diagnosis.facts import Facts
from lib.diagnosis.running_code import running_code
from lib.diagnosis.serving import CommitPosition, serving
from lib.diagnosis.timeline import MarkKind
from lib.model.database import AppliedMigration, CheckConstraint
from lib.model.deployments import AliasRequest, Branch, Comparison, RequiredCommit, RequiredFrom, VercelEvent
from lib.model.reading import Failure, FailureKind
from tests.diagnosis.builders import (
    COMMITS,
    FIX,
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    NOW,
    OLD_BUILD,
    PROJECT,
    ago,
    catalog,
    commit,
    deployment,
    hostname,
    snapshot,
)

BRANCH = Branch("main", COMMITS, protected=False, complete=True)
ELSEWHERE = "d" * 40


def required(sha: str = HEAD) -> RequiredCommit:
    return RequiredCommit(sha, RequiredFrom.BRANCH_HEAD, None, on_branch=True)


# Serving -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "wanted", "position", "behind_by"),
    [
        (HEAD_BUILD, HEAD, CommitPosition.SAME, 0),
        (HEAD_BUILD, FIX, CommitPosition.NEWER, 0),
        (OLD_BUILD, HEAD, CommitPosition.BEHIND, 2),
        (OLD_BUILD, FIX[:7], CommitPosition.BEHIND, 1),
        (deployment("cli", None, ago(days=1)), HEAD, CommitPosition.UNKNOWN, None),
        (deployment("other", ELSEWHERE, ago(days=1)), HEAD, CommitPosition.UNKNOWN, None),
        (None, HEAD, CommitPosition.UNKNOWN, None),
    ],
)
def test_a_hostname_stands_where_its_commit_stands_on_the_branch(
    live: Any, wanted: str, position: CommitPosition, behind_by: int | None
) -> None:
    (served,) = serving([hostname(live)], required(wanted), BRANCH)
    assert (served.position, served.behind_by) == (position, behind_by)
    assert bool(served.why_unknown) is (position is CommitPosition.UNKNOWN)


@pytest.mark.parametrize(
    ("status", "position"),
    [
        ("ahead", CommitPosition.BEHIND),
        ("behind", CommitPosition.NEWER),
        ("identical", CommitPosition.SAME),
        ("diverged", CommitPosition.ELSEWHERE),
    ],
)
def test_commits_that_the_branch_does_not_explain_are_compared(status: str, position: CommitPosition) -> None:
    live = hostname(deployment("other", ELSEWHERE, ago(days=1)))
    (served,) = serving([live], required(), BRANCH, [Comparison(ELSEWHERE, HEAD, status, 3, 0)])
    assert served.position is position


def test_a_hostname_that_redirects_serves_nothing_of_its_own() -> None:
    redirecting = hostname(None, "www.booking.example", redirect_to="booking.example")
    assert [s.hostname.name for s in serving([redirecting, hostname(HEAD_BUILD)], required(), BRANCH)] == [
        "booking.example"
    ]


def test_without_the_required_commit_nothing_is_behind() -> None:
    (served,) = serving([hostname(OLD_BUILD)], None, BRANCH)
    assert served.position.contains_required is None


# Running code ------------------------------------------------------------------------------------------------


def running(*builds: Any, branch: Branch | None = BRANCH, deployments: Any = (), rolled_back_at: Any = None) -> Any:
    hosts = [build if hasattr(build, "name") else hostname(build) for build in builds]
    servings = serving(hosts, required(), branch)
    return running_code(FIX[:7], servings, branch, deployments, rolled_back_at)


def test_the_fix_is_live_since_the_first_build_that_held_it() -> None:
    told = running(HEAD_BUILD, deployments=(HEAD_BUILD, FIX_BUILD, OLD_BUILD))
    assert (told.after_fix, told.since) == (True, FIX_BUILD.ready_at)


def test_without_the_list_of_builds_the_fix_is_live_since_the_hostname_moved() -> None:
    assert running(HEAD_BUILD).since == HEAD_BUILD.ready_at


def test_one_hostname_on_old_code_means_that_the_fix_is_not_live() -> None:
    assert running(HEAD_BUILD, hostname(OLD_BUILD, "two.example")).after_fix is False


@pytest.mark.parametrize("branch", [None, Branch("main", (commit(HEAD, ago(days=3), "e" * 40),), protected=False)])
def test_commits_that_were_not_read_say_nothing_of_the_fix(branch: Branch | None) -> None:
    assert running(HEAD_BUILD, branch=branch).after_fix is None


def test_the_fix_itself_needs_no_branch_to_be_recognised() -> None:
    told = running(FIX_BUILD, branch=None)
    assert (told.after_fix, told.since) == (True, None)


def test_a_rollback_interrupts_the_time_that_the_fix_was_live() -> None:
    rolled_back_at = ago(days=4)
    told = running(HEAD_BUILD, deployments=(HEAD_BUILD, FIX_BUILD, OLD_BUILD), rolled_back_at=rolled_back_at)
    assert told.since == HEAD_BUILD.ready_at


def test_a_build_that_was_promoted_by_hand_is_live_since_then_and_not_since_it_was_ready() -> None:
    promoted = hostname(HEAD_BUILD, alias_moved_at=ago(hours=1))
    told = running(promoted, deployments=(HEAD_BUILD, FIX_BUILD, OLD_BUILD))
    assert (told.after_fix, told.since) == (True, ago(hours=1))


def test_the_last_rollback_is_found_wherever_vercel_says_so() -> None:
    event = VercelEvent("instant-rollback-created", ago(hours=3), "sam")
    assert Facts(snapshot(vercel_events=(event,)), NOW).rolled_back_at == ago(hours=3)
    request = AliasRequest("rollback", "dpl_head", "dpl_old", "succeeded", ago(hours=2))
    project = dataclasses.replace(PROJECT, last_alias_request=request)
    assert Facts(snapshot(project=project), NOW).rolled_back_at == ago(hours=2)
    assert Facts(snapshot(), NOW).rolled_back_at is None


def test_marks_are_what_changed_within_the_window() -> None:
    fresh = deployment("dpl_new", HEAD, ago(hours=5))
    event = VercelEvent("instant-rollback-created", ago(hours=3), "sam")
    migrations = (AppliedMigration("20261118113000", "tidy_columns"), AppliedMigration("20261001090000", "long_ago"))
    facts = Facts(snapshot(deployments=(fresh, FIX_BUILD), vercel_events=(event,), migrations=migrations), NOW)
    assert [(mark.kind, mark.at) for mark in facts.marks] == [
        (MarkKind.DEPLOYMENT, fresh.ready_at),
        (MarkKind.MIGRATION, ago(hours=3, minutes=30)),
        (MarkKind.ROLLBACK, ago(hours=3)),
    ]


# Contract ----------------------------------------------------------------------------------------------------


def check_of(definition: str) -> CheckConstraint:
    return CheckConstraint("short_links", "kinds", definition, ("link_type",))


def broken(**given: Any) -> list[tuple[Break, str, Code]]:
    return [
        (b.kind, b.place, b.rule.code)
        for b in breaches(load(), catalog(*given.pop("without", ()), **given))
        if b.rule.code is not Code.DESK
    ]


NOT_NULL = (Break.NULL_REFUSED, "messages.customer_id", Code.BEFORE)


def test_the_database_as_it_is_refuses_only_what_the_old_code_writes() -> None:
    assert broken() == [NOT_NULL]
    assert broken(messages__customer_id=True) == []


def test_a_missing_column_is_a_breach_of_the_code_that_writes_it() -> None:
    found = broken(without=["pending_bookings.metadata"])
    assert (Break.MISSING_COLUMN, "pending_bookings.metadata", Code.AFTER) in found


def test_a_missing_table_is_one_breach_and_not_one_per_column() -> None:
    found = broken(without=["short_links"])
    assert [breach for breach in found if breach[1].startswith("short_links")] == [
        (Break.MISSING_TABLE, "short_links", Code.ANY)
    ]


@pytest.mark.parametrize(
    ("definition", "refused"),
    [
        ("CHECK ((link_type = ANY (ARRAY['custom'::text, 'promotion'::text])))", True),
        ("CHECK ((link_type = ANY (ARRAY['custom'::text, 'booking_confirmation'::text])))", False),
        ("CHECK (((link_type)::text = ANY ((ARRAY['custom'::character varying])::text[]))) NOT VALID", True),
        ("CHECK (((link_type)::text = 'custom'::text))", True),
        ("CHECK (((link_type = 'custom'::text) OR (link_type = 'booking_confirmation'::text)))", False),
        # What these allow cannot be read off a list, so they are not judged.
        ("CHECK ((NOT (link_type = ANY (ARRAY['spam'::text]))))", False),
        ("CHECK ((link_type <> 'spam'::text))", False),
        ("CHECK (((link_type = 'custom'::text) OR (length(link_type) > 5)))", False),
        ("CHECK ((length(link_type) > 3))", False),
    ],
)
def test_a_literal_is_refused_only_by_a_check_that_lists_what_it_allows(definition: str, refused: bool) -> None:
    kinds = [kind for kind, _, _ in broken(checks=(check_of(definition),), messages__customer_id=True)]
    assert kinds == ([Break.LITERAL_REFUSED] if refused else [])


def test_the_desks_own_queries_are_part_of_the_contract() -> None:
    assert {rule.table for rule in load().rules if rule.code is Code.DESK} >= {"pending_bookings", "webhook_logs"}


def test_a_host_that_cannot_be_resolved_is_unknown_and_not_fine() -> None:
    lost = hostname(None, failure=Failure(FailureKind.NOT_FOUND, "The alias is gone."))
    (served,) = serving([lost], required(), BRANCH)
    assert (served.position, served.why_unknown) == (CommitPosition.UNKNOWN, "The alias is gone.")
