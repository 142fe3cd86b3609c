"""The confirmation link does not let customers confirm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import link
from lib.diagnosis.hypothesis_api import (
    DEVELOPER,
    OTHER_SYSTEMS,
    REDEPLOY,
    VERCEL_ADMIN,
    HypothesisSpec,
    TaskContext,
    decided_by,
)
from lib.diagnosis.live_deployment import is_paused, live_host, named, ready
from lib.model.provider import Landing
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict

# Where Vercel's own protection sends strangers.
_PROTECTION_HOSTS = ("vercel.com", "sso-api")


def judge(statuses: Statuses) -> Verdict:
    verdict = decided_by(link.link_opens)(statuses)
    doubted = statuses[link.openers_confirm] in (CheckStatus.FAIL, CheckStatus.WARN)
    return Verdict.POSSIBLE if verdict is Verdict.CANNOT_TELL and doubted else verdict


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield how to let strangers open the confirmation page, and the rollback that helps until then."""
    opening = context.facts.value(context.facts.snapshot.link_opening)
    if not context.fails(link.link_opens) or opening is None or is_paused(context.facts):
        return  # a paused project opens no page, whatever its code
    path = " → ".join(opening.steps)
    why = context.summary(link.link_opens)
    if opening.landing is Landing.LOGIN and any(host in path for host in _PROTECTION_HOSTS):
        yield Task(
            "lift_protection",
            SPEC.id,
            OTHER_SYSTEMS,
            "Let strangers open production: protect previews only.",
            why,
            who=VERCEL_ADMIN,
            place="Vercel → Project → Settings → Deployment Protection",
            link=context.vercel("settings/deployment-protection"),
            exactly=path,
        )
        return
    yield Task(
        "open_the_page",
        SPEC.id,
        OTHER_SYSTEMS,
        "Let the confirmation page open for a stranger, with a commit, and push it: Vercel then builds it by itself.",
        why,
        who=DEVELOPER,
        place="the code",
        link=context.github("commits"),
        exactly=path,
    )
    yield from _rollback(context)


def _rollback(context: TaskContext) -> Iterator[Task]:
    """Yield the rollback to the build before, if people confirmed until the live one came and nobody did by it."""
    host, pending = live_host(context.facts), context.facts.pending
    live, since = (host.deployment, host.serving_since) if host else (None, None)
    older = (one for one in ready(context.facts) if live and one.created_at < live.created_at)
    before = next((one for one in older if one.is_rollback_candidate), None)
    if before is None or since is None or pending is None:
        return
    confirmed = pending.dropna(subset="confirmed_at")
    if confirmed.empty or _confirmed_by_what_serves(confirmed, since):
        return
    yield Task(
        "roll_back",
        SPEC.id,
        REDEPLOY,
        f"As a stopgap, roll back to {named(before)}: with it people could confirm.",
        context.summary(link.link_opens),
        action="roll_back",
        args=(("deployment", before.id),),
        meanwhile=True,
    )


def _confirmed_by_what_serves(confirmed: pd.DataFrame, since: datetime) -> bool:
    """Whether somebody confirmed on a page of what serves `since` then, and not on one that was open before."""
    asked_since = confirmed["created_at"] >= since
    too_late_for_an_open_page = confirmed["confirmed_at"] >= since + thresholds.CONFIRM_SETTLES
    return bool((asked_since | too_late_for_an_open_page).any())


SPEC = HypothesisSpec(
    id="link_broken",
    depth=120,
    title="The confirmation link does not open",
    for_owner="Customers get the text, but its link does not let them confirm.",
    remedy=Remedy("Make the confirmation page open without a login, then check the link again.", "recheck_link"),
    explains=frozenset({Hop.LINK}),
    judge=judge,
    checks=(link.link_opens, link.openers_confirm),
    tasks=tasks,
    settled_elsewhere=(link.link_opens,),
    runbook="""
For a stranger: a login, a 404, an expired link.

- Look: where the link ended. A Vercel login means deployment protection on that hostname.
- Do: let strangers open the confirmation page (Vercel → Settings → Deployment Protection, or a fix in the app); then
  *check the link again*.
- After: the people who got a dead link are on *Bookings → Who was affected*.
""",
)
