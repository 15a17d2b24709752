"""Estimators of transition matrices on simulated chains whose truth is known.

Three states with normal returns; the matrix moves between a quiet and a restless one: slowly (a
period of 8,000 sessions), fast (250), at one break, or not at all. Walks forward from session 3,000
and prints, for each estimator and course, averaged over sessions and seeds,

    TV of A    total variation between the rows of the matrix in force and the true ones
    belief     total variation between the filtered belief and the one that knows the truth
    log score  thousandths of a nat per session below the forecast that knows the truth

    python benchmarks/simulated_drift.py [SEEDS]        about 5 minutes a seed on two cores
"""

import sys
from functools import partial

import numpy as np
import walk
from scipy.stats import norm

from belief.hmm import forward_filter

SCALE = np.array([0.007, 0.018, 0.046])
QUIET = np.array([[0.985, 0.012, 0.003], [0.010, 0.980, 0.010], [0.005, 0.015, 0.980]])
RESTLESS = np.array([[0.775, 0.155, 0.070], [0.095, 0.795, 0.110], [0.070, 0.155, 0.775]])
N_SESSIONS, FIRST, REFIT_EVERY = 9000, 3000, 126
COURSES = {
    "slow drift": lambda t: 0.5 - 0.5 * np.cos(2.0 * np.pi * t / 8000.0),
    "fast drift": lambda t: 0.5 - 0.5 * np.cos(2.0 * np.pi * t / 250.0),
    "a break": lambda t: np.where(t < 5000, 0.2, 0.8),
    "none": lambda t: np.full(len(t), 0.5),
}
BOUNDS = (3e-5, 1e-4, 3e-4)
HALF_LIVES = (60.0, 125.0, 250.0, 1000.0)
SMALL = ("static", "forgetting 125", "change-bounded 0.0001")


def fitters():
    """Every estimator but the mixture, by name."""
    forgetting = {
        f"forgetting {half_life:g}": partial(walk.memory, half_life=half_life, bandwidth=np.inf)
        for half_life in HALF_LIVES
    }
    alike = {
        f"weighted memory {half_life:g}": partial(walk.memory, half_life=half_life, bandwidth=2.0)
        for half_life in HALF_LIVES
    }
    bounds = {f"change-bounded {b:g}": partial(walk.bounded, bound=b) for b in BOUNDS}
    return {
        "hmmlearn static": walk.hmmlearn,
        "hmmlearn windowed": partial(walk.hmmlearn, window=walk.WINDOW),
        "static": walk.static,
        "windowed": walk.windowed,
        **forgetting,
        **alike,
        **bounds,
    }


def simulate(course, seed, n_sessions=N_SESSIONS):
    """True matrices (T, 3, 3), the matrix of row t leading to t + 1, and returns (T,)."""
    rng = np.random.default_rng(seed)
    share = COURSES[course](np.arange(n_sessions))[:, None, None]
    truth = (1.0 - share) * QUIET + share * RESTLESS
    state = np.ones(n_sessions, dtype=int)
    for t in range(1, n_sessions):
        state[t] = rng.choice(3, p=truth[t - 1, state[t - 1]])
    return truth, rng.normal(0.0, SCALE[state])


def compare(course, seed, *, first=FIRST, n_sessions=N_SESSIONS, chosen=None, n_jobs=2):
    """Distances from the truth, {estimator: (TV of A, TV of the belief, log score lost)}."""
    truth, returns = simulate(course, seed, n_sessions)
    known = forward_filter(np.full(3, 1 / 3), truth, norm.logpdf(returns[:, None], 0.0, SCALE))
    walks = walk.walk_forward(
        returns, first, n_sessions, chosen or fitters(), refit_every=REFIT_EVERY, n_jobs=n_jobs
    )
    mixed = {name: steps for name, steps in walks.items() if mixes(name)}
    walks["mixture"] = walk.mix(mixed)
    return {
        name: (
            0.5 * np.abs(steps.transmat - truth[first - 1 : -1]).sum(axis=2).mean(),
            0.5 * np.abs(steps.filtered - known.filtered[first:]).sum(axis=1).mean(),
            (known.log_predictive[first:] - steps.log_predictive).mean(),
        )
        for name, steps in walks.items()
    }


def mixes(name):
    """Whether an estimator is one of the mixture's: static, bounds and memories."""
    return name == "static" or name.startswith(("change-bounded", "forgetting"))


def main():
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    for course in COURSES:
        runs = [compare(course, seed) for seed in seeds]
        print(f"{course}, {len(runs)} chains of {N_SESSIONS} sessions, from session {FIRST}")
        print(f"{'':>24}{'TV of A':>10}{'belief':>10}{'log score':>12}")
        for name in runs[0]:
            distance, belief, lost = np.mean([run[name] for run in runs], axis=0)
            print(f"{name:>24}{distance:>10.3f}{belief:>10.3f}{1e3 * lost:>12.1f}", flush=True)


if __name__ == "__main__":
    main()
