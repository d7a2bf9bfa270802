"""What the service counts and measures, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from prompt_oirl.serve.decision import Choice, Decision, Source
from prompt_oirl.serve.protocols import DecisionLog, LogState
from prompt_oirl.serve.scoring import ScoringFailure

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_LOG_STATES = ("writing", "failing", "ended")
_DECISION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_UPSTREAM_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """Counters of one service, in a registry of their own; everything is counted in the event loop's thread.

    Args:
        version: Says which version of the recommender is in use.
        log: Where decisions go; what it dropped and what waits is asked of it.
    """

    def __init__(self, version: Callable[[], str] | None = None, log: DecisionLog | None = None) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._decisions = Counter(
            "prompt_oirl_decisions", "Prompts that were chosen.", ["choice", "source"], registry=self.registry
        )
        self._decision_seconds = Histogram(
            "prompt_oirl_decision_seconds", "To choose a prompt.", buckets=_DECISION_SECONDS, registry=self.registry
        )
        self._failures = Counter(
            "prompt_oirl_scoring_failures",
            "Queries that got the best single prompt because scoring failed or was late.",
            ["kind"],
            registry=self.registry,
        )
        self._feedback = Counter("prompt_oirl_feedback", "Rewards that were stored.", registry=self.registry)
        self._upstream = Counter(
            "prompt_oirl_upstream_responses", "Answers of the upstream.", ["status"], registry=self.registry
        )
        self._upstream_seconds = Histogram(
            "prompt_oirl_upstream_seconds",
            "Until the upstream began to answer.",
            buckets=_UPSTREAM_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_AskedWhenShown(version, log))
        self._by_choice: dict[tuple[Choice, Source], Counter] = {}
        for kind in ("failed", "late"):
            self._failures.labels(kind)  # shown as 0 from the start

    def observe_decision(self, decision: Decision) -> None:
        """Count a decision, and the time that it took."""
        key = (decision.choice, decision.source)
        counter = self._by_choice.get(key)
        if counter is None:
            counter = self._by_choice[key] = self._decisions.labels(*key)
        counter.inc()
        self._decision_seconds.observe(decision.seconds)

    def count_failure(self, kind: ScoringFailure) -> None:
        """Count a query that could not be scored, or not in time."""
        self._failures.labels(kind).inc()

    def count_feedback(self) -> None:
        """Count a reward that was stored."""
        self._feedback.inc()

    def upstream_answered(self, status: int, seconds: float) -> None:
        """Count an answer of the upstream, 502 or 504 where there was none, and the seconds until it began."""
        self._upstream.labels(str(status)).inc()
        self._upstream_seconds.observe(seconds)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format; its content type is `CONTENT_TYPE`."""
        return generate_latest(self.registry)


class _AskedWhenShown(Collector):
    """What others know anyway and is asked of them when the metrics are shown."""

    def __init__(self, version: Callable[[], str] | None, log: DecisionLog | None) -> None:
        self._version = version
        self._log = log

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        if self._version is not None:
            yield InfoMetricFamily(
                "prompt_oirl_recommender", "The recommender in use.", value={"version": self._version()}
            )
        if self._log is not None:
            yield CounterMetricFamily(
                "prompt_oirl_decisions_dropped", "Decisions that could not be stored.", value=self._log.n_dropped
            )
            yield GaugeMetricFamily(
                "prompt_oirl_decisions_waiting", "Decisions that are not stored yet.", value=self._log.n_waiting
            )
            yield _state_family(self._log.state)


def _state_family(state: LogState) -> Metric:
    """Return a series for each state that a decision log may be in: 1 for the one that it is in."""
    family = GaugeMetricFamily(
        "prompt_oirl_decision_log_state", "Whether the decision log can write: 1 for its state.", labels=["state"]
    )
    for name in _LOG_STATES:
        family.add_metric([name], name == state.name)
    return family
