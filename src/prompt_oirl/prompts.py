"""Prompt sets as files: a YAML or JSON list of prompts, each a wording with its role, a template, or messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from prompt_oirl.errors import DataError, DataNotFoundError, FileFormatError, ParameterError
from prompt_oirl.files import atomic_path
from prompt_oirl.records import ROLES, SLOT, Message, Prompt, wording_hash
from prompt_oirl.spelling import did_you_mean

__all__ = ["check_distinct", "read_prompts", "write_prompts"]

_SUFFIXES = (".json", ".yaml", ".yml")
_KEYS = ("id", "template", "text", "role", "messages")
_TEXT_ROLES = ("suffix", "prefix", "system", "template")
_NEAR_SLOT = re.compile(r"\{\s*query\s*\}", re.IGNORECASE)
_MESSAGE_KEYS = ("role", "content")
_ROLE_SYNONYMS = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "developer": "system"}


def read_prompts(path: Path | str) -> tuple[Prompt, ...]:
    """Read a prompt set from a `.yaml`, `.yml` or `.json` file.

    The file is a list of prompts, or a mapping whose only key `prompts` holds the list. A prompt has an `id`, the hash
    of the wording if it is left out, and one of

    - `template`: one user message with a `{{query}}` slot;
    - `text`, a wording, with an optional `role`: `suffix` (the default) follows the query on a new line, `prefix` goes
      before it, `system` is a system message before the query, `template` has the slot;
    - `messages`: a list of `role` and `content`, of which the last is the user's and at least one has the slot.

    Raises:
        DataNotFoundError: There is no such file.
        FileFormatError: The file is malformed, or two prompts have one id or one wording; the message names the entry
            and the way out.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"{path} is no file; name a prompt set that ends in {', '.join(_SUFFIXES)}")
    if path.suffix not in _SUFFIXES:
        raise FileFormatError(path, f"the suffix {path.suffix!r} is not known; use {', '.join(_SUFFIXES)}")
    entries = _read_entries(path)
    try:
        prompts = tuple(_prompt_of(number, entry) for number, entry in enumerate(entries, start=1))
        check_distinct(prompts)
    except DataError as error:
        raise FileFormatError(path, str(error)) from error
    return prompts


def check_distinct(prompts: Iterable[Prompt]) -> None:
    """Raise if an id or a wording occurs twice: two ids of one wording would buy each answer twice.

    Raises:
        DataError: One does; the message names both prompts.
    """
    number_of_id: dict[str, int] = {}
    first_of_wording: dict[tuple[str, tuple[Message, ...]], Prompt] = {}
    for number, prompt in enumerate(prompts, start=1):
        same_id = number_of_id.setdefault(prompt.id, number)
        if same_id < number:
            raise DataError(
                f"prompt {number} of the list: the id {prompt.id!r} is also that of prompt {same_id}; "
                "a prompt set has distinct ids"
            )
        same_wording = first_of_wording.setdefault((prompt.template, prompt.context), prompt)
        if same_wording is not prompt:
            raise DataError(
                f"prompt {number} of the list: {prompt.id!r} has the same wording as {same_wording.id!r}, so every "
                "answer would be bought twice; drop one of the two"
            )


def write_prompts(prompts: Sequence[Prompt], path: Path | str) -> None:
    """Write a prompt set to a `.yaml`, `.yml` or `.json` file, from which `read_prompts` reads it exactly.

    Raises:
        DataError: There is no prompt, or an id or a wording occurs twice.
        ParameterError: The suffix is another.
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        raise ParameterError(f"prompts are written as {', '.join(_SUFFIXES)}, not as {path.name!r}")
    if not prompts:
        raise DataError("a prompt set is one or more prompts with distinct ids, got none")
    check_distinct(prompts)
    entries = [_entry_of(prompt) for prompt in prompts]
    if path.suffix == ".json":
        text = json.dumps(entries, ensure_ascii=False, indent=2) + "\n"
    else:
        # Quoted, because PyYAML's plain and single-quoted styles do not keep every line separator of Unicode.
        text = yaml.safe_dump(entries, allow_unicode=True, sort_keys=False, width=10**9, default_style='"')
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def _entry_of(prompt: Prompt) -> dict[str, object]:
    if not prompt.context:
        return {"id": prompt.id, "template": prompt.template}
    messages = (*prompt.context, Message("user", prompt.template))
    return {"id": prompt.id, "messages": [{"role": each.role, "content": each.content} for each in messages]}


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


def _prompt_of(number: int, entry: object) -> Prompt:
    try:
        form, fields = _checked(entry)
        return _OF_FORM[form](fields)
    except DataError as error:
        raise DataError(f"prompt {number} of the list: {error}") from error


def _checked(entry: object) -> tuple[str, dict[str, Any]]:
    """Return which form the entry has, and its fields."""
    if not isinstance(entry, dict):
        raise DataError(f"{entry!r:.80} is no prompt; write a mapping with 'id' and 'template', 'text' or 'messages'")
    _check_keys(entry, _KEYS)
    forms = [form for form in _OF_FORM if form in entry]
    if len(forms) != 1:
        raise DataError(
            f"either 'template' (with a {SLOT} slot), 'text' (that follows the query) or 'messages' is needed, "
            f"got {', '.join(map(repr, entry)) or 'nothing'}"
        )
    if "role" in entry and forms != ["text"]:
        raise DataError(f"'role' says where a 'text' goes, but {forms[0]!r} says it by itself; drop 'role'")
    _check_texts({key: value for key, value in entry.items() if key != "messages"})
    return forms[0], entry


def _check_keys(entry: Mapping[object, object], known: Sequence[str]) -> None:
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise DataError(
            f"the key {unknown[0]!r} is not known; known are {', '.join(known)}{did_you_mean(unknown[0], known)}"
        )


def _check_texts(entry: Mapping[str, object]) -> None:
    for key, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"{key!r} must be a non-empty text, got {value!r:.80}; put quotes around it")


def _of_template(fields: Mapping[str, Any]) -> Prompt:
    template = fields["template"]
    return Prompt(fields.get("id") or wording_hash(template), template)


def _of_text(fields: Mapping[str, Any]) -> Prompt:
    text, role, prompt_id = fields["text"], fields.get("role", "suffix"), fields.get("id")
    if role not in _TEXT_ROLES:
        raise DataError(
            f"the role {role!r} is not known; known are {', '.join(_TEXT_ROLES)}{did_you_mean(role, _TEXT_ROLES)}"
        )
    if role == "template":
        return _of_template({"id": prompt_id, "template": text})
    if SLOT in text:
        raise DataError(f"the text {text[:80]!r} has a {SLOT} slot; call it 'template', or write 'messages'")
    if near_slot := _NEAR_SLOT.search(text):
        raise DataError(f"{near_slot[0]!r} in a text is not replaced; write {SLOT} and call the text 'template'")
    if role == "system":
        return Prompt.from_text(SLOT, id=prompt_id, context=(Message("system", text),))
    return Prompt.from_text(text if role == "suffix" else f"{text}\n{SLOT}", id=prompt_id)


def _of_messages(fields: Mapping[str, Any]) -> Prompt:
    entries = fields["messages"]
    if not isinstance(entries, list) or not entries:
        raise DataError(f"'messages' is a list of one or more mappings with 'role' and 'content', got {entries!r:.80}")
    *context, last = (_message_of(number, entry) for number, entry in enumerate(entries, start=1))
    if last.role != "user":
        raise DataError(f"the last message is the {last.role}'s; it must be the user's, which the LLM answers")
    if not any(SLOT in message.content for message in (*context, last)):
        raise DataError(f"no message has a {SLOT} slot; write {SLOT} where the query goes")
    return Prompt.from_text(last.content, id=fields.get("id"), context=context)


def _message_of(number: int, entry: object) -> Message:
    try:
        if not isinstance(entry, dict):
            raise DataError(f"{entry!r:.80} is no message; write a mapping with 'role' and 'content'")
        _check_keys(entry, _MESSAGE_KEYS)
        missing = [key for key in _MESSAGE_KEYS if key not in entry]
        if missing:
            raise DataError(f"{missing[0]!r} is missing")
        _check_texts(entry)
        if entry["role"] not in ROLES:
            raise DataError(
                f"the role {entry['role']!r} is not known; known are {', '.join(ROLES)}"
                f"{did_you_mean(entry['role'], ROLES, synonyms=_ROLE_SYNONYMS)}"
            )
        return Message(entry["role"], entry["content"])
    except DataError as error:
        raise DataError(f"message {number}: {error}") from error


_OF_FORM: Mapping[str, Callable[[Mapping[str, Any]], Prompt]] = {
    "template": _of_template,
    "text": _of_text,
    "messages": _of_messages,
}
