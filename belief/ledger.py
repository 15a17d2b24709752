"""The ledger: every forecast and every answer, in the order they were made, never changed.

The entries of a symbol are a chain: each holds the digest of the one before it and a digest of its
own over all it says, so an entry that is changed, moved, left out or slipped in later shows.
"""

import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
    union,
)

from belief import store_schema as schema
from belief.errors import StoreError, UsageError
from belief.ledger_entries import (
    Entry,
    Recorded,
    forecast_entry,
    forecast_of,
    is_live,
    view_entry,
    view_of,
)
from belief.sessions import session_after
from belief.store import day

__all__ = [
    "START",
    "Break",
    "Entry",
    "Recorded",
    "answers_with",
    "append",
    "breaks",
    "count",
    "entries",
    "entry_named",
    "forecast_entry",
    "forecast_of",
    "is_live",
    "missing_forecasts",
    "scored_entries",
    "symbols",
    "view_entry",
    "view_of",
]

START: Final = "0" * 64  # what the first entry of a chain holds as the digest before it
SHORTEST_NAME: Final = 4  # characters by which an entry may be asked for
LIVE: Final = "live"  # ends the name of what was said live after it had been said in hindsight
AS_THEY_STAND: Final = re.compile(r"[!#-\[\]-~]+")  # characters that JSON leaves alone
MADE_PLAIN: Final = ("\\u212a", "\\u0130")  # in JSON, what becomes a plain letter in lower case
LONGEST_PIECE, MOST_PIECES = 100, 50  # a database bears no pattern and no query of any length


class Break(NamedTuple):
    """Where a ledger is not what was written: symbol, number of the entry, and what is wrong."""

    symbol: str
    number: int
    reason: str


def append(connection: Connection, symbol: str, entries: Sequence[Entry]) -> int:
    """Put entries at the end of a symbol's chain; one that is there already stays as it is.

    What was said in hindsight and is said live now is put there again, under its name and `LIVE`.

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
    n_before, head = (0, START) if chain is None else (chain.length, chain.head)
    length = n_before
    for entry in _new(connection, symbol, entries):
        row = _row(symbol, length + 1, entry, head)
        connection.execute(insert(table), row)
        length, head = length + 1, row["digest"]
    connection.execute(
        chains.update().where(chains.c.symbol == symbol).values(length=length, head=head)
    )
    return length - n_before


def _new(connection: Connection, symbol: str, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Those that are not in the ledger, by the names they get there."""
    table = schema.ledger
    names = [name for each in entries for name in (each.name, each.name + LIVE)]
    query = select(table.c.kind, table.c.name, table.c.live).where(
        table.c.symbol == symbol, table.c.name.in_(names)
    )
    live = {(kind, name): was_live for kind, name, was_live in connection.execute(query).all()}
    for entry in entries:
        if entry.live and live.get((entry.kind, entry.name)) is False:
            entry = dataclasses.replace(entry, name=entry.name + LIVE)
        if (entry.kind, entry.name) not in live:
            live[entry.kind, entry.name] = entry.live
            yield entry


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
    found = _sound(_read(connection, query))
    return found if newest is None else found[::-1]


def answers_with(
    connection: Connection,
    words: Sequence[str] = (),
    *,
    symbol: str | None = None,
    since: np.datetime64 | None = None,
) -> list[Recorded]:
    """Read the answers that may hold words anywhere, oldest first.

    The database only leaves out those that surely lack one of the words in any case of its
    letters, so that few are read; whether the others hold them in the right place is for the
    caller to see.

    Args:
        connection: of `Store.read` or `Store.write`.
        words: none of them empty.
        symbol: of this symbol alone.
        since: made on this day or later, in UTC.

    Raises:
        StoreError: an answer is damaged.
    """
    table = schema.ledger
    query = _query().where(table.c.kind == "answer", _may_hold(words))
    if symbol is not None:
        query = query.where(table.c.symbol == symbol)
    if since is not None:
        query = query.where(table.c.made_at >= str(since))
    return _sound(
        _read(connection, query.order_by(table.c.made_at, table.c.symbol, table.c.number))
    )


def _may_hold(words: Sequence[str]) -> ColumnElement[bool]:
    """Whether the JSON of a body has the plain letters of words, or letters that become plain."""
    pieces = [piece[:LONGEST_PIECE] for word in words for piece in AS_THEY_STAND.findall(word)]
    plain = and_(True, *map(_body_has, pieces[:MOST_PIECES]))
    return or_(plain, *map(_body_has, MADE_PLAIN))


def _body_has(letters: str) -> ColumnElement[bool]:
    # a database that speaks Turkish has another small letter for "I", so any will do for an "i"
    pattern = re.sub(r"([%_/])", r"/\1", letters.lower()).replace("i", "_")
    return func.lower(schema.ledger.c.body).like(f"%{pattern}%", escape="/")


def scored_entries(connection: Connection, symbol: str) -> list[Recorded]:
    """Read the entries of a symbol that have a score, be it a score that makes no sense.

    Args:
        connection: of `Store.read` or `Store.write`.
        symbol: upper case.

    Raises:
        StoreError: an entry is damaged.
    """
    table = schema.ledger
    query = _query().where(table.c.symbol == symbol, schema.scores.c.number.is_not(None))
    return _read(connection, query.order_by(table.c.number))


def count(connection: Connection) -> int:
    """How many entries there are."""
    return connection.scalar(select(func.count()).select_from(schema.ledger)) or 0


def symbols(connection: Connection) -> list[str]:
    """The symbols that have entries, in order."""
    chains = schema.chains
    return list(connection.scalars(select(chains.c.symbol).order_by(chains.c.symbol)))


def entry_named(connection: Connection, name: str) -> Recorded:
    """Find the entry that a name or its beginning stands for.

    Of a forecast that was made in hindsight and live, it is the live one.

    Raises:
        UsageError: there is none, or more than one.
        StoreError: it is damaged.
    """
    asked = name.strip().lower()
    if len(asked) < SHORTEST_NAME or not asked.isalnum():
        raise UsageError(f"{name!r} names no entry; give at least {SHORTEST_NAME} of its digits")
    named = schema.ledger.c.name
    found = _sound(
        _read(connection, _query().where(named.startswith(asked)).order_by(named).limit(3))
    )
    names = {each.entry.name for each in found}
    found = [each for each in found if each.entry.name + LIVE not in names]
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
        raise _damaged("an entry") from None


def _sound(found: list[Recorded]) -> list[Recorded]:
    """These entries, none of which has a score that is no number."""
    for each in found:
        values = {} if each.score is None else {**each.score, "scored_at": None}
        if not all(isinstance(value, int | float | None) for value in values.values()):
            raise _damaged("a score")
    return found


def _damaged(what: str) -> StoreError:
    return StoreError(f"{what} of the ledger is damaged; belief ledger verify names it")


def _recorded(row: Row[Any]) -> Recorded:
    said = {column.name: row._mapping[column.name] for column in schema.ledger.c}
    if _digest(said) != row.digest:
        raise ValueError("what it says is not what was written")
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
    score = {
        column.name: row._mapping[f"score_{column.name}"]
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


def missing_forecasts(connection: Connection, horizons: Sequence[int]) -> Iterator[Break]:
    """Look for the forecasts of every publication, which a chain that was cut short has lost.

    Args:
        connection: of `Store.read`.
        horizons: over which each publication forecasts.

    Yields:
        The first publication of each symbol that lacks one, at the end of the symbol's chain.

    Raises:
        StoreError: a publication is damaged.
    """
    table, told = schema.publications, set()
    query = select(table.c.symbol, table.c.session, table.c.model, table.c.published_at)
    names = _forecast_names(connection)
    try:
        published = connection.execute(query.order_by(table.c.symbol, table.c.number)).all()
    except (ValueError, TypeError):  # such as a session that is no day
        raise StoreError("a publication in the store is damaged: its session is no day") from None
    for symbol, session, model, published_at in published:
        origin = np.datetime64(session, "D")
        wanted = {_forecast_name(model, session_after(origin, each)) for each in horizons}
        lost = len(wanted - names.get(symbol, set()))
        if lost and symbol not in told:
            told.add(symbol)
            reason = f"{lost} of {len(wanted)} forecasts published at {published_at} are missing"
            yield Break(symbol, _length(connection, symbol) + 1, reason)


def _forecast_names(connection: Connection) -> dict[str, set[str]]:
    table, names = schema.ledger, dict[str, set[str]]()
    query = select(table.c.symbol, table.c.name).where(table.c.kind == "forecast")
    for symbol, name in connection.execute(query):
        names.setdefault(symbol, set()).add(name.removesuffix(LIVE))
    return names


def _forecast_name(model: str, target: np.datetime64) -> str:
    """The name that `belief.models.forecast_id` gives, from the digest of a model."""
    return hashlib.sha256(f"{model} {target}".encode()).hexdigest()[:12]


def _length(connection: Connection, symbol: str) -> int:
    table = schema.ledger
    return connection.scalar(select(func.max(table.c.number)).where(table.c.symbol == symbol)) or 0
