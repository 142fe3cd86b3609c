"""Every reading of every source against every way in which another system fails."""

from __future__ import annotations

import copy
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.model.provider import Landing
from lib.model.reading import FailureKind, Observed, SourceError
from lib.sources.http import Deadline, Http
from tests.sources import bodies
from tests.sources.bodies import FIX, OLD, PHONE, SECRETS, SID, WINDOW
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json

Ask = Callable[[str, Http, Deadline], Observed[Any]]


@dataclass(frozen=True)
class ReadingCase:
    name: str
    ask: Ask
    answers: dict[str, Any]

    @property
    def source(self) -> str:
        return self.name.partition(".")[0]


READINGS = [
    ReadingCase(f"{source.__name__}.{name}", lambda url, http, d, s=source, a=ask: a(s(url, http), d), answers)
    for source, answers, asks in (
        (
            bodies.vercel,
            bodies.VERCEL,
            {
                "project": lambda s, d: s.project(d),
                "hostnames": lambda s, d: s.hostnames(d),
                "deployments": lambda s, d: s.deployments(d),
                "build_log": lambda s, d: s.build_log("dpl_new", d),
                "env_names": lambda s, d: s.env_names(d),
                "activity": lambda s, d: s.activity(WINDOW, d),
            },
        ),
        (
            bodies.github,
            bodies.GITHUB,
            {
                "repository": lambda s, d: s.repository(d),
                "branch": lambda s, d: s.branch(None, d),
                "required_commit": lambda s, d: s.required_commit(None, d),
                "required_commit_set": lambda s, d: s.required_commit(FIX[:7], d),
                "compare": lambda s, d: s.compare(OLD, "main", d),
                "runs": lambda s, d: s.runs(FIX, d),
                "rules": lambda s, d: s.rules(d),
                "vercel_signs": lambda s, d: s.vercel_signs(FIX, d),
            },
        ),
        (
            bodies.twilio,
            bodies.TWILIO,
            {
                "texts": lambda s, d: s.texts(WINDOW, d),
                "text": lambda s, d: s.text(SID, d),
                "texts_by_sid": lambda s, d: s.texts_by_sid([SID], d),
                "account": lambda s, d: s.account(d),
                "balance": lambda s, d: s.balance(d),
                "alerts": lambda s, d: s.alerts(WINDOW, d),
            },
        ),
        (
            bodies.booking_app,
            bodies.BOOKING_APP,
            {
                "health": lambda s, d: s.health(d),
                "open_link": lambda s, d: s.open_link(s.base_url + f"/l/{bodies.LINK_CODE}", "p1", d),
            },
        ),
    )
    for name, ask in asks.items()
]
NAMES = [case.name for case in READINGS]
API_READINGS = [case for case in READINGS if case.source != "booking_app"]

# What an answer may repeat of ours, or of others in a form that shows what it is.
REPEATED = [secret for secret in SECRETS if secret not in (bodies.ENV_VALUE, bodies.BOOKING_TOKEN, bodies.BODY_WORDS)]
TELLTALE = {
    "error": {"code": "x", "message": f"The token {' '.join(REPEATED)} is refused"},
    "message": f"Refused: {' '.join(REPEATED)}",
}
FAULTS: dict[str, tuple[FailureKind, Scripted | None]] = {
    "timeout": (FailureKind.TIMEOUT, Scripted(waits=True)),
    "refused connection": (FailureKind.UNAVAILABLE, None),
    "401": (FailureKind.UNAUTHORIZED, as_json(TELLTALE, 401)),
    "403": (FailureKind.FORBIDDEN, as_json(TELLTALE, 403)),
    "404": (FailureKind.NOT_FOUND, as_json(TELLTALE, 404)),
    "429 with Retry-After": (FailureKind.RATE_LIMITED, as_json(TELLTALE, 429, Retry_After="120")),
    "500": (FailureKind.UNAVAILABLE, as_json(TELLTALE, 500)),
    "redirect elsewhere": (FailureKind.BAD_DATA, Scripted(status=302, headers={"Location": "https://x.example/"})),
    "HTML instead of JSON": (FailureKind.BAD_DATA, Scripted(b"<!doctype html><h1>Sign in</h1>")),
    "truncated JSON": (FailureKind.BAD_DATA, Scripted(b'{"id": "x", "messages": [{"sid": "SM1", "bo')),
    "connection cut": (FailureKind.UNAVAILABLE, Scripted(b'{"id": "x"}' * 10, cut=5)),
    "wrong types": (FailureKind.BAD_DATA, as_json({"id": [], "messages": 5, "content": {"a": None}})),
    "list of numbers": (FailureKind.BAD_DATA, as_json([42, None, "x"])),
}
# What is no failure: the booking app's answers are facts about it, whatever their status or form …
FACTS_OF_THE_APP = {
    "401",
    "403",
    "404",
    "500",
    "redirect elsewhere",
    "HTML instead of JSON",
    "truncated JSON",
    "wrong types",
    "list of numbers",
}
# … a text that Twilio does not know is simply not among those found, and Twilio's description lets every field of an
# account be left out: what is not said of it is unknown.
KNOWN_ANSWERS = {("twilio.texts_by_sid", "404"), ("twilio.account", "wrong types")}


@pytest.mark.parametrize("case", READINGS, ids=NAMES)
def test_a_reading_of_a_healthy_system_has_a_value_and_no_secrets(case: ReadingCase, server: FakeServer, http: Http):
    server.tell_all(case.answers)
    observed = case.ask(server.url, http, Deadline(10))
    shown = repr(observed.value) + (observed.value.to_csv() if hasattr(observed.value, "to_csv") else "")
    kept = {PHONE} if case.name.startswith("twilio.text") else set()  # the number is what the frame is for
    assert not observed.caveats
    assert not [secret for secret in {*SECRETS, "plantedHook"} - kept if secret in shown]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("case", READINGS, ids=NAMES)
def test_every_fault_becomes_one_safe_source_error(
    case: ReadingCase, fault: str, server: FakeServer, http: Http, nobody: str, caplog: pytest.LogCaptureFixture
):
    kind, scripted = FAULTS[fault]
    server.everything = scripted
    url = nobody if scripted is None else server.url
    deadline = Deadline(0.3 if fault == "timeout" else 10)
    caplog.set_level("DEBUG")
    if (case.source == "booking_app" and fault in FACTS_OF_THE_APP) or (case.name, fault) in KNOWN_ANSWERS:
        assert isinstance(case.ask(url, http, deadline), Observed)
        return
    caught = failure_of(lambda: case.ask(url, http, deadline))
    failure = caught.failure
    assert failure.kind is kind
    assert failure.sentence.endswith(".") and failure.hint
    shown = "".join(traceback.format_exception(caught)) + repr(failure) + caplog.text
    assert not [secret for secret in (*SECRETS, bodies.LINK_CODE) if secret in shown]


def test_a_failing_confirmation_page_is_an_error_of_the_link_not_of_the_source(server: FakeServer, http: Http):
    server.everything = as_json(TELLTALE, 500)
    opening = bodies.booking_app(server.url, http).open_link(server.url + "/l/abc", "p1", Deadline(10)).value
    assert (opening.landing, opening.status_code) == (Landing.ERROR, 500)


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**15, max_value=10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["\ud800", "0", "-1", "1e999", "2025-13-45T99:99Z", "9999-12-31T23:59-23:59", "http://[", "\0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
PROPERTY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `value`."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inside for place in places(item, (*here, key)))]


def with_junk(value: Any, place: tuple[Any, ...], junk: Any) -> Any:
    if not place:
        return junk
    changed = copy.deepcopy(value)
    parent = changed
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = junk
    return changed


def assert_answers_or_raises_source_error(case: ReadingCase, server: FakeServer, http: Http) -> None:
    try:
        observed = case.ask(server.url, http, Deadline(10))
    except SourceError as error:
        assert error.failure.sentence
    else:
        assert isinstance(observed, Observed)
        repr(observed)


@pytest.mark.parametrize("case", API_READINGS, ids=[case.name for case in API_READINGS])
def test_no_json_makes_a_reading_raise_anything_but_a_source_error(
    case: ReadingCase, shared_server: FakeServer, http: Http
):
    @PROPERTY
    @given(junk=JUNK)
    def holds(junk: Any) -> None:
        shared_server.everything = Scripted(json.dumps(junk).encode())
        assert_answers_or_raises_source_error(case, shared_server, http)

    holds()


@pytest.mark.parametrize("case", API_READINGS, ids=[case.name for case in API_READINGS])
def test_no_single_value_of_a_real_answer_makes_a_reading_raise_anything_else(
    case: ReadingCase, shared_server: FakeServer, http: Http
):
    real = {path: body for path, body in case.answers.items() if not isinstance(body, Scripted)}

    @PROPERTY
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        shared_server.everything = None
        shared_server.tell_all(case.answers)
        for path in data.draw(st.lists(st.sampled_from(sorted(real)), min_size=1, max_size=4)):
            place = data.draw(st.sampled_from(places(real[path])))
            shared_server.tell(path, as_json(with_junk(real[path], place, data.draw(JUNK))))
        assert_answers_or_raises_source_error(case, shared_server, http)

    holds()


HOSTILE = [b"[" * 100_000, b'{"a":' * 100_000, b"[1e999, NaN]", b"1" * 5000, b"\xff\xfe", b"null", b"  "]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("case", API_READINGS, ids=[case.name for case in API_READINGS])
def test_hostile_bodies_end_in_a_source_error(case: ReadingCase, body: bytes, server: FakeServer, http: Http):
    server.everything = Scripted(body)
    assert_answers_or_raises_source_error(case, server, http)
