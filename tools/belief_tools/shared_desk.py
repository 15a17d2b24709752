"""Tools for many calls at a time, each put together once and anew when what it rests on changes."""

import dataclasses
import datetime
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, TypeVar

import numpy as np

from belief.errors import UnknownSymbol, UsageError
from belief.prices import Prices
from belief.sessions import last_closed_session
from belief.store import standing
from belief_tools.desk import USUAL, Desk, known_names
from belief_tools.forecast_tool import ForecastTool, PricesTool, shown
from belief_tools.once import Once
from belief_tools.serving import (
    Asked,
    find_store,
    serve,
    serve_prices,
    stored_or_named,
    upper_symbol,
)

Given = TypeVar("Given", ForecastTool, PricesTool, Prices)

MOST_SYMBOLS: Final = 32  # whose prices and models are kept in memory
MOST_PAST: Final = 32  # past sessions whose prices and models are


class SharedDesk:
    """The symbols that can be asked about, by many at a time and for as long as the program runs.

    The store is looked at in every call, so that a model that is published meanwhile serves.
    """

    def __init__(self, asked: Asked, now: Callable[[], datetime.datetime]) -> None:
        """Begin with no tool put together.

        Args:
            asked: what to answer from; its symbol, its day and its moment are those of each call.
            now: gives the moment.
        """
        self._asked, self._now = asked, now
        self._tools: Once[ForecastTool] = Once(MOST_SYMBOLS)
        self._prices: Once[PricesTool] = Once(MOST_SYMBOLS)
        self._uncut: Once[Prices] = Once(MOST_SYMBOLS)
        self._past_tools: Once[ForecastTool] = Once(MOST_PAST)
        self._past_prices: Once[PricesTool] = Once(MOST_PAST)

    def tool(self, symbol: object, as_of: np.datetime64 | None = None) -> ForecastTool:
        """The tool of a symbol, as of now or of a day.

        Of a day that no published model speaks of a model is fitted, be it the newest session:
        somebody has picked it.

        Args:
            symbol: as a call has it, whoever wrote it.
            as_of: the day; None for the last session there is, as of now.

        Raises:
            UsageError: it is no symbol, or there are no prices of the day.
            BeliefError: whatever `belief_tools.serving.serve` raises.
        """
        asked = self._about(symbol, as_of)
        kept = self._tools if as_of is None else self._past_tools
        return kept.get(_moment(asked), lambda: self._known(serve, asked))

    def prices(self, symbol: object, as_of: np.datetime64 | None = None) -> PricesTool:
        """The prices of a symbol, as of now or of a day; they need no model.

        Args:
            symbol: as a call has it, whoever wrote it.
            as_of: the day; None for the last session there is, as of now.

        Raises:
            UsageError: it is no symbol, or there are no prices of the day.
            BeliefError: whatever `belief_tools.serving.serve_prices` raises.
        """
        asked = self._about(symbol, as_of)
        kept = self._prices if as_of is None else self._past_prices
        return kept.get(_moment(asked), lambda: self._known(serve_prices, asked))

    def uncut(self, symbol: object) -> Prices:
        """All prices of a symbol that there are, however old they be.

        Args:
            symbol: as a call has it, whoever wrote it.

        Raises:
            UsageError: it is no symbol.
            PricesError: there are none.
            StoreError: there is a store, and it fails.
        """
        asked = self._about(symbol, None)
        return self._uncut.get(_moment(asked), lambda: self._known(_whole, asked))

    def names(self) -> Mapping[str, Sequence[str]]:
        """The symbols that there are prices of, with the names people know them by."""
        return known_names()

    def desk(self, as_of: np.datetime64 | None = None, *, default: str = USUAL) -> Desk:
        """What a conversation can be about, as of now or of a day.

        Args:
            as_of: the day; None for the last session there is, at each question anew.
            default: the symbol of a question that names none.

        Raises:
            StoreError: there is a store, and it fails.
        """
        return Desk(default, self.names(), lambda symbol: self.tool(symbol, as_of))

    def _known(self, give: Callable[[Asked], Given], asked: Asked) -> Given:
        """Name the symbols that there are, where one is asked for that is none of them."""
        try:
            return give(asked)
        except UnknownSymbol:
            raise UnknownSymbol(
                f"there are no prices of {asked.symbol}, only of {', '.join(self.names())}; "
                f"belief refit {asked.symbol}, run by a person, fetches them"
            ) from None

    def _about(self, symbol: object, as_of: np.datetime64 | None) -> Asked:
        if not isinstance(symbol, str):
            raise UsageError(f"symbol is {shown(symbol)}; give a ticker symbol, for example NVDA")
        return dataclasses.replace(
            self._asked,
            symbol=upper_symbol(symbol),
            as_of=as_of,
            now=self._now(),
            may_fit=self._asked.may_fit or as_of is not None,
        )


def _whole(asked: Asked) -> Prices:
    return stored_or_named(asked.symbol, None)


def _moment(asked: Asked) -> tuple[Hashable, ...]:
    """All that a tool follows from: the symbol, what is stored of it, and the day."""
    symbol, store = str(asked.symbol), find_store()
    day: tuple[Hashable, ...] = (asked.now.date(), str(last_closed_session(asked.now)))
    if asked.as_of is not None:  # however late it is asked for
        day = ("as of", str(asked.as_of))
    if store is None:
        return symbol, *day
    with store, store.read() as connection:
        return symbol, *day, *standing(connection, symbol)
