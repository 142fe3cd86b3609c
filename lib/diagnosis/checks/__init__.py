"""The checks, each registered by being defined in a module here. `ALL` is in the order of the flow."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.facts import Facts
from lib.model.verdict import Hop


def _defined() -> Iterator[CheckSpec]:
    for found in iter_modules(__path__):
        module = import_module(f"{__name__}.{found.name}")
        for value in vars(module).values():
            # A check that another module imports is defined in one of them only.
            if isinstance(value, CheckSpec) and value.answer.__module__ == module.__name__:
                yield value


ALL: tuple[CheckSpec, ...] = tuple(sorted(_defined(), key=lambda spec: list(Hop).index(spec.hop)))
BY_ID = {spec.id: spec for spec in ALL}


def answer_all(facts: Facts) -> Answers:
    """Answer every check from `facts`."""
    return {spec: spec(facts) for spec in ALL}
