import dataclasses
import json
import math

import numpy as np
import pytest

from belief.errors import UsageError
from belief.models import belief, fit
from belief.posterior import Belief, LastSession, Regime, StatesAhead
from belief.prices import COLUMNS, Split
from belief.sessions import session_after
from belief.sources import load_prices
from belief_tools import belief_tool
from belief_tools.belief_tool import DEFINITION, PARAMETERS, BeliefResult
from belief_tools.forecast_tool import ForecastTool


def run(tool: ForecastTool, **changes) -> BeliefResult:
    return belief_tool.run(tool, {"symbol": "NVDA", **changes})


def refusal(tool: ForecastTool, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        run(tool, **changes)
    return str(caught.value)


def test_the_schema_is_strict_and_flat():
    function = DEFINITION["function"]
    assert (DEFINITION["type"], function["name"]) == ("function", "belief_now")
    assert function["strict"] is True and function["parameters"] is PARAMETERS
    assert PARAMETERS["additionalProperties"] is False
    assert PARAMETERS["required"] == list(PARAMETERS["properties"]) == ["symbol"]
    assert json.loads(json.dumps(DEFINITION)) == DEFINITION


# What is answered


def test_the_result_is_the_belief_that_is_held(tool):
    result, held = run(tool), belief(tool.fitted)
    assert (result.symbol, result.as_of, result.source) == (
        "NVDA",
        "2024-03-01",
        "bundled snapshot",
    )
    for told, regime in zip(result.regimes, held.regimes, strict=True):
        assert told["name"] == regime.name
        assert told["probability"] == pytest.approx(regime.probability, abs=5.01e-5)
        assert told["before"] == pytest.approx(regime.before, abs=5.01e-5)
        assert told["volatility"] == pytest.approx(regime.volatility, abs=5.01e-3)
        assert told["sessions_left"] == pytest.approx(regime.remaining_sessions, abs=0.501)
    assert result.volatility == pytest.approx(held.volatility, abs=5.01e-5)
    assert result.volatility_interval_90 == pytest.approx(held.volatility_interval_90, abs=5.01e-5)
    assert np.allclose(result.transition_matrix, held.transition_matrix, rtol=0, atol=5.01e-4)
    assert result.entropy == pytest.approx(held.entropy, abs=5.01e-4)
    assert result.model == tool.model_in_words
    assert result.notes == tool.belief_notes


def test_the_last_session_is_told_with_the_change_of_the_close(tool, prices):
    last = run(tool).last_session
    assert last["change"] == pytest.approx(prices.close[-1] / prices.close[-2] - 1, abs=5e-5)
    held = belief(tool.fitted).last_session
    assert last["volatility_before"] == pytest.approx(held.volatility_before, abs=5.01e-5)
    assert last["volatility_after"] == pytest.approx(held.volatility_after, abs=5.01e-5)
    assert last["event"] is False


def holding(monkeypatch, *, shares, last=None, left=21.6, volatility=0.4381, band=(0.3257, 0.5646)):
    """Let any model hold this belief."""
    names = ("calm", "normal", "turbulent", "crisis")
    regimes = tuple(
        Regime(name, share, share, 0.4, left, 100.0, False)
        for name, share in zip(names, shares, strict=True)
    )
    day = np.datetime64("2024-03-01")
    even = np.full((4, 4), 0.25)
    ahead = StatesAhead(np.full(4, 0.4), np.array(shares), np.arange(4))
    held = Belief("NVDA", "belief", day, regimes, even, even, volatility, band, 900, ahead)
    held = dataclasses.replace(held, last_session=last)
    monkeypatch.setattr(belief_tool, "belief", lambda fitted: held)


RISE = LastSession(math.log(1.0263), 0.36, 0.795, False, 0.4689, 0.4682, 0.4449)
USUAL = (0.0324, 0.9639, 0.0037, 0.0)


def test_the_summary_says_it_in_two_sentences(tool, monkeypatch):
    holding(monkeypatch, shares=USUAL, last=RISE)
    assert run(tool).summary == (
        "As of 2024-03-01 Nvidia is in the normal regime with 96 % (calm 3 %, turbulent 0.4 %); "
        "volatility 44 % a year, 90 % of the belief between 33 % and 56 %; the regime lasts about "
        "22 more sessions. The last session (up 2.6 %) lowered the estimate of its own volatility "
        "from 47 % to 44 %, and there is little doubt about the regime."
    )


def test_a_crash_after_results_raised_the_volatility(tool, monkeypatch):
    crash = LastSession(math.log(0.83), 0.001, None, True, 0.40, 0.6, 0.71)
    holding(monkeypatch, shares=USUAL, last=crash)
    assert (
        "The last session (down 17 %, after a scheduled event) raised the estimate of its own "
        "volatility from 40 % to 71 %, and" in run(tool).summary
    )
    assert run(tool).last_session["range_tail"] is None


def test_a_session_that_changed_nothing_is_said_to_have_left_it(tool, monkeypatch):
    quiet = LastSession(0.0, 0.99, None, False, 0.401, 0.4, 0.402)
    holding(monkeypatch, shares=USUAL, last=quiet)
    assert (
        "The last session (unchanged) left the estimate of its own volatility at 40 %, and"
        in run(tool).summary
    )


def test_the_likeliest_of_undecided_regimes_is_not_claimed(tool, monkeypatch):
    holding(monkeypatch, shares=(0.3, 0.4, 0.2, 0.1), left=1.2)
    summary = run(tool).summary
    assert "Nvidia is most likely in the normal regime with 40 % (calm 30 %, turb" in summary
    assert summary.endswith("lasts about 1 more session. There is much doubt about the regime.")


@pytest.mark.parametrize(
    ("shares", "doubt"),
    [
        ((0.0, 1.0, 0.0, 0.0), "hardly any"),
        ((0.0, 0.96, 0.04, 0.0), "little"),
        ((0.0, 0.7, 0.3, 0.0), "some"),
        ((0.25, 0.25, 0.25, 0.25), "much"),
    ],
)
def test_doubt_is_said_in_words(tool, monkeypatch, shares, doubt):
    holding(monkeypatch, shares=shares)
    result = run(tool)
    assert result.doubt == f"{doubt} doubt about the regime"
    assert result.doubt in result.summary


def test_certainty_is_never_rounded_up(tool, monkeypatch):
    holding(monkeypatch, shares=(0.0, 0.9996, 0.0004, 0.0))
    assert "in the normal regime with over 99 %; volatility" in run(tool).summary


def test_a_volatility_outside_its_band_has_none(tool, monkeypatch):
    holding(monkeypatch, shares=USUAL, volatility=0.7)
    result = run(tool)
    assert result.volatility_interval_90 is None
    assert "volatility 70 % a year; the regime" in result.summary


def test_a_model_without_bands_or_steps_is_told_all_the_same(prices):
    other = ForecastTool(prices, fit("few_state_static", prices), None)
    result = run(other)
    assert (result.volatility_interval_90, result.last_session) == (None, None)
    assert ". There is " in result.summary
    assert len(result.to_json().encode()) < 1000


def test_a_model_without_states_is_refused(prices):
    with pytest.raises(UsageError, match="has no states"):
        run(ForecastTool(prices, fit("random_walk", prices), None))


def test_regimes_with_borrowed_rows_are_named(tool, monkeypatch):
    held = belief(tool.fitted)
    first, *others = held.regimes
    borrowed = dataclasses.replace(first, from_prior=True)
    held = dataclasses.replace(held, regimes=(borrowed, *others))
    monkeypatch.setattr(belief_tool, "belief", lambda fitted: held)
    assert "moves out of calm are too few: its row is that of the static fit" in run(tool).notes


# How it is shown


@pytest.mark.parametrize("day", ["2003-01-02", "2008-11-21"])
def test_the_summary_comes_first_and_all_stays_under_a_kilobyte(day):
    prices = load_prices("NVDA").until(np.datetime64(day))
    fitted = fit("grid_static", prices)
    today = np.datetime64(day) + 647
    text = run(ForecastTool(prices, fitted, today)).to_json()
    assert next(iter(json.loads(text))) == "summary"
    assert len(text.encode()) < 1000


def test_what_is_shown_is_the_result_in_fewer_words(tool):
    result = run(tool)
    assert len(result.to_json().encode()) < 1000
    shown, fields = json.loads(result.to_json()), result.to_dict()
    for regime in fields.pop("regimes"):
        assert shown["regimes"].pop(regime["name"]).items() <= regime.items()
    assert shown.pop("regimes") == {}
    assert shown.items() <= fields.items()
    left_out = {"last_session", "doubt", "entropy", "age_in_days", "model"}
    assert set(fields) - set(shown) == left_out
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_the_age_of_the_prices_is_told(tool, prices):
    later = ForecastTool(prices, tool.fitted, np.datetime64("2024-03-11"))
    assert run(later) == dataclasses.replace(run(tool), age_in_days=10)


# Arguments


def test_the_symbol_may_be_written_as_people_write_it(tool):
    assert run(tool, symbol="nvidia") == run(tool)


@pytest.mark.parametrize("symbol", ["AMD", "", None, 7])
def test_another_symbol_is_refused_with_the_one_that_is_known(tool, symbol):
    told = refusal(tool, symbol=symbol)
    assert repr(symbol) in told and told.endswith("NVDA")


def test_an_unknown_argument_is_refused_with_the_known_one(tool):
    assert refusal(tool, horizon=5) == "unknown argument 'horizon'; belief_now takes symbol"


# Nothing from later


def test_garbage_after_as_of_changes_nothing():
    full, cut = load_prices("NVDA"), np.datetime64("2004-03-01")
    later = full.session > cut
    garbage = {name: np.where(later, 1000.0, getattr(full, name)) for name in COLUMNS}
    splits = (*full.until(cut).splits, Split(session_after(cut, 1), 1.0))  # declared real
    dirty = dataclasses.replace(full, splits=splits, **garbage)
    clean, blind = (
        run(ForecastTool(cut_prices, fit("grid_static", cut_prices), None))
        for cut_prices in (full.until(cut), dirty.until(cut))
    )
    assert clean.to_json() == blind.to_json() and clean == blind
    assert dirty.fingerprint() != full.fingerprint()
