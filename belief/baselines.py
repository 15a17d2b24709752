"""The forecasters a quant would use instead, as forecasts of the same type.

random_walk        normal returns without drift, of one standard deviation
random_walk_t      Student-t returns without drift, of one scale
ewma_t             exponentially weighted variance (RiskMetrics), Student-t, without drift
garch_t, gjr_t     GARCH(1,1) and GJR-GARCH(1,1,1), Student-t, constant mean, fitted by arch
hmmlearn_2, 3, 4   static Gaussian hidden Markov model whose means are free, fitted by hmmlearn

Each has its own mean, or none: the drift and the events of the outlook are not for them.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from belief import garch
from belief.errors import FitError
from belief.few_state import N_PATHS, emission_logpdf
from belief.fitted_model import FittedModel, Reached
from belief.forecast import NORMAL_SCORES, Outlook
from belief.observations import Observations, check_returns

if TYPE_CHECKING:
    from belief.hmm import Filtered

Array = npt.NDArray[np.float64]

STATES = {"hmmlearn_2": 2, "hmmlearn_3": 3, "hmmlearn_4": 4}
NAMES: tuple[str, ...] = ("random_walk", "random_walk_t", "ewma_t", "garch_t", "gjr_t", *STATES)
N_STARTS = 10
MAX_ITER = 500
# The likelihood of a normal state has no bound: one whose standard deviation is below this share of
# the median absolute return describes one session, or a few equal ones such as zeros.
MIN_SD_SHARE = 0.02
PRIOR_SESSIONS = 2.0


def fit(model: str, observations: Observations, start: FittedModel | None) -> Reached:
    """Fit a baseline; the same observations and start give the same bytes.

    Args:
        model: one of `NAMES`.
        observations: of consecutive sessions, of which the returns are used.
        start: a fit of the same model to a shorter history, for a backtest. GARCH starts from it;
            the hidden Markov model tries it beside its other starts; the others need none.

    Returns:
        `Reached`. Parameters are in natural-log returns per session: sd (random_walk); scale and
        dof (random_walk_t); those of `garch.fit_garch` (ewma_t, garch_t, gjr_t); startprob (K,),
        transmat (K, K), mean (K,), sd (K,), increasing, and filtered (K,), the probabilities of the
        states at the last session (hmmlearn).

    Raises:
        ValueError: there is no such baseline.
        FitError: the returns are too few, do not vary, or the model cannot be fitted to them.
    """
    if model not in NAMES:
        raise ValueError(f"there is no baseline {model!r}; choose one of {', '.join(NAMES)}")
    log_return = observations.log_return
    if not np.isfinite(log_return).all():
        raise FitError("a return is not a finite number")
    check_returns(log_return)
    if model == "random_walk":
        return _fit_random_walk(log_return)
    if model == "random_walk_t":
        return _fit_random_walk_t(log_return)
    if model == "ewma_t":
        return garch.fit_ewma(log_return)
    if model in STATES:
        return _fit_hmm(log_return, start, n_states=STATES[model])
    return garch.fit_garch(log_return, start, asymmetric=model == "gjr_t")


def carry(fitted: FittedModel, observations: Observations) -> dict[str, Array]:
    """Move what the model knows on to the last of the observations; nothing is fitted again.

    Args:
        fitted: its parameters are those of `fit`.
        observations: those it was fitted to, and later ones.

    Returns:
        The parameters with the `variance` of the next session or the `filtered` probabilities of
        the states at the last one; a random walk remembers nothing and stays as it is.
    """
    if fitted.model in ("random_walk", "random_walk_t"):
        return dict(fitted.parameters)
    if fitted.model in STATES:
        states = _forward(observations.log_return, **_hmm(fitted)._asdict())
        return {**fitted.parameters, "filtered": states.filtered[-1].copy()}
    return garch.carry(fitted, observations.log_return)


def forecast_quantiles(
    fitted: FittedModel, horizons: Sequence[int], outlook: Outlook, rng: np.random.Generator
) -> Array:
    """Quantiles of the log return to each horizon: exact for one session ahead.

    Beyond, random_walk is exact and the others simulate.

    Args:
        fitted: its parameters are those of `fit` or `carry`.
        horizons: sessions ahead, increasing.
        outlook: not used: the baselines have their own mean, or none, and know no events.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    parameters = fitted.parameters
    if fitted.model == "random_walk":
        return float(parameters["sd"]) * np.sqrt(horizons)[:, None] * NORMAL_SCORES
    if fitted.model == "random_walk_t":
        scale, dof = float(parameters["scale"]), float(parameters["dof"])
        return garch.student_sum_quantiles(scale, dof, horizons, rng)
    if fitted.model == "ewma_t":
        return garch.ewma_quantiles(parameters, horizons, rng)
    if fitted.model in STATES:
        return _hmm_quantiles(_hmm(fitted), parameters["filtered"], horizons, rng)
    return garch.garch_quantiles(parameters, horizons, rng)


def _fit_random_walk(log_return: Array) -> Reached:
    """Normal around zero: the maximum of the likelihood is the root mean square."""
    sd = math.sqrt(float(np.mean(log_return**2)))
    log_likelihood = -len(log_return) * (0.5 + 0.5 * math.log(2.0 * math.pi) + math.log(sd))
    return Reached({"sd": np.array(sd)}, log_likelihood, 1, converged=True)


def _fit_random_walk_t(log_return: Array) -> Reached:
    """Student-t around zero by maximum likelihood."""
    from scipy.optimize import minimize

    unit = float(np.mean(np.abs(log_return)))
    found = minimize(
        _student_loss,
        np.array([0.0, np.log(5.0)]),
        args=(log_return / unit,),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), tuple(np.log(garch.DOF_RANGE))],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": MAX_ITER},
    )
    scale, dof = np.exp(found.x) * (unit, 1.0)
    log_likelihood = float(emission_logpdf(log_return, 0.0, np.array([scale]), dof).sum())
    parameters = {"scale": np.array(scale), "dof": np.array(dof)}
    return Reached(parameters, log_likelihood, int(found.nit), bool(found.success))


def _student_loss(place: Array, value: Array) -> tuple[float, Array]:
    """Mean of minus the log density at (log scale, log dof) around zero, and its slope."""
    from scipy.special import digamma

    scale, dof = np.exp(place)
    square = (value / scale) ** 2
    pull = np.mean((dof + 1.0) / (dof + square) * square)
    bend = digamma((dof + 1.0) / 2.0) - digamma(dof / 2.0) - 1.0 / dof
    bend -= np.mean(np.log1p(square / dof))
    slope = np.array([pull - 1.0, 0.5 * (dof * bend + pull)])
    return -float(np.mean(emission_logpdf(value, 0.0, np.array([scale]), dof))), -slope


class _Hmm(NamedTuple):
    """A static Gaussian hidden Markov model of the natural-log returns, K states."""

    startprob: Array
    transmat: Array
    mean: Array
    sd: Array


def _hmm(fitted: FittedModel) -> _Hmm:
    return _Hmm(*(fitted.parameters[name] for name in _Hmm._fields))


def _fit_hmm(log_return: Array, start: FittedModel | None, *, n_states: int) -> Reached:
    """The best of several fits of hmmlearn, without those in which a state collapsed."""
    percent = 100.0 * log_return[:, None]
    starts = list(_starts(percent, n_states))
    if start is not None:
        known = _hmm(start)
        starts.append(known._replace(mean=100.0 * known.mean, sd=100.0 * known.sd))
    alive = _alive(percent, starts, prior_sessions=0.0)
    # where every start collapses, hmmlearn's own priors of variances and moves keep them alive
    alive = alive or _alive(percent, starts, prior_sessions=PRIOR_SESSIONS)
    if not alive:
        raise FitError(
            f"hmmlearn cannot tell {n_states} states apart in {len(log_return)} returns; "
            "use fewer states or a longer history"
        )
    best = max(alive, key=lambda reached: reached[0])[1]
    order = np.argsort(best.covars_.ravel())
    hmm = _Hmm(
        best.startprob_[order],
        best.transmat_[np.ix_(order, order)],
        best.means_.ravel()[order] / 100.0,
        np.sqrt(best.covars_.ravel()[order]) / 100.0,
    )
    states = _forward(log_return, *hmm)
    parameters = {**hmm._asdict(), "filtered": states.filtered[-1].copy()}
    n_iter = int(best.monitor_.iter)
    return Reached(parameters, states.log_likelihood, n_iter, converged=n_iter < MAX_ITER)


def _starts(percent: Array, n_states: int) -> Iterator[_Hmm]:
    """Sticky states with spread means and variances, in percent.

    hmmlearn's own starts tell states apart by their means alone, with transition matrices that
    forbid most moves; on daily returns they end lower, and less often in the same place.
    """
    for seed in range(N_STARTS):
        rng = np.random.default_rng(seed)
        leave = rng.uniform(0.01, 0.2)
        transmat = np.full((n_states, n_states), leave / (n_states - 1))
        np.fill_diagonal(transmat, 1.0 - leave)
        mean = percent.mean() + 0.3 * percent.std() * rng.standard_normal(n_states)
        sd = percent.std() * np.exp(rng.uniform(-1.0, 1.0, n_states))
        yield _Hmm(np.full(n_states, 1.0 / n_states), transmat, mean, sd)


def _alive(
    percent: Array, starts: Sequence[_Hmm], *, prior_sessions: float
) -> list[tuple[float, Any]]:
    """Log-likelihoods and models of hmmlearn from the starts whose states did not collapse."""
    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        tried = [_climb(percent, start, prior_sessions) for start in starts]
    return [reached for reached in tried if reached is not None]


def _climb(percent: Array, start: _Hmm, prior_sessions: float) -> tuple[float, Any] | None:
    from hmmlearn.hmm import GaussianHMM

    # unlike the standard deviation, one crash does not set it
    typical = float(np.median(np.abs(percent - np.median(percent))))
    peer = GaussianHMM(
        len(start.mean),
        covariance_type="diag",
        n_iter=MAX_ITER,
        implementation="scaling",
        init_params="",
        # absolute by default: with 0 and 1 the plain likelihood is fitted
        covars_prior=prior_sessions * typical**2,
        covars_weight=1.0 + prior_sessions,
        transmat_prior=1.0 + prior_sessions / len(start.mean),
        min_covar=1e-8,
    )
    peer.startprob_, peer.transmat_ = start.startprob, start.transmat
    peer.means_, peer.covars_ = start.mean[:, None], start.sd[:, None] ** 2
    try:
        log_likelihood = float(peer.fit(percent).score(percent))
    except ValueError:  # a state that nothing leaves, or a variance that is not positive
        return None
    narrowest = float(np.sqrt(peer.covars_.min()))
    if not (math.isfinite(log_likelihood) and narrowest > MIN_SD_SHARE * typical):
        return None
    return log_likelihood, peer


def _forward(
    log_return: Array, startprob: Array, transmat: Array, mean: Array, sd: Array
) -> "Filtered":
    """Filtered probabilities; those of hmmlearn are smoothed and look ahead."""
    from belief.hmm import forward_filter

    score = (log_return[:, None] - mean) / sd
    logpdf = -0.5 * score**2 - np.log(sd) - 0.5 * math.log(2.0 * math.pi)
    path = np.broadcast_to(transmat, (len(log_return), *transmat.shape))
    return forward_filter(startprob, path, logpdf)


def _hmm_quantiles(
    hmm: _Hmm, filtered: Array, horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Quantiles of a mixture of normals: one for each state, or for each count of visits.

    The log return along a path is normal and depends only on how often each state was visited.
    """
    rows = []
    drawn = _simulate_visits(hmm, filtered, horizons, rng)
    for horizon, (visits, weight) in zip(horizons, drawn, strict=True):
        if horizon == 1:
            rows.append(_mixture_quantiles(filtered @ hmm.transmat, hmm.mean, hmm.sd))
        else:
            mean, variance = visits @ hmm.mean, visits @ hmm.sd**2
            rows.append(_interpolated_mixture_quantiles(weight, mean, np.sqrt(variance)))
    return np.array(rows)


def _simulate_visits(
    hmm: _Hmm, filtered: Array, horizons: Sequence[int], rng: np.random.Generator
) -> list[tuple[npt.NDArray[np.int64], Array]]:
    """Simulate how many sessions are spent in each state up to each horizon.

    The counts of a path are the digits of one whole number, which is quick to add to and to sort.

    Returns:
        For each horizon the different counts (n, K), and the share of the paths with each, (n,).
    """
    bounds = np.cumsum(hmm.transmat, axis=1)[:, :-1].T.copy()
    base = max(horizons) + 1
    digit = base ** np.arange(len(filtered), dtype=np.int64)
    state = np.searchsorted(np.cumsum(filtered)[:-1], rng.random(N_PATHS))
    visits, reached = np.zeros(N_PATHS, dtype=np.int64), []
    for step in range(1, max(horizons) + 1):
        point = rng.random(N_PATHS)
        state = np.sum([point > bound[state] for bound in bounds], axis=0)
        visits += digit[state]
        if step in horizons:
            met, times = np.unique(visits, return_counts=True)
            reached.append((met[:, None] // digit % base, times / N_PATHS))
    return reached


def _mixture_quantiles(weight: Array, mean: Array, sd: Array) -> Array:
    """Quantiles of a mixture of few normals at `NORMAL_SCORES`, by halving."""
    low = np.full(len(NORMAL_SCORES), (mean - 8.0 * sd).min())
    high = np.full(len(NORMAL_SCORES), (mean + 8.0 * sd).max())
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = _mixture_score(middle, weight, mean, sd) > NORMAL_SCORES
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(0.5 * (low + high))


def _interpolated_mixture_quantiles(weight: Array, mean: Array, sd: Array) -> Array:
    """The same for many normals: between points that lie closest in the middle."""
    centre = float(weight @ mean)
    reach = float(np.max(np.abs(mean - centre) + 1.5 * NORMAL_SCORES[-1] * sd))
    unit = float(sd.min())
    distance = unit * np.sinh(np.linspace(0.0, math.asinh(reach / unit), 80))
    point = centre + np.concatenate([-distance[:0:-1], distance])
    return np.interp(NORMAL_SCORES, _mixture_score(point, weight, mean, sd), point)


def _mixture_score(point: Array, weight: Array, mean: Array, sd: Array) -> Array:
    """Normal score of the probability below each point, from the smaller of the two tails."""
    from scipy.special import ndtr, ndtri

    side = np.where(point < weight @ mean, 1.0, -1.0)
    # einsum keeps its order of additions where BLAS may split them
    tail = np.einsum("xn,n->x", ndtr(side[:, None] * (point[:, None] - mean) / sd), weight)
    return np.asarray(side * ndtri(np.maximum(tail, 1e-300)))
