"""Refit after each close, until someone stops it."""

import datetime
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from belief.errors import BeliefError, UsageError
from belief.sessions import SETTLING, last_closed_session, session_after, session_close
from belief_tools import clock
from belief_tools.terminal import say, say_error

AGAIN: Final = datetime.timedelta(minutes=15)  # while the last close is not there
LONGEST_NAP: Final = 30.0  # seconds; a computer that slept is late by no more


def watch(refit: Callable[[], np.datetime64 | None]) -> None:
    """Refit now and after every close.

    While it fails, or the last close is not there yet, it is done again every 15 minutes.

    Args:
        refit: does it, and gives the last session of the prices; None when there are none.

    Raises:
        UsageError: what it was asked makes no sense, and will not later.
    """
    while True:
        due = clock.now() + AGAIN
        try:
            last = refit()
            if last is not None and last >= last_closed_session(clock.now()):
                due = next_refit(clock.now())
        except UsageError:
            raise
        except BeliefError as error:
            say_error(error)
        say(f"next refit at {due.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC; ctrl-c stops")
        _sleep_until(due)


def next_refit(now: datetime.datetime) -> datetime.datetime:
    """The moment at which the next session's close is settled.

    Args:
        now: the moment.
    """
    return session_close(session_after(last_closed_session(now), 1)) + SETTLING


def _sleep_until(due: datetime.datetime) -> None:
    """Sleep by the clock, but never longer than it said at first: it may have been ahead."""
    end = time.monotonic() + (due - clock.now()).total_seconds()
    while (left := min((due - clock.now()).total_seconds(), end - time.monotonic())) > 0.0:
        time.sleep(min(left, LONGEST_NAP))
