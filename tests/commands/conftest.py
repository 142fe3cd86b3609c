"""Fixtures of the commands' tests: an address that receives what the monitor sends."""

from __future__ import annotations

from tests.monitor import conftest as of_monitor

target = of_monitor.target
