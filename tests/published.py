"""Stores with published models of short histories, for servers that fit nothing."""

import dataclasses
import functools

from daily import evening, short_history

from belief.fitted_model import FittedModel, code_fingerprint
from belief.ledger import append, forecast_entry
from belief.models import DEFAULT_MODEL, fit, forecasts
from belief.prices import Prices
from belief.sessions import session_after
from belief.store import Publication, open_store, publish, save_prices, utc

FIRST, SECOND = "2024-06-05", "2024-06-12"  # the split 10:1 of 2024-06-10 lies between them
SCALE = 2.0


@functools.cache
def fitted_through(day: str) -> tuple[Prices, FittedModel]:
    """A short history, and the model fitted to it."""
    prices = short_history(day)
    return prices, fit(DEFAULT_MODEL, prices)


@functools.cache
def renamed(day: str, symbol: str) -> tuple[Prices, FittedModel]:
    """The same for another company, at prices of its own that move alike."""
    prices, fitted = fitted_through(day)
    columns = {name: SCALE * getattr(prices, name) for name in ("open", "high", "low", "close")}
    other = dataclasses.replace(prices, symbol=symbol, name=f"{symbol} Corp", **columns)
    return other, dataclasses.replace(fitted, symbol=symbol)


def keep_prices(where: object, prices: Prices) -> None:
    with open_store(str(where)) as store, store.write() as connection:
        save_prices(connection, prices)


def put_in_service(where: object, prices: Prices, fitted: FittedModel) -> None:
    """Do what a refit does at its end: prices, model and forecasts in one transaction."""
    made_at = utc(evening(prices.as_of))
    ahead = forecasts(fitted, prices, [session_after(prices.as_of, n) for n in (1, 2)])
    entries = [forecast_entry(fitted, prices, each, made_at=made_at, live=True) for each in ahead]
    made = Publication(fitted, prices.as_of, prices.fingerprint(), code_fingerprint(), made_at)
    with open_store(str(where)) as store, store.write() as connection:
        save_prices(connection, prices)
        publish(connection, made)
        append(connection, prices.symbol, entries)
