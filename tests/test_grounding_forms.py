"""The forms in which people say a chance, a distance, a width or a day."""

import pytest
from grounded import RESULT, TWO_LEVELS, M

from belief_tools.grounding import check

ASKED = "Will Nvidia be above $900 or above $750 at the end of March 2024?"
# (text, what is right in it, what is wrong there); 0.26 above $900, 0.80 above $750
OF_TWO_LEVELS = [
    ("The odds are {} to 1 against a close above $900.", "2.8", "4.8"),
    ("The odds are 4:1 {} a close above $750.", "in favour of", "against"),
    ("It's {} that it ends above $750.", "four in five", "three in five"),
    ("A bit {} one in four for $900.", "over", "under"),
    ("Of a hundred such months, {} would end above $900.", "26", "62"),
    ("The chances of $900 and $750 are {}.", "26% and 80%", "80% and 26%"),
    ("Above $900 ({}) is less likely than above $750.", "26% vs. 80%", "80% vs. 26%"),
    ("A 54 % chance between $750 and $900, {} that it ends higher.", "26 %", "36 %"),
    ("A 54 % chance between $750 and $900, 26 % above and {} below.", "20 %", "30 %"),
    ("There is a {} chance that it is outside the $750-$900 range.", "46 %", "54 %"),
    ("It probably won't finish above $900 ({}).", "26 %", "80 %"),
    ("There is a {} chance that it doesn't finish above $900.", "74 %", "26 %"),
    ("$900 is {}, but not the likely case (26 %).", "possible", "likely"),
    ("Below $750 it ends {} of the time.", "a fifth", "a third"),
    ("A {} chance for the upper level.", "26 %", "80 %"),
    ("| Level | Above | Below |\n|---|---|---|\n| $900 | {} |", "26% | 74%", "74% | 26%"),
    ("Being below $900 is about {} times as likely as being above it.", "3", "5"),
    ("Neither is {}: 26 % for $900, 80 % for $750.", "certain", "likely"),
]
# (text, what is right in it, what is wrong there); each states a figure of the forecast by itself
FORMS = [
    ("It's close to a toss-up: {} for up.", "53 %", "57 %"),
    ("Slight upward tilt, {}.", "53 to 47", "47 to 53"),
    ("From $822.79, $1,000 would take another {}.", "$177", "$187"),
    ("It would take a gain of 21.5 %, or {}, to reach $1,000.", "$177", "$187"),
    ("It needs {} % more to reach $1,000.", "21.5", "31.5"),
    ("The 90 % interval spans nearly {}.", "$380", "$480"),
    ("The median is $834, give or take about {} for the middle half.", "$70", "$190"),
    ("The 90 % interval is about {}.", "$660 to $1,045", "$630 to $1,045"),
    ("The middle half runs from {}.", "$766 to $905", "$665 to $1,044"),
    ("$766 to $905 at {} %, $665 to $1,044 at 90 %.", "50", "60"),
    ("The 90 % interval reaches down 19 % and up {} %.", "27", "37"),
    ("A close outside $665 to $1,044 happens {}.", "one time in ten", "one time in five"),
    ("Most likely in the {}, with a 50 % interval of $766 to $905.", "$800s", "$500s"),
    ("On {} the median is $834.", "the 28th", "the 27th"),
    ("By the end of the {} quarter of 2024 it is $834.", "first", "second"),
    ("By the end of the {} the median is $834.", "month", "year"),
]


@pytest.mark.parametrize(("text", "right", "wrong"), OF_TWO_LEVELS)
def test_a_chance_of_a_level_is_judged_in_every_form(text: str, right: str, wrong: str) -> None:
    assert check(M + text.format(right), TWO_LEVELS, question=ASKED) == ()
    assert check(M + text.format(wrong), TWO_LEVELS, question=ASKED) != ()


@pytest.mark.parametrize(("text", "right", "wrong"), FORMS)
def test_a_figure_of_the_forecast_is_an_answer_in_any_form(
    text: str, right: str, wrong: str
) -> None:
    assert check(text.format(right), RESULT) == ()
    assert check(text.format(wrong), RESULT) != ()


@pytest.mark.parametrize(
    "text",
    [
        "The last close was $822.79.",
        "I expect no change from $822.79.",
        "On March 28, 2024 it may be above $1,000.",
        "It closed at $822.79; $1,000 is possible by March 28, 2024.",
        "The market is normal with 70 %, and volatility is 48 % a year.",
        "There is a 90 % interval.",
    ],
)
def test_a_text_without_any_figure_of_the_forecast_is_incomplete(text: str) -> None:
    assert "missing" in {finding.rule for finding in check(text, RESULT)}


def test_a_multiple_of_the_last_close_may_be_an_end_of_the_interval_and_no_promise() -> None:
    wide = {**RESULT, "interval_90": [411.0, 1646.0]}
    assert check("The 90 % range is from half to twice the current price; " + M, wide) == ()
    for claim in ("Nvidia will double. ", "Nvidia is expected to double. "):
        assert check(claim + M, wide) != ()
    assert check("Nvidia could double. " + M, RESULT) != ()


def test_a_chance_beside_its_own_level_has_no_other_reading() -> None:
    for text in ("A close above $900 has a chance of 80 %.", "There is a 20 % chance above $750."):
        assert "percentage" in {f.rule for f in check(text, TWO_LEVELS, question=ASKED)}


def test_a_bare_chance_answers_the_question() -> None:
    question = "Will Nvidia be above $1,000 at the end of March 2024?"
    assert check("About 11 %.", RESULT, question=question) == ()
    assert check("About 89 % against it.", RESULT, question=question) == ()
    assert check("About 89 %.", RESULT, question=question) != ()


def test_a_share_of_past_closes_does_not_take_the_chance_beside_it() -> None:
    record = {"coverage_50": 0.48, "coverage_90": 0.87, "origins": 900, "horizon": 19}
    result = {**RESULT, "track_record": record}
    text = "I'd say {} above $1,000, but its 90 % intervals held only {} of the time. "
    assert check(text.format("11 %", "87 %") + M, result) == ()
    assert check(text.format("87 %", "87 %") + M, result) != ()
    assert check(text.format("11 %", "90 %") + M, result) != ()
