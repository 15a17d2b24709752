"""A person's own view of a price, and what a forecast becomes when it is taken in.

The view names the 5 %, 50 % and 95 % points. Of all distributions that have them, the one nearest
to the belief in relative entropy keeps the belief's shape between the points and gives the four
bins 5, 45, 45 and 5 %. The blend is  confidence * view + (1 - confidence) * belief.

Source: Meucci, "Fully Flexible Views: Theory and Practice" (2008), sections 2 and 3.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from belief.errors import UsageError
from belief.forecast import NORMAL, NORMAL_SCORES, Forecast

Array = npt.NDArray[np.float64]

SHARES: Final = (0.05, 0.45, 0.45, 0.05)  # of the four bins
FARTHEST: Final = 1e-4  # probability beyond which the belief was not simulated
FINENESS: Final = 8  # points between two quantiles at which the blend is computed


@dataclass(frozen=True)
class View:
    """What a person thinks of a closing price, in dollars of the forecast's origin.

    Attributes:
        median: price the close is as likely to be above as below.
        low: the 5 % point.
        high: the 95 % point.
        confidence: weight of the view against the belief, from 0 to 1.

    Raises:
        UsageError: the prices are not positive and increasing, or the confidence is out of range.
    """

    median: float
    low: float
    high: float
    confidence: float

    def __post_init__(self) -> None:
        if not 0.0 < self.low < self.median < self.high < math.inf:
            raise UsageError(
                f"low {self.low:g}, median {self.median:g} and high {self.high:g} are no view; "
                f"give three prices above 0 in this order"
            )
        if not 0.0 <= self.confidence <= 1.0:
            raise UsageError(f"confidence is {self.confidence:g}; give a number from 0 to 1")

    @property
    def points(self) -> tuple[float, float, float]:
        """The prices that divide the bins."""
        return self.low, self.median, self.high


def check_view(view: View, forecast: Forecast) -> None:
    """Refuse a view whose points the belief has never seen.

    Args:
        view: in dollars of the forecast's origin.
        forecast: of the price that the view is about.

    Raises:
        UsageError: a point lies where the belief gives less than 0.01 % to one side.
    """
    lowest, highest = (forecast.quantile(share) for share in (FARTHEST, 1.0 - FARTHEST))
    for name, point in zip(("low", "median", "high"), view.points, strict=True):
        if not lowest <= point <= highest:
            raise UsageError(
                f"{name} {point:g} is outside what the belief can imagine for {forecast.target}; "
                f"give a price from {lowest:.2f} to {highest:.2f}"
            )


def blended(forecast: Forecast, view: View) -> Forecast:
    """Take a view into a forecast.

    Args:
        forecast: the belief's.
        view: of the same price, in dollars of its origin.

    Returns:
        The forecast with the blended distribution, under the same name.

    Raises:
        UsageError: see `check_view`.
    """
    check_view(view, forecast)
    log_return = _fine(forecast.log_return_quantile)
    belief = np.array([NORMAL.cdf(score) for score in _fine(NORMAL_SCORES)])
    at_points = np.array([forecast.cdf(point) for point in view.points])
    share = view.confidence * _viewed(belief, at_points) + (1.0 - view.confidence) * belief
    # the probabilities of both tails have to stay precise: score them from the nearer end
    score = np.array([NORMAL.inv_cdf(min(max(each, 1e-12), 1.0 - 1e-12)) for each in share])
    quantiles = np.interp(NORMAL_SCORES, score, log_return)
    return dataclasses.replace(forecast, log_return_quantile=_increasing(quantiles))


def _viewed(belief: Array, at_points: Array) -> Array:
    """Move the belief's cumulative probabilities so that the bins get the shares of a view."""
    edges = np.concatenate([[0.0], at_points, [1.0]])
    reached = np.concatenate([[0.0], np.cumsum(SHARES)])
    return np.asarray(np.interp(belief, edges, reached))


def _fine(values: Array) -> Array:
    """Put `FINENESS` - 1 points on the line between each two."""
    place = np.arange(len(values))
    finer = np.linspace(0, len(values) - 1, FINENESS * (len(values) - 1) + 1)
    return np.asarray(np.interp(finer, place, values))


def _increasing(quantiles: Array) -> Array:
    """Beyond the belief's last quantile a blend has none: let the ends grow by a hair."""
    return np.asarray(quantiles + 1e-12 * np.arange(len(quantiles)))
