"""Days and periods of a calendar, and counting in them from an as_of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

import numpy as np
from dateutil.relativedelta import relativedelta

from belief.errors import UsageError
from belief.events import NO_EVENTS, Events
from belief.sessions import last_session_on_or_before, session_after, sessions_between

DAY = timedelta(days=1)
MONTHS_IN = {"month": 1, "quarter": 3, "year": 12, "decade": 120}


class NoDayNamed(UsageError):
    """Words that ask for a day without naming one; they do not matter where another is named."""


class Period(NamedTuple):
    """The first and last day of what a phrase names; results lie between two days."""

    first: date
    last: date


class Clock(NamedTuple):
    """Where a text stands in time: its `as_of`, and whether it speaks of the past or the future."""

    as_of: date
    past: bool
    future: bool
    events: Events = NO_EVENTS  # of the company asked about
    there: date | None = None  # the target of the question before, in a conversation

    def onward(self, day: date | None) -> Clock:
        """Return the clock of "a week after that", said after `day` was named, or `there`."""
        anchor = day or self.there
        if anchor is None:
            return self
        return Clock(as_of=anchor, past=False, future=False, events=self.events, there=anchor)

    def session(self, day: date) -> date:
        """Return the last session on or before `day`."""
        return as_date(last_session_on_or_before(np.datetime64(day, "D")))

    def ahead(self, day: date) -> date:
        """Return the session of `day`, or the next session when that is not after as_of."""
        session = self.session(day)
        return session if session > self.as_of else self.after(1)

    def after(self, horizon: int) -> date:
        """Return the session that is `horizon` sessions after as_of."""
        return later(self.as_of, horizon)

    def nearest(self, periods: Iterable[Period]) -> Period:
        """Of the occurrences of a period without a year, the next one, or the last one if past."""
        if self.past:
            return [p for p in periods if self.session(p.last) <= self.as_of][-1]
        return next(p for p in periods if self.session(p.last) > self.as_of)


def as_date(day: np.datetime64) -> date:
    """Return a day as the calendar type that the rules count with."""
    return date.fromisoformat(str(day.astype("datetime64[D]")))


def point(day: date) -> Period:
    """Return a single day."""
    return Period(day, day)


def existing(days: Iterable[date | None]) -> list[date]:
    """Drop what is no day.

    Raises:
        UsageError: none is left.
    """
    found = [day for day in days if day is not None]
    if not found:
        raise UsageError("there is no such day; a day is written like 2025-03-28 or March 28, 2025")
    return found


def later(day: date, sessions: int) -> date:
    """Return the session that is `sessions` sessions after a day."""
    return as_date(session_after(np.datetime64(day, "D"), sessions))


def earlier(day: date, sessions: int) -> date:
    """Return the session that is `sessions` sessions before a day.

    Raises:
        UsageError: that is before 1990.
    """
    last = np.datetime64(day - DAY, "D")
    before = sessions_between(np.datetime64("1990-01-01", "D"), last)
    if not 1 <= sessions <= before.size:
        raise UsageError(f"{sessions} sessions before {day} is outside the calendar")
    return as_date(before[-sessions])


def shifted(start: date, number: float, unit: str, way: int) -> date:
    """Return the day that a span lies ahead of `start`, or behind it.

    Args:
        start: the day counted from.
        number: how many units; of a month, a part of one is counted in days.
        unit: hour, day, week, month, quarter or year.
        way: 1 is ahead, -1 is behind.

    Raises:
        UsageError: the day is beyond what a calendar can hold.
    """
    months = number * MONTHS_IN.get(unit, 0)
    days = 0.0 if months else number * {"hour": 1 / 24, "week": 7}.get(unit, 1)
    span = {"months": int(months), "days": round(months % 1 * 30) + round(days + 0.499)}
    try:
        day: date = start + way * relativedelta(**span)
        return day
    except (OverflowError, ValueError):
        raise UsageError(f"{number:g} {unit}s is too far away") from None


def months(index: int, size: int) -> Period:
    """Return `size` months from month number `index` (year * 12)."""
    first, after = (date(i // 12, i % 12 + 1, 1) for i in (index, index + size))
    return Period(first, after - DAY)


def month_index(day: date) -> int:
    """Return the number of the month of a day (year * 12)."""
    return day.year * 12 + day.month - 1
