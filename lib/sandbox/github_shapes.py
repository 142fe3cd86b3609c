"""The parts that GitHub repeats in its answers: accounts, apps, the repository, the entries of a folder.

Shapes after https://github.com/github/rest-api-description, where each of these fields must be there. The desk reads
few of them; a client of GitHub's own reads all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from lib.sandbox.twin_helpers import Json, iso
from lib.sandbox.world import Row

API = "https://api.github.com"
# What follows the address of an account, by the name of its field.
_OF_AN_ACCOUNT = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}
# What follows the address of a repository.
_OF_A_REPOSITORY = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_APP_MADE_AT = "2017-03-20T15:21:09Z"
FOLDER, FILE = ("tree", "040000"), ("blob", "100644")


def number_of(name: str) -> int:
    """Return an id that is the same for the same name."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)


def account(login: str, kind: str = "User") -> dict[str, Json]:
    """Return whoever did something: a user, an organisation, or the bot of an app."""
    number, url = number_of(login), f"{API}/users/{login}"
    return {
        "login": login,
        "id": number,
        "node_id": f"U_{number}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4",
        "gravatar_id": "",
        "url": url,
        "html_url": f"https://github.com/{login}",
        **{field: url + tail for field, tail in _OF_AN_ACCOUNT.items()},
        "type": kind,
        "site_admin": False,
    }


def app(number: int, slug: str, name: str) -> dict[str, Json]:
    """Return a GitHub App, as the checks that it runs name it."""
    return {
        "id": number,
        "slug": slug,
        "node_id": f"A_{number}",
        "owner": account(slug.partition("-")[0], "Organization"),
        "name": name,
        "description": None,
        "external_url": f"https://{slug}.example",
        "html_url": f"https://github.com/apps/{slug}",
        "created_at": _APP_MADE_AT,
        "updated_at": _APP_MADE_AT,
        "permissions": {"checks": "write", "contents": "read", "metadata": "read"},
        "events": ["push"],
    }


def repository(full_name: str, number: int, api: str) -> dict[str, Json]:
    """Return the repository, as answers about something in it repeat it."""
    owner, name = full_name.split("/")
    return {
        "id": number,
        "node_id": f"R_{number}",
        "name": name,
        "full_name": full_name,
        "private": True,
        "owner": account(owner, "Organization"),
        "html_url": f"https://github.com/{full_name}",
        "description": None,
        "fork": False,
        "url": api,
        **{field: api + tail for field, tail in _OF_A_REPOSITORY.items()},
    }


def whole_repository(short: Mapping[str, Json], row: Row, pushed_at: str | None) -> dict[str, Json]:
    """Return the repository with what only the question for it alone is answered with."""
    page = short["html_url"]
    return {
        **short,
        "clone_url": f"{page}.git",
        "git_url": f"git://{page.removeprefix('https://')}.git",
        "ssh_url": f"git@github.com:{short['full_name']}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": "TypeScript",
        "license": None,
        "default_branch": row["default_branch"],
        "visibility": "private",
        "created_at": iso(row["created_at"]),
        "updated_at": pushed_at,
        "pushed_at": pushed_at,
        "archived": False,
        "disabled": False,
        **dict.fromkeys(("has_issues", "has_projects", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "has_discussions"), False),
        **dict.fromkeys(("forks", "forks_count", "open_issues", "open_issues_count", "network_count"), 0),
        **dict.fromkeys(("stargazers_count", "watchers", "watchers_count"), 0),
        "subscribers_count": 1,
        "size": 180,
        "permissions": {"admin": False, "maintain": False, "push": True, "triage": True, "pull": True},
    }


def blob_id(content: str) -> str:
    """Return the id that Git gives to a file with this content."""
    raw = content.encode()
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def tree_id(path: str, files: Mapping[str, str]) -> str:
    """Return an id for a folder that changes with anything in it. Git's own is made of other bytes."""
    below = sorted((name, blob_id(text)) for name, text in files.items() if name.startswith(f"{path}/"))
    return hashlib.sha1(f"tree {path} {below}".encode(), usedforsecurity=False).hexdigest()


def folders_of(files: Mapping[str, str]) -> list[str]:
    """Return the folders that hold the files, each with those above it."""
    parts = (path.split("/") for path in files)
    return sorted({"/".join(each[:depth]) for each in parts for depth in range(1, len(each))})


def entry(api: str, page: str, ref: str, path: str, files: Mapping[str, str]) -> dict[str, Json]:
    """Return a file or a folder as the list of the folder above shows it."""
    is_file = path in files
    sha = blob_id(files[path]) if is_file else tree_id(path, files)
    url = f"{api}/contents/{path}?ref={ref}"
    git_url = f"{api}/git/{'blobs' if is_file else 'trees'}/{sha}"
    html_url = f"{page}/{'blob' if is_file else 'tree'}/{ref}/{path}"
    raw = f"https://raw.githubusercontent.com/{page.removeprefix('https://github.com/')}/{ref}/{path}"
    return {
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "sha": sha,
        "size": len(files[path].encode()) if is_file else 0,
        "url": url,
        "html_url": html_url,
        "git_url": git_url,
        "download_url": raw if is_file else None,
        "type": "file" if is_file else "dir",
        "_links": {"self": url, "git": git_url, "html": html_url},
    }


def tree(api: str, files: Mapping[str, str], *, recursive: bool) -> list[dict[str, Json]]:
    """Return the entries of a tree: of its first level, or with all below."""
    paths = sorted([*folders_of(files), *files])
    shown = paths if recursive else [path for path in paths if "/" not in path]
    entries = []
    for path in shown:
        is_file = path in files
        kind, mode = FILE if is_file else FOLDER
        sha = blob_id(files[path]) if is_file else tree_id(path, files)
        size = {"size": len(files[path].encode())} if is_file else {}
        url = f"{api}/git/{kind}s/{sha}"
        entries.append({"path": path, "mode": mode, "type": kind, "sha": sha, **size, "url": url})
    return entries
