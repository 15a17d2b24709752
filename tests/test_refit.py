import dataclasses
import datetime
import os
import subprocess
import sys
import textwrap
from unittest import mock

import numpy as np
import pytest
from daily import bars_until, changed, evening, short_history, stale_repeat
from yahoo_server import YahooServer

from belief import refit as refitting_module
from belief import refit_gate, yahoo
from belief import store as stored
from belief.errors import FitError, PricesError, SourceUnavailable, StoreError
from belief.events import Events, bundled_events
from belief.grid_belief import with_weights_of
from belief.ledger import breaks, entries, forecast_of
from belief.models import carry, fit, forecasts
from belief.refit import HORIZONS, first_day, refit, weigh_memories
from belief.sessions import session_after
from belief.store import open_store

FIRST, SECOND, THIRD = "2024-06-05", "2024-06-06", "2024-06-07"
SPLIT = "2024-06-10"  # 10:1


@pytest.fixture(scope="module")
def history():
    return short_history("2024-06-14")


def refit_on(store, prices, day, **arguments):
    """Refit on an evening, from a source without faults."""
    arguments = {"fetch": lambda _: bars_until(prices, day), "now": evening(day)} | arguments
    return refit("NVDA", store, **arguments)


@pytest.fixture(scope="module")
def first_publication(history, tmp_path_factory):
    """A store in which the first model was published."""
    path = tmp_path_factory.mktemp("first") / "belief.db"
    with open_store(str(path)) as store:
        refit_on(store, history, FIRST)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def few_horizons(first_publication, monkeypatch):
    """Later publications forecast less, which is most of the time they take."""
    monkeypatch.setattr(refitting_module, "HORIZONS", (1, 5))


@pytest.fixture
def store(first_publication, tmp_path):
    path = tmp_path / "belief.db"
    path.write_bytes(first_publication)
    with open_store(str(path)) as opened:
        yield opened


@pytest.fixture
def empty_store(tmp_path):
    with open_store(str(tmp_path / "belief.db")) as opened:
        yield opened


def day(text):
    return np.datetime64(text, "D")


def published(store, as_of=None):
    with store.read() as connection:
        return stored.published(connection, "NVDA", as_of)


def kept_prices(store):
    with store.read() as connection:
        return stored.load_prices(connection, "NVDA")


def written(store):
    with store.read() as connection:
        assert not list(breaks(connection))
        return entries(connection, symbol="NVDA")


def said(store):
    """All that was published and written down, but for the moment it was."""
    return [
        (each.number, dataclasses.replace(each.entry, made_at="")) for each in written(store)
    ], published(store).fitted.to_json()


# What a refit does


def test_the_first_refit_keeps_the_prices_and_publishes_a_model_of_them(empty_store, history):
    done = refit_on(empty_store, history, FIRST)
    assert (done.status, done.as_of, done.reasons) == ("published", day(FIRST), ())
    prices = kept_prices(empty_store)
    assert prices.as_of == day(FIRST)
    publication = published(empty_store)
    assert publication.session == publication.fitted.known_through == day(FIRST)
    assert publication.prices_fingerprint == prices.fingerprint()
    assert publication.published_at == "2024-06-05T21:00:00+00:00"
    assert done.change.before is None and done.change.carried is None
    assert done.change.n_sessions == 299


def test_the_same_prices_are_nothing_new(store, history):
    before = said(store)
    done = refit_on(store, history, FIRST, now=evening(SECOND))
    assert (done.status, done.as_of, done.checks) == ("nothing new", day(FIRST), ())
    assert done.change is None
    assert said(store) == before


def test_a_new_session_is_published_with_what_it_changed(store, history):
    before = published(store)
    done = refit_on(store, history, SECOND)
    assert done.status == "published"
    assert [check.name for check in done.checks] == [
        "convergence",
        "likelihood",
        "jump",
        "coverage",
    ]
    assert done.change.n_sessions == 1
    assert done.change.before.as_of == before.session == day(FIRST)
    assert done.change.carried.as_of == done.change.now.as_of == day(SECOND)
    assert done.change.carried.volatility != done.change.now.volatility
    assert published(store).session == day(SECOND)
    assert published(store, day(FIRST)).fitted.digest() == before.fitted.digest()


def test_what_is_published_is_a_cold_fit_with_the_weights_the_memories_earned(store, history):
    before = published(store).fitted
    refit_on(store, history, SECOND)
    prices = kept_prices(store)
    wanted = with_weights_of(fit("belief", prices), carry(before, prices))
    assert published(store).fitted.to_json() == wanted.to_json()
    assert wanted.parameters["n_scored"] == before.parameters["n_scored"] + 1.0
    assert np.any(wanted.parameters["total_score"] != before.parameters["total_score"])


def test_the_first_model_counts_its_memories_as_a_walk_has_weighed_them(store):
    prices = kept_prices(store)
    weighed = weigh_memories(prices, lambda *_: None)
    assert weighed.known_through == prices.as_of
    first = published(store).fitted.parameters
    np.testing.assert_array_equal(first["total_score"], weighed.parameters["total_score"])
    assert first["n_scored"] == 299 - 250  # sessions after the first that could be fitted


def test_a_history_too_short_for_a_walk_leaves_the_memories_alike(empty_store, history):
    short = short_history(FIRST, "2023-06-07")
    assert refit_on(empty_store, short, FIRST).status == "published"
    assert published(empty_store).fitted.parameters["n_scored"] == 0.0


def test_the_same_prices_and_weights_give_the_same_bytes(first_publication, history, tmp_path):
    made = []
    for name in ("one.db", "other.db"):
        (tmp_path / name).write_bytes(first_publication)
        with open_store(str(tmp_path / name)) as store:
            refit_on(store, history, SECOND)
            made.append(said(store))
    assert made[0] == made[1]


def test_a_split_on_the_way_is_no_jump(store, history):
    refit_on(store, history, THIRD)
    done = refit_on(store, history, SPLIT)
    assert done.status == "published"
    prices = kept_prices(store)
    assert [(str(split.session), split.ratio) for split in prices.splits] == [(SPLIT, 10.0)]
    assert prices.close[-2] > 1000.0 > 130.0 > prices.last_close
    assert done.change.now.last_session.log_return == pytest.approx(np.log(121.79 / 120.888))


def test_sessions_missed_while_the_source_was_away_come_in_at_once(store):
    later = short_history("2024-07-19")
    done = refit_on(store, later, "2024-07-19")
    assert done.status == "published"
    assert done.change.n_sessions == 30
    assert published(store).fitted.n_sessions == 329


def test_a_program_of_another_version_begins_anew(store, history, monkeypatch):
    monkeypatch.setattr(refitting_module, "code_fingerprint", lambda: "another")
    done = refit_on(store, history, FIRST)
    assert done.status == "published"
    assert [check.name for check in done.checks] == ["convergence", "coverage"]
    assert done.change.before is None
    assert published(store).code_fingerprint == "another"
    assert refit_on(store, history, FIRST).status == "nothing new"


def test_a_first_load_too_short_to_fit_says_so_and_keeps_nothing(empty_store, history):
    with pytest.raises(FitError, match="too few"):
        refit_on(empty_store, short_history(FIRST, "2023-08-18"), FIRST)
    assert kept_prices(empty_store) is None
    assert published(empty_store) is None


def test_prices_are_fetched_from_some_sessions_before_the_last_on(store, history):
    asked = []
    refit_on(
        store,
        history,
        SECOND,
        fetch=lambda first: asked.append(first) or bars_until(history, SECOND),
    )
    assert asked == [history.session[history.session <= day(FIRST)][-15]]
    assert first_day(None) is None
    few = history.until(history.session[4])
    assert first_day(few) == few.session[0]


def test_only_public_events_are_kept_and_the_bundled_ones_count(store, history):
    bundled = bundled_events("NVDA").session
    moved = bundled[bundled < day(FIRST)][-1] + np.timedelta64(1, "D")  # the same event, off by one
    bars = dataclasses.replace(
        bars_until(history, SECOND), events=Events(np.array([day("2024-01-10"), moved]))
    )
    refit_on(store, history, SECOND, fetch=lambda _: bars)
    kept = kept_prices(store).events.session
    assert day("2024-01-10") in kept and moved not in kept
    assert kept[-1] == bundled[bundled < day(FIRST)][-1] < bundled[-1]


# The ledger


def test_every_publication_writes_down_three_models_at_six_horizons(store, history, monkeypatch):
    monkeypatch.setattr(refitting_module, "HORIZONS", HORIZONS)
    refit_on(store, history, SECOND)
    for origin, found in ((FIRST, written(store)[:18]), (SECOND, written(store)[18:])):
        assert {(each.entry.model, each.entry.horizon) for each in found} == {
            (model, horizon)
            for model in ("belief", "garch_t", "random_walk")
            for horizon in (1, 5, 21, 63, 126, 252)
        }
        assert len(found) == 18
        assert {each.entry.origin for each in found} == {day(origin)}
        assert {each.entry.made_at for each in found} == {f"{origin}T21:00:00+00:00"}
        assert all(each.entry.live and each.score is None for each in found)


def test_what_is_written_down_is_what_the_published_model_forecasts(store):
    prices, fitted = kept_prices(store), published(store).fitted
    targets = [session_after(day(FIRST), horizon) for horizon in (1, 5, 21, 63, 126, 252)]
    held = [forecast_of(each) for each in written(store) if each.entry.model == "belief"]
    for recorded, forecast in zip(held, forecasts(fitted, prices, targets), strict=True):
        assert recorded.target == forecast.target
        np.testing.assert_allclose(
            recorded.log_return_quantile, forecast.log_return_quantile, atol=1e-9
        )


def test_a_reference_that_cannot_be_fitted_is_left_out(store, history, monkeypatch):
    def without_garch(model, prices, **arguments):
        if model == "garch_t":
            raise FitError("not today")
        return fit(model, prices, **arguments)

    monkeypatch.setattr(refitting_module, "fit", without_garch)
    assert refit_on(store, history, SECOND).status == "published"
    assert {each.entry.model for each in written(store)[18:]} == {"belief", "random_walk"}


# No look-ahead


def garbage_after(prices, last):
    """The same prices, but whatever comes after a day is quite different."""
    after = prices.session > day(last)
    noise = np.exp(np.random.default_rng(7).normal(0.0, 0.05, after.sum()))
    columns = {name: getattr(prices, name).copy() for name in ("open", "high", "low", "close")}
    for values in columns.values():
        values[after] *= noise
    return dataclasses.replace(prices, **columns)


def test_prices_after_the_session_change_nothing_that_was_published(
    first_publication, history, tmp_path, monkeypatch
):
    """Even where the source already shows the row of a session that is still open."""
    made = []
    for number, prices in enumerate((history, garbage_after(history, SECOND))):
        path = tmp_path / f"{number}.db"
        path.write_bytes(first_publication)
        with YahooServer(prices, today=THIRD) as server, open_store(str(path)) as store:
            monkeypatch.setenv(yahoo.ADDRESS, server.url)
            noon = datetime.datetime.fromisoformat(f"{THIRD}T16:00+00:00")
            done = refit_on(
                store,
                history,
                SECOND,
                fetch=lambda first, now=noon: yahoo.fetch("NVDA", first=first, now=now),
                now=noon,
            )
            assert (done.status, done.as_of) == ("published", day(SECOND))
            made.append(said(store))
    assert made[0] == made[1]


def test_later_sessions_leave_earlier_publications_and_entries_as_they_were(store, history):
    before = said(store)
    refit_on(store, garbage_after(history, FIRST), SPLIT)
    assert published(store, day(THIRD)).fitted.to_json() == before[1]
    assert said(store)[0][:18] == before[0]


# What is refused


def test_prices_that_the_audit_refuses_leave_everything_as_it_was(store, history):
    before, prices = said(store), kept_prices(store).fingerprint()
    done = refit_on(store, stale_repeat(history, SECOND), SECOND)
    assert (done.status, done.as_of, done.checks) == ("refused", day(FIRST), ())
    assert len(done.reasons) == 1 and "stale repeat" in done.reasons[0]
    assert said(store) == before
    assert kept_prices(store).fingerprint() == prices
    assert refit_on(store, history, THIRD).change.n_sessions == 2


def test_a_first_load_that_is_refused_leaves_no_prices(empty_store, history):
    done = refit_on(empty_store, stale_repeat(history, SECOND), SECOND)
    assert (done.status, done.as_of) == ("refused", None)
    assert kept_prices(empty_store) is None


def unsettled(model, prices, **arguments):
    fitted = fit(model, prices, **arguments)
    return dataclasses.replace(fitted, converged=False) if model == "belief" else fitted


def test_a_model_that_the_gate_refuses_does_not_serve_but_its_prices_are_kept(
    store, history, monkeypatch
):
    before = said(store)
    with monkeypatch.context() as patched:
        patched.setattr(refitting_module, "fit", unsettled)
        done = refit_on(store, history, SECOND)
    assert (done.status, done.as_of, done.change) == ("refused", day(SECOND), None)
    assert done.reasons[0].startswith("convergence: the search did not settle")
    assert said(store) == before
    assert kept_prices(store).as_of == day(SECOND)
    again = refit_on(store, history, SECOND)
    assert (again.status, again.change.n_sessions) == ("published", 1)


def test_the_gate_is_asked_about_the_model_in_service_on_the_same_prices(
    store, history, monkeypatch
):
    asked = []

    def check(candidate, serving, observations, *, data_reason):
        asked.append((candidate, serving, observations.session[-1], data_reason))
        return ()

    monkeypatch.setattr(refitting_module, "check_model", check)
    before = published(store).fitted
    refit_on(store, history, SECOND)
    [(candidate, serving, last, reason)] = asked
    assert serving.trained_through == before.trained_through == day(FIRST)
    assert serving.known_through == candidate.known_through == last == day(SECOND)
    assert reason is None


# A jump of the belief with and without a reason in the data


@pytest.fixture
def no_jump(monkeypatch):
    """Let any difference between two fits count as a jump."""
    monkeypatch.setattr(refit_gate, "LARGEST_JUMP", 0.0)


def test_a_jump_without_a_reason_keeps_the_model_in_service(store, history, no_jump):
    done = refit_on(store, history, SECOND)
    assert done.status == "refused"
    assert [reason.partition(":")[0] for reason in done.reasons] == ["jump"]


def test_a_revised_row_is_a_reason(store, history, no_jump):
    revised = changed(history, FIRST, close=0.995 * history.close[history.session == day(FIRST)][0])
    done = refit_on(store, revised, SECOND)
    assert done.status == "published"
    assert f"revised at {FIRST}" in done.checks[2].reason


def test_a_revision_stays_a_reason_when_the_refit_that_took_it_was_cut_short(
    store, history, no_jump, monkeypatch
):
    revised = changed(history, FIRST, close=0.995 * history.close[history.session == day(FIRST)][0])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(refitting_module, "check_model", mock.Mock(side_effect=KeyboardInterrupt))
        refit_on(store, revised, SECOND)
    done = refit_on(store, revised, SECOND)
    assert done.audit.findings == ()
    assert done.status == "published"
    assert f"what was known at {FIRST} has been corrected" in done.checks[2].reason


@pytest.mark.parametrize("day, status", [("2024-09-05", "refused"), ("2024-09-06", "published")])
def test_more_than_63_new_sessions_are_a_reason(store, no_jump, day, status):
    assert refit_on(store, short_history("2024-09-06"), day).status == status


def test_a_row_that_was_kept_wrong_is_mended_by_fetching_anew(store, history, no_jump):
    right = changed(history, FIRST, low=1000.0, close=1050.0)
    before = said(store)
    done = refit_on(store, right, SECOND)
    assert done.status == "refused" and "revised" in done.reasons[0]
    asked = []
    done = refit_on(
        store,
        right,
        SECOND,
        anew=True,
        fetch=lambda first: asked.append(first) or bars_until(right, SECOND),
    )
    assert (asked, done.status) == ([None], "published")
    assert f"what was known at {FIRST} has been corrected" in done.checks[2].reason
    assert kept_prices(store).close[-2] == 1050.0
    assert said(store)[0][:18] == before[0]  # what was said stays said


# What goes wrong


def test_a_source_that_fails_leaves_everything_as_it_was(store, history):
    before = said(store)
    fail = mock.Mock(side_effect=SourceUnavailable("Yahoo Finance cannot be reached"))
    with pytest.raises(PricesError, match="cannot be reached"):
        refit_on(store, history, SECOND, fetch=fail)
    assert said(store) == before
    assert refit_on(store, history, SECOND).status == "published"  # nothing is held any more


def test_a_ledger_that_fails_takes_the_publication_with_it(store, history, monkeypatch):
    before = said(store)
    full = mock.Mock(side_effect=StoreError("the disk is full"))
    with monkeypatch.context() as patched:
        patched.setattr(refitting_module, "append", full)
        with pytest.raises(StoreError, match="full"):
            refit_on(store, history, SECOND)
    assert said(store) == before
    assert refit_on(store, history, SECOND).status == "published"


KILLED = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from daily import bars_until, evening, short_history
    from belief import refit
    from belief.store import open_store

    history = short_history("2024-06-14")
    refit.append = lambda *_: os._exit(3)
    with open_store(sys.argv[1]) as store:
        refit.refit(
            "NVDA", store, lambda _: bars_until(history, {day!r}), now=evening({day!r})
        )
"""


def script(text, **values):
    values |= {"tests": os.path.dirname(__file__)}
    return [sys.executable, "-c", textwrap.dedent(text).format(**values)]


def test_a_process_that_dies_while_publishing_leaves_the_last_good_model(store, history, tmp_path):
    before = said(store)
    died = subprocess.run([*script(KILLED, day=SECOND), str(tmp_path / "belief.db")], timeout=60)
    assert died.returncode == 3
    assert said(store) == before
    assert kept_prices(store).as_of == day(SECOND)  # these were taken before
    assert refit_on(store, history, SECOND).status == "published"


def test_a_model_that_is_damaged_is_replaced(store, history):
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE models SET body = replace(body, '1', '2')")
    done = refit_on(store, history, SECOND)
    assert done.status == "published"
    assert done.change.before is None
    assert published(store).session == day(SECOND)
