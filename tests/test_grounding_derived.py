"""Figures that the tool result does not hold but that follow from it."""

import math

import pytest
from grounded import RESULT, M

from belief_tools.grounding import check

LAST, MEDIAN = RESULT["last_close"], RESULT["median"]
DAILY = 100 * RESULT["volatility"] / math.sqrt(252)
EVENTFUL = {
    **RESULT,
    "scheduled_events": [{"session": "2024-03-21", "announced": True, "probability": 1.0}],
    "later_events": 1,
}
# (text, what is right in it, what is wrong there)
DERIVED = [
    ("A close above $1,000 would be a gain of {} %.", f"{100 * (1000 / LAST - 1):.1f}", "12.5"),
    ("$1,000 is ${} above the last close.", f"{1000 - LAST:.2f}", "177.12"),
    ("$1,000 is ${} above the median.", f"{1000 - MEDIAN:.2f}", f"{1000 - LAST:.2f}"),
    ("$1,000 is {} times the last close.", f"{1000 / LAST:.2f}", "2.12"),
    ("The 90 % interval is ${} wide.", f"{1044.2 - 665.0:.0f}", f"{905.0 - 766.1:.0f}"),
    ("There is a {} chance of a close below $665.", "5 %", "10 %"),
    ("There is a {} chance of a close below $766.", "one in four", "one in twenty"),
    ("There is a {} chance of a close between $834 and $1,000.", "39 %", "50 %"),
    ("The chance of a close of $1,000 or {} is 11 %.", "more", "less"),
    ("P(>$1,000) = {}.", "0.11", "0.89"),
    ("The odds of a close above $1,000 are 8 to 1 {}.", "against", "on"),
    ("Volatility is {} % a day.", f"{DAILY:.1f}", "4.8"),
    ("The 5th percentile is ${}.", "665", "766"),
    ("The 25th and 75th percentiles are $766 and ${}.", "905", "1,044"),
    ("That is a change of {} bps.", f"+{1e4 * (MEDIAN / LAST - 1):.0f}", "+113"),
    ("It gains {} dollars and 81 cents.", "10", "18"),
    ("A close above $1,000 is {}.", "unlikely", "likely"),
    ("A close above $1,000 is {} likely than one below $1,000.", "less", "more"),
    ("The median of $834 is {} $1,000.", "well below", "well above"),
    ("A rise is more likely than not, so the model is slightly {}.", "bullish", "bearish"),
    ("The market is in its {} regime.", "normal", "calm"),
    ("The target is {}, March 28, 2024.", "Thursday", "Friday"),
    ("It is 27 {} days away.", "calendar", "trading"),
]


@pytest.mark.parametrize(("text", "right", "wrong"), DERIVED)
def test_what_follows_from_the_result_may_be_said_and_nothing_else(
    text: str, right: str, wrong: str
) -> None:
    assert check(M + text.format(right), RESULT) == ()
    assert check(M + text.format(wrong), RESULT) != ()


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("A scheduled event on March 21, 2024 comes before the target.", True),
        ("A scheduled event on March 20, 2024 comes before the target.", False),
        ("There are two scheduled events before the target.", True),
        ("There are three scheduled events before the target.", False),
        ("The event on March 21, 2024 is cancelled.", False),
    ],
)
def test_scheduled_events_are_named_and_counted_as_the_result_does(text: str, right: bool) -> None:
    assert (check(M + text, EVENTFUL) == ()) == right


@pytest.mark.parametrize(("reply", "right"), [("No.", True), ("Yes.", False)])
def test_a_yes_or_no_agrees_with_the_chance_of_what_was_asked(reply: str, right: bool) -> None:
    text = f"{reply} The chance of a close above $1,000 is 11 %."
    found = check(text, RESULT, question="Will Nvidia be above $1,000 at the end of March 2024?")
    assert (found == ()) == right
