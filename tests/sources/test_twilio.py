"""What Twilio says, read: all texts of a window, without their bodies."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from lib.model.reading import CaveatKind, FailureKind
from lib.sources import twilio as module
from lib.sources.http import Deadline, Http
from lib.sources.twilio import Twilio
from tests.sources import bodies
from tests.sources.bodies import ACCOUNT, LINK_CODE, NOW, PHONE, SID, WINDOW, message
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json

LOG = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


@pytest.fixture
def twilio(server: FakeServer, http: Http) -> Twilio:
    server.tell_all(bodies.TWILIO)
    return bodies.twilio(server.url, http)


def sid(number: int) -> str:
    return f"SM{number:032x}"


def hours_ago(hours: float) -> str:
    return format_datetime(NOW - timedelta(hours=hours))


def page(*messages: dict[str, Any], following: str | None = None) -> Scripted:
    return as_json({"messages": messages, "next_page_uri": following})


def test_a_text_is_kept_without_its_body(twilio: Twilio, soon: Deadline):
    row = twilio.texts(WINDOW, soon).value.iloc[0]
    assert (row["sid"], row["status"], row["direction"]) == (SID, "delivered", "outbound-api")
    assert (row["to_number"], row["from_number"]) == (PHONE, "LANTERN2024")
    assert (row["link_url"], row["link_code"]) == (f"https://l.example/b/{LINK_CODE}?u=1", LINK_CODE)
    assert (row["segments"], row["price"], row["price_unit"]) == (2, -0.04, "USD")
    assert row["created_at"] == pd.Timestamp("2025-11-22T11:00Z") and row["body_digest"]


def test_equal_bodies_have_the_same_digest_and_others_another(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page(*(message(sid(n), body=body) for n, body in enumerate(("a", "a", "b", "")))))
    digests = twilio.texts(WINDOW, soon).value["body_digest"].tolist()
    assert digests[0] == digests[1] != digests[2]
    assert pd.isna(digests[3])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("see https://l.example/abc.", "abc"),
        ("(http://l.example/x/abc/)", "abc"),
        ("https://l.example/abc#top and https://other.example/d", "abc"),
        ("https://l.example", None),
        ("l.example/abc", "abc"),
        ("www.example.com/abc", "abc"),
        ("Hi Ann.Bob see l.example.test/s1 now", "s1"),
        ("https://app.example/confirm?token=t-1&utm=x", "t-1"),
        ("https://l.example/\nabc", "abc"),
        ("write to ann@mail.example/x", None),
        ("at 10.30/11.00", None),
        ("[redacted]", None),
        ("http://[broken/abc", None),
        ("no link", None),
    ],
)
def test_the_tail_of_the_first_link_is_found(
    body: str, code: str | None, twilio: Twilio, server: FakeServer, soon: Deadline
):
    server.tell(LOG, page(message(SID, body=body)))
    found = twilio.texts(WINDOW, soon).value["link_code"].iloc[0]
    assert found == code if code else pd.isna(found)


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("07700 900123", PHONE),
        ("0044 7700 900123", PHONE),
        ("+44 (0)7700 900123", PHONE),
        ("+15005550006", "+15005550006"),
        ("60006", "60006"),
        ("INFO2024", "INFO2024"),
    ],
)
def test_numbers_are_joined_in_one_form_and_names_are_left_alone(
    number: str, kept: str, twilio: Twilio, server: FakeServer, soon: Deadline
):
    server.tell(LOG, page(message(SID, to=number)))
    assert twilio.texts(WINDOW, soon).value["to_number"].iloc[0] == kept


def test_a_text_not_yet_sent_and_not_yet_billed_is_there_with_nulls(twilio: Twilio, server: FakeServer, soon: Deadline):
    waiting = message(SID, status="accepted", date_sent=None, price=None, num_segments="0", **{"from": None})
    server.tell(LOG, page(waiting))
    row = twilio.texts(WINDOW, soon).value.iloc[0]
    assert row["status"] == "accepted" and row["segments"] == 0
    assert row[["sent_at", "price", "from_number"]].isna().all()
    assert "DateSent" not in "".join(server.asked[0].query)


def test_inbound_texts_keep_their_direction(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page(message(sid(1)), message(sid(2), direction="inbound", status="received")))
    assert twilio.texts(WINDOW, soon).value["direction"].tolist() == ["outbound-api", "inbound"]


def test_all_pages_of_the_window_are_read_and_not_one_more(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(
        LOG,
        page(message(sid(1), hours_ago(1)), following=f"{LOG}?PageSize=1000&Page=1&PageToken=a"),
        page(message(sid(2), hours_ago(23)), following=f"{LOG}?PageSize=1000&Page=2&PageToken=b"),
        page(message(sid(3), hours_ago(25)), following=f"{LOG}?PageSize=1000&Page=3&PageToken=c"),
    )
    observed = twilio.texts(WINDOW, soon)
    assert observed.value["sid"].tolist() == [sid(1), sid(2)]
    assert not observed.caveats
    assert [asked.query.get("PageToken") for asked in server.asked] == [None, "a", "b"]


def test_a_text_made_in_the_window_is_found_behind_an_older_one_that_was_sent_later(
    twilio: Twilio, server: FakeServer, soon: Deadline
):
    late = message(sid(1), hours_ago(30), date_sent=hours_ago(2))
    server.tell(
        LOG,
        page(late, following=f"{LOG}?PageToken=a"),
        page(message(sid(2), hours_ago(3)), message(sid(3), hours_ago(40))),
    )
    assert twilio.texts(WINDOW, soon).value["sid"].tolist() == [sid(2)]


def test_a_text_that_slides_onto_the_next_page_counts_once(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page(message(SID), following=f"{LOG}?PageToken=a"), page(message(SID)))
    assert len(twilio.texts(WINDOW, soon).value) == 1


def test_the_cap_of_pages_is_a_caveat(
    twilio: Twilio, server: FakeServer, soon: Deadline, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_PAGES", 3)
    pages = (page(message(sid(n)), following=f"{LOG}?PageToken={n}") for n in range(5))
    server.tell(LOG, *pages)
    observed = twilio.texts(WINDOW, soon)
    assert len(observed.value) == 3
    assert [caveat.kind for caveat in observed.caveats] == [CaveatKind.TRUNCATED]


@pytest.mark.parametrize(
    "second",
    [Scripted(b"{}", 500), Scripted(b"{}", 429, {"Retry-After": "99"}), Scripted(b"<html>"), as_json({"messages": 1})],
)
def test_pages_that_cannot_be_read_truncate_what_came_before(
    second: Scripted, twilio: Twilio, server: FakeServer, soon: Deadline
):
    server.tell(LOG, page(message(SID), following=f"{LOG}?PageToken=a"), second)
    observed = twilio.texts(WINDOW, soon)
    assert len(observed.value) == 1
    assert observed.caveats[0].kind is CaveatKind.TRUNCATED
    assert "22 November 11:00 UTC" in observed.caveats[0].sentence


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/2010-04-01/x.json",
        "//evil.example/2010-04-01/x.json",
        "/2010-04-01/Accounts/AC2/Messages.json?PageToken=a",
        "/2010-04-01/../secret",
        "http://[",
    ],
)
def test_our_login_follows_no_link_to_another_address(link: str, twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page(message(SID), following=link))
    assert twilio.texts(WINDOW, soon).caveats[0].kind is CaveatKind.TRUNCATED
    assert len(server.asked) == 1


def test_pages_that_go_round_in_a_circle_end(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page(message(SID), following=f"{LOG}?PageToken=a"))
    assert twilio.texts(WINDOW, soon).caveats
    assert len(server.asked) == 2


def test_an_empty_log_is_a_fact(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(LOG, page())
    observed = twilio.texts(WINDOW, soon)
    assert observed.value.empty and not observed.caveats
    assert str(observed.value["created_at"].dtype) == "datetime64[us, UTC]"


def test_an_api_below_a_path_is_paged_below_that_path(server: FakeServer, http: Http, soon: Deadline):
    server.tell(f"/twin{LOG}", page(message(sid(1)), following=f"{LOG}?PageToken=a"), page(message(sid(2))))
    assert len(bodies.twilio(f"{server.url}/twin", http).texts(WINDOW, soon).value) == 2


def test_single_texts_are_asked_for_by_sid_and_an_unknown_one_is_no_row(
    twilio: Twilio, server: FakeServer, soon: Deadline
):
    observed = twilio.texts_by_sid([SID, SID, sid(404), "local-fail-1", ""], soon)
    assert observed.value["sid"].tolist() == [SID]
    assert not observed.caveats, "a caveat would say that the other one was not asked for"
    assert len(server.asked) == 2


def test_single_texts_that_were_not_read_are_named(twilio: Twilio, server: FakeServer, soon: Deadline):
    server.tell(f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{sid(1)}.json", Scripted(b"{}", 500))
    observed = twilio.texts_by_sid([SID, sid(1)], soon)
    assert [(caveat.kind, caveat.subject) for caveat in observed.caveats] == [(CaveatKind.PARTIAL, sid(1))]


def test_at_most_fifty_single_texts_are_asked_for(twilio: Twilio, server: FakeServer, soon: Deadline):
    observed = twilio.texts_by_sid([sid(n) for n in range(1000, 1053)], soon)
    assert len(server.asked) == 50
    assert observed.caveats[0].kind is CaveatKind.TRUNCATED
    assert {caveat.subject for caveat in observed.caveats[1:]} == {sid(n) for n in range(1050, 1053)}


def test_account_and_balance(twilio: Twilio, soon: Deadline):
    assert (twilio.account(soon).value.status, twilio.account(soon).value.type) == ("active", "Trial")
    assert twilio.balance(soon).value.amount == Decimal("12.345")


def test_alerts_of_the_window_come_without_numbers(twilio: Twilio, server: FakeServer, soon: Deadline):
    alerts = twilio.alerts(WINDOW, soon).value
    assert alerts[["error_code", "resource_sid"]].iloc[0].tolist() == ["11200", SID]
    assert "900123" not in alerts["text"].iloc[0]
    assert server.asked[0].query["StartDate"] == "2025-11-21T12:00:00Z"


def test_alerts_are_paged_on_their_own_address_only(twilio: Twilio, server: FakeServer, soon: Deadline):
    alert = bodies.TWILIO["/monitor/v1/Alerts"]["alerts"][0]
    path = f"{server.url}/monitor/v1/Alerts"
    server.tell(
        "/monitor/v1/Alerts",
        as_json({"alerts": [alert], "meta": {"next_page_url": f"{path}?Page=1"}}),
        as_json({"alerts": [alert | {"sid": "NO2"}], "meta": {"next_page_url": "https://evil.example/v1/Alerts"}}),
    )
    observed = twilio.alerts(WINDOW, soon)
    assert observed.value["sid"].tolist() == ["NO1", "NO2"]
    assert observed.caveats[0].kind is CaveatKind.TRUNCATED


def test_the_live_monitor_has_a_host_of_its_own(http: Http):
    assert bodies.twilio("https://api.twilio.com", http)._monitor_url == "https://monitor.twilio.com"


def test_an_api_key_is_preferred_to_the_auth_token(server: FakeServer, http: Http, soon: Deadline):
    server.tell_all(bodies.TWILIO)
    login = {"api_key": SecretStr("SK1"), "api_secret": SecretStr("s"), "auth_token": SecretStr("t")}
    Twilio(http=http, base_url=server.url, account_sid=ACCOUNT, **login).balance(soon)
    assert server.asked[0].headers["Authorization"] == "Basic U0sxOnM="


def test_no_login_at_all_is_not_configured(server: FakeServer, http: Http, soon: Deadline):
    assert (
        failure_of(lambda: Twilio(http=http, base_url=server.url, account_sid=ACCOUNT).balance(soon)).kind
        is FailureKind.NOT_CONFIGURED
    )


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [(403, 20005, "Account not active"), (401, 20003, "Authentication Error - Account is suspended")],
)
def test_an_account_that_is_not_active_is_no_matter_of_its_keys(
    twilio: Twilio, server: FakeServer, soon: Deadline, status: int, code: int, message: str
):
    server.everything = as_json({"code": code, "message": message, "status": status}, status)
    hint = failure_of(lambda: twilio.balance(soon)).failure.hint
    assert "suspended or closed" in hint and "est credentials" not in hint
