"""The schema contract: what the booking code and this desk read and write, held against the catalog."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from lib.model.database import Catalog, CheckConstraint
from lib.sources.booking_data import QUERIES

CONTRACT_FILE = Path(__file__).with_name("contract.toml")
_QUOTED = re.compile(r"'((?:[^']|'')*)'")
# How Postgres prints a check that lists what it allows: `col = ANY (ARRAY[…])`, or one or more `col = '…'`.
_CAST = r"(?:::[\w ]+(?:\[\])?)?"
_LISTED = re.compile(
    rf"CHECK \(+\"?\w+\"?\)?{_CAST} = ANY \(+ARRAY\[[^\]]*\]\)*{_CAST}\)+(?: NOT VALID)?"
    rf"|CHECK \((?:(?: OR )?\(*\"?\w+\"?\)?{_CAST} = '(?:[^']|'')*'{_CAST}\)*)+\)?(?: NOT VALID)?"
)


class Code(StrEnum):
    """Whose expectation a rule is: of the booking code before or after the fix, of both, or of this desk."""

    ANY = "any"
    BEFORE = "before"
    AFTER = "after"
    DESK = "desk"


class Break(StrEnum):
    """In which way the database does not keep the contract."""

    MISSING_TABLE = "missing_table"
    MISSING_COLUMN = "missing_column"
    NULL_REFUSED = "null_refused"
    LITERAL_REFUSED = "literal_refused"


@dataclass(frozen=True, slots=True)
class ContractRule:
    """What one piece of code does with one table."""

    code: Code
    table: str
    why: str
    writes: tuple[str, ...] = ()
    writes_null: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    literals: Mapping[str, tuple[str, ...]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.writes, *self.writes_null, *self.reads)))


@dataclass(frozen=True, slots=True)
class Contract:
    """All rules, and the commit from which on the code counts as "after"."""

    fix: str
    rules: tuple[ContractRule, ...]


@dataclass(frozen=True, slots=True)
class Breach:
    """One place where the database does not keep the contract. `detail` is the constraint or literal."""

    kind: Break
    rule: ContractRule
    column: str | None
    sentence: str
    detail: str = ""

    @property
    def is_write(self) -> bool:
        return self.column is None or self.column in (*self.rule.writes, *self.rule.writes_null)

    @property
    def place(self) -> str:
        return f"{self.rule.table}.{self.column}" if self.column else self.rule.table


@cache
def load(path: Path = CONTRACT_FILE) -> Contract:
    """Read the contract file and add what this desk itself reads."""
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    rules = [
        ContractRule(
            code=Code(rule["code"]),
            table=rule["table"],
            why=rule["why"],
            writes=tuple(rule.get("writes", ())),
            writes_null=tuple(rule.get("writes_null", ())),
            reads=tuple(rule.get("reads", ())),
            literals={column: tuple(values) for column, values in rule.get("literals", {}).items()},
        )
        for rule in document["rule"]
    ]
    desk = [
        ContractRule(Code.DESK, query.table, "Switchboard reads it", reads=query.database_columns) for query in QUERIES
    ]
    return Contract(document["fix"], tuple(rules + desk))


def breaches(contract: Contract, catalog: Catalog) -> tuple[Breach, ...]:
    """Return every place where `catalog` does not keep `contract`, in the order of the rules."""
    return tuple(breach for rule in contract.rules for breach in _breaches(rule, catalog))


def _breaches(rule: ContractRule, catalog: Catalog) -> Iterator[Breach]:
    if not catalog.has_table(rule.table):
        yield Breach(Break.MISSING_TABLE, rule, None, f"The database has no table {rule.table}.")
        return
    for name in rule.columns:
        column = catalog.column(rule.table, name)
        if column is None:
            sentence = f"The database has no column {rule.table}.{name}."
            yield Breach(Break.MISSING_COLUMN, rule, name, sentence)
        elif name in rule.writes_null and not column.nullable:
            sentence = f"{rule.table}.{name} refuses null, and the code writes null there."
            yield Breach(Break.NULL_REFUSED, rule, name, sentence, "NOT NULL")
    for column_name, values in (rule.literals or {}).items():
        for check in catalog.checks or ():
            yield from _refused_literals(rule, column_name, values, check)


def _refused_literals(
    rule: ContractRule, column: str, values: tuple[str, ...], check: CheckConstraint
) -> Iterator[Breach]:
    """Compare literals with a check that lists what it allows; any other form of check is not judged."""
    if check.table != rule.table or check.columns != (column,) or not _LISTED.fullmatch(check.definition.strip()):
        return
    allowed = {value.replace("''", "'") for value in _QUOTED.findall(check.definition)}
    for value in values:
        if value not in allowed:
            sentence = f"{rule.table}.{column} refuses “{value}”, which the code writes."
            yield Breach(Break.LITERAL_REFUSED, rule, column, sentence, check.name)
