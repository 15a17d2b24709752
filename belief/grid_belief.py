"""What a fitted volatility grid believes: regimes, transitions in force, what the last session did.

The regimes are groups of grid states, cut where the symbol's own past volatility had its 30th, 75th
and 95th percentile. The probabilities of moving between them are those the forecast uses, summed
over each group: with b the filtered belief and A the matrix after the last session, averaged over
the memories by their weights,

    M(R, S)  =  sum_{i in R} b(i) / b(R)  sum_{j in S} A(i, j).
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from belief.fitted_model import FittedModel
from belief.grid_forecast import forecast_quantiles as forecast_quantiles
from belief.grid_forecast import memory_weights
from belief.mixture import next_total, weights_of
from belief.observations import Observations
from belief.posterior import REGIME_NAMES, Belief, LastSession, Regime, StatesAhead
from belief.volatility_grid import (
    LARGEST_SHOCK,
    Grid,
    Sessions,
    Values,
    even_start,
    run_filter,
    sessions_of,
    tables,
    transmat,
    values_of,
)

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SESSIONS_PER_YEAR = 252
BLOCK_LENGTH = 21
HOLD_STATIC = ("belief", "grid_static")  # their first memory is the static fit
N_REGIMES = 4
# Share of the past that counts as belief where there is none, so that every regime has a row.
TRACE = 1e-6
SHOCK_POINTS = 64  # equally likely shocks over which the kernel is averaged


def carry(fitted: FittedModel, observations: Observations) -> dict[str, Array]:
    """Filter the sessions after those the model knows; nothing is fitted again.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        observations: those it was fitted to, and later ones.

    Returns:
        The parameters with belief and weights of the last session.
    """
    values = fitted.parameters
    grid = grid_in(values)
    known = int(np.searchsorted(observations.session, fitted.known_through, "right"))
    sessions = sessions_of(observations, grid)
    fresh = Sessions(*(column[known:] for column in sessions))
    runs = [
        run_filter(theta, grid, fresh, ahead.copy())
        for theta, ahead in zip(values["theta"], values["ahead"], strict=True)
    ]
    before = total = values["total_score"]
    for scores in np.column_stack([run.log_predictive for run in runs]):
        before, total = total, next_total(total, scores)
    now = {
        "predicted": np.array([run.predicted[-2] for run in runs]),
        "filtered": np.array([run.filtered[-1] for run in runs]),
        "ahead": np.array([run.predicted[-1] for run in runs]),
        "total_score": total,
        "total_before": before,
        "n_scored": values["n_scored"] + float(len(fresh.log_return)),
        "last": np.array([column[-1] for column in fresh]),
    }
    return {**values, **now}


def grid_in(parameters: Mapping[str, Array]) -> Grid:
    """The grid a model was fitted on."""
    return Grid(parameters["point"], float(parameters["least_range"]))


def states_over_time(fitted: FittedModel, observations: Observations) -> Array:
    """Run the filter again over the sessions a model was fitted to, and later ones.

    The parameters were estimated from all sessions of the fit: row t is how the model reads the
    sessions up to t, not what was believed on that day. The memories count as they do now.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        observations: those it was fitted to, and later ones.

    Returns:
        (N, R) filtered probabilities of the regimes; the last row is the model's own.
    """
    values = fitted.parameters
    grid = grid_in(values)
    sessions = sessions_of(observations, grid)
    held = sum(
        weight * run_filter(theta, grid, sessions, even_start(grid)).filtered
        for weight, theta in zip(memory_weights(values), values["theta"], strict=True)
    )
    return np.asarray(held @ members(values).T)


def transmat_over_time(
    fitted: FittedModel, observations: Observations, n_blocks: int | None
) -> Array:
    """Transition probabilities of the regimes in the past, as the model reads it today.

    The kernel moves with every session; these are means over blocks of 21, aligned to the end.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        observations: those it was fitted to, and later ones.
        n_blocks: how many of the last blocks are wanted, or None for all.

    Returns:
        (B, R, R); rows sum to 1. The last block ends with the matrix in force.
    """
    from belief.hmm import block_index

    values, group = fitted.parameters, members(fitted.parameters)
    grid = grid_in(values)
    sessions = sessions_of(observations, grid)
    block = block_index(len(observations) - 1, BLOCK_LENGTH)
    block = np.append(block, block[-1])
    wanted = np.unique(block) if n_blocks is None else np.unique(block)[-n_blocks:]
    moves = np.zeros((len(wanted), N_REGIMES, N_REGIMES))
    for weight, theta in zip(memory_weights(values).tolist(), values["theta"], strict=True):
        law = values_of(theta, grid.spacing)
        shock = np.clip(tables(law, grid, sessions).shock, -LARGEST_SHOCK, LARGEST_SHOCK)
        run = run_filter(theta, grid, sessions, even_start(grid))
        held = (1.0 - TRACE) * run.filtered + TRACE * values["occupancy"]
        for place, b in enumerate(wanted.tolist()):
            rows = slice(*np.searchsorted(block, [b, b + 1]))
            joint = held[rows, :, None] * transmat(law, grid, shock[rows])
            moves[place] += weight * group @ joint.sum(axis=0) @ group.T
    return np.asarray(moves / moves.sum(axis=2, keepdims=True))


def members(parameters: Mapping[str, Array]) -> Array:
    """Which states make up which regime, (R, K), 0 or 1."""
    regime = np.searchsorted(parameters["cut"], parameters["point"], side="right")
    return np.asarray((regime == np.arange(N_REGIMES)[:, None]) * 1.0)


def cuts(point: Array, volatility: Array) -> Array:
    """Cut the grid into regimes by the past of the filtered volatility.

    Args:
        point: (K,) log scales of the states.
        volatility: (N,) mean log scale of the filtered belief, session by session.

    Returns:
        (R - 1,) log scales half way between two points; every regime has a point.
    """
    wanted = np.searchsorted(point, np.quantile(volatility, [0.30, 0.75, 0.95]))
    place = np.clip(wanted, 1, len(point) - 1)
    for i in range(1, len(place)):
        place[i] = max(place[i], place[i - 1] + 1)
    for i in range(len(place) - 2, -1, -1):
        place[-1] = min(place[-1], len(point) - 1)
        place[i] = min(place[i], place[i + 1] - 1)
    return np.asarray(0.5 * (point[place - 1] + point[place]))


class _Held(NamedTuple):
    """One memory's view: its weight, parameters, belief and matrix in force."""

    weight: float
    values: Values
    belief: Array  # (K,)
    transmat: Array  # (K, K)


def _views(parameters: Mapping[str, Array]) -> list[_Held]:
    grid = grid_in(parameters)
    last = Sessions(*parameters["last"][:, None])
    views = []
    for weight, theta, filtered in zip(
        memory_weights(parameters).tolist(),
        parameters["theta"],
        parameters["filtered"],
        strict=True,
    ):
        values = values_of(theta, grid.spacing)
        shock = np.clip(tables(values, grid, last).shock[0], -LARGEST_SHOCK, LARGEST_SHOCK)
        held = (1.0 - TRACE) * filtered + TRACE * parameters["occupancy"]
        views.append(_Held(weight, values, held, transmat(values, grid, shock)))
    return views


def regime_transmat(parameters: Mapping[str, Array]) -> Array:
    """Probabilities of moving from regime to regime after the last session, (R, R)."""
    group, moves = members(parameters), np.zeros((N_REGIMES, N_REGIMES))
    for view in _views(parameters):
        moves += view.weight * (group * view.belief) @ view.transmat @ group.T
    return np.asarray(moves / moves.sum(axis=1, keepdims=True))


def hold_belief(fitted: FittedModel) -> Belief:
    """Read the belief at the last session a model knows.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.

    Returns:
        `Belief`. Its volatilities leave scheduled events out.
    """
    parameters = fitted.parameters
    weight = memory_weights(parameters)
    ahead = weight @ parameters["ahead"]
    yearly = _yearly_variance(parameters)
    volatility = np.sqrt(weight @ yearly)
    regime = np.asarray(np.argmax(members(parameters), axis=0))
    return Belief(
        symbol=fitted.symbol,
        model=fitted.model,
        as_of=fitted.known_through,
        regimes=_regimes(parameters),
        transition_matrix=regime_transmat(parameters),
        static_transition_matrix=_static_transmat(fitted),
        year_ago_transition_matrix=_known(parameters["year_ago_transmat"]),
        volatility=_volatility(weight, parameters["ahead"], yearly),
        volatility_interval_90=_bracket(volatility, ahead),
        last_session=_last_session(parameters),
        n_sessions=fitted.n_sessions,
        ahead=StatesAhead(volatility, ahead, regime),
    )


def _static_transmat(fitted: FittedModel) -> Array:
    """The static fit's matrix: in force now where the model holds that fit, else as of its own."""
    parameters = fitted.parameters
    if fitted.model not in HOLD_STATIC:
        return parameters["static_transmat"]
    alone = {name: parameters[name][:1] for name in ("theta", "filtered", "total_score")}
    return regime_transmat({**parameters, **alone})


def _known(matrix: Array) -> Array | None:
    return None if np.isnan(matrix).any() else matrix


def _yearly_variance(parameters: Mapping[str, Array]) -> Array:
    """Annualised variance of a return in each state, by each memory, (M, K)."""
    spacing = grid_in(parameters).spacing
    dof = np.array([values_of(theta, spacing).dof for theta in parameters["theta"]])
    heavy = SESSIONS_PER_YEAR * dof / (dof - 2.0)
    return np.asarray(heavy[:, None] * np.exp(2.0 * parameters["point"]))


def _bracket(volatility: Array, probability: Array) -> tuple[float, float]:
    """Volatilities between which 90 % of the probability lies, (K,) each, on lines between them."""
    middle = np.cumsum(probability) - 0.5 * probability
    low, high = np.interp([0.05, 0.95], middle / probability.sum(), volatility)
    return float(low), float(high)


def _regimes(parameters: Mapping[str, Array]) -> tuple[Regime, ...]:
    group, weight = members(parameters), memory_weights(parameters)
    usual = group * parameters["occupancy"] + 1e-12 * group
    usual /= usual.sum(axis=1, keepdims=True)
    rows = zip(
        REGIME_NAMES[N_REGIMES],
        (group @ (weight @ parameters["filtered"])).tolist(),
        (group @ (weights_of(parameters["total_before"]) @ parameters["predicted"])).tolist(),
        np.sqrt(usual @ (weight @ _yearly_variance(parameters))).tolist(),
        _remaining(parameters).tolist(),
        (group @ parameters["effective_sessions"]).tolist(),
        [False] * N_REGIMES,
        strict=True,
    )
    return tuple(Regime(*row) for row in rows)


def _remaining(parameters: Mapping[str, Array]) -> Array:
    """Expected sessions until each regime is left, if the market is in it, (R,).

    The next move is that of the last session; the moves after it average the kernel over shocks.
    """
    from scipy.special import stdtrit

    grid, group = grid_in(parameters), members(parameters)
    likely = (np.arange(SHOCK_POINTS) + 0.5) / SHOCK_POINTS
    stay, mass = np.zeros(N_REGIMES), np.zeros(N_REGIMES)
    for view in _views(parameters):
        shock = np.clip(stdtrit(view.values.dof, likely), -LARGEST_SHOCK, LARGEST_SHOCK)
        usual = transmat(view.values, grid, np.repeat(shock[:, None], len(grid.point), 1))
        usual = usual.mean(axis=0)
        for regime, member in enumerate(group > 0.0):
            inside = usual[np.ix_(member, member)]
            later = np.linalg.solve(np.eye(len(inside)) - inside, np.ones(len(inside)))
            sessions = 1.0 + view.transmat[np.ix_(member, member)] @ later
            stay[regime] += view.weight * view.belief[member] @ sessions
            mass[regime] += view.weight * view.belief[member].sum()
    return stay / mass


def _last_session(parameters: Mapping[str, Array]) -> LastSession:
    """What the last session did to the belief, and which of its signs did it."""
    from scipy.special import stdtr

    grid, yearly = grid_in(parameters), _yearly_variance(parameters)
    earlier, now = weights_of(parameters["total_before"]), memory_weights(parameters)
    last = Sessions(*parameters["last"][:, None])
    return_tail, range_tail, after_return = 0.0, 0.0, 0.0
    for before, after, theta, predicted, variance in zip(
        earlier, now, parameters["theta"], parameters["predicted"], yearly, strict=True
    ):
        values = values_of(theta, grid.spacing)
        table = tables(values, grid, last)
        dof = values.event_dof if last.event[0] else values.dof
        seen = predicted * table.density[0]
        seen /= seen.sum()
        return_tail += before * float(predicted @ (2.0 * stdtr(dof, -np.abs(table.shock[0]))))
        range_tail += after * float(seen @ stdtr(values.range_dof, -table.range_shock[0]))
        after_return += after * float(seen @ variance)
    return LastSession(
        log_return=float(last.log_return[0]),
        return_tail=float(return_tail),
        range_tail=float(range_tail) if last.has_range[0] else None,
        event=bool(last.event[0]),
        volatility_before=_volatility(earlier, parameters["predicted"], yearly),
        volatility_after_return=math.sqrt(after_return),
        volatility_after=_volatility(now, parameters["filtered"], yearly),
    )


def _volatility(weight: Array, held: Array, yearly: Array) -> float:
    """Annualised volatility of the states each memory holds, (M, K), by their weights."""
    return math.sqrt(float(np.einsum("m,mk,mk->", weight, held, yearly)))


def with_weights_of(fitted: FittedModel, weighed: FittedModel) -> FittedModel:
    """Let the memories of a fit count as those of another fit have earned it.

    Args:
        fitted: fresh, its memories count alike.
        weighed: of the same model, known through the same session.
    """
    earned = {name: weighed.parameters[name] for name in ("total_score", "total_before")}
    earned["n_scored"] = weighed.parameters["n_scored"]
    return dataclasses.replace(fitted, parameters={**fitted.parameters, **earned})


def one_session_pit(fitted: FittedModel, observations: Observations) -> Array:
    """Probability that each session's forecast gave to a return at or below the one that came.

    The parameters are today's, the states those known before each session.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        observations: those it was fitted to, and later ones.

    Returns:
        (N,) between 0 and 1.
    """
    from scipy.special import stdtr

    values = fitted.parameters
    grid = grid_in(values)
    sessions = sessions_of(observations, grid)
    found = np.zeros(len(observations))
    for weight, theta in zip(memory_weights(values).tolist(), values["theta"], strict=True):
        law = values_of(theta, grid.spacing)
        below = stdtr(
            np.where(sessions.event > 0.0, law.event_dof, law.dof)[:, None],
            tables(law, grid, sessions).shock,
        )
        predicted = run_filter(theta, grid, sessions, even_start(grid)).predicted[:-1]
        found += weight * (predicted * below).sum(axis=1)
    return found
