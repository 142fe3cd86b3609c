"""The way of a booking through the code: which declarations the addresses of the flow lead to, and so which uses.

What is followed: names that a declaration mentions, through imports and re-exports; files that it loads while it runs;
addresses of the same app that it fetches; layouts of a page. What a file does when it is imported lies on the way of
whoever imports it. What is not followed: what a framework calls by itself (middleware), jobs that others pick up, and
values that are handed around.
"""

from __future__ import annotations

import posixpath
from collections import deque
from collections.abc import Iterable, Iterator

from lib.model.served_code import (
    BOOKING_ADDRESSES,
    METHODS,
    Declaration,
    Exported,
    Imported,
    ServedCode,
    SourceFile,
    Unread,
    Use,
    Way,
)
from lib.served_code.addresses import Address, address_of, answers, exactness
from lib.served_code.archive import CODE

_DEEPEST = 20
_CONSTRUCTOR = "constructor"
_MODULE = ""  # the name of what a file does when it is imported
Place = tuple[str, str]


def way(code: ServedCode, addresses: Iterable[str] = BOOKING_ADDRESSES, root: str = "") -> Way:
    """Return the way of a booking. `root` is the folder of the app among several (Vercel's rootDirectory)."""
    return _Walk(code, root.strip("/")).walk(tuple(addresses))


class Resolver:
    """Finds the file behind an import."""

    def __init__(self, code: ServedCode) -> None:
        self._files = {file.path for file in code.files} | {one.file for one in code.unread}
        self._aliases = sorted(code.aliases, key=lambda one: (-len(one.folder), one.pattern == "*", -len(one.pattern)))
        self._packages = sorted(code.packages, key=lambda one: -len(one.name))

    def find(self, module: str, importer: str) -> tuple[str | None, bool]:
        """Return (file, whether it should be one of this repository). A package from elsewhere is (None, False)."""
        if module.startswith("."):
            return self._file(_normal(posixpath.join(posixpath.dirname(importer), module))), not _is_asset(module)
        for alias in self._aliases:
            if alias.folder and not importer.startswith(alias.folder + "/"):
                continue
            rest = _rest(alias.pattern, module)
            if rest is None:
                continue
            for target in alias.targets:
                found = self._file(_normal(target.replace("*", rest, 1)))
                if found is not None:
                    return found, True
            if alias.pattern != "*" and not _is_asset(module):
                return None, True
        return self._of_package(module)

    def _of_package(self, module: str) -> tuple[str | None, bool]:
        for package in self._packages:
            if module != package.name and not module.startswith(package.name + "/"):
                continue
            point = "." + module[len(package.name) :]
            for pattern, target in package.exports:
                rest = _rest(pattern, point)
                found = (
                    self._file(_normal(posixpath.join(package.folder, target.replace("*", rest or ""))))
                    if rest is not None
                    else None
                )
                if found is not None:
                    return found, True
            for folder in ("", "src"):
                found = self._file(_normal(posixpath.join(package.folder, folder, point)))
                if found is not None:
                    return found, True
            return None, not _is_asset(module)
        return None, False

    def _file(self, path: str | None) -> str | None:
        if path is None:
            return None
        if path in self._files and path.endswith(CODE):
            return path
        stem, ending = posixpath.splitext(path)
        tries = [path + one for one in CODE] + [f"{path}/index{one}" for one in CODE]
        if ending in (".js", ".jsx", ".mjs", ".cjs"):  # TypeScript is imported by the name it will have
            tries += [stem + one for one in CODE]
        return next((one for one in tries if one in self._files), None)


def _normal(path: str) -> str | None:
    path = posixpath.normpath(path)
    return None if path.startswith(("..", "/")) else path


def _rest(pattern: str, text: str) -> str | None:
    """Return what the `*` of a pattern stands for in `text`, "" where there is none; None if it does not fit."""
    head, star, tail = pattern.partition("*")
    if not star:
        return "" if text == pattern else None
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return None
    return text[len(head) : len(text) - len(tail)]


def _is_asset(module: str) -> bool:
    ending = posixpath.splitext(module)[1]
    return ending in (
        ".css",
        ".scss",
        ".sass",
        ".less",
        ".json",
        ".svg",
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".gif",
        ".md",
        ".mdx",
        ".woff2",
        ".wasm",
    )


class _Walk:
    def __init__(self, code: ServedCode, root: str) -> None:
        self._files = {file.path: file for file in code.files}
        self._resolver = Resolver(code)
        self._unread = {one.file for one in code.unread}
        self._found = {path: address for path in self._files if (address := address_of(path)) is not None}
        self._answering = {path: one for path, one in self._found.items() if not root or path.startswith(root + "/")}
        self._declarations = {
            (file.path, declaration.name): declaration for file in code.files for declaration in file.declarations
        }
        self._members: dict[Place, dict[str, str]] = {}
        for file in code.files:
            for declaration in file.declarations:
                owner, _, part = declaration.name.partition(".")
                if part:
                    self._members.setdefault((file.path, owner), {})[part] = declaration.name
        self._instances: set[tuple[str, str, str]] = set()
        self._places: dict[Place, str] = {}
        self._imported: set[str] = set()
        self._unresolved: dict[Unread, None] = {}
        self._waiting: deque[Place] = deque()

    def walk(self, addresses: tuple[str, ...]) -> Way:
        missing: list[str] = []
        for wanted in addresses:
            files = self._answers(wanted)
            if not files:
                missing.append(wanted)
            for path, names in files:
                self._enter(path, names, wanted)
                self._follow(wanted)
        return Way(self._places, tuple(missing), tuple(self._unresolved))

    def _answers(self, wanted: str, strict: bool = True) -> list[tuple[str, list[str]]]:
        """Return the files that answer an address, and what of each runs."""
        method, _, path = wanted.rpartition(" ")
        fits = {
            file: one
            for file, one in self._answering.items()
            if one.kind in ("route", "page") and answers(one.path, path, strict)
        }
        exact = min((exactness(one.path) for one in fits.values()), default=0)
        found: list[tuple[str, list[str]]] = []
        for file, one in sorted(fits.items()):
            if exactness(one.path) != exact:
                continue
            exports = [exported.name for exported in self._files[file].exports]
            handlers = [name for name in exports if name in METHODS]
            names = [method] if method in handlers else (handlers or exports) if one.kind == "route" else exports
            found.append((file, names))
            if one.kind == "page":
                found += [(around, self._exported(around)) for around in self._around(file, one)]
        return found

    def _exported(self, file: str) -> list[str]:
        return [exported.name for exported in self._files[file].exports]

    def _around(self, file: str, page: Address) -> Iterator[str]:
        """Yield the layouts and templates that a page stands in."""
        folder = posixpath.dirname(file)
        for path, one in self._answering.items():
            if one.kind in ("layout", "template") and one.app == page.app:
                above = posixpath.dirname(path)
                if folder == above or folder.startswith(above + "/"):
                    yield path

    def _enter(self, path: str, names: Iterable[str], hop: str) -> None:
        self._import(path, hop)
        for name in names:
            for file, local in self._given_out(path, name):
                self._use(self._files[file], local, "", hop)

    def _use(self, file: SourceFile, name: str, part: str, hop: str) -> None:
        """Reach what a name of a file stands for, or only a part of it where that is a declaration of its own."""
        imported = _imported(file, name)
        if imported is not None:
            one, there = imported
            found = self._target(one.module, file.path)
            if found is not None:
                wanted, rest = (part, "") if there == "*" and part else (there, part)
                for path, local in self._given_out(found, wanted):
                    self._use(self._files[path], local, rest, hop)
            return
        name = _owner(file, name)
        declaration = self._declarations.get((file.path, name))
        if declaration is None:
            return
        self._reach((file.path, name), hop)
        if part == _CONSTRUCTOR:
            return
        members = self._members.get((file.path, name), {})
        if declaration.instance_of:
            if (file.path, name, part) not in self._instances:
                self._instances.add((file.path, name, part))
                self._use(file, declaration.instance_of, part, hop)
        elif part:
            # A part that is no function stands in the declaration itself.
            if part in members:
                self._reach((file.path, members[part]), hop)
        else:
            for member in members.values():
                self._reach((file.path, member), hop)

    def _reach(self, place: Place, hop: str) -> None:
        if place not in self._places:
            self._places[place] = hop
            self._waiting.append(place)
            self._import(place[0], hop)

    def _import(self, path: str, hop: str) -> None:
        """A file is imported: what stands in it outside of any declaration runs, and so in all that it imports."""
        waiting = [path]
        while waiting:
            here = waiting.pop()
            if here in self._imported or here not in self._files:
                continue
            self._imported.add(here)
            if (here, _MODULE) not in self._places:
                self._places[here, _MODULE] = hop
                self._waiting.append((here, _MODULE))
            for one in self._files[here].imports:
                found = self._target(one.module, here)
                if found is not None:
                    waiting.append(found)

    def _follow(self, hop: str) -> None:
        while self._waiting:
            path, name = self._waiting.popleft()
            declaration = self._declarations.get((path, name))
            if declaration is not None:
                self._leads(self._files[path], declaration, hop)

    def _leads(self, file: SourceFile, declaration: Declaration, hop: str) -> None:
        """Reach everything that a declaration leads to."""
        for mention in declaration.mentions:
            name, _, part = mention.partition(".")
            self._use(file, name, part, hop)
        for load in declaration.loads:
            self._load(file, declaration, load, hop)
        for address in declaration.fetches:
            for path, names in self._answers(address, strict=False):
                self._enter(path, names, hop)

    def _load(self, file: SourceFile, declaration: Declaration, load: Imported, hop: str) -> None:
        """Reach what a declaration takes from a file that it loads while it runs."""
        found = self._target(load.module, file.path)
        if found is None:
            return
        self._import(found, hop)
        for there, local in load.names:
            parts = {
                mention.partition(".")[2] for mention in declaration.mentions if mention.partition(".")[0] == local
            }
            for path, name in self._given_out(found, there):
                for part in {""} if "" in parts or not parts else parts:
                    self._use(self._files[path], name, part, hop)

    def _given_out(self, path: str, name: str, depth: int = 0) -> Iterator[Place]:
        """Yield (file, name in it) behind a name that a file gives out; "*" is all of them."""
        file = self._files.get(path)
        if file is None or depth > _DEEPEST:
            return
        for exported in file.exports:
            if exported.name == name or name == "*" or exported.name == "*":
                yield from self._behind(file, exported, name, depth)

    def _behind(self, file: SourceFile, exported: Exported, name: str, depth: int) -> Iterator[Place]:
        if exported.module is not None:
            found = self._target(exported.module, file.path)
            if found is not None:
                yield from self._given_out(found, name if exported.name == "*" else exported.local, depth + 1)
            return
        imported = _imported(file, exported.local)
        if imported is None:
            yield file.path, exported.local
            return
        found = self._target(imported[0].module, file.path)
        if found is not None:
            yield from self._given_out(found, imported[1], depth + 1)

    def _target(self, module: str, importer: str) -> str | None:
        found, ours = self._resolver.find(module, importer)
        if found is None and ours:
            self._unresolved[Unread(importer, f"It imports {module}, which is no file that was read.")] = None
        elif found is not None and found in self._unread and found not in self._files:
            self._unresolved[Unread(importer, f"It imports {module}, which could not be read.")] = None
        return found


def _imported(file: SourceFile, name: str) -> tuple[Imported, str] | None:
    """Return the import that brings a name into a file, and the name it has there."""
    return next(((one, there) for one in file.imports for there, local in one.names if local == name), None)


def _owner(file: SourceFile, name: str) -> str:
    """Return the first name of the declaration that binds `name`: `{ a, b }` is one declaration."""
    return name if any(one.name == name for one in file.declarations) else _owner_of_part(file, name)


def _owner_of_part(file: SourceFile, name: str) -> str:
    return next(
        (exported.local for exported in file.exports if exported.name == name and exported.module is None), name
    )


def hops(way_: Way, uses: Iterable[Use]) -> dict[Use, str]:
    """Return the address of the flow for each use that lies on the way."""
    return {use: hop for use in uses if (hop := way_.hop(use)) is not None}
