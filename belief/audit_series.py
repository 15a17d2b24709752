"""The checks of an audit on rows in their series: holes, repeats, outliers and jumps."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from belief.audit_rows import NOTED, PRICES, REFUSED, Finding, number, ratio_in_words
from belief.prices import CLOSE_TOLERANCE, LARGEST_MOVE, OPEN_TOLERANCE, usual_ratios
from belief.sessions import sessions_between
from belief.tables import Table

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]

NOISE: Final = 1e-7  # relative, from having been divided by a split's ratio
SPIKE: Final = 0.25  # relative distance of a close from both its neighbours
SPIKE_IN_RANGES: Final = 3.0  # the same in typical ranges: some stocks move by 25 % every day
NEIGHBOURS: Final = 0.08  # relative distance of those neighbours from each other,
BESIDE_SPIKE: Final = 0.25  # or log distance in that of the spike
LONE_EXTREME: Final = 1.5  # times by which a high or low leaves both open and close
LARGE_MOVE: Final = 8.0  # typical ranges
TYPICAL: Final = 63  # sessions whose median range is typical
GIVEN_UP: Final = 2  # rows behind a hole of one session from which it is taken as one that stays


def check_series(table: Table, fresh: Flags, strict_from: np.datetime64) -> list[Finding]:
    """Check the rows that are new in their series.

    Args:
        table: rows as traded, T ascending sessions, each plausible by itself.
        fresh: (T,) true for the rows to check; only the one before the first of them is checked
            besides, for a spike that shows now.
        strict_from: day from which holes and spikes are refused; earlier ones are noted.

    Returns:
        The findings, rule by rule.
    """
    return [
        *_gaps(table, fresh, strict_from),
        *_stale_repeats(table, fresh),
        *_lone_extremes(table, fresh),
        *_moves(table, fresh, strict_from),
    ]


def _gaps(table: Table, fresh: Flags, strict_from: np.datetime64) -> list[Finding]:
    """Find runs of sessions without a row before a row that is new.

    A late one is refused, because the source may only be behind; but a single session that it has
    passed over for good must not keep out all that follow.
    """
    session = table.session
    calendar = sessions_between(session[0], session[-1])
    missing = np.flatnonzero(~np.isin(calendar, session))
    runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1)
    # a hole between kept rows was told when they were new
    holes = [calendar[run] for run in runs if run.size]
    holes = [hole for hole in holes if fresh[np.searchsorted(session, hole[-1])]]
    late = [hole for hole in holes if hole[-1] >= strict_from]
    alone = len(late) == 1 and late[0].size == 1
    stays = alone and np.count_nonzero(session > late[0][0]) >= GIVEN_UP
    return [_gap(hole, refused=hole[-1] >= strict_from and not stays) for hole in holes]


def _gap(hole: Days, *, refused: bool) -> Finding:
    value = "no row" if hole.size == 1 else f"no rows of the {hole.size} sessions to {hole[-1]}"
    outcome, action = NOTED, "left open"
    if refused:
        outcome = REFUSED
        action = "load it again; if the exchange was closed, update exchange_calendars"
    return Finding(hole[0], "gap", value, outcome, action)


def _stale_repeats(table: Table, fresh: Flags) -> list[Finding]:
    """Find rows whose prices are all those of the row before."""
    ratio = _ratios(table)[1:]
    change = [table.columns[name][1:] * ratio / table.columns[name][:-1] - 1 for name in PRICES]
    same = np.abs(change).max(axis=0) < NOISE
    volume = table.columns["volume"]
    traded = (volume[1:] > 0) | ~volume.any()  # a session without trading repeats the last price
    found = []
    for row in np.flatnonzero(same & traded & fresh[1:]) + 1:
        ranged = table.columns["high"][row] > table.columns["low"][row]
        value = f"all prices are those of {table.session[row - 1]}"
        # One price for two sessions is ordinary for a stock that hardly trades.
        outcome, action = NOTED, "kept"
        if row == table.session.size - 1 and ranged:
            outcome, action = REFUSED, "load it again once the source has the session"
        found.append(Finding(table.session[row], "stale repeat", value, outcome, action))
    return found


def _lone_extremes(table: Table, fresh: Flags) -> list[Finding]:
    """Find a high or a low that is far from both open and close."""
    opened, high, low, close = (table.columns[name] for name in PRICES)
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    found = []
    for row in np.flatnonzero(
        fresh & ((high > LONE_EXTREME * top) | (low < bottom / LONE_EXTREME))
    ):
        name = "high" if high[row] > LONE_EXTREME * top[row] else "low"
        value = (
            f"{name} {number(table.columns[name][row])} beside open {number(opened[row])} "
            f"and close {number(close[row])}"
        )
        found.append(Finding(table.session[row], "outlier", value, NOTED, "kept"))
    return found


def _moves(table: Table, fresh: Flags, strict_from: np.datetime64) -> list[Finding]:
    """Find spikes, jumps that no split explains, and other large moves, each told once."""
    ratio = _ratios(table)
    close = table.columns["close"] / np.append(np.cumprod(ratio[:0:-1])[::-1], 1.0)
    typical = _typical_range(table)
    opened = table.columns["open"] / table.columns["close"] * close
    spike = _spikes(close, opened, typical) & (fresh | np.append(fresh[1:], False))
    refused = spike & (table.session >= strict_from)
    jump, huge = _jumps(table, ratio)
    move = np.abs(np.diff(np.log(close), prepend=np.log(close[0])))
    large = (typical > 0) & (move > LARGE_MOVE * typical)
    found = []
    for row in np.flatnonzero(spike | (fresh & (jump | huge | large))).tolist():
        if spike[row]:
            found.append(_spike(table, row, REFUSED if refused[row] else NOTED))
        if refused[row] or refused[row - 1]:
            continue  # the way to a spike and back is no further finding
        if jump[row] or huge[row]:
            found.append(_jump(table, row, ratio[row], huge=not jump[row]))
        elif not (spike[row] or spike[row - 1]):
            found.append(_large_move(table, row, close, typical[row]))
    return found


def _ratios(table: Table) -> Array:
    """Give the ratio of the split at each row, 1 where there is none."""
    ratio = np.ones(table.session.size)
    for split in table.splits:
        ratio[table.session == split.session] = split.ratio
    return ratio


def _typical_range(table: Table) -> Array:
    """Give the median log range of the rows before each; infinite for the first."""
    span = np.log(table.columns["high"] / table.columns["low"])
    few = [float(np.median(span[:row])) for row in range(1, min(TYPICAL, span.size))]
    typical = np.full(span.size, np.inf)
    typical[1 : 1 + len(few)] = few
    if span.size > TYPICAL:
        windows = np.lib.stride_tricks.sliding_window_view(span[:-1], TYPICAL)
        typical[TYPICAL:] = np.median(windows, axis=1)
    return typical


def _spikes(close: Array, opened: Array, typical: Array) -> Flags:
    """Tell closes that are far from both neighbours, which are near each other.

    A close near which the next session opened was a price people paid: no spike.
    """
    before, here, after = close[:-2], close[1:-1], close[2:]
    others = np.array([before, after, opened[2:]])
    distance = np.abs(here / others - 1).min(axis=0)
    far = distance > np.maximum(SPIKE, SPIKE_IN_RANGES * typical[1:-1])
    apart = np.abs(np.log(after / before))
    allowed = BESIDE_SPIKE * np.abs(np.log(here / others)).min(axis=0)
    spike = np.zeros(close.size, dtype=bool)
    spike[1:-1] = far & (apart <= np.maximum(math.log(1 + NEIGHBOURS), allowed))
    return spike


def _spike(table: Table, row: int, outcome: str) -> Finding:
    before, here, after = map(number, table.columns["close"][row - 1 : row + 2])
    action = "kept" if outcome == NOTED else "correct it, or load it again"
    value = f"close {here} between {before} and {after}"
    return Finding(table.session[row], "outlier", value, outcome, action)


def _jumps(table: Table, ratio: Array) -> tuple[Flags, Flags]:
    """Tell the moves that `Prices` refuses: by a usual split ratio, and beyond belief."""
    opened, close = table.columns["open"], table.columns["close"]
    to_open, to_close = (np.log(close[:-1] / into[1:]) for into in (opened, close))
    jump, huge = np.zeros((2, close.size), dtype=bool)
    log_ratio, usual = np.log(ratio[1:]), _usual(table)
    at_open = np.abs((to_open - log_ratio)[:, None] - usual) < OPEN_TOLERANCE
    at_close = np.abs((to_close - log_ratio)[:, None] - usual) < CLOSE_TOLERANCE
    jump[1:] = (at_open & at_close).any(axis=1)
    for move in (to_open, to_close):
        huge[1:] |= np.minimum(np.abs(move), np.abs(move - log_ratio)) > LARGEST_MOVE
    declared = np.isin(table.session, [split.session for split in table.splits if split.ratio == 1])
    return jump & ~declared, huge & ~declared


def _usual(table: Table) -> Array:
    return np.log(usual_ratios(table.columns["high"], table.columns["low"]))


def _jump(table: Table, row: int, ratio: float, *, huge: bool) -> Finding:
    day, before = table.session[row], float(table.columns["close"][row - 1])
    opened, close = (float(table.columns[name][row]) for name in ("open", "close"))
    beside = "" if ratio == 1.0 else f", beside the listed {ratio_in_words(ratio)}"
    action = "list the split, or a split with ratio 1 if the jump is real"
    value = f"open {number(opened)}, close {number(close)} after {number(before)}{beside}"
    if huge:
        return Finding(day, "huge jump", value, REFUSED, f"correct it, or {action}")
    usual = _usual(table)
    nearest = usual[np.argmin(np.abs(math.log(before / opened / ratio) - usual))]
    value += f", like a {ratio_in_words(math.exp(nearest))} split"
    return Finding(day, "split-like jump", value, REFUSED, action)


def _large_move(table: Table, row: int, close: Array, typical: float) -> Finding:
    change = close[row] / close[row - 1] - 1
    value = f"close {change:+.1%} after a typical range of {math.expm1(typical):.1%}"
    return Finding(table.session[row], "large move", value, NOTED, "kept: such days are real")
