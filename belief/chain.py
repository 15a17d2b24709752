"""Observed chain: bins of the size of the daily log return are the states, nothing is hidden.

    j_t                  the bin of |r_t - loc|
    j_{t+1} | j_t        ~  transmat_b[j_t]                         b: the block of 21 sessions of t
    r_{t+1} | j_{t+1}=j  ~  g_j = loc + scale * T_dof within bin j  Student-t, renormalised

One Student-t, of all returns, is cut at the edges of the bins: the predictive density
sum_j transmat_b[j_t, j] g_j(r) integrates to 1 over the real line and the outermost bin keeps the
Student-t's tails. This is the reading of a price as a time-varying Markov decision process without
actions (Puthumanaillam, Vora, Thangeda & Ornik 2024), under the change-bounded estimator.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.few_state import BLOCK_LENGTH, N_PATHS, SESSIONS_PER_YEAR
from belief.few_state_fit import PRIOR_ARROW
from belief.fitted_model import FittedModel, Reached
from belief.forecast import NORMAL, NORMAL_SCORES, Outlook, quantiles_of_draws
from belief.observations import Observations
from belief.posterior import Belief, StatesAhead, regimes_in_force
from belief.return_bins import (
    LOGITS,
    Bins,
    bin_index,
    cut_bins,
    mean_square,
    size_quantiles,
    within_logpdf,
)
from belief.transitions import TransitionPath, static

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Chosen on sessions before 2013 by benchmarks/choose_chain.py, then frozen.
N_BINS = 3
BOUND = 2e-4
# Bins by the size of the last return, smallest first.
BIN_NAMES = {
    3: ("small", "medium", "large"),
    5: ("tiny", "small", "medium", "large", "huge"),
    7: ("tiny", "minor", "small", "medium", "large", "major", "huge"),
}


class Chain(NamedTuple):
    """A fitted chain.

    Attributes:
        bins: the states.
        startprob: (K,) shares of the bins among the returns.
        transitions: blocks of the time-varying fit, or the one block of the static fit.
        static_transmat: (K, K) matrix of the same moves with one matrix for all time.
        n_sessions: how many returns it was fitted to.
    """

    bins: Bins
    startprob: Array
    transitions: TransitionPath
    static_transmat: Array
    n_sessions: int


def fit(model: str, observations: Observations, start: FittedModel | None) -> Reached:
    """Fit the chain that is shipped and describe where it ended.

    Args:
        model: "chain".
        observations: of consecutive sessions.
        start: not needed: counting moves takes no iterations, and nothing might not converge.

    Raises:
        FitError: the returns are too few, or so many are equal that they cannot fill the bins.
    """
    log_return = observations.log_return
    fitted = fit_chain(log_return)
    log_likelihood = float(log_predictive(fitted, log_return).sum())
    return Reached(model_parameters(fitted, log_return), log_likelihood, 1, converged=True)


def fit_chain(log_return: Array, *, n_bins: int = N_BINS, bound: float = BOUND) -> Chain:
    """Fit the chain that is shipped: bins by size, a transition matrix whose change is bounded.

    Args:
        log_return: (N,) natural-log returns of consecutive sessions, oldest first.
        n_bins: K, 3, 5 or 7.
        bound: largest change of a transition probability per session; 0 gives the static matrix.

    Returns:
        `Chain` with one matrix per block of 21 moves, aligned to the end; the last is in force now.

    Raises:
        FitError: too few returns, or so many are equal that they cannot fill the bins.
        ValueError: the bound is negative.
    """
    from belief.change_bounded import change_bounded

    if n_bins not in BIN_NAMES:
        raise FitError(f"{n_bins} bins were asked for; the chain has 3, 5 or 7")
    bins = cut_bins(log_return, n_bins=n_bins)
    moves = block_moves(log_return, bins)
    prior = np.full(moves.shape[1:], PRIOR_ARROW)
    path = change_bounded(moves, bound=BLOCK_LENGTH * bound, prior=prior)
    return assemble(log_return, bins, path)


def block_moves(log_return: Array, bins: Bins) -> Array:
    """Count the moves from bin to bin, (B, K, K), in blocks of 21 sessions aligned to the end."""
    from belief.hmm import block_index

    index, n_bins = bin_index(log_return, bins), len(bins.mass)
    block = block_index(len(index) - 1, BLOCK_LENGTH)
    moves = np.zeros((block[-1] + 1, n_bins, n_bins))
    np.add.at(moves, (block, index[:-1], index[1:]), 1.0)
    return moves


def static_matrix(moves: Array) -> Array:
    """One matrix for all time, (K, K), with one imagined move along every arrow."""
    return static(moves, prior=np.full(moves.shape[1:], PRIOR_ARROW))


def assemble(log_return: Array, bins: Bins, transitions: TransitionPath) -> Chain:
    """Put bins and estimated transitions together.

    Args:
        log_return: (N,) natural-log returns the bins and the transitions were estimated from.
        bins: of `cut_bins`.
        transitions: estimated from `block_moves`, or from their sum (one block).

    Returns:
        `Chain`.
    """
    share = np.bincount(bin_index(log_return, bins), minlength=len(bins.mass)) / len(log_return)
    matrix = static_matrix(block_moves(log_return, bins))
    return Chain(bins, share, transitions, matrix, len(log_return))


def log_predictive(chain: Chain, log_return: Array) -> Array:
    """Log density of each return given the one before it.

    Args:
        chain: fitted to the first `chain.n_sessions` of these returns.
        log_return: (M,) natural-log returns, oldest first; for those after the fit the last matrix
            stays in force.

    Returns:
        (M,) nats; the first return has the shares of the bins for its probabilities.
    """
    index = bin_index(log_return, chain.bins)
    matrix = _matrix_index(chain, len(log_return) - 1)
    chance = np.empty(len(log_return))
    chance[0] = chain.startprob[index[0]]
    chance[1:] = chain.transitions.transmat[matrix, index[:-1], index[1:]]
    return np.asarray(np.log(chance) + within_logpdf(log_return, index, chain.bins))


def model_parameters(chain: Chain, log_return: Array) -> dict[str, Array]:
    """What a fit leaves behind in `FittedModel.parameters`: all that belief and forecast need.

    Args:
        chain: fitted to these returns, with bins by size.
        log_return: (N,) natural-log returns.

    Returns:
        edges (K - 1,), mass (K,), loc, scale and dof as in `Bins`; startprob (K,), transmat
        (B, K, K), static_transmat (K, K); transition_counts (K, K), effective_moves (K,) and
        from_prior (K,), 0 or 1, of the block in force; filtered (K,), 1 for the bin of the last
        session, and predicted (K,), the probabilities of the bins before it was seen; of each bin
        mean_square (K,) of r - loc, and size_quantile (K, Q), quantiles of |r - loc| at
        probabilities 1 / (1 + exp(-`LOGITS`)).

    Raises:
        ValueError: the bins are signed.
    """
    bins, path = chain.bins, chain.transitions
    if bins.signed:
        raise ValueError("the bins are signed; belief and forecast are those of bins by size")
    index, matrix = bin_index(log_return, bins), _matrix_index(chain, len(log_return) - 1)
    return {
        "edges": bins.edges,
        "mass": bins.mass,
        "loc": np.array(bins.loc),
        "scale": np.array(bins.scale),
        "dof": np.array(bins.dof),
        "startprob": chain.startprob,
        "transmat": np.ascontiguousarray(path.transmat),
        "static_transmat": chain.static_transmat,
        "transition_counts": path.counts[-1],
        "effective_moves": path.effective_size[-1],
        "from_prior": path.from_prior[-1].astype(np.float64),
        "filtered": np.eye(len(bins.mass))[index[-1]],
        "predicted": path.transmat[matrix[-1], index[-2]].copy(),
        "mean_square": mean_square(bins),
        "size_quantile": size_quantiles(bins),
    }


def hold_belief(fitted: FittedModel) -> Belief:
    """Read the belief at the last session a chain was fitted to: its bin, which is certain.

    A regime is a bin of the last session's return. Its volatility is that of the *next* session's
    log return after such a session, whose own bin is not known.

    Args:
        fitted: its parameters are those of `model_parameters`.

    Returns:
        `Belief` whose regimes are the bins.
    """
    parameters = fitted.parameters
    now, filtered = parameters["transmat"][-1], parameters["filtered"]
    variance = np.einsum("ij,j->i", now, parameters["mean_square"])
    volatility = np.sqrt(SESSIONS_PER_YEAR * variance)
    next_session = float(volatility[np.argmax(filtered)])
    return Belief(
        symbol=fitted.symbol,
        model=fitted.model,
        as_of=fitted.known_through,
        regimes=regimes_in_force(
            [f"{name} move" for name in BIN_NAMES[len(now)]], parameters, volatility
        ),
        transition_matrix=now,
        static_transition_matrix=parameters["static_transmat"],
        volatility=next_session,
        volatility_interval_90=(next_session, next_session),
        n_sessions=fitted.n_sessions,
        ahead=StatesAhead(volatility, filtered, np.arange(len(volatility))),
    )


def carry(fitted: FittedModel, observations: Observations) -> dict[str, Array]:
    """Move the belief on to the last of the observations; nothing is fitted again.

    Args:
        fitted: its parameters are those of `model_parameters`.
        observations: those it was fitted to, and later ones.

    Returns:
        The parameters with `filtered` and `predicted` of the last session.
    """
    values = fitted.parameters
    index = bin_index(observations.log_return[-2:], _bins(fitted))
    n_moves, last = len(observations) - 1, len(values["transmat"]) - 1
    block = _move_block(n_moves, fitted.n_sessions, last)[-1]
    now = {
        "filtered": np.eye(len(values["mass"]))[index[-1]],
        "predicted": values["transmat"][block, index[-2]].copy(),
    }
    return {**values, **now}


def states_over_time(fitted: FittedModel, observations: Observations) -> Array:
    """Mark the bin of every session.

    Args:
        fitted: its parameters are those of `model_parameters`.
        observations: those it was fitted to, and later ones.

    Returns:
        (N, K) 1 for the bin of the session, 0 elsewhere.
    """
    bins = _bins(fitted)
    return np.asarray(np.eye(len(bins.mass))[bin_index(observations.log_return, bins)])


def transmat_over_time(
    fitted: FittedModel, observations: Observations, n_blocks: int | None
) -> Array:
    """Transition matrices of the past, (B, K, K): one per block of 21 sessions, or one for all."""
    transmat = fitted.parameters["transmat"]
    return transmat if n_blocks is None else transmat[-n_blocks:]


def _bins(fitted: FittedModel) -> Bins:
    values = fitted.parameters
    loc, scale, dof = (float(values[name]) for name in ("loc", "scale", "dof"))
    return Bins(False, values["edges"], values["mass"], loc, scale, dof)


def forecast_quantiles(
    fitted: FittedModel, horizons: Sequence[int], outlook: Outlook, rng: np.random.Generator
) -> Array:
    """Quantiles of the log return to each horizon: exact for one session, simulated beyond.

    The chain's own location is left out, the drift takes its place: the quantiles lie evenly on
    both sides of horizon * drift.mean.

    Args:
        fitted: its parameters are those of `model_parameters`.
        horizons: sessions ahead, increasing.
        outlook: of which the drift is used; the model knows no events.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), Q) natural-log returns at `NORMAL_SCORES`, each row increasing.
    """
    parameters, drift = fitted.parameters, outlook.drift
    doubt = drift.sd * rng.standard_normal(N_PATHS)
    deviations = simulate_deviations(parameters, horizons, rng)
    rows = []
    for horizon, drawn in zip(horizons, deviations, strict=True):
        if horizon == 1:
            quantiles = _next_session_quantiles(parameters, drift.sd)
        else:
            either = drawn + horizon * doubt
            quantiles = quantiles_of_draws(np.append(either, -either))
        rows.append(horizon * drift.mean + quantiles)
    return np.array(rows)


def simulate_deviations(
    parameters: Mapping[str, Array], horizons: Sequence[int], rng: np.random.Generator
) -> Array:
    """Draw the log return to each horizon less horizon * loc.

    Each path draws its own transition matrix from the Dirichlet posterior of the moves, so
    uncertainty about the transitions is in the forecast.

    Args:
        parameters: those of `model_parameters`.
        horizons: sessions ahead, increasing.
        rng: draws for a shorter horizon are a prefix of those for a longer one.

    Returns:
        (len(horizons), N_PATHS) natural-log returns, symmetric around 0.
    """
    counts = parameters["transition_counts"]
    rows = rng.standard_gamma(counts, (N_PATHS, *counts.shape))
    bounds = np.cumsum(rows / rows.sum(axis=2, keepdims=True), axis=2)
    path, total, reached = np.arange(N_PATHS), np.zeros(N_PATHS), []
    index = np.full(N_PATHS, np.argmax(parameters["filtered"]))
    for step in range(1, horizons[-1] + 1):
        point = rng.random((N_PATHS, 1))
        index = (point > bounds[path, index, :-1]).sum(axis=1)
        total += _draw_within(parameters["size_quantile"], index, rng)
        if step in horizons:
            reached.append(total.copy())
    return np.array(reached)


def _matrix_index(chain: Chain, n_moves: int) -> Integers:
    """The block whose matrix each move follows, (n_moves,); the last one beyond the fit."""
    return _move_block(n_moves, chain.n_sessions, len(chain.transitions.transmat) - 1)


def _move_block(n_moves: int, n_fitted: int, last: int) -> Integers:
    """Blocks of the moves, the first of which lie in a fit of n_fitted sessions."""
    from belief.hmm import block_index

    index = np.full(n_moves, last, dtype=np.int64)
    if last:
        index[: n_fitted - 1] = block_index(n_fitted - 1, BLOCK_LENGTH)
    return index


def _draw_within(size_quantile: Array, index: Integers, rng: np.random.Generator) -> Array:
    """Draw r - loc from the density within a bin, one for each entry of `index`."""
    place = (rng.logistic(size=len(index)) - LOGITS[0]) / (LOGITS[1] - LOGITS[0])
    left = np.clip(place.astype(np.int64), 0, len(LOGITS) - 2)
    share = np.clip(place - left, 0.0, 1.0)
    lower, upper = size_quantile[index, left], size_quantile[index, left + 1]
    return np.asarray((lower + share * (upper - lower)) * rng.choice((-1.0, 1.0), len(index)))


def _next_session_quantiles(parameters: Mapping[str, Array], doubt: float) -> Array:
    """Quantiles at `NORMAL_SCORES` of the next r - loc plus a normal of this standard deviation."""
    chance = parameters["transmat"][-1, np.argmax(parameters["filtered"])]
    size = np.unique(parameters["size_quantile"])
    # the normal as nine points with weights (Gauss and Hermite)
    node, weight = np.polynomial.hermite_e.hermegauss(9)
    above = np.zeros(len(size))
    for step, share in zip(node, weight / weight.sum(), strict=True):
        moved = size - doubt * step
        larger = _chance_larger(parameters["size_quantile"], chance, np.abs(moved))
        above += share * np.where(moved > 0.0, 0.5 * larger, 1.0 - 0.5 * larger)
    score = [-NORMAL.inv_cdf(max(tail, 1e-300)) for tail in above.tolist()]
    upper = np.interp(NORMAL_SCORES[len(NORMAL_SCORES) // 2 + 1 :], [0.0, *score], [0.0, *size])
    return np.concatenate([-upper[::-1], [0.0], upper])


def _chance_larger(size_quantile: Array, chance: Array, size: Array) -> Array:
    """Probability that the next |r - loc| lies beyond each size."""
    larger = np.zeros(len(size))
    for share, quantile in zip(chance, size_quantile, strict=True):
        tail = 1.0 / (1.0 + np.exp(np.interp(size, quantile, LOGITS)))
        tail[size <= quantile[0]], tail[size >= quantile[-1]] = 1.0, 0.0
        larger += share * tail
    return larger
