"""A person's view: its points, the shape between them, and the blend."""

import math

import numpy as np
import pytest

from belief.errors import UsageError
from belief.forecast import NORMAL_SCORES, Forecast
from belief.view import SHARES, View, blended, check_view

VIEW = View(median=105.0, low=90.0, high=125.0, confidence=1.0)


def forecast_of(sd=0.1, location=0.0):
    return Forecast(
        symbol="XYZ",
        model="belief",
        origin=np.datetime64("2024-03-01"),
        target=np.datetime64("2024-04-01"),
        horizon=20,
        last_close=100.0,
        log_return_quantile=location + sd * NORMAL_SCORES,
    )


def with_confidence(confidence):
    return View(VIEW.median, VIEW.low, VIEW.high, confidence)


def test_full_confidence_gives_the_points_of_the_view():
    found = blended(forecast_of(), VIEW)
    assert found.quantile(0.05) == pytest.approx(90.0, rel=1e-3)
    assert found.quantile(0.5) == pytest.approx(105.0, rel=1e-3)
    assert found.quantile(0.95) == pytest.approx(125.0, rel=1e-3)


def test_no_confidence_leaves_the_belief():
    belief = forecast_of()
    found = blended(belief, with_confidence(0.0))
    assert found.log_return_quantile == pytest.approx(belief.log_return_quantile, abs=1e-6)


@pytest.mark.parametrize("confidence", [0.25, 0.5, 0.9])
def test_the_blend_is_a_mixture_of_view_and_belief(confidence):
    belief, viewed = forecast_of(), blended(forecast_of(), VIEW)
    found = blended(belief, with_confidence(confidence))
    for price in (80.0, 90.0, 97.0, 105.0, 118.0, 125.0, 140.0):
        mixed = confidence * viewed.cdf(price) + (1.0 - confidence) * belief.cdf(price)
        assert found.cdf(price) == pytest.approx(mixed, abs=3e-3)


def test_between_the_points_the_view_has_the_shape_of_the_belief():
    belief, viewed = forecast_of(), blended(forecast_of(), VIEW)
    edges = (1e-3, *VIEW.points, 1e5)
    for low, high, share in zip(edges[:-1], edges[1:], SHARES, strict=True):
        inside = np.geomspace(max(low, 70.0), min(high, 145.0), 7)[1:-1]
        whole = belief.cdf(high) - belief.cdf(low)
        for price in inside:
            own = (viewed.cdf(price) - viewed.cdf(low)) / share
            assert own == pytest.approx((belief.cdf(price) - belief.cdf(low)) / whole, abs=1e-2)


def test_no_distribution_with_the_same_points_is_nearer_to_the_belief():
    """Relative entropy of the bins reweighted, against other shapes with the same bins."""
    belief = forecast_of()
    viewed = blended(belief, VIEW)
    grid = np.geomspace(60.0, 170.0, 4001)
    prior = np.diff([belief.cdf(price) for price in grid])
    found = np.diff([viewed.cdf(price) for price in grid])
    bins = np.searchsorted(VIEW.points, grid[:-1])
    rng = np.random.default_rng(0)

    def distance(weight):
        positive = weight > 0.0
        return float((weight[positive] * np.log(weight[positive] / prior[positive])).sum())

    nearest = distance(found)
    for _ in range(20):
        other = found * np.exp(0.2 * rng.standard_normal(len(found)))
        for each in range(4):
            other[bins == each] *= found[bins == each].sum() / other[bins == each].sum()
        assert distance(other) > nearest


def test_quantiles_increase_even_where_the_view_is_far_out():
    found = blended(forecast_of(), View(median=128.0, low=120.0, high=135.0, confidence=0.7))
    assert (np.diff(found.log_return_quantile) > 0.0).all()


@pytest.mark.parametrize(
    ("low", "median", "high", "confidence", "words"),
    [
        (110.0, 105.0, 125.0, 0.5, "low 110, median 105 and high 125"),
        (-1.0, 105.0, 125.0, 0.5, "low -1"),
        (90.0, 105.0, math.inf, 0.5, "high inf"),
        (90.0, math.nan, 125.0, 0.5, "median nan"),
        (90.0, 105.0, 125.0, 1.5, "confidence is 1.5"),
        (90.0, 105.0, 125.0, math.nan, "confidence is nan"),
    ],
)
def test_a_view_that_makes_no_sense_is_refused(low, median, high, confidence, words):
    with pytest.raises(UsageError, match=words):
        View(median=median, low=low, high=high, confidence=confidence)


@pytest.mark.parametrize("point", [1.0, 500.0])
def test_a_view_outside_what_was_simulated_is_refused(point):
    view = View(median=100.0, low=min(90.0, point), high=max(110.0, point), confidence=0.5)
    with pytest.raises(UsageError, match="outside what the belief can imagine for 2024-04-01"):
        check_view(view, forecast_of())
