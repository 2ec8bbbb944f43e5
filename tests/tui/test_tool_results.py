"""Which call a person is asked the result of, and which result is offered for it."""

from __future__ import annotations

from tools import call

from tunesmith.tui.conversation import Turn
from tunesmith.tui.tool_results import Wanted, given_before, wanted

PARIS, NOON = call("weather", '{"city": "Paris"}'), call("clock", "{}", id="call_2")
QUESTION = Turn("user", "How is Paris?")
TUNED = (QUESTION, Turn("assistant", "", calls=(PARIS, NOON)))
BASE = (QUESTION, Turn("assistant", "", calls=(NOON,)))
SUNNY = Turn("tool", "sunny", calls=(PARIS,))


def test_the_first_call_of_the_first_model_that_waits() -> None:
    assert wanted({False: TUNED, True: BASE}) == Wanted(False, PARIS, 1, 2)
    assert wanted({False: (*TUNED, SUNNY), True: BASE}) == Wanted(False, NOON, 2, 2)
    assert wanted({True: BASE}) == Wanted(True, NOON, 1, 1)
    assert wanted({False: (QUESTION, Turn("assistant", "Fine.")), True: ()}) is None


def test_one_that_is_asked_for_stays_until_it_has_its_result() -> None:
    now = wanted({False: (), True: BASE})
    assert wanted({False: TUNED, True: BASE}, now) == now
    given = (*BASE, Turn("tool", "noon", calls=(NOON,)))
    assert wanted({False: TUNED, True: given}, now) == Wanted(False, PARIS, 1, 2)


def test_the_very_same_call_gave_back_the_same_but_only_for_this_question() -> None:
    again = call("weather", '{"city": "Paris"}', id="call_9")
    asked = Wanted(True, again, 1, 1)
    assert given_before({False: (*TUNED, SUNNY), True: BASE}, asked) == "sunny"
    assert given_before({False: (*TUNED, SUNNY, Turn("user", "And now?")), True: BASE}, asked) == ""
    assert given_before({False: (*TUNED, SUNNY)}, Wanted(False, NOON, 2, 2)) == ""
