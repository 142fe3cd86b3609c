"""Twilio's error codes in plain words: what it means, what the owner does, and whose fault it is.

The table is `error_codes.csv`, after Twilio's error dictionary; an unknown code is shown raw with its link.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class FaultSide(StrEnum):
    """On whose side the reason lies."""

    ACCOUNT = "our account or sender"
    CUSTOMER = "the customer's phone or choice"
    NUMBER = "the number itself"
    CONTENT = "what the text says"
    CARRIER = "the phone network"
    APP = "our app"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One Twilio error. `account_level` ones stop every text at once, `one_recipient` ones those to one person."""

    code: str
    meaning: str
    action: str
    fault: FaultSide
    account_level: bool = False
    one_recipient: bool = False

    @property
    def url(self) -> str:
        return f"https://www.twilio.com/docs/api/errors/{self.code}"


def explain(code: str) -> ErrorCode:
    """Return what is known about `code`."""
    return _BY_CODE.get(code) or ErrorCode(
        code, f"Twilio error {code}", "Look the code up at Twilio.", FaultSide.UNKNOWN
    )


def _read() -> dict[str, ErrorCode]:
    with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as table:
        return {
            row["code"]: ErrorCode(
                row["code"],
                row["meaning"],
                row["action"],
                FaultSide[row["fault"].upper()],
                account_level=row["scope"] == "account",
                one_recipient=row["scope"] == "recipient",
            )
            for row in csv.DictReader(table)
        }


_BY_CODE = _read()
# A text refused for one of these says nothing of any other person's.
OF_ONE_RECIPIENT = frozenset(code for code, error in _BY_CODE.items() if error.one_recipient)
