"""What is made of a diagnosis is made once, whoever looks."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.diagnosis.memo_cache import MemoCache


def test_what_fifty_ask_for_at_once_is_made_once_and_all_get_the_same():
    once, made, all_here = MemoCache(), [], threading.Barrier(50)

    def make() -> object:
        made.append(1)
        return object()

    def ask() -> object:
        all_here.wait()
        return once.get("figure", make)

    with ThreadPoolExecutor(50) as viewers:
        got = [viewer.result() for viewer in [viewers.submit(ask) for _ in range(50)]]
    assert len(made) == 1
    assert len(set(map(id, got))) == 1


def test_another_key_is_another_thing_and_nothing_is_a_thing_too():
    once, made = MemoCache(), []
    assert once.get("a", lambda: made.append("a")) is None
    assert once.get("a", lambda: made.append("again")) is None
    assert once.get(("a", 1), lambda: 1) == 1
    assert made == ["a"]


def test_what_could_not_be_made_is_tried_again():
    once = MemoCache()
    with pytest.raises(LookupError):
        once.get("a", {}.popitem)
    assert once.get("a", lambda: "made") == "made"


def test_one_thing_may_be_made_of_another():
    once = MemoCache()
    assert once.get("outer", lambda: once.get("inner", lambda: 20) + 1) == 21
