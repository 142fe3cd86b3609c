"""Pasted credentials are recognized by their form: what they are, and of which project."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.model.database import KeyKind
from lib.model.keys import claims, classify, dsn_project_ref, key_project_ref, url_project_ref

REF = "abcdefghijklmnopqrst"


def jwt(**claims_: Any) -> str:
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims_))
    return ".".join([*(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2ln"])


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("sb_secret_x", KeyKind.SECRET),
        ("sb_publishable_x", KeyKind.PUBLISHABLE),
        ("sbp_fc00", KeyKind.MANAGEMENT_TOKEN),
        ("postgres://u:p@h/d", KeyKind.DSN),
        ("postgresql://u:p@h/d", KeyKind.DSN),
        (jwt(role="service_role", ref=REF), KeyKind.SERVICE_ROLE_JWT),
        (jwt(role="anon", ref=REF), KeyKind.ANON_JWT),
        (jwt(role="authenticated"), KeyKind.AUTHENTICATED_JWT),
        (jwt(role="somebody"), KeyKind.UNKNOWN),
        (jwt(role=["anon"]), KeyKind.UNKNOWN),
        (jwt(), KeyKind.UNKNOWN),
        ("", KeyKind.UNKNOWN),
        ("a.b.c", KeyKind.UNKNOWN),
        ("a.é.c", KeyKind.UNKNOWN),
        (f"a.{base64.urlsafe_b64encode(b'[' * 99_000).decode()}.c", KeyKind.UNKNOWN),
    ],
)
def test_a_credential_is_what_its_form_says(key: str, kind: KeyKind):
    assert classify(key) is kind


def test_only_service_keys_see_past_row_security():
    assert [kind for kind in KeyKind if kind.sees_past_row_security] == [KeyKind.SECRET, KeyKind.SERVICE_ROLE_JWT]


def test_a_legacy_key_names_its_project_and_the_newer_ones_do_not():
    assert key_project_ref(jwt(role="anon", ref=REF)) == REF
    assert key_project_ref(jwt(role="anon", ref=7)) is None
    assert key_project_ref("sb_secret_x") is None


@pytest.mark.parametrize(
    ("url", "ref"),
    [
        (f"https://{REF}.supabase.co", REF),
        (f"https://{REF.upper()}.SUPABASE.co/rest/v1", REF),
        (f"https://{REF}.supabase.co.evil.example", None),
        ("https://api.lantern-arms.example", None),
        ("http://127.0.0.1:54321/supabase", None),
        ("https://[", None),
        ("", None),
    ],
)
def test_a_hosted_address_names_its_project(url: str, ref: str | None):
    assert url_project_ref(url) == ref


@pytest.mark.parametrize(
    ("dsn", "ref"),
    [
        (f"postgresql://postgres.{REF}:p%40@aws-0-eu-west-2.pooler.supabase.com:6543/postgres", REF),
        (f"postgresql://postgres:p@db.{REF}.supabase.co:5432/postgres", REF),
        ("postgresql://postgres:p@127.0.0.1:5432/postgres", None),
        ("postgresql://[", None),
        ("", None),
    ],
)
def test_a_hosted_database_names_its_project(dsn: str, ref: str | None):
    assert dsn_project_ref(dsn) == ref


@given(st.text() | st.lists(st.text(), min_size=3, max_size=3).map(".".join))
def test_no_text_makes_classifying_fail(text: str):
    assert classify(text) in KeyKind
    assert isinstance(claims(text), dict)
    url_project_ref(text)
    dsn_project_ref(text)
