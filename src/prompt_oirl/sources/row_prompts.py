"""Which prompt each row of a file is about: named, written out, or both, with or without a prompt set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from prompt_oirl.arrays import IntArray
from prompt_oirl.errors import DataError
from prompt_oirl.records import Prompt
from prompt_oirl.sources.columns import Columns, TextColumn

__all__ = ["read_row_prompts"]


def read_row_prompts(
    columns: Columns, prompt_set: Sequence[Prompt] | None = None
) -> tuple[tuple[Prompt, ...], IntArray]:
    """Return the prompts, and (n_rows,) the index of each row's prompt.

    With a prompt set the prompts are that set, in its order. Without one they are those of the rows, in order of first
    appearance; an id without a text is taken for the wording.

    Raises:
        FileFormatError: There is neither a column `prompt` nor `prompt_id`, a row has an empty one, one id stands for
            two texts, or a row's prompt is not in the set.
    """
    if "prompt" not in columns and "prompt_id" not in columns:
        raise columns.error(
            f"a column 'prompt' (the wording) or 'prompt_id' is needed; there are {', '.join(columns.by_name)}"
        )
    texts = columns.filled("prompt", way_out="write {{query}} for the query alone") if "prompt" in columns else None
    ids = columns.filled("prompt_id", way_out="fill in the name") if "prompt_id" in columns else None
    prompts = {prompt.id: prompt for prompt in prompt_set or ()}
    position = {prompt_id: index for index, prompt_id in enumerate(prompts)}
    pair_of_row, pairs = _distinct_pairs(texts, ids)
    index_of_pair = []
    for text, prompt_id, first_row in pairs:
        try:
            prompt = _new_prompt(text, prompt_id, prompts) if prompt_set is None else _known(text, prompt_id, prompts)
        except DataError as error:
            raise columns.error(str(error), row=first_row) from error
        index_of_pair.append(position.setdefault(prompt.id, len(position)))
    return tuple(prompts.values()), np.array(index_of_pair, dtype=np.int64)[pair_of_row]


def _distinct_pairs(
    texts: TextColumn | None, ids: TextColumn | None
) -> tuple[IntArray, Iterator[tuple[str | None, str | None, int]]]:
    """Return the pair number of each row, and each pair's text, id and first row, in order of first appearance."""
    n_texts = len(texts.values) if texts else 1
    codes = (ids.codes * n_texts if ids else 0) + (texts.codes if texts else 0)
    pairs, first_rows, pair_of_row = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first_rows)
    in_order = (
        (
            texts.values[pairs[pair] % n_texts] if texts else None,
            ids.values[pairs[pair] // n_texts] if ids else None,
            int(first_rows[pair]),
        )
        for pair in order
    )
    return np.argsort(order)[pair_of_row], in_order


def _new_prompt(text: str | None, prompt_id: str | None, prompts: dict[str, Prompt]) -> Prompt:
    """Return the prompt of a row, adding it to the prompts."""
    prompt = Prompt.from_text(text if text is not None else prompt_id or "", id=prompt_id)
    known = prompts.setdefault(prompt.id, prompt)
    if known != prompt:
        raise DataError(
            f"the prompt id {prompt.id!r} stands for {prompt.text[:80]!r} here and for {known.text[:80]!r} above; "
            "give each wording its own id"
        )
    return prompt


def _known(text: str | None, prompt_id: str | None, prompts: dict[str, Prompt]) -> Prompt:
    """Return the prompt of a row from the prompt set."""
    template = None if text is None else Prompt.from_text(text).template
    if prompt_id is None:
        found = next((prompt for prompt in prompts.values() if prompt.template == template), None)
    else:
        found = prompts.get(prompt_id)
    if found is None:
        what = f"{text[:80]!r}" if prompt_id is None and text is not None else f"{prompt_id!r}"
        raise DataError(f"the prompt {what} is not in the prompt set, which has {', '.join(prompts)}; add it there")
    if template is not None and found.template != template:
        raise DataError(
            f"the prompt {found.id!r} is {text!r:.80} here and {found.text[:80]!r} in the prompt set; "
            "give each wording its own id"
        )
    return found
