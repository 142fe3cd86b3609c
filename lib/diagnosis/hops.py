"""The hops as the diagram draws them: for each, the one check that decides, and the worst of the others."""

from __future__ import annotations

from collections.abc import Mapping

from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.checks import code, confirming, delivery, demand, link, recording, sending, visibility
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.checks.deployment_failure_modes import FAILURE_MODE_PREFIX
from lib.model.verdict import CheckStatus, Hop, HopState

# The check that has to be known for a hop to be called good.
DECISIVE: Mapping[Hop, CheckSpec] = {
    Hop.VISIBILITY: visibility.key_sees_all,
    Hop.DEMAND: demand.bookings_initiated,
    Hop.CODE: code.serving_commit,
    Hop.ACCEPTED: sending.texts_follow,
    Hop.DELIVERED: delivery.texts_arrive,
    Hop.RECORDED: recording.texts_recorded,
    Hop.LINK: link.link_opens,
    Hop.CONFIRMED: confirming.confirmations_book,
}


def hops(answers: Answers) -> tuple[HopState, ...]:
    """Return the state of every hop, in the order of the flow."""
    return tuple(_state(hop, answers) for hop in Hop)


def _state(hop: Hop, answers: Answers) -> HopState:
    decisive = answers[DECISIVE[hop]]
    others = [
        check
        for spec, check in answers.items()
        # The ways in which code fails to become live say why, not whether; a paused project serves nothing at all.
        if check.hop is hop and (not check.id.startswith(FAILURE_MODE_PREFIX) or spec is modes.paused)
    ]
    for status in (CheckStatus.FAIL, CheckStatus.WARN):
        worst = [check for check in (decisive, *others) if check.status is status]
        # A warning beside an unknown decisive check must not look like knowledge.
        if worst and not (status is CheckStatus.WARN and decisive.status is CheckStatus.CANNOT_TELL):
            return HopState(hop, status, worst[0].summary)
    return HopState(hop, decisive.status, decisive.summary)
