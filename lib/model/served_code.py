"""What was read of the code that is served, and the parts of a database that code is held against.

A *use* is one place in the code that reads or writes a table, or calls a function of the database. What could not be
read of it is said in `unread` and supports no verdict. Lines count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lib.model.database import CheckConstraint

Scalar = str | bool | int | float
Line = tuple[int, str]  # its number and its text

# The methods of HTTP that a route of Next.js can answer.
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
# Today's addresses of the flow; the setting SERVED_CODE_ADDRESSES names others. A method before one narrows it to that.
BOOKING_ADDRESSES = (
    "/api/bookings/initiate",
    "/api/bookings/confirm",
    "/booking-confirmation/[token]",
    "/api/webhooks/twilio",
)


class Operation(StrEnum):
    """What a use asks of the database."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    UPSERT = "upsert"
    DELETE = "delete"
    RPC = "rpc"

    @property
    def is_write(self) -> bool:
        return self in (self.INSERT, self.UPDATE, self.UPSERT, self.DELETE)


class ErrorHandling(StrEnum):
    """Whether the code looks at the error of a result. UNKNOWN: it could not be told."""

    IGNORED = "ignored"
    LOOKED_AT = "looked_at"
    UNKNOWN = "unknown"


class Presence(StrEnum):
    """Whether a thing is there each time the code runs, at times, or at no time."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression can be. `complete`: it is one of `literals`, or null as `null` says, and nothing else.

    `json` stands for an object or an array that is written down in the code; its inside is not kept.
    """

    literals: tuple[Scalar, ...] = ()
    null: Presence = Presence.NEVER
    complete: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """One column (or argument of a function) that the code sends, and what."""

    column: str
    value: Value
    line: int
    presence: Presence = Presence.ALWAYS


@dataclass(frozen=True, slots=True)
class Filter:
    """One column that a use filters or orders by. `value` is unknown for an order."""

    column: str
    operator: str
    value: Value
    line: int


@dataclass(frozen=True, slots=True)
class Embed:
    """Another table's columns inside a select: `alias:name!hint(columns, embeds)`."""

    name: str
    columns: tuple[str, ...] = ()
    embeds: tuple[Embed, ...] = ()
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """One place in the code that uses a table through the Data API, or calls a function of the database.

    `declaration` is the name at the top of the file under which it stands, "" for code that runs on import.
    `writes` are the columns of an insert, update or upsert, or the arguments of a function; `writes_complete` says
    that there are no others, so that what is left out is known. `reads` are the columns of a select or of what a write
    gives back. `sent` is False where the request is made ready and never awaited: such a request never leaves.
    """

    file: str
    line: int
    operation: Operation
    table: str | None
    function: str | None = None
    route: str | None = None
    declaration: str = ""
    schema: str | None = None
    routine: str | None = None
    reads: tuple[str, ...] = ()
    embeds: tuple[Embed, ...] = ()
    writes: tuple[Written, ...] = ()
    writes_complete: bool = False
    filters: tuple[Filter, ...] = ()
    on_conflict: tuple[str, ...] = ()
    error: ErrorHandling = ErrorHandling.UNKNOWN
    sent: bool = True
    unread: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read, and why, in one sentence. `line` is None for a whole file."""

    file: str
    reason: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """Names that a file takes from another: (name there, name here). "*" is all of it, "default" its default.

    `names` is empty where the other file only runs.
    """

    module: str
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """A name that a file gives out: its own `local`, or with `module` the name `local` of another file.

    `export * from` has the name "*" and the local "*".
    """

    name: str
    local: str
    module: str | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """A name at the top of a file, and what stands in it: names it mentions, files it loads, addresses it fetches.

    A function of a class or object is one of its own, `Class.method`; a mention `name.part` uses only that part.
    `instance_of` is the class of `const x = new Class()`.
    """

    name: str
    line: int
    end_line: int
    mentions: tuple[str, ...] = ()
    loads: tuple[Imported, ...] = ()
    fetches: tuple[str, ...] = ()
    instance_of: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What was read of one file of code. `directive` is "use server", "use client" or None.

    `lines` are those around its uses, in order, shortened and without keys: not the whole file.
    """

    path: str
    directive: str | None = None
    imports: tuple[Imported, ...] = ()
    exports: tuple[Exported, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    uses: tuple[Use, ...] = ()
    unread: tuple[Unread, ...] = ()
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationFile:
    """One file of `supabase/migrations`."""

    path: str
    version: str
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class PathAlias:
    """How `tsconfig.json` in `folder` maps an import: `pattern` to `targets`, each from the repository's root."""

    folder: str
    pattern: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the same repository, by the name its `package.json` gives it. `exports` are its entry points."""

    name: str
    folder: str
    exports: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ServedCode:
    """What was read of one commit, or of a folder (`commit` is None). `unread` holds whole files only."""

    commit: str | None
    files: tuple[SourceFile, ...]
    migrations: tuple[MigrationFile, ...] = ()
    aliases: tuple[PathAlias, ...] = ()
    packages: tuple[Package, ...] = ()
    unread: tuple[Unread, ...] = ()

    @property
    def uses(self) -> tuple[Use, ...]:
        return tuple(use for file in self.files for use in file.uses)

    @property
    def all_unread(self) -> tuple[Unread, ...]:
        """Everything that was not read: files, places in files, and parts of uses."""
        parts = tuple(Unread(use.file, reason, use.line) for use in self.uses for reason in use.unread)
        return self.unread + tuple(part for file in self.files for part in file.unread) + parts


class RelationKind(StrEnum):
    """What stands behind a name that the Data API serves as a table."""

    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view of the schema."""

    name: str
    kind: RelationKind = RelationKind.TABLE


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column as code meets it. `type` is as `format_type` prints it.

    `default` is an expression; `filled` says that the database fills it by itself (identity or generated).
    `refuses_values` says that only the database may fill it (generated, or identity ALWAYS).
    """

    table: str
    name: str
    type: str
    nullable: bool
    default: str | None = None
    filled: bool = False
    refuses_values: bool = False
    is_domain: bool = False


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique index, or the index of a unique or primary key. `plain`: no expression, no WHERE, not deferrable."""

    table: str
    name: str
    columns: tuple[str, ...]
    plain: bool = True


@dataclass(frozen=True, slots=True)
class EnumType:
    """An enum, by the name that `format_type` prints."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionArgument:
    """One argument that a caller may give to a function. `name` is "" where it has none."""

    name: str
    type: str
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Routine:
    """One function that the Data API can call; overloads are separate. `variadic` takes any number of arguments."""

    name: str
    arguments: tuple[FunctionArgument, ...] = ()
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class RowTrigger:
    """A BEFORE ROW or INSTEAD OF trigger: it may fill or change what the code sends before that is refused."""

    table: str
    name: str
    on_insert: bool
    on_update: bool


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema that the Data API serves, as code meets it. A part that could not be read is None: cannot tell."""

    relations: tuple[Relation, ...]
    columns: tuple[SchemaColumn, ...]
    checks: tuple[CheckConstraint, ...] | None = None
    unique_keys: tuple[UniqueKey, ...] | None = None
    enums: tuple[EnumType, ...] | None = None
    routines: tuple[Routine, ...] | None = None
    triggers: tuple[RowTrigger, ...] | None = None
    name: str = "public"


class Problem(StrEnum):
    """In which way a use does not match the database."""

    MISSING_TABLE = "missing_table"
    MISSING_COLUMN = "missing_column"
    MISSING_FUNCTION = "missing_function"
    REFUSED_LITERAL = "refused_literal"
    NULL_REFUSED = "null_refused"
    LEFT_OUT = "left_out"
    NO_UNIQUE_INDEX = "no_unique_index"
    TYPE = "type"


@dataclass(frozen=True, slots=True)
class Misfit:
    """One place where the code asks for what the database does not have or refuses.

    `answers` are the codes that the database gives, the likeliest first. `detail` names the constraint, type or
    argument. `sometimes`: it fails only on some of the ways through the code. `hop` is the address of the flow that it
    stands on the way of; None with `on_flow` False. `migration` is the version of a file of the repository that was
    not applied and would cure it.
    """

    use: Use
    problem: Problem
    table: str | None
    column: str | None
    line: int
    answers: tuple[str, ...]
    sentence: str
    detail: str = ""
    literal: Scalar | None = None
    sometimes: bool = False
    commit: str | None = None
    on_flow: bool = False
    hop: str | None = None
    migration: str | None = None

    @property
    def file(self) -> str:
        return self.use.file

    @property
    def error(self) -> ErrorHandling:
        return self.use.error


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A use, or a part of it, that no verdict can rest on, and why."""

    use: Use
    reason: str


class MigrationState(StrEnum):
    """Where a migration of the repository stands in the database."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    NOT_IN_REPOSITORY = "applied_not_in_repository"
    NO_EFFECT = "recorded_without_effect"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RepositoryMigration:
    """One migration of the repository or of the history. `missing` names what it should have made and is not there."""

    version: str
    name: str | None
    state: MigrationState
    path: str | None = None
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """The way of a booking through the code: for each use on it, the first address of the flow that leads to it.

    `places` maps (file, declaration) to that address. `missing` are addresses that no file answers. `unresolved` are
    local imports on the way that lead to no file that was read: what lies behind them is not known.
    """

    places: Mapping[tuple[str, str], str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unresolved: tuple[Unread, ...] = ()

    def hop(self, use: Use) -> str | None:
        return self.places.get((use.file, use.declaration))
