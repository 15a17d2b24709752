"""What a program asks of the estimator: fit prices, and say what a close will be.

`import belief` offers these beside the values and functions they are made of.
"""

from collections.abc import Iterable

from belief.errors import UsageError
from belief.fitted_model import FittedModel
from belief.forecast import Forecast
from belief.model_cache import cached_fit
from belief.models import (
    DEFAULT_MODEL,
    belief,
    fit_fingerprint,
    forecasts,
    increasing_horizons,
    target_session,
)
from belief.posterior import Belief
from belief.prices import Prices
from belief.sessions import Day, as_day, session_after


def fit(prices: Prices, *, model: str = DEFAULT_MODEL) -> FittedModel:
    """Fit a model to prices, as of their last session.

    The same prices, model and code give the same fit, so one that was made before is read from
    `BELIEF_CACHE_DIR`; the first of a long history takes some seconds.

    Args:
        prices: T sessions, at least 251; `Prices.until` cuts them at an earlier day.
        model: one of `belief.models.MODELS`; the default mixes four memories of the volatility
            grid.

    Returns:
        `FittedModel`, trained through the last session of the prices.

    Raises:
        UsageError: there is no such model.
        FitError: the prices are too few or do not vary.

    Example:
        >>> from belief import load_prices
        >>> fitted = fit(load_prices("NVDA").until("2000-03-31"))
        >>> fitted.model, fitted.n_sessions, str(fitted.trained_through)
        ('belief', 301, '2000-03-31')
    """
    _check_type("prices", prices, Prices, "load_prices or prices_from makes them")
    return cached_fit(model, prices)


def belief_of(fitted: FittedModel) -> Belief:
    """Read the belief that a model holds at the last session it knows.

    Args:
        fitted: of one of `belief.models.BELIEVERS`, such as the default model.

    Returns:
        `Belief`: R regimes with their probabilities, the (R, R) transition probabilities in force,
        annualised volatility; `to_dict` gives plain values, so that
        `pandas.DataFrame(held.to_dict()["regimes"])` is a table of the regimes.

    Raises:
        UsageError: the model is one of those without states.

    Example:
        >>> from belief import load_prices
        >>> held = belief_of(fit(load_prices("NVDA").until("2000-03-31")))
        >>> [regime.name for regime in held.regimes], held.transition_matrix.shape
        (['calm', 'normal', 'turbulent', 'crisis'], (4, 4))
    """
    _check_type("fitted", fitted, FittedModel, "fit makes one")
    return belief(fitted)


def forecast_on(fitted: FittedModel, prices: Prices, day: Day) -> Forecast:
    """Forecast the closing price on a day; the same inputs give the same bytes.

    Args:
        fitted: what `fit` made of these prices.
        prices: as they were fitted.
        day: after the last session of the prices, at most 504 sessions ahead; one that is no
            session stands for the last session before it.

    Returns:
        `Forecast` of the close at that session, in dollars of the last session of the prices.

    Raises:
        UsageError: there is no session to forecast on that day, or the model was not fitted to
            these prices.

    Example:
        >>> from belief import load_prices
        >>> prices = load_prices("NVDA").until("2000-03-31")
        >>> forecast = forecast_on(fit(prices), prices, "2000-04-30")
        >>> str(forecast.target), forecast.horizon
        ('2000-04-28', 19)
        >>> low, high = forecast.interval(0.9)
        >>> low < forecast.median < high
        True
    """
    _check_together(fitted, prices)
    return forecasts(fitted, prices, [target_session(as_day(day), prices.as_of)])[0]


def forecast_fan(fitted: FittedModel, prices: Prices, horizons: Iterable[int]) -> list[Forecast]:
    """Forecast the closing price several numbers of sessions ahead, from one simulation.

    Args:
        fitted: what `fit` made of these prices.
        prices: as they were fitted.
        horizons: sessions ahead, increasing, each from 1 to 504.

    Returns:
        One `Forecast` for each horizon, in dollars of the last session of the prices.

    Raises:
        UsageError: a horizon is not one of these, they do not increase, or the model was not
            fitted to these prices.

    Example:
        >>> from belief import load_prices
        >>> prices = load_prices("NVDA").until("2000-03-31")
        >>> [str(ahead.target) for ahead in forecast_fan(fit(prices), prices, (1, 5, 21))]
        ['2000-04-03', '2000-04-07', '2000-05-02']
    """
    _check_together(fitted, prices)
    ahead = increasing_horizons(horizons)
    return forecasts(fitted, prices, [session_after(prices.as_of, each) for each in ahead])


def _check_together(fitted: FittedModel, prices: Prices) -> None:
    """Refuse a model of other prices: nothing in its numbers would show."""
    _check_type("fitted", fitted, FittedModel, "fit makes one")
    _check_type("prices", prices, Prices, "load_prices or prices_from makes them")
    if fitted.symbol != prices.symbol:
        raise UsageError(f"the model is of {fitted.symbol}, the prices are of {prices.symbol}")
    if fitted.known_through != prices.as_of:
        raise UsageError(
            f"the model knows {fitted.trained_from} to {fitted.known_through}, the prices "
            f"{prices.session[1]} to {prices.as_of}; fit these prices"
        )
    if fitted.fingerprint != fit_fingerprint(fitted.model, prices.until(fitted.trained_through)):
        raise UsageError(
            f"the model was not fitted to these prices of {prices.symbol}, or by another version; "
            f"fit them anew"
        )


def _check_type(name: str, value: object, wanted: type, hint: str) -> None:
    if not isinstance(value, wanted):
        raise UsageError(f"{name} is a {type(value).__name__}, not a {wanted.__name__}; {hint}")
