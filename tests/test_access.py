"""Whether a login is configured, by Streamlit's own rule, and whether a desk is all sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lib import access
from lib.access import live_systems, login_configured, secrets_files
from lib.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
AUTH = '[auth]\ncookie_secret = "x"\n'
SANDBOX = {
    "sandbox_url": "http://127.0.0.1:9001/sandbox",
    "supabase_url": "http://127.0.0.1:9001/supabase",
    "supabase_secret_key": "sb_secret_x",
    "database_url": "postgresql://postgres:x@127.0.0.1:9002/postgres",
    "supabase_project_ref": "a" * 20,
    "supabase_access_token": "sbp_x",
    "supabase_api_url": "http://127.0.0.1:9001/management",
    "vercel_token": "x",
    "vercel_project_id": "prj_x",
    "vercel_api_url": "http://localhost:9001/vercel",
    "github_token": "x",
    "github_repository": "lantern/booking",
    "github_api_url": "http://127.0.0.1:9001/github",
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "x",
    "twilio_api_url": "http://127.0.0.1:9001/twilio",
    "booking_app_url": "http://[::1]:9001/app",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, in a working directory and a project that are empty as well."""
    for name in ("home", "work", "project"):
        (tmp_path / name / ".streamlit").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STREAMLIT_SECRETS_FILES", raising=False)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(access, "SECRETS_FILE", tmp_path / "project" / ".streamlit" / "secrets.toml")
    return tmp_path / "home"


def streamlit_knows_a_login(home: Path) -> bool:
    """Ask Streamlit itself, in a process of its own, in the same directories."""
    asks = "import streamlit as st; print('auth' in st.secrets if st.secrets.load_if_toml_exists() else False)"
    answer = subprocess.run(
        [sys.executable, "-c", asks],
        cwd=home.parent / "work",
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return answer.stdout.split()[-1] == "True"


@pytest.mark.parametrize("place", ["home", "work", None])
def test_a_login_in_any_file_that_streamlit_reads_is_a_login(home: Path, place: str | None) -> None:
    (home / ".streamlit" / "secrets.toml").write_text('VERCEL_TOKEN = "x"\n')
    if place:
        with (home.parent / place / ".streamlit" / "secrets.toml").open("a") as file:
            file.write(AUTH)
    assert login_configured() is streamlit_knows_a_login(home) is bool(place)


def test_where_streamlit_is_configured_to_read_other_files_these_decide(home: Path) -> None:
    other = home.parent / "other.toml"
    other.write_text(AUTH)
    (home / ".streamlit" / "secrets.toml").write_text('VERCEL_TOKEN = "x"\n')
    assert not login_configured()
    (home.parent / "work" / ".streamlit" / "config.toml").write_text(f'[secrets]\nfiles = ["{other}"]\n')
    assert login_configured() is streamlit_knows_a_login(home) is True


def test_a_folder_of_mounted_secrets_counts(home: Path) -> None:
    mounted = home.parent / "mounted"
    (mounted / "vercel").mkdir(parents=True)
    assert not login_configured([mounted])
    (mounted / "auth").mkdir()
    assert login_configured([mounted])


def test_the_projects_own_file_counts_wherever_the_process_runs(home: Path) -> None:
    (home.parent / "project" / ".streamlit" / "secrets.toml").write_text(AUTH)
    assert login_configured([]) and login_configured()


def test_the_environment_names_the_files_as_for_streamlit(home: Path) -> None:
    assert secrets_files({"STREAMLIT_SECRETS_FILES": "/run/a.toml /run/b"}) == (Path("/run/a.toml"), Path("/run/b"))


@pytest.mark.parametrize("text", ["[auth\n", "\ufeff[auth]\n", b"\xff", "x = " + "[" * 5000])
def test_a_file_that_cannot_be_read_is_no_answer(home: Path, text: str | bytes) -> None:
    file = home / ".streamlit" / "secrets.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (home.parent / "project" / ".streamlit" / "secrets.toml").write_text(AUTH)
    with pytest.raises(ValueError):
        login_configured()


def test_a_folder_called_secrets_toml_is_no_answer(home: Path) -> None:
    (home / ".streamlit" / "secrets.toml").mkdir()
    with pytest.raises(OSError):
        login_configured()


def test_a_desk_whose_systems_are_all_on_the_sandboxs_host_is_a_sandbox() -> None:
    assert live_systems(Settings.model_validate(SANDBOX)) == ()
    sqlite = SANDBOX | {"journal_url": "sqlite:////tmp/journal.sqlite3"}
    assert live_systems(Settings.model_validate(sqlite)) == ()
    assert live_systems(Settings.model_validate({"sandbox_url": SANDBOX["sandbox_url"]})) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("supabase_url", "https://abcdefghijklmnopqrst.supabase.co"),
        ("database_url", "postgresql://u:p@db.example.com:5432/postgres"),
        ("database_url", "postgresql://u:p@127.0.0.1,db.example.com/postgres"),
        ("database_url", "postgresql://u:p@127.0.0.1/postgres?host=db.example.com"),
        ("database_url", "postgresql://u:p@127.0.0.1/postgres?hostaddr=203.0.113.7"),
        ("supabase_api_url", "https://api.supabase.com"),
        ("vercel_api_url", "https://api.vercel.com"),
        ("github_api_url", "https://api.github.com"),
        ("twilio_api_url", "https://api.twilio.com"),
        ("booking_app_url", "https://127.0.0.1.example.com"),
        ("journal_url", "postgresql+psycopg://u:p@db.example.com/journal"),
    ],
)
def test_one_system_elsewhere_is_live_and_named(name: str, value: str) -> None:
    assert live_systems(Settings.model_validate(SANDBOX | {name: value})) == (name.upper(),)


def test_without_a_sandbox_every_configured_system_is_live_also_on_this_machine() -> None:
    """An emulator, a tunnel and a self-hosted system look the same."""
    live = {name: value for name, value in SANDBOX.items() if name != "sandbox_url"}
    assert len(live_systems(Settings.model_validate(live))) == 7
