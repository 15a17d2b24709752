import dataclasses
import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from daily import evening
from published import FIRST, SECOND, fitted_through, keep_prices, put_in_service, renamed

from belief import models
from belief import store as stored
from belief.errors import FitError, StalePrices, UnknownSymbol, UsageError
from belief.events import Events
from belief.prices import Split
from belief.store import open_store, standing
from belief_tools import forecast_tool, serving, shared_desk
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk


def desk_at(moment=None, **changes):
    asked = Asked(None, None, None, "belief", False, evening(FIRST), may_fit=False)
    moment = evening(FIRST) if moment is None else moment
    return SharedDesk(dataclasses.replace(asked, **changes), lambda: moment)


@pytest.fixture
def served(monkeypatch):
    """The symbols that tools were put together for."""
    symbols = []

    def serve(asked):
        symbols.append(asked.symbol)
        return serving.serve(asked)

    monkeypatch.setattr(shared_desk, "serve", serve)
    return symbols


def test_many_calls_at_a_time_share_one_tool_of_each_symbol(where, served):
    put_in_service(where, *renamed(FIRST, "AMD"))
    desk, begun = desk_at(), threading.Barrier(20)

    def ask(n):
        begun.wait()
        return desk.tool("AMD" if n % 2 else "NVDA")

    with ThreadPoolExecutor(20) as threads:
        tools = list(threads.map(ask, range(20)))
    assert [tool.prices.symbol for tool in tools] == ["NVDA", "AMD"] * 10
    assert len({id(tool) for tool in tools}) == 2
    assert sorted(served) == ["AMD", "NVDA"]


def test_a_forecast_is_made_once_for_each_target(where, monkeypatch):
    tool, made = desk_at().tool("NVDA"), []

    def forecasts(fitted, prices, targets):
        made.extend(targets)
        return models.forecasts(fitted, prices, targets)

    monkeypatch.setattr(forecast_tool, "forecasts", forecasts)
    days = [np.datetime64(day) for day in ("2024-06-06", "2024-06-07")]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(tool.forecast, days * 8))
    assert sorted(made) == days
    assert [forecast.target for forecast in found] == days * 8


def test_a_forecast_is_not_that_of_a_tool_it_was_copied_from(where):
    tool, day = desk_at().tool("NVDA"), np.datetime64("2024-06-07")
    before = tool.forecast(day)
    prices, fitted = renamed(FIRST, "NVDA")
    assert dataclasses.replace(tool, prices=prices, fitted=fitted).forecast(day).last_close == 2 * (
        before.last_close
    )


def test_a_model_published_meanwhile_serves(where, served):
    desk = desk_at()
    assert str(desk.tool("NVDA").prices.as_of) == FIRST
    put_in_service(where, *fitted_through(SECOND))
    tool = desk.tool("NVDA")
    assert str(tool.fitted.trained_through) == SECOND
    assert tool.service == f"published {SECOND}"
    assert desk.tool("NVDA") is tool and len(served) == 2


def test_sessions_that_came_in_meanwhile_move_the_model_on(where):
    desk = desk_at()
    assert str(desk.tool("NVDA").prices.as_of) == FIRST
    keep_prices(where, fitted_through(SECOND)[0])
    tool = desk.tool("NVDA")
    assert (str(tool.fitted.trained_through), str(tool.prices.as_of)) == (FIRST, SECOND)
    assert str(desk.prices("NVDA").prices.as_of) == SECOND


def test_the_age_is_that_of_the_day_of_the_call(where):
    moment = [evening(FIRST)]
    asked = Asked(None, None, None, "belief", False, moment[0], may_fit=False)
    desk = SharedDesk(asked, lambda: moment[0])
    assert (desk.tool("NVDA").age_in_days, desk.prices("NVDA").age_in_days) == (0, 0)
    moment[0] += datetime.timedelta(days=3)
    assert (desk.tool("NVDA").age_in_days, desk.prices("NVDA").age_in_days) == (3, 3)


def test_live_prices_grow_too_old_while_the_program_runs(where):
    keep_prices(where, dataclasses.replace(fitted_through(FIRST)[0], source="Yahoo Finance"))
    moment = [evening(FIRST)]
    asked = Asked(None, None, None, "belief", False, moment[0], may_fit=False)
    desk = SharedDesk(asked, lambda: moment[0])
    assert desk.tool("NVDA").live
    moment[0] = evening("2024-06-14")
    for give in (desk.tool, desk.prices):
        with pytest.raises(StalePrices, match="7 sessions ago; run belief refit NVDA"):
            give("NVDA")
    assert desk_at(moment[0], stale_ok=True).tool("NVDA").age_in_days == 9


def test_nothing_is_fitted_unless_it_may(where, monkeypatch):
    fits = []
    monkeypatch.setattr(
        serving, "cached_fit", lambda _, prices: fits.append(prices) or fitted_through(FIRST)[1]
    )
    monkeypatch.setattr(serving, "code_fingerprint", lambda: "of another version")
    with pytest.raises(FitError, match=r"published.*run belief refit NVDA"):
        desk_at().tool("NVDA")
    assert not fits
    assert str(desk_at().prices("NVDA").prices.as_of) == FIRST
    assert desk_at(may_fit=True).tool("NVDA").service == "fitted now: no published model fits"
    assert len(fits) == 1


@pytest.mark.parametrize("symbol", [None, 5, ["NVDA"], "../etc", "x" * 10_000])
def test_what_is_no_symbol_is_refused_in_one_short_line(where, symbol):
    for give in (desk_at().tool, desk_at().prices):
        with pytest.raises(UsageError, match="NVDA") as caught:
            give(symbol)
        assert str(caught.value).isprintable() and len(str(caught.value)) < 200


def test_a_symbol_without_prices_can_be_asked_for_again_when_there_are(where):
    desk = desk_at()
    for give in (desk.tool, desk.prices):
        with pytest.raises(UnknownSymbol, match="of AMD, only of NVDA; belief refit AMD"):
            give("AMD")
    put_in_service(where, *renamed(FIRST, "AMD"))
    assert desk.tool("amd").prices.symbol == desk.prices("AMD").prices.symbol == "AMD"
    assert list(desk.names()) == ["NVDA", "AMD"]


# Past sessions

BEFORE = np.datetime64("2024-05-31")


@pytest.fixture
def fits(monkeypatch):
    """The prices that models were fitted to; each fit is that of the newest session, carried."""
    known = []

    def fitted(model, prices):
        known.append(prices)
        return dataclasses.replace(fitted_through(FIRST)[1], known_through=prices.as_of)

    monkeypatch.setattr(serving, "cached_fit", fitted)
    return known


def test_of_a_past_session_a_model_is_fitted_though_none_is_of_the_newest(where, fits):
    desk = desk_at()
    tool = desk.tool("NVDA", BEFORE)
    assert [prices.as_of for prices in fits] == [BEFORE] and tool.prices.as_of == BEFORE
    assert not tool.live and tool.age_in_days is None
    assert desk.tool("NVDA", BEFORE) is tool and len(fits) == 1
    newest = desk.tool("NVDA")
    assert newest.live and str(newest.prices.as_of) == FIRST and len(fits) == 1


def test_a_past_session_is_answered_for_as_serve_does(where):
    put_in_service(where, *fitted_through(SECOND))
    day = np.datetime64(FIRST)
    tool = desk_at(evening(SECOND)).tool("NVDA", day)
    asked = Asked("NVDA", None, day, "belief", False, evening(SECOND))
    alone = serving.serve(asked)
    assert tool.service == alone.service == f"published {FIRST}"
    assert (tool.live, tool.today) == (alone.live, alone.today) == (False, None)
    target = np.datetime64("2024-06-14")
    assert repr(tool.forecast(target)) == repr(alone.forecast(target))
    assert tool.prices.fingerprint() == alone.prices.fingerprint()


def test_nothing_of_the_past_is_known_later(where, fits):
    put_in_service(where, *fitted_through(SECOND))
    desk = desk_at(evening(SECOND))
    for tool in (desk.tool("NVDA", BEFORE), desk.prices("NVDA", BEFORE)):
        assert tool.prices.as_of == BEFORE and tool.prices.session[-1] == BEFORE
        assert tool.prices.fingerprint() == fitted_through(FIRST)[0].until(BEFORE).fingerprint()
    assert str(desk.prices("NVDA").prices.as_of) == SECOND


def test_the_newest_session_that_somebody_picks_is_of_the_past(where):
    tool = desk_at().tool("NVDA", np.datetime64(FIRST))
    assert str(tool.prices.as_of) == FIRST and not tool.live


def test_a_past_session_is_kept_overnight_and_until_the_prices_change(where, fits):
    moment = [evening(FIRST)]
    asked = Asked(None, None, None, "belief", False, moment[0], may_fit=False)
    desk = SharedDesk(asked, lambda: moment[0])
    tool = desk.tool("NVDA", BEFORE)
    moment[0] += datetime.timedelta(days=1)
    assert desk.tool("NVDA", BEFORE) is tool
    keep_prices(where, fitted_through(SECOND)[0])
    assert desk.tool("NVDA", BEFORE) is not tool


@pytest.mark.parametrize("day", ["1998-01-01", "2024-06-06"])
def test_a_day_without_prices_is_refused(where, fits, day):
    for give in (desk_at().tool, desk_at().prices):
        with pytest.raises(UsageError, match=day):
            give("NVDA", np.datetime64(day))
    assert not fits


def test_the_whole_prices_are_those_that_are_stored_or_bundled(where, monkeypatch, tmp_path):
    desk = desk_at()
    whole = desk.uncut("nvda")
    assert str(whole.as_of) == FIRST and desk.uncut("NVDA") is whole
    keep_prices(where, fitted_through(SECOND)[0])
    assert str(desk.uncut("NVDA").as_of) == SECOND
    with pytest.raises(UnknownSymbol, match="of AMD, only of NVDA"):
        desk.uncut("AMD")
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "none.db"))
    assert str(desk.uncut("NVDA").as_of) == "2025-02-14"


def test_a_conversation_is_about_the_symbol_and_the_day_that_are_picked(where, fits):
    put_in_service(where, *renamed(FIRST, "AMD"))
    shared = desk_at()
    now, then = shared.desk(default="AMD"), shared.desk(BEFORE)
    assert (now.default, then.default, set(now.names)) == ("AMD", "NVDA", {"AMD", "NVDA"})
    assert now.tool("AMD") is shared.tool("AMD") and now.tool("AMD").live
    assert then.tool("NVDA") is shared.tool("NVDA", BEFORE) and not then.tool("NVDA").live


# What tells that a store has changed


def changed_close(prices):
    close = prices.close.copy()
    close[-40] = 0.5 * (prices.high[-40] + prices.low[-40])
    return dataclasses.replace(prices, close=close)


CHANGES = {
    "a close": changed_close,
    "a split": lambda p: dataclasses.replace(p, splits=(*p.splits, Split(p.session[9], 1.0))),
    "an event": lambda p: dataclasses.replace(p, events=Events(p.events.session[1:])),
    "the source": lambda p: dataclasses.replace(p, source="Yahoo Finance"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_the_prices_shows(where, what):
    prices = fitted_through(FIRST)[0]
    before = found(where)
    keep_prices(where, prices)
    assert found(where) == before
    keep_prices(where, CHANGES[what](prices))
    assert found(where) != before


def test_a_publication_and_a_score_show_and_other_symbols_do_not(where):
    before = found(where)
    put_in_service(where, *renamed(FIRST, "AMD"))
    assert found(where) == before
    put_in_service(where, *fitted_through(FIRST))
    after = found(where)
    assert after != before
    with open_store(str(where)) as store, store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO scores (symbol, number, scored_at, close, log_return) "
            "VALUES ('NVDA', 1, '2024-06-06', 1, 0)"
        )
    assert found(where) != after


def found(where):
    with open_store(str(where)) as store, store.read() as connection:
        assert stored.load_prices(connection, "NVDA") is not None
        return standing(connection, "NVDA")
