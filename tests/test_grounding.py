import time
from collections.abc import Mapping
from typing import Any

import pytest
from grounded import RESULT, M

from belief_tools.grounding import Finding, check

# Asked: "Will Nvidia be above $160 by the end of September 2022?"
LEVELLED: Mapping[str, Any] = {
    **RESULT,
    "as_of": "2022-06-30",
    "last_close": 151.59,
    "target": "2022-09-30",
    "horizon": 64,
    "median": 153.0,
    "interval_50": [117.0, 201.0],
    "interval_90": [75.07, 312.0],
    "prob_up": 0.515,
    "prob_above": [{"level": 160.0, "probability": 0.4521}],
}
FALLING = {**RESULT, "last_close": 850.0, "prob_up": 0.44, "summary": ""}
ASKED = "Someone told me Nvidia will hit $1,200 by March 28, 2024. What will the price be?"

GROUNDED = [
    RESULT["summary"],
    "As of March 1, 2024, Nvidia's last close was $822.79. The belief expects about $834 on March "
    "28, 2024, with a 90 % chance of a close between $665 and $1,044. The chance of a close above "
    "today's is 53 %.",
    "The stock price of Nvidia is expected to reach $834 on March 28, 2024.",
    "Nvidia is expected at **$834** on 2024-03-28.",
    "Nvidia is expected at 834 dollars on 28 March 2024.",
    "On 03/28/2024 Nvidia is expected at USD 834.",
    "The forecast is US$833.60, with a 90% interval of $665.00 to $1,044.20.",
    "The predicted price at the end of March 2024 is $834.",
    "Nvidia should close around $830, roughly 19 trading days from now.",
    "In 19 sessions, or about 4 weeks, the median is $834.",
    "The median is eight hundred and thirty-four dollars.",
    "The median is $0.834k.",
    "Nvidia is expected to rise from its last close of $822.79 to $834.",
    "Nvidia is expected to rise from $822.79 to $834, a rise of $11 or 1.3 %.",
    "The belief expects $834, up $11 from the last close of $822.79.",
    "$834 is the expected price, compared with $822.79 at the last close.",
    "The price on March 28, 2024 has a 90 percent chance of lying between about $665 and $1,044.",
    "With 90 % probability, the price will be between $665 and $1,044.",
    "The price is expected between $665 and $1,044, with a 90 % probability.",
    M + "There is a 50 % chance of a close between $766 and $905.",
    M + "The 50 % interval is $766 to $905 and the 90 % interval is $665-$1,044.",
    M + "There is an 11 % chance of a close above $1,000.",
    M + "The chance of a close below $1,000 is 89 %.",
    M + "The probability of a rise is 0.53.",
    M + "It has a 53 % chance of rising and a 47 % chance of falling.",
    M + "The chance of exceeding $1,000 is about 1 in 10.",
    M + "The regime is calm with 20 %, normal with 70 % and turbulent with 10 %.",
    M + "There is a 70 % probability of the normal regime, and volatility is 48 % a year.",
    M + "This is not a guarantee, and nothing is certain.",
    M + "Nvidia is likely to rise slightly.",
    M + "It is unlikely to fall.",
    M + "It is unlikely to reach $1,000.",
    "- Last close: $822.79\n- Median: $834\n- 90 % interval: $665 to $1,044",
    "1. Nvidia is expected at $834.\n2. There is a 90 % chance that it is above $665 and below "
    "$1,044.",
    "The range is from $665 to $1,044 (90 %).",
    "The closing price on March 28, 2024 is expected to be $834, about 1 % above the last close.",
    "On March 1, 2024 Nvidia closed at $822.79, and on March 28, 2024 it is expected at $834.",
    "The forecast made on March 1, 2024 for March 28, 2024 is $834 vs. $822.79 today.",
    "Nvidia is expected at $834, with a 90 % chance of falling between $665 and $1,044.",
    "My answer is $834. The chance of being above $1,000 is only 11 %, so $1,000 is unlikely.",
    "Nvidia will be trading at around $834; it could be as low as $665 or as high as $1,044.",
    "Nvidia: median $834, 50 % $766 to $905, 90 % $665 to $1,044.",
    "| Median | $834 |\n| Last close | $822.79 |",
    "The median is $834, and $665 and $1,044 are the ends of the 90 % interval.",
    "From the last close of $822.79, Nvidia goes to $834.",
    M + "In the normal regime there is a 53 % chance of a rise.",
    M + "The chance of a rise is 53 % in this turbulent regime.",
    M + "The chance of staying in the normal regime is 96 %.",
    "Nvidia was last at $822.79, and the median is $834.",
    "The last close was $822.79; the median is $834.",
    "Nvidia closed at $822.79 and is expected at $834.",
    "The forecast was made on March 1, 2024: the median is $834.",
    "Nvidia had a last close of $822.79, and the expected price is $834.",
    "Nvidia has a median of $834.",
    "The forecast was issued with a median of $834.",
    "Nvidia is expected to sell at $834 a share.",
    "Nvidia shares should trade at $834.",
    "The GPU maker Nvidia is expected at $834.",
    "The model's expected price is $834.",
    "The price is expected to fall within the range of $665 to $1,044.",
    M + "Nvidia will be above $665.",
    "The forecast is available: the median is $834.",
]

UNGROUNDED = [
    ("Nvidia is expected at $1.208.", "price"),
    ("Nvidia is expected at $1,208 on March 28, 2024.", "price"),
    ("The price of Nvidia will be $665 on March 28, 2024.", "price"),
    ("Nvidia is expected at $665.", "price"),
    ("The price of Nvidia on March 28, 2024 is $1,044.", "price"),
    ("The median is $834 and the last close was $834.", "price"),
    ("Nvidia is expected at $822.79; the last close was $834.", "price"),
    ("Nvidia is expected at $833.", "price"),
    ("Nvidia is expected at 950.", "price"),
    ("Nvidia is expected at nine hundred fifty dollars.", "price"),
    ("Nvidia is expected at $834 million.", "price"),
    ("Nvidia is expected at -$834.", "price"),
    ("The belief expects $834, up $50 from the last close.", "price"),
    ("The belief expects $834, down $11 from the last close.", "price"),
    ("Nvidia is expected to rise from $822.79 to $905.", "price"),
    ("The median is $834 and Nvidia could double.", "number"),
    ("On March 28, 2024 it is $834. This is the highest possible price of Nvidia.", "price"),
    ("Nvidia is expected at $834, the highest predicted price of NVDA in 2024.", "price"),
    ("Nvidia is expected to reach a record high of $834.", "price"),
    ("The high is 1.044,20 $ and the median is $834.", "number"),
    ("Nvidia is expected at €834.", "currency"),
    ("Nvidia is expected at 834 euros.", "currency"),
    (M + "There is a 90 % chance of a close between $766 and $905.", "interval"),
    (M + "There is a 50 % chance of a close between $665 and $1,044.", "interval"),
    (M + "There is a 90 % chance of a close between $700 and $1,000.", "interval"),
    (M + "It lies between $665 and $1,044 with a 95 % probability.", "interval"),
    (M + "There is a 47 % chance of a rise.", "percentage"),
    (M + "The chance of a close above $1,000 is 89 %.", "percentage"),
    (M + "There is an 11 % chance of a close below $1,000.", "percentage"),
    (M + "There is a 90 % chance that it rises.", "percentage"),
    (M + "The chance of a rise is three in four.", "percentage"),
    (M + "The probability of a rise is 0.75.", "percentage"),
    (M + "The calm regime has a probability of 70 %.", "percentage"),
    (M + "Volatility is 30 %.", "percentage"),
    (M + "That is a rise of 5 %.", "percentage"),
    (M + "That is 1.3 % below the last close.", "percentage"),
    (M + "I am 99 % confident.", "percentage"),
    ("Nvidia is expected at $834 with 90 % probability.", "percentage"),
    ("Nvidia is expected at $834 on March 29, 2024.", "date"),
    ("Nvidia is expected at $834 on March 28, 2025.", "date"),
    ("Nvidia is expected at $834 on March 1, 2024.", "date"),
    ("On March 1, 2024, Nvidia is expected at $834.", "date"),
    ("As of March 28, 2024, the median is $834.", "date"),
    ("Nvidia is expected at $834 in April 2024.", "date"),
    ("Nvidia is expected at $834 by 2026.", "date"),
    ("Nvidia is expected at $834 in 30 trading days.", "count"),
    ("Nvidia is expected at $834 in 20 sessions.", "count"),
    ("Nvidia is expected at $834 in six weeks.", "count"),
    ("Nvidia will certainly be at $834.", "certainty"),
    ("A price of $834 is guaranteed.", "certainty"),
    ("There is no doubt that Nvidia is expected at $834.", "certainty"),
    (M + "Nvidia is likely to fall.", "direction"),
    (M + "It is not expected to rise.", "direction"),
    (M + "It will be above $1,000.", "level"),
    ("The stock will probably do well.", "missing"),
    ("The last close was $822.79.", "missing"),
    ("<tool_response>\nThe stock price is expected at $834.", "markup"),
    ('{"median": 833.6}', "markup"),
    ("The interval_90 is [665.0, 1044.2].", "markup"),
    ("Nvidia is expected at $834 on March 28, 2024, with a chance of", "cut"),
    ("Nvidia is expected at $834 (with a 90 % chance between $665 and $1,044.", "cut"),
    (" \n", "empty"),
    ("$834 was the last close.", "price"),
    ("$822.79 is the expected price.", "price"),
    (M + "The lower bound is $1,044.", "price"),
    (M + "The 90 % interval is $1,044 to $665.", "interval"),
    (M + "It has a 90 % chance of falling between $766 and $905.", "interval"),
    (M + "Calm has 70 %, normal 20 % and turbulent 10 %.", "percentage"),
    (M + "I do not know. It is guaranteed.", "certainty"),
    ("The stock price of Nvidia in March 2024 was $834.", "tense"),
    ("6 months ago, NVDA costs $834.", "tense"),
    ("Nvidia stock was expected to reach $834 three weeks ago.", "tense"),
    ("Nvidia was expected to reach $834.", "tense"),
    ("In March 2024 Nvidia traded at $834.", "tense"),
    ("Nvidia has reached $834.", "tense"),
    ("$834 was the price of Nvidia in March 2024.", "tense"),
    ("The price was between $665 and $1,044.", "tense"),
    ("Nvidia rose from its last close of $822.79 to $834.", "tense"),
    ("Nvidia is expected to sell approximately $834 worth of hardware on 2024-03-28.", "subject"),
    ("Nvidia is expected to launch a new product on 2024-03-28 at $834.", "subject"),
    ("Nvidia is expected to release a new driver.", "subject"),
    ("Nvidia is expected to sell its GPU business at $834.", "subject"),
    ("Nvidia's revenue is expected at $834.", "subject"),
    ("The product will be available at $834.", "subject"),
    ("Nvidia is expected to sell 19 units at $834.", "subject"),
    ("NVDA is expected to fall between $665 and $1,044.", "direction"),
    (M + "It will not be above $1,000.", "level"),
    (M + "No, Nvidia will be below $1,000.", "level"),
    (M + "It will close above $822.79.", "level"),
    ("The median is $834. " * 201, "long"),
    ("$834 " * 101, "long"),
]


@pytest.mark.parametrize("text", GROUNDED)
def test_a_text_whose_figures_are_the_results_has_no_finding(text: str) -> None:
    assert check(text, RESULT) == ()


@pytest.mark.parametrize(("text", "rule"), UNGROUNDED)
def test_a_text_with_a_figure_of_its_own_is_found(text: str, rule: str) -> None:
    assert rule in {finding.rule for finding in check(text, RESULT)}


@pytest.mark.parametrize(
    "text", ["The median is $834; it is likely to fall.", "Nvidia is expected to drop to $834."]
)
def test_a_falling_belief_allows_falling_words(text: str) -> None:
    assert check(text, FALLING) == ()


def test_a_falling_belief_refuses_rising_words() -> None:
    findings = check("Nvidia is expected to rise to $834.", FALLING)
    assert [finding.rule for finding in findings] == ["direction"]


def test_a_price_in_the_question_may_be_a_level_but_not_a_forecast() -> None:
    level = "Nvidia is expected at $834; a close above $1,200 was asked about."
    assert check(level, RESULT, question=ASKED) == ()
    assert "price" in {f.rule for f in check(level, RESULT)}
    for claim in ("Nvidia will hit $1,200; the median is $834.", "It is $1,200, median $834."):
        assert "price" in {f.rule for f in check(claim, RESULT, question=ASKED)}


CHANCE = "The chance that Nvidia closes above $160 on 2022-09-30 is 45 %."


def findings_of_level(text: str) -> tuple[Finding, ...]:
    return check(text, LEVELLED, question="Will Nvidia be above $160 by the end of September 2022?")


@pytest.mark.parametrize(
    "text",
    [
        CHANCE,
        "There is a 55 % chance of a close at or below $160 on 2022-09-30.",
        "Forecast: 45% chance that Nvidia is above $160 by September 2022.",
        "No: the chance that Nvidia is above $160 is 45.2 %.",
        "The chance is 45 %.",
        CHANCE.replace("$160", "$117").replace("45", "75"),
    ],
)
def test_the_right_chance_of_a_level_is_a_whole_answer(text: str) -> None:
    assert findings_of_level(text) == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (CHANCE.replace("45", "54"), "percentage"),
        (CHANCE.replace("45", "55"), "percentage"),
        ("Nvidia could be above $160.", "missing"),
        ("Nvidia could be above $160; volatility is 48 %.", "missing"),
        (CHANCE.replace("$160", "$117"), "percentage"),
        ("Nvidia will close above $160 on 2022-09-30.", "level"),
        ("No, Nvidia will not be above $160.", "level"),
    ],
)
def test_a_level_without_its_chance_or_with_a_wrong_one_is_found(text: str, rule: str) -> None:
    assert rule in {finding.rule for finding in findings_of_level(text)}


def test_a_chance_too_small_or_too_large_for_whole_percent_may_be_said_as_a_bound() -> None:
    for chance, good, bad in ((0.003, "under 1 %", "over 99 %"), (0.998, "over 99 %", "under 1 %")):
        result = {**LEVELLED, "prob_above": [{"level": 160.0, "probability": chance}]}
        text = "The chance of a close above $160 on 2022-09-30 is {}."
        assert check(text.format(good), result) == ()
        assert check(text.format(bad), result) != ()


def test_a_last_close_may_be_past_although_the_median_rounds_to_it() -> None:
    result = {**RESULT, "last_close": 833.8}
    assert "tense" not in {f.rule for f in check("Nvidia was last at $834.", result)}
    on_target = "The price of Nvidia on March 28, 2024 was $834."
    assert "tense" in {f.rule for f in check(on_target, result)}


def test_an_overlong_text_is_one_finding_and_is_not_read_further() -> None:
    findings = check("It is guaranteed and will not fall. " * 200, RESULT)
    assert [finding.rule for finding in findings] == ["long"]


@pytest.mark.parametrize(
    "piece",
    ["March ", "$1 ", "one hundred ", "1 ", "1-", "50% ", "will rise ", "was $834 ", "not "],
)
def test_a_text_made_to_be_slow_is_read_quickly(piece: str) -> None:
    text = (piece * 2_000)[:2_000]
    started = time.process_time()
    check(text, RESULT, question=text)
    assert time.process_time() - started < 0.2


def test_a_question_about_a_chance_needs_no_price() -> None:
    text = "There is an 11 % chance of a close above $1,000."
    assert check(text, RESULT, question="What is the chance of a close above $1,000?") == ()
    nothing_asked = {**RESULT, "prob_above": []}
    for answer in (M[:-1], "The chance of a rise is 53 %."):
        assert check(answer, nothing_asked, question="What will the price be?") == ()
    assert check(text, nothing_asked, question="What will the price be?") != ()


def test_the_message_names_the_figure_and_the_prices_of_the_result() -> None:
    finding = check("Nvidia is expected at $1,208, or $834.", RESULT)[0]
    assert finding.figure == "$1,208"
    assert finding.message == (
        "the text says $1,208 as the expected price; the tool result has no such price "
        "(median $834, 90 % interval $665 to $1,044, last close $822.79)"
    )


def test_a_figure_in_words_is_quoted_as_written() -> None:
    findings = check("Nvidia is expected at nine hundred fifty dollars.", RESULT)
    assert findings[0].figure == "nine hundred fifty dollars"


def test_euros_are_right_when_the_result_is_in_euros() -> None:
    assert check("The median is €834.", {**RESULT, "currency": "EUR"}) == ()
    assert check("The median is $834.", {**RESULT, "currency": "EUR"}) != ()
