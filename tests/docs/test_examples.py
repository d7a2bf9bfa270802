"""The code in the documents runs, as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import prompt_oirl
from prompt_oirl.cli.app import app
from prompt_oirl.testing import SyntheticWorld
from prompt_oirl.testing.llm_process import llm_process

CodeOf = Callable[[str], list[Any]]


def run_command(line: str) -> str:
    """Run a command; a comment may say that its exit code is another than 0."""
    name, *arguments = shlex.split(line, comments=True)
    assert name == "prompt-oirl"
    result = CliRunner().invoke(app, arguments)
    stated = re.search(r"# exit code (\d+)$", line)
    expected = int(stated[1]) if stated else 0
    assert result.exit_code == expected, f"{line}\n{result.output}\n{result.exception!r}"
    return result.output


def run_python(code: str, namespace: dict[str, Any], document: str) -> None:
    exec(compile(code, document, "exec", dont_inherit=True), namespace)


def test_the_quickstart_is_the_same_everywhere_and_runs(
    repository: Path, empty_folder: Path, code_of: CodeOf, capsys: pytest.CaptureFixture[str]
) -> None:
    of_readme = [block.text for block in code_of((repository / "README.md").read_text("utf-8"))
                 if block.language == "python"]  # fmt: skip
    of_package = [block.text for block in code_of(prompt_oirl.__doc__ or "") if block.language == "python"]
    assert of_readme == of_package
    prompt_oirl.write_demonstrations(SyntheticWorld(n_queries=300).demonstrations, "logs.jsonl")
    run_python(of_readme[0], {}, "README.md")
    assert "gain" in capsys.readouterr().out
    assert (empty_folder / "recommender" / "manifest.json").is_file()


def test_the_commands_of_the_readme_run(repository: Path, empty_folder: Path, code_of: CodeOf) -> None:
    section = (repository / "README.md").read_text("utf-8").split("## On your own logs")[1].split("\n## ")[0]
    prompt_oirl.write_demonstrations(SyntheticWorld(n_queries=300).demonstrations, "logs.jsonl")
    prompt_oirl.write_demonstrations(SyntheticWorld(n_queries=200, seed=1).demonstrations, "later.jsonl")
    lines = next(block.text for block in code_of(section) if block.language == "bash").splitlines()
    assert [line.split()[1] for line in lines] == ["inspect", "train", "evaluate", "recommend"]
    for line in lines:
        assert run_command(line)


def test_the_logs_of_the_readme_are_read(repository: Path, empty_folder: Path, code_of: CodeOf) -> None:
    blocks = code_of((repository / "README.md").read_text("utf-8"))
    (empty_folder / "logs.jsonl").write_text(next(block.text for block in blocks if block.language == "json"), "utf-8")
    logs = prompt_oirl.read_demonstrations("logs.jsonl")
    assert (logs.n_queries, logs.n_prompts) == (2, 2)
    assert (int(logs.trials.sum()), int(logs.successes.sum()), int(logs.unscored.sum())) == (2, 1, 1)


def test_the_prompt_set_of_the_formats_is_read(repository: Path, empty_folder: Path, code_of: CodeOf) -> None:
    blocks = code_of((repository / "docs" / "formats.md").read_text("utf-8"))
    (empty_folder / "prompts.yaml").write_text(
        next(block.text for block in blocks if block.language == "yaml"), "utf-8"
    )
    assert [prompt.id for prompt in prompt_oirl.read_prompts("prompts.yaml")] == ["steps", "short", "tutor", "shown"]


@pytest.mark.slow
def test_the_tutorial_runs_from_the_top(repository: Path, empty_folder: Path, code_of: CodeOf) -> None:
    namespace: dict[str, Any] = {}
    blocks = code_of((repository / "docs" / "tutorial.md").read_text("utf-8"))
    server = next(block.text for block in blocks if block.language == "sh").split()
    assert server[:3] == ["python", "-m", "prompt_oirl.testing.llm_server"]
    *world, _, port = server[3:]
    outputs = []
    with llm_process(*world) as address:
        for block in blocks:
            if block.language == "python":
                run_python(block.text, namespace, "tutorial.md")
            if block.language == "bash":
                outputs.append(run_command(block.text.strip().replace(f"http://127.0.0.1:{port}/v1", address)))
    assert "Nothing was asked" in outputs[1]
    assert "The budget is reached" in outputs[2]
    assert "graded with numeric" in outputs[3]
    assert "Against numeric" in outputs[4]
    assert len(outputs) == 10
    assert namespace["recommendation"].message.startswith("Otto has 31 plums")
    shown = next(block.text for block in blocks if block.language == "json").strip()
    pattern = ".*".join(map(re.escape, shown.split("…")))
    assert re.search(f"^{pattern}$", (empty_folder / "logs.jsonl").read_text("utf-8"), re.M)


def test_the_examples_of_the_development_page_run(repository: Path, empty_folder: Path, code_of: CodeOf) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = [block for block in code_of((repository / "docs" / "development.md").read_text("utf-8"))
              if block.language == "python"]  # fmt: skip
    for block in blocks:
        run_python(block.text, namespace, "development.md")
    assert {"SuccessByLength", "HashedWords", "ShortOrLong"} <= namespace.keys()
