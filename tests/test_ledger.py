"""The ledger: what was said stays said, and a hand that touches it shows."""

import dataclasses
import hashlib
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from stored import (
    MADE_AT,
    answer_of,
    day,
    entry_of,
    forecast_of,
    made,
    model_of,
    one_line,
    opened,
    tamper,
)

from belief.errors import StoreError, UsageError
from belief.ledger import (
    START,
    Recorded,
    append,
    breaks,
    entries,
    entry_named,
    forecast_entry,
    is_live,
    symbols,
)
from belief.ledger import forecast_of as forecast_in
from belief.ledger_scores import score_due
from belief.models import DEFAULT_MODEL, fit, forecast_id
from belief.sessions import session_after
from belief.sources import load_prices
from belief.store import save_prices

PRICES = made()
OWN = {"price": 51.0, "low": 48.0, "high": 55.0, "prob_up": 0.6, "reasons": ["ä"]}
# six entries: at place k a forecast over k sessions, and at the end an answer
SAID = (*(entry_of(PRICES, horizon) for horizon in (1, 2, 3, 4, 5)), answer_of(PRICES, 2, OWN))


def put(store, *said, symbol="XYZ"):
    with store.write() as connection:
        return append(connection, symbol, said)


def read(store, **chosen):
    with store.read() as connection:
        return entries(connection, **chosen)


def verified(store):
    with store.read() as connection:
        return list(breaks(connection))


def test_entries_come_back_as_they_were_said(tmp_path):
    nothing = dataclasses.replace(
        SAID[-1], name="fff000", origin=None, target=None, horizon=None, model=None, live=False
    )
    said = (*SAID, nothing)
    with opened(tmp_path) as store:
        assert put(store, *said) == 7
    with opened(tmp_path) as store:
        found = read(store)
    assert [each.number for each in found] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.entry for each in found] == list(said)
    assert {(each.symbol, each.score) for each in found} == {("XYZ", None)}


def test_a_forecast_comes_back_bit_for_bit(tmp_path):
    given = forecast_of(PRICES, 5)
    with opened(tmp_path) as store:
        put(store, *SAID)
        found = forecast_in(read(store)[4])
    assert found.log_return_quantile.tobytes() == given.log_return_quantile.tobytes()
    for field in ("symbol", "model", "origin", "target", "horizon", "last_close"):
        assert getattr(found, field) == getattr(given, field)


def test_a_real_forecast_carries_its_name_its_memories_and_what_it_rests_on():
    prices = load_prices("NVDA").until(day("2003-03-03"))
    fitted = fit(DEFAULT_MODEL, prices)
    said = forecast_of(prices, 3)
    entry = forecast_entry(fitted, prices, said, made_at="2003-03-03T22:00:00+00:00", live=True)
    assert (entry.name, entry.live) == (forecast_id(fitted, said.target), True)
    assert entry.body["fingerprint"] == fitted.fingerprint
    assert entry.body["prices_fingerprint"] == prices.fingerprint()
    assert len(entry.body["memory_weights"]) > 1
    assert sum(entry.body["memory_weights"]) == pytest.approx(1.0, abs=1e-12)
    late = forecast_entry(fitted, prices, said, made_at="2003-03-07T22:00:00+00:00", live=True)
    assert not late.live


def test_an_answer_without_figures_holds_no_forecast(tmp_path):
    with opened(tmp_path) as store:
        put(store, dataclasses.replace(SAID[-1], origin=None, target=None, horizon=None))
        with pytest.raises(UsageError, match="entry abcdef012345 forecasts nothing"):
            forecast_in(read(store)[0])


@pytest.mark.parametrize(
    ("made_at", "live"),
    [
        ("2023-06-13T23:59:59+00:00", True),
        ("2023-06-14T13:29:59+00:00", True),
        ("2023-06-14T13:30:00+00:00", False),
        ("2023-06-15T00:00:00+00:00", False),
    ],
)
def test_what_is_said_once_the_target_trades_is_not_live(made_at, live):
    assert is_live(made_at, day("2023-06-14")) is live


@pytest.mark.parametrize(("made_at", "live"), [("14:29:59", True), ("14:30:00", False)])
def test_in_winter_a_session_begins_an_hour_later_in_universal_time(made_at, live):
    assert is_live(f"2024-01-10T{made_at}+00:00", day("2024-01-10")) is live


@pytest.mark.parametrize(
    ("origin", "made_at", "live"),
    [
        ("2024-01-09", "2024-01-09T20:59:59+00:00", False),
        ("2024-01-09", "2024-01-09T21:00:00+00:00", True),
        ("2024-01-09", "2024-01-10T02:00:00+00:00", True),  # the evening there
        ("2024-01-09", "2023-01-10T12:00:00+00:00", False),
        ("2023-11-24", "2023-11-24T17:59:59+00:00", False),  # a half-day
        ("2023-11-24", "2023-11-24T18:00:00+00:00", True),
    ],
)
def test_what_is_said_before_its_origin_has_closed_is_not_live(origin, made_at, live):
    assert is_live(made_at, day("2024-02-01"), origin=day(origin)) is live


def test_a_forecast_made_by_a_clock_that_is_wrong_is_not_live():
    fitted, said = model_of(PRICES), forecast_of(PRICES, 5)
    for made_at, live in (
        (MADE_AT, False),  # before the first of the prices
        (f"{PRICES.as_of}T22:00:00+00:00", True),
        (f"{said.target}T15:00:00+00:00", False),
    ):
        entry = forecast_entry(fitted, PRICES, said, made_at=made_at, live=True)
        assert entry.live is live


# appending


def test_what_is_there_already_stays_as_it_is(tmp_path):
    changed = dataclasses.replace(SAID[1], made_at="2024-01-01T00:00:00+00:00", body={})
    with opened(tmp_path) as store:
        assert put(store, *SAID[:3]) == 3
        assert put(store, changed) == 0
        assert put(store, *SAID) == 3
        assert put(store) == 0
        assert [each.entry for each in read(store)] == list(SAID)
        assert verified(store) == []


def test_what_is_said_twice_at_once_is_written_once(tmp_path):
    with opened(tmp_path) as store:
        assert put(store, SAID[0], SAID[1], SAID[0]) == 2
        assert [each.entry for each in read(store)] == list(SAID[:2])


def test_a_forecast_and_an_answer_may_have_one_name(tmp_path):
    with opened(tmp_path) as store:
        assert put(store, SAID[0], dataclasses.replace(SAID[-1], name=SAID[0].name)) == 2


def test_what_was_first_said_in_hindsight_is_taken_when_it_is_said_live(tmp_path):
    hindsight = dataclasses.replace(SAID[0], live=False)
    live = dataclasses.replace(SAID[0], live=True, made_at="2023-01-02T11:00:00+00:00")
    with opened(tmp_path) as store:
        assert put(store, hindsight) == 1
        assert put(store, live) == 1
        assert put(store, hindsight, live) == 0
        assert put(store, SAID[1]) == 1
        assert put(store, dataclasses.replace(SAID[1], live=False)) == 0
        found = [each.entry for each in read(store)]
        assert [each.live for each in found] == [False, SAID[1].live, True]
        name = SAID[0].name
        with store.read() as connection:
            for asked in (name, name[:6], f"{name}live"):
                assert entry_named(connection, asked).entry.live
        assert verified(store) == []


def test_what_is_said_in_hindsight_and_live_at_once_is_written_twice(tmp_path):
    hindsight, live = (dataclasses.replace(SAID[0], live=live) for live in (False, True))
    with opened(tmp_path) as store:
        assert put(store, hindsight, live, live, hindsight) == 2
        assert put(store, live) == 0


def test_every_symbol_has_a_chain_of_its_own(tmp_path):
    other = made(symbol="ABC", seed=2)
    with opened(tmp_path) as store:
        put(store, SAID[0])
        put(store, entry_of(other, 1), symbol="ABC")
        put(store, SAID[1])
        put(store, symbol="EMPTY")
        with store.read() as connection:
            assert symbols(connection) == ["ABC", "EMPTY", "XYZ"]
        assert [(each.symbol, each.number) for each in read(store)] == [
            ("ABC", 1),
            ("XYZ", 1),
            ("XYZ", 2),
        ]
        assert verified(store) == []


def test_the_chain_can_be_followed_without_this_program(tmp_path):
    with opened(tmp_path) as store:
        put(store, *SAID)
    with closing(sqlite3.connect(tmp_path / "belief.db")) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM ledger ORDER BY number")]
        head = connection.execute("SELECT length, head FROM chains").fetchone()
    previous = START
    for row in rows:
        digest = row.pop("digest")
        row["live"] = bool(row["live"])
        assert row["previous"] == previous
        previous = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
        assert digest == previous
    assert tuple(head) == (6, previous)


# reading


def test_entries_are_chosen_by_symbol_kind_and_age(tmp_path):
    later = dataclasses.replace(entry_of(made(symbol="ABC"), 1), made_at="2023-01-02T11:00:00")
    with opened(tmp_path) as store:
        put(store, later, symbol="ABC")
        put(store, *SAID)
        assert [each.symbol for each in read(store)] == ["XYZ"] * 6 + ["ABC"]
        assert [each.number for each in read(store, symbol="XYZ", newest=2)] == [5, 6]
        assert [each.symbol for each in read(store, newest=2)] == ["XYZ", "ABC"]
        assert [each.number for each in read(store, kind="answer")] == [6]
        target = SAID[1].target
        due = read(store, symbol="XYZ", unscored_through=target)
        assert [each.number for each in due] == [1, 2, 6]


def test_an_entry_is_found_by_the_beginning_of_its_name(tmp_path):
    twins = [dataclasses.replace(SAID[0], name=f"abcdef99000{k}") for k in range(2)]
    with opened(tmp_path) as store:
        put(store, *SAID, *twins)
        with store.read() as connection:
            for name in ("abcdef012345", "abcdef0", "  ABCDEF0 "):
                assert entry_named(connection, name).entry == SAID[-1]
            assert entry_named(connection, "abcdef990001").entry == twins[1]
            assert entry_named(connection, SAID[2].name).number == 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("abcdef", "abcdef begins more than one entry"),
        ("0000feed", "the ledger has no entry 0000feed"),
        ("abc", "'abc' names no entry; give at least 4"),
        ("", "'' names no entry"),
        ("abcd%", "'abcd%' names no entry"),
        ("abcd_f", "'abcd_f' names no entry"),
        ("%%%%", "'%%%%' names no entry"),
        ("abcd\nef", r"'abcd\\nef' names no entry"),
        ("ab'; DROP TABLE ledger", "names no entry"),
        ("ábcdef", "the ledger has no entry ábcdef"),
    ],
)
def test_a_name_that_stands_for_no_entry_or_for_several_is_refused(tmp_path, name, words):
    with opened(tmp_path) as store:
        put(store, SAID[-1], dataclasses.replace(SAID[0], name="abcdef990000"))
        with store.read() as connection, pytest.raises(UsageError, match=words) as error:
            entry_named(connection, name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "damage",
    [
        "body = '{}'",
        "body = '[]'",
        "body = '7'",
        "body = 'x'",
        "horizon = NULL",
        "horizon = 'soon'",
        "target = 'xx'",
        "target = '2024-02-31'",
        "made_at = 7",
        "live = 7",
    ],
)
def test_a_damaged_entry_is_not_read_and_told_in_one_line(tmp_path, damage):
    with opened(tmp_path) as store:
        put(store, *SAID)
    tamper(tmp_path, f"UPDATE ledger SET {damage} WHERE number = 2")
    with opened(tmp_path) as store, pytest.raises(StoreError) as error:
        read(store)
    assert one_line(error) == "an entry of the ledger is damaged; belief ledger verify names it"


def test_a_score_in_words_is_not_read_and_told_in_one_line(tmp_path):
    with opened(tmp_path) as store, store.write() as connection:
        save_prices(connection, made(70))
        append(connection, "XYZ", [entry_of(made(70).until(made(70).session[59]), 1)])
        score_due(connection, "XYZ", made(70), MADE_AT)
    tamper(tmp_path, "UPDATE scores SET crps = 'abc'")
    with opened(tmp_path) as store, pytest.raises(StoreError) as error:
        read(store)
    assert one_line(error) == "a score of the ledger is damaged; belief ledger verify names it"


@pytest.mark.parametrize(
    "body", [{}, [], {"quantiles": [0.1], "last_close": 1.0}, {"quantiles": "x", "last_close": 1.0}]
)
def test_an_entry_that_holds_no_forecast_is_told_in_one_line(body):
    entry = dataclasses.replace(SAID[0], body=body)
    with pytest.raises(StoreError) as error:
        forecast_in(Recorded("XYZ", 1, entry, None))
    assert one_line(error).startswith(f"entry {entry.name} of the ledger is damaged")
    with pytest.raises(UsageError) as error:
        forecast_in(Recorded("XYZ", 1, SAID[-1], None))
    assert one_line(error) == "entry abcdef012345 forecasts nothing; it is of kind answer"


def test_the_name_of_a_forecast_follows_from_all_of_its_model():
    target = session_after(PRICES.as_of, 1)
    names = {
        forecast_id(model_of(PRICES), target),
        forecast_id(model_of(PRICES, number=np.nextafter(0.0, 1.0)), target),
        forecast_id(model_of(PRICES), session_after(PRICES.as_of, 2)),
    }
    assert len(names) == 3
