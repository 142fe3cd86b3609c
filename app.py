"""Switchboard: the operations desk of a booking-and-SMS flow. Run it with `streamlit run app.py`."""

import streamlit as st

from lib.ui import action_dialog, header, page_frame, styles
from lib.ui.guard import Viewer, guard, who_looks

st.set_page_config(page_title="Switchboard", page_icon="📟", layout="wide")

# Registered before anything may stop: else a cold deep link would run a page without this file. Each address
# differs from its file's name for the same reason.
PAGES = (
    st.Page(
        "pages/status_page.py",
        title="Status",
        icon=":material/monitor_heart:",
        default=True,
        help="Is SMS flowing, and if not, whose problem is it?",
    ),
    # The default page answers at the root only; links and people say /status.
    st.Page("pages/status_page.py", title="Status", url_path="status", visibility="hidden"),
    st.Page(
        "pages/plan_page.py",
        title="Action plan",
        url_path="action-plan",
        icon=":material/checklist:",
        help="What to look at and do next, step by step.",
    ),
    st.Page(
        "pages/bookings_page.py",
        title="Bookings",
        url_path="bookings",
        icon=":material/event_seat:",
        help="Each booking with what happened to its text, and who was affected.",
    ),
    st.Page(
        "pages/texts_page.py",
        title="Texts",
        url_path="texts",
        icon=":material/sms:",
        help="Twilio's log against the database.",
    ),
    st.Page(
        "pages/deployments_page.py",
        title="Deployments",
        url_path="deployments",
        icon=":material/rocket_launch:",
        help="What each production hostname serves, and how far it is behind.",
    ),
    st.Page(
        "pages/incidents_page.py",
        title="Incident log",
        url_path="incident-log",
        icon=":material/history_edu:",
        help="What was seen and done, in order, and as a file.",
    ),
    st.Page(
        "pages/systems_page.py",
        title="Systems",
        url_path="systems",
        icon=":material/hub:",
        help="What the desk can see, what it lacks, and every check.",
    ),
    st.Page(
        "pages/handbook_page.py",
        title="Handbook",
        url_path="handbook",
        icon=":material/menu_book:",
        help="What to do when an alert comes, and how a change reaches production.",
    ),
)
page = st.navigation(PAGES, position="top" if isinstance(who_looks(), Viewer) else "hidden")

viewer = guard()
page_frame.diagnosis_service()
header.draw_header(viewer, large=page.title == "Status")
styles.install_styles(sharing=styles.sharing())
action_dialog.draw_requests()
header.head_start()
page.run()
# Last, and outside of every fragment, so that the dialog stays whatever the page does.
action_dialog.dialog()
