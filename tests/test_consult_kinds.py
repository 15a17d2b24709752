"""Kinds of question: about no price, a past one, another company, and without a date."""

import json
import re

import pytest
from chat_server import structured, text, tool_call
from consulted import CALL, consulted, plays, result_of, words_of

from belief.errors import UnknownSymbol, UsageError
from belief_tools import consult
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME, ForecastTool
from belief_tools.llm import Endpoint

DATELESS = "What will Nvidia's stock price be?"


@pytest.fixture(scope="module")
def good(tool: ForecastTool) -> str:
    return words_of(result_of(tool))


def must_not_connect() -> Endpoint:
    raise AssertionError("a language model was asked for")


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
    assert (given.stop_reason, given.result, given.model) == ("past price", None, None)
    [call] = given.tool_calls
    assert (call["name"], call["by"]) == ("price_history", "host")
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
    assert any(note.startswith("only NVDA is answered for, not AAPL") for note in given.notes)


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
