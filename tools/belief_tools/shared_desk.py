"""Tools for many calls at a time, each put together once and anew when what it rests on changes."""

import dataclasses
import datetime
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, TypeVar

from belief.errors import UnknownSymbol, UsageError
from belief.sessions import last_closed_session
from belief.store import standing
from belief_tools.desk import known_names
from belief_tools.forecast_tool import ForecastTool, PricesTool, shown
from belief_tools.once import Once
from belief_tools.serving import Asked, find_store, serve, serve_prices, upper_symbol

Tool = TypeVar("Tool", ForecastTool, PricesTool)

MOST_SYMBOLS: Final = 32  # whose prices and models are kept in memory


class SharedDesk:
    """The symbols that can be asked about, by many at a time and for as long as the program runs.

    The store is looked at in every call, so that a model that is published meanwhile serves.
    """

    def __init__(self, asked: Asked, now: Callable[[], datetime.datetime]) -> None:
        """Begin with no tool put together.

        Args:
            asked: what to answer from; its symbol and moment are those of each call.
            now: gives the moment.
        """
        self._asked, self._now = asked, now
        self._tools: Once[ForecastTool] = Once(MOST_SYMBOLS)
        self._prices: Once[PricesTool] = Once(MOST_SYMBOLS)

    def tool(self, symbol: object) -> ForecastTool:
        """The tool of a symbol, as of now.

        Args:
            symbol: as a call has it, whoever wrote it.

        Raises:
            UsageError: it is no symbol.
            BeliefError: whatever `belief_tools.serving.serve` raises.
        """
        asked = self._about(symbol)
        return self._tools.get(_moment(asked), lambda: self._known(serve, asked))

    def prices(self, symbol: object) -> PricesTool:
        """The prices of a symbol, as of now; they need no model.

        Args:
            symbol: as a call has it, whoever wrote it.

        Raises:
            UsageError: it is no symbol.
            BeliefError: whatever `belief_tools.serving.serve_prices` raises.
        """
        asked = self._about(symbol)
        return self._prices.get(_moment(asked), lambda: self._known(serve_prices, asked))

    def names(self) -> Mapping[str, Sequence[str]]:
        """The symbols that there are prices of, with the names people know them by."""
        return known_names()

    def _known(self, give: Callable[[Asked], Tool], asked: Asked) -> Tool:
        """Name the symbols that there are, where one is asked for that is none of them."""
        try:
            return give(asked)
        except UnknownSymbol:
            raise UnknownSymbol(
                f"there are no prices of {asked.symbol}, only of {', '.join(self.names())}; "
                f"belief refit {asked.symbol}, run by a person, fetches them"
            ) from None

    def _about(self, symbol: object) -> Asked:
        if not isinstance(symbol, str):
            raise UsageError(f"symbol is {shown(symbol)}; give a ticker symbol, for example NVDA")
        return dataclasses.replace(self._asked, symbol=upper_symbol(symbol), now=self._now())


def _moment(asked: Asked) -> tuple[Hashable, ...]:
    """All that a tool follows from: the symbol, what is stored of it, and the day."""
    symbol, store = str(asked.symbol), find_store()
    day = asked.now.date(), str(last_closed_session(asked.now))
    if store is None:
        return symbol, *day
    with store, store.read() as connection:
        return symbol, *day, *standing(connection, symbol)
