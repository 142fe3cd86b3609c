"""Whether this machine can reach anything outside: if not, failing sources say nothing about the other systems."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from lib.model.reading import FailureKind, Reading, SourceName
from lib.settings import Settings
from lib.snapshot import READING_SPECS, Snapshot
from lib.sources.follow_up import OPTIONAL_NEEDS
from lib.sources.http import together

CONNECT_SECONDS = 3.0
_NO_CONNECTION = (FailureKind.UNAVAILABLE, FailureKind.TIMEOUT)
# A reading that cannot do without another one fails with it, so its failure says little about its own source.
_ASKED = frozenset(
    question.name
    for question in READING_SPECS
    if not set(question.needs).difference(OPTIONAL_NEEDS.get(question.name, ()))
)
_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}

Place = tuple[str, int]


def offline(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether the fault is our own connection: no source answers, and none of their hosts accepts a connection.

    Connections are tried only if no source answers. A refused request counts as a connection.
    """
    return stopped(snapshot.readings, _NO_CONNECTION) and not reaches_any(set(_places(settings)))


def stopped(readings: Iterable[Reading[Any]], kinds: Collection[FailureKind]) -> bool:
    """Whether these readings fail with one of `kinds`, and none of them was answered since.

    A reading that is taken rarely was answered before the failures began, which says nothing about now. So an answer
    counts only if it came after the newest of the failing readings began to fail.
    """
    configured = [one for one in asked(readings) if _kind(one) is not FailureKind.NOT_CONFIGURED]
    failing = [one for one in configured if _kind(one) in kinds]
    if not failing:
        return False
    began = max(map(_failing_since, failing))
    return all(one.observed_at < began for one in configured if _kind(one) not in kinds)


def asked(readings: Iterable[Reading[Any]]) -> Iterator[Reading[Any]]:
    """Return the readings whose result depends on their own source alone."""
    return (reading for reading in readings if reading.name in _ASKED and not reading.is_coming)


def _kind(reading: Reading[Any]) -> FailureKind | None:
    return reading.failure.kind if reading.failure else None


def _failing_since(reading: Reading[Any]) -> datetime:
    """Return about when the first request that failed was sent: others were answered while it waited."""
    return (reading.failing_since or reading.observed_at) - timedelta(milliseconds=reading.latency_ms)


def reaches_any(places: Iterable[Place]) -> bool:
    """Whether one of `places` (host and port) accepts a connection. All are tried at the same time."""
    return any(answer is True for answer in together([partial(_accepts, place) for place in places]))


def _accepts(place: Place) -> bool:
    try:
        with socket.create_connection(place, timeout=CONNECT_SECONDS):
            return True
    except OSError:  # no address, no route, or refused
        return False


def _places(settings: Settings) -> Iterator[Place]:
    urls = {
        SourceName.BOOKING_DATA: settings.supabase_url,
        SourceName.CATALOG: settings.database_url.get_secret_value() if settings.database_url else None,
        SourceName.VERCEL: settings.vercel_api_url,
        SourceName.GITHUB: settings.github_api_url,
        SourceName.TWILIO: settings.twilio_api_url,
        SourceName.BOOKING_APP: settings.booking_app_url,
    }
    for source, url in urls.items():
        parts = urlsplit(url or "")
        if settings.configured(source) and parts.hostname and parts.scheme in _PORTS:
            yield parts.hostname, parts.port or _PORTS[parts.scheme]
