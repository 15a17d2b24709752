"""What change-bounded maximum likelihood costs, against the number of sessions and of states.

Times the estimate of one row from daily moves for growing numbers of sessions: linear, if four
times the sessions take about four times as long. Then times whole fits of NVDA, interleaved: the
change-bounded EM in blocks of 21 sessions against the static one, which must take no more than
BOUND times as long.

    python benchmarks/change_bounded_cost.py
"""

import statistics
import sys
import time

import numpy as np

from belief.change_bounded import change_bounded
from belief.few_state_fit import BOUND, fit_change_bounded, fit_static
from belief.observations import observe
from belief.sources import load_prices

MOST_TIMES = 20.0
SESSIONS = (2000, 4000, 8000, 16000)


def daily_moves(n_sessions, n_states, seed=0):
    """(T, K, K) one move a session of a sticky chain."""
    rng = np.random.default_rng(seed)
    matrix = 0.1 / n_states + 0.9 * np.eye(n_states)
    moves, state = np.zeros((n_sessions, n_states, n_states)), 0
    for t in range(n_sessions):
        after = rng.choice(n_states, p=matrix[state])
        moves[t, state, after] = 1.0
        state = after
    return moves


def seconds(function, *args, **settings):
    begun = time.perf_counter()
    function(*args, **settings)
    return time.perf_counter() - begun


def growth(n_states, sessions=SESSIONS, *, rounds=3, bound=1e-4):
    """Median seconds for each number of sessions, interleaved."""
    prior = np.ones((n_states, n_states))
    moves = {n: daily_moves(n, n_states) for n in sessions}
    change_bounded(moves[sessions[0]], bound=bound, prior=prior)
    taken = {n: [] for n in sessions}
    for _ in range(rounds):
        for n in sessions:
            taken[n].append(seconds(change_bounded, moves[n], bound=bound, prior=prior))
    return {n: statistics.median(values) for n, values in taken.items()}


def fits(returns, n_states, *, rounds=3):
    """Median seconds of the static and of the change-bounded fit, interleaved."""
    base = fit_static(returns, n_states=n_states)
    fit_change_bounded(returns[:600], fit_static(returns[:600], n_states=n_states))
    static, bounded = [], []
    for _ in range(rounds):
        static.append(seconds(fit_static, returns, n_states=n_states))
        bounded.append(seconds(fit_change_bounded, returns, base, bound=BOUND))
    return statistics.median(static), statistics.median(bounded)


def main():
    print("daily moves, all rows, seconds by number of sessions")
    for n_states in (2, 3, 4, 5):
        row = growth(n_states)
        times = "".join(f"{n:>8,}: {taken:6.3f} s" for n, taken in row.items())
        print(f"K = {n_states}{times}   last over first {row[SESSIONS[-1]] / row[SESSIONS[0]]:.1f}")
    returns = observe(load_prices("NVDA")).log_return
    print(f"fits of {len(returns):,} sessions in blocks of 21, bound {BOUND:g}")
    failed = False
    for n_states in (2, 3, 4, 5):
        static, bounded = fits(returns, n_states)
        print(
            f"K = {n_states}: static {static:.2f} s, change-bounded {bounded:.2f} s more, "
            f"{bounded / static:.1f} times"
        )
        failed |= n_states == 3 and bounded > MOST_TIMES * static
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
