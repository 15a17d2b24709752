"""Few-state Student-t hidden Markov model with time-varying transition probabilities.

    r_t | z_t = k   ~   loc + scale_k * T_dof                    Student-t, shared loc and dof
    z_{t+1} | z_t   ~   transmat_b[z_t]                          b: the block of 21 sessions t is in

K states ordered by scale. Here: what the model says once it is fitted; `few_state_fit` fits it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from belief.fitted_model import FittedModel
from belief.forecast import Outlook, normal_mixture_quantiles
from belief.observations import Observations
from belief.posterior import REGIME_NAMES, Belief, StatesAhead, regimes_in_force
from belief.student_t import student_log_constant

if TYPE_CHECKING:
    from belief.hmm import Filtered

Array = npt.NDArray[np.float64]

BLOCK_LENGTH = 21
N_PATHS = 10_000
SESSIONS_PER_YEAR = 252


@dataclass(frozen=True, eq=False)
class Parameters:
    """Everything the model needs to weigh a history.

    Attributes:
        startprob: (K,) p(z_0).
        transmat: (B, K, K) matrices in force, one per block; B = 1 for the static fit.
        loc: location of the returns, natural log per session.
        scale: (K,) Student-t scales, per session, increasing.
        dof: degrees of freedom of the Student-t.
    """

    startprob: Array
    transmat: Array
    loc: float
    scale: Array
    dof: float


def hold_belief(fitted: FittedModel) -> Belief:
    """Read the belief at the last session a model was fitted to.

    Args:
        fitted: its parameters are those of `model_parameters`.

    Returns:
        `Belief` whose regimes are the states.
    """
    parameters = fitted.parameters
    volatility = annualised_volatility(parameters["scale"], float(parameters["dof"]))
    now = parameters["transmat"][-1]
    ahead = parameters["filtered"] @ now
    return Belief(
        symbol=fitted.symbol,
        model=fitted.model,
        as_of=fitted.known_through,
        regimes=regimes_in_force(REGIME_NAMES[len(volatility)], parameters, volatility),
        transition_matrix=now,
        static_transition_matrix=parameters["static_transmat"],
        volatility=float(np.sqrt(ahead @ volatility**2)),
        volatility_interval_90=_bracket(volatility, ahead),
        n_sessions=fitted.n_sessions,
        ahead=StatesAhead(volatility, ahead, np.arange(len(volatility))),
    )


def carry(fitted: FittedModel, observations: Observations) -> dict[str, Array]:
    """Move the belief on to the last of the observations; nothing is fitted again.

    Args:
        fitted: its parameters are those of `model_parameters`.
        observations: those it was fitted to, and later ones.

    Returns:
        The parameters with `filtered` and `predicted` of the last session.
    """
    states = _filter_again(fitted, observations)
    now = {"filtered": states.filtered[-1].copy(), "predicted": states.predicted[-1].copy()}
    return {**fitted.parameters, **now}


def states_over_time(fitted: FittedModel, observations: Observations) -> Array:
    """Run the filter again over the returns a model was fitted to, and later ones.

    The parameters were estimated from all of the returns of the fit: row t is how the model reads
    the sessions up to t, not what was believed on that day.

    Args:
        fitted: its parameters are those of `model_parameters`.
        observations: those it was fitted to, and later ones.

    Returns:
        (N, K) filtered probabilities; the last row is the model's own.
    """
    return _filter_again(fitted, observations).filtered


def transmat_over_time(
    fitted: FittedModel, observations: Observations, n_blocks: int | None
) -> Array:
    """Transition matrices of the past, (B, K, K): one per block of 21 sessions, or one for all."""
    transmat = fitted.parameters["transmat"]
    return transmat if n_blocks is None else transmat[-n_blocks:]


def _filter_again(fitted: FittedModel, observations: Observations) -> "Filtered":
    values = fitted.parameters
    parameters = Parameters(
        startprob=values["startprob"],
        transmat=values["transmat"],
        loc=float(values["loc"]),
        scale=values["scale"],
        dof=float(values["dof"]),
    )
    return forward(observations.log_return, parameters, n_fitted=fitted.n_sessions)


def annualised_volatility(scale: Array, dof: float) -> Array:
    """Standard deviation of a year of log returns of a state that never ends.

    Args:
        scale: (K,) Student-t scales, per session.
        dof: degrees of freedom, above 2.

    Returns:
        (K,) square roots of 252 times the daily variance.
    """
    return np.asarray(scale * math.sqrt(dof / (dof - 2.0) * SESSIONS_PER_YEAR))


def forecast_quantiles(
    fitted: FittedModel, horizons: Sequence[int], outlook: Outlook, rng: np.random.Generator
) -> Array:
    """Quantiles of the log return to each horizon.

    Args:
        fitted: its parameters are those of `model_parameters`.
        horizons: sessions ahead, increasing.
        outlook: of which the drift is used; the model knows no events.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    drift = outlook.drift
    rows = [
        normal_mixture_quantiles(horizon * drift.mean, scale, common_sd=horizon * drift.sd)
        for horizon, scale in zip(horizons, simulate_scales(fitted, horizons, rng), strict=True)
    ]
    return np.array(rows)


def simulate_scales(
    fitted: FittedModel, horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Simulate the scale of the log return to each horizon, given everything but its normal draw.

    A Student-t is a normal with a random variance, so the log return along one simulated path of
    states and variances is exactly normal: averaging those normals leaves far less noise than
    drawing the returns. Each path draws its own transition matrix from the Dirichlet posterior of
    the weighted moves, so uncertainty about the transitions is in the forecast.

    Args:
        fitted: its parameters are those of `model_parameters`.
        horizons: sessions ahead, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), N_PATHS) standard deviations of the log return, drift left out.
    """
    parameters = fitted.parameters
    scale, dof = parameters["scale"], float(parameters["dof"])
    rows = rng.standard_gamma(parameters["transition_counts"], (N_PATHS, len(scale), len(scale)))
    bounds = np.cumsum(rows / rows.sum(axis=2, keepdims=True), axis=2)
    state = _draw(np.cumsum(parameters["filtered"])[None], rng)
    path, variance, reached = np.arange(N_PATHS), np.zeros(N_PATHS), []
    for step in range(1, horizons[-1] + 1):
        state = _draw(bounds[path, state], rng)
        variance += scale[state] ** 2 * dof / (2.0 * rng.standard_gamma(dof / 2.0, N_PATHS))
        if step in horizons:
            reached.append(np.sqrt(variance))
    return np.array(reached)


def _draw(bounds: Array, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw one state per path from cumulative probabilities (1 or N_PATHS, K)."""
    point = rng.random((N_PATHS, 1))
    return np.asarray((point > bounds[:, :-1]).sum(axis=1))


def _bracket(volatility: Array, probability: Array) -> tuple[float, float]:
    """Volatilities of the states that hold the 5 % and the 95 % point of the probability."""
    cumulative = np.cumsum(probability)
    low, high = np.searchsorted(cumulative, [0.05, 0.95 * cumulative[-1]])
    return float(volatility[low]), float(volatility[high])


def emission_logpdf(log_return: Array, loc: float, scale: Array, dof: float) -> Array:
    """Log density of each return under each state.

    Args:
        log_return: (N,) natural-log returns.
        loc: location, per session.
        scale: (K,) Student-t scales, per session.
        dof: degrees of freedom.

    Returns:
        (N, K) nats.

    Example:
        >>> emission_logpdf(np.zeros(1), 0.0, np.array([0.01]), 1e6).round(4).tolist()
        [[3.6862]]
    """
    square = ((log_return[:, None] - loc) / scale) ** 2
    tails = 0.5 * (dof + 1.0) * np.log(1.0 + square / dof)
    return np.asarray(student_log_constant(dof) - np.log(scale) - tails)


def transmat_path(parameters: Parameters, n_sessions: int) -> Array:
    """Lay the blocks of a fit along its sessions.

    Args:
        parameters: their `transmat` is (B, K, K).
        n_sessions: N, the sessions the parameters were fitted to.

    Returns:
        (N, K, K); row t leads from t to t + 1, the last row is the matrix in force.
    """
    from belief.hmm import block_index

    if len(parameters.transmat) == 1:
        return np.repeat(parameters.transmat, n_sessions, axis=0)
    block = block_index(n_sessions - 1, BLOCK_LENGTH)
    return np.asarray(parameters.transmat[np.append(block, len(parameters.transmat) - 1)])


def forward(
    log_return: Array, parameters: Parameters, *, n_fitted: int | None = None
) -> "Filtered":
    """Filter returns with the parameters that were fitted to the first of them.

    Args:
        log_return: (N,) natural-log returns, oldest first.
        parameters: fitted to the first `n_fitted` returns; for those after them the last matrix
            stays in force.
        n_fitted: all of them, if not given.

    Returns:
        `Filtered` with N rows; those after `n_fitted` are forecasts: nothing was fitted to them.
    """
    from belief.hmm import forward_filter

    path = transmat_path(parameters, len(log_return) if n_fitted is None else n_fitted)
    beyond = np.repeat(path[-1:], len(log_return) - len(path), axis=0)
    return forward_filter(
        parameters.startprob,
        np.concatenate([path, beyond]),
        emission_logpdf(log_return, parameters.loc, parameters.scale, parameters.dof),
    )
