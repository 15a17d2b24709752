"""Online mixture: several models side by side, each weighted by how well it has forecast so far.

    weight_m(t)  proportional to  exp( sum_{s < t} discount^(t - 1 - s) log_score_m(s) )

mixed with equal weights, so that no model is ever out of the running. Nothing is chosen with
hindsight: the weights at t rest on scores before t.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

DISCOUNT = 0.998
FLOOR = 0.02


def online_weights(log_score: Array, *, discount: float = DISCOUNT, floor: float = FLOOR) -> Array:
    """Weigh models by their discounted log scores, session after session.

    Args:
        log_score: (T, M) log predictive density that each of M models gave to each session, nats.
        discount: how much of the weight of a score is left one session later, in (0, 1].
        floor: share of the weight that is spread evenly whatever the scores, in [0, 1].

    Returns:
        (T + 1, M) weights; row t uses the scores of sessions 0 .. t - 1 only, row 0 is even. Rows
        sum to 1.

    Raises:
        ValueError: a setting is out of range, or a score is not a number.

    Example:
        >>> scores = np.log([[0.5, 0.25], [0.5, 0.25]])
        >>> online_weights(scores, discount=1.0, floor=0.0).round(3).tolist()
        [[0.5, 0.5], [0.667, 0.333], [0.8, 0.2]]
    """
    if not 0.0 < discount <= 1.0:
        raise ValueError(f"discount is {discount}; it must lie in (0, 1]")
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor is {floor}; it must lie in [0, 1]")
    if np.isnan(log_score).any():
        row, model = np.argwhere(np.isnan(log_score))[0]
        raise ValueError(f"log_score of model {model} at session {row} is not a number")
    n_sessions, n_models = log_score.shape
    total = np.zeros((n_sessions + 1, n_models))
    for t in range(n_sessions):
        total[t + 1] = next_total(total[t], log_score[t], discount=discount)
    return weights_of(total, floor=floor)


def weights_of(total_score: Array, *, floor: float = FLOOR) -> Array:
    """Weigh models by their discounted total scores.

    Args:
        total_score: (..., M) sums of discounted log scores, nats, up to a constant of each row.
        floor: share of the weight that is spread evenly whatever the scores, in [0, 1].

    Returns:
        (..., M) weights; the last axis sums to 1.

    Example:
        >>> weights_of(np.log([1.0, 3.0]), floor=0.0).round(3).tolist()
        [0.25, 0.75]
    """
    likely = np.exp(total_score - total_score.max(axis=-1, keepdims=True))
    likely /= likely.sum(axis=-1, keepdims=True)
    return np.asarray(floor / total_score.shape[-1] + (1.0 - floor) * likely)


def next_total(total_score: Array, log_score: Array, *, discount: float = DISCOUNT) -> Array:
    """Discounted total scores after one more session.

    Args:
        total_score: (M,) before it.
        log_score: (M,) of the session, nats.
        discount: how much of the weight of a score is left one session later, in (0, 1].

    Returns:
        (M,) with a largest total of 0. A model that once called what happened impossible comes
        back to the floor, not never.
    """
    total = discount * total_score + log_score
    return np.asarray(np.maximum(total - total.max(), -1e6))


def mixed_log_score(weights: Array, log_score: Array) -> Array:
    """Log of the mixed predictive density of each session.

    Args:
        weights: (T, M) or (T + 1, M) of `online_weights`.
        log_score: (T, M) nats.

    Returns:
        (T,) nats.

    Example:
        >>> mixed_log_score(np.array([[0.5, 0.5]]), np.log([[0.2, 0.4]])).round(4).tolist()
        [-1.204]
    """
    top = log_score.max(axis=1, keepdims=True)
    density = (weights[: len(log_score)] * np.exp(log_score - top)).sum(axis=1)
    return np.asarray(np.log(density) + top[:, 0])
