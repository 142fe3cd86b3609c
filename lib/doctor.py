"""The doctor: for each source, whether it is connected and reachable, what our credentials may do, and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lib.model.database import KeyKind, Visibility
from lib.model.keys import classify, dsn_project_ref, key_project_ref, url_project_ref
from lib.model.reading import Reading, SourceName
from lib.settings import SECRETS_FILE, Settings
from lib.snapshot import Snapshot, label
from lib.sources.source_registry import WHERE_TO_GET


class SourceState(StrEnum):
    """What the doctor says of a source as a whole."""

    REACHABLE = "reachable"
    FAILED = "failed"
    NOT_CONFIGURED = "not_configured"


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source allows us. `can` and `missing` complete "we can …"; `fix` is a sentence, or empty."""

    name: SourceName
    state: SourceState
    can: tuple[str, ...]
    missing: tuple[str, ...]
    fix: str


# The settings that each source takes; a problem with one of them is that source's.
_SETTINGS_OF = {
    SourceName.BOOKING_DATA: ("SUPABASE_URL", "SUPABASE_SECRET_KEY"),
    SourceName.CATALOG: ("DATABASE_URL", "SUPABASE_ACCESS_TOKEN", "SUPABASE_PROJECT_REF", "SUPABASE_API_URL"),
    SourceName.VERCEL: ("VERCEL_TOKEN", "VERCEL_PROJECT_ID", "VERCEL_TEAM_ID", "VERCEL_API_URL"),
    SourceName.GITHUB: ("GITHUB_TOKEN", "GITHUB_REPOSITORY", "GITHUB_API_URL", "REQUIRED_COMMIT"),
    SourceName.TWILIO: (
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_API_KEY",
        "TWILIO_API_SECRET",
        "TWILIO_API_URL",
    ),
    SourceName.BOOKING_APP: ("BOOKING_APP_URL", "BOOKING_API_KEY", "TEST_EVENT_ID", "TEST_MOBILE_NUMBER"),
}

_KEY_FIXES = {
    KeyKind.PUBLISHABLE: "SUPABASE_SECRET_KEY holds a publishable key, which row level security hides rows from",
    KeyKind.ANON_JWT: "SUPABASE_SECRET_KEY holds a legacy anon key, which row level security hides rows from",
    KeyKind.AUTHENTICATED_JWT: "SUPABASE_SECRET_KEY holds a signed-in user's token",
}


def examine(snapshot: Snapshot, settings: Settings) -> tuple[SourceReport, ...]:
    """Return a report per source, from the readings of `snapshot` and the settings that led to them."""
    return tuple(_report(source, snapshot, settings) for source in SourceName)


def _report(source: SourceName, snapshot: Snapshot, settings: Settings) -> SourceReport:
    # A secrets file that cannot be read may be why anything is missing.
    names = (*_SETTINGS_OF[source], SECRETS_FILE.name)
    problems = [problem.sentence for problem in settings.problems if problem.name in names]
    unset = settings.missing(source)
    if unset:
        fix = " ".join([*problems, f"Set {' and '.join(unset)}.", WHERE_TO_GET[source]])
        return SourceReport(source, SourceState.NOT_CONFIGURED, (), unset, fix)
    readings = snapshot.of(source)
    can = tuple(label(reading.name) for reading in readings if _works(reading))
    missing = tuple(label(reading.name) for reading in readings if not _works(reading))
    fixes = [*problems, *_wrong_boxes(source, settings), *_key_unproved(source, snapshot), *_fixes(readings)]
    # A follow-up that found nothing to ask about is no sign of life.
    alive = any(reading.value is not None for reading in readings)
    state = SourceState.REACHABLE if alive else SourceState.FAILED
    return SourceReport(source, state, can, missing, " ".join(dict.fromkeys(fixes)))


def _works(reading: Reading[Any]) -> bool:
    """Whether we can do what the reading is labelled with: a blind key answers, and sees nothing."""
    blind = isinstance(reading.value, Visibility) and not reading.value.sees_everything
    return reading.failure is None and not blind


def _fixes(readings: tuple[Reading[Any], ...]) -> list[str]:
    return [
        f"{reading.failure.sentence} {reading.failure.hint}".strip()
        for reading in readings
        if reading.failure is not None
    ]


def _wrong_boxes(source: SourceName, settings: Settings) -> list[str]:
    """Say which credential was pasted where another belongs, or is of another project, by its form alone."""
    project = url_project_ref(settings.supabase_url or "")
    problems = []
    if source is SourceName.BOOKING_DATA and settings.supabase_secret_key:
        key = settings.supabase_secret_key.get_secret_value()
        if message := _KEY_FIXES.get(classify(key)):
            problems.append(f"{message}: put the secret key (sb_secret_…) there.")
        if _differ(project, key_project_ref(key)):
            problems.append(
                "SUPABASE_SECRET_KEY and SUPABASE_URL belong to different projects: copy both from the same project."
            )
    if source is SourceName.CATALOG:
        dsn = settings.database_url.get_secret_value() if settings.database_url else ""
        others = {"DATABASE_URL": dsn_project_ref(dsn), "SUPABASE_PROJECT_REF": settings.supabase_project_ref}
        problems += [
            f"{name} and SUPABASE_URL belong to different projects: copy both from the same project."
            for name, ref in others.items()
            if _differ(project, ref)
        ]
    return problems


def _differ(project: str | None, other: str | None) -> bool:
    return project is not None and other is not None and project != other


def _key_unproved(source: SourceName, snapshot: Snapshot) -> list[str]:
    visibility = snapshot.visibility.value
    if source is not SourceName.BOOKING_DATA or visibility is None or visibility.sees_everything:
        return []
    if visibility.key_kind in _KEY_FIXES:
        return []  # its form has said so
    return ["The server does not treat our key as a service key: copy the secret key (sb_secret_…) again."]


def unreachable(reports: tuple[SourceReport, ...]) -> bool:
    """Whether a source that is configured gives nothing at all."""
    return any(report.state is SourceState.FAILED for report in reports)
