"""Scheduled sessions, such as those that react to earnings, as known at an as_of.

The exact session of an event is taken to be public 20 sessions ahead. Before that it is a window:
last year's session moved on by 364 days, to the same weekday, and spread out by how far such
projections have been off for this symbol.

A position is the number of sessions of the calendar before a day, so positions count in sessions.
"""

import csv
import functools
import hashlib
import io
import json
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import numpy as np
import numpy.typing as npt

from belief.errors import PricesError, UsageError
from belief.sessions import FIRST_DAY, LAST_DAY, parse_day, session_after, sessions_between

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]

TIMINGS: Final = ("after_close", "before_open")
COLUMNS: Final = ("announced", "timing")  # those that are read; others are for people
NOTICE: Final = 20  # sessions ahead at which the exact session is public
YEAR: Final = np.timedelta64(364, "D")  # 52 weeks, so that a projection keeps its weekday
REACH: Final = 30  # sessions by which a projection can be off: half a quarter
SAME_EVENT: Final = 35  # a projection so near a known event, in sessions, stands for that event
FALLBACK_SCALE: Final = 4.0  # sessions in which the spread without history falls by a factor e
FALLBACK_WEIGHT: Final = 2.0  # of that spread, in past errors
SMOOTHING: Final = (0.1, 0.8, 0.1)  # a past error counts so much for itself and its neighbours

_DAY: Final = np.timedelta64(1, "D")


@dataclass(frozen=True, eq=False)
class Events:
    """Scheduled events of one symbol, E of them.

    Attributes:
        session: (E,) the first session whose close can react to each event, sorted and unique,
            unit D.
        known_from: (E,) the session at whose close `session` is taken to be public: 20 sessions
            before it.

    Raises:
        UsageError: a day is no session, outside 1990 to 2099, or not after the one before it.
    """

    session: Days
    known_from: Days = field(init=False)

    def __post_init__(self) -> None:
        session = np.array(self.session, dtype="datetime64[D]")
        known_from = _notice(session)
        for name, values in (("session", session), ("known_from", known_from)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return self.session.size

    def until(self, as_of: np.datetime64) -> "Events":
        """Keep the events whose exact session is public at the close of `as_of`.

        Args:
            as_of: a day, session or not.

        Returns:
            The events with `known_from` at or before `as_of`; these themselves when that is all.
        """
        known = self._known(as_of)
        return self if known == len(self) else Events(self.session[:known])

    def flags(self, session: Days) -> Flags:
        """Say which sessions react to an event.

        Args:
            session: (N,) days.

        Returns:
            (N,) true at the reaction sessions; events at none of these days change nothing.

        Example:
            >>> days = np.array(["2024-02-21", "2024-02-22"], dtype="datetime64[D]")
            >>> bundled_events("NVDA").flags(days).tolist()
            [False, True]
        """
        return np.isin(session, self.session)

    def ahead(self, as_of: np.datetime64, horizon: int) -> Array:
        """Say where the events of the next sessions fall, as far as that is known at `as_of`.

        A public session is certain. Of the others, each event of the last year is expected again
        after 364 days, and after as many years as the horizon asks for. The probability of being
        off by some sessions mixes the past errors of such projections with a wide spread that
        alone is left when there are none. An event that is not public cannot react within the
        next 20 sessions: what lies there is dropped and the rest scaled up. A projection near a
        known event stands for that event and is dropped; so is one whose window is over.

        Args:
            as_of: the session whose close is the last thing known; another day stands for the
                session before it.
            horizon: sessions to look ahead, from 1.

        Returns:
            (E, horizon) one row per event expected, soonest first: column i is the probability that
            it reacts at session i + 1 after `as_of`. A row adds up to 1, or to less where its
            window reaches beyond the horizon.

        Raises:
            UsageError: a day is outside 1990 to 2099, or the horizon is below 1 or leads beyond.

        Example:
            >>> nvda = bundled_events("NVDA")
            >>> nvda.ahead(np.datetime64("2024-02-16"), 10).tolist()
            [[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]
            >>> nvda.ahead(np.datetime64("2024-02-16"), 80).sum(axis=1).round(6).tolist()
            [1.0, 0.999601]
        """
        calendar = _calendar_for(as_of, horizon)
        origin = int(np.searchsorted(calendar, as_of, "right")) - 1
        known = self.session[: self._known(as_of)]
        column = _positions(calendar, known) - origin - 1
        column = column[(column >= 0) & (column < horizon)]
        announced = np.zeros((column.size, horizon))
        announced[np.arange(column.size), column] = 1.0
        rows = [announced]
        again = _expected_again(calendar, known, origin)
        for years in range(1, horizon // 250 + 3):  # no year has fewer sessions
            spread = _spread(_past_errors(calendar, known, years))
            centre = _positions(calendar, _moved_on(calendar, again, years))
            rows.append(_windows(centre - origin - 1, spread, horizon))
        return np.concatenate(rows)

    def as_text(self) -> str:
        r"""Write the events down for a fingerprint.

        Returns:
            One line per event, the same on every machine.

        Example:
            >>> Events(np.array(["2024-02-22"], dtype="datetime64[D]")).as_text()
            '2024-02-22 known from 2024-01-24\n'
        """
        lines = zip(self.session, self.known_from, strict=True)
        return "".join(f"{session} known from {known_from}\n" for session, known_from in lines)

    def _known(self, as_of: np.datetime64) -> int:
        """Count the events that are public at the close of `as_of`."""
        return int(np.count_nonzero(self.known_from <= as_of))  # none when it is not a time


def _notice(session: Days) -> Days:
    """Find the sessions `NOTICE` before some, which must be sessions in ascending order."""
    if session.size == 0:
        return session.copy()
    # Not-a-time is neither, and compares false.
    disorder = np.flatnonzero(~(session[1:] > session[:-1]))
    if disorder.size:
        late, early = session[disorder[0] + 1], session[disorder[0]]
        raise UsageError(f"event at {late} follows {early}; events must ascend without repeats")
    sessions_between(session[0], session[0])  # refuses a day outside the calendar
    calendar = sessions_between(FIRST_DAY, session[-1])
    position = _positions(calendar, session)
    closed = session[calendar[np.minimum(position, calendar.size - 1)] != session]
    if closed.size:
        raise UsageError(f"event at {closed[0]}, which is not a session: the exchange was closed")
    return calendar[np.maximum(position - NOTICE, 0)]


def _positions(calendar: Days, day: Days) -> Positions:
    return np.searchsorted(calendar, day)


def _calendar_for(as_of: np.datetime64, horizon: int) -> Days:
    """List all sessions to well beyond the horizon, so that no window within reach is cut off."""
    target = session_after(as_of, horizon)
    return sessions_between(FIRST_DAY, min(target + 4 * REACH * _DAY, LAST_DAY))


def _moved_on(calendar: Days, session: Days, years: int) -> Days:
    moved = session + years * YEAR
    within: Days = moved[moved <= calendar[-1]]
    return within


def _expected_again(calendar: Days, known: Days, origin: int) -> Days:
    """Pick the known events whose projection by one year is still open and no known event."""
    if known.size == 0:
        return known
    projected = _positions(calendar, known + YEAR)
    last = int(np.searchsorted(calendar, known[-1]))
    return known[(projected > last + SAME_EVENT) & (projected + REACH > origin + NOTICE)]


def _past_errors(calendar: Days, known: Days, years: int) -> Positions:
    """List by how many sessions each known event was later than projected from `years` before."""
    projected = _positions(calendar, _moved_on(calendar, known, years))
    if projected.size == 0:
        return projected
    error = _positions(calendar, known)[:, None] - projected
    nearest = np.argmin(np.abs(error), axis=1)
    error = error[np.arange(known.size), nearest]
    matched: Positions = error[np.abs(error) <= REACH]
    return matched


def _spread(errors: Positions) -> Array:
    """Give the probability of each error from -REACH to REACH sessions."""
    count = np.bincount(errors + REACH, minlength=2 * REACH + 1)
    weight = np.convolve(count, SMOOTHING, "same") + FALLBACK_WEIGHT * _fallback()
    return np.asarray(weight / weight.sum())


@functools.cache
def _fallback() -> Array:
    weight = np.exp(-np.abs(np.arange(-REACH, REACH + 1)) / FALLBACK_SCALE)
    return np.asarray(weight / weight.sum())


def _windows(centre: Positions, spread: Array, horizon: int) -> Array:
    """Lay the spread around each column `centre`, outside the notice; keep rows that show."""
    column = centre[:, None] + np.arange(-REACH, REACH + 1)
    mass = np.where(column >= NOTICE, spread, 0.0)
    mass /= mass.sum(axis=1, keepdims=True)
    rows = np.zeros((centre.size, horizon))
    row, offset = np.nonzero((column >= 0) & (column < horizon))
    rows[row, column[row, offset]] = mass[row, offset]
    return rows[rows.any(axis=1)]


NO_EVENTS: Final = Events(np.array([], dtype="datetime64[D]"))


def reaction_session(announced: np.datetime64, timing: str) -> np.datetime64:
    """Find the first session whose close can react to an announcement.

    Args:
        announced: the day of the announcement, session or not.
        timing: "after_close" or "before_open".

    Returns:
        The first session after the day, or at the day itself when announced before the open.

    Raises:
        UsageError: the timing is neither, or the day is outside 1990 to 2099.

    Example:
        >>> str(reaction_session(np.datetime64("2024-03-28"), "after_close"))  # before Good Friday
        '2024-04-01'
    """
    if timing not in TIMINGS:
        raise UsageError(f"timing {timing!r} is not one of {', '.join(TIMINGS)}")
    return session_after(announced if timing == "after_close" else announced - _DAY, 1)


@functools.cache
def bundled_events(symbol: str) -> Events:
    """Give the events that are bundled for a symbol.

    Args:
        symbol: upper case, such as NVDA.

    Returns:
        All of them, not cut at any as_of; `NO_EVENTS` when there are none.

    Raises:
        PricesError: the bundled file is damaged.

    Example:
        >>> len(bundled_events("NVDA")), len(bundled_events("XYZ"))
        (90, 0)
    """
    folder = files("belief.data")
    if f"{symbol}.events.json" not in {entry.name for entry in folder.iterdir()}:
        return NO_EVENTS
    return read_events(folder, symbol=symbol)


def read_events(folder: Traversable, *, symbol: str) -> Events:
    """Read a list of events that stands beside its provenance.

    Args:
        folder: where SYMBOL.events.json and the file it names are.
        symbol: whose events, upper case.

    Returns:
        The events of the file.

    Raises:
        PricesError: a file is missing, not the one its provenance describes, or breaks a rule; the
            text names the line and the value.
    """
    try:
        provenance = json.loads((folder / f"{symbol}.events.json").read_bytes())
        name = str(provenance["file"])
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != provenance["file_sha256"]:
            raise PricesError(f"bundled {name} is damaged: its SHA-256 differs")
        return parse_events(content.decode("utf-8"), name=name)
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise PricesError(f"the bundled events of {symbol} are damaged: {error!r}") from error


def parse_events(text: str, *, name: str) -> Events:
    r"""Read announcements written as CSV.

    Args:
        text: a header with the columns announced (YYYY-MM-DD) and timing (after_close or
            before_open), others are ignored; then one announcement a line, oldest first.
        name: what to call the text in errors.

    Returns:
        The events.

    Raises:
        PricesError: a column is missing or a value breaks a rule; the text names line and value.

    Example:
        >>> events = parse_events("announced,timing\n2024-02-21,after_close\n", name="a text")
        >>> str(events.session[0]), str(events.known_from[0])
        ('2024-02-22', '2024-01-24')
    """
    rows = csv.DictReader(io.StringIO(text))
    missing = [column for column in COLUMNS if column not in (rows.fieldnames or ())]
    if missing:
        raise PricesError(f"{name} has no column {', '.join(missing)}")
    sessions: list[np.datetime64] = []
    for row in rows:
        try:
            session = reaction_session(parse_day(row["announced"] or ""), row["timing"] or "")
        except UsageError as error:
            raise PricesError(f"{name} line {rows.line_num}: {error}") from None
        if sessions and session <= sessions[-1]:
            raise PricesError(
                f"{name} line {rows.line_num}: {row['announced']} {row['timing']} moves {session}, "
                f"which does not follow {sessions[-1]}; announcements must ascend without repeats"
            )
        sessions.append(session)
    return Events(np.array(sessions, dtype="datetime64[D]"))
