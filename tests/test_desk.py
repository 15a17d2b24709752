"""Several symbols in one question: which are named, what is said of each, and their answers."""

import json
import time

import numpy as np
import pytest
from chat_server import chat_server
from daily import belief, evening, repeating, short_history
from stored import day, opened

from belief.store import save_prices
from belief_tools.company_names import called, own_part
from belief_tools.questions import read_question
from belief_tools.turns import Turn, symbols_of

NAMES = {"NVDA": ("Nvidia",), "AMD": ("Advanced Micro Devices",), "MSFT": ("Microsoft",)}
AT = evening(day("2024-06-03"))


def readings(text):
    """What is read for each symbol that a text names."""
    return {
        symbol: read_question(
            text, as_of=np.datetime64("2024-03-01"), symbols=NAMES, about=symbol, last_close=800.0
        )
        for symbol in symbols_of(text, NAMES, "NVDA")
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where will Nvidia and AMD be in a month?", ("NVDA", "AMD")),
        ("amd, microsoft & nvidia on Friday?", ("AMD", "MSFT", "NVDA")),
        ("Where will it be in a month?", ("NVDA",)),
        ("Will Advanced Micro Devices rise by June?", ("AMD",)),
        ("What will Tesla cost in June?", ("NVDA",)),  # and is refused there
    ],
)
def test_the_symbols_named_are_answered_for_in_their_order(text, expected):
    assert symbols_of(text, NAMES, "NVDA") == expected


def test_a_symbol_is_known_only_where_there_are_prices_of_it():
    assert symbols_of("AMD in June?", {"NVDA": ("Nvidia",)}, "NVDA") == ("NVDA",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Will Nvidia be above 150 and AMD above 200 in June?",
            {"NVDA": ("2024-06-28", (150.0,)), "AMD": ("2024-06-28", (200.0,))},
        ),
        (
            "Nvidia in June and AMD in July?",
            {"NVDA": ("2024-06-28", ()), "AMD": ("2024-07-31", ())},
        ),
        (
            "Will AMD and Nvidia be above $150 in a week?",
            {"AMD": ("2024-03-08", (150.0,)), "NVDA": ("2024-03-08", (150.0,))},
        ),
        (
            "In June, will NVDA be above 150 and amd above 200?",
            {"NVDA": ("2024-06-28", (150.0,)), "AMD": ("2024-06-28", (200.0,))},
        ),
    ],
)
def test_dates_and_levels_belong_to_the_name_before_them(text, expected):
    found = {s: (str(q.target), q.levels) for s, q in readings(text).items()}
    assert found == expected


def test_a_reading_names_the_others_it_is_answered_apart_from():
    both = readings("Where will Nvidia, AMD and Tesla be in a month?")
    assert both["AMD"].symbol == "AMD" and both["AMD"].beside == ("NVDA",)
    assert both["AMD"].other_symbols == ("TSLA",)


def test_a_follow_up_is_about_the_same_symbols():
    asked = readings("Will Nvidia be above 150 and AMD above 200 in June?")
    turns = [Turn(question, "shown", question.target) for question in asked.values()]
    assert symbols_of("and in July?", NAMES, "NVDA", turns) == ("NVDA", "AMD")
    assert symbols_of("and Microsoft?", NAMES, "NVDA", turns) == ("MSFT",)


def test_the_part_of_a_symbol_ends_where_the_next_is_named():
    text = "By June, is Nvidia above 5 and Microsoft above 6?"
    assert own_part(text, NAMES, "NVDA") == "By June, is ###### above 5 and "
    assert own_part(text, NAMES, "AMD") is None


WORDS = {
    "NVDA": ("Nvidia",),
    "COST": ("Costco Wholesale",),
    "TGT": ("Target",),
    "GAP": ("Gap",),
    "ALL": ("Allstate",),
    "ON": ("ON Semiconductor",),
    "MAR": ("Marriott",),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What will Nvidia cost on 2025-03-31?", ("NVDA",)),
        ("what would it cost in June?", ("NVDA",)),
        ("price target for Nvidia in June", ("NVDA",)),
        ("a gap in Nvidia by June?", ("NVDA",)),
        ("WHERE WILL NVIDIA BE ON MONDAY? ALL TIME HIGH?", ("NVDA",)),
        ("Nvidia on 28 MAR 2024", ("NVDA",)),
        ("Where will COST be in June?", ("COST",)),
        ("Where will $ALL and $on be in June?", ("ALL", "ON")),
        ("Will Target rise by June, and the Gap?", ("TGT", "GAP")),
        ("target stock in June?", ("TGT",)),
    ],
)
def test_a_name_that_is_a_word_counts_only_where_it_is_marked(text, expected):
    assert symbols_of(text, WORDS, "NVDA") == expected


def test_five_hundred_symbols_are_read_in_no_time():
    names = {f"ZQ{n}": (f"Zyxel {n} Works",) for n in range(500)}
    symbols_of("Where will Zyxel 7 Works be in June?", names, "NVDA")
    begun = time.perf_counter()
    assert symbols_of("Where will Zyxel 7 Works be in a week?", names, "NVDA") == ("ZQ7",)
    assert time.perf_counter() - begun < 0.2


def test_a_level_of_a_company_without_prices_is_not_taken():
    text = "Will Nvidia be above 150 and Tesla above 50 in June?"
    assert readings(text)["NVDA"].levels == (150.0,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Advanced Micro Devices, Inc.", "Advanced Micro Devices"),
        ("NVIDIA Corporation", "NVIDIA"),
        ("Costco Wholesale Corp", "Costco Wholesale"),
        ("Inc.", "Inc."),
        ("Coca-Cola Company", "Coca-Cola"),
    ],
)
def test_a_legal_form_is_no_part_of_a_name(name, said):
    assert called(name) == said


# The command


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Ask with two symbols in the store."""
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_MODEL", "test-model")
    history = short_history(last=day("2024-06-03"))
    other = history.__class__(
        **{**vars(history), "symbol": "AMD", "name": "Advanced Micro Devices, Inc."}
    )
    with opened(tmp_path) as store, store.write() as connection:
        save_prices(connection, history)
        save_prices(connection, other)

    def run(*arguments):
        with chat_server(repeating("2024-06-21", 1000.0)) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.endpoint().base_url)
            return belief("ask", *arguments, at=AT)

    return run


def test_a_question_about_two_symbols_gets_an_answer_for_each(ask):
    done = ask("Where will Nvidia and AMD be on 2024-06-21?", "--json")
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert (first["symbol"], second["symbol"]) == ("NVDA", "AMD")
    assert first["target"] == second["target"] == "2024-06-21"
    assert "Advanced Micro Devices" in second["text"] and "Nvidia" in first["text"]
    listed = json.loads(belief("ledger", "--json", at=AT).out)["entries"]
    assert {(e["symbol"], e["kind"]) for e in listed} == {
        (symbol, kind) for symbol in ("AMD", "NVDA") for kind in ("forecast", "answer")
    }


def test_a_symbol_in_the_store_needs_no_option(ask):
    done = ask("Where will AMD be on 2024-06-21?")
    assert "Advanced Micro Devices" in done.out and "Nvidia" not in done.out
    assert ">" not in done.out  # one answer has no heading


def test_an_option_leaves_the_others_out(ask):
    done = ask("Where will Nvidia and AMD be on 2024-06-21?", "--symbol", "NVDA", "--json")
    only = json.loads(done.out)
    assert only["symbol"] == "NVDA" and any("not AMD" in note for note in only["notes"])


def test_no_question_about_a_price_is_answered_once(ask):
    done = ask("Should I buy AMD or Nvidia?", "--json")
    assert len(done.out.splitlines()) == 1


def test_an_unknown_symbol_is_refused_with_those_there_are(ask):
    done = ask("Where will Tesla be on 2024-06-21?")
    assert done.code == 4 and "TSLA" in done.err and "NVDA, AMD" in done.err
