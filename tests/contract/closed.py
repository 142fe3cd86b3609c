"""Holds an answer against a description, and counts what the description does not name as wrong too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from tests.contract.documents import Document, Schema
from tests.contract.variants import merged

_FORMATS = FormatChecker(formats=())
_KEPT = ("type", "enum", "const", "pattern", "format")


@_FORMATS.checks("date-time", raises=ValueError)
def _is_iso(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("date-time-rfc-2822", raises=ValueError)
def _is_rfc2822(value: object) -> bool:
    return not isinstance(value, str) or parsedate_to_datetime(value) is not None


def wrongs(document: Document, answer: Any) -> set[str]:
    """Return what is wrong with an answer, each as "place: what"; items of a list count as one place."""
    validator = Draft202012Validator(_Closing().whole(document), format_checker=_FORMATS)
    missing: dict[str, set[str]] = {}
    others: set[str] = set()
    for error in _deepest(validator.iter_errors(answer)):
        if error.validator == "required":
            absent = (name for name in error.validator_value if name not in error.instance)
            missing.setdefault(_place(error), set()).update(absent)
        else:
            others.add(f"{_place(error)}: {_words(error)}")
    return others | {f"{place}: without {', '.join(sorted(names))}" for place, names in missing.items()}


class _Closing:
    """Writes a description anew as JSON Schema, with every object closed to names that it does not have."""

    def __init__(self) -> None:
        self._definitions: dict[str, Schema] = {}
        self._names: dict[int, str] = {}

    def whole(self, document: Document) -> Schema:
        return {**self._closed(document), "$defs": self._definitions}

    def _closed(self, document: Document) -> Schema:
        schema = merged(document)
        if id(schema) not in self._names:
            self._names[id(schema)] = name = f"d{len(self._names)}"
            self._definitions[name] = {}
            self._definitions[name] = self._written(document.at(schema))
        return {"$ref": f"#/$defs/{self._names[id(schema)]}"}

    def _written(self, document: Document) -> Schema:
        schema = document.schema
        several = schema.get("anyOf") or schema.get("oneOf")
        if several is not None:
            options = [self._closed(document.at(option)) for option in several]
            return {"anyOf": [*options, *([{"type": "null"}] if schema.get("nullable") else [])]}
        written: Schema = {key: schema[key] for key in _KEPT if key in schema}
        if "properties" in schema:
            fields = schema["properties"]
            written["properties"] = {name: self._closed(document.at(field)) for name, field in fields.items()}
            written["required"] = [name for name in schema.get("required", ()) if name in fields]
            written["additionalProperties"] = False
        if isinstance(schema.get("additionalProperties"), dict):
            written["additionalProperties"] = self._closed(document.at(schema["additionalProperties"]))
        if isinstance(schema.get("items"), dict):
            written["items"] = self._closed(document.at(schema["items"]))
        return {"anyOf": [written, {"type": "null"}]} if schema.get("nullable") else written


def _deepest(errors: Iterator[ValidationError]) -> Iterator[ValidationError]:
    """Yield the errors of what the answer comes closest to, where it may be one of several things."""
    for error in errors:
        if error.validator != "anyOf" or not error.context:
            yield error
            continue
        options: dict[Any, list[ValidationError]] = {}
        for inner in error.context:
            options.setdefault(inner.schema_path[0], []).append(inner)
        flat = (list(_deepest(iter(found))) for found in options.values())
        yield from min(flat, key=_distance)


def _distance(errors: list[ValidationError]) -> int:
    """How far off an option is: how many names are missing, not described, or hold something else."""
    weights = {(_place(error), _words(error)): _weight(error) for error in errors}
    return sum(weights.values())


def _weight(error: ValidationError) -> int:
    if error.validator == "additionalProperties":
        return len(_undescribed(error))
    # Where a list or an object stands, nothing else can be meant than one.
    return 1000 if error.validator == "type" and isinstance(error.instance, dict | list) else 1


def _undescribed(error: ValidationError) -> list[str]:
    return sorted(error.instance.keys() - error.schema.get("properties", {}).keys())


def _place(error: ValidationError) -> str:
    return ".".join("[]" if isinstance(step, int) else str(step) for step in error.absolute_path) or "the answer"


def _words(error: ValidationError) -> str:
    if error.validator == "additionalProperties":
        return f"not described: {', '.join(_undescribed(error))}"
    return error.message[:160]
