"""One snapshot of the sandbox per scenario, taken when a test first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from pathlib import Path

import pytest

from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.model.window import WindowSize
from lib.settings import load
from lib.snapshot import Snapshot, take, utc_now
from lib.sources.source_registry import connect

NO_FILE = Path("/nonexistent/secrets.toml")


@dataclass(frozen=True, eq=False)
class Case:
    """What all sources said in one scenario, and when."""

    snapshot: Snapshot
    now: datetime
    terms: Terms

    @cached_property
    def whole(self) -> Diagnosis:
        """The diagnosis with all sources."""
        return self.of(self.snapshot)

    def of(self, part: Snapshot) -> Diagnosis:
        """The diagnosis of as much as `part` shows."""
        return diagnose(part, self.now, self.terms)


@pytest.fixture(scope="session")
def case(play: Callable[[str], dict[str, str]]) -> Callable[[str], Case]:
    """A function that returns the case of a scenario; each is taken once per test process."""

    @cache
    def taken(name: str) -> Case:
        settings = load(play(name), secrets_file=NO_FILE)
        snapshot = take(connect(settings, utc_now), WindowSize.DAY)
        return Case(snapshot, utc_now(), Terms.of(settings))

    return taken
