"""Opening a store: older ones, what is none, and nothing that a message gives away."""

import contextlib
import datetime
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import String, func, inspect, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
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

from belief import store as stored
from belief import store_schema as schema
from belief.audit import Finding
from belief.errors import BeliefError, StoreError, UsageError
from belief.ledger import append, breaks
from belief.paths import store_location
from belief.sources import load_prices
from belief.store import (
    open_store,
    publish,
    save_findings,
    save_prices,
    store_exists,
)

NOW = datetime.datetime(2024, 6, 8, 1, 2, 3, 456, tzinfo=datetime.UTC)


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
    with without_privileges(), opened(public_folder) as store:
        with pytest.raises(StoreError) as error:
            keep(store, made(50))
        assert "cannot be changed: its file may not be written" in one_line(error)
        assert_same(kept(store), made())
    assert [path.name for path in public_folder.iterdir()] == ["belief.db"]
    with opened(public_folder) as store:
        assert_same(kept(store), made())


def test_a_store_in_a_folder_that_may_only_be_read_can_be_read(public_folder):
    with opened(public_folder) as store:
        keep(store, made())
    public_folder.chmod(0o555)
    with without_privileges(), opened(public_folder) as store:
        assert_same(kept(store), made())
        with pytest.raises(StoreError) as error:
            keep(store, made(50))
        assert "cannot be changed: its f" in one_line(error)


def test_what_a_writer_has_just_written_is_read_where_nothing_may_be_written(public_folder):
    with opened(public_folder) as writer:
        keep(writer, made())
        for path in public_folder.iterdir():
            path.chmod(0o444)
        public_folder.chmod(0o555)
        with without_privileges(), opened(public_folder) as store:
            assert_same(kept(store), made())
        keep(writer, made(50))
        with without_privileges(), opened(public_folder) as store:
            assert_same(kept(store), made(50))


def test_an_older_store_that_may_only_be_read_is_refused_in_one_line(public_folder, monkeypatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        opened(public_folder).close()
    (public_folder / "belief.db").chmod(0o444)
    with without_privileges(), pytest.raises(StoreError) as error:
        opened(public_folder)
    assert "cannot be changed" in one_line(error)


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


def test_a_store_that_is_reached_by_a_link_has_the_lock_of_the_store(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "link.db").symlink_to(tmp_path / "belief.db")
    (tmp_path / "folder").symlink_to(tmp_path)
    with opened(tmp_path) as store:
        wanted = store.lock_path("XYZ")
    for where in ("other/link.db", "folder/belief.db"):
        with open_store(str(tmp_path / where)) as store:
            assert store.lock_path("XYZ") == wanted


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
        "postgresql:/user:hush@host/name",
        "postgresql+psycopg:/user:hush@host/name",
        "PostgreSQL:user:hush@host/name",
        "mysql:/hush",
        "user:hush@host://name",
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
    assert "hush" not in said.replace("+hush:", "")
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
