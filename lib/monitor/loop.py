"""The monitor's loop: a round every minute, with one diagnosis or more, each followed by the messages it leads to.

Where the first diagnosis of a round shows a change, further ones confirm it shortly after. So an alert that needs three
failures is sent within half a round of the first, and a failure that lasts a second is not sent at all.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import SecretStr

from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.journal.entry import Alert
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.reading import SourceError
from lib.model.verdict import HeadlineState
from lib.monitor import messages
from lib.monitor.alert_state import AlertEvent, AlertState, EventKind, RuleReading, RuleStatus, next_state
from lib.monitor.connectivity import offline
from lib.monitor.deployment_news import DeploymentObservation, compare
from lib.monitor.inputs import MonitorInputs
from lib.monitor.rules import RULES, Observation, read_all
from lib.monitor.scheduled_jobs import Prober, Slot, is_due, last_attempt, weekly_message
from lib.monitor.sender import NotificationTargets, Sender, notification_targets
from lib.monitor.silences import Subject
from lib.monitor.store import MONITOR, HeadlineRecord, Lease, MonitorStore, RoundFailure, StoreTransaction
from lib.reports.diagnosis_record import keep_if_changed
from lib.snapshot import Clock
from lib.sources.http import Deadline, Http

log = logging.getLogger(__name__)

# The most diagnoses in one round: a rule that fires after three failures can fire within one round.
MOST_DIAGNOSES = 3
# Diagnoses that confirm are a quarter of a round apart, and no more than this.
LONGEST_PAUSE = timedelta(seconds=15)
# Longer than the longest diagnosis, so that a working monitor never loses its lease.
LEASE = timedelta(seconds=150)
HEARTBEAT_SECONDS = 5.0
# So many of the newest incidents are searched for the open one.
_INCIDENTS = 20
# A synthetic booking counts for so many of its intervals.
_PROBES_MATTER_FOR = 3
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def holder_name() -> str:
    """Return a unique name for this process, which says where it runs."""
    return f"{_place()} {os.getpid()} {uuid4().hex[:8]}"


def _place() -> str:
    """Return the scope within which process ids are unique: the machine since its boot and, on Linux, the container.

    Machines made from one image may share a hostname, and machines with Linux the id of the outermost PID namespace.
    """
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else ""
    inside = _PID_NAMESPACE.readlink().name.strip("pid:[]") if _PID_NAMESPACE.is_symlink() else ""
    return "/".join(filter(None, (socket.gethostname(), boot, inside)))


def is_dead(holder: str) -> bool:
    """Whether the process of that name has ended. Of a process on another machine that is unknown: False."""
    place, _, process = holder.partition(" ")
    pid = process.partition(" ")[0]
    if os.name != "posix" or place != _place() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():
        return True  # this process has another name, so an earlier one had the same id
    try:
        os.kill(int(pid), 0)
    except OSError as error:  # a process that we may not signal exists
        return isinstance(error, ProcessLookupError)
    return False


# The events to send, each with the id of its rule.
Events = tuple[tuple[str, AlertEvent], ...]


@dataclass(frozen=True, slots=True)
class Round:
    """The result of a round. `holder` is another monitor that has the lease: then nothing was read or sent."""

    diagnosis: Diagnosis | None
    events: Events = ()
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """What one diagnosis led to. `unsettled`: another one soon may confirm a change."""

    events: Events
    unsettled: bool


@dataclass
class Monitor:
    """Monitors what `view` returns (None while it is not ready), every `every`. `run` ends soon after `stop` is set."""

    view: Callable[[], MonitorInputs | None]
    clock: Clock
    every: timedelta
    stop: threading.Event = field(default_factory=threading.Event)
    name: str = field(default_factory=holder_name)

    def __post_init__(self) -> None:
        self._sender = Sender(self.name, self.clock)
        self._http = Http(clock=self.clock)
        self._targets: tuple[tuple[SecretStr, ...], NotificationTargets] | None = None
        self._leased: Journal | None = None
        self._prober = Prober()
        self._last_state: HeadlineState | None = None  # of the headline, as of the last round
        # Why the last round was not finished; None if it was. Also in the store, if that can be written.
        self.failure: RoundFailure | None = None

    @property
    def pause(self) -> timedelta:
        """How long to wait before a diagnosis that confirms."""
        return min(self.every / 4, LONGEST_PAUSE)

    def run(self, on_round: Callable[[Round], None] = lambda _: None) -> None:
        """Run rounds until stopped. A round that fails is logged and is in `failure`, and the next one tries again."""
        try:
            while not self.stop.is_set():
                begun = time.monotonic()
                self._try_round(on_round)
                left = self.every.total_seconds() - (time.monotonic() - begun)
                self.stop.wait(min(max(0.0, left), threading.TIMEOUT_MAX))
        finally:
            self.leave()

    def _try_round(self, on_round: Callable[[Round], None]) -> None:
        try:
            if finished := self.round():
                on_round(finished)
            self.failure = None
        except JournalError as error:
            log.warning("This round was not finished: %s", error)
            self._fail(str(error))
        except CancelledError:
            log.info("The settings changed: starting again.")
        except Exception as error:  # the thread's last guard: one failed round must not end the monitor
            log.exception("This round was not finished.")
            self._fail(f"An unexpected error ({type(error).__name__}): see the log.")

    def _fail(self, message: str) -> None:
        """Note why a round was not finished, here and, if this monitor has the lease, in the store."""
        try:
            self.failure = RoundFailure.after(self.failure, self.clock(), message)
            if self._leased:
                with MonitorStore(self._leased).writing(self.name, self.clock) as page:
                    if page is not None:
                        page.keep_failure(self.failure)
        except JournalError as error:
            log.warning("It could not be saved: %s", error)

    def leave(self) -> None:
        """Release the lease, so that another monitor may run at once."""
        try:
            if self._leased:
                MonitorStore(self._leased).release(self.name)
        except JournalError as error:
            log.warning("The lease stays until it runs out: %s", error)
        self._http.close()

    def round(self) -> Round | None:
        """Diagnose, confirm what changed, and send. None if there is nothing to monitor. Raises `JournalError`."""
        events: list[tuple[str, AlertEvent]] = []
        view, diagnosis, confirms = self.view(), None, False
        for number in range(MOST_DIAGNOSES):
            if view is None:
                return None
            if holder := self._barred(view.journal):
                return Round(None, tuple(events), holder)
            diagnosis = self.judge(view, max_age=(self.pause if number else self.every) / 2)
            if not view.still():
                log.info("The settings changed: starting again.")
                view = self.view()
                continue
            step = self._write(view, diagnosis, confirms=confirms)
            confirms = True
            if step is None:  # another monitor took the lease meanwhile
                return None
            events += step.events
            self._sender.deliver(view.journal, self._targets_of(view))
            if not step.unsettled or number + 1 == MOST_DIAGNOSES or self.stop.wait(self.pause.total_seconds()):
                break
            view = self.view()
        if view is None:
            return None
        self._record_in_incident(view.journal, diagnosis)
        self._run_scheduled_jobs(view)
        with MonitorStore(view.journal).writing(self.name, self.clock) as page:
            if page is not None:
                page.end_round()
        self._heartbeat(view)
        return Round(diagnosis, tuple(events))

    def judge(self, view: MonitorInputs, max_age: timedelta = timedelta(0)) -> Diagnosis:
        """Return the present diagnosis, from readings no older than `max_age`."""
        snapshot = view.take_snapshot(max_age)
        return diagnose(snapshot, self.clock(), Terms.of(view.settings))

    def _barred(self, journal: Journal) -> str | None:
        """Return which other monitor holds the lease; None if this one took or extended it.

        Raises `JournalError`, also where the clock of this machine is wrong: it would take a lease that holds for over.
        """
        journal.check_clock()
        now = self.clock()
        store, lease = MonitorStore(journal), Lease(self.name, now + self.every + LEASE)
        held = store.take(lease, now)
        if held.holder != self.name and is_dead(held.holder):
            log.info("%s is gone: taking over.", held.holder)
            held = store.take(lease, now, over=held.holder)
        if held.holder != self.name:
            return held.holder
        self._leased = journal
        return None

    def _write(self, view: MonitorInputs, diagnosis: Diagnosis, *, confirms: bool) -> _Step | None:
        """Compute the next states and messages, and write them in one transaction; None if the lease was lost."""
        settings, headline = view.settings, diagnosis.headline
        away = offline(diagnosis.facts.snapshot, settings)
        every = settings.synthetic_every
        probe = last_attempt(view.journal, self.clock() - _PROBES_MATTER_FOR * every) if every else None
        patience = timedelta(minutes=settings.main_ahead_minutes)
        recipients = self._targets_of(view).recipients
        with MonitorStore(view.journal).writing(self.name, self.clock) as page:
            if page is None:
                return None
            firing = frozenset(rule_id for rule_id, state in page.states.items() if state.firing)
            readings = read_all(Observation(diagnosis, away, patience, probe, probes=every is not None, firing=firing))
            states, events = _next_states(page, readings, confirms)
            for rule_id, event in events:
                message = messages.of_alert(rule_id, event, settings.zone, settings.dashboard_url)
                page.post(_marked(message, view), recipients)
                if event.kind is not EventKind.REMINDER:
                    page.note(Alert(rule_id, event.kind.value, event.story.title, event.since))
            known, news = compare(page.row.known, _deployments(view.world, diagnosis))
            if page.decisions.silence(Subject.DEPLOYMENTS, page.now) is None:
                for one in news:
                    page.post(_marked(messages.of_deployment(one, settings.dashboard_url), view), recipients)
            page.keep(states, known, HeadlineRecord(headline.state, headline.sentence, headline.since))
        return _Step(events, any(_unsettled(states[rule.id], readings[rule.id]) for rule in RULES if rule.quick))

    def _record_in_incident(self, journal: Journal, diagnosis: Diagnosis | None) -> None:
        """Record the diagnosis in the open incident if the headline's state has changed. Raises `JournalError`.

        That nothing can be told is recorded only when it lasts for two rounds: one answer that came late is no change.
        """
        if diagnosis is None:
            return
        state, before = diagnosis.headline.state, self._last_state
        self._last_state = state
        if state is HeadlineState.CANNOT_TELL and before is not state:
            return
        incident = next((one for one in journal.incidents(limit=_INCIDENTS) if one.open), None)
        if incident is not None:
            keep_if_changed(journal, diagnosis, MONITOR, incident.id)

    def _run_scheduled_jobs(self, view: MonitorInputs) -> None:
        """Run the scheduled jobs that are due. Raises `JournalError`."""
        view.journal.write_kept_receipts()
        view.journal.expire(MONITOR)
        self._probe_if_due(view)
        settings, now = view.settings, self.clock()
        subject = Slot.read(settings.weekly_summary).subject(now, settings.zone) if settings.weekly_summary else None
        recipients = self._targets_of(view).recipients
        if subject is None or view.week is None or not recipients or MonitorStore(view.journal).posted(subject):
            return
        week = diagnose(view.week(), now, Terms.of(settings))
        message = weekly_message(subject, week, view.journal, settings.dashboard_url)
        with MonitorStore(view.journal).writing(self.name, self.clock) as page:
            if page is not None:
                page.post(_marked(message, view), recipients)
        self._sender.deliver(view.journal, self._targets_of(view))

    def _probe_if_due(self, view: MonitorInputs) -> None:
        """Request the synthetic booking that is due, or store why it could not be. Raises `JournalError`."""
        every = view.settings.synthetic_every
        if not every or not view.executor or not is_due(view.journal, every, self.clock()):
            return
        why = self._prober.start(view.executor())
        if why is None:
            return
        with MonitorStore(view.journal).writing(self.name, self.clock) as page:
            if page is not None:
                page.keep_unmade(why)

    def finish(self, patience: timedelta) -> None:
        """Wait, up to `patience`, until a scheduled job that is under way has ended."""
        self._prober.wait(patience)

    def _targets_of(self, view: MonitorInputs) -> NotificationTargets:
        urls = view.settings.notify_urls
        if self._targets is None or self._targets[0] != urls:
            self._targets = urls, notification_targets(urls)
            for problem in self._targets[1].problems:
                log.warning("%s", problem)
        return self._targets[1]

    def _heartbeat(self, view: MonitorInputs) -> None:
        """Send the heartbeat of this round: an outside service notices when it stops.

        A sandbox sends none, because the service monitors the business.
        """
        url = view.settings.heartbeat_url
        if url is None or view.settings.sandbox_url is not None:
            return
        try:
            deadline = Deadline(HEARTBEAT_SECONDS)
            answer = self._http.get(url.get_secret_value(), system="The heartbeat's watcher", deadline=deadline)
        except SourceError as error:
            log.warning("The heartbeat was not accepted: %s", error)
        else:
            if answer.status >= 400:
                log.warning("The heartbeat was not accepted: the answer was %d.", answer.status)


def _marked(message: messages.Message, view: MonitorInputs) -> messages.Message:
    return messages.of_sandbox(message) if view.settings.sandbox_url is not None else message


def _next_states(
    page: StoreTransaction, readings: Mapping[str, RuleReading], confirms: bool
) -> tuple[dict[str, AlertState], Events]:
    """Return the next state of each rule, and the events to send. One that `confirms` reads the quick rules only."""
    states: dict[str, AlertState] = {}
    events: list[tuple[str, AlertEvent]] = []
    for rule in RULES:
        if rule.quick or not confirms:
            before = page.states.get(rule.id, AlertState())
            silence_state = page.decisions.silence_state(rule.id, before, page.now)
            states[rule.id], new = next_state(before, readings[rule.id], rule, page.now, silence_state)
            events += ((rule.id, event) for event in new)
    return states, tuple(events)


def _unsettled(state: AlertState, reading: RuleReading) -> bool:
    """Whether another reading soon may confirm this one."""
    return state.unsettled and reading.finding in (RuleStatus.GOOD, RuleStatus.BAD)


def _deployments(world: str, diagnosis: Diagnosis) -> DeploymentObservation:
    facts, snapshot = diagnosis.facts, diagnosis.facts.snapshot
    return DeploymentObservation(
        world, facts.value(snapshot.deployments), facts.value(snapshot.hostnames), facts.value(snapshot.project)
    )
