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
