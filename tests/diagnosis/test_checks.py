"""Single checks at their edges: what they call good, what bad, and what they leave open."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lib.diagnosis.checks import ALL, BY_ID
from lib.diagnosis.facts import Facts
from lib.model import frames
from lib.model.database import AppliedMigration, KeyKind, Visibility
from lib.model.deployments import BuildLog, BuildLogLine, DeploymentState, LogLevel
from lib.model.provider import Balance, Landing, LinkOpening, TwilioAccount
from lib.model.reading import Caveat, CaveatKind, Failure, FailureKind
from lib.model.verdict import Check, CheckStatus
from tests.diagnosis.builders import (
    FIX_BUILD,
    HEAD_BUILD,
    MOMENTS,
    NOW,
    OLD_BUILD,
    PROJECT,
    ago,
    booking,
    call,
    catalog,
    deployment,
    hostname,
    link,
    never_sent,
    sid,
    snapshot,
    table,
    text,
    truncated,
)

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE
AWAY = Failure(FailureKind.TIMEOUT, "It did not answer.")
NUMBERED = list(enumerate(MOMENTS, start=1))
CONFIRMED = {"confirmed_at": ago(minutes=40), "booking_id": "made"}


def answer(id_: str, **changed: Any) -> Check:
    return BY_ID[id_](Facts(snapshot(**changed), NOW))


def opened(confirmed: str) -> dict[str, Any]:
    """Bookings whose links were opened, oldest first; "y" for each that was confirmed."""
    at = ago(hours=20)
    told = list(enumerate(confirmed, start=1))
    return bookings(
        *(booking(n, at + timedelta(minutes=n), **(CONFIRMED if done == "y" else {})) for n, done in told)
    ) | {"short_links": table(frames.SHORT_LINKS, (link(n, at) for n, _ in told))}


def keys(**fields: Any) -> dict[str, Any]:
    row = {"id": "k", "name": "Website", "can_write_bookings": True, "is_active": True, "last_used_at": MOMENTS[0]}
    return {"api_keys": table(frames.API_KEYS, [row | fields])}


def calls(*codes: int | None) -> dict[str, Any]:
    rows = (call(n, ago(hours=9) + timedelta(minutes=n), code) for n, code in enumerate(codes))
    return {"api_usage": table(frames.API_USAGE, rows)}


def bookings(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"pending_bookings": table(frames.PENDING_BOOKINGS, rows)}


def texts(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"texts": table(frames.TEXTS, reversed(rows))}


def delivered(*arrived: bool, **fields: Any) -> dict[str, Any]:
    """A text an hour and more ago per entry, oldest first."""
    at = ago(hours=20)
    return texts(
        *(
            text(
                n,
                at + timedelta(minutes=n),
                **({} if good else {"status": "undelivered", "error_code": "30003"}),
                **fields,
            )
            for n, good in enumerate(arrived)
        )
    )


def alerts(code: str, at: Any) -> dict[str, Any]:
    return {"alerts": table(frames.ALERTS, [{"sid": "NO1", "error_code": code, "level": "error", "created_at": at}])}


def builds(*states: DeploymentState, **fields: Any) -> dict[str, Any]:
    """Production builds, newest first."""
    rows = [
        deployment(f"dpl_{n}", f"{n}" * 40, ago(hours=n + 1), state=state, **fields) for n, state in enumerate(states)
    ]
    return {"deployments": tuple(rows)}


LATELY = ago(minutes=50)  # after the last text


def errors(
    *rows: tuple[str, str | None, int | None, str | None, str | None], at: datetime | None = None
) -> dict[str, Any]:
    names = ("origin", "sql_state", "status_code", "table_name", "column_name")
    return {
        "database_errors": table(
            frames.DATABASE_ERRORS, [dict(zip(names, row, strict=True)) | {"at": at or ago(hours=1)} for row in rows]
        )
    }


HALF_LOGS = {"database_errors": truncated("database_errors", table(frames.DATABASE_ERRORS))}
NULL = ("postgres_logs", "23502", None, "messages", "customer_id")
SEEN_BY_GATEWAY = ("edge_logs", None, 400, "messages", None)
READY, ERROR, CANCELED = DeploymentState.READY, DeploymentState.ERROR, DeploymentState.CANCELED
STAGED = deployment("dpl_staged", "e" * 40, ago(hours=2), substate="STAGED")
PINNED = {"project": dataclasses.replace(PROJECT, auto_assign_custom_domains=False)}

TABLE: list[tuple[str, CheckStatus, dict[str, Any]]] = [
    # Can I see?
    ("key_sees_all", OK, {}),
    ("key_sees_all", FAIL, {"visibility": Visibility(KeyKind.ANON_JWT, False, "ref", "ref")}),
    ("key_sees_all", FAIL, {"visibility": Visibility(KeyKind.SECRET, False, "ref", None)}),
    ("key_sees_all", OK, {"visibility": Visibility(KeyKind.SERVICE_ROLE_JWT, None, "ref", "ref")}),
    ("key_sees_all", CANNOT_TELL, {"visibility": AWAY}),
    ("project_matches", OK, {}),
    ("project_matches", FAIL, {"visibility": Visibility(KeyKind.SERVICE_ROLE_JWT, True, "one", "two")}),
    ("project_matches", CANNOT_TELL, {"visibility": Visibility(KeyKind.SECRET, True, None, None, {"messages": 0})}),
    ("empty_means_empty", OK, {}),
    (
        "empty_means_empty",
        FAIL,
        {"visibility": Visibility(KeyKind.ANON_JWT, False, "r", "r", {"pending_bookings": 4, "messages": 0})},
    ),
    (
        "empty_means_empty",
        CANNOT_TELL,
        {"visibility": Visibility(KeyKind.ANON_JWT, False, "r", "r", {"pending_bookings": 0, "messages": 0})},
    ),
    ("answers_complete", OK, {}),
    ("answers_complete", OK, {"app_health": Failure(FailureKind.NOT_CONFIGURED, "Not connected.")}),
    ("answers_complete", WARN, {"app_health": AWAY}),
    ("answers_complete", WARN, {"messages": truncated("messages", table(frames.MESSAGES))}),
    ("own_queries_fit", OK, {}),
    ("own_queries_fit", WARN, {"catalog": catalog("events.capacity")}),
    # Is anyone asking?
    ("api_answers", OK, {}),
    ("api_answers", NOT_APPLICABLE, calls()),
    ("api_answers", NOT_APPLICABLE, calls(None)),
    ("api_answers", FAIL, calls(500)),
    ("api_answers", FAIL, calls(201, 201, 500, 500, 500)),
    ("api_answers", WARN, calls(500, 500, 201)),
    ("api_answers", WARN, calls(400, 400, 201)),
    ("api_answers", OK, calls(400, 201)),
    ("api_key_active", OK, keys()),
    ("api_key_active", FAIL, keys(is_active=False)),
    ("api_key_active", FAIL, keys(is_active=None)),
    ("api_key_active", FAIL, keys(can_write_bookings=False) | {"api_usage": table(frames.API_USAGE)}),
    ("api_key_active", CANNOT_TELL, keys(can_write_bookings=False)),  # and calls are accepted all the same
    ("demand_seen", OK, {"api_usage": AWAY}),  # bookings are proof enough
    ("demand_seen", CANNOT_TELL, {"api_usage": AWAY, "pending_bookings": table(frames.PENDING_BOOKINGS)}),
    # Which code runs?
    ("serving_commit", OK, {}),
    ("serving_commit", FAIL, {"hostnames": (hostname(FIX_BUILD),)}),
    ("serving_commit", FAIL, {"hostnames": (hostname(HEAD_BUILD), hostname(FIX_BUILD, "two.example"))}),
    ("serving_commit", CANNOT_TELL, {"hostnames": (hostname(HEAD_BUILD), hostname(None, "two.example"))}),
    ("serving_commit", CANNOT_TELL, {"hostnames": truncated("hostnames", (hostname(HEAD_BUILD),))}),
    (
        "serving_commit",
        WARN,
        {
            "hostnames": (hostname(FIX_BUILD),),
            "deployments": (dataclasses.replace(HEAD_BUILD, state=DeploymentState.BUILDING),),
        },
    ),
    ("fix_live", OK, {}),
    ("fix_live", FAIL, {"hostnames": (hostname(OLD_BUILD),)}),
    ("fix_live", CANNOT_TELL, {"branch": AWAY}),
    ("builds_pass", OK, {}),
    ("builds_pass", FAIL, builds(ERROR, READY, error_message="Type error")),
    ("builds_pass", WARN, builds(ERROR, READY, error_message="npm error code ETIMEDOUT")),
    ("builds_pass", OK, builds(CANCELED, READY, ERROR)),
    ("builds_pass", FAIL, builds(DeploymentState.BUILDING, CANCELED, ERROR, READY)),
    ("builds_pass", NOT_APPLICABLE, builds(CANCELED)),
    ("builds_pass", NOT_APPLICABLE, builds()),
    ("nothing_waits", OK, {}),
    ("nothing_waits", WARN, PINNED),
    ("nothing_waits", FAIL, PINNED | {"deployments": (STAGED, HEAD_BUILD)}),
    ("nothing_waits", FAIL, {"deployments": (STAGED, HEAD_BUILD)}),
    ("nothing_waits", OK, {"deployments": (deployment("dpl_now", "e" * 40, ago(minutes=4)), HEAD_BUILD)}),
    ("nothing_waits", FAIL, {"hostnames": (hostname(HEAD_BUILD), hostname(FIX_BUILD, "two.example"))}),
    ("nothing_waits", CANNOT_TELL, {"hostnames": (hostname(None),)}),
    ("git_integration", OK, {}),
    ("git_integration", FAIL, {"project": dataclasses.replace(PROJECT, link=None)}),
    ("git_integration", CANNOT_TELL, {"repository": AWAY}),
    # Did Twilio accept?
    ("texts_follow", OK, {}),
    ("texts_follow", FAIL, never_sent()),
    ("texts_follow", CANNOT_TELL, texts()),  # the database holds texts that this account does not know
    ("texts_follow", FAIL, texts(*(text(n, at) for n, at in NUMBERED[:4]))),
    ("texts_follow", WARN, texts(*(text(n, at) for n, at in NUMBERED[:5]))),
    ("texts_follow", WARN, texts(*(text(n, at) for n, at in NUMBERED[1:]))),
    ("texts_prompt", WARN, texts(*(text(n, at, created_at=at + timedelta(minutes=3)) for n, at in NUMBERED))),
    ("account_active", OK, {"balance": Failure(FailureKind.NOT_FOUND, "A subaccount has none.")}),
    ("account_active", CANNOT_TELL, {"balance": AWAY}),
    ("account_active", CANNOT_TELL, {"account": TwilioAccount("AC", None, "Full")}),
    ("account_active", FAIL, {"balance": Balance(Decimal(0), "USD")}),
    ("account_active", WARN, {"balance": Balance(Decimal("0.5"), "USD")}),
    ("account_errors", OK, {}),
    ("account_errors", CANNOT_TELL, {"alerts": AWAY}),
    ("account_errors", FAIL, alerts("21606", ago(minutes=5))),
    ("account_errors", WARN, alerts("21606", ago(hours=3))),
    ("account_errors", OK, alerts("30003", ago(minutes=5))),
    # Did it arrive?
    ("texts_arrive", OK, delivered(True, True, False)),
    ("texts_arrive", WARN, delivered(True, True, True, False, False)),
    ("texts_arrive", FAIL, delivered(True, True, True, False, False, False)),
    ("texts_arrive", FAIL, delivered(True, False, False, False, True, False, False)),
    ("texts_arrive", FAIL, delivered(False, False, False, True)),  # three of four is no bad luck
    ("texts_arrive", OK, delivered(True, False, False, False, to_number="+447400111222")),  # one phone that is off
    ("texts_arrive", NOT_APPLICABLE, never_sent()),
    ("texts_arrive", CANNOT_TELL, texts(*(text(n, at, status="sent") for n, at in NUMBERED))),
    ("texts_arrive", CANNOT_TELL, texts(*(text(n, at, status="sent" if n < 3 else "delivered") for n, at in NUMBERED))),
    ("receipts_known", WARN, texts(*(text(n, at, status="sent" if n < 3 else "delivered") for n, at in NUMBERED))),
    ("receipts_arrive", OK, {}),
    ("receipts_arrive", FAIL, {"webhook_log": table(frames.WEBHOOK_LOG)}),
    ("receipts_arrive", CANNOT_TELL, {"webhook_log": truncated("webhook_log", table(frames.WEBHOOK_LOG))}),
    ("over_sending", OK, {}),
    ("over_sending", WARN, texts(*(text(n, ago(hours=2), to_number="+447400111222") for n in range(4)))),
    ("texts_stuck", WARN, texts(text(1, ago(hours=3), status="queued"))),
    # Was it recorded?
    ("texts_recorded", OK, {}),
    ("texts_recorded", CANNOT_TELL, {"messages": truncated("messages", table(frames.MESSAGES))}),
    ("texts_recorded", CANNOT_TELL, {"messages": AWAY}),
    ("columns_exist", FAIL, {"catalog": catalog("customers.last_name")}),
    ("columns_exist", FAIL, {"catalog": catalog("short_links")}),
    ("columns_exist", CANNOT_TELL, {"catalog": AWAY}),
    ("schema_contract", OK, {}),
    ("schema_contract", FAIL, {"hostnames": (hostname(OLD_BUILD),)}),  # the old code writes the null
    ("schema_contract", CANNOT_TELL, {"hostnames": AWAY}),
    ("schema_contract", CANNOT_TELL, {"catalog": catalog(checks=None)}),
    ("metadata_stored", OK, {}),
    ("metadata_stored", CANNOT_TELL, {"hostnames": AWAY}),
    ("metadata_stored", FAIL, bookings(*(booking(n, at, metadata_state="empty") for n, at in NUMBERED))),
    ("null_customer_errors", OK, {}),
    ("null_customer_errors", FAIL, errors(NULL)),
    ("null_customer_errors", OK, errors(("postgres_logs", "23502", None, "messages", "body"))),
    ("null_customer_errors", CANNOT_TELL, HALF_LOGS),
    ("writes_succeed", OK, errors(NULL, SEEN_BY_GATEWAY)),
    ("writes_succeed", FAIL, errors(("edge_logs", None, 400, "pending_bookings", None), at=LATELY)),
    ("writes_succeed", FAIL, errors(("edge_logs", None, None, None, None), at=LATELY)),
    ("writes_succeed", OK, errors(("edge_logs", None, 400, "pending_bookings", None), at=ago(hours=2))),  # it is over
    ("no_phantoms", OK, {}),
    ("no_phantoms", WARN, texts(*(text(n, at) for n, at in NUMBERED[1:]))),
    ("no_phantoms", CANNOT_TELL, {"texts": truncated("texts", table(frames.TEXTS))}),
    # Can they act on it?
    ("openers_confirm", OK, opened("yyyyn")),
    ("openers_confirm", CANNOT_TELL, opened("yyynn")),
    ("openers_confirm", WARN, opened("yyynnn")),
    ("openers_confirm", WARN, opened("ynynynnnnnnn")),
    ("openers_confirm", OK, opened("ynynynn")),  # here every other one does not
    ("openers_confirm", FAIL, opened("nnn")),
    ("openers_confirm", CANNOT_TELL, opened("nn")),
    ("openers_confirm", OK, opened("nnnnny")),
    ("openers_confirm", NOT_APPLICABLE, opened("")),
    # Did confirming work?
    ("confirmations_book", OK, {}),
    ("confirmations_book", NOT_APPLICABLE, bookings(booking(1, ago(hours=1)))),
    ("jobs_move", NOT_APPLICABLE, {"background_jobs": table(frames.BACKGROUND_JOBS)}),
    (
        "jobs_move",
        WARN,
        {
            "background_jobs": table(
                frames.BACKGROUND_JOBS, [{"id": "j", "type": "stats", "status": "failed", "created_at": ago(hours=3)}]
            )
        },
    ),
    (
        "jobs_move",
        OK,
        {
            "background_jobs": table(
                frames.BACKGROUND_JOBS,
                [{"id": "j", "type": "stats", "status": "pending", "created_at": ago(minutes=10)}],
            )
        },
    ),
]


@pytest.mark.parametrize(("id_", "status", "changed"), TABLE)
def test_a_check_answers_its_question(id_: str, status: CheckStatus, changed: dict[str, Any]) -> None:
    check = answer(id_, **changed)
    assert check.status is status, check


def test_a_check_that_cannot_tell_carries_the_reading_that_it_lacked() -> None:
    check = answer("texts_follow", texts=AWAY)
    assert check.summary == "It did not answer."
    assert check.source is not None and check.source.value == "twilio"


def test_what_others_wrote_is_redacted_in_evidence() -> None:
    planted = "call +447400123456 with sb_secret_abcdefgh12345678"
    line = BuildLogLine(ago(hours=1), f"Error: {planted}", LogLevel.ERROR)
    failed = builds(ERROR, READY, error_message=planted)
    check = answer("builds_pass", **failed, build_log=BuildLog("dpl_0", (line,)))
    named = answer("api_key_active", **keys(name=planted))
    for spoken in (*check.evidence, check.summary, *named.evidence):
        assert "447400123456" not in spoken and "sb_secret_a" not in spoken


def test_one_of_a_thing_is_said_in_the_singular() -> None:
    jobs = table(
        frames.BACKGROUND_JOBS,
        [{"id": "j", "type": "stats", "status": "pending", "scheduled_for": ago(hours=2), "created_at": ago(hours=3)}],
    )
    assert answer("jobs_move", background_jobs=jobs).summary == "1 background job is overdue, the oldest since 13:00."
    assert answer("api_answers", **calls(500)).summary == "The last booking call failed inside the booking app."
    one = {"hostnames": (hostname(HEAD_BUILD), hostname(FIX_BUILD, "two.example"))}
    assert (
        answer("serving_commit", **one).summary
        == "1 of 2 hostnames does not serve the required commit, 1 commit behind."
    )


def test_a_silence_is_weighed_by_what_is_usual() -> None:
    nobody = {"pending_bookings": table(frames.PENDING_BOOKINGS)}
    assert answer("bookings_initiated", **nobody).status is NOT_APPLICABLE
    busy = table(
        frames.DEMAND,
        ({"id": f"{day}-{n}", "created_at": ago(days=day, hours=n)} for day in range(1, 29) for n in range(1, 9)),
    )
    check = answer("bookings_initiated", **nobody, demand_history=busy)
    assert check.status is WARN
    assert "less than 1 % of such windows" in check.evidence[0]
    assert answer("bookings_initiated", **nobody, demand_history=AWAY).status is WARN


def test_a_texts_sid_that_the_list_lacks_is_looked_up_before_it_counts_as_missing() -> None:
    late = {"texts": table(frames.TEXTS, (text(n, at) for n, at in NUMBERED[:-1]))}
    assert answer("texts_follow", **late).status is WARN
    found = table(frames.TEXTS, [text(6, MOMENTS[5])])
    assert answer("texts_follow", **late, known_texts=found).status is OK
    assert sid(6) in set(found["sid"])


def test_what_the_logs_do_not_cover_is_said_beside_that_nothing_was_found() -> None:
    caveat = Caveat(CaveatKind.PARTIAL, "logs", "Supabase's logs were read for the last day only.")
    logs = dataclasses.replace(snapshot().database_errors, caveats=(caveat,))
    check = answer("null_customer_errors", database_errors=logs)
    assert (check.status, check.evidence) == (OK, (caveat.sentence,))


@pytest.mark.parametrize(("seconds_before", "status"), [(30, OK), (300, FAIL)])
def test_a_write_refused_right_after_the_fix_went_live_was_still_the_old_codes(
    seconds_before: int, status: CheckStatus
) -> None:
    live_since = ago(hours=1) - timedelta(seconds=seconds_before)  # the refusal is an hour old
    hosts = tuple(
        dataclasses.replace(
            host,
            alias_moved_at=live_since,
            deployment=host.deployment and dataclasses.replace(host.deployment, ready_at=live_since),
        )
        for host in snapshot().hostnames.value or ()
    )
    assert answer("null_customer_errors", hostnames=hosts, deployments=(), **errors(NULL)).status is status


def test_a_receipt_that_was_taken_counts_at_once_and_one_that_is_missing_after_a_while() -> None:
    """Three texts of a minute ago: with receipts the hooks work again, without them it is too soon to say."""
    old, young = [text(n, at) for n, at in NUMBERED], [text(n, ago(minutes=1)) for n in (90, 91, 92)]
    hooks = [
        {"id": str(n), "webhook_type": "twilio", "status": "success", "message_sid": one["sid"], "processed_at": NOW}
        for n, one in enumerate(young)
    ]
    assert (
        answer("receipts_arrive", **texts(*old, *young), webhook_log=table(frames.WEBHOOK_LOG, hooks)).status
        is not FAIL
    )
    assert (
        answer("receipts_arrive", **(never_sent() | texts(*young)), webhook_log=table(frames.WEBHOOK_LOG)).status
        is NOT_APPLICABLE
    )


STAMPED = (
    AppliedMigration("20260818000000", "long_ago"),
    AppliedMigration("20261118114500", "tidy_columns"),
    AppliedMigration("20261118130000", None),
    AppliedMigration("20261119000000", "from_tomorrow"),
    AppliedMigration("0001", "numbered"),
    AppliedMigration("20261399000000", "no_such_day"),
)


@pytest.mark.parametrize(
    ("check", "refused"),
    [
        ("columns_exist", {"catalog": catalog("pending_bookings.metadata")}),
        ("schema_contract", {"catalog": catalog("pending_bookings.metadata")}),
        ("writes_succeed", errors(("postgres_logs", "42501", None, "pending_bookings", None), at=LATELY)),
    ],
)
def test_where_the_database_refuses_the_newest_migrations_on_its_record_stand_beside_it(
    check: str, refused: dict[str, Any]
) -> None:
    evidence = answer(check, **refused, migrations=STAMPED).evidence
    assert [line for line in evidence if line.startswith("on record")] == [
        "on record: migration 20261118130000, stamped 13:00",
        "on record: migration tidy_columns, stamped 11:45",
    ]
    assert not any("on record" in line for line in answer(check, **refused, migrations=AWAY).evidence)
    assert not any("on record" in line for line in answer("columns_exist", migrations=STAMPED).evidence)


def test_every_question_has_an_id_of_its_own() -> None:
    ids = [question.id for question in ALL]
    assert len(ids) == len(set(ids))


def test_a_statement_that_only_postgres_saw_denied_may_have_been_a_read_and_is_no_proven_failed_write() -> None:
    denied = errors(("postgres_logs", "42501", None, "bookings", None), at=LATELY)
    frame = denied["database_errors"].assign(message="permission denied for table bookings")
    found = answer("writes_succeed", database_errors=frame)
    assert (found.status, "not known" in found.summary) == (WARN, True)


def test_where_only_the_page_was_opened_nothing_is_said_of_the_link_in_the_text() -> None:
    opening = LinkOpening("booking-6", NOW, Landing.CONFIRMATION, 200, ("booking.example/booking-confirmation/…",))
    texted = BY_ID["link_opens"](Facts(snapshot(link_opening=opening), NOW))
    page = BY_ID["link_opens"](Facts(snapshot(link_opening=dataclasses.replace(opening, as_texted=False)), NOW))
    assert texted.status is page.status is CheckStatus.OK
    assert "link opens" in texted.summary and "link" not in page.summary
    assert any("link of a text" in line for line in page.evidence)
