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
