"""The weekly summary: counts before shares, exact money, and nothing unread counted as zero."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal

from lib.affected import follow_up
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.journal.entry import FollowUp
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.model import frames
from lib.model.provider import Balance
from lib.model.reading import Failure, FailureKind
from lib.reports.diagnosis_record import keep_diagnosis
from lib.reports.weekly import Cost, Summary, weekly, weekly_json, weekly_markdown, weekly_page
from tests.clocks import Clock
from tests.diagnosis.builders import NOW, ago, booking, snapshot, table, text
from tests.reports.conftest import ANA, undelivered, whole

AWAY = Failure(FailureKind.UNAVAILABLE, "It is away.")


def an_incident(journal: Journal, clock: Clock, begins: Diagnosis, title: str = "No texts") -> Incident:
    """Open an incident with the diagnosis `begins`, and half an hour later one of a whole flow."""
    incident = journal.open_incident(title, ANA)
    keep_diagnosis(journal, begins, ANA, incident.id)
    clock.advance(minutes=30)
    keep_diagnosis(journal, whole(), ANA, incident.id)
    return incident


def test_the_summary_says_the_week_in_plain_language(journal: Journal, clock: Clock) -> None:
    journal.close_incident(an_incident(journal, clock, undelivered()).id, ANA)
    week = weekly(undelivered(), journal)
    assert week.title == "Week to Wed 18 Nov: 6 bookings, 6 people without a working link"
    for message in (
        "6 bookings were asked for.",
        "6 texts were sent.",
        "Of 6 texts with a final status, 0 arrived.",
        "6 people got no working link (6 to go; seats unknown).",
        "No texts: 6 h 30 min, from Wed 18 Nov 09:00 until texts flowed again.",
        "USD 0.24 for 6 texts: USD 0.04 each.",
        "Left at Twilio: USD 40.00",
        "Call those who asked to book and got no link, or send them a new one (6 requests)",
    ):
        assert message in week.body, message
    assert not re.search(r"4474001|token-|code-", week.body + weekly_json(week))


def outages(week: Summary) -> tuple[str, ...]:
    return next(one.lines for one in week.sections if one.title == "Outages")


def test_an_outage_of_weeks_ago_is_none_of_this_week_though_its_incident_was_never_closed(
    journal: Journal, clock: Clock
) -> None:
    clock.now = NOW - timedelta(days=21)
    an_incident(journal, clock, undelivered())
    clock.now = NOW
    week = weekly(whole(), journal)
    assert outages(week) == ("No incident was recorded.",)
    assert "Finish the incident that is still open" in week.body


def test_an_incident_in_which_the_flow_was_never_broken_is_no_outage(journal: Journal, clock: Clock) -> None:
    journal.close_incident(an_incident(journal, clock, whole(), "No texts?").id, ANA)
    (line,) = outages(weekly(whole(), journal))
    assert line == "No texts?: opened Wed 18 Nov 15:00, and no break was recorded."


def test_an_outage_that_ended_counts_as_ended_while_its_incident_is_open(journal: Journal, clock: Clock) -> None:
    an_incident(journal, clock, undelivered())
    week = weekly(whole(), journal)
    (line,) = outages(week)
    assert "until texts flowed again" in line
    assert "Finish the incident that is still open" in week.body


def test_texts_to_our_own_phone_cost_money_and_are_none_of_the_weeks_texts(journal: Journal) -> None:
    own = "+447400999888"
    rows = [text(n, ago(hours=1, minutes=n), price=-0.04, price_unit="USD") for n in (1, 2)]
    tests = [text(n, ago(hours=2, minutes=n), price=-0.04, price_unit="USD", to_number=own) for n in (3, 4, 5)]
    record = snapshot(texts=table(frames.TEXTS, [*rows, *tests]))
    week = weekly(diagnose(record, NOW, Terms(own_numbers=frozenset({own}))), journal)
    assert "2 texts were sent." in week.body
    assert "USD 0.08 for 2 texts: USD 0.04 each." in week.body
    assert "Besides, USD 0.12 for 3 test texts to the business's own phone." in week.body


def test_a_text_that_was_never_sent_will_never_have_a_price(journal: Journal) -> None:
    rows = [text(n, ago(hours=1, minutes=n), price=None, price_unit=None, status="failed") for n in (1, 2)]
    week = weekly(whole(texts=table(frames.TEXTS, [*rows, text(3, ago(hours=2))])), journal)
    assert "no price yet" not in week.body


def test_what_could_not_be_read_is_said_and_not_counted(journal: Journal) -> None:
    for changed, message in (
        ({"texts": AWAY}, "How many texts were sent and arrived is not known."),
        ({"pending_bookings": AWAY}, "How many people asked to book is not known."),
    ):
        week = weekly(whole(**changed), journal)
        assert message in week.body and "Who was affected cannot be told." in week.body
        unseen = next(one.lines for one in week.sections if one.title == "What this summary could not read")
        assert "It is away." in " ".join(unseen)
    assert "Whether there were any is not known." in weekly(whole(), None).body
    assert "No incident was recorded." in weekly(whole(), journal).body


def test_no_share_of_fewer_than_twenty(journal: Journal) -> None:
    def week_of(count: int) -> str:
        moments = {number: ago(hours=1, minutes=number) for number in range(1, count + 1)}
        return weekly(
            whole(
                pending_bookings=table(frames.PENDING_BOOKINGS, [booking(n, at) for n, at in moments.items()]),
                texts=table(frames.TEXTS, [text(n, at) for n, at in moments.items()]),
            ),
            journal,
        ).body

    assert "%" not in week_of(19) and "20 arrived (100 %)" in week_of(20)


def test_money_is_exact_and_of_two_currencies_never_added(journal: Journal) -> None:
    prices = [(-0.1, "USD"), (-0.2, "USD"), (-0.0075, "GBP"), (None, None)]
    texts = [
        text(n, ago(hours=1, minutes=n), price=price, price_unit=unit) for n, (price, unit) in enumerate(prices, 1)
    ]
    week = weekly(whole(texts=table(frames.TEXTS, texts), balance=Balance(Decimal("1"), "USD")), journal)
    assert week.figures.costs == (Cost("GBP", Decimal("0.0075"), 1), Cost("USD", Decimal("0.3"), 2))
    assert "1 text has no price yet" in week.body
    document = json.loads(weekly_json(week))
    assert [(cost["total"], cost["per_text"]) for cost in document["figures"]["costs"]] == [
        ("0.0075", "0.0075"),
        ("0.3", "0.1500"),
    ]


def test_the_keys_of_the_week_as_json_do_not_change(journal: Journal, clock: Clock) -> None:
    an_incident(journal, clock, undelivered())
    document = json.loads(weekly_json(weekly(undelivered(), journal)))
    assert list(document) == ["title", "body", "sections", "figures"]
    assert list(document["sections"][0]) == ["title", "lines"]
    figures = document["figures"]
    assert list(figures["outages"][0]) == ["title", "began", "ended", "known", "seen"]
    assert list(figures["people"]) == ["count", "words", "at_least", "states", "seats", "since"]
    assert list(figures["costs"][0]) == ["currency", "total", "texts", "per_text"]


def test_what_became_of_people_is_counted_and_a_stranger_s_words_stay_text(journal: Journal) -> None:
    incident = journal.open_incident("<script>alert(1)</script> [x](javascript:alert(1))", ANA)
    week = weekly(undelivered(), journal)
    assert "still open" in week.body and "Finish the incident" in week.body
    page, marked = weekly_page(week), weekly_markdown(week)
    assert "<script>" not in page and "&lt;script&gt;" in page and "\\<script\\>" in marked
    follow_up(journal, str(incident.id), FollowUp.CALLED, ANA)  # an id that is nobody's changes nothing
    assert "6 to go" in weekly(undelivered(), journal).body
