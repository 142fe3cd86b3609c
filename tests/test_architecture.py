"""The house as the design draws it: who may import whom, told from the source, not from what happens to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# From left to right: each may import what stands to its left, and itself.
ORDER = (
    "model",
    "settings",
    "sources",
    "journal",
    "snapshot",
    "diagnosis",
    "actions",
    "plan",
    "monitor",
    "ui",
    "pages",
    "app",
)
# Parts beside the row, and with which of its places they go.
BESIDE = {
    "redaction": "model",
    "formatting": "model",
    "cache": "model",
    "launch": "settings",
    "chart_colours": "model",
    "handbook": "plan",
    "endpoints": "monitor",
    "doctor": "diagnosis",
    "migrations": "journal",
    "affected": "diagnosis",
    "reports": "plan",
    "plan_state": "plan",
}
# Ways in, which put the parts together; no part knows them.
ENTRANCES = ("__main__", "commands", "run", "server")


def python_files() -> list[Path]:
    inside = [*(ROOT / "lib").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "app.py"]
    return sorted(path for path in inside if "node_modules" not in path.parts and path.exists())


def part_of(path: Path) -> str:
    """Return the part of the house that a file belongs to: `lib/sources/http.py` to `sources`."""
    inside = path.relative_to(ROOT).parts
    return (inside[1] if inside[0] == "lib" and len(inside) > 1 else inside[0]).removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Yield every module that the file imports anywhere in it, by its full name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def our_parts(path: Path) -> set[str]:
    """Return the parts of the house that the file imports from, but for its own."""
    names = [name.split(".") for name in imports(path)]
    inside = {name[1] for name in names if name[0] == "lib" and len(name) > 1}
    return (inside | {name[0] for name in names if name[0] in ("pages", "app")}) - {part_of(path)}


FILES = {path: part_of(path) for path in python_files()}


def rank(part: str) -> int:
    """Return the place of a part in the row; the sandbox and the ways in have none that another may import."""
    place = BESIDE.get(part, part)
    return ORDER.index(place) if place in ORDER else len(ORDER)


def test_every_part_of_the_house_has_a_place():
    known = {*ORDER, *BESIDE, *ENTRANCES, "sandbox", "__init__"}
    assert set(FILES.values()) <= known


def test_imports_run_one_way():
    wrong = [
        f"{path.relative_to(ROOT)} imports {other}"
        for path, part in FILES.items()
        if part not in (*ENTRANCES, "sandbox")
        for other in our_parts(path)
        if rank(other) > rank(part)
    ]
    assert wrong == []


def test_only_the_command_line_imports_the_sandbox():
    wrong = [
        path for path, part in FILES.items() if part not in ("sandbox", "__main__") and "sandbox" in our_parts(path)
    ]
    assert wrong == []


def test_the_sandbox_knows_of_the_house_only_the_model():
    known = {other for path, part in FILES.items() if part == "sandbox" for other in our_parts(path)}
    assert known <= {"model"}


def test_streamlit_stays_in_the_app_its_pages_and_its_widgets():
    wrong = [
        path
        for path, part in FILES.items()
        if part not in ("app", "pages", "ui", "server") and any(n.split(".")[0] == "streamlit" for n in imports(path))
    ]
    assert wrong == []


def test_what_is_pure_speaks_to_nothing_outside():
    outside = {"requests", "httpx", "supabase", "psycopg", "urllib3", "postgrest", "socket", "subprocess"}
    pure = ("model", "settings", "snapshot", "diagnosis", "plan", "pages", "app", "doctor")
    wrong = [
        path for path, part in FILES.items() if part in pure and outside & {n.split(".")[0] for n in imports(path)}
    ]
    assert wrong == []


def test_the_diagnosis_asks_no_clock():
    for path in (path for path, part in FILES.items() if part == "diagnosis"):
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        assert not {ast.unparse(call.func) for call in calls} & {"datetime.now", "time.time", "utc_now"}, path
