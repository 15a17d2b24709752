"""Fit the few-state model by EM: static, and with transition matrices that change over time.

The static fit is penalised maximum likelihood over several starts. The time-varying fits start from
it; in each EM iteration the expected moves of every block enter another M-step:

change-bounded    the path of matrices whose change is bounded and that maximises the likelihood.
                  Like the static fit, its penalised log-likelihood falls at no iteration, and it
                  ends no lower than the static fit, whose constant path is one of those allowed.
weighted memory   in each block the matrix that maximises a weighted likelihood of the past. This is
                  another objective than the likelihood: the fit stops when the parameters stop
                  moving and promises nothing about the likelihood.
"""

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.few_state import (
    BLOCK_LENGTH,
    Parameters,
    emission_logpdf,
    forward,
    transmat_path,
)
from belief.fitted_model import FittedModel, Reached
from belief.market import block_conditions, market_conditions, similarity
from belief.observations import Observations, check_returns
from belief.student_t import student_log_constant
from belief.transitions import TransitionPath, static, weighted_memory

if TYPE_CHECKING:
    from belief.hmm import Smoothed

Array = npt.NDArray[np.float64]

N_STATES = 3
# Chosen on sessions before 2013 by benchmarks/choose_few_state.py, then frozen.
BOUND = 1e-4
PRIOR_SHARE = 0.2
HALF_LIFE = 250.0
PRIOR_MOVES = 10.0
BANDWIDTH = 2.0
# Prior of the likelihood: one imagined move along every arrow, and each state's variance tied to
# the pooled one with the weight of two sessions, so that no state collapses onto a single session.
PRIOR_ARROW = 1.0
PRIOR_SESSIONS = 2.0
DOF_RANGE = (2.5, 200.0)
SHORT_RUN = 40
MAX_ITER = 1000
# EM stops when an iteration gains less than this, nats; the other fit when nothing moves more.
TOLERANCE = 1e-5
# A state visited less than this share of the sessions describes a few days, not a regime.
MIN_OCCUPANCY = 0.005


class Fit(NamedTuple):
    """Parameters with the path that led to them.

    Attributes:
        parameters: the last ones.
        objective: (n_iter,) log-likelihood before each iteration, nats; penalised but for weighted
            memory.
        log_likelihood: of the observations under `parameters`, nats.
        converged: nothing moved any more.
        transitions: blocks of the time-varying fit, or the one block of the static fit.
    """

    parameters: Parameters
    objective: Array
    log_likelihood: float
    converged: bool
    transitions: TransitionPath


def fit_static(log_return: Array, *, n_states: int = N_STATES) -> Fit:
    """Fit one transition matrix for all time by penalised maximum likelihood (EM).

    Several starts run a short way, hmmlearn's Gaussian fit among them; the best runs to the end.

    Args:
        log_return: (N,) natural-log returns of consecutive sessions, oldest first.
        n_states: K, 2 to 5.

    Returns:
        `Fit` whose `objective` never falls.

    Raises:
        FitError: too few returns, returns that do not vary, or no start kept every state alive.
    """
    if not 2 <= n_states <= 5:
        raise FitError(f"{n_states} states were asked for; the few-state model has 2 to 5")
    check_returns(log_return)
    prior = np.full((n_states, n_states), PRIOR_ARROW)
    begun = [
        _climb(log_return, start, prior, _one_matrix, SHORT_RUN, MIN_OCCUPANCY)
        for start in _starts(log_return, n_states)
    ]
    alive = [fit for fit in begun if fit is not None]
    if not alive:
        raise FitError(
            f"{n_states} states cannot be told apart in {len(log_return)} returns; "
            "use fewer states or a longer history"
        )
    best = max(alive, key=lambda fit: float(fit.objective[-1]))
    finished = _climb(log_return, best.parameters, prior, _one_matrix, MAX_ITER, MIN_OCCUPANCY)
    if finished is None:
        raise FitError(f"a state of {n_states} collapsed in {len(log_return)} returns")
    return finished._replace(objective=np.concatenate([best.objective, finished.objective]))


def fit_change_bounded(
    log_return: Array,
    static_fit: Fit,
    *,
    bound: float = BOUND,
    prior_share: float = PRIOR_SHARE,
) -> Fit:
    """Let the transition matrix move by at most a bound: change-bounded maximum likelihood in EM.

    Args:
        log_return: (N,) natural-log returns, oldest first.
        static_fit: where to start.
        bound: largest change of any transition probability per session; 0 is one matrix for all
            time.
        prior_share: imagined moves of the static matrix in every block and row, as a share of the
            moves of the average row; without them a row that saw no move along an arrow for a while
            would call it impossible.

    Returns:
        `Fit` with one matrix per block of 21 moves, aligned to the end; the last is in force now.
        Its `objective` never falls.

    Raises:
        ValueError: the bound is negative.
    """
    from belief.change_bounded import change_bounded

    n_states = len(static_fit.parameters.scale)
    n_moves = prior_share * (len(log_return) - 1) / n_states
    prior = PRIOR_ARROW + n_moves * static_fit.parameters.transmat[0]
    estimate = partial(change_bounded, bound=bound * BLOCK_LENGTH, prior=prior)
    fit = _climb(log_return, static_fit.parameters, prior, estimate, MAX_ITER, min_occupancy=0.0)
    if fit is None:
        raise FitError(f"no state of {n_states} can be told apart in {len(log_return)} returns")
    return fit


def fit_weighted_memory(
    log_return: Array,
    static_fit: Fit,
    *,
    half_life: float = HALF_LIFE,
    prior_moves: float = PRIOR_MOVES,
    bandwidth: float = BANDWIDTH,
) -> Fit:
    """Let the transition matrix move: weighted-memory maximum likelihood inside EM.

    Args:
        log_return: (N,) natural-log returns, oldest first.
        static_fit: where to start; its matrix is also the prior of every block.
        half_life: sessions after which a move counts half; infinity never forgets.
        prior_moves: imagined moves per row of the static matrix; they do not fade.
        bandwidth: of the kernel by which a block counts for more if the market looked as it does
            in the block in force (`belief.market`); infinity leaves the looks out.

    Returns:
        `Fit` with one matrix per block of 21 moves, aligned to the end; the last is in force now.
        Its `objective` reports the path and may fall. Rows whose memory is worth too few moves are
        the prior's once the iterations have ended.

    Raises:
        ValueError: a setting is not positive.
    """
    alike = None
    if bandwidth != math.inf:
        moments = block_conditions(market_conditions(log_return), BLOCK_LENGTH)
        alike = similarity(moments, bandwidth=bandwidth)
    estimate = partial(
        weighted_memory,
        half_life=half_life / BLOCK_LENGTH,
        prior=prior_moves * static_fit.parameters.transmat[0],
        similarity=alike,
    )
    parameters, objective, converged = static_fit.parameters, [], False
    for _ in range(MAX_ITER):
        posterior = _expect(log_return, parameters)
        objective.append(posterior.log_likelihood)
        path = estimate(posterior.transitions, min_effective_moves=0.0)
        moved = replace(_maximise(log_return, posterior, parameters), transmat=path.transmat)
        converged = _distance(moved, parameters) < TOLERANCE
        parameters = moved
        if converged:
            break
    ended = estimate(posterior.transitions)
    return _finished(log_return, parameters, ended, objective, converged)


def fit(model: str, observations: Observations, start: FittedModel | None) -> Reached:
    """Fit one of the few-state models and describe where it ended.

    Args:
        model: few_state, few_state_memory or few_state_static.
        observations: of consecutive sessions.
        start: not needed: these fits always begin with the same short runs.

    Raises:
        FitError: the returns are too few or do not vary.
    """
    log_return = observations.log_return
    static_fit = fit_static(log_return)
    chosen = static_fit
    if model == "few_state":
        chosen = fit_change_bounded(log_return, static_fit)
    elif model == "few_state_memory":
        chosen = fit_weighted_memory(log_return, static_fit)
    parameters = model_parameters(chosen, static_fit, log_return)
    return Reached(parameters, chosen.log_likelihood, len(chosen.objective), chosen.converged)


def model_parameters(fit: Fit, static_fit: Fit, log_return: Array) -> dict[str, Array]:
    """What a fit leaves behind in `FittedModel.parameters`, with the static matrix beside it.

    Args:
        fit: time-varying or static.
        static_fit: the static fit to the same returns.
        log_return: (N,) the returns both were fitted to.

    Returns:
        startprob (K,), transmat (B, K, K), loc, scale (K,), dof, static_transmat (K, K),
        transition_counts (K, K), effective_moves (K,) and from_prior (K,), 0 or 1, of the block in
        force, and the distribution of the state at the last session: filtered (K,), predicted (K,).
    """
    chosen = fit.parameters
    states = forward(log_return, chosen)
    return {
        "startprob": chosen.startprob,
        "transmat": chosen.transmat,
        "loc": np.array(chosen.loc),
        "scale": chosen.scale,
        "dof": np.array(chosen.dof),
        "static_transmat": static_fit.parameters.transmat[0],
        "transition_counts": fit.transitions.counts[-1],
        "effective_moves": fit.transitions.effective_size[-1],
        "from_prior": fit.transitions.from_prior[-1].astype(np.float64),
        "filtered": states.filtered[-1].copy(),
        "predicted": states.predicted[-1].copy(),
    }


def _starts(log_return: Array, n_states: int) -> Iterator[Parameters]:
    """Scales spread narrowly and widely around the pooled one, and hmmlearn's Gaussian fit."""
    centre = float(np.median(log_return))
    pooled = math.sqrt(_pooled_variance(log_return))
    for spread, stay in ((1.5, 0.98), (2.5, 0.95), (4.0, 0.9)):
        scale = pooled * np.geomspace(1.0 / spread, spread, n_states)
        yield _start(scale, _sticky(n_states, stay), centre, dof=6.0)
    peer = _hmmlearn_start(log_return, n_states)
    if peer is not None:
        yield _start(*peer, centre, dof=10.0)


def _start(scale: Array, transmat: Array, loc: float, *, dof: float) -> Parameters:
    n_states = len(scale)
    return Parameters(np.full(n_states, 1.0 / n_states), transmat[None], loc, scale, dof)


def _sticky(n_states: int, stay: float) -> Array:
    off = (1.0 - stay) / (n_states - 1)
    return np.full((n_states, n_states), off) + (stay - off) * np.eye(n_states)


def _hmmlearn_start(log_return: Array, n_states: int) -> tuple[Array, Array] | None:
    """Scales and matrix of hmmlearn's Gaussian fit, in percent as its absolute priors expect."""
    from hmmlearn.hmm import GaussianHMM

    logging.getLogger("hmmlearn").setLevel(logging.ERROR)
    percent = 100.0 * log_return[:, None]
    peer = GaussianHMM(
        n_states, covariance_type="diag", n_iter=30, implementation="scaling", init_params=""
    )
    peer.startprob_ = np.full(n_states, 1.0 / n_states)
    peer.transmat_ = _sticky(n_states, 0.95)
    peer.means_ = np.full((n_states, 1), percent.mean())
    peer.covars_ = percent.var() * np.geomspace(0.2, 5.0, n_states)[:, None]
    peer.fit(percent)
    scale = np.sqrt(peer.covars_.reshape(n_states)) / 100.0
    transmat = 0.99 * peer.transmat_ + 0.01 / n_states
    return (scale, transmat) if np.isfinite(transmat).all() else None


def _one_matrix(counts: Array) -> TransitionPath:
    """M-step of the static fit, as a path of one block."""
    prior = np.full(counts.shape[1:], PRIOR_ARROW)
    total = counts.sum(axis=0)[None]
    visits = total.sum(axis=2)
    return TransitionPath(static(counts, prior=prior)[None], total + prior, visits, visits == 0.0)


def _climb(
    log_return: Array,
    start: Parameters,
    prior: Array,
    estimate: Callable[[Array], TransitionPath],
    max_iter: int,
    min_occupancy: float,
) -> Fit | None:
    """EM on the penalised likelihood from one start; None when a state died on the way."""
    parameters, objective, converged = start, [], False
    for _ in range(max_iter):
        posterior = _expect(log_return, parameters)
        if posterior.smoothed.mean(axis=0).min() < min_occupancy:
            return None
        objective.append(posterior.log_likelihood + _log_prior(log_return, parameters, prior))
        path = estimate(posterior.transitions)
        parameters = replace(_maximise(log_return, posterior, parameters), transmat=path.transmat)
        converged = len(objective) > 1 and objective[-1] - objective[-2] < TOLERANCE
        if converged:
            break
    return _finished(log_return, parameters, path, objective, converged)


def _finished(
    log_return: Array,
    parameters: Parameters,
    path: TransitionPath,
    objective: list[float],
    converged: bool,
) -> Fit:
    """The fit with its states in order, and its log-likelihood."""
    ordered, path = _ordered(parameters, path)
    log_likelihood = _expect(log_return, ordered).log_likelihood
    return Fit(ordered, np.array(objective), log_likelihood, converged, path)


def _expect(log_return: Array, parameters: Parameters) -> "Smoothed":
    """E-step: smoothed states and the expected moves of each block."""
    from belief.hmm import smooth

    return smooth(
        parameters.startprob,
        transmat_path(parameters, len(log_return)),
        emission_logpdf(log_return, parameters.loc, parameters.scale, parameters.dof),
        block_length=BLOCK_LENGTH,
    )


def _log_prior(log_return: Array, parameters: Parameters, prior: Array) -> float:
    """Log prior up to a constant: Dirichlet rows, inverse-gamma variances, uniform elsewhere.

    The imagined moves of `prior`, (K, K), are spread evenly over the blocks.
    """
    ratio = _pooled_variance(log_return) / parameters.scale**2
    arrows = (prior * np.log(parameters.transmat).mean(axis=0)).sum()
    start = PRIOR_ARROW * np.log(parameters.startprob).sum()
    return float(arrows + start + 0.5 * PRIOR_SESSIONS * (np.log(ratio) - ratio).sum())


def _maximise(log_return: Array, posterior: "Smoothed", old: Parameters) -> Parameters:
    """M-step of start, location, scales and degrees of freedom; the transition matrix stays.

    A Student-t is a normal whose precision is gamma distributed (Liu & Rubin 1995): `precision` is
    its expectation given the return and the state.
    """
    responsibility = posterior.smoothed
    square = ((log_return[:, None] - old.loc) / old.scale) ** 2
    precision = (old.dof + 1.0) / (old.dof + square)
    weight = responsibility * precision
    size, first, second = (
        _weighted_sum(weight, values)
        for values in (np.ones_like(log_return), log_return, log_return**2)
    )
    loc = float((first / old.scale**2).sum() / (size / old.scale**2).sum())
    spread = second - 2.0 * loc * first + loc**2 * size
    occupancy = _weighted_sum(responsibility, np.ones_like(log_return))
    prior_spread = PRIOR_SESSIONS * _pooled_variance(log_return)
    scale = np.sqrt((spread + prior_spread) / (occupancy + PRIOR_SESSIONS))
    startprob = responsibility[0] + PRIOR_ARROW
    square = ((log_return[:, None] - loc) / scale) ** 2
    dof = _next_dof(responsibility, square, old.dof)
    return Parameters(startprob / startprob.sum(), old.transmat, loc, scale, dof)


def _pooled_variance(log_return: Array) -> float:
    """Variance of all sessions, by the mean absolute deviation so that no single one sets it."""
    deviation = np.abs(log_return - np.median(log_return))
    return float(np.mean(deviation)) ** 2 * math.pi / 2.0


def _weighted_sum(weight: Array, values: Array) -> Array:
    """Sum over sessions, (K,); einsum keeps its order of additions where BLAS may split them."""
    return np.asarray(np.einsum("tk,t->k", weight, values))


def _next_dof(responsibility: Array, square: Array, old_dof: float) -> float:
    """Degrees of freedom with the highest expected log density, near the old ones (ECME).

    The step of the complete-data likelihood would be cheaper and takes a thousand iterations where
    the tails are thin (Liu & Rubin 1995). Going no further than half or double keeps it short.
    """
    from scipy.optimize import minimize_scalar

    weight = float(responsibility.sum())

    def loss(log_dof: float) -> float:
        dof = math.exp(log_dof)
        tails = float(np.einsum("tk,tk->", responsibility, np.log(1.0 + square / dof)))
        return 0.5 * (dof + 1.0) * tails - weight * student_log_constant(dof)

    low, high = max(DOF_RANGE[0], 0.5 * old_dof), min(DOF_RANGE[1], 2.0 * old_dof)
    found = minimize_scalar(
        loss, bounds=(math.log(low), math.log(high)), method="bounded", options={"xatol": 1e-4}
    )
    # a search that ends beside the old value must not make the fit worse
    better = found.fun < loss(math.log(old_dof))
    return float(math.exp(found.x)) if better else old_dof


def _distance(new: Parameters, old: Parameters) -> float:
    """Largest move of a probability, of a relative scale, or of the weight of the tails."""
    return max(
        float(np.abs(new.transmat - old.transmat).max()),
        float(np.abs(np.log(new.scale / old.scale)).max()),
        abs(1.0 / new.dof - 1.0 / old.dof),
    )


def _ordered(parameters: Parameters, path: TransitionPath) -> tuple[Parameters, TransitionPath]:
    """Renumber the states by scale, smallest first, so that labels never switch."""
    order = np.argsort(parameters.scale)
    grid = np.ix_(np.arange(len(path.transmat)), order, order)
    path = TransitionPath(
        path.transmat[grid],
        path.counts[grid],
        path.effective_size[:, order],
        path.from_prior[:, order],
    )
    return replace(
        parameters,
        startprob=parameters.startprob[order],
        transmat=path.transmat,
        scale=parameters.scale[order],
    ), path
