"""The six sources, connected as far as the settings go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from lib.model.reading import FailureKind, SourceError, SourceName
from lib.served_code.code_store import Store
from lib.settings import Settings
from lib.sources.booking_app import BookingApp
from lib.sources.booking_data import BookingData
from lib.sources.catalog import (
    CatalogClient,
    CatalogSource,
    DescriptionCatalogClient,
    DirectCatalogClient,
    ManagementCatalogClient,
)
from lib.sources.github import GitHub
from lib.sources.github_archive import CODE_FOLDER, GitHubArchive
from lib.sources.http import Http
from lib.sources.reporting import Reporting
from lib.sources.twilio import Twilio
from lib.sources.vercel import Vercel

T = TypeVar("T")

# Where each key comes from; the fix for "not configured".
WHERE_TO_GET: dict[SourceName, str] = {
    SourceName.BOOKING_DATA: "Supabase → Settings → API Keys: the project's URL and its secret key (sb_secret_…).",
    SourceName.CATALOG: "Supabase → Connect → Session pooler: the connection string with the password.",
    SourceName.VERCEL: "Vercel → Account Settings → Tokens; the project's id is under its Settings → General.",
    SourceName.GITHUB: "GitHub → Settings → Developer settings → Fine-grained tokens, for this one repository.",
    SourceName.TWILIO: "Twilio console → Account → API keys and tokens.",
    SourceName.BOOKING_APP: "The address that customers see in their browser.",
}


@dataclass(frozen=True)
class Sources:
    """One object per outside system, made on first use and shared by all threads.

    Each property raises `SourceError(not_configured)` where settings are missing.
    """

    settings: Settings
    http: Http
    clock: Callable[[], datetime]

    @cached_property
    def booking_data(self) -> BookingData:
        settings = self._configured(SourceName.BOOKING_DATA)
        return BookingData(
            given(settings.supabase_url), given(settings.supabase_secret_key), home_region=settings.home_region
        )

    @cached_property
    def reporting(self) -> Reporting:
        return Reporting(self.booking_data, self.settings.own_numbers)

    @cached_property
    def catalog(self) -> CatalogSource:
        settings = self._configured(SourceName.CATALOG)
        management = description = None
        if settings.supabase_access_token and settings.supabase_project_ref:
            management = ManagementCatalogClient(
                self.http, settings.supabase_api_url, settings.supabase_project_ref, settings.supabase_access_token
            )
        if settings.supabase_url and settings.supabase_secret_key:
            description = DescriptionCatalogClient(self.http, settings.supabase_url, settings.supabase_secret_key)
        client: CatalogClient | None = (
            DirectCatalogClient(settings.database_url) if settings.database_url else management
        )
        return CatalogSource(client, description, management)

    @cached_property
    def vercel(self) -> Vercel:
        settings = self._configured(SourceName.VERCEL)
        return Vercel(
            http=self.http,
            base_url=settings.vercel_api_url,
            token=given(settings.vercel_token),
            project_id=given(settings.vercel_project_id),
            team_id=settings.vercel_team_id,
        )

    @cached_property
    def github(self) -> GitHub:
        settings = self._configured(SourceName.GITHUB)
        return GitHub(
            http=self.http,
            base_url=settings.github_api_url,
            repository_name=given(settings.github_repository),
            token=given(settings.github_token),
        )

    @cached_property
    def github_archive(self) -> GitHubArchive:
        settings = self._configured(SourceName.GITHUB)
        return GitHubArchive(
            http=self.http,
            base_url=settings.github_api_url,
            repository_name=given(settings.github_repository),
            token=given(settings.github_token),
            store=Store(CODE_FOLDER),
        )

    @cached_property
    def twilio(self) -> Twilio:
        settings = self._configured(SourceName.TWILIO)
        return Twilio(
            http=self.http,
            base_url=settings.twilio_api_url,
            account_sid=given(settings.twilio_account_sid),
            auth_token=settings.twilio_auth_token,
            api_key=settings.twilio_api_key,
            api_secret=settings.twilio_api_secret,
            home_region=settings.home_region,
        )

    @cached_property
    def booking_app(self) -> BookingApp:
        settings = self._configured(SourceName.BOOKING_APP)
        return BookingApp(http=self.http, base_url=given(settings.booking_app_url), clock=self.clock)

    def _configured(self, source: SourceName) -> Settings:
        missing = self.settings.missing(source)
        if missing:
            raise SourceError(
                FailureKind.NOT_CONFIGURED,
                f"Not connected: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
                WHERE_TO_GET[source],
            )
        return self.settings


def given(value: T | None) -> T:
    """Return a setting that was checked to be there."""
    if value is None:
        raise SourceError(FailureKind.NOT_CONFIGURED, "A setting that is needed is not set.")
    return value


def connect(settings: Settings, clock: Callable[[], datetime]) -> Sources:
    """Return the sources of `settings`, with one HTTP session for all of them."""
    return Sources(settings, Http(clock=clock), clock)
