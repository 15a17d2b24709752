from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from belief.market import block_conditions, market_conditions, similarity
from belief.transitions import MIN_EFFECTIVE_MOVES, static, weighted_memory


def moves(seed, *, n_blocks=7, n_states=3, size=4.0):
    """Expected moves as an E-step leaves them: fractions, different in every block."""
    return np.random.default_rng(seed).gamma(0.6, size, size=(n_blocks, n_states, n_states))


def likeness(seed, *, n_blocks=7):
    """A similarity that is neither symmetric nor 1 on the diagonal; the part not read is NaN."""
    kernel = np.random.default_rng(seed).uniform(0.05, 1.0, size=(n_blocks, n_blocks))
    kernel[np.triu_indices(n_blocks, k=1)] = np.nan
    return kernel


def remembered_by_hand(counts, *, block, half_life, kernel):
    """Weights of the blocks 0..block and the moves they add up to, looked up one by one."""
    weights = [2.0 ** (-(block - a) / half_life) * kernel[block][a] for a in range(block + 1)]
    total = np.zeros(counts.shape[1:])
    for a, weight in enumerate(weights):
        for i in range(counts.shape[1]):
            for j in range(counts.shape[2]):
                total[i, j] += weight * counts[a, i, j]
    return np.array(weights), total


def direct_maximum(weighted_counts, prior):
    """The row-stochastic matrix that maximises the docstring's objective, found by SLSQP."""
    rows = []
    for count, pull in zip(weighted_counts, prior, strict=True):
        target = (count + pull) / np.max(count + pull)
        found = minimize(
            lambda row, target=target: -(target * np.log(row)).sum(),
            np.full(len(count), 1.0 / len(count)),
            jac=lambda row, target=target: -target / row,
            bounds=[(1e-9, 1.0)] * len(count),
            constraints={"type": "eq", "fun": lambda row: row.sum() - 1.0},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        rows.append(found.x)
    return np.array(rows)


@pytest.mark.parametrize("kernel", [None, likeness(11)], ids=["all alike", "kernel"])
@pytest.mark.parametrize("half_life", [0.7, 3.0, 40.0, np.inf])
@pytest.mark.parametrize("block", [0, 3, 6])
def test_every_block_maximises_the_weighted_objective(half_life, block, kernel):
    counts = moves(1, size=40.0)
    prior = np.random.default_rng(2).gamma(1.0, 1.0, size=(3, 3)) + 0.1
    path = weighted_memory(counts, half_life=half_life, prior=prior, similarity=kernel)
    assert not path.from_prior[block].any()
    ones = np.ones((7, 7))
    _, total = remembered_by_hand(
        counts, block=block, half_life=half_life, kernel=ones if kernel is None else kernel
    )
    np.testing.assert_allclose(path.transmat[block], direct_maximum(total, prior), atol=2e-5)
    np.testing.assert_allclose(path.counts[block], total + prior, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_blocks=st.integers(1, 9),
    n_states=st.integers(2, 5),
    half_life=st.floats(0.3, 100.0) | st.just(np.inf),
)
def test_the_path_is_what_a_double_loop_over_blocks_finds(seed, n_blocks, n_states, half_life):
    counts = moves(seed, n_blocks=n_blocks, n_states=n_states)
    kernel = likeness(seed, n_blocks=n_blocks)
    prior = np.random.default_rng(seed).uniform(0.1, 3.0, size=(n_states, n_states))
    path = weighted_memory(counts, half_life=half_life, prior=prior, similarity=kernel)
    for block in range(n_blocks):
        weights, total = remembered_by_hand(counts, block=block, half_life=half_life, kernel=kernel)
        for i in range(n_states):
            sizes = np.array([counts[a, i].sum() for a in range(block + 1)])
            effective = (weights @ sizes) ** 2 / (weights**2 @ sizes)
            row = prior[i] if effective < MIN_EFFECTIVE_MOVES else prior[i] + total[i]
            np.testing.assert_allclose(path.effective_size[block, i], effective, rtol=1e-12)
            np.testing.assert_allclose(path.counts[block, i], row, rtol=1e-12)
            np.testing.assert_allclose(path.transmat[block, i], row / row.sum(), rtol=1e-12)
            assert path.from_prior[block, i] == (effective < MIN_EFFECTIVE_MOVES)


def test_the_static_matrix_maximises_the_penalised_likelihood_of_all_moves():
    counts, prior = moves(3), np.full((3, 3), 0.8)
    np.testing.assert_allclose(
        static(counts, prior=prior), direct_maximum(counts.sum(axis=0), prior), atol=2e-5
    )


@pytest.mark.parametrize("half_life", [2.5, np.inf])
def test_no_similarity_means_that_all_blocks_are_alike(half_life):
    counts, prior = moves(12), np.full((3, 3), 0.4)
    conditions = np.random.default_rng(13).standard_normal((7, 3))
    plain = weighted_memory(counts, half_life=half_life, prior=prior)
    for kernel in (np.ones((7, 7)), similarity(conditions, bandwidth=np.inf)):
        alike = weighted_memory(counts, half_life=half_life, prior=prior, similarity=kernel)
        for expected, found in zip(plain, alike, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kernel", [None, likeness(14)], ids=["all alike", "kernel"])
@pytest.mark.parametrize("n_known", [1, 4, 6])
def test_a_block_uses_no_moves_and_no_likeness_after_it(kernel, n_known):
    counts, prior = moves(4), np.ones((3, 3))
    spoiled = counts.copy()
    spoiled[n_known:] = np.nan
    known = None if kernel is None else kernel[:n_known, :n_known]
    clean = weighted_memory(counts, half_life=5.0, prior=prior, similarity=kernel)
    dirty = weighted_memory(spoiled, half_life=5.0, prior=prior, similarity=kernel)
    prefix = weighted_memory(counts[:n_known], half_life=5.0, prior=prior, similarity=known)
    for whole, cut, short in zip(clean, dirty, prefix, strict=True):
        np.testing.assert_array_equal(whole[:n_known], cut[:n_known])
        np.testing.assert_array_equal(whole[:n_known], short)


def test_an_older_block_changes_every_matrix_after_it():
    counts, prior = moves(4, size=40.0), np.ones((3, 3))
    changed = counts.copy()
    changed[2, 0, 1] += 5.0
    before = weighted_memory(counts, half_life=5.0, prior=prior).transmat
    after = weighted_memory(changed, half_life=5.0, prior=prior).transmat
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (np.diff(after[2:, 0, 1] - before[2:, 0, 1]) < 0.0).all()
    assert (after[2:, 0, 1] > before[2:, 0, 1]).all()


def test_a_block_that_is_not_alike_changes_nothing():
    counts, prior = moves(4, size=40.0), np.ones((3, 3))
    changed = counts.copy()
    changed[2] += 50.0
    kernel = np.ones((7, 7))
    kernel[5, 2] = 0.0
    before, after = (
        weighted_memory(moved, half_life=5.0, prior=prior, similarity=kernel).transmat
        for moved in (counts, changed)
    )
    np.testing.assert_array_equal(before[5], after[5])
    assert (np.abs(before[[2, 3, 4, 6]] - after[[2, 3, 4, 6]]).max(axis=(1, 2)) > 0.01).all()


def test_an_infinite_half_life_is_the_static_estimate_of_the_blocks_so_far():
    counts, prior = moves(5, size=40.0), np.full((3, 3), 0.5)
    path = weighted_memory(counts, half_life=np.inf, prior=prior)
    for block in range(len(counts)):
        np.testing.assert_allclose(
            path.transmat[block], static(counts[: block + 1], prior=prior), rtol=1e-12
        )


@pytest.mark.parametrize("kernel", [None, np.tri(7)], ids=["all alike", "kernel"])
@pytest.mark.parametrize("half_life", [1e-4, 1e-320])
def test_a_tiny_half_life_leaves_the_frequency_of_the_block_itself(half_life, kernel):
    counts, prior = moves(6, size=40.0), np.full((3, 3), 0.5)
    path = weighted_memory(counts, half_life=half_life, prior=prior, similarity=kernel)
    for block in range(len(counts)):
        np.testing.assert_allclose(
            path.transmat[block], static(counts[block : block + 1], prior=prior), rtol=1e-12
        )


@pytest.mark.parametrize("kernel", [None, likeness(15)], ids=["all alike", "kernel"])
@pytest.mark.parametrize("least", [0.0, MIN_EFFECTIVE_MOVES])
def test_a_row_never_visited_is_the_prior_and_rests_on_no_moves(kernel, least):
    counts = moves(7)
    counts[:, 1] = 0.0
    prior = np.array([[1.0, 1.0, 1.0], [6.0, 3.0, 1.0], [1.0, 1.0, 1.0]])
    path = weighted_memory(
        counts, half_life=3.0, prior=prior, similarity=kernel, min_effective_moves=least
    )
    np.testing.assert_allclose(path.transmat[:, 1], [[0.6, 0.3, 0.1]] * len(counts), rtol=1e-12)
    np.testing.assert_array_equal(path.effective_size[:, 1], 0.0)
    assert (path.from_prior[:, 1] == (least > 0.0)).all()
    np.testing.assert_allclose(static(counts, prior=prior)[1], [0.6, 0.3, 0.1], rtol=1e-12)


def test_a_row_worth_too_few_moves_is_the_prior_exactly_and_says_so():
    counts = np.zeros((3, 2, 2))
    counts[:, 0] = [[1.0, 1.0], [2.0, 0.5], [0.3, 0.3]]
    counts[:, 1] = [[4.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    prior = np.array([[7.0, 3.0], [0.2, 0.1]])
    path = weighted_memory(counts, half_life=np.inf, prior=prior)
    np.testing.assert_allclose(path.effective_size[:, 0], [2.0, 4.5, 5.1], rtol=1e-12)
    assert path.from_prior.tolist() == [[True, False], [True, False], [False, False]]
    np.testing.assert_array_equal(path.counts[:2, 0], [prior[0], prior[0]])
    np.testing.assert_array_equal(path.transmat[:2, 0], [[0.7, 0.3], [0.7, 0.3]])
    # one at the threshold itself is trusted
    np.testing.assert_allclose(path.counts[0, 1], [4.2, 1.1], rtol=1e-12)
    np.testing.assert_allclose(path.counts[2, 0], [10.3, 4.8], rtol=1e-12)


def test_unlike_blocks_are_not_counted_as_memory():
    counts = np.full((4, 2, 2), 3.0)
    kernel = np.eye(4)
    kernel[3, 1] = 0.5
    path = weighted_memory(counts, half_life=np.inf, prior=np.ones((2, 2)), similarity=kernel)
    np.testing.assert_allclose(path.effective_size[:3], 6.0, rtol=1e-12)
    # 6 moves at weight 1 and 6 at a half: (6 + 3)^2 / (6 + 1.5)
    np.testing.assert_allclose(path.effective_size[3], 10.8, rtol=1e-12)


def test_no_row_falls_back_where_none_is_asked_to():
    counts, prior = moves(16, size=0.3), np.full((3, 3), 0.2)
    path = weighted_memory(counts, half_life=0.5, prior=prior, min_effective_moves=0.0)
    assert (path.effective_size < MIN_EFFECTIVE_MOVES).any()
    assert not path.from_prior.any()
    _, total = remembered_by_hand(counts, block=6, half_life=0.5, kernel=np.ones((7, 7)))
    np.testing.assert_allclose(path.counts[6], total + prior, rtol=1e-12)


def test_equally_weighted_moves_count_once_each():
    counts = moves(8)
    path = weighted_memory(counts, half_life=np.inf, prior=np.ones((3, 3)))
    np.testing.assert_allclose(
        path.effective_size, np.cumsum(counts.sum(axis=2), axis=0), rtol=1e-12
    )


def test_the_effective_size_is_that_of_kish_for_single_moves():
    counts = np.zeros((6, 2, 2))
    counts[:, 0, 0] = [3, 0, 2, 4, 0, 1]
    kernel = np.ones((6, 6))
    kernel[-1] = [0.9, 0.3, 0.1, 0.5, 1.0, 1.0]
    fade = 0.5 ** (np.arange(5, -1, -1) / 2.0)
    for likeness_of_last, given_kernel in ((np.ones(6), None), (kernel[-1], kernel)):
        weight = np.repeat(fade * likeness_of_last, [3, 0, 2, 4, 0, 1])
        path = weighted_memory(
            counts, half_life=2.0, prior=np.ones((2, 2)), similarity=given_kernel
        )
        assert path.effective_size[-1, 0] == pytest.approx(
            weight.sum() ** 2 / (weight**2).sum(), rel=1e-12
        )
        assert path.effective_size[-1, 0] < 10.0


CALM = np.array([[0.90, 0.10], [0.30, 0.70]])
WILD = np.array([[0.50, 0.50], [0.10, 0.90]])
LENGTH = 21
# calm for 5 years, wild for 10, then calm again for a year and a half
PERIODS = np.repeat([0, 1, 0], [60, 120, 18])


def market_that_returns(seed):
    """Returns and moves of a chain whose matrix, and the scale of returns, follow PERIODS."""
    rng = np.random.default_rng(seed)
    period = np.repeat(PERIODS, LENGTH)
    state = [0]
    for p in period:
        state.append(int(rng.random() < (CALM, WILD)[p][state[-1], 1]))
    counts = np.zeros((len(PERIODS), 2, 2))
    for move, (i, j) in enumerate(pairwise(state)):
        counts[move // LENGTH, i, j] += 1.0
    scale = np.array([[0.010, 0.015], [0.030, 0.045]])[np.append(period, 0), state]
    return scale * rng.standard_normal(len(state)), counts


@pytest.mark.parametrize("seed", range(5))
def test_a_market_that_returns_after_a_long_time_is_remembered_although_it_is_old(seed):
    log_return, counts = market_that_returns(seed)
    kernel = similarity(block_conditions(market_conditions(log_return), LENGTH), bandwidth=0.7)
    assert kernel[-1, :60].mean() > 5.0 * kernel[-1, 60:180].mean()
    forgotten = kernel.copy()
    forgotten[:, :60] = 0.0
    recent, alike, late = (
        weighted_memory(counts, half_life=120.0, prior=np.ones((2, 2)), similarity=given_kernel)
        for given_kernel in (None, kernel, forgotten)
    )
    assert (alike.effective_size[-1] > late.effective_size[-1]).all()
    assert not alike.from_prior[-1].any()
    distance = [np.abs(path.transmat[-1] - CALM).sum() for path in (recent, alike, late)]
    assert distance[1] < 0.65 * distance[0]
    assert distance[1] < distance[2]
    # and at the end of the wild years the calm ones before are out of mind
    distance = [np.abs(path.transmat[179] - WILD).sum() for path in (recent, alike)]
    assert distance[1] < distance[0]


def test_the_input_arrays_are_left_as_they_were():
    counts, prior, kernel = moves(9), np.ones((3, 3)), likeness(9)
    before, before_kernel = counts.copy(), kernel.copy()
    weighted_memory(counts, half_life=2.0, prior=prior, similarity=kernel)
    weighted_memory(counts, half_life=2.0, prior=prior)
    static(counts, prior=prior)
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(kernel, before_kernel)
    np.testing.assert_array_equal(prior, 1.0)


def test_counts_that_are_whole_numbers_fade_too():
    whole = np.array([[[8, 2], [1, 9]], [[2, 8], [9, 1]]])
    path = weighted_memory(whole, half_life=1.0, prior=np.ones((2, 2)))
    np.testing.assert_allclose(path.counts[1], [[7.0, 10.0], [10.5, 6.5]], rtol=1e-12)


@pytest.mark.parametrize("half_life", [0.0, -1.0, np.nan])
def test_a_half_life_that_is_not_positive_is_named(half_life):
    with pytest.raises(ValueError, match=f"half_life is {half_life}"):
        weighted_memory(moves(0), half_life=half_life, prior=np.ones((3, 3)))


@pytest.mark.parametrize("least", [-0.5, np.nan])
def test_a_negative_least_size_is_named(least):
    with pytest.raises(ValueError, match=f"min_effective_moves is {least}"):
        weighted_memory(moves(0), half_life=1.0, prior=np.ones((3, 3)), min_effective_moves=least)


@pytest.mark.parametrize("value", [-0.1, 1.5, np.nan, np.inf])
def test_a_similarity_out_of_range_is_named(value):
    kernel = np.ones((7, 7))
    kernel[4, 2] = value
    with pytest.raises(ValueError, match=f"similarity has the value {value}"):
        weighted_memory(moves(0), half_life=1.0, prior=np.ones((3, 3)), similarity=kernel)


def test_a_similarity_of_other_blocks_is_named():
    with pytest.raises(ValueError, match=r"similarity has shape \(6, 6\); counts wants \(7, 7\)"):
        weighted_memory(moves(0), half_life=1.0, prior=np.ones((3, 3)), similarity=np.ones((6, 6)))


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_prior_that_is_not_positive_is_named(value):
    prior = np.ones((3, 3))
    prior[1, 2] = value
    with pytest.raises(ValueError, match=f"prior has the count {value}"):
        weighted_memory(moves(0), half_life=1.0, prior=prior)


def test_a_prior_for_other_states_is_named():
    with pytest.raises(ValueError, match=r"prior has shape \(3,\); counts wants \(3, 3\)"):
        weighted_memory(moves(0), half_life=1.0, prior=np.ones(3))


@pytest.mark.parametrize("shape", [(0, 3, 3), (3, 3), (2, 3, 2)])
def test_counts_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match="counts has shape"):
        weighted_memory(np.ones(shape), half_life=1.0, prior=np.ones((3, 3)))
