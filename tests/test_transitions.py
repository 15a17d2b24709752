import numpy as np
import pytest
from scipy.optimize import minimize

from belief.transitions import static, weighted_memory


def moves(seed, *, n_blocks=7, n_states=3):
    """Expected moves as an E-step leaves them: fractions, different in every block."""
    return np.random.default_rng(seed).gamma(0.6, 4.0, size=(n_blocks, n_states, n_states))


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


@pytest.mark.parametrize("half_life", [0.7, 3.0, 40.0])
@pytest.mark.parametrize("block", [0, 3, 6])
def test_every_block_maximises_the_weighted_objective(half_life, block):
    counts = moves(1)
    prior = np.random.default_rng(2).gamma(1.0, 1.0, size=(3, 3)) + 0.1
    total = np.zeros((3, 3))
    for age in range(block + 1):
        total += 2.0 ** (-age / half_life) * counts[block - age]
    path = weighted_memory(counts, half_life=half_life, prior=prior)
    np.testing.assert_allclose(path.transmat[block], direct_maximum(total, prior), atol=2e-5)
    np.testing.assert_allclose(path.counts[block], total + prior, rtol=1e-12)


def test_the_static_matrix_maximises_the_penalised_likelihood_of_all_moves():
    counts, prior = moves(3), np.full((3, 3), 0.8)
    np.testing.assert_allclose(
        static(counts, prior=prior), direct_maximum(counts.sum(axis=0), prior), atol=2e-5
    )


def test_a_block_uses_no_moves_after_it():
    counts, prior = moves(4), np.ones((3, 3))
    spoiled = counts.copy()
    spoiled[4:] = np.nan
    clean = weighted_memory(counts, half_life=5.0, prior=prior)
    for whole, cut in zip(clean, weighted_memory(spoiled, half_life=5.0, prior=prior), strict=True):
        np.testing.assert_array_equal(whole[:4], cut[:4])


def test_an_older_block_changes_every_matrix_after_it():
    counts, prior = moves(4), np.ones((3, 3))
    changed = counts.copy()
    changed[2, 0, 1] += 5.0
    before = weighted_memory(counts, half_life=5.0, prior=prior).transmat
    after = weighted_memory(changed, half_life=5.0, prior=prior).transmat
    np.testing.assert_array_equal(before[:2], after[:2])
    assert (np.diff(after[2:, 0, 1] - before[2:, 0, 1]) < 0.0).all()
    assert (after[2:, 0, 1] > before[2:, 0, 1]).all()


def test_an_infinite_half_life_is_the_static_estimate_of_the_blocks_so_far():
    counts, prior = moves(5), np.full((3, 3), 0.5)
    path = weighted_memory(counts, half_life=np.inf, prior=prior)
    for block in range(len(counts)):
        np.testing.assert_allclose(
            path.transmat[block], static(counts[: block + 1], prior=prior), rtol=1e-12
        )


def test_a_tiny_half_life_leaves_the_frequency_of_the_block_itself():
    counts, prior = moves(6), np.full((3, 3), 0.5)
    path = weighted_memory(counts, half_life=1e-4, prior=prior)
    for block in range(len(counts)):
        np.testing.assert_allclose(
            path.transmat[block], static(counts[block : block + 1], prior=prior), rtol=1e-12
        )


def test_a_row_never_visited_is_the_prior_and_rests_on_no_moves():
    counts = moves(7)
    counts[:, 1] = 0.0
    prior = np.array([[1.0, 1.0, 1.0], [6.0, 3.0, 1.0], [1.0, 1.0, 1.0]])
    path = weighted_memory(counts, half_life=3.0, prior=prior)
    np.testing.assert_allclose(path.transmat[:, 1], [[0.6, 0.3, 0.1]] * len(counts), rtol=1e-12)
    np.testing.assert_array_equal(path.effective_size[:, 1], 0.0)
    np.testing.assert_allclose(static(counts, prior=prior)[1], [0.6, 0.3, 0.1], rtol=1e-12)


def test_equally_weighted_moves_count_once_each():
    counts = moves(8)
    path = weighted_memory(counts, half_life=np.inf, prior=np.ones((3, 3)))
    np.testing.assert_allclose(
        path.effective_size, np.cumsum(counts.sum(axis=2), axis=0), rtol=1e-12
    )


def test_the_effective_size_is_that_of_kish_for_single_moves():
    counts = np.zeros((6, 2, 2))
    counts[:, 0, 0] = [3, 0, 2, 4, 0, 1]
    weight = np.repeat(0.5 ** (np.arange(5, -1, -1) / 2.0), [3, 0, 2, 4, 0, 1])
    path = weighted_memory(counts, half_life=2.0, prior=np.ones((2, 2)))
    assert path.effective_size[-1, 0] == pytest.approx(
        weight.sum() ** 2 / (weight**2).sum(), rel=1e-12
    )
    assert path.effective_size[-1, 0] < 10.0


def test_the_input_arrays_are_left_as_they_were():
    counts, prior = moves(9), np.ones((3, 3))
    before = counts.copy()
    weighted_memory(counts, half_life=2.0, prior=prior)
    static(counts, prior=prior)
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(prior, 1.0)


@pytest.mark.parametrize("half_life", [0.0, -1.0, np.nan])
def test_a_half_life_that_is_not_positive_is_named(half_life):
    with pytest.raises(ValueError, match=f"half_life is {half_life}"):
        weighted_memory(moves(0), half_life=half_life, prior=np.ones((3, 3)))
