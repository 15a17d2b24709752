"""The forecast that texts are checked against in the tests of the grounding check."""

from collections.abc import Mapping
from typing import Any

RESULT: Mapping[str, Any] = {
    "summary": "On 2024-03-28 Nvidia is expected at $834; 90 % chance between $665 and $1,044; "
    "last close $822.79",
    "symbol": "NVDA",
    "currency": "USD",
    "as_of": "2024-03-01",
    "last_close": 822.79,
    "target": "2024-03-28",
    "horizon": 19,
    "median": 833.6,
    "interval_50": [766.1, 905.0],
    "interval_90": [665.0, 1044.2],
    "prob_up": 0.53,
    "prob_above": [{"level": 1000.0, "probability": 0.11}],
    "regimes": [
        {"name": "calm", "probability": 0.2},
        {"name": "normal", "probability": 0.7},
        {"name": "turbulent", "probability": 0.1},
    ],
    "volatility": 0.48,
    "transition_matrix": [[0.95, 0.05, 0.0], [0.02, 0.96, 0.02], [0.0, 0.1, 0.9]],
    "age_in_days": 0,
}
TWO_LEVELS: Mapping[str, Any] = {
    **RESULT,
    "prob_above": [
        {"level": 900.0, "probability": 0.26},
        {"level": 750.0, "probability": 0.8},
    ],
}
M = "The median is $834. "  # so that a text about something else still answers a price question
