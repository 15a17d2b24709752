"""The conversations of the page: whose they are, and how an answer comes bit by bit."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from belief.errors import UsageError
from belief_tools import talks as module
from belief_tools.conversation import Reply
from belief_tools.desk import Desk
from belief_tools.talks import Talks

PAST = np.datetime64("2024-03-01")
DESK = Desk("NVDA", {"NVDA": ("Nvidia",)}, lambda _: None)


class Scripted:
    """A conversation that answers in three steps, each when it is let."""

    def __init__(self, name):
        self.log = SimpleNamespace(conversation=name)
        self.desk, self.asked = None, []
        self.shown, self.taken_back, self.answered = (threading.Event() for _ in range(3))

    def replies(self, text, connect, show):
        self.asked.append(text)
        show("It is")
        self.shown.wait(10)
        show("")
        self.taken_back.wait(10)
        yield Reply("NVDA", UsageError(f"{text} of {self.log.conversation}"), None, None)
        self.answered.wait(10)

    def hurry(self):
        for each in (self.shown, self.taken_back, self.answered):
            each.set()


@pytest.fixture
def held():
    """All conversations that were begun, and what keeps them."""
    begun = []

    def begin(as_of):
        begun.append(Scripted(f"conversation {len(begun)} as of {as_of}"))
        return begun[-1]

    yield begun, Talks(begin, lambda: None)
    for each in begun:
        each.hurry()


def until(reached):
    for _ in range(500):
        if reached():
            return
        time.sleep(0.01)
    raise AssertionError("it does not happen")


def test_an_answer_can_be_followed_while_it_comes(held):
    (begun, talks) = held
    talk = talks.talk("ann", None)
    said = talks.ask(talk, " Where to? ", DESK)
    assert said.question == "Where to?" and talk.said == [said]
    until(lambda: said.coming == "It is")
    assert said.begun and not said.done and said.replies == []
    begun[0].shown.set()
    until(lambda: said.coming == "")
    begun[0].taken_back.set()
    until(lambda: said.replies)
    assert not said.done
    changes = said.changes
    begun[0].answered.set()
    until(lambda: said.done)
    assert said.changes > changes and begun[0].desk is DESK


def test_everybody_has_a_conversation_of_their_own_for_each_day(held):
    _, talks = held
    own = {
        (visitor, str(day)): talks.talk(visitor, day)
        for visitor in ("ann", "bob")
        for day in (None, PAST)
    }
    assert len({id(each) for each in own.values()}) == 4
    assert talks.talk("ann", PAST) is own["ann", str(PAST)]
    assert talks.conversations("ann").isdisjoint(talks.conversations("bob"))
    assert len(talks.conversations("ann")) == 2


def test_many_at_once_get_their_own_answers(held):
    begun, talks = held
    visitors = [f"visitor {n}" for n in range(12)]
    said = {each: talks.ask(talks.talk(each, None), f"of {each}", DESK) for each in visitors}
    for each in begun:
        each.hurry()
    for visitor, own in said.items():
        until(lambda own=own: own.done)
        [reply] = own.replies
        talk = talks.talk(visitor, None)
        assert str(reply.came) == f"of {visitor} of {talk.dialogue.log.conversation}"


def test_a_second_question_waits_for_the_first_answer(held):
    begun, talks = held
    talk = talks.talk("ann", None)
    said = talks.ask(talk, "first", DESK)
    with pytest.raises(UsageError, match="still being answered"):
        talks.ask(talk, "second", DESK)
    begun[0].hurry()
    until(lambda: said.done)
    third = talks.ask(talk, "third", DESK)
    until(lambda: third.done)
    assert begun[0].asked == ["first", "third"]


def test_an_empty_question_and_one_too_many_are_refused(held, monkeypatch):
    _, talks = held
    with pytest.raises(UsageError, match="empty"):
        talks.ask(talks.talk("ann", None), " \n", DESK)
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    for visitor in ("ann", "bob"):
        talks.ask(talks.talk(visitor, None), "?", DESK)
    with pytest.raises(UsageError, match="2 questions wait already"):
        talks.ask(talks.talk("eve", None), "?", DESK)


def test_a_new_conversation_knows_nothing_of_the_one_before_but_its_entries_stay_visible(held):
    begun, talks = held
    before = talks.talk("ann", None)
    talks.ask(before, "first", DESK)
    talks.forget("ann", None)
    after = talks.talk("ann", None)
    assert after is not before and after.said == []
    assert talks.conversations("ann") == {each.log.conversation for each in begun}
    assert talks.conversations("bob") == set()


def test_the_conversation_used_longest_ago_goes_first(held, monkeypatch):
    _, talks = held
    monkeypatch.setattr(module, "MOST_KEPT", 2)
    ann, bob = talks.talk("ann", None), talks.talk("bob", None)
    talks.talk("ann", None)
    talks.talk("eve", None)
    assert talks.talk("ann", None) is ann
    assert talks.talk("bob", None) is not bob


def test_a_mistake_of_the_program_ends_the_answer_without_its_words(held, caplog):
    begun, talks = held
    talk = talks.talk("ann", None)

    def broken(*_):
        raise ZeroDivisionError("secret")

    begun[0].replies = broken
    said = talks.ask(talk, "?", DESK)
    until(lambda: said.done)
    [reply] = said.replies
    assert "log of the server" in str(reply.came) and "secret" not in str(reply.came)
    assert "secret" in caplog.text
