"""Every forecast that is shown and every answer goes to the ledger."""

import datetime
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from belief.errors import BeliefError
from belief.forecast import Forecast
from belief.paths import store_location
from belief_tools.forecast_tool import ForecastTool
from belief_tools.terminal import say_error

if TYPE_CHECKING:
    from belief.ledger import Entry
    from belief_tools.consult import Answer


def record_forecasts(tool: ForecastTool, shown: Sequence[Forecast], now: datetime.datetime) -> None:
    """Write forecasts down; a ledger that fails costs a line on standard error, nothing else.

    Args:
        tool: what made them.
        shown: the forecasts.
        now: the moment.
    """
    _append(tool.prices.symbol, lambda: _forecasts(tool, shown, now))


def record_answer(tool: ForecastTool, given: "Answer", now: datetime.datetime) -> None:
    """Write an answer down, after the forecasts it rests on.

    Args:
        tool: what it rests on.
        given: the answer.
        now: the moment.
    """
    _append(tool.prices.symbol, lambda: [*_consulted(tool, given, now), _answer(tool, given, now)])


def _append(symbol: str, make: Callable[[], "list[Entry]"]) -> None:
    from belief.ledger import append
    from belief.store import open_store

    try:
        with open_store(store_location()) as store, store.write() as connection:
            append(connection, symbol, make())
    except BeliefError as error:
        say_error(f"this is not in the ledger: {error}")


def _forecasts(
    tool: ForecastTool, shown: Sequence[Forecast], now: datetime.datetime
) -> "list[Entry]":
    from belief.ledger import forecast_entry
    from belief.store import utc

    return [
        forecast_entry(
            tool.fitted,
            tool.prices,
            forecast,
            made_at=utc(now),
            live=tool.live,
            view=tool.views.get(str(forecast.target)),
        )
        for forecast in shown
    ]


def _consulted(tool: ForecastTool, given: "Answer", now: datetime.datetime) -> "list[Entry]":
    targets = {call["result"]["target"] for call in given.tool_calls if "result" in call}
    if given.result is not None:
        targets.add(given.result.target)
    days = [np.datetime64(target, "D") for target in sorted(targets)]
    return _forecasts(tool, [tool.forecast(day) for day in days], now)


def _answer(tool: ForecastTool, given: "Answer", now: datetime.datetime) -> "Entry":
    from belief.ledger import Entry, is_live
    from belief.store import utc

    result, made_at = given.result, utc(now)
    body = {**given.to_dict(), "last_close": tool.prices.last_close}
    target = None if result is None else np.datetime64(result.target, "D")
    said = "\n".join((made_at, given.question, given.text))
    return Entry(
        kind="answer",
        name=hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:12],
        made_at=made_at,
        live=tool.live and (target is None or is_live(made_at, target, origin=tool.prices.as_of)),
        model=given.model,
        origin=None if result is None else tool.prices.as_of,
        target=target,
        horizon=None if result is None else result.horizon,
        body=body,
    )
