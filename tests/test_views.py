"""A person's view in the ledger, in its score, and in an answer."""

import dataclasses

import numpy as np
import pytest
from daily import belief, evening
from stored import MADE_AT, day, entry_of, made, opened

from belief.errors import UsageError
from belief.ledger import append, breaks, entries, entry_named, view_entry, view_of
from belief.ledger_scores import score_due
from belief.models import forecast_id
from belief.prices import Split
from belief.store import save_prices
from belief.view import View
from belief_tools.forecast_tool import ForecastTool

LATER = "2023-06-01T00:00:00+00:00"


def view_near(forecast, *, confidence=0.5):
    last = forecast.entry.body["last_close"]
    return View(median=last, low=0.95 * last, high=1.06 * last, confidence=confidence)


def with_a_view(store, prices, horizon=10):
    known = prices.until(prices.session[20])
    with store.write() as connection:
        save_prices(connection, prices)
        append(connection, prices.symbol, [entry_of(known, horizon)])
        [forecast] = entries(connection, symbol=prices.symbol)
        view = view_near(forecast)
        entry = view_entry(forecast, view, "a hunch", made_at=MADE_AT)
        append(connection, prices.symbol, [entry])
    return forecast, view, entry


def test_a_view_is_kept_in_the_chain_and_comes_back(tmp_path):
    with opened(tmp_path) as store:
        forecast, view, entry = with_a_view(store, made())
        with store.read() as connection:
            found = entry_named(connection, entry.name)
            assert list(breaks(connection)) == []
        assert view_of(found) == view
        assert found.entry.body["note"] == "a hunch"
        assert found.entry.body["forecast"] == forecast.entry.name


def test_a_view_is_scored_beside_the_forecast_with_the_same_close(tmp_path):
    prices = made()
    with opened(tmp_path) as store:
        _, view, _ = with_a_view(store, prices)
        with store.write() as connection:
            score_due(connection, prices.symbol, prices, LATER)
            forecast, own = (each.score for each in entries(connection))
    close = prices.close[30]
    assert forecast["close"] == own["close"] == pytest.approx(close, rel=1e-12)
    assert own["absolute_error"] == pytest.approx(abs(view.median - close), rel=1e-12)
    assert own["covered_90"] == (view.low <= close <= view.high)
    width, below, above = view.high - view.low, view.low - close, close - view.high
    penalty = 20.0 * (max(below, 0.0) + max(above, 0.0))
    assert own["interval_score"] == pytest.approx(width + penalty, rel=1e-9)
    assert own["log_score"] is None and own["brier"] is None


def test_a_view_of_before_a_split_is_scored_in_the_dollars_of_its_day(tmp_path):
    plain = made()
    split = made(splits=(Split(plain.session[25], 4.0),))
    with opened(tmp_path) as store:
        _, view, entry = with_a_view(store, split)
        with store.write() as connection:
            score_due(connection, split.symbol, split, LATER)
            own = entry_named(connection, entry.name).score
    assert own["absolute_error"] == pytest.approx(abs(view.median - plain.close[30]), rel=1e-9)


def test_a_view_moves_into_later_dollars_with_a_split(tmp_path):
    with opened(tmp_path) as store:
        _, view, entry = with_a_view(store, made())
        with store.read() as connection:
            moved = view_of(entry_named(connection, entry.name), factor=4.0)
    assert moved == View(view.median / 4, view.low / 4, view.high / 4, view.confidence)


def test_only_a_forecast_can_be_viewed(tmp_path):
    with opened(tmp_path) as store:
        _, view, entry = with_a_view(store, made())
        with store.read() as connection:
            found = entry_named(connection, entry.name)
        bare = dataclasses.replace(found.entry, origin=None, target=None, horizon=None)
        with pytest.raises(UsageError, match="forecasts nothing"):
            view_entry(dataclasses.replace(found, entry=bare), view, "", made_at=MADE_AT)


def test_the_tool_takes_a_view_in_and_says_so(tool: ForecastTool):
    target = day("2024-03-28")
    view = View(median=900.0, low=800.0, high=1000.0, confidence=0.5)
    viewed = dataclasses.replace(tool, views={str(target): view})
    arguments = tool.check({"symbol": "NVDA", "target_date": str(target), "price_levels": [900.0]})
    before, after = tool.run(arguments), viewed.run(arguments)
    mixed = 0.5 * 0.5 + 0.5 * before.prob_above[0]["probability"]
    assert after.prob_above[0]["probability"] == pytest.approx(mixed, abs=5e-3)
    assert before.median < after.median < 900.0
    assert any("blended with your view: $900 ($800 to $1,000)" in note for note in after.notes)
    assert after.track_record is None
    assert after.forecast_id == forecast_id(tool.fitted, target, view) != before.forecast_id


def test_other_targets_are_left_alone(tool: ForecastTool):
    view = View(median=900.0, low=800.0, high=1000.0, confidence=0.5)
    viewed = dataclasses.replace(tool, views={"2024-03-28": view})
    same = {"symbol": "NVDA", "target_date": "2024-04-05", "price_levels": None}
    alone, usual = viewed.run(viewed.check(same)), tool.run(tool.check(same))
    assert dataclasses.replace(alone, notes=usual.notes) == usual
    assert any("no view of yours is recorded for 2024-04-05" in note for note in alone.notes)


def test_the_command_records_a_view_and_refuses_what_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    with opened(tmp_path) as store:
        forecast, view, _ = with_a_view(store, made())
    name, at = forecast.entry.name, evening(np.datetime64("2023-02-01"))
    points = ["--median", str(view.median), "--low", str(view.low), "--high", str(view.high)]
    done = belief("ledger", "view", name, *points, "--note", "because", at=at)
    assert done.code == 0 and "note         because" in done.out
    unordered = ["--median", "1", "--low", "2", "--high", "3"]
    refused = belief("ledger", "view", name, *unordered, at=at)
    assert refused.code == 2 and "in this order" in refused.err
    assert belief("ledger", "verify", at=at).code == 0
    listed = belief("ledger", at=at)
    assert listed.out.count("your view:") == 2
    assert belief("ledger", "export", str(tmp_path / "all.csv"), at=at).code == 0
    assert "because" in (tmp_path / "all.csv").read_text("utf-8")
