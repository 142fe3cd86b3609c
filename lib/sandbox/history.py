"""Thirty days of bookings, as the systems would remember them: written straight into their tables.

Every booking follows the code that served at its time (`releases`) and the circumstances of its time (`Circumstances`),
so that what the tables say agrees from one system to the next, as it does for live traffic.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from lib.sandbox import twilio_twin
from lib.sandbox.booking_app_twin import (
    COST_PER_SEGMENT,
    INITIATE,
    JOB_TYPE,
    LINK_LIFE,
    confirmation_text,
    guessed_segments,
)
from lib.sandbox.releases import Releases, Served
from lib.sandbox.twin_helpers import insert, new_id, seconds
from lib.sandbox.world import Connection, Row, World

DAYS = 30
BOOKINGS_TODAY = 10
NEWEST = timedelta(minutes=18)
# No booking lies at either end of a day, so that a window of whole days holds the same ones for a while.
_DAY_BEGINS, _DAY_ENDS = timedelta(minutes=24), timedelta(hours=23, minutes=12)
_BUSINESS = ZoneInfo("Europe/London")
_QUIET_HOURS_SHARE = 0.02  # of what an open hour brings
_OPEN = range(10, 22)
KEY_ID = UUID("00000000-0000-4000-8000-00000000a001")

# Some names are hostile on purpose: markup, formulas, links.
REGULARS = (
    ("Margaret", "Whitlock"),
    ("Tom", "Ashby"),
    ("Aoife", "Byrne"),
    ("Dev", "Patel"),
    ("<script>alert('planted')</script>", "Smith"),
    ("**Bold** [click](https://planted.example)", "Jones"),
    ('=HYPERLINK("https://planted.example")', "Brown"),
    ("Zoë", "O’Neill"),
    ("$\\LaTeX$ :red[planted]", "Green"),
)
NEWCOMERS = (
    "Alice",
    "Ben",
    "Chloe",
    "Daniel",
    "Ella",
    "Finn",
    "Grace",
    "Harry",
    "Isla",
    "Jack",
    "Kezia",
    "Liam",
    "Mia",
    "Noah",
    "Olivia",
    "Poppy",
    "Quentin",
    "Rosie",
    "Sophie",
    "Theo",
    "Uma",
    "Victor",
    "Willow",
    "Zara",
)
SURNAMES = ("Hughes", "Khan", "Marsh", "Okafor", "Price", "Reid", "Stone", "Turner", "Webb", "Young")
EVENTS = (  # name, days from today, time, capacity
    ("Quiz Night", -24, "19:30", 60),
    ("Burns Supper", -15, "19:00", 40),
    ("Sunday Roast", -6, "12:30", 80),
    ("Quiz Night", 4, "19:30", 5000),
    ("Sunday Roast", 8, "12:30", 5000),
    ("Gin Tasting", 12, "19:00", 5000),
    ("Open Mic", 17, "20:00", 5000),
)
_PREFIXES = ("400", "411", "512", "725", "810", "932", "984")


def mobile_number(random_: random.Random) -> str:
    """Return a plausible UK mobile number: valid, and never of the range for drama."""
    return f"+447{random_.choice(_PREFIXES)}{random_.randrange(1_000_000):06}"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What happened to the bookings of a time, besides the code that served. The defaults are a healthy flow."""

    key_accepted: bool = True  # if not, the caller got 401 and nothing was written anywhere
    link_made: bool = True  # if not, the caller got 500 and only the pending booking is left
    sent: bool = True
    refusal: tuple[int, str] | None = None  # Twilio's error code and message, where it refused
    carrier_errors: tuple[int, ...] = ()  # in turn; 0 is delivered
    record_refused_with: tuple[str, str] | None = None  # SQLSTATE or PostgREST code, and message
    receipts_accepted: bool = True
    jobs_run: bool = True


@dataclass(frozen=True, slots=True)
class Guest:
    """One booking, decided before it is written. `number` counts those that came after it."""

    number: int
    at: datetime
    mobile: str
    first_name: str
    last_name: str
    regular: UUID | None
    event: int
    code: str


class HistoryBuilder:
    """An empty world with its clock stopped, which a scenario fills with a past."""

    def __init__(self, connection: Connection, world: World) -> None:
        self.connection = connection
        self.world = world
        self.now = world.now()
        self.random = random.Random(3)  # noqa: S311 - the same past every time
        self.releases = Releases(connection, world, self.now)
        self._rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
        self._changed: tuple[datetime, Circumstances] | None = None
        self.moments = self._moments()
        self._events = [self._id("event", index) for index in range(len(EVENTS))]
        self._events[3] = UUID(world.credentials.test_event_id)
        self._regulars = [self._id("regular", index) for index in range(len(REGULARS))]
        connection.execute(
            "insert into twin.provider (seeded_at, status_callback) values (%s, %s)",
            [self.now, f"{world.base_url}/app/api/webhooks/twilio"],
        )
        connection.execute("insert into twin.app default values")

    def ago(self, **length: float) -> datetime:
        return self.now - timedelta(**length)

    def just_before_newest(self, bookings: int) -> datetime:
        """Return the moment after which exactly that many bookings came in."""
        older, newer = self.moments[-bookings - 1], self.moments[-bookings]
        return older + (newer - older) / 2

    def migrate(self, at: datetime, name: str, *statements: str) -> None:
        """Change the booking database, on record like any migration, as if it had been done at `at`."""
        for statement in statements:
            self.connection.execute(statement.encode())
        self.connection.execute(
            "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
            [f"{at:%Y%m%d%H%M%S}", name, list(statements)],
        )

    def let_few_book(self) -> None:
        """Let one person a day have booked, and nobody in the last 24 hours: a day without is nothing unusual."""
        by_day = {(self.now - at).days: at for at in self.moments if at < self.ago(hours=24)}
        self.moments = sorted(by_day.values())

    # The bookings ----------------------------------------------------------------------------------------

    def write_history(self, since: datetime | None = None, changed: Circumstances | None = None) -> None:
        """Write all bookings: under good circumstances, and from `since` on under `changed` ones."""
        if since is not None and changed is not None:
            self._changed = since, changed
        self._write_people_and_events()
        # Numbered from the newest, so that the newest are the same at every hour of the day.
        for number, at in zip(reversed(range(len(self.moments))), self.moments, strict=True):
            served = self.releases.at(at)
            self.random.seed(number)  # so that one booking changes nothing for the next
            self._write_booking(self._guest(number, at, served), served, self._circumstances(at))
        self._write_key()
        for table in _TABLES:
            insert(self.connection, table, self._rows[table])

    def _circumstances(self, at: datetime) -> Circumstances:
        if self._changed is not None and at >= self._changed[0]:
            return self._changed[1]
        return Circumstances()

    def _moments(self) -> list[datetime]:
        """When people booked, oldest first: by day, mostly in opening hours."""
        moments = [self.now - NEWEST]
        for day in range(DAYS):
            wanted = BOOKINGS_TODAY - 1 if day == 0 else self.random.choice((6, 7, 8, 8, 9, 10))
            while wanted:
                before = _DAY_BEGINS + (_DAY_ENDS - _DAY_BEGINS) * self.random.random()
                at = self.now - timedelta(days=day) - before
                share = 1.0 if at.astimezone(_BUSINESS).hour in _OPEN else _QUIET_HOURS_SHARE
                if self.random.random() < share:
                    moments.append(at)
                    wanted -= 1
        return sorted(moments)

    def _guest(self, number: int, at: datetime, served: Served) -> Guest:
        # Code that loses the texts of new customers shows only where new customers book.
        regular = self.random.random() < 0.25 and served.records_texts != "without_customer"
        who = self.random.randrange(len(REGULARS))
        first, last = REGULARS[who] if regular else (self.random.choice(NEWCOMERS), self.random.choice(SURNAMES))
        upcoming = [index for index, event in enumerate(EVENTS) if self._event_day(index) > at.date()]
        return Guest(
            number,
            at,
            _regular_number(who) if regular else mobile_number(self.random),
            first,
            last,
            self._regulars[who] if regular else None,
            upcoming[0] if self.random.random() < 0.6 else self.random.choice(upcoming),
            new_id("", 6),
        )

    def _write_booking(self, guest: Guest, served: Served, so: Circumstances) -> None:
        if not so.key_accepted:
            return
        self._use(guest, 201 if so.link_made else 500)
        pending = self._pending(guest, served)
        self._request("POST", "pending_bookings", 201, guest.at)
        if not so.link_made:
            self._request("POST", "short_links", 400, guest.at)
            message = 'new row for relation "short_links" violates check constraint "short_links_link_type_check"'
            self._postgres_error("23514", message, guest.at)
            return
        text = self._text(guest, so) if so.sent else None
        arrived = text is not None and text["final_status"] == "delivered"
        if text is None and so.refusal is not None:
            self._alert(guest.at, *so.refusal)
        recorded = self._record(guest, pending, text, served, so) if text else None
        opened = arrived and self.random.random() < 0.8
        self._link(guest, pending, opened)
        confirmed_at = guest.at + timedelta(minutes=2 + 10 * self.random.random())
        # Who asked shortly before a release sees the page that came with it.
        page = self.releases.at(confirmed_at)
        goes_on = opened and not page.confirmation_needs_login and self.random.random() < 0.85
        if text is not None:
            self._receipts(text, pending, recorded, so)
            if goes_on and confirmed_at < self.now - timedelta(minutes=1):
                self._confirm(guest, pending, confirmed_at, text)

    def _pending(self, guest: Guest, served: Served) -> Row:
        customer_id = guest.regular
        if customer_id is None and served.records_texts == "with_customer":
            customer_id = self._customer(guest, "Guest", "")
        pending: Row = {
            "id": self._id("pending", guest.number),
            "token": self._id("token", guest.number),
            "event_id": self._events[guest.event],
            "mobile_number": guest.mobile,
            "customer_id": customer_id,
            "seats": None,
            "expires_at": guest.at + LINK_LIFE,
            "confirmed_at": None,
            "booking_id": None,
            "initiated_by_api_key": KEY_ID,
            "created_at": guest.at,
            "updated_at": guest.at,
            "metadata": None,
        }
        self._add("pending_bookings", pending)
        return pending

    def _text(self, guest: Guest, so: Circumstances) -> Row:
        created_at = guest.at + seconds(0.4)
        sent_at = created_at + seconds(1 + 2 * self.random.random())
        done_at = sent_at + seconds(2 + 8 * self.random.random())
        error = so.carrier_errors[guest.number % len(so.carrier_errors)] if so.carrier_errors else 0
        name, _, at, _ = EVENTS[guest.event]
        link = f"{self.world.base_url}/app/l/{guest.code}"
        greeted = guest.first_name if guest.regular else "there"
        body = confirmation_text(greeted, name, self._event_day(guest.event).isoformat(), at, link)
        segments = twilio_twin.segments_of(body)
        text: Row = {
            "sid": "SM" + _hex("text", guest.number),
            "created_at": created_at,
            "sending_at": created_at + seconds(0.3),
            "sent_at": sent_at,
            "done_at": done_at,
            "billed_at": done_at + timedelta(minutes=4),
            "final_status": "undelivered" if error else "delivered",
            "error_code": error or None,
            "to_number": guest.mobile,
            "from_number": self.world.credentials.sender_number,
            "body": body,
            "segments": segments,
            "price": segments * twilio_twin.SEGMENT_PRICE,
            "callbacks_posted": 2,
        }
        self._add("texts", text, schema="twin")
        return text

    def _record(self, guest: Guest, pending: Row, text: Row, served: Served, so: Circumstances) -> Row | None:
        """Record the text as the serving code did; return the row of `messages`, if that is where it went."""
        if served.records_texts == "on_pending":
            if so.record_refused_with is None:
                known = _as_the_app_knows(text) | {"sent_at": text["created_at"].isoformat()}
                pending["metadata"] = Jsonb({"initial_sms": {"message_sid": text["sid"], **known}})
            self._refusable_write("PATCH", "pending_bookings", guest.at, so.record_refused_with)
            return None
        if pending["customer_id"] is None:
            lost = 'null value in column "customer_id" of relation "messages" violates not-null constraint'
            self._refusable_write("POST", "messages", guest.at, ("23502", lost))
            return None
        self._refusable_write("POST", "messages", guest.at, None)
        return self._message(guest, text, pending["customer_id"], guest.at, "queued")

    def _message(self, guest: Guest, text: Row, customer_id: UUID, at: datetime, status: str) -> Row:
        known = _as_the_app_knows(text)
        message: Row = {
            "id": self._id("message", guest.number),
            "customer_id": customer_id,
            "direction": "outbound",
            "message_sid": text["sid"],
            "twilio_message_sid": text["sid"],
            "status": status,
            "twilio_status": status,
            "message_type": "sms",
            "error_code": None,
            "delivered_at": None,
            "created_at": at,
            "updated_at": at,
            **known,
        }
        self._add("messages", message)
        return message

    def _link(self, guest: Guest, pending: Row, opened: bool) -> None:
        link_id = self._id("link", guest.number)
        page = f"{self.world.base_url}/app/booking-confirmation/{pending['token']}"
        kind = "booking_confirmation"
        link = {
            "id": link_id,
            "short_code": guest.code,
            "destination_url": page,
            "link_type": kind,
            "metadata": Jsonb({"type": kind, "event_id": str(pending["event_id"])}),
            "click_count": int(opened),
            "created_at": guest.at,
            "expires_at": guest.at + LINK_LIFE,
        }
        self._add("short_links", link)
        if opened:
            clicked_at = guest.at + timedelta(minutes=1)
            self._add("short_link_clicks", {"short_link_id": link_id, "user_agent": "Mobile", "clicked_at": clicked_at})

    def _confirm(self, guest: Guest, pending: Row, at: datetime, text: Row) -> None:
        customer_id = pending["customer_id"]
        if customer_id is None:
            customer_id = self._customer(guest, guest.first_name, guest.last_name)
        else:
            self._name_customer(customer_id, guest)
        seats = self.random.choice((1, 2, 2, 2, 3, 4, 6))
        booking_id = self._id("booking", guest.number)
        booking = {"id": booking_id, "customer_id": customer_id, "event_id": pending["event_id"], "seats": seats}
        self._add("bookings", booking | {"created_at": at})
        pending |= {"confirmed_at": at, "booking_id": booking_id, "customer_id": customer_id, "seats": seats}
        if pending["metadata"] is not None:
            self._message(guest, text, customer_id, at, "delivered")
        audit = {"operation_type": "create", "resource_type": "booking", "resource_id": str(booking_id)}
        self._add("audit_logs", audit | {"operation_status": "success", "created_at": at})
        jobs_run = self._circumstances(at).jobs_run
        done_at = at + seconds(40) if jobs_run else None
        job = {
            "type": JOB_TYPE,
            "payload": Jsonb({"booking_id": str(booking_id)}),
            "status": "completed" if jobs_run else "pending",
            "attempts": int(jobs_run),
            "scheduled_for": at,
            "created_at": at,
            "completed_at": done_at,
            "duration_ms": 180 + self.random.randrange(240) if jobs_run else None,
        }
        self._add("background_jobs", job)

    def _receipts(self, text: Row, pending: Row, message: Row | None, so: Circumstances) -> None:
        """Twilio's two callbacks and what the app made of them."""
        for status, at in (("sent", text["sent_at"]), (text["final_status"], text["done_at"])):
            params = {"MessageSid": text["sid"], "MessageStatus": status, "To": text["to_number"]}
            if status == "undelivered":
                params["ErrorCode"] = str(text["error_code"])

            def note(outcome: str, error: str | None = None, at: datetime = at, params: Row = params) -> None:
                log = {
                    "status": outcome,
                    "error_message": error,
                    "params": Jsonb(params),
                    "message_sid": text["sid"],
                    "from_number": text["from_number"],
                    "to_number": text["to_number"],
                    "message_id": message["id"] if message and outcome == "success" else None,
                    "processed_at": at,
                }
                self._add("webhook_logs", log)

            note("received")
            if not so.receipts_accepted:
                note("signature_failed", "Invalid Twilio signature")
                self._alert(at, 11200, "HTTP retrieval failure: got HTTP 401 response", text["sid"])
            elif message is not None:
                note("success")
                message["twilio_status"] = status
                message["error_code"] = params.get("ErrorCode")
                message["delivered_at"] = at if status == "delivered" else None
                receipt = {"message_id": message["id"], "status": status, "error_code": params.get("ErrorCode")}
                self._add("message_delivery_status", receipt | {"raw_webhook_data": Jsonb(params), "created_at": at})
            elif pending["metadata"] is not None:
                note("success")
            else:
                note("error", "Message not found")

    # Rows that belong to no single booking ---------------------------------------------------------------

    def _write_people_and_events(self) -> None:
        for index, (first, last) in enumerate(REGULARS):
            regular = self._regulars[index]
            self._add_customer(regular, first, last, _regular_number(index), self.ago(days=200))
        for index, (name, _, at, capacity) in enumerate(EVENTS):
            event = {
                "id": self._events[index],
                "name": name,
                "date": self._event_day(index),
                "time": at,
                "capacity": capacity,
                "event_status": "scheduled",
                "slug": f"{name.lower().replace(' ', '-')}-{self._event_day(index)}",
                "created_at": self.ago(days=45),
            }
            self._add("events", event)

    def _write_key(self) -> None:
        used = [row["created_at"] for row in self._rows["public", "api_usage"]]
        key = {
            "id": KEY_ID,
            "key_hash": hashlib.sha256(self.world.credentials.booking_api_key.encode()).hexdigest(),
            "name": "Website booking form",
            "permissions": Jsonb(["read:events", "write:bookings"]),
            "rate_limit": 10_000,
            "is_active": True,
            "last_used_at": max(used, default=None),
            "created_at": self.ago(days=300),
        }
        self._add("api_keys", key)

    def _customer(self, guest: Guest, first_name: str, last_name: str) -> UUID:
        customer_id = self._id("customer", guest.number)
        self._add_customer(customer_id, first_name, last_name, guest.mobile, guest.at)
        return customer_id

    def _add_customer(self, customer_id: UUID, first: str, last: str, mobile: str, at: datetime) -> None:
        names = {"id": customer_id, "first_name": first, "last_name": last, "mobile_number": mobile}
        self._add("customers", names | {"sms_opt_in": True, "messaging_status": "active", "created_at": at})

    def _name_customer(self, customer_id: UUID, guest: Guest) -> None:
        newest = self._rows["public", "customers"][-1]
        if newest["id"] == customer_id:  # made a moment ago, without a name
            newest |= {"first_name": guest.first_name, "last_name": guest.last_name}

    def _use(self, guest: Guest, status: int) -> None:
        usage = {"api_key_id": KEY_ID, "endpoint": INITIATE, "method": "POST", "status_code": status}
        took = 350 + self.random.randrange(500)
        self._add("api_usage", usage | {"response_time_ms": took, "created_at": guest.at})

    def _alert(self, at: datetime, code: int, text: str, resource_sid: str | None = None) -> None:
        account = f"/2010-04-01/Accounts/{self.world.credentials.twilio_account_sid}/Messages.json"
        callback = f"{self.world.base_url}/app/api/webhooks/twilio"
        alert = {
            "sid": twilio_twin.new_sid("NO"),
            "error_code": str(code),
            "text": text,
            "resource_sid": resource_sid,
            "request_url": callback if code == 11200 else f"https://api.twilio.com{account}",
            "at": at,
        }
        self._add("alerts", alert, schema="twin")

    def _refusable_write(self, method: str, table: str, at: datetime, refusal: tuple[str, str] | None) -> None:
        if refusal is None:
            self._request(method, table, 201 if method == "POST" else 200, at)
            return
        code, message = refusal
        self._request(method, table, 403 if code == "42501" else 400, at)
        if not code.startswith("PGRST"):  # PostgREST's own refusals never reach Postgres
            self._postgres_error(code, message, at)

    def _request(self, method: str, table: str, status: int, at: datetime) -> None:
        path = f"/rest/v1/{table}"
        attributes = {"request.method": method, "request.path": path, "response.status_code": str(status)}
        self._log_line("edge_logs", "INFO", f"{method} | {status} | {path}", attributes, at)

    def _postgres_error(self, code: str, message: str, at: datetime) -> None:
        attributes = {
            "parsed.sql_state_code": code,
            "parsed.user_name": "authenticator",
            "parsed.error_severity": "ERROR",
        }
        self._log_line("postgres_logs", "ERROR", message, attributes, at)

    def _log_line(self, source: str, severity: str, message: str, attributes: dict[str, str], at: datetime) -> None:
        if at < self.ago(days=1):
            return  # the platform keeps a day
        line = {"at": at, "source_name": source, "severity_text": severity, "event_message": message}
        self._add("log", line | {"log_attributes": Jsonb(attributes)}, schema="platform")

    def _event_day(self, index: int) -> date:
        return self.now.date() + timedelta(days=EVENTS[index][1])

    def _add(self, table: str, row: Row, *, schema: str = "public") -> None:
        self._rows[schema, table].append(row)

    @staticmethod
    def _id(kind: str, number: int) -> UUID:
        return UUID(_hex(kind, number))


_TABLES = (  # those that others refer to come first
    ("public", "api_keys"),
    ("public", "events"),
    ("public", "customers"),
    ("public", "bookings"),
    ("public", "pending_bookings"),
    ("public", "messages"),
    ("public", "message_delivery_status"),
    ("public", "webhook_logs"),
    ("public", "short_links"),
    ("public", "short_link_clicks"),
    ("public", "api_usage"),
    ("public", "audit_logs"),
    ("public", "background_jobs"),
    ("twin", "texts"),
    ("twin", "alerts"),
    ("platform", "log"),
)


def _regular_number(who: int) -> str:
    return f"+447725{410_200 + 7 * who}"


def _as_the_app_knows(text: Row) -> Row:
    segments = guessed_segments(text["body"])
    return {
        "body": text["body"],
        "from_number": text["from_number"],
        "to_number": text["to_number"],
        "segments": segments,
        "cost_usd": round(segments * COST_PER_SEGMENT, 4),
        "sent_at": text["created_at"],
    }


def _hex(kind: str, number: int) -> str:
    return hashlib.md5(f"{kind} {number}".encode(), usedforsecurity=False).hexdigest()
