"""What an arm of an evaluation gains over another, and whether chance alone would do the same.

Differences are arm less base on the same trials, so that negative is better. Trials from one origin
came out together and windows of neighbouring origins overlap: origins are what is drawn, in blocks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.scores import hac_lag, mean_difference, non_overlapping
from belief_tools.evaluation_rows import COLUMNS, SCORES, SETS, Row, Trials

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Ints = npt.NDArray[np.int64]

HELPS, HARMS, NO_DIFFERENCE = "helps", "harms", "no difference shown"
NOT_JUDGED: Final = "-"  # more or less coverage is neither better nor worse
DRAWS: Final = 2000
SEED: Final = 7
TAIL: Final = 0.05  # of the 90 % interval, on either side
FEWEST_WINDOWS: Final = 20
SHOWN: Final = {"error": 5e-5, "interval": 5e-3, "brier": 5e-5}
"""Mean differences below these are shown as 0: prices in a prompt are rounded to the cent."""
EQUAL: Final = 1e-9  # what disguising prices and undoing it may leave of no difference


class Difference(NamedTuple):
    """Mean of a score of one arm less that of another, on the same trials.

    Attributes:
        model: the language model.
        mode: how it was asked.
        arm: whose scores count positively.
        base: whose scores are taken off.
        of: "own" or "shown".
        score: of `COLUMNS`, in the units of `Scores`.
        by: "all"; "horizon" or "regime" for the trials of one of them; "stated" for those in
            which the model itself said something usable in both arms.
        value: the horizon or the regime as text, otherwise "".
        n: trials that both arms have.
        n_origins: sessions they start from.
        n_windows: how many of the windows from origin to the last target do not overlap.
        mean_arm, mean_base: means of both arms.
        mean: their difference; negative is better, but says nothing for "covered".
        t_value: Diebold-Mariano, HAC; None where there is too little to tell.
        low, high: 90 % interval of `mean` by the moving-block bootstrap; None where there is too
            little to tell.
        verdict: `HELPS` or `HARMS` where the interval excludes 0 and the mean is not shown as 0,
            otherwise `NO_DIFFERENCE`; of "covered" always `NOT_JUDGED`.
    """

    model: str
    mode: str
    arm: str
    base: str
    of: str
    score: str
    by: str
    value: str
    n: int
    n_origins: int
    n_windows: int
    mean_arm: float
    mean_base: float
    mean: float
    t_value: float | None
    low: float | None
    high: float | None
    verdict: str

    @property
    def few(self) -> bool:
        """Whether there are too few windows that do not overlap to judge by."""
        return self.n_windows < FEWEST_WINDOWS


class LeftOut(NamedTuple):
    """Trials of a pair of arms that only one of them has.

    Attributes:
        model, mode, arm, base: the pair, as in `Difference`.
        n: trials that both have.
        only_arm: trials that only the arm has.
        only_base: trials that only the base has.
    """

    model: str
    mode: str
    arm: str
    base: str
    n: int
    only_arm: int
    only_base: int


def differences(
    trials: Trials, pairs: Sequence[tuple[str, str]]
) -> tuple[tuple[Difference, ...], tuple[LeftOut, ...]]:
    """Compare arms on the trials that both have, for every language model and mode.

    Args:
        trials: scored.
        pairs: arm and base; a base without a language model serves every model.

    Returns:
        The differences; and of each pair the trials that were left out.
    """
    found: list[Difference] = []
    left_out: list[LeftOut] = []
    for model, mode in trials.asked:
        for arm, base in pairs:
            pair = _pair(trials, model, mode, arm, base)
            left_out.append(pair.left_out)
            found += _differences(trials, pair)
    return tuple(found), tuple(left_out)


class _Pair(NamedTuple):
    """Rows of two arms on the same trials, in order of origin and horizon."""

    left_out: LeftOut
    arm: tuple[int, ...]
    base: tuple[int, ...]


def _pair(trials: Trials, model: str, mode: str, arm: str, base: str) -> _Pair:
    of_arm, of_base = (
        {_trial(trials.rows[place]): place for place in trials.find(model, mode, name)}
        for name in (arm, base)
    )
    both = [trial for trial in of_arm if trial in of_base]
    left_out = LeftOut(
        model, mode, arm, base, len(both), len(of_arm) - len(both), len(of_base) - len(both)
    )
    return _Pair(
        left_out, tuple(of_arm[trial] for trial in both), tuple(of_base[trial] for trial in both)
    )


def _trial(row: Row) -> tuple[str, int]:
    return row["origin"], row["horizon"]


def _differences(trials: Trials, pair: _Pair) -> Iterator[Difference]:
    model, mode, arm, base, *_ = pair.left_out
    for by, value, chosen in _slices(trials, pair):
        mine, theirs = ([places[i] for i in chosen] for places in (pair.arm, pair.base))
        rows = [trials.rows[place] for place in mine]
        origin, target = (
            np.array([row[name] for row in rows], dtype="datetime64[D]")
            for name in ("origin", "target")
        )
        for of in SETS:
            both = [getattr(trials, of).matrix(places) for places in (mine, theirs)]
            for comparison in compared(both[0], both[1], origin, target):
                yield Difference(model, mode, arm, base, of, by=by, value=value, **comparison)


def _slices(trials: Trials, pair: _Pair) -> Iterator[tuple[str, str, list[int]]]:
    rows = [trials.rows[place] for place in pair.arm]
    if not rows:
        return
    everything = range(len(rows))
    yield "all", "", list(everything)
    for horizon in sorted({row["horizon"] for row in rows}):
        yield "horizon", str(horizon), [i for i in everything if rows[i]["horizon"] == horizon]
    for regime in dict.fromkeys(row["regime"] for row in rows):
        yield "regime", regime, [i for i in everything if rows[i]["regime"] == regime]
    stated = [
        i
        for i in everything
        if rows[i]["own"] is not None and trials.rows[pair.base[i]]["own"] is not None
    ]
    if stated:
        yield "stated", "", stated


def compared(arm: Array, base: Array, origin: Days, target: Days) -> Iterator[Mapping[str, Any]]:
    """Compare two arms on the same trials.

    Args:
        arm: (n, `COLUMNS`) scores.
        base: (n, `COLUMNS`) scores.
        origin: (n,) sessions, in order; several trials may share one.
        target: (n,) sessions, each after its origin.

    Yields:
        For each of `COLUMNS` the fields of `Difference` that are computed.
    """
    start, place = np.unique(origin, return_inverse=True)
    end = np.array([target[place == i].max() for i in range(len(start))])
    count: Array = np.bincount(place).astype(np.float64)
    gain = arm - base
    total: Array = np.column_stack([np.bincount(place, weights=column) for column in gain.T])
    spread = overlap(start, end)
    ends = block_interval(total, count, spread + 1)
    windows = non_overlapping(start, end)
    for i, name in enumerate(COLUMNS):
        low, high = (None, None) if ends is None else map(float, ends[i])
        mean = float(gain[:, i].mean())
        yield {
            "score": name,
            "n": len(gain),
            "n_origins": len(start),
            "n_windows": windows,
            "mean_arm": float(arm[:, i].mean()),
            "mean_base": float(base[:, i].mean()),
            "mean": mean,
            "t_value": _t_value(total[:, i], count, spread),
            "low": low,
            "high": high,
            "verdict": _verdict(name, mean, low, high) if name in SCORES else NOT_JUDGED,
        }


def overlap(origin: Days, target: Days) -> int:
    """Largest number of later origins that lie inside the window of an earlier one.

    Args:
        origin: (n,) increasing.
        target: (n,) each after its origin.

    Example:
        >>> origin = np.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]")
        >>> overlap(origin, origin + 1), overlap(origin, origin + 5)
        (0, 4)
    """
    inside = np.searchsorted(origin, target, side="left") - np.arange(len(origin)) - 1
    return int(inside.max())


def block_interval(total: Array, count: Array, shortest: int) -> Array | None:
    """Draw blocks of neighbouring origins, and see how far the mean difference moves.

    Args:
        total: (O, S) sums of the differences of each origin, in order of time.
        count: (O,) number of trials of each origin.
        shortest: number of origins in a block, at least; a block is never shorter than the cube
            root of their number, for dependence that is in the scores themselves.

    Returns:
        (S, 2) ends of the 90 % intervals of ``sum(total) / sum(count)``; None where there are
        fewer than two blocks.

    Source:
        Kunsch (1989), doi:10.1214/aos/1176347265: the moving-block bootstrap.
    """
    n = len(total)
    length = max(shortest, round(n ** (1 / 3)))
    if n < 2 * length:
        return None
    starts = np.random.default_rng(SEED).integers(
        0, n - length + 1, size=(DRAWS, math.ceil(n / length))
    )
    stops = starts + length
    stops[:, -1] -= length * starts.shape[1] - n  # the last block is cut, to n origins in all
    drawn = _sums(count, starts, stops)
    ends = [
        np.quantile(_sums(column, starts, stops) / drawn, [TAIL, 1.0 - TAIL]) for column in total.T
    ]
    return np.array(ends)


def _sums(values: Array, starts: Ints, stops: Ints) -> Array:
    """Sum the values of every draw's blocks."""
    so_far = np.concatenate([[0.0], np.cumsum(values)])
    sums: Array = (so_far[stops] - so_far[starts]).sum(axis=1)
    return sums


def _t_value(total: Array, count: Array, spread: int) -> float | None:
    """Diebold-Mariano t-value of a mean over trials, from one value an origin.

    The values are those whose mean moves as the mean over trials does (the ratio, linearised):
    where every origin has as many trials, they are its mean differences.
    """
    n, mean = len(total), total.sum() / count.sum()
    values = mean + (total - mean * count) * n / count.sum()
    lag = hac_lag(n, horizon=spread + 1)  # in rows: a window reaches over so many origins
    if n <= max(lag, 1) or np.ptp(values) < EQUAL:
        return None
    t_value = mean_difference(values, lag).t_value
    return t_value if math.isfinite(t_value) else None


def _verdict(name: str, mean: float, low: float | None, high: float | None) -> str:
    if low is None or high is None or low <= 0.0 <= high or abs(mean) < SHOWN[name]:
        return NO_DIFFERENCE
    return HELPS if high < 0.0 else HARMS
