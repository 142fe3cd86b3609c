"""What follows from a snapshot, worked out once and shared by checks, pages and the command line.

A fact is None when a reading that it rests on cannot be used: unknown is never zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cached_property
from typing import Any, TypeVar

import pandas as pd

from lib.diagnosis import code_findings, text_log, usual_demand
from lib.diagnosis import contract as contract_
from lib.diagnosis import journeys as journeys_
from lib.diagnosis import serving as serving_
from lib.diagnosis import timeline as timeline_
from lib.diagnosis.code_findings import CodeFindings
from lib.diagnosis.columns import isin
from lib.diagnosis.contract import Breach
from lib.diagnosis.journeys import JourneyInputs, Stage
from lib.diagnosis.running_code import RunningCode, running_code
from lib.diagnosis.serving import Serving
from lib.diagnosis.text_log import Spending
from lib.diagnosis.timeline import Mark, MarkKind, Series
from lib.formatting import counted
from lib.model.counts import Counts
from lib.model.phone import NOBODYS_NUMBER
from lib.model.reading import CaveatKind, Freshness, Reading
from lib.model.served_code import BOOKING_ADDRESSES, Schema
from lib.served_code import live_schema
from lib.settings import Settings
from lib.snapshot import Snapshot

T = TypeVar("T")

# Vercel's word in its activity for a rollback.
ROLLBACK_EVENT = "instant-rollback-created"


class CannotTellError(Exception):
    """A question needs a reading that cannot be used. `reading` is the one, `str()` the sentence why."""

    def __init__(self, reading: Reading[Any], sentence: str) -> None:
        super().__init__(sentence)
        self.reading = reading


@dataclass(frozen=True)
class Terms:
    """What the business set: its time zone, for times in sentences, and the variables its app needs.

    `addresses` are those of its app that a booking passes. `own_numbers` are phones of the business itself, in E.164: a
    booking for one of them is a test, and no business.
    """

    zone: tzinfo = UTC
    required_env_names: tuple[str, ...] = ()
    own_numbers: frozenset[str] = field(default=frozenset(), repr=False)
    addresses: tuple[str, ...] = BOOKING_ADDRESSES

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """Return the terms that the settings hold."""
        return cls(settings.zone, settings.required_env_names, settings.own_numbers, settings.served_code_addresses)


@dataclass(frozen=True)
class Facts:
    """The facts of one snapshot as of `now` (UTC)."""

    snapshot: Snapshot
    now: datetime
    terms: Terms = Terms()

    def value(self, reading: Reading[T]) -> T | None:
        """Return the value of `reading` if a verdict may rest on it."""
        return reading.value if reading.usable(self.now) else None

    def need(self, reading: Reading[T]) -> T:
        """Return the value of `reading`. Raises `CannotTellError` where a verdict may not rest on it."""
        value = self.value(reading)
        if value is None and not (reading.usable(self.now) and reading.failure is None):
            raise CannotTellError(reading, self.why_unusable(reading))
        return value  # type: ignore[return-value]  # a usable reading of an optional value may hold None

    def need_complete(self, reading: Reading[T]) -> T:
        """Return the value of `reading`. Raises `CannotTellError` also where part of it is known to be missing."""
        value = self.need(reading)
        if reading.truncated:
            raise CannotTellError(reading, " ".join(caveat.sentence for caveat in reading.caveats))
        return value

    def need_rows(self, reading: Reading[pd.DataFrame]) -> pd.DataFrame:
        """Return a table of the booking data. Raises `CannotTellError` also where our key may be blind to it."""
        frame = self.need(reading)
        if self.blind is not False:
            raise CannotTellError(
                self.snapshot.visibility,
                "Our key may not see every row: an empty table proves nothing."
                if self.blind
                else f"Whether our key sees every row is unknown. {self.why_unusable(self.snapshot.visibility)}",
            )
        # Rows that could not be read were there: what is left of them is no empty table.
        return self.need_complete(reading) if frame.empty else frame

    def need_journeys(self, *readings: Reading[pd.DataFrame]) -> pd.DataFrame:
        """Return the journeys. Raises `CannotTellError` without the bookings, or without one of `readings`."""
        for reading in readings:
            self.need(reading)
        pending = self.need_rows(self.snapshot.pending_bookings)
        return pending if self.journeys is None else self.journeys

    def need_texts(self) -> pd.DataFrame:
        """Return Twilio's log. Raises `CannotTellError` where it is unread, or the log of another account."""
        texts = self.need(self.snapshot.texts)
        if self.is_foreign_log:
            raise CannotTellError(
                self.snapshot.texts,
                f"The database holds {counted(len(self.claimed_sids), 'text')} that this Twilio account does not know, "
                "and none that it does: probably it is another account.",
            )
        return texts

    def need_outbound(self) -> pd.DataFrame:
        """Return the outbound texts, reconciled. Raises `CannotTellError` without the log of our Twilio account."""
        texts = self.need_texts()
        return texts if self.outbound is None else self.outbound

    def why_unusable(self, reading: Reading[Any]) -> str:
        """Return the sentence why a verdict may not rest on `reading`."""
        if reading.failure is not None:
            return reading.failure.sentence
        return f"The last answer is from {self.clock(reading.observed_at)}: too old to rely on."

    def clock(self, instant: datetime) -> str:
        """Return `instant` as people at the business read it: the time, with the day if it is not today."""
        local, today = instant.astimezone(self.terms.zone), self.now.astimezone(self.terms.zone)
        return f"{local:%H:%M}" if local.date() == today.date() else f"{local:%a %d %b %H:%M}"

    def complete(self, *readings: Reading[Any]) -> bool:
        """Whether what is not in `readings` is not there at all."""
        return all(reading.usable(self.now) and not reading.truncated for reading in readings)

    @cached_property
    def blind(self) -> bool | None:
        """Whether row level security hides rows from our key: then an empty table proves nothing."""
        visibility = self.value(self.snapshot.visibility)
        return None if visibility is None else not visibility.sees_everything

    def rows(self, reading: Reading[pd.DataFrame] | Reading[pd.DataFrame | None]) -> pd.DataFrame | None:
        """Return a table of the booking data, or None if it is unread or our key may be blind to its rows."""
        return reading.value if self.blind is False and reading.usable(self.now) else None

    def of_customers(self, frame: pd.DataFrame, column: str = "mobile_number") -> pd.DataFrame:
        """Return the rows that are business: without test bookings, and texts, for phones of the business itself."""
        return frame[~frame[column].isin(self.terms.own_numbers)]

    @cached_property
    def pending(self) -> pd.DataFrame | None:
        """The bookings, without those for nobody's number: what becomes of their text says nothing of the flow."""
        pending = self.rows(self.snapshot.pending_bookings)
        return None if pending is None else _somebodys(pending, "mobile_number")

    @cached_property
    def messages(self) -> pd.DataFrame | None:
        return self.rows(self.snapshot.messages)

    @cached_property
    def metadata_readable(self) -> bool:
        """Whether the stored SMS of a booking can be read at all (the column exists)."""
        return self.pending is not None and not any(
            caveat.kind is CaveatKind.MISSING_COLUMN and caveat.subject == "pending_bookings.metadata"
            for caveat in self.snapshot.pending_bookings.caveats
        )

    @cached_property
    def journeys(self) -> pd.DataFrame | None:
        """One row per initiated booking with what became of it; None without the bookings."""
        if self.pending is None:
            return None
        texts, known = self.value(self.snapshot.texts), self.value(self.snapshot.known_texts)
        if texts is not None and known is not None and len(known):
            texts = pd.concat([texts, known[~isin(known["sid"], texts["sid"])]], ignore_index=True)
        inputs = JourneyInputs(
            pending_bookings=self.pending,
            texts=texts,
            short_links=self.rows(self.snapshot.short_links),
            messages=self.messages,
            customers=self.rows(self.snapshot.customers),
            reconciled=self.rows(self.snapshot.reconciled),
            alerts=self.value(self.snapshot.alerts),
            begins=self.snapshot.rows_since,
            texts_complete=self.complete(self.snapshot.texts),
            messages_complete=self.complete(self.snapshot.messages),
        )
        return journeys_.journeys(inputs, self.now)

    @cached_property
    def counts(self) -> Counts | None:
        """What the database counted over the whole window; None if it did not, or our key may be blind to rows."""
        return None if self.blind is not False else self.value(self.snapshot.counts)

    def need_counts(self) -> Counts:
        """Return what the database counted over the whole window. Raises `CannotTellError` if it did not."""
        counts = self.need(self.snapshot.counts)
        if counts is None or self.blind is not False:
            raise CannotTellError(self.snapshot.counts, "There are too many rows to read, and no counts of them.")
        return counts

    @cached_property
    def initiated(self) -> int:
        """How many bookings were initiated in the window. Raises `CannotTellError` where that is unknown."""
        pending = self.need_rows(self.snapshot.pending_bookings)
        return self.need_counts().total("initiated") if self.snapshot.cut else len(self.of_customers(pending))

    @cached_property
    def stages(self) -> dict[Stage, int | None] | None:
        """How many bookings of the window reached each stage of the flow; of `least_stages` at least so many."""
        if self.snapshot.cut:
            return None if self.counts is None else journeys_.counted_stages(self.counts)
        return None if self.journeys is None else journeys_.stage_counts(self.of_customers(self.journeys))

    @cached_property
    def first_row_at(self) -> datetime | None:
        """When the oldest of the bookings and texts that were read was made; None without any."""
        frames = [
            frame for frame in (self.pending, self.value(self.snapshot.texts)) if frame is not None and len(frame)
        ]
        # The later of the two: a run of misses that lasts since the first booking may be older than the first text.
        return max((frame["created_at"].min().to_pydatetime() for frame in frames), default=None)

    @property
    def least_stages(self) -> frozenset[Stage]:
        """The stages of which only a least number is known, where the database counted instead of the desk."""
        return journeys_.AT_LEAST if self.snapshot.cut else frozenset()

    @cached_property
    def outbound(self) -> pd.DataFrame | None:
        """Twilio's outbound texts with delivery and recording, but for nobody's; None without Twilio's log."""
        texts = self.value(self.snapshot.texts)
        if texts is None:
            return None
        texts = _somebodys(texts, "to_number")
        return text_log.reconciled(
            texts,
            self.messages,
            self.pending,
            self.now,
            begins=self.snapshot.rows_since,
            complete=self.complete(self.snapshot.messages, self.snapshot.pending_bookings),
            asked=self.rows(self.snapshot.reconciled),
        )

    @cached_property
    def over_sent(self) -> pd.DataFrame:
        """The numbers that got too many texts, and how many. Raises `CannotTellError` without Twilio's log."""
        return text_log.over_sent(self.need_outbound())

    @cached_property
    def unknown_to_twilio(self) -> pd.Series | None:
        """The SIDs that the database claims and Twilio denies; None unless all three sides were read."""
        texts, known = self.value(self.snapshot.texts), self.value(self.snapshot.known_texts)
        if texts is None or known is None or self.messages is None or self.snapshot.texts.truncated:
            return None
        claimed = text_log.unknown_to_twilio(self.messages, texts, known, self.pending)
        # Of these Twilio was not asked, or did not answer.
        return claimed[~claimed.isin([caveat.subject for caveat in self.snapshot.known_texts.caveats])]

    @cached_property
    def claimed_sids(self) -> pd.Series:
        """The SIDs of Twilio's that the database holds of texts in the window, as far as it was read."""
        claims = [] if self.messages is None else [self.messages.loc[self.messages["direction"] == "outbound"]]
        sids = [frame["message_sid"] for frame in claims] + ([] if self.pending is None else [self.pending["sms_sid"]])
        claimed = pd.concat(sids).dropna().drop_duplicates() if sids else pd.Series(dtype="str")
        return claimed[claimed.astype(str).str.startswith(("SM", "MM"))]

    @cached_property
    def is_foreign_log(self) -> bool:
        """Whether Twilio's log is of another account than our texts: it knows none of those that the database holds."""
        texts, known = self.value(self.snapshot.texts), self.value(self.snapshot.known_texts)
        unknown = self.unknown_to_twilio
        if texts is None or known is None or unknown is None or unknown.empty:
            return False
        return not bool(isin(self.claimed_sids, pd.concat([texts["sid"], known["sid"]])).any())

    @cached_property
    def spending(self) -> Spending | None:
        if self.outbound is None:
            return None
        days = (self.snapshot.window.end - self.snapshot.rows_since) / timedelta(days=1)
        return text_log.spending(self.outbound, self.value(self.snapshot.balance), days)

    @cached_property
    def servings(self) -> tuple[Serving, ...] | None:
        """What each production hostname serves against the required commit; None without Vercel's answer."""
        hostnames = self.value(self.snapshot.hostnames)
        comparisons = self.value(self.snapshot.comparisons)
        if hostnames is None:
            return None
        return serving_.serving(
            hostnames,
            self.value(self.snapshot.required_commit),
            self.value(self.snapshot.branch),
            comparisons or (),
        )

    @cached_property
    def live_ids(self) -> frozenset[str]:
        """The ids of the deployments that production hostnames serve, as far as that is known."""
        hostnames = self.value(self.snapshot.hostnames) or ()
        return frozenset(host.deployment.id for host in hostnames if host.deployment and not host.redirect_to)

    @cached_property
    def usual_demand(self) -> float | None:
        """How many bookings are usual in a window like this, by the same hours of earlier days or weeks."""
        history = self.rows(self.snapshot.demand_history)
        if history is None or not self.complete(self.snapshot.demand_history):
            return None
        return usual_demand.usual(history["created_at"], self.snapshot.window, self.terms.zone, history["initiated"])

    @cached_property
    def schema(self) -> Schema | None:
        """What code is held against: the live schema, else what the catalog says of it; None if neither was read."""
        schema = self.value(self.snapshot.live_schema)
        if schema is not None:
            return schema
        catalog = self.value(self.snapshot.catalog)
        return None if catalog is None else live_schema.from_catalog(catalog)

    @cached_property
    def code(self) -> CodeFindings:
        """What the code that was read asks of the database and does not get."""
        codes, hosts = self.value(self.snapshot.served_code), self.value(self.snapshot.hostnames)
        if codes is None:
            return CodeFindings((), (), self.why_unusable(self.snapshot.served_code))
        if hosts is None:
            return CodeFindings((), (), self.why_unusable(self.snapshot.hostnames))
        if self.schema is None:
            return CodeFindings((), (), self.why_unusable(self.snapshot.catalog))
        history = self.value(self.snapshot.migrations)
        project = self.value(self.snapshot.project)
        root = (project.root_directory if project else None) or ""  # null: the repository's own
        held = [code_findings.hold(code, self.schema, history, self.terms.addresses, root) for code in codes]
        served = {host.serving_commit for host in hosts if not host.redirect_to}
        others = tuple(one for one in held if one.code.commit not in served)
        serving = tuple(
            code_findings.with_cures_of(one, others, self.schema) for one in held if one.code.commit in served
        )
        return CodeFindings(serving, others, self._why_partial(serving, served))

    def _why_partial(self, serving: tuple[code_findings.CommitFindings, ...], served: set[str | None]) -> str:
        if None in served:
            hosts = self.value(self.snapshot.hostnames) or ()
            uploads = [host.name for host in hosts if host.deployment and host.deployment.git_dirty]
            return (
                f"{uploads[0]} serves an upload with uncommitted changes: what it holds cannot be told."
                if uploads
                else "What one of the hostnames serves is not known."
            )
        read = {one.code.commit for one in serving}
        if unread := sorted(sha for sha in served if sha and sha not in read):
            caveats = {caveat.subject: caveat.sentence for caveat in self.snapshot.served_code.caveats}
            return caveats.get(unread[0], f"The code of {unread[0][:7]} has not been read yet.")
        missing = [address for one in serving for address in one.way.missing]
        if missing:
            return f"No file of the live code answers {missing[0]}."
        return "" if serving else "No hostname serves a commit whose code was read."

    @cached_property
    def running_code(self) -> RunningCode:
        """Whether the code that is being served stores a text with its booking, and since when it serves.

        Where that code was read, by reading it; else by whether it contains the commit of the declared contract.
        """
        if self.code.complete:
            stores = all(one.writes("pending_bookings", "metadata") for one in self.code.serving)
            hosts = self.value(self.snapshot.hostnames) or ()
            since = max((host.serving_since for host in hosts if host.serving_since), default=None)
            return RunningCode(stores, since if stores else None)
        if self.servings is None:
            return RunningCode(None, None)
        branch, deployments = self.value(self.snapshot.branch), self.value(self.snapshot.deployments)
        compared = self.value(self.snapshot.comparisons) or ()
        return running_code(contract_.load().fix, self.servings, branch, deployments, self.rolled_back_at, compared)

    @cached_property
    def rolled_back_at(self) -> datetime | None:
        """When production was last rolled back, as far as Vercel says."""
        project = self.value(self.snapshot.project)
        moments = [event.at for event in self.value(self.snapshot.vercel_events) or () if event.type == ROLLBACK_EVENT]
        if project and project.rollback_note and project.rollback_note.created_at:
            moments.append(project.rollback_note.created_at)
        last = project.last_alias_request if project else None
        if last and last.type == "rollback" and last.requested_at:
            moments.append(last.requested_at)
        return max(moments, default=None)

    @cached_property
    def breaches(self) -> tuple[Breach, ...] | None:
        """Where the database does not keep the schema contract; None while the catalog is unread."""
        catalog = self.value(self.snapshot.catalog)
        return None if catalog is None else contract_.breaches(contract_.load(), catalog)

    @cached_property
    def timeline(self) -> dict[Series, pd.Series | None]:
        if self.snapshot.cut:
            return timeline_.counted(self.counts)
        pending = None if self.pending is None else self.of_customers(self.pending)
        outbound = None if self.outbound is None else self.of_customers(self.outbound, "to_number")
        return timeline_.timeline(self.snapshot.window, pending, outbound)

    @cached_property
    def stamped_migrations(self) -> tuple[tuple[datetime, str], ...]:
        """When and as what the migrations on record were stamped, of those within the window, newest first."""
        window = self.snapshot.window
        stamped = [
            (at, one.name or one.version)
            for one in self.value(self.snapshot.migrations) or ()
            if (at := one.stamped_at) is not None and window.start <= at <= self.now
        ]
        return tuple(sorted(stamped, reverse=True))

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """What changed the system within the window, oldest first."""
        deployments = self.value(self.snapshot.deployments) or ()
        hostnames = self.value(self.snapshot.hostnames) or ()
        live = [
            Mark(deployment.ready_at, MarkKind.DEPLOYMENT, f"{deployment.built_from} became live")
            for deployment in serving_.brought_by(deployments, hostnames)
            if deployment.ready_at
        ]
        rollbacks = [
            Mark(event.at, MarkKind.ROLLBACK, "rolled back")
            for event in self.value(self.snapshot.vercel_events) or ()
            if event.type == ROLLBACK_EVENT
        ]
        migrations = [
            Mark(at, MarkKind.MIGRATION, f"migration {name}, stamped then") for at, name in self.stamped_migrations
        ]
        window = self.snapshot.window
        found = (mark for mark in live + rollbacks + migrations if mark.at >= window.start)
        return tuple(sorted(found, key=lambda mark: mark.at))

    def oldest(self, *readings: Reading[object]) -> datetime:
        """Return when the oldest of `readings` was observed."""
        return min(reading.observed_at for reading in readings)

    def unreadable(self) -> tuple[Reading[object], ...]:
        """Return the readings that failed or are stale; not those of sources that are not configured."""
        bad = (Freshness.FAILED, Freshness.STALE)
        return tuple(reading for reading in self.snapshot.readings if reading.freshness(self.now) in bad)


def _somebodys(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows whose number somebody may have."""
    nobodys = frame[column] == NOBODYS_NUMBER
    return frame[~nobodys].reset_index(drop=True) if nobodys.any() else frame
