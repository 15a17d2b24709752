"""A fitted grid carried on: through JSON, to later sessions, and never past what is known."""

import dataclasses
import json

import numpy as np
import pytest
from fitted_grids import AS_OF, fitted_grid, known_prices, weights_by_hand

from belief import models
from belief.events import Events
from belief.fitted_model import FittedModel
from belief.observations import observe
from belief.prices import COLUMNS
from belief.sessions import session_after
from belief.sources import load_prices
from belief.volatility_grid import Grid, even_start, run_filter, sessions_of

LATER = np.datetime64("2004-08-31")
HORIZONS = (1, 5, 21, 63)


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(scope="module")
def known():
    return known_prices()


@pytest.fixture(scope="module")
def fitted():
    return fitted_grid("belief")


@pytest.fixture(scope="module")
def static():
    return fitted_grid("grid_static")


@pytest.fixture(scope="module")
def later(nvda):
    return nvda.until(LATER)


@pytest.fixture(scope="module")
def carried(fitted, later):
    return models.carry(fitted, later)


def bytes_of(fitted, prices):
    targets = [session_after(prices.as_of, horizon) for horizon in HORIZONS]
    quantiles = [f.log_return_quantile.tobytes() for f in models.forecasts(fitted, prices, targets)]
    return json.dumps(models.belief(fitted).to_dict()), quantiles


@pytest.mark.parametrize("model", ["belief", "grid_static"])
def test_a_model_read_back_from_json_believes_and_forecasts_the_same_bytes(
    request, known, later, model
):
    written = request.getfixturevalue({"belief": "fitted", "grid_static": "static"}[model])
    read = FittedModel.from_json(written.to_json())
    assert read.to_json() == written.to_json()
    for name, values in written.parameters.items():
        assert read.parameters[name].shape == values.shape, name
        assert read.parameters[name].tobytes() == values.tobytes(), name
    assert bytes_of(read, known) == bytes_of(written, known)
    moved = [models.carry(one, later) for one in (read, written)]
    assert bytes_of(moved[0], later) == bytes_of(moved[1], later)


def test_carrying_on_equals_filtering_everything_at_once(fitted, carried, later):
    parameters, observations = fitted.parameters, observe(later)
    grid = Grid(parameters["point"], float(parameters["least_range"]))
    sessions = sessions_of(observations, grid)
    known = len(observations) - 43
    assert observations.session[known - 1] == AS_OF
    scores = []
    for place, theta in enumerate(parameters["theta"]):
        run = run_filter(theta, grid, sessions, even_start(grid))
        scores.append(run.log_predictive[known:])
        for name, row in (
            ("predicted", run.predicted[-2]),
            ("filtered", run.filtered[-1]),
            ("ahead", run.predicted[-1]),
        ):
            np.testing.assert_allclose(carried.parameters[name][place], row, rtol=1e-9, atol=1e-15)
    assert (carried.known_through, carried.trained_through) == (LATER, AS_OF)
    # the weights of the memories, by the formula of the mixture
    age = 0.998 ** np.arange(len(scores[0]) - 1, -1, -1)
    total = np.array([age @ row for row in scores])
    found = weights_by_hand(carried.parameters["total_score"])
    np.testing.assert_allclose(found, weights_by_hand(total), rtol=1e-9)
    assert np.ptp(found) > 1e-3
    assert carried.parameters["n_scored"] == 43.0


def test_carrying_session_by_session_is_carrying_all_at_once(fitted, carried, nvda, later):
    step = fitted
    for session in later.session[later.session > AS_OF]:
        step = models.carry(step, nvda.until(session))
    assert step.known_through == LATER
    for name, values in carried.parameters.items():
        np.testing.assert_allclose(step.parameters[name], values, rtol=1e-9, atol=1e-13)
    assert models.carry(step, later) is step


@pytest.mark.parametrize("n_blocks", [1, 7, 5000])
def test_the_last_blocks_of_the_past_are_the_end_of_all(carried, later, n_blocks):
    whole = models.transmat_over_time(carried, later)
    np.testing.assert_allclose(whole.sum(axis=2), 1.0, rtol=1e-12)
    last = models.transmat_over_time(carried, later, n_blocks=n_blocks)
    np.testing.assert_array_equal(last, whole[-n_blocks:])
    assert len(last) == min(n_blocks, len(whole))


@pytest.mark.parametrize("model", ["belief", "grid_static"])
def test_the_states_ahead_add_up_to_the_belief_that_sums_them_up(model):
    held = models.belief(fitted_grid(model))
    volatility, probability, regime = held.ahead
    assert probability.sum() == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(volatility) > 0.0).all() and (np.diff(regime) >= 0).all()
    assert set(regime.tolist()) == set(range(len(held.regimes)))
    mean = float(np.sqrt(probability @ volatility**2))
    assert mean == pytest.approx(held.volatility, rel=5e-3)  # memories mix states and weights
    low, high = np.interp([0.05, 0.95], np.cumsum(probability) - 0.5 * probability, volatility)
    assert held.volatility_interval_90 == pytest.approx((low, high), rel=1e-9)


def test_what_is_carried_on_forecasts_and_believes_as_of_its_last_session(carried, later):
    held = models.belief(carried)
    assert held.as_of == LATER
    assert held.last_session.log_return == observe(later).log_return[-1]
    (forecast,) = models.forecasts(carried, later, [session_after(LATER, 5)])
    assert forecast.origin == LATER
    states = models.states_over_time(carried, later)
    assert states.shape == (len(later.session) - 1, 4)
    np.testing.assert_allclose(states.sum(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(
        states[-1], [regime.probability for regime in held.regimes], rtol=1e-8, atol=1e-12
    )


def test_a_model_that_knows_other_sessions_than_the_prices_is_refused(
    fitted, carried, known, later, nvda
):
    with pytest.raises(
        ValueError, match=r"knows 1999-01-2. to 2004-08-31, the prices .* to 2004-06"
    ):
        models.carry(carried, known)
    cut = dataclasses.replace(
        later,
        session=later.session[10:],
        **{column: getattr(later, column)[10:] for column in COLUMNS},
    )
    with pytest.raises(ValueError, match="the model knows 1999-01-2"):
        models.carry(fitted, cut)
    with pytest.raises(ValueError, match=r"the model knows .*, the prices"):
        models.forecasts(fitted, later, [session_after(LATER, 5)])
    with pytest.raises(ValueError, match=r"the model knows .*, the prices"):
        models.states_over_time(fitted, later)
    with pytest.raises(ValueError, match=r"the model knows .*, the prices"):
        models.forecasts(carried, known, [session_after(AS_OF, 5)])


def garbage_after(prices, session):
    """Prices that pass every check but have nothing to do with the market after a session."""
    after = prices.session > session
    columns = {}
    for column in COLUMNS:
        factor = {"high": 1.5, "low": 0.5}.get(column, 1.0)
        wave = 1.0 + 0.1 * np.sin(np.arange(after.sum()))
        if column in ("open", "close"):
            factor = wave
        columns[column] = getattr(prices, column).copy()
        columns[column][after] = 7.0 * factor
    first = prices.session[after][0]
    kept = [split for split in prices.splits if split.session <= session]
    jump = type(prices.splits[0])(first, 1.0)
    # other events from the first one on that is not public yet
    public = prices.events.session[prices.events.known_from <= session]
    other = [session_after(session, 20 + 17 * k) for k in range(1, 9)]
    return dataclasses.replace(
        prices,
        splits=(*kept, jump),
        events=Events(np.concatenate([public, np.array(other, dtype="datetime64[D]")])),
        **columns,
    )


def test_nothing_after_as_of_changes_a_byte_of_fit_belief_or_forecast(nvda):
    session = nvda.session[420]
    known, garbage = nvda.until(session), garbage_after(nvda, session)
    assert garbage.close[-1] != nvda.close[-1]
    assert len(garbage.events) != len(nvda.events)
    left, right = (models.fit("belief", each.until(session)) for each in (nvda, garbage))
    assert left.to_json() == right.to_json()
    assert bytes_of(left, known) == bytes_of(right, garbage.until(session))
    earlier = models.fit("grid_static", nvda.until(nvda.session[380]))
    moved = [models.carry(earlier, each.until(session)) for each in (nvda, garbage)]
    assert moved[0].to_json() == moved[1].to_json()


def test_a_session_more_moves_a_forecast_but_not_the_estimates(fitted, known, nvda):
    later = nvda.until(session_after(AS_OF, 1))
    moved = models.carry(fitted, later)
    for name in ("theta", "covariance", "point", "cut", "occupancy"):
        assert moved.parameters[name].tobytes() == fitted.parameters[name].tobytes()
    assert np.abs(moved.parameters["ahead"] - fitted.parameters["ahead"]).max() > 1e-3


def test_horizons_of_one_call_do_not_touch_each_other(fitted, known):
    def rows(*horizons):
        targets = [session_after(AS_OF, horizon) for horizon in horizons]
        return [
            forecast.log_return_quantile.tobytes()
            for forecast in models.forecasts(fitted, known, targets)
        ]

    table = rows(1, 5, 21, 63, 252, 504)
    for n in range(1, 6):
        assert rows(*(1, 5, 21, 63, 252)[:n]) == table[:n]
