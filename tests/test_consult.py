"""A consultation: what is asked, in which order, and what is made of the reply."""

import json

import pytest
from chat_server import text
from consulted import (
    BESIDE,
    CALL,
    PREDICTION,
    QUESTION,
    WRONG,
    Outcome,
    consulted,
    plays,
    result_of,
    words_of,
)

from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool, cents
from belief_tools.receipt import statement

FIELDS = (
    *("symbol", "as_of", "last_close", "target", "horizon", "median", "interval_50"),
    *("interval_90", "prob_up", "prob_above", "regimes", "transition_matrix", "track_record"),
    *("consulted_by", "tool_calls", "text", "prediction", "checks", "receipt", "forecast_id"),
)


@pytest.fixture(scope="module")
def result(tool: ForecastTool) -> ForecastResult:
    return result_of(tool)


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


# The well-behaved model


@pytest.fixture(scope="module")
def usual(tool: ForecastTool, good: str) -> Outcome:
    """The consultation of a model that does as it is told."""
    return consulted(tool, plays(good))


def test_a_model_that_calls_the_tool_and_repeats_it_is_shown_in_its_own_words(usual, result, good):
    given = usual.given
    assert (given.text, given.consulted_by, given.stop_reason) == (good, "model", "answered")
    assert given.result == result
    assert given.tool_calls[0]["result"]["target"] == "2024-03-28"
    (called,) = given.tool_calls
    assert (called["name"], called["arguments"], called["by"]) == (NAME, CALL, "model")
    assert json.loads(called["asked"]) == CALL
    assert called["result"] == result.to_dict()
    assert given.prediction == {**PREDICTION, **BESIDE}
    assert given.checks == {"passed": True, "findings": [], "rejected": None}
    assert given.model == "test-model (test)"
    assert given.notes == ()
    assert usual.steps == ["call", "prediction", "text"]


def test_the_first_request_forces_the_named_tool(usual):
    first = usual.requests[0]
    assert first.forced_tool == NAME
    assert first.body["tools"][0]["function"]["strict"] is True
    assert first.messages[1] == {"role": "user", "content": QUESTION}


def test_later_requests_offer_no_tool_and_show_the_result(usual, result):
    for later in usual.requests[1:]:
        assert "tools" not in later.body and "tool_choice" not in later.body
        assert later.tool_results == [result.to_json()]


def test_the_text_is_asked_for_with_the_summary_and_the_question(usual, result):
    asked = usual.requests[-1].messages[-1]
    assert asked["role"] == "user"
    assert result.summary in asked["content"] and QUESTION in asked["content"]


def test_the_answer_has_the_published_field_names_and_is_strict_json(usual):
    given = usual.given.to_dict()
    assert set(FIELDS) <= set(given)
    assert json.loads(json.dumps(given, allow_nan=False))["tool_calls"][0]["name"] == NAME
    assert "result" not in given


def test_the_receipt_is_made_of_the_results_figures(usual, result):
    shown = "\n".join(usual.given.receipt)
    low, high = result.interval_90
    for expected in (
        *("2024-03-01", "bundled snapshot", "$822.79", "2024-03-28", "19 sessions"),
        *(
            cents(result.median),
            cents(low),
            cents(high),
            "regime normal",
            "track record 21 sessions ahead",
        ),
        *("the model called the tool", "test-model (test)", result.forecast_id),
    ):
        assert expected in shown


def test_notes_of_the_result_and_of_the_consultation_stand_together(tool, result):
    given = consulted(tool, plays("nothing", call=text("no"), arguments=text("no"))).given
    assert given.to_dict()["notes"] == [*result.notes, *given.notes]


# The other modes


def test_in_mode_context_the_forecast_is_in_the_prompt_and_no_tool_is_sent(tool, result, good):
    outcome = consulted(tool, plays(good), mode="context")
    given = outcome.given
    assert outcome.steps == ["prediction", "text"]
    assert not any("tools" in r.body or "tool_choice" in r.body for r in outcome.requests)
    prediction, words = (request.messages[-1]["content"] for request in outcome.requests)
    low, high = result.interval_90
    assert f"price {result.median}, low {low}, high {high}" in prediction
    assert result.summary in words
    assert (given.consulted_by, given.text, given.stop_reason) == ("context", good, "answered")
    assert [call["by"] for call in given.tool_calls] == ["context"]


def test_in_mode_context_a_wrong_price_is_replaced_all_the_same(tool, result):
    given = consulted(tool, plays(WRONG), mode="context").given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")


def test_in_mode_none_the_bare_question_is_all_that_is_sent(tool):
    outcome = consulted(tool, plays(WRONG), mode="none")
    (request,) = outcome.requests
    assert request.messages == [{"role": "user", "content": QUESTION}]
    assert not {"tools", "tool_choice", "response_format"} & set(request.body)
    given = outcome.given
    assert (given.text, given.result, given.tool_calls) == (WRONG, None, ())
    assert (given.consulted_by, given.stop_reason) == ("none", "not consulted")
    assert given.checks["passed"] is None and given.receipt == ()
    assert "do not rely" in given.notes[0]
