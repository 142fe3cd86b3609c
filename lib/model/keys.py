"""Classifies a pasted Supabase credential by its shape and its claims. Nothing is verified."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlsplit

from lib.model.database import KeyKind

_PREFIXES = (
    ("sb_secret_", KeyKind.SECRET),
    ("sb_publishable_", KeyKind.PUBLISHABLE),
    ("sbp_", KeyKind.MANAGEMENT_TOKEN),
    ("postgres://", KeyKind.DSN),
    ("postgresql://", KeyKind.DSN),
)
_ROLES = {
    "service_role": KeyKind.SERVICE_ROLE_JWT,
    "anon": KeyKind.ANON_JWT,
    "authenticated": KeyKind.AUTHENTICATED_JWT,
}
_HOSTED_DATABASE_HOST = re.compile(r"^db\.([a-z0-9]{20})\.supabase\.(?:co|in|net)$")
_POOLER_USER = re.compile(r"^\w+\.([a-z0-9]{20})$")
_HOSTED_REF = re.compile(r"^([a-z0-9]{20})\.supabase\.(?:co|in|net)$")


def classify(key: str) -> KeyKind:
    """Return what `key` is by its shape: a key, a legacy JWT's role, a token or DSN in the wrong box."""
    for prefix, kind in _PREFIXES:
        if key.startswith(prefix):
            return kind
    role = claims(key).get("role")
    return _ROLES.get(role, KeyKind.UNKNOWN) if isinstance(role, str) else KeyKind.UNKNOWN


def claims(key: str) -> dict[str, Any]:
    """Return the unverified claims of a JWT, or an empty dict if `key` is none."""
    parts = key.split(".")
    if len(parts) != 3:
        return {}
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def key_project_ref(key: str) -> str | None:
    """Return the project a legacy JWT belongs to, or None: the newer keys do not say."""
    ref = claims(key).get("ref")
    return ref if isinstance(ref, str) else None


def url_project_ref(url: str) -> str | None:
    """Return the project ref of a hosted Supabase URL, or None for any other host."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    match = _HOSTED_REF.match(host)
    return match.group(1) if match else None


def dsn_project_ref(dsn: str) -> str | None:
    """Return the project of a hosted database: from the direct host's name, or the pooler's user name."""
    try:
        parts = urlsplit(dsn)
        match = _HOSTED_DATABASE_HOST.match(parts.hostname or "") or _POOLER_USER.match(parts.username or "")
    except ValueError:
        return None
    return match.group(1) if match else None
