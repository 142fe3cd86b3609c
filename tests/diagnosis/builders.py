"""A small healthy world as a snapshot, and ways to spoil one part of it. Everything is as of `NOW`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import pandas as pd

from lib.diagnosis.contract import load
from lib.model import frames
from lib.model.database import Catalog, CatalogAccess, CheckConstraint, Column, KeyKind, Visibility
from lib.model.deployments import (
    Branch,
    BranchRules,
    Commit,
    Deployment,
    DeploymentState,
    EnvName,
    GitLink,
    Hostname,
    Project,
    Repository,
    RequiredCommit,
    RequiredFrom,
    VercelSigns,
    WorkflowRun,
)
from lib.model.provider import AppHealth, Balance, Landing, LinkOpening, TwilioAccount
from lib.model.reading import Caveat, CaveatKind, Failure, FailureKind, Reading
from lib.model.window import Window, WindowSize
from lib.snapshot import READING_SPECS, Snapshot
from lib.sources.follow_up import OPTIONAL_NEEDS

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
WINDOW = Window.ending(NOW, WindowSize.DAY)
OLD, FIX, HEAD = "a" * 40, "3aee739" + "b" * 33, "c" * 40
PHONE, OTHER_PHONE = "+447400111222", "+447400333444"
HOST = "booking.example"


def ago(**length: float) -> datetime:
    return NOW - timedelta(**length)


def sid(number: int) -> str:
    return f"SM{number:032x}"


# Rows --------------------------------------------------------------------------------------------------------


def booking(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """A booking whose text was stored with it, of a customer who has a number of their own."""
    return {
        "id": f"booking-{number}",
        "token": f"token-{number}",
        "event_id": "event",
        "mobile_number": f"+4474001{number:05}",
        "created_at": at,
        "expires_at": at + timedelta(hours=24),
        "metadata_state": frames.MetadataState.STORED,
        "sms_sid": sid(number),
    } | fields


def text(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """The delivered text of booking `number`, with its link."""
    return {
        "sid": sid(number),
        "status": "delivered",
        "direction": "outbound-api",
        "to_number": f"+4474001{number:05}",
        "from_number": "+447400999999",
        "link_code": f"code-{number}",
        "body_digest": f"digest-{number}",
        "segments": 1,
        "price": -0.04,
        "price_unit": "USD",
        "created_at": at + timedelta(seconds=1),
        "sent_at": at + timedelta(seconds=2),
    } | fields


def link(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"link-{number}",
        "short_code": f"code-{number}",
        "token": f"token-{number}",
        "link_type": "booking_confirmation",
        "click_count": 1,
        "created_at": at,
    } | fields


def receipt(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"receipt-{number}",
        "status": "success",
        "message_sid": sid(number),
        "message_status": "delivered",
        "processed_at": at + timedelta(seconds=9),
    } | fields


def call(number: int, at: datetime, status: int | None = 201) -> dict[str, Any]:
    return {
        "id": f"call-{number}",
        "endpoint": "/api/bookings/initiate",
        "method": "POST",
        "status_code": status,
        "created_at": at,
    }


def table(schema: Any, rows: Iterable[dict[str, Any]] = ()) -> pd.DataFrame:
    return frames.frame(schema, rows)


# Things ------------------------------------------------------------------------------------------------------


def deployment(id_: str, sha: str | None, at: datetime, **fields: Any) -> Deployment:
    """A production build that took two minutes and got its hostnames."""
    base = Deployment(
        id=id_,
        url=f"{id_}.example",
        state=DeploymentState.READY,
        created_at=at,
        substate="PROMOTED",
        target="production",
        sha=sha,
        branch="main",
        source="git",
        building_at=at,
        ready_at=at + timedelta(minutes=2),
        alias_assigned=True,
        env_names=("TWILIO_AUTH_TOKEN",),
    )
    return dataclasses.replace(base, **fields)


OLD_BUILD = deployment("dpl_old", OLD, ago(days=9))
FIX_BUILD = deployment("dpl_fix", FIX, ago(days=5))
HEAD_BUILD = deployment("dpl_head", HEAD, ago(days=3))


def hostname(build: Deployment | None, name: str = HOST, **fields: Any) -> Hostname:
    moved = build.ready_at if build else None
    base = Hostname(name, alias_project_id="prj", alias_moved_at=moved, deployment=build, dns_misconfigured=False)
    return dataclasses.replace(base, **fields)


def commit(sha: str, at: datetime, *parents: str) -> Commit:
    return Commit(sha, "a commit", "sam", at, parents)


COMMITS = (commit(HEAD, ago(days=3), FIX), commit(FIX, ago(days=5), OLD), commit(OLD, ago(days=9)))
PROJECT = Project(
    id="prj",
    name="booking",
    account_id="team",
    link=GitLink("github", "inn", "booking", 7, "main", 0),
    auto_assign_custom_domains=True,
    skips_unaffected=False,
    paused=False,
    live=True,
    rolling_release_active=False,
)


def columns(*without: str, **nullable: bool) -> tuple[Column, ...]:
    """The columns that the contract asks for, without some (`table.column`); `nullable` by `table__column`."""
    names = dict.fromkeys((rule.table, column) for rule in load().rules for column in rule.columns)
    return tuple(
        Column(table_, name, "text", nullable.get(f"{table_}__{name}", (table_, name) != ("messages", "customer_id")))
        for table_, name in names
        if f"{table_}.{name}" not in without and table_ not in without
    )


LINK_TYPES = CheckConstraint(
    "short_links",
    "short_links_link_type_check",
    "CHECK (((link_type)::text = ANY ((ARRAY['custom'::character varying, "
    "'booking_confirmation'::character varying])::text[])))",
    ("link_type",),
)


def catalog(*without: str, checks: tuple[CheckConstraint, ...] | None = (LINK_TYPES,), **nullable: bool) -> Catalog:
    return Catalog(CatalogAccess.DIRECT, columns(*without, **nullable), checks, (), (), None)


# The world ---------------------------------------------------------------------------------------------------

MOMENTS = tuple(ago(hours=hours) for hours in (20, 16, 12, 8, 4, 1))
# Of a booking of which nobody stored a text.
UNSTORED: dict[str, Any] = {"metadata_state": frames.MetadataState.EMPTY, "sms_sid": None}


def never_sent() -> dict[str, Any]:
    """The same bookings, of which neither Twilio nor the database has a text."""
    rows = (booking(n, at, **UNSTORED) for n, at in enumerate(MOMENTS, start=1))
    return {
        "texts": table(frames.TEXTS),
        "messages": table(frames.MESSAGES),
        "pending_bookings": table(frames.PENDING_BOOKINGS, rows),
    }


@cache
def _healthy() -> dict[str, Any]:
    numbered = list(enumerate(MOMENTS, start=1))
    confirmed = {"confirmed_at": ago(minutes=40), "booking_id": "made"}
    return {
        "visibility": Visibility(KeyKind.SECRET, True, "ref", "ref", {"pending_bookings": 9, "messages": 9}),
        "pending_bookings": table(frames.PENDING_BOOKINGS, (booking(n, at, **confirmed) for n, at in numbered)),
        "demand_history": table(
            frames.DEMAND, ({"id": f"d{day}", "created_at": ago(days=day, hours=1)} for day in range(30))
        ),
        "bookings": table(frames.BOOKINGS),
        "events": table(frames.EVENTS),
        "customers": table(frames.CUSTOMERS),
        "messages": table(
            frames.MESSAGES,
            ({"id": f"m{n}", "direction": "outbound", "message_sid": sid(n), "created_at": at} for n, at in numbered),
        ),
        "delivery_receipts": table(frames.DELIVERY_RECEIPTS),
        "webhook_log": table(frames.WEBHOOK_LOG, (receipt(n, at) for n, at in numbered)),
        "audit_log": table(frames.AUDIT_LOG),
        "api_usage": table(frames.API_USAGE, (call(n, at) for n, at in numbered)),
        "api_keys": table(
            frames.API_KEYS,
            [
                {
                    "id": "key",
                    "name": "Website",
                    "can_write_bookings": True,
                    "is_active": True,
                    "last_used_at": MOMENTS[-1],
                }
            ],
        ),
        "background_jobs": table(
            frames.BACKGROUND_JOBS, [{"id": "job", "type": "stats", "status": "completed", "created_at": ago(hours=3)}]
        ),
        "short_links": table(frames.SHORT_LINKS, (link(n, at) for n, at in numbered)),
        "counts": None,
        "reconciled": table(frames.RECONCILED),
        "catalog": catalog(),
        "migrations": (),
        "blockers": (),
        "database_errors": table(frames.DATABASE_ERRORS),
        "project": PROJECT,
        "hostnames": (hostname(HEAD_BUILD),),
        "deployments": (HEAD_BUILD, FIX_BUILD, OLD_BUILD),
        "env_names": (EnvName("TWILIO_AUTH_TOKEN", ("production",), "encrypted", None, ago(days=30)),),
        "vercel_events": (),
        "build_log": None,
        "repository": Repository(7, "inn/booking", "main", None, False, True, False),
        "branch": Branch("main", COMMITS, protected=False, complete=True),
        "required_commit": RequiredCommit(HEAD, RequiredFrom.BRANCH_HEAD, COMMITS[0], on_branch=True),
        "comparisons": (),
        "runs": (WorkflowRun(1, "ci", HEAD, "completed", "success", ago(days=3), "https://example"),),
        "rules": BranchRules((), None),
        "vercel_signs": VercelSigns(HEAD, "success", "Deployment has completed", True, True),
        "account": TwilioAccount("AC", "active", "Full"),
        "texts": table(frames.TEXTS, (text(n, at) for n, at in reversed(numbered))),
        "known_texts": table(frames.TEXTS),
        "balance": Balance(Decimal("40"), "USD"),
        "alerts": table(frames.ALERTS),
        "app_health": AppHealth("booking.example", 200, HEAD, "dpl_head", True),
        # Unread: then the desk knows of the code what the declared contract says.
        "live_schema": Failure(FailureKind.NOT_CONFIGURED, "The catalog is not connected."),
        "served_code": Failure(FailureKind.NOT_CONFIGURED, "GitHub is not connected."),
        "link_opening": LinkOpening("booking-6", ago(minutes=2), Landing.CONFIRMATION, 200, ("booking.example/l/…",)),
    }


def snapshot(window: Window = WINDOW, rows_since: datetime | None = None, **changed: Any) -> Snapshot:
    """The healthy world with some values changed. A `Failure` or a whole `Reading` is taken as it stands."""
    values = _healthy() | changed
    readings = {question.name: _reading(question.name, values[question.name]) for question in READING_SPECS}
    return Snapshot(window=window, taken_at=NOW, rows_since=rows_since or window.start, **readings)


def _reading(name: str, value: Any) -> Reading[Any]:
    if isinstance(value, Reading):
        return value
    question = next(question for question in READING_SPECS if question.name == name)
    failure = value if isinstance(value, Failure) else None
    given = None if failure else value
    return Reading(name, question.source, NOW, 20.0, question.budget, given, failure)


def truncated(name: str, value: Any) -> Reading[Any]:
    caveat = Caveat(CaveatKind.TRUNCATED, name, f"Only a part of {name} was read.")
    return dataclasses.replace(_reading(name, value), caveats=(caveat,))


def without_column(pending: pd.DataFrame) -> Reading[Any]:
    """Bookings as they are read while `pending_bookings.metadata` does not exist."""
    pending = pending.assign(metadata_state=frames.MetadataState.COLUMN_MISSING, sms_sid=None)
    caveat = Caveat(
        CaveatKind.MISSING_COLUMN, "pending_bookings.metadata", "There is no column pending_bookings.metadata."
    )
    frame = frames.PENDING_BOOKINGS.validate(pending)
    return dataclasses.replace(_reading("pending_bookings", frame), caveats=(caveat,))


def without(base: Snapshot, names: Iterable[str], kind: FailureKind) -> Snapshot:
    """`base` with the readings `names` gone, and with them those that need one of them."""
    gone = set(names)
    for question in READING_SPECS:  # in an order in which every reading comes after those it needs
        if gone & (set(question.needs) - set(OPTIONAL_NEEDS.get(question.name, ()))):
            gone.add(question.name)
    readings = {
        name: dataclasses.replace(
            getattr(base, name), value=None, caveats=(), failure=Failure(kind, f"The reading {name} is away.")
        )
        for name in gone
    }
    return dataclasses.replace(base, **readings)
