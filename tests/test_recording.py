import csv
import dataclasses
import datetime
import json
import re
from pathlib import Path

import numpy as np
import pytest
from chat_server import KEY, chat_server, failed
from daily import bars_until, belief, evening, short_history

from belief import refit as refitting_module
from belief.errors import LanguageModelError, UnknownSymbol
from belief.ledger import breaks, entries, forecast_of
from belief.ledger_scores import score_due
from belief.refit import refit
from belief.sessions import session_after
from belief.store import open_store
from belief_tools.answer import Answer
from belief_tools.asking import answer_all
from belief_tools.chat import Conversation
from belief_tools.desk import desk_of
from belief_tools.recording import (
    ConversationLog,
    Place,
    Written,
    record_answer,
    record_failure,
    record_forecasts,
)
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
        "symbol": "NVDA",
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


def test_a_call_of_another_tool_is_kept_without_a_forecast(tool, where):
    other = {"summary": "Its highest close was $1,224.", "symbol": "NVDA", "target": "highest"}
    call = {"name": "price_history", "arguments": {}, "by": "model", "result": other}
    record_answer(tool, answered(tool, prediction=None, tool_calls=(call,)), NIGHT)
    [answer] = fresh(where)
    assert answer.body["tool_calls"] == [call]
    shown = belief("ledger", "show", answer.name, at=NIGHT)
    assert shown.code == 0 and "result       Its highest close was $1,224." in shown.out


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


# Conversations

PLACE = Place("0123456789ab", 2)


def test_an_answer_keeps_its_place_in_a_conversation(tool, where):
    record_answer(tool, answered(tool), NIGHT, PLACE)
    record_answer(tool, answered(tool), NIGHT)
    placed, without = fresh(where)
    assert (placed.body["conversation"], placed.body["turn"]) == ("0123456789ab", 2)
    assert not {"conversation", "turn"} & set(without.body)
    shown = belief("ledger", "show", placed.name, at=NIGHT).out
    assert "conversation 0123456789ab, turn 2\n" in shown
    assert "conversation" not in belief("ledger", "show", without.name, at=NIGHT).out


def test_a_question_that_is_repeated_at_once_is_another_turn(tool, where):
    for turn in (1, 2, 2):
        record_answer(tool, answered(tool), NIGHT, Place("0123456789ab", turn))
    assert [entry.body["turn"] for entry in fresh(where)] == [1, 2]


def test_the_turns_of_a_log_are_of_one_conversation(tool, where):
    log = ConversationLog(lambda: NIGHT)
    log.answer(tool, answered(tool, question="first"))
    log.failure(tool, "second", UnknownSymbol("the question is about AMD"))
    log.answer(tool, answered(tool, question="third"))
    bodies = [entry.body for entry in fresh(where)]
    assert [(body["question"], body["turn"]) for body in bodies] == [
        ("first", 1),
        ("second", 2),
        ("third", 3),
    ]
    assert len({body["conversation"] for body in bodies}) == 1


def test_conversations_that_begin_at_once_with_the_same_question_are_two(tool, where):
    logs = [ConversationLog(lambda: NIGHT) for _ in range(2)]
    names = [log.answer(tool, answered(tool, question="first")).name for log in logs]
    entries = fresh(where)
    assert [entry.name for entry in entries] == names and len(set(names)) == 2
    conversations = [entry.body["conversation"] for entry in entries]
    assert conversations == [log.conversation for log in logs] and len(set(conversations)) == 2
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in conversations)


def test_a_log_says_under_which_name_an_answer_and_a_failure_are(tool, where):
    log = ConversationLog(lambda: NIGHT)
    written = [
        log.answer(tool, answered(tool, 3)),
        log.failure(tool, "And AMD?", UnknownSymbol("the question is about AMD")),
    ]
    _, answer, failure = fresh(where)
    assert written == [Written(answer.name, None), Written(failure.name, None)]


# Questions that failed


def test_a_question_that_failed_is_an_answer_whose_text_is_the_error(tool, where):
    record_failure(tool, "And AMD?", "the question is\n about \x1bAMD", NIGHT, PLACE)
    [entry] = fresh(where)
    assert (entry.kind, entry.live, entry.model, entry.target) == ("answer", True, None, None)
    body = entry.body
    assert (body["question"], body["text"]) == ("And AMD?", "the question is about AMD")
    assert (body["stop_reason"], body["prediction"], body["tool_calls"]) == ("error", None, [])
    assert (body["conversation"], body["turn"]) == ("0123456789ab", 2)


def test_a_failure_has_all_that_an_answer_without_a_result_has(tool, where):
    record_answer(tool, answered(tool), NIGHT, PLACE)
    record_failure(tool, "And AMD?", "no", NIGHT, PLACE)
    answer, failure = fresh(where)
    assert set(answer.body) == set(failure.body)


def test_every_command_of_the_ledger_bears_a_failure(tool, where, tmp_path, monkeypatch):
    monkeypatch.setattr(refitting_module, "HORIZONS", (1, 5))
    record_answer(tool, answered(tool, 1), NIGHT, Place("0123456789ab", 1))
    record_failure(tool, "And AMD?", "the question is about AMD", NIGHT, PLACE)
    name, late = fresh(where)[-1].name, evening("2024-06-10")
    for command in (
        ("score",),
        ("score", "--json"),
        ("ledger", "verify"),
        ("ledger", "--json"),
        ("ledger", "export", str(tmp_path / "ledger.csv")),
    ):
        assert belief(*command, at=late).code == 0, command
    assert written(where)[-1].score is None
    listed = belief("ledger", at=late).out.splitlines()
    assert listed[-2].endswith("What will Nvidia cost?")
    assert listed[-1].endswith("And AMD? [error]")
    shown = belief("ledger", "show", name, at=late).out
    assert "error        the question is about AMD\n" in shown and "answer   " not in shown
    lines = (tmp_path / "ledger.csv").read_text("utf-8").splitlines()
    *_, row = csv.DictReader(lines)
    assert (row["stop_reason"], row["text"]) == ("error", "the question is about AMD")
    assert (row["conversation"], row["turn"]) == ("0123456789ab", "2")


def test_a_failure_is_not_scored_though_its_day_comes(tool, where):
    days = short_history("2024-06-10")
    record_answer(tool, answered(tool, 1), NIGHT, Place("0123456789ab", 1))
    record_failure(tool, "And AMD?", "the question is about AMD", NIGHT, PLACE)
    with open_store(str(where)) as store, store.write() as connection:
        scored, closeless = score_due(connection, "NVDA", days, "2024-06-10T21:00:00+00:00")
    assert [each.entry.kind for each in scored] == ["forecast", "answer"]
    assert not [each for each in closeless if each.entry.kind == "answer"]


def test_an_error_that_was_told_about_a_key_is_written_down_without_it(tool, where):
    with chat_server([failed(401, f"Incorrect API key provided: {KEY}")]) as server:
        with pytest.raises(LanguageModelError) as error:
            server.endpoint().chat([{"role": "user", "content": "hi"}], max_tokens=9)
    record_failure(tool, "What will Nvidia cost?", str(error.value), NIGHT)
    [entry] = fresh(where)
    assert "401" in entry.body["text"]
    assert KEY not in json.dumps(entry.body)


def test_words_no_encoding_can_carry_are_written_down_all_the_same(tool, where):
    record_answer(tool, answered(tool, question="What \udcff will it cost?"), NIGHT)
    [answer] = fresh(where)
    assert answer.body["question"] == "What \udcff will it cost?"


@pytest.fixture
def no_ledger(tool, where):
    for path in (where, Path(f"{where}-wal"), Path(f"{where}-shm")):
        path.unlink(missing_ok=True)
    where.write_text("these are somebody's notes, and no database")


def test_a_ledger_that_fails_is_told_and_costs_nothing_else(tool, no_ledger, capsys):
    log = ConversationLog(lambda: NIGHT)
    written = [log.answer(tool, answered(tool, 3)), log.failure(tool, "?", UnknownSymbol("no"))]
    problems = [*(each.problem for each in written)]
    problems.append(record_forecasts(tool, [tool.forecast(target(3))], NIGHT))
    assert [each.name for each in written] == [None, None]
    assert all(each.startswith("this is not in the ledger: the store") for each in problems)
    assert capsys.readouterr() == ("", "")  # who records does not print


@pytest.mark.parametrize("talks", ["chat", "ask"])
def test_at_a_terminal_a_ledger_that_fails_costs_one_line(tool, no_ledger, capsys, talks):
    log, asked = ConversationLog(lambda: NIGHT), "What was Nvidia's price on 2024-05-31?"
    if talks == "chat":
        how = {"mode": "tool", "streams": False, "waits": False}
        Conversation(desk_of(tool), pytest.fail, log=log, **how).take(asked)
    else:
        answer_all([asked], desk_of(tool), pytest.fail, mode="tool", log=log, as_json=False)
    captured = capsys.readouterr()
    assert "2024-05-31" in captured.out
    [line] = captured.err.splitlines()
    assert line.startswith("belief: this is not in the ledger: the store")


def test_without_a_store_one_is_made_for_what_is_said(tool, tmp_path, monkeypatch):
    new = tmp_path / "new" / "belief.db"
    monkeypatch.setenv("BELIEF_STORE", str(new))
    record_forecasts(tool, [tool.forecast(target(3))], NIGHT)
    assert [each.entry.target for each in written(new)] == [target(3)]
