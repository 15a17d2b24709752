"""The same prices are read from a CSV file however they are written."""

import numpy as np
import pytest
from csv_files import HEADER, ROWS, with_cell, with_dates, write

from belief.sources import load_prices, read_csv


def test_a_plain_csv_is_read_as_it_stands(tmp_path):
    prices = load_prices("xyz", csv=write(tmp_path, [HEADER, *ROWS]))
    assert (prices.symbol, prices.name, prices.source) == ("XYZ", "XYZ", "CSV file prices.csv")
    assert not prices.splits_known
    assert prices.splits == ()
    assert (str(prices.as_of), prices.last_close) == ("2024-03-08", 875.28)
    assert prices.volume[-1] == 114226900.0
    assert prices.open[0] == 841.3
    assert prices.high[0] == 876.95
    assert prices.low[0] == 837.19


def test_a_csv_of_a_bundled_symbol_keeps_its_name(tmp_path):
    prices = load_prices("nvidia", csv=write(tmp_path, [HEADER, *ROWS]))
    assert (prices.symbol, prices.name) == ("NVDA", "Nvidia")


def expected(tmp_path):
    return read_csv(write(tmp_path, [HEADER, *ROWS], name="expected.csv"), symbol="XYZ")


def reordered():
    shuffled = ["", "low", "VOLUME", " close ", "Note", "date", "High", "OPEN"]
    lines = [",".join(shuffled)]
    for number, row in enumerate(ROWS):
        cells = dict(zip(HEADER.lower().split(","), row.split(","), strict=True))
        cells |= {"": str(number), "note": "nan"}
        lines.append(",".join(cells[name.strip().lower()] for name in shuffled))
    return lines


SAME = {
    "newest first": [HEADER, *reversed(ROWS)],
    "a byte order mark": ["\ufeff" + HEADER, *ROWS],
    "columns in another order and case": reordered(),
    "blank lines": [HEADER, "", *ROWS[:2], "  ", *ROWS[2:], "", ",,,,,,"],
    "quoted cells": [HEADER, *(",".join(f'"{c}"' for c in row.split(",")) for row in ROWS)],
    "dollars and thousands": [
        HEADER,
        *ROWS[:4],
        '2024-03-08,$951.38,"$974.00",+865.06,8.7528e2,,"114,226,900"',
    ],
    "a time": with_dates([f"2024-03-0{d} 16:00:00" for d in range(4, 9)]),
    "a time and an offset": with_dates([f"2024-03-0{d} 00:00:00-05:00" for d in range(4, 9)]),
    "ISO with T and Z": with_dates([f"2024-03-0{d}T00:00:00Z" for d in range(4, 9)]),
    "month first": with_dates([f"3/{d}/2024" for d in range(4, 9)]),
    "month first with a time": with_dates([f"3/{d}/2024 16:00:00" for d in range(4, 9)]),
    "month first with PM": with_dates([f"03/0{d}/2024 4:00 PM" for d in range(4, 9)]),
    "the column Close/Last": [HEADER.replace("Close,Adj", "Close/Last,Adj"), *ROWS],
    "underscores": [HEADER.replace("Adj Close", "Adj_Close"), *ROWS],
}


@pytest.mark.parametrize("lines", SAME.values(), ids=SAME.keys())
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_same_prices_are_read_however_they_are_written(tmp_path, lines, end):
    prices = load_prices("XYZ", csv=write(tmp_path, lines, end=end))
    assert prices.fingerprint() == expected(tmp_path).fingerprint()


def test_a_last_line_without_a_line_end_is_read(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("\n".join([HEADER, *ROWS]))
    assert load_prices("XYZ", csv=path).fingerprint() == expected(tmp_path).fingerprint()


def test_dates_are_day_first_when_only_that_fits_the_whole_file(tmp_path):
    dates = ["11/03/2024", "12/03/2024", "13/03/2024", "14/03/2024", "15/03/2024"]
    prices = load_prices("XYZ", csv=write(tmp_path, with_dates(dates)))
    assert [str(prices.session[0]), str(prices.as_of)] == ["2024-03-11", "2024-03-15"]


def test_without_a_volume_column_the_volume_is_0(tmp_path):
    lines = [line.rsplit(",", 1)[0] for line in [HEADER, *ROWS]]
    assert load_prices("XYZ", csv=write(tmp_path, lines)).volume.tolist() == [0.0] * 5


@pytest.mark.parametrize("row", range(5))
def test_an_empty_volume_is_0(tmp_path, row):
    volume = load_prices("XYZ", csv=write(tmp_path, with_cell(row, "Volume", ""))).volume
    assert volume[row] == 0.0
    assert np.count_nonzero(volume) == 4


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "link.csv").symlink_to(write(tmp_path, [HEADER, *ROWS]))
    assert load_prices("XYZ", csv=tmp_path / "link.csv").last_close == 875.28
