"""The hops as the diagram draws them: for each, the one check that decides, and the worst of the others."""

from __future__ import annotations

from collections.abc import Mapping

from lib.model.verdict import Check, CheckStatus, Hop, HopState

# The check that has to be known for a hop to be called good.
DECISIVE: Mapping[Hop, str] = {
    Hop.VISIBILITY: "key_sees_all",
    Hop.DEMAND: "bookings_initiated",
    Hop.CODE: "serving_commit",
    Hop.ACCEPTED: "texts_follow",
    Hop.DELIVERED: "texts_arrive",
    Hop.RECORDED: "texts_recorded",
    Hop.LINK: "link_opens",
    Hop.CONFIRMED: "confirmations_book",
}
_REASON_PREFIX = "reason_"


def hops(checks: Mapping[str, Check]) -> tuple[HopState, ...]:
    """Return the state of every hop, in the order of the flow."""
    return tuple(_state(hop, checks) for hop in Hop)


def _state(hop: Hop, checks: Mapping[str, Check]) -> HopState:
    decisive = checks[DECISIVE[hop]]
    others = [check for check in checks.values() if check.hop is hop and not check.id.startswith(_REASON_PREFIX)]
    for status in (CheckStatus.FAIL, CheckStatus.WARN):
        worst = [check for check in (decisive, *others) if check.status is status]
        # A warning beside an unknown decisive check must not look like knowledge.
        if worst and not (status is CheckStatus.WARN and decisive.status is CheckStatus.CANNOT_TELL):
            return HopState(hop, status, worst[0].summary)
    return HopState(hop, decisive.status, decisive.summary)
