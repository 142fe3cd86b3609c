"""Incident log: what was seen and done, in order, and as a file."""

from lib.ui.guard import guard

guard()

from uuid import UUID  # noqa: E402

import streamlit as st  # noqa: E402

from lib.journal.entry import Seen  # noqa: E402
from lib.journal.errors import JournalError  # noqa: E402
from lib.journal.export import Story, story_of  # noqa: E402
from lib.journal.incident import Incident  # noqa: E402
from lib.model.window import WindowSize  # noqa: E402
from lib.reports.documents import Form, export  # noqa: E402
from lib.ui import actions, affected, incidents, pieces  # noqa: E402
from lib.ui.hands import Hands  # noqa: E402
from lib.ui.look import draw  # noqa: E402
from lib.ui.redact import plain  # noqa: E402
from lib.ui.shell import View, opened_desk, show  # noqa: E402

# The page to print first: it is the one for people who were not there.
FILES = {
    Form.HTML: ("Document to print", "text/html", ":material/print:"),
    Form.MARKDOWN: ("Markdown", "text/markdown", ":material/download:"),
    Form.CSV: ("CSV", "text/csv", ":material/download:"),
    Form.JSON: ("JSON", "application/json", ":material/download:"),
}


def body(view: View) -> None:
    hands = opened_desk().hands()
    if hands is None:
        draw(pieces.nothing("Without the journal there is no log."))
        return
    try:
        st.caption(plain(hands.journal.where))
        log(view, hands)
        st.subheader("Proof", anchor=False)
        draw(incidents.proof(hands.chain()))
    except JournalError as error:
        st.error(plain(actions.sentence(error)), title="The journal cannot be read", icon=":material/error:")


def log(view: View, hands: Hands) -> None:
    known = {str(incident.id): incident for incident in hands.journal.incidents()}
    if not known:
        draw(pieces.nothing("No incident was opened yet. The Action plan opens one."))
        return
    chosen = choose(view, known)
    story = story_of(hands.journal, UUID(chosen))
    draw(incidents.opened(view, story.incident))
    downloads(view, story)
    st.subheader("Steps", anchor=False)
    draw(incidents.steps(view, story.incident))
    people(view, story)
    compared(view, story)
    st.subheader("What happened", anchor=False)
    draw(incidents.story(view, story.entries))
    asked = hands.journal.requests(incident_id=story.incident.id)
    if asked:
        st.subheader("Requests and their receipts", anchor=False)
        draw(actions.history(asked, hands, view))
    if actions.may_act():
        note(view, story)


def choose(view: View, known: dict[str, Incident]) -> str:
    # The address carries the id, not the label that a bound widget would write there.
    if st.session_state.get("incident") not in known:
        linked = st.query_params.get("incident")
        st.session_state["incident"] = linked if linked in known else next(iter(known))
    return str(
        st.selectbox(
            "Incident", list(known), key="incident", on_change=link_to_chosen,
            format_func=lambda id_: incidents.called(known[str(id_)], view),
        )
    )  # fmt: skip


def link_to_chosen() -> None:
    st.query_params["incident"] = st.session_state["incident"]


def downloads(view: View, story: Story) -> None:
    with st.container(horizontal=True):
        for form, (label, mime, icon) in FILES.items():
            st.download_button(
                label, lambda form=form: export(story, form, view.zone, view.now), mime=mime, on_click="ignore",
                file_name=f"incident-{str(story.incident.id)[:8]}.{form.value}", key=f"export_{form}", icon=icon,
            )  # fmt: skip


def people(view: View, story: Story) -> None:
    st.subheader("Who was affected", anchor=False)
    stretch = incidents.stretch(view, story.incident, story.entries)
    st.caption(plain(incidents.over(view, stretch)))
    kept = incidents.last_count(story.entries)
    if kept is not None:
        draw(kept)
    box = st.expander(
        "Who they are, and what to do for each", key="people_list", icon=":material/support_agent:",
        expanded=story.incident.open, on_change="rerun", bind="query-params",
    )  # fmt: skip
    with box:
        if not box.open:
            return
        if stretch.since < view.now - WindowSize.MONTH.length:
            draw(pieces.nothing("It began more than 30 days ago, and single bookings are not read that far back."))
            return
        seen = affected.covering(view, stretch.since)
        found = affected.look(seen, stretch)
        if found is not None:
            affected.work_list(seen, found, stories=False, incident_id=story.incident.id)


def compared(view: View, story: Story) -> None:
    st.subheader("Before and after", anchor=False)
    seen = incidents.diagnoses(story.entries)
    if not seen:
        draw(pieces.nothing("No diagnosis was recorded in this incident."))
        return
    now = 0
    numbers = list(seen)
    left, right = st.columns(2)
    name = {number: incidents.diagnosis_called(entry, view) for number, entry in seen.items()} | {now: "now"}
    with left:
        before = st.selectbox("Before", numbers, format_func=lambda n: name.get(n, str(n)), key="seen_before")
    with right:
        after = st.selectbox(
            "After", [now, *reversed(numbers)], format_func=lambda n: name.get(n, str(n)), key="seen_after"
        )
    earlier, later = seen[before].payload, seen[after].payload if after else incidents.seen_of(view.diagnosis)
    if isinstance(earlier, Seen) and isinstance(later, Seen):
        draw(incidents.differences(earlier, later))
    if story.incident.open and actions.may_act():
        st.button(
            "Record what is seen now", key="seen_record", on_click=incidents.record_seen, args=(story.incident.id,)
        )


def note(view: View, story: Story) -> None:
    st.subheader("Add a note", anchor=False)
    st.text_area("What was seen or done. It is never edited: a later note can correct it.", key="note_text")
    earlier = {str(entry.id): incidents.note_called(entry, view) for entry in incidents.notes(story.entries)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.datetime_input(
            f"When it was, if not now ({view.settings.time_zone})", value=None, key="note_at", max_value="now", step=60
        )
        st.selectbox(
            "Corrects, if it does", list(earlier), index=None, key="note_corrects",
            format_func=lambda id_: earlier.get(str(id_), str(id_)),
        )  # fmt: skip
    st.button("Add the note", key="note_add", on_click=incidents.add_note)


show(body)
