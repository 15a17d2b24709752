"""The ledger's chains: a hand that touches one shows, even one that takes all of it away."""

import dataclasses
import hashlib
import json
import sqlite3
from contextlib import closing

import pytest
from stored import MADE_AT, answer_of, entry_of, made, one_line, opened, publication_of, tamper

from belief.errors import StoreError
from belief.ledger import append, breaks, entries, missing_forecasts
from belief.ledger_scores import score_due
from belief.store import publish, save_prices

PRICES = made()
OWN = {"price": 51.0, "low": 48.0, "high": 55.0, "prob_up": 0.6, "reasons": ["ä"]}
# six entries: at place k a forecast over k sessions, and at the end an answer
SAID = (*(entry_of(PRICES, horizon) for horizon in (1, 2, 3, 4, 5)), answer_of(PRICES, 2, OWN))


def read(store):
    with store.read() as connection:
        return entries(connection)


def verified(store):
    with store.read() as connection:
        return list(breaks(connection))


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


# what is gone as a whole

HORIZONS = (1, 5, 21)


@pytest.fixture
def service(tmp_path):
    """A folder with two publications and their forecasts, the first of each twice."""
    with opened(tmp_path) as store, store.write() as connection:
        save_prices(connection, PRICES)
        for last in (50, 59):
            known = PRICES.until(PRICES.session[last])
            publish(connection, publication_of(known))
            said = [entry_of(known, horizon) for horizon in HORIZONS]
            append(connection, "XYZ", [dataclasses.replace(said[0], live=False)])
            append(connection, "XYZ", [dataclasses.replace(each, live=True) for each in said])
    return tmp_path


def lost(folder):
    with opened(folder) as store, store.read() as connection:
        assert list(breaks(connection)) == []
        return list(missing_forecasts(connection, HORIZONS))


def test_every_publication_has_its_forecasts(service):
    assert lost(service) == []


WITH_HEAD = (
    "UPDATE chains SET length = {length}, "
    "head = (SELECT digest FROM ledger WHERE number = {length})"
)


@pytest.mark.parametrize(
    ("statements", "number", "count"),
    [
        (["DELETE FROM ledger WHERE number > 4", WITH_HEAD.format(length=4)], 5, 3),
        (["DELETE FROM ledger WHERE number > 7", WITH_HEAD.format(length=7)], 8, 1),
        (["DELETE FROM ledger", "DELETE FROM chains"], 1, 3),
    ],
)
def test_a_chain_that_was_cut_short_with_its_end_lacks_what_was_published(
    service, statements, number, count
):
    tamper(service, *statements)
    (found,) = lost(service)
    reason = f"{count} of 3 forecasts published at {MADE_AT} are missing"
    assert found == ("XYZ", number, reason)


def test_a_damaged_publication_is_told_in_one_line(service):
    tamper(service, "UPDATE publications SET session = '2024-02-31'")
    with pytest.raises(StoreError) as error:
        lost(service)
    assert "its session is no day" in one_line(error)
