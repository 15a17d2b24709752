"""Every arm asks the same question, holds what it should, and says what became of the answer."""

import json
import math
import re

import pytest
from chat_server import cut_off, structured, text, tool_call
from consulted import step_of
from replayed import HORIZON, ORIGINS, Spoken, always_failing, as_told, history, plays, prediction

from belief.model_cache import cached_fit
from belief.sessions import session_after
from belief_tools.arms import ARMS, Facts, ask, figures_of, messages
from belief_tools.forecast_tool import NAME, ForecastTool

BARE = ("none", "price", "band")
CONSULTED = ("context", "tool")


@pytest.fixture(scope="module")
def facts():
    known = history().until(ORIGINS[0])
    tool = ForecastTool(known, cached_fit("belief", known), None, live=False)
    closes = tuple(float(close) for close in known.quoted_close()[-20:])
    return Facts(tool, session_after(ORIGINS[0], HORIZON), closes, (640.123, 1020.456))


def asked(arm, facts, script, *, calls_tools=True):
    model = Spoken(script)
    model.calls_tools = calls_tools
    return ask(arm, facts, model), model.requests


def content(request):
    return str(request["messages"][-1]["content"])


def with_steps(**steps):
    """A model that behaves well but at these steps; of several answers the last repeats."""
    well = plays(as_told)
    left = {step: list(answers) for step, answers in steps.items()}

    def respond(request):
        turns = left.get(step_of(request), [None])
        answer = turns.pop(0) if len(turns) > 1 else turns[0]
        return answer or well(request)

    return respond


# What is asked


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("calls_tools", [True, False])
def test_every_arm_asks_the_same_question(arm, calls_tools, facts):
    _, requests = asked(arm, facts, plays(as_told), calls_tools=calls_tools)
    question = f"What will Nvidia's stock price be on {facts.target}?"
    assert facts.question == question
    for request in requests:
        said = [str(message["content"]) for message in request["messages"]]
        assert sum(each.count(question) for each in said) >= 1
        assert not [each for each in said if "What will" in each and question not in each]


@pytest.mark.parametrize("arm", ARMS)
def test_another_question_is_asked_in_its_own_words(arm, facts):
    other = Facts(facts.tool, facts.target, facts.closes, facts.band, "Nvidia in a month?")
    _, requests = asked(arm, other, plays(as_told))
    assert all("Nvidia in a month?" in str(request["messages"]) for request in requests)


@pytest.mark.parametrize("calls_tools", [True, False])
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_is_told_that_today_is_the_origin_when_it_predicts(arm, calls_tools, facts):
    _, requests = asked(arm, facts, plays(as_told), calls_tools=calls_tools)
    [predicting] = [each for each in requests if step_of_body(each) == "prediction"]
    assert f"Today is {ORIGINS[0]}." in str(predicting["messages"])


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("finish_reason", ["length", "stop"])
def test_figures_count_where_the_reasons_after_them_were_cut_off(arm, finish_reason, facts):
    def cut(request):
        if request.schema_name != "prediction":
            return plays(as_told)(request)
        said = json.dumps(prediction(700.0))
        return text(said.removesuffix('"}') + "1.1.1", finish_reason=finish_reason)

    said, _ = asked(arm, facts, cut)
    assert said.unusable == (finish_reason == "stop")
    assert said.own is None or said.own["price"] == 700.0


@pytest.mark.parametrize("arm", CONSULTED)
def test_a_small_model_is_asked_for_a_prediction_in_the_words_of_every_other_arm(arm, facts):
    _, requests = asked(arm, facts, plays(as_told), calls_tools=False)
    whole = next(content(r) for r in requests if step_of_body(r) == "prediction").split("\n\n")
    bare = messages("none", facts)[0]["content"].split("\n\n")
    [told] = [part for part in whole if part not in bare]
    assert told.startswith("Forecast: price ")
    assert [part for part in whole if part in bare] == bare


@pytest.mark.parametrize("arm", BARE)
def test_the_bare_arms_differ_in_what_they_are_told_alone(arm, facts):
    whole = messages(arm, facts)[0]["content"].split("\n\n")
    bare = messages("none", facts)[0]["content"].split("\n\n")
    assert [part for part in whole if part in bare] == bare
    assert len(whole) == len(bare) + (arm != "none")
    assert whole[0].startswith(f"Today is {ORIGINS[0]}.")


def told(arm, facts):
    bare = messages("none", facts)[0]["content"].split("\n\n")
    return [p for p in messages(arm, facts)[0]["content"].split("\n\n") if p not in bare]


def test_the_price_arm_holds_the_last_close_and_twenty_closes(facts):
    [part] = told("price", facts)
    figures = [float(figure) for figure in re.findall(r"\d+\.\d+", part)]
    assert figures == [round(facts.closes[-1], 2), *(round(close, 2) for close in facts.closes)]
    assert "The last 20 closes, oldest first" in part and figures[-1] == figures[0] == 808.48


def test_the_band_arm_holds_the_random_walk_and_no_closes(facts):
    [part] = told("band", facts)
    assert part == (
        "Last close 808.48. Random walk: price 808.48, low 640.12, high 1020.46, prob_up 0.5"
    )


def test_the_bare_arm_holds_no_price_at_all(facts):
    plain = messages("none", facts)[0]["content"]
    assert not re.search(r"\d", re.sub(r"\d{4}-\d\d-\d\d|\b90 %", "", plain))


@pytest.mark.parametrize("arm", CONSULTED)
def test_the_consulting_arms_hold_the_belief(arm, facts):
    _, requests = asked(arm, facts, plays(as_told))
    result = facts.tool.run(facts.tool.check(_call(facts)))
    predicting = next(content(r) for r in requests if step_of_body(r) == "prediction")
    low, high = result.interval_90
    assert f"Forecast: price {result.median}, low {low}, high {high}" in predicting


def _call(facts):
    return {"symbol": "NVDA", "target_date": str(facts.target), "price_levels": None}


def step_of_body(body):
    if body.get("response_format"):
        return body["response_format"]["json_schema"]["name"]
    return "call" if body.get("tools") else "text"


# The way of a consultation


def test_a_model_that_calls_tools_calls_it_itself(facts):
    said, requests = asked("tool", facts, plays(as_told))
    assert [step_of_body(r) for r in requests] == ["call", "prediction", "text"]
    assert said.consulted_by == "model" and said.grounded is True


def test_a_model_without_tools_writes_the_arguments(facts):
    said, requests = asked("tool", facts, plays(as_told), calls_tools=False)
    assert [step_of_body(r) for r in requests] == [NAME, "prediction", "text"]
    assert said.consulted_by == "arguments"


def test_the_host_calls_for_a_model_that_can_do_neither(facts):
    script = with_steps(call=[text("no")], arguments=[text("no")])
    said, requests = asked("tool", facts, script)
    assert [step_of_body(r) for r in requests] == ["call", NAME, "prediction", "text"]
    assert said.consulted_by == "host" and said.own is not None


def test_the_context_arm_offers_no_tool(facts):
    said, requests = asked("context", facts, plays(as_told))
    assert [step_of_body(r) for r in requests] == ["prediction", "text"]
    assert said.consulted_by == "context"


def test_whatever_target_a_model_asks_for_the_question_is_answered(facts):
    other = {**_call(facts), "target_date": "2022-01-04"}
    said, _ = asked("tool", facts, with_steps(call=[tool_call(NAME, other)]))
    assert said.shown == figures_of(facts.tool.forecast(facts.target))
    assert math.isclose(said.own["price"], said.shown["price"], abs_tol=0.006)


# What became of it


@pytest.mark.parametrize("arm", BARE)
def test_what_a_bare_model_says_is_its_own_and_is_shown(arm, facts):
    said, requests = asked(arm, facts, lambda _: structured(prediction(800.0)))
    assert said.own == said.shown == {"price": 800.0, "low": 720.0, "high": 880.0, "prob_up": 0.6}
    assert not (said.unusable or said.refused or said.replaced or said.failed)
    assert (said.consulted_by, said.grounded, len(requests)) == (None, None, 1)


@pytest.mark.parametrize("arm", CONSULTED)
def test_what_a_consulting_model_says_stands_beside_the_belief(arm, facts):
    said, _ = asked(arm, facts, plays(lambda _: 800.0))
    assert said.own == {"price": 800.0, "low": 720.0, "high": 880.0, "prob_up": 0.6}
    assert said.shown == figures_of(facts.tool.forecast(facts.target))
    assert not (said.unusable or said.refused or said.replaced or said.failed)


UNUSABLE = {
    "no JSON": text("It will rise."),
    "no object": structured([1]),
    "disorder": structured(prediction(800.0) | {"low": 900.0}),
    "no chance": structured(prediction(800.0) | {"prob_up": 60}),
    "no number": structured(prediction(800.0) | {"price": "800"}),
    "NaN": text('{"price": NaN, "low": 1, "high": 2, "prob_up": 0.5, "reasons": ""}'),
    "too large": text('{"price": 1e999, "low": 1, "high": 1e999, "prob_up": 0.5, "reasons": ""}'),
    "cut off": cut_off('{"price": 800, "low": 7'),
    "nothing": text(""),
    "null": text(None),
}


@pytest.mark.parametrize("answer", UNUSABLE.values(), ids=UNUSABLE)
@pytest.mark.parametrize("arm", ARMS)
def test_figures_that_cannot_be_read_are_unusable(arm, answer, facts):
    said, _ = asked(arm, facts, with_steps(prediction=[answer]))
    assert said.own is None and said.unusable
    assert not (said.refused or said.replaced or said.failed)
    assert (said.shown is None) == (arm in BARE)


REFUSALS = [
    "I cannot predict stock prices.",
    "I\u2019m unable to say.",
    "Sorry, no.",
    "As an AI, I do not know.",
]


@pytest.mark.parametrize("words", REFUSALS)
@pytest.mark.parametrize("arm", BARE)
def test_a_refusal_is_unusable_and_refused(arm, words, facts):
    said, _ = asked(arm, facts, lambda _: text(words))
    assert said.refused and said.unusable and not said.failed
    assert said.own is None and said.text == words


@pytest.mark.parametrize("arm", CONSULTED)
def test_a_consulting_model_can_refuse_in_words(arm, facts):
    said, _ = asked(arm, facts, with_steps(text=[text(REFUSALS[0])]))
    assert said.refused and not said.failed


@pytest.mark.parametrize("words", ["Nvidia acts as an aircraft.", "It is sorrylike."])
def test_words_that_only_begin_like_a_refusal_are_none(words, facts):
    said, _ = asked("none", facts, lambda _: text(words))
    assert said.unusable and not said.refused


@pytest.mark.parametrize("arm", CONSULTED)
def test_a_text_that_fails_the_checks_takes_its_figures_with_it(arm, facts):
    said, _ = asked(arm, facts, plays(as_told, says="It will be $5,000."))
    assert said.replaced and said.own is None and said.grounded is False
    assert said.text == "It will be $5,000."
    assert said.shown == figures_of(facts.tool.forecast(facts.target))
    assert not (said.unusable or said.failed)


@pytest.mark.parametrize("arm", CONSULTED)
def test_a_text_that_is_repaired_counts(arm, facts):
    script = with_steps(text=[text("It will be $5,000."), None])
    said, _ = asked(arm, facts, script)
    assert said.own is not None and said.grounded is True and not said.replaced


@pytest.mark.parametrize("arm", ARMS)
def test_a_model_that_fails_is_neither_unusable_nor_refused(arm, facts):
    said, _ = asked(arm, facts, always_failing)
    assert said.failed and said.own is None
    assert not (said.unusable or said.refused or said.replaced)
    assert (said.shown is None) == (arm in BARE)


@pytest.mark.parametrize("arm", CONSULTED)
def test_a_model_that_fails_after_its_prediction_has_failed(arm, facts):
    def respond(request):
        return always_failing(request) if step_of(request) == "text" else plays(as_told)(request)

    said, _ = asked(arm, facts, respond)
    assert said.failed and said.own is None and said.grounded is None
    assert said.shown == figures_of(facts.tool.forecast(facts.target))


def test_an_error_that_says_sorry_is_no_refusal(facts):
    class Sorry(Spoken):
        def chat(self, messages, **wanted):
            from belief.errors import LanguageModelError

            raise LanguageModelError("sorry, I cannot")

    for arm in ARMS:
        said = ask(arm, facts, Sorry(always_failing))
        assert said.failed and not said.refused
