"""What was asked once is on the tape, is never asked again, and plays back without a network."""

import gzip
import json
import threading

import pytest
from chat_server import KEY, MODEL, Answer, chat_server, failed, refuses_key, text, tool_call

from belief.errors import LanguageModelError, UsageError
from belief_tools.replies import Reply
from belief_tools.tape import NOT_THERE, NoModel, Tape, TapedModel

HELLO = [{"role": "user", "content": "Where will Nvidia close? \u2013 In \u00a3, please."}]


class Counting:
    """A model that answers with the number of the request; it fails as often as it is told to."""

    name, calls_tools = "counting", True

    def __init__(self, failures=0):
        self.asked, self.failures = 0, failures

    def chat(self, messages, **wanted):
        self.asked += 1
        if self.asked <= self.failures:
            raise LanguageModelError(f"failure {self.asked}")
        return Reply(f"reply {self.asked} \u2013 {messages[-1]['content']}", (), "stop", 7, 3)


def never():
    raise AssertionError("nobody may be asked")


def taped(tape, model=None, *, name="m", most_tokens=300, **hooks):
    connect = never if model is None else lambda: model
    return TapedModel(name, tape, connect, calls_tools=True, most_tokens=most_tokens, **hooks)


def say(model, content="hello", **wanted):
    return model.chat([{"role": "user", "content": content}], **{"max_tokens": 100, **wanted})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new folder" / "tape.jsonl"


def recorded(path, *contents):
    model = taped(Tape(path), Counting())
    return [say(model, content) for content in contents]


# Asked once


def test_the_same_request_is_asked_once(path):
    model = Counting()
    tape = Tape(path)
    first, second = (say(taped(tape, model)) for _ in range(2))
    assert first == second and model.asked == 1 and len(tape) == 1


def test_another_process_reads_what_was_asked(path):
    before = recorded(path, "a \u2013 b", "c\nd")
    model = taped(Tape(path))
    assert [say(model, content) for content in ("a \u2013 b", "c\nd")] == before


@pytest.mark.parametrize(
    "other",
    [
        {"content": "hullo"},
        {"stop": "."},
        {"max_tokens": 99},
        {"tools": [{"type": "function"}]},
        {"tools": [{"type": "function"}], "tool_choice": "required"},
        {"schema": ("close", {"type": "object"})},
    ],
    ids=str,
)
def test_a_request_that_differs_in_anything_is_asked(path, other):
    recorded(path, "hello")
    model = Counting()
    say(taped(Tape(path), model), **other)
    assert model.asked == 1


def test_another_model_is_asked(path):
    recorded(path, "hello")
    model = Counting()
    say(taped(Tape(path), model, name="n"))
    assert model.asked == 1


def test_a_reply_comes_back_as_it_was_with_its_calls(path):
    script = [tool_call("forecast_price", '{"a": "\u2013"', content="so"), text("\u00a3 834")]
    with chat_server(script) as server:
        asking = taped(Tape(path), server.endpoint())
        before = [say(asking, content) for content in "ab"]
    assert before[0].tool_calls[0].arguments == '{"a": "\u2013"' and before[1].text == "\u00a3 834"
    again = taped(Tape(path, only=True))
    assert [say(again, content) for content in "ab"] == before


def test_replies_are_cut_off_where_the_run_says(path):
    with chat_server([text("a"), text("b")]) as server:
        model = taped(Tape(path), server.endpoint(), most_tokens=120)
        say(model, max_tokens=300), say(model, max_tokens=60)
        assert [body["max_tokens"] for body in server.chats] == [120, 60]


# Written at once, whatever happens


def test_an_exchange_is_written_before_the_reply_is_given(path):
    seen = []
    model = taped(Tape(path), Counting(), after=lambda _: seen.append(path.read_text()))
    say(model)
    assert json.loads(seen[0])["reply"]["text"].startswith("reply 1")


def test_half_a_last_line_is_cut_and_the_run_goes_on(path):
    recorded(path, "a", "b")
    whole = path.read_bytes()
    ends = [whole.index(b"\n") + 1 + cut for cut in (1, 20, 200)] + [len(whole) - 1]
    # in the middle of a character of two bytes or more, too
    ends += [whole.rindex("\u2013".encode()) + 1]
    for end in ends:
        path.write_bytes(whole[:end])
        model = Counting()
        tape = Tape(path)
        assert len(tape) == 1
        replies = [say(taped(tape, model), content) for content in "ab"]
        assert model.asked == 1 and len(Tape(path)) == 2
        assert replies == [say(taped(Tape(path, only=True)), content) for content in "ab"]


def test_a_failed_exchange_is_asked_again(path):
    model = Counting(failures=1)
    with pytest.raises(LanguageModelError, match="failure 1"):
        say(taped(Tape(path), model))
    assert say(taped(Tape(path), model)).text.startswith("reply 2")
    assert say(taped(Tape(path))).text.startswith("reply 2")  # the last word counts


def test_a_failed_exchange_fails_again_where_only_the_tape_may_be_asked(path):
    with pytest.raises(LanguageModelError):
        say(taped(Tape(path), Counting(failures=1)))
    with pytest.raises(LanguageModelError, match=r"^failure 1$"):
        say(taped(Tape(path, only=True)))


def test_a_model_that_cannot_be_had_is_no_failure_of_one_exchange(path):
    def connect():
        raise LanguageModelError("no such file")

    model = TapedModel("m", Tape(path), connect, calls_tools=True, most_tokens=9)
    with pytest.raises(NoModel, match=r"^no such file$"):
        say(model)
    assert not path.exists()
    assert NoModel.exit_code == LanguageModelError.exit_code


def test_a_refusal_before_a_request_leaves_no_trace(path):
    def refuse():
        raise UsageError("the budget is spent")

    model = Counting()
    with pytest.raises(UsageError):
        say(taped(Tape(path), model, before=refuse))
    assert model.asked == 0 and not path.exists()


def test_only_what_is_asked_is_paced_and_counted(path):
    calls = []
    hooks = {"before": lambda: calls.append("before"), "after": lambda _: calls.append("after")}
    model = Counting()
    for _ in range(2):
        say(taped(Tape(path), model, **hooks))
    assert calls == ["before", "after"]


def test_threads_write_whole_lines(path):
    tape = Tape(path)
    model = Counting()
    contents = [f"{number} {'x' * 20_000}" for number in range(40)]

    def ask(part):
        for content in part:
            say(taped(tape, model), content)

    threads = [threading.Thread(target=ask, args=(contents[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = taped(Tape(path, only=True))
    assert len(Tape(path)) == 40
    assert all(say(again, content).text.endswith(content) for content in contents)


def test_text_that_cannot_be_written_does_not_end_the_run(path):
    model = taped(Tape(path), Counting())
    assert say(model, "half a pair: \ud800").text
    assert say(taped(Tape(path)), "half a pair: \ud800").text


# Only the tape


def test_what_is_not_on_the_tape_is_an_error_of_the_question(path):
    recorded(path, "a")
    model = taped(Tape(path, only=True))
    with pytest.raises(LanguageModelError, match=NOT_THERE):
        say(model, "b")
    assert say(model, "a").text.startswith("reply 1")
    assert model.heard().requests == 1  # what is not there was not heard


def test_a_compressed_tape_plays_back_and_is_never_written(path):
    before = recorded(path, "a", "b")
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    content = packed.read_bytes()
    model = taped(Tape(packed))
    assert [say(model, each) for each in "ab"] == before
    with pytest.raises(LanguageModelError, match=NOT_THERE):
        say(model, "c")
    assert packed.read_bytes() == content


# A tape that is none


@pytest.mark.parametrize(
    "garbage",
    ["{}", "[1]", "nonsense", "", "null", "1", '{"name":', "\ufeff", '{"name":"a","model":"b"}'],
)
def test_a_line_that_is_no_exchange_is_named(path, garbage):
    recorded(path, "a")
    path.write_text(path.read_text() + garbage + "\n" + path.read_text(), encoding="utf-8")
    with pytest.raises(UsageError) as error:
        Tape(path)
    assert str(error.value) == f"line 2 of the tape {path} is no exchange"


@pytest.mark.parametrize(
    "damage",
    [{"reply": {"text": "a"}}, {"reply": "a"}, {"reply": []}, {"name": ["a"]}, {"seconds": "1"}],
    ids=str,
)
def test_an_exchange_of_another_shape_is_named(path, damage):
    recorded(path, "a")
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}) + "\n")
    with pytest.raises(UsageError, match=r"^line 1 of the tape .* is no exchange$"):
        Tape(path)


def test_a_tape_that_cannot_be_read_is_an_error_in_one_line(tmp_path):
    whole = gzip.compress(b'{"a": 1}\n' * 1000)
    broken = {
        "none.jsonl.gz": whole[: len(whole) // 2],
        "bits.jsonl.gz": whole[:12] + bytes(40) + whole[52:],
        "text.jsonl.gz": b"not compressed",
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match=rf"^the tape \S+{name} cannot be read: .+$"):
            Tape(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        Tape(tmp_path / "missing.jsonl", only=True)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        Tape(tmp_path)


def test_a_tape_that_cannot_be_written_is_an_error_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written: (Not a directory|File exists)"):
        say(taped(Tape(tmp_path / "file" / "tape.jsonl"), Counting()))


# What was heard


def test_tokens_and_seconds_are_summed_and_forgotten(path):
    model = taped(Tape(path), Counting())
    say(model, "a"), say(model, "b")
    live = model.heard()
    assert (live.requests, live.prompt_tokens, live.completion_tokens) == (2, 14, 6)
    assert model.heard().requests == 0
    again = taped(Tape(path, only=True))
    say(again, "a"), say(again, "b")
    assert again.heard() == live


def test_tokens_that_were_not_counted_once_are_not_known(path):
    model = taped(Tape(path), Counting(failures=1))
    with pytest.raises(LanguageModelError):
        say(model, "a")
    say(model, "b")
    heard = model.heard()
    assert (heard.requests, heard.prompt_tokens, heard.completion_tokens) == (2, None, None)


# Keys


@pytest.mark.parametrize("script", [lambda _: text("fine"), refuses_key], ids=["said", "refused"])
def test_no_key_is_ever_on_the_tape(path, script):
    with chat_server(script) as server:
        model = taped(Tape(path), server.endpoint())
        try:
            model.chat(HELLO, max_tokens=10)
        except LanguageModelError as error:
            assert KEY not in str(error)
        assert KEY in server.requests[0].headers["authorization"]
    assert KEY not in path.read_text()
    assert MODEL not in json.loads(path.read_text())["name"]


def test_a_server_that_repeats_the_key_leaves_no_trace_of_it(path):
    def repeats(request):
        return text(f"your headers: {request.headers['authorization']}")

    with chat_server(repeats) as server:
        assert "***" in taped(Tape(path), server.endpoint()).chat(HELLO, max_tokens=9).text
    assert KEY not in path.read_text()


def test_a_failing_server_is_written_down_with_its_reason(path):
    with chat_server(lambda _: failed(400, "context too long")) as server:
        with pytest.raises(LanguageModelError, match="context too long"):
            say(taped(Tape(path), server.endpoint()))
    line = json.loads(path.read_text())
    assert line["reply"] is None and "context too long" in line["error"]


def test_garbage_from_a_server_is_a_failed_exchange(path):
    with chat_server(lambda _: Answer(b"<html>")) as server:
        with pytest.raises(LanguageModelError):
            say(taped(Tape(path), server.endpoint()))
    assert json.loads(path.read_text())["error"]
