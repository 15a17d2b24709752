import json
import logging
import time
import traceback

import pytest
from chat_server import (
    KEY,
    MODEL,
    ChatServer,
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
    text,
    tool_call,
    tool_calls,
    well_behaved,
    without_choices,
)

from belief.errors import LanguageModelError, UsageError
from belief_tools.llm import Endpoint
from belief_tools.replies import Reply, ToolCall

QUESTION = [{"role": "user", "content": "Predict the stock price of Nvidia in March 2024"}]
ARGUMENTS = {"symbol": "NVDA", "target_date": "2024-03-28"}
SCHEMA = {
    "type": "object",
    "properties": {"price": {"type": "number"}},
    "required": ["price"],
    "additionalProperties": False,
}
TOOL = {
    "type": "function",
    "function": {"name": "forecast_price", "strict": True, "parameters": SCHEMA},
}
FORCED = {"type": "function", "function": {"name": "forecast_price"}}


def ask(server: ChatServer, **changes) -> Reply:
    return server.endpoint(**changes).chat(QUESTION, max_tokens=50)


def ask_all(server: ChatServer) -> Reply:
    """Ask with every parameter there is."""
    return server.endpoint().chat(
        QUESTION, tools=[TOOL], tool_choice=FORCED, schema=("prediction", SCHEMA), max_tokens=50
    )


def refusal(answer, **changes) -> str:
    """The line of the error that `answer` leads to."""
    with chat_server(answer if callable(answer) else [answer]) as server:
        with pytest.raises(LanguageModelError) as caught:
            ask(server, **changes)
        line = str(caught.value)
        assert server.address in line and MODEL in line
    assert line.isprintable() and len(line) < 500
    return line


def everything_shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# What a reply holds


def test_a_text_reply_comes_back_with_its_reason_and_token_counts():
    with chat_server([text("It is expected at $834.")]) as server:
        assert ask(server) == Reply("It is expected at $834.", (), "stop", 7, 3)


def test_a_tool_call_keeps_the_arguments_as_the_model_wrote_them():
    with chat_server([tool_call("forecast_price", '{"symbol": NVDA')]) as server:
        reply = ask(server)
    assert reply.tool_calls == (ToolCall("call_1", "forecast_price", '{"symbol": NVDA'),)
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")


def test_text_and_several_calls_in_one_reply_are_all_kept_in_order():
    with chat_server([tool_calls([("a", {}), ("b", {"x": 1})], content="Let me see.")]) as server:
        reply = ask(server)
    assert reply.text == "Let me see."
    assert [(c.name, c.arguments) for c in reply.tool_calls] == [("a", "{}"), ("b", '{"x": 1}')]


def test_arguments_sent_as_an_object_and_calls_without_an_id_are_made_regular():
    call = {"function": {"name": "forecast_price", "arguments": {"symbol": "NVDA"}}}
    with chat_server([message({"content": None, "tool_calls": [call]})]) as server:
        (made,) = ask(server).tool_calls
    assert made == ToolCall("call_0", "forecast_price", '{"symbol": "NVDA"}')


def test_a_reply_cut_off_at_the_token_limit_says_so():
    with chat_server([cut_off("It is exp")]) as server:
        assert ask(server).finish_reason == "length"


def test_an_empty_reply_is_a_reply_with_empty_text():
    with chat_server([text(None)]) as server:
        assert ask(server) == Reply("", (), "stop", 7, 3)


def test_a_refusal_and_a_list_of_parts_are_read_as_text():
    parts = [{"type": "text", "text": "It is "}, {"type": "text", "text": "$834."}]
    with chat_server(
        [message({"content": None, "refusal": "No."}), message({"content": parts})]
    ) as s:
        assert ask(s).text == "No."
        assert ask(s).text == "It is $834."


def test_half_a_surrogate_pair_in_a_reply_can_be_printed():
    with chat_server([raw(b'{"choices": [{"message": {"content": "\\ud83d!"}}]}')]) as server:
        assert ask(server) == Reply("?!", (), "", None, None)


# What is sent


def test_a_request_is_repeatable_and_carries_the_limit():
    with chat_server([text("ok")]) as server:
        ask(server)
    (sent,) = server.requests
    assert sent.body == {
        "model": MODEL,
        "messages": QUESTION,
        "temperature": 0,
        "seed": 1,
        "max_tokens": 50,
    }
    assert sent.headers["authorization"] == f"Bearer {KEY}"


def test_a_forced_tool_is_named_and_only_one_call_is_wanted():
    script = well_behaved(arguments=ARGUMENTS, replies={}, says="no tool")
    with chat_server(script) as server:
        reply = server.endpoint().chat(QUESTION, tools=[TOOL], tool_choice=FORCED, max_tokens=50)
    assert json.loads(reply.tool_calls[0].arguments) == ARGUMENTS
    assert server.requests[0].forced_tool == "forecast_price"
    assert server.chats[0]["tools"] == [TOOL]
    assert server.chats[0]["parallel_tool_calls"] is False


def test_a_schema_is_sent_as_a_strict_response_format():
    script = well_behaved(arguments={}, replies={"prediction": {"price": 834}}, says="no schema")
    with chat_server(script) as server:
        reply = server.endpoint().chat(QUESTION, schema=("prediction", SCHEMA), max_tokens=50)
        plain = ask(server)
    assert (json.loads(reply.text), plain.text) == ({"price": 834}, "no schema")
    assert server.chats[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "prediction", "strict": True, "schema": SCHEMA},
    }


def test_a_tool_choice_without_tools_is_a_usage_error():
    with chat_server([]) as server, pytest.raises(UsageError, match="'required' needs tools"):
        server.endpoint().chat(QUESTION, tool_choice="required", max_tokens=5)


# Parameters that a server refuses


@pytest.mark.parametrize("name", ["temperature", "seed", "parallel_tool_calls", "tool_choice"])
def test_a_refused_parameter_is_left_out_and_reported(name):
    with chat_server(refusing(name, then=[text("ok")])) as server:
        reply = ask_all(server)
    assert (reply.text, reply.dropped) == ("ok", (name,))
    first, second = server.chats
    assert {key: value for key, value in first.items() if key != name} == second


def test_the_token_limit_is_renamed_where_its_old_name_is_refused():
    wording = "Unsupported parameter: '{}' is not supported. Use 'max_completion_tokens' instead."
    with chat_server(refusing("max_tokens", then=[text("ok")], wording=wording)) as server:
        assert ask(server).dropped == ()
    assert server.chats[1]["max_completion_tokens"] == 50
    assert "max_tokens" not in server.chats[1]


def test_a_response_format_that_is_refused_is_reported_as_dropped():
    with chat_server(refusing("response_format", then=[text("ok")])) as server:
        assert ask_all(server).dropped == ("response_format",)


def test_a_refusal_that_names_no_field_is_read_from_its_sentence():
    told = "registry/model:latest does not support tools"
    answers = [raw({"error": told}, status=400), text("ok")]
    with chat_server(answers) as server:
        reply = ask_all(server)
    assert reply.dropped == ("tools", "tool_choice", "parallel_tool_calls")
    assert "tools" not in server.chats[1] and "tool_choice" not in server.chats[1]


def test_a_validation_error_of_another_kind_of_server_is_understood():
    detail = [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]
    with chat_server([raw({"detail": detail}, status=422), text("ok")]) as server:
        assert ask(server).dropped == ("seed",)


def test_strict_schemas_are_loosened_where_strict_is_refused():
    answers = [failed(400, "Unknown field 'strict'", param="tools[0].function.strict"), text("ok")]
    with chat_server(answers) as server:
        assert ask_all(server).dropped == ("strict",)
    assert "strict" not in json.dumps(server.chats[1])
    assert server.chats[1]["tools"][0]["function"]["parameters"] == SCHEMA
    assert TOOL["function"]["strict"] is True


def test_everything_optional_can_be_refused_and_an_answer_still_comes():
    names = ("tools", "temperature", "seed", "max_tokens", "response_format")
    with chat_server(refusing(*names, then=[text("ok")])) as server:
        reply = ask_all(server)
    assert set(reply.dropped) == {
        *("tools", "tool_choice", "parallel_tool_calls"),
        *("temperature", "seed", "response_format"),
    }
    assert server.chats[-1] == {
        "model": MODEL,
        "messages": QUESTION,
        "max_completion_tokens": 50,
    }


def test_what_a_model_refused_once_is_not_sent_to_it_again():
    names = ("temperature", "max_tokens", "response_format")
    with chat_server(refusing(*names, then=[text("a"), text("b")])) as server:
        endpoint = server.endpoint()
        for expected in ("a", "b"):
            reply = endpoint.chat(QUESTION, schema=("prediction", SCHEMA), max_tokens=50)
            assert reply.text == expected
            assert set(reply.dropped) == {"temperature", "response_format"}
    # Four tries first; then two, as a schema refused today says nothing about the next one.
    assert len(server.chats) == 6


def test_a_server_that_refuses_what_was_not_sent_is_an_error_not_a_loop():
    line = refusal(lambda request: failed(400, "tools are not supported", param="tools"))
    assert "refused the request (HTTP 400): tools are not supported" in line


def test_a_server_that_keeps_refusing_is_an_error_not_a_loop():
    schema = {"type": "object", "properties": {"strict": {"type": "boolean"}}}
    with chat_server(lambda request: failed(400, "strict tools seed temperature")) as server:
        with pytest.raises(LanguageModelError, match="refused the request"):
            server.endpoint().chat(QUESTION, schema=("s", schema), max_tokens=5)
    assert len(server.chats) == 4


def test_a_prompt_that_is_too_long_is_told_in_the_words_of_the_server():
    line = refusal(failed(400, "request (6031 tokens) exceeds the context size (4096 tokens)"))
    assert line.endswith("(HTTP 400): request (6031 tokens) exceeds the context size (4096 tokens)")


# What goes wrong


def test_a_server_that_is_down_is_named_with_what_to_do():
    with chat_server([]) as server:
        endpoint = server.endpoint(retries=1)
    with pytest.raises(
        LanguageModelError, match=r"^cannot reach http://127\.0\.0\.1:\d+ "
    ) as caught:
        endpoint.chat(QUESTION, max_tokens=5)
    assert "refused" in str(caught.value) and "OPENAI_BASE_URL" in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_not_accepted_is_named_by_its_variable(status):
    assert "refuses the key" in (line := refusal(failed(status, "no")))
    assert "OPENAI_API_KEY" in line


def test_a_model_that_is_not_known_is_named():
    line = refusal(failed(404, "The model does not exist"))
    assert "The model does not exist; check OPENAI_MODEL" in line


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (without_choices(), "without a usable reply: no message in it"),
        (not_json(), "without a usable reply: not JSON"),
        (raw(b""), "without a usable reply: not JSON"),
        (raw(b"\xff\xfe\xfa"), "without a usable reply: not JSON"),
        (raw(b"[" * 100_000), "without a usable reply: not JSON"),
        (raw([1, 2]), "without a usable reply: not a JSON object"),
        (raw({"choices": None}), "without a usable reply: no message in it"),
        (raw({"choices": ["x"]}), "without a usable reply: no message in it"),
        (raw({"choices": [{"message": None}]}), "without a usable reply: no message in it"),
        (raw({"error": {"message": "overloaded"}}), "without a usable reply: overloaded"),
        (message({"content": None, "tool_calls": "no"}), "tool_calls is not a list"),
        (message({"content": None, "tool_calls": [{"id": "1"}]}), "a tool call without a function"),
        (cut(text("It is expected")), "broke off its answer"),
        (hang_up(), "broke off its answer"),
        (raw(b"not gzip", content_encoding="gzip"), "broke off its answer"),
        (raw(b"", status=302), "refused the request (HTTP 302)"),
        (raw(b"x" * 9_000_000), "more than 8,000,000 bytes"),
    ],
)
def test_an_answer_that_makes_no_sense_is_one_line_of_error(answer, told):
    assert told in refusal(answer)


def test_the_words_of_a_server_are_put_on_one_short_line():
    line = refusal(failed(400, "first\nsecond \x1b[31mred\u202e" + "x" * 5000))
    assert "first second [31mred" in line


def test_a_passing_failure_is_tried_again():
    answers = [failed(429, "slow down"), failed(503, "busy"), text("ok")]
    with chat_server(answers) as server:
        assert ask(server, retries=2).text == "ok"
    assert len(server.chats) == 3


def test_a_connection_that_breaks_is_tried_again():
    with chat_server([hang_up(), cut(text("ok")), text("ok")]) as server:
        assert ask(server, retries=2).text == "ok"


@pytest.mark.parametrize(
    ("status", "told"), [(429, "rate limit or quota"), (500, "failed (HTTP 500)"), (503, "busy")]
)
def test_a_failure_that_does_not_pass_is_an_error_after_the_last_retry(status, told):
    with chat_server(lambda request: failed(status, "busy")) as server:
        with pytest.raises(LanguageModelError) as caught:
            ask(server, retries=2)
    assert told in str(caught.value)
    assert len(server.chats) == 3


def test_a_refused_key_is_not_tried_again():
    with chat_server(refuses_key) as server, pytest.raises(LanguageModelError):
        ask(server, retries=2)
    assert len(server.chats) == 1


@pytest.mark.parametrize("answer", [silence(), stall(), stall(b""), drip()])
def test_a_server_that_stalls_is_given_up_in_time(answer):
    started = time.monotonic()
    line = refusal(answer, timeout=0.4, retries=2)
    assert "did not answer within 0.4 s" in line
    assert time.monotonic() - started < 2


def test_a_server_that_asks_for_a_longer_wait_than_there_is_time_is_not_waited_for():
    started = time.monotonic()
    assert "HTTP 429" in refusal(failed(429, "later", retry_after="6"), retries=1)
    assert time.monotonic() - started < 2


def test_a_short_wait_that_a_server_asks_for_is_kept():
    with chat_server([failed(429, "later", retry_after="0.3"), text("ok")]) as server:
        started = time.monotonic()
        assert ask(server, retries=1).text == "ok"
    assert time.monotonic() - started > 0.3


# The key


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_key_that_a_server_repeats_is_never_shown(status, caplog):
    caplog.set_level(logging.DEBUG)
    answer = failed(status, f"bad key {KEY} {KEY.upper()}", param=KEY)
    with chat_server([answer]) as server, pytest.raises(LanguageModelError) as caught:
        ask(server)
    assert KEY not in everything_shown(caught.value)
    assert KEY not in caplog.text


def test_a_key_repeated_in_a_body_without_structure_is_never_shown():
    assert KEY not in refusal(raw(f"{KEY} is not known here".encode(), status=418))
    assert KEY not in refusal(raw({"error": f"bad key {KEY}"}))
    assert KEY not in refusal(refuses_key)


def test_a_key_in_a_reply_is_hidden():
    echoed = tool_calls([(KEY, f'{{"x": "{KEY}"}}')], content=f"Your key is {KEY}.")
    with chat_server([echoed]) as server:
        reply = ask(server)
    assert KEY not in repr(reply) and reply.text == "Your key is ***."


def test_of_very_many_calls_in_one_reply_the_first_are_read():
    with chat_server([tool_calls([("forecast_price", ARGUMENTS)] * 1_000)]) as server:
        assert len(ask(server).tool_calls) == 8


def test_a_key_is_in_no_representation():
    endpoint = Endpoint(None, "m", KEY, name="m", calls_tools=True)
    assert KEY not in f"{endpoint} {endpoint!r}"
    assert endpoint.where == "https://api.openai.com"


@pytest.mark.parametrize("key", ["", "sk one", "sk\n", "sk-ü", "sk-\u200b"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key):
    with pytest.raises(UsageError, match=r"^OPENAI_API_KEY is empty, or holds") as caught:
        Endpoint(None, "m", key, name="m", calls_tools=True)
    assert not key or key not in str(caught.value)
