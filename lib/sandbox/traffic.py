"""Live traffic: people book through the app's API, get their text, open the link and confirm, or do not.

All of it goes over HTTP as it would from outside; only the time that people take is shorter. Numbers look real and
never leave the machine.
"""

from __future__ import annotations

import heapq
import logging
import random
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

import requests

from lib.sandbox import twilio_twin
from lib.sandbox.booking_app_twin import INITIATE, new_session
from lib.sandbox.history import NEWCOMERS, SURNAMES, mobile_number
from lib.sandbox.twin_helpers import seconds
from lib.sandbox.world import World

logger = logging.getLogger(__name__)

PACE = 4.0  # bookings per minute
TICK_SECONDS = 0.25
OPENS = 0.8  # share of texts that arrive whose link is opened
CONFIRMS = 0.85  # share of those who see the page
# People need minutes; here it is seconds, so that a fix shows soon.
OPENS_AFTER_SECONDS = (4.0, 12.0)
CONFIRMS_AFTER_SECONDS = (3.0, 10.0)
JOB_TIME_SECONDS = 5
_TIMEOUT_SECONDS = 30
_LINK = re.compile(r"https?://\S+/l/\w+")


@dataclass(order=True)
class _ScheduledStep:
    """One thing that somebody does at `at`."""

    at: datetime
    number: int
    run: Callable[[], None] = field(compare=False)


class Traffic:
    """The thread that makes the traffic. `pace` is in bookings per minute and may change at any time.

    At pace 0 nobody books, but what is under way goes on: receipts arrive, jobs run.
    """

    def __init__(self, world: World) -> None:
        self.pace = PACE
        self._world = world
        self._session = new_session()
        self._random = random.Random()  # noqa: S311 - no secret
        self._steps: list[_ScheduledStep] = []
        self._started = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, with nobody under way."""
        if self._thread is not None:
            raise RuntimeError("traffic is already running")
        self._steps.clear()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="sandbox traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait until the last request is answered."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        until_next = self._random.expovariate(1)
        while not self._stopping.wait(TICK_SECONDS):
            until_next -= self.pace * TICK_SECONDS / 60
            while until_next <= 0 and not self._stopping.is_set():
                until_next += self._random.expovariate(1)
                self._guarded(self._book)
            self._guarded(lambda: twilio_twin.post_callbacks(self._world, self._session))
            self._guarded(self._run_scheduled_jobs)
            self._guarded(self._run_jobs)

    def _guarded(self, step: Callable[[], None]) -> None:
        """Run one step; a twin that fails (which people ask for) must not end all traffic."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - the last line of defence of this thread
            logger.warning("Sandbox traffic: a step failed with %s", type(error).__name__)

    def _later(self, between: tuple[float, float], run: Callable[[], None]) -> None:
        self._started += 1
        at = self._world.now() + seconds(self._random.uniform(*between))
        heapq.heappush(self._steps, _ScheduledStep(at, self._started, run))

    def _run_scheduled_jobs(self) -> None:
        while self._steps and self._steps[0].at <= self._world.now() and not self._stopping.is_set():
            heapq.heappop(self._steps).run()

    def _book(self) -> None:
        with self._world.connection() as connection:
            events = connection.execute(
                "select id from public.events where event_status = 'scheduled' and date > current_date"
            ).fetchall()
        if not events:
            return
        mobile = mobile_number(self._random)
        answer = self._session.post(
            f"{self._world.base_url}/app{INITIATE}",
            json={"event_id": str(self._random.choice(events)["id"]), "mobile_number": mobile},
            headers={"Authorization": f"Bearer {self._world.credentials.booking_api_key}"},
            timeout=_TIMEOUT_SECONDS,
        )
        if answer.status_code == 201 and answer.json()["sms_sent"] and self._random.random() < OPENS:
            self._later(OPENS_AFTER_SECONDS, lambda: self._open(mobile))

    def _open(self, mobile: str) -> None:
        """Open the link in the text, if it arrived, as a person does: without cookies, following where it leads."""
        with self._world.connection() as connection:
            text = connection.execute(
                """select body from twin.texts
                   where to_number = %s and final_status = 'delivered' and done_at <= %s
                   order by created_at desc limit 1""",
                [mobile, self._world.now()],
            ).fetchone()
        link = _LINK.search(text["body"]) if text else None
        if link is None:
            return
        self._session.cookies.clear()
        page = self._session.get(link.group(), timeout=_TIMEOUT_SECONDS)
        path = urlsplit(page.url).path
        if page.status_code == requests.codes.ok and "/booking-confirmation/" in path:
            token = path.rsplit("/", 1)[-1]
            if self._random.random() < CONFIRMS:
                self._later(CONFIRMS_AFTER_SECONDS, lambda: self._confirm(token))

    def _confirm(self, token: str) -> None:
        names = {"first_name": self._random.choice(NEWCOMERS), "last_name": self._random.choice(SURNAMES)}
        self._session.post(
            f"{self._world.base_url}/app/api/bookings/confirm",
            json={"token": token, "seats": self._random.choice((1, 2, 2, 3, 4)), **names},
            timeout=_TIMEOUT_SECONDS,
        )

    def _run_jobs(self) -> None:
        """Run the jobs that are due, if the app's scheduler still runs."""
        with self._world.connection() as connection:
            connection.execute(
                """update public.background_jobs
                   set status = 'completed', attempts = attempts + 1, completed_at = %(now)s,
                       duration_ms = 150 + floor(random() * 300)
                   where status in ('pending', 'processing') and scheduled_for <= %(ready)s
                       and (select jobs_run from twin.app)""",
                {"now": self._world.now(), "ready": self._world.now() - seconds(JOB_TIME_SECONDS)},
            )
