"""Charts as images, drawn without a browser, from the counts that the journal keeps with each diagnosis.

Matplotlib's figures are used without its global state (`pyplot`), which is not made for threads.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from matplotlib import dates, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.chart_colours import BLUE, GREEN, PURPLE, VERMILION
from lib.journal.entry import BucketsRecord
from lib.reports.diagnosis_record import LINES

# The colours of the screen; hatches and markers distinguish the lines in print without colour.
_BARS: Final[Mapping[str, tuple[str, str]]] = {
    "initiated": (BLUE, ""),
    "failed": (VERMILION, "xxx"),
    "marked_failed": (VERMILION, "xxx"),
}
_STEPS: Final[Mapping[str, tuple[str, float, str]]] = {
    "accepted": (PURPLE, 4.0, ""),
    "recorded": (PURPLE, 4.0, ""),
    "delivered": (GREEN, 1.5, "D"),
    "marked_delivered": (GREEN, 1.5, "D"),
}
_GREY = "#6b7580"
_dates: Any = dates  # without types of its own


class Image(StrEnum):
    """The forms of an image; the value is the media type."""

    SVG = "image/svg+xml"
    PNG = "image/png"


def chart(buckets: BucketsRecord, zone: ZoneInfo, image: Image, *, highest: int | None = None) -> bytes:
    """Return the timeline of one moment as an image. Lines that could not be read are named as unknown.

    `highest` is the top of the scale, so that two charts beside each other can share it.
    """
    # The same counts make the same file: without a date, and with constant ids.
    with rc_context({"svg.hashsalt": "switchboard", "font.size": 9}):
        figure = Figure(figsize=(7.2, 2.7), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, buckets, zone, max(highest or 0, top(buckets), 1))
        out = io.BytesIO()
        if image is Image.SVG:
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


def top(buckets: BucketsRecord) -> int:
    """Return the largest count of any line."""
    return max((count for line in buckets.lines for count in line.counts or ()), default=0)


def data_uri(image: Image, content: bytes) -> str:
    """Return an image as a data URI."""
    return f"data:{image.value};base64,{base64.b64encode(content).decode('ascii')}"


def _draw(axes: Axes, buckets: BucketsRecord, zone: ZoneInfo, highest: int) -> None:
    width = buckets.seconds / 86400  # Matplotlib counts in days
    lines = {line.id: line.counts for line in buckets.lines}
    length = max((len(counts) for counts in lines.values() if counts), default=0)
    begins = float(_dates.date2num(buckets.begins))
    starts = [begins + place * width for place in range(length)]
    for name, (colour, hatch) in _BARS.items():
        if counts := lines.get(name):
            left = 0.1 if name == "initiated" else 0.5
            axes.bar(
                [start + width * left for start in starts],
                counts,
                width=0.4 * width,
                align="edge",
                color=colour,
                hatch=hatch,
                alpha=0.75,
                edgecolor="white",
                linewidth=0.3,
                label=LINES[name].value,
            )
    for name, (colour, weight, marker) in _STEPS.items():
        if counts := lines.get(name):
            axes.plot(
                [start + width / 2 for start in starts],
                counts,
                color=colour,
                linewidth=weight,
                marker=marker,
                markersize=3.5,
                alpha=0.6 if weight > 2 else 1.0,
                label=LINES[name].value,
            )
    for line in buckets.lines:
        if line.counts is None and line.id in LINES:
            axes.plot([], [], color=_GREY, linestyle=":", label=f"{LINES[line.id].value}: unknown")
    axes.set_ylim(0, highest * 1.1)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    if starts:
        axes.set_xlim(starts[0], starts[-1] + width)
    locator = _dates.AutoDateLocator(tz=zone, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(_dates.ConciseDateFormatter(locator, tz=zone))
    axes.grid(axis="y", color="#d5dae0", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8, handlelength=1.6)
