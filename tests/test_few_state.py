import dataclasses
import math

import numpy as np
import oracles
import pytest
from scipy.optimize import minimize

from belief.errors import FitError
from belief.few_state import (
    BLOCK_LENGTH,
    annualised_volatility,
    emission_logpdf,
    hold_belief,
    transmat_path,
)
from belief.few_state_fit import (
    HALF_LIFE,
    PRIOR_ARROW,
    PRIOR_MOVES,
    PRIOR_SESSIONS,
    fit_static,
    fit_weighted_memory,
    model_parameters,
)
from belief.fitted_model import FittedModel
from belief.observations import observe
from belief.sources import load_prices

LOC, SCALE, DOF = 0.001, np.array([0.008, 0.018, 0.045]), 6.0
MATRIX = np.array([[0.970, 0.025, 0.005], [0.030, 0.950, 0.020], [0.010, 0.050, 0.940]])


def simulate(seed, n, *, matrix=MATRIX, scale=SCALE):
    transmat = np.broadcast_to(matrix, (n, *matrix.shape))
    return oracles.simulate_returns(seed, transmat, loc=LOC, scale=scale, dof=DOF)[1]


@pytest.fixture(scope="module")
def returns():
    return simulate(0, 4000)


@pytest.fixture(scope="module")
def static_fit(returns):
    return fit_static(returns)


@pytest.fixture(scope="module")
def memory_fit(returns, static_fit):
    return fit_weighted_memory(returns, static_fit)


@pytest.fixture(scope="module")
def nvda():
    return observe(load_prices("NVDA").until(np.datetime64("2024-03-01"))).log_return


def total_variation(left, right):
    return 0.5 * np.abs(left - right).sum(axis=1).mean()


def pack(parameters):
    """Unconstrained coordinates of a static fit; the first of each softmax is fixed at 0."""
    rows = [parameters.startprob, *parameters.transmat[0]]
    logits = [np.log(row[1:] / row[0]) for row in rows]
    return np.concatenate(
        [*logits, np.log(parameters.scale), [parameters.loc / 0.01, math.log(parameters.dof)]]
    )


def unpack(coordinates, n_states):
    k = n_states
    logits = coordinates[: (k + 1) * (k - 1)].reshape(k + 1, k - 1)
    rows = np.exp(np.hstack([np.zeros((k + 1, 1)), logits]))
    rows /= rows.sum(axis=1, keepdims=True)
    scale = np.exp(coordinates[-k - 2 : -2])
    return rows[0], rows[1:], scale, coordinates[-2] * 0.01, math.exp(coordinates[-1])


def penalised(coordinates, log_return, n_states):
    """The objective of the static fit from scipy densities and a forward pass in logarithms."""
    start, matrix, scale, loc, dof = unpack(coordinates, n_states)
    emission = oracles.student_logpdf(log_return, loc=loc, scale=scale, dof=dof)
    transmat = np.broadcast_to(matrix, (len(log_return), n_states, n_states))
    pooled = np.mean(np.abs(log_return - np.median(log_return))) ** 2 * np.pi / 2
    ratio = pooled / scale**2
    return (
        oracles.log_likelihood(start, transmat, emission)
        + PRIOR_ARROW * (np.log(start).sum() + np.log(matrix).sum())
        + 0.5 * PRIOR_SESSIONS * (np.log(ratio) - ratio).sum()
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_states", [2, 3, 4])
def test_the_penalised_log_likelihood_falls_at_no_iteration(seed, n_states):
    objective = fit_static(simulate(seed, 700), n_states=n_states).objective
    assert len(objective) > 3
    assert (np.diff(objective) > -1e-7).all()


def test_the_penalised_log_likelihood_falls_at_no_iteration_on_nvda(nvda):
    fit = fit_static(nvda)
    assert fit.converged
    assert (np.diff(fit.objective) > -1e-7).all()


@pytest.mark.parametrize(("seed", "n_states"), [(1, 2), (4, 3)])
def test_no_optimiser_finds_a_better_objective_near_the_fit(seed, n_states):
    log_return = simulate(seed, 400)
    fit = fit_static(log_return, n_states=n_states)
    begun = pack(fit.parameters)
    reached = penalised(begun, log_return, n_states)
    better = minimize(
        lambda x: -penalised(x, log_return, n_states), begun, method="BFGS", options={"gtol": 0.01}
    )
    assert reached == pytest.approx(fit.objective[-1], abs=2e-5)
    assert -better.fun == pytest.approx(reached, abs=2e-3)


def test_the_reported_log_likelihood_is_that_of_the_parameters(returns, static_fit, memory_fit):
    for fit in (static_fit, memory_fit):
        chosen = fit.parameters
        emission = oracles.student_logpdf(
            returns, loc=chosen.loc, scale=chosen.scale, dof=chosen.dof
        )
        block = np.arange(len(returns) - 2, -1, -1) // BLOCK_LENGTH
        if len(chosen.transmat) == 1:
            block = np.zeros_like(block)
        matrices = chosen.transmat[len(chosen.transmat) - 1 - block]
        exact = oracles.log_likelihood(chosen.startprob, matrices, emission)
        assert fit.log_likelihood == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_the_parameters_behind_simulated_returns_are_recovered(seed):
    parameters = fit_static(simulate(seed, 4000)).parameters
    np.testing.assert_allclose(parameters.scale, SCALE, rtol=0.12)
    np.testing.assert_allclose(parameters.transmat[0], MATRIX, atol=0.03)
    assert parameters.loc == pytest.approx(LOC, abs=7e-4)
    assert 4.5 < parameters.dof < 9.0


@pytest.mark.parametrize("n_states", [2, 3, 4, 5])
def test_states_are_ordered_by_scale_and_rows_are_distributions(n_states):
    fit = fit_static(simulate(5, 1000), n_states=n_states)
    parameters = fit.parameters
    assert (np.diff(parameters.scale) > 0).all()
    assert parameters.transmat.shape == (1, n_states, n_states)
    np.testing.assert_allclose(parameters.transmat.sum(axis=2), 1.0, rtol=1e-12)
    np.testing.assert_allclose(parameters.startprob.sum(), 1.0, rtol=1e-12)
    assert (parameters.transmat > 0).all()
    np.testing.assert_allclose(
        fit.transitions.counts[0] / fit.transitions.counts[0].sum(axis=1, keepdims=True),
        parameters.transmat[0],
        rtol=1e-12,
    )


def test_labels_stay_with_their_states_when_a_session_is_added(returns, static_fit):
    shorter = fit_static(returns[:-1])
    np.testing.assert_allclose(shorter.parameters.scale, static_fit.parameters.scale, rtol=0.01)
    np.testing.assert_allclose(
        shorter.parameters.transmat, static_fit.parameters.transmat, atol=0.005
    )


def test_the_same_returns_give_the_same_bits(returns, static_fit, memory_fit):
    again = fit_static(returns)
    assert again.parameters.transmat.tobytes() == static_fit.parameters.transmat.tobytes()
    assert again.parameters.scale.tobytes() == static_fit.parameters.scale.tobytes()
    moved = fit_weighted_memory(returns, again)
    assert moved.parameters.transmat.tobytes() == memory_fit.parameters.transmat.tobytes()


@pytest.mark.parametrize("factor", [1e-4, 10.0])
def test_returns_in_another_unit_give_the_same_states_in_that_unit(returns, static_fit, factor):
    scaled, plain = fit_static(factor * returns).parameters, static_fit.parameters
    np.testing.assert_allclose(scaled.scale, factor * plain.scale, rtol=1e-6)
    np.testing.assert_allclose(scaled.transmat, plain.transmat, atol=1e-6)
    assert scaled.loc == pytest.approx(factor * plain.loc, rel=1e-6)
    assert scaled.dof == pytest.approx(plain.dof, rel=1e-6)


def test_250_returns_are_enough_and_249_are_named_as_too_few():
    log_return = simulate(3, 250)
    assert (fit_static(log_return).parameters.scale > 0).all()
    with pytest.raises(FitError, match="249 returns are too few to fit; at least 250"):
        fit_static(log_return[1:])


@pytest.mark.parametrize("n_states", [1, 6])
def test_a_number_of_states_out_of_range_is_named(n_states):
    with pytest.raises(FitError, match=f"{n_states} states were asked for.* 2 to 5"):
        fit_static(simulate(0, 300), n_states=n_states)


def test_returns_that_do_not_vary_are_refused():
    mostly_zero = np.where(np.arange(500) < 251, 0.0, simulate(0, 500))
    for log_return in (np.zeros(500), np.full(500, 0.001), mostly_zero):
        with pytest.raises(FitError, match="more than half of the returns are equal"):
            fit_static(log_return)


def test_returns_of_which_half_are_zero_are_fitted():
    log_return = np.where(np.arange(500) % 2 == 0, 0.0, simulate(0, 500))
    parameters = fit_static(log_return).parameters
    assert (parameters.scale > 1e-5).all()
    assert np.isfinite(parameters.transmat).all()


@pytest.mark.parametrize("outlier", [-5.0, 5.0])
@pytest.mark.parametrize("row", [0, 2000, 3999])
def test_one_huge_outlier_leaves_the_states_nearly_where_they_were(
    returns, static_fit, outlier, row
):
    with_outlier = returns.copy()
    with_outlier[row] = outlier
    parameters = fit_static(with_outlier).parameters
    np.testing.assert_allclose(parameters.scale, static_fit.parameters.scale, rtol=0.25)
    np.testing.assert_allclose(parameters.transmat, static_fit.parameters.transmat, atol=0.05)


@pytest.mark.parametrize("n", [250, 500, 1000])
def test_a_doubling_overnight_survives_in_a_short_history(n):
    log_return = simulate(2, n)
    log_return[n // 2] = math.log(2.0)
    assert fit_static(log_return).parameters.scale[0] < 0.02


def test_emission_densities_are_those_of_scipy():
    log_return = np.array([-5.0, -0.1, 0.0, LOC, 0.02, 3.0])
    for dof in (2.5, 6.0, 200.0):
        np.testing.assert_allclose(
            emission_logpdf(log_return, LOC, SCALE, dof),
            oracles.student_logpdf(log_return, loc=LOC, scale=SCALE, dof=dof),
            rtol=1e-10,
        )


def test_the_memory_fit_settles_and_reports_its_path(memory_fit, static_fit):
    assert memory_fit.converged
    assert memory_fit.objective[0] == pytest.approx(static_fit.log_likelihood, abs=1e-9)
    # once it has settled, rows of the first blocks go back to the prior
    assert memory_fit.transitions.from_prior.any()
    assert memory_fit.objective[-1] == pytest.approx(memory_fit.log_likelihood, abs=2.0)
    assert len(memory_fit.parameters.transmat) == math.ceil(3999 / BLOCK_LENGTH)


def test_every_block_holds_the_weighted_frequency_of_the_moves_the_fit_expects():
    """A fixed point, but for the first rows that went back to the prior after it was reached."""
    log_return = simulate(6, 600)
    base = fit_static(log_return)
    fit = fit_weighted_memory(log_return, base, half_life=200.0, prior_moves=30.0, bandwidth=np.inf)
    chosen = fit.parameters
    emission = oracles.student_logpdf(
        log_return, loc=chosen.loc, scale=chosen.scale, dof=chosen.dof
    )
    n_blocks = math.ceil(599 / BLOCK_LENGTH)
    block = n_blocks - 1 - (598 - np.arange(599)) // BLOCK_LENGTH
    pairs = oracles.expected_moves(chosen.startprob, chosen.transmat[block], emission)
    for now in range(n_blocks):
        total = 30.0 * base.parameters.transmat[0]
        for past in range(now + 1):
            weight = 0.5 ** ((now - past) * BLOCK_LENGTH / 200.0)
            total = total + weight * pairs[block == past].sum(axis=0)
        kept = ~fit.transitions.from_prior[now]
        expected = np.where(kept[:, None], total, base.parameters.transmat[0])
        np.testing.assert_allclose(
            chosen.transmat[now], expected / expected.sum(axis=1, keepdims=True), atol=1e-3
        )


def test_matrices_are_laid_along_sessions_with_the_one_in_force_last(memory_fit, static_fit):
    blocks = memory_fit.parameters.transmat
    path = transmat_path(memory_fit.parameters, 4000)
    assert path.shape == (4000, 3, 3)
    np.testing.assert_array_equal(path[-1], blocks[-1])
    np.testing.assert_array_equal(path[3999 - BLOCK_LENGTH : 3999], [blocks[-1]] * BLOCK_LENGTH)
    np.testing.assert_array_equal(path[3998 - BLOCK_LENGTH], blocks[-2])
    np.testing.assert_array_equal(path[0], blocks[0])
    np.testing.assert_array_equal(
        transmat_path(static_fit.parameters, 4000), [static_fit.parameters.transmat[0]] * 4000
    )


def test_a_memory_that_never_fades_ends_near_the_static_matrix(returns, static_fit):
    endless = fit_weighted_memory(
        returns, static_fit, half_life=np.inf, bandwidth=np.inf
    ).parameters
    faded = fit_weighted_memory(returns, static_fit, half_life=100.0).parameters
    static = static_fit.parameters.transmat[0]
    np.testing.assert_allclose(endless.transmat[-1], static, atol=0.01)
    np.testing.assert_allclose(endless.scale, static_fit.parameters.scale, rtol=0.02)
    assert total_variation(faded.transmat[-1], static) > 3 * total_variation(
        endless.transmat[-1], static
    )


def test_a_strong_prior_holds_every_block_at_the_static_matrix(returns, static_fit):
    held = fit_weighted_memory(returns, static_fit, prior_moves=1e9).parameters
    np.testing.assert_allclose(
        held.transmat,
        np.broadcast_to(static_fit.parameters.transmat, held.transmat.shape),
        atol=1e-5,
    )


QUIET = np.array([[0.985, 0.015], [0.060, 0.940]])
RESTLESS = np.array([[0.900, 0.100], [0.020, 0.980]])


def breaking(n):
    return np.where(np.arange(n)[:, None, None] < 0.6 * n, QUIET, RESTLESS)


def drifting(n):
    share = np.linspace(0.0, 1.0, n)[:, None, None]
    return (1.0 - share) * QUIET + share * RESTLESS


@pytest.mark.parametrize("course", [breaking, drifting])
@pytest.mark.parametrize("seed", range(3))
def test_after_a_change_the_matrix_in_force_is_nearer_to_the_truth_than_the_static_one(
    course, seed
):
    transmat = course(5000)
    _, log_return = oracles.simulate_returns(
        seed, transmat, loc=LOC, scale=np.array([0.01, 0.04]), dof=8.0
    )
    base = fit_static(log_return, n_states=2)
    moving = fit_weighted_memory(log_return, base, half_life=500.0, prior_moves=50.0)
    still = total_variation(base.parameters.transmat[0], transmat[-1])
    moved = total_variation(moving.parameters.transmat[-1], transmat[-1])
    assert moved < 0.8 * still


def fitted_model(fit, static_fit, returns):
    return FittedModel(
        model="few_state",
        symbol="XYZ",
        parameters=model_parameters(fit, static_fit, returns),
        log_likelihood=fit.log_likelihood,
        n_iter=len(fit.objective),
        converged=fit.converged,
        trained_from=np.datetime64("2010-01-04"),
        trained_through=np.datetime64("2024-03-01"),
        known_through=np.datetime64("2024-03-01"),
        n_sessions=len(returns),
        fingerprint="0" * 64,
    )


def test_the_belief_is_filtered_at_the_last_session_and_never_smoothed():
    returns = simulate(7, 400)
    base = fit_static(returns)
    fit = fit_weighted_memory(returns, base)
    chosen = fit.parameters
    belief = hold_belief(fitted_model(fit, base, returns))
    emission = oracles.student_logpdf(returns, loc=chosen.loc, scale=chosen.scale, dof=chosen.dof)
    path = transmat_path(chosen, 400)
    log_joint = np.log(chosen.startprob)
    for t in range(400):
        before = np.exp(log_joint - np.logaddexp.reduce(log_joint))
        log_joint = log_joint + emission[t]
        after = np.exp(log_joint - np.logaddexp.reduce(log_joint))
        log_joint = np.logaddexp.reduce(log_joint[:, None] + np.log(path[t]), axis=0)
    np.testing.assert_allclose([r.probability for r in belief.regimes], after, rtol=1e-8)
    np.testing.assert_allclose([r.before for r in belief.regimes], before, rtol=1e-8)


def test_the_belief_adds_up(returns, static_fit, memory_fit):
    belief = hold_belief(fitted_model(memory_fit, static_fit, returns))
    now = memory_fit.parameters.transmat[-1]
    probability = np.array([r.probability for r in belief.regimes])
    assert [r.name for r in belief.regimes] == ["calm", "normal", "turbulent"]
    assert probability.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_array_equal(belief.transition_matrix, now)
    np.testing.assert_array_equal(
        belief.static_transition_matrix, static_fit.parameters.transmat[0]
    )
    for k, regime in enumerate(belief.regimes):
        # stays 1, 2, 3, ... sessions with geometrically falling probability
        stays = np.arange(1, 20_000)
        expected = (stays * now[k, k] ** (stays - 1) * (1 - now[k, k])).sum()
        assert regime.remaining_sessions == pytest.approx(expected, rel=1e-6)
    variance = 252 * memory_fit.parameters.scale**2
    variance *= memory_fit.parameters.dof / (memory_fit.parameters.dof - 2.0)
    np.testing.assert_allclose([r.volatility**2 for r in belief.regimes], variance, rtol=1e-10)
    assert belief.volatility**2 == pytest.approx(probability @ now @ variance, rel=1e-10)
    assert 0.0 <= belief.entropy <= math.log(3)
    low, high = belief.volatility_interval_90
    assert low <= belief.volatility <= high


def test_annualised_volatility_is_that_of_drawn_returns():
    draws = 0.02 * np.random.default_rng(0).standard_t(8.0, size=400_000)
    assert annualised_volatility(np.array([0.02]), 8.0)[0] == pytest.approx(
        draws.std() * math.sqrt(252), rel=0.01
    )


def test_effective_moves_fall_with_memory(returns, static_fit):
    sizes = [
        fit_weighted_memory(returns, static_fit, half_life=h, bandwidth=np.inf)
        .transitions.effective_size[-1]
        .sum()
        for h in (100.0, HALF_LIFE, np.inf)
    ]
    assert sizes == sorted(sizes)
    assert sizes[-1] == pytest.approx(3999.0, rel=1e-9)


def test_the_prior_moves_stand_in_the_counts(returns, static_fit):
    fit = fit_weighted_memory(
        returns, static_fit, half_life=np.inf, prior_moves=PRIOR_MOVES, bandwidth=np.inf
    )
    assert fit.transitions.counts[-1].sum() == pytest.approx(3999.0 + 3 * PRIOR_MOVES, rel=1e-9)
    assert dataclasses.is_dataclass(fit.parameters)


def test_a_start_with_its_states_in_another_order_ends_in_the_same_order():
    returns = simulate(8, 600)
    base = fit_static(returns)
    plain = base.parameters
    shuffled = dataclasses.replace(
        plain,
        startprob=plain.startprob[::-1],
        transmat=plain.transmat[:, ::-1, ::-1],
        scale=plain.scale[::-1],
    )
    expected = fit_weighted_memory(returns, base)
    found = fit_weighted_memory(returns, base._replace(parameters=shuffled))
    for name in ("startprob", "transmat", "scale"):
        np.testing.assert_allclose(
            getattr(found.parameters, name), getattr(expected.parameters, name), rtol=1e-6
        )
    for left, right in zip(found.transitions, expected.transitions, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-6)
    assert found.log_likelihood == pytest.approx(expected.log_likelihood, abs=1e-6)


def test_the_counts_a_forecast_draws_from_have_the_matrix_in_force_as_their_mean(
    returns, static_fit, memory_fit
):
    for fit in (static_fit, memory_fit):
        parameters = model_parameters(fit, static_fit, returns)
        counts = parameters["transition_counts"]
        np.testing.assert_allclose(
            counts / counts.sum(axis=1, keepdims=True), parameters["transmat"][-1], rtol=1e-10
        )
