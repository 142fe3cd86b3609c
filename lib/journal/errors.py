"""The errors of the journal. `str()` of each is a sentence that is safe to show and to log."""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot be read or written, or what was to be written does not belong into it."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class ConflictError(JournalError):
    """It cannot follow what stands in the journal: somebody was faster, or it is too late."""
