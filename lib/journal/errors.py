"""The errors of the journal. `str()` of each is a sentence that is safe to show and to log."""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot be read or written, or a value must not be stored in it."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class ConflictError(JournalError):
    """The entry does not fit the present state: another process was faster, or it is too late."""


class LostError(JournalError):
    """The journal's database is no longer the one that was in use, so this was not written.

    `lost` names what it was.
    """

    def __init__(self, sentence: str, hint: str = "", lost: tuple[str, ...] = ()) -> None:
        what = f" Not kept: {', '.join(lost)}." if lost else ""
        super().__init__(f"{sentence}{what}", hint)
        self.lost = lost
        self._bare = sentence

    def of(self, lost: tuple[str, ...]) -> LostError:
        """Return the same error, with what was not kept."""
        return LostError(self._bare, self.hint, lost)
