"""Questions one after the other: from the command line, a file, or a pipe."""

import functools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from belief.errors import BeliefError, LanguageModelError, UsageError
from belief_tools.consult import Answer, Mode, answer
from belief_tools.forecast_tool import ForecastTool
from belief_tools.llm import Endpoint
from belief_tools.terminal import print_answer, say_error

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
        yield from sys.stdin
        return
    try:
        yield from file.read_text("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None


def answer_all(
    questions: Sequence[str],
    tool: ForecastTool,
    connect: Callable[[], Endpoint],
    *,
    mode: Mode,
    record: Callable[[Answer], None],
    as_json: bool,
) -> int:
    """Answer and print question after question; one that fails does not stop the others.

    Args:
        questions: as asked.
        tool: the belief.
        connect: gives the language model, once for all of them.
        mode: how the model consults the belief.
        record: is given every answer before it is shown.
        as_json: print each answer as JSON: one object, or one on each line of many.

    Returns:
        The exit code: 0, or that of the first question that was not simply answered.

    Raises:
        BeliefError: the only question failed.
    """
    connected = functools.cache(connect)
    codes = []
    for place, text in enumerate(questions):
        try:
            given = answer(text, tool, connected, mode=mode)
            record(given)
            _show(given, as_json, alone=len(questions) == 1, first=place == 0)
            codes.append(_code(given))
        except BeliefError as error:
            if len(questions) == 1:
                raise
            say_error(f"{text[:60]}: {error}")
            codes.append(error.exit_code)
    return next((code for code in codes if code), 0)


def _show(given: Answer, as_json: bool, *, alone: bool, first: bool) -> None:
    if as_json:
        print(json.dumps(given.to_dict(), indent=2 if alone else None), flush=True)
        return
    if not alone:
        print(("" if first else "\n") + f"> {given.question}")
    print_answer(given)


def _code(given: Answer) -> int:
    if given.stop_reason == "language model failed":
        say_error(given.notes[-1])
        return LanguageModelError.exit_code
    return REPLACED if given.stop_reason == "replaced" else 0
