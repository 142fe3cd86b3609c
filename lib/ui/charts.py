"""The figures: pure functions from facts to Plotly, all in one style.

Colours are Okabe and Ito's, which people who see fewer colours can tell apart, and they hold on light and dark.
Text, grid and background come from Streamlit's theme. What is unknown is named and never drawn as zero.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import pandas as pd
import plotly.graph_objects as go

from lib.chart_colours import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from lib.diagnosis.hop_history import BinState, HopBin, HopHistory
from lib.diagnosis.journeys import Stage
from lib.diagnosis.timeline import COUNTED, READ, Mark, MarkKind, Series
from lib.model.deployments import Deployment
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES
from lib.ui import labels
from lib.ui.masking import in_chart

MAX_POINTS = 1000

# For st.plotly_chart: a picture to look at, without tools that nobody uses on a call.
CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}

# Accepted and delivered texts mostly coincide: the one is a wide band under the other's line.
_BAND: Final[Mapping[str, Any]] = {
    "type": "scatter",
    "mode": "lines",
    "line": {"color": PURPLE, "width": 8},
    "opacity": 0.45,
}
_ARRIVED: Final[Mapping[str, Any]] = {
    "type": "scatter",
    "mode": "lines+markers",
    "line": {"color": GREEN, "width": 2},
    "marker": {"symbol": "diamond", "size": 7},
}
_LOST: Final[Mapping[str, Any]] = {"type": "bar", "marker": {"color": VERMILION, "pattern": {"shape": "x", "size": 5}}}
_LINES: Final[Mapping[Series, Mapping[str, Any]]] = {
    Series.INITIATED: {"type": "bar", "marker": {"color": BLUE, "opacity": 0.6}},
    Series.FAILED: _LOST,
    Series.ACCEPTED: _BAND,
    Series.DELIVERED: _ARRIVED,
    Series.MARKED_FAILED: _LOST,
    Series.RECORDED: _BAND,
    Series.MARKED_DELIVERED: _ARRIVED,
}
_MARKS: Final[Mapping[MarkKind, tuple[str, str]]] = {
    MarkKind.DEPLOYMENT: ("triangle-down", BLUE),
    MarkKind.ROLLBACK: ("triangle-up", ORANGE),
    MarkKind.MIGRATION: ("square", PURPLE),
    MarkKind.INCIDENT: ("star", VERMILION),
    MarkKind.ACTION: ("circle", ORANGE),
}


def timeline(
    lines: Mapping[Series, pd.Series | None], marks: Sequence[Mark], zone: ZoneInfo, until: datetime
) -> go.Figure:
    """Draw what happened per bucket, with what was changed as vertical marks. A line that is None is unknown."""
    figure = _figure(height=340)
    # Stated here: with every line unknown, Plotly would not know that the marks' positions are times.
    figure.update_xaxes(type="date")
    drawn = COUNTED if Series.RECORDED in lines else READ
    for series in drawn:
        counts = lines.get(series)
        if counts is None:
            line = {"color": GREY, "dash": "dot"}
            figure.add_scatter(x=[None], y=[None], mode="lines", name=f"{series}: unknown", line=line)
            continue
        thin = _thinned(counts)
        trace = {"x": _local(thin.index, zone), "y": thin.to_numpy(), "name": str(series), "hovertemplate": "%{y}"}
        figure.add_trace({**trace, **_within_bucket(thin.index, zone), **_LINES[series]})
    known = [counts for series in drawn if (counts := lines.get(series)) is not None and len(counts)]
    top = max((int(counts.max()) for counts in known), default=1)
    _draw_marks(figure, marks, zone, at=max(top, 1) * 1.12)
    figure.update_yaxes(rangemode="tozero", dtick=1 if top <= 5 else None, range=[0, max(top, 1) * 1.2])
    if known:
        first = min(counts.index[0] for counts in known)
        figure.update_xaxes(range=list(_local([first, until], zone)))
    # Failed texts stand before the bookings they belong to, hatched.
    figure.update_layout(hovermode="x unified", barmode="overlay", bargap=0.35)
    return figure


def _within_bucket(starts: pd.Index, zone: ZoneInfo) -> dict[str, Any]:
    """Draw a count in the middle of its bucket, which begins at the count's time: marks stand where they belong."""
    if len(starts) < 2:
        return {}
    milliseconds = (starts[1] - starts[0]) / pd.Timedelta(milliseconds=1)
    return {"xperiod": milliseconds, "xperiod0": _local(starts[:1], zone)[0], "xperiodalignment": "middle"}


def _draw_marks(figure: go.Figure, marks: Sequence[Mark], zone: ZoneInfo, at: float | str) -> None:
    for kind, (symbol, colour) in _MARKS.items():
        of_kind = [mark for mark in marks[-MAX_POINTS:] if mark.kind is kind]
        if not of_kind:
            continue
        times = list(_local([mark.at for mark in of_kind], zone))
        figure.add_scatter(
            x=times,
            y=[at] * len(times),
            mode="markers",
            name=str(kind),
            cliponaxis=False,
            marker={"symbol": symbol, "size": 11, "color": colour},
            hovertext=[in_chart(mark.message) for mark in of_kind],
            hoverinfo="text",
        )
        for moment in times:
            figure.add_vline(x=moment, line={"color": colour, "width": 1, "dash": "dot"}, opacity=0.7)


# Each state has a colour, a pattern and a glyph: none is told by its colour alone.
_BARS: Final[Mapping[BinState, tuple[str, str, str]]] = {
    BinState.GOOD: (GREEN, "", "✓"),
    BinState.SOME_FAILED: (ORANGE, "/", "!"),
    BinState.BAD: (VERMILION, "x", "✕"),
    BinState.NOTHING: (GREY, "", ""),
    BinState.UNKNOWN: (GREY, ".", "?"),
}
_FAINT = 0.18  # how strongly a bin is drawn that says nothing
CHANGES = "What changed"
_DAY_MS = 86_400_000
_TIMES: Final = [
    {"dtickrange": [None, _DAY_MS - 1], "value": "%H:%M\n%-d %b"},
    {"dtickrange": [_DAY_MS, None], "value": "%-d %b"},
]
_HOP_ROW, _HOP_FOOT = 23, 36  # pixels


def hop_history(histories: Sequence[HopHistory], marks: Sequence[Mark], zone: ZoneInfo) -> go.Figure:
    """Draw one bar per hop over time, with what was changed as vertical marks above them."""
    rows = [CHANGES, *(labels.HOP[history.hop] for history in histories)]
    figure = _figure(height=_HOP_ROW * len(rows) + _HOP_FOOT + 8)
    for state, (colour, pattern, glyph) in _BARS.items():
        runs = [(history, run) for history in histories for run in history.runs if run.state is state]
        if not runs:
            continue
        says_nothing = state in (BinState.NOTHING, BinState.UNKNOWN)
        lines = {"shape": pattern, "size": 6, "fillmode": "overlay", "fgopacity": 0.4}
        lines["fgcolor"] = GREY if says_nothing else "#000000" if state is BinState.BAD else "#ffffff"
        figure.add_bar(
            orientation="h",
            name=str(state),
            y=[labels.HOP[history.hop] for history, _ in runs],
            base=list(_local([run.start for _, run in runs], zone)),
            x=[(run.end - run.start) / timedelta(milliseconds=1) for _, run in runs],
            text=[glyph for _ in runs],
            textposition="inside",
            insidetextanchor="middle",
            insidetextfont={"color": GREY if says_nothing else "#ffffff", "size": 11},
            textangle=0,
            marker={"color": _faint(colour) if says_nothing else colour, "pattern": lines, "line": {"width": 0}},
            hovertext=[in_chart(_of_run(history, run, zone)) for history, run in runs],
            hoverinfo="text",
        )
    _draw_marks(figure, marks, zone, at=CHANGES)
    window = [histories[0].bins[0].start, histories[0].bins[-1].end]
    figure.update_xaxes(type="date", range=list(_local(window, zone)), showgrid=False, tickangle=0, nticks=6)
    figure.update_xaxes(tickformatstops=_TIMES)
    figure.update_yaxes(type="category", categoryorder="array", categoryarray=rows[::-1], showgrid=False)
    # Without dtick, Plotly leaves out every second name as soon as the rows are as low as on a shared screen.
    figure.update_yaxes(range=[-0.5, len(rows) - 0.5], dtick=1)
    figure.update_layout(
        barmode="overlay",
        bargap=0.12,
        uniformtext={"mode": "hide", "minsize": 8},
        hovermode="closest",
        margin={"b": _HOP_FOOT},
        showlegend=False,  # it stands below in words, where it fits on a phone as well
    )
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{_FAINT})"


def _of_run(history: HopHistory, run: HopBin, zone: ZoneInfo) -> str:
    began, ended = (at.astimezone(zone) for at in (run.start, run.end))
    until = f"{ended:%H:%M}" if ended.date() == began.date() else f"{ended:%d %b %H:%M}"
    counts = f" ({run.failed:,} of {run.judged:,} {labels.HOP_FAILED[history.hop]})" if run.judged else ""
    why = f": {history.why_unknown}" if run.state is BinState.UNKNOWN and history.why_unknown else ""
    return f"{labels.HOP[history.hop]}, {began:%d %b %H:%M} to {until}: {run.state}{counts}{why}"


def funnel(stages: Mapping[Stage, int | None], least: Collection[Stage] = ()) -> go.Figure:
    """Draw how many bookings reached each stage, in order. An unknown one is hatched, as wide as it can be at most.

    Of the stages in `least` at least so many are known; the text says so.
    """
    figure = _figure(height=44 * len(labels.STAGE) + 40)
    most = 0
    known: list[tuple[str, int, str]] = []
    unknown: list[tuple[str, int, str]] = []
    for stage, label in labels.STAGE.items():
        count = stages.get(stage)
        if count is None:
            unknown.append((label, most, "unknown"))
        else:
            most = count
            known.append((label, count, f"at least {count:,}" if stage in least else f"{count:,}"))
    hatched = {"color": "rgba(138,147,157,0.25)", "pattern": {"shape": "/", "fgcolor": GREY}}
    hover = "%{y}: %{text}<extra></extra>"
    _add_bars(figure, known, {"color": BLUE}, name="bookings", textposition="auto", hovertemplate=hover)
    _add_bars(figure, unknown, hatched, name="unknown", textposition="inside", hovertemplate=hover)
    order = list(labels.STAGE.values())[::-1]
    figure.update_yaxes(categoryorder="array", categoryarray=order)
    figure.update_layout(barmode="overlay", bargap=0.25)
    return figure


def delivery(by_status: pd.DataFrame) -> go.Figure:
    """Draw how many texts have each of Twilio's statuses; `by_status` has `status` and `count`."""
    counts = by_status.groupby("status")["count"].sum().sort_values()
    colours = [
        GREEN if status in DELIVERED_STATUSES else VERMILION if status in FAILED_STATUSES else GREY
        for status in counts.index
    ]
    figure = _figure(height=40 * len(counts) + 50)
    bars = [(in_chart(str(status)), count, f"{count:,}") for status, count in counts.items()]
    hover = "%{y}: %{x}<extra></extra>"
    _add_bars(figure, bars, {"color": colours}, textposition="auto", hovertemplate=hover)
    figure.update_layout(bargap=0.3)
    return figure


def _add_bars(figure: go.Figure, bars: Sequence[tuple[str, int, str]], marker: Mapping[str, Any], **more: str) -> None:
    """Add horizontal bars, each with its label, its length and its text."""
    names, counts, texts = ([bar[part] for bar in bars] for part in range(3))
    figure.add_bar(x=counts, y=names, text=texts, orientation="h", marker=marker, **more)
    figure.update_xaxes(visible=False, rangemode="tozero")
    figure.update_yaxes(showgrid=False)
    figure.update_layout(showlegend=False)


def durations(deployments: Sequence[Deployment], zone: ZoneInfo) -> go.Figure:
    """Draw how long each production build took, by when it was made.

    Failed builds often have no duration: they stand on a line of their own, above the others.
    """
    figure = _figure(height=260)
    made = [d for d in deployments if d.target == "production" and not d.state.in_progress][:MAX_POINTS]
    minutes = {d.id: build_minutes(d) for d in made}
    above = 1.2 * max((m for m in minutes.values() if m is not None), default=1.0)
    for name, colour, symbol, failed, timed in (
        ("ready", BLUE, "circle", False, True),
        ("failed", VERMILION, "x", True, True),
        ("failed, duration not said", VERMILION, "x-open", True, False),
    ):
        group = [d for d in made if d.state.failed is failed and (minutes[d.id] is not None) is timed]
        if group:
            figure.add_scatter(
                x=list(_local([d.created_at for d in group], zone)),
                y=[minutes[d.id] if timed else above for d in group],
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 12},
                text=[in_chart(d.built_from) for d in group],
                hovertemplate="%{text}: %{y:.1f} min" if timed else "%{text}: failed",
            )
    figure.update_yaxes(rangemode="tozero", ticksuffix=" min", range=[0, above * 1.15])
    return figure


def build_minutes(deployment: Deployment) -> float | None:
    """Return how long a build took in minutes; None while it runs or if Vercel did not say."""
    end = deployment.ready_at or deployment.canceled_at
    if deployment.building_at is None or end is None or end < deployment.building_at:
        return None
    return (end - deployment.building_at).total_seconds() / 60


def _figure(height: int) -> go.Figure:
    axis = {"automargin": True, "fixedrange": True}
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
            "dragmode": False,
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def _thinned(counts: pd.Series) -> pd.Series:
    """Add neighbouring buckets up until few enough are left to draw."""
    step = -(-len(counts) // MAX_POINTS)
    if step <= 1:
        return counts
    summed = counts.groupby([i // step for i in range(len(counts))]).sum()
    return pd.Series(summed.to_numpy(), index=counts.index[::step])


def _local(times: pd.Index | Sequence[datetime], zone: ZoneInfo) -> pd.DatetimeIndex:
    """Return `times` as clock time in `zone`: Plotly knows no time zones."""
    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_convert(zone).tz_localize(None)
