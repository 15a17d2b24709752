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
    opened,
    publication_of,
    tamper,
)

from belief.errors import StoreError, UsageError
from belief.ledger import (
    START,
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
from belief.store import publish, save_prices

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


# what shows


@pytest.fixture
def written(tmp_path):
    """A folder with a ledger of six entries, the first two of them and the answer scored."""
    with opened(tmp_path) as store, store.write() as connection:
        whole = made(62)
        save_prices(connection, whole)
        publish(connection, publication_of(PRICES))
        append(connection, "XYZ", SAID)
        score_due(connection, "XYZ", whole, MADE_AT)
        append(connection, "ABC", [entry_of(made(symbol="ABC"), 1)])
    return tmp_path


def first_break(folder):
    with opened(folder) as store:
        found = verified(store)
    assert len(found) == 1 and found[0].symbol == "XYZ", found
    return found[0].number, found[0].reason


def test_a_ledger_that_nobody_touched_is_whole(written):
    with opened(written) as store:
        assert verified(store) == []


CHANGED = {
    "kind": "'answer'",
    "name": "'0123456789ab'",
    "made_at": "'2022-01-02T10:00:00+00:00'",
    "live": "0",
    "model": "'garch_t'",
    "origin": "'2023-01-04'",
    "target": "'2024-01-04'",
    "horizon": "horizon + 1",
    "body": "body || ' '",
    "previous": f"'{'a' * 64}'",
    "digest": f"'{'a' * 64}'",
}


@pytest.mark.parametrize("column", CHANGED)
@pytest.mark.parametrize("number", [1, 3, 6])
def test_a_changed_column_is_found(written, column, number):
    value = "1 - live" if column == "live" else CHANGED[column]
    if (column, number) == ("kind", 6):
        value = "'forecast'"
    tamper(written, f"UPDATE ledger SET {column} = {value} WHERE symbol='XYZ' AND number={number}")
    found, reason = first_break(written)
    assert found == number
    assert reason in (
        "what it says is not what was written",
        "it does not follow the entry before it",
    )


def test_every_column_of_an_entry_is_guarded(written):
    with closing(sqlite3.connect(written / "belief.db")) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(ledger)")}
    assert set(CHANGED) == columns - {"symbol", "number"}


@pytest.mark.parametrize("column", ["origin", "target", "made_at", "body", "horizon", "number"])
@pytest.mark.parametrize("value", ["'soon'", "x'ff00'", "NULL", "-1", "''", "9e999"])
def test_a_column_that_makes_no_sense_is_found_without_a_traceback(written, column, value):
    with closing(sqlite3.connect(written / "belief.db")) as connection:
        try:
            connection.execute(
                f"UPDATE ledger SET {column} = {value} WHERE symbol='XYZ' AND number = 2"
            )
        except sqlite3.IntegrityError:
            return  # the database does not take it
        connection.commit()
    assert first_break(written)[0] in ((1, 2) if column == "number" else (2,))
    if column in ("origin", "target", "body") and value in ("'soon'", "x'ff00'"):
        with opened(written) as store, pytest.raises(StoreError, match="belief ledger verify"):
            read(store)


INSERTED = (
    "INSERT INTO ledger SELECT symbol, {place}, kind, 'slipped in', made_at, live, model, origin, "
    "target, horizon, body, previous, digest FROM ledger WHERE symbol = 'XYZ' AND number = {like}"
)
MOVED = "UPDATE ledger SET number = {to} WHERE symbol = 'XYZ' AND number = {of}"


@pytest.mark.parametrize(
    ("statements", "number", "words"),
    [
        (["DELETE FROM ledger WHERE symbol = 'XYZ' AND number = 1"], 1, "entry 2 comes next"),
        (["DELETE FROM ledger WHERE symbol = 'XYZ' AND number = 4"], 4, "entry 5 comes next"),
        (["DELETE FROM ledger WHERE symbol = 'XYZ' AND number = 6"], 6, "the chain has 6 entries"),
        (["DELETE FROM ledger WHERE symbol = 'XYZ'"], 1, "the chain has 6 entries"),
        (["DELETE FROM chains WHERE symbol = 'XYZ'"], 1, "has no end written down"),
        (
            [MOVED.format(of=3, to=9), MOVED.format(of=4, to=3), MOVED.format(of=9, to=4)],
            3,
            "does not follow",
        ),
        ([INSERTED.format(place=7, like=6)], 7, "does not follow"),
        (
            [
                "UPDATE ledger SET number = number + 10 WHERE symbol = 'XYZ' AND number > 3",
                "UPDATE ledger SET number = number - 9 WHERE symbol = 'XYZ' AND number > 10",
                INSERTED.format(place=4, like=3),
            ],
            4,
            "does not follow",
        ),
        (["UPDATE ledger SET symbol = 'ABC' WHERE symbol = 'XYZ' AND number = 6"], 6, "missing"),
        ([f"UPDATE chains SET head = '{'b' * 64}' WHERE symbol = 'XYZ'"], 6, "ended with"),
        (["UPDATE chains SET length = 5 WHERE symbol = 'XYZ'"], 6, "ended with entry 5"),
        (["UPDATE chains SET length = 7 WHERE symbol = 'XYZ'"], 7, "the chain has 7 entries"),
        (["UPDATE chains SET length = 'many' WHERE symbol = 'XYZ'"], 7, "makes no sense"),
        (
            ["INSERT INTO scores SELECT symbol, 9, scored_at, close, log_return, log_score, crps, "
             "pit, absolute_error, interval_score, brier, covered_50, covered_80, covered_90, "
             "covered_95 FROM scores WHERE number = 1"],
            9,
            "has a score and is not there",
        ),
        (
            # the last entry goes, and the end of the chain with it, but not its score
            ["DELETE FROM ledger WHERE symbol = 'XYZ' AND number = 6",
             "UPDATE chains SET length = 5, head = (SELECT digest FROM ledger WHERE symbol = 'XYZ' "
             "AND number = 5) WHERE symbol = 'XYZ'"],
            6,
            "has a score and is not there",
        ),
        (
            ["DELETE FROM ledger WHERE symbol = 'XYZ'", "DELETE FROM chains WHERE symbol = 'XYZ'"],
            1,
            "has a score and is not there",
        ),
    ],
)  # fmt: skip
def test_a_row_that_went_came_or_moved_is_found(written, statements, number, words):
    tamper(written, *statements)
    if "symbol = 'ABC'" in statements[0]:
        with opened(written) as store:
            found = {each.symbol: each for each in verified(store)}
        assert (found["ABC"].number, found["XYZ"].number) == (2, 6)
        return
    found, reason = first_break(written)
    assert found == number
    assert words in reason


def test_a_forger_who_makes_one_digest_anew_is_found_at_the_entry_behind(written):
    """Without the rest of the chain and its end a new digest is worth nothing."""
    with closing(sqlite3.connect(written / "belief.db")) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM ledger WHERE number = 3").fetchone())
        row.pop("digest")
        row["live"], row["body"] = bool(row["live"]), row["body"].replace("0.0", "0.1")
        digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
        connection.execute(
            "UPDATE ledger SET body = ?, digest = ? WHERE symbol = 'XYZ' AND number = 3",
            (row["body"], digest),
        )
        connection.commit()
    assert first_break(written) == (4, "it does not follow the entry before it")


def test_every_broken_chain_is_named(written):
    tamper(written, "UPDATE ledger SET horizon = 99 WHERE number = 1")
    with opened(written) as store:
        assert [(each.symbol, each.number) for each in verified(store)] == [("ABC", 1), ("XYZ", 1)]


def test_the_name_of_a_forecast_follows_from_all_of_its_model():
    target = session_after(PRICES.as_of, 1)
    names = {
        forecast_id(model_of(PRICES), target),
        forecast_id(model_of(PRICES, number=np.nextafter(0.0, 1.0)), target),
        forecast_id(model_of(PRICES), session_after(PRICES.as_of, 2)),
    }
    assert len(names) == 3
