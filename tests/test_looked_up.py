"""Questions that our own tools answer: which they are, and that no language model is asked."""

import json

import numpy as np
import pytest

from belief.errors import UsageError
from belief_tools import belief_tool, forecast_tool, history_tool, record_tool
from belief_tools.dispatch import answer
from belief_tools.looked_up import FROM_TOOL, PAST_PRICE, topic_of
from belief_tools.questions import read_question
from belief_tools.receipt import statement
from belief_tools.turns import read, turn_of

MARCH = "Will Nvidia be above $900 at the end of March 2024?"


def nobody():
    raise AssertionError("a language model was asked")


def ask(tool, *texts):
    """The answer to the last of several questions, of which the ones before were not answered."""
    turns = []
    for text in texts[:-1]:
        turns.append(turn_of(read(text, tool, turns), None))
    return answer(texts[-1], tool, nobody, earlier=turns)


def called(given):
    return [call["name"] for call in given.tool_calls]


@pytest.mark.parametrize(
    ("topic", "texts"),
    [
        (
            "record",
            [
                "How often were you right?",
                "how many times was it wrong?",
                "what's your track record",
                "How accurate are your forecasts a month ahead?",
                "how often do these intervals hold?",
                "Can I trust this?",
                "were you ever right?",
                "what is your hit rate",
            ],
        ),
        ("sure", ["How sure are you?", "are you sure", "how confident is the model?"]),
        (
            "split",
            [
                "what if it splits?",
                "and after a 10-for-1 split?",
                "suppose Nvidia does a 4:1 split, what then?",
                "If there's a 4:1 split in June, what will the price be?",
            ],
        ),
        (
            "belief",
            [
                "Which regime is Nvidia in?",
                "how volatile is it right now?",
                "what is Nvidia's volatility?",
                "is nvidia calm?",
            ],
        ),
        (
            "past",
            [
                "What was the highest close in 2023?",
                "how much has Nvidia gained since January?",
                "has it ever split?",
                "when did Nvidia last split its stock?",
                "What did Nvidia close at on 2024-02-01?",
                "how did nvidia do last month",
            ],
        ),
        (
            None,
            [
                "What will Nvidia cost in June?",
                "Will Nvidia be above $900 after earnings?",
                "how volatile will nvidia be in June?",
                "How high will it be at the end of March?",
                "Should I buy Nvidia?",
                "What is the median price for June 2025?",
                "NVDA average price in 2025?",
                "volatility over the coming month?",
                "when will nvidia split its stock",
                "give me a 90% range for nvidia on june 28",
                "how much tax do i pay on my gains in 2024",
                "how accurate is a Rolex?",
                "split the bill",
                "Is the right price above $900 in June?",
            ],
        ),
    ],
)
def test_the_topic_of_a_question(topic, texts):
    known = {"as_of": np.datetime64("2024-03-01"), "symbols": {"NVDA": ("Nvidia",)}}
    found = {text: topic_of(read_question(text, **known)) for text in texts}
    assert found == dict.fromkeys(texts, topic)


def test_how_often_it_was_right_is_the_record_at_the_horizon_asked_before(tool):
    given = ask(tool, MARCH, "How often were you right?")
    assert given.stop_reason == FROM_TOOL and called(given) == [record_tool.NAME]
    assert given.tool_calls[0]["arguments"] == {"symbol": "NVDA", "horizon": 19}
    assert given.text == given.tool_calls[0]["result"]["summary"]
    assert "21 sessions ahead" in given.text and given.model is None
    assert any("2024-03-28" in note for note in given.notes)


def test_the_record_without_a_horizon_is_a_table(tool):
    given = ask(tool, "How often were you right?")
    assert given.tool_calls[0]["arguments"]["horizon"] is None
    assert "at 5" in given.text and given.notes == ()


@pytest.mark.parametrize(
    ("text", "horizon"),
    [
        ("How accurate are your forecasts a month ahead?", 20),
        ("what's your track record at 5 sessions?", 5),
        ("how often were you right 63 sessions out?", 63),
        ("what's your track record at 9999 sessions?", None),
    ],
)
def test_a_horizon_in_the_question_counts(tool, text, horizon):
    assert ask(tool, text).tool_calls[0]["arguments"]["horizon"] == horizon


def test_how_sure_it_is_says_the_forecast_the_belief_and_the_record(tool):
    given = ask(tool, MARCH, "How sure are you?")
    assert called(given) == [forecast_tool.NAME, belief_tool.NAME, record_tool.NAME]
    assert given.result is not None and given.result.target == "2024-03-28"
    assert given.text.startswith(statement(given.result)) and "$900" in given.text
    assert "regime" in given.text and "of the closes" in given.text
    assert given.receipt[0].startswith("as of 2024-03-01")


def test_how_sure_it_is_without_a_question_before_has_no_price(tool):
    given = ask(tool, "How sure are you?")
    assert called(given) == [belief_tool.NAME, record_tool.NAME]
    assert given.result is None and "$" not in given.text


def test_the_belief_is_said_without_prices(tool):
    given = ask(tool, "Which regime is Nvidia in?")
    assert called(given) == [belief_tool.NAME] and "normal regime" in given.text
    assert given.receipt == (
        "as of 2024-03-01, bundled snapshot; from belief_now; no language model was asked",
    )


def test_a_split_divides_prices_and_leaves_chances(tool):
    given = ask(tool, MARCH, "what if it splits 10-for-1?")
    assert called(given) == [forecast_tool.NAME, history_tool.NAME]
    assert given.result is not None and given.result.target == "2024-03-28"
    assert f"${given.result.median / 10:,.2f}" in given.text and "4-for-1 on 2021-07" in given.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what if it splits?", "2-for-1"),
        ("what if it splits ten for one?", "A 10-for-1 split"),
        ("what if there is a 3:2 split?", "A 3-for-2 split"),
        ("what if there's a 1-for-8 reverse split?", "1-for-8 reverse"),
        ("what if there's an 8-for-1 reverse split?", "1-for-8 reverse"),
    ],
)
def test_the_ratio_of_a_split_is_read(tool, text, words):
    given = ask(tool, text)
    assert words in given.text and any("21 sessions were assumed" in n for n in given.notes)


@pytest.mark.parametrize("ratio", ["0-for-1", "1-for-1", "1-for-1000000", "1000-for-1"])
def test_a_ratio_that_cannot_be_is_refused(tool, ratio):
    with pytest.raises(UsageError, match="ratio"):
        ask(tool, f"what if it splits {ratio}?")


@pytest.mark.parametrize(
    "text", ["what if it splits at 9:30?", "what if it splits and goes from 100 to 200?"]
)
def test_other_numbers_are_no_ratio(tool, text):
    assert "2-for-1 split, say" in ask(tool, text).text


def test_a_split_keeps_the_date_of_its_own_question(tool):
    given = ask(tool, "What will Nvidia be on 2024-06-28 if it splits 2.5-for-1?")
    assert given.result is not None and given.result.target == "2024-06-28"
    assert not any("assumed" in note for note in given.notes)
    assert f"${given.result.median / 2.5:,.0f}" in given.text


def test_a_period_is_summed_up(tool):
    given = ask(tool, "What was the highest close in 2023?")
    assert given.stop_reason == FROM_TOOL and called(given) == [history_tool.NAME]
    assert "The highest close was $504.09 on 2023-11-20" in given.text


def test_a_year_that_goes_on_ends_at_as_of(tool):
    given = ask(tool, "What was the highest close in 2024?")
    assert given.tool_calls[0]["arguments"]["last_date"] == "2024-03-01"


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (
            ["What did it close at on 2023-06-30?", "how much has it gained since then?"],
            "2023-06-30",
        ),
        (["What was the highest close in 2023?", "and in 2022?"], "2022-01-01"),
        (["What was the highest close in 2023?", "and since 2020?"], "2020-01-01"),
    ],
)
def test_a_follow_up_sums_up_its_own_period(tool, texts, first):
    turns = []
    for text in texts:
        given = answer(text, tool, nobody, earlier=turns)
        turns.append(turn_of(read(text, tool, turns), given))
    assert given.tool_calls[0]["arguments"]["first_date"] == first


def test_a_period_that_is_not_named_is_said_to_be_assumed(tool):
    given = ask(tool, "what was the highest close?")
    assert any("the last 21 sessions were taken" in note for note in given.notes)


def test_a_past_period_that_lies_ahead_is_refused(tool):
    with pytest.raises(UsageError, match="after the last known session"):
        ask(tool, "how much did it gain in June 2025?")


def test_a_holiday_of_the_past_is_the_session_before(tool):
    given = ask(tool, "How did it do on 2023-12-25?")
    assert given.tool_calls[0]["arguments"]["last_date"] <= "2023-12-25"


def test_after_a_price_of_the_past_doubt_has_no_target(tool):
    given = ask(tool, "What did Nvidia close at on 2024-02-01?", "how sure are you?")
    assert not any("2024-02-01" in note for note in given.notes)


def test_splits_are_looked_for_in_all_there_is(tool):
    given = ask(tool, "has nvidia ever split?")
    assert given.text.endswith("4-for-1 on 2021-07-20.") and "2-for-1 on 2000-06-27" in given.text


def test_one_close_is_the_past_price(tool):
    given = ask(tool, "What did Nvidia close at on 2024-02-01?")
    assert given.stop_reason == PAST_PRICE and called(given) == [history_tool.NAME]
    assert given.tool_calls[0]["result"]["final_close"] == 630.27 and "$630.27" in given.text


def test_a_level_beside_a_past_day_is_compared_with_its_close(tool):
    given = ask(tool, "Did Nvidia close above 700 on 2024-02-01?")
    assert "(in dollars of 2024-03-01), not above $700. Nothing" in given.text
    assert ", above $600. Nothing" in ask(tool, "Did it close above 600 on 2024-02-01?").text


def test_after_a_record_a_follow_up_leans_on_the_price_before(tool):
    turns = [turn_of(read(MARCH, tool), None)]
    turns.append(turn_of(read("How often were you right?", tool, turns), None))
    asked = read("and in six months?", tool, turns)
    assert str(asked.target) == "2024-08-30" and asked.levels == (900.0,)


@pytest.mark.parametrize(
    "text",
    ["How often were you right?", "how sure are you?", "what if it splits?", "highest close ever?"],
)
def test_an_answer_of_the_tools_is_strict_json(tool, text):
    written = json.dumps(ask(tool, MARCH, text).to_dict(), allow_nan=False)
    assert json.loads(written)["stop_reason"] == FROM_TOOL


def test_an_unknown_company_has_no_record_here(tool):
    from belief.errors import UnknownSymbol

    with pytest.raises(UnknownSymbol, match="TSLA"):
        ask(tool, "What was the highest close of Tesla in 2023?")
