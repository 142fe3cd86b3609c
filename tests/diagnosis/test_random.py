"""Whatever the sources say, or do not say: a diagnosis comes out, and nothing is green that is not known."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.diagnosis import json_report
from lib.diagnosis.checks import BY_ID
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.model import frames
from lib.model.database import KeyKind, Visibility
from lib.model.deployments import Deployment, DeploymentState, Hostname
from lib.model.provider import AppHealth, Landing, LinkOpening
from lib.model.reading import FailureKind, Freshness
from lib.model.verdict import CheckStatus, HeadlineState
from lib.model.window import Window, WindowSize
from lib.snapshot import READING_SPECS, Snapshot
from tests.diagnosis.builders import (
    FIX,
    HEAD,
    NOW,
    OLD,
    PROJECT,
    catalog,
    hostname,
    snapshot,
    truncated,
    without,
)
from tests.diagnosis.invariants import contradictions

CLOCKS_CHANGE = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
SID = st.integers(0, 6).map(lambda n: f"SM{n:032x}")
NUMBER = st.sampled_from(["+447400111222", "+447400333444", "INN", ""])
CODE = st.sampled_from(["21606", "30007", "30003", "20003", "99999", ""])
WORDS = st.sampled_from(["", "odd", "Error: +447400111222 and sb_secret_abcdefgh123456", "<b>", "🦆"])

STATUSES = [
    "delivered",
    "undelivered",
    "failed",
    "sent",
    "queued",
    "pending",
    "processing",
    "success",
    "signature_failed",
    "?",
]

# What a column holds in real life, and a few things that it should not.
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "message_sid": SID,
    "sid": SID,
    "sms_sid": SID,
    "token": st.sampled_from(["t1", "t2", "t3"]),
    "link_code": st.sampled_from(["c1", "c2", "t1"]),
    "short_code": st.sampled_from(["c1", "c2"]),
    "mobile_number": NUMBER,
    "to_number": NUMBER,
    "from_number": NUMBER,
    "direction": st.sampled_from(["outbound-api", "outbound", "inbound", "odd"]),
    "status": st.sampled_from(STATUSES),
    "metadata_state": st.sampled_from(frames.MetadataState),
    "error_code": CODE,
    "price_unit": st.sampled_from(["USD", "GBP"]),
    "endpoint": st.sampled_from(["/api/bookings/initiate", "/api/events"]),
    "status_code": st.sampled_from([201, 400, 500, 503, 0]),
    "origin": st.sampled_from(["postgres_logs", "edge_logs"]),
    "sql_state": st.sampled_from(["23502", "42703", "42501"]),
    "table_name": st.sampled_from(["messages", "pending_bookings"]),
    "column_name": st.sampled_from(["customer_id", "metadata"]),
}
_TABLES = {
    "pending_bookings": frames.PENDING_BOOKINGS,
    "demand_history": frames.DEMAND,
    "messages": frames.MESSAGES,
    "webhook_log": frames.WEBHOOK_LOG,
    "api_usage": frames.API_USAGE,
    "api_keys": frames.API_KEYS,
    "background_jobs": frames.BACKGROUND_JOBS,
    "short_links": frames.SHORT_LINKS,
    "texts": frames.TEXTS,
    "known_texts": frames.TEXTS,
    "alerts": frames.ALERTS,
    "database_errors": frames.DATABASE_ERRORS,
}


def moments(now: datetime) -> st.SearchStrategy[datetime]:
    """Times around the window, some of them in the future."""
    return st.integers(-40 * 24 * 60, 3 * 60).map(lambda minutes: now + timedelta(minutes=minutes)) | st.integers(
        -26 * 60, 0
    ).map(lambda minutes: now + timedelta(minutes=minutes))


def values(name: str, column: pa.Column, now: datetime) -> st.SearchStrategy[Any]:
    dtype = str(column.dtype)
    if name in _BY_NAME:
        base = _BY_NAME[name]
    elif dtype.startswith("datetime"):
        base = moments(now)
    elif dtype.lower().startswith("int"):
        base = st.integers(-1, 10**6)
    elif dtype.lower().startswith("float"):
        base = st.sampled_from([-0.04, 0.0, 12.5])
    elif dtype == "boolean":
        base = st.booleans()
    else:
        base = WORDS
    return base | st.none() if column.nullable else base


def rows_of(schema: pa.DataFrameSchema, now: datetime) -> st.SearchStrategy[pd.DataFrame]:
    row = st.fixed_dictionaries({name: values(name, column, now) for name, column in schema.columns.items()})
    return st.lists(row, max_size=6).map(lambda rows: frames.frame(schema, rows))


def deployments(now: datetime) -> st.SearchStrategy[Deployment]:
    return st.builds(
        Deployment,
        id=st.sampled_from(["dpl_1", "dpl_2", "dpl_3"]),
        url=st.just("x.example"),
        state=st.sampled_from(DeploymentState),
        created_at=moments(now),
        substate=st.sampled_from([None, "STAGED", "PROMOTED", "ROLLING"]),
        target=st.sampled_from([None, "production"]),
        sha=st.sampled_from([None, OLD, FIX, HEAD, "d" * 40]),
        building_at=st.none() | moments(now),
        ready_at=st.none() | moments(now),
        error_message=st.none() | WORDS,
        env_names=st.none() | st.just(("TWILIO_AUTH_TOKEN",)),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> tuple[Snapshot, datetime, Terms]:
    """A healthy world of which some tables are random, and some readings failed, old, cut short or unconfigured."""
    now = draw(st.sampled_from([NOW, CLOCKS_CHANGE]))
    changed: dict[str, Any] = {
        name: draw(rows_of(schema, now)) for name, schema in _TABLES.items() if draw(st.booleans())
    }
    if draw(st.booleans()):
        changed["deployments"] = tuple(draw(st.lists(deployments(now), max_size=3)))
        live = st.none() | deployments(now)
        hosts: list[Hostname] = [hostname(build) for build in draw(st.lists(live, max_size=2))]
        changed["hostnames"] = tuple(hosts)
    if draw(st.integers(0, 7)) == 0:
        changed["visibility"] = Visibility(draw(st.sampled_from(KeyKind)), draw(st.none() | st.booleans()), None, None)
    changed["catalog"] = draw(st.sampled_from([catalog(), catalog("pending_bookings.metadata"), catalog("messages")]))
    landing = LinkOpening("b", now, draw(st.sampled_from(Landing)), 200, ("booking.example/l/…",))
    changed["link_opening"] = draw(st.sampled_from([None, landing]))
    changed["app_health"] = AppHealth("x", draw(st.sampled_from([200, 401, 500])), None, None, None)
    changed["project"] = dataclasses.replace(
        PROJECT, auto_assign_custom_domains=draw(st.none() | st.booleans()), paused=None
    )
    names = [question.name for question in READING_SPECS]
    for name in draw(st.lists(st.sampled_from(sorted(_TABLES)), max_size=1, unique=True)):
        if name in changed:
            changed[name] = truncated(name, changed[name])
    whole = snapshot(window=Window.ending(now, draw(st.sampled_from(WindowSize))), **changed)
    kind = draw(st.sampled_from([FailureKind.NOT_CONFIGURED, FailureKind.TIMEOUT, FailureKind.NOT_FOUND]))
    part = without(whole, draw(st.lists(st.sampled_from(names), max_size=4, unique=True)), kind)
    ages = {name: draw(st.sampled_from([0] * 30 + [3, 9])) for name in names}
    readings = {
        name: dataclasses.replace(getattr(part, name), observed_at=now - ages[name] * getattr(part, name).budget)
        for name in names
    }
    zone = draw(st.sampled_from([ZoneInfo("Europe/London"), ZoneInfo("Pacific/Auckland"), UTC]))
    return dataclasses.replace(part, **readings), now, Terms(zone, draw(st.sampled_from([(), ("TWILIO_AUTH_TOKEN",)])))


def _spoken(diagnosis: Diagnosis) -> str:
    message = [tile.message + tile.value for tile in diagnosis.tiles] + [hop.message for hop in diagnosis.hops]
    return json.dumps(json_report.as_json(diagnosis), ensure_ascii=False) + " ".join(message)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_any_snapshot_has_a_diagnosis_and_a_green_one_rests_on_what_is_known(
    world: tuple[Snapshot, datetime, Terms],
) -> None:
    seen, now, terms = world
    diagnosis = diagnose(seen, now, terms)
    facts = diagnosis.facts
    for name in ("timeline", "marks", "stages", "spending", "usual_demand", "unknown_to_twilio"):
        getattr(facts, name)  # each can be worked out
    for check in diagnosis.checks:
        assert check.summary.strip(), check
    spoken = _spoken(diagnosis)
    assert "447400111222" not in spoken and "sb_secret_a" not in spoken
    assert not re.search(r"\bnan\b|NaT|<NA>", spoken), spoken
    if diagnosis.headline.state is HeadlineState.FLOWING:
        resting = ("visibility", "pending_bookings", "texts")
        for reading in (getattr(seen, name) for name in resting):
            assert reading.freshness(now) in (Freshness.FRESH, Freshness.AGING), reading.name
            assert not (reading.truncated and reading.name == "texts")
        assert seen.app_health.freshness(now) not in (Freshness.FAILED, Freshness.STALE)
        assert all(diagnosis.check(BY_ID[name]).status is CheckStatus.OK for name in ("key_sees_all", "texts_follow"))
        assert all(
            diagnosis.check(BY_ID[name]).status is not CheckStatus.CANNOT_TELL for name in diagnosis.headline.because
        )


def test_the_failure_of_everything_is_a_diagnosis_too() -> None:
    names = [question.name for question in READING_SPECS]
    for kind in FailureKind:
        diagnosis = diagnose(without(snapshot(), names, kind), NOW)
        assert diagnosis.headline.state is HeadlineState.CANNOT_TELL
        statuses = {check.status for check in diagnosis.checks} - {CheckStatus.CANNOT_TELL}
        assert statuses <= {CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL}
        assert not [hop for hop in diagnosis.hops if hop.status is CheckStatus.OK]


def hold_together(world: tuple[Snapshot, datetime, Terms]) -> None:
    """Fail on two answers that contradict each other, and say what else was found of that snapshot."""
    seen, now, terms = world
    diagnosis = diagnose(seen, now, terms)
    unwell = [f"{one.id}: {one.status}: {one.summary}" for one in diagnosis.checks if one.status is not CheckStatus.OK]
    assert list(contradictions(diagnosis)) == [], "\n".join([diagnosis.headline.sentence, *unwell])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_no_two_answers_about_any_snapshot_contradict_each_other(world: tuple[Snapshot, datetime, Terms]) -> None:
    hold_together(world)


@pytest.mark.long
@pytest.mark.timeout(7200)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_no_two_answers_about_ten_thousand_snapshots_contradict_each_other(
    world: tuple[Snapshot, datetime, Terms],
) -> None:
    hold_together(world)
