"""The doctor: for each source, whether it is connected and reachable, what our credentials may do, and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lib.model.database import KeyKind, Visibility
from lib.model.reading import Reading, SourceName
from lib.settings import Settings
from lib.snapshot import Snapshot, label
from lib.sources.connected import WHERE_TO_GET


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
        "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_API_KEY", "TWILIO_API_SECRET", "TWILIO_API_URL",
    ),
    SourceName.BOOKING_APP: ("BOOKING_APP_URL", "BOOKING_API_KEY", "TEST_EVENT_ID", "TEST_MOBILE_NUMBER"),
}  # fmt: skip

_KEY_FIXES = {
    KeyKind.PUBLISHABLE: "SUPABASE_SECRET_KEY holds a publishable key, which row level security blinds",
    KeyKind.ANON_JWT: "SUPABASE_SECRET_KEY holds a legacy anon key, which row level security blinds",
    KeyKind.AUTHENTICATED_JWT: "SUPABASE_SECRET_KEY holds a signed-in user's token",
}


def examine(snapshot: Snapshot, settings: Settings) -> tuple[SourceReport, ...]:
    """Return a report per source, from the readings of `snapshot` and the settings that led to them."""
    return tuple(_report(source, snapshot, settings) for source in SourceName)


def _report(source: SourceName, snapshot: Snapshot, settings: Settings) -> SourceReport:
    problems = [problem.sentence for problem in settings.problems if problem.name in _SETTINGS_OF[source]]
    unset = settings.missing(source)
    if unset:
        fix = " ".join([*problems, f"Set {' and '.join(unset)}.", WHERE_TO_GET[source]])
        return SourceReport(source, SourceState.NOT_CONFIGURED, (), unset, fix)
    readings = snapshot.of(source)
    can = tuple(label(reading.name) for reading in readings if reading.failure is None)
    missing = tuple(label(reading.name) for reading in readings if reading.failure is not None)
    fixes = [*problems, *_key_problem(source, snapshot), *_fixes(readings)]
    state = SourceState.REACHABLE if can else SourceState.FAILED
    return SourceReport(source, state, can, missing, " ".join(dict.fromkeys(fixes)))


def _fixes(readings: tuple[Reading[Any], ...]) -> list[str]:
    return [
        f"{reading.failure.sentence} {reading.failure.hint}".strip()
        for reading in readings
        if reading.failure is not None
    ]


def _key_problem(source: SourceName, snapshot: Snapshot) -> list[str]:
    """Say which key was pasted where a secret key belongs, or that it is of another project."""
    visibility = snapshot.visibility.value
    if source is not SourceName.BOOKING_DATA or visibility is None:
        return []
    problems = []
    if visibility.key_kind in _KEY_FIXES:
        problems.append(f"{_KEY_FIXES[visibility.key_kind]}: put the secret key (sb_secret_…) there.")
    elif not visibility.sees_everything:
        problems.append("The server does not treat our key as a service key: copy the secret key (sb_secret_…) again.")
    if _other_project(visibility):
        problems.append("The key belongs to another project than SUPABASE_URL: copy both from the same project.")
    return problems


def _other_project(visibility: Visibility) -> bool:
    return bool(
        visibility.project_ref and visibility.key_project_ref and visibility.project_ref != visibility.key_project_ref
    )


def unreachable(reports: tuple[SourceReport, ...]) -> bool:
    """Whether a source that is configured gives nothing at all."""
    return any(report.state is SourceState.FAILED for report in reports)
