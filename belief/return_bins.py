"""Bins of daily log returns, and the density within each: a Student-t cut at the edges."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.few_state import emission_logpdf
from belief.few_state_fit import DOF_RANGE
from belief.observations import check_returns

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Quantiles of a bin are kept at probabilities 1 / (1 + exp(-logit)): fine at both ends.
LOGITS = np.linspace(-21.0, 21.0, 841)
# An edge needs room: values closer than this, relative to the scale, count as equal.
TIE = 1e-9


@dataclass(frozen=True, eq=False)
class Bins:
    """The pooled Student-t of the returns and where it is cut.

    Attributes:
        signed: the bins are those of r - loc, falls and rises apart, instead of its size: the
            reading that scored worse, kept to be compared.
        edges: (K - 1,) inner edges of |r - loc|, or of r - loc, increasing, natural log per
            session.
        mass: (K,) probability of each bin under the Student-t; sums to 1.
        loc, scale, dof: the Student-t, natural log per session.
    """

    signed: bool
    edges: Array
    mass: Array
    loc: float
    scale: float
    dof: float


def cut_bins(log_return: Array, *, n_bins: int, signed: bool = False) -> Bins:
    """Fit the Student-t of all returns and cut it into bins that hold about as many returns each.

    An edge lies half-way between two neighbouring values. Where many returns are equal, so that no
    edge can lie at the quantile, it lies where the bin comes nearest to its even share of what the
    bins before it left.

    Args:
        log_return: (N,) natural-log returns of consecutive sessions, oldest first.
        n_bins: K, at least 1.
        signed: cut r - loc, falls and rises apart, instead of its size.

    Returns:
        `Bins`, none of them empty.

    Raises:
        FitError: too few returns, or so many are equal that they cannot fill the bins.
    """
    check_returns(log_return)
    loc, scale, dof = student_fit(log_return)
    deviation = _deviation(log_return, loc, signed)
    value, size = np.unique(deviation, return_counts=True)
    gap = np.flatnonzero(np.diff(value) > TIE * scale)
    places = _places(np.cumsum(size)[gap], len(log_return), n_bins)
    if places is None:
        found = f"{len(log_return)} returns with {len(gap) + 1} different "
        found += "values" if signed else "sizes"
        raise FitError(f"{found} cannot fill {n_bins} bins; too many are equal")
    below = gap[places]
    edges = 0.5 * (value[below] + value[below + 1])
    return Bins(signed, edges, _mass(edges / scale, dof, signed), loc, scale, dof)


def bin_index(log_return: Array, bins: Bins) -> Integers:
    """Number the bin of each return, (N,), counting from 0."""
    deviation = _deviation(log_return, bins.loc, bins.signed)
    return np.asarray(np.searchsorted(bins.edges, deviation), dtype=np.int64)


def student_fit(log_return: Array) -> tuple[float, float, float]:
    """Fit a Student-t to all returns by maximum likelihood.

    Args:
        log_return: (N,) natural-log returns.

    Returns:
        Location, scale and degrees of freedom, these between 2.5 and 200.
    """
    from scipy.optimize import minimize

    centre = float(np.median(log_return))
    unit = float(np.mean(np.abs(log_return - centre)))
    free = (None, None)
    found = minimize(
        _student_loss,
        np.array([0.0, 0.0, np.log(5.0)]),
        args=((log_return - centre) / unit,),
        jac=True,
        method="L-BFGS-B",
        bounds=[free, free, tuple(np.log(DOF_RANGE))],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
    )
    loc, log_scale, log_dof = found.x
    return centre + unit * float(loc), unit * float(np.exp(log_scale)), float(np.exp(log_dof))


def _student_loss(place: Array, value: Array) -> tuple[float, Array]:
    """Mean of minus the log density at (loc, log scale, log dof), and its slope."""
    from scipy.special import digamma

    loc, scale, dof = place[0], np.exp(place[1]), np.exp(place[2])
    z = (value - loc) / scale
    pull = (dof + 1.0) / (dof + z**2)
    tails = np.mean(np.log1p(z**2 / dof))
    bend = digamma((dof + 1.0) / 2.0) - digamma(dof / 2.0) - 1.0 / dof - tails
    square = np.mean(pull * z**2)
    slope = np.array([np.mean(pull * z) / scale, square - 1.0, 0.5 * (dof * bend + square)])
    return -float(np.mean(emission_logpdf(value, loc, np.array([scale]), dof))), -slope


def _deviation(log_return: Array, loc: float, signed: bool) -> Array:
    return log_return - loc if signed else np.abs(log_return - loc)


def _places(below: Integers, n_sessions: int, n_bins: int) -> list[int] | None:
    """Choose the gaps between values where the edges lie, or None.

    Args:
        below: how many returns lie below each gap, increasing.
        n_sessions: how many returns there are.
        n_bins: one more than the edges.
    """
    places: list[int] = []
    cut = 0.0
    for left in range(n_bins, 1, -1):
        share = (n_sessions - cut) / left
        # a quarter of a share at least for this bin, and for each of those after it
        least = 0.25 * share
        wide = (below >= cut + least) & (below <= n_sessions - least * (left - 1))
        if not wide.any():
            return None
        place = int(np.argmin(np.where(wide, np.abs(below - cut - share), np.inf)))
        places.append(place)
        cut = float(below[place])
    return places


def _mass(edges: Array, dof: float, signed: bool) -> Array:
    """Probability of each bin, (K,), under a Student-t of location 0 and scale 1."""
    from scipy.special import stdtr

    lower = np.append(-np.inf if signed else 0.0, edges)
    upper = np.append(edges, np.inf)
    # differences of small numbers: the upper half is measured from the lower tail
    high = np.where(lower > 0.0, -lower, upper)
    low = np.where(lower > 0.0, -upper, lower)
    mass = stdtr(dof, high) - stdtr(dof, low)
    return np.asarray(mass if signed else 2.0 * mass)


def within_logpdf(log_return: Array, index: Integers, bins: Bins) -> Array:
    """Log density of each return within its bin, (N,) nats."""
    pooled = emission_logpdf(log_return, bins.loc, np.array([bins.scale]), bins.dof)[:, 0]
    return np.asarray(pooled - np.log(bins.mass[index]))


def mean_square(bins: Bins) -> Array:
    """Mean of (r - loc)^2 within each bin by size, (K,).

    With x of a Student-t, x^2 times its density is a Student-t density of dof - 2 less one of dof.
    """
    dof, edges = bins.dof, bins.edges / bins.scale
    thicker = _mass(edges * math.sqrt((dof - 2.0) / dof), dof - 2.0, signed=False)
    square = dof * ((dof - 1.0) / (dof - 2.0) * thicker - bins.mass) / bins.mass
    return np.asarray(bins.scale**2 * square)


def size_quantiles(bins: Bins) -> Array:
    """Quantiles of |r - loc| within each bin at `LOGITS`, (K, Q)."""
    from scipy.special import expit, stdtr, stdtrit

    edges = np.concatenate([[0.0], bins.edges, [np.inf]]) / bins.scale
    beyond = stdtr(bins.dof, -edges)[:, None]
    tail = beyond[:-1] * expit(-LOGITS) + beyond[1:] * expit(LOGITS)
    return np.asarray(-bins.scale * stdtrit(bins.dof, tail))
