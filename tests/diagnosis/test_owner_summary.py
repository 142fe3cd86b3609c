"""What the owner reads first, in every scenario and over any snapshot: right, and no more than the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings

from lib.affected import Affected, PersonState, affected
from lib.diagnosis.causes import causes, unexplained
from lib.diagnosis.checks import BY_ID, delivery, sending
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import CannotTellError, Terms
from lib.diagnosis.tasks import tasks
from lib.model.frames import PENDING_BOOKINGS
from lib.model.reading import FailureKind
from lib.model.verdict import CheckStatus, HeadlineState, Hop, Verdict
from lib.owner_summary import NOTHING_WRONG, OwnerAnswer, OwnerSummary, owner_summary
from lib.sandbox.scenarios import SCENARIOS
from lib.settings import Settings
from lib.snapshot import Snapshot
from tests.diagnosis.builders import NOW, snapshot, table, without
from tests.diagnosis.conftest import Case
from tests.diagnosis.test_random import snapshots

YES, PARTLY, NO, NONE_DUE, UNKNOWN = (
    OwnerAnswer.YES,
    OwnerAnswer.PARTLY,
    OwnerAnswer.NO,
    OwnerAnswer.NONE_DUE,
    OwnerAnswer.CANNOT_TELL,
)
DEVELOPER, BY_BUTTON = "your developer", "your developer; a button here does it"
VERCEL, TWILIO = "whoever runs Vercel", "whoever runs Twilio"
NOBODY, FIVE = "Nobody is stuck.", "5 people are stuck."
ALL_ARRIVED = "Yes, 10 of 10 in the last 24 hours."
FEW_SENT = "No: only 4 of 10 bookings in the last 24 hours got a text."
CANNOT_START = "No: bookings cannot start."
NO_RECORD, REFUSES = "no record of new texts is kept", "the booking app fails when somebody books"
NO_TEXT = "no text is sent for new bookings"


@dataclass(frozen=True)
class Expected:
    verdict: OwnerAnswer
    answer: str
    wrong: str
    stuck: str
    needed: str


UNRECORDED = Expected(YES, ALL_ARRIVED, NO_RECORD, NOBODY, BY_BUTTON)
UNRECORDED_AT_VERCEL = Expected(YES, ALL_ARRIVED, NO_RECORD, NOBODY, VERCEL)
WELL = Expected(YES, ALL_ARRIVED, NOTHING_WRONG, NOBODY, "")
EXPECTED = {
    "healthy": WELL,
    "misfit-elsewhere": WELL,
    "code-not-deployed": UNRECORDED,
    "not-promoted": UNRECORDED,
    "older-build-took-domain": UNRECORDED,
    "missing-column": UNRECORDED,
    "migration-not-applied": UNRECORDED,
    "code-unreadable": UNRECORDED,
    "sent-not-recorded": UNRECORDED,
    "two-causes": UNRECORDED,
    "wrong-branch": UNRECORDED_AT_VERCEL,
    "git-disconnected": UNRECORDED_AT_VERCEL,
    "build-failing": Expected(YES, ALL_ARRIVED, NO_RECORD, NOBODY, DEVELOPER),
    "provider-rejecting": Expected(NO, FEW_SENT, "Twilio refuses the texts", FIVE, TWILIO),
    "undelivered": Expected(
        NO,
        "No: only 3 of 10 texts in the last 24 hours arrived.",
        "texts are sent and do not arrive",
        "7 people are stuck.",
        TWILIO,
    ),
    "twilio-unconfigured": Expected(NO, FEW_SENT, NO_TEXT, FIVE, VERCEL),
    "env-missing": Expected(NO, FEW_SENT, NO_TEXT, FIVE, BY_BUTTON),
    "link-to-login": Expected(
        PARTLY,
        "Yes, 10 of 10 in the last 24 hours, but the link in them does not work.",
        "customers cannot confirm: the link in the text does not open for them",
        FIVE,
        DEVELOPER,
    ),
    "api-500": Expected(NO, CANNOT_START, REFUSES, FIVE, BY_BUTTON),
    "literal-not-allowed": Expected(NO, CANNOT_START, REFUSES, FIVE, BY_BUTTON),
    "api-key-revoked": Expected(
        NO,
        CANNOT_START,
        "the booking form is refused: its key was switched off",
        "Who tried to book cannot be known.",
        "whoever runs Supabase",
    ),
    "rls-blind": Expected(
        UNKNOWN,
        "Cannot tell.",
        "cannot be told. Our key is a publishable key: row level security hides rows from it without an error",
        "Whether anybody is stuck cannot be told.",
        "whoever runs Switchboard",
    ),
    "receipts-stale": Expected(
        YES, ALL_ARRIVED, "the booking system does not learn whether texts arrive", NOBODY, VERCEL
    ),
    "jobs-stuck": Expected(
        YES,
        ALL_ARRIVED,
        "reminders and other later texts wait: the app's background jobs do not run",
        NOBODY,
        VERCEL,
    ),
    "quiet-day": Expected(
        NONE_DUE, "No text was due: nobody asked to book in the last 24 hours.", NOTHING_WRONG, NOBODY, ""
    ),
}
_COLUMN = "initiate writes pending_bookings.metadata (src/lib/sms/record.ts, line "
_LITERAL = "initiate writes “booking_confirmation” to short_links.link_type (src/lib/shortLinks.ts, line "
CITED = {
    "missing-column": _COLUMN,
    "migration-not-applied": _COLUMN,
    "api-500": _LITERAL,
    "literal-not-allowed": _LITERAL,
}


def people_of(diagnosis: Diagnosis) -> Affected | None:
    try:
        return affected(diagnosis.facts)
    except CannotTellError:
        return None


def summary_of(diagnosis: Diagnosis) -> OwnerSummary:
    settings = Settings(required_env_names=diagnosis.facts.terms.required_env_names)
    return owner_summary(diagnosis, tasks(diagnosis, settings), people_of(diagnosis))


def test_every_scenario_has_an_expectation() -> None:
    assert EXPECTED.keys() == SCENARIOS.keys()


@pytest.mark.sandbox
@pytest.mark.parametrize("name", EXPECTED)
def test_the_owner_reads_the_answer_of_the_scenario(name: str, case: Callable[[str], Case]) -> None:
    found = summary_of(case(name).whole)
    expected = EXPECTED[name]
    assert Expected(found.verdict, found.answer, found.wrong, found.stuck, found.needed) == expected
    assert disagreements(case(name).whole) == []


@pytest.mark.sandbox
@pytest.mark.parametrize("name", EXPECTED)
def test_the_line_of_code_is_cited_where_it_is_the_cause_and_nowhere_else(
    name: str, case: Callable[[str], Case]
) -> None:
    line = summary_of(case(name).whole).code_line
    assert line.startswith(CITED[name]) if name in CITED else line == ""


@pytest.mark.sandbox
@pytest.mark.parametrize("name", EXPECTED)
def test_each_bad_check_is_explained_by_a_cause_or_stands_by_itself(name: str, case: Callable[[str], Case]) -> None:
    diagnosis = case(name).whole
    found = causes(diagnosis)
    explained = {check.id for cause in found for check in cause.explains}
    alone = {check.id for check in unexplained(diagnosis, found)}
    bad = {check.id for check in diagnosis.checks if check.status in (CheckStatus.FAIL, CheckStatus.WARN)}
    assert explained | alone == bad and not explained & alone
    shown = [one.id for cause in found for one in (cause.hypothesis, *cause.consequences)]
    open_ = {one.id for one in diagnosis.hypotheses if one.verdict not in (Verdict.RULED_OUT, Verdict.CANNOT_TELL)}
    assert len(shown) == len(set(shown)) and set(shown) == open_


@pytest.mark.sandbox
def test_what_a_missing_column_leads_to_stands_within_it(case: Callable[[str], Case]) -> None:
    (cause,) = causes(case("missing-column").whole)
    assert cause.hypothesis.id == "missing_column"
    assert [one.id for one in cause.consequences] == ["sent_not_recorded"]
    assert unexplained(case("missing-column").whole, (cause,)) == ()


@pytest.mark.sandbox
def test_what_names_no_cause_stands_within_the_one_that_leads_to_it_also_if_that_is_only_likely(
    case: Callable[[str], Case],
) -> None:
    first = causes(case("code-unreadable").whole)[0]
    assert (first.hypothesis.id, first.hypothesis.verdict) == ("missing_column", Verdict.LIKELY)
    assert [one.id for one in first.consequences] == ["sent_not_recorded"]


@pytest.mark.sandbox
def test_a_cause_that_stands_before_another_is_no_consequence_of_it(case: Callable[[str], Case]) -> None:
    found = {cause.hypothesis.id: cause for cause in causes(case("code-not-deployed").whole)}
    assert list(found) == ["code_not_deployed", "build_failing"]
    assert found["build_failing"].consequences == ()


# Any snapshot.


def disagreements(diagnosis: Diagnosis) -> list[str]:
    """Return what the owner's sentences and the rest of the diagnosis say differently."""
    return list(_disagreements(diagnosis, summary_of(diagnosis), people_of(diagnosis)))


def _disagreements(diagnosis: Diagnosis, owner: OwnerSummary, people: Affected | None) -> Iterator[str]:
    head = diagnosis.headline
    if head.state is HeadlineState.CANNOT_TELL and owner.verdict is not UNKNOWN:
        yield f"{owner.answer} where the headline cannot tell"
    if head.state is HeadlineState.BROKEN and owner.verdict is YES:
        yield f"{owner.answer} under {head.sentence}"
    on_the_way = head.hop in (Hop.DEMAND, Hop.ACCEPTED, Hop.DELIVERED)
    if head.state is HeadlineState.BROKEN and on_the_way and owner.verdict is not NO:
        yield f"{owner.answer} where no text comes"
    if head.state is HeadlineState.FLOWING and owner.verdict not in (YES, PARTLY):
        yield f"{owner.answer} while texts flow"
    unfit = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.CANNOT_TELL)
    if owner.verdict is YES and diagnosis.check(sending.texts_follow).status in unfit:
        yield f"{owner.answer}, and not every booking has a text"
    if owner.verdict is YES and diagnosis.check(delivery.texts_arrive).status is not CheckStatus.OK:
        yield f"{owner.answer}, and texts are not known to arrive"
    delivered = next(tile for tile in diagnosis.tiles if tile.id == "delivered")
    if owner.answer.startswith("Yes, ") and not owner.answer.startswith(f"Yes, {delivered.value} in "):
        yield f"{owner.answer} beside {delivered.value}"
    of_texts = owner.verdict is NO and owner.answer.endswith("texts in the last 24 hours arrived.")
    none = owner.answer.startswith("No: none of ") and delivered.value.startswith("0 of ")
    if of_texts and not none and f" {delivered.value} " not in owner.answer:
        yield f"{owner.answer} beside {delivered.value}"
    yield from _of_people(diagnosis, owner, people)
    if (owner.needed == "") != (
        head.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC)
    ) and not owner.next_step:
        yield f"needed: {owner.needed} while {head.state}"
    if not owner.wrong or owner.wrong.endswith("."):
        yield f"wrong: {owner.wrong}"


def _of_people(diagnosis: Diagnosis, owner: OwnerSummary, people: Affected | None) -> Iterator[str]:
    if owner.stuck == NOBODY:
        if people is None or people.people or people.unknowable or people.at_least:
            yield "nobody is stuck, and that is not known"
        if diagnosis.headline.state in (HeadlineState.BROKEN, HeadlineState.CANNOT_TELL):
            yield f"nobody is stuck, and {diagnosis.headline.sentence}"
    waiting = len(people.to_do) if people else 0
    if waiting and str(waiting) not in owner.stuck:
        yield f"{owner.stuck} beside {waiting}"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_over_any_snapshot_the_owner_and_the_headline_agree(world: tuple[Snapshot, datetime, Terms]) -> None:
    seen, now, terms = world
    diagnosis = diagnose(seen, now, terms)
    assert disagreements(diagnosis) == []
    found = causes(diagnosis)
    assert {check.id for check in unexplained(diagnosis, found)} <= BY_ID.keys()


def test_where_nothing_was_read_nothing_is_answered() -> None:
    names = list(snapshot().__dataclass_fields__)
    readings = [name for name in names if name not in ("window", "taken_at", "rows_since")]
    for kind in (FailureKind.NOT_CONFIGURED, FailureKind.TIMEOUT):
        owner = summary_of(diagnose(without(snapshot(), readings, kind), NOW))
        assert (owner.verdict, owner.answer) == (UNKNOWN, "Cannot tell.")
        assert owner.stuck == "Whether anybody is stuck cannot be told."


def test_without_any_booking_no_text_was_due_even_if_the_database_does_not_fit() -> None:
    quiet = diagnose(snapshot(pending_bookings=table(PENDING_BOOKINGS, [])), NOW)
    assert summary_of(quiet).verdict in (NONE_DUE, UNKNOWN)


@pytest.mark.sandbox
def test_people_who_were_seen_to_no_longer_wait(case: Callable[[str], Case]) -> None:
    diagnosis = case("provider-rejecting").whole
    people = people_of(diagnosis)
    assert people is not None
    called = replace(people, people=tuple(replace(one, state=PersonState.CALLED) for one in people.people))
    stuck = owner_summary(diagnosis, (), called).stuck
    assert stuck == "Nobody is waiting any more: 5 people were stuck, and each was seen to."
    some = replace(people, people=(*called.people[1:], people.people[0]), at_least=True)
    assert owner_summary(diagnosis, (), some).stuck == "At least 1 person is stuck."
