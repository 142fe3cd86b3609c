"""The readings that need another source's answer first: what is known says which one to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pandas as pd

from lib.model import frames
from lib.model.deployments import Branch, BuildLog, Comparison, Deployment, VercelSigns
from lib.model.provider import Landing, LinkOpening
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, Reading, SourceError
from lib.model.served_code import ServedCode
from lib.sources.booking_app import BookingApp
from lib.sources.github import GitHub
from lib.sources.github_archive import GitHubArchive
from lib.sources.http import Deadline
from lib.sources.reporting import Reporting
from lib.sources.source_registry import Sources
from lib.sources.twilio import Twilio
from lib.sources.vercel import Vercel

T = TypeVar("T")
Readings = Mapping[str, Reading[Any]]

# Needs that a follow-up can do without: it then asks less, or asks by another way.
OPTIONAL_NEEDS: Mapping[str, tuple[str, ...]] = {
    "known_texts": ("messages", "pending_bookings"),
    "reconciled": ("texts", "messages", "pending_bookings"),
    "link_opening": ("short_links", "texts"),
    "served_code": ("branch",),
    "branch": ("project", "deployments"),
    "required_commit": ("project", "deployments"),
    "rules": ("project", "deployments"),
    "vercel_signs": ("project",),
}


# What is joined with each other; bookings come first, for the age of a text is that of its booking.
_JOINED = ("pending_bookings", "texts", "messages", "short_links")


def present(reading: Reading[T]) -> T:
    """Return the value of a reading that was needed, and therefore is there."""
    if reading.value is None:
        raise SourceError(FailureKind.BAD_DATA, f"{reading.name} has no value.")
    return reading.value


def build_log(vercel: Vercel, deployments: tuple[Deployment, ...], deadline: Deadline) -> Observed[BuildLog | None]:
    """Read the log of the newest production build that failed or is under way; None if the newest one is fine."""
    newest = next((deployment for deployment in deployments if deployment.target == "production"), None)
    if newest is None or not (newest.state.failed or newest.state.in_progress):
        return Observed(None)
    observed = vercel.build_log(newest.id, deadline)
    return Observed(observed.value, observed.caveats)


def comparisons(github: GitHub, readings: Readings, deadline: Deadline) -> Observed[tuple[Comparison, ...]]:
    """Compare the required commit with each serving commit, where a walk along parents does not tell enough.

    So too what its pull request became on the branch. A pair that cannot be compared costs itself, not the others.
    """
    branch, required = present(readings["branch"]), present(readings["required_commit"])
    serving = {sha for host in present(readings["hostnames"]) if (sha := host.serving_commit) is not None}
    wanted = {required.sha, required.merged_as or required.sha}
    pairs = [(sha, head) for sha in sorted(serving) for head in sorted(wanted) if not _explained(branch, sha, head)]
    compared = [_compared(github, sha, head, deadline) for sha, head in pairs]
    failed = [result for result in compared if isinstance(result, SourceError)]
    if compared and len(failed) == len(compared):
        raise failed[0]
    caveats = tuple(
        Caveat(CaveatKind.PARTIAL, sha, f"{sha[:7]} and {head[:7]} could not be compared: {result}")
        for (sha, head), result in zip(pairs, compared, strict=True)
        if isinstance(result, SourceError)
    )
    return Observed(tuple(result for result in compared if isinstance(result, Comparison)), caveats)


def _explained(branch: Branch, sha: str, head: str) -> bool:
    """Whether the commits that were read say whether `sha` contains `head`, and else how far it is behind."""
    holds = branch.contains(sha, head)
    return holds is True or (holds is False and branch.behind_by(sha, head) is not None)


def _compared(github: GitHub, base: str, head: str, deadline: Deadline) -> Comparison | SourceError:
    try:
        return github.compare(base, head, deadline).value
    except SourceError as error:
        return error


def production_branch(readings: Readings) -> str | None:
    """Return the branch that Vercel builds production from; None where it does not say: then it is the default branch.

    A setting that was just changed to a branch from which no build ever came must not decide what ought to be live.
    """
    project = readings["project"].value
    link = project.link if project else None
    if link is None or not link.production_branch or not link.is_github:
        return None
    pushed = {one.pushed_branch for one in readings["deployments"].value or ()} - {None}
    return link.production_branch if not pushed or link.production_branch in pushed else None


def known_branch(_: Observed[Any]) -> bool:
    """Accept what was read of the branch that was known: Vercel is asked often, and a new branch is read next time."""
    return True


def vercel_signs(github: GitHub, readings: Readings, deadline: Deadline) -> Observed[VercelSigns]:
    """Read the signs of Vercel's app on the required commit; a branch may have a switch of its own."""
    required, branch = present(readings["required_commit"]), present(readings["branch"])
    project = readings["project"].value
    directory = project.root_directory if project else None
    return github.vercel_signs(required.sha, deadline, branch=branch.name, directory=directory)


def served_code(archive: GitHubArchive, readings: Readings, deadline: Deadline) -> Observed[tuple[ServedCode, ...]]:
    """Read the code of each commit that a hostname serves, and of the branch's head; one that fails costs itself.

    Raises the first `SourceError` if none of the serving ones can be read.
    """
    serving = dict.fromkeys(host.serving_commit for host in present(readings["hostnames"]) if host.serving_commit)
    branch = readings["branch"].value
    head = branch.commits[0].sha if branch is not None and branch.commits else None
    if not serving:
        raise SourceError(FailureKind.NOT_FOUND, "Which commit is served is not known, so its code cannot be read.")
    codes: list[ServedCode] = []
    caveats: list[Caveat] = []
    errors: list[SourceError] = []
    for sha in dict.fromkeys((*serving, *([head] if head else []))):
        try:
            codes.append(archive.code(sha, deadline))
        except SourceError as error:
            errors += [error] if sha in serving else []
            caveats.append(Caveat(CaveatKind.PARTIAL, sha, f"The code of {sha[:7]} could not be read. {error}"))
    if errors and not any(code.commit in serving for code in codes):
        raise errors[0]
    return Observed(tuple(codes), tuple(caveats))


def known_texts(twilio: Twilio, readings: Readings, deadline: Deadline) -> Observed[pd.DataFrame]:
    """Ask Twilio for each text that the database knows and the message log of the window does not show."""
    listed = set(present(readings["texts"])["sid"])
    since = readings["texts"].since
    # What is older than the log was read back to is not missing from it.
    newest = readings if since is None else newest_part(readings, since)
    unknown = sorted(sid for sid in _recorded(newest) - listed if sid.startswith(("SM", "MM")))
    if not unknown:
        return Observed(frames.frame(frames.TEXTS, []))
    return twilio.texts_by_sid(unknown, deadline)


def reconciled(reporting: Reporting, readings: Readings, deadline: Deadline) -> Observed[pd.DataFrame | None]:
    """Ask the database for each text that the rows which were read do not show: it may stand in an older row.

    None if there is none to ask for, or nobody to answer.
    """
    if readings["texts"].value is None:
        return Observed(None)
    texts = readings["texts"].value.sort_values("created_at", ascending=False, kind="stable")
    outbound = texts.loc[texts["direction"].str.startswith("outbound"), "sid"]
    recorded = _recorded(readings)
    unknown = [sid for sid in outbound if sid not in recorded]
    return reporting.reconcile(unknown, deadline) if unknown else Observed(None)


def counted_elsewhere(sources: Sources, deadline: Deadline) -> bool:
    """Whether the database counts what is not read row by row; no where that cannot be asked."""
    try:
        return sources.booking_data.can_count(deadline)
    except SourceError:
        return False


def rows_since(readings: Readings) -> datetime | None:
    """Return from when on the rows of bookings and of texts are all there, if some were left out on purpose."""
    cuts = [reading.since for name in _JOINED if (reading := readings[name]).since and not reading.truncated]
    return max(cuts, default=None)


def newest_part(readings: Readings, since: datetime) -> dict[str, Reading[Any]]:
    """Return the readings that are joined with each other, all of them from `since` on.

    The row of a text may be written long after it was sent, when its customer confirms; where its booking is known
    to be older, the text is as well.
    """
    parts: dict[str, Reading[Any]] = {}
    older: pd.Series | None = None
    for name in _JOINED:
        reading = readings.get(name)
        if reading is None or reading.value is None:
            continue
        frame: pd.DataFrame = reading.value
        kept = frame["created_at"] >= since
        if name == "pending_bookings":
            older = frame.loc[~kept, "sms_sid"].dropna()
        elif name == "messages" and older is not None:
            kept &= ~frame["message_sid"].isin(older)
        parts[name] = replace(reading, value=frame[kept].reset_index(drop=True))
    return parts


def _recorded(readings: Readings) -> set[str]:
    """Return the SIDs that the rows of the database hold, as far as they were read."""
    recorded: set[str] = set()
    for name, column in (("messages", "message_sid"), ("pending_bookings", "sms_sid")):
        frame = readings[name].value if name in readings else None
        if frame is not None:
            recorded |= set(frame[column].dropna())
    return recorded


def link_opening(app: BookingApp, readings: Readings, deadline: Deadline) -> Observed[LinkOpening | None]:
    """Open a confirmation link that has not expired; None if there is none.

    The app counts whoever opens the link of a text. So it is the newest of those that somebody opened before: one more
    count changes nothing. Where nobody opened one, it is the page itself that the newest link leads to.
    """
    pending = present(readings["pending_bookings"])
    asked_at = readings["pending_bookings"].observed_at
    open_ones = pending[pending["confirmed_at"].isna() & (pending["expires_at"] > asked_at)].dropna(subset="token")
    if open_ones.empty:
        return Observed(None)
    clicked = open_ones[open_ones["token"].isin(_clicked_tokens(readings))]
    booking = open_ones.iloc[-1] if clicked.empty else clicked.iloc[-1]
    hostnames = tuple(host.name for host in readings["hostnames"].value or ()) if "hostnames" in readings else ()
    url = None if clicked.empty else _link_in_text(booking["token"], readings)
    as_texted = url is not None and app.may_open(url, hostnames)
    if url is None or not as_texted:
        url = app.confirmation_url(booking["token"])
    opened = app.open_link(url, booking["id"], deadline, hostnames)
    return Observed(replace(opened.value, as_texted=as_texted), opened.caveats)


def _clicked_tokens(readings: Readings) -> set[str]:
    """Return the tokens whose link somebody opened, as far as the app counted it."""
    links = readings["short_links"].value
    return set() if links is None else set(links.loc[links["click_count"] > 0, "token"].dropna())


def link_opened(observed: Observed[LinkOpening | None]) -> bool:
    """Whether a link that was known before opened as it should. Anything else may be because it is not the newest."""
    return observed.value is not None and observed.value.landing is Landing.CONFIRMATION


def _link_in_text(token: str, readings: Readings) -> str | None:
    """Return the short link that was texted for `token`, found through its code."""
    links, texts = readings["short_links"].value, readings["texts"].value
    if links is None or texts is None:
        return None
    codes = links.loc[links["token"] == token, "short_code"]
    of_token = texts[texts["link_code"].isin(codes)].sort_values("created_at", kind="stable")
    return None if of_token.empty else str(of_token["link_url"].iloc[-1])
