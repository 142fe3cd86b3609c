"""Writes a software bill of materials: every package of requirements.txt and of the sandbox's npm lock.

The format is CycloneDX 1.6 as JSON. Names, versions and dependencies come from the two lists, licences from the
installed packages and from the lock. The same lists give the same document.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements.txt"
NPM_LOCK = ROOT / "lib" / "sandbox" / "node" / "package-lock.json"

# What older packages write in place of an SPDX expression, in their field License or as their classifier.
_SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD 3-Clause License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The MIT License (MIT)": "MIT",
}
_SPDX_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
# Packages of other platforms, which cannot be asked here, by what their files say.
_NOT_FOR_EVERY_PLATFORM = {"colorama": "BSD-3-Clause"}


@dataclass(frozen=True, slots=True)
class Package:
    """One package. `licence` is an SPDX expression, or None where none is stated. `sha512` is hexadecimal."""

    ecosystem: str  # pypi or npm, as in a package URL
    name: str
    version: str
    licence: str | None
    needs: tuple[str, ...] = ()  # names of packages of the same ecosystem
    sha512: str | None = None

    @property
    def url(self) -> str:
        """Its package URL: a name for it that says no address."""
        return f"pkg:{self.ecosystem}/{self.name.replace('@', '%40')}@{self.version}"


def python_packages() -> list[Package]:
    """Return the packages of requirements.txt."""
    needed_by: dict[str, list[str]] = {}
    pins = dict(_pins(REQUIREMENTS.read_text(encoding="utf-8"), needed_by))
    needs: dict[str, list[str]] = {name: [] for name in pins}
    for name, parents in needed_by.items():
        for parent in parents:
            if parent in needs:
                needs[parent].append(name)
    return [Package("pypi", name, pins[name], python_licence(name), tuple(needs[name])) for name in pins]


def npm_packages() -> list[Package]:
    """Return the packages of the sandbox's npm lock."""
    locked: dict[str, dict[str, Any]] = json.loads(NPM_LOCK.read_text(encoding="utf-8"))["packages"]
    return [
        Package(
            "npm",
            path.rpartition("node_modules/")[2],
            entry["version"],
            entry.get("license"),
            tuple(sorted(entry.get("dependencies", {}))),
            _sha512(entry.get("integrity", "")),
        )
        for path, entry in locked.items()
        if path
    ]


def python_licence(name: str) -> str | None:
    """Return the licence of an installed package as an SPDX expression; None if it states none that is known."""
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return _NOT_FOR_EVERY_PLATFORM.get(name)
    classifiers = [line.rpartition(" :: ")[2] for line in fields.get_all("Classifier", []) if "License ::" in line]
    stated = [fields.get("License-Expression"), fields.get("License"), *classifiers]
    for text in filter(None, stated):
        first = text.strip().splitlines()[0].strip() if text.strip() else ""
        if first in _SPDX:
            return _SPDX[first]
        if _SPDX_EXPRESSION.fullmatch(first) and len(first) <= 100:
            return first
    return None


def document() -> dict[str, Any]:
    """Return the bill of materials."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [*python_packages(), *npm_packages()]
    urls = {(one.ecosystem, one.name): one.url for one in packages}
    components = list({one.url: _component(one) for one in packages}.values())
    root = f"pkg:generic/{project['name']}@{project['version']}"
    tree = [{"ref": root, "dependsOn": sorted({one.url for one in packages})}]
    tree += [
        {
            "ref": one.url,
            "dependsOn": sorted({urls[key] for need in one.needs if (key := (one.ecosystem, need)) in urls}),
        }
        for one in {package.url: package for package in packages}.values()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid5(NAMESPACE_URL, json.dumps(components, sort_keys=True)).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": components,
        "dependencies": tree,
    }


def _component(package: Package) -> dict[str, Any]:
    group, _, name = package.name.rpartition("/")
    return {
        "type": "library",
        "bom-ref": package.url,
        **({"group": group} if group else {}),
        "name": name,
        "version": package.version,
        "purl": package.url,
        "licenses": [{"expression": package.licence}] if package.licence else [],
        **({"hashes": [{"alg": "SHA-512", "content": package.sha512}]} if package.sha512 else {}),
    }


def _pins(text: str, needed_by: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield name and version of each pin; `needed_by` gets the names in the comments "via" below it."""
    name = ""
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line):
            name = match[1]
            needed_by[name] = []
            yield name, match[2]
        elif match := re.match(r"    # (?:via)?\s*([A-Za-z0-9_.-]*)", line):
            needed_by[name] += [match[1]] if match[1] else []


def _sha512(integrity: str) -> str | None:
    kind, _, digest = integrity.partition("-")
    return base64.b64decode(digest).hex() if kind == "sha512" else None


def main(arguments: list[str]) -> None:
    """Write the document to the file named, else to stdout."""
    text = json.dumps(document(), indent=2, ensure_ascii=False) + "\n"
    if arguments:
        Path(arguments[0]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
