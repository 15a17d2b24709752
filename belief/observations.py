"""What the models look at: one row per session, computed from closes up to that session only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from belief.errors import FitError
from belief.prices import Prices

Array = npt.NDArray[np.float64]

MIN_SESSIONS = 250


@dataclass(frozen=True, eq=False)
class Observations:
    """Daily returns, ranges and events of one symbol, split-adjusted; row t is known at its close.

    Attributes:
        session: (N,) datetime64[D], the second to the last session of the prices.
        log_return: (N,) natural log of close over the close before.
        log_range: (N,) natural log of the high over the low of the session.
        intraday: (N,) natural log of close over open of the session.
        event: (N,) bool, true at a session that reacts to a scheduled event.
    """

    session: npt.NDArray[np.datetime64]
    log_return: Array
    log_range: Array
    intraday: Array
    event: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        for values in (self.session, self.log_return, self.log_range, self.intraday, self.event):
            values.setflags(write=False)

    def __len__(self) -> int:
        return len(self.session)

    def first(self, n_sessions: int) -> "Observations":
        """The first sessions alone, as they were known at the last of them."""
        return Observations(
            session=self.session[:n_sessions].copy(),
            log_return=self.log_return[:n_sessions].copy(),
            log_range=self.log_range[:n_sessions].copy(),
            intraday=self.intraday[:n_sessions].copy(),
            event=self.event[:n_sessions].copy(),
        )


def observe(prices: Prices) -> Observations:
    """Turn prices into observations.

    Splits enter only through the factor between two neighbouring sessions, so a row never changes
    when a later split becomes known.

    Args:
        prices: as traded, with their splits, cut at the as-of session.

    Returns:
        `Observations` with one row fewer than there are sessions.
    """
    factor = prices.split_factor()
    # shares per old share that came in between two neighbouring closes
    step = factor[:-1] / factor[1:]
    return Observations(
        session=prices.session[1:].copy(),
        log_return=np.log(prices.close[1:] * step / prices.close[:-1]),
        log_range=np.log(prices.high[1:] / prices.low[1:]),
        intraday=np.log(prices.close[1:] / prices.open[1:]),
        event=prices.events.flags(prices.session[1:]),
    )


def check_returns(log_return: Array) -> None:
    """Refuse returns that no model can be fitted to.

    Args:
        log_return: (N,) natural-log returns.

    Raises:
        FitError: they are too few, or more than half of them are equal.
    """
    if len(log_return) < MIN_SESSIONS:
        raise FitError(
            f"{len(log_return)} returns are too few to fit; at least {MIN_SESSIONS} are needed"
        )
    if np.mean(log_return == np.median(log_return)) > 0.5:
        raise FitError("more than half of the returns are equal; these prices do not move")
