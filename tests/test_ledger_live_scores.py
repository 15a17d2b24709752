"""Scores of the ledger over time: which count live, and which corrected prices take back."""

import dataclasses

import numpy as np
import pytest
from stored import MADE_AT, entry_of, made, one_line, opened, publication_of, tamper

from belief.errors import StoreError
from belief.ledger import append, entries
from belief.ledger_scores import (
    changed_scores,
    forget_changed,
    forget_unfounded,
    live_scores,
    score_due,
)
from belief.prices import COLUMNS, Split
from belief.store import publish, save_prices

LATER = "2023-06-01T00:00:00+00:00"
PRICES = made(70)
ORIGIN = PRICES.until(PRICES.session[59])


def put(store, prices, *said):
    with store.write() as connection:
        save_prices(connection, prices)
        return append(connection, prices.symbol, said)


def scored(store, prices):
    with store.write() as connection:
        now, closeless = score_due(connection, prices.symbol, prices, LATER)
    return [each.number for each in now], [each.number for each in closeless]


def scores_of(store):
    with store.read() as connection:
        return [each.score for each in entries(connection)]


def wrong(store, prices):
    with store.read() as connection:
        return list(changed_scores(connection, "XYZ", prices))


def live(store):
    with store.read() as connection:
        return live_scores(connection, "XYZ")


# live


def said_live(horizon, *, number=0.0, sd=0.02, made_at=MADE_AT):
    entry = entry_of(ORIGIN, horizon, number=number, sd=sd)
    return dataclasses.replace(entry, live=True, made_at=made_at)


def test_a_ledger_without_live_scores_has_no_record(tmp_path):
    with opened(tmp_path) as store:
        put(store, PRICES, dataclasses.replace(said_live(1), live=False), said_live(30))
        scored(store, PRICES)
        assert live(store) is None


def test_of_two_forecasts_over_the_same_days_the_first_counts(tmp_path):
    with opened(tmp_path) as store:
        put(store, PRICES, said_live(1), said_live(1, number=2.0, sd=0.05), said_live(2))
        assert scored(store, PRICES) == ([1, 2, 3], [])
        found, scores = live(store), scores_of(store)
    assert sorted(found.horizon.tolist()) == [1, 2]
    of_one = found.log_score[found.horizon == 1]
    assert of_one.tolist() == [np.float32(scores[0]["log_score"])]
    assert scores[0]["log_score"] != scores[1]["log_score"]


def test_what_was_published_counts_before_what_was_said_beside_it(tmp_path):
    publication = publication_of(ORIGIN)
    beside = "2023-01-01T10:00:00+00:00"
    with opened(tmp_path) as store:
        put(
            store,
            PRICES,
            said_live(1, number=2.0, sd=0.05, made_at=beside),
            said_live(1, made_at=publication.published_at),
        )
        with store.write() as connection:
            publish(connection, publication)
        scored(store, PRICES)
        found, scores = live(store), scores_of(store)
    assert found.log_score.tolist() == [np.float32(scores[1]["log_score"])]


def test_what_rests_on_other_prices_is_in_no_record(tmp_path):
    other = said_live(1)
    other = dataclasses.replace(other, body={**other.body, "last_close": 500.0})
    with opened(tmp_path) as store:
        put(store, PRICES, other)
        assert scored(store, PRICES) == ([], [1])
        assert live(store) is None


@pytest.mark.parametrize(
    "damage",
    [
        "ledger SET target = 'xx'",
        "ledger SET origin = '2024-02-31'",
        "ledger SET origin = NULL",
        "ledger SET horizon = NULL",
        "ledger SET horizon = 'long'",
        "ledger SET model = NULL",
        "scores SET log_score = 'abc'",
        "scores SET log_score = NULL",
        "scores SET pit = x'ff'",
        "scores SET crps = 9e999",
        "scores SET covered_50 = NULL",
    ],
)
def test_a_damaged_row_is_told_in_one_line(tmp_path, damage):
    with opened(tmp_path) as store:
        put(store, PRICES, said_live(1), said_live(2))
        scored(store, PRICES)
    tamper(tmp_path, f"UPDATE {damage} WHERE number = 2")
    with opened(tmp_path) as store, pytest.raises(StoreError) as error:
        live(store)
    assert "of XYZ in the ledger is damaged; belief ledger verify names it" in one_line(error)


# corrected prices


def corrected(prices, row):
    close = prices.close.copy()
    close[row] = 0.5 * (prices.low[row] + prices.high[row])
    return dataclasses.replace(prices, close=close)


def put_and_score(store, prices, targets):
    said = [entry_of(prices.until(prices.session[20]), at - 20) for at in targets]
    put(store, prices, *said)
    scored(store, prices)


def test_a_score_is_taken_back_where_its_close_was_corrected_and_computed_anew(tmp_path):
    prices = made()
    now = corrected(prices, 30)
    with opened(tmp_path) as store:
        put_and_score(store, prices, (25, 30, 40))
        with store.write() as connection:
            assert forget_changed(connection, prices, now) == 1
            save_prices(connection, now)
        assert [each is None for each in scores_of(store)] == [False, True, False]
        assert scored(store, now) == ([2], [])
        assert wrong(store, now) == []


def test_a_split_that_was_listed_late_takes_back_the_scores_across_it(tmp_path):
    prices = made()
    now = dataclasses.replace(prices, splits=(Split(prices.session[28], 1.0),))
    with opened(tmp_path) as store:
        put_and_score(store, prices, (25, 28, 40))
        with store.write() as connection:
            assert forget_changed(connection, prices, now) == 2


def test_new_sessions_take_no_score_back(tmp_path):
    prices = made()
    with opened(tmp_path) as store:
        put_and_score(store, prices, (25, 30))
        with store.write() as connection:
            assert forget_changed(connection, prices.until(prices.session[50]), prices) == 0


def without(prices, *places):
    rows = np.delete(np.arange(prices.session.size), places)
    columns = {name: getattr(prices, name)[rows] for name in ("session", *COLUMNS)}
    return dataclasses.replace(prices, **columns)


@pytest.mark.parametrize(("gone", "left"), [(20, []), (30, [1, 3])])
@pytest.mark.parametrize("known", [True, False])
def test_scores_whose_origin_or_target_is_gone_are_taken_back(tmp_path, gone, left, known):
    prices = made()
    now = without(prices, gone)
    with opened(tmp_path) as store:
        put_and_score(store, prices, (25, 30, 40))
        with store.write() as connection:
            if known:
                assert forget_changed(connection, prices, now) == 3 - len(left)
            else:
                assert forget_unfounded(connection, now) == 3 - len(left)
            save_prices(connection, now)
        kept = [place for place, each in enumerate(scores_of(store), start=1) if each is not None]
        assert kept == left
        assert wrong(store, now) == []


def test_a_score_whose_origin_was_corrected_beyond_belief_is_taken_back_for_good(tmp_path):
    prices = made()
    columns = {name: getattr(prices, name).copy() for name in COLUMNS[:-1]}
    for values in columns.values():
        values[20] *= 1.2
    now = dataclasses.replace(prices, **columns)
    for folder in ("known", "unknown"):
        (tmp_path / folder).mkdir()
        with opened(tmp_path / folder) as store:
            put_and_score(store, prices, (25, 30))
            with store.write() as connection:
                taken = (
                    forget_changed(connection, prices, now)
                    if folder == "known"
                    else forget_unfounded(connection, now)
                )
                save_prices(connection, now)
            assert taken == 2
            assert scored(store, now) == ([], [1, 2])
            assert wrong(store, now) == []


def test_without_the_prices_before_every_score_is_compared_with_those_now(tmp_path):
    prices = made()
    now = corrected(prices, 30)
    split = dataclasses.replace(prices, splits=(Split(prices.session[28], 1.05),))
    with opened(tmp_path) as store:
        put_and_score(store, prices, (25, 30, 40))
        with store.write() as connection:
            assert forget_unfounded(connection, prices) == 0
            assert forget_unfounded(connection, now) == 1
            assert forget_unfounded(connection, split) == 1  # the third; the second is gone
            assert forget_unfounded(connection, prices) == 0
        assert [each is None for each in scores_of(store)] == [False, True, True]
