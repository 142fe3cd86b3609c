"""The commands `incident` and `export`: diagnoses are recorded, documents and the weekly summary are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lib.__main__ import app
from lib.settings import Settings

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A function that runs the command line on a journal of its own, with no source configured."""
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    for module in ("incident_commands", "terminal"):
        monkeypatch.setattr(f"lib.commands.{module}.load", lambda: settings)
    monkeypatch.setenv("SWITCHBOARD_USER", "ana@example.org")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def test_opening_and_closing_an_incident_keep_what_the_diagnosis_says(run: Run) -> None:
    incident = json.loads(run("incident", "open", "No texts", "--json").stdout)["incident_id"]
    assert run("incident", "see", "--incident", incident).exit_code == 0
    assert run("incident", "close", "--incident", incident, "--words", "The column is back.").exit_code == 0
    assert run("incident", "see", "--incident", incident).exit_code == 2  # it is closed
    document = json.loads(run("export", "--incident", incident, "--format", "json").stdout)
    assert document["incident"]["closing_words"] == "The column is back."
    kinds = [entry["kind"] for entry in document["entries"]]
    assert kinds == ["incident_opened", "diagnosis", "diagnosis", "diagnosis", "incident_closed"]
    assert document["report"]["affected"]["people"] is None
    assert "cannot be told" in document["report"]["affected"]["words"]


def test_while_it_is_unknown_who_was_affected_the_command_says_so_and_lists_nothing(run: Run) -> None:
    answer = run("incident", "affected", "--json")
    assert (answer.exit_code, answer.stdout) == (3, "")


def test_a_follow_up_is_of_a_booking_and_by_an_operator(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    booking = "00000000-0000-4000-8000-000000000003"
    assert run("incident", "follow-up", booking, "called").exit_code == 0
    assert run("incident", "follow-up", "+447700900123", "called").exit_code == 2
    settings = Settings.model_validate({"operators": "somebody.else@example.org"})
    for module in ("incident_commands", "terminal"):
        monkeypatch.setattr(f"lib.commands.{module}.load", lambda: settings)
    assert run("incident", "follow-up", booking, "called").exit_code == 2


@pytest.mark.parametrize(("form", "begins"), [("md", "# Week to"), ("html", "<!doctype html>"), ("json", "{")])
def test_the_week_is_written_out_in_each_form(run: Run, tmp_path: Path, form: str, begins: str) -> None:
    file = tmp_path / f"week.{form}"
    assert run("export", "--weekly", "--format", form, "--to", str(file)).exit_code == 0
    assert file.read_text(encoding="utf-8").startswith(begins)
    assert "could not read" in file.read_text(encoding="utf-8")


def test_an_export_is_of_an_incident_or_of_the_week_and_of_nothing_else(run: Run) -> None:
    for wrong in (
        (),
        ("--weekly", "--incident", "00000000-0000-4000-8000-000000000003"),
        ("--weekly", "--format", "csv"),
    ):
        assert run("export", *wrong).exit_code != 0
