"""Forecasts of the volatility grid: exact for one session, simulated beyond.

The next return is a finite mixture: over memories, over states, and over whether a scheduled event
falls on the next session. Further ahead the states move with returns that are not known yet, so
paths are drawn. Every `PATHS_PER_DRAW` of them share one draw of the parameters from the normal
distribution around their estimates, and every path draws its own drift: what is not known about
both widens the forecast.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from belief.fitted_model import FittedModel
from belief.forecast import NORMAL, NORMAL_SCORES, Outlook, quantiles_of_draws
from belief.mixture import weights_of
from belief.volatility_grid import LARGEST_SHOCK, MEAN_SHOCK, Grid, Values, steepness, values_of

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

N_PATHS = 10_000
PATHS_PER_DRAW = 20
N_PARTS = 2  # of the paths, side by side in threads; the compiled walk lets others run
FARTHEST_DRAW = 2.5  # standard deviations; beyond, the normal around the estimates says little


def memory_weights(parameters: Mapping[str, Array]) -> Array:
    """Weights of the memories for the next session, (M,)."""
    return weights_of(parameters["total_score"])


def forecast_quantiles(
    fitted: FittedModel, horizons: Sequence[int], outlook: Outlook, rng: np.random.Generator
) -> Array:
    """Quantiles of the log return to each horizon.

    The location that was estimated serves the filter; the drift takes its place here.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        horizons: sessions ahead, increasing.
        outlook: drift and scheduled events.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    drift = outlook.drift
    doubt, events, paths = rng.spawn(3)
    # the drift is drawn first: every horizon has the same doubt about it
    lasting = drift.sd * doubt.standard_normal(N_PATHS)
    beyond = [horizon for horizon in horizons if horizon > 1]
    rows = []
    if horizons[0] == 1:
        rows.append(drift.mean + next_session_quantiles(fitted.parameters, outlook))
    for horizon, drawn in zip(
        beyond, simulate(fitted, beyond, outlook.event_chance, events, paths), strict=True
    ):
        rows.append(horizon * drift.mean + quantiles_of_draws(drawn + horizon * lasting))
    return np.array(rows)


def next_session_quantiles(parameters: Mapping[str, Array], outlook: Outlook) -> Array:
    """Quantiles at `NORMAL_SCORES` of the next return less the mean of the drift: no simulation.

    Args:
        parameters: of a `FittedModel` of this kind.
        outlook: the standard deviation of its drift widens every component.

    Returns:
        (Q,) natural-log returns, symmetric around 0.
    """
    from scipy.special import stdtr

    reached = _reach(parameters)
    size = reached[0] * np.sinh(np.linspace(0.0, np.arcsinh(reached[1] / reached[0]), 160))
    larger = np.zeros(len(size))
    for share, scale, dof in _next_components(parameters, outlook):
        wide = np.sqrt(scale**2 + outlook.drift.sd**2)
        larger += stdtr(dof, -size[:, None] / wide) @ share
    score = [-NORMAL.inv_cdf(max(tail, 1e-300)) for tail in larger.tolist()]
    upper = np.interp(NORMAL_SCORES[len(NORMAL_SCORES) // 2 + 1 :], score, size)
    return np.concatenate([-upper[::-1], [0.0], upper])


def _reach(parameters: Mapping[str, Array]) -> tuple[float, float]:
    """A return well inside the bulk of the next session's, and one far in its tails."""
    ahead = memory_weights(parameters) @ parameters["ahead"]
    mean = float(np.exp(ahead @ parameters["point"] / ahead.sum()))
    return 0.2 * mean, 1e4 * mean


def _next_components(
    parameters: Mapping[str, Array], outlook: Outlook
) -> Iterator[tuple[Array, Array, float]]:
    """Shares (K,), scales (K,) and degrees of freedom of the parts of the next return."""
    point = parameters["point"]
    spacing = float(point[1] - point[0])
    event = 1.0 - float(np.prod(1.0 - outlook.event_chance[:, 0]))
    for weight, theta, ahead in zip(
        memory_weights(parameters), parameters["theta"], parameters["ahead"], strict=True
    ):
        values = values_of(theta, spacing)
        yield (1.0 - event) * weight * ahead, np.exp(point), values.dof
        if event > 0.0:
            yield event * weight * ahead, values.kappa * np.exp(point), values.event_dof


def simulate(
    fitted: FittedModel,
    horizons: Sequence[int],
    event_chance: Array,
    event_rng: np.random.Generator,
    rng: np.random.Generator,
) -> Array:
    """Draw the log return to each horizon, without location or drift.

    Args:
        fitted: its parameters are those of `volatility_grid_fit.fit`.
        horizons: sessions ahead, increasing; may be empty.
        event_chance: (E, H) of an `Outlook`.
        event_rng: draws the session of every event.
        rng: draws everything else.

    Returns:
        (len(horizons), N_PATHS) natural-log returns.
    """
    parameters = fitted.parameters
    memory = np.repeat(np.arange(len(parameters["theta"])), _paths_of(memory_weights(parameters)))
    point = parameters["point"].copy()  # compiled code takes writable arrays
    laws = _draw_laws(parameters, memory[::PATHS_PER_DRAW], Grid(point, 0.0), rng)
    chance = np.cumsum(parameters["ahead"], axis=1)
    state = (rng.random((N_PATHS, 1)) * chance[memory, -1:] > chance[memory, :-1]).sum(axis=1)
    event = _draw_events(event_chance, event_rng)
    with ThreadPoolExecutor(N_PARTS) as pool:
        parts = pool.map(
            partial(_walk, point, horizons),
            np.split(state, N_PARTS),
            np.split(laws, N_PARTS),
            (np.ascontiguousarray(half) for half in np.split(event, N_PARTS, axis=1)),
            rng.spawn(N_PARTS),
        )
        return np.concatenate(list(parts), axis=1)


def _walk(
    point: Array,
    horizons: Sequence[int],
    state: Integers,
    laws: Array,
    event: npt.NDArray[np.bool_],
    rng: np.random.Generator,
) -> Array:
    """Log return at each horizon of the paths that begin in these states, (H, n)."""
    from belief.grid_kernels import offset_bounds, walk

    total, reached, before = np.zeros(len(state)), np.empty((len(horizons), len(state))), 0
    state, bounds = state.copy(), offset_bounds(laws[:, 0].copy(), len(point))
    for place, horizon in enumerate(horizons):
        walk(state, total, laws, bounds, point, event, before, horizon, LARGEST_SHOCK, rng)
        reached[place] = total
        before = horizon
    return reached


def _paths_of(weights: Array) -> Integers:
    """Share the draws of the parameters out by weight, largest remainders first."""
    n_draws = N_PATHS // PATHS_PER_DRAW
    share = weights * n_draws
    count = np.floor(share).astype(np.int64)
    order = np.argsort(count - share, kind="stable")
    count[order[: n_draws - count.sum()]] += 1
    return count * PATHS_PER_DRAW


def _draw_laws(
    parameters: Mapping[str, Array], memory: Integers, grid: Grid, rng: np.random.Generator
) -> Array:
    """Draw parameters around the estimates of each draw's memory, as `grid_kernels.walk` has them.

    Returns:
        (D, 8): steepness; still and slope of the centre in cells; push and size push in cells;
        degrees of freedom; kappa; degrees of freedom of events.
    """
    standard = rng.standard_normal((len(memory), parameters["theta"].shape[1]))
    standard = np.clip(standard, -FARTHEST_DRAW, FARTHEST_DRAW)
    rows = []
    roots = [_root(covariance) for covariance in parameters["covariance"]]
    for place, z in zip(memory.tolist(), standard, strict=True):
        values = values_of(parameters["theta"][place] + roots[place] @ z, grid.spacing)
        rows.append(_law(values, grid))
    return np.array(rows)


def _root(covariance: Array) -> Array:
    """A factor of a covariance that may be singular."""
    value, vector = np.linalg.eigh(covariance)
    return np.asarray(vector * np.sqrt(np.maximum(value, 0.0)))


def _law(values: Values, grid: Grid) -> tuple[float, ...]:
    still = (1.0 - values.phi) * (values.m - grid.point[0]) - values.lam2 * MEAN_SHOCK
    return (
        steepness(values, grid),
        still / grid.spacing,
        values.phi,
        values.lam / grid.spacing,
        values.lam2 / grid.spacing,
        values.dof,
        values.kappa,
        values.event_dof,
    )


def _draw_events(event_chance: Array, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Say for every pair of paths which sessions ahead react to an event, (H, N_PATHS / 2)."""
    event = np.zeros((event_chance.shape[1], N_PATHS // 2), dtype=np.bool_)
    for chance, each in zip(event_chance, rng.spawn(len(event_chance)), strict=True):
        bounds = np.cumsum(chance)
        place = np.searchsorted(bounds, each.random(N_PATHS // 2), side="right")
        path = np.flatnonzero(place < len(bounds))
        event[place[path], path] = True
    return event
