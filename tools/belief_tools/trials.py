"""What an evaluation asks: an origin, a horizon, what was known then, and what came."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from belief.backtest_parts import closes_at
from belief.errors import UsageError
from belief.forecast import Forecast
from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL, MAX_HORIZON, belief, forecasts
from belief.prices import Prices
from belief.sessions import session_after
from belief_tools.forecast_tool import ForecastTool

Days = npt.NDArray[np.datetime64]

RECENT: Final = 20  # closes that a prompt may show
UNAIDED: Final = ("belief", "garch_t", "random_walk")
"""What forecasts without a language model, by the names of `belief.models`."""


@dataclass(frozen=True, eq=False)
class RememberingTool(ForecastTool):
    """A tool that computes no forecast twice, however many arms and models consult it.

    Attributes:
        made: forecasts by target.
    """

    made: dict[str, Forecast] = field(default_factory=dict, kw_only=True)

    def forecast(self, target: np.datetime64) -> Forecast:
        """The forecast, as `ForecastTool` makes it."""
        if str(target) not in self.made:
            self.made[str(target)] = super().forecast(target)
        return self.made[str(target)]


@dataclass(frozen=True, eq=False)
class Origin:
    """What was known at the close of a session, and nothing later.

    Attributes:
        tool: the belief, as a language model may consult it.
    """

    tool: ForecastTool

    @property
    def known(self) -> Prices:
        """The prices, cut at the session."""
        return self.tool.prices

    @property
    def session(self) -> np.datetime64:
        """The session."""
        return self.known.as_of

    @cached_property
    def regime(self) -> str:
        """The regime that the belief holds to be the likeliest."""
        held = belief(self.tool.fitted)
        return max(held.regimes, key=lambda regime: regime.probability).name

    @property
    def recent_closes(self) -> list[float]:
        """The last closes, oldest first, in dollars of the session."""
        return [float(close) for close in self.known.quoted_close()[-RECENT:]]

    def forecast(self, model: str, target: np.datetime64) -> Forecast:
        """What a model without words says.

        Args:
            model: one of `UNAIDED`.
            target: the session it is about.
        """
        if model == DEFAULT_MODEL:
            return self.tool.forecast(target)
        return forecasts(cached_fit(model, self.known), self.known, [target])[0]


@dataclass(frozen=True, eq=False)
class Trial:
    """One question, and its outcome.

    Attributes:
        origin: what was known.
        target: the session asked about.
        horizon: sessions from origin to target.
        actual: the close at the target, in dollars of the origin; no arm is shown it.
    """

    origin: Origin
    target: np.datetime64
    horizon: int
    actual: float


def origins_between(
    prices: Prices, first: np.datetime64, last: np.datetime64, horizon: int, count: int
) -> Days:
    """Choose sessions to ask from, evenly spaced, all of whose targets are known.

    Args:
        prices: of the symbol.
        first: first day to ask from.
        last: last day to ask from.
        horizon: the longest, in sessions.
        count: how many, at least 1; fewer where there are not so many sessions.

    Returns:
        (N,) sessions in order.

    Raises:
        UsageError: there is no such session.
    """
    inside = prices.session[(prices.session >= first) & (prices.session <= last)]
    usable = [day for day in inside if session_after(day, horizon) <= prices.as_of]
    if not usable:
        raise UsageError(
            f"no session from {first} to {last} has a close known {horizon} sessions later; the "
            f"prices go from {prices.session[0]} to {prices.as_of}"
        )
    places = np.linspace(0, len(usable) - 1, min(count, len(usable))).round().astype(int)
    chosen: Days = np.array(usable)[np.unique(places)]
    return chosen


def trials(
    prices: Prices, origins: Sequence[np.datetime64], horizons: Sequence[int]
) -> Iterator[list[Trial]]:
    """Put the questions of each origin together, one origin after the other.

    Args:
        prices: of the symbol, with what came after.
        origins: sessions to ask from.
        horizons: sessions ahead, each from 1 to `belief.models.MAX_HORIZON`.

    Yields:
        The trials of one origin, in the order of the horizons.

    Raises:
        UsageError: a horizon cannot be.
        FitError: a model cannot be fitted to what was known.
    """
    for horizon in horizons:
        if not 1 <= horizon <= MAX_HORIZON:
            raise UsageError(f"horizon {horizon} is not from 1 to {MAX_HORIZON} sessions")
    for day in origins:
        known = prices.until(day)
        origin = Origin(RememberingTool(known, cached_fit(DEFAULT_MODEL, known), None, live=False))
        targets = np.array([session_after(day, horizon) for horizon in horizons])
        closes = closes_at(prices, day, targets)
        yield [
            Trial(origin, target, horizon, float(close))
            for target, horizon, close in zip(targets, horizons, closes, strict=True)
        ]
