"""Calls of the forecast tool, and what it says to one that it refuses."""

import pytest

from belief.errors import UsageError
from belief_tools.forecast_tool import ForecastResult, ForecastTool

CALL = {"symbol": "NVDA", "target_date": "2024-03-31", "price_levels": None}
EIGHT = [700.5, 750, 800, 850, 900, 950, 1000, 1234.56]


def run(tool: ForecastTool, **changes) -> ForecastResult:
    return tool.run(tool.check({**CALL, **changes}))


def refusal(tool: ForecastTool, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        tool.check({**CALL, **changes})
    return str(caught.value)
