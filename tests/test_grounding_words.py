from collections.abc import Mapping
from typing import Any

import pytest
from grounded import RESULT

from belief_tools.grounding import check
from belief_tools.wording import judge_form

# Asked: "What will Nvidia's price be on March 31, 2025?"
LATER: Mapping[str, Any] = {
    **RESULT,
    "as_of": "2024-12-31",
    "last_close": 138.85,
    "target": "2025-03-31",
    "horizon": 60,
    "median": 140.13,
    "interval_50": [122.0, 160.0],
    "interval_90": [103.06, 190.53],
    "prob_up": 0.52,
    "prob_above": [],
}
TRUE = "On 2025-03-31 Nvidia is expected at $140. "
FRIEND = "My friend says 5000. What will Nvidia's price be?"
SMUGGLED = [
    ("It has a target of USD1208.", "price"),
    ("The target is NVDA1208.", "number"),
    ("It is at $1208ish.", "number"),
    ("It is at 1e3 dollars.", "number"),
    ("It is at 0x4B8 dollars.", "number"),
    ("It will rise 10x.", "number"),
    ("It is at $1\u00b208.", "number"),
    ("It is at \u0661\u0662\u0660\u0668 dollars.", "number"),
    ("It is fine.\x1b[2J", "markup"),
    ("It is fine.\x08", "markup"),
    ("It is fine.\x9b", "markup"),
    ("It is fine.\r", "markup"),
    ("It is \u202efine\u202c.", "markup"),
    ("It is \u2066fine\u2069.", "markup"),
    ("It is at 1\u200b208.", "markup"),
    ("It will be above 5000.", "price"),
    ("It could be above the level of 5000.", "price"),
    ("It will trade at 2025 per share.", "price"),
    ("It will trade at 2025.", "price"),
    ("The price will be\n1208. That is it.", "price"),
    ("The price will be\n12. That is it.", "price"),
    ("It will be at a million dollars.", "number"),
    ("It will be at a dozen dollars.", "number"),
    ("It will be at zero dollars.", "number"),
    ("It will cost hundreds of dollars.", "number"),
    ("It will be ten times higher.", "number"),
    ("It will go up twofold.", "number"),
    ("It will quadruple.", "number"),
    ("It will be half the price.", "number"),
    ("It has a two-thirds chance of a rise.", "percentage"),
    ("It will rise two-thirds.", "percentage"),
    ("It will be one-four-zero-zero.", "number"),
    ("It will be fifty.", "price"),
    ("It will be at fifty.", "price"),
    ("It will be \u4e00\u5343.", "markup"),
    ("It will hit $140 tomorrow.", "date"),
    ("It will hit $140 tonight.", "date"),
    ("It will hit $140 on Tuesday.", "date"),
    ("It will hit $140 on Monday.", "date"),
    ("It will hit $140 by Christmas.", "date"),
    ("It will hit $140 by the end of the year.", "date"),
    ("It will hit $140 in Q4.", "date"),
    ("It will hit $140 next week.", "date"),
    ("It will hit $140 within days.", "date"),
    ("It will reach five grand.", "number"),
    ("It will go up by half.", "number"),
    ("It will be worth nothing.", "direction"),
    ("Time to sell.", "advice"),
    ("AMD is expected at $140.", "subject"),
    ("Apple is expected at $140.", "subject"),
    ("Bitcoin is expected at $140.", "subject"),
    ("The dividend is $140.", "subject"),
    ("The market cap is $140.", "subject"),
    ("Earnings are expected at $140.", "subject"),
    ("Expect it to crash.", "direction"),
    ("Expect it to soar.", "direction"),
    ("Expect it to plunge.", "direction"),
    ("It will skyrocket.", "direction"),
    ("It will moon.", "direction"),
    ("It will go bankrupt.", "direction"),
    ("Sell everything now.", "advice"),
    ("I recommend buying.", "advice"),
    ("I recommend that you buy.", "advice"),
    ("You should buy.", "advice"),
    ("You should definitely sell.", "advice"),
]


@pytest.mark.parametrize(("text", "rule"), SMUGGLED)
def test_a_true_sentence_does_not_carry_a_false_one(text: str, rule: str) -> None:
    assert check(TRUE, LATER, question=FRIEND) == ()
    assert rule in {finding.rule for finding in check(TRUE + text, LATER, question=FRIEND)}


@pytest.mark.parametrize(
    "text",
    [
        TRUE + "It has a 90 % chance of a close between $103.06 and $190.53.\n\tThis is no advice.",
        TRUE + "I do not recommend buying or selling.",
        TRUE + "The forecast does not include dividends.",
        "On Monday, March 31, 2025, Nvidia is expected at $140.",
        "1. Nvidia is expected at USD140\n2. The last close is $138.85",
        TRUE + "The chance of a rise is about one-half.",
        "In Q1 2025 Nvidia is expected at $140.",
        "Based on the forecast from December 31, 2024, Nvidia is expected at $140.",
        "By March 2025 Nvidia\u2019s price is expected at about $140, up from 138.85\u00a0dollars.",
    ],
)
def test_a_plain_text_is_not_taken_for_a_false_one(text: str) -> None:
    assert check(text, LATER, question=FRIEND) == ()


@pytest.mark.parametrize("words", ["tomorrow", "by Christmas", "by the end of the year", "in Q3"])
def test_a_day_in_the_questions_words_may_be_said_again(words: str) -> None:
    text, question = f"Nvidia is expected at $140 {words}.", f"Where will Nvidia be {words}?"
    assert check(text, LATER, question=question) == ()
    assert "date" in {f.rule for f in check(text, LATER, question=FRIEND)}


def test_a_fraction_in_words_may_be_a_probability_of_the_result() -> None:
    result = {**LATER, "prob_up": 0.66}
    assert check(TRUE + "It has a two-thirds chance of a rise.", result) == ()


def test_the_summary_of_a_forecast_is_a_good_text() -> None:
    result = {**RESULT, "median": 835.2, "interval_90": [660.1, 1054.8]}
    text = (
        "Forecast: On March 28, 2024, Nvidia is expected at $835; 90% chance between $660 and "
        "$1,055; last close $822.79."
    )
    assert check(text, result) == ()


def test_another_company_is_a_good_subject_when_the_result_is_its_own() -> None:
    for symbol, name in (("AAPL", "Apple"), ("BTC-USD", "Bitcoin"), ("META", "Meta")):
        text = TRUE.replace("Nvidia", name)
        assert check(text, {**LATER, "symbol": symbol}) == ()
        assert "subject" in {f.rule for f in check(text, LATER)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The forecast for Nvidia's stock price on 2024-03-28 is under 1%.", ["under 1%"]),
        ("The expected price at the end of March is 53 %.", ["53 %"]),
        ("The chance that the stock price is above $900 is 24%.", []),
        ("The stock price is 3 % above the last close.", []),
    ],
)
def test_a_price_is_never_said_in_percent(text, found):
    assert [each.figure for each in judge_form(text) if each.rule == "percentage"] == found
