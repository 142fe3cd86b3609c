"""The vendors' own clients read the twins as they read the real systems."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO

import github
import httpx
import pytest
import supabase
from github.Repository import Repository
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from lib.sandbox.lite import find_node
from lib.sandbox.serve import Running
from tests.contract.documents import NODE

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module", autouse=True)
def healthy(sandbox: Running, play: Callable[[str], dict[str, str]]) -> None:
    play("healthy")


# Vercel -------------------------------------------------------------------------------------------------

VERCEL_READINGS = (
    "user", "teams", "projects", "project", "domains", "environment", "rolling release", "aliases", "alias", "DNS",
    "deployments", "deployment", "build log", "activity", "moved hostnames",
)  # fmt: skip


@pytest.fixture(scope="module")
def unread_by_vercel(sandbox: Running, healthy: None) -> dict[str, str]:
    """What @vercel/sdk could not read, and why."""
    keys = sandbox.world.credentials
    told = subprocess.run(
        [find_node(), NODE / "read_twin.mjs", f"{sandbox.world.base_url}/vercel", keys.vercel_project_id,
         keys.vercel_team_id, keys.production_hostname],
        env={**os.environ, "VERCEL_TOKEN": keys.vercel_token}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


@pytest.mark.parametrize("reading", VERCEL_READINGS)
def test_vercels_client_reads_the_twin(reading: str, unread_by_vercel: dict[str, str]):
    assert unread_by_vercel.get(reading) is None


def test_vercels_client_is_asked_for_all_that_it_could_not_read(unread_by_vercel: dict[str, str]):
    assert unread_by_vercel.keys() <= set(VERCEL_READINGS)


# GitHub -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repository(sandbox: Running, healthy: None) -> Iterator[Repository]:
    keys = sandbox.world.credentials
    client = github.Github(
        auth=github.Auth.Token(keys.github_token), base_url=f"{sandbox.world.base_url}/github", retry=None,
        seconds_between_requests=None, seconds_between_writes=None,
    )  # fmt: skip
    yield client.get_repo(keys.github_repository)
    client.close()


def test_pygithub_reads_the_repository(repository: Repository):
    assert (repository.default_branch, repository.permissions.push) == ("main", True)


def test_pygithub_reads_branch_and_commits(repository: Repository):
    head = repository.get_branch("main").commit
    commits = list(repository.get_commits(sha="main"))
    assert commits[0].sha == head.sha
    assert commits[0].parents[0].sha == commits[1].sha
    assert commits[0].author is not None and commits[0].author.login


def test_pygithub_reads_one_commit_with_its_files(repository: Repository):
    commit = repository.get_commit("main")
    assert commit.stats.total == commit.stats.additions + commit.stats.deletions
    assert all(file.filename for file in commit.files)


def test_pygithub_compares_two_commits(repository: Repository):
    newest, before = list(repository.get_commits(sha="main"))[:2]
    compared = repository.compare(before.sha, newest.sha)
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 1, 0)


def test_pygithub_reads_the_signs_on_a_commit(repository: Repository):
    commit = repository.get_commit("main")
    assert commit.get_combined_status().state == "success"
    assert {suite.app.slug for suite in commit.get_check_suites()} == {"vercel", "github-actions"}
    assert [run.name for run in commit.get_check_runs()] == ["test"]


def test_pygithub_reads_the_runs_of_actions(repository: Repository):
    run = next(iter(repository.get_workflow_runs(branch="main")))
    assert (run.name, run.head_branch) == ("CI", "main")


def test_pygithub_reads_a_file(repository: Repository):
    assert json.loads(repository.get_contents("vercel.json").decoded_content)


def test_pygithub_reads_the_contents_of_a_folder(repository: Repository):
    found = repository.get_contents("supabase")
    assert [(entry.type, entry.path) for entry in found] == [("dir", "supabase/migrations")]
    assert {entry.type for entry in repository.get_contents("")} == {"dir", "file"}


def test_pygithub_reads_the_tree_of_a_commit(repository: Repository):
    tree = repository.get_git_tree("main", recursive=True)
    assert {"vercel.json", "supabase/migrations"} <= {entry.path for entry in tree.tree}


def test_the_archive_of_a_commit_is_one_call_away(repository: Repository):
    """As on GitHub: a redirect to a signed address on another host, which takes no token."""
    address = repository.get_archive_link("tarball", ref="main")
    archive = httpx.get(address, trust_env=False).raise_for_status().content
    with tarfile.open(fileobj=BytesIO(archive), mode="r:gz") as files:
        names = files.getnames()
    # One folder around everything, named after owner, repository and commit.
    assert any(name.endswith("/vercel.json") for name in names)
    assert len({name.split("/")[0] for name in names}) == 1


# Twilio -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def twilio(sandbox: Running, healthy: None) -> Client:
    keys = sandbox.world.credentials
    client = Client(
        keys.twilio_account_sid, keys.twilio_auth_token, http_client=TwilioHttpClient(timeout=10, max_retries=0)
    )
    client.api.base_url = f"{sandbox.world.base_url}/twilio"
    client.monitor.base_url = f"{sandbox.world.base_url}/twilio/monitor"
    return client


def test_twilios_client_pages_through_the_log(twilio: Client):
    texts = list(twilio.messages.stream(limit=25, page_size=10))
    assert len({text.sid for text in texts}) == 25
    assert texts[0].date_created >= texts[-1].date_created
    assert {text.direction for text in texts} == {"outbound-api"}


def test_twilios_client_reads_one_text(twilio: Client):
    newest = twilio.messages.list(limit=1)[0]
    again = twilio.messages(newest.sid).fetch()
    assert (again.sid, again.to, again.num_segments) == (newest.sid, newest.to, newest.num_segments)


def test_twilios_client_reads_account_and_balance(twilio: Client):
    account = twilio.api.v2010.accounts(twilio.account_sid).fetch()
    assert (account.status, account.type) == ("active", "Full")
    assert float(twilio.api.v2010.accounts(twilio.account_sid).balance.fetch().balance) > 0


def test_twilios_client_reads_alerts(twilio: Client):
    assert all(alert.log_level == "error" for alert in twilio.monitor.v1.alerts.list(log_level="error", limit=20))


def test_twilios_client_reads_todays_usage(twilio: Client):
    today = twilio.api.v2010.accounts(twilio.account_sid).usage.records.today.list(category="sms-outbound", limit=1)
    assert [record.category for record in today] == ["sms-outbound"]


# Supabase -----------------------------------------------------------------------------------------------


def test_supabases_client_reads_the_tables(sandbox: Running):
    keys = sandbox.world.credentials
    client = supabase.create_client(f"{sandbox.world.base_url}/supabase", keys.supabase_secret_key)
    counted = client.table("messages").select("id", count="exact", head=True).execute()
    rows = client.table("messages").select("id,created_at").order("created_at", desc=True).limit(5).execute()
    assert counted.count is not None and counted.count >= len(rows.data) == 5


def test_supabases_client_hears_of_a_column_that_is_not_there(sandbox: Running):
    keys = sandbox.world.credentials
    client = supabase.create_client(f"{sandbox.world.base_url}/supabase", keys.supabase_secret_key)
    with pytest.raises(supabase.PostgrestAPIError) as caught:
        client.table("messages").select("no_such_column").limit(1).execute()
    assert caught.value.code == "42703"
