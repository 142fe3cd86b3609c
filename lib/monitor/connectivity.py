""" "We are offline” is not “they are down”: whether anything outside can be reached from here at all."""

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
from lib.sources.http import together

CONNECT_SECONDS = 3.0
_NO_CONNECTION = (FailureKind.UNAVAILABLE, FailureKind.TIMEOUT)
# A question that needs another's answer waits for that, and fails with it: it says little about its own source.
_ASKED = frozenset(question.name for question in READING_SPECS if not question.needs)
_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}

Place = tuple[str, int]


def offline(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether the fault is our own connection: no source answers any more, and no place of theirs takes a connection.

    The second is only tried where the first holds. A refused request, whatever it says, is a connection.
    """
    return stopped(snapshot.readings, _NO_CONNECTION) and not reaches_any(set(_places(settings)))


def stopped(readings: Iterable[Reading[Any]], kinds: Collection[FailureKind]) -> bool:
    """Whether what was asked for these readings fails in one of these ways, and gives no other answer any more.

    What is asked rarely answered before the failures began, and that says nothing about now: an answer counts if it
    came since the last of the readings that fail began to. One that has failed for days began long ago.
    """
    configured = [one for one in asked(readings) if _kind(one) is not FailureKind.NOT_CONFIGURED]
    failing = [one for one in configured if _kind(one) in kinds]
    if not failing:
        return False
    began = max(map(_failing_since, failing))
    return all(one.observed_at < began for one in configured if _kind(one) not in kinds)


def asked(readings: Iterable[Reading[Any]]) -> Iterator[Reading[Any]]:
    """Return the readings that say something of their own source."""
    return (reading for reading in readings if reading.name in _ASKED)


def _kind(reading: Reading[Any]) -> FailureKind | None:
    return reading.failure.kind if reading.failure else None


def _failing_since(reading: Reading[Any]) -> datetime:
    """Return when the question was asked that was the first to fail, about: others were answered while it waited."""
    return (reading.failing_since or reading.observed_at) - timedelta(milliseconds=reading.latency_ms)


def reaches_any(places: Iterable[Place]) -> bool:
    """Whether one of `places` (host and port) takes a connection. All are tried at once."""
    return any(answer is True for answer in together([partial(_takes, place) for place in places]))


def _takes(place: Place) -> bool:
    try:
        with socket.create_connection(place, timeout=CONNECT_SECONDS):
            return True
    except OSError:  # no name, no route, nobody there
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
