"""Which prices and which model answer: those in the store, a CSV file, or the bundled snapshot."""

import dataclasses
import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from belief.errors import StalePrices, UnknownSymbol, UsageError
from belief.fitted_model import FittedModel, code_fingerprint
from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL, carry
from belief.paths import store_location
from belief.prices import Prices
from belief.sessions import horizon_of, last_closed_session
from belief.sources import bundled_symbol, load_prices
from belief_tools.forecast_tool import ForecastTool
from belief_tools.terminal import one_line

if TYPE_CHECKING:
    from belief.store import Publication, Store

MOST_BEHIND: Final = 5  # sessions that live prices may be old
NEAR: Final = 21  # sessions for which a published model still speaks of an earlier day asked for
SYMBOL: Final = re.compile(r"[A-Z0-9.^=_-]{1,20}", re.ASCII)
LIVE: Final = "Yahoo"  # how the names of live sources begin


@dataclass(frozen=True)
class Asked:
    """What to answer from.

    Attributes:
        symbol: as it was written; None for the usual one.
        csv: a file of prices; None for the store or the snapshot.
        as_of: the day whose close is the last thing known; None for the last session there is.
        model: one of `belief.models.BELIEVERS`.
        stale_ok: whether live prices may be older than they should.
        now: the moment.
    """

    symbol: str | None
    csv: Path | None
    as_of: np.datetime64 | None
    model: str
    stale_ok: bool
    now: datetime.datetime


def find_store() -> "Store | None":
    """Open the store, or None when there is none yet.

    Raises:
        StoreError: there is one, and it fails.
    """
    from belief.store import open_store, store_exists

    where = store_location()
    return open_store(where) if store_exists(where) else None


def serve(asked: Asked) -> ForecastTool:
    """Put prices and a model together.

    A published model of this program serves, moved on to the last session; otherwise the model is
    fitted now, or its fit read from the cache.

    Raises:
        StalePrices: live prices are more than `MOST_BEHIND` sessions old.
        PricesError: there are no prices of the symbol.
        UsageError: an argument makes no sense.
        FitError: the model cannot be fitted.
        StoreError: there is a store, and it fails.
    """
    store = None if asked.csv is not None else find_store()
    if store is None:
        return _fitted_now(load_named(asked.symbol, asked.csv), asked)
    from belief import store as stored
    from belief.ledger_scores import live_scores

    with store, store.read() as connection:
        symbol = upper_symbol(asked.symbol)
        prices = stored.load_prices(connection, symbol)
        if prices is None:
            return _fitted_now(load_named(asked.symbol, None), asked)
        cut = prices if asked.as_of is None else prices.until(asked.as_of)
        publication = None
        if asked.model == DEFAULT_MODEL:
            publication = stored.published(connection, symbol, cut.as_of)
        ledger = live_scores(connection, symbol)
    _refuse_stale(prices, asked)
    fitted = None if publication is None else _carried(publication, cut)
    if fitted is None or publication is None:
        return dataclasses.replace(_fitted_now(prices, asked), ledger=ledger)
    since = publication.published_at[:10]
    return ForecastTool(cut, fitted, _today(asked), ledger=ledger, published_at=since)


def load_named(symbol: str | None, csv: Path | None) -> Prices:
    """Load prices from a CSV file or the snapshot; a file's symbol is its name, if none is said.

    Raises:
        PricesError: there are none.
    """
    named = symbol if symbol is not None else ("NVDA" if csv is None else csv.stem)
    try:
        return load_prices(named, csv=csv)
    except UnknownSymbol as error:
        raise UnknownSymbol(f"{error}, or fetch them with belief refit {named}") from None


def stored_or_named(symbol: str | None, csv: Path | None) -> Prices:
    """Load prices from the store, or where it has none of the symbol from file or snapshot.

    Raises:
        PricesError: there are none.
        StoreError: there is a store, and it fails.
    """
    store = None if csv is not None else find_store()
    if store is not None:
        from belief.store import load_prices as load_stored

        with store, store.read() as connection:
            prices = load_stored(connection, upper_symbol(symbol))
        if prices is not None:
            return prices
    return load_named(symbol, csv)


def upper_symbol(symbol: str | None) -> str:
    """The symbol as the store has it.

    Raises:
        UsageError: it has characters that no symbol has.
    """
    named = "NVDA" if symbol is None else symbol
    upper = bundled_symbol(named) or named.strip().upper()
    if not SYMBOL.fullmatch(upper):
        raise UsageError(
            f"{one_line(ascii(named), longest=40)} is not a symbol: 1 to 20 of A-Z 0-9 . - ^ = _ "
            f"are valid, e.g. NVDA"
        )
    return upper


def sessions_behind(prices: Prices, now: datetime.datetime) -> int:
    """Count the sessions that have closed since the last one of live prices; 0 for others."""
    live = prices.source.startswith(LIVE)
    return horizon_of(prices.as_of, last_closed_session(now)) if live else 0


def _refuse_stale(prices: Prices, asked: Asked) -> None:
    if asked.as_of is not None or asked.stale_ok:
        return
    behind = sessions_behind(prices, asked.now)
    if behind > MOST_BEHIND:
        raise StalePrices(
            f"the prices of {prices.symbol} end on {prices.as_of}, {behind} sessions ago; run "
            f"belief refit {prices.symbol}, or pass --stale-ok to be answered from them"
        )


def _carried(publication: "Publication", cut: Prices) -> FittedModel | None:
    """The published model at the last session, or None when it is not of these prices."""
    if publication.code_fingerprint != code_fingerprint():
        return None
    if horizon_of(publication.session, cut.as_of) > NEAR:
        return None
    try:
        return carry(publication.fitted, cut)
    except ValueError:
        return None


def _fitted_now(prices: Prices, asked: Asked) -> ForecastTool:
    cut = prices if asked.as_of is None else prices.until(asked.as_of)
    return ForecastTool(cut, cached_fit(asked.model, cut), _today(asked))


def _today(asked: Asked) -> np.datetime64 | None:
    # the age of the prices means something only when they are asked for as they are now
    return None if asked.as_of is not None else np.datetime64(asked.now.date(), "D")
