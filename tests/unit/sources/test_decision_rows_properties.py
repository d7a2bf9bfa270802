from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_oirl.sources.decision_rows import read_logged_decisions

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    str.strip
)
probabilities = st.floats(1e-6, 1.0)
rows = st.lists(
    st.tuples(texts, st.sampled_from(["steps", "short", "tutor"]), st.none() | st.floats(0, 1), probabilities),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60)
@given(rows)
def test_what_is_written_is_read(written: list[tuple[str, str, float | None, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.jsonl"
        lines = [
            json.dumps({"query": query, "prompt_id": prompt, "reward": reward, "propensity": propensity})
            for query, prompt, reward, propensity in written
        ]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        found = read_logged_decisions(path)
    assert [found.queries[row].text for row in found.rows] == [query for query, *_ in written]
    assert [found.prompt_ids[column] for column in found.chosen] == [prompt for _, prompt, *_ in written]
    rewards = [np.nan if reward is None else reward for _, _, reward, _ in written]
    np.testing.assert_allclose(found.rewards, rewards, rtol=1e-12)
    np.testing.assert_allclose(found.propensities, [propensity for *_, propensity in written], rtol=1e-12)
