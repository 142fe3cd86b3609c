"""Texts: every text that was sent or should have been, in counts and as a log."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from markupsafe import Markup

from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Recording
from lib.diagnosis.text_fates import FAILURES, TextTotals, text_log
from lib.model.provider import Balance
from lib.ui import bookings_view, labels, tables
from lib.ui import html_components as html
from lib.ui.page_frame import View

Number = tuple[str, str, str]
CANNOT_TELL = "cannot tell"

ALL, FAILED, NOT_RECORDED = "All", "Failed", "Not recorded"
FILTERS = (ALL, FAILED, NOT_RECORDED)
KEY, CHOSEN = "texts", "chosen_text"


def log(facts: Facts) -> pd.DataFrame:
    """Return every text that was sent or should have been, with its event and an `id` by which its row is chosen."""
    rows = text_log(facts)
    events = facts.rows(facts.snapshot.events)
    names = {} if events is None else dict(zip(events["id"], events["name"], strict=True))
    known = [explain(code) if isinstance(code, str) else None for code in rows["error_code"].astype("object")]
    return rows.assign(
        id=rows["sid"].fillna(rows["booking_id"]).astype("str"),
        event_name=rows["event_id"].map(names).astype("object"),
        action=[error.action if error else "" for error in known],
        fault=[error.fault.value if error else "" for error in known],
    )


def filtered(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Return the texts of a filter."""
    if chosen == FAILED:
        return rows[rows["fate"].isin(FAILURES)]
    return rows[rows["recording"] == Recording.LOST] if chosen == NOT_RECORDED else rows


def numbers(view: View, totals: TextTotals) -> list[Number]:
    """Return the counts that stand above the log, beside the share that arrived."""
    unknown = view.facts.unknown_to_twilio
    items = [
        ("Not sent", _known(totals.not_sent), "bookings for which Twilio has no text"),
        ("Not recorded", _known(totals.not_recorded), "texts that went out and are not in the database"),
        ("No receipt", f"{totals.no_receipt:,}", "old enough for one: whether they arrived cannot be told"),
    ]
    if totals.on_its_way:
        items.append(("On their way", f"{totals.on_its_way:,}", "no receipt yet, and none is due"))
    if unknown is None or len(unknown):
        count = _known(None if unknown is None else len(unknown))
        items.append(("Unknown to Twilio", count, "in the database as sent, and not in Twilio's log"))
    return items


def _known(count: int | None) -> str:
    return CANNOT_TELL if count is None else f"{count:,}"


def text_card(rows: pd.DataFrame, text_id: str, view: View) -> Markup:
    """Return the whole story of one text. Masked as the table is."""
    found = rows[rows["id"] == text_id]
    if found.empty:
        return html.nothing("This text is not among those shown: choose another filter, or a longer window.")
    row = tables.prepared(found, tables.TEXT_STORY, sharing=view.sharing).iloc[0]
    facts = bookings_view.present_facts(row, tables.TEXT_STORY, view)
    fate = labels.FATE[found.iloc[0]["fate"]]
    return html.card("The text", html.facts(facts), sign=fate)


def booking_of(rows: pd.DataFrame, text_id: str) -> str | None:
    """Return the id of the booking that a text is of, where it is known."""
    found = rows.loc[rows["id"] == text_id, "booking_id"].dropna()
    return None if found.empty else str(found.iloc[0])


def chosen_text() -> str | None:
    """Return the id of the text that is looked at; the address names it at first."""
    return st.session_state.setdefault(CHOSEN, st.query_params.get("text")) or None


def choose_text(text_id: str | None) -> None:
    """Look at one text, or at none; the address keeps which."""
    st.session_state[CHOSEN] = text_id
    if text_id:
        st.query_params["text"] = text_id
    else:
        st.query_params.pop("text", None)


def money(view: View) -> list[Number]:
    """Return what texts cost and what is left."""
    spending = view.facts.spending
    balance: Balance | None = view.facts.value(view.snapshot.balance)
    items: list[Number] = []
    if spending is not None:
        unpriced = f", {spending.unpriced:,} not priced yet" if spending.unpriced else ""
        items.append(("Spent", f"{spending.spent:.2f} {spending.currency}", f"{spending.priced:,} texts{unpriced}"))
        items.append(("Segments", f"{spending.segments:,}", "what Twilio bills"))
    left = CANNOT_TELL if balance is None else f"{balance.amount:.2f} {balance.currency}"
    items.append(("Balance", left, "at Twilio"))
    if spending is not None:
        days = CANNOT_TELL if spending.days_left is None else f"{spending.days_left:,.0f} days"
        pace = "the texts in Twilio's log above" if view.snapshot.cut else view.window
        items.append(("Lasts for", days, f"at the pace of {pace}"))
    return items


def newest_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("created_at", ascending=False, kind="stable")
