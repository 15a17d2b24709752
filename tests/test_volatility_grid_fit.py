import math

import numpy as np
import oracles
import pytest
from scipy.stats import kstest, norm
from scipy.stats import t as student_t

from belief import grid_belief
from belief.drift import Drift
from belief.errors import FitError
from belief.fitted_model import FittedModel, Reached
from belief.forecast import NORMAL_SCORES, Outlook
from belief.grid_forecast import forecast_quantiles, next_session_quantiles
from belief.grid_likelihood import log_likelihood
from belief.observations import Observations
from belief.volatility_grid import (
    LEAST_STEP,
    NAMES,
    Grid,
    even_start,
    grid_of,
    run_filter,
    sessions_of,
    typical_log_scale,
    values_of,
)
from belief.volatility_grid_fit import (
    HALF_LIVES,
    SEARCH_SHARE,
    Begin,
    doubt_about,
    estimate,
    first_guess,
    fit,
    prior_of,
    problem_of,
    session_weights,
)

TRUTH = {
    "m": -4.0,
    "logit_phi": 3.9,
    "log_s": math.log(0.10),
    "lam": -0.02,
    "lam2": 0.04,
    "loc": 0.001,
    "log_dof": math.log(5.0),
    "log_k0": math.log(1.2),
    "log_k1": math.log(1.2),
    "log_tau": math.log(0.22),
    "log_range_dof": math.log(10.0),
    "log_kappa": math.log(3.0),
    "log_event_dof": math.log(4.0),
    "delta": 0.25,
}
THETA = np.array([TRUTH[name] for name in NAMES])
POINT = np.linspace(-6.0, -2.0, 34)
HORIZONS = (1, 2, 5, 21, 63, 252, 504)


def observed(log_return, log_range, event=None):
    n = len(log_return)
    event = np.zeros(n, dtype=bool) if event is None else event
    session = np.datetime64("1985-01-01") + np.arange(n)
    return Observations(session, log_return.copy(), log_range.copy(), log_return.copy(), event)


def drawn(seed, n, *, events=True):
    """A history that the model itself draws: a return and a range that follow the equations."""
    event = (np.arange(n) % 63 == 40) & events
    values = values_of(THETA, POINT[1] - POINT[0])
    rng = np.random.default_rng(seed)
    return observed(*oracles.draw_grid_history(rng, values, POINT, event), event)


def wrapped(model, observations, reached):
    return FittedModel(
        model=model,
        symbol="XYZ",
        parameters=reached.parameters,
        log_likelihood=reached.log_likelihood,
        n_iter=reached.n_iter,
        converged=reached.converged,
        trained_from=observations.session[0],
        trained_through=observations.session[-1],
        known_through=observations.session[-1],
        n_sessions=len(observations),
        fingerprint="0" * 64,
    )


def at(theta, name):
    return theta[..., NAMES.index(name)]


def objective(theta, problem):
    found = log_likelihood(theta, problem.grid, problem.sessions, problem.weight)
    pull = (problem.prior.mean - theta) / problem.prior.sd
    return found.value - 0.5 * pull @ pull, found.gradient + pull / problem.prior.sd


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


def test_without_events_their_parameters_stay_as_the_prior_has_them():
    observations = drawn(4, 600, events=False)
    problem = problem_of(observations, grid_of(observations), math.inf)
    found = estimate(problem, first_guess(problem.prior))
    sd = np.sqrt(np.diag(doubt_about(found.theta, problem).covariance))
    for name in ("log_kappa", "log_event_dof", "delta"):
        assert at(found.theta, name) == pytest.approx(at(problem.prior.mean, name), abs=1e-3)
        assert at(sd, name) == pytest.approx(at(problem.prior.sd, name), rel=1e-3)
    assert at(sd, "lam") < 0.8 * at(problem.prior.sd, "lam")


def test_without_ranges_their_parameters_stay_as_the_prior_has_them():
    plain = drawn(5, 600)
    observations = observed(plain.log_return, np.zeros(600), plain.event.copy())
    problem = problem_of(observations, grid_of(observations), math.inf)
    found = estimate(problem, first_guess(problem.prior))
    sd = np.sqrt(np.diag(doubt_about(found.theta, problem).covariance))
    for name in ("log_k0", "log_k1", "log_tau", "log_range_dof", "delta"):
        assert at(found.theta, name) == pytest.approx(at(problem.prior.mean, name), abs=1e-3)
        assert at(sd, name) == pytest.approx(at(problem.prior.sd, name), rel=1e-3)


def test_the_prior_of_the_scales_follows_the_typical_return():
    plain = drawn(6, 400)
    larger = observed(10.0 * plain.log_return, 10.0 * plain.log_range)
    even = np.ones(len(plain))
    left, right = (prior_of(seen.log_return, even) for seen in (plain, larger))
    assert at(right.mean, "m") - at(left.mean, "m") == pytest.approx(math.log(10.0), rel=1e-9)
    assert at(right.mean, "loc") == pytest.approx(10.0 * at(left.mean, "loc"), rel=1e-9)
    assert at(right.sd, "loc") == pytest.approx(10.0 * at(left.sd, "loc"), rel=1e-9)
    others = [place for place, name in enumerate(NAMES) if name not in ("m", "loc")]
    np.testing.assert_array_equal(left.mean[others], right.mean[others])
    apart = typical_log_scale(larger.log_return, even) - typical_log_scale(plain.log_return, even)
    assert apart == pytest.approx(math.log(10.0))


def test_the_level_is_tied_to_what_counts_and_the_closer_the_longer_it_is():
    calm, wild = np.full(600, 0.01), np.full(600, 0.04)
    history = np.append(calm, wild) * np.where(np.arange(1200) % 2, 1.0, -1.0)
    recent = prior_of(history, session_weights(1200, 100.0))
    whole = prior_of(history, np.ones(1200))
    assert at(recent.mean, "m") == pytest.approx(math.log(0.04 / 0.6744897501960817))
    assert at(whole.mean, "m") == pytest.approx(math.log(0.01 / 0.6744897501960817))
    assert at(recent.sd, "m") > 2.0 * at(whole.sd, "m")
    double = prior_of(np.tile(history, 2), np.ones(2400))
    assert at(whole.sd, "m") == pytest.approx(math.sqrt(2.0) * at(double.sd, "m"))


@pytest.mark.parametrize("factor", [0.01, 10.0])
def test_returns_in_another_unit_give_the_same_model_in_that_unit(short, factor):
    scaled = observed(factor * short.log_return, factor * short.log_range, short.event.copy())
    fits = [wrapped("grid_500", each, fit("grid_500", each, None)) for each in (short, scaled)]
    plain, found = (one.parameters["theta"][0] for one in fits)
    expected = plain.copy()
    expected[NAMES.index("m")] += math.log(factor)
    expected[NAMES.index("loc")] *= factor
    doubt = np.sqrt(np.diag(fits[1].parameters["covariance"][0]))
    np.testing.assert_allclose((found - expected) / doubt, 0.0, atol=0.02)
    outlook = Outlook(Drift(0.0, 0.0), np.zeros((0, 504)))
    quantiles = [
        forecast_quantiles(one, (1, 5, 63), outlook, np.random.default_rng(0)) for one in fits
    ]
    np.testing.assert_allclose(quantiles[1][0], factor * quantiles[0][0], rtol=1e-3, atol=1e-12)
    # paths that begin alike may part: what is left is the noise of ten thousand
    body = np.abs(NORMAL_SCORES) < 1.3
    np.testing.assert_allclose(
        quantiles[1][1:, body] / np.ptp(quantiles[1][1:, body], axis=1, keepdims=True),
        quantiles[0][1:, body] / np.ptp(quantiles[0][1:, body], axis=1, keepdims=True),
        atol=0.025,
    )
    np.testing.assert_allclose(
        np.ptp(quantiles[1][:, body], axis=1),
        factor * np.ptp(quantiles[0][:, body], axis=1),
        rtol=0.05,
    )


def histories():
    rng = np.random.default_rng(50)
    plain = drawn(51, 400)
    log_return, log_range = plain.log_return, plain.log_range
    size = np.median(log_range)
    crash = np.where(np.arange(400) == 200, math.log(0.4), log_return)
    crashed = np.where(np.arange(400) == 200, 0.9, log_range)
    tenth = rng.permutation(400) < 40
    eighth = np.arange(400) % 8 == 0
    begins = np.arange(400) < 50
    yield "plain", observed(log_return, log_range, plain.event.copy())
    yield "no ranges at all", observed(log_return, np.zeros(400))
    yield "some ranges", observed(log_return, np.where(rng.random(400) < 0.5, 0.0, log_range))
    yield "tiny", observed(1e-3 * log_return, 1e-3 * log_range)
    yield "huge", observed(10.0 * log_return, 10.0 * log_range)
    yield "a crash of 60 %", observed(crash, crashed)
    yield "a crash at the end", observed(np.roll(crash, 199), np.roll(crashed, 199))
    yield (
        "one in ten zero",
        observed(np.where(tenth, 0.0, log_return), np.where(tenth, 0.0, log_range)),
    )
    yield "one in eight zero", observed(np.where(eighth, 0.0, log_return), log_range)
    noise = np.where(np.arange(400) < 30, 1e-16, log_return)
    yield "thirty of rounding", observed(noise, log_range)
    yield (
        "fifty zeros first",
        observed(np.where(begins, 0.0, log_return), np.where(begins, 0.0, log_range)),
    )
    yield (
        "constant volatility",
        observed(0.01 * rng.standard_normal(400), 0.015 * np.exp(0.2 * rng.standard_normal(400))),
    )
    yield (
        "returns of one size",
        observed(
            0.01 * rng.choice([-1.0, 1.0], 400) + 1e-6 * rng.standard_normal(400),
            np.full(400, size),
        ),
    )
    yield "one range for all", observed(log_return, np.full(400, size))
    yield "huge ranges", observed(log_return, np.where(rng.random(400) < 0.02, 3.0, log_range))
    yield "every session an event", observed(log_return, log_range, np.ones(400, dtype=bool))
    yield (
        "calm, then wild",
        observed(
            np.where(np.arange(400) < 200, 0.05, 1.0) * log_return,
            np.where(np.arange(400) < 200, 0.05, 1.0) * log_range,
        ),
    )


@pytest.mark.parametrize(
    "observations", [pytest.param(each, id=name) for name, each in histories()]
)
def test_every_history_that_moves_gives_finite_forecasts(observations):
    reached = fit("belief", observations, None)
    fitted = wrapped("belief", observations, reached)
    for key, values in reached.parameters.items():
        if key not in ("static_transmat", "year_ago_transmat"):
            assert np.isfinite(values).all(), key
    assert np.isfinite(reached.parameters["static_transmat"]).all()
    assert math.isfinite(reached.log_likelihood)
    np.testing.assert_allclose(reached.parameters["filtered"].sum(axis=1), 1.0, rtol=1e-9)
    quantiles = forecast_quantiles(
        fitted,
        HORIZONS,
        Outlook(Drift(0.0003, 0.0003), np.full((1, 504), 1.0 / 504)),
        np.random.default_rng(0),
    )
    assert quantiles.shape == (len(HORIZONS), len(NORMAL_SCORES))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=1) > 0.0).all()
    held = grid_belief.hold_belief(fitted)
    assert sum(regime.probability for regime in held.regimes) == pytest.approx(1.0, abs=1e-9)
    assert 0.0 < held.volatility < math.inf
    # where returns are zero, |z| has a kink at loc = 0, and a search may not settle there
    if (np.abs(observations.log_return) > 1e-12).all():
        assert reached.converged
        for half_life, theta in zip(HALF_LIVES["belief"], reached.parameters["theta"], strict=True):
            problem = problem_of(observations, grid_belief.grid_in(reached.parameters), half_life)
            slope = SEARCH_SHARE * problem.prior.sd * objective(theta, problem)[1]
            np.testing.assert_allclose(slope, 0.0, atol=0.1)


def test_a_kernel_wider_than_the_grid_costs_no_more_than_one_as_wide(short_problem):
    """A search may look there, and a bell needs no points beyond the grid."""
    grid, sessions, weight, _ = short_problem
    wide, wider = THETA.copy(), THETA.copy()
    wide[NAMES.index("log_s")], wider[NAMES.index("log_s")] = 8.0, 20.0
    found = [log_likelihood(theta, grid, sessions, weight).value for theta in (wide, wider)]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_250_sessions_are_enough_and_249_are_named_as_too_few(short):
    assert len(fit("belief", short.first(250), None).parameters["theta"]) == 4
    with pytest.raises(FitError, match="249 returns are too few to fit; at least 250"):
        fit("belief", short.first(249), None)


def test_prices_that_do_not_move_are_refused():
    with pytest.raises(FitError, match="more than half of the returns are equal"):
        fit("belief", observed(np.zeros(400), np.zeros(400)), None)


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


def test_the_kernel_that_was_drawn_is_wider_than_the_least():
    spacing = POINT[1] - POINT[0]
    assert values_of(THETA, spacing).s < 1.2 * math.exp(TRUTH["log_s"])
    assert math.exp(TRUTH["log_s"]) > LEAST_STEP * spacing


def test_prices_that_often_stand_still_are_refused_with_another_model_named():
    log_return = np.random.default_rng(0).standard_t(5, 600) * 0.01
    still = np.where(np.arange(600) % 5 == 0, 0.0, log_return)
    with pytest.raises(FitError, match=r"20% of the returns are zero.*few_state_memory"):
        fit("grid_static", observed(still, np.abs(still) + 0.01), None)
    with pytest.raises(FitError, match="100% of the returns are zero"):
        fit("grid_static", observed(1e-12 * log_return, np.abs(log_return)), None)
