"""Bars: the daily rows of one symbol as a source hands them over, before anything is checked."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from belief.events import NO_EVENTS, Events
from belief.prices import COLUMNS, Prices, Split

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, eq=False)
class Bars:
    """Daily rows of one symbol as they came: they may repeat, descend, lack values or be wrong.

    Attributes:
        symbol: the exchange's symbol, upper case.
        name: the name people use.
        currency: ISO 4217 code as the source says it; empty when it says none.
        session: (T,) day of each row in exchange time, in the order of the source, unit D.
        open: (T,) first price, in the source's basis; not a number where there is none.
        high: (T,) highest price.
        low: (T,) lowest price.
        close: (T,) last price.
        volume: (T,) shares.
        splits: those the source lists from the first row's day on, sorted by session; the day of
            one may have no row.
        source: where the rows come from, in words.
        splits_known: whether the source tells splits at all.
        retrieved_at: ISO day on which the source was read.
        events: scheduled sessions the source knows.
    """

    symbol: str
    name: str
    currency: str
    session: Days
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    splits: tuple[Split, ...]
    source: str
    splits_known: bool
    retrieved_at: str | None
    events: Events = field(default=NO_EVENTS)

    def __post_init__(self) -> None:
        for name in ("session", *COLUMNS):
            getattr(self, name).setflags(write=False)

    def __len__(self) -> int:
        return int(self.session.size)


def bars_of(prices: Prices) -> Bars:
    """Hand checked prices over as if a source did: as traded, with their splits and events."""
    return Bars(
        symbol=prices.symbol,
        name=prices.name,
        currency=prices.currency,
        session=prices.session,
        **{name: getattr(prices, name) for name in COLUMNS},
        splits=prices.splits,
        source=prices.source,
        splits_known=prices.splits_known,
        retrieved_at=prices.retrieved_at,
        events=prices.events,
    )
