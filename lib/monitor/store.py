"""The monitor's store in the journal's database: the lease, the state of every alert, the outbox.

Each reading of the rules ends in one transaction with the new states and the messages. A monitor that dies leaves all
of it or nothing, so the next one neither repeats nor loses a message. The transaction locks the one row of `monitor`,
so of two monitors only the holder of the lease can write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, delete, func, select, update

from lib.journal import chain
from lib.journal.chain import stored_instant
from lib.journal.entry import About, Alert
from lib.journal.journal import Journal
from lib.journal.schema import alerts, entries, monitor, outbox
from lib.model.people import Actor, Role, Via
from lib.model.verdict import HeadlineState
from lib.monitor.alert_state import AlertState
from lib.monitor.deployment_news import KnownDeployments
from lib.monitor.messages import Message
from lib.monitor.rules import Unmade
from lib.monitor.silences import DECISION_KINDS, Decisions, matters_since

MONITOR = Actor("monitor", Role.DESK, Via.MONITOR)
# Messages that were sent or given up are kept for this long, to be shown.
KEPT_FOR = timedelta(days=7)

_STATE: TypeAdapter[AlertState] = TypeAdapter(AlertState)


@dataclass(frozen=True, slots=True)
class RoundFailure:
    """Since when no round could be finished, how many have failed since, and why the last one did."""

    since: datetime
    count: int
    message: str

    @classmethod
    def after(cls, before: RoundFailure | None, now: datetime, message: str) -> RoundFailure:
        """Return the failure that follows `before`, the one of the round before this."""
        return cls(before.since if before else now, before.count + 1 if before else 1, message)


@dataclass(frozen=True, slots=True)
class MonitorNotes:
    """What is kept between rounds.

    The known deployments, the last booking that could not be requested, and why the last round was not finished.
    """

    deployments: KnownDeployments | None = None
    unmade: Unmade | None = None
    failure: RoundFailure | None = None


_KEPT: TypeAdapter[MonitorNotes] = TypeAdapter(MonitorNotes)


@dataclass(frozen=True, slots=True)
class HeadlineRecord:
    """The headline of the last diagnosis."""

    state: HeadlineState
    sentence: str
    since: datetime | None


_HEADLINE: TypeAdapter[HeadlineRecord] = TypeAdapter(HeadlineRecord)


@dataclass(frozen=True, slots=True)
class Lease:
    """Which monitor runs, and until when no other may take over."""

    holder: str
    until: datetime

    def bars(self, holder: str, now: datetime) -> bool:
        """Whether the lease keeps `holder` from running."""
        return self.holder != holder and self.until > now


@dataclass(frozen=True, slots=True)
class MonitorRow:
    """The one row of `monitor`."""

    lease: Lease | None
    rounds: int
    last_round_at: datetime | None
    headline: HeadlineRecord | None
    kept: MonitorNotes

    @property
    def known(self) -> KnownDeployments | None:
        return self.kept.deployments


@dataclass(frozen=True, slots=True)
class Recipient:
    """One target of messages. `key` identifies it without its address, `service` is for people: Slack, e-mail."""

    key: str
    service: str


class StoreTransaction:
    """The store within one transaction of the holder of the lease."""

    def __init__(self, connection: Connection, row: MonitorRow, now: datetime) -> None:
        self._connection = connection
        self.row = row
        self.now = now
        self.states = read_states(connection)
        self.decisions = read_decisions(connection, self.states, now)

    def keep(self, states: Mapping[str, AlertState], known: KnownDeployments | None, headline: HeadlineRecord) -> None:
        """Store the states that changed, the known deployments and the headline."""
        for rule, state in states.items():
            if state != self.states.get(rule):
                self._connection.execute(delete(alerts).where(alerts.c.rule == rule))
                self._connection.execute(alerts.insert().values(rule=rule, state=_dumped(_STATE, state)))
        self._store_notes(replace(self.row.kept, deployments=known))
        self._connection.execute(update(monitor).values(headline=_dumped(_HEADLINE, headline)))

    def keep_unmade(self, why: str) -> None:
        """Store that a synthetic booking could not be requested now. A later booking makes it out of date."""
        self._store_notes(replace(self.row.kept, unmade=Unmade(self.now, why)))

    def keep_failure(self, failure: RoundFailure) -> None:
        """Store why this round was not finished. The next one that is makes it out of date."""
        self._store_notes(replace(self.row.kept, failure=failure))

    def _store_notes(self, kept: MonitorNotes) -> None:
        self.row = replace(self.row, kept=kept)
        self._connection.execute(update(monitor).values(known=_dumped(_KEPT, kept)))

    def post(self, message: Message, recipients: Sequence[Recipient]) -> None:
        """Put a message into the outbox, and withdraw those that wait about the same subject."""
        waiting = outbox.c.state == "waiting"
        self._connection.execute(
            update(outbox)
            .where(waiting, outbox.c.subject == message.subject)
            .values(state="withdrawn", done_at=stored_instant(self.now))
        )
        last = self._connection.scalar(select(func.max(outbox.c.seq))) or 0
        for seq, recipient in enumerate(recipients, start=last + 1):
            self._connection.execute(
                outbox.insert().values(
                    seq=seq,
                    at=stored_instant(self.now),
                    subject=message.subject,
                    tone=message.tone.value,
                    title=message.title,
                    body=message.body,
                    target=recipient.key,
                    service=recipient.service,
                    state="waiting",
                    attempts=0,
                    due_at=stored_instant(self.now),
                )
            )

    def note(self, alert: Alert) -> None:
        """Add an alert that is sent to the journal."""
        end = chain.position(self._connection, lock=True)
        chain.append(self._connection, end, self.now, MONITOR, alert, About())

    def end_round(self) -> None:
        """Record that a round is finished, and delete messages that were sent long ago."""
        if self.row.kept.failure is not None:
            self._store_notes(replace(self.row.kept, failure=None))
        self._connection.execute(
            update(monitor).values(rounds=monitor.c.rounds + 1, last_round_at=stored_instant(self.now))
        )
        old = outbox.c.done_at < stored_instant(self.now - KEPT_FOR)
        self._connection.execute(delete(outbox).where(outbox.c.state != "waiting", old))


class MonitorStore:
    """The monitor's part of the journal's database. Every method raises `JournalError` if it cannot be reached."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database

    def take(self, lease: Lease, now: datetime, *, over: str | None = None) -> Lease:
        """Take or extend the lease, and return the lease that holds now.

        It is granted if no other monitor holds it, if it has run out, or if its holder is `over`, which the caller
        knows to be dead.
        """
        with self._database.writing() as connection:
            held = _locked(connection).lease
            if held and held.bars(lease.holder, now) and held.holder != over:
                return held
            connection.execute(update(monitor).values(holder=lease.holder, lease_until=stored_instant(lease.until)))
            return lease

    def release(self, holder: str) -> None:
        """Release the lease, if `holder` has it."""
        with self._database.writing() as connection:
            mine = monitor.c.holder == holder
            connection.execute(update(monitor).where(mine).values(holder=None, lease_until=None))

    def posted(self, subject: str) -> bool:
        """Whether the outbox has a message about `subject` that was not given up."""
        alive = outbox.c.state != "given_up"
        query = select(func.count()).select_from(outbox).where(outbox.c.subject == subject, alive)
        with self._database.reading() as connection:
            return bool(connection.scalar(query))

    def unmade(self) -> Unmade | None:
        """Return the last synthetic booking that could not be requested."""
        with self._database.reading() as connection:
            return read_monitor_row(connection).kept.unmade

    @contextmanager
    def writing(self, holder: str, clock: Callable[[], datetime]) -> Iterator[StoreTransaction | None]:
        """One transaction of `holder`; None if another monitor has taken the lease."""
        with self._database.writing() as connection:
            row = _locked(connection)
            mine = row.lease is not None and row.lease.holder == holder
            # Taken after the lock is granted, so that the times of entries are in the order of the entries.
            yield StoreTransaction(connection, row, clock()) if mine else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._database.reading() as connection:
            yield connection


def _locked(connection: Connection) -> MonitorRow:
    return _monitor_row(connection.execute(select(monitor).with_for_update()).mappings().one())


def read_monitor_row(connection: Connection) -> MonitorRow:
    return _monitor_row(connection.execute(select(monitor)).mappings().one())


def read_states(connection: Connection) -> dict[str, AlertState]:
    """Return the stored state of each rule. One that another version wrote and cannot be read is left out."""
    found = {}
    for row in connection.execute(select(alerts)):
        state = _loaded(_STATE, row.state)
        if state is not None:
            found[str(row.rule)] = state
    return found


def read_decisions(connection: Connection, states: Mapping[str, AlertState], now: datetime) -> Decisions:
    """Return the decisions of people that may still have an effect."""
    since = stored_instant(matters_since(states.values(), now))
    query = select(entries).where(entries.c.kind.in_([kind.value for kind in DECISION_KINDS]), entries.c.at >= since)
    return Decisions(chain.fetch(connection, query.order_by(entries.c.seq)))


def _monitor_row(row: Mapping[Any, Any]) -> MonitorRow:
    held = row["holder"] and row["lease_until"]
    return MonitorRow(
        lease=Lease(row["holder"], datetime.fromisoformat(row["lease_until"])) if held else None,
        rounds=row["rounds"],
        last_round_at=datetime.fromisoformat(row["last_round_at"]) if row["last_round_at"] else None,
        headline=_loaded(_HEADLINE, row["headline"]),
        kept=_loaded(_KEPT, row["known"]) or MonitorNotes(),
    )


def _dumped(adapter: TypeAdapter[Any], value: object) -> str:
    return adapter.dump_json(value, by_alias=True).decode()


def _loaded(adapter: TypeAdapter[Any], text: str | None) -> Any:
    if text is None:
        return None
    try:
        return adapter.validate_json(text)
    except ValidationError:  # written by another version: it starts anew
        return None


# The outbox ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one target. `attempts` includes the present one."""

    seq: int
    subject: str
    tone: str
    title: str
    body: str
    target: str
    service: str
    attempts: int


class Outbox:
    """The messages that wait. A reservation is for one sender, and runs out if that sender dies."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database

    def due(self, now: datetime) -> tuple[Outgoing, ...]:
        """Return the messages that may be sent now, oldest first."""
        query = select(outbox).where(*_unclaimed(now), outbox.c.due_at <= stored_instant(now)).order_by(outbox.c.seq)
        with self._database.reading() as connection:
            return tuple(_outgoing(row) for row in connection.execute(query).mappings())

    def reserve(self, outgoing: Outgoing, sender: str, now: datetime, until: datetime) -> Outgoing | None:
        """Reserve one message; None if another sender has it or it was withdrawn."""
        with self._database.writing() as connection:
            taken = connection.execute(
                update(outbox)
                .where(outbox.c.seq == outgoing.seq, *_unclaimed(now))
                .values(claimed_by=sender, claimed_until=stored_instant(until), attempts=outbox.c.attempts + 1)
            )
            return replace(outgoing, attempts=outgoing.attempts + 1) if taken.rowcount == 1 else None

    def sent(self, outgoing: Outgoing, now: datetime) -> None:
        self._finish(outgoing, state="sent", done_at=stored_instant(now), error=None)

    def failed(self, outgoing: Outgoing, why: str, again_at: datetime) -> None:
        """Let the message wait until `again_at`."""
        self._finish(outgoing, due_at=stored_instant(again_at), error=why)

    def given_up(self, outgoing: Outgoing, why: str, now: datetime) -> None:
        """Give the message up. It is kept, to be shown."""
        self._finish(outgoing, state="given_up", done_at=stored_instant(now), error=why)

    def _finish(self, outgoing: Outgoing, **values: str | None) -> None:
        with self._database.writing() as connection:
            # A message that was withdrawn while it was sent stays withdrawn.
            mine = (outbox.c.seq == outgoing.seq) & (outbox.c.state == "waiting")
            connection.execute(update(outbox).where(mine).values(claimed_by=None, claimed_until=None, **values))


def _unclaimed(now: datetime) -> tuple[Any, ...]:
    free = outbox.c.claimed_until.is_(None) | (outbox.c.claimed_until < stored_instant(now))
    return outbox.c.state == "waiting", free


def _outgoing(row: Mapping[Any, Any]) -> Outgoing:
    fields = ("seq", "subject", "tone", "title", "body", "target", "service", "attempts")
    return Outgoing(**{field: row[field] for field in fields})
