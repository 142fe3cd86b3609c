"""Bodies that a description allows, varied where a reader looks.

A body is built as it is read: what nobody looks at is never made, and each look is noted. So the first reading of a
body tells which fields matter; each of these is then varied on its own: every value of an enum, every kind of a
union, null where it may be null, left out where it may be left out, an empty list. What a reader looks at only then
(the second place to look at when the first is empty) is varied in its turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.documents import Document, Schema

Path = tuple[str, ...]
Choices = dict[Path, str]

ITEM = "[]"  # the one item of a list, in a path
ABSENT, EMPTY, NULL = "left out", "empty list", "null"
DEEPEST = 24  # no description that is read here is deeper; a body that contains itself ends there


@dataclass(frozen=True)
class Alternative:
    """One thing that may stand at a place: `value` itself, or an object or a list that `document` describes."""

    label: str
    document: Document | None = None
    value: Any = None


Samples = Mapping[str, tuple[Any, ...]]


# What was worked out for a schema, which is kept beside it so that its id stays its own.
_ALTERNATIVES: dict[tuple[int, str, int], tuple[Schema, list[Alternative]]] = {}
_MERGED: dict[int, tuple[Schema, Schema]] = {}


def alternatives(document: Document, name: str, samples: Samples) -> list[Alternative]:
    """Return what may stand at a place with this name; null comes last."""
    key = (id(document.schema), name, id(samples))
    if key not in _ALTERNATIVES:
        _ALTERNATIVES[key] = (document.schema, _all_alternatives(document, name, samples))
    return _ALTERNATIVES[key][1]


def _all_alternatives(document: Document, name: str, samples: Samples) -> list[Alternative]:
    found = {alternative.label: alternative for alternative in _alternatives(document, name, samples, "")}
    return sorted(found.values(), key=lambda alternative: alternative.label == NULL)


def _alternatives(document: Document, name: str, samples: Samples, kind: str) -> Iterator[Alternative]:
    schema = merged(document)
    document = document.at(schema)
    several = schema.get("anyOf") or schema.get("oneOf")
    if several is not None:
        for number, option in enumerate(several):
            # Kinds of one union are told apart by their number, values by themselves.
            yield from _alternatives(document.at(option), name, samples, f"{kind}{number}.")
        if schema.get("nullable"):
            yield Alternative(NULL)
        return
    types = schema.get("type")
    if isinstance(types, list):
        for one in types:
            yield from _alternatives(document.at({**schema, "type": one}), name, samples, kind)
        return
    if schema.get("nullable") or types == "null":
        yield Alternative(NULL)
    if types == "null":
        return
    if "enum" in schema:
        # The samples say which of them is the ordinary one.
        words = sorted(schema["enum"], key=lambda word: word not in samples.get(name, ()))
        yield from (Alternative(NULL if word is None else f"{word!r}", value=word) for word in words)
    elif "const" in schema:
        yield Alternative(f"{schema['const']!r}", value=schema["const"])
    elif types == "array":
        yield Alternative(f"{kind}list", document)
        if not schema.get("minItems"):
            yield Alternative(EMPTY, value=[])
    elif types == "object" or "properties" in schema or "additionalProperties" in schema:
        yield Alternative(f"{kind}object", document)
    else:
        yield from (Alternative(f"{value!r}", value=value) for value in _values(schema, name, samples))


def _values(schema: Schema, name: str, samples: Samples) -> tuple[Any, ...]:
    kind = schema.get("type")
    fitting = tuple(value for value in samples.get(name, ()) if kind is None or _is(value, kind))
    if fitting:
        return fitting
    if kind == "boolean":
        return (True, False)
    if kind in ("number", "integer"):
        return (7,)
    if schema.get("format") in ("date-time", "date"):
        return ("2025-11-22T10:00:00Z",)
    if schema.get("format") == "uri":
        return ("https://example.test/x",)
    if kind == "string":
        return (f"some {name}",)
    return ("anything",)  # the description does not say


def _is(value: Any, kind: str) -> bool:
    if kind in ("number", "integer"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "boolean": bool}.get(kind, ()))


def merged(document: Document) -> Schema:
    """Return the schema with the parts of an `allOf` in one."""
    key = id(document.schema)
    if key not in _MERGED:
        _MERGED[key] = (document.schema, _merged(document))
    return _MERGED[key][1]


def _merged(document: Document) -> Schema:
    schema = document.resolved
    if "allOf" not in schema:
        return schema
    whole: Schema = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        inner = merged(document.at(part))
        if "anyOf" in inner or "oneOf" in inner:
            options = inner.get("anyOf") or inner.get("oneOf")
            return {"anyOf": [{"allOf": [{**whole}, option]} for option in options]}
        properties = {**whole.get("properties", {}), **inner.get("properties", {})}
        required = [*whole.get("required", []), *inner.get("required", [])]
        whole = {**whole, **inner, **({"properties": properties} if properties else {}), "required": required}
    return whole


@dataclass
class Body:
    """One body: what is chosen at some of its places, the first alternative everywhere else.

    A `sparse` one has nothing that may be left out and null wherever it may stand, unless chosen otherwise.
    """

    document: Document
    samples: Samples
    choices: Choices
    sparse: bool = False
    # What may stand at each place that was looked at; the first of them stands there unless chosen otherwise.
    seen: dict[Path, list[str]] = field(default_factory=dict)

    def value(self) -> Any:
        return self._made(self.document, (), optional=False)

    def _made(self, document: Document, path: Path, *, optional: bool) -> Any:
        """Build what stands at `path`, and note what else might."""
        options = alternatives(document, _name(path), self.samples)
        if path not in self.seen:
            self.note(path, options, optional=optional)
        wanted = self.choices.get(path) or next(label for label in self.seen[path] if label != ABSENT)
        chosen = next(option for option in options if option.label == wanted)
        if chosen.document is None:
            return chosen.value
        if merged(chosen.document).get("type") == "array":
            items = chosen.document.at(merged(chosen.document).get("items", {}))
            return [self._made(items, (*path, ITEM), optional=False)]
        return _Object(self, chosen.document, path)

    def note(self, path: Path, options: list[Alternative], *, optional: bool) -> None:
        labels = [option.label for option in options] + [ABSENT] * optional
        # A sparse body has the last of them: what is left out, else null, else the first value.
        self.seen[path] = labels[::-1] if self.sparse and labels[-1] in (NULL, ABSENT) else labels

    def leaves_out(self, path: Path, *, optional: bool) -> bool:
        chosen = self.choices.get(path)
        if chosen is not None or not optional:
            return chosen == ABSENT
        # What is chosen deeper down needs its way there.
        return self.sparse and not any(other[: len(path)] == path for other in self.choices)


def _name(path: Path) -> str:
    return next((step for step in reversed(path) if step != ITEM), "")


class _Object(dict[str, Any]):
    """An object that is built as it is read."""

    def __init__(self, body: Body, document: Document, path: Path) -> None:
        super().__init__()
        self._body, self._path = body, path
        schema = merged(document)
        self._document = document
        self._fields: Schema = schema.get("properties", {})
        self._required = frozenset(schema.get("required", ()))
        self._rest = schema.get("additionalProperties")
        self._made: dict[str, Any] = {}

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        optional = key not in self._required
        described = self._described(key)
        if described is None:
            return False
        path = (*self._path, key)
        if path not in self._body.seen:
            options = alternatives(self._document.at(described), key, self._body.samples)
            self._body.note(path, options, optional=optional)
        return not self._body.leaves_out(path, optional=optional)

    def _described(self, key: str) -> Schema | None:
        if key in self._fields:
            found: Schema = self._fields[key]
            return found
        return self._rest if isinstance(self._rest, dict) else None

    def __getitem__(self, key: str) -> Any:
        if key not in self:
            raise KeyError(key)
        if key not in self._made:
            described = self._described(key)
            assert described is not None and len(self._path) < DEEPEST
            self._made[key] = self._body._made(
                self._document.at(described), (*self._path, key), optional=key not in self._required
            )
        return self._made[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is what `get` is

    def __iter__(self) -> Iterator[str]:
        return (key for key in self._fields if key in self)

    def keys(self) -> Any:
        return list(self)

    def values(self) -> Any:
        return [self[key] for key in self]

    def items(self) -> Any:
        return [(key, self[key]) for key in self]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Variant:
    """What was varied, in words, and the body."""

    label: str
    body: Body


def variants(
    document: Document,
    samples: Samples,
    read: Callable[[Variant], None],
    *,
    sparse: bool = True,
    pairs: frozenset[str] = frozenset(),
) -> int:
    """Give `read` every variant, and return how many there were. What it looks at decides what is varied next.

    With `sparse` also those of a body that has only what must be there. Below the fields in `pairs`, whose parts mean
    something only together, two places are varied at once.
    """
    waiting: list[tuple[Choices, bool]] = [({}, True), ({}, False)] if sparse else [({}, False)]
    known: set[tuple[frozenset[tuple[Path, str]], bool]] = set()
    varied: set[tuple[Path, frozenset[tuple[Path, str]], bool]] = set()
    count = 0
    while waiting:
        choices, sparse = waiting.pop()
        mark = (frozenset(choices.items()), sparse)
        if mark in known:
            continue
        known.add(mark)
        variant = Variant(label(choices, sparse=sparse), Body(document, samples, choices, sparse))
        read(variant)
        count += 1
        for path, labels in variant.body.seen.items():
            above = {
                other: chosen
                for other, chosen in choices.items()
                if other != path and (_is_above(other, path) or _go_together(other, path, choices, pairs))
            }
            place = (path, frozenset(above.items()), sparse)
            if place not in varied:
                varied.add(place)
                # The first stands there already.
                waiting += (({**above, path: one}, sparse) for one in labels[path not in choices :])
    return count


def _is_above(one: Path, other: Path) -> bool:
    return one == other[: len(one)]


def _go_together(chosen: Path, path: Path, choices: Choices, pairs: frozenset[str]) -> bool:
    """Whether what is chosen at one place is kept while another is varied: it, its way there, and nothing else."""
    if not (chosen[:1] == path[:1] and set(chosen[:1]) <= pairs) or _is_above(path, chosen):
        return False
    ends = [one for one in choices if not any(_is_above(one, other) and one != other for other in choices)]
    return len([end for end in ends if not _is_above(end, path)]) <= 1


def label(choices: Choices, *, sparse: bool) -> str:
    """Return the choices in words, as `link.type='github', link.repo left out`."""
    parts = [f"{'.'.join(path) or 'all'} {chosen}" for path, chosen in sorted(choices.items())]
    return ", ".join([*(["(only what must be)"] if sparse else []), *parts]) or "(everything there)"
