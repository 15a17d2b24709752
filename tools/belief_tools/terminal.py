"""What a person sees of an answer in a terminal: answers on stdout, everything else on stderr."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

LONGEST = 400  # characters of a rejected text; the ledger has the whole

if TYPE_CHECKING:
    from belief_tools.answer import Answer


def say(line: str) -> None:
    """Print a message, which is no answer, on standard error."""
    print(line, file=sys.stderr, flush=True)


def say_error(error: object) -> None:
    """Print what went wrong, in one line."""
    say(f"belief: {one_line(str(error))}")


def say_if_any(problem: str | None) -> None:
    """Print what went wrong, if anything did."""
    if problem is not None:
        say_error(problem)


class LiveText:
    """A text on standard output that appears while it comes; what is taken back stays readable."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        """Begin with nothing shown.

        Args:
            before: is called before anything is shown.
        """
        self.text, self.before = "", before

    def show(self, text: str) -> None:
        """Show what has come; a text that does not begin like the one before takes that back.

        Args:
            text: all that is to be seen; empty to take everything back.
        """
        self.before()
        added = text.removeprefix(self.text)
        if not text.startswith(self.text):
            print("\n(taken back: it did not pass the checks)")
            added = text
        print(printable(added), end="", flush=True)
        self.text = text


def print_answer(given: "Answer", live: LiveText | None = None) -> None:
    """Print an answer, what was rejected in its place, its receipt and its notes.

    Args:
        given: the answer.
        live: what was shown of its text while it came.
    """
    shown = live is not None and live.text == given.text
    print("" if shown else printable(given.text))
    rejected = given.checks["rejected"]
    if rejected is not None:
        reason = given.checks["findings"][0]["message"]
        print(f"\nrejected answer of {given.model}: ~~{one_line(rejected, longest=LONGEST)}~~")
        print(f"because {one_line(reason)}")
    if given.receipt or given.notes:
        print()
    failed = given.stop_reason == "language model failed"  # its reason goes to standard error
    for line in (*given.receipt, *(given.notes[:-1] if failed else given.notes)):
        print(f"  {one_line(line)}")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Text without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def one_line(text: str, *, longest: int | None = None) -> str:
    """Text without line breaks, cut where it is longer than `longest` characters.

    Example:
        >>> one_line("On  2024-03-28"), one_line("On 2024-03-28", longest=8)
        ('On 2024-03-28', 'On 20...')
    """
    line = " ".join(printable(text).split())
    return line if longest is None or len(line) <= longest else line[: longest - 3] + "..."
