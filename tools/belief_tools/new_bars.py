"""Where a refit has its bars from: Yahoo Finance, the bundled snapshot, or a file."""

from pathlib import Path
from typing import TYPE_CHECKING

from belief.errors import PricesError, UsageError
from belief_tools import clock
from belief_tools.serving import upper_symbol

if TYPE_CHECKING:
    from belief.bars import Bars
    from belief.refit import Fetch


def new_bars(
    symbol: str | None, csv: Path | None = None, *, snapshot: bool = False
) -> "tuple[str, Fetch]":
    """The symbol as the store has it, and what gives its bars; nothing is fetched yet.

    Args:
        symbol: as it was written; None for the name of the file, or the usual one.
        csv: a file of prices; None for Yahoo Finance or the snapshot.
        snapshot: whether the bundled snapshot is meant.

    Raises:
        UsageError: it is no symbol, or two sources are named.
    """
    if csv is not None and snapshot:
        raise UsageError("--prices and --snapshot are two sources; give one")
    name = upper_symbol(csv.stem if symbol is None and csv is not None else symbol)
    if csv is not None:
        from belief.sources import bars_from_csv

        return name, lambda _: bars_from_csv(csv, symbol=name)
    if snapshot:
        return name, lambda _: _of_the_snapshot(name)
    from belief import yahoo

    return name, lambda first: yahoo.fetch(name, first=first, now=clock.now())


def _of_the_snapshot(symbol: str) -> "Bars":
    from belief.bars import bars_of
    from belief.sources import bundled_symbol, load_prices

    if bundled_symbol(symbol) is None:
        raise PricesError(f"there is no bundled snapshot of {symbol}; leave --snapshot out")
    return bars_of(load_prices(symbol))
