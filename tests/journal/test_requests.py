"""Requests: started at most once, never lost, and never with a guessed outcome."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from lib.journal.entry import Argument, Fact, Kind, Outcome, Receipt
from lib.journal.errors import ConflictError, JournalError
from lib.journal.journal import Journal
from lib.journal.request import LockRefusal, Request, RequestState
from lib.model.people import NO_LOGIN, Actor, Role, Via
from tests.clocks import Clock
from tests.journal.conftest import START
from tests.journal.workers import DESK, OPERATOR, a_request, lock_and_start, open_journal, settings_of, start_together

MINUTE = timedelta(minutes=1)
DONE = Receipt(Outcome.SUCCEEDED, "It is live.", (Fact("commit", "aaaaaaa"),), (Fact("commit", "bbbbbbb"),), True)
FAILED = Receipt(Outcome.FAILED, "The build failed.")
NO_ANSWER = Receipt(Outcome.UNKNOWN, "No answer came in time.")
LOCK = "vercel:booking-app"


def started(journal: Journal, actor: Actor, lock: str = LOCK, timeout: timedelta = MINUTE) -> Request:
    request = journal.submit_request(a_request(), actor)
    assert journal.lock(request.id, lock, actor).granted
    assert journal.start(request.id, actor, timeout).granted
    return journal.request(request.id)


def test_a_request_is_locked_started_and_finished_with_its_receipt(journal: Journal, ann: Actor, clock: Clock) -> None:
    request = journal.submit_request(
        a_request(arguments=(Argument("commit", "3f" * 20),), reason="Texts are not sent."), ann
    )
    assert request.state is RequestState.REQUESTED
    assert journal.lock(request.id, LOCK, ann).request.state is RequestState.LOCKED
    assert journal.start(request.id, ann, MINUTE).request.state is RequestState.STARTED
    clock.advance(seconds=20)
    journal.progress(request.id, ann, "Vercel builds it.", "dpl_9aBcDeFgHiJkLmNoPqRsTuVwXyZ1")
    journal.finish(request.id, DONE, ann)
    request = journal.request(request.id)
    assert request.state is RequestState.SUCCEEDED
    assert request.receipt == DONE
    assert request.message == "It is live."
    assert request.asked.arguments == (Argument("commit", "3f" * 20),)
    assert [progress.external_id for progress in request.progress] == ["dpl_9aBcDeFgHiJkLmNoPqRsTuVwXyZ1"]
    assert request.started_at is not None and request.ended_at == request.started_at + timedelta(seconds=20)
    assert [entry.kind for entry in journal.entries()] == [
        Kind.REQUEST,
        Kind.LOCKED,
        Kind.STARTED,
        Kind.PROGRESS,
        Kind.RECEIPT,
    ]


def test_the_same_key_submitted_from_fifty_threads_is_one_request(journal: Journal, ann: Actor) -> None:
    new = a_request()
    with ThreadPoolExecutor(50) as pool:
        ids = {request.id for request in pool.map(lambda _: journal.submit_request(new, ann), range(50))}
    assert len(ids) == 1
    assert len(journal.entries()) == 1


def test_a_key_used_again_for_something_else_is_refused(local: Journal, ann: Actor, bob: Actor) -> None:
    key = uuid4()
    local.submit_request(a_request(idempotency_key=key), ann)
    for other in ({"action": "promote"}, {"digest": "cd" * 32}, {"arguments": (Argument("name", "x"),)}):
        with pytest.raises(ConflictError):
            local.submit_request(a_request(idempotency_key=key, **other), ann)
    with pytest.raises(ConflictError):
        local.submit_request(a_request(idempotency_key=key), bob)


def test_a_request_that_is_refused_at_once_is_never_one_that_could_be_carried_out(
    journal: Journal, ann: Actor, bob: Actor
) -> None:
    new = a_request(needs_approval=True)
    refused = journal.submit_request(new, ann, refused="To confirm, type exactly: lamp")
    assert (refused.state, refused.message) == (RequestState.REFUSED, "To confirm, type exactly: lamp")
    assert journal.request(refused.id) == refused
    assert [entry.kind for entry in journal.entries()] == [Kind.REQUEST, Kind.REFUSED]
    with pytest.raises(ConflictError):
        journal.approve(refused.id, bob)
    assert journal.lock(refused.id, LOCK, ann).refusal is LockRefusal.NOT_READY
    assert journal.submit_request(new, ann) == refused
    assert journal.verify().ok


def test_a_refusal_that_comes_after_the_same_key_was_accepted_leaves_the_first_as_it_is(
    local: Journal, ann: Actor
) -> None:
    new = a_request()
    asked = local.submit_request(new, ann)
    assert local.submit_request(new, ann, refused="It needs a reason.") == asked
    assert local.submitted(new, ann) == asked
    assert local.submitted(a_request(), ann) is None


def test_of_eight_processes_that_lock_and_start_a_request_exactly_one_does(environ: dict[str, str]) -> None:
    with contextlib.closing(open_journal(environ)) as journal:
        request = journal.submit_request(a_request(), OPERATOR)
        answers = start_together(8, lock_and_start, environ, request.id)
        assert sum(claimed for claimed, _ in answers) == 1
        assert sum(did_start for _, did_start in answers) == 1
        kinds = [entry.kind for entry in journal.entries()]
        assert kinds == [Kind.REQUEST, Kind.LOCKED, Kind.STARTED]


def test_the_second_lock_is_refused_with_the_name_of_the_first(local: Journal, ann: Actor, bob: Actor) -> None:
    running = started(local, ann)
    again = local.lock(running.id, LOCK, bob)
    assert again.refusal is LockRefusal.TAKEN
    other = local.submit_request(a_request(action="promote"), bob)
    lock_result = local.lock(other.id, LOCK, bob)
    assert lock_result.refusal is LockRefusal.BUSY
    assert lock_result.held_by is not None and lock_result.held_by.id == running.id
    assert ann.name in lock_result.message
    assert local.lock(other.id, "another:target", bob).granted


def test_a_second_person_must_be_somebody_else(local: Journal, ann: Actor, bob: Actor) -> None:
    request = local.submit_request(a_request(needs_approval=True), ann)
    assert request.state is RequestState.WAITING
    assert local.lock(request.id, LOCK, ann).refusal is LockRefusal.NOT_READY
    disguises = (ann.name, ann.name.upper(), f" {ann.name}", f"{ann.name}\u200b", ann.name.replace("@", "\u200d@"))
    for disguise in disguises:
        with pytest.raises(ConflictError, match="second person"):
            local.approve(request.id, Actor(disguise, Role.OPERATOR, Via.PAGE))
    assert local.approve(request.id, bob).approved_by == bob
    assert local.lock(request.id, LOCK, ann).granted


@pytest.mark.parametrize(
    "second",
    [
        Actor(NO_LOGIN, Role.OPERATOR, Via.PAGE),
        Actor("bob@lantern.example", Role.OPERATOR, Via.COMMAND_LINE),
        Actor("bob", Role.OPERATOR, Via.COMMAND_LINE),
    ],
)
def test_who_did_not_log_in_is_no_second_person(local: Journal, ann: Actor, bob: Actor, second: Actor) -> None:
    """One person may use the command line and the dashboard on the same machine."""
    at_the_command_line = replace(ann, via=Via.COMMAND_LINE)
    request = local.submit_request(a_request(needs_approval=True), at_the_command_line)
    with pytest.raises(ConflictError, match="log in") as refused:
        local.approve(request.id, second)
    assert "OPERATORS" in refused.value.hint
    assert local.approve(request.id, bob).state is RequestState.REQUESTED


@pytest.mark.parametrize("via", [Via.PAGE, Via.COMMAND_LINE])
def test_a_request_without_a_login_has_no_second_person_who_could_approve_it(
    local: Journal, ann: Actor, via: Via
) -> None:
    request = local.submit_request(a_request(needs_approval=True), Actor(NO_LOGIN, Role.OPERATOR, via))
    with pytest.raises(ConflictError, match="without a login") as refused:
        local.approve(request.id, ann)
    assert "request it again" in refused.value.hint
    assert local.request(request.id).state is RequestState.WAITING


def test_the_name_of_a_login_at_the_machine_and_its_address_are_one_person(local: Journal, ann: Actor) -> None:
    request = local.submit_request(a_request(needs_approval=True), Actor("Ann", Role.OPERATOR, Via.COMMAND_LINE))
    with pytest.raises(ConflictError, match="second person"):
        local.approve(request.id, ann)


def test_a_request_that_nobody_starts_in_time_expires(local: Journal, ann: Actor, clock: Clock) -> None:
    request = local.submit_request(a_request(valid_for=5 * MINUTE), ann)
    clock.advance(minutes=5)
    assert local.request(request.id).state is RequestState.EXPIRED
    assert local.lock(request.id, LOCK, ann).refusal is LockRefusal.NOT_READY
    assert [expired.id for expired in local.expire(DESK)] == [request.id]
    assert local.expire(DESK) == ()
    assert local.entries()[-1].kind is Kind.EXPIRED


def test_a_lock_whose_holder_is_gone_expires_and_frees_its_target(
    local: Journal, ann: Actor, bob: Actor, clock: Clock
) -> None:
    lost = local.submit_request(a_request(), ann)
    local.lock(lost.id, LOCK, ann, hold_for=MINUTE)
    clock.advance(minutes=1)
    other = local.submit_request(a_request(), bob)
    assert local.lock(other.id, LOCK, bob).granted
    # The first one wakes up again: it is too late for it, and it must not act.
    assert not local.start(lost.id, ann, MINUTE).granted
    assert local.request(lost.id).state is RequestState.EXPIRED


def test_clocks_that_disagree_do_not_let_two_start_on_one_target(
    local: Journal, ann: Actor, bob: Actor, clock: Clock
) -> None:
    slow = local.submit_request(a_request(), ann)
    local.lock(slow.id, LOCK, ann, hold_for=MINUTE)
    clock.advance(minutes=1)
    other = local.submit_request(a_request(), bob)
    assert local.lock(other.id, LOCK, bob).granted
    clock.advance(minutes=-1)  # the clock of the first one's machine
    assert local.start(slow.id, ann, MINUTE).refusal is LockRefusal.BUSY
    clock.advance(minutes=1)
    assert local.start(other.id, bob, MINUTE).granted


def test_without_a_receipt_the_outcome_is_unknown_and_its_target_stays_taken(
    local: Journal, ann: Actor, bob: Actor, clock: Clock
) -> None:
    lost = started(local, ann)
    clock.advance(minutes=1)
    assert local.request(lost.id).state is RequestState.UNKNOWN
    other = local.submit_request(a_request(), bob)
    assert local.lock(other.id, LOCK, bob).refusal is LockRefusal.UNRESOLVED
    assert local.lock(lost.id, LOCK, ann).refusal is LockRefusal.TAKEN
    local.resolve(lost.id, Outcome.FAILED, "Vercel shows no deployment of that minute.", bob)
    assert local.request(lost.id).state is RequestState.FAILED
    assert local.lock(other.id, LOCK, bob).granted


def test_a_process_without_a_heartbeat_counts_as_dead_long_before_the_deadline(
    journal: Journal, ann: Actor, clock: Clock
) -> None:
    lost = started(journal, ann, timeout=12 * MINUTE)
    journal.heartbeat(lost.id)
    clock.advance(seconds=30)
    journal.heartbeat(lost.id)
    clock.advance(seconds=30)
    assert journal.request(lost.id).state is RequestState.STARTED
    clock.advance(seconds=30)
    assert journal.request(lost.id).state is RequestState.UNKNOWN
    assert journal.requests()[0].state is RequestState.UNKNOWN
    # It was only slow: what it did is a fact, and believed.
    assert journal.finish(lost.id, DONE, ann).state is RequestState.SUCCEEDED


def test_what_is_known_is_not_resolved(local: Journal, ann: Actor) -> None:
    request = started(local, ann)
    with pytest.raises(ConflictError):  # it may still be running
        local.resolve(request.id, Outcome.FAILED, "Nothing there.", ann)
    local.finish(request.id, NO_ANSWER, ann)
    with pytest.raises(JournalError):
        local.resolve(request.id, Outcome.UNKNOWN, "Who knows.", ann)
    assert local.resolve(request.id, Outcome.SUCCEEDED, "It is there.", ann).state is RequestState.SUCCEEDED
    with pytest.raises(ConflictError):
        local.resolve(request.id, Outcome.FAILED, "It is not.", ann)


def test_a_receipt_that_comes_late_is_kept_and_believed(local: Journal, ann: Actor, bob: Actor, clock: Clock) -> None:
    request = started(local, ann)
    clock.advance(hours=1)
    local.resolve(request.id, Outcome.FAILED, "I saw nothing.", bob)
    assert local.finish(request.id, DONE, ann).state is RequestState.SUCCEEDED
    with pytest.raises(ConflictError):
        local.finish(request.id, FAILED, ann)


def test_what_was_started_can_be_neither_refused_nor_cancelled(local: Journal, ann: Actor) -> None:
    request = started(local, ann)
    with pytest.raises(ConflictError):
        local.cancel(request.id, ann)
    with pytest.raises(ConflictError):
        local.refuse(request.id, "Too late.", ann)


def test_what_was_stopped_can_be_neither_started_nor_finished(local: Journal, ann: Actor) -> None:
    refused = local.submit_request(a_request(), ann)
    local.lock(refused.id, LOCK, ann)
    assert local.refuse(refused.id, "A newer deployment is live.", ann).message == "A newer deployment is live."
    cancelled = local.submit_request(a_request(), ann)
    local.cancel(cancelled.id, ann)
    for request in (refused, cancelled):
        assert not local.lock(request.id, LOCK, ann).granted
        assert not local.start(request.id, ann, MINUTE).granted
        with pytest.raises(ConflictError):
            local.finish(request.id, DONE, ann)
        with pytest.raises(ConflictError):
            local.progress(request.id, ann, "x")


def test_nothing_starts_while_the_desk_is_frozen(journal: Journal, ann: Actor, bob: Actor) -> None:
    claimed, waiting = journal.submit_request(a_request(), ann), journal.submit_request(a_request(), ann)
    running = started(journal, ann, "another:target")
    assert journal.lock(claimed.id, LOCK, ann).granted
    frozen = journal.freeze("We look first.", bob)
    assert journal.freeze("Once more.", ann) == frozen
    assert journal.frozen() == frozen
    for lock_result in (journal.start(claimed.id, ann, MINUTE), journal.lock(waiting.id, "third:target", ann)):
        assert lock_result.refusal is LockRefusal.FROZEN
        assert "We look first." in lock_result.message
    assert journal.finish(running.id, DONE, ann).state is RequestState.SUCCEEDED  # what runs is recorded
    journal.unfreeze(ann)
    assert journal.frozen() is None
    assert journal.start(claimed.id, ann, MINUTE).granted


def test_a_target_cools_down_from_the_last_start(local: Journal, ann: Actor, clock: Clock) -> None:
    first = started(local, ann)
    local.finish(first.id, FAILED, ann)
    # One that was claimed and refused did nothing: it does not count.
    refused = local.submit_request(a_request(), ann)
    local.lock(refused.id, LOCK, ann)
    local.refuse(refused.id, "x", ann)
    clock.advance(seconds=50)
    second = local.submit_request(a_request(), ann)
    lock_result = local.lock(second.id, LOCK, ann, cool_down=MINUTE)
    assert lock_result.refusal is LockRefusal.COOLING_DOWN
    assert "10 s" in lock_result.message
    clock.advance(seconds=10)
    assert local.lock(second.id, LOCK, ann, cool_down=MINUTE).granted


def test_requests_are_listed_newest_first_by_state_time_and_incident(
    journal: Journal, ann: Actor, clock: Clock
) -> None:
    incident = journal.open_incident("No texts", ann)
    old = [journal.submit_request(a_request(valid_for=MINUTE), ann) for _ in range(120)]
    clock.advance(hours=1)
    new = journal.submit_request(a_request(incident_id=incident.id), ann)
    assert [request.id for request in journal.requests(limit=2)] == [new.id, old[-1].id]
    assert [request.id for request in journal.requests([RequestState.REQUESTED])] == [new.id]
    assert len(journal.requests([RequestState.EXPIRED], limit=1000)) == 120
    assert len(journal.requests([RequestState.EXPIRED], limit=5)) == 5
    assert [request.id for request in journal.requests(since=clock.now)] == [new.id]
    assert [request.id for request in journal.requests(incident_id=incident.id)] == [new.id]
    with pytest.raises(JournalError):
        journal.request(uuid4())


STOPPED = {RequestState.REFUSED, RequestState.CANCELLED, RequestState.EXPIRED}
ENDED = {RequestState.SUCCEEDED, RequestState.FAILED}


class Lives(RuleBasedStateMachine):
    """Two targets, many requests and a clock: the invariants hold after any steps in any order."""

    requests = Bundle("requests")
    locks = st.sampled_from(["first:target", "second:target"])
    people = st.sampled_from([Actor(name, Role.OPERATOR, Via.PAGE) for name in ("ann", "bob")])

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.clock = Clock(START)
        environ = {"JOURNAL_URL": f"sqlite:///{Path(self.folder.name) / 'journal.sqlite3'}"}
        self.journal = Journal.open(settings_of(environ), self.clock)
        self.starts: dict[UUID, int] = {}
        self.stopped: dict[UUID, RequestState] = {}
        self.approved: set[UUID] = set()

    def teardown(self) -> None:
        assert self.journal.verify().ok
        self.journal.close()
        self.folder.cleanup()

    @rule(target=requests, person=people, needs_approval=st.booleans())
    def submit(self, person: Actor, needs_approval: bool) -> UUID:
        request = self.journal.submit_request(a_request(needs_approval=needs_approval), person)
        self.starts[request.id] = 0
        return request.id

    @rule(request=requests, person=people)
    def approve(self, request: UUID, person: Actor) -> None:
        before = self.journal.request(request)
        with contextlib.suppress(ConflictError):
            self.journal.approve(request, person)
            assert before.state is RequestState.WAITING and before.requested_by.name != person.name
            self.approved.add(request)

    @rule(request=requests, person=people, lock=locks)
    def lock(self, request: UUID, person: Actor, lock: str) -> None:
        before = self.journal.request(request)
        busy = any(other.lock_key == lock and other.state.holds_its_target for other in self.journal.requests())
        granted = self.journal.lock(request, lock, person).granted
        expected = before.state is RequestState.REQUESTED and not busy and self.journal.frozen() is None
        assert granted == expected

    @rule(request=requests, person=people)
    def start(self, request: UUID, person: Actor) -> None:
        before = self.journal.request(request).state
        if self.journal.start(request, person, MINUTE).granted:
            assert before is RequestState.LOCKED and self.journal.frozen() is None
            self.starts[request] += 1

    @rule(request=requests, person=people, receipt=st.sampled_from([DONE, FAILED, NO_ANSWER]))
    def finish(self, request: UUID, person: Actor, receipt: Receipt) -> None:
        before = self.journal.request(request)
        try:
            self.journal.finish(request, receipt, person)
        except ConflictError:
            assert not self.starts[request] or before.receipt is not None
        else:
            assert self.starts[request] and before.receipt is None

    @rule(request=requests, person=people, outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.FAILED]))
    def resolve(self, request: UUID, person: Actor, outcome: Outcome) -> None:
        before = self.journal.request(request).state
        try:
            after = self.journal.resolve(request, outcome, "seen", person).state
        except ConflictError:
            assert before is not RequestState.UNKNOWN
        else:
            assert before is RequestState.UNKNOWN and after == outcome.value

    @rule(request=requests, person=people, refuse=st.booleans())
    def stop(self, request: UUID, person: Actor, refuse: bool) -> None:
        before = self.journal.request(request).state
        try:
            after = (
                self.journal.refuse(request, "no", person) if refuse else self.journal.cancel(request, person)
            ).state
        except ConflictError:
            assert not before.may_be_stopped
        else:
            assert before.may_be_stopped
            assert after is (RequestState.REFUSED if refuse else RequestState.CANCELLED)

    @rule(person=people)
    def freeze_or_thaw(self, person: Actor) -> None:
        if self.journal.frozen():
            self.journal.unfreeze(person)
        else:
            self.journal.freeze("look first", person)

    @rule(minutes=st.sampled_from([0.5, 3, 20]))
    def time_passes(self, minutes: float) -> None:
        self.clock.advance(minutes=minutes)

    @rule()
    def tidy_up(self) -> None:
        self.journal.expire(DESK)

    @invariant()
    def every_promise_holds(self) -> None:
        held: set[str] = set()
        for request in self.journal.requests(limit=1000):
            assert self.starts[request.id] <= 1
            assert (request.state in STOPPED) <= (self.starts[request.id] == 0)
            assert (request.state in ENDED) <= (self.starts[request.id] == 1)
            assert (request.started_at is not None) == (self.starts[request.id] == 1)
            assert self.stopped.get(request.id, request.state) is request.state
            if request.asked.needs_approval and self.starts[request.id]:
                assert request.id in self.approved
            if request.state in STOPPED:
                self.stopped[request.id] = request.state
            if request.state.holds_its_target:
                assert request.lock_key not in held
                held.add(str(request.lock_key))


Lives.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWhateverIsTried = Lives.TestCase


def test_how_often_each_action_ended_how_is_counted(journal: Journal, ann: Actor) -> None:
    tricky = Receipt(Outcome.SUCCEEDED, 'It said "outcome":"failed" in passing.')
    for number, receipt in enumerate((DONE, tricky, NO_ANSWER)):
        journal.finish(started(journal, ann, lock=f"{LOCK}_{number}").id, receipt, ann)
    journal.refuse(journal.submit_request(a_request(), ann).id, "No.", ann)
    action = a_request().action
    assert journal.outcomes() == {
        (action, Outcome.SUCCEEDED): 2,
        (action, Outcome.UNKNOWN): 1,
        (action, Kind.REFUSED): 1,
    }
