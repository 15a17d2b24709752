import dataclasses
import datetime
from pathlib import Path

import numpy as np
import pytest
from daily import bars_until, evening, short_history

from belief import refit as refitting_module
from belief.ledger import breaks, entries, forecast_of
from belief.refit import refit
from belief.sessions import session_after
from belief.store import open_store
from belief_tools.consult import Answer
from belief_tools.recording import record_answer, record_forecasts
from belief_tools.serving import Asked, serve

DAY = "2024-06-05"
NIGHT = evening(DAY)


@pytest.fixture(scope="module")
def refitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("refitted") / "belief.db"
    history = dataclasses.replace(short_history(DAY), source="Yahoo Finance")
    with open_store(str(path)) as store, pytest.MonkeyPatch.context() as patched:
        patched.setattr(refitting_module, "HORIZONS", (1, 5))
        patched.setattr(refitting_module, "REFERENCES", ())
        refit("NVDA", store, lambda _: bars_until(history, DAY), now=NIGHT)
    return path.read_bytes()


@pytest.fixture
def where(refitted, tmp_path, monkeypatch):
    path = tmp_path / "belief.db"
    path.write_bytes(refitted)
    monkeypatch.setenv("BELIEF_STORE", str(path))
    return path


@pytest.fixture
def tool(where):
    return serve(Asked(None, None, None, "belief", False, NIGHT))


@pytest.fixture
def tool_of_the_past(tool):
    return dataclasses.replace(tool, today=None, live=False)


def written(where):
    with open_store(str(where)) as store, store.read() as connection:
        assert not list(breaks(connection))
        return entries(connection)


def fresh(where):
    """What was written down after the refit's two forecasts."""
    return [each.entry for each in written(where)[2:]]


def target(horizon):
    return session_after(np.datetime64(DAY), horizon)


def called(tool, horizon):
    return tool.run(tool.check({"symbol": "NVDA", "target_date": str(target(horizon))}))


def answered(tool, *horizons, **changes):
    """An answer that rests on the forecasts at these horizons; the last one is its result."""
    results = [called(tool, horizon) for horizon in horizons]
    values = {
        "question": "What will Nvidia cost?",
        "text": "About as much.",
        "result": results[-1] if results else None,
        "consulted_by": "model",
        "tool_calls": tuple(
            {"name": "forecast_price", "arguments": {}, "by": "model", "result": each.to_dict()}
            for each in results
        ),
        "prediction": {"price": 1.0, "low": 1.0, "high": 2.0, "prob_up": 0.5, "reasons": ""},
        "checks": {"passed": True, "findings": [], "rejected": None},
        "model": "a language model",
        "stop_reason": "answered",
        "notes": (),
        "receipt": (),
    }
    return Answer(**(values | changes))


def test_what_is_shown_is_written_down_as_it_was_shown(tool, where):
    shown = [tool.forecast(target(3)), tool.forecast(target(9))]
    record_forecasts(tool, shown, NIGHT)
    for entry, recorded, forecast in zip(fresh(where), written(where)[2:], shown, strict=True):
        assert (entry.kind, entry.model, entry.live) == ("forecast", "belief", True)
        assert entry.made_at == "2024-06-05T21:00:00+00:00"
        assert (entry.origin, entry.target, entry.horizon) == (
            np.datetime64(DAY),
            forecast.target,
            forecast.horizon,
        )
        held = forecast_of(recorded).log_return_quantile
        np.testing.assert_allclose(held, forecast.log_return_quantile, atol=1e-9)


def test_a_forecast_is_written_down_once_whoever_shows_it(tool, where):
    record_forecasts(tool, [tool.forecast(target(5))], NIGHT)  # the refit wrote this down
    assert fresh(where) == []
    for _ in range(2):
        record_forecasts(tool, [tool.forecast(target(3))], NIGHT)
    assert len(fresh(where)) == 1


def test_forecasts_for_a_day_that_was_asked_for_are_not_live(tool_of_the_past, where):
    record_forecasts(tool_of_the_past, [tool_of_the_past.forecast(target(3))], NIGHT)
    assert [entry.live for entry in fresh(where)] == [False]


def test_a_forecast_made_after_its_target_opened_is_not_live(tool, where):
    late = datetime.datetime.fromisoformat(f"{target(3)}T14:00+00:00")
    record_forecasts(tool, [tool.forecast(target(3)), tool.forecast(target(4))], late)
    assert [entry.live for entry in fresh(where)] == [False, True]


def test_an_answer_follows_the_forecasts_it_rests_on(tool, where):
    given = answered(tool, 9, 3)
    record_answer(tool, given, NIGHT)
    early, late, answer = fresh(where)
    assert [each.kind for each in (early, late, answer)] == ["forecast", "forecast", "answer"]
    assert (early.target, late.target) == (target(3), target(9))
    assert {call["result"]["forecast_id"] for call in answer.body["tool_calls"]} == {
        early.name,
        late.name,
    }
    assert (answer.origin, answer.target, answer.horizon) == (np.datetime64(DAY), target(3), 3)
    assert (answer.model, answer.live) == ("a language model", True)
    assert answer.body["text"] == given.text
    assert answer.body["last_close"] == tool.prices.last_close


def test_a_call_that_failed_is_kept_without_a_forecast(tool, where):
    failed = {"name": "forecast_price", "arguments": {}, "by": "model", "error": "no such day"}
    record_answer(tool, answered(tool, 3, tool_calls=(failed,)), NIGHT)
    assert [each.kind for each in fresh(where)] == ["forecast", "answer"]  # that of its result
    assert fresh(where)[1].body["tool_calls"] == [failed]


def test_an_answer_without_a_price_is_written_down_without_a_target(tool, where):
    record_answer(tool, answered(tool, prediction=None, model=None), NIGHT)
    [answer] = fresh(where)
    assert (answer.origin, answer.target, answer.horizon) == (None, None, None)


def test_the_same_question_at_another_moment_is_another_entry(tool, where):
    given = answered(tool)
    for seconds in (0, 0, 1):
        record_answer(tool, given, NIGHT + datetime.timedelta(seconds=seconds))
    assert len(fresh(where)) == 2


@pytest.mark.parametrize("asked", ["past", "late"])
def test_an_answer_in_hindsight_is_not_live(tool, tool_of_the_past, where, asked):
    if asked == "past":
        record_answer(tool_of_the_past, answered(tool, 3), NIGHT)
    else:
        record_answer(tool, answered(tool, 3), evening(target(3)))
    assert [entry.live for entry in fresh(where)] == [False, False]


def test_words_no_encoding_can_carry_are_written_down_all_the_same(tool, where):
    record_answer(tool, answered(tool, question="What \udcff will it cost?"), NIGHT)
    [answer] = fresh(where)
    assert answer.body["question"] == "What \udcff will it cost?"


def test_a_ledger_that_fails_costs_one_line_and_nothing_else(tool, where, capsys):
    for path in (where, Path(f"{where}-wal"), Path(f"{where}-shm")):
        path.unlink(missing_ok=True)
    where.write_text("these are somebody's notes, and no database")
    record_forecasts(tool, [tool.forecast(target(3))], NIGHT)
    record_answer(tool, answered(tool, 3), NIGHT)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("belief: this is not in the ledger: the store") for line in lines)


def test_without_a_store_one_is_made_for_what_is_said(tool, tmp_path, monkeypatch):
    new = tmp_path / "new" / "belief.db"
    monkeypatch.setenv("BELIEF_STORE", str(new))
    record_forecasts(tool, [tool.forecast(target(3))], NIGHT)
    assert [each.entry.target for each in written(new)] == [target(3)]
