"""The Twilio twin: a paged log of texts that move on by the clock, refusals with Twilio's codes, and receipts."""

from __future__ import annotations

import httpx
import pytest

from lib.sandbox.serve import Running
from lib.sandbox.twilio_twin import segments_of, signature
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

MOBILE = "+447400112233"


def send(sandbox: Running, twilio: httpx.Client, account: str, to: str = MOBILE, body: str = "Hi") -> httpx.Response:
    form = {"To": to, "From": sandbox.world.credentials.sender_number, "Body": body}
    return twilio.post(f"{account}/Messages.json", data=form)


def test_a_wrong_login_is_20003_and_another_account_20404(sandbox, play, twilio, account) -> None:
    play("healthy")
    wrong = httpx.get(f"{sandbox.world.base_url}/twilio{account}.json", auth=("AC", "no"), trust_env=False)
    assert (wrong.status_code, wrong.json()["code"]) == (401, 20003)
    assert twilio.get("/2010-04-01/Accounts/ACother/Messages.json").json()["code"] == 20404


def test_following_every_next_page_gives_every_text_once(play, twilio, account) -> None:
    play("healthy")
    page = twilio.get(f"{account}/Messages.json", params={"PageSize": 50}).json()
    sids = [text["sid"] for text in page["messages"]]
    while page["next_page_uri"]:
        page = twilio.get(page["next_page_uri"]).json()
        sids += [text["sid"] for text in page["messages"]]
    everything = twilio.get(f"{account}/Messages.json", params={"PageSize": 1000}).json()
    assert everything["next_page_uri"] is None
    assert sids == [text["sid"] for text in everything["messages"]]
    assert len(sids) == len(set(sids)) > 200


def test_a_text_is_queued_then_delivered_and_priced_last(sandbox, play, twilio, account) -> None:
    play("healthy")
    made = send(sandbox, twilio, account)
    text = made.json()
    assert (made.status_code, text["status"], text["price"], text["date_sent"]) == (201, "queued", None, None)
    one = f"{account}/Messages/{text['sid']}.json"
    wait_until(lambda: twilio.get(one).json()["status"] == "delivered")
    assert twilio.get(one).json()["price"] is None  # billed later
    old = twilio.get(f"{account}/Messages.json", params={"PageSize": 1000}).json()["messages"][-1]
    assert old["price"].startswith("-")
    assert old["date_created"].endswith("+0000")


def test_filters_by_number_and_day(sandbox, play, twilio, account) -> None:
    play("healthy")
    sid = send(sandbox, twilio, account).json()["sid"]
    to_us = twilio.get(f"{account}/Messages.json", params={"To": MOBILE}).json()["messages"]
    assert [text["sid"] for text in to_us] == [sid]
    long_ago = twilio.get(f"{account}/Messages.json", params={"DateSent<": "2020-01-01"}).json()["messages"]
    assert long_ago == []


@pytest.mark.parametrize(
    ("to", "body", "code"),
    [
        ("+447700900123", "Hi", 21211),  # a number for drama
        ("nobody", "Hi", 21211),
        (MOBILE, "x" * 1601, 21617),
        (MOBILE, "", 21602),
    ],
)
def test_what_twilio_refuses_is_refused_with_its_code(sandbox, play, twilio, account, to, body, code) -> None:
    play("healthy")
    answer = send(sandbox, twilio, account, to, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_released_sender_is_21606_and_leaves_an_alert_and_no_text(sandbox, play, twilio, account) -> None:
    play("provider-rejecting")
    before = twilio.get("/monitor/v1/Alerts", params={"LogLevel": "error"}).json()["alerts"]
    assert send(sandbox, twilio, account).json()["code"] == 21606
    after = twilio.get("/monitor/v1/Alerts", params={"LogLevel": "error"}).json()["alerts"]
    assert len(after) == len(before) + 1
    assert after[0]["error_code"] == "21606"
    assert not twilio.get(f"{account}/Messages.json", params={"To": MOBILE}).json()["messages"]


def test_usage_and_balance_count_the_texts(sandbox, play, twilio, account) -> None:
    play("healthy")

    def count() -> int:
        params = {"Category": "sms-outbound"}
        records = twilio.get(f"{account}/Usage/Records/Today.json", params=params).json()["usage_records"]
        return int(records[0]["count"])

    before = count()
    send(sandbox, twilio, account)
    assert count() == before + 1
    assert float(twilio.get(f"{account}/Balance.json").json()["balance"]) > 0


def test_the_signature_is_the_one_from_twilios_documentation() -> None:
    url = "https://example.com/myapp.php?foo=1&bar=2"
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675310",
        "Digits": "1234",
        "From": "+14158675310",
        "To": "+18005551212",
    }
    assert signature("12345", url, form) == "L/OH5YylLD5NRKLltdqwSvS0BnU="


@pytest.mark.parametrize(
    ("body", "segments"),
    [("a" * 160, 1), ("a" * 161, 2), ("€" * 80, 1), ("€" * 81, 2), ("’" + "a" * 149, 3), ("👋" * 35, 1)],
)
def test_segments_are_counted_as_they_are_billed(body: str, segments: int) -> None:
    assert segments_of(body) == segments
