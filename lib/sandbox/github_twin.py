"""A twin of GitHub's REST API and of the one GraphQL mutation that makes a commit: one repository, mostly `main`.

Shapes after https://github.com/github/rest-api-description. The twin of Vercel hears of a push to any branch,
as it would through its GitHub App.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox import booking_app_code, github_shapes, vercel_twin
from lib.sandbox.twin_api import TwinCall, TwinRefusalError, answer
from lib.sandbox.twin_helpers import Json, iso, read_json
from lib.sandbox.world import Connection, Row, World

RATE_LIMIT = 5000  # per hour, for one user
CI_TIME = timedelta(seconds=40)
USER = {"id": 583231, "login": "sam-lantern", "name": "Sam Porter", "email": "sam@lantern-arms.example"}
_VERCEL_APP = github_shapes.app(8329, "vercel", "Vercel")
_ACTIONS_APP = github_shapes.app(15368, "github-actions", "GitHub Actions")
_DOCS = "https://docs.github.com/rest"


class GitHubRefusalError(TwinRefusalError):
    """An error answer of GitHub: `{"message", "documentation_url", "status"}`."""

    def __init__(self, status: int, message: str, **more: Json) -> None:
        body = {"message": message, "documentation_url": _DOCS, "status": str(status), **more}
        super().__init__(message, JSONResponse(body, status))


@dataclass(frozen=True, slots=True)
class GitHubCall(TwinCall):
    """One authorised request to the twin of GitHub."""

    @property
    def api(self) -> str:
        """The address of the repository in this API."""
        return f"{self.world.base_url}/github/repos/{self.world.credentials.github_repository}"

    @property
    def html(self) -> str:
        return f"https://github.com/{self.world.credentials.github_repository}"

    @property
    def repository(self) -> dict[str, Json]:
        """The repository, as answers about something in it repeat it."""
        return github_shapes.repository(self.world.credentials.github_repository, _repository_row(self)["id"], self.api)

    def commit(self, ref: str) -> Row:
        """The commit that `ref` (a branch or the start of a commit id) means."""
        row = self.connection.execute(
            """select c.* from twin.commits c left join twin.branches b on b.sha = c.sha and b.name = %(ref)s
               where b.name is not null or (length(%(ref)s) >= 7 and starts_with(c.sha, lower(%(ref)s)))
               order by b.name nulls last limit 1""",
            {"ref": ref.removeprefix("heads/").removeprefix("refs/heads/")},
        ).fetchone()
        if row is None:
            raise GitHubRefusalError(422, f"No commit found for SHA: {ref}")
        return row

    def branch(self) -> Row:
        row = self.connection.execute("select * from twin.branches where name = %s", [self.path["branch"]]).fetchone()
        if row is None:
            raise GitHubRefusalError(404, "Branch not found")
        return row


Handler = Callable[[GitHubCall], Json]


# History -------------------------------------------------------------------------------------------------


def lineage(connection: Connection, sha: str) -> list[Row]:
    """Return the commit `sha` and all its ancestors, newest first."""
    return connection.execute(
        """with recursive line as (
               select * from twin.commits where sha = %s
               union all
               select parent.* from twin.commits parent join line on parent.sha = line.parent
           )
           select * from line order by position desc""",
        [sha],
    ).fetchall()


def push(connection: Connection, now: datetime, branch: str, sha: str, pusher: str) -> None:
    """Move `branch` to `sha`, note the push, and let the twin of Vercel react."""
    before = connection.execute("select sha from twin.branches where name = %s", [branch]).fetchone()
    connection.execute(
        """insert into twin.branches (name, sha) values (%s, %s)
           on conflict (name) do update set sha = excluded.sha""",
        [branch, sha],
    )
    connection.execute(
        "insert into twin.pushes (branch, before, after, actor, at) values (%s, %s, %s, %s, %s)",
        [branch, before["sha"] if before else "0" * 40, sha, pusher, now],
    )
    vercel_twin.push_received(connection, now, branch, sha, pusher)


def _add_commit(call: GitHubCall, message: str, parent: Row, files: dict[str, str] | None) -> str:
    """Add a commit and return its id. A commit that changes files is taken to fix a build that failed."""
    sha = secrets.token_hex(20)
    call.connection.execute(
        """insert into twin.commits (sha, parent, tree, message, author_name, author_login, author_email,
               committed_at, verified, changed_files, records_texts, confirmation_needs_login, build_error)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            sha,
            parent["sha"],
            secrets.token_hex(20) if files else parent["tree"],
            message,
            USER["name"],
            USER["login"],
            USER["email"],
            call.now,
            True,
            list(files or ()),
            parent["records_texts"],
            parent["confirmation_needs_login"],
            None if files else parent["build_error"],
        ],
    )
    for path, content in (files or {}).items():
        call.connection.execute(
            "insert into twin.files (path, since, content) values (%s, %s, %s)", [path, sha, content]
        )
    return sha


# Shapes --------------------------------------------------------------------------------------------------


def _commit_shape(call: GitHubCall, row: Row) -> dict[str, Json]:
    person = {"name": row["author_name"], "email": row["author_email"], "date": iso(row["committed_at"])}
    login = github_shapes.account(row["author_login"])
    return {
        "sha": row["sha"],
        "node_id": f"C_{row['sha'][:12]}",
        "url": f"{call.api}/commits/{row['sha']}",
        "html_url": f"{call.html}/commit/{row['sha']}",
        "comments_url": f"{call.api}/commits/{row['sha']}/comments",
        "commit": {
            "url": f"{call.api}/git/commits/{row['sha']}",
            "author": person,
            "committer": person,
            "message": row["message"],
            "tree": {"sha": row["tree"], "url": f"{call.api}/git/trees/{row['tree']}"},
            "comment_count": 0,
            "verification": _verification(row),
        },
        "author": login,
        "committer": login,
        "parents": [
            {"sha": parent, "url": f"{call.api}/commits/{parent}", "html_url": f"{call.html}/commit/{parent}"}
            for parent in [row["parent"]]
            if parent
        ],
    }


def _verification(row: Row) -> dict[str, Json]:
    reason = "valid" if row["verified"] else "unsigned"
    at = iso(row["committed_at"]) if row["verified"] else None
    return {"verified": row["verified"], "reason": reason, "signature": None, "payload": None, "verified_at": at}


def _simple_commit(row: Row) -> dict[str, Json]:
    """A commit as the runs and checks on it repeat it."""
    person = {"name": row["author_name"], "email": row["author_email"]}
    return {
        "id": row["sha"],
        "tree_id": row["tree"],
        "message": row["message"],
        "timestamp": iso(row["committed_at"]),
        "author": person,
        "committer": person,
    }


def _files(call: GitHubCall, row: Row) -> list[dict[str, Json]]:
    """What a commit changed. How much of each file it was is not kept."""
    return [
        {
            "sha": github_shapes.blob_id(f"{row['sha']} {path}"),
            "filename": path,
            "status": "modified",
            "additions": 4,
            "deletions": 1,
            "changes": 5,
            "blob_url": f"{call.html}/blob/{row['sha']}/{path}",
            "raw_url": f"{call.html}/raw/{row['sha']}/{path}",
            "contents_url": f"{call.api}/contents/{path}?ref={row['sha']}",
        }
        for path in row["changed_files"]
    ]


def _page(call: GitHubCall, rows: list[Any]) -> Response:
    """One page of `rows` as GitHub pages them: `per_page`, `page`, and a `Link` header."""
    page, headers = _cut(call, rows)
    return JSONResponse(page, headers=headers)


def _cut(call: GitHubCall, rows: list[Any]) -> tuple[list[Any], dict[str, str]]:
    size = min(int(call.query("per_page") or 30), 100)
    number = int(call.query("page") or 1)
    page = rows[(number - 1) * size : number * size]
    if len(rows) <= number * size:
        return page, {}
    following = call.request.url.include_query_params(page=number + 1)
    return page, {"link": f'<{following}>; rel="next"'}


# Reads ---------------------------------------------------------------------------------------------------


def _repository_row(call: GitHubCall) -> Row:
    row = call.connection.execute("select * from twin.repository").fetchone()
    if row is None:
        raise GitHubRefusalError(404, "Not Found")
    return row


def _repository(call: GitHubCall) -> Json:
    pushed = call.connection.execute("select max(at) as at from twin.pushes").fetchone()
    return github_shapes.whole_repository(call.repository, _repository_row(call), iso(pushed["at"]) if pushed else None)


def _branch(call: GitHubCall) -> Json:
    branch = call.branch()
    return {
        "name": branch["name"],
        "commit": _commit_shape(call, call.commit(branch["sha"])),
        "_links": {
            "self": f"{call.api}/branches/{branch['name']}",
            "html": f"{call.html}/tree/{branch['name']}",
        },
        "protected": branch["protected"],
        "protection_url": f"{call.api}/branches/{branch['name']}/protection",
        "protection": {
            "enabled": branch["protected"],
            "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
        },
    }


def _commits(call: GitHubCall) -> Json:
    start = call.query("sha") or "main"
    since, until = call.query("since"), call.query("until")
    rows = lineage(call.connection, call.commit(start)["sha"])
    shapes = [_commit_shape(call, row) for row in rows]
    return _page(
        call,
        [
            shape
            for shape in shapes
            if (since is None or shape["commit"]["committer"]["date"] >= since)
            and (until is None or shape["commit"]["committer"]["date"] <= until)
        ],
    )


def _commit(call: GitHubCall) -> Json:
    row = call.commit(call.path["ref"])
    return _commit_shape(call, row) | {
        "stats": {"additions": 4, "deletions": 1, "total": 5},
        "files": _files(call, row),
    }


def _compare(call: GitHubCall) -> Json:
    base_ref, _, head_ref = call.path["range"].partition("...")
    try:
        base, head = call.commit(base_ref), call.commit(head_ref)
    except GitHubRefusalError:
        raise GitHubRefusalError(404, "Not Found") from None
    base_line, head_line = lineage(call.connection, base["sha"]), lineage(call.connection, head["sha"])
    base_shas, head_shas = {row["sha"] for row in base_line}, {row["sha"] for row in head_line}
    ahead = [row for row in reversed(head_line) if row["sha"] not in base_shas]
    behind = [row for row in base_line if row["sha"] not in head_shas]
    status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    changed = {path: file for row in ahead for path, file in zip(row["changed_files"], _files(call, row), strict=True)}
    merge_base = next(row for row in base_line if row["sha"] in head_shas)
    return {
        "url": f"{call.api}/compare/{base_ref}...{head_ref}",
        "html_url": f"{call.html}/compare/{base_ref}...{head_ref}",
        "permalink_url": f"{call.html}/compare/{base['sha'][:12]}...{head['sha'][:12]}",
        "diff_url": f"{call.html}/compare/{base_ref}...{head_ref}.diff",
        "patch_url": f"{call.html}/compare/{base_ref}...{head_ref}.patch",
        "base_commit": _commit_shape(call, base),
        "merge_base_commit": _commit_shape(call, merge_base),
        "status": status.get((bool(ahead), bool(behind)), "diverged"),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "commits": [_commit_shape(call, row) for row in ahead],
        "files": list(changed.values()),
    }


def _activity(call: GitHubCall) -> Json:
    ref = call.query("ref")
    rows = call.connection.execute("select * from twin.pushes order by at desc, id desc").fetchall()
    shapes = [
        {
            "id": row["id"],
            "node_id": f"PSH_{row['id']}",
            "before": row["before"],
            "after": row["after"],
            "ref": f"refs/heads/{row['branch']}",
            "timestamp": iso(row["at"]),
            "activity_type": "branch_creation" if set(row["before"]) == {"0"} else "push",
            "actor": github_shapes.account(row["actor"]),
        }
        for row in rows
        if ref in (None, row["branch"], f"refs/heads/{row['branch']}")
    ]
    kind = call.query("activity_type")
    return _page(call, [shape for shape in shapes if kind in (None, shape["activity_type"])])


def _runs(call: GitHubCall) -> Json:
    """One CI run for each push."""
    rows = call.connection.execute(
        """select p.id, p.branch, p.after, p.at, c.* from twin.pushes p
           join twin.commits c on c.sha = p.after order by p.at desc, p.id desc"""
    ).fetchall()
    sha, branch = call.query("head_sha"), call.query("branch")
    runs = []
    repository = call.repository
    for row in rows:
        if sha not in (None, row["after"]) or branch not in (None, row["branch"]):
            continue
        ended = row["at"] + CI_TIME <= call.now
        url = f"{call.api}/actions/runs/{9_000_000 + row['id']}"
        runs.append(
            {
                "id": 9_000_000 + row["id"],
                "node_id": f"WFR_{row['id']}",
                "name": "CI",
                "path": ".github/workflows/ci.yml",
                "workflow_id": 1,
                "pull_requests": [],
                "head_commit": _simple_commit(row),
                "head_repository": repository,
                "repository": repository,
                "url": url,
                "workflow_url": f"{call.api}/actions/workflows/1",
                "check_suite_url": f"{call.api}/check-suites/{int(row['after'][:8], 16)}",
                **{f"{what}_url": f"{url}/{what}" for what in ("jobs", "logs", "cancel", "rerun", "artifacts")},
                "head_branch": row["branch"],
                "head_sha": row["after"],
                "display_title": row["message"].splitlines()[0],
                "run_number": row["id"],
                "event": "push",
                "status": "completed" if ended else "in_progress",
                "conclusion": "success" if ended else None,
                "created_at": iso(row["at"]),
                "run_started_at": iso(row["at"]),
                "updated_at": iso(min(row["at"] + CI_TIME, call.now)),
                "html_url": f"{call.html}/actions/runs/{9_000_000 + row['id']}",
            }
        )
    page, headers = _cut(call, runs)
    return JSONResponse({"total_count": len(runs), "workflow_runs": page}, headers=headers)


def _vercel_builds(call: GitHubCall, sha: str) -> list[Row]:
    """The builds that Vercel's app reported to GitHub, newest first: those that came from Git."""
    return call.connection.execute(
        "select * from twin.builds where sha = %s and source = 'git' order by created_at desc", [sha]
    ).fetchall()


_STATUS: dict[str, tuple[str, str]] = {
    "READY": ("success", "Deployment has completed"),
    "ERROR": ("failure", "Deployment has failed"),
    "CANCELED": ("error", "Deployment was canceled"),
}


def _status(call: GitHubCall) -> Json:
    commit = call.commit(call.path["ref"])
    statuses: list[dict[str, Json]] = []
    for build in _vercel_builds(call, commit["sha"])[:1]:
        state, message = _STATUS.get(vercel_twin.state_of(build, call.now), ("pending", "Vercel is deploying your app"))
        if build["canceled_at"] is not None and build["canceled_at"] == build["created_at"]:
            message = "Canceled by Ignored Build Step"
        statuses.append(
            {
                "id": int(build["created_at"].timestamp()),
                "node_id": f"SC_{build['id']}",
                "url": f"{call.api}/statuses/{commit['sha']}",
                "avatar_url": f"https://avatars.githubusercontent.com/in/{_VERCEL_APP['id']}?v=4",
                "context": "Vercel",
                "state": state,
                "description": message,
                "target_url": f"https://vercel.com/lantern-arms/booking/{build['id'].removeprefix('dpl_')}",
                "created_at": iso(build["created_at"]),
                "updated_at": iso(min(build["done_at"], call.now)),
            }
        )
    state = statuses[0]["state"] if statuses else "pending"
    combined = "failure" if state == "error" else state
    url = f"{call.api}/commits/{commit['sha']}"
    return {
        "state": combined,
        "sha": commit["sha"],
        "total_count": len(statuses),
        "statuses": statuses,
        "repository": call.repository,
        "commit_url": url,
        "url": f"{url}/status",
    }


def _check_runs(call: GitHubCall) -> Json:
    commit = call.commit(call.path["ref"])
    pushed = call.connection.execute("select max(at) as at from twin.pushes where after = %s", [commit["sha"]])
    row = pushed.fetchone()
    if row is None or row["at"] is None:
        return {"total_count": 0, "check_runs": []}
    ended = row["at"] + CI_TIME <= call.now
    number = int(commit["sha"][:8], 16)
    url = f"{call.api}/check-runs/{number}"
    run = {
        "id": number,
        "node_id": f"CR_{number}",
        "url": url,
        "details_url": f"{call.html}/runs/{number}",
        "external_id": "",
        "check_suite": {"id": number},
        "pull_requests": [],
        "output": {
            **dict.fromkeys(("title", "summary", "text")),
            "annotations_count": 0,
            "annotations_url": f"{url}/annotations",
        },
        "name": "test",
        "head_sha": commit["sha"],
        "status": "completed" if ended else "in_progress",
        "conclusion": "success" if ended else None,
        "started_at": iso(row["at"]),
        "completed_at": iso(row["at"] + CI_TIME) if ended else None,
        "app": _ACTIONS_APP,
        "html_url": f"{call.html}/runs/{number}",
    }
    return {"total_count": 1, "check_runs": [run]}


def _check_suites(call: GitHubCall) -> Json:
    commit = call.commit(call.path["ref"])
    repository = call.repository
    first = int(commit["sha"][:8], 16)
    suites = [
        {
            "id": first + index,
            "node_id": f"CS_{first + index}",
            "url": f"{call.api}/check-suites/{first + index}",
            "head_branch": _repository_row(call)["default_branch"],
            "before": commit["parent"],
            "after": commit["sha"],
            "head_commit": _simple_commit(commit),
            "repository": repository,
            "pull_requests": [],
            "latest_check_runs_count": 1 if app is _ACTIONS_APP else 0,
            "check_runs_url": f"{call.api}/check-suites/{first + index}/check-runs",
            "head_sha": commit["sha"],
            "status": "completed",
            "conclusion": "success" if app is _ACTIONS_APP else None,
            "app": app,
            "created_at": iso(commit["committed_at"]),
            "updated_at": iso(commit["committed_at"]),
        }
        for index, app in enumerate([_ACTIONS_APP, *[_VERCEL_APP] * bool(_vercel_builds(call, commit["sha"]))])
    ]
    return {"total_count": len(suites), "check_suites": suites}


def _deployments(call: GitHubCall) -> Json:
    sha, ref, environment = call.query("sha"), call.query("ref"), call.query("environment")
    rows = call.connection.execute(
        "select * from twin.builds where source = 'git' order by created_at desc, id"
    ).fetchall()
    shapes = [
        {
            "id": int(row["created_at"].timestamp() * 1000),
            "sha": row["sha"],
            "ref": row["branch"],
            "task": "deploy",
            "environment": "Production" if row["target"] else "Preview",
            "node_id": f"DE_{row['id']}",
            "payload": {},
            "description": None,
            "url": f"{call.api}/deployments/{int(row['created_at'].timestamp() * 1000)}",
            "statuses_url": f"{call.api}/deployments/{int(row['created_at'].timestamp() * 1000)}/statuses",
            "repository_url": call.api,
            "creator": github_shapes.account("vercel[bot]", "Bot"),
            "created_at": iso(row["created_at"]),
            "updated_at": iso(min(row["done_at"], call.now)),
        }
        for row in rows
    ]
    return _page(
        call,
        [
            shape
            for shape in shapes
            if sha in (None, shape["sha"])
            and ref in (None, shape["ref"])
            and environment in (None, shape["environment"])
        ],
    )


def _rules(call: GitHubCall) -> Json:
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.world.credentials.github_repository}
    return [{"type": kind, "ruleset_id": 4242, **source} for kind in ("deletion", "non_fast_forward")]


def _protection(call: GitHubCall) -> Json:
    call.branch()
    raise GitHubRefusalError(404, "Branch not protected")


def _hooks(call: GitHubCall) -> Json:
    return []  # Vercel's GitHub App never shows here


def _all_files(call: GitHubCall, row: Row) -> dict[str, str]:
    """Return the files of a commit, by path."""
    line = lineage(call.connection, row["sha"])
    changed = call.connection.execute(
        """select distinct on (f.path) f.path, f.content from twin.files f join twin.commits c on c.sha = f.since
           where f.since = any(%s) order by f.path, c.position desc""",
        [[commit["sha"] for commit in line]],
    ).fetchall()
    committed = {file["path"]: file["content"] for file in changed}
    return booking_app_code.tree(row["records_texts"], row["confirmation_needs_login"], committed)


def _contents(call: GitHubCall) -> Json:
    """A file, or what stands in a folder itself, as of `ref`."""
    path = call.path["path"].strip("/")
    ref = call.query("ref") or str(_repository_row(call)["default_branch"])
    files = _all_files(call, call.commit(ref))

    def entry(one: str) -> dict[str, Json]:
        return github_shapes.entry(call.api, call.html, ref, one, files)

    if path in files:
        content = base64.encodebytes(files[path].encode()).decode()
        return entry(path) | {"encoding": "base64", "content": content}
    here = [one for one in [*github_shapes.folders_of(files), *files] if one.rpartition("/")[0] == path]
    if not here:
        raise GitHubRefusalError(404, "Not Found")
    return [entry(one) for one in sorted(here)]


def _tree(call: GitHubCall) -> Json:
    """A tree, by itself, its commit or its branch; with `recursive` all below it."""
    wanted = call.path["tree"]
    by_id = call.connection.execute(
        "select * from twin.commits where tree = %s order by position desc limit 1", [wanted]
    ).fetchone()
    try:
        row = by_id or call.commit(wanted)
    except GitHubRefusalError:
        raise GitHubRefusalError(404, "Not Found") from None
    entries = github_shapes.tree(call.api, _all_files(call, row), recursive=call.query("recursive") is not None)
    return {"sha": row["tree"], "url": f"{call.api}/git/trees/{row['tree']}", "tree": entries, "truncated": False}


def _tarball(call: GitHubCall) -> Json:
    """Point to the archive of a commit, at an address that is good for whoever has it."""
    row = call.commit(call.path["ref"])
    readable = call.connection.execute("select code_readable from twin.repository").fetchone()
    if readable is None or not readable["code_readable"]:
        raise GitHubRefusalError(403, "Resource not accessible by personal access token")
    name = call.world.credentials.github_repository
    address = f"{call.world.base_url}/github/codeload/{name}/legacy.tar.gz/{row['sha']}"
    return RedirectResponse(f"{address}?token={_signature(call.world, row['sha'])}", 302)


def _signature(world: World, sha: str) -> str:
    return hashlib.sha256(f"{world.credentials.github_token} {sha}".encode()).hexdigest()[:32]


def _archive(call: GitHubCall) -> Json:
    """Give the archive to whoever knows its signed address."""
    row = call.commit(call.path["sha"])
    whole = _all_files(call, row)
    folder = f"{call.world.credentials.github_repository.replace('/', '-')}-{row['sha'][:7]}"
    return Response(booking_app_code.archive(folder, whole), media_type="application/x-gzip")


def _holds_the_address(world: World, request: Request) -> None:
    """Let in whoever has the signed address. A token here would be one that was sent to the wrong host."""
    if "authorization" in request.headers:
        raise GitHubRefusalError(400, "A signed address takes no token.")
    if request.query_params.get("token") != _signature(world, request.path_params["sha"]):
        raise GitHubRefusalError(404, "Not Found")


def _ref(call: GitHubCall) -> Json:
    branch = call.branch()
    return {
        "ref": f"refs/heads/{branch['name']}",
        "node_id": f"REF_{branch['name']}",
        "url": f"{call.api}/git/refs/heads/{branch['name']}",
        "object": {"type": "commit", "sha": branch["sha"], "url": f"{call.api}/git/commits/{branch['sha']}"},
    }


def _git_commit(call: GitHubCall) -> Json:
    return _git_commit_shape(call, call.commit(call.path["sha"]))


def _git_commit_shape(call: GitHubCall, row: Row) -> dict[str, Json]:
    shape = _commit_shape(call, row)
    inner = shape["commit"]
    kept = {key: inner[key] for key in ("author", "committer", "message", "tree", "verification")}
    same = {key: shape[key] for key in ("node_id", "html_url", "parents")}
    return {"sha": row["sha"], "url": inner["url"], **same, **kept}


def _rate_limit(call: GitHubCall) -> Json:
    core = {"limit": RATE_LIMIT, "used": 0, "remaining": RATE_LIMIT, "reset": _reset(call.now)}
    return {"resources": {"core": core | {"resource": "core"}}, "rate": core}


def _reset(now: datetime) -> int:
    return (int(now.timestamp()) // 3600 + 1) * 3600


# Writes --------------------------------------------------------------------------------------------------


def _create_commit(call: GitHubCall) -> Json:
    body = read_json(call.request)
    parents = body.get("parents") or []
    if not body.get("message") or not body.get("tree") or len(parents) != 1:
        raise GitHubRefusalError(422, "Invalid request.\n\nThe twin needs `message`, `tree` and one parent.")
    parent = call.commit(parents[0])
    if body["tree"] != parent["tree"]:
        raise GitHubRefusalError(422, "Tree SHA does not exist")
    sha = _add_commit(call, body["message"], parent, None)
    call.connection.execute("update twin.commits set verified = false where sha = %s", [sha])  # made by a token
    return JSONResponse(_git_commit_shape(call, call.commit(sha)), 201)


def _update_ref(call: GitHubCall) -> Json:
    body = read_json(call.request)
    branch = call.branch()
    target = call.commit(str(body.get("sha")))
    ancestors = {row["sha"] for row in lineage(call.connection, target["sha"])}
    if branch["sha"] not in ancestors:
        # A ruleset forbids force pushes, so `force: true` is refused too.
        raise GitHubRefusalError(422, "Update is not a fast forward")
    push(call.connection, call.now, branch["name"], target["sha"], str(USER["login"]))
    return _ref(call)


def _graphql(call: GitHubCall) -> Json:
    body = read_json(call.request)
    given = (body.get("variables") or {}).get("input")
    if "createCommitOnBranch" not in str(body.get("query")) or not isinstance(given, dict):
        message = "The twin only knows createCommitOnBranch(input: $input)."
        return {"data": None, "errors": [{"type": "NOT_SUPPORTED", "message": message}]}
    name = given["branch"]["branchName"].removeprefix("refs/heads/")
    if given["branch"]["repositoryNameWithOwner"] != call.world.credentials.github_repository:
        return _graphql_error("NOT_FOUND", "Could not resolve to a Repository with that name.")
    with call.connection.transaction():
        head = call.connection.execute("select sha from twin.branches where name = %s for update", [name]).fetchone()
        if head is None:
            return _graphql_error("NOT_FOUND", f"Could not resolve to a branch named {name}.")
        if head["sha"] != given.get("expectedHeadOid"):
            return _graphql_error("STALE_DATA", "Expected branch to point to another commit. Pull and try again.")
        additions = (given.get("fileChanges") or {}).get("additions") or []
        files = {file["path"]: base64.b64decode(file["contents"]).decode() for file in additions}
        message = "\n\n".join(filter(None, (given["message"]["headline"], given["message"].get("body"))))
        sha = _add_commit(call, message, call.commit(head["sha"]), files)
        push(call.connection, call.now, name, sha, str(USER["login"]))
    commit = {"oid": sha, "url": f"{call.html}/commit/{sha}", "committedDate": iso(call.now)}
    return {"data": {"createCommitOnBranch": {"commit": commit, "ref": {"name": name}}}}


def _graphql_error(kind: str, message: str) -> Json:
    error = {"type": kind, "path": ["createCommitOnBranch"], "message": message}
    return {"data": {"createCommitOnBranch": None}, "errors": [error]}


# Routes and authorisation --------------------------------------------------------------------------------


def routes(world: World) -> list[BaseRoute]:
    """Return the twin's routes, as below `https://api.github.com`."""
    used: dict[int, int] = {}  # answers that counted against the limit, by the hour's reset

    def route(method: str, path: str, handler: Handler, permission: str) -> Route:
        def endpoint(request: Request) -> Response:
            response = answer(world, request, _authorise, _settled_call, handler)
            if method == "GET" and response.status_code == 200:
                response = _unless_unchanged(request, response)
            reset = _reset(world.now())
            if response.status_code != 304 and path != "/rate_limit":
                used[reset] = used.get(reset, 0) + 1
            response.headers.update(
                {
                    "x-github-media-type": "github.v3; format=json",
                    "x-accepted-github-permissions": permission,
                    "x-ratelimit-limit": str(RATE_LIMIT),
                    "x-ratelimit-used": str(used.get(reset, 0)),
                    "x-ratelimit-remaining": str(max(RATE_LIMIT - used.get(reset, 0), 0)),
                    "x-ratelimit-reset": str(reset),
                    "x-ratelimit-resource": "core",
                }
            )
            return response

        return Route(path, endpoint, methods=[method])

    def archive(request: Request) -> Response:
        return answer(world, request, _holds_the_address, _settled_call, _archive)

    repository = f"/repos/{world.credentials.github_repository}"
    contents, checks = "contents=read", "checks=read"
    return [
        route("GET", "/rate_limit", _rate_limit, ""),
        route("GET", repository, _repository, "metadata=read"),
        route("GET", f"{repository}/branches/{{branch}}", _branch, contents),
        route("GET", f"{repository}/branches/{{branch}}/protection", _protection, "administration=read"),
        route("GET", f"{repository}/rules/branches/{{branch}}", _rules, "metadata=read"),
        route("GET", f"{repository}/commits", _commits, contents),
        route("GET", f"{repository}/commits/{{ref}}", _commit, contents),
        route("GET", f"{repository}/commits/{{ref}}/status", _status, "statuses=read"),
        route("GET", f"{repository}/commits/{{ref}}/check-runs", _check_runs, checks),
        route("GET", f"{repository}/commits/{{ref}}/check-suites", _check_suites, checks),
        route("GET", f"{repository}/compare/{{range}}", _compare, contents),
        route("GET", f"{repository}/activity", _activity, contents),
        route("GET", f"{repository}/actions/runs", _runs, "actions=read"),
        route("GET", f"{repository}/deployments", _deployments, "deployments=read"),
        route("GET", f"{repository}/hooks", _hooks, "repository_hooks=read"),
        route("GET", f"{repository}/contents/{{path:path}}", _contents, contents),
        route("GET", f"{repository}/tarball/{{ref}}", _tarball, contents),
        Route(f"/codeload/{world.credentials.github_repository}/legacy.tar.gz/{{sha}}", archive, methods=["GET"]),
        route("GET", f"{repository}/git/ref/heads/{{branch}}", _ref, contents),
        route("GET", f"{repository}/git/commits/{{sha}}", _git_commit, contents),
        route("GET", f"{repository}/git/trees/{{tree}}", _tree, contents),
        route("POST", f"{repository}/git/commits", _create_commit, "contents=write"),
        route("PATCH", f"{repository}/git/refs/heads/{{branch}}", _update_ref, "contents=write"),
        route("POST", "/graphql", _graphql, "contents=write"),
    ]


def _settled_call(world: World, request: Request, connection: Connection, now: datetime) -> GitHubCall:
    """Return the call, after Vercel's app has reported the builds that ended since."""
    vercel_twin.settle(connection, now)
    return GitHubCall(world, request, connection, now)


def _authorise(world: World, request: Request) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:  # a private repository does not exist for strangers
        raise GitHubRefusalError(404, "Not Found")
    if scheme.lower() not in ("bearer", "token") or token != world.credentials.github_token:
        raise GitHubRefusalError(401, "Bad credentials")


def _unless_unchanged(request: Request, response: Response) -> Response:
    """Give `response` its ETag, or answer 304 if that is the one the caller has."""
    etag = f'W/"{hashlib.sha256(bytes(response.body)).hexdigest()}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"etag": etag})
    response.headers["etag"] = etag
    return response
