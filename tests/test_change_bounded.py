import time

import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.change_bounded import _barrier, _row_path, change_bounded, two_way
from belief.transitions import static

# Prior counts of every size, row by row, down to those that hardly keep a probability off 0.
PRIOR_SIZE = np.array([1e-4, 30.0, 1.0, 0.02, 300.0])


def soft(seed, *, n_blocks=40, n_states=3, size=6.0):
    """Expected moves as an E-step leaves them; the last row is seldom visited."""
    counts = np.random.default_rng(seed).gamma(0.6, size, size=(n_blocks, n_states, n_states))
    counts[:, -1] *= np.arange(n_blocks)[:, None] % 7 == 3
    return counts


def daily(seed, *, n_sessions=60, n_states=3, stay=0.8):
    """One move a session; the last state is seldom reached and what comes after it drifts."""
    rng = np.random.default_rng(seed)
    counts, state = np.zeros((n_sessions, n_states, n_states)), 0
    appeal = np.append(np.ones(n_states - 1), 0.2)
    for t in range(n_sessions):
        row = appeal * (1.0 + np.sin(0.1 * t + np.arange(n_states)) ** 2)
        row = (1.0 - stay) * row / row.sum() + stay * np.eye(n_states)[state]
        move = rng.choice(n_states, p=row)
        counts[t, state, move] = 1.0
        state = move
    return counts


def uneven_prior(n_states):
    rng = np.random.default_rng(n_states)
    return PRIOR_SIZE[:n_states, None] * rng.uniform(0.5, 1.5, size=(n_states, n_states))


def with_share(counts, prior):
    return counts + prior / len(counts)


def log_likelihood(counts, path):
    return float((counts * np.log(path)).sum())


def assert_allowed(path, bound):
    """A path of distributions (B, ..., K) that keeps the bound."""
    np.testing.assert_allclose(path.sum(axis=-1), 1.0, rtol=0.0, atol=1e-12)
    assert (path > 0.0).all()
    assert np.abs(np.diff(path, axis=0)).max(initial=0.0) <= bound + 1e-12


@pytest.mark.parametrize("bound", [1e-4, 2e-3, 0.04, 0.3])
@pytest.mark.parametrize("make", [soft, daily])
@pytest.mark.parametrize("n_states", [2, 3, 4, 5])
def test_no_path_under_the_bound_is_likelier_says_a_convex_solver(n_states, make, bound):
    prior = uneven_prior(n_states)
    moves = make(n_states, n_states=n_states)
    path = change_bounded(moves, bound=bound, prior=prior).transmat
    assert_allowed(path, bound)
    counts = with_share(moves, prior)
    for i in range(n_states):
        reached = log_likelihood(counts[:, i], path[:, i])
        best, pull = oracles.solve_path(counts[:, i], bound=bound)
        ceiling = oracles.likelihood_ceiling(counts[:, i], pull, bound=bound)
        assert reached == pytest.approx(best, rel=0.0, abs=1e-6)
        assert -1e-9 <= ceiling - reached <= 1e-6
        if n_states > 2:
            # the barrier leaves multipliers that prove more than the solver can
            pull = oracles.pull_of(counts[:, i], path[:, i])
            ceiling = oracles.likelihood_ceiling(counts[:, i], pull, bound=bound)
            assert ceiling - reached <= 5e-8


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_blocks=st.integers(2, 40),
    n_outcomes=st.integers(3, 5),
    log_bound=st.floats(-6.0, 0.0),
    log_size=st.floats(-1.0, 2.0),
    log_prior=st.floats(-3.0, 3.0),
    seen=st.floats(0.05, 1.0),
)
def test_the_multipliers_of_the_path_itself_prove_that_none_is_likelier(
    seed, n_blocks, n_outcomes, log_bound, log_size, log_prior, seen
):
    rng = np.random.default_rng(seed)
    counts = rng.gamma(0.6, 10.0**log_size, size=(n_blocks, n_outcomes))
    counts *= rng.dirichlet(np.full(n_outcomes, 0.4)) * (rng.random((n_blocks, 1)) < seen)
    counts += 10.0**log_prior * rng.uniform(0.1, 1.0, size=n_outcomes) / n_blocks
    bound = 10.0**log_bound
    path = _row_path(counts, bound, counts.sum(axis=0))
    assert_allowed(path, bound)
    reached = log_likelihood(counts, path)
    ceiling = oracles.likelihood_ceiling(counts, oracles.pull_of(counts, path), bound=bound)
    assert -1e-9 * max(1.0, abs(reached)) <= ceiling - reached <= 1e-6


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_blocks=st.integers(2, 60),
    bound=st.floats(1e-5, 0.5),
    prior=st.floats(1e-3, 1e3),
    hard=st.booleans(),
)
def test_for_two_outcomes_the_dynamic_program_and_the_barrier_agree(
    seed, n_blocks, bound, prior, hard
):
    rng = np.random.default_rng(seed)
    counts = rng.gamma(0.6, 5.0, size=(n_blocks, 2))
    if hard:
        counts = np.eye(2)[rng.integers(2, size=n_blocks)]
    counts = with_share(counts, prior * rng.uniform(0.1, 1.0, size=2))
    exact = _row_path(counts, bound, counts.sum(axis=0))
    near = _barrier(counts, bound)
    for path in (exact, near):
        assert_allowed(path, bound)
    reached = log_likelihood(counts, exact)
    # the barrier stays 1e-8 away from the bounds' full use and never beats the exact path
    assert -1e-10 * max(1.0, abs(reached)) <= reached - log_likelihood(counts, near) <= 2e-8
    ceiling = oracles.likelihood_ceiling(counts, oracles.pull_of(counts, near), bound=bound)
    assert ceiling - reached <= 1e-6


@pytest.mark.parametrize("n_states", [2, 3, 4, 5])
def test_bound_zero_is_the_frequency_of_all_moves_in_every_block(n_states):
    moves, prior = soft(1, n_states=n_states), uneven_prior(n_states)
    path = change_bounded(moves, bound=0.0, prior=prior)
    expected = np.broadcast_to(static(moves, prior=prior), moves.shape)
    np.testing.assert_array_equal(path.transmat, expected)


@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_a_tiny_bound_comes_near_bound_zero(n_states):
    moves, prior = soft(1, n_states=n_states), np.full((n_states, n_states), 0.5)
    still = change_bounded(moves, bound=0.0, prior=prior).transmat
    for bound in (1e-12, 1e-8):
        path = change_bounded(moves, bound=bound, prior=prior).transmat
        assert_allowed(path, bound)
        np.testing.assert_allclose(path, still, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("bound", [1.0, 7.5, np.inf])
@pytest.mark.parametrize("n_states", [2, 3, 5])
def test_a_bound_of_one_or_more_is_the_frequency_in_each_block(n_states, bound):
    moves, prior = soft(2, n_states=n_states), np.full((n_states, n_states), 0.7)
    path = change_bounded(moves, bound=bound, prior=prior).transmat
    counts = with_share(moves, prior)
    np.testing.assert_allclose(
        path, counts / counts.sum(axis=2, keepdims=True), rtol=0.0, atol=1e-6
    )


@pytest.mark.parametrize("make", [soft, daily])
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_the_likelihood_never_falls_as_the_bound_grows(n_states, make):
    moves, prior = make(3, n_states=n_states), np.full((n_states, n_states), 0.2)
    moves[: len(moves) // 2, 0] = moves[: len(moves) // 2, 0, ::-1]
    counts = with_share(moves, prior)
    reached = [
        log_likelihood(counts, change_bounded(moves, bound=bound, prior=prior).transmat)
        for bound in (0.0, *np.geomspace(1e-7, 1.0, 22))
    ]
    assert (np.diff(reached) > -1e-7).all()
    assert reached[-1] > reached[0] + 1.0


@pytest.mark.parametrize("bound", [0.0, 0.01, 1.0])
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_a_row_never_visited_is_the_prior_and_says_so(n_states, bound):
    moves, prior = soft(4, n_states=n_states), uneven_prior(n_states)
    moves[:, 1] = 0.0
    path = change_bounded(moves, bound=bound, prior=prior)
    row = np.broadcast_to(prior[1] / prior[1].sum(), moves[:, 1].shape)
    np.testing.assert_allclose(path.transmat[:, 1], row, rtol=1e-12)
    assert path.from_prior.shape == moves.shape[:2]
    assert (path.from_prior == (np.arange(n_states) == 1)).all()
    np.testing.assert_array_equal(path.effective_size[:, 1], 0.0)


@pytest.mark.parametrize("bound", [1e-3, 0.1])
@pytest.mark.parametrize("n_states", [2, 3, 4, 5])
def test_renaming_the_states_renames_the_result(n_states, bound):
    moves, prior = soft(5, n_states=n_states), uneven_prior(n_states)
    plain = change_bounded(moves, bound=bound, prior=prior)
    order = np.random.default_rng(n_states + 1).permutation(n_states)[::-1]
    grid = np.ix_(np.arange(len(moves)), order, order)
    renamed = change_bounded(moves[grid], bound=bound, prior=prior[np.ix_(order, order)])
    counts = with_share(moves, prior)
    np.testing.assert_allclose(renamed.transmat, plain.transmat[grid], rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(renamed.effective_size, plain.effective_size[:, order], rtol=1e-3)
    assert log_likelihood(counts[grid], renamed.transmat) == pytest.approx(
        log_likelihood(counts, plain.transmat), rel=0.0, abs=1e-7
    )


@pytest.mark.parametrize("factor", [0.01, 64.0])
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_as_many_times_the_moves_and_the_prior_leave_the_path_as_it_is(n_states, factor):
    moves, prior = soft(6, n_states=n_states), np.full((n_states, n_states), 0.5)
    plain = change_bounded(moves, bound=0.02, prior=prior)
    scaled = change_bounded(factor * moves, bound=0.02, prior=factor * prior)
    np.testing.assert_allclose(scaled.transmat, plain.transmat, rtol=0.0, atol=1e-4)
    counts = with_share(moves, prior)
    assert log_likelihood(counts, scaled.transmat) == pytest.approx(
        log_likelihood(counts, plain.transmat), rel=0.0, abs=2e-6
    )


def test_the_past_read_backwards_is_the_path_backwards():
    moves, prior = soft(7), np.full((3, 3), 0.5)
    forth, back = (
        change_bounded(given, bound=0.02, prior=prior).transmat for given in (moves, moves[::-1])
    )
    np.testing.assert_allclose(back[::-1], forth, rtol=0.0, atol=1e-5)
    for counts in (moves[:, 0, :2], moves[:, 1, 1:]):
        forth, back = (_row_path(c + 0.01, 0.02, c.sum(axis=0)) for c in (counts, counts[::-1]))
        np.testing.assert_allclose(back[::-1], forth, rtol=0.0, atol=1e-9)


def test_one_block_is_its_frequency_whatever_the_bound():
    moves, prior = soft(8, n_blocks=1), uneven_prior(3)
    for bound in (0.0, 0.1, 1.0):
        path = change_bounded(moves, bound=bound, prior=prior)
        np.testing.assert_array_equal(path.transmat[0], static(moves, prior=prior))


def test_the_same_counts_give_the_same_bits_and_are_left_as_they_were():
    moves, prior = soft(9), uneven_prior(3)
    kept, kept_prior = moves.copy(), prior.copy()
    first, again = (change_bounded(moves, bound=0.01, prior=prior) for _ in range(2))
    for left, right in zip(first, again, strict=True):
        assert left.tobytes() == right.tobytes()
    np.testing.assert_array_equal(moves, kept)
    np.testing.assert_array_equal(prior, kept_prior)


def pairs(seed, *, hard, n_blocks=48):
    """Outcomes whose probability wanders; now and then a block has none."""
    rng = np.random.default_rng(seed)
    p = 0.5 + 0.4 * np.sin(np.arange(n_blocks) / 6.0 + seed)
    if hard:
        return np.eye(2)[(rng.random(n_blocks) > p).astype(int)]
    return np.column_stack([p, 1.0 - p]) * rng.gamma(0.8, 6.0, size=(n_blocks, 1))


def faded(counts, prior, forget):
    """Counts with their prior, weighted as the last of the blocks remembers them."""
    age = np.arange(len(counts) - 1, -1, -1)
    return (counts + prior) * forget ** age[:, None]


def both(first):
    return np.column_stack([first, 1.0 - first])


@pytest.mark.parametrize("forget", [1.0, 0.9, 0.4])
@pytest.mark.parametrize("bound", [1e-3, 0.02, 0.15, 0.6])
@pytest.mark.parametrize("hard", [False, True])
def test_the_online_estimate_ends_the_likeliest_path_of_the_blocks_so_far(hard, bound, forget):
    counts, prior = pairs(1, hard=hard), np.array([0.3, 0.2])
    online = two_way(counts, bound=bound, prior=prior, forget=forget).online
    for b in range(len(counts)):
        path = two_way(counts[: b + 1], bound=bound, prior=prior, forget=forget).smoothed
        weighted = faded(counts[: b + 1], prior, forget)
        assert path[-1] == online[b]
        assert_allowed(both(path), bound)
        # the blocks tied to the last one pull it neither up nor down
        free = np.flatnonzero(np.abs(np.diff(path)) < bound - 1e-9)
        tied = slice(free[-1] + 1 if len(free) else 0, None)
        up, down = (weighted / both(path))[tied].T
        curvature = (up / path[tied] + down / (1.0 - path[tied])).sum()
        assert abs((up - down).sum()) / curvature < 1e-9
        pull = oracles.pull_of(weighted, both(path))
        ceiling = oracles.likelihood_ceiling(weighted, pull, bound=bound)
        assert ceiling - log_likelihood(weighted, both(path)) < 1e-7


@pytest.mark.parametrize("forget", [1.0, 0.93])
@pytest.mark.parametrize("bound", [2e-3, 0.05])
@pytest.mark.parametrize("hard", [False, True])
def test_no_two_way_path_is_likelier_says_a_convex_solver(hard, bound, forget):
    counts, prior = pairs(2, hard=hard), np.array([0.3, 0.2])
    estimate = two_way(counts, bound=bound, prior=prior, forget=forget)
    assert_allowed(both(estimate.smoothed), bound)
    assert estimate.smoothed[-1] == estimate.online[-1]
    weighted = faded(counts, prior, forget)
    reached = log_likelihood(weighted, both(estimate.smoothed))
    best, pull = oracles.solve_path(weighted, bound=bound)
    assert reached == pytest.approx(best, rel=0.0, abs=1e-6)
    assert oracles.likelihood_ceiling(weighted, pull, bound=bound) - reached <= 1e-6


@pytest.mark.parametrize("n_known", [1, 7, 30])
def test_what_comes_later_changes_no_bit_of_the_online_estimate(n_known):
    counts, prior = pairs(3, hard=True), np.array([0.1, 0.1])
    spoiled = counts.copy()
    spoiled[n_known:] = 1e6 * pairs(4, hard=False)[n_known:]
    whole, other, prefix = (
        two_way(given, bound=0.03, prior=prior, forget=0.97).online[:n_known]
        for given in (counts, spoiled, counts[:n_known])
    )
    assert whole.tobytes() == prefix.tobytes() == other.tobytes()


@pytest.mark.parametrize("forget", [1.0, 0.9, 0.2])
def test_with_bound_zero_the_online_estimate_is_the_faded_frequency_so_far(forget):
    counts, prior = pairs(5, hard=True), np.array([0.3, 0.2])
    estimate = two_way(counts, bound=0.0, prior=prior, forget=forget)
    for b in range(len(counts)):
        total = faded(counts[: b + 1], prior, forget).sum(axis=0)
        assert estimate.online[b] == pytest.approx(total[0] / total.sum(), rel=0.0, abs=1e-10)
    np.testing.assert_array_equal(estimate.smoothed, estimate.online[-1])


@pytest.mark.parametrize("bound", [1.0, np.inf])
def test_with_a_bound_of_one_every_block_stands_alone(bound):
    counts, prior = pairs(6, hard=False), np.array([0.3, 0.2])
    estimate = two_way(counts, bound=bound, prior=prior, forget=0.7)
    alone = (counts + prior)[:, 0] / (counts + prior).sum(axis=1)
    np.testing.assert_allclose(estimate.online, alone, rtol=1e-12)
    np.testing.assert_allclose(estimate.smoothed, alone, rtol=1e-12)


def test_the_other_outcome_has_the_rest_of_the_probability():
    counts, prior = pairs(7, hard=True), np.array([0.3, 0.2])
    plain = two_way(counts, bound=0.02, prior=prior, forget=0.95)
    other = two_way(counts[:, ::-1], bound=0.02, prior=prior[::-1], forget=0.95)
    np.testing.assert_allclose(plain.online, 1.0 - other.online, rtol=0.0, atol=1e-10)
    np.testing.assert_allclose(plain.smoothed, 1.0 - other.smoothed, rtol=0.0, atol=1e-10)


def best_window(row, visits, bound):
    """Effective size at the last block: every window tried, none left out."""
    variance = np.mean(row * (1.0 - row))
    sizes = [0.0]
    for age in range(len(visits)):
        window = visits[len(visits) - 1 - age :][::-1]
        if window.sum() > 0.0:
            mean_age = (np.arange(age + 1) * window).sum() / window.sum()
            sizes.append(variance / (variance / window.sum() + (bound * mean_age) ** 2))
    return max(sizes)


@pytest.mark.parametrize("bound", [0.0, 1e-4, 3e-3, 0.1, 1.0])
@pytest.mark.parametrize("make", [soft, daily])
def test_the_effective_size_is_that_of_the_best_window(make, bound):
    moves, prior = make(10), np.full((3, 3), 0.6)
    path = change_bounded(moves, bound=bound, prior=prior)
    visits = moves.sum(axis=2)
    for b in range(len(moves)):
        for i in range(3):
            row = path.transmat[b, i]
            expected = best_window(row, visits[: b + 1, i], bound)
            assert path.effective_size[b, i] == pytest.approx(expected, rel=1e-10)
            padded = best_window(row, visits[: b + 1, i] + 1.8 / len(moves), bound)
            np.testing.assert_allclose(path.counts[b, i], padded * row, rtol=1e-10)


def test_the_effective_size_runs_from_all_visits_to_those_of_the_block_alone():
    row = np.array([0.7, 0.2, 0.1])
    visits = np.random.default_rng(11).uniform(0.5, 9.0, size=(30, 3))
    # every block has the same frequencies, so that the bound changes nothing but the size
    moves, prior = visits[:, :, None] * row, np.tile(row, (3, 1))
    sizes = np.array(
        [
            change_bounded(moves, bound=bound, prior=prior).effective_size
            for bound in (0.0, *np.geomspace(1e-6, 0.9, 12), 1e6)
        ]
    )
    np.testing.assert_allclose(sizes[0], np.cumsum(visits, axis=0), rtol=1e-12)
    np.testing.assert_allclose(sizes[-1], visits, rtol=1e-10)
    assert (np.diff(sizes, axis=0) <= 1e-9).all()
    assert (sizes[-3, -1] < 0.5 * sizes[0, -1]).all()


@pytest.mark.parametrize("bound", [0.0, 0.01, 1.0, np.inf])
@pytest.mark.parametrize("n_states", [2, 4])
def test_the_counts_are_no_more_than_all_moves_and_have_the_matrix_as_their_mean(n_states, bound):
    moves, prior = soft(12, n_states=n_states), np.full((n_states, n_states), 0.5)
    path = change_bounded(moves, bound=bound, prior=prior)
    size = path.counts.sum(axis=2)
    np.testing.assert_allclose(path.counts / size[:, :, None], path.transmat, rtol=1e-12)
    seen = np.cumsum(moves.sum(axis=2), axis=0)
    share = 0.5 * n_states * np.arange(1, len(moves) + 1)[:, None] / len(moves)
    assert (path.effective_size <= seen * (1.0 + 1e-12)).all()
    assert (path.effective_size <= size).all()
    assert (size <= (seen + share) * (1.0 + 1e-12)).all()


def estimates(bound=0.1, prior=0.5, forget=1.0):
    """Both estimators, ready to be called with what is to be refused."""
    yield lambda: change_bounded(soft(0), bound=bound, prior=np.full((3, 3), prior))
    yield lambda: two_way(pairs(0, hard=True), bound=bound, prior=np.full(2, prior), forget=forget)


@pytest.mark.parametrize("bound", [-1e-9, -1.0, np.nan])
def test_a_bound_that_is_negative_or_not_a_number_is_named(bound):
    for estimate in estimates(bound=bound):
        with pytest.raises(ValueError, match=f"bound is {bound}; it must be 0 or more"):
            estimate()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_prior_counts_that_are_not_positive_are_named(value):
    for estimate in estimates(prior=value):
        with pytest.raises(ValueError, match=f"prior has the count {value}; all must be positive"):
            estimate()


@pytest.mark.parametrize("forget", [0.0, -0.5, 1.01, np.nan])
def test_a_weight_of_the_past_out_of_range_is_named(forget):
    with pytest.raises(ValueError, match=rf"forget is {forget}; it must lie in \(0, 1\]"):
        list(estimates(forget=forget))[1]()


def seconds(counts):
    begin = time.perf_counter()
    _row_path(counts, 1e-4, counts.sum(axis=0))
    return time.perf_counter() - begin


@pytest.mark.parametrize("n_outcomes", [2, 3])
def test_four_times_the_sessions_take_far_less_than_sixteen_times_as_long(n_outcomes):
    drift = 0.1 + 0.05 * np.sin(np.arange(12_000) / 800.0)
    leave = np.random.default_rng(13).random(12_000) < drift
    counts = np.eye(n_outcomes)[leave * (1 + np.arange(12_000) % (n_outcomes - 1))] + 1e-4
    taken = np.array([(seconds(counts[:3000]), seconds(counts)) for _ in range(3)])
    short, long = np.median(taken, axis=0)
    assert long < 8.0 * short


def test_a_path_follows_a_drift_that_one_matrix_cannot():
    n_blocks = 60
    moving = np.linspace(0.9, 0.5, n_blocks)
    moves = np.zeros((n_blocks, 2, 2))
    moves[:, 0] = 21.0 * both(moving)
    moves[:, 1] = [2.0, 8.0]
    path = change_bounded(moves, bound=0.4 / (n_blocks - 1) + 1e-9, prior=np.full((2, 2), 1e-6))
    np.testing.assert_allclose(path.transmat[:, 0, 0], moving, rtol=0.0, atol=1e-6)
    np.testing.assert_allclose(path.transmat[:, 1], [[0.2, 0.8]] * n_blocks, rtol=0.0, atol=1e-6)


def test_counts_of_a_wrong_shape_or_sign_are_named():
    prior = np.ones((2, 2))
    for counts in (np.zeros((0, 2, 2)), np.zeros((3, 2))):
        with pytest.raises(ValueError, match=r"counts has shape .*B at least 1"):
            change_bounded(counts, bound=0.1, prior=prior)
    for counts in (np.zeros((0, 2)), np.zeros((3, 3))):
        with pytest.raises(ValueError, match=r"counts has shape .*\(B, 2\)"):
            two_way(counts, bound=0.1, prior=np.ones(2))
    with pytest.raises(ValueError, match=r"counts has the value -1.0"):
        change_bounded(np.full((3, 2, 2), -1.0), bound=0.1, prior=prior)
    with pytest.raises(ValueError, match="counts has the value nan"):
        two_way(np.full((3, 2), np.nan), bound=0.1, prior=np.ones(2))


def test_imagined_counts_too_small_to_tell_from_none_are_named():
    counts = np.array([[[21.0, 0.0], [1.0, 1.0]], [[0.0, 21.0], [1.0, 1.0]]])
    with pytest.raises(ValueError, match="prior has the count 1e-11; the least is 1e-06"):
        change_bounded(counts, bound=0.05, prior=np.full((2, 2), 1e-11))
    path = change_bounded(counts, bound=0.05, prior=np.full((2, 2), 1e-6)).transmat[:, 0]
    # the best path falls by the bound around one half
    np.testing.assert_allclose(path[:, 0], [0.525, 0.475], rtol=0.0, atol=1e-6)
