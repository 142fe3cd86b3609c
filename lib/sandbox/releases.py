"""The past of the code: commits, pushes, builds, and which of them served production from when to when."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict, Unpack

from psycopg.types.json import Jsonb

from lib.sandbox import booking_app_code, vercel_twin
from lib.sandbox.booking_app_twin import WEBHOOK_URL_ENV
from lib.sandbox.twin_helpers import milliseconds, new_id
from lib.sandbox.world import Connection, World

# The id of a commit names what it holds, so it changes with the source code of the app.
FIX = "3aee739" + booking_app_code.digest()[:33]
FIX_MESSAGE = "Record the confirmation text on the pending booking"
FAULT_MESSAGE = "Create customers only when they confirm"
REPOSITORY_ID = 781_204_553
QUEUE_TIME = timedelta(seconds=15)
BUILD_TIME = timedelta(seconds=100)
RELEASE_TIME = QUEUE_TIME + BUILD_TIME
TRANSIENT_BUILD_ERROR = "npm error code ETIMEDOUT: network request to the package registry failed"
TYPE_ERROR = "./src/lib/sms/send.ts:41:18 Type error: Cannot find module '@/lib/phone' or its type declarations."

_AUTHORS = {"sam-lantern": "Sam Porter", "priya-dev": "Priya Nair"}
_FIRST_COMMITS = (  # days ago, who, what; all from before any scenario's break
    (60, "priya-dev", "Booking app"),
    (41, "priya-dev", "Short links for texts"),
    (33, "sam-lantern", "Sunday menu"),
    (26, "priya-dev", "Log API usage"),
    (21, "sam-lantern", "Winter opening hours"),
    (16, "priya-dev", "Upgrade Next.js to 15.3"),
)
_MIGRATIONS = {  # as in the database's migration history
    "20250601090000_initial_schema.sql": "-- The first tables.\n",
    "20250714220000_pending_bookings_public_read.sql": (
        'create policy "Anyone can view pending bookings" on public.pending_bookings for select using (true);\n'
    ),
    "20250802101500_short_links.sql": "-- Short links and their clicks.\n",
    "20250819163000_api_usage.sql": "-- One row for each API call.\n",
}


@dataclass(frozen=True, slots=True)
class Served:
    """What production served from `since` on."""

    since: datetime
    deployment_id: str
    records_texts: str
    confirmation_needs_login: bool


class CommitFields(TypedDict, total=False):
    """What may be given of a commit. `records_texts` and `confirmation_needs_login` are inherited unless given."""

    sha: str
    author: str
    files: dict[str, str]
    records_texts: str
    confirmation_needs_login: bool


class Releases:
    """Writes the code's past into the twins of GitHub and Vercel, oldest first."""

    def __init__(self, connection: Connection, world: World, now: datetime) -> None:
        self._connection = connection
        self._world = world
        self._now = now
        self.served: list[Served] = []
        self._found_company()
        for days, author, message in _FIRST_COMMITS:
            files = self._first_files() if not self.served else {}
            # Not at the full day, so that no push coincides with a booking.
            at = now - timedelta(days=days) + timedelta(minutes=11)
            self.release(message, at, author=author, files=files)

    def _found_company(self) -> None:
        began = self._now - timedelta(days=400)
        keys = self._world.credentials
        run = self._connection.execute
        run(
            "insert into twin.repository (id, default_branch, created_at) values (%s, 'main', %s)",
            [REPOSITORY_ID, began],
        )
        run("insert into twin.project (name, created_at) values ('booking', %s)", [began])
        run(
            "insert into twin.domains values (%s, null, %s), ('lantern-arms-booking.vercel.app', null, %s),"
            " ('www.lantern-arms.example', %s, %s)",
            [keys.production_hostname, began, began, keys.production_hostname, began],
        )
        app = f"{self._world.base_url}/app"
        environment = {
            "NEXT_PUBLIC_APP_URL": ("plain", app),
            "NEXT_PUBLIC_SUPABASE_URL": ("plain", f"{self._world.base_url}/supabase"),
            "SUPABASE_SERVICE_ROLE_KEY": ("sensitive", keys.supabase_secret_key),
            "TWILIO_ACCOUNT_SID": ("encrypted", keys.twilio_account_sid),
            "TWILIO_AUTH_TOKEN": ("sensitive", keys.twilio_auth_token),
            "TWILIO_PHONE_NUMBER": ("encrypted", keys.sender_number),
            WEBHOOK_URL_ENV: ("encrypted", f"{app}/api/webhooks/twilio"),
            "CRON_SECRET": ("sensitive", "sandbox"),
        }
        for key, (kind, value) in environment.items():
            self.set_env(key, value, began, kind=kind)

    def _first_files(self) -> dict[str, str]:
        files = {f"supabase/migrations/{name}": content for name, content in _MIGRATIONS.items()}
        return files | {"vercel.json": '{\n  "framework": "nextjs",\n  "regions": ["lhr1"]\n}\n'}

    def set_env(self, key: str, value: str, at: datetime, *, kind: str = "encrypted") -> None:
        """Add a variable to the project for production and previews. Builds made from now on have it."""
        self._connection.execute(
            """insert into twin.env (id, key, value, type, target, created_at, updated_at)
               values (%s, %s, %s, %s, '{production,preview}', %s, %s)""",
            [new_id("env_"), key, value, kind, at, at],
        )

    def commit(
        self,
        message: str,
        at: datetime,
        *,
        sha: str | None = None,
        author: str = "priya-dev",
        files: dict[str, str] | None = None,
        records_texts: str | None = None,
        confirmation_needs_login: bool | None = None,
        build_error: str | None = None,
    ) -> str:
        """Commit on `main` and push it; return the commit id. What the code does is inherited unless given."""
        parent = self._connection.execute(
            "select c.* from twin.branches b join twin.commits c using (sha) where b.name = 'main'"
        ).fetchone() or {
            "sha": None,
            "records_texts": "with_customer",
            "confirmation_needs_login": False,
        }
        sha = sha or _hash(booking_app_code.digest() + message)
        touched = sorted(files or {"src/app/page.tsx": ""})
        login = parent["confirmation_needs_login"] if confirmation_needs_login is None else confirmation_needs_login
        self._connection.execute(
            """insert into twin.commits (sha, parent, tree, message, author_name, author_login, author_email,
                   committed_at, changed_files, records_texts, confirmation_needs_login, build_error)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                sha,
                parent["sha"],
                _hash(f"tree of {message}"),
                message,
                _AUTHORS[author],
                author,
                f"{author}@lantern-arms.example",
                at,
                touched,
                records_texts or parent["records_texts"],
                login,
                build_error,
            ],
        )
        self._connection.execute(
            "insert into twin.branches values ('main', %s) on conflict (name) do update set sha = excluded.sha",
            [sha],
        )
        self._connection.execute(
            "insert into twin.pushes (branch, before, after, actor, at) values ('main', %s, %s, %s, %s)",
            [parent["sha"] or "0" * 40, sha, author, at],
        )
        for path, content in (files or {}).items():
            self._connection.execute("insert into twin.files values (%s, %s, %s)", [path, sha, content])
        return sha

    def build(
        self,
        sha: str,
        at: datetime,
        *,
        target: str | None = "production",
        error: str | None = None,
        auto_assign: bool = True,
        takes: timedelta = BUILD_TIME,
    ) -> str:
        """Build a commit that was pushed at `at`; return the deployment id. No hostname serves it yet."""
        deployment_id = "dpl_" + _hash(f"{sha}{at}")[:28]
        self._connection.execute(
            """insert into twin.deployments (id, url, created_at, building_at, done_at, error_message, target, sha,
                   branch, source, creator, auto_assign, aliases_settled, env)
               select %s, %s, %s, %s, %s, %s, %s, sha, 'main', 'git', author_login, %s, true, %s
               from twin.commits where sha = %s""",
            [
                deployment_id,
                f"booking-{_hash(deployment_id)[:9]}-lantern-arms.vercel.app",
                at,
                at + QUEUE_TIME,
                at + QUEUE_TIME + takes,
                error,
                target,
                auto_assign,
                Jsonb(vercel_twin.environment(self._connection, target or "preview")),
                sha,
            ],
        )
        self.log(at, "git-integration-repo-push", "Pushed to main")
        return deployment_id

    def serve(self, deployment_id: str, at: datetime) -> None:
        """Let production serve `deployment_id` from `at` on."""
        self._connection.execute(
            """insert into twin.aliases (host, deployment_id, created_at, updated_at)
               select name, %(id)s, %(at)s, %(at)s from twin.domains where redirect is null
               on conflict (host) do update
               set deployment_id = excluded.deployment_id, updated_at = excluded.updated_at""",
            {"id": deployment_id, "at": at},
        )
        commit = self._connection.execute(
            """update twin.deployments d set promoted_at = coalesce(promoted_at, %s) from twin.commits c
               where d.id = %s and c.sha = d.sha returning c.records_texts, c.confirmation_needs_login""",
            [at, deployment_id],
        ).fetchone()
        if commit is None:
            raise ValueError(f"there is no deployment {deployment_id}")
        self.served.append(Served(at, deployment_id, **commit))
        self.log(at, "aliases-assigned", f"Assigned production domains to {deployment_id}")

    def release(self, message: str, at: datetime, **fields: Unpack[CommitFields]) -> str:
        """Commit, build and serve, as on a good day; return the deployment id. It serves `RELEASE_TIME` later."""
        deployment = self.build(self.commit(message, at, **fields), at)
        self.serve(deployment, at + RELEASE_TIME)
        return deployment

    def commit_fault(self, at: datetime) -> str:
        """Commit the change that lost the record of every new customer's text, and a column for the cure of that."""
        version, name = booking_app_code.METADATA_MIGRATION
        files = {
            "src/lib/sms/record.ts": "\n",
            f"supabase/migrations/{version}_{name}.sql": f"{booking_app_code.ADD_METADATA};\n",
        }
        return self.commit(FAULT_MESSAGE, at, records_texts="without_customer", files=files)

    def commit_fix(self, at: datetime, *, build_error: str | None = None) -> str:
        """Commit what fixes that."""
        files = {"src/lib/sms/record.ts": "\n"}
        return self.commit(FIX_MESSAGE, at, sha=FIX, records_texts="on_pending", files=files, build_error=build_error)

    def roll_back(self, deployment_id: str, at: datetime, description: str) -> None:
        """Instant Rollback: production moves back, and new builds no longer take the hostnames."""
        live = self.served[-1].deployment_id
        self.serve(deployment_id, at)
        request = {
            "type": "rollback",
            "fromDeploymentId": live,
            "toDeploymentId": deployment_id,
            "jobStatus": "succeeded",
            "requestedAt": milliseconds(at),
        }
        note = {"username": "sam-lantern", "description": description, "createdAt": milliseconds(at)}
        self._connection.execute(
            """update twin.project set auto_assign_domains = false, auto_assign_updated_by = 'sam-lantern',
                   last_alias_request = %s, rollback_note = %s""",
            [Jsonb(request), Jsonb(note)],
        )
        self.log(at, "instant-rollback-created", description)
        self.log(at, "project-auto-assign-custom-production-domains-updated", "Automatic assignment was turned off")

    def log(self, at: datetime, kind: str, text: str) -> None:
        """Write one row of Vercel's activity."""
        vercel_twin.log(self._connection, at, kind, "sam-lantern", text)

    def at(self, moment: datetime) -> Served:
        """Return what production served at `moment`."""
        return next(served for served in reversed(self.served) if served.since <= moment)


def _hash(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
