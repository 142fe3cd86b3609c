"""Runs commands of the command line, each in a process of its own.

The processes are forked from one that has imported the application, because importing takes most of their time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lib.__main__ import main
from tests.processes import WARM

ROOT = Path(__file__).resolve().parent.parent
LONGEST_SECONDS = 90

Answer = subprocess.CompletedProcess[str]


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command: `settings`, and of our own only PATH and HOME."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), **settings}


def run(*arguments: str, settings: Mapping[str, str] | None = None) -> Answer:
    """Run `python -m lib` with `arguments` and return what it wrote, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = WARM.Process(target=_command, args=(arguments, environment(settings or {}), out, err))
        process.start()
        process.join(LONGEST_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, LONGEST_SECONDS)
        return Answer(arguments, process.exitcode, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))


def run_cold(*arguments: str, settings: Mapping[str, str] | None = None) -> Answer:
    """Do the same in a new Python process, as a shell does."""
    return subprocess.run(
        [sys.executable, "-m", "lib", *arguments],
        cwd=ROOT,
        env=environment(settings or {}),
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def _command(arguments: tuple[str, ...], environ: Mapping[str, str], out: Path, err: Path) -> None:
    for stream, file in ((0, os.devnull), (1, out), (2, err)):
        flags = os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(file, flags, 0o600), stream)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    sys.argv = ["lib", *arguments]
    main()
