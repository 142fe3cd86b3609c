"""A twin of Twilio: the message log, balance, usage and alerts, and status callbacks. No text leaves the machine.

Shapes after https://github.com/twilio/twilio-oai. A text's status follows from its timestamps whenever it is read.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import random
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import phonenumbers
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox.twin_api import TwinCall, TwinRefusalError, answer
from lib.sandbox.twin_helpers import Json, read_form, rfc2822, seconds
from lib.sandbox.world import Connection, Row, World

SEGMENT_PRICE = -0.0463  # USD, what a segment to the UK roughly costs
_GSM = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ÄÖÑÜ§¿äöñüà")
_GSM |= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_GSM_DOUBLE = set("^{}\\[~]|€\f")
_DRAMA = re.compile(r"\+447700900\d{3}")  # Ofcom's numbers for film and television
_CALLBACK_TIMEOUT_SECONDS = 15  # Twilio's own
_SENTENCES = {
    30003: "Unreachable destination handset",
    30004: "Message blocked",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
}


class TwilioRefusalError(TwinRefusalError):
    """An error answer of Twilio: `{"code", "message", "more_info", "status"}`."""

    def __init__(self, status: int, code: int, message: str) -> None:
        more = f"https://www.twilio.com/docs/errors/{code}"
        body = {"code": code, "message": message, "more_info": more, "status": status}
        super().__init__(message, JSONResponse(body, status))
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class TwilioCall(TwinCall):
    """One authorised request to the twin of Twilio."""

    @property
    def account(self) -> str:
        return self.world.credentials.twilio_account_sid

    @property
    def account_uri(self) -> str:
        return f"/2010-04-01/Accounts/{self.account}"

    @property
    def provider(self) -> Row:
        row = self.connection.execute("select * from twin.provider").fetchone()
        if row is None:
            raise TwilioRefusalError(404, 20404, "The requested resource was not found")
        return row


Handler = Callable[[TwilioCall], Json]


# Texts ---------------------------------------------------------------------------------------------------


def segments_of(body: str) -> int:
    """Return how many segments Twilio bills for `body`: GSM-7 if every character is in it, else UCS-2."""
    if all(character in _GSM or character in _GSM_DOUBLE for character in body):
        units = len(body) + sum(character in _GSM_DOUBLE for character in body)
        single, several = 160, 153
    else:
        units = len(body.encode("utf-16-le")) // 2
        single, several = 70, 67
    return 1 if units <= single else math.ceil(units / several)


def new_sid(prefix: str = "SM") -> str:
    return prefix + secrets.token_hex(16)


def status_of(text: Row, now: datetime) -> str:
    """Return a text's status at `now`."""
    if now >= text["done_at"]:
        return str(text["final_status"])
    if now >= text["sent_at"]:
        return "sent"
    return "sending" if now >= text["sending_at"] else "queued"


def _text_shape(call: TwilioCall, text: Row) -> dict[str, Json]:
    status = status_of(text, call.now)
    ended = call.now >= text["done_at"]
    code = text["error_code"] if ended else None
    updated = max(
        at
        for at in (text["created_at"], text["sent_at"], text["done_at"], text["billed_at"])
        if at <= max(call.now, text["created_at"])
    )
    uri = f"{call.account_uri}/Messages/{text['sid']}"
    return {
        "sid": text["sid"],
        "account_sid": call.account,
        "api_version": "2010-04-01",
        "status": status,
        "direction": "outbound-api",
        "to": text["to_number"],
        "from": text["from_number"],
        "body": text["body"],
        "num_segments": str(text["segments"]),
        "num_media": "0",
        "price": f"{text['price']:.5f}" if call.now >= text["billed_at"] and status != "failed" else None,
        "price_unit": "USD",
        "error_code": code,
        "error_message": _SENTENCES.get(code) if code else None,
        "date_created": rfc2822(text["created_at"]),
        "date_sent": rfc2822(text["sent_at"]) if call.now >= text["sent_at"] else None,
        "date_updated": rfc2822(updated),
        "messaging_service_sid": None,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


# Reads ---------------------------------------------------------------------------------------------------


def _account(call: TwilioCall) -> Json:
    return {
        "sid": call.account,
        "friendly_name": "The Lantern Arms",
        "status": "active",
        "type": "Full",
        "owner_account_sid": call.account,
        "date_created": rfc2822(call.provider["seeded_at"] - timedelta(days=700)),
        "date_updated": rfc2822(call.provider["seeded_at"] - timedelta(days=90)),
        "uri": f"{call.account_uri}.json",
    }


def _page_size(call: TwilioCall) -> int:
    raw = call.query("PageSize") or "50"
    if not raw.isdigit() or int(raw) < 1:
        raise TwilioRefusalError(400, 20001, f"PageSize is not valid: {raw[:20]}")
    return min(int(raw), 1000)


def _list(call: TwilioCall) -> Json:
    size = _page_size(call)
    token = call.query("PageToken") or ""
    rows = call.connection.execute(
        """select * from twin.texts
           where (%(to)s::text is null or to_number = %(to)s)
               and (%(from)s::text is null or from_number = %(from)s)
               and (%(after)s::timestamptz is null or sent_at >= %(after)s and sent_at <= %(now)s)
               and (%(before)s::timestamptz is null or sent_at < %(before)s and sent_at <= %(now)s)
               and created_at <= %(now)s
               and (created_at, sid) < (
                   coalesce((select created_at from twin.texts where sid = %(token)s), 'infinity'), %(token)s)
           order by created_at desc, sid desc limit %(limit)s""",
        {
            "to": call.query("To"),
            "from": call.query("From"),
            "after": _start(call.query("DateSent>") or call.query("DateSent")),
            "before": _end(call.query("DateSent<") or call.query("DateSent")),
            "now": call.now,
            "token": token.removeprefix("PA"),
            "limit": size + 1,
        },
    ).fetchall()
    page = rows[:size]
    number = int(call.query("Page") or 0)
    filters = {key: value for key, value in call.request.query_params.items() if not key.startswith("Page")}
    uri = f"{call.account_uri}/Messages.json"

    def link(**more: Json) -> str:
        return f"{uri}?{urlencode({**filters, 'PageSize': size, **more})}"

    has_more = len(rows) > size
    return {
        "messages": [_text_shape(call, row) for row in page],
        "page": number,
        "page_size": size,
        "start": number * size,
        "end": number * size + max(len(page) - 1, 0),
        "uri": link(Page=number),
        "first_page_uri": link(Page=0),
        "next_page_uri": link(Page=number + 1, PageToken="PA" + page[-1]["sid"]) if has_more else None,
        "previous_page_uri": None,
    }


def _start(value: str | None) -> datetime | None:
    return _instant(value) if value else None


def _end(value: str | None) -> datetime | None:
    """The end of the day for a date: Twilio's own granularity; a full time is taken as it is, inclusive."""
    if not value:
        return None
    return _instant(value) + (timedelta(days=1) if len(value) == 10 else seconds(1))


def _instant(value: str) -> datetime:
    try:
        instant = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise TwilioRefusalError(400, 20001, "DateSent is not a valid date") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _one(call: TwilioCall) -> Json:
    sid = call.request.path_params["sid"]
    row = call.connection.execute("select * from twin.texts where sid = %s", [sid]).fetchone()
    if row is None:
        path = f"{call.account_uri}/Messages/{sid}.json"
        raise TwilioRefusalError(404, 20404, f"The requested resource {path} was not found")
    return _text_shape(call, row)


def _balance(call: TwilioCall) -> Json:
    spent = call.connection.execute(
        "select coalesce(sum(price), 0) as sum from twin.texts where created_at > %s and billed_at <= %s",
        [call.provider["seeded_at"], call.now],
    ).fetchone()
    balance = call.provider["balance"] + (spent["sum"] if spent else 0)
    return {"account_sid": call.account, "balance": f"{balance:.3f}", "currency": "USD"}


def _usage_today(call: TwilioCall) -> Json:
    today = call.now.replace(hour=0, minute=0, second=0, microsecond=0)
    row = call.connection.execute(
        """select count(*) as texts, coalesce(sum(segments), 0) as segments,
               coalesce(-sum(price) filter (where billed_at <= %(now)s), 0) as price
           from twin.texts where created_at >= %(today)s and created_at <= %(now)s""",
        {"today": today, "now": call.now},
    ).fetchone() or {"texts": 0, "segments": 0, "price": 0}
    category = call.query("Category") or "sms-outbound"
    record = {
        "account_sid": call.account,
        "category": category,
        "description": "Outbound SMS",
        "count": str(row["texts"]),
        "count_unit": "messages",
        "usage": str(row["segments"]),
        "usage_unit": "segments",
        "price": float(row["price"]),  # a number here, though a text everywhere else
        "price_unit": "usd",
        "start_date": f"{today:%Y-%m-%d}",
        "end_date": f"{today:%Y-%m-%d}",
    }
    uri = f"{call.account_uri}/Usage/Records/Today.json"
    records = [record] if category == "sms-outbound" else []
    return {"usage_records": records, "page": 0, "page_size": 50, "next_page_uri": None, "uri": uri}


def _alert_shape(call: TwilioCall, row: Row) -> dict[str, Json]:
    at = row["at"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "sid": row["sid"],
        "account_sid": call.account,
        "alert_text": row["text"],
        "error_code": row["error_code"],
        "log_level": "error",
        "more_info": f"https://www.twilio.com/docs/errors/{row['error_code']}",
        "resource_sid": row["resource_sid"],
        "service_sid": None,
        "request_method": "POST",
        "request_url": row["request_url"],
        "date_created": at,
        "date_generated": at,
        "date_updated": at,
        "url": f"https://monitor.twilio.com/v1/Alerts/{row['sid']}",
    }


def _alerts(call: TwilioCall) -> Json:
    size, number = _page_size(call), int(call.query("Page") or 0)
    rows = call.connection.execute(
        """select * from twin.alerts
           where %(level)s in ('', 'error') and at <= %(now)s
               and (%(start)s::timestamptz is null or at >= %(start)s)
               and (%(end)s::timestamptz is null or at < %(end)s)
           order by at desc, sid limit %(limit)s offset %(offset)s""",
        {
            "level": call.query("LogLevel") or "",
            "start": _start(call.query("StartDate")),
            "end": _end(call.query("EndDate")),
            "now": call.now,
            "limit": size + 1,
            "offset": number * size,
        },
    ).fetchall()
    following = call.request.url.include_query_params(Page=number + 1)
    address = f"{call.world.base_url}/twilio/monitor/v1/Alerts"
    meta = {
        "key": "alerts",
        "page": number,
        "page_size": size,
        "url": f"{address}?{call.request.url.query}",
        "first_page_url": f"{address}?PageSize={size}&Page=0",
        "next_page_url": f"{address}?{following.query}" if len(rows) > size else None,
        "previous_page_url": None,
    }
    return {"alerts": [_alert_shape(call, row) for row in rows[:size]], "meta": meta}


# Sending -------------------------------------------------------------------------------------------------


def _send(call: TwilioCall) -> Json:
    form = read_form(call.request)
    try:
        text = _accept(call, form)
    except TwilioRefusalError as refusal:
        url = f"https://api.twilio.com{call.account_uri}/Messages.json"
        add_alert(call.connection, call.now, refusal.code, refusal.message, url)
        raise
    return JSONResponse(_text_shape(call, text), 201)


def _accept(call: TwilioCall, form: dict[str, str]) -> Row:
    to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    provider = call.provider
    if not to:
        raise TwilioRefusalError(400, 21604, "A 'To' phone number is required.")
    if not body:
        raise TwilioRefusalError(400, 21602, "Message body is required.")
    if not _is_reachable(to, call.world.credentials.test_mobile_number):
        raise TwilioRefusalError(400, 21211, "Invalid 'To' Phone Number")
    if len(body) > 1600:
        raise TwilioRefusalError(400, 21617, "The concatenated message body exceeds the 1600 character limit.")
    if sender != call.world.credentials.sender_number or not provider["sender_in_account"]:
        raise TwilioRefusalError(
            400,
            21606,
            "The 'From' phone number provided is not a valid, SMS-capable inbound phone number or short code "
            "for your account.",
        )
    return _queue(call, to, sender, body, provider["carrier_errors"])


def _queue(call: TwilioCall, to: str, sender: str, body: str, carrier_errors: list[int]) -> Row:
    """Queue a text. It ends with the next of the carriers' errors, in turn, or with delivery if there are none."""
    error = 0
    if carrier_errors:
        count = call.connection.execute("select count(*) as texts from twin.texts").fetchone()
        error = carrier_errors[(count["texts"] if count else 0) % len(carrier_errors)]
    sending_at = call.now + seconds(0.3)
    sent_at = sending_at + seconds(0.7)
    done_at = sent_at + seconds(random.uniform(1, 3))  # noqa: S311 no secret
    segments = segments_of(body)
    text = call.connection.execute(
        """insert into twin.texts (sid, created_at, sending_at, sent_at, done_at, billed_at, final_status, error_code,
               to_number, from_number, body, segments, price)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning *""",
        [
            new_sid(),
            call.now,
            sending_at,
            sent_at,
            done_at,
            done_at + timedelta(minutes=2),
            "undelivered" if error else "delivered",
            error or None,
            to,
            sender,
            body,
            segments,
            segments * SEGMENT_PRICE,
        ],
    ).fetchone()
    assert text is not None  # noqa: S101 an insert that returns nothing raises
    return text


def _is_reachable(number: str, test_number: str) -> bool:
    """Whether the twin takes texts for `number`: a valid one, or the one that the sandbox keeps for tests."""
    if number == test_number:
        return True
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(parsed) and not _DRAMA.fullmatch(number)


def add_alert(
    connection: Connection, at: datetime, code: int, text: str, url: str, resource_sid: str | None = None
) -> None:
    """Write one row of Twilio's debugger."""
    connection.execute(
        """insert into twin.alerts (sid, error_code, text, resource_sid, request_url, at)
           values (%s, %s, %s, %s, %s, %s)""",
        [new_sid("NO"), str(code), text, resource_sid, url, at],
    )


# Status callbacks ----------------------------------------------------------------------------------------


def signature(auth_token: str, url: str, form: dict[str, str]) -> str:
    """Return Twilio's `X-Twilio-Signature`: HMAC-SHA1 over the URL and the sorted form fields."""
    text = url + "".join(f"{key}{form[key]}" for key in sorted(form))
    digest = hmac.new(auth_token.encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def post_callbacks(world: World, session: requests.Session) -> None:
    """Post each status callback that is due: one when a text is sent and one when it ends."""
    now = world.now()
    with world.connection() as connection:
        provider = connection.execute("select status_callback from twin.provider").fetchone()
        if provider is None or provider["status_callback"] is None:
            return
        due = connection.execute(
            """select * from twin.texts where created_at > %(now)s - interval '1 hour'
                   and (callbacks_posted = 0 and sent_at <= %(now)s or callbacks_posted = 1 and done_at <= %(now)s)
               order by created_at""",
            {"now": now},
        ).fetchall()
        for text in due:
            status = "sent" if text["callbacks_posted"] == 0 else text["final_status"]
            connection.execute(
                "update twin.texts set callbacks_posted = callbacks_posted + 1 where sid = %s", [text["sid"]]
            )
            answer = _post_callback(world, session, provider["status_callback"], text, status)
            if not 200 <= answer < 300:
                message = f"HTTP retrieval failure: got HTTP {answer} response"
                add_alert(connection, now, 11200, message, provider["status_callback"], text["sid"])


def _post_callback(world: World, session: requests.Session, url: str, text: Row, status: str) -> int:
    """Post one callback; return the HTTP status, or 502 as Twilio notes it when there was no answer."""
    form = {
        "AccountSid": world.credentials.twilio_account_sid,
        "ApiVersion": "2010-04-01",
        "From": text["from_number"],
        "MessageSid": text["sid"],
        "MessageStatus": status,
        "SmsSid": text["sid"],
        "SmsStatus": status,
        "To": text["to_number"],
    }
    if status in ("failed", "undelivered") and text["error_code"]:
        form["ErrorCode"] = str(text["error_code"])
    headers = {
        "X-Twilio-Signature": signature(world.credentials.twilio_auth_token, url, form),
        "User-Agent": "TwilioProxy/1.1",
    }
    try:
        return session.post(url, data=form, headers=headers, timeout=_CALLBACK_TIMEOUT_SECONDS).status_code
    except requests.RequestException:
        return 502


# Routes and authorisation --------------------------------------------------------------------------------


def routes(world: World) -> list[BaseRoute]:
    """Return the twin's routes: `https://api.twilio.com` at the root, `https://monitor.twilio.com` at `/monitor`."""

    def route(method: str, path: str, handler: Handler) -> Route:
        def endpoint(request: Request) -> Response:
            return answer(world, request, _authorise, TwilioCall, handler)

        return Route(path, endpoint, methods=[method])

    account = "/2010-04-01/Accounts/{account}"
    return [
        route("GET", f"{account}.json", _account),
        route("GET", f"{account}/Messages.json", _list),
        route("POST", f"{account}/Messages.json", _send),
        route("GET", f"{account}/Messages/{{sid}}.json", _one),
        route("GET", f"{account}/Balance.json", _balance),
        route("GET", f"{account}/Usage/Records/Today.json", _usage_today),
        route("GET", "/monitor/v1/Alerts", _alerts),
    ]


def _authorise(world: World, request: Request) -> None:
    """Check the account and its token, then that the path is about the same account."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = password = ""
    ours = (world.credentials.twilio_account_sid, world.credentials.twilio_auth_token)
    if scheme.lower() != "basic" or (user, password) != ours:
        raise TwilioRefusalError(401, 20003, "Authenticate")
    account = request.path_params.get("account")
    if account not in (None, world.credentials.twilio_account_sid):
        raise TwilioRefusalError(404, 20404, "The requested resource was not found")
