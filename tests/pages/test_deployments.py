"""Deployments: what is live, the list, the panel of the chosen row, and the code against the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lib.model import deployments as d
from lib.model.reading import FailureKind, SourceError
from lib.model.served_code import Relation, Schema, SchemaColumn
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.ui import code_view, deployment_list, runtime
from lib.ui.action_service import ActionService
from lib.ui.runtime import DiagnosisService
from tests.pages import synthetic
from tests.pages.conftest import Open, ReadyRuntime, sent
from tests.pages.synthetic import HOSTILE, KEY, NOW, PHONE
from tests.served_code.samples import app

VALUES = synthetic.values()
BROKEN, SERVING = VALUES["deployments"]
HOST = VALUES["hostnames"][0]
OPERATOR: dict[str, Any] = {"live": True}


def changed(**values: Any) -> Snapshot:
    return synthetic.snapshot(VALUES | values)


def text(test: AppTest) -> str:
    return sent(test).decode("utf-8", "replace")


def live_lines(test: AppTest) -> list[str]:
    return [piece.value for piece in test.get("html") if "sb-card sb-livebox" in piece.value]


# What is live.


def test_the_live_commit_is_said_with_how_far_it_is_behind_and_what_is_missing(open_page: Open) -> None:
    (line,) = live_lines(open_page("deployments", synthetic.planted()))
    assert "Live: 6376d46" in line and "1 commit behind" in line and "sb-bad" in line
    assert "Not live yet: 9d1ac94" in line


def test_hostnames_that_serve_the_same_share_a_line_and_others_have_their_own(open_page: Open) -> None:
    second = dataclasses.replace(HOST, name="two.example")
    (line,) = live_lines(open_page("deployments", changed(hostnames=(HOST, second))))
    assert "booking.example" in line and "two.example" in line
    newer = dataclasses.replace(second, deployment=dataclasses.replace(BROKEN, state=d.DeploymentState.READY))
    lines = live_lines(open_page("deployments", changed(hostnames=(HOST, newer))))
    assert ["1 commit behind" in line for line in lines] == [True, False]
    assert "Live on two.example: 9d1ac94" in lines[1] and "up to date" in lines[1]


@pytest.mark.parametrize(
    ("host", "branch", "said"),
    [
        (HOST, None, "cannot tell how far behind"),
        (dataclasses.replace(HOST, deployment=None), VALUES["branch"], "cannot tell"),
        (
            dataclasses.replace(HOST, deployment=dataclasses.replace(SERVING, git_dirty=True)),
            VALUES["branch"],
            "an upload from 6376d46 with uncommitted changes",
        ),
        (
            dataclasses.replace(HOST, deployment=dataclasses.replace(SERVING, sha=None)),
            VALUES["branch"],
            "an upload without a commit",
        ),
    ],
)
def test_where_the_ancestry_is_not_known_the_line_says_cannot_tell(
    open_page: Open, host: d.Hostname, branch: d.Branch | None, said: str
) -> None:
    values = VALUES | {"hostnames": (host,), "branch": branch}
    if branch is None:
        del values["branch"]
    (line,) = live_lines(open_page("deployments", synthetic.snapshot(values)))
    assert said in line and "cannot tell" in line
    assert "sb-unknown" in line and "sb-good" not in line and "behind by" not in line


# The list.


def rows(test: AppTest) -> Any:
    (table,) = [one for one in test.dataframe if "badges" in one.value.columns]
    return table.value


def test_each_row_says_first_what_decides(open_page: Open) -> None:
    preview = dataclasses.replace(SERVING, id="dpl_preview", target=None, created_at=NOW - timedelta(hours=30))
    frame = rows(open_page("deployments", changed(deployments=(BROKEN, SERVING, preview))))
    assert frame.columns[0] == "badges"
    assert [list(one) for one in frame["badges"]] == [["Failed"], ["Live"], ["Ready", "Preview"]]
    assert list(frame["sha"]) == ["9d1ac94", "6376d46", "6376d46"]
    assert frame["took"].iloc[1] == "2 min" and frame["failure"].iloc[0]


def test_a_build_that_failed_is_chosen_at_first_with_its_reason_and_log(open_page: Open) -> None:
    test = open_page("deployments", synthetic.planted())
    (why,) = [one.value for one in test.get("html") if "</b> Failed</span>" in one.value]
    assert "onerror" in why and KEY not in why and "dpl_broken" in text(test)
    assert "Cloning" not in text(test)
    assert "Cloning" in text(open_page("deployments", synthetic.planted(), state={"log": True}))


def test_a_failure_without_a_reason_of_vercels_says_what_its_log_says(open_page: Open) -> None:
    silent = dataclasses.replace(BROKEN, error_message="Command exited with 1")
    log = d.BuildLog(BROKEN.id, (d.BuildLogLine(NOW, "Type error in send.ts", d.LogLevel.ERROR),))
    out = text(open_page("deployments", changed(deployments=(silent, SERVING), build_log=log)))
    assert "Command exited with 1" in out and "Type error in send.ts" in out


def test_without_a_failure_what_is_live_is_chosen_and_its_log_waits_for_a_click(open_page: Open) -> None:
    test = open_page("deployments", changed(deployments=(SERVING,), build_log=None))
    assert "dpl_serving" in text(test)
    assert [box.label for box in test.expander if box.label == "Build log"] == ["Build log"]
    assert "failure" not in rows(test).columns


def test_a_deployment_can_be_linked_to_and_one_that_is_gone_chooses_none(open_page: Open) -> None:
    test = open_page("deployments", synthetic.planted())
    for linked, shown in (("dpl_serving", "dpl_serving"), ("dpl_of_somebody_else", "dpl_serving")):
        test.query_params["deployment"] = linked
        test.run()
        (panel,) = [one.value for one in test.get("html") if "Build took" in one.value]
        assert shown in panel


@pytest.mark.parametrize(("index", "chosen"), [(1, "b"), (2, None), (-1, None), ("1", None), (None, None)])
def test_a_row_that_is_not_there_chooses_nothing(
    monkeypatch: pytest.MonkeyPatch, index: object, chosen: str | None
) -> None:
    state: dict[str, Any] = {"list": {"selection": {"rows": [] if index is None else [index]}}}
    address: dict[str, str] = {}
    monkeypatch.setattr(deployment_list, "st", SimpleNamespace(session_state=state, query_params=address))
    deployment_list._choose("list", ["a", "b"])
    assert (state.get("deployment"), address.get("deployment")) == (chosen, chosen)


# What can be done.


def buttons(test: AppTest) -> list[str]:
    return [one.label.replace("\\", "") for one in test.button if str(one.key).startswith("row_")]


def test_what_is_not_possible_says_why_instead_of_a_dead_button(open_page: Open, action_service: ActionService) -> None:
    test = open_page("deployments", synthetic.planted(), action_service=action_service)
    assert buttons(test) == ["Build this commit again"]
    out = text(test)
    assert "Its build did not succeed: there is nothing to serve." in out
    assert "Its build is over: there is nothing to cancel." in out


def test_the_action_is_about_the_chosen_deployment(open_page: Open, action_service: ActionService) -> None:
    ready = dataclasses.replace(SERVING, id="dpl_ready", sha="c" * 40)
    snapshot = changed(deployments=(ready, SERVING), build_log=None)
    test = open_page("deployments", snapshot, action_service=action_service, state={"deployment": "dpl_ready"})
    assert buttons(test) == ["Promote it", "Roll back to it", "Build this commit again"]
    test.button(key="row_promote").click().run()
    assert test.session_state["ask"].args == {"deployment": "dpl_ready"}


def test_a_shared_screen_has_no_button_and_names_nobody(open_page: Open, action_service: ActionService) -> None:
    sam = dataclasses.replace(SERVING, commit_author="Sam Porter", commit_message="Menu")
    snapshot = changed(deployments=(sam,), build_log=None)
    shared = open_page("deployments", snapshot, action_service=action_service, state={"share": True})
    assert "Sam Porter" not in text(shared) and "author" not in rows(shared).columns
    assert buttons(shared) == [] and not any("Redeploy" in one.label for one in shared.button)
    assert "Sam Porter" in text(open_page("deployments", snapshot, action_service=action_service))


# Build logs.


@pytest.fixture
def service_with_logs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., DiagnosisService]:
    def make(read: Callable[[str], d.BuildLog]) -> DiagnosisService:
        snapshot = changed(deployments=(SERVING,), build_log=None)
        return DiagnosisService(Settings(), lambda size: snapshot, lambda: NOW, read_build_log=read)

    return make


def opened_log(service: DiagnosisService, monkeypatch: pytest.MonkeyPatch, open_page: Open) -> str:
    test = open_page("deployments", changed(deployments=(SERVING,), build_log=None), state={"log": True})
    monkeypatch.setattr(runtime, "app_runtime", lambda: ReadyRuntime(service))
    return text(test.run())


def test_the_log_of_a_build_that_is_over_is_read_once_for_everybody(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, service_with_logs: Callable[..., DiagnosisService]
) -> None:
    asked: list[str] = []

    def read(deployment_id: str) -> d.BuildLog:
        asked.append(deployment_id)
        return d.BuildLog(deployment_id, (d.BuildLogLine(NOW, f"Compiled {HOSTILE} {KEY}", d.LogLevel.INFO),))

    service = service_with_logs(read)
    for _ in range(3):
        out = opened_log(service, monkeypatch, open_page)
        assert "Compiled &lt;img" in out and KEY not in out
    assert asked == ["dpl_serving"]


def test_a_log_that_cannot_be_read_says_why(
    open_page: Open, monkeypatch: pytest.MonkeyPatch, service_with_logs: Callable[..., DiagnosisService]
) -> None:
    def read(deployment_id: str) -> d.BuildLog:
        raise SourceError(FailureKind.RATE_LIMITED, f"Vercel is asked too often {KEY}.", "Wait a minute.")

    out = opened_log(service_with_logs(read), monkeypatch, open_page)
    assert "The build log could not be read." in out and "Vercel is asked too often" in out and KEY not in out


def test_logs_that_were_read_do_not_pile_up() -> None:
    asked: list[str] = []

    def read(deployment_id: str) -> d.BuildLog:
        asked.append(deployment_id)
        return d.BuildLog(deployment_id, ())

    service = DiagnosisService(Settings(), lambda size: changed(), read_build_log=read)
    for number in range(runtime.LOGS_KEPT * 3):
        service.build_log(f"dpl_{number}")
    assert len(service._build_logs.values(d.BuildLog)) <= runtime.LOGS_KEPT
    service.build_log(asked[-1])
    assert len(asked) == runtime.LOGS_KEPT * 3


# Code and database.

INITIATE = "src/app/api/bookings/initiate/route.ts"
CONFIRM = "src/app/api/bookings/confirm/route.ts"
PAGE = "src/app/booking-confirmation/[token]/page.tsx"
WEBHOOK = "src/app/api/webhooks/twilio/route.ts"
STAFF = "src/app/staff/page.tsx"
MIGRATION = "supabase/migrations/20251103101500_add_metadata.sql"
CLIENT = "import { createClient } from '@supabase/supabase-js'\nconst supabase = createClient(url, key)\n"
WRITE = "  await supabase.from('messages').update({ metadata: text }).eq('id', id)"


def route(line: str, name: str = "POST") -> str:
    return f"{CLIENT}export async function {name}(id: string, text: string) {{\n{line}\n}}\n"


def page(line: str) -> str:
    return f"{CLIENT}export default async function Page() {{\n{line}\n}}\n"


FILES = {
    INITIATE: route(
        f"  const password = 'hunter2secret' // {PHONE}\n  // <img src=x onerror=alert(1)> \u202etxet\n{WRITE}"
    ),
    CONFIRM: route("  await supabase.from('messages').select('id')"),
    PAGE: page("  await supabase.from('messages').select('id')"),
    WEBHOOK: route("  const { error } = await supabase.from('messages').select('gone')\n  if (error) throw error"),
    STAFF: page("  await supabase.from('messages').select('loyalty')"),
    "src/app/staff/<img src=x onerror=alert(2)>/page.tsx": page("  await supabase.from('nowhere').select('id')"),
    "broken.ts": "\0",
    MIGRATION: "alter table public.messages add column metadata jsonb;",
}
SCHEMA = Schema(
    (Relation("messages"),),
    (
        SchemaColumn("messages", "id", "uuid", False, "gen_random_uuid()"),
        SchemaColumn("messages", "body", "text", True),
    ),
    checks=(),
    unique_keys=(),
    enums=(),
    routines=(),
    triggers=(),
)


def read(files: dict[str, str] = FILES, **values: Any) -> Snapshot:
    code = app(files, SERVING.sha or "")
    return changed(**({"served_code": (code,), "live_schema": SCHEMA} | values))


def open_code(open_page: Open, snapshot: Snapshot, **more: Any) -> AppTest:
    state = {"view": code_view.VIEW} | more.pop("state", {})
    return open_page("deployments", snapshot, state=state, **more)


def misfits(test: AppTest) -> list[str]:
    return [piece.value for piece in test.get("html") if 'class="sb-misfit"' in piece.value]


def test_a_line_that_does_not_fit_is_shown_with_its_code_and_all_that_is_known(open_page: Open) -> None:
    test = open_code(open_page, read())
    assert not test.exception
    shown = {("metadata" in one, "gone" in one): one for one in misfits(test)}
    assert set(shown) == {(True, False), (False, True)}
    write = shown[True, False]
    for said in (
        "The database has no column messages.metadata",
        "update({ metadata: text })",
        f"{INITIATE}:6",
        "<dd>POST /api/bookings/initiate</dd>",
        "ignores the error and goes on",
        "writes (update) messages.metadata",
        "PGRST204 (no such column), or 42703",
        "error ignored",
        "breaks: Recorded",
        "21 Nov, 17:00 (19 h ago) on booking.example, by dpl_serving",
        "the repository&#39;s migration 20251103101500 add_metadata: it was not applied",
    ):
        assert said in write, said
    (marked,) = [line for line in write.split("\n") if "sb-marked" in line]
    assert "update({ metadata: text })" in marked
    other = shown[False, True]
    assert f"{WEBHOOK}:4" in other and "error handled" in other and "42703 (no such column)" in other
    assert "/api/webhooks/twilio" in other


def test_the_line_is_linked_at_its_commit_and_on_the_sandbox_nothing_is(open_page: Open) -> None:
    settings = Settings.model_validate({"github_repository": "lantern-arms/booking"})
    out = "".join(misfits(open_code(open_page, read(), settings=settings)))
    assert f'href="https://github.com/lantern-arms/booking/blob/{SERVING.sha}/{INITIATE}#L6"' in out
    sandbox = settings.model_copy(update={"sandbox_url": "http://127.0.0.1:1/sandbox"})
    assert "href" not in "".join(misfits(open_code(open_page, read(), settings=sandbox)))


def test_code_is_text_and_shows_no_key(open_page: Open) -> None:
    test = open_code(open_page, read(), state={"elsewhere": True, "unread": True})
    out = text(test)
    assert "hunter2secret" not in out and "7700900123" not in out and "\u202e" not in out
    (write,) = [one for one in misfits(test) if "metadata" in one]
    assert "&lt;img src=x onerror=alert(1)&gt; \ufffdtxet" in write
    for piece in test.get("html"):
        assert "<img" not in piece.value


def test_on_a_shared_screen_the_code_stays_and_the_button_goes(open_page: Open, action_service: ActionService) -> None:
    test = open_code(open_page, read(), state={"share": True}, action_service=action_service)
    assert "update({ metadata: text })" in text(test)
    assert not any("migration" in one.label for one in test.button)


def test_misfits_off_the_way_fold_away_with_a_count(open_page: Open) -> None:
    test = open_code(open_page, read())
    (label,) = [box.label for box in test.expander if "elsewhere" in box.label]
    assert label.startswith("2 lines elsewhere in the app do not fit") and "loyalty" not in text(test)
    opened = open_code(open_page, read(), state={"elsewhere": True})
    (table,) = [one.value for one in opened.dataframe if "asks" in one.value.columns]
    assert list(table["asks"]) == ["nowhere", "messages.loyalty"] and list(table["place"])[1] == f"{STAFF}:4"


def test_the_states_of_the_migrations_are_a_table_with_what_they_would_cure(open_page: Open) -> None:
    test = open_code(open_page, read())
    (table,) = [one.value for one in test.dataframe if "version" in one.value.columns]
    assert table.iloc[0].to_dict() == {
        "state": "! not applied",
        "version": "20251103101500",
        "name": "add_metadata",
        "cures": 1,
    }


def test_how_much_was_read_is_said_and_what_was_not_is_listed(open_page: Open) -> None:
    out = text(open_code(open_page, read(), state={"unread": True}))
    assert "6376d46, live on booking.example: 6 files, 6 uses of the database" in out and "1 place not read" in out
    assert "broken.ts: It is no text." in out


def test_code_that_fits_is_called_fitting_only_as_far_as_it_was_read(open_page: Open) -> None:
    fits = {path: route("  await supabase.from('messages').select('id')") for path in (INITIATE, CONFIRM, WEBHOOK)}
    fits[PAGE] = page("  await supabase.from('messages').select('id')")
    assert "everything on the way of a booking fits" in text(open_code(open_page, read(fits)))
    gaps = fits | {INITIATE: route("  await supabase.from('messages').select(columns)")}
    out = text(open_code(open_page, read(gaps)))
    assert "what could be read fits" in out and "everything on the way" not in out
    lacking = {path: line for path, line in fits.items() if path != CONFIRM}
    out = text(open_code(open_page, read(lacking)))
    assert "answers /api/bookings/confirm" in out and "fits" not in out.replace("does not fit", "")


def test_what_cannot_be_read_says_why(open_page: Open) -> None:
    out = text(open_code(open_page, synthetic.planted()))
    assert synthetic.NOT_CONFIGURED.sentence in out and "sb-good" not in out.split("</style>")[-1]
    dirty = dataclasses.replace(HOST, deployment=dataclasses.replace(SERVING, git_dirty=True))
    out = text(open_code(open_page, read(hostnames=(dirty,))))
    assert "an upload with uncommitted changes: what it holds cannot be told" in out
    assert "not live" in out


def test_a_migration_is_offered_only_where_the_desk_has_that_action(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions = dict(action_service.executor.actions)
    actions.pop(code_view.MIGRATE, None)
    monkeypatch.setattr(action_service.executor, "actions", actions)
    assert not any(
        "Run migration" in one.label for one in open_code(open_page, read(), action_service=action_service).button
    )
    known = SimpleNamespace(id=code_view.MIGRATE, asks=("version", "commit"), tier=3, title="Run a migration")
    monkeypatch.setattr(action_service.executor, "actions", actions | {code_view.MIGRATE: known})
    test = open_code(open_page, read(), action_service=action_service)
    (button,) = [one for one in test.button if "Run migration" in one.label]
    button.click()
    with monkeypatch.context() as patched:
        patched.setattr("lib.ui.action_dialog.draw_dialog", lambda: None)
        test.run()
    assert test.session_state["ask"].args == {"version": "20251103101500", "commit": SERVING.sha}
