"""Read the chances in a text: percentages, odds, fractions and shares in words."""

import re
from collections.abc import Iterator
from dataclasses import replace

from belief_tools.page import NUMBER, Figure, Page, is_about, number_of

_PERCENT = re.compile(
    rf"(?<![\w.,])(?P<number>[-+]?{NUMBER})[\s-]*"
    r"(?:(?P<points>(?:percentage|percent|%)?[\s-]*points?\b|pp\b)|%|per\s?cent\b|pct\b"
    r"|(?P<bps>bps?\b|basis points?\b))",
    re.I,
)
_ODDS = re.compile(
    r"(?<![\w.,$])(\d+)[\s-]*(?:(?:times?|chances?|cases?|days?|outcomes?|scenarios?|shots?)\s+)?"
    r"(?:in|out of|of(?=\s+\d+\s+(?:such|cases|outcomes|times|scenarios))|[-/])[\s-]*"
    r"(?:(?:every|an?|each)\s+)?(\d+)(?![\d.,]*\d)"
)
_AGAINST = re.compile(
    r"(?<![\w.,$])(?P<for>\d+(?:\.\d)?)(?:(?:\s+|-)to(?:\s+|-)|\s?:\s?)(?P<to>\d+)(?![\d.,]*\d)"
    r"(?:\s+(?:odds\s+)?(?P<against>against\b)|(?P<for_>\s+(?:odds\b|on\b|in favou?r\b))|)",
    re.I,
)
_ODDS_BEFORE = re.compile(
    r"(?:\bodds\b|\bby\s+(?=(?:about|roughly|around|over|nearly"
    r"|almost)?\s*$))(?P<between>[^.;\n]{0,40})$",
    re.I,
)
# "52 to 48" and "52/48" share out the whole
_SHARED_OUT = re.compile(
    r"(?<![\w.,$%/-])(\d\d)(?:\s*[/:\u2013-]\s*|\s+to\s+)(\d\d)(?![\d.,]*\d|\s*[%$/-]|\w)", re.I
)
_OF_A_HUNDRED = re.compile(
    r"\b(?:of|in|among|across|picture|imagine|take|over)\s+(?:(?:an?|one|1|every|any"
    r"|each)\s+)?100\s+(?=such|similar|cases|times|tr(?:ial|ie)"
    r"|situations|simulat|scenarios|month|day|week|paths|outcomes|worlds|futures"
    r"|(?:possible|imagin\w+|parallel|hypothetical|equally|different)\b)",
    re.I,
)
_FROM_TO = re.compile(rf"(?<![\w.,$%-])({NUMBER})\s?[-\u2013]\s?({NUMBER})\s?(?:%|percent)", re.I)
_NUMBERED = re.compile(r"(?<![\w.,$])\d{1,2}(?![\w.,/-]*\d|[\s-]*(?:%|[a-z]*-))")
_FRACTION = re.compile(r"(?<![\w.,$])0?\.\d+(?![\w%])")
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8}
_PARTS |= {"tenth": 10}
_PART = re.compile(
    r"(?<![$.,\d])\b(\d|an?)(?:\s*-\s*|\s+(?=\w+\s+(?:the\s+)?(?:chance|probab|likel|odds|of\b"
    r"|are\b|is\b|lies?\b|ends?\b|closes?\b|falls?\b"
    r"|sits?\b|lands?\b|would\b|will\b|above\b|below\b|over\b|under\b))"
    r"|(?<=\d)\s+(?!quarter))"
    rf"({'|'.join(_PARTS)})s?\b",
    re.I,
)
_UPPER_PART = re.compile(
    rf"(?<=\b(?:upper|lower)\s)({'|'.join(_PARTS)})\b|(?<=\btop\s)({'|'.join(_PARTS)})\b"
    rf"|(?<=\bbottom\s)({'|'.join(_PARTS)})\b",
    re.I,
)
_HALF = re.compile(
    r"\bhalf (?:of )?(?:(?:the|all|its|such)\s+(?:(?:simulated|possible|modelled"
    r"|likely)\s+)?)?(?=(?:time|outcomes?|probability|belief|mass"
    r"|closes|cases|chance|distribution|days|forecasts|weight|paths|scenarios|simulations"
    r"|results|futures)\b)"
    r"|\bhalf a chance\b|(?:(?<=\bover\s)|(?<=\bunder\s)|(?<=\bthan\s)|(?<=\babout\s))half\b(?!\s+"
    r"(?:(?:of )?(?:its|today|that|it\b|the (?:current|last|price|value))|as\b|an?\b|[$\d]))"
    r"|(?<=\bmiddle )half\b|(?<=\bcentral )half\b|(?<=\binner )half\b",
    re.I,
)


def chances_in(text: str) -> Iterator[Figure]:
    """Yield every chance, share or distance in percent that a text says, in any form."""
    for match in _FROM_TO.finditer(text):
        (low, step), (high, _) = number_of(match[1]), number_of(match[2])
        if low < high:
            yield Figure("percent", *match.span(), (low + high) / 2, (high - low) / 2 + step)
            text = text[: match.start()] + " " * len(match[0]) + text[match.end() :]
    for match in _PERCENT.finditer(text):
        value, tolerance = number_of(match["number"])
        if match["bps"]:
            yield Figure("percent", *match.span(), abs(value) / 100, tolerance / 100)
            continue
        if is_about(text, match.start()):
            wider = max(min(1.0, 0.1 * abs(value)), 0.01 * abs(value))
            tolerance = max(tolerance, wider) if tolerance == 0.5 else 2 * tolerance
        unit = "points" if match["points"] else ""
        yield Figure("percent", *match.span(), abs(value), tolerance, unit)
    yield from _odds(text)
    for match in _PART.finditer(text):
        count = int(match[1]) if match[1].isdigit() else 1
        yield Figure(
            "percent", *match.span(), 100.0 * count / _PARTS[match[2].lower()], 3.0, "odds"
        )
    for match in _UPPER_PART.finditer(text):
        yield Figure("percent", *match.span(), 100.0 / _PARTS[match[0].lower()], 3.0, "odds")
    page = Page(text, text, text)
    for match in _FRACTION.finditer(text):
        figure = Figure("percent", *match.span())
        start, end = page.sentence(figure)
        start = 0 if text[start:end].lstrip().startswith("|") else start  # a table has a head
        if re.search(r"prob|chance|likelihood|volatil|\bP\s?[(=:]|odds", text[start:end], re.I):
            value, tolerance = number_of(match[0])
            yield replace(figure, value=100 * value, tolerance=100 * tolerance)


def _odds(text: str) -> Iterator[Figure]:
    """Yield "one in four", "4 to 1 against" and "an even chance" as percentages."""
    for match in _ODDS.finditer(text):
        part, whole = int(match[1]), int(match[2])
        if part < whole <= 100 or match[1] == match[2] == "50":
            share = 50.0 if part == whole else 100.0 * part / whole
            yield Figure("percent", *match.span(), share, min(3.0, max(1.0, 0.2 * share)), "odds")
    yield from _bets(text)
    for match in _SHARED_OUT.finditer(text):
        if int(match[1]) + int(match[2]) == 100 and match[1] != "50":
            tolerance = 2.5 if is_about(text, match.start()) else 1.0
            yield Figure("percent", *match.span(), float(match[1]), tolerance, "shared")
    yield from _of_a_hundred(text)
    for match in _HALF.finditer(text):
        yield Figure("percent", *match.span(), 50.0, 3.0)


def _bets(text: str) -> Iterator[Figure]:
    """Yield "3.2 to 1 against" and "odds of 4:1", as the chance of what is bet on."""
    for match in _AGAINST.finditer(text):
        a, b = float(match["for"]), float(match["to"])
        before = _ODDS_BEFORE.search(text, max(0, match.start() - 60), match.start())
        if not a + b or not (match["against"] or match["for_"] or before):
            continue
        against = match["against"] or (
            before and not match["for_"] and "against" in before["between"].lower()
        )
        share = 100.0 * (b if against else a) / (a + b)
        tolerance = 1.0 if "." in match["for"] else min(3.0, max(1.0, 0.2 * share))
        unit = "against" if against else "odds"
        yield Figure("percent", *match.span(), share, tolerance, unit)


def _of_a_hundred(text: str) -> Iterator[Figure]:
    """Yield the counts in "of a hundred such months, 24 would end above $900"."""
    page = Page(text, text, text)
    for match in _OF_A_HUNDRED.finditer(text):
        whole = Figure("whole", *match.span())
        yield whole
        _, end = page.sentence(whole)
        for number in _NUMBERED.finditer(text, match.end(), end):
            about = is_about(text, number.start())
            yield Figure("percent", *number.span(), float(number[0]), 1.0 if about else 0.5, "odds")
