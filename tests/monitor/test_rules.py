"""Every rule can fire, and one problem makes one rule fire."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from lib.diagnosis.checks import code, sending
from lib.diagnosis.diagnose import diagnose
from lib.journal.entry import About, Asked
from lib.journal.request import Request, RequestState
from lib.model.database import KeyKind, Visibility
from lib.model.deployments import Deployment, DeploymentState, RequiredCommit, RequiredFrom, RollbackNote
from lib.model.provider import AppHealth, Balance, Landing, LinkOpening, TwilioAccount
from lib.model.reading import Failure, FailureKind, SourceName
from lib.model.verdict import CheckStatus, HeadlineState, Hop
from lib.monitor.alert_state import AlertState, EventKind, RuleReading, RuleStatus, Severity, next_state
from lib.monitor.connectivity import offline, reaches_any
from lib.monitor.rules import BY_ID, RULES, Observation, Unmade, read_all
from lib.monitor.scheduled_jobs import PROBE, PROBE_ACTION
from lib.settings import load
from lib.snapshot import READING_SPECS, Snapshot
from tests.diagnosis import builders as b

UNREACHABLE = Failure(FailureKind.UNAVAILABLE, "Twilio cannot be reached: no connection.")
FORBIDDEN = Failure(FailureKind.FORBIDDEN, "GitHub does not let us read this (403).")
REFUSED = Failure(FailureKind.UNAUTHORIZED, "Vercel does not accept our key (401).", "Make a new token.")


def names_of(*sources: SourceName) -> list[str]:
    return [question.name for question in READING_SPECS if question.source in sources]


def failing(failure: Failure, *sources: SourceName, **changed: object) -> Snapshot:
    return b.snapshot(**(dict.fromkeys(names_of(*sources), failure) | changed))


def all_unreachable() -> Snapshot:
    return failing(UNREACHABLE, *SourceName)


def behind(minutes: float = 90) -> Snapshot:
    """The newest commit is `minutes` old and not live."""
    new = b.commit("d" * 40, b.ago(minutes=minutes))
    branch = dataclasses.replace(b.snapshot().branch.value, commits=(new, *b.COMMITS))
    required = RequiredCommit(new.sha, RequiredFrom.BRANCH_HEAD, new, on_branch=True)
    return b.snapshot(branch=branch, required_commit=required)


def mixed(failing: Snapshot, *, answered_before: tuple[str, ...], seconds: float = 90) -> Snapshot:
    """`failing` now, but for what is rarely asked: it answered `seconds` ago, before the failures began."""
    well, at = b.snapshot(), b.ago(seconds=seconds)
    known = {name: dataclasses.replace(getattr(well, name), observed_at=at) for name in answered_before}
    return dataclasses.replace(failing, **known)


def since(snapshot: Snapshot, minutes: float) -> Snapshot:
    """All that fails has failed for so long."""
    begun = {
        reading.name: dataclasses.replace(reading, failing_since=b.ago(minutes=minutes))
        for reading in snapshot.readings
        if reading.failure
    }
    return dataclasses.replace(snapshot, **begun)


def app_down() -> AppHealth:
    return AppHealth("booking.example", 503, None, None, None)


def stuck_jobs() -> Snapshot:
    """Texts flow, but the app's background jobs do not run."""
    late = {"scheduled_for": b.ago(hours=2), "created_at": b.ago(hours=3)}
    job = {"id": "j", "type": "stats", "status": "pending"} | late
    return b.snapshot(background_jobs=b.table(b.frames.BACKGROUND_JOBS, [job]))


def probe(state: RequestState, minutes_ago: float = 0) -> Request:
    at = b.ago(minutes=minutes_ago)
    asked = Asked(2, "an event", "0" * 64, at + timedelta(minutes=15))
    return Request(uuid4(), About(action=PROBE_ACTION), asked, PROBE, at, state, "Text: not seen.")


# For each rule a look at which it is bad. A rule without one fails the test below.
FIRES: dict[str, Observation] = {}


def observation(snapshot: Snapshot, *, offline: bool = False) -> Observation:
    return Observation(diagnose(snapshot, b.NOW), offline)


FIRES["offline"] = observation(all_unreachable(), offline=True)
FIRES["account"] = observation(b.snapshot(account=TwilioAccount("AC", "suspended", "Full")))
FIRES["unreachable"] = observation(failing(UNREACHABLE, SourceName.TWILIO))
FIRES["blind"] = observation(b.snapshot(texts=Failure(FailureKind.BAD_DATA, "The message log cannot be read.")))
FIRES["flow"] = observation(b.snapshot(app_health=app_down()))
FIRES["probe"] = dataclasses.replace(observation(b.snapshot()), probe=probe(RequestState.FAILED))
FIRES["main_ahead"] = observation(behind())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_each_rule_can_fire_and_says_what_to_do(rule):
    state, events, looks = AlertState(), (), 0
    while not events:
        looks += 1
        assert looks <= rule.fire_after
        state, events = next_state(state, read_all(FIRES[rule.id])[rule.id], rule, b.NOW + looks * timedelta(minutes=1))
    (event,) = events
    assert event.kind is EventKind.FIRED
    story = event.story
    assert story.title and story.message and story.cause and story.next_step
    assert story.page in ("systems", "action-plan", "deployments")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_one_problem_is_sent_by_one_rule(rule):
    readings = read_all(FIRES[rule.id])
    assert [name for name, reading in readings.items() if reading.finding is RuleStatus.BAD] == [rule.id]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_all_rules_are_content_with_a_healthy_world(rule):
    healthy = dataclasses.replace(observation(b.snapshot()), probe=probe(RequestState.SUCCEEDED))
    assert read_all(healthy)[rule.id].finding is RuleStatus.GOOD


def test_a_rule_comes_after_those_it_depends_on():
    before: set[str] = set()
    for rule in RULES:
        assert before.issuperset((*rule.depends_on, *rule.yields_to))
        before.add(rule.id)
    assert before == set(BY_ID) == set(FIRES)


@pytest.mark.parametrize(
    "snapshot",
    [
        b.snapshot(account=TwilioAccount("AC", "suspended", "Full")),
        b.snapshot(balance=Balance(Decimal("-0.10"), "USD")),
        b.snapshot(visibility=Visibility(KeyKind.PUBLISHABLE, False, "ref", None, {})),
        failing(REFUSED, SourceName.VERCEL),
        failing(REFUSED, SourceName.BOOKING_DATA),
    ],
    ids=["suspended", "no money", "blind key", "Vercel's key", "the database's key"],
)
def test_what_an_account_says_of_itself_needs_no_second_reading(snapshot):
    reading = read_all(observation(snapshot))["account"]
    assert (reading.finding, reading.at_once, reading.story.severity) == (RuleStatus.BAD, True, Severity.CRITICAL)


SUSPENDED = TwilioAccount("AC", "suspended", "Full")


def test_every_account_and_key_that_is_refused_is_a_part_and_is_named():
    reading = read_all(observation(failing(REFUSED, SourceName.VERCEL, account=SUSPENDED)))["account"]
    assert reading.parts == {"account_active", "refused:vercel"}
    assert reading.story.title == "The Twilio account is suspended; also: Vercel does not accept our key (401)"
    assert "Also: Vercel does not accept our key (401)." in reading.story.message
    assert "Make a new token." in reading.story.next_step


def test_what_is_left_of_a_refusal_explains_the_flow_only_if_the_refusal_was_seen():
    """Error 20003 is Twilio's refusal of our account: two texts went out since the last one."""
    recovering = observation(left_of_a_refusal())
    assert recovering.diagnosis.check(sending.account_errors).status is CheckStatus.WARN
    assert recovering.diagnosis.headline.hop is Hop.ACCEPTED
    seen = read_all(dataclasses.replace(recovering, firing=frozenset({"account"})))
    assert (seen["account"].finding, seen["flow"].finding) == (RuleStatus.CANNOT_TELL, RuleStatus.EXPLAINED)
    unseen = read_all(dataclasses.replace(recovering, firing=frozenset({"flow"})))
    assert (unseen["account"].finding, unseen["flow"].finding) == (RuleStatus.CANNOT_TELL, RuleStatus.BAD)


def test_what_is_left_of_a_refusal_explains_nothing_at_another_hop():
    login = LinkOpening("b", b.NOW, Landing.LOGIN, 200, ())
    recovering = observation(
        dataclasses.replace(left_of_a_refusal(), link_opening=b.snapshot(link_opening=login).link_opening)
    )
    assert read_all(dataclasses.replace(recovering, firing=frozenset({"account"})))["flow"].finding is RuleStatus.BAD


def left_of_a_refusal() -> Snapshot:
    refused = b.table(b.frames.ALERTS, [{"sid": "NO1", "error_code": "20003", "created_at": b.ago(hours=5)}])
    return b.snapshot(alerts=refused)


@pytest.mark.parametrize("source", SourceName)
def test_what_waits_for_a_source_that_refuses_our_key_is_not_refused_itself(source: SourceName):
    seen = b.without(b.snapshot(), names_of(source), FailureKind.UNAUTHORIZED)
    assert read_all(observation(seen))["account"].parts == {f"refused:{source}"}


def test_one_account_that_is_refused_is_sent_as_it_stands():
    reading = read_all(FIRES["account"])["account"]
    assert (reading.story.title, reading.parts) == ("The Twilio account is suspended.", {"account_active"})
    assert "also" not in reading.story.message.lower()


def test_an_account_that_cannot_be_read_has_not_recovered():
    seen = failing(UNREACHABLE, SourceName.TWILIO)
    refused = failing(REFUSED, SourceName.VERCEL)
    twilio = {name: getattr(seen, name) for name in names_of(SourceName.TWILIO)}
    reading = read_all(observation(dataclasses.replace(refused, **twilio)))["account"]
    assert reading.parts == {"refused:vercel"}
    assert {"account_active", "account_errors", "refused:twilio"} <= reading.unknown


def test_every_source_that_is_silent_is_a_part_and_says_why():
    lost = Failure(FailureKind.TIMEOUT, "GitHub did not answer within 8 seconds.")
    github = {name: getattr(failing(lost, SourceName.GITHUB), name) for name in names_of(SourceName.GITHUB)}
    github["repository"] = b.snapshot(repository=FORBIDDEN).repository  # it is asked rarely, and did answer
    github["repository"] = dataclasses.replace(github["repository"], observed_at=b.ago(minutes=1))
    reading = read_all(observation(dataclasses.replace(failing(UNREACHABLE, SourceName.TWILIO), **github)))[
        "unreachable"
    ]
    assert reading.parts == {"github", "twilio"}
    assert reading.story.title == "GitHub and Twilio do not answer"
    assert reading.story.message == f"{lost.sentence} Also: {UNREACHABLE.sentence}"


def test_a_flow_that_is_broken_at_another_hop_is_another_problem_and_one_that_is_degraded_is_none():
    for seen, parts in (
        (b.snapshot(app_health=app_down()), {"demand"}),
        (b.snapshot(link_opening=LinkOpening("b", b.NOW, Landing.LOGIN, 200, ())), {"link"}),
        (stuck_jobs(), set()),
    ):
        reading = read_all(observation(seen))["flow"]
        assert (reading.finding, reading.parts) == (RuleStatus.BAD, parts)


@pytest.mark.parametrize(
    "snapshot",
    [
        failing(UNREACHABLE, SourceName.VERCEL),
        mixed(failing(UNREACHABLE, SourceName.VERCEL), answered_before=("env_names", "vercel_events")),
        failing(FORBIDDEN, SourceName.GITHUB),
        mixed(failing(FORBIDDEN, SourceName.GITHUB), answered_before=("rules", "repository")),
    ],
    ids=["silent", "silent since", "forbidden", "forbidden since"],
)
def test_a_key_whose_system_gives_no_answer_is_not_known_to_be_accepted(snapshot: Snapshot):
    assert read_all(observation(snapshot))["account"].finding is RuleStatus.CANNOT_TELL


def test_a_key_that_may_not_read_everything_is_accepted_and_so_is_what_is_not_connected():
    unconnected = Failure(FailureKind.NOT_CONFIGURED, "Vercel is not connected.")
    for seen in (b.snapshot(alerts=FORBIDDEN, rules=FORBIDDEN), failing(unconnected, SourceName.VERCEL)):
        assert read_all(observation(seen))["account"].finding is RuleStatus.GOOD


def test_vercel_down_does_not_page_for_bookings():
    readings = read_all(observation(failing(UNREACHABLE, SourceName.VERCEL, app_health=app_down())))
    assert readings["unreachable"].finding is RuleStatus.BAD
    assert readings["flow"].finding is RuleStatus.EXPLAINED


def test_vercel_down_does_page_for_what_vercel_does_not_explain():
    texts = b.table(
        b.frames.TEXTS,
        (b.text(n, at, status="failed", error_code="30007") for n, at in reversed(list(enumerate(b.MOMENTS, 1)))),
    )
    readings = read_all(observation(failing(UNREACHABLE, SourceName.VERCEL, texts=texts)))
    assert readings["flow"].finding is RuleStatus.BAD


RARELY_ASKED = tuple(question.name for question in READING_SPECS if question.every >= timedelta(minutes=1))


def test_a_source_that_stopped_answering_is_unreachable_though_rare_answers_are_known_from_before():
    twilio = mixed(failing(UNREACHABLE, SourceName.TWILIO), answered_before=("account", "balance", "alerts"))
    reading = read_all(observation(twilio))["unreachable"]
    assert (reading.finding, reading.story.title) == (RuleStatus.BAD, "Twilio does not answer")


def test_a_source_that_answers_one_question_and_not_another_is_reachable():
    well = b.snapshot()
    for part in (
        b.snapshot(alerts=UNREACHABLE),
        since(b.snapshot(alerts=UNREACHABLE), minutes=60 * 24 * 3),
        since(mixed(b.snapshot(texts=UNREACHABLE), answered_before=("account", "balance")), minutes=2),
        dataclasses.replace(since(b.snapshot(texts=UNREACHABLE), minutes=2), account=well.account),
    ):
        assert read_all(observation(part))["unreachable"].finding is RuleStatus.GOOD


def test_an_answer_during_a_question_that_ran_out_of_time_is_an_answer():
    timed_out = b.snapshot(texts=Failure(FailureKind.TIMEOUT, "Twilio did not answer.")).texts
    slow = dataclasses.replace(b.snapshot(), texts=dataclasses.replace(timed_out, latency_ms=20_000))
    others = ("account", "balance", "alerts")
    for seconds, finding in ((19, RuleStatus.GOOD), (21, RuleStatus.BAD)):
        seen = mixed(slow, answered_before=others, seconds=seconds)
        assert read_all(observation(seen))["unreachable"].finding is finding


def test_a_source_that_stops_is_unreachable_though_one_of_its_questions_has_failed_for_days():
    days = since(b.snapshot(alerts=UNREACHABLE), minutes=60 * 24 * 3).alerts
    stopped = mixed(failing(UNREACHABLE, SourceName.TWILIO), answered_before=("account", "balance"))
    assert read_all(observation(dataclasses.replace(stopped, alerts=days)))["unreachable"].finding is RuleStatus.BAD


def test_a_question_that_waits_for_another_source_says_nothing_of_its_own():
    """Single texts are looked up in the database once Twilio's log is there."""
    waits = b.without(b.snapshot(), ["texts"], FailureKind.TIMEOUT)
    before = tuple(name for name in names_of(SourceName.BOOKING_DATA) if name != "reconciled")
    assert (
        read_all(observation(mixed(waits, answered_before=before, seconds=8)))["unreachable"].finding is RuleStatus.GOOD
    )


def test_a_young_commit_is_on_its_way_and_no_alert_neither_a_recovery():
    readings = read_all(observation(behind(minutes=5)))
    assert readings["main_ahead"].finding is RuleStatus.CANNOT_TELL
    assert readings["flow"].finding is RuleStatus.GOOD


WORK = b.commit("e" * 40, b.ago(days=2), b.HEAD)
MERGE = b.commit("d" * 40, b.ago(minutes=3), b.HEAD, WORK.sha)


def merged(*builds: Deployment, **changed: object) -> Snapshot:
    """Work of two days ago was merged three minutes ago, and is not live."""
    branch = dataclasses.replace(b.snapshot().branch.value, commits=(MERGE, WORK, *b.COMMITS))
    required = RequiredCommit(MERGE.sha, RequiredFrom.BRANCH_HEAD, MERGE, on_branch=True)
    deployments = (*builds, *b.snapshot().deployments.value)
    return b.snapshot(branch=branch, required_commit=required, deployments=deployments, **changed)


def not_live(sha: str, minutes_ago: float, **fields: object) -> Deployment:
    at = b.ago(minutes=minutes_ago)
    failed = {"state": DeploymentState.ERROR, "substate": None, "ready_at": None}
    return b.deployment(f"dpl_{minutes_ago}", sha, at, **failed | fields)


@pytest.mark.parametrize(
    ("snapshot", "since"),
    [
        (merged(), None),
        (merged(not_live(MERGE.sha, 2)), None),
        (merged(not_live(MERGE.sha, 2), not_live(WORK.sha, 2 * 24 * 60, target=None)), None),
        (merged(not_live(MERGE.sha, 2), not_live("f" * 40, 90)), None),
        (merged(not_live(MERGE.sha, 2), not_live(WORK.sha, 50), not_live(WORK.sha, 40)), b.ago(minutes=50)),
        (behind(minutes=31), b.ago(minutes=31)),
    ],
    ids=["no build", "young build", "old preview", "old build of another branch", "old build", "old commit"],
)
def test_main_is_ahead_since_new_code_could_have_been_live_and_not_since_it_was_written(
    snapshot: Snapshot, since: datetime | None
):
    reading = read_all(observation(snapshot))["main_ahead"]
    assert (reading.finding, reading.story.since) == (RuleStatus.BAD if since else RuleStatus.CANNOT_TELL, since)
    if since:
        assert f"New code has waited since {since.astimezone(UTC):%H:%M}." in reading.story.message


def test_code_that_was_live_waits_since_it_was_rolled_back():
    old = b.FIX_BUILD
    project = dataclasses.replace(b.PROJECT, rollback_note=RollbackNote("sam", "It broke.", b.ago(minutes=12)))
    rolled_back = observation(
        b.snapshot(hostnames=(b.hostname(old, alias_moved_at=b.ago(minutes=12)),), project=project)
    )
    assert rolled_back.diagnosis.check(code.serving_commit).status is CheckStatus.FAIL
    assert read_all(rolled_back)["main_ahead"].finding is RuleStatus.CANNOT_TELL


def test_an_unreadable_flow_is_not_a_flow_that_recovered():
    blind = FIRES["blind"]
    assert blind.diagnosis.headline.state is HeadlineState.CANNOT_TELL
    assert read_all(blind)["flow"].finding is RuleStatus.CANNOT_TELL


def test_a_flow_of_which_something_is_unread_just_now_is_not_a_flow_that_recovered():
    silent = Failure(FailureKind.TIMEOUT, "The booking app did not answer.")
    behind_and_silent = dataclasses.replace(behind(), app_health=b.snapshot(app_health=silent).app_health)
    unread_link = b.snapshot(link_opening=silent)
    for seen in (b.snapshot(app_health=silent), behind_and_silent, unread_link):
        assert read_all(observation(seen))["flow"].finding is RuleStatus.CANNOT_TELL
    assert observation(unread_link).diagnosis.headline.state is HeadlineState.FLOWING


def test_what_our_keys_may_never_read_keeps_no_alert_about_the_flow_from_ending():
    forbidden = Failure(FailureKind.FORBIDDEN, "This key may not read alerts.")
    unconnected = Failure(FailureKind.NOT_CONFIGURED, "The booking app is not connected.")
    for seen in (b.snapshot(alerts=forbidden), failing(unconnected, SourceName.BOOKING_APP)):
        assert read_all(observation(seen))["flow"].finding is RuleStatus.GOOD


# The synthetic booking ------------------------------------------------------------------------------------


def read_probe(probe: Request | Unmade | None) -> RuleReading:
    return read_all(dataclasses.replace(observation(b.snapshot()), probe=probe))["probe"]


@pytest.mark.parametrize(
    ("snapshot", "finding"),
    [
        (b.snapshot(app_health=app_down()), RuleStatus.EXPLAINED),
        (b.snapshot(link_opening=LinkOpening("b", b.NOW, Landing.LOGIN, 200, ())), RuleStatus.EXPLAINED),
        (b.snapshot(account=TwilioAccount("AC", "suspended", "Full")), RuleStatus.EXPLAINED),
        (failing(REFUSED, SourceName.VERCEL), RuleStatus.BAD),
        (stuck_jobs(), RuleStatus.BAD),
    ],
    ids=["app down", "link broken", "suspended", "a key of ours", "degraded"],
)
def test_a_synthetic_booking_that_failed_is_sent_unless_a_problem_as_great_of_the_flow_is(
    snapshot: Snapshot, finding: RuleStatus
):
    failed = dataclasses.replace(observation(snapshot), probe=probe(RequestState.FAILED))
    assert read_all(failed)["probe"].finding is finding


def test_a_degraded_flow_explains_a_synthetic_booking_that_could_not_be_made():
    unmade = dataclasses.replace(observation(stuck_jobs()), probe=Unmade(b.NOW, "The event is not in the database."))
    assert read_all(unmade)["probe"].finding is RuleStatus.EXPLAINED


@pytest.mark.parametrize(
    ("state", "minutes_ago", "finding", "severity"),
    [
        (RequestState.SUCCEEDED, 0, RuleStatus.GOOD, None),
        (RequestState.FAILED, 0, RuleStatus.BAD, Severity.CRITICAL),
        (RequestState.REFUSED, 0, RuleStatus.BAD, Severity.WARNING),
        (RequestState.EXPIRED, 16, RuleStatus.BAD, Severity.WARNING),
        (RequestState.UNKNOWN, 5, RuleStatus.CANNOT_TELL, None),
        (RequestState.UNKNOWN, 11, RuleStatus.BAD, Severity.WARNING),
        (RequestState.WAITING, 11, RuleStatus.CANNOT_TELL, None),
        (RequestState.REQUESTED, 11, RuleStatus.CANNOT_TELL, None),
        (RequestState.LOCKED, 0, RuleStatus.CANNOT_TELL, None),
        (RequestState.STARTED, 3, RuleStatus.CANNOT_TELL, None),
        (RequestState.CANCELLED, 11, RuleStatus.CANNOT_TELL, None),
    ],
)
def test_a_synthetic_booking_is_good_only_if_it_was_seen_to_go_through(
    state: RequestState, minutes_ago: float, finding: RuleStatus, severity: Severity | None
):
    reading = read_probe(probe(state, minutes_ago))
    assert (reading.finding, reading.story.severity if severity else None) == (finding, severity)
    if finding is RuleStatus.BAD:
        story = reading.story
        assert reading.at_once and story.message and story.cause and story.next_step


def test_no_synthetic_booking_is_neither_a_failure_nor_a_recovery():
    assert read_probe(None).finding is RuleStatus.CANNOT_TELL


def test_where_no_synthetic_booking_is_asked_for_any_more_there_is_no_problem_with_them():
    reading = read_all(dataclasses.replace(observation(b.snapshot()), probes=False))["probe"]
    assert (reading.finding, reading.story.message) == (RuleStatus.GOOD, "No synthetic bookings are made any more.")


def test_a_synthetic_booking_that_could_not_be_made_is_a_failure_with_its_reason():
    reading = read_probe(Unmade(b.NOW, "The event is not in the database."))
    assert (reading.finding, reading.story.severity) == (RuleStatus.BAD, Severity.WARNING)
    assert reading.story.cause == "The synthetic booking could not be made: The event is not in the database."
    assert not reading.at_once, "it is tried again every round: a source that was silent once is no news"


# Our own connection --------------------------------------------------------------------------------------


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return int(port)


def settings_at(twilio: int, app: int):
    environ = {
        "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
        "TWILIO_AUTH_TOKEN": "x",
        "TWILIO_API_URL": f"http://127.0.0.1:{twilio}",
        "BOOKING_APP_URL": f"http://127.0.0.1:{app}",
    }
    return load(environ)


def test_we_are_offline_only_if_nothing_answers_and_nothing_takes_a_connection(taken: int, free: int):
    assert offline(all_unreachable(), settings_at(free, free))
    assert not offline(all_unreachable(), settings_at(free, taken))
    assert not offline(failing(UNREACHABLE, SourceName.TWILIO, SourceName.VERCEL), settings_at(free, free))
    assert not offline(failing(REFUSED, *SourceName), settings_at(free, free))


def test_we_are_offline_though_what_is_rarely_asked_answered_before_the_connection_was_lost(taken: int, free: int):
    lost = mixed(all_unreachable(), answered_before=RARELY_ASKED)
    assert offline(lost, settings_at(free, free))
    assert not offline(lost, settings_at(free, taken))
    days = since(all_unreachable(), minutes=60 * 24 * 3).alerts
    assert offline(dataclasses.replace(lost, alerts=days), settings_at(free, free))
    back = dataclasses.replace(lost, app_health=b.snapshot().app_health)
    assert not offline(back, settings_at(free, free))


def test_a_name_that_does_not_exist_cannot_be_reached():
    assert not reaches_any([("nowhere.invalid", 443)])
