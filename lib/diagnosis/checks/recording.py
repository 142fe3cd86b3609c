"""Was it recorded? Where the database knows each text from, and what stands in the way of writing it."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.checks.sending import eligible_journeys
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.contract import Breach, Break, Code
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Recording, Sending
from lib.diagnosis.outage import over_since
from lib.diagnosis.statistics import Share
from lib.formatting import counted
from lib.model.frames import MetadataState
from lib.model.reading import CaveatKind
from lib.model.served_code import ErrorHandling, Misfit, Problem
from lib.model.verdict import Hop

# SQLSTATE of a null that a NOT NULL column refuses.
NULL_REFUSED = "23502"
_METADATA = "pending_bookings.metadata"
# So many of the newest migrations are told where the database refuses a write.
MIGRATIONS_LISTED = 3
# Where the app keeps its texts.
_KEEP_TEXTS = ("messages", "pending_bookings")
_MISSING = (Problem.MISSING_COLUMN, Problem.MISSING_TABLE)
_SEEN_BY = {"postgres_logs": "Postgres", "edge_logs": "the gateway"}


def settled_texts(outbound: pd.DataFrame) -> pd.DataFrame:
    """Return the texts of which it is known whether the database knows them."""
    return outbound[~outbound["recording"].isin([Recording.TOO_SOON, Recording.UNKNOWN])]


@check(
    Hop.RECORDED,
    "Are the texts recorded in the database?",
    rests_on="texts",
    would_change="The next text, and its SID in messages or with its booking.",
)
def texts_recorded(facts: Facts) -> CheckResult:
    frame = facts.need_outbound()
    for reading in (facts.snapshot.messages, facts.snapshot.pending_bookings):
        facts.need_rows(reading)
        facts.need_complete(reading)
    settled = settled_texts(frame[["recording", "created_at"]])
    if settled.empty:
        return not_applicable("No text is old enough to judge.")
    lost = settled["recording"] == Recording.LOST
    counts = settled["recording"].value_counts()
    share = Share(int((~lost).sum()), len(settled))
    swallowed = [
        misfit_line(one)
        for one in facts.code.on_flow
        if one.error is ErrorHandling.IGNORED and one.table in _KEEP_TEXTS
    ]
    evidence = [
        f"{int(counts.get(Recording.RECORDED, 0)):,} in messages, {int(counts.get(Recording.DEFERRED, 0)):,} with "
        f"the booking until it is confirmed, {int(lost.sum()):,} not recorded",
    ]
    if not lost.any():
        which = "the one text" if len(settled) == 1 else f"all {len(settled):,} texts"
        return ok(f"The database has a record of {which} that Twilio accepted.", *evidence)
    evidence.append(f"first not recorded: {facts.clock(settled.loc[lost, 'created_at'].iloc[0].to_pydatetime())}")
    summary = f"Not recorded: {int(lost.sum()):,} of {counted(share.total, 'text')} that Twilio accepted."
    over = over_since(settled["created_at"], lost)
    if over is not None:
        since = counted(int((settled["created_at"] >= over).sum()), "text")
        before = f"{int(lost.sum()):,} before that are not recorded"
        message = f"Since {facts.clock(over)} every text is recorded ({since}); {before}."
        return ok(message, *evidence)
    healed = not lost.tail(thresholds.FAILURES_TO_WARN).any()
    if healed:
        last_lost = settled.loc[lost, "created_at"].iloc[-1].to_pydatetime()
        return warn(f"{summary} All after {facts.clock(last_lost)} are recorded.", *evidence)
    return fail(summary, *evidence, *swallowed)


@check(
    Hop.RECORDED,
    "Is the text stored with its booking?",
    rests_on="pending_bookings",
    would_change="The next booking's metadata.",
)
def metadata_stored(facts: Facts) -> CheckResult:
    """The three findings that a script prints as `{}`, over bookings that the serving code should have stored."""
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    if not facts.metadata_readable:
        return fail(f"The column {_METADATA} does not exist: nothing can be stored there.")
    running = facts.running_code
    if running.after_fix is False:
        return not_applicable("The live code is older than the fix: it stores nothing in metadata.")
    if running.after_fix is None:
        return cannot_tell("Which code is live is unknown, so what it should have stored is too.", *_states(pending))
    due = due_to_be_stored(facts)
    if due.empty:
        return not_applicable("No booking was texted since the code that stores the text went live.")
    stored = due["metadata_state"] == MetadataState.STORED
    share = Share(int(stored.sum()), len(due))
    summary = f"Of {counted(share.total, 'texted booking')}, {share.count:,} have their text stored with them."
    if stored.all():
        return ok(summary, share.message)
    message = (share.message, *_states(due))
    over = over_since(due["created_at"], ~stored)
    if over is not None:
        since = counted(int((due["created_at"] >= over).sum()), "texted booking")
        return ok(f"Since {facts.clock(over)} every text is stored with its booking ({since}).", summary, *message)
    recent = stored.tail(thresholds.FAILURES_TO_WARN)
    return fail(summary, *message) if not recent.any() else warn(summary, *message)


def due_to_be_stored(facts: Facts) -> pd.DataFrame:
    """Return the texted bookings since the code that stores texts with them went live. Raises `CannotTellError`."""
    journeys = eligible_journeys(facts)
    texted = journeys[journeys["sending"] == Sending.ACCEPTED]
    # What is stored already need not be waited for.
    settled = texted["created_at"] <= facts.now - thresholds.RECORDING_SETTLES
    due = texted[settled | (texted["metadata_state"] == MetadataState.STORED)]
    since = facts.running_code.since
    return due if since is None else due[due["created_at"] >= since]


@check(
    Hop.RECORDED,
    "Does the database have every column that the code writes?",
    rests_on="catalog",
    would_change="The missing column, or code that does not write it.",
)
def columns_exist(facts: Facts) -> CheckResult:
    """Look for what the code that is served asks for and the database does not have.

    Where that code could not be read, what was declared of it serves. Without the catalog, the desk's own refused
    reads are direct evidence, too; their success proves less.
    """
    if found := [one for one in facts.code.on_flow if one.problem in _MISSING]:
        return _misfitting(facts, found, "The booking code {} what the database does not have: {}.")
    if facts.code.complete:
        return ok("The database has every column that the booking code writes.", *facts.code.gaps)
    return _declared_columns(facts)


def _misfitting(facts: Facts, found: list[Misfit], message: str) -> CheckResult:
    """Say what does not fit, by file and line: certainly, or on some of the ways through the code."""
    places = ", ".join(dict.fromkeys(_place(one) for one in found))
    verb = "writes to" if any(one.use.operation.is_write for one in found) else "reads"
    evidence = (*dict.fromkeys(map(misfit_line, found)), *_live_since(facts, found), *_changed_lately(facts))
    certain = any(not one.sometimes for one in found)
    return (fail if certain else warn)(message.format(verb, places), *evidence)


def _place(misfit: Misfit) -> str:
    if misfit.table is None:
        return f"{misfit.detail}()"
    return f"{misfit.table}.{misfit.column}" if misfit.column else misfit.table


def _live_since(facts: Facts, found: list[Misfit]) -> tuple[str, ...]:
    """Since when the commits with these lines serve, per hostname."""
    commits = {one.commit for one in found}
    hosts = facts.value(facts.snapshot.hostnames) or ()
    return tuple(
        f"{(host.serving_commit or '')[:7]} serves {host.name} since {facts.clock(host.serving_since)}"
        for host in hosts
        if host.serving_commit in commits and host.serving_since
    )


def _declared_columns(facts: Facts) -> CheckResult:
    """Answer from the declared contract, for the version of the code that is served, and say why."""
    breaches = facts.breaches
    why = facts.code.why_partial
    if breaches is None:
        missing = [
            caveat for caveat in facts.snapshot.pending_bookings.caveats if caveat.kind is CaveatKind.MISSING_COLUMN
        ]
        if missing and facts.value(facts.snapshot.pending_bookings) is not None:
            places = ", ".join(dict.fromkeys(caveat.subject for caveat in missing))
            message = f"The booking code writes to what the database does not have: {places}."
            if not facts.running_code.after_fix:  # whether the code that is served writes to it is not known
                return cannot_tell(f"The database lacks {places}; whether the live code writes there is unknown.", why)
            return fail(message, *(caveat.sentence for caveat in missing), why, *_changed_lately(facts))
        facts.need(facts.snapshot.catalog)
    absent = [breach for breach in declared_missing(facts) if breach.rule.code in _codes_served(facts)]
    if absent:
        sentences = dict.fromkeys(f"{breach.sentence} ({breach.rule.why})" for breach in absent)
        places = ", ".join(dict.fromkeys(breach.place for breach in absent))
        message = f"The booking code writes to what the database does not have: {places}."
        if facts.running_code.after_fix is None and all(breach.rule.code is not Code.ANY for breach in absent):
            message = f"One version of the booking code writes to what the database does not have: {places}."
            return cannot_tell(f"{message} Which version is live is unknown.", *sentences, why)
        return fail(message, *sentences, why, *_changed_lately(facts))
    return ok("The database has every column that the booking code writes.", why)


def declared_missing(facts: Facts) -> tuple[Breach, ...]:
    """Return what some version of the booking code writes to, by the contract, and the database does not have."""
    return tuple(
        breach
        for breach in facts.breaches or ()
        if breach.kind in (Break.MISSING_COLUMN, Break.MISSING_TABLE)
        and breach.rule.code is not Code.DESK
        and breach.is_write
    )


def _codes_served(facts: Facts) -> set[Code]:
    kinds = {True: {Code.ANY, Code.AFTER}, False: {Code.ANY, Code.BEFORE}, None: {Code.ANY, Code.BEFORE, Code.AFTER}}
    return kinds[facts.running_code.after_fix]


@check(
    Hop.RECORDED,
    "Does the database have what the newest code writes?",
    rests_on="catalog",
    would_change="The missing column, before that code is live.",
)
def next_code_fits(facts: Facts) -> CheckResult:
    """Look for what code that is not live yet asks for: no cause of anything now, and one as soon as it is live."""
    if facts.code.complete:
        found = facts.code.next_on_flow
        if not found:
            return ok("The newest code needs nothing more than the database has.")
        places = ", ".join(dict.fromkeys(_place(one) for one in found))
        return warn(
            f"Newer code will write what the database refuses: {places}.", *dict.fromkeys(map(misfit_line, found))
        )
    facts.need(facts.snapshot.catalog)
    if declared_missing(facts) and facts.running_code.after_fix is None:
        return cannot_tell("Which code is live is unknown, so what newer code needs is too.")
    later = [breach for breach in declared_missing(facts) if breach.rule.code not in _codes_served(facts)]
    if not later:
        return ok("According to the declared contract, newer code needs nothing more.", facts.code.why_partial)
    places = ", ".join(dict.fromkeys(breach.place for breach in later))
    return warn(f"Another version of the code will need what the database does not have: {places}.")


def _states(frame: pd.DataFrame) -> tuple[str, ...]:
    return tuple(
        f"metadata {str(state).replace('_', ' ')}: {count:,}"
        for state, count in frame["metadata_state"].value_counts().items()
    )


def relevant_breaches(facts: Facts) -> tuple[Breach, ...]:
    """Return the breaches of the contract by writes of the code that is served. Raises `CannotTellError`."""
    facts.need(facts.snapshot.catalog)
    served = _codes_served(facts)
    return tuple(breach for breach in facts.breaches or () if breach.rule.code in served and breach.is_write)


@check(
    Hop.RECORDED,
    "Does the database accept what the code writes?",
    rests_on="catalog",
    would_change="A migration, or other code.",
)
def schema_contract(facts: Facts) -> CheckResult:
    if found := list(facts.code.on_flow):
        return _misfitting(facts, found, "The database refuses what the live code asks of {1}.")
    if facts.code.complete:
        if facts.schema is not None and facts.schema.checks is None:
            return cannot_tell("The columns fit the code; their constraints could not be read.", *facts.code.gaps)
        return ok("The database accepts everything that the live code writes.", *facts.code.gaps)
    breaches = relevant_breaches(facts)
    if not breaches:
        catalog = facts.need(facts.snapshot.catalog)
        if catalog.checks is None:
            return cannot_tell("The columns fit the code; their constraints could not be read.")
        latent = [b for b in facts.breaches or () if b.rule.code is not Code.DESK and b.is_write]
        note = tuple(f"for the other version of the code: {b.sentence}" for b in latent)
        return ok("The database accepts everything that the live code writes.", *note)
    certain = facts.running_code.after_fix is not None or any(b.rule.code is Code.ANY for b in breaches)
    evidence = tuple(dict.fromkeys(f"{breach.sentence} ({breach.rule.why})" for breach in breaches))
    if not certain:
        return cannot_tell(
            "The database refuses what one version of the code writes; which version is live is unknown.", *evidence
        )
    places = ", ".join(dict.fromkeys(breach.place for breach in breaches))
    return fail(f"The database refuses what the live code writes to {places}.", *evidence, *_changed_lately(facts))


def _changed_lately(facts: Facts) -> tuple[str, ...]:
    """Who may have changed the database so that it refuses: the newest migrations on its own record."""
    return tuple(
        f"on record: migration {name}, stamped {facts.clock(at)}"
        for at, name in facts.stamped_migrations[:MIGRATIONS_LISTED]
    )


@check(
    Hop.RECORDED,
    "Do writes fail because the customer is missing?",
    rests_on="database_errors",
    would_change="The next new customer's booking.",
)
def null_customer_errors(facts: Facts) -> CheckResult:
    found = null_errors(facts)
    if found.empty:
        return ok("No write failed because customer_id was empty.", *_reach(facts))
    last = found["at"].max().to_pydatetime()
    summary = f"{counted(len(found), 'text')} could not be recorded because messages.customer_id must not be empty."
    message = f"the last at {facts.clock(last)}"
    lines = tuple(misfit_line(one) for one in _null_customers(facts))
    still = null_still_refused(facts, last)
    if still is None:
        return warn(f"{summary} Whether that is still so is unknown.", message)
    if not still:
        return ok(f"No write fails on an empty customer_id any more: the last failed at {facts.clock(last)}.", summary)
    return fail(summary, message, *lines)


def _null_customers(facts: Facts) -> list[Misfit]:
    """Return where the code that is served writes a text without a customer, which the database refuses."""
    return [one for one in facts.code.on_flow if (one.table, one.column) == ("messages", "customer_id")]


def null_errors(facts: Facts) -> pd.DataFrame:
    """Return the logged failures of a null `messages.customer_id`. Raises `CannotTellError`."""
    errors = facts.need(facts.snapshot.database_errors)
    return errors[
        (errors["sql_state"] == NULL_REFUSED)
        & (errors["table_name"] == "messages")
        & (errors["column_name"] == "customer_id")
    ]


def _reach(facts: Facts) -> tuple[str, ...]:
    """What the logs do not cover; they must at least be complete for that nothing was found in them to mean it."""
    facts.need_complete(facts.snapshot.database_errors)
    return tuple(caveat.sentence for caveat in facts.snapshot.database_errors.caveats)


@check(
    Hop.RECORDED,
    "Do other database writes fail?",
    rests_on="database_errors",
    would_change="The next write of the same kind.",
)
def writes_succeed(facts: Facts) -> CheckResult:
    errors = facts.need(facts.snapshot.database_errors)
    null = null_errors(facts)
    others = errors.drop(null.index)
    if not null.empty:
        # The gateway saw the same refusals as Postgres did.
        others = others[~((others["origin"] == "edge_logs") & (others["table_name"] == "messages"))]
    if others.empty:
        return ok("No other database write by the app failed.", *_reach(facts))
    what = others["sql_state"].fillna(others["status_code"].astype("str")).fillna("an error")
    where = what + " on " + others["table_name"].fillna("an unnamed table")
    seen_by = others["origin"].map(_SEEN_BY).fillna(others["origin"])
    refusals = (where + ", reported by " + seen_by).value_counts()
    evidence = tuple(f"{count:,} × {refusal}" for refusal, count in refusals.items())
    # The gateway and Postgres may each have seen the same write.
    least = int(others["origin"].value_counts().max())
    message = f"At least {counted(least, 'write')} by the app to the database failed."
    last = others["at"].max().to_pydatetime()
    since = _recorded_since(facts, last)
    if since:
        texts = counted(since, "text was", "texts were")
        return ok(f"No write has failed since {facts.clock(last)}, and {texts} recorded since.", message, *evidence)
    # Postgres denies a read, as of this desk, in the same words as a write; the gateway knows which of both it was.
    denied = (others["origin"] == "postgres_logs") & others["message"].str.startswith("permission denied", na=False)
    if denied.all():
        count = counted(int(denied.sum()), "statement")
        return warn(f"Postgres denied {count} (no permission); whether they were writes is not known.", *evidence)
    return fail(message, *evidence, *_changed_lately(facts))


def null_still_refused(facts: Facts, last: datetime) -> bool | None:
    """Whether the next new customer's text would be refused again, as the `last` was: by the constraint and the code.

    A refusal right after the fix became live is still the old code's: two clocks, and requests that had begun.
    """
    catalog, running = facts.value(facts.snapshot.catalog), facts.running_code
    column = catalog.column("messages", "customer_id") if catalog else None
    if column is not None and column.nullable:
        return False
    if facts.code.complete:
        return bool(_null_customers(facts))
    if running.after_fix and running.since is not None:
        return running.since + thresholds.CLOCK_SKEW <= last
    return True if column is not None and running.after_fix is False else None


def _recorded_since(facts: Facts, moment: datetime) -> int:
    """Return how many texts after `moment` the database knows: then writing works again."""
    outbound = facts.outbound
    if outbound is None or facts.is_foreign_log:
        return 0
    known = outbound["recording"].isin([Recording.RECORDED, Recording.DEFERRED])
    return int((known & (outbound["created_at"] > moment)).sum())


@check(
    Hop.RECORDED,
    "Are the database's texts in Twilio's log?",
    rests_on="known_texts",
    would_change="The SIDs in Twilio's log, or the right account.",
)
def no_phantoms(facts: Facts) -> CheckResult:
    facts.need(facts.snapshot.texts)
    facts.need(facts.snapshot.known_texts)
    facts.need_rows(facts.snapshot.messages)
    if facts.unknown_to_twilio is None:
        return cannot_tell("Twilio's log of the window is incomplete.")
    if facts.unknown_to_twilio.empty:
        return ok("Every text in the database is in Twilio's log.")
    count = len(facts.unknown_to_twilio)
    return warn(
        f"{counted(count, 'text')} of the database {'is' if count == 1 else 'are'} unknown to this Twilio account.",
        "another account, deleted there, or never sent",
    )
