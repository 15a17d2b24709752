"""Answers about the past: a close is looked up, nothing is forecast and no model is asked."""

import re

import numpy as np

from belief_tools.forecast_tool import ForecastTool, cents
from belief_tools.questions import Question
from belief_tools.receipt import level_in_words

MORE_THAN_A_CLOSE = re.compile(
    r"\b(?:highest|lowest|high|low|peak|average|mean|returns?|gain(?:ed)?|perform\w*|change[ds]?"
    r"|volum\w*|since|between|range|most(?! recent)|best|worst|ever|when did)\b",
    re.IGNORECASE,
)


def past_price(question: Question, tool: ForecastTool) -> tuple[str, np.datetime64 | None]:
    """Say the close on a past session, in dollars of as_of.

    Args:
        question: of kind "past_price".
        tool: holds the prices.

    Returns:
        The sentences, and the session whose close they say; None when there is none.
    """
    prices, target = tool.prices, question.target
    if target is None or target < prices.session[0]:
        begin = f"the prices of {prices.name} begin on {prices.session[0]}."
        return f"This is a question about the past; {begin}", None
    row = int(np.searchsorted(prices.session, target, "right")) - 1
    close, quoted = float(prices.quoted_close()[row]), float(prices.close[row])
    then = "" if close == quoted else f", {cents(quoted)} as quoted on that day"
    age = "" if tool.age_in_days is None else f", {tool.age_in_days} days old"
    said = (
        f"{prices.name} closed at {cents(close)} on {prices.session[row]} (in dollars of "
        f"{prices.as_of}{then}){_against(close, question)}. Nothing was forecast. The last close "
        f"known is that of {prices.as_of} ({prices.source}{age})."
    )
    return said, prices.session[row]


def _against(close: float, question: Question) -> str:
    """Say on which side of the levels asked about a close was."""
    sides = [
        f"{'above' if close > level else 'not above'} {level_in_words(level)}"
        for level in question.levels
    ]
    return f", {' and '.join(sides)}" if sides else ""
