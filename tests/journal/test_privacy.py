"""No secret, and nothing that identifies a customer, is stored in the journal."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from datetime import timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from lib.journal.entry import (
    PAYLOAD_OF,
    Acknowledgement,
    AffectedRecord,
    Alert,
    Argument,
    CheckRecord,
    DiagnosisRecord,
    Fact,
    HypothesisRecord,
    Kind,
    Mute,
    Note,
    Outcome,
    Receipt,
    StepState,
)
from lib.journal.errors import JournalError
from lib.journal.incident_export import incident_record
from lib.journal.journal import Journal
from lib.journal.text_rules import LONGEST_TEXT, tidy
from lib.model.people import Actor, Role, Via
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from lib.reports.documents import ExportFormat, export
from tests.clocks import Clock
from tests.journal.workers import a_request

PLANTED = (
    "+447700900123",
    "07700 900123",
    "+44\u200b7700\u200b900\u200b123",  # with invisible characters between
    "jo.bloggs@customer.example",
    "jo.bloggs\u00ad@customer.example",
    "sb_secret_abcdefghijklmnop",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "postgresql://ann:hunter2@db.example/postgres",
    "Authorization: Bearer abcdef123456",
    "SK0123456789abcdef0123456789abcdef",
)
LEAKS = ("7700", "900123", "jo.bloggs", "customer.example", "abcdefghij", "hunter2", "abcdef123456", "0123456789abcdef")


def fill(journal: Journal, clock: Clock, message: str) -> None:
    """Write a message into every field of text for people."""
    actor = Actor(message, Role.OPERATOR, Via.PAGE)
    other = Actor("bob@lantern.example", Role.OPERATOR, Via.PAGE)
    incident = journal.open_incident(message, actor)
    journal.note(message, actor, incident_id=incident.id)
    journal.step(incident.id, "check_git", StepState.SKIPPED, actor, message)

    def request(lock: str) -> UUID:
        new = a_request(target=message, summary=message, reason=message, needs_approval=True, incident_id=incident.id)
        made = journal.submit_request(new, actor)
        journal.approve(made.id, other, message)
        assert journal.lock(made.id, lock, actor).granted
        return made.id

    fact = (Fact(message, message),)
    done = request("first")
    journal.start(done, actor, timedelta(0))
    journal.progress(done, actor, message, message)
    journal.resolve(done, Outcome.FAILED, message, actor)
    receipt = Receipt(Outcome.SUCCEEDED, message, fact, fact, True, (message,), message)
    journal.finish(done, receipt, actor)
    journal.refuse(request("second"), message, actor)
    journal.cancel(request("third"), actor, message)
    check, cause = (
        CheckRecord("writes_succeed", CheckStatus.FAIL, message),
        HypothesisRecord("x", Verdict.LIKELY, message),
    )
    people = AffectedRecord(None, message)
    journal.append(
        DiagnosisRecord(HeadlineState.BROKEN, message, None, (check,), (cause,), people=people), actor, incident.id
    )
    journal.append(Mute("sms", clock.now, message), actor, incident.id)
    journal.append(Acknowledgement("sms", message), actor, incident.id)
    journal.append(Alert("sms", "fired", message, clock.now), actor, incident.id)
    journal.freeze(message, actor)
    journal.unfreeze(actor, message)
    journal.close_incident(incident.id, actor, message)


def stored(environ: dict[str, str]) -> str:
    """Everything that the journal's database holds, byte by byte where it is a file."""
    if "DATABASE_URL" in environ:
        with psycopg.connect(environ["DATABASE_URL"]) as connection:
            return str(connection.execute("select * from switchboard.entries").fetchall())
    path = Path(environ["JOURNAL_URL"].removeprefix("sqlite:///"))
    return b"".join(part.read_bytes() for part in path.parent.glob(f"{path.name}*")).decode("latin-1")


def without_ids(text: str) -> str:
    """`text` without hashes and UUIDs: four digits of a number stand in one of them by chance now and then."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}", "", text)


def test_planted_numbers_addresses_and_keys_are_nowhere(
    journal: Journal, environ: dict[str, str], clock: Clock
) -> None:
    fill(journal, clock, f"He said: {'; '.join(PLANTED)}. That is all.")
    exports = [
        export(incident_record(journal, incident.id), form, ZoneInfo("Europe/London"), clock.now)
        for incident in journal.incidents()
        for form in ExportFormat
    ]
    for text in (without_ids(part) for part in (stored(environ), *exports)):
        assert "He said" in text
        assert [leak for leak in LEAKS if leak in text] == []


def test_an_id_is_taken_though_its_digits_would_pass_for_a_number(local: Journal, ann: Actor) -> None:
    booking, commit = "44be3a58-0046-4598-84a9-02319ece0ddb", "006051896c10554e1c48486f01e4cd9d76a9abc7"
    arguments = (Argument("booking", booking), Argument("sha", commit))
    request = local.submit_request(a_request(action="resend_link", arguments=arguments), ann)
    assert local.lock(request.id, f"resend_link:{booking}", ann).granted


def test_a_number_is_taken_out_of_a_note_whatever_stands_before_it(local: Journal, ann: Actor) -> None:
    entry = local.note("Called Jane, tel:07700 900123. Mob.07700900123", ann)
    assert isinstance(entry.payload, Note)
    assert entry.payload.text == "Called Jane, tel:…. Mob.…"


@pytest.mark.parametrize("planted", PLANTED)
def test_what_an_action_works_on_is_refused_rather_than_altered(
    local: Journal, sqlite_environ: dict[str, str], ann: Actor, planted: str
) -> None:
    for make in (
        lambda: a_request(arguments=(Argument("number", planted),)),
        lambda: a_request(arguments=(Argument(planted, "x"),)),
        lambda: a_request(action=planted),
        lambda: a_request(step_id=planted),
        lambda: a_request(digest=planted),
    ):
        with pytest.raises(JournalError) as raised:
            local.submit_request(make(), ann)
        assert [leak for leak in LEAKS if leak in raised.value.sentence] == []
    assert local.entries() == ()
    assert [leak for leak in LEAKS if leak in stored(sqlite_environ)] == []


def test_ids_and_names_that_an_engineer_needs_stay(local: Journal, ann: Actor) -> None:
    message = f"{'3f' * 20} dpl_9aBcDeFgHiJkLmNoPqRsTuVwXyZ1 messages.customer_id 14:03:21 12 of 12"
    assert local.note(message, ann).payload.text == message  # type: ignore[union-attr]
    arguments = tuple(
        Argument("id", value)
        for value in (
            "3f" * 20,
            "dpl_9aBcDeFgHiJkLmNoPqRsTuVwXyZ1",
            "07700900-1234-4123-8123-077009001234",
            "pending_bookings_metadata",
        )
    )
    assert local.submit_request(a_request(arguments=arguments), ann).asked.arguments == arguments


def test_an_operator_stands_in_the_journal_by_name(local: Journal, ann: Actor) -> None:
    assert local.note("x", ann).actor == ann


def test_a_long_answer_is_cut_and_still_recorded(local: Journal, ann: Actor) -> None:
    request = local.submit_request(a_request(), ann)
    local.lock(request.id, "x", ann)
    local.start(request.id, ann, timedelta(minutes=1))
    message = local.finish(request.id, Receipt(Outcome.FAILED, "error " * 1_000_000), ann).message
    assert len(message) == LONGEST_TEXT and message.endswith("(cut)")


def test_what_no_database_can_store_is_left_out(journal: Journal, ann: Actor) -> None:
    entry = journal.note("a\x00b\ud800c\u202ed\r\ne\x1b[31m", ann)
    assert entry.payload.text == "abcd\ne[31m"  # type: ignore[union-attr]
    assert journal.entries() == (entry,)
    assert journal.verify().ok


def test_tidy_text_is_not_changed_by_tidying_it_again() -> None:
    once = tidy(f"He said: {'; '.join(PLANTED)}." + "x " * 20_000)
    assert tidy(once) == once


def _types_within(annotation: object) -> typing.Iterator[object]:
    if typing.get_origin(annotation) in (tuple, typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _types_within(part)
    elif dataclasses.is_dataclass(annotation):
        for hint in typing.get_type_hints(annotation, include_extras=True).values():
            yield from _types_within(hint)
    else:
        yield annotation


def test_every_kind_has_its_payload_and_no_text_in_one_goes_unclassified() -> None:
    assert set(PAYLOAD_OF) == set(Kind)
    assert len(set(PAYLOAD_OF.values())) == len(Kind)
    for payload in PAYLOAD_OF.values():
        found = list(_types_within(payload))
        assert str not in found and dict not in found and typing.Any not in found, payload
