"""Fit the volatility grid by weighted-memory maximum likelihood.

    objective(theta)  =  sum_s 0.5^((t - s) / half_life) log p(r_s | all before s)  +  log prior

The sum is over predictive densities of returns alone: ranges count by how well they help to predict
the returns after them. The prior is normal and weak; it holds what a short or uneventful history
says nothing about. Gradients come from the adjoint of the filter (`grid_kernels.backward`). What is
not known about the estimates is the sandwich covariance

    H^-1 (sum_s w_s^2 g_s g_s' + prior precision) H^-1,    H minus the Hessian of the objective,

with g_s the derivative of log p(r_s | ...): it holds for a likelihood that is weighted or not quite
true (White 1982, doi:10.2307/1912526).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.fitted_model import FittedModel, Reached
from belief.grid_belief import N_REGIMES, SESSIONS_PER_YEAR, cuts, regime_transmat
from belief.grid_forecast import memory_weights
from belief.grid_likelihood import log_likelihood
from belief.mixture import weights_of
from belief.observations import MIN_SESSIONS, Observations, check_returns
from belief.volatility_grid import (
    NAMES,
    SMALLEST_MOVE,
    Grid,
    Sessions,
    even_start,
    grid_of,
    run_filter,
    sessions_of,
    typical_log_scale,
)

Array = npt.NDArray[np.float64]
Result = TypeVar("Result")

# Sessions after which a session counts half, of each memory of each model.
HALF_LIVES: Mapping[str, tuple[float, ...]] = {
    "belief": (math.inf, 2000.0, 1000.0, 500.0),
    "grid_static": (math.inf,),
    "grid_2000": (2000.0,),
    "grid_1000": (1000.0,),
    "grid_500": (500.0,),
}
# Log volatility has a standard deviation of about .45 and forgets in about 100 sessions, so the
# mean of n sessions is known to this over the root of n.
LEVEL_SPREAD = 6.4
MOST_STILL = 0.15  # share of returns that are zero
MAX_ITER = 200
# The search stops when no direction, in prior or posterior standard deviations, gains more.
TOLERANCE = 1e-2
# A first guess of how much smaller posterior standard deviations are than those of the prior.
SEARCH_SHARE = 0.3
IMPOSSIBLE = 1e12  # what a search is told where a density vanishes
DIFFERENCE = 1e-3  # step of the numerical second derivatives, in such standard deviations


class Prior(NamedTuple):
    """Normal prior of the parameters as they are estimated, (P,) each."""

    mean: Array
    sd: Array


def prior_of(log_return: Array, weight: Array) -> Prior:
    """Say what is held before the likelihood speaks; scales follow the symbol's typical return.

    Persistent volatility, tails like a Student-t with 8 degrees of freedom, a range of about 1.5
    scales, events that move the price two and a half times as much, no leverage. The level that
    volatility comes back to is tied to the typical return itself, the closer the longer the
    history: the ranges keep the filter right whatever that level is, so one-session densities
    hardly speak of it, but a year ahead it is what a forecast ends at.

    Args:
        log_return: (N,) natural-log returns.
        weight: (N,) how much each counts.
    """
    typical = typical_log_scale(log_return, weight)
    scale, n_sessions = math.exp(typical), float(weight.sum())
    belief = {
        "m": (typical, LEVEL_SPREAD / math.sqrt(n_sessions)),
        "logit_phi": (4.2, 1.0),
        "log_s": (math.log(0.08), 0.7),
        "lam": (0.0, 0.05),
        "lam2": (0.03, 0.05),
        "loc": (0.03 * scale, 0.05 * scale),
        "log_dof": (math.log(6.0), 0.7),
        "log_k0": (math.log(1.2), 0.5),
        "log_k1": (math.log(1.2), 0.5),
        "log_tau": (math.log(0.22), 0.5),
        "log_range_dof": (math.log(10.0), 1.0),
        "log_kappa": (math.log(2.5), 0.5),
        "log_event_dof": (math.log(4.0), 1.0),
        "delta": (0.2, 0.3),
    }
    mean, sd = zip(*(belief[name] for name in NAMES), strict=True)
    return Prior(np.array(mean), np.array(sd))


def session_weights(n_sessions: int, half_life: float) -> Array:
    """How much each session counts, (N,): 1 for the last, half that `half_life` sessions before."""
    return np.asarray(0.5 ** (np.arange(n_sessions - 1, -1, -1) / half_life))


class Begin(NamedTuple):
    """Where a search begins, (P,), and a (P, P) factor in whose units it looks round to it."""

    theta: Array
    root: Array


class Estimate(NamedTuple):
    """Where one fit ended.

    Attributes:
        theta: (P,) in the order of `NAMES`.
        objective: reached, nats.
        n_evaluations: of the objective.
        converged: whether the search settled.
    """

    theta: Array
    objective: float
    n_evaluations: int
    converged: bool


class Doubt(NamedTuple):
    """How sure an estimate is.

    Attributes:
        covariance: (P, P) sandwich covariance.
        root: (P, P) factor of the inverse Hessian, for the next search.
        log_likelihood: of all returns, unweighted, nats.
    """

    covariance: Array
    root: Array
    log_likelihood: float


class Problem(NamedTuple):
    """A history to be fitted: N sessions on K points, with the weight of each session."""

    grid: Grid
    sessions: Sessions
    weight: Array
    prior: Prior


def problem_of(observations: Observations, grid: Grid, half_life: float) -> Problem:
    """Put a history and a memory together.

    Args:
        observations: N consecutive sessions.
        grid: K points.
        half_life: sessions after which a session counts half; infinity is the static fit.
    """
    weight = session_weights(len(observations), half_life)
    prior = prior_of(observations.log_return, weight)
    return Problem(grid, sessions_of(observations, grid), weight, prior)


def first_guess(prior: Prior) -> Begin:
    """Begin with the mean of the prior."""
    return Begin(prior.mean, np.diag(SEARCH_SHARE * prior.sd))


def objective(theta: Array, problem: Problem) -> tuple[float, Array]:
    """Weighted log likelihood plus log prior, up to a constant, and its gradient.

    Args:
        theta: (P,) in the order of `NAMES`.
        problem: what to fit.

    Returns:
        Nats, and (P,).
    """
    found = log_likelihood(theta, problem.grid, problem.sessions, problem.weight)
    pull = (problem.prior.mean - theta) / problem.prior.sd**2
    value = found.value - 0.5 * float(((pull * problem.prior.sd) ** 2).sum())
    return value, found.gradient + pull


def estimate(
    problem: Problem, begin: Begin, *, held: Mapping[str, float] | None = None
) -> Estimate:
    """Maximise the weighted likelihood times the prior.

    Args:
        problem: what to fit.
        begin: where the search begins.
        held: parameters that keep a value of their own, by name.

    Returns:
        `Estimate`; the same arguments give the same bytes.
    """
    from scipy.optimize import minimize

    origin, root = begin.theta.copy(), begin.root.copy()
    for name, value in (held or {}).items():
        origin[NAMES.index(name)], root[NAMES.index(name)] = value, 0.0

    def loss(step: Array) -> tuple[float, Array]:
        value, gradient = objective(origin + root @ step, problem)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            return IMPOSSIBLE, np.zeros_like(step)
        return -value, -(root.T @ gradient)

    options = {"maxiter": MAX_ITER, "gtol": TOLERANCE, "ftol": 1e-10, "maxcor": 20}
    end = minimize(loss, np.zeros(len(NAMES)), jac=True, method="L-BFGS-B", options=options)
    return Estimate(origin + root @ end.x, -float(end.fun), int(end.nfev), bool(end.success))


def doubt_about(theta: Array, problem: Problem) -> Doubt:
    """Sandwich covariance of the estimates.

    One step of a parameter changes the gradient, which gives a column of the Hessian, and the log
    density of every session, which gives a column of the scores.

    Args:
        theta: (P,) where a search ended.
        problem: what it was about.

    Returns:
        `Doubt`.
    """
    grid, sessions, weight, prior = problem
    here = log_likelihood(theta, grid, sessions, weight)
    curvature, score = [], []
    for place, step in enumerate((DIFFERENCE * SEARCH_SHARE * prior.sd).tolist()):
        there = theta.copy()
        there[place] += step
        found = log_likelihood(there, grid, sessions, weight)
        curvature.append((here.gradient - found.gradient) / step)
        score.append((found.log_predictive - here.log_predictive) / step)
    precision, hessian = np.diag(prior.sd**-2.0), np.array(curvature)
    inverse, root = _inverse(0.5 * (hessian + hessian.T) + precision, prior.sd)
    weighted = np.array(score) * weight
    covariance = inverse @ (weighted @ weighted.T + precision) @ inverse
    return Doubt(covariance, root, float(here.log_predictive.sum()))


def _inverse(curvature: Array, sd: Array) -> tuple[Array, Array]:
    """Inverse and its factor; no direction is believed to be vaguer than the prior has it."""
    value, vector = np.linalg.eigh(curvature * np.outer(sd, sd))
    half = vector * sd[:, None] / np.sqrt(np.maximum(value, 1.0))
    return half @ half.T, half


def fit(model: str, observations: Observations, start: FittedModel | None) -> Reached:
    """Fit one memory or several side by side, and read off all that belief and forecast need.

    Args:
        model: a name of `HALF_LIVES`.
        observations: of consecutive sessions.
        start: a fit of the same model to the beginning of them, carried on to their end: the
            searches begin where its own ended and its weights go on. Without one the searches
            begin with fixed values and the weights are even.

    Returns:
        The parameters: `point` (K,) and `least_range` of the grid; `theta` (M, P), `covariance` and
        `root` (M, P, P) of every memory; `predicted`, `filtered` and `ahead` (M, K), the belief
        before and after the last session and about the next one; `last` (5,) that session;
        `total_score` (M,) for the weights, `total_before` (M,) the same before the last session and
        `n_scored`, how many sessions they rest on; `cut` (R - 1,), `occupancy` (K,) and
        `effective_sessions` (K,) for the regimes; `static_transmat` and `year_ago_transmat` (R, R),
        not a number where there is no such fit to compare with: a fit with a `start` leaves these
        comparisons out.

    Raises:
        FitError: the returns are too few, do not vary, or are too often zero.
    """
    check_returns(observations.log_return)
    _check_moves(observations.log_return)
    half_lives, grid = HALF_LIVES[model], grid_of(observations)
    problems = [problem_of(observations, grid, half_life) for half_life in half_lives]
    if start is None:
        before = _year_before(observations)
        year_ago = None if before is None else fit_in_a_row(before, grid, half_lives)
        estimates = (
            fit_in_a_row(observations, grid, half_lives)
            if year_ago is None
            else _side_by_side(estimate, problems, [_begin_near(one, problems) for one in year_ago])
        )
    else:
        begins = zip(start.parameters["theta"], start.parameters["root"], strict=True)
        estimates = _side_by_side(estimate, problems, map(Begin._make, begins))
    theta = np.array([one.theta for one in estimates])
    doubts = _side_by_side(doubt_about, theta, problems)
    parameters = {
        **_state(theta, problems, start),
        "covariance": np.array([doubt.covariance for doubt in doubts]),
        "root": np.array([doubt.root for doubt in doubts]),
        "static_transmat": np.full((N_REGIMES, N_REGIMES), np.nan),
        "year_ago_transmat": np.full((N_REGIMES, N_REGIMES), np.nan),
    }
    if start is None:
        static = estimates[:1]
        if half_lives[0] != math.inf:
            problem = problem_of(observations, grid, math.inf)
            static = [estimate(problem, _begin_near(estimates[0], [problem]))]
        parameters["static_transmat"] = _transmat_of(static, observations, parameters)
        if before is not None and year_ago is not None:
            parameters["year_ago_transmat"] = _transmat_of(year_ago, before, parameters)
    weight = memory_weights(parameters)
    return Reached(
        parameters=parameters,
        log_likelihood=float(weight @ [doubt.log_likelihood for doubt in doubts]),
        n_iter=sum(one.n_evaluations for one in estimates),
        converged=all(one.converged for one in estimates),
    )


def _year_before(observations: Observations) -> Observations | None:
    """What was known a year before the last session; None when that is too little to fit."""
    n_before = len(observations) - SESSIONS_PER_YEAR
    return observations.first(n_before) if n_before >= MIN_SESSIONS else None


def _check_moves(log_return: Array) -> None:
    """Refuse prices that often stand still: the grid would read each of them as a new calm."""
    still = float(np.mean(np.abs(log_return) <= SMALLEST_MOVE))
    if still > MOST_STILL:
        raise FitError(
            f"{still:.0%} of the returns are zero; at most {MOST_STILL:.0%} are allowed for a grid "
            f"of volatilities; choose another model, such as few_state_memory"
        )


def _side_by_side(function: Callable[..., Result], *columns: Iterable[Any]) -> list[Result]:
    """Call a function for every memory, two at a time: the compiled recursions let others run."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, *columns))


def _begin_near(neighbour: Estimate, problems: Sequence[Problem]) -> Begin:
    """Begin where a search over much the same history ended, as unsure as the prior."""
    return first_guess(problems[0].prior)._replace(theta=neighbour.theta)


def fit_in_a_row(
    observations: Observations, grid: Grid, half_lives: Sequence[float]
) -> list[Estimate]:
    """Fit several memories cold: each search begins where the one before it ended.

    Args:
        observations: of consecutive sessions.
        grid: K points.
        half_lives: of the memories.
    """
    found: list[Estimate] = []
    for half_life in half_lives:
        problem = problem_of(observations, grid, half_life)
        begin = _begin_near(found[-1], [problem]) if found else first_guess(problem.prior)
        found.append(estimate(problem, begin))
    return found


def _state(theta: Array, problems: list[Problem], start: FittedModel | None) -> dict[str, Array]:
    """Filter the history with every memory's estimates; see `fit` for the names."""
    grid, sessions = problems[0].grid, problems[0].sessions
    runs = [run_filter(each, grid, sessions, even_start(grid)) for each in theta]
    n_memories = len(runs)
    even = np.zeros(n_memories)
    total = even if start is None else start.parameters["total_score"]
    before = even if start is None else start.parameters["total_before"]
    scored = np.zeros(()) if start is None else start.parameters["n_scored"]
    weight = weights_of(total)
    past = sum(share * run.filtered for share, run in zip(weight, runs, strict=True))
    effective = sum(
        share * (problem.weight @ run.filtered)
        for share, problem, run in zip(weight, problems, runs, strict=True)
    )
    return {
        "point": grid.point,
        "least_range": np.array(grid.least_range),
        "theta": theta,
        "predicted": np.array([run.predicted[-2] for run in runs]),
        "filtered": np.array([run.filtered[-1] for run in runs]),
        "ahead": np.array([run.predicted[-1] for run in runs]),
        "last": np.array([column[-1] for column in sessions]),
        "total_score": total,
        "total_before": before,
        "n_scored": scored,
        "cut": cuts(grid.point, past @ grid.point),
        "occupancy": past.mean(axis=0),
        "effective_sessions": effective,
    }


def _transmat_of(
    estimates: Sequence[Estimate], observations: Observations, parameters: Mapping[str, Array]
) -> Array:
    """Transition probabilities of today's regimes in force at the end of a history, (R, R)."""
    grid = Grid(parameters["point"], float(parameters["least_range"]))
    sessions = sessions_of(observations, grid)
    runs = [run_filter(one.theta, grid, sessions, even_start(grid)) for one in estimates]
    return regime_transmat(
        {
            **parameters,
            "theta": np.array([one.theta for one in estimates]),
            "filtered": np.array([run.filtered[-1] for run in runs]),
            "last": np.array([column[-1] for column in sessions]),
            "total_score": np.zeros(len(runs)),  # even weights
        }
    )
