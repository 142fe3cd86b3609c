"""A twin of the booking app: it behaves as the code of the commit that its hostname serves.

It is a client like the real one: it sends through Twilio's API and writes through the Data API, both over HTTP, with
the credentials that were baked into the serving deployment. An error there is an
error here, and the twin ignores those that the real code ignores.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from uuid import UUID

import phonenumbers
import requests
from requests.adapters import HTTPAdapter
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox import twilio_twin, vercel_twin
from lib.sandbox.twin_helpers import Json, milliseconds, new_id, read_form, read_json
from lib.sandbox.world import Row, World

INITIATE = "/api/bookings/initiate"
LINK_LIFE = timedelta(hours=24)
COST_PER_SEGMENT = 0.04  # the app's own guess
TWILIO_ENV = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_PHONE_NUMBER")
SUPABASE_ENV = ("NEXT_PUBLIC_SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY")
JOB_TYPE = "update_customer_stats"  # queued for each confirmed booking
WEBHOOK_URL_ENV = "TWILIO_WEBHOOK_URL"
USER_AGENT = "lantern-arms-booking"

_TIMEOUT_SECONDS = 10
_PLACEHOLDER_NAME = ("Guest", "")


class DataError(Exception):
    """The Data API refused. `code` is PostgREST's or Postgres' own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BookingAppRefusalError(Exception):
    """An error answer of the app: `{"success": false, "error": {"code", "message"}}`."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"success": False, "error": {"code": code, "message": message}}


@dataclass(frozen=True, slots=True)
class Data:
    """The Data API as the app uses it, with its service key."""

    session: requests.Session
    url: str
    key: str

    def rows(self, table: str, **filters: str) -> list[Row]:
        """Select whole rows; a filter is `column="operator.value"`."""
        return self._call("GET", table, filters)

    def count(self, table: str, **filters: str) -> int:
        answer = self._answer("HEAD", table, filters, prefer="count=exact")
        total = answer.headers.get("content-range", "").rpartition("/")[2]
        if not answer.ok or not total.isdigit():
            raise DataError(str(answer.status_code), f"{table} could not be counted")
        return int(total)

    def insert(self, table: str, row: Mapping[str, Json]) -> Row:
        return self._call("POST", table, {}, row)[0]

    def update(self, table: str, changes: Mapping[str, Json], **filters: str) -> list[Row]:
        return self._call("PATCH", table, filters, changes)

    def _call(self, method: str, table: str, filters: Mapping[str, str], body: Json = None) -> list[Row]:
        answer = self._answer(method, table, filters, body, prefer="return=representation")
        try:
            content = answer.json()
        except ValueError:
            raise DataError(str(answer.status_code), "The Data API did not answer with JSON.") from None
        if not answer.ok:
            raise DataError(str(content.get("code")), str(content.get("message")))
        return list(content)

    def _answer(
        self, method: str, table: str, filters: Mapping[str, str], body: Json = None, *, prefer: str
    ) -> requests.Response:
        headers = {"apikey": self.key, "Authorization": f"Bearer {self.key}", "Prefer": prefer}
        try:
            return self.session.request(
                method,
                f"{self.url}/rest/v1/{table}",
                params=dict(filters),
                json=body,
                headers=headers,
                timeout=_TIMEOUT_SECONDS,
            )
        except requests.RequestException as error:
            raise DataError("network", type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to the app, with the deployment that answers it."""

    world: World
    request: Request
    session: requests.Session
    deployment: Row
    now: datetime

    @property
    def env(self) -> dict[str, str]:
        """The environment baked into the deployment that serves this request."""
        return dict(self.deployment["env"])

    @property
    def base(self) -> str:
        """The app's own address as this build knows it, without a trailing slash."""
        return self.env.get("NEXT_PUBLIC_APP_URL", f"{self.world.base_url}/app")

    @property
    def data(self) -> Data:
        missing = [name for name in SUPABASE_ENV if name not in self.env]
        if missing:
            raise DataError("config", f"{missing[0]} is not set")
        return Data(self.session, self.env[SUPABASE_ENV[0]], self.env[SUPABASE_ENV[1]])


Handler = Callable[[Visit], Response]


# Initiating a booking ------------------------------------------------------------------------------------


def _initiate(visit: Visit) -> Response:
    started = time.perf_counter()
    try:
        key = _authorised_key(visit)
    except BookingAppRefusalError as refusal:  # 401, 403 and 429 return before usage is logged
        return JSONResponse(refusal.body, refusal.status)
    except DataError:
        return _system_error()
    try:
        answer, status = _booked(visit, key), 201
    except BookingAppRefusalError as refusal:
        answer, status = refusal.body, refusal.status
    except DataError:
        answer = BookingAppRefusalError(500, "DATABASE_ERROR", "Failed to create the pending booking").body
        status = 500
    usage = {
        "api_key_id": key["id"],
        "endpoint": INITIATE,
        "method": "POST",
        "status_code": status,
        "response_time_ms": round((time.perf_counter() - started) * 1000),
    }
    _swallowing_errors(lambda: visit.data.insert("api_usage", usage))
    return JSONResponse(answer, status)


def _authorised_key(visit: Visit) -> Row:
    """Return the caller's key. Raises 401, 403 or 429."""
    headers = visit.request.headers
    given = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
    digest = hashlib.sha256(given.encode()).hexdigest()
    found = visit.data.rows("api_keys", key_hash=f"eq.{digest}", is_active="is.true") if given else []
    if not found:
        raise BookingAppRefusalError(401, "UNAUTHORIZED", "Invalid or missing API key")
    key = found[0]
    if not {"write:bookings", "*"} & set(key["permissions"] or []):
        raise BookingAppRefusalError(403, "FORBIDDEN", "Insufficient permissions")
    an_hour_ago = (visit.now - timedelta(hours=1)).isoformat()
    used = visit.data.count("api_usage", api_key_id=f"eq.{key['id']}", created_at=f"gte.{an_hour_ago}")
    if key["rate_limit"] is not None and used >= key["rate_limit"]:
        raise BookingAppRefusalError(429, "RATE_LIMIT_EXCEEDED", "Rate limit exceeded")
    visit.data.update("api_keys", {"last_used_at": visit.now.isoformat()}, id=f"eq.{key['id']}")
    return key


def _booked(visit: Visit, key: Row) -> dict[str, Json]:
    """Create the pending booking and its link, send the text, record it; return the body of the 201."""
    body = read_json(visit.request)
    mobile = _e164(str(body.get("mobile_number", "")))
    event, seats_left = _bookable_event(visit.data, str(body.get("event_id", "")))
    customer = _customer(visit.data, mobile)
    known = customer is not None
    if customer is not None and (customer["sms_opt_in"] is False or customer["messaging_status"] == "opted_out"):
        raise BookingAppRefusalError(400, "SMS_OPT_OUT", "This customer has opted out of SMS messages")
    if customer is None and visit.deployment["records_texts"] == "with_customer":
        customer = _new_customer(visit.data, mobile, *_PLACEHOLDER_NAME)
    expires_at = visit.now + LINK_LIFE
    pending = visit.data.insert(
        "pending_bookings",
        {
            "event_id": event["id"],
            "mobile_number": mobile,
            "customer_id": customer["id"] if customer else None,
            "expires_at": expires_at.isoformat(),
            "initiated_by_api_key": key["id"],
        },
    )
    page = f"{visit.base}/booking-confirmation/{pending['token']}"
    short = _short_link(visit, page, event)
    name = customer["first_name"] if known and customer else "there"
    text = confirmation_text(name, event["name"], str(event["date"]), event["time"], short)
    sid = _send(visit, mobile, text)
    if sid is not None:
        _record(visit, pending, customer, sid, mobile, text)
    return {
        "status": "pending",
        "booking_token": pending["token"],
        "confirmation_url": page,
        "expires_at": expires_at.isoformat(),
        "event": {
            **{name: event[name] for name in ("id", "name", "date", "time")},
            "available_seats": seats_left,
        },
        "customer_exists": known,
        "sms_sent": sid is not None,
    }


def _e164(number: str) -> str:
    try:
        parsed = phonenumbers.parse(number, "GB")
    except phonenumbers.NumberParseException:
        raise BookingAppRefusalError(400, "VALIDATION_ERROR", "Invalid mobile number") from None
    if not phonenumbers.is_possible_number(parsed):
        raise BookingAppRefusalError(400, "VALIDATION_ERROR", "Invalid mobile number")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _bookable_event(data: Data, event_id: str) -> tuple[Row, int | None]:
    """Return the event and its free seats, or None where it has no limit."""
    try:
        UUID(event_id)
    except ValueError:
        raise BookingAppRefusalError(400, "VALIDATION_ERROR", "event_id must be a UUID") from None
    found = data.rows("events", id=f"eq.{event_id}")
    if not found:
        raise BookingAppRefusalError(404, "NOT_FOUND", "Event not found")
    event = found[0]
    if event["event_status"] != "scheduled":
        raise BookingAppRefusalError(400, "EVENT_NOT_AVAILABLE", "Event is not available for booking")
    if event["capacity"] is None:
        return event, None
    taken = sum(row["seats"] or 0 for row in data.rows("bookings", event_id=f"eq.{event_id}", select="seats"))
    if taken >= event["capacity"]:
        raise BookingAppRefusalError(400, "EVENT_FULL", "Event is fully booked")
    return event, event["capacity"] - taken


def _customer(data: Data, mobile: str) -> Row | None:
    national = "0" + mobile.removeprefix("+44")
    found = data.rows("customers", mobile_number=f'in.("{mobile}","{national}")', limit="1")
    return found[0] if found else None


def _new_customer(data: Data, mobile: str, first_name: str, last_name: str) -> Row:
    names = {"first_name": first_name, "last_name": last_name}
    return data.insert("customers", {**names, "mobile_number": mobile, "sms_opt_in": True})


def _short_link(visit: Visit, destination: str, event: Row) -> str:
    code = new_id("", 6)
    visit.data.insert(
        "short_links",
        {
            "short_code": code,
            "destination_url": destination,
            "link_type": "booking_confirmation",
            "metadata": {"type": "booking_confirmation", "event_id": event["id"]},
            "expires_at": (visit.now + LINK_LIFE).isoformat(),
        },
    )
    return f"{visit.base}/l/{code}"


def confirmation_text(first_name: str, event: str, date: str, at: str, link: str) -> str:
    """Return the text that asks a customer to confirm."""
    return f"The Lantern Arms: Hi {first_name}, please confirm your booking for {event} on {date} at {at}: {link}"


def _send(visit: Visit, to: str, text: str) -> str | None:
    """Send a text and return its SID; None if Twilio is not configured in this build or did not take it."""
    if any(name not in visit.env for name in TWILIO_ENV):
        return None
    account, token, sender = (visit.env[name] for name in TWILIO_ENV)
    try:
        answer = visit.session.post(
            f"{visit.world.base_url}/twilio/2010-04-01/Accounts/{account}/Messages.json",
            data={"To": to, "From": sender, "Body": text},
            auth=(account, token),
            timeout=_TIMEOUT_SECONDS,
        )
        return str(answer.json()["sid"]) if answer.ok else None
    except (requests.RequestException, ValueError, KeyError):
        return None  # the real code logs it and answers 201 all the same


def guessed_segments(text: str) -> int:
    """The app's own idea of how many segments a text has, wrong for anything beyond GSM-7."""
    return max(1, math.ceil(len(text) / 153))


def _record(visit: Visit, pending: Row, customer: Row | None, sid: str, to: str, text: str) -> None:
    """Record the sent text the way this commit does. It ignores whether that worked."""
    segments = guessed_segments(text)
    sms = {
        "body": text,
        "from_number": visit.env["TWILIO_PHONE_NUMBER"],
        "to_number": to,
        "segments": segments,
        "cost_usd": round(segments * COST_PER_SEGMENT, 4),
        "sent_at": visit.now.isoformat(),
    }
    if visit.deployment["records_texts"] == "on_pending":
        metadata = {"initial_sms": {"message_sid": sid, **sms}}
        changes = {"metadata": metadata, "updated_at": visit.now.isoformat()}
        _swallowing_errors(lambda: visit.data.update("pending_bookings", changes, id=f"eq.{pending['id']}"))
    else:
        customer_id = customer["id"] if customer else None
        row = _message(sid, sms, customer_id, "queued")
        _swallowing_errors(lambda: visit.data.insert("messages", row))


def _message(sid: str, sms: Mapping[str, Json], customer_id: str | None, status: str) -> dict[str, Json]:
    return {
        "customer_id": customer_id,
        "direction": "outbound",
        "message_sid": sid,
        "twilio_message_sid": sid,
        "status": status,
        "twilio_status": status,
        "message_type": "sms",
        **{key: value for key, value in sms.items() if key != "message_sid"},
    }


def _swallowing_errors(write: Callable[[], object]) -> None:
    """Run a write whose failure the real code ignores: this is the fault that the twin is there to show."""
    try:
        write()
    except DataError:
        return


# Confirming ----------------------------------------------------------------------------------------------


def _confirm(visit: Visit) -> Response:
    body = read_json(visit.request)
    try:
        return JSONResponse({"success": True, "booking_id": _confirmed(visit, body)})
    except BookingAppRefusalError as refusal:
        return JSONResponse(refusal.body, refusal.status)
    except DataError:
        return JSONResponse(BookingAppRefusalError(500, "DATABASE_ERROR", "Failed to confirm the booking").body, 500)


def _confirmed(visit: Visit, body: Mapping[str, Json]) -> str:
    """Turn the pending booking of the token into a booking; return its id."""
    pending = _pending(visit.data, str(body.get("token", "")))
    if pending is None:
        raise BookingAppRefusalError(404, "NOT_FOUND", "Booking not found")
    if pending["confirmed_at"] is not None:
        raise BookingAppRefusalError(400, "VALIDATION_ERROR", "This booking has already been confirmed")
    if datetime.fromisoformat(pending["expires_at"]) < visit.now:
        raise BookingAppRefusalError(400, "VALIDATION_ERROR", "This link has expired")
    first, last = str(body.get("first_name") or "Guest"), str(body.get("last_name") or "")
    if pending["customer_id"] is None:
        customer_id = _new_customer(visit.data, pending["mobile_number"], first, last)["id"]
    else:
        customer_id = pending["customer_id"]
        placeholder = {"id": f"eq.{customer_id}", "first_name": f"eq.{_PLACEHOLDER_NAME[0]}"}
        visit.data.update("customers", {"first_name": first, "last_name": last}, **placeholder)
    seats = int(body.get("seats") or 1)
    booking = visit.data.insert(
        "bookings", {"customer_id": customer_id, "event_id": pending["event_id"], "seats": seats}
    )
    confirmed = {
        "confirmed_at": visit.now.isoformat(),
        "booking_id": booking["id"],
        "customer_id": customer_id,
        "seats": seats,
    }
    visit.data.update("pending_bookings", confirmed, id=f"eq.{pending['id']}")
    sms = (pending.get("metadata") or {}).get("initial_sms")
    if visit.deployment["records_texts"] == "on_pending" and sms:
        # The app assumes delivery; it does not ask Twilio.
        message = _message(sms["message_sid"], sms, customer_id, "delivered")
        _swallowing_errors(lambda: visit.data.insert("messages", message))
    audit = {
        "operation_type": "create",
        "resource_type": "booking",
        "resource_id": booking["id"],
        "operation_status": "success",
    }
    _swallowing_errors(lambda: visit.data.insert("audit_logs", audit))
    job = {"type": JOB_TYPE, "payload": {"booking_id": booking["id"]}, "scheduled_for": visit.now.isoformat()}
    _swallowing_errors(lambda: visit.data.insert("background_jobs", job))
    return str(booking["id"])


def _pending(data: Data, token: str) -> Row | None:
    try:
        UUID(token)
    except ValueError:
        return None
    found = data.rows("pending_bookings", token=f"eq.{token}")
    return found[0] if found else None


# Twilio's webhook ----------------------------------------------------------------------------------------


def _webhook(visit: Visit) -> Response:
    form = read_form(visit.request)
    try:
        return _handled_webhook(visit, form)
    except DataError:
        return _system_error()


def _handled_webhook(visit: Visit, form: dict[str, str]) -> Response:
    sid, status = form.get("MessageSid", ""), form.get("MessageStatus", "")

    def note(outcome: str, error: str | None = None, message_id: str | None = None) -> None:
        log = {
            "webhook_type": "twilio",
            "status": outcome,
            "error_message": error,
            "params": form,
            "message_sid": sid,
            "from_number": form.get("From"),
            "to_number": form.get("To"),
            "message_id": message_id,
        }
        visit.data.insert("webhook_logs", log)

    note("received")
    # The app must sign the exact address that Twilio called; a wrong one in its environment refuses everything.
    url, token = visit.env.get(WEBHOOK_URL_ENV, ""), visit.env.get("TWILIO_AUTH_TOKEN", "")
    expected = twilio_twin.signature(token, url, form)
    if not hmac.compare_digest(expected, visit.request.headers.get("x-twilio-signature", "")):
        note("signature_failed", "Invalid Twilio signature")
        return JSONResponse({"error": "Unauthorized"}, 401)
    changes: dict[str, Json] = {"twilio_status": status, "error_code": form.get("ErrorCode")}
    if status in ("delivered", "failed", "sent"):  # nothing is set for "undelivered"
        changes[f"{status}_at"] = visit.now.isoformat()
    found = visit.data.update("messages", changes, message_sid=f"eq.{sid}") if sid else []
    if found:
        receipt = {"message_id": found[0]["id"], "status": status, "error_code": form.get("ErrorCode")}
        visit.data.insert("message_delivery_status", {**receipt, "raw_webhook_data": form})
        note("success", message_id=found[0]["id"])
    elif _is_deferred(visit, sid):
        note("success")  # its row will be written when the customer confirms
    else:
        note("error", "Message not found")
    return Response(status_code=200)


def _is_deferred(visit: Visit, sid: str) -> bool:
    """Whether the text is remembered on its pending booking."""
    if visit.deployment["records_texts"] != "on_pending":
        return False
    path = {"metadata->initial_sms->>message_sid": f"eq.{sid}"}
    try:
        return bool(visit.data.rows("pending_bookings", select="id", **path))
    except DataError:
        return False


# Pages ---------------------------------------------------------------------------------------------------


def _short(visit: Visit) -> Response:
    code = visit.request.path_params["code"]
    try:
        found = visit.data.rows("short_links", short_code=f"eq.{code}")
        if not found:
            return _page(visit, "This link does not exist.", 404)
        link = found[0]
        visit.data.update("short_links", {"click_count": (link["click_count"] or 0) + 1}, id=f"eq.{link['id']}")
        agent = visit.request.headers.get("user-agent", "")
        visit.data.insert("short_link_clicks", {"short_link_id": link["id"], "user_agent": agent})
    except DataError:
        return _page(visit, "Something went wrong.", 500)
    return RedirectResponse(link["destination_url"], 307)


def _confirmation(visit: Visit) -> Response:
    token = visit.request.path_params["token"]
    if visit.deployment["confirmation_needs_login"]:
        return RedirectResponse(f"{visit.base}/auth/login?redirectedFrom=/booking-confirmation/{token}", 307)
    try:
        pending = _pending(visit.data, token)
    except DataError:
        return _page(visit, "Something went wrong.", 500)
    if pending is None:
        return _page(visit, "This booking does not exist.", 404)
    return _page(visit, "Confirm your booking")


def _login(visit: Visit) -> Response:
    return _page(visit, "Sign in to The Lantern Arms")


def _home(visit: Visit) -> Response:
    return _page(visit, "The Lantern Arms: book a table")


def _page(visit: Visit, message: str, status: int = 200) -> Response:
    message = escape(message)
    return HTMLResponse(
        f'<!doctype html><html lang="en" data-dpl-id="{visit.deployment["id"]}">'
        f"<head><title>{message}</title></head><body><h1>{message}</h1></body></html>",
        status,
    )


def _system_error() -> Response:
    return JSONResponse(BookingAppRefusalError(500, "SYSTEM_ERROR", "An unexpected error occurred").body, 500)


# Routes --------------------------------------------------------------------------------------------------


def new_session() -> requests.Session:
    """Return a session that many threads may share and that ignores the proxy settings of this computer."""
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", HTTPAdapter(pool_connections=4, pool_maxsize=32))
    session.headers["User-Agent"] = USER_AGENT
    return session


def routes(world: World) -> list[BaseRoute]:
    """Return the app's routes."""
    session = new_session()

    def route(method: str, path: str, handler: Handler) -> Route:
        def endpoint(request: Request) -> Response:
            now = world.now()
            response = _served(world, request, session, handler, now)
            request_id = f"{secrets.token_hex(3)}-{milliseconds(now)}-{secrets.token_hex(6)}"
            response.headers["server"] = "Vercel"
            response.headers["x-vercel-id"] = f"lhr1::lhr1::{request_id}"
            response.headers["x-vercel-cache"] = "MISS"
            response.headers["cache-control"] = "private, no-cache, no-store, max-age=0"
            return response

        return Route(path, endpoint, methods=[method])

    return [
        route("GET", "/", _home),
        route("GET", "/auth/login", _login),
        route("GET", "/l/{code}", _short),
        route("GET", "/booking-confirmation/{token}", _confirmation),
        route("POST", INITIATE, _initiate),
        route("POST", "/api/bookings/confirm", _confirm),
        route("POST", "/api/webhooks/twilio", _webhook),
    ]


def _served(world: World, request: Request, session: requests.Session, handler: Handler, now: datetime) -> Response:
    """Let the deployment answer that the requested hostname serves; on loopback that is the main hostname."""
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    with world.connection() as connection:
        deployment = vercel_twin.serving(connection, now, host.partition(":")[0]) or vercel_twin.serving(
            connection, now, world.credentials.production_hostname
        )
    if deployment is None:
        error = {"x-vercel-error": "DEPLOYMENT_NOT_FOUND"}
        return HTMLResponse("The deployment could not be found on Vercel.", 404, headers=error)
    return handler(Visit(world, request, session, deployment, now))
