from dataclasses import replace

import numpy as np
import pytest
from fetched import (
    FULL,
    KNOWN,
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
from hypothesis import given, settings
from hypothesis import strategies as st

from belief.audit import LARGEST_REVISION, audit
from belief.audit_rows import number
from belief.events import Events
from belief.prices import COLUMNS, Split


def test_a_clean_first_load_gives_the_prices_as_traded():
    audited = audit(yahoo(NVDA), None)
    assert_same(audited.prices, NVDA)
    assert (audited.n_new, audited.refused, audited.reasons) == (NVDA.session.size, False, ())
    assert {(f.rule, f.outcome) for f in audited.findings} == {("large move", "noted")}
    assert_unchanged_by_the_same_bars(yahoo(NVDA), audited)


def test_new_rows_across_a_split_extend_what_is_kept():
    audited = audit(update(), KNOWN)
    assert told(audited) == []
    assert_same(audited.prices, FULL)
    assert audited.n_new == NEW
    assert (audited.prices.source, audited.prices.retrieved_at) == ("Yahoo Finance", "2024-06-12")
    assert_unchanged_by_the_same_bars(update(), audited)


def test_rows_a_source_has_not_adjusted_yet_extend_it_too():
    """On the day of a split Yahoo may list it while the rows before are still as traded."""
    late = {name: getattr(FULL, name)[-OVERLAP - NEW :] for name in COLUMNS}
    assert_same(audit(update(**late), KNOWN).prices, FULL)


def test_a_split_whose_session_has_no_row_yet_is_undone_and_told_later():
    early = edited(update(), taken(slice(0, OVERLAP + 2)))
    audited = audit(early, KNOWN)
    assert told(audited) == [("2024-06-10", "split", "noted")]
    assert_same(audited.prices, NVDA.until(day("2024-06-07")))
    assert_same(audit(update(), audited.prices).prices, FULL)


def test_without_new_rows_nothing_is_added():
    bars = yahoo(KNOWN, rows=5)
    audited = audit(bars, KNOWN)
    assert (told(audited), audited.n_new) == ([], 0)
    assert_same(audited.prices, KNOWN)
    older = audit(yahoo(KNOWN.until(day("2024-05-20")), rows=5), KNOWN)
    assert (told(older), older.n_new) == ([], 0)


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(300, 6000),
    steps=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), min_size=1, max_size=8),
)
def test_any_sequence_of_updates_of_a_clean_history_ends_in_that_history(start, steps):
    def through(rows):
        return NVDA.until(NVDA.session[rows - 1])

    kept, end = through(start), start
    for new, overlap in steps:
        rows, end = overlap + new, end + new
        audited = audit(yahoo(through(end), rows=rows), kept)
        assert audited.n_new == new
        assert {f.outcome for f in audited.findings} <= {"noted"}
        kept = audited.prices
    assert_same(kept, through(end))


def test_an_old_hole_is_noted_at_a_first_load_and_filled_when_the_source_has_the_row():
    whole = yahoo(FULL)
    hole = edited(whole, taken(np.delete(np.arange(len(whole)), 100)))
    audited = audit(hole, None)
    lost = str(FULL.session[100])
    assert (lost, "gap", "noted") in told(audited)
    assert not audited.refused
    filled = audit(whole, audited.prices)
    assert told(filled) == [(lost, "gap", "repaired")]
    assert filled.n_new == 1
    assert_same(filled.prices, FULL)


def test_prices_from_which_nothing_was_taken_are_still_of_their_source():
    known = replace(KNOWN, source="Yahoo Finance", retrieved_at="2024-06-05")
    ahead = Events(np.array(["2024-08-28"], dtype="datetime64[D]"))
    other = {"source": "CSV file x.csv", "retrieved_at": None, "splits_known": False}
    audited = audit(yahoo(KNOWN, rows=5, events=ahead, **other), known)
    found = audited.prices
    assert (found.source, found.retrieved_at, found.splits_known, audited.n_new) == (
        "Yahoo Finance",
        "2024-06-05",
        True,
        0,
    )
    assert found.events.session[-1] == day("2024-08-28")
    revised = edited(yahoo(KNOWN, rows=5, **other), put(-2, close=lambda value: value * 1.004))
    for bars in (revised, update(**other)):
        assert audit(bars, known).prices.source == "CSV file x.csv"


def test_what_is_at_odds_with_the_prices_kept_says_how_to_replace_them():
    rescaled = whole(yahoo(KNOWN, rows=OVERLAP), 0.1)
    old = edited(update(), scaled(0, 1.01))
    hole = edited(update(), taken(np.r_[:OVERLAP, OVERLAP + 2 : OVERLAP + NEW]))
    for bars in (rescaled, update(splits=()), old, hole):
        (reason,) = audit(bars, KNOWN).reasons
        assert reason.endswith("; or replace all that is kept: belief refit NVDA --anew")
    alone = edited(yahoo(FULL), taken(np.delete(np.arange(FULL.session.size), [-3, -4])))
    assert "--anew" not in str(audit(alone, None).reasons)


def whole(bars, factor):
    return replace(bars, **{name: getattr(bars, name) * factor for name in COLUMNS[:-1]})


@pytest.mark.parametrize(("factor", "words"), [(0.1, "10:1"), (4.0, "4:1"), (0.97, "basis")])
def test_rows_that_are_all_off_by_one_factor_are_refused_with_the_factor(factor, words):
    audited = audit(whole(yahoo(KNOWN, rows=OVERLAP), factor), KNOWN)
    ((session, rule, outcome),) = told(audited)
    assert (session, rule, outcome) == (str(KNOWN.session[-OVERLAP]), "overlap changed", "refused")
    assert f"{factor:g} times" in audited.findings[0].value
    assert words in audited.findings[0].action


def test_a_history_rescaled_by_a_split_that_is_not_listed_is_refused():
    audited = audit(update(splits=()), KNOWN)
    assert [(rule, outcome) for _, rule, outcome in told(audited)] == [
        ("overlap changed", "refused")
    ]
    assert "0.1 times" in audited.findings[0].value
    assert "(10:1) seems to be missing" in audited.findings[0].action


def test_a_kept_split_that_is_listed_no_more_or_differently_is_refused():
    for splits in ((), (Split(SPLIT_DAY, 5.0),)):
        audited = audit(update(splits=splits), FULL)
        assert told(audited) == [("2024-06-10", "overlap changed", "refused")]
        assert "kept was 10:1" in audited.findings[0].value
    traded = {name: getattr(FULL, name)[-OVERLAP - NEW :] for name in COLUMNS}
    audited = audit(update(splits=(), **traded), FULL)
    assert told(audited) == [("2024-06-10", "overlap changed", "refused")]


def test_a_split_that_was_not_kept_is_taken_when_the_prices_agree_and_else_refused():
    late = Split(day("2024-05-28"), 1.05)
    cut = KNOWN.session[-OVERLAP:] < late.session
    bars = yahoo(KNOWN, rows=OVERLAP)
    dividend = {
        name: np.where(cut, getattr(bars, name) / 1.05, getattr(bars, name))
        for name in COLUMNS[:-1]
    }
    audited = audit(replace(bars, **dividend, splits=(late,)), KNOWN)
    assert told(audited) == [("2024-05-28", "split", "repaired")]
    assert audited.prices.splits[-1] == late
    np.testing.assert_array_equal(audited.prices.close, KNOWN.close)
    assert_unchanged_by_the_same_bars(replace(bars, **dividend, splits=(late,)), audited)
    audited = audit(replace(bars, splits=(late,)), KNOWN)
    assert told(audited) == [("2024-05-28", "overlap changed", "refused")]


def test_a_jump_declared_real_stays_declared_when_the_source_does_not_list_it():
    at = KNOWN.session[-3]
    known = replace(KNOWN, splits=(*KNOWN.splits, Split(at, 1.0)))
    audited = audit(update(), known)
    assert told(audited) == []
    assert Split(at, 1.0) in audited.prices.splits


def test_a_small_revision_of_a_late_session_is_taken_with_both_values_told():
    bars = edited(update(), put(OVERLAP - 2, close=lambda value: value * 1.004))
    audited = audit(bars, KNOWN)
    assert told(audited) == [("2024-06-04", "revised", "repaired")]
    old = number(KNOWN.close[-2])
    assert audited.findings[0].value.endswith(f"kept was {old}")
    assert audited.prices.close[-NEW - 2] == pytest.approx(KNOWN.close[-2] * 1.004, rel=1e-6)
    np.testing.assert_array_equal(audited.prices.close[: -NEW - 2], KNOWN.close[:-2])
    assert_unchanged_by_the_same_bars(bars, audited)


def test_a_large_or_an_old_revision_is_refused():
    large = edited(update(), scaled(OVERLAP - 2, 1 + LARGEST_REVISION + 0.01))
    assert told(audit(large, KNOWN)) == [("2024-06-04", "revised", "refused")]
    old = edited(update(), scaled(0, 1.01))
    assert told(audit(old, KNOWN)) == [(str(KNOWN.session[-OVERLAP]), "revised", "refused")]


def test_more_than_a_few_revisions_are_refused_as_one_finding():
    def edit(rows):
        for row in range(4, 9):
            for name in COLUMNS[:-1]:
                rows[name][row] *= 1.004 + 0.001 * row

    (found,) = audit(edited(update(), edit), KNOWN).findings
    assert (found.rule, found.outcome) == ("overlap changed", "refused")
    assert found.value == "5 of 12 rows differ from those kept"


def test_tiny_differences_and_volumes_of_kept_sessions_change_nothing():
    def edit(rows):
        rows["close"][:5] *= 1.0009
        rows["high"][:5] *= 1.0009
        rows["volume"][:OVERLAP] *= 1.3

    audited = audit(edited(update(), edit), KNOWN)
    assert told(audited) == []
    assert_same(audited.prices, FULL)


@pytest.mark.parametrize("currency", ["EUR", "GBp", "", "usd", "US\nD"])
def test_another_currency_is_refused(currency):
    for known in (None, KNOWN):
        audited = audit(update(currency=currency), known)
        assert told(audited) == [("None", "currency", "refused")]
        assert "\n" not in audited.reasons[0]


def test_a_symbol_renamed_is_refused():
    audited = audit(update(symbol="NVDX"), KNOWN)
    assert audited.reasons == ("symbol: symbol NVDX; rows of NVDA are needed, as those kept",)


def test_events_of_the_rows_replace_the_kept_ones_from_the_first_on():
    ahead = Events(np.array(["2024-08-29", "2024-11-21"], dtype="datetime64[D]"))
    kept = replace(KNOWN, events=NVDA.events.until(day("2024-08-10")))
    assert str(kept.events.session[-1]) == "2024-08-29"
    moved = Events(np.array(["2024-08-28", "2024-11-21"], dtype="datetime64[D]"))
    for told_events in (ahead, moved):
        events = audit(update(events=told_events), kept).prices.events.session
        assert [str(event) for event in events[-3:-2]] == ["2024-05-23"]
        np.testing.assert_array_equal(events[-2:], told_events.session)
    later = audit(update(events=Events(ahead.session[1:])), kept).prices.events.session
    assert [str(event) for event in later[-2:]] == ["2024-05-23", "2024-11-21"]
    none = update(events=Events(np.array([], dtype="datetime64[D]")))
    np.testing.assert_array_equal(audit(none, kept).prices.events.session, kept.events.session)
