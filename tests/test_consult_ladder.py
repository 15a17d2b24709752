"""Models that do not call the tool, or call it badly, are consulted all the same."""

import json

import pytest
from chat_server import Answer, Request, refusing, structured, text, tool_call, tool_calls
from consulted import CALL, QUESTION, consulted, plays, result_of, words_of

from belief_tools.consult import MAX_ROUNDS
from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool
from belief_tools.receipt import statement


@pytest.fixture(scope="module")
def result(tool: ForecastTool) -> ForecastResult:
    return result_of(tool)


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


# Models that do not call the tool


def test_a_model_that_only_follows_a_schema_writes_the_arguments(tool, result, good):
    outcome = consulted(tool, plays(good, call=text("Nvidia will be at $1,208.")))
    given = outcome.given
    assert (given.consulted_by, given.stop_reason, given.text) == ("arguments", "answered", good)
    assert [call["by"] for call in given.tool_calls] == ["arguments"]
    assert outcome.steps == ["call", "arguments", "prediction", "text"]
    assert QUESTION in outcome.requests[1].messages[-1]["content"]


def test_a_model_that_ignores_tools_and_schema_is_consulted_for_by_the_host(tool, result, good):
    outcome = consulted(tool, lambda request: text(good))
    given = outcome.given
    assert (given.consulted_by, given.stop_reason, given.text) == ("host", "answered", good)
    refused, called = given.tool_calls
    assert refused["by"] == "arguments" and "is not JSON" in refused["error"]
    assert (called["arguments"], called["by"], called["asked"]) == (CALL, "host", None)
    assert called["result"] == result.to_dict()
    assert given.prediction is None
    assert any("no usable prediction" in note for note in given.notes)


def test_a_model_that_made_no_call_gets_the_forecast_in_a_prompt_of_its_own(tool, result, good):
    outcome = consulted(tool, lambda request: text(good))
    for request in outcome.requests[2:]:
        (asked,) = request.messages
        assert str(result.median) in asked["content"] or result.summary in asked["content"]
        assert QUESTION in asked["content"]


def test_an_endpoint_without_tools_is_not_offered_any(tool, good):
    outcome = consulted(tool, plays(good), calls_tools=False)
    assert outcome.steps == ["arguments", "prediction", "text"]
    assert outcome.given.consulted_by == "arguments"
    assert not any("tools" in request.body for request in outcome.requests)


@pytest.mark.parametrize(
    ("refused", "consulted_by"),
    [
        (("tools",), "arguments"),
        (("tool_choice",), "model"),
        (("parallel_tool_calls", "stop", "seed", "temperature"), "model"),
        (("response_format",), "model"),
        (("tools", "response_format"), "host"),
    ],
)
def test_a_server_that_refuses_parameters_is_still_consulted(tool, good, refused, consulted_by):
    def respond(request: Request) -> Answer:
        if "response_format" in refused and "schema" in json.dumps(request.messages):
            return text(good)
        return plays(good)(request)

    given = consulted(tool, refusing(*refused, then=respond)).given
    assert (given.consulted_by, given.text) == (consulted_by, good)


# Models that call it badly

BAD_CALLS = {
    "not JSON": (tool_call(NAME, "{symbol: NVDA"), "is not JSON"),
    "no object": (tool_call(NAME, '["NVDA", "2024-03-28"]'), "is not a JSON object"),
    "empty": (tool_call(NAME, ""), "is not JSON"),
    "nested without end": (tool_call(NAME, "[" * 100_000), "is not JSON"),
    "wrong types": (
        tool_call(NAME, {"symbol": 7, "target_date": 20240328, "price_levels": "none"}),
        "symbol is 7",
    ),
    "other symbol": (tool_call(NAME, {**CALL, "symbol": "AAPL"}), "knows only NVDA"),
    "unknown argument": (tool_call(NAME, {**CALL, "horizon": 19}), "unknown argument 'horizon'"),
    "no symbol": (tool_call(NAME, {"target_date": "2024-03-28"}), "symbol is None"),
    "unknown tool": (tool_call("get_price", CALL), "there is no tool 'get_price'"),
    "tool without name": (tool_call("", CALL), "there is no tool ''"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_a_bad_call_is_told_its_error_and_may_be_made_again(tool, good, name):
    bad, error = BAD_CALLS[name]
    outcome = consulted(tool, plays(good, call=[bad, tool_call(NAME, CALL)]))
    given = outcome.given
    assert (given.consulted_by, given.stop_reason, given.text) == ("model", "answered", good)
    refused, called = given.tool_calls
    assert error in refused["error"] and "result" not in refused
    assert called["by"] == "model" and "error" not in called
    assert json.loads(outcome.requests[1].tool_results[0]) == {"error": refused["error"]}


@pytest.mark.parametrize("name", ["not JSON", "wrong types", "other symbol", "unknown tool"])
def test_a_call_that_stays_bad_is_replaced_by_the_arguments_alone(tool, good, name):
    bad, error = BAD_CALLS[name]
    outcome = consulted(tool, plays(good, call=bad))
    given = outcome.given
    assert outcome.steps[:MAX_ROUNDS] == ["call"] * MAX_ROUNDS
    assert outcome.steps[MAX_ROUNDS:] == ["arguments", "prediction", "text"]
    assert given.consulted_by == "arguments" and given.text == good
    assert [error in call.get("error", "") for call in given.tool_calls] == [True, True, False]
    assert outcome.requests[-1].tool_results == []


@pytest.mark.parametrize("name", ["not JSON", "nested without end", "unknown tool"])
def test_a_model_that_never_makes_sense_is_consulted_for_by_the_host(tool, result, good, name):
    bad, _ = BAD_CALLS[name]
    given = consulted(tool, lambda request: bad).given
    assert given.consulted_by == "host"
    assert given.stop_reason == "replaced"
    assert given.text == statement(result)


def test_the_error_of_an_unknown_tool_names_the_tool_there_is(tool, good):
    given = consulted(tool, plays(good, call=BAD_CALLS["unknown tool"][0])).given
    assert NAME in given.tool_calls[0]["error"]


@pytest.mark.parametrize(
    "passed",
    ["2025-03-28", "2023-03-31", "2024-03-01", "end of March", "", None, 20240328, ["x"] * 9_999],
)
def test_the_date_in_the_question_wins_over_the_one_passed_and_a_note_says_so(tool, good, passed):
    call = tool_call(NAME, {**CALL, "target_date": passed})
    given = consulted(tool, plays(good, call=call)).given
    assert given.consulted_by == "model"
    assert given.tool_calls[0]["arguments"] == CALL
    assert given.tool_calls[0]["result"]["target"] == "2024-03-28"
    (note,) = given.notes
    assert note.startswith(f"the model asked for {passed!r}"[:40])
    assert note.endswith("says 'end of March 2024', so 2024-03-28 was used") and len(note) < 200


def test_the_date_in_the_question_wins_over_arguments_written_as_json(tool, good):
    passed = {**CALL, "target_date": "2025-03-28"}
    given = consulted(tool, plays(good, call=text("no"), arguments=structured(passed))).given
    assert given.consulted_by == "arguments"
    assert given.result is not None and given.result.target == "2024-03-28"
    assert "asked for '2025-03-28'" in given.notes[0]


def test_the_levels_in_the_question_win_over_those_passed(tool):
    question = "Will Nvidia close above $900 at the end of March 2024?"
    call = tool_call(NAME, {**CALL, "price_levels": [1, 2, 3]})
    given = consulted(tool, plays("?", call=call), question=question).given
    assert given.result is not None
    assert [entry["level"] for entry in given.result.prob_above] == [900.0]


def test_the_levels_in_a_question_without_a_date_are_not_lost(tool):
    question = "Will Nvidia go above $900?"
    given = consulted(tool, plays("?"), question=question).given
    assert given.consulted_by == "model" and given.result is not None
    assert [entry["level"] for entry in given.result.prob_above] == [900.0]
    assert "above $900" in given.text


def test_the_first_of_two_parallel_calls_is_the_consultation(tool, good):
    two = tool_calls([(NAME, CALL), (NAME, {**CALL, "target_date": "2024-06-28"})])
    outcome = consulted(tool, plays(good, call=two))
    given = outcome.given
    assert (given.consulted_by, given.text) == ("model", good)
    first, second = given.tool_calls
    assert first["result"]["target"] == "2024-03-28"
    assert "one call is enough" in second["error"]
    assert len(outcome.requests[1].tool_results) == 2


def test_the_right_one_of_two_parallel_calls_is_the_consultation(tool, good):
    two = tool_calls([(NAME, "oops"), (NAME, CALL)])
    outcome = consulted(tool, plays(good, call=two))
    assert outcome.given.consulted_by == "model"
    assert ["result" in call for call in outcome.given.tool_calls] == [False, True]
    assert outcome.steps == ["call", "prediction", "text"]


def test_words_beside_a_call_are_not_the_answer(tool, good):
    both = tool_call(NAME, CALL, content="I already know: Nvidia will be at $1,208.")
    given = consulted(tool, plays(good, call=both)).given
    assert (given.text, given.consulted_by) == (good, "model")


def test_a_model_that_calls_for_ever_is_answered_for(tool, result):
    outcome = consulted(tool, lambda request: tool_call(NAME, CALL))
    given = outcome.given
    assert (given.consulted_by, given.stop_reason) == ("model", "replaced")
    assert given.text == statement(result)
    assert given.checks["rejected"] == "" and given.checks["findings"][0]["rule"] == "empty"
    assert outcome.steps == ["call", "prediction", "text", "text"]


def test_arguments_and_predictions_in_a_fence_are_read(tool, good):
    fenced = text(f"```json\n{json.dumps(CALL)}\n```")
    given = consulted(tool, plays(good, call=text("no"), arguments=fenced)).given
    assert given.consulted_by == "arguments"


def test_what_a_model_passed_is_kept_beside_what_was_called(tool, good):
    wrong_year = {**CALL, "target_date": "2025-03-28"}
    given = consulted(tool, plays(good, call=tool_call(NAME, wrong_year))).given
    assert json.loads(given.tool_calls[0]["asked"]) == wrong_year
    assert given.tool_calls[0]["arguments"] == CALL
