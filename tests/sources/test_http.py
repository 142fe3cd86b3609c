"""The session that all sources share: time, retries, limits, redirects, ETags."""

from __future__ import annotations

import gzip
import socket
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from lib.model.reading import FailureKind, SourceError
from lib.sources.http import Deadline, Http, HttpError, is_loopback, join, retrying, together
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json

NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)


class Naps:
    """Counts how long was slept instead of sleeping, and moves the clock on by as much."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)

    def clock(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.taken))


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def patient(naps: Naps) -> Http:
    return Http(clock=naps.clock, sleep=naps)


def read(http: Http, url: str, deadline: Deadline | None = None, **more: object) -> object:
    return http.get_json(url, system="Vercel", deadline=deadline or Deadline(10), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_read_is_tried_again_while_the_fault_may_pass(status: int, server: FakeServer, patient: Http):
    server.tell("/a", as_json({}, status), as_json({}, status), as_json({"ok": True}))
    assert read(patient, server.url + "/a") == {"ok": True}
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_a_read_is_not_tried_again_where_that_cannot_help(status: int, server: FakeServer, patient: Http):
    server.tell("/a", as_json({}, status))
    with pytest.raises(HttpError) as caught:
        read(patient, server.url + "/a")
    assert caught.value.status == status
    assert len(server.asked) == 1


def test_a_read_is_tried_at_most_four_times(server: FakeServer, patient: Http):
    server.tell("/a", as_json({}, 503))
    with pytest.raises(SourceError):
        read(patient, server.url + "/a")
    assert len(server.asked) == 4


def test_an_answer_that_breaks_off_is_asked_for_again(server: FakeServer, patient: Http):
    server.tell("/a", Scripted(b'{"ok": true}', cut=3), as_json({"ok": True}))
    assert read(patient, server.url + "/a") == {"ok": True}


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("fault", [Scripted(b"{}", 503), Scripted(b"{}", 429), Scripted(b"{}" * 9, cut=2)])
def test_a_write_is_never_sent_twice(method: str, fault: Scripted, server: FakeServer, patient: Http):
    server.tell("/a", fault, as_json({}))
    with pytest.raises(SourceError):
        patient.send_json(method, server.url + "/a", {"x": 1}, system="Vercel", deadline=Deadline(10))
    assert [asked.method for asked in server.asked] == [method]


def test_a_write_that_got_no_answer_says_that_its_outcome_is_unknown(server: FakeServer, http: Http):
    server.tell("/a", Scripted(waits=True))
    caught = failure_of(lambda: http.send_json("POST", server.url + "/a", {}, system="Vercel", deadline=Deadline(0.2)))
    assert caught.kind is FailureKind.TIMEOUT
    assert "not known" in str(caught)


def test_a_write_returns_its_status_and_body_even_if_that_is_empty(server: FakeServer, http: Http):
    server.tell("/a", Scripted(status=204))
    server.tell("/b", as_json({"job": 1}, 202))
    empty = http.send_json("DELETE", server.url + "/a", system="Vercel", deadline=Deadline(10))
    queued = http.send_json("POST", server.url + "/b", {"a": 1}, system="Vercel", deadline=Deadline(10))
    assert (empty.status, empty.json("Vercel")) == (204, None)
    assert (queued.status, queued.json("Vercel")) == (202, {"job": 1})
    assert server.asked[-1].body == b'{"a": 1}'


def test_a_question_in_a_body_is_a_read_and_tried_again(server: FakeServer, patient: Http):
    server.tell("/q", as_json({}, 503), as_json([1]))
    assert patient.query_json(server.url + "/q", {"query": "select 1"}, system="S", deadline=Deadline(10)) == [1]


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "3"},
        {"Retry-After": format_datetime(NOW + timedelta(seconds=3), usegmt=True)},
        {"X-RateLimit-Reset": str(int(NOW.timestamp()) + 3)},
    ],
)
def test_the_wait_that_the_other_side_asks_for_is_kept(
    headers: dict[str, str], server: FakeServer, patient: Http, naps: Naps
):
    server.tell("/a", Scripted(b"{}", 429, headers), as_json({"ok": True}))
    assert read(patient, server.url + "/a") == {"ok": True}
    assert naps.taken == [pytest.approx(3)]


def test_a_wait_that_does_not_fit_fails_at_once_and_the_next_call_does_not_even_ask(
    server: FakeServer, patient: Http, naps: Naps
):
    server.tell("/a", Scripted(b"{}", 429, {"Retry-After": "300"}), as_json({"ok": True}))
    for _ in range(2):
        caught = failure_of(lambda: read(patient, server.url + "/a"))
        assert caught.kind is FailureKind.RATE_LIMITED
        assert "12:05:00 UTC" in str(caught)
    assert len(server.asked) == 1
    naps(301)
    assert read(patient, server.url + "/a") == {"ok": True}


def test_a_limit_holds_for_the_credential_that_hit_it_only(server: FakeServer, patient: Http):
    server.tell("/a", Scripted(b"{}", 429, {"Retry-After": "300"}), as_json({"ok": True}))
    with pytest.raises(SourceError):
        read(patient, server.url + "/a", headers={"Authorization": "Bearer one"})
    assert read(patient, server.url + "/a", headers={"Authorization": "Bearer two"}) == {"ok": True}


def test_a_limit_that_is_answered_as_403_is_a_limit(server: FakeServer, patient: Http):
    reset = str(int(NOW.timestamp()) + 600)
    server.tell("/a", Scripted(b"{}", 403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}))
    assert failure_of(lambda: read(patient, server.url + "/a")).kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize("value", ["9" * 400, "-5", "inf", "nan", "soon", "Fri, 99 Foo 2025 99:99:99 GMT", ""])
def test_a_senseless_wait_silences_us_for_an_hour_at_most(value: str, server: FakeServer, patient: Http, naps: Naps):
    server.tell("/a", Scripted(b"{}", 429, {"Retry-After": value}), as_json({"ok": True}))
    try:
        read(patient, server.url + "/a")
    except SourceError:
        naps(3601)
        assert read(patient, server.url + "/a") == {"ok": True}


def test_an_answer_that_drips_ends_at_the_deadline(http: Http):
    with DrippingServer() as url, pytest.raises(SourceError) as caught:
        read(http, url, Deadline(0.5))
    assert caught.value.kind is FailureKind.TIMEOUT


def test_a_deadline_that_is_over_asks_nobody(server: FakeServer, http: Http):
    server.tell("/a", as_json({}))
    caught = failure_of(lambda: read(http, server.url + "/a", Deadline(0)))
    assert caught.kind is FailureKind.TIMEOUT
    assert "Vercel" in str(caught)
    assert not server.asked


def test_a_deadline_counts_down_and_says_when_it_is_over():
    now = [100.0]
    deadline = Deadline(8, monotonic=lambda: now[0])
    inner = deadline.within(3)
    now[0] += 2
    assert deadline.remaining() == 6
    assert inner.remaining() == 1
    assert deadline.within(60).remaining() == 6
    now[0] += 6
    assert failure_of(deadline.remaining).kind is FailureKind.TIMEOUT


def test_more_than_the_size_cap_is_not_read(server: FakeServer, http: Http):
    server.tell("/a", Scripted(b"x" * 5000))
    assert (
        failure_of(
            lambda: http.get(server.url + "/a", system="The booking app", deadline=Deadline(10), max_bytes=1000)
        ).kind
        is FailureKind.BAD_DATA
    )


def test_a_packed_bomb_is_not_unpacked_past_the_cap(server: FakeServer, http: Http):
    server.tell("/a", Scripted(gzip.compress(b"0" * 40 * 2**20), headers={"Content-Encoding": "gzip"}))
    caught = failure_of(lambda: read(http, server.url + "/a"))
    assert "32 MB" in str(caught)


def test_packed_answers_are_unpacked_and_broken_ones_are_bad_data(server: FakeServer, http: Http):
    packed = gzip.compress(b'{"ok": true}')
    server.tell("/a", Scripted(packed, headers={"Content-Encoding": "gzip"}))
    server.tell("/b", Scripted(b"no gzip at all", headers={"Content-Encoding": "gzip"}))
    assert read(http, server.url + "/a") == {"ok": True}
    assert failure_of(lambda: read(http, server.url + "/b")).kind is FailureKind.BAD_DATA


def test_redirects_are_followed_only_where_asked_for_and_on_the_same_origin(server: FakeServer, http: Http):
    server.tell("/old", Scripted(status=301, headers={"Location": "/new"}))
    server.tell("/away", Scripted(status=301, headers={"Location": "http://localhost.example/new"}))
    server.tell("/new", as_json({"ok": True}))
    assert read(http, server.url + "/old", redirects=1) == {"ok": True}
    for path, redirects in (("/old", 0), ("/away", 3)):
        with pytest.raises(SourceError) as caught:
            read(http, server.url + path, redirects=redirects)
        assert caught.value.kind is FailureKind.BAD_DATA


def test_an_unchanged_answer_is_taken_from_memory(server: FakeServer, http: Http):
    server.tell("/a", as_json({"n": 1}, ETag='"one"'), Scripted(status=304), as_json({"n": 2}, ETag='"two"'))
    answers = [read(http, server.url + "/a", params={"p": 1}, etag=True) for _ in range(3)]
    assert answers == [{"n": 1}, {"n": 1}, {"n": 2}]
    assert [asked.headers.get("If-None-Match") for asked in server.asked] == [None, '"one"', '"one"']


def test_etags_belong_to_one_address_and_one_credential(server: FakeServer, http: Http):
    server.tell("/a", as_json({"n": 1}, ETag='"one"'))
    for params, token in (({"p": 1}, "x"), ({"p": 2}, "x"), ({"p": 1}, "y")):
        read(http, server.url + "/a", params=params, headers={"Authorization": f"Bearer {token}"}, etag=True)
    assert [asked.headers.get("If-None-Match") for asked in server.asked] == [None, None, None]


def test_no_cookie_is_ever_sent_back(server: FakeServer, http: Http):
    server.tell("/a", as_json({}, Set_Cookie="session=abc; Path=/"))
    read(http, server.url + "/a")
    read(http, server.url + "/a")
    assert "Cookie" not in server.asked[-1].headers


def test_a_netrc_file_is_not_used(server: FakeServer, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password planted\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.tell("/a", as_json({}))
    read(http, server.url + "/a")
    assert "Authorization" not in server.asked[0].headers


def test_loopback_is_asked_past_a_proxy_of_the_environment(
    server: FakeServer, http: Http, nobody: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", nobody)
    server.tell("/a", as_json({"ok": True}))
    assert read(http, server.url + "/a") == {"ok": True}


def test_we_say_who_we_are(server: FakeServer, http: Http):
    server.tell("/a", as_json({}))
    read(http, server.url + "/a")
    assert server.asked[0].headers["User-Agent"].startswith("Switchboard/")


def test_connections_are_kept_and_used_again(server: FakeServer, http: Http):
    server.tell("/a", as_json({}))
    for _ in range(5):
        read(http, server.url + "/a")
    assert len({asked.connection for asked in server.asked}) == 1


@pytest.mark.parametrize("token", ["pasted\nwith a line break", "pasted … shortened"])
def test_a_credential_that_no_header_can_hold_is_reported_without_repeating_it(
    token: str, server: FakeServer, http: Http
):
    caught = failure_of(lambda: read(http, server.url + "/a", headers={"Authorization": f"Bearer {token}"}))
    assert "credential" in str(caught)
    assert "pasted" not in repr(caught.failure)
    assert caught.__cause__ is None


@pytest.mark.parametrize("url", ["http://[", "nonsense", "ftp://x/", "http://a b/", "http://\ud800/"])
def test_a_malformed_address_is_a_source_error(url: str, http: Http):
    with pytest.raises(SourceError):
        read(http, url, Deadline(1))


def test_an_id_from_outside_cannot_climb_to_another_path():
    assert join("https://api.example/", "v1", "a/../b?c") == "https://api.example/v1/a%2F..%2Fb%3Fc"
    for segment in ("", ".", ".."):
        with pytest.raises(SourceError):
            join("https://api.example", segment)


def test_retrying_serves_other_clients_as_well():
    tries: list[int] = []

    def attempt() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise SourceError(FailureKind.UNAVAILABLE, "Not yet.")
        return "there"

    assert retrying(Deadline(10), attempt, sleep=lambda _: None) == "there"
    with pytest.raises(SourceError):
        retrying(Deadline(10), lambda: _raise(SourceError(FailureKind.FORBIDDEN, "Never.")))


def test_questions_asked_together_run_at_the_same_time():
    everyone = threading.Barrier(4, timeout=10)
    assert together([everyone.wait] * 4) and not together([])


def test_a_failing_question_does_not_spoil_the_others():
    error = SourceError(FailureKind.TIMEOUT, "Late.")
    assert together([lambda: 1, lambda: _raise(error), lambda: 3]) == [1, error, 3]


def test_loopback_is_this_machine_and_nothing_else():
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.0.0.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("10.0.0.1", "example.com", "localhost.example", ""))


def _raise(error: Exception) -> None:
    raise error


class DrippingServer:
    """Sends one byte of an endless body at a time."""

    def __enter__(self) -> str:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._over = threading.Event()
        threading.Thread(target=self._drip, daemon=True).start()
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}/"

    def _drip(self) -> None:
        connection, _ = self._listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            try:
                while not self._over.wait(0.05):
                    connection.sendall(b" ")
            except OSError:
                return  # the client hung up, as it should

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listening.close()
