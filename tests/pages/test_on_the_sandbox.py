"""The pages on the sandbox: real readings, and no customer's name, number or key among what is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lib import settings as settings_
from lib.model.window import WindowSize
from lib.sandbox.serve import Running
from lib.snapshot import take, utc_now
from lib.sources.http import Http
from lib.sources.source_registry import Sources
from tests.pages.conftest import PAGES, Open, sent

pytestmark = pytest.mark.sandbox


@pytest.mark.parametrize("scenario", ["code-not-deployed", "healthy", "quiet-day"])
def test_no_page_sends_a_name_a_number_a_token_or_a_key(
    open_page: Open, play: Callable[[str], dict[str, str]], sandbox: Running, scenario: str
) -> None:
    settings = settings_.load(play(scenario))
    taken = take(Sources(settings, Http(clock=utc_now), utc_now), WindowSize.DAY)
    secrets = planted(sandbox)
    for page in PAGES:
        test = open_page(page, taken, settings=settings, live=True)
        assert not test.exception
        out = sent(test)
        assert [secret for secret in secrets if secret.encode() in out] == [], page


def planted(sandbox: Running) -> list[str]:
    """Return the customers' names and numbers, the tokens of their links, and the desk's own keys."""
    with sandbox.world.connection() as connection:
        names = [
            str(name)
            for row in connection.execute("select * from public.customers").fetchall()
            for column, name in row.items()
            if "name" in column and name
        ]
        bookings = connection.execute("select token, mobile_number from public.pending_bookings").fetchall()
    keys = [value for name, value in sandbox.settings.items() if name.endswith(("KEY", "TOKEN")) or "DATABASE" in name]
    tokens = [str(row["token"]) for row in bookings]
    numbers = [str(row["mobile_number"])[-10:] for row in bookings]
    assert names and tokens and numbers
    return [*names, *tokens, *numbers, *keys]
