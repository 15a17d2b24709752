"""The belief-state estimator that a language model consults before it says a price.

prices -> observations -> fitted model -> belief -> forecast: the modules tell it in that order.
What a program needs of them is here; each name loads what it needs when it is first used.

    load_prices, prices_from      prices of the snapshot, a CSV file or a pandas frame
    Prices, fit, FittedModel      checked prices, cut at a day by `Prices.until`; a model of them
    belief_of, Belief             what the model holds to be true of the last session
    forecast_on, forecast_fan     a close ahead, or several
    Forecast                      its median, quantiles, intervals and chances
    walk_forward, Plan            a backtest, origin after origin
    session_after, sessions_between     days on which the exchange trades
    BeliefError                   what every error that a caller can cause is

A day is a numpy.datetime64, a date or text such as "2024-03-28"; prices are in US dollars, returns
are natural logarithms, volatilities are annualised, and 0.45 is 45 %.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from belief.backtest import Plan, walk_forward
    from belief.errors import BeliefError
    from belief.fitted_model import FittedModel
    from belief.forecast import Forecast
    from belief.frames import prices_from
    from belief.library import belief_of, fit, forecast_fan, forecast_on
    from belief.posterior import Belief
    from belief.prices import Prices
    from belief.sessions import session_after, sessions_between
    from belief.sources import load_prices

__all__ = [
    "Belief",
    "BeliefError",
    "FittedModel",
    "Forecast",
    "Plan",
    "Prices",
    "belief_of",
    "fit",
    "forecast_fan",
    "forecast_on",
    "load_prices",
    "prices_from",
    "session_after",
    "sessions_between",
    "walk_forward",
]

_HOMES = {
    "Belief": "posterior",
    "BeliefError": "errors",
    "FittedModel": "fitted_model",
    "Forecast": "forecast",
    "Plan": "backtest",
    "Prices": "prices",
    "belief_of": "library",
    "fit": "library",
    "forecast_fan": "library",
    "forecast_on": "library",
    "load_prices": "sources",
    "prices_from": "frames",
    "session_after": "sessions",
    "sessions_between": "sessions",
    "walk_forward": "backtest",
}

if not TYPE_CHECKING:  # a type checker is to see the names above, and no others

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'belief' has no attribute {name!r}")
        found = getattr(import_module(f"belief.{_HOMES[name]}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
