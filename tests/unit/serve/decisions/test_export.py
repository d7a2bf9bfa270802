from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompt_oirl.errors import DataError, ParameterError, UnequalPropensityWarning
from prompt_oirl.records import Message, Prompt, Query
from prompt_oirl.serve.decision import Decision, Feedback
from prompt_oirl.serve.decisions.export import write_decisions
from prompt_oirl.serve.decisions.store import DecisionStore
from prompt_oirl.sources.tabular import read_demonstrations

MakeDecision = Callable[..., Decision]

THINK, SHORT = Prompt.from_text("Think.", id="think"), Prompt.from_text("Answer: ", id="short")
FOUR, FIVE = Query("What is 4 plus 4?"), Query("What is 5 plus 5?")
SUFFIXES = pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])


def rows_of(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    return [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]


@pytest.fixture
def asked(make_decision: MakeDecision) -> MakeDecision:
    """Makes a decision for a query, whose text is logged unless told otherwise."""

    def make(query: Query, prompt: Prompt = THINK, *, is_logged: bool = True, **fields: object) -> Decision:
        text = query.text if is_logged else None
        return make_decision(query_id=query.id, query=text, prompt_id=prompt.id, **fields)

    return make


@SUFFIXES
def test_decisions_become_trials_that_can_be_read(
    store: DecisionStore, asked: MakeDecision, tmp_path: Path, suffix: str
) -> None:
    store.register("v1", [THINK, SHORT])
    taken = [
        asked(FOUR, propensity=0.9, created=1),
        asked(FOUR, propensity=0.9, created=2),
        asked(FOUR, SHORT, propensity=0.1, created=3, choice="explored"),
        asked(FIVE, propensity=0.9, created=4),
        asked(FIVE, created=5, choice="fallback", propensity=1.0, score=None),
    ]
    store.save(taken, [Feedback(taken[0].id, 0), Feedback(taken[0].id, 1), Feedback(taken[1].id, 0)])
    store.save((), [Feedback(taken[2].id, 1), Feedback(taken[4].id, 1)])

    export = write_decisions(store, tmp_path / f"logs{suffix}")

    assert (export.n_rows, export.n_with_feedback, export.n_fallbacks, export.n_among_some) == (4, 3, 1, 0)
    assert export.to_dict()["path"] == str(tmp_path / f"logs{suffix}")
    rows = rows_of(export.path)
    assert rows[0] == {
        "query": "What is 4 plus 4?",
        "prompt_id": "think",
        "prompt": "{{query}}\nThink.",
        "correct": 1,
        "sample": 0,
        "propensity": 0.9,
    }
    assert [(row["correct"], row["sample"], row["propensity"]) for row in rows[1:]] == [
        (0, 1, 0.9),
        (1, 0, 0.1),
        (None, 0, 0.9),
    ]
    with pytest.warns(UnequalPropensityWarning, match=r"from 0.1 to 0.9"):
        demonstrations = read_demonstrations(export.path)
    assert demonstrations.queries == (FOUR, FIVE)
    assert demonstrations.prompts == (THINK, SHORT)
    assert demonstrations.trials.tolist() == [[2, 1], [0, 0]]
    assert demonstrations.successes.tolist() == [[1, 1], [0, 0]]
    assert demonstrations.unscored.tolist() == [[0, 0], [1, 0]]


@SUFFIXES
def test_contexts_come_along(store: DecisionStore, asked: MakeDecision, tmp_path: Path, suffix: str) -> None:
    tutor = Prompt("tutor", "{{query}}", (Message("system", "You are a tutor."),))
    store.register("v1", [THINK, tutor])
    taken = [asked(FOUR), asked(FOUR, tutor)]
    store.save(taken, [Feedback(each.id, 1) for each in taken])
    demonstrations = read_demonstrations(write_decisions(store, tmp_path / f"logs{suffix}").path)
    assert set(demonstrations.prompts) == {THINK, tutor}


def test_texts_that_were_not_logged_are_joined_by_their_hash(
    store: DecisionStore, asked: MakeDecision, make_decision: MakeDecision, tmp_path: Path
) -> None:
    store.register("v1", [THINK])
    store.save([asked(FOUR), asked(FIVE, is_logged=False), asked(Query("Other?"), is_logged=False)])
    store.save([make_decision(query_id="")])
    export = write_decisions(store, tmp_path / "logs.jsonl", queries=[FIVE, Query("Never asked?")])
    assert (export.n_rows, export.n_without_text) == (2, 2)
    assert {row["query"] for row in rows_of(export.path)} == {FOUR.text, FIVE.text}


def test_without_any_text_nothing_is_written(store: DecisionStore, asked: MakeDecision, tmp_path: Path) -> None:
    store.register("v1", [THINK])
    store.save([asked(FOUR, is_logged=False), asked(FIVE, is_logged=False), asked(FIVE, choice="fallback")])
    with pytest.raises(
        DataError, match=r"not logged in 2 of 3 decisions, and 1 are fallbacks, 0 of the playground; .*--queries.*"
    ):
        write_decisions(store, tmp_path / "logs.jsonl")
    with pytest.raises(DataError, match="neither logged nor among the queries given in 2 of 3 decisions"):
        write_decisions(store, tmp_path / "logs.jsonl", queries=[Query("Never asked?")])
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_nothing_but_fallbacks(store: DecisionStore, asked: MakeDecision, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no decisions in it yet"):
        write_decisions(store, tmp_path / "logs.jsonl")
    store.save([asked(FOUR, choice="fallback"), asked(FIVE)])
    with pytest.raises(
        DataError,
        match=r"none of 2 decisions .* 1 are fallbacks, 0 of the playground, and the prompts of 1 were not stored",
    ):
        write_decisions(store, tmp_path / "logs.jsonl")


def test_decisions_whose_wording_is_not_known_are_counted(
    store: DecisionStore, asked: MakeDecision, tmp_path: Path
) -> None:
    store.register("v1", [THINK])
    store.save([asked(FOUR), asked(FOUR, SHORT), asked(FOUR, recommender="v0")])
    export = write_decisions(store, tmp_path / "logs.jsonl")
    assert (export.n_rows, export.n_without_prompt) == (1, 2)


def test_rewards_between_0_and_1_need_a_threshold(store: DecisionStore, asked: MakeDecision, tmp_path: Path) -> None:
    store.register("v1", [THINK])
    taken = [asked(FOUR, created=number) for number in range(5)]
    rewards = (0.0, 0.2, 0.5, 1.0)
    store.save(taken, [Feedback(each.id, reward) for each, reward in zip(taken, rewards, strict=False)])
    with pytest.raises(DataError, match=r"2 of 4 rewards are neither 0 nor 1, such as 0.2, .*--correct-from"):
        write_decisions(store, tmp_path / "logs.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    export = write_decisions(store, tmp_path / "logs.jsonl", correct_from=0.5)
    assert [row["correct"] for row in rows_of(export.path)] == [0, 0, 1, 1, None]


@pytest.mark.parametrize("correct_from", [0, -1, 1.5, float("nan")])
def test_a_threshold_that_decides_nothing_is_refused(store: DecisionStore, tmp_path: Path, correct_from: float) -> None:
    with pytest.raises(ParameterError, match=r"correct_from=.*above 0 and at most 1"):
        write_decisions(store, tmp_path / "logs.jsonl", correct_from=correct_from)


def test_another_suffix_is_refused(store: DecisionStore, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"exported as .jsonl or .parquet, not as 'logs.csv'"):
        write_decisions(store, tmp_path / "logs.csv")


def test_one_id_for_two_wordings(store: DecisionStore, asked: MakeDecision, tmp_path: Path) -> None:
    store.register("v1", [THINK, SHORT])
    store.register("v2", [SHORT, Prompt.from_text("Think hard.", id="think")])
    store.save([asked(FOUR), asked(FIVE, recommender="v2"), asked(FIVE, recommender="v2")])
    with pytest.raises(DataError, match=r"'think' stands for 'Think hard.' in .* v2 and for 'Think.' in v1; .*VERSION"):
        write_decisions(store, tmp_path / "logs.jsonl")
    export = write_decisions(store, tmp_path / "logs.jsonl", recommender="v2")
    assert [row["prompt"] for row in rows_of(export.path)] == ["{{query}}\nThink hard."] * 2
    with pytest.raises(DataError, match="there are no decisions of the recommender v3 in it yet"):
        write_decisions(store, tmp_path / "logs.jsonl", recommender="v3")


def test_choices_among_named_candidates_are_counted(store: DecisionStore, asked: MakeDecision, tmp_path: Path) -> None:
    store.register("v1", [THINK])
    store.save([asked(FOUR, candidates=("think",)), asked(FOUR)])
    export = write_decisions(store, tmp_path / "logs.jsonl")
    assert (export.n_rows, export.n_among_some) == (2, 1)


def test_what_was_tried_in_the_playground_is_left_out(
    store: DecisionStore, asked: MakeDecision, tmp_path: Path
) -> None:
    store.register("v1", [THINK])
    tried = [asked(FOUR, source="playground"), asked(FOUR, source="playground", choice="fallback")]
    store.save(tried)
    with pytest.raises(DataError, match=r"none of 2 decisions .* 0 are fallbacks, 2 of the playground"):
        write_decisions(store, tmp_path / "logs.jsonl")
    store.save([asked(FIVE), asked(FIVE, source="gateway")])
    export = write_decisions(store, tmp_path / "logs.jsonl")
    assert (export.n_rows, export.n_playground, export.n_fallbacks) == (2, 2, 0)
    assert {row["query"] for row in rows_of(export.path)} == {FIVE.text}


any_text = st.text(st.characters(exclude_categories=()), max_size=20)


@SUFFIXES
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(texts=st.lists(any_text, min_size=1, max_size=4))
def test_any_logged_text_can_be_exported_and_read(
    tmp_path_factory: pytest.TempPathFactory, asked: MakeDecision, suffix: str, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with DecisionStore.open(f"sqlite:///{folder / 'decisions.sqlite'}") as store:
        store.register("v1", [THINK])
        store.save([asked(FOUR)], [])
        fields = {"query_id": "q", "prompt_id": "think", "score": 0.0, "propensity": 0.9, "choice": "recommended"}
        more = {"source": "gateway", "recommender": "v1", "seconds": 0.0}
        store.save([Decision(query=text, **fields, **more) for text in texts])  # type: ignore[arg-type]
        export = write_decisions(store, folder / f"logs{suffix}")
    written = {text.encode("utf-8", "replace").decode() for text in texts if text.strip()}
    assert {row["query"] for row in rows_of(export.path)} == written | {FOUR.text}
    demonstrations = read_demonstrations(export.path)
    assert {query.text for query in demonstrations.queries} == written | {FOUR.text}
    assert demonstrations.unscored.sum() == export.n_rows
