"""Frames of pandas as others hand them over."""

import numpy as np
import pandas
from csv_files import HEADER, ROWS

from belief.prices import Prices

NEW_YORK = "America/New_York"


def frame(zone: str | None = None) -> pandas.DataFrame:
    """The rows of `csv_files`, as yfinance has them with a zone and `pandas.read_csv` without."""
    cells = [row.split(",") for row in ROWS]
    index = pandas.DatetimeIndex([row[0] for row in cells], name="Date", tz=zone)
    numbers = np.array([row[1:] for row in cells], dtype=float)
    return pandas.DataFrame(numbers, index=index, columns=HEADER.split(",")[1:])


def as_yfinance_has_it(prices: Prices) -> pandas.DataFrame:
    """Prices adjusted for their splits, which stand beside them, and days in New York's time."""
    factor, ratio = prices.split_factor(), np.zeros(prices.session.size)
    for split in prices.splits:
        ratio[prices.session == split.session] = split.ratio
    columns = {name.title(): getattr(prices, name) / factor for name in ("open", "high", "low")}
    columns |= {"Close": prices.close / factor, "Volume": prices.volume * factor}
    index = pandas.DatetimeIndex(prices.session, name="Date").tz_localize(NEW_YORK)
    return pandas.DataFrame(columns | {"Dividends": 0.0, "Stock Splits": ratio}, index=index)
