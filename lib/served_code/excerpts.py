"""The few lines of code that are kept around each use, so that a misfit can be shown where it stands.

They are kept without keys: what was read of a commit lies on disk. Lines count from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lib.model.served_code import Line, ServedCode, Use
from lib.redaction import redact_code

AROUND = 3
LONGEST_LINE = 200
# Of one file; more would be most of a file that no person wrote.
MOST_LINES = 3_000
MOST_LINES_OF_A_COMMIT = 60_000
_CUT = "…"
# So much of a line is searched for keys: one that begins in the part that is kept ends well within it.
_LOOKED_AT = 5_000


def kept(content: bytes, uses: Iterable[Use]) -> tuple[Line, ...]:
    """Return the lines of a file around its uses, in order. `content` is UTF-8."""
    wanted = {
        number for use in uses for place in _places(use) for number in range(max(1, place - AROUND), place + AROUND + 1)
    }
    if not wanted:
        return ()
    # As the tree counts them: no other sign ends a line.
    lines = redact_code(_parts(content.decode("utf-8"), wanted)).split("\n")
    numbers = sorted(number for number in wanted if number <= len(lines))[:MOST_LINES]
    return tuple((number, _shortened(lines[number - 1].rstrip("\r"))) for number in numbers)


def _parts(text: str, wanted: set[int]) -> str:
    """Return the text with the lines that are not wanted left empty, and long ones cut far behind what is kept of them.

    But for keys of many lines: one may begin in a line that is not wanted.
    """
    if "PRIVATE KEY-----" in text:
        return text
    return "\n".join(
        line[:_LOOKED_AT] if number in wanted else "" for number, line in enumerate(text.split("\n"), start=1)
    )


def around(code: ServedCode, file: str, line: int) -> tuple[Line, ...]:
    """Return the lines that were kept around a line of a file; nothing where none were."""
    return tuple(one for one in _lines(code, file) if abs(one[0] - line) <= AROUND)


def _lines(code: ServedCode, file: str) -> tuple[Line, ...]:
    return next((source.lines for source in code.files if source.path == file), ())


def _places(use: Use) -> Iterator[int]:
    """Yield every line at which a use can fail to fit."""
    yield use.line
    yield from (one.line for one in use.writes)
    yield from (one.line for one in use.filters)


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + _CUT
