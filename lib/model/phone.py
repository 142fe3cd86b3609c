"""Phone numbers: one form to join them by, one mask to show them by."""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

HOME_REGION = "GB"
# The library would read digits out of an alphanumeric sender such as INFO2024.
_LOOKS_LIKE_A_NUMBER = re.compile(r"[+\d\s().-]+")


@lru_cache(maxsize=4096)
def e164(text: str | None) -> str | None:
    """Return `text` in E.164 (`+447…`), or as it stands if it is no number (an alphanumeric sender)."""
    if text is None or not _LOOKS_LIKE_A_NUMBER.fullmatch(text):
        return text
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        return text
    if not phonenumbers.is_possible_number(number):
        return text  # a short code, or a slip of the pen
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def masked(number: str | None, *, show_last: int = 3) -> str:
    """Return `number` of fixed width for the glass: at most its last `show_last` digits can be read."""
    digits = [character for character in number or "" if character.isdigit()]
    if not digits:
        return "—" if not number else "•••"
    tail = "".join(digits[-show_last:]) if show_last and len(digits) > show_last + 3 else ""
    return f"+•• •••• ••{tail or '•••'}"
