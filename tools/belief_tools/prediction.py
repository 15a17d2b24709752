"""The model's own prediction in figures: its schema, and what makes one usable."""

import re
from collections.abc import Mapping
from typing import Any, Final

from belief.errors import UsageError
from belief.prices import Prices
from belief_tools.forecast_tool import HIGHEST_LEVEL, ForecastResult, money, shown
from belief_tools.replies import Reply

CUT_IN_REASONS: Final = re.compile(r'"reasons"\s*:\s*"[^"\\]*$')

PREDICTION: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "price": {"type": "number"},
        "low": {"type": "number"},
        "high": {"type": "number"},
        "prob_up": {"type": "number"},
        "reasons": {"type": "string"},
    },
    "required": ["price", "low", "high", "prob_up", "reasons"],
    "additionalProperties": False,
}

# A small model writes reasons without end; servers that take it hold it to this length.
BOUNDED_PREDICTION: Mapping[str, Any] = {
    **PREDICTION,
    "properties": {**PREDICTION["properties"], "reasons": {"type": "string", "maxLength": 120}},
}


def prediction_wanted(prices: Prices, question: str, told: str) -> str:
    """Ask for a prediction, in the same words whatever the model is told beside the question.

    Args:
        prices: what is known.
        question: about their symbol.
        told: prices, a forecast, or nothing.
    """
    parts = [
        f"Today is {prices.as_of}. You predict the closing price of {prices.name} "
        f"({prices.symbol}), in dollars: price; low and high, between which the close is with "
        "90 % probability; prob_up, the probability of a close above the last close.",
        f"Question: {question}",
        told,
        "Write your prediction as JSON.",
    ]
    return "\n\n".join(part for part in parts if part)


def whole(reply: Reply) -> str:
    """A prediction as it was written, closed where it was cut off in its last words.

    The figures stand before the reasons: they are as whole as if those had come to an end.

    Args:
        reply: to `prediction_wanted`.
    """
    cut = reply.finish_reason == "length" and CUT_IN_REASONS.search(reply.text)
    return f'{reply.text}"}}' if cut else reply.text


def checked_prediction(value: Mapping[str, Any]) -> dict[str, Any]:
    """Check the shape of what a model predicted.

    Raises:
        UsageError: a figure is missing, no number, or out of order.
    """
    for name in ("price", "low", "high", "prob_up"):
        number = value.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise UsageError(f"{name} is {shown(number)}, not a number")
    if not 0.0 < value["low"] <= value["price"] <= value["high"] < HIGHEST_LEVEL:
        raise UsageError(
            f"low {shown(value['low'])}, price {shown(value['price'])} and "
            f"high {shown(value['high'])} are not prices in order"
        )
    if not 0.0 <= value["prob_up"] <= 1.0:
        raise UsageError(f"prob_up is {shown(value['prob_up'])}, not a probability")
    if not isinstance(value.get("reasons"), str):
        raise UsageError(f"reasons is {shown(value.get('reasons'))}, not a text")
    return {name: value.get(name) for name in PREDICTION["required"]}


def judged(
    prediction: Mapping[str, Any], result: ForecastResult, interval_98: tuple[float, float]
) -> dict[str, Any]:
    """Set a model's own prediction beside the belief.

    Args:
        prediction: as `checked_prediction` returns it.
        result: what the belief says.
        interval_98: its central 98 % interval.

    Returns:
        The prediction with "horizon" (sessions), "agrees" (its figures are the belief's to 1 %) and
        "own_view": whether its price lies outside the belief's 98 % interval, where it can only be
        the model's own.
    """
    low, high = interval_98
    return {
        **prediction,
        "horizon": result.horizon,
        "agrees": agrees(prediction, result),
        "own_view": not low <= prediction["price"] <= high,
    }


def own_view_in_words(prediction: Mapping[str, Any], interval_98: tuple[float, float]) -> str:
    """Say that a prediction is the model's own, against the belief."""
    low, high = interval_98
    return (
        f"the model's own view, not the belief's: {money(prediction['price'])} "
        f"({money(prediction['low'])} to {money(prediction['high'])}); the belief gives 98 % to "
        f"{money(low)} to {money(high)}"
    )


def agrees(prediction: Mapping[str, Any], result: ForecastResult) -> bool:
    """Whether the model's figures are those of the belief, to one percent."""
    belief = (result.median, *result.interval_90)
    own = (prediction["price"], prediction["low"], prediction["high"])
    near = all(abs(a - b) <= 0.01 * b for a, b in zip(own, belief, strict=True))
    return near and abs(prediction["prob_up"] - result.prob_up) <= 0.01
