"""The reporting functions on a real database: what they count is what the rows say, and unknown is never zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from lib.diagnosis import timeline
from lib.diagnosis.checks import recording
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.journeys import Stage
from lib.diagnosis.timeline import Series
from lib.migrations.catalogue import catalogue
from lib.migrations.executors import migration_executor
from lib.migrations.runner import MigrationOutcome, MigrationResult, Runner
from lib.model.frames import MetadataState
from lib.model.reading import FailureKind, SourceError
from lib.model.verdict import CheckStatus
from lib.model.window import Window, WindowSize
from lib.sandbox.serve import Running
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources import booking_data, twilio
from lib.sources.booking_data import BookingData
from lib.sources.http import Deadline
from lib.sources.reporting import Reporting
from lib.sources.source_registry import Sources, connect

pytestmark = pytest.mark.sandbox

Play = Callable[[str], dict[str, str]]
FEW = 60  # so many rows are already too many to read, for these tests


def migrate(sources: Sources, name: str) -> MigrationResult:
    catalog = sources.catalog
    runner = Runner(executor=migration_executor(catalog), data_api=catalog.description, clock=utc_now)
    return runner.run(catalogue()[name])


@pytest.fixture
def counting(play: Play) -> Callable[[str], Sources]:
    """A function that plays a scenario, installs the functions and returns the sources on it."""

    def prepared(name: str) -> Sources:
        sources = connect(load(play(name)), utc_now)
        result = migrate(sources, "reporting")
        assert (result.outcome, result.verified) == (MigrationOutcome.SUCCEEDED, True), result.message
        return sources

    return prepared


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(booking_data, "NEWEST_ROWS", FEW)
    monkeypatch.setattr(booking_data, "PAGE_ROWS", FEW)
    monkeypatch.setattr(twilio, "PAGE_TEXTS", FEW // 2)
    yield


def month() -> Window:
    return Window.ending(datetime.now(UTC), WindowSize.MONTH)


def diagnosed(sources: Sources, size: WindowSize = WindowSize.MONTH) -> Diagnosis:
    return diagnose(take(sources, size), utc_now())


def execute(sandbox: Running, statement: str) -> list[dict[str, Any]]:
    with sandbox.world.connection() as connection:
        return connection.execute(statement.encode()).fetchall()


def test_what_is_counted_is_what_the_rows_say(counting: Callable[[str], Sources]) -> None:
    sources, window = counting("healthy"), month()
    counts = sources.reporting.counts(window, Deadline(20)).value
    pending = sources.booking_data.read(booking_data.PENDING_BOOKINGS, window, Deadline(20)).value
    messages = sources.booking_data.read(booking_data.MESSAGES, window, Deadline(20)).value
    assert counts is not None and counts.has_metadata and len(pending) > FEW
    stored = pending["metadata_state"] == MetadataState.STORED
    assert counts.total("initiated") == len(pending) == counts.events["initiated"].sum()
    assert counts.total("stored") == stored.sum()
    assert counts.total("confirmed") == pending["confirmed_at"].notna().sum()
    assert counts.total("booked") == pending["booking_id"].notna().sum()
    outbound = messages[messages["direction"] == "outbound"]
    assert counts.texts["texts"].sum() == len(outbound)
    lines = timeline.counted(counts)
    pd.testing.assert_series_equal(lines[Series.INITIATED], timeline.per_bucket(pending["created_at"], window))
    delivered = outbound.loc[outbound["twilio_status"] == "delivered", "created_at"]
    pd.testing.assert_series_equal(lines[Series.MARKED_DELIVERED], timeline.per_bucket(delivered, window))


def test_what_is_booked_for_our_own_phone_is_counted_nowhere(counting: Callable[[str], Sources]) -> None:
    sources, window = counting("healthy"), month()
    pending = sources.booking_data.read(booking_data.PENDING_BOOKINGS, window, Deadline(20)).value
    ours = pending["mobile_number"].dropna().iloc[0]
    theirs = pending[pending["mobile_number"] != ours]
    without = Reporting(sources.booking_data, frozenset({ours}))
    assert 0 < len(theirs) < len(pending)
    assert without.counts(window, Deadline(20)).value.total("initiated") == len(theirs)
    assert set(without.demand(window, Deadline(20)).value["id"]) == set(theirs["id"])


def test_a_missing_column_is_no_zero(counting: Callable[[str], Sources], few_are_many: None) -> None:
    sources = counting("missing-column")
    counts = sources.reporting.counts(month(), Deadline(20)).value
    assert counts is not None and not counts.has_metadata and counts.total("initiated") > 0
    looked_up = sources.reporting.reconcile(["SM1"], Deadline(20)).value
    assert looked_up is not None and looked_up["with_booking"].isna().all()
    diagnosis = diagnosed(sources)
    stored = next(tile for tile in diagnosis.tiles if tile.id == "stored")
    assert (diagnosis.facts.snapshot.cut, stored.status, stored.value) == (True, CheckStatus.FAIL, "no column")
    assert diagnosis.hypotheses[0].id == "missing_column"


def test_metadata_that_was_stored_as_a_json_text_counts_as_what_it_holds(
    counting: Callable[[str], Sources], sandbox: Running
) -> None:
    """As an app stores it that wrote `JSON.stringify`."""
    sources, window = counting("healthy"), month()
    before = sources.reporting.counts(window, Deadline(20)).value
    (kept,) = execute(
        sandbox,
        "select id, metadata->'initial_sms'->>'message_sid' as sid from public.pending_bookings "
        "where metadata->'initial_sms' is not null order by created_at desc limit 1",
    )
    execute(sandbox, "update public.pending_bookings set metadata = to_jsonb(metadata::text) returning id")
    after = sources.reporting.counts(window, Deadline(20)).value
    assert before is not None and after is not None and before.total("stored") > 0
    for count in ("initiated", "stored", "empty", "without_sms"):
        assert after.total(count) == before.total(count), count
    found = sources.reporting.reconcile([kept["sid"]], Deadline(20)).value
    assert found is not None and list(found["with_booking"]) == [True]

    execute(sandbox, "update public.pending_bookings set metadata = to_jsonb('no JSON'::text) returning id")
    odd = sources.reporting.counts(window, Deadline(20)).value
    assert odd is not None and (odd.total("stored"), odd.total("empty")) == (0, 0)


def test_a_text_is_found_wherever_the_database_keeps_it(counting: Callable[[str], Sources], sandbox: Running) -> None:
    sources = counting("healthy")
    (row,) = execute(sandbox, "select message_sid from public.messages where direction = 'outbound' limit 1")
    (kept,) = execute(
        sandbox,
        "select metadata->'initial_sms'->>'message_sid' as sid from public.pending_bookings "
        "where confirmed_at is null and metadata->'initial_sms' is not null limit 1",
    )
    found = sources.reporting.reconcile([row["message_sid"], kept["sid"], "SMnowhere"], Deadline(20)).value
    assert found is not None
    known = found.set_index("sid")[["in_messages", "with_booking"]]
    assert known.loc[row["message_sid"], "in_messages"]
    assert list(known.loc[kept["sid"]]) == [False, True]
    assert list(known.loc["SMnowhere"]) == [False, False]


def test_without_the_functions_nothing_is_counted_and_every_row_is_read(play: Play, few_are_many: None) -> None:
    sources = connect(load(play("healthy")), utc_now)
    assert sources.reporting.counts(month(), Deadline(20)).value is None
    snapshot = take(sources, WindowSize.MONTH)
    assert not snapshot.cut and len(snapshot.pending_bookings.value) > FEW
    assert snapshot.counts.failure is None and snapshot.counts.value is None
    assert not any(reading.truncated for reading in snapshot.readings)


def test_only_a_service_key_may_have_the_database_count(counting: Callable[[str], Sources], sandbox: Running) -> None:
    settings = counting("healthy").settings
    stranger = BookingData(settings.supabase_url, SecretStr(sandbox.world.credentials.supabase_publishable_key))
    with pytest.raises(SourceError) as caught:
        over = {"begins": "-infinity", "ends": "infinity", "bucket_seconds": 60, "own": []}
        stranger.call("switchboard_demand", over, Deadline(9))
    assert caught.value.kind is FailureKind.FORBIDDEN
    assert not stranger.can_count(Deadline(9))


def test_the_functions_can_be_taken_away_again(counting: Callable[[str], Sources], sandbox: Running) -> None:
    sources = counting("healthy")
    assert migrate(sources, "reporting").outcome is MigrationOutcome.NOTHING_TO_DO
    assert migrate(sources, "reporting_removed").verified
    assert execute(sandbox, "select proname from pg_proc where proname like 'switchboard%'") == []
    assert connect(sources.settings, utc_now).reporting.counts(month(), Deadline(20)).value is None


@pytest.mark.parametrize("scenario", ["healthy", "undelivered", "code-not-deployed"])
def test_a_month_of_very_many_rows_is_judged_by_the_newest_and_drawn_from_counts(
    scenario: str, counting: Callable[[str], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = counting(scenario)
    with monkeypatch.context() as few:
        few.setattr(booking_data, "NEWEST_ROWS", FEW)
        few.setattr(booking_data, "PAGE_ROWS", FEW)
        few.setattr(twilio, "PAGE_TEXTS", FEW // 2)
        part = diagnosed(sources)
    # Afterwards, for each snapshot opens a link, and that is a click.
    whole, snapshot = diagnosed(sources), part.facts.snapshot
    assert not whole.facts.snapshot.cut
    assert snapshot.cut and snapshot.rows_since > whole.facts.snapshot.rows_since
    for reading in (snapshot.pending_bookings, snapshot.texts, snapshot.messages, snapshot.short_links):
        assert len(reading.value) <= FEW and (reading.value["created_at"] >= snapshot.rows_since).all()
    assert part.headline.state is whole.headline.state
    assert [one.id for one in part.hypotheses[:1]] == [one.id for one in whole.hypotheses[:1]]
    assert (
        not part.facts.unknown_to_twilio.any()
        and part.check(recording.texts_recorded).status is whole.check(recording.texts_recorded).status
    )
    assert part.facts.initiated == whole.facts.initiated == part.facts.stages[Stage.INITIATED]
    for server, count in part.facts.stages.items():
        exact = whole.facts.stages[server]
        assert count <= exact if server in part.facts.least_stages else count == exact, server
    assert part.facts.timeline[Series.INITIATED].sum() == whole.facts.initiated
    assert part.facts.timeline[Series.ACCEPTED] is None, "what only Twilio knows is unknown, not zero"


def test_what_is_usual_is_the_same_counted_as_read(
    counting: Callable[[str], Sources], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, window = counting("healthy"), month()
    read = sources.reporting.demand(window, Deadline(20)).value
    monkeypatch.setattr(booking_data, "NEWEST_ROWS", FEW)
    monkeypatch.setattr(booking_data, "PAGE_ROWS", FEW)
    counted = sources.reporting.demand(window, Deadline(20)).value
    assert counted["initiated"].sum() == len(read) and len(counted) < len(read)
    assert counted["created_at"].max() == read["created_at"].max()
