"""CSV files of prices, whole and spoilt, and the one line a refused one gives."""

import numpy as np
import pytest

from belief.errors import PricesError
from belief.sources import load_prices

HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
ROWS = [
    "2024-03-04,841.3,876.95,837.19,852.37,852.3,61561600",
    "2024-03-05,852.7,860.97,834.17,859.64,859.6,52063900",
    "2024-03-06,880.22,897.24,870.35,887,886.9,58252000",
    "2024-03-07,901.58,927.67,896.02,926.69,926.6,60811900",
    "2024-03-08,951.38,974,865.06,875.28,875.2,114226900",
]


def day(text):
    return np.datetime64(text, "D")


def write(folder, lines, *, name="prices.csv", end="\n"):
    path = folder / name
    path.write_text(end.join(lines) + end, encoding="utf-8", newline="")
    return path


def with_cell(row, column, text):
    cells = ROWS[row].split(",")
    cells[HEADER.split(",").index(column)] = text
    return [HEADER, *ROWS[:row], ",".join(cells), *ROWS[row + 1 :]]


def with_dates(dates):
    return [HEADER, *(f"{d},{row.split(',', 1)[1]}" for d, row in zip(dates, ROWS, strict=True))]


def refused(path):
    """The one line a refused file gives."""
    with pytest.raises(PricesError) as caught:
        load_prices("XYZ", csv=path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message
