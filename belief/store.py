"""The store: prices, published models, the ledger and its scores in one database.

SQLite in the user's data directory by default, any other database by URL.
"""

import datetime
import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, Row, Table, bindparam, delete, func, insert, select

from belief import store_schema as schema
from belief.audit import Finding
from belief.errors import PricesError, StoreError, UsageError
from belief.events import Events
from belief.fitted_model import FittedModel
from belief.prices import COLUMNS, Prices, Split
from belief.store_opening import Store, open_store, store_exists

__all__ = [
    "Publication",
    "Store",
    "day",
    "load_prices",
    "open_store",
    "publish",
    "published",
    "save_findings",
    "save_prices",
    "standing",
    "store_exists",
    "symbols",
    "utc",
]

Days = npt.NDArray[np.datetime64]
_Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Publication:
    """A model in service, and since when.

    Attributes:
        fitted: the model, known through `session`.
        session: the last session it knew when it was published.
        prices_fingerprint: of the prices it was fitted to.
        code_fingerprint: of the program that fitted it.
        published_at: ISO 8601 moment, UTC.
    """

    fitted: FittedModel
    session: np.datetime64
    prices_fingerprint: str
    code_fingerprint: str
    published_at: str


def utc(moment: datetime.datetime) -> str:
    """Write a moment down, to the second, UTC."""
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def day(value: np.datetime64) -> datetime.date:
    """A session as the database has it."""
    found: datetime.date = value.astype("datetime64[D]").item()
    return found


def symbols(connection: Connection) -> list[str]:
    """The symbols that have prices, in order."""
    table = schema.symbols
    return list(connection.scalars(select(table.c.symbol).order_by(table.c.symbol)))


def names(connection: Connection) -> dict[str, str]:
    """The companies' names of the symbols that have prices, in order."""
    table = schema.symbols
    rows = connection.execute(select(table.c.symbol, table.c.name).order_by(table.c.symbol))
    return {row.symbol: row.name for row in rows}


def standing(connection: Connection, symbol: str) -> tuple[Hashable, ...]:
    """What tells a symbol's prices, model and scores from those of another time, at little cost.

    Args:
        connection: of `Store.read`.
        symbol: upper case.

    Returns:
        Numbers and days to compare with those of another time, and for nothing else.
    """
    return tuple(
        value for query in _standing(symbol) for row in connection.execute(query) for value in row
    )


def _standing(symbol: str) -> Iterator[Any]:
    """Queries for what is known of it, the newest model, the scores, and rows with their sums."""
    about, made, marks = schema.symbols, schema.publications, schema.scores
    yield select(about).where(about.c.symbol == symbol)
    yield select(func.max(made.c.number)).where(made.c.symbol == symbol)
    yield select(func.count(), func.max(marks.c.scored_at)).where(marks.c.symbol == symbol)
    for table, summed in ((schema.prices, COLUMNS), (schema.splits, ("ratio",))):
        sums = (func.sum(table.c[name]) for name in summed)
        yield select(func.count(), func.max(table.c.session), *sums).where(table.c.symbol == symbol)
    table = schema.events
    yield select(func.count(), func.max(table.c.session)).where(table.c.symbol == symbol)


# ---- prices ----


def load_prices(connection: Connection, symbol: str) -> Prices | None:
    """Read the prices of a symbol.

    Args:
        connection: of `Store.read` or `Store.write`.
        symbol: upper case.

    Returns:
        Prices as traded, or None when the store has none.

    Raises:
        PricesError: what the store has is damaged.
    """
    try:
        return _read_prices(connection, symbol)
    except (PricesError, UsageError, ValueError, TypeError) as error:
        raise PricesError(f"the prices of {symbol} in the store are damaged: {error}") from None


def _read_prices(connection: Connection, symbol: str) -> Prices | None:
    about = connection.execute(
        select(schema.symbols).where(schema.symbols.c.symbol == symbol)
    ).one_or_none()
    table = schema.prices
    rows = connection.execute(
        select(table.c.session, *(table.c[name] for name in COLUMNS))
        .where(table.c.symbol == symbol)
        .order_by(table.c.session)
    ).all()
    if about is None or not rows:
        return None
    session, *columns = zip(*rows, strict=True)
    return Prices(
        symbol=about.symbol,
        name=about.name,
        currency=about.currency,
        session=np.array(session, dtype="datetime64[D]"),
        **{
            name: np.array(values, dtype=np.float64)
            for name, values in zip(COLUMNS, columns, strict=True)
        },
        splits=_splits(connection, symbol),
        source=about.source,
        splits_known=about.splits_known,
        retrieved_at=about.retrieved_at,
        events=Events(_days(connection, schema.events, symbol)),
    )


def _days(connection: Connection, table: Table, symbol: str) -> Days:
    found = connection.scalars(
        select(table.c.session).where(table.c.symbol == symbol).order_by(table.c.session)
    )
    return np.array(list(found), dtype="datetime64[D]")


def _splits(connection: Connection, symbol: str) -> tuple[Split, ...]:
    table = schema.splits
    rows = connection.execute(
        select(table.c.session, table.c.ratio)
        .where(table.c.symbol == symbol)
        .order_by(table.c.session)
    )
    return tuple(Split(np.datetime64(session, "D"), ratio) for session, ratio in rows)


def save_prices(connection: Connection, prices: Prices) -> None:
    """Keep prices in place of what the store has of the symbol; rows that are equal stay.

    Args:
        connection: of `Store.write`.
        prices: as traded, the whole history.
    """
    table = schema.symbols
    about = {
        "symbol": prices.symbol,
        "name": prices.name,
        "currency": prices.currency,
        "source": prices.source,
        "splits_known": prices.splits_known,
        "retrieved_at": prices.retrieved_at,
    }
    known = table.update().where(table.c.symbol == prices.symbol)
    if not connection.execute(known, about).rowcount:
        connection.execute(insert(table), about)
    kept = _sound_prices(connection, prices.symbol)
    for held, rows_of in (
        (schema.prices, _price_rows),
        (schema.splits, _split_rows),
        (schema.events, _event_rows),
    ):
        if kept is None:
            connection.execute(delete(held).where(held.c.symbol == prices.symbol))
        before = [] if kept is None else rows_of(kept)
        _replace(connection, held, prices.symbol, before, rows_of(prices))


def _sound_prices(connection: Connection, symbol: str) -> Prices | None:
    """What the store has of the symbol; None when it is damaged, so that all of it is replaced."""
    try:
        return load_prices(connection, symbol)
    except PricesError:
        return None


def _price_rows(prices: Prices) -> list[_Row]:
    columns = [getattr(prices, name).tolist() for name in COLUMNS]
    return [
        {"session": session, **dict(zip(COLUMNS, values, strict=True))}
        for session, *values in zip(prices.session.tolist(), *columns, strict=True)
    ]


def _split_rows(prices: Prices) -> list[_Row]:
    return [{"session": day(split.session), "ratio": split.ratio} for split in prices.splits]


def _event_rows(prices: Prices) -> list[_Row]:
    return [{"session": day(session)} for session in prices.events.session]


def _replace(
    connection: Connection, table: Table, symbol: str, kept: list[_Row], rows: list[_Row]
) -> None:
    """Put rows of a symbol in place of those that are kept, and leave equal ones alone."""
    old = {row["session"]: row for row in kept}
    new = {row["session"]: row for row in rows}
    stale = [{"stale": each} for each in old if old[each] != new.get(each)]
    fresh = [{"symbol": symbol, **new[each]} for each in new if new[each] != old.get(each)]
    if stale:
        this = (table.c.symbol == symbol) & (table.c.session == bindparam("stale"))
        connection.execute(delete(table).where(this), stale)
    if fresh:
        connection.execute(insert(table), fresh)


def save_findings(
    connection: Connection, symbol: str, found: Sequence[Finding], found_at: str
) -> None:
    """Write down what an audit found, unless an earlier one found just that.

    Args:
        connection: of `Store.write`.
        symbol: upper case.
        found: the findings.
        found_at: ISO 8601 moment, UTC.
    """
    table = schema.findings
    names = ("session", "rule", "value", "outcome", "action")
    known = {
        tuple(row)
        for row in connection.execute(
            select(*(table.c[name] for name in names)).where(table.c.symbol == symbol)
        )
    }
    rows = [
        (
            None if each.session is None else day(each.session),
            each.rule,
            each.value,
            each.outcome,
            each.action,
        )
        for each in found
    ]
    for row in dict.fromkeys(rows):
        if row not in known:
            values = dict(zip(names, row, strict=True))
            connection.execute(insert(table), {"symbol": symbol, "found_at": found_at, **values})


# ---- models ----


def publish(connection: Connection, publication: Publication) -> None:
    """Put a model in service.

    Args:
        connection: of `Store.write`.
        publication: the model; its symbol has prices in the store.
    """
    digest = publication.fitted.digest()
    symbol = publication.fitted.symbol
    models, body = schema.models, publication.fitted.to_json()
    kept = connection.scalar(select(models.c.body).where(models.c.digest == digest))
    if kept is None:
        connection.execute(insert(models), {"digest": digest, "symbol": symbol, "body": body})
    elif kept != body:  # it was damaged
        connection.execute(models.update().where(models.c.digest == digest).values(body=body))
    connection.execute(
        insert(schema.publications),
        {
            "symbol": symbol,
            "session": day(publication.session),
            "model": digest,
            "prices_fingerprint": publication.prices_fingerprint,
            "code_fingerprint": publication.code_fingerprint,
            "published_at": publication.published_at,
        },
    )


def published(
    connection: Connection, symbol: str, as_of: np.datetime64 | None = None
) -> Publication | None:
    """Find the model in service.

    Args:
        connection: of `Store.read` or `Store.write`.
        symbol: upper case.
        as_of: a session; only models that knew nothing later serve. None for the newest.

    Returns:
        The publication made last of those for the latest session, or None.

    Raises:
        StoreError: the publication or its model is damaged, or this program cannot read it.
    """
    table = schema.publications
    query = (
        select(table, schema.models.c.body)
        .join(schema.models, schema.models.c.digest == table.c.model)
        .where(table.c.symbol == symbol)
        .order_by(table.c.session.desc(), table.c.number.desc())
        .limit(1)
    )
    if as_of is not None:
        query = query.where(table.c.session <= day(as_of))
    try:
        row = connection.execute(query).one_or_none()
        return None if row is None else _publication(symbol, row)
    except (ValueError, TypeError):  # such as a session that is no day
        raise StoreError(
            f"a publication of {symbol} in the store is damaged; run belief refit {symbol}"
        ) from None


def _publication(symbol: str, row: Row[Any]) -> Publication:
    said = (row.prices_fingerprint, row.code_fingerprint, row.published_at, row.body)
    if not all(isinstance(text, str) for text in said):
        raise TypeError("a text is not one")
    return Publication(
        fitted=_read_model(row.body, row.model, f"{symbol} published at {row.published_at}"),
        session=np.datetime64(row.session, "D"),
        prices_fingerprint=row.prices_fingerprint,
        code_fingerprint=row.code_fingerprint,
        published_at=row.published_at,
    )


def _read_model(body: str, digest: str, named: str) -> FittedModel:
    if hashlib.sha256(body.encode()).hexdigest() != digest:
        raise StoreError(f"the model of {named} is damaged: its digest differs; run belief refit")
    try:
        return FittedModel.from_json(body)
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"the model of {named} is one that this program cannot read; run belief refit"
        ) from None
