"""The action service: the executor, the threads that carry out what was confirmed here, and the journal's state.

A button only submits. What was submitted here is carried out in a thread of its own, because a page's run may be cut
off at any moment. What another process left behind is shown and never run again by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from lib.actions.action import Args, Preview, RefusedError
from lib.actions.executor import Executor, Order, only_operators
from lib.cache import Cache
from lib.journal.chain import ChainReport
from lib.journal.entry import Outcome
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.journal_state import JournalState, read_journal_state
from lib.journal.request import Request, RequestState
from lib.model.people import Actor
from lib.model.reading import SourceError
from lib.monitor.monitor_status import MonitorStatus, read_status

T = TypeVar("T")

log = logging.getLogger(__name__)

WORKERS = 4
# All viewers share what the journal said within this time.
SHARED_SECONDS = 1.0
# The whole chain is read to prove it, so not more often than this.
PROVEN_AGAIN_SECONDS = 60.0
# A journal that could not be read is tried again after this time: each try may take seconds, and all wait for it.
TRIED_AGAIN_SECONDS = 5.0


class ActionService:
    """Submits, carries out and looks again, for all viewers of this process. Thread-safe."""

    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.on_end: Callable[[], None] = lambda: None  # called whenever a request came to an end here
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="action")
        self._looks = ThreadPoolExecutor(WORKERS, thread_name_prefix="look")  # never behind an action that runs
        self._lock = threading.Lock()
        self._mine: set[UUID] = set()
        self._said: dict[UUID, str] = {}
        self._read = Cache(max_age=SHARED_SECONDS, errors=(JournalError,), retry_after=TRIED_AGAIN_SECONDS)
        self._proven = Cache(max_age=PROVEN_AGAIN_SECONDS, errors=(JournalError,), retry_after=TRIED_AGAIN_SECONDS)

    @property
    def journal(self) -> Journal:
        return self.executor.journal

    @property
    def clock(self) -> Callable[[], datetime]:
        return self.executor.context.clock

    def title_of(self, action: str) -> str:
        """Return what people call an action; its id, where the journal names one that is not known here."""
        known = self.executor.actions.get(action)
        return known.title if known else action

    def preview(self, action: str, args: Args) -> Preview:
        """Return what the action would do now. Raises `RefusedError` or `SourceError`."""
        return self.executor.preview(action, args)

    def soon(self, work: Callable[[], T]) -> Future[T]:
        """Begin short work beside the script that asks for it: a preview, or a submission."""
        return self._looks.submit(work)

    def submit(self, order: Order, actor: Actor) -> Request:
        """Record the order and have it carried out. Raises `RefusedError` or `JournalError`."""
        request = self.executor.submit(order, actor)
        self._begin(request, actor)
        return request

    def click(self, order: Order, actor: Actor) -> Request:
        """Submit what needs no confirmation: its preview is taken here and now. Raises as `submit` and `preview`."""
        only_operators(actor)
        return self.submit(replace(order, digest=self.preview(order.action, order.args).digest), actor)

    def approve(self, request_id: UUID, actor: Actor) -> Request:
        """Give a second person's approval, and have the request carried out. Raises as `submit`."""
        only_operators(actor)
        request = self.journal.approve(request_id, actor)
        self._begin(request, actor)
        return request

    def recheck(self, request_id: UUID, actor: Actor) -> None:
        """Have somebody look outside for what became of a request; the journal then says it."""
        only_operators(actor)
        self._pool.submit(self._recheck, request_id, actor)

    def record_observation(self, request_id: UUID, outcome: Outcome, seen: str, actor: Actor) -> Request:
        """Record what somebody saw themselves of a request whose outcome is unknown. Raises as the executor does."""
        request = self.executor.record_observation(request_id, outcome, seen, actor)
        self._said.pop(request_id, None)
        return request

    def said(self, request_id: UUID) -> str:
        """Return why the last look at a request decided nothing; empty if there was none."""
        return self._said.get(request_id, "")

    def runs_here(self, request_id: UUID) -> bool:
        """Whether this process carries the request out."""
        return request_id in self._mine

    def journal_state(self) -> JournalState:
        """Return what the journal says now; fifty viewers cost what one does. Raises `JournalError`."""
        return self._read.get("state", self._read_state)

    def _read_state(self, before: JournalState | None) -> JournalState:
        return read_journal_state(self.journal, before)

    def watched(self) -> MonitorStatus:
        """Return how the monitor stands; fifty viewers cost what one does. Raises `JournalError`."""
        return self._read.get("monitor", lambda _: read_status(self.journal, self.clock()))

    def changed(self) -> None:
        """Let the next `journal_state` and `watched` read the journal again."""
        self._read.forget("state")
        self._read.forget("monitor")

    def chain(self) -> ChainReport:
        """Return whether the journal's chain is whole. Raises `JournalError`."""
        return self._proven.get("chain", lambda _: self.journal.verify())

    def close(self) -> None:
        """Begin nothing more. What is under way goes on; if it cannot, its outcome is shown as unknown."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._looks.shutdown(wait=False, cancel_futures=True)

    def _begin(self, request: Request, actor: Actor) -> None:
        self.changed()
        with self._lock:
            if request.state is not RequestState.REQUESTED or request.id in self._mine:
                return
            self._mine.add(request.id)
        self._pool.submit(self._carry_out, request.id, actor)

    def _carry_out(self, request_id: UUID, actor: Actor) -> None:
        try:
            self.executor.carry_out(request_id, actor)
        except Exception:  # nothing else would report it: without a receipt the outcome becomes unknown
            log.exception("Request %s was left without a receipt.", request_id)
        finally:
            with self._lock:
                self._mine.discard(request_id)
            self.changed()
            self.on_end()

    def _recheck(self, request_id: UUID, actor: Actor) -> None:
        self._said[request_id] = "Looking …"
        try:
            request = self.executor.recheck(request_id, actor)
            unknown = request.state is RequestState.UNKNOWN
            self._said[request_id] = "Looked again: it cannot be told yet." if unknown else ""
        except (RefusedError, SourceError, JournalError) as error:
            self._said[request_id] = f"Could not look: {error}"
        finally:
            self.changed()
