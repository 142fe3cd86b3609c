"""What a fresh machine installs: pinned, and without a known hole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("requirements.txt", "requirements-dev.txt")

# Advisories that do not concern us, each with the reason why: {"GHSA-…": "we never call …"}.
EXCEPTIONS: dict[str, str] = {}


def lines(name: str) -> list[str]:
    listed = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in listed if line.strip() and not line.startswith(("#", "-", " "))]


@pytest.mark.parametrize("name", LISTS)
def test_every_package_is_pinned_to_one_version(name: str) -> None:
    assert [line for line in lines(name) if not re.match(r"^[A-Za-z0-9_.-]+(\[[\w,-]+\])?==[^\s*]+(\s|$)", line)] == []


@pytest.mark.parametrize("name", LISTS)
def test_no_list_says_where_packages_come_from(name: str) -> None:
    assert not re.search(r"https?://|file://|--index|--find-links", (ROOT / name).read_text(encoding="utf-8"))


def test_the_two_lists_agree() -> None:
    runs, develops = (dict(re.split(r"\[.*\]==|==", line.split()[0])[:2] for line in lines(name)) for name in LISTS)
    assert {name: version for name, version in runs.items() if develops.get(name, version) != version} == {}


@pytest.mark.timeout(300)
def test_no_package_has_a_known_hole() -> None:
    audit = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip_audit",
            "-r",
            "requirements.txt",
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
            "--progress-spinner",
            "off",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if "ConnectionError" in audit.stderr or "ServiceError" in audit.stderr:
        pytest.skip("The advisory database cannot be reached from here: nothing was audited.")
    packages = json.loads(audit.stdout)["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        pytest.skip(f"The advisory database knows none of {len(packages)} packages from here: nothing was audited.")
    holes = {hole["id"]: f"{p['name']} {p['version']}" for p in asked for hole in p["vulns"]}
    assert {name: package for name, package in holes.items() if name not in EXCEPTIONS} == {}
