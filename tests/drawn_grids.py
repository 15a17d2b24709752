"""Histories that the grid itself draws, of parameters that a fit should find again."""

import math

import numpy as np
import oracles

from belief.fitted_model import FittedModel
from belief.grid_likelihood import log_likelihood
from belief.observations import Observations
from belief.volatility_grid import NAMES, values_of

TRUTH = {
    "m": -4.0,
    "logit_phi": 3.9,
    "log_s": math.log(0.10),
    "lam": -0.02,
    "lam2": 0.04,
    "loc": 0.001,
    "log_dof": math.log(5.0),
    "log_k0": math.log(1.2),
    "log_k1": math.log(1.2),
    "log_tau": math.log(0.22),
    "log_range_dof": math.log(10.0),
    "log_kappa": math.log(3.0),
    "log_event_dof": math.log(4.0),
    "delta": 0.25,
}
THETA = np.array([TRUTH[name] for name in NAMES])
POINT = np.linspace(-6.0, -2.0, 34)


def observed(log_return, log_range, event=None):
    n = len(log_return)
    event = np.zeros(n, dtype=bool) if event is None else event
    session = np.datetime64("1985-01-01") + np.arange(n)
    return Observations(session, log_return.copy(), log_range.copy(), log_return.copy(), event)


def drawn(seed, n, *, events=True):
    """A history that the model itself draws: a return and a range that follow the equations."""
    event = (np.arange(n) % 63 == 40) & events
    values = values_of(THETA, POINT[1] - POINT[0])
    rng = np.random.default_rng(seed)
    return observed(*oracles.draw_grid_history(rng, values, POINT, event), event)


def wrapped(model, observations, reached):
    return FittedModel(
        model=model,
        symbol="XYZ",
        parameters=reached.parameters,
        log_likelihood=reached.log_likelihood,
        n_iter=reached.n_iter,
        converged=reached.converged,
        trained_from=observations.session[0],
        trained_through=observations.session[-1],
        known_through=observations.session[-1],
        n_sessions=len(observations),
        fingerprint="0" * 64,
    )


def at(theta, name):
    return theta[..., NAMES.index(name)]


def objective(theta, problem):
    found = log_likelihood(theta, problem.grid, problem.sessions, problem.weight)
    pull = (problem.prior.mean - theta) / problem.prior.sd
    return found.value - 0.5 * pull @ pull, found.gradient + pull / problem.prior.sd
