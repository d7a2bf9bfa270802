"""Prompt sets as files: a YAML or JSON list of prompts, each a name with a template or a wording."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.records import SLOT, Prompt, text_hash

__all__ = ["read_prompts", "write_prompts"]

_KEYS = ("id", "template", "text")
_SUFFIXES = (".json", ".yaml", ".yml")


def read_prompts(path: Path | str) -> tuple[Prompt, ...]:
    """Read a prompt set from a `.yaml`, `.yml` or `.json` file.

    The file is a list of prompts, or a mapping whose only key `prompts` holds the list. A prompt has either a
    `template`, which must have a `{{query}}` slot, or a `text`, a wording without a slot that follows the query; and an
    `id`, the hash of the wording if it is left out.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is malformed; the message names the entry and the way out.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a prompt set that ends in {', '.join(_SUFFIXES)}")
    if path.suffix not in _SUFFIXES:
        raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {', '.join(_SUFFIXES)}")
    prompts = []
    seen: dict[str, int] = {}
    for number, entry in enumerate(_read_entries(path), start=1):
        try:
            prompt = _prompt_of(entry)
            if prompt.id in seen:
                raise DataError(f"the id {prompt.id!r} is also that of prompt {seen[prompt.id]}; ids must be distinct")
        except DataError as error:
            raise FileFormatError(path, f"prompt {number} of the list: {error}") from error
        seen[prompt.id] = number
        prompts.append(prompt)
    return tuple(prompts)


def write_prompts(prompts: Sequence[Prompt], path: Path | str) -> None:
    """Write a prompt set to a `.yaml`, `.yml` or `.json` file, from which `read_prompts` reads it exactly.

    Raises:
        DataError: There is no prompt, or an id occurs twice.
        ParameterError: The suffix is another.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ParameterError(f"prompts are written as {', '.join(_SUFFIXES)}, not as {path.name!r}")
    if not prompts or len({prompt.id for prompt in prompts}) < len(prompts):
        raise DataError(
            f"a prompt set is one or more prompts with distinct ids, got {[prompt.id for prompt in prompts]}"
        )
    entries = [{"id": prompt.id, "template": prompt.template} for prompt in prompts]
    if path.suffix == ".json":
        text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    else:
        # Quoted, because PyYAML's plain and single-quoted styles do not keep every line separator of Unicode.
        text = yaml.safe_dump(entries, allow_unicode=True, sort_keys=False, width=10**9, default_style='"')
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def _read_entries(path: Path) -> list[Any]:
    parse: Callable[[str], Any] = json.loads if path.suffix == ".json" else yaml.safe_load
    try:
        content = parse(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise FileFormatError(path, f"cannot be read as {path.suffix[1:]} in UTF-8: {error}") from error
    entries = content["prompts"] if isinstance(content, dict) and list(content) == ["prompts"] else content
    if not isinstance(entries, list) or not entries:
        raise FileFormatError(
            path, f"a list of prompts, or 'prompts:' with such a list, is needed; got {content!r:.80}"
        )
    return entries


def _prompt_of(entry: object) -> Prompt:
    if not isinstance(entry, dict):
        raise DataError(f"{entry!r:.80} is no prompt; write a mapping with 'id' and 'template' or 'text'")
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise DataError(f"the key {unknown[0]!r} is not known; known are {', '.join(_KEYS)}")
    if ("template" in entry) == ("text" in entry):
        raise DataError(f"either 'template' (with a {SLOT} slot) or 'text' (that follows the query) is needed")
    for key, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{key!r} must be a non-empty text, got {value!r}; put quotes around it")
    if "template" in entry:
        return Prompt(id=entry.get("id") or text_hash(entry["template"]), template=entry["template"])
    if SLOT in entry["text"]:
        raise DataError(f"the text {entry['text'][:80]!r} has a {SLOT} slot; call it 'template'")
    return Prompt.from_text(entry["text"], id=entry.get("id"))
