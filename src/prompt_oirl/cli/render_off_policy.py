"""What `evaluate --off-policy` prints."""

from __future__ import annotations

from prompt_oirl.cli.render import console, interval, percent, points, rate, table
from prompt_oirl.evaluation.off_policy import OffPolicyEstimate, OffPolicyEvaluation, Support

__all__ = ["print_off_policy"]

_KINDS = {
    "choice": "decisions, weighted by the probability that their prompt was chosen",
    "cell": "trials of a run, weighted by the probability that they were bought",
}


def print_off_policy(evaluation: OffPolicyEvaluation) -> None:
    """Print every estimator with what it rests on, the support of both policies, doubts, and which one to read."""
    out = console()
    n_scored = evaluation.n_decisions - evaluation.n_without_reward
    out.print(
        f"{n_scored} {_KINDS[evaluation.propensity_of] if evaluation.support else 'decisions'}; "
        f"{evaluation.n_without_reward} without a reward left out; {evaluation.n_queries} queries in "
        f"{evaluation.n_groups} groups",
        markup=False,
    )
    columns = ("estimator", "recommended prompts", "best single prompt", "gain, points")
    out.print(
        table(
            f"Success rates and gain, {_level(evaluation):.0%} intervals",
            columns,
            [_cells(each, is_read=each.estimator == evaluation.read) for each in evaluation.estimates],
        )
    )
    out.print("What each rests on:")
    for each in evaluation.estimates:
        out.print(f"  {each.estimator:<9} {each.rests_on}", markup=False)
    for refusal in dict.fromkeys(each.refusal for each in evaluation.estimates if each.refusal):
        out.print(f"Refused: {refusal}.", markup=False)
    for name, support in (
        ("recommended prompts", evaluation.support),
        ("best single prompt", evaluation.baseline_support),
    ):
        if support is not None:
            out.print(f"Support of the {name}: {_shown(support, n_scored)}", markup=False)
    for warning in evaluation.warnings:
        out.print(f"Beware: {warning}.", markup=False)
    out.print(evaluation.why, style="bold", markup=False)


def _level(evaluation: OffPolicyEvaluation) -> float:
    return next((each.value.level for each in evaluation.estimates if each.value is not None), 0.95)


def _cells(estimate: OffPolicyEstimate, *, is_read: bool) -> tuple[str, ...]:
    gain = "–" if estimate.gain is None else f"{points(estimate.gain.value)} {interval(estimate.gain)}"
    return (
        f"{estimate.estimator}{' ←' if is_read else ''}",
        rate(estimate.value),
        rate(estimate.baseline_value),
        gain,
    )


def _shown(support: Support, n_scored: int) -> str:
    clipped = f", {support.n_clipped} clipped" if support.n_clipped else ""
    estimated = "" if support.is_overlap_exact else " (estimated)"
    return (
        f"{support.n_matched} of {n_scored} decisions have its prompt, effective sample size "
        f"{support.effective_sample_size:.0f}, overlap {percent(support.overlap)}{estimated}, mean weight "
        f"{_mean_weight(support)}, largest weight {support.largest_weight:.1f}{clipped}"
    )


def _mean_weight(support: Support) -> str:
    mean = support.mean_weight
    return f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"
