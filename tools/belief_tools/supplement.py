"""What a right answer leaves out is added by our own code: how sure it is, and what was asked.

A model may say "$834" and stop. That is no error, so it is not refused; but nobody is to read a
price here without hearing how wide the belief is.
"""

import re
from typing import Final

from belief_tools.figures import read_figures
from belief_tools.forecast_tool import ForecastResult, money
from belief_tools.page import Page
from belief_tools.receipt import levels_in_words, percent
from belief_tools.roles import way_of

_ASKS_DIRECTION: Final = re.compile(
    r"\b(?:go(?:ing)? (?:up|down|higher|lower)|up or down|rise|rising|fall(?:ing)?|drop(?:ping)?"
    r"|gain|climb|higher|lower|crash|rally|decline|increase|decrease)\b",
    re.IGNORECASE,
)


def lacking(text: str, result: ForecastResult, question: str) -> str:
    """Say what a grounded text leaves out; empty when it says everything.

    Args:
        text: the answer.
        result: the forecast it rests on.
        question: what was asked.

    Returns:
        Sentences made of the result's figures alone: its 90 % interval where the text has none,
        and the chances that were asked for where the text does not give them.

    Example:
        >>> from types import SimpleNamespace
        >>> result = SimpleNamespace(interval_50=[766.1, 905.0], interval_90=[665.0, 1044.2])
        >>> result.prob_above, result.prob_up = [], 0.53
        >>> lacking("Nvidia is expected at $834.", result, "What will Nvidia cost?")
        '90 % chance between $665 and $1,044.'
    """
    page = read_figures(text)
    added = []
    if not any(_states(page, ends) for ends in (result.interval_90, result.interval_50)):
        low, high = result.interval_90
        added.append(f"90 % chance between {money(low)} and {money(high)}.")
    chances = [each["probability"] for each in result.prob_above]
    if not all(_gives(page, chance) for chance in chances):
        added.append(levels_in_words(result, below=way_of(question) < 0))
    elif not chances and _ASKS_DIRECTION.search(question) and not _gives(page, result.prob_up):
        added.append(f"The chance of a close above the last close is {percent(result.prob_up)}.")
    return " ".join(added)


def _states(page: Page, ends: list[float]) -> bool:
    """Say whether both ends of an interval are in a text."""
    prices = [f for f in page.figures if f.kind in ("price", "range")]
    said = [end for figure in prices for end in figure.ends()]
    return all(any(end.is_near(value) for end in said) for value in ends)


def _gives(page: Page, chance: float) -> bool:
    """Say whether a chance, or that of the contrary, is in a text."""
    said = [f for f in page.figures if f.kind == "percent"]
    return any(f.is_near(100.0 * side) for f in said for side in (chance, 1.0 - chance))
