import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from daily import evening

from belief.errors import RefitRunning, SourceUnavailable, StoreError, UsageError
from belief_tools import clock, watch
from belief_tools.watch import next_refit

NEW_YORK = ZoneInfo("America/New_York")
QUARTER = datetime.timedelta(minutes=15)


class Stopped(Exception):
    """Ends a watch, as ctrl-c would."""


class Days:
    """A clock that sleeping moves on, and refits that end as they are told to."""

    def __init__(self, begin, *ends):
        self.now, self.ends, self.at, self.naps = begin, list(ends), [], []

    def sleep(self, seconds):
        self.naps.append(seconds)
        self.now += datetime.timedelta(seconds=seconds)

    def refit(self):
        if not self.ends:
            raise Stopped
        self.at.append(self.now)
        end = self.ends.pop(0)
        if isinstance(end, Exception):
            raise end
        return None if end is None else np.datetime64(end, "D")


def new_york(text):
    return datetime.datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.fixture
def watched(monkeypatch):
    def run(begin, *ends):
        days = Days(begin, *ends)
        monkeypatch.setattr(clock, "now", lambda: days.now)
        monkeypatch.setattr(watch.time, "sleep", days.sleep)
        with pytest.raises(Stopped):
            watch.watch(days.refit)
        return days

    return run


@pytest.mark.parametrize(
    "now, due",
    [
        ("2024-06-05T10:00", "2024-06-05T16:20"),
        ("2024-06-05T16:19", "2024-06-05T16:20"),
        ("2024-06-05T16:20", "2024-06-06T16:20"),
        ("2024-06-07T18:00", "2024-06-10T16:20"),  # over a week end
        ("2024-06-18T18:00", "2024-06-20T16:20"),  # Juneteenth
        ("2024-07-03T09:00", "2024-07-03T13:20"),  # a half-day
        ("2024-11-01T18:00", "2024-11-04T16:20"),  # over the change to winter time
    ],
)
def test_the_next_refit_is_due_when_the_next_close_is_settled(now, due):
    assert next_refit(new_york(now)) == new_york(due)


def test_it_refits_at_once_and_after_every_close(watched):
    begin = evening("2024-06-06")
    days = watched(begin, "2024-06-06", "2024-06-07", "2024-06-10")
    assert days.at[0] == begin
    assert [at.astimezone(NEW_YORK) for at in days.at[1:]] == [
        new_york("2024-06-07T16:20"),
        new_york("2024-06-10T16:20"),
    ]


def test_a_close_that_is_not_there_yet_is_asked_for_every_quarter_of_an_hour(watched):
    begin = evening("2024-06-06")
    days = watched(begin, "2024-06-05", "2024-06-05", "2024-06-06", "2024-06-07")
    assert days.at == [begin, begin + QUARTER, begin + 2 * QUARTER, new_york("2024-06-07T16:20")]


@pytest.mark.parametrize(
    "error", [SourceUnavailable("no network"), RefitRunning("busy"), StoreError("the disk is full")]
)
def test_a_refit_that_fails_is_told_and_done_again(watched, capsys, error):
    begin = evening("2024-06-06")
    days = watched(begin, error, None, "2024-06-06")
    assert days.at == [begin, begin + QUARTER, begin + 2 * QUARTER]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"belief: {error}"
    assert lines[1] == "next refit at 2024-06-06 21:15 UTC; ctrl-c stops"


def test_a_question_without_sense_ends_it(watched):
    days = Days(evening("2024-06-06"), UsageError("no symbol"))
    with pytest.raises(UsageError):
        watch.watch(days.refit)


def test_a_computer_that_slept_is_late_by_half_a_minute(watched):
    days = watched(evening("2024-06-06"), "2024-06-06", "2024-06-07")
    assert max(days.naps) == 30.0
    assert min(days.naps) > 0.0
