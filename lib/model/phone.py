"""Phone numbers: one form to join them by, one mask to show them by."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import phonenumbers

# Where a number without +… is dialled from, unless the setting HOME_REGION says otherwise.
HOME_REGION = "GB"
REGIONS: frozenset[str] = frozenset(phonenumbers.SUPPORTED_REGIONS)
# The first of Ofcom's numbers for drama, 07700 900000 to 900999: possible, and nobody's.
NOBODYS_NUMBER = "+447700900000"
# What Twilio puts before a number that it reaches by another way than a text.
_CHANNEL = re.compile(r"^(?:whatsapp|sms|rcs):", re.IGNORECASE)
# The library would read digits out of an alphanumeric sender such as INFO2024.
_LOOKS_LIKE_A_NUMBER = re.compile(r"[+\d\s().-]+")


@lru_cache(maxsize=4096)
def number(text: str, region: str = HOME_REGION) -> str | None:
    """Return the phone number in `text` in E.164 (`+447…`), or None if that is no number one can call.

    A national form is read as one of `region`, one of `REGIONS`.
    """
    plain = _plain(text)
    if not _LOOKS_LIKE_A_NUMBER.fullmatch(plain):
        return None
    try:
        parsed = phonenumbers.parse(plain, region)
    except phonenumbers.NumberParseException:
        return None
    # Not "possible, but only locally", as a short code or a slip of the pen is.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _plain(text: str) -> str:
    """Return `text` without its channel and characters that cannot be seen, and with plain digits and hyphens."""
    visible = (c for c in unicodedata.normalize("NFKC", _CHANNEL.sub("", text.strip())))
    kept = (c for c in visible if unicodedata.category(c) != "Cf")
    return "".join("-" if unicodedata.category(c) == "Pd" else c for c in kept).strip()


def e164(text: str | None, region: str = HOME_REGION) -> str | None:
    """Return `text` in E.164, or as it stands if it is no number (an alphanumeric sender)."""
    return text if text is None else number(text, region) or text


def masked(text: str | None, *, show_last: int = 3) -> str:
    """Return the number `text` masked, in one width: at most its last `show_last` digits can be read."""
    digits = [character for character in text or "" if character.isdigit()]
    if not digits:
        return "—" if not text else "•••"
    tail = "".join(digits[-show_last:]) if show_last and len(digits) > show_last + 3 else ""
    return f"+•• •••• ••{tail or '•••'}"
