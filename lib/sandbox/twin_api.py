"""What the twins of the REST APIs have in common: one authorised call, and the answer that it gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lib.sandbox.twin_helpers import Json
from lib.sandbox.world import Connection, World


class TwinRefusalError(Exception):
    """An error answer of a twin, in the form of its API."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response


@dataclass(frozen=True, slots=True)
class TwinCall:
    """One authorised request to a twin, with everything that answering it takes."""

    world: World
    request: Request
    connection: Connection
    now: datetime

    def query(self, name: str, default: str | None = None) -> str | None:
        return self.request.query_params.get(name, default)

    @property
    def path(self) -> dict[str, str]:
        return self.request.path_params


C = TypeVar("C", bound=TwinCall)


def answer(
    world: World,
    request: Request,
    authorise: Callable[[World, Request], None],
    call: Callable[[World, Request, Connection, datetime], C],
    handler: Callable[[C], Json],
) -> Response:
    """Authorise `request`, let `handler` answer the call that is made of it, and return the answer or the refusal."""
    try:
        authorise(world, request)
        with world.connection() as connection:
            body = handler(call(world, request, connection, world.now()))
    except TwinRefusalError as refusal:
        return refusal.response
    return body if isinstance(body, Response) else JSONResponse(body)
