"""The sixteen prompts of the release, from its data or from a clone's scripts.

The release records them in code: step 1 holds the texts and aliases that were sent, step 2 the texts of the training
prompts that it records and embeds. The scripts are parsed for these literal lists and never executed. A data folder may
hold `prompts.json`, made of the same lists, instead.
"""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prompt_oirl.errors import FileFormatError, ParameterError
from prompt_oirl.records import SLOT, Prompt
from prompt_oirl.sources.questions import Dataset
from prompt_oirl.sources.text_file import read_text

__all__ = ["HELD_OUT_PROMPTS", "N_PROMPTS", "TRAINING_PROMPTS", "ReleasePrompt", "read_release_prompts"]

N_PROMPTS = 16
TRAINING_PROMPTS = range(6)
"""Indices of the prompts that reward models are trained on."""

HELD_OUT_PROMPTS = range(6, N_PROMPTS)
"""Indices of the prompts that were logged on test questions only."""

_BETWEEN: Mapping[Dataset, str] = {"gsm8k": "\n", "mawps": "", "svamp": ""}
"""What step 1 put between question and prompt: its reader of GSM8K ends every question with a line break."""

_SENT_SCRIPT = Path("llama_exps") / "llama_step1_gen_offline.py"
_RECORDED_SCRIPT = Path("llama_exps") / "llama_step2_reorg_data.py"


@dataclass(frozen=True, slots=True)
class ReleasePrompt:
    """One prompt of the release.

    Raises:
        ParameterError: The role does not go with the index, or the alias or a text is empty.
    """

    index: int
    """Its number in the release, from 0; file names and subsets of training prompts use it."""

    alias: str
    """Its name in the release, part of the file names of the logs."""

    role: Literal["train", "held_out"]

    text: str
    """The wording as it was sent to the LLM, trailing space included."""

    recorded_text: str
    """The wording that the release records and embeds: not what was sent for prompt 3, `text` for all others."""

    def __post_init__(self) -> None:
        role = "train" if self.index in TRAINING_PROMPTS else "held_out"
        if self.role != role:
            raise ParameterError(f"prompt {self.index} ({self.alias!r}) has role {self.role!r}, expected {role!r}")
        for name in ("alias", "text", "recorded_text"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value.strip():
                raise ParameterError(f"prompt {self.index}: {name} must be a non-empty text, got {value!r}")

    def as_sent(self, dataset: Dataset) -> Prompt:
        """Return the message that was sent: the question, then the prompt.

        Nothing is between the two for MAWPS and SVAMP, a line break for GSM8K.
        """
        return Prompt(id=self.alias, template=f"{SLOT}{_BETWEEN[dataset]}{self.text}")


def read_release_prompts(release: Path | str) -> tuple[ReleasePrompt, ...]:
    """Read the sixteen prompts in order of their index.

    Args:
        release: The root of the release: `prompts.json` there, else the scripts under `llama_exps/`.

    Raises:
        DataNotFoundError: Neither is there.
        FileFormatError: They do not hold sixteen prompts with distinct aliases.
    """
    release = Path(release)
    data = release / "prompts.json"
    path, read = (data, _from_json) if data.is_file() else (release / _SENT_SCRIPT, _from_scripts)
    try:
        prompts = read(release)
    except ParameterError as error:
        raise FileFormatError(path, str(error)) from error
    _check_prompts(path, prompts)
    return prompts


def _check_prompts(path: Path, prompts: Sequence[ReleasePrompt]) -> None:
    if len(prompts) != N_PROMPTS:
        raise FileFormatError(path, f"{len(prompts)} prompts, but the release has {N_PROMPTS}")
    for index, prompt in enumerate(prompts):
        if prompt.index != index:
            raise FileFormatError(path, f"prompt {prompt.index!r} ({prompt.alias!r}) stands where {index} is expected")
    aliases = [prompt.alias for prompt in prompts]
    if len(set(aliases)) != N_PROMPTS:
        raise FileFormatError(path, f"the aliases are not distinct: {', '.join(aliases)}")


def _from_json(release: Path) -> tuple[ReleasePrompt, ...]:
    path = release / "prompts.json"
    try:
        entries = json.loads(read_text(path))["prompts"]
        return tuple(_from_entry(entry) for entry in entries)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, ParameterError):
            raise
        raise FileFormatError(
            path, f"expected {{'prompts': [{{'index', 'alias', 'role', 'text'}}, …]}}, got {error!r}"
        ) from error


def _from_entry(entry: Mapping[str, object]) -> ReleasePrompt:
    fields = {name: entry[name] for name in ("index", "alias", "role", "text")}
    return ReleasePrompt(**fields, recorded_text=entry.get("recorded_text", entry["text"]))  # type: ignore[arg-type]


def _from_scripts(release: Path) -> tuple[ReleasePrompt, ...]:
    sent = release / _SENT_SCRIPT
    texts = _literal_texts(sent, "PROMPT_LIST", _is_variable("PROMPT_LIST"))
    aliases = _literal_texts(sent, "ALIAS_LIST", _is_variable("ALIAS_LIST"))
    recorded = _literal_texts(release / _RECORDED_SCRIPT, '["prompts"]', _is_item("prompts"))
    if len(texts) != len(aliases) or len(recorded) != len(TRAINING_PROMPTS):
        raise FileFormatError(
            sent,
            f"{len(texts)} texts, {len(aliases)} aliases and {len(recorded)} recorded texts; expected {N_PROMPTS}, "
            f"{N_PROMPTS} and {len(TRAINING_PROMPTS)}",
        )
    recorded_texts = recorded + texts[len(recorded) :]
    return tuple(
        ReleasePrompt(index, alias, "train" if index in TRAINING_PROMPTS else "held_out", text, recorded_text)
        for index, (alias, text, recorded_text) in enumerate(zip(aliases, texts, recorded_texts, strict=True))
    )


def _is_variable(name: str) -> Callable[[ast.expr], bool]:
    return lambda target: isinstance(target, ast.Name) and target.id == name


def _is_item(key: str) -> Callable[[ast.expr], bool]:
    def matches(target: ast.expr) -> bool:
        return (
            isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant) and target.slice.value == key
        )

    return matches


def _literal_texts(script: Path, name: str, is_target: Callable[[ast.expr], bool]) -> list[str]:
    """Return the list of texts that a script assigns to a target, without executing the script."""
    assigned = [
        node.value
        for node in ast.walk(_parse(script))
        if isinstance(node, ast.Assign) and any(is_target(target) for target in node.targets)
    ]
    if len(assigned) != 1:
        raise FileFormatError(script, f"{name} is assigned {len(assigned)} times; expected one list of texts")
    value = assigned[0]
    elements = value.elts if isinstance(value, ast.List) else [value]
    texts = [e.value for e in elements if isinstance(e, ast.Constant) and isinstance(e.value, str)]
    if len(texts) != len(elements):
        raise FileFormatError(script, f"{name} is no literal list of texts", row=value.lineno)
    return texts


def _parse(script: Path) -> ast.Module:
    source = read_text(script)
    try:
        with warnings.catch_warnings():  # the scripts have invalid escapes, which is no fault of the caller's
            warnings.simplefilter("ignore")
            return ast.parse(source, filename=str(script))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FileFormatError(script, f"this is no Python script: {error}") from error
