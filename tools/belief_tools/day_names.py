"""Read the names of days: "28 March", "the 15th", "next Friday", "Easter", "in 3 weeks".

Each reader gets a match of the rule it belongs to (`target_dates`) and returns what is named, None
where the words are no date after all, or raises `UsageError` for a day that does not exist.
"""

from __future__ import annotations

import re
from datetime import date

from dateutil.relativedelta import relativedelta
from dateutil.relativedelta import weekdays as nth_of_weekday

from belief.errors import UsageError
from belief_tools.holidays import holiday
from belief_tools.periods import (
    DAY,
    Clock,
    NoDayNamed,
    Period,
    earlier,
    existing,
    month_index,
    months,
    point,
    shifted,
)
from belief_tools.results_days import ResultsDay, last_results, next_results

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
WEEKDAYS = "mon tue wed thu fri sat sun".split()
_RESULTS_BEFORE = re.compile(
    r"\b(?:after|before|by|until|till|through|on|at|around|into|post|pre|following|since|ahead of"
    r"|prior to|from|(?:day|date|week) of)[\s-]+(?:the\s+)?$",
    re.IGNORECASE,
)


def month_number(match: re.Match[str]) -> int:
    """Return the number of the month named; 0 is January."""
    return MONTHS.index(match["month"][:3].lower())


def year_of(text: str) -> int:
    """Read a year such as 2025 or '25."""
    year = int(text.strip("'"))
    return year + 2000 if year < 100 else year


def year_said(match: re.Match[str], clock: Clock) -> int | None:
    """Return the year of "March 2025" and "March next year", or None without one."""
    said = match.groupdict()
    if said.get("year"):
        return year_of(said["year"])
    shift = {"this": 0, "next": 1, "last": -1}.get((said.get("shift") or "").lower())
    return None if shift is None else clock.as_of.year + shift


def number_of(count: str) -> float:
    """Read how many: digits, "a", "one", "a few"."""
    if count.lower().endswith("few"):
        return 3.0
    return 1.0 if count[0].isalpha() else float(count)


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def iso_date(match: re.Match[str], clock: Clock) -> Period | None:
    """Read 2024-03-28 and 20240328."""
    day = existing([_day(*(int(match[name]) for name in "ymd"))])[0]
    return None if match["since"] and clock.future else point(day)


# Wide enough for the nearest 29 February.
_NEAR_YEARS = range(-8, 13)


def written_date(match: re.Match[str], clock: Clock) -> Period | None:
    """Read 28 March, March 28, 2024 and 3/28/2024; without a year, the nearest occurrence."""
    said = match.groupdict()
    if said.get("since") and clock.future:
        return None
    month, day = _month_and_day(match)
    if (year := year_said(match, clock)) is not None:
        return point(existing([_day(year, month, day)])[0])
    days = existing(_day(clock.as_of.year + n, month, day) for n in _NEAR_YEARS)
    if clock.past:
        return point(max(day for day in days if day <= clock.as_of))
    # The day of as_of itself, and a weekend right after it, are answered with a known close.
    return point(next(day for day in days if day >= clock.as_of))


_FRACTIONS = ("1/2", "1/3", "2/3", "1/4", "3/4", "24/7")


def bare_date(match: re.Match[str], clock: Clock) -> Period | None:
    """Read 3/15 and 22/4 where no word in front says that it is a date."""
    if match["number"] in _FRACTIONS or _day(2024, *_month_and_day(match)) is None:
        return None
    return written_date(match, clock)


def _month_and_day(match: re.Match[str]) -> tuple[int, int]:
    """Read 3/8 with the month first, 8.3. with the day first, and 15/3 in the way that exists."""
    said = match.groupdict()
    if not (number := said.get("number")):
        return month_number(match) + 1, int(said["day"])
    first, second = (int(part) for part in re.findall(r"\d+", number))
    day_first = first > 12 or ("." in number and second <= 12)
    return (second, first) if day_first else (first, second)


def holiday_named(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "Easter", "last Christmas", "Labor Day 2025"."""
    name, shift = match["holiday"], (match["which"] or "").lower()
    if (year := year_said(match, clock)) is not None:
        return point(holiday(name, year))
    if shift == "last" and clock.future:
        return None
    near = (point(holiday(name, clock.as_of.year + n)) for n in range(-2, 3))
    return (clock._replace(past=True) if shift == "last" else clock).nearest(near)


def results_day(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "after earnings": they are told between the close of a day and the next session."""
    if not _RESULTS_BEFORE.search(match.string[: match.start()]):
        return None
    known = results(match, clock)
    return None if known is None else Period(known.day + DAY, known.day)


def results(match: re.Match[str], clock: Clock) -> ResultsDay | None:
    """Return the last close before the results meant, next or last."""
    named = (match["month"] or match["month_before"] or "")[:3].lower()
    month = MONTHS.index(named) + 1 if named else None
    told = re.search("last|latest|previous|recent", match["which"] or "", re.IGNORECASE)
    if told and clock.future:
        return None
    if told or clock.past:
        return last_results(clock.events, clock.as_of, month)
    return next_results(clock.events, clock.as_of, month)


def distance(match: re.Match[str], clock: Clock) -> Period:
    """Read "in 3 weeks", "10 trading days from now", "over the next 1.5 years"."""
    said, unit = match.groupdict(), match["unit"].lower()
    number = number_of(said.get("count") or "one")
    if unit == "session" or said.get("trading"):
        if number < 1:
            raise UsageError("a forecast needs at least one session")
        return point(clock.after(int(number)))
    return point(clock.ahead(shifted(clock.as_of, number, unit, way=1)))


def ago(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "a week ago", "10 sessions earlier"."""
    if clock.future:
        return None
    said, unit = match.groupdict(), match["unit"].lower()
    number = number_of(said.get("count") or "one")
    if unit == "session" or said.get("trading"):
        return point(earlier(clock.as_of, int(number)))
    return point(shifted(clock.as_of, number, unit, way=-1))


def not_named(match: re.Match[str], clock: Clock) -> Period:
    """Refuse "used to cost": it is about the past, and about no day of it.

    Raises:
        NoDayNamed: always.
    """
    raise NoDayNamed("that is no day of the past; name one, such as last Friday or 2024-02-14")


def day_word(match: re.Match[str], clock: Clock) -> Period | None:
    """Read "tomorrow", "next session", "yesterday", "today"."""
    word = match[0].lower()
    if word in ("yesterday", "previous session", "last session"):
        return None if clock.future else point(clock.as_of - DAY)
    if "after" in word:
        return point(clock.ahead(clock.as_of + 2 * DAY))
    if word.startswith(("tom", "next")):
        return point(clock.after(1))
    # as_of has closed: what "will" happen today can only be the session that is still to come.
    return point(clock.after(1) if clock.future else clock.as_of)


def weekday_from(match: re.Match[str], clock: Clock) -> Period:
    """Read "two Fridays from now", "the Friday after", "the Monday before"."""
    said, wanted = match.groupdict(), weekday_number(match["weekday"])
    number = int(number_of(said.get("count") or "one"))
    if number < 1:
        raise UsageError("a forecast needs at least one session")
    way = _way(said.get("way") or "")
    day = next_weekday(clock.as_of, wanted, number * way)
    return point(clock.ahead(day) if way > 0 else day)


def _way(word: str) -> int:
    return -1 if re.match("before|ago|earlier|prior|previous", word, re.IGNORECASE) else 1


def weekday_number(name: str) -> int:
    """Return the number of a weekday; 0 is Monday."""
    return WEEKDAYS.index(name[:3].lower())


def next_weekday(day: date, weekday: int, nth: int) -> date:
    """Return the nth such weekday after a day, or before it where nth is negative."""
    next_to = day + (DAY if nth > 0 else -DAY)
    found: date = next_to + relativedelta(weekday=nth_of_weekday[weekday](nth))
    return found


def weekday(match: re.Match[str], clock: Clock) -> Period | None:
    """Read Friday as the first one after as_of, next Friday as that of the next calendar week."""
    weekday = weekday_number(match["weekday"])
    which = (match["which"] or match["week"] or match["week_before"] or "").lower()
    if match["back"]:
        which = "last"
    if which == "last" or clock.past:
        back = (clock.as_of.weekday() - weekday) % 7
        back = back or (7 if which == "last" else 0)
        back += 7 if match["back"] else 0
        return None if clock.future else point(clock.as_of - back * DAY)
    monday = clock.as_of - clock.as_of.weekday() * DAY
    if which == "next" or match["skip"]:
        day = monday + (7 + weekday) * DAY
    else:
        day = next_weekday(clock.as_of, weekday, 1)
    weeks = 1 if match["skip"] or match["later"] else 0
    return point(clock.ahead(day + 7 * weeks * DAY))


def month_day(match: re.Match[str], clock: Clock) -> Period:
    """Read "on the 15th": the nearest month that has it."""
    now, number = month_index(clock.as_of), int(match["day"])
    shift = {"next": 1, "last": -1}.get((match["which"] or "").lower())
    near = range(now - 2, now + 4) if shift is None else (now + shift,)
    in_months = [months(index, 1) for index in near]
    days = existing(_day_of_month(month, number) for month in in_months)
    return clock.nearest(map(point, days)) if shift is None else point(days[0])


def _day_of_month(month: Period, number: int) -> date | None:
    return _day(month.first.year, month.first.month, number)
