"""What a conversation keeps of its turns, and what a follow-up makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from belief_tools.forecast_tool import ForecastTool, cents, money
from belief_tools.llm import Message
from belief_tools.questions import Question, read_question

if TYPE_CHECKING:
    from belief_tools.consult import Answer

REMEMBERED = 6
"""Turns that a language model is shown ahead of a new question."""


@dataclass(frozen=True)
class Turn:
    """One question of a conversation, and what was shown for it.

    Attributes:
        question: as it was read, with what it left out filled in.
        shown: the text of the answer; None when there was none.
        target: the session that was answered for; None when nothing was forecast.
    """

    question: Question
    shown: str | None
    target: np.datetime64 | None


def read(text: str, tool: ForecastTool, earlier: Sequence[Turn] = ()) -> Question:
    """Read a question; a follow-up takes what it leaves out from the last turn about a price.

    Args:
        text: the question.
        tool: says what is known, and as of when.
        earlier: the turns of the conversation so far, oldest first.
    """
    # bytes of a command line that are no UTF-8 arrive as lone surrogates, which cannot be sent
    text = text.encode("utf-8", "replace").decode("utf-8")
    prices = tool.prices
    return read_question(
        text,
        as_of=prices.as_of,
        symbols=tool.symbols,
        earlier=_leaned_on(earlier),
        last_close=float(prices.close[-1]),
        events=prices.events,
    )


def turn_of(question: Question, given: "Answer | None") -> Turn:
    """Keep a question and what was answered, for the turns that follow.

    Args:
        question: as `read` read it.
        given: what was shown, or None when the question was given up.
    """
    result = None if given is None else given.result
    target = None if result is None else np.datetime64(result.target, "D")
    return Turn(question, None if given is None else given.text, target)


def _leaned_on(turns: Sequence[Turn]) -> Question | None:
    """The last question about a price, with the session it was answered for."""
    for turn in reversed(turns):
        if turn.question.kind != "other":
            target = turn.question.target
            return replace(turn.question, target=turn.target if target is None else target)
    return None


def as_messages(turns: Sequence[Turn]) -> list[Message]:
    """Write the last turns about prices as messages: what was asked, and the answer shown.

    Words that were rejected were never shown, so they are not among them.
    """
    about_prices = [turn for turn in turns if turn.shown and turn.question.kind != "other"]
    messages: list[Message] = []
    for turn in about_prices[-REMEMBERED:]:
        messages.append({"role": "user", "content": turn.question.text})
        messages.append({"role": "assistant", "content": turn.shown})
    return messages


def carried_in_words(question: Question, symbol: str) -> str | None:
    """Say what was taken from the question before; None when nothing was.

    Args:
        question: as read.
        symbol: the one that is answered for.
    """
    levels = ", ".join(
        money(level) if level == round(level) else cents(level) for level in question.levels
    )
    phrase = f" ({question.phrase!r})" if question.phrase else ""
    words = {
        "company": symbol,
        "date": f"the target {question.target}{phrase}",
        "levels": f"the level{'s' if len(question.levels) > 1 else ''} {levels}",
    }
    taken = "; ".join(words[part] for part in question.carried)
    return f"from the question before: {taken}" if taken else None


def in_full(question: Question, name: str) -> str:
    """Ask a follow-up as a whole question, for a model that is not shown the turns before.

    Levels stay out: their chances stand in the forecast, and a small model asked "will it be above"
    says yes whatever the chance.

    Args:
        question: as read; what is no follow-up is left as it was asked.
        name: the company as people call it.
    """
    if not question.carried or question.target is None:
        return question.text
    return f"What will {name}'s stock price be on {question.target}?"
