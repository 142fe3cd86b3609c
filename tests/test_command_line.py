"""The command line as people and programs call it: a process with arguments, an environment and an exit code."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import typer.main

from lib.__main__ import app
from lib.journal.entry import Kind, Note, Outcome, Receipt
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.model.reading import Freshness, SourceName
from lib.model.served_code import ErrorHandling, MigrationState, Problem
from lib.model.verdict import CheckStatus, HeadlineState, Hop, Verdict
from lib.sandbox.scenarios import SCENARIOS
from lib.settings import Settings
from lib.snapshot import utc_now
from tests.command_line import Answer, environment, run, run_cold

ROOT = Path(__file__).resolve().parent.parent
Play = Callable[[str], dict[str, str]]


def as_json(answer: Answer) -> Any:
    """Return stdout, all of which must be one JSON document."""
    return json.loads(answer.stdout)


# The options of each command: scripts name them, so none changes with the name of a variable.
OPTIONS = {
    "diagnose": "--compare --json --window",
    "doctor": "--json",
    "sandbox": "--json --pace --port --scenario",
    "plan": "--json --window",
    "code": "--commit --folder --json",
    "act": "--arg --confirm --digest --incident --json --preview --reason",
    "requests": "--did-not-happen --happened --json --limit --look",
    "export": "--format --incident --to --weekly",
    "incident open": "--json",
    "incident see": "--incident --json",
    "incident note": "--at --corrects --incident --json",
    "incident step": "--incident --json --reason",
    "incident close": "--incident --json --words",
    "incident affected": "--incident --json --window",
    "incident follow-up": "--incident --json",
    "incident verify": "--json --noted",
    "incident list": "--json",
    "monitor status": "--json",
    "monitor mute": "--for --reason",
    "monitor unmute": "--reason",
    "monitor acknowledge": "--reason",
    "monitor maintenance": "--for --from --reason",
    "monitor": "--every --json --once",
}


def options_of(command: Any, path: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the options of a command and of all below it, by the names of the commands."""
    own = " ".join(sorted(option for one in command.params for option in one.opts if option.startswith("-")))
    found = {" ".join(path): own} if own else {}
    for name, below in getattr(command, "commands", {}).items():
        found |= options_of(below, (*path, name))
    return found


def test_the_options_of_every_command_do_not_change() -> None:
    assert options_of(typer.main.get_command(app)) == OPTIONS


# diagnose ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def diagnosed(play: Play) -> Callable[[str], Answer]:
    """A function that diagnoses a scenario by the command line, each only once."""
    answers: dict[str, Answer] = {}

    def diagnose(name: str) -> Answer:
        if name not in answers:
            answers[name] = run("diagnose", "--json", settings=play(name))
        return answers[name]

    return diagnose


@pytest.mark.parametrize(
    ("scenario", "code", "state", "first"),
    [
        ("healthy", 0, HeadlineState.FLOWING, None),
        ("missing-column", 1, HeadlineState.DEGRADED, "missing_column"),
        ("provider-rejecting", 2, HeadlineState.BROKEN, "provider_failing"),
        ("rls-blind", 3, HeadlineState.CANNOT_TELL, "reads_blocked"),
    ],
)
def test_the_exit_code_and_the_first_cause_are_those_of_the_scenario(
    diagnosed: Callable[[str], Answer], scenario: str, code: int, state: HeadlineState, first: str | None
):
    answer = diagnosed(scenario)
    document = as_json(answer)
    assert (answer.returncode, document["headline"]["state"]) == (code, state)
    if first:
        assert (document["hypotheses"][0]["id"], document["hypotheses"][0]["verdict"]) == (first, Verdict.CONFIRMED)


def test_the_json_has_exactly_the_promised_keys_and_words(diagnosed: Callable[[str], Answer]):
    document = as_json(diagnosed("missing-column"))
    assert [*document] == ["headline", "measured_at", "window_hours", "checks", "hypotheses", "sources", "code"]
    assert [*document["headline"]] == ["state", "sentence", "since", "since_at_least"]
    assert document["headline"]["state"] in [*HeadlineState] and document["headline"]["sentence"]
    for instant in (document["measured_at"], document["headline"]["since"]):
        assert datetime.fromisoformat(instant).utcoffset() is not None
    assert document["window_hours"] == 24
    ids = {check["id"] for check in document["checks"]}
    assert len(ids) == len(document["checks"])
    for check in document["checks"]:
        assert [*check] == ["id", "hop", "status", "summary", "evidence", "source", "observed_at"]
        assert check["hop"] in [*Hop] and check["status"] in [*CheckStatus] and check["summary"]
        assert check["source"] in [None, *SourceName] and all(isinstance(line, str) for line in check["evidence"])
    for hypothesis in document["hypotheses"]:
        assert [*hypothesis] == ["id", "verdict", "summary", "supports", "refutes", "remedy"]
        assert hypothesis["verdict"] in [*Verdict] and hypothesis["summary"]
        assert {*hypothesis["supports"], *hypothesis["refutes"]} <= ids
        assert [*hypothesis["remedy"]] == ["action", "words"] and hypothesis["remedy"]["words"]
    assert [source["name"] for source in document["sources"]] == [*SourceName]
    for source in document["sources"]:
        assert [*source] == ["name", "state", "latency_ms", "error"]
        assert source["state"] in [*Freshness] and (source["error"] is None) is (source["state"] == "fresh")


def the_code(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of the code, after a look at its keys and words."""
    assert [*document] == ["commits", "misfits", "migrations"]
    for commit in document["commits"]:
        assert [*commit] == ["sha", "files", "uses", "unread"]
    for misfit in document["misfits"]:
        assert " ".join(misfit) == ("commit file line table column operation problem error on_flow migration")
        assert misfit["problem"] in [*Problem] and misfit["error"] in [*ErrorHandling]
    for migration in document["migrations"]:
        assert [*migration] == ["version", "name", "state"] and migration["state"] in [*MigrationState]
    return document


RECORD = "src/lib/sms/record.ts"


def test_the_diagnosis_names_the_line_that_does_not_fit_and_the_migration_that_is_not_in_effect(
    diagnosed: Callable[[str], Answer],
):
    found = the_code(as_json(diagnosed("missing-column"))["code"])
    (written,) = [one for one in found["misfits"] if one["operation"] == "update"]
    assert (written["file"], written["table"], written["column"]) == (RECORD, "pending_bookings", "metadata")
    assert (written["problem"], written["error"], written["on_flow"]) == ("missing_column", "ignored", True)
    assert written["migration"] == "20251103101500"
    states = {migration["name"]: migration["state"] for migration in found["migrations"]}
    assert states["pending_bookings_metadata"] == "recorded_without_effect"
    assert states["drop_unused_columns"] == "applied_not_in_repository"


def test_code_is_held_against_the_database_without_a_diagnosis_too(play: Play, tmp_path: Path):
    settings = play("missing-column")
    served = run("code", "--json", settings=settings)
    assert served.returncode == 1
    sha = the_code(as_json(served))["commits"][0]["sha"]
    for asked in (sha, sha[:8]):
        assert as_json(run("code", "--commit", asked, "--json", settings=settings))["misfits"]
    route = tmp_path / "app" / "api" / "bookings" / "initiate" / "route.ts"
    route.parent.mkdir(parents=True)
    route.write_text("export async function POST() {\n  await supabase.from('events').insert({ colour: 'red' })\n}\n")
    of_folder = run("code", "--folder", str(tmp_path), "--json", settings=settings)
    assert of_folder.returncode == 1
    problems = {one["problem"]: one for one in the_code(as_json(of_folder))["misfits"]}
    assert (problems["missing_column"]["line"], problems["missing_column"]["commit"]) == (2, None)
    assert "left_out" in problems
    elsewhere = run("code", settings=settings | {"SERVED_CODE_ADDRESSES": "/api/book"})
    assert elsewhere.returncode == 3 and "answers /api/book" in elsewhere.stderr
    people = run("code", settings=settings).stdout
    assert RECORD in people and "its error is ignored" in people


@pytest.mark.parametrize("arguments", [("--commit", "x; rm"), ("--commit", "abcdef1", "--folder", ".")])
def test_code_that_cannot_be_meant_is_wrong_usage(arguments: tuple[str, ...]):
    assert run("code", *arguments).returncode == 64


def test_code_without_a_database_to_hold_it_against_cannot_be_told(tmp_path: Path):
    answer = run("code", "--folder", str(tmp_path))
    assert (answer.returncode, answer.stdout) == (3, "")
    assert "DATABASE_URL" in answer.stderr


def test_a_healthy_diagnosis_says_nothing_on_stderr_and_no_secret_anywhere(
    diagnosed: Callable[[str], Answer], sandbox: Any
):
    answer = diagnosed("healthy")
    assert answer.stderr == ""
    keys = sandbox.world.credentials
    for secret in (keys.supabase_secret_key, keys.vercel_token, keys.github_token, keys.twilio_auth_token, "+4477"):
        assert secret not in answer.stdout


def test_comparing_shows_what_changed_since(diagnosed: Callable[[str], Answer], tmp_path: Path, play: Play):
    before = tmp_path / "before.json"
    before.write_text(diagnosed("missing-column").stdout)
    answer = run("diagnose", "--json", "--compare", str(before), settings=play("healthy"))
    changes = {
        (change["kind"], change["id"]): (change["before"], change["after"]) for change in as_json(answer)["changes"]
    }
    assert changes["headline", "state"] == ("degraded", "flowing")
    assert changes["hypotheses", "missing_column"] == ("confirmed", "ruled_out")
    assert all(before != after for before, after in changes.values())


def test_people_read_the_headline_the_causes_and_the_checks(play: Play):
    answer = run("diagnose", "--window", "7d", settings=play("provider-rejecting"))
    assert answer.returncode == 2
    assert answer.stdout.startswith("BROKEN since ") and "Texts are not sent." in answer.stdout
    assert "ruled out: " in answer.stdout and "confirmed" in answer.stdout


def test_with_nothing_configured_the_headline_cannot_tell():
    answer = run("diagnose", "--json")
    assert (answer.returncode, as_json(answer)["headline"]["state"]) == (3, "cannot_tell")


def test_a_wrong_setting_is_named_on_stderr_and_its_value_is_not():
    answer = run("diagnose", "--json", settings={"SUPABASE_SECRET_KEY": "sbp_planted", "TIME_ZONE": "[planted]"})
    assert as_json(answer)
    lines = " ".join(answer.stderr.split())
    assert "TIME_ZONE must be" in lines and "move it to SUPABASE_ACCESS_TOKEN" in lines
    assert "planted" not in answer.stdout + answer.stderr


def test_a_shell_gets_the_exit_code_and_the_words() -> None:
    answer = run_cold("diagnose", "--nonsense")
    assert (answer.returncode, answer.stdout) == (64, "") and answer.stderr.startswith("Wrong usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("diagnose", "--nonsense"),
        ("diagnose", "--window", "9d"),
        ("diagnose", "--compare", "no-such-file"),
        ("diagnose", "--compare", "pyproject.toml"),
        ("sandbox", "--scenario", "nonsense"),
        ("sandbox", "--pace", "fast"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_64_with_a_sentence_on_stderr(arguments: tuple[str, ...]):
    answer = run(*arguments)
    assert answer.returncode == 64
    assert answer.stderr.startswith("Wrong usage: ") and "Traceback" not in answer.stderr
    assert not arguments or answer.stdout == ""


def test_comparing_with_another_version_s_file_is_no_crash(tmp_path: Path):
    odd = tmp_path / "odd.json"
    odd.write_text('{"headline": 7, "checks": {"a": 1}, "hypotheses": [3, {"id": "gone", "verdict": "likely"}]}')
    answer = run("diagnose", "--json", "--compare", str(odd))
    assert {"kind": "hypotheses", "id": "gone", "before": "likely", "after": None} in as_json(answer)["changes"]


# plan ----------------------------------------------------------------------------------------------------


def test_the_plan_says_what_to_do_now_and_gives_the_command_that_shows_it(play: Play, tmp_path: Path) -> None:
    settings = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    answer = run("plan", "--json", settings=settings)
    document = as_json(answer)
    assert (answer.returncode, document["headline"]["state"]) == (1, "degraded")
    assert [*document] == ["headline", "incident_id", "fix", "tasks", "why_nothing", "steps"]
    (task,) = document["tasks"]
    assert (task["cause"], task["step"], task["who"]) == ("missing_column", "migration", None)
    assert {step["id"]: step["evidence"] for step in document["steps"] if step["id"] in ("redeploy", "migration")} == {
        "redeploy": "nothing_to_do",
        "migration": "advised",
    }
    previewed = run(*shlex.split(task["preview"])[3:], "--json", settings=settings)
    assert previewed.returncode == 0 and "metadata" in json.dumps(as_json(previewed))


def test_what_waits_for_a_second_person_is_not_called_refused(play: Play, tmp_path: Path) -> None:
    settings = play("missing-column") | {
        "JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}",
        "REQUIRE_SECOND_PERSON": "true",
        "OPERATORS": "ann@lantern.example, bob@lantern.example",
        "SWITCHBOARD_USER": "ann@lantern.example",
    }
    ask = ("act", "run_migration", "--arg", "name=pending_bookings_metadata")
    seen = as_json(run(*ask, "--preview", "--json", settings=settings))
    confirmed = ("--digest", seen["digest"], "--confirm", seen["phrase"], "--reason", "The column is gone.")
    answer = run(*ask, *confirmed, "--json", settings=settings)
    assert (answer.returncode, as_json(answer)["outcome"]) == (4, "waiting")


def test_the_plan_says_who_fixes_what_where_when_the_desk_has_no_button(play: Play) -> None:
    answer = run("plan", settings=play("provider-rejecting"))
    assert answer.returncode == 2
    for message in ("do this now: ", "who: whoever administers the Twilio account", "exactly: error 21606", "BROKEN"):
        assert message in answer.stdout


def test_the_plan_knows_what_people_said_of_its_steps(tmp_path: Path) -> None:
    settings = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    incident = as_json(run("incident", "open", "No texts", "--json", settings=settings))["incident_id"]
    run("incident", "step", "migration", "doing", "--incident", incident, settings=settings)
    document = as_json(run("plan", "--json", settings=settings))
    assert document["incident_id"] == incident
    assert {step["id"]: step["said"] for step in document["steps"] if step["said"]} == {"migration": "doing"}
    assert document["tasks"] == [] and document["why_nothing"].startswith("Switchboard has no fix for this")


def test_without_a_journal_the_plan_rests_on_the_evidence_and_says_so(play: Play) -> None:
    answer = run(
        "plan", "--json", settings=play("healthy") | {"JOURNAL_URL": "postgresql://nobody@127.0.0.1:9/nowhere"}
    )
    document = as_json(answer)
    assert (answer.returncode, document["tasks"], document["incident_id"]) == (0, [], None)
    assert document["why_nothing"].startswith("Nothing needs to be fixed.")
    assert answer.stderr.startswith("What was done before is not known: ")


# incident ------------------------------------------------------------------------------------------------


def test_a_note_says_when_it_was_and_what_it_corrects(tmp_path: Path) -> None:
    settings = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}", "TIME_ZONE": "Europe/London"}
    incident = as_json(run("incident", "open", "No texts", "--json", settings=settings))["incident_id"]
    note = ("incident", "note", "--incident", incident, "--json")
    wrong = as_json(run(*note, "A customer called.", settings=settings))["entry_id"]
    right = ("She called at one.", "--at", "2026-07-01 13:00", "--corrects", wrong)
    assert run(*note, *right, settings=settings).returncode == 0
    journal = Journal.open(Settings.model_validate({"journal_url": settings["JOURNAL_URL"]}), utc_now)
    last = journal.entries(kinds=[Kind.NOTE])[-1].payload
    journal.close()
    assert isinstance(last, Note)
    assert (last.happened_at, str(last.corrects)) == (datetime(2026, 7, 1, 12, 0, tzinfo=UTC), wrong)


# requests ------------------------------------------------------------------------------------------------


@pytest.fixture
def lost(tmp_path: Path) -> tuple[dict[str, str], str]:
    """Settings with a journal in which the outcome of one request is unknown, and its id."""
    url = f"sqlite:///{tmp_path / 'journal.sqlite3'}"
    journal = Journal.open(Settings.model_validate({"journal_url": url}), utc_now)
    ana = Actor("ana", Role.OPERATOR, Via.COMMAND_LINE)
    request = journal.submit_request(NewRequest("redeploy", 2, "lantern", "0" * 64), ana)
    journal.lock(request.id, "vercel", ana)
    journal.start(request.id, ana, timedelta(minutes=1))
    journal.finish(request.id, Receipt(Outcome.UNKNOWN, "Vercel did not answer."), ana)
    journal.close()
    return {"JOURNAL_URL": url, "SWITCHBOARD_USER": "ben"}, str(request.id)


@pytest.mark.parametrize(("option", "state"), [("--happened", "succeeded"), ("--did-not-happen", "failed")])
def test_a_person_who_looked_outside_records_what_became_of_a_request(
    lost: tuple[dict[str, str], str], option: str, state: str
) -> None:
    settings, request_id = lost
    answer = run("requests", request_id, option, "I looked at Vercel.", "--json", settings=settings)
    (request,) = as_json(answer)
    assert (answer.returncode, request["state"], request["words"]) == (0, state, "I looked at Vercel.")
    again = run("requests", request_id, option, "I looked at Vercel.", settings=settings)
    assert again.returncode == 2
    assert f"this request is {state}" in " ".join(again.stderr.split())


def test_one_request_can_be_shown_alone(lost: tuple[dict[str, str], str]) -> None:
    settings, request_id = lost
    assert request_id in run("requests", request_id, settings=settings).stdout
    assert run("requests", "00000000-0000-0000-0000-000000000001", settings=settings).returncode == 2


def test_what_happened_is_not_said_without_words(lost: tuple[dict[str, str], str]) -> None:
    settings, request_id = lost
    answer = run("requests", request_id, "--happened", " ", settings=settings)
    assert answer.returncode == 2 and "what was found" in answer.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("--happened", "It is there."),
        ("00000000-0000-0000-0000-000000000001", "--happened", "yes", "--did-not-happen", "no"),
    ],
)
def test_what_happened_is_said_of_one_request_and_one_way(
    lost: tuple[dict[str, str], str], arguments: tuple[str, ...]
) -> None:
    assert run("requests", *arguments, settings=lost[0]).returncode == 64


# doctor --------------------------------------------------------------------------------------------------


def test_the_doctor_s_json_has_exactly_the_promised_keys(play: Play):
    answer = run("doctor", "--json", settings=play("healthy"))
    document = as_json(answer)
    assert (answer.returncode, [*document]) == (0, ["sources"])
    assert [source["name"] for source in document["sources"]] == [*SourceName]
    for source in document["sources"]:
        assert [*source] == ["name", "state", "can", "missing", "fix"]
        assert (source["state"], source["missing"], source["fix"]) == ("reachable", [], "")


def test_the_doctor_ends_with_3_when_a_source_gives_nothing():
    answer = run("doctor", settings={"BOOKING_APP_URL": "http://127.0.0.1:9"})
    assert answer.returncode == 3
    assert "booking_app: failed" in answer.stdout and "vercel: not configured" in answer.stdout


# sandbox -------------------------------------------------------------------------------------------------


def test_the_sandbox_prints_one_line_and_leaves_nothing_behind_when_it_is_stopped():
    process = subprocess.Popen(
        [sys.executable, "-m", "lib", "sandbox", "--scenario", "quiet-day", "--json"],
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        settings = json.loads(process.stdout.readline())["settings"]
        assert settings["SUPABASE_URL"].startswith("http://127.0.0.1:")
        children = psutil.Process(process.pid).children(recursive=True)
        names = {child.name() for child in children}
        assert "postgres" in names and any("node" in name.lower() for name in names)
        process.send_signal(signal.SIGTERM)
        rest, progress = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
    assert (process.returncode, rest) == (0, "")
    assert "Starting" in progress and "quiet-day" in progress
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert alive == [] and len(gone) == len(children)


def test_a_taken_port_is_a_sentence_and_no_traceback(sandbox: Any):
    port = sandbox.world.base_url.rpartition(":")[2]
    answer = run("sandbox", "--port", port)
    assert answer.returncode == 1
    assert f"Port {port} is taken" in answer.stderr and "Traceback" not in answer.stderr


def test_an_unknown_scenario_is_answered_with_those_there_are():
    message = " ".join(run("sandbox", "--scenario", "nonsense").stderr.split())
    assert all(name in message for name in SCENARIOS)
