"""Answers from outside: a wrong value is unknown, one that is needed is missed, and no row is lost silently."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from lib.model.reading import CaveatKind, FailureKind
from lib.sources import parse
from lib.sources.http import Deadline, Http
from lib.sources.parse import found
from tests.sources import bodies
from tests.sources.bodies import FIX, NOW, SID, WINDOW, listed, message, ms
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, as_json


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), float("nan"), float("inf"), "9" * 5000, True, None, [], {}, 2.5]
)
def test_what_is_no_sensible_whole_number_is_none(value: object) -> None:
    assert parse.integer(value) is None


@pytest.mark.parametrize(("value", "number"), [(2, 2), (2.0, 2), ("2", 2), (0, 0), (-3, -3)])
def test_a_whole_number_is_read_in_each_form_it_is_sent_in(value: object, number: int) -> None:
    assert parse.integer(value) == number


@dataclass(frozen=True)
class Parcel:
    id: str
    weight: int | None
    sent_at: datetime | None = None
    labels: tuple[str, ...] = ()
    kind: str = "plain"


read_parcel = parse.reader(
    Parcel,
    "The post",
    "a parcel",
    times=parse.epoch_ms,
    weight=found("weight", "size.grams"),
    kind=found("kind", otherwise="unknown"),
)


def test_each_field_is_read_from_the_first_place_that_holds_a_usable_value():
    raw = {"id": "p", "weight": "heavy", "size": {"grams": "7"}, "sent_at": ms(9), "labels": ["a", 1], "other": 1}
    sent = datetime(2025, 11, 22, 9, tzinfo=UTC)
    assert read_parcel(raw) == Parcel("p", 7, sent, ("a",), "unknown")


@pytest.mark.parametrize("junk", [None, [], {}, "\ud800", 10**400, True])
def test_a_wrong_value_is_unknown(junk: Any):
    parcel = read_parcel({"id": "p", "weight": junk, "sent_at": junk, "labels": {}})
    assert (parcel.weight, parcel.sent_at, parcel.labels) == (None, None, ())


@pytest.mark.parametrize("raw", [{}, {"id": 7}, {"id": ""}, [], None, "p"])
def test_an_answer_without_what_is_needed_is_refused(raw: Any):
    error = failure_of(lambda: read_parcel(raw))
    assert error.kind is FailureKind.BAD_DATA
    assert ("a parcel's id" if isinstance(raw, dict) else "the object we asked for") in str(error)


def test_a_row_that_cannot_be_read_is_left_out_and_counted():
    rows = [{"id": "p"}, {}, 7, {"id": "q"}]
    parcels, (caveat,) = parse.readable_rows({"parcels": rows}, "The post", "parcels", read_parcel, "parcels")
    assert [parcel.id for parcel in parcels] == ["p", "q"]
    assert (caveat.kind, caveat.subject) == (CaveatKind.TRUNCATED, "parcels"), "what is missing is no evidence"
    assert caveat.sentence.startswith("2 of 4 parcels are left out: The post sent them")
    assert parse.readable_rows([], "The post", "parcels", read_parcel) == ([], ())


@pytest.mark.parametrize("rows", [None, {}, "p", [7], [{}, None]])
def test_a_list_of_which_nothing_can_be_read_is_not_what_was_asked_for(rows: Any):
    error = failure_of(lambda: parse.readable_rows(rows, "The post", "parcels", read_parcel))
    assert error.kind is FailureKind.BAD_DATA


# In the sources ----------------------------------------------------------------------------------------------

LOG = f"/2010-04-01/Accounts/{bodies.ACCOUNT}/Messages.json"
ODD: dict[str, tuple[str, Any, Any]] = {
    "deployments": (
        "/v7/deployments",
        {"deployments": [listed("dpl_new", FIX, ms(9)), {"uid": None}]},
        lambda url, http, d: bodies.vercel(url, http).deployments(d),
    ),
    "hostnames": (
        "/v9/projects/prj_1/domains",
        {"domains": [{"name": bodies.SHOP}, {"name": 7}]},
        lambda url, http, d: bodies.vercel(url, http).hostnames(d),
    ),
    "activity": (
        "/v3/events",
        {"events": [{"type": "project-paused", "createdAt": ms(9)}, {"type": "project-paused"}]},
        lambda url, http, d: bodies.vercel(url, http).activity(WINDOW, d),
    ),
    "build log": (
        "/v3/deployments/dpl_new/events",
        [{"text": "a line", "created": ms(9)}, None, 7],
        lambda url, http, d: bodies.vercel(url, http).build_log("dpl_new", d),
    ),
    "texts": (
        LOG,
        {"messages": [message(SID), message(SID, date_created="soon")]},
        lambda url, http, d: bodies.twilio(url, http).texts(WINDOW, d),
    ),
    "alerts": (
        "/monitor/v1/Alerts",
        {"alerts": [*bodies.TWILIO["/monitor/v1/Alerts"]["alerts"], {"sid": None}], "meta": {}},
        lambda url, http, d: bodies.twilio(url, http).alerts(WINDOW, d),
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_one_odd_row_costs_itself_and_a_caveat_names_it(name: str, server: FakeServer, http: Http, soon: Deadline):
    path, body, ask = ODD[name]
    server.tell_all({**bodies.VERCEL, **bodies.TWILIO, path: as_json(body)})
    observed = ask(server.url, http, soon)
    value = getattr(observed.value, "lines", observed.value)
    assert len(value) == 1
    assert {caveat.kind for caveat in observed.caveats} == {CaveatKind.TRUNCATED}
    assert all("1 of 2" in caveat.sentence for caveat in observed.caveats)


@pytest.mark.parametrize("odd", [{"key": None}, {"key": "A=planted"}, 7])
def test_a_variable_that_cannot_be_read_must_not_look_unset(odd: Any, server: FakeServer, http: Http, soon: Deadline):
    server.tell("/v10/projects/prj_1/env", as_json({"envs": [{"key": "TWILIO_AUTH_TOKEN"}, odd]}))
    assert failure_of(lambda: bodies.vercel(server.url, http).env_names(soon)).kind is FailureKind.BAD_DATA


def test_a_run_whose_status_github_leaves_null_is_a_run_of_unknown_status(
    server: FakeServer, http: Http, soon: Deadline
):
    run = {"id": 5, "head_sha": FIX, "status": None, "conclusion": None, "created_at": NOW.isoformat()}
    server.tell(f"/repos/{bodies.REPOSITORY}/actions/runs", as_json({"workflow_runs": [run], "total_count": 1}))
    (found_run,) = bodies.github(server.url, http).runs(FIX, soon).value
    assert (found_run.status, found_run.conclusion, found_run.name, found_run.url) == (None, None, "unnamed", "")
