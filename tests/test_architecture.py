"""The parts of the project as docs/architecture.md draws them: who may import whom, and that names are used once."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable

from tests.source_tree import ROOT, SourceFile, app_files, source_files

# From left to right: each may import what is to its left, and itself.
ORDER = (
    "model",
    "settings",
    "served_code",
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
    "access": "sources",
    "start_token": "model",
    "server_limits": "model",
    "chart_colours": "model",
    "handbook": "plan",
    "endpoints": "monitor",
    "doctor": "diagnosis",
    "migrations": "journal",
    "affected": "diagnosis",
    "owner_summary": "diagnosis",
    "reports": "plan",
    "plan_state": "plan",
}
# What puts the parts together; no part imports it.
ENTRY_POINTS = ("__main__", "commands", "run", "server")


def our_parts(file: SourceFile) -> set[str]:
    """Return the parts of the project that the file imports from, but for its own."""
    names = [name.split(".") for name in file.imports]
    inside = {name[1] for name in names if name[0] == "lib" and len(name) > 1}
    return (inside | {name[0] for name in names if name[0] in ("pages", "app")}) - {file.part}


def packages(file: SourceFile) -> set[str]:
    """Return the top-level packages that the file imports."""
    return {name.partition(".")[0] for name in file.imports}


def rank(part: str) -> int:
    """Return the place of a part in the row; the sandbox and the entry points have none that another may import."""
    place = BESIDE.get(part, part)
    return ORDER.index(place) if place in ORDER else len(ORDER)


def test_every_part_of_the_project_has_a_place():
    known = {*ORDER, *BESIDE, *ENTRY_POINTS, "sandbox", "__init__"}
    assert {file.part for file in app_files()} <= known


def test_imports_run_one_way():
    wrong = [
        f"{file.name} imports {other}"
        for file in app_files()
        if file.part not in (*ENTRY_POINTS, "sandbox")
        for other in our_parts(file)
        if rank(other) > rank(file.part)
    ]
    assert wrong == []


def test_only_the_command_line_imports_the_sandbox():
    wrong = [
        file.name for file in app_files() if file.part not in ("sandbox", "__main__") and "sandbox" in our_parts(file)
    ]
    assert wrong == []


def test_the_sandbox_imports_nothing_of_the_project_but_the_model():
    imported = {other for file in app_files() if file.part == "sandbox" for other in our_parts(file)}
    assert imported <= {"model"}


def test_streamlit_is_imported_only_by_the_app_its_pages_the_ui_and_the_server():
    wrong = [
        file.name
        for file in app_files()
        if file.part not in ("app", "pages", "ui", "server") and "streamlit" in packages(file)
    ]
    assert wrong == []


def test_pure_parts_import_nothing_that_reaches_outside():
    outside = {"requests", "httpx", "supabase", "psycopg", "urllib3", "postgrest", "socket", "subprocess"}
    pure = ("model", "settings", "snapshot", "diagnosis", "plan", "pages", "app", "doctor")
    wrong = [file.name for file in app_files() if file.part in pure and outside & packages(file)]
    assert wrong == []


def test_the_diagnosis_reads_no_clock():
    clocks = {"datetime.now", "time.time", "utc_now"}
    wrong = [
        file.name
        for file in app_files()
        if file.part == "diagnosis"
        and clocks & {ast.unparse(node.func) for node in file.nodes if isinstance(node, ast.Call)}
    ]
    assert wrong == []


def test_no_public_class_name_is_used_twice():
    names = Counter(
        node.name
        for file in app_files()
        for node in file.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_two_modules_have_one_name():
    stems = Counter(
        file.path.stem for file in app_files() if file.name.startswith("lib/") and file.path.stem != "__init__"
    )
    assert [stem for stem, count in stems.items() if count > 1] == []


def test_the_folders_of_the_tests_are_those_of_lib():
    of_lib = {file.part for file in app_files() if file.name.startswith("lib/") and file.name.count("/") > 1}
    of_tests = {file.part for file in source_files() if file.name.startswith("tests/") and file.name.count("/") > 1}
    assert of_tests - of_lib <= {"pages", "browser", "contract"}


def test_html_is_written_in_one_module_and_put_on_the_page_by_one_function():
    """Views put components together; what is marked as HTML or sent as such elsewhere was escaped by nobody."""
    homes = {"Markup": "html_components.py", "escape": "html_components.py", "st.html": "styles.py"}
    wrong = [
        f"{file.name}:{node.lineno} {ast.unparse(node.func)}"
        for file in app_files()
        if file.part in ("ui", "pages", "app", "server")
        for node in file.nodes
        if isinstance(node, ast.Call) and homes.get(ast.unparse(node.func), file.path.name) != file.path.name
    ]
    assert wrong == []


# Modules of Streamlit that are part of its documented interface.
PUBLIC_STREAMLIT = {"streamlit", "streamlit.errors", "streamlit.testing.v1", "streamlit.typing"}


def _internals(files: Iterable[SourceFile]) -> set[str]:
    """Return which modules of Streamlit beyond its documented interface the files import."""
    found = {node.module or "" for file in files for node in file.nodes if isinstance(node, ast.ImportFrom)}
    return {module for module in found if module.split(".")[0] == "streamlit"} - PUBLIC_STREAMLIT


def test_the_dashboard_imports_nothing_of_streamlits_internals():
    assert _internals(app_files()) == set()


def test_every_use_of_streamlits_internals_is_listed_with_its_reason():
    listed = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [module for module in _internals(source_files()) if f"`{module}`" not in listed] == []
