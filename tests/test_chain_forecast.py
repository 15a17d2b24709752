"""The belief of a fitted chain, and the quantiles and paths that follow from it."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from chained import MATRIX, bin_of, chance_of, nvda_returns, reading, slices
from scipy.integrate import quad
from scipy.stats import kstest, norm
from scipy.stats import t as student_t

from belief import chain
from belief.drift import Drift
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Outlook, quantiles_of_draws

NO_EVENTS = np.zeros((0, 504))
SURE = 1e9  # moves; so many leave no doubt about the matrix


@pytest.fixture(scope="module")
def nvda():
    return nvda_returns()


@pytest.fixture(scope="module")
def fit(nvda):
    return chain.fit_chain(nvda)


@pytest.fixture(scope="module")
def fitted(fit, nvda):
    return fitted_model(chain.model_parameters(fit, nvda), len(nvda))


def fitted_model(parameters, n_sessions):
    return FittedModel(
        model="chain",
        symbol="XYZ",
        parameters=parameters,
        log_likelihood=0.0,
        n_iter=1,
        converged=True,
        trained_from=np.datetime64("2010-01-04"),
        trained_through=np.datetime64("2024-03-01"),
        known_through=np.datetime64("2024-03-01"),
        n_sessions=n_sessions,
        fingerprint="0" * 64,
    )


def next_cdf(row, bins, deviation):
    """Distribution function of the next r - loc, piece by piece."""
    total = 0.0
    for share, pieces in zip(row, slices(bins), strict=True):
        below = chance_of([(low, np.clip(deviation, low, high)) for low, high in pieces], bins)
        total = total + share * below / chance_of(pieces, bins)
    return total


def test_what_is_in_force_is_the_last_block_and_what_it_said_before_the_last_session(nvda, fit):
    parameters = chain.model_parameters(fit, nvda)
    now = fit.transitions.transmat[-1]
    today, before = bin_of(nvda[-1], fit.bins), bin_of(nvda[-2], fit.bins)
    assert parameters["filtered"].tolist() == [float(k == today) for k in range(3)]
    np.testing.assert_array_equal(parameters["predicted"], now[before])
    counts = parameters["transition_counts"]
    np.testing.assert_allclose(counts / counts.sum(axis=1, keepdims=True), now, rtol=1e-9)


def test_signed_bins_hold_no_belief(nvda):
    with pytest.raises(ValueError, match="the bins are signed"):
        chain.model_parameters(reading(nvda, n_bins=3, signed=True), nvda)


def test_the_belief_is_certain_and_its_volatility_is_that_of_the_next_session(fit, fitted, nvda):
    belief = chain.hold_belief(fitted)
    now, bins = fit.transitions.transmat[-1], fit.bins
    names = ["small move", "medium move", "large move"]
    assert [regime.name for regime in belief.regimes] == names
    assert belief.regime.name == names[bin_of(nvda[-1], bins)]
    assert belief.regime.probability == 1.0
    assert str(belief.entropy) == "0.0"
    assert sum(regime.before for regime in belief.regimes) == pytest.approx(1.0, abs=1e-12)
    for k, regime in enumerate(belief.regimes):
        variance = 0.0
        for share, pieces in zip(now[k], slices(bins), strict=True):
            moment = sum(
                quad(
                    lambda x: x**2 * student_t.pdf(x, bins.dof, scale=bins.scale),
                    *piece,
                    epsabs=1e-14,
                    limit=500,
                )[0]
                for piece in pieces
            )
            variance += share * moment / chance_of(pieces, bins)
        assert regime.volatility == pytest.approx(math.sqrt(252 * variance), rel=1e-5)
        assert regime.remaining_sessions == pytest.approx(1 / (1 - now[k, k]), rel=1e-12)
    assert belief.volatility == belief.regime.volatility
    assert belief.volatility_interval_90 == (belief.volatility, belief.volatility)
    np.testing.assert_array_equal(belief.transition_matrix, now)
    np.testing.assert_array_equal(belief.static_transition_matrix, fit.static_transmat)


@pytest.mark.parametrize("n_bins", [3, 5, 7])
def test_the_command_line_prints_the_belief_in_straight_columns(nvda, capsys, prices, n_bins):
    from belief_tools.belief_table import print_belief

    fit = chain.fit_chain(nvda, n_bins=n_bins, bound=0.0)
    held = chain.hold_belief(fitted_model(chain.model_parameters(fit, nvda), len(nvda)))
    print_belief(
        held,
        SimpleNamespace(
            prices=prices,
            age_in_days=None,
            belief_notes=[],
            model_in_words="chain",
            scheduled_events=lambda _: [],
        ),
    )
    lines = capsys.readouterr().out.splitlines()
    assert sum("100.0%" in line for line in lines) == 1
    start = next(k for k, line in enumerate(lines) if line.startswith("regime "))
    assert len({len(line) for line in lines[start : start + n_bins + 1]}) == 1


def narrow(fit, nvda, *, matrix=MATRIX, last=1):
    """A fitted model of a known matrix without doubt, its last session in bin `last`."""
    parameters = dict(chain.model_parameters(fit, nvda))
    parameters["transmat"] = matrix[None]
    parameters["transition_counts"] = SURE * matrix
    parameters["filtered"] = np.eye(3)[last]
    return fitted_model(parameters, len(nvda))


@pytest.mark.parametrize("last", range(3))
def test_quantiles_of_the_next_session_are_those_of_the_exact_distribution(fit, nvda, last):
    fitted = narrow(fit, nvda, last=last)
    outlook = Outlook(Drift(mean=0.0003, sd=0.0), NO_EVENTS)
    found = chain.forecast_quantiles(fitted, [1], outlook, np.random.default_rng(0))[0]
    # the lower half, where a distribution function keeps its digits; the upper is its mirror
    below = next_cdf(MATRIX[last], fit.bins, found[:181] - outlook.drift.mean)
    np.testing.assert_allclose(below, norm.cdf(NORMAL_SCORES[:181]), rtol=1e-3)
    np.testing.assert_allclose(found + found[::-1], 2 * outlook.drift.mean, atol=1e-12)


@pytest.mark.parametrize("position", [60, 120, 180, 240, 300])
def test_doubt_about_the_drift_is_a_normal_added_to_the_next_session(fit, nvda, position):
    outlook = Outlook(Drift(mean=-0.001, sd=0.01), NO_EVENTS)
    fitted = narrow(fit, nvda)
    found = chain.forecast_quantiles(fitted, [1], outlook, np.random.default_rng(0))[0]
    node = norm.ppf((np.arange(400) + 0.5) / 400)
    x = found[position] - outlook.drift.mean
    exact = np.mean(next_cdf(MATRIX[1], fit.bins, x - outlook.drift.sd * node))
    assert norm.ppf(exact) == pytest.approx(NORMAL_SCORES[position], abs=0.01)


def two_step_cdf(bins, last, x, *, points=400):
    """P(the sum of two deviations <= x), the first one on a grid of scipy's quantiles."""
    total = 0.0
    level = (np.arange(points) + 0.5) / points
    for j, pieces in enumerate(slices(bins)):
        low, high = student_t.cdf(np.array(pieces[1]) / bins.scale, bins.dof)
        size = bins.scale * student_t.ppf(low + (high - low) * level, bins.dof)
        first = np.append(size, -size)
        total += MATRIX[last, j] * np.mean(next_cdf(MATRIX[j], bins, x - first))
    return total


@pytest.mark.parametrize("last", [0, 2])
def test_two_simulated_sessions_have_the_exact_distribution(fit, nvda, last):
    fitted = narrow(fit, nvda, last=last)
    first, drawn = chain.simulate_deviations(fitted.parameters, [1, 2], np.random.default_rng(1))
    points = np.array([-0.1, -0.05, -0.02, -0.008, 0.004, 0.015, 0.03, 0.07])
    exact = [two_step_cdf(fit.bins, last, x) for x in points]
    found = (drawn[:, None] <= points).mean(axis=0)
    np.testing.assert_allclose(found, exact, atol=0.015)
    grid = np.sort(first)
    exact_first = next_cdf(MATRIX[last], fit.bins, grid[::100])
    np.testing.assert_allclose(exact_first, np.arange(0.0, 1.0, 0.01), atol=0.017)


def test_simulated_bins_follow_the_matrix_for_many_sessions(fit, nvda):
    # one draw per bin: the size says which bin it was
    fitted = narrow(fit, nvda, last=2)
    parameters = {**fitted.parameters, "size_quantile": np.full((3, len(chain.LOGITS)), 1.0)}
    parameters["size_quantile"] *= np.array([[1.0], [10.0], [100.0]])
    steps = [1, 2, 5, 30]
    drawn = chain.simulate_deviations(parameters, steps, np.random.default_rng(3))
    square = np.array([1.0, 1e2, 1e4])
    for total, n in zip(drawn, steps, strict=True):
        powers = [np.linalg.matrix_power(MATRIX, k)[2] for k in range(1, n + 1)]
        assert np.mean(total**2) == pytest.approx(np.sum(powers @ square), rel=0.04)


def test_doubt_about_the_matrix_is_in_the_simulation(fit, nvda):
    sure, unsure = narrow(fit, nvda), narrow(fit, nvda)
    parameters = {**unsure.parameters, "transition_counts": 2.0 * MATRIX}
    parameters["size_quantile"] = np.broadcast_to([[1.0], [1.0], [50.0]], (3, len(chain.LOGITS)))
    known = {**parameters, "transition_counts": sure.parameters["transition_counts"]}
    # whether large moves come in crowds or not at all: the spread of the spread
    spread = [
        np.mean(chain.simulate_deviations(p, [40], np.random.default_rng(0)) ** 4)
        / np.mean(chain.simulate_deviations(p, [40], np.random.default_rng(0)) ** 2) ** 2
        for p in (parameters, known)
    ]
    assert spread[0] > 1.2 * spread[1]


def test_quantiles_rise_are_finite_and_lie_evenly_around_the_drift(fitted):
    outlook = Outlook(Drift(mean=0.0004, sd=0.0003), NO_EVENTS)
    horizons = [1, 2, 5, 21, 504]
    found = chain.forecast_quantiles(fitted, horizons, outlook, np.random.default_rng(0))
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=1) > 0).all()
    for row, horizon in zip(found, horizons, strict=True):
        assert row[180] == pytest.approx(horizon * outlook.drift.mean, abs=1e-12)
        np.testing.assert_allclose(row + row[::-1], 2 * horizon * outlook.drift.mean, atol=1e-9)


def test_doubt_about_the_drift_widens_a_long_forecast(fitted):
    wide, tight = (
        chain.forecast_quantiles(
            fitted, [252], Outlook(Drift(0.0, sd), NO_EVENTS), np.random.default_rng(0)
        )[0]
        for sd in (0.002, 0.0)
    )
    inner = slice(120, 241)  # a normal of 252 * 0.002 = 0.5 beside the chain's own spread
    spread = [np.polyfit(NORMAL_SCORES[inner], row[inner], 1)[0] for row in (wide, tight)]
    assert spread[0] == pytest.approx(math.hypot(spread[1], 0.504), rel=0.04)


def test_a_forecast_is_the_same_bits_alone_beside_longer_ones_and_from_json(fitted):
    outlook = Outlook(Drift(mean=0.0004, sd=0.0003), NO_EVENTS)
    reread = FittedModel.from_json(fitted.to_json())
    both = chain.forecast_quantiles(fitted, [1, 5, 21], outlook, np.random.default_rng(0))
    alone = chain.forecast_quantiles(reread, [1, 5], outlook, np.random.default_rng(0))
    assert alone.tobytes() == both[:2].tobytes()
    assert chain.hold_belief(reread).to_dict() == chain.hold_belief(fitted).to_dict()


@pytest.mark.parametrize("law", [norm(0.01, 0.2), student_t(3.0, 0.01, 0.2)])
def test_quantiles_of_draws_are_those_of_their_law(law):
    draws = law.ppf((np.random.default_rng(0).permutation(20_000) + 0.5) / 20_000)
    found, exact = quantiles_of_draws(draws), law.ppf(norm.cdf(NORMAL_SCORES))
    inner = np.abs(NORMAL_SCORES) <= 3.0
    np.testing.assert_allclose(found[inner], exact[inner], rtol=0.01, atol=1e-3)
    # beyond the draws the power law: right for Student-t, too wide for the normal
    np.testing.assert_allclose(found[~inner], exact[~inner], rtol=0.25)
    assert (np.diff(found) > 0).all()


def test_quantiles_of_random_draws_lie_within_their_sampling_error():
    draws = np.random.default_rng(4).normal(0.0, 1.0, 20_000)
    assert kstest(draws, norm.cdf).pvalue > 0.01
    inner = np.abs(NORMAL_SCORES) <= 2.0
    np.testing.assert_allclose(quantiles_of_draws(draws)[inner], NORMAL_SCORES[inner], atol=0.06)
