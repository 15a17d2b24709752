"""The founding question, asked as of four days: bare, with the belief, and with the tool."""

import json
import math

import numpy as np
import pytest
from chat_server import chat_server, text
from replayed import (
    Played,
    Spoken,
    always_failing,
    as_told,
    contestants,
    history,
    plays,
    unmoved,
)

from belief.sources import load_prices
from belief_tools.arms import figures_of
from belief_tools.founding import (
    ARMS,
    DAYS,
    HEADLINE,
    HEADLINE_DAY,
    QUESTION,
    TARGET,
    ask_founding,
    closes_of_the_month,
    markdown,
)
from belief_tools.tape import Tape
from belief_tools.trials import trials

N_ROWS = len(ARMS) * (4 + 2)  # four days, and the last two with the headline


@pytest.fixture(scope="module")
def prices():
    return history("2021-06-01", "2024-04-30")


def asked(prices, path, models):
    return ask_founding(prices, models, Tape(path), {}, most_tokens=300, say=lambda _: None)


@pytest.fixture(scope="module")
def run(prices, tmp_path_factory):
    """A model that repeats what it is told, over a server, and one that is unmoved."""
    path = tmp_path_factory.mktemp("founding") / "tape.jsonl"
    spoken, told = Spoken(plays(unmoved)), []
    with chat_server(plays(as_told)) as server:
        models = (*contestants(server.url, ["parrot"]), Played("stubborn", spoken))
        rows = ask_founding(prices, models, Tape(path), {}, most_tokens=300, say=told.append)
        return models, path, rows, told, [r.body for r in server.requests] + spoken.requests


@pytest.fixture(scope="module")
def rows(run):
    return run[2]


# What is asked


def test_there_is_a_row_for_every_model_day_arm_and_prompt(rows):
    found = [(r["day"], r["headline"], r["arm"]) for r in rows if r["model"] == "parrot"]
    assert found == [
        (str(day), headline, arm)
        for day in DAYS
        for headline in ((False, True) if day >= HEADLINE_DAY else (False,))
        for arm in ARMS
    ]
    assert len(found) == N_ROWS and len(rows) == 2 * N_ROWS
    assert [str(day) for day in DAYS] == ["2023-02-28", "2023-08-31", "2024-01-31", "2024-02-29"]


def test_the_headline_is_asked_with_only_after_it_was_published(rows, run):
    assert {r["day"] for r in rows if r["headline"]} == {"2024-01-31", "2024-02-29"}
    for body in run[4]:
        shown = json.dumps(body)
        assert QUESTION in shown
        if HEADLINE in shown and "Today is" in shown:
            assert "Today is 2024-0" in shown


def test_the_question_is_read_as_the_end_of_march_whatever_the_day(run):
    calls = [body for body in run[4] if body.get("tools")]
    assert calls
    for body in run[4]:
        last = str(body["messages"][-1]["content"])
        if "Forecast: On" in last:
            assert f"On {TARGET} Nvidia is expected at" in last


def test_every_row_is_announced(run):
    assert len(run[3]) == 2 * 6
    assert run[3][0] == "parrot as of 2023-02-28"
    assert run[3][-1] == "stubborn as of 2024-02-29, with the headline"


# What came of it


def test_the_tool_shows_the_belief_as_of_the_day(rows, prices):
    for day, horizon in ((DAYS[0], 272), (DAYS[3], 20)):
        [[trial]] = trials(prices, [day], [horizon])
        assert trial.target == TARGET
        belief = figures_of(trial.origin.tool.forecast(TARGET))
        found = [r for r in rows if r["day"] == str(day) and r["arm"] != "none"]
        assert found and all(r["shown"] == belief for r in found)
        for row in found:
            if row["model"] == "parrot":
                assert math.isclose(row["own"]["price"], belief["price"], abs_tol=0.0051)


def test_a_bare_model_shows_what_it_says(rows):
    for row in rows:
        if row["arm"] == "none":
            assert row["own"] == row["shown"]
            assert row["own"]["price"] == (500.0 if row["model"] == "stubborn" else 100.0)


def test_the_tape_alone_gives_the_same_rows(run, prices):
    models, path, rows, _, bodies = run
    again = ask_founding(
        prices, models, Tape(path, only=True), {}, most_tokens=300, say=lambda _: None
    )
    assert json.dumps(again) == json.dumps(rows)
    assert len(bodies) == len(path.read_text().splitlines())


# The table


def test_the_closes_of_march_are_those_that_were_quoted_then():
    closes = closes_of_the_month(load_prices("NVDA"))
    assert len(closes) == 20
    assert closes[0] == ("2024-03-01", pytest.approx(822.79, abs=0.005))
    assert closes[-1] == ("2024-03-28", pytest.approx(903.56, abs=0.005))
    assert max(closes, key=lambda each: each[1]) == ("2024-03-25", pytest.approx(950.02, abs=0.005))


def test_the_table_tells_what_was_published_and_what_came(rows, prices):
    said = markdown(rows, prices)
    for figure in ("$330-$350", "$350-$370", "$822.79 (2024-03-01)", "$950.02 (2024-03-25)"):
        assert figure in said
    assert "the last was $903.56" in said
    assert f"({HEADLINE}) was published on 2024-01-18 (CNBC)" in said


def lines(rows, prices):
    found = [line for line in markdown(rows, prices).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1:]]


def test_the_figures_of_the_table_are_those_of_the_rows(rows, prices):
    table = lines(rows, prices)
    assert len(table) == len(rows)
    for cells, row in zip(table, rows, strict=True):
        model, day, arm, headline, own, shown, off = cells
        assert (model, day, arm) == (row["model"], row["day"], row["arm"])
        assert (headline == "yes") == row["headline"]
        for cell, figures in ((own, row["own"]), (shown, row["shown"])):
            assert cell == "${price:,.0f} (${low:,.0f} to ${high:,.0f})".format(**figures)
        assert off == f"{100 * (row['shown']['price'] / 903.56 - 1):+.0f} %"


def test_a_model_that_fails_or_says_nothing_usable_is_told_apart(prices, tmp_path):
    models = (
        Played("broken", Spoken(always_failing)),
        Played("shy | quiet", Spoken(lambda _: text("No."))),
        Played("liar", Spoken(plays(as_told, says="It will be $5,000."))),
    )
    found = asked(prices, tmp_path / "tape", models)
    table = lines(found, prices)
    assert len(table) == 3 * N_ROWS
    assert {cells[4] for cells in table if cells[0] == "broken"} == {"no reply"}
    consulted = [cells for cells in table if cells[0] == "liar" and cells[2] != "none"]
    assert {cells[4] for cells in consulted} == {"rejected"}
    shy = [cells for cells in table if cells[0] == "shy / quiet"]
    assert len(shy) == N_ROWS and {cells[2]: cells[5] for cells in shy}["none"] == "nothing"
    assert {cells[4] for cells in shy if cells[2] == "none"} == {"nothing usable"}
    assert all(cells[6] == "" for cells in shy if cells[2] == "none")


def test_days_are_asked_in_order_and_the_target_is_a_session(prices):
    assert list(DAYS) == sorted(DAYS)
    assert TARGET in prices.session and np.datetime64("2024-03-29") not in prices.session
