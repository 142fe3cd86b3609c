"""The doctor: per source, what is connected and allowed, and for everything else the fix."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lib.doctor import SourceReport, SourceState, examine, unreachable
from lib.model.reading import SourceName
from lib.model.window import WindowSize
from lib.settings import Settings, load
from lib.snapshot import READING_SPECS, Snapshot, take
from lib.sources.source_registry import connect
from tests.model.test_keys import jwt

Play = Callable[[str], dict[str, str]]
NOWHERE = Path("/nonexistent/secrets.toml")
REF, OTHER = "abcdefghijklmnopqrst", "tsrqponmlkjihgfedcba"


def snapshot_of(settings: Settings) -> Snapshot:
    return take(connect(settings, lambda: datetime.now(UTC)), WindowSize.DAY)


def reports(environ: dict[str, str], file: Path = NOWHERE) -> dict[SourceName, SourceReport]:
    settings = load(environ, file)
    return {report.name: report for report in examine(snapshot_of(settings), settings)}


def test_on_the_sandbox_every_source_is_reachable_and_nothing_is_missing(play: Play):
    found = reports(play("healthy"))
    assert [*found] == [*SourceName]
    for report in found.values():
        assert (report.state, report.missing, report.fix) == (SourceState.REACHABLE, (), "")
    assert sum(len(report.can) for report in found.values()) == len(READING_SPECS)
    assert not unreachable(tuple(found.values()))


def test_with_nothing_set_every_source_says_what_to_set_and_where_to_get_it():
    found = reports({})
    assert {report.state for report in found.values()} == {SourceState.NOT_CONFIGURED}
    for report in found.values():
        assert report.can == () and report.missing
        assert all(name in report.fix for name in report.missing)
    assert "Session pooler" in found[SourceName.CATALOG].fix
    assert not unreachable(tuple(found.values())), "what is not configured is not unreachable"


def test_a_publishable_key_is_named_and_does_not_see_past_row_security(play: Play):
    report = reports(play("rls-blind"))[SourceName.BOOKING_DATA]
    assert report.state is SourceState.REACHABLE
    assert "publishable key" in report.fix and "sb_secret_" in report.fix
    assert "see all rows (row level security)" in report.missing
    assert "read messages" in report.can


def test_without_the_better_clients_the_catalog_says_what_it_cannot_read(play: Play):
    environ = play("healthy") | {"DATABASE_URL": "", "SUPABASE_ACCESS_TOKEN": ""}
    report = reports(environ)[SourceName.CATALOG]
    assert report.state is SourceState.REACHABLE
    assert report.can == ("read columns, checks and policies", "read the schema that the code is compared with")
    assert len(report.missing) == 3 and "DATABASE_URL" in report.fix and "SUPABASE_ACCESS_TOKEN" in report.fix


@pytest.mark.parametrize(
    ("system", "source"),
    [("supabase", SourceName.BOOKING_DATA), ("twilio", SourceName.TWILIO), ("app", SourceName.BOOKING_APP)],
)
def test_a_system_that_refuses_everything_has_failed_and_says_why(
    play: Play, fault: Callable[..., None], system: str, source: SourceName
):
    environ = play("quiet-day")
    fault(system, refuse=True) if system == "app" else fault(system, status=401)
    found = reports(environ)
    assert found[source].state is SourceState.FAILED
    assert found[source].fix
    assert unreachable(tuple(found.values()))


UNREACHABLE = {"SUPABASE_URL": f"https://{REF}.supabase.co", "SUPABASE_API_URL": "http://127.0.0.1:9"}


@pytest.fixture(scope="module")
def nothing() -> Snapshot:
    """A snapshot that no source answered: what the form of the settings alone says."""
    return snapshot_of(load({}, NOWHERE))


@pytest.mark.parametrize(
    ("environ", "source", "message"),
    [
        ({"SUPABASE_SECRET_KEY": "sb_publishable_x"}, SourceName.BOOKING_DATA, "a publishable key"),
        ({"SUPABASE_SECRET_KEY": jwt(role="anon", ref=REF)}, SourceName.BOOKING_DATA, "a legacy anon key"),
        ({"SUPABASE_SECRET_KEY": jwt(role="authenticated")}, SourceName.BOOKING_DATA, "a signed-in user's token"),
        ({"SUPABASE_SECRET_KEY": jwt(role="service_role", ref=OTHER)}, SourceName.BOOKING_DATA, "different projects"),
        ({"SUPABASE_SECRET_KEY": "sbp_x"}, SourceName.BOOKING_DATA, "move it to SUPABASE_ACCESS_TOKEN"),
        ({"SUPABASE_SECRET_KEY": "postgresql://u:p@h/d"}, SourceName.BOOKING_DATA, "move it to DATABASE_URL"),
        (
            {"DATABASE_URL": f"postgresql://postgres:p@db.{OTHER}.supabase.co/x"},
            SourceName.CATALOG,
            "different projects",
        ),
        ({"DATABASE_URL": f"postgresql://postgres.{OTHER}:p@h/x"}, SourceName.CATALOG, "different projects"),
        ({"SUPABASE_ACCESS_TOKEN": "sbp_x", "SUPABASE_PROJECT_REF": OTHER}, SourceName.CATALOG, "different projects"),
        ({"SUPABASE_ACCESS_TOKEN": "sb_secret_x"}, SourceName.CATALOG, "must be a management token"),
        ({"TWILIO_ACCOUNT_SID": "SK1"}, SourceName.TWILIO, "TWILIO_ACCOUNT_SID must be AC"),
        (
            {"REQUIRED_COMMIT": "x", "GITHUB_TOKEN": "x", "GITHUB_REPOSITORY": "a/b"},
            SourceName.GITHUB,
            "REQUIRED_COMMIT",
        ),
    ],
)
def test_a_wrong_box_is_recognized_by_its_form_also_when_no_system_answers(
    environ: dict[str, str], source: SourceName, message: str, nothing: Snapshot
):
    settings = load(UNREACHABLE | environ, NOWHERE)
    (report,) = (report for report in examine(nothing, settings) if report.name is source)
    assert message in report.fix
    assert not [value for value in environ.values() if len(value) > 3 and value in report.fix]


@pytest.mark.parametrize("key", ["sb_secret_x", jwt(role="service_role", ref=REF)])
def test_the_right_key_of_the_right_project_is_not_complained_about(key: str, nothing: Snapshot):
    settings = load(UNREACHABLE | {"SUPABASE_SECRET_KEY": key}, NOWHERE)
    (report,) = (report for report in examine(nothing, settings) if report.name is SourceName.BOOKING_DATA)
    assert "different projects" not in report.fix and "holds" not in report.fix


def test_a_secrets_file_that_cannot_be_read_explains_what_is_missing(tmp_path: Path):
    file = tmp_path / "secrets.toml"
    file.write_text("SUPABASE_URL = https://planted")
    for report in reports({}, file).values():
        assert report.fix.startswith("secrets.toml cannot be read")
