"""The next step: one button that opens the action's dialog, or one link to where the step is explained."""

from __future__ import annotations

import re

import streamlit as st

from lib.model.task import Task
from lib.ui.action_dialog import action_button, may_act
from lib.ui.masking import plain
from lib.ui.styles import sharing

# What comes after these in the message of a task explains the step, and does not name it.
_ENDS = re.compile(r"[.:;]\s|[.:;]$")
PLAN = "pages/plan_page.py"


def step_name(task: Task) -> str:
    """Return the step by name: the message of the task, up to where it goes on to explain."""
    return _ENDS.split(task.message, maxsplit=1)[0]


def next_step_button(task: Task | None, *, key: str, primary: bool = False) -> None:
    """Draw the button of `task` for who may press it, else the link to the plan.

    Nothing where there is no task, or while the screen is shared.
    """
    if task is None or sharing():
        return
    if task.action is not None and may_act():
        action_button(task.action, dict(task.args), step_name(task), key=key, step_id=task.step_id, primary=primary)
    else:
        st.page_link(PLAN, label=f"Next step: {plain(step_name(task))}", icon=":material/checklist:")
