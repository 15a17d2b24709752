"""CSV files that are refused, each by one line that says where and why."""

import gzip
import os
from pathlib import Path

import pytest
from csv_files import HEADER, ROWS, refused, with_cell, write

from belief.errors import PricesError
from belief.sources import load_prices


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nan",
        "NaN",
        "null",
        "N/A",
        "-",
        "1_000",
        "1,00",
        "12a",
        "inf",
        "0x10",
        "1.2.3",
        "$",
        "e5",
        "٣",
    ],
)
@pytest.mark.parametrize("column", ["Open", "High", "Low", "Close", "Volume"])
def test_a_cell_that_is_no_number_is_refused_by_line_column_and_value(tmp_path, column, text):
    text = "none" if column == "Volume" and not text else text  # an empty volume is 0
    quoted = f'"{text}"' if "," in text else text
    lines = with_cell(2, column, "CELL")
    path = write(tmp_path, [line.replace("CELL", quoted) for line in lines])
    shown = repr(text) if text else "empty"
    assert refused(path) == f"prices.csv line 4: {column} is {shown}, not a number"


@pytest.mark.parametrize("text", ["", "2024-02-30", "yesterday", "13/13/2024", "2024-03-06 noon"])
def test_a_date_that_is_none_is_refused_by_line_and_value(tmp_path, text):
    shown = repr(text) if text else "empty"
    message = refused(write(tmp_path, with_cell(2, "Date", text)))
    assert message == f"prices.csv line 4: Date is {shown}, not a date such as 2024-03-28"


def test_the_line_named_is_the_line_of_the_file_whatever_is_blank_before_it(tmp_path):
    lines = with_cell(2, "Close", "oops")
    assert "line 6: Close is 'oops'" in refused(write(tmp_path, [lines[0], "", "", *lines[1:]]))


def test_a_price_out_of_range_is_refused_by_session_column_and_value(tmp_path):
    message = refused(write(tmp_path, with_cell(2, "Close", "-887")))
    assert message == "prices.csv: XYZ 2024-03-06: close -887 must be from 0.000001 to 10,000,000"
    assert "close 1000000000 must be from" in refused(write(tmp_path, with_cell(2, "Close", "1e9")))
    assert "close 1000 must lie" in refused(write(tmp_path, with_cell(2, "Close", "1e3")))
    assert "close 1e-07 must be" in refused(write(tmp_path, with_cell(2, "Close", "1e-7")))
    assert "inf must be from" in refused(write(tmp_path, with_cell(2, "Close", "1e999")))


def test_a_cut_off_last_line_is_refused(tmp_path):
    path = write(tmp_path, [HEADER, *ROWS[:4], ROWS[4][:25]])
    assert refused(path).startswith("prices.csv line 6 has 4 cells instead of 7: '2024-03-08,951")


def test_a_line_with_too_many_cells_is_refused(tmp_path):
    path = write(tmp_path, [HEADER, ROWS[0], "2024-03-05,1,852.7,860.97,834.17,859.64,859.6,5206"])
    assert "line 3 has 8 cells instead of 7" in refused(path)


def test_an_unclosed_quote_is_refused(tmp_path):
    path = write(tmp_path, [HEADER, ROWS[0], '"' + ROWS[1], *ROWS[2:]])
    assert "is not CSV" in refused(path)


def test_disorder_is_refused_at_its_first_row(tmp_path):
    order = [ROWS[k] for k in (0, 1, 3, 2, 4)]
    assert refused(write(tmp_path, [HEADER, *order])) == (
        "prices.csv line 5: date 2024-03-06 follows 2024-03-07; dates must ascend without repeats"
    )
    assert refused(write(tmp_path, [HEADER, *reversed(order)])) == (
        "prices.csv line 4: date 2024-03-07 follows 2024-03-06; dates must descend without repeats"
    )


def test_a_repeated_date_is_refused(tmp_path):
    message = refused(write(tmp_path, [HEADER, *ROWS[:3], ROWS[2], *ROWS[3:]]))
    assert "line 5: date 2024-03-06 follows 2024-03-06" in message


def test_weekend_rows_are_refused(tmp_path):
    lines = [HEADER, *ROWS, ROWS[4].replace("03-08", "03-09")]
    assert "2024-03-09 is not a session" in refused(write(tmp_path, lines))


def test_missing_columns_are_named(tmp_path):
    message = refused(write(tmp_path, ["Date,Open,Hi,Lo,Close", "2024-03-08,1,2,3,4"]))
    assert message.startswith("prices.csv has no column High, Low; it needs Date, Open, High")


def test_a_column_given_twice_is_refused(tmp_path):
    lines = [HEADER.replace("Adj Close", "CLOSE"), *ROWS]
    assert "has 2 columns Close" in refused(write(tmp_path, lines))


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    assert "is empty" in refused(path)


def test_a_header_without_rows_is_refused(tmp_path):
    assert "no rows" in refused(write(tmp_path, [HEADER]))


def test_a_single_row_is_refused(tmp_path):
    assert "1 sessions; at least 2" in refused(write(tmp_path, [HEADER, ROWS[0]]))


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 40,
        gzip.compress(b"Date,Open,High,Low,Close\n"),
        "\n".join([HEADER, *ROWS]).encode("utf-16"),
        b"\x00" * 1000,
        b"a" * 200_000,
        b'"' + b"a\n" * 200_000,
    ],
    ids=["bytes", "gzip", "utf-16", "zeros", "one long cell", "one long quote"],
)
def test_a_file_that_is_no_csv_is_refused(tmp_path, content):
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    assert len(refused(path)) < 200


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "cannot be read: No such file" in refused(tmp_path / "none.csv")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    inside_a_file = write(tmp_path, [HEADER, *ROWS]) / "prices.csv"
    assert "cannot be read: Not a directory" in refused(inside_a_file)


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_than_the_comma_is_named(tmp_path, mark, name):
    lines = [line.replace(",", mark) for line in [HEADER, *ROWS]]
    assert refused(write(tmp_path, lines)) == (
        "prices.csv has no column Date, Open, High, Low, Close; it needs Date, Open, High, Low, "
        f"Close, separated by commas: the header has {name}; use commas"
    )
    assert "commas" not in refused(write(tmp_path, ["Date,Open,Note; of mine", "2024-03-08,1,2"]))


def test_a_pipe_or_a_device_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "prices.csv")
    assert "is a pipe or a device, not a regular file" in refused(tmp_path / "prices.csv")
    with pytest.raises(PricesError, match=r"^/dev/zero is a pipe"):
        load_prices("XYZ", csv=Path("/dev/zero"))


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(PricesError, match=r"^'a\\x00b.csv' cannot be read: embedded null byte"):
        load_prices("XYZ", csv=Path("a\0b.csv"))
