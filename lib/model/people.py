"""Who does something at the desk, in which role, and by which way."""

from __future__ import annotations

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
