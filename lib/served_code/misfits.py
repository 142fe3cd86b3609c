"""Uses held against the database: what it lacks or refuses, with the code it answers, and what could not be judged.

A misfit is certain for the line it names, given the schema: where a trigger may put things right, or where the part
of the catalog that would tell was not read, the use is listed as not judged instead. Codes of PostgREST: its
documentation, "Errors"; of Postgres: its appendix "Error Codes".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lib.model.database import CheckConstraint
from lib.model.served_code import (
    Embed,
    ErrorHandling,
    Misfit,
    Operation,
    Presence,
    Problem,
    RelationKind,
    Routine,
    Scalar,
    Schema,
    SchemaColumn,
    Unjudged,
    Use,
    Value,
    Way,
    Written,
)
from lib.served_code.conditions import refuses
from lib.served_code.types import LiteralRefusal, refusal, refuses_json
from lib.served_code.types import stored as stored_as

# The first is what the Data API answers today; the second is Postgres's own, which older versions pass on.
_NO_TABLE = ("PGRST205", "42P01")
_NO_COLUMN_TO_WRITE = ("PGRST204", "42703")
_NO_COLUMN_TO_READ = ("42703",)
_NO_FUNCTION = ("PGRST202", "42883")
_NULL_REFUSED = ("23502",)
_CHECK_REFUSED = ("23514",)
_NO_UNIQUE = ("42P10",)
_GENERATED = ("428C9",)
# `t.count` is Postgres's other way to write `count(t)`.
_NOT_COLUMNS = frozenset({"*", "count", ""})
_ANY_ARGUMENT = frozenset({"json", "jsonb", "text", "bytea", "xml"})
_COMPARED = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "in", "not.eq", "not.neq", "filter.eq", "filter.neq"})


@dataclass(frozen=True, slots=True)
class Judgement:
    """All misfits, those on the way of a booking first, and what no verdict can rest on."""

    misfits: tuple[Misfit, ...]
    unjudged: tuple[Unjudged, ...] = ()

    @property
    def on_flow(self) -> tuple[Misfit, ...]:
        return tuple(misfit for misfit in self.misfits if misfit.on_flow)


def judge(uses: Iterable[Use], schema: Schema, way: Way | None = None, commit: str | None = None) -> Judgement:
    """Hold every use against the schema."""
    database = _Database(schema)
    misfits: list[Misfit] = []
    unjudged: list[Unjudged] = []
    for use in uses:
        hop = way.hop(use) if way is not None else None
        for found in dict.fromkeys(database.judge(use)):
            if isinstance(found, Unjudged):
                unjudged.append(found)
            else:
                misfits.append(replace(found, commit=commit, on_flow=hop is not None, hop=hop))
    misfits.sort(key=lambda one: (not one.on_flow, one.file, one.line, one.column or ""))
    return Judgement(tuple(misfits), tuple(unjudged))


class _Database:
    """A schema, ready to be asked."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._kinds = {one.name: one.kind for one in schema.relations}
        self._columns: dict[str, dict[str, SchemaColumn]] = {}
        for column in schema.columns:
            self._columns.setdefault(column.table, {})[column.name] = column
        self._checks: dict[str, list[CheckConstraint]] = {}
        for check in schema.checks or ():
            self._checks.setdefault(check.table, []).append(check)
        self._enums = {one.name: one.values for one in schema.enums or ()}
        self._routines: dict[str, list[Routine]] = {}
        for routine in schema.routines or ():
            self._routines.setdefault(routine.name, []).append(routine)

    def judge(self, use: Use) -> Iterator[Misfit | Unjudged]:
        for reason in use.unread:
            yield Unjudged(use, reason)
        if not use.sent:
            yield Unjudged(use, "The request is made ready and never awaited: it is never sent.")
        elif use.schema is not None and use.schema != self._schema.name:
            yield Unjudged(use, f"It asks another schema than {self._schema.name}.")
        elif use.operation is Operation.RPC:
            if use.routine is not None:
                yield from self._call(use, use.routine)
        elif use.table is not None:
            yield from self._table(use, use.table)

    # --- tables

    def _table(self, use: Use, table: str) -> Iterator[Misfit | Unjudged]:
        if table not in self._kinds:
            words = f"{_says(use)} {table}, a table that the database does not have."
            yield _misfit(use, Problem.MISSING_TABLE, table, None, use.line, _NO_TABLE, words)
            return
        if table not in self._columns:
            yield Unjudged(use, f"Which columns {table} has is not known.")
            return
        if use.operation is not Operation.DELETE:
            for written in use.writes:
                yield from self._written(use, table, written)
        if use.operation in (Operation.INSERT, Operation.UPSERT):
            yield from self._left_out(use, table)
        yield from self._reads(use, table)
        yield from self._conflict(use, table)

    def _written(self, use: Use, table: str, written: Written) -> Iterator[Misfit | Unjudged]:
        column = self._columns[table].get(written.column)
        maybe = written.presence is not Presence.ALWAYS
        if column is None:
            words = f"{_says(use)} {table}.{written.column}, a column that the database does not have."
            yield _misfit(
                use, Problem.MISSING_COLUMN, table, written.column, written.line, _NO_COLUMN_TO_WRITE, words,
                sometimes=maybe,
            )  # fmt: skip
            return
        if column.refuses_values:
            words = f"{_says(use)} {table}.{column.name}, which only the database itself may fill."
            yield _misfit(
                use, Problem.TYPE, table, column.name, written.line, _GENERATED, words, detail="generated",
                sometimes=maybe,
            )  # fmt: skip
            return
        found = [
            *self._null(use, column, written),
            *self._literals(use, column, written.value, written.line, maybe, True),
        ]
        if found and (trigger := self._trigger(use, table)) is not None:
            yield trigger
        else:
            yield from found

    def _null(self, use: Use, column: SchemaColumn, written: Written) -> Iterator[Misfit]:
        null = written.value.null
        if null is Presence.NEVER:
            return
        maybe = null is Presence.SOMETIMES or written.presence is not Presence.ALWAYS
        how = "can write" if maybe else "writes"
        if not column.nullable:
            words = f"{_place(use)} {how} null to {column.table}.{column.name}, which refuses it."
            yield _misfit(
                use, Problem.NULL_REFUSED, column.table, column.name, written.line, _NULL_REFUSED, words,
                detail="NOT NULL", sometimes=maybe,
            )  # fmt: skip
            return
        for check in self._checks.get(column.table, ()):
            if refuses(check, column.name, None):
                words = (
                    f"{_place(use)} {how} null to {column.table}.{column.name}, which the check {check.name} refuses."
                )
                yield _misfit(
                    use, Problem.NULL_REFUSED, column.table, column.name, written.line, _CHECK_REFUSED, words,
                    detail=check.name, sometimes=maybe,
                )  # fmt: skip

    def _literals(
        self, use: Use, column: SchemaColumn, value: Value, line: int, maybe: bool, stored: bool
    ) -> Iterator[Misfit]:
        """Hold literals against the column's type, and, where they are `stored`, against its checks."""
        only = value.complete and len(value.literals) == 1 and value.null is Presence.NEVER and not value.json
        for literal in value.literals:
            yield from self._literal(use, column, literal, line, maybe or not only, stored)
        if value.json and (refused := refuses_json(column.type, self._enums)) is not None:
            words = f"{_says(use)} an object or a list to {column.table}.{column.name}, which is {column.type}."
            yield _misfit(
                use, Problem.TYPE, column.table, column.name, line, (refused.code,), words, detail=column.type,
                sometimes=maybe or bool(value.literals) or not value.complete,
            )  # fmt: skip

    def _literal(
        self, use: Use, column: SchemaColumn, literal: Scalar, line: int, maybe: bool, stored: bool
    ) -> Iterator[Misfit]:
        place, verb = f"{column.table}.{column.name}", "writes" if stored else "asks for"
        verb = f"can {'write' if stored else 'ask for'}" if maybe else verb
        refused = None if column.is_domain else refusal(column.type, literal, self._enums)
        if refused is not None:
            yield self._refused(use, column, literal, line, maybe, refused, f"{_place(use)} {verb}")
            return
        for check in self._checks.get(column.table, ()) if stored else ():
            if refuses(check, column.name, stored_as(column.type, literal)):
                words = f"{_place(use)} {verb} {_quoted(literal)} to {place}, which the check {check.name} refuses."
                yield _misfit(
                    use, Problem.REFUSED_LITERAL, column.table, column.name, line, _CHECK_REFUSED, words,
                    detail=check.name, literal=literal, sometimes=maybe,
                )  # fmt: skip

    @staticmethod
    def _refused(
        use: Use, column: SchemaColumn, literal: Scalar, line: int, maybe: bool, refused: LiteralRefusal, said: str
    ) -> Misfit:
        words = f"{said} {_quoted(literal)} in {column.table}.{column.name}, which is {column.type} and refuses it."
        problem = Problem.REFUSED_LITERAL if refused.by_enum else Problem.TYPE
        return _misfit(
            use, problem, column.table, column.name, line, (refused.code,), words, detail=column.type, literal=literal,
            sometimes=maybe,
        )  # fmt: skip

    def _left_out(self, use: Use, table: str) -> Iterator[Misfit | Unjudged]:
        if self._kinds[table] is not RelationKind.TABLE or not (use.writes or use.writes_complete):
            return
        written = {one.column: one for one in use.writes}
        for column in self._columns[table].values():
            if column.nullable or column.default is not None or column.filled:
                continue
            mine = written.get(column.name)
            if mine is not None and mine.presence is Presence.ALWAYS:
                continue
            if mine is None and not use.writes_complete:
                continue
            trigger = self._trigger(use, table)
            if trigger is not None:
                yield trigger
                return
            how = "leaves out" if mine is None else "can leave out"
            words = f"{_place(use)} {how} {table}.{column.name}, which must have a value and has no default."
            yield _misfit(
                use, Problem.LEFT_OUT, table, column.name, mine.line if mine else use.line, _NULL_REFUSED, words,
                detail="NOT NULL", sometimes=mine is not None,
            )  # fmt: skip

    def _trigger(self, use: Use, table: str) -> Unjudged | None:
        """Return why what the database refuses is not certain, or None if it is."""
        if self._schema.triggers is None:
            return Unjudged(use, f"Whether a trigger of {table} changes what is written is not known.")
        wanted = use.operation in (Operation.INSERT, Operation.UPSERT)
        for trigger in self._schema.triggers:
            if trigger.table == table and (trigger.on_insert if wanted else trigger.on_update):
                return Unjudged(use, f"The trigger {trigger.name} may change what is written to {table}.")
        return None

    def _reads(self, use: Use, table: str) -> Iterator[Misfit | Unjudged]:
        names = [(name, use.line) for name in use.reads]
        names += [(one.column, one.line) for one in use.filters if "." not in one.column]
        for name, line in names:
            yield from self._read(use, table, name, line)
        for one in use.filters:
            column = self._columns[table].get(one.column)
            if column is not None and one.operator in _COMPARED:
                yield from self._literals(use, column, one.value, one.line, False, stored=False)
        for embed in use.embeds:
            yield from self._embed(use, table, embed, 0)

    def _read(self, use: Use, table: str, name: str, line: int) -> Iterator[Misfit | Unjudged]:
        if name in self._columns[table] or name in _NOT_COLUMNS:
            return
        if self._schema.routines is None:
            yield Unjudged(use, f"Whether {table}.{name} is a computed field is not known.")
            return
        if name in self._routines:
            return  # a function of the row is read like a column
        words = f"{_place(use)} reads {table}.{name}, a column that the database does not have."
        yield _misfit(use, Problem.MISSING_COLUMN, table, name, line, _NO_COLUMN_TO_READ, words)

    def _embed(self, use: Use, table: str, embed: Embed, depth: int) -> Iterator[Misfit | Unjudged]:
        if embed.name in self._kinds and embed.name not in self._columns:
            yield Unjudged(use, f"Which columns {embed.name} has is not known.")
            return
        if embed.name not in self._kinds:
            # A column or a constraint of a foreign key may stand there, or a function of the row.
            if embed.name not in self._columns.get(table, {}):
                yield Unjudged(use, f"What {embed.name} stands for next to {table} is not known.")
            return
        for name in embed.columns:
            yield from self._read(use, embed.name, name, use.line)
        for inner in embed.embeds:
            yield from self._embed(use, embed.name, inner, depth + 1)

    def _conflict(self, use: Use, table: str) -> Iterator[Misfit | Unjudged]:
        if not use.on_conflict or self._kinds[table] is not RelationKind.TABLE:
            return
        missing = [name for name in use.on_conflict if name not in self._columns[table]]
        for name in missing:
            words = f"{_place(use)} names {table}.{name} in onConflict, a column that the database does not have."
            yield _misfit(use, Problem.MISSING_COLUMN, table, name, use.line, _NO_COLUMN_TO_READ, words)
        if missing:
            return
        if self._schema.unique_keys is None:
            yield Unjudged(use, f"Which unique indexes {table} has is not known.")
            return
        wanted = set(use.on_conflict)
        if any(key.table == table and key.plain and set(key.columns) == wanted for key in self._schema.unique_keys):
            return
        columns = ", ".join(use.on_conflict)
        words = (
            f"{_place(use)} names ({columns}) of {table} in onConflict, and no unique index is on just these columns."
        )
        yield _misfit(
            use, Problem.NO_UNIQUE_INDEX, table, use.on_conflict[0], use.line, _NO_UNIQUE, words, detail=columns
        )

    # --- functions

    def _call(self, use: Use, name: str) -> Iterator[Misfit | Unjudged]:
        if self._schema.routines is None:
            yield Unjudged(use, "Which functions the database has is not known.")
            return
        overloads = self._routines.get(name, [])
        if not overloads:
            words = f"{_place(use)} calls {name}(), a function that the database does not have."
            yield _misfit(use, Problem.MISSING_FUNCTION, None, None, use.line, _NO_FUNCTION, words, detail=name)
            return
        wrong = [_argument_that_does_not_fit(use, routine) for routine in overloads]
        if None not in wrong:
            argument, words = next(one for one in wrong if one is not None)
            line = next((one.line for one in use.writes if one.column == argument), use.line)
            words = f"{_place(use)} calls {name}() {words}."
            yield _misfit(use, Problem.MISSING_FUNCTION, None, argument, line, _NO_FUNCTION, words, detail=name)
        elif len(overloads) == 1:
            types = {argument.name: argument.type for argument in overloads[0].arguments}
            for written in use.writes:
                if written.column in types:
                    column = SchemaColumn(f"{name}()", written.column, types[written.column], nullable=True)
                    maybe = written.presence is not Presence.ALWAYS
                    yield from self._literals(use, column, written.value, written.line, maybe, stored=False)


def _argument_that_does_not_fit(use: Use, routine: Routine) -> tuple[str, str] | None:
    """Return the argument because of which a function cannot be the one that is called, and why; None if it can."""
    names = {argument.name for argument in routine.arguments}
    if routine.variadic or (len(routine.arguments) == 1 and "" in names and routine.arguments[0].type in _ANY_ARGUMENT):
        return None
    for written in use.writes:
        if written.column not in names and written.presence is Presence.ALWAYS:
            return written.column, f"with the argument {written.column}, which it does not have"
    given = {written.column for written in use.writes}
    for argument in routine.arguments:
        if use.writes_complete and not argument.has_default and argument.name not in given:
            return argument.name, f"without its argument {argument.name or 'that has no name'}"
    return None


def _place(use: Use) -> str:
    return use.route or use.function or use.file


def _says(use: Use) -> str:
    verb = {
        Operation.SELECT: "reads", Operation.DELETE: "deletes from", Operation.UPDATE: "writes",
        Operation.INSERT: "writes", Operation.UPSERT: "writes", Operation.RPC: "gives",
    }[use.operation]  # fmt: skip
    return f"{_place(use)} {verb}"


def _quoted(literal: Scalar) -> str:
    return f"“{literal[:80]}”" if isinstance(literal, str) else str(literal).lower()


def _misfit(
    use: Use, problem: Problem, table: str | None, column: str | None, line: int, answers: tuple[str, ...], words: str,
    *, detail: str = "", literal: Scalar | None = None, sometimes: bool = False,
) -> Misfit:  # fmt: skip
    tail = {ErrorHandling.IGNORED: " Its error is ignored.", ErrorHandling.LOOKED_AT: " Its error is checked."}
    return Misfit(
        use, problem, table, column, line, answers, words + tail.get(use.error, ""), detail=detail, literal=literal,
        sometimes=sometimes,
    )  # fmt: skip
