"""Filter and smoother of a hidden Markov model whose transition matrix changes with time.

Arrays in, arrays out; nothing here knows about prices. One convention everywhere: ``transmat[t]``
leads from session t to t + 1 and uses only what is known at t, so ``transmat[T - 1]`` is the
first step of a forecast.

    filtered[t]     =  predicted[t] * exp(emission_logpdf[t]) / its sum        p(z_t | y_0..t)
    predicted[t+1]  =  filtered[t] @ transmat[t]                               p(z_t+1 | y_0..t)
    smoothed[t, i]  =  filtered[t, i]
                       * sum_j transmat[t, i, j] smoothed[t+1, j] / predicted[t+1, j]
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from numba.cpython.unsafe.tuple import tuple_setitem

from belief.errors import ImpossibleObservation

Array = npt.NDArray[np.float64]

# Outside these bounds a product may have lost digits: that session is weighed again in logarithms.
SMALLEST, LARGEST = 1e-280, 1e280


class Filtered(NamedTuple):
    """What is known about the state as the sessions arrive.

    Attributes:
        filtered: (T, K) p(z_t | y_0..t).
        predicted: (T, K) p(z_t | y_0..t-1); row 0 is `startprob`.
        log_predictive: (T,) log p(y_t | y_0..t-1) in nats.
        log_likelihood: sum of `log_predictive`, nats.
    """

    filtered: Array
    predicted: Array
    log_predictive: Array
    log_likelihood: float


class Smoothed(NamedTuple):
    """What all sessions together say about the states; for fitting, never for a forecast.

    Attributes:
        smoothed: (T, K) p(z_t | y_0..T-1).
        transitions: (B, K, K) expected moves i -> j, summed over the blocks of `block_index`.
        log_likelihood: log p(y_0..T-1) in nats.
    """

    smoothed: Array
    transitions: Array
    log_likelihood: float


def forward_filter(startprob: Array, transmat: Array, emission_logpdf: Array) -> Filtered:
    """Run the scaled forward recursion of a time-varying HMM.

    Step t conditions on y_t, then moves: ``predicted[t+1] = filtered[t] @ transmat[t]``, so
    ``transmat[T-1]`` is the first step of a forecast and is not used here.

    Args:
        startprob: (K,) p(z_0); sums to 1.
        transmat: (T, K, K), ``transmat[t, i, j] = p(z_{t+1}=j | z_t=i)``; rows sum to 1.
        emission_logpdf: (T, K) log p(y_t | z_t=k) in nats; a row of zeros marks a missing
            observation.

    Returns:
        `Filtered`, whose rows each sum to 1.

    Raises:
        ValueError: a shape disagrees with `emission_logpdf`.
        ImpossibleObservation: no reachable state can emit y_t, or a value is NaN.

    Source:
        Rabiner (1989), scaled forward recursion; the time index on `transmat` is added here.

    Example:
        >>> sunny = np.log([[0.9, 0.2], [0.9, 0.2], [0.1, 0.8]])
        >>> stay = np.broadcast_to([[0.7, 0.3], [0.3, 0.7]], (3, 2, 2))
        >>> forward_filter(np.array([0.5, 0.5]), stay, sunny).filtered.round(4).tolist()
        [[0.8182, 0.1818], [0.8834, 0.1166], [0.1907, 0.8093]]
    """
    startprob, transmat, emission_logpdf = _checked(startprob, transmat, emission_logpdf)
    steps = _filter(startprob, transmat, emission_logpdf)
    log_predictive = np.log(steps.normaliser) + steps.offset
    return Filtered(steps.filtered, steps.predicted, log_predictive, steps.log_likelihood)


def smooth(
    startprob: Array, transmat: Array, emission_logpdf: Array, *, block_length: int = 1
) -> Smoothed:
    """Run the filter and then the backward pass of a time-varying HMM: the E-step.

    Args:
        startprob: (K,) p(z_0); sums to 1.
        transmat: (T, K, K), ``transmat[t, i, j] = p(z_{t+1}=j | z_t=i)``; rows sum to 1.
        emission_logpdf: (T, K) log p(y_t | z_t=k) in nats.
        block_length: sessions whose expected moves are added up; 1 gives the pair posteriors.

    Returns:
        `Smoothed`; its blocks are those of `block_index`.

    Raises:
        ValueError: a shape disagrees with `emission_logpdf`, or `block_length` is below 1.
        ImpossibleObservation: no reachable state can emit y_t, or a value is NaN.

    Source:
        Kim (1994), smoothing from filtered and predicted probabilities.
    """
    startprob, transmat, emission_logpdf = _checked(startprob, transmat, emission_logpdf)
    steps = _filter(startprob, transmat, emission_logpdf)
    transitions = _backward(
        tuple(startprob), transmat, steps.filtered, steps.predicted, _checked_length(block_length)
    )
    return Smoothed(steps.filtered, transitions, steps.log_likelihood)


def block_index(n_moves: int, block_length: int) -> npt.NDArray[np.int64]:
    """Number the blocks of moves, aligned to the end so that the newest block is always full.

    Args:
        n_moves: how many moves t -> t + 1 there are (one less than sessions).
        block_length: moves per block; only block 0 may be shorter.

    Returns:
        (n_moves,) the block of each move, counting from 0.

    Raises:
        ValueError: `block_length` is below 1.

    Example:
        >>> block_index(5, 2).tolist()
        [0, 1, 1, 2, 2]
    """
    from_end = np.arange(n_moves - 1, -1, -1, dtype=np.int64) // _checked_length(block_length)
    return from_end[0] - from_end if n_moves else from_end


def _checked_length(block_length: int) -> int:
    if block_length < 1:
        raise ValueError(f"block_length is {block_length}; it must be at least 1")
    return block_length


def _checked(
    startprob: Array, transmat: Array, emission_logpdf: Array
) -> tuple[Array, Array, Array]:
    n_sessions, n_states = np.shape(emission_logpdf)
    for name, value, shape in (
        ("startprob", startprob, (n_states,)),
        ("transmat", transmat, (n_sessions, n_states, n_states)),
    ):
        if np.shape(value) != shape:
            raise ValueError(f"{name} has shape {np.shape(value)}; emission_logpdf wants {shape}")
    return (
        np.ascontiguousarray(startprob, dtype=np.float64),
        np.ascontiguousarray(transmat, dtype=np.float64),
        np.ascontiguousarray(emission_logpdf, dtype=np.float64),
    )


class _Steps(NamedTuple):
    """What the compiled forward pass leaves: p(y_t | y_0..t-1) is normaliser * exp(offset)."""

    filtered: Array
    predicted: Array
    normaliser: Array
    offset: Array
    log_likelihood: float


def _filter(startprob: Array, transmat: Array, emission_logpdf: Array) -> _Steps:
    # numpy's exp is vectorised, that of the compiled loop is not
    with np.errstate(over="ignore"):
        filtered = np.exp(emission_logpdf)
    predicted, normaliser, offset, log_likelihood, bad = _forward(
        tuple(startprob), transmat, filtered, emission_logpdf
    )
    if bad >= 0:
        raise ImpossibleObservation(
            f"observation {bad} of {len(normaliser)} cannot come from any reachable state: "
            f"log densities {emission_logpdf[bad].tolist()}"
        )
    return _Steps(filtered, predicted, normaliser, offset, log_likelihood)


# The compiled loops carry the K probabilities in a tuple, not an array: its length is known to the
# compiler, which then unrolls every loop over states and keeps the numbers in registers. For the
# same reason the forward pass divides by the total only every sixteenth session: a division inside
# the chain of dependent steps costs as much as the step itself, while the divisions that only feed
# the output run beside it.


@numba.njit(cache=True, error_model="numpy")
def _forward(startprob, transmat, filtered, emission_logpdf):  # type: ignore[no-untyped-def]
    """Turn the likelihoods in `filtered` into filtered probabilities, in place."""
    n_states, n_sessions = len(startprob), len(filtered)
    predicted = np.empty((n_sessions, n_states))
    normaliser = np.empty(n_sessions)
    offset = np.zeros(n_sessions)
    weight, inverse_mass, log_likelihood = startprob, 1.0, 0.0
    for t in range(n_sessions):
        total, joint = 0.0, weight
        for k in range(n_states):
            predicted[t, k] = weight[k] * inverse_mass
            joint = tuple_setitem(joint, k, weight[k] * filtered[t, k])
            total += joint[k]
        if not (total > SMALLEST and total < LARGEST):
            log_likelihood -= np.log(inverse_mass)
            inverse_mass = 1.0
            total, offset[t] = _weigh_in_logs(predicted[t], emission_logpdf[t], filtered[t])
            if not total > 0.0:
                return predicted, normaliser, offset, np.nan, t
            log_likelihood += offset[t]
            for k in range(n_states):
                joint = tuple_setitem(joint, k, filtered[t, k])
        normaliser[t] = total * inverse_mass
        inverse_mass = 1.0 / total
        for k in range(n_states):
            filtered[t, k] = joint[k] * inverse_mass
        if t % 16 == 15 or not (total > 1e-100 and total < 1e100):
            log_likelihood += np.log(total)
            for k in range(n_states):
                joint = tuple_setitem(joint, k, joint[k] * inverse_mass)
            inverse_mass = 1.0
        for j in range(n_states):
            inflow = 0.0
            for i in range(n_states):
                inflow += joint[i] * transmat[t, i, j]
            weight = tuple_setitem(weight, j, inflow)
    return predicted, normaliser, offset, log_likelihood - np.log(inverse_mass), -1


@numba.njit(cache=True)
def _weigh_in_logs(predicted, emission_logpdf, joint):  # type: ignore[no-untyped-def]
    """Weigh one session relative to its best reachable state; (nan, nan) when there is none."""
    top = -np.inf
    for k in range(len(predicted)):
        if predicted[k] > 0.0:
            log_joint = np.log(predicted[k]) + emission_logpdf[k]
            if not log_joint < np.inf:
                return np.nan, np.nan
            top = max(top, log_joint)
    if top == -np.inf:
        return np.nan, np.nan
    total = 0.0
    for k in range(len(predicted)):
        joint[k] = 0.0
        if predicted[k] > 0.0:
            joint[k] = np.exp(np.log(predicted[k]) + emission_logpdf[k] - top)
        total += joint[k]
    return total, top


@numba.njit(cache=True, error_model="numpy")
def _backward(startprob, transmat, filtered, predicted, block_length):  # type: ignore[no-untyped-def]
    """Turn filtered into smoothed probabilities, in place, and add up the expected moves."""
    n_states, n_sessions = len(startprob), len(filtered)
    n_blocks = (n_sessions - 1 + block_length - 1) // block_length
    transitions = np.zeros((n_blocks, n_states, n_states))
    ratio = startprob
    for k in range(n_states):
        ratio = tuple_setitem(ratio, k, filtered[n_sessions - 1, k])
    for step in range(n_sessions - 1):
        # unsigned, or the compiler must ask of every index whether it counts from the end
        t = numba.uint64(n_sessions - 2 - step)
        later = numba.uint64(n_sessions - 1 - step)
        block = numba.uint64(n_blocks - 1 - step // block_length)
        for j in range(n_states):
            # an unreachable state has no smoothed mass either: 0 / SMALLEST is 0
            ratio = tuple_setitem(ratio, j, ratio[j] * (1.0 / max(predicted[later, j], SMALLEST)))
        arrived = ratio
        for i in range(n_states):
            total = 0.0
            for j in range(n_states):
                pair = filtered[t, i] * transmat[t, i, j] * arrived[j]
                transitions[block, i, j] += pair
                total += pair
            ratio = tuple_setitem(ratio, i, total)
            filtered[t, i] = total
    return transitions
