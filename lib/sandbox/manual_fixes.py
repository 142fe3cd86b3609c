"""What a person does in another system, where the dashboard has no button: the sandbox does it for them.

Each changes the twins as that person would, and nothing else: what the dashboard has to do afterwards is left to it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from lib.sandbox import github_twin, vercel_twin
from lib.sandbox.booking_app_twin import TWILIO_ENV, WEBHOOK_URL_ENV
from lib.sandbox.history import KEY_ID
from lib.sandbox.world import Connection, World

_ADMINISTRATOR = "sam-lantern"
_DEVELOPER = "priya-dev"


@dataclass(frozen=True, slots=True)
class ManualFix:
    """One thing that a person does: `where` is the label of the button, `message` says what they do there.

    With `gives_keys` the dashboard gets the sandbox's usual settings instead of the scenario's.
    """

    where: str
    message: str
    do: Callable[[Connection, World], None] = lambda connection, world: None
    gives_keys: bool = False

    def apply(self, world: World) -> None:
        """Do it, at once and as a whole. Doing it again changes nothing that matters."""
        with world.connection() as connection, connection.transaction():
            self.do(connection, world)


def _commit_and_push(connection: Connection, world: World, message: str, change: str) -> None:
    """Commit on the head of `main` what `change` says of its behaviour, and push it."""
    sha = secrets.token_hex(20)
    connection.execute(
        f"""insert into twin.commits (sha, parent, tree, message, author_name, author_login, author_email,
                committed_at, changed_files, records_texts, confirmation_needs_login, build_error)
            select %s, sha, %s, %s, author_name, %s, author_email, %s, '{{src/app/page.tsx}}', records_texts, {change}
            from twin.commits join twin.branches using (sha) where name = 'main'""",  # noqa: S608 - our own words
        [sha, secrets.token_hex(20), message, _DEVELOPER, world.now()],
    )
    github_twin.push(connection, world.now(), "main", sha, _DEVELOPER)


def _log(connection: Connection, world: World, kind: str, text: str) -> None:
    vercel_twin.log(connection, world.now(), kind, _ADMINISTRATOR, text)


def _fix_the_import(connection: Connection, world: World) -> None:
    _commit_and_push(
        connection, world, "Import the phone helpers from where they are", "confirmation_needs_login, null"
    )


def _let_strangers_confirm(connection: Connection, world: World) -> None:
    _commit_and_push(connection, world, "Let customers confirm without signing in", "false, build_error")


def _set_production_branch(connection: Connection, world: World) -> None:
    connection.execute("update twin.project set production_branch = 'main'")
    _log(connection, world, "production-branch-updated", "Production branch changed from production to main")


def _connect_repository(connection: Connection, world: World) -> None:
    connection.execute("update twin.project set git_linked = true")
    _log(connection, world, "project-git-repository-connected", "Connected lantern-arms/booking")


def _add_twilio_to_production(connection: Connection, world: World) -> None:
    connection.execute(
        "update twin.env set target = '{production,preview}', updated_at = %s where key = any(%s)",
        [world.now(), list(TWILIO_ENV)],
    )
    _log(connection, world, "env-variable-edit", "Added the Twilio variables to Production")


def _correct_webhook_address(connection: Connection, world: World) -> None:
    connection.execute(
        "update twin.env set value = %s, updated_at = %s where key = %s",
        [f"{world.base_url}/app/api/webhooks/twilio", world.now(), WEBHOOK_URL_ENV],
    )
    _log(connection, world, "env-variable-edit", f"Edited {WEBHOOK_URL_ENV}")


def _give_the_number_back(connection: Connection, world: World) -> None:
    connection.execute("update twin.provider set sender_in_account = true")


def _lift_the_filter(connection: Connection, world: World) -> None:
    connection.execute("update twin.provider set carrier_errors = '{}'")


def _switch_the_key_on(connection: Connection, world: World) -> None:
    connection.execute("update public.api_keys set is_active = true where id = %s", [KEY_ID])


def _run_jobs_again(connection: Connection, world: World) -> None:
    connection.execute("update twin.app set jobs_run = true")


MANUAL_FIXES: dict[str, ManualFix] = {
    "build-failing": ManualFix("GitHub", "a developer fixes the import and pushes it", _fix_the_import),
    "wrong-branch": ManualFix("Vercel", "an administrator sets the production branch to main", _set_production_branch),
    "git-disconnected": ManualFix("Vercel", "an administrator connects the repository again", _connect_repository),
    "provider-rejecting": ManualFix("Twilio", "an administrator buys the sender's number back", _give_the_number_back),
    "undelivered": ManualFix(
        "Twilio", "an administrator has the sender registered with the carriers", _lift_the_filter
    ),
    "twilio-unconfigured": ManualFix(
        "Vercel", "an administrator adds the Twilio variables to Production", _add_twilio_to_production
    ),
    "link-to-login": ManualFix(
        "GitHub", "a developer opens the confirmation page and pushes it", _let_strangers_confirm
    ),
    "api-key-revoked": ManualFix("Supabase", "an administrator switches the API key on", _switch_the_key_on),
    "rls-blind": ManualFix("Switchboard's settings", "an administrator sets the secret key", gives_keys=True),
    "receipts-stale": ManualFix("Vercel", "an administrator corrects TWILIO_WEBHOOK_URL", _correct_webhook_address),
    "jobs-stuck": ManualFix("Vercel", "an administrator switches the scheduler on", _run_jobs_again),
}
