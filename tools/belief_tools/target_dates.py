"""Read the session that a text asks about: "March 28", "next Friday", "in three weeks", "eoy".

The first of `_RULES` that matches reads a date and blanks it out, so that no later rule, and no
reader of prices, reads it again. A target that is no session means the last session on or before
it; a relative phrase ("tomorrow", "this month") always means a session after `as_of`; a bare month
means its last session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from dateutil.easter import easter
from dateutil.relativedelta import relativedelta, weekdays

from belief.errors import BeliefError, UsageError
from belief.sessions import last_session_on_or_before, session_after

_DAY = timedelta(days=1)


def whole_words(pattern: str) -> re.Pattern[str]:
    """Compile a pattern that begins and ends at a word boundary, in any case."""
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def blank(text: str, start: int, end: int) -> str:
    """Write "#" over a part of `text`, so that positions stay and nothing reads it again."""
    return text[:start] + "#" * (end - start) + text[end:]


def blank_all(pattern: re.Pattern[str], text: str) -> str:
    """Write "#" over every match of `pattern`."""
    return pattern.sub(lambda match: "#" * len(match[0]), text)


# A number and an amount of money are no dates, and these words in front of "2025" make it a price.
NUMBER = r"(?>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
AMOUNT_OF_MONEY = re.compile(
    rf"\$\s?{NUMBER}k?|{NUMBER}k?\s?(?:dollars?|bucks|usd)\b", re.IGNORECASE
)


LEVEL_BEFORE = re.compile(
    r"(?:\b(?:above|below|over|under|beneath|beyond|past|exceed(?:s|ing)?|surpass(?:es|ing)?"
    r"|top(?:s|ping)?|reach(?:es|ing)?|hit(?:s|ting)?|touch(?:es|ing)?|cross(?:es|ing)?"
    r"|break(?:s|ing)?|breach|at|to|than|least|most|between|near|around|about|cost|worth|be|as"
    r"|(?:target|level|price|strike)\s+of)\s+|[<>=$]\s*|\busd\s*)$",
    re.IGNORECASE,
)
NEAR = 30  # characters; how far back from a number the words that explain it are looked for


def as_date(day: np.datetime64) -> date:
    """Return a day as the calendar type that the rules count with."""
    return date.fromisoformat(str(day.astype("datetime64[D]")))


class Clock(NamedTuple):
    """Where a text stands in time: its `as_of`, and whether it speaks of the past or the future."""

    as_of: date
    past: bool
    future: bool

    def session(self, day: date) -> date:
        """Return the last session on or before `day`."""
        return as_date(last_session_on_or_before(np.datetime64(day, "D")))

    def ahead(self, day: date) -> date:
        """Return the session of `day`, or the next session when that is not after as_of."""
        session = self.session(day)
        return session if session > self.as_of else self.after(1)

    def after(self, horizon: int) -> date:
        """Return the session that is `horizon` sessions after as_of."""
        return as_date(session_after(np.datetime64(self.as_of, "D"), horizon))

    def nearest(self, days: Iterable[date]) -> date:
        """Of the occurrences of a date without a year, the next one, or the last one if past."""
        if self.past:
            return max(s for day in days if (s := self.session(day)) <= self.as_of)
        return next(s for day in days if (s := self.session(day)) > self.as_of)


class Dates(NamedTuple):
    """What was read: the target and its words, or what is wrong with a date."""

    target: date | None
    phrase: str | None
    problem: str | None
    rest: str  # the text without the dates that count


_Read = Callable[[re.Match[str], Clock], date | None]
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_WEEKDAYS = "mon tue wed thu fri sat sun".split()
_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_WEEKDAY = r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thu(?:rs?)?|fri"
_YEAR = r"(?P<year>(?:19|2[01])\d\d|'\d\d)"
_PART = (
    r"(?:(?P<part>end|rest|late|early|mid|middle|start|beginning"
    r"|(?:first|last)\s+(?:trading\s+)?(?:day|session))(?:\s*-\s*|\s+)"
    r"(?:of\s+|in\s+)?(?:the\s+)?|(?P<before>before\s+)(?:the\s+)?)?"
)
_COUNTS = {
    **{"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6},
    **{"seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "a couple of": 2, "a few": 3},
}
_COUNT = "|".join(sorted(_COUNTS, key=len, reverse=True))
_SPAN = (
    rf"(?:\d+\s*(?:-|to|or)\s*)?(?P<count>\d{{1,9}}|{_COUNT})(?:\s+|-)"
    r"(?:more\s+)?(?P<trading>(?:trading|business|market)\s+)?"
    r"(?P<unit>day|session|week|month|quarter|year)s?"
)
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4}


def read_dates(text: str, clock: Clock) -> Dates:
    """Apply the rules in order; of several dates the latest is the target.

    Args:
        text: the text, with the names of companies blanked out.
        clock: where the text stands in time.

    Example:
        >>> clock = Clock(date(2025, 2, 14), past=False, future=True)
        >>> str(read_dates("in three weeks", clock).target)
        '2025-03-07'
    """
    unread, rest = blank_all(AMOUNT_OF_MONEY, text), text
    found: list[tuple[date, str]] = []
    problem = None
    for pattern, read in _RULES:
        for match in pattern.finditer(unread):
            unread = blank(unread, *match.span())
            words = _phrase(text, match)
            try:
                session = read(match, clock)
            except BeliefError as error:
                session, problem = None, f'"{words}": {error}'
            else:
                if session is None:
                    continue
                found.append((session, words))
            rest = blank(rest, *match.span())
    target, phrase = max(found) if found else (None, None)
    return Dates(target, phrase, problem, rest)


def _phrase(text: str, match: re.Match[str]) -> str:
    """Return the words of a match with the preposition in front of it."""
    before = text[max(0, match.start() - NEAR) : match.start()]
    lead = re.search(r"\b(?:in|by|on|for|during|until|through)(?: the)? $", before)
    return (lead[0] if lead else "") + text[match.start() : match.end()].strip()


def _iso_date(match: re.Match[str], clock: Clock) -> date | None:
    session = clock.session(_existing([_day(*(int(match[name]) for name in "ymd"))])[0])
    return None if match["since"] and clock.future else session


def _written_date(match: re.Match[str], clock: Clock) -> date | None:
    """Read 28 March, March 28, 2024 and 3/28/2024; without a year, the nearest occurrence."""
    groups = match.groupdict()
    if groups.get("since") and clock.future:
        return None
    if number := groups.get("number"):
        first, second = (int(part) for part in re.findall(r"\d+", number))
        month, day = (first, second) if first <= 12 else (second, first)
    else:
        month, day = _month_number(match) + 1, int(groups["day"])
    if groups.get("year"):
        return clock.session(_existing([_day(_year(match["year"]), month, day)])[0])
    days = _existing(_day(clock.as_of.year + n, month, day) for n in _NEAR_YEARS)
    if clock.past:
        return clock.session(max(day for day in days if day <= clock.as_of))
    # The day of as_of itself, and a weekend right after it, are answered with a known close.
    return clock.session(next(day for day in days if day >= clock.as_of))


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _month_number(match: re.Match[str]) -> int:
    return _MONTHS.index(match["month"][:3].lower())


def _existing(days: Iterable[date | None]) -> list[date]:
    existing = [day for day in days if day is not None]
    if not existing:
        raise UsageError("there is no such day; a day is written like 2025-03-28 or March 28, 2025")
    return existing


# Wide enough for the nearest 29 February.
_NEAR_YEARS = range(-8, 13)


def _year(text: str) -> int:
    year = int(text.strip("'"))
    return year + 2000 if year < 100 else year


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    day: date = date(year, month, 1) + relativedelta(weekday=weekdays[weekday](nth))
    return day


def _easter(year: int) -> date:
    day: date = easter(year)
    return day


_HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": lambda year: date(year, 12, 24),
    "christmas": lambda year: date(year, 12, 25),
    "new year'?s eve": lambda year: date(year, 12, 31),
    "new year(?:'?s)?(?: day)?": lambda year: date(year, 1, 1),
    "good friday": lambda year: _easter(year) - 2 * _DAY,
    "easter(?: sunday)?": _easter,
    "memorial day": lambda year: _nth_weekday(year, 6, 0, 1) - 7 * _DAY,
    "labou?r day": lambda year: _nth_weekday(year, 9, 0, 1),
    "thanksgiving(?: day)?": lambda year: _nth_weekday(year, 11, 3, 4),
    "black friday": lambda year: _nth_weekday(year, 11, 3, 4) + _DAY,
}


def _holiday(match: re.Match[str], clock: Clock) -> date:
    name = match["holiday"].lower()
    day_in = next(day for pattern, day in _HOLIDAYS.items() if re.fullmatch(pattern, name))
    if match["year"]:
        return clock.session(day_in(_year(match["year"])))
    return clock.nearest(day_in(clock.as_of.year + n) for n in range(-1, 3))


def _distance(match: re.Match[str], clock: Clock) -> date:
    """Read "in three weeks", "10 trading days from now", "over the next year"."""
    groups = match.groupdict()
    if match["unit"].lower() == "session" or groups.get("trading"):
        if (sessions := _count(match)) < 1:
            raise UsageError("a forecast needs at least one session")
        return clock.after(sessions)
    return clock.ahead(_shifted(match, clock, way=1))


def _count(match: re.Match[str]) -> int:
    count = (match.groupdict().get("count") or "one").lower()
    return _COUNTS.get(count) or int(count)


def _shifted(match: re.Match[str], clock: Clock, *, way: int) -> date:
    """Return the day that a span lies ahead of as_of, or behind it."""
    count, unit = _count(match), match["unit"].lower()
    span = {"months": count * _MONTHS_IN[unit]} if unit in _MONTHS_IN else {f"{unit}s": count}
    try:
        day: date = clock.as_of + way * relativedelta(**span)
        return day
    except (OverflowError, ValueError):
        raise UsageError(f"{count} {unit}s is too far away") from None


def _ago(match: re.Match[str], clock: Clock) -> date | None:
    return None if clock.future else clock.session(_shifted(match, clock, way=-1))


def _day_word(match: re.Match[str], clock: Clock) -> date | None:
    word = match[0].lower()
    if word in ("yesterday", "previous session", "last session"):
        return None if clock.future else clock.session(clock.as_of - _DAY)
    if "after" in word:
        return clock.ahead(clock.as_of + 2 * _DAY)
    if word.startswith(("tom", "next", "tmr")):
        return clock.after(1)
    # as_of has closed: what "will" happen today can only be the session that is still to come.
    return clock.after(1) if clock.future else clock.as_of


def _weekday(match: re.Match[str], clock: Clock) -> date | None:
    """Read Friday as the first one after as_of, next Friday as that of the next calendar week."""
    weekday = _WEEKDAYS.index(match["weekday"][:3].lower())
    which = (match["which"] or match["week"] or match["week_before"] or "").lower()
    if which == "last" or clock.past:
        back = (clock.as_of.weekday() - weekday) % 7
        back = back or (7 if which == "last" else 0)
        return None if clock.future else clock.session(clock.as_of - back * _DAY)
    monday = clock.as_of - clock.as_of.weekday() * _DAY
    if which == "next":
        day = monday + (7 + weekday) * _DAY
    else:
        day = clock.as_of + ((weekday - clock.as_of.weekday() - 1) % 7 + 1) * _DAY
    weeks = _COUNTS.get((match["weeks"] or "").lower(), 0)
    return clock.ahead(day + 7 * weeks * _DAY)


def _month_day(match: re.Match[str], clock: Clock) -> date:
    """Read "on the 15th": the nearest month that has it."""
    now, number = _month_index(clock.as_of), int(match["day"])
    near = (now + 1,) if match["which"] == "next" else range(now - 2, now + 4)
    months = [_months(index, 1) for index in near]
    days = [first + (number - 1) * _DAY for first, last in months if 1 <= number <= last.day]
    return clock.nearest(_existing(days))


def _months(index: int, size: int) -> tuple[date, date]:
    """Return the first and last day of `size` months from month number `index` (year * 12)."""
    first, after = (date(i // 12, i % 12 + 1, 1) for i in (index, index + size))
    return first, after - _DAY


def _month_index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _day_of(match: re.Match[str], first: date, last: date) -> date:
    """Pick the day of a period that "early", "mid" or "before" means; else its last."""
    groups, days = match.groupdict(), (last - first).days + 1
    part = (groups.get("part") or "").lower()
    if groups.get("before"):
        return first - _DAY
    if part.startswith("mid"):
        return first + (14 if 28 <= days <= 31 else days // 2) * _DAY
    if part == "early":
        return first + (days // 3 - 1) * _DAY
    if part.startswith(("start", "beginning", "first")):
        return as_date(session_after(np.datetime64(first - _DAY, "D"), 1))
    return last


def _month(match: re.Match[str], clock: Clock) -> date | None:
    """Read a month; "may" and "march" without a year or a preposition are verbs."""
    word, which, lead = match["month"], match["which"] or "", match["lead"] or ""
    dated = which or lead or any(match[name] for name in ("year", "part", "before", "shift"))
    if word.lower() in ("may", "march", "mar") and not dated:
        starts = not re.search(r"[\w#,][\"'(]*\s+$", match.string[: match.start()])
        if starts or not word.istitle():
            return None
    if clock.future and (which.lower() == "last" or lead.lower() == "since"):
        return None
    return _month_span(match, clock, _month_number(match), 1)


def _quarter(match: re.Match[str], clock: Clock) -> date:
    size = 6 if match["half"] or (match["size"] or "").lower() == "half" else 3
    digit = match["quarter"] or match["half"]
    number = int(digit) if digit else _ORDINALS[match["ordinal"].lower()]
    return _month_span(match, clock, size * (number - 1), size)


def _month_span(match: re.Match[str], clock: Clock, start: int, size: int) -> date:
    """Read `size` months from month `start` (0 is January) of the year named, or the nearest."""
    year = clock.as_of.year
    if match["year"] or match["shift"]:
        shift = {"this": 0, "next": 1, "last": -1}.get((match["shift"] or "this").lower(), 0)
        year = _year(match["year"]) if match["year"] else year + shift
        return clock.session(_day_of(match, *_months(year * 12 + start, size)))
    near = ((year + n) * 12 + start for n in range(-2, 3))
    return clock.nearest(_day_of(match, *_months(index, size)) for index in near)


def _calendar_unit(match: re.Match[str], clock: Clock) -> date | None:
    """Read "next week", "end of the quarter", "eoy", "year-end"."""
    groups = match.groupdict()
    letter, which = groups.get("letter"), (groups.get("which") or "").lower()
    units = ("week", *_MONTHS_IN)
    unit = next(unit for unit in units if unit.startswith((letter or match["unit"]).lower()))
    ended = groups.get("part") or "which" not in groups
    if not ended and which in ("", "the"):
        return None
    shift = 1 if re.search("next|coming", which) else -1 if re.search("last|prev", which) else 0
    if shift < 0:
        return None if clock.future else clock.session(_unit_day(match, unit, clock, shift))
    if clock.past:
        return min(clock.as_of, clock.session(_unit_day(match, unit, clock, shift)))
    return clock.nearest(_unit_day(match, unit, clock, n) for n in (shift, shift + 1))


def _unit_day(match: re.Match[str], unit: str, clock: Clock, shift: int) -> date:
    """Return the day meant in the week, month, quarter or year `shift` after that of as_of."""
    if unit == "week":
        monday = clock.as_of + (7 * shift - clock.as_of.weekday()) * _DAY
        return _day_of(match, monday, monday + 6 * _DAY)
    size = _MONTHS_IN[unit]
    index = (_month_index(clock.as_of) // size + shift) * size
    return _day_of(match, *_months(index, size))


def _bare_year(match: re.Match[str], clock: Clock) -> date | None:
    """Read "in 2026" and "price prediction 2026", but not the price in "above 2026"."""
    before = match.string[max(0, match.start() - NEAR) : match.start()]
    year, part = _year(match["year"]), match["part"] or match["before"]
    if not part and LEVEL_BEFORE.search(before):
        return None
    led = re.search(r"\b(?:in|by|of|for|during|until|through)\s+$", before, re.IGNORECASE)
    near = 0 <= year - clock.as_of.year <= 30
    if not (near or part or led or clock.past):
        return None
    return clock.session(_day_of(match, *_months(year * 12, 12)))


_SINCE = rf"(?P<since>(?:as\s+of|since)\s+)?(?:(?:{_WEEKDAY}),?\s+)?(?:the\s+)?"
_DAY_NUMBER = r"(?<![\d$.,])(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_DIGITS_FOLLOW = r"[.,]?\d|\s*%"
_SHIFT = r"\s+(?:of\s+)?(?P<shift>this|next|last)\s+year"
_UNIT = r"(?P<unit>week|month|quarter|year)"
_IN = r"(?:in|within|over|during|after|for)\s+"
_RULES: tuple[tuple[re.Pattern[str], _Read], ...] = tuple(
    (whole_words(pattern), read)
    for pattern, read in (
        (rf"{_SINCE}(?P<y>20\d\d)(?P<m>[01]\d)(?P<d>[0-3]\d)", _iso_date),
        (
            rf"{_SINCE}(?P<y>(?:19|2[01])\d\d)([-/.])(?P<m>\d\d?)\3(?P<d>\d\d?)(?:T[\d:.]+Z?)?",
            _iso_date,
        ),
        (
            rf"{_SINCE}(?P<number>(?<![\d$.,])\d\d?([-/.])\d\d?)\3(?P<year>(?:19|20)?\d\d)",
            _written_date,
        ),
        (
            rf"{_SINCE}(?P<month>{_MONTH})\.?\s+(?:the\s+)?{_DAY_NUMBER}"
            rf"(?:,?\s*{_YEAR}|(?!{_DIGITS_FOLLOW}))",
            _written_date,
        ),
        (
            rf"{_SINCE}{_DAY_NUMBER}\s+(?:of\s+)?(?P<month>{_MONTH})\.?(?:,?\s+{_YEAR})?",
            _written_date,
        ),
        (r"(?:on|by|before|until)\s+(?P<number>\d\d?/\d\d?)", _written_date),
        (rf"(?P<holiday>{'|'.join(_HOLIDAYS)})(?:,?\s+{_YEAR})?", _holiday),
        (rf"(?:by\s+)?(?:this|(?:the\s+)?same)\s+time\s+next\s+{_UNIT}", _distance),
        (rf"{_SPAN}\s+(?:ago|earlier)", _ago),
        (
            rf"{_IN}(?:about\s+|around\s+|roughly\s+)?(?:the\s+)?(?:(?:next|coming|following)\s+)?"
            rf"{_SPAN}(?:'?\s+time)?",
            _distance,
        ),
        (rf"{_IN}the\s+(?:next|coming|following)\s+{_UNIT}", _distance),
        (rf"(?:next|coming|following)\s+{_SPAN}", _distance),
        (
            rf"{_SPAN}\s+(?:from\s+(?:now|today)|ahead|out|later|hence"
            r"|(?:price\s+)?(?:target|forecast|outlook|prediction))",
            _distance,
        ),
        (
            r"(?:the\s+)?day\s+after\s+tomorrow|tomorr?ow|tmrw|tonight|eod|yesterday"
            r"|next\s+(?:trading\s+|business\s+|market\s+)?(?:session|day|close)"
            r"|end\s+of\s+(?:the\s+)?(?:trading\s+)?day|(?:previous|last) session"
            r"|today(?!'s\s+(?:price|level|value|high|low))",
            _day_word,
        ),
        (
            r"(?:(?P<weeks>a|one|two|three)\s+weeks?\s+(?:from|after)\s+)?"
            r"(?:(?P<week_before>next|this)\s+week(?:'s)?\s+(?:on\s+)?)?"
            rf"(?:(?P<which>this|next|last|coming)\s+)?(?P<weekday>{_WEEKDAY})"
            r"(?:\s+(?:of\s+)?(?P<week>next|this)\s+week)?",
            _weekday,
        ),
        (
            r"(?:on|by|until)\s+the\s+(?P<day>\d\d?)(?:st|nd|rd|th)(?!\s+quarter)"
            r"(?:\s+of\s+(?P<which>this|next)\s+month)?",
            _month_day,
        ),
        (
            rf"{_PART}(?:Q(?P<quarter>[1-4])|H(?P<half>[12])"
            rf"|(?P<ordinal>{'|'.join(_ORDINALS)})\s+(?P<size>quarter|half))"
            rf"(?:(?:\s+of)?[\s,/-]*{_YEAR}|{_SHIFT})?",
            _quarter,
        ),
        (
            rf"(?:(?P<lead>(?:between|from)\s+(?:{_MONTH})\s+(?:and|to)"
            r"|in|by|during|until|till|through|for|of|since|between|from)\s+)?"
            rf"{_PART}(?:(?P<which>this|next|last|coming)\s+)?(?P<month>{_MONTH})\.?"
            rf"(?:,?\s+(?:of\s+)?{_YEAR}|{_SHIFT})?",
            _month,
        ),
        (r"(?P<unit>month|quarter|year)(?:'s)?[\s-]?end|eo(?P<letter>[wmqy])", _calendar_unit),
        (
            rf"{_PART}(?:(?P<which>(?:this|the)(?:\s+(?:next|current|coming|last))?|next|current"
            rf"|coming|last|previous)\s+)?(?:(?:trading|calendar|business)\s+)?{_UNIT}"
            r"(?!'s\s+(?:high|low))",
            _calendar_unit,
        ),
        (rf"{_PART}(?<![\d$.,])(?P<year>(?:19|2[01])\d\d)(?![/-]\d|{_DIGITS_FOLLOW})", _bare_year),
    )
)
