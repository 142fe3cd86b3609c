"""The endpoints for programs: metrics for Prometheus, and the headline as JSON. Both need a token except on a sandbox.

No label grows with the traffic: they are states, hops, sources, rules and actions, each from a closed list.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import SecretStr

from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.json_report import headline
from lib.journal.entry import Kind, Outcome
from lib.model.reading import Freshness, SourceName, source_health
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from lib.monitor.monitor_status import MonitorStatus
from lib.monitor.rules import RULES
from lib.monitor.store import KEPT_FOR
from lib.start_token import StartToken, TokenAttempt

Outcomes = Mapping[tuple[str, Kind | Outcome], int]


class Access(StrEnum):
    """Whether a program may read. OPEN: with STATUS_TOKEN; where none is set, as somebody who may look at the pages."""

    OPEN = "open"
    WRONG_TOKEN = "wrong_token"
    NO_TOKEN_SET = "no_token_set"


def may_read(authorization: str | None, token: SecretStr | None, *, known: bool) -> Access:
    """Return whether the bearer of `authorization` may read.

    `known`: the request was made on this machine, without a login, to a sandbox or with the token of this start.
    """
    if token is None:
        return Access.OPEN if known else Access.NO_TOKEN_SET
    right = hmac.compare_digest((_bearer(authorization) or "").encode(), token.get_secret_value().encode())
    return Access.OPEN if right else Access.WRONG_TOKEN


def shows_start_token(authorization: str | None, token: StartToken) -> bool:
    """Return whether the token of this start is shown as a bearer token. A wrong one counts as a try."""
    given = _bearer(authorization)
    return given is not None and token.attempt(given) is TokenAttempt.RIGHT


def _bearer(authorization: str | None) -> str | None:
    scheme, _, given = (authorization or "").partition(" ")
    return given.strip() if scheme.casefold() == "bearer" else None


def status_document(diagnosis: Diagnosis, monitor: MonitorStatus | None) -> dict[str, Any]:
    """Return the headline as a JSON document: instants in ISO 8601 UTC, stable keys, no customer."""
    cause = diagnosis.likeliest
    return {
        **headline(diagnosis),
        "cause": {"id": cause.id, "title": cause.title, "verdict": cause.verdict.value} if cause else None,
        "next_step": cause.remedy.message if cause else None,
        "measured_at": diagnosis.facts.now.isoformat(),
        "last_monitor_round_at": monitor.last_round_at.isoformat() if monitor and monitor.last_round_at else None,
    }


def exposition(diagnosis: Diagnosis, monitor: MonitorStatus | None, outcomes: Outcomes, now: datetime) -> bytes:
    """Return the metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Numbers([*_of_diagnosis(diagnosis, now), *_of_monitor(monitor, now), _of_actions(outcomes)]))
    return generate_latest(registry)


class _Numbers(Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _of_diagnosis(diagnosis: Diagnosis, now: datetime) -> Iterator[Metric]:
    state = GaugeMetricFamily("switchboard_headline", "1 for the state of the headline.", labels=["state"])
    _one_of(state, HeadlineState, diagnosis.headline.state)
    yield state
    hops = GaugeMetricFamily("switchboard_hop", "1 for the state of each hop.", labels=["hop", "status"])
    for hop in diagnosis.hops:
        _one_of(hops, CheckStatus, hop.status, hop.hop.value)
    yield hops
    verdicts = GaugeMetricFamily(
        "switchboard_hypothesis", "1 for the verdict on each possible cause.", labels=["hypothesis", "verdict"]
    )
    for hypothesis in diagnosis.hypotheses:
        _one_of(verdicts, Verdict, hypothesis.verdict, hypothesis.id)
    yield verdicts
    yield from _of_sources(diagnosis, now)


def _of_sources(diagnosis: Diagnosis, now: datetime) -> Iterator[Metric]:
    states = GaugeMetricFamily("switchboard_source", "1 for the state of each source.", labels=["source", "state"])
    latencies = GaugeMetricFamily(
        "switchboard_source_latency_seconds", "The slowest answer of each source.", labels=["source"]
    )
    ages = GaugeMetricFamily(
        "switchboard_source_age_seconds", "The age of each source's oldest answer.", labels=["source"]
    )
    for source in SourceName:
        readings = diagnosis.facts.snapshot.of(source)
        _one_of(states, Freshness, source_health(readings, now).state, source.value)
        # A source without an answer has no latency and no age, so no sample: zero would be false.
        if answered := [reading for reading in readings if reading.failure is None]:
            latencies.add_metric([source.value], max(reading.latency_ms for reading in answered) / 1000)
            oldest = min(reading.observed_at for reading in answered)
            ages.add_metric([source.value], (now - oldest).total_seconds())
    yield from (states, latencies, ages)


def _of_monitor(monitor: MonitorStatus | None, now: datetime) -> Iterator[Metric]:
    if monitor is None:
        return
    if monitor.last_round_at:
        age = (now - monitor.last_round_at).total_seconds()
        yield GaugeMetricFamily("switchboard_monitor_round_age_seconds", "The age of the last round.", value=age)
    firing = {alert.rule for alert in monitor.firing}
    alerts = GaugeMetricFamily("switchboard_alert_firing", "1 for each alert that fires.", labels=["rule"])
    for rule in RULES:
        alerts.add_metric([rule.id], float(rule.id in firing))
    yield alerts
    yield GaugeMetricFamily(
        "switchboard_notifications_undelivered",
        f"Messages that wait to be sent, and those that were given up within the last {KEPT_FOR.days} days.",
        value=monitor.undelivered,
    )


def _of_actions(outcomes: Outcomes) -> Metric:
    actions = CounterMetricFamily(
        "switchboard_actions", "How often each action ended how.", labels=["action", "outcome"]
    )
    for (action, outcome), count in sorted(outcomes.items()):
        actions.add_metric([action, outcome.value], count)
    return actions


def _one_of(family: GaugeMetricFamily, states: type[StrEnum], now: StrEnum, *labels: str) -> None:
    for state in states:
        family.add_metric([*labels, state.value], float(state is now))
