"""The store: nothing lost, nothing half done, nothing that a message gives away."""

import dataclasses
import json
import multiprocessing
import threading
import time

import pytest
from sqlalchemy import func, select
from stored import (
    assert_same,
    day,
    entry_of,
    eventful,
    keep,
    kept,
    made,
    model_of,
    one_line,
    opened,
    publication_of,
    put_in_service,
    serving,
    tamper,
)

from belief import store_opening
from belief import store_schema as schema
from belief.audit import Finding
from belief.errors import PricesError, StoreError
from belief.events import Events
from belief.ledger import append, breaks, entries
from belief.prices import COLUMNS
from belief.sources import load_prices
from belief.store import load_prices as load_stored
from belief.store import (
    open_store,
    publish,
    save_findings,
    save_prices,
)

# prices


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"splits_known": False, "splits": (), "retrieved_at": None},
        {"name": "Größe; DROP TABLE prices --", "source": "CSV file 'x'"},
    ],
)
def test_prices_come_back_bit_for_bit(tmp_path, changed):
    prices = dataclasses.replace(made(80) if "splits" in changed else eventful(), **changed)
    with opened(tmp_path) as store:
        keep(store, prices)
    with opened(tmp_path) as store:
        assert_same(kept(store), prices)


def test_the_whole_snapshot_comes_back_bit_for_bit(tmp_path):
    nvda = load_prices("NVDA")
    with opened(tmp_path) as store:
        keep(store, nvda)
        assert_same(kept(store, "NVDA"), nvda)


def test_a_store_without_the_symbol_has_no_prices_of_it(tmp_path):
    with opened(tmp_path) as store:
        keep(store, made())
        assert kept(store, "ABC") is None


def test_symbols_do_not_touch_each_other(tmp_path):
    one, other = eventful(), made(40, symbol="ABC", seed=5)
    with opened(tmp_path) as store:
        keep(store, one)
        keep(store, other)
        keep(store, made(30, seed=9))
        assert_same(kept(store, "ABC"), other)


def rows_changed(store, prices):
    """How many rows SQLite wrote or deleted to keep these prices."""
    count = "SELECT total_changes()"
    with store.write() as connection:
        before = connection.exec_driver_sql(count).scalar()
        save_prices(connection, prices)
        return connection.exec_driver_sql(count).scalar() - before


def test_only_rows_that_differ_are_written(tmp_path):
    whole = eventful()
    whole = dataclasses.replace(whole, events=Events(whole.events.session[:2]))
    none = Events(whole.session[:0])
    revised = {name: getattr(whole, name).copy() for name in COLUMNS}
    revised["close"][3] *= 1.0001
    with opened(tmp_path) as store:
        keep(store, whole.until(whole.session[-2]))
        about = 1  # the row of the symbol itself
        assert rows_changed(store, whole.until(whole.session[-2])) == about
        assert rows_changed(store, whole) == about + 1
        assert rows_changed(store, dataclasses.replace(whole, **revised)) == about + 2
        assert rows_changed(store, dataclasses.replace(whole, events=none)) == about + 2 + 2
        assert_same(kept(store), dataclasses.replace(whole, events=none))


def test_prices_that_replace_others_leave_nothing_of_them(tmp_path):
    with opened(tmp_path) as store:
        keep(store, eventful())
        for other in (eventful().until(day("2023-03-01")), made(40, first="2020-01-02", seed=3)):
            keep(store, other)
            assert_same(kept(store), other)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE prices SET close = -1 WHERE rowid = 3",
        "UPDATE prices SET close = 'many' WHERE rowid = 3",
        "UPDATE prices SET session = 'soon' WHERE rowid = 3",
        "UPDATE prices SET session = '2023-01-07' WHERE session = '2023-01-06'",
        "DELETE FROM prices WHERE session BETWEEN '2023-02-01' AND '2023-02-20'",
        "UPDATE splits SET ratio = 0",
        "UPDATE events SET session = '2023-01-07'",
    ],
)
def test_damaged_prices_are_refused_until_they_are_replaced(tmp_path, statement):
    with opened(tmp_path) as store:
        keep(store, eventful())
    if "events" in statement:
        tamper(tmp_path, "DELETE FROM events WHERE session > '2023-02-01'")
    tamper(tmp_path, statement)
    with opened(tmp_path) as store:
        with pytest.raises(PricesError) as error:
            kept(store)
        assert "the prices of XYZ in the store are damaged: " in one_line(error)
        keep(store, eventful())
        assert_same(kept(store), eventful())


def test_a_finding_is_written_once_however_often_it_is_found(tmp_path):
    found = [
        Finding(day("2023-01-04"), "gap", "1 session is missing", "noted", "nothing"),
        Finding(None, "currency", "EUR", "refused", "nothing is taken"),
    ]
    with opened(tmp_path) as store:
        for times in (1, 2):
            with store.write() as connection:
                save_findings(connection, "XYZ", found * times, "2023-01-05T00:00:00+00:00")
                save_findings(connection, "ABC", found[:1], "2023-01-05T00:00:00+00:00")
        with store.read() as connection:
            rows = connection.execute(select(schema.findings)).all()
    assert [(row.symbol, row.rule) for row in rows] == [
        ("XYZ", "gap"),
        ("XYZ", "currency"),
        ("ABC", "gap"),
    ]
    assert [row.session for row in rows][:2] == [day("2023-01-04").item(), None]


# models


def test_a_published_model_comes_back_bit_for_bit(tmp_path):
    given = publication_of(made())
    with opened(tmp_path) as store:
        keep(store, made())
        assert serving(store) is None
        put_in_service(store, given)
    with opened(tmp_path) as store:
        found = serving(store)
    assert found.fitted.digest() == given.fitted.digest()
    theta = given.fitted.parameters["theta"]
    assert found.fitted.parameters["theta"].tobytes() == theta.tobytes()
    for field in ("session", "prices_fingerprint", "code_fingerprint", "published_at"):
        assert getattr(found, field) == getattr(given, field)


def test_the_last_publication_serves_and_an_older_model_may_return(tmp_path):
    prices = made()
    first, second = publication_of(prices), publication_of(prices, number=2.0)
    with opened(tmp_path) as store:
        keep(store, prices)
        for given in (first, second, first):
            put_in_service(store, given)
            assert serving(store).fitted.digest() == given.fitted.digest()


def test_no_model_is_served_that_knew_later_sessions(tmp_path):
    prices = made()
    cuts = [prices.until(prices.session[place]) for place in (30, 59, 45)]
    with opened(tmp_path) as store:
        keep(store, prices)
        put_in_service(store, *(publication_of(cut, number=k) for k, cut in enumerate(cuts)))
        assert serving(store).session == prices.as_of
        for place, wanted in ((29, None), (30, 30), (44, 30), (45, 45), (58, 45), (59, 59)):
            found = serving(store, prices.session[place])
            assert (None if found is None else found.session) == (
                None if wanted is None else prices.session[wanted]
            )


def test_a_damaged_model_is_refused_until_it_is_published_again(tmp_path):
    given = publication_of(made())
    with opened(tmp_path) as store:
        keep(store, made())
        put_in_service(store, given)
    tamper(tmp_path, "UPDATE models SET body = replace(body, '0.333', '0.334')")
    with opened(tmp_path) as store:
        with pytest.raises(StoreError) as error:
            serving(store)
        assert "the model of XYZ published at 2023-01-02" in one_line(error)
        assert "is damaged" in one_line(error)
        put_in_service(store, given)
        assert serving(store).fitted.digest() == given.fitted.digest()


def test_a_model_with_other_fields_than_this_program_has_is_refused_in_one_line(tmp_path):
    class Older:
        symbol = "XYZ"

        def to_json(self):
            return json.dumps({"model": "belief", "parameters": {}})

        digest = model_of(made()).__class__.digest

    with opened(tmp_path) as store:
        keep(store, made())
        put_in_service(store, dataclasses.replace(publication_of(made()), fitted=Older()))
        with pytest.raises(StoreError) as error:
            serving(store)
    assert "this program cannot read; run belief refit" in one_line(error)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE publications SET session = '2024-02-31'",
        "UPDATE publications SET session = 'soon'",
        "UPDATE publications SET session = x'ff00'",
        "UPDATE publications SET published_at = x'ff00'",
        "UPDATE models SET body = x'ff00'",
        "UPDATE models SET body = '[]'",
    ],
)
def test_a_damaged_publication_is_refused_in_one_line(tmp_path, damage):
    with opened(tmp_path) as store:
        keep(store, made())
        put_in_service(store, publication_of(made()))
    tamper(tmp_path, damage)
    with opened(tmp_path) as store, pytest.raises(StoreError) as error:
        serving(store)
    assert "damaged" in one_line(error) and "belief refit" in one_line(error)


# transactions


def test_what_is_done_before_an_error_is_undone(tmp_path):
    with opened(tmp_path) as store:
        keep(store, made())
        for failure in (KeyError, StoreError, KeyboardInterrupt):
            with pytest.raises(failure), store.write() as connection:
                save_prices(connection, made(30, seed=4))
                raise failure("stop")
        assert_same(kept(store), made())
        with pytest.raises(StoreError) as error, store.write() as connection:
            save_prices(connection, made(30, seed=4))
            publish(connection, publication_of(made(symbol="ABC")))
        assert "FOREIGN KEY" in one_line(error)
        assert_same(kept(store), made())


def test_a_database_that_is_full_says_so_and_keeps_what_it_had(tmp_path):
    with opened(tmp_path) as store:
        keep(store, made())
        with pytest.raises(StoreError) as error, store.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
            save_prices(connection, made(300, seed=4))
        assert "database or disk is full" in one_line(error)
        assert_same(kept(store), made())


def test_a_reader_is_not_held_up_by_a_writer_and_sees_what_was_there_before(tmp_path):
    with opened(tmp_path) as store, opened(tmp_path) as other:
        keep(store, made())
        with store.read() as early:
            before = load_stored(early, "XYZ")
            with other.write() as connection:
                save_prices(connection, made(50, seed=1))
                assert_same(kept(store), made())
            assert_same(kept(store), made(50, seed=1))
            assert_same(load_stored(early, "XYZ"), before)


def test_a_writer_that_is_never_let_in_gives_up_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(store_opening, "BUSY_SECONDS", 0.05)
    with opened(tmp_path) as store, opened(tmp_path) as other:
        with store.write(), pytest.raises(StoreError) as error:
            keep(other, made())
        assert "database is locked" in one_line(error)
        keep(other, made())


def append_one_by_one(path, first, n):
    """Entries of its own at the end of one chain; what is known is read before each is written."""
    with open_store(path) as store:
        for number in range(first, first + n):
            with store.write() as connection:
                assert append(connection, "XYZ", [entry_of(made(), 1, number=number)]) == 1
                time.sleep(0.001)


def assert_nothing_was_lost(folder, n):
    with opened(folder) as store, store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.ledger)) == n
        assert list(breaks(connection)) == []
        assert len({each.entry.name for each in entries(connection)}) == n


def test_a_new_store_can_be_opened_by_many_at_once(tmp_path):
    """SQLite switches a new file to its log without waiting: one in ten of these failed."""
    failed = []

    def work(path, together):
        together.wait()
        try:
            open_store(path).close()
        except StoreError as error:
            failed.append(error)

    for each in range(60):
        together = threading.Barrier(6)
        path = str(tmp_path / f"{each}.db")
        threads = [threading.Thread(target=work, args=(path, together)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


def test_threads_that_write_at_once_take_turns_and_lose_nothing(tmp_path):
    failed = []

    def work(first):
        try:
            append_one_by_one(str(tmp_path / "belief.db"), first, 8)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(8 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert_nothing_was_lost(tmp_path, 32)


def test_processes_that_write_at_once_take_turns_and_lose_nothing(tmp_path):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["belief.store", "belief.ledger"])
    workers = [
        context.Process(target=append_one_by_one, args=(str(tmp_path / "belief.db"), 10 * k, 10))
        for k in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert_nothing_was_lost(tmp_path, 30)
