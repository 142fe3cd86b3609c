"""The diagnosis as data, as tiles and as hops; and what changed between two."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lib.diagnosis import json_report
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.hops import DECISIVE
from lib.model import frames
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import CheckStatus, Hop, Tile
from tests.diagnosis.builders import (
    MOMENTS,
    NOW,
    OLD_BUILD,
    booking,
    call,
    catalog,
    hostname,
    never_sent,
    snapshot,
    table,
    text,
    without_column,
)

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE
AWAY = Failure(FailureKind.TIMEOUT, "It did not answer.")
NUMBERED = list(enumerate(MOMENTS, start=1))


def judged(**changed: Any) -> Diagnosis:
    return diagnose(snapshot(**changed), NOW)


def tile(id_: str, **changed: Any) -> Tile:
    return next(tile for tile in judged(**changed).tiles if tile.id == id_)


def bookings(*unstored: int) -> Any:
    return table(
        frames.PENDING_BOOKINGS,
        (booking(n, at, **({"metadata_state": "null"} if n in unstored else {})) for n, at in NUMBERED),
    )


def texts(*undelivered: int) -> Any:
    fail = {"status": "undelivered", "error_code": "30003"}
    return table(frames.TEXTS, (text(n, at, **(fail if n in undelivered else {})) for n, at in NUMBERED))


NULL = {
    "at": MOMENTS[2],
    "origin": "postgres_logs",
    "sql_state": "23502",
    "table_name": "messages",
    "column_name": "customer_id",
}
REFUSED_CALL = table(frames.API_USAGE, [call(n, at, 409 if n == 6 else 201) for n, at in NUMBERED])
FAILED_CALL = table(frames.API_USAGE, [call(n, at, 500 if n == 6 else 201) for n, at in NUMBERED])


@pytest.mark.parametrize(
    ("id_", "changed", "status", "value"),
    [
        ("last_answer", {}, OK, "201, text sent"),
        ("last_answer", {"api_usage": FAILED_CALL}, FAIL, "500"),
        ("last_answer", {"api_usage": REFUSED_CALL}, NOT_APPLICABLE, "409"),  # that event is full: no alarm
        ("last_answer", {"texts": table(frames.TEXTS, [text(1, MOMENTS[0])])}, FAIL, "201, no text"),
        ("last_answer", {"api_usage": table(frames.API_USAGE)}, NOT_APPLICABLE, "none"),
        ("last_answer", {"api_usage": AWAY}, CANNOT_TELL, "?"),
        ("last_answer", {"texts": AWAY}, CANNOT_TELL, "?"),
        ("null_errors", {}, OK, "0"),
        ("null_errors", {"database_errors": table(frames.DATABASE_ERRORS, [NULL])}, FAIL, "1"),
        ("null_errors", {"database_errors": AWAY}, CANNOT_TELL, "?"),
        ("delivered", {}, OK, "6 of 6"),
        ("delivered", {"texts": texts(6)}, OK, "5 of 6"),  # one phone that was off is no alarm
        ("delivered", {"texts": texts(4, 5, 6)}, FAIL, "3 of 6"),
        ("delivered", never_sent(), FAIL, "0 of 6"),
        ("delivered", {"texts": AWAY}, CANNOT_TELL, "?"),
        ("stored", {}, OK, "6 of 6"),
        ("stored", {"pending_bookings": bookings(1, 2)}, WARN, "4 of 6"),
        ("stored", {"pending_bookings": bookings(5, 6)}, FAIL, "4 of 6"),
        ("stored", {"pending_bookings": without_column(bookings())}, FAIL, "no column"),
        ("stored", {"pending_bookings": bookings(1), "hostnames": (hostname(OLD_BUILD),)}, FAIL, "5 of 6"),
        ("stored", {"pending_bookings": bookings(1), "hostnames": AWAY}, CANNOT_TELL, "5 of 6"),
        ("stored", {"pending_bookings": AWAY}, CANNOT_TELL, "?"),
    ],
)
def test_a_tile_shows_a_count_and_what_it_rests_on(id_: str, changed: Any, status: CheckStatus, value: str) -> None:
    shown = tile(id_, **changed)
    assert (shown.status, shown.value) == (status, value)
    assert shown.message


def test_refused_records_of_before_are_no_green_count() -> None:
    errors = table(frames.DATABASE_ERRORS, [NULL, NULL])
    shown = tile("null_errors", database_errors=errors, catalog=catalog(messages__customer_id=True))
    assert (shown.status, shown.value) == (OK, "0 now")
    assert shown.message.endswith("Before that, 2 texts.")


# Hops --------------------------------------------------------------------------------------------------------


def test_the_hops_are_all_there_in_the_order_of_the_flow() -> None:
    assert [state.hop for state in judged().hops] == list(Hop) == list(DECISIVE)
    assert {state.status for state in judged().hops} == {OK}


def test_a_hop_takes_the_worst_of_its_checks() -> None:
    states = {state.hop: state for state in judged(hostnames=(hostname(OLD_BUILD),)).hops}
    assert states[Hop.CODE].status is FAIL
    assert states[Hop.RECORDED].status is FAIL  # the old code writes what the database refuses


def test_a_hop_is_unknown_while_its_decisive_check_is() -> None:
    states = {state.hop: state.status for state in judged(texts=AWAY, link_opening=AWAY).hops}
    assert states[Hop.ACCEPTED] is states[Hop.DELIVERED] is states[Hop.LINK] is CANNOT_TELL


# Data --------------------------------------------------------------------------------------------------------


def test_the_keys_are_stable_and_the_states_are_in_lower_snake_case() -> None:
    document = json_report.as_json(judged(texts=AWAY))
    assert json.loads(json.dumps(document)) == document
    assert list(document) == ["headline", "measured_at", "window_hours", "checks", "hypotheses", "sources", "code"]
    assert list(document["headline"]) == ["state", "sentence", "since", "since_at_least"]
    assert list(document["checks"][0]) == ["id", "hop", "status", "summary", "evidence", "source", "observed_at"]
    assert list(document["hypotheses"][0]) == ["id", "verdict", "summary", "supports", "refutes", "remedy"]
    assert list(document["hypotheses"][0]["remedy"]) == ["action", "words"]
    assert list(document["sources"][0]) == ["name", "state", "latency_ms", "error"]
    assert document["headline"]["state"] == "cannot_tell"
    assert document["measured_at"] == NOW.isoformat()
    assert {cause["verdict"] for cause in document["hypotheses"]} <= {
        "confirmed",
        "likely",
        "possible",
        "ruled_out",
        "cannot_tell",
    }


def test_the_title_of_a_dismissed_cause_does_not_read_as_a_claim() -> None:
    document = json_report.as_json(judged())
    quiet = next(cause for cause in document["hypotheses"] if cause["id"] == "no_demand")
    assert quiet["summary"].startswith("Nobody asked to book (ruled out).")


def test_a_source_failed_when_none_of_its_readings_is_an_answer() -> None:
    states = {
        source["name"]: (source["state"], source["error"])
        for source in json_report.as_json(judged(app_health=AWAY, link_opening=AWAY, texts=AWAY, served_code=()))[
            "sources"
        ]
    }
    assert states["booking_app"] == ("failed", "It did not answer.")
    assert states["twilio"] == ("fresh", "It did not answer.")
    assert states["github"] == ("fresh", None)


def test_nothing_changed_between_a_diagnosis_and_itself() -> None:
    document = json_report.as_json(judged())
    assert json_report.changes(document, document) == []


def test_changes_name_what_was_and_what_is_with_the_headline_first() -> None:
    before, after = json_report.as_json(judged()), json_report.as_json(judged(texts=AWAY))
    changes = json_report.changes(before, after)
    assert changes[0] == {"kind": "headline", "id": "state", "before": "flowing", "after": "cannot_tell"}
    assert {"kind": "checks", "id": "texts_follow", "before": "ok", "after": "cannot_tell"} in changes


@pytest.mark.parametrize("before", [{}, {"checks": None, "headline": "x"}, {"checks": [1, {"no": "id"}]}])
def test_an_earlier_diagnosis_of_another_make_is_compared_as_far_as_it_goes(before: Any) -> None:
    changes = json_report.changes(before, json_report.as_json(judged()))
    assert {"kind": "headline", "id": "state", "before": None, "after": "flowing"} in changes
