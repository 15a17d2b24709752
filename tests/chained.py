"""Returns for the chain, and its bins and matrices written out piece by piece."""

from itertools import pairwise

import numpy as np
from scipy.stats import t as student_t

from belief import chain
from belief.observations import observe
from belief.sources import load_prices
from belief.transitions import weighted_memory

# every entry differs, so that a transposed or a missing step shows
MATRIX = np.array([[0.70, 0.25, 0.05], [0.15, 0.25, 0.60], [0.10, 0.38, 0.52]])


def nvda_returns():
    return observe(load_prices("NVDA").until(np.datetime64("2024-03-01"))).log_return


def slices(bins):
    """Lower and upper end of each bin on the line of r - loc, as a list of pieces."""
    if bins.signed:
        ends = [-np.inf, *bins.edges, np.inf]
        return [[piece] for piece in pairwise(ends)]
    ends = [0.0, *bins.edges, np.inf]
    return [[(-high, -low), (low, high)] for low, high in pairwise(ends)]


def chance_of(pieces, bins):
    """Probability of some pieces of the line under the pooled Student-t."""
    return sum(
        student_t.cdf(high / bins.scale, bins.dof) - student_t.cdf(low / bins.scale, bins.dof)
        for low, high in pieces
    )


def bin_of(log_return, bins):
    deviation = log_return - bins.loc
    for k, pieces in enumerate(slices(bins)):
        if any(low < deviation <= high for low, high in pieces):
            return k
    raise AssertionError(log_return)


def reading(log_return, *, n_bins, signed):
    bins = chain.cut_bins(log_return, n_bins=n_bins, signed=signed)
    moves = chain.block_moves(log_return, bins)
    path = weighted_memory(moves, half_life=12.0, prior=10.0 * chain.static_matrix(moves))
    return chain.assemble(log_return, bins, path)
