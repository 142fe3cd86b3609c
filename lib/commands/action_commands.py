"""The commands `act` and `requests`, with the same executor, journal and refusals as the pages."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID, uuid4

import typer
from rich.markup import escape

from lib.actions.action import Preview, RefusedError
from lib.actions.action_registry import ACTIONS, open_executor
from lib.actions.executor import Executor, Order
from lib.commands.terminal import ActionExit, AsJson, actor, configured, out, print_json, progress
from lib.journal.entry import Outcome
from lib.journal.errors import JournalError
from lib.journal.request import Request, RequestState
from lib.model.people import Actor
from lib.model.reading import SourceError
from lib.model.window import WindowSize
from lib.snapshot import take, utc_now
from lib.sources.source_registry import connect

_EXIT_OF = {
    RequestState.SUCCEEDED: ("succeeded", ActionExit.SUCCEEDED),
    RequestState.FAILED: ("failed", ActionExit.FAILED),
    RequestState.UNKNOWN: ("unknown", ActionExit.UNKNOWN),
    RequestState.STARTED: ("unknown", ActionExit.UNKNOWN),
    RequestState.WAITING: ("waiting", ActionExit.WAITING),
}


def open_action_executor() -> tuple[Executor, Actor]:
    """Return the executor on the configured systems, and the actor. Unusable settings are named on stderr."""
    settings = configured()
    sources = connect(settings, utc_now)
    executor = open_executor(settings, sources, lambda: take(sources, WindowSize.DAY), utc_now)
    return executor, actor(settings)


def act(
    action: Annotated[str, typer.Argument(help=f"One of: {', '.join(ACTIONS)}.")],
    arg: Annotated[list[str] | None, typer.Option("--arg", help="KEY=VALUE, as the action asks for.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Show what it would do, and do nothing.")] = False,
    digest: Annotated[str, typer.Option(help="The digest of the preview that you saw.")] = "",
    confirm: Annotated[str, typer.Option(help="The phrase of the preview, typed out.")] = "",
    reason: Annotated[str, typer.Option(help="Why; some actions need it.")] = "",
    incident: Annotated[UUID | None, typer.Option(help="The incident that it belongs to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Preview an action, or carry out what a preview showed.

    Exit code: 0 succeeded, 1 failed, 2 refused, 3 unknown, 4 waits for a second person, 64 wrong usage.
    """
    args = _arguments(arg or [])
    try:
        executor, who = open_action_executor()
        if preview:
            _show_preview(executor.preview(action, args), as_json)
            return
        if not digest:
            raise typer.BadParameter("Use --preview to see what it would do, then --digest to do exactly that.")
        order = Order(action, args, digest, confirm, reason, uuid4(), incident)
        with progress.status("Working …"):
            request = executor.carry_out(executor.submit(order, who).id, who)
    except (RefusedError, SourceError, JournalError) as error:
        _refused(str(error), as_json)
        raise typer.Exit(ActionExit.REFUSED) from None
    raise typer.Exit(_show_outcome(request, as_json))


def requests(
    request: Annotated[UUID | None, typer.Argument(help="The id of one request; else the newest are listed.")] = None,
    limit: Annotated[int, typer.Option(help="How many, the newest first.")] = 20,
    recheck: Annotated[
        UUID | None, typer.Option("--look", help="Check again this one, whose outcome is unknown.")
    ] = None,
    happened: Annotated[
        str | None, typer.Option(help="You checked yourself, and it took effect: what you saw. Needs its id.")
    ] = None,
    did_not_happen: Annotated[
        str | None, typer.Option(help="You checked yourself, and it did not take effect: what you saw. Needs its id.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what was asked for and what became of it, or say what you saw of one whose outcome is unknown."""
    observed = _observed(request, happened, did_not_happen)
    try:
        executor, who = open_action_executor()
        if recheck is not None:
            executor.recheck(recheck, who)
        if observed is not None:
            executor.record_observation(*observed, who)
        found = executor.journal.requests(limit=limit) if request is None else (executor.journal.request(request),)
    except (RefusedError, SourceError, JournalError) as error:
        _refused(str(error), as_json)
        raise typer.Exit(ActionExit.REFUSED) from None
    if as_json:
        print_json([_request_json(one) for one in found])
        return
    for one in found:
        when = one.requested_at.isoformat(timespec="seconds")
        message = f"{when}  {one.state.value:<10} {one.action}  {one.id}  {one.message}"
        out.print(escape(message), soft_wrap=True)


def _observed(
    request: UUID | None, happened: str | None, did_not_happen: str | None
) -> tuple[UUID, Outcome, str] | None:
    """Return what the options say about a request: its id, the outcome and what was found; None if they say nothing."""
    if happened is None and did_not_happen is None:
        return None
    if request is None or (happened is not None and did_not_happen is not None):
        raise typer.BadParameter('Use ID --happened "…", or ID --did-not-happen "…".')
    if happened is not None:
        return request, Outcome.SUCCEEDED, happened
    return request, Outcome.FAILED, did_not_happen or ""


def _arguments(pairs: list[str]) -> dict[str, str]:
    args = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE.")
        args[name] = value
    return args


def preview_json(preview: Preview) -> dict[str, Any]:
    """Return a preview as a JSON document."""
    return {
        "action": preview.action,
        "title": preview.title,
        "tier": int(preview.tier),
        "target": {"name": preview.target.name, **dict(preview.target.facts)},
        "calls": list(preview.calls),
        "will_differ": list(preview.will_differ),
        "undo": preview.undo,
        "phrase": preview.phrase,
        "digest": preview.digest,
        "preflight": [
            {"id": check.id, "status": check.status.value, "words": check.message} for check in preview.preflight
        ],
        "blocked": preview.blocked,
    }


def _show_preview(preview: Preview, as_json: bool) -> None:
    if as_json:
        print_json(preview_json(preview))
        return
    out.print(f"[bold]{escape(preview.title)}[/] on {escape(preview.target.name)}")
    for name, value in preview.target.facts:
        out.print(f"  {escape(name)}: {escape(value)}")
    for call in preview.calls:
        out.print(escape(call), style="cyan")
    for message in preview.will_differ:
        out.print(f"  · {escape(message)}")
    for check in preview.preflight:
        out.print(f"  {check.status.value:<5} {escape(check.message)}")
    out.print(f"undo: {escape(preview.undo)}\ndigest: {preview.digest}")
    if preview.phrase:
        out.print(f"to confirm: --confirm {escape(preview.phrase)!r} --reason …")


def _show_outcome(request: Request, as_json: bool) -> ActionExit:
    word, code = _EXIT_OF.get(request.state, ("refused", ActionExit.REFUSED))
    if as_json:
        print_json({**_request_json(request), "outcome": word})
    else:
        out.print(f"[bold]{word}[/]: {escape(request.message)}")
        if code is ActionExit.UNKNOWN:
            out.print(f"request {request.id}: check with python -m lib requests --look {request.id}", soft_wrap=True)
    return code


def _request_json(request: Request) -> dict[str, Any]:
    receipt = request.receipt
    return {
        "outcome": _EXIT_OF.get(request.state, (request.state.value, 0))[0],
        "request_id": str(request.id),
        "action": request.action,
        "state": request.state.value,
        "by": request.requested_by.name,
        "at": request.requested_at.isoformat(),
        "before": {fact.name: fact.value for fact in receipt.before} if receipt else {},
        "after": {fact.name: fact.value for fact in receipt.after} if receipt else {},
        "verified": receipt.verified if receipt else None,
        "words": request.message,
    }


def _refused(message: str, as_json: bool) -> None:
    if as_json:
        empty: dict[str, Any] = {"request_id": None, "before": {}, "after": {}, "verified": None}
        print_json({"outcome": "refused", **empty, "words": message})
    else:
        progress.print(f"refused: {escape(message)}")
