"""The alert rules, all in one place. A rule reads one observation and says good, bad or cannot tell.

There is one alert for the flow as a whole, which names its broken hop and likeliest cause, instead of one for each
check. The other rules cover what is outside of the flow: accounts, our own visibility and connection, and deployments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lib.diagnosis.checks import code, demand, sending, visibility
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.facts import Facts
from lib.diagnosis.headline import RULES as BREAKS
from lib.diagnosis.serving import CommitPosition
from lib.journal.request import Request, RequestState
from lib.model.deployments import same_commit
from lib.model.reading import Failure, FailureKind, Freshness, Reading, SourceName
from lib.model.verdict import Check, CheckStatus, HeadlineState, Hop
from lib.monitor.alert_state import AlertContent, AlertThresholds, RuleReading, RuleStatus, Severity
from lib.monitor.connectivity import asked, stopped
from lib.monitor.messages import first_sentence

OK, WARN, FAIL, CANNOT_TELL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.CANNOT_TELL
# Without these sources the headline cannot tell whether texts flow.
_VISIBILITY_NEEDS = (SourceName.BOOKING_DATA, SourceName.TWILIO, SourceName.BOOKING_APP)

NAMES: Mapping[SourceName, str] = {
    SourceName.BOOKING_DATA: "the booking database",
    SourceName.CATALOG: "the database's catalog",
    SourceName.VERCEL: "Vercel",
    SourceName.GITHUB: "GitHub",
    SourceName.TWILIO: "Twilio",
    SourceName.BOOKING_APP: "the booking app",
}


@dataclass(frozen=True, slots=True)
class Unmade:
    """A synthetic booking that was due at `at` and could not be requested."""

    at: datetime
    why: str


@dataclass(frozen=True)
class Observation:
    """What the rules read: a diagnosis, whether this machine is offline, and how long main may be ahead.

    `probe` is the last synthetic booking, None if there is none; `probes` says whether any are to be made. `firing` are
    the ids of the rules that fire already.
    """

    diagnosis: Diagnosis
    offline: bool = False
    main_may_be_ahead_for: timedelta = timedelta(minutes=30)
    probe: Request | Unmade | None = None
    probes: bool = True
    firing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AlertRule(AlertThresholds):
    """One alert rule.

    `quick` rules are confirmed by further readings within the same round; the others have one reading per round.
    `depends_on` are rules whose problem explains this one's at the hops that they name. `yields_to` are rules whose
    problem with the flow explains this one's at any hop, if it is as severe.
    """

    id: str
    title: str
    read: Callable[[Observation], RuleReading]
    quick: bool = False
    depends_on: tuple[str, ...] = ()
    yields_to: tuple[str, ...] = ()


def read_all(observation: Observation) -> dict[str, RuleReading]:
    """Return the reading of every rule; those that another rule explains are marked so."""
    readings: dict[str, RuleReading] = {}
    for rule in RULES:  # each rule comes after those that may explain it
        reading = rule.read(observation)
        explained = any(reading.hop in readings[name].explains for name in rule.depends_on)
        outranked = any(_outranks(readings[name], reading, name in observation.firing) for name in rule.yields_to)
        if reading.finding is RuleStatus.BAD and (explained or outranked):
            reading = replace(reading, finding=RuleStatus.EXPLAINED)
        readings[rule.id] = reading
    return readings


def _outranks(other: RuleReading, reading: RuleReading, fires: bool) -> bool:
    """Whether `other` is a problem with the flow and as severe, or `fires` and is not known to have recovered."""
    if other.finding in (RuleStatus.BAD, RuleStatus.EXPLAINED):
        return other.hop is not Hop.VISIBILITY and other.story.severity >= reading.story.severity
    return fires and (other.finding is RuleStatus.GOOD or bool(other.explains))


def good_reading(message: str = "") -> RuleReading:
    return RuleReading(RuleStatus.GOOD, AlertContent("", message))


def unknown_reading(explains: Iterable[Hop] = ()) -> RuleReading:
    """Return a reading that nothing is known. A problem that may last still explains the hops that it did."""
    return RuleReading(RuleStatus.CANNOT_TELL, explains=frozenset(explains))


# This machine --------------------------------------------------------------------------------------------


def _offline(observation: Observation) -> RuleReading:
    if not observation.offline:
        return good_reading("The network works again.")
    story = AlertContent(
        "We are offline",
        "None of the systems can be reached from here. Our own connection is down, so nothing can be said about them.",
        cause="The machine that Switchboard runs on has no connection.",
        next_step="Check the network of the machine that Switchboard runs on. Nothing is monitored meanwhile.",
        page="systems",
        severity=Severity.CRITICAL,
    )
    return RuleReading(RuleStatus.BAD, story, hop=Hop.VISIBILITY, explains=frozenset(Hop))


def _blind(observation: Observation) -> RuleReading:
    headline = observation.diagnosis.headline
    if headline.state is not HeadlineState.CANNOT_TELL:
        return good_reading("Whether texts flow can be told again.")
    story = AlertContent(
        "Monitoring cannot see whether texts flow",
        headline.sentence,
        cause=_cause(observation.diagnosis) or "Data that the answer depends on is missing.",
        next_step="Open Systems: it says for each source what is missing and how to fix it.",
        page="systems",
        severity=Severity.CRITICAL,
    )
    return RuleReading(RuleStatus.BAD, story, hop=Hop.VISIBILITY)


# Accounts ------------------------------------------------------------------------------------------------

# One reading is enough for these: the other system reports it itself, and it stops everything at that hop.
_ACCOUNT_CHECKS = (sending.account_active, sending.account_errors, demand.api_key_active, visibility.key_sees_all)


def _account(observation: Observation) -> RuleReading:
    """Read whether an account, a key or a sender is refused, by Twilio, by the booking app or to us."""
    diagnosis = observation.diagnosis
    checks = [diagnosis.check(name) for name in _ACCOUNT_CHECKS]
    failed = [check for check in checks if check.status is FAIL]
    refused, unknown = _refusals(diagnosis), _unknown_accounts(diagnosis, checks)
    stories = [*(_story_of_check(diagnosis, check) for check in failed), *map(_story_of_refusal, refused.values())]
    if not stories and not unknown:
        return good_reading("Accounts and keys are in order again.")
    if not stories:
        # After a refusal, bookings without a text remain for a while: that is no problem of its own.
        errors = diagnosis.check(sending.account_errors)
        return unknown_reading({errors.hop} if errors.status is WARN and "account" in observation.firing else ())
    hops = frozenset(check.hop for check in failed)
    return RuleReading(
        RuleStatus.BAD,
        _together(stories),
        at_once=True,
        hop=failed[0].hop if failed else Hop.VISIBILITY,
        explains=hops | {Hop.VISIBILITY} if any(source in _VISIBILITY_NEEDS for source in refused) else hops,
        parts=frozenset([*(check.id for check in failed), *map(_refused, refused)]),
        unknown=unknown,
    )


def _refusals(diagnosis: Diagnosis) -> dict[SourceName, Failure]:
    """Return the sources that did not accept our key, each with its failure."""
    refused: dict[SourceName, Failure] = {}
    for reading in asked(diagnosis.facts.snapshot.readings):
        if reading.failure and reading.failure.kind is FailureKind.UNAUTHORIZED:
            refused.setdefault(reading.source, reading.failure)
    return refused


def _refused(source: SourceName) -> str:
    return f"refused:{source}"


def _together(stories: list[AlertContent]) -> AlertContent:
    """Return the content of one alert for problems at the same time: all are named, the first in full."""
    first, *others = stories
    if not others:
        return first
    return replace(
        first,
        title=f"{first_sentence(first.title)}; also: {'; '.join(first_sentence(other.title) for other in others)}",
        message=f"{first.message} Also: {' '.join(other.title for other in others)}",
        cause=_joined(story.cause for story in stories),
        next_step=_joined(story.next_step for story in stories),
    )


def _joined(sentences: Iterable[str]) -> str:
    return " ".join(dict.fromkeys(filter(None, sentences)))


def _unknown_accounts(diagnosis: Diagnosis, checks: list[Check]) -> frozenset[str]:
    """Return the parts of which it is unknown whether something is refused."""
    # After a refusal the check warns until enough texts went out.
    unsure = {check.id for check in checks if check.id == sending.account_errors.id and check.status is WARN}
    unread = {check.id for check in checks if _unread(diagnosis, check)}
    # A refused key may still be refused while the system is down or answers in another way.
    snapshot, kinds = diagnosis.facts.snapshot, (*_NO_ANSWER, FailureKind.FORBIDDEN)
    silent = {_refused(source) for source in SourceName if stopped(snapshot.of(source), kinds)}
    return frozenset(unsure | unread | silent)


def _unread(diagnosis: Diagnosis, check: Check) -> bool:
    """Whether a check cannot tell for now. A source that our key may never read does not count: no alert would end."""
    if check.status is not CANNOT_TELL or check.source is None:
        return False
    readings = diagnosis.facts.snapshot.of(check.source)
    return any(_unanswered(one) or one.freshness(diagnosis.facts.now) is Freshness.STALE for one in readings)


def _story_of_check(diagnosis: Diagnosis, check: Check) -> AlertContent:
    top = diagnosis.likeliest
    return AlertContent(
        check.summary,
        " ".join((diagnosis.headline.sentence, *check.evidence[:1])),
        cause=_cause(diagnosis),
        next_step=top.remedy.message if top else check.would_change,
        page="action-plan",
        severity=Severity.CRITICAL,
        since=diagnosis.headline.since,
    )


def _story_of_refusal(failure: Failure) -> AlertContent:
    return AlertContent(
        failure.sentence,
        "Switchboard cannot read there until its key is accepted again.",
        cause="A key of ours was revoked, changed or mistyped.",
        next_step=failure.hint,
        page="systems",
        severity=Severity.CRITICAL,
    )


# Other systems -------------------------------------------------------------------------------------------

_NO_ANSWER = (FailureKind.TIMEOUT, FailureKind.UNAVAILABLE, FailureKind.RATE_LIMITED, FailureKind.BAD_DATA)
# These hops run at Vercel and fail with it.
_AT_VERCEL = frozenset({Hop.DEMAND, Hop.CODE, Hop.LINK})


def _unreachable(observation: Observation) -> RuleReading:
    snapshot = observation.diagnosis.facts.snapshot
    silent = [source for source in SourceName if stopped(snapshot.of(source), _NO_ANSWER)]
    if not silent:
        return good_reading("All systems answer again.")
    explains = _AT_VERCEL if SourceName.VERCEL in silent else frozenset()
    if any(source in _VISIBILITY_NEEDS for source in silent):
        explains |= {Hop.VISIBILITY}
    names = " and ".join(NAMES[source] for source in silent)
    why = (_why_silent(snapshot.of(source)) for source in silent)
    story = AlertContent(
        f"{names[0].upper()}{names[1:]} {'does' if len(silent) == 1 else 'do'} not answer",
        " Also: ".join(dict.fromkeys(why)),
        cause="The other side is down, or something on the way to it.",
        next_step="Look at its status page. Until it answers, what Switchboard shows of it is old or unknown.",
        page="systems",
        severity=Severity.CRITICAL if SourceName.BOOKING_APP in silent else Severity.WARNING,
    )
    parts = frozenset(source.value for source in silent)
    return RuleReading(RuleStatus.BAD, story, hop=Hop.VISIBILITY, explains=explains, parts=parts)


def _why_silent(readings: tuple[Reading[object], ...]) -> str:
    return next((one.failure.sentence for one in asked(readings) if one.failure and _unanswered(one)), "")


def _unanswered(reading: Reading[object]) -> bool:
    return reading.failure is not None and reading.failure.kind in _NO_ANSWER


# The flow ------------------------------------------------------------------------------------------------

# A headline that rests on one of these says that texts flow and new code waits: the rule `main_ahead` reports that.
_NEW_CODE_ONLY = tuple(
    spec.id for spec in (code.git_integration, code.builds_pass, code.nothing_waits, code.serving_commit)
)


def _flow(observation: Observation) -> RuleReading:
    headline = observation.diagnosis.headline
    # New code that waits is a cause of the problem, or is less urgent than it.
    explains = frozenset({Hop.CODE})
    unclear = unknown_reading(explains if "flow" in observation.firing else ())
    if headline.state is HeadlineState.CANNOT_TELL:
        return unclear
    new_code_only = headline.state is HeadlineState.DEGRADED and headline.because[0] in _NEW_CODE_ONLY
    if headline.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC) or new_code_only:
        # A break that cannot be read now is not resolved: a failing booking app may stop answering.
        unread = any(_unread(observation.diagnosis, observation.diagnosis.check(rule.check)) for rule in BREAKS)
        return unclear if unread else good_reading(headline.sentence)
    broken = headline.state is HeadlineState.BROKEN
    top = observation.diagnosis.likeliest
    story = AlertContent(
        headline.sentence,
        headline.sentence,
        cause=_cause(observation.diagnosis),
        next_step=top.remedy.message if top else "Open the action plan: it goes through what is known step by step.",
        page="action-plan",
        severity=Severity.CRITICAL if broken else Severity.WARNING,
        since=headline.since,
    )
    # A break at another hop is another problem. A degraded hop says nothing about the hops after it.
    parts = frozenset({headline.hop.value} if broken and headline.hop else ())
    return RuleReading(RuleStatus.BAD, story, hop=headline.hop, explains=explains, parts=parts)


def _cause(diagnosis: Diagnosis) -> str:
    top = diagnosis.likeliest
    return f"{top.title} ({top.verdict.value}). {top.for_owner}" if top else "Not known yet."


# The synthetic booking ------------------------------------------------------------------------------------

# A test booking's text is followed for a few minutes; an outcome unknown for longer than this stays unknown.
_PROBE_SETTLES_WITHIN = timedelta(minutes=10)


def _probe(observation: Observation) -> RuleReading:
    """Read the last synthetic booking. Only a completed one is a success; none, or one under way, is unknown."""
    if not observation.probes:
        return good_reading("No synthetic bookings are made any more.")
    probe = observation.probe
    if probe is None:
        return unknown_reading()
    if isinstance(probe, Unmade):
        # Not at once: it is tried again in each round, and a source may fail for a moment.
        return RuleReading(RuleStatus.BAD, _content_of_unmade(probe), hop=Hop.DEMAND)
    if probe.state is RequestState.SUCCEEDED:
        return good_reading("A synthetic booking went through every hop.")
    story = _story_of_probe(observation.diagnosis, probe)
    return RuleReading(RuleStatus.BAD, story, at_once=True, hop=Hop.DEMAND) if story else unknown_reading()


def _content_of_unmade(unmade: Unmade) -> AlertContent:
    return AlertContent(
        "The synthetic booking could not be made",
        "Whether a booking goes through is not known until one can be made again.",
        cause=f"The synthetic booking could not be made: {unmade.why}",
        next_step="Open the action plan at its fourth step: its preview says what the test booking lacks.",
        page="action-plan",
        since=unmade.at,
    )


def _story_of_probe(diagnosis: Diagnosis, probe: Request) -> AlertContent | None:
    """Return the alert about a requested booking; None if nothing is known to be wrong with it."""
    settled = diagnosis.facts.now - probe.requested_at > _PROBE_SETTLES_WITHIN
    severity, next_step = Severity.WARNING, "Open the action plan at its fourth step, and look at that booking's hops."
    match probe.state:
        case RequestState.FAILED:
            title, cause = "The synthetic booking did not go through", _cause(diagnosis)
            severity = Severity.CRITICAL
        case RequestState.REFUSED:
            title, cause = "The synthetic booking was refused", "Its own preconditions do not hold."
        case RequestState.EXPIRED:
            title, cause = "The synthetic booking was not carried out", "Switchboard stopped before it was made."
        case RequestState.UNKNOWN if settled:
            title = "The outcome of the synthetic booking is unknown"
            cause = "Its text was lost or is very late, or Switchboard stopped before it arrived."
            next_step = "Open the action plan at its fourth step, and look again: no other one is made until then."
        case _:
            return None
    message = probe.message or "It has never gone through yet."
    return AlertContent(title, message, cause, next_step, "action-plan", severity, since=probe.requested_at)


# Deployments of new code -------------------------------------------------------------------------------------


def _main_ahead(observation: Observation) -> RuleReading:
    """Read whether main was ahead of production for too long. During a build, or soon after a commit, it is unknown."""
    diagnosis = observation.diagnosis
    serving = diagnosis.check(code.serving_commit)
    if serving.status is OK:
        return good_reading("Production serves the newest commit again.")
    since = _ahead_since(diagnosis)
    if serving.status is not FAIL or since is None or diagnosis.facts.now - since <= observation.main_may_be_ahead_for:
        return unknown_reading()
    top = diagnosis.likeliest
    story = AlertContent(
        "Main is ahead of production",
        f"{serving.summary} New code has waited since {diagnosis.facts.clock(since)}.",
        cause=_cause(diagnosis),
        next_step=top.remedy.message if top else "Open Deployments: it says what each hostname serves and why.",
        page="deployments",
        since=since,
    )
    return RuleReading(RuleStatus.BAD, story, hop=Hop.CODE)


def _ahead_since(diagnosis: Diagnosis) -> datetime | None:
    """Return since when, at least, new code has waited: its first production build, or the rollback.

    The dates of the commits do not say it: work of last week may be merged just now. Where no build is known, the date
    of the newest commit is taken.
    """
    facts = diagnosis.facts
    required = facts.value(facts.snapshot.required_commit)
    waiting = _not_live(facts)
    builds = [
        deployment.created_at
        for deployment in facts.value(facts.snapshot.deployments) or ()
        if deployment.target == "production" and any(same_commit(deployment.commit, sha) for sha in waiting)
    ]
    if builds:
        return max(min(builds), facts.rolled_back_at or min(builds))
    return required.commit.committed_at if required and required.commit else None


def _not_live(facts: Facts) -> tuple[str, ...]:
    """Return the commits of the production branch that should be live and are not, on at least one hostname."""
    branch, required = facts.value(facts.snapshot.branch), facts.value(facts.snapshot.required_commit)
    if branch is None or required is None:
        return ()
    behind = [serving for serving in facts.servings or () if serving.position is CommitPosition.BEHIND]
    served = [serving.hostname.serving_commit for serving in behind]
    lacking = [branch.missing_from(commit, required.sha) or () for commit in served if commit]
    return tuple(dict.fromkeys(sha for shas in lacking for sha in shas))


_DAY = timedelta(days=1)
# Each rule comes after those it depends on or yields to.
RULES: tuple[AlertRule, ...] = (
    AlertRule("offline", "Our own connection", _offline, fire_after=2),
    AlertRule("account", "Accounts and keys", _account, quick=True, depends_on=("offline",)),
    AlertRule("unreachable", "Systems that answer", _unreachable, depends_on=("offline",)),
    AlertRule("blind", "Access to the data", _blind, depends_on=("offline", "account", "unreachable"), fire_after=5),
    AlertRule("flow", "The flow of texts", _flow, quick=True, depends_on=("offline", "account", "unreachable")),
    AlertRule(
        "probe",
        "The synthetic booking",
        _probe,
        depends_on=("offline", "unreachable"),
        yields_to=("account", "flow"),
        resolve_after=1,
    ),
    AlertRule(
        "main_ahead",
        "New code reaches production",
        _main_ahead,
        depends_on=("offline", "unreachable", "flow"),
        remind_every=_DAY,
        most_reminders=3,
    ),
)
BY_ID: Mapping[str, AlertRule] = {rule.id: rule for rule in RULES}
