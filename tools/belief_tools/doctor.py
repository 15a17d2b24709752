"""`belief doctor`: what is configured, what is kept, what the language model can do."""

import datetime
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from belief.errors import BeliefError, LanguageModelError
from belief.fitted_model import code_fingerprint
from belief.paths import store_location
from belief_tools import settings
from belief_tools.serving import MOST_BEHIND, find_store, sessions_behind
from belief_tools.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from belief.prices import Prices
    from belief.store import Store
    from belief_tools.llm import Endpoint


OLD = 10  # days that prices of any source may be old without a word


@dataclass(frozen=True)
class Line:
    """One thing looked at: its part, name, what was found, whether that is well, and advice."""

    part: str
    name: str
    found: str
    well: bool = True
    advice: str = ""


def examine(connect: "Callable[[], Endpoint]", now: datetime.datetime) -> list[Line]:
    """Look at settings, store and language model; nothing is changed.

    Args:
        connect: gives the configured language model, or the local one.
        now: the moment.
    """
    return [*_settings(), *_store(now), *_language_model(connect)]


def _settings() -> Iterator[Line]:
    for each in settings.in_force(os.environ, settings.FROM_FILE):
        value = each.value
        if each.variable == "BELIEF_STORE":
            value = _shown_store(value or store_location())
        elif value is not None and "@" in value:
            value = "***" + value[value.rindex("@") :]
        if value is not None and "?" in value:  # some servers take a key there
            value = value.partition("?")[0] + "?..."
        yield Line("settings", each.variable, f"{value or 'not set'} ({each.source})")


def _shown_store(where: str) -> str:
    """The store's place without a password."""
    return where if "://" not in where else where.split("://")[0] + "://..."


def _store(now: datetime.datetime) -> Iterator[Line]:
    try:
        store = find_store()
        if store is None:
            advice = "belief refit brings in live prices; until then the snapshot answers"
            yield Line("store", "database", "none yet", True, advice)
            return
        with store:
            yield from _kept(store, now)
    except BeliefError as error:
        yield Line("store", "database", one_line(str(error)), False, "see BELIEF_STORE")


def _kept(store: "Store", now: datetime.datetime) -> Iterator[Line]:
    from belief.ledger import breaks, count
    from belief.store import load_prices, symbols

    yield Line("store", "database", store.name)
    with store.read() as connection:
        for symbol in symbols(connection):
            prices = load_prices(connection, symbol)
            if prices is not None:
                yield _prices(prices, now)
                yield _model(connection, symbol)
        broken = list(breaks(connection))
        found = f"{count(connection):,} entries" + "".join(f"; {each.reason}" for each in broken)
        advice = "belief ledger verify says where" if broken else ""
        yield Line("store", "ledger", one_line(found), not broken, advice)


def _prices(prices: "Prices", now: datetime.datetime) -> Line:
    behind = sessions_behind(prices, now)
    days = int((np.datetime64(now.date(), "D") - prices.as_of).astype(int))
    found = f"through {prices.as_of}, {prices.source}, {days} days old"
    found += f", {behind} sessions behind" if behind else ""
    stale = behind > MOST_BEHIND or days > OLD
    advice = f"run belief refit {prices.symbol} after each close" if behind or stale else ""
    return Line("prices", prices.symbol, found, not stale, advice)


def _model(connection: "Connection", symbol: str) -> Line:
    from belief.store import published

    publication = published(connection, symbol)
    if publication is None:
        return Line("model", symbol, "none in service", False, f"run belief refit {symbol}")
    found = f"through {publication.session}, published {publication.published_at}"
    if publication.code_fingerprint != code_fingerprint():
        advice = f"of another version of this program: run belief refit {symbol}"
        return Line("model", symbol, found, False, advice)
    return Line("model", symbol, found)


def _language_model(connect: "Callable[[], Endpoint]") -> Iterator[Line]:
    from belief_tools.probe import probe

    try:
        endpoint = connect()
    except (LanguageModelError, BeliefError) as error:
        advice = "set OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL"
        yield Line("language model", "reachable", one_line(str(error)), False, advice)
        return
    for each in probe(endpoint):
        # only a model that cannot be reached keeps the product from working
        well = each.works or each.name != "reachable"
        mark = "" if each.works else "no: "
        yield Line("language model", each.name, one_line(mark + each.seen), well, each.advice)


def print_lines(lines: list[Line]) -> None:
    """Print what was found, part by part, with what to change."""
    part = ""
    for line in lines:
        if line.part != part:
            part = line.part
            print(part)
        mark = " " if line.well else "!"
        print(f"{mark} {line.name:<20} {one_line(line.found)}")
        if line.advice:
            print(f"  {'':<20} -> {line.advice}")


def plain(lines: list[Line]) -> dict[str, Any]:
    """The same as plain values."""
    return {"well": all(line.well for line in lines), "found": [vars(line) for line in lines]}
