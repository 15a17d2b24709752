"""Days that people call by name, whether the exchange is closed on them or not."""

import re
from collections.abc import Callable
from datetime import date, timedelta

from dateutil.easter import easter
from dateutil.relativedelta import relativedelta, weekdays

_DAY = timedelta(days=1)
_MONDAY, _TUESDAY, _THURSDAY, _SUNDAY = 0, 1, 3, 6


def nth_weekday(first: date, last: date, weekday: int, nth: int) -> date | None:
    """Find the nth of some weekday in a period.

    Args:
        first: first day of the period.
        last: its last day.
        weekday: 0 is Monday.
        nth: from 1; -1 is the last.

    Returns:
        The day, or None when the period has no such day.

    Example:
        >>> str(nth_weekday(date(2024, 6, 1), date(2024, 6, 30), 4, 3))
        '2024-06-21'
    """
    start = first if nth > 0 else last
    day: date = start + relativedelta(weekday=weekdays[weekday](nth))
    return day if first <= day <= last else None


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _nth(month: int, weekday: int, nth: int, *, later: int = 0) -> Callable[[int], date]:
    def day_in(year: int) -> date:
        day: date = date(year, month, 1) + relativedelta(weekday=weekdays[weekday](nth))
        return day + later * _DAY

    return day_in


def _from_easter(days: int) -> Callable[[int], date]:
    def day_in(year: int) -> date:
        day: date = easter(year)
        return day + days * _DAY

    return day_in


_HOLIDAYS: dict[str, Callable[[int], date]] = {
    "christmas eve": _fixed(12, 24),
    "christmas(?: day)?": _fixed(12, 25),
    "boxing day": _fixed(12, 26),
    "new year'?s eve": _fixed(12, 31),
    "new year(?:'?s)?(?: day)?": _fixed(1, 1),
    "(?:mlk|martin luther king)(?:,? jr\\.?)?(?:'s)? day": _nth(1, _MONDAY, 3),
    "valentine'?s?'?(?: day)?": _fixed(2, 14),
    "president'?s'? day": _nth(2, _MONDAY, 3),
    "(?:st\\.?|saint) patrick'?s day": _fixed(3, 17),
    "good friday": _from_easter(-2),
    "easter monday": _from_easter(1),
    "easter(?: sunday)?": _from_easter(0),
    "april fools?'?s?(?: day)?": _fixed(4, 1),
    "tax day": _fixed(4, 15),
    "mother'?s'? day": _nth(5, _SUNDAY, 2),
    "memorial day": _nth(6, _MONDAY, 1, later=-7),
    "juneteenth": _fixed(6, 19),
    "father'?s'? day": _nth(6, _SUNDAY, 3),
    "(?:independence day|(?:the )?fourth of july)": _fixed(7, 4),
    "labou?r day": _nth(9, _MONDAY, 1),
    "columbus day": _nth(10, _MONDAY, 2),
    "hallowe'?en": _fixed(10, 31),
    "(?:the )?(?:us |presidential )?election(?: day)?": _nth(11, _MONDAY, 1, later=1),
    "veterans'? day": _fixed(11, 11),
    "thanksgiving(?: day)?": _nth(11, _THURSDAY, 4),
    "black friday": _nth(11, _THURSDAY, 4, later=1),
    "cyber monday": _nth(11, _THURSDAY, 4, later=4),
}
NAMES = "|".join(_HOLIDAYS)
"""A pattern of every name, longer ones first where one begins another."""


def holiday(name: str, year: int) -> date:
    """Say on which day something falls in a year.

    Args:
        name: as `NAMES` matches it.
        year: any year from 1900.

    Example:
        >>> str(holiday("Labor Day", 2024)), str(holiday("new year's eve", 2024))
        ('2024-09-02', '2024-12-31')
    """
    day_in = next(day for pattern, day in _HOLIDAYS.items() if re.fullmatch(pattern, name.lower()))
    return day_in(year)
