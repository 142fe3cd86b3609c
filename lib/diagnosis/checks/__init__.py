"""The checks, one module per hop. `ALL` is in the order of the flow."""

from __future__ import annotations

from lib.diagnosis.check_api import CheckSpec
from lib.diagnosis.checks import code as code
from lib.diagnosis.checks import confirming as confirming
from lib.diagnosis.checks import delivery as delivery
from lib.diagnosis.checks import demand as demand
from lib.diagnosis.checks import link as link
from lib.diagnosis.checks import recording as recording
from lib.diagnosis.checks import sending as sending
from lib.diagnosis.checks import visibility as visibility

ALL: tuple[CheckSpec, ...] = (
    *visibility.QUESTIONS,
    *demand.QUESTIONS,
    *code.QUESTIONS,
    *sending.QUESTIONS,
    *delivery.QUESTIONS,
    *recording.QUESTIONS,
    *link.QUESTIONS,
    *confirming.QUESTIONS,
)
