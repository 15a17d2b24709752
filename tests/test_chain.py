import math
import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, norm
from scipy.stats import t as student_t

from belief import chain, return_bins
from belief.drift import Drift
from belief.errors import FitError
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Outlook, quantiles_of_draws
from belief.observations import observe
from belief.sources import load_prices
from belief.transitions import weighted_memory

# every entry differs, so that a transposed or a missing step shows
MATRIX = np.array([[0.70, 0.25, 0.05], [0.15, 0.25, 0.60], [0.10, 0.38, 0.52]])
RESTLESS = np.array([[0.20, 0.35, 0.45], [0.40, 0.50, 0.10], [0.05, 0.20, 0.75]])
EDGES = np.array([0.008, 0.02])
NO_EVENTS = np.zeros((0, 504))
SURE = 1e9  # moves; so many leave no doubt about the matrix


@pytest.fixture(scope="module")
def nvda():
    return observe(load_prices("NVDA").until(np.datetime64("2024-03-01"))).log_return


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


def student_returns(seed, n, *, scale=0.02, dof=4.0):
    return 0.001 + scale * np.random.default_rng(seed).standard_t(dof, n)


def simulate(seed, transmat, *, edges=EDGES, scale=0.015, dof=5.0):
    """Returns whose size moves from bin to bin by transmat[t], by scipy's quantiles."""
    rng = np.random.default_rng(seed)
    index = [0]
    for matrix in transmat[:-1]:
        index.append(int(rng.choice(len(matrix), p=matrix[index[-1]])))
    bounds = student_t.cdf(np.concatenate([[0.0], edges, [np.inf]]) / scale, dof)
    low, high = bounds[:-1][index], bounds[1:][index]
    size = scale * student_t.ppf(low + (high - low) * rng.random(len(index)), dof)
    return size * rng.choice([-1.0, 1.0], len(index))


def slices(bins):
    """Lower and upper end of each bin on the line of r - loc, as a list of pieces."""
    if bins.signed:
        ends = [-np.inf, *bins.edges, np.inf]
        return [[piece] for piece in pairwise(ends)]
    ends = [0.0, *bins.edges, np.inf]
    return [[(-high, -low), (low, high)] for low, high in pairwise(ends)]


def chance_of(pieces, bins):
    """Probability of some pieces of the line under the pooled Student-t."""
    return sum(
        student_t.cdf(high / bins.scale, bins.dof) - student_t.cdf(low / bins.scale, bins.dof)
        for low, high in pieces
    )


def bin_of(log_return, bins):
    deviation = log_return - bins.loc
    for k, pieces in enumerate(slices(bins)):
        if any(low < deviation <= high for low, high in pieces):
            return k
    raise AssertionError(log_return)


def next_cdf(row, bins, deviation):
    """Distribution function of the next r - loc, piece by piece."""
    total = 0.0
    for share, pieces in zip(row, slices(bins), strict=True):
        below = chance_of([(low, np.clip(deviation, low, high)) for low, high in pieces], bins)
        total = total + share * below / chance_of(pieces, bins)
    return total


def one_matrix(fit, matrix):
    """The same chain with a single matrix."""
    return fit._replace(transitions=fit.transitions._replace(transmat=matrix[None]))


def reading(log_return, *, n_bins, signed):
    bins = chain.cut_bins(log_return, n_bins=n_bins, signed=signed)
    moves = chain.block_moves(log_return, bins)
    path = weighted_memory(moves, half_life=12.0, prior=10.0 * chain.static_matrix(moves))
    return chain.assemble(log_return, bins, path)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("n_bins", [3, 5, 7])
def test_the_density_out_of_every_bin_under_every_matrix_integrates_to_one(nvda, signed, n_bins):
    fit = reading(nvda, n_bins=n_bins, signed=signed)
    ends = np.unique([end for pieces in slices(fit.bins) for piece in pieces for end in piece])
    inside = [np.median(nvda[chain.bin_index(nvda, fit.bins) == k]) for k in range(n_bins)]
    inside = inside if signed else fit.bins.loc + np.append(fit.bins.edges, 0.3) * 0.999
    for matrix in (fit.transitions.transmat[-1], fit.transitions.transmat[100]):
        single = one_matrix(fit, matrix)
        for k, before in enumerate(inside):
            assert bin_of(before, fit.bins) == k

            def density(x, before=before, single=single):
                return math.exp(chain.log_predictive(single, np.array([before, x]))[1])

            # piece by piece: the density jumps at the edges
            mass = sum(
                quad(density, low, high, points=None, epsabs=1e-10)[0]
                for low, high in pairwise(fit.bins.loc + ends)
            )
            assert mass == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("signed", [False, True])
def test_the_log_predictive_is_that_of_a_plain_loop(nvda, signed):
    returns = nvda[-500:]
    fit = reading(returns[:400], n_bins=5, signed=signed)
    bins, transmat = fit.bins, fit.transitions.transmat
    index = [bin_of(value, bins) for value in returns]
    pieces = slices(bins)
    for t, found in enumerate(chain.log_predictive(fit, returns)):
        if t == 0:
            share = np.mean(np.array(index[:400]) == index[0])
        else:
            back = max((398 - (t - 1)) // 21, 0)  # blocks of moves, counted from the last
            share = transmat[len(transmat) - 1 - back, index[t - 1], index[t]]
        pooled = student_t.logpdf(returns[t], bins.dof, loc=bins.loc, scale=bins.scale)
        exact = math.log(share) + pooled - math.log(chance_of(pieces[index[t]], bins))
        assert found == pytest.approx(exact, abs=1e-9)


def test_moves_are_counted_in_blocks_aligned_to_the_end(nvda):
    returns = nvda[-500:]
    bins = chain.cut_bins(returns, n_bins=3)
    moves = chain.block_moves(returns, bins)
    index = [bin_of(value, bins) for value in returns]
    expected = np.zeros((24, 3, 3))
    for t in range(499):
        expected[23 - (498 - t) // 21, index[t], index[t + 1]] += 1
    np.testing.assert_array_equal(moves, expected)


def test_the_student_t_is_the_one_scipy_finds(nvda):
    for returns in (nvda[-2000:], student_returns(1, 300, dof=8.0)):
        loc, scale, dof = return_bins.student_fit(returns)
        there = student_t.fit(returns)
        reached = student_t.logpdf(returns, dof, loc=loc, scale=scale).sum()
        assert reached >= student_t.logpdf(returns, *there).sum() - 1e-6
        assert (dof, loc, scale) == pytest.approx(there, rel=2e-3, abs=1e-6)


def test_a_step_in_any_direction_lowers_the_likelihood_of_the_student_t(nvda):
    loc, scale, dof = return_bins.student_fit(nvda)
    best = student_t.logpdf(nvda, dof, loc=loc, scale=scale).sum()
    for a, b, c in ((1e-4, 1, 1), (-1e-4, 1, 1), (0, 1.01, 1), (0, 0.99, 1), (0, 1, 1.02)):
        assert student_t.logpdf(nvda, dof * c, loc=loc + a, scale=scale * b).sum() < best


@pytest.mark.parametrize("factor", [1e-6, 100.0])
def test_returns_in_another_unit_give_the_same_chain_in_that_unit(nvda, fit, factor):
    scaled = chain.fit_chain(factor * nvda)
    np.testing.assert_allclose(scaled.bins.edges, factor * fit.bins.edges, rtol=1e-6)
    np.testing.assert_allclose(scaled.transitions.transmat, fit.transitions.transmat, atol=1e-9)
    np.testing.assert_allclose(
        chain.log_predictive(scaled, factor * nvda),
        chain.log_predictive(fit, nvda) - math.log(factor),
        atol=1e-5,
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("n_bins", [3, 5, 7])
def test_bins_of_distinct_returns_hold_as_many_each(nvda, n_bins, signed):
    returns = student_returns(2, 1000)
    bins = chain.cut_bins(returns, n_bins=n_bins, signed=signed)
    size = np.bincount(chain.bin_index(returns, bins), minlength=n_bins)
    assert size.max() - size.min() <= 1
    expected = [chance_of(pieces, bins) for pieces in slices(bins)]
    np.testing.assert_allclose(bins.mass, expected, rtol=1e-10)


def coarse(returns, tick):
    return np.round(returns / tick) * tick


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("n_bins", [3, 5, 7])
@pytest.mark.parametrize("zeros", [0.0, 0.2, 0.44])
def test_bins_survive_zero_returns_and_coarse_prices(n_bins, signed, zeros):
    returns = coarse(student_returns(3, 1000, scale=0.03), 0.01 if zeros == 0.0 else 0.004)
    returns = returns + (0.0003 if zeros == 0.0 else 0.0)
    returns[: int(1000 * zeros)] = 0.0
    np.random.default_rng(0).shuffle(returns)
    fit = reading(returns, n_bins=n_bins, signed=signed)
    size = np.bincount(chain.bin_index(returns, fit.bins), minlength=n_bins)
    assert (np.diff(fit.bins.edges) > 0).all()
    assert size.min() > 1000 / (8 * n_bins)
    assert np.isfinite(chain.log_predictive(fit, returns)).all()
    # no return lies on an edge, so that rounding moves none to another bin
    deviation = returns - fit.bins.loc
    deviation = deviation if signed else np.abs(deviation)
    assert np.abs(deviation[:, None] - fit.bins.edges).min() > 1e-12


def test_returns_that_cannot_fill_the_bins_are_refused():
    up_and_down = np.tile([0.01, -0.01], 250)
    with pytest.raises(FitError, match="500 returns with 1 different sizes cannot fill 3 bins"):
        chain.fit_chain(up_and_down)


def test_returns_that_do_not_vary_are_refused():
    mostly_zero = np.where(np.arange(500) < 251, 0.0, student_returns(0, 500))
    for returns in (np.zeros(500), np.full(500, 0.001), mostly_zero):
        with pytest.raises(FitError, match="more than half of the returns are equal"):
            chain.fit_chain(returns)


def test_250_returns_are_enough_and_249_are_named_as_too_few():
    returns = student_returns(5, 250)
    for n_bins in (3, 5, 7):
        assert (chain.fit_chain(returns, n_bins=n_bins).transitions.transmat > 0).all()
    with pytest.raises(FitError, match="249 returns are too few to fit; at least 250"):
        chain.fit_chain(returns[1:])


def test_a_number_of_bins_without_names_is_refused():
    with pytest.raises(FitError, match="4 bins were asked for; the chain has 3, 5 or 7"):
        chain.fit_chain(student_returns(0, 300), n_bins=4)


@pytest.mark.parametrize("seed", range(3))
def test_the_matrix_behind_simulated_returns_is_recovered(seed):
    returns = simulate(seed, np.broadcast_to(MATRIX, (10_000, 3, 3)))
    pooled = chain.cut_bins(returns, n_bins=3)
    # the true edges: those of the fit are quantiles and mix the states
    bins = chain.Bins(False, EDGES, pooled.mass, 0.0, pooled.scale, pooled.dof)
    moves = chain.block_moves(returns, bins)
    np.testing.assert_allclose(chain.static_matrix(moves), MATRIX, atol=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_a_matrix_that_changed_is_followed_better_than_by_a_static_one(seed):
    share = np.linspace(0.0, 1.0, 6000)[:, None, None]
    truth = (1.0 - share) * MATRIX + share * RESTLESS
    returns = simulate(seed, np.concatenate([truth, np.repeat(truth[-1:], 2000, axis=0)]))
    fit = chain.fit_chain(returns[:6000])
    still = one_matrix(fit, fit.static_transmat)
    gain = chain.log_predictive(fit, returns) - chain.log_predictive(still, returns)
    assert gain[6000:].mean() > 0.01
    assert gain[:6000].sum() > 0.0


def test_a_bound_of_zero_is_the_static_chain(nvda):
    fit = chain.fit_chain(nvda, bound=0.0)
    still = np.broadcast_to(fit.static_transmat, fit.transitions.transmat.shape)
    np.testing.assert_allclose(fit.transitions.transmat, still, rtol=1e-12)


def test_no_probability_moves_by_more_than_the_bound(fit):
    change = np.abs(np.diff(fit.transitions.transmat, axis=0)).max()
    assert 0.99 * 21 * chain.BOUND < change <= 21 * chain.BOUND * (1 + 1e-6)


def test_the_static_matrix_is_the_frequency_of_moves_with_one_more_along_each_arrow(nvda, fit):
    index = [bin_of(value, fit.bins) for value in nvda]
    counts = np.ones((3, 3))
    for i, j in pairwise(index):
        counts[i, j] += 1
    expected = counts / counts.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fit.static_transmat, expected, rtol=1e-12)


def test_the_same_returns_give_the_same_bits_whatever_follows_them(nvda, fit):
    longer = np.append(nvda, np.full(50, 7.0))
    again = chain.fit_chain(longer[: len(nvda)])
    for left, right in zip(fit.transitions, again.transitions, strict=True):
        assert left.tobytes() == right.tobytes()
    assert fit.bins.edges.tobytes() == again.bins.edges.tobytes()


def test_the_density_of_a_return_knows_nothing_of_later_returns(nvda):
    fit = chain.fit_chain(nvda[:3000])
    spoiled = np.append(nvda[:3010], student_returns(0, 20, scale=0.5))
    np.testing.assert_array_equal(
        chain.log_predictive(fit, nvda[:3030])[:3010], chain.log_predictive(fit, spoiled)[:3010]
    )


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


sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))


def test_the_choice_of_settings_scores_every_candidate_and_never_sees_what_it_scores(
    monkeypatch, nvda
):
    import choose_chain

    for name, values in {"N_BINS": (3, 5), "HALF_LIVES": (250.0,), "BOUNDS": (0.0, 2e-4)}.items():
        monkeypatch.setattr(choose_chain, name, values)
    returns = nvda[:660].copy()
    before = choose_chain.walk(returns, 600, 650)
    # two readings, two numbers of bins, each under static, three priors and two bounds
    assert len(before) == 1 + 2 * 2 * 6
    assert {len(values) for values in before.values()} == {50}
    assert all(1.0 < values.mean() < 3.0 for values in before.values())
    returns[610:] = student_returns(0, 50)
    after = choose_chain.walk(returns, 600, 621)
    for name, values in after.items():
        np.testing.assert_array_equal(values[:10], before[name][:10])
