"""Which address a file of a Next.js app answers, and which file answers an address.

Rules: Next.js documentation, "Project structure": a group `(x)` and a slot `@x` leave no trace, `_x` is private,
`[x]` is a parameter, `[...x]` takes the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = r"\.[mc]?[jt]sx?"
_APP_FILE = re.compile(rf"^(?P<kind>route|page|layout|template|default){_CODE}$")
_PAGES_FILE = re.compile(rf"^(?P<name>[^.]+){_CODE}$")
_NOT_PAGES = frozenset({"_app", "_document", "_error", "middleware"})
_LANGUAGES = frozenset({"[locale]", "[lang]", "[lng]", "[language]"})
_HOLE = "\0"


@dataclass(frozen=True, slots=True)
class Address:
    """What a file answers. `app` is the folder of the app that it belongs to; `kind` is route, page, layout, …"""

    path: str
    kind: str
    app: str


def address_of(file: str) -> Address | None:
    """Return the address that a file answers, or None if it answers none."""
    *folders, name = file.split("/")
    for number, folder in enumerate(folders):
        before = folders[number - 1] if number else ""
        if folder == "app" and before not in ("apps", "packages") and folders[number + 1 : number + 2] != ["app"]:
            found = _APP_FILE.match(name)
            inside = folders[number + 1 :]
            if found is None or any(part.startswith("_") for part in inside):
                return None
            return Address(_address(inside), found["kind"], "/".join(_root(folders[:number])))
        if (folder == "pages" and before in ("", "src")) or (
            folder == "pages" and number and folders[0] in ("apps", "packages")
        ):
            page = _PAGES_FILE.match(name)
            if page is None or page["name"] in _NOT_PAGES:
                return None
            inside = folders[number + 1 :] + ([] if page["name"] == "index" else [page["name"]])
            kind = "route" if inside[:1] == ["api"] else "page"
            return Address(_address(inside), kind, "/".join(_root(folders[:number])))
    return None


def _root(folders: list[str]) -> list[str]:
    return folders[:-1] if folders[-1:] == ["src"] else folders


def _address(folders: list[str]) -> str:
    parts = [part for part in folders if not part.startswith(("(", "@"))]
    return "/" + "/".join(parts)


def answers(address: str, wanted: str, strict: bool = True) -> bool:
    """Whether a file's address (`/l/[code]`) answers the wanted one, where `*`, `[x]` and holes stand for anything.

    `strict`: a parameter of the file answers only what is a parameter in the wanted address too, so that `/[a]/[b]` is
    not taken for `/l/[code]`. A language in front (`/[locale]/…`) is passed over. One that takes all the rest
    (`/[...x]`) answers everything, which says nothing: it answers only what asks for it.
    """
    have = [part for part in address.split("/") if part]
    want = [part for part in re.split(r"[?#]", wanted, maxsplit=1)[0].split("/") if part]
    if have[:1] and have[0] in _LANGUAGES and len(have) == len(want) + 1:
        have = have[1:]
    return len(have) == len(want) and all(_fits(one, other, strict) for one, other in zip(have, want, strict=True))


def _fits(have: str, want: str, strict: bool) -> bool:
    if have.startswith(("[...", "[[...")) or not have.startswith("["):
        return have == want or (_is_open(want) and not strict)
    return _is_open(want) or not strict


def _is_open(part: str) -> bool:
    return part == "*" or part.startswith(("[", ":")) or _HOLE in part


def exactness(address: str) -> int:
    """Order the files that answer one address: the one with the fewest parameters comes first."""
    return address.count("[")
