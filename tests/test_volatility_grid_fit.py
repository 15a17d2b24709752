"""The fit of the grid: its likelihood, its search, and what it makes of every memory."""

import math

import numpy as np
import oracles
import pytest
from drawn_grids import THETA, at, drawn, objective, wrapped

from belief import grid_belief
from belief.grid_likelihood import log_likelihood
from belief.observations import Observations
from belief.volatility_grid import NAMES, Grid, even_start, grid_of, sessions_of, values_of
from belief.volatility_grid_fit import (
    HALF_LIVES,
    SEARCH_SHARE,
    Begin,
    doubt_about,
    estimate,
    first_guess,
    fit,
    problem_of,
    session_weights,
)


@pytest.fixture(scope="module")
def short():
    return drawn(2, 700)


@pytest.fixture(scope="module")
def short_problem(short):
    return problem_of(short, grid_of(short), 300.0)


@pytest.fixture(scope="module")
def short_estimate(short_problem):
    return estimate(short_problem, first_guess(short_problem.prior))


@pytest.mark.parametrize("half_life", [math.inf, 500.0, 60.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_gradient_is_that_of_central_differences(seed, half_life):
    rng = np.random.default_rng(seed)
    plain = drawn(seed, 200)
    # many events, sessions without range, opens of their own, one shock beyond the clip
    observations = Observations(
        plain.session,
        np.where(np.arange(200) == 90, -0.6, plain.log_return),
        np.where(rng.random(200) < 0.7, plain.log_range, 0.0),
        plain.log_return + 0.01 * rng.standard_normal(200),
        rng.random(200) < 0.2,
    )
    grid = grid_of(observations)
    sessions, weight = sessions_of(observations, grid), session_weights(200, half_life)
    spread = np.where(np.array(NAMES) == "loc", 0.001, 0.2)
    spread[[NAMES.index("lam"), NAMES.index("lam2")]] = 0.03
    theta = THETA + spread * rng.standard_normal(len(NAMES))
    found = log_likelihood(theta, grid, sessions, weight)
    assert found.value == pytest.approx(weight @ found.log_predictive, rel=1e-12)
    for place, name in enumerate(NAMES):
        step = 1e-5 * (0.02 if name == "loc" else 1.0)
        ends = []
        for sign in (1.0, -1.0):
            there = theta.copy()
            there[place] += sign * step
            ends.append(log_likelihood(there, grid, sessions, weight).value)
        slope = (ends[0] - ends[1]) / (2.0 * step)
        assert abs(slope) > 1e-4, name
        assert found.gradient[place] == pytest.approx(slope, rel=1e-5, abs=2e-6), name


def test_the_likelihood_is_the_weighted_sum_of_a_slow_filter():
    observations = drawn(3, 200)
    grid, weight = grid_of(observations), session_weights(200, 80.0)
    columns = [
        getattr(observations, name) for name in ("log_return", "log_range", "intraday", "event")
    ]
    returns, ranges, matrices = oracles.grid_tables(
        values_of(THETA, grid.spacing), grid.point, columns, least_range=grid.least_range
    )
    exact = oracles.predictions_in_a_row(even_start(grid), matrices, returns, ranges)[2]
    found = log_likelihood(THETA, grid, sessions_of(observations, grid), weight)
    np.testing.assert_allclose(found.log_predictive, exact, rtol=1e-9)
    assert found.value == pytest.approx(
        sum(0.5 ** ((199 - t) / 80.0) * exact[t] for t in range(200)), rel=1e-9
    )


def test_a_session_counts_half_one_half_life_before_the_last():
    weight = session_weights(1001, 500.0)
    assert weight[-1] == 1.0
    assert weight[-501] == pytest.approx(0.5, rel=1e-12)
    assert weight[0] == pytest.approx(0.25, rel=1e-12)
    assert (np.diff(weight) > 0.0).all()
    np.testing.assert_array_equal(session_weights(7, math.inf), np.ones(7))


def test_the_model_mixes_a_static_fit_with_three_memories():
    assert HALF_LIVES["belief"] == (math.inf, 2000.0, 1000.0, 500.0)
    singles = {name: memories for name, memories in HALF_LIVES.items() if name != "belief"}
    assert sorted(one for (one,) in singles.values()) == sorted(HALF_LIVES["belief"])
    assert singles["grid_static"] == (math.inf,)


def test_the_search_ends_higher_than_it_began_where_it_is_flat(short_problem, short_estimate):
    before, _ = objective(short_problem.prior.mean, short_problem)
    reached, slope = objective(short_estimate.theta, short_problem)
    assert short_estimate.converged
    assert short_estimate.objective == pytest.approx(reached, rel=1e-12)
    assert reached > before + 1.0
    np.testing.assert_allclose(SEARCH_SHARE * short_problem.prior.sd * slope, 0.0, atol=0.02)
    rng = np.random.default_rng(0)
    for _ in range(10):
        aside = short_estimate.theta + 0.05 * short_problem.prior.sd * rng.standard_normal(14)
        assert objective(aside, short_problem)[0] < reached + 1e-3


def test_the_same_history_gives_the_same_bytes(short, short_problem, short_estimate):
    again = estimate(short_problem, first_guess(short_problem.prior))
    assert again.theta.tobytes() == short_estimate.theta.tobytes()
    assert again.n_evaluations == short_estimate.n_evaluations
    left, right = (fit("grid_500", short, None) for _ in range(2))
    for name, values in left.parameters.items():
        assert values.tobytes() == right.parameters[name].tobytes(), name
    assert left[1:] == right[1:]


def test_a_search_that_begins_at_its_end_is_over_at_once(short_problem, short_estimate):
    doubt = doubt_about(short_estimate.theta, short_problem)
    again = estimate(short_problem, Begin(short_estimate.theta, doubt.root))
    assert again.converged
    assert again.n_evaluations <= 4 < short_estimate.n_evaluations
    assert again.objective >= short_estimate.objective - 1e-9
    np.testing.assert_allclose(
        (again.theta - short_estimate.theta) / np.sqrt(np.diag(doubt.covariance)), 0.0, atol=0.1
    )


def test_a_search_from_elsewhere_ends_at_the_same_place(short_problem, short_estimate):
    rng = np.random.default_rng(1)
    guess = first_guess(short_problem.prior)
    doubt = doubt_about(short_estimate.theta, short_problem)
    for _ in range(2):
        begin = guess.theta + 0.5 * short_problem.prior.sd * rng.standard_normal(14)
        found = estimate(short_problem, guess._replace(theta=begin))
        assert found.objective == pytest.approx(short_estimate.objective, abs=0.02)
        np.testing.assert_allclose(
            (found.theta - short_estimate.theta) / np.sqrt(np.diag(doubt.covariance)), 0.0, atol=0.3
        )


def test_a_parameter_that_is_held_keeps_its_value_and_costs_likelihood(
    short_problem, short_estimate
):
    found = estimate(short_problem, first_guess(short_problem.prior), held={"lam": 0.1, "m": -3.0})
    assert (at(found.theta, "lam"), at(found.theta, "m")) == (0.1, -3.0)
    assert found.objective < short_estimate.objective - 1.0
    assert abs(at(found.theta, "lam2") - at(short_problem.prior.mean, "lam2")) > 1e-4


def test_a_kernel_wider_than_the_grid_costs_no_more_than_one_as_wide(short_problem):
    """A search may look there, and a bell needs no points beyond the grid."""
    grid, sessions, weight, _ = short_problem
    wide, wider = THETA.copy(), THETA.copy()
    wide[NAMES.index("log_s")], wider[NAMES.index("log_s")] = 8.0, 20.0
    found = [log_likelihood(theta, grid, sessions, weight).value for theta in (wide, wider)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_a_history_is_fitted_once_for_every_memory(short):
    reached = fit("belief", short, None)
    assert reached.parameters["theta"].shape == (4, len(NAMES))
    assert reached.n_iter >= 4
    np.testing.assert_array_equal(reached.parameters["total_score"], np.zeros(4))
    assert reached.parameters["n_scored"] == 0.0
    grid = Grid(reached.parameters["point"], float(reached.parameters["least_range"]))
    static = problem_of(short, grid, math.inf)
    alone = estimate(static, first_guess(static.prior))
    sd = np.sqrt(np.diag(reached.parameters["covariance"][0]))
    np.testing.assert_allclose((reached.parameters["theta"][0] - alone.theta) / sd, 0, atol=0.3)
    # a shorter memory knows less
    doubt = [np.sqrt(np.diag(each)) for each in reached.parameters["covariance"]]
    assert (doubt[3][:3] > 0.9 * doubt[0][:3]).all()


def test_a_fit_that_goes_on_from_an_earlier_one_ends_where_a_cold_one_does(short):
    first = short.first(600)
    earlier = wrapped("belief", first, fit("belief", first, None))
    carried = wrapped(
        "belief",
        short,
        fit("belief", first, None)._replace(parameters=grid_belief.carry(earlier, short)),
    )
    warm, cold = fit("belief", short, carried), fit("belief", short, None)
    assert warm.converged
    assert warm.n_iter < cold.n_iter
    sd = [np.sqrt(np.diag(each)) for each in cold.parameters["covariance"]]
    apart = (warm.parameters["theta"] - cold.parameters["theta"]) / sd
    np.testing.assert_allclose(apart, 0.0, atol=0.3)
    for name in ("total_score", "n_scored"):
        np.testing.assert_array_equal(warm.parameters[name], carried.parameters[name])
    assert warm.parameters["n_scored"] == 100.0
    assert np.isnan(warm.parameters["static_transmat"]).all()
