"""A conversation without a screen: what came of each question, in order, and nobody else's."""

import datetime
import threading
import time

import pytest
from chat_server import chat_server, failed
from consulted import QUESTION, plays
from daily import evening
from published import FIRST, put_in_service, renamed
from stored import opened

from belief.errors import LanguageModelError, UnknownSymbol, UsageError
from belief.ledger import entries
from belief_tools.answer import Answer
from belief_tools.conversation import Dialogue
from belief_tools.desk import desk_of
from belief_tools.dispatch import NO_PRICE
from belief_tools.recording import ConversationLog
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk

MOMENT = datetime.datetime(2024, 3, 1, 22, tzinfo=datetime.UTC)
PAST = "What was Nvidia's price on 2024-02-15?"


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    return tmp_path


def written(folder):
    with opened(folder) as store, store.read() as connection:
        return [each.entry for each in entries(connection, kind="answer")]


def dialogue(desk):
    return Dialogue(desk, ConversationLog(lambda: MOMENT))


def must_not_connect():
    raise AssertionError("a language model was asked for")


def asked(talk, text, connect=must_not_connect):
    return list(talk.replies(text, connect))


def interrupted():
    raise KeyboardInterrupt


# What comes of a question


def test_an_answer_comes_with_its_tool_and_its_entry(tool, ledger):
    [reply] = asked(dialogue(desk_of(tool)), PAST)
    assert (reply.symbol, reply.tool) == ("NVDA", tool)
    assert isinstance(reply.came, Answer) and "2024-02-15" in reply.came.text
    [entry] = written(ledger)
    assert (reply.written.name, reply.written.problem) == (entry.name, None)


def test_a_question_that_fails_is_a_reply_and_is_written_down(tool, ledger):
    [reply] = asked(dialogue(desk_of(tool)), "What will Nvidia cost in 2031?")
    assert isinstance(reply.came, UsageError) and reply.tool is tool
    [entry] = written(ledger)
    assert entry.name == reply.written.name and entry.body["text"] == str(reply.came)


def test_a_symbol_that_cannot_be_served_is_a_reply_of_which_nothing_is_written(where):
    put_in_service(where, *renamed(FIRST, "AMD"))
    desk = SharedDesk(
        Asked(None, None, None, "belief", False, evening(FIRST), may_fit=False),
        lambda: evening(FIRST),
    ).desk()
    whole = desk.tool

    def tool(symbol):
        if symbol == "AMD":
            raise UnknownSymbol("gone")
        return whole(symbol)

    object.__setattr__(desk, "tool", tool)
    replies = asked(dialogue(desk), "What was the price of AMD and Nvidia on 2024-05-31?")
    assert [reply.symbol for reply in replies] == ["AMD", "NVDA"]
    assert isinstance(replies[0].came, UnknownSymbol)
    assert replies[0].tool is replies[0].written is None
    assert isinstance(replies[1].came, Answer)


def test_what_is_no_question_about_a_price_is_answered_once_whatever_it_names(where):
    put_in_service(where, *renamed(FIRST, "AMD"))
    asks = Asked(None, None, None, "belief", False, evening(FIRST), may_fit=False)
    talk = dialogue(SharedDesk(asks, lambda: evening(FIRST)).desk())
    [reply] = asked(talk, "Who founded Nvidia and AMD?")
    assert reply.came.stop_reason == NO_PRICE


def test_a_follow_up_takes_what_it_leaves_out_from_the_turn_before(tool):
    talk = dialogue(desk_of(tool))
    with chat_server(plays("It is unsure.")) as server:
        asked(talk, QUESTION, server.endpoint)
        [reply] = asked(talk, "and in six months?", server.endpoint)
    assert reply.came.result.target == "2024-08-30"
    assert "from the question before: NVDA" in " ".join(reply.came.notes)


def test_after_a_date_that_cannot_be_the_date_is_not_carried_on(tool):
    talk = dialogue(desk_of(tool))
    asked(talk, "Will Nvidia be above $900 in 2031?")
    (turn,) = talk.turns
    assert (turn.shown, turn.question.target, turn.question.levels) == (None, None, (900.0,))


def test_after_a_company_that_is_not_known_the_question_before_is_leant_on(tool):
    talk = dialogue(desk_of(tool))
    [reply] = asked(talk, "What will Apple cost tomorrow?")
    assert isinstance(reply.came, UnknownSymbol) and talk.turns == []


def test_a_model_that_fails_bare_is_a_reply(tool):
    talk = Dialogue(desk_of(tool), ConversationLog(lambda: MOMENT), mode="none")
    with chat_server(lambda _: failed(500, "out of memory")) as server:
        [reply] = asked(talk, QUESTION, server.endpoint)
    assert isinstance(reply.came, LanguageModelError) and len(talk.turns) == 1


def test_an_abandoned_question_is_kept_for_a_follow_up_and_is_not_written(tool, ledger):
    talk = dialogue(desk_of(tool))
    with pytest.raises(KeyboardInterrupt):
        asked(talk, "Will Nvidia be above $900 at the end of March?", interrupted)
    (turn,) = talk.turns
    assert turn.shown is None and turn.question.levels == (900.0,)
    [reply] = asked(talk, PAST)  # and the next question need not wait
    assert [entry.name for entry in written(ledger)] == [reply.written.name]


# Two at a time


def test_two_conversations_at_once_know_nothing_of_each_other(tool, ledger):
    talks = [dialogue(desk_of(tool)) for _ in range(2)]
    asked(talks[0], PAST)
    asked(talks[1], PAST)
    asked(talks[1], "and on 2024-02-20?")
    assert [len(talk.turns) for talk in talks] == [1, 2]
    places = [(entry.body["conversation"], entry.body["turn"]) for entry in written(ledger)]
    first, second = (talk.log.conversation for talk in talks)
    assert sorted(places) == sorted([(first, 1), (second, 1), (second, 2)]) and first != second


def test_a_second_question_waits_for_the_first(tool):
    talk, begun, go_on = dialogue(desk_of(tool)), threading.Event(), threading.Event()

    def connect():
        begun.set()
        go_on.wait(5)
        raise LanguageModelError("not now")

    threads = [threading.Thread(target=asked, args=(talk, QUESTION, connect))]
    threads[0].start()
    assert begun.wait(5)
    threads.append(threading.Thread(target=asked, args=(talk, "and in June?", connect)))
    threads[1].start()
    time.sleep(0.05)
    assert talk.turns == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert [turn.question.text for turn in talk.turns] == [QUESTION, "and in June?"]
    assert talk.turns[1].question.carried  # it leant on the first
