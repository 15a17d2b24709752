"""A refit in the background: how far it is, how it ends, and that there is one at a time."""

import threading
import time

import pytest
from daily import bars_until, evening
from published import SECOND, fitted_through

from belief.errors import RefitRunning, SourceUnavailable
from belief_tools import clock, new_bars, refitting
from belief_tools.refitting import BROKEN, Refitting


@pytest.fixture
def source(where, monkeypatch):
    """What the next refit fetches, by turns; each is called when it is fetched."""
    turns = []
    monkeypatch.setattr(clock, "now", lambda: evening(SECOND))
    fetch = lambda _: turns.pop(0)()  # noqa: E731
    monkeypatch.setattr(refitting, "new_bars", lambda symbol, *, snapshot: (symbol, fetch))
    return turns


def ended(under_way):
    for _ in range(600):
        if not under_way.progress.runs:
            return under_way.progress
        time.sleep(0.05)
    raise AssertionError("the refit does not end")


def newer():
    return bars_until(fitted_through(SECOND)[0], SECOND)


def test_a_refit_publishes_and_says_what_it_changed(source):
    source.append(newer)
    under_way = Refitting()
    assert under_way.progress is None
    under_way.start("NVDA", snapshot=False)
    done = ended(under_way)
    assert done.well and done.told[0] == f"NVDA: published a model of the sessions through {SECOND}"
    assert any("volatility" in line for line in done.told[1:])


def test_how_far_it_is_can_be_seen_while_it_runs(source):
    go_on, seen = threading.Event(), []

    def slow():
        go_on.wait(10)
        return newer()

    source.append(slow)
    under_way = Refitting()
    under_way.start("NVDA", snapshot=False)
    seen.append(under_way.progress)
    go_on.set()
    while under_way.progress.runs:
        if under_way.progress != seen[-1]:
            seen.append(under_way.progress)
    assert seen[0].stage == "fetching prices" and seen[0].runs
    assert any(each.stage.startswith("fitting") for each in seen)


def test_a_second_one_is_refused_while_the_first_runs_and_may_follow_it(source):
    go_on = threading.Event()

    def slow():
        go_on.wait(10)
        return newer()

    source += [slow, newer]
    under_way = Refitting()
    under_way.start("NVDA", snapshot=False)
    with pytest.raises(RefitRunning, match="NVDA is being refitted"):
        under_way.start("AMD", snapshot=False)
    go_on.set()
    ended(under_way)
    under_way.start("NVDA", snapshot=False)
    assert "nothing new" in ended(under_way).told[0]


def test_a_source_that_fails_is_told_in_one_line(source):
    def fails():
        raise SourceUnavailable("Yahoo Finance\ndoes not answer")

    source.append(fails)
    under_way = Refitting()
    under_way.start("NVDA", snapshot=False)
    done = ended(under_way)
    assert not done.well and done.told == ("NVDA: Yahoo Finance does not answer",)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_the_program_ends_it_without_its_words(source):
    def broken():
        raise ZeroDivisionError("secret")

    source.append(broken)
    under_way = Refitting()
    under_way.start("NVDA", snapshot=False)
    assert ended(under_way).told == (f"NVDA: {BROKEN}",)


def test_the_snapshot_is_there_without_a_network():
    name, fetch = new_bars.new_bars("nvda", snapshot=True)
    assert (name, str(fetch(None).session[-1])) == ("NVDA", "2025-02-14")
