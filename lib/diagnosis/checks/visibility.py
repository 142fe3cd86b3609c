"""Can I see? Before anything is said about the flow: our key, our project, our own queries, our answers."""

from __future__ import annotations

from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, ok, warn
from lib.diagnosis.contract import Code
from lib.diagnosis.facts import Facts
from lib.formatting import counted
from lib.model.database import KeyKind
from lib.model.reading import Freshness, SourceName
from lib.model.verdict import Hop

_KEY_LABELS = {
    KeyKind.SECRET: "a secret key",
    KeyKind.PUBLISHABLE: "a publishable key",
    KeyKind.SERVICE_ROLE_JWT: "a legacy service_role key",
    KeyKind.ANON_JWT: "a legacy anon key",
    KeyKind.AUTHENTICATED_JWT: "a signed-in user's token",
    KeyKind.MANAGEMENT_TOKEN: "a management token",
    KeyKind.DSN: "a connection string",
    KeyKind.UNKNOWN: "of an unknown kind",
}


@check(
    Hop.VISIBILITY,
    "Can our key see every row?",
    rests_on="visibility",
    would_change="A secret key (sb_secret_…) in SUPABASE_SECRET_KEY.",
)
def key_sees_all(facts: Facts) -> CheckResult:
    visibility = facts.need(facts.snapshot.visibility)
    kind = _KEY_LABELS[visibility.key_kind]
    counts = tuple(f"{table}: {count:,} rows in all" for table, count in visibility.counts.items())
    if visibility.sees_everything:
        return ok(f"Our key is {kind}: row level security hides nothing from it.", *counts)
    if visibility.key_kind.sees_past_row_security:
        return fail(f"Our key looks like {kind}, but the server does not treat it as one.", *counts)
    return fail(f"Our key is {kind}: row level security hides rows from it without an error.", *counts)


@check(
    Hop.VISIBILITY,
    "Is this the right project?",
    rests_on="visibility",
    would_change="A key and an address of the same project.",
)
def project_matches(facts: Facts) -> CheckResult:
    visibility = facts.need(facts.snapshot.visibility)
    url, key = visibility.project_ref, visibility.key_project_ref
    if url and key and url != key:
        return fail("The key and the address belong to different projects.", f"address: {url}", f"key: {key}")
    if url and key:
        return ok("Address and key belong to the same project.", f"project {url}")
    if visibility.sees_everything and any(visibility.counts.values()):
        return ok("The key opens the address, and there are rows behind it.")
    return cannot_tell("Neither the address nor the key names its project, and no row proves that it is ours.")


@check(
    Hop.VISIBILITY,
    "Do empty tables really hold no rows?",
    rests_on="visibility",
    would_change="All-time counts, read with a secret key.",
)
def empty_means_empty(facts: Facts) -> CheckResult:
    visibility = facts.need(facts.snapshot.visibility)
    seen = {table for table, count in visibility.counts.items() if count}
    empty = {table for table, count in visibility.counts.items() if not count}
    refused = tuple(f"{table}: refused ({why})" for table, why in visibility.refused.items())
    if visibility.sees_everything:
        return ok("What looks empty is empty.", *(f"{table}: no rows" for table in sorted(empty)), *refused)
    if "pending_bookings" in seen and {"messages", "webhook_logs"} & empty:
        return fail(
            "Row level security seems to hide rows from our key: it sees pending bookings, but no messages or logs.",
            *refused,
        )
    return cannot_tell("Our key is not a secret key, so empty tables prove nothing.", *refused)


@check(
    Hop.VISIBILITY,
    "Did every source answer, completely and recently?",
    rests_on="visibility",
    would_change="The readings named here answering again.",
)
def answers_complete(facts: Facts) -> CheckResult:
    bad = facts.unreadable()
    truncated = [reading for reading in facts.snapshot.readings if reading.truncated]
    evidence = tuple(
        f"{reading.name} ({reading.source.value}): {facts.why_unusable(reading)}" for reading in bad
    ) + tuple(caveat.sentence for reading in truncated for caveat in reading.caveats)
    unconnected = [
        source.value
        for source in SourceName
        if all(reading.freshness(facts.now) is Freshness.NOT_CONFIGURED for reading in facts.snapshot.of(source))
    ]
    note = (f"not connected: {', '.join(unconnected)}",) if unconnected else ()
    if bad or truncated:
        message = f"{counted(len(bad), 'reading')} failed or stale, {len(truncated)} incomplete."
        return warn(message, *evidence, *note)
    return ok("Every connected source answered, completely.", *note)


@check(
    Hop.VISIBILITY,
    "Does the database have what Switchboard reads?",
    rests_on="catalog",
    would_change="The missing tables or columns, or a version of Switchboard that does not read them.",
)
def own_queries_fit(facts: Facts) -> CheckResult:
    breaches = facts.breaches
    if breaches is None:
        facts.need(facts.snapshot.catalog)
    own = [breach for breach in breaches or () if breach.rule.code is Code.DESK]
    if own:
        places = tuple(breach.sentence for breach in own)
        return warn(f"{counted(len(own), 'thing')} that Switchboard reads is not in the database.", *places)
    return ok("The database has every table and column that Switchboard reads.")
