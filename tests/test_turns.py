"""Conversations: what a follow-up takes from the question before, and what the model is shown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from chat_server import Answer, Request, Script, chat_server, structured, text, tool_call

from belief.errors import UnknownSymbol, UsageError
from belief_tools.answer import Answer as Given
from belief_tools.consult import Mode
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME, ForecastTool
from belief_tools.llm import Endpoint
from belief_tools.questions import read_question
from belief_tools.receipt import statement
from belief_tools.turns import (
    TOKENS_REMEMBERED,
    Turn,
    as_messages,
    read,
    tokens,
    turn_of,
)

MARCH = "What will Nvidia's stock price be at the end of March 2024?"
ABOVE = "Will Nvidia be above $900 at the end of March 2024?"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
PREDICTION = {"price": 830, "low": 660.5, "high": 1040, "prob_up": 0.53, "reasons": "the tool"}
WRONG = "Nvidia is expected at $5,000."


def repeats_the_tool(request: Request) -> Answer:
    """A model that calls with the same date always and says what its last result says."""
    if request.forced_tool is not None:
        return tool_call(NAME, CALL)
    if request.schema_name is not None:
        return structured(PREDICTION if request.schema_name == "prediction" else CALL)
    if request.tool_results:
        return text(f"{json.loads(request.tool_results[-1])['summary']}.")
    return text(request.messages[-1]["content"].partition("Forecast: ")[2].partition(". ")[0] + ".")


@dataclass(frozen=True)
class Talk:
    given: list[Given]
    requests: list[list[Request]]  # of each turn


def talk(
    tool: ForecastTool,
    *questions: str,
    script: Script = repeats_the_tool,
    mode: Mode = "tool",
    calls_tools: bool = True,
) -> Talk:
    turns: list[Turn] = []
    done = Talk([], [])
    with chat_server(script) as server:
        endpoint = server.endpoint(calls_tools=calls_tools)
        for question in questions:
            before = len(server.requests)
            given = answer(question, tool, lambda: endpoint, mode=mode, earlier=turns)
            turns.append(turn_of(read(question, tool, turns), given))
            done.given.append(given)
            done.requests.append(server.requests[before:])
    return done


def levels_of(given: Given) -> list[float]:
    assert given.result is not None
    return [entry["level"] for entry in given.result.prob_above]


def target_of(given: Given) -> str:
    assert given.result is not None
    return given.result.target


def messages_of(requests: Sequence[Request]) -> str:
    return json.dumps([request.messages for request in requests])


# What is carried over


def test_a_new_date_keeps_the_level_and_the_answer_says_so(tool):
    given = talk(tool, ABOVE, "And in six months?").given[1]
    assert (target_of(given), levels_of(given)) == ("2024-08-30", [900.0])
    assert "from the question before: NVDA; the level $900" in given.notes


def test_a_new_level_keeps_the_date_and_the_answer_says_so(tool):
    given = talk(tool, MARCH, "and above $1,000?").given[1]
    assert (target_of(given), levels_of(given)) == ("2024-03-28", [1000.0])
    assert "from the question before: NVDA; the target 2024-03-28 ('end of March 2024')" in (
        given.notes
    )


@pytest.mark.parametrize("again", ["why?", "Really?"])
def test_doubt_is_answered_by_consulting_anew_about_the_same(tool, again):
    talked = talk(tool, ABOVE, again)
    first, second = talked.given
    assert second.result == first.result
    assert second.stop_reason == "answered" and second.consulted_by == "model"
    assert talked.requests[1][0].forced_tool == NAME
    assert [call["result"]["target"] for call in second.tool_calls] == ["2024-03-28"]


def test_a_session_that_was_assumed_is_kept(tool):
    first, second = talk(tool, "What will Nvidia's stock price be?", "How sure are you?").given
    assert target_of(second) == target_of(first)
    assert second.notes[0] == f"from the question before: NVDA; the target {target_of(first)}"
    assert not any("assumed" in note or "chosen" in note for note in second.notes)


def test_a_bare_number_counts_in_the_unit_before(tool):
    given = talk(tool, "Where will Nvidia be in a month?", "and in two?").given[1]
    assert (target_of(given), levels_of(given)) == ("2024-05-01", [])


def test_now_is_the_last_close_whatever_was_asked_before(tool):
    given = talk(tool, "What was Nvidia's price in July 2023?", "what is its price now?").given[1]
    assert "closed at $822.79 on 2024-03-01" in given.text


def test_a_whole_question_starts_fresh(tool):
    given = talk(tool, ABOVE, "What will Nvidia cost in June 2024?").given[1]
    assert (target_of(given), levels_of(given)) == ("2024-06-28", [])
    assert not any("before" in note for note in given.notes)


def test_follow_ups_lean_on_follow_ups(tool):
    given = talk(tool, ABOVE, "and in six months?", "and above $1,000?", "how sure are you?").given
    assert (target_of(given[3]), levels_of(given[3])) == ("2024-08-30", [1000.0])


def test_what_is_about_no_price_is_stepped_over(tool):
    second, third = talk(tool, ABOVE, "Should I buy?", "and in June?").given[1:]
    assert second.stop_reason == "not a price question" and second.tool_calls == ()
    assert (target_of(third), levels_of(third)) == ("2024-06-28", [900.0])


def test_a_follow_up_about_the_past_is_looked_up(tool):
    first, second = talk(tool, "What did Nvidia close at on 2024-02-28?", "and on the 29th?").given
    assert "on 2024-02-28" in first.text and "closed at $791.12 on 2024-02-29" in second.text
    assert second.notes == ("from the question before: NVDA",)


def test_a_follow_up_to_more_than_a_close_is_not_answered_with_a_close(tool):
    question = "What was Nvidia's highest price in January 2024?"
    given = talk(tool, question, "and in February?").given[1]
    assert given.text.startswith("From 2024-02-01 to 2024-02-29") and "highest" in given.text


def test_a_follow_up_to_another_company_is_refused_as_that_was(tool):
    apple = read("What will Apple cost next week?", tool)
    turns = [turn_of(apple, None)]
    for question in ("and in June?", "and Apple in June?"):
        with pytest.raises(UnknownSymbol, match="about AAPL"):
            answer(question, tool, _nobody, earlier=turns)
    assert read("and Nvidia?", tool, turns).symbol == "NVDA"


def test_a_date_that_cannot_be_is_an_error_in_a_follow_up_too(tool):
    turns = [turn_of(read(MARCH, tool), None)]
    with pytest.raises(UsageError, match="2031-12-31 is more than 504"):
        answer("and in 2031?", tool, _nobody, earlier=turns)


def test_without_turns_before_it_a_follow_up_is_no_question(tool):
    for question in ("And then?", "What do you mean?"):
        assert answer(question, tool, _nobody).stop_reason == "not a price question"


# What the model is shown


def test_earlier_turns_stand_ahead_of_the_question_as_they_were_shown(tool):
    talked = talk(tool, MARCH, "and in six months?")
    system, asked, shown, question = talked.requests[1][0].messages
    assert system["role"] == "system"
    assert asked == {"role": "user", "content": MARCH}
    assert shown == {"role": "assistant", "content": talked.given[0].text}
    assert question == {"role": "user", "content": "and in six months?"}


def test_a_rejected_text_is_in_no_later_message(tool):
    def wrong_at_first(request: Request) -> Answer:
        first = "six months" not in json.dumps(request.messages)
        plain = request.forced_tool is None and request.schema_name is None
        return text(WRONG) if first and plain else repeats_the_tool(request)

    talked = talk(tool, MARCH, "and in six months?", script=wrong_at_first)
    first, second = talked.given
    assert first.stop_reason == "replaced" and first.checks["rejected"] == WRONG
    assert second.stop_reason == "answered"
    assert "5,000" not in messages_of(talked.requests[1])
    assert statement(first.result) in [m["content"] for m in talked.requests[1][0].messages]


@pytest.mark.parametrize("length", [10, 100, 700])
def test_the_last_turns_that_fit_the_budget_are_shown(tool, length):
    turns = [_turn(f"What will Nvidia cost in {n} weeks?", f"{n} " * length) for n in range(1, 90)]
    contents = [message["content"] for message in as_messages(turns)]
    used = sum(map(tokens, contents))
    one_more = sum(map(tokens, contents[:2])) if contents else tokens("9 " * length)
    assert used <= TOKENS_REMEMBERED < used + one_more + 5
    assert contents[1::2] == [turn.shown for turn in turns[len(turns) - len(contents) // 2 :]]


def test_one_turn_that_is_too_long_is_not_shown(tool):
    assert as_messages([_turn(MARCH, "price " * 5_000)]) == []


def test_turns_without_an_answer_or_about_no_price_are_not_shown(tool):
    turns = [_turn(MARCH, None), _turn("Who founded Nvidia?", "plain")]
    assert as_messages(turns) == []


def test_a_model_without_tools_is_asked_in_full_and_shown_no_earlier_turn(tool):
    talked = talk(tool, ABOVE, "and in six months?", calls_tools=False)
    sent = messages_of(talked.requests[1])
    assert "What will Nvidia's stock price be on 2024-08-30?" in sent
    assert "six months" not in sent and "2024-03-28" not in sent
    assert talked.given[1].consulted_by == "arguments"


def test_a_figure_of_an_earlier_turn_is_not_grounded_in_this_one(tool):
    earlier: list[str] = []

    def stubborn(request: Request) -> Answer:
        reply = repeats_the_tool(request)
        if request.forced_tool is None and request.schema_name is None:
            summary = json.loads(request.tool_results[-1])["summary"]
            earlier.append(summary.partition(";")[0].partition("expected at ")[2])
            return text(f"Nvidia is expected at {earlier[0]} on {_target(request)}.")
        return reply

    first, second = talk(tool, MARCH, "and in six months?", script=stubborn).given
    assert first.stop_reason == "answered"
    assert second.stop_reason == "replaced" and second.text == statement(second.result)
    assert earlier[0] in second.checks["rejected"]


def test_the_bare_model_follows_the_conversation_too(tool):
    talked = talk(tool, MARCH, "and in June?", mode="none", script=lambda request: text("$340."))
    contents = [message["content"] for message in talked.requests[1][0].messages]
    assert contents == [MARCH, "$340.", "and in June?"]


def test_every_turn_about_a_price_rests_on_a_result_of_its_own(tool):
    talked = talk(tool, MARCH, "and in June?", "above $1,000?", "why?", calls_tools=False)
    for given, requests in zip(talked.given, talked.requests, strict=True):
        assert any("result" in call for call in given.tool_calls)
        assert requests and given.result is not None


def _target(request: Request) -> str:
    return str(json.loads(request.tool_results[-1])["target"])


def _turn(question: str, shown: str | None) -> Turn:
    as_of = np.datetime64("2024-03-01")
    return Turn(read_question(question, as_of=as_of, symbols={"NVDA": ("Nvidia",)}), shown, None)


def _nobody() -> Endpoint:
    raise AssertionError("a language model was asked for")
