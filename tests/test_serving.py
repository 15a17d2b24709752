import csv
import dataclasses
import datetime

import numpy as np
import pytest
from daily import bars_until, evening, short_history

from belief import refit as refitting_module
from belief import store as stored
from belief.bars import bars_of
from belief.errors import StalePrices, StoreError, UnknownSymbol, UsageError
from belief.models import carry
from belief.refit import refit
from belief.sessions import session_after
from belief.sources import load_prices
from belief.store import open_store
from belief_tools import serving
from belief_tools.serving import Asked, serve, sessions_behind, stored_or_named

DAY = "2024-06-05"


@pytest.fixture(scope="module")
def history():
    return dataclasses.replace(short_history("2024-07-19"), source="Yahoo Finance")


@pytest.fixture(scope="module")
def refitted(history, tmp_path_factory):
    path = tmp_path_factory.mktemp("refitted") / "belief.db"
    with open_store(str(path)) as store, pytest.MonkeyPatch.context() as patched:
        patched.setattr(refitting_module, "HORIZONS", (1,))
        refit("NVDA", store, lambda _: bars_until(history, DAY), now=evening(DAY))
    return path.read_bytes()


@pytest.fixture
def where(tmp_path, monkeypatch):
    path = tmp_path / "belief.db"
    monkeypatch.setenv("BELIEF_STORE", str(path))
    return path


@pytest.fixture
def store(refitted, where):
    where.write_bytes(refitted)
    with open_store(str(where)) as opened:
        yield opened


@pytest.fixture
def fitted_now(monkeypatch):
    """Which models were fitted for an answer, instead of any fit."""
    asked = []
    monkeypatch.setattr(
        serving, "cached_fit", lambda model, prices: asked.append((model, prices.as_of)) or None
    )
    return asked


def day(text):
    return np.datetime64(text, "D")


def asked(**changes):
    values = {"symbol": None, "csv": None, "as_of": None, "model": "belief", "stale_ok": False}
    return Asked(**(values | {"now": evening(DAY)} | changes))


def published(store):
    with store.read() as connection:
        return stored.published(connection, "NVDA")


def replace_prices(store, prices):
    with store.write() as connection:
        stored.save_prices(connection, prices)


# What answers


def test_without_a_store_the_snapshot_answers_and_none_is_made(where, fitted_now):
    tool = serve(asked())
    assert tool.prices.source == "bundled snapshot"
    assert not tool.service.startswith("published")
    assert fitted_now == [("belief", day("2025-02-14"))]
    assert not where.exists()


def test_the_published_model_answers_from_the_prices_of_the_store(store, fitted_now):
    tool = serve(asked())
    assert not fitted_now
    assert tool.fitted.to_json() == published(store).fitted.to_json()
    assert (tool.prices.as_of, tool.prices.source) == (day(DAY), "Yahoo Finance")
    assert tool.service == f"published {DAY}"
    assert tool.age_in_days == 0


def test_names_of_a_symbol_lead_to_the_same_model(store, fitted_now):
    for name in ("NVDA", "nvda", " Nvidia "):
        assert serve(asked(symbol=name)).service == f"published {DAY}"
    assert not fitted_now


def test_new_prices_move_the_published_model_on(store, history, fitted_now):
    replace_prices(store, history.until(day("2024-06-07")))
    tool = serve(asked(now=evening("2024-06-07")))
    assert not fitted_now
    assert tool.fitted.known_through == day("2024-06-07")
    wanted = carry(published(store).fitted, history.until(day("2024-06-07")))
    assert tool.fitted.to_json() == wanted.to_json()


def test_a_published_model_speaks_for_a_month_and_no_longer(store, history, fitted_now):
    last = session_after(day(DAY), 22)
    replace_prices(store, history.until(last))
    before = session_after(day(DAY), 21)
    assert serve(asked(as_of=before)).service == f"published {DAY}"
    assert not fitted_now
    assert not serve(asked(as_of=last)).service.startswith("published")
    assert fitted_now == [("belief", last)]
    # of today the last good model speaks, however old it is, and says so
    assert serve(asked(now=evening(last))).service == f"published {DAY}"


def test_a_model_of_prices_that_were_corrected_does_not_speak_of_an_earlier_day(
    store, history, fitted_now
):
    close = history.close.copy()
    close[-40] = 0.5 * (history.low[-40] + history.high[-40])
    replace_prices(store, dataclasses.replace(history, close=close).until(day("2024-06-07")))
    assert not serve(asked(as_of=day(DAY))).service.startswith("published")
    assert fitted_now == [("belief", day(DAY))]


def test_what_was_asked_of_an_earlier_day_or_a_file_is_not_live(store, tmp_path):
    assert serve(asked()).live
    assert not serve(asked(as_of=day(DAY))).live


def test_a_model_that_knew_more_than_the_day_asked_for_does_not_answer(store, fitted_now):
    tool = serve(asked(as_of=day("2024-06-04")))
    assert fitted_now == [("belief", day("2024-06-04"))]
    assert (tool.prices.as_of, tool.age_in_days) == (day("2024-06-04"), None)
    assert not tool.service


def test_of_several_publications_the_last_that_knew_no_more_answers(store, history, fitted_now):
    before = published(store).fitted.to_json()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(refitting_module, "HORIZONS", (1,))
        refit("NVDA", store, lambda _: bars_until(history, "2024-06-07"), now=evening("2024-06-07"))
    assert published(store).fitted.to_json() != before
    assert serve(asked(as_of=day(DAY))).fitted.to_json() == before
    assert serve(asked(as_of=day("2024-06-06"))).fitted.trained_through == day(DAY)
    assert serve(asked(now=evening("2024-06-07"))).service == "published 2024-06-07"
    assert not fitted_now


def test_other_models_are_fitted_to_the_prices_of_the_store(store, fitted_now):
    tool = serve(asked(model="few_state"))
    assert fitted_now == [("few_state", day(DAY))]
    assert tool.prices.source == "Yahoo Finance"


def test_a_model_of_another_program_does_not_serve(store, fitted_now, monkeypatch):
    monkeypatch.setattr(serving, "code_fingerprint", lambda: "another")
    assert serve(asked()).service.startswith("published") is False
    assert fitted_now == [("belief", day(DAY))]


def test_a_model_of_another_history_does_not_serve(store, history, fitted_now):
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM prices WHERE session < '2023-05-01'")
    replace_prices(store, history.until(day("2024-06-07")))
    with store.write() as connection:
        connection.exec_driver_sql("DELETE FROM prices WHERE session < '2023-05-01'")
    assert serve(asked(now=evening("2024-06-07"))).service.startswith("published") is False
    assert fitted_now == [("belief", day("2024-06-07"))]


def test_a_file_answers_in_place_of_the_store(store, fitted_now, tmp_path):
    path = tmp_path / "NVDA.csv"
    prices = load_prices("NVDA").until(day("2024-03-01"))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Date", "Open", "High", "Low", "Close"])
        columns = (prices.session, prices.open, prices.high, prices.low, prices.close)
        rows.writerows(list(zip(*(column[-300:] for column in columns), strict=True)))
    tool = serve(asked(csv=path))
    assert (tool.prices.as_of, tool.service, tool.live) == (day("2024-03-01"), "", False)
    assert stored_or_named(None, path).as_of == day("2024-03-01")


def test_a_symbol_the_store_has_no_prices_of_is_looked_for_elsewhere(store, fitted_now):
    with store.write() as connection:
        for table in ("publications", "models", "prices", "splits", "events", "symbols"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    assert serve(asked()).prices.source == "bundled snapshot"
    assert stored_or_named(None, None).source == "bundled snapshot"
    with pytest.raises(UnknownSymbol, match="belief refit AMD"):
        serve(asked(symbol="AMD"))


@pytest.mark.parametrize("symbol", ["../../etc", "a b", "", "x" * 21, "N\x1b[31m"])
def test_what_cannot_be_a_symbol_is_refused_on_one_line(store, symbol):
    with pytest.raises(UsageError, match="is not a symbol") as caught:
        serve(asked(symbol=symbol))
    assert str(caught.value).isprintable()


# How old prices may be


def test_five_sessions_behind_are_answered_from_and_six_are_not(store, fitted_now):
    for behind in range(1, 6):
        tool = serve(asked(now=evening(session_after(day(DAY), behind))))
        assert tool.prices.as_of == day(DAY)
    assert tool.age_in_days == 7
    with pytest.raises(StalePrices) as caught:
        serve(asked(now=evening(session_after(day(DAY), 6))))
    assert str(caught.value) == (
        "the prices of NVDA end on 2024-06-05, 6 sessions ago; run belief refit NVDA, or pass "
        "--stale-ok to be answered from them"
    )


def test_a_session_counts_once_its_close_is_settled(store, fitted_now):
    sixth = evening(session_after(day(DAY), 6)) - datetime.timedelta(hours=1)  # its close
    serve(asked(now=sixth + datetime.timedelta(minutes=19)))
    with pytest.raises(StalePrices):
        serve(asked(now=sixth + datetime.timedelta(minutes=20)))


def test_week_ends_and_holidays_are_no_sessions(store):
    prices = stored_or_named(None, None)
    for moment, behind in (
        (evening("2024-06-07"), 2),
        (datetime.datetime(2024, 6, 9, 12, tzinfo=datetime.UTC), 2),  # Sunday
        (evening("2024-06-18"), 9),
        (datetime.datetime(2024, 6, 19, 23, tzinfo=datetime.UTC), 9),  # Juneteenth
    ):
        assert sessions_behind(prices, moment) == behind


def test_old_prices_answer_those_who_accept_them_and_say_their_age(store, fitted_now):
    tool = serve(asked(now=evening("2024-08-05"), stale_ok=True))
    assert tool.service == f"published {DAY}"
    assert tool.age_in_days == 61


def test_a_day_asked_for_is_never_stale(store, fitted_now):
    assert serve(asked(now=evening("2024-08-05"), as_of=day(DAY))).service == f"published {DAY}"


def test_prices_that_are_not_live_are_never_stale(store, history, fitted_now):
    replace_prices(store, dataclasses.replace(history.until(day(DAY)), source="bundled snapshot"))
    assert serve(asked(now=evening("2024-08-05"))).service == f"published {DAY}"


# A store in trouble


def test_a_damaged_model_says_so_and_what_to_do(store, fitted_now):
    with store.write() as connection:
        connection.exec_driver_sql("UPDATE models SET body = replace(body, '1', '2')")
    with pytest.raises(StoreError, match=r"is damaged.*run belief refit"):
        serve(asked())


def test_a_store_that_is_none_is_an_error_and_stays_as_it_is(where, fitted_now):
    where.write_text("this is no database, but somebody's notes")
    with pytest.raises(StoreError, match="not a database"):
        serve(asked())
    assert where.read_text().startswith("this is")


def test_the_prices_of_the_store_are_those_a_backtest_reads(store):
    assert bars_of(stored_or_named(None, None)).source == "Yahoo Finance"
    assert stored_or_named("nvidia", None).as_of == day(DAY)
