"""Opening a store: one database, SQLite in a file or any other by URL, and its transactions.

Every change is one transaction: a process killed at any moment leaves what was there before it, or
all of it. An SQLite file that may not be written is read, and only read.
"""

import contextlib
import os
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from belief import store_schema as schema
from belief.errors import StoreError, UsageError
from belief.paths import cache_dir

BUSY_SECONDS: Final = 30.0  # how long a writer waits for another

_SCHEME: Final = re.compile(r"([a-z][a-z0-9+]+):(/|.*@)", re.I | re.S)  # of a URL, however written


class Store:
    """A database that is open, and of the version that this program writes."""

    def __init__(self, engine: Engine, *, closed: str | None = None) -> None:
        """Bring the database up to date; see `open_store`.

        Args:
            engine: of the database.
            closed: why it takes nothing in; None when it does.
        """
        self._engine = engine
        self._closed = closed
        self.name = _shown(engine.url)
        try:
            self._bring_up_to_date()
        except StoreError:
            self.close()
            raise

    def _bring_up_to_date(self) -> None:
        with self.read() as connection:
            current = schema.is_current(connection)
        if not current:
            with self.write() as connection:
                schema.migrate(connection)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Look at the store as it is at one moment.

        Raises:
            StoreError: the database fails.
        """
        with self._told(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Change the store: all of what is done inside, or nothing.

        Raises:
            StoreError: the database fails, is full, may not be written, or another writer does not
                let go of it.
        """
        if self._closed is not None:
            raise StoreError(f"the store {self.name} cannot be changed: {self._closed}")
        with self._told(), self._engine.connect() as connection:
            writing = connection.execution_options(writes=True)
            with writing.begin():
                yield writing

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            raise StoreError(f"the store {self.name} failed: {reason}") from None

    def lock_path(self, symbol: str) -> Path:
        """The file that a process holds while it refits a symbol: beside an SQLite file."""
        if self._engine.url.get_backend_name() == "sqlite":
            # by any name that leads to the file, the lock is one
            return Path(f"{os.path.realpath(self._engine.url.database or '')}.{symbol}.lock")
        folder = cache_dir() / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{symbol}.lock"

    def close(self) -> None:
        """Let go of the database."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(where: str) -> Store:
    """Open a store, make it where there is none, and bring an older one up to date.

    An SQLite file that may not be written, or is in a folder where nothing may be, can be read.

    Args:
        where: the path of an SQLite file, or the URL of a database.

    Returns:
        `Store`; nothing is locked.

    Raises:
        StoreError: it cannot be opened, is no such store, or is of a later version.
        UsageError: the URL makes no sense.
    """
    url = _url(where)
    if url.get_backend_name() != "sqlite":
        return Store(_engine(url))
    path = Path(url.database or "")
    closed = _why_closed(path)
    if closed is not None:
        return Store(_read_only(url, path), closed=closed)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise StoreError(f"the folder of the store {where} cannot be made: {reason}") from None
    return Store(_sqlite(url))


def _why_closed(path: Path) -> str | None:
    """Why a file that is there may not be written; None when it may, or is not there."""
    if not os.path.isfile(path):  # unlike Path's own, this never raises
        return None
    for what, place in (("its file", path), ("its folder", path.parent)):
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            return f"{what} may not be written"
    return None


def store_exists(where: str) -> bool:
    """Say whether there is a store, without making one; a database by URL is taken to be there."""
    url = _url(where)
    if url.get_backend_name() != "sqlite":
        return True
    try:
        return Path(url.database or "").exists()
    except OSError:
        return True  # nobody can say; opening it tells why


def _url(where: str) -> URL:
    found = _SCHEME.match(where)
    if found is None and "://" not in where:
        # unlike Path's own, this never raises
        return URL.create("sqlite", database=os.path.abspath(os.path.expanduser(where)))
    begins = "BELIEF_STORE" if found is None else f"BELIEF_STORE begins with {found[1]}: and"
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise UsageError(
            f"{begins} is no URL of a database; write a path, or postgresql+psycopg://USER@HOST/NAME"
        ) from None
    if "@" in (url.host or ""):
        raise UsageError(f"{begins} has two @; write that of a password as %40")
    if url.get_backend_name() == "sqlite" and not _names_a_file(url):
        raise UsageError(
            f"BELIEF_STORE {_shown(url)} is not the URL of a file; write its path alone"
        )
    return url


def _names_a_file(url: URL) -> bool:
    """Whether an SQLite URL is a path alone: two slashes make its first folder a host."""
    return url.database not in (None, "", ":memory:") and not (url.host or url.query)


def _shown(url: URL) -> str:
    """What may be printed of a URL: without its password, and what else its query may hold."""
    return url.set(query={}).render_as_string(hide_password=True)


def _engine(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, **options)
    except (SQLAlchemyError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"BELIEF_STORE {_shown(url)} cannot be used: {reason}") from None


def _read_only(url: URL, path: Path) -> Engine:
    """An engine that reads a file beside which SQLite may make no files of its own."""
    # without a log of a writer nobody is at it, and SQLite need not ask
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    address = f"file:{urllib.parse.quote(str(path))}?{mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            address, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )

    engine = _engine(url, creator=connect)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _sqlite(url: URL) -> Engine:
    engine = _engine(url, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin where we say so
        _write_ahead(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        # a writer that began as a reader could not wait for another
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: Any) -> None:
    """Let readers read while a writer writes, once and for all, in a file that is new.

    SQLite asks for the whole file at once and does not wait for it: of several that open a new
    store together all but one would be told that it is locked.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)
