import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.errors import PricesError, UsageError
from belief.events import NO_EVENTS, Events
from belief.prices import COLUMNS, Prices, Split
from belief.sessions import sessions_between
from belief.sources import load_prices


def day(text):
    return np.datetime64(text, "D")


def walk(*, first="2023-01-03", last="2023-06-30", seed=0, level=100.0):
    """Columns of a quiet random walk whose moves never look like a split."""
    rng = np.random.default_rng(seed)
    session = sessions_between(day(first), day(last))
    close = level * np.exp(np.cumsum(rng.normal(0.0, 0.01, session.size)))
    opened = close * np.exp(rng.normal(0.0, 0.004, session.size))
    spread = np.exp(np.abs(rng.normal(0.0, 0.004, session.size)))
    return {
        "session": session,
        "open": opened,
        "high": np.maximum(opened, close) * spread,
        "low": np.minimum(opened, close) / spread,
        "close": close,
        "volume": rng.integers(1_000, 9_000, session.size).astype(float),
    }


def make(columns, splits=(), events=NO_EVENTS):
    return Prices(
        symbol="XYZ",
        name="Xyz",
        currency="USD",
        **columns,
        splits=tuple(splits),
        source="a test",
        splits_known=True,
        retrieved_at=None,
        events=events,
    )


def with_value(columns, column, row, value):
    changed = columns[column].copy()
    changed[row] = value
    return columns | {column: changed}


def with_split(columns, row, ratio):
    """The same walk with a split at `row`: later prices divided, later shares multiplied."""
    after = np.arange(columns["session"].size) >= row
    divided = {name: columns[name] / np.where(after, ratio, 1.0) for name in COLUMNS[:-1]}
    volume = columns["volume"] * np.where(after, ratio, 1.0)
    return columns | divided | {"volume": volume}


def everything(prices):
    """All that `until` may depend on, as bytes and plain values."""
    arrays = tuple(getattr(prices, name).tobytes() for name in ("session", *COLUMNS))
    splits = tuple((str(split.session), split.ratio) for split in prices.splits)
    derived = (prices.fingerprint(), prices.split_factor().tobytes())
    events = prices.events.as_text()
    return arrays, splits, derived, prices.last_close, str(prices.as_of), events


@pytest.fixture(scope="module")
def nvda():
    return load_prices("NVDA")


@pytest.mark.parametrize(
    ("as_of", "close"),
    [
        ("2024-02-29", 791.12),
        ("2024-03-01", 822.79),
        ("2024-03-08", 875.28),
        ("2024-03-28", 903.56),
        ("2024-06-07", 1208.88),
        ("2024-06-10", 121.79),
    ],
)
def test_the_last_close_is_what_people_saw_that_day(nvda, as_of, close):
    known = nvda.until(day(as_of))
    assert known.last_close == close
    assert known.as_of == day(as_of)
    assert known.quoted_close()[-1] == close


def test_quoted_closes_are_continuous_across_a_split(nvda):
    after = nvda.until(day("2024-06-10"))
    assert after.close[-2] == 1208.88
    np.testing.assert_allclose(after.quoted_close()[-2:], [120.888, 121.79], rtol=1e-12)


def test_what_came_after_a_day_is_in_its_dollars_through_later_splits(nvda):
    came = nvda.closes_after(day("2024-03-01"))
    assert (came.session[0], came.session[-1]) == (day("2024-03-04"), nvda.as_of)
    tape = dict(zip(nvda.session.tolist(), nvda.close.tolist(), strict=True))
    told = dict(zip(came.session.tolist(), came.close.tolist(), strict=True))
    for text, ratio in (("2024-03-04", 1.0), ("2024-06-07", 1.0), ("2024-06-10", 10.0)):
        assert told[day(text).item()] == pytest.approx(ratio * tape[day(text).item()], rel=1e-12)


def test_what_came_after_an_old_day_goes_through_all_its_splits(nvda):
    came = nvda.closes_after(day("2000-03-31"))
    assert came.close[-1] == pytest.approx(480.0 * nvda.last_close, rel=1e-12)


def test_without_splits_what_came_is_what_the_tape_said():
    prices = make(walk())
    came = prices.closes_after(prices.session[9])
    np.testing.assert_array_equal(came.close, prices.close[10:])
    np.testing.assert_array_equal(came.session, prices.session[10:])
    assert prices.closes_after(prices.as_of).close.size == 0


def test_what_came_after_a_day_that_is_no_session_is_refused(nvda):
    for text in ("2024-03-02", "2025-02-18", "1999-01-21"):
        with pytest.raises(ValueError, match=f"{text} is not a session of <Prices of NVDA"):
            nvda.closes_after(day(text))


def test_a_split_counts_only_from_its_own_session(nvda):
    before, at = nvda.until(day("2024-06-07")), nvda.until(day("2024-06-10"))
    assert before.splits == nvda.splits[:-1]
    assert at.splits == nvda.splits
    assert before.split_factor()[0] == 48.0
    assert at.split_factor()[0] == 480.0
    assert at.split_factor()[-1] == 1.0


def test_a_day_that_is_no_session_stands_for_the_session_before_it(nvda):
    assert nvda.until(day("2024-03-31")).as_of == day("2024-03-28")
    assert (
        nvda.until(day("2024-03-29")).fingerprint() == nvda.until(day("2024-03-28")).fingerprint()
    )


@pytest.mark.parametrize("as_of", ["2025-02-14", "2025-02-15", "2025-02-16", "2025-02-17"])
def test_the_days_to_the_next_session_still_belong_to_the_last_one(nvda, as_of):
    assert nvda.until(day(as_of)) is nvda


@pytest.mark.parametrize("as_of", ["2025-02-18", "2026-01-01", "2500-01-01"])
def test_an_as_of_after_the_last_session_is_refused_with_the_valid_range(nvda, as_of):
    with pytest.raises(UsageError) as caught:
        nvda.until(day(as_of))
    assert f"as-of {as_of} is after the last session 2025-02-14 of NVDA" in str(caught.value)


@pytest.mark.parametrize(
    ("as_of", "why"),
    [
        ("1998-01-05", "is before the first session 1999-01-22 of NVDA"),
        ("1066-10-14", "is before the first session 1999-01-22 of NVDA"),
        ("NaT", "is before the first session"),
        ("1999-01-22", "leaves 1 session of NVDA"),
    ],
)
def test_an_as_of_before_two_sessions_is_refused_with_the_valid_range(nvda, as_of, why):
    with pytest.raises(UsageError) as caught:
        nvda.until(day(as_of))
    assert f"as-of {as_of} {why}" in str(caught.value)
    assert str(caught.value).endswith("choose a day from 1999-01-25 to 2025-02-14")
    assert nvda.until(day("1999-01-25")).session.size == 2


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(2, 60), seed=st.integers(1, 10_000), ratio=st.sampled_from([0.1, 2.0, 4.0]))
def test_nothing_after_as_of_changes_what_until_returns(cut, seed, ratio):
    past, garbage = walk(), walk(seed=seed)
    columns = {"session": past["session"]}
    for name in COLUMNS:
        columns[name] = np.concatenate([past[name][:cut], garbage[name][cut:]])
    splits = [Split(past["session"][cut - 1], 1.0)]
    changed = with_split(columns, cut, ratio)
    later = Split(past["session"][cut], ratio)
    as_of = past["session"][cut - 1]
    assert everything(make(changed, [*splits, later]).until(as_of)) == everything(
        make(past, splits).until(as_of)
    )


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(2, 60), later=st.lists(st.integers(21, 300), unique=True, max_size=4))
def test_events_that_were_not_public_at_as_of_change_nothing(cut, later):
    columns = walk()
    calendar = sessions_between(day("2023-01-03"), day("2024-12-31"))
    public = [cut - 2, cut + 19]  # positions; the second became public at as_of itself
    garbage = [*public, *sorted(cut - 1 + ahead for ahead in later)]
    as_of = columns["session"][cut - 1]
    known = make(columns, events=Events(calendar[garbage])).until(as_of)
    assert everything(known) == everything(
        make(columns, events=Events(calendar[public])).until(as_of)
    )
    np.testing.assert_array_equal(known.events.session, calendar[public])


def test_an_event_is_cut_where_no_row_is():
    columns = walk()
    last = columns["session"][-1]
    calendar = sessions_between(last, day("2024-12-31"))
    public, hidden = Events(calendar[[20]]), Events(calendar[[20, 21]])
    assert len(make(columns, events=hidden).until(last).events) == 1
    prices = make(columns, events=public)
    assert prices.until(last) is prices


def test_events_enter_the_fingerprint_only_where_there_are_any():
    columns = walk()
    session = columns["session"]
    variants = [make(columns), *(make(columns, events=Events(session[[k]])) for k in (30, 31))]
    variants.append(make(columns, events=Events(session[[30, 31]])))
    assert len({prices.fingerprint() for prices in variants}) == len(variants)
    # as it was before prices had events
    ones = np.ones(2)
    plain = {"session": sessions_between(day("2024-02-01"), day("2024-02-02"))}
    plain |= {name: ones for name in COLUMNS}
    assert make(plain).fingerprint() == (
        "090a7d2ffe9d5ceec235da66611a9c10c0527bb3bae20f87e4592f689c183ea4"
    )


def test_until_twice_is_until_once(nvda):
    early = day("2008-10-15")
    assert everything(nvda.until(day("2020-01-02")).until(early)) == everything(nvda.until(early))


def test_the_fingerprint_changes_with_any_number():
    columns = walk()
    session = columns["session"]
    variants = [make(columns), *(make(columns, [Split(session[k], 1.0)]) for k in (5, 6))]
    variants += [make(with_split(columns, 5, k), [Split(session[5], k)]) for k in (2.0, 4.0)]
    for name in COLUMNS:
        value = columns[name][7]
        variants.append(make(with_value(columns, name, 7, value * (1 + 1e-12))))
    variants.append(make({name: values[:-1] for name, values in columns.items()}))
    variants.append(make({name: np.delete(values, 9) for name, values in columns.items()}))
    assert len({prices.fingerprint() for prices in variants}) == len(variants)


def test_the_fingerprint_is_about_numbers_not_names():
    prices = make(walk())
    renamed = dataclasses.replace(prices, source="elsewhere", retrieved_at="2025-01-01")
    assert renamed.fingerprint() == prices.fingerprint()
    assert len(prices.fingerprint()) == 64


def test_arrays_are_read_only_copies():
    columns = walk()
    prices = make(columns)
    before = prices.fingerprint()
    columns["close"][3] = 1.0
    assert prices.fingerprint() == before
    for name in ("session", *COLUMNS):
        with pytest.raises(ValueError, match="read-only"):
            getattr(prices, name)[0] = getattr(prices, name)[1]


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_value_that_is_no_price_is_refused_by_session_and_value(column, value):
    if column == "volume" and value == 0.0:
        assert make(with_value(walk(), column, 4, value)).volume[4] == 0.0
        return
    with pytest.raises(PricesError) as caught:
        make(with_value(walk(), column, 4, value))
    assert f"XYZ 2023-01-09: {column} {value:.10g} must be" in str(caught.value)


@pytest.mark.parametrize(("column", "factor"), [("open", 1.2), ("close", 0.8)])
def test_a_price_outside_low_and_high_is_refused(column, factor):
    columns = walk()
    with pytest.raises(PricesError, match=f"XYZ 2023-01-09: {column} .* must lie between low"):
        make(with_value(columns, column, 4, columns[column][4] * factor))


def test_sessions_must_ascend_without_repeats():
    columns = walk()
    for row, shown in ((3, "2023-01-06"), (1, "2023-01-04")):
        with pytest.raises(PricesError, match=f"session {shown} follows 2023-01-06"):
            make(with_value(columns, "session", 4, columns["session"][row]))


def test_a_day_the_exchange_was_closed_is_refused():
    changed = with_value(walk(), "session", 3, day("2023-01-07"))
    with pytest.raises(PricesError, match="2023-01-07 is not a session"):
        make({name: np.delete(values, 4) for name, values in changed.items()})


def test_a_row_without_a_date_is_refused():
    with pytest.raises(PricesError, match="row 4 has no date"):
        make(with_value(walk(), "session", 3, np.datetime64("NaT", "D")))


def test_sessions_outside_the_calendar_are_refused_as_prices():
    columns = {name: values[:2] for name, values in walk().items()}
    columns["session"] = np.array(["1970-01-02", "1970-01-05"], dtype="datetime64[D]")
    with pytest.raises(PricesError, match="1970-01-02 is outside the calendar"):
        make(columns)


def test_columns_of_different_length_are_refused():
    columns = walk()
    with pytest.raises(PricesError, match=r"volume has shape \(123,\), but there are 124 sessions"):
        make(columns | {"volume": columns["volume"][:-1]})


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_sessions_are_refused(rows):
    with pytest.raises(PricesError, match=f"{rows} sessions; at least 2 are needed"):
        make({name: values[:rows] for name, values in walk().items()})


def test_up_to_five_percent_of_the_sessions_may_be_missing():
    columns = walk()
    keep = np.ones(columns["session"].size, dtype=bool)
    keep[10:16] = False
    assert make({name: values[keep] for name, values in columns.items()}).session.size == 118
    keep[16] = False
    with pytest.raises(PricesError, match=r"7 of the 124 sessions .* missing; daily prices"):
        make({name: values[keep] for name, values in columns.items()})


def test_weekly_prices_are_refused():
    with pytest.raises(PricesError, match="daily prices"):
        make({name: values[::5] for name, values in walk().items()})


@pytest.mark.parametrize("ratio", [1.5, 2.0, 4.0, 7.0, 10.0, 50.0, 0.1, 0.5])
def test_a_jump_by_a_split_ratio_is_refused_until_the_split_is_recorded(ratio):
    columns = with_split(walk(), 30, ratio)
    session = columns["session"][30]
    with pytest.raises(PricesError, match=f"XYZ {session}: .* looks like a .* split"):
        make(columns)
    recorded = make(columns, [Split(session, ratio)])
    np.testing.assert_allclose(recorded.quoted_close(), walk()["close"] / ratio, rtol=1e-12)


def test_a_split_recorded_with_the_wrong_ratio_is_refused():
    columns = with_split(walk(), 30, 4.0)
    with pytest.raises(PricesError, match="2:1 split that is not recorded beside the recorded rat"):
        make(columns, [Split(columns["session"][30], 2.0)])


def test_a_split_recorded_one_session_late_is_refused():
    columns = with_split(walk(), 30, 4.0)
    with pytest.raises(PricesError, match=f"{columns['session'][30]}: .*4:1 split"):
        make(columns, [Split(columns["session"][31], 4.0)])


def test_a_split_recorded_where_nothing_jumps_is_refused():
    columns = walk()
    with pytest.raises(PricesError, match="1:4 split that is not recorded beside"):
        make(columns, [Split(columns["session"][30], 4.0)])


def test_a_split_of_ratio_1_declares_a_real_jump():
    columns = with_split(walk(), 30, 2.0)
    prices = make(columns, [Split(columns["session"][30], 1.0)])
    assert prices.split_factor().tolist() == [1.0] * prices.session.size


@pytest.mark.parametrize("ratio", [12.0, 35.0, 100.0, 200.0, 1 / 12, 1 / 200])
def test_a_jump_by_an_unusual_split_ratio_is_refused_until_the_split_is_recorded(ratio):
    columns = with_split(walk(), 30, ratio)
    session = columns["session"][30]
    with pytest.raises(PricesError, match=f"^XYZ moved from .* on {session}, .* times: a missed"):
        make(columns)
    make(columns, [Split(session, ratio)])
    make(columns, [Split(session, 1.0)])


def test_a_single_wrong_close_is_refused_until_it_is_declared_real():
    columns = walk()
    for column in ("high", "close"):
        columns = with_value(columns, column, 30, 1000 * columns[column][30])
    session = columns["session"]
    with pytest.raises(PricesError, match=f"on {session[30]}, .* times: a missed split or a wrong"):
        make(columns)
    with pytest.raises(PricesError, match=f"on {session[31]}, "):
        make(columns, [Split(session[30], 1.0)])
    make(columns, [Split(session[30], 1.0), Split(session[31], 1.0)])


def test_a_huge_move_within_a_session_is_refused():
    columns = with_split(walk(), 30, 1 / 12)
    for column in ("open", "low"):
        columns = with_value(columns, column, 30, walk()[column][30])
    with pytest.raises(PricesError, match=f"on {columns['session'][30]}, .* times: a missed"):
        make(columns)


def test_a_huge_move_is_named_with_its_prices_and_what_to_do():
    columns = {
        "session": np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]"),
        **{name: np.array([10.0, 1000.0]) for name in COLUMNS},
    }
    with pytest.raises(PricesError) as caught:
        make(columns)
    assert str(caught.value) == (
        "XYZ moved from 10.00 to 1000.00 on 2020-01-03, 100 times: a missed split or a wrong "
        "price; correct it, or declare it real with 1 in the Stock Splits column"
    )
    with pytest.raises(PricesError, match=r"100 times beside the recorded ratio 0\.09: a "):
        make(columns, [Split(columns["session"][1], 0.09)])


def test_a_move_by_less_than_3_times_that_is_no_usual_split_passes():
    make(with_split(walk(), 30, 1 / 2.6))


@pytest.mark.parametrize(
    ("level", "shown"), [(1e-8, "from 0.000001 to 10,000,000"), (1e9, "to 10,000,000")]
)
def test_an_extreme_price_is_refused_by_session_and_value(level, shown):
    with pytest.raises(PricesError, match=f"XYZ 2023-01-03: open .* must be .*{shown}"):
        make(walk(level=level))
    make(walk(level=1e-5))
    make(walk(level=1e6))


def test_the_fall_of_35_percent_in_august_2004_is_no_split(nvda):
    row = int(np.searchsorted(nvda.session, day("2004-08-06")))
    assert nvda.close[row] / nvda.close[row - 1] == pytest.approx(0.6477, rel=1e-3)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([("2023-02-01", 0.0)], "2023-02-01: split ratio 0 must be from 1/200 to 200"),
        ([("2023-02-01", np.nan)], "split ratio nan"),
        ([("2023-02-01", np.inf)], "split ratio inf"),
        ([("2023-02-01", 201.0)], "split ratio 201 must be from 1/200 to 200"),
        ([("2023-02-01", 0.004)], "split ratio 0.004 must be from 1/200 to 200"),
        ([("2023-02-04", 2.0)], "split at 2023-02-04, which is not a session of these prices"),
        ([("2024-02-01", 2.0)], "split at 2024-02-01, which is not a session of these prices"),
        ([("2023-02-02", 1.0), ("2023-02-01", 1.0)], "splits must ascend"),
        ([("2023-02-01", 1.0), ("2023-02-01", 1.0)], "splits must ascend"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(splits, message):
    with pytest.raises(PricesError, match=re.escape(message)):
        make(walk(), [Split(day(session), ratio) for session, ratio in splits])


def test_every_refusal_is_one_line(nvda):
    for as_of in ("1998-01-05", "2025-02-18"):
        with pytest.raises(UsageError) as caught:
            nvda.until(day(as_of))
        assert "\n" not in str(caught.value)
