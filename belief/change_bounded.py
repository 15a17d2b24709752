"""Maximum likelihood of transition probabilities that change by no more than a bound per block.

Our reading of the change-conditioned estimator of Ornik & Topcu (2021, arXiv 1911.12976). For each
row i of the transition matrix, among all paths of distributions x_0 .. x_{B-1} with

    |x_b[j] - x_{b-1}[j]| <= bound     for every block b and every outcome j,

the one that maximises  sum_b sum_j (counts[b, i, j] + prior[i, j] / B) log x_b[j].  The problem is
concave and the rows are independent of each other. Two outcomes (stay or leave) have an exact
dynamic program; more are solved by Newton steps on a logarithmic barrier, whose Hessian is banded.
"""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from belief.transitions import TransitionPath, check_counts

Array = npt.NDArray[np.float64]

# The barrier ends when its optimum can be no further than this below the true one, nats per row.
GAP = 1e-8
BARRIER_FACTOR = 100.0
NEWTON_STEPS = 100
# A root is found when a step towards it is shorter; the likelihood errs by the square of that.
ROOT = 1e-11
# Smaller imagined counts would let probabilities come nearer to 0 than these tolerances tell apart.
SMALLEST_PRIOR = 1e-6


class TwoWay(NamedTuple):
    """Estimates of the probability of the first of two outcomes.

    Attributes:
        online: (B,) at each block from the blocks up to it.
        smoothed: (B,) the path that maximises the likelihood of all blocks.
    """

    online: Array
    smoothed: Array


def change_bounded(counts: Array, *, bound: float, prior: Array) -> TransitionPath:
    """Estimate transition matrices under a bound on their change from block to block.

    Args:
        counts: (B, K, K) expected moves i -> j in each block, oldest first.
        bound: largest change of any probability from one block to the next; 0 gives the frequency
            of all moves, 1 or more the frequency in each block.
        prior: (K, K) imagined moves, at least 1e-6 each, spread evenly over the blocks.

    Returns:
        `TransitionPath` of the path that maximises the likelihood of all blocks together. Its
        `effective_size` is how many moves would estimate a row as well as the blocks up to this one
        can while it drifts at the bound; `counts` are as many moves, with the prior's, at the
        estimated probabilities. A row never visited is the prior's.

    Raises:
        ValueError: the bound is negative or not a number, a count is negative or not a
            number, or counts and prior do not fit together (`transitions.check_counts`).

    Example:
        >>> moves = np.array([[[9.0, 1.0], [1.0, 1.0]], [[6.0, 4.0], [1.0, 1.0]]])
        >>> path = change_bounded(moves, bound=0.1, prior=np.full((2, 2), 1e-6))
        >>> path.transmat[:, 0].round(3).tolist()
        [[0.815, 0.185], [0.715, 0.285]]
    """
    check_counts(counts, prior)
    _check_values(counts, prior, bound)
    share = prior / len(counts)
    rows = [
        _row_path(counts[:, i] + share[i], bound, counts[:, i].sum(axis=0) + prior[i])
        for i in range(counts.shape[1])
    ]
    transmat = np.stack(rows, axis=1)
    visits = counts.sum(axis=2)
    effective = _effective_size(transmat, visits, bound)
    with_prior = _effective_size(transmat, visits + share.sum(axis=1), bound)
    never = np.broadcast_to(visits.sum(axis=0) == 0.0, visits.shape)
    return TransitionPath(transmat, with_prior[:, :, None] * transmat, effective, never)


def two_way(counts: Array, *, bound: float, prior: Array, forget: float = 1.0) -> TwoWay:
    """Estimate the probability of one of two outcomes, exactly, as the blocks arrive and after.

    The largest weighted log-likelihood of a path that ends in p obeys

        F_b(p) = a_b log p + c_b log(1 - p) + forget * max over |q - p| <= bound of F_{b-1}(q).

    F is concave, so the inner maximum moves its rising branch by +bound and its falling branch by
    -bound around its own maximum m_{b-1}. The slope of F_b at p is therefore a walk back in time
    that moves by `bound` a block towards m until it meets it. The online estimate m_b is the root
    of that slope; the smoothed path follows from clipping backwards from the last one.

    Args:
        counts: (B, 2) times each outcome came about in each block; fractions are fine.
        bound: largest change of the probability from one block to the next.
        prior: (2,) imagined outcomes in every block, at least 1e-6 each.
        forget: weight of a block relative to the one after it, in (0, 1].

    Returns:
        `TwoWay`. The time taken grows with B times the number of blocks the bound ties together.

    Raises:
        ValueError: the bound is negative or not a number, a prior count is not positive, or
            `forget` is not in (0, 1].

    Example:
        >>> rise = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])
        >>> two_way(rise, bound=0.0, prior=np.full(2, 1e-6)).online.round(3).tolist()
        [1.0, 0.5, 0.667, 0.75]
    """
    if counts.ndim != 2 or counts.shape[1] != 2 or not len(counts):
        raise ValueError(f"counts has shape {counts.shape}; it must be (B, 2), B at least 1")
    _check_values(counts, prior, bound)
    if not 0.0 < forget <= 1.0:
        raise ValueError(f"forget is {forget}; it must lie in (0, 1]")
    first, second = np.ascontiguousarray((counts + prior).T)
    online = _online(first, second, float(bound), float(forget))
    return TwoWay(online, _clip_back(online, float(bound)))


def _check_values(counts: Array, prior: Array, bound: float) -> None:
    if not prior.min() > 0.0:
        raise ValueError(f"prior has the count {prior.min()}; all must be positive")
    if prior.min() < SMALLEST_PRIOR:
        raise ValueError(f"prior has the count {prior.min()}; the least is {SMALLEST_PRIOR}")
    if not counts.min() >= 0.0:
        raise ValueError(f"counts has the value {counts.min()}; all must be 0 or more")
    if not bound >= 0.0:
        raise ValueError(f"bound is {bound}; it must be 0 or more")


def _row_path(counts: Array, bound: float, total: Array) -> Array:
    """The path of one row, (B, K), from counts with the prior in them."""
    if bound == 0.0 or len(counts) == 1:
        return np.repeat(total[None] / total.sum(), len(counts), axis=0)
    if counts.shape[1] == 2:
        first, second = np.ascontiguousarray(counts.T)
        stay = _clip_back(_online(first, second, bound, 1.0), bound)
        return np.column_stack([stay, 1.0 - stay])
    return _barrier(counts, bound)


@numba.njit(cache=True)
def _online(first, second, bound, forget):  # type: ignore[no-untyped-def]
    """Maximum of F_b for every block b."""
    n_blocks = len(first)
    online = np.empty(n_blocks)
    before = first[0] / (first[0] + second[0])
    for b in range(n_blocks):
        alone = first[b] / (first[b] + second[b])
        # the past is flat within the bound of its maximum and pulls back from beyond it
        if abs(alone - before) <= bound:
            before = alone
        else:
            before = _root(first, second, online, b, before, alone, bound, forget)
        online[b] = before
    return online


@numba.njit(cache=True)
def _root(first, second, online, b, before, alone, bound, forget):  # type: ignore[no-untyped-def]
    """Root of the slope of F_b between the maximum before and that of block b alone.

    Newton steps, halving the bracket where a step leaves it.
    """
    low, high = min(before, alone), max(before, alone)
    if alone > before:
        low = min(before + bound, high)
    else:
        high = max(before - bound, low)
    p = low if alone > before else high
    for _ in range(200):
        slope, curvature = _slope(first, second, online, b, p, bound, forget)
        if slope > 0.0:
            low = p
        else:
            high = p
        moved = p - slope / curvature
        if not low < moved < high:
            moved = 0.5 * (low + high)
        if abs(moved - p) <= ROOT:
            return moved
        p = moved
    return p


@numba.njit(cache=True, error_model="numpy")
def _slope(first, second, online, b, p, bound, forget):  # type: ignore[no-untyped-def]
    """First and second derivative of F_b at p: the walk back in time."""
    slope, curvature, weight = 0.0, 0.0, 1.0
    for back in range(b, -1, -1):
        up, down = first[back] / p, second[back] / (1.0 - p)
        slope += weight * (up - down)
        curvature -= weight * (up / p + down / (1.0 - p))
        if back == 0:
            break
        distance = online[back - 1] - p
        if abs(distance) <= bound:
            break
        p += bound if distance > 0.0 else -bound
        weight *= forget
    return slope, curvature


@numba.njit(cache=True)
def _clip_back(online, bound):  # type: ignore[no-untyped-def]
    """From the last block backwards, the best value within the bound of the one after it."""
    path = online.copy()
    for b in range(len(path) - 2, -1, -1):
        path[b] = min(max(path[b], path[b + 1] - bound), path[b + 1] + bound)
    return path


def _barrier(counts: Array, bound: float) -> Array:
    """Newton steps on the log barrier of the bound, which is lowered until it no longer matters.

    The most likely outcome is one minus the others, so a block has K - 1 free coordinates and the
    Hessian 2 K - 3 bands on each side of the diagonal.
    """
    total = counts.sum(axis=0)
    order = np.argsort(total, kind="stable")
    start = np.repeat((total / total.sum())[order][None], len(counts), axis=0)
    path = _follow(np.ascontiguousarray(counts[:, order]), start, bound)
    return np.asarray(path[:, np.argsort(order, kind="stable")])


@numba.njit(cache=True)
def _follow(counts, path, bound):  # type: ignore[no-untyped-def]
    """Follow the optimum from a strong barrier to one of no weight.

    The slack to both bounds moves with the steps instead of being taken from the path, whose
    differences lose the digits that matter when a bound is nearly met. The first step after the
    barrier was lowered takes its curvature from before: that is the tangent of the curve of optima,
    along which the slack falls with the weight, where a Newton step would overshoot the bound.
    """
    n_blocks, n_outcomes = counts.shape
    slack = np.full((2, n_blocks - 1, n_outcomes), bound)
    weight = before = counts.sum() / slack.size
    last = GAP / slack.size
    while True:
        for attempt in range(NEWTON_STEPS):
            slope, bend = _derivatives(counts, path, slack, weight)
            curved = weight if attempt else before
            step, change = _newton_step(
                slope, bend, curved / slack[0] ** 2 + curved / slack[1] ** 2
            )
            gain = (slope * step).sum()
            if attempt and gain <= 0.3 * weight:
                break
            _search(counts, path, slack, step, change, weight, gain)
        if weight <= last:
            return path
        before, weight = weight, max(weight / BARRIER_FACTOR, last)


@numba.njit(cache=True)
def _derivatives(counts, path, slack, weight):  # type: ignore[no-untyped-def]
    """Slope of the barrier objective, and minus the second derivative of its likelihood part."""
    slope = counts / path
    bend = slope / path
    push = weight / slack[1] - weight / slack[0]
    slope[1:] += push
    slope[:-1] -= push
    return slope, bend


@numba.njit(cache=True)
def _newton_step(slope, bend, stiffness):  # type: ignore[no-untyped-def]
    """Solve for the step of the path, (B, K), and its change from block to block, (B - 1, K).

    In the K - 1 free coordinates the Hessian is block-tridiagonal: a matrix for each block and a
    tie between neighbours. It is eliminated block by block. A bound that is nearly met makes its
    tie larger than all else by ten digits and more, so nothing may be left to the difference of
    two such numbers: a block passes on held - held (held + tie)^-1 held, which is how its own
    curvature and the tie act one after the other, and the change is solved for before the step.
    """
    n_blocks, n_outcomes = slope.shape
    free = n_outcomes - 1
    held, pull = np.zeros((free, free)), np.zeros(free)
    solved = np.empty((n_blocks, n_outcomes, n_outcomes))
    scratch = np.empty((n_outcomes, free + 2)), np.empty((free, free))
    for b in range(n_blocks):
        held += bend[b, free]
        for i in range(free):
            held[i, i] += bend[b, i]
            pull[i] += slope[b, i] - slope[b, free]
        if b < n_blocks - 1:
            _solve_change(held, pull, stiffness[b], solved[b], scratch)
            _pass_on(held, pull, solved[b], scratch[1])
    step, change = np.empty((n_blocks, n_outcomes)), np.empty((n_blocks - 1, n_outcomes))
    _solve_change(held, pull, np.zeros(n_outcomes), solved[-1], scratch)
    step[-1] = solved[-1, :, free]
    for b in range(n_blocks - 2, -1, -1):
        for i in range(n_outcomes):
            change[b, i] = -solved[b, i, free]
            for j in range(free):
                change[b, i] += solved[b, i, j] * step[b + 1, j]
            step[b, i] = step[b + 1, i] - change[b, i]
    return step, change


@numba.njit(cache=True)
def _solve_change(held, pull, stiffness, solved, scratch):  # type: ignore[no-untyped-def]
    """Fill (held + tie)^-1 [held, pull], and below it minus the sum of its rows.

    The tie is diagonal but for the last outcome's stiffness, which acts on the sum of the free
    coordinates: it enters by the Sherman-Morrison formula, so that a sum held nearly still is
    computed as itself.
    """
    free = len(held)
    right, tied = scratch
    for i in range(free):
        for j in range(free):
            right[i, j] = tied[i, j] = held[i, j]
        tied[i, i] += stiffness[i]
        right[i, free] = pull[i]
        right[i, free + 1] = 1.0
    _eliminate(tied, right)
    for j in range(free + 2):
        right[free, j] = 0.0
        for i in range(free):
            right[free, j] += right[i, j]
    total = 1.0 + stiffness[free] * right[free, free + 1]
    for j in range(free + 1):
        still = right[free, j] / total
        for i in range(free):
            solved[i, j] = right[i, j] - right[i, free + 1] * stiffness[free] * still
        solved[free, j] = -still


@numba.njit(cache=True)
def _pass_on(held, pull, solved, before):  # type: ignore[no-untyped-def]
    """Take held (held + tie)^-1 [held, pull] from held and pull."""
    free = len(held)
    before[:] = held
    for i in range(free):
        for k in range(free):
            pull[i] -= before[i, k] * solved[k, free]
            for j in range(free):
                held[i, j] -= before[i, k] * solved[k, j]


@numba.njit(cache=True)
def _eliminate(matrix, right):  # type: ignore[no-untyped-def]
    """Gauss-Jordan elimination in place; LAPACK takes longer to call than so small a matrix."""
    size, width = len(matrix), right.shape[1]
    for pivot in range(size):
        for row in range(size):
            if row != pivot:
                factor = matrix[row, pivot] / matrix[pivot, pivot]
                for j in range(pivot + 1, size):
                    matrix[row, j] -= factor * matrix[pivot, j]
                for j in range(width):
                    right[row, j] -= factor * right[pivot, j]
    for row in range(size):
        for j in range(width):
            right[row, j] /= matrix[row, row]


@numba.njit(cache=True)
def _search(counts, path, slack, step, change, weight, gain):  # type: ignore[no-untyped-def]
    """Go along a Newton step as far as the barrier objective rises as much as it promises."""
    n_blocks, n_outcomes = counts.shape
    length = 1.0
    for b in range(n_blocks):
        for j in range(n_outcomes):
            if step[b, j] < 0.0:
                length = min(length, -0.95 * path[b, j] / step[b, j])
            if b and change[b - 1, j] != 0.0:
                room = slack[0 if change[b - 1, j] > 0.0 else 1, b - 1, j]
                length = min(length, 0.95 * room / abs(change[b - 1, j]))
    while length > 1e-12:
        rise = 0.0
        for b in range(n_blocks):
            for j in range(n_outcomes):
                rise += counts[b, j] * np.log1p(length * step[b, j] / path[b, j])
                if b:
                    moved = length * change[b - 1, j]
                    rise += weight * np.log1p(-moved / slack[0, b - 1, j])
                    rise += weight * np.log1p(moved / slack[1, b - 1, j])
        if rise >= 0.1 * length * gain:
            break
        length *= 0.5
    path += length * step
    slack[0] -= length * change
    slack[1] += length * change


@numba.njit(cache=True)
def _effective_size(transmat, visits, bound):  # type: ignore[no-untyped-def]
    """How many visits, (B, K), estimate a row as well as a drifting past can.

    The mean over a window that ends in block b errs by its sampling variance, v / n, and, should
    the row drift as fast as the bound allows, by bound times the mean age of the visits in it. The
    best window trades one for the other; what counts is v over its mean squared error.
    """
    n_blocks, n_states, n_outcomes = transmat.shape
    size = np.zeros((n_blocks, n_states))
    for i in range(n_states):
        for b in range(n_blocks):
            variance = 0.0
            for j in range(n_outcomes):
                variance += transmat[b, i, j] * (1.0 - transmat[b, i, j]) / n_outcomes
            seen, aged = 0.0, 0.0
            for age in range(b + 1):
                seen += visits[b - age, i]
                aged += age * visits[b - age, i]
                if seen > 0.0:
                    bias = (bound * aged / seen) ** 2 if aged > 0.0 else 0.0
                    size[b, i] = max(size[b, i], variance / (variance / seen + bias))
                    if bias * size[b, i] > variance:
                        break
    return size
