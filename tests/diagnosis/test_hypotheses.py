"""The weighing of causes: verdicts from statuses, their order, and the evidence on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from lib.diagnosis.check_api import Answers
from lib.diagnosis.checks import ALL, BY_ID
from lib.diagnosis.hypotheses import HYPOTHESES, weigh
from lib.model.verdict import Check, CheckStatus, Hypothesis, Verdict

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE


def checks(base: CheckStatus = OK, **statuses: CheckStatus) -> Answers:
    return {
        spec: Check(id_, spec.hop, spec.question, statuses.get(id_, base), f"{id_} says so.")
        for id_, spec in BY_ID.items()
    }


def judged(cause: str, base: CheckStatus = OK, **statuses: CheckStatus) -> Hypothesis:
    return next(item for item in weigh(checks(base, **statuses)) if item.id == cause)


def test_the_ids_are_those_that_others_rely_on() -> None:
    assert {cause.id for cause in HYPOTHESES} >= {
        "code_not_deployed",
        "build_failing",
        "not_promoted",
        "git_integration_broken",
        "missing_column",
        "not_null_constraint",
        "provider_failing",
        "provider_unconfigured",
        "sent_not_recorded",
        "receipts_stale",
        "link_broken",
        "api_failing",
        "api_key_rejected",
        "project_paused",
        "jobs_stuck",
        "reads_blocked",
        "no_demand",
    }
    assert {check for cause in HYPOTHESES for check in cause.all_checks} <= set(ALL)


def test_where_all_is_well_every_cause_is_ruled_out_with_what_rules_it_out() -> None:
    for hypothesis in weigh(checks()):
        assert hypothesis.verdict is Verdict.RULED_OUT, hypothesis
        assert hypothesis.refutes and not hypothesis.supports


def test_where_nothing_is_known_no_cause_is() -> None:
    assert {hypothesis.verdict for hypothesis in weigh(checks(CANNOT_TELL))} == {Verdict.CANNOT_TELL}


DIRECT = {
    "reads_blocked": "key_sees_all",
    "api_key_rejected": "api_key_active",
    "api_failing": "api_answers",
    "project_paused": "reason_28_paused",
    "git_integration_broken": "git_integration",
    "build_failing": "builds_pass",
    "not_promoted": "nothing_waits",
    "code_not_deployed": "serving_commit",
    "not_null_constraint": "null_customer_errors",
    "provider_failing": "account_errors",
    "link_broken": "link_opens",
    "sent_not_recorded": "texts_recorded",
    "receipts_stale": "receipts_arrive",
    "jobs_stuck": "jobs_move",
}


@pytest.mark.parametrize(("cause", "check"), DIRECT.items())
def test_direct_evidence_confirms_and_its_opposite_rules_out(cause: str, check: str) -> None:
    confirmed = judged(cause, CANNOT_TELL, **{check: FAIL})
    assert (confirmed.verdict, confirmed.supports) == (Verdict.CONFIRMED, (check,))
    assert judged(cause, OK, **{check: FAIL}).verdict is Verdict.CONFIRMED
    assert judged(cause, OK, **{check: CANNOT_TELL}).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("cause", "statuses", "verdict"),
    [
        ("missing_column", {"columns_exist": FAIL}, Verdict.CONFIRMED),
        ("missing_column", {"columns_exist": FAIL, "code_read": CANNOT_TELL}, Verdict.LIKELY),
        ("missing_column", {"columns_exist": WARN}, Verdict.LIKELY),
        ("missing_column", {"columns_exist": CANNOT_TELL}, Verdict.CANNOT_TELL),
        ("missing_column", {}, Verdict.RULED_OUT),
        ("missing_column", {"next_code_fits": WARN}, Verdict.POSSIBLE),
        ("code_not_deployed", {"serving_commit": WARN}, Verdict.LIKELY),
        ("code_not_deployed", {"serving_commit": CANNOT_TELL, "fix_live": FAIL}, Verdict.POSSIBLE),
        ("code_not_deployed", {"serving_commit": CANNOT_TELL, "fix_live": WARN}, Verdict.POSSIBLE),
        ("code_not_deployed", {"fix_live": CANNOT_TELL}, Verdict.RULED_OUT),
        ("build_failing", {"builds_pass": WARN}, Verdict.LIKELY),
        ("not_promoted", {"nothing_waits": WARN}, Verdict.POSSIBLE),
        (
            "git_integration_broken",
            {"reason_09_ignored_step": FAIL, "reason_00_nothing_wrong": FAIL},
            Verdict.CONFIRMED,
        ),
        ("git_integration_broken", {"reason_09_ignored_step": FAIL}, Verdict.POSSIBLE),
        ("git_integration_broken", {"reason_08_git_deploys_off": CANNOT_TELL}, Verdict.CANNOT_TELL),
        ("not_null_constraint", {"null_customer_errors": CANNOT_TELL, "schema_contract": FAIL}, Verdict.POSSIBLE),
        ("not_null_constraint", {"schema_contract": FAIL}, Verdict.RULED_OUT),
        ("provider_failing", {"texts_arrive": WARN}, Verdict.POSSIBLE),
        ("provider_failing", {"account_active": WARN}, Verdict.RULED_OUT),
        ("provider_failing", {"account_active": FAIL}, Verdict.CONFIRMED),
        ("provider_failing", {"texts_arrive": NOT_APPLICABLE}, Verdict.RULED_OUT),
        ("provider_unconfigured", {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL}, Verdict.LIKELY),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL, "required_env": FAIL},
            Verdict.CONFIRMED,
        ),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL, "required_env": CANNOT_TELL},
            Verdict.LIKELY,
        ),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL, "account_errors": FAIL},
            Verdict.RULED_OUT,
        ),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL, "account_errors": CANNOT_TELL},
            Verdict.POSSIBLE,
        ),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": FAIL, "api_answers": FAIL},
            Verdict.CANNOT_TELL,
        ),
        ("provider_unconfigured", {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": WARN}, Verdict.POSSIBLE),
        (
            "provider_unconfigured",
            {"app_reaches_twilio": NOT_APPLICABLE, "texts_follow": CANNOT_TELL, "required_env": FAIL},
            Verdict.POSSIBLE,
        ),
        ("provider_unconfigured", {"required_env": FAIL}, Verdict.RULED_OUT),
        ("provider_unconfigured", {"texts_follow": FAIL}, Verdict.POSSIBLE),  # Twilio hears from the live build
        (
            "provider_unconfigured",
            {"texts_follow": FAIL, "app_reaches_twilio": CANNOT_TELL},
            Verdict.POSSIBLE,
        ),
        ("link_broken", {"link_opens": CANNOT_TELL, "openers_confirm": FAIL}, Verdict.POSSIBLE),
        ("link_broken", {"openers_confirm": FAIL}, Verdict.RULED_OUT),
        ("api_failing", {"front_door": FAIL}, Verdict.CONFIRMED),
        ("api_failing", {"front_door": CANNOT_TELL}, Verdict.CANNOT_TELL),
        ("api_failing", {"front_door": FAIL, "reason_28_paused": FAIL}, Verdict.RULED_OUT),
        ("api_failing", {"api_answers": FAIL, "reason_28_paused": FAIL}, Verdict.CANNOT_TELL),
        ("api_failing", {"api_answers": WARN}, Verdict.POSSIBLE),
        ("jobs_stuck", {"jobs_move": NOT_APPLICABLE}, Verdict.RULED_OUT),
        ("jobs_stuck", {"jobs_move": WARN}, Verdict.POSSIBLE),
        ("no_demand", {"demand_seen": NOT_APPLICABLE, "bookings_initiated": NOT_APPLICABLE}, Verdict.LIKELY),
        ("no_demand", {"demand_seen": NOT_APPLICABLE, "bookings_initiated": WARN}, Verdict.POSSIBLE),
        ("no_demand", {"demand_seen": NOT_APPLICABLE, "api_key_active": FAIL}, Verdict.POSSIBLE),
        ("no_demand", {"demand_seen": NOT_APPLICABLE, "front_door": CANNOT_TELL}, Verdict.POSSIBLE),
        ("no_demand", {"demand_seen": CANNOT_TELL}, Verdict.CANNOT_TELL),
    ],
)
def test_a_verdict_follows_from_its_checks(cause: str, statuses: dict[str, Any], verdict: Verdict) -> None:
    hypothesis = judged(cause, OK, **statuses)
    assert hypothesis.verdict is verdict
    if verdict is Verdict.RULED_OUT:
        assert hypothesis.refutes
    elif verdict in (Verdict.CONFIRMED, Verdict.LIKELY):
        assert hypothesis.supports


def test_what_must_be_in_order_for_a_cause_speaks_for_it_when_it_is() -> None:
    unconfigured = judged("provider_unconfigured", OK, texts_follow=FAIL, app_reaches_twilio=NOT_APPLICABLE)
    assert set(unconfigured.supports) == {"texts_follow", "api_answers", "account_errors", "account_active"}
    assert unconfigured.refutes == ("required_env",)
    quiet = judged("no_demand", OK, demand_seen=NOT_APPLICABLE, bookings_initiated=NOT_APPLICABLE)
    assert set(quiet.supports) == {"demand_seen", "bookings_initiated", "api_key_active", "front_door"}


def test_the_cause_that_explains_most_of_the_broken_flow_comes_first() -> None:
    order = [
        hypothesis.id
        for hypothesis in weigh(
            checks(OK, texts_recorded=FAIL, serving_commit=FAIL, null_customer_errors=FAIL, builds_pass=WARN)
        )
    ]
    assert order[:4] == ["code_not_deployed", "not_null_constraint", "sent_not_recorded", "build_failing"]


def test_several_causes_can_be_true_at_once() -> None:
    found = weigh(checks(OK, columns_exist=FAIL, nothing_waits=FAIL, serving_commit=FAIL))
    confirmed = {hypothesis.id for hypothesis in found if hypothesis.verdict is Verdict.CONFIRMED}
    assert confirmed == {"missing_column", "not_promoted", "code_not_deployed"}


def test_no_single_unknown_makes_any_verdict_stronger_or_another() -> None:
    """Over all pairs of one failing check and one unknown: what is not known only takes away."""
    order = (Verdict.CONFIRMED, Verdict.LIKELY, Verdict.POSSIBLE, Verdict.CANNOT_TELL)
    relevant = sorted({check.id for cause in HYPOTHESES for check in cause.all_checks})
    for broken in relevant:
        whole = {item.id: item.verdict for item in weigh(checks(OK, **{broken: FAIL}))}
        for unknown in relevant:
            for item in weigh(checks(OK, **{broken: FAIL, unknown: CANNOT_TELL})):
                full = whole[item.id]
                weaker = {full, *(order[order.index(full) :] if full in order else (Verdict.POSSIBLE, order[-1]))}
                assert item.verdict in weaker, (broken, unknown, item)
