"""The law behind a drawn history is found again, with honest doubt and honest forecasts."""

import math

import numpy as np
import oracles
import pytest
from drawn_grids import POINT, THETA, TRUTH, at, drawn, objective, wrapped
from scipy.stats import kstest, norm
from scipy.stats import t as student_t

from belief.drift import Drift
from belief.fitted_model import Reached
from belief.forecast import NORMAL_SCORES, Outlook
from belief.grid_forecast import forecast_quantiles, next_session_quantiles
from belief.grid_likelihood import log_likelihood
from belief.volatility_grid import LEAST_STEP, even_start, grid_of, run_filter, values_of
from belief.volatility_grid_fit import doubt_about, estimate, first_guess, problem_of


@pytest.fixture(scope="module")
def long():
    return drawn(1, 6000)


@pytest.fixture(scope="module")
def long_problem(long):
    return problem_of(long, grid_of(long), math.inf)


@pytest.fixture(scope="module")
def long_estimate(long_problem):
    return estimate(long_problem, first_guess(long_problem.prior))


@pytest.fixture(scope="module")
def long_doubt(long_estimate, long_problem):
    return doubt_about(long_estimate.theta, long_problem)


@pytest.fixture(scope="module")
def short():
    return drawn(2, 700)


@pytest.fixture(scope="module")
def short_problem(short):
    return problem_of(short, grid_of(short), 300.0)


@pytest.fixture(scope="module")
def short_estimate(short_problem):
    return estimate(short_problem, first_guess(short_problem.prior))


def test_the_parameters_behind_a_drawn_history_are_recovered(long_estimate, long_doubt):
    assert long_estimate.converged
    sd = np.sqrt(np.diag(long_doubt.covariance))
    # the kernel of the drawn history is as wide as that of another grid
    error = (long_estimate.theta - THETA) / sd
    assert (np.abs(error) < 3.0).all()
    assert (np.abs(error) < 2.0).sum() >= 11
    assert at(long_estimate.theta, "logit_phi") == pytest.approx(TRUTH["logit_phi"], abs=0.8)
    assert at(long_estimate.theta, "log_dof") == pytest.approx(TRUTH["log_dof"], abs=0.45)
    assert at(long_estimate.theta, "log_kappa") == pytest.approx(TRUTH["log_kappa"], abs=0.35)
    assert at(long_estimate.theta, "lam") == pytest.approx(TRUTH["lam"], abs=0.02)
    assert at(long_estimate.theta, "loc") == pytest.approx(TRUTH["loc"], abs=0.0006)


def test_the_truth_is_hardly_less_likely_than_the_estimate(long_problem, long_estimate):
    gain = long_estimate.objective - objective(THETA, long_problem)[0]
    assert 0.0 < gain < 0.5 * 36.0  # chi-squared with 14 degrees of freedom, one in a thousand


def test_returns_fall_evenly_over_the_forecasts_made_of_them(long, long_problem, long_estimate):
    grid, sessions = long_problem.grid, long_problem.sessions
    run = run_filter(long_estimate.theta, grid, sessions, even_start(grid))
    values = values_of(long_estimate.theta, grid.spacing)
    rank = []
    for t in range(50, len(long)):
        wide = values.kappa if long.event[t] else 1.0
        below = student_t.cdf(
            (long.log_return[t] - values.loc) / (wide * np.exp(grid.point)),
            values.event_dof if long.event[t] else values.dof,
        )
        rank.append(run.predicted[t] @ below)
    assert kstest(rank, "uniform").pvalue > 0.01
    assert kstest(np.array(rank)[long.event[50:]], "uniform").pvalue > 0.01
    # one by one they do not tell the next: neither the rank nor how far it is from the middle
    for series in (np.array(rank), np.abs(np.array(rank) - 0.5)):
        assert abs(np.corrcoef(series[1:], series[:-1])[0, 1]) < 3.0 / math.sqrt(len(series))


def test_returns_fall_evenly_over_the_quantiles_that_are_given_out(
    long, long_problem, long_estimate
):
    grid, sessions = long_problem.grid, long_problem.sessions
    run = run_filter(long_estimate.theta, grid, sessions, even_start(grid))
    loc, rank = at(long_estimate.theta, "loc"), []
    for t in range(100, len(long), 12):
        parameters = {
            "point": grid.point,
            "theta": long_estimate.theta[None],
            "ahead": run.predicted[t][None],
            "total_score": np.zeros(1),
        }
        chance = np.full((1, 1), 1.0 if long.event[t] else 0.0)
        quantiles = loc + next_session_quantiles(parameters, Outlook(Drift(0.0, 0.0), chance))
        rank.append(norm.cdf(np.interp(long.log_return[t], quantiles, NORMAL_SCORES)))
    assert kstest(rank, "uniform").pvalue > 0.01


@pytest.mark.parametrize("horizon", [5, 21, 63, 252, 504])
def test_a_forecast_is_about_as_wide_as_the_law_behind_the_history(
    long, long_problem, long_estimate, long_doubt, horizon
):
    """Far ahead too: 6,000 sessions leave little doubt about the usual volatility."""
    grid, rng = long_problem.grid, np.random.default_rng(9)
    run = run_filter(long_estimate.theta, grid, long_problem.sessions, even_start(grid))
    parameters = {
        "point": grid.point,
        "theta": long_estimate.theta[None],
        "covariance": long_doubt.covariance[None],
        "ahead": run.predicted[-1][None],
        "total_score": np.zeros(1),
    }
    reached = Reached(parameters, 0.0, 1, True)
    (found,) = forecast_quantiles(
        wrapped("grid_static", long, reached),
        [horizon],
        Outlook(Drift(0.0, 0.0), np.zeros((0, 504))),
        np.random.default_rng(0),
    )
    truth = values_of(THETA, grid.spacing)
    ahead = run_filter(THETA, grid, long_problem.sessions, even_start(grid)).predicted[-1]
    paths = oracles.draw_grid_paths(
        rng, truth, grid.point, ahead, np.zeros((horizon, 4000), dtype=bool)
    )[-1]
    low, high = np.interp([-1.645, 1.645], NORMAL_SCORES, found)
    assert high - low == pytest.approx(np.ptp(np.quantile(paths, [0.05, 0.95])), rel=0.3)


def test_in_the_long_run_the_states_are_where_the_history_had_them(long_problem, long_estimate):
    grid, sessions = long_problem.grid, long_problem.sessions

    def away(theta):
        values, n_states = values_of(theta, grid.spacing), len(grid.point)
        shocks = student_t.ppf((np.arange(64) + 0.5) / 64, values.dof)
        kernel = np.mean(
            [oracles.grid_kernel(values, grid.point, np.full(n_states, z)) for z in shocks], axis=0
        )
        usual = np.linalg.matrix_power(kernel, 2**13)[0] @ grid.point
        past = run_filter(theta, grid, sessions, even_start(grid)).filtered @ grid.point
        return usual - past.mean()

    assert away(THETA) == pytest.approx(0.0, abs=0.3)
    assert away(long_estimate.theta) == pytest.approx(0.0, abs=0.3)


def test_estimates_spread_as_widely_as_their_standard_errors_say():
    found = []
    for seed in range(100, 112):
        observations = drawn(seed, 1000)
        problem = problem_of(observations, grid_of(observations), math.inf)
        one = estimate(problem, first_guess(problem.prior))
        doubt = doubt_about(one.theta, problem)
        found.append((one.theta, np.sqrt(np.diag(doubt.covariance))))
    theta, sd = (np.array(column) for column in zip(*found, strict=True))
    # where the data speak louder than the prior, which moves from history to history
    for name in ("lam", "loc", "log_dof", "log_kappa"):
        ratio = at(theta, name).std(ddof=1) / at(sd, name).mean()
        assert 0.45 < ratio < 2.0, name
    # the prior narrows the spread of the others, never widens it
    assert (theta.std(axis=0, ddof=1) < 2.0 * sd.mean(axis=0)).all()


def test_a_covariance_is_one(long_doubt, short_problem, short_estimate):
    for doubt in (long_doubt, doubt_about(short_estimate.theta, short_problem)):
        scale = np.sqrt(np.diag(doubt.covariance))
        assert (scale > 0.0).all()
        correlation = doubt.covariance / np.outer(scale, scale)
        np.testing.assert_allclose(correlation, correlation.T, atol=1e-10)
        assert np.linalg.eigvalsh(correlation).min() > -1e-10


def test_the_covariance_is_the_sandwich_of_numerical_derivatives(short_problem, short_estimate):
    theta, sd = short_estimate.theta, short_problem.prior.sd
    grid, sessions, weight, _ = short_problem

    def scores(at_theta):
        return log_likelihood(at_theta, grid, sessions, weight).log_predictive

    score, hessian = [], []
    for place in range(14):
        step = np.zeros(14)
        step[place] = 2e-3 * sd[place]
        score.append((scores(theta + step) - scores(theta - step)) / (2.0 * step[place]))
        slopes = [
            log_likelihood(theta + sign * step, grid, sessions, weight).gradient
            for sign in (1.0, -1.0)
        ]
        hessian.append((slopes[1] - slopes[0]) / (2.0 * step[place]))
    middle = (np.array(score) * weight) @ (np.array(score) * weight).T + np.diag(sd**-2)
    curvature = 0.5 * (np.array(hessian) + np.array(hessian).T) + np.diag(sd**-2)
    # in units of the prior no direction is vaguer than the prior has it
    value, vector = np.linalg.eigh(curvature * np.outer(sd, sd))
    bread = (vector / np.maximum(value, 1.0)) @ vector.T * np.outer(sd, sd)
    expected = bread @ middle @ bread
    doubt = doubt_about(theta, short_problem)
    found = doubt.covariance
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(np.sqrt(np.diag(found)), scale, rtol=0.03)
    np.testing.assert_allclose(
        found / np.outer(scale, scale), expected / np.outer(scale, scale), atol=0.05
    )
    np.testing.assert_allclose(
        np.sqrt(np.diag(doubt.root @ doubt.root.T)), np.sqrt(np.diag(bread)), rtol=0.03
    )
    assert doubt.log_likelihood == pytest.approx(scores(theta).sum(), rel=1e-12)


def test_the_kernel_that_was_drawn_is_wider_than_the_least():
    spacing = POINT[1] - POINT[0]
    assert values_of(THETA, spacing).s < 1.2 * math.exp(TRUTH["log_s"])
    assert math.exp(TRUTH["log_s"]) > LEAST_STEP * spacing
