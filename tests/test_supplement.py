"""What our own code adds to a right answer that leaves something out."""

import pytest
from consulted import consulted, plays

from belief_tools.grounding import check
from belief_tools.supplement import lacking

MARCH = "What will Nvidia's stock price be at the end of March 2024?"
BETWEEN = "What is the chance that Nvidia is between 800 and 900 at the end of March 2024?"


@pytest.fixture(scope="module")
def result(tool):
    return tool.run(
        tool.check({"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None})
    )


@pytest.fixture(scope="module")
def leveled(tool):
    wanted = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": [800.0, 900.0]}
    return tool.run(tool.check(wanted))


def test_a_price_alone_gets_its_interval(result):
    assert lacking("Nvidia is expected at $834.", result, MARCH) == (
        "90 % chance between $681 and $994."
    )


@pytest.mark.parametrize("interval", ["interval_90", "interval_50"])
def test_an_answer_with_an_interval_lacks_nothing(result, interval):
    low, high = getattr(result, interval)
    text = f"Nvidia is expected at $834, and between ${low:,.2f} and ${high:,.2f}."
    assert lacking(text, result, MARCH) == ""


def test_a_chance_that_was_asked_for_is_added(leveled):
    added = lacking("At $834, with 90 % between $681 and $994.", leveled, BETWEEN)
    assert "above $800" in added and "above $900" in added and "between $800 and $900" in added


def test_a_chance_that_is_said_either_way_round_is_not(leveled):
    above = [100 * each["probability"] for each in leveled.prob_above]
    text = f"Between $681 and $994: {above[0]:.1f} % above $800, {100 - above[1]:.1f} % below $900."
    assert lacking(text, leveled, BETWEEN) == ""


def test_a_fall_is_answered_with_the_chance_below(tool):
    wanted = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": [800.0]}
    only = tool.run(tool.check(wanted))
    added = lacking("At $834, 90 % $681 to $994.", only, "Will Nvidia fall below $800 by April?")
    below = 100 * (1 - only.prob_above[0]["probability"])
    assert added == f"The chance of a close below $800 on 2024-03-28 is {below:.0f} %."


@pytest.mark.parametrize("question", ["Will Nvidia go up by April?", "Will it fall this month?"])
def test_a_direction_that_was_asked_for_gets_its_chance(result, question):
    added = lacking("At $834, 90 % $681 to $994.", result, question)
    assert added == "The chance of a close above the last close is 55 %."


def test_what_is_added_passes_the_check(leveled):
    added = lacking("At $834.", leveled, BETWEEN)
    text = f"Nvidia is expected at $834. {added}"
    assert check(text, leveled.to_dict(), question=BETWEEN) == ()


def test_what_is_added_is_shown_and_said_to_be(tool):
    given = consulted(tool, plays("Nvidia is expected at $834 on March 28, 2024.")).given
    assert given.stop_reason == "answered"
    assert given.text.endswith("90 % chance between $681 and $994.")
    assert "added by this program: 90 % chance between $681 and $994." in given.notes
