"""The grounding check: every figure in a language model's answer comes from a tool result.

The text is read once into figures (dates, percentages, counts, price ranges, numbers). Each figure
is then judged by the role that the words around it give it: "last close was $834" is wrong even
when $834 is the median. Where no word gives a role, the figure must be one of the result's own.
A figure that the check cannot place is a finding: a good text refused costs one retry, a wrong
price shown costs trust.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from belief_tools.figures import read_figures
from belief_tools.known import Known, know
from belief_tools.likelihood import judge_likelihood
from belief_tools.move_spans import move_spans
from belief_tools.outside_claims import judge_outside
from belief_tools.page import Page
from belief_tools.percent_claims import is_of_close, judge_percentages
from belief_tools.price_claims import (
    judge_order,
    judge_percentiles,
    judge_prices,
    states_forecast,
)
from belief_tools.ratio_claims import judge_ratios
from belief_tools.record_figures import judge_record, judge_verdict
from belief_tools.strength import judge_strength
from belief_tools.time_claims import judge_counts, judge_dates, judge_times
from belief_tools.wording import (
    Finding,
    judge_form,
    judge_moves_and_advice,
    judge_outlook,
    judge_subject,
    judge_tense,
    judge_words,
)

__all__ = ["Finding", "check"]

_LONGEST = 4_000  # characters
_MOST_FIGURES = 100
_ASKS_NO_PRICE = re.compile(r"\b(?:chances?|probab\w*|odds|likel\w+|regime|volatil\w*)\b", re.I)


def _judge_unread(page: Page, known: Known) -> Iterator[Finding]:
    named = known.result.get("forecast_id")
    for figure in page.figures:
        if figure.kind == "unread" and page.words(figure) != named:
            words = page.words(figure)
            yield Finding(words, "number", f"the text says '{words}'; write numbers as 1,044.20")


def _judge_completeness(
    page: Page, known: Known, question: str, wrong: Collection[str]
) -> Iterator[Finding]:
    """A text states a figure of the forecast: a price of it, a chance, or a distance.

    The last close, dates, and the levels of the question are none.
    """
    if _ASKS_NO_PRICE.search(question) and not re.search(r"\bprice\b|how much", question, re.I):
        return
    prices = any(
        states_forecast(page, f, known) for f in page.figures if page.words(f) not in wrong
    )
    if not prices and not any(
        f.kind == "percent" and page.words(f) not in wrong and is_of_close(page, f, known)
        for f in page.figures
    ):
        yield Finding("", "missing", f"the text states no figure of the forecast ({known.money})")


def check(text: str, result: Mapping[str, Any], *, question: str = "") -> tuple[Finding, ...]:
    """Find what a language model's answer says that the tool result does not.

    Args:
        text: the answer in prose.
        result: the fields of a `ForecastResult` as plain values.
        question: what was asked; a price in it may be restated as a level, never as a forecast.

    Returns:
        The findings; empty when the text is grounded.

    Example:
        >>> result = {
        ...     "symbol": "NVDA", "currency": "USD", "as_of": "2024-03-01", "last_close": 822.79,
        ...     "target": "2024-03-28", "horizon": 19, "median": 833.6, "prob_up": 0.53,
        ...     "interval_50": [766.1, 905.0], "interval_90": [665.0, 1044.2], "volatility": 0.48,
        ... }
        >>> check("On March 28, 2024 Nvidia is expected at $834.", result)
        ()
        >>> [finding.figure for finding in check("Nvidia is expected at $1,208.", result)]
        ['$1,208', '']
    """
    too_long = (Finding("", "long", "the text is too long; answer in a few sentences"),)
    if len(text) > _LONGEST:
        return too_long
    form = tuple(judge_form(text))
    if not text.strip():
        return form
    page = read_figures(text)
    if len(page.figures) > _MOST_FIGURES:
        return too_long
    known = know(result, question)
    forecast, of_record = judge_record(page, result.get("track_record"))
    spans = move_spans(forecast, known)
    of_figures = (
        *_judge_unread(forecast, known),
        *judge_prices(forecast, known),
        *judge_percentages(forecast, known, spans),
    )
    wrong = {finding.figure for finding in of_figures}
    return (
        *form,
        *of_record,
        *of_figures,
        *judge_ratios(forecast, known, spans),
        *judge_percentiles(forecast, known),
        *judge_order(forecast, known),
        *judge_dates(forecast, known),
        *judge_counts(forecast, known),
        *judge_words(page, result),
        *judge_likelihood(forecast, known, question),
        *judge_strength(forecast, known),
        *judge_outside(page, result),
        *judge_verdict(page, result.get("track_record")),
        *judge_subject(page, result),
        *judge_times(page, result, question),
        *judge_moves_and_advice(page),
        *judge_outlook(page, result),
        *judge_tense(forecast, result),
        *_judge_completeness(forecast, known, question, wrong),
    )
