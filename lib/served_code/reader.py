"""The files of a commit → what was read of them. No input makes it fail: what cannot be read is listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from lib.model.served_code import METHODS, MigrationFile, ServedCode, SourceFile, Unread
from lib.served_code import excerpts, projects, uses
from lib.served_code.addresses import address_of
from lib.served_code.archive import CODE, Files
from lib.served_code.modules import Modules
from lib.served_code.names import Names
from lib.served_code.outline import Outline
from lib.served_code.syntax import Syntax, UnreadableError

# Raise it whenever the same file is read otherwise than before: what the store holds is then read again.
VERSION = 2
_MIGRATION = re.compile(r"^(?:.*/)?supabase/migrations/(?P<version>\d+)_(?P<name>[^/]*)\.sql$")
Progress = Callable[[int, int], None]


def read(
    files: Files,
    commit: str | None,
    on_progress: Progress = lambda done, of: None,
    is_over: Callable[[], bool] = lambda: False,
) -> ServedCode:
    """Read all files of a commit. `on_progress` hears how many files are done, of how many.

    Once `is_over` says so, the files that are left are listed as unread: such a reading is not to be kept.
    """
    code = [path for path in sorted(files.contents) if path.endswith(CODE)]
    sources: list[SourceFile] = []
    unread = list(files.unread)
    room = excerpts.MOST_LINES_OF_A_COMMIT
    for number, path in enumerate(code, start=1):
        if is_over():
            unread.append(Unread(path, "There was no time left for it."))
            continue
        try:
            found = source(path, files.contents[path])
        except UnreadableError as error:
            unread.append(Unread(path, str(error)))
        else:
            room -= len(found.lines)
            sources.append(found if room >= 0 else replace(found, lines=()))
        on_progress(number, len(code))
    migrations: list[MigrationFile] = []
    for path in sorted(path for path in files.contents if path.endswith(".sql")):
        one = migration(path, files.contents[path])
        if isinstance(one, Unread):
            unread.append(one)
        else:
            migrations.append(one)
    aliases, packages, broken = projects.read(files.contents)
    return ServedCode(commit, tuple(sources), tuple(migrations), aliases, packages, (*unread, *broken))


def source(path: str, content: bytes) -> SourceFile:
    """Read one file of code. Raises `UnreadableError`."""
    syntax = Syntax(path, content)
    outline = Outline(syntax)
    modules = Modules(syntax, outline)
    found, unread = uses.read(syntax, Names(syntax), outline)
    address = address_of(path)
    imports = modules.imports()
    return SourceFile(
        path=path,
        directive=modules.directive(),
        imports=imports,
        exports=modules.exports(),
        declarations=modules.declarations(imports),
        uses=tuple(uses.with_route(use, address.path if address else None, METHODS) for use in found),
        unread=tuple(unread),
        lines=excerpts.kept(content, found),
    )


def migration(path: str, content: bytes) -> MigrationFile | Unread:
    """Read the name of a migration, `<digits>_<name>.sql`, and its SQL."""
    named = _MIGRATION.match(path)
    if named is None:
        return Unread(path, "Its name is not that of a migration: <14 digits>_<name>.sql.")
    try:
        sql = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Unread(path, "It is not UTF-8.")
    if "\0" in sql:
        return Unread(path, "It is no text.")
    return MigrationFile(path, named["version"], named["name"], sql)
