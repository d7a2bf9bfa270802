"""The reproduction on the released logs: published numbers, leakage, and one leak-free cell."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from prompt_oirl.reproduction import leak_free, leakage, paper_protocol
from prompt_oirl.reproduction.cells import Settings
from prompt_oirl.reproduction.rows import ResultRow, read_rows
from prompt_oirl.reproduction.runner import Reproduction, reproduce

pytestmark = pytest.mark.real_logs

# Success rates as published, recomputed from the release's arrays by hand:
# K = 1 BoTr, K = 1 IRL 10, K = 6 BoTr, K = 6 IRL 0, K = 6 IRL 10, K = 6 IRL 100, K = 6 LMSC.
PUBLISHED = {
    ("gpt-3.5-turbo", "gsm8k"): (0.642, 0.641, 0.672, 0.683, 0.683, 0.684, 0.674),
    ("gpt-3.5-turbo", "svamp"): (0.796, 0.864, 0.855, 0.936, 0.932, 0.932, 0.818),
    ("gpt-3.5-turbo", "mawps"): (0.660, 0.764, 0.718, 0.855, 0.856, 0.894, 0.686),
    ("llama-2-7b-chat", "gsm8k"): (0.185, 0.221, 0.248, 0.258, 0.205, 0.201, 0.228),
    ("llama-2-7b-chat", "svamp"): (0.438, 0.564, 0.637, 0.672, 0.660, 0.661, 0.558),
    ("llama-2-7b-chat", "mawps"): (0.430, 0.556, 0.646, 0.686, 0.677, 0.681, 0.555),
    ("tigerbot-13b-chat", "gsm8k"): (0.370, 0.383, 0.394, 0.376, 0.391, 0.367, 0.378),
    ("tigerbot-13b-chat", "svamp"): (0.597, 0.647, 0.645, 0.665, 0.664, 0.663, 0.608),
    ("tigerbot-13b-chat", "mawps"): (0.159, 0.674, 0.536, 0.622, 0.726, 0.731, 0.536),
}
COLUMNS = ((1, "botr"), (1, "irl10"), (6, "botr"), (6, "irl0"), (6, "irl10"), (6, "irl100"), (6, "lmsc"))
MEANS = (0.4751, 0.5904, 0.5944, 0.6390, 0.6437, 0.6459, 0.5601)
CHEAP = ("published", "leakage", "correlation")


@pytest.fixture(scope="module")
def cheap(data_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    return reproduce(data_folder, tmp_path_factory.mktemp("reproduction"), fast=True, only=CHEAP)


def only_row(rows: list[ResultRow]) -> ResultRow:
    assert len(rows) == 1
    return rows[0]


@pytest.mark.parametrize(("llm", "dataset"), PUBLISHED)
def test_published_cells_are_reproduced(cheap: Reproduction, llm: str, dataset: str) -> None:
    cells = [row for row in cheap.rows if (row.table, row.llm, row.dataset) == ("published", llm, dataset)]
    for (k, method), expected in zip(COLUMNS, PUBLISHED[llm, dataset], strict=True):
        mean = only_row([row for row in cells if row.k == k and row.method == method and row.prompts is None])
        assert mean.value == pytest.approx(expected, abs=0.001), (k, method)


def test_every_subset_of_every_cell_is_there(cheap: Reproduction) -> None:
    rows = [row for row in cheap.rows if row.table == "published" and row.prompts is not None]
    assert len(rows) == 9 * 63 * 6
    assert len({(row.llm, row.dataset, row.method, row.prompts) for row in rows}) == len(rows)


@pytest.mark.parametrize(("column", "expected"), list(zip(COLUMNS, MEANS, strict=True)))
def test_means_over_the_nine_cells(cheap: Reproduction, column: tuple[int, str], expected: float) -> None:
    mean = only_row([
        row for row in cheap.rows
        if row.dataset == "all nine cells" and row.metric == "mean_of_cells" and (row.k, row.method) == column
    ])  # fmt: skip
    assert mean.value == pytest.approx(expected, abs=5.1e-5)


@pytest.mark.parametrize(
    ("scope", "k", "method", "per_cent"),
    [
        ("all nine cells", 1, "irl10", "+24.26"),
        ("all nine cells", 6, "irl10", "+8.29"),
        ("all nine cells", 6, "irl100", "+8.67"),
        ("without TigerBot on MAWPS", 1, "irl10", "+12.69"),
        ("GSM8K alone", 6, "irl10", "-2.66"),
    ],
)
def test_the_headline_to_the_second_decimal(
    cheap: Reproduction, scope: str, k: int, method: str, per_cent: str
) -> None:
    relative = only_row([
        row for row in cheap.rows
        if (row.dataset, row.metric, row.k, row.method) == (scope, "relative_gain", k, method)
    ])  # fmt: skip
    assert f"{100 * (relative.value or math.nan):+.2f}" == per_cent


def test_published_gains_have_intervals_as_wide_as_measured(cheap: Reproduction) -> None:
    """The paired intervals of IRL 10 less the best single prompt at K = 6 on GSM8K."""
    for llm, gain, half in (
        ("gpt-3.5-turbo", 0.011, 0.024),
        ("llama-2-7b-chat", -0.043, 0.029),
        ("tigerbot-13b-chat", -0.003, 0.030),
    ):
        row = only_row([
            row for row in cheap.rows
            if (row.table, row.llm, row.dataset, row.method, row.k) == ("published", llm, "gsm8k", "irl10", 6)
            and row.prompts is None
        ])  # fmt: skip
        assert row.gain == pytest.approx(gain, abs=0.001)
        assert ((row.high or 0) - (row.low or 0)) / 2 == pytest.approx(half, abs=0.001)


@pytest.mark.parametrize(("dataset", "share"), [("mawps", 1.0), ("svamp", 1.0), ("gsm8k", 0.0)])
def test_leakage(cheap: Reproduction, dataset: str, share: float) -> None:
    rows = [row for row in cheap.rows if row.table == "leakage" and row.dataset == dataset]
    assert {row.method: row.value for row in rows} == {"by_question": share, "by_template": share}


def test_the_cheap_tables_are_written_and_kept(cheap: Reproduction, data_folder: Path) -> None:
    assert tuple(read_rows(cheap.folder / "results.jsonl")) == cheap.rows
    assert {path.stem for path in (cheap.folder / "tables").iterdir()} == set(CHEAP)
    assert {path.name for path in cheap.figures} == {"published_success_rate.png", "outcome_correlation.png"}
    manifest = json.loads((cheap.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["fast"] is True
    assert "prompt-oirl/active_results/ALL_gsm8k_10.npy" in manifest["data"]
    again = reproduce(data_folder, cheap.folder, fast=True, only=CHEAP)
    assert (again.n_computed, again.n_kept) == (0, cheap.n_computed)
    assert again.rows == cheap.rows


def test_the_critique_is_the_published_classifier(data_folder: Path) -> None:
    """Self-critique accuracy on training prompts × test questions, GSM8K and MAWPS."""
    for llm, dataset, accuracy in (
        ("gpt-3.5-turbo", "gsm8k", 0.662),
        ("llama-2-7b-chat", "gsm8k", 0.227),
        ("llama-2-7b-chat", "mawps", 0.470),
    ):
        rows = paper_protocol.compute_critique(data_folder, {"llm": llm, "dataset": dataset})
        row = only_row([row for row in rows if row.method == "lmsc" and row.metric == "accuracy_training"])
        assert row.value == pytest.approx(accuracy, abs=0.001)


@pytest.mark.slow
def test_the_label_audit_counts_what_the_correct_grader_changes(data_folder: Path) -> None:
    (cell,) = leakage.label_audit_cells(Settings())
    counts = {row.method: row.value for row in cell.compute(data_folder, cell.parameters)}
    assert counts["equals_published"] == 16_000
    assert (counts["wrong_to_right"] or 0) > 3 * (counts["right_to_wrong"] or 0) > 0
    assert 0 < (counts["to_unparsed"] or 0) < 160


@pytest.mark.slow
def test_the_papers_own_split_rewards_memory(data_folder: Path) -> None:
    """On MAWPS every test question is a training question: a table of the training labels beats the published .686."""
    with threadpool_limits(limits=1):
        found = paper_protocol.compute_selection(data_folder, {"dataset": "mawps", "sizes": [6]})
    values = {row.method: row.value for row in found}
    assert set(values) == {"botr", "best_single", "lookup", "advantage", "logistic", "recommender", "oracle"}
    assert values["lookup"] == pytest.approx(0.698, abs=0.002)
    assert values["botr"] == pytest.approx(0.646, abs=0.001)
    assert values["recommender"] > 0.69
    assert all((row.k, row.n_queries, row.n_trials) == (6, 1545, 1685) for row in found)


@pytest.mark.slow
def test_one_prompt_to_learn_from_still_scores_held_out_ones(data_folder: Path) -> None:
    with threadpool_limits(limits=1):
        found = paper_protocol.compute_joint(data_folder, {"dataset": "mawps", "sizes": [1]})
    values = {(row.method, row.prompts): row for row in found if row.table == "paper_protocol"}
    assert set(values) == {(rule, str(prompt)) for rule in ("joint", "all_mixed", "irl10") for prompt in range(6)}
    assert all(values["joint", str(prompt)].gain == 0 for prompt in range(6))
    metrics = [row for row in found if row.table == "reward_model" and row.method == "joint"]
    assert {row.metric for row in metrics} == {
        f"{name}_{part}" for name in paper_protocol.METRICS for part in ("training", "held_out")
    }
    assert all(row.value is not None and 0 <= row.value <= 1 for row in metrics)


PLACE = {"llm": "llama-2-7b-chat", "dataset": "mawps", "by": "template", "seeds": [0]}


@pytest.mark.slow
def test_a_leak_free_cell_from_logs_to_gain(data_folder: Path) -> None:
    with threadpool_limits(limits=1):
        rows = {row.method: row for row in leak_free.compute_shared(data_folder, PLACE | {"subsets": False})}
    assert set(rows) == {"advantage", "logistic", "recommender", "oracle", "random"}
    recommender = rows["recommender"]
    assert recommender.low is not None
    assert recommender.gain is not None
    assert recommender.high is not None
    assert -0.01 < recommender.low < recommender.gain < recommender.high < 0.04
    assert (recommender.n_queries, recommender.n_groups, recommender.n_trials) == (1744, 1499, 7685)
    assert recommender.n_left_out == 0
    assert (recommender.k, recommender.prompts, recommender.seeds) == (6, "0,1,2,3,4,5", "0")
    assert (rows["oracle"].gain or 0) > 0.1 > recommender.high
    assert (rows["random"].value or 1) < (recommender.value or 0) - 0.1


@pytest.mark.parametrize("method", ["additive", "prompt_means", "best_single", "lookup"])
def test_what_knows_no_interaction_gains_exactly_nothing(data_folder: Path, method: str) -> None:
    with threadpool_limits(limits=1):
        row = only_row(leak_free.compute_method(data_folder, PLACE | {"method": method}))
    assert (row.gain, row.low, row.high) == (0.0, 0.0, 0.0)
    assert row.value == pytest.approx(0.644, abs=0.001)


def test_failed_logs_are_left_out_and_counted(data_folder: Path) -> None:
    place = PLACE | {"llm": "tigerbot-13b-chat", "method": "best_single"}
    row = only_row(leak_free.compute_method(data_folder, place))
    assert (row.k, row.prompts) == (2, "0,1")
    assert row.note is not None
    assert "[2, 3, 4, 5]" in row.note
    assert str(4 * 1685) in row.note
    assert row.value == pytest.approx(0.536, abs=0.001)
