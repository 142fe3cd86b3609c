"""The owner's weekly summary: bookings, texts, people without a link, outages, costs, and what to do next.

Counts come before shares, and there is no share of fewer than twenty. What could not be read is named as unknown and
never counted as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import pandas as pd
from pydantic import TypeAdapter, computed_field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from lib.affected import NO_FOLLOW_UPS, PersonState, affected_record, follow_ups_of
from lib.diagnosis import thresholds
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.error_codes import FaultSide, explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Delivery, Stage
from lib.diagnosis.statistics import percent
from lib.diagnosis.timeline import Series
from lib.formatting import counted, exact_duration, in_markdown, json_text, weekday_time
from lib.journal.entry import AffectedRecord
from lib.journal.errors import JournalError
from lib.journal.incident_export import incident_record
from lib.journal.journal import Journal
from lib.model.provider import TextStatus
from lib.model.verdict import HeadlineState
from lib.reports.html_page import html_page
from lib.reports.incident_report import report_of

# A share of fewer than this would say more than is known.
FEWEST_FOR_A_SHARE = 20
_BAD = (HeadlineState.BROKEN, HeadlineState.DEGRADED)
_ONE_TEXT = Decimal("0.0001")
_TOTAL = Decimal("0.01")


@pydantic_dataclass(frozen=True, slots=True)
class Cost:
    """The cost of the texts in one currency. `texts` is the number of those that have a price."""

    currency: str
    total: Decimal
    texts: int

    @computed_field  # type: ignore[prop-decorator]  # mypy takes no decorator on a property
    @property
    def per_text(self) -> Decimal:
        return (self.total / self.texts).quantize(_ONE_TEXT)


@dataclass(frozen=True, slots=True)
class Outage:
    """An incident of the week. `ended` None: it is open. `known` says how its end is known, or that it is open.

    `seen` is whether a recorded diagnosis found the flow broken; None: no diagnosis was recorded.
    """

    title: str
    began: datetime
    ended: datetime | None
    known: str
    seen: bool | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of the week; None is unknown. `absent` are sentences on what could not be read, and why.

    `as_recorded`: the texts are those of the database, because there are too many to read them from Twilio's log.
    `test_costs` are those of texts to the business's own phone, which count nowhere else.
    """

    since: datetime
    until: datetime
    asked: int | None
    booked: int | None
    sent: int | None
    delivered: int | None
    failed: int | None
    as_recorded: bool
    people: AffectedRecord
    outages: tuple[Outage, ...] | None
    open_incidents: int | None
    costs: tuple[Cost, ...] | None
    test_costs: tuple[Cost, ...] | None
    unpriced: int | None
    absent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The week as a message: a title that fits a notification, and a body in plain language."""

    title: str
    sections: tuple[Section, ...]
    figures: Figures

    @property
    def body(self) -> str:
        """The body as plain text, which is also a list in Markdown."""
        return "\n\n".join("\n".join((one.title, *(f"- {line}" for line in one.lines))) for one in self.sections)


def weekly(diagnosis: Diagnosis, journal: Journal | None) -> Summary:
    """Return the summary of the window of `diagnosis`, which should be a week.

    Without a journal, or with one that cannot be read, the summary says so and holds the rest.
    """
    facts = diagnosis.facts
    figures = _figures(facts, journal)
    zone = facts.terms.zone
    end = facts.snapshot.window.end.astimezone(zone)
    people = figures.people
    hurt = "people without a link unknown" if people.count is None else _without_link(people)
    asked = "bookings unknown" if figures.asked is None else counted(figures.asked, "booking")
    return Summary(
        title=f"Week to {end:%a} {end.day} {end:%b}: {asked}, {hurt}",
        sections=tuple(_sections(diagnosis, figures)),
        figures=figures,
    )


def _without_link(people: AffectedRecord) -> str:
    who = counted(people.count or 0, "person", "people")
    return f"{'at least ' if people.at_least else ''}{who} without a working link"


# Figures.


def _figures(facts: Facts, journal: Journal | None) -> Figures:
    window, snapshot = facts.snapshot.window, facts.snapshot
    absent = [
        f"{what}: {facts.why_unusable(reading)}"
        for what, reading in (
            ("Bookings", snapshot.pending_bookings),
            ("Texts", snapshot.texts),
            ("The balance at Twilio", snapshot.balance),
        )
        if not reading.usable(facts.now)
    ]
    if facts.blind and snapshot.pending_bookings.usable(facts.now):
        absent.append("Bookings: our key may not see every row, so none can be counted.")
    for reading in (snapshot.pending_bookings, snapshot.texts):
        absent += [caveat.sentence for caveat in reading.caveats]
    record, outages, still_open = NO_FOLLOW_UPS, None, None
    if journal is None:
        absent.append("Outages, and what was done for people: there is no journal.")
    else:
        try:
            record, outages = follow_ups_of(journal, window.start), tuple(_outages(journal, facts))
            still_open = sum(incident.open for incident in journal.incidents())
        except JournalError as error:
            absent.append(f"Outages, and what was done for people: {error.sentence}")
    stages = facts.stages or {}
    outbound = facts.outbound
    customers = None if outbound is None else facts.of_customers(outbound, "to_number")
    tests = None if outbound is None or customers is None else outbound.drop(customers.index)
    recorded = Series.RECORDED in facts.timeline
    lines = _RECORDED if recorded else _SENT
    if snapshot.cut:
        absent.append(f"Single bookings, and the cost of texts, from before {facts.clock(snapshot.rows_since)}.")
    return Figures(
        since=window.start,
        until=window.end,
        asked=_total(facts, Series.INITIATED),
        booked=stages.get(Stage.BOOKED),
        sent=_total(facts, lines[0]),
        delivered=_total(facts, lines[1]),
        failed=_total(facts, lines[2]),
        as_recorded=recorded,
        people=affected_record(facts, record),
        outages=outages,
        open_incidents=still_open,
        costs=_costs(customers),
        test_costs=_costs(tests),
        unpriced=_unpriced(customers),
        absent=tuple(dict.fromkeys(absent)),
    )


_NEVER_SENT = (TextStatus.FAILED, TextStatus.CANCELED)
_SENT = (Series.ACCEPTED, Series.DELIVERED, Series.FAILED)
_RECORDED = (Series.RECORDED, Series.MARKED_DELIVERED, Series.MARKED_FAILED)


def _total(facts: Facts, series: Series) -> int | None:
    line = facts.timeline.get(series)
    return None if line is None else int(line.sum())


def _outages(journal: Journal, facts: Facts) -> Iterator[Outage]:
    """Return the incidents that reach into the window, oldest first."""
    window = facts.snapshot.window
    for incident in reversed(journal.incidents()):
        if incident.closed_at and incident.closed_at < window.start:
            continue
        report = report_of(incident_record(journal, incident.id), facts.now)
        if report.fixed_at is not None and report.fixed_at < window.start:
            continue  # fixed before the window, though nobody closed it
        began = report.broke_at or incident.opened_at
        seen = None if report.judged is None else report.judged.record.broken
        if report.fixed_at is not None:
            ended, known = report.fixed_at, "until texts flowed again"
        elif incident.closed_at is not None:
            ended, known = incident.closed_at, "until it was closed; texts flowing again was not recorded"
        else:
            ended, known = None, "and it is still open"
        yield Outage(incident.title, began, ended, known, seen)


def _costs(outbound: pd.DataFrame | None) -> tuple[Cost, ...] | None:
    """Return the cost, by currency, of the texts that have a price."""
    if outbound is None:
        return None
    priced = outbound.dropna(subset=["price", "price_unit"])
    costs = []
    for currency, rows in priced.groupby("price_unit"):
        # There are few prices and many texts, so count and multiply.
        total = sum((abs(Decimal(str(price))) * n for price, n in rows["price"].value_counts().items()), Decimal(0))
        costs.append(Cost(str(currency), total, len(rows)))
    return tuple(costs)


def _unpriced(outbound: pd.DataFrame | None) -> int | None:
    """Return how many texts have no price yet. One that Twilio never sent gets none, and costs nothing."""
    if outbound is None:
        return None
    without = outbound["price"].isna() | outbound["price_unit"].isna()
    return int((without & ~outbound["status"].isin(_NEVER_SENT)).sum())


# Sentences.


def _sections(diagnosis: Diagnosis, figures: Figures) -> Iterator[Section]:
    zone = diagnosis.facts.terms.zone

    def clock(at: datetime) -> str:
        return weekday_time(at, zone)

    yield Section("Now", (_now(diagnosis, clock),))
    yield Section("Bookings", tuple(_bookings(figures)))
    yield Section("Texts", tuple(_texts(figures)))
    yield Section("People without a link", tuple(_people(figures.people)))
    yield Section("Outages", tuple(_outage_lines(figures, clock)))
    yield Section("What the texts cost", tuple(_cost_lines(diagnosis.facts, figures)))
    if figures.absent:
        yield Section("What this summary could not read", figures.absent)
    yield Section("To do next week", tuple(_next(diagnosis, figures)))


def _now(diagnosis: Diagnosis, clock: Callable[[datetime], str]) -> str:
    head = diagnosis.headline
    return f"{head.sentence}{f' Since {clock(head.since)}.' if head.since else ''}"


def _bookings(figures: Figures) -> Iterator[str]:
    if figures.asked is None:
        yield "How many people asked to book is not known."
    else:
        yield f"{counted(figures.asked, 'booking was', 'bookings were')} asked for."
        if figures.booked is not None:
            yield f"{counted(figures.booked, 'of them was', 'of them were')} confirmed and booked."


def _texts(figures: Figures) -> Iterator[str]:
    if figures.sent is None or figures.delivered is None or figures.failed is None:
        yield "How many texts were sent and arrived is not known."
        return
    where = " as the database recorded them" if figures.as_recorded else ""
    yield f"{counted(figures.sent, 'text was', 'texts were')} sent{where}."
    ended = figures.delivered + figures.failed
    if not ended:
        yield "It is not known of any whether it was delivered."
        return
    share = f" ({percent(figures.delivered / ended)})" if ended >= FEWEST_FOR_A_SHARE else ""
    yield f"Of {counted(ended, 'text')} with a final status, {figures.delivered:,} arrived{share}."


def _people(people: AffectedRecord) -> Iterator[str]:
    yield people.message


def _outage_lines(figures: Figures, clock: Callable[[datetime], str]) -> Iterator[str]:
    if figures.outages is None:
        yield "Whether there were any is not known."
        return
    if not figures.outages:
        yield "No incident was recorded."
    for one in figures.outages:
        if one.seen is False:
            yield f"{one.title}: opened {clock(one.began)}, and no break was recorded."
            continue
        length = exact_duration((one.ended or figures.until) - one.began)
        yield f"{one.title}: {length}, from {clock(one.began)} {one.known}."


def _cost_lines(facts: Facts, figures: Figures) -> Iterator[str]:
    if figures.costs is None:
        yield "What they cost is not known."
        return
    for cost in figures.costs:
        total = f"{cost.currency} {cost.total.quantize(_TOTAL)}"
        yield f"{total} for {counted(cost.texts, 'text')}: {cost.currency} {cost.per_text.normalize():f} each."
    if not figures.costs:
        yield "No text has a price yet." if figures.unpriced else "Nothing: no text was sent."
    elif figures.unpriced:
        yield f"{counted(figures.unpriced, 'text has', 'texts have')} no price yet and are not in the total."
    for cost in figures.test_costs or ():
        total, tests = f"{cost.currency} {cost.total.quantize(_TOTAL)}", counted(cost.texts, "test text")
        yield f"Besides, {total} for {tests} to the business's own phone."
    balance = facts.value(facts.snapshot.balance)
    if balance is not None:
        days = facts.spending.days_left if facts.spending else None
        enough = f", enough for about {days:.0f} days like these" if days is not None else ""
        yield f"Left at Twilio: {balance.currency} {balance.amount.quantize(_TOTAL)}{enough}."


def _next(diagnosis: Diagnosis, figures: Figures) -> list[str]:
    """Return what to do, the most urgent first."""
    facts = diagnosis.facts
    steps: list[str] = []
    if diagnosis.headline.state in _BAD:
        cause = diagnosis.likeliest
        remedy = cause.remedy.message if cause else "Work through the Action plan with your engineer."
        steps.append(f"Something is wrong now: {remedy}")
    waiting = {one.id: one.count for one in figures.people.states}.get(PersonState.NOTHING, 0)
    if waiting:
        # A person who asked for two events makes two requests.
        requests = counted(waiting, "request")
        steps.append(
            f"Call those who asked to book and got no link, or send them a new one ({requests}): "
            "the list is under Bookings."
        )
    if figures.open_incidents:
        steps.append("Finish the incident that is still open: close it, or say what is left to do.")
    if wrong := _wrong_numbers(facts):
        numbers = counted(wrong, "number")
        steps.append(
            f"{numbers} cannot get texts (not in service, a landline, a slip): ask those customers for another."
        )
    days = facts.spending.days_left if facts.spending else None
    if days is not None and days < thresholds.LOW_BALANCE_DAYS:
        steps.append(f"Top up Twilio: at this pace the balance lasts about {days:.0f} more days.")
    if figures.absent:
        steps.append("Ask your engineer to connect what could not be read: Systems says how.")
    return steps or ["Nothing: keep an eye on Status."]


def _wrong_numbers(facts: Facts) -> int:
    if facts.outbound is None:
        return 0
    outbound = facts.of_customers(facts.outbound, "to_number")
    failed = outbound[outbound["delivery"] == Delivery.FAILED].dropna(subset=["error_code", "to_number"])
    wrong = [code for code in failed["error_code"].unique() if explain(str(code)).fault is FaultSide.NUMBER]
    return int(failed.loc[failed["error_code"].isin(wrong), "to_number"].nunique())


# Forms.


def weekly_markdown(summary: Summary) -> str:
    """Return the summary as Markdown."""
    lines = [f"# {in_markdown(summary.title)}"]
    for one in summary.sections:
        lines += ["", f"## {one.title}", "", *(f"- {in_markdown(line)}" for line in one.lines)]
    return "\n".join(lines) + "\n"


def weekly_page(summary: Summary) -> str:
    """Return the summary as a page to print."""
    return html_page(summary.title, weekly_markdown(summary))


def weekly_json(summary: Summary) -> str:
    """Return the summary with its figures; instants in ISO 8601 UTC, money as text so that no digit is lost."""
    return json_text({"title": summary.title, "body": summary.body, **_SUMMARY.dump_python(summary, by_alias=True)})


_SUMMARY: TypeAdapter[Summary] = TypeAdapter(Summary)
