"""The cache: made once for all who ask, fresh for its time, and an error is not asked for by every viewer."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.cache import Cache


class Register:
    """Something to read, that counts how often it was, and can be gone."""

    def __init__(self) -> None:
        self.reads = 0
        self.gone = False

    def __call__(self, before: int | None) -> int:
        self.reads += 1
        if self.gone:
            raise LookupError("It does not answer.")
        return self.reads


@pytest.mark.parametrize("max_age", [None, 60.0])
def test_what_fifty_ask_for_at_once_is_made_once_and_all_get_the_same(max_age: float | None) -> None:
    cache, register, all_here = Cache(max_age=max_age), Register(), threading.Barrier(50)

    def ask() -> int:
        all_here.wait()
        return cache.get("figure", register)

    with ThreadPoolExecutor(50) as viewers:
        assert {viewer.result() for viewer in [viewers.submit(ask) for _ in range(50)]} == {1}


def test_another_key_is_another_thing_and_nothing_is_a_thing_too() -> None:
    cache, made = Cache(), []
    assert cache.get("a", lambda _: made.append("a")) is None
    assert cache.get("a", lambda _: made.append("again")) is None
    assert cache.get(("a", 1), lambda _: 1) == 1
    assert made == ["a"]


def test_what_could_not_be_made_is_tried_again() -> None:
    cache = Cache()
    with pytest.raises(LookupError):
        cache.get("a", lambda _: {}.popitem())
    assert cache.get("a", lambda _: "made") == "made"


def test_one_thing_may_be_made_of_another() -> None:
    cache = Cache()
    assert cache.get("outer", lambda _: cache.get("inner", lambda _: 20) + 1) == 21


def test_what_is_forgotten_or_too_old_is_made_anew_from_what_was_before() -> None:
    cache, register = Cache(max_age=60.0), Register()
    assert (cache.get("a", register), cache.get("a", register)) == (1, 1)
    cache.forget("a")
    assert cache.get("a", register) == 2
    cache.max_age = -1.0
    assert cache.get("a", lambda before: (before or 0) + 10) == 12


def test_an_error_is_kept_for_its_time_and_not_met_by_every_viewer() -> None:
    cache, register = Cache(max_age=0.0, errors=(LookupError,), retry_after=60.0), Register()
    register.gone = True
    for _ in range(50):
        with pytest.raises(LookupError, match="does not answer"):
            cache.get("a", register)
    assert register.reads == 1
    register.gone = False
    cache.retry_after = 0.0
    assert cache.get("a", register) == 2


def test_what_is_forgotten_while_it_is_being_made_is_made_anew() -> None:
    cache = Cache(max_age=60.0)

    def make(_: str | None) -> str:
        cache.forget("a")  # somebody writes meanwhile
        return "old"

    assert cache.get("a", make) == "old"
    assert cache.get("a", lambda _: "new") == "new"
