"""What is shown of a model's words, and what is kept of its own prediction."""

import dataclasses

import numpy as np
import pytest
from chat_server import Answer, cut_off, message, structured, text, tool_call
from consulted import (
    BESIDE,
    CALL,
    PREDICTION,
    QUESTION,
    WRONG,
    consulted,
    plays,
    result_of,
    words_of,
)

from belief_tools.answer import Answer as Given
from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool
from belief_tools.grounding import check
from belief_tools.receipt import statement


@pytest.fixture(scope="module")
def result(tool: ForecastTool) -> ForecastResult:
    return result_of(tool)


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


# The answer's words


@pytest.mark.parametrize("words", ["", "  \n ", None])
def test_an_empty_text_is_replaced_by_the_statement(tool, result, words):
    given = consulted(tool, plays(text(words))).given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")


def test_a_wrong_price_is_named_in_a_retry_that_may_repair_it(tool, good):
    outcome = consulted(tool, plays([text(WRONG), text(good)]))
    given = outcome.given
    assert (given.text, given.stop_reason, given.consulted_by) == (good, "repaired", "model")
    assert given.checks == {"passed": True, "findings": [], "rejected": None}
    assert outcome.steps == ["call", "prediction", "text", "text"]
    first, second = (request.messages[-1]["content"] for request in outcome.requests[-2:])
    assert "$1,208" in second and "$1,208" not in first
    assert second.startswith(first)


def test_a_small_model_is_told_the_rule_but_never_its_own_wrong_figure(tool, good):
    outcome = consulted(tool, plays([text(WRONG), text(good)]), calls_tools=False)
    assert outcome.given.stop_reason == "repaired"
    retry = outcome.requests[-1].messages[-1]["content"]
    assert "rejected: price" in retry and "1,208" not in retry


def test_a_price_that_stays_wrong_is_not_shown_and_is_kept_as_rejected(tool, result):
    outcome = consulted(tool, plays([text("It will be $5."), text(WRONG)]))
    given = outcome.given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")
    assert "1,208" not in given.text
    assert given.checks["passed"] is False and given.checks["rejected"] == WRONG
    assert "$1,208" in [finding["figure"] for finding in given.checks["findings"]]
    assert outcome.steps.count("text") == 2


def test_the_statement_itself_passes_the_check(tool, prices):
    columns = ("open", "high", "low", "close")
    for scale, levels in ((1.0, [700.5, 850, 1000]), (10.0, [70]), (10_000.0, [0.0905])):
        scaled = {name: getattr(prices, name) / scale for name in columns}
        small = ForecastTool(dataclasses.replace(prices, **scaled), tool.fitted, None)
        made = small.run(small.check({**CALL, "price_levels": levels}))
        assert check(statement(made), made.to_dict(), question=QUESTION) == ()


def test_a_level_is_said_as_it_was_asked(tool):
    made = tool.run(tool.check({**CALL, "price_levels": [850, 850.5]}))
    said = statement(made)
    assert "above $850 " in said and "above $850.50 " in said


def test_a_text_cut_off_in_a_figure_is_not_shown(tool, result):
    fragment = cut_off("On March 28, 2024 Nvidia should close near $8")
    given = consulted(tool, plays([fragment])).given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")


def test_a_right_sentence_repeated_until_it_is_cut_off_is_not_shown(tool, result, good):
    droning = "; ".join([good.rstrip(".")] * 3)
    given = consulted(tool, plays([cut_off(droning)])).given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")
    assert "cut off at the token limit" in given.checks["findings"][0]["message"]


def test_a_text_cut_off_between_figures_is_shown_with_a_note(tool, good):
    given = consulted(tool, plays([cut_off(good)])).given
    assert given.text == good
    assert any("cut off" in note for note in given.notes)


def test_a_refusal_in_words_is_replaced(tool, result):
    refusal = message({"content": None, "refusal": "I cannot predict stock prices."})
    given = consulted(tool, plays(refusal)).given
    assert (given.text, given.stop_reason) == (statement(result), "replaced")


# The model's own prediction


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 900},
        {"high": 800},
        {"low": 994, "high": 680.5},
        {"low": 0},
        {"low": -5},
        {"price": "834"},
        {"price": None},
        {"price": True},
        {"high": 1e9},
        {"high": 10**400},
        {"prob_up": 1.01},
        {"prob_up": -0.1},
        {"prob_up": "53%"},
        {"price": float("nan")},
        {"high": float("inf")},
        {"prob_up": float("nan")},
        {"reasons": float("nan")},
        {"reasons": None},
        {"reasons": ["a", {"b": float("inf")}]},
        {"price": "9" * 10_000},
    ],
    ids=lambda changes: repr(changes)[:40],
)
def test_a_prediction_that_makes_no_sense_is_left_out_with_a_short_note(tool, good, changes):
    given = _predicting(tool, good, structured({**PREDICTION, **changes}))
    assert given.prediction is None
    (note,) = given.notes
    assert note.startswith("the model gave no usable prediction: ") and len(note) < 300
    assert next(iter(changes)) in note
    assert (given.text, given.stop_reason) == (good, "answered")


@pytest.mark.parametrize(
    "reply",
    [
        text("about $834"),
        text(None),
        structured([834]),
        structured({}),
        cut_off('{"price": 834, "lo'),
        tool_call(NAME, CALL),
        text("[" * 100_000),
    ],
)
def test_a_prediction_that_is_no_json_object_is_left_out(tool, good, reply):
    given = _predicting(tool, good, reply)
    assert given.prediction is None and given.text == good
    assert len(given.notes) == 1


def test_a_prediction_keeps_its_own_fields_only(tool, good):
    wild = {**PREDICTION, "advice": "buy", "prob_up": 1}
    given = _predicting(tool, good, structured(wild))
    assert given.prediction == {**PREDICTION, "prob_up": 1, **BESIDE, "agrees": False}


def test_a_prediction_the_belief_can_hardly_imagine_is_flagged_as_the_models_own(tool, good):
    wild = {**PREDICTION, "price": 5000, "high": 6000}
    given = _predicting(tool, good, structured(wild))
    assert given.prediction == {**wild, **BESIDE, "agrees": False, "own_view": True}
    [note] = [note for note in given.notes if "own view" in note]
    assert "$5,000 ($680 to $6,000)" in note or "$5,000 ($681 to $6,000)" in note


def test_a_prediction_at_the_edge_of_what_the_belief_imagines_is_not(tool, good):
    low, high = tool.forecast(np.datetime64("2024-03-28")).interval(0.98)
    for price, own in ((high - 1.0, False), (high + 1.0, True), (low + 1.0, False)):
        ends = {"price": price, "low": price - 5.0, "high": price + 5.0}
        given = _predicting(tool, good, structured({**PREDICTION, **ends}))
        assert given.prediction is not None and given.prediction["own_view"] == own


def _predicting(tool: ForecastTool, good: str, reply: Answer) -> Given:
    return consulted(tool, plays(good, prediction=reply), mode="context").given
