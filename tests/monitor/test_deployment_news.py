"""News of production deployments: each once, and history never."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.model.deployments import AliasRequest, Deployment, DeploymentState, Hostname
from lib.monitor.deployment_news import DeploymentNews, DeploymentObservation, KnownDeployments, NewsKind, compare
from lib.monitor.messages import of_deployment
from tests.diagnosis import builders as b

LATER = b.NOW + timedelta(minutes=1)
NEW = b.deployment("dpl_new", "d" * 40, LATER)


def observed(
    *deployments: Deployment, live: Deployment | None = b.HEAD_BUILD, move: AliasRequest | None = None
) -> DeploymentObservation:
    project = dataclasses.replace(b.PROJECT, last_alias_request=move)
    listed = (*deployments, b.HEAD_BUILD, b.FIX_BUILD, b.OLD_BUILD)
    return DeploymentObservation("prj", listed, (b.hostname(live),), project)


def learned(*deployments: Deployment) -> KnownDeployments:
    return compare(None, observed(*deployments))[0]


def news(known: KnownDeployments | None, seen: DeploymentObservation) -> list[tuple[NewsKind, str]]:
    return [(one.kind, one.deployment.id) for one in compare(known, seen)[1]]


def ended(state: DeploymentState, **fields: object) -> Deployment:
    return dataclasses.replace(NEW, state=state, ready_at=None, **fields)


def moved(kind: str, to: Deployment, status: str = "succeeded") -> AliasRequest:
    return AliasRequest(kind, None, to.id, status, LATER)


def test_the_first_reading_only_learns():
    assert news(None, observed(ended(DeploymentState.ERROR))) == []


@pytest.mark.parametrize(
    ("seen", "kind", "which"),
    [
        (observed(NEW, live=NEW), NewsKind.LIVE, "dpl_new"),
        (observed(NEW, live=NEW, move=moved("promote", NEW)), NewsKind.PROMOTED, "dpl_new"),
        (observed(live=b.FIX_BUILD, move=moved("rollback", b.FIX_BUILD)), NewsKind.ROLLED_BACK, "dpl_fix"),
        (observed(ended(DeploymentState.ERROR)), NewsKind.FAILED, "dpl_new"),
        (observed(ended(DeploymentState.CANCELED, build_skipped=True)), NewsKind.SKIPPED, "dpl_new"),
        (
            observed(
                ended(
                    DeploymentState.CANCELED,
                    error_message="The Deployment has been canceled as a result of running "
                    'the command defined in the "Ignored Build Step" setting.',
                )
            ),
            NewsKind.SKIPPED,
            "dpl_new",
        ),
        (observed(ended(DeploymentState.BLOCKED)), NewsKind.BLOCKED, "dpl_new"),
        (
            observed(ended(DeploymentState.CANCELED, ready_state_reason="Skipped by the Ignored Build Step")),
            NewsKind.SKIPPED,
            "dpl_new",
        ),
        (
            observed(ended(DeploymentState.CANCELED, ready_state_reason="It was created with an unverified commit")),
            NewsKind.BLOCKED,
            "dpl_new",
        ),
        (
            observed(ended(DeploymentState.CANCELED, ready_state_reason="Git author x must have access to the team")),
            NewsKind.BLOCKED,
            "dpl_new",
        ),
        (observed(NEW, live=NEW, move=moved("promote", NEW, "failed")), NewsKind.LIVE, "dpl_new"),
        (observed(NEW, live=NEW, move=moved("promote", NEW, "skipped")), NewsKind.LIVE, "dpl_new"),
    ],
)
def test_what_happened_is_sent_once(seen: DeploymentObservation, kind: NewsKind, which: str):
    known, found = compare(learned(), seen)
    assert [(one.kind, one.deployment.id) for one in found] == [(kind, which)]
    assert compare(known, seen)[1] == ()
    title = of_deployment(found[0], "https://desk.example").title
    assert 0 < len(title) <= 110


def test_a_build_that_was_on_its_way_and_failed_is_news():
    assert news(learned(ended(DeploymentState.BUILDING)), observed(ended(DeploymentState.ERROR))) == [
        (NewsKind.FAILED, "dpl_new")
    ]


def test_a_cancel_by_hand_and_a_preview_are_no_news():
    assert news(learned(), observed(ended(DeploymentState.CANCELED))) == []
    assert news(learned(), observed(ended(DeploymentState.CANCELED, error_message="This alias was ignored"))) == []
    assert news(learned(), observed(ended(DeploymentState.CANCELED, error_message="The domain was verified"))) == []
    assert news(learned(), observed(ended(DeploymentState.ERROR, target=None))) == []


def test_old_deployments_that_a_longer_list_brings_up_are_history():
    old = dataclasses.replace(ended(DeploymentState.ERROR), id="dpl_ancient", created_at=b.ago(days=30))
    assert news(learned(), observed(old)) == []


def test_what_cannot_be_read_stays_as_it_was_known():
    known = learned()
    unread = DeploymentObservation("prj", None, None, None)
    assert compare(known, unread) == (known, ())
    unresolved = dataclasses.replace(observed(), hostnames=(b.hostname(None),))
    after, found = compare(known, unresolved)
    assert found == () and after.live == known.live
    assert news(after, observed(NEW, live=NEW)) == [(NewsKind.LIVE, "dpl_new")]


def test_deployments_that_were_never_read_before_are_learned_when_they_are():
    known, _ = compare(None, DeploymentObservation("prj", None, None, None))
    assert news(known, observed(ended(DeploymentState.ERROR))) == []


def test_a_second_hostname_that_follows_is_no_second_news():
    both = (b.hostname(b.HEAD_BUILD), b.hostname(b.HEAD_BUILD, "www.example"))
    one_moved = (b.hostname(NEW), b.hostname(b.HEAD_BUILD, "www.example"))
    two_moved = (b.hostname(NEW), b.hostname(NEW, "www.example"))
    known, _ = compare(None, dataclasses.replace(observed(), hostnames=both))
    known, found = compare(known, dataclasses.replace(observed(NEW), hostnames=one_moved))
    assert [one.kind for one in found] == [NewsKind.LIVE]
    assert compare(known, dataclasses.replace(observed(NEW), hostnames=two_moved))[1] == ()


def test_a_deployment_that_is_replaced_and_comes_back_is_news_both_times():
    known = learned(NEW)
    known, forth = compare(known, observed(NEW, live=NEW))
    known, back = compare(known, observed(NEW, live=b.HEAD_BUILD, move=moved("rollback", b.HEAD_BUILD)))
    assert [one.kind for one in (*forth, *back)] == [NewsKind.LIVE, NewsKind.ROLLED_BACK]


def test_another_project_is_not_compared_with_the_old_one():
    other = dataclasses.replace(observed(ended(DeploymentState.ERROR), live=NEW), world="another")
    assert news(learned(), other) == []


def test_a_message_addresses_nobody_and_leaks_nothing():
    message = "<!channel> @everyone call +447700900123 [x](https://evil.example)"
    hostile = dataclasses.replace(NEW, commit_message=message, commit_author="sam@a.example")
    message = of_deployment(DeploymentNews(NewsKind.LIVE, hostile, (b.HOST,)), "https://desk.example")
    said = message.title + message.body
    for unwanted in ("<", "@", "7700", "](", "a.example"):
        assert unwanted not in said
    assert message.body.endswith("https://desk.example/deployments")


STATES = st.sampled_from(list(DeploymentState))
BUILDS = st.lists(st.tuples(st.integers(0, 5), STATES), max_size=5, unique_by=lambda pair: pair[0])
LOOKS = st.lists(st.tuples(BUILDS, st.none() | st.integers(0, 5)), max_size=8)


@given(LOOKS)
def test_the_same_observation_again_is_never_news(looks: list[tuple]):
    known: KnownDeployments | None = None
    for builds, live in looks:
        deployments = tuple(
            dataclasses.replace(NEW, id=f"dpl_{n}", created_at=LATER + n * timedelta(minutes=1), state=state)
            for n, state in builds
        )
        serving = dataclasses.replace(NEW, id=f"dpl_{live}") if live is not None else None
        seen = DeploymentObservation("prj", deployments, (Hostname(b.HOST, deployment=serving),), None)
        known, _ = compare(known, seen)
        assert compare(known, seen) == (known, ())
