"""The figures of an answer that are said of the track record: its coverage and its counts.

They are judged here and taken off the page, so that what judges the forecast does not read them:
"held 89.5 % of 3,029 closes" has neither a chance nor a price in it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from belief_tools.figures import Figure, Page
from belief_tools.wording import Finding

Record = Mapping[str, Any]

_OUTCOMES = r"(?:closes|closing prices|outcomes|forecasts|origins|predictions)\b"
_PAST = r"(?:past|earlier|previous|actual|daily|known|scored|all|the|those|its|these|such)"
_COUNTED = re.compile(
    rf"\s+(?:{_PAST}\s+)*(?:(?P<origins>{_OUTCOMES})"
    r"|(?:(?:non-?\s?overlapping|independent|separate)\s+)?(?P<windows>windows\b)|(?P<nats>nats\b))",
    re.I,
)
_OF_OUTCOMES = re.compile(rf"\s*of\s+(?:(?:{_PAST}|about|\d[\d,]*)\s+)*{_OUTCOMES}", re.I)
_SPEAKS = re.compile(
    r"\b(?:track record|back-?test(?:s|ed|ing)?|ledger|windows|held|contained|covered|coverage"
    r"|captured|caught|included|fell (?:in|inside|into|within))\b",
    re.I,
)
_NOMINAL = re.compile(
    r"[\s-]*(?:(?:central|prediction|forecast|confidence)\s+)?(?:intervals?|ranges?|bands?"
    r"|confidence|chance|probability)\b",
    re.I,
)
# What a percentage of the forecast itself is said of, wherever the track record is named too.
_OF_FORECAST = re.compile(
    r"\b(?:chances?|probab\w*|odds|likel\w+|regimes?|volatil\w*|ris(?:e|es|ing|en)|rose|gain\w*"
    r"|increas\w*|climb\w*|higher|above|up|fall\w*|fell(?!\s+(?:in|inside|into|within)\b)|drop\w*"
    r"|declin\w*|lower|below|down|exceed\w*|profit\w*|returns?|w[io]n|right|correct\w*)\b",
    re.I,
)


def judge_record(page: Page, record: Record | None) -> tuple[Page, tuple[Finding, ...]]:
    """Judge the figures that a text gives of the track record.

    Args:
        page: the text.
        record: of a `ForecastResult`; None when there is none.

    Returns:
        The page without those figures, and what was found.

    Example:
        >>> from belief_tools.figures import read_figures
        >>> page = read_figures("The 90 % intervals held 95 % of 3,029 closes.")
        >>> left, findings = judge_record(page, {"coverage_90": 0.895, "origins": 3029})
        >>> [page.words(figure) for figure in left.figures]
        ['90 %']
        >>> [finding.message for finding in findings]
        ["the text says 95 % of the track record; the tool result's: 89.5 %"]
    """
    known: Record = record or {}
    left: list[Figure] = []
    findings: list[Finding] = []
    for figure in page.figures:
        if _speaks(page, figure) and _names_record(figure, known):
            continue
        allowed = _allowed(page, figure, known)
        if allowed is None:
            left.append(figure)
        elif not any(figure.is_near(value) for value in allowed):
            findings.append(_finding(page, figure, allowed))
    return replace(page, figures=tuple(left)), tuple(findings)


def _speaks(page: Page, figure: Figure) -> bool:
    """Say whether the sentence of a figure speaks of the track record."""
    return _SPEAKS.search(page.prose, *page.sentence(figure)) is not None


def _names_record(figure: Figure, record: Record) -> bool:
    """Say whether a date or a number of sessions is one by which the record is named."""
    if figure.kind == "date":
        return any(figure.is_day(record[name]) for name in ("first", "last") if name in record)
    if figure.kind == "count" and figure.unit == "session":
        return any(
            figure.is_near(record[name]) for name in ("horizon", "origins") if name in record
        )
    return False


def _allowed(page: Page, figure: Figure, record: Record) -> tuple[float, ...] | None:
    """What a figure of the record may be; None when it is not said of the record."""
    if figure.kind == "percent" and _is_coverage(page, figure):
        share = record.get(f"coverage_{_level(page, figure):.0f}")
        return () if share is None else (100 * share,)
    in_words = page.words(figure)[:1].isalpha()  # "two forecasts" counts the text's own
    if figure.kind == "price" and not figure.unit and not in_words:
        counted = _COUNTED.match(page.prose, figure.end)
        return None if counted is None else tuple(_counts(record, str(counted.lastgroup)))
    return None


def _counts(record: Record, what: str) -> Iterator[float]:
    if what != "nats":
        yield from (record[what],) if what in record else ()
        return
    for name in ("skill_random_walk", "skill_garch_t"):
        yield from record.get(name) or ()


def _is_coverage(page: Page, figure: Figure) -> bool:
    """Say whether a percentage is the share of closes that an interval held."""
    start, end = page.clause(figure)
    if _NOMINAL.match(page.prose, figure.end) or _OF_FORECAST.search(page.prose, start, end):
        return False
    if _OF_OUTCOMES.match(page.prose, figure.end):
        return True
    return _speaks(page, figure) and not page.near(figure, "range")


def _level(page: Page, figure: Figure) -> float:
    """Probability in percent of the interval whose coverage is said: in the clause, or before."""
    start, end = page.clause(figure)
    named = [f for f in page.near(figure, "percent") if _NOMINAL.match(page.prose, f.end)]
    beside = [f for f in named if start <= f.start < end]
    before = [f for f in named if f.start < figure.start]
    return next((f.value for f in (*beside, *reversed(before), *named)), 90.0)


def _finding(page: Page, figure: Figure, allowed: tuple[float, ...]) -> Finding:
    words, percent = page.words(figure), figure.kind == "percent"
    known = ", ".join(f"{value:.1f} %" if percent else f"{value:,g}" for value in allowed)
    return Finding(
        words,
        "percentage" if percent else "count",
        f"the text says {words} of the track record; the tool result's: {known or 'none'}",
    )
