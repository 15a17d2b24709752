"""Print the founding case: what the belief said about Nvidia's close on 2024-03-08, and when.

Four sessions before it, from a year ahead to a week ahead; beside it what a language model whose
training ended in early 2023 said from memory when asked around March 2024, and the close that came.

    python benchmarks/founding_case.py
"""

import sys

import numpy as np

from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL, forecasts
from belief.sources import load_prices

AS_OF = ("2023-02-28", "2023-08-31", "2024-01-31", "2024-02-29")
TARGET = np.datetime64("2024-03-08")
# Puthumanaillam, Vora, Thangeda, Ornik (2024), "A Moral Imperative", table 2.
FROM_MEMORY = "$330-$350"


def rows(model):
    """One row per as-of session: close then, median, 90 % interval, and where the close fell."""
    prices = load_prices("NVDA")
    # in the dollars people saw that day, before the split of June 2024
    came = float(prices.until(TARGET).last_close)
    for day in AS_OF:
        known = prices.until(np.datetime64(day))
        forecast = forecasts(cached_fit(model, known), known, [TARGET])[0]
        low, high = forecast.interval(0.9)
        yield day, forecast, low, high, came


def main():
    print(
        "| as of | last close | sessions ahead | median | 90 % interval | P(close <= actual) "
        "| a model's memory | the close |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for day, forecast, low, high, came in rows(DEFAULT_MODEL):
        print(
            f"| {day} | ${forecast.last_close:,.2f} | {forecast.horizon} | ${forecast.median:,.0f} "
            f"| ${low:,.0f} to ${high:,.0f} | {forecast.cdf(came):.1%} | {FROM_MEMORY} "
            f"| ${came:,.2f} |"
        )


if __name__ == "__main__":
    sys.exit(main())
