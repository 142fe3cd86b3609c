"""The inputs of a monitor without a dashboard, on a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib import settings as settings_
from lib.journal.journal import Journal
from lib.monitor.inputs import StandaloneInputs
from lib.snapshot import utc_now

pytestmark = pytest.mark.sandbox

Play = Callable[[str], dict[str, str]]


@pytest.fixture
def view(play: Play, tmp_path: Path) -> Iterator[StandaloneInputs]:
    """The view of a monitor that was started with the keys of the healthy scenario."""
    environ = play("healthy") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    settings = settings_.load(environ, tmp_path / "none")
    journal = Journal.open(settings, utc_now)
    view = StandaloneInputs(settings, environ, journal, utc_now)
    yield view
    view.close()
    journal.close()


def test_a_monitor_that_starts_late_takes_the_keys_that_the_sandbox_gives_out_now(
    play: Play, view: StandaloneInputs
) -> None:
    given = play("rls-blind")["SUPABASE_SECRET_KEY"]
    key = view().settings.supabase_secret_key
    assert key is not None and key.get_secret_value() == given


def test_a_monitor_follows_the_sandbox_and_what_was_read_while_it_changed_counts_for_neither(
    play: Play, view: StandaloneInputs
) -> None:
    before = view()
    assert before.still()
    play("quiet-day")
    assert not before.still()
    after = view()
    assert after.still() and after.world != before.world
