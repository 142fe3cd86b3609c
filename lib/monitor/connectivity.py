""" "We are offline” is not “they are down”: whether anything outside can be reached from here at all."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from functools import partial
from urllib.parse import urlsplit

from lib.model.reading import FailureKind, SourceName
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.sources.http import together

CONNECT_SECONDS = 3.0
_NO_CONNECTION = (FailureKind.UNAVAILABLE, FailureKind.TIMEOUT)
_PORTS = {"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432}

Place = tuple[str, int]


def offline(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether the fault is our own connection: no source gave an answer, and no place of theirs takes a connection.

    The second is only tried where the first holds. A refused request, whatever it says, is a connection.
    """
    failures = [reading.failure for reading in snapshot.readings]
    asked = [failure for failure in failures if failure is None or failure.kind is not FailureKind.NOT_CONFIGURED]
    if not asked or any(failure is None or failure.kind not in _NO_CONNECTION for failure in asked):
        return False
    return not reaches_any(set(_places(settings)))


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
