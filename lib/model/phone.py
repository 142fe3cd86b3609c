"""Phone numbers: one form to join them by, one mask to show them by."""

from __future__ import annotations

import phonenumbers

HOME_REGION = "GB"


def e164(text: str | None) -> str | None:
    """Return `text` in E.164 (`+447…`), or as it stands if it is no number (an alphanumeric sender)."""
    if text is None:
        return None
    try:
        number = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        return text
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def masked(number: str | None, *, show_last: int = 3) -> str:
    """Return `number` of fixed width for the glass: at most its last `show_last` digits can be read."""
    digits = [character for character in number or "" if character.isdigit()]
    if not digits:
        return "—" if not number else "•••"
    tail = "".join(digits[-show_last:]) if show_last and len(digits) > show_last + 3 else ""
    return f"+•• •••• ••{tail or '•••'}"
