"""A person's view from the page: in the ledger beside the forecast, and in words."""

import dataclasses
import datetime

import numpy as np
import pytest
from daily import belief, evening
from published import FIRST
from stored import one_line

from belief.errors import StoreError, UsageError
from belief.ledger import breaks, entries, forecast_of
from belief.sessions import session_after
from belief.store import open_store
from belief.view import View, blended
from belief_tools.forecast_tool import cents
from belief_tools.my_view import record_view
from belief_tools.serving import Asked, serve

NIGHT = evening(FIRST)


@pytest.fixture
def tool(where):
    return serve(Asked(None, None, None, "belief", False, NIGHT))


@pytest.fixture
def view(tool):
    last = tool.prices.last_close
    return View(median=1.01 * last, low=0.95 * last, high=1.08 * last, confidence=0.5)


def in_the_ledger(where, **chosen):
    with open_store(str(where)) as store, store.read() as connection:
        assert not list(breaks(connection))
        return entries(connection, **chosen)


def in_words(forecast):
    low, high = forecast.interval(0.9)
    between = f"{cents(low)} to {cents(high)}"
    return f"{cents(forecast.median)}, 90 % {between}, up with {forecast.prob_up:.0%}"


def target(horizon):
    return session_after(np.datetime64(FIRST), horizon)


def test_a_view_is_written_after_the_forecast_it_is_about(tool, view, where):
    done = record_view(tool, target(10), view, "a hunch", NIGHT)
    *_, forecast, own = in_the_ledger(where)
    assert [each.entry.kind for each in (forecast, own)] == ["forecast", "view"]
    assert (done.forecast, done.entry) == (forecast.entry.name, own.entry.name)
    assert forecast.entry.target == own.entry.target == target(10)
    assert own.entry.body["forecast"] == forecast.entry.name
    assert own.entry.body["note"] == "a hunch" and own.entry.live
    assert own.entry.body["prediction"]["price"] == view.median


def test_a_forecast_that_is_there_already_stays_the_only_one(tool, view, where):
    before = len(in_the_ledger(where, kind="forecast"))
    record_view(tool, target(1), view, "", NIGHT)  # the refit wrote it down
    record_view(tool, target(1), view, "again", NIGHT)
    assert len(in_the_ledger(where, kind="forecast")) == before
    assert len(in_the_ledger(where, kind="view")) == 2


def test_belief_view_and_both_together_are_said_with_their_figures(tool, view, where):
    words = record_view(tool, target(10), view, "", NIGHT).words
    believed, own, both = words
    forecast = tool.forecast(target(10))
    assert believed == f"the belief for {target(10)}: {in_words(forecast)}"
    assert own == (
        f"your view: {cents(view.median)}, 90 % {cents(view.low)} to {cents(view.high)}, "
        f"confidence 50%"
    )
    assert both == f"both together: {in_words(blended(forecast, view))}"
    assert forecast.median < blended(forecast, view).median < view.median
    assert abs(forecast_of(in_the_ledger(where)[-2]).median - forecast.median) < 1e-6


def test_a_view_is_not_taken_of_the_past(tool, view, where):
    before = in_the_ledger(where)
    past = dataclasses.replace(tool, live=False, today=None)
    with pytest.raises(UsageError, match=f"as of {FIRST} no view can be recorded") as caught:
        record_view(past, target(10), view, "", NIGHT)
    assert "newest session" in one_line(caught)
    assert len(in_the_ledger(where)) == len(before)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"target": np.datetime64(FIRST)}, "not after the last known session"),
        ({"target": np.datetime64("2099-01-01")}, "504"),
        ({"note": "x" * 1_001}, "the note has 1,001 characters; give at most 1,000"),
        ({"view": View(median=5e6, low=4e6, high=6e6, confidence=0.5)}, "cannot imagine|outside"),
    ],
)
def test_what_is_no_view_is_refused_before_anything_is_written(tool, view, where, wrong, words):
    before = in_the_ledger(where)
    said = {"target": target(10), "view": view, "note": "", **wrong}
    with pytest.raises(UsageError, match=words):
        record_view(tool, said["target"], said["view"], said["note"], NIGHT)
    assert len(in_the_ledger(where)) == len(before)


def test_a_day_that_is_no_session_stands_for_the_one_before(tool, view, where):
    record_view(tool, np.datetime64("2024-06-15"), view, "", NIGHT)
    assert str(in_the_ledger(where)[-1].entry.target) == "2024-06-14"


def test_what_is_said_late_is_kept_as_hindsight_and_says_so(tool, view, where):
    late = evening(target(10)) + datetime.timedelta(days=1)
    *_, told = record_view(tool, target(10), view, "", late).words
    assert told.startswith("in hindsight")
    assert [each.entry.live for each in in_the_ledger(where)[-2:]] == [False, False]


def test_a_ledger_that_fails_is_an_error(tool, view, where, monkeypatch, tmp_path):
    (tmp_path / "notes").write_text("these are somebody's notes, and no database")
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "notes"))
    with pytest.raises(StoreError, match="this is not in the ledger"):
        record_view(tool, target(10), view, "", NIGHT)


def test_the_command_writes_the_same_and_refuses_the_same(tool, view, where):
    done = record_view(tool, target(10), view, "a hunch", NIGHT)
    points = ["--median", str(view.median), "--low", str(view.low), "--high", str(view.high)]
    shown = belief("ledger", "view", done.forecast, *points, "--note", "why", at=NIGHT)
    assert shown.code == 0
    first, second = (dict(each.entry.body) for each in in_the_ledger(where, kind="view"))
    assert second.pop("note") == "why" and first.pop("note") == "a hunch" and first == second
    long = belief("ledger", "view", done.forecast, *points, "--note", "x" * 1_001, at=NIGHT)
    assert long.code == 2 and "the note has 1,001 characters" in long.err
