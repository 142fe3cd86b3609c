"""Nobody asked to book, so there was nothing to text."""

from __future__ import annotations

from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import demand
from lib.diagnosis.hypothesis_api import HypothesisSpec, decided_by
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def judge(statuses: Statuses) -> Verdict:
    if statuses[demand.demand_seen] in (CheckStatus.OK, CheckStatus.CANNOT_TELL):
        return decided_by(demand.demand_seen)(statuses)
    others = (statuses[demand.api_key_active], statuses[demand.front_door], statuses[demand.api_answers])
    # A key that is refused, or an app that is down, looks the same from here.
    could_be_another = CheckStatus.FAIL in others or CheckStatus.CANNOT_TELL in others
    unusual = statuses[demand.bookings_initiated] is CheckStatus.WARN
    return Verdict.POSSIBLE if could_be_another or unusual else Verdict.LIKELY


SPEC = HypothesisSpec(
    id="no_demand",
    depth=160,
    title="Nobody asked to book",
    for_owner="There is nothing to text: nobody asked to book.",
    remedy=Remedy("Nothing to fix; a test booking shows whether the flow works.", "test_booking"),
    explains=frozenset({Hop.DEMAND}),
    judge=judge,
    checks=(demand.demand_seen, demand.bookings_initiated),
    rest=(demand.api_key_active, demand.front_door),
    is_absence=True,
    runbook="""
Silence is normal for small places; Switchboard says how unusual it is.

- Do: nothing, or one test booking if you want to be sure.
""",
)
