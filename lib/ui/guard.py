"""Who may look. `app.py` and every page call the guard before anything else, because a page can run without `app.py`.

With a login configured, the e-mail address decides, and nobody is let in by default. Without one, only this machine
may look: the server must be configured to listen on loopback, the other end of the connection must be this machine,
and the request must have been made to it by a loopback name (a name in a stranger's DNS may point here as well),
through no proxy and by no other site's page.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import streamlit as st

from lib import settings as settings_
from lib.model.people import NO_LOGIN, Actor, Role, Via
from lib.settings import SECRETS_FILE, Settings
from lib.sources.http import is_loopback

# What a proxy adds to a request that it passes on, besides whatever begins with the first.
_FORWARDED_PREFIX = "x-forwarded"
_FORWARDED = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "fly-client-ip"}
)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at the page. `email` is None on this machine without a login."""

    role: Role
    email: str | None

    @property
    def actor(self) -> Actor:
        """The same person as the journal names them."""
        return Actor(self.email or NO_LOGIN, self.role, Via.PAGE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why this viewer is not let in, and what to do about it. `can_log_in`: a login is the fix."""

    title: str
    sentence: str
    can_log_in: bool = False


def guard() -> Viewer:
    """Return who looks, or show how to get in and stop. Nothing else may be drawn before it."""
    answer = who_looks()
    if isinstance(answer, Refusal):
        _show(answer)
        st.stop()
    return answer


def _show(refusal: Refusal) -> None:
    st.title("Switchboard", anchor=False)
    if not refusal.can_log_in:
        st.error(refusal.sentence, title=refusal.title, icon=":material/lock:")
        return
    st.subheader(refusal.title, anchor=False)
    st.text(refusal.sentence)
    if st.user.to_dict().get("is_logged_in"):
        st.button("Log out", on_click=st.logout, key="log_out")
    else:
        st.button("Log in", on_click=st.login, key="log_in", type="primary")


def who_looks() -> Viewer | Refusal:
    """Return who looks, or why nobody may."""
    try:
        login = _login_configured()
    except (OSError, ValueError):
        return Refusal(
            "Nobody can be let in",
            f"{SECRETS_FILE.name} cannot be read, so it is unknown who may look: correct the file and start again.",
        )
    if login:
        return role_of(st.user.to_dict(), settings_.load())
    if _only_this_machine(_listens_on(), _peer(), _headers()):
        return Viewer(Role.OPERATOR, None)
    return Refusal(
        "A login is needed",
        "This desk can be reached from other machines and has no login. Configure one in .streamlit/secrets.toml "
        "(section auth, as in secrets.example.toml) and list people in OPERATORS and VIEWERS, or let it listen "
        "on 127.0.0.1 only and open it as http://localhost.",
    )


def role_of(user: Mapping[str, object], settings: Settings) -> Viewer | Refusal:
    """Return the role of a logged-in user by the e-mail address that the provider vouches for."""
    if not user.get("is_logged_in"):
        return Refusal("Please log in", "Switchboard is open to its operators and viewers.", can_log_in=True)
    email = str(user.get("email") or "").strip().casefold()
    refused = Refusal(
        "Not allowed",
        "Your account is on neither list: ask an operator to add its e-mail address to OPERATORS or VIEWERS.",
        can_log_in=True,
    )
    # Some providers let people claim any address and say so.
    if not email or user.get("email_verified") in (False, "false"):
        return refused
    if email in (name.casefold() for name in settings.operators):
        return Viewer(Role.OPERATOR, email)
    if email in (name.casefold() for name in settings.viewers):
        return Viewer(Role.VIEWER, email)
    return refused


def local_without_login(peer: str, headers: Mapping[str, str]) -> bool:
    """Whether a request outside of any page came from this machine to a desk that has no login.

    `peer` is the address of the other end of the connection.
    """
    try:
        return not _login_in_secrets() and _only_this_machine(_listens_on(), peer, headers)
    except (OSError, ValueError):
        return False


def _listens_on() -> str:
    return str(st.get_option("server.address") or "")


def _login_configured() -> bool:
    """Whether a login is configured. Raises if that cannot be known: then nobody is let in."""
    return "is_logged_in" in st.user.to_dict() or _login_in_secrets()


def _login_in_secrets() -> bool:
    if not SECRETS_FILE.exists():  # a folder in its place cannot be read, and then nobody is let in
        return False
    return "auth" in tomllib.loads(SECRETS_FILE.read_text(encoding="utf-8"))


def _headers() -> Mapping[str, str]:
    return st.context.headers


def _peer() -> str:
    """Return the address of the other end of the page's connection; Streamlit returns none for this machine."""
    return st.context.ip_address or "127.0.0.1"


def _only_this_machine(address: str, peer: str, headers: Mapping[str, str]) -> bool:
    """Whether the server listens on loopback and the request was made there, by a loopback name and without a proxy.

    `address` is what the settings say and need not be true (`uvicorn --host`), so `peer` is checked as well. A page of
    another site on this machine may open a connection to us: its Origin names that site, including the port.
    """
    given = {name.lower(): value for name, value in headers.items()}
    host = given.get("host", "")
    proxied = any(name in _FORWARDED or name.startswith(_FORWARDED_PREFIX) for name in given)
    ours = "origin" not in given or urlsplit(given["origin"]).netloc == host
    local = all(map(is_loopback, (address, peer, _hostname(host))))
    return local and ours and not proxied


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:  # it is no address at all
        return ""
