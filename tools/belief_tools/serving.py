"""Which prices and which model answer: those in the store, a CSV file, or the bundled snapshot."""

import dataclasses
import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from belief.errors import NotPublished, StalePrices, UnknownSymbol, UsageError
from belief.fitted_model import FittedModel, code_fingerprint
from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL, carry
from belief.paths import store_location
from belief.prices import Prices
from belief.sessions import horizon_of, last_closed_session
from belief.sources import bundled_symbol, load_prices
from belief.view import View
from belief_tools.forecast_tool import ForecastTool, PricesTool
from belief_tools.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from belief.ledger import Recorded
    from belief.store import Publication, Store
    from belief.track_record import Scored

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
        with_views: whether the views in the ledger are taken in.
        may_fit: whether a model is fitted where none that is published serves.
    """

    symbol: str | None
    csv: Path | None
    as_of: np.datetime64 | None
    model: str
    stale_ok: bool
    now: datetime.datetime
    with_views: bool = False
    may_fit: bool = True


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
        FitError: the model cannot be fitted; `NotPublished` where it may not be.
        StoreError: there is a store, and it fails.
    """
    store = None if asked.csv is not None else find_store()
    if store is None:
        tool = _fitted_now(load_named(asked.symbol, asked.csv), asked)
        return dataclasses.replace(tool, live=tool.live and asked.csv is None)
    with store, store.read() as connection:
        kept = _kept(connection, upper_symbol(asked.symbol), asked)
    if kept.prices is None:
        tool = _fitted_now(load_named(asked.symbol, None), asked)
    else:
        _refuse_stale(kept.prices, asked)
        tool = _served(kept.prices, kept.publication, asked)
    views = _as_quoted(kept.views, tool.prices) if asked.with_views else None
    return dataclasses.replace(tool, ledger=kept.ledger, views=views)


def serve_prices(asked: Asked) -> PricesTool:
    """Prices alone, for what needs no model.

    Raises:
        StalePrices: live prices are more than `MOST_BEHIND` sessions old.
        PricesError: there are no prices of the symbol.
        UsageError: an argument makes no sense.
        StoreError: there is a store, and it fails.
    """
    prices = stored_or_named(asked.symbol, asked.csv)
    _refuse_stale(prices, asked)
    cut = prices if asked.as_of is None else prices.until(asked.as_of)
    return PricesTool(cut, _today(asked))


class _Kept(NamedTuple):
    """What the store has of a symbol."""

    prices: Prices | None
    publication: "Publication | None"
    ledger: "Scored | None"
    views: "list[Recorded]"


def _kept(connection: "Connection", symbol: str, asked: Asked) -> _Kept:
    from belief import store as stored
    from belief.ledger import entries
    from belief.ledger_scores import live_scores

    prices, publication = stored.load_prices(connection, symbol), None
    if prices is not None and asked.model == DEFAULT_MODEL:
        as_of = prices.as_of if asked.as_of is None else prices.until(asked.as_of).as_of
        publication = stored.published(connection, symbol, as_of)
    views = entries(connection, symbol=symbol, kind="view") if asked.with_views else []
    if asked.as_of is not None:  # what was written down later was not known then
        views = [each for each in views if each.entry.made_at[:10] <= str(asked.as_of)]
    return _Kept(prices, publication, live_scores(connection, symbol), views)


def _served(prices: Prices, publication: "Publication | None", asked: Asked) -> ForecastTool:
    """The published model at the last session, or a fit made now."""
    cut = prices if asked.as_of is None else prices.until(asked.as_of)
    exactly = asked.as_of is not None
    fitted = None if publication is None else _carried(publication, cut, exactly=exactly)
    if fitted is None or publication is None:
        tool = _fitted_now(prices, asked)
        if asked.model != DEFAULT_MODEL or asked.as_of is not None:
            return tool
        return dataclasses.replace(tool, service="fitted now: no published model fits")
    since = f"published {publication.published_at[:10]}"
    return ForecastTool(cut, fitted, _today(asked), service=since, live=asked.as_of is None)


def _as_quoted(views: "Sequence[Recorded]", prices: Prices) -> dict[str, View]:
    """The newest view of each target, in dollars of the last session."""
    from belief.ledger import view_of

    factor = dict(zip(prices.session.tolist(), prices.split_factor().tolist(), strict=True))
    return {
        str(each.entry.target): view_of(each, factor=factor[each.entry.origin.item()])
        for each in views
        if each.entry.origin is not None and each.entry.origin.item() in factor
    }


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


def _carried(publication: "Publication", cut: Prices, *, exactly: bool) -> FittedModel | None:
    """The published model at the last session, or None when it is not of these prices.

    The model in service answers on after corrections, until it is replaced; of an earlier day only
    a model of exactly what was known then speaks.
    """
    if publication.code_fingerprint != code_fingerprint():
        return None
    if exactly:
        known = cut.until(publication.session)
        near = horizon_of(publication.session, cut.as_of) <= NEAR
        if not near or known.fingerprint() != publication.prices_fingerprint:
            return None
    try:
        return carry(publication.fitted, cut)
    except ValueError:
        return None


def _or_snapshot(prices: Prices) -> str:
    bundled = bundled_symbol(prices.symbol) == prices.symbol
    return " (without a network: belief refit --snapshot)" if bundled else ""


def _fitted_now(prices: Prices, asked: Asked) -> ForecastTool:
    if not asked.may_fit:
        raise NotPublished(
            f"no published model of {prices.symbol} serves: there is none, or it is of another "
            f"version or other prices; run belief refit {prices.symbol}{_or_snapshot(prices)}"
        )
    cut = prices if asked.as_of is None else prices.until(asked.as_of)
    fitted = cached_fit(asked.model, cut)
    return ForecastTool(cut, fitted, _today(asked), live=asked.as_of is None)


def _today(asked: Asked) -> np.datetime64 | None:
    # the age of the prices means something only when they are asked for as they are now
    return None if asked.as_of is not None else np.datetime64(asked.now.date(), "D")
