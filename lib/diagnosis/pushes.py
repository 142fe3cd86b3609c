"""What became of the push of the required commit at Vercel: was it built, refused, or never heard?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from lib.diagnosis import thresholds
from lib.diagnosis.builds import newest_first
from lib.diagnosis.facts import CannotTellError, Facts
from lib.model.deployments import RequiredCommit, VercelSigns, same_commit

_REFUSED_STATES = ("failure", "error")
# What Vercel writes of a deployment that there was. Any other failure is its word on the push itself.
_OF_A_DEPLOYMENT = re.compile(r"(?:deployment|build)\b(?!.*\blimit)|cancell?ed\b", re.IGNORECASE)
_ANOTHER_PERSON = re.compile(r"\bauthor\b|\bmember\b|must have access|authoriz", re.IGNORECASE)
_ACCOUNT = re.compile(r"\baccount\b|\bblocked\b|\bbilling\b|\bpayment\b|\blimit", re.IGNORECASE)


class PushState(StrEnum):
    """How far a push got at Vercel."""

    BUILT = "built"  # a deployment of it was begun
    REFUSED = "refused"
    RECENT = "recent"
    NOT_DUE = "not_due"  # it is not on the production branch
    UNHEARD = "unheard"
    SEEN = "seen"  # Vercel's app marked the commit, and no deployment is there
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Push:
    """What became of a push. `message` says it; `words` are Vercel's own, where it refused it."""

    state: PushState
    message: str
    words: str = ""

    @property
    def is_about_a_person(self) -> bool:
        """Whether the author, or whoever pushed, may not deploy: somebody else may."""
        return bool(_ANOTHER_PERSON.search(self.words))

    @property
    def is_about_the_account(self) -> bool:
        """Whether the account itself is refused: then no other way of building helps either."""
        return bool(_ACCOUNT.search(self.words)) and not self.is_about_a_person


def push_of_required(facts: Facts) -> Push:
    """Return what became of the required commit's push. Raises `CannotTellError`."""
    required = facts.need(facts.snapshot.required_commit)
    if any(same_commit(one.commit, required.sha) for one in facts.need(facts.snapshot.deployments)):
        return Push(PushState.BUILT, "Vercel started a deployment of it.")
    signs = facts.need(facts.snapshot.vercel_signs)
    if signs.status_state in _REFUSED_STATES and signs.status_description:
        return _failed(required, signs.status_description)
    if required.commit and facts.now - required.commit.committed_at < thresholds.PUSH_SETTLES:
        return Push(PushState.RECENT, "The push is only moments old.")
    if signs.status_state is not None or signs.has_check_suite:
        return Push(PushState.SEEN, "Vercel's GitHub app saw the commit, but there is no deployment of it.")
    return _without_signs(facts, required, signs)


def refusal(facts: Facts) -> Push | None:
    """Return the push of the required commit if Vercel refused it, as far as is known."""
    try:
        push = push_of_required(facts)
    except CannotTellError:
        return None
    return push if push.state is PushState.REFUSED else None


def _failed(required: RequiredCommit, words: str) -> Push:
    if _OF_A_DEPLOYMENT.match(words):
        return Push(PushState.UNKNOWN, f"Vercel says of the commit “{words}”, and lists no deployment of it.")
    return Push(PushState.REFUSED, f"Vercel refused the push of {required.sha[:7]}: “{words}”", words)


def _without_signs(facts: Facts, required: RequiredCommit, signs: VercelSigns) -> Push:
    if required.on_branch is False:
        return Push(PushState.NOT_DUE, "It is not on the production branch, so no build for production is due.")
    if required.on_branch is None:
        return Push(PushState.UNKNOWN, "Whether the production branch contains the commit is not known.")
    unread = [caveat.sentence for caveat in facts.snapshot.vercel_signs.caveats if caveat.subject == "commit statuses"]
    if unread or signs.has_check_suite is None:
        why = unread[0] if unread else "Whether Vercel's app checked the commit could not be read."
        raise CannotTellError(facts.snapshot.vercel_signs, why)
    if not _reaches_back(facts, required):
        return Push(PushState.UNKNOWN, "The list of deployments does not go back as far as the commit.")
    return Push(PushState.UNHEARD, "There is no sign of this commit at Vercel: no deployment, no status, no check.")


def _reaches_back(facts: Facts, required: RequiredCommit) -> bool:
    """Whether a deployment of the commit would be in the list: it holds only the newest ones."""
    listed = facts.need(facts.snapshot.deployments)
    if facts.snapshot.deployments.truncated:
        return False
    oldest = newest_first(listed)[-1:]
    return not oldest or required.commit is None or oldest[0].created_at <= required.commit.committed_at
