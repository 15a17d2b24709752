"""Prices from pandas: a frame as yfinance or `pandas.read_csv` has it, or a Series of closes."""

from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from belief.errors import PricesError
from belief.prices import LARGEST_RATIO, Prices, Split
from belief.sessions import EXCHANGE_TIME
from belief.sources import (
    NAMES,
    bundled_symbol,
    check_symbol,
    column_name,
    in_titles,
    with_bundled_events,
)
from belief.tables import Table, in_order, prices_of

if TYPE_CHECKING:
    import pandas

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

RANGE: Final = ("open", "high", "low")
PRICES: Final = (*RANGE, "close")
READ: Final = (*PRICES, "volume", "stock splits")


def prices_from(frame: "pandas.DataFrame | pandas.Series", *, symbol: str) -> Prices:
    """Make checked prices of a pandas DataFrame, or of a Series of closes.

    What holds for a CSV file (`belief.sources.read_csv`) holds here: columns Open, High, Low, Close
    and, where there are any, Volume and Stock Splits in any order and case, in US dollars; others,
    such as Adj Close, are ignored; a missing volume is 0; the rows ascend or descend; prices are
    all as traded or all adjusted for the splits listed, and the same data give the same prices.
    Prices that are also adjusted for dividends, as yfinance hands them over unless told
    `auto_adjust=False`, are taken as they stand: they are not the dollars people saw.

    Of columns with two levels, as `yfinance.download` has them, those of the symbol are taken, and
    rows in which only other symbols have prices are left out. A Series, or a frame that has Close
    and none of Open, High and Low, has no ranges: the volatility is then read from the returns
    alone, and a split of 3:2 that no column lists passes as a fall by a third. A fall by a half
    looks like a split; where one is real, a frame of Close and Stock Splits declares it with 1
    there. At most 5 % of the sessions may be missing; the move across a hole counts as one
    session's.

    Args:
        frame: one row a session, with a DatetimeIndex. Of times in a time zone the day is the one
            they show when all of them are midnights, otherwise that of New York.
        symbol: whose prices these are, in any case; NVDA brings its bundled events.

    Returns:
        Prices as traded when the frame has Stock Splits, otherwise in the frame's own basis.

    Raises:
        UsageError: the symbol has characters that no symbol has.
        PricesError: it is no frame, a column is missing, or a row breaks a rule; the text names
            the row or session, and the value.

    Example:
        >>> import pandas
        >>> days = pandas.DatetimeIndex(["2024-03-27", "2024-03-28"], tz="America/New_York")
        >>> prices = prices_from(pandas.Series([902.5, 903.56], index=days), symbol="NVDA")
        >>> str(prices.as_of), prices.last_close, prices.source
        ('2024-03-28', 903.56, 'pandas Series without ranges')
    """
    check_symbol(symbol)
    upper = bundled_symbol(symbol) or symbol.strip().upper()
    named = f"pandas {type(frame).__name__}"
    columns = _columns(_as_frame(frame), upper, named)
    table = _table(columns, named)
    prices = prices_of(
        in_order(table, lambda row: f"{named} row {row + 1}"),
        symbol=upper,
        name=NAMES.get(upper, upper),
        source=named if "open" in columns else f"{named} without ranges",
        splits_known="stock splits" in columns,
        named=named,
    )
    return with_bundled_events(prices)


def _as_frame(frame: Any) -> "pandas.DataFrame":
    import pandas

    if isinstance(frame, pandas.Series):
        return frame.to_frame("Close")
    if isinstance(frame, pandas.DataFrame):
        return frame
    raise PricesError(
        f"prices are a {type(frame).__name__}; give a pandas DataFrame, or a Series of closes"
    )


def _columns(frame: "pandas.DataFrame", symbol: str, named: str) -> "pandas.DataFrame":
    """The columns that are read, under this package's names."""
    levels = frame.columns.nlevels
    if levels > 2:
        raise PricesError(f"{named}: the columns have {levels} levels; one or two can be read")
    plain = frame if levels == 1 else _of_symbol(frame, symbol, named)
    header = [column_name(str(cell)) for cell in plain.columns]
    for name in READ:
        if header.count(name) > 1:
            raise PricesError(f"{named} has {header.count(name)} columns {in_titles([name])}")
    _check_header(header, named)
    places = {name: place for place, name in enumerate(header) if name in READ}
    return plain.iloc[:, list(places.values())].set_axis(list(places), axis=1)


def _check_header(header: list[str], named: str) -> None:
    """Of a range all of open, high and low are wanted, or none of them."""
    ranged = any(name in header for name in RANGE)
    missing = [name for name in (*(RANGE if ranged else ()), "close") if name not in header]
    if missing:
        raise PricesError(
            f"{named} has no column {in_titles(missing)}; it needs {in_titles(PRICES)}, or of "
            f"these Close alone"
        )


def _of_symbol(frame: "pandas.DataFrame", symbol: str, named: str) -> "pandas.DataFrame":
    """The columns of one symbol, whichever level says the symbol."""
    for level in (0, 1):
        if "close" in map(column_name, map(str, frame.columns.get_level_values(level))):
            break
    else:
        raise PricesError(f"{named} has no column Close in either level of its columns")
    symbols = dict.fromkeys(map(str, frame.columns.get_level_values(1 - level)))
    known = [each for each in symbols if symbol in (each.strip().upper(), bundled_symbol(each))]
    if len(known) != 1:
        listed = ", ".join(symbols)
        raise PricesError(f"{named}: the columns are of {listed}; {symbol} must be one of them")
    of = [str(each) == known[0] for each in frame.columns.get_level_values(1 - level)]
    own = frame.loc[:, of].droplevel(1 - level, axis=1)
    if len(symbols) == 1:
        return own
    priced = [column_name(str(cell)) in PRICES for cell in own.columns]
    return own[own.loc[:, priced].notna().any(axis=1)]


def _table(columns: "pandas.DataFrame", named: str) -> Table:
    """Read the rows in the order of the frame."""
    session = _days(columns.index, named)
    read = {name: _numbers(columns[name], session, named) for name in columns}
    for name in PRICES:
        missing = np.isnan(read.setdefault(name, read["close"]))
        if missing.any():
            day = session[np.argmax(missing)]
            raise PricesError(f"{named} {day}: {name.title()} is missing; leave such rows out")
    volume, ratio = (_or_0(read.get(name), session.size) for name in ("volume", "stock splits"))
    listed = {_split(session[row], float(ratio[row]), named) for row in np.flatnonzero(ratio)}
    values = {name: read[name] for name in PRICES} | {"volume": volume}
    return Table(session, values, tuple(sorted(listed)))


def _days(index: "pandas.Index", named: str) -> Days:
    """The day of each row, in exchange time."""
    import pandas

    if not isinstance(index, pandas.DatetimeIndex):
        raise PricesError(
            f"{named} has an index of {index.dtype}, not of dates; give it "
            f"pandas.to_datetime(days, utc=True) as its index"
        )
    if not len(index):
        raise PricesError(f"{named} has no rows")
    if index.hasnans:
        raise PricesError(f"{named} row {int(np.argmax(index.isna())) + 1} has no date")
    if index.tz is not None:
        moved = index if (index == index.normalize()).all() else index.tz_convert(EXCHANGE_TIME)
        index = moved.tz_localize(None)
    days: Days = index.to_numpy().astype("datetime64[D]")
    return days


def _numbers(column: "pandas.Series", session: Days, named: str) -> Array:
    """The values of a column; not a number where there is none."""
    import pandas

    if column.dtype == object or not pandas.api.types.is_any_real_numeric_dtype(column.dtype):
        for day, value in zip(session, column, strict=True):
            number = isinstance(value, Real | Decimal) and not isinstance(value, bool)
            if not (number or (pandas.api.types.is_scalar(value) and pandas.isna(value))):
                shown = repr(value)[:40]
                raise PricesError(
                    f"{named} {day}: {str(column.name).title()} is {shown}, not a number"
                )
        column = column.astype("Float64")
    numbers: Array = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers


def _or_0(values: Array | None, n_rows: int) -> Array:
    return np.zeros(n_rows) if values is None else np.where(np.isnan(values), 0.0, values)


def _split(session: np.datetime64, ratio: float, named: str) -> Split:
    if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        raise PricesError(
            f"{named} {session}: Stock Splits is {ratio:g}, not from 1/{LARGEST_RATIO:g} to "
            f"{LARGEST_RATIO:g}"
        )
    return Split(session, ratio)
