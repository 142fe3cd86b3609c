"""The journal: reading and writing requests, receipts, incidents, steps and notes.

Each decision, such as which request gets a lock or whether a request may still be cancelled, is made in the transaction
that records it, and writers wait for each other. So two processes never both get the same lock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Select, case, delete, func, insert, select

from lib.journal import chain
from lib.journal.chain import ChainPosition, ChainReport, stored_instant
from lib.journal.engine import PROJECT, JournalDatabase, connect_journal
from lib.journal.entry import (
    PHASE_OF,
    About,
    Approved,
    Asked,
    Cancelled,
    Entry,
    Event,
    Expired,
    Freeze,
    IncidentClosed,
    IncidentOpened,
    Kind,
    Locked,
    Note,
    Outcome,
    Payload,
    Progress,
    Receipt,
    Refused,
    Resolution,
    Started,
    StepMoved,
    StepState,
    Unfreeze,
)
from lib.journal.errors import ConflictError, JournalError, LostError
from lib.journal.incident import Incident, incident_of
from lib.journal.kept_receipts import KeptReceipt, KeptReceipts
from lib.journal.request import (
    HEARTBEAT_EVERY,
    LockRefusal,
    LockResult,
    NewRequest,
    Request,
    RequestState,
    request_of,
)
from lib.journal.schema import entries as table
from lib.journal.schema import heartbeats
from lib.journal.text_rules import same_person, tidy
from lib.model.people import NO_LOGIN, Actor
from lib.settings import Settings

log = logging.getLogger(__name__)

# How long a lock holds its target during the last checks, unless the caller says otherwise.
HOLD_FOR = timedelta(minutes=2)

# How two people act where an action needs a second person.
TWO_PEOPLE = (
    "Set up a login (section auth of .streamlit/secrets.toml) and name both people in OPERATORS: "
    "one asks, the other opens Switchboard, logs in and approves."
)

_NOBODY = About()
_REQUEST_KINDS = tuple(kind.value for kind in (*PHASE_OF, Kind.PROGRESS))
_INCIDENT_KINDS = (Kind.INCIDENT_OPENED.value, Kind.STEP.value, Kind.INCIDENT_CLOSED.value)
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Frozen:
    """A freeze: who set it, when and why."""

    by: Actor
    at: datetime
    reason: str


class Journal:
    """The journal, safe to share between threads. Every method raises `JournalError` if it cannot be reached.

    Its time is that of its database, which all instances share; `now` is the clock of this one. `database_time` stands
    in for the database's clock.
    """

    def __init__(
        self,
        database: JournalDatabase,
        now: Callable[[], datetime],
        database_time: Callable[[], datetime] | None = None,
    ) -> None:
        self._database = database
        self._now = now
        self._database_time = database_time
        self._kept = KeptReceipts(database.beside)
        # The last position that this process has written: a journal without it is another one.
        self._last: ChainPosition | None = None

    @classmethod
    def open(
        cls,
        settings: Settings,
        now: Callable[[], datetime],
        project: Path = PROJECT,
        database_time: Callable[[], datetime] | None = None,
    ) -> Journal:
        """Open the journal that the settings name, and bring its schema up to date. Raises `JournalError`.

        Receipts that were kept beside it are written.
        """
        database = connect_journal(settings, project)
        try:
            database.prepare(now)
        except JournalError:
            database.close()
            raise
        journal = cls(database, now, database_time)
        journal.write_kept_receipts()
        return journal

    @property
    def where(self) -> str:
        """Where the journal is stored, in a sentence without secrets."""
        return self._database.where

    @property
    def database(self) -> JournalDatabase:
        """Its database, for the tables outside of the chain: those of the monitor."""
        return self._database

    def close(self) -> None:
        self._database.close()

    # Clocks.

    def time(self) -> datetime:
        """Return the time by the clock of the journal's database."""
        with self._reading() as page:
            return page.now

    def check_clock(self) -> None:
        """Raise `JournalError` if the clock of this machine differs too much from that of the journal's database."""
        with self._reading() as page:
            if message := self._clock_differs(page):
                raise JournalError(message)

    def _clock_differs(self, page: _ReadTransaction) -> str:
        """Return a sentence if the two clocks differ by more than a heartbeat; empty if they do not.

        With such a clock an instance takes the running requests and the lease of others for dead.
        """
        ahead = self._now() - self._time(page.connection)
        if abs(ahead) <= HEARTBEAT_EVERY:
            return ""
        how = f"{abs(ahead).total_seconds():,.0f} s {'ahead of' if ahead > timedelta(0) else 'behind'}"
        return f"The clock of this machine is {how} the journal's database: correct it. Until then nothing runs here."

    # Requests.

    def submitted(self, new: NewRequest, actor: Actor) -> Request | None:
        """Return the request that was submitted with this idempotency key, or None. Raises `ConflictError` as below."""
        with self._reading() as page:
            return page.submitted(new, actor)

    def submit_request(self, new: NewRequest, actor: Actor, *, refused: str | None = None) -> Request:
        """Record a request and return it; the same idempotency key again returns the first one.

        `refused` is a reason not to carry it out. It is recorded in the same transaction, so that it never can be.
        Raises `ConflictError` if that key belongs to a request for something else.
        """
        with self._writing() as page:
            if earlier := page.submitted(new, actor):
                return earlier
            about = About(new.incident_id, new.step_id, new.action, uuid4())
            asked = Asked(
                tier=new.tier,
                target=new.target,
                digest=new.digest,
                valid_until=page.now + new.valid_for,
                arguments=new.arguments,
                summary=new.summary,
                reason=new.reason,
                needs_approval=new.needs_approval,
            )
            entries = [page.append(actor, asked, about, idempotency_key=new.idempotency_key)]
            if refused is not None:
                entries.append(page.append(actor, Refused(refused), about))
            return request_of(entries, page.now)

    def approve(self, request_id: UUID, actor: Actor, message: str = "") -> Request:
        """Record a second person's approval. Raises `ConflictError` if none is needed or the two may be one person."""
        with self._writing() as page:
            request = page.request(request_id)
            if request.state is not RequestState.WAITING:
                raise ConflictError(f"This request waits for no approval: it is {request.state}.")
            if not actor.logged_in:
                raise ConflictError(
                    "Who approves has to log in: only so is it known to be a second person.", TWO_PEOPLE
                )
            if request.requested_by.name == NO_LOGIN:
                raise ConflictError(
                    "It was asked for without a login, so whoever asked may be whoever approves.",
                    f"Cancel it and request it again. {TWO_PEOPLE}",
                )
            if same_person(request.requested_by, actor):
                raise ConflictError("Whoever asked for it cannot approve it: a second person must.")
            page.append(actor, Approved(message), request.about)
            return page.request(request_id)

    def lock(
        self,
        request_id: UUID,
        lock_key: str,
        actor: Actor,
        *,
        hold_for: timedelta = HOLD_FOR,
        cool_down: timedelta = timedelta(0),
    ) -> LockResult:
        """Lock this request and its target `lock_key`, to make the last checks and then `start` or `refuse` it.

        Exactly one caller is granted the lock. The target is held until the request is over, also while its outcome is
        unknown, so that no other action changes a target whose state is unknown. If the caller neither starts nor
        refuses within `hold_for`, the request has expired and nothing was done. `cool_down` is the least time since
        the last start under the same key.
        """
        with self._writing() as page:
            request = page.request(request_id)
            if refused := _not_ready(request) or page.frozen_out(request):
                return refused
            if differs := self._clock_differs(page):
                return LockResult(request, LockRefusal.CLOCK, differs)
            if refused := page.conflict(request, lock_key, cool_down):
                return refused
            page.append(actor, Locked(page.now + hold_for), request.about, lock_key=lock_key)
            return LockResult(page.request(request_id))

    def start(self, request_id: UUID, actor: Actor, timeout: timedelta) -> LockResult:
        """Record that the effect may happen from now on. The caller may go on only if it is granted.

        It is granted once, to a locked request that has not expired. If no receipt follows within `timeout`, the
        outcome is unknown.
        """
        with self._writing() as page:
            request = page.request(request_id)
            if request.state is not RequestState.LOCKED or request.lock_key is None:
                return LockResult(request, LockRefusal.NOT_READY, f"It cannot be started: it is {request.state}.")
            # The clocks of two machines may differ, so the key alone decides.
            holder = page.last_holder(request.lock_key)
            if holder is None or holder.id != request.id:
                return LockResult(request, LockRefusal.BUSY, "Somebody else has taken over its target.", holder)
            if refused := page.frozen_out(request):
                return refused
            if differs := self._clock_differs(page):
                return LockResult(request, LockRefusal.CLOCK, differs)
            page.append(actor, Started(page.now + timeout), request.about)
            return LockResult(page.request(request_id))

    def progress(self, request_id: UUID, actor: Actor, message: str, external_id: str | None = None) -> Request:
        """Record progress of a request that was started and has no receipt. Raises `ConflictError` for any other."""
        return self._report(request_id, actor, Progress(message, external_id))

    def heartbeat(self, request_id: UUID) -> None:
        """Record that the process that carries out this request is alive. Without it the outcome becomes unknown."""
        with self._database.writing() as connection:
            connection.execute(delete(heartbeats).where(heartbeats.c.request_id == str(request_id)))
            at = stored_instant(self._time(connection))
            connection.execute(insert(heartbeats).values(request_id=str(request_id), at=at))

    def finish(self, request_id: UUID, receipt: Receipt, actor: Actor) -> Request:
        """Record a receipt, also after the deadline: it is a fact. Raises `ConflictError` if there is a receipt."""
        return self._report(request_id, actor, receipt)

    def keep_receipt(self, request_id: UUID, receipt: Receipt, actor: Actor) -> Path:
        """Keep a receipt beside the journal, because it cannot be written to it now, and return its file.

        Raises `OSError`. `write_kept_receipts` writes it to the journal later, in this process or in another.
        """
        return self._kept.keep(KeptReceipt(request_id, receipt, actor, self._now()))

    def write_kept_receipts(self) -> None:
        """Write the receipts that are kept beside the journal. What still cannot be written stays there."""
        for kept in self._kept:
            late = f"Kept beside the journal since {kept.at:%Y-%m-%d %H:%M:%SZ}, as it could not be written then."
            try:
                receipt = replace(kept.receipt, evidence=(*kept.receipt.evidence, late))
                self.finish(kept.request_id, receipt, kept.actor)
            except ConflictError:  # it has its receipt by now
                self.forget_kept_receipt(kept.request_id)
            except JournalError as error:  # also one of another journal, which has no such request
                log.warning("The receipt kept for request %s is not written yet: %s", kept.request_id, error)
            else:
                self.forget_kept_receipt(kept.request_id)

    def forget_kept_receipt(self, request_id: UUID) -> None:
        """Remove the receipt that is kept beside the journal, if there is one: it is written."""
        try:
            self._kept.forget(request_id)
        except OSError as error:  # it is found again, and is then one that the journal has already
            log.warning("The receipt kept for request %s cannot be removed: %s", request_id, error.strerror)

    def resolve(self, request_id: UUID, outcome: Outcome, seen: str, actor: Actor) -> Request:
        """Record what a person observed about a request with an unknown outcome. Raises `ConflictError` for others."""
        if outcome is Outcome.UNKNOWN or not tidy(seen):
            raise JournalError("A resolution says whether it succeeded or failed, and what was found.")
        with self._writing() as page:
            request = page.request(request_id)
            if request.state is not RequestState.UNKNOWN:
                raise ConflictError(f"There is nothing to resolve: this request is {request.state}.")
            page.append(actor, Resolution(outcome, seen), request.about)
            return page.request(request_id)

    def refuse(self, request_id: UUID, message: str, actor: Actor) -> Request:
        """Record why a request is not carried out. Raises `ConflictError` if it was started or is over."""
        return self._stop(request_id, actor, Refused(message))

    def cancel(self, request_id: UUID, actor: Actor, message: str = "") -> Request:
        """Record that a person cancelled a request. Raises `ConflictError` if it was started or is over."""
        return self._stop(request_id, actor, Cancelled(message))

    def expire(self, actor: Actor) -> tuple[Request, ...]:
        """Record which requests have expired, and return them. They count as expired also before this."""
        with self._writing() as page:
            decided = select(table.c.request_id).where(table.c.phase == PHASE_OF[Kind.STARTED].value)
            asked = select(table).where(table.c.kind == Kind.REQUEST.value, table.c.request_id.not_in(decided))
            undecided = page.requests(page.fetch(asked.order_by(table.c.seq)))
            expired = [request for request in undecided if request.state is RequestState.EXPIRED]
            for request in expired:
                page.append(actor, Expired(), request.about)
            return tuple(page.request(request.id) for request in expired)

    def request(self, request_id: UUID) -> Request:
        """Return one request in its present state. Raises `JournalError` if there is none."""
        with self._reading() as page:
            return page.request(request_id)

    def requests(
        self,
        states: Collection[RequestState] | None = None,
        *,
        limit: int = 100,
        since: datetime | None = None,
        incident_id: UUID | None = None,
    ) -> tuple[Request, ...]:
        """Return the newest requests, newest first: those in one of `states`, requested at or after `since`."""
        query = select(table).where(table.c.kind == Kind.REQUEST.value).order_by(table.c.seq.desc())
        if since is not None:
            query = query.where(table.c.at >= stored_instant(since))
        if incident_id is not None:
            query = query.where(table.c.incident_id == str(incident_id))
        found: list[Request] = []
        with self._reading() as page:
            for asked in page.in_pages(query):
                found += [request for request in page.requests(asked) if states is None or request.state in states]
                if len(found) >= limit:
                    break
        return tuple(found[:limit])

    def outcomes(self) -> dict[tuple[str, Kind | Outcome], int]:
        """Return the number of requests by action and outcome, since the journal began.

        For example `("redeploy", Outcome.SUCCEEDED): 3`. Requests that were refused, cancelled or recorded as expired
        count under that kind of entry.
        """
        # Payloads are canonical JSON, in which an unescaped "outcome" can only be the field of that name.
        said = case(
            *(
                (table.c.payload.contains(f'"outcome":"{outcome}"', autoescape=True), outcome.value)
                for outcome in Outcome
            ),
            else_=table.c.kind,
        )
        ends = [kind.value for kind in (Kind.RECEIPT, Kind.REFUSED, Kind.CANCELLED, Kind.EXPIRED)]
        query = select(table.c.action, said, func.count()).where(table.c.kind.in_(ends)).group_by(table.c.action, said)
        with self._reading() as page:
            return {(action, _end(end)): count for action, end, count in page.connection.execute(query)}

    # Incidents.

    def open_incident(self, title: str, actor: Actor) -> Incident:
        if not title.strip():
            raise JournalError("An incident needs a title.")
        with self._writing() as page:
            return incident_of([page.append(actor, IncidentOpened(title), About(incident_id=uuid4()))])

    def incident(self, incident_id: UUID) -> Incident:
        """Return one incident in its present state. Raises `JournalError` if there is none."""
        with self._reading() as page:
            return page.incident(incident_id)

    def incidents(self, limit: int = 100) -> tuple[Incident, ...]:
        """Return the newest incidents, newest first."""
        opened = select(table.c.incident_id).where(table.c.kind == Kind.INCIDENT_OPENED.value)
        newest = opened.order_by(table.c.seq.desc()).limit(limit)
        with self._reading() as page:
            return tuple(page.incidents(map(UUID, page.connection.scalars(newest))))

    def step(self, incident_id: UUID, step_id: str, state: StepState, actor: Actor, reason: str = "") -> Incident:
        """Record the state of a step. Skipping needs a reason. Raises `ConflictError` if the incident is closed."""
        if state is StepState.SKIPPED and not reason.strip():
            raise JournalError("Skipping a step needs a reason.")
        with self._writing() as page:
            page.open_incident(incident_id)
            page.append(actor, StepMoved(state, reason), About(incident_id, step_id))
            return page.incident(incident_id)

    def close_incident(self, incident_id: UUID, actor: Actor, message: str = "") -> Incident:
        """Close an incident. Notes may still be added. Raises `ConflictError` if it is closed already."""
        with self._writing() as page:
            page.open_incident(incident_id)
            page.append(actor, IncidentClosed(message), About(incident_id))
            return page.incident(incident_id)

    def note(
        self,
        text: str,
        actor: Actor,
        *,
        incident_id: UUID | None = None,
        step_id: str | None = None,
        happened_at: datetime | None = None,
        corrects: UUID | None = None,
    ) -> Entry:
        """Add a note. Notes are never edited: a note that `corrects` an entry is added beside it."""
        if not text.strip():
            raise JournalError("A note needs a text.")
        with self._writing() as page:
            if incident_id is not None:
                page.incident(incident_id)
            if corrects is not None and not page.fetch(select(table).where(table.c.id == str(corrects))):
                raise JournalError("The entry that this note corrects is not in the journal.")
            return page.append(actor, Note(text, happened_at, corrects), About(incident_id, step_id))

    def append(self, event: Event, actor: Actor, incident_id: UUID | None = None) -> Entry:
        """Add an event that belongs to no request, such as a diagnosis or a mute. Raises `JournalError`."""
        with self._writing() as page:
            if incident_id is not None:
                page.incident(incident_id)
            return page.append(actor, event, About(incident_id))

    # The freeze switch.

    def freeze(self, reason: str, actor: Actor) -> Frozen:
        """Let no action start from now on. A second freeze changes nothing and returns the first."""
        if not reason.strip():
            raise JournalError("Freezing needs a reason.")
        with self._writing() as page:
            if page.frozen() is None:
                page.append(actor, Freeze(reason), _NOBODY)
            frozen = page.frozen()
            assert frozen is not None  # noqa: S101 - written above
            return frozen

    def unfreeze(self, actor: Actor, reason: str = "") -> None:
        """Let actions start again. It does nothing if there is no freeze."""
        with self._writing() as page:
            if page.frozen() is not None:
                page.append(actor, Unfreeze(reason), _NOBODY)

    def frozen(self) -> Frozen | None:
        """Return the present freeze, or None if actions may start."""
        with self._reading() as page:
            return page.frozen()

    # Entries and the chain.

    def entries(
        self,
        *,
        incident_id: UUID | None = None,
        kinds: Collection[Kind] | None = None,
        since_seq: int = 0,
        since: datetime | None = None,
        limit: int = 1000,
        newest: bool = False,
    ) -> tuple[Entry, ...]:
        """Return entries after `since_seq` and at or after `since`, oldest first: the first `limit`, or the newest."""
        query = select(table).where(table.c.seq > since_seq)
        if incident_id is not None:
            query = query.where(table.c.incident_id == str(incident_id))
        if kinds is not None:
            query = query.where(table.c.kind.in_([kind.value for kind in kinds]))
        if since is not None:
            query = query.where(table.c.at >= stored_instant(since))
        query = query.order_by(table.c.seq.desc() if newest else table.c.seq).limit(limit)
        with self._reading() as page:
            found = page.fetch(query)
        return found[::-1] if newest else found

    def position(self) -> ChainPosition:
        """Return where the chain ends. It is cheap to read, and changes with every entry."""
        with self._reading() as page:
            return chain.position(page.connection)

    def verify(self, noted: str | None = None) -> ChainReport:
        """Verify the chain from first to last entry. `noted` is a hash recorded earlier that must be part of it."""
        with self._reading() as page:
            return chain.verify_chain(page.connection, noted)

    def _report(self, request_id: UUID, actor: Actor, payload: Progress | Receipt) -> Request:
        with self._writing() as page:
            request = page.request(request_id)
            if request.started_at is None:
                raise ConflictError(f"This request was not started: it is {request.state}.")
            if request.receipt is not None:
                raise ConflictError("This request has its receipt already.")
            page.append(actor, payload, request.about)
            return page.request(request_id)

    def _stop(self, request_id: UUID, actor: Actor, payload: Refused | Cancelled) -> Request:
        with self._writing() as page:
            request = page.request(request_id)
            if not request.state.may_be_stopped:
                raise ConflictError(f"It is too late for that: this request is {request.state}.")
            page.append(actor, payload, request.about)
            return page.request(request_id)

    def _time(self, connection: Connection) -> datetime:
        return self._database_time() if self._database_time else self._database.time(connection, self._now)

    @contextmanager
    def _reading(self) -> Iterator[_ReadTransaction]:
        with self._database.reading() as connection:
            yield _ReadTransaction(connection, self._time(connection))

    @contextmanager
    def _writing(self) -> Iterator[_WriteTransaction]:
        """One transaction that may write. Raises `LostError` if the journal is no longer the one written before."""
        page: _WriteTransaction | None = None
        try:
            with self._database.writing() as connection:
                page = _WriteTransaction(connection, self._time)
                yield page
                page.must_follow(self._last)
            self._last = page.end
        except LostError as error:
            raise error.of(page.written if page else ()) from None


class _ReadTransaction:
    """The journal within one transaction, at one moment `now`."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now

    def fetch(self, query: Select[Any]) -> tuple[Entry, ...]:
        return chain.fetch(self.connection, query)

    def in_pages(self, query: Select[Any]) -> Iterator[tuple[Entry, ...]]:
        start = 0
        while found := self.fetch(query.limit(_PAGE).offset(start)):
            yield found
            start += _PAGE

    def request(self, request_id: UUID) -> Request:
        found = self.fetch(_of_requests([request_id]))
        if not found:
            raise JournalError("There is no such request in the journal.")
        return request_of(found, self.now, self.last_heartbeats([request_id]).get(request_id))

    def submitted(self, new: NewRequest, actor: Actor) -> Request | None:
        """Return the request that has this idempotency key. Raises `ConflictError` if it is for something else."""
        found = self.fetch(select(table).where(table.c.idempotency_key == str(new.idempotency_key)))
        return _the_same(self.request(_request_id(found[0])), new, actor) if found else None

    def requests(self, asked: Iterable[Entry]) -> list[Request]:
        """Return the requests that begin with these entries, in the same order."""
        parts: dict[UUID, list[Entry]] = {_request_id(entry): [] for entry in asked}
        for entry in self.fetch(_of_requests(parts)):
            parts[_request_id(entry)].append(entry)
        last_heartbeats = self.last_heartbeats(parts)
        return [request_of(entries, self.now, last_heartbeats.get(request_id)) for request_id, entries in parts.items()]

    def last_heartbeats(self, request_ids: Iterable[UUID]) -> dict[UUID, datetime]:
        """Return the last heartbeat of each of these requests that has one."""
        wanted = [str(request_id) for request_id in request_ids]
        found = self.connection.execute(select(heartbeats).where(heartbeats.c.request_id.in_(wanted)))
        return {UUID(row.request_id): datetime.fromisoformat(row.at) for row in found}

    def incident(self, incident_id: UUID) -> Incident:
        found = self.incidents([incident_id])
        if not found:
            raise JournalError("There is no such incident in the journal.")
        return found[0]

    def incidents(self, incident_ids: Iterable[UUID]) -> list[Incident]:
        """Return those of these incidents that exist, in the same order."""
        parts: dict[str, list[Entry]] = {str(incident_id): [] for incident_id in incident_ids}
        query = select(table).where(table.c.incident_id.in_(parts), table.c.kind.in_(_INCIDENT_KINDS))
        for entry in self.fetch(query.order_by(table.c.seq)):
            parts[str(entry.about.incident_id)].append(entry)
        return [incident_of(entries) for entries in parts.values() if entries]

    def open_incident(self, incident_id: UUID) -> Incident:
        incident = self.incident(incident_id)
        if not incident.open:
            raise ConflictError("This incident is closed.")
        return incident

    def frozen(self) -> Frozen | None:
        query = select(table).where(table.c.kind.in_((Kind.FREEZE.value, Kind.UNFREEZE.value)))
        last = self.fetch(query.order_by(table.c.seq.desc()).limit(1))
        if last and isinstance(last[0].payload, Freeze):
            return Frozen(last[0].actor, last[0].at, last[0].payload.reason)
        return None

    def frozen_out(self, request: Request) -> LockResult | None:
        frozen = self.frozen()
        if frozen is None:
            return None
        return LockResult(request, LockRefusal.FROZEN, f"{frozen.by.name} froze all actions: {frozen.reason}")

    def conflict(self, request: Request, lock_key: str, cool_down: timedelta) -> LockResult | None:
        """Return why another request keeps this one from its target; None if none does."""
        other = self.last_holder(lock_key)
        if other is None:
            return None
        if other.state is RequestState.UNKNOWN:
            message = f"The outcome of {other.action} on the same target is unknown: record what became of it first."
            return LockResult(request, LockRefusal.UNRESOLVED, message, other)
        if other.state.holds_its_target:
            message = f"{other.requested_by.name} is running {other.action} on the same target."
            return LockResult(request, LockRefusal.BUSY, message, other)
        return self._cooling_down(request, lock_key, cool_down)

    def last_holder(self, lock_key: str) -> Request | None:
        """Return the last request that locked `lock_key`: only the last one can still hold it."""
        query = select(table).where(table.c.lock_key == lock_key).order_by(table.c.seq.desc()).limit(1)
        last = self.fetch(query)
        return self.request(_request_id(last[0])) if last else None

    def _cooling_down(self, request: Request, lock_key: str, cool_down: timedelta) -> LockResult | None:
        claimed = select(table.c.request_id).where(table.c.lock_key == lock_key)
        started = select(table).where(table.c.kind == Kind.STARTED.value, table.c.request_id.in_(claimed))
        last = self.fetch(started.order_by(table.c.seq.desc()).limit(1))
        if not last or self.now >= last[0].at + cool_down:
            return None
        other = self.request(_request_id(last[0]))
        left = last[0].at + cool_down - self.now
        message = f"{other.action} ran on the same target a moment ago: wait {left.total_seconds():.0f} s more."
        return LockResult(request, LockRefusal.COOLING_DOWN, message, other)


class _WriteTransaction(_ReadTransaction):
    """The same with the end of the chain locked: nothing that is read here changes before it is written."""

    def __init__(self, connection: Connection, time: Callable[[Connection], datetime]) -> None:
        self.end = self._began_at = chain.position(connection, lock=True)
        self.written: tuple[str, ...] = ()
        # Taken after the lock is granted, so that the times of entries are in the order of the entries.
        super().__init__(connection, time(connection))

    def must_follow(self, last: ChainPosition | None) -> None:
        """Raise `LostError` if the chain, as it was when this began, does not hold `last`."""
        if last is None or last.seq == 0 or last == self._began_at:
            return
        found = self.connection.scalar(select(table.c.hash).where(table.c.seq == last.seq))
        if self._began_at.seq < last.seq or found != last.hash:
            raise LostError(
                f"The journal was replaced by another while it was in use: entry {last.seq:,} of before is not in it.",
                "Put it back, from a backup if need be, and restart: a restart uses the journal that is there then.",
            )

    def append(
        self,
        actor: Actor,
        payload: Payload,
        about: About,
        *,
        lock_key: str | None = None,
        idempotency_key: UUID | None = None,
    ) -> Entry:
        entry = chain.append(
            self.connection,
            self.end,
            self.now,
            actor,
            payload,
            about,
            lock_key=lock_key,
            idempotency_key=idempotency_key,
        )
        self.end = ChainPosition(entry.seq, entry.hash)
        self.written += (f"{entry.kind.value} of {about.action}" if about.action else entry.kind.value,)
        return entry


def _of_requests(request_ids: Iterable[UUID]) -> Select[Any]:
    wanted = [str(request_id) for request_id in request_ids]
    query = select(table).where(table.c.request_id.in_(wanted), table.c.kind.in_(_REQUEST_KINDS))
    return query.order_by(table.c.seq)


def _not_ready(request: Request) -> LockResult | None:
    if request.state is RequestState.REQUESTED:
        return None
    if request.lock_key is not None:
        return LockResult(request, LockRefusal.TAKEN, f"It was carried out already: it is {request.state}.", request)
    return LockResult(request, LockRefusal.NOT_READY, f"It cannot be carried out: it is {request.state}.")


def _the_same(earlier: Request, new: NewRequest, actor: Actor) -> Request:
    asked = (earlier.action, earlier.asked.digest, earlier.asked.arguments)
    if asked != (new.action, new.digest, new.arguments) or not same_person(earlier.requested_by, actor):
        raise ConflictError("This key belongs to a request for something else: open the action again.")
    return earlier


def _end(value: str) -> Kind | Outcome:
    return Outcome(value) if value in set(Outcome) else Kind(value)


def _request_id(entry: Entry) -> UUID:
    assert entry.about.request_id is not None  # noqa: S101 - every entry with a phase has it
    return entry.about.request_id
