"""The recursions of the volatility grid, compiled: forward, backward, and the chain rule.

The states are K equally spaced points, so every row of a transition matrix is the same bell around
another centre. With the centre at c, in cells from the first point, the point j weighs

    exp(-a (j - c)^2)  proportional to  u^i q_i,     u = exp(2 a (c - n)),  q_i = exp(-a i^2),

for n the point nearest to c and i = j - n: one exponential makes a whole row.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

Array = npt.NDArray[np.float64]

# Points of a bell that weigh less than exp(-30) = 1e-13 of its middle are left out.
NEGLIGIBLE = 30.0
OFFSETS = 32  # rows of the table from which paths draw their next cell
# Sums may be taken in any order, so that they can be vectorised; nothing else is relaxed.
VECTOR = {"reassoc", "contract", "nsz"}


@njit(cache=True)
def bell(steepness, n_states):  # type: ignore[no-untyped-def]
    """q_i for i = 0 .. the half-width that bells of this steepness need on so many points."""
    width = math.ceil(min(math.sqrt(NEGLIGIBLE / steepness) - 0.5, float(n_states)))
    return np.exp(-steepness * np.arange(width + 1.0) ** 2)


@njit(cache=True, inline="always", error_model="numpy")
def _row(weight, fall, centre, steepness):  # type: ignore[no-untyped-def]
    """Fill `weight` with the bell around a centre in cells; return its ends and its sum.

    A centre beyond the ends of the grid leaves the bell its tail inside.
    """
    n_states, width = len(weight), len(fall) - 1
    nearest = min(max(math.floor(centre + 0.5), 0), n_states - 1)
    first, last = max(nearest - width, 0), min(nearest + width, n_states - 1)
    up = math.exp(2.0 * steepness * (centre - nearest))
    down = 1.0 / up
    weight[nearest] = 1.0
    total, factor = 1.0, 1.0
    for i in range(1, last - nearest + 1):
        factor *= up
        weight[nearest + i] = factor * fall[i]
        total += factor * fall[i]
    factor = 1.0
    for i in range(1, nearest - first + 1):
        factor *= down
        weight[nearest - i] = factor * fall[i]
        total += factor * fall[i]
    return first, last, total


@njit(cache=True, nogil=True, error_model="numpy")
def move(filtered, centre, steepness, fall, weight, predicted):  # type: ignore[no-untyped-def]
    """Move a distribution over states by one session; `weight` is scratch, all are (K,)."""
    predicted[:] = 0.0
    for k in range(len(filtered)):
        first, last, total = _row(weight, fall, centre[k], steepness)
        share = filtered[k] / total
        for j in range(first, last + 1):
            predicted[j] += share * weight[j]


@njit(cache=True, nogil=True, error_model="numpy")
def forward(startprob, density, range_density, centre, steepness):  # type: ignore[no-untyped-def]
    """Run the filter.

    Step t weighs the states by the return and the range of session t, then moves them.

    Args:
        startprob: (K,) before the first session.
        density: (N, K) of the return, given the state.
        range_density: (N, K) of the range, given state and return.
        centre: (N, K) where the state of the next session is drawn to, in cells.
        steepness: a of the bells.

    Returns:
        predicted (N + 1, K), of which row N is about the session to come; filtered (N, K); and
        log_predictive (N,) of the returns, nats.
    """
    n_sessions, n_states = density.shape
    predicted = np.empty((n_sessions + 1, n_states))
    filtered = np.empty((n_sessions, n_states))
    log_predictive = np.empty(n_sessions)
    fall, weight = bell(steepness, n_states), np.empty(n_states)
    predicted[0] = startprob
    for t in range(n_sessions):
        likely, joint = 0.0, 0.0
        for k in range(n_states):
            share = predicted[t, k] * density[t, k]
            likely += share
            filtered[t, k] = share * range_density[t, k]
            joint += filtered[t, k]
        log_predictive[t] = math.log(likely)
        for k in range(n_states):
            filtered[t, k] /= joint
        move(filtered[t], centre[t], steepness, fall, weight, predicted[t + 1])
    return predicted, filtered, log_predictive


@njit(cache=True, nogil=True, error_model="numpy")
def backward(predicted, filtered, density, centre, steepness, session_weight):  # type: ignore[no-untyped-def]
    """Derivatives of sum_t session_weight[t] log_predictive[t], by the adjoint of `forward`.

    Args:
        predicted: (N + 1, K) of `forward`.
        filtered: (N, K) of `forward`.
        density: (N, K) as given to it.
        centre: (N, K) as given to it.
        steepness: as given to it.
        session_weight: (N,).

    Returns:
        Derivatives by the log of density (N, K), by the log of range_density (N, K), by centre
        (N, K), and by the log of steepness.
    """
    n_sessions, n_states = density.shape
    by_density = np.empty((n_sessions, n_states))
    by_range = np.empty((n_sessions, n_states))
    by_centre = np.empty((n_sessions, n_states))
    by_steepness = 0.0
    fall, weight = bell(steepness, n_states), np.empty(n_states)
    worth, pull = np.zeros(n_states), np.empty(n_states)
    for t in range(n_sessions - 1, -1, -1):
        mean_pull, likely = 0.0, 0.0
        for k in range(n_states):
            centre_k = centre[t, k]
            first, last, total = _row(weight, fall, centre_k, steepness)
            value, off, square, value_off, value_square = 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(first, last + 1):
                distance = j - centre_k
                w = weight[j] * distance
                value += weight[j] * worth[j]
                off += w
                square += w * distance
                value_off += w * worth[j]
                value_square += w * distance * worth[j]
            one, a = 1.0 / total, filtered[t, k]
            value *= one
            pull[k] = value
            by_centre[t, k] = 2.0 * steepness * a * one * (value_off - value * off)
            by_steepness -= steepness * a * one * (value_square - value * square)
            mean_pull += a * value
            likely += predicted[t, k] * density[t, k]
        scale = session_weight[t] / likely
        for k in range(n_states):
            own = scale * density[t, k]
            excess = pull[k] - mean_pull
            gain = filtered[t, k] * excess
            by_range[t, k] = gain
            by_density[t, k] = own * predicted[t, k] + gain
            # where nothing was predicted, nothing was filtered, and what it is worth is unknown
            worth[k] = own + (gain / predicted[t, k] if predicted[t, k] > 1e-300 else 0.0)
    return by_density, by_range, by_centre, by_steepness


@njit(cache=True, nogil=True, fastmath=VECTOR, error_model="numpy")
def by_shock(by_density, by_centre, shock, dof, push, push_size, largest):  # type: ignore[no-untyped-def]
    """Derivatives by the shock: through the density of the return and through the centre.

    Args:
        by_density: (N, K) of `backward`.
        by_centre: (N, K) of `backward`.
        shock: (N, K), not clipped.
        dof: (N,) of the session's Student-t.
        push: cells that a shock of 1 moves the centre by.
        push_size: cells that its size moves the centre by.
        largest: shocks are clipped there before they move the centre.

    Returns:
        (N, K).
    """
    n_sessions, n_states = shock.shape
    found = np.empty((n_sessions, n_states))
    for t in range(n_sessions):
        for k in range(n_states):
            z = shock[t, k]
            moved = push + (push_size if z > 0.0 else -push_size)
            moved = moved if abs(z) < largest else 0.0
            score = (dof[t] + 1.0) * z / (dof[t] + z * z)
            found[t, k] = by_centre[t, k] * moved - by_density[t, k] * score
    return found


@njit(cache=True, nogil=True, fastmath=VECTOR, error_model="numpy")
def tail_sums(by_density, shock, log_tail, dof):  # type: ignore[no-untyped-def]
    """Sums over all sessions and states that the derivative by the degrees of freedom needs.

    With g the derivative by the log density: g, g log_tail, and g shock^2 / (dof + shock^2).
    """
    plain, logs, heavy = 0.0, 0.0, 0.0
    n_sessions, n_states = shock.shape
    for t in range(n_sessions):
        for k in range(n_states):
            g, square = by_density[t, k], shock[t, k] * shock[t, k]
            plain += g
            logs += g * log_tail[t, k]
            heavy += g * square / (dof + square)
    return plain, logs, heavy


@njit(cache=True, nogil=True, fastmath=VECTOR, error_model="numpy")
def range_sums(by_range, range_shock, spread, event, dof, k0):  # type: ignore[no-untyped-def]
    """Sums of the derivative by the range shock that its parameters need.

    With p that derivative: p shock, p in event sessions, p / spread, p (spread - k0) / spread.
    """
    whole, events, floor, slope = 0.0, 0.0, 0.0, 0.0
    n_sessions, n_states = range_shock.shape
    for t in range(n_sessions):
        row = 0.0
        for k in range(n_states):
            shock = range_shock[t, k]
            p = -by_range[t, k] * (dof + 1.0) * shock / (dof + shock * shock)
            row += p
            whole += p * shock
            share = p / spread[t, k]
            floor += share
            slope += share * (spread[t, k] - k0)
        events += row * event[t]
    return whole, events, floor, slope


@njit(cache=True, nogil=True, error_model="numpy")
def offset_bounds(steepness, n_states):  # type: ignore[no-untyped-def]
    """Cumulative probabilities of the cells around a centre, for `walk`.

    Args:
        steepness: (D,) of as many laws.
        n_states: K, points of the grid.

    Returns:
        (D, `OFFSETS` + 1, 2 W + 1): row o is for a centre o / `OFFSETS` - 1/2 cells above its
        nearest point, column i for the cell i - W above that point.
    """
    width = len(bell(steepness.min(), n_states)) - 1
    bounds = np.empty((len(steepness), OFFSETS + 1, 2 * width + 1))
    for d in range(len(steepness)):
        for o in range(OFFSETS + 1):
            offset, total = o / OFFSETS - 0.5, 0.0
            for i in range(2 * width + 1):
                total += math.exp(-steepness[d] * (i - width - offset) ** 2)
                bounds[d, o, i] = total
            bounds[d, o] /= total
    return bounds


@njit(cache=True, nogil=True, error_model="numpy")
def walk(state, total, laws, bounds, point, event, first, last, largest, rng):  # type: ignore[no-untyped-def]
    """Take every path from session `first` to session `last`, one session at a time, in place.

    Two neighbouring paths follow the same law and meet opposite shocks of the same size.

    Args:
        state: (n,) index of each path's state in session first + 1.
        total: (n,) log return so far, without location; grows.
        laws: (D, 8) of `grid_forecast`; n / D paths in a row follow the same.
        bounds: of `offset_bounds`.
        point: (K,) log scales.
        event: (H, n / 2) whether session h + 1 of a pair of paths reacts to an event.
        first: sessions after the origin that are already behind.
        last: sessions after the origin to go to.
        largest: shocks are clipped there before they move the centre.
        rng: draws step by step, so that a longer walk begins like a shorter one.
    """
    n_states, width = len(point), (bounds.shape[2] - 1) // 2
    scale, per_law = np.exp(point), len(state) // len(laws)
    for step in range(first, last):
        for pair in range(len(state) // 2):
            law = 2 * pair // per_law
            _, still, slope, push, push_size, dof, kappa, event_dof = laws[law]
            freedom = event_dof if event[step, pair] else dof
            size = kappa if event[step, pair] else 1.0
            gamma = rng.standard_gamma(0.5 * freedom)
            shock = rng.standard_normal() * math.sqrt(0.5 * freedom / gamma)
            for path in range(2 * pair, 2 * pair + 2):
                k = state[path]
                total[path] += shock * scale[k] * size
                z = min(max(shock, -largest), largest)
                centre = still + slope * k + push * z + push_size * abs(z)
                nearest = math.floor(centre + 0.5)
                # between two rows of the table a draw decides, so that the mean is right
                row = int((centre - nearest + 0.5) * OFFSETS + rng.random())
                level, cell = rng.random(), 0
                while bounds[law, row, cell] < level and cell < 2 * width:
                    cell += 1
                state[path] = min(max(nearest + cell - width, 0), n_states - 1)
                shock = -shock
