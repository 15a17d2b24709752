"""Time the volatility grid: fits, one more session, forecasts, and the kernels beside bare loops.

Peers run in the same process, in turns with ours: hmmlearn and statsmodels weigh the whole history
again for one more session; a bare loop does no more than the arithmetic of the transitions. Prints
median times and ratios; exits with 1 when a ratio misses its bound.

    python benchmarks/grid_speed.py [--rounds N]        about a minute
    python benchmarks/grid_speed.py --walk              and a whole walk-forward, about 6 more
"""

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numba import njit

from belief import (
    grid_belief,
    grid_kernels,
    grid_likelihood,
    models,
    volatility_grid,
    volatility_grid_fit,
)
from belief.backtest import Plan, walk_forward
from belief.freed_memory import keep_freed_memory
from belief.observations import observe
from belief.sessions import session_after
from belief.sources import load_prices

# One more session: how many times longer the peers take. A warm fit against a cold one.
BOUNDS = {"hmmlearn": 1.0, "statsmodels": 20.0}
WARM_BOUND = 0.6
HORIZONS = (1, 5, 21, 63)
N_ORIGINS = 3050


@njit(cache=True, error_model="numpy")
def bare_transitions(centre, steepness, n_neighbours):
    """The arithmetic of the transitions alone: one exponential and a bell for each state."""
    total = 0.0
    for t in range(centre.shape[0]):
        for k in range(centre.shape[1]):
            up = math.exp(steepness * (centre[t, k] - k))
            down, rise, fall = 1.0 / up, 1.0, 1.0
            for _ in range(n_neighbours):
                rise *= up * 0.5
                fall *= down * 0.5
                total += rise + fall
    return total


def hmmlearn_again(returns):
    """The filter of hmmlearn, as it is: all sessions once more."""
    from hmmlearn.hmm import GaussianHMM

    percent = 100.0 * returns[:, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = GaussianHMM(3, n_iter=20, implementation="scaling", random_state=0).fit(percent)
    return lambda: model.score(percent)


def statsmodels_again(returns):
    """The filter of statsmodels, as it is: all sessions once more."""
    from statsmodels.tsa.regime_switching.markov_regression import MarkovRegression

    model = MarkovRegression(100.0 * returns, k_regimes=3, switching_variance=True)
    return lambda: model.filter(model.start_params)


def in_turns(runs, rounds):
    """Median seconds of each, taken in turns so that a noisy moment hits all of them."""
    taken = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in taken.items()}


def cold(observations):
    """Fit the four memories from fixed values, with their covariances."""
    grid = volatility_grid.grid_of(observations)
    half_lives = volatility_grid_fit.HALF_LIVES["belief"]
    estimates = volatility_grid_fit.fit_in_a_row(observations, grid, half_lives)
    for one, half_life in zip(estimates, half_lives, strict=True):
        problem = volatility_grid_fit.problem_of(observations, grid, half_life)
        volatility_grid_fit.doubt_about(one.theta, problem)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--walk", action="store_true")
    options = parser.parse_args(argv)
    rounds = options.rounds
    keep_freed_memory()
    prices = load_prices("NVDA")
    before, after = (prices.until(prices.session[place]) for place in (-22, -21))
    seen, more = observe(before), observe(after)
    fitted = models.fit("belief", before)
    month = models.carry(models.fit("belief", before.until(prices.session[-43])), before)
    later = [session_after(after.as_of, horizon) for horizon in HORIZONS]
    carried = models.carry(fitted, after)
    fits = in_turns(
        {"cold": lambda: cold(seen), "warm": lambda: models.fit("belief", before, start=month)},
        min(rounds, 3),
    )
    peak = peak_memory(resource.RUSAGE_SELF)  # before the peers are loaded
    steps = in_turns(
        {
            "one more session": lambda: grid_belief.carry(fitted, more),
            "hmmlearn": hmmlearn_again(more.log_return),
            "statsmodels": statsmodels_again(more.log_return),
            "forecasts": lambda: models.forecasts(carried, after, later),
        },
        4 * rounds,
    )
    kernels = in_turns(kernel_runs(fitted, seen), 4 * rounds)
    failed = report(fits, steps, kernels, len(seen))
    print(f"peak memory of this process before the peers were loaded: {peak:.0f} MB")
    compare_freed_memory()
    if options.walk:
        walk_the_test_period(prices)
    return failed


GIVEN_BACK = """
import resource, time
from belief import models
from belief.freed_memory import keep_freed_memory
from belief.sources import load_prices
if {kept}:
    keep_freed_memory()
prices = load_prices("NVDA")
before = prices.until(prices.session[-22])
month = models.carry(models.fit("belief", prices.until(prices.session[-43])), before)
models.fit("belief", before, start=month)
begun, faults = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    models.fit("belief", before, start=month)
print((time.perf_counter() - begun) / 3)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults) // 3)
"""


def compare_freed_memory():
    """A warm fit where freed arrays go back to the system, and where the process keeps them."""
    print("a warm fit, where freed arrays are")
    for name, kept in (("given back", False), ("kept", True)):
        command = [sys.executable, "-c", GIVEN_BACK.format(kept=kept)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        print(f"{name:>20} {float(told[0]):8.2f} s   {int(told[1]):,} page faults")


def peak_memory(whose):
    """Megabytes."""
    return resource.getrusage(whose).ru_maxrss / 1024


def walk_the_test_period(prices):
    """Time the walk that the results page rests on, with nothing in the cache."""
    plan = Plan(first=np.datetime64("2013-01-02"), horizons=HORIZONS, models=("belief",), n_jobs=2)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BELIEF_CACHE_DIR"] = folder
        begun = time.perf_counter()
        walk_forward(prices, plan)
        seconds = time.perf_counter() - begun
    worker = peak_memory(resource.RUSAGE_CHILDREN)
    print(f"walk-forward of {N_ORIGINS:,} origins at {HORIZONS} sessions: {seconds:.0f} s")
    print(f"peak memory of its process: {worker:.0f} MB")


def kernel_runs(fitted, seen):
    """The parts of one evaluation of the likelihood, and the bare arithmetic."""
    grid, theta = grid_belief.grid_in(fitted.parameters), fitted.parameters["theta"][0]
    sessions = volatility_grid.sessions_of(seen, grid)
    values = volatility_grid.values_of(theta, grid.spacing)
    table = volatility_grid.tables(values, grid, sessions)
    steep = volatility_grid.steepness(values, grid)
    start = volatility_grid.even_start(grid)
    weight = np.ones(len(seen))
    given = (table.density, table.range_density, table.centre, steep)
    predicted, filtered, _ = grid_kernels.forward(start, *given)
    neighbours = len(grid_kernels.bell(steep, len(grid.point))) - 1
    return {
        "bare arithmetic": lambda: bare_transitions(table.centre, steep, neighbours),
        "tables": lambda: volatility_grid.tables(values, grid, sessions),
        "filter": lambda: grid_kernels.forward(start, *given),
        "adjoint": lambda: grid_kernels.backward(
            predicted, filtered, table.density, table.centre, steep, weight
        ),
        "value and gradient": lambda: grid_likelihood.log_likelihood(theta, grid, sessions, weight),
    }


def report(fits, steps, kernels, n_sessions):
    """Print all times and ratios; 1 when a ratio misses its bound."""
    failures = []
    print(f"four memories fitted to {n_sessions:,} sessions, with their covariances")
    for name, seconds in fits.items():
        print(f"{name:>20} {seconds:8.2f} s   {seconds / fits['cold']:6.2f} of cold")
    if fits["warm"] > WARM_BOUND * fits["cold"]:
        failures.append(f"a warm fit takes {fits['warm'] / fits['cold']:.2f} of a cold one")
    print("one more session in the belief of four memories; the peers weigh all sessions again")
    own = steps["one more session"]
    for name in ("one more session", *BOUNDS):
        print(f"{name:>20} {1e3 * steps[name]:8.2f} ms  {steps[name] / own:6.1f} x")
        if steps[name] < BOUNDS.get(name, 0.0) * own:
            failures.append(f"{name}: {steps[name] / own:.1f} times, wanted {BOUNDS[name]:g}")
    each = steps["forecasts"]
    print(f"forecasts at {HORIZONS} sessions: {1e3 * each:.0f} ms an origin,")
    fits_needed = N_ORIGINS / 21
    walk = N_ORIGINS * (each + own) + fits_needed * fits["warm"]
    print(f"so {N_ORIGINS:,} origins, refitted every 21, take {walk:.0f} s on one core")
    print("one evaluation of the likelihood of one memory")
    for name, seconds in kernels.items():
        ratio = seconds / kernels["bare arithmetic"]
        print(f"{name:>20} {1e3 * seconds:8.2f} ms  {ratio:6.1f} x the bare arithmetic")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
