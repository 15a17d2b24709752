"""A reply that comes piece by piece, from servers that stream well, badly, or not at all."""

import json

import pytest
from chat_server import (
    KEY,
    chat_server,
    cut,
    events,
    failed,
    hang_up,
    raw,
    refusing,
    stall,
    stream,
    text,
)

from belief.errors import LanguageModelError

QUESTION = [{"role": "user", "content": "Where will Nvidia be?"}]


def ask(script, *, timeout=5.0, retries=0):
    """The reply of a server, and the texts that were seen on the way."""
    seen = []
    with chat_server(script) as server:
        endpoint = server.endpoint(timeout=timeout, retries=retries)
        reply = endpoint.chat(QUESTION, max_tokens=50, on_text=seen.append)
        return reply, seen, server.chats


def test_the_text_grows_piece_by_piece():
    reply, seen, [body] = ask([stream("At ", "$83", "4.")])
    assert seen == ["At ", "At $83", "At $834."]
    assert (reply.text, reply.finish_reason, reply.dropped) == ("At $834.", "stop", ())
    assert body["stream"] is True


def test_a_reply_that_is_not_wanted_in_pieces_is_not_asked_for_in_pieces():
    with chat_server([text("At $834.")]) as server:
        server.endpoint().chat(QUESTION, max_tokens=50)
        assert "stream" not in server.chats[0]


def test_a_server_that_sends_the_whole_at_once_is_taken():
    reply, seen, _ = ask([text("At $834.")])
    assert (reply.text, seen) == ("At $834.", [])


def test_a_server_that_refuses_to_stream_is_asked_without():
    reply, _, bodies = ask(refusing("stream", then=[text("At $834.")]))
    assert reply.text == "At $834."
    assert ["stream" in body for body in bodies] == [True, False]


def test_comments_empty_lines_and_other_line_ends_are_no_text():
    piece = json.dumps({"choices": [{"delta": {"content": "At $834."}, "finish_reason": "stop"}]})
    reply, _, _ = ask([events(f": waiting\r\n\r\nevent: x\r\ndata: {piece}\r\n\r\n")])
    assert reply.text == "At $834."


def test_a_stream_needs_no_word_that_it_is_done():
    reply, _, _ = ask([stream("At $834.", done=False)])
    assert reply.text == "At $834."


def test_a_server_that_keeps_the_connection_after_the_last_piece_is_not_waited_for():
    answer = stream("At $834.", done=False)
    open_end = type(answer)(answer.content, headers=answer.headers, ending="stall")
    reply, _, _ = ask([open_end], timeout=1.0)
    assert reply.text == "At $834."


def test_a_stream_cut_off_at_the_token_limit_says_so():
    reply, _, _ = ask([stream("At $83", finish_reason="length")])
    assert reply.finish_reason == "length"


def test_a_refusal_is_text():
    refusal = {"choices": [{"delta": {"refusal": "I cannot."}, "finish_reason": "stop"}]}
    reply, _, _ = ask([events(f"data: {json.dumps(refusal)}\n\n")])
    assert reply.text == "I cannot."


BROKEN = {
    "ends without a finish": stream("At $83", finish_reason=None),
    "cut in the middle": cut(stream("At $83", finish_reason=None, done=False)),
    "nothing at all": raw(b""),
    "hangs up": hang_up(),
    "no JSON": events("data: {nonsense\n\n"),
    "nested without end": events("data: " + "[" * 100_000 + "\n\n"),
    "no object": events("data: 17\n\n"),
    "an error between": events('data: {"error": {"message": "overloaded"}}\n\n'),
    "no event at all": events("<html>portal</html>"),
    "no message": raw({"choices": []}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_stream_that_is_none_is_an_error_of_one_line(name):
    with pytest.raises(LanguageModelError) as error:
        ask([BROKEN[name]])
    assert "\n" not in str(error.value) and KEY not in str(error.value)


BEGUN = stream("At ", finish_reason=None, done=False).content


@pytest.mark.parametrize("begun", [b"", b"data: ", BEGUN])
def test_a_stream_that_stalls_is_given_up_in_time(begun):
    with pytest.raises(LanguageModelError, match=r"did not answer within 0\.3 s"):
        ask([stall(begun)], timeout=0.3)


def test_a_stream_that_breaks_is_asked_for_again_from_the_beginning():
    broken = stream("At $8", finish_reason=None, done=False)
    reply, seen, bodies = ask([broken, stream("At $", "834.")], retries=1)
    assert (reply.text, len(bodies)) == ("At $834.", 2)
    assert seen == ["At $8", "At $", "At $834."]


def test_a_failing_server_is_explained_as_without_streaming():
    with pytest.raises(LanguageModelError, match="refuses the key"):
        ask([failed(401, "no")])


def test_fields_of_other_shapes_are_no_text():
    odd = [
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 5}}]},
        {"choices": [{"delta": {"content": "At $834."}, "finish_reason": "stop"}]},
    ]
    reply, seen, _ = ask([events("".join(f"data: {json.dumps(each)}\n\n" for each in odd))])
    assert (reply.text, seen) == ("At $834.", ["At $834."])
