import copy
import dataclasses
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import oracles
import pytest

from belief.drift import posterior_drift
from belief.errors import FitError, UsageError
from belief.few_state import simulate_scales
from belief.models import (
    BELIEVERS,
    DEFAULT_MODEL,
    DRIFT_HALF_LIFE,
    MAX_HORIZON,
    MODELS,
    belief,
    carry,
    fit,
    forecasts,
    target_session,
)
from belief.observations import observe
from belief.prices import COLUMNS, Split
from belief.sessions import session_after
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


AS_OF = day("2024-03-01")
TARGETS = [day("2024-03-04"), day("2024-03-08"), day("2024-03-28"), day("2025-03-03")]


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(scope="module")
def known(nvda):
    return nvda.until(AS_OF)


@pytest.fixture(scope="module")
def fitted(known):
    return fit(DEFAULT_MODEL, known)


@pytest.fixture(scope="module")
def table(fitted, known):
    return forecasts(fitted, known, TARGETS)


def bytes_of(fitted, prices):
    """All that leaves the estimator, as bytes."""
    quantiles = [f.log_return_quantile.tobytes() for f in forecasts(fitted, prices, TARGETS)]
    held = json.dumps(belief(fitted).to_dict()) if fitted.model in BELIEVERS else None
    return fitted.to_json(), held, quantiles


def test_the_last_close_is_the_one_people_saw(table, known):
    assert known.last_close == 822.79
    assert {forecast.last_close for forecast in table} == {822.79}
    assert [forecast.horizon for forecast in table] == [1, 5, 19, 250]


@pytest.mark.parametrize(
    ("row", "session", "close"), [(1, "2024-03-08", 875.28), (2, "2024-03-28", 903.56)]
)
def test_march_2024_closed_inside_the_90_percent_interval(table, row, session, close):
    forecast = table[row]
    low, high = forecast.interval(0.9)
    assert forecast.target == day(session)
    assert low < close < high
    assert forecast.median == pytest.approx(close, rel=0.15)


def test_intervals_are_neither_trivial_nor_wild(table):
    width = [np.log(np.divide(*forecast.interval(0.9)[::-1])) for forecast in table]
    assert (np.diff(width) > 0).all()
    # a 90 % interval is 3.29 standard deviations of a normal; volatility is between 30 % and 90 %
    for forecast, log_width in zip(table, width, strict=True):
        yearly = log_width / 3.29 * np.sqrt(252 / forecast.horizon)
        assert 0.3 < yearly < 0.9


def test_the_static_model_forecasts_from_one_matrix(known):
    static = fit("few_state_static", known)
    held = belief(static)
    assert static.parameters["transmat"].shape == (1, 3, 3)
    np.testing.assert_array_equal(held.transition_matrix, held.static_transition_matrix)
    (forecast,) = forecasts(static, known, [day("2024-03-28")])
    low, high = forecast.interval(0.9)
    assert forecast.model == "few_state_static"
    assert low < 903.56 < high


def test_the_matrix_in_force_is_not_the_static_one_and_both_are_in_the_belief(fitted):
    held = belief(fitted)
    assert np.abs(held.transition_matrix - held.static_transition_matrix).max() > 1e-4
    for matrix in (held.transition_matrix, held.static_transition_matrix):
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-12)


def test_the_belief_says_as_of_when_and_from_how_much(fitted, known):
    held = belief(fitted)
    assert (held.symbol, held.model, held.as_of) == ("NVDA", DEFAULT_MODEL, AS_OF)
    assert held.n_sessions == len(known.session) - 1
    assert fitted.converged
    assert json.loads(json.dumps(held.to_dict()))["as_of"] == "2024-03-01"


def with_valid_garbage(prices):
    """Prices that pass every check but have nothing to do with the market after as_of."""
    later = prices.session > AS_OF
    columns = {name: np.where(later, 1000.0, getattr(prices, name)) for name in COLUMNS}
    past = tuple(split for split in prices.splits if split.session <= AS_OF)
    return dataclasses.replace(
        prices,
        splits=(*past, Split(day("2024-03-04"), 1.1), Split(day("2024-03-28"), 7.7)),
        **columns,
    )


def with_unchecked_garbage(prices):
    """Not even numbers after as_of, behind the back of every check."""
    spoiled = copy.copy(prices)
    later = prices.session > AS_OF
    for name in COLUMNS:
        object.__setattr__(spoiled, name, np.where(later, np.nan, getattr(prices, name)))
    past = tuple(split for split in prices.splits if split.session <= AS_OF)
    object.__setattr__(spoiled, "splits", (*past, Split(day("2024-03-04"), np.nan)))
    return spoiled


@pytest.mark.parametrize("model", MODELS)
def test_nothing_after_as_of_changes_a_byte_of_fit_belief_or_forecast(nvda, known, model):
    clean = bytes_of(fit(model, known), known)
    for spoil in (with_valid_garbage, with_unchecked_garbage):
        blind = spoil(nvda).until(AS_OF)
        assert bytes_of(fit(model, blind), blind) == clean


def test_the_first_and_the_last_close_known_count(fitted, known):
    clean = bytes_of(fitted, known)
    for row in (0, -1):
        close = known.close.copy()
        close[row] = np.nextafter(known.high[row] * 0.5 + known.low[row] * 0.5, 0.0)
        changed = dataclasses.replace(known, close=close)
        for before, after in zip(
            clean, bytes_of(fit(DEFAULT_MODEL, changed), changed), strict=True
        ):
            assert before != after


def test_a_known_split_is_no_fall_of_the_price(nvda):
    after = nvda.until(day("2024-06-10"))
    (forecast,) = forecasts(fit("few_state_static", after), after, [day("2024-06-11")])
    assert after.last_close == 121.79
    low, high = forecast.interval(0.9)
    assert 100.0 < low < 120.92 < high < 145.0


def test_a_forecast_is_the_same_bits_alone_and_beside_longer_ones(fitted, known, table):
    for row, target in enumerate(TARGETS):
        (alone,) = forecasts(fitted, known, [target])
        assert alone.log_return_quantile.tobytes() == table[row].log_return_quantile.tobytes()


SCRIPT = """
import hashlib, sys
import numpy as np
from belief.models import DEFAULT_MODEL, fit, forecasts
from belief.sources import load_prices
known = load_prices("NVDA").until(np.datetime64(sys.argv[1]))
fitted = fit(DEFAULT_MODEL, known)
digest = hashlib.sha256(fitted.to_json().encode())
for forecast in forecasts(fitted, known, [np.datetime64(text) for text in sys.argv[2:]]):
    digest.update(forecast.log_return_quantile.tobytes())
print(digest.hexdigest())
"""


def test_another_process_with_another_hash_seed_gives_the_same_bytes(fitted, table):
    digest = hashlib.sha256(fitted.to_json().encode())
    for forecast in table:
        digest.update(forecast.log_return_quantile.tobytes())
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(AS_OF), *map(str, TARGETS)],
        env=os.environ | {"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest.hexdigest()


def test_another_symbol_draws_other_paths(fitted, known, table):
    renamed = dataclasses.replace(fitted, symbol="XYZ")
    (other,) = forecasts(renamed, dataclasses.replace(known, symbol="XYZ"), TARGETS[1:2])
    assert other.log_return_quantile.tobytes() != table[1].log_return_quantile.tobytes()
    central = slice(80, -80)  # within 2.5 standard scores, where ten thousand paths are many
    np.testing.assert_allclose(
        other.log_return_quantile[central],
        table[1].log_return_quantile[central],
        rtol=0.05,
        atol=1e-3,
    )


def test_a_model_of_another_symbol_is_refused(fitted, known):
    other = dataclasses.replace(known, symbol="XYZ")
    with pytest.raises(ValueError, match="the model is of NVDA, the prices are of XYZ"):
        forecasts(fitted, other, TARGETS[1:2])
    with pytest.raises(ValueError, match="the model is of NVDA, the prices are of XYZ"):
        carry(fitted, other)


def test_a_model_that_knows_another_day_is_refused(fitted, nvda):
    later = nvda.until(day("2024-03-04"))
    with pytest.raises(ValueError, match=r"knows 1999-01-25 to 2024-03-01, .* to 2024-03-04"):
        forecasts(fitted, later, [day("2024-03-28")])


def test_an_unknown_model_is_named_with_the_ones_there_are(known):
    with pytest.raises(UsageError, match="no model 'oracle'") as error:
        fit("oracle", known)
    assert all(name in str(error.value) for name in MODELS)


@pytest.mark.parametrize("model", MODELS)
def test_a_short_history_is_refused_and_the_shortest_allowed_is_not(nvda, model):
    def first(n):
        return nvda.until(nvda.session[n - 1])

    with pytest.raises(FitError, match="249 returns are too few"):
        fit(model, first(250))
    shortest = first(251)
    fitted = fit(model, shortest)
    assert fitted.n_sessions == 250
    (forecast,) = forecasts(fitted, shortest, [session_after(shortest.as_of, 21)])
    low, high = forecast.interval(0.9)
    assert 0.5 < low / shortest.last_close < 1.0 < high / shortest.last_close < 2.0


def test_the_longest_horizon_still_has_a_finite_forecast(fitted, known):
    (forecast,) = forecasts(fitted, known, [session_after(AS_OF, MAX_HORIZON)])
    assert forecast.horizon == MAX_HORIZON
    assert np.isfinite(forecast.log_return_quantile).all()
    low, high = forecast.interval(0.9)
    assert 0.1 < low / 822.79 < 0.8
    assert 1.3 < high / 822.79 < 10.0


@pytest.mark.parametrize(
    ("asked", "session"),
    [
        ("2024-03-04", "2024-03-04"),
        ("2024-03-28", "2024-03-28"),
        ("2024-03-29", "2024-03-28"),  # Good Friday
        ("2024-03-31", "2024-03-28"),
        ("2024-03-10", "2024-03-08"),
    ],
)
def test_a_target_means_the_last_session_on_or_before_it(asked, session):
    assert target_session(day(asked), AS_OF) == day(session)


@pytest.mark.parametrize("asked", ["2024-03-01", "2024-02-29", "2023-01-01"])
def test_a_target_that_is_not_after_as_of_is_named(asked):
    with pytest.raises(UsageError, match=f"{asked} is not after the last known session 2024-03-01"):
        target_session(day(asked), AS_OF)


@pytest.mark.parametrize("asked", ["2024-03-02", "2024-03-03"])
def test_a_weekend_right_after_as_of_names_the_next_session(asked):
    with pytest.raises(UsageError, match=f"{asked}; ask for 2024-03-04 or later"):
        target_session(day(asked), AS_OF)


def test_a_target_up_to_504_sessions_ahead_is_taken_and_one_beyond_named():
    latest = session_after(AS_OF, MAX_HORIZON)
    assert MAX_HORIZON == 504
    assert target_session(latest, AS_OF) == latest
    with pytest.raises(UsageError, match=f"more than 504 sessions.*ask for {latest} or earlier"):
        target_session(session_after(AS_OF, MAX_HORIZON + 1), AS_OF)
    with pytest.raises(UsageError, match="more than 504 sessions"):
        target_session(day("2090-01-01"), AS_OF)


def test_the_median_of_the_next_session_moves_by_the_drift_and_the_others_by_more(table):
    drift = [np.log(f.median / f.last_close) / f.horizon for f in table]
    assert all(0.0 < one < 0.002 for one in drift)
    assert drift[0] == pytest.approx(
        posterior_drift(
            observe(load_prices("NVDA").until(AS_OF)).log_return, half_life=DRIFT_HALF_LIFE
        ).mean,
        rel=1e-9,
    )


def test_the_median_of_a_model_without_leverage_moves_by_the_same_drift_every_session(known):
    table = forecasts(fit("few_state_static", known), known, TARGETS)
    drift = [np.log(f.median / f.last_close) / f.horizon for f in table]
    np.testing.assert_allclose(drift, drift[0], rtol=1e-9)


def test_doubt_about_the_drift_widens_a_long_forecast(known):
    fitted = fit("few_state_memory", known)
    (forecast,) = forecasts(fitted, known, [session_after(AS_OF, MAX_HORIZON)])
    scale = simulate_scales(fitted, [MAX_HORIZON], np.random.default_rng(1))[0]
    log_return = observe(known).log_return
    doubt = MAX_HORIZON * posterior_drift(log_return, half_life=DRIFT_HALF_LIFE).sd
    components = np.sqrt(scale**2 + doubt**2)
    low, high = forecast.interval(0.9)
    expected = 2.0 * oracles.mixture_quantile(0.95, 0.0, components)
    assert np.log(high / low) == pytest.approx(expected, rel=0.02)
    assert np.log(high / low) > 1.02 * 2.0 * oracles.mixture_quantile(0.95, 0.0, scale)


def test_a_model_without_states_says_that_it_holds_no_belief(known):
    with pytest.raises(UsageError, match=r"random_walk has no states.*choose one of belief"):
        belief(fit("random_walk", known))


def carried(model, nvda):
    """A model fitted in March 2024 that has seen April."""
    return carry(fit(model, nvda.until(AS_OF)), nvda.until(day("2024-04-30")))


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_is_carried_on_keeps_its_estimates_and_sees_the_sessions(nvda, model):
    april = nvda.until(day("2024-04-30"))
    fitted = carried(model, nvda)
    assert (str(fitted.trained_through), str(fitted.known_through)) == ("2024-03-01", "2024-04-30")
    (forecast,) = forecasts(fitted, april, [day("2024-05-31")])
    assert forecast.origin == april.as_of
    assert forecast.last_close == april.last_close
    spoiled = with_valid_garbage(nvda).until(AS_OF)
    with pytest.raises(ValueError, match="the model knows"):
        carry(fitted, spoiled)


@pytest.mark.parametrize("model", MODELS)
def test_it_makes_no_difference_in_how_many_steps_a_model_is_carried_on(nvda, model):
    at_once = carried(model, nvda)
    stepwise = fit(model, nvda.until(AS_OF))
    for session in nvda.session[(nvda.session > AS_OF) & (nvda.session <= day("2024-04-30"))]:
        stepwise = carry(stepwise, nvda.until(session))
    for name, values in at_once.parameters.items():
        np.testing.assert_allclose(stepwise.parameters[name], values, rtol=1e-9, atol=1e-12)
