"""Who may look. `app.py` and every page call the guard before anything else, because a page can run without `app.py`.

With a login configured, the e-mail address decides, and nobody is let in by default. Without one, only this machine
may look: the server must be configured to listen on loopback, the other end of the connection must be this machine,
and the request must have been made to it by a loopback name (a name in a stranger's DNS may point here as well),
through no proxy that says so and by no other site's page. A proxy on this machine that says nothing looks the same. So
on live systems this is not enough: who looks must also hold the token of this start (`lib.start_token`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st

from lib import access
from lib import settings as settings_
from lib.model.people import NO_LOGIN, Actor, Role, Via, email_is_verified, is_listed, normal_address
from lib.settings import SECRETS_FILE, Settings
from lib.sources.http import is_loopback
from lib.start_token import PARAMETER, START_TOKEN, TokenAttempt, cookie_name
from lib.ui import runtime
from lib.ui.websockets import WEBSOCKETS, OpenWebsocket, admit

# What a proxy adds to a request that it passes on, besides whatever begins with the first.
_FORWARDED_PREFIX = "x-forwarded"
_FORWARDED = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "fly-client-ip"}
)
# A host, with a port or without. No user, path, query or fragment: urlsplit would take a name out of the midst of one.
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

# Where session state keeps the token: as it was shown, for the guard to compare again, and as it is being typed.
_SHOWN, _TYPED = "start_token", "start_token_typed"


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
    """Why this viewer is not let in, and what to do about it. `can_log_in`: a login is the fix; or the token is."""

    title: str
    sentence: str
    can_log_in: bool = False
    needs_token: bool = False


class Asks(Enum):
    """What decides about a request that nothing else refuses."""

    LOGIN = "login"
    TOKEN = "token"
    NOTHING = "nothing"  # a sandbox, on this machine


NO_TOKEN = Refusal(
    "The token of this start is needed",
    "Switchboard is on live systems and has no login. Its token was printed where it was started: open the address "
    "printed there, or type the token here.",
    needs_token=True,
)
WRONG_TOKEN = Refusal(
    "That is not the token", "A new token is made at each start: look where it was started.", needs_token=True
)
TOO_MANY_TOKENS = Refusal("Too many wrong tokens", "Wait a minute, then type the token again.", needs_token=True)


def guard() -> Viewer:
    """Return who looks, or show how to get in and stop. Nothing else may be drawn before it."""
    answer = who_looks()
    if isinstance(answer, Refusal):
        _show(answer)
        st.stop()
    admit(_websocket())
    return answer


def _show(refusal: Refusal) -> None:
    st.title("Switchboard", anchor=False)
    if refusal.needs_token:
        START_TOKEN.announce()
        _ask_for_token(refusal)
        return
    if not refusal.can_log_in:
        st.error(refusal.sentence, title=refusal.title, icon=":material/lock:")
        return
    st.subheader(refusal.title, anchor=False)
    st.text(refusal.sentence)
    if st.user.to_dict().get("is_logged_in"):
        st.button("Log out", on_click=st.logout, key="log_out")
    else:
        st.button("Log in", on_click=st.login, key="log_in", type="primary")


def _ask_for_token(refusal: Refusal) -> None:
    st.subheader(refusal.title, anchor=False)
    st.text(refusal.sentence)
    st.text_input("Token of this start", type="password", key=_TYPED, autocomplete="off")
    st.button("Open", on_click=_take_typed_token, key="start_token_open", type="primary")
    if problem := st.session_state.pop("start_token_problem", None):
        st.warning(problem)


def _take_typed_token() -> None:
    _take_token(str(st.session_state.get(_TYPED) or ""))


def _take_token(given: str) -> None:
    """Keep a token that was shown, if it is the right one. Session state has what to compare: it is no proof itself."""
    attempt = START_TOKEN.attempt(given)
    if attempt is TokenAttempt.RIGHT:
        st.session_state[_SHOWN] = START_TOKEN.text
    else:
        refusal = WRONG_TOKEN if attempt is TokenAttempt.WRONG else TOO_MANY_TOKENS
        st.session_state["start_token_problem"] = f"{refusal.title}. {refusal.sentence}"


def who_looks() -> Viewer | Refusal:
    """Return who looks, or why nobody may."""
    asks = what_is_asked(_peer(), _headers(), logged_in="is_logged_in" in st.user.to_dict())
    if isinstance(asks, Refusal):
        return asks
    if asks is Asks.LOGIN:
        return role_of(st.user.to_dict(), settings_.load())
    if asks is Asks.TOKEN and not _holds_token():
        return NO_TOKEN
    return Viewer(Role.OPERATOR, None)


def what_is_asked(peer: str, headers: Mapping[str, str], *, logged_in: bool = False) -> Asks | Refusal:
    """Return what decides about a request, or why it is refused whoever made it.

    `peer` is the address of the other end of the connection; empty if it is not known, and then it is not this machine.
    `logged_in`: Streamlit has somebody's login, so one is configured.
    """
    try:
        login = logged_in or login_configured()
    except (OSError, ValueError):
        return Refusal(
            "Nobody can be let in",
            f"{SECRETS_FILE.name} cannot be read, so it is unknown who may look: correct the file and start again.",
        )
    if not login and not _only_this_machine(_listens_on(), peer, headers):
        return Refusal(
            "A login is needed",
            "Switchboard can be reached from other machines and has no login. Configure one in .streamlit/secrets.toml "
            "(section auth, as in secrets.example.toml) and list people in OPERATORS and VIEWERS, or let it listen "
            "on 127.0.0.1 only and open it as http://localhost.",
        )
    sandbox, live = _systems()
    if sandbox and live:
        return Refusal(
            "A sandbox and live systems are mixed",
            f"SANDBOX_URL is set, and {', '.join(live)} leads to a live system. Unset SANDBOX_URL, or what is live.",
        )
    if login:
        return Asks.LOGIN
    return Asks.TOKEN if live else Asks.NOTHING


def login_configured() -> bool:
    """Return whether a login is configured. Raises `OSError` or `ValueError` if that cannot be known."""
    return access.login_configured(map(Path, st.get_option("secrets.files") or ()))


def asks_for_token() -> bool:
    """Return whether this desk lets nobody in without the token of this start: it is live and has no login."""
    try:
        return not login_configured() and bool(_systems()[1])
    except (OSError, ValueError):
        return False


def role_of(user: Mapping[str, object], settings: Settings) -> Viewer | Refusal:
    """Return the role of a logged-in user by the e-mail address that the provider vouches for."""
    if not user.get("is_logged_in"):
        return Refusal("Please log in", "Switchboard is open to its operators and viewers.", can_log_in=True)
    email = normal_address(str(user.get("email") or ""))
    refused = Refusal(
        "Not allowed",
        "Your account is on neither list: ask an operator to add its e-mail address to OPERATORS or VIEWERS.",
        can_log_in=True,
    )
    # Some providers let people claim any address and say so.
    if not email or not email_is_verified(user):
        return refused
    if is_listed(email, settings.operators):
        return Viewer(Role.OPERATOR, email)
    if is_listed(email, settings.viewers):
        return Viewer(Role.VIEWER, email)
    return refused


def host_is_plain(host: str) -> bool:
    """Return whether a `Host` header is a host, with a port or without, and nothing else."""
    return _HOST.fullmatch(host) is not None


def _systems() -> tuple[bool, tuple[str, ...]]:
    """Return whether the desk is on a sandbox, and which settings lead to live systems.

    A desk that is not open yet is one whose sandbox is starting: nothing is configured, so nothing is live.
    """
    desk = runtime.app_runtime().desk
    if desk is None:
        return True, ()
    if desk.settings.sandbox_url is None:
        return False, access.live_systems(desk.settings) or ("Switchboard",)
    return True, access.live_systems(desk.settings)


def _holds_token() -> bool:
    """Return whether who looks has shown the token of this start: in a cookie, in this session, or in the address."""
    if START_TOKEN.is_cookie(_cookies().get(cookie_name(_headers().get("host", "")), "")):
        return True
    if given := st.query_params.get(PARAMETER):
        del st.query_params[PARAMETER]
        _take_token(given)
    return START_TOKEN.matches(str(st.session_state.get(_SHOWN) or ""))


def _listens_on() -> str:
    return str(st.get_option("server.address") or "")


def _headers() -> Mapping[str, str]:
    return {name.lower(): value for name, value in st.context.headers.items()}


def _cookies() -> Mapping[str, str]:
    return st.context.cookies


def _websocket() -> OpenWebsocket | None:
    return WEBSOCKETS.of(_headers())


def _peer() -> str:
    """Return the address of the other end of the page's connection; empty if it is not known.

    Streamlit returns no address for this machine, and none where it knows none (a unix socket): the gate knows. Without
    our server in front (`streamlit run app.py`) there is no unix socket.
    """
    websocket = _websocket()
    return websocket.peer if websocket else st.context.ip_address or "127.0.0.1"


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
    found = _HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else ""
