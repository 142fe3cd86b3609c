"""Processes that start with everything imported: that takes longer than what the tests have them do."""

from __future__ import annotations

from multiprocessing import get_context

# One server forks them all, and the first use starts it: so whatever any of them needs is named here.
WARM = get_context("forkserver")
WARM.set_forkserver_preload(["tests.commands", "tests.journal.workers"])
