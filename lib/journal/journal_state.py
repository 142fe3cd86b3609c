"""The present state of the journal: the newest requests, the open incident, the freeze."""

from __future__ import annotations

from dataclasses import dataclass

from lib.journal.incident import Incident
from lib.journal.journal import Frozen, Journal
from lib.journal.request import Request, RequestState

# This many, because scheduled test bookings push the requests of people down the list.
LATEST_REQUESTS = 200

_UNDER_WAY = (RequestState.REQUESTED, RequestState.LOCKED, RequestState.STARTED)


@dataclass(frozen=True, slots=True)
class JournalState:
    """The newest requests, newest first, the newest open incident, and the freeze.

    `position` is the number of the last entry: while it is the same, results computed from the journal stay valid.
    """

    requests: tuple[Request, ...] = ()
    incident: Incident | None = None
    frozen: Frozen | None = None
    position: int = 0

    @property
    def busy(self) -> bool:
        """Whether any request is being carried out or waits to be."""
        return any(request.state in _UNDER_WAY for request in self.requests)

    @property
    def may_change_by_itself(self) -> bool:
        """Whether time alone can change it: a request can expire, or its outcome become unknown."""
        return self.busy or any(request.state is RequestState.WAITING for request in self.requests)


def read_journal_state(journal: Journal, before: JournalState | None = None) -> JournalState:
    """Read the present state; return `before` if nothing changed since. Raises `JournalError`."""
    position = journal.position().seq  # before the rest, which may be newer and never older
    if before is not None and before.position == position and not before.may_change_by_itself:
        return before
    incident = next((incident for incident in journal.incidents(limit=20) if incident.open), None)
    latest = journal.requests(limit=LATEST_REQUESTS)
    of_incident = journal.requests(incident_id=incident.id) if incident else ()
    requests = {request.id: request for request in (*latest, *of_incident)}
    newest_first = sorted(requests.values(), key=lambda request: request.requested_at, reverse=True)
    return JournalState(tuple(newest_first), incident, journal.frozen(), position)
