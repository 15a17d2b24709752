"""A person's own view of a price: into the ledger beside the belief's forecast, and into words."""

import datetime
from dataclasses import dataclass
from typing import Final

import numpy as np

from belief.errors import StoreError, UsageError
from belief.forecast import Forecast
from belief.ledger import Recorded, append, entry_named, view_entry
from belief.models import forecast_id, target_session
from belief.paths import store_location
from belief.store import open_store, utc
from belief.view import View, blended
from belief_tools.forecast_tool import ForecastTool, cents
from belief_tools.recording import record_forecasts

LONGEST_NOTE: Final = 1_000  # characters


@dataclass(frozen=True)
class Viewed:
    """A view that is in the ledger.

    Attributes:
        entry: name of its entry.
        forecast: name of the entry of the forecast that it is about.
        words: the belief, the view, and what both say together, a line each; and what else has to
            be said.
    """

    entry: str
    forecast: str
    words: tuple[str, ...]


def record_view(
    tool: ForecastTool, target: np.datetime64, view: View, note: str, now: datetime.datetime
) -> Viewed:
    """Write a view down, after the forecast that it is about.

    Args:
        tool: the belief about the symbol, as of the newest session and without any view.
        target: the day whose close it is about.
        view: in dollars of the newest session.
        note: why, in the person's words.
        now: the moment.

    Raises:
        UsageError: the tool is of a past session, the target is none, the note is too long, or the
            view lies outside what the belief can imagine.
        StoreError: the ledger fails.
    """
    if not tool.live:
        raise UsageError(
            f"as of {tool.prices.as_of} no view can be recorded, only as of the newest session: "
            f"what came of the past is known"
        )
    forecast = tool.forecast(target_session(target, tool.prices.as_of))
    both = blended(forecast, view)  # refuses a view before anything is written
    _check_note(note)
    problem = record_forecasts(tool, [forecast], now)
    if problem is not None:
        raise StoreError(problem)
    entry, [about] = view_forecast(forecast_id(tool.fitted, forecast.target), view, note, now)
    words = (*_in_words(forecast, view, both), *_hindsight(entry))
    return Viewed(entry.entry.name, about.entry.name, words)


def view_forecast(
    name: str, view: View, note: str, now: datetime.datetime
) -> tuple[Recorded, list[Recorded]]:
    """Write a view of a forecast that is in the ledger down.

    Args:
        name: of the forecast, or its beginning.
        view: in dollars of its origin.
        note: why, in the person's words.
        now: the moment.

    Returns:
        The entry of the view, and in a list that of the forecast.

    Raises:
        UsageError: there is no such forecast, the note is too long, or the view lies outside what
            the forecast can imagine.
        StoreError: the ledger fails.
    """
    _check_note(note)
    with open_store(store_location()) as store:
        with store.read() as connection:
            forecast = entry_named(connection, name)
        entry = view_entry(forecast, view, note, made_at=utc(now))
        with store.write() as connection:
            append(connection, forecast.symbol, [entry])
        with store.read() as connection:
            return entry_named(connection, entry.name), [forecast]


def _check_note(note: str) -> None:
    if len(note) > LONGEST_NOTE:
        raise UsageError(f"the note has {len(note):,} characters; give at most {LONGEST_NOTE:,}")


def _in_words(forecast: Forecast, view: View, both: Forecast) -> tuple[str, ...]:
    return (
        f"the belief for {forecast.target}: {_prices(forecast)}",
        f"your view: {cents(view.median)}, 90 % {cents(view.low)} to {cents(view.high)}, "
        f"confidence {view.confidence:.0%}",
        f"both together: {_prices(both)}",
    )


def _prices(forecast: Forecast) -> str:
    low, high = forecast.interval(0.9)
    return (
        f"{cents(forecast.median)}, 90 % {cents(low)} to {cents(high)}, "
        f"up with {forecast.prob_up:.0%}"
    )


def _hindsight(view: Recorded) -> tuple[str, ...]:
    if view.entry.live:
        return ()
    return ("in hindsight: it was said after its session began, and counts in no record",)
