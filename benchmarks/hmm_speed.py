"""Time one E-step with pair counts against hmmlearn's, interleaved in one run.

The same emission log-densities of 6,557 sessions and 3 states go through `belief.hmm.smooth` and
through hmmlearn's own E-step in both of its implementations. Prints median milliseconds and their
ratios; exits with 1 when a ratio is below its bound or the log-likelihoods disagree.

    python benchmarks/hmm_speed.py [--rounds N]
"""

import argparse
import statistics
import sys
import time

import numpy as np
from hmmlearn.base import BaseHMM

from belief.few_state import emission_logpdf
from belief.hmm import smooth
from belief.observations import observe
from belief.sources import load_prices

BOUNDS = {"scaling": 4.0, "log": 15.0}
STARTPROB = np.full(3, 1 / 3)
TRANSMAT = np.array([[0.98, 0.015, 0.005], [0.01, 0.98, 0.01], [0.005, 0.025, 0.97]])


class GivenDensities(BaseHMM):
    """hmmlearn's E-step on emission densities that are handed to it."""

    def __init__(self, logpdf, implementation):
        super().__init__(len(STARTPROB), implementation=implementation)
        self.logpdf, self.n_features = logpdf, 1
        self.startprob_, self.transmat_ = STARTPROB, TRANSMAT

    def _compute_log_likelihood(self, X):
        return self.logpdf

    def _compute_likelihood(self, X):
        return np.exp(self.logpdf)

    def _needs_sufficient_statistics_for_mean(self):
        return False


def contenders(logpdf):
    """Name -> function that runs one E-step and gives log-likelihood and pair counts."""
    transmat = np.ascontiguousarray(np.broadcast_to(TRANSMAT, (len(logpdf), 3, 3)))
    rows = np.zeros((len(logpdf), 1))

    def ours():
        result = smooth(STARTPROB, transmat, logpdf, block_length=len(logpdf))
        return result.log_likelihood, result.transitions[0]

    def peer(implementation):
        model = GivenDensities(logpdf, implementation)

        def run():
            statistics_, log_likelihood = model._do_estep(rows, None)
            return log_likelihood, statistics_["trans"]

        return run

    return {"belief": ours, "scaling": peer("scaling"), "log": peer("log")}


def measure(runs, rounds):
    """Median seconds of each, taken in turns so that a noisy moment hits all of them."""
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # a fresh array of another contender's size would be charged to this one
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    rounds = parser.parse_args(argv).rounds
    returns = observe(load_prices("NVDA")).log_return
    logpdf = emission_logpdf(returns, 0.001, np.array([0.015, 0.026, 0.052]), 6.0)
    runs = contenders(logpdf)
    expected, counts = runs["belief"]()
    failures = []
    for name in BOUNDS:
        other, other_counts = runs[name]()
        if abs(other - expected) > 1e-6 or np.abs(other_counts - counts).max() > 1e-4:
            failures.append(f"{name} disagrees: {other} against {expected}")
    medians = measure(runs, rounds)
    print(f"one E-step with pair counts, {len(returns):,} sessions, 3 states, {rounds} rounds")
    print(f"log-likelihood {expected:.6f} nats, the same in all three to 1e-6")
    for name, seconds in medians.items():
        ratio = seconds / medians["belief"]
        print(f"{name:>8} {1e3 * seconds:7.3f} ms  {ratio:5.1f} x")
        if ratio < BOUNDS.get(name, 0.0):
            failures.append(f"{name}: {ratio:.1f} times, wanted {BOUNDS[name]:g}")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
