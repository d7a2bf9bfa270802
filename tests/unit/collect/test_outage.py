"""An outage is many failures in a row that may concern every call."""

from __future__ import annotations

import pytest

from prompt_oirl.collect.outage import OutageWatch
from prompt_oirl.runs.outcomes import Completion, Failure, Outcome

ANSWER = Completion("4", "m")
REFUSED = Failure("bad_request", "HTTP 400: too long", status=400)
FORBIDDEN = Failure("bad_request", "HTTP 403: no", status=403)
BUSY = Failure("server_error", "HTTP 503: busy", status=503)


def ends(*outcomes: Outcome, has_worked: bool) -> bool:
    watch = OutageWatch(most_in_a_row=3)
    return [watch.error_after(each, has_worked=has_worked) for each in outcomes][-1] is not None


@pytest.mark.parametrize("failure", [BUSY, FORBIDDEN])
def test_as_many_as_allowed_are_an_outage(failure: Failure) -> None:
    assert not ends(failure, failure, has_worked=True)
    assert ends(failure, failure, failure, has_worked=True)


def test_an_answer_begins_the_count_again() -> None:
    assert not ends(BUSY, BUSY, ANSWER, BUSY, BUSY, has_worked=True)


def test_refusals_of_single_calls_count_only_where_nothing_has_worked() -> None:
    assert ends(REFUSED, REFUSED, REFUSED, has_worked=False)
    assert not ends(REFUSED, REFUSED, REFUSED, has_worked=True)


def test_the_error_says_how_many_what_and_how_to_go_on() -> None:
    error = OutageWatch(most_in_a_row=1).error_after(BUSY, has_worked=True)
    assert str(error).startswith("1 calls in a row got no answer")
    assert "HTTP 503: busy" in str(error)
    assert "--retry-failed" in str(error)
