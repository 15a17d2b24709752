import dataclasses
import datetime
import json
import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from chat_server import (
    KEY,
    Answer,
    Request,
    Script,
    chat_server,
    cut,
    cut_off,
    drip,
    failed,
    hang_up,
    message,
    not_json,
    raw,
    refuses_key,
    refusing,
    silence,
    stall,
    structured,
    text,
    tool_call,
    tool_calls,
    without_choices,
)

from belief.errors import LanguageModelError, UnknownSymbol, UsageError
from belief.models import DEFAULT_MODEL, fit
from belief.prices import Prices, Split
from belief.sources import load_prices
from belief_tools import consult
from belief_tools.answer import Answer as Given
from belief_tools.consult import MAX_ROUNDS, Mode
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool, cents
from belief_tools.grounding import check
from belief_tools.llm import Endpoint
from belief_tools.receipt import receipt, statement

QUESTION = "What will Nvidia's stock price be at the end of March 2024?"
DATELESS = "What will Nvidia's stock price be?"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
WRONG = "Nvidia is expected at $1,208 on 2024-03-28."
PREDICTION = {"price": 834, "low": 680.5, "high": 994, "prob_up": 0.55, "reasons": "the tool"}
BESIDE = {"horizon": 19, "agrees": True, "own_view": False}

FIELDS = (
    *("symbol", "as_of", "last_close", "target", "horizon", "median", "interval_50"),
    *("interval_90", "prob_up", "prob_above", "regimes", "transition_matrix", "track_record"),
    *("consulted_by", "tool_calls", "text", "prediction", "checks", "receipt", "forecast_id"),
)


@pytest.fixture(scope="module")
def result(tool: ForecastTool) -> ForecastResult:
    """What the tool answers to `CALL`."""
    return tool.run(tool.check(CALL))


@pytest.fixture(scope="module")
def good(result: ForecastResult) -> str:
    """A model's own words, every figure of which is the tool's."""
    low, high = result.interval_90
    return (
        f"Nvidia should close near ${result.median:,.0f} on March 28, 2024, "
        f"with a 90% chance between ${low:,.0f} and ${high:,.0f}."
    )


# Models by what they do at each step of a consultation

Turns = Answer | Sequence[Answer]


def step_of(request: Request) -> str:
    if request.schema_name == NAME:
        return "arguments"
    if request.schema_name == "prediction":
        return "prediction"
    return "call" if "tools" in request.body else "text"


def plays(says: Turns | str, **steps: Turns) -> Callable[[Request], Answer]:
    """A model with one answer for each step, or several in turn of which the last repeats."""
    behaviour: dict[str, Turns] = {
        "call": tool_call(NAME, CALL),
        "arguments": structured(CALL),
        "prediction": structured(PREDICTION),
        "text": text(says) if isinstance(says, str) else says,
        **steps,
    }
    turns = {s: [a] if isinstance(a, Answer) else list(a) for s, a in behaviour.items()}

    def respond(request: Request) -> Answer:
        left = turns[step_of(request)]
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def failing_at(number: int, failure: Answer, script: Callable[[Request], Answer]) -> Script:
    """The script, except that the request of this number and all later ones fail."""
    seen: list[Request] = []

    def respond(request: Request) -> Answer:
        seen.append(request)
        return script(request) if len(seen) < number else failure

    return respond


def must_not_connect() -> Endpoint:
    raise AssertionError("a language model was asked for")


@dataclasses.dataclass(frozen=True)
class Outcome:
    given: Given
    requests: list[Request]

    @property
    def steps(self) -> list[str]:
        return [step_of(request) for request in self.requests]

    @property
    def bodies(self) -> str:
        return json.dumps([request.body for request in self.requests])


def consulted(
    tool: ForecastTool,
    script: Script,
    *,
    question: str = QUESTION,
    mode: Mode = "tool",
    calls_tools: bool = True,
    timeout: float = 5,
) -> Outcome:
    with chat_server(script) as server:
        endpoint = server.endpoint(calls_tools=calls_tools, timeout=timeout)
        given = answer(question, tool, lambda: endpoint, mode=mode)
        outcome = Outcome(given, server.requests)
    assert_sound(outcome)
    return outcome


def assert_sound(outcome: Outcome) -> None:
    """What holds for every answer about a future price, whatever the server does."""
    given = outcome.given
    if given.stop_reason != "not consulted":
        results = [call["result"] for call in given.tool_calls if "result" in call]
        assert results and given.result is not None
        assert given.result.to_dict() == results[0]
        assert given.consulted_by in [call["by"] for call in given.tool_calls if "result" in call]
        findings = check(given.text, given.result.to_dict(), question=given.question)
        assert given.text == statement(given.result) or not findings
        assert given.receipt == receipt(given.result, given.consulted_by, given.model)
    assert KEY not in json.dumps(given.to_dict(), allow_nan=False)
    for request in outcome.requests:
        assert_calls_are_answered(request)


def assert_calls_are_answered(request: Request) -> None:
    """Servers refuse a conversation in which a call has no tool message."""
    open_calls: list[str] = []
    for sent in request.messages:
        if sent["role"] == "tool":
            open_calls.remove(sent["tool_call_id"])
        else:
            assert not open_calls
            open_calls = [call["id"] for call in sent.get("tool_calls", [])]
    assert not open_calls


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


# Servers in trouble

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


# Questions that need no model


@pytest.mark.parametrize("mode", consult.MODES)
@pytest.mark.parametrize(
    "question",
    ["Who founded Nvidia?", "Hello!", "What is 2+2?", "", "Who will be the CEO in March 2024?"],
)
def test_a_question_about_no_price_asks_nobody(tool, question, mode):
    given = answer(question, tool, must_not_connect, mode=mode)
    assert (given.stop_reason, given.consulted_by) == ("not a price question", "none")
    assert (given.result, given.tool_calls, given.model) == (None, (), None)
    assert "$" not in given.text
    json.dumps(given.to_dict(), allow_nan=False)


@pytest.mark.parametrize("mode", consult.MODES)
@pytest.mark.parametrize(
    ("question", "said"),
    [
        # 524.54 as traded, before the 4:1 split of 2021-07-20
        (
            "What was Nvidia's closing price on 2021-01-04?",
            r"\$131\.1[34] on 2021-01-04 \(in dollars of 2024-03-01, \$524\.54 as quoted",
        ),
        # as traded: the 10:1 split of 2024-06-10 is not known yet
        ("What was Nvidia's price at the end of February 2024?", r"\$791\.12 on 2024-02-29"),
        ("What was Nvidia's closing price on 2021-01-03?", r"\$130\.55 on 2020-12-31"),
    ],
)
def test_a_past_price_is_answered_from_the_prices_in_dollars_of_as_of(tool, question, said, mode):
    given = answer(question, tool, must_not_connect, mode=mode)
    assert (given.stop_reason, given.tool_calls, given.result) == ("past price", (), None)
    assert re.search(rf"closed at {said}", given.text)
    assert "(in dollars of 2024-03-01" in given.text


def test_a_price_before_the_first_session_is_not_known(tool, prices):
    question = "What was Nvidia's closing price on 1995-01-04?"
    given = answer(question, tool, must_not_connect)
    assert str(prices.session[0]) in given.text and "$" not in given.text


def test_another_company_is_refused_before_any_model_is_asked(tool):
    question = "What will Apple's stock price be at the end of March 2024?"
    with pytest.raises(UnknownSymbol, match=r"about AAPL; these are prices of NVDA"):
        answer(question, tool, must_not_connect)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What will Nvidia's stock price be on 2030-01-02?", "2030-01-02 is more than 504"),
        ("What will Nvidia's stock price be on 2024-02-30?", "no such day"),
        ("Will Nvidia rise? " + "x" * 3000, "3,018 characters"),
    ],
)
def test_a_target_that_cannot_be_is_an_error_before_any_model_is_asked(tool, question, said):
    for mode in consult.MODES:
        with pytest.raises(UsageError, match=said):
            answer(question, tool, must_not_connect, mode=mode)


def test_a_company_beside_ours_is_said_to_be_left_out(tool, good):
    question = "What will Apple's and Nvidia's stock price be at the end of March 2024?"
    given = consulted(tool, plays(good), question=question).given
    assert "only NVDA is answered for, not AAPL" in given.notes


def test_a_question_without_a_company_is_about_ours_and_says_so(tool, good):
    question = "What will the stock price be at the end of March 2024?"
    given = consulted(tool, plays(good), question=question).given
    assert "the question names no company; NVDA was assumed" in given.notes


# Questions without a date


@pytest.mark.parametrize("mode", ["tool", "context"])
def test_without_a_date_21_sessions_are_assumed_and_said(tool, mode):
    outcome = consulted(tool, lambda request: text("?"), question=DATELESS, mode=mode)
    given = outcome.given
    assert given.result is not None
    assert (given.result.horizon, given.result.target) == (21, "2024-04-02")
    assert "the question has no date; 21 sessions were assumed" in given.notes


def test_without_a_date_the_models_call_may_choose_one_and_a_note_says_so(tool):
    call = tool_call(NAME, {**CALL, "target_date": "2024-06-30"})
    given = consulted(tool, plays("?", call=call), question=DATELESS).given
    assert given.result is not None and given.result.target == "2024-06-28"
    assert "the target 2024-06-28 was chosen by the language model" in given.notes
    assert not any("assumed" in note for note in given.notes)


def test_without_a_date_a_past_one_is_sent_back_to_the_model(tool):
    past = tool_call(NAME, {**CALL, "target_date": "2023-03-31"})
    outcome = consulted(tool, plays("?", call=[past, tool_call(NAME, CALL)]), question=DATELESS)
    assert outcome.given.consulted_by == "model"
    (told,) = outcome.requests[1].tool_results
    assert "target_date 2023-03-31 is not after the last known session 2024-03-01" in told


def test_without_a_date_one_invented_as_json_is_not_trusted(tool):
    script = plays(
        "?", call=text("no"), arguments=structured({**CALL, "target_date": "2025-01-31"})
    )
    given = consulted(tool, script, question=DATELESS).given
    assert given.consulted_by == "arguments"
    assert given.result is not None and given.result.horizon == 21
    assert any("'2025-01-31'" in note and "2024-04-02 was used" in note for note in given.notes)


# Honesty about time


@pytest.mark.parametrize("mode", consult.MODES)
def test_garbage_after_as_of_changes_no_request_and_no_answer(tool, prices, good, mode):
    script = [text(WRONG), text(good)]
    ours = consulted(tool, plays(script), mode=mode)
    theirs = consulted(_tool_of_another_future(prices), plays(script), mode=mode)
    assert ours.bodies == theirs.bodies
    assert json.dumps(ours.given.to_dict()) == json.dumps(theirs.given.to_dict())


def _tool_of_another_future(known: Prices) -> ForecastTool:
    full = load_prices("NVDA")
    later = full.session > known.as_of
    assert later.sum() > 200
    noise = 777.0 * np.exp(0.02 * np.random.default_rng(3).standard_normal(later.sum()))
    changed = {"volume": np.where(later, 12_345.0, full.volume)}
    for name, factor in {"open": 1.0, "high": 1.1, "low": 0.9, "close": 1.0}.items():
        column = getattr(full, name).copy()
        column[later] = factor * noise
        changed[name] = column
    kept = tuple(split for split in full.splits if split.session <= known.as_of)
    split = Split(full.session[later][0], 7.45)  # no usual ratio, so that it is taken
    other = dataclasses.replace(full, splits=(*kept, split), **changed)
    cut_again = other.until(known.as_of)
    return ForecastTool(cut_again, fit(DEFAULT_MODEL, cut_again), None)


@pytest.mark.parametrize("mode", consult.MODES)
def test_prompts_hold_no_day_but_as_of_and_the_target(tool, good, mode):
    bodies = consulted(tool, plays([text(WRONG), text(good)]), mode=mode).bodies
    days = set(re.findall(r"\d{4}-\d\d-\d\d", bodies))
    assert days <= {"2024-03-01", "2024-03-28"}
    assert ("2024-03-01" in days) == (mode == "tool")


def test_the_day_on_the_clock_is_in_no_prompt(tool, good):
    clock = np.datetime64("2031-07-09")
    later = ForecastTool(tool.prices, tool.fitted, clock)
    for mode in consult.MODES:
        bodies = consulted(later, plays([text(WRONG), text(good)]), mode=mode).bodies
        assert "2031" not in bodies
        assert str(datetime.date.today()) not in bodies


def test_the_same_question_gives_the_same_bytes(tool, good):
    first, second = (consulted(tool, plays([text(WRONG), text(good)])) for _ in range(2))
    assert first.bodies == second.bodies
    assert json.dumps(first.given.to_dict()) == json.dumps(second.given.to_dict())


# Odd characters


@pytest.mark.parametrize("odd", ["\udcff", "\x00", "\u202e", "🚀", "\\u0000"])
def test_odd_characters_in_the_question_break_nothing(tool, good, odd):
    question = f"What will Nvidia's stock price be {odd} at the end of March 2024?"
    assert consulted(tool, plays(good), question=question).given.text == good


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\x1b[31m"])
def test_odd_characters_from_the_model_break_nothing(tool, good, odd):
    bad = tool_call(odd, {**CALL, "symbol": odd})
    wild = structured({**PREDICTION, "reasons": odd})
    given = consulted(tool, plays(f"{odd} {WRONG}", call=bad, prediction=wild)).given
    json.dumps(given.to_dict(), allow_nan=False).encode()
    assert given.stop_reason == "replaced"


def test_arguments_and_predictions_in_a_fence_are_read(tool, good):
    fenced = text(f"```json\n{json.dumps(CALL)}\n```")
    given = consulted(tool, plays(good, call=text("no"), arguments=fenced)).given
    assert given.consulted_by == "arguments"


def test_what_a_model_passed_is_kept_beside_what_was_called(tool, good):
    wrong_year = {**CALL, "target_date": "2025-03-28"}
    given = consulted(tool, plays(good, call=tool_call(NAME, wrong_year))).given
    assert json.loads(given.tool_calls[0]["asked"]) == wrong_year
    assert given.tool_calls[0]["arguments"] == CALL
