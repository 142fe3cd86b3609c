"""When the plan offers the way back to the build before, as long as the confirmation page shuts strangers out."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.facts import Terms
from lib.diagnosis.tasks import tasks
from lib.model import frames
from lib.model.provider import Landing, LinkOpening
from lib.settings import load
from tests.diagnosis.builders import FIX_BUILD, HEAD, NOW, ago, booking, deployment, hostname, snapshot, table

CAME = ago(hours=6)
BEFORE = dataclasses.replace(FIX_BUILD, is_rollback_candidate=True)
LOGIN = LinkOpening("booking-1", ago(minutes=2), Landing.LOGIN, 200, ("booking.example/l/…", "booking.example/login"))


def after(**length: float) -> datetime:
    return CAME + timedelta(**length)


def advised(ways: list[tuple[datetime, datetime | None]], *, built: datetime = CAME) -> list[str]:
    """Return the ids of the tasks while links end at a login, given when people asked and when they confirmed.

    What is served came at `CAME`; it was built at `built`.
    """
    live = deployment("dpl_login", HEAD, built - timedelta(minutes=2))
    rows = (booking(number, asked, confirmed_at=confirmed) for number, (asked, confirmed) in enumerate(ways, start=1))
    seen = snapshot(
        pending_bookings=table(frames.PENDING_BOOKINGS, rows),
        hostnames=(dataclasses.replace(hostname(live), alias_moved_at=CAME),),
        deployments=(live, BEFORE),
        link_opening=LOGIN,
    )
    settings = load({}, secrets_file=Path("/nonexistent"))
    return [task.id for task in tasks(diagnose(seen, NOW, Terms.of(settings)), settings)]


@pytest.mark.parametrize(
    ("ways", "offered"),
    [
        pytest.param([(after(hours=-2), after(hours=-1))], True, id="confirmed before the live build came"),
        pytest.param([(after(minutes=-4), after(minutes=5))], True, id="confirmed on a page that was open already"),
        pytest.param([(after(hours=-2), after(hours=-1)), (after(hours=1), None)], True, id="nobody since"),
        pytest.param([(after(minutes=1), after(minutes=5))], False, id="asked and confirmed with the live build"),
        pytest.param([(after(hours=-2), after(hours=2))], False, id="confirmed long after the live build came"),
        pytest.param([(after(hours=-2), None)], False, id="nobody ever"),
    ],
)
def test_the_way_back_is_offered_where_people_could_confirm_until_the_live_build_came(
    ways: list[tuple[datetime, datetime | None]], offered: bool
) -> None:
    assert ("roll_back" in advised(ways)) is offered


def test_what_was_confirmed_while_the_live_build_waited_to_be_promoted_was_confirmed_without_it() -> None:
    assert "roll_back" in advised([(after(hours=-2), after(hours=-1))], built=after(hours=-5))
