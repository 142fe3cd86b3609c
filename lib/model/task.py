"""A task: one thing to do now, by a button of the desk or by a person in another system."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do now against the hypothesis `cause`, in the plan's step `step_id`.

    Either `action` with `args` is a button of the desk; or `who` does it at `place` (with `link`, where one is
    known), and `exactly` is the value, statement or error to go by. `meanwhile`: it helps until the cure.
    """

    id: str
    cause: str
    step_id: str
    message: str
    why: str
    action: str | None = None
    args: tuple[tuple[str, str], ...] = ()
    who: str = ""
    place: str = ""
    link: str | None = None
    exactly: str = ""
    meanwhile: bool = False
