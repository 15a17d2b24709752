"""The conversations of everyone who looks at the page, each one's own, kept while it is served."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from belief.errors import BeliefError, UsageError
from belief_tools.conversation import Connect, Dialogue, Reply
from belief_tools.desk import Desk

MOST_KEPT: Final = 1000  # conversations; beyond them the one goes that was used longest ago
MOST_OWNED: Final = 10_000  # conversations of which it is known whose they are
MOST_ANSWERED: Final = 4  # questions at a time
MOST_WAITING: Final = 40

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Said:
    """A question, and what has come of it so far.

    Attributes:
        question: as asked.
        replies: those that are complete, one for each symbol.
        coming: what may be shown of the next one.
        begun: whether it is being answered, not waiting for others.
        done: whether there is nothing more to come.
        changes: grows with every change.
    """

    question: str
    replies: list[Reply] = field(default_factory=list)
    coming: str = ""
    begun: bool = False
    done: bool = False
    changes: int = 0

    def begin(self) -> None:
        """It is this question's turn."""
        self.begun = True
        self.changes += 1

    def show(self, text: str) -> None:
        """Show a beginning of what comes; an empty text takes it back."""
        self.coming = text
        self.changes += 1

    def take(self, reply: Reply) -> None:
        """Keep a reply that is complete."""
        self.replies.append(reply)
        self.show("")

    def end(self) -> None:
        """Nothing more comes."""
        self.coming, self.done = "", True
        self.changes += 1


class Talk:
    """One conversation: what was said in it, and who answers next."""

    def __init__(self, dialogue: Dialogue) -> None:
        """Begin with nothing said.

        Args:
            dialogue: answers.
        """
        self.dialogue = dialogue
        self.said: list[Said] = []


class Talks:
    """All conversations, by whose they are and the session they are as of."""

    def __init__(self, begin: Callable[[np.datetime64 | None], Dialogue], connect: Connect) -> None:
        """Begin with none.

        Args:
            begin: gives a conversation as of a day, or of the newest session for None.
            connect: gives the language model.
        """
        self._begin, self._connect = begin, connect
        self._kept: OrderedDict[tuple[str, str], Talk] = OrderedDict()
        self._owner: OrderedDict[str, str] = OrderedDict()  # of each conversation, by its id
        self._lock = threading.Lock()
        self._waiting = 0
        self._answering = ThreadPoolExecutor(MOST_ANSWERED, thread_name_prefix="answering")

    def talk(self, visitor: str, as_of: np.datetime64 | None) -> Talk:
        """A visitor's conversation as of a day; a new one where there was none.

        What was said as of one day is not known on an earlier one: each day has its own.

        Args:
            visitor: whose it is.
            as_of: the day; None for the newest session.
        """
        key = visitor, str(as_of)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = Talk(self._begin(as_of))
                self._owner[self._kept[key].dialogue.log.conversation] = visitor
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
                while len(self._owner) > MOST_OWNED:
                    self._owner.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def forget(self, visitor: str, as_of: np.datetime64 | None) -> None:
        """End a conversation, so that the next question begins another.

        Args:
            visitor: whose it is.
            as_of: as `talk` has it.
        """
        with self._lock:
            self._kept.pop((visitor, str(as_of)), None)

    def conversations(self, visitor: str) -> set[str]:
        """Ids of a visitor's conversations, as the ledger has them.

        Args:
            visitor: whose they are.
        """
        with self._lock:
            return {each for each, owner in self._owner.items() if owner == visitor}

    def ask(self, talk: Talk, question: str, desk: Desk) -> Said:
        """Put a question; it is answered in a thread, whether or not somebody waits for it.

        Args:
            talk: the conversation.
            question: as written.
            desk: what it can be about.

        Returns:
            What will have been said; it changes while the answer comes.

        Raises:
            UsageError: it is empty, another one of the conversation is being answered, or too many
                wait.
        """
        text = question.strip()
        if not text:
            raise UsageError("the question is empty; ask about a price")
        with self._lock:
            if talk.said and not talk.said[-1].done:
                raise UsageError("the question before is still being answered; wait for its answer")
            if self._waiting >= MOST_WAITING:
                raise UsageError(f"{self._waiting} questions wait already; ask again in a while")
            self._waiting += 1
            said = Said(text)
            talk.said.append(said)
        self._answering.submit(self._answer, talk.dialogue, said, desk)
        return said

    def _answer(self, dialogue: Dialogue, said: Said, desk: Desk) -> None:
        try:
            said.begin()
            dialogue.desk = desk
            for reply in dialogue.replies(said.question, self._connect, said.show):
                said.take(reply)
        except Exception:
            log.exception("a question could not be answered")
            broken = BeliefError("an error of this program; the log of the server has it")
            said.take(Reply(desk.default, broken, None, None))
        finally:
            with self._lock:
                self._waiting -= 1
            said.end()
