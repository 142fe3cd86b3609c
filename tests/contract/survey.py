"""Gives a reader every body that a description allows, and notes what it makes of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lib.model.reading import FailureKind, Observed, SourceError
from tests.contract.documents import Document
from tests.contract.variants import Body, Samples, Variant, variants


@dataclass
class CannedAnswers:
    """Stands in for the HTTP session: answers with what it was told for a method and a path, 404 for the rest."""

    answers: dict[tuple[str, str], Any]
    asked: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)

    def get_json(self, url: str, **how: Any) -> Any:
        return self._answer("GET", url, how.get("params"))

    def query_json(self, url: str, body: Any, **how: Any) -> Any:
        return self._answer("POST", url, how.get("params"))

    def send_json(self, method: str, url: str, body: Any = None, **how: Any) -> Any:
        return _Sent(200, self._answer(method, url, how.get("params")))

    def _answer(self, method: str, url: str, params: Any) -> Any:
        path = "/" + url.split("://", 1)[1].partition("/")[2]
        self.asked.append((method, path, dict(params or {})))
        if (method, path) not in self.answers:
            raise SourceError(FailureKind.NOT_FOUND, f"nothing is told for {method} {path}")
        answer = self.answers[method, path]
        if isinstance(answer, SourceError):
            raise answer
        return answer.value() if isinstance(answer, Body) else answer


@dataclass(frozen=True)
class _Sent:
    status: int
    body: Any

    def json(self, system: str) -> Any:
        return self.body


_COLUMNS = re.compile(r" \([^)]*\)\.$")
BASE_URL = "http://vendor.test"
Meaning = Callable[[Any, Any], Iterable[str]]


def _says_nothing(body: Any, result: Any) -> Iterable[str]:
    return ()


@dataclass(frozen=True)
class Reader:
    """One reading of ours, and the description of the answer that is varied under it.

    `ask` gets the session; `others` answers what else is asked on the way. `meaning` yields a complaint for each
    thing that the reading says and the body does not.
    """

    name: str
    document: Callable[[], Document]
    at: tuple[str, str]
    ask: Callable[[CannedAnswers], Any]
    samples: Samples = field(default_factory=dict)
    others: Callable[[], dict[tuple[str, str], Any]] = dict
    meaning: Meaning = _says_nothing
    sparse: bool = True  # whether also bodies with only what must be there are tried
    pairs: frozenset[str] = frozenset()  # fields below which two places are varied at once
    may_refuse: frozenset[FailureKind] = frozenset()  # what may be said instead of a value, with a sentence of its own
    # What an answer may lack so that nothing can be read from it: "the balance", … The reading then fails, and says so.
    needs: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Survey:
    """What came of it: complaints with the first body that each came of, how many bodies there were, fields read."""

    complaints: Mapping[str, str]
    bodies: int
    fields: frozenset[str]


_SURVEYS: dict[tuple[str, str], Survey] = {}


def survey(reader: Reader) -> Survey:
    """Return what the reader makes of all bodies; each reader is asked once in a process."""
    key = (reader.name, reader.at[1])
    if key not in _SURVEYS:
        _SURVEYS[key] = _survey(reader)
    return _SURVEYS[key]


def _survey(reader: Reader) -> Survey:
    complaints: dict[str, str] = {}
    fields: set[str] = set()
    others = reader.others()

    def read(variant: Variant) -> None:
        canned = CannedAnswers(others | {reader.at: variant.body})
        for complaint in _complaints(reader, canned, variant):
            complaints.setdefault(complaint, variant.label)
        fields.update(".".join(path) for path in variant.body.seen if path)

    bodies = variants(reader.document(), reader.samples, read, sparse=reader.sparse, pairs=reader.pairs)
    return Survey(complaints, bodies, frozenset(fields))


def _complaints(reader: Reader, canned: CannedAnswers, variant: Variant) -> Iterator[str]:
    try:
        result = reader.ask(canned)
    except SourceError as error:
        if error.kind not in reader.may_refuse and not any(
            f" without {need}, or " in str(error) for need in reader.needs
        ):
            # The columns at its end would make a complaint of each of their combinations.
            yield _COLUMNS.sub(".", f"{error.kind}: {error}")
        return
    except Exception as error:  # noqa: BLE001 - whatever a reader lets out is what is looked for here
        yield f"not a SourceError: {error!r}"
        return
    yield from reader.meaning(variant.body.value(), result)


def questions(readers: Iterable[Reader], name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return path and parameters of everything that one reading asks, when all is answered in full."""
    reader = next(reader for reader in readers if reader.name == name)
    canned = CannedAnswers(reader.others() | {reader.at: Body(reader.document(), reader.samples, {})})
    with suppress(SourceError):  # what it makes of it is another test's
        reader.ask(canned)
    return [(path, params) for _, path, params in canned.asked]


def value_of(result: Any) -> Any:
    """Return what was read, without its caveats."""
    return result.value if isinstance(result, Observed) else result
