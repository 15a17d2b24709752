"""Questions one after the other: from the command line, a file, or a pipe."""

import functools
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from belief.errors import BeliefError, LanguageModelError, UsageError
from belief_tools.answer import Answer
from belief_tools.consult import Mode
from belief_tools.desk import Desk
from belief_tools.dispatch import NO_PRICE, answer
from belief_tools.llm import Endpoint
from belief_tools.recording import ConversationLog
from belief_tools.terminal import LiveText, one_line, print_answer, say_error, say_if_any
from belief_tools.turns import symbols_of

REPLACED = 6


def questions_of(question: str | None, file: Path | None) -> list[str]:
    """Give the questions to answer: the one asked, those of a file, or those of standard input.

    Args:
        question: from the command line; "-" stands for standard input.
        file: a text file with one question a line; empty lines and those after # are left out.

    Raises:
        UsageError: there is nothing to ask, or two sources are named.
    """
    if question is not None and file is not None:
        raise UsageError("a question and --questions FILE are two sources; give one")
    if question is not None and question != "-":
        return [question]
    piped = file is not None or not sys.stdin.isatty()
    lines = [line.strip("\ufeff \t\r\n") for line in _lines(file)] if piped else []
    asked = [line for line in lines if line and not line.startswith("#")]
    if not asked:
        raise UsageError('nothing to ask; give a question: belief ask "Where is NVDA in a week?"')
    return asked


def _lines(file: Path | None) -> Iterator[str]:
    if file is None:
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        yield from sys.stdin
        return
    try:
        yield from file.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def answer_all(
    questions: Sequence[str],
    desk: Desk,
    connect: Callable[[], Endpoint],
    *,
    mode: Mode,
    log: ConversationLog,
    as_json: bool,
) -> int:
    """Answer and print question after question; one that fails does not stop the others.

    A question about several symbols is answered for one after the other.

    Args:
        questions: as asked.
        desk: what can be asked about.
        connect: gives the language model, once for all of them.
        mode: how the model consults the belief.
        log: is given every answer, and every failure, before it is shown.
        as_json: print each answer as JSON: one object, or one on each line of many.

    Returns:
        The exit code: 0, or that of the first question that was not simply answered.

    Raises:
        BeliefError: the only question failed.
    """
    connected = functools.cache(connect)
    asked = [
        (text, symbol)
        for text in questions
        for symbol in symbols_of(text, desk.names, desk.default)
    ]
    alone, codes, refused = len(asked) == 1, [], None
    for place, (text, symbol) in enumerate(asked):
        if text is refused:  # what is no question about a price is none for any symbol
            continue
        live = LiveText() if sys.stdout.isatty() and not as_json else None
        if not alone and not as_json:
            print(("" if place == 0 else "\n") + f"> {one_line(text)}")
        try:
            given = _answer(text, desk, symbol, connected, mode, log, live)
            _show(given, live, as_json, alone=alone)
            codes.append(_code(given))
            refused = text if given.stop_reason == NO_PRICE else refused
        except BeliefError as error:
            if alone:
                raise
            say_error(f"{one_line(text, longest=60)}: {error}")
            codes.append(error.exit_code)
    return next((code for code in codes if code), 0)


def _answer(
    text: str,
    desk: Desk,
    symbol: str,
    connect: Callable[[], Endpoint],
    mode: Mode,
    log: ConversationLog,
    live: LiveText | None,
) -> Answer:
    tool, show = desk.tool(symbol), None if live is None else live.show
    try:
        given = answer(text, tool, connect, mode=mode, names=desk.names, show=show)
    except BeliefError as error:
        say_if_any(log.failure(tool, text, error).problem)
        raise
    say_if_any(log.answer(tool, given).problem)
    return given


def _show(given: Answer, live: LiveText | None, as_json: bool, *, alone: bool) -> None:
    if as_json:
        print(json.dumps(given.to_dict(), indent=2 if alone else None), flush=True)
    else:
        print_answer(given, live)


def _code(given: Answer) -> int:
    if given.stop_reason == "language model failed":
        say_error(given.notes[-1])
        return LanguageModelError.exit_code
    return REPLACED if given.stop_reason == "replaced" else 0
