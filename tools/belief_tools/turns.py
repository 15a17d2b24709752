"""What a conversation keeps of its turns, and what a follow-up makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from belief_tools.company_names import read_symbols
from belief_tools.forecast_tool import ForecastTool
from belief_tools.llm import Message
from belief_tools.marked_text import whole_words
from belief_tools.plain_words import plain_words
from belief_tools.questions import LONGEST, Question, read_question
from belief_tools.receipt import level_in_words

if TYPE_CHECKING:
    from belief_tools.answer import Answer

TOKENS_REMEMBERED = 1_000
"""Tokens of earlier turns that a language model is shown ahead of a new question, at most."""

_THEN = whole_words(r"then|that (?:day|time|date)")
BYTES_PER_TOKEN = 3
"""No tokenizer is at hand; English text has four or more, so this errs towards fewer turns."""

TOKENS_OF_A_MESSAGE = 8  # what servers add around each


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


def symbols_of(
    text: str, names: Mapping[str, Sequence[str]], default: str, earlier: Sequence[Turn] = ()
) -> tuple[str, ...]:
    """Find the symbols that a question is to be answered for, one after the other.

    Args:
        text: the question.
        names: of each symbol that there are prices of.
        default: the symbol where none is named, here or in the turns before.
        earlier: the turns of the conversation so far, oldest first.

    Example:
        >>> names = {"NVDA": ("Nvidia",), "AMD": ("AMD",)}
        >>> symbols_of("Where will AMD and Nvidia be in a week?", names, "NVDA")
        ('AMD', 'NVDA')
    """
    named, others, _ = read_symbols(plain_words(text[:LONGEST]), names)
    found = tuple(symbol for symbol in (named, *others) if symbol is not None and symbol in names)
    if found:
        return found
    leaned_on = _leaned_on(earlier, first=True)
    if leaned_on is None or leaned_on.symbol is None or others:
        return (default,)
    return (leaned_on.symbol, *leaned_on.beside)


def read(
    text: str,
    tool: ForecastTool,
    earlier: Sequence[Turn] = (),
    names: Mapping[str, Sequence[str]] | None = None,
) -> Question:
    """Read a question; a follow-up takes what it leaves out from the last turn about a price.

    Args:
        text: the question.
        tool: says what is known, and as of when.
        earlier: the turns of the conversation so far, oldest first.
        names: of all symbols that are answered for, where there are others than the tool's.
    """
    # bytes of a command line that are no UTF-8 arrive as lone surrogates, which cannot be sent
    text = text.encode("utf-8", "replace").decode("utf-8")
    prices = tool.prices
    return read_question(
        text,
        as_of=prices.as_of,
        symbols=tool.symbols if names is None else names,
        about=prices.symbol,
        earlier=_leaned_on(earlier, prices.symbol),
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
    if question.kind == "other" and given is not None and _tells_of_the_past(given):
        question = replace(question, kind="past_price")
    target = None if result is None else np.datetime64(result.target, "D")
    return Turn(question, None if given is None else given.text, target)


def _tells_of_the_past(given: "Answer") -> bool:
    return any(call["name"] == "price_history" for call in given.tool_calls)


def _leaned_on(
    turns: Sequence[Turn], symbol: str | None = None, *, first: bool = False
) -> Question | None:
    """The last question about a price, with the session it was answered for.

    Of a question about several symbols, it is that of `symbol`, or the first.
    """
    about = [turn for turn in turns if turn.question.kind != "other"]
    if not about:
        return None
    last = about[-1]
    same = [turn for turn in about if turn.question.text == last.question.text]
    turn = next((each for each in reversed(same) if each.question.symbol == symbol), last)
    turn = same[-1 - len(last.question.beside)] if first and len(same) > 1 else turn
    target = turn.question.target
    return replace(turn.question, target=turn.target if target is None else target)


def leaning_on(question: Question, turns: Sequence[Turn]) -> Question:
    """A question with the target and the levels of the last price to come, where it has none.

    Args:
        question: as read; perhaps not about a price at all ("how often were you right?").
        turns: of the conversation so far, oldest first.
    """
    before = _leaned_on(turns, question.symbol)
    if before is None or before.target is None or question.target is not None:
        return question
    if before.kind == "past_price" and not _THEN.search(question.text):
        return question
    carried = (*question.carried, *(("date",) if "date" not in question.carried else ()))
    return replace(
        question,
        target=before.target,
        phrase=before.phrase,
        levels=question.levels or before.levels,
        carried=carried,
    )


def as_messages(turns: Sequence[Turn]) -> list[Message]:
    """Write the last turns about prices as messages: what was asked, and the answer shown.

    Words that were rejected were never shown, so they are not among them. They are as many turns as
    fit into `TOKENS_REMEMBERED`, the newest first.
    """
    kept: list[Message] = []
    left = TOKENS_REMEMBERED
    for turn in reversed(turns):
        if not turn.shown or turn.question.kind == "other":
            continue
        both = [
            {"role": "user", "content": turn.question.text},
            {"role": "assistant", "content": turn.shown},
        ]
        left -= sum(tokens(message["content"]) for message in both)
        if left < 0:
            break
        kept = [*both, *kept]
    return kept


def tokens(content: str) -> int:
    """Estimate, rather too high than too low, the tokens of a message.

    Args:
        content: of the message.
    """
    return -(-len(content.encode()) // BYTES_PER_TOKEN) + TOKENS_OF_A_MESSAGE


def carried_in_words(question: Question, symbol: str) -> str | None:
    """Say what was taken from the question before; None when nothing was.

    Args:
        question: as read.
        symbol: the one that is answered for.
    """
    levels = ", ".join(map(level_in_words, question.levels))
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
        question: as read; what is neither a follow-up nor about several companies is left as it
            was asked.
        name: the company as people call it.
    """
    if not (question.carried or question.beside) or question.target is None:
        return question.text
    return f"What will {name}'s stock price be on {question.target}?"
