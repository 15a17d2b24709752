"""A streamed answer is shown sentence by sentence, and only what passes the grounding check."""

import pytest
from chat_server import Answer, chat_server, structured, text, tool_call
from chat_server import stream as streamed

from belief.errors import LanguageModelError
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME
from belief_tools.gate import Gate
from belief_tools.receipt import statement
from belief_tools.terminal import LiveText, print_answer

QUESTION = "What will Nvidia's stock price be at the end of March 2024?"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
PREDICTION = {"price": 834, "low": 681, "high": 994, "prob_up": 0.55, "reasons": "the forecast"}


@pytest.fixture(scope="module")
def result(tool):
    return tool.run(tool.check(CALL))


@pytest.fixture(scope="module")
def sentences(result):
    low, high = result.interval_90
    return (
        f"Nvidia should close near ${result.median:,.0f} on March 28, 2024.",
        f"There is a 90% chance between ${low:,.0f} and ${high:,.0f}.",
        f"The last close was ${result.last_close:,.2f}.",
    )


def gated(result, *texts):
    """What a gate shows while a text grows."""
    seen = []
    gate = Gate(result.to_dict(), QUESTION, seen.append)
    for each in texts:
        gate.more(each)
    return gate, seen


def growing(text, step=7):
    return [text[:end] for end in range(0, len(text) + step, step)]


def test_a_sentence_is_shown_when_the_next_one_begins(result, sentences):
    first, second, third = sentences
    _, seen = gated(result, *growing(" ".join(sentences)))
    assert seen == [first, f"{first} {second}"]
    assert third not in seen[-1]


def test_no_figure_is_shown_before_its_sentence_is_whole(result, sentences):
    _, seen = gated(result, *growing(sentences[0]))
    assert seen == []


def test_a_wrong_sentence_and_what_follows_it_are_held_back(result, sentences):
    wrong = f"{sentences[0]} It may well reach $5,000. {sentences[1]} {sentences[2]}"
    _, seen = gated(result, *growing(wrong))
    assert seen == [sentences[0]]


def test_the_end_shows_the_rest_or_takes_all_back(result, sentences):
    whole = " ".join(sentences)
    gate, seen = gated(result, *growing(whole))
    gate.close(whole)
    assert seen[-1] == whole
    gate, seen = gated(result, *growing(whole))
    gate.close("")
    assert seen[-1] == ""


def test_what_was_never_shown_is_not_taken_back(result):
    gate, seen = gated(result, "It will be $5,000. Surely")
    gate.close("")
    assert seen == []


def test_a_figure_with_points_is_no_end_of_a_sentence(result):
    _, seen = gated(result, "Nvidia is expected at $834. 90% is between", "Nvidia at $8. 34")
    assert seen == []


# The whole consultation


def plays(*texts):
    """A model that calls the tool, predicts, and says these texts in turn."""
    left = list(texts)

    def respond(request):
        if request.forced_tool is not None:
            return tool_call(NAME, CALL)
        if request.schema_name is not None:
            return structured(PREDICTION)
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def consulted(tool, *texts):
    seen = []
    with chat_server(plays(*texts)) as server:
        given = answer(QUESTION, tool, server.endpoint, show=seen.append)
        return given, seen, server.chats


def pieces(text):
    return streamed(*[text[i : i + 5] for i in range(0, len(text), 5)])


def test_a_right_answer_is_shown_while_it_comes_and_ends_as_it_was_shown(tool, sentences):
    given, seen, chats = consulted(tool, pieces(" ".join(sentences)))
    assert given.stop_reason == "answered" and given.text == seen[-1] == " ".join(sentences)
    assert len(seen) == len(sentences)
    assert [bool(body.get("stream")) for body in chats] == [False, False, True]


def test_an_answer_that_turns_wrong_is_taken_back_and_the_second_is_shown(tool, sentences):
    wrong = f"{sentences[0]} It may well reach $5,000."
    given, seen, _ = consulted(tool, pieces(wrong), pieces(sentences[0]))
    assert given.stop_reason == "repaired"
    assert seen == [sentences[0], "", given.text] and given.text.startswith(sentences[0])


def test_no_rejected_figure_is_ever_shown(tool, result):
    given, seen, _ = consulted(tool, pieces("It will be $5,000. It will be $6,000."))
    assert given.stop_reason == "replaced" and given.text == statement(result)
    assert seen == []


def test_a_stream_that_breaks_is_taken_back(tool, sentences):
    broken = streamed(*sentences, finish_reason=None)
    given, seen, _ = consulted(tool, broken)
    assert given.stop_reason == "language model failed"
    assert seen[-1:] in ([""], [])


def test_a_server_that_does_not_stream_is_shown_at_the_end(tool, sentences):
    given, seen, _ = consulted(tool, text(" ".join(sentences)))
    assert given.stop_reason == "answered" and seen == [given.text]


# On a terminal


def test_what_grows_is_written_once(capsys):
    live = LiveText()
    for each in ("At $834.", "At $834. So", "At $834. So it is."):
        live.show(each)
    assert capsys.readouterr().out == "At $834. So it is."


def test_what_is_taken_back_is_marked_and_the_next_text_stands_alone(capsys):
    live = LiveText()
    for each in ("At $834.", "", "At $835."):
        live.show(each)
    marked = "At $834.\n(taken back: it did not pass the checks)\nAt $835."
    assert capsys.readouterr().out == marked


def test_a_terminal_is_not_obeyed(capsys):
    LiveText().show("At \x1b[31m$834.")
    assert "\x1b" not in capsys.readouterr().out


def test_an_answer_that_was_shown_is_not_printed_again(tool, sentences, capsys):
    live = LiveText()
    with chat_server(plays(pieces(sentences[0]))) as server:
        given = answer(QUESTION, tool, server.endpoint, show=live.show)
    print_answer(given, live)
    assert capsys.readouterr().out.count(sentences[0]) == 1


def test_a_statement_is_printed_after_what_was_taken_back(tool, sentences, result, capsys):
    live = LiveText()
    wrong = pieces(f"{sentences[0]} It may well reach $5,000.")
    with chat_server(plays(wrong)) as server:
        given = answer(QUESTION, tool, server.endpoint, show=live.show)
    print_answer(given, live)
    shown = capsys.readouterr().out
    assert shown.count("taken back") == 2 and f"\n{statement(result)}\n" in shown


@pytest.mark.parametrize("mode", ["tool", "context"])
def test_a_failing_server_shows_nothing(tool, mode):
    seen = []
    with chat_server(lambda _: Answer(b"{}", status=500)) as server:
        given = answer(QUESTION, tool, server.endpoint, mode=mode, show=seen.append)
    assert given.stop_reason == "language model failed" and seen == []


def test_without_a_consultation_nothing_is_streamed(tool):
    seen = []
    with chat_server(lambda _: text("It will be $5,000.")) as server:
        given = answer(QUESTION, tool, server.endpoint, mode="none", show=seen.append)
    assert given.stop_reason == "not consulted" and seen == []
    with pytest.raises(LanguageModelError), chat_server([]) as server:
        answer(QUESTION, tool, server.endpoint, mode="none", show=seen.append)
