"""Time-varying maximum likelihood of transition matrices from (expected) moves counted in blocks.

Weighted memory is our reading of Memory Prioritized State Estimation (Puthumanaillam et al.): the
matrix in force in block b is the one that maximises

    sum_{a <= b} weight(b - a) sum_ij counts[a, i, j] log A[i, j] + sum_ij prior[i, j] log A[i, j]

with weight halving every `half_life` blocks. Its rows are normalised weighted counts.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


class TransitionPath(NamedTuple):
    """Transition matrices in force, one per block.

    Attributes:
        transmat: (B, K, K) rows sum to 1.
        counts: (B, K, K) weighted counts plus prior counts: the Dirichlet posterior of each row.
        effective_size: (B, K) how many equally weighted moves the memory of each row is worth
            (Kish), the prior left out; 0 for a row never visited.
    """

    transmat: Array
    counts: Array
    effective_size: Array


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


def weighted_memory(counts: Array, *, half_life: float, prior: Array) -> TransitionPath:
    """Estimate the matrix in force in each block from the moves up to that block, old ones fading.

    Args:
        counts: (B, K, K) expected moves i -> j in each block, oldest first.
        half_life: blocks after which a move counts half; infinity never forgets.
        prior: (K, K) prior counts, all positive; they do not fade.

    Returns:
        `TransitionPath`; block b uses blocks 0..b only.

    Raises:
        ValueError: `half_life` is not positive.

    Example:
        >>> moves = np.array([[[8.0, 2.0], [1.0, 1.0]], [[2.0, 8.0], [1.0, 1.0]]])
        >>> path = weighted_memory(moves, half_life=1.0, prior=np.full((2, 2), 1e-9))
        >>> path.transmat[:, 0].round(3).tolist()
        [[0.8, 0.2], [0.4, 0.6]]
    """
    if not half_life > 0:
        raise ValueError(f"half_life is {half_life}; it must be positive")
    keep = 0.5 ** (1.0 / half_life)
    faded = _fading_sum(counts, keep)
    row_size = counts.sum(axis=2)
    total = faded + prior
    squares = _fading_sum(row_size, keep**2)
    effective = np.divide(
        faded.sum(axis=2) ** 2, squares, out=np.zeros_like(squares), where=squares > 0
    )
    return TransitionPath(total / total.sum(axis=2, keepdims=True), total, effective)


def _fading_sum(values: Array, keep: float) -> Array:
    """Running sum along the first axis in which each step keeps the fraction `keep`."""
    total = np.empty_like(values)
    total[0] = values[0]
    for block in range(1, len(values)):
        total[block] = keep * total[block - 1] + values[block]
    return total
