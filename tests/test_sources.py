import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from belief.data import import_snapshot
from belief.errors import PricesError, UnknownSymbol, UsageError
from belief.events import bundled_events
from belief.prices import COLUMNS, Split
from belief.sessions import sessions_between
from belief.sources import bundled_symbol, load_prices, read_csv, read_snapshot


def day(text):
    return np.datetime64(text, "D")


HEADER = "Date,Open,High,Low,Close,Adj Close,Volume"
ROWS = [
    "2024-03-04,841.3,876.95,837.19,852.37,852.3,61561600",
    "2024-03-05,852.7,860.97,834.17,859.64,859.6,52063900",
    "2024-03-06,880.22,897.24,870.35,887,886.9,58252000",
    "2024-03-07,901.58,927.67,896.02,926.69,926.6,60811900",
    "2024-03-08,951.38,974,865.06,875.28,875.2,114226900",
]


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


def adjusted_lines(prices, *, stamp="{} 00:00:00-05:00"):
    """The rows yfinance would give on the last session: adjusted for all splits, which it lists."""
    factor = prices.split_factor()
    ratios = dict(prices.splits)
    lines = ["Date,Open,High,Low,Close,Adj Close,Volume,Dividends,Stock Splits"]
    for row, session in enumerate(prices.session):
        four = [repr(float(getattr(prices, c)[row] / factor[row])) for c in COLUMNS[:-1]]
        cells = [
            stamp.format(session),
            *four,
            four[-1],
            repr(float(prices.volume[row] * factor[row])),
        ]
        lines.append(",".join([*map(str, cells), "0.0", str(ratios.get(session, 0.0))]))
    return lines


@pytest.mark.parametrize("text", ["NVDA", "nvda", "NVIDIA", "Nvidia", " nvidia "])
def test_the_bundled_snapshot_goes_by_its_symbol_and_its_name(text):
    assert bundled_symbol(text) == "NVDA"
    prices = load_prices(text)
    assert (prices.symbol, prices.name, prices.currency) == ("NVDA", "Nvidia", "USD")
    assert (prices.source, prices.splits_known) == ("bundled snapshot", True)


def test_the_bundled_snapshot_has_every_session_of_the_exchange():
    prices = load_prices("NVDA")
    assert prices.session.size == 6558
    assert np.array_equal(prices.session, sessions_between(day("1999-01-22"), day("2025-02-14")))
    assert [(str(s), ratio) for s, ratio in prices.splits] == [
        ("2000-06-27", 2.0),
        ("2001-09-17", 2.0),
        ("2006-04-07", 2.0),
        ("2007-09-11", 1.5),
        ("2021-07-20", 4.0),
        ("2024-06-10", 10.0),
    ]


def test_the_bundled_snapshot_carries_every_event_public_at_its_end_and_a_csv_those_of_its_time(
    tmp_path,
):
    events = load_prices("NVDA").events
    np.testing.assert_array_equal(events.session, bundled_events("NVDA").session)
    assert len(events) == 90
    assert np.count_nonzero(events.session <= day("2025-02-14")) == 89
    assert str(events.session[-1]) == "2025-02-27"
    own = load_prices("NVDA", csv=write(tmp_path, [HEADER, *ROWS]))
    np.testing.assert_array_equal(own.events.session, events.until(own.as_of).session)
    assert len(load_prices("XYZ", csv=write(tmp_path, [HEADER, *ROWS])).events) == 0


def test_bundled_prices_are_on_the_ticks_of_their_time_and_shares_are_whole():
    prices = load_prices("NVDA")
    early = prices.session < day("2001-04-09")
    for column in COLUMNS[:-1]:
        values = getattr(prices, column)
        np.testing.assert_array_equal(values[early] * 64, np.rint(values[early] * 64))
        np.testing.assert_array_equal(values[~early], np.round(values[~early], 2))
    np.testing.assert_array_equal(prices.volume, np.rint(prices.volume))


@pytest.mark.parametrize("text", ["XYZ", "AAPL", "NVD"])
def test_a_symbol_without_prices_is_refused_with_what_there_is(text):
    assert bundled_symbol(text) is None
    with pytest.raises(UnknownSymbol) as caught:
        load_prices(text)
    assert str(caught.value) == (
        f"no prices for {text!r}: the bundled snapshot has NVDA; give a CSV with --prices FILE"
    )


@pytest.fixture
def snapshot(tmp_path):
    for name in ("NVDA.csv.gz", "NVDA.json"):
        (tmp_path / name).write_bytes((files("belief.data") / name).read_bytes())
    return tmp_path


def test_a_snapshot_with_one_flipped_bit_is_refused(snapshot):
    assert read_snapshot(snapshot, symbol="NVDA").last_close == 138.85
    content = bytearray((snapshot / "NVDA.csv.gz").read_bytes())
    content[5_000] ^= 1
    (snapshot / "NVDA.csv.gz").write_bytes(bytes(content))
    with pytest.raises(PricesError, match=r"NVDA.csv.gz is damaged: its SHA-256 differs"):
        read_snapshot(snapshot, symbol="NVDA")


@pytest.mark.parametrize("provenance", [b"", b"{}", b"[]", b"\xff\xfe", b'{"file": "none.gz"}'])
def test_a_snapshot_without_its_provenance_is_refused(snapshot, provenance):
    (snapshot / "NVDA.json").write_bytes(provenance)
    with pytest.raises(PricesError, match="bundled snapshot of NVDA is damaged"):
        read_snapshot(snapshot, symbol="NVDA")


def test_a_snapshot_whose_splits_were_tampered_with_is_refused(snapshot):
    provenance = json.loads((snapshot / "NVDA.json").read_text())
    del provenance["splits"][3]
    (snapshot / "NVDA.json").write_text(json.dumps(provenance))
    with pytest.raises(PricesError, match=r"2007-09-11: .* looks like a 3:2 split"):
        read_snapshot(snapshot, symbol="NVDA")


def test_importing_the_doors_imports_no_pandas():
    code = "import sys, belief.sources; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def source_rows():
    """The source's rows again: adjusted for all splits and rounded as the source rounds."""
    prices = load_prices("NVDA")
    factor = prices.split_factor()
    four = [np.round(getattr(prices, column) / factor, 6) for column in COLUMNS[:-1]]
    return import_snapshot.SourceRows(prices.session, np.column_stack(four), prices.volume * factor)


def test_the_import_writes_the_bundled_rows_from_the_adjusted_ones(source_rows, tmp_path):
    provenance = import_snapshot.write_snapshot(source_rows, tmp_path)
    bundled = json.loads((files("belief.data") / "NVDA.json").read_bytes())
    assert provenance["content_sha256"] == bundled["content_sha256"]
    assert provenance["splits"] == bundled["splits"]
    written = (tmp_path / "NVDA.csv.gz").read_bytes()
    assert written[4:8] == bytes(4)  # no time of writing, so that the bytes can be reproduced
    assert gzip.decompress(written) == gzip.decompress(
        (files("belief.data") / "NVDA.csv.gz").read_bytes()
    )
    again = read_snapshot(tmp_path, symbol="NVDA")
    events = load_prices("NVDA").events
    assert replace(again, events=events).fingerprint() == load_prices("NVDA").fingerprint()


def test_the_source_file_is_read_by_column_name():
    rows = import_snapshot.read_source(
        "Date,Adj Close,Close,High,Low,Open,Volume\n2024-03-08,1,2,4,0.5,3,100\n"
    )
    assert rows.session.tolist() == [day("2024-03-08").item()]
    assert rows.prices.tolist() == [[3.0, 4.0, 0.5, 2.0]]
    assert rows.volume.tolist() == [100.0]


@pytest.mark.parametrize("moved_by", [-3, -2, 2, 3])
@pytest.mark.parametrize("which", range(6))
def test_a_split_moved_by_two_sessions_does_not_verify(source_rows, which, moved_by):
    split = import_snapshot.SPLITS[which]
    at = int(np.searchsorted(source_rows.session, split.session))
    moved = Split(source_rows.session[at + moved_by], split.ratio)
    splits = tuple(moved if s is split else s for s in import_snapshot.SPLITS)
    with pytest.raises(PricesError, match=str(moved.session)):
        import_snapshot.verify_split(source_rows, moved, splits)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("which", range(6))
def test_only_the_true_ratio_of_a_split_verifies(source_rows, which, ratio):
    split = import_snapshot.SPLITS[which]
    claimed = Split(split.session, ratio)
    splits = tuple(claimed if s is split else s for s in import_snapshot.SPLITS)
    if ratio == split.ratio:
        assert import_snapshot.verify_split(source_rows, claimed, splits)
        return
    with pytest.raises(PricesError, match="does not verify"):
        import_snapshot.verify_split(source_rows, claimed, splits)


def test_the_import_refuses_a_missing_session(source_rows):
    with pytest.raises(PricesError, match="6557 sessions instead of the exchange's 6558"):
        import_snapshot.check_sessions(np.delete(source_rows.session, 100))


def test_the_import_refuses_any_other_file(tmp_path, capsys):
    path = write(tmp_path, [HEADER, *ROWS])
    assert import_snapshot.main([str(path)]) == 1
    assert "not the pinned 2d6b30e2" in capsys.readouterr().err


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


def test_an_adjusted_csv_with_its_splits_gives_the_prices_as_traded(tmp_path):
    bundled = load_prices("NVDA")
    prices = load_prices("NVDA", csv=write(tmp_path, adjusted_lines(bundled)))
    assert prices.splits_known
    assert prices.splits == bundled.splits
    for column in COLUMNS:
        np.testing.assert_array_equal(getattr(prices, column), getattr(bundled, column))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_an_adjusted_csv_written_newest_first_gives_the_same_prices(tmp_path):
    header, *rows = adjusted_lines(load_prices("NVDA"))
    prices = load_prices("NVDA", csv=write(tmp_path, [header, *reversed(rows)]))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_an_adjusted_csv_in_single_precision_gives_the_prices_as_traded_to_a_millionth(tmp_path):
    bundled = load_prices("NVDA")
    lines = adjusted_lines(bundled)
    for number in range(1, len(lines)):
        cells = lines[number].split(",")
        cells[1:6] = [repr(float(np.float32(cell))) for cell in cells[1:6]]
        lines[number] = ",".join(cells)
    prices = load_prices("NVDA", csv=write(tmp_path, lines))
    np.testing.assert_allclose(prices.close, bundled.close, rtol=2e-7)
    np.testing.assert_array_equal(prices.volume, bundled.volume)


def test_a_csv_as_traded_with_its_splits_is_not_converted(tmp_path):
    bundled = load_prices("NVDA")
    ratios = dict(bundled.splits)
    lines = ["Date,Open,High,Low,Close,Volume,Stock Splits"]
    for row, session in enumerate(bundled.session):
        cells = [repr(float(getattr(bundled, column)[row])) for column in COLUMNS]
        lines.append(",".join([str(session), *cells, str(ratios.get(session, ""))]))
    prices = load_prices("NVDA", csv=write(tmp_path, lines))
    assert prices.fingerprint() == load_prices("NVDA").fingerprint()


def test_a_csv_as_traded_without_its_splits_is_refused(tmp_path):
    bundled = load_prices("NVDA")
    lines = ["Date,Open,High,Low,Close,Volume"]
    for row, session in enumerate(bundled.session):
        cells = [repr(float(getattr(bundled, column)[row])) for column in COLUMNS]
        lines.append(",".join([str(session), *cells]))
    message = refused(write(tmp_path, lines))
    assert "2006-04-07" in message
    assert "2:1 split that is not recorded" in message


def halved(rows):
    """Rows whose prices from the fourth on are half: a jump that looks like a split."""
    lines = [HEADER + ",Stock Splits"]
    for number, row in enumerate(rows):
        cells = row.split(",")
        if number >= 3:
            cells[1:6] = [repr(float(cell) / 2) for cell in cells[1:6]]
        lines.append(",".join([*cells, "0"]))
    return lines


def test_a_split_of_ratio_1_in_a_csv_declares_a_real_jump(tmp_path):
    lines = halved(ROWS)
    assert "2024-03-07" in refused(write(tmp_path, lines))
    lines[4] = lines[4][:-1] + "1"
    prices = load_prices("XYZ", csv=write(tmp_path, lines))
    assert prices.splits == (Split(day("2024-03-07"), 1.0),)
    assert prices.close[3] == 926.69 / 2


def test_a_column_of_splits_without_any_says_that_there_were_none(tmp_path):
    lines = [
        HEADER + ",Stock Splits",
        *(row + end for row, end in zip(ROWS, [",", ",0.0", ",nan", ",NaN", ",0"], strict=True)),
    ]
    prices = load_prices("XYZ", csv=write(tmp_path, lines))
    assert prices.splits_known
    assert prices.splits == ()


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


@pytest.mark.parametrize("text", ["-2", "abc", "inf", "2:1", "1e999", "201", "0.004"])
def test_a_split_that_is_no_ratio_is_refused(tmp_path, text):
    lines = [HEADER + ",Stock Splits", *(row + ",0" for row in ROWS)]
    lines[3] = lines[3][:-1] + text
    assert text.removeprefix("-") in refused(write(tmp_path, lines))


def quiet_lines(splits, *, adjusted, rows=40):
    """The rows that a source has after `rows` sessions of a quiet stock with splits {row: ratio}.

    At row 10 the stock falls by 4 %, so that a stock dividend of 5 % there is hard to see.
    """
    known = {row: ratio for row, ratio in splits.items() if row < rows}
    lines = ["Date,Open,High,Low,Close,Stock Splits"]
    for row, session in enumerate(sessions_between(day("2024-01-02"), day("2024-12-31"))[:rows]):
        price = 100.0 if row < 10 else 96.0
        for at, ratio in known.items():
            price /= ratio if adjusted or row >= at else 1.0
        lines.append(",".join([str(session), *[repr(price)] * 4, str(known.get(row, 0))]))
    return lines


@pytest.mark.parametrize(
    ("splits", "adjusted"),
    [
        ({10: 1.05, 30: 4.0}, True),
        ({10: 1.05, 30: 0.1}, True),
        ({10: 1.05}, True),
        ({5: 2.0, 10: 1.05, 30: 4.0}, True),
        ({5: 2.0, 10: 1.05, 30: 4.0}, False),
        ({5: 1.25, 10: 1.05, 30: 0.8}, False),
    ],
)
def test_no_later_row_changes_what_a_split_has_shown(tmp_path, splits, adjusted):
    whole = load_prices("XYZ", csv=write(tmp_path, quiet_lines(splits, adjusted=adjusted)))
    traded = [float(line.split(",")[4]) for line in quiet_lines(splits, adjusted=False)[1:]]
    np.testing.assert_allclose(whole.close, traded, rtol=1e-7)
    for rows in (11, 29, 31):
        path = write(tmp_path, quiet_lines(splits, adjusted=adjusted, rows=rows))
        part, cut = load_prices("XYZ", csv=path), whole.until(whole.session[rows - 1])
        np.testing.assert_allclose(part.close, cut.close, rtol=1e-7)
        assert part.splits == cut.splits


@pytest.mark.parametrize("adjusted", [True, False])
def test_a_file_with_only_small_splits_is_taken_as_adjusted(tmp_path, adjusted):
    path = write(tmp_path, quiet_lines({10: 1.05, 20: 1.2}, adjusted=adjusted))
    close = [float(line.split(",")[4]) for line in path.read_text().splitlines()[1:]]
    prices = load_prices("XYZ", csv=path)
    assert prices.close[0] == round(close[0] * 1.05 * 1.2, 6)
    assert prices.close[15] == round(close[15] * 1.2, 6)
    assert prices.close[-1] == round(close[-1], 6)


def test_splits_that_contradict_the_prices_are_refused_by_session(tmp_path):
    lines = quiet_lines({5: 2.0, 30: 4.0}, adjusted=False)
    lines[21] = lines[21][:-1] + "3"  # nothing jumps here
    assert refused(write(tmp_path, lines)) == (
        "the splits listed in prices.csv contradict its prices: "
        "at 2024-01-09 as traded through the ratio 2, at 2024-01-31 adjusted for the ratio 3; "
        "list every split, and give prices either all as traded or all adjusted"
    )


def test_a_split_at_the_first_row_shows_nothing_and_changes_nothing(tmp_path):
    prices = load_prices("XYZ", csv=write(tmp_path, quiet_lines({0: 4.0}, adjusted=True)))
    assert prices.close[0] == 25.0


@pytest.mark.parametrize("text", ["201", "0.0049", "1e300"])
def test_a_split_ratio_beyond_200_is_refused_by_line_and_value(tmp_path, text):
    lines = [HEADER + ",Stock Splits", *(row + ",0" for row in ROWS)]
    lines[3] = lines[3][:-1] + text
    assert refused(write(tmp_path, lines)) == (
        f"prices.csv line 4: Stock Splits is '{text}', not from 1/200 to 200"
    )


@pytest.mark.parametrize("row", range(5))
def test_an_empty_volume_is_0(tmp_path, row):
    volume = load_prices("XYZ", csv=write(tmp_path, with_cell(row, "Volume", ""))).volume
    assert volume[row] == 0.0
    assert np.count_nonzero(volume) == 4


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


def test_a_link_to_a_file_is_read(tmp_path):
    (tmp_path / "link.csv").symlink_to(write(tmp_path, [HEADER, *ROWS]))
    assert load_prices("XYZ", csv=tmp_path / "link.csv").last_close == 875.28


BAD_SYMBOLS = [
    "",
    " ",
    "A B",
    "A\x1b[31m",
    "A\nB",
    "A/B",
    "ßA",
    "\u0131",
    "x" * 21,
    "é" * 5000,
    "A\0",
]


@pytest.mark.parametrize("symbol", BAD_SYMBOLS)
@pytest.mark.parametrize("with_csv", [False, True])
def test_a_text_that_is_no_symbol_is_refused_at_both_doors(tmp_path, symbol, with_csv):
    path = write(tmp_path, [HEADER, *ROWS]) if with_csv else None
    with pytest.raises(UsageError) as caught:
        load_prices(symbol, csv=path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(ascii(symbol)[:20])
    assert "is not a symbol: 1 to 20 of A-Z 0-9 . - ^ = _ are valid" in message
    assert "--symbol" not in message
    assert len(message) < 150


@pytest.mark.parametrize("symbol", ["brk.b", "BF-B", "^GSPC", "EURUSD=X", "my_own", "x" * 20])
def test_the_symbols_that_sources_use_are_valid(tmp_path, symbol):
    prices = load_prices(symbol, csv=write(tmp_path, [HEADER, *ROWS]))
    assert prices.symbol == symbol.upper()


def test_a_file_name_that_is_no_symbol_asks_for_one(tmp_path):
    path = write(tmp_path, [HEADER, *ROWS], name="my prices (1).csv")
    with pytest.raises(
        UsageError, match=r"^'my prices \(1\)', from the file name, .*with --symbol$"
    ):
        load_prices(path.stem, csv=path)
    assert load_prices("XYZ", csv=path).source == "CSV file my prices (1).csv"


def test_control_characters_in_a_file_name_are_escaped(tmp_path):
    name = "a\x1b[31m\n.csv"
    path = write(tmp_path, [HEADER, *ROWS], name=name)
    assert load_prices("XYZ", csv=path).source == f"CSV file {name!a}"
    for lines in (
        [],
        [HEADER],
        ["Date,Open"],
        with_cell(2, "Close", "x"),
        with_cell(2, "Low", "0"),
    ):
        with pytest.raises(PricesError) as caught:
            load_prices("XYZ", csv=write(tmp_path, lines, name=name))
        assert str(caught.value).startswith("'a\\x1b[31m\\n.csv'")
    with pytest.raises(PricesError) as caught:
        load_prices("XYZ", csv=tmp_path / "\x1b.csv")
    assert str(caught.value).isprintable()
