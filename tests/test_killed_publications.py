"""A small case of the killed publications, and that each of its faults would be seen."""

import sys
from pathlib import Path

import pytest

from belief.ledger import append
from belief.store import Publication, open_store, publish, save_prices

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import killed_publications as script
from killed_publications import KINDS, Seen, Told


def test_a_dozen_killed_publications_lose_nothing(tmp_path):
    counts, faults = script.run(12, tmp_path, seed=1)
    assert faults == []
    for kind in KINDS:
        assert counts[f"killed: {kind}"] == 4
    assert counts["publications done"] > 0
    assert sum(counts[name] for name in counts if name.startswith("publications refused")) >= 4
    cut_short = [counts[f"last seen at: {stage}"] for stage in script.STAGES]
    assert sum(cut_short) > 0


def published(connection, number):
    prices = script.prices_of(number)
    fitted = script.model_of(number, prices, size=8)
    save_prices(connection, prices)
    made = (prices.as_of, prices.fingerprint(), script.CODE, script.MOMENT)
    publish(connection, Publication(fitted, *made))
    append(connection, script.SYMBOL, script.said_of(fitted, prices))


@pytest.fixture
def connection(tmp_path):
    with open_store(str(tmp_path / "belief.db")) as store, store.write() as connection:
        published(connection, 0)
        published(connection, 1)
        yield connection


def test_whole_publications_have_no_fault(connection):
    assert script.inspected(connection) == Seen(1, [])
    save_prices(connection, script.prices_of(2))
    assert script.inspected(connection) == Seen(1, [])


def test_prices_may_be_there_before_the_first_publication(tmp_path):
    with open_store(str(tmp_path / "belief.db")) as store, store.write() as connection:
        assert script.inspected(connection) == Seen(-1, [])
        save_prices(connection, script.prices_of(0))
        assert script.inspected(connection) == Seen(-1, [])
        save_prices(connection, script.prices_of(1))
        assert len(script.inspected(connection).faults) == 1


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DELETE FROM publications WHERE number = 1", "2 publications left"),
        ("DELETE FROM publications WHERE number = 2", "1 publications left"),
        ("UPDATE ledger SET horizon = 9 WHERE number = 2", "entry 2: what it says"),
        ("UPDATE publications SET prices_fingerprint = 'x'", "the model in service is not that"),
    ],
)
def test_what_is_missing_or_changed_is_a_fault(connection, statement, fault):
    connection.exec_driver_sql(statement)
    assert any(each.startswith(fault) for each in script.inspected(connection).faults)


def test_a_model_without_its_forecasts_is_a_fault(connection):
    prices = script.prices_of(2)
    fitted = script.model_of(2, prices, size=8)
    made = (prices.as_of, prices.fingerprint(), script.CODE, script.MOMENT)
    publish(connection, Publication(fitted, *made))
    faults = script.inspected(connection).faults
    assert any(each.startswith("3 publications left") for each in faults)
    assert "the last forecasts are not those of the model in service" in faults
    assert "the prices are neither those of publication 2 nor the next ones" in faults


def test_a_store_that_cannot_be_opened_is_a_fault(tmp_path):
    (tmp_path / "belief.db").write_bytes(b"x" * 5000)
    told = []

    class Line:
        send = staticmethod(told.append)

    script.look(str(tmp_path / "belief.db"), Line())
    assert told[0].number == -1
    assert "StoreError" in told[0].faults[0] and "not a database" in told[0].faults[0]


LIFE = [Told("ready", 5), Told("begun", 5), Told("done", 5), Told("begun", 6), Told("model", 6)]


@pytest.mark.parametrize(("number", "well"), [(4, False), (5, True), (6, True), (7, False)])
def test_what_serves_was_begun_and_is_not_older_than_what_was_done(number, well):
    assert (script.judged(LIFE, KINDS[0], Seen(number, []), 4) == []) is well


def test_a_worker_that_did_nothing_leaves_what_was_there():
    assert script.judged(LIFE[:1], KINDS[0], Seen(4, []), 4) == []
    assert script.judged(LIFE[:1], KINDS[0], Seen(5, []), 4) != []
    assert script.judged([], KINDS[0], Seen(4, []), 4) == ["the worker never began"]


def test_a_full_disk_has_to_be_met_and_called_that():
    whole = Seen(5, [])
    refused = Told("failed", 6, "the store x failed: database or disk is full")
    assert script.judged([*LIFE, refused], KINDS[2], whole, 4) == []
    assert script.judged(LIFE, KINDS[2], whole, 4) == ["the disk was never full"]
    other = Told("failed", 6, "no such table: models")
    assert script.judged([*LIFE, other], KINDS[2], whole, 4) != []


def test_every_fault_makes_the_command_fail(monkeypatch, capsys):
    for faults, code in ((["kill 1: lost"], 1), ([], 0)):
        monkeypatch.setattr(script, "run", lambda *_, faults=faults: ({"killed": 3}, faults))
        assert script.main(["--kills", "3"]) == code
    assert "3 kills, 1 faults" in capsys.readouterr().out
