"""Read the period of the past that a text asks about: "since May", "the last 30 days", "2023"."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from belief.errors import UsageError
from belief_tools.company_names import read_symbols
from belief_tools.marked_text import whole_words
from belief_tools.periods import Clock, Period, as_date, earlier, month_index, months, shifted
from belief_tools.plain_words import plain_words
from belief_tools.target_dates import read_dates

EARLIEST = date(1900, 1, 1)
_EVER = whole_words(
    r"ever|all[- ]time|in (?:its|the) (?:whole )?history"
    r"|since (?:the |its )?(?:ipo|start|beginning|listing)"
)
_SPAN = whole_words(
    r"(?:last|previous)\s+(?P<many>\d{1,4}|few)\s+(?:trading\s+)?(?P<units>day|session|week|month"
    r"|quarter|year)s?"
    r"|(?:past|trailing)\s+(?:(?P<count>\d{1,4}|few)\s+)?(?:trading\s+)?(?P<unit>day|session|week"
    r"|month|quarter|year)s?"
)
_TO_DATE = whole_words(
    r"(?P<unit>year|quarter|month|week)[- ]to[- ]date|(?P<y>ytd)|this (?P<this>year|quarter|month"
    r"|week)"
)
_SINCE = whole_words(r"since|starting(?: from| in)?|from #+ (?:on|until now|to now|to today)")
_SINCE_YEAR = whole_words(r"since (?P<year>(?:19|20)\d\d)(?![-/])")
_FEW = 3.0


def read_past_period(
    text: str, as_of: np.datetime64, names: Mapping[str, Sequence[str]]
) -> Period | None:
    """Read the first and last day of a period that is over, or goes on until as_of.

    Args:
        text: the question.
        as_of: the last session that is known; no period ends after it.
        names: of the known symbols.

    Returns:
        None where the text names no period.

    Raises:
        UsageError: the period begins after as_of.

    Example:
        >>> known = (np.datetime64("2024-03-01"), {"NVDA": ("Nvidia",)})
        >>> [str(day) for day in read_past_period("How much has Nvidia risen since May?", *known)]
        ['2023-05-01', '2024-03-01']
    """
    plain = read_symbols(plain_words(text), names)[2]
    today = as_date(as_of)
    if _EVER.search(plain):
        return Period(EARLIEST, today)
    if span := _SPAN.search(plain):
        said = span.groupdict()
        count, unit = said["many"] or said["count"] or "1", said["units"] or said["unit"]
        return Period(_back(today, _FEW if count == "few" else float(count), unit), today)
    if to_date := _TO_DATE.search(plain):
        said = to_date.groupdict()
        return Period(_start(today, said["unit"] or said["this"] or "year"), today)
    if year := _SINCE_YEAR.search(plain):
        return Period(min(date(int(year["year"]), 1, 1), today), today)
    found = read_dates(plain, Clock(today, past=True, future=False))
    if found.target is None or found.first is None:
        return None
    if found.first > today:
        raise UsageError(f"{found.phrase!r} is after the last known session {today}")
    goes_on = _SINCE.search(plain) is not None
    return Period(found.first, today if goes_on else min(found.target, today))


def _back(today: date, count: float, unit: str) -> date:
    return earlier(today, int(count)) if unit == "session" else shifted(today, count, unit, -1)


def _start(today: date, unit: str) -> date:
    if unit == "week":
        return date.fromordinal(today.toordinal() - today.weekday())
    size = {"month": 1, "quarter": 3, "year": 12}[unit]
    index = month_index(today)
    return months(index - index % size, size).first
