"""Texts go out, and no other cause explains why the database does not know of them."""

from __future__ import annotations

from lib.diagnosis.checks import recording
from lib.diagnosis.hypothesis_api import HypothesisSpec, decided_by
from lib.model.verdict import Hop, Remedy

SPEC = HypothesisSpec(
    id="sent_not_recorded",
    depth=130,
    title="Texts go out and are not recorded",
    for_owner="Customers get their texts, but the database does not know of them.",
    remedy=Remedy(
        "Fix the cause that is named above this; if none is, the database's log names what refuses the app's "
        "write: a trigger, a policy or a grant."
    ),
    explains=frozenset({Hop.RECORDED}),
    judge=decided_by(recording.texts_recorded),
    checks=(recording.texts_recorded, recording.metadata_stored),
    signs=(recording.writes_succeed,),
    runbook="""
No missing column and no NOT NULL explains it.

- Look: the error log: `42501` is a grant or a policy, a trigger names itself.
- Do: run the migration that the plan recommends, if one cures what was seen.
""",
)
