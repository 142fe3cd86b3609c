"""The GitHub twin: history, guarded ways to move a branch, and the push that Vercel hears."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Callable

import httpx
import pytest

from lib.sandbox.releases import FIX
from tests.sandbox.twins import build_quickly, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def commit_on_main(github: httpx.Client, repository: str, expected: str, files: dict[str, str] | None = None) -> dict:
    additions = [
        {"path": path, "contents": base64.b64encode(content.encode()).decode()}
        for path, content in (files or {}).items()
    ]
    given = {
        "branch": {"repositoryNameWithOwner": repository.removeprefix("/repos/"), "branchName": "main"},
        "expectedHeadOid": expected,
        "message": {"headline": "Deploy again"},
    } | ({"fileChanges": {"additions": additions}} if files else {})
    query = "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }"
    return dict(github.post("/graphql", json={"query": query, "variables": {"input": given}}).json())


def test_strangers_see_no_private_repository_and_bad_tokens_are_told_so(sandbox, play, repository) -> None:
    play("healthy")
    url = f"{sandbox.world.base_url}/github{repository}"
    assert httpx.get(url, trust_env=False).status_code == 404
    assert httpx.get(url, trust_env=False, headers={"Authorization": "Bearer no"}).status_code == 401


def test_compare_says_how_far_production_is_behind(sandbox, play, github, vercel, repository) -> None:
    play("code-not-deployed")
    live = serving(sandbox, vercel)["sha"]
    forward = github.get(f"{repository}/compare/{live}...main").json()
    assert (forward["status"], forward["ahead_by"], forward["behind_by"]) == ("ahead", 2, 0)
    assert forward["commits"][0]["sha"] == FIX
    assert github.get(f"{repository}/compare/main...{live}").json()["status"] == "behind"
    assert github.get(f"{repository}/compare/main...main").json()["status"] == "identical"
    assert github.get(f"{repository}/compare/{'0' * 40}...main").status_code == 404


def test_an_unchanged_answer_is_304_and_costs_nothing(play, github, repository) -> None:
    play("healthy")
    first = github.get(f"{repository}/branches/main")
    again = github.get(f"{repository}/branches/main", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["x-ratelimit-remaining"] == first.headers["x-ratelimit-remaining"]
    assert first.headers["x-accepted-github-permissions"] == "contents=read"


def test_an_unknown_commit_is_422_and_a_short_one_is_found(play, github, repository) -> None:
    play("healthy")
    assert github.get(f"{repository}/commits/{'f' * 40}").status_code == 422
    assert github.get(f"{repository}/commits/3aee739").json()["sha"] == FIX


def test_the_apps_migrations_can_be_read_from_the_repository(play, github, repository) -> None:
    play("healthy")
    names = [file["name"] for file in github.get(f"{repository}/contents/supabase/migrations").json()]
    assert any(name.endswith("_pending_bookings_metadata.sql") for name in names)
    content = github.get(f"{repository}/contents/vercel.json").json()
    assert b"nextjs" in base64.b64decode(content["content"])
    assert github.get(f"{repository}/contents/nothing.json").status_code == 404


def test_an_atomic_commit_is_refused_when_main_moved_and_else_vercel_builds_it(
    sandbox, play, github, vercel, repository
) -> None:
    play("code-not-deployed")
    build_quickly(sandbox)
    head = github.get(f"{repository}/git/ref/heads/main").json()["object"]["sha"]
    stale = commit_on_main(github, repository, FIX)
    assert stale["errors"][0]["type"] == "STALE_DATA"
    made = commit_on_main(github, repository, head)["data"]["createCommitOnBranch"]["commit"]["oid"]
    wait_until(lambda: serving(sandbox, vercel)["sha"] == made)
    status = github.get(f"{repository}/commits/{made}/status").json()
    assert (status["state"], status["statuses"][0]["context"]) == ("success", "Vercel")


def test_a_ref_only_moves_forward(sandbox, play, github, repository) -> None:
    play("healthy")
    main = f"{repository}/git/refs/heads/main"
    head = github.get(f"{repository}/git/ref/heads/main").json()["object"]["sha"]
    tree = github.get(f"{repository}/git/commits/{head}").json()["tree"]["sha"]
    made = github.post(f"{repository}/git/commits", json={"message": "Empty", "tree": tree, "parents": [head]}).json()[
        "sha"
    ]
    assert github.patch(main, json={"sha": made, "force": False}).json()["object"]["sha"] == made
    backwards = github.patch(main, json={"sha": head, "force": False})
    assert (backwards.status_code, backwards.json()["message"]) == (422, "Update is not a fast forward")


def test_vercel_hears_nothing_while_the_project_is_disconnected(play, github, vercel, repository) -> None:
    play("git-disconnected")
    head = github.get(f"{repository}/git/ref/heads/main").json()["object"]["sha"]
    made = commit_on_main(github, repository, head)["data"]["createCommitOnBranch"]["commit"]["oid"]
    assert not vercel.get("/v7/deployments", params={"sha": made}).json()["deployments"]
    suites = github.get(f"{repository}/commits/{made}/check-suites").json()["check_suites"]
    assert [suite["app"]["slug"] for suite in suites] == ["github-actions"]


def test_a_commit_that_changes_files_fixes_a_build_and_an_empty_one_does_not(
    sandbox, play, github, vercel, repository
) -> None:
    play("build-failing")
    build_quickly(sandbox)

    def state_after(files: dict[str, str] | None) -> str:
        head = github.get(f"{repository}/git/ref/heads/main").json()["object"]["sha"]
        made = commit_on_main(github, repository, head, files)["data"]["createCommitOnBranch"]["commit"]["oid"]

        def newest() -> dict:
            return dict(vercel.get("/v7/deployments", params={"sha": made}).json()["deployments"][0])

        wait_until(lambda: newest()["readyState"] in ("READY", "ERROR"))
        return str(newest()["readyState"])

    assert state_after(None) == "ERROR"
    assert state_after({"src/lib/phone.ts": "export {}\n"}) == "READY"


# The archive of a commit ---------------------------------------------------------------------------------


def archive_of(github: httpx.Client, address: str) -> dict[str, str]:
    """Return the files behind a signed address, by their path in the repository."""
    with httpx.Client() as anybody:
        packed = anybody.get(address).raise_for_status().content
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        return {one.name.partition("/")[2]: tar.extractfile(one).read().decode() for one in tar}  # type: ignore[union-attr]


def test_the_archive_of_a_commit_lies_at_a_signed_address_that_takes_no_token(
    github: httpx.Client, repository: str, play: Callable[[str], dict[str, str]]
):
    play("code-not-deployed")
    answer = github.get(f"{repository}/tarball/{FIX}")
    assert answer.status_code == 302
    address = answer.headers["location"]
    assert github.get(address).status_code == 400, "it was sent our token"
    assert httpx.get(address.partition("?")[0]).status_code == 404
    files = archive_of(github, address)
    assert "metadata: { initial_sms" in files["src/lib/sms/record.ts"]
    assert any(path.endswith("_pending_bookings_metadata.sql") for path in files)
    before = github.get(f"{repository}/commits/{FIX}").json()["parents"][0]["sha"]
    older = archive_of(github, github.get(f"{repository}/tarball/{before}").headers["location"])
    assert "customer_id: customerId ?? null" in older["src/lib/sms/record.ts"]
    assert older["src/lib/shortLinks.ts"] == files["src/lib/shortLinks.ts"]
