"""Rounds on a real journal: what is told, once, across restarts, rivals and targets that fail."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from lib.actions.action import RefusedError
from lib.journal.entry import Alert, Kind
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.deployments import Deployment, DeploymentState
from lib.model.people import Actor, Role, Via
from lib.model.reading import Failure, FailureKind, SourceName
from lib.monitor import loop, sender, silences
from lib.monitor.loop import holder_name, is_dead
from lib.monitor.monitor_status import read_status
from lib.monitor.store import MONITOR, Outbox
from lib.snapshot import READING_SPECS, Snapshot
from tests.clocks import Clock
from tests.diagnosis import builders as b
from tests.journal.workers import OPERATOR, a_request, open_journal, settings_of
from tests.monitor.conftest import Ear, StartMonitor, World


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


def test_a_break_is_told_in_the_round_that_sees_it_and_its_end_too(
    monitor: StartMonitor, world: World, ear: Ear, journal: Journal, clock: Clock
):
    watch = monitor(DASHBOARD_URL="https://desk.example")
    watch.round()
    assert (world.looks, ear.heard, ear.heartbeats) == (1, [], 1)
    world.breaks()
    watch.round()
    watch.round()
    assert ear.types == ["failure"]
    told = ear.heard[0]
    assert told["title"].startswith("BROKEN: Bookings cannot start")
    for message in ("Cause: The booking API fails (confirmed)", "Next step:", "https://desk.example/action-plan"):
        assert message in told["message"]
    status = read_status(journal, clock.now)
    assert [(alert.rule, alert.critical) for alert in status.firing] == [("flow", True)]
    assert (status.rounds, status.undelivered, status.last_round_at) == (3, 0, clock.now)
    assert status.headline and status.headline.state == "broken"
    world.is_well()
    clock.advance(seconds=90)
    watch.round()
    assert ear.titles[1:] == [ear.titles[0].replace("BROKEN", "RESOLVED")]
    assert "It lasted 2 minutes" in ear.heard[1]["message"] and "Texts are flowing" in ear.heard[1]["message"]
    assert read_status(journal, clock.now).firing == ()
    alerts = [entry.payload for entry in journal.entries(kinds=[Kind.ALERT])]
    assert [(alert.subject, alert.event) for alert in alerts if isinstance(alert, Alert)] == [
        ("flow", "fired"),
        ("flow", "resolved"),
    ]
    assert journal.verify().ok


def test_a_break_is_not_told_to_be_over_while_the_booking_app_is_silent(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock
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
    assert ear.types == ["failure"]


def test_a_hiccup_within_a_round_is_not_told(monitor: StartMonitor, world: World, ear: Ear):
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
    assert ear.heard == []


def test_a_new_process_goes_on_where_the_old_one_died(
    monitor: StartMonitor, world: World, ear: Ear, environ: dict[str, str]
):
    world.breaks()
    monitor(name=holder_name()).round()
    with contextlib.closing(open_journal(environ)) as reopened:
        # The lease of the first one was never given back; its process is known to be gone.
        after = monitor(name=holder_name(), on=reopened)
        after.round()
        assert len(ear.heard) == 1
        world.is_well()
        after.round()
    assert ear.types == ["failure", "success"]


def test_what_was_written_and_not_sent_before_the_end_is_sent_after_it(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock
):
    world.breaks()
    ear.status = 503
    monitor(name=holder_name()).round()
    ear.status = 200
    clock.advance(seconds=31)
    monitor(name=holder_name()).round()
    assert ear.types == ["failure"]


def test_of_two_monitors_the_one_with_the_lease_watches_until_it_leaves_or_is_silent(
    monitor: StartMonitor, world: World, clock: Clock, ear: Ear
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


def test_a_monitor_that_lost_its_lease_while_it_looked_writes_nothing(
    monitor: StartMonitor, world: World, clock: Clock, ear: Ear, journal: Journal
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
    assert len(ear.heard) == 1 and read_status(journal, clock.now).rounds == 1


def test_only_a_process_of_this_machine_is_known_to_be_dead():
    place, own, _ = holder_name().split(" ")
    parent = os.getppid()
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    assert is_dead(f"{place} {ended.pid} earlier")
    assert is_dead(f"{place} {own} earlier")  # our own number, and another name
    assert not is_dead(f"{place} {parent} at-work")
    assert not is_dead(f"another-machine {ended.pid} earlier")


def test_two_machines_of_one_name_are_told_apart_by_their_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
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
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal
):
    watch = monitor()
    ear.status = 500
    world.breaks()
    watch.round()
    watch.round()
    assert ear.asked == 1
    for attempt in range(2, sender.MOST_ATTEMPTS + 1):
        clock.advance(seconds=sender.wait_after(attempt - 1).total_seconds() - 1)
        watch.round()
        assert ear.asked == attempt - 1
        clock.advance(seconds=2)
        watch.round()
        assert ear.asked == attempt
    status = read_status(journal, clock.now)
    (message,) = status.unsent
    assert status.undelivered == 1 and message.given_up and message.service == "JSON"
    assert "500" in message.error and ear.url not in message.error
    clock.advance(minutes=10)
    watch.round()
    assert ear.asked == sender.MOST_ATTEMPTS


def test_only_what_failed_or_was_given_up_is_shown_as_unsent(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    world.breaks()
    ear.status = 500
    watch = monitor()
    with monkeypatch.context() as patched:
        patched.setattr(sender.Sender, "deliver", lambda *_: 0)
        watch.round()
    status = read_status(journal, clock.now)
    assert (status.undelivered, status.unsent) == (1, ()), "it waits for its first attempt"
    watch.round()
    status = read_status(journal, clock.now)
    assert [(one.given_up, one.attempts) for one in status.unsent] == [(False, 1)]


def test_a_watch_that_ended_without_a_word_is_told_from_one_that_left(
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


def test_an_end_replaces_the_beginning_that_nobody_took(monitor: StartMonitor, world: World, ear: Ear, clock: Clock):
    watch = monitor()
    ear.status = 500
    world.breaks()
    watch.round()
    world.is_well()
    watch.round()
    ear.status = 200
    clock.advance(hours=1)
    watch.round()
    assert ear.types == ["success"]


def test_a_target_that_fails_holds_up_no_other(monitor: StartMonitor, world: World, ear: Ear):
    world.breaks()
    monitor(NOTIFY_URLS=f"json://127.0.0.1:9/ json://{ear.url}/").round()
    assert ear.types == ["failure"]


def test_an_address_that_was_taken_out_of_the_settings_gets_nothing_more(
    monitor: StartMonitor, world: World, ear: Ear, journal: Journal, clock: Clock
):
    ear.status = 500
    world.breaks()
    monitor(name=holder_name()).round()
    clock.advance(seconds=31)
    monitor(name=holder_name(), NOTIFY_URLS="").round()
    (message,) = read_status(journal, clock.now).unsent
    assert message.given_up and "no longer" in message.error


def test_a_message_is_claimed_by_one_sender_and_by_another_when_that_one_died(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal
):
    ear.status = 500
    world.breaks()
    monitor().round()
    clock.advance(minutes=1)
    outbox = Outbox(journal)
    (message,) = outbox.due(clock.now)
    until = clock.now + sender.CLAIM
    assert outbox.reserve(message, "one", clock.now, until)
    assert outbox.reserve(message, "other", clock.now, until) is None
    assert outbox.due(clock.now) == ()
    clock.now = until + timedelta(seconds=1)
    again = outbox.reserve(message, "other", clock.now, clock.now + sender.CLAIM)
    assert again is not None
    outbox.sent(again, clock.now)
    assert read_status(journal, clock.now).undelivered == 0


def test_an_address_that_apprise_does_not_know_is_named_by_its_place():
    urls = ("json://127.0.0.1:9/", "nonsense://secret-token")
    targets = sender.notification_targets(settings_of({"NOTIFY_URLS": " ".join(urls)}).notify_urls)
    assert len(targets.targets) == 1
    (problem,) = targets.problems
    assert "number 2" in problem and "secret-token" not in problem


def test_the_rounds_go_on_while_the_heartbeat_is_not_taken(monitor: StartMonitor, world: World, ear: Ear):
    watch = monitor(HEARTBEAT_URL="http://127.0.0.1:9/beat")
    world.breaks()
    assert watch.round() is not None
    assert (ear.types, ear.heartbeats) == (["failure"], 0)


def test_what_a_sandbox_plays_is_marked_and_is_no_beat_of_the_business(monitor: StartMonitor, world: World, ear: Ear):
    watch = monitor(SANDBOX_URL="http://127.0.0.1:9/sandbox")
    world.breaks()
    assert watch.round() is not None
    assert [title.split(":")[:2] for title in ear.titles] == [["SANDBOX", " BROKEN"]]
    assert ear.heartbeats == 0


# What people decide --------------------------------------------------------------------------------------


def test_what_breaks_while_muted_is_told_when_the_mute_ends(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    silences.mute(journal, ann, "flow", timedelta(minutes=20), "We are changing the menu.", clock.now)
    world.breaks()
    watch.round()
    (alert,) = read_status(journal, clock.now).firing
    assert (ear.heard, alert.told_at, alert.silence and alert.silence.by) == ([], None, ann.name)
    clock.advance(minutes=21)
    watch.round()
    assert ear.types == ["failure"]


def test_maintenance_is_quiet_about_all_from_its_beginning_on_and_measures(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    begins = clock.now + timedelta(minutes=1)
    silences.maintenance(journal, ann, begins, begins + timedelta(hours=1), "New database.", clock.now)
    watch.round()
    clock.now = begins
    world.breaks()
    world.changed["deployments"] = (failed_build(clock), b.HEAD_BUILD)
    watch.round()
    assert ear.heard == []
    assert [alert.rule for alert in read_status(journal, clock.now).firing] == ["flow"]
    silences.unmute(journal, ann, silences.Subject.MAINTENANCE)
    watch.round()
    assert ear.types == ["failure"]


def test_an_acknowledgement_holds_until_the_trouble_is_over(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal, ann: Actor
):
    watch = monitor()
    world.breaks()
    watch.round()
    silences.acknowledge(journal, ann, "flow", "I am on it.")
    (alert,) = read_status(journal, clock.now).firing
    assert alert.acknowledged and alert.acknowledged.by == ann.name
    clock.advance(hours=3)
    watch.round()
    assert len(ear.heard) == 1
    world.is_well()
    watch.round()
    clock.advance(minutes=1)
    world.breaks()
    watch.round()
    (alert,) = read_status(journal, clock.now).firing
    assert alert.acknowledged is None
    clock.advance(hours=3)
    watch.round()
    assert ear.types == ["failure", "success", "failure", "failure"]
    assert ear.titles[-1].startswith("STILL:")


def test_another_source_that_stops_is_told_also_to_who_is_on_the_first(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock, journal: Journal, ann: Actor
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
    assert ear.titles == ["WARNING: GitHub does not answer", "WORSE: The booking database and GitHub do not answer"]
    stops(SourceName.GITHUB, SourceName.BOOKING_DATA)
    assert len(ear.titles) == 2


def test_what_is_left_of_a_refusal_while_texts_go_out_again_is_no_second_trouble(
    monitor: StartMonitor, world: World, ear: Ear
):
    watch = monitor()

    def refused(hours_ago: float) -> None:
        alert = {"sid": "NO1", "error_code": "20003", "created_at": b.ago(hours=hours_ago)}
        world.changed = {"alerts": b.table(b.frames.ALERTS, [alert])}
        for _ in range(2):
            watch.round()

    refused(hours_ago=0.5)
    refused(hours_ago=5)
    assert ear.titles == ["BROKEN: Twilio refuses our texts because of our account or sender"]
    refused(hours_ago=21)
    assert ear.types == ["failure", "success"]


def test_deciding_needs_an_operator_a_reason_and_a_sensible_time(local: Journal, ann: Actor, clock: Clock):
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


def test_a_failed_deployment_is_told_once_and_history_never_across_a_restart(
    monitor: StartMonitor, world: World, ear: Ear, clock: Clock
):
    monitor(name=holder_name()).round()
    world.changed = {"deployments": (failed_build(clock), b.HEAD_BUILD)}
    monitor(name=holder_name()).round()
    monitor(name=holder_name()).round()
    (message,) = ear.heard
    assert message["title"].startswith("Deployment: ddddddd failed")
