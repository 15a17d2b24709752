import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from belief.sessions import is_session
from belief_tools.questions import Question, read_question

SYMBOLS = {"NVDA": ("Nvidia", "NVIDIA Corporation")}
FRIDAY = "2025-02-14"  # followed by a weekend and Presidents' Day
CASES = json.loads((Path(__file__).parent / "data" / "questions.json").read_text(encoding="utf-8"))


def read(text: str, as_of: str = FRIDAY) -> Question:
    return read_question(text, as_of=np.datetime64(as_of, "D"), symbols=SYMBOLS)


def target_of(text: str, as_of: str = FRIDAY) -> str | None:
    found = read(text, as_of).target
    return None if found is None else str(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['as_of']} {case['question']}")
def test_question_is_read_as_written_down_by_hand(case):
    asked = read(case["question"], case["as_of"])
    got = {
        "kind": asked.kind,
        "symbol": asked.symbol,
        "target": None if asked.target is None else str(asked.target),
        "levels": list(asked.levels),
    }
    assert got == {name: case[name] for name in got}


def test_every_future_target_is_a_session_after_as_of():
    for case in CASES:
        asked = read(case["question"], case["as_of"])
        if asked.kind == "future_price" and asked.target is not None:
            assert is_session(asked.target) and asked.target > np.datetime64(case["as_of"])


@pytest.mark.parametrize(
    "text",
    [
        "Will Nvidia rise?",
        "Nvidia may rise",
        "MAY NVIDIA RISE?",
        "May Nvidia rise above $100?",
        "Will Nvidia march higher?",
        "Will Nvidia march to 150?",
        "Are 2025 dollars possible for NVDA?",
        "Will NVDA rise above 2025?",
        "Will NVDA reach 2,026?",
        "Will Nvidia stay above its 50-day moving average?",
        "As of 2025-02-14, will Nvidia go up?",
        "Will Nvidia rise again after last year?",
        "Will Nvidia trade higher in the coming weeks?",
    ],
)
def test_nothing_here_is_a_date(text):
    asked = read(text)
    assert (asked.kind, asked.target, asked.problem) == ("future_price", None, None)


@pytest.mark.parametrize(
    "text",
    [
        "What will Nvidia cost on March 28, 2025?",
        "Will Nvidia rise from now to 28 March?",
        "What will Nvidia cost at 4pm on 03/28/2025?",
        "Will Nvidia gain 10% by 2026?",
        "Will Nvidia gain 10 percent over 5 days?",
        "Will Nvidia shares rise in 2 to 3 weeks?",
        "Will Nvidia shares go up at least 3 times by the 28th?",
        "Will Nvidia stock fall, with a market cap at 3 trillion?",
        "Will Nvidia stock top its 50-day average?",
        f"Will Nvidia stock reach {'9' * 5000}?",
    ],
)
def test_nothing_here_is_a_price_level(text):
    assert read(text).levels == ()


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("Will NVDA be above 120, 130 or 140 by March 15?", (120, 130, 140)),
        ("Will NVDA hit 1,500 or $1.5k or 2 thousand?", (1500, 2000)),
        ("Will NVDA be between $100 and $120.50?", (100, 120.5)),
        ("Will NVDA be 150 or more in 2026?", (150,)),
        ("Will NVDA reach 2000 by 2026?", (2000,)),
        ("Will NVDA reach $2,025 by March 2025?", (2025,)),
        ("NVDA > 150?", (150,)),
        ("Will NVDA be higher than $900 in a week?", (900,)),
        ("NVDA lower than seven hundred dollars in a week?", (700,)),
        ("Is NVDA going to 1 or 2 or 3 or 4 or 5 or 6 or 7 or 8 or 9?", (1, 2, 3, 4, 5, 6, 7, 8)),
    ],
)
def test_price_levels_are_read_in_order_and_at_most_eight(text, levels):
    assert read(text).levels == levels


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("NVDA by Good Friday?", "2025-04-17"),
        ("NVDA by Labor Day?", "2025-08-29"),
        ("NVDA by Memorial Day?", "2025-05-23"),
        ("NVDA by Black Friday?", "2025-11-28"),
        ("NVDA by Christmas 2026?", "2026-12-24"),
        ("NVDA this time next year?", "2026-02-13"),
        ("12-month price target for NVDA", "2026-02-13"),
        ("NVDA in 2 to 3 weeks?", "2025-03-07"),
        ("NVDA over the next quarter?", "2025-05-14"),
        ("NVDA a week from Friday?", "2025-02-28"),
        ("NVDA on the 10th?", "2025-03-10"),
        ("NVDA on the 15th of next month?", "2025-03-14"),
        ("NVDA on the first trading day of March?", "2025-03-03"),
        ("NVDA on the last trading day of March?", "2025-03-31"),
        ("NVDA at the start of next week?", "2025-02-18"),
        ("NVDA before March?", "2025-02-28"),
        ("NVDA before year-end?", "2025-12-31"),
        ("NVDA in the second half of next year?", "2026-12-31"),
        ("NVDA between march and may?", "2025-05-30"),
        ("NVDA on 29 February?", "2028-02-29"),
        ("NVDA on 20250328?", "2025-03-28"),
        ("NVDA on Dec. 31st, ’25?", "2025-12-31"),  # noqa: RUF001
        ("NVDA close eow", "2025-02-21"),
        ("Will NVDA exceed this year's high by Friday?", "2025-02-21"),
        ("As of 2025-02-14, what will NVDA be on 2025-03-14?", "2025-03-14"),
        ("NVDA rose last year. Where will it be in June?", "2025-06-30"),
        ("Given a close of $139 on February 14, 2025, where will NVDA be in June?", "2025-06-30"),
        # The close of as_of is known, so "will ... today" is the session still to come.
        ("Will NVDA close higher today?", "2025-02-18"),
    ],
)
def test_market_words_name_the_session_people_mean(text, target):
    assert target_of(text) == target


def test_day_of_as_of_and_the_weekend_after_it_are_the_known_close():
    for day in ("March 1", "March 2", "2024-03-03"):
        asked = read(f"What will NVDA be on {day}?", "2024-03-01")
        assert (asked.kind, str(asked.target)) == ("past_price", "2024-03-01")


def test_holiday_right_after_as_of_moves_a_relative_phrase_to_the_next_session():
    assert target_of("NVDA this Friday?", "2024-03-28") == "2024-04-01"  # Good Friday


def test_phrase_is_the_words_the_target_was_read_from():
    assert read("Predict NVDA in March 2025, please").phrase == "in March 2025"
    assert read("NVDA by the end of the quarter?").phrase == "by the end of the quarter"
    assert read("Where will NVDA be between March 3 and June 2025?").phrase == "June 2025"


@pytest.mark.parametrize(
    "phrase",
    ["30 February 2025", "13/13/2025", "2025-02-30", "2025-13-05", "March 32", "29 Feb 2025"],
)
def test_day_that_does_not_exist_is_a_problem_and_no_target(phrase):
    asked = read(f"What will Nvidia's price be on {phrase}?")
    assert asked.kind == "future_price" and asked.target is None
    assert asked.problem is not None and phrase in asked.problem


@pytest.mark.parametrize(
    "phrase", ["in 2150", "in 99999 years", "in 99999 sessions", "in 0 sessions"]
)
def test_distance_that_cannot_be_right_is_a_problem_and_no_target(phrase):
    asked = read(f"What will Nvidia's price be {phrase}?")
    assert asked.kind == "future_price" and asked.target is None
    assert asked.problem is not None and phrase in asked.problem


@pytest.mark.parametrize(
    ("text", "symbol", "others"),
    [
        ("Where will $nvda be tomorrow?", "NVDA", ()),
        ("nividia stock tomorrow?", "NVDA", ()),
        ("What will NVIDIA Corporation (NASDAQ: NVDA) close at?", "NVDA", ()),
        ("What's the Nvidea share price next month?", "NVDA", ()),
        ("WHAT WILL NVIDIA STOCK COST IN MARCH?", "NVDA", ()),
        ("What will Apple cost next Friday?", None, ("AAPL",)),
        ("Compare the NVDA and AMD share price next month", "NVDA", ("AMD",)),
        ("Where will $abcd be tomorrow?", None, ("ABCD",)),
        ("Predict (NYSE: XYZ) for March", None, ("XYZ",)),
        ("price of ticker FOO tomorrow", None, ("FOO",)),
        ("Will Foobar's stock rise tomorrow?", None, ("Foobar",)),
        ("What will tomorrow's stock price be?", None, ()),
        ("What is Friday's share price going to be?", None, ()),
        ("What will India's stock market do next month?", None, ("India",)),
    ],
)
def test_symbol_is_found_and_other_companies_are_told_apart(text, symbol, others):
    asked = read(text)
    assert (asked.symbol, asked.other_symbols) == (symbol, others)


@pytest.mark.parametrize(
    "text",
    [
        "What will the price of eggs be tomorrow?",
        "Will the temperature be above 30 on Friday?",
        "Will Nvidia's market cap hit $4 trillion in 2025?",
        "Will Nvidia's revenue rise next year?",
        "Will Nvidia double its headcount next year?",
        "Will Nvidia close a deal with Intel next year?",
        "Will Nvidia's stock split next year?",
        "Who will be CEO of Nvidia next year?",
        "What will Nvidia announce next week?",
        "Should I sell my Nvidia shares before March?",
        "Is Nvidia worth buying?",
        "Why did Nvidia fall yesterday?",
        "Explain what a stock price is",
        "How do you predict stock prices?",
        "?!",
        "#" * 300,
    ],
)
def test_what_is_not_about_a_price_is_other(text):
    asked = read(text)
    assert (asked.kind, asked.target, asked.levels) == ("other", None, ())


def test_can_you_is_politeness_and_not_the_future():
    asked = read("Can you tell me what Nvidia closed at last Friday?")
    assert (asked.kind, str(asked.target)) == ("past_price", "2025-02-07")


def test_question_without_market_subject_but_with_a_stock_price_has_no_symbol():
    asked = read("Will it close above $900 next month?")
    assert (asked.kind, asked.symbol, asked.levels) == ("future_price", None, (900.0,))


def test_overlong_question_is_a_problem_and_only_its_beginning_is_read():
    asked = read("Will Nvidia be above $200 in March? " + "or 300 in June " * 1_000)
    assert asked.kind == "future_price" and str(asked.target) == "2025-06-30"
    assert asked.problem is not None and "characters" in asked.problem
    assert target_of("Will Nvidia rise? " + " " * 2_000 + "in March") is None


@pytest.mark.parametrize("piece", ["March ", "$1 ", "one hundred ", "1 ", "1-", "how will ", "$"])
def test_text_made_to_be_slow_is_read_quickly(piece):
    read("Will Nvidia rise in March?")  # sessions are loaded at the first question
    started = time.process_time()
    read((piece * 2_000)[:2_000])
    assert time.process_time() - started < 0.2


def test_import_is_silent_and_leaves_heavy_libraries_for_later():
    code = (
        "import sys, belief_tools.questions\n"
        "assert not {'pandas', 'exchange_calendars'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


# Follow-ups

ABOVE = "Will Nvidia be above $150 at the end of March?"


def follow(text: str, before: str = ABOVE) -> Question:
    as_of = np.datetime64(FRIDAY, "D")
    return read_question(text, as_of=as_of, symbols=SYMBOLS, earlier=read(before))


@pytest.mark.parametrize(
    ("text", "target", "levels", "carried"),
    [
        ("and in six months?", "2025-08-14", (150,), "company levels"),
        ("what about by June?", "2025-06-30", (150,), "company levels"),
        ("and a year from now?", "2026-02-13", (150,), "company levels"),
        ("May?", "2025-05-30", (150,), "company levels"),
        ("and march", "2025-03-31", (150,), "company levels"),
        ("thanks, and tomorrow?", "2025-02-18", (150,), "company levels"),
        ("will it be above that by June?", "2025-06-30", (150,), "company levels"),
        ("and Nvidia in June?", "2025-06-30", (150,), "levels"),
        ("and above $160?", "2025-03-31", (160,), "company date"),
        ("and 170?", "2025-03-31", (170,), "company date"),
        ("what if it falls below 100?", "2025-03-31", (100,), "company date"),
        ("Will it rise?", "2025-03-31", (), "company date"),
        ("how volatile is it?", "2025-03-31", (), "company date"),
        ("how sure are you?", "2025-03-31", (150,), "company date levels"),
        ("Why?", "2025-03-31", (150,), "company date levels"),
        ("how do you know?", "2025-03-31", (150,), "company date levels"),
        ("what are the odds of that?", "2025-03-31", (150,), "company date levels"),
        ("and above $160 by June?", "2025-06-30", (160,), "company"),
        ("What will it cost in June?", "2025-06-30", (), "company"),
        ("What will Nvidia cost in June?", "2025-06-30", (), ""),
        ("Will Nvidia go above $160?", "None", (160,), ""),
    ],
)
def test_a_follow_up_takes_what_it_leaves_out_from_the_question_before(
    text, target, levels, carried
):
    asked = follow(text)
    assert (asked.kind, asked.symbol, str(asked.target)) == ("future_price", "NVDA", target)
    assert (asked.levels, " ".join(asked.carried)) == (levels, carried)


@pytest.mark.parametrize(
    "text",
    [
        *("", "and?", "ok", "thanks!", "hello", "how are you?", "Could you?", "?!", "#" * 300),
        *("Should I buy?", "should I get it in June?", "so should we sell?", "is it worth it?"),
        *("What is a hidden Markov model?", "what does turbulent mean?", "What does range mean?"),
        *("Why did Nvidia fall yesterday?", "why did it fall?", "How do you predict stock prices?"),
        *("what about the weather in June?", "and its revenue in June?", "Who founded Nvidia?"),
    ],
)
def test_what_is_no_follow_up_takes_nothing(text):
    asked = follow(text)
    assert (asked.kind, asked.target, asked.levels, asked.carried) == ("other", None, (), ())


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("and on January 6?", "past_price", "2025-01-06"),
        ("and in December?", "past_price", "2024-12-31"),
        ("and yesterday?", "past_price", "2025-02-13"),
        ("and next Friday?", "future_price", "2025-02-21"),
        ("and in six months?", "future_price", "2025-08-14"),
        ("will it rise?", "future_price", "None"),
        ("and above $150?", "future_price", "None"),
    ],
)
def test_after_a_question_about_the_past_the_words_decide_what_time_is_meant(text, kind, target):
    asked = follow(text, "What did Nvidia close at on January 3?")
    assert (asked.kind, str(asked.target)) == (kind, target)


def test_a_follow_up_about_another_company_names_it():
    assert follow("and Apple?").other_symbols == ("AAPL",)
    assert follow("and in June?", "What will Apple cost next week?").other_symbols == ("AAPL",)


def test_a_wrong_date_in_a_follow_up_is_a_problem():
    asked = follow("on 30 February 2026?")
    assert asked.target is None and asked.problem is not None and "no such day" in asked.problem


@pytest.mark.parametrize("piece", ["and ", "why ", "it ", "1st ", "and 1 ", "above $1 ", "may "])
def test_a_follow_up_made_to_be_slow_is_read_quickly(piece):
    follow("and in March?")
    started = time.process_time()
    follow((piece * 2_000)[:2_000])
    assert time.process_time() - started < 0.2


def test_numbers_without_end_are_left_as_words():
    asked = read(f"Will Nvidia reach {'hundred ' * 160}in June?")
    assert asked.kind == "future_price"
