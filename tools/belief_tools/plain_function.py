"""forecast_price as a plain function, for any agent framework or a loop of one's own.

What frameworks read is its signature and docstring, which say what `forecast_tool.DEFINITION` says.
It answers as `belief ask` does: from the model that `belief refit` published, else from one fitted
to the bundled snapshot. Settings come from the environment; nothing is written to the ledger.
"""

import json
from typing import Any

from belief.errors import BeliefError, UsageError
from belief.models import DEFAULT_MODEL
from belief_tools import clock
from belief_tools.forecast_tool import shown
from belief_tools.serving import Asked, serve


def forecast_price(
    symbol: str, target_date: str, price_levels: list[float] | None = None
) -> dict[str, Any]:
    """Probability distribution of a stock's closing price on a future day.

    It comes from a hidden Markov model fitted to the daily prices. Call it before naming any price.

    Args:
        symbol: Ticker symbol, for example NVDA.
        target_date: Day the closing price is wanted for, as YYYY-MM-DD, after today and at most 504
            trading sessions ahead. For a month, its last day.
        price_levels: Up to 8 prices in dollars whose probability of being exceeded is wanted; null
            for none.

    Returns:
        Fields of which `summary` already answers in a sentence. Where there can be no forecast,
        `error` alone, which says what to change.
    """
    try:
        if not isinstance(symbol, str):
            raise UsageError(f"symbol is {shown(symbol)}; give a ticker symbol, for example NVDA")
        tool = serve(Asked(symbol, None, None, DEFAULT_MODEL, False, clock.now()))
        call = {"symbol": symbol, "target_date": target_date, "price_levels": price_levels}
        fields: dict[str, Any] = json.loads(tool.run(tool.check(call)).to_json())
    except BeliefError as error:
        return {"error": str(error)}
    return fields
