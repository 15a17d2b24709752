"""How the ledger's forecasts and answers came out, once their targets have passed.

A forecast is scored with the functions of the backtest, from what the ledger holds of it. Closes
are brought into the dollars of its origin, so a split on the way changes no score.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from sqlalchemy import Connection, Row, and_, delete, exists, insert, or_, select

from belief import store_schema as schema
from belief.backtest_parts import COVERED, closes_at, score_columns
from belief.errors import StoreError
from belief.ledger import Break, Recorded, entries, forecast_of, scored_entries
from belief.prices import Prices
from belief.store import day
from belief.track_record import Scored, scored_of

TOLERANCE: Final = 1e-9  # by which a score may differ when it is computed again
OWN_PRICES: Final = 0.05  # relative difference up to which a last close is that of the prices
ANSWER_LEVEL: Final = 0.9  # of the interval a language model is asked for


class Due(NamedTuple):
    """An entry whose target has passed, and the close there in dollars of its origin."""

    recorded: Recorded
    close: float


def score_due(
    connection: Connection, symbol: str, prices: Prices, scored_at: str
) -> tuple[list[Recorded], list[Recorded]]:
    """Score the entries of a symbol whose targets have passed; each is scored once.

    Args:
        connection: of `Store.write`.
        symbol: upper case.
        prices: through the last session that is known.
        scored_at: ISO 8601 moment, UTC.

    Returns:
        The entries that were scored now; and those whose target has passed without a close, or
        that rest on other prices, which these cannot judge.
    """
    due, closeless = _waiting(connection, symbol, prices)
    for each, row in zip(due, score(due), strict=True):
        place = {"symbol": symbol, "number": each.recorded.number, "scored_at": scored_at}
        connection.execute(insert(schema.scores), {**row, **place})
    return [each.recorded for each in due], closeless


def unscored(connection: Connection, symbol: str, prices: Prices) -> list[Recorded]:
    """List the entries that `score_due` would score now.

    Args:
        connection: of `Store.read`.
        symbol: upper case.
        prices: through the last session that is known.
    """
    return [each.recorded for each in _waiting(connection, symbol, prices)[0]]


def _waiting(
    connection: Connection, symbol: str, prices: Prices
) -> tuple[list[Due], list[Recorded]]:
    waiting = entries(connection, symbol=symbol, unscored_through=prices.as_of)
    return _with_closes([each for each in waiting if _can_be_scored(each)], prices)


def score(due: Sequence[Due]) -> list[dict[str, Any]]:
    """Score entries, in the names of the table of scores; a score that has no sense is None."""
    forecasts = [each for each in due if each.recorded.entry.kind == "forecast"]
    scored = dict(zip(map(id, forecasts), _score_forecasts(forecasts), strict=True))
    return [scored[id(each)] if id(each) in scored else _score_answer(each) for each in due]


def forget_changed(connection: Connection, known: Prices, prices: Prices) -> int:
    """Take back the scores that rest on closes or splits which have been corrected.

    They are computed anew when the ledger is scored the next time.

    Args:
        connection: of `Store.write`.
        known: the prices before.
        prices: the prices now, of the same symbol.

    Returns:
        How many scores were taken back.
    """
    before = dict(zip(known.session.tolist(), known.close.tolist(), strict=True))
    now = dict(zip(prices.session.tolist(), prices.close.tolist(), strict=True))
    closes = [each for each in before if before[each] != now.get(each)]
    splits = set(known.splits) ^ {split for split in prices.splits if split.session <= known.as_of}
    if not closes and not splits:
        return 0
    table = schema.ledger
    across = [and_(table.c.origin < day(at), table.c.target >= day(at)) for at, _ in splits]
    touched = or_(table.c.origin.in_(closes), table.c.target.in_(closes), *across)
    numbers = select(table.c.number).where(table.c.symbol == prices.symbol, touched)
    return _forget(connection, prices.symbol, numbers.scalar_subquery())


def forget_unfounded(connection: Connection, prices: Prices) -> int:
    """Take back the scores that other prices gave than these, whatever those before were.

    Args:
        connection: of `Store.write`.
        prices: the prices now.

    Returns:
        How many scores were taken back.

    Raises:
        StoreError: an entry that has a score is damaged.
    """
    due, closeless = _with_closes(scored_entries(connection, prices.symbol), prices)
    changed = [
        each.recorded for each in due if not _same((each.recorded.score or {})["close"], each.close)
    ]
    numbers = [each.number for each in (*changed, *closeless)]
    return _forget(connection, prices.symbol, numbers)


def _forget(connection: Connection, symbol: str, numbers: Any) -> int:
    marks = schema.scores
    gone = delete(marks).where(marks.c.symbol == symbol, marks.c.number.in_(numbers))
    return connection.execute(gone).rowcount


def live_scores(connection: Connection, symbol: str) -> Scored | None:
    """What was forecast of a symbol before it happened, with its scores, for a track record.

    Args:
        connection: of `Store.read`.
        symbol: upper case.

    Returns:
        One row per model, horizon and origin: of a forecast that was published with the model, or
        else of the one that was made first. None without any.

    Raises:
        StoreError: an entry or a score is damaged.
    """
    try:
        rows = _live_rows(connection, symbol)
        columns = {name: np.array(values) for name, values in rows.items()}
        return scored_of(columns) if columns else None
    except (ValueError, TypeError):  # such as words in place of a day
        raise StoreError(
            f"a score of {symbol} in the ledger is damaged; belief ledger verify names it"
        ) from None


def _live_rows(connection: Connection, symbol: str) -> dict[str, Sequence[Any]]:
    """The columns of `Scored`, each value checked to be there."""
    table, marks, made = schema.ledger, schema.scores, schema.publications
    on = (marks.c.symbol == table.c.symbol) & (marks.c.number == table.c.number)
    published = (
        exists()
        .where(made.c.symbol == symbol, made.c.session == table.c.origin)
        .where(made.c.published_at == table.c.made_at)
    )
    names = [field.name for field in dataclasses.fields(Scored)]
    query = (
        select(*(table.c[name] if name in table.c else marks.c[name] for name in names))
        .join(marks, on)
        .where(table.c.symbol == symbol, table.c.kind == "forecast", table.c.live)
        .order_by(published.desc(), table.c.number)
    )
    chosen: dict[tuple[Any, ...], Row[Any]] = {}
    for row in connection.execute(query):
        if None in row or not all(map(math.isfinite, (row.log_score, row.crps, row.pit))):
            raise ValueError("a value is missing")
        chosen.setdefault((row.model, row.horizon, row.origin), row)
    return dict(zip(names, zip(*chosen.values(), strict=True), strict=True)) if chosen else {}


def changed_scores(connection: Connection, symbol: str, prices: Prices | None) -> Sequence[Break]:
    """Compute the scores of a symbol again, and name those that are not what was written.

    Args:
        connection: of `Store.read`.
        symbol: upper case.
        prices: those of the store.
    """
    scored = scored_entries(connection, symbol)
    if prices is None:
        return [Break(symbol, each.number, "it is scored without prices") for each in scored[:1]]
    empty = [each for each in scored if not _can_be_scored(each)]
    due, closeless = _with_closes([each for each in scored if _can_be_scored(each)], prices)
    wrong = [
        Break(symbol, each.recorded.number, f"its {name} is not what the prices give")
        for each, row in zip(due, score(due), strict=True)
        for name in [_first_difference(each.recorded.score or {}, row)]
        if name is not None
    ]
    missing = [Break(symbol, each.number, "it is scored without a close") for each in closeless]
    unfounded = [Break(symbol, each.number, "it is scored without figures") for each in empty]
    return sorted([*wrong, *missing, *unfounded])


def _first_difference(kept: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    for name, value in found.items():
        if not _same(kept[name], value):
            return name
    return None


def _same(was: Any, value: Any) -> bool:
    if was is None or value is None:
        return was is value
    if not isinstance(was, int | float):  # words, written by another hand
        return False
    return abs(was - float(value)) <= TOLERANCE * max(1.0, abs(float(value)))


def _can_be_scored(recorded: Recorded) -> bool:
    """An answer needs figures of the language model's own."""
    return recorded.entry.kind == "forecast" or bool(recorded.entry.body.get("prediction"))


def _with_closes(waiting: Sequence[Recorded], prices: Prices) -> tuple[list[Due], list[Recorded]]:
    """Split entries into those that the prices can judge, and the others."""
    due, closeless = [], []
    for each in waiting:
        close = _close_of(each, prices)
        if close is None:
            closeless.append(each)
        else:
            due.append(Due(each, close))
    return due, closeless


def _close_of(recorded: Recorded, prices: Prices) -> float | None:
    """The close at the target, in dollars of the origin; None when these prices do not tell it.

    A forecast from a last close that is not that of its origin here, be it of a file of other
    prices or in dollars of another day, cannot be judged by them.
    """
    origin, target = recorded.entry.origin, recorded.entry.target
    if origin is None or target is None or origin not in prices.session:
        return None
    own, close = closes_at(prices, origin, np.array([origin, target])).tolist()
    known = float(recorded.entry.body["last_close"])
    if not abs(known / own - 1.0) <= OWN_PRICES or math.isnan(close):
        return None
    return float(close)


def _score_forecasts(due: Sequence[Due]) -> list[dict[str, Any]]:
    if not due:
        return []
    forecasts = [forecast_of(each.recorded) for each in due]
    last_close = np.array([forecast.last_close for forecast in forecasts])
    close = np.array([each.close for each in due])
    log_return = np.log(close / last_close)
    quantiles = np.array([forecast.log_return_quantile for forecast in forecasts])
    prob_up = np.array([forecast.prob_up for forecast in forecasts])
    columns: dict[str, Any] = {
        "close": close,
        "log_return": log_return,
        **score_columns(quantiles, log_return, last_close),
        "brier": (prob_up - (close > last_close)) ** 2,
    }
    values = {name: column.tolist() for name, column in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _score_answer(due: Due) -> dict[str, Any]:
    """Score the price, interval and probability of a language model, or a person's view."""
    from scoringrules import interval_score

    body, close = due.recorded.entry.body, due.close
    own, last_close = body["prediction"], float(body["last_close"])
    low, high, up = float(own["low"]), float(own["high"]), own["prob_up"]
    return {
        "close": close,
        "log_return": float(np.log(close / last_close)),
        "log_score": None,
        "crps": None,
        "pit": None,
        "absolute_error": abs(float(own["price"]) - close),
        "interval_score": float(interval_score(close, low, high, alpha=1.0 - ANSWER_LEVEL)),
        "brier": None if up is None else (float(up) - (close > last_close)) ** 2,
        **dict.fromkeys(COVERED),
        "covered_90": low <= close <= high,
    }
