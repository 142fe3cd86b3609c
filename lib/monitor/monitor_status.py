"""How the watch stands, for the doors, the pages and the command line: one look at the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from lib.journal.journal import Journal
from lib.journal.schema import outbox
from lib.monitor.alert_state import AlertContent, Severity
from lib.monitor.rules import RULES
from lib.monitor.silences import Acknowledged, Silence
from lib.monitor.store import HeadlineRecord, MonitorStore, read_decisions, read_monitor_row, read_states


@dataclass(frozen=True, slots=True)
class Firing:
    """One alert that fires, with what people decided about it. `told_at` is None while nobody was told."""

    rule: str
    title: str
    story: AlertContent
    since: datetime
    fired_at: datetime
    told_at: datetime | None
    silence: Silence | None
    acknowledged: Acknowledged | None

    @property
    def critical(self) -> bool:
        return self.story.severity is Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that failed at least once and waits to be sent again, or was given up."""

    at: datetime
    title: str
    service: str
    attempts: int
    given_up: bool
    error: str


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """`last_round_at` is None before the first round; `holder` if nobody watches. The headline is of the last look.

    `undelivered` counts the messages that wait to be sent or were given up, `unsent` are those of them that failed.
    `silences` are those that hold now or are planned. `abandoned`: who watched last never gave the lease back.
    """

    last_round_at: datetime | None
    holder: str | None
    headline: HeadlineRecord | None
    firing: tuple[Firing, ...]
    undelivered: int
    rounds: int = 0
    unsent: tuple[Unsent, ...] = ()
    silences: tuple[Silence, ...] = ()
    abandoned: bool = False


_SHOWN = 50


def read_status(journal: Journal, now: datetime) -> MonitorStatus:
    """Return how the watch stands. Raises `JournalError`."""
    undone = outbox.c.state.in_(("waiting", "given_up"))
    failed = undone & outbox.c.error.is_not(None)
    with MonitorStore(journal).reading() as connection:
        watch, states = read_monitor_row(connection), read_states(connection)
        decisions = read_decisions(connection, states, now)
        undelivered = connection.scalar(select(func.count()).select_from(outbox).where(undone)) or 0
        newest = connection.execute(select(outbox).where(failed).order_by(outbox.c.seq.desc()).limit(_SHOWN)).all()
    firing = [
        Firing(
            rule.id,
            rule.title,
            state.story,
            state.since,
            state.fired_at,
            state.told_at,
            decisions.silence(rule.id, now),
            decisions.acknowledged(rule.id, state),
        )
        for rule in RULES
        if (state := states.get(rule.id)) and state.fired_at and state.story and state.since
    ]
    return MonitorStatus(
        last_round_at=watch.last_round_at,
        holder=watch.lease.holder if watch.lease and watch.lease.until > now else None,
        headline=watch.headline,
        firing=tuple(firing),
        undelivered=undelivered,
        rounds=watch.rounds,
        unsent=tuple(
            Unsent(
                datetime.fromisoformat(row.at),
                row.title,
                row.service,
                row.attempts,
                row.state == "given_up",
                row.error or "",
            )
            for row in newest
        ),
        silences=decisions.silences(now),
        abandoned=watch.lease is not None and watch.lease.until <= now,
    )
