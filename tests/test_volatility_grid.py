import math

import numpy as np
import oracles
import pytest
from scipy.stats import t as student_t

from belief import grid_kernels
from belief.observations import Observations
from belief.volatility_grid import (
    LARGEST_SHOCK,
    LEAST_DOF,
    LEAST_STEP,
    MOST_STATES,
    NAMES,
    SMALLEST_RANGE,
    Grid,
    Values,
    even_start,
    grid_of,
    next_centre,
    run_filter,
    sessions_of,
    steepness,
    tables,
    transmat,
    values_of,
)

COARSE = Grid(np.linspace(-4.6, -3.1, 4), 0.0)
FINE = Grid(np.linspace(-5.7, -1.9, 33), 0.004)


def random_theta(rng, *, s=0.1, logit_phi=3.0, push=0.05):
    """A point where every parameter matters."""
    theta = {
        "m": -3.9,
        "logit_phi": logit_phi,
        "log_s": math.log(s),
        "lam": -push,
        "lam2": push,
        "loc": 0.002,
        "log_dof": math.log(4.0),
        "log_k0": math.log(1.2),
        "log_k1": math.log(1.3),
        "log_tau": math.log(0.25),
        "log_range_dof": math.log(8.0),
        "log_kappa": math.log(2.5),
        "log_event_dof": math.log(2.0),
        "delta": 0.3,
    }
    spread = np.array(
        [0.001 if name == "loc" else 0.02 if "lam" in name else 0.2 for name in NAMES]
    )
    return np.array([theta[name] for name in NAMES]) + spread * rng.standard_normal(len(NAMES))


def history(rng, n, *, scale=0.02, ranges=0.8, events=0.3):
    """Returns, ranges, intraday returns and events that no model drew."""
    log_return = scale * rng.standard_t(3.0, n)
    intraday = 0.7 * log_return + 0.3 * scale * rng.standard_normal(n)
    log_range = np.abs(intraday) + scale * rng.gamma(2.0, 0.5, n)
    log_range = np.where(rng.random(n) < ranges, log_range, 0.0)
    return log_return, log_range, intraday, rng.random(n) < events


def observed(columns):
    session = np.datetime64("2000-01-03") + np.arange(len(columns[0]))
    return Observations(session, *(column.copy() for column in columns))


def filtered(theta, grid, columns):
    return run_filter(theta, grid, sessions_of(observed(columns), grid), even_start(grid))


def test_parameters_are_read_as_the_equations_have_them():
    theta = random_theta(np.random.default_rng(0))
    named, values = dict(zip(NAMES, theta.tolist(), strict=True)), values_of(theta, 0.12)
    for name in ("m", "lam", "lam2", "loc", "delta"):
        assert getattr(values, name) == named[name]
    for name in ("k0", "k1", "tau", "kappa"):
        assert getattr(values, name) == pytest.approx(math.exp(named[f"log_{name}"]), rel=1e-15)
    for name in ("dof", "range_dof", "event_dof"):
        expected = LEAST_DOF + math.exp(named[f"log_{name}"])
        assert getattr(values, name) == pytest.approx(expected, rel=1e-15)
    assert math.log(values.phi / (1.0 - values.phi)) == pytest.approx(named["logit_phi"], rel=1e-12)
    assert values.s**2 == pytest.approx(math.exp(2 * named["log_s"]) + (LEAST_STEP * 0.12) ** 2)
    bare = [name.removeprefix("log_").removeprefix("logit_") for name in NAMES]
    assert list(Values._fields) == bare


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n_states", "n_sessions"), [(4, 5), (5, 4), (3, 6)])
def test_the_filter_is_the_sum_over_all_paths_of_states(seed, n_states, n_sessions):
    rng = np.random.default_rng(seed)
    grid = Grid(np.linspace(-4.6, -3.1, n_states), 0.01)
    theta = random_theta(rng, s=0.4, logit_phi=1.0, push=0.3)
    columns = history(rng, n_sessions)
    expected = oracles.predictions(
        even_start(grid),
        *rotated(
            oracles.grid_tables(
                values_of(theta, grid.spacing), grid.point, columns, least_range=0.01
            )
        ),
    )
    for found, exact in zip(filtered(theta, grid, columns), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-10, atol=1e-13)


def rotated(tables):
    """Matrices first, as the oracles of the filter take them."""
    returns, ranges, matrices = tables
    return matrices, returns, ranges


@pytest.mark.parametrize("seed", range(3))
def test_the_filter_agrees_with_a_slow_one_over_a_long_history(seed):
    rng = np.random.default_rng(seed)
    theta, columns = random_theta(rng), history(rng, 300)
    columns[0][100] = 0.9  # beyond the shocks that are not clipped, in every state
    expected = oracles.predictions_in_a_row(
        even_start(FINE),
        *rotated(
            oracles.grid_tables(
                values_of(theta, FINE.spacing), FINE.point, columns, least_range=FINE.least_range
            )
        ),
    )
    for found, exact in zip(filtered(theta, FINE, columns), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)


def test_a_session_moves_nothing_before_it():
    rng = np.random.default_rng(5)
    theta, columns = random_theta(rng), history(rng, 60)
    plain = filtered(theta, FINE, columns)
    for place, other in enumerate((0.11, 0.33, -0.08, ~columns[3][30])):
        changed = [column.copy() for column in columns]
        changed[place][30] = other
        found = filtered(theta, FINE, changed)
        assert found.predicted[:31].tobytes() == plain.predicted[:31].tobytes()
        assert found.filtered[:30].tobytes() == plain.filtered[:30].tobytes()
        assert found.log_predictive[:30].tobytes() == plain.log_predictive[:30].tobytes()
        assert np.abs(found.predicted[31] - plain.predicted[31]).max() > 1e-4
        # its own range and intraday return come after the return that is forecast
        same = found.log_predictive[30] == plain.log_predictive[30]
        assert same == (place in (1, 2))


def test_a_session_without_a_range_is_weighed_by_its_return_alone():
    rng = np.random.default_rng(6)
    theta, columns = random_theta(rng), history(rng, 40, ranges=0.0)
    found = filtered(theta, FINE, columns)
    values = values_of(theta, FINE.spacing)
    returns, _, matrices = oracles.grid_tables(values, FINE.point, columns)
    expected = oracles.predictions_in_a_row(
        even_start(FINE), matrices, returns, np.zeros(returns.shape)
    )
    np.testing.assert_allclose(found.filtered, expected[1], rtol=1e-9, atol=1e-12)


def test_a_range_that_no_state_expects_leaves_a_belief():
    """Its density is 0 to double precision in every state; their ratios are not."""
    rng = np.random.default_rng(21)
    theta, columns = random_theta(rng), history(rng, 40, ranges=1.0)
    theta[NAMES.index("log_tau")], theta[NAMES.index("log_range_dof")] = -3.7, 6.7
    columns[1][20] = 1.5
    found = filtered(theta, FINE, columns)
    for rows in (found.predicted, found.filtered):
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(found.log_predictive).all()
    # of the states that were possible, the wildest explain it best
    assert found.filtered[20] @ FINE.point > found.filtered[19] @ FINE.point + 0.1


def test_beliefs_add_up_to_1_whatever_happens():
    rng = np.random.default_rng(7)
    columns = history(rng, 200)
    columns[0][[50, 51, 150]] = [-3.0, 4.0, 1e-9]
    columns[1][[60, 61]] = [5.0, 1e-12]
    found = filtered(random_theta(rng), FINE, columns)
    for rows in (found.predicted, found.filtered):
        assert (rows >= 0.0).all()
        np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(found.log_predictive).all()


def test_the_filter_may_begin_anywhere_in_between():
    rng = np.random.default_rng(8)
    theta, columns = random_theta(rng), history(rng, 80)
    whole = filtered(theta, FINE, columns)
    rest = sessions_of(observed([column[50:] for column in columns]), FINE)
    found = run_filter(theta, FINE, rest, whole.predicted[50])
    np.testing.assert_allclose(found.filtered, whole.filtered[50:], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.log_predictive, whole.log_predictive[50:], rtol=1e-12)


def test_densities_of_returns_and_ranges_are_those_of_scipy():
    rng = np.random.default_rng(9)
    theta, columns = random_theta(rng), history(rng, 50)
    values = values_of(theta, FINE.spacing)
    found = tables(values, FINE, sessions_of(observed(columns), FINE))
    returns, ranges, _ = oracles.grid_tables(
        values, FINE.point, columns, least_range=FINE.least_range
    )
    np.testing.assert_allclose(found.density, np.exp(returns), rtol=1e-10)
    # what all states share cancels in the filter
    relative = np.exp(ranges - ranges.max(axis=1, keepdims=True))
    largest = found.range_density.max(axis=1, keepdims=True)
    np.testing.assert_allclose(found.range_density / largest, relative, rtol=1e-9)


@pytest.mark.parametrize("s", [0.01, 0.05, 0.12, 0.5])
def test_a_matrix_is_a_normal_density_read_at_the_points(s):
    rng = np.random.default_rng(10)
    values = values_of(random_theta(rng, s=s, push=0.2), FINE.spacing)
    shock = rng.uniform(-5.0, 5.0, (7, len(FINE.point)))
    found = transmat(values, FINE, shock)
    np.testing.assert_allclose(found.sum(axis=-1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(
        found, oracles.grid_kernel(values, FINE.point, shock), rtol=1e-8, atol=1e-14
    )


@pytest.mark.parametrize("steep", [0.05, 0.2, 0.8, 3.1])
def test_the_compiled_kernel_is_that_matrix_near_and_beyond_the_ends(steep):
    s = FINE.spacing * math.sqrt(0.5 / steep)
    n_states, rng = len(FINE.point), np.random.default_rng(11)
    inside = rng.uniform(-2.0, n_states + 1.0, n_states)
    ends = np.array([-0.5, -0.499, -0.501, 0.5, n_states - 0.5, n_states - 1.5, n_states - 1.0])
    beyond = np.array([-400.0, -30.0, -3.0, n_states + 2.0, n_states + 40.0, n_states + 400.0])
    centre = np.concatenate([ends, beyond, inside])[:n_states]
    distribution = rng.dirichlet(np.ones(n_states))
    predicted, weight = np.empty(n_states), np.empty(n_states)
    fall = grid_kernels.bell(steep, n_states)
    grid_kernels.move(distribution, centre, steep, fall, weight, predicted)
    away = (np.arange(n_states) - centre[:, None]) * FINE.spacing / s
    density = np.exp(-0.5 * (away**2 - (away**2).min(axis=1, keepdims=True)))
    rows = density / density.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predicted, distribution @ rows, rtol=1e-10, atol=1e-13)
    for k in range(n_states):
        one = np.zeros(n_states)
        one[k] = 1.0
        grid_kernels.move(one, centre, steep, fall, weight, predicted)
        np.testing.assert_allclose(predicted, rows[k], rtol=1e-10, atol=1e-12)


def test_the_kernel_is_never_narrower_than_the_grid_can_show():
    theta = random_theta(np.random.default_rng(12))
    theta[NAMES.index("log_s")] = -50.0
    values = values_of(theta, FINE.spacing)
    assert values.s == pytest.approx(LEAST_STEP * FINE.spacing, rel=1e-12)
    assert steepness(values, FINE) == pytest.approx(0.5 / LEAST_STEP**2, rel=1e-12)


def test_shocks_are_clipped_before_they_move_the_states():
    rng = np.random.default_rng(13)
    theta = random_theta(rng, push=0.2)
    values = values_of(theta, FINE.spacing)
    columns = (np.array([50.0, 500.0]), np.zeros(2), np.zeros(2), np.zeros(2, dtype=bool))
    found = tables(values, FINE, sessions_of(observed(columns), FINE))
    assert (found.shock > LARGEST_SHOCK).all()
    np.testing.assert_array_equal(found.centre[0], found.centre[1])
    largest = np.full(len(FINE.point), LARGEST_SHOCK)
    np.testing.assert_array_equal(found.centre[0], next_centre(values, FINE, largest))


def test_a_fall_and_a_rise_push_the_states_as_lam_and_lam2_say():
    rng = np.random.default_rng(14)
    theta = random_theta(rng)
    theta[NAMES.index("lam")], theta[NAMES.index("lam2")] = -0.06, 0.05
    values = values_of(theta, FINE.spacing)
    middle = len(FINE.point) // 2
    mean = transmat(values, FINE, np.array([[-2.0], [0.0], [2.0]]) * np.ones(33))[:, middle]
    log_scale = mean @ FINE.point
    assert log_scale[0] - log_scale[1] == pytest.approx(0.12 + 0.10, abs=1e-3)
    assert log_scale[2] - log_scale[1] == pytest.approx(-0.12 + 0.10, abs=1e-3)


def test_the_grid_reaches_beyond_the_quietest_and_the_wildest_month():
    rng = np.random.default_rng(15)
    scale = np.repeat([0.02, 0.0008, 0.02, 0.4, 0.02], [200, 21, 200, 21, 200])
    columns = history(rng, len(scale))
    grid = grid_of(observed((scale * rng.choice([-1.0, 1.0], len(scale)), *columns[1:])))
    assert grid.point[0] <= math.log(0.0008) - 0.5 + 1e-9
    assert grid.point[-1] >= math.log(0.4) + 0.5 - 1e-9
    assert len(grid.point) <= MOST_STATES
    np.testing.assert_allclose(np.diff(grid.point), grid.spacing, rtol=1e-9)


@pytest.mark.parametrize("factor", [0.01, 10.0])
def test_the_grid_moves_with_the_unit_of_the_returns(factor):
    columns = history(np.random.default_rng(16), 600)
    plain = grid_of(observed(columns))
    scaled = grid_of(observed((*(factor * column for column in columns[:3]), columns[3])))
    np.testing.assert_allclose(scaled.point, plain.point + math.log(factor), rtol=1e-12)
    assert scaled.least_range == pytest.approx(factor * plain.least_range, rel=1e-12)


def test_returns_of_exactly_zero_do_not_pull_the_grid_down():
    columns = history(np.random.default_rng(17), 600)
    still = np.where(np.arange(600) % 2 == 0, 0.0, columns[0])
    still[:100] = 0.0
    plain, found = grid_of(observed(columns)), grid_of(observed((still, *columns[1:])))
    assert np.isfinite(found.point).all()
    assert found.point[-1] == pytest.approx(plain.point[-1], abs=0.2)
    assert found.spacing < 0.13


def test_a_range_is_the_logarithm_of_one_no_smaller_than_the_least():
    columns = history(np.random.default_rng(18), 300)
    median = float(np.median(columns[1][columns[1] > 0.0]))
    columns[1][:2] = [1e-3 * median, 0.0]
    grid = grid_of(observed(columns))
    assert grid.least_range == pytest.approx(SMALLEST_RANGE * median, rel=0.02)
    found = sessions_of(observed(columns), grid)
    assert found.log_range[0] == pytest.approx(math.log(grid.least_range), rel=1e-12)
    assert found.log_range[1] == 0.0
    np.testing.assert_array_equal(found.has_range, (columns[1] > 0.0) * 1.0)
    np.testing.assert_array_equal(found.event, columns[3] * 1.0)
    kept = columns[1] >= grid.least_range
    np.testing.assert_allclose(found.log_range[kept], np.log(columns[1][kept]), rtol=1e-12)


def test_a_history_without_ranges_has_a_grid():
    columns = history(np.random.default_rng(19), 300, ranges=0.0)
    grid = grid_of(observed(columns))
    assert grid.least_range == 0.0
    assert not sessions_of(observed(columns), grid).has_range.any()


def test_the_log_density_of_a_return_is_that_of_the_mixture_over_states():
    rng = np.random.default_rng(20)
    theta, columns = random_theta(rng), history(rng, 100)
    found, values = filtered(theta, FINE, columns), values_of(theta, FINE.spacing)
    for t in (0, 1, 50, 99):
        wide = values.kappa if columns[3][t] else 1.0
        dof = values.event_dof if columns[3][t] else values.dof
        density = student_t.pdf(columns[0][t], dof, values.loc, wide * np.exp(FINE.point))
        assert found.log_predictive[t] == pytest.approx(
            math.log(found.predicted[t] @ density), rel=1e-10
        )
