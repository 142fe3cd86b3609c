"""The token of this start: what is right, how often one may be wrong, and the token that works once."""

from __future__ import annotations

import pytest

from lib.start_token import ONE_USE_SECONDS, TRIES, TRIES_SECONDS, StartToken, TokenAttempt, cookie_name


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_each_start_has_a_token_and_a_cookie_of_its_own() -> None:
    first, second = StartToken(), StartToken()
    assert len({first.text, first.cookie, second.text, second.cookie}) == 4
    assert min(map(len, (first.text, first.cookie))) >= 43, "32 random bytes"


@pytest.mark.parametrize("given", ["", "x", "é", "\udcff", "\0"])
def test_what_is_not_the_token_is_wrong(given: str) -> None:
    token = StartToken()
    assert token.attempt(given) is TokenAttempt.WRONG
    assert not token.matches(given) and not token.is_cookie(given)
    assert token.attempt(token.text[:-1]) is TokenAttempt.WRONG
    assert token.attempt(token.cookie) is TokenAttempt.WRONG, "a cookie is no token"


def test_after_ten_wrong_ones_none_is_looked_at_until_a_minute_has_passed(clock: Clock) -> None:
    token = StartToken(clock)
    assert [token.attempt("guess") for _ in range(TRIES)] == [TokenAttempt.WRONG] * TRIES
    assert token.attempt(token.text) is TokenAttempt.TOO_MANY
    assert token.is_cookie(token.cookie), "who has the cookie stays in"
    clock.now += TRIES_SECONDS
    assert token.attempt(token.text) is TokenAttempt.RIGHT


def test_the_token_that_a_browser_is_opened_with_works_once_and_soon(clock: Clock) -> None:
    token = StartToken(clock)
    once = token.one_use()
    assert [token.attempt(once), token.attempt(once)] == [TokenAttempt.RIGHT, TokenAttempt.WRONG]
    late = token.one_use()
    clock.now += ONE_USE_SECONDS
    assert token.attempt(late) is TokenAttempt.WRONG


def test_it_is_printed_once_and_not_if_whoever_started_the_process_has_it() -> None:
    lines: list[str] = []
    token = StartToken()
    token.announce(lines.append)
    token.announce(lines.append)
    assert len(lines) == 1 and token.text in lines[0]
    silent = StartToken()
    silent.announced()
    silent.announce(lines.append)
    assert len(lines) == 1


def test_desks_on_two_ports_of_one_host_have_two_cookies() -> None:
    hosts = ("localhost:8501", "localhost:8502", "localhost", "[::1]:8501", "[::1]")
    assert [*map(cookie_name, hosts)] == [
        "switchboard_8501",
        "switchboard_8502",
        "switchboard_start",
        "switchboard_8501",
        "switchboard_start",
    ]
