"""Choose the few-state model's settings on NVDA before 2013, by one-step-ahead log score.

Prints the mean log score (nats) of every candidate over 2003-01-02 to 2012-12-31, refitted
every 21 sessions and filtered in between; then the half-life of the drift by
the log score of the 21-session return. With --after it prints the same for 2013 to the end of the
snapshot, to report and never to choose.

    python benchmarks/choose_few_state.py [--after]
"""

import sys

import numpy as np

from belief import few_state, few_state_fit
from belief.drift import posterior_drift
from belief.hmm import forward_filter
from belief.observations import observe
from belief.sources import load_prices

REFIT_EVERY = 21
HALF_LIVES = (250.0, 500.0, 1000.0, 2000.0, np.inf)
PRIOR_MOVES = (10.0, 50.0, 200.0)
DRIFT_HALF_LIVES = (125.0, 250.0, 500.0, 1000.0, 2000.0, np.inf)


def mixture_logpdf(weight, logpdf):
    """Log of a finite mixture, row by row."""
    top = logpdf.max(axis=1, keepdims=True)
    return np.log((weight * np.exp(logpdf - top)).sum(axis=1)) + top[:, 0]


def ahead(fit, returns, origin):
    """Log predictive density of up to REFIT_EVERY returns after a fit through `origin`."""
    chosen = fit.parameters
    until = min(origin + REFIT_EVERY, len(returns))
    path = few_state.transmat_path(chosen, origin)
    path = np.concatenate([path, np.repeat(path[-1:], until - origin, axis=0)])
    logpdf = few_state.emission_logpdf(returns[:until], chosen.loc, chosen.scale, chosen.dof)
    return forward_filter(chosen.startprob, path, logpdf).log_predictive[origin:]


def walk(returns, first, last):
    """Scores of the static fit and of every candidate, session by session."""
    scores = {}
    for origin in range(first, last, REFIT_EVERY):
        static_fit = few_state_fit.fit_static(returns[:origin])
        scores.setdefault("static", []).append(ahead(static_fit, returns[:last], origin))
        for half_life in HALF_LIVES:
            for prior_moves in PRIOR_MOVES:
                fit = few_state_fit.fit_weighted_memory(
                    returns[:origin], static_fit, half_life=half_life, prior_moves=prior_moves
                )
                scores.setdefault((half_life, prior_moves), []).append(
                    ahead(fit, returns[:last], origin)
                )
    return {name: np.concatenate(parts) for name, parts in scores.items()}


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
    scores = walk(returns, first, last)
    print(f"one-step log score, {session[first]} to {session[last - 1]}, {last - first} sessions")
    static = scores.pop("static")
    print(f"{'static':>24} {static.mean():8.4f}")
    for (half_life, prior_moves), values in scores.items():
        gain = values - static
        t_value = gain.mean() / gain.std() * np.sqrt(len(gain))
        label = f"half-life {half_life:g}, prior {prior_moves:g}"
        print(f"{label:>24} {values.mean():8.4f}  gain {gain.mean():+.4f}  t {t_value:+.2f}")
    print("21-session log score by half-life of the drift")
    for half_life, score in drift_scores(returns, first, last).items():
        print(f"{half_life:>24g} {score:8.4f}")


if __name__ == "__main__":
    main()
