"""The executor: the only caller of `Action.run`. Pages and the command line submit, it carries out.

The order is what makes a button a promise: the claim is alone with its target, the world is looked at again under
it, `started` is written before the effect and the receipt after it. Who dies in between leaves `started`, which
becomes *unknown*: that is resolved by looking, never by running again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from lib.actions.action import (
    Action,
    ActionContext,
    Args,
    Effect,
    FailedError,
    Preflight,
    Preview,
    RefusedError,
    Tier,
    Verification,
    block,
    ok,
)
from lib.actions.preview_store import PreviewStore
from lib.journal.entry import Argument, Fact, Outcome, Receipt
from lib.journal.errors import ConflictError, JournalError, LostError
from lib.journal.journal import TWO_PEOPLE, Journal
from lib.journal.request import HEARTBEAT_EVERY, LockRefusal, LockResult, NewRequest, Request, RequestState
from lib.journal.text_rules import tidy
from lib.model.people import NO_LOGIN, Actor, Role
from lib.model.reading import SourceError
from lib.sources.http import OutcomeUnknownError

log = logging.getLogger(__name__)

# How long the last checks may take while the target is held.
RECHECK_WITHIN = timedelta(minutes=1)
_POLL_SECONDS = 2.0
# After how many seconds a receipt that could not be written is tried again: for two minutes, beside what each attempt
# waits for another writer.
_RECEIPT_AGAIN_AFTER = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 30.0, 30.0)
_LONGEST_REASON = 500
_ENOUGH_REQUESTS = 10_000
_ONLY_LOOKED = "It only reads, so it left nothing behind; its result is not known. Run it again if it is still needed."


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants done, bound by `digest` to the preview they saw."""

    action: str
    args: Args
    digest: str
    phrase: str = ""
    reason: str = ""
    idempotency_key: UUID = field(default_factory=uuid4)
    incident_id: UUID | None = None
    step_id: str | None = None


def only_operators(actor: Actor) -> None:
    """Raise `RefusedError` for everybody else."""
    if actor.role is not Role.OPERATOR:
        raise RefusedError("Viewers can look but not act: ask an operator.")


@dataclass
class Executor:
    """Submits and carries out requests. Safe to share between threads; other processes share the journal."""

    journal: Journal
    context: ActionContext
    actions: Mapping[str, Action]
    previews: PreviewStore
    sleep: Callable[[float], None] = time.sleep

    def preview(self, action_id: str, args: Args) -> Preview:
        """Return what the action would do now. Raises `RefusedError`, or `SourceError` if a source is silent."""
        preview = self._preview(self._action(action_id), args)
        self.previews.keep(preview)
        return preview

    def submit(self, order: Order, actor: Actor) -> Request:
        """Record the request, or its refusal. Raises `RefusedError` for somebody who may not act at all.

        What is in the journal can be approved and carried out, so it gets there with phrase and reason agreed, or
        together with its refusal: whoever dies in between leaves nothing.
        """
        only_operators(actor)
        action = self._action(order.action)
        new = NewRequest(
            action=action.id,
            tier=int(action.tier),
            target=self._seen_target(order),
            digest=order.digest,
            idempotency_key=order.idempotency_key,
            arguments=tuple(Argument(name, value) for name, value in sorted(order.args.items())),
            summary=action.title,
            reason=order.reason[:_LONGEST_REASON],
            needs_approval=action.tier is Tier.TYPED_PHRASE and self.context.settings.require_second_person,
            incident_id=order.incident_id,
            step_id=order.step_id,
        )
        if earlier := self.journal.submitted(new, actor):
            return earlier  # the same order again: its first request stands
        try:
            if new.needs_approval and actor.name == NO_LOGIN:
                raise RefusedError(f"This needs a second person, and without a login there is only one. {TWO_PEOPLE}")
            self._agree(order, self._preview(action, order.args))
        except (RefusedError, SourceError) as error:
            return self.journal.submit_request(new, actor, refused=_message(error))
        return self.journal.submit_request(new, actor)

    def carry_out(self, request_id: UUID, actor: Actor) -> Request:
        """Do what was requested, once, and return the request with its receipt or the reason why not.

        Raises `RefusedError` for somebody who may not act at all, and `JournalError` only if nothing was done: once it
        is started, a journal that cannot be written makes the outcome unknown.
        """
        only_operators(actor)
        self.journal.write_kept_receipts()  # one of them may end what holds the target
        request = self.journal.request(request_id)
        action = self._action(request.action)
        args = {argument.name: argument.value for argument in request.asked.arguments}
        if request.state is not RequestState.REQUESTED:
            return request
        lock = action.lock(self.context, args)
        lock_result = self.journal.lock(request.id, lock, actor, hold_for=RECHECK_WITHIN, cool_down=action.cooldown)
        if lock_result.refusal is LockRefusal.TAKEN:
            return lock_result.request  # another click carries it out: to refuse it here would stop that one
        if not lock_result.granted:
            return self._refuse(lock_result.request, _why_not(lock_result), actor)
        try:
            preview = self._preview(action, args)
            self._still_the_same(request.asked.digest, preview)
        except (RefusedError, SourceError) as error:
            return self._refuse(request, _message(error), actor)
        with self._heartbeats(request.id):
            lock_result = self.journal.start(request.id, actor, action.timeout + action.settles_within)
            if not lock_result.granted:
                return self._refuse(lock_result.request, _why_not(lock_result), actor)
            return self._run(action, lock_result.request, preview, args, actor)

    def recheck(self, request_id: UUID, actor: Actor) -> Request:
        """Resolve an unknown outcome by looking outside, if what is to be seen there decides it.

        Raises `RefusedError` for somebody who may not act at all.
        """
        only_operators(actor)
        request = self.journal.request(request_id)
        if request.state is not RequestState.UNKNOWN:
            return request
        action = self._action(request.action)
        if action.leaves_nothing:
            return self._resolve(request, Outcome.FAILED, _ONLY_LOOKED, actor)
        args = {argument.name: argument.value for argument in request.asked.arguments}
        since = request.started_at or request.requested_at
        # The target as it was before the effect tells what came of it; that of today may hold the effect already.
        kept = self.previews.find(request.asked.digest)
        target = kept or action.not_previewed(action.resolve(self.context, args))
        effect = action.find(self.context, target, args, str(request.id), since)
        if effect is None:
            return request
        verification = action.verify(self.context, target, args, effect)
        if verification.agreed is None:
            return request
        outcome = Outcome.SUCCEEDED if verification.agreed else Outcome.FAILED
        return self._resolve(request, outcome, f"{effect.message} {verification.message}", actor)

    def record_observation(self, request_id: UUID, outcome: Outcome, verification: str, actor: Actor) -> Request:
        """Resolve an unknown outcome by what an operator saw: the desk cannot look everywhere.

        Raises `RefusedError` for somebody who may not act at all, and `JournalError` without words, or if the
        outcome is not unknown.
        """
        only_operators(actor)
        return self.journal.resolve(request_id, outcome, verification, actor)

    def _resolve(self, request: Request, outcome: Outcome, verification: str, actor: Actor) -> Request:
        try:
            return self.journal.resolve(request.id, outcome, verification, actor)
        except ConflictError:
            return self.journal.request(request.id)  # somebody else looked, and said so first

    def _preview(self, action: Action, args: Args) -> Preview:
        """Return the action's own preview, with what the journal says of its limit."""
        preview = action.preview(self.context, args)
        if action.per_hour is None:
            return preview
        return replace(preview, preflight=(*preview.preflight, *self._limits(action, action.per_hour, args)))

    def _limits(self, action: Action, per_hour: int, args: Args) -> Iterator[Preflight]:
        """Say what was done within the hour, by this action and those that count with it, and what may still be."""
        now = self.journal.time()
        done: list[tuple[datetime, str]] = []
        for request in self.journal.requests(since=now - timedelta(hours=1), limit=_ENOUGH_REQUESTS):
            if request.action in (action.id, *action.counted_with) and request.started_at is not None:
                given = {argument.name: argument.value for argument in request.asked.arguments}
                done += [(request.started_at, effect) for effect in self._action(request.action).counted_effects(given)]
        wanted = action.counted_effects(args)
        if len(done) + len(wanted) > per_hour:
            more = f"; {len(wanted)} more would be too many" if len(wanted) > 1 else ""
            yield block("hourly", f"It was done {len(done)} times within the hour{more}: the limit is {per_hour}.")
        else:
            yield ok("hourly", f"It was done {len(done)} times within the hour, of {per_hour} that may be.")
        recent = {effect for at, effect in done if at + action.pause > now}
        if again := recent.intersection(wanted):
            wait = f"{action.pause.total_seconds() / 60:.0f} minutes"
            yield block(
                "pause", f"For {len(again)} of {len(wanted)} this was done less than {wait} ago: wait a little."
            )

    @contextmanager
    def _heartbeats(self, request_id: UUID) -> Iterator[None]:
        """Beat while the request is carried out, so that others soon see it if this process dies."""
        over = threading.Event()

        def heartbeat() -> None:
            while not over.wait(HEARTBEAT_EVERY.total_seconds()):
                try:
                    self.journal.heartbeat(request_id)
                except JournalError as error:
                    log.warning("The heartbeat of request %s could not be written: %s", request_id, error)

        self.journal.heartbeat(request_id)
        beating = threading.Thread(target=heartbeat, name="beat", daemon=True)
        beating.start()
        try:
            yield
        finally:
            over.set()
            beating.join()

    def _run(self, action: Action, request: Request, preview: Preview, args: Args, actor: Actor) -> Request:
        target = preview.target

        def report(message: str) -> None:
            try:
                self.journal.progress(request.id, actor, message)
            except JournalError as error:  # what is half done must go on: the receipt says how it ended
                log.warning("The progress of request %s could not be saved: %s", request.id, error)

        started = self.context.clock()
        try:
            effect = action.run(self.context, target, args, str(request.id), report)
        except OutcomeUnknownError as error:
            report(error.failure.sentence)
            found = None if action.leaves_nothing else self._find(action, preview, args, request, started)
            if found is None:
                return self._finish(request, Receipt(_outcome(action, None), _message(error)), actor)
            effect = found
        except (RefusedError, FailedError, SourceError) as error:
            return self._finish(request, _failure(action, preview, error), actor)
        report(effect.message)
        verification = self._verify(action, preview, args, effect, report)
        receipt = Receipt(
            outcome=_outcome(action, verification.agreed),
            message=f"{effect.message} {verification.message}",
            before=_facts(preview, effect.before),
            after=(Fact(preview.title, effect.after),),
            verified=verification.agreed,
            evidence=(verification.message,),
            external_id=effect.found_by,
        )
        return self._finish(request, receipt, actor)

    def _finish(self, request: Request, receipt: Receipt, actor: Actor) -> Request:
        """Write the receipt, trying for minutes. One that cannot be written is kept beside the journal meanwhile."""
        kept = why = ""
        for pause in (*_RECEIPT_AGAIN_AFTER, None):
            try:
                finished = self._write_receipt(request, receipt, actor)
            except JournalError as error:
                why = str(error)
                log.warning("The receipt of request %s could not be written: %s", request.id, why)
                kept = kept or self._keep(request, receipt, actor)
                if pause is None or isinstance(
                    error, LostError
                ):  # a file that was deleted does not come back by itself
                    break
                self.sleep(pause)
            else:
                self.journal.forget_kept_receipt(request.id)
                return finished
        message = f"{tidy(receipt.message)} The journal could not be written: {why} {kept}"
        return replace(request, state=RequestState.UNKNOWN, message=message, deadline=None)

    def _write_receipt(self, request: Request, receipt: Receipt, actor: Actor) -> Request:
        try:
            return self.journal.finish(request.id, receipt, actor)
        except ConflictError:  # an attempt whose answer was lost has written it, or another process the one kept
            return self.journal.request(request.id)

    def _keep(self, request: Request, receipt: Receipt, actor: Actor) -> str:
        """Keep the receipt beside the journal; return a sentence that says where it is, or that it is nowhere."""
        try:
            path = self.journal.keep_receipt(request.id, receipt, actor)
        except (OSError, JournalError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            log.error("The receipt of request %s could not be kept either: %s", request.id, why)
            return f"Its receipt could not be saved on this machine either: {why}."
        return f"Its receipt is kept in {path} until the journal can be written."

    def _find(self, action: Action, preview: Preview, args: Args, request: Request, since: datetime) -> Effect | None:
        """Look for the trace of an effect whose answer was lost. The other side's lists may lag a little."""
        for _ in range(3):
            try:
                if found := action.find(self.context, preview.target, args, str(request.id), since):
                    return found
            except SourceError:
                pass  # it is the next look that counts; in the end the outcome stays unknown
            self.sleep(_POLL_SECONDS)
        return None

    def _verify(
        self, action: Action, preview: Preview, args: Args, effect: Effect, report: Callable[[str], None]
    ) -> Verification:
        """Look until the sources agree, disagree, or the time is over."""
        end = self.context.clock() + action.settles_within
        verification = Verification(None, "Nothing to see yet.")
        last = ""
        while True:
            try:
                verification = action.verify(self.context, preview.target, args, effect)
            except SourceError as error:
                verification = Verification(None, error.failure.sentence)
            if verification.agreed is not None or self.context.clock() >= end:
                return verification
            if verification.message != last:
                report(verification.message)
                last = verification.message
            self.sleep(_POLL_SECONDS)

    def _agree(self, order: Order, now: Preview) -> None:
        """Hold what was confirmed against what would be done now. Raises `RefusedError`."""
        self._still_the_same(order.digest, now)
        if now.phrase is not None and order.phrase.strip() != now.phrase:
            raise RefusedError(f"To confirm, type exactly: {now.phrase}")
        if now.tier is Tier.TYPED_PHRASE and not tidy(order.reason):
            raise RefusedError("This needs a reason.")

    def _still_the_same(self, digest: str, now: Preview) -> None:
        if now.digest != digest:
            raise self._another(digest, now)
        if now.blocked:
            raise RefusedError(" ".join(check.message for check in now.preflight if check.status.value == "block"))

    def _another(self, digest: str, now: Preview) -> RefusedError:
        """Say what has moved since the preview with this digest, as far as that is known here."""
        verification = self.previews.find(digest)
        moved = verification.difference(now.target) if verification else ()
        message = "; ".join(moved) if moved else f"now it would be: {'; '.join(now.calls)}"
        if verification is None:
            lead = "No preview with this digest is kept here, so what has changed since cannot be told"
            return RefusedError(f"{lead}; {message}. Open a new preview.")
        return RefusedError(f"Something changed since the preview: {message}. Open a new preview.", moved)

    def _refuse(self, request: Request, message: str, actor: Actor) -> Request:
        try:
            return self.journal.refuse(request.id, message, actor)
        except ConflictError:
            return self.journal.request(request.id)  # it went on elsewhere, or was cancelled meanwhile

    def _seen_target(self, order: Order) -> str:
        verification = self.previews.find(order.digest)
        return verification.name if verification else "not previewed here"

    def _action(self, action_id: str) -> Action:
        try:
            return self.actions[action_id]
        except KeyError:
            raise RefusedError(f"There is no action {action_id}. There are: {', '.join(self.actions)}.") from None


def _facts(preview: Preview, before: str = "") -> tuple[Fact, ...]:
    stated = (Fact("before", before),) if before else ()
    return (*stated, *(Fact(name, value) for name, value in preview.target.facts))


def _why_not(lock_result: LockResult) -> str:
    """Say who is in the way. The journal takes addresses out of texts, so staff go by the name before the @."""
    if lock_result.refusal is LockRefusal.BUSY and lock_result.held_by is not None:
        who = lock_result.held_by.requested_by.name.partition("@")[0]
        return (
            f"{who} is running {lock_result.held_by.action} on the same target: see request {lock_result.held_by.id}."
        )
    return lock_result.message


def _outcome(action: Action, agreed: bool | None) -> Outcome:
    if agreed is None:
        return Outcome.FAILED if action.leaves_nothing else Outcome.UNKNOWN
    return Outcome.SUCCEEDED if agreed else Outcome.FAILED


def _failure(action: Action, preview: Preview, error: RefusedError | FailedError | SourceError) -> Receipt:
    """Return the receipt of what did not come to its end, and say that nothing was changed only where that is so."""
    if isinstance(error, FailedError):
        after = (Fact(preview.title, error.after),) if error.after else ()
        return Receipt(Outcome.FAILED, str(error), before=_facts(preview), after=after)
    message = _message(error) if action.leaves_nothing else f"{_message(error)} Nothing was changed."
    return Receipt(Outcome.FAILED, message, before=_facts(preview))


def _message(error: RefusedError | SourceError) -> str:
    return f"{error.failure.sentence} {error.failure.hint}".strip() if isinstance(error, SourceError) else str(error)
