from __future__ import annotations

import pytest

from prompt_oirl.errors import DataError
from prompt_oirl.recommender.extra_prompts import unseen_among
from prompt_oirl.records import Message, Prompt

KNOWN = (Prompt("a", "A {{query}}"), Prompt("b", "{{query}}", (Message("system", "B"),)))
NEW = Prompt("c", "C {{query}}")


def test_known_prompts_are_left_out_and_the_order_is_kept() -> None:
    other = Prompt("d", "D {{query}}")
    assert unseen_among([other, KNOWN[1], NEW, KNOWN[0], NEW], KNOWN) == (other, NEW)
    assert unseen_among([], KNOWN) == ()
    assert unseen_among(KNOWN, KNOWN) == ()


@pytest.mark.parametrize(
    "odd", [Prompt("a", "Other {{query}}"), Prompt("b", "{{query}}"), Prompt("c", "Other {{query}}")]
)
def test_one_id_for_two_wordings_is_refused(odd: Prompt) -> None:
    with pytest.raises(DataError, match=rf"prompt '{odd.id}' is worded .*give it an id of its own"):
        unseen_among([NEW, odd], KNOWN)


@pytest.mark.parametrize("odd", [Prompt("e", "A {{query}}"), Prompt("e", "C {{query}}")])
def test_one_wording_with_two_ids_is_refused(odd: Prompt) -> None:
    with pytest.raises(DataError, match=r"prompt 'e' has the wording of '[ac]'; name it so, or drop it"):
        unseen_among([NEW, odd], KNOWN)


def test_the_context_is_part_of_the_wording() -> None:
    other = Prompt("e", "{{query}}", (Message("system", "Other"),))
    assert unseen_among([other], KNOWN) == (other,)
