"""Who does something at the desk, in which role, and by which way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

# Who it is on this machine without a login, on screen and in the journal.
NO_LOGIN = "local, no login"


class Role(StrEnum):
    """What somebody may do. An operator may do all that a viewer may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    DESK = "desk"  # the desk itself, on nobody's behalf: it notes and tidies up, and never acts


class Via(StrEnum):
    """The way by which somebody came."""

    PAGE = "page"
    COMMAND_LINE = "command_line"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `name` is the e-mail address of the login, or what stands for it where there is no login."""

    name: str
    role: Role
    via: Via

    @property
    def logged_in(self) -> bool:
        """Whether an identity provider vouches for the name: at the command line everybody says who they are."""
        return self.via is Via.PAGE and self.name != NO_LOGIN


def normal_address(address: str) -> str:
    """Return an e-mail address, or the name of a login, in the form in which it is compared.

    Only the letters A to Z lose their case, as identity providers compare them. `str.casefold` would also make an s of
    U+017F and a k of the Kelvin sign U+212A, and so let the owner of another address in.
    """
    return "".join(letter.lower() if letter.isascii() else letter for letter in address.strip())


def is_listed(address: str, listed: Iterable[str]) -> bool:
    """Whether `address` is one of those `listed`. An empty address never is."""
    return bool(address.strip()) and normal_address(address) in map(normal_address, listed)


def email_is_verified(claims: Mapping[str, object]) -> bool:
    """Whether the identity provider vouches for the claim `email`.

    `email_verified` must be true, or the text "true", which some providers send. Anything else is not true, whatever
    its type. A provider that has no such claim at all is believed: it says nothing against its address.
    Source: OpenID Connect Core 1.0, section 5.1.
    """
    if "email_verified" not in claims:
        return True
    claim = claims["email_verified"]
    return claim is True or (isinstance(claim, str) and normal_address(claim) == "true")
