"""The work of other processes in the tests, in a module that they can import."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.settings import Settings, load
from tests.processes import WARM

DESK = Actor("monitor", Role.DESK, Via.MONITOR)
OPERATOR = Actor("ann@lantern.example", Role.OPERATOR, Via.PAGE)

Environ = dict[str, str]


def settings_of(environ: Environ) -> Settings:
    return load(environ, Path("/nowhere/secrets.toml"))


def utc_now() -> datetime:
    return datetime.now(UTC)


def open_journal(environ: Environ) -> Journal:
    return Journal.open(settings_of(environ), utc_now)


def a_request(**fields: Any) -> NewRequest:
    return NewRequest(**({"action": "redeploy", "tier": 2, "target": "booking-app", "digest": "ab" * 32} | fields))


def start_together(count: int, work: Callable[..., None], environ: Environ, *arguments: object) -> list[Any]:
    """Run `work(environ, *arguments, barrier, answers)` in `count` processes at once and return their answers."""
    barrier, answers = WARM.Barrier(count), WARM.Queue()
    processes = [
        WARM.Process(target=work, args=(environ, *arguments, barrier, answers), daemon=True) for _ in range(count)
    ]
    for process in processes:
        process.start()
    given = [answers.get(timeout=100) for _ in processes]
    for process in processes:
        process.join()
    return given


def open_at_once(environ: Environ, barrier: Any, answers: Any) -> None:
    barrier.wait()
    journal = open_journal(environ)
    journal.note("opened", DESK)
    answers.put(journal.where)


def append_many(environ: Environ, count: int, barrier: Any, answers: Any) -> None:
    journal = open_journal(environ)
    barrier.wait()
    for number in range(count):
        journal.note(f"note {number}", DESK)
    answers.put(count)


def lock_and_start(environ: Environ, request_id: UUID, barrier: Any, answers: Any) -> None:
    """Try to lock a request and to start it, also if the lock was refused."""
    journal = open_journal(environ)
    barrier.wait()
    claimed = journal.lock(request_id, "vercel:booking-app", OPERATOR).granted
    started = journal.start(request_id, OPERATOR, timedelta(minutes=5)).granted
    answers.put((claimed, started))


def append_until_killed(environ: Environ, written: Any) -> None:
    journal = open_journal(environ)
    while True:
        journal.note("still here", DESK)
        written.release()


def start_one(work: Callable[..., None], environ: Environ, *arguments: object) -> BaseProcess:
    process = WARM.Process(target=work, args=(environ, *arguments), daemon=True)
    process.start()
    return process
