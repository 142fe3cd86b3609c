"""Takes secrets, e-mail addresses and phone numbers out of text that others wrote.

Used for error messages, build logs and our own log. It errs on the safe side: a harmless number that looks like
a phone's goes too. Commit ids (40 hexadecimal digits), UUIDs and the ids of deployments and texts stay: they are what
an engineer looks for. Every repetition is bounded, so that a hostile line costs no more than its length.
"""

from __future__ import annotations

import functools
import logging
import re
import traceback
from typing import Any

MARK = "…"

_SECRET_NAMES = "secret|token|passw(?:or)?d|passphrase|pwd|api[_-]?key|auth|signature|credential|private[_-]?key|bypass"

# A key in PEM, also one that was cut off.
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)")
# NAME=value and "name": "value" where the name says that it is secret.
_ASSIGNED = re.compile(
    rf"(?i)((?<![A-Za-z0-9_-])[\w-]{{0,40}}(?:{_SECRET_NAMES})[\w-]{{0,40}}[\"']?\s{{0,3}}[=:]\s{{0,3}}[\"']?)"
    rf"(?!(?:undefined|null|none|true|false|missing|required|bearer|basic|{MARK})\b)[^\s\"',;&{MARK}]{{4,4000}}"
)
# The same in code, where only a literal is a value: `token: booking.token` names what is elsewhere. Between the two may
# stand a type (`key: string =`), other values (`process.env.KEY ??`) and the end of a line.
_ASSIGNED_LITERAL = re.compile(
    rf"(?i)((?:{_SECRET_NAMES})[\w-]{{0,40}}[\"'\]]{{0,2}}(?:\s{{0,3}}:\s{{0,3}}[\w.]{{1,40}})?"
    r"\s{0,3}(?:\|\||\?\?)?[=:]{1,3}\s{0,80}(?:[\w.$!?()\[\]]{1,80}\s{0,80}(?:\?\?|\|\|)\s{0,80}){0,3})([\"'`])([^\"'`]{4,4000})"
)
# A comment begins after no colon: what follows on one is an address.
_COMMENT = re.compile(r"(?m)(?:(?<!:)//|/\*|^[ \t]*\*).*$")
# Without one of these a line of code holds no literal and no number that could be told.
_MAY_HOLD_A_KEY = re.compile(r"[\"'`@…]|//|\d{4}|\*")

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (_PEM, MARK),
        # user:password@ in any address, up to the last @: passwords hold @ as well.
        (r"(?i)\b([a-z][a-z0-9+.-]{0,20}://)[^\s/@]{0,200}:[^\s]{0,400}@", rf"\1{MARK}@"),
        # Addresses that are credentials themselves: deploy hooks, chat hooks, confirmation links. The file that answers
        # one, its form (`/[token]`) and Twilio's own address are none.
        (
            r"(?i)(/integrations/deploy/|hooks\.slack\.com/|/api/webhooks/|/booking-confirmation/)"
            r"(?!\[[\w.]{1,40}\](?![\w-])|twilio(?![\w/?=-])|(?:[\w\[\]-]{1,40}/){0,4}(?:route|page|layout)\.[jt]sx?\b)"
            r"[^\s\"'<>]{1,400}",
            rf"\1{MARK}",
        ),
        # Tokens that say what they are.
        (
            r"\b(?:sb_secret_|sbp_|vc[a-z]_|gh[a-z]_|github_pat_|sk_live_|sk_test_|rk_live_|npm_|glpat-|xox[a-z]-|whsec_)"
            r"[A-Za-z0-9_-]{6,400}",
            MARK,
        ),
        (r"\beyJ[A-Za-z0-9_-]{8,4000}(?:\.[A-Za-z0-9_-]{0,4000}){0,2}", MARK),
        (r"\bAKIA[0-9A-Z]{12,20}\b", MARK),
        # Twilio: account and key ids with what follows them, and bare 32 digits, the form of its auth tokens.
        (r"\b(?:AC|SK)[0-9a-fA-F]{32}(?::[^\s\"'@]{1,200})?", MARK),
        (r"\b[0-9a-fA-F]{32}\b", MARK),
        (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,4000}", rf"\1 {MARK}"),
        (_ASSIGNED, rf"\1{MARK}"),
        # Long mixed runs are tokens of a kind we do not know. Ids that begin like ours are not.
        (
            r"\b(?!(?:dpl|prj|team|req|evt)_)(?=[A-Za-z0-9_]{0,200}[a-z])(?=[A-Za-z0-9_]{0,200}[A-Z])"
            r"(?=[A-Za-z0-9_]{0,200}[0-9])(?!(?:SM|MM|NO|MG)[0-9a-f]{32}\b)[A-Za-z0-9_]{24,400}\b",
            MARK,
        ),
        (r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}", MARK),
    )
)

# What stands between the digits of a number, and what must not stand before one: a word, or a time or decimal number
# that it would be the rest of.
_GAP = r"[\s().\-/\u2010-\u2015]{0,5}"
_START = r"(?<!\w)(?<!\d[.:])"
# Phone numbers: +44 (0)7700 900123, 0044…, 07700/900123, 447700900123, (555) 123-4567.
_PHONES = (
    rf"(?:\+|%2B|{_START}00)\s?\(?[1-9](?:{_GAP}\d){{6,14}}(?!\d)",
    rf"{_START}\(?0[1-37-9](?:{_GAP}\d){{8,9}}(?!\d)",
    r"(?<![A-Za-z\d])44[\s-]?[1-37]\d{2,4}[\s-]?\d{3}[\s-]?\d{3,4}(?!\d)",
    rf"{_START}\(?[2-9]\d{{2}}\)?[\s.-]\d{{3}}[\s.-]\d{{4}}(?!\d)",
)
# The digits of some ids would pass for a number. Where one stands it is taken whole, and left.
_ID = r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{40})(?![0-9A-Za-z])"
_ID_OR_PHONES = tuple(re.compile(f"(?P<id>{_ID})|{phone}") for phone in _PHONES)


def redact(text: str) -> str:
    """Return `text` without token-like strings, e-mail addresses and phone numbers."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return _without_phones(text)


def _without_phones(text: str) -> str:
    for pattern in _ID_OR_PHONES:
        text = pattern.sub(lambda found: found["id"] or MARK, text)
    return text


def redact_code(text: str) -> str:
    """Return code without literals and comments that look like keys, addresses or numbers, line for line.

    What `redact` takes out of other text is left where it can only be a name: `token: booking.token`.
    """
    text = _PEM.sub(lambda found: MARK + _ends_of_line(found[0]), text)
    text = _COMMENT.sub(lambda found: redact(found[0]), text)
    text = _ASSIGNED_LITERAL.sub(lambda found: f"{found[1]}{found[2]}{MARK}{_ends_of_line(found[3])}", text)
    return "\n".join(map(_redact_line_of_code, text.split("\n")))


def _ends_of_line(text: str) -> str:
    return "\n" * text.count("\n")


def _redact_line_of_code(line: str) -> str:
    if not _MAY_HOLD_A_KEY.search(line):
        return line
    for pattern, replacement in _RULES:
        if pattern is not _ASSIGNED:
            line = pattern.sub(replacement, line)
    return _without_phones(line)


def redact_record(record: logging.LogRecord) -> None:
    """Take what `redact` takes out of one log record: its message with its arguments, traceback and stack."""
    try:
        message = record.getMessage()
    except (TypeError, ValueError):
        message = str(record.msg)  # arguments that do not fit the format
    record.msg, record.args = redact(message), None
    if record.exc_info:
        record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        record.exc_info = None  # a formatter would print it again, as it was
    if record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


@functools.cache
def redact_logs() -> None:
    """Redact every record that this process logs from now on, also those of libraries."""
    make = logging.getLogRecordFactory()

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        # The server's access lines are formatted from their arguments; deep links hold no data.
        if record.name != "uvicorn.access":
            redact_record(record)
        return record

    logging.setLogRecordFactory(make_redacted)
