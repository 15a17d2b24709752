"""The symbols that can be asked about, each with its tool."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from belief.sources import load_prices
from belief_tools.company_names import called
from belief_tools.forecast_tool import ForecastTool
from belief_tools.serving import Asked, find_store, serve

USUAL = "NVDA"
"""The symbol of a question that names none."""


@dataclass(frozen=True, eq=False)
class Desk:
    """What can be asked about.

    Attributes:
        default: the symbol of a question that names none.
        names: by which people know each symbol.
        tool: gives the tool of a symbol; put together when first asked for, and then kept.
    """

    default: str
    names: Mapping[str, Sequence[str]]
    tool: Callable[[str], ForecastTool]


def desk_of(tool: ForecastTool) -> Desk:
    """A desk for one symbol.

    Args:
        tool: of the symbol.
    """
    return Desk(tool.prices.symbol, tool.symbols, lambda _: tool)


def open_desk(asked: Asked) -> Desk:
    """A desk for the symbol or file that is asked for, or else for all that there are prices of.

    Args:
        asked: what to answer from.

    Raises:
        BeliefError: the symbol that is asked for cannot be answered for, or the store fails.
    """
    if asked.symbol is not None or asked.csv is not None:
        return desk_of(serve(asked))
    tool = functools.cache(lambda symbol: serve(dataclasses.replace(asked, symbol=symbol)))
    return Desk(USUAL, known_names(), tool)


def known_names() -> dict[str, tuple[str, ...]]:
    """The names by which people know each symbol that there are prices of, the usual one first.

    Raises:
        StoreError: there is a store, and it fails.
    """
    return {USUAL: (load_prices(USUAL).name,), **_stored_names()}


def _stored_names() -> dict[str, tuple[str, ...]]:
    store = find_store()
    if store is None:
        return {}
    from belief.store import names

    with store, store.read() as connection:
        return {symbol: (called(name),) for symbol, name in names(connection).items()}
