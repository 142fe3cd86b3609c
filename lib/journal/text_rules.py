"""Which text may be stored in the journal: none that identifies a customer, and no secret.

Every text field of a payload has one of the types below; a test holds that none is a bare `str`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, AliasChoices, Field, StringConstraints, ValidationInfo

from lib.model.people import NO_LOGIN, Actor, normal_address
from lib.redaction import redact

LONGEST_TEXT = 20_000
# No more than this is searched: an answer of megabytes must not delay the record of an action.
LONGEST_LOOK = 200_000
_CUT = " … (cut)"
_EMAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}")
LONGEST_ACTOR = 254

WRITING = {"writing": True}  # the context in which payloads are validated on their way in


def tidy(text: str) -> str:
    """Return `text` redacted, without invisible characters, and at most `LONGEST_TEXT` characters long.

    Invisible characters are removed first: they can hide a number from the redaction, or reverse a line.
    """
    safe = redact(_visible(text[:LONGEST_LOOK])).strip()
    return safe if len(safe) <= LONGEST_TEXT else safe[: LONGEST_TEXT - len(_CUT)] + _CUT


def _visible(text: str) -> str:
    # Cc control, Cf format (zero width, bidirectional), Cs lone surrogates, which no database can store.
    return "".join(
        character
        for character in text.replace("\r\n", "\n").replace("\r", "\n")
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs")
    )


def _exact(value: str, info: ValidationInfo) -> str:
    """Refuse, when writing, a value that `tidy` would change: the argument of an action must not be altered silently.

    When reading, the value stays as it is: a later rule must not make an old entry unreadable.
    """
    if info.context == WRITING and tidy(value) != value:
        raise ValueError("looks like a secret or a person's number or address: refer to it by an id")
    return value


# Text for people to read: redacted when written, and again, by the present rules, when read.
PlainText = Annotated[str, AfterValidator(tidy)]
# The same, for a message. It is stored and exported as `words`, as in earlier versions.
STORED_AS_WORDS = Field(validation_alias=AliasChoices("words", "message"), serialization_alias="words")
Message = Annotated[PlainText, STORED_AS_WORDS]
# What must be stored exactly: refused if it would have to be redacted.
Exact = Annotated[str, StringConstraints(max_length=500), AfterValidator(_exact)]
# A name of our own: of an action, a step, a check, a lock.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$"), AfterValidator(_exact)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def actor_name(name: str) -> str:
    """Return the name under which an actor is recorded: a staff e-mail address unchanged, anything else redacted."""
    visible = _visible(name[:LONGEST_LOOK]).strip()
    if len(visible) <= LONGEST_ACTOR and _EMAIL.fullmatch(visible):
        return visible
    return " ".join(tidy(visible).split())[:LONGEST_ACTOR] or "unknown"


def same_person(one: Actor, other: Actor) -> bool:
    """Whether two actors may be one person. In doubt they are.

    Without a login it may be anybody. `ann`, a user of the machine, may be `ann@lantern.example`.
    """
    names = [normal_address(actor_name(actor.name)) for actor in (one, other)]
    if NO_LOGIN in names:
        return True
    if not all("@" in name for name in names):
        names = [name.partition("@")[0] for name in names]
    return names[0] == names[1]
