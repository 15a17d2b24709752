"""Sessions: the days the exchange trades (New York, XNYS), and counting in them.

A day is a `numpy.datetime64` with unit D; a caller may also pass a date or ISO text. The calendar's
end follows from the days asked about, never from the clock, so the same question has the same
answer on any day it is asked.
"""

import contextlib
import datetime
import functools
import hashlib
import importlib.metadata
import re
import warnings
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from belief.errors import UsageError
from belief.paths import cache_dir, write_whole

Days = npt.NDArray[np.datetime64]
Day = np.datetime64 | datetime.date | str
"""A day as a caller has it: a pandas Timestamp is a date, and text is ISO 8601."""

FIRST_DAY: Final = np.datetime64("1990-01-01", "D")
LAST_DAY: Final = np.datetime64("2099-12-31", "D")
EXCHANGE_TIME: Final = ZoneInfo("America/New_York")
SETTLING: Final = datetime.timedelta(minutes=20)  # after a close, until it is taken as final
LONGEST_HORIZON: Final = 25_000  # sessions; about as many as a century has

_DIGEST_SIZE: Final = 65  # bytes: a SHA-256 in hexadecimal and a line end
_LONGEST_FILE: Final = 1_000_000  # bytes; more than four times the calendar to 2099
_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def parse_day(text: str) -> np.datetime64:
    """Read a day written as ISO 8601, such as 2024-03-28.

    Args:
        text: the day; spaces around it are ignored.

    Returns:
        The day, unit D.

    Raises:
        UsageError: the text is not a day of the calendar written as YYYY-MM-DD.

    Example:
        >>> parse_day("2024-03-28")
        np.datetime64('2024-03-28')
    """
    stripped = text.strip()
    try:
        if not _ISO_DAY.fullmatch(stripped):
            raise ValueError(stripped)
        return np.datetime64(datetime.date.fromisoformat(stripped), "D")
    except ValueError:
        raise UsageError(
            f"{text!r} is not a day; write it as YYYY-MM-DD, e.g. 2024-03-28"
        ) from None


def as_day(day: Day) -> np.datetime64:
    """Read a day, however the caller has it; what a time zone or a time of day adds is left out.

    Args:
        day: a numpy.datetime64, a date or time (also a pandas Timestamp) or text as YYYY-MM-DD.

    Returns:
        The day, unit D.

    Raises:
        UsageError: it is none of these.

    Example:
        >>> as_day("2024-03-28"), as_day(datetime.datetime(2024, 3, 28, 16))
        (np.datetime64('2024-03-28'), np.datetime64('2024-03-28'))
    """
    if isinstance(day, np.datetime64):
        numpy_day: np.datetime64 = day.astype("datetime64[D]")
        return numpy_day
    if isinstance(day, str):
        return parse_day(day)
    if isinstance(day, datetime.date):
        return np.datetime64(day.isoformat()[:10], "D")
    raise UsageError(f"{day!r} is not a day; write it as YYYY-MM-DD, e.g. 2024-03-28")


def sessions_between(first: Day, last: Day) -> Days:
    """List the sessions from `first` to `last`, both included.

    Args:
        first: a day, session or not.
        last: a day, session or not; before `first` gives an empty answer.

    Returns:
        (N,) sessions in order, unit D, read-only.

    Raises:
        UsageError: a day is outside 1990 to 2099.

    Example:
        >>> days = sessions_between("2024-03-28", "2024-04-02")
        >>> [str(day) for day in days]
        ['2024-03-28', '2024-04-01', '2024-04-02']
    """
    start, end = _day(first), _day(last)
    sessions = _calendar(max(start, end))
    return sessions[np.searchsorted(sessions, start) : np.searchsorted(sessions, end, "right")]


def is_session(day: Day) -> bool:
    """Say whether the exchange trades on a day.

    Args:
        day: any day from 1990 to 2099.

    Returns:
        True on a session, False on a weekend or holiday.

    Raises:
        UsageError: the day is outside 1990 to 2099.

    Example:
        >>> is_session(np.datetime64("2024-03-29"))  # Good Friday
        False
    """
    return sessions_between(day, day).size == 1


def last_session_on_or_before(day: Day) -> np.datetime64:
    """Find the last session that is not after a day.

    Args:
        day: any day from the first session of 1990 to 2099.

    Returns:
        The day itself when it is a session, otherwise the session before it.

    Raises:
        UsageError: the day is outside the calendar.

    Example:
        >>> last_session_on_or_before(np.datetime64("2024-03-31"))
        np.datetime64('2024-03-28')
    """
    asked = _day(day)
    sessions = _calendar(asked)
    position = int(np.searchsorted(sessions, asked, "right")) - 1
    if position < 0:
        raise UsageError(f"{asked} is before the first session of the calendar, {sessions[0]}")
    found: np.datetime64 = sessions[position]
    return found


def session_after(origin: Day, horizon: int) -> np.datetime64:
    """Find the session `horizon` sessions after a day.

    Args:
        origin: the day counted from, session or not; it is not counted.
        horizon: how many sessions ahead, from 1.

    Returns:
        The horizon-th session after `origin`.

    Raises:
        UsageError: the horizon is below 1 or leads beyond 2099, or the origin is outside 1990 to
            2099.

    Example:
        >>> session_after("2024-03-28", 1)
        np.datetime64('2024-04-01')
    """
    if not 1 <= horizon <= LONGEST_HORIZON:
        raise UsageError(f"a horizon of {horizon} sessions is not one of 1 to {LONGEST_HORIZON:,}")
    start = _day(origin)
    # The exchange has never closed for so long that 2 days a session and a month were too few.
    sessions = _calendar(min(start + np.timedelta64(2 * horizon + 31, "D"), LAST_DAY))
    position = int(np.searchsorted(sessions, start, "right")) + horizon - 1
    if position >= sessions.size:
        raise UsageError(
            f"{horizon} sessions after {start} is beyond the calendar's end, {LAST_DAY}"
        )
    found: np.datetime64 = sessions[position]
    return found


def horizon_of(origin: Day, target: Day) -> int:
    """Count the sessions after `origin` up to and including `target`.

    Args:
        origin: where the forecast starts; not counted.
        target: the day it is about; counted when it is a session.

    Returns:
        The number of sessions in (origin, target]; 0 when the target is not after the origin.

    Raises:
        UsageError: a day is outside 1990 to 2099.

    Example:
        >>> horizon_of(np.datetime64("2024-02-29"), np.datetime64("2024-03-28"))
        20
    """
    start, end = _day(origin), _day(target)
    sessions = _calendar(max(start, end))
    count = np.searchsorted(sessions, end, "right") - np.searchsorted(sessions, start, "right")
    return max(int(count), 0)


@functools.cache
def session_close(session: np.datetime64) -> datetime.datetime:
    """Give the moment at which a session ends, earlier on half-days.

    Args:
        session: a session of the exchange, unit D.

    Returns:
        The moment, in exchange time.

    Raises:
        UsageError: the day is no session, or outside 1990 to 2099.

    Example:
        >>> session_close(np.datetime64("2024-11-29")).isoformat()  # the day after Thanksgiving
        '2024-11-29T13:00:00-05:00'
    """
    if not is_session(session):
        raise UsageError(f"{session} is not a session: the exchange is closed")
    calendar = _library_of(str(session)[:4])
    close: datetime.datetime = calendar.session_close(str(session)).to_pydatetime()
    return close.astimezone(EXCHANGE_TIME)


def last_closed_session(now: datetime.datetime) -> np.datetime64:
    """Find the last session whose close is settled, `SETTLING` after it ended.

    Args:
        now: a moment with a time zone.

    Returns:
        A session.

    Raises:
        UsageError: the moment is outside the calendar.

    Example:
        >>> at_ten = datetime.datetime(2024, 3, 28, 10, tzinfo=EXCHANGE_TIME)
        >>> last_closed_session(at_ten)
        np.datetime64('2024-03-27')
    """
    today = np.datetime64(now.astimezone(EXCHANGE_TIME).date(), "D")
    last = last_session_on_or_before(today)
    if last == today and now < session_close(last) + SETTLING:
        return last_session_on_or_before(today - np.timedelta64(1, "D"))
    return last


def _day(value: Day) -> np.datetime64:
    day = as_day(value)
    if not FIRST_DAY <= day <= LAST_DAY:
        raise UsageError(
            f"{day} is outside the calendar; choose a day from {FIRST_DAY} to {LAST_DAY}"
        )
    return day


def _calendar(day: np.datetime64) -> Days:
    """Sessions from 1990 to the end of some decade, so that nearby days share one array."""
    year = int(str(day)[:4])
    return _sessions_through(max(2039, year // 10 * 10 + 9))


@functools.cache
def _sessions_through(last_year: int) -> Days:
    """Sessions from 1990 to the end of a year, kept on disk: its library loads slowly."""
    version = importlib.metadata.version("exchange_calendars")
    path = cache_dir() / "sessions" / f"XNYS-{version}-{last_year}.days"
    sessions = _kept(path)
    if sessions is None:
        sessions = _computed(last_year)
        days = sessions.astype("<i8").tobytes()
        with contextlib.suppress(OSError):
            write_whole(path, _digest(path, days) + days)
    sessions.setflags(write=False)
    return sessions


def _kept(path: Path) -> Days | None:
    """Read the sessions kept in a file, or None when it is not whole, byte for byte."""
    try:
        if not path.is_file():  # a pipe would block for ever
            return None
        with path.open("rb") as file:
            content = file.read(_LONGEST_FILE)
    except OSError:
        return None
    digest, days = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    if not days or digest != _digest(path, days):
        return None
    return np.frombuffer(days, dtype="<i8").astype("datetime64[D]")


def _digest(path: Path, days: bytes) -> bytes:
    """Give the first line of a file: it vouches for the days and for which calendar they are."""
    return hashlib.sha256(path.name.encode() + b"\n" + days).hexdigest().encode() + b"\n"


def _computed(last_year: int) -> Days:
    calendar = _library(str(FIRST_DAY), f"{last_year}-12-31")
    sessions: Days = calendar.sessions.to_numpy().astype("datetime64[D]")
    return sessions


@functools.cache
def _library_of(year: str) -> Any:
    return _library(f"{year}-01-01", f"{year}-12-31")


def _library(first: str, last: str) -> Any:
    """The calendar of exchange_calendars between two days."""
    from exchange_calendars import get_calendar  # here, because it imports pandas

    with warnings.catch_warnings():
        # exchange_calendars 4.13 reads Series.values, which pandas 3.1 announces to change.
        warnings.filterwarnings("ignore", message="Series.values", category=DeprecationWarning)
        return get_calendar("XNYS", start=first, end=last)
