"""Read a question about a price: which symbol, which session, which price levels.

Everything is relative to `as_of`, never to the clock. The first rule of `_DATE_RULES` that matches
reads a date and blanks it out, so that no later rule, and no price level, reads it again. A target
that is no session means the last session on or before it; a relative phrase ("tomorrow", "this
month") always means a session after `as_of`; a bare month means its last session.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

import numpy as np

from belief.errors import BeliefError, UsageError
from belief.sessions import last_session_on_or_before, session_after

Kind = Literal["future_price", "past_price", "other"]
_MAX_LEVELS = 8
_LONGEST = 2_000  # characters; the patterns below are not meant for whole documents
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Question:
    """What a question asks for, as far as it can be read without a language model.

    Attributes:
        text: the question as it was asked.
        kind: a price in the future, a price up to `as_of`, or anything else.
        symbol: the known symbol it names, or None.
        other_symbols: further companies or tickers it names, which an answer about `symbol` misses.
        target: the session asked about, or None without a date; never set for kind "other".
        phrase: the words `target` was read from.
        levels: price levels named, in the currency of the question, in order, at most 8.
        problem: one line saying which date cannot be right, or that the text is too long; or None.
    """

    text: str
    kind: Kind
    symbol: str | None
    other_symbols: tuple[str, ...]
    target: np.datetime64 | None
    phrase: str | None
    levels: tuple[float, ...]
    problem: str | None


def read_question(
    text: str, *, as_of: np.datetime64, symbols: Mapping[str, Sequence[str]]
) -> Question:
    """Read the kind, symbol, target session and price levels of a question.

    Args:
        text: the question, in English.
        as_of: the session whose close is the last thing known.
        symbols: the names of each known symbol, such as ``{"NVDA": ("Nvidia",)}``.

    Returns:
        `Question`; a date that cannot be right is reported in `problem`, never raised.

    Example:
        >>> asked = read_question(
        ...     "Will Nvidia close above $900 in March 2024?",
        ...     as_of=np.datetime64("2024-03-01"),
        ...     symbols={"NVDA": ("Nvidia",)},
        ... )
        >>> asked.kind, asked.symbol, str(asked.target), asked.phrase, asked.levels
        ('future_price', 'NVDA', '2024-03-28', 'in March 2024', (900.0,))
    """
    plain = re.sub(r"\s", " ", text[:_LONGEST].translate(_PLAIN_PUNCTUATION))
    symbol, others, rest = _read_symbols(plain, symbols)
    clock = _Clock(
        as_of=_as_date(as_of),
        past=bool(_PAST.search(plain)) and not _FUTURE.search(plain),
        future=bool(_FUTURE.search(plain)),
    )
    dates = _read_dates(rest, clock)
    levels = _read_levels(dates.rest)
    asked = _Asked(rest, dates, symbol or (others[0] if others else None), levels)
    kind = _kind(asked, clock)
    target = dates.target
    if kind == "past_price" and target is None and dates.problem is None:
        target = clock.as_of
    if kind == "other":
        return Question(text, kind, symbol, others, None, None, (), None)
    session = None if target is None else np.datetime64(target, "D")
    problem = dates.problem
    if len(text) > _LONGEST:
        problem = f"the question has {len(text):,} characters; ask in at most {_LONGEST:,}"
    return Question(text, kind, symbol, others, session, dates.phrase, levels, problem)


_PLAIN_PUNCTUATION = str.maketrans("\u2018\u2019\u2013\u2014", "''--")


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE)


def _blank(text: str, start: int, end: int) -> str:
    return text[:start] + "#" * (end - start) + text[end:]


# ---- which company ----

# Only what people commonly ask about; anything else needs "$XYZ", "NYSE: XYZ" or "XYZ's stock".
_WELL_KNOWN = dict(
    entry.split(" ", 1)
    for entry in (
        "AAPL apple, MSFT microsoft, GOOGL google|alphabet|GOOG, AMZN amazon, NVDA nvidia, TSLA "
        "tesla, "
        "META facebook|meta|meta platforms, AMD advanced micro devices, INTC (?-i:Intel), AVGO "
        "broadcom, "
        "TSM tsmc|taiwan semiconductor, QCOM qualcomm, MU micron, ASML asml, "
        "SMCI super ?micro, PLTR palantir, ORCL oracle, IBM ibm, CSCO cisco, CRM salesforce, "
        "ADBE adobe, NFLX netflix, DIS disney, BRK.B berkshire(?: hathaway)?, JPM jp ?morgan, "
        "BAC bank of america, GS goldman sachs, WMT walmart, KO coca[- ]cola, "
        "PEP pepsi(?:co)?, MCD mcdonald's, NKE nike, BA boeing, XOM exxon(?:mobil)?, PFE pfizer, "
        "LLY eli lilly, UBER uber, GME gamestop, SPY s&p(?: ?500)?, "
        "QQQ nasdaq[- ]100, DJI dow jones, BTC bitcoin, ETH ethereum"
    ).split(", ")
)
_TICKER_FORMS = re.compile(
    r"\$(?P<cash>[A-Za-z]{1,5})\b"
    r"|\b(?:NASDAQ|NYSE|AMEX|Nasdaq)\s*:\s*(?P<listed>[A-Z]{1,5})\b"
    r"|\b[Tt]icker\s+(?:[Ss]ymbol\s+)?(?P<ticker>[A-Z]{1,5})\b"
    r"|\b(?P<owner>[A-Z][A-Za-z&]+)(?:'s|s'|')\s+(?:stock|shares?|closing|price)\b"
    r"|(?<=[a-z,] )(?P<stock>[A-Z][A-Za-z&]+)\s+(?:stock|shares?)\b"
    r"|\b(?:stock|shares?)(?:\s+price)?\s+of\s+(?P<of>[A-Z][A-Za-z&]+)"
)
_NO_COMPANY = _words(
    r"what|today|tomorrow|yesterday|it|its|the|this|next|company|corp|corporation|inc|us|ai|tech"
    r"|mon|tues|wednes|thurs|fri|\w+day|january|february|march|april|may|june|july|august"
    r"|september|october|november|december|usd|q[1-4]|christmas|stock"
)


def _read_symbols(
    text: str, symbols: Mapping[str, Sequence[str]]
) -> tuple[str | None, tuple[str, ...], str]:
    """Find the known symbol and any other company; return the text with both blanked out."""
    known = {symbol: _symbol_pattern(symbol, names) for symbol, names in symbols.items()}
    first = {s: m.start() for s, pattern in known.items() if (m := pattern.search(text))}
    named = sorted(first, key=lambda symbol: first[symbol])
    for symbol in named:
        text = _blank_all(known[symbol], text)
    if not named and (typo := _misspelled(text, symbols)):
        named = [typo[0]]
        text = _blank(text, *typo[1])
    others: list[str] = []
    for symbol, names in _WELL_KNOWN.items():
        pattern = re.compile(rf"(?<![\w#])(?:{re.escape(symbol)}|(?i:{names}))(?![\w#])")
        if symbol not in symbols and pattern.search(text):
            others.append(symbol)
            text = _blank_all(pattern, text)
    for match in _TICKER_FORMS.finditer(text):
        word = match[match.lastgroup or 0]
        if not _NO_COMPANY.fullmatch(word):
            others.append(word.upper() if match["cash"] else word)
            text = _blank(text, *match.span(match.lastgroup or 0))
    return (named[0] if named else None), (*named[1:], *dict.fromkeys(others)), text


def _symbol_pattern(symbol: str, names: Sequence[str]) -> re.Pattern[str]:
    """Match a name in any case; a ticker that could be a word (ALL, F) only where it is marked."""
    ticker = re.escape(symbol)
    marked = rf"\$(?i:{ticker})|(?:NASDAQ|Nasdaq|NYSE|AMEX)\s*:\s*{ticker}|[Tt]icker\s+{ticker}"
    bare = f"(?i:{ticker})" if len(symbol) >= 4 else ticker if len(symbol) > 1 else "(?!)"
    called = [re.escape(name) for name in sorted(names, key=len, reverse=True)]
    named = "|".join([*called, _WELL_KNOWN.get(symbol, "(?!)")])
    return re.compile(rf"(?<!\w)(?:{marked}|{bare}|(?i:{named}))(?!\w)")


def _misspelled(
    text: str, symbols: Mapping[str, Sequence[str]]
) -> tuple[str, tuple[int, int]] | None:
    """Find a one-word name with a slip in it ("Nvidea"), with its place in the text."""
    names = {name.lower(): symbol for symbol in symbols for name in symbols[symbol]}
    for match in re.finditer(r"[A-Za-z]{5,}", text):
        close = difflib.get_close_matches(match[0].lower(), names, n=1, cutoff=0.8)
        if close and close[0][0] == match[0][0].lower():
            return names[close[0]], match.span()
    return None


def _blank_all(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: "#" * len(match[0]), text)


# ---- which session ----


def _as_date(day: np.datetime64) -> date:
    return date.fromisoformat(str(day.astype("datetime64[D]")))


class _Clock(NamedTuple):
    as_of: date
    past: bool
    future: bool

    def session(self, day: date) -> date:
        return _as_date(last_session_on_or_before(np.datetime64(day, "D")))

    def ahead(self, day: date) -> date:
        """Return the session of `day`, or the next session when that is not after as_of."""
        session = self.session(day)
        return session if session > self.as_of else self.after(1)

    def after(self, horizon: int) -> date:
        return _as_date(session_after(np.datetime64(self.as_of, "D"), horizon))

    def nearest(self, days: Iterable[date]) -> date:
        """Of the occurrences of a date without a year, the next one, or the last one if past."""
        if self.past:
            return max(s for day in days if (s := self.session(day)) <= self.as_of)
        return next(s for day in days if (s := self.session(day)) > self.as_of)


class _Dates(NamedTuple):
    target: date | None
    phrase: str | None
    problem: str | None
    rest: str  # the text without the dates that count
    unread: str  # the text without anything that looks like a date or an amount of money


_Read = Callable[[re.Match[str], _Clock], date | None]
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_WEEKDAYS = "mon tue wed thu fri sat sun".split()
_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_WEEKDAY = r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thu(?:rs?)?|fri"
_YEAR = r"(?P<year>(?:19|2[01])\d\d|'\d\d)"
_PART = (
    r"(?:(?P<part>end|late|early|mid|middle|start|beginning"
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
_LEVEL_WORDS = (
    r"above|below|over|under|beneath|beyond|past|exceed(?:s|ing)?|surpass(?:es|ing)?|top(?:s|ping)?"
    r"|reach(?:es|ing)?|hit(?:s|ting)?|touch(?:es|ing)?|cross(?:es|ing)?|break(?:s|ing)?|breach"
    r"|at|to|than|least|most|between|near|around|about|cost|worth|be|as"
    r"|(?:target|level|price|strike)\s+of"
)


def _read_dates(text: str, clock: _Clock) -> _Dates:
    """Apply the rules in order; of several dates the latest is the target."""
    unread, rest = _blank_all(_AMOUNT_OF_MONEY, text), text
    found: list[tuple[date, str]] = []
    problem = None
    for pattern, read in _DATE_RULES:
        for match in pattern.finditer(unread):
            unread = _blank(unread, *match.span())
            words = _phrase(text, match)
            try:
                session = read(match, clock)
            except BeliefError as error:
                session, problem = None, f'"{words}": {error}'
            else:
                if session is None:
                    continue
                found.append((session, words))
            rest = _blank(rest, *match.span())
    target, phrase = max(found) if found else (None, None)
    return _Dates(target, phrase, problem, rest, unread)


def _phrase(text: str, match: re.Match[str]) -> str:
    """Return the words of a match with the preposition in front of it."""
    lead = re.search(r"\b(?:in|by|on|for|during|until|through)(?: the)? $", text[: match.start()])
    return text[lead.start() if lead else match.start() : match.end()].strip()


def _parsed(text: str, clock: _Clock) -> date | None:
    """Parse a written-out day or a distance from as_of; None when there is no such day."""
    import dateparser

    base = datetime.combine(clock.as_of, datetime.min.time())
    settings = {
        "DATE_ORDER": "MDY",
        "RELATIVE_BASE": base,
        "REQUIRE_PARTS": ["day", "month", "year"],
        "RETURN_AS_TIMEZONE_AWARE": False,
    }
    day = dateparser.parse(text, languages=["en"], settings=settings)
    return None if day is None else day.date()


def _iso_date(match: re.Match[str], clock: _Clock) -> date | None:
    year, month, day = (int(match[name]) for name in ("y", "m", "d"))
    try:
        session = clock.session(date(year, month, day))
    except ValueError:
        raise UsageError(_NO_SUCH_DAY) from None
    return None if match["since"] and clock.future else session


def _written_date(match: re.Match[str], clock: _Clock) -> date | None:
    """Read 28 March, March 28, 2024 and 3/28/2024; without a year, the nearest occurrence."""
    groups = match.groupdict()
    if groups.get("since") and clock.future:
        return None
    if number := groups.get("number"):
        form = number + re.sub(r"\d", "", number) + "{}"
    else:
        form = f"{groups['day']} {groups['month']} {{}}"
    if groups.get("year"):
        return clock.session(_existing([_parsed(form.format(_year(match["year"])), clock)])[0])
    near = (_parsed(form.format(clock.as_of.year + n), clock) for n in _NEAR_YEARS)
    days = _existing(near)
    if clock.past:
        return clock.session(max(day for day in days if day <= clock.as_of))
    # The day of as_of itself, and a weekend right after it, are answered with a known close.
    return clock.session(next(day for day in days if day >= clock.as_of))


def _existing(days: Iterable[date | None]) -> list[date]:
    existing = [day for day in days if day is not None]
    if not existing:
        raise UsageError(_NO_SUCH_DAY)
    return existing


# Wide enough for the nearest 29 February.
_NEAR_YEARS = range(-8, 13)
_NO_SUCH_DAY = "there is no such day; a day is written like 2025-03-28 or March 28, 2025"


def _year(text: str) -> int:
    year = int(text.strip("'"))
    return year + 2000 if year < 100 else year


def _nth_weekday(year: int, month: int, weekday: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + ((weekday - first.weekday()) % 7 + 7 * (nth - 1)) * _DAY


def _easter(year: int) -> date:
    from dateutil.easter import easter  # type: ignore[import-untyped]

    day: date = easter(year)
    return day


_HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": lambda year: date(year, 12, 24),
    "christmas": lambda year: date(year, 12, 25),
    "new year'?s eve": lambda year: date(year, 12, 31),
    "new year(?:'?s)?(?: day)?": lambda year: date(year, 1, 1),
    "valentine'?s day": lambda year: date(year, 2, 14),
    "good friday": lambda year: _easter(year) - 2 * _DAY,
    "easter(?: sunday)?": _easter,
    "memorial day": lambda year: _nth_weekday(year, 6, 0, 1) - 7 * _DAY,
    "independence day": lambda year: date(year, 7, 4),
    "labou?r day": lambda year: _nth_weekday(year, 9, 0, 1),
    "hallowe'?en": lambda year: date(year, 10, 31),
    "thanksgiving(?: day)?": lambda year: _nth_weekday(year, 11, 3, 4),
    "black friday": lambda year: _nth_weekday(year, 11, 3, 4) + _DAY,
}


def _holiday(match: re.Match[str], clock: _Clock) -> date:
    name = match["holiday"].lower()
    day_in = next(day for pattern, day in _HOLIDAYS.items() if re.fullmatch(pattern, name))
    if match["year"]:
        return clock.session(day_in(_year(match["year"])))
    return clock.nearest(day_in(clock.as_of.year + n) for n in range(-1, 3))


def _distance(match: re.Match[str], clock: _Clock) -> date:
    """Read "in three weeks", "10 trading days from now", "over the next year"."""
    groups = match.groupdict()
    count, unit = groups.get("count") or "one", match["unit"].lower()
    number = _COUNTS.get(count.lower()) or int(count)
    if unit == "session" or groups.get("trading"):
        if number < 1:
            raise UsageError("a forecast needs at least one session")
        return clock.after(number)
    return clock.ahead(_shifted("in {}", number, unit, clock))


def _shifted(form: str, number: int, unit: str, clock: _Clock) -> date:
    if unit == "quarter":
        number, unit = 3 * number, "month"
    day = _parsed(form.format(f"{number} {unit}s"), clock)
    if day is None:
        raise UsageError(f"{number} {unit}s is too far away")
    return day


def _ago(match: re.Match[str], clock: _Clock) -> date | None:
    if clock.future:
        return None
    number = _COUNTS.get(match["count"].lower()) or int(match["count"])
    unit = "day" if match["unit"].lower() == "session" else match["unit"].lower()
    return clock.session(_shifted("{} ago", number, unit, clock))


def _day_word(match: re.Match[str], clock: _Clock) -> date | None:
    word = match[0].lower()
    if word in ("yesterday", "previous session", "last session"):
        return None if clock.future else clock.session(clock.as_of - _DAY)
    if "after" in word:
        return clock.ahead(clock.as_of + 2 * _DAY)
    if word.startswith(("tom", "next", "tmr")):
        return clock.after(1)
    # as_of has closed: what "will" happen today can only be the session that is still to come.
    return clock.after(1) if clock.future else clock.as_of


def _weekday(match: re.Match[str], clock: _Clock) -> date | None:
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


def _month_day(match: re.Match[str], clock: _Clock) -> date:
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
        return _as_date(session_after(np.datetime64(first - _DAY, "D"), 1))
    return last


def _month(match: re.Match[str], clock: _Clock) -> date | None:
    """Read a month; "may" and "march" without a year or a preposition are verbs."""
    word, which, lead = match["month"], match["which"] or "", match["lead"] or ""
    dated = which or lead or any(match[name] for name in ("year", "part", "before", "shift"))
    if word.lower() in ("may", "march", "mar") and not dated:
        starts = not re.search(r"[\w#,][\"'(]*\s+$", match.string[: match.start()])
        if starts or not word.istitle():
            return None
    if clock.future and (which.lower() == "last" or lead.lower() == "since"):
        return None
    return _month_span(match, clock, _MONTHS.index(word[:3].lower()), 1)


def _quarter(match: re.Match[str], clock: _Clock) -> date:
    size = 6 if match["half"] or (match["size"] or "").lower() == "half" else 3
    digit = match["quarter"] or match["half"]
    number = int(digit) if digit else _ORDINALS[match["ordinal"].lower()]
    return _month_span(match, clock, size * (number - 1), size)


def _month_span(match: re.Match[str], clock: _Clock, start: int, size: int) -> date:
    """Read `size` months from month `start` (0 is January) of the year named, or the nearest."""
    year = clock.as_of.year
    if match["year"] or match["shift"]:
        shift = {"this": 0, "next": 1, "last": -1}.get((match["shift"] or "this").lower(), 0)
        year = _year(match["year"]) if match["year"] else year + shift
        return clock.session(_day_of(match, *_months(year * 12 + start, size)))
    near = ((year + n) * 12 + start for n in range(-2, 3))
    return clock.nearest(_day_of(match, *_months(index, size)) for index in near)


def _calendar_unit(match: re.Match[str], clock: _Clock) -> date | None:
    """Read "next week", "end of the quarter", "eoy", "year-end"."""
    groups = match.groupdict()
    letter, which = groups.get("letter"), (groups.get("which") or "").lower()
    unit = _UNIT_OF_LETTER[letter.lower()] if letter else match["unit"].lower()
    ended = groups.get("part") or "which" not in groups
    if not ended and which in ("", "the"):
        return None
    shift = 1 if re.search("next|coming", which) else -1 if re.search("last|prev", which) else 0
    if shift < 0:
        return None if clock.future else clock.session(_unit_day(match, unit, clock, shift))
    if clock.past:
        return min(clock.as_of, clock.session(_unit_day(match, unit, clock, shift)))
    return clock.nearest(_unit_day(match, unit, clock, n) for n in (shift, shift + 1))


_UNIT_OF_LETTER = {"w": "week", "m": "month", "q": "quarter", "y": "year"}


def _unit_day(match: re.Match[str], unit: str, clock: _Clock, shift: int) -> date:
    """Return the day meant in the week, month, quarter or year `shift` after that of as_of."""
    if unit == "week":
        monday = clock.as_of + (7 * shift - clock.as_of.weekday()) * _DAY
        return _day_of(match, monday, monday + 6 * _DAY)
    size = _MONTHS_IN[unit]
    index = (_month_index(clock.as_of) // size + shift) * size
    return _day_of(match, *_months(index, size))


def _bare_year(match: re.Match[str], clock: _Clock) -> date | None:
    """Read "in 2026" and "price prediction 2026", but not the price in "above 2026"."""
    before = match.string[: match.start()]
    year, part = _year(match["year"]), match["part"] or match["before"]
    if not part and re.search(rf"\b(?:{_LEVEL_WORDS})\s+$", before, re.IGNORECASE):
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
_DATE_RULES: tuple[tuple[re.Pattern[str], _Read], ...] = tuple(
    (_words(pattern), read)
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
        (rf"{_SPAN}\s+(?:from\s+(?:now|today)|ahead|out|later|hence)", _distance),
        (rf"{_SPAN}\s+(?:price\s+)?(?:target|forecast|outlook|prediction)", _distance),
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


# ---- which price levels ----

_NUMBER = r"(?>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)"
_AMOUNT_OF_MONEY = re.compile(
    rf"\$\s?{_NUMBER}k?|{_NUMBER}k?\s?(?:dollars?|bucks|usd)\b", re.IGNORECASE
)
_PRICE = re.compile(
    rf"(?<![\w.,])(?P<number>{_NUMBER})(?:\s?(?P<thousand>k|thousand|grand))?(?!\w)"
    r"(?!\s*(?:%|:\d|/\d|x\b|percent|per cent|pct|points?\b|basis|bps|times\b|million|billion"
    r"|trillion"
    r"|bn\b|[ap]\.?m\b|o'clock|shares\b|stocks\b|companies|analysts|hours?\b|minutes?\b|trading"
    r"|business)|[\s-]+(?:day|session|week|month|quarter|year|for-)s?\b)",
    re.IGNORECASE,
)
_LEVEL_BEFORE = re.compile(rf"(?:\b(?:{_LEVEL_WORDS})\s+|[<>=$]\s*|\busd\s*)$", re.IGNORECASE)
_LEVEL_AFTER = re.compile(
    r"\s?(?:dollars?|bucks|usd|mark|level|or\s+(?:more|less|higher|lower|above|below))\b",
    re.IGNORECASE,
)
_LIST_JOINT = re.compile(r"\s*(?:,|/|-|,?\s*(?:or|and|to)\s)\s*\$?\s*", re.IGNORECASE)


def _read_levels(text: str) -> tuple[float, ...]:
    """Read the numbers that a sign, a word before or after, or a list marks as prices."""
    levels: list[float] = []
    end: int | None = None
    for match in _PRICE.finditer(text):
        listed = end is not None and _LIST_JOINT.fullmatch(text[end : match.start()])
        after = _LEVEL_AFTER.match(text, match.end())
        if not (listed or after or _LEVEL_BEFORE.search(text[: match.start()])):
            continue
        end = match.end()
        value = float(match["number"].replace(",", "")) * (1000 if match["thousand"] else 1)
        if 0 < value < math.inf:
            levels.append(value)
    return tuple(dict.fromkeys(levels))[:_MAX_LEVELS]


# ---- which kind ----


class _Asked(NamedTuple):
    """A question with its names blanked out, and what was read from it."""

    text: str
    dates: _Dates
    subject: str | None
    levels: tuple[float, ...]


_FUTURE = re.compile(
    r"\b(?:will|won't|would(?! you)|could(?! you)|can(?! you)|might|may|should|shall|going to|gonna"
    r"|predict\w*|forecast\w*|expect\w*|project(?:ed|ions?)|estimates?|outlook|targets?|chances?"
    r"|probab\w+|odds|likel\w+|how (?:high|low|far))\b|'ll\b",
    re.IGNORECASE,
)
_PAST = _words(
    r"was|were|did|had|has|closed|traded|ended|finished|opened|rose|fell|dropped|gained"
    r"|ago|yesterday|last (?:session|week|month|quarter|year|\w+day)|previous|historical|history"
)
_PRESENT = _words(r"prices?|priced|quote|trad(?:es?|ing) (?:at|for)|worth|how much|close|closing")
_NOW = _words(r"now|current(?:ly)?|today's|today|latest|last")
_PRICE_WORDS = _words(
    r"prices?|priced|stocks?|shares?|trade[sd]?|trading(?! (?:day|session|week))|quoted?"
    r"|clos(?:e[sd]?|ing)"
    r"|worth(?! (?:buying|it|watching|holding|reading|investing))"
)
_NOT_THE_PRICE = _words(
    r"(?:stock|share) (?:splits?|buybacks?)|market share|(?:per|shareholder) share|close (?:an?"
    r"|the|its|their)"
)
_MOVES = _words(
    r"above|below|go(?:ing)? (?:up|down|higher|lower)|up or down|rise|rall(?:y|ies)|fall|drop|gain"
    r"|climb"
    r"|(?:in|de)crease|decline|double|triple|halve|crash|surge|soar|tank|plunge|jump|higher|lower"
    r"|recover|rebound|volatil\w+|bull\w*|bear(?:ish)?|costs?|(?:all-time|record|new|year's"
    r"|month's|week's|week) (?:high|low)"
    r"|where (?:will|would|could|might|is|does)|how (?:will|would|might|could"
    r"|did)[\s#'\w]* (?:perform|do|fare)"
)
_TOPICS = _words(
    r"revenues?|earnings|eps|dividends?|profits?|margins?|income|sales|guidance|market (?:cap\w*"
    r"|share|value)"
    r"|valuation|p/?e|ratio|headcount|employees|layoffs?|ceo|cfo|lawsuit|splits?|buybacks?|debt"
    r"|cash flow|weather|temperature|interest rates?|inflation|gdp|rain|snow|how many|who"
)
_PRODUCTS = _words(r"gpus?|graphics? cards?|chips?|rtx|[abh]\d00s?|geforce|blackwell|hopper|laptop")
_ADVICE_OR_REASONS = _words(
    r"why (?:is|are|does|do|did|was|has)"
    r"|should (?:i|we|one|you|my \w+) (?:\w+ )?(?:buy|sell|hold|keep|invest|short|trade|get"
    r"|purchase|own)"
    r"|(?:good|bad|right|smart|safe|wise) (?:time|idea|investment|buy|stock)|worth (?:buying"
    r"|holding|it)"
    r"|worth investing|recommend\w*|(?:buy|sell),? (?:sell,? )?or (?:buy|sell|hold)"
    r"|invest(?:ing)? in"
)
_DEFINITION = _words(
    r"what does .*\b(?:mean|make|sell|do|stand for)|how do(?:es)? (?:you|an?|the|this|it)|defin\w+"
    r"|meaning of"
    r"|explain (?:what|how|why|the)"
)
_STOCK = _words(
    r"stocks?|shares?|clos(?:e|ing)|(?:the|its) price(?! of (?!(?:the|this|that|its?|one"
    r"|a) ?(?:stock|share)?\b|#))"
)
_FILLER = _words(
    r"what|about|how|where|will|would|was|were|did|before|be|is|at|on|in|by|for|the|of|to|please"
    r"|and|me|give|tell|predict"
    r"|forecast|prediction|outlook|target|expect(?:ed)?|s|sit|stand|land|end|now|today"
)


def _kind(asked: _Asked, clock: _Clock) -> Kind:
    if not _about_a_price(asked):
        return "other"
    if (target := asked.dates.target) is not None:
        return "future_price" if target > clock.as_of else "past_price"
    if clock.future or (asked.levels and not clock.past):
        return "future_price"
    if asked.dates.problem:
        return "past_price" if clock.past else "future_price"
    if clock.past or (_PRESENT.search(asked.text) and (asked.subject or _NOW.search(asked.text))):
        return "past_price"
    return "other"


def _about_a_price(asked: _Asked) -> bool:
    text = _blank_all(_NOT_THE_PRICE, asked.text)
    concrete = asked.dates.target is not None or asked.levels
    if _ADVICE_OR_REASONS.search(text) or (_DEFINITION.search(text) and not concrete):
        return False
    if _PRODUCTS.search(text) and not (_STOCK.search(text) or asked.levels):
        return False
    if asked.subject is None:
        money = asked.levels and _AMOUNT_OF_MONEY.search(text)
        it_moves = _words("it").search(text) and (_MOVES.search(text) or asked.levels)
        return bool(_STOCK.search(text) or ((money or it_moves) and not _TOPICS.search(text)))
    if _PRICE_WORDS.search(text):
        return True
    if _TOPICS.search(text):
        return False
    return bool(asked.levels or _MOVES.search(text) or _only_names_and_dates(asked))


def _only_names_and_dates(asked: _Asked) -> bool:
    """Say whether "NVDA 2025-03-31?" or "What about Nvidia next Friday?" is all that was asked."""
    left = _FILLER.sub("", asked.dates.unread)
    return bool(asked.dates.target or asked.dates.problem) and not re.search(r"\w", left)
