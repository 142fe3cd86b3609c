"""Unusually many people text STOP: the texts themselves, or how many there are, drive customers away."""

from __future__ import annotations

from lib.diagnosis.checks import delivery, opt_outs
from lib.diagnosis.hypothesis_api import HypothesisSpec, decided_by
from lib.model.verdict import Hop, Remedy, Verdict

SPEC = HypothesisSpec(
    id="opt_outs_rise",
    depth=115,
    title="Unusually many people opt out of texts",
    for_owner="More customers than usual have asked for no more texts, so they get no link to confirm.",
    remedy=Remedy(
        "Read the text as a customer would, and check whether anybody gets too many; call those who opted out."
    ),
    explains=frozenset({Hop.ACCEPTED}),
    judge=decided_by(opt_outs.opt_outs_usual, on_warn=Verdict.POSSIBLE, on_absent=Verdict.RULED_OUT),
    checks=(opt_outs.opt_outs_usual,),
    signs=(delivery.over_sending,),
    runbook="""
Twilio refuses texts to people who texted STOP (error 21610). Each opt-out is one person's choice.

- Look: *Texts*, error 21610: how many people, since when, and whether one number got too many texts.
- Do: read the newest text as a customer would. Stop duplicates. Call the people who asked to book and had opted out.
- Not: send again, or from another number. They asked for no texts; only they can text START.
- Done when: the next bookings come without new opt-outs.
""",
)
