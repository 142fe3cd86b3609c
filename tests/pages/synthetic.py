"""Snapshots made by hand: every state that a reading can be in, and values that must never reach a browser."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd

from lib.model import deployments as d
from lib.model import frames
from lib.model.database import Catalog, CatalogAccess, Column, KeyKind, Visibility
from lib.model.provider import AppHealth, Balance, Landing, LinkOpening, TwilioAccount
from lib.model.reading import Caveat, CaveatKind, Failure, FailureKind, Reading
from lib.model.window import Window, WindowSize
from lib.snapshot import READING_SPECS, Snapshot

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PHONE = "+447700900123"
TOKEN = "planted-token-opens-a-booking-4711"
LINK_CODE = "Pl4ntedC0de"
KEY = "sb_secret_planted_in_an_error_message"
PLANTED = (PHONE, "7700900123", "7700 900 123", TOKEN, LINK_CODE, KEY)
HOSTILE = "<img src=x onerror=alert(1)> **bold** [click](https://evil.example) :red[x] $x^2$ `code`"

FAILED = Failure(
    FailureKind.UNAVAILABLE, "The other side has a fault of its own.", "Switchboard retries automatically."
)
NOT_CONFIGURED = Failure(FailureKind.NOT_CONFIGURED, "Nothing is configured here.", "See Systems.")
_SHA = "6376d4634c2aa811c2f7bf4a3f63a2f4a3f63a2f"
_HEAD = "9d1ac940b6a82c2f7bf4a3f63a2f4a3f63a2f111"


def snapshot(values: dict[str, Any], *, failure: Failure = NOT_CONFIGURED, age: timedelta = timedelta(0)) -> Snapshot:
    """Return a snapshot with `values` by reading; the other readings failed with `failure`. All are `age` old."""
    readings = {
        question.name: Reading(
            name=question.name,
            source=question.source,
            observed_at=NOW - age,
            latency_ms=12.0,
            budget=question.budget,
            value=values.get(question.name),
            failure=None if question.name in values else failure,
            failing_since=None if question.name in values else NOW - timedelta(minutes=7),
        )
        for question in READING_SPECS
    }
    window = Window.ending(NOW, WindowSize.DAY)
    return Snapshot(window=window, taken_at=NOW, rows_since=window.start, **readings)


def nothing_configured() -> Snapshot:
    return snapshot({})


def everything_failed() -> Snapshot:
    return snapshot({}, failure=FAILED)


def stale() -> Snapshot:
    return snapshot(values(), age=timedelta(days=2))


def planted() -> Snapshot:
    """Return a full snapshot of a broken flow, with numbers, keys and hostile words wherever others may write."""
    return snapshot(values())


def empty() -> Snapshot:
    """Return a snapshot in which everything answered and nothing happened."""
    quiet = values()
    for name, schema in _TABLES.items():
        quiet[name] = frames.frame(schema, [])
    return snapshot(quiet | {"deployments": (), "hostnames": (), "build_log": None, "link_opening": None})


def partial() -> Snapshot:
    """Return a snapshot without Twilio, in which the bookings were cut off."""
    some = {name: value for name, value in values().items() if name not in _OF_TWILIO}
    taken = snapshot(some, failure=FAILED)
    cut = Caveat(CaveatKind.TRUNCATED, "pending_bookings", "pending_bookings was cut off at 50,000 rows.")
    return dataclasses.replace(taken, pending_bookings=dataclasses.replace(taken.pending_bookings, caveats=(cut,)))


_OF_TWILIO = ("account", "texts", "known_texts", "balance", "alerts", "link_opening")
_TABLES = {
    "pending_bookings": frames.PENDING_BOOKINGS,
    "demand_history": frames.DEMAND,
    "bookings": frames.BOOKINGS,
    "events": frames.EVENTS,
    "customers": frames.CUSTOMERS,
    "messages": frames.MESSAGES,
    "delivery_receipts": frames.DELIVERY_RECEIPTS,
    "webhook_log": frames.WEBHOOK_LOG,
    "audit_log": frames.AUDIT_LOG,
    "api_usage": frames.API_USAGE,
    "api_keys": frames.API_KEYS,
    "background_jobs": frames.BACKGROUND_JOBS,
    "short_links": frames.SHORT_LINKS,
    "texts": frames.TEXTS,
    "known_texts": frames.TEXTS,
    "reconciled": frames.RECONCILED,
    "alerts": frames.ALERTS,
    "database_errors": frames.DATABASE_ERRORS,
}


def values() -> dict[str, Any]:
    """Return one value per reading."""
    return {**_frames(), **_of_systems()}


@cache  # to check them against their schemas takes longer than to draw a page
def _frames() -> dict[str, pd.DataFrame]:
    rows = _rows()
    return {name: frames.frame(schema, rows.get(name, [])) for name, schema in _TABLES.items()}


def _rows() -> dict[str, list[dict[str, Any]]]:
    ago = [NOW - timedelta(minutes=minutes) for minutes in (300, 200, 100, 40)]
    pending = [
        {
            "id": f"00000000-0000-4000-8000-00000000000{i}",
            "token": f"{TOKEN}-{i}",
            "event_id": "event-1",
            "mobile_number": PHONE,
            "seats": 2,
            "created_at": at,
            "expires_at": at + timedelta(days=1),
            "metadata_state": "null",
        }
        for i, at in enumerate(ago)
    ]
    texts = [
        {
            "sid": f"SM{i:032x}",
            "status": "delivered" if i else "undelivered",
            "direction": "outbound-api",
            "to_number": PHONE,
            "from_number": "+441632960100",
            "link_url": f"https://l.example/{LINK_CODE}{i}",
            "link_code": f"{LINK_CODE}{i}",
            "body_digest": "d",
            "segments": 1,
            "price": -0.04,
            "price_unit": "USD",
            "error_code": None if i else "30005",
            "error_message": f"{HOSTILE} {PHONE}",
            "created_at": at,
        }
        for i, at in enumerate(ago[:3])
    ]
    return {
        "pending_bookings": pending,
        "texts": texts,
        "events": [{"id": "event-1", "name": HOSTILE, "date": "2026-11-30"}],
        "alerts": [
            {
                "sid": "NO1",
                "error_code": "11200",
                "level": "error",
                "created_at": NOW,
                "text": f"{HOSTILE} could not call back about {PHONE} with {KEY}",
            }
        ],
        "short_links": [
            {"id": "link-1", "short_code": LINK_CODE, "token": f"{TOKEN}-1", "click_count": 1, "created_at": ago[1]}
        ],
    }


def _of_systems() -> dict[str, Any]:
    serving = d.Deployment(
        "dpl_serving",
        "a.vercel.app",
        d.DeploymentState.READY,
        NOW - timedelta(hours=20),
        "PROMOTED",
        "production",
        sha=_SHA,
        branch="main",
        commit_message=f"{HOSTILE} {KEY}",
        commit_author=f"Sam {PHONE}",
        building_at=NOW - timedelta(hours=20),
        ready_at=NOW - timedelta(hours=19, minutes=58),
    )
    broken = dataclasses.replace(
        serving,
        id="dpl_broken",
        state=d.DeploymentState.ERROR,
        substate=None,
        sha=_HEAD,
        ready_at=None,
        created_at=NOW - timedelta(hours=1),
        error_message=f"{HOSTILE} {KEY}",
    )
    head = d.Commit(_HEAD, f"{HOSTILE} {PHONE}", "Sam", NOW - timedelta(hours=2), (_SHA,))
    old = d.Commit(_SHA, "before", "Sam", NOW - timedelta(hours=21))
    log = (
        d.BuildLogLine(NOW, "Cloning", d.LogLevel.INFO),
        d.BuildLogLine(NOW, f"{HOSTILE} {KEY} {PHONE}", d.LogLevel.ERROR),
    )
    link = d.GitLink("github", "lantern-arms", "booking", 1, "main", 1)
    return {
        "visibility": Visibility(KeyKind.SECRET, True, "ref", None),
        "catalog": Catalog(CatalogAccess.DIRECT, (Column("messages", "customer_id", "uuid", False),), (), (), (), None),
        "migrations": (),
        "blockers": (),
        "project": d.Project("prj_1", "booking", None, link, True),
        "hostnames": (d.Hostname("booking.example", deployment=serving, alias_moved_at=NOW - timedelta(hours=19)),),
        "deployments": (broken, serving),
        "build_log": d.BuildLog("dpl_broken", log),
        "env_names": (d.EnvName("TWILIO_AUTH_TOKEN", ("production",), "sensitive", None, NOW),),
        "vercel_events": (),
        "repository": d.Repository(1, "lantern-arms/booking", "main", NOW, False, True, False),
        "branch": d.Branch("main", (head, old), False, (), True),
        "required_commit": d.RequiredCommit(_HEAD, d.RequiredFrom.BRANCH_HEAD, head, True),
        "comparisons": (),
        "counts": None,
        "runs": (),
        "rules": d.BranchRules((), False),
        "vercel_signs": d.VercelSigns(_HEAD, "failure", "Deployment failed", True, True),
        "account": TwilioAccount("AC" + "0" * 32, "active", "Full"),
        "balance": Balance(Decimal("12.50"), "USD"),
        "app_health": AppHealth("booking.example", 200, None, None, True),
        "link_opening": LinkOpening("b", NOW, Landing.CONFIRMATION, 200, ("booking.example/booking-confirmation/…",)),
    }
