"""What decides who may come in: whether a login is configured, and whether all that is shown is a sandbox.

Pages, endpoints and the command line ask here, so that they cannot disagree.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from lib.model.reading import SourceName
from lib.settings import SECRETS_FILE, Settings
from lib.sources.http import is_loopback

# Streamlit's own name for the list of its secrets files, in its environment and in its configuration.
_FILES_VARIABLE = "STREAMLIT_SECRETS_FILES"


def login_configured(files: Iterable[Path] | None = None) -> bool:
    """Return whether a login is configured: whether any of Streamlit's secrets files has a section `auth`.

    `files` are the paths that Streamlit reads; None stands for `secrets_files()`. The project's own file always counts.
    Raises `OSError` or `ValueError` if one of them cannot be read: then nobody can tell, and nobody may be let in.
    """
    paths = dict.fromkeys([*(secrets_files() if files is None else files), SECRETS_FILE])
    # All are read, also after one that has the section: one that cannot be read makes Streamlit know no login at all.
    found = [_has_login(path) for path in paths]
    return any(found)


def secrets_files(environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Return the paths at which Streamlit looks for secrets, by its rule: what is set for `secrets.files`, or its own.

    Its own are those of the home directory, of the working directory and of the folder of the main script. Raises
    `OSError` or `ValueError` if a configuration file that may set them cannot be read.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get(_FILES_VARIABLE, "").split():
        return tuple(map(Path, named))
    folders = (Path.home() / ".streamlit", Path.cwd() / ".streamlit", SECRETS_FILE.parent)
    configured: list[str] | None = None
    for folder in folders:
        section = _document(folder / "config.toml").get("secrets", {})
        configured = section.get("files", configured) if isinstance(section, dict) else configured
    if configured is not None:
        return tuple(map(Path, configured))
    return tuple(folder / SECRETS_FILE.name for folder in folders)


def _has_login(path: Path) -> bool:
    # A folder holds one secret in each of its own folders (Kubernetes mounts them so). One called secrets.toml is
    # no folder of that kind, and cannot be read as a file either.
    if path.suffix != ".toml" and path.is_dir():
        return (path / "auth").is_dir()
    return "auth" in _document(path)


def _document(path: Path) -> dict[str, object]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply to be read.") from None


def live_systems(settings: Settings) -> tuple[str, ...]:
    """Return the names of the settings that lead away from the sandbox: its own host, and this machine, do not.

    Empty on a sandbox. Without `SANDBOX_URL` each system that is configured is live.
    """
    sandbox = urlsplit(settings.sandbox_url or "").hostname or ""

    def elsewhere(address: str) -> bool:
        return not sandbox or not all(host == sandbox or is_loopback(host) for host in _hosts(address))

    return tuple(name for name, address in _addresses(settings) if elsewhere(address))


def _addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return the name and the address of every configured system, and of a journal that is a server's."""
    s = settings
    dsn = s.database_url.get_secret_value() if s.database_url else None
    by_source: dict[SourceName, tuple[tuple[str, str | None], ...]] = {
        SourceName.BOOKING_DATA: (("SUPABASE_URL", s.supabase_url),),
        SourceName.CATALOG: (
            ("DATABASE_URL", dsn),
            ("SUPABASE_API_URL", s.supabase_api_url if s.supabase_access_token else None),
        ),
        SourceName.VERCEL: (("VERCEL_API_URL", s.vercel_api_url),),
        SourceName.GITHUB: (("GITHUB_API_URL", s.github_api_url),),
        SourceName.TWILIO: (("TWILIO_API_URL", s.twilio_api_url),),
        SourceName.BOOKING_APP: (("BOOKING_APP_URL", s.booking_app_url),),
    }
    for source in SourceName:
        if settings.configured(source):
            yield from ((name, address) for name, address in by_source[source] if address)
    journal = s.journal_url.get_secret_value() if s.journal_url else "sqlite://"
    if not journal.startswith("sqlite"):
        yield "JOURNAL_URL", journal


def _hosts(address: str) -> list[str]:
    """Return every host that the address names; a socket's path stands for this machine."""
    try:
        parts = urlsplit(address)
        # A database's address may name several, before the path and after the question mark.
        authority = parts.netloc.rpartition("@")[2]
        before = [urlsplit(f"//{one}").hostname or "" for one in authority.split(",")] if authority else []
        after = parse_qs(parts.query)
    except ValueError:
        return [""]
    named = [one for name in ("host", "hostaddr") for value in after.get(name, []) for one in value.split(",")]
    return ["localhost" if host.startswith(("/", "@")) else host for host in (before + named) or ["localhost"]]
