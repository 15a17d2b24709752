"""In disguise no prompt tells the symbol, a true day or a true price, and nothing else changes."""

import json
import math
import re

import numpy as np
import pytest
from replayed import HORIZON, ORIGINS, Spoken, as_told, history, plays, prediction, shaded

from belief.model_cache import cached_fit
from belief.sessions import horizon_of, is_session, session_after
from belief_tools.arms import ARMS, Facts, ask, figures_of
from belief_tools.disguise import (
    LARGEST_FACTOR,
    LEAST_SHIFT,
    MOST_SHIFT,
    DisguisedModel,
    disguise_of,
    disguised,
)
from belief_tools.forecast_tool import DEFINITION, ForecastTool

CONSULTED = ("context", "tool")
MONTHS = (
    "January February March April May June July August September October November December".split()
)


@pytest.fixture(scope="module")
def tool():
    known = history().until(ORIGINS[0])
    return ForecastTool(known, cached_fit("belief", known), None, live=False)


@pytest.fixture(scope="module")
def target():
    return session_after(ORIGINS[0], HORIZON)


@pytest.fixture(scope="module")
def facts(tool, target):
    closes = tuple(float(close) for close in tool.prices.quoted_close()[-20:])
    return Facts(tool, target, closes, (0.8 * closes[-1], 1.25 * closes[-1]))


@pytest.fixture(scope="module")
def masked(facts):
    hidden = disguised(facts.tool)
    price = hidden.disguise.price
    low, high = facts.band
    return Facts(
        hidden,
        hidden.disguise.day(facts.target),
        tuple(map(price, facts.closes)),
        (price(low), price(high)),
    )


def asked(arm, facts, predict=as_told, *, calls_tools=True):
    """What an arm said, and all that the model was shown for it."""
    model = Spoken(plays(predict))
    model.calls_tools = calls_tools
    return ask(arm, facts, DisguisedModel(model, "NVDA")), json.dumps(model.requests)


def ways_to_write(price):
    """A price in all the forms in which a prompt could show it."""
    return {f"{price:{form}}" for form in (".0f", ".1f", ".2f", ".4f", ",.0f", ",.2f")}


# One disguise


def test_a_disguise_is_the_same_at_all_times():
    found = disguise_of("NVDA", np.datetime64("2021-07-01"))
    assert found.shift == 3_347 and math.isclose(found.factor, 2.109251031548607, rel_tol=1e-12)


def test_disguises_differ_by_symbol_and_origin():
    one = disguise_of("NVDA", ORIGINS[0])
    for other in (disguise_of("AMD", ORIGINS[0]), disguise_of("NVDA", ORIGINS[1])):
        assert other.shift != one.shift and other.factor != one.factor


def test_shifts_and_factors_fill_their_range():
    days = np.datetime64("2016-01-04") + 7 * np.arange(450)
    found = [disguise_of("NVDA", day) for day in days]
    shifts = np.array([each.shift for each in found])
    logs = np.log([each.factor for each in found]) / math.log(LARGEST_FACTOR)
    assert LEAST_SHIFT <= shifts.min() and shifts.max() < MOST_SHIFT
    assert np.ptp(shifts) > 0.98 * (MOST_SHIFT - LEAST_SHIFT)
    assert -1.0 <= logs.min() < -0.98 and 0.98 < logs.max() <= 1.0
    assert abs(logs.mean()) < 0.1


def test_a_day_keeps_its_distance_in_sessions(tool, target):
    hidden = disguised(tool)
    day = hidden.disguise.day(target)
    assert is_session(day) and is_session(hidden.prices.as_of)
    assert horizon_of(hidden.prices.as_of, day) == HORIZON
    assert hidden.prices.as_of > np.datetime64("2030-01-01")


def test_disguised_prices_are_the_last_ones_times_the_factor(tool):
    hidden = disguised(tool)
    closes = hidden.prices.close / hidden.disguise.factor
    np.testing.assert_allclose(closes, tool.prices.quoted_close()[-60:], rtol=1e-12)


def test_prices_across_a_split_are_in_dollars_of_the_origin():
    prices = history().until(np.datetime64("2021-07-22"))
    hidden = disguised(ForecastTool(prices, None, None, live=False))
    moves = np.abs(np.diff(np.log(hidden.prices.close)))
    assert prices.close[-4] > 3 * prices.close[-1]  # as traded the split is there
    assert moves.max() < 0.1 and hidden.prices.splits == ()


# What it says


def test_the_forecast_is_that_of_the_tool(tool, target):
    hidden = disguised(tool)
    found = hidden.disguise.undone(figures_of(hidden.forecast(hidden.disguise.day(target))))
    true = figures_of(tool.forecast(target))
    assert found.keys() == true.keys()
    for name, value in true.items():
        assert math.isclose(found[name], value, rel_tol=1e-9)


def test_what_has_no_scale_and_no_day_stays(tool, target):
    hidden = disguised(tool)
    there = tool.run(tool.check(_call("NVDA", target))).to_dict()
    here = hidden.run(hidden.check(_call("XYZ", hidden.disguise.day(target)))).to_dict()
    same = ("horizon", "prob_up", "regimes", "volatility", "transition_matrix", "track_record")
    assert {name: here[name] for name in same} == {name: there[name] for name in same}
    assert here["track_record"] is not None
    assert [e["probability"] for e in here["scheduled_events"]] == [
        e["probability"] for e in there["scheduled_events"]
    ]


def test_scheduled_events_move_with_the_days(tool):
    hidden = disguised(tool)
    there, here = tool.scheduled_events(63), hidden.scheduled_events(63)
    assert there and len(here) == len(there)
    for one, other in zip(there, here, strict=True):
        distance = horizon_of(tool.prices.as_of, np.datetime64(one["session"]))
        assert horizon_of(hidden.prices.as_of, np.datetime64(other["session"])) == distance


def _call(symbol, day):
    return {"symbol": symbol, "target_date": str(day), "price_levels": None}


# What a model is shown


@pytest.mark.parametrize("calls_tools", [True, False])
@pytest.mark.parametrize("arm", ARMS)
def test_no_symbol_name_day_or_price_is_shown(arm, calls_tools, facts, masked):
    said, shown = asked(arm, masked, calls_tools=calls_tools)
    assert said.own is not None and not said.replaced
    assert not re.search(r"nvda|nvidia|nasdaq", shown, re.IGNORECASE)
    assert not re.search(r"20[012]\d", shown)  # every true day is before 2030
    days = [facts.target, ORIGINS[0], *(e["session"] for e in facts.tool.scheduled_events(63))]
    true = {str(day) for day in days}
    true |= {f"{MONTHS[int(str(d)[5:7]) - 1]} {int(str(d)[8:])}" for d in days}
    assert not [day for day in true if day in shown]
    forecast = facts.tool.forecast(facts.target)
    prices = [*facts.closes, *facts.band, *figures_of(forecast).values(), *forecast.interval(0.5)]
    prices.remove(forecast.prob_up)  # which is the same in disguise
    figures = set(re.findall(r"\d[\d,]*(?:\.\d+)?", shown))
    assert not figures & {written for price in prices for written in ways_to_write(price)}


@pytest.mark.parametrize("arm", ARMS)
def test_without_the_disguise_the_same_test_would_find_them(arm, facts):
    _, shown = asked(arm, facts)
    assert "Nvidia" in shown and str(facts.target) in shown
    assert str(ORIGINS[0]) in shown or arm == "context"  # which is not told the day
    if arm != "none":
        told = figures_of(facts.tool.forecast(facts.target))["price"]
        figures = set(re.findall(r"\d[\d,]*(?:\.\d+)?", shown))
        assert figures & {*ways_to_write(facts.closes[-1]), *ways_to_write(told)}


def test_the_example_in_the_tool_names_no_true_symbol(masked):
    model = Spoken(plays(as_told))
    ask("tool", masked, DisguisedModel(model, "NVDA"))
    described = json.dumps(model.requests[0]["tools"])
    assert "NVDA" in json.dumps(DEFINITION) and "NVDA" not in described
    assert described == json.dumps([DEFINITION]).replace("NVDA", "XYZ")


def test_a_model_that_asks_for_the_true_symbol_is_told_nothing(masked):
    def guesses(request):
        answer = plays(as_told)(request)
        guessed = answer.content.replace(b"XYZ", b"NVDA")
        return type(answer)(guessed) if request.forced_tool else answer

    model = Spoken(guesses)
    said = ask("tool", masked, DisguisedModel(model, "NVDA"))
    assert said.consulted_by != "model" and said.own is not None
    errors = [m["content"] for r in model.requests for m in r["messages"] if m["role"] == "tool"]
    assert errors and all("knows only XYZ" in error for error in errors)


# Mapped back


@pytest.mark.parametrize("predict", [as_told, shaded])
@pytest.mark.parametrize("arm", ARMS[1:])
def test_a_model_that_computes_from_the_prompt_says_the_same_mapped_back(
    arm, predict, facts, masked
):
    there, here = asked(arm, facts, predict)[0], asked(arm, masked, predict)[0]
    found = masked.tool.disguise.undone(here.own)
    cent = 0.006 / min(1.0, masked.tool.disguise.factor)  # prompts are rounded to the cent
    for name in ("price", "low", "high"):
        assert math.isclose(found[name], there.own[name], rel_tol=1e-9, abs_tol=1.2 * cent)
    assert found["prob_up"] == there.own["prob_up"]
    assert (here.consulted_by, here.grounded) == (there.consulted_by, there.grounded)


@pytest.mark.parametrize("arm", CONSULTED)
def test_what_is_shown_is_the_belief_mapped_back(arm, facts, masked):
    there, here = asked(arm, facts)[0], asked(arm, masked)[0]
    found = masked.tool.disguise.undone(here.shown)
    assert all(
        math.isclose(found[name], value, rel_tol=1e-9) for name, value in there.shown.items()
    )


def test_only_prices_are_mapped_back():
    disguise = disguise_of("NVDA", ORIGINS[0])
    said = prediction(disguise.factor * 800.0)
    undone = disguise.undone(said)
    assert math.isclose(undone["price"], 800.0) and math.isclose(undone["low"], 720.0)
    assert (undone["prob_up"], undone["reasons"]) == (said["prob_up"], said["reasons"])
