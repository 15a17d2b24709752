import math

import numpy as np
import oracles
import pytest
from scipy.stats import norm

from belief import grid_kernels
from belief.drift import Drift
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Outlook
from belief.grid_forecast import (
    N_PATHS,
    PATHS_PER_DRAW,
    forecast_quantiles,
    memory_weights,
    next_session_quantiles,
)
from belief.volatility_grid import LARGEST_SHOCK, NAMES, values_of

POINT = np.linspace(-5.9, -1.9, 34)
SPACING = float(POINT[1] - POINT[0])
PROBABILITY = norm.cdf(NORMAL_SCORES)
STILL = Drift(0.0, 0.0)
FAR = 504
MEMORY = {
    "m": -4.0,
    "logit_phi": 3.5,
    "log_s": math.log(0.1),
    "lam": -0.05,
    "lam2": 0.06,
    "loc": 0.002,
    "log_dof": math.log(4.0),
    "log_k0": 0.2,
    "log_k1": 0.2,
    "log_tau": -1.5,
    "log_range_dof": 2.3,
    "log_kappa": math.log(3.0),
    "log_event_dof": math.log(2.0),
    "delta": 0.25,
}


def theta_of(**changed):
    return np.array([{**MEMORY, **changed}[name] for name in NAMES])


THETA = theta_of()
WILDER = theta_of(m=-3.4, logit_phi=2.5, lam=0.0, log_dof=math.log(2.0), log_kappa=math.log(5.0))


def bell(centre, width=0.25):
    density = norm.pdf(POINT, centre, width)
    return density / density.sum()


def model(*, theta=(THETA,), ahead=None, sd=0.0, total_score=None):
    """A fitted model reduced to what a forecast reads; `sd` is that of all parameters."""
    ahead = [bell(-4.2)] * len(theta) if ahead is None else ahead
    total = np.zeros(len(theta)) if total_score is None else np.array(total_score)
    parameters = {
        "point": POINT.copy(),
        "theta": np.array(theta),
        "ahead": np.array(ahead),
        "total_score": total,
        "covariance": np.array([np.diag(np.full(len(NAMES), sd**2))] * len(theta)),
    }
    return FittedModel(
        model="belief",
        symbol="XYZ",
        parameters=parameters,
        log_likelihood=0.0,
        n_iter=1,
        converged=True,
        trained_from=np.datetime64("2020-01-02"),
        trained_through=np.datetime64("2024-03-01"),
        known_through=np.datetime64("2024-03-01"),
        n_sessions=1000,
        fingerprint="0" * 64,
    )


def outlook(*, drift=STILL, events=None, horizon=FAR):
    """Events by session ahead with their chance."""
    chance = np.zeros((len(events or ()), horizon))
    for row, (session, probability) in enumerate(events or ()):
        chance[row, session - 1] = probability
    return Outlook(drift, chance)


def quantiles(fitted, horizons, ahead=None, *, seed=0):
    ahead = outlook() if ahead is None else ahead
    return forecast_quantiles(fitted, horizons, ahead, np.random.default_rng(seed))


def at_score(row, score):
    return np.interp(score, NORMAL_SCORES, row)


def width(rows):
    """Of the middle 90 %."""
    return np.array([at_score(row, 1.645) - at_score(row, -1.645) for row in rows])


def components(theta, ahead, weight, chance):
    values = values_of(theta, SPACING)
    n_states = len(POINT)
    return (
        weight * np.concatenate([(1.0 - chance) * ahead, chance * ahead]),
        np.concatenate([np.exp(POINT), values.kappa * np.exp(POINT)]),
        np.repeat([values.dof, values.event_dof], n_states),
    )


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("total_score", [[0.0, 0.0], [0.0, -1.0], [-400.0, 0.0]])
def test_one_session_ahead_is_the_exact_mixture_over_memories_states_and_events(
    chance, total_score
):
    ahead = [bell(-4.4), bell(-3.2, 0.5)]
    fitted = model(theta=(THETA, WILDER), ahead=ahead, total_score=total_score)
    likely = np.exp(np.array(total_score) - max(total_score))
    weight = 0.01 + 0.98 * likely / likely.sum()
    parts = [
        components(theta, each, share, chance)
        for theta, each, share in zip((THETA, WILDER), ahead, weight, strict=True)
    ]
    share, scale, dof = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert share.sum() == pytest.approx(1.0, rel=1e-12)
    (found,) = quantiles(fitted, [1], outlook(events=[(1, chance)]))
    for place in range(0, len(NORMAL_SCORES), 12):
        exact = oracles.student_mixture_quantile(PROBABILITY[place], share, scale, dof)
        # lines between 160 points of the cdf
        assert found[place] == pytest.approx(exact, rel=2e-3, abs=1e-5)


def test_two_events_that_may_fall_on_one_session_are_one_event():
    both = quantiles(model(), [1], outlook(events=[(1, 0.5), (1, 0.4)]))
    one = quantiles(model(), [1], outlook(events=[(1, 0.7)]))
    np.testing.assert_allclose(both, one, rtol=1e-12)


def test_one_session_ahead_does_not_depend_on_the_generator_but_on_doubt_about_the_drift():
    assert np.array_equal(quantiles(model(), [1]), quantiles(model(), [1], seed=7))
    doubt = Drift(0.001, 0.01)
    (found,) = quantiles(model(), [1], outlook(drift=doubt))
    share, scale, dof = components(THETA, bell(-4.2), 1.0, 0.0)
    wide = np.sqrt(scale**2 + doubt.sd**2)
    for place in (60, 120, 180, 200, 300):
        exact = oracles.student_mixture_quantile(PROBABILITY[place], share, wide, dof)
        assert found[place] - 0.001 == pytest.approx(exact, rel=2e-3, abs=1e-5)


def test_quantiles_one_session_ahead_reach_the_outer_scores_of_the_heaviest_tail():
    heavy = theta_of(log_dof=-8.0)
    (found,) = quantiles(model(theta=(heavy,)), [1])
    assert (np.diff(found) > 0.0).all()
    share, scale, dof = components(heavy, bell(-4.2), 1.0, 0.0)
    exact = oracles.student_mixture_quantile(PROBABILITY[0], share, scale, dof)
    assert found[0] == pytest.approx(exact, rel=0.01)


SIMULATED = {
    "plain": (THETA, -4.2, ()),
    "shocks that move it far": (theta_of(lam=-0.25, lam2=0.2, logit_phi=2.0), -4.2, ()),
    "a wide kernel": (theta_of(log_s=math.log(0.6), logit_phi=1.0), -4.2, ()),
    "a narrow kernel": (theta_of(log_s=-20.0, logit_phi=2.0), -3.5, ()),
    "far from its mean": (theta_of(logit_phi=2.5), -2.8, ()),
    "near the lower end": (theta_of(m=-5.2, log_s=math.log(0.2)), -5.6, ()),
    "events": (THETA, -4.2, ((2, 1.0), (5, 0.5), (20, 0.3))),
}


@pytest.mark.parametrize("case", SIMULATED)
def test_further_ahead_agrees_with_a_slow_simulation_of_the_equations(case):
    theta, centre, events = SIMULATED[case]
    horizons, n_slow = (2, 5, 21), 30_000
    found = quantiles(model(theta=(theta,), ahead=[bell(centre)]), horizons, outlook(events=events))
    rng = np.random.default_rng(3)
    event = np.zeros((21, n_slow), dtype=bool)
    for session, chance in events:
        event[session - 1] |= rng.random(n_slow) < chance
    reached = oracles.draw_grid_paths(rng, values_of(theta, SPACING), POINT, bell(centre), event)
    for row, horizon in zip(found, horizons, strict=True):
        for score in (-2.5, -1.645, -1.0, -0.4, 0.4, 1.0, 1.645, 2.5):
            p = norm.cdf(score)
            below = np.mean(reached[horizon - 1] <= at_score(row, score))
            noise = math.sqrt(p * (1.0 - p) * (1.0 / n_slow + 1.0 / N_PATHS))
            # smoothing over neighbouring draws blunts the quantiles a little
            assert below == pytest.approx(p, abs=4.0 * noise + 0.03 * p * (1.0 - p)), (
                horizon,
                score,
            )


def test_two_sessions_ahead_is_the_exact_law_of_the_second_state():
    """By hand: the variance of the second return, over states and over the shock between."""
    values = values_of(THETA, SPACING)
    shocks = np.random.default_rng(4).standard_t(values.dof, 4000)
    second = np.mean(
        [bell(-4.2) @ oracles.grid_kernel(values, POINT, np.full(34, shock)) for shock in shocks],
        axis=0,
    )
    heavy = values.dof / (values.dof - 2.0)
    variance = heavy * np.array([bell(-4.2) @ np.exp(2 * POINT), second @ np.exp(2 * POINT)])
    one, two = quantiles(model(), [1, 2])
    # the same law of shocks behind both, so the ratio of the middles tells the ratio of the scales
    middle = np.abs(NORMAL_SCORES) < 1.5
    ratio = np.std(two[middle]) / np.std(one[middle])
    assert ratio == pytest.approx(math.sqrt(variance.sum() / variance[0]), rel=0.04)


@pytest.mark.parametrize("steep", [0.05, 0.7, 3.1])
@pytest.mark.parametrize("centre", [15.0, 15.26, 15.492, 15.51, 16.99])
def test_a_step_of_a_path_follows_the_law_that_the_filter_has(steep, centre):
    n_paths, laws = 200_000, np.array([[steep, centre, 0.0, 0.0, 0.0, 8.0, 1.0, 8.0]])
    state, total = np.full(n_paths, 3), np.zeros(n_paths)
    grid_kernels.walk(
        state,
        total,
        laws,
        grid_kernels.offset_bounds(laws[:, 0].copy(), len(POINT)),
        POINT.copy(),
        np.zeros((1, n_paths // 2), dtype=bool),
        0,
        1,
        LARGEST_SHOCK,
        np.random.default_rng(0),
    )
    weight = np.exp(-steep * (np.arange(len(POINT)) - centre) ** 2)
    weight /= weight.sum()
    # the table between two of its rows is a mixture of them
    np.testing.assert_allclose(
        np.bincount(state, minlength=len(POINT)) / n_paths, weight, atol=0.004
    )
    mean = weight @ np.arange(len(POINT))
    spread = math.sqrt(weight @ (np.arange(len(POINT)) - mean) ** 2)
    assert state.mean() == pytest.approx(mean, abs=4.0 * spread / math.sqrt(n_paths) + 0.002)


def test_memories_share_the_paths_by_their_weights():
    quiet, wild = bell(-5.0), bell(-2.6)
    fitted = model(theta=(THETA, THETA), ahead=[quiet, wild], total_score=[0.0, -1.2])
    share = memory_weights(fitted.parameters)
    rng = np.random.default_rng(5)
    event = np.zeros((5, 20_000), dtype=bool)
    reached = [
        oracles.draw_grid_paths(rng, values_of(THETA, SPACING), POINT, ahead, event)[4]
        for ahead in (quiet, wild)
    ]
    (found,) = quantiles(fitted, [5])
    for score in (-2.0, -1.0, -0.5, 0.5, 1.0, 2.0):
        below = sum(
            weight * np.mean(each <= at_score(found, score))
            for weight, each in zip(share, reached, strict=True)
        )
        assert below == pytest.approx(norm.cdf(score), abs=0.015)


def test_a_horizon_is_the_same_bytes_alone_and_beside_others():
    fitted = model(theta=(THETA, WILDER), sd=0.05)
    ahead = outlook(drift=Drift(0.0004, 0.0003), events=[(4, 0.6), (40, 1.0)])
    table = quantiles(fitted, [1, 5, 21, 63], ahead)
    for horizons in ([1, 5, 21], [1], [5], [21, 63], [1, 63]):
        rows = quantiles(fitted, horizons, ahead)
        expected = [table[[1, 5, 21, 63].index(horizon)] for horizon in horizons]
        assert rows.tobytes() == np.array(expected).tobytes()


def test_events_beyond_a_horizon_change_nothing_before_it():
    fitted = model()
    plain = quantiles(fitted, [1, 5, 21], outlook(horizon=21))
    beyond = quantiles(fitted, [1, 5, 21], outlook(events=[(22, 1.0)], horizon=63))
    assert plain.tobytes() == beyond.tobytes()


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    fitted = model(sd=0.1)
    assert quantiles(fitted, [5]).tobytes() == quantiles(fitted, [5]).tobytes()
    assert not np.array_equal(quantiles(fitted, [5]), quantiles(fitted, [5], seed=1))


def test_doubt_about_the_parameters_widens_what_lies_far_ahead():
    sure, unsure = (width(quantiles(model(sd=sd), [1, 2, 63, 252])) for sd in (0.0, 0.3))
    assert unsure[0] == sure[0]
    assert unsure[1] == pytest.approx(sure[1], rel=0.12)
    assert unsure[2] > 1.1 * sure[2]
    assert unsure[3] > 1.15 * sure[3]


def test_doubt_about_one_parameter_moves_the_paths_of_a_draw_together():
    """Every twenty paths share a law: doubt about m alone makes a mixture over its values."""
    fitted = model(theta=(theta_of(lam=0.0, lam2=0.0, logit_phi=1.0),))
    covariance = np.zeros((1, len(NAMES), len(NAMES)))
    covariance[0, NAMES.index("m"), NAMES.index("m")] = 0.5**2
    fitted.parameters["covariance"] = covariance
    (found,) = quantiles(fitted, [21])
    rng = np.random.default_rng(6)
    draws = [
        oracles.draw_grid_paths(
            rng,
            values_of(theta_of(lam=0.0, lam2=0.0, logit_phi=1.0, m=m), SPACING),
            POINT,
            bell(-4.2),
            np.zeros((21, 200), dtype=bool),
        )[-1]
        for m in -4.0 + 0.5 * np.clip(rng.standard_normal(150), -2.5, 2.5)
    ]
    reached = np.concatenate(draws)
    assert len(reached) / 150 == 200 > PATHS_PER_DRAW
    for score in (-2.0, -1.0, 1.0, 2.0):
        below = np.mean(reached <= at_score(found, score))
        assert below == pytest.approx(norm.cdf(score), abs=0.02)


def test_the_drift_adds_its_mean_once_per_session():
    fitted = model()
    plain = quantiles(fitted, [1, 5, 63])
    moved = quantiles(fitted, [1, 5, 63], outlook(drift=Drift(0.0007, 0.0)))
    expected = plain + 0.0007 * np.array([[1], [5], [63]])
    np.testing.assert_allclose(moved, expected, rtol=1e-10, atol=1e-14)


def test_doubt_about_the_drift_widens_by_its_own_size_times_the_horizon():
    fitted = model(theta=(theta_of(m=-5.5),), ahead=[bell(-5.5)])
    sure, unsure = (
        quantiles(fitted, [5, 252], outlook(drift=Drift(0.0, sd)))[1] for sd in (0.0, 0.001)
    )
    middle = np.abs(NORMAL_SCORES) < 2.0
    added = np.std(unsure[middle]) ** 2 - np.std(sure[middle]) ** 2
    normal = np.std(0.001 * 252 * NORMAL_SCORES[middle]) ** 2
    assert added == pytest.approx(normal, rel=0.06)


def test_without_leverage_a_forecast_is_symmetric_around_its_drift():
    fitted = model(theta=(theta_of(lam=0.0),))
    rows = quantiles(fitted, [1, 21, 252], outlook(drift=Drift(0.001, 0.0)))
    centred = rows - 0.001 * np.array([[1], [21], [252]])
    np.testing.assert_allclose(centred[0], -centred[0, ::-1], rtol=1e-9, atol=1e-15)
    body = np.abs(NORMAL_SCORES) <= 2.0
    for row in centred[1:]:
        np.testing.assert_allclose(row[body], -row[::-1][body], atol=0.05 * np.abs(row[body]).max())


def test_leverage_makes_falls_longer_than_rises():
    (row,) = quantiles(model(theta=(theta_of(lam=-0.2),)), [63])
    assert -at_score(row, -2.0) > 1.1 * at_score(row, 2.0)


def test_an_event_widens_the_horizons_that_include_it_and_no_others():
    fitted = model()
    plain = width(quantiles(fitted, [1, 4, 5, 21]))
    found = width(quantiles(fitted, [1, 4, 5, 21], outlook(events=[(5, 1.0)])))
    np.testing.assert_array_equal(found[:2], plain[:2])
    assert found[2] > 1.15 * plain[2]
    assert found[3] > 1.01 * plain[3]
    half = width(quantiles(fitted, [1, 4, 5, 21], outlook(events=[(5, 0.5)])))
    assert plain[2] < half[2] < found[2]


def test_an_event_falls_once_where_its_chances_say():
    """The chances of one event exclude each other; two events do not."""
    fitted = model(theta=(theta_of(lam=0.0, lam2=0.0, log_kappa=math.log(40.0)),))
    spread = np.zeros((1, 10))
    spread[0, 1:5] = 0.25
    rows = [
        forecast_quantiles(fitted, [1, 3, 5, 10], Outlook(STILL, chance), np.random.default_rng(0))
        for chance in (spread, np.eye(10)[4:5])
    ]
    wide = width(rows[0]) / width(rows[1])
    assert wide[0] == 1.0
    assert wide[1] > 3.0  # half of the paths have had it
    assert wide[2] == pytest.approx(1.0, abs=0.08)
    assert wide[3] == pytest.approx(1.0, abs=0.08)


def test_the_farthest_horizon_is_finite_and_rows_increase():
    fitted = model(theta=(THETA, WILDER), sd=0.7)
    rows = quantiles(fitted, [1, 2, 63, 252, FAR], outlook(drift=Drift(0.0005, 0.0004)))
    assert rows.shape == (5, len(NORMAL_SCORES))
    assert np.isfinite(rows).all()
    assert (np.diff(rows, axis=1) > 0.0).all()
    assert (np.diff(width(rows)) > 0.0).all()


def test_quantiles_of_the_next_session_are_those_of_the_forecast_less_its_drift():
    fitted, ahead = model(), outlook(drift=Drift(0.003, 0.001))
    found = next_session_quantiles(fitted.parameters, ahead)
    np.testing.assert_allclose(0.003 + found, quantiles(fitted, [1], ahead)[0], rtol=1e-14)
    np.testing.assert_allclose(found, -found[::-1], rtol=1e-9, atol=1e-15)
    assert (np.diff(found) > 0.0).all()
