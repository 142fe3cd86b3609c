"""What the desk can change outside: each write does what it says, once, and keeps "no" and "not known" apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from lib.model.deployments import DeploymentState
from lib.model.reading import FailureKind, SourceError
from lib.sandbox.releases import FIX
from lib.sandbox.serve import Running
from lib.sources.booking_app import BookingApp
from lib.sources.booking_writes import BookingWrites
from lib.sources.github import GitHub
from lib.sources.github_writes import BranchMovedError, GitHubWrites
from lib.sources.http import Deadline, Http, OutcomeUnknownError
from lib.sources.vercel import Vercel
from lib.sources.vercel_writes import VercelWrites
from tests.sandbox.twins import build_quickly
from tests.sources import bodies
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json
from tests.waiting import wait_until

Play = Callable[[str], dict[str, str]]
Fault = Callable[..., None]
Send = Callable[[str, Http, Deadline], object]

on_the_sandbox = pytest.mark.sandbox
NEWCOMER = "+447400123456"
DRAMA = "+447700900123"
REPO = f"/repos/{bodies.REPOSITORY}"
HEAD = "a" * 40


@pytest.fixture
def vercel(sandbox: Running, http: Http) -> Vercel:
    keys = sandbox.world.credentials
    return Vercel(
        http=http,
        base_url=f"{sandbox.world.base_url}/vercel",
        token=SecretStr(keys.vercel_token),
        project_id=keys.vercel_project_id,
        team_id=keys.vercel_team_id,
    )


@pytest.fixture
def github(sandbox: Running, http: Http) -> GitHub:
    keys = sandbox.world.credentials
    return GitHub(
        http=http,
        base_url=f"{sandbox.world.base_url}/github",
        repository_name=keys.github_repository,
        token=SecretStr(keys.github_token),
    )


@pytest.fixture
def booking(sandbox: Running, http: Http) -> BookingWrites:
    return BookingWrites(BookingApp(http=http, base_url=f"{sandbox.world.base_url}/app"))


@pytest.fixture
def api_key(sandbox: Running) -> SecretStr:
    return SecretStr(sandbox.world.credentials.booking_api_key)


@pytest.fixture
def count(sandbox: Running) -> Callable[[str], int]:
    """How many rows there are of something in the twins' own state."""

    def counted(table: str) -> int:
        with sandbox.world.connection() as connection:
            row = connection.execute(f"select count(*) as n from {table}").fetchone()  # type: ignore[arg-type]
            return int(row["n"]) if row else 0

    return counted


def project_name(vercel: Vercel, soon: Deadline) -> str:
    return vercel.project(soon).value.name


def serving(vercel: Vercel, soon: Deadline) -> set[str | None]:
    return {host.serving_commit for host in vercel.hostnames(soon).value if host.redirect_to is None}


# Yes, no, or nobody knows ----------------------------------------------------------------------------------

SENDS: dict[str, Send] = {
    "vercel.redeploy": lambda url, http, d: VercelWrites(bodies.vercel(url, http)).redeploy(
        "dpl_1", "booking", d, request_id="r1"
    ),
    "vercel.deploy_commit": lambda url, http, d: VercelWrites(bodies.vercel(url, http)).deploy_commit(
        HEAD, "main", 7, "booking", d, request_id="r1"
    ),
    "vercel.promote": lambda url, http, d: VercelWrites(bodies.vercel(url, http)).promote("dpl_1", d),
    "vercel.roll_back": lambda url, http, d: VercelWrites(bodies.vercel(url, http)).roll_back("dpl_1", "why", d),
    "vercel.cancel": lambda url, http, d: VercelWrites(bodies.vercel(url, http)).cancel("dpl_1", d),
    "github.empty_commit": lambda url, http, d: GitHubWrites(bodies.github(url, http)).empty_commit(
        "main", HEAD, "Deploy again", d
    ),
    "booking.initiate": lambda url, http, d: BookingWrites(BookingApp(http=http, base_url=url)).initiate(
        "e1", NEWCOMER, SecretStr("booking-key-0123456789"), d
    ),
}
EACH = pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)


@EACH
@pytest.mark.parametrize(
    "answer",
    [
        Scripted(b"<h1>Bad Gateway</h1>", 502),
        Scripted(b"", 500),
        Scripted(b"{}", 504),
        Scripted(b"", 408),
        Scripted(b'{"id": "dpl_1"}' * 9, 201, cut=7),
        Scripted(b"junk", 200, {"Content-Encoding": "gzip"}),
    ],
    ids=["page", "500", "504", "408", "cut off", "not unpacked"],
)
def test_after_an_answer_that_says_neither_yes_nor_no_the_outcome_is_unknown(
    send: Send, answer: Scripted, server: FakeServer, http: Http, soon: Deadline
):
    server.everything = answer
    with pytest.raises(OutcomeUnknownError):
        send(server.url, http, soon)
    assert len(server.asked) == 1, "a write is sent exactly once"


@EACH
def test_without_any_answer_the_outcome_is_unknown(send: Send, server: FakeServer, http: Http):
    server.everything = Scripted(waits=True)
    with pytest.raises(OutcomeUnknownError) as caught:
        send(server.url, http, Deadline(0.3))
    assert caught.value.kind is FailureKind.TIMEOUT and len(server.asked) == 1


@EACH
def test_an_address_where_nobody_listens_means_that_nothing_happened(
    send: Send, nobody: str, http: Http, soon: Deadline
):
    caught = failure_of(lambda: send(nobody, http, soon))
    assert not isinstance(caught, OutcomeUnknownError)


@EACH
def test_when_no_time_is_left_nothing_is_sent(send: Send, server: FakeServer, http: Http):
    caught = failure_of(lambda: send(server.url, http, Deadline(0)))
    assert not isinstance(caught, OutcomeUnknownError) and not server.asked


@EACH
@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 409, 422, 429])
def test_a_refusal_means_that_nothing_happened(
    send: Send, status: int, server: FakeServer, http: Http, soon: Deadline, request: pytest.FixtureRequest
):
    server.everything = as_json({"error": {"code": "conflict", "message": "Not now"}}, status, Location="/x")
    if "booking" in request.node.name and status not in (301,):
        assert not send(server.url, http, soon).made  # type: ignore[attr-defined] - the app's refusals are answers
    else:
        caught = failure_of(lambda: send(server.url, http, soon))
        assert not isinstance(caught, OutcomeUnknownError)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", ["vercel.redeploy", "vercel.deploy_commit", "vercel.cancel", "github.empty_commit"])
@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b"null"])
def test_a_yes_that_cannot_be_read_is_no_yes(name: str, body: bytes, server: FakeServer, http: Http, soon: Deadline):
    server.everything = Scripted(body, 200)
    with pytest.raises(OutcomeUnknownError):
        SENDS[name](server.url, http, soon)


def test_a_refusal_says_why_as_the_other_side_does(server: FakeServer, http: Http, soon: Deadline):
    message = "Another promote or rollback is in progress."
    server.everything = as_json({"error": {"code": "conflict", "message": message}}, 409)
    with pytest.raises(SourceError, match="refuses this") as caught:
        VercelWrites(bodies.vercel(server.url, http)).promote("dpl_1", soon)
    assert message.rstrip(".") in str(caught.value)


# Vercel ----------------------------------------------------------------------------------------------------


@on_the_sandbox
def test_a_redeploy_builds_the_same_commit_once_and_is_found_by_its_request(
    sandbox: Running, play: Play, vercel: Vercel, soon: Deadline, count: Callable[[str], int]
):
    play("missing-column")
    newest = vercel.deployments(soon).value[0]
    before, since = count("twin.deployments"), datetime.now(UTC)
    made = VercelWrites(vercel).redeploy(newest.id, project_name(vercel, soon), soon, request_id="req-1")
    assert made.id != newest.id and made.sha == newest.sha
    assert made.state is not None and made.state.in_progress
    assert count("twin.deployments") == before + 1
    found = vercel.made_for("req-1", since, soon)
    assert found is not None and (found.id, found.action, found.target) == (made.id, "redeploy", "production")
    assert vercel.made_for("req-2", since, soon) is None
    assert vercel.made_for("req-1", since + timedelta(hours=1), soon) is None


@on_the_sandbox
def test_an_exact_commit_is_deployed_without_a_push(
    sandbox: Running, play: Play, vercel: Vercel, soon: Deadline, count: Callable[[str], int]
):
    play("code-not-deployed")
    build_quickly(sandbox)
    link = vercel.project(soon).value.link
    assert link is not None and link.repo_id is not None
    pushes, since = count("twin.pushes"), datetime.now(UTC)
    made = VercelWrites(vercel).deploy_commit(
        FIX, "main", link.repo_id, project_name(vercel, soon), soon, request_id="req-1"
    )
    assert made.sha == FIX
    found = vercel.made_for("req-1", since, soon)
    assert found is not None and (found.id, found.source) == (made.id, "api-trigger-git-deploy")
    wait_until(lambda: serving(vercel, Deadline(10)) == {FIX})
    assert count("twin.pushes") == pushes


@on_the_sandbox
def test_promoting_moves_production_and_is_found_in_the_projects_last_move(play: Play, vercel: Vercel, soon: Deadline):
    play("not-promoted")
    newest, since = vercel.deployments(soon).value[0], datetime.now(UTC)
    accepted = VercelWrites(vercel).promote(newest.id, soon)
    assert (accepted.id, accepted.queued) == (newest.id, False)
    wait_until(lambda: serving(vercel, Deadline(10)) == {newest.sha})
    move = vercel.move_since("promote", newest.id, since, soon)
    assert move is not None and move.job_status == "succeeded"
    assert vercel.move_since("rollback", newest.id, since, soon) is None
    assert vercel.move_since("promote", newest.id, since + timedelta(hours=1), soon) is None


def test_a_promotion_behind_a_rolling_release_is_queued(server: FakeServer, http: Http, soon: Deadline):
    server.everything = Scripted(b"", 202)
    assert VercelWrites(bodies.vercel(server.url, http)).promote("dpl_1", soon).queued


@on_the_sandbox
def test_rolling_back_moves_the_hostnames_that_were_shown_and_says_why(play: Play, vercel: Vercel, soon: Deadline):
    play("healthy")
    candidate = next(d for d in vercel.deployments(soon).value if d.is_rollback_candidate)
    hostnames = {host.name for host in vercel.hostnames(soon).value if host.redirect_to is None}
    assert set(vercel.rollback_hostnames(candidate.id, soon)) == hostnames
    since = datetime.now(UTC)
    VercelWrites(vercel).roll_back(candidate.id, "The tills are down " + "x" * 300, soon)
    wait_until(lambda: serving(vercel, Deadline(10)) == {candidate.sha})
    assert vercel.move_since("rollback", candidate.id, since, soon) is not None
    project = vercel.project(soon).value
    assert project.auto_assign_custom_domains is False
    assert project.rollback_note is not None and project.rollback_note.description is not None
    assert project.rollback_note.description.startswith("The tills are down")


def test_the_reason_of_a_rollback_is_cut_where_vercel_would_refuse_it(server: FakeServer, http: Http, soon: Deadline):
    server.everything = Scripted(b"", 201)
    VercelWrites(bodies.vercel(server.url, http)).roll_back("dpl_1", "why " * 100, soon)
    assert len(server.asked[0].query["description"]) == 250


@on_the_sandbox
def test_a_build_is_cancelled_and_a_finished_one_is_not(sandbox: Running, play: Play, vercel: Vercel, soon: Deadline):
    play("healthy")
    writes, live = VercelWrites(vercel), vercel.deployments(soon).value[0]
    made = writes.redeploy(live.id, project_name(vercel, soon), soon, request_id="req-1")
    assert writes.cancel(made.id, soon).state is DeploymentState.CANCELED
    caught = failure_of(lambda: writes.cancel(live.id, soon))
    assert not isinstance(caught, OutcomeUnknownError) and "READY" in str(caught)


@on_the_sandbox
def test_a_deployment_whose_answer_was_lost_is_found_and_one_that_was_never_made_is_not(
    play: Play, vercel: Vercel, soon: Deadline, fault: Fault, count: Callable[[str], int]
):
    play("healthy")
    newest, name = vercel.deployments(soon).value[0], project_name(vercel, soon)
    before, since = count("twin.deployments"), datetime.now(UTC)
    for spoilt, request_id, made in (({"body": "html"}, "lost", 1), ({"refuse": True}, "never", 0)):
        fault("vercel", **spoilt)
        with pytest.raises(OutcomeUnknownError):
            VercelWrites(vercel).redeploy(newest.id, name, soon, request_id=request_id)
        fault("vercel", rate=0)
        assert (vercel.made_for(request_id, since, soon) is not None) is bool(made)
    assert count("twin.deployments") == before + 1


def test_a_deployment_is_not_taken_for_ours_because_the_filter_was_not_heeded(
    server: FakeServer, http: Http, soon: Deadline
):
    vercel = bodies.vercel(server.url, http)
    others = bodies.listed("dpl_9", FIX, bodies.ms(10))
    ours = others | {"uid": "dpl_1", "meta": {"switchboardRequest": "r1"}}
    again = ours | {"uid": "dpl_2", "created": bodies.ms(20), "createdAt": bodies.ms(20)}
    server.tell("/v7/deployments", as_json({"deployments": [others]}), as_json({"deployments": [again, others, ours]}))
    assert vercel.made_for("r1", bodies.NOW, soon) is None
    found = vercel.made_for("r1", bodies.NOW, soon)
    assert found is not None and found.id == "dpl_1", "the first with the mark: a later redeploy may carry it too"


# GitHub ----------------------------------------------------------------------------------------------------


@on_the_sandbox
def test_an_empty_commit_goes_on_the_head_that_was_seen_and_starts_a_build(
    play: Play, github: GitHub, vercel: Vercel, soon: Deadline, count: Callable[[str], int]
):
    play("code-not-deployed")
    head, pushes, builds = github.head_of("main", soon), count("twin.pushes"), count("twin.deployments")
    sha = GitHubWrites(github).empty_commit("main", head, "Deploy again\n\nAsked for by request req-1", soon)
    newest = github.branch("main", soon).value.head
    assert (newest.sha, newest.parents, newest.headline, newest.verified) == (sha, (head,), "Deploy again", True)
    assert github.tree_of(sha, soon) == github.tree_of(head, soon), "it changes nothing"
    assert (count("twin.pushes"), count("twin.deployments")) == (pushes + 1, builds + 1)
    assert vercel.deployments(soon).value[0].sha == sha


@on_the_sandbox
def test_a_branch_that_moved_is_refused_and_nothing_is_committed(
    play: Play, github: GitHub, soon: Deadline, count: Callable[[str], int]
):
    play("code-not-deployed")
    stale = github.branch("main", soon).value.commits[1].sha
    commits = count("twin.commits")
    for write in (GitHubWrites(github).empty_commit, GitHubWrites(github)._through_rest):
        with pytest.raises(BranchMovedError, match="main is no longer at"):
            write("main", stale, "Deploy again", soon)
    assert count("twin.commits") == commits


@on_the_sandbox
def test_without_graphql_the_rest_api_does_the_same(
    play: Play, github: GitHub, sandbox: Running, http: Http, soon: Deadline, count: Callable[[str], int]
):
    play("code-not-deployed")
    head, pushes = github.head_of("main", soon), count("twin.pushes")
    sha = GitHubWrites(github)._through_rest("main", head, "Deploy again", soon)
    assert github.head_of("main", soon) == sha and github.tree_of(sha, soon) == github.tree_of(head, soon)
    assert count("twin.pushes") == pushes + 1


def rest_only(server: FakeServer, **answers: Any) -> None:
    server.tell_all(
        {
            f"{REPO}/git/ref/heads/main": {"object": {"sha": HEAD}},
            f"{REPO}/git/commits/{HEAD}": {"tree": {"sha": "tree"}},
            f"{REPO}/git/commits": answers.get("commit", as_json({"sha": "b" * 40}, 201)),
            f"{REPO}/git/refs/heads/main": answers.get("ref", {"object": {"sha": "b" * 40}}),
        }
    )


def test_where_there_is_no_graphql_the_rest_api_is_used_and_never_forced(
    server: FakeServer, http: Http, soon: Deadline
):
    rest_only(server)
    sha = GitHubWrites(bodies.github(server.url, http)).empty_commit("main", HEAD, "Deploy again", soon)
    assert sha == "b" * 40
    (moved,) = server.asked_for(f"{REPO}/git/refs/heads/main")
    assert (moved.method, moved.body) == ("PATCH", b'{"sha": "' + b"b" * 40 + b'", "force": false}')


def test_a_push_in_between_is_no_fast_forward_and_is_a_moved_branch(server: FakeServer, http: Http, soon: Deadline):
    rest_only(server, ref=as_json({"message": "Update is not a fast forward"}, 422))
    with pytest.raises(BranchMovedError):
        GitHubWrites(bodies.github(server.url, http)).empty_commit("main", HEAD, "Deploy again", soon)


def test_a_rule_that_forbids_the_push_is_reported_as_github_says_it(server: FakeServer, http: Http, soon: Deadline):
    rest_only(server, ref=as_json({"message": "Repository rule violations found"}, 422))
    with pytest.raises(SourceError, match="Repository rule violations found") as caught:
        GitHubWrites(bodies.github(server.url, http)).empty_commit("main", HEAD, "Deploy again", soon)
    assert not isinstance(caught.value, BranchMovedError | OutcomeUnknownError)


def test_a_commit_that_may_have_been_made_but_hangs_on_no_branch_has_changed_nothing(
    server: FakeServer, http: Http, soon: Deadline
):
    rest_only(server, commit=Scripted(b"", 502))
    with pytest.raises(SourceError, match="main was not touched") as caught:
        GitHubWrites(bodies.github(server.url, http)).empty_commit("main", HEAD, "Deploy again", soon)
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert not server.asked_for(f"{REPO}/git/refs/heads/main")


@pytest.mark.parametrize(
    ("error", "unknown"),
    [
        ({"type": "UNPROCESSABLE", "message": "Repository rule violations found"}, False),
        ({"type": "FORBIDDEN", "message": "Resource not accessible by personal access token"}, False),
        ({"extensions": {"code": "undefinedField"}, "message": "Field does not exist"}, False),
        ({"message": "Something went wrong while executing your query. This may be the result of a timeout"}, True),
        ({"type": "INTERNAL", "message": "Oops"}, True),
    ],
)
def test_graphqls_refusals_and_its_failures_are_different(
    error: dict[str, Any], unknown: bool, server: FakeServer, http: Http, soon: Deadline
):
    server.tell("/graphql", as_json({"data": {"createCommitOnBranch": None}, "errors": [error]}))
    caught = failure_of(
        lambda: GitHubWrites(bodies.github(server.url, http)).empty_commit("main", HEAD, "Deploy again", soon)
    )
    assert isinstance(caught, OutcomeUnknownError) is unknown
    assert [asked.path for asked in server.asked] == ["/graphql"]


def test_on_github_enterprise_graphql_is_beside_v3(server: FakeServer, http: Http, soon: Deadline):
    server.tell("/api/graphql", as_json({"data": {"createCommitOnBranch": {"commit": {"oid": "b" * 40}}}}))
    writes = GitHubWrites(bodies.github(f"{server.url}/api/v3", http))
    assert writes.empty_commit("main", HEAD, "Deploy again", soon) == "b" * 40


# The booking app -------------------------------------------------------------------------------------------


@on_the_sandbox
def test_a_booking_is_asked_for_once_and_the_answer_is_returned(
    play: Play,
    booking: BookingWrites,
    api_key: SecretStr,
    sandbox: Running,
    soon: Deadline,
    count: Callable[[str], int],
):
    play("healthy")
    pending, texts = count("public.pending_bookings"), count("twin.texts")
    answer = booking.initiate(sandbox.world.credentials.test_event_id, NEWCOMER, api_key, soon)
    assert (answer.status, answer.made, answer.sms_sent, answer.customer_exists) == (201, True, True, False)
    assert answer.token is not None and answer.confirmation_url is not None and answer.request_id is not None
    assert answer.token.get_secret_value() in answer.confirmation_url.get_secret_value()
    assert answer.expires_at is not None and answer.expires_at > datetime.now(UTC) + timedelta(hours=23)
    assert answer.token.get_secret_value() not in repr(answer), "what opens the booking is not shown by accident"
    assert (count("public.pending_bookings"), count("twin.texts")) == (pending + 1, texts + 1)


@on_the_sandbox
def test_a_booking_without_a_text_says_so(
    play: Play, booking: BookingWrites, api_key: SecretStr, sandbox: Running, soon: Deadline
):
    play("healthy")
    answer = booking.initiate(sandbox.world.credentials.test_event_id, DRAMA, api_key, soon)
    assert (answer.made, answer.sms_sent) == (True, False)
    assert "sent no text" in answer.message


@on_the_sandbox
@pytest.mark.parametrize(
    ("event", "mobile", "key", "status", "code"),
    [
        (None, "12", None, 400, "VALIDATION_ERROR"),
        ("no-uuid", NEWCOMER, None, 400, "VALIDATION_ERROR"),
        ("00000000-0000-4000-8000-0000000000ff", NEWCOMER, None, 404, "NOT_FOUND"),
        (None, NEWCOMER, "another-key-that-nobody-knows", 401, None),
    ],
)
def test_each_documented_refusal_is_an_answer_in_plain_english(
    event: str | None,
    mobile: str,
    key: str | None,
    status: int,
    code: str | None,
    play: Play,
    booking: BookingWrites,
    api_key: SecretStr,
    sandbox: Running,
    soon: Deadline,
    count: Callable[[str], int],
):
    play("healthy")
    pending = count("public.pending_bookings")
    answer = booking.initiate(
        event or sandbox.world.credentials.test_event_id, mobile, SecretStr(key) if key else api_key, soon
    )
    assert (answer.status, answer.error_code, answer.made, answer.may_have_left_something) == (
        status,
        code,
        False,
        False,
    )
    assert answer.message.endswith(".") and str(status) not in answer.message
    assert count("public.pending_bookings") == pending


@on_the_sandbox
def test_an_app_that_fails_half_way_may_have_left_something_behind(
    play: Play, booking: BookingWrites, api_key: SecretStr, sandbox: Running, soon: Deadline
):
    play("api-500")
    answer = booking.initiate(sandbox.world.credentials.test_event_id, NEWCOMER, api_key, soon)
    assert (answer.status, answer.error_code, answer.may_have_left_something) == (500, "DATABASE_ERROR", True)
    assert "left behind" in answer.message


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "EVENT_FULL", "full"),
        (400, "EVENT_NOT_AVAILABLE", "not open"),
        (400, "SMS_OPT_OUT", "opted out"),
        (403, "FORBIDDEN", "write:bookings"),
        (429, "RATE_LIMIT_EXCEEDED", "hourly limit"),
        (500, "SYSTEM_ERROR", "does not say where"),
        (418, "SOMETHING_NEW", "refused the booking (418)"),
    ],
)
def test_other_documented_refusals_have_a_message_too(
    status: int, code: str, message: str, server: FakeServer, http: Http, soon: Deadline
):
    error = {"success": False, "error": {"code": code, "message": f"No: {DRAMA} with booking-key-0123456789"}}
    server.everything = as_json(error, status)
    answer = SENDS["booking.initiate"](server.url, http, soon)
    assert message in answer.message  # type: ignore[attr-defined]
    assert DRAMA not in repr(answer) and "booking-key" not in repr(answer)


def test_both_headers_carry_the_key(server: FakeServer, http: Http, soon: Deadline):
    server.everything = as_json({"booking_token": "t", "sms_sent": True}, 201)
    SENDS["booking.initiate"](server.url, http, soon)
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/bookings/initiate")
    assert asked.headers["Authorization"] == "Bearer booking-key-0123456789"
    assert asked.headers["X-API-Key"] == "booking-key-0123456789"
    assert asked.body == b'{"event_id": "e1", "mobile_number": "+447400123456"}'


def test_a_redirect_is_not_followed_with_the_key(server: FakeServer, http: Http, soon: Deadline):
    server.everything = Scripted(b"", 307, {"Location": "/elsewhere"})
    with pytest.raises(SourceError, match="sent us elsewhere"):
        SENDS["booking.initiate"](server.url, http, soon)
    assert len(server.asked) == 1
