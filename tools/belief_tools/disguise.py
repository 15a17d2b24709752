"""A symbol, its days and the scale of its prices in disguise, so that no model can recall them.

Days are moved by a number of sessions of the calendar, prices multiplied by a factor; both follow
from symbol and origin alone, so that a disguise is the same in every run. What a model says is
mapped back.
"""

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from belief.events import NO_EVENTS
from belief.forecast import Forecast
from belief.prices import COLUMNS, Prices
from belief.sessions import horizon_of, session_after, sessions_between
from belief.track_record import TrackRecord
from belief_tools.forecast_tool import ForecastTool, rounded
from belief_tools.llm import LanguageModel, Message
from belief_tools.replies import Reply

SYMBOL: Final = "XYZ"
NAME: Final = "Company X"
LEAST_SHIFT, MOST_SHIFT = 2_600, 4_100  # sessions ahead: ten to sixteen years
LARGEST_FACTOR: Final = 5.0  # and its inverse is the smallest
KEPT: Final = 60  # sessions that a disguised history has
PRICES_OF: Final = ("price", "low", "high")


@dataclass(frozen=True)
class Disguise:
    """How one origin is disguised.

    Attributes:
        origin: the session.
        shift: sessions from it to the one that stands for it.
        factor: what its prices are multiplied by.
    """

    origin: np.datetime64
    shift: int
    factor: float

    def day(self, day: np.datetime64) -> np.datetime64:
        """The session that stands for a session at or after the origin.

        Args:
            day: a session.
        """
        return session_after(self.origin, self.shift + horizon_of(self.origin, day))

    def price(self, price: float) -> float:
        """The price that stands for a price, to the cent."""
        return rounded(price * self.factor)

    def undone(self, prediction: Mapping[str, Any]) -> dict[str, Any]:
        """A prediction in disguised dollars, in those of the origin.

        Args:
            prediction: with the prices of `PRICES_OF`.
        """
        return {**prediction, **{name: prediction[name] / self.factor for name in PRICES_OF}}


def disguise_of(symbol: str, origin: np.datetime64) -> Disguise:
    """The disguise of a symbol at an origin, the same at all times.

    Args:
        symbol: whose prices.
        origin: the session.
    """
    digest = hashlib.sha256(f"{symbol} {origin}".encode()).digest()
    first, second = (int.from_bytes(digest[i : i + 4]) / 2**32 for i in (0, 4))
    shift = LEAST_SHIFT + int(first * (MOST_SHIFT - LEAST_SHIFT))
    return Disguise(origin, shift, math.exp((2.0 * second - 1.0) * math.log(LARGEST_FACTOR)))


@dataclass(frozen=True, eq=False)
class DisguisedTool(ForecastTool):
    """The tool about a symbol that nobody knows, on days that have not been.

    Attributes:
        inner: the tool it speaks for.
        disguise: of its symbol, days and prices.
    """

    inner: ForecastTool = dataclasses.field(kw_only=True)
    disguise: Disguise = dataclasses.field(kw_only=True)

    def forecast(self, target: np.datetime64) -> Forecast:
        """The forecast of the inner tool, in disguise."""
        horizon = horizon_of(self.prices.as_of, target)
        made = self.inner.forecast(session_after(self.disguise.origin, horizon))
        return dataclasses.replace(
            made,
            symbol=SYMBOL,
            origin=self.prices.as_of,
            target=target,
            last_close=self.prices.last_close,
        )

    def track_record(self, horizon: int) -> TrackRecord | None:
        """That of the inner tool."""
        return self.inner.track_record(horizon)

    @property
    def belief_notes(self) -> list[str]:
        """Those of the inner tool."""
        symbol = self.inner.prices.symbol
        return [note.replace(symbol, SYMBOL) for note in self.inner.belief_notes]

    def scheduled_events(self, horizon: int) -> list[dict[str, Any]]:
        """Those of the inner tool, on the days that stand for theirs."""
        return [
            {**event, "session": str(self.disguise.day(np.datetime64(event["session"], "D")))}
            for event in self.inner.scheduled_events(horizon)
        ]


class DisguisedModel:
    """A language model that is not shown the symbol as an example in the description of a tool."""

    def __init__(self, model: LanguageModel, symbol: str) -> None:
        """Stand before a model.

        Args:
            model: is asked.
            symbol: the true one.
        """
        self.model, self.symbol = model, symbol
        self.name, self.calls_tools = model.name, model.calls_tools

    def chat(self, messages: Sequence[Message], **wanted: Any) -> Reply:
        """Ask, as `belief_tools.llm.Endpoint.chat` does.

        Args:
            messages: in disguise already.
            **wanted: as there.
        """
        described = {name: wanted[name] for name in ("tools", "schema") if name in wanted}
        shown = re.sub(rf"\b{re.escape(self.symbol)}\b", SYMBOL, json.dumps(described))
        return self.model.chat(messages, **{**wanted, **json.loads(shown)})


def disguised(tool: ForecastTool) -> DisguisedTool:
    """Put a tool in disguise.

    Args:
        tool: as of an origin.
    """
    prices = tool.prices
    disguise = disguise_of(prices.symbol, prices.as_of)
    return DisguisedTool(
        _disguised_prices(prices, disguise),
        tool.fitted,
        None,
        live=False,
        inner=tool,
        disguise=disguise,
    )


def _disguised_prices(prices: Prices, disguise: Disguise) -> Prices:
    rows = slice(-KEPT, None)
    last = session_after(disguise.origin, disguise.shift)
    session = sessions_between(disguise.origin, last)[rows]
    factor = disguise.factor / prices.split_factor()[rows]  # in dollars of the origin
    columns = {name: getattr(prices, name)[rows] * factor for name in COLUMNS[:-1]}
    return dataclasses.replace(
        prices,
        symbol=SYMBOL,
        name=NAME,
        session=session,
        **columns,
        volume=np.zeros(KEPT),
        splits=(),
        source="prices",
        splits_known=True,
        retrieved_at=None,
        events=NO_EVENTS,
    )
