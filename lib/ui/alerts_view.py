"""Alerts: whether the monitor runs, what fires, what is silenced and why; and the buttons that decide about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import partial

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.model.people import Actor
from lib.monitor import silences
from lib.monitor.monitor_status import Firing, MonitorStatus, Unsent
from lib.monitor.silences import Silence, Subject
from lib.snapshot import utc_now
from lib.ui import html_components as html
from lib.ui.action_dialog import may_act, operator_button, typed
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View, expander, from_journal
from lib.ui.styles import draw

# A monitor that gave its lease back may run again when it is due: the slowest way we document is every ten minutes,
# and a scheduler may be late. One that was killed has left its lease, which is noticed sooner.
SILENT_AFTER = timedelta(minutes=30)
_NO_ADDRESS = "Nobody was alerted: no alert address is set"
_MAY_MISS = 3  # rounds of a monitor that is set to run more rarely
_MUTE_MINUTES = (30, 60, 120, 480)

_CRITICAL = Sign("alert", "✕", Tone.BAD)
_WARNING = Sign("alert", "!", Tone.WARN)
_QUIET = Sign("silenced", "–", Tone.QUIET)
_RUNS = Sign("runs", "✓", Tone.GOOD)
_ALERTS_NOBODY = Sign("alerts nobody", "!", Tone.WARN)
_STOPPED = Sign("not monitored", "?", Tone.UNKNOWN)


def monitor_status() -> MonitorStatus | None:
    """Return how the monitor stands; None where the journal cannot be read, which is said above the page."""
    return from_journal(lambda action_service: action_service.watched())


def draw_firing(view: View) -> None:
    """Draw a line for each alert that fires, with what may be decided about it; several are folded into one.

    For the page that already shows what is wrong: the line says who was alerted and who works on it. Nothing if none
    fires.
    """
    status = monitor_status()
    firing = status.firing if status else ()
    if len(firing) < 2:
        _draw_alert_lines(view, firing)
        return
    titles = ", ".join(alert.title for alert in firing)
    label, icon = f"{len(firing)} alerts: {plain(titles)}", ":material/notifications_active:"
    with expander(label, key="alerts", icon=icon) as is_open:
        if is_open:
            _draw_alert_lines(view, firing)


def _draw_alert_lines(view: View, firing: Iterable[Firing]) -> None:
    for alert in firing:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            draw(_alert_line(view, alert))
            _draw_decisions(alert)


def draw_monitor(view: View) -> None:
    """Draw how the monitor stands as a whole."""
    st.subheader("Monitoring", anchor=False)
    status = monitor_status()
    if status is None:
        draw(html.nothing("The journal cannot be read, so whether a monitor runs is unknown."))
        return
    draw(_monitor_card(view, status))
    for alert in status.firing:
        with st.container(horizontal=True, gap="small"):
            draw(_alert_row(view, alert))
            _draw_decisions(alert)
    for subject in dict.fromkeys(silence.subject for silence in status.silences):
        with st.container(horizontal=True, vertical_alignment="center"):
            draw(html.join(_silence(view, silence) for silence in status.silences if silence.subject == subject))
            if may_act():
                unmute = partial(_unmute, subject)
                operator_button("Alert again", f"unmute_{subject}", unmute)
    if may_act() and not any(silence.subject == Subject.ALL for silence in status.silences):
        _draw_mute_form(Subject.ALL, "Mute everything")
    if status.unsent:
        messages = "\n\n".join(plain(_unsent(message)) for message in status.unsent)
        st.warning(messages, title="Messages that failed to be sent", icon=":material/outgoing_mail:")


def _unmute(subject: str, service: ActionService, actor: Actor) -> None:
    silences.unmute(service.journal, actor, subject)


def _silence(view: View, silence: Silence) -> Markup:
    begins = "" if silence.holds(view.now) else f" from {view.local_time(silence.begins)}"
    sentence = f"No alerts about {silence.subject}{begins} until {view.local_time(silence.until)}"
    return html.paragraph(html.text("{}: {} ({})", sentence, outside(silence.reason), html.person(silence.by)))


def _unsent(message: Unsent) -> str:
    then = "It was given up." if message.given_up else "It is tried again."
    return f"{message.service}: {message.title}. {message.error} {then}"


def _monitor_card(view: View, status: MonitorStatus) -> Markup:
    last, targets = status.last_round_at, view.settings.notify_urls
    addresses = formatting.counted(len(targets), "alert address", "alert addresses")
    notified = f"Alerts go to {addresses}" if targets else "Nobody is alerted: no alert address is set (NOTIFY_URLS)"
    if last is None:
        return html.card("The monitor has not run yet", html.paragraph(f"{notified}."), sign=_STOPPED)
    rarely = _MAY_MISS * (view.settings.monitor_every or timedelta(0))
    late = status.abandoned or utc_now() - last > max(SILENT_AFTER, rarely)
    title = "The monitor has stopped" if late else "The monitor runs"
    body = html.paragraph(f"{notified}. Last round {view.time_and_age(last)}.")
    return html.card(title, body, sign=_STOPPED if late else _RUNS if targets else _ALERTS_NOBODY)


def _alert_line(view: View, alert: Firing) -> Markup:
    notified = f"sent {view.time_and_age(alert.told_at)}" if alert.told_at else "nobody was alerted yet"
    parts = [notified if view.settings.notify_urls else _NO_ADDRESS, *_decisions(view, alert)]
    sign, title = html.chip(_sign(alert)), html.bold(alert.title)
    return html.paragraph(html.text("{} {}: {}.", sign, title, outside(". ".join(parts))))


def _alert_row(view: View, alert: Firing) -> Markup:
    """One line; its cause and the next step open under it."""
    decisions = "".join(f" · {decision}" for decision in _decisions(view, alert))
    since = f"since {view.time_and_age(alert.since)}{decisions}"
    body = html.join(html.paragraph(line) for line in (alert.story.cause, alert.story.next_step) if line)
    return html.rows_that_open([(_sign(alert), alert.story.title, since, body)])


def _sign(alert: Firing) -> Sign:
    if alert.silence or alert.acknowledged:
        return _QUIET
    return _CRITICAL if alert.critical else _WARNING


def _decisions(view: View, alert: Firing) -> list[str]:
    """Return what people decided about the alert, as sentences."""
    decisions = []
    if alert.acknowledged:
        decisions.append(f"{alert.acknowledged.by.partition('@')[0]} is on it: {alert.acknowledged.reason}")
    if alert.silence:
        decisions.append(f"Muted until {view.local_time(alert.silence.until)}: {alert.silence.reason}")
    return decisions


def _draw_decisions(alert: Firing) -> None:
    if not may_act():
        return
    field = f"ack_{alert.rule}"

    def acknowledge(service: ActionService, actor: Actor) -> None:
        silences.acknowledge(service.journal, actor, alert.rule, typed(field))

    with st.container(horizontal=True):
        if alert.acknowledged is None:
            with st.popover("I am on it", icon=":material/front_hand:", type="tertiary"):
                st.text("No reminders until it is over or gets worse.")
                st.text_input("Why", key=field, max_chars=300)
                operator_button("Acknowledge", f"do_{field}", acknowledge)
        if alert.silence is None:
            _draw_mute_form(alert.rule, "Mute")


def _draw_mute_form(subject: str, label: str) -> None:
    length, field = f"mute_for_{subject}", f"mute_{subject}"

    def mute(service: ActionService, actor: Actor) -> None:
        minutes = timedelta(minutes=int(st.session_state[length]))
        silences.mute(service.journal, actor, subject, minutes, typed(field), service.clock())

    with st.popover(label, icon=":material/notifications_off:", type="tertiary"):
        st.text("Monitoring goes on. An alert that still lasts is sent afterwards.")
        if subject == Subject.ALL:
            st.text("News of deployments in the meantime is not sent.")
        st.pills(
            "For how long",
            _MUTE_MINUTES,
            default=_MUTE_MINUTES[0],
            format_func=lambda count: formatting.duration(timedelta(minutes=count)),
            required=True,
            key=length,
        )
        st.text_input("Why", key=field, max_chars=300)
        operator_button("Mute", f"do_{field}", mute)
