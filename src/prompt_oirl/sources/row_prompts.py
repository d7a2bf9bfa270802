"""Which prompt each row of a file is about: named, written out, or both, with or without a prompt set."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.records import Message, Prompt
from prompt_oirl.sources.columns import Columns, TextColumn

__all__ = ["PROMPT_COLUMNS", "context_from_json", "context_to_json", "read_row_prompts"]

PROMPT_COLUMNS = ("prompt", "prompt_id", "prompt_context")


class _Written(NamedTuple):
    """What a row says of its prompt."""

    text: str | None
    prompt_id: str | None
    context: str | None


def read_row_prompts(
    columns: Columns, prompt_set: Sequence[Prompt] | None = None
) -> tuple[tuple[Prompt, ...], IntArray]:
    """Return the prompts, and (n_rows,) the index of each row's prompt.

    With a prompt set the prompts are that set, in its order. Without one they are those of the rows, in order of first
    appearance; an id without a text is taken for the wording.

    Raises:
        FileFormatError: There is neither a column `prompt` nor `prompt_id`, a row has an empty one, one id stands for
            two wordings, a context is no list of messages, or a row's prompt is not in the set.
    """
    if "prompt" not in columns and "prompt_id" not in columns:
        raise columns.error(
            f"a column 'prompt' (the wording) or 'prompt_id' is needed; there are {', '.join(columns.by_name)}"
        )
    if "prompt_context" in columns and "prompt" not in columns:
        raise columns.error(
            "'prompt_context' holds the messages before 'prompt', which is missing; add the column 'prompt' or drop "
            "'prompt_context'"
        )
    prompts = {prompt.id: prompt for prompt in prompt_set or ()}
    position = {prompt_id: index for index, prompt_id in enumerate(prompts)}
    number_of_row, distinct = _distinct(columns)
    indices = []
    for written, first_row in distinct:
        try:
            prompt = _new_prompt(written, prompts) if prompt_set is None else _known(written, prompts)
        except DataError as error:
            raise columns.error(str(error), row=first_row) from error
        indices.append(position.setdefault(prompt.id, len(position)))
    return tuple(prompts.values()), np.array(indices, dtype=np.int64)[number_of_row]


def _distinct(columns: Columns) -> tuple[IntArray, Iterator[tuple[_Written, int]]]:
    """Return the number of each row's prompt as written, and each such with its first row, in order of appearance."""
    of_part = (
        columns.filled("prompt", way_out="write {{query}} for the query alone") if "prompt" in columns else None,
        columns.filled("prompt_id", way_out="fill in the name") if "prompt_id" in columns else None,
        columns.by_name.get("prompt_context"),
    )
    combined: IntArray = np.zeros(len(columns.row_numbers), dtype=np.int64)
    for column in of_part:
        if column is not None:  # numbered anew each time, so that the product of two numbers of values fits
            both = combined * (len(column.values) + 1) + column.codes + 1
            combined = np.unique(both, return_inverse=True)[1].astype(np.int64)
    _, first_rows, number_of_row = np.unique(combined, return_index=True, return_inverse=True)
    order = np.argsort(first_rows)
    in_order = ((_Written(*(_value(part, row) for part in of_part)), row) for row in first_rows[order].tolist())
    return np.argsort(order)[number_of_row], in_order


def _value(column: TextColumn | None, row: int) -> str | None:
    return None if column is None or column.codes[row] < 0 else column.values[column.codes[row]]


def _prompt_of(written: _Written) -> Prompt:
    context = () if not written.context else context_from_json(written.context)
    return Prompt.from_text(written.text or written.prompt_id or "", id=written.prompt_id, context=context)


def _new_prompt(written: _Written, prompts: dict[str, Prompt]) -> Prompt:
    """Return the prompt of a row, adding it to the prompts."""
    prompt = _prompt_of(written)
    known = prompts.setdefault(prompt.id, prompt)
    if known != prompt:
        raise DataError(
            f"the prompt id {prompt.id!r:.80} stands for {_shown(prompt, known)} here and for {_shown(known, prompt)} "
            "above; give each wording its own id"
        )
    return prompt


def _known(written: _Written, prompts: Mapping[str, Prompt]) -> Prompt:
    """Return the prompt of a row from the prompt set."""
    wording = None if written.text is None else _prompt_of(written)
    if written.prompt_id is not None:
        found = prompts.get(written.prompt_id)
    else:
        found = next((prompt for prompt in prompts.values() if wording and _is_same(prompt, wording)), None)
    if found is None:
        what = written.text if written.prompt_id is None else written.prompt_id
        raise DataError(
            f"the prompt {what!r:.80} is not in the prompt set, which has {', '.join(prompts)}; add it there"
        )
    if wording is not None and not _is_same(found, wording):
        raise DataError(
            f"the prompt {found.id!r:.80} is {_shown(wording, found)} here and {_shown(found, wording)} in the prompt "
            "set; give each wording its own id"
        )
    return found


def _is_same(one: Prompt, other: Prompt) -> bool:
    return (one.template, one.context) == (other.template, other.context)


def _shown(prompt: Prompt, other: Prompt) -> str:
    """Return what of a prompt differs from another one of the same id."""
    if prompt.template != other.template:
        return f"{prompt.text[:80]!r}"
    return f"the context {context_to_json(prompt.context):.80}"


def context_to_json(context: Sequence[Message]) -> str:
    """Return the messages before a prompt as the column `prompt_context` has them: `[{"role": …, "content": …}]`."""
    return json.dumps([{"role": each.role, "content": each.content} for each in context], ensure_ascii=False)


def context_from_json(text: str) -> tuple[Message, ...]:
    """Return the messages that `context_to_json` made a text of.

    Raises:
        DataError: It is something else.
    """
    try:
        return tuple(Message(**entry) for entry in json.loads(text))
    except (ValueError, TypeError, RecursionError, DataError) as error:
        raise DataError(
            f"the prompt_context {text[:80]!r} is no list of messages ({error}); write "
            '[{"role": "system", "content": "…"}], or leave it empty'
        ) from error
