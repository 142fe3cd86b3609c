"""What the monitor remembers, in the journal's database: who watches, the state of every alert, the outbox.

Every look ends in one transaction, which holds the lease, the new states and the messages: a monitor that dies leaves
either all of a look or nothing, and the next one neither repeats nor forgets. It runs under a lock of the one row of
`monitor`, so that of two monitors only the holder of the lease can write.
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
from lib.journal.chain import instant
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
# What was sent or given up is kept for this long, to be looked at.
KEPT_FOR = timedelta(days=7)

_STATE: TypeAdapter[AlertState] = TypeAdapter(AlertState)


@dataclass(frozen=True, slots=True)
class MonitorNotes:
    """What is kept from look to look: what is known of deployments, and the last booking that could not be made."""

    deployments: KnownDeployments | None = None
    unmade: Unmade | None = None


_KEPT: TypeAdapter[MonitorNotes] = TypeAdapter(MonitorNotes)


@dataclass(frozen=True, slots=True)
class HeadlineRecord:
    """The headline as the last look saw it."""

    state: HeadlineState
    sentence: str
    since: datetime | None


_HEADLINE: TypeAdapter[HeadlineRecord] = TypeAdapter(HeadlineRecord)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who watches, and until when nobody else may take over."""

    holder: str
    until: datetime

    def bars(self, holder: str, now: datetime) -> bool:
        """Whether another one watches."""
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
    """One target of messages. `key` says which without showing its address, `service` is for people: Slack, e-mail."""

    key: str
    service: str


class StoreTransaction:
    """What is remembered, within one transaction of the holder of the lease."""

    def __init__(self, connection: Connection, watch: MonitorRow, now: datetime) -> None:
        self._connection = connection
        self.watch = watch
        self.now = now
        self.states = read_states(connection)
        self.decisions = read_decisions(connection, self.states, now)

    def keep(self, states: Mapping[str, AlertState], known: KnownDeployments | None, headline: HeadlineRecord) -> None:
        """Remember what this look left."""
        for rule, state in states.items():
            if state != self.states.get(rule):
                self._connection.execute(delete(alerts).where(alerts.c.rule == rule))
                self._connection.execute(alerts.insert().values(rule=rule, state=_dumped(_STATE, state)))
        self._remember(replace(self.watch.kept, deployments=known))
        self._connection.execute(update(monitor).values(headline=_dumped(_HEADLINE, headline)))

    def keep_unmade(self, why: str) -> None:
        """Remember that a synthetic booking could not be made just now. A booking made later outdates it."""
        self._remember(replace(self.watch.kept, unmade=Unmade(self.now, why)))

    def _remember(self, kept: MonitorNotes) -> None:
        self.watch = replace(self.watch, kept=kept)
        self._connection.execute(update(monitor).values(known=_dumped(_KEPT, kept)))

    def post(self, message: Message, recipients: Sequence[Recipient]) -> None:
        """Put a message into the outbox. What waits about the same subject is out of date by it."""
        waiting = outbox.c.state == "waiting"
        self._connection.execute(
            update(outbox)
            .where(waiting, outbox.c.subject == message.subject)
            .values(state="withdrawn", done_at=instant(self.now))
        )
        last = self._connection.scalar(select(func.max(outbox.c.seq))) or 0
        for seq, recipient in enumerate(recipients, start=last + 1):
            self._connection.execute(
                outbox.insert().values(
                    seq=seq,
                    at=instant(self.now),
                    subject=message.subject,
                    tone=message.tone.value,
                    title=message.title,
                    body=message.body,
                    target=recipient.key,
                    service=recipient.service,
                    state="waiting",
                    attempts=0,
                    due_at=instant(self.now),
                )
            )

    def note(self, alert: Alert) -> None:
        """Add to the journal what is told."""
        end = chain.position(self._connection, lock=True)
        chain.append(self._connection, end, self.now, MONITOR, alert, About())

    def end_round(self) -> None:
        """Write down that a round is finished, and forget what was sent long ago."""
        self._connection.execute(update(monitor).values(rounds=monitor.c.rounds + 1, last_round_at=instant(self.now)))
        old = outbox.c.done_at < instant(self.now - KEPT_FOR)
        self._connection.execute(delete(outbox).where(outbox.c.state != "waiting", old))


class MonitorStore:
    """The monitor's part of the journal's database. Every method raises `JournalError` if it cannot be reached."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database

    def take(self, lease: Lease, now: datetime, *, over: str | None = None) -> Lease:
        """Take the lease, or prolong it, and return who holds it now.

        It is taken if nobody else has it, it has run out, or its holder is `over`, which the caller knows to be dead.
        """
        with self._database.writing() as connection:
            held = _locked(connection).lease
            if held and held.bars(lease.holder, now) and held.holder != over:
                return held
            connection.execute(update(monitor).values(holder=lease.holder, lease_until=instant(lease.until)))
            return lease

    def release(self, holder: str) -> None:
        """Give the lease back, if we have it."""
        with self._database.writing() as connection:
            mine = monitor.c.holder == holder
            connection.execute(update(monitor).where(mine).values(holder=None, lease_until=None))

    def posted(self, subject: str) -> bool:
        """Whether there is, or lately was, a message about `subject` that was not given up for every target."""
        alive = outbox.c.state != "given_up"
        query = select(func.count()).select_from(outbox).where(outbox.c.subject == subject, alive)
        with self._database.reading() as connection:
            return bool(connection.scalar(query))

    def unmade(self) -> Unmade | None:
        """Return the last synthetic booking that could not be made."""
        with self._database.reading() as connection:
            return read_monitor_row(connection).kept.unmade

    @contextmanager
    def writing(self, holder: str, clock: Callable[[], datetime]) -> Iterator[StoreTransaction | None]:
        """One transaction of `holder`; None if the lease went to somebody else meanwhile."""
        with self._database.writing() as connection:
            watch = _locked(connection)
            mine = watch.lease is not None and watch.lease.holder == holder
            # The time is taken once the queue of writers is behind us, so that it runs as the entries do.
            yield StoreTransaction(connection, watch, clock()) if mine else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._database.reading() as connection:
            yield connection


def _locked(connection: Connection) -> MonitorRow:
    return _watch_of(connection.execute(select(monitor).with_for_update()).mappings().one())


def read_monitor_row(connection: Connection) -> MonitorRow:
    return _watch_of(connection.execute(select(monitor)).mappings().one())


def read_states(connection: Connection) -> dict[str, AlertState]:
    """Return the state of every rule that has one. What an older version wrote and cannot be read is none."""
    found = {}
    for row in connection.execute(select(alerts)):
        state = _loaded(_STATE, row.state)
        if state is not None:
            found[str(row.rule)] = state
    return found


def read_decisions(connection: Connection, states: Mapping[str, AlertState], now: datetime) -> Decisions:
    """Return what people decided that may still matter."""
    since = instant(matters_since(states.values(), now))
    query = select(entries).where(entries.c.kind.in_([kind.value for kind in DECISION_KINDS]), entries.c.at >= since)
    return Decisions(chain.fetch(connection, query.order_by(entries.c.seq)))


def _watch_of(row: Mapping[Any, Any]) -> MonitorRow:
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
    except ValidationError:  # written by another version: it is learned anew
        return None


# The outbox ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message on its way to one target. `attempts` counts the one that is being made."""

    seq: int
    subject: str
    tone: str
    title: str
    body: str
    target: str
    service: str
    attempts: int


class Outbox:
    """The messages that wait. A claim is for one sender alone, and runs out if that one dies in the middle."""

    def __init__(self, journal: Journal) -> None:
        self._database = journal.database

    def due(self, now: datetime) -> tuple[Outgoing, ...]:
        """Return what may be sent now, oldest first."""
        query = select(outbox).where(*_unclaimed(now), outbox.c.due_at <= instant(now)).order_by(outbox.c.seq)
        with self._database.reading() as connection:
            return tuple(_outgoing(row) for row in connection.execute(query).mappings())

    def reserve(self, outgoing: Outgoing, sender: str, now: datetime, until: datetime) -> Outgoing | None:
        """Take one message to send it; None if somebody else did, or it has been withdrawn."""
        with self._database.writing() as connection:
            taken = connection.execute(
                update(outbox)
                .where(outbox.c.seq == outgoing.seq, *_unclaimed(now))
                .values(claimed_by=sender, claimed_until=instant(until), attempts=outbox.c.attempts + 1)
            )
            return replace(outgoing, attempts=outgoing.attempts + 1) if taken.rowcount == 1 else None

    def sent(self, outgoing: Outgoing, now: datetime) -> None:
        self._finish(outgoing, state="sent", done_at=instant(now), error=None)

    def failed(self, outgoing: Outgoing, why: str, again_at: datetime) -> None:
        """Let it wait until `again_at`."""
        self._finish(outgoing, due_at=instant(again_at), error=why)

    def given_up(self, outgoing: Outgoing, why: str, now: datetime) -> None:
        """It will not be sent; it stays to be seen."""
        self._finish(outgoing, state="given_up", done_at=instant(now), error=why)

    def _finish(self, outgoing: Outgoing, **values: str | None) -> None:
        with self._database.writing() as connection:
            # One that was withdrawn while it was on its way stays so.
            mine = (outbox.c.seq == outgoing.seq) & (outbox.c.state == "waiting")
            connection.execute(update(outbox).where(mine).values(claimed_by=None, claimed_until=None, **values))


def _unclaimed(now: datetime) -> tuple[Any, ...]:
    free = outbox.c.claimed_until.is_(None) | (outbox.c.claimed_until < instant(now))
    return outbox.c.state == "waiting", free


def _outgoing(row: Mapping[Any, Any]) -> Outgoing:
    fields = ("seq", "subject", "tone", "title", "body", "target", "service", "attempts")
    return Outgoing(**{field: row[field] for field in fields})
