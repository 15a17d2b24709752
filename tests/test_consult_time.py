"""Nothing of the future or the clock reaches a model, and odd characters break nothing."""

import dataclasses
import datetime
import json
import re

import numpy as np
import pytest
from chat_server import structured, text, tool_call
from consulted import CALL, PREDICTION, WRONG, consulted, plays, result_of, words_of

from belief.models import DEFAULT_MODEL, fit
from belief.prices import Prices, Split
from belief.sources import load_prices
from belief_tools import consult
from belief_tools.forecast_tool import ForecastTool


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


# Honesty about time


@pytest.mark.parametrize("mode", consult.MODES)
def test_garbage_after_as_of_changes_no_request_and_no_answer(tool, prices, good, mode):
    script = [text(WRONG), text(good)]
    ours = consulted(tool, plays(script), mode=mode)
    theirs = consulted(_tool_of_another_future(prices), plays(script), mode=mode)
    assert ours.bodies == theirs.bodies
    assert json.dumps(ours.given.to_dict()) == json.dumps(theirs.given.to_dict())


def _tool_of_another_future(known: Prices) -> ForecastTool:
    full = load_prices("NVDA")
    later = full.session > known.as_of
    assert later.sum() > 200
    noise = 777.0 * np.exp(0.02 * np.random.default_rng(3).standard_normal(later.sum()))
    changed = {"volume": np.where(later, 12_345.0, full.volume)}
    for name, factor in {"open": 1.0, "high": 1.1, "low": 0.9, "close": 1.0}.items():
        column = getattr(full, name).copy()
        column[later] = factor * noise
        changed[name] = column
    kept = tuple(split for split in full.splits if split.session <= known.as_of)
    split = Split(full.session[later][0], 7.45)  # no usual ratio, so that it is taken
    other = dataclasses.replace(full, splits=(*kept, split), **changed)
    cut_again = other.until(known.as_of)
    return ForecastTool(cut_again, fit(DEFAULT_MODEL, cut_again), None)


@pytest.mark.parametrize("mode", consult.MODES)
def test_prompts_hold_no_day_but_as_of_and_the_target(tool, good, mode):
    bodies = consulted(tool, plays([text(WRONG), text(good)]), mode=mode).bodies
    days = set(re.findall(r"\d{4}-\d\d-\d\d", bodies))
    assert days <= {"2024-03-01", "2024-03-28"}
    assert ("2024-03-01" in days) == (mode != "none")


def test_the_day_on_the_clock_is_in_no_prompt(tool, good):
    clock = np.datetime64("2031-07-09")
    later = ForecastTool(tool.prices, tool.fitted, clock)
    for mode in consult.MODES:
        bodies = consulted(later, plays([text(WRONG), text(good)]), mode=mode).bodies
        assert "2031" not in bodies
        assert str(datetime.date.today()) not in bodies


def test_the_same_question_gives_the_same_bytes(tool, good):
    first, second = (consulted(tool, plays([text(WRONG), text(good)])) for _ in range(2))
    assert first.bodies == second.bodies
    assert json.dumps(first.given.to_dict()) == json.dumps(second.given.to_dict())


# Odd characters


@pytest.mark.parametrize("odd", ["\udcff", "\x00", "\u202e", "🚀", "\\u0000"])
def test_odd_characters_in_the_question_break_nothing(tool, good, odd):
    question = f"What will Nvidia's stock price be {odd} at the end of March 2024?"
    assert consulted(tool, plays(good), question=question).given.text == good


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\x1b[31m"])
def test_odd_characters_from_the_model_break_nothing(tool, good, odd):
    bad = tool_call(odd, {**CALL, "symbol": odd})
    wild = structured({**PREDICTION, "reasons": odd})
    given = consulted(tool, plays(f"{odd} {WRONG}", call=bad, prediction=wild)).given
    json.dumps(given.to_dict(), allow_nan=False).encode()
    assert given.stop_reason == "replaced"
