import numpy as np
import pytest
from fetched import (
    FULL,
    KNOWN,
    NAN,
    NEW,
    NVDA,
    OVERLAP,
    SPLIT_DAY,
    assert_same,
    assert_unchanged_by_the_same_bars,
    day,
    edited,
    put,
    scaled,
    taken,
    told,
    update,
    yahoo,
)
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from belief.audit import audit
from belief.audit_rows import MOST_SPLITS, number
from belief.audit_series import SPIKE, SPIKE_IN_RANGES, TYPICAL
from belief.errors import PricesError
from belief.prices import COLUMNS, Split
from belief.sources import bars_from_csv, read_csv

# How to spoil one row, the rule that is to find it, with which outcome.
SPOILT = {
    "no close": (lambda row: put(row, close=np.nan), "not a number", "refused"),
    "no open": (lambda row: put(row, open=np.nan), "not a number", "refused"),
    "an infinite high": (lambda row: put(row, high=np.inf), "out of bounds", "refused"),
    "a close of 0": (lambda row: put(row, close=0.0), "non-positive", "refused"),
    "a negative close": (lambda row: put(row, close=-5.0), "non-positive", "refused"),
    "a negative volume": (lambda row: put(row, volume=-1.0), "non-positive", "refused"),
    "an open far above": (lambda row: scaled(row, 1.2, "open"), "outside range", "refused"),
    "a close far below": (lambda row: scaled(row, 0.7, "close"), "outside range", "refused"),
    "a low above the high": (lambda row: scaled(row, 1.5, "low"), "high below low", "refused"),
    "a row 100 times too high": (lambda row: scaled(row, 100), "outlier", "refused"),
    "a row in cents": (lambda row: scaled(row, 0.01), "outlier", "refused"),
    "a row half as high": (lambda row: scaled(row, 0.5), "outlier", "refused"),
    "a row 40 % higher": (lambda row: scaled(row, 1.4), "outlier", "refused"),
    "a close and high 40 % higher": (
        lambda row: scaled(row, 1.4, "close", "high"),
        "outlier",
        "refused",
    ),
    "a high far off": (lambda row: scaled(row, 1.8, "high"), "outlier", "noted"),
    "a low far off": (lambda row: scaled(row, 0.5, "low"), "outlier", "noted"),
    "no volume": (lambda row: put(row, volume=np.nan), "not a number", "repaired"),
}


@pytest.mark.parametrize("kind", SPOILT)
@settings(max_examples=8, deadline=None)
@given(end=st.integers(300, 6500), new=st.integers(3, 12), where=st.floats(0, 1))
def test_a_spoilt_new_row_is_found_at_its_session_and_nothing_else(kind, end, new, where):
    clean = NVDA.until(NVDA.session[end - 1])
    known = NVDA.until(NVDA.session[end - 1 - new])
    row = -2 - int(where * (new - 2))  # a new row that is not the last
    bars = yahoo(clean, rows=OVERLAP + new)
    assume(not bars.splits and not audit(bars, known).findings)
    assume(abs(bars.close[row + 1] / bars.close[row - 1] - 1) < 0.06)
    assume(abs(bars.open[row + 1] / bars.close[row] - 1) < 0.06)
    # in wilder times a close may well be 40 % off
    assume(SPIKE_IN_RANGES * np.median(np.log(known.high / known.low)[-TYPICAL:]) < SPIKE)
    spoil, rule, outcome = SPOILT[kind]
    audited = audit(edited(bars, spoil(row)), known)
    assert told(audited) == [(str(bars.session[row]), rule, outcome)]
    assert audited.refused == (outcome == "refused")
    assert len(audited.reasons) == audited.refused


def test_an_empty_row_is_left_out_and_the_hole_it_leaves_is_refused():
    friday = edited(update(), taken(slice(0, OVERLAP + 2)))
    audited = audit(edited(friday, put(-2, **NAN)), KNOWN)
    assert told(audited) == [
        ("2024-06-06", "not a number", "repaired"),
        ("2024-06-10", "split", "noted"),
        ("2024-06-06", "gap", "refused"),
    ]
    audited = audit(edited(update(), put(-2, **NAN)), KNOWN)
    assert told(audited) == [
        ("2024-06-10", "not a number", "repaired"),
        ("2024-06-10", "split", "refused"),
    ]


def test_more_splits_than_any_stock_has_had_are_one_finding():
    many = tuple(Split(session, 1.01) for session in NVDA.session[1:])
    for known in (None, KNOWN):
        audited = audit(yahoo(NVDA, splits=many), known)
        assert audited.reasons == (f"split: {len(many)} splits; up to {MOST_SPLITS} are valid",)
    few = tuple(Split(session, 1.0) for session in NVDA.session[1 : MOST_SPLITS + 1])
    assert "splits; up to" not in str(audit(yahoo(NVDA, splits=few), None).reasons)


def test_an_empty_last_row_is_left_out():
    bars = edited(update(), put(-1, **NAN, volume=0.0))
    audited = audit(bars, KNOWN)
    assert told(audited) == [("2024-06-11", "not a number", "repaired")]
    assert_same(audited.prices, NVDA.until(day("2024-06-10")))
    assert_same(audit(update(), audited.prices).prices, FULL)


def test_an_empty_row_of_a_kept_session_leaves_the_kept_row():
    audited = audit(edited(update(), put(3, **NAN)), KNOWN)
    assert [f.outcome for f in audited.findings] == ["noted"]
    assert_same(audited.prices, FULL)


def with_row(at, session, **values):
    def edit(rows):
        rows = {name: np.insert(column, at, column[at]) for name, column in rows.items()}
        rows["session"][at] = session
        for name, value in values.items():
            rows[name][at] = value
        return rows

    return edit


def test_a_row_of_a_holiday_is_left_out_when_empty_and_refused_with_prices():
    easter = NVDA.until(day("2024-04-02"))
    known, bars = NVDA.until(day("2024-03-27")), yahoo(easter, rows=10)
    at = int(np.searchsorted(bars.session, day("2024-03-29")))
    audited = audit(edited(bars, with_row(at, day("2024-03-29"), **NAN)), known)
    assert told(audited) == [("2024-03-29", "not a session", "repaired")]
    assert_same(audited.prices, easter)
    audited = audit(edited(bars, with_row(at, day("2024-03-29"))), known)
    assert told(audited) == [("2024-03-29", "not a session", "refused")]


@pytest.mark.parametrize("text", ["NaT", "1962-01-02", "2100-01-04"])
def test_a_row_outside_the_calendar_is_refused(text):
    audited = audit(edited(update(), put(0, session=np.datetime64(text, "D"))), KNOWN)
    assert told(audited) == [("None", "not a session", "refused")]
    assert text in audited.reasons[0]


def test_a_row_that_stands_twice_is_dropped_and_two_that_differ_are_refused():
    twice = with_row(-1, FULL.as_of)
    audited = audit(edited(update(), twice), KNOWN)
    assert told(audited) == [("2024-06-11", "duplicate", "repaired")]
    assert_same(audited.prices, FULL)
    differ = with_row(-1, FULL.as_of, close=121.5)
    audited = audit(edited(update(), differ), KNOWN)
    assert told(audited) == [("2024-06-11", "duplicate", "refused")]
    assert audited.findings[0].value == "close 120.91 and close 121.50"


def test_rows_out_of_order_are_sorted_and_descending_ones_are_in_order():
    order = np.arange(OVERLAP + NEW)
    order[[-2, -1]] = order[[-1, -2]]
    audited = audit(edited(update(), taken(order)), KNOWN)
    assert told(audited) == [("2024-06-10", "out of order", "repaired")]
    assert_same(audited.prices, FULL)
    audited = audit(edited(update(), taken(slice(None, None, -1))), KNOWN)
    assert told(audited) == []
    assert_same(audited.prices, FULL)


def test_a_zero_open_makes_a_session_without_range():
    audited = audit(edited(update(), put(-1, open=0.0)), KNOWN)
    assert told(audited) == [("2024-06-11", "non-positive", "repaired")]
    assert "all prices are 120.91" in audited.findings[0].action
    last = [getattr(audited.prices, name)[-1] for name in COLUMNS[:-1]]
    assert last == [120.91] * 4


def test_high_and_low_are_swapped_when_that_makes_sense_of_the_row():
    def swap(rows):
        rows["high"][-1], rows["low"][-1] = rows["low"][-1], rows["high"][-1]

    audited = audit(edited(update(), swap), KNOWN)
    assert told(audited) == [("2024-06-11", "high below low", "repaired")]
    assert audited.findings[0].value == f"high {number(FULL.low[-1])} < low {number(FULL.high[-1])}"
    assert_same(audited.prices, FULL)


@pytest.mark.parametrize(("beyond", "outcome"), [(1.004, "repaired"), (1.006, "refused")])
def test_a_close_outside_the_range_by_rounding_widens_it(beyond, outcome):
    edit = put(-1, close=FULL.high[-1] * beyond)
    audited = audit(edited(update(), edit), KNOWN)
    assert told(audited) == [("2024-06-11", "outside range", outcome)]
    if outcome == "repaired":
        assert audited.prices.high[-1] == audited.prices.last_close == FULL.high[-1] * beyond


@pytest.mark.parametrize("ratio", [0.0, np.nan, 300.0, -2.0])
def test_a_split_that_is_none_is_refused(ratio):
    audited = audit(update(splits=(Split(SPLIT_DAY, ratio),)), KNOWN)
    assert told(audited) == [("2024-06-10", "split", "refused")]


def test_a_split_on_a_day_without_a_row_or_twice_is_refused():
    audited = audit(update(splits=(Split(day("2024-06-08"), 10.0),)), KNOWN)
    assert told(audited) == [("2024-06-08", "split", "refused")]
    twice = (Split(SPLIT_DAY, 10.0), Split(SPLIT_DAY, 5.0))
    assert {rule for _, rule, _ in told(audit(update(splits=twice), KNOWN))} == {"split"}


def test_splits_that_contradict_the_prices_are_refused():
    """One split shows prices as traded, the other prices adjusted for it."""
    splits = (Split(FULL.session[-8], 4.0), Split(SPLIT_DAY, 10.0))
    late = {name: getattr(FULL, name)[-OVERLAP - NEW :] for name in COLUMNS}
    audited = audit(update(splits=splits, **late), KNOWN)
    assert told(audited) == [("None", "basis", "refused")]
    assert "Yahoo Finance contradict" in audited.findings[0].value


def test_what_was_mended_is_told_once():
    bars = edited(update(), put(-2, close=FULL.high[-2] * 1.002))
    audited = audit(bars, KNOWN)
    assert told(audited) == [("2024-06-10", "outside range", "repaired")]
    assert told(audit(bars, audited.prices)) == []
    assert_unchanged_by_the_same_bars(bars, audited)


def test_no_rows_at_all_and_rows_without_any_price_are_refused():
    none = edited(update(), taken(slice(0, 0)))
    empty = edited(update(), lambda rows: rows | {n: rows[n] * np.nan for n in COLUMNS[:-1]})
    for bars in (none, empty):
        for known in (None, KNOWN):
            assert told(audit(bars, known))[-1] == ("None", "no rows", "refused")
    one = edited(update(splits=()), taken(slice(0, 1)))
    assert told(audit(one, None)) == [("None", "prices", "refused")]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_audit_never_raises(data):
    known = data.draw(st.sampled_from([None, KNOWN]))
    rows = np.array(data.draw(st.lists(st.integers(0, OVERLAP + NEW - 1), max_size=24)), dtype=int)
    odd = [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e-9, 1e12, 1.0, 120.0]

    def edit(columns):
        columns = {name: values[rows] for name, values in columns.items()}
        for _ in range(data.draw(st.integers(0, 6)) if rows.size else 0):
            name = data.draw(st.sampled_from(COLUMNS))
            columns[name][data.draw(st.integers(0, rows.size - 1))] = data.draw(
                st.sampled_from(odd)
            )
        return columns

    days = st.dates(day("2024-05-01").item(), day("2024-07-01").item())
    ratios = st.sampled_from([0.0, 1.0, 1.05, 2.0, 10.0, np.nan, -3.0])
    splits = data.draw(
        st.lists(st.builds(Split, days.map(lambda d: np.datetime64(d, "D")), ratios), max_size=3)
    )
    bars = edited(update(splits=tuple(splits)), edit)
    audited = audit(bars, known)
    assert audited.refused == bool(audited.reasons)
    assert all("\n" not in found.as_line() for found in audited.findings)
    assert [f.as_line() for f in audit(bars, known).findings] == [
        f.as_line() for f in audited.findings
    ]


CSV = ["Date,Open,High,Low,Close,Volume,Stock Splits"]


CSV += [f"2024-03-0{d},{100 + d},{102 + d},{98 + d},{101 + d},{1000 + d}," for d in range(4, 9)]


def written(folder, lines):
    path = folder / "prices.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_csv_that_can_be_read_is_audited_to_the_same_prices(tmp_path):
    path = written(tmp_path, CSV)
    audited = audit(bars_from_csv(path, symbol="xyz"), None)
    assert told(audited) == []
    assert_same(audited.prices, read_csv(path, symbol="XYZ"))
    assert audited.prices.source == "CSV file prices.csv"
    back = written(tmp_path, [CSV[0], *reversed(CSV[1:])])
    assert_same(audit(bars_from_csv(back, symbol="xyz"), None).prices, audited.prices)


def test_a_csv_with_rows_that_make_no_sense_is_read_as_it_stands(tmp_path):
    lines = [*CSV[:3], "2024-03-05,,nan,NULL,0,,", CSV[5], CSV[4]]
    bars = bars_from_csv(written(tmp_path, lines), symbol="XYZ")
    assert [str(d) for d in bars.session[1:]] == [
        "2024-03-05",
        "2024-03-05",
        "2024-03-08",
        "2024-03-07",
    ]
    assert np.isnan([bars.open[2], bars.high[2], bars.low[2]]).all()
    assert (bars.close[2], bars.volume[2]) == (0.0, 0.0)


@pytest.mark.parametrize("cell", ["oops", "12a", "-"])
def test_text_that_is_no_number_stays_an_error_of_the_csv(tmp_path, cell):
    lines = [*CSV[:3], f"2024-03-06,100,102,98,{cell},1000,", *CSV[4:]]
    with pytest.raises(PricesError, match="line 4: Close is"):
        bars_from_csv(written(tmp_path, lines), symbol="XYZ")
