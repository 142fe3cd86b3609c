"""Inputs after public reports of people who run such flows, by the habit that told them wrongly, with the right state.

Bodies of texts are what Twilio answers, and go through its reader.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pandas as pd
from pydantic import SecretStr

from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.model import frames
from lib.model.deployments import AliasRequest, DeploymentState, GitLink, VercelEvent, VercelSigns, WorkflowRun
from lib.model.provider import AppHealth
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import CheckStatus, HeadlineState
from lib.model.window import Window, WindowSize
from lib.sources.catalog import CatalogSource, ManagementCatalogClient
from lib.sources.http import USER_AGENT, Deadline
from lib.sources.twilio import Twilio
from tests.contract.survey import BASE_URL, CannedAnswers
from tests.diagnosis.builders import (
    FIX,
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    NOW,
    OLD_BUILD,
    PROJECT,
    UNSTORED,
    ago,
    booking,
    call,
    commit,
    deployment,
    hostname,
    link,
    never_sent,
    receipt,
    sid,
    snapshot,
    table,
    text,
    truncated,
)

FLOWING, DEGRADED, BROKEN = HeadlineState.FLOWING, HeadlineState.DEGRADED, HeadlineState.BROKEN
CANNOT_TELL = HeadlineState.CANNOT_TELL
ACCOUNT = "AC" + "1" * 32
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
EIGHT = tuple((n, ago(hours=10 - n)) for n in range(1, 9))
DAY = Window.ending(NOW, WindowSize.DAY)

# What a text may look like: the body with {code} and {token}, and fields beside it.
TEMPLATES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "with its link": ("Confirm: https://l.example.test/{code}", {}),
    "a link without scheme": ("Confirm: l.example.test/{code}", {}),
    "a link with www": ("Confirm: www.example.test/l/{code} Thanks", {}),
    "its token in the query": ("Confirm: https://example.test/booking?token={token}&lang=en", {}),
    "its link split by a line break": ("Confirm: https://l.example.test/\n{code}", {}),
    "redacted": ("[redacted]", {}),
    "whatsapp and an empty body": ("", {"to": "whatsapp:{to}"}),
    "no link": ("Your table is booked. Reply YES to confirm.", {}),
    "a number with invisible characters": ("Confirm: https://l.example.test/{code}", {"to": "\u202a{to}\u202c"}),
}


@dataclass(frozen=True)
class Case:
    """One report: the habit of issue 14 that told it wrongly, what differs from the healthy world, the right state.

    `says` and `says_not` are parts of the headline's sentence.
    """

    habit: int
    name: str
    state: HeadlineState
    changed: Mapping[str, Any] = field(default_factory=dict)
    window: Window = DAY
    says: str = ""
    says_not: tuple[str, ...] = ()

    def diagnosis(self) -> Diagnosis:
        return diagnose(snapshot(window=self.window, **self.changed), NOW)


def read_texts(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return what the reader of Twilio's log makes of these messages."""
    canned = CannedAnswers({("GET", MESSAGES): {"messages": list(rows), "next_page_uri": None}})
    source = Twilio(http=canned, base_url=BASE_URL, account_sid=ACCOUNT, auth_token=SecretStr("t"))  # type: ignore[arg-type]
    return source.texts(DAY, Deadline(10)).value


def message(
    number: int, at: datetime, template: str = "with its link", late: timedelta = timedelta(seconds=3), **more: Any
) -> dict[str, Any]:
    """The delivered text of booking `number`, as Twilio tells it."""
    body, fields = TEMPLATES[template]
    to = f"+4474001{number:05}"
    when = format_datetime(at + late)
    return {
        "sid": sid(number),
        "status": "delivered",
        "direction": "outbound-api",
        "to": to,
        "from": "+447400999999",
        "body": body.format(code=f"code-{number}", token=f"token-{number}"),
        "num_segments": "1",
        "date_created": when,
        "date_sent": when,
        "date_updated": when,
        **{name: value.format(to=to) for name, value in fields.items()},
        **more,
    }


def bookings(times: Sequence[tuple[int, datetime]], *, stored: bool = False, made: bool = True) -> dict[str, Any]:
    """The tables of bookings that all went as they should, but for their texts."""
    kept: dict[str, Any] = {} if stored else {"sms_sid": None}  # stored with the booking, under another name
    done = {"booking_id": "made"} if made else {}
    sids = ({"id": f"m{n}", "direction": "outbound", "message_sid": sid(n), "created_at": at} for n, at in times)
    return {
        "pending_bookings": table(
            frames.PENDING_BOOKINGS,
            (
                booking(n, at, **(kept | done | ({"confirmed_at": at + timedelta(minutes=9)} if made else {})))
                for n, at in times
            ),
        ),
        "short_links": table(frames.SHORT_LINKS, (link(n, at, click_count=int(made)) for n, at in times)),
        "messages": table(frames.MESSAGES, sids),
        "webhook_log": table(frames.WEBHOOK_LOG, (receipt(n, at) for n, at in times)),
        "api_usage": table(frames.API_USAGE, (call(n, at) for n, at in times)),
    }


def _joined(template: str, late: timedelta = timedelta(seconds=3)) -> dict[str, Any]:
    return bookings(EIGHT) | {"texts": read_texts([message(n, at, template, late) for n, at in reversed(EIGHT)])}


def _project(**changed: Any) -> dict[str, Any]:
    return {"project": dataclasses.replace(PROJECT, **changed)}


def _refused(code: str) -> dict[str, Any]:
    """The newest two bookings are of one number, to which Twilio sends nothing."""
    world = _joined("with its link")
    rows = list(world["pending_bookings"].to_dict("records"))
    for row in rows[-2:]:
        row |= {"mobile_number": "+447400999888", "confirmed_at": None, "booking_id": None, **UNSTORED}
    alerts = [
        {"sid": f"NO{n}", "error_code": code, "level": "error", "text": "refused", "created_at": at}
        for n, at in EIGHT[-2:]
    ]
    return world | {
        "pending_bookings": table(frames.PENDING_BOOKINGS, rows),
        "texts": read_texts([message(n, at) for n, at in reversed(EIGHT[:6])]),
        "alerts": table(frames.ALERTS, alerts),
    }


def _on_purpose(status: str) -> dict[str, Any]:
    reminders = [
        message(100 + n, ago(hours=3, minutes=n), "no link", status=status, to=f"+44740055{n:04}", date_sent=None)
        for n in range(6)
    ]
    return bookings(EIGHT) | {"texts": read_texts([*(message(n, at) for n, at in reversed(EIGHT)), *reminders])}


_ASIDE = {  # the fix was merged after the commit that is served, which does not hold it, though it is listed later
    "branch": dataclasses.replace(
        snapshot().branch.value,  # type: ignore[type-var]
        commits=(
            commit(HEAD, ago(days=1), "e" * 40, FIX),
            commit("e" * 40, ago(days=2), OLD_BUILD.sha or ""),
            commit(FIX, ago(days=5), OLD_BUILD.sha or ""),
            commit(OLD_BUILD.sha or "", ago(days=9)),
        ),
    ),
    "hostnames": (hostname(deployment("dpl_e", "e" * 40, ago(days=2))),),
    "deployments": (deployment("dpl_e", "e" * 40, ago(days=2)), OLD_BUILD),
}
BEHIND: dict[str, Any] = {"hostnames": (hostname(FIX_BUILD),), "deployments": (FIX_BUILD, OLD_BUILD)}
_WAITS: dict[str, Any] = {"hostnames": (hostname(FIX_BUILD),)}
_PAUSED_DOOR = {"app_health": AppHealth("booking.example", 503, None, None, True, "DEPLOYMENT_PAUSED")}
_MINE = {"id": "key", "name": "Website", "can_write_bookings": True, "is_active": True, "last_used_at": ago(hours=1)}


def _signs(state: str | None, words: str | None = None, suite: bool | None = True) -> dict[str, Any]:
    return {"vercel_signs": VercelSigns(HEAD, state, words, suite, True)}


def _canceled(**more: Any) -> dict[str, Any]:
    built = dataclasses.replace(HEAD_BUILD, state=DeploymentState.CANCELED, substate=None, ready_at=None, **more)
    return {"hostnames": (hostname(FIX_BUILD),), "deployments": (built, FIX_BUILD, OLD_BUILD)}


def _outage(size: WindowSize) -> dict[str, Any]:
    """Texts stopped 16 hours ago; each window shows its own part of it."""
    window = Window.ending(NOW, size)
    times = [(n, ago(minutes=43 * n)) for n in range(30, 0, -1)]
    world = bookings([one for one in times if one[1] >= window.start], made=False)
    sent = [text(n, at) for n, at in times if window.start <= at < ago(hours=16)]
    return world | {"texts": table(frames.TEXTS, sent), "messages": table(frames.MESSAGES)}


def cases() -> Iterator[Case]:
    """Yield each reported input."""
    unsent = ("Texts are not sent", "none follow")
    for template in TEMPLATES:
        yield Case(1, f"8 texts, {template}", FLOWING, _joined(template), says_not=unsent)
    late = timedelta(minutes=7)
    yield Case(1, "8 texts, 7 minutes late", FLOWING, _joined("with its link", late), says_not=unsent)
    yield Case(1, "8 texts, late and without a link", FLOWING, _joined("no link", late), says_not=unsent)
    six = bookings(EIGHT) | {
        "texts": read_texts(
            [*(message(n, at, "no link") for n, at in EIGHT[6:]), *(message(n, at) for n, at in EIGHT[:6])]
        )
    }
    yield Case(1, "6 of 8 joined, 2 without a link", FLOWING, six, says_not=unsent)
    yield Case(1, "no text at all", BROKEN, never_sent(), says="Texts are not sent")

    wildcard = {"api_keys": table(frames.API_KEYS, [_MINE])}
    yield Case(
        2, "a key with permissions ['*'], 8 of 8 calls answered 201", FLOWING, _joined("with its link") | wildcard
    )
    empty = bookings(EIGHT, stored=True) | {"texts": table(frames.TEXTS)}
    yield Case(2, "an empty log, and 8 SIDs that Twilio does not know", CANNOT_TELL, empty, says="another account")

    for code, what in (("21610", "opted out"), ("21614", "a landline"), ("21408", "a foreign guest")):
        yield Case(3, f"two bookings of one number: {what} ({code})", FLOWING, _refused(code), says_not=unsent)
    for status in ("canceled", "scheduled"):
        yield Case(3, f"6 reminders {status} on purpose", FLOWING, _on_purpose(status))

    odd = WorkflowRun(1, "ci", HEAD, None, None, ago(days=3), "https://example")
    yield Case(4, "a workflow run with status null", FLOWING, {"runs": (odd,)})
    forgotten = hostname(None, "old.example", failure=Failure(FailureKind.NOT_FOUND, "GitHub has no such commit."))
    yield Case(4, "one hostname cannot be resolved", FLOWING, {"hostnames": (hostname(HEAD_BUILD), forgotten)})
    cut = truncated("pending_bookings", snapshot().pending_bookings.value)
    yield Case(4, "one row of bookings left out (expires_at = infinity)", FLOWING, {"pending_bookings": cut})

    yield Case(5, "a fix that was merged after the served commit", DEGRADED, _ASIDE, says="does not serve the required")
    for conclusion in ("startup_failure", "cancelled"):
        run = WorkflowRun(1, "ci", HEAD, "completed", conclusion, ago(days=3), "https://example")
        yield Case(5, f"a run with conclusion {conclusion}", FLOWING, {"runs": (run,)})
    yield Case(5, "no listed domain", FLOWING, {"hostnames": ()})
    yield Case(5, "live: false", FLOWING, _project(live=False, paused=None))
    yield Case(5, "a cancelled build whose reason the list does not carry", DEGRADED, _canceled())
    develop = {"repository": dataclasses.replace(snapshot().repository.value, default_branch="develop")}  # type: ignore[type-var]
    yield Case(5, "the default branch is not the production branch", FLOWING, develop)
    odd_link = GitLink("github", "", "dev/booking", 0, "main", 0)
    yield Case(5, "a link {org: '', repo: 'dev/booking', repoId: 0}", FLOWING, _project(link=odd_link))
    dirty = dataclasses.replace(HEAD_BUILD, git_dirty=True, source="cli")
    yield Case(
        5, "an upload with changes of its own", FLOWING, {"hostnames": (hostname(dirty),), "deployments": (dirty,)}
    )

    for words in ("Account is blocked.", "Git author sam must have access to the project booking on Vercel."):
        yield Case(6, f"commit status failure “{words}”", DEGRADED, BEHIND | _signs("failure", words), says=words)
    policy = BEHIND | _signs(None, suite=False)
    yield Case(6, "a policy that allows only cli", DEGRADED, policy | _project(policy_allows_git=False))
    yield Case(6, "a policy rule that is off", FLOWING, _project(policy_allows_git=None))
    unverified = _canceled(ready_state_reason="The commit is not verified.")
    yield Case(6, "an unverified commit", DEGRADED, unverified)
    yield Case(
        6, "a paused project (503, DEPLOYMENT_PAUSED)", BROKEN, _project(paused=True) | _PAUSED_DOOR, says="paused"
    )

    promotion = AliasRequest("promote", "dpl_fix", "dpl_head", "in-progress", ago(minutes=2))
    yield Case(7, "a promotion in progress", FLOWING, _WAITS | _project(last_alias_request=promotion))
    canary = _project(rolling_release_active=True, rolling_release_percent=10, rolling_release_deployment_id="dpl_head")
    yield Case(7, "a canary at 10 %", FLOWING, _WAITS | canary)

    yield Case(8, "a write of the desk's own that was refused", FLOWING, {"database_errors": _own_errors()})
    event = VercelEvent("env-variable-edit", ago(hours=3), "sam")
    yield Case(8, "a variable edited by hand, nothing else", FLOWING, {"vercel_events": (event,)})

    full = Failure(FailureKind.UNAVAILABLE, "The database has no free connection (53300).", "Close connections.")
    yield Case(9, "53300 at the catalog", FLOWING, {"catalog": full})
    limit = Failure(FailureKind.RATE_LIMITED, "GitHub asks to wait (secondary rate limit).", "Wait a little.")
    yield Case(9, "GitHub's secondary limit", FLOWING, dict.fromkeys(("branch", "runs", "vercel_signs"), limit))
    off = Failure(FailureKind.FORBIDDEN, "Twilio refused: the account is not active.", "See its state.")
    yield Case(9, "a suspended account: nothing of Twilio can be read", CANNOT_TELL, {"texts": off, "account": off})

    for size in (WindowSize.HOUR, WindowSize.DAY):
        window = Window.ending(NOW, size)
        yield Case(10, f"an outage of 16 hours, seen over {size.value}", BROKEN, _outage(size), window, says="not sent")
    keys = [_MINE | {"is_active": False}]
    nobody = bookings(()) | {"texts": table(frames.TEXTS), "api_keys": table(frames.API_KEYS, keys)}
    yield Case(10, "a revoked key, and nobody who asked", BROKEN, nobody, says="API key is refused")


def _own_errors() -> pd.DataFrame:
    """The logs after a write of the desk itself: the gateway's line with its User-Agent, and Postgres's refusal."""
    at = {"timestamp": f"{ago(hours=1).isoformat()}"}
    refused = 'null value in column "status" of relation "messages" violates not-null constraint'
    write = {"origin": "edge_logs", "method": "PATCH", "path": "/rest/v1/messages", "status_code": "400"}
    lines = [
        at | write | {"event_message": "", "agent": USER_AGENT},
        at | {"origin": "postgres_logs", "sql_state": "23502", "event_message": refused},
    ]
    canned = CannedAnswers({("GET", "/v1/projects/p/analytics/endpoints/logs"): {"result": lines}})
    client = ManagementCatalogClient(canned, BASE_URL, "p", SecretStr("t"))  # type: ignore[arg-type]
    return CatalogSource(client, None, client).errors(DAY, Deadline(10)).value


CASES = tuple(cases())


def as_markdown() -> str:
    """Return the cases as a table: what was given, and the headline's state and sentence."""
    usual = {check.id for check in diagnose(snapshot(), NOW).checks if check.status is not CheckStatus.OK}
    lines = ["| habit | example | headline | its sentence | beside it |", "|---|---|---|---|---|"]
    for case in CASES:
        diagnosis = case.diagnosis()
        head = diagnosis.headline
        told = [
            f"{check.id} {check.status.value}: {check.summary}"
            for check in diagnosis.checks
            if check.status is not CheckStatus.OK and check.id not in usual and not check.id.startswith("reason_")
        ]
        beside = "; ".join(told[:3])
        since = (
            f" (since {'at least ' if head.since_at_least else ''}{head.since:%d %b %H:%M} UTC)" if head.since else ""
        )
        lines.append(f"| {case.habit} | {case.name} | {head.state.value.upper()}{since} | {head.sentence} | {beside} |")
    return "\n".join(lines) + "\n"
