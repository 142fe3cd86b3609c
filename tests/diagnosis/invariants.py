"""What no two answers of one diagnosis may say of the same facts, whatever the snapshot."""

from __future__ import annotations

from collections.abc import Iterator

from lib.affected import AffectedReason, affected
from lib.diagnosis.checks import code, delivery, demand, sending
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.facts import CannotTellError
from lib.diagnosis.journeys import Sending
from lib.diagnosis.tasks import tasks
from lib.model.verdict import CheckStatus, HeadlineState, Hop, Verdict
from lib.settings import Settings

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
SURE = (Verdict.CONFIRMED, Verdict.LIKELY)
OPEN = (*SURE, Verdict.POSSIBLE)


def contradictions(diagnosis: Diagnosis) -> Iterator[str]:
    """Yield each pair of answers that cannot both be true."""
    yield from _headline(diagnosis)
    yield from _hypotheses(diagnosis)
    yield from _people(diagnosis)
    yield from _plan(diagnosis)


def _headline(diagnosis: Diagnosis) -> Iterator[str]:
    head = diagnosis.headline
    hops = {state.hop: state.status for state in diagnosis.hops}
    if head.state is HeadlineState.FLOWING:
        yield from (f"flowing over a red hop: {hop}" for hop, status in hops.items() if status is FAIL)
        yield from (f"flowing over a red tile: {tile.id}" for tile in diagnosis.tiles if tile.status is FAIL)
    troubled = head.state in (HeadlineState.BROKEN, HeadlineState.DEGRADED)
    if troubled and (head.hop is None or hops[head.hop] not in (FAIL, WARN)):
        yield f"{head.state} at {head.hop}, and that hop is {head.hop and hops[head.hop]}"
    if head.state is HeadlineState.BROKEN and head.hop and hops[head.hop] is not FAIL:
        yield f"broken at {head.hop}, which is {hops[head.hop]}"
    if head.state is HeadlineState.NO_TRAFFIC and diagnosis.check(demand.demand_seen).status is OK:
        yield "no traffic, and demand was seen"
    if head.state is not HeadlineState.CANNOT_TELL and hops[Hop.VISIBILITY] is FAIL:
        yield f"{head.state} by a desk that cannot see"
    follow = diagnosis.check(sending.texts_follow).status
    if "Texts are not sent" in head.sentence and follow is OK:
        yield "texts are not sent, and one follows each booking"
    if head.sentence.startswith("Texts are flowing") and follow is not OK:
        yield "texts are flowing, and none is known to follow"


def _hypotheses(diagnosis: Diagnosis) -> Iterator[str]:
    verdicts = {one.id: one.verdict for one in diagnosis.hypotheses}
    follow = diagnosis.check(sending.texts_follow).status
    if verdicts["provider_unconfigured"] in SURE and follow is not FAIL:
        yield "the app cannot send, and texts follow bookings"
    if verdicts["no_demand"] in OPEN and diagnosis.check(demand.demand_seen).status is OK:
        yield "nobody asked, and demand was seen"
    if (
        verdicts["sent_not_recorded"] in SURE
        and diagnosis.check(delivery.texts_arrive).status is CheckStatus.NOT_APPLICABLE
    ):
        outbound = diagnosis.facts.outbound
        if outbound is None or outbound.empty:
            yield "texts go out unrecorded, and there is none"
    for one in diagnosis.hypotheses:
        if one.verdict in SURE and not one.supports:
            yield f"{one.id} is {one.verdict} and nothing supports it"
        if one.verdict is Verdict.RULED_OUT and not one.refutes:
            yield f"{one.id} is ruled out and nothing refutes it"
        if one.verdict is Verdict.CONFIRMED and diagnosis.headline.state is HeadlineState.FLOWING:
            yield f"flowing, and {one.id} is confirmed"


def _people(diagnosis: Diagnosis) -> Iterator[str]:
    try:
        found = affected(diagnosis.facts)
        journeys = diagnosis.facts.need_journeys(diagnosis.facts.snapshot.texts)
    except CannotTellError:
        return
    ids = {booking for person in found.people if person.why is AffectedReason.NO_TEXT for booking in person.booking_ids}
    got = set(journeys.loc[journeys["sending"].isin([Sending.ACCEPTED, Sending.UNCERTAIN, Sending.TOO_SOON]), "id"])
    mixed = {booking for person in found.people for booking in person.booking_ids if len(person.booking_ids) > 1}
    if not journeys["id"].is_unique:
        return  # no database has that; a random one may
    yield from (f"{booking} got no text, and Twilio may hold one" for booking in (ids & got) - mixed)
    nobody_known = not found.people and not found.unknown and not found.at_least
    if nobody_known and diagnosis.check(sending.texts_follow).status is FAIL and _customers(diagnosis):
        yield "no text follows, and nobody is affected"


def _customers(diagnosis: Diagnosis) -> bool:
    """Whether any booking without a text is a customer's that has not booked since."""
    journeys = diagnosis.facts.of_customers(diagnosis.facts.need_journeys())
    waiting = journeys["confirmed_at"].isna() & journeys["booking_id"].isna()
    return bool((waiting & (journeys["sending"] == Sending.MISSING)).any())


def _plan(diagnosis: Diagnosis) -> Iterator[str]:
    verdicts = {one.id: one.verdict for one in diagnosis.hypotheses}
    for task in tasks(diagnosis, Settings()):
        # A variable that the live build lacks is a fault of its own, also where texts do not need it.
        is_a_variable = task.id in ("set_variables", "redeploy") and diagnosis.check(code.required_env).status is FAIL
        if verdicts[task.cause] is Verdict.RULED_OUT and not is_a_variable:
            yield f"task {task.id} against {task.cause}, which is ruled out"
    # To wait until a move of the hostnames has ended cures nothing.
    due = [task.id for task in tasks(diagnosis, Settings()) if task.id != "await_move"]
    if diagnosis.headline.state is HeadlineState.FLOWING and due:
        yield f"flowing, and there is something to do: {due}"
