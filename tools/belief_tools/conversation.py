"""A conversation without a screen: a question goes in, and what comes of it comes out.

A terminal prints the replies, a page shows them as cards. Which symbols a question is about, what a
follow-up takes from the turns before, and what is written down, is settled here for both.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from belief.errors import BeliefError, UnknownSymbol, UsageError
from belief_tools.answer import Answer
from belief_tools.consult import Mode
from belief_tools.desk import Desk
from belief_tools.dispatch import NO_PRICE, answer
from belief_tools.forecast_tool import ForecastTool
from belief_tools.llm import LanguageModel
from belief_tools.questions import Question
from belief_tools.recording import ConversationLog, Written
from belief_tools.turns import Turn, read, symbols_of, turn_of

Connect = Callable[[], LanguageModel]
Show = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Reply:
    """What came of a question for one symbol.

    Attributes:
        symbol: the one that was asked for.
        came: the answer, or why there is none.
        tool: what it rests on; None when there is none for the symbol.
        written: where it is in the ledger, or why not; None when nothing was to be written.
    """

    symbol: str
    came: Answer | BeliefError
    tool: ForecastTool | None
    written: Written | None


class Dialogue:
    """The turns so far, and what can be asked about; one question at a time.

    Several dialogues may be held at once; whoever asks a second question in the same one waits for
    the first to be answered.
    """

    def __init__(self, desk: Desk, log: ConversationLog, *, mode: Mode = "tool") -> None:
        """Begin without turns.

        Args:
            desk: what can be asked about; another may take its place between two questions.
            log: is given every answer, and every failure, before it is handed out.
            mode: as `belief_tools.consult.consult` has it.
        """
        self.desk, self.log, self.mode = desk, log, mode
        self.turns: list[Turn] = []
        self._one_question = threading.Lock()

    def replies(self, text: str, connect: Connect, show: Show | None = None) -> Iterator[Reply]:
        """Answer a question for each symbol it is about, one after the other.

        Args:
            text: the question.
            connect: gives the language model; called only when one is needed.
            show: as `belief_tools.consult.consult` has it, for one symbol after the other.
        """
        with self._one_question:
            earlier = tuple(self.turns)
            for symbol in symbols_of(text, self.desk.names, self.desk.default, earlier):
                reply = self._reply(symbol, text, earlier, connect, show)
                yield reply
                if isinstance(reply.came, Answer) and reply.came.stop_reason == NO_PRICE:
                    return  # for no symbol, then

    def _reply(
        self, symbol: str, text: str, earlier: Sequence[Turn], connect: Connect, show: Show | None
    ) -> Reply:
        try:
            tool = self.desk.tool(symbol)
        except BeliefError as error:
            return Reply(symbol, error, None, None)
        names = self.desk.names
        question = read(text, tool, earlier, names)
        try:
            given = answer(
                text, tool, connect, mode=self.mode, earlier=earlier, names=names, show=show
            )
        except BeliefError as error:
            self._keep_failed(question, error)
            return Reply(symbol, error, tool, self.log.failure(tool, text, error))
        except KeyboardInterrupt:
            self.turns.append(turn_of(question, None))
            raise
        self.turns.append(turn_of(question, given))
        return Reply(symbol, given, tool, self.log.answer(tool, given))

    def _keep_failed(self, question: Question, error: BeliefError) -> None:
        """A question that fails is still what a follow-up leans on."""
        if isinstance(error, UnknownSymbol):  # unless the question before is
            return
        if isinstance(error, UsageError):  # a date that cannot be is not carried on
            question = replace(question, target=None, phrase=None)
        self.turns.append(turn_of(question, None))
