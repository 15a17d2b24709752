"""Prices of one symbol: checked when made, kept as traded, and cut at an as_of through one gate.

As traded means the dollars and shares of that day's tape; the splits stand beside them, so that
nothing a later split does can change what was known on an earlier day.
"""

import dataclasses
import hashlib
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import PricesError, UsageError
from belief.events import NO_EVENTS, Events
from belief.sessions import Day, as_day, last_session_on_or_before, sessions_between

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

COLUMNS: Final = ("open", "high", "low", "close", "volume")
FEWEST_SESSIONS: Final = 2
LEAST_COVERAGE: Final = 0.95  # of the exchange's sessions between the first and the last
LONGEST_CLOSURE: Final = np.timedelta64(14, "D")  # the exchange was never closed for so long
SPLIT_RATIOS: Final = (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 30.0, 50.0)
# In closes alone a split of 3:2 cannot be told from a session that lost a third, which happens.
SPLIT_RATIOS_OF_CLOSES: Final = SPLIT_RATIOS[1:]
OPEN_TOLERANCE: Final = 0.03  # log distance of previous close / open from a split ratio
CLOSE_TOLERANCE: Final = 0.08  # the same for previous close / close
LARGEST_MOVE: Final = math.log(3.0)  # in one night or session, unless declared real
LARGEST_RATIO: Final = 200.0  # new shares for one old share; its inverse is the smallest
LOWEST_PRICE: Final = 1e-6
HIGHEST_PRICE: Final = 1e7


class Split(NamedTuple):
    """A split of the shares.

    Attributes:
        session: the first session that trades after the split, unit D.
        ratio: new shares for one old share (4:1 is 4.0), from 1/200 to 200. Exactly 1.0
            declares that a jump at this session is real.
    """

    session: np.datetime64
    ratio: float


class Closes(NamedTuple):
    """Closes of n sessions, all in dollars of one and the same session.

    Attributes:
        session: (n,) increasing, unit D.
        close: (n,) their closes.
    """

    session: Days
    close: Array


@dataclass(frozen=True, eq=False)
class Prices:
    """Daily prices of one symbol, as traded, T sessions long.

    Attributes:
        symbol: the exchange's symbol, such as NVDA.
        name: the name people use, such as Nvidia.
        currency: ISO 4217 code of all prices.
        session: (T,) sessions of the exchange, sorted and unique, unit D.
        open: (T,) first price of the session, as traded.
        high: (T,) highest price, as traded.
        low: (T,) lowest price, as traded.
        close: (T,) last price, as traded.
        volume: (T,) shares traded, in the shares of that day; all 0 when the source has none.
        splits: sorted by session, each at a session of `session`.
        source: where the prices come from, in words.
        splits_known: False for prices that stay in a basis of their own because their source
            tells no splits.
        retrieved_at: ISO day on which the source was read, None when that is not known.
        events: scheduled sessions, such as those that react to earnings; some may lie ahead of the
            last session, and some may not be public yet: `until` keeps those that are.

    Raises:
        PricesError: a rule above is broken, prices are not ordered or not from 0.000001 to
            10,000,000, sessions are missing, a jump looks like a split that is not recorded, or
            prices move to more than 3 times or less than a third without one.

    Example:
        >>> from belief import load_prices
        >>> prices = load_prices("NVDA").until("2024-06-28")
        >>> prices.session.size, prices.last_close, prices.splits[-1].ratio
        (6400, 123.54, 10.0)
        >>> round(float(prices.quoted_close()[0]), 4)  # in dollars of the last session
        0.041
    """

    symbol: str
    name: str
    currency: str
    session: Days
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    splits: tuple[Split, ...]
    source: str
    splits_known: bool
    retrieved_at: str | None
    events: Events = NO_EVENTS

    def __post_init__(self) -> None:
        _set_read_only(self, "session", np.array(self.session, dtype="datetime64[D]"))
        for column in COLUMNS:
            _set_read_only(self, column, np.array(getattr(self, column), dtype=np.float64))
        splits = tuple(Split(s.astype("datetime64[D]"), float(ratio)) for s, ratio in self.splits)
        object.__setattr__(self, "splits", splits)
        _check_sessions(self)
        _check_prices(self)
        _check_splits(self)
        _check_jumps(self)

    @property
    def as_of(self) -> np.datetime64:
        """The last session: its close is the last thing known."""
        last: np.datetime64 = self.session[-1]
        return last

    @property
    def last_close(self) -> float:
        """The close of the last session, as traded."""
        return float(self.close[-1])

    def until(self, as_of: Day) -> "Prices":
        """Keep what was known at the close of `as_of`: no later row, split or event.

        An event stays from the session on at whose close its own session was public.

        Args:
            as_of: a day; one that is no session stands for the last session before it.

        Returns:
            Prices whose last session is at or before `as_of`; these themselves when nothing is
            dropped.

        Raises:
            UsageError: `as_of` leaves fewer than two sessions, or lies after the last session.
            PricesError: what is left has too many sessions missing.

        Example:
            >>> from belief import load_prices
            >>> known = load_prices("NVDA").until("2024-03-31")
            >>> str(known.as_of), known.last_close
            ('2024-03-28', 903.56)
        """
        kept = self._sessions_known_at(as_day(as_of))
        last = self.session[kept - 1]
        events = self.events.until(last)
        if kept == self.session.size and events is self.events:
            return self
        columns = {column: getattr(self, column)[:kept] for column in COLUMNS}
        splits = tuple(split for split in self.splits if split.session <= last)
        return dataclasses.replace(
            self, session=self.session[:kept], splits=splits, events=events, **columns
        )

    def _sessions_known_at(self, as_of: np.datetime64) -> int:
        """Count the rows at or before `as_of`, which must lie where these prices can answer."""
        first, earliest, last = self.session[0], self.session[FEWEST_SESSIONS - 1], self.session[-1]
        choice = f"choose a day from {earliest} to {last}"
        if not as_of >= first:  # so that NaT, which compares false, is refused too
            raise UsageError(
                f"as-of {as_of} is before the first session {first} of {self.symbol}; {choice}"
            )
        if as_of < earliest:
            raise UsageError(f"as-of {as_of} leaves 1 session of {self.symbol}; {choice}")
        soon = min(as_of, last + LONGEST_CLOSURE)  # any later day has a session before it
        if as_of > last and last_session_on_or_before(soon) > last:
            raise UsageError(
                f"as-of {as_of} is after the last session {last} of {self.symbol}; {choice}"
            )
        return int(np.searchsorted(self.session, as_of, "right"))

    def split_factor(self) -> Array:
        """Give what each session's prices are divided by to be in dollars of the last session.

        Returns:
            (T,) product of the ratios of the splits after each session; the last is 1.
        """
        factor = np.ones(self.session.size)
        for split in self.splits:
            factor[self.session < split.session] *= split.ratio
        return factor

    def quoted_close(self) -> Array:
        """Give the closes in dollars of the last session, as a chart drawn on that day would.

        Returns:
            (T,) `close / split_factor()`; the last equals `last_close`.
        """
        return self.close / self.split_factor()

    def closes_in_dollars_of(self, session: np.datetime64) -> Array:
        """Give all closes in dollars of one session, through the splits before and after it.

        Args:
            session: one of these prices.

        Returns:
            (T,) dollars of the session; its own is its `close`.

        Raises:
            ValueError: these prices have no such session.
        """
        row = int(np.searchsorted(self.session, session))
        if row == self.session.size or self.session[row] != session:
            raise ValueError(f"{session} is not a session of {self!r}")
        factor = self.split_factor()
        return np.asarray(self.close * factor[row] / factor)

    def closes_after(self, as_of: np.datetime64) -> Closes:
        """Give what came after a session: the closes that `until` drops, in dollars of it.

        Args:
            as_of: one of the sessions.

        Returns:
            `Closes` of the later sessions; n is 0 when it is the last one.

        Raises:
            ValueError: these prices have no such session.

        Example:
            >>> from belief import load_prices
            >>> came = load_prices("NVDA").closes_after(np.datetime64("2024-06-06"))
            >>> str(came.session[1]), round(float(came.close[1]), 2)  # the tape said 121.79
            ('2024-06-10', 1217.9)
        """
        close = self.closes_in_dollars_of(as_of)
        return Closes(self.session[self.session > as_of], close[self.session > as_of])

    def __repr__(self) -> str:
        """One line; the arrays would fill a screen."""
        return (
            f"<Prices of {self.symbol}: {self.session.size:,} sessions from {self.session[0]} to "
            f"{self.as_of}, last close {self.last_close:.10g} {self.currency}, {self.source}>"
        )

    def fingerprint(self) -> str:
        """Identify the numbers, whatever their source is called.

        Equal for equal sessions, prices, volumes, splits and events, and for no others. Without
        events it is what it was before prices had any.

        Returns:
            SHA-256 as 64 hexadecimal digits, the same on every machine.
        """
        digest = hashlib.sha256(f"prices 1 {self.session.size} {len(self.splits)}\n".encode())
        digest.update(self.session.astype("<i8").tobytes())
        for column in COLUMNS:
            digest.update(getattr(self, column).astype("<f8").tobytes())
        for split in self.splits:
            digest.update(f"{split.session} {split.ratio!r}\n".encode())
        if len(self.events):
            digest.update(f"events 1 {len(self.events)}\n{self.events.as_text()}".encode())
        return digest.hexdigest()


def usual_ratios(high: Array, low: Array) -> tuple[float, ...]:
    """Give the ratios by which shares are split, or merged, that a jump can be told by.

    Args:
        high: (T,) highest prices.
        low: (T,) lowest prices; the same as the highest where only closes are known.

    Returns:
        Old price over new: first those of splits, then their inverses.
    """
    told = SPLIT_RATIOS_OF_CLOSES if np.array_equal(high, low) else SPLIT_RATIOS
    return (*told, *(1 / ratio for ratio in told))


def longest_hole(prices: Prices) -> Days:
    """Find the longest run of sessions between the first and the last that have no prices.

    Args:
        prices: of one symbol.

    Returns:
        (n,) the sessions of the run, the latest of equally long ones; n is 0 where none is missing.
    """
    calendar = sessions_between(prices.session[0], prices.as_of)
    missing = np.flatnonzero(~np.isin(calendar, prices.session))
    runs = np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1)
    return calendar[max(reversed(runs), key=len)]


def _set_read_only(prices: Prices, field: str, values: npt.NDArray[np.generic]) -> None:
    values.setflags(write=False)
    object.__setattr__(prices, field, values)


def _check_sessions(prices: Prices) -> None:
    session = prices.session
    for column in COLUMNS:
        if getattr(prices, column).shape != (session.size,):
            raise PricesError(
                f"{prices.symbol}: {column} has shape {getattr(prices, column).shape}, "
                f"but there are {session.size} sessions"
            )
    if session.size < FEWEST_SESSIONS:
        raise PricesError(
            f"{prices.symbol}: {session.size} sessions; at least {FEWEST_SESSIONS} are needed"
        )
    if np.isnat(session).any():
        raise PricesError(
            f"{prices.symbol}: row {int(np.argmax(np.isnat(session))) + 1} has no date"
        )
    disorder = np.flatnonzero(session[1:] <= session[:-1])
    if disorder.size:
        late, early = session[disorder[0] + 1], session[disorder[0]]
        raise PricesError(f"{prices.symbol}: session {late} follows {early}; sessions must ascend")
    _check_calendar(prices)


def _check_calendar(prices: Prices) -> None:
    session = prices.session
    try:
        expected = sessions_between(session[0], session[-1])
    except UsageError as error:
        raise PricesError(f"{prices.symbol}: {error}") from None
    if np.array_equal(session, expected):
        return
    closed = session[~np.isin(session, expected)]
    if closed.size:
        raise PricesError(
            f"{prices.symbol}: {closed[0]} is not a session: the exchange was closed "
            f"({closed.size} such rows); prices of a stock traded in New York are needed"
        )
    missing = expected.size - session.size
    if session.size < LEAST_COVERAGE * expected.size:
        raise PricesError(
            f"{prices.symbol}: {missing} of the {expected.size} sessions from {session[0]} to "
            f"{session[-1]} are missing; daily prices with at most 5 % missing are needed"
        )


def _check_prices(prices: Prices) -> None:
    for column in COLUMNS:
        values = getattr(prices, column)
        if column == "volume":
            rule, valid = "finite and not negative", np.isfinite(values) & (values >= 0)
        else:
            rule = f"from {LOWEST_PRICE:f} to {HIGHEST_PRICE:,.0f}"
            valid = (values >= LOWEST_PRICE) & (values <= HIGHEST_PRICE)
        if not valid.all():
            row = int(np.argmin(valid))
            raise PricesError(
                f"{prices.symbol} {prices.session[row]}: {column} {values[row]:.10g} must be {rule}"
            )
    for column in ("open", "close"):
        values = getattr(prices, column)
        inside = (prices.low <= values) & (values <= prices.high)
        if not inside.all():
            row = int(np.argmin(inside))
            raise PricesError(
                f"{prices.symbol} {prices.session[row]}: {column} {values[row]:.10g} must lie "
                f"between low {prices.low[row]:.10g} and high {prices.high[row]:.10g}"
            )


def _check_splits(prices: Prices) -> None:
    previous = None
    for session, ratio in prices.splits:
        if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:  # so that NaN is refused too
            raise PricesError(
                f"{prices.symbol} {session}: split ratio {ratio:g} must be from "
                f"1/{LARGEST_RATIO:g} to {LARGEST_RATIO:g}"
            )
        row = int(np.searchsorted(prices.session, session))  # sorted, so faster than isin
        if row == prices.session.size or prices.session[row] != session:
            raise PricesError(
                f"{prices.symbol}: split at {session}, which is not a session of these prices"
            )
        if previous is not None and session <= previous:
            raise PricesError(
                f"{prices.symbol}: split at {session} follows {previous}; splits must ascend"
            )
        previous = session


def _check_jumps(prices: Prices) -> None:
    """Refuse a jump by a usual split ratio, or a huge one, that no recorded split explains."""
    recorded = {split.session: split.ratio for split in prices.splits}
    to_open = np.abs(np.log(prices.close[:-1] / prices.open[1:]))
    to_close = np.abs(np.log(prices.close[:-1] / prices.close[1:]))
    smallest = math.log(min(SPLIT_RATIOS)) - OPEN_TOLERANCE
    suspect = (to_open > smallest) | (to_close > LARGEST_MOVE)
    suspects = {int(row) + 1 for row in np.flatnonzero(suspect)}
    suspects.update(int(np.searchsorted(prices.session, session)) for session in recorded)
    for row in sorted(suspects - {0}):
        ratio = recorded.get(prices.session[row])
        if ratio == 1.0:
            continue  # declared real
        missed = _missed_ratio(prices, row, ratio or 1.0)
        if missed is not None:
            raise PricesError(_missed_split(prices, row, missed))
        _check_move(prices, row, ratio or 1.0)


def _check_move(prices: Prices, row: int, ratio: float) -> None:
    """Refuse a huge move into the open or close of `row`, unless the recorded split explains it."""
    before = float(prices.close[row - 1])
    for after in (float(prices.open[row]), float(prices.close[row])):
        move = math.log(after / before)
        if min(abs(move), abs(move + math.log(ratio))) > LARGEST_MOVE:
            raise PricesError(
                f"{prices.symbol} moved from {_dollars(before)} to {_dollars(after)} on "
                f"{prices.session[row]}, {math.exp(abs(move)):.3g} times{_beside(prices, row)}: a "
                f"missed split or a wrong price; correct it, or declare it real with 1 in the "
                f"Stock Splits column"
            )


def _dollars(price: float) -> str:
    return f"{price:.2f}" if price >= 1 else f"{price:.3g}"


def _beside(prices: Prices, row: int) -> str:
    recorded = [split.ratio for split in prices.splits if split.session == prices.session[row]]
    return f" beside the recorded ratio {recorded[0]:g}" if recorded else ""


def _missed_ratio(prices: Prices, row: int, ratio: float) -> float | None:
    """Find the usual split ratio by which the prices jump into `row` beyond the recorded one."""
    to_open = math.log(prices.close[row - 1] / prices.open[row] / ratio)
    to_close = math.log(prices.close[row - 1] / prices.close[row] / ratio)
    for k in usual_ratios(prices.high, prices.low):
        at_open = abs(to_open - math.log(k)) < OPEN_TOLERANCE
        if at_open and abs(to_close - math.log(k)) < CLOSE_TOLERANCE:
            return k
    return None


def _missed_split(prices: Prices, row: int, missed: float) -> str:
    ratio = Fraction(missed).limit_denominator(50)
    return (
        f"{prices.symbol} {prices.session[row]}: open {prices.open[row]:.10g} after a close of "
        f"{prices.close[row - 1]:.10g} looks like a {ratio.numerator}:{ratio.denominator} split "
        f"that is not recorded{_beside(prices, row)}; record it, or a split with ratio 1 if the "
        f"jump is real"
    )
