"""What a fresh machine installs: pinned to versions and hashes, under known licences, and without a known hole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts import sbom

ROOT = Path(__file__).resolve().parent.parent
LISTS = ("requirements.txt", "requirements-dev.txt", "lib/sandbox/node/requirements.txt")

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


def test_the_list_for_development_holds_the_other_one() -> None:
    runs, develops = ({line.split()[0] for line in lines(name)} for name in LISTS[:2])
    assert runs - develops == set()


@pytest.mark.parametrize("name", LISTS)
def test_every_package_names_the_hashes_of_its_files(name: str) -> None:
    """So pip refuses a file that was replaced at the registry or on the way."""
    text = re.sub(r"\\\n\s*", " ", (ROOT / name).read_text(encoding="utf-8"))
    pins = [line for line in text.splitlines() if "==" in line]
    assert pins
    assert [line for line in pins if not re.search(r"( --hash=sha256:[0-9a-f]{64})+\s*$", line)] == []


def test_setup_installs_only_files_with_these_hashes() -> None:
    setup = (ROOT / "scripts" / "setup").read_text(encoding="utf-8")
    installs = [line for line in setup.splitlines() if "pip install" in line]
    assert installs and all("--require-hashes" in line for line in installs)


def test_every_package_of_the_npm_lock_names_the_hash_of_its_file() -> None:
    packages = sbom.npm_packages()
    assert packages and [package.name for package in packages if not package.sha512] == []


# Licences -------------------------------------------------------------------------------------------------

# All let a program under the MIT licence use them and be passed on. Of those that ask for more, what they ask is kept:
# the LGPL and the MPL ask that their own files stay open and replaceable, and a package of its own is both.
COMPATIBLE = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "LGPL-3.0-only",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "MPL-2.0",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}


def incompatible(licence: str | None) -> bool:
    """Whether one of the licences that apply is on no list. Of A OR B, one that is suffices."""
    parts = [part.split(" OR ") for part in (licence or "").split(" AND ")]
    return not all(any(one.strip("() ") in COMPATIBLE for one in choices) for choices in parts)


def test_every_licence_goes_together_with_ours() -> None:
    packages = [*sbom.python_packages(), *sbom.npm_packages()]
    assert {package.name: package.licence for package in packages if incompatible(package.licence)} == {}


@pytest.mark.parametrize("licence", [None, "", "GPL-3.0-only", "MIT AND GPL-3.0-only", "Proprietary", "AGPL-3.0"])
def test_an_unknown_licence_is_noticed(licence: str | None) -> None:
    assert incompatible(licence)
    assert not incompatible("GPL-3.0-only OR MIT")


def test_the_bill_of_materials_is_valid_and_names_every_package() -> None:
    document = sbom.document()
    text = json.dumps(document)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {line.split("==")[0] for line in lines("requirements.txt")} | {one.name for one in sbom.npm_packages()}
    named = {f"{one.get('group', '')}/{one['name']}".lstrip("/") for one in document["components"]}
    assert named == listed
    assert all(component["licenses"] for component in document["components"])
    assert not re.search(r"https?://", text)
    assert json.dumps(sbom.document()) == text


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
