"""Read the session that a text asks about: "March 28", "two days after earnings", "mid next week".

A small grammar. A rule reads the name of a day or of a period ("Easter", "Q3", "the third Friday of
June"); what stands in front of it may move it ("before", "the week of", "3 sessions after"). What
is read is blanked out, so that no later rule, and no reader of prices, reads it again. A period
means its last session, and a day that is no session the last one before it; a relative phrase
("tomorrow", "this month") always means a session after `as_of`. What goes on from another date ("a
week later", "the day before that") is read last, from the date that the text names, else from that
of the question before, else from `as_of`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from belief.errors import BeliefError
from belief_tools import day_names as days
from belief_tools import period_names as periods
from belief_tools.holidays import NAMES
from belief_tools.marked_text import AMOUNT_OF_MONEY, NEAR, blank, blank_all, whole_words
from belief_tools.period_names import ORDINALS, SEASONS
from belief_tools.periods import DAY, Clock, NoDayNamed, Period, earlier, later, shifted
from belief_tools.price_levels import AS_IT_IS


class Dates(NamedTuple):
    """What was read: the target and its words, or what is wrong with a date."""

    target: date | None
    phrase: str | None
    problem: str | None
    rest: str  # the text without the dates that count
    notes: tuple[str, ...] = ()  # how was read what can be read in two ways
    first: date | None = None  # the first day of the period, or of the earliest of several


class _Found(NamedTuple):
    session: date
    words: str
    first: date


@dataclass
class _Reading:
    """How far a text is read."""

    text: str
    unread: str
    rest: str
    found: list[_Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problem: str | None = None
    not_named: str | None = None  # a problem only where nothing else is named

    def take(self, match: re.Match[str], read: _Read, clock: Clock) -> None:
        """Read one match of a rule, with what stands in front of it."""
        front = _IN_FRONT.search(self.unread[: match.start()][-NEAR:])
        start = match.start() - (len(front[0]) if front else 0)
        self.unread = blank(self.unread, *match.span())
        words = _phrase(self.text, start, match.end())
        try:
            period = read(match, clock)
            if period is None:
                return
            session = _moved(period, front, match[0], clock)
        except NoDayNamed as error:
            self.not_named = f'"{words}": {error}'
        except BeliefError as error:
            self.problem = f'"{words}": {error}'
        else:
            first = period.first if front is None else session
            self.found.append(_Found(session, words, first))
            self.notes += _in_two_ways(match, words, session, clock)
            if front is None and read in _EXACT and session < period.last == period.first:
                self.notes.append(f"{period.last} is no session; {session} is the last one before")
        self.unread = blank(self.unread, start, match.end())
        self.rest = blank(self.rest, start, match.end())


_Read = Callable[[re.Match[str], Clock], "Period | None"]
_EXACT = (days.iso_date, days.written_date, days.bare_date, days.holiday_named)

# ---- the words of the grammar ----

_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_WEEKDAY = r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thu(?:rs?)?|fri"
_YEAR = r"(?P<year>(?:19|2[01])\d\d|'\d\d)"
_SHORT_YEAR = r"(?P<year>2\d)(?![\d.,:/%]|\s*(?:%|[a-z]+s\b))"
_NO_YEAR = r"(?:of\s+)?(?:19|2[01])\d\d(?!\d)"
_SHIFT = r"\s+(?:of\s+)?(?P<shift>this|next|last)\s+year"
_LONG_UNIT = r"(?:month|quarter|year|decade)"
_UNIT = r"(?P<unit>week|month|quarter|year|decade)"
_TURNS = r"(?:highs?|lows?|gains?|loss(?:es)?|peak|record|rally|run)"
_TIME = r"(?P<unit>day|session|week|month|quarter|year)"
_TRADING = r"(?P<trading>(?:trading|business|market)\s+)?"
_SPAN = (
    r"(?>(?:\d{1,9}(?:\s+(?:day|session|week|month|year)s?)?(?:\s*(?:-|to|or|,?\s*and|,)\s*)"
    r"(?=\d)){0,3})(?P<count>\d{1,9}(?:\.\d{1,3})?|an?|one|a few)(?:\s+|-)"
    rf"(?:more\s+)?{_TRADING}(?P<unit>hour|day|session|week|month|quarter|year)s?"
)
_NTH = (
    rf"(?P<nth>{'|'.join(ORDINALS)}|\d{{1,2}}(?:st|nd|rd|th))\s+"
    rf"(?P<of>(?:trading\s+|business\s+|market\s+)?(?:day|session)|week|{_WEEKDAY})"
)
_PART = (
    rf"(?:(?P<part>end|rest|turn|finish|late|early|mid|middle|start|beginning|{_NTH})(?:\s*-\s*"
    rf"|\s+)"
    r"(?:of\s+|in\s+)?(?:the\s+)?)?"
)
_SINCE = rf"(?P<since>(?:as\s+of|since)\s+)?(?:(?:{_WEEKDAY}),?\s+)?(?:the\s+)?"
_DAY_NUMBER = r"(?<![\d$.,])(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DIGITS_FOLLOW = r"[.,]?\d|\s*%"
_IN = r"(?:in|within|over|during|after|for)\s+"
_IN_FRONT = re.compile(
    rf"(?<!\w)(?:(?:the\s+)?(?:(?:{_SPAN}|(?:(?:trading|business|market)\s+)?(?P<one>day|session"
    rf"|week|month)|(?<=the\s)(?P<weekday>{_WEEKDAY}))\s+)?"
    r"(?P<way>before|prior\s+to|ahead\s+of|pre|after|following|post)"
    rf"|{_SPAN.replace('?P<', '?P<far_')}\s+(?:from|on)|(?P<week_of>week)\s+of)"
    r"(?:\s+|-)(?:the\s+)?$",
    re.IGNORECASE,
)
_AFTER_PREPOSITION = "(?:{})".format(
    "|".join(rf"(?<={word} )" for word in "on by for at before after until till #".split())
)
_AN_END = re.compile(r"\W*(?:end|rest|eo)|.*end$", re.IGNORECASE)


def read_dates(text: str, clock: Clock) -> Dates:
    """Apply the rules in order; of several dates the latest is the target.

    Args:
        text: the text in plain words, with the names of companies blanked out.
        clock: where the text stands in time.

    Example:
        >>> clock = Clock(date(2025, 2, 14), past=False, future=True)
        >>> str(read_dates("in 3 weeks", clock).target)
        '2025-03-07'
        >>> str(read_dates("2 days before Memorial Day", clock).target)
        '2025-05-23'
    """
    unread = blank_all(AS_IT_IS, blank_all(AMOUNT_OF_MONEY, text))
    onward: list[tuple[re.Match[str], _Read]] = []
    for rule, read in _ONWARD:
        onward += [(match, read) for match in rule.finditer(unread)]
        unread = blank_all(rule, unread)
    reading = _Reading(text, unread, rest=text)
    for rule, read in _RULES:
        for match in rule.finditer(reading.unread):
            reading.take(match, read, clock)
    found = reading.found
    for match, read in onward:
        reading.take(match, read, clock.onward(max(found).session if found else None))
    target, phrase, _ = max(found) if found else (None, None, None)
    problem = reading.problem or (None if found else reading.not_named)
    notes = (*reading.notes, *_several(found, clock))
    first = min((one.first for one in found), default=None)
    return Dates(target, phrase, problem, reading.rest, notes, first)


def _phrase(text: str, start: int, end: int) -> str:
    """Return the words from `start` to `end` with the preposition in front of them."""
    before = text[max(0, start - NEAR) : start]
    lead = re.search(r"\b(?:in|by|on|for|during|until|through)(?: the)? $", before)
    return (lead[0] if lead else "") + text[start:end].strip()


def _moved(period: Period, front: re.Match[str] | None, words: str, clock: Clock) -> date:
    """Return the session of a period, moved by the words in front of it."""
    if front is None:
        return clock.session(period.last)
    said = front.groupdict()
    if said["week_of"]:
        return clock.session(period.first + (6 - period.first.weekday()) * DAY)
    way = -1 if (said["way"] or "").lower().startswith(("before", "prior", "ahead", "pre")) else 1
    count, unit = said["count"] or said["far_count"], said["unit"] or said["far_unit"]
    if said["weekday"]:
        from_day = period.last if way > 0 else period.first
        return clock.session(days.next_weekday(from_day, days.weekday_number(said["weekday"]), way))
    if not count and not said["one"]:
        if way > 0:
            return later(period.last, 1)
        return clock.session(period.last if _AN_END.match(words) else period.first - DAY)
    number, unit = days.number_of(count or "one"), (unit or said["one"]).lower()
    if unit == "session" or said["trading"] or said["far_trading"] or said["one"] == "day":
        return later(period.last, int(number)) if way > 0 else earlier(period.first, int(number))
    return clock.session(shifted(period.last if way > 0 else period.first, number, unit, way))


def _in_two_ways(match: re.Match[str], words: str, session: date, clock: Clock) -> Iterable[str]:
    """Say how a date was read that another person could read otherwise."""
    said = match.groupdict()
    if said.get("number") and "." not in said["number"]:
        first, second = (int(part) for part in re.findall(r"\d+", said["number"]))
        if first != second and max(first, second) <= 12:
            yield f"{words!r} was read with the month first, as in New York: {session}"
    if said.get("count") and re.search(r"\d", match.string[match.start() : match.start("count")]):
        yield f"of {words!r} the latest is answered for: {session}"
    if "results" in said and (known := days.results(match, clock)) and not known.announced:
        yield (
            f"the day of the results is not announced as of {clock.as_of}; {known.day}, as a year "
            "before, is expected"
        )


def _several(found: list[_Found], clock: Clock) -> Iterable[str]:
    ahead = sorted({date_ for date_ in found if date_.session > clock.as_of})
    if len({one.session for one in ahead}) > 1:
        named = ", ".join(f"{one.words!r} ({one.session})" for one in ahead)
        yield f"the question names several dates: {named}; the latest is answered for"


def _rules(*rules: tuple[str, _Read]) -> tuple[tuple[re.Pattern[str], _Read], ...]:
    return tuple((whole_words(pattern), read) for pattern, read in rules)


_THAT = r"(?:\s+(?:than\s+)?(?:that|then)(?!\s+\w*day)|(?=[^\w#]*$|\s*[?.!,;]))"
_AFTER = (
    r"(?:(?:later|afterwards?|thereafter|further(?:\s+(?:out|on))?)(?:\s+than\s+that)?"
    rf"|after{_THAT}|on(?=[^\w#]*$|\s*[?.!,;]))"
)
_BEFORE = (
    rf"(?P<way>(?:earlier|sooner|beforehand)(?:\s+than\s+that)?|(?:before|prior(?:\s+to)?){_THAT})"
)
_ONWARD = _rules(
    (
        rf"(?:{_IN})?another\s+(?:(?P<count>\d{{1,9}}|few)\s+)?{_TRADING}{_TIME}s?(?:\s+{_AFTER})?",
        days.distance,
    ),
    (rf"(?:{_IN})?(?=\S+\s+more\s){_SPAN}", days.distance),
    (rf"{_IN}the\s+following\s+(?:{_SPAN})", days.distance),
    (rf"{_IN}the\s+following\s+{_UNIT}", days.distance),
    (rf"the\s+following\s+{_TRADING}(?P<unit>day|session)", days.distance),
    (rf"the\s+next\s+{_TRADING}(?P<unit>day|session)(?!'s)", days.distance),
    (rf"the\s+(?:previous|preceding|prior)\s+{_TRADING}(?P<unit>day|session)(?!'s)", days.ago),
    (rf"{_PART}(?:that|the\s+same)\s+{_UNIT}", periods.that_unit),
    (rf"the\s+following\s+(?P<weekday>{_WEEKDAY})", days.weekday_from),
    (rf"the\s+(?P<which>following)\s+{_UNIT}", periods.calendar_unit),
    (
        rf"{_SPAN}\s+(?:{_AFTER}|from\s+(?:then|there|that(?:\s+(?:date|day|point))?))",
        days.distance,
    ),
    (rf"{_SPAN}\s+{_BEFORE}", days.ago),
    (rf"(?:the\s+)?{_TRADING}{_TIME}\s+{_AFTER}", days.distance),
    (rf"(?:the\s+)?{_TRADING}{_TIME}\s+{_BEFORE}", days.ago),
    (rf"(?:the\s+)?(?P<weekday>{_WEEKDAY})\s+(?:{_AFTER}|{_BEFORE})", days.weekday_from),
)

_RULES = _rules(
    (rf"{_SINCE}(?P<y>20\d\d)(?P<m>[01]\d)(?P<d>[0-3]\d)", days.iso_date),
    (
        rf"{_SINCE}(?P<y>(?:19|2[01])\d\d)([-/.])(?P<m>\d\d?)\3(?P<d>\d\d?)(?:T[\d:.]+Z?)?",
        days.iso_date,
    ),
    (
        rf"{_SINCE}(?P<number>(?<![\d$.,])\d\d?([-/.])\d\d?)\3(?P<year>(?:19|20)?\d\d)",
        days.written_date,
    ),
    (
        rf"{_SINCE}{_DAY_NUMBER}[\s-]+(?P<month>{_MONTH})\.?(?:,?\s+|-){_SHORT_YEAR}",
        days.written_date,
    ),
    (
        rf"{_SINCE}(?P<month>{_MONTH})\.?[\s-]+(?:the\s+)?{_DAY_NUMBER}"
        rf"(?:,?\s*{_YEAR}|{_SHIFT}|(?!{_DIGITS_FOLLOW}))",
        days.written_date,
    ),
    (
        rf"{_SINCE}{_DAY_NUMBER}[\s-]+(?:of\s+)?(?P<month>{_MONTH})\.?"
        rf"(?:(?:,?\s+|-){_YEAR}|{_SHIFT})?",
        days.written_date,
    ),
    (rf"{_AFTER_PREPOSITION}(?P<number>\d\d?/\d\d?)(?!/|\d)", days.written_date),
    (
        rf"(?:(?:{_WEEKDAY}),?\s+)?(?<![\d$.,/-])(?P<number>\d\d?/\d\d?)(?![/\d]|{_DIGITS_FOLLOW}"
        r"|\s+(?:of|chances?|odds)\b)",
        days.bare_date,
    ),
    (r"(?P<m>\d\d?)/(?P<y>20\d\d)|(?P<y2>20\d\d)-(?P<m2>\d\d)(?!-)", periods.numbered_month),
    (
        rf"(?:(?P<which>this|next|last)\s+)?(?P<holiday>{NAMES})(?:,?\s+{_YEAR}|{_SHIFT})?",
        days.holiday_named,
    ),
    (
        r"(?P<results>(?:(?:its?|their|the)\s+)?(?:#+(?:'s?)?\s+)?"
        r"(?:(?P<which>next|upcoming|coming|this|last|latest|previous|recent|Q[1-4])\s+)?"
        rf"(?:(?P<month_before>{_MONTH})\s+)?"
        r"(?:quarterly\s+|quarter(?:'s)?\s+)?(?:earnings|results|quarterly (?:report|numbers"
        r"|figures))"
        r"(?:\s+(?:report|release|call|announcement|season|date|day)s?)?)"
        rf"(?:\s+(?:are\s+|is\s+)?(?:out|in\s+(?P<month>{_MONTH})))?",
        days.results_day,
    ),
    (rf"(?:by\s+)?(?:this|(?:the\s+)?same)\s+time\s+next\s+{_UNIT}", days.distance),
    (
        r"(?:get\s+)?used?\s+to\s+(?:be|cost|trade|close|stand|go)|back\s+(?:then|in\s+the\s+day)",
        days.not_named,
    ),
    (
        rf"(?:in\s+)?(?P<count>\d\d?|an?|one|a few)\s+(?P<weekday>{_WEEKDAY})s?\s+"
        r"(?:from\s+(?:now|today)|ahead|out|hence|away|(?P<way>ago))",
        days.weekday_from,
    ),
    (rf"(?<=# ){_SPAN}(?=\W*$)", days.distance),
    (rf"{_SPAN}\s+(?:ago|back)", days.ago),
    (rf"(?:this|(?:the\s+)?same)\s+time\s+last\s+{_UNIT}", days.ago),
    (
        rf"{_IN}(?:(?:about|around|roughly|exactly|just|like|say|maybe|approximately)\s+)?(?:the\s+)?(?:(?:next"
        rf"|coming|following)\s+)?"
        rf"{_SPAN}(?:'?\s+time)?",
        days.distance,
    ),
    (rf"{_IN}the\s+(?:next|coming|following)\s+{_UNIT}", days.distance),
    (rf"(?:next|coming|following|forecast|outlook|prediction|target)\s+{_SPAN}", days.distance),
    (
        rf"{_SPAN}\s+(?:from\s+(?:now|today)|today|ahead|out|hence"
        r"|(?:price\s+)?(?:target|forecast|outlook|prediction))",
        days.distance,
    ),
    (
        r"(?:the\s+)?day\s+after\s+tomorrow|tomorrow|tonight|eod|yesterday"
        r"|next\s+(?:trading\s+|business\s+|market\s+)?(?:session|day|close)"
        r"|end\s+of\s+(?:the\s+)?(?:trading\s+)?day|(?:previous|last) session(?! (?:of|in) )"
        r"|today(?!'s\s+(?:price|level|value|high|low))",
        days.day_word,
    ),
    (
        r"(?:(?P<week_before>next|this)\s+week(?:'s)?\s+(?:on\s+)?)?"
        r"(?:(?P<which>this|next|last|coming|following)\s+(?:week's\s+)?)?"
        rf"(?P<weekday>{_WEEKDAY})(?!\s+(?:of|in)\s+(?:\w+\s+){{0,2}}(?:{_MONTH}|{_LONG_UNIT}))"
        r"(?:\s+(?:of\s+)?(?P<week>next|this)\s+week|(?P<skip>\s+after\s+next)"
        r"|(?P<back>\s+before\s+last)|(?P<later>\s+week))?",
        days.weekday,
    ),
    (
        r"(?:(?:on|by|until)\s+the|the(?=\s+\d+\w\w\s*(?:[?.!,;]|of\s+\w+\s+month|and\b|$)))"
        r"\s+(?P<day>\d\d?)(?:st|nd|rd|th)(?!\s+(?:quarter|half))"
        r"(?:\s+of\s+(?P<which>this|the|next|last)\s+month)?",
        days.month_day,
    ),
    (
        rf"{_PART}(?:Q(?P<quarter>[1-4])|H(?P<half>[12])"
        rf"|(?P<ordinal>first|second|third|fourth)\s+(?P<size>quarter|half))"
        rf"(?:(?:\s+of)?[\s,/-]*{_YEAR}|{_SHIFT})?",
        periods.quarter,
    ),
    (
        rf"(?:(?P<lead>(?:between|from)\s+(?:{_MONTH})\s+(?:and|to)|ends|ending|finish(?:es)?|closes"
        r"|in|by|during|until|till|through|for|of|since|between|from)\s+)?"
        rf"{_PART}(?:(?P<which>this|next|last|coming)\s+)?(?P<month>{_MONTH})\.?"
        rf"(?:,?\s+(?:of\s+)?{_YEAR}|{_SHIFT})?",
        periods.month,
    ),
    (
        r"(?:(?P<lead>in|by|during|until|till|through|for|of)\s+(?:the\s+)?)?"
        rf"{_PART}(?:(?P<which>this|next|last|coming)\s+)?(?P<season>{'|'.join(SEASONS)})(?:'s\s+end)?"
        rf"(?:,?\s+(?:of\s+)?{_YEAR}|{_SHIFT})?",
        periods.season,
    ),
    (
        rf"(?P<unit>month|quarter|year)(?:'s)?[\s-]?end(?!\s+{_NO_YEAR})"
        rf"|eo(?P<letter>[wmqy])(?!\s+{_NO_YEAR})",
        periods.calendar_unit,
    ),
    (
        rf"{_PART}(?:(?P<which>(?:this|the)(?:\s+(?:next|current|coming|last))?|next|current"
        rf"|coming|following|last|previous)\s+)?(?:(?:trading|calendar|business)\s+)?{_UNIT}"
        rf"(?P<skip>\s+after\s+next)?(?!'s\s+{_TURNS}|\s+{_NO_YEAR})",
        periods.calendar_unit,
    ),
    (
        rf"{_PART}(?:year\s+)?(?<![\d$.,])(?P<year>(?:19|2[01])\d\d)(?![/-]\d"
        rf"|{_DIGITS_FOLLOW})",
        periods.bare_year,
    ),
)
