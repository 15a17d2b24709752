"""Volatility as a quant forecasts it: RiskMetrics' EWMA, GARCH and GJR-GARCH, all with Student-t.

    r_t             =  mean + e_t,   e_t = sqrt(variance_t) * Student-t of variance 1
    variance_{t+1}  =  omega + (alpha + gamma [e_t < 0]) e_t^2 + beta variance_t

GARCH has gamma = 0; EWMA has mean = omega = gamma = 0, alpha = 1 - `DECAY` and beta = `DECAY`. The
package `arch` fits GARCH and GJR-GARCH; here is what they and EWMA say once they are fitted.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.few_state import N_PATHS, emission_logpdf
from belief.fitted_model import FittedModel, Reached
from belief.forecast import NORMAL_SCORES, normal_mixture_quantiles, quantiles_of_draws

Array = npt.NDArray[np.float64]

DECAY = 0.94
# The bounds of arch: above 2 there is a variance, and at 500 a Student-t is a normal.
DOF_RANGE = (2.05, 500.0)
FIRST_SESSIONS = 75  # what the first variance is made of, as in arch


def fit_garch(log_return: Array, start: FittedModel | None, *, asymmetric: bool) -> Reached:
    """Fit GARCH(1,1) or GJR-GARCH(1,1,1) with constant mean and Student-t, by the package arch.

    Args:
        log_return: (N,) natural-log returns, oldest first.
        start: a fit to a shorter history whose parameters arch starts from, in place of its own.
        asymmetric: GJR-GARCH, in which a fall raises the variance more than a rise.

    Returns:
        `Reached` with mean, omega, alpha, gamma, beta and dof of the equations above, natural log
        per session; backcast, the variance before the first session; variance, of the next session.

    Raises:
        FitError: arch ended below the likelihood of a normal of one variance, which is one of its
            models.
    """
    warm = start is not None and start.converged
    reached = _fit_by_arch(log_return, start if warm else None, asymmetric)
    if warm and not _is_usable(reached, log_return):
        reached = _fit_by_arch(log_return, None, asymmetric)
    if not _is_usable(reached, log_return):
        raise FitError(
            f"arch fits GARCH to {len(log_return)} returns worse than a normal of one variance"
        )
    return reached


def _fit_by_arch(log_return: Array, start: FittedModel | None, asymmetric: bool) -> Reached:
    from arch.univariate import GARCH, ConstantMean, StudentsT

    unit = _unit(log_return)
    peer = ConstantMean(
        unit * log_return,
        volatility=GARCH(1, int(asymmetric), 1),
        distribution=StudentsT(),
        rescale=False,
    )
    names = ["mean", "omega", "alpha", *(["gamma"] if asymmetric else []), "beta", "dof"]
    size = np.array([{"mean": unit, "omega": unit**2}.get(name, 1.0) for name in names])
    begin = None if start is None else size * [float(start.parameters[name]) for name in names]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # whether it converged is in the result
        result = peer.fit(disp="off", show_warning=False, starting_values=begin)
    found = dict(zip(names, (np.asarray(result.params) / size).tolist(), strict=True))
    # arch keeps alpha + gamma above zero up to its last digits only
    found["gamma"] = max(found.get("gamma", 0.0), -found["alpha"])
    # around the mean of the sample, as arch has it, not around the mean that is fitted
    found["backcast"] = _backcast(log_return - log_return.mean())
    parameters = {name: np.array(value) for name, value in found.items()}
    parameters["variance"] = variances(parameters, log_return)[-1:].reshape(())
    log_likelihood = float(result.loglikelihood) + len(log_return) * math.log(unit)
    n_iter, converged = int(result.optimization_result.nit), result.convergence_flag == 0
    return Reached(parameters, log_likelihood, n_iter, bool(converged))


def _is_usable(reached: Reached, log_return: Array) -> bool:
    """Whether the fit is at least as likely as the normal of one variance that it contains."""
    normal = -0.5 * len(log_return) * (1.0 + math.log(2.0 * math.pi * float(log_return.var())))
    finite = all(np.isfinite(value).all() for value in reached.parameters.values())
    # a Student-t of 500 degrees of freedom is not quite a normal
    return finite and reached.log_likelihood >= normal - 1.0


def _unit(log_return: Array) -> float:
    """Percent, or ten or more times finer where the variance is too small for the search of arch.

    It is the rule of arch itself.
    """
    unit = 100.0
    while log_return.var() * unit**2 < 0.1:
        unit *= 10.0
    return unit


def fit_ewma(log_return: Array) -> Reached:
    """Fit RiskMetrics' exponentially weighted variance; only the tails are estimated.

    Args:
        log_return: (N,) natural-log returns, oldest first.

    Returns:
        `Reached` with the parameters of `fit_garch`; dof maximises the likelihood.

    Raises:
        FitError: the first returns are all zero, so there is no variance to begin with.

    Source:
        J.P. Morgan and Reuters (1996), RiskMetrics Technical Document, 4th edition, chapter 5.
    """
    from scipy.optimize import minimize_scalar

    backcast = _backcast(log_return)
    if backcast == 0.0:
        raise FitError(f"the first {FIRST_SESSIONS} returns are all zero; leave them out")
    fixed = {"mean": 0.0, "omega": 0.0, "alpha": 1.0 - DECAY, "gamma": 0.0, "beta": DECAY}
    parameters = {name: np.array(value) for name, value in fixed.items()}
    parameters["backcast"] = np.array(backcast)
    variance = variances(parameters, log_return)
    standardised = log_return / np.sqrt(variance[:-1])

    def loss(log_dof: float) -> float:
        dof = math.exp(log_dof)
        unit = np.array([math.sqrt((dof - 2.0) / dof)])
        return -float(emission_logpdf(standardised, 0.0, unit, dof).sum())

    low, high = np.log(DOF_RANGE)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-8})
    parameters["dof"] = np.array(math.exp(found.x))
    parameters["variance"] = variance[-1:].reshape(())
    log_likelihood = -float(found.fun) - 0.5 * float(np.log(variance[:-1]).sum())
    return Reached(parameters, log_likelihood, int(found.nfev), bool(found.success))


def carry(fitted: FittedModel, log_return: Array) -> dict[str, Array]:
    """Move the variance on to the session after the last return; nothing is fitted again.

    Args:
        fitted: its parameters are those of `fit_garch` or `fit_ewma`.
        log_return: (N,) the returns it was fitted to, and later ones.

    Returns:
        The parameters with the `variance` of the next session.
    """
    variance = variances(fitted.parameters, log_return)[-1:].reshape(())
    return {**fitted.parameters, "variance": variance}


def variances(parameters: Mapping[str, Array], log_return: Array) -> Array:
    """Variance of each session as it was known the session before.

    The bounds by which arch keeps its search from failing are left out: no fit comes near them.

    Args:
        parameters: mean, omega, alpha, gamma, beta and backcast of `fit_garch`.
        log_return: (N,) natural-log returns, oldest first.

    Returns:
        (N + 1,) variances of the log return; the last is that of the session to come.
    """
    names = ("mean", "omega", "alpha", "gamma", "beta", "backcast")
    mean, omega, alpha, gamma, beta, backcast = (float(parameters[name]) for name in names)
    shock = log_return - mean
    added = omega + (alpha + gamma * (shock < 0.0)) * shock**2
    first = omega + (alpha + 0.5 * gamma + beta) * backcast
    steps = accumulate(added.tolist(), lambda variance, new: beta * variance + new, initial=first)
    return np.array(list(steps))


def garch_quantiles(
    parameters: Mapping[str, Array], horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Quantiles of the log return: exact for one session, simulated beyond.

    Args:
        parameters: those of `fit_garch`.
        horizons: sessions ahead, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    mean, dof = float(parameters["mean"]), float(parameters["dof"])
    drawn = simulate_shocks(parameters, horizons, rng)
    rows = []
    for horizon, total in zip(horizons, drawn, strict=True):
        if horizon == 1:
            unit = math.sqrt(float(parameters["variance"]) * (dof - 2.0) / dof)
            rows.append(mean + unit * student_quantiles(dof))
        else:
            rows.append(horizon * mean + quantiles_of_draws(total))
    return np.array(rows)


def simulate_shocks(
    parameters: Mapping[str, Array], horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Draw the log return to each horizon less horizon * mean.

    Each series of standardised returns is used with both signs: the quantiles of two such paths
    together vary less than those of two paths drawn apart.

    Args:
        parameters: those of `fit_garch`.
        horizons: sessions ahead, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), 2 * N_PATHS) natural-log returns.
    """
    names = ("omega", "alpha", "gamma", "beta", "dof")
    omega, alpha, gamma, beta, dof = (float(parameters[name]) for name in names)
    variance = np.full((2, N_PATHS), float(parameters["variance"]))
    unit = math.sqrt((dof - 2.0) / dof) * np.array([[1.0], [-1.0]])
    total, reached = np.zeros((2, N_PATHS)), []
    for step in range(1, max(horizons) + 1):
        shock = np.sqrt(variance) * (unit * rng.standard_t(dof, N_PATHS))
        total += shock
        if step in horizons:
            reached.append(total.flatten())
        reaction = alpha + gamma * (shock < 0.0) if gamma else alpha
        variance = omega + reaction * shock**2 + beta * variance
    return np.array(reached)


def ewma_quantiles(
    parameters: Mapping[str, Array], horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Quantiles of the log return under the variance in force, the same for all sessions ahead.

    This is how RiskMetrics is used: the forecast variance grows in proportion to the horizon. Its
    recursion fed with simulated returns would have the same variance, but almost every path of it
    shrinks to nothing (Nelson 1990): it is a filter, and nobody's model of the months ahead.

    Args:
        parameters: those of `fit_ewma`.
        horizons: sessions ahead, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    dof = float(parameters["dof"])
    scale = math.sqrt(float(parameters["variance"]) * (dof - 2.0) / dof)
    return student_sum_quantiles(scale, dof, horizons, rng)


def student_sum_quantiles(
    scale: float, dof: float, horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Quantiles of sums of independent Student-t: exact for one, simulated beyond.

    A Student-t is a normal with a random variance, so only the variances are simulated.

    Args:
        scale: of each Student-t, natural-log return.
        dof: its degrees of freedom.
        horizons: how many are added up, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    variance, rows = np.zeros(N_PATHS), []
    for step in range(1, max(horizons) + 1):
        variance += scale**2 * dof / (2.0 * rng.standard_gamma(dof / 2.0, N_PATHS))
        if step in horizons:
            exact = step == 1
            rows.append(
                scale * student_quantiles(dof)
                if exact
                else normal_mixture_quantiles(0.0, np.sqrt(variance), common_sd=0.0)
            )
    return np.array(rows)


def student_quantiles(dof: float) -> Array:
    """Quantiles of a Student-t of scale 1.

    Args:
        dof: degrees of freedom.

    Returns:
        (Q,) at `NORMAL_SCORES`.

    Example:
        >>> student_quantiles(5.0)[220].round(4)  # normal score 1
        np.float64(1.1105)
    """
    from scipy.special import ndtr, stdtrit

    lower = stdtrit(dof, ndtr(NORMAL_SCORES[: len(NORMAL_SCORES) // 2]))
    return np.concatenate([lower, [0.0], -lower[::-1]])


def _backcast(shock: Array) -> float:
    """Variance before the first session: exponentially weighted squares of the first shocks."""
    first = shock[:FIRST_SESSIONS]
    weight = DECAY ** np.arange(len(first))
    return float((weight * first**2).sum() / weight.sum())
