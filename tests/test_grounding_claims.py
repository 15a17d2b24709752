"""Claims that no figure shows wrong: causes, events, sureness, strong words, intervals as moves."""

import pytest
from grounded import RESULT, TWO_LEVELS

from belief_tools.grounding import check

EVENT = {
    **RESULT,
    "scheduled_events": [{"session": "2024-03-20", "announced": False, "probability": 1.0}],
    "later_events": 0,
}
NO_EVENT = {**RESULT, "scheduled_events": [], "later_events": 0}
ASKED = "Will Nvidia be above $900 or above $750 at the end of March 2024?"
# (text, what is right in it, what is wrong there)
CLAIMS = [
    ("The median is $834. The price {} $665.", "may fall below", "cannot fall below"),
    ("The median is $834. One {} more.", "cannot know", "cannot lose"),
    ("The median is $834, {}.", "because volatility is high", "because the chain recovers"),
    ("The median is $834, thanks to {}.", "the drift of the regime", "a friendly mood"),
    ("The median is $834. {}", "It ignores demand.", "It reflects demand."),
    ("The median is $834 {}.", "before any later split", "helped by the stock split"),
    ("The median is $834. {}", "This is no advice at all.", "Most people love the company."),
    ("About {}, with a 90 % range of $665 to $1,044.", "$834", "$905"),
    ("The forecast is $834, so {}.", "it is essentially flat", "it leans strongly towards a rise"),
    ("The forecast is $834 and it {}.", "edges up", "drops slightly"),
    (
        "The median is $834; the close should be between {} below and 27 % above today's.",
        "19 %",
        "29 %",
    ),
    ("The median is $834; the 90 % range is {} to +27 %.", "-19 %", "-9 %"),
    ("The median is $834. {} can know for sure.", "Nobody", "You"),
    ("As of March 1, {}, the median is $834.", "2024", "2021"),
]


def _caught(text, result=RESULT, question=""):
    return bool(check(text, result, question=question))


@pytest.mark.parametrize(("text", "right", "wrong"), CLAIMS)
def test_a_claim_in_words_is_judged_like_a_figure(text, right, wrong):
    assert check(text.format(right), RESULT) == ()
    assert _caught(text.format(wrong))


def test_an_event_is_absent_or_due_as_the_result_says():
    absent = "The median is $834, and nothing is scheduled before then."
    due = "The median is $834, with earnings due before then."
    assert check(absent, NO_EVENT) == check(due, EVENT) == ()
    assert _caught(absent, EVENT)
    assert _caught(due, NO_EVENT)


def test_the_date_of_an_event_is_confirmed_only_when_it_is_announced():
    text = "The median is $834; the date of the results is {}."
    assert check(text.format("an estimate"), EVENT) == ()
    assert _caught(text.format("confirmed"), EVENT)


@pytest.mark.parametrize(
    ("text", "right", "wrong"),
    [
        ("Above $750? {}, at 80 %.", "Likely", "Unlikely"),
        ("Yes to $750 (80 %), {} to $900 (26 %).", "no", "yes"),
        ("The median, $834, lies {} the two levels.", "between", "above"),
        ("{} is the less likely one, at 26 %.", "Above $900", "Above $750"),
    ],
)
def test_each_level_of_a_question_has_its_own_answer(text, right, wrong):
    assert check(text.format(right), TWO_LEVELS, question=ASKED) == ()
    assert _caught(text.format(wrong), TWO_LEVELS, ASKED)
