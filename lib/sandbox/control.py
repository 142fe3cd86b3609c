"""The sandbox's control API: which scenario it plays, how fast bookings come in, and which twins misbehave."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox.faults import SYSTEMS, InjectedFault, parse_fault
from lib.sandbox.manual_fixes import MANUAL_FIXES
from lib.sandbox.scenarios import SCENARIOS, Scenario

MOST_BOOKINGS_PER_MINUTE = 600.0


class Sandbox(Protocol):
    """What control may ask of the running sandbox."""

    scenario: Scenario
    pace: float
    fixed_by_hand: bool
    faults: dict[str, InjectedFault]

    @property
    def settings(self) -> dict[str, str]: ...

    async def switch(self, name: str) -> None: ...

    async def manual_fix(self) -> None: ...


class Control:
    """`/sandbox`: for the dashboard's scenario menu, the command line and tests."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._state),
            Route("/scenario", self._scenario, methods=["POST"]),
            Route("/pace", self._pace, methods=["POST"]),
            Route("/manual-fix", self._apply_manual_fix, methods=["POST"]),
            Route("/faults", self._faults),
            Route("/faults", self._set_fault, methods=["POST"]),
            Route("/faults", self._clear_faults, methods=["DELETE"]),
        ]

    async def _state(self, request: Request) -> Response:
        refused = _refuse_browsers(request)
        if refused is not None:
            return refused
        sandbox, scenario = self._sandbox, self._sandbox.scenario
        manual_fix = MANUAL_FIXES.get(scenario.name)
        return JSONResponse(
            {
                "scenario": scenario.name,
                "title": scenario.title,
                "story": scenario.story,
                "pace": sandbox.pace,
                "scenarios": [{"name": known.name, "title": known.title} for known in SCENARIOS.values()],
                "manual_fix": {"where": manual_fix.where, "words": manual_fix.message, "done": sandbox.fixed_by_hand}
                if manual_fix
                else None,
                "settings": sandbox.settings,
            }
        )

    async def _scenario(self, request: Request) -> Response:
        body = await _json_body(request)
        if isinstance(body, Response):
            return body
        name = body.get("name")
        if not isinstance(name, str) or name not in SCENARIOS:
            return _error(f"There is no such scenario. There are: {', '.join(SCENARIOS)}.")
        await self._sandbox.switch(name)
        return await self._state(request)

    async def _pace(self, request: Request) -> Response:
        body = await _json_body(request)
        if isinstance(body, Response):
            return body
        pace = body.get("bookings_per_minute")
        if not isinstance(pace, int | float) or not 0 <= pace <= MOST_BOOKINGS_PER_MINUTE:
            return _error(f"bookings_per_minute must be a number from 0 to {MOST_BOOKINGS_PER_MINUTE:g}.")
        self._sandbox.pace = float(pace)
        return await self._state(request)

    async def _apply_manual_fix(self, request: Request) -> Response:
        body = await _json_body(request)
        if isinstance(body, Response):
            return body
        if self._sandbox.scenario.name not in MANUAL_FIXES:
            return _error("Nothing is to be fixed outside Switchboard in this scenario.")
        await self._sandbox.manual_fix()
        return await self._state(request)

    async def _faults(self, request: Request) -> Response:
        refused = _refuse_browsers(request)
        if refused is not None:
            return refused
        return JSONResponse({system: asdict(fault) for system, fault in self._sandbox.faults.items()})

    async def _set_fault(self, request: Request) -> Response:
        body = await _json_body(request)
        if isinstance(body, Response):
            return body
        system = body.pop("system", None)
        if system not in SYSTEMS:
            return _error(f"system must be one of {', '.join(SYSTEMS)}.")
        try:
            self._sandbox.faults[system] = parse_fault(body)
        except ValueError as error:
            return _error(str(error))
        return await self._faults(request)

    async def _clear_faults(self, request: Request) -> Response:
        refused = _refuse_browsers(request)
        if refused is not None:
            return refused
        self._sandbox.faults.clear()
        return JSONResponse({})


def _refuse_browsers(request: Request) -> Response | None:
    """Refuse what a page in somebody's browser sends: no web page may control the sandbox."""
    if "origin" in request.headers:
        return _error("The sandbox is not controlled from web pages.", 403)
    return None


async def _json_body(request: Request) -> dict[str, Any] | Response:
    refused = _refuse_browsers(request)
    if refused is not None:
        return refused
    # A form in a web page can be sent without an Origin, but not with this type.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _error("Send JSON, with Content-Type: application/json.", 415)
    try:
        # NaN is no JSON and no pace.
        body = json.loads(await request.body(), parse_constant=lambda _: math.inf)
    except ValueError:
        return _error("The body is not JSON.")
    return body if isinstance(body, dict) else _error("The body must be an object.")


def _error(sentence: str, status: int = 400) -> Response:
    return JSONResponse({"error": sentence}, status)
