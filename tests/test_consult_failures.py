"""Servers in trouble leave an answer all the same."""

import pytest
from chat_server import (
    KEY,
    chat_server,
    cut,
    drip,
    failed,
    hang_up,
    message,
    not_json,
    raw,
    refuses_key,
    silence,
    stall,
    text,
    tool_call,
    without_choices,
)
from consulted import (
    BESIDE,
    CALL,
    PREDICTION,
    QUESTION,
    WRONG,
    Outcome,
    assert_sound,
    consulted,
    failing_at,
    plays,
    result_of,
    words_of,
)

from belief.errors import LanguageModelError, UsageError
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool
from belief_tools.llm import Endpoint
from belief_tools.receipt import statement


@pytest.fixture(scope="module")
def result(tool: ForecastTool) -> ForecastResult:
    return result_of(tool)


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


FAILURES = {
    "refuses the key": failed(401, f"Incorrect API key provided: {KEY}."),
    "rate limit": failed(429, "slow down"),
    "server error": failed(500, f"internal error for {KEY}"),
    "not JSON": not_json(),
    "no choices": without_choices(),
    "no message": raw({"choices": [{}]}),
    "hang-up": hang_up(),
    "hang-up midway": cut(text("On 2024-03-28 Nvidia is expected at $1,208")),
    "mangled calls": message({"content": "hi", "tool_calls": "forecast_price"}),
}
TOO_SLOW = {"silence": silence(), "stall": stall(), "drip": drip()}


def assert_left_alone(outcome: Outcome, by: str, *, rejected: str | None = None) -> None:
    """The model failed: the statement is shown, and what was called before is kept."""
    given = outcome.given
    assert given.stop_reason == "language model failed"
    assert given.result is not None and given.text == statement(given.result)
    assert given.consulted_by == by
    assert given.checks["passed"] is (None if rejected is None else False)
    assert given.checks["rejected"] == rejected
    assert "127.0.0.1" in given.notes[-1]
    assert [call["by"] for call in given.tool_calls if "result" in call] == [by]


@pytest.mark.parametrize("name", FAILURES)
def test_a_server_that_only_fails_leaves_the_statement(tool, name):
    outcome = consulted(tool, lambda request: FAILURES[name])
    assert_left_alone(outcome, "host")
    assert len(outcome.requests) == 1


def test_a_server_that_only_fails_leaves_the_statement_in_mode_context_too(tool):
    outcome = consulted(tool, lambda request: failed(500, "internal error"), mode="context")
    assert_left_alone(outcome, "context")


@pytest.mark.parametrize("name", TOO_SLOW)
def test_a_server_that_is_too_slow_leaves_the_statement(tool, name):
    outcome = consulted(tool, lambda request: TOO_SLOW[name], timeout=0.2)
    assert_left_alone(outcome, "host")
    assert "0.2 s" in outcome.given.notes[-1]


@pytest.mark.parametrize("name", ["server error", "hang-up"])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_what_was_called_before_a_failure_is_kept(tool, good, number, name):
    longest = plays(
        [text(WRONG), text(good)], call=[tool_call(NAME, "oops"), tool_call(NAME, CALL)]
    )
    outcome = consulted(tool, failing_at(number, FAILURES[name], longest))
    rejected = WRONG if number == 5 else None
    assert_left_alone(outcome, "host" if number <= 2 else "model", rejected=rejected)
    assert len(outcome.requests) == number
    refused = [call for call in outcome.given.tool_calls if "error" in call]
    assert len(refused) == (0 if number == 1 else 1)


def test_the_script_of_the_test_above_is_not_longer(tool, good):
    longest = plays(
        [text(WRONG), text(good)], call=[tool_call(NAME, "oops"), tool_call(NAME, CALL)]
    )
    outcome = consulted(tool, failing_at(6, FAILURES["hang-up"], longest))
    assert outcome.given.stop_reason == "repaired" and len(outcome.requests) == 5


@pytest.mark.parametrize("number", [3, 4])
def test_a_failure_after_the_prediction_keeps_the_prediction(tool, good, number):
    script = failing_at(number, failed(500, "out of memory"), plays([text(WRONG), text(good)]))
    assert consulted(tool, script).given.prediction == {**PREDICTION, **BESIDE}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_failure_after_the_arguments_keeps_their_call(tool, good, number):
    script = failing_at(number, hang_up(), plays(good, call=text("no")))
    assert_left_alone(consulted(tool, script), "host" if number <= 2 else "arguments")


def test_a_stall_in_the_last_step_leaves_the_statement(tool):
    assert_left_alone(consulted(tool, plays(stall()), timeout=1.0), "model")


def test_a_server_that_is_down_leaves_the_statement(tool, result):
    with chat_server([]) as server:
        endpoint = server.endpoint()
    given = answer(QUESTION, tool, lambda: endpoint)
    assert_left_alone(Outcome(given, []), "host")
    assert given.result == result
    assert "cannot reach" in given.notes[-1]


def test_a_model_that_cannot_be_had_leaves_the_statement(tool, result):
    def connect() -> Endpoint:
        raise LanguageModelError("no model is installed")

    with pytest.raises(LanguageModelError, match="no model is installed"):
        answer(QUESTION, tool, connect, mode="none")
    for mode in ("tool", "context"):
        given = answer(QUESTION, tool, connect, mode=mode)
        assert_sound(Outcome(given, []))
        assert (given.text, given.model) == (statement(result), None)
        assert given.notes == ("no model is installed",)
        assert "language model none" in "\n".join(given.receipt)


def test_wrong_settings_of_the_endpoint_are_a_usage_error(tool):
    with pytest.raises(UsageError, match="not a web address"):
        answer(QUESTION, tool, lambda: _endpoint("ftp://nowhere"))


def _endpoint(url: str) -> Endpoint:
    return Endpoint(url, "test-model", KEY, name="test", calls_tools=True)


def test_a_key_that_the_server_repeats_is_in_no_answer(tool):
    given = consulted(tool, refuses_key).given
    assert "refuses the key" in given.notes[-1]
    assert KEY not in repr(given)
