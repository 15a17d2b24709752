"""Slow, obvious answers to check the fast ones against, sharing no code with the product."""

from itertools import product

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student_t


def all_paths(startprob, transmat, emission_logpdf):
    """Every state path of a short chain with its joint log probability with the observations."""
    n_sessions, n_states = emission_logpdf.shape
    paths = list(product(range(n_states), repeat=n_sessions))
    log_joint = np.empty(len(paths))
    with np.errstate(divide="ignore"):
        log_start, log_move = np.log(startprob), np.log(transmat)
    for row, path in enumerate(paths):
        total = log_start[path[0]] + emission_logpdf[0, path[0]]
        for t in range(1, n_sessions):
            total += log_move[t - 1, path[t - 1], path[t]] + emission_logpdf[t, path[t]]
        log_joint[row] = total
    return np.array(paths), log_joint


def log_sum(values):
    """log of the sum of exponentials, by hand."""
    top = np.max(values)
    return top + np.log(np.sum(np.exp(values - top)))


def state_posterior(startprob, transmat, emission_logpdf):
    """(T, K) p(z_t | all observations) by summing over every path, and the log-likelihood."""
    paths, log_joint = all_paths(startprob, transmat, emission_logpdf)
    log_likelihood = log_sum(log_joint)
    weight = np.exp(log_joint - log_likelihood)
    n_sessions, n_states = emission_logpdf.shape
    posterior = np.array(
        [[weight[paths[:, t] == k].sum() for k in range(n_states)] for t in range(n_sessions)]
    )
    return posterior, log_likelihood


def pair_posterior(startprob, transmat, emission_logpdf):
    """(T-1, K, K) p(z_t = i, z_t+1 = j | all observations) by summing over every path."""
    paths, log_joint = all_paths(startprob, transmat, emission_logpdf)
    weight = np.exp(log_joint - log_sum(log_joint))
    n_sessions, n_states = emission_logpdf.shape
    pairs = np.zeros((n_sessions - 1, n_states, n_states))
    for path, mass in zip(paths, weight, strict=True):
        for t in range(n_sessions - 1):
            pairs[t, path[t], path[t + 1]] += mass
    return pairs


def filtered(startprob, transmat, emission_logpdf):
    """(T, K) p(z_t | observations to t): the posterior of the chain cut after each session."""
    rows = [
        state_posterior(startprob, transmat[: t + 1], emission_logpdf[: t + 1])[0][-1]
        for t in range(len(emission_logpdf))
    ]
    return np.array(rows)


def simulate_returns(seed, transmat, *, loc, scale, dof):
    """States and returns of a few-state Student-t chain; row t of `transmat` leads to t + 1."""
    rng = np.random.default_rng(seed)
    state = [int(rng.integers(len(scale)))]
    for matrix in transmat[:-1]:
        state.append(int(rng.choice(len(scale), p=matrix[state[-1]])))
    noise = rng.standard_t(dof, size=len(state))
    return np.array(state), loc + np.asarray(scale)[state] * noise


def student_logpdf(log_return, *, loc, scale, dof):
    """(N, K) log densities, from scipy."""
    return student_t.logpdf(np.asarray(log_return)[:, None], dof, loc=loc, scale=scale)


def log_likelihood(startprob, transmat, emission_logpdf):
    """Forward pass in logarithms, one session after the other."""
    log_joint = np.log(startprob) + emission_logpdf[0]
    for t in range(1, len(emission_logpdf)):
        move = log_joint[:, None] + np.log(transmat[t - 1])
        log_joint = np.logaddexp.reduce(move, axis=0) + emission_logpdf[t]
    return np.logaddexp.reduce(log_joint)


def expected_moves(startprob, transmat, emission_logpdf):
    """(T-1, K, K) pair posteriors by a forward and a backward pass in logarithms."""
    n_sessions, n_states = emission_logpdf.shape
    forward = np.empty((n_sessions, n_states))
    backward = np.zeros((n_sessions, n_states))
    forward[0] = np.log(startprob) + emission_logpdf[0]
    for t in range(1, n_sessions):
        move = forward[t - 1][:, None] + np.log(transmat[t - 1])
        forward[t] = np.logaddexp.reduce(move, axis=0) + emission_logpdf[t]
    for t in range(n_sessions - 2, -1, -1):
        arrive = np.log(transmat[t]) + emission_logpdf[t + 1] + backward[t + 1]
        backward[t] = np.logaddexp.reduce(arrive, axis=1)
    total = np.logaddexp.reduce(forward[-1])
    return np.array(
        [
            np.exp(
                forward[t][:, None]
                + np.log(transmat[t])
                + emission_logpdf[t + 1]
                + backward[t + 1]
                - total
            )
            for t in range(n_sessions - 1)
        ]
    )


def mixture_quantile(probability, location, scale):
    """Quantile of an equally weighted mixture of normals, as the root of its exact cdf."""

    def excess(x):
        return norm.cdf(x, loc=location, scale=scale).mean() - probability

    reach = 40.0 * np.max(scale)
    return brentq(excess, location - reach, location + reach, xtol=1e-13)


def solve_path(counts, *, bound):
    """Most likely path of one row under a bound on its change, by an interior-point cone solver.

    Returns its log-likelihood and its multipliers, (B - 1, K): how hard each bound is leant on,
    upwards less downwards. The solver warns where it is not sure of its answer, and a warning is
    an error in these tests.
    """
    import cvxpy as cp

    # the solver's tolerances are meant for numbers near 1
    unit = counts.sum() / len(counts)
    path = cp.Variable(counts.shape)
    change = path[1:] - path[:-1]
    rules = [cp.sum(path, axis=1) == 1, change <= bound, change >= -bound]
    likelihood = cp.sum(cp.multiply(counts / unit, cp.log(path)))
    problem = cp.Problem(cp.Maximize(likelihood), rules)
    near = {"tol_gap_abs": 3e-11, "tol_gap_rel": 3e-11, "tol_feas": 3e-11}
    problem.solve(solver=cp.CLARABEL, max_step_fraction=0.8, **near)
    assert problem.status == "optimal"
    up, down = (np.maximum(rule.dual_value, 0.0) for rule in rules[1:])
    return unit * problem.value, unit * (up - down)


def likelihood_ceiling(counts, pull, *, bound):
    """A log-likelihood that no path of one row can exceed, from multipliers of any origin.

    With a price on every change, the blocks part: each maximises counts . log x - slope . x over
    the distributions x on its own, and what is paid back for keeping the bound comes on top. Good
    multipliers make a low ceiling, no multipliers make a wrong one.
    """
    slope = np.zeros(counts.shape)
    slope[1:] += pull
    slope[:-1] -= pull
    low, high = (counts - slope).max(axis=1), counts.sum(axis=1) - slope.min(axis=1)
    for _ in range(100):
        middle = 0.5 * (low + high)
        short = (counts / (middle[:, None] + slope)).sum(axis=1) > 1.0
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    best = counts * np.log(counts / (high[:, None] + slope)) - counts
    return best.sum() + high.sum() + bound * np.abs(pull).sum()


def pull_of(counts, path):
    """The multipliers under which every block of a path would be at its maximum but the last.

    If the last is at its maximum too and only bounds that are met are leant on, the path is the
    most likely one; if not, the ceiling is high above it.
    """
    slope = counts / path - counts.sum(axis=1, keepdims=True)
    pull = -np.cumsum(slope, axis=0)[:-1]
    # what pulls on all outcomes of a block alike moves nothing
    return pull - np.median(pull, axis=1, keepdims=True)


def predictions(startprob, transmat, first_logpdf, then_logpdf):
    """What is believed before and after every session, by summing over every path.

    A session shows its first value, which is forecast, and then its second one. Returns predicted
    (T + 1, K), filtered (T, K), and the (T,) log density of every first value.
    """
    n_sessions, n_states = first_logpdf.shape
    both, unseen = first_logpdf + then_logpdf, np.zeros((1, n_states))
    predicted, filtered_rows, log_predictive = [], [], []
    for t in range(n_sessions + 1):
        posterior, before = state_posterior(startprob, transmat[:t], np.vstack([both[:t], unseen]))
        predicted.append(posterior[t])
        if t < n_sessions:
            with_first = np.vstack([both[:t], first_logpdf[t : t + 1]])
            log_predictive.append(state_posterior(startprob, transmat[:t], with_first)[1] - before)
            filtered_rows.append(state_posterior(startprob, transmat[:t], both[: t + 1])[0][t])
    return np.array(predicted), np.array(filtered_rows), np.array(log_predictive)


def predictions_in_a_row(startprob, transmat, first_logpdf, then_logpdf):
    """The same for a long chain: one session after the other, in logarithms."""
    log_belief = np.log(startprob)
    predicted, filtered_rows, log_predictive = [np.exp(log_belief)], [], []
    with np.errstate(divide="ignore"):
        log_move = np.log(transmat)
    for first, then, move in zip(first_logpdf, then_logpdf, log_move, strict=True):
        log_predictive.append(log_sum(log_belief + first))
        log_belief = log_belief + first + then
        log_belief = log_belief - log_sum(log_belief)
        filtered_rows.append(np.exp(log_belief))
        log_belief = np.logaddexp.reduce(log_belief[:, None] + move, axis=0)
        predicted.append(np.exp(log_belief))
    return np.array(predicted), np.array(filtered_rows), np.array(log_predictive)


def grid_kernel(v, point, shock):
    """(..., K, K) law of the next state: a normal density at the points, made to add up to 1.

    `v` has the parameters of the volatility grid as attributes; `shock` (..., K) is that of every
    state, not clipped.
    """
    z = np.clip(shock, -5.0, 5.0)
    centre = v.m + v.phi * (point - v.m) + v.lam * z + v.lam2 * (np.abs(z) - 0.88)
    log_weight = norm.logpdf(point, loc=centre[..., None], scale=v.s)
    weight = np.exp(log_weight - log_weight.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def grid_tables(v, point, history, *, least_range=0.0):
    """Log densities of returns (N, K) and ranges (N, K), and matrices (N, K, K) of the grid.

    `history` has four columns: log return, log range (0 for none), log of close over open, event.
    """
    scale = np.exp(point)
    returns, ranges, matrices = [], [], []
    for log_return, log_range, intraday, event in zip(*history, strict=True):
        size, dof = (v.kappa * scale, v.event_dof) if event else (scale, v.dof)
        returns.append(student_t.logpdf(log_return, dof, loc=v.loc, scale=size))
        middle = point + np.log(np.sqrt(v.k0 + v.k1 * (intraday / scale) ** 2)) + v.delta * event
        span = max(log_range, least_range)
        ranges.append(
            student_t.logpdf(np.log(span), v.range_dof, loc=middle, scale=v.tau)
            if log_range > 0.0
            else np.zeros(len(point))
        )
        matrices.append(grid_kernel(v, point, (log_return - v.loc) / size))
    return np.array(returns), np.array(ranges), np.array(matrices)


def draw_grid_history(rng, v, point, event):
    """Returns and log ranges (N,) drawn from the volatility grid, session after session.

    Sessions open where they closed the day before, so a return is all intraday.
    """
    state, log_return, log_range = len(point) // 2, [], []
    for reacts in event:
        scale = np.exp(point[state])
        size, dof = (v.kappa * scale, v.event_dof) if reacts else (scale, v.dof)
        r = v.loc + size * rng.standard_t(dof)
        middle = point[state] + 0.5 * np.log(v.k0 + v.k1 * (r / scale) ** 2) + v.delta * reacts
        log_range.append(np.exp(middle + v.tau * rng.standard_t(v.range_dof)))
        log_return.append(r)
        z = np.clip((r - v.loc) / size, -5.0, 5.0)
        centre = v.m + v.phi * (point[state] - v.m) + v.lam * z + v.lam2 * (abs(z) - 0.88)
        weight = np.exp(-0.5 * ((point - centre) / v.s) ** 2)
        state = int(rng.choice(len(point), p=weight / weight.sum()))
    return np.array(log_return), np.array(log_range)


def draw_grid_paths(rng, v, point, ahead, event):
    """(H, n) log returns without location from the origin to every session ahead, slowly.

    `ahead` (K,) is about the first of them; `event` (H, n) says which of them react to an event.
    """
    n_paths = event.shape[1]
    state = rng.choice(len(point), size=n_paths, p=ahead / ahead.sum())
    total, reached = np.zeros(n_paths), []
    for reacts in event:
        dof = np.where(reacts, v.event_dof, v.dof)
        shock = rng.standard_t(dof)
        total = total + np.exp(point[state]) * np.where(reacts, v.kappa, 1.0) * shock
        reached.append(total)
        z = np.clip(shock, -5.0, 5.0)
        centre = v.m + v.phi * (point[state] - v.m) + v.lam * z + v.lam2 * (np.abs(z) - 0.88)
        weight = np.exp(-0.5 * ((point - centre[:, None]) / v.s) ** 2)
        chance = np.cumsum(weight, axis=1)
        state = (rng.random((n_paths, 1)) * chance[:, -1:] > chance).sum(axis=1)
    return np.array(reached)


def student_mixture_quantile(probability, share, scale, dof):
    """Quantile of a mixture of Student-t around 0, as the root of its exact cdf."""

    def excess(x):
        return share @ student_t.cdf(x, dof, scale=scale) - probability

    reach = 1e5 * np.max(scale)
    return brentq(excess, -reach, reach, xtol=1e-14, rtol=1e-13)


def grouped_moves(belief, transmat, group):
    """(R, R) mean probability of moving from group to group, one state after the other.

    `group` (K,) says which group a state belongs to; `belief` (K,) need not add up to 1.
    """
    n_groups, n_states = group.max() + 1, len(group)
    moves, mass = np.zeros((n_groups, n_groups)), np.zeros(n_groups)
    for i in range(n_states):
        mass[group[i]] += belief[i]
        for j in range(n_states):
            moves[group[i], group[j]] += belief[i] * transmat[i, j]
    return moves / mass[:, None]
