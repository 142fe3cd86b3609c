"""Processes of the tests: forked from one that has imported everything already, and whether one still runs."""

from __future__ import annotations

from multiprocessing import get_context

import psutil

# One server forks them all. It is started by the first use, so it preloads what any of them needs.
WARM = get_context("forkserver")
WARM.set_forkserver_preload(["tests.command_line", "tests.journal.workers"])


def runs(pid: int) -> bool:
    """Return whether the process runs: a container without an init keeps ended processes as zombies."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
