"""Forecast: the predictive distribution of the closing price at a target. A plain value."""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from belief.drift import Drift
from belief.errors import UsageError

Array = npt.NDArray[np.float64]

# Quantiles are kept at equally spaced normal scores: log prices are nearly straight in them, so
# that straight lines between the points, and beyond the last ones, lose nothing anyone can see.
NORMAL_SCORES = np.linspace(-4.5, 4.5, 361)
NORMAL = NormalDist()
# Draws reach this normal score; beyond it, where a dozen decide, the tail is a power law.
TAIL_SCORE = 3.0
SMOOTHING = 0.1  # width of the average over draws, in normal scores


class Outlook(NamedTuple):
    """What is known at the origin about the sessions ahead, beside the state of the market.

    Attributes:
        drift: of the log price, per session; the doubt about it is the same for all sessions.
        event_chance: (E, H) probability that scheduled event e has its reaction in session h + 1
            after the origin; rows sum to at most 1.
    """

    drift: Drift
    event_chance: Array


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predictive distribution of a closing price, in dollars of the origin.

    It has no mean: under Student-t log returns the price has none.

    Attributes:
        symbol: whose price.
        model: name of the model that made it.
        origin: the last session that was known.
        target: the session the forecast is about.
        horizon: sessions from origin to target.
        last_close: close at the origin, currency as quoted on the origin.
        log_return_quantile: (Q,) natural-log return from origin to target at `NORMAL_SCORES`,
            increasing.

    Example:
        >>> from belief import fit, forecast_on, load_prices
        >>> prices = load_prices("NVDA").until("2000-03-31")
        >>> forecast = forecast_on(fit(prices), prices, "2000-04-28")
        >>> forecast.last_close
        84.484375
        >>> round(forecast.median), [round(end) for end in forecast.interval(0.9)]
        (84, [42, 176])
        >>> round(forecast.prob_up, 1), round(forecast.prob_above(100), 1)
        (0.5, 0.3)
    """

    symbol: str
    model: str
    origin: np.datetime64
    target: np.datetime64
    horizon: int
    last_close: float
    log_return_quantile: Array

    def __post_init__(self) -> None:
        self.log_return_quantile.setflags(write=False)

    def __repr__(self) -> str:
        """One line; the quantiles would fill a screen."""
        low, high = self.interval(0.9)
        return (
            f"<Forecast of {self.symbol} on {self.target}, {self.horizon} sessions after "
            f"{self.origin}, by {self.model}: median {self.median:.2f}, 90 % between {low:.2f} "
            f"and {high:.2f}>"
        )

    @property
    def median(self) -> float:
        """Price that the close is as likely to be above as below."""
        return self.quantile(0.5)

    @property
    def prob_up(self) -> float:
        """Probability of a close above the last close."""
        return self.prob_above(self.last_close)

    def quantile(self, probability: float) -> float:
        """Price that the close stays at or below with this probability.

        Args:
            probability: strictly between 0 and 1.

        Raises:
            UsageError: the probability is not strictly between 0 and 1.
        """
        if not 0.0 < probability < 1.0:
            raise UsageError(f"probability is {probability}; it must lie strictly between 0 and 1")
        log_return = _line(NORMAL.inv_cdf(probability), NORMAL_SCORES, self.log_return_quantile)
        return self.last_close * float(np.exp(log_return))

    def cdf(self, price: float) -> float:
        """Probability of a close at or below this price.

        Args:
            price: in dollars of the origin, positive.

        Raises:
            UsageError: the price is not a positive number.
        """
        if not 0.0 < price < np.inf:
            raise UsageError(f"price is {price}; it must be a positive number")
        log_return = math.log(price) - math.log(self.last_close)  # the ratio may under- or overflow
        return NORMAL.cdf(_line(log_return, self.log_return_quantile, NORMAL_SCORES))

    def prob_above(self, price: float) -> float:
        """Probability of a close above this price.

        Args:
            price: in dollars of the origin, positive.

        Raises:
            UsageError: the price is not a positive number.
        """
        return 1.0 - self.cdf(price)

    def interval(self, level: float) -> tuple[float, float]:
        """Central interval that contains the close with this probability.

        Args:
            level: strictly between 0 and 1, for instance 0.9.

        Raises:
            UsageError: the level is not strictly between 0 and 1.
        """
        if not 0.0 < level < 1.0:
            raise UsageError(f"level is {level}; it must lie strictly between 0 and 1")
        tail = (1.0 - level) / 2.0
        return self.quantile(tail), self.quantile(1.0 - tail)


def normal_mixture_quantiles(location: float, scale: Array, *, common_sd: float) -> Array:
    """Quantiles of an equally weighted mixture of normals around one location.

    Args:
        location: natural-log return at the centre of every component.
        scale: (n,) standard deviations of the components.
        common_sd: standard deviation of an independent normal added to all of them.

    Returns:
        (Q,) quantiles at `NORMAL_SCORES`, increasing.
    """
    variance, weight = _thinned(scale**2)
    component = np.sqrt(variance + common_sd**2)
    # from the centre to beyond the last score of the widest component, finest at the centre
    reach = 1.5 * NORMAL_SCORES[-1] * component.max()
    distance = component.min() * np.sinh(np.linspace(0.0, np.arcsinh(reach / component.min()), 240))
    beyond = (_upper_tail(distance[:, None] / component) * weight).sum(axis=1)
    score = np.array([-NORMAL.inv_cdf(max(chance, 1e-300)) for chance in beyond.tolist()])
    upper = np.interp(NORMAL_SCORES[len(NORMAL_SCORES) // 2 :], score, distance)
    return location + np.concatenate([-upper[:0:-1], upper])


def quantiles_of_draws(draws: Array) -> Array:
    """Quantiles of a distribution that is known from draws, smooth and with tails.

    The sorted draws, as a function of the normal score of their rank, are averaged with normal
    weights of width `SMOOTHING`. Beyond `TAIL_SCORE` the distance from the median grows as a power
    of the tail's probability; its exponent is the mean log distance of the draws there (Hill).

    Args:
        draws: (n,) independent draws, at least 2,000, of a continuous distribution.

    Returns:
        (Q,) quantiles at `NORMAL_SCORES`, increasing.

    Source:
        Hill (1975) for the exponent, Weissman (1978) for the quantiles beyond the draws.
    """
    ordered, score = np.sort(draws), _rank_scores(len(draws))
    node, weight = np.polynomial.hermite_e.hermegauss(9)
    body = np.abs(NORMAL_SCORES) <= TAIL_SCORE + 1e-9
    at = NORMAL_SCORES[body, None] + SMOOTHING * node
    middle = np.interp(at, score, ordered) @ (weight / weight.sum())
    quantiles = np.empty(len(NORMAL_SCORES))
    quantiles[body] = middle
    centre = middle[len(middle) // 2]
    upper = NORMAL_SCORES > TAIL_SCORE + 1e-9
    quantiles[upper] = centre + _power_tail(ordered - centre, middle[-1] - centre)
    lower = _power_tail(centre - ordered[::-1], centre - middle[0])
    quantiles[upper[::-1]] = centre - lower[::-1]
    return quantiles


@cache
def _rank_scores(n: int) -> Array:
    """Normal scores of the ranks of n draws, (n,)."""
    return np.array([NORMAL.inv_cdf((rank + 0.5) / n) for rank in range(n)])


def _power_tail(distance: Array, last: float) -> Array:
    """Distances at the scores beyond `TAIL_SCORE`, from sorted draws and the distance at it."""
    beyond = distance[distance > last]
    exponent = float(np.mean(np.log(beyond / last)))
    scores = NORMAL_SCORES[NORMAL_SCORES > TAIL_SCORE + 1e-9]
    tail = np.array([NORMAL.cdf(-score) for score in scores.tolist()])
    return np.asarray(last * (NORMAL.cdf(-TAIL_SCORE) / tail) ** exponent)


def _upper_tail(score: Array) -> Array:
    """Normal probability above each score; loading scipy for it would cost more than it takes."""
    erfc = np.frompyfunc(math.erfc, 1, 1)
    return np.asarray(0.5 * erfc(score / math.sqrt(2.0)), dtype=np.float64)


def _thinned(variance: Array, *, body_bins: int = 200, tail: int = 100) -> tuple[Array, Array]:
    """Sorted variances in equally filled bins with their weights; the largest stay single."""
    ordered = np.sort(variance)
    split = max(len(ordered) - tail, 0)
    parts = [part for part in np.array_split(ordered[:split], body_bins) if len(part)]
    means = np.array([part.mean() for part in parts] + list(ordered[split:]))
    sizes = np.array([len(part) for part in parts] + [1] * (len(ordered) - split))
    return means, sizes / len(ordered)


def _line(x: float, xs: Array, ys: Array) -> float:
    """Piecewise linear interpolation that goes on straight beyond both ends."""
    if x < xs[0]:
        return float(ys[0] + (x - xs[0]) * (ys[1] - ys[0]) / (xs[1] - xs[0]))
    if x > xs[-1]:
        return float(ys[-1] + (x - xs[-1]) * (ys[-1] - ys[-2]) / (xs[-1] - xs[-2]))
    return float(np.interp(x, xs, ys))
