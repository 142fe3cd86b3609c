"""Sends the messages of the outbox through Apprise. Failed ones are retried with growing waits, then given up.

A message is reserved before it is sent and marked after it. If the process dies in between, the message is sent again
once the reservation has run out: twice is better than never.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import apprise
from pydantic import SecretStr

from lib.journal.journal import Journal
from lib.monitor.store import Outbox, Outgoing, Recipient
from lib.redaction import redact

log = logging.getLogger(__name__)

SECONDS = 30
# Longer than a send can take, so that no other process sends the same message meanwhile.
RESERVED_FOR = timedelta(minutes=2)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=30)
# With the waits above: about an hour and a half after the first attempt.
MOST_ATTEMPTS = 9


@dataclass(frozen=True)
class NotificationTarget:
    """One address of NOTIFY_URLS."""

    recipient: Recipient
    service: apprise.Apprise


@dataclass(frozen=True)
class NotificationTargets:
    """The usable addresses. `problems` names the others by their number in the list, since an address is a secret."""

    targets: tuple[NotificationTarget, ...]
    problems: tuple[str, ...] = ()

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        return tuple(target.recipient for target in self.targets)


def notification_targets(urls: Sequence[SecretStr]) -> NotificationTargets:
    """Return the targets that NOTIFY_URLS names."""
    targets, problems = [], []
    for place, url in enumerate(urls, start=1):
        key = hashlib.sha256(url.get_secret_value().encode()).hexdigest()[:16]
        service = apprise.Apprise()
        if service.add(url.get_secret_value()):
            targets.append(NotificationTarget(Recipient(key, str(service[0].service_name)), service))
        else:
            problems.append(f"NOTIFY_URLS: number {place} is not an address that Apprise supports: see its wiki.")
    return NotificationTargets(tuple(targets), tuple(problems))


class Sender:
    """Sends messages for one process, one after the other."""

    def __init__(self, name: str, clock: Callable[[], datetime]) -> None:
        self._name = name
        self._clock = clock

    def deliver(self, journal: Journal, targets: NotificationTargets) -> int:
        """Send the messages that are due; return how many were sent. Raises `JournalError`."""
        outbox, known = Outbox(journal), {target.recipient.key: target for target in targets.targets}
        return sum(self._deliver(outbox, outgoing, known) for outgoing in outbox.due(self._clock()))

    def _deliver(self, outbox: Outbox, waiting: Outgoing, known: Mapping[str, NotificationTarget]) -> bool:
        now = self._clock()
        outgoing = outbox.reserve(waiting, self._name, now, now + RESERVED_FOR)
        if outgoing is None:
            return False
        target = known.get(outgoing.target)
        if target is None:
            outbox.given_up(outgoing, "Its address is no longer in NOTIFY_URLS.", now)
            return False
        why = send(target, outgoing)
        if why is None:
            outbox.sent(outgoing, self._clock())
            log.info("Sent to %s: %s", outgoing.service, outgoing.title)
            return True
        log.warning("%s did not accept “%s” (attempt %d): %s", outgoing.service, outgoing.title, outgoing.attempts, why)
        if outgoing.attempts >= MOST_ATTEMPTS:
            outbox.given_up(outgoing, why, self._clock())
        else:
            outbox.failed(outgoing, why, self._clock() + wait_after(outgoing.attempts))
        return False


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after this many attempts."""
    doublings: int = attempts - 1
    return min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)


def send(target: NotificationTarget, outgoing: Outgoing) -> str | None:
    """Send one message. Return None, or why it was not accepted, without an address in it."""
    result = target.service.notify(
        body=outgoing.body,
        title=outgoing.title,
        notify_type=apprise.NotifyType(outgoing.tone),
        body_format=apprise.NotifyFormat.TEXT,
        timeout=SECONDS,
        log_level=logging.WARNING,
    )
    if result:
        return None
    said = " ".join(str(entry.message) for entry in result.logs())
    return " ".join(redact(said).split())[:300] or "It gave no reason."
