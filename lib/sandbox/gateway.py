"""The gateway before a Supabase project: it passes requests on to Lite and keeps the edge log.

Where Lite differs from the hosted platform, the gateway adds what is missing: the Data API's own
description lists the tables and columns, as of the last time the schema was loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from lib.sandbox.infrastructure import Infrastructure, SchemaCache
from lib.sandbox.world import World

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# These are about one connection and are never passed on (RFC 9110, 7.6.1); the length is set again.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "host",
    }
)
# After so many requests, log lines past the platform's retention are deleted.
_PRUNE_EVERY = 1000
_PRUNE_SQL = "delete from platform.log where source_name = 'edge_logs' and at < now() - interval '1 day'"

# JSON Schema's name of a Postgres type, as PostgREST's description has it; all others are strings.
_JSON_TYPES = {
    "boolean": "boolean",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "number",
    "real": "number",
    "double precision": "number",
}


class Gateway:
    """Passes `/rest/v1` and `/auth/v1` on to whichever Lite serves now."""

    def __init__(self, world: World, infrastructure: Infrastructure) -> None:
        self._world = world
        self._infrastructure = infrastructure
        self._client = httpx.AsyncClient(timeout=60, trust_env=False)  # 60 s: the platform's own limit
        self._requests = count(1)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/rest/v1/", self._description, methods=["GET"]),
            Route("/{service:path}", self._pass_on, methods=METHODS),
        ]

    @asynccontextmanager
    async def open(self) -> Any:
        """Hold the connections to Lite for as long as the gateway serves."""
        async with self._client:
            yield

    async def _pass_on(self, request: Request) -> Response:
        path = "/" + request.path_params.get("service", "rest/v1/")
        if not path.startswith(("/rest/v1/", "/auth/v1/")):
            return JSONResponse({"message": "no Route matched with those values"}, 404)
        answer = await self._ask_lite(request, path)
        await run_in_threadpool(self._log, request, path, answer.status_code)
        return answer

    async def _description(self, request: Request) -> Response:
        answer = await self._pass_on(request)
        if answer.status_code != 200 or not isinstance(answer, StreamingResponse):
            return answer
        if answer.background is not None:
            await answer.background()
        return JSONResponse(
            description(self._infrastructure.schema_cache), media_type="application/openapi+json; charset=utf-8"
        )

    async def _ask_lite(self, request: Request, path: str) -> Response:
        query = request.url.query
        upstream = self._client.build_request(
            request.method,
            f"{self._infrastructure.lite_url}{quote(path)}" + (f"?{query}" if query else ""),
            headers=[(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP],
            content=await request.body(),
        )
        try:
            answer = await self._client.send(upstream, stream=True)
        except httpx.TransportError as error:
            # The platform's message for a Data API that has lost its database.
            message = "Could not query the database for the schema cache. Retrying."
            return JSONResponse(
                {"code": "PGRST002", "message": message, "details": type(error).__name__, "hint": None}, 503
            )
        passed_on = StreamingResponse(answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose))
        passed_on.raw_headers = [
            (name.lower(), value)
            for name, value in answer.headers.raw
            if name.lower().decode("latin-1") not in _HOP_BY_HOP
        ]
        return passed_on

    def _log(self, request: Request, path: str, status: int) -> None:
        attributes = {
            "request.method": request.method,
            "request.path": path,
            "request.headers.user_agent": request.headers.get("user-agent", ""),
            "response.status_code": str(status),
        }
        self._world.log_line("edge_logs", f"{request.method} | {status} | {path}", attributes)
        if next(self._requests) % _PRUNE_EVERY == 0:
            with self._world.connection() as connection:
                connection.execute(_PRUNE_SQL)


def description(cache: SchemaCache) -> dict[str, Any]:
    """Return the Data API's description of itself (Swagger 2.0), in the shape of PostgREST's `OpenAPI.hs`.

    `required` of a table are exactly its columns that may not be null.
    """
    definitions: dict[str, Any] = {
        table: {
            "required": [column["column"] for column in columns if column["required"]],
            "properties": {column["column"]: dict(_property(column)) for column in columns},
            "type": "object",
        }
        for table, columns in cache.tables.items()
    }
    paths: dict[str, Any] = {f"/{table}": {"get": {"tags": [table]}} for table in definitions}
    paths |= {f"/rpc/{name}": {"post": {"tags": [f"(rpc) {name}"]}} for name in cache.functions}
    return {
        "swagger": "2.0",
        "info": {"title": "standard public schema", "description": "", "version": "14.1"},
        "basePath": "/",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": paths,
        "definitions": definitions,
    }


def _property(column: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "format", column["format"]
    if column["format"] not in ("json", "jsonb"):
        yield "type", "array" if column["format"].endswith("[]") else _JSON_TYPES.get(column["format"], "string")
    if column["max_length"] is not None:
        yield "maxLength", column["max_length"]
    if column["default"] is not None:
        yield "default", column["default"]
    if column["is_key"]:
        yield "description", "Note:\nThis is a Primary Key.<pk/>"
