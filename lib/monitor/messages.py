"""Messages to people: a title short enough for an SMS, then cause, next step and link. No customers' data."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from lib.formatting import long_duration, weekday_time
from lib.model.deployments import Deployment
from lib.monitor.alert_state import AlertEvent, EventKind, Severity
from lib.monitor.deployment_news import DeploymentNews, NewsKind
from lib.redaction import redact

LONGEST_TITLE = 110
LONGEST_LINE = 400


class NotificationType(StrEnum):
    """The type of a message, by Apprise's names."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A newer one about the same `subject` replaces one that was not sent yet."""

    subject: str
    tone: NotificationType
    title: str
    body: str


def of_sandbox(message: Message) -> Message:
    """Mark a message of a sandbox: it reaches real people, who must not take it for their business."""
    return replace(message, title=_title(f"SANDBOX: {message.title}"))


_LABELS = {EventKind.WORSE: "WORSE", EventKind.REMINDER: "STILL", EventKind.RESOLVED: "RESOLVED"}
_FIRED_LABELS = {Severity.CRITICAL: "BROKEN", Severity.WARNING: "WARNING"}


def of_alert(rule_id: str, event: AlertEvent, zone: ZoneInfo, dashboard_url: str | None) -> Message:
    """Return the message that an alert fired, got worse, goes on or is resolved."""
    story, resolved = event.story, event.kind is EventKind.RESOLVED
    label = _LABELS.get(event.kind) or _FIRED_LABELS[story.severity]
    title = _title(f"{label}: {first_sentence(story.title)}")
    if resolved:
        lines = [
            f"It lasted {long_duration(event.lasted or timedelta(0))}, since {_clock(event.since, event.at, zone)}.",
            f"Now: {event.now_is}" if event.now_is else "",
            f"It was: {story.cause}" if story.cause else "",
        ]
        tone = NotificationType.SUCCESS
    else:
        lines = [
            story.message,
            f"Since {_clock(event.since, event.at, zone)}{_for(event.at - event.since)}.",
            f"Cause: {story.cause}" if story.cause else "",
            f"Next step: {story.next_step}" if story.next_step else "",
        ]
        tone = NotificationType.FAILURE if story.severity is Severity.CRITICAL else NotificationType.WARNING
    return Message(rule_id, tone, title, _body(lines, "status" if resolved else story.page, dashboard_url))


_NEWS_LABELS = {
    NewsKind.LIVE: ("is live", NotificationType.INFO),
    NewsKind.PROMOTED: ("was promoted and is live", NotificationType.INFO),
    NewsKind.ROLLED_BACK: ("is live again: production was rolled back", NotificationType.WARNING),
    NewsKind.FAILED: ("failed to build and is not live", NotificationType.WARNING),
    NewsKind.SKIPPED: ("was skipped and is not live", NotificationType.WARNING),
    NewsKind.BLOCKED: ("is blocked and not live", NotificationType.WARNING),
}
_NEWS_STEPS = {
    NewsKind.FAILED: "Next step: read the first error of its build log.",
    NewsKind.SKIPPED: "Next step: if it should be live, correct the ignored build step and deploy it by hand.",
    NewsKind.BLOCKED: "Next step: let its author deploy, or redeploy it as somebody who may.",
    NewsKind.ROLLED_BACK: "New builds wait until one of them is promoted.",
}


def of_deployment(news: DeploymentNews, dashboard_url: str | None) -> Message:
    """Return the message about what became of a production deployment."""
    deployment = news.deployment
    message, tone = _NEWS_LABELS[news.kind]
    lines = [
        f"{_name(deployment)}{f' by {plain_line(deployment.commit_author)}' if deployment.commit_author else ''}",
        f"On {', '.join(news.hostnames)}." if news.hostnames else "",
        f"Vercel says: {plain_line(deployment.error_message)}" if deployment.error_message else "",
        _NEWS_STEPS.get(news.kind, ""),
    ]
    title = _title(f"Deployment: {_name(deployment)} {message}")
    return Message(f"deployment:{deployment.id}:{news.kind}", tone, title, _body(lines, "deployments", dashboard_url))


def _name(deployment: Deployment) -> str:
    commit = deployment.built_from if deployment.sha else "an upload"
    subject = plain_line((deployment.commit_message or "").partition("\n")[0], 50)
    return f"{commit} “{subject}”" if subject else commit


def plain_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Return text from outside as one short line without mentions, links or markup."""
    return _shortened(re.sub(r"[<>@`|*_\[\]]", " ", redact(text)), longest)


def _for(length: timedelta) -> str:
    return f" ({long_duration(length)})" if length >= timedelta(minutes=1) else ""


def _clock(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    there, today = at.astimezone(zone), now.astimezone(zone)
    return f"{there:%H:%M}" if there.date() == today.date() else weekday_time(at, zone)


def first_sentence(message: str) -> str:
    """Return the first sentence of `message` without its full stop."""
    return re.split(r"(?<=[^.])\.(?:\s|$)", message, maxsplit=1)[0]


def _title(message: str) -> str:
    return _shortened(redact(message), LONGEST_TITLE)


def _shortened(message: str, longest: int) -> str:
    return textwrap.shorten(message, longest, placeholder="…")


def _body(lines: list[str], page: str, dashboard_url: str | None) -> str:
    # Redacted here once more, as a last guard; our own link is added after that, because it must stay intact.
    shown = [_shortened(redact(line), LONGEST_LINE) for line in lines if line]
    return "\n".join([*shown, *([f"{dashboard_url}/{page}"] if dashboard_url else [])])
