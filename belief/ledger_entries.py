"""What the ledger says of a forecast, an answer or a view, and how that is read back."""

import datetime
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from belief.errors import StoreError, UsageError
from belief.fitted_model import FittedModel
from belief.forecast import NORMAL_SCORES, Forecast
from belief.grid_forecast import memory_weights
from belief.models import forecast_id
from belief.prices import Prices
from belief.sessions import EXCHANGE_TIME, session_close
from belief.store import day
from belief.view import View, check_view

OPENING: Final = datetime.time(9, 30)  # of a session, in exchange time


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


def is_live(made_at: str, target: np.datetime64, *, origin: np.datetime64 | None = None) -> bool:
    """Say whether something was said between its origin's close and its target's opening.

    Args:
        made_at: ISO 8601 moment, UTC.
        target: a session; it opens at 9:30 in New York.
        origin: the last session that was known, which cannot have been known before its close;
            None when none is claimed.
    """
    moment = datetime.datetime.fromisoformat(made_at).astimezone(EXCHANGE_TIME)
    before_target = moment < datetime.datetime.combine(day(target), OPENING, EXCHANGE_TIME)
    return before_target and (origin is None or _has_closed(origin, moment))


def _has_closed(session: np.datetime64, moment: datetime.datetime) -> bool:
    if moment.date() != day(session):
        return moment.date() > day(session)  # without the calendar, which loads slowly
    return moment >= session_close(session)


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
        live=live and is_live(made_at, forecast.target, origin=forecast.origin),
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
    """The forecast that an entry of that kind holds.

    Raises:
        UsageError: the entry is no forecast.
        StoreError: it is damaged.
    """
    entry = recorded.entry
    if entry.kind != "forecast":
        raise UsageError(f"entry {entry.name} forecasts nothing; it is of kind {entry.kind}")
    try:
        return _forecast(recorded.symbol, entry)
    except (LookupError, TypeError, ValueError):
        raise StoreError(
            f"entry {entry.name} of the ledger is damaged: it holds no forecast that makes sense"
        ) from None


def _forecast(symbol: str, entry: Entry) -> Forecast:
    quantiles = np.array(entry.body["quantiles"], dtype=np.float64)
    last_close = float(entry.body["last_close"])
    if entry.origin is None or entry.target is None or entry.horizon is None:
        raise ValueError("it is about no session")
    if quantiles.shape != NORMAL_SCORES.shape or not last_close > 0.0:
        raise ValueError("it holds no distribution")
    return Forecast(
        symbol=symbol,
        model=entry.model or "",
        origin=entry.origin,
        target=entry.target,
        horizon=entry.horizon,
        last_close=last_close,
        log_return_quantile=quantiles,
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
        live=forecast.entry.live and is_live(made_at, about.target, origin=about.origin),
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
