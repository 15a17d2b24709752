from dataclasses import replace

import numpy as np
import pytest
from fetched import (
    FULL,
    KNOWN,
    NEW,
    NVDA,
    OVERLAP,
    assert_same,
    assert_unchanged_by_the_same_bars,
    day,
    edited,
    put,
    random_bars,
    repeated,
    scaled,
    taken,
    told,
    update,
    yahoo,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from belief.audit import audit
from belief.bars import Bars
from belief.errors import PricesError
from belief.prices import COLUMNS, Prices, Split
from belief.sessions import sessions_between
from belief.tables import Table, as_traded


def test_a_real_spike_near_which_the_next_session_opened_is_no_outlier():
    """NVDA closed at 118, 149.25 and 110.125 around 2000-03-13, and opened at 148.4375 after it."""
    known = NVDA.until(day("2000-03-10"))
    audited = audit(yahoo(NVDA.until(day("2000-03-15")), rows=10), known)
    assert not audited.refused
    assert_same(audited.prices, NVDA.until(day("2000-03-15")))


def without_rows(bars, *places):
    return edited(bars, taken(np.delete(np.arange(len(bars)), places)))


@pytest.mark.parametrize("known", [None, KNOWN])
def test_a_missing_session_of_late_is_refused_while_the_source_may_only_be_behind(known):
    until_friday = slice(None, -2)
    bars = edited(yahoo(FULL) if known is None else update(), taken(until_friday))
    audited = audit(without_rows(bars, -2), known)
    assert [each for each in told(audited) if each[2] == "refused"] == [
        ("2024-06-06", "gap", "refused")
    ]


@pytest.mark.parametrize("known", [None, KNOWN])
def test_a_session_that_the_source_passes_over_for_good_does_not_keep_the_later_ones_out(known):
    bars = without_rows(yahoo(FULL) if known is None else update(), -NEW)
    audited = audit(bars, known)
    assert ("2024-06-06", "gap", "noted") in told(audited)
    assert not audited.refused
    assert str(audited.prices.as_of) == "2024-06-11"
    filled = audit(update(), audited.prices)
    assert told(filled) == [("2024-06-06", "gap", "repaired")]
    assert_same(filled.prices, FULL)


def test_two_missing_sessions_of_late_are_refused():
    kept = NVDA.until(day("2024-05-31"))
    bars = without_rows(update(), -7, -4)
    refused = [each for each in told(audit(bars, kept)) if each[2] == "refused"]
    assert refused == [("2024-06-03", "gap", "refused"), ("2024-06-06", "gap", "refused")]


def test_missing_sessions_after_the_last_kept_one_are_one_finding():
    audited = audit(update(), NVDA.until(day("2024-05-31")))
    assert not audited.refused
    later = yahoo(FULL, rows=3)
    audited = audit(later, NVDA.until(day("2024-06-03")))
    assert told(audited) == [("None", "no overlap", "refused")]
    gap = edited(update(), taken(np.r_[:OVERLAP, OVERLAP + 2 : OVERLAP + NEW]))
    (found,) = audit(gap, KNOWN).findings
    assert (str(found.session), found.rule) == ("2024-06-06", "gap")
    assert found.value == "no rows of the 2 sessions to 2024-06-07"


def test_half_of_the_rows_missing_is_refused():
    quiet = random_bars(rows=900, daily=0.01, volume=True)
    half = audit(edited(quiet, taken(slice(None, None, 2))), None)
    assert {rule for _, rule, outcome in told(half) if outcome == "refused"} == {"gap"}
    old_half = audit(edited(quiet, taken(np.r_[0:500:2, 500:900])), None)
    assert len(old_half.findings) == 250 + 1
    assert old_half.reasons == (
        "prices: XYZ: 250 of the 900 sessions from 2022-01-03 to 2025-08-05 are missing; "
        "daily prices with at most 5 % missing are needed",
    )
    late = edited(yahoo(KNOWN, rows=13), taken(slice(None, None, 2)))
    kept = NVDA.until(day("2024-05-29"))
    refused = [found for found in told(audit(late, kept)) if found[2] == "refused"]
    assert refused == [(d, "gap", "refused") for d in ("2024-05-31", "2024-06-04")]


def test_a_row_that_repeats_the_prices_before_is_refused_at_the_end_and_noted_in_the_past():
    assert told(audit(edited(update(), repeated(-1)), KNOWN)) == [
        ("2024-06-11", "stale repeat", "refused")
    ]
    assert told(audit(edited(update(), repeated(-2)), KNOWN)) == [
        ("2024-06-10", "stale repeat", "noted")
    ]
    quiet = edited(edited(update(), repeated(-1)), put(-1, volume=0.0))
    assert told(audit(quiet, KNOWN)) == []


def test_the_way_down_of_a_crash_is_noted_and_never_refused():
    audited = audit(edited(update(), scaled(-1, 0.55)), KNOWN)
    assert told(audited) == [("2024-06-11", "large move", "noted")]
    assert audited.prices.last_close == pytest.approx(120.91 * 0.55, rel=1e-12)


def test_a_spike_in_the_last_kept_row_is_noted_once_it_shows():
    spiked = edited(update(), scaled(OVERLAP + 1, 1.4))
    kept = audit(edited(spiked, taken(slice(0, OVERLAP + 2))), KNOWN).prices
    audited = audit(spiked, kept)
    assert ("2024-06-07", "outlier", "noted") in told(audited)
    assert not audited.refused


def test_a_spike_is_refused_of_late_and_noted_of_old_at_a_first_load():
    for row, outcome in ((-100, "noted"), (-5, "refused")):
        bars = edited(yahoo(KNOWN), scaled(row, 1.4, "close", "high"))
        before = told(audit(yahoo(KNOWN), None))
        after = told(audit(bars, None))
        assert [f for f in after if f not in before] == [
            (str(KNOWN.session[row]), "outlier", outcome)
        ]


@pytest.mark.parametrize(("ratio", "words"), [(2.0, "2:1"), (1.5, "3:2"), (0.1, "1:10")])
def test_a_jump_like_a_split_that_is_not_listed_is_refused(ratio, words):
    def split(rows):
        close = rows["close"][-2] / ratio
        rows["open"][-1] = rows["close"][-1] = rows["high"][-1] = rows["low"][-1] = close

    audited = audit(edited(update(), split), KNOWN)
    assert told(audited) == [("2024-06-11", "split-like jump", "refused")]
    assert f"like a {words} split" in audited.findings[0].value


@settings(max_examples=150, deadline=None)
@given(
    to_open=st.floats(-4.5, 4.5),
    to_close=st.floats(-0.2, 0.2),
    listed=st.sampled_from([None, 1.0, 1.5, 2.0, 10.0, 0.1]),
)
@example(to_open=-1.875, to_close=0.0, listed=10.0)  # without ranges 3:2 is no usual ratio
@example(to_open=-0.4, to_close=0.0, listed=None)
def test_jumps_are_refused_as_prices_refuse_them(to_open, to_close, listed):
    session = sessions_between(day("2024-01-02"), day("2024-01-10"))
    after = 100 * np.exp(to_open + to_close)
    opened = np.array([100.0] * 5 + [100 * np.exp(to_open), after])
    close = np.array([100.0] * 5 + [after] * 2)
    top, bottom = np.maximum(opened, close), np.minimum(opened, close)
    splits = () if listed is None else (Split(session[5], listed),)
    volume = np.arange(7.0)
    fields = dict(zip(COLUMNS, (opened, top, bottom, close, volume), strict=True))
    rest = dict(symbol="XYZ", name="XYZ", currency="USD", session=session, splits=splits)
    rest |= dict(source="a test", splits_known=True, retrieved_at=None)
    try:
        Prices(**rest, **as_traded(Table(session, fields, splits), named="a test"))
        valid = True
    except PricesError:
        valid = False
    audited = audit(Bars(**rest, **{name: values.copy() for name, values in fields.items()}), None)
    rules = {rule for _, rule, outcome in told(audited) if outcome == "refused"}
    assert audited.refused != valid
    assert rules <= {"split-like jump", "huge jump"}


def test_an_index_without_volumes_and_a_short_history_pass():
    for bars in (
        random_bars(rows=300, daily=0.01, volume=False),
        random_bars(rows=300, daily=0.02, volume=True),
        random_bars(rows=2, daily=0.02, volume=True),
    ):
        audited = audit(bars, None)
        assert (told(audited), audited.n_new) == ([], len(bars))
        assert_unchanged_by_the_same_bars(bars, audited)


def test_an_index_that_repeats_its_last_prices_is_refused():
    bars = edited(random_bars(rows=300, daily=0.01, volume=False), repeated(-1))
    assert [rule for _, rule, _ in told(audit(bars, None))] == ["stale repeat"]


def steady(closes, *, span):
    """Rows that open at the close before and reach `span` beyond open and close."""
    bars = random_bars(rows=len(closes), daily=0.01, volume=True)
    close = np.array(closes, dtype=float)
    opened = np.append(close[0], close[:-1])
    high, low = np.maximum(opened, close) * (1 + span), np.minimum(opened, close) / (1 + span)
    return replace(bars, open=opened, high=high, low=low, close=close)


def test_a_stock_that_moves_by_a_third_every_day_has_no_spikes():
    closes = np.where(np.arange(300) % 2, 2.0, 2.7)
    swing = edited(steady(closes, span=0.05), put(-2, close=2.75, high=2.9))
    swing = edited(swing, put(-1, open=2.0))  # back at the open, as after a spike
    assert told(audit(swing, None)) == []
    calm = edited(
        steady(2.0 + 0.001 * (np.arange(300) % 7), span=0.02), put(-2, close=2.75, high=2.8)
    )
    calm = edited(calm, put(-1, open=2.0))
    assert [rule for _, rule, _ in told(audit(calm, None))] == ["outlier"]


def test_a_wild_penny_stock_is_taken():
    """Its days close up to 40 % away from where they open."""
    closes = np.exp(np.cumsum(np.random.default_rng(5).uniform(-0.4, 0.4, 300)))
    assert told(audit(steady(closes, span=0.1), None)) == []


def test_a_price_that_never_moved_has_no_typical_range_to_exceed():
    closes = [2.0] * 80 + [2.1] * 20
    still = replace(steady(closes, span=0.0), volume=np.zeros(100) + 5.0)
    rules = {(rule, outcome) for _, rule, outcome in told(audit(still, None))}
    assert rules == {("stale repeat", "noted")}


def test_a_wrong_row_is_one_outlier_although_its_neighbours_differ_by_a_tenth():
    closes = np.where(np.arange(300) < 295, 2.0, 2.2) + 0.001 * (np.arange(300) % 7)
    bars = edited(steady(closes, span=0.03), scaled(294, 100))
    bars = edited(bars, put(295, open=2.1))
    assert told(audit(bars, None)) == [(str(bars.session[294]), "outlier", "refused")]
