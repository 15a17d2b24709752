import numpy as np
import oracles
import pytest
from hmmlearn.hmm import GaussianHMM
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.errors import ImpossibleObservation
from belief.hmm import block_index, forward_filter, smooth


def random_chain(seed, n_sessions, n_states, *, zeros=False):
    """A chain whose transition matrix is different at every session."""
    rng = np.random.default_rng(seed)
    transmat = rng.dirichlet(np.full(n_states, 0.7), size=(n_sessions, n_states))
    if zeros:
        transmat[rng.random(transmat.shape) < 0.3] = 0.0
        transmat[..., 0] += 1e-12
        transmat /= transmat.sum(axis=2, keepdims=True)
    startprob = rng.dirichlet(np.ones(n_states))
    return startprob, transmat, rng.normal(0.0, 3.0, size=(n_sessions, n_states))


UMBRELLA = np.log([[0.9, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.2], [0.9, 0.2]])


def umbrella_matrices(stay_leave):
    moves = [[[1 - a, a], [b, 1 - b]] for a, b in stay_leave]
    return np.array([*moves, [[np.nan, np.nan], [np.nan, np.nan]]])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_filter_and_smoother_equal_the_sum_over_all_paths_of_a_varying_chain(seed, n_states):
    chain = random_chain(seed, 6, n_states, zeros=seed % 2 == 1)
    posterior, log_likelihood = oracles.state_posterior(*chain)
    forward = forward_filter(*chain)
    backward = smooth(*chain)
    np.testing.assert_allclose(forward.filtered, oracles.filtered(*chain), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(backward.smoothed, posterior, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(
        backward.transitions, oracles.pair_posterior(*chain), rtol=1e-10, atol=1e-14
    )
    for result in (forward, backward):
        assert result.log_likelihood == pytest.approx(log_likelihood, rel=1e-12, abs=1e-12)


def test_predicted_is_the_filtered_row_moved_by_the_matrix_of_its_own_session():
    startprob, transmat, emission_logpdf = random_chain(3, 40, 3)
    result = forward_filter(startprob, transmat, emission_logpdf)
    np.testing.assert_array_equal(result.predicted[0], startprob)
    moved = np.einsum("ti,tij->tj", result.filtered[:-1], transmat[:-1])
    np.testing.assert_allclose(result.predicted[1:], moved, rtol=1e-12)


def test_log_predictive_is_the_density_of_each_session_given_the_ones_before():
    chain = random_chain(5, 6, 3)
    totals = [0.0] + [
        oracles.state_posterior(chain[0], chain[1][:t], chain[2][:t])[1] for t in range(1, 7)
    ]
    np.testing.assert_allclose(
        forward_filter(*chain).log_predictive, np.diff(totals), rtol=1e-10, atol=1e-12
    )


def test_the_last_matrix_is_the_first_step_of_a_forecast_and_is_not_used():
    startprob, transmat, emission_logpdf = random_chain(7, 10, 3)
    spoiled = transmat.copy()
    spoiled[-1] = np.nan
    for run in (forward_filter, smooth):
        for left, right in zip(
            run(startprob, transmat, emission_logpdf),
            run(startprob, spoiled, emission_logpdf),
            strict=True,
        ):
            np.testing.assert_array_equal(left, right)


def test_the_umbrella_case_gives_the_published_numbers():
    transmat = umbrella_matrices([(0.3, 0.3)] * 4)
    result = smooth(np.array([0.5, 0.5]), transmat, UMBRELLA)
    assert result.log_likelihood == pytest.approx(-3.3725, abs=5e-5)
    np.testing.assert_allclose(
        result.smoothed[:, 0], [0.8673, 0.8204, 0.3075, 0.8204, 0.8673], atol=5e-5
    )


def test_the_umbrella_case_with_varying_matrices_gives_the_sum_over_all_paths():
    transmat = umbrella_matrices([(0.3, 0.3), (0.1, 0.4), (0.5, 0.2), (0.25, 0.05)])
    start = np.array([0.5, 0.5])
    assert smooth(start, transmat, UMBRELLA).log_likelihood == pytest.approx(
        -4.026807467864661, rel=1e-13
    )
    np.testing.assert_allclose(
        forward_filter(start, transmat, UMBRELLA).filtered[:, 0],
        [0.81818182, 0.88335704, 0.39923082, 0.67901415, 0.83277226],
        atol=5e-9,
    )
    np.testing.assert_allclose(
        smooth(start, transmat, UMBRELLA).smoothed[:, 0],
        [0.857638, 0.78230262, 0.58029598, 0.86713154, 0.83277226],
        atol=5e-9,
    )


def test_constant_matrices_agree_with_hmmlearn():
    rng = np.random.default_rng(11)
    returns = rng.standard_t(5, size=(900, 1)) * np.repeat([0.5, 2.0, 0.8], 300)[:, None]
    peer = GaussianHMM(3, covariance_type="diag", random_state=0, n_iter=20, tol=0.0)
    peer.fit(returns)
    emission_logpdf = peer._compute_log_likelihood(returns)
    transmat = np.broadcast_to(peer.transmat_, (len(returns), 3, 3))
    result = smooth(peer.startprob_, transmat, emission_logpdf)
    log_likelihood, posterior = peer.score_samples(returns)
    assert result.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(result.smoothed, posterior, rtol=1e-8, atol=1e-12)


def test_an_outlier_that_underflows_every_reachable_state_is_still_weighed():
    startprob, transmat, emission_logpdf = random_chain(2, 6, 3)
    emission_logpdf[3] = [-2000.0, -2001.0, -2003.0]
    emission_logpdf[4] = [900.0, 899.0, 905.0]
    posterior, log_likelihood = oracles.state_posterior(startprob, transmat, emission_logpdf)
    result = smooth(startprob, transmat, emission_logpdf)
    assert result.log_likelihood == pytest.approx(log_likelihood, rel=1e-12)
    np.testing.assert_allclose(result.smoothed, posterior, rtol=1e-9, atol=1e-14)


def test_a_likely_state_that_cannot_be_reached_does_not_hide_an_unlikely_one_that_can():
    stuck = np.broadcast_to(np.eye(2), (3, 2, 2))
    emission_logpdf = np.array([[-1.0, 0.0], [-1500.0, 0.0], [-1.0, 0.0]])
    result = forward_filter(np.array([1.0, 0.0]), stuck, emission_logpdf)
    assert result.log_likelihood == pytest.approx(-1502.0, rel=1e-14)
    np.testing.assert_array_equal(result.filtered[:, 0], 1.0)


def test_long_chains_of_unlikely_sessions_do_not_underflow():
    startprob, transmat, emission_logpdf = random_chain(9, 5000, 3)
    shifted = forward_filter(startprob, transmat, emission_logpdf - 30.0)
    plain = forward_filter(startprob, transmat, emission_logpdf)
    np.testing.assert_allclose(shifted.filtered, plain.filtered, rtol=1e-10)
    np.testing.assert_allclose(shifted.log_predictive, plain.log_predictive - 30.0, rtol=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 5), st.booleans())
def test_rows_of_every_result_are_distributions(seed, n_sessions, n_states, zeros):
    chain = random_chain(seed, n_sessions, n_states, zeros=zeros)
    forward, backward = forward_filter(*chain), smooth(*chain)
    for rows in (forward.filtered, forward.predicted, backward.smoothed):
        assert (rows >= 0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-9)
    np.testing.assert_allclose(backward.transitions.sum(axis=(1, 2)), 1.0, rtol=1e-9)


def test_a_row_of_zeros_is_a_missing_observation():
    startprob, transmat, emission_logpdf = random_chain(4, 5, 3)
    emission_logpdf[2] = 0.0
    result = forward_filter(startprob, transmat, emission_logpdf)
    assert result.log_predictive[2] == pytest.approx(0.0, abs=1e-14)
    np.testing.assert_allclose(result.filtered[2], result.predicted[2], rtol=1e-14)


def test_blocks_are_aligned_to_the_end_and_add_up_the_pair_posteriors():
    chain = random_chain(8, 24, 3)
    single, blocks = smooth(*chain), smooth(*chain, block_length=7)
    index = block_index(23, 7)
    assert np.bincount(index).tolist() == [2, 7, 7, 7]
    for block in range(4):
        np.testing.assert_allclose(
            blocks.transitions[block], single.transitions[index == block].sum(axis=0), rtol=1e-12
        )


def test_the_input_arrays_are_left_as_they_were():
    chain = random_chain(1, 30, 3)
    before = [array.copy() for array in chain]
    smooth(*chain)
    for array, copy in zip(chain, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("bad", [np.nan, -np.inf, np.inf])
def test_an_observation_no_reachable_state_can_emit_is_named(bad):
    startprob, transmat, emission_logpdf = random_chain(6, 8, 3)
    emission_logpdf[5] = bad
    with pytest.raises(ImpossibleObservation, match="observation 5 of 8"):
        forward_filter(startprob, transmat, emission_logpdf)


def test_one_not_a_number_among_the_states_is_not_swallowed():
    startprob, transmat, emission_logpdf = random_chain(6, 8, 3)
    emission_logpdf[5, 1] = np.nan
    with pytest.raises(ImpossibleObservation, match="observation 5 of 8"):
        smooth(startprob, transmat, emission_logpdf)


def test_shapes_that_disagree_are_named():
    startprob, transmat, emission_logpdf = random_chain(0, 8, 3)
    with pytest.raises(ValueError, match=r"transmat has shape \(3, 3\)"):
        forward_filter(startprob, transmat[0], emission_logpdf)
    with pytest.raises(ValueError, match=r"startprob has shape \(2,\)"):
        forward_filter(startprob[:2], transmat, emission_logpdf)
    with pytest.raises(ValueError, match="block_length is 0"):
        smooth(startprob, transmat, emission_logpdf, block_length=0)
