"""When an alert is sent: examples for people, and properties over every order of readings."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lib.monitor.alert_state import (
    AlertContent,
    AlertEvent,
    AlertState,
    EventKind,
    RuleReading,
    RuleStatus,
    Severity,
    SilenceState,
    next_state,
)

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOUD, MUTED, ACKNOWLEDGED = SilenceState(), SilenceState(silent=True), SilenceState(acknowledged=True)


@dataclass(frozen=True)
class Patient:
    fire_after: int = 3
    resolve_after: int = 2
    remind_every: timedelta = timedelta(hours=2)
    most_reminders: int = 3


RULE = Patient()


def bad(
    severity: Severity = Severity.WARNING,
    *,
    at_once: bool = False,
    since: datetime | None = None,
    parts: str = "",
    unknown: str = "",
) -> RuleReading:
    """Return a bad reading; each letter of `parts` is a part that is wrong, each of `unknown` one that may be."""
    story = AlertContent("Texts are not sent", severity=severity, since=since)
    return RuleReading(RuleStatus.BAD, story, at_once=at_once, parts=frozenset(parts), unknown=frozenset(unknown))


A, B, AB = bad(parts="a"), bad(parts="b"), bad(parts="ab")
BAD, WORSE, AT_ONCE = bad(), bad(Severity.CRITICAL), bad(at_once=True)
GOOD = RuleReading(RuleStatus.GOOD, AlertContent("", "Texts are flowing."))
UNKNOWN, EXPLAINED = RuleReading(RuleStatus.CANNOT_TELL), RuleReading(RuleStatus.EXPLAINED)


@dataclass
class Tracked:
    """One rule, looked at once a minute."""

    state: AlertState = field(default_factory=AlertState)
    now: datetime = START
    sent: list[AlertEvent] = field(default_factory=list)

    def sees(
        self, *readings: RuleReading, silence_state: SilenceState = LOUD, step: timedelta = MINUTE
    ) -> list[EventKind]:
        events: list[AlertEvent] = []
        for reading in readings:
            self.now += step
            self.state, new = next_state(self.state, reading, RULE, self.now, silence_state)
            events += new
        self.sent += events
        return [event.kind for event in events]


def test_it_fires_after_three_failures_and_resolves_after_two_successes():
    watch = Tracked()
    assert watch.sees(BAD, BAD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.sees(BAD, GOOD, BAD, GOOD) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]
    assert watch.state == AlertState()


def test_a_success_between_failures_begins_the_count_anew():
    assert Tracked().sees(BAD, BAD, GOOD, BAD, BAD) == []


def test_what_the_account_says_is_believed_at_once():
    assert Tracked().sees(AT_ONCE) == [EventKind.FIRED]


def test_cannot_tell_is_neither_success_nor_failure():
    watch = Tracked()
    assert watch.sees(BAD, UNKNOWN, BAD, UNKNOWN, UNKNOWN, BAD) == [EventKind.FIRED]
    assert watch.sees(UNKNOWN, GOOD, UNKNOWN) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]


def test_a_resolve_says_how_long_it_lasted_by_the_evidence_and_what_is_now():
    watch = Tracked()
    began = START - timedelta(hours=5)
    watch.sees(bad(since=began), bad(since=began), bad(since=began), GOOD, GOOD)
    over = watch.sent[-1]
    assert (over.since, over.lasted, over.now_is) == (began, watch.now - began, "Texts are flowing.")


def test_an_end_is_sent_even_while_muted_to_those_who_heard_of_the_beginning():
    watch = Tracked()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(GOOD, GOOD, silence_state=MUTED) == [EventKind.RESOLVED]


def test_what_fires_while_muted_is_sent_when_the_mute_ends_and_it_still_does():
    watch = Tracked()
    assert watch.sees(BAD, BAD, BAD, BAD, silence_state=MUTED) == []
    assert watch.state.firing
    assert watch.sees(UNKNOWN, GOOD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.sent[-1].since == START + MINUTE


def test_what_came_and_went_while_muted_is_never_sent():
    watch = Tracked()
    assert watch.sees(BAD, BAD, BAD, silence_state=MUTED) == []
    assert watch.sees(GOOD, GOOD) == []


def test_reminders_come_at_their_pace_and_end():
    watch = Tracked()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(*[BAD] * 30, step=timedelta(hours=1)) == [EventKind.REMINDER] * RULE.most_reminders


def test_somebody_who_is_on_it_is_not_reminded_and_the_next_problem_is_sent_again():
    watch = Tracked()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(*[BAD] * 10, step=timedelta(hours=1), silence_state=ACKNOWLEDGED) == []
    assert watch.sees(GOOD, GOOD, silence_state=ACKNOWLEDGED) == [EventKind.RESOLVED]
    assert watch.sees(BAD, BAD, BAD) == [EventKind.FIRED]


def test_that_it_got_worse_is_sent_once_it_is_sure_even_to_who_is_on_it():
    watch = Tracked()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(WORSE, WORSE, BAD, WORSE, WORSE, silence_state=ACKNOWLEDGED) == []
    assert watch.sees(WORSE, WORSE, BAD, WORSE, WORSE, WORSE, silence_state=ACKNOWLEDGED) == [EventKind.WORSE]


def test_what_another_rule_explains_must_prove_itself_when_that_one_is_over():
    watch = Tracked()
    assert watch.sees(BAD, BAD, EXPLAINED, EXPLAINED, EXPLAINED, BAD, BAD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.sees(EXPLAINED, GOOD, EXPLAINED, GOOD) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]


# One rule, several problems -------------------------------------------------------------------------------


def test_another_part_that_goes_wrong_is_sent_once_it_is_sure_even_to_who_is_on_it():
    watch = Tracked()
    assert watch.sees(A, A, A) == [EventKind.FIRED]
    assert watch.sees(AB, AB, A, AB, AB, silence_state=ACKNOWLEDGED) == []
    assert watch.sees(AB, silence_state=ACKNOWLEDGED) == [EventKind.WORSE]
    assert watch.sees(AB, A, A, AB, AB, silence_state=ACKNOWLEDGED) == []


def test_another_part_that_says_it_itself_is_sent_at_once():
    watch = Tracked()
    assert watch.sees(bad(at_once=True, parts="a"), bad(at_once=True, parts="ab")) == [EventKind.FIRED, EventKind.WORSE]
    assert watch.sees(bad(at_once=True, parts="ab"), bad(at_once=True, parts="b")) == []


def test_another_part_that_takes_the_place_of_the_first_is_news_and_so_is_its_return():
    watch = Tracked()
    watch.sees(A, A, A)
    assert watch.sees(B, B, B) == [EventKind.WORSE]
    assert watch.sees(A, A) == [], "it was absent for two readings and more: it is another problem now"
    assert watch.sees(A) == [EventKind.WORSE]


def test_a_part_that_is_away_for_one_reading_was_never_away():
    watch = Tracked()
    watch.sees(AB, AB, AB)
    assert watch.sees(*[A, AB] * 9) == []


def test_a_part_grows_no_older_while_nothing_is_known_of_it():
    watch = Tracked()
    watch.sees(AB, AB, AB)
    unsure = bad(parts="a", unknown="b")
    assert watch.sees(unsure, unsure, unsure, UNKNOWN, EXPLAINED, BAD, BAD, BAD, A, AB, AB, AB, AB) == []


def test_what_a_reminder_named_was_sent():
    watch = Tracked()
    watch.sees(A, A, A)
    assert watch.sees(AB, step=timedelta(hours=2)) == [EventKind.REMINDER]
    assert watch.sees(AB, AB, AB) == []


def test_another_part_that_goes_wrong_while_muted_is_sent_when_the_mute_ends():
    watch = Tracked()
    watch.sees(A, A, A)
    assert watch.sees(AB, AB, AB, AB, silence_state=MUTED) == []
    assert watch.sees(AB) == [EventKind.WORSE]


def test_what_an_older_version_sent_is_not_sent_again():
    """It kept `severe`, and no parts."""
    sent = {
        "failures": 3,
        "severe": 3,
        "successes": 0,
        "since": "2026-03-02T14:01:00Z",
        "fired_at": "2026-03-02T14:03:00Z",
        "told_at": "2026-03-02T14:03:00Z",
        "told_severity": 2,
        "last_told_at": "2026-03-02T14:03:00Z",
        "reminders": 0,
        "story": {
            "title": "Texts are not sent",
            "words": "",
            "cause": "",
            "next_step": "",
            "page": "",
            "severity": 2,
            "since": None,
        },
    }
    watch = Tracked(TypeAdapter(AlertState).validate_json(json.dumps(sent)))
    assert watch.state.firing and watch.state.told_severity is Severity.CRITICAL
    assert watch.sees(BAD, A, A, A, A) == [], "which part it was that was sent is taken from the first reading"
    assert watch.sees(AB, AB, AB) == [EventKind.WORSE]
    again = TypeAdapter(AlertState).validate_json(TypeAdapter(AlertState).dump_json(watch.state))
    assert again == watch.state


# Whatever comes ------------------------------------------------------------------------------------------

PARTS = [A, B, AB, bad(Severity.CRITICAL, parts="a"), bad(at_once=True, parts="b"), bad(parts="a", unknown="b")]
READINGS = st.sampled_from([GOOD, BAD, WORSE, AT_ONCE, UNKNOWN, EXPLAINED, *PARTS])
HUSHES = st.sampled_from([LOUD, MUTED, ACKNOWLEDGED])
STEPS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=5))
STORIES = st.lists(st.tuples(READINGS, HUSHES, STEPS), max_size=60)


@given(STORIES)
def test_whatever_comes_beginnings_and_ends_alternate_and_the_rest_lies_between(story: list[tuple]):
    watch = Tracked()
    for reading, silence_state, step in story:
        watch.sees(reading, silence_state=silence_state, step=step)
    open_ = False
    for event in watch.sent:
        begins, ends = event.kind is EventKind.FIRED, event.kind is EventKind.RESOLVED
        assert begins != open_
        open_ = not ends
        assert (event.lasted is not None) == ends
        assert event.since <= event.at
    assert open_ == (watch.state.told_at is not None)


@given(STORIES)
def test_whatever_comes_worse_is_sent_only_of_what_is_worse_than_was_sent_last(story: list[tuple]):
    watch = Tracked()
    sent: AlertEvent | None = None
    parts: set[str] = set()
    for reading, silence_state, step in story:
        for kind in watch.sees(reading, silence_state=silence_state, step=step):
            event = watch.sent[-1]
            if kind is EventKind.WORSE:
                assert sent and (event.story.severity > sent.story.severity or reading.parts - parts)
            sent = event
            parts = set() if kind is EventKind.RESOLVED else parts | reading.parts
        if reading.finding is RuleStatus.BAD and reading.parts:  # what is away may be over, and is news when it returns
            parts -= {part for part in parts if part not in (watch.state.told_parts or ())}
    assert parts == set(watch.state.told_parts or ())


@given(STORIES, st.sampled_from([LOUD, ACKNOWLEDGED]))
def test_whatever_came_before_all_that_stays_wrong_is_sent_in_the_end(story: list[tuple], silence_state: SilenceState):
    watch = Tracked()
    for reading, before, step in story:
        watch.sees(reading, silence_state=before, step=step)
    if watch.state.told_at is None:
        silence_state = LOUD  # who is on it before anything was sent knows of it
    watch.sees(*[AB] * RULE.fire_after, silence_state=silence_state)
    assert {"a", "b"} <= set(watch.state.told_parts or ())
    sent = len(watch.sent)
    watch.sees(*[AB, A, AB, B, UNKNOWN, EXPLAINED] * 3, silence_state=ACKNOWLEDGED, step=MINUTE)
    assert len(watch.sent) == sent, "and once"


@given(STORIES, READINGS, HUSHES)
def test_whatever_came_before_one_reading_tells_one_thing_at_most_and_only_what_it_may(
    story: list[tuple], last: RuleReading, silence_state: SilenceState
):
    watch = Tracked()
    for reading, before, step in story:
        watch.sees(reading, silence_state=before, step=step)
    state = watch.state
    sent = watch.sees(last, silence_state=silence_state)
    assert len(sent) <= 1
    if last.finding in (RuleStatus.CANNOT_TELL, RuleStatus.EXPLAINED):
        assert not sent
        assert watch.state.firing == state.firing
    if last.finding is RuleStatus.GOOD:
        assert set(sent) <= {EventKind.RESOLVED}
    if silence_state.silent:
        assert set(sent) <= {EventKind.RESOLVED}
    if last.finding is RuleStatus.BAD:
        assert EventKind.RESOLVED not in sent
        assert watch.state.firing >= state.firing


@given(STORIES)
def test_a_problem_that_lasts_is_always_sent_in_the_end_and_one_that_is_gone_is_forgotten(story: list[tuple]):
    lasting, gone = Tracked(), Tracked()
    for reading, silence_state, step in story:
        lasting.sees(reading, silence_state=silence_state, step=step)
        gone.sees(reading, silence_state=silence_state, step=step)
    lasting.sees(*[BAD] * RULE.fire_after)
    assert lasting.state.told_at is not None
    gone.sees(*[GOOD] * RULE.resolve_after)
    assert gone.state == AlertState()
