"""Likelihood of the volatility grid and its gradient.

What counts is the predictive density of each return, given all before it; ranges count by how well
they help to predict the returns after them. The gradient comes from the adjoint of the filter
(`grid_kernels.backward`) and the chain rule: derivatives by densities and centres become those by
the parameters.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from belief.volatility_grid import (
    LARGEST_SHOCK,
    LEAST_DOF,
    MEAN_SHOCK,
    NAMES,
    Grid,
    Sessions,
    Tables,
    Values,
    even_start,
    steepness,
    tables,
    values_of,
)

Array = npt.NDArray[np.float64]


class Slope(NamedTuple):
    """Weighted log likelihood, its gradient, and the log predictive densities it is made of."""

    value: float
    gradient: Array  # (P,)
    log_predictive: Array  # (N,) nats


def log_likelihood(theta: Array, grid: Grid, sessions: Sessions, weight: Array) -> Slope:
    """Weighted sum of the log predictive densities of the returns, and its gradient.

    Args:
        theta: (P,) in the order of `NAMES`.
        grid: K points.
        sessions: N of them.
        weight: (N,) of the sessions.
    """
    from belief import grid_kernels

    values = values_of(theta, grid.spacing)
    table = tables(values, grid, sessions)
    steep = steepness(values, grid)
    predicted, filtered, log_predictive = grid_kernels.forward(
        even_start(grid), table.density, table.range_density, table.centre, steep
    )
    slopes = grid_kernels.backward(predicted, filtered, table.density, table.centre, steep, weight)
    gradient = _chain_rule(theta, values, grid, sessions, table, slopes)
    return Slope(float(weight @ log_predictive), gradient, log_predictive)


def _chain_rule(
    theta: Array,
    values: Values,
    grid: Grid,
    sessions: Sessions,
    table: Tables,
    slopes: tuple[Array, Array, Array, float],
) -> Array:
    """Turn derivatives by densities and centres into derivatives by the parameters, (P,)."""
    by_density, by_range, by_centre, by_steepness = slopes
    found = _kernel_slopes(theta, values, grid, table, by_centre, by_steepness)
    found |= _return_slopes(values, grid, sessions, table, by_density, by_centre)
    found |= _range_slopes(values, sessions, table, by_range * sessions.has_range[:, None])
    return np.array([found[name] for name in NAMES])


def _kernel_slopes(
    theta: Array, values: Values, grid: Grid, table: Tables, by_centre: Array, by_steepness: float
) -> dict[str, float]:
    by_centre = by_centre / grid.spacing
    of_state = by_centre.sum(axis=0)
    clipped = np.clip(table.shock, -LARGEST_SHOCK, LARGEST_SHOCK)
    free_variance = math.exp(2.0 * theta[NAMES.index("log_s")])
    return {
        "m": float(of_state.sum()) * (1.0 - values.phi),
        "logit_phi": float(of_state @ (grid.point - values.m)) * values.phi * (1.0 - values.phi),
        "log_s": -2.0 * by_steepness * free_variance / values.s**2,
        "lam": float(np.einsum("tk,tk->", by_centre, clipped)),
        "lam2": float(np.einsum("tk,tk->", by_centre, np.abs(clipped)))
        - MEAN_SHOCK * float(of_state.sum()),
    }


def _return_slopes(
    values: Values,
    grid: Grid,
    sessions: Sessions,
    table: Tables,
    by_density: Array,
    by_centre: Array,
) -> dict[str, float]:
    from belief import grid_kernels

    event = sessions.event > 0.0
    by_shock = grid_kernels.by_shock(
        by_density,
        by_centre,
        table.shock,
        np.where(event, values.event_dof, values.dof),
        values.lam / grid.spacing,
        values.lam2 / grid.spacing,
        LARGEST_SHOCK,
    )
    shrink = np.where(event, 1.0 / values.kappa, 1.0)
    grown = np.einsum("tk,tk->", by_shock[event], table.shock[event]) + by_density[event].sum()
    plain, eventful = (
        (by_density[rows], table.shock[rows], table.log_tail[rows]) for rows in (~event, event)
    )
    return {
        "loc": -float(((by_shock @ np.exp(-grid.point)) * shrink).sum()),
        "log_kappa": -float(grown),
        "log_dof": _by_log_dof(values.dof, *plain),
        "log_event_dof": _by_log_dof(values.event_dof, *eventful),
    }


def _range_slopes(
    values: Values, sessions: Sessions, table: Tables, by_range: Array
) -> dict[str, float]:
    from belief import grid_kernels

    whole, events, floor, slope = grid_kernels.range_sums(
        by_range, table.range_shock, table.spread, sessions.event, values.range_dof, values.k0
    )
    return {
        "log_tau": -whole - float(by_range.sum()),
        "delta": -events / values.tau,
        "log_k0": -floor * values.k0 / (2.0 * values.tau),
        "log_k1": -slope / (2.0 * values.tau),
        "log_range_dof": _by_log_dof(
            values.range_dof, by_range, table.range_shock, table.range_log_tail
        ),
    }


def _by_log_dof(dof: float, by_density: Array, shock: Array, log_tail: Array) -> float:
    """Derivative by the log of the degrees of freedom above `LEAST_DOF`."""
    from scipy.special import digamma

    from belief import grid_kernels

    plain, logs, heavy = grid_kernels.tail_sums(by_density, shock, log_tail, dof)
    constant = digamma((dof + 1.0) / 2.0) - digamma(dof / 2.0) - 1.0 / dof
    return float(0.5 * (plain * constant - logs + (dof + 1.0) / dof * heavy)) * (dof - LEAST_DOF)
