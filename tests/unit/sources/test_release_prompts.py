from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_oirl.errors import DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.records import Query
from prompt_oirl.sources.release_prompts import ReleasePrompt, read_release_prompts


def entries() -> list[dict[str, object]]:
    return [
        {"index": i, "alias": f"p{i}", "role": "train" if i < 6 else "held_out", "text": f"Do it the way of {i}: "}
        for i in range(16)
    ]


def write_json(release: Path, content: object) -> Path:
    path = release / "prompts.json"
    path.write_text(json.dumps(content))
    return path


def scripts(mawps_folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (mawps_folder / "prompt-oirl" / "llama_exps").glob("*.py")}


def write_clone(release: Path, texts: dict[str, str]) -> Path:
    (release / "llama_exps").mkdir()
    for name, text in texts.items():
        (release / "llama_exps" / name).write_text(text)
    return release


STEP_1, STEP_2 = "llama_step1_gen_offline.py", "llama_step2_reorg_data.py"


def test_json_prompts(tmp_path: Path) -> None:
    content = entries()
    content[3]["recorded_text"] = "Another: "
    write_json(tmp_path, {"prompts": content})
    prompts = read_release_prompts(tmp_path)
    assert prompts[0] == ReleasePrompt(0, "p0", "train", "Do it the way of 0: ", "Do it the way of 0: ")
    assert [prompt.index for prompt in prompts if prompt.recorded_text != prompt.text] == [3]
    assert [prompt.role for prompt in prompts] == ["train"] * 6 + ["held_out"] * 10


def test_a_prompt_follows_the_question_as_it_was_sent() -> None:
    prompt = ReleasePrompt(0, "p0", "train", "The total: ", "The total: ")
    assert prompt.as_sent("mawps").render(Query("How many?")) == "How many?The total: "
    assert prompt.as_sent("svamp") == prompt.as_sent("mawps")
    assert prompt.as_sent("gsm8k").render(Query("How many?")) == "How many?\nThe total: "
    assert prompt.as_sent("gsm8k").text == prompt.as_sent("mawps").text == "The total:"


def test_scripts_are_parsed_and_never_run(mawps_folder: Path) -> None:
    prompts = read_release_prompts(mawps_folder / "prompt-oirl")
    assert [prompt.alias for prompt in prompts[:4]] == ["plain", "steps", "sure", "panel"]
    assert prompts[3].text == "Answer in the manner of panel: "
    assert [prompt.recorded_text for prompt in prompts if prompt.recorded_text != prompt.text] == [
        "Answer in another manner: "
    ]
    assert [prompt.role for prompt in prompts] == ["train"] * 6 + ["held_out"] * 10


def test_json_comes_before_scripts(tmp_path: Path, mawps_folder: Path) -> None:
    write_clone(tmp_path, scripts(mawps_folder))
    write_json(tmp_path, {"prompts": entries()})
    assert read_release_prompts(tmp_path)[0].alias == "p0"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e.pop(), "15 prompts"),
        (lambda e: e.reverse(), "stands where 0 is expected"),
        (lambda e: e[1].update(alias="p0"), "not distinct"),
        (lambda e: e[2].update(role="held_out"), "expected 'train'"),
        (lambda e: e[2].update(role="test"), "expected 'train'"),
        (lambda e: e[2].update(text=" "), "text must be"),
        (lambda e: e[2].update(alias=None), "alias must be"),
        (lambda e: e[2].pop("text"), "KeyError"),
        (lambda e: e.append("p"), "TypeError"),
    ],
)
def test_bad_json_names_the_file(tmp_path: Path, change, problem: str) -> None:
    content = entries()
    change(content)
    path = write_json(tmp_path, {"prompts": content})
    with pytest.raises(FileFormatError, match=problem) as caught:
        read_release_prompts(tmp_path)
    assert caught.value.path == path


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"prompts": 3}'])
def test_json_of_another_form_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "prompts.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"prompts\.json"):
        read_release_prompts(tmp_path)


@pytest.mark.parametrize(
    ("script", "old", "new", "problem"),
    [
        (STEP_1, "PROMPT_LIST = [", "PROMPTS = [", "PROMPT_LIST is assigned 0 times"),
        (STEP_1, "    raise SystemExit", "    ALIAS_LIST = []\n    raise SystemExit", "ALIAS_LIST is assigned 2 times"),
        (STEP_1, "'plain',", "str(1),", "ALIAS_LIST is no literal list"),
        (STEP_1, "'plain',", "", "15 aliases"),
        (STEP_1, "'plain',", "'steps',", "not distinct"),
        (STEP_1, "def main", "def def", "no Python script"),
        (STEP_1, "'plain',", "'',", "alias must be"),
        (STEP_2, "'Answer in another manner: ',", "", "5 recorded"),
        (STEP_2, '["prompts"]', '["texts"]', "assigned 0 times"),
    ],
)
def test_bad_scripts_are_named(
    tmp_path: Path, mawps_folder: Path, script: str, old: str, new: str, problem: str
) -> None:
    texts = scripts(mawps_folder)
    assert old in texts[script]
    write_clone(tmp_path, texts | {script: texts[script].replace(old, new)})
    with pytest.raises(FileFormatError, match=problem):
        read_release_prompts(tmp_path)


@pytest.mark.parametrize("missing", [STEP_1, STEP_2])
def test_missing_scripts_are_not_found(tmp_path: Path, mawps_folder: Path, missing: str) -> None:
    texts = scripts(mawps_folder)
    del texts[missing]
    with pytest.raises(DataNotFoundError, match=missing):
        read_release_prompts(write_clone(tmp_path, texts))


def test_a_role_that_does_not_go_with_the_index_is_refused() -> None:
    with pytest.raises(ParameterError, match="expected 'held_out'"):
        ReleasePrompt(6, "p", "train", "text", "text")


@pytest.mark.real_logs
def test_the_release_has_six_training_prompts_and_records_one_in_other_words(data_folder: Path) -> None:
    prompts = read_release_prompts(data_folder / "prompt-oirl")
    assert [prompt.alias for prompt in prompts[:6]] == ["nan", "CoT", "APE", "Dis", "ToT", "Decomp"]
    assert [prompt.index for prompt in prompts if prompt.recorded_text != prompt.text] == [3]
