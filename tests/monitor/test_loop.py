"""Rounds on a real journal: each message is sent once, across restarts, two monitors and failing targets."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from lib.actions.action import RefusedError
from lib.journal.entry import Alert, DiagnosisRecord, Kind, Outcome, Receipt
from lib.journal.errors import JournalError
from lib.journal.incident_export import incident_record
from lib.journal.journal import Journal
from lib.journal.request import RequestState
from lib.model.deployments import Deployment, DeploymentState
from lib.model.people import Actor, Role, Via
from lib.model.reading import Failure, FailureKind, SourceName
from lib.monitor import loop, sender, silences
from lib.monitor.loop import holder_name, is_dead
from lib.monitor.monitor_status import read_status
from lib.monitor.store import MONITOR, Outbox
from lib.reports.incident_report import report_of
from lib.snapshot import READING_SPECS, Snapshot
from tests.clocks import Clock
from tests.diagnosis import builders as b
from tests.journal.workers import OPERATOR, a_request, open_journal, settings_of
from tests.monitor.conftest import FakeTarget, StartMonitor, World
from tests.waiting import wait_until


def test_a_request_that_nobody_began_in_time_is_written_down_as_expired_once(
    monitor: StartMonitor, journal: Journal, clock: Clock
):
    asked = journal.submit_request(a_request(), OPERATOR)
    watch = monitor()
    watch.round()
    assert journal.entries(kinds=[Kind.EXPIRED]) == ()
    clock.advance(days=1)
    watch.round()
    watch.round()
    (entry,) = journal.entries(kinds=[Kind.EXPIRED])
    assert (entry.actor, entry.about.request_id) == (MONITOR, asked.id)
    assert journal.outcomes() == {(asked.action, Kind.EXPIRED): 1}


def test_a_break_is_sent_in_the_round_that_sees_it_and_its_end_too(
    monitor: StartMonitor, world: World, target: FakeTarget, journal: Journal, clock: Clock
):
    watch = monitor(DASHBOARD_URL="https://desk.example")
    watch.round()
    assert (world.looks, target.received, target.heartbeats) == (1, [], 1)
    world.breaks()
    watch.round()
    watch.round()
    assert target.types == ["failure"]
    message_sent = target.received[0]
    assert message_sent["title"].startswith("BROKEN: Bookings cannot start")
    for message in ("Cause: The booking API fails (confirmed)", "Next step:", "https://desk.example/action-plan"):
        assert message in message_sent["message"]
    status = read_status(journal, clock.now)
    assert [(alert.rule, alert.critical) for alert in status.firing] == [("flow", True)]
    assert (status.rounds, status.undelivered, status.last_round_at) == (3, 0, clock.now)
    assert status.headline and status.headline.state == "broken"
    world.is_well()
    clock.advance(seconds=90)
    watch.round()
    assert target.titles[1:] == [target.titles[0].replace("BROKEN", "RESOLVED")]
    assert (
        "It lasted 2 minutes" in target.received[1]["message"] and "Texts are flowing" in target.received[1]["message"]
    )
    assert read_status(journal, clock.now).firing == ()
    alerts = [entry.payload for entry in journal.entries(kinds=[Kind.ALERT])]
    assert [(alert.subject, alert.event) for alert in alerts if isinstance(alert, Alert)] == [
        ("flow", "fired"),
        ("flow", "resolved"),
    ]
    assert journal.verify().ok


def test_a_break_is_not_reported_as_resolved_while_the_booking_app_is_silent(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock
):
    watch = monitor()
    world.breaks()
    watch.round()
    world.changed = {"app_health": Failure(FailureKind.TIMEOUT, "The booking app did not answer.")}
    for _ in range(2):
        clock.advance(minutes=1)
        watch.round()
    world.breaks()
    watch.round()
    assert target.types == ["failure"]


def test_a_hiccup_within_a_round_is_not_sent(monitor: StartMonitor, world: World, target: FakeTarget):
    world.breaks()
    real = world.take_snapshot

    def take_snapshot(age: timedelta) -> Snapshot:
        seen = real(age)
        world.is_well()
        return seen

    world.take_snapshot = take_snapshot  # type: ignore[method-assign]
    watch = monitor()
    watch.round()
    watch.round()
    assert target.received == []


def test_a_new_process_goes_on_where_the_old_one_died(
    monitor: StartMonitor, world: World, target: FakeTarget, environ: dict[str, str]
):
    world.breaks()
    monitor(name=holder_name()).round()
    with contextlib.closing(open_journal(environ)) as reopened:
        # The lease of the first one was never given back; its process is known to be gone.
        after = monitor(name=holder_name(), on=reopened)
        after.round()
        assert len(target.received) == 1
        world.is_well()
        after.round()
    assert target.types == ["failure", "success"]


def test_a_message_that_was_posted_and_not_sent_before_a_crash_is_sent_after_it(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock
):
    world.breaks()
    target.status = 503
    monitor(name=holder_name()).round()
    target.status = 200
    clock.advance(seconds=31)
    monitor(name=holder_name()).round()
    assert target.types == ["failure"]


def test_of_two_monitors_the_one_with_the_lease_runs_until_it_releases_it_or_dies(
    monitor: StartMonitor, world: World, clock: Clock, target: FakeTarget
):
    one, other = monitor(name="east 1 a"), monitor(name="west 1 b")
    one.round()
    looks = world.looks
    finished = other.round()
    assert finished and (finished.holder, finished.diagnosis, world.looks) == ("east 1 a", None, looks)
    one.leave()
    assert (other.round() or finished).holder is None
    assert (one.round() or finished).holder == "west 1 b"
    clock.advance(minutes=4)
    assert (one.round() or finished).holder is None


def test_a_monitor_that_lost_its_lease_during_a_diagnosis_writes_nothing(
    monitor: StartMonitor, world: World, clock: Clock, target: FakeTarget, journal: Journal
):
    slow, other = monitor(name="east 1 a"), monitor(name="west 1 b")
    world.breaks()
    real = world.take_snapshot

    def take_snapshot(age: timedelta):
        world.take_snapshot = real  # type: ignore[method-assign]
        seen = real(age)
        clock.advance(minutes=4)
        other.round()
        return seen

    slow_view = slow.view()
    assert slow_view
    slow.view = lambda: dataclasses.replace(slow_view, take_snapshot=take_snapshot)
    assert slow.round() is None
    assert len(target.received) == 1 and read_status(journal, clock.now).rounds == 1


def test_only_a_process_of_this_machine_is_known_to_be_dead():
    place, own, _ = holder_name().split(" ")
    parent = os.getppid()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert is_dead(f"{place} {ended.pid} earlier")
    assert is_dead(f"{place} {own} earlier")  # our own number, and another name
    assert not is_dead(f"{place} {parent} at-work")
    assert not is_dead(f"another-machine {ended.pid} earlier")


def test_two_machines_with_one_name_differ_by_their_boot_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The first namespace of process ids has the same number on every Linux, and images share a hostname."""
    boot = tmp_path / "boot_id"
    monkeypatch.setattr(loop, "_BOOT_ID", boot)
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    names = []
    for machine in ("0d4f6c1a-5e0b-4d8e-9a53-6d1f7f2b9a11\n", "b7a1e2c4-91f3-4f0a-8a6e-1c2d3e4f5a66\n"):
        boot.write_text(machine)
        place = holder_name().partition(" ")[0]
        names.append(f"{place} {ended.pid} earlier")
        assert [is_dead(name) for name in names] == [False] * (len(names) - 1) + [True]
    boot.unlink()
    assert is_dead(f"{holder_name().partition(' ')[0]} {ended.pid} earlier"), "where no system says its boot"


# Targets that fail ---------------------------------------------------------------------------------------


def test_a_target_that_fails_is_tried_ever_more_slowly_then_given_up_and_shown(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal
):
    watch = monitor()
    target.status = 500
    world.breaks()
    watch.round()
    watch.round()
    assert target.asked == 1
    for attempt in range(2, sender.MOST_ATTEMPTS + 1):
        clock.advance(seconds=sender.wait_after(attempt - 1).total_seconds() - 1)
        watch.round()
        assert target.asked == attempt - 1
        clock.advance(seconds=2)
        watch.round()
        assert target.asked == attempt
    status = read_status(journal, clock.now)
    (message,) = status.unsent
    assert status.undelivered == 1 and message.given_up and message.service == "JSON"
    assert "500" in message.error and target.url not in message.error
    clock.advance(minutes=10)
    watch.round()
    assert target.asked == sender.MOST_ATTEMPTS


def test_only_what_failed_or_was_given_up_is_shown_as_unsent(
    monitor: StartMonitor,
    world: World,
    target: FakeTarget,
    clock: Clock,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
):
    world.breaks()
    target.status = 500
    watch = monitor()
    with monkeypatch.context() as patched:
        patched.setattr(sender.Sender, "deliver", lambda *_: 0)
        watch.round()
    status = read_status(journal, clock.now)
    assert (status.undelivered, status.unsent) == (1, ()), "it waits for its first attempt"
    watch.round()
    status = read_status(journal, clock.now)
    assert [(one.given_up, one.attempts) for one in status.unsent] == [(False, 1)]


def test_a_monitor_that_died_differs_from_one_that_released_its_lease(
    monitor: StartMonitor, clock: Clock, journal: Journal
):
    watch = monitor()
    watch.round()
    assert not read_status(journal, clock.now).abandoned
    clock.advance(minutes=4)
    assert read_status(journal, clock.now).abandoned
    watch.round()
    watch.leave()
    clock.advance(minutes=4)
    assert not read_status(journal, clock.now).abandoned, "one round for a scheduler ends like this"


def test_a_resolved_message_replaces_the_first_one_that_could_not_be_sent(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock
):
    watch = monitor()
    target.status = 500
    world.breaks()
    watch.round()
    world.is_well()
    watch.round()
    target.status = 200
    clock.advance(hours=1)
    watch.round()
    assert target.types == ["success"]


def test_a_target_that_fails_holds_up_no_other(monitor: StartMonitor, world: World, target: FakeTarget):
    world.breaks()
    monitor(NOTIFY_URLS=f"json://127.0.0.1:9/ json://{target.url}/").round()
    assert target.types == ["failure"]


def test_an_address_that_was_taken_out_of_the_settings_gets_nothing_more(
    monitor: StartMonitor, world: World, target: FakeTarget, journal: Journal, clock: Clock
):
    target.status = 500
    world.breaks()
    monitor(name=holder_name()).round()
    clock.advance(seconds=31)
    monitor(name=holder_name(), NOTIFY_URLS="").round()
    (message,) = read_status(journal, clock.now).unsent
    assert message.given_up and "no longer" in message.error


def test_a_message_is_reserved_by_one_sender_and_by_another_when_that_one_died(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal
):
    target.status = 500
    world.breaks()
    monitor().round()
    clock.advance(minutes=1)
    outbox = Outbox(journal)
    (message,) = outbox.due(clock.now)
    until = clock.now + sender.RESERVED_FOR
    assert outbox.reserve(message, "one", clock.now, until)
    assert outbox.reserve(message, "other", clock.now, until) is None
    assert outbox.due(clock.now) == ()
    clock.now = until + timedelta(seconds=1)
    again = outbox.reserve(message, "other", clock.now, clock.now + sender.RESERVED_FOR)
    assert again is not None
    outbox.sent(again, clock.now)
    assert read_status(journal, clock.now).undelivered == 0


def test_an_address_that_apprise_does_not_know_is_named_by_its_place():
    urls = ("json://127.0.0.1:9/", "nonsense://secret-token")
    targets = sender.notification_targets(settings_of({"NOTIFY_URLS": " ".join(urls)}).notify_urls)
    assert len(targets.targets) == 1
    (problem,) = targets.problems
    assert "number 2" in problem and "secret-token" not in problem


def test_the_rounds_go_on_while_the_heartbeat_is_not_taken(monitor: StartMonitor, world: World, target: FakeTarget):
    watch = monitor(HEARTBEAT_URL="http://127.0.0.1:9/beat")
    world.breaks()
    assert watch.round() is not None
    assert (target.types, target.heartbeats) == (["failure"], 0)


def test_messages_of_a_sandbox_are_marked_and_it_sends_no_heartbeat(
    monitor: StartMonitor, world: World, target: FakeTarget
):
    watch = monitor(SANDBOX_URL="http://127.0.0.1:9/sandbox")
    world.breaks()
    assert watch.round() is not None
    assert [title.split(":")[:2] for title in target.titles] == [["SANDBOX", " BROKEN"]]
    assert target.heartbeats == 0


# What people decide --------------------------------------------------------------------------------------


def test_an_alert_that_fires_while_muted_is_sent_when_the_mute_ends(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    silences.mute(journal, ann, "flow", timedelta(minutes=20), "We are changing the menu.", clock.now)
    world.breaks()
    watch.round()
    (alert,) = read_status(journal, clock.now).firing
    assert (target.received, alert.told_at, alert.silence and alert.silence.by) == ([], None, ann.name)
    clock.advance(minutes=21)
    watch.round()
    assert target.types == ["failure"]


def test_maintenance_is_quiet_about_all_from_its_beginning_on_and_measures(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    begins = clock.now + timedelta(minutes=1)
    silences.maintenance(journal, ann, begins, begins + timedelta(hours=1), "New database.", clock.now)
    watch.round()
    clock.now = begins
    world.breaks()
    world.changed["deployments"] = (failed_build(clock), b.HEAD_BUILD)
    watch.round()
    assert target.received == []
    assert [alert.rule for alert in read_status(journal, clock.now).firing] == ["flow"]
    silences.unmute(journal, ann, silences.Subject.MAINTENANCE)
    watch.round()
    assert target.types == ["failure"]


def test_an_acknowledgement_holds_until_the_problem_is_over(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    world.breaks()
    watch.round()
    silences.acknowledge(journal, ann, "flow", "I am on it.")
    (alert,) = read_status(journal, clock.now).firing
    assert alert.acknowledged and alert.acknowledged.by == ann.name
    clock.advance(hours=3)
    watch.round()
    assert len(target.received) == 1
    world.is_well()
    watch.round()
    clock.advance(minutes=1)
    world.breaks()
    watch.round()
    (alert,) = read_status(journal, clock.now).firing
    assert alert.acknowledged is None
    clock.advance(hours=3)
    watch.round()
    assert target.types == ["failure", "success", "failure", "failure"]
    assert target.titles[-1].startswith("STILL:")


def test_another_source_that_fails_is_reported_although_the_first_was_acknowledged(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()

    def stops(*sources: SourceName) -> None:
        away = Failure(FailureKind.UNAVAILABLE, "It cannot be reached: no connection.")
        world.changed = {question.name: away for question in READING_SPECS if question.source in sources}
        for _ in range(3):
            clock.advance(minutes=1)
            watch.round()

    stops(SourceName.GITHUB)
    silences.acknowledge(journal, ann, "unreachable", "GitHub says so itself.")
    stops(SourceName.GITHUB)
    stops(SourceName.GITHUB, SourceName.BOOKING_DATA)
    assert target.titles == ["WARNING: GitHub does not answer", "WORSE: The booking database and GitHub do not answer"]
    stops(SourceName.GITHUB, SourceName.BOOKING_DATA)
    assert len(target.titles) == 2


def test_a_warning_that_remains_after_a_refusal_is_no_second_problem(
    monitor: StartMonitor, world: World, target: FakeTarget
):
    watch = monitor()

    def refused(hours_ago: float) -> None:
        alert = {"sid": "NO1", "error_code": "20003", "created_at": b.ago(hours=hours_ago)}
        world.changed = {"alerts": b.table(b.frames.ALERTS, [alert])}
        for _ in range(2):
            watch.round()

    refused(hours_ago=0.5)
    refused(hours_ago=5)
    assert target.titles == ["BROKEN: Twilio refuses our texts because of our account or sender"]
    refused(hours_ago=21)
    assert target.types == ["failure", "success"]


def test_a_decision_needs_an_operator_a_reason_and_a_sensible_time(local: Journal, ann: Actor, clock: Clock):
    viewer = Actor("vic@lantern.example", Role.VIEWER, Via.PAGE)
    hour, now = timedelta(hours=1), clock.now
    for refused in (
        lambda: silences.mute(local, viewer, "flow", hour, "because", now),
        lambda: silences.unmute(local, viewer, "flow"),
        lambda: silences.acknowledge(local, viewer, "flow", "because"),
        lambda: silences.maintenance(local, viewer, now, now + hour, "because", now),
        lambda: silences.mute(local, ann, "flow", timedelta(days=30), "because", now),
        lambda: silences.mute(local, ann, "nothing", hour, "because", now),
        lambda: silences.maintenance(local, ann, now - hour, now - hour / 2, "because", now),
    ):
        with pytest.raises(RefusedError):
            refused()
    for unreasoned in (
        lambda: silences.mute(local, ann, "flow", hour, " ", now),
        lambda: silences.acknowledge(local, ann, "flow", ""),
    ):
        with pytest.raises(JournalError):
            unreasoned()
    assert local.entries() == ()


def failed_build(clock: Clock) -> Deployment:
    return b.deployment("dpl_new", "d" * 40, clock.now, state=DeploymentState.ERROR, ready_at=None)


# Deployments ---------------------------------------------------------------------------------------------


def test_a_failed_deployment_is_sent_once_and_history_never_across_a_restart(
    monitor: StartMonitor, world: World, target: FakeTarget, clock: Clock
):
    monitor(name=holder_name()).round()
    world.changed = {"deployments": (failed_build(clock), b.HEAD_BUILD)}
    monitor(name=holder_name()).round()
    monitor(name=holder_name()).round()
    (message,) = target.received
    assert message["title"].startswith("Deployment: ddddddd failed")


def test_a_round_that_cannot_be_finished_is_in_the_status_until_one_is(
    monitor: StartMonitor, world: World, journal: Journal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = monitor()

    def rounds(count: int) -> None:
        watch.stop.clear()
        left = iter(range(count))
        monkeypatch.setattr(watch.stop, "wait", lambda _=None: watch.stop.set() if next(left, 0) >= count - 1 else None)
        monkeypatch.setattr(watch, "leave", lambda: None)
        watch.run()

    rounds(1)
    assert watch.failure is None and read_status(journal, clock.now).failure is None
    began = clock.now
    with monkeypatch.context() as patch:
        patch.setattr(loop, "read_all", lambda *_: 1 // 0)
        rounds(2)
    failure = read_status(journal, clock.now).failure
    assert failure is not None and failure == watch.failure
    assert (failure.since, failure.count) == (began, 2)
    assert "ZeroDivisionError" in failure.message and "division by zero" not in failure.message
    rounds(1)
    assert watch.failure is None and read_status(journal, clock.now).failure is None


@pytest.mark.parametrize(("every", "fails"), [(timedelta(days=999_999), False), (timedelta.max, True)])
def test_a_length_of_a_round_that_no_clock_reaches_does_not_end_the_monitor_without_a_word(
    monitor: StartMonitor, journal: Journal, clock: Clock, every: timedelta, fails: bool
) -> None:
    watch = monitor()
    watch.every = every
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        wait_until(lambda: watch.failure or read_status(journal, clock.now).rounds)
        time.sleep(0.1)
        assert thread.is_alive()
    finally:
        watch.stop.set()
        thread.join(10)
    assert [watch.failure is not None and "OverflowError" in watch.failure.message] == [fails]


def test_a_monitor_whose_clock_is_off_takes_no_lease_and_says_so(
    monitor: StartMonitor, journal: Journal, environ: dict[str, str], clock: Clock
) -> None:
    right = monitor("here 1 right")
    assert right.round() is not None
    ahead = Journal.open(settings_of(environ), lambda: clock() + timedelta(hours=1), database_time=clock)
    wrong = monitor("there 2 wrong", on=ahead)
    wrong.clock = lambda: clock() + timedelta(hours=1)
    with pytest.raises(JournalError, match="clock of this machine is 3,600 s ahead"):
        wrong.round()
    ahead.close()
    assert read_status(journal, clock.now).holder == "here 1 right"


def test_a_kept_receipt_is_written_by_the_next_round(
    monitor: StartMonitor, journal: Journal, ann: Actor, clock: Clock
) -> None:
    request = journal.submit_request(a_request(), ann)
    journal.lock(request.id, "lamp", ann)
    journal.start(request.id, ann, timedelta(minutes=1))
    journal.keep_receipt(request.id, Receipt(Outcome.SUCCEEDED, "done"), ann)
    monitor().round()
    assert journal.request(request.id).state is RequestState.SUCCEEDED


def test_the_open_incident_records_by_itself_that_texts_broke_and_that_they_flow_again(
    monitor: StartMonitor, world: World, journal: Journal, clock: Clock
) -> None:
    incident, watching = journal.open_incident("Bookings cannot start", OPERATOR).id, monitor()

    def recorded() -> list[str]:
        entries = journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS])
        return [entry.payload.state.value for entry in entries if isinstance(entry.payload, DiagnosisRecord)]

    for breaks, states in ((True, ["broken"]), (True, ["broken"]), (False, ["broken", "flowing"])):
        world.breaks() if breaks else world.is_well()
        watching.round()
        clock.advance(minutes=1)
        assert recorded() == states, "one record per change, and none while the state is the same"
    assert report_of(incident_record(journal, incident), clock.now).fixed_at is not None


def test_that_nothing_can_be_told_is_recorded_only_when_it_lasts(
    monitor: StartMonitor, world: World, journal: Journal, clock: Clock
) -> None:
    incident, watching = journal.open_incident("Who knows", OPERATOR).id, monitor()
    world.changed = {"visibility": Failure(FailureKind.TIMEOUT, "It is away.")}
    watching.round()
    assert not journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS])
    clock.advance(minutes=1)
    watching.round()
    (entry,) = journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS])
    assert entry.payload.state.value == "cannot_tell"
