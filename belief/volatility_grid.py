"""Volatility-grid hidden Markov model whose transition kernel moves with the last return.

    x_t               state: log scale of the session's return, one of K equally spaced points
    r_t | x           ~  loc + e^x kappa^event * T_dof                                Student-t
    y_t | x, o_t      ~  x + log(k0 + k1 (o_t / e^x)^2) / 2 + delta event + tau * T_range_dof
    x_{t+1} | x, r_t  ~  discretised normal around  m + phi (x - m) + lam z + lam2 (|z| - 0.88)

r_t is the log return, y_t the log of the session's log range, o_t its log of close over open, and
z the shock (r_t - loc) / (e^x kappa^event), clipped at +-5. `event` is 1 in a session that reacts
to a scheduled announcement; its Student-t has degrees of freedom of its own. Here: the equations
and the filter; `volatility_grid_fit` estimates, `grid_belief` and `grid_forecast` read the result.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from belief.observations import Observations
from belief.student_t import student_log_constant

Array = npt.NDArray[np.float64]

# The parameters as they are estimated: none of them is bounded.
NAMES = (
    "m",
    "logit_phi",
    "log_s",
    "lam",
    "lam2",
    "loc",
    "log_dof",
    "log_k0",
    "log_k1",
    "log_tau",
    "log_range_dof",
    "log_kappa",
    "log_event_dof",
    "delta",
)
SPACING = 0.12  # of the grid, log units
BELOW, ABOVE = 1.7, 2.1  # log units from the typical scale to the ends of the grid, at least
MARGIN = 0.5  # log units from the quietest and the wildest month to the ends
MOST_STATES = 64
MONTH = 21
LARGEST_SHOCK = 5.0
MEAN_SHOCK = 0.88  # about E|z|, so that m is about where the states come back to
LEAST_LOG_DENSITY = -500.0  # of a range, relative to the state that fits it best
SMALLEST_MOVE = 1e-9  # returns below are rounding
LEAST_DOF = 2.1
LEAST_STEP = 0.4  # smallest standard deviation of the kernel in cells: below, the grid would show
NORMAL_MEDIAN = 0.6744897501960817  # of the absolute value of a standard normal
SMALLEST_RANGE = 0.1  # of the median range; smaller ones count as this


class Values(NamedTuple):
    """The parameters as the equations have them; see the head of this module."""

    m: float
    phi: float
    s: float
    lam: float
    lam2: float
    loc: float
    dof: float
    k0: float
    k1: float
    tau: float
    range_dof: float
    kappa: float
    event_dof: float
    delta: float


def values_of(theta: Array, spacing: float) -> Values:
    """Read the vector that is estimated.

    Args:
        theta: (P,) in the order of `NAMES`.
        spacing: of the grid, log units.

    Returns:
        `Values`; s is at least `LEAST_STEP` cells.
    """
    m, logit_phi, log_s, lam, lam2, loc, *logs, delta = theta.tolist()
    dof, k0, k1, tau, range_dof, kappa, event_dof = (math.exp(min(log, 50.0)) for log in logs)
    return Values(
        m=m,
        phi=1.0 / (1.0 + math.exp(-logit_phi)),
        s=math.hypot(math.exp(log_s), LEAST_STEP * spacing),
        lam=lam,
        lam2=lam2,
        loc=loc,
        dof=LEAST_DOF + dof,
        k0=k0,
        k1=k1,
        tau=tau,
        range_dof=LEAST_DOF + range_dof,
        kappa=kappa,
        event_dof=LEAST_DOF + event_dof,
        delta=delta,
    )


class Grid(NamedTuple):
    """What is laid down before anything is estimated, from the sessions of the fit.

    Attributes:
        point: (K,) log scales of the states, equally spaced.
        least_range: smaller ranges count as this, natural log of high over low.
    """

    point: Array
    least_range: float

    @property
    def spacing(self) -> float:
        """Log units from one point to the next."""
        return float(self.point[-1] - self.point[0]) / (len(self.point) - 1)


def typical_log_scale(log_return: Array, weight: Array) -> float:
    """Log of the scale of a normal whose median size is that of the returns that moved.

    Args:
        log_return: (N,) natural-log returns, of which some moved.
        weight: (N,) how much each counts.
    """
    size = np.abs(log_return)
    order = np.argsort(np.where(size > SMALLEST_MOVE, size, np.inf), kind="stable")
    order = order[: np.count_nonzero(size > SMALLEST_MOVE)]
    share = np.cumsum(weight[order])
    median = size[order[np.searchsorted(share, 0.5 * share[-1])]]
    return math.log(float(median) / NORMAL_MEDIAN)


def grid_of(observations: Observations) -> Grid:
    """Lay the grid around the typical size of the returns, whatever unit or symbol they have.

    It reaches from well below the quietest month to well above the wildest, in at most
    `MOST_STATES` points.
    """
    size = np.abs(observations.log_return)
    typical = typical_log_scale(observations.log_return, np.ones(len(size)))
    months = np.lib.stride_tricks.sliding_window_view(size, MONTH).mean(axis=1)
    month = np.log(months[months > SMALLEST_MOVE])
    low = min(typical - BELOW, float(month.min()) - MARGIN)
    high = max(typical + ABOVE, float(month.max()) + MARGIN)
    n_states = min(math.ceil((high - low) / SPACING) + 1, MOST_STATES)
    known = observations.log_range[observations.log_range > 0.0]
    least = SMALLEST_RANGE * float(np.median(known)) if known.size else 0.0
    return Grid(np.linspace(low, high, n_states), least)


class Sessions(NamedTuple):
    """Observations as the model looks at them, each (N,).

    Attributes:
        log_return: natural log.
        log_range: log of the log range; 0 where there is none.
        has_range: 1 where high and low differ, else 0.
        intraday: natural log of close over open.
        event: 1 where the session reacts to a scheduled event, else 0.
    """

    log_return: Array
    log_range: Array
    has_range: Array
    intraday: Array
    event: Array


def sessions_of(observations: Observations, grid: Grid) -> Sessions:
    """Prepare observations; a session whose high equals its low has no range."""
    known = observations.log_range > 0.0
    floored = np.maximum(observations.log_range, grid.least_range)
    return Sessions(
        log_return=observations.log_return,
        log_range=np.log(np.where(known, floored, 1.0)),
        has_range=known.astype(np.float64),
        intraday=observations.intraday,
        event=observations.event.astype(np.float64),
    )


class Tables(NamedTuple):
    """What N sessions say about K states under one set of parameters, each (N, K).

    Attributes:
        shock: (r - loc) / (e^x kappa^event).
        log_tail: log(1 + shock^2 / dof).
        density: of the return.
        spread: k0 + k1 (o / e^x)^2.
        range_shock: y less its location, over tau.
        range_log_tail: log(1 + range_shock^2 / range_dof).
        range_density: of y, relative to the state that fits it best; 1 where there is no range.
        centre: where the next state is drawn to, in cells from the first point.
    """

    shock: Array
    log_tail: Array
    density: Array
    spread: Array
    range_shock: Array
    range_log_tail: Array
    range_density: Array
    centre: Array


def tables(values: Values, grid: Grid, sessions: Sessions) -> Tables:
    """Weigh every state by every session, before any filtering.

    Args:
        values: the parameters.
        grid: K points.
        sessions: N of them.

    Returns:
        `Tables`, (N, K) each.
    """
    precision = np.exp(-grid.point)
    event = sessions.event > 0.0
    shrink = np.where(event, 1.0 / values.kappa, 1.0)
    shock = ((sessions.log_return - values.loc) * shrink)[:, None] * precision
    dof = np.where(event, values.event_dof, values.dof)[:, None]
    log_tail = np.log(1.0 + shock**2 / dof)
    constant = np.where(
        event,
        student_log_constant(values.event_dof) - math.log(values.kappa),
        student_log_constant(values.dof),
    )
    density = np.exp(constant[:, None] - grid.point - 0.5 * (dof + 1.0) * log_tail)
    spread = values.k0 + values.k1 * (sessions.intraday[:, None] * precision) ** 2
    distance = (sessions.log_range - values.delta * sessions.event)[:, None] - grid.point
    range_shock = (distance - 0.5 * np.log(spread)) * (sessions.has_range / values.tau)[:, None]
    range_log_tail = np.log(1.0 + range_shock**2 / values.range_dof)
    log_density = -0.5 * (values.range_dof + 1.0) * range_log_tail
    relative = log_density - log_density.max(axis=1, keepdims=True)
    range_density = np.exp(np.maximum(relative, LEAST_LOG_DENSITY))
    centre = next_centre(values, grid, np.clip(shock, -LARGEST_SHOCK, LARGEST_SHOCK))
    return Tables(
        shock, log_tail, density, spread, range_shock, range_log_tail, range_density, centre
    )


def next_centre(values: Values, grid: Grid, shock: Array) -> Array:
    """Where the next state is drawn to, in cells from the first point.

    Args:
        values: the parameters.
        grid: K points.
        shock: (..., K), clipped.

    Returns:
        (..., K).
    """
    still = values.m + values.phi * (grid.point - values.m) - grid.point[0]
    moved = still + values.lam * shock + values.lam2 * (np.abs(shock) - MEAN_SHOCK)
    return np.asarray(moved / grid.spacing)


def steepness(values: Values, grid: Grid) -> float:
    """Half the squared ratio of a cell to the standard deviation of the kernel."""
    return 0.5 * (grid.spacing / values.s) ** 2


def transmat(values: Values, grid: Grid, shock: Array) -> Array:
    """Transition matrices after shocks, as the filter has them.

    Args:
        values: the parameters.
        grid: K points.
        shock: (..., K) of each state, clipped.

    Returns:
        (..., K, K); rows sum to 1.
    """
    away = np.arange(len(grid.point)) - next_centre(values, grid, shock)[..., None]
    weight = np.exp(-steepness(values, grid) * (away**2 - (away**2).min(axis=-1, keepdims=True)))
    return np.asarray(weight / weight.sum(axis=-1, keepdims=True))


class Filtered(NamedTuple):
    """What the filter makes of N sessions.

    Attributes:
        predicted: (N + 1, K) probabilities of the states before each session; the last row is
            about the session to come.
        filtered: (N, K) probabilities once each session is known.
        log_predictive: (N,) log density of each return before it was known, nats.
    """

    predicted: Array
    filtered: Array
    log_predictive: Array


def even_start(grid: Grid) -> Array:
    """Every state is as likely as any other before the first session, (K,)."""
    return np.full(len(grid.point), 1.0 / len(grid.point))


def run_filter(theta: Array, grid: Grid, sessions: Sessions, startprob: Array) -> Filtered:
    """Weigh the states by the sessions up to each one.

    Args:
        theta: (P,) in the order of `NAMES`.
        grid: K points.
        sessions: N of them, consecutive.
        startprob: (K,) probabilities before the first.
    """
    from belief import grid_kernels

    values = values_of(theta, grid.spacing)
    table = tables(values, grid, sessions)
    return Filtered(
        *grid_kernels.forward(
            startprob,
            table.density,
            table.range_density,
            table.centre,
            steepness(values, grid),
        )
    )
