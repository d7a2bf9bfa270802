"""What off-policy evaluation says: every estimator's value and gain, and what they rest on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from prompt_oirl.evaluation.estimate import Estimate
from prompt_oirl.evaluation.off_policy.estimators import Estimator
from prompt_oirl.evaluation.off_policy.support import Support
from prompt_oirl.sources.logged_decisions import PropensityOf
from prompt_oirl.splits import Grouping

__all__ = ["GAINS", "SUCCESS_RATES", "OffPolicyEstimate", "OffPolicyEvaluation"]

SUCCESS_RATES = (0.0, 1.0)
GAINS = (-1.0, 1.0)
"""What is possible: intervals end there, and an estimate beyond it is marked."""


@dataclass(frozen=True)
class OffPolicyEstimate:
    """What one estimator says."""

    estimator: Estimator

    rests_on: str
    """What must be right for it to be right."""

    value: Estimate | None
    """Success rate of the policy; None where it is refused."""

    baseline_value: Estimate | None
    """Success rate of the baseline; None where there is no baseline, or it is refused."""

    gain: Estimate | None
    """The first less the second, paired on the same decisions."""

    refusal: str | None = None
    """Why something is None that was asked for, and the way out."""

    tuned: float | None = None
    """τ of `switch_dr` or λ of `dr_os` for the policy; None for the others, and where no weight had to be shrunk."""

    @property
    def is_beyond_possible(self) -> bool:
        """Whether a success rate is outside 0 to 1 or the gain outside -1 to 1, as those without a ratio may be."""
        bounded = ((self.value, SUCCESS_RATES), (self.baseline_value, SUCCESS_RATES), (self.gain, GAINS))
        return any(each is not None and not low <= each.value <= high for each, (low, high) in bounded)

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.estimator:<10} refused: {self.refusal}"
        gain = f"; no gain: {self.refusal}" if self.refusal else "" if self.gain is None else f"; gain {self.gain}"
        return f"{self.estimator:<10} {self.value}{gain}; rests on {self.rests_on}"


@dataclass(frozen=True)
class OffPolicyEvaluation:
    """A policy, and its gain over a baseline, by decisions that another policy logged."""

    estimates: tuple[OffPolicyEstimate, ...]

    read: Estimator | None
    """The one to read; None where none can be relied on."""

    why: str
    """In words: why that one and what it must not be taken for, or why none."""

    support: Support | None
    """Of the policy; None without propensities."""

    baseline_support: Support | None
    """Of the baseline; None without propensities or without a baseline."""

    propensity_of: PropensityOf

    clip: float
    """Probabilities below it counted as it; 0 for no clipping."""

    by: Grouping | None
    """What makes a group of queries; None where group numbers were given."""

    n_decisions: int
    """Logged, with a reward or without."""

    n_without_reward: int
    """Left out of them."""

    n_queries: int
    """Distinct queries with a scored decision."""

    n_groups: int
    """Groups that these are in: the unit of evidence."""

    warnings: tuple[str, ...]
    """What makes these numbers doubtful."""

    def __getitem__(self, estimator: Estimator) -> OffPolicyEstimate:
        """Return what one estimator says.

        Raises:
            KeyError: It was not asked.
        """
        for each in self.estimates:
            if each.estimator == estimator:
                return each
        raise KeyError(f"{estimator}; there are {', '.join(each.estimator for each in self.estimates)}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, estimates included, as JSON can hold them."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [str(each) for each in self.estimates]
        if self.support is not None:
            lines.append(
                f"overlap {self.support.overlap:.3f}, effective sample size {self.support.effective_sample_size:.0f} "
                f"of {self.n_decisions - self.n_without_reward} scored decisions, mean weight "
                f"{self.support.mean_weight.value:.2f}, largest weight "
                f"{self.support.largest_weight:.1f}, {self.support.n_clipped} clipped"
            )
        return "\n".join([*lines, *(f"warning: {each}" for each in self.warnings), self.why])
