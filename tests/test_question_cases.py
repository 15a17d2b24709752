"""The cases of how people ask, and the grammar that reads them; no language model is asked."""

import json
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from belief.events import NO_EVENTS, bundled_events
from belief.sessions import is_session
from belief_tools.periods import Clock
from belief_tools.plain_words import plain_words
from belief_tools.questions import Question, read_question
from belief_tools.results_days import NoResultsDay, last_results, next_results
from belief_tools.target_dates import read_dates

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import question_cases

AS_OF = np.datetime64("2024-03-01", "D")
EVENTS = bundled_events("NVDA").until(AS_OF)
CASES = question_cases.cases()


def read(text: str, events=EVENTS, last_close: float | None = 800.0) -> Question:
    known = {"as_of": AS_OF, "symbols": {"NVDA": ("Nvidia",)}}
    return read_question(text, **known, last_close=last_close, events=events)


def test_there_are_hundreds_of_cases_and_each_can_be_right():
    asked = {(case.get("before"), case["question"].lower()) for case in CASES}
    assert len(CASES) >= 400 and len(asked) == len(CASES)
    for case in CASES:
        target = case["target"] and np.datetime64(case["target"])
        if case["kind"] == "other":
            assert target is None and case["levels"] == []
        else:
            assert target is None or is_session(target), case
            assert target is None or (target > AS_OF) == (case["kind"] == "forecast"), case
    assert {case["kind"] for case in CASES} == set(question_cases.KINDS.values())


def test_all_cases_are_read_right():
    known = question_cases.known_then()
    wrong = list(
        question_cases.misread(CASES, lambda case: (question_cases.understood(case, known), None))
    )
    assert wrong == []


@pytest.mark.parametrize(
    ("change", "code"),
    [({}, 0), ({"target": "2024-03-27"}, 1), ({"levels": [900]}, 1), ({"kind": "other"}, 1)],
)
def test_scoring_tells_a_misread_question_and_exits_with_1(tmp_path, capsys, change, code):
    case = {"question": "NVDA in March 2024?", "kind": "forecast", "target": "2024-03-28"}
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({**case, "levels": [], "note": "", **change}) + "\n")
    assert question_cases.main([str(file)]) == code
    assert ("taken" in capsys.readouterr().out) == bool(code)


def test_a_case_with_a_question_before_is_read_as_the_second_of_a_conversation():
    known = question_cases.known_then()
    case = {"question": "and above 950?", "before": "Will Nvidia be above $900 on March 15?"}
    assert question_cases.understood(case, known) == ("forecast", "2024-03-15", (950.0,))
    del case["before"]
    assert question_cases.understood(case, known) == ("forecast", None, (950.0,))


# Words and numbers


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("in eleven months", "in 11 months"),
        ("a hundred and fifty dollars", "150 dollars"),
        ("twelve hundred or two thousand five hundred", "1200 or 2500"),
        ("a grand", "1000"),
        ("twenty twenty-five", "2025"),
        ("nine fifty", "950"),
        ("two and a half years", "2.5 years"),
        ("a year and a half", "1.5 years"),
        ("half a year, a fortnight", "0.5 years, 2 weeks"),
        ("in the second half year", "in the second half year"),
        ("a couple of weeks", "2 weeks"),
        ("in 3w, 6 mos ago", "in 3 weeks, 6 months ago"),
        ("revenue of $6m on 6 m shares", "revenue of $6m on 6 m shares"),
        ("nxt fridy, septmber", "next friday, september"),
        ("match mouth marched mondays", "match mouth marched mondays"),
        ("one share", "one share"),
        ("where'd nvda close, what'd it be", "where did nvda close, what would it be"),
        ("before the year is out", "by the end of the year"),
    ],
)
def test_numbers_short_forms_and_slips_become_plain_words(text, plain):
    assert plain_words(text) == plain


# Dates


@pytest.mark.parametrize(
    ("phrase", "target"),
    [
        ("before April 15", "2024-04-12"),
        ("after April 15", "2024-04-16"),
        ("before the end of April", "2024-04-30"),
        ("before April", "2024-03-28"),
        ("after Easter", "2024-04-01"),
        ("2 days after Easter", "2024-04-02"),
        ("3 sessions before Memorial Day", "2024-05-22"),
        ("a week before Christmas", "2024-12-18"),
        ("a week from Tuesday", "2024-03-12"),
        ("in the week of April 8", "2024-04-12"),
        ("Friday week", "2024-03-15"),
        ("Friday after next", "2024-03-15"),
        ("the month after next", "2024-05-31"),
        ("the second Tuesday of April", "2024-04-09"),
        ("the third trading day of next month", "2024-04-03"),
        ("the first week of May", "2024-05-07"),
        ("by the end of summer", "2024-08-30"),
        ("next winter", "2025-02-28"),
        ("8.3.2024", "2024-03-08"),
        ("06/2024", "2024-06-28"),
        ("2024-06", "2024-06-28"),
        ("15-Mar-2024", "2024-03-15"),
        ("Thanksgiving next year", "2025-11-26"),
        ("in twenty twenty-five", "2025-12-31"),
        ("1.5 years from now", "2025-08-29"),
        ("in 48 hours", "2024-03-04"),
        ("two Fridays from now", "2024-03-15"),
        ("the Friday after Easter", "2024-04-05"),
        ("the Thursday before Memorial Day", "2024-05-23"),
        ("the Friday after earnings", "2024-05-24"),
        ("at the end of the decade", "2029-12-31"),
        ("on the 12 Apr 24", "2024-04-12"),
        ("wed 3/13", "2024-03-13"),
        ("come 22/4", "2024-04-22"),
        ("when it ends march", "2024-03-28"),
        ("in like 2 months", "2024-05-01"),
        ("before summer", "2024-05-31"),
        ("for another two weeks", "2024-03-15"),
        ("in one more week", "2024-03-08"),
        ("at the end of the following month", "2024-04-30"),
    ],
)
def test_what_stands_in_front_of_a_day_or_period_moves_it(phrase, target):
    asked = read(f"Where will NVDA be {phrase}?")
    assert (asked.kind, str(asked.target)) == ("future_price", target)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("and a week later?", "2024-04-04"),
        ("a month after that?", "2024-04-26"),
        ("2 weeks earlier", "2024-03-14"),
        ("the day after", "2024-04-01"),
        ("and the day before?", "2024-03-27"),
        ("and the next day?", "2024-04-01"),
        ("the previous session?", "2024-03-27"),
        ("5 trading days later?", "2024-04-05"),
        ("2 weeks from then?", "2024-04-11"),
        ("one more week", "2024-04-04"),
        ("another month?", "2024-04-26"),
        ("a year on?", "2025-03-28"),
        ("and the Tuesday after?", "2024-04-02"),
        ("the Friday after", "2024-04-01"),  # Good Friday
        ("the Monday before that", "2024-03-25"),
        ("the following Wednesday", "2024-04-03"),
        ("the following week", "2024-04-05"),
        ("the end of that year", "2024-12-31"),
        ("a year before that", "2023-03-28"),
        # Counted from as_of, whatever was asked before.
        ("in a week", "2024-03-08"),
        ("a week from now", "2024-03-08"),
        ("next week", "2024-03-08"),
        ("next Friday", "2024-03-08"),
        ("tomorrow", "2024-03-04"),
        ("the week after next", "2024-03-15"),
    ],
)
def test_what_goes_on_from_a_date_is_counted_from_the_one_before(text, target):
    clock = Clock(date(2024, 3, 1), past=False, future=True, there=date(2024, 3, 28))
    assert str(read_dates(text, clock).target) == target


def test_what_goes_on_from_a_date_is_counted_from_one_of_the_same_text_or_else_from_as_of():
    clock = Clock(date(2024, 3, 1), past=False, future=True, there=date(2024, 3, 28))
    assert str(read_dates("on June 14, or rather a week later", clock).target) == "2024-06-21"
    assert str(read("What will NVDA be a week later?").target) == "2024-03-08"
    assert read("Will NVDA be higher by the end of that month?").target is None


def test_a_follow_up_goes_on_from_the_answer_before():
    def follow(text: str, before: str) -> Question:
        known = {"as_of": AS_OF, "symbols": {"NVDA": ("Nvidia",)}}
        return read_question(text, **known, earlier=read(before))

    asked = follow("and a week later?", "Will Nvidia be above $900 on March 28?")
    assert (asked.kind, str(asked.target), asked.levels) == ("future_price", "2024-04-04", (900.0,))
    asked = follow("and a week later?", "What did Nvidia close at on January 16?")
    assert (asked.kind, str(asked.target)) == ("past_price", "2024-01-23")


def test_of_a_list_of_distances_the_latest_is_answered_for_and_that_is_said():
    asked = read("NVDA in 3, 6 and 12 months?")
    assert str(asked.target) == "2025-02-28" and "latest" in asked.notes[0]
    assert read("NVDA in 12 months?").notes == ()


def test_a_past_without_a_day_is_a_problem_unless_a_day_is_named():
    asked = read("What did NVDA use to cost?")
    assert (asked.kind, asked.target) == ("past_price", None)
    assert asked.problem is not None and "name one" in asked.problem
    asked = read("What did NVDA use to cost in 2019?")
    assert (str(asked.target), asked.problem) == ("2019-12-31", None)


@pytest.mark.parametrize("words", ["3/4 of its worth", "1/2 way", "24/7", "50/50"])
def test_a_fraction_is_no_date(words):
    asked = read(f"Will NVDA go up {words}?")
    assert (asked.target, asked.problem) == (None, None)


def test_a_fifth_friday_that_a_month_does_not_have_is_a_problem():
    asked = read("Where will NVDA be on the fifth Friday of April?")
    assert asked.target is None and asked.problem is not None and "no such day" in asked.problem
    assert str(read("Where will NVDA be on the fifth Friday of May?").target) == "2024-05-31"


@pytest.mark.parametrize(
    ("phrase", "target"),
    [
        ("after its next earnings", "2024-05-23"),
        ("before earnings", "2024-05-22"),
        ("by Nvidia's next earnings report", "2024-05-22"),
        ("two days after earnings", "2024-05-24"),
        ("after earnings in August", "2024-08-22"),
        ("after its November results", "2024-11-20"),
    ],
)
def test_results_are_a_date_although_they_are_not_announced(phrase, target):
    asked = read(f"Where will NVDA be {phrase}?")
    assert (asked.kind, str(asked.target)) == ("future_price", target)
    assert "not announced as of 2024-03-01" in " ".join(asked.notes)


def test_results_that_are_announced_are_taken_as_announced():
    events = bundled_events("NVDA").until(np.datetime64("2024-05-10"))
    assert next_results(events, date(2024, 5, 10)) == (date(2024, 5, 22), True)
    assert last_results(events, date(2024, 5, 10)) == (date(2024, 2, 21), True)
    assert last_results(events, date(2024, 5, 10), 11) == (date(2023, 11, 21), True)
    with pytest.raises(NoResultsDay):
        next_results(events, date(2024, 5, 10), 7)


def test_results_nobody_knows_are_a_problem_unless_another_date_is_named():
    asked = read("Where will NVDA be after earnings?", events=NO_EVENTS)
    assert asked.target is None and asked.problem is not None and "name a day" in asked.problem
    asked = read("Where will NVDA be after earnings next month?", events=NO_EVENTS)
    assert (str(asked.target), asked.problem) == ("2024-04-30", None)


def test_what_can_be_read_in_two_ways_is_said():
    (note,) = read("What will NVDA be on 03/08/2024?").notes
    assert "month first" in note and "2024-03-08" in note
    (note,) = read("What will NVDA be on March 15 and on April 15?").notes
    assert "2024-03-15" in note and "2024-04-15" in note and "latest" in note
    assert read("What will NVDA be on 13/03/2024?").notes == ()
    assert read("NVDA closed at 790 on February 29. Where will it be on April 15?").notes == ()


# Levels


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("be 10 % higher", (880.0,)),
        ("fall by at least 5 percent", (760.0,)),
        ("be up 2.5%", (820.0,)),
        ("move more than 10%", (880.0, 720.0)),
        ("stay within 5 percent of today's price", (840.0, 760.0)),
        ("double", (1600.0,)),
        ("lose a quarter of its value", (600.0,)),
        ("drop $50", (750.0,)),
        ("be fifty dollars higher", (850.0,)),
        ("rise to $850", (850.0,)),
        ("drop below $700", (700.0,)),
        ("be above one thousand two hundred dollars", (1200.0,)),
        ("have a 10% chance to be above $900", (900.0,)),
        ("drop with a probability of 10%", ()),
        ("be in its 90% interval", ()),
        ("have double-digit growth", ()),
        ("be higher than it is today", (800.0,)),
        ("be higher than now", (800.0,)),
        ("stay above its current price", (800.0,)),
        ("be below where it closed today", (800.0,)),
        ("cost more than today", (800.0,)),
        ("rise 10% above its current price", (880.0,)),
        ("gain 5% from here", (840.0,)),
        ("be at +5%", (840.0,)),
        ("be at -10%", (720.0,)),
        ("hit four figures", (1000.0,)),
        ("be above 900/950/1000", (900.0, 950.0, 1000.0)),
        ("be sub 700", (700.0,)),
        ("see 1,100", (1100.0,)),
        ("rise, as my cost basis is 450,", ()),
    ],
)
def test_a_move_is_a_level_counted_from_the_last_close(text, levels):
    asked = read(f"Will Nvidia stock {text} by June?")
    assert asked.kind == "future_price" and asked.levels == pytest.approx(levels, abs=0.005)


def test_a_move_says_what_it_was_read_as_and_is_none_without_a_last_close():
    asked = read("Will NVDA be 10 % higher in June?")
    assert asked.notes == ("'10 % higher' was read as $880.00, from the last close",)
    assert read("Will NVDA be 10 % higher in June?", last_close=None).levels == ()


def test_today_as_what_is_compared_with_is_no_date():
    asked = read("Will NVDA be higher than today?")
    assert (asked.kind, asked.target, asked.levels) == ("future_price", None, (800.0,))
    assert str(read("Will NVDA be higher today?").target) == "2024-03-04"


@pytest.mark.parametrize(
    "background",
    [
        "It was at 495 in December, ",
        "Nvidia closed at $791 yesterday. ",
        "I bought at 450. ",
        "NVDA is at 822 now, ",
        "Given a close of $822.79 on March 1, 2024, ",
    ],
)
def test_what_was_is_neither_the_date_nor_a_level_of_what_will_be(background):
    asked = read(f"{background}will it reach 900 by the end of June?")
    assert (str(asked.target), asked.levels, asked.notes) == ("2024-06-28", (900.0,), ())


# Without a company


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("and at the end of 2025?", "future_price", "2025-12-31"),
        ("Forecast for 03/08/2024 please", "future_price", "2024-03-08"),
        ("950+ by 4/19?", "future_price", "2024-04-19"),
        ("900 by Monday?", "future_price", "2024-03-04"),
        ("how much was it last Monday?", "past_price", "2024-02-26"),
        ("how much is it right now?", "past_price", "2024-03-01"),
    ],
)
def test_a_text_that_says_only_when_and_how_much_asks_for_a_price(text, kind, target):
    assert (read(text).kind, str(read(text).target)) == (kind, target)


@pytest.mark.parametrize(
    "text",
    [
        "will it rain tomorrow?",
        "see you next week",
        "how much is a 4090 next month",
        "how much is 200 + 300",
        "what happens in June?",
        "what's the date tomorrow?",
        "happy easter!",
        "and?",
        "how much?",
        "what is it?",
    ],
)
def test_a_text_that_says_anything_else_does_not(text):
    assert (read(text).kind, read(text).target) == ("other", None)


# Neither


@pytest.mark.parametrize(
    "text",
    [
        "Is Nvidia a buy?",
        "shall i put my savings in nvda for a year?",
        "Would it be wise to buy NVDA before March 15?",
        "Is it too late to get into Nvidia?",
        "Should I wait until after earnings to buy?",
        "Is the stock exchange open on Good Friday?",
        "When is the next Nvidia earnings date?",
        "What will Nvidia report next quarter?",
        "Will Nvidia be a two trillion dollar company in June?",
        "Write me a poem about Nvidia in March",
    ],
)
def test_advice_and_other_things_of_a_company_get_no_forecast(text):
    assert (read(text).kind, read(text).target) == ("other", None)


@pytest.mark.parametrize(
    "piece",
    [
        "two hundred ",
        "a half ",
        "up by ",
        "more than ",
        "5% ",
        "after ",
        "the week of ",
        "$5 down ",
        "another ",
        "the week after ",
        "1, ",
        "1 week and ",
        "than it is ",
        "above it is ",
        "+5% ",
        "wed 3/4 ",
    ],
)
def test_text_made_to_be_slow_is_read_quickly(piece):
    read("Will Nvidia rise in March?")  # sessions are loaded at the first question
    started = time.process_time()
    read((piece * 2_000)[:2_000])
    assert time.process_time() - started < 0.3
