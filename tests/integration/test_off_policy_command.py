"""`evaluate --off-policy`: decisions of a service and trials of a run, what is printed, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prompt_oirl.recommender import Recommender
from prompt_oirl.reward.logistic import LogisticModel
from prompt_oirl.selection import Candidate
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.export import write_decisions
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.testing import SyntheticWorld

WORLD = SyntheticWorld(n_queries=600, interaction=3.0)
EXPLORE = 0.5


@dataclass(frozen=True)
class Files:
    recommender: Path
    decisions: Path
    """Of queries that it has not learnt from."""
    seen: Path
    """Of those that it has."""


def write_store(folder: Path, rows: np.ndarray, to: Path) -> Path:
    """The export of decisions that explore from the truly best single prompt, with feedback to nine of ten."""
    rng = np.random.default_rng(1)
    taken, given = [], []
    for row in rows.tolist():
        is_explored = rng.random() < EXPLORE
        chosen = int(rng.integers(6)) if is_explored else WORLD.best_single
        decision = Decision(
            query_id=WORLD.queries[row].id,
            query=WORLD.queries[row].text,
            prompt_id=WORLD.prompts[chosen].id,
            score=None,
            propensity=EXPLORE / 6 + (1 - EXPLORE) * (chosen == WORLD.best_single),
            choice="explored" if is_explored else "recommended",
            source="recommend",
            recommender="v1",
            seconds=0.0,
        )
        taken.append(decision)
        if rng.random() < 0.9:
            given.append(Feedback(decision.id, float(rng.random() < WORLD.success_probabilities[row, chosen])))
    with DecisionStore.open(f"sqlite:///{folder / f'{to.stem}.sqlite'}") as store:
        store.register("v1", WORLD.prompts)
        store.save(taken, given)
        write_decisions(store, to)
    return to


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("off_policy")
    groups = WORLD.demonstrations.groups()
    training = np.flatnonzero(groups % 2 == 0)
    recommender = Recommender([Candidate("logistic", LogisticModel())]).fit(
        WORLD.demonstrations.select_queries(training)
    )
    assert recommender.selection_.pays  # else there is no gain to find
    recommender.save(folder / "recommender")
    rng = np.random.default_rng(2)
    return Files(
        folder / "recommender",
        write_store(folder, rng.choice(np.flatnonzero(groups % 2 == 1), 3000), folder / "decisions.parquet"),
        write_store(folder, rng.choice(training, 50), folder / "seen.jsonl"),
    )


def edited(files: Files, to: Path, **columns: Any) -> Path:
    """The decisions with some columns set to what a function of the row says, or left out."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(files.decisions).to_pylist()
    for row in rows:
        row.update({name: make(row) for name, make in columns.items() if make})
        for name in [name for name, make in columns.items() if make is None]:
            del row[name]
    to.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return to


def test_the_table_says_what_each_estimator_rests_on_and_which_to_read(cli, files: Files) -> None:
    ended = cli("evaluate", files.recommender, files.decisions, "--off-policy")
    assert (ended.code, ended.err) == (0, "")
    for part in (
        "ips",
        "snips",
        "dm",
        "dr ←",
        "switch_dr",
        "dr_os",
        "What each rests on",
        "effective sample size",
        "overlap",
    ):
        assert part in ended.out
    assert ended.out.rstrip().splitlines()[-1].startswith("Read dr: it is right where the propensities are")


def test_the_json_holds_the_truth(cli, files: Files) -> None:
    found = cli("evaluate", files.recommender, files.decisions, "--off-policy", "--json").json
    estimates = {each["estimator"]: each for each in found["estimates"]}
    assert found["read"] == "dr"
    assert found["n_dropped_as_seen"] == 0
    recommender = Recommender.load(files.recommender)
    queries = [query for query, group in zip(WORLD.queries, WORLD.demonstrations.groups(), strict=True) if group % 2]
    choices = recommender.choose(queries, WORLD.prompts)
    single = [prompt.id for prompt in WORLD.prompts].index(recommender.best_single_.prompt_id)
    truth = WORLD.true_gain(choices, np.full(len(queries), single), queries=queries)
    for name in ("ips", "snips", "dr", "switch_dr", "dr_os"):
        gain = estimates[name]["gain"]
        assert gain["low"] < truth < gain["high"], name
        value, baseline = (estimates[name][key]["value"] for key in ("value", "baseline_value"))
        assert gain["value"] == pytest.approx(value - baseline)
    assert found["support"]["overlap"] == pytest.approx(1, abs=0.1)


def test_clipped_propensities_are_reported(cli, files: Files) -> None:
    ended = cli("evaluate", files.recommender, files.decisions, "--off-policy", "--clip", 0.2)
    assert ended.code == 0
    assert "clipped" in ended.out
    assert "Beware: " in ended.out
    last = ended.out.rstrip().splitlines()[-1]
    assert last.startswith("Read dr as one that leans on the direct model: clipping took ")
    assert "dr        the propensities, but the direct model where they were clipped" in ended.out


def test_propensities_that_are_too_high_promise_nothing(cli, files: Files, tmp_path: Path) -> None:
    """Those of the prompt that was mostly logged, the best single one, whose value alone is refused."""

    def too_high(row: dict[str, Any]) -> float:
        return row["propensity"] * (1.35 if row["propensity"] > 0.5 else 1.0)

    high = edited(files, tmp_path / "high.jsonl", propensity=too_high)
    ended = cli("evaluate", files.recommender, high, "--off-policy")
    assert ended.code == 0
    assert "Refused: the baseline's weights average" in ended.out
    last = ended.out.rstrip().splitlines()[-1]
    assert last.startswith("Read dr only if the propensities are right")
    assert "propensities are likely wrong" in last


def test_the_mean_weight_stands_beside_every_estimate(cli, files: Files) -> None:
    """As docs/off_policy.md promises, also where nothing is wrong with it."""
    found = cli("evaluate", files.recommender, files.decisions, "--off-policy", "--json").json
    shown = cli("evaluate", files.recommender, files.decisions, "--off-policy").out.splitlines()
    lines = [line for line in shown if line.startswith("Support of the ")]
    assert len(lines) == 2
    for line, name in zip(lines, ("support", "baseline_support"), strict=True):
        mean = found[name]["mean_weight"]
        assert f"mean weight {mean['value']:.2f} [{mean['low']:.2f}, {mean['high']:.2f}]" in line


def test_queries_of_training_are_refused_or_left_out(cli, files: Files, tmp_path: Path) -> None:
    refused = cli("evaluate", files.recommender, files.seen, "--off-policy")
    assert refused.code == 1
    assert refused.err.startswith(f"error: {files.seen}")
    assert "--drop-seen" in refused.err
    nothing = cli("evaluate", files.recommender, files.seen, "--off-policy", "--drop-seen")
    assert (nothing.code, "all" in nothing.err) == (1, True)
    both = edited(files, tmp_path / "both.jsonl")
    with both.open("a", encoding="utf-8") as file:
        file.write(files.seen.read_text(encoding="utf-8"))
    kept = cli("evaluate", files.recommender, both, "--off-policy", "--drop-seen", "--json").json
    assert kept["n_dropped_as_seen"] > 10
    assert kept["n_decisions"] == 3000


def test_without_propensities_only_the_direct_method_is_left(cli, files: Files, tmp_path: Path) -> None:
    bare = edited(files, tmp_path / "bare.jsonl", propensity=None)
    refused = cli("evaluate", files.recommender, bare, "--off-policy")
    assert refused.code == 1
    assert "--direct-method-only" in refused.err
    allowed = cli("evaluate", files.recommender, bare, "--off-policy", "--direct-method-only")
    assert allowed.code == 0
    assert "rests on the direct model alone" in allowed.out
    assert "and log propensities." in allowed.out
    needless = cli("evaluate", files.recommender, files.decisions, "--off-policy", "--direct-method-only")
    assert "the logs have propensities: leave --direct-method-only out" in needless.out
    assert "log propensities" not in needless.out
    assert "snips" not in allowed.out


def test_a_policy_outside_the_support_is_refused(cli, files: Files, tmp_path: Path) -> None:
    sure = edited(files, tmp_path / "sure.jsonl", propensity=lambda row: 1.0)
    ended = cli("evaluate", files.recommender, sure, "--off-policy")
    assert ended.code == 0
    assert "Refused: logging put nothing where" in ended.out
    assert "Read none" in ended.out


def test_a_propensity_out_of_range_names_the_row(cli, files: Files, tmp_path: Path) -> None:
    wrong = edited(files, tmp_path / "wrong.jsonl", propensity=lambda row: 1.5)
    ended = cli("evaluate", files.recommender, wrong, "--off-policy")
    assert ended.code == 1
    assert f"{wrong}, row 1: 'propensity' is '1.5'" in ended.err


@pytest.mark.filterwarnings("always::prompt_oirl.errors.UnequalPropensityWarning")
@pytest.mark.parametrize("as_text", [True, False])
def test_decisions_that_are_not_weighed_are_warned_of(cli, files: Files, tmp_path: Path, as_text: bool) -> None:
    """Also where every candidate's probability is there, which is known and not kept."""

    def probabilities(row: dict[str, Any]) -> Any:
        others = EXPLORE / 6
        found = {prompt.id: others for prompt in WORLD.prompts}
        found[WORLD.prompts[WORLD.best_single].id] += 1 - EXPLORE
        return json.dumps(found) if as_text else found

    decisions = edited(files, tmp_path / "known.jsonl", action_probabilities=probabilities)
    for ended in (cli("inspect", decisions), cli("evaluate", files.recommender, decisions)):
        assert ended.code == 0, ended.err
        assert ended.err.startswith(f"warning: {decisions}: the rows are decisions, whose prompts were chosen with")
        assert "prompt-oirl evaluate RECOMMENDER LOGS --off-policy" in " ".join(ended.err.split())
    weighed = cli("evaluate", files.recommender, decisions, "--off-policy")
    assert (weighed.code, weighed.err) == (0, "")
    assert "(estimated)" not in weighed.out


def test_few_decisions_are_not_to_be_read(cli, files: Files, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(edited(files, few).read_text("utf-8").splitlines(keepends=True)[:40]), "utf-8")
    ended = cli("evaluate", files.recommender, few, "--off-policy")
    assert ended.code == 0
    assert "Read none: " in ended.out
    assert "Read dr" not in ended.out
    assert "←" not in ended.out


@pytest.mark.parametrize("option", [("--direct-method-only",), ("--clip", 0.1), ("--propensity-of", "cell")])
def test_options_of_decisions_need_off_policy(cli, files: Files, option) -> None:
    ended = cli("evaluate", files.recommender, files.decisions, *option)
    assert ended.code == 1
    assert f"{option[0]} is for logs of decisions; add --off-policy" in ended.err


def test_trials_of_a_run_are_weighted_as_cells(cli, files: Files, tmp_path: Path) -> None:
    of_run = edited(files, tmp_path / "run.jsonl", attempts=lambda row: 1)
    ended = cli("evaluate", files.recommender, of_run, "--off-policy")
    assert "trials of a run, weighted by the probability that they were bought" in ended.out
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_text(of_run.read_text("utf-8") + edited(files, tmp_path / "d.jsonl").read_text("utf-8"), "utf-8")
    refused = cli("evaluate", files.recommender, mixed, "--off-policy")
    assert refused.code == 1
    assert "row 3001" in refused.err
