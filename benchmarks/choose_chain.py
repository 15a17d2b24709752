"""Choose the observed chain's bins and estimator on NVDA before 2013, by one-step log score.

Prints the mean log score (nats) of every candidate over 2003-01-02 to 2012-12-31, refitted every 21
sessions, the bin of each session known before the next. With --after it prints the same for 2013 to
the end of the snapshot, to report and never to choose.

    python benchmarks/choose_chain.py [--after]
"""

import sys

import numpy as np

from belief import chain
from belief.change_bounded import change_bounded
from belief.few_state import BLOCK_LENGTH, emission_logpdf
from belief.observations import observe
from belief.sources import load_prices
from belief.transitions import weighted_memory

REFIT_EVERY = 21
READINGS = {"signed": True, "size": False}
N_BINS = (3, 5, 7)
HALF_LIVES = (250.0, 500.0, 1000.0, np.inf)
PRIOR_MOVES = (10.0, 50.0, 200.0)
BOUNDS = (0.0, 1e-5, 5e-5, 2e-4, 1e-3)


def estimates(moves):
    """Transitions of every candidate estimator, by name; bounds are per session."""
    still, arrows = chain.static_matrix(moves), np.full(moves.shape[1:], chain.PRIOR_ARROW)
    yield "static", weighted_memory(moves.sum(axis=0)[None], half_life=np.inf, prior=arrows)
    for half_life in HALF_LIVES:
        for prior in PRIOR_MOVES:
            name = f"half-life {half_life:g}, prior {prior:g}"
            steps = half_life / BLOCK_LENGTH
            yield name, weighted_memory(moves, half_life=steps, prior=prior * still)
    for bound in BOUNDS:
        path = change_bounded(moves, bound=BLOCK_LENGTH * bound, prior=arrows)
        yield f"bound {bound:g}", path


def walk(returns, first, last):
    """Scores of every candidate, session by session, and of the Student-t without a chain."""
    scores = {}
    for origin in range(first, last, REFIT_EVERY):
        past, upto = returns[:origin], returns[: min(origin + REFIT_EVERY, last)]
        for reading, signed in READINGS.items():
            for n_bins in N_BINS:
                bins = chain.cut_bins(past, n_bins=n_bins, signed=signed)
                for name, path in estimates(chain.block_moves(past, bins)):
                    fit = chain.assemble(past, bins, path)
                    ahead = chain.log_predictive(fit, upto)[origin:]
                    scores.setdefault((reading, n_bins, name), []).append(ahead)
        pooled = emission_logpdf(upto[origin:], bins.loc, np.array([bins.scale]), bins.dof)
        scores.setdefault(("pooled", 1, "Student-t"), []).append(pooled[:, 0])
    return {name: np.concatenate(parts) for name, parts in scores.items()}


def main():
    observations = observe(load_prices("NVDA"))
    years = ("2013-01-01", "2025-12-31") if "--after" in sys.argv else ("2003-01-01", "2012-12-31")
    session = observations.session
    first = int(np.searchsorted(session, np.datetime64(years[0])))
    last = int(np.searchsorted(session, np.datetime64(years[1]), "right"))
    scores = walk(observations.log_return, first, last)
    print(f"one-step log score, {session[first]} to {session[last - 1]}, {last - first} sessions")
    for (reading, n_bins, name), values in scores.items():
        gain = values - scores.get((reading, n_bins, "static"), values)
        spread = gain.std() / np.sqrt(len(gain))
        beside = f"  gain {gain.mean():+.4f}  t {gain.mean() / spread:+.2f}" if spread else ""
        print(f"{reading:>7} {n_bins}  {name:<24} {values.mean():.4f}{beside}")


if __name__ == "__main__":
    main()
