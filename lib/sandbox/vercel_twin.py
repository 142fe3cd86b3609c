"""A twin of Vercel's REST API: one project, its deployments, and the aliases that decide what visitors get.

Shapes after https://openapi.vercel.sh and the CLI's source. Building takes time by the clock: a deployment's
state follows from its timestamps whenever it is read, and `settle` acts on builds that ended since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from psycopg.types.json import Jsonb
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox.twin_api import TwinCall, TwinRefusalError, answer
from lib.sandbox.twin_helpers import Json, from_milliseconds, iso, milliseconds, new_id, read_json
from lib.sandbox.world import Connection, Row, World

# What the real API returns beside the harmless fields. Whoever reads this twin must drop them.
PLANTED_ENV_VALUE = "planted-env-value-must-never-be-kept"
PLANTED_BYPASS_SECRET = "plantedBypassSecretMustNeverBeKept"
PLANTED_HOOK_URL = "https://api.vercel.com/v1/integrations/deploy/planted-hook-url-must-never-be-kept"
PLANTED_LOG_TOKEN = "npm_plantedTokenInALogMustNeverBeShown00"
PLANTED_SECRETS = (PLANTED_ENV_VALUE, PLANTED_BYPASS_SECRET, PLANTED_HOOK_URL, PLANTED_LOG_TOKEN)

ALIAS_JOB_TIME = timedelta(seconds=1)  # how long promote and rollback take to move the hostnames
_USER = {"uid": "usr_sandbox", "username": "sam-lantern", "email": "sam@lantern-arms.example", "name": "Sam"}
_REGION, _PLAN, _NODE = "iad1", "pro", "22.x"
_BUILD_COMMAND = "next build --turbopack"
# What an account and a project may use, as far as it has to be said.
_RESOURCES = {"functionDefaultRegions": ["lhr1"]}
_LOCK = 7_311_001  # advisory lock: one settles at a time


class VercelRefusalError(TwinRefusalError):
    """An error answer of Vercel: `{"error": {"code", "message", …}}`."""

    def __init__(self, status: int, code: str, message: str, **more: Json) -> None:
        super().__init__(message, JSONResponse({"error": {"code": code, "message": message, **more}}, status))


@dataclass(frozen=True, slots=True)
class VercelCall(TwinCall):
    """One authorised request to the twin of Vercel."""

    @property
    def project(self) -> Row:
        """The project row, if the path's project is ours."""
        project = _project(self.connection)
        if self.path.get("project") not in (self.world.credentials.vercel_project_id, project["name"]):
            raise VercelRefusalError(404, "not_found", "Project not found")
        return project

    def deployment(self, id_or_host: str) -> Row:
        """The deployment of that id, URL or hostname."""
        row = self.connection.execute(
            """select * from twin.builds where id = %(it)s or url = %(it)s
                or id = (select deployment_id from twin.aliases where host = %(it)s)""",
            {"it": id_or_host},
        ).fetchone()
        if row is None:
            raise VercelRefusalError(404, "not_found", "The deployment could not be found")
        return row


Handler = Callable[[VercelCall], Json]


# For the other twins -------------------------------------------------------------------------------------


def settle(connection: Connection, now: datetime) -> None:
    """Do what Vercel did since the last request: end alias jobs, and move the hostnames to finished builds.

    In the order in which it happened, so that an older build that ends later takes the hostnames back.
    """
    if not _ended_builds(connection, now) and not _ended_alias_jobs(connection, now):
        return
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])  # others may have been faster: ask again
        steps = [(build["done_at"], partial(_end_build, connection, build)) for build in _ended_builds(connection, now)]
        steps += [
            (from_milliseconds(job["dueAt"]), partial(_end_alias_job, connection, job))
            for job in _ended_alias_jobs(connection, now)
        ]
        for _, step in sorted(steps, key=lambda each: each[0]):
            step()


def serving(connection: Connection, now: datetime, host: str) -> Row | None:
    """Return the deployment that `host` serves at `now`, with its commit's behaviour; None without an alias."""
    settle(connection, now)
    return connection.execute(
        """select d.id, d.sha, d.env, c.records_texts, c.confirmation_needs_login
           from twin.aliases a join twin.deployments d on d.id = a.deployment_id join twin.commits c using (sha)
           where a.host = %s""",
        [host],
    ).fetchone()


def push_received(connection: Connection, now: datetime, branch: str, sha: str, pusher: str) -> None:
    """React to a push: build it, unless the project is disconnected or its settings skip it."""
    project = _project(connection)
    if not project["git_linked"]:
        return
    target = "production" if branch == project["production_branch"] else None
    build = create_build(connection, now, sha=sha, branch=branch, target=target, source="git", creator=pusher)
    if project["ignore_command"]:
        connection.execute("update twin.deployments set canceled_at = %s where id = %s", [now, build])


def create_build(
    connection: Connection,
    now: datetime,
    *,
    sha: str,
    branch: str,
    target: str | None,
    source: str,
    creator: str,
    meta: dict[str, str] | None = None,
) -> str:
    """Queue a build and return its deployment id. It bakes in the environment as it is now.

    `meta` is the caller's own: it is kept beside what Vercel itself notes of the commit.
    """
    project = _project(connection)
    commit = connection.execute("select build_error from twin.commits where sha = %s", [sha]).fetchone()
    if commit is None:
        raise VercelRefusalError(404, "not_found", "The git source could not be found")
    building_at = now + project["queue_time"]
    deployment_id = new_id("dpl_", 28)
    connection.execute(
        """insert into twin.deployments (id, url, created_at, building_at, done_at, error_message, target, sha,
               branch, source, meta, creator, auto_assign, env)
           values (%(id)s, %(url)s, %(now)s, %(building_at)s, %(done_at)s, %(error)s, %(target)s, %(sha)s,
               %(branch)s, %(source)s, %(meta)s, %(creator)s, %(auto_assign)s, %(env)s)""",
        {
            "id": deployment_id,
            "url": f"{project['name']}-{new_id('', 9).lower()}-lantern-arms.vercel.app",
            "now": now,
            "building_at": building_at,
            "done_at": building_at + project["build_time"],
            "error": commit["build_error"],
            "target": target,
            "sha": sha,
            "branch": branch,
            "source": source,
            "meta": Jsonb(meta or {}),
            "creator": creator,
            "auto_assign": project["auto_assign_domains"],
            "env": Jsonb(environment(connection, target or "preview")),
        },
    )
    return deployment_id


def environment(connection: Connection, target: str) -> dict[str, str]:
    """Return the project's environment for `target`, name to value, as a build would bake it in now."""
    rows = connection.execute("select key, value from twin.env where %s = any(target)", [target]).fetchall()
    return {row["key"]: row["value"] for row in rows}


def state_of(build: Row, now: datetime) -> str:
    """Return a deployment's readyState at `now`."""
    if build["canceled_at"] is not None and build["canceled_at"] <= now:
        return "CANCELED"
    if now < build["building_at"]:
        halfway = build["created_at"] + (build["building_at"] - build["created_at"]) / 2
        return "QUEUED" if now < halfway else "INITIALIZING"
    if now < build["done_at"]:
        return "BUILDING"
    return "ERROR" if build["error_message"] else "READY"


# Moving hostnames ----------------------------------------------------------------------------------------


def _ended_builds(connection: Connection, now: datetime) -> list[Row]:
    return connection.execute(
        "select * from twin.deployments where done_at <= %s and canceled_at is null and not aliases_settled", [now]
    ).fetchall()


def _ended_alias_jobs(connection: Connection, now: datetime) -> list[Row]:
    rows = connection.execute(
        """select last_alias_request as job from twin.project
           where last_alias_request->>'jobStatus' = 'in-progress'
               and (last_alias_request->>'dueAt')::float8 <= %s""",
        [milliseconds(now)],
    ).fetchall()
    return [row["job"] for row in rows]


def _end_build(connection: Connection, build: Row) -> None:
    connection.execute("update twin.deployments set aliases_settled = true where id = %s", [build["id"]])
    if build["target"] == "production" and build["auto_assign"] and not build["error_message"]:
        _move_hostnames(connection, build["id"], build["done_at"], build["creator"])


def _end_alias_job(connection: Connection, job: Row) -> None:
    at = from_milliseconds(job["dueAt"])
    promotes = job["type"] == "promote"
    _move_hostnames(connection, job["toDeploymentId"], at, _USER["username"])
    connection.execute(
        """update twin.project set auto_assign_domains = %s, auto_assign_updated_by = %s,
               last_alias_request = last_alias_request || '{"jobStatus": "succeeded"}',
               rollback_note = case when %s then null else rollback_note end""",
        [promotes, _USER["username"], promotes],
    )
    log(connection, at, "project-auto-assign-custom-production-domains-updated", _USER["username"])


def _move_hostnames(connection: Connection, deployment_id: str, at: datetime, actor: str) -> None:
    connection.execute(
        """insert into twin.aliases (host, deployment_id, created_at, updated_at)
           select name, %(id)s, %(at)s, %(at)s from twin.domains where redirect is null
           on conflict (host) do update set deployment_id = excluded.deployment_id, updated_at = excluded.updated_at""",
        {"id": deployment_id, "at": at},
    )
    connection.execute(
        "update twin.deployments set promoted_at = coalesce(promoted_at, %s) where id = %s", [at, deployment_id]
    )
    log(connection, at, "aliases-assigned", actor, f"Assigned production domains to {deployment_id}")


def log(connection: Connection, at: datetime, kind: str, actor: str, text: str = "") -> None:
    """Write one row of the team's activity."""
    connection.execute(
        "insert into twin.activity (id, type, text, actor, at) values (%s, %s, %s, %s, %s)",
        [new_id("uev_"), kind, text or kind.replace("-", " "), actor, at],
    )


def _project(connection: Connection) -> Row:
    project = connection.execute("select * from twin.project").fetchone()
    if project is None:
        raise VercelRefusalError(404, "not_found", "Project not found")
    return project


# Shapes --------------------------------------------------------------------------------------------------


def _meta(world: World, build: Row) -> dict[str, str]:
    owner, repository = world.credentials.github_repository.split("/")
    meta = {
        "githubCommitSha": build["sha"],
        "githubCommitRef": build["branch"],
        "githubCommitMessage": build["message"],
        "githubCommitAuthorName": build["author_name"],
        "githubCommitAuthorLogin": build["author_login"],
        "githubOrg": owner,
        "githubRepo": repository,
        "githubDeployment": "1",
    }
    return {**build["meta"], **meta}


def _creator(build: Row) -> dict[str, str]:
    username = build["creator"]
    return {"uid": f"usr_{username}", "type": "user", "username": username}


def _common(call: VercelCall, build: Row) -> dict[str, Json]:
    """The fields that the list and the single deployment share."""
    state = state_of(build, call.now)
    ended = state in ("READY", "ERROR")
    promoted = build["promoted_at"] is not None and build["promoted_at"] <= call.now
    is_production = build["target"] == "production"
    shape: dict[str, Json] = {
        "name": _project(call.connection)["name"],
        "projectId": call.world.credentials.vercel_project_id,
        "url": build["url"],
        "created": milliseconds(build["created_at"]),
        "createdAt": milliseconds(build["created_at"]),
        "readyState": state,
        "target": build["target"],
        "source": build["source"],
        "creator": _creator(build),
        "meta": _meta(call.world, build),
        "inspectorUrl": f"https://vercel.com/lantern-arms/booking/{build['id'].removeprefix('dpl_')}",
        "aliasError": None,
    }
    if state == "READY":
        shape["ready"] = milliseconds(build["done_at"])
        if is_production:
            shape["readySubstate"] = "PROMOTED" if promoted else "STAGED"
    if state == "ERROR":
        shape |= {"errorCode": "BUILD_FAILED", "errorMessage": build["error_message"]}
    if _was_ignored(build):
        shape["errorMessage"] = (
            "The Deployment has been canceled as a result of running the command defined in the "
            '"Ignored Build Step" setting.'
        )
    if ended:
        shape |= {"checksState": "completed", "checksConclusion": "succeeded" if state == "READY" else "skipped"}
    return shape


def _was_ignored(build: Row) -> bool:
    """Whether the ignored build step stopped it, which happens in the moment in which it is made."""
    return build["canceled_at"] is not None and build["canceled_at"] == build["created_at"]


def _listed(call: VercelCall, build: Row) -> dict[str, Json]:
    shape = _common(call, build)
    shape["creator"] |= {"githubLogin": build["creator"]}
    if build["building_at"] <= call.now:
        shape["buildingAt"] = milliseconds(build["building_at"])
    promoted_at = build["promoted_at"] if build["target"] else build["done_at"]
    return shape | {
        "uid": build["id"],
        "state": shape["readyState"],
        "type": "LAMBDAS",
        "aliasAssigned": milliseconds(promoted_at) if shape["readyState"] == "READY" else None,
        "isRollbackCandidate": _is_rollback_candidate(call, build),
    }


def _single(call: VercelCall, build: Row) -> dict[str, Json]:
    """A deployment on its own: no `created`, and more of how it came about than in the list."""
    shape = _common(call, build)
    del shape["created"]
    world, state = call.world, shape["readyState"]
    promoted = state == "READY" and (build["promoted_at"] is not None or build["target"] is None)
    # Vercel's description leaves out neither of these, also not of a build that waits.
    begun = min(build["building_at"], call.now)
    shape |= {
        "id": build["id"],
        "version": 2,
        "type": "LAMBDAS",
        "status": state,
        "alias": _hostnames(call.connection) if promoted and build["target"] else [],
        "aliasAssigned": promoted,
        "aliasAssignedAt": milliseconds(build["promoted_at"]) if promoted else None,
        "autoAssignCustomDomains": build["auto_assign"],
        "bootedAt": milliseconds(begun),
        "buildingAt": milliseconds(begun),
        "buildSkipped": False,
        "createdIn": _REGION,
        "gitSource": _git_source_shape(call, build),
        "project": {"id": world.credentials.vercel_project_id, "name": shape["name"], "framework": "nextjs"},
        "projectSettings": {"framework": "nextjs", "nodeVersion": _NODE, "buildCommand": _BUILD_COMMAND},
        "team": _team(world),
        "ownerId": world.credentials.vercel_team_id,
        "plan": _PLAN,
        "regions": ["lhr1"],
        "routes": None,
        "env": sorted(build["env"]),
        "build": {"env": sorted(build["env"])},
        "isInConcurrentBuildsQueue": False,
        "isInSystemBuildsQueue": False,
        "public": False,
    }
    if state == "ERROR":
        shape |= {"errorStep": "buildStep", "buildErrorAt": milliseconds(build["done_at"])}
    if state == "CANCELED":
        shape["canceledAt"] = milliseconds(build["canceled_at"])
    if _was_ignored(build):
        shape["errorLink"] = "https://vercel.com/docs/project-configuration/git-settings#ignored-build-step"
    return shape


def _git_source_shape(call: VercelCall, build: Row) -> dict[str, Json]:
    owner, name = call.world.credentials.github_repository.split("/")
    return {
        "type": "github",
        "repoId": _repository(call.connection)["id"],
        "ref": build["branch"],
        "sha": build["sha"],
        "org": owner,
        "repo": name,
    }


def _of_project(call: VercelCall, build: Row) -> dict[str, Json]:
    """A deployment as the project repeats it: shorter, and some of it by other names."""
    single = _single(call, build)
    same = ("id", "name", "url", "createdAt", "buildingAt", "readyState", "readySubstate", "target", "meta", "type")
    more = ("alias", "aliasAssigned", "aliasError", "checksState", "checksConclusion", "createdIn", "plan")
    username = build["creator"]
    return {
        **{key: single[key] for key in (*same, *more) if key in single},
        **({"readyAt": single["ready"]} if "ready" in single else {}),
        "creator": {
            "uid": f"usr_{username}",
            "username": username,
            "email": f"{username}@lantern-arms.example",
            "githubLogin": username,
        },
        "deploymentHostname": build["url"],
        "private": False,
        "teamId": call.world.credentials.vercel_team_id,
        "userId": f"usr_{username}",
    }


def _is_rollback_candidate(call: VercelCall, build: Row) -> bool:
    if build["promoted_at"] is None or state_of(build, call.now) != "READY":
        return False
    return not call.connection.execute("select from twin.aliases where deployment_id = %s", [build["id"]]).fetchall()


def _hostnames(connection: Connection) -> list[str]:
    rows = connection.execute("select name from twin.domains where redirect is null order by name").fetchall()
    return [row["name"] for row in rows]


def _repository(connection: Connection) -> Row:
    row = connection.execute("select * from twin.repository").fetchone()
    if row is None:
        raise VercelRefusalError(404, "repo_not_found", "The repository could not be found")
    return row


def _team(world: World) -> dict[str, str]:
    return {"id": world.credentials.vercel_team_id, "slug": "lantern-arms", "name": "The Lantern Arms"}


def _paged(rows: list[dict[str, Json]], name: str, time_field: str, limit: int) -> dict[str, Json]:
    """Cut `rows` (newest first) at `limit`; `pagination.next` is the `until` of the next page."""
    page = rows[:limit]
    pagination = {
        "count": len(page),
        "next": page[-1][time_field] if len(rows) > limit else None,
        "prev": page[0][time_field] if page else None,
    }
    return {name: page, "pagination": pagination}


def _limit(call: VercelCall, maximum: int = 100) -> int:
    raw = call.query("limit") or "20"
    if not raw.isdigit() or not 1 <= int(raw) <= maximum:
        raise VercelRefusalError(400, "bad_request", f"Invalid request: `limit` should be between 1 and {maximum}.")
    return int(raw)


# Reads ---------------------------------------------------------------------------------------------------


def _user(call: VercelCall) -> Json:
    """The short form, which is what a token of a team gets."""
    known = {"id": _USER["uid"], **{key: _USER[key] for key in ("username", "email", "name")}}
    return {"user": known | {"avatar": None, "defaultTeamId": None, "limited": True}}


def _teams(call: VercelCall) -> Json:
    since = 1690000000000
    membership = {"role": "MEMBER", "confirmed": True, "created": since, "createdAt": since}
    team = _team(call.world) | {
        "avatar": None, "createdAt": since, "limited": True, "limitedBy": ["scope"], "membership": membership,
    }  # fmt: skip
    return {"teams": [team], "pagination": {"count": 1, "next": None, "prev": None}}


def _projects(call: VercelCall) -> Json:
    project = _project_shape(call, _project(call.connection))
    return {"projects": [project], "pagination": {"count": 1, "next": None, "prev": None}}


def _get_project(call: VercelCall) -> Json:
    return _project_shape(call, call.project)


def _project_shape(call: VercelCall, project: Row) -> dict[str, Json]:
    world = call.world
    live = call.connection.execute(
        "select * from twin.builds where id = (select deployment_id from twin.aliases where host = %s)",
        [world.credentials.production_hostname],
    ).fetchone()
    newest = call.connection.execute("select * from twin.builds order by created_at desc limit 4").fetchall()
    production = None if live is None else _of_project(call, live)
    by, note = project["auto_assign_updated_by"], project["rollback_note"]
    return {
        "id": world.credentials.vercel_project_id,
        "name": project["name"],
        "accountId": world.credentials.vercel_team_id,
        "framework": "nextjs",
        "buildCommand": _BUILD_COMMAND,
        "nodeVersion": _NODE,
        "directoryListing": False,
        "defaultResourceConfig": _RESOURCES,
        "resourceConfig": _RESOURCES,
        "deploymentExpiration": {},
        "createdAt": milliseconds(project["created_at"]),
        "updatedAt": milliseconds(call.now),
        **({"link": _link(call, project)} if project["git_linked"] else {}),
        "autoAssignCustomDomains": project["auto_assign_domains"],
        **({"autoAssignCustomDomainsUpdatedBy": by} if by else {}),
        "autoExposeSystemEnvs": True,
        "commandForIgnoringBuildStep": project["ignore_command"],
        "enableAffectedProjectsDeployments": False,
        "rootDirectory": None,
        "gitProviderOptions": {"createDeployments": "enabled", "requireVerifiedCommits": False},
        "paused": project["paused"],
        "live": not project["paused"],
        "rollingRelease": None,
        **({"rollbackDescription": {"userId": _USER["uid"], **note}} if note else {}),
        "lastAliasRequest": _shown_alias_request(project),
        "lastRollbackTarget": None,
        "skewProtectionMaxAge": 0,
        "ssoProtection": {"deploymentType": "prod_deployment_urls_and_all_previews"},
        "targets": {"production": production} if production else {},
        "latestDeployments": [_of_project(call, build) for build in newest],
        "alias": [
            {"domain": host, "environment": "production", "target": "PRODUCTION", "deployment": production}
            for host in _hostnames(call.connection)
        ],
        "crons": {
            "enabledAt": milliseconds(project["created_at"]),
            "disabledAt": None,
            "updatedAt": milliseconds(project["created_at"]),
            "deploymentId": None,
            "definitions": [],
        },
        # The real API returns these secrets too.
        "env": _env_rows(call.connection),
        "passwordProtection": None,
        "protectionBypass": {
            PLANTED_BYPASS_SECRET: {"createdAt": 1700000000000, "createdBy": _USER["uid"], "scope": "automation-bypass"}
        },
    }


def _link(call: VercelCall, project: Row) -> Json:
    owner, name = call.world.credentials.github_repository.split("/")
    return {
        "type": "github",
        "org": owner,
        "repo": name,
        "repoId": _repository(call.connection)["id"],
        "repoOwnerId": 90210,
        "gitCredentialId": "cred_sandbox",
        "sourceless": True,
        "productionBranch": project["production_branch"],
        "createdAt": milliseconds(project["created_at"]),
        "updatedAt": milliseconds(project["created_at"]),
        "deployHooks": [
            {"id": "hook", "name": "rebuild", "ref": "main", "url": PLANTED_HOOK_URL, "createdAt": 1700000000000}
        ],
    }


def _shown_alias_request(project: Row) -> Json:
    request = project["last_alias_request"]
    return None if request is None else {key: value for key, value in request.items() if key != "dueAt"}


def _env_rows(connection: Connection) -> list[dict[str, Json]]:
    rows = connection.execute("select * from twin.env order by created_at, key").fetchall()
    return [
        {
            "id": row["id"],
            "key": row["key"],
            "value": PLANTED_ENV_VALUE,
            "type": row["type"],
            "target": row["target"],
            "customEnvironmentIds": [],
            "createdAt": milliseconds(row["created_at"]),
            "updatedAt": milliseconds(row["updated_at"]),
            "updatedBy": _USER["uid"],
        }
        for row in rows
    ]


def _domains(call: VercelCall) -> Json:
    rows = call.connection.execute("select * from twin.domains order by created_at desc, name").fetchall()
    if call.project and call.query("redirects") == "false":
        rows = [row for row in rows if row["redirect"] is None]
    domains = [
        {
            "name": row["name"],
            "apexName": ".".join(row["name"].split(".")[-2:]),
            "projectId": call.world.credentials.vercel_project_id,
            "redirect": row["redirect"],
            "redirectStatusCode": 308 if row["redirect"] else None,
            "gitBranch": None,
            "customEnvironmentId": None,
            "verified": True,
            "createdAt": milliseconds(row["created_at"]),
            "updatedAt": milliseconds(row["created_at"]),
        }
        for row in rows
    ]
    return _paged(domains, "domains", "createdAt", _limit(call))


def _alias_shape(call: VercelCall, row: Row) -> dict[str, Json]:
    return {
        "uid": f"als_{row['host']}",
        "alias": row["host"],
        "deploymentId": row["deployment_id"],
        "deployment": {"id": row["deployment_id"], "url": row["url"]},
        "projectId": call.world.credentials.vercel_project_id,
        "created": iso(row["created_at"]),
        "createdAt": milliseconds(row["created_at"]),
        "updatedAt": milliseconds(row["updated_at"]),
        "deletedAt": None,
        "redirect": None,
    }


def _alias(call: VercelCall) -> Json:
    row = call.connection.execute("select * from twin.hostnames where host = %s", [call.path["host"]]).fetchone()
    if row is None:
        raise VercelRefusalError(404, "not_found", "The alias was not found")
    return _alias_shape(call, row)


def _aliases(call: VercelCall) -> Json:
    target = call.query("rollbackDeploymentId")
    if target is not None:
        call.deployment(target)
    rows = call.connection.execute("select * from twin.hostnames order by created_at desc, host").fetchall()
    return _paged([_alias_shape(call, row) for row in rows], "aliases", "createdAt", _limit(call))


def _get_deployment(call: VercelCall) -> Json:
    return _single(call, call.deployment(call.path["deployment"]))


def _list_deployments(call: VercelCall) -> Json:
    query = call.request.query_params
    projects = {*query.getlist("projectId"), *(query.get("projectIds") or "").split(","), query.get("app")}
    wanted_projects = {project for project in projects if project}
    ours = {call.world.credentials.vercel_project_id, _project(call.connection)["name"]}
    if wanted_projects and not wanted_projects & ours:
        return _paged([], "deployments", "created", _limit(call))
    rows = call.connection.execute("select * from twin.builds order by created_at desc, id desc").fetchall()
    shapes = [_listed(call, row) for row in rows]
    return _paged([shape for shape in shapes if _matches(call, shape)], "deployments", "created", _limit(call))


def _matches(call: VercelCall, shape: dict[str, Json]) -> bool:
    """Whether a listed deployment passes every filter of the query."""
    query = call.request.query_params
    since, until = query.get("since") or query.get("from"), query.get("until") or query.get("to")
    states = query.get("state")
    target = query.get("target")
    users = query.get("users")
    meta = {key.removeprefix("meta-"): value for key, value in query.items() if key.startswith("meta-")}
    return (
        (since is None or shape["created"] >= float(since))
        and (until is None or shape["created"] < float(until))
        and (states is None or shape["readyState"] in states.upper().split(","))
        and (target is None or (shape["target"] or "preview") == target)
        and (users is None or shape["creator"]["uid"] in users.split(","))
        and query.get("branch") in (None, shape["meta"]["githubCommitRef"])
        and query.get("sha") in (None, shape["meta"]["githubCommitSha"])
        and (query.get("rollbackCandidate") != "true" or shape["isRollbackCandidate"])
        and all(shape["meta"].get(key) == value for key, value in meta.items())
    )


def _events(call: VercelCall) -> Json:
    build = call.deployment(call.path["deployment"])
    since, until = call.query("since"), call.query("until")
    lines = [
        line
        for line in _build_log(build, call.now)
        if (since is None or line["created"] >= float(since)) and (until is None or line["created"] <= float(until))
    ]
    if call.query("direction") == "backward":
        lines.reverse()
    limit = int(call.query("limit") or -1)
    return (lines if limit < 0 else lines[:limit]) or None  # Vercel really answers null for no lines


def _build_log(build: Row, now: datetime) -> list[dict[str, Json]]:
    """The log as far as the build got by `now`, oldest line first."""
    lines: list[tuple[str, str, str | None]] = [
        ("stdout", "Running build in Washington, D.C., USA (East) – iad1", None),
        ("stdout", f"Cloning lantern-arms/booking (Branch: {build['branch']}, Commit: {build['sha'][:7]})", None),
        ("command", 'Running "install" command: `npm ci`...', None),
        ("stdout", f"npm config set //registry.example/:_authToken={PLANTED_LOG_TOKEN}", None),
        ("stderr", "\x1b[33mnpm warn deprecated inflight@1.0.6: This module is not supported\x1b[0m", "warning"),
        ("command", "Detected Next.js version: 15.3.1", None),
        ("command", 'Running "npm run build"', None),
        ("stdout", "   Creating an optimized production build ...", None),
    ]
    if build["error_message"]:
        lines += [
            ("stderr", "\x1b[31mFailed to compile.\x1b[0m", "error"),
            ("stderr", build["error_message"], "error"),
            ("stderr", 'Error: Command "npm run build" exited with 1', "error"),
        ]
    else:
        lines += [
            ("stdout", " ✓ Compiled successfully", None),
            ("stdout", "Build Completed in /vercel/output", None),
            ("stdout", "Deployment completed", None),
        ]
    step = (build["done_at"] - build["building_at"]) / len(lines)
    end = min(now, build["canceled_at"] or now)
    log: list[dict[str, Json]] = []
    for serial, (kind, text, level) in enumerate(lines):
        at = build["building_at"] + step * (serial + 1)
        if at > end:
            break
        created = milliseconds(at)
        identity = {"id": f"{build['id']}-{serial}", "serial": f"{created}{serial:04}", "deploymentId": build["id"]}
        if kind == "command":  # the older, wrapped shape is still seen
            log.append({"type": kind, "created": created, "payload": {"text": text, "date": created, **identity}})
        else:
            info = {"type": "build", "name": "bld_sandbox", "entrypoint": "."}
            line = {"type": kind, "created": created, "date": created, "text": text, "info": info, **identity}
            log.append(line | ({"level": level} if level else {}))
    return log


def _env(call: VercelCall) -> Json:
    _ = call.project
    # Only this list says what is wrong with each.
    rows = [row | {"securityIssues": []} for row in _env_rows(call.connection)]
    return {"envs": rows, "pagination": {"count": len(rows), "next": None, "prev": None}}


def _activity(call: VercelCall) -> Json:
    types = call.query("types")
    since = call.query("since")
    until = call.query("until")
    rows = call.connection.execute(
        """select * from twin.activity
           where (%(types)s::text[] is null or type = any(%(types)s))
               and (%(since)s::timestamptz is null or at >= %(since)s)
               and (%(until)s::timestamptz is null or at < %(until)s)
           order by at desc, id limit %(limit)s""",
        {
            "types": types.split(",") if types else None,
            "since": _instant(since) if since else None,
            "until": _instant(until) if until else None,
            "limit": _limit(call),
        },
    ).fetchall()
    events = [
        {
            "id": row["id"],
            "type": row["type"],
            "text": row["text"],
            "entities": [],
            "createdAt": milliseconds(row["at"]),
            "principalId": f"usr_{row['actor']}",
            "user": {
                "uid": f"usr_{row['actor']}",
                "username": row["actor"],
                "email": f"{row['actor']}@lantern-arms.example",
                "avatar": "",
            },
            "userId": f"usr_{row['actor']}",
        }
        for row in rows
    ]
    return {"events": events}


def _instant(value: str) -> datetime:
    """This one endpoint takes ISO 8601 as well as milliseconds."""
    return from_milliseconds(value) if value.isdigit() else datetime.fromisoformat(value.replace("Z", "+00:00"))


def _dns(call: VercelCall) -> Json:
    known = call.connection.execute("select from twin.domains where name = %s", [call.path["host"]]).fetchall()
    return {
        "configuredBy": "CNAME" if known else None,
        "acceptedChallenges": ["http-01"],
        "misconfigured": not known,
        "recommendedCNAME": [{"rank": 1, "value": "cname.vercel-dns.com."}],
        "recommendedIPv4": [{"rank": 1, "value": ["216.198.79.1"]}],
    }


def _production_deployment(call: VercelCall) -> Json:
    _ = call.project
    return {"deployment": _single(call, call.deployment(call.world.credentials.production_hostname))}


def _rolling_release(call: VercelCall) -> Json:
    return {"rollingRelease": None} if call.project else None


def _alias_results(call: VercelCall) -> Json:
    request = call.project["last_alias_request"]
    if request is None or call.query("failedOnly") == "true":
        return {}
    status = {"succeeded": "completed"}.get(request["jobStatus"], request["jobStatus"])
    rows = [
        {"alias": host, "id": f"als_{host}", "status": status} for host in _hostnames(call.connection)[: _limit(call)]
    ]
    return {"aliases": rows, "pagination": {"count": len(rows), "next": None, "prev": None}}


# Writes --------------------------------------------------------------------------------------------------


def _create_deployment(call: VercelCall) -> Json:
    body = read_json(call.request)
    project = _project(call.connection)
    if not body.get("name") and not body.get("project"):
        raise VercelRefusalError(400, "bad_request", "Invalid request: missing required property `name`.")
    if body.get("project", call.world.credentials.vercel_project_id) not in (
        call.world.credentials.vercel_project_id,
        project["name"],
    ):
        raise VercelRefusalError(404, "not_found", "Project not found")
    target = body.get("target")
    if target == "preview":
        target = None
    if body.get("deploymentId"):
        original = call.deployment(body["deploymentId"])
        branch, sha, source = original["branch"], original["sha"], "redeploy"
        if body.get("withLatestCommit"):
            sha = _head(call.connection, branch)
    elif body.get("gitSource"):
        branch, sha = _git_source(call, body["gitSource"])
        source = "api-trigger-git-deploy"
    else:
        raise VercelRefusalError(
            400, "missing_files", "The request has neither files, nor a deployment, nor a git source."
        )
    build = create_build(
        call.connection,
        call.now,
        sha=sha,
        branch=branch,
        target=target,
        source=source,
        creator=_USER["username"],
        meta=_given_meta(body),
    )
    return _single(call, call.deployment(build))


def _given_meta(body: dict[str, Json]) -> dict[str, str]:
    meta = body.get("meta") or {}
    if not isinstance(meta, dict) or not all(isinstance(value, str) for value in meta.values()):
        raise VercelRefusalError(400, "bad_request", "Invalid request: `meta` should be an object of strings.")
    return meta


def _git_source(call: VercelCall, git: dict[str, Json]) -> tuple[str, str]:
    repository = _repository(call.connection)
    if not _project(call.connection)["git_linked"]:
        raise VercelRefusalError(400, "bad_request", "The project is not linked to a Git repository.")
    owner, name = call.world.credentials.github_repository.split("/")
    by_id = str(git.get("repoId")) == str(repository["id"])
    by_name = (git.get("org"), git.get("repo")) == (owner, name)
    if git.get("type") != "github" or not (by_id or by_name):
        raise VercelRefusalError(404, "repo_not_found", "The repository could not be found")
    branch = str(git.get("ref") or repository["default_branch"])
    return branch, str(git.get("sha") or _head(call.connection, branch))


def _head(connection: Connection, branch: str) -> str:
    row = connection.execute("select sha from twin.branches where name = %s", [branch]).fetchone()
    if row is None:
        raise VercelRefusalError(404, "not_found", "The git reference could not be found")
    return str(row["sha"])


def _cancel(call: VercelCall) -> Json:
    build = call.deployment(call.path["deployment"])
    state = state_of(build, call.now)
    if state in ("READY", "ERROR", "CANCELED"):
        raise VercelRefusalError(400, "bad_request", f"The deployment cannot be canceled: it is {state}.")
    call.connection.execute("update twin.deployments set canceled_at = %s where id = %s", [call.now, build["id"]])
    return _single(call, call.deployment(build["id"]))


def _promote(call: VercelCall) -> Json:
    build = _alias_target(call)
    _start_alias_job(call, "promote", build)
    log(call.connection, call.now, "manual-deployment-promotion-created", _USER["username"])
    return JSONResponse({}, 201)


def _rollback(call: VercelCall) -> Json:
    build = _alias_target(call)
    if build["promoted_at"] is None:
        raise VercelRefusalError(422, "unprocessable_entity", "This deployment never served production.")
    _start_alias_job(call, "rollback", build)
    note = {
        "userId": _USER["uid"],
        "username": _USER["username"],
        "description": call.query("description") or "",
        "createdAt": milliseconds(call.now),
    }
    call.connection.execute("update twin.project set rollback_note = %s", [Jsonb(note)])
    log(call.connection, call.now, "instant-rollback-created", _USER["username"])
    return JSONResponse({}, 201)


def _alias_target(call: VercelCall) -> Row:
    """The deployment that production is to move to. Raises what Vercel would refuse it with."""
    request = call.project["last_alias_request"]
    build = call.deployment(call.path["deployment"])
    if build["target"] != "production" or state_of(build, call.now) != "READY":
        raise VercelRefusalError(
            422, "unprocessable_entity", "Only a production deployment that is READY can be aliased."
        )
    if request is not None and request["jobStatus"] == "in-progress":
        raise VercelRefusalError(409, "conflict", "Another promote or rollback is in progress.")
    return build


def _start_alias_job(call: VercelCall, kind: str, build: Row) -> None:
    live = serving(call.connection, call.now, call.world.credentials.production_hostname)
    request = {
        "type": kind,
        "fromDeploymentId": live["id"] if live else None,
        "toDeploymentId": build["id"],
        "jobStatus": "in-progress",
        "requestedAt": milliseconds(call.now),
        "dueAt": milliseconds(call.now + ALIAS_JOB_TIME),
    }
    call.connection.execute("update twin.project set last_alias_request = %s", [Jsonb(request)])


def _patch_project(call: VercelCall) -> Json:
    _ = call.project
    body = read_json(call.request)
    if "autoAssignCustomDomains" in body:
        call.connection.execute(
            "update twin.project set auto_assign_domains = %s, auto_assign_updated_by = %s",
            [bool(body["autoAssignCustomDomains"]), _USER["username"]],
        )
        log(
            call.connection,
            call.now,
            "project-auto-assign-custom-production-domains-updated",
            _USER["username"],
        )
    if "commandForIgnoringBuildStep" in body:
        call.connection.execute("update twin.project set ignore_command = %s", [body["commandForIgnoringBuildStep"]])
        log(call.connection, call.now, "project-ignored-build-step-updated", _USER["username"])
    return _get_project(call)


def _patch_branch(call: VercelCall) -> Json:
    _ = call.project
    branch = read_json(call.request).get("branch")
    if not isinstance(branch, str) or not branch:
        raise VercelRefusalError(400, "bad_request", "Invalid request: missing required property `branch`.")
    call.connection.execute("update twin.project set production_branch = %s", [branch])
    log(call.connection, call.now, "production-branch-updated", _USER["username"])
    return _get_project(call)


def _link_repository(call: VercelCall) -> Json:
    _ = call.project
    body = read_json(call.request)
    if body.get("type") != "github" or body.get("repo") != call.world.credentials.github_repository:
        raise VercelRefusalError(
            400, "repo_not_found", "The repository could not be found", action="Install GitHub App"
        )
    call.connection.execute("update twin.project set git_linked = true")
    log(call.connection, call.now, "project-git-repository-connected", _USER["username"])
    return _get_project(call)


def _unlink_repository(call: VercelCall) -> Json:
    _ = call.project
    call.connection.execute("update twin.project set git_linked = false")
    log(call.connection, call.now, "project-git-repository-disconnected", _USER["username"])
    return _get_project(call)


def _create_env(call: VercelCall) -> Json:
    """Add a variable, or with `upsert=true` change it. Only builds made from now on have it."""
    _ = call.project
    body = read_json(call.request)
    key, target = body.get("key"), body.get("target")
    if not isinstance(key, str) or not isinstance(target, list):
        raise VercelRefusalError(400, "bad_request", "Invalid request: missing required property `key` or `target`.")
    call.connection.execute("delete from twin.env where key = %s and %s", [key, call.query("upsert") == "true"])
    exists = call.connection.execute("select from twin.env where key = %s and target && %s", [key, target])
    if exists.fetchall():
        raise VercelRefusalError(
            400, "ENV_CONFLICT", f"A variable with the name `{key}` already exists for the target."
        )
    call.connection.execute(
        """insert into twin.env (id, key, value, type, target, created_at, updated_at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [
            new_id("env_"),
            key,
            str(body.get("value", "")),
            str(body.get("type", "encrypted")),
            target,
            call.now,
            call.now,
        ],
    )
    log(call.connection, call.now, "env-variable-add", _USER["username"], f"Added {key}")
    created = next(row for row in _env_rows(call.connection) if row["key"] == key)
    return JSONResponse({"created": created, "failed": []}, 201)


# Routes and authorisation --------------------------------------------------------------------------------


def routes(world: World) -> list[BaseRoute]:
    """Return the twin's routes, as below `https://api.vercel.com`."""

    def route(method: str, path: str, handler: Handler, *, scoped: bool = True) -> Route:
        authorise = partial(_authorise, scoped=scoped)

        def endpoint(request: Request) -> Response:
            return answer(world, request, authorise, _settled_call, handler)

        return Route(path, endpoint, methods=[method])

    def each(paths: Iterable[str], method: str, handler: Handler) -> list[Route]:
        return [route(method, path, handler) for path in paths]

    project = "/v9/projects/{project}"
    return [
        route("GET", "/v2/user", _user, scoped=False),
        route("GET", "/v2/teams", _teams, scoped=False),
        route("GET", "/v10/projects", _projects),
        route("GET", project, _get_project),
        route("PATCH", project, _patch_project),
        route("PATCH", f"{project}/branch", _patch_branch),
        route("POST", f"{project}/link", _link_repository),
        route("DELETE", f"{project}/link", _unlink_repository),
        route("GET", f"{project}/domains", _domains),
        route("GET", "/v10/projects/{project}/env", _env),
        route("POST", "/v10/projects/{project}/env", _create_env),
        route("GET", "/projects/{project}/production-deployment", _production_deployment),
        route("GET", "/v1/projects/{project}/rolling-release", _rolling_release),
        route("GET", "/v4/aliases", _aliases),
        route("GET", "/v4/aliases/{host}", _alias),
        route("GET", "/v6/domains/{host}/config", _dns),
        route("GET", "/v3/events", _activity),
        *each(("/v7/deployments", "/v6/deployments"), "GET", _list_deployments),
        route("POST", "/v13/deployments", _create_deployment),
        route("GET", "/v13/deployments/{deployment}", _get_deployment),
        route("GET", "/v3/deployments/{deployment}/events", _events),
        route("PATCH", "/v12/deployments/{deployment}/cancel", _cancel),
        route("POST", "/v10/projects/{project}/promote/{deployment}", _promote),
        *each((f"/{v}/projects/{{project}}/rollback/{{deployment}}" for v in ("v1", "v9")), "POST", _rollback),
        *each(
            (f"/{v}/projects/{{project}}/{k}/aliases" for v in ("v1", "v9") for k in ("promote", "rollback")),
            "GET",
            _alias_results,
        ),
    ]


def _settled_call(world: World, request: Request, connection: Connection, now: datetime) -> VercelCall:
    """Return the call, after everything that Vercel did by itself since the last one."""
    settle(connection, now)
    return VercelCall(world, request, connection, now)


def _authorise(world: World, request: Request, *, scoped: bool) -> None:
    """Check the token, and on everything that belongs to a team, that the team is named."""
    header = request.headers.get("authorization", "")
    if not header.startswith("Bearer "):
        raise VercelRefusalError(401, "forbidden", "The request is missing an authentication token", missingToken=True)
    if header.removeprefix("Bearer ") != world.credentials.vercel_token:
        raise VercelRefusalError(403, "forbidden", "Not authorized", invalidToken=True)
    if not scoped:
        return
    team = request.query_params.get("teamId") or request.query_params.get("slug")
    if team is None:  # this asks the token's own account, which has no projects
        raise VercelRefusalError(404, "not_found", "The requested resource was not found in your personal account")
    if team not in (world.credentials.vercel_team_id, "lantern-arms"):
        message = f'Not authorized: Trying to access resource under scope "{team}".'
        raise VercelRefusalError(403, "forbidden", message, scope=team, teamId=team, saml=False, enforced=False)
