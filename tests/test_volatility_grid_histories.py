"""Histories of every kind: without events or ranges, in other units, odd, short or still."""

import math

import numpy as np
import pytest
from drawn_grids import at, drawn, objective, observed, wrapped

from belief import grid_belief
from belief.drift import Drift
from belief.errors import FitError
from belief.forecast import NORMAL_SCORES, Outlook
from belief.grid_forecast import forecast_quantiles
from belief.volatility_grid import NAMES, grid_of, typical_log_scale
from belief.volatility_grid_fit import (
    HALF_LIVES,
    SEARCH_SHARE,
    doubt_about,
    estimate,
    first_guess,
    fit,
    prior_of,
    problem_of,
    session_weights,
)

HORIZONS = (1, 2, 5, 21, 63, 252, 504)


@pytest.fixture(scope="module")
def short():
    return drawn(2, 700)


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


def test_250_sessions_are_enough_and_249_are_named_as_too_few(short):
    assert len(fit("belief", short.first(250), None).parameters["theta"]) == 4
    with pytest.raises(FitError, match="249 returns are too few to fit; at least 250"):
        fit("belief", short.first(249), None)


def test_prices_that_do_not_move_are_refused():
    with pytest.raises(FitError, match="more than half of the returns are equal"):
        fit("belief", observed(np.zeros(400), np.zeros(400)), None)


def test_prices_that_often_stand_still_are_refused_with_another_model_named():
    log_return = np.random.default_rng(0).standard_t(5, 600) * 0.01
    still = np.where(np.arange(600) % 5 == 0, 0.0, log_return)
    with pytest.raises(FitError, match=r"20% of the returns are zero.*few_state_memory"):
        fit("grid_static", observed(still, np.abs(still) + 0.01), None)
    with pytest.raises(FitError, match="100% of the returns are zero"):
        fit("grid_static", observed(1e-12 * log_return, np.abs(log_return)), None)
