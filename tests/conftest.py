"""Fixtures that several files share because they are slow to make."""

import numpy as np
import pytest

from belief.models import DEFAULT_MODEL, fit
from belief.prices import Prices
from belief.sources import load_prices
from belief_tools.forecast_tool import ForecastTool


@pytest.fixture(scope="session")
def prices() -> Prices:
    """The bundled prices as known on Friday 2024-03-01."""
    return load_prices("NVDA").until(np.datetime64("2024-03-01"))


@pytest.fixture(scope="session")
def tool(prices: Prices) -> ForecastTool:
    return ForecastTool(prices, fit(DEFAULT_MODEL, prices), None)
