"""Secrets, addresses and numbers leave no text; what an engineer looks for stays."""

from __future__ import annotations

import io
import logging
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.redaction import redact, redact_logs

HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    "secret",
    [
        "sb_secret_AbCdEfGhIjKlMnOp",
        "sbp_0123456789abcdef0123456789abcdef01234567",
        "vcp_AbCdEf0123456789",
        "ghp_AbCdEf0123456789AbCdEf0123456789AbCd",
        "github_pat_11ABC_defghijklmnop0123456789",
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl",
        "npm_AbCdEf0123456789",
        "xoxb-123456789012-abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        f"AC{HEX * 2}",
        f"SK{HEX * 2}",
        HEX * 2,
        "Ab3dEf6hIj9lMn2pQr5tUv8x",
        "sam.porter+x@lantern-arms.example.co.uk",
        "+447700900123",
        "+44 7700 900 123",
        "+44 (0)7700 900123",
        "(+44) 7700-900123",
        "0044 7700 900123",
        "07700 900123",
        "07700-900-123",
        "07700/900123",
        "(020) 7946 0958",
        "020 7946 0958",
        "447700900123",
        "%2B447700900123",
        "+1 (500) 555-0006",
        "500-555-0006",
        "+49 30 901820",
        "07700   900    123",
        "tel:07700 900123",
        "Tel.07700 900123",
        "to_number:07700900123",
        "No.0044 7700 900123",
        "Call.500-555-0006",
    ],
)
def test_a_secret_is_removed_wherever_it_stands(secret: str):
    for text in (secret, f"the value {secret} is wrong", f'"{secret}"', f"a={secret}&b=1", f"x,{secret},y"):
        assert secret not in redact(text)
        assert "…" in redact(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://postgres.ref:p@ss/w:rd@db.example:5432/postgres", "p@ss/w:rd"),
        ("redis://:hunter2@cache", "hunter2"),
        ("Authorization: Bearer abcdef", "abcdef"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("TWILIO_AUTH_TOKEN=swordfish", "swordfish"),
        ('{"password": "swordfish"}', "swordfish"),
        ("api-key: swordfish", "swordfish"),
        ("https://x.example/hook?a=1&token=swordfish&b=2", "swordfish"),
        ("https://api.vercel.com/v1/integrations/deploy/prj_1/swordfish", "swordfish"),
        ("https://hooks.slack.com/services/T0/B0/swordfish", "swordfish"),
        ("GET /booking-confirmation/6f1c2f0e-8f55-4f0e-9d53-0a8a5c1f2b3c 200", "6f1c2f0e"),
        ("-----BEGIN RSA PRIVATE KEY-----\nswordfish\n-----END RSA PRIVATE KEY-----", "swordfish"),
        ("-----BEGIN PRIVATE KEY-----\nswordfish, cut off", "swordfish"),
    ],
)
def test_a_secret_that_its_context_gives_away_is_removed(text: str, secret: str):
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "commit 3aee739aee739aee739aee739aee739aee739123 on main",
        "dpl_89qyp1cskzkLrVicDaZoDbjyHuDJ is READY",
        f"SM{HEX * 2} was undelivered (30003)",
        "2025-11-22 15:08:00.123 +00:00 took 1234 ms",
        "2025-11-22T15:08:00Z",
        "Route (app)  Size  First Load JS: 12.5 kB  102 kB",
        "Type error at ./lib/sms.ts:120:15, cannot read properties of undefined",
        "TWILIO_AUTH_TOKEN: Required",
        "token: undefined",
        "127.0.0.1:54321 answered 503",
        'null value in column "customer_id" of relation "messages" violates not-null constraint',
    ],
)
def test_what_an_engineer_looks_for_stays(text: str):
    assert redact(text) == text


@given(st.uuids(version=4))
def test_an_id_is_no_phone_number_whatever_its_digits(id_: UUID):
    for text in (str(id_), f"resend_link:{id_}", f"the booking {id_} was not found"):
        assert redact(text) == text


@pytest.mark.parametrize("id_", ["44be3a58-0046-4598-84a9-02319ece0ddb", "006051896c10554e1c48486f01e4cd9d76a9abc7"])
def test_an_id_that_looks_like_a_number_stays_and_a_number_beside_it_does_not(id_: str):
    assert redact(f"{id_}: 07700 900123, {id_}") == f"{id_}: …, {id_}"


@given(st.text("0123456789abcdef", min_size=40, max_size=40))
def test_a_commit_is_no_phone_number_whatever_its_digits(sha: str):
    assert redact(f"commit {sha}") == f"commit {sha}"


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str):
    assert redact(redact(text)) == redact(text)


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_surroundings_bring_a_number_back(before: str, after: str):
    assert "+447700900123" not in redact(f"{before} +447700900123 {after}")


def test_a_log_record_is_redacted_with_its_arguments_and_its_traceback():
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    redact_logs()
    logger.warning("call %s with %s", "+447700900123", {"token": "swordfish1"})
    logger.warning("does not fit %d", "07700 900123")
    try:
        raise ValueError("no such mail: sam@lantern-arms.example")
    except ValueError:
        logger.exception("failed for 07700 900123", stack_info=True)
    text = written.getvalue()
    assert "Traceback" in text and "ValueError" in text and "does not fit" in text
    assert not [secret for secret in ("900123", "swordfish1", "sam@lantern") if secret in text.split("Stack (")[0]]


@pytest.mark.parametrize(
    "kept",
    [
        "src/app/api/webhooks/twilio/route.ts, line 12",
        "src/app/booking-confirmation/[token]/page.tsx:4",
        "on the way of /api/webhooks/twilio",
        "/booking-confirmation/[token] is answered by no file",
    ],
)
def test_the_files_that_answer_an_address_and_its_form_stay(kept: str):
    assert redact(kept) == kept


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://discord.example/api/webhooks/1234567890/aBcDeF", "1234567890"),
        ("/api/webhooks/twilio/sig-abcdefgh", "sig-abcdefgh"),
        ("/api/webhooks/twilio?key=abcdefgh", "abcdefgh"),
        ("/booking-confirmation/abcdefgh", "abcdefgh"),
        ("/booking-confirmation/[token]abcdefgh", "abcdefgh"),
        ("/integrations/deploy/prj_1/abcdefgh", "abcdefgh"),
    ],
)
def test_what_opens_something_behind_such_an_address_goes(text: str, secret: str):
    assert secret not in redact(text)
