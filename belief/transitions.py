"""Time-varying maximum likelihood of transition matrices from (expected) moves counted in blocks.

Weighted memory is our reading of Memory Prioritized State Estimation (Puthumanaillam, Liu, Mehr &
Ornik 2023, arXiv 2312.03263): what happened counts for more the more recent it is and the more
alike the market looked. The matrix in force in block b is the one that maximises

    sum_{a <= b} weight[b, a] sum_ij counts[a, i, j] log A[i, j] + sum_ij prior[i, j] log A[i, j]

    weight[b, a] = 0.5^((b - a) / half_life) * similarity[b, a]

Its rows are normalised weighted counts. A row whose weighted moves are worth too few is the
prior's, and `from_prior` says so.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# From n moves a probability has a standard error up to 0.5 / sqrt(n): with fewer than five it
# passes .22, and staying cannot be told from leaving. Five is also the least count at which the
# chi-square test of frequencies is commonly used (Cochran 1954).
MIN_EFFECTIVE_MOVES = 5.0


class TransitionPath(NamedTuple):
    """Transition matrices in force, one per block.

    Attributes:
        transmat: (B, K, K) rows sum to 1.
        counts: (B, K, K) weighted counts plus prior counts: the Dirichlet posterior of each row.
        effective_size: (B, K) how many equally weighted moves the memory of each row is worth
            (Kish), the prior left out; 0 for a row never visited.
        from_prior: (B, K) the memory of the row is worth too few moves and its `transmat` and
            `counts` are the prior's.
    """

    transmat: Array
    counts: Array
    effective_size: Array
    from_prior: npt.NDArray[np.bool_]


def static(counts: Array, *, prior: Array) -> Array:
    """Estimate one matrix for all time: the frequency of moves, with prior counts.

    Args:
        counts: (B, K, K) expected moves i -> j in each block.
        prior: (K, K) prior counts, all positive.

    Returns:
        (K, K) transition matrix; a row never visited is the prior's.

    Example:
        >>> static(np.array([[[8.0, 1.0], [0.0, 0.0]]]), prior=np.full((2, 2), 0.5)).tolist()
        [[0.85, 0.15], [0.5, 0.5]]
    """
    total = counts.sum(axis=0) + prior
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def weighted_memory(
    counts: Array,
    *,
    half_life: float,
    prior: Array,
    similarity: Array | None = None,
    min_effective_moves: float = MIN_EFFECTIVE_MOVES,
) -> TransitionPath:
    """Estimate the matrix in force in each block from the moves up to it, by age and likeness.

    Args:
        counts: (B, K, K) expected moves i -> j in each block, oldest first.
        half_life: blocks after which a move counts half; infinity never forgets.
        prior: (K, K) prior counts, all positive; they do not fade.
        similarity: (B, B) from 0 to 1; row b says how much each block a <= b is like block b, the
            rest of the row is not read. None: all are alike.
        min_effective_moves: rows whose memory is worth less are the prior's. 0 in the iterations
            of EM, where a row that jumps to the prior and back would never settle.

    Returns:
        `TransitionPath`; block b uses blocks 0..b only.

    Raises:
        ValueError: `half_life` is not positive, `min_effective_moves` is negative, `prior` or
            `similarity` has a wrong shape or a value out of range, or there is no block.

    Source:
        Kish (1965) for the effective size, (sum of weights)^2 / (sum of squared weights), each
        move carrying the weight of its block.

    Example:
        >>> moves = np.array([[[8.0, 2.0], [1.0, 1.0]], [[2.0, 8.0], [1.0, 1.0]]])
        >>> path = weighted_memory(moves, half_life=1.0, prior=np.full((2, 2), 1e-9))
        >>> path.transmat[:, 0].round(3).tolist()
        [[0.8, 0.2], [0.4, 0.6]]
        >>> path.from_prior.tolist()
        [[False, True], [False, True]]
        >>> unlike = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> path = weighted_memory(
        ...     moves, half_life=1.0, prior=np.full((2, 2), 1e-9), similarity=unlike
        ... )
        >>> path.transmat[:, 0].round(3).tolist()
        [[0.8, 0.2], [0.2, 0.8]]
    """
    if not half_life > 0:
        raise ValueError(f"half_life is {half_life}; it must be positive")
    if not min_effective_moves >= 0:
        raise ValueError(f"min_effective_moves is {min_effective_moves}; it must be 0 or more")
    check_counts(counts, prior)
    if similarity is not None:
        _check_similarity(counts, similarity)
    keep = 0.5 ** (1.0 / half_life)
    row_size = counts.sum(axis=2)
    if similarity is None:
        remembered, squares = _fading_sum(counts, keep), _fading_sum(row_size, keep**2)
    else:
        remembered = _alike_sum(counts, keep, similarity)
        squares = _alike_sum(row_size, keep**2, similarity**2)
    effective = np.divide(
        remembered.sum(axis=2) ** 2, squares, out=np.zeros_like(squares), where=squares > 0
    )
    from_prior = effective < min_effective_moves
    total = np.where(from_prior[:, :, None], prior, remembered + prior)
    return TransitionPath(total / total.sum(axis=2, keepdims=True), total, effective, from_prior)


def check_counts(counts: Array, prior: Array) -> None:
    """Refuse moves and imagined moves that do not fit together.

    Args:
        counts: (B, K, K) expected moves i -> j in each block.
        prior: (K, K) imagined moves.

    Raises:
        ValueError: a shape is wrong, there is no block, or an imagined count is not positive.
    """
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or not len(counts):
        raise ValueError(f"counts has shape {counts.shape}; it must be (B, K, K), B at least 1")
    if prior.shape != counts.shape[1:]:
        raise ValueError(f"prior has shape {prior.shape}; counts wants {counts.shape[1:]}")
    if not prior.min() > 0:
        raise ValueError(f"prior has the count {prior.min()}; all must be positive")


def _check_similarity(counts: Array, similarity: Array) -> None:
    shape = (len(counts), len(counts))
    if similarity.shape != shape:
        raise ValueError(f"similarity has shape {similarity.shape}; counts wants {shape}")
    read = similarity[np.tri(len(counts), dtype=bool)]
    wrong = read[~((read >= 0.0) & (read <= 1.0))]
    if wrong.size:
        raise ValueError(f"similarity has the value {wrong[0]}; it must be from 0 to 1")


def _fading_sum(values: Array, keep: float) -> Array:
    """Running sum along the first axis in which each step keeps the fraction `keep`."""
    total = np.empty(values.shape)
    total[0] = values[0]
    for block in range(1, len(values)):
        total[block] = keep * total[block - 1] + values[block]
    return total


def _alike_sum(values: Array, keep: float, similarity: Array) -> Array:
    """Sum over earlier blocks and the block itself, each faded and weighed by its similarity.

    Block by block and not as one matrix product: the bits do not depend on how many blocks follow.
    """
    fade = keep ** np.arange(len(values))
    total = np.zeros(values.shape)
    for block, value in enumerate(values):
        weight = fade[: len(values) - block] * similarity[block:, block]
        total[block:] += np.multiply.outer(weight, value)
    return total
