"""Every answer that Twilio's own description allows is read: as a value or as unknown, and never as something else.

The description marks nearly every field as one that may be null. A row that lacks what tells it apart costs itself,
and the reading says so: it does not cost the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from twilio.rest.api.v2010.account.message import MessageInstance

from lib.model.provider import FAILED_STATUSES, TextStatus
from lib.model.window import Window, WindowSize
from lib.sources.http import Deadline
from lib.sources.twilio import Twilio
from tests.contract import documents
from tests.contract.survey import BASE_URL, CannedAnswers, Reader, survey, value_of
from tests.contract.variants import Samples

ACCOUNT, SID = "AC" + "1" * 32, "SM" + "1" * 32
API = f"/2010-04-01/Accounts/{ACCOUNT}"
WINDOW = Window.ending(datetime(2025, 11, 22, 12, 0, tzinfo=UTC), WindowSize.DAY)
MOBILE = "+447700900123"
NEXT = f"{API}/Messages.json?PageSize=1000&Page=1&PageToken=PA1"
NEXT_ALERTS = f"{BASE_URL}/monitor/v1/Alerts?PageSize=1000&Page=1&PageToken=PA1"
TEXT_LINK = "https://l.example.test/s1"
SAMPLES: Samples = {
    "sid": (SID,),
    "date_created": ("Sat, 22 Nov 2025 10:00:00 +0000", "2025-11-22T10:00:00Z"),
    "date_sent": ("Sat, 22 Nov 2025 10:00:01 +0000",),
    "date_updated": ("Sat, 22 Nov 2025 10:00:02 +0000",),
    "to": (MOBILE, f"whatsapp:{MOBILE}"),
    "from": ("+447700900999", "LANTERN", "60070"),
    # What Twilio leaves of a body that it was told to forget, and links as people write them.
    "body": (f"Confirm: {TEXT_LINK}", "", "[redacted]", "Confirm: l.example.test/s1", "Confirm: www.example.test/s1"),
    "num_segments": ("1", "0"),
    "price": ("-0.04630",),
    "balance": ("12.5", "-3.1"),
    "next_page_uri": (NEXT,),
}


def twilio(canned: CannedAnswers) -> Twilio:
    return Twilio(http=canned, base_url=BASE_URL, account_sid=ACCOUNT, auth_token=SecretStr("t"))  # type: ignore[arg-type]


def soon() -> Deadline:
    return Deadline(10)


# What the readings may say ------------------------------------------------------------------------------


def text_meaning(row: Any, text: Any) -> Iterator[str]:
    if (row.get("status") or "") != (text["status"] or ""):
        yield "a status is not what Twilio says"
    if row.get("to") is not None and text["to_number"] != MOBILE:
        yield "whom a text went to is lost"
    if "/s1" in (row.get("body") or "") and text["link_code"] != "s1":
        yield "a link without https:// is not seen"


def texts_meaning(body: Any, result: Any) -> Iterator[str]:
    rows, frame = body.get("messages") or [], result.value
    inside = [row for row in rows if row.get("date_created") == SAMPLES["date_created"][0]]
    if len(frame) < len(inside) and not result.caveats:
        yield "a text of the log is lost without a word"
    if len(frame) == len(rows):
        for row, text in zip(rows, frame.to_dict("records"), strict=True):
            yield from text_meaning(row, text)


def one_text_meaning(body: Any, result: Any) -> Iterator[str]:
    for text in result.value.to_dict("records"):
        yield from text_meaning(body, text)


def account_meaning(body: Any, result: Any) -> Iterator[str]:
    if value_of(result).status != body.get("status"):
        yield "the account's status is not what Twilio says"


def alerts_meaning(body: Any, result: Any) -> Iterator[str]:
    if len(result.value) < len(body.get("alerts") or ()) and not result.caveats:
        yield "an alert is lost without a word"


# The readings -------------------------------------------------------------------------------------------


def at(answer: str) -> Any:
    return lambda: documents.facts("twilio", answer)


ALERT_SAMPLES: Samples = {
    **SAMPLES,
    "sid": ("NO" + "1" * 32,),
    "date_created": ("2025-11-22T10:00:00Z",),
    "date_generated": ("2025-11-22T10:00:00Z",),
    "error_code": ("21610",),
    "next_page_url": (NEXT_ALERTS,),
}

# A row that lacks one of these cannot be told from others, or placed in time. It costs itself; a log of which no row
# can be read counts as unread, not as empty. The bodies here hold one row; `ROWS` below hold a good one beside it.
OF_A_TEXT = frozenset({"a text's SID", "a text's status", "a text's direction", "a text's time"})
OF_AN_ALERT = frozenset({"an alert's id", "an alert's time"})

READERS = (
    Reader(
        "texts", at("Messages"), ("GET", f"{API}/Messages.json"), lambda canned: twilio(canned).texts(WINDOW, soon()),
        SAMPLES, lambda: {("GET", NEXT): {"messages": []}}, texts_meaning, needs=OF_A_TEXT,
    ),
    Reader(
        "one text", at("Message"), ("GET", f"{API}/Messages/{SID}.json"),
        lambda canned: twilio(canned).text(SID, soon()),
        SAMPLES, dict, one_text_meaning, needs=OF_A_TEXT,
    ),
    Reader(
        "texts by SID", at("Message"), ("GET", f"{API}/Messages/{SID}.json"),
        lambda canned: twilio(canned).texts_by_sid([SID], soon()), SAMPLES, dict, one_text_meaning,
        needs=OF_A_TEXT,
    ),
    Reader(
        "account", at("Account"), ("GET", f"{API}.json"), lambda canned: twilio(canned).account(soon()), SAMPLES, dict,
        account_meaning,
    ),
    Reader(
        "balance", at("Balance"), ("GET", f"{API}/Balance.json"),
        lambda canned: twilio(canned).balance(soon()), SAMPLES, needs=frozenset({"the balance"}),
    ),
    Reader(
        "alerts", at("Alerts"), ("GET", "/monitor/v1/Alerts"), lambda canned: twilio(canned).alerts(WINDOW, soon()),
        ALERT_SAMPLES, lambda: {("GET", NEXT_ALERTS.removeprefix(BASE_URL)): {"alerts": [], "meta": {}}},
        alerts_meaning, needs=OF_AN_ALERT,
    ),
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_nothing_that_twilio_may_answer_is_misread(reader: Reader):
    assert survey(reader).complaints == {}


TEXT_ROW = {
    "sid": SID,
    "status": "delivered",
    "direction": "outbound-api",
    "date_created": "Sat, 22 Nov 2025 10:00:00 +0000",
}
ALERT_ROW = {"sid": "NO" + "1" * 32, "date_created": "2025-11-22T10:00:00Z"}
ROWS = [
    *((f"{API}/Messages.json", "messages", TEXT_ROW, field) for field in TEXT_ROW),
    *(("/monitor/v1/Alerts", "alerts", ALERT_ROW, field) for field in ALERT_ROW),
]  # fmt: skip


@pytest.mark.parametrize(("path", "what", "row", "field"), ROWS)
@pytest.mark.parametrize("left", [None, ...])
def test_a_row_that_lacks_what_tells_it_apart_costs_itself_and_the_reading_says_so(
    path: str, what: str, row: dict[str, Any], field: str, left: Any
):
    lacking = {name: value for name, value in (row | {field: left}).items() if value is not ...}
    client = twilio(CannedAnswers({("GET", path): {what: [lacking, row]}}))
    read = client.texts(WINDOW, soon()) if what == "messages" else client.alerts(WINDOW, soon())
    assert list(read.value["sid"]) == [row["sid"]]
    (caveat,) = read.caveats
    assert caveat.sentence.startswith("1 of 2 ") and "are left out" in caveat.sentence


def test_every_status_of_twilio_has_a_word_of_ours():
    statuses = documents.facts("twilio", "Message").schema["properties"]["status"]["enum"]
    inbound = {"receiving", "received"}
    assert set(statuses) - inbound - {status.value for status in TextStatus} == set()


def test_what_was_canceled_on_purpose_has_not_failed():
    assert TextStatus.CANCELED not in FAILED_STATUSES


def test_our_facts_name_the_statuses_that_twilios_client_knows():
    """The facts were reduced by hand from a description of April 2026: the client tells when they grow old."""
    described = documents.facts("twilio", "Message").schema["properties"]
    assert _words(MessageInstance.Status) == set(described["status"]["enum"])
    assert _words(MessageInstance.Direction) == set(described["direction"]["enum"])


def _words(constants: type) -> set[str]:
    return {word for name, word in vars(constants).items() if name.isupper()}
