"""The figures say what is known, name what is not, and stay small."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go

from lib.diagnosis.hop_history import BinState, HopBin, HopHistory
from lib.diagnosis.journeys import Stage
from lib.diagnosis.timeline import Mark, MarkKind, Series
from lib.model.deployments import Deployment, DeploymentState
from lib.model.verdict import Hop
from lib.ui import charts

ZONE = ZoneInfo("Europe/London")
START = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


def traces(figure: go.Figure) -> dict[str, Any]:
    return {trace["name"]: trace for trace in json.loads(figure.to_json(engine="json"))["data"]}


def counts(length: int = 24) -> pd.Series:
    return pd.Series([1] * length, index=pd.date_range(START, periods=length, freq="h"))


def test_a_line_that_is_unknown_is_named_so_and_not_drawn() -> None:
    lines = {Series.INITIATED: counts(), Series.ACCEPTED: None, Series.DELIVERED: None, Series.FAILED: None}
    drawn = traces(charts.timeline(lines, (), ZONE, START + timedelta(days=1)))
    assert drawn["texts accepted: unknown"]["y"] == [None]
    assert "texts accepted" not in drawn and "bookings initiated" in drawn


def test_times_are_in_the_businesss_zone() -> None:
    drawn = traces(charts.timeline({Series.INITIATED: counts()}, (), ZONE, START + timedelta(days=1)))
    assert drawn["bookings initiated"]["x"][0].startswith("2026-07-01T13:00")


def test_a_count_stands_within_its_bucket_as_the_marks_do() -> None:
    lines = dict.fromkeys((Series.INITIATED, Series.ACCEPTED, Series.DELIVERED, Series.FAILED), counts())
    figure = charts.timeline(lines, (), ZONE, START + timedelta(days=1))
    hour = 3_600_000
    assert {(trace["xperiod"], trace["xperiodalignment"]) for trace in traces(figure).values()} == {(hour, "middle")}
    assert all(pd.Timestamp(trace["xperiod0"]) == pd.Timestamp(trace["x"][0]) for trace in traces(figure).values())


def test_a_long_line_is_added_up_and_loses_nothing() -> None:
    drawn = charts.timeline({Series.INITIATED: counts(4321)}, (), ZONE, START + timedelta(days=200)).data[0]
    assert len(drawn.y) <= charts.MAX_POINTS and sum(drawn.y) == 4321


def test_marks_are_escaped_and_stand_as_vertical_lines() -> None:
    mark = Mark(START + timedelta(hours=3), MarkKind.DEPLOYMENT, "<b>abc1234</b> became live")
    figure = charts.timeline({Series.INITIATED: counts()}, (mark,), ZONE, START + timedelta(days=1))
    assert traces(figure)["deployment"]["hovertext"] == ["&lt;b&gt;abc1234&lt;/b&gt; became live"]
    assert len(figure.layout.shapes) == 1


def test_everything_unknown_still_draws() -> None:
    figure = charts.timeline(dict.fromkeys(Series), (), ZONE, START)
    assert all("unknown" in name for name in traces(figure))


def test_an_unknown_stage_of_the_funnel_says_unknown_and_has_no_count() -> None:
    stages = {Stage.INITIATED: 7, Stage.ACCEPTED: None, Stage.DELIVERED: None, Stage.CONFIRMED: 2, Stage.BOOKED: 2}
    drawn = traces(charts.funnel(stages))
    assert drawn["unknown"]["y"] == ["Accepted by Twilio", "Delivered", "Link opened"]
    assert set(drawn["unknown"]["text"]) == {"unknown"}
    assert drawn["bookings"]["text"] == ["7", "2", "2"]


def test_a_failed_build_without_a_duration_is_not_a_build_of_no_time() -> None:
    def built(state: DeploymentState, minutes: float | None) -> Deployment:
        end = None if minutes is None else START + timedelta(minutes=minutes)
        return Deployment(
            str(state), "u", state, START, target="production", sha="abcdef1234", building_at=START, ready_at=end
        )

    drawn = traces(charts.durations((built(DeploymentState.READY, 2.0), built(DeploymentState.ERROR, None)), ZONE))
    assert "failed" not in drawn
    assert drawn["failed, duration not said"]["y"][0] > 2.0
    assert drawn["ready"]["y"] == [2.0]


def bar(hop: Hop, *states: BinState) -> HopHistory:
    hour = timedelta(hours=1)
    bins = (HopBin(START + place * hour, START + (place + 1) * hour, state, 2, 1) for place, state in enumerate(states))
    return HopHistory(hop, tuple(bins))


def test_a_hops_bins_stand_where_they_were_and_none_is_told_by_colour_alone() -> None:
    history = bar(Hop.DELIVERED, BinState.GOOD, BinState.GOOD, BinState.BAD, BinState.UNKNOWN, BinState.NOTHING)
    some = bar(Hop.ACCEPTED, *[BinState.SOME_FAILED] * 5)
    drawn = traces(charts.hop_history((history, some), (), ZONE))
    assert set(drawn) == {state.value for state in BinState}
    hour = 3_600_000
    assert drawn["good"]["x"] == [2 * hour] and drawn["good"]["base"][0].startswith("2026-07-01T13:00")
    assert drawn["bad"]["x"] == [hour] and drawn["bad"]["y"] == ["Delivered"]
    looks = [(trace["marker"]["pattern"]["shape"], *trace["text"]) for trace in drawn.values()]
    assert len(set(looks)) == len(BinState)
    assert drawn["bad"]["hovertext"] == ["Delivered, 01 Jul 15:00 to 16:00: bad (1 of 2 texts did not arrive)"]


def test_the_reason_why_a_hop_is_unknown_is_text() -> None:
    history = HopHistory(Hop.ACCEPTED, bar(Hop.ACCEPTED, BinState.UNKNOWN).bins, "<b>Twilio</b> did not answer.")
    hover = traces(charts.hop_history((history,), (), ZONE))["unknown"]["hovertext"][0]
    assert "&lt;b&gt;Twilio" in hover


def test_what_was_changed_stands_above_the_hops() -> None:
    mark = Mark(START + timedelta(minutes=90), MarkKind.MIGRATION, "column added")
    figure = charts.hop_history((bar(Hop.RECORDED, *[BinState.BAD] * 3),), (mark,), ZONE)
    assert traces(figure)["migration"]["y"] == [charts.CHANGES] and len(figure.layout.shapes) == 1
    assert figure.layout.yaxis.categoryarray[-1] == charts.CHANGES
