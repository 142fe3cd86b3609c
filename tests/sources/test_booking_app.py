"""The booking app without a login: its start page, and where a confirmation link lands."""

from __future__ import annotations

import pytest

from lib.model.provider import Landing
from lib.model.reading import FailureKind
from lib.sources.booking_app import BookingApp
from lib.sources.http import Deadline, Http
from tests.sources import bodies
from tests.sources.bodies import BOOKING_TOKEN, LINK_CODE, NOW, OLD, PAGE
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted

PAGE_PATH = f"/booking-confirmation/{BOOKING_TOKEN}"


@pytest.fixture
def app(server: FakeServer, http: Http) -> BookingApp:
    server.tell_all(bodies.BOOKING_APP)
    return bodies.booking_app(server.url, http)


def to(location: str, status: int = 307) -> Scripted:
    return Scripted(status=status, headers={"Location": location})


def test_the_start_page_says_who_serves_it(app: BookingApp, soon: Deadline):
    health = app.health(soon).value
    assert (health.url_host, health.status_code, health.commit) == ("127.0.0.1", 200, OLD)
    assert (health.deployment_id, health.served_by_vercel) == ("dpl_old", True)


@pytest.mark.parametrize("answer", [to("/auth/login"), Scripted(status=401), Scripted(b"oops", 500)])
def test_any_answer_of_the_start_page_is_a_fact(answer: Scripted, app: BookingApp, server: FakeServer, soon: Deadline):
    server.tell("/", answer)
    health = app.health(soon).value
    assert (health.status_code, health.commit, health.served_by_vercel) == (answer.status, None, False)


@pytest.mark.parametrize(
    ("said", "error"), [("DEPLOYMENT_PAUSED", "DEPLOYMENT_PAUSED"), ("", None), ("<b>call +447400111222", None)]
)
def test_an_error_that_vercel_answers_itself_is_named(
    said: str, error: str | None, app: BookingApp, server: FakeServer, soon: Deadline
):
    server.tell("/", Scripted(b"", 503, headers={"X-Vercel-Error": said} if said else {}))
    health = app.health(soon).value
    assert (health.status_code, health.vercel_error) == (503, error)


def test_a_link_that_opens_without_a_login_lands_on_the_confirmation(
    app: BookingApp, server: FakeServer, soon: Deadline
):
    opening = app.open_link(f"{server.url}/l/{LINK_CODE}", "p1", soon).value
    assert (opening.landing, opening.status_code) == (Landing.CONFIRMATION, 200)
    assert (opening.pending_booking_id, opening.opened_at) == ("p1", NOW)
    assert opening.steps == ("127.0.0.1/l/…", "127.0.0.1/booking-confirmation/…")
    assert all("link check" in asked.headers["User-Agent"] for asked in server.asked)
    assert not any({"Cookie", "Authorization"} & set(asked.headers) for asked in server.asked)


def test_the_page_can_be_opened_without_its_short_link(app: BookingApp, server: FakeServer, soon: Deadline):
    assert app.confirmation_url(BOOKING_TOKEN) == server.url + PAGE_PATH
    assert app.open_link(app.confirmation_url(BOOKING_TOKEN), "p1", soon).value.landing is Landing.CONFIRMATION


META = b'<html><meta id="__next-page-redirect" http-equiv="refresh" content="1;url=/auth/login?x=1&amp;y=2"/></html>'


@pytest.mark.parametrize(
    ("page", "landing", "status"),
    [
        (to(f"/auth/login?redirectedFrom={PAGE_PATH}"), Landing.LOGIN, 200),
        (to("https://vercel.com/sso-api?url=x"), Landing.LOGIN, 307),
        (Scripted(META), Landing.LOGIN, 200),
        (Scripted(b"Authentication Required", 401), Landing.LOGIN, 401),
        (Scripted(b"gone", 404), Landing.NOT_FOUND, 404),
        (Scripted(b"gone", 410), Landing.NOT_FOUND, 410),
        (Scripted(b"no", 403), Landing.ERROR, 403),
        (Scripted(b"oops", 500), Landing.ERROR, 500),
        (Scripted(status=302), Landing.ERROR, 302),
        (to("/"), Landing.ELSEWHERE, 200),
        (to("https://elsewhere.example/"), Landing.ELSEWHERE, 307),
        (to("javascript:alert(1)"), Landing.ELSEWHERE, 307),
    ],
)
def test_where_a_link_lands_is_named(
    page: Scripted, landing: Landing, status: int, app: BookingApp, server: FakeServer, soon: Deadline
):
    server.tell(PAGE_PATH, page)
    server.tell("/auth/login", Scripted(PAGE))
    opening = app.open_link(f"{server.url}/l/{LINK_CODE}", "p1", soon).value
    assert (opening.landing, opening.status_code) == (landing, status)
    assert not any(secret in "".join(opening.steps) for secret in (BOOKING_TOKEN, LINK_CODE))


def test_redirects_that_never_end_are_an_error_of_the_link(app: BookingApp, server: FakeServer, soon: Deadline):
    server.tell(PAGE_PATH, to(PAGE_PATH))
    opening = app.open_link(server.url + PAGE_PATH, "p1", soon).value
    assert opening.landing is Landing.ERROR
    assert len(server.asked) == 9


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/l/abc",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://user:pass@127.0.0.1/",
        "http://127.0.0.1:1/",
    ],
)
def test_a_link_that_begins_elsewhere_is_not_opened(url: str, app: BookingApp, server: FakeServer, soon: Deadline):
    assert not app.may_open(url)
    assert failure_of(lambda: app.open_link(url, "p1", soon)).kind is FailureKind.FORBIDDEN
    assert not server.asked


@pytest.mark.parametrize("host", ["10.0.0.8", "192.168.1.1", "169.254.169.254", "127.0.0.1", "localhost", "[::1]"])
def test_no_private_address_is_asked_unless_the_app_is_on_this_machine(host: str, http: Http, soon: Deadline):
    public = bodies.booking_app("https://book.lantern-arms.example", http)
    assert (
        failure_of(lambda: public.open_link(f"http://{host}/l/abc", "p1", soon, hostnames=[host.strip("[]")])).kind
        is FailureKind.FORBIDDEN
    )


def test_a_production_hostname_may_be_opened_beside_the_apps_own(app: BookingApp, server: FakeServer):
    assert app.may_open(f"{server.url}/l/abc")
    assert app.may_open("https://Book.lantern-arms.example/l/abc", ["book.lantern-arms.example"])
    assert not app.may_open("https://book.lantern-arms.example/l/abc")


@pytest.mark.parametrize("url", ["http://[", "http://x:port/"])
def test_a_malformed_link_is_bad_data(url: str, app: BookingApp, soon: Deadline):
    assert not app.may_open(url)
    assert failure_of(lambda: app.open_link(url, "p1", soon)).kind is FailureKind.BAD_DATA


def test_the_steps_of_an_app_in_a_folder_are_its_own_paths(server: FakeServer, http: Http, soon: Deadline):
    server.tell(f"/app{PAGE_PATH}", Scripted(PAGE))
    app = bodies.booking_app(f"{server.url}/app", http)
    opening = app.open_link(app.confirmation_url(BOOKING_TOKEN), "p1", soon).value
    assert opening.landing is Landing.CONFIRMATION
    assert opening.steps == ("127.0.0.1/booking-confirmation/…",)
