"""The store: nothing lost, nothing half done, nothing that a message gives away."""

import contextlib
import dataclasses
import datetime
import json
import multiprocessing
import os
import sqlite3
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import String, func, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from stored import day, entry_of, made, model_of, opened, publication_of, tamper

from belief import store as stored
from belief import store_schema as schema
from belief.audit import Finding
from belief.errors import BeliefError, PricesError, StoreError, UsageError
from belief.events import Events
from belief.ledger import append, breaks, entries
from belief.paths import store_location
from belief.prices import COLUMNS, Split
from belief.sources import load_prices
from belief.store import load_prices as load_stored
from belief.store import (
    open_store,
    publish,
    published,
    save_findings,
    save_prices,
    store_exists,
)

NOW = datetime.datetime(2024, 6, 8, 1, 2, 3, 456, tzinfo=datetime.UTC)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and "Traceback" not in text
    return text


def keep(store, prices):
    with store.write() as connection:
        save_prices(connection, prices)


def kept(store, symbol="XYZ"):
    with store.read() as connection:
        return load_stored(connection, symbol)


def assert_same(found, wanted):
    for field in dataclasses.fields(wanted):
        was, now = getattr(wanted, field.name), getattr(found, field.name)
        if field.name in COLUMNS or field.name == "session":
            assert (was.dtype, was.tobytes()) == (now.dtype, now.tobytes()), field.name
        elif field.name == "events":
            assert was.as_text() == now.as_text()
        else:
            assert was == now, field.name
    assert found.fingerprint() == wanted.fingerprint()


# prices


def eventful():
    plain = made(80)
    splits = (Split(plain.session[20], 1.5), Split(plain.session[50], 1 / 3))
    ahead = np.array([plain.session[10], plain.session[70], day("2023-11-21")])
    return made(80, splits=splits, events=Events(ahead))


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
def test_damaged_prices_are_refused_in_one_line(tmp_path, statement):
    with opened(tmp_path) as store:
        keep(store, eventful())
    if "events" in statement:
        tamper(tmp_path, "DELETE FROM events WHERE session > '2023-02-01'")
    tamper(tmp_path, statement)
    with opened(tmp_path) as store, pytest.raises(PricesError) as error:
        kept(store)
    assert "the prices of XYZ in the store are damaged: " in one_line(error)


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


def put_in_service(store, *publications):
    with store.write() as connection:
        for each in publications:
            publish(connection, each)


def serving(store, as_of=None):
    with store.read() as connection:
        return published(connection, "XYZ", as_of)


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


# versions


def version_of(store):
    with store.read() as connection:
        return connection.execute(
            select(schema.migrations).order_by(schema.migrations.c.number)
        ).all()


def tables_of(store):
    with store.read() as connection:
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master ORDER BY name").all()
    return [row.sql for row in rows]


def test_an_empty_file_becomes_a_store_with_every_table(tmp_path):
    (tmp_path / "belief.db").touch()
    with opened(tmp_path) as store:
        with store.read() as connection:
            assert set(inspect(connection).get_table_names()) == set(schema.METADATA.tables)
        assert version_of(store) == [
            (1, "prices_and_models"),
            (2, "ledger_and_scores"),
            (3, "audit_findings"),
        ]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_store_is_brought_up_to_date_with_all_it_holds(tmp_path, monkeypatch, version):
    prices, entry = eventful(), entry_of(made(), 5)
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:version])
        with opened(tmp_path) as store:
            assert len(version_of(store)) == version
            keep(store, prices)
            put_in_service(store, publication_of(prices))
            if version > 1:
                with store.write() as connection:
                    append(connection, "XYZ", [entry])
    with opened(tmp_path) as store, open_store(str(tmp_path / "fresh.db")) as fresh:
        assert tables_of(store) == tables_of(fresh)
        assert version_of(store) == version_of(fresh)
        assert_same(kept(store), prices)
        assert serving(store).fitted.digest() == model_of(prices).digest()
        with store.write() as connection:
            assert append(connection, "XYZ", [entry]) == (1 if version == 1 else 0)
            assert list(breaks(connection)) == []


def test_a_migration_that_fails_leaves_the_older_store_as_it_was(tmp_path, monkeypatch):
    def half_done(connection):
        schema.METADATA.create_all(connection, tables=[schema.chains])
        connection.exec_driver_sql("nonsense")

    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        with opened(tmp_path) as store:
            keep(store, made())
        older.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], half_done))
        with pytest.raises(StoreError) as error:
            opened(tmp_path)
        assert "nonsense" in one_line(error)
    with opened(tmp_path) as store:
        assert len(version_of(store)) == 3
        assert_same(kept(store), made())


def test_a_store_of_a_later_version_is_refused_and_left_alone(tmp_path):
    with opened(tmp_path) as store:
        keep(store, made())
    tamper(tmp_path, "INSERT INTO migrations VALUES (4, 'from_the_future')")
    with pytest.raises(StoreError) as error:
        opened(tmp_path)
    assert "the store is of version 4, and this program knows versions up to 3" in one_line(error)


# what cannot be opened


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    content = b"Date,Open,High,Low,Close\n" * 200
    (tmp_path / "belief.db").write_bytes(content)
    with pytest.raises(StoreError) as error:
        opened(tmp_path)
    assert "belief.db failed: file is not a database" in one_line(error)
    assert (tmp_path / "belief.db").read_bytes() == content


def test_the_database_of_another_program_is_refused_and_gets_no_tables(tmp_path):
    tamper(tmp_path, "CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(StoreError) as error:
        opened(tmp_path)
    assert "it has a table 'bookmarks' of another program" in one_line(error)
    with contextlib.closing(sqlite3.connect(tmp_path / "belief.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("bookmarks",)]


@pytest.mark.parametrize("where", ["file/belief.db", "folder", "file/sub/belief.db"])
def test_a_place_where_no_file_can_be_is_refused(tmp_path, where):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError) as error:
        open_store(str(tmp_path / where))
    assert where.partition("/")[0] in one_line(error)


@contextlib.contextmanager
def without_privileges():
    """Be nobody for a while, where the tests run as root: root may write everywhere."""
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if was_root:
            os.seteuid(0)


@pytest.fixture
def public_folder():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


def test_a_folder_without_permission_is_refused(public_folder):
    with opened(public_folder):
        pass
    closed = public_folder / "closed"
    closed.mkdir(mode=0o755)
    closed.chmod(0o555)
    (public_folder / "secret").mkdir()
    (public_folder / "secret" / "belief.db").touch()
    (public_folder / "secret").chmod(0)
    with without_privileges():
        for where in (closed / "belief.db", public_folder / "secret" / "belief.db"):
            with pytest.raises(StoreError) as error:
                open_store(str(where))
            assert "unable to open database file" in one_line(error)
        with pytest.raises(StoreError) as error:
            open_store(str(closed / "deeper" / "belief.db"))
        assert "cannot be made: Permission denied" in one_line(error)
        # it may well be there, so it is not passed over
        assert store_exists(str(public_folder / "secret" / "belief.db"))
    (public_folder / "secret").chmod(0o755)


def test_a_file_that_may_only_be_read_takes_nothing_in(public_folder):
    with opened(public_folder) as store:
        keep(store, made())
    (public_folder / "belief.db").chmod(0o444)
    public_folder.chmod(0o777)
    with without_privileges(), pytest.raises(StoreError) as error:
        with opened(public_folder) as store:
            keep(store, made(50))
    assert "readonly database" in one_line(error)
    with opened(public_folder) as store:
        assert_same(kept(store), made())


# where it is


def test_the_store_is_where_the_environment_says(tmp_path, monkeypatch):
    for where in (str(tmp_path / "a.db"), "sqlite:////tmp/a.db", "postgresql://host/name"):
        monkeypatch.setenv("BELIEF_STORE", where)
        assert store_location() == where
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("BELIEF_STORE", "")
    assert Path(store_location()).name == "belief.db"
    monkeypatch.delenv("BELIEF_STORE")
    assert Path(store_location()).name == "belief.db"


def test_a_path_a_relative_path_and_a_url_name_the_same_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "deep" / "er" / "belief.db"
    assert not store_exists(str(path))
    with open_store(str(path)) as store:
        keep(store, made())
    for where in ("deep/er/belief.db", "~/deep/er/belief.db", f"sqlite:///{path}"):
        assert store_exists(where)
        with open_store(where) as store:
            assert_same(kept(store), made())
            assert store.lock_path("XYZ").resolve() == path.with_name("belief.db.XYZ.lock")


def test_a_home_that_nobody_has_is_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_store("~nobody-of-this-name/belief.db"):
        assert (tmp_path / "~nobody-of-this-name" / "belief.db").is_file()


@pytest.mark.parametrize(
    "where",
    [
        "http://user:hush@host/name",
        "postgres://user:hush@host/name",
        "postgresql+nothing://user:hush@host/name",
        "postgresql://user:hush@host:port/name",
        "postgresql://user:my@hush@host/name",
        "postgresql+hush://user:hush",
        "://hush",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite://user:hush@host/name",
        "sqlite://tmp/belief.db",
        "sqlite:////tmp/belief.db?timeout=hush",
        "sqlite+nothing:////tmp/belief.db",
    ],
)
def test_a_url_that_names_no_database_is_refused_without_its_password(where):
    with pytest.raises(BeliefError) as error:
        open_store(where)
    said = one_line(error)
    assert "BELIEF_STORE" in said
    assert "user:hush" not in said and "hush@" not in said and not said.endswith("hush")
    assert isinstance(error.value, UsageError)


@pytest.mark.parametrize(
    "where",
    [
        "postgresql+psycopg://user:hush@127.0.0.1:1/name",
        "postgresql+psycopg://127.0.0.1:1/name?user=user&password=hush",
        "postgresql+pg8000://user:hush@127.0.0.1:1/name",
    ],
)
def test_a_database_that_cannot_be_reached_is_refused_without_the_password(where):
    assert store_exists(where)
    with pytest.raises((StoreError, UsageError)) as error:  # the driver may not be installed
        open_store(where)
    assert "127.0.0.1" in one_line(error)
    assert "hush" not in one_line(error)


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
    monkeypatch.setattr(stored, "BUSY_SECONDS", 0.05)
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


# other databases

PORTABLE = {"INTEGER", "TEXT", "BOOLEAN", "DATE", "DOUBLE PRECISION", "VARCHAR"}


@pytest.mark.parametrize("table", schema.METADATA.sorted_tables, ids=str)
def test_every_table_can_be_made_in_postgresql(table):
    dialect = postgresql.dialect()
    made_by = str(CreateTable(table).compile(dialect=dialect))
    indexes = [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    assert made_by.strip().startswith(f"CREATE TABLE {table.name} (")
    assert '"' not in made_by + "".join(indexes), "a name needs quotes"
    for column in table.columns:
        name = column.type.compile(dialect=dialect).partition("(")[0]
        assert name in PORTABLE, column
        assert column.server_default is None, column
    for name in (table.name, *table.columns.keys(), *(index.name for index in table.indexes)):
        assert name == name.lower() and len(name) <= 63


def test_no_text_is_longer_than_its_column(tmp_path):
    """SQLite takes any length; PostgreSQL does not."""
    prices = load_prices("NVDA").until(day("2024-06-07"))
    finding = Finding(day("2024-06-07"), "overlap changed", "x" * 500, "refused", "y" * 500)
    with opened(tmp_path) as store:
        with store.write() as connection:
            save_prices(connection, prices)
            publish(connection, publication_of(prices))
            append(connection, "NVDA", [entry_of(prices, 1)])
            save_findings(connection, "NVDA", [finding], stored.utc(NOW))
        with store.read() as connection:
            for table in schema.METADATA.sorted_tables:
                for column in table.columns:
                    if isinstance(column.type, String) and column.type.length:
                        longest = connection.scalar(select(func.max(func.length(column))))
                        assert (longest or 0) <= column.type.length, column
