"""The ledger: every forecast and every answer, in the order they were made, never changed.

The entries of a symbol are a chain: each holds the digest of the one before it and a digest of its
own over all it says, so an entry that is changed, moved, left out or slipped in later shows.
"""

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, Select, func, insert, select, union

from belief import store_schema as schema
from belief.errors import StoreError, UsageError
from belief.fitted_model import FittedModel
from belief.forecast import Forecast
from belief.grid_forecast import memory_weights
from belief.models import forecast_id
from belief.prices import Prices
from belief.store import day
from belief.view import View, check_view

START: Final = "0" * 64  # what the first entry of a chain holds as the digest before it
SHORTEST_NAME: Final = 4  # characters by which an entry may be asked for


@dataclass(frozen=True)
class Entry:
    """What was said, before it has a place in the ledger.

    Attributes:
        kind: "forecast", "answer" or "view".
        name: of the forecast, the answer or the view.
        made_at: ISO 8601 moment, UTC.
        live: whether its target was still to come, and no earlier day was asked for.
        model: name of the model that made it; a language model for an answer.
        origin: the last session it knew; None when it forecasts nothing.
        target: the session it is about; None when it forecasts nothing.
        horizon: sessions from origin to target; None when it forecasts nothing.
        body: all else it says, as plain values.
    """

    kind: str
    name: str
    made_at: str
    live: bool
    model: str | None
    origin: np.datetime64 | None
    target: np.datetime64 | None
    horizon: int | None
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Recorded:
    """An entry in its place.

    Attributes:
        symbol: whose chain it is in.
        number: its place there, from 1.
        entry: what it says.
        score: how it came out, by the names of the table of scores; None while it has not.
    """

    symbol: str
    number: int
    entry: Entry
    score: Mapping[str, Any] | None


class Break(NamedTuple):
    """Where a ledger is not what was written: symbol, number of the entry, and what is wrong."""

    symbol: str
    number: int
    reason: str


def is_live(made_at: str, target: np.datetime64) -> bool:
    """Say whether something was said before its target's session began, 9:30 in New York.

    Args:
        made_at: ISO 8601 moment, UTC.
        target: a session.
    """
    return made_at < f"{target}T13:30"


def forecast_entry(
    fitted: FittedModel,
    prices: Prices,
    forecast: Forecast,
    *,
    made_at: str,
    live: bool,
    view: View | None = None,
) -> Entry:
    """Write a forecast down whole, so that it can be scored from the ledger alone.

    Args:
        fitted: the model that made it.
        prices: those it knew.
        forecast: what it said.
        made_at: ISO 8601 moment, UTC.
        live: as `Entry` has it.
        view: a person's view that the forecast has taken in; it is then kept under a model of its
            own, and counts in no track record of the belief.
    """
    mixed = "total_score" in fitted.parameters
    return Entry(
        kind="forecast",
        name=forecast_id(fitted, forecast.target, view),
        made_at=made_at,
        live=live and is_live(made_at, forecast.target),
        model=forecast.model if view is None else f"{forecast.model} with a view",
        origin=forecast.origin,
        target=forecast.target,
        horizon=forecast.horizon,
        body={
            "currency": prices.currency,
            "last_close": forecast.last_close,
            "quantiles": forecast.log_return_quantile.tolist(),
            "memory_weights": memory_weights(fitted.parameters).tolist() if mixed else [],
            "fingerprint": fitted.fingerprint,
            "prices_fingerprint": prices.fingerprint(),
        },
    )


def forecast_of(recorded: Recorded) -> Forecast:
    """The forecast that an entry of that kind holds."""
    entry = recorded.entry
    if entry.origin is None or entry.target is None or entry.horizon is None:
        raise UsageError(f"entry {entry.name} forecasts nothing")
    return Forecast(
        symbol=recorded.symbol,
        model=entry.model or "",
        origin=entry.origin,
        target=entry.target,
        horizon=entry.horizon,
        last_close=float(entry.body["last_close"]),
        log_return_quantile=np.array(entry.body["quantiles"], dtype=np.float64),
    )


def view_entry(forecast: Recorded, view: View, note: str, *, made_at: str) -> Entry:
    """Write a person's view of a forecast's price down, to be scored beside it.

    Args:
        forecast: the entry of the forecast.
        view: in dollars of its origin.
        note: why, in the person's words.
        made_at: ISO 8601 moment, UTC.

    Raises:
        UsageError: the entry is no forecast, or the view lies outside what it can imagine.
    """
    about = forecast_of(forecast)
    check_view(view, about)
    said = f"{forecast.entry.name} {view} {made_at} {note}"
    return Entry(
        kind="view",
        name=hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:12],
        made_at=made_at,
        live=forecast.entry.live and is_live(made_at, about.target),
        model="your view",
        origin=about.origin,
        target=about.target,
        horizon=about.horizon,
        body={
            "last_close": about.last_close,
            "prediction": {
                "price": view.median,
                "low": view.low,
                "high": view.high,
                "prob_up": None,
            },
            "confidence": view.confidence,
            "note": note,
            "forecast": forecast.entry.name,
        },
    )


def view_of(recorded: Recorded, *, factor: float = 1.0) -> View:
    """The view that an entry of that kind holds.

    Args:
        recorded: the entry.
        factor: new shares for one old since its origin; the view comes in dollars after them.
    """
    own = recorded.entry.body["prediction"]
    return View(
        median=own["price"] / factor,
        low=own["low"] / factor,
        high=own["high"] / factor,
        confidence=recorded.entry.body["confidence"],
    )


def append(connection: Connection, symbol: str, entries: Sequence[Entry]) -> int:
    """Put entries at the end of a symbol's chain; one that is there already stays as it is.

    Args:
        connection: of `Store.write`; two writers take turns.
        symbol: upper case.
        entries: in the order they were made.

    Returns:
        How many were new.
    """
    chains, table = schema.chains, schema.ledger
    chain = connection.execute(
        select(chains).where(chains.c.symbol == symbol).with_for_update()
    ).one_or_none()
    if chain is None:
        connection.execute(insert(chains), {"symbol": symbol, "length": 0, "head": START})
    length, head = (0, START) if chain is None else (chain.length, chain.head)
    query = select(table.c.kind, table.c.name).where(
        table.c.symbol == symbol, table.c.name.in_([each.name for each in entries])
    )
    known = {(kind, name) for kind, name in connection.execute(query)}
    n_before = length
    for entry in entries:
        if (entry.kind, entry.name) not in known:
            known.add((entry.kind, entry.name))
            row = _row(symbol, length + 1, entry, head)
            connection.execute(insert(table), row)
            length, head = length + 1, row["digest"]
    connection.execute(
        chains.update().where(chains.c.symbol == symbol).values(length=length, head=head)
    )
    return length - n_before


def _row(symbol: str, number: int, entry: Entry, previous: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "symbol": symbol,
        "number": number,
        "kind": entry.kind,
        "name": entry.name,
        "made_at": entry.made_at,
        "live": entry.live,
        "model": entry.model,
        "origin": None if entry.origin is None else day(entry.origin),
        "target": None if entry.target is None else day(entry.target),
        "horizon": entry.horizon,
        "body": json.dumps(entry.body, separators=(",", ":"), ensure_ascii=True),
        "previous": previous,
    }
    return {**values, "digest": _digest(values)}


def _digest(values: Mapping[str, Any]) -> str:
    """SHA-256 over all that a row says, its place and the digest before it included."""
    said = {name: value for name, value in values.items() if name != "digest"}
    text = json.dumps(said, sort_keys=True, default=datetime.date.isoformat)
    return hashlib.sha256(text.encode()).hexdigest()


def entries(
    connection: Connection,
    *,
    symbol: str | None = None,
    kind: str | None = None,
    unscored_through: np.datetime64 | None = None,
    newest: int | None = None,
) -> list[Recorded]:
    """Read entries, oldest first.

    Args:
        connection: of `Store.read` or `Store.write`.
        symbol: of this symbol alone.
        kind: of this kind alone.
        unscored_through: only those without a score whose target is at or before this session.
        newest: so many of the last ones alone.

    Raises:
        StoreError: an entry is damaged.
    """
    table = schema.ledger
    query = _query().order_by(table.c.made_at, table.c.symbol, table.c.number)
    if symbol is not None:
        query = query.where(table.c.symbol == symbol)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    if unscored_through is not None:
        query = query.where(
            table.c.target <= day(unscored_through), schema.scores.c.number.is_(None)
        )
    if newest is not None:
        last = (table.c.made_at.desc(), table.c.symbol.desc(), table.c.number.desc())
        query = query.order_by(None).order_by(*last).limit(newest)
    found = _read(connection, query)
    return found if newest is None else found[::-1]


def count(connection: Connection) -> int:
    """How many entries there are."""
    return connection.scalar(select(func.count()).select_from(schema.ledger)) or 0


def symbols(connection: Connection) -> list[str]:
    """The symbols that have entries, in order."""
    chains = schema.chains
    return list(connection.scalars(select(chains.c.symbol).order_by(chains.c.symbol)))


def entry_named(connection: Connection, name: str) -> Recorded:
    """Find the entry that a name or its beginning stands for.

    Raises:
        UsageError: there is none, or more than one.
        StoreError: it is damaged.
    """
    asked = name.strip().lower()
    if len(asked) < SHORTEST_NAME or not asked.isalnum():
        raise UsageError(f"{name!r} names no entry; give at least {SHORTEST_NAME} of its digits")
    query = _query().where(schema.ledger.c.name.startswith(asked)).limit(2)
    found = _read(connection, query)
    if not found:
        raise UsageError(f"the ledger has no entry {asked}; belief ledger lists them")
    if len(found) > 1:
        raise UsageError(f"{asked} begins more than one entry; give more of its digits")
    return found[0]


def _query() -> Select[Any]:
    table, scores = schema.ledger, schema.scores
    on = (scores.c.symbol == table.c.symbol) & (scores.c.number == table.c.number)
    columns = [column.label(f"score_{column.name}") for column in scores.c]
    return select(table, *columns).outerjoin(scores, on)


def _read(connection: Connection, query: Select[Any]) -> list[Recorded]:
    try:
        return [_recorded(row) for row in connection.execute(query)]
    except (ValueError, TypeError):
        raise StoreError(
            "an entry of the ledger is damaged; belief ledger verify names it"
        ) from None


def _recorded(row: Row[Any]) -> Recorded:
    entry = Entry(
        kind=row.kind,
        name=row.name,
        made_at=row.made_at,
        live=row.live,
        model=row.model,
        origin=None if row.origin is None else np.datetime64(row.origin, "D"),
        target=None if row.target is None else np.datetime64(row.target, "D"),
        horizon=row.horizon,
        body=json.loads(row.body),
    )
    named = {name.removeprefix("score_"): value for name, value in row._mapping.items()}
    score = {
        column.name: named[column.name]
        for column in schema.scores.c
        if column.name not in ("symbol", "number")
    }
    scored = row.score_number is not None
    return Recorded(row.symbol, row.number, entry, score if scored else None)


def breaks(connection: Connection) -> Iterator[Break]:
    """Follow every chain from its first entry to its head.

    Args:
        connection: of `Store.read`.

    Yields:
        The first break of each chain that has one.
    """
    chains = schema.chains
    for symbol in connection.scalars(_kept_symbols()).all():
        head = connection.execute(select(chains).where(chains.c.symbol == symbol)).one_or_none()
        found = _first_break(connection, symbol, head) or _loose_score(connection, symbol)
        if found is not None:
            yield found


def _kept_symbols() -> Select[Any]:
    """Every symbol that a head, an entry or a score is of, in order."""
    kept = union(*(select(t.c.symbol) for t in (schema.chains, schema.ledger, schema.scores)))
    return select(kept.subquery().c.symbol).order_by("symbol")


def _first_break(connection: Connection, symbol: str, head: Row[Any] | None) -> Break | None:
    table = schema.ledger
    number, previous = 0, START
    query = select(table).where(table.c.symbol == symbol).order_by(table.c.number)
    try:
        for row in connection.execute(query):
            reason = _reason(row, number + 1, previous)
            if reason is not None:
                return Break(symbol, number + 1, reason)
            number, previous = number + 1, row.digest
        return _wrong_end(symbol, head, number, previous)
    except (ValueError, TypeError):  # such as words in place of a day
        return Break(symbol, number + 1, "what it says makes no sense")


def _reason(row: Row[Any], number: int, previous: str) -> str | None:
    """What is wrong with a row in this place of its chain, if anything is."""
    if row.number != number:
        return f"it is missing; entry {row.number} comes next"
    if row.previous != previous:
        return "it does not follow the entry before it"
    if _digest(row._asdict()) != row.digest:
        return "what it says is not what was written"
    return None


def _wrong_end(symbol: str, head: Row[Any] | None, number: int, last: str) -> Break | None:
    if head is None:
        return Break(symbol, 1, "its chain has no end written down") if number else None
    if number < head.length:
        return Break(symbol, number + 1, f"it is missing; the chain has {head.length} entries")
    if number > head.length:
        return Break(symbol, head.length + 1, f"the chain ended with entry {head.length}")
    if last != head.head:
        return Break(symbol, number, "it is not the entry that the chain ended with")
    return None


def _loose_score(connection: Connection, symbol: str) -> Break | None:
    scores, table = schema.scores, schema.ledger
    on = (scores.c.symbol == table.c.symbol) & (scores.c.number == table.c.number)
    query = (
        select(scores.c.number)
        .outerjoin(table, on)
        .where(scores.c.symbol == symbol, table.c.number.is_(None))
        .order_by(scores.c.number)
    )
    number = connection.scalars(query).first()
    return None if number is None else Break(symbol, number, "it has a score and is not there")
