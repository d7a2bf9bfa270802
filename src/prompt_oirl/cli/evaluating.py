"""What `prompt-oirl evaluate` does: on logs of every prompt, or on decisions of another policy."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from prompt_oirl.cli.files import LogFiles, check_logs, open_run
from prompt_oirl.cli.held_out import held_out_part, with_way_out
from prompt_oirl.cli.render import working
from prompt_oirl.errors import DataError, LeakageError, ParameterError
from prompt_oirl.evaluation import Evaluation
from prompt_oirl.evaluation.off_policy import LoggedDecisions, OffPolicyEvaluation, PropensityOf
from prompt_oirl.grading import get_grader
from prompt_oirl.prompts import read_prompts
from prompt_oirl.recommender import Recommender
from prompt_oirl.recommender.off_policy import evaluate_off_policy, unseen_decisions
from prompt_oirl.runs.export import write_export
from prompt_oirl.runs.run import is_run
from prompt_oirl.sources.decision_rows import read_logged_decisions

__all__ = ["OffPolicyFound", "check_no_off_policy_options", "off_policy", "on_grid"]


class OffPolicyFound(NamedTuple):
    """What was found, and on how many queries it was not."""

    evaluation: OffPolicyEvaluation
    n_dropped: int


def check_no_off_policy_options(*, direct_method_only: bool, clip: float | None, kind: object) -> None:
    """Raise if an option is given that only --off-policy has a use for.

    Raises:
        ParameterError: So it is.
    """
    given = {"--direct-method-only": direct_method_only or None, "--clip": clip, "--propensity-of": kind}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise ParameterError(f"{named[0]} is for logs of decisions; add --off-policy, or leave it out")


def on_grid(folder: Path, files: LogFiles, *, drop_seen: bool, seed: int) -> tuple[Evaluation, int, int]:
    """Return the evaluation on logs of every prompt, how many queries were left out for it, and how many there are.

    Raises:
        LeakageError: Queries were in training, and are not to be left out.
        DataError: All queries were in training.
    """
    recommender = Recommender.load(folder)
    part = held_out_part(recommender, files, drop_seen=drop_seen)
    with with_way_out(files.logs):
        return recommender.evaluate(part.demonstrations, seed=seed), part.n_dropped, part.n_queries


def off_policy(
    folder: Path,
    files: LogFiles,
    *,
    propensity_of: PropensityOf | None,
    drop_seen: bool,
    direct_method_only: bool,
    clip: float,
    seed: int,
) -> OffPolicyFound:
    """Return the evaluation on decisions of another policy.

    Raises:
        LeakageError: Queries were in training, and are not to be left out.
        DataError: All queries were in training, or the decisions say too little; names the file.
    """
    recommender = Recommender.load(folder)
    decisions = _read(files, propensity_of)
    try:
        kept = unseen_decisions(recommender, decisions) if drop_seen else decisions
        with with_way_out(files.logs), working(f"fitting direct models on {kept.n_decisions} decisions"):
            evaluation = evaluate_off_policy(
                recommender, kept, direct_method_only=direct_method_only, clip=clip, seed=seed
            )
    except LeakageError:
        raise
    except DataError as error:
        raise DataError(f"{files.logs}: {error}") from error
    return OffPolicyFound(evaluation, decisions.n_queries - kept.n_queries)


def _read(files: LogFiles, propensity_of: PropensityOf | None) -> LoggedDecisions:
    """Read a file of decisions, or the trials of a run with the probability that each was bought."""
    grader = None if files.grader is None else get_grader(files.grader)
    if not is_run(files.logs):
        check_logs(files.logs)
        return read_logged_decisions(
            files.logs,
            grader=grader,
            prompts=None if files.prompts is None else read_prompts(files.prompts),
            extra_columns="ignore" if files.ignore_extra_columns else "error",
            propensity_of=propensity_of,
        )
    if files.prompts is not None or propensity_of == "choice":
        raise ParameterError(
            f"{files.logs} is a run, which has its own prompts and the propensities of cells; leave --prompts and "
            "--propensity-of out"
        )
    with open_run(files.logs) as run, TemporaryDirectory() as folder:
        export = write_export(run.store, Path(folder) / "trials.parquet", grader=grader)
        return read_logged_decisions(export.path, prompts=run.store.prompts(), propensity_of="cell")
