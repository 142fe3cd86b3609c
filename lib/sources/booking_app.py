"""The booking app from outside: is it up, and does the confirmation link open without a login?

Asked without cookies and without any credential, as a customer's phone would. A redirect to a login is an answer,
not an outage.
"""

from __future__ import annotations

import html
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import SplitResult, urljoin, urlsplit

from lib.model.provider import AppHealth, Landing, LinkOpening
from lib.model.reading import FailureKind, Observed, SourceError
from lib.sources.http import USER_AGENT, Deadline, Http, HttpResponse, is_loopback, join, utc_now

SYSTEM = "The booking app"
HINTS = {
    FailureKind.TIMEOUT: "Open BOOKING_APP_URL in a browser: is the app up?",
    FailureKind.UNAVAILABLE: "Open BOOKING_APP_URL in a browser: is the app up, and the address right?",
    FailureKind.BAD_DATA: "Check BOOKING_APP_URL.",
}
CONFIRMATION_PATH = "/booking-confirmation/"
MAX_REDIRECTS = 8
MAX_PAGE_BYTES = 4 * 2**20
# The app counts openings of its links: by this it can leave ours out.
LINK_CHECK_AGENT = f"{USER_AGENT} (link check)"

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Parts of a path that are shown as they are. Everything else may be a token.
_LOGIN_SEGMENTS = frozenset({"login", "signin", "sign-in"})
_KNOWN_SEGMENTS = _LOGIN_SEGMENTS | {
    "404",
    "500",
    "api",
    "auth",
    "booking-confirmation",
    "confirmed",
    "error",
    "expired",
    "l",
    "not-found",
    "sso",
    "sso-api",
    "success",
}
_DEPLOYMENT = re.compile(rb"(?:data-dpl-id=[\"']|[?&]dpl=)(dpl_[A-Za-z0-9]{1,64})")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,40}")
_VERCEL_ERROR = re.compile(r"[A-Z][A-Z0-9_]{1,63}")
# Next.js redirects like this once it has begun to send the page with a 200.
_META_REFRESH = re.compile(
    rb"(?i)<meta[^>]{0,200}http-equiv=[\"']refresh[\"'][^>]{0,200}content=[\"'][^\"'>]{0,20}url=([^\"'>]{1,2000})"
)
_VERCEL_LOGIN = (b"vercel.com/sso", b"_vercel_sso_nonce", b"Vercel Authentication")


@dataclass(frozen=True, kw_only=True)
class BookingApp:
    """The booking app's public side. Both readings raise `SourceError` only."""

    http: Http
    base_url: str
    clock: Callable[[], datetime] = utc_now

    def health(self, deadline: Deadline) -> Observed[AppHealth]:
        """Ask for the start page. Whatever is answered is a fact; the app may name its commit in `X-Commit-Sha`."""
        answer = self._ask(self.base_url + "/", deadline, USER_AGENT)
        found = _DEPLOYMENT.search(answer.body)
        commit, error = answer.headers.get("X-Commit-Sha", ""), answer.headers.get("X-Vercel-Error", "")
        return Observed(
            AppHealth(
                url_host=urlsplit(self.base_url).hostname or "",
                status_code=answer.status,
                commit=commit.lower() if _COMMIT.fullmatch(commit) else None,
                deployment_id=found.group(1).decode() if found else None,
                served_by_vercel="X-Vercel-Id" in answer.headers or answer.headers.get("Server") == "Vercel",
                vercel_error=error if _VERCEL_ERROR.fullmatch(error) else None,
            )
        )

    def confirmation_url(self, token: str) -> str:
        """Return the address of the confirmation page of a pending booking."""
        return join(self.base_url, CONFIRMATION_PATH.strip("/"), token)

    def may_open(self, url: str, hostnames: Iterable[str] = ()) -> bool:
        """Whether `open_link` would ask for `url` at all: its host is the app's own, or one of `hostnames`."""
        try:
            return self._may_ask(_split(url), hostnames)
        except SourceError:
            return False

    def open_link(
        self, url: str, pending_booking_id: str, deadline: Deadline, hostnames: Iterable[str] = ()
    ) -> Observed[LinkOpening]:
        """Open `url` without a login and follow it to where it lands.

        Only the app's own host and the production `hostnames` are asked, and no private address unless the app
        itself is on this machine. Raises `forbidden` for a link that begins elsewhere.
        """
        opened_at = self.clock()
        allowed = frozenset(hostnames)
        steps: list[str] = []
        landing, status = Landing.ERROR, 0
        for _ in range(MAX_REDIRECTS + 1):
            place = _split(url)
            steps.append(self._step(place))
            if not self._may_ask(place, allowed):
                if status == 0:
                    raise SourceError(
                        FailureKind.FORBIDDEN,
                        "The confirmation link points to a host that is not known as ours, so it was not opened.",
                        "Check BOOKING_APP_URL and the production hostnames of the Vercel project.",
                    )
                landing = Landing.LOGIN if _is_vercel_login(place) else Landing.ELSEWHERE
                break
            answer = self._ask(url, deadline, LINK_CHECK_AGENT)
            status = answer.status
            target = _target(answer)
            if target is None:
                landing = self._landing(place, answer)
                break
            url = _joined(url, target)
        return Observed(LinkOpening(pending_booking_id, opened_at, landing, status, tuple(steps)))

    def _ask(self, url: str, deadline: Deadline, agent: str) -> HttpResponse:
        headers = {"User-Agent": agent, "Accept": "text/html,*/*"}
        return self.http.get(
            url, system=SYSTEM, deadline=deadline, headers=headers, hints=HINTS, max_bytes=MAX_PAGE_BYTES
        )

    def _may_ask(self, place: SplitResult, hostnames: Iterable[str]) -> bool:
        if place.scheme not in ("http", "https") or place.username or place.password:
            return False
        own, host = urlsplit(self.base_url), place.hostname or ""
        is_own = (host, place.port) == (own.hostname, own.port)
        is_ours = is_own or (host in {name.lower() for name in hostnames} and place.port in (None, 80, 443))
        return is_ours and (is_loopback(own.hostname or "") or _is_public(host))

    def _path(self, place: SplitResult) -> str:
        """Return the path as the app knows it: without the folder that the app itself may stand in."""
        own = urlsplit(self.base_url)
        return place.path.removeprefix(own.path) if place.hostname == own.hostname else place.path

    def _step(self, place: SplitResult) -> str:
        parts = self._path(place).split("/")
        return (place.hostname or "") + "/".join(part if part in _KNOWN_SEGMENTS | {""} else "…" for part in parts)

    def _landing(self, place: SplitResult, answer: HttpResponse) -> Landing:
        path = self._path(place)
        if answer.status == 401 or (answer.status == 403 and any(mark in answer.body for mark in _VERCEL_LOGIN)):
            return Landing.LOGIN
        if answer.status in (404, 410):
            return Landing.NOT_FOUND
        if answer.status >= 400 or answer.status in _REDIRECTS:
            return Landing.ERROR
        if _LOGIN_SEGMENTS & set(path.split("/")):
            return Landing.LOGIN
        return Landing.CONFIRMATION if path.startswith(CONFIRMATION_PATH) else Landing.ELSEWHERE


def _split(url: str) -> SplitResult:
    try:
        place = urlsplit(url)
        _ = place.port  # raises for a port that is no number
    except ValueError:
        raise _malformed() from None
    return place


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise _malformed() from None


def _malformed() -> SourceError:
    return SourceError(
        FailureKind.BAD_DATA,
        "The confirmation link leads to an address that is malformed.",
        "Open a link from a recent text by hand and see where it goes.",
    )


def _target(answer: HttpResponse) -> str | None:
    """Return where the answer sends a browser on to, or None if it stays."""
    if answer.status in _REDIRECTS:
        return answer.headers.get("Location") or None
    refresh = _META_REFRESH.search(answer.body) if answer.status == 200 else None
    return html.unescape(refresh.group(1).decode("utf-8", "replace")).strip() if refresh else None


def _is_vercel_login(place: SplitResult) -> bool:
    return place.hostname == "vercel.com" and place.path.startswith(("/sso", "/login"))


def _is_public(host: str) -> bool:
    """Whether `host` leads to the open internet; a name that cannot be resolved here is left to the proxy."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return True
    return all(ipaddress.ip_address(address.partition("%")[0]).is_global for address in found)
