"""A history that is new as a whole: kept with its first model, or not at all."""

import datetime

import numpy as np
import pytest
from daily import bars_until, changed, evening, short_history
from stored import day

from belief import refit as refitting_module
from belief import store as stored
from belief.bars import bars_of
from belief.errors import FitError
from belief.models import carry, fit
from belief.refit import closed_rows, refit
from belief.refit_gate import Check
from belief.store import open_store

FIRST, SECOND = "2024-06-03", "2024-06-04"


@pytest.fixture(scope="module")
def history():
    return short_history(last=day("2024-06-10"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(refitting_module, "HORIZONS", (1,))
    monkeypatch.setattr(refitting_module, "REFERENCES", ())
    with open_store(str(tmp_path / "belief.db")) as opened:
        yield opened


def run(store, prices, last, *, anew=False, at=None):
    bars = bars_until(prices, last)
    return refit("NVDA", store, lambda _: bars, now=at or evening(day(last)), anew=anew)


def in_store(store):
    with store.read() as connection:
        return stored.load_prices(connection, "NVDA"), stored.published(connection, "NVDA")


@pytest.fixture
def closed_gate(monkeypatch):
    def refuse(*_, **__):
        return (Check("coverage", False, "made to fail"),)

    monkeypatch.setattr(refitting_module, "check_model", refuse)


def test_a_first_model_that_the_gate_refuses_leaves_no_prices(store, history, closed_gate):
    done = run(store, history, FIRST)
    assert (done.status, done.in_service) == ("refused", False)
    assert in_store(store) == (None, None)


def test_a_new_history_too_short_to_fit_leaves_the_last_good_one(store, history):
    run(store, history, FIRST)
    before = in_store(store)[0].fingerprint()
    with pytest.raises(FitError, match="too few"):
        run(store, short_history(SECOND, "2024-02-01"), SECOND, anew=True)
    prices, publication = in_store(store)
    assert prices.fingerprint() == before
    assert carry(publication.fitted, prices).known_through == day(FIRST)


def test_a_new_history_that_the_gate_refuses_leaves_the_last_good_one(
    store, history, monkeypatch, request
):
    run(store, history, FIRST)
    before = in_store(store)[0].fingerprint()
    request.getfixturevalue("closed_gate")
    done = run(store, changed(history, FIRST, low=1000.0, close=1050.0), SECOND, anew=True)
    assert (done.status, done.in_service) == ("refused", True)
    assert in_store(store)[0].fingerprint() == before


def test_a_new_history_that_ends_earlier_is_published_once(store, history):
    run(store, history, SECOND)
    assert run(store, history, FIRST, anew=True).status == "published"
    again = run(store, history, FIRST, anew=True)
    assert again.status == "nothing new"
    prices, _ = in_store(store)
    assert prices.as_of == day(FIRST)


def test_a_model_of_another_history_is_not_carried_even_to_the_same_session(history):
    shorter = bars_until(history, FIRST)
    longer = fit("grid_500", history.until(day(FIRST)))
    other = short_history(last=day(FIRST), first="2023-04-17")
    assert len(shorter) > other.session.size
    with pytest.raises(ValueError, match="the model knows"):
        carry(longer, other)


def test_rows_of_sessions_that_have_not_closed_are_left_out(history):
    bars = bars_of(history.until(day("2024-06-05")))
    noon = datetime.datetime(2024, 6, 5, 16, 0, tzinfo=datetime.UTC)  # 12:00 in New York
    cut = closed_rows(bars, noon)
    assert cut.session[-1] == day(SECOND) and len(cut) == len(bars) - 1
    assert np.array_equal(cut.close, bars.close[:-1])
    assert closed_rows(bars, evening(day("2024-06-05"))) is bars


def test_a_file_with_a_row_of_the_future_publishes_what_has_closed(store, history):
    noon = datetime.datetime(2024, 6, 4, 16, 0, tzinfo=datetime.UTC)
    done = run(store, history, SECOND, at=noon)
    assert (done.status, done.as_of) == ("published", day(FIRST))
