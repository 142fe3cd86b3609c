"""Twilio's error codes in plain words: what it means, what the owner does, and whose fault it is.

Source: Twilio's error dictionary; texts may change there, so an unknown code is shown raw with its link.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
    """One Twilio error. `account_level` ones stop every text at once."""

    code: str
    meaning: str
    action: str
    fault: FaultSide
    account_level: bool = False

    @property
    def url(self) -> str:
        return f"https://www.twilio.com/docs/api/errors/{self.code}"


def explain(code: str) -> ErrorCode:
    """Return what is known about `code`."""
    return _BY_CODE.get(code) or ErrorCode(
        code, f"Twilio error {code}", "Look the code up at Twilio.", FaultSide.UNKNOWN
    )


_CODES = (
    ErrorCode(
        "20003",
        "Twilio refused the login",
        "Correct the Twilio keys in Vercel for Production and redeploy; the account may be suspended.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "20404", "Twilio does not know this message", "Check that the account is the right one.", FaultSide.ACCOUNT
    ),
    ErrorCode("20429", "Too many calls to Twilio at once", "Slow down; safe to retry.", FaultSide.APP),
    ErrorCode("21211", "The number is not valid", "Correct the number with the customer.", FaultSide.NUMBER),
    ErrorCode(
        "21408",
        "Texts to this country are not enabled",
        "Enable it under Messaging → Geo permissions.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "21606",
        "The sender cannot be used on this account",
        "Correct the From number.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "21608",
        "A trial account may text verified numbers only",
        "Upgrade the Twilio account.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode("21610", "The customer texted STOP", "Do not retry; they must text START.", FaultSide.CUSTOMER),
    ErrorCode("21612", "No route from this sender to this number", "Do not retry; call them.", FaultSide.CARRIER),
    ErrorCode("21614", "Not a mobile number", "Correct the number with the customer.", FaultSide.NUMBER),
    ErrorCode("21617", "The text is too long", "Shorten it.", FaultSide.CONTENT),
    ErrorCode("21635", "A landline", "Correct the number with the customer.", FaultSide.NUMBER),
    ErrorCode(
        "21703",
        "The Messaging Service has no sender",
        "Add a number to its sender pool.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "21704",
        "The Messaging Service has no usable sender",
        "Add a number to its sender pool.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode("30001", "Too many texts waiting", "Slow down; resend later.", FaultSide.APP),
    ErrorCode(
        "30002", "The Twilio account is suspended", "Settle the bill at Twilio.", FaultSide.ACCOUNT, account_level=True
    ),
    ErrorCode("30003", "The phone was off or without signal", "Resend once later; then call.", FaultSide.CUSTOMER),
    ErrorCode("30004", "The phone or its network blocks us", "Do not hammer; call them.", FaultSide.CUSTOMER),
    ErrorCode("30005", "The number is not in service", "Correct the number with the customer.", FaultSide.NUMBER),
    ErrorCode(
        "30006", "A landline, or its network cannot be reached", "Correct the number, or call.", FaultSide.NUMBER
    ),
    ErrorCode(
        "30007", "The network filtered it as spam", "Review the text: branded link, no capitals.", FaultSide.CONTENT
    ),
    ErrorCode(
        "30008", "The network gave no reason", "Resend once; a cluster is a ticket for Twilio.", FaultSide.CARRIER
    ),
    ErrorCode(
        "30024", "The numeric sender is not set up", "Change the sender's type.", FaultSide.ACCOUNT, account_level=True
    ),
    ErrorCode("30034", "An unregistered US sender", "Use a UK sender for UK customers.", FaultSide.ACCOUNT),
    ErrorCode("30036", "It waited in the queue until it expired", "Resend if it is still useful.", FaultSide.APP),
    ErrorCode(
        "30042",
        "The sender's name is blocked as too generic",
        "Change the sender's name.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "63038",
        "The account's daily limit is reached",
        "Wait a day, or ask Twilio to raise it.",
        FaultSide.ACCOUNT,
        account_level=True,
    ),
    ErrorCode(
        "11200",
        "Twilio could not deliver a receipt to our app",
        "Fix the app's webhook, then reconcile.",
        FaultSide.APP,
    ),
)
_BY_CODE = {error.code: error for error in _CODES}
