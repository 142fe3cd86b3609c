"""What may be sent to a browser, and in which form. What is not sent cannot leak.

Tables, hover texts and downloads all go through here. Masking is an allowlist: a column that no schema declares is
masked. Text from outside is redacted and shown as text, never as Markdown or HTML.
"""

from __future__ import annotations

import html
import re
import unicodedata

import pandas as pd
import pandera.pandas as pa

from lib.formatting import in_csv
from lib.journal.text_rules import actor_name
from lib.model.frames import Privacy, privacy_of
from lib.model.phone import masked
from lib.redaction import redact, redact_code

MASK = "•••"
MAX_TEXT = 400

_MASKED_TAIL = re.compile(r"(\+•• •••• ••)\d{3}")  # as `masked` leaves it
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&@/])")


def for_browser(frame: pd.DataFrame, schema: pa.DataFrameSchema, *, sharing: bool) -> pd.DataFrame:
    """Return `frame` as it may be seen: secrets dropped, numbers and undeclared columns masked.

    While `sharing` a screen not one digit of a number is left.
    """
    shown = {
        str(column): _column(frame[column], privacy, sharing)
        for column in frame.columns
        if (privacy := privacy_of(schema, str(column))) is not Privacy.SECRET
    }
    return pd.DataFrame(shown, index=frame.index).reset_index(drop=True)


def _column(values: pd.Series, privacy: Privacy | None, sharing: bool) -> pd.Series:
    match privacy:
        case Privacy.PUBLIC:
            return values
        case Privacy.PHONE:
            return values.map(lambda number: phone(number, sharing=sharing)).astype("str")
        case Privacy.STRANGER_TEXT:
            # Streamlit lets people download a table as CSV, and makes no formula in it harmless.
            return values.map(lambda text: "" if pd.isna(text) else in_csv(outside(str(text)))).astype("str")
        case _:
            return pd.Series(MASK, index=values.index, dtype="str")


def phone(number: object, *, sharing: bool) -> str:
    """Return the mask of one phone number."""
    return masked(number if isinstance(number, str) else None, show_last=0 if sharing else 3)


def shared(text: str, *, sharing: bool) -> str:
    """Return a text of ours that may hold masked numbers: on a shared screen, without the digits that a mask leaves."""
    return _MASKED_TAIL.sub(r"\1•••", text) if sharing else text


def outside(text: str) -> str:
    """Return text from outside on one line: redacted, without control characters, not too long.

    Characters that hide text or turn its direction (Unicode's C categories) are removed as well.
    """
    visible = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    line = redact(" ".join(visible.split()))
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


def code_line(text: str) -> str:
    """Return one line of code as text: without keys, its indentation kept, not too long.

    Characters that hide text or turn its direction are shown as what cannot be shown.
    """
    visible = "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in text.expandtabs(4))
    line = redact_code(visible.replace("\u2028", "\ufffd").replace("\u2029", "\ufffd"))
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


def plain(text: str) -> str:
    """Return `text` for a place that reads Markdown (labels, captions), so that it shows as it stands.

    An invisible word joiner keeps bare addresses from becoming links; a backslash does not.
    """
    return _escaped(outside(text))


def plain_person(name: str) -> str:
    """Return the name of somebody who works with the desk, as the journal keeps it, for a place that reads Markdown."""
    return _escaped(actor_name(name))


def _escaped(text: str) -> str:
    return re.sub(r"(\\[:.@])", "\u2060\\1", _MARKDOWN.sub(r"\\\1", text))


def in_chart(text: str) -> str:
    """Return `text` for Plotly, whose labels and hover texts read a kind of HTML."""
    return html.escape(outside(text), quote=True)
