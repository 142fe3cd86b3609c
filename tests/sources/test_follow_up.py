"""Readings that need another's answer first: what they ask about, and what they do without."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from lib.model import frames
from lib.model.deployments import (
    Branch,
    Commit,
    Comparison,
    Deployment,
    DeploymentState,
    GitLink,
    Hostname,
    Project,
    RequiredCommit,
    RequiredFrom,
)
from lib.model.provider import Landing
from lib.model.reading import Failure, FailureKind, Observed, Reading, SourceError, SourceName
from lib.sources import follow_up
from lib.sources.http import Deadline, Http
from tests.sources import bodies
from tests.sources.bodies import NOW, SID
from tests.sources.fake_server import FakeServer, as_json

TEXT_PATH = f"/2010-04-01/Accounts/{bodies.ACCOUNT}/Messages/{{}}.json"
RECORDED_ONLY = "SM" + "2" * 32
UNKNOWN_TO_TWILIO = "SM" + "3" * 32
STRAY = "5" * 40
COMPARE = f"/repos/{bodies.REPOSITORY}/compare"


def reading(name: str, value: Any = None, failure: FailureKind | None = None) -> Reading[Any]:
    return Reading(
        name,
        SourceName.TWILIO,
        NOW,
        1.0,
        timedelta(minutes=1),
        value,
        Failure(failure, "It is down.", "Wait.") if failure else None,
    )


def rows(schema: Any, *given: dict[str, Any]) -> Any:
    created = {"created_at": NOW.isoformat(), "metadata_state": "null", "status": "sent", "direction": "outbound-api"}
    return frames.frame(schema, [{"id": str(n)} | created | row for n, row in enumerate(given)])


# Texts that only the database knows ------------------------------------------------------------------------


def known_texts(server: FakeServer, http: Http, **readings: Reading[Any]) -> set[str]:
    given = {
        "texts": reading("texts", rows(frames.TEXTS, {"sid": SID})),
        "messages": reading("messages", rows(frames.MESSAGES)),
        "pending_bookings": reading("pending_bookings", rows(frames.PENDING_BOOKINGS)),
    } | readings
    return set(follow_up.known_texts(bodies.twilio(server.url, http), given, Deadline(10)).value["sid"])


def recorded(*sids: str | None) -> Reading[Any]:
    return reading("messages", rows(frames.MESSAGES, *({"message_sid": sid} for sid in sids)))


def test_only_texts_that_twilio_did_not_list_are_asked_for(server: FakeServer, http: Http):
    listed = bodies.TWILIO[TEXT_PATH.format(SID)]
    server.tell(TEXT_PATH.format(RECORDED_ONLY), as_json(listed | {"sid": RECORDED_ONLY}))
    pending = reading("pending_bookings", rows(frames.PENDING_BOOKINGS, {"sms_sid": UNKNOWN_TO_TWILIO}, {}))
    found = known_texts(
        server, http, messages=recorded(SID, RECORDED_ONLY, None, "local-fail-1"), pending_bookings=pending
    )
    assert found == {RECORDED_ONLY}, "the other one is unknown to Twilio"
    assert {asked.path for asked in server.asked} == {TEXT_PATH.format(s) for s in (RECORDED_ONLY, UNKNOWN_TO_TWILIO)}


def test_nothing_unknown_asks_nobody(server: FakeServer, http: Http):
    assert known_texts(server, http, messages=recorded(SID)) == set()
    assert server.asked == []


@pytest.mark.parametrize("unread", ["messages", "pending_bookings"])
def test_one_unread_table_leaves_the_other_one_s_texts(server: FakeServer, http: Http, unread: str):
    pending = reading("pending_bookings", rows(frames.PENDING_BOOKINGS, {"sms_sid": RECORDED_ONLY}))
    given = {"messages": recorded(RECORDED_ONLY), "pending_bookings": pending}
    known_texts(server, http, **given | {unread: reading(unread, failure=FailureKind.TIMEOUT)})
    assert len(server.asked) == 1


def test_without_twilio_s_log_nothing_can_be_held_against_it(server: FakeServer, http: Http):
    with pytest.raises(SourceError):
        known_texts(server, http, texts=reading("texts", failure=FailureKind.TIMEOUT))


# The newest link -------------------------------------------------------------------------------------------

OPEN, CLOSED = bodies.BOOKING_TOKEN, "11111111-2222-4333-8444-555555555555"
LATER, EARLIER = (NOW + timedelta(hours=1)).isoformat(), (NOW - timedelta(hours=1)).isoformat()


def opened(server: FakeServer, http: Http, *bookings: dict[str, Any], **readings: Reading[Any]) -> Any:
    server.tell_all(bodies.BOOKING_APP)
    given = {
        "pending_bookings": reading("pending_bookings", rows(frames.PENDING_BOOKINGS, *bookings)),
        "short_links": reading(
            "short_links", rows(frames.SHORT_LINKS, {"short_code": bodies.LINK_CODE, "token": OPEN, "click_count": 1})
        ),
        "texts": reading(
            "texts",
            rows(
                frames.TEXTS,
                {"sid": SID, "link_code": bodies.LINK_CODE, "link_url": f"{server.url}/l/{bodies.LINK_CODE}"},
            ),
        ),
        "hostnames": reading("hostnames", ()),
    }
    return follow_up.link_opening(bodies.booking_app(server.url, http), given | readings, Deadline(10)).value


def test_the_link_is_opened_as_it_stood_in_the_text(server: FakeServer, http: Http):
    opening = opened(server, http, {"token": OPEN, "expires_at": LATER})
    assert opening.landing is Landing.CONFIRMATION and opening.as_texted
    assert server.asked[0].path == f"/l/{bodies.LINK_CODE}"


@pytest.mark.parametrize("clicks", [0, None])
def test_a_link_that_nobody_opened_yet_is_not_opened_by_us_for_the_app_would_count_it(
    server: FakeServer, http: Http, clicks: int | None
):
    link = {"short_code": bodies.LINK_CODE, "token": OPEN, "click_count": clicks}
    links = reading("short_links", rows(frames.SHORT_LINKS, link))
    opening = opened(server, http, {"token": OPEN, "expires_at": LATER}, short_links=links)
    assert opening.landing is Landing.CONFIRMATION and not opening.as_texted
    assert [asked.path for asked in server.asked] == [f"/booking-confirmation/{OPEN}"]


def test_of_the_links_that_were_opened_before_the_newest_is_opened(server: FakeServer, http: Http):
    newer = {"id": "newer", "token": "22222222-2222-4333-8444-555555555555", "expires_at": LATER}
    opening = opened(server, http, {"id": "older", "token": OPEN, "expires_at": LATER}, newer)
    assert opening.pending_booking_id == "older"


@pytest.mark.parametrize("unread", ["short_links", "texts"])
def test_a_link_whose_text_is_unread_is_opened_directly(server: FakeServer, http: Http, unread: str):
    failed = {unread: reading(unread, failure=FailureKind.TIMEOUT)}
    opening = opened(server, http, {"token": OPEN, "expires_at": LATER}, **failed)
    assert opening.landing is Landing.CONFIRMATION
    assert [asked.path for asked in server.asked] == [f"/booking-confirmation/{OPEN}"]


def test_a_link_of_another_host_is_not_opened(server: FakeServer, http: Http):
    texts = rows(
        frames.TEXTS, {"sid": SID, "link_code": bodies.LINK_CODE, "link_url": "https://stranger.example/l/Xk29ab"}
    )
    opened(server, http, {"token": OPEN, "expires_at": LATER}, texts=reading("texts", texts))
    assert [asked.path for asked in server.asked] == [f"/booking-confirmation/{OPEN}"]


@pytest.mark.parametrize(
    "booking",
    [
        {"token": CLOSED, "expires_at": EARLIER},
        {"token": CLOSED, "expires_at": LATER, "confirmed_at": EARLIER},
        {"token": None, "expires_at": LATER},
    ],
)
def test_a_link_that_has_ended_or_was_used_is_not_opened(server: FakeServer, http: Http, booking: dict[str, Any]):
    assert opened(server, http, booking) is None
    assert server.asked == []
    assert opened(server, http, {"token": OPEN, "expires_at": LATER}, booking).landing is Landing.CONFIRMATION


# Builds and commits ----------------------------------------------------------------------------------------


def newest(server: FakeServer, http: Http, **facts: Any) -> Deployment:
    server.tell_all(bodies.VERCEL)
    found = bodies.vercel(server.url, http).deployments(Deadline(10)).value
    server.asked.clear()
    return replace(found[0], **facts)


@pytest.mark.parametrize("state", [DeploymentState.ERROR, DeploymentState.BUILDING])
def test_the_log_of_a_build_that_failed_or_is_under_way_is_read(server: FakeServer, http: Http, state: DeploymentState):
    build = newest(server, http, target="production", state=state)
    log = follow_up.build_log(bodies.vercel(server.url, http), (build,), Deadline(10)).value
    assert log is not None and server.asked[0].path == f"/v3/deployments/{build.id}/events"


def test_the_log_of_a_build_that_is_fine_or_a_preview_is_not_read(server: FakeServer, http: Http):
    fine = newest(server, http, target="production", state=DeploymentState.READY)
    failed_before = newest(server, http, target="production", state=DeploymentState.ERROR)
    preview = newest(server, http, target=None, state=DeploymentState.ERROR)
    for found in ((fine, failed_before), (preview, fine), (preview,), ()):
        assert follow_up.build_log(bodies.vercel(server.url, http), found, Deadline(10)).value is None
    assert server.asked == []


def production(branch: str | None, *built_from: str | None, kind: str = "github") -> dict[str, Reading[Any]]:
    link = GitLink(kind, "inn", "booking", 7, branch, 0)
    project = Project("prj", "booking", None, link, True, root_directory="apps/web")
    builds = tuple(
        Deployment(f"dpl_{n}", "", DeploymentState.READY, NOW, branch=name, source="git")
        for n, name in enumerate(built_from)
    )
    return {"project": reading("project", project), "deployments": reading("deployments", builds)}


@pytest.mark.parametrize(
    ("given", "branch"),
    [
        (production("release", "release", "feature"), "release"),
        (production("release"), "release"),  # nothing was built yet
        (production("release", "main"), None),  # the setting was just changed: production came from elsewhere
        (production(None, "main"), None),
        (production("release", "release", kind="gitlab"), None),
        (production("release", "release") | {"project": reading("project", failure=FailureKind.TIMEOUT)}, None),
        (
            production("release", "main") | {"deployments": reading("deployments", failure=FailureKind.TIMEOUT)},
            "release",
        ),
    ],
)
def test_the_production_branch_is_the_one_that_vercel_builds_from(given: dict[str, Any], branch: str | None):
    assert follow_up.production_branch(given) == branch


def test_vercel_json_is_read_in_the_projects_root_directory(server: FakeServer, http: Http):
    server.tell_all(bodies.GITHUB)
    github = bodies.github(server.url, http)
    given = production("main", "main") | {
        "branch": reading("branch", github.branch(None, Deadline(10)).value),
        "required_commit": reading("required_commit", github.required_commit(None, Deadline(10)).value),
    }
    follow_up.vercel_signs(github, given, Deadline(10))
    assert any(asked.path.endswith("/contents/apps/web/vercel.json") for asked in server.asked)


def comparisons(server: FakeServer, http: Http, *serving: str | None) -> list[str]:
    server.tell_all(bodies.GITHUB)
    server.tell_all({f"{COMPARE}/{STRAY}...{bodies.FIX}": bodies.GITHUB[f"{COMPARE}/{bodies.OLD}...main"]})
    github = bodies.github(server.url, http)
    given = {
        "branch": reading("branch", github.branch(None, Deadline(10)).value),
        "required_commit": reading("required_commit", github.required_commit(None, Deadline(10)).value),
        "hostnames": reading("hostnames", tuple(host(server, http, sha) for sha in serving)),
    }
    server.asked.clear()
    follow_up.comparisons(github, given, Deadline(10))
    return [asked.path for asked in server.asked]


def host(server: FakeServer, http: Http, sha: str | None) -> Hostname:
    served = newest(server, http, sha=sha)
    return Hostname(f"{sha}.example", deployment=served)


def test_commits_that_the_branch_explains_are_not_compared(server: FakeServer, http: Http):
    assert comparisons(server, http, bodies.FIX, None) == []


MERGED = (  # by date: the wanted commit was written before the serving one, and merged after it
    Commit("1" * 40, "merge", None, bodies.NOW, ("2" * 40, "3" * 40)),
    Commit("2" * 40, "serving", None, bodies.NOW, ("4" * 40,)),
    Commit("3" * 40, "wanted", None, bodies.NOW, ("4" * 40,)),
    Commit("4" * 40, "both began here", None, bodies.NOW, ("6" * 40,)),
)


def compared(
    server: FakeServer, http: Http, serving: tuple[str, ...], sha: str, **fields: Any
) -> Observed[tuple[Comparison, ...]]:
    required = RequiredCommit(sha, RequiredFrom.SETTING, None, on_branch=True, **fields)
    given = {
        "branch": reading("branch", Branch("main", MERGED, protected=None)),
        "required_commit": reading("required_commit", required),
        "hostnames": reading("hostnames", tuple(host(server, http, sha) for sha in serving)),
    }
    server.asked.clear()
    return follow_up.comparisons(bodies.github(server.url, http), given, Deadline(10))


def tell_comparison(server: FakeServer, base: str, head: str) -> None:
    said = {"status": "diverged", "ahead_by": 1, "behind_by": 1, "files": []}
    server.tell(f"{COMPARE}/{base}...{head}", as_json(said))


def test_a_commit_is_compared_where_a_walk_along_parents_does_not_tell(server: FakeServer, http: Http):
    serving, wanted, merge = "2" * 40, "3" * 40, "1" * 40
    tell_comparison(server, serving, wanted)
    assert [one.status for one in compared(server, http, (serving, merge), wanted).value] == ["diverged"]
    assert [asked.path for asked in server.asked] == [f"{COMPARE}/{serving}...{wanted}"]


def test_what_a_pull_request_became_is_compared_as_well(server: FakeServer, http: Http):
    tell_comparison(server, STRAY, "3" * 40)
    tell_comparison(server, STRAY, "2" * 40)
    found = compared(server, http, (STRAY,), "3" * 40, merged_as="2" * 40)
    assert {one.head for one in found.value} == {"2" * 40, "3" * 40}


def test_a_commit_that_github_has_forgotten_costs_itself_alone(server: FakeServer, http: Http):
    forgotten, wanted = "e" * 40, "3" * 40
    tell_comparison(server, STRAY, wanted)
    found = compared(server, http, (STRAY, forgotten), wanted)
    assert [one.base for one in found.value] == [STRAY]
    assert [caveat.subject for caveat in found.caveats] == [forgotten]
    with pytest.raises(SourceError):
        compared(server, http, (forgotten,), wanted)


def test_a_commit_that_is_not_on_the_branch_is_compared_once(server: FakeServer, http: Http):
    assert comparisons(server, http, STRAY, STRAY, bodies.FIX) == [f"{COMPARE}/{STRAY}...{bodies.FIX}"]
