"""When a company's results move its price, as far as that is known at an as_of."""

from datetime import date
from typing import NamedTuple

import numpy as np

from belief.events import Events
from belief.sessions import last_session_on_or_before, session_after
from belief_tools.periods import NoDayNamed

_LOOK_AHEAD = 260  # sessions: four announcements
_MOST_OF_A_WINDOW = 0.5


class NoResultsDay(NoDayNamed):
    """Nobody knows when the results come that a question is about."""


class ResultsDay(NamedTuple):
    """The last close before results can move the price, and whether that day is public."""

    day: date
    announced: bool


def next_results(events: Events, as_of: date, month: int | None = None) -> ResultsDay:
    """Find the next results after an as_of.

    Args:
        events: those of the symbol, as known at `as_of`.
        as_of: the last session known.
        month: only results of this month, 1 to 12.

    Raises:
        NoResultsDay: none are expected in the next 260 sessions, or in that month.
    """
    origin = np.datetime64(as_of, "D")
    for window in events.ahead(origin, _LOOK_AHEAD):
        if window.sum() < _MOST_OF_A_WINDOW:
            continue
        reaction = session_after(origin, int(window.argmax()) + 1)
        before = _session_before(reaction)
        if month in (None, before.month, _date(reaction).month):
            return ResultsDay(before, bool(window.max() == 1.0))
    raise NoResultsDay("no such results are known or expected; name a day instead")


def last_results(events: Events, as_of: date, month: int | None = None) -> ResultsDay:
    """Find the last results up to an as_of.

    Args:
        events: those of the symbol, as known at `as_of`.
        as_of: the last session known.
        month: only results of this month, 1 to 12.

    Raises:
        NoResultsDay: none are known.
    """
    for reaction in events.session[events.session <= np.datetime64(as_of, "D")][::-1]:
        before = _session_before(reaction)
        if month in (None, before.month, _date(reaction).month):
            return ResultsDay(before, announced=True)
    raise NoResultsDay("no such results are known; name a day instead")


def _session_before(session: np.datetime64) -> date:
    return _date(last_session_on_or_before(session - np.timedelta64(1, "D")))


def _date(day: np.datetime64) -> date:
    return date.fromisoformat(str(day))
