"""The last known headlines, in the journal's database and outside of its chain.

They are shown, marked as old, in the first moments after a start, while the desk looks again. Nothing is decided by
them: they are no diagnosis, and no reading.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import delete, select

from lib.journal.chain import stored_instant
from lib.journal.engine import JournalDatabase
from lib.journal.schema import last_headlines
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.redaction import redact
from lib.settings import Settings

log = logging.getLogger(__name__)

# A sentence that is longer is cut: it is there to be read at a glance.
LONGEST_SENTENCE = 500


@dataclass(frozen=True, slots=True)
class LastHeadline:
    """What a headline said at `at` (UTC) of the window `size`: enough to read it, and nothing to act on.

    `answer` is the owner's sentence, empty where there was none. `since` and `since_at_least` are the headline's.
    """

    state: HeadlineState
    sentence: str
    answer: str
    since: datetime | None
    since_at_least: bool
    size: WindowSize
    at: datetime

    def says_the_same(self, other: LastHeadline) -> bool:
        """Whether a reader would learn nothing new from `other` but its time."""
        return replace(self, at=other.at) == other

    def for_storage(self) -> LastHeadline:
        """Return it without what must not be stored, and no longer than a glance."""
        return replace(
            self,
            sentence=redact(self.sentence)[:LONGEST_SENTENCE],
            answer=redact(self.answer)[:LONGEST_SENTENCE],
        )


_PAYLOAD: TypeAdapter[LastHeadline] = TypeAdapter(LastHeadline)


def systems_key(settings: Settings) -> str:
    """Return a digest of which systems the settings name. No key and no token goes into it.

    A sandbox has another one than live systems, whatever else they share.
    """
    named = (
        "live" if settings.sandbox_url is None else "sandbox",
        settings.sandbox_url,
        settings.supabase_url,
        settings.supabase_project_ref,
        settings.vercel_project_id,
        settings.github_repository,
        settings.twilio_account_sid,
        settings.booking_app_url,
    )
    return hashlib.sha256(json.dumps([str(name or "") for name in named]).encode()).hexdigest()


class LastHeadlines:
    """Keeps and reads the last headlines of one set of systems. Every method raises `JournalError`."""

    def __init__(self, database: JournalDatabase, systems: str) -> None:
        self._database = database
        self._systems = systems

    def keep(self, headline: LastHeadline) -> None:
        """Store `headline` in the place of the one of the same window."""
        row = {
            "systems": self._systems,
            "span": headline.size.value,
            "at": stored_instant(headline.at),
            "payload": _PAYLOAD.dump_json(headline.for_storage()).decode(),
        }
        table = last_headlines.c
        with self._database.writing() as connection:
            connection.execute(
                delete(last_headlines).where(table.systems == self._systems, table.span == headline.size.value)
            )
            connection.execute(last_headlines.insert().values(row))

    def read(self) -> Mapping[WindowSize, LastHeadline]:
        """Return the last headline of each window. One that cannot be read is left out."""
        query = select(last_headlines.c.payload).where(last_headlines.c.systems == self._systems)
        with self._database.reading() as connection:
            payloads = connection.scalars(query).all()
        found = {}
        for payload in payloads:
            try:
                headline = _PAYLOAD.validate_json(payload)
            except ValidationError:
                log.warning("A stored headline cannot be read: it is left out.")
            else:
                found[headline.size] = headline
        return found
