"""Findings, and the checks of an audit on rows by themselves: their days, splits and values."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.bars import Bars
from belief.errors import PricesError
from belief.prices import COLUMNS, HIGHEST_PRICE, LARGEST_RATIO, LOWEST_PRICE
from belief.sessions import FIRST_DAY, LAST_DAY, sessions_between
from belief.tables import Table, as_traded

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

REPAIRED: Final = "repaired"
NOTED: Final = "noted"
REFUSED: Final = "refused"
PRICES: Final = COLUMNS[:-1]
MOST_SPLITS: Final = 60  # no stock has had as many
ROUNDING: Final = 0.005  # by which a source's rounding may put open or close outside the range


class Finding(NamedTuple):
    """One thing an audit found.

    Attributes:
        session: where, unit D; None for what concerns all rows.
        rule: short, stable name of the rule, such as "gap".
        value: what was found, in words.
        outcome: "repaired", "noted" or "refused".
        action: what was done, or what would be valid.
    """

    session: np.datetime64 | None
    rule: str
    value: str
    outcome: str
    action: str

    def as_line(self) -> str:
        """Write the finding on one line.

        Example:
            >>> print(Finding(None, "no rows", "no row", REFUSED, "prices are needed").as_line())
            no rows: no row; prices are needed
        """
        where = "" if self.session is None else f"{self.session} "
        return f"{where}{self.rule}: {self.value}; {self.action}"


def refuse(findings: Iterable[Finding]) -> bool:
    """Say whether one of some findings refuses the rows."""
    return any(found.outcome == REFUSED for found in findings)


def no_rows() -> Finding:
    """Refuse what has no row with prices."""
    return Finding(None, "no rows", "no row with prices", REFUSED, "daily prices are needed")


def from_error(rule: str, error: PricesError) -> Finding:
    """Refuse for the reason of an error, whose advice follows its last semicolon."""
    value, _, advice = str(error).rpartition("; ")
    return Finding(None, rule, value or advice, REFUSED, advice if value else "nothing is taken")


def number(value: float) -> str:
    """Write a price: in cents when it is, otherwise in as many digits as it needs.

    Example:
        >>> number(10.5), number(0.0), number(10.2031), number(0.00012)
        ('10.50', '0', '10.2031', '0.00012')
    """
    cents = 1 <= value < np.inf and abs(value - round(value, 2)) < 1e-9 * value
    return f"{value:.2f}" if cents else f"{value:.8g}"


def ratio_in_words(ratio: float) -> str:
    """Write a split ratio as people do.

    Example:
        >>> ratio_in_words(10.0), ratio_in_words(1.5), ratio_in_words(0.125)
        ('10:1', '3:2', '1:8')
    """
    parts = Fraction(ratio).limit_denominator(200)
    return f"{parts.numerator}:{parts.denominator}"


def checked_rows(bars: Bars, kept: Days) -> tuple[Table, tuple[Finding, ...]]:
    """Check rows by themselves, and mend those that can be mended.

    Args:
        bars: rows in any state.
        kept: (N,) sessions that are kept; a split may be on one of them.

    Returns:
        The rows as traded, ascending, one a session, and the findings. When one of these refuses
        the rows are of no use: what follows would only repeat it in other words.
    """
    columns = {name: np.array(getattr(bars, name), dtype=np.float64) for name in COLUMNS}
    table = Table(bars.session.astype("datetime64[D]"), columns, tuple(sorted(bars.splits)))
    found: list[Finding] = []
    for step in (_in_order, _on_sessions, _without_repeats):
        table, more = step(table)
        found += more
    if not refuse(found):
        # A split before the first row changes no row.
        splits = tuple(split for split in table.splits if split.session >= table.session[0])
        table = table._replace(splits=splits)
        found += _judged_splits(table, np.union1d(table.session, kept))
    if not refuse(found):
        try:
            table = table._replace(columns=as_traded(table, named=bars.source))
        except PricesError as error:
            return table, (*found, from_error("basis", error))
        table, more = _mended(table)
        table = table._replace(splits=tuple(s for s in splits if s.session <= table.session[-1]))
        found += more
    return table, tuple(found)


def _of(table: Table, rows: Rows | Flags) -> Table:
    columns = {name: values[rows] for name, values in table.columns.items()}
    return Table(table.session[rows], columns, table.splits)


def _in_order(table: Table) -> tuple[Table, list[Finding]]:
    """Sort the rows; those that descend throughout are in order too."""
    session = table.session
    dated = (session >= FIRST_DAY) & (session <= LAST_DAY)  # false for what is no time
    if not dated.all():
        day = session[np.argmin(dated)]
        value = f"{np.count_nonzero(~dated)} rows outside the calendar, such as {day}"
        valid = f"days from {FIRST_DAY} to {LAST_DAY} are valid"
        return _of(table, dated), [Finding(None, "not a session", value, REFUSED, valid)]
    steps = np.diff(session).astype(np.int64)
    if (steps <= 0).all():
        return _of(table, np.arange(session.size)[::-1]), []
    late = np.flatnonzero(steps < 0)
    if not late.size:
        return table, []
    value = f"row after that of {session[late[0]]}"
    found = Finding(session[late[0] + 1], "out of order", value, REPAIRED, "rows sorted")
    return _of(table, np.argsort(session, kind="stable")), [found]


def _on_sessions(table: Table) -> tuple[Table, list[Finding]]:
    """Drop rows without any price; refuse rows with prices on a day without trading."""
    session = table.session
    blank = np.all(np.isnan([table.columns[name] for name in PRICES]), axis=0)
    if blank.all():
        return table, [no_rows()]
    traded = np.isin(session, sessions_between(session[0], session[-1]))
    found = []
    for row in np.flatnonzero(blank):
        rule = "not a number" if traded[row] else "not a session"
        found.append(Finding(session[row], rule, "no price at all", REPAIRED, "row left out"))
    for row in np.flatnonzero(~blank & ~traded):
        value = f"close {number(table.columns['close'][row])} while the exchange was closed"
        valid = "only sessions of the exchange in New York are valid"
        found.append(Finding(session[row], "not a session", value, REFUSED, valid))
    return _of(table, ~blank), found


def _without_repeats(table: Table) -> tuple[Table, list[Finding]]:
    """Drop a row that repeats its day and values; refuse two rows of a day that differ."""
    session = table.session
    kept = np.ones(session.size, dtype=bool)
    found = []
    for row in np.flatnonzero(session[1:] == session[:-1]) + 1:
        pairs = {name: values[row - 1 : row + 1] for name, values in table.columns.items()}
        differ = [name for name, (one, other) in pairs.items() if not _equal(one, other)]
        value, outcome, action = "the same row twice", REPAIRED, "one of them left out"
        if differ:
            one, other = pairs[differ[0]]
            value = f"{differ[0]} {number(one)} and {differ[0]} {number(other)}"
            outcome, action = REFUSED, "one row a session is valid"
        kept[row] = False
        found.append(Finding(session[row], "duplicate", value, outcome, action))
    return _of(table, kept), found


def _equal(one: float, other: float) -> bool:
    return bool(one == other or (np.isnan(one) and np.isnan(other)))


def _judged_splits(table: Table, sessions: Days) -> list[Finding]:
    """Refuse a split that is none, stands twice, or is on a day without a row, and too many.

    One after the last row is still to come: the prices are adjusted for it, but it is not told yet.
    """
    if len(table.splits) > MOST_SPLITS:
        value, valid = f"{len(table.splits)} splits", f"up to {MOST_SPLITS} are valid"
        return [Finding(None, "split", value, REFUSED, valid)]
    found = []
    days = [split.session for split in table.splits]
    for day, ratio in table.splits:
        outcome = REFUSED
        if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:  # so that NaN is refused too
            value, valid = f"ratio {ratio:g}", f"1/{LARGEST_RATIO:g} to {LARGEST_RATIO:g} is valid"
        elif days.count(day) > 1:
            value, valid = f"one of {days.count(day)} splits", "one split a session is valid"
        elif day not in sessions:
            value = f"{ratio_in_words(ratio)} split on a day without a row"
            valid = "it must be on the first session that trades after it, with its row"
            if day > sessions[-1]:
                outcome, valid = NOTED, "its adjustment is undone until its session is there"
        else:
            continue
        found.append(Finding(day, "split", value, outcome, valid))
    return found


class _Fault(NamedTuple):
    """What is wrong with one row; `mended` has the values to put in, None when it is refused."""

    rule: str
    value: str
    action: str
    mended: dict[str, float] | None = None


def _mended(table: Table) -> tuple[Table, list[Finding]]:
    """Check each row by itself."""
    columns = {name: values.copy() for name, values in table.columns.items()}
    found = []
    for row in np.flatnonzero(~_plausible(columns)):
        bar = {name: float(values[row]) for name, values in columns.items()}
        for check in _CHECKS:
            fault = check(bar)
            if fault is None:
                continue
            outcome = REFUSED if fault.mended is None else REPAIRED
            day = table.session[row]
            found.append(Finding(day, fault.rule, fault.value, outcome, fault.action))
            if fault.mended is None:
                break
            bar |= fault.mended
        for name, value in bar.items():
            columns[name][row] = value
    return table._replace(columns=columns), found


def _plausible(columns: dict[str, Array]) -> Flags:
    opened, high, low, close, volume = (columns[name] for name in COLUMNS)
    inside = (low <= opened) & (opened <= high) & (low <= close) & (close <= high)
    bounded = (low >= LOWEST_PRICE) & (high <= HIGHEST_PRICE)
    plausible: Flags = inside & bounded & (volume >= 0) & (volume < np.inf)
    return plausible


def _not_a_number(bar: dict[str, float]) -> _Fault | None:
    lacking = [name for name in PRICES if np.isnan(bar[name])]
    if lacking:
        return _Fault("not a number", f"no {', '.join(lacking)}", "all prices are needed")
    if np.isnan(bar["volume"]):
        return _Fault("not a number", "no volume", "volume 0 stands for it", {"volume": 0.0})
    return None


def _not_positive(bar: dict[str, float]) -> _Fault | None:
    close = bar["close"]
    negative = [name for name in COLUMNS if bar[name] < 0]
    zero = [name for name in PRICES if bar[name] == 0]
    if negative:
        value = f"{negative[0]} {number(bar[negative[0]])}"
        return _Fault("non-positive", value, "it must not be negative")
    if close == 0:
        return _Fault("non-positive", "close 0", "a price above 0 is needed")
    if zero:
        action = f"made a session without range: all prices are {number(close)}, its close"
        return _Fault("non-positive", f"{zero[0]} 0", action, dict.fromkeys(PRICES, close))
    return None


def _beyond_bounds(bar: dict[str, float]) -> _Fault | None:
    for name in PRICES:
        if not LOWEST_PRICE <= bar[name] <= HIGHEST_PRICE:
            valid = f"from {LOWEST_PRICE:f} to {HIGHEST_PRICE:,.0f} is valid"
            return _Fault("out of bounds", f"{name} {number(bar[name])}", valid)
    if np.isinf(bar["volume"]):
        return _Fault("out of bounds", "volume inf", "it must be finite")
    return None


def _high_below_low(bar: dict[str, float]) -> _Fault | None:
    high, low = bar["high"], bar["low"]
    if high >= low:
        return None
    value = f"high {number(high)} < low {number(low)}"
    if all(high <= bar[name] <= low for name in ("open", "close")):
        return _Fault("high below low", value, "swapped", {"high": low, "low": high})
    return _Fault("high below low", value, "open and close must lie between low and high")


def _outside_range(bar: dict[str, float]) -> _Fault | None:
    high, low = bar["high"], bar["low"]
    wrong = [name for name in ("open", "close") if not low <= bar[name] <= high]
    if not wrong:
        return None
    value = " and ".join(
        f"{name} {number(bar[name])} "
        + (f"> high {number(high)}" if bar[name] > high else f"< low {number(low)}")
        for name in wrong
    )
    if all(low * (1 - ROUNDING) <= bar[name] <= high * (1 + ROUNDING) for name in wrong):
        ends = (high, low, bar["open"], bar["close"])
        wider = {"high": max(ends), "low": min(ends)}
        return _Fault("outside range", value, "range widened to it: rounding", wider)
    valid = f"up to {ROUNDING:.1%} outside would be rounding"
    return _Fault("outside range", value, valid)


_CHECKS: Final = (_not_a_number, _not_positive, _beyond_bounds, _high_below_low, _outside_range)
