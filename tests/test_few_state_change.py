import dataclasses
from functools import partial

import numpy as np
import oracles
import pytest

from belief.few_state import BLOCK_LENGTH, transmat_path
from belief.few_state_fit import (
    BOUND,
    PRIOR_ARROW,
    PRIOR_SESSIONS,
    TOLERANCE,
    fit_change_bounded,
    fit_static,
    model_parameters,
)
from belief.observations import observe
from belief.sources import load_prices

LOC, DOF = 0.001, 6.0


fit_bounded = partial(fit_change_bounded, prior_share=0.0)


def sticky(n_states):
    off = 0.05 / (n_states - 1)
    return np.full((n_states, n_states), off) + (0.95 - off) * np.eye(n_states)


def simulate(seed, n, *, n_states=3):
    scale = np.geomspace(0.008, 0.045, n_states)
    transmat = np.broadcast_to(sticky(n_states), (n, n_states, n_states))
    return oracles.simulate_returns(seed, transmat, loc=LOC, scale=scale, dof=DOF)[1]


def block_of_moves(n_sessions):
    """The block of each move, counted back from the last move so that the newest is full."""
    n_moves = n_sessions - 1
    n_blocks = -(-n_moves // BLOCK_LENGTH)
    return np.array([n_blocks - 1 - (n_moves - 1 - m) // BLOCK_LENGTH for m in range(n_moves)])


def densities(log_return, chosen):
    return oracles.student_logpdf(log_return, loc=chosen.loc, scale=chosen.scale, dof=chosen.dof)


def observed_log_likelihood(log_return, chosen):
    matrices = chosen.transmat[block_of_moves(len(log_return))]
    return oracles.log_likelihood(chosen.startprob, matrices, densities(log_return, chosen))


def penalised(log_return, chosen):
    """The objective, from scipy's densities and a forward pass in logarithms."""
    pooled = np.mean(np.abs(log_return - np.median(log_return))) ** 2 * np.pi / 2
    ratio = pooled / chosen.scale**2
    arrows = sum(np.log(matrix).sum() for matrix in chosen.transmat) / len(chosen.transmat)
    return (
        observed_log_likelihood(log_return, chosen)
        + PRIOR_ARROW * (np.log(chosen.startprob).sum() + arrows)
        + 0.5 * PRIOR_SESSIONS * (np.log(ratio) - ratio).sum()
    )


def largest_change(transmat):
    return np.abs(np.diff(transmat, axis=0)).max()


def assert_climbs(fit, base, *, bound):
    """What every change-bounded fit promises."""
    assert len(fit.objective) > 1
    assert (np.diff(fit.objective) > -1e-7).all()
    assert fit.objective[-1] > base.objective[-1]
    transmat = fit.parameters.transmat
    np.testing.assert_allclose(transmat.sum(axis=2), 1.0, rtol=0.0, atol=1e-12)
    assert (transmat > 0.0).all()
    assert largest_change(transmat) <= BLOCK_LENGTH * bound + 1e-12
    assert (np.diff(fit.parameters.scale) > 0.0).all()


@pytest.fixture(scope="module")
def returns():
    """499 moves, so that the first of the 24 blocks is short."""
    return simulate(0, 500)


@pytest.fixture(scope="module")
def static_fit(returns):
    return fit_static(returns)


@pytest.fixture(scope="module")
def moving_fit(returns, static_fit):
    return fit_bounded(returns, static_fit, bound=3e-4)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_the_penalised_log_likelihood_falls_at_no_iteration(n_states, seed):
    log_return = simulate(seed, 450, n_states=n_states)
    base = fit_static(log_return, n_states=n_states)
    for bound in (1e-5, 2e-4, 3e-3):
        fit = fit_bounded(log_return, base, bound=bound)
        assert_climbs(fit, base, bound=bound)
        assert 0.0 <= fit.objective[0] - base.objective[-1] <= TOLERANCE


def test_the_penalised_log_likelihood_falls_at_no_iteration_with_five_states():
    log_return = simulate(1, 400, n_states=5)
    base = fit_static(log_return, n_states=5)
    fit = fit_bounded(log_return, base, bound=1e-3)
    assert_climbs(fit, base, bound=1e-3)


@pytest.mark.parametrize("n_states", [2, 3])
def test_the_penalised_log_likelihood_falls_at_no_iteration_on_nvda(n_states):
    prices = load_prices("NVDA").until(np.datetime64("2012-12-31"))
    log_return = observe(prices).log_return[-1200:]
    base = fit_static(log_return, n_states=n_states)
    fit = fit_bounded(log_return, base, bound=BOUND)
    assert fit.converged
    assert_climbs(fit, base, bound=BOUND)


def test_the_objective_is_the_penalised_log_likelihood(returns, static_fit, moving_fit):
    n_blocks = block_of_moves(len(returns))[-1] + 1
    still = dataclasses.replace(
        static_fit.parameters, transmat=np.repeat(static_fit.parameters.transmat, n_blocks, axis=0)
    )
    assert moving_fit.objective[0] == pytest.approx(penalised(returns, still), rel=0.0, abs=1e-8)
    reached = penalised(returns, moving_fit.parameters)
    # the last iteration gained less than the tolerance, and so does the one after it
    assert -1e-7 <= reached - moving_fit.objective[-1] <= TOLERANCE
    assert moving_fit.log_likelihood == pytest.approx(
        observed_log_likelihood(returns, moving_fit.parameters), rel=1e-10
    )


@pytest.mark.parametrize("n_states", [2, 3])
def test_bound_zero_is_the_static_fit(n_states):
    log_return = simulate(2, 500, n_states=n_states)
    base = fit_static(log_return, n_states=n_states)
    fit = fit_bounded(log_return, base, bound=0.0)
    still, moved = base.parameters, fit.parameters
    assert largest_change(moved.transmat) == 0.0
    assert fit.objective[0] == pytest.approx(penalised_static(log_return, base), abs=1e-8)
    assert 0.0 <= fit.objective[-1] - base.objective[-1] < 3.0 * TOLERANCE
    np.testing.assert_allclose(moved.transmat[-1], still.transmat[0], rtol=0.0, atol=1e-3)
    np.testing.assert_allclose(moved.scale, still.scale, rtol=1e-3)
    np.testing.assert_allclose(
        fit.transitions.counts[-1].sum(), len(log_return) - 1 + n_states**2, rtol=1e-9
    )


def penalised_static(log_return, base):
    """The objective of a static fit, whose one block is in force at every move."""
    n_blocks = block_of_moves(len(log_return))[-1] + 1
    repeated = np.repeat(base.parameters.transmat, n_blocks, axis=0)
    return penalised(log_return, dataclasses.replace(base.parameters, transmat=repeated))


@pytest.mark.parametrize(
    ("seed", "n_states", "bound"), [(3, 2, 1e-4), (3, 2, 2e-3), (4, 3, 1e-4), (4, 3, 2e-3)]
)
def test_no_path_of_a_row_explains_the_moves_that_the_fit_expects_any_better(seed, n_states, bound):
    """A fixed point: another M-step gains less than the iterations stopped for."""
    log_return = simulate(seed, 500, n_states=n_states)
    base = fit_static(log_return, n_states=n_states)
    chosen = fit_bounded(log_return, base, bound=bound).parameters
    block = block_of_moves(len(log_return))
    n_blocks = block[-1] + 1
    assert chosen.transmat.shape == (n_blocks, n_states, n_states)
    expected = oracles.expected_moves(
        chosen.startprob, chosen.transmat[block], densities(log_return, chosen)
    )
    moves = np.array([expected[block == b].sum(axis=0) for b in range(n_blocks)])
    short = 0.0
    for i in range(n_states):
        counts = moves[:, i] + PRIOR_ARROW / n_blocks
        best, pull = oracles.solve_path(counts, bound=bound * BLOCK_LENGTH)
        reached = (counts * np.log(chosen.transmat[:, i])).sum()
        assert reached <= best + 1e-6
        short += oracles.likelihood_ceiling(counts, pull, bound=bound * BLOCK_LENGTH) - reached
    assert short < TOLERANCE + 1e-6


def test_the_bound_is_per_session_and_is_used_to_the_full(moving_fit, static_fit):
    transmat = moving_fit.parameters.transmat
    change = np.abs(np.diff(transmat, axis=0)).max(axis=(1, 2))
    assert change.max() == pytest.approx(21 * 3e-4, rel=1e-6)
    # and no gap between the short first block and the one after it
    assert change[0] <= 21 * 3e-4 + 1e-12
    assert moving_fit.objective[-1] > static_fit.objective[-1] + 1.0


def test_a_looser_bound_never_ends_lower_from_where_a_tighter_one_ended(returns, static_fit):
    """Every path that a tighter bound allows is allowed, so EM has only further to climb."""
    fit = static_fit
    for bound in (1e-5, 1e-4, 1e-3):
        looser = fit_bounded(returns, fit, bound=bound)
        assert looser.objective[0] >= fit.objective[-1] - 1e-8
        assert looser.objective[-1] > fit.objective[-1]
        fit = looser


def test_matrices_are_laid_along_sessions_with_the_one_in_force_last(returns, moving_fit):
    blocks = moving_fit.parameters.transmat
    path = transmat_path(moving_fit.parameters, len(returns))
    np.testing.assert_array_equal(path[:-1], blocks[block_of_moves(len(returns))])
    np.testing.assert_array_equal(path[-1], blocks[-1])


def test_a_start_with_its_states_in_another_order_ends_in_the_same_order(
    returns, static_fit, moving_fit
):
    plain = static_fit.parameters
    order = [2, 0, 1]
    shuffled = dataclasses.replace(
        plain,
        startprob=plain.startprob[order],
        transmat=plain.transmat[np.ix_([0], order, order)],
        scale=plain.scale[order],
    )
    found = fit_bounded(returns, static_fit._replace(parameters=shuffled), bound=3e-4)
    for name in ("startprob", "transmat", "scale"):
        np.testing.assert_allclose(
            getattr(found.parameters, name),
            getattr(moving_fit.parameters, name),
            rtol=1e-4,
            atol=1e-5,
        )
    for left, right in zip(found.transitions, moving_fit.transitions, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3)
    assert found.log_likelihood == pytest.approx(moving_fit.log_likelihood, abs=1e-5)


@pytest.mark.parametrize("n_states", [2, 3])
def test_250_returns_are_enough(n_states):
    log_return = simulate(5, 250, n_states=n_states)
    base = fit_static(log_return, n_states=n_states)
    for bound in (BOUND, 2e-3):
        fit = fit_bounded(log_return, base, bound=bound)
        assert_climbs(fit, base, bound=bound)
        assert len(fit.parameters.transmat) == 12
        assert np.isfinite(fit.transitions.counts).all()


def test_the_same_returns_give_the_same_bits(returns, static_fit, moving_fit):
    again = fit_bounded(returns, static_fit, bound=3e-4)
    for name in ("startprob", "transmat", "scale"):
        left, right = getattr(again.parameters, name), getattr(moving_fit.parameters, name)
        assert left.tobytes() == right.tobytes()
    assert again.objective.tobytes() == moving_fit.objective.tobytes()
    for left, right in zip(again.transitions, moving_fit.transitions, strict=True):
        assert left.tobytes() == right.tobytes()


@pytest.mark.parametrize("bound", [-1e-4, np.nan])
def test_a_bound_that_is_negative_or_not_a_number_is_refused(returns, static_fit, bound):
    with pytest.raises(ValueError, match=r"bound is .*; it must be 0 or more"):
        fit_bounded(returns, static_fit, bound=bound)


def test_the_counts_a_forecast_draws_from_have_the_matrix_in_force_as_their_mean(
    returns, static_fit, moving_fit
):
    parameters = model_parameters(moving_fit, static_fit, returns)
    counts = parameters["transition_counts"]
    np.testing.assert_allclose(
        counts / counts.sum(axis=1, keepdims=True), parameters["transmat"][-1], rtol=1e-10
    )
    assert (parameters["effective_moves"] > 0.0).all()
    assert parameters["effective_moves"].sum() < len(returns) - 1
    np.testing.assert_array_equal(parameters["static_transmat"], static_fit.parameters.transmat[0])


QUIET = np.array([[0.985, 0.015], [0.060, 0.940]])
RESTLESS = np.array([[0.900, 0.100], [0.020, 0.980]])


def breaking(n):
    return np.where(np.arange(n)[:, None, None] < 0.6 * n, QUIET, RESTLESS)


def drifting(n):
    share = np.linspace(0.0, 1.0, n)[:, None, None]
    return (1.0 - share) * QUIET + share * RESTLESS


def total_variation(left, right):
    return 0.5 * np.abs(left - right).sum(axis=1).mean()


@pytest.mark.parametrize("course", [breaking, drifting])
@pytest.mark.parametrize("seed", range(4))
def test_after_a_change_the_matrix_in_force_is_nearer_to_the_truth_than_the_static_one(
    course, seed
):
    transmat = course(5000)
    _, log_return = oracles.simulate_returns(
        seed, transmat, loc=LOC, scale=np.array([0.01, 0.04]), dof=8.0
    )
    base = fit_static(log_return, n_states=2)
    moving = fit_bounded(log_return, base, bound=5e-5)
    still = total_variation(base.parameters.transmat[0], transmat[-1])
    moved = total_variation(moving.parameters.transmat[-1], transmat[-1])
    assert moved < 0.75 * still


def test_imagined_moves_of_the_static_matrix_enter_the_objective_which_falls_at_no_iteration(
    returns, static_fit, moving_fit
):
    fit = fit_change_bounded(returns, static_fit, bound=3e-4, prior_share=0.2)
    pull = 0.2 * (len(returns) - 1) / 3 * static_fit.parameters.transmat[0]
    extra = (pull * np.log(fit.parameters.transmat).mean(axis=0)).sum()
    expected = penalised(returns, fit.parameters) + extra
    assert (np.diff(fit.objective) > -1e-7).all()
    assert fit.objective[-1] == pytest.approx(expected, abs=2e-4)
    still = static_fit.parameters.transmat[0]
    assert np.abs(fit.parameters.transmat - still).mean() < (
        0.9 * np.abs(moving_fit.parameters.transmat - still).mean()
    )
