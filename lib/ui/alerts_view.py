"""The watch on the glass: who watches, what fires, what is kept quiet and why; and the way to decide about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.monitor import silences
from lib.monitor.monitor_status import Firing, MonitorStatus, Unsent
from lib.monitor.silences import Silence, Subject
from lib.snapshot import utc_now
from lib.ui import action_dialog, html_components
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, plain
from lib.ui.page_frame import View, from_journal
from lib.ui.styles import draw

# A watch that gave its lease back may look again when it is due: the slowest way we document is every ten minutes,
# and a scheduler may be late. One that ended without a word has left its lease, which is known sooner.
SILENT_AFTER = timedelta(minutes=30)
_MAY_MISS = 3  # rounds of a watch that is set to look more rarely
_MUTE_MINUTES = (30, 60, 120, 480)

_CRITICAL = Sign("alert", "✕", Tone.BAD)
_WARNING = Sign("alert", "!", Tone.WARN)
_QUIET = Sign("quiet", "–", Tone.QUIET)
_WATCHED = Sign("watched", "✓", Tone.GOOD)
_UNWATCHED = Sign("not watched", "?", Tone.UNKNOWN)


def monitor_status() -> MonitorStatus | None:
    """Return how the watch stands; None where the journal cannot be read, which is said above the page."""
    return from_journal(lambda action_service: action_service.watched())


def firing(view: View) -> None:
    """Draw a line for each alert that fires, with what may be decided about it. Nothing if none does.

    For the page that says anyway what is the matter: here it is who was told, and who is on it.
    """
    status = monitor_status()
    for alert in status.firing if status else ():
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            draw(_line(view, alert))
            _decide(alert)


def panel(view: View) -> None:
    """Draw how the watch stands as a whole."""
    st.subheader("The watch", anchor=False)
    status = monitor_status()
    if status is None:
        draw(html_components.nothing("The journal cannot be read, so it is unknown whether anybody watches."))
        return
    draw(_summary(view, status))
    for alert in status.firing:
        with st.container(gap="xsmall"):
            draw(_alert(view, alert))
            _decide(alert)
    for subject in dict.fromkeys(silence.subject for silence in status.silences):
        _quiet_about(view, [silence for silence in status.silences if silence.subject == subject])
    if action_dialog.may_act() and not any(silence.subject == Subject.ALL for silence in status.silences):
        _mute_form(Subject.ALL, "Mute everything")
    if status.unsent:
        st.warning(
            "\n\n".join(plain(_unsent(one)) for one in status.unsent),
            title="Messages that failed to be sent",
            icon=":material/outgoing_mail:",
        )


def _quiet_about(view: View, silences: Sequence[Silence]) -> None:
    """Draw all silences of one subject, with the one button that ends them."""
    subject = silences[0].subject
    with st.container(horizontal=True, vertical_alignment="center"):
        draw(html_components.join(_silence(view, silence) for silence in silences))
        if action_dialog.may_act():
            st.button("Tell again", key=f"unmute_{subject}", on_click=_unmute, args=(subject,))


def _silence(view: View, silence: Silence) -> Markup:
    begins = "" if silence.holds(view.now) else f" from {formatting.local_time(silence.begins, view.zone, view.now)}"
    message = f"Quiet about {silence.subject}{begins} until {formatting.local_time(silence.until, view.zone, view.now)}"
    return Markup("<p>{}: {} ({})</p>").format(message, outside(silence.reason), html_components.person(silence.by))


def _unsent(message: Unsent) -> str:
    then = "It was given up." if message.given_up else "It is tried again."
    return f"{message.service}: {message.title}. {message.error} {then}"


def _summary(view: View, status: MonitorStatus) -> Markup:
    last, targets = status.last_round_at, view.settings.notify_urls
    told = f"{len(targets)} will be told" if targets else "nobody is told: NOTIFY_URLS is not set"
    if last is None:
        return html_components.card("Nobody has watched yet", Markup("<p>{}.</p>").format(told), sign=_UNWATCHED)
    rarely = _MAY_MISS * (view.settings.monitor_every or timedelta(0))
    late = status.abandoned or utc_now() - last > max(SILENT_AFTER, rarely)
    title = "The watch has stopped" if late else "Somebody watches"
    body = Markup("<p>Last round {}; {}.</p>").format(formatting.time_and_age(last, view.zone, view.now), told)
    return html_components.card(title, body, sign=_UNWATCHED if late else _WATCHED)


def _line(view: View, alert: Firing) -> Markup:
    told = (
        f"told {formatting.time_and_age(alert.told_at, view.zone, view.now)}"
        if alert.told_at
        else "nobody was told yet"
    )
    message = ". ".join([told if view.settings.notify_urls else "NOTIFY_URLS is not set", *_decided(view, alert)])
    return Markup("<p>{} <b>{}</b>: {}.</p>").format(
        html_components.chip(_sign(alert)), outside(alert.title), outside(message)
    )


def _sign(alert: Firing) -> Sign:
    if alert.silence or alert.acknowledged:
        return _QUIET
    return _CRITICAL if alert.critical else _WARNING


def _decided(view: View, alert: Firing) -> list[str]:
    """What people decided about the alert, in words."""
    said = []
    if alert.acknowledged:
        said.append(f"{alert.acknowledged.by.partition('@')[0]} is on it: {alert.acknowledged.reason}")
    if alert.silence:
        said.append(
            f"Muted until {formatting.local_time(alert.silence.until, view.zone, view.now)}: {alert.silence.reason}"
        )
    return said


def _alert(view: View, alert: Firing) -> Markup:
    lines = [
        f"Since {formatting.time_and_age(alert.since, view.zone, view.now)}.",
        alert.story.cause,
        alert.story.next_step,
    ]
    body = html_components.join(
        Markup("<p>{}</p>").format(outside(line)) for line in (*lines, *_decided(view, alert)) if line
    )
    return html_components.card(alert.story.title, body, sign=_sign(alert))


def _decide(alert: Firing) -> None:
    if not action_dialog.may_act():
        return
    with st.container(horizontal=True):
        if alert.acknowledged is None:
            with st.popover("I am on it", icon=":material/front_hand:", type="tertiary"):
                st.text("No reminders until it is over or gets worse.")
                _reason(f"ack_{alert.rule}")
                st.button("Say so", key=f"do_ack_{alert.rule}", on_click=_acknowledge, args=(alert.rule,))
        if alert.silence is None:
            _mute_form(alert.rule, "Mute")


def _mute_form(subject: str, label: str) -> None:
    with st.popover(label, icon=":material/notifications_off:", type="tertiary"):
        st.text("Measuring goes on, and an alert that still lasts is told afterwards.")
        if subject == Subject.ALL:
            st.text("News of deployments in the meantime are never told.")
        st.pills(
            "For how long",
            _MUTE_MINUTES,
            default=_MUTE_MINUTES[0],
            format_func=_minutes,
            required=True,
            key=f"mute_for_{subject}",
        )
        _reason(f"mute_{subject}")
        st.button("Mute", key=f"do_mute_{subject}", on_click=_mute, args=(subject,))


def _minutes(count: int) -> str:
    return formatting.duration(timedelta(minutes=count))


def _reason(key: str) -> None:
    st.text_input("Why", key=key, max_chars=300)


def _said(key: str) -> str:
    return str(st.session_state.get(key) or "")


def _acknowledge(rule: str) -> None:
    reason = _said(f"ack_{rule}")
    action_dialog.do(lambda action_service, actor: silences.acknowledge(action_service.journal, actor, rule, reason))


def _mute(subject: str) -> None:
    length, reason = timedelta(minutes=int(st.session_state[f"mute_for_{subject}"])), _said(f"mute_{subject}")
    action_dialog.do(
        lambda action_service, actor: silences.mute(
            action_service.journal, actor, subject, length, reason, action_service.clock()
        )
    )


def _unmute(subject: str) -> None:
    action_dialog.do(lambda action_service, actor: silences.unmute(action_service.journal, actor, subject))
