"""The rule of the grounding check about multiples: "1.4 times the last close", "could double"."""

from collections.abc import Collection, Iterator

from belief_tools.known import Known, mentioned
from belief_tools.page import BOUND, Figure, Page
from belief_tools.price_claims import ASSERTS
from belief_tools.roles import is_of_chances
from belief_tools.wording import Finding

_WORDED_RATIOS = ("half", "halv", "doubl", "twice", "tripl", "quadrupl")
_RATIO_SLACK = 1.25  # how much larger a ratio may be than a bound such as "more than five times"


def fits_ratio(page: Page, figure: Figure, ratio: float) -> bool:
    """Say whether a multiple, or a bound such as "more than five times", is right for a ratio."""
    bound = BOUND.search(page.before(figure))
    if bound is None:
        return figure.is_near(ratio)
    low, high = figure.value, _RATIO_SLACK * figure.value
    if bound["under"]:
        low, high = figure.value / _RATIO_SLACK, figure.value
    return low <= ratio <= high


def judge_ratios(page: Page, known: Known, spans: Collection[Figure]) -> Iterator[Finding]:
    """A multiple, as in "1.4 times the last close", is that of two prices of the result.

    Args:
        page: the text.
        known: what the result says.
        spans: the figures of intervals that are said as two moves.
    """
    for figure in page.figures:
        if figure.kind != "ratio" or figure in spans or is_of_chances(page, figure):
            continue
        ends = (*known.result["interval_50"], *known.result["interval_90"])
        worded = page.words(figure).lower().startswith(_WORDED_RATIOS)
        if worded and ASSERTS.search(page.lead_in(figure)):
            ends = ()
        prices = {*mentioned(page, figure, known), *(ends if worded else known.asked_levels)}
        ratios = [a / b for a in prices for b in prices if a != b]
        spanned = [f.ends() for f in page.near(figure, "range") if f.end <= figure.start]
        if spanned and page.words(figure).lower().startswith("factor"):
            low, high = spanned[-1]
            ratios = [high.value / low.value]
        if not any(fits_ratio(page, figure, ratio) for ratio in ratios):
            words = page.words(figure)
            reason = "no two prices of the tool result are so far apart"
            yield Finding(words, "number", f"the text says {words}; {reason}")
