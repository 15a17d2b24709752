"""The belief of a grid: regimes, matrices, volatilities and the last session, summed by hand."""

import dataclasses
import json
import math

import numpy as np
import oracles
import pytest
from fitted_grids import AS_OF, fitted_grid, known_prices, weights_by_hand
from scipy.stats import t as student_t

from belief import grid_belief, models
from belief.errors import FitError
from belief.grid_belief import cuts, hold_belief, members, regime_transmat
from belief.observations import Observations, observe
from belief.posterior import REGIME_NAMES
from belief.sources import load_prices
from belief.volatility_grid import NAMES, values_of
from belief.volatility_grid_fit import HALF_LIVES


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.fixture(scope="module")
def known():
    return known_prices()


@pytest.fixture(scope="module")
def fitted():
    return fitted_grid("belief")


@pytest.fixture(scope="module")
def static():
    return fitted_grid("grid_static")


@pytest.fixture(scope="module")
def held(fitted):
    return models.belief(fitted)


def regime_of(parameters):
    """(K,) which regime each state belongs to, one state after the other."""
    return np.array(
        [sum(point > cut for cut in parameters["cut"]) for point in parameters["point"]]
    )


def last_shock(parameters, values):
    log_return, _, _, _, event = parameters["last"]
    size = np.exp(parameters["point"]) * (values.kappa if event else 1.0)
    return (log_return - values.loc) / size


def views(parameters):
    """Weight, parameters, filtered belief and matrix in force of every memory."""
    spacing = parameters["point"][1] - parameters["point"][0]
    for weight, theta, filtered in zip(
        weights_by_hand(parameters["total_score"]),
        parameters["theta"],
        parameters["filtered"],
        strict=True,
    ):
        values = values_of(theta, spacing)
        shock = last_shock(parameters, values)
        yield (
            weight,
            values,
            filtered,
            oracles.grid_kernel(values, parameters["point"], shock),
        )


def with_parameters(fitted, **changed):
    return dataclasses.replace(fitted, parameters={**fitted.parameters, **changed})


def test_the_belief_adds_up(fitted, held, known):
    assert (held.symbol, held.model, held.as_of) == ("NVDA", "belief", AS_OF)
    assert held.n_sessions == len(known.session) - 1
    assert [regime.name for regime in held.regimes] == list(REGIME_NAMES[4])
    for name in ("probability", "before"):
        share = [getattr(regime, name) for regime in held.regimes]
        assert sum(share) == pytest.approx(1.0, abs=1e-9)
        assert min(share) >= 0.0
    for matrix in (
        held.transition_matrix,
        held.static_transition_matrix,
        held.year_ago_transition_matrix,
    ):
        assert matrix.shape == (4, 4)
        assert (matrix >= 0.0).all()
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, rtol=1e-12)
    volatility = [regime.volatility for regime in held.regimes]
    assert volatility == sorted(volatility)
    low, high = held.volatility_interval_90
    assert low < held.volatility < high
    assert 0.2 < held.volatility < 1.5
    assert all(regime.remaining_sessions >= 1.0 for regime in held.regimes)
    assert sum(r.effective_moves for r in held.regimes) < held.n_sessions + 1e-6
    assert fitted.converged


@pytest.mark.parametrize("total_score", [[0.0] * 4, [0.0, -1.0, -3.0, -0.2]])
def test_the_matrix_shown_is_the_one_of_the_forecast_summed_over_each_regime(fitted, total_score):
    parameters = {**fitted.parameters, "total_score": np.array(total_score)}
    group = regime_of(parameters)
    moves, mass = np.zeros((4, 4)), np.zeros(4)
    for weight, _, filtered, transmat in views(parameters):
        # a trace of the usual past, so that a regime nobody believes in has a row too
        belief = (1.0 - 1e-6) * filtered + 1e-6 * parameters["occupancy"]
        own = np.array([belief[group == regime].sum() for regime in range(4)])
        moves += weight * own[:, None] * oracles.grouped_moves(belief, transmat, group)
        mass += weight * own
    np.testing.assert_allclose(
        regime_transmat(parameters), moves / mass[:, None], rtol=1e-8, atol=1e-12
    )


def test_probabilities_and_volatilities_are_sums_over_states_and_memories(fitted, held):
    parameters = fitted.parameters
    group, point = regime_of(parameters), parameters["point"]
    after, before, yearly, ahead = np.zeros(4), np.zeros(4), np.zeros(len(point)), 0.0
    for place, (weight, values, filtered, _) in enumerate(views(parameters)):
        variance = 252.0 * values.dof / (values.dof - 2.0) * np.exp(point) ** 2
        yearly += weight * variance
        ahead += weight * parameters["ahead"][place] @ variance
        for regime in range(4):
            after[regime] += weight * filtered[group == regime].sum()
            before[regime] += weight * parameters["predicted"][place][group == regime].sum()
    np.testing.assert_allclose([r.probability for r in held.regimes], after, rtol=1e-10)
    np.testing.assert_allclose([r.before for r in held.regimes], before, rtol=1e-10)
    assert held.volatility == pytest.approx(math.sqrt(ahead), rel=1e-10)
    occupancy = parameters["occupancy"]
    for regime, shown in enumerate(held.regimes):
        inside = group == regime
        usual = (occupancy * yearly)[inside].sum() / occupancy[inside].sum()
        assert shown.volatility == pytest.approx(math.sqrt(usual), rel=1e-6)
        assert shown.effective_moves == pytest.approx(
            parameters["effective_sessions"][inside].sum(), rel=1e-10
        )


def test_the_volatility_of_the_next_session_is_that_of_its_quantiles(static):
    """Under heavy tails only roughly, but nobody's volatility is off by a tenth."""
    held = models.belief(static)
    rng, parameters = np.random.default_rng(0), static.parameters
    values = values_of(parameters["theta"][0], parameters["point"][1] - parameters["point"][0])
    ahead = parameters["ahead"][0] / parameters["ahead"][0].sum()
    scale = np.exp(rng.choice(parameters["point"], size=400_000, p=ahead))
    draws = scale * rng.standard_t(values.dof, size=400_000)
    assert held.volatility == pytest.approx(draws.std() * math.sqrt(252.0), rel=0.03)


def test_remaining_sessions_are_the_sum_over_staying_one_session_more(fitted, held):
    parameters = fitted.parameters
    group, n_states = regime_of(parameters), len(parameters["point"])
    quantile = (np.arange(64) + 0.5) / 64
    stay, mass = np.zeros(4), np.zeros(4)
    for weight, values, filtered, transmat in views(parameters):
        belief = (1.0 - 1e-6) * filtered + 1e-6 * parameters["occupancy"]
        shocks = student_t.ppf(quantile, values.dof)
        usual = np.mean(
            [
                oracles.grid_kernel(values, parameters["point"], np.full(n_states, shock))
                for shock in shocks
            ],
            axis=0,
        )
        for regime in range(4):
            inside = np.where(group == regime, belief, 0.0)
            mass[regime] += weight * inside.sum()
            matrix = transmat  # the next move follows the last session, later ones any
            for _ in range(4000):
                stay[regime] += weight * inside.sum()
                inside = np.where(group == regime, inside @ matrix, 0.0)
                matrix = usual
    np.testing.assert_allclose([r.remaining_sessions for r in held.regimes], stay / mass, rtol=1e-5)


def test_a_year_ago_is_what_a_fit_of_that_day_says_about_the_same_regimes(fitted, held, known):
    before = known.until(known.session[-253])
    earlier = models.fit("belief", before)
    # today's cuts on that day's grid
    moved = with_parameters(earlier, cut=fitted.parameters["cut"].copy())
    np.testing.assert_allclose(
        held.year_ago_transition_matrix, regime_transmat(moved.parameters), atol=0.03
    )
    assert np.abs(held.year_ago_transition_matrix - held.transition_matrix).max() > 1e-3


def test_a_static_fit_that_is_a_memory_stands_beside_with_its_matrix_of_the_last_session(
    fitted, held, nvda
):
    holding = {name for name, half_life in HALF_LIVES.items() if half_life[0] == math.inf}
    assert holding == set(grid_belief.HOLD_STATIC)
    np.testing.assert_allclose(
        held.static_transition_matrix, fitted.parameters["static_transmat"], rtol=1e-9, atol=1e-15
    )
    later = models.carry(fitted, nvda.until(np.datetime64("2004-08-31")))
    _, _, filtered, kernel = next(views(later.parameters))
    group, usual = members(later.parameters), later.parameters["occupancy"]
    share = (1.0 - grid_belief.TRACE) * filtered + grid_belief.TRACE * usual
    moves = (group * share) @ kernel @ group.T
    np.testing.assert_allclose(
        models.belief(later).static_transition_matrix,
        moves / moves.sum(axis=1, keepdims=True),
        rtol=1e-9,
        atol=1e-12,
    )


def test_a_static_fit_compares_with_itself(static, fitted):
    held = models.belief(static)
    np.testing.assert_allclose(
        held.transition_matrix, held.static_transition_matrix, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(
        models.belief(fitted).static_transition_matrix, held.transition_matrix, atol=0.05
    )


def test_a_short_history_has_no_year_ago(known):
    assert grid_year_ago(known, 501) is None
    assert grid_year_ago(known, 502) is not None


def grid_year_ago(known, n_sessions):
    prices = known.until(known.session[n_sessions])
    fitted = models.fit("grid_static", prices)
    assert fitted.n_sessions == n_sessions
    return models.belief(fitted).year_ago_transition_matrix


@pytest.mark.parametrize("n_states", [4, 5, 33])
def test_every_regime_has_a_state_whatever_the_past_was(n_states):
    point = np.linspace(-6.0, -2.0, n_states)
    rng = np.random.default_rng(0)
    pasts = {
        "at the lower end": np.full(50, -6.0),
        "at the upper end": np.full(50, -2.0),
        "in the middle": np.full(50, -4.0),
        "below the grid": np.full(50, -9.0),
        "above the grid": np.full(50, 1.0),
        "between two points": np.full(50, 0.5 * (point[1] + point[2])),
        "two levels": np.where(np.arange(50) < 25, -6.0, -2.0),
        "usual": rng.normal(-4.0, 0.5, 500),
        "nearly still": -4.0 + 1e-9 * rng.standard_normal(500),
        "one session": np.array([-3.3]),
    }
    for name, past in pasts.items():
        cut = cuts(point, past)
        assert cut.shape == (3,), name
        assert (np.diff(cut) > 0.0).all(), name
        group = members({"cut": cut, "point": point})
        assert (group.sum(axis=1) >= 1.0).all(), name
        np.testing.assert_array_equal(group.sum(axis=0), 1.0)
        # a cut lies half way between two points
        np.testing.assert_allclose(np.abs(point[:, None] - cut).min(axis=0), 2.0 / (n_states - 1))


def test_cuts_part_the_past_at_its_quantiles():
    point = np.linspace(-6.0, -2.0, 401)
    past = np.random.default_rng(1).normal(-4.0, 0.4, 5000)
    below = [np.mean(past < cut) for cut in cuts(point, past)]
    np.testing.assert_allclose(below, [0.30, 0.75, 0.95], atol=0.01)


def session_of(fitted, log_return, log_range, *, event=False):
    """The belief once one more session is known."""
    observations = Observations(
        fitted.known_through + np.arange(2),
        np.array([0.0, log_return]),
        np.array([0.0, log_range]),
        np.array([0.0, 0.8 * log_return]),
        np.array([False, event]),
    )
    return hold_belief(
        dataclasses.replace(
            fitted,
            parameters=grid_belief.carry(fitted, observations),
            known_through=observations.session[-1],
        )
    )


def test_a_huge_move_is_rare_and_raises_the_volatility_and_a_quiet_day_lowers_it(fitted):
    quiet = session_of(fitted, 0.001, 0.01).last_session
    huge = session_of(fitted, -0.30, 0.35).last_session
    assert huge.return_tail < 0.01 < 0.9 < quiet.return_tail
    assert huge.volatility_after > 1.15 * huge.volatility_before
    assert huge.volatility_after_return > 1.1 * huge.volatility_before
    assert quiet.volatility_after < quiet.volatility_after_return < quiet.volatility_before
    for seen in (quiet, huge):
        assert 0.0 < seen.return_tail < 1.0
        assert 0.0 < seen.range_tail < 1.0
        assert seen.event is False
    assert (huge.log_return, quiet.log_return) == (-0.30, 0.001)


def test_what_was_believed_the_evening_before_does_not_depend_on_the_session(fitted, held):
    """Nor on how the session's own score shifts the weights of the memories."""
    quiet, huge = session_of(fitted, 0.001, 0.01), session_of(fitted, -0.30, 0.35)
    for after in (quiet, huge):
        assert after.last_session.volatility_before == pytest.approx(held.volatility, rel=1e-9)
    np.testing.assert_allclose(
        [regime.before for regime in quiet.regimes],
        [regime.before for regime in huge.regimes],
        rtol=1e-9,
    )


def test_a_wide_range_speaks_louder_than_its_return(fitted):
    wide = session_of(fitted, 0.001, 0.2).last_session
    narrow = session_of(fitted, 0.001, 0.008).last_session
    assert wide.range_tail < 0.05 < 0.95 < narrow.range_tail
    assert wide.volatility_after > wide.volatility_after_return
    assert narrow.volatility_after < narrow.volatility_after_return
    assert wide.volatility_after_return == pytest.approx(narrow.volatility_after_return, rel=1e-12)


def test_a_session_without_a_range_has_no_range_tail(fitted):
    seen = session_of(fitted, 0.02, 0.0).last_session
    assert seen.range_tail is None
    assert seen.volatility_after == pytest.approx(seen.volatility_after_return, rel=1e-12)


def test_a_move_at_an_event_is_less_of_a_surprise(fitted):
    event = session_of(fitted, -0.15, 0.2, event=True).last_session
    plain = session_of(fitted, -0.15, 0.2).last_session
    assert event.event is True
    assert event.return_tail > 3.0 * plain.return_tail
    assert event.volatility_after < plain.volatility_after


def test_tails_are_those_of_the_mixture_the_evening_before(fitted, held):
    parameters = fitted.parameters
    log_return, log_range, intraday, event = observe_last(parameters)
    return_tail, range_tail = 0.0, 0.0
    for place, (weight, values, _, _) in enumerate(views(parameters)):
        predicted, shock = parameters["predicted"][place], last_shock(parameters, values)
        dof, size = (values.event_dof, values.kappa) if event else (values.dof, 1.0)
        return_tail += weight * predicted @ (2.0 * student_t.sf(np.abs(shock), dof))
        scale = np.exp(parameters["point"])
        density = student_t.pdf(log_return, dof, values.loc, size * scale)
        seen = predicted * density / (predicted @ density)
        spread = np.sqrt(values.k0 + values.k1 * (intraday / scale) ** 2)
        middle = np.log(scale * spread) + values.delta * event
        range_tail += weight * seen @ student_t.sf(log_range, values.range_dof, middle, values.tau)
    assert held.last_session.return_tail == pytest.approx(return_tail, rel=1e-9)
    assert held.last_session.range_tail == pytest.approx(range_tail, rel=1e-9)


def observe_last(parameters):
    log_return, log_range, has_range, intraday, event = parameters["last"]
    assert has_range
    return log_return, log_range, intraday, event


def test_the_last_session_is_that_of_the_prices(fitted, held, known):
    row = observe(known)
    assert held.last_session.log_return == row.log_return[-1]
    assert held.last_session.event == row.event[-1]
    log_return, log_range, intraday, _ = observe_last(fitted.parameters)
    assert (log_return, intraday) == (row.log_return[-1], row.intraday[-1])
    assert log_range == pytest.approx(math.log(row.log_range[-1]), rel=1e-12)


def leaves(value):
    if isinstance(value, dict):
        for one in value.values():
            yield from leaves(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def test_the_belief_is_plain_values_all_through(fitted, static):
    for each in (fitted, static):
        record = models.belief(each).to_dict()
        assert {type(leaf) for leaf in leaves(record)} <= {str, float, int, bool, type(None)}
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_the_memories_are_even_before_any_session_was_scored(fitted):
    np.testing.assert_array_equal(fitted.parameters["total_score"], np.zeros(4))
    assert fitted.parameters["n_scored"] == 0.0
    assert fitted.parameters["theta"].shape == (4, len(NAMES))


def test_the_shortest_history_is_250_returns_through_models_too(nvda):
    with pytest.raises(FitError, match="249 returns are too few"):
        models.fit("belief", nvda.until(nvda.session[249]))
