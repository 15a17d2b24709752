"""Prices from pandas are those of the same rows in a CSV file, or one clear line says why not."""

import datetime
from decimal import Decimal

import numpy as np
import pandas
import pytest
from csv_files import HEADER, ROWS, write
from framed import NEW_YORK, as_yfinance_has_it, frame

from belief import fit, load_prices, prices_from
from belief.errors import PricesError, UsageError
from belief.observations import observe


def of_csv(folder):
    return load_prices("XYZ", csv=write(folder, [HEADER, *ROWS]))


def of_several(*symbols, by="Price"):
    """What `yfinance.download` hands over, with columns by price or by ticker first."""
    order = [1, 0] if by == "Price" else [0, 1]
    wide = pandas.concat({symbol: frame() for symbol in symbols}, axis=1)
    return wide.reorder_levels(order, axis=1).sort_index(axis=1)


SAME = {
    "as read from a CSV": frame(),
    "in New York's time": frame(NEW_YORK),
    "in New York's time, seen from UTC": frame(NEW_YORK).tz_convert("UTC"),
    "in New York's time, seen from Los Angeles": frame(NEW_YORK).tz_convert("US/Pacific"),
    "in New York's time, seen from Tokyo": frame(NEW_YORK).tz_convert("Asia/Tokyo"),
    "midnights of UTC": frame("UTC"),
    "with the time of the close": frame().shift(16, freq="h"),
    "with the time of the close in UTC": frame("UTC").shift(21, freq="h"),
    "newest first": frame().iloc[::-1],
    "columns in another order and case": frame()[frame().columns[::-1]].rename(columns=str.upper),
    "with underscores": frame().rename(columns={"Adj Close": "Adj_Close"}),
    "other columns": frame().assign(Dividends=np.nan, Note="none"),
    "as objects": frame().astype(object),
    "nullable": frame().convert_dtypes(),
    "seconds as the unit of time": frame().set_axis(frame().index.as_unit("s")),
    "yfinance.download of one": of_several("XYZ"),
    "yfinance.download of two": of_several("ABC", "XYZ"),
    "yfinance.download of two by ticker": of_several("xyz", "ABC", by="Ticker"),
}


@pytest.mark.parametrize("given", SAME.values(), ids=SAME.keys())
def test_a_frame_gives_the_prices_of_the_same_rows_in_a_csv(tmp_path, given):
    before = given.copy()
    prices = prices_from(given, symbol="xyz")
    assert prices.fingerprint() == of_csv(tmp_path).fingerprint()
    assert (prices.symbol, prices.name, prices.currency) == ("XYZ", "XYZ", "USD")
    assert (prices.source, prices.splits_known) == ("pandas DataFrame", False)
    pandas.testing.assert_frame_equal(given, before)


def test_the_whole_history_is_the_same_from_a_frame_a_csv_and_the_snapshot(tmp_path):
    snapshot = load_prices("NVDA")
    given = as_yfinance_has_it(snapshot)
    given.to_csv(tmp_path / "NVDA.csv")
    from_csv = load_prices("NVDA", csv=tmp_path / "NVDA.csv")
    # winter and summer have other offsets, so pandas leaves the days of this file as text
    again = pandas.read_csv(tmp_path / "NVDA.csv", index_col="Date")
    again.index = pandas.to_datetime(again.index, utc=True)
    assert prices_from(again, symbol="NVDA").fingerprint() == from_csv.fingerprint()
    prices = prices_from(given, symbol="Nvidia")
    assert prices.fingerprint() == from_csv.fingerprint() == snapshot.fingerprint()
    assert (prices.symbol, prices.name, prices.splits_known) == ("NVDA", "Nvidia", True)
    day = "2000-03-31"
    fits = [fit(each.until(day), model="garch_t") for each in (prices, from_csv, snapshot)]
    assert len({each.digest() for each in fits}) == 1


def test_a_frame_of_what_was_known_on_a_day_gives_what_was_known_on_that_day():
    whole = load_prices("NVDA")
    known = prices_from(as_yfinance_has_it(whole.until("2024-03-28")), symbol="NVDA")
    later = prices_from(as_yfinance_has_it(whole), symbol="NVDA")
    assert known.fingerprint() == later.until("2024-03-28").fingerprint()
    assert known.events.as_text() == whole.until("2024-03-28").events.as_text() != ""


def test_rows_that_only_other_symbols_have_are_left_out(tmp_path):
    given = of_several("ABC", "XYZ")
    young = given.copy()
    young.loc[young.index[:2], pandas.IndexSlice[:, "XYZ"]] = np.nan
    assert prices_from(young, symbol="XYZ").session.size == 3
    assert prices_from(young, symbol="ABC").fingerprint() == of_csv(tmp_path).fingerprint()


def test_without_volume_it_is_0_and_so_is_a_missing_one():
    assert not prices_from(frame().drop(columns="Volume"), symbol="XYZ").volume.any()
    holed = frame()
    holed.loc["2024-03-06", "Volume"] = np.nan
    assert prices_from(holed, symbol="XYZ").volume.tolist()[1:4] == [52063900.0, 0.0, 60811900.0]


def test_a_missing_split_is_none():
    given = frame().assign(**{"Stock Splits": [0.0, np.nan, 0.0, np.nan, 0.0]})
    prices = prices_from(given, symbol="XYZ")
    assert prices.splits == () and prices.splits_known


def with_split(ratio, *, adjusted):
    """A split at the fourth session, in prices adjusted for it or as traded."""
    given = frame().assign(**{"Stock Splits": [0.0, 0.0, 0.0, ratio, 0.0]})
    if not adjusted:
        given.loc[given.index[:3], ["Open", "High", "Low", "Close"]] *= ratio
    return given


def test_adjusted_prices_and_prices_as_traded_give_the_same_prices():
    both = [prices_from(with_split(4.0, adjusted=each), symbol="XYZ") for each in (True, False)]
    for prices in both:
        assert [(str(day), ratio) for day, ratio in prices.splits] == [("2024-03-07", 4.0)]
        assert prices.close.tolist() == [4 * 852.37, 4 * 859.64, 4 * 887.0, 926.69, 875.28]
    assert both[0].volume[0] == both[1].volume[0] / 4


def closes(first="2023-02-01", last="2024-03-01"):
    prices = load_prices("NVDA").until(last)
    kept = prices.session >= np.datetime64(first)
    return pandas.Series(prices.close[kept], index=pandas.DatetimeIndex(prices.session[kept]))


def test_a_series_of_closes_has_returns_and_no_ranges():
    given = closes()
    prices = prices_from(given, symbol="XYZ")
    seen = observe(prices)
    np.testing.assert_allclose(seen.log_return, np.diff(np.log(given)), atol=1e-12)
    assert not seen.log_range.any() and not seen.intraday.any()
    assert prices.source == "pandas Series without ranges"
    only_close = prices_from(given.to_frame("close"), symbol="XYZ")
    assert only_close.fingerprint() == prices.fingerprint()
    assert only_close.source == "pandas DataFrame without ranges"


def test_the_default_model_reads_closes_by_their_returns_alone():
    from belief import belief_of, forecast_on

    prices = prices_from(closes(), symbol="XYZ")
    fitted = fit(prices)
    last = belief_of(fitted).last_session
    assert last is not None and last.range_tail is None
    assert last.volatility_after == last.volatility_after_return
    low, high = forecast_on(fitted, prices, "2024-03-28").interval(0.9)
    assert 0.5 * prices.last_close < low < prices.last_close < high < 2.0 * prices.last_close


def test_a_fall_by_a_third_passes_in_closes_and_looks_like_a_split_beside_ranges():
    fallen = closes("2024-01-02", "2024-01-31")
    fallen.iloc[10:] *= 0.66
    assert prices_from(fallen, symbol="XYZ").close.tolist() == fallen.tolist()
    ranged = pandas.DataFrame({name: fallen for name in ("Open", "High", "Low", "Close")})
    ranged["High"] *= 1.01
    with pytest.raises(PricesError, match="looks like a 3:2 split that is not recorded"):
        prices_from(ranged, symbol="XYZ")


def test_a_fall_in_closes_that_looks_like_a_split_can_be_declared_real():
    given = closes("2024-01-02", "2024-01-31")
    given.iloc[10:] *= 0.5
    with pytest.raises(PricesError, match="looks like a 2:1 split that is not recorded"):
        prices_from(given, symbol="XYZ")
    declared = given.to_frame("Close").assign(**{"Stock Splits": np.arange(21) == 10})
    declared["Stock Splits"] = declared["Stock Splits"].astype(float)
    prices = prices_from(declared, symbol="XYZ")
    assert [split.ratio for split in prices.splits] == [1.0]
    assert prices.close.tolist() == given.tolist()


def with_value(column, value, row=2):
    given = frame().astype({column: object})
    given.iloc[row, given.columns.get_loc(column)] = value
    return given


def swapped(rows):
    return frame().iloc[rows]


REFUSED = {
    "no frame": (np.ones(3), "prices are a ndarray; give a pandas DataFrame, or a Series"),
    "a mapping": ({"Close": [1.0]}, "prices are a dict; give a pandas DataFrame"),
    "a string": (with_value("Close", "887"), "2024-03-06: Close is '887', not a number"),
    "text": (frame().astype(str), "2024-03-04: Open is '841.3', not a number"),
    "a list": (with_value("Close", [887.0]), "2024-03-06: Close is [887.0], not a number"),
    "a truth value": (with_value("Open", True), "2024-03-06: Open is True, not a number"),
    "truth values": (frame().assign(Volume=True), "2024-03-04: Volume is True, not a number"),
    "a complex number": (frame().astype({"Low": complex}), "2024-03-04: Low is (837.19+0j), not a"),
    "days": (frame().assign(Close=frame().index), "Close is Timestamp('2024-03-04"),
    "no price of the only symbol": (
        of_several("XYZ").drop(frame().index[2]).reindex(frame().index),
        "2024-03-06: Open is missing; leave such rows out",
    ),
    "no price": (with_value("High", np.nan), "2024-03-06: High is missing; leave such rows out"),
    "none": (with_value("Low", None), "2024-03-06: Low is missing; leave such rows out"),
    "NA": (with_value("Close", pandas.NA), "2024-03-06: Close is missing; leave such rows out"),
    "a negative price": (with_value("Close", -887.0), "2024-03-06: close -887 must be from"),
    "a price of 0": (with_value("Open", 0.0), "2024-03-06: open 0 must be from 0.000001 to"),
    "infinity": (with_value("High", np.inf), "2024-03-06: high inf must be from 0.000001 to"),
    "a high below the close": (with_value("High", 880.5), "close 887 must lie between low"),
    "a negative volume": (with_value("Volume", -1.0), "volume -1 must be finite and not negative"),
    "an infinite volume": (with_value("Volume", np.inf), "volume inf must be finite"),
    "rows in disorder": (
        swapped([0, 1, 3, 2, 4]),
        "pandas DataFrame row 4: date 2024-03-06 follows 2024-03-07; dates must ascend without",
    ),
    "descending rows in disorder": (
        swapped([4, 2, 3, 1, 0]),
        "row 3: date 2024-03-07 follows 2024-03-06; dates must descend without repeats",
    ),
    "a row twice": (
        swapped([0, 1, 2, 2, 3, 4]),
        "row 4: date 2024-03-06 follows 2024-03-06; dates must ascend without repeats",
    ),
    "two bars in a day": (
        frame().set_axis(pandas.date_range("2024-03-04 10:00", periods=5, freq="h")),
        "row 2: date 2024-03-04 follows 2024-03-04",
    ),
    "no rows": (frame().iloc[:0], "pandas DataFrame has no rows"),
    "one row": (frame().iloc[:1], "pandas DataFrame: XYZ: 1 sessions; at least 2 are needed"),
    "no close": (frame().drop(columns="Close"), "has no column Close; it needs Open, High, Low"),
    "no high and no low": (frame()[["Open", "Close"]], "has no column High, Low; it needs Open,"),
    "other names": (frame()[["Volume"]], "has no column Close; it needs Open, High, Low, Close"),
    "a column twice": (pandas.concat([frame(), frame()], axis=1), "has 2 columns Open"),
    "a number as index": (
        frame().reset_index(),
        "has an index of int64, not of dates; give it pandas.to_datetime(",
    ),
    "days as text": (
        frame().set_axis(["2024-03-04"] * 5),
        ", not of dates; give it pandas.to_datetime(",
    ),
    "plain dates": (frame().set_axis(frame().index.date), "has an index of object, not of dates"),
    "periods": (frame().to_period("D"), "has an index of period[D], not of dates"),
    "a row without a date": (
        frame().set_axis(frame().index.where(frame().index.day != 6)),
        "row 3 has no date",
    ),
    "a holiday": (frame().shift(3, freq="D"), "2024-03-09 is not a session: the exchange was"),
    "missing sessions": (swapped([0, 4]), "3 of the 5 sessions from 2024-03-04 to 2024-03-08"),
    "another symbol": (of_several("ABC", "DEF"), "the columns are of ABC, DEF; XYZ must be one"),
    "another symbol alone": (of_several("ABC"), "the columns are of ABC; XYZ must be one of them"),
    "two levels without prices": (
        of_several("XYZ").rename(columns={"Close": "Last"}, level=0),
        "has no column Close in either level of its columns",
    ),
    "three levels": (pandas.concat({"x": of_several("XYZ")}, axis=1), "the columns have 3 levels"),
    "an absurd split": (
        frame().assign(**{"Stock Splits": [0, 0, 500.0, 0, 0]}),
        "2024-03-06: Stock Splits is 500, not from 1/200 to 200",
    ),
    "a negative split": (
        frame().assign(**{"Stock Splits": [0, 0, 0, -2.0, 0]}),
        "2024-03-07: Stock Splits is -2, not from 1/200 to 200",
    ),
    "a split that is not listed": (
        frame().div([1.0, 1.0, 1.0, 4.0, 4.0], axis=0),
        "looks like a 4:1 split that is not recorded",
    ),
    "a series of text": (frame()["Close"].astype(str), "Close is '852.37', not a number"),
    "an empty series": (frame()["Close"].iloc[:0], "pandas Series has no rows"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_defect_of_the_table_is_one_line_that_names_it(given, words):
    with pytest.raises(PricesError) as caught:
        prices_from(given, symbol="XYZ")
    message = str(caught.value)
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("symbol", ["", "NV DA", "X" * 21, "наука"])
def test_what_is_no_symbol_is_refused(symbol):
    with pytest.raises(UsageError, match="is not a symbol: 1 to 20 of"):
        prices_from(frame(), symbol=symbol)


def test_decimals_are_numbers(tmp_path):
    given = frame().map(lambda value: Decimal(str(value)))
    assert prices_from(given, symbol="XYZ").fingerprint() == of_csv(tmp_path).fingerprint()


@pytest.mark.parametrize(
    "day",
    [
        "2024-03-06",
        datetime.date(2024, 3, 6),
        datetime.datetime(2024, 3, 6, 16),
        pandas.Timestamp("2024-03-06", tz=NEW_YORK),
        np.datetime64("2024-03-06T16:00"),
    ],
    ids=lambda day: type(day).__name__,
)
def test_prices_are_cut_at_a_day_however_it_is_written(day):
    assert str(prices_from(frame(), symbol="XYZ").until(day).as_of) == "2024-03-06"


@pytest.mark.parametrize("day", [20240306, None, "6 March 2024", pandas.NaT])
def test_what_is_no_day_is_refused(day):
    with pytest.raises(UsageError):
        prices_from(frame(), symbol="XYZ").until(day)
