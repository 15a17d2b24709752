"""What a language model remembers: asked outright for closes of the past, without any help."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from belief.errors import LanguageModelError, UsageError
from belief.prices import Prices
from belief_tools.consult import parsed
from belief_tools.forecast_tool import HIGHEST_LEVEL
from belief_tools.llm import LanguageModel

NEAR: Final = 0.01  # a close said within one percent is known
TOKENS: Final = 60
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"price": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
    "required": ["price"],
    "additionalProperties": False,
}


def probe(name: str, model: LanguageModel, prices: Prices, day: np.datetime64) -> dict[str, Any]:
    """Ask for the close of one session.

    A close counts as known as it was quoted on that day, and in the dollars after each later split.

    Args:
        name: of the model.
        model: is asked.
        prices: with the session.
        day: the session.

    Returns:
        {"model", "day", "said", "actual", "knows"}; what it said is None where it said nothing.
    """
    row = int(np.searchsorted(prices.session, day))
    quoted = float(prices.close[row])
    said = _said(model, f"What was the closing price of {prices.name} ({prices.symbol}) on {day}?")
    known = said is not None and any(
        abs(said / close - 1.0) <= NEAR for close in _closes(prices, quoted, day)
    )
    return {"model": name, "day": str(day), "said": said, "actual": quoted, "knows": known}


def _closes(prices: Prices, quoted: float, day: np.datetime64) -> Iterator[float]:
    """The close in the dollars of every time since: charts of different years show others."""
    yield quoted
    for split in prices.splits:
        if split.session > day:
            quoted /= split.ratio
            yield quoted


def _said(model: LanguageModel, question: str) -> float | None:
    asked = f"{question} Answer as JSON: price in dollars, or null if you do not know."
    try:
        reply = model.chat(
            [{"role": "user", "content": asked}], schema=("close", SCHEMA), max_tokens=TOKENS
        )
        price = parsed(reply.text).get("price")
    except (LanguageModelError, UsageError):
        return None
    if isinstance(price, bool) or not isinstance(price, int | float):
        return None
    return float(price) if 0.0 < price < HIGHEST_LEVEL else None
