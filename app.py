"""Switchboard: the operations desk of a booking-and-SMS flow. Run it with `streamlit run app.py`."""

from typing import Any

import streamlit as st

from lib.ui import action_dialog, first_frame, header, page_frame, request_progress, running_view, styles
from lib.ui.guard import Viewer, guard, who_looks

st.set_page_config(page_title="Switchboard", page_icon="📟", layout="wide")


def _page(name: str, title: str, icon: str, purpose: str | None = None, **more: Any) -> Any:
    return st.Page(f"pages/{name}_page.py", title=title, icon=f":material/{icon}:", help=purpose, **more)


# Registered before anything may stop: else a cold deep link would run a page without this file. Each address
# differs from its file's name for the same reason.
PAGES = (
    _page("status", "Status", "monitor_heart", "Is SMS flowing, and if not, whose problem is it?", default=True),
    # The default page answers at the root only; links and people say /status.
    _page("status", "Status", "monitor_heart", url_path="status", visibility="hidden"),
    _page("plan", "Action plan", "checklist", "What to look at and do next, step by step.", url_path="action-plan"),
    _page(
        "bookings",
        "Bookings",
        "event_seat",
        "Each booking with what happened to its text, and who was affected.",
        url_path="bookings",
    ),
    _page("texts", "Texts", "sms", "Twilio's log against the database.", url_path="texts"),
    _page(
        "deployments",
        "Deployments",
        "rocket_launch",
        "What each production hostname serves, and how far it is behind.",
        url_path="deployments",
    ),
    _page(
        "incidents",
        "Incident log",
        "history_edu",
        "What happened and what was done, in order, and as a file.",
        url_path="incident-log",
    ),
    _page(
        "systems",
        "Systems",
        "hub",
        "What can be read of each source, what is missing, and every check.",
        url_path="systems",
    ),
    _page(
        "handbook",
        "Handbook",
        "menu_book",
        "What to do when an alert comes, and how a change reaches production.",
        url_path="handbook",
    ),
)
page = st.navigation(PAGES, position="top" if isinstance(who_looks(), Viewer) else "hidden")

viewer = guard()
page_frame.diagnosis_service()  # stops here while its sandbox starts
styles.install_styles()
first_frame.draw_until_diagnosed()
header.draw_header(viewer, page.title)
if running_view.stands_in(page.title):
    running_view.drop_problem()
else:
    request_progress.draw_requests(on_plan=page.url_path == "action-plan")
page.run()
# Outside of every fragment, so that the dialog stays whatever the page does.
action_dialog.draw_dialog()
first_frame.draw_rest()
