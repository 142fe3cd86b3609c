"""The status of the monitor, for the endpoints, the pages and the command line: one read of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from lib.journal.journal import Journal
from lib.journal.schema import outbox
from lib.monitor.alert_state import AlertContent, Severity
from lib.monitor.rules import RULES
from lib.monitor.silences import Acknowledged, Silence
from lib.monitor.store import (
    HeadlineRecord,
    MonitorStore,
    RoundFailure,
    read_decisions,
    read_monitor_row,
    read_states,
)


@dataclass(frozen=True, slots=True)
class Firing:
    """One firing alert, with what people decided about it. `told_at` is None while no message was sent."""

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
    """A message that failed at least once: it waits to be sent again, or was given up."""

    at: datetime
    title: str
    service: str
    attempts: int
    given_up: bool
    error: str


@dataclass(frozen=True, slots=True)
class MonitorStatus:
    """The status of the monitor. `last_round_at` is None before the first round, `holder` while no monitor runs.

    `headline` is that of the last diagnosis. `undelivered` counts the messages that wait or were given up, `unsent` are
    those of them that failed. `silences` hold now or are planned. `abandoned`: the last lease ran out and was never
    released. `failure` is why the last round was not finished; None if it was.
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
    failure: RoundFailure | None = None


_SHOWN = 50


def read_status(journal: Journal, now: datetime) -> MonitorStatus:
    """Return the status of the monitor. Raises `JournalError`."""
    undone = outbox.c.state.in_(("waiting", "given_up"))
    failed = undone & outbox.c.error.is_not(None)
    with MonitorStore(journal).reading() as connection:
        row, states = read_monitor_row(connection), read_states(connection)
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
        last_round_at=row.last_round_at,
        holder=row.lease.holder if row.lease and row.lease.until > now else None,
        headline=row.headline,
        firing=tuple(firing),
        undelivered=undelivered,
        rounds=row.rounds,
        unsent=tuple(
            Unsent(
                datetime.fromisoformat(message.at),
                message.title,
                message.service,
                message.attempts,
                message.state == "given_up",
                message.error or "",
            )
            for message in newest
        ),
        silences=decisions.silences(now),
        abandoned=row.lease is not None and row.lease.until <= now,
        failure=row.kept.failure,
    )
