"""The doors of prices: the bundled snapshot, symbols and names of files."""

import json
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from csv_files import HEADER, ROWS, day, with_cell, write

from belief.errors import PricesError, UnknownSymbol, UsageError
from belief.events import bundled_events
from belief.prices import COLUMNS
from belief.sessions import sessions_between
from belief.sources import bundled_symbol, load_prices, read_snapshot


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
