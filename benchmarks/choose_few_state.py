"""Choose the few-state model's settings on NVDA before 2013, by one-step-ahead log score.

Prints the mean log score (nats) of every candidate over 2003-01-02 to 2012-12-31, refitted
every 21 sessions and filtered in between; then the half-life of the drift by
the log score of the 21-session return. With --after it prints the same for 2013 to the end of the
snapshot, to report and never to choose. Takes about half an hour on two cores, with --after twice.

    python benchmarks/choose_few_state.py [--after]
"""

import sys
from functools import partial

import numpy as np
import walk

from belief.drift import posterior_drift
from belief.few_state_fit import HALF_LIFE, PRIOR_MOVES
from belief.observations import observe
from belief.sources import load_prices

REFIT_EVERY = 21
BOUNDS = (1e-6, 1e-5, 3e-5, 1e-4, 3e-4)
PRIOR_SHARES = (0.0, 0.1, 0.2, 0.5)
HALF_LIVES = (250.0, 500.0, 1000.0, 2000.0, np.inf)
PRIORS = (10.0, 50.0, 200.0)
BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)
DRIFT_HALF_LIVES = (125.0, 250.0, 500.0, 1000.0, 2000.0, np.inf)


def candidates():
    """Estimators by name: static, bounds, memories; bandwidths at the memory that is frozen."""
    fitters = {"static": walk.static}
    for bound in BOUNDS:
        for share in PRIOR_SHARES:
            fitters[f"bound {bound:g}, prior share {share:g}"] = partial(
                walk.bounded, bound=bound, prior_share=share
            )
    for half_life in HALF_LIVES:
        for prior in PRIORS:
            fitters[f"half-life {half_life:g}, prior {prior:g}"] = partial(
                walk.memory, half_life=half_life, prior_moves=prior, bandwidth=np.inf
            )
    for bandwidth in BANDWIDTHS:
        fitters[f"half-life {HALF_LIFE:g}, bandwidth {bandwidth:g}"] = partial(
            walk.memory, half_life=HALF_LIFE, prior_moves=PRIOR_MOVES, bandwidth=bandwidth
        )
    return fitters


def drift_scores(returns, first, last, horizon=21):
    """Mean log score of the next month's return, normal with a month's own recent variance."""
    means = {}
    for half_life in DRIFT_HALF_LIVES:
        scores = []
        for origin in range(first, last - horizon, horizon):
            drift = posterior_drift(returns[:origin], half_life=half_life)
            variance = horizon * np.mean(returns[origin - 63 : origin] ** 2)
            variance += (horizon * drift.sd) ** 2
            miss = returns[origin : origin + horizon].sum() - horizon * drift.mean
            scores.append(-0.5 * np.log(2 * np.pi * variance) - 0.5 * miss**2 / variance)
        means[half_life] = np.mean(scores)
    return means


def main():
    observations = observe(load_prices("NVDA"))
    years = ("2013-01-01", "2025-12-31") if "--after" in sys.argv else ("2003-01-01", "2012-12-31")
    session = observations.session
    first = int(np.searchsorted(session, np.datetime64(years[0])))
    last = int(np.searchsorted(session, np.datetime64(years[1]), "right"))
    returns = observations.log_return
    walks = walk.walk_forward(returns, first, last, candidates(), refit_every=REFIT_EVERY)
    print(f"one-step log score, {session[first]} to {session[last - 1]}, {last - first} sessions")
    static = walks.pop("static").log_predictive
    print(f"{'static':>29} {static.mean():8.4f}")
    for name, steps in walks.items():
        gain = steps.log_predictive - static
        t_value = gain.mean() / gain.std() * np.sqrt(len(gain))
        score = steps.log_predictive.mean()
        print(f"{name:>29} {score:8.4f}  gain {gain.mean():+.4f}  t {t_value:+.2f}")
    print("21-session log score by half-life of the drift")
    for half_life, score in drift_scores(returns, first, last).items():
        print(f"{half_life:>29g} {score:8.4f}")


if __name__ == "__main__":
    main()
