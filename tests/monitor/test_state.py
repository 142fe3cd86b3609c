"""When an alert is told: examples for people, and properties over every order of readings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lib.monitor.state import (
    AlertEvent,
    AlertState,
    EventKind,
    Finding,
    Hush,
    RuleReading,
    Severity,
    Story,
    next_state,
)

START = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LOUD, MUTED, ACKNOWLEDGED = Hush(), Hush(silent=True), Hush(acknowledged=True)


@dataclass(frozen=True)
class Patient:
    fire_after: int = 3
    resolve_after: int = 2
    remind_every: timedelta = timedelta(hours=2)
    most_reminders: int = 3


RULE = Patient()


def bad(severity: Severity = Severity.WARNING, *, at_once: bool = False, since: datetime | None = None) -> RuleReading:
    return RuleReading(Finding.BAD, Story("Texts are not sent", severity=severity, since=since), at_once=at_once)


BAD, WORSE, AT_ONCE = bad(), bad(Severity.CRITICAL), bad(at_once=True)
GOOD = RuleReading(Finding.GOOD, Story("", "Texts are flowing."))
UNKNOWN, EXPLAINED = RuleReading(Finding.CANNOT_TELL), RuleReading(Finding.EXPLAINED)


@dataclass
class Watch:
    """One rule, looked at once a minute."""

    state: AlertState = field(default_factory=AlertState)
    now: datetime = START
    told: list[AlertEvent] = field(default_factory=list)

    def sees(self, *readings: RuleReading, hush: Hush = LOUD, step: timedelta = MINUTE) -> list[EventKind]:
        events: list[AlertEvent] = []
        for reading in readings:
            self.now += step
            self.state, new = next_state(self.state, reading, RULE, self.now, hush)
            events += new
        self.told += events
        return [event.kind for event in events]


def test_it_fires_after_three_failures_and_resolves_after_two_successes():
    watch = Watch()
    assert watch.sees(BAD, BAD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.sees(BAD, GOOD, BAD, GOOD) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]
    assert watch.state == AlertState()


def test_a_success_between_failures_begins_the_count_anew():
    assert Watch().sees(BAD, BAD, GOOD, BAD, BAD) == []


def test_what_the_account_says_is_believed_at_once():
    assert Watch().sees(AT_ONCE) == [EventKind.FIRED]


def test_cannot_tell_is_neither_success_nor_failure():
    watch = Watch()
    assert watch.sees(BAD, UNKNOWN, BAD, UNKNOWN, UNKNOWN, BAD) == [EventKind.FIRED]
    assert watch.sees(UNKNOWN, GOOD, UNKNOWN) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]


def test_a_resolve_says_how_long_it_lasted_by_the_evidence_and_what_is_now():
    watch = Watch()
    began = START - timedelta(hours=5)
    watch.sees(bad(since=began), bad(since=began), bad(since=began), GOOD, GOOD)
    over = watch.told[-1]
    assert (over.since, over.lasted, over.now_is) == (began, watch.now - began, "Texts are flowing.")


def test_an_end_is_told_even_while_muted_to_those_who_heard_of_the_beginning():
    watch = Watch()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(GOOD, GOOD, hush=MUTED) == [EventKind.RESOLVED]


def test_what_fires_while_muted_is_told_when_the_mute_ends_and_it_still_does():
    watch = Watch()
    assert watch.sees(BAD, BAD, BAD, BAD, hush=MUTED) == []
    assert watch.state.firing
    assert watch.sees(UNKNOWN, GOOD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.told[-1].since == START + MINUTE


def test_what_came_and_went_while_muted_is_never_told():
    watch = Watch()
    assert watch.sees(BAD, BAD, BAD, hush=MUTED) == []
    assert watch.sees(GOOD, GOOD) == []


def test_reminders_come_at_their_pace_and_end():
    watch = Watch()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(*[BAD] * 30, step=timedelta(hours=1)) == [EventKind.REMINDER] * RULE.most_reminders


def test_somebody_who_is_on_it_is_not_reminded_and_the_next_trouble_is_told_again():
    watch = Watch()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(*[BAD] * 10, step=timedelta(hours=1), hush=ACKNOWLEDGED) == []
    assert watch.sees(GOOD, GOOD, hush=ACKNOWLEDGED) == [EventKind.RESOLVED]
    assert watch.sees(BAD, BAD, BAD) == [EventKind.FIRED]


def test_that_it_got_worse_is_told_once_it_is_sure_even_to_who_is_on_it():
    watch = Watch()
    watch.sees(BAD, BAD, BAD)
    assert watch.sees(WORSE, WORSE, BAD, WORSE, WORSE, hush=ACKNOWLEDGED) == []
    assert watch.sees(WORSE, WORSE, BAD, WORSE, WORSE, WORSE, hush=ACKNOWLEDGED) == [EventKind.WORSE]


def test_what_another_rule_explains_must_prove_itself_when_that_one_is_over():
    watch = Watch()
    assert watch.sees(BAD, BAD, EXPLAINED, EXPLAINED, EXPLAINED, BAD, BAD) == []
    assert watch.sees(BAD) == [EventKind.FIRED]
    assert watch.sees(EXPLAINED, GOOD, EXPLAINED, GOOD) == []
    assert watch.sees(GOOD) == [EventKind.RESOLVED]


# Whatever comes ------------------------------------------------------------------------------------------

READINGS = st.sampled_from([GOOD, BAD, WORSE, AT_ONCE, UNKNOWN, EXPLAINED])
HUSHES = st.sampled_from([LOUD, MUTED, ACKNOWLEDGED])
STEPS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=5))
STORIES = st.lists(st.tuples(READINGS, HUSHES, STEPS), max_size=60)


@given(STORIES)
def test_whatever_comes_beginnings_and_ends_alternate_and_the_rest_lies_between(story: list[tuple]):
    watch = Watch()
    for reading, hush, step in story:
        watch.sees(reading, hush=hush, step=step)
    open_ = False
    for event in watch.told:
        begins, ends = event.kind is EventKind.FIRED, event.kind is EventKind.RESOLVED
        assert begins != open_
        open_ = not ends
        assert (event.lasted is not None) == ends
        assert event.since <= event.at
    assert open_ == (watch.state.told_at is not None)
    assert sum(event.kind is EventKind.WORSE for event in watch.told) <= 1 + sum(
        event.kind is EventKind.RESOLVED for event in watch.told
    )


@given(STORIES, READINGS, HUSHES)
def test_whatever_came_before_one_reading_tells_one_thing_at_most_and_only_what_it_may(
    story: list[tuple], last: RuleReading, hush: Hush
):
    watch = Watch()
    for reading, before, step in story:
        watch.sees(reading, hush=before, step=step)
    state = watch.state
    told = watch.sees(last, hush=hush)
    assert len(told) <= 1
    if last.finding in (Finding.CANNOT_TELL, Finding.EXPLAINED):
        assert not told
        assert watch.state.firing == state.firing
    if last.finding is Finding.GOOD:
        assert set(told) <= {EventKind.RESOLVED}
    if hush.silent:
        assert set(told) <= {EventKind.RESOLVED}
    if last.finding is Finding.BAD:
        assert EventKind.RESOLVED not in told
        assert watch.state.firing >= state.firing


@given(STORIES)
def test_a_trouble_that_lasts_is_always_told_in_the_end_and_one_that_is_gone_is_forgotten(story: list[tuple]):
    lasting, gone = Watch(), Watch()
    for reading, hush, step in story:
        lasting.sees(reading, hush=hush, step=step)
        gone.sees(reading, hush=hush, step=step)
    lasting.sees(*[BAD] * RULE.fire_after)
    assert lasting.state.told_at is not None
    gone.sees(*[GOOD] * RULE.resolve_after)
    assert gone.state == AlertState()
