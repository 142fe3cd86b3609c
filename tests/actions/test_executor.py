"""A button is a promise: it does what was seen, once, and leaves a record."""

from __future__ import annotations

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from lib.__main__ import app as command_line
from lib.actions.action import FailedError, RefusedError
from lib.actions.action_registry import ACTIONS
from lib.actions.executor import Executor, Order
from lib.commands import action_commands
from lib.commands.terminal import ActionExit
from lib.journal import engine
from lib.journal.entry import Outcome
from lib.journal.errors import ConflictError, JournalError
from lib.journal.journal import Journal
from lib.journal.request import Request, RequestState
from lib.model.people import NO_LOGIN, Actor, Role, Via
from lib.model.reading import FailureKind, SourceError
from lib.sources.http import OutcomeUnknownError
from tests.actions.conftest import OPERATOR, SECOND, VIEWER, FakeAction, another, executor_for

ROOT = Path(__file__).resolve().parents[2]


def order(executor: Executor, **changes: object) -> Order:
    """An order as somebody gives it who read the preview and typed the phrase."""
    preview = executor.preview("switch_on", {})
    fields = {"action": "switch_on", "args": {}, "digest": preview.digest, "phrase": "lamp", "reason": "it is dark"}
    return Order(**{**fields, **changes})  # type: ignore[arg-type]


def do(executor: Executor, given: Order, actor: Actor = OPERATOR) -> RequestState:
    request = executor.submit(given, actor)
    return executor.carry_out(request.id, actor).state


def test_what_was_confirmed_is_done_once_and_leaves_a_receipt(executor: Executor, fake_target: FakeAction) -> None:
    request = executor.submit(order(executor), OPERATOR)
    done = executor.carry_out(request.id, OPERATOR)
    assert done.state is RequestState.SUCCEEDED
    assert fake_target.times == 1
    assert done.receipt is not None
    assert done.receipt.verified is True
    assert "It is light." in done.receipt.evidence


def test_a_viewer_cannot_act(executor: Executor, fake_target: FakeAction) -> None:
    with pytest.raises(RefusedError, match="ask an operator"):
        executor.submit(order(executor), VIEWER)
    assert fake_target.times == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phrase": ""}, "type exactly: lamp"),
        ({"phrase": "Lamp"}, "type exactly: lamp"),
        ({"reason": "  "}, "needs a reason"),
        ({"reason": "\u200b"}, "needs a reason"),  # of which nothing would stand in the journal
        ({"digest": "0" * 64}, "Open a new preview"),
    ],
)
def test_a_wrong_confirmation_is_refused_and_recorded(
    executor: Executor, fake_target: FakeAction, changes: dict[str, str], message: str
) -> None:
    request = executor.submit(order(executor, **changes), OPERATOR)
    assert request.state is RequestState.REFUSED
    assert message in request.message
    assert executor.carry_out(request.id, OPERATOR).state is RequestState.REFUSED
    assert fake_target.times == 0


def test_a_world_that_moved_between_preview_and_confirm_is_refused_with_the_difference(
    tmp_path: Path, executor: Executor, fake_target: FakeAction
) -> None:
    given = order(executor)
    moved = another(fake_target, colour="red")
    executor.actions = {moved.id: moved}
    request = executor.submit(given, OPERATOR)
    assert request.state is RequestState.REFUSED
    assert "colour: green → red" in request.message
    assert fake_target.times == 0


def test_a_digest_of_no_preview_that_is_kept_here_is_said_to_be_one(executor: Executor) -> None:
    request = executor.submit(order(executor, digest="0" * 64), OPERATOR)
    assert "No preview with this digest is kept here" in request.message
    assert "now it would be: switch on, green" in request.message


def test_a_world_that_moved_between_confirm_and_run_is_refused_too(executor: Executor, fake_target: FakeAction) -> None:
    request = executor.submit(order(executor), OPERATOR)
    moved = another(fake_target, colour="red")
    executor.actions = {moved.id: moved}
    assert executor.carry_out(request.id, OPERATOR).state is RequestState.REFUSED
    assert fake_target.times == 0


def test_what_the_preflight_blocks_is_not_done(tmp_path: Path, fake_target: FakeAction) -> None:
    blocked = another(fake_target, blocked=True)
    executor = executor_for(tmp_path / "journal.sqlite3", blocked)
    request = executor.submit(order(executor), OPERATOR)
    assert request.state is RequestState.REFUSED
    assert "bulb is missing" in request.message


def test_a_frozen_desk_does_nothing(executor: Executor, fake_target: FakeAction) -> None:
    request = executor.submit(order(executor), OPERATOR)
    executor.journal.freeze("the owner is on the phone", SECOND)
    done = executor.carry_out(request.id, OPERATOR)
    assert done.state is RequestState.REFUSED
    assert "owner is on the phone" in done.message
    assert fake_target.times == 0


def test_three_quick_clicks_are_one_request(executor: Executor, fake_target: FakeAction) -> None:
    key = uuid4()
    requests = [executor.submit(order(executor, idempotency_key=key), OPERATOR) for _ in range(3)]
    threads = [threading.Thread(target=executor.carry_out, args=(r.id, OPERATOR)) for r in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({request.id for request in requests}) == 1
    assert fake_target.times == 1


def test_two_people_at_once_get_one_effect_and_the_other_sees_who_runs_it(
    tmp_path: Path, fake_target: FakeAction
) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        go_on.wait(10)

    slow = another(fake_target, in_run=wait)
    first = executor_for(tmp_path / "journal.sqlite3", slow)
    second = executor_for(tmp_path / "journal.sqlite3", fake_target)
    ours, theirs = first.submit(order(first), OPERATOR), second.submit(order(second), SECOND)
    running = threading.Thread(target=first.carry_out, args=(ours.id, OPERATOR))
    running.start()
    assert entered.wait(10)
    refused = second.carry_out(theirs.id, SECOND)
    go_on.set()
    running.join()
    assert refused.state is RequestState.REFUSED
    assert "ana is running switch_on" in refused.message
    assert fake_target.times == 1


def test_where_a_second_person_is_asked_for_one_cannot_do_it_alone(tmp_path: Path, fake_target: FakeAction) -> None:
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target, require_second_person=True)
    request = executor.submit(order(executor), OPERATOR)
    assert request.state is RequestState.WAITING
    assert executor.carry_out(request.id, OPERATOR).state is RequestState.WAITING
    assert fake_target.times == 0
    executor.journal.approve(request.id, SECOND)
    assert executor.carry_out(request.id, OPERATOR).state is RequestState.SUCCEEDED
    assert fake_target.times == 1


def test_who_dies_while_the_world_is_looked_at_leaves_nothing_that_somebody_else_could_approve(
    tmp_path: Path, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has held the phrase against the preview yet, nor asked for the reason."""
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target, require_second_person=True)
    given = order(executor, phrase="", reason="")

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeAction, "preflight", dies)
    with pytest.raises(KeyboardInterrupt):
        executor.submit(given, OPERATOR)
    assert executor.journal.requests() == ()


def test_what_needs_a_second_person_is_refused_to_who_did_not_log_in_and_says_what_to_do(
    tmp_path: Path, fake_target: FakeAction
) -> None:
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target, require_second_person=True)
    request = executor.submit(order(executor), Actor(NO_LOGIN, Role.OPERATOR, Via.PAGE))
    assert request.state is RequestState.REFUSED
    assert "a second person" in request.message and "OPERATORS" in request.message


@pytest.mark.parametrize("second", [False, True])
def test_until_phrase_and_reason_were_held_against_the_preview_there_is_no_request(
    tmp_path: Path, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch, second: bool
) -> None:
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target, require_second_person=second)
    seen: list[RequestState] = []
    looks = FakeAction.preflight

    def watched(*given: Any) -> Any:
        seen.extend(request.state for request in executor.journal.requests())
        return looks(*given)

    given = order(executor, phrase="wrong")
    monkeypatch.setattr(FakeAction, "preflight", watched)
    assert executor.submit(given, OPERATOR).state is RequestState.REFUSED
    assert seen == []


def test_the_same_order_again_is_its_first_request_whatever_is_typed_the_second_time(
    executor: Executor, fake_target: FakeAction
) -> None:
    key = uuid4()
    refused = executor.submit(order(executor, idempotency_key=key, phrase=""), OPERATOR)
    again = executor.submit(order(executor, idempotency_key=key), OPERATOR)
    assert (again.id, again.state) == (refused.id, RequestState.REFUSED)
    key = uuid4()
    asked = executor.submit(order(executor, idempotency_key=key), OPERATOR)
    again = executor.submit(order(executor, idempotency_key=key, phrase=""), OPERATOR)
    assert (again.id, again.state) == (asked.id, RequestState.REQUESTED)
    assert len(executor.journal.requests()) == 2


def test_what_a_source_refuses_has_failed_and_changed_nothing(tmp_path: Path, fake_target: FakeAction) -> None:
    def refuse() -> None:
        raise SourceError(FailureKind.FORBIDDEN, "Vercel answered 403.")

    executor = executor_for(tmp_path / "journal.sqlite3", another(fake_target, in_run=refuse))
    request = executor.submit(order(executor), OPERATOR)
    done = executor.carry_out(request.id, OPERATOR)
    assert done.state is RequestState.FAILED
    assert "Nothing was changed" in done.message


def test_what_failed_half_way_says_itself_what_stays(tmp_path: Path, fake_target: FakeAction) -> None:
    def break_off() -> None:
        raise FailedError("The first step stays, the rest was not done.", after="half light")

    executor = executor_for(tmp_path / "journal.sqlite3", another(fake_target, in_run=break_off))
    done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    assert (done.state, done.message) == (RequestState.FAILED, "The first step stays, the rest was not done.")
    assert done.receipt is not None and [fact.value for fact in done.receipt.after] == ["half light"]


def test_a_hiccup_of_the_journal_while_it_runs_stops_no_effect_half_way(
    executor: Executor, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*args: object, **more: object) -> Request:
        raise JournalError("The journal does not answer.")

    monkeypatch.setattr(FakeAction, "reports", ("Step 1.", "Step 2."))
    monkeypatch.setattr(executor.journal, "progress", refuse)
    with caplog.at_level(logging.WARNING):
        assert do(executor, order(executor)) is RequestState.SUCCEEDED
    assert fake_target.times == 1
    assert "The journal does not answer." in caplog.text


def test_a_lost_answer_is_resolved_by_looking_and_never_sent_again(tmp_path: Path, fake_target: FakeAction) -> None:
    def lose() -> None:
        raise OutcomeUnknownError(FailureKind.TIMEOUT, "Vercel did not answer.")

    executor = executor_for(tmp_path / "journal.sqlite3", another(fake_target, after_effect=lose))
    assert do(executor, order(executor)) is RequestState.SUCCEEDED
    assert fake_target.times == 1


def test_a_lost_answer_of_which_nothing_is_to_be_seen_stays_unknown(tmp_path: Path, fake_target: FakeAction) -> None:
    def lose() -> None:
        raise OutcomeUnknownError(FailureKind.TIMEOUT, "Vercel did not answer.")

    executor = executor_for(tmp_path / "journal.sqlite3", another(fake_target, in_run=lose))
    request = executor.submit(order(executor), OPERATOR)
    assert executor.carry_out(request.id, OPERATOR).state is RequestState.UNKNOWN
    assert executor.recheck(request.id, OPERATOR).state is RequestState.UNKNOWN
    # Until somebody says what they saw, the target is left alone.
    assert do(executor, order(executor)) is RequestState.REFUSED
    assert fake_target.times == 0


def unresolved(executor: Executor, fake_target: FakeAction) -> Request:
    """A request whose answer was lost, and of which nothing is to be seen."""

    def lose() -> None:
        raise OutcomeUnknownError(FailureKind.TIMEOUT, "Vercel did not answer.")

    losing = another(fake_target, in_run=lose)
    executor.actions = {losing.id: losing}
    request = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    assert request.state is RequestState.UNKNOWN
    executor.actions = {fake_target.id: fake_target}
    return request


@pytest.mark.parametrize(
    ("outcome", "state"), [(Outcome.SUCCEEDED, RequestState.SUCCEEDED), (Outcome.FAILED, RequestState.FAILED)]
)
def test_what_somebody_saw_with_their_own_eyes_frees_the_target(
    executor: Executor, fake_target: FakeAction, outcome: Outcome, state: RequestState
) -> None:
    lost = unresolved(executor, fake_target)
    said = executor.record_observation(lost.id, outcome, "I stood in the hall.", SECOND)
    assert (said.state, said.message, said.resolved_by) == (state, "I stood in the hall.", SECOND)
    assert do(executor, order(executor)) is RequestState.SUCCEEDED
    assert fake_target.times == 1


def test_a_viewer_cannot_say_what_happened(executor: Executor, fake_target: FakeAction) -> None:
    lost = unresolved(executor, fake_target)
    with pytest.raises(RefusedError, match="ask an operator"):
        executor.record_observation(lost.id, Outcome.FAILED, "It is dark.", VIEWER)
    assert executor.journal.request(lost.id).state is RequestState.UNKNOWN


@pytest.mark.parametrize("message", ["", "  ", "\u200b"])
def test_what_happened_is_not_said_without_what_was_seen(
    executor: Executor, fake_target: FakeAction, message: str
) -> None:
    lost = unresolved(executor, fake_target)
    with pytest.raises(JournalError, match="what was found"):
        executor.record_observation(lost.id, Outcome.SUCCEEDED, message, OPERATOR)
    assert executor.journal.request(lost.id).state is RequestState.UNKNOWN


def test_nobody_says_what_happened_where_it_is_known_or_still_runs(executor: Executor, fake_target: FakeAction) -> None:
    waiting = executor.submit(order(executor), OPERATOR)
    with pytest.raises(ConflictError, match="this request is requested"):
        executor.record_observation(waiting.id, Outcome.FAILED, "It is dark.", OPERATOR)
    executor.carry_out(waiting.id, OPERATOR)
    with pytest.raises(ConflictError, match="this request is succeeded"):
        executor.record_observation(waiting.id, Outcome.FAILED, "It is dark.", OPERATOR)


def test_what_only_looks_fails_and_never_leaves_a_doubt(
    tmp_path: Path, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose() -> None:
        raise OutcomeUnknownError(FailureKind.TIMEOUT, "Vercel did not answer.")

    monkeypatch.setattr(FakeAction, "leaves_nothing", True)
    for number, changes in enumerate(({"seen": None}, {"in_run": lose})):
        executor = executor_for(tmp_path / f"{number}.sqlite3", another(fake_target, **changes))
        done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
        assert done.state is RequestState.FAILED
        assert "Nothing was changed" not in done.message


def test_what_only_looks_and_died_is_over_once_somebody_looks(
    executor: Executor, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = unresolved(executor, fake_target)
    monkeypatch.setattr(FakeAction, "leaves_nothing", True)
    seen = executor.recheck(lost.id, OPERATOR)
    assert seen.state is RequestState.FAILED
    assert "Run it again" in seen.message


def test_looking_again_looks_for_the_target_of_the_preview_and_not_for_todays(
    executor: Executor, fake_target: FakeAction
) -> None:
    lost = unresolved(executor, fake_target)
    looked_for: list[tuple[tuple[str, str], ...]] = []
    moved = another(fake_target, colour="red", on_find=lambda target: looked_for.append(target.facts))
    executor.actions = {moved.id: moved}
    executor.recheck(lost.id, OPERATOR)
    assert looked_for == [(("colour", "green"),)]


def test_what_the_sources_do_not_confirm_has_not_succeeded(tmp_path: Path, fake_target: FakeAction) -> None:
    denied = executor_for(tmp_path / "denied.sqlite3", another(fake_target, seen=False))
    assert do(denied, order(denied)) is RequestState.FAILED
    unsure = executor_for(tmp_path / "unsure.sqlite3", another(fake_target, seen=None))
    assert do(unsure, order(unsure)) is RequestState.UNKNOWN


_DIES_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from tests.actions.conftest import OPERATOR, FakeAction, executor_for
from tests.actions.test_executor import order
def die(): os.kill(os.getpid(), signal.SIGKILL)
where = {"before": {"in_run": die}, "after": {"after_effect": die}}[sys.argv[2]]
FakeAction.timeout = __import__("datetime").timedelta(seconds=1)
lamp = FakeAction(Path(sys.argv[1]) / "effects", **where)
executor = executor_for(Path(sys.argv[1]) / "journal.sqlite3", lamp)
request = executor.submit(order(executor), OPERATOR)
print(request.id, flush=True)
executor.carry_out(request.id, OPERATOR)
"""


@pytest.mark.parametrize(("dies", "times", "seen"), [("before", 0, "unknown"), ("after", 1, "succeeded")])
def test_a_process_killed_between_started_and_the_answer_leaves_an_unknown_outcome_that_looking_resolves(
    tmp_path: Path, fake_target: FakeAction, dies: str, times: int, seen: str
) -> None:
    command = [sys.executable, "-c", _DIES_IN_THE_MIDDLE, str(tmp_path), dies]
    dead = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert dead.returncode == -signal.SIGKILL, dead.stderr
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target)
    (request,) = executor.journal.requests()
    assert request.state in (RequestState.STARTED, RequestState.UNKNOWN)
    assert executor.carry_out(request.id, OPERATOR).state is not RequestState.SUCCEEDED
    end = time.monotonic() + 10
    while executor.journal.request(request.id).state is RequestState.STARTED and time.monotonic() < end:
        time.sleep(0.1)
    assert executor.journal.request(request.id).state is RequestState.UNKNOWN
    assert executor.recheck(request.id, SECOND).state == seen
    assert fake_target.times == times
    assert executor.journal.verify().ok


def test_only_the_executor_runs_actions() -> None:
    callers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("lib", "pages")
        for path in (ROOT / folder).rglob("*.py")
        if "action.run(" in path.read_text(encoding="utf-8")
    ]
    assert callers == ["lib/actions/executor.py"]


def test_what_may_be_done_so_often_an_hour_is_then_refused_and_the_preview_says_so(
    executor: Executor, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeAction, "per_hour", 2)
    for _ in range(2):
        assert do(executor, order(executor)) is RequestState.SUCCEEDED
    preview = executor.preview(fake_target.id, {})
    assert preview.blocked and "2 times within the hour" in preview.preflight[-1].message
    assert do(executor, order(executor)) is RequestState.REFUSED
    assert fake_target.times == 2


# The journal fails once the effect may have happened -------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for another writer."""
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.05)


class Locked:
    """Another writer that holds the journal's file from `take` to `release`."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    def take(self) -> None:
        self._connection.execute("begin immediate")

    def release(self) -> None:
        self._connection.execute("rollback")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", ["in_run", "after_effect"])
def test_a_journal_locked_after_the_start_makes_the_outcome_unknown_and_never_a_refusal(
    tmp_path: Path, fake_target: FakeAction, moment: str
) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    locked = Locked(file)
    setattr(fake_target, moment, locked.take)
    waited: list[float] = []
    executor.sleep = waited.append
    request = executor.submit(order(executor), OPERATOR)
    done = executor.carry_out(request.id, OPERATOR)
    assert (done.id, done.state, fake_target.times) == (request.id, RequestState.UNKNOWN, 1)
    assert "It was switched on." in done.message and "is kept in" in done.message
    assert sum(waited) >= 120
    locked.release()
    # The next process that opens the journal writes the receipt.
    fake_target.in_run = fake_target.after_effect = lambda: None
    later = executor_for(file, fake_target).journal
    assert later.request(request.id).state is RequestState.SUCCEEDED
    assert later.verify().ok
    assert list(tmp_path.glob("*.receipt-*")) == []


@pytest.mark.usefixtures("impatient")
def test_a_receipt_is_written_as_soon_as_the_journal_can_be(tmp_path: Path, fake_target: FakeAction) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    locked = Locked(file)
    fake_target.after_effect = locked.take
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            locked.release()

    executor.sleep = sleep
    request = executor.submit(order(executor), OPERATOR)
    done = executor.carry_out(request.id, OPERATOR)
    assert (done.state, len(waited)) == (RequestState.SUCCEEDED, 3)
    assert list(tmp_path.glob("*.receipt-*")) == []


@pytest.mark.usefixtures("impatient")
def test_a_failure_whose_receipt_cannot_be_written_is_unknown_as_well(tmp_path: Path, fake_target: FakeAction) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    locked = Locked(file)

    def fails() -> None:
        locked.take()
        raise FailedError("The bulb burst.")

    fake_target.in_run = fails
    done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    assert done.state is RequestState.UNKNOWN and "The bulb burst." in done.message
    locked.release()
    assert executor_for(file, fake_target).journal.request(done.id).state is RequestState.FAILED


def test_a_journal_that_is_deleted_after_the_start_keeps_the_receipt_and_says_so(
    tmp_path: Path, fake_target: FakeAction
) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    fake_target.after_effect = file.unlink
    done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    assert done.state is RequestState.UNKNOWN and fake_target.times == 1
    assert "was deleted while it was in use" in done.message and "Not kept: receipt of switch_on." in done.message
    assert len(list(tmp_path.glob("*.receipt-*"))) == 1


@pytest.mark.usefixtures("impatient")
def test_a_receipt_that_can_be_kept_nowhere_is_said(
    tmp_path: Path, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    locked = Locked(file)
    fake_target.after_effect = locked.take

    def full(*_: object) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(executor.journal, "keep_receipt", full)
    done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    locked.release()
    assert done.state is RequestState.UNKNOWN
    assert "could not be saved on this machine either: No space left on device" in done.message


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_says_unknown_with_the_request_and_exit_code_3(
    tmp_path: Path, fake_target: FakeAction, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    file = tmp_path / "journal.sqlite3"
    executor = executor_for(file, fake_target)
    locked = Locked(file)
    fake_target.after_effect = locked.take
    monkeypatch.setattr(action_commands, "open_action_executor", lambda: (executor, OPERATOR))
    digest = executor.preview("switch_on", {}).digest
    given = ["act", "switch_on", "--digest", digest, "--confirm", "lamp", "--reason", "it is dark"]
    answer = CliRunner().invoke(command_line, [*given, "--json"] if as_json else given)
    locked.release()
    (request,) = executor.journal.requests()
    assert answer.exit_code == ActionExit.UNKNOWN == 3
    assert str(request.id) in answer.stdout and "refused" not in answer.output
    assert not as_json or json.loads(answer.stdout)["outcome"] == "unknown"


def test_an_instance_whose_clock_is_off_does_nothing_and_says_so(tmp_path: Path, fake_target: FakeAction) -> None:
    executor = executor_for(tmp_path / "journal.sqlite3", fake_target)
    executor.journal = Journal.open(
        executor.context.settings,
        lambda: datetime.now(UTC) + timedelta(hours=1),
        database_time=lambda: datetime.now(UTC),
    )
    done = executor.carry_out(executor.submit(order(executor), OPERATOR).id, OPERATOR)
    assert done.state is RequestState.REFUSED and "clock of this machine is 3,600 s ahead" in done.message
    assert fake_target.times == 0


def test_every_button_is_named_by_the_act() -> None:
    # Those on a migration of the catalogue have the name that the migration gives.
    arguments = {"name": "pending_bookings_metadata"}
    named = {action.id: action.button_for(arguments) for action in ACTIONS.values()}
    assert {id_ for id_, button in named.items() if len(button.split()) < 1 or not button[0].isupper()} == set()
