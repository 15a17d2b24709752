"""The chain of bins: what is read off a history, its density, and what is refused."""

import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from chained import MATRIX, bin_of, chance_of, nvda_returns, reading, slices
from scipy.integrate import quad
from scipy.stats import t as student_t

from belief import chain, return_bins
from belief.errors import FitError

RESTLESS = np.array([[0.20, 0.35, 0.45], [0.40, 0.50, 0.10], [0.05, 0.20, 0.75]])
EDGES = np.array([0.008, 0.02])


@pytest.fixture(scope="module")
def nvda():
    return nvda_returns()


@pytest.fixture(scope="module")
def fit(nvda):
    return chain.fit_chain(nvda)


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


def one_matrix(fit, matrix):
    """The same chain with a single matrix."""
    return fit._replace(transitions=fit.transitions._replace(transmat=matrix[None]))


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
