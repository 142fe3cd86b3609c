"""The states the sandbox can be put in: each is a healthy past, and one cause from some hours ago on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from psycopg.types.json import Jsonb

from lib.sandbox import booking_app_code
from lib.sandbox.booking_app_code import ADD_METADATA, METADATA_MIGRATION
from lib.sandbox.history import KEY_ID, Circumstances, HistoryBuilder
from lib.sandbox.releases import RELEASE_TIME, TRANSIENT_BUILD_ERROR, TYPE_ERROR
from lib.sandbox.twin_helpers import new_id
from lib.sandbox.world import Credentials, World

DEFAULT = "code-not-deployed"
PACE = 4.0  # bookings per minute
# How many of the newest bookings a break of some hours ago affects.
HIT = 6


@dataclass(frozen=True)
class Scenario:
    """A named state of the sandbox. `settings` override the dashboard's; an empty value unsets one.

    `pace` is in bookings per minute. `story` is for people: what happened, and what would fix it.
    """

    name: str
    title: str
    story: str
    plot: Callable[[HistoryBuilder], None]
    pace: float = PACE
    settings: dict[str, str] = field(default_factory=dict)

    def apply(self, world: World) -> None:
        """Fill the freshly reset database of `world` with this scenario's past and present."""
        with world.connection() as connection, connection.transaction():
            self.plot(HistoryBuilder(connection, world))


# Code that is live ---------------------------------------------------------------------------------------


def _fix_live(history: HistoryBuilder) -> None:
    """The fix has been live for twelve days, and two harmless commits since."""
    releases = history.releases
    before = history.ago(days=12) - timedelta(minutes=12)
    releases.serve(releases.build(releases.commit_fault(before), before), before + RELEASE_TIME)
    shortly_after = before + timedelta(minutes=5)
    releases.serve(releases.build(releases.commit_fix(shortly_after), shortly_after), shortly_after + RELEASE_TIME)
    _metadata_migrated(history)
    releases.release("Opening hours for the holidays", history.ago(days=6, minutes=-9), author="sam-lantern")
    releases.release("Larger type on the booking page", history.ago(days=3, minutes=-9))


def _metadata_migrated(history: HistoryBuilder) -> None:
    """`pending_bookings.metadata`, which the schema already has, on record as the migration of the repository."""
    version, name = METADATA_MIGRATION
    history.migrate(datetime.strptime(version, "%Y%m%d%H%M%S").replace(tzinfo=UTC), name, ADD_METADATA)


def _healthy(history: HistoryBuilder) -> None:
    _fix_live(history)
    history.write_history()


def _quiet_day(history: HistoryBuilder) -> None:
    _fix_live(history)
    history.let_few_book()
    history.write_history()


def _missing_column(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    _drop_metadata(history, since)


def _drop_metadata(history: HistoryBuilder, since: datetime) -> None:
    message = "Could not find the 'metadata' column of 'pending_bookings' in the schema cache"
    history.write_history(since, Circumstances(record_refused_with=("PGRST204", message)))
    history.migrate(since, "drop_unused_columns", "alter table public.pending_bookings drop column metadata")


def _sent_not_recorded(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    refused = ("42501", "permission denied for table pending_bookings")
    history.write_history(since, Circumstances(record_refused_with=refused))
    history.migrate(
        since,
        "least_rights_for_the_api",
        "revoke update on public.pending_bookings from service_role",
        "grant update (seats, customer_id, booking_id, confirmed_at, expires_at, updated_at) "
        "on public.pending_bookings to service_role",
    )


# Code and database that do not fit -------------------------------------------------------------------------


def _migration_not_applied(history: HistoryBuilder) -> None:
    """The fix came with its migration, and was released without it."""
    releases = history.releases
    since = history.just_before_newest(HIT)
    at = since - RELEASE_TIME
    releases.commit_fault(at - timedelta(minutes=5))
    releases.serve(releases.build(releases.commit_fix(at), at), since)
    message = "Could not find the 'metadata' column of 'pending_bookings' in the schema cache"
    history.write_history(since, Circumstances(record_refused_with=("PGRST204", message)))
    history.connection.execute("alter table public.pending_bookings drop column metadata")


def _literal_not_allowed(history: HistoryBuilder) -> None:
    """A migration took a link type away; the one that gives it back is in the repository and was never applied."""
    _fix_live(history)
    since = history.just_before_newest(HIT)
    noticed_at = since + (history.now - since) / 2
    path = "supabase/migrations/20251120090000_allow_confirmation_links.sql"
    history.releases.release("Allow confirmation links again", noticed_at, files={path: _ALLOW_CONFIRMATION_LINKS})
    _refuse_confirmation_links(history, since)


_ALLOW_CONFIRMATION_LINKS = """\
alter table public.short_links drop constraint short_links_link_type_check;
alter table public.short_links add constraint short_links_link_type_check check (
    link_type in ('loyalty_portal', 'event_checkin', 'promotion', 'reward_redemption', 'custom', 'booking_confirmation')
);
"""


def _misfit_elsewhere(history: HistoryBuilder) -> None:
    """A page for staff reads a column that the database does not have. No booking comes by it."""
    _fix_live(history)
    page = "src/app/staff/loyalty/page.tsx"
    files = {page: booking_app_code.files("misfit_elsewhere")[page]}
    history.releases.release("Loyalty points for staff", history.ago(days=2, minutes=-9), files=files)
    history.write_history()


def _code_unreadable(history: HistoryBuilder) -> None:
    _fix_live(history)
    # A commit of this scenario alone: what was read of a commit stays known.
    history.releases.release("Printed menus for the bar", history.ago(days=2, minutes=-9))
    _drop_metadata(history, history.just_before_newest(HIT))
    history.connection.execute("update twin.repository set code_readable = false")


# Code that is not live -----------------------------------------------------------------------------------
# In all of these the faulty commit went live just over a day ago: it affects the ten bookings of the last 24 hours.


def _fault_live(history: HistoryBuilder) -> str:
    """Release the faulty commit; return its deployment."""
    _metadata_migrated(history)
    at = history.ago(hours=24, minutes=12)
    deployment = history.releases.build(history.releases.commit_fault(at), at)
    history.releases.serve(deployment, at + RELEASE_TIME)
    return deployment


def _code_not_deployed(history: HistoryBuilder) -> None:
    releases = history.releases
    _fault_live(history)
    fix_at, next_at = history.ago(hours=20), history.ago(hours=18, minutes=30)
    releases.build(releases.commit_fix(fix_at), fix_at, error=TRANSIENT_BUILD_ERROR)
    head = releases.commit("Allergen notes on the menu", next_at, author="sam-lantern")
    releases.build(head, next_at, error=TRANSIENT_BUILD_ERROR)
    history.write_history()


def _build_failing(history: HistoryBuilder) -> None:
    releases = history.releases
    _fault_live(history)
    moved_at, fix_at, next_at = history.ago(hours=21), history.ago(hours=20), history.ago(hours=18, minutes=30)
    moved = releases.commit("Move phone helpers", moved_at, build_error=TYPE_ERROR)
    releases.build(moved, moved_at, error=TYPE_ERROR)
    releases.build(releases.commit_fix(fix_at, build_error=TYPE_ERROR), fix_at, error=TYPE_ERROR)
    head = releases.commit("Allergen notes on the menu", next_at, author="sam-lantern", build_error=TYPE_ERROR)
    releases.build(head, next_at, error=TYPE_ERROR)
    history.write_history()


def _wrong_branch(history: HistoryBuilder) -> None:
    releases = history.releases
    _fault_live(history)
    changed_at, fix_at = history.ago(hours=22), history.ago(hours=20)
    history.connection.execute("update twin.project set production_branch = 'production'")
    releases.log(changed_at, "production-branch-updated", "Production branch changed from main to production")
    releases.build(releases.commit_fix(fix_at), fix_at, target=None)
    history.write_history()


def _git_disconnected(history: HistoryBuilder) -> None:
    releases = history.releases
    _fault_live(history)
    history.connection.execute("update twin.project set git_linked = false")
    releases.log(history.ago(hours=22), "project-git-repository-disconnected", "Disconnected lantern-arms/booking")
    releases.commit_fix(history.ago(hours=20))
    history.write_history()


def _older_build_took_domain(history: HistoryBuilder) -> None:
    releases = history.releases
    _metadata_migrated(history)
    fault_at, fix_at = history.ago(hours=24, minutes=36), history.ago(hours=24, minutes=30)
    fault = releases.commit_fault(fault_at)
    fix = releases.commit_fix(fix_at)
    slow = timedelta(minutes=20)
    older = releases.build(fault, fault_at, takes=slow)
    releases.serve(releases.build(fix, fix_at), fix_at + RELEASE_TIME)
    releases.serve(older, fault_at + (RELEASE_TIME - timedelta(seconds=100)) + slow)
    history.write_history()


def _rolled_back(history: HistoryBuilder, since: datetime) -> None:
    """The fix was live for two days, then production was rolled back; two builds since are staged."""
    releases = history.releases
    _metadata_migrated(history)
    before = history.ago(days=2, minutes=12)
    fault = releases.build(releases.commit_fault(before), before)
    releases.serve(fault, before + RELEASE_TIME)
    shortly_after = before + timedelta(minutes=5)
    releases.serve(releases.build(releases.commit_fix(shortly_after), shortly_after), shortly_after + RELEASE_TIME)
    releases.roll_back(fault, since, "Checkout felt slow after lunch, going back while we look")
    left = history.now - since
    for share, message in ((0.5, "Index bookings by event"), (0.75, "Allergen notes on the menu")):
        at = since + left * share
        releases.build(releases.commit(message, at), at, auto_assign=False)


def _not_promoted(history: HistoryBuilder) -> None:
    _rolled_back(history, history.just_before_newest(HIT))
    history.write_history()


def _two_causes(history: HistoryBuilder) -> None:
    since = history.just_before_newest(HIT)
    _rolled_back(history, since)
    _drop_metadata(history, since)


# Everything else -----------------------------------------------------------------------------------------


def _provider_rejecting(history: HistoryBuilder) -> None:
    _fix_live(history)
    message = (
        "The 'From' phone number provided is not a valid, SMS-capable inbound phone number or short code "
        "for your account."
    )
    history.write_history(history.just_before_newest(HIT), Circumstances(sent=False, refusal=(21606, message)))
    history.connection.execute("update twin.provider set sender_in_account = false")


def _undelivered(history: HistoryBuilder) -> None:
    _fix_live(history)
    errors = (30007, 30007, 30007, 30007, 0)
    # Enough that it cannot be chance, though somebody may have booked twice.
    history.write_history(history.just_before_newest(HIT + 2), Circumstances(carrier_errors=errors))
    history.connection.execute("update twin.provider set carrier_errors = %s", [list(errors)])


def _twilio_unconfigured(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    edited_at = since - timedelta(minutes=4)
    history.connection.execute(
        "update twin.env set target = '{preview}', updated_at = %s where key ~ '^TWILIO_'", [edited_at]
    )
    history.releases.log(edited_at, "env-variable-edit", "Edited TWILIO_AUTH_TOKEN")
    history.releases.release("Footer links", since - RELEASE_TIME)
    history.write_history(since, Circumstances(sent=False))


def _env_missing(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    history.connection.execute("delete from twin.env where key = 'TWILIO_PHONE_NUMBER'")
    history.releases.log(since - timedelta(minutes=6), "env-variable-delete", "Deleted TWILIO_PHONE_NUMBER")
    history.releases.release("Footer links", since - RELEASE_TIME)
    noticed_at = since + (history.now - since) / 2
    history.releases.set_env("TWILIO_PHONE_NUMBER", history.world.credentials.sender_number, noticed_at)
    history.releases.log(noticed_at, "env-variable-add", "Added TWILIO_PHONE_NUMBER")
    history.write_history(since, Circumstances(sent=False))


def _link_to_login(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    history.releases.release("Require sign-in on all pages", since - RELEASE_TIME, confirmation_needs_login=True)
    history.write_history()


def _api_500(history: HistoryBuilder) -> None:
    _fix_live(history)
    _refuse_confirmation_links(history, history.just_before_newest(HIT))


def _refuse_confirmation_links(history: HistoryBuilder, since: datetime) -> None:
    """Write the history with a check that refuses the links of confirmations from `since` on."""
    history.write_history(since, Circumstances(link_made=False))
    history.migrate(
        since,
        "tidy_link_types",
        "alter table public.short_links drop constraint short_links_link_type_check",
        "alter table public.short_links add constraint short_links_link_type_check check (link_type in "
        "('loyalty_portal', 'event_checkin', 'promotion', 'reward_redemption', 'custom')) not valid",
    )


def _api_key_revoked(history: HistoryBuilder) -> None:
    _fix_live(history)
    history.write_history(history.just_before_newest(HIT), Circumstances(key_accepted=False))
    history.connection.execute("update public.api_keys set is_active = false where id = %s", [KEY_ID])


def _receipts_stale(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    history.connection.execute(
        """update twin.env set value = 'https://lantern-arms.example/api/webhooks/twilio', updated_at = %s
           where key = 'TWILIO_WEBHOOK_URL'""",
        [since - timedelta(minutes=5)],
    )
    history.releases.log(since - timedelta(minutes=5), "env-variable-edit", "Edited TWILIO_WEBHOOK_URL")
    history.releases.release("Footer links", since - RELEASE_TIME)
    history.write_history(since, Circumstances(receipts_accepted=False))


def _jobs_stuck(history: HistoryBuilder) -> None:
    _fix_live(history)
    since = history.just_before_newest(HIT)
    history.write_history(since, Circumstances(jobs_run=False))
    history.connection.execute("update twin.app set jobs_run = false")
    payload = Jsonb({"reminder": new_id("rem_")})
    history.connection.execute(
        """insert into public.background_jobs (type, payload, status, attempts, scheduled_for, created_at)
           select 'send_event_reminders', %(payload)s, status, attempts, %(since)s + n * interval '20 minutes',
               %(since)s - interval '1 hour'
           from (values (0, 'processing', 1), (1, 'pending', 0), (2, 'pending', 0), (3, 'pending', 0))
               as job (n, status, attempts)""",
        {"payload": payload, "since": since},
    )


_NO_SUCH_ACCESS = {
    "SUPABASE_SECRET_KEY": Credentials().supabase_publishable_key,
    "DATABASE_URL": "",
    "SUPABASE_ACCESS_TOKEN": "",
}

_ALL = (
    Scenario(
        DEFAULT,
        "The fix is on main and not live",
        "Since yesterday's release the app loses the record of every new customer's text: it writes a message without "
        "a customer, and messages.customer_id is NOT NULL. The fix (3aee739) is on main, but both builds since failed "
        "because the package registry timed out. Redeploying main fixes it.",
        _code_not_deployed,
    ),
    Scenario(
        "missing-column",
        "The fix is live, its column is gone",
        "Somebody tidied the database and dropped pending_bookings.metadata. The live code sends texts, fails to store "
        "them and says nothing. Adding the column fixes it; redeploying changes nothing.",
        _missing_column,
    ),
    Scenario(
        "sent-not-recorded",
        "Texts go out, nothing records them",
        "A migration for least rights took UPDATE on pending_bookings from service_role and gave it back for every "
        "column but metadata. Postgres refuses the record (42501), and the code does not look. Code and columns are "
        "right. Granting UPDATE (metadata) to service_role fixes it.",
        _sent_not_recorded,
    ),
    Scenario("healthy", "All is well", "The fix is live and bookings flow.", _healthy),
    Scenario(
        "quiet-day",
        "Nobody booked today",
        "All is well: about one person a day books here, and nobody has in the last 24 hours.",
        _quiet_day,
        pace=0,
    ),
    Scenario(
        "build-failing",
        "Every build of main fails",
        "As code-not-deployed, but main does not compile: a helper was moved and its import was not. Redeploying fails "
        "again; a commit that fixes the import is needed.",
        _build_failing,
    ),
    Scenario(
        "not-promoted",
        "A rollback pins production",
        "Production was rolled back to the build before the fix. Vercel builds main since, and no longer gives it the "
        "domain: two builds are READY and staged. Promoting the newest fixes it.",
        _not_promoted,
    ),
    Scenario(
        "wrong-branch",
        "Vercel takes another branch for production",
        "The project's production branch was changed to `production`, which does not exist. The fix on main was built "
        "as a preview only. Setting the branch back and deploying main fixes it.",
        _wrong_branch,
    ),
    Scenario(
        "git-disconnected",
        "Pushes no longer reach Vercel",
        "The project was disconnected from GitHub; the fix was pushed after that and never built. Connecting it again "
        "and deploying main fixes it.",
        _git_disconnected,
    ),
    Scenario(
        "older-build-took-domain",
        "An older build took the domain back",
        "The build before the fix was slow, ended after the fix's own build, and took the domain from it. Promoting "
        "the fix's build fixes it.",
        _older_build_took_domain,
    ),
    Scenario(
        "provider-rejecting",
        "Twilio refuses every text",
        "The sender's number was released from the Twilio account: each text is refused with error 21606. The API "
        "answers 201 with sms_sent false.",
        _provider_rejecting,
    ),
    Scenario(
        "undelivered",
        "Carriers filter the texts",
        "Twilio takes the texts, and four of five end undelivered with error 30007: the carriers' spam filter.",
        _undelivered,
    ),
    Scenario(
        "twilio-unconfigured",
        "Production has no Twilio settings",
        "The TWILIO_ variables were limited to previews; the next production build has none of them. The API answers "
        "201 with sms_sent false and nothing reaches Twilio. Adding them to production and redeploying fixes it.",
        _twilio_unconfigured,
    ),
    Scenario(
        "env-missing",
        "A setting came after the build",
        "TWILIO_PHONE_NUMBER was deleted, a build was made without it, and hours later it was added again. "
        "The project has it and the live build does not. Redeploying fixes it.",
        _env_missing,
    ),
    Scenario(
        "link-to-login",
        "Confirmation links end at a login",
        "The newest commit asks for sign-in on every page. Customers open their link and land on /auth/login: texts "
        "flow, nobody confirms.",
        _link_to_login,
    ),
    Scenario(
        "api-500",
        "The booking API fails",
        "A migration took booking_confirmation from the allowed link types. Making the short link fails (23514), so "
        "every call ends in 500 DATABASE_ERROR, with a pending booking left behind and no text.",
        _api_500,
    ),
    Scenario(
        "api-key-revoked",
        "The website's key was revoked",
        "The API key of the booking form is inactive: each call gets 401, which is logged nowhere. It looks like a "
        "quiet day.",
        _api_key_revoked,
    ),
    Scenario(
        "rls-blind",
        "The dashboard cannot see",
        "All is well, but the dashboard was given the publishable key, and no other way in: row level security hides "
        "the texts from it without an error.",
        _healthy,
        settings=_NO_SUCH_ACCESS,
    ),
    Scenario(
        "receipts-stale",
        "Delivery receipts are refused",
        "TWILIO_WEBHOOK_URL was set to the old address and built in. The app checks Twilio's signature against it, so "
        "every receipt is refused (signature_failed). Texts arrive all the same. Correct it and redeploy.",
        _receipts_stale,
    ),
    Scenario(
        "jobs-stuck",
        "Background jobs stand still",
        "The scheduler stopped calling the job worker. Texts flow; jobs pile up, one of them half done.",
        _jobs_stuck,
    ),
    Scenario(
        "migration-not-applied",
        "The fix is live, its migration is not",
        "The fix came with a migration that adds pending_bookings.metadata, and was released without it: nobody ran "
        "the file in supabase/migrations. Texts go out and are not recorded. Running the migration fixes it.",
        _migration_not_applied,
    ),
    Scenario(
        "literal-not-allowed",
        "A check refuses what the code writes",
        "As api-500; the migration that allows booking_confirmation again was merged and released, and nobody ran it. "
        "Redeploying changes nothing; running the file does.",
        _literal_not_allowed,
    ),
    Scenario(
        "misfit-elsewhere",
        "A page for staff does not match",
        "All is well with bookings. A page for staff reads customers.loyalty_points, which the database does not "
        "have: no booking comes by it.",
        _misfit_elsewhere,
    ),
    Scenario(
        "code-unreadable",
        "A column is gone, and the code cannot be read",
        "As missing-column, but the token may not read the repository's contents: Switchboard knows the code "
        "only from the declared contract, so the missing column is no more than the likely cause.",
        _code_unreadable,
    ),
    Scenario(
        "two-causes",
        "Rolled back, and the column is gone",
        "Production was rolled back to the build before the fix, and in the same hour pending_bookings.metadata was "
        "dropped. Either fix alone changes nothing: add the column, then promote the newest build.",
        _two_causes,
    ),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
