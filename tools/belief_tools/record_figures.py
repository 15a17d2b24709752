"""The figures of an answer that are said of the track record: its coverage and its counts.

They are judged here and taken off the page, so that what judges the forecast does not read them:
"held 89.5 % of 3,029 closes" has neither a chance nor a price in it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from belief_tools.page import Figure, Page
from belief_tools.roles import nominal
from belief_tools.wording import Finding

Record = Mapping[str, Any]

_OUTCOMES = r"(?:back-?tests|runs|closes|closing prices|outcomes|forecasts|origins|predictions"
_OUTCOMES += r"|start(?:ing)?[\s-](?:days|dates|points))\b"
_PAST = r"(?:back-?test(?:ed)?|historical|out-of-sample|scored|past|earlier|previous|actual"
_PAST += r"|daily|known|all|the|those|its|these|such)"
_COUNTED = re.compile(
    rf"\s+(?:(?:{_PAST}|[\w-]+\s*-[\w-]*(?:ahead|day|session|week"
    rf"|month))\s+)*(?:(?P<origins>{_OUTCOMES})"
    r"|(?:(?:non-?\s?overlapping|independent|separate)\s+)?(?P<windows>windows\b)"
    r"|(?P<nats>nats\b))",
    re.I,
)
_OF_OUTCOMES = re.compile(
    rf"\s*of\s+(?:(?:{_PAST}|about)\s+)*\d[\d,]*\s+(?:{_PAST}\s+)*{_OUTCOMES}"
    r"|\s*of\s+(?:the\s+)?(?:past|earlier|previous|historical)\b",
    re.I,
)
_OF_INTERVALS = re.compile(r"\s*of\s+(?:the|its|their)\s+\d+\s*%\s+(?:ones|intervals|bands)", re.I)
_INSIDE = re.compile(
    r"\s*(?:of\s+(?:\w+\s+)?closes\s+)?(?:were\s+|fell\s+|landed\s+)?"
    r"(?:inside|within|in)\s+(?:the|its|their)\s+\d+\s*%",
    re.I,
)
_SPEAKS = re.compile(
    r"\b(?:track record|back-?test(?:s|ed|ing)?|ledger|windows|held|hold(?:s|ing)?|contained"
    r"|covered|coverage"
    r"|captured|caught|included|fell (?:in|inside|into|within))\b",
    re.I,
)
_NOMINAL = re.compile(
    r"[\s-]*(?:(?:central|prediction|forecast|confidence)\s+)?(?:intervals?|ranges?|bands?|ones"
    r"|confidence|chance|probability)\b",
    re.I,
)
BENCHMARKS = {
    "random_walk": re.compile(r"\brandom[\s-]walk", re.I),
    "garch_t": re.compile(r"\bGARCH", re.I),
}
_SKILL = re.compile(r"\bskill\b|\bnats\b", re.I)
_BETTER = re.compile(
    r"\b(?:better than|beat(?:s|en|ing)?|outperform\w*|superior to|improv\w+ (?:on|over|upon)"
    r"|skill (?:over|against|versus|relative to|compared (?:to|with))|ahead of|surpass(?:es"
    r"|ing)?|(?P<edge>(?:edge|advantage|lead) over)"
    r"|outdo\w*|more accurate than)\b",
    re.I,
)
_NO_EDGE = re.compile(
    r"\b(?:not|isn't)\b|\b(?:insignificant|unclear|thin|tiny|nil|doubtful|uncertain)\b", re.I
)
_NO_BENCHMARK = re.compile(
    r"\s*(?:an? |the |its |your )?(?:(?:it|that) by\b|(?:even|above|below|over|under|chance"
    r"|last)\b|coin|half"
    r"|[$]?\d)",
    re.I,
)
_DENIED = re.compile(r"\b(?:no|not|without|never|neither|nor|fail\w*|lacks?)\b|n't\b", re.I)
# What a percentage of the forecast itself is said of, wherever the track record is named too.
_OF_FORECAST = re.compile(
    r"\b(?:chances?|probab\w*|odds|(?:un)?likel\w+|regimes?|volatil\w*|ris(?:e|es|ing|en)|rose"
    r"|gain\w*"
    r"|increas\w*|climb\w*|higher|above|up|fall\w*|fell(?!\s+(?:in|inside|into|within)\b)|drop\w*"
    r"|declin\w*|lower|below|down|exceed\w*|profit\w*|returns?|w[io]n|right|correct\w*"
    r"|that (?:it|they)|forecast says)\b",
    re.I,
)


_SESSIONS_IN = {"session": 1, "day": 1, "week": 5, "month": 21, "quarter": 63, "year": 252}


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
        spoken = _speaks(page, figure) or _speaks_of_skill(page, figure)
        if spoken and _names_record(figure, known):
            continue
        allowed = _allowed(page, figure, known)
        if allowed is None:
            left.append(figure)
        elif not all(any(end.is_near(value) for value in allowed) for end in figure.ends()):
            findings.append(_finding(page, figure, allowed))
    return replace(page, figures=tuple(left)), tuple(findings)


def judge_verdict(page: Page, record: Record | None) -> Iterator[Finding]:
    """A claim to be better than something is the verdict of the track record.

    Args:
        page: the text.
        record: of a `ForecastResult`; None when there is none.
    """
    known: Record = record or {}
    skilled = {name: _is_skilled(known.get(f"skill_{name}")) for name in BENCHMARKS}
    for match in _BETTER.finditer(page.prose):
        figure = Figure("words", *match.span())
        start, end = page.sentence(figure)
        if _NO_BENCHMARK.match(page.prose, match.end()):
            continue
        rest = re.split(r";|\bbut\b|\bwhile\b", page.prose[match.end() : end])[0]
        no_edge = match["edge"] and _NO_EDGE.search(rest)
        rest = rest[: other.start()] if (other := _DENIED.search(rest)) else rest
        denied = _DENIED.search(page.lead_in(figure).rpartition(":")[2]) is not None
        denied = denied or bool(no_edge)
        named = [name for name, said in BENCHMARKS.items() if said.search(rest)]
        both = re.search(r"\b(?:both|either|benchmarks?|baselines?)\b", rest, re.I)
        named = list(BENCHMARKS) if both else named
        other_than_these = not named and not (denied and not _is_of_model(page, start, end))
        if other_than_these or any(skilled[name] == denied for name in named):
            words = page.original[match.start() : match.start() + len(match[0] + rest)].strip()
            verdict = known.get("verdict") or "there is none"
            message = f"the text says '{words}'; the track record: {verdict}"
            yield Finding(words, "record", message)


def _is_of_model(page: Page, start: int, end: int) -> bool:
    return re.search(r"\b(?:model|belief|forecasts?|skill)\b", page.prose[start:end]) is not None


def _is_skilled(skill: Sequence[float] | None) -> bool:
    """Say whether even the lower bound of a skill is above zero."""
    return bool(skill) and min(skill or [0.0]) > 0.0


def _speaks(page: Page, figure: Figure) -> bool:
    """Say whether the sentence of a figure speaks of the track record."""
    return _SPEAKS.search(page.prose, *page.sentence(figure)) is not None


def _names_record(figure: Figure, record: Record) -> bool:
    """Say whether a date or a number of sessions is one by which the record is named."""
    if figure.kind == "date":
        return any(figure.is_day(record[name]) for name in ("first", "last") if name in record)
    if figure.kind == "count" and figure.unit in _SESSIONS_IN:
        sessions = replace(figure, value=figure.value * _SESSIONS_IN[figure.unit])
        names = ("horizon", "origins") if figure.unit in ("session", "day") else ("horizon",)
        return any(sessions.is_near(record[name]) for name in names if name in record)
    return False


def _allowed(page: Page, figure: Figure, record: Record) -> tuple[float, ...] | None:
    """What a figure of the record may be; None when it is not said of the record."""
    if figure.kind == "percent" and _is_coverage(page, figure):
        share = record.get(f"coverage_{_level(page, figure):.0f}")
        return () if share is None else (100 * share,)
    in_words = page.words(figure)[:1].isalpha()  # "two forecasts" counts the text's own
    if figure.kind == "range" and not figure.unit and _speaks_of_skill(page, figure):
        return _skills(page, figure, record)
    if figure.kind == "price" and not figure.unit and not in_words:
        if "." in page.words(figure) and _speaks_of_skill(page, figure):
            return _skills(page, figure, record)
        counted = _COUNTED.match(page.prose, figure.end)
        return None if counted is None else tuple(_counts(page, figure, record, counted))
    return None


def _counts(page: Page, figure: Figure, record: Record, counted: re.Match[str]) -> Iterator[float]:
    what = str(counted.lastgroup)
    if what == "nats":
        yield from _skills(page, figure, record)
    elif what in record:
        yield record[what]


def _speaks_of_skill(page: Page, figure: Figure) -> bool:
    span = page.sentence(figure)
    return any(said.search(page.prose, *span) for said in (_SKILL, *BENCHMARKS.values()))


def _skills(page: Page, figure: Figure, record: Record) -> tuple[float, ...]:
    """The skill over the benchmark that is named nearest, or over either."""
    start, end = page.clause(figure)
    sentence, _ = page.sentence(figure)
    for begin, stop in ((start, end), (sentence, figure.start)):
        named = [name for name, said in BENCHMARKS.items() if said.search(page.prose, begin, stop)]
        if named:
            break
    wanted = named or list(BENCHMARKS)
    return tuple(value for name in wanted for value in record.get(f"skill_{name}") or ())


def _is_coverage(page: Page, figure: Figure) -> bool:
    """Say whether a percentage is the share of closes that an interval held."""
    start, end = page.clause(figure)
    if (
        nominal(page, figure)
        or _NOMINAL.match(page.prose, figure.end)
        or _OF_FORECAST.search(page.prose, start, end)
    ):
        return False
    if _OF_INTERVALS.match(page.prose, figure.end):
        return True
    if _OF_OUTCOMES.match(page.prose, figure.end) or _INSIDE.match(page.prose, figure.end):
        return True
    sentence, _ = page.sentence(figure)
    if not _speaks(page, figure) or (
        page.near(figure, "range")
        and not (_SURELY_RECORD.search(page.prose, sentence, figure.start))
    ):
        return False
    spoken = _SPEAKS.search(page.prose, start, end) or page.prose[figure.end : end].strip(" ,")
    named = [f for f in page.near(figure, "percent") if start <= f.start < end and f is not figure]
    return bool(spoken or any(_NOMINAL.match(page.prose, f.end) for f in named))


_SURELY_RECORD = re.compile(r"\b(?:track record|back-?test\w*)\b", re.I)


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
