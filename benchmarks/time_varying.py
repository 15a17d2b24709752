"""One-step log score of every estimator of transition matrices on NVDA, before and after 2013.

Walks forward over 2003-2012, on which the settings were chosen, and over 2013 to the end of the
snapshot, which is only reported; refits every 63 sessions and filters in between. Gains are over
the static fit, with t-values that take no account of autocorrelation.

    python benchmarks/time_varying.py        about 5 minutes on two cores
"""

from functools import partial

import numpy as np
import walk

from belief import chain
from belief.observations import observe
from belief.sources import load_prices

REFIT_EVERY = 63
PERIODS = (("2003-01-01", "2012-12-31"), ("2013-01-01", "2025-12-31"))
MIXED_BOUNDS, MIXED_HALF_LIVES = (1e-5, 3e-5, 1e-4), (125.0, 250.0, 1000.0)


def members():
    """What the mixture weighs: the static fit, bounds and memories."""
    bounds = {f"bound {b:g}": partial(walk.bounded, bound=b) for b in MIXED_BOUNDS}
    memories = {f"half-life {h:g}": partial(walk.memory, half_life=h) for h in MIXED_HALF_LIVES}
    return {"static": walk.static, **bounds, **memories}


def others():
    """Estimators beside them; those without settings here are the shipped ones."""
    return {
        "hmmlearn static": walk.hmmlearn,
        "hmmlearn windowed": partial(walk.hmmlearn, window=walk.WINDOW),
        "windowed": walk.windowed,
        "forgetting 250": partial(walk.memory, half_life=250.0, bandwidth=np.inf),
        "few_state_memory": walk.memory,
        "few_state": walk.bounded,
        "chain": observed,
    }


def observed(past, static_fit, upto):
    """The observed chain; it has a predictive density, but no hidden states to compare."""
    score = chain.log_predictive(chain.fit_chain(past), upto)[len(past) :]
    empty = np.empty((len(score), 0))
    return walk.Steps(score, empty, empty)


def scores(returns, first, last, *, n_jobs=2):
    """Log predictive densities of every estimator, {name: (T,)}."""
    walks = walk.walk_forward(
        returns, first, last, {**members(), **others()}, refit_every=REFIT_EVERY, n_jobs=n_jobs
    )
    mixture = walk.mix({name: walks[name] for name in members()})
    return {name: steps.log_predictive for name, steps in {**walks, "mixture": mixture}.items()}


def main():
    observations = observe(load_prices("NVDA"))
    session = observations.session
    for start, end in PERIODS:
        first = int(np.searchsorted(session, np.datetime64(start)))
        last = int(np.searchsorted(session, np.datetime64(end), "right"))
        found = scores(observations.log_return, first, last)
        print(f"{session[first]} to {session[last - 1]}, {last - first} sessions")
        for name, values in found.items():
            gain = values - found["static"]
            error = gain.std() / np.sqrt(len(gain))
            t_value = gain.mean() / error if error else 0.0
            print(f"{name:>20} {values.mean():8.4f}  gain {gain.mean():+.4f}  t {t_value:+.2f}")


if __name__ == "__main__":
    main()
