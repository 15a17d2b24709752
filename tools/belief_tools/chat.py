"""A conversation: a line is read, answered and shown, until one says to leave.

At a terminal lines are edited and kept for the next conversation; from a pipe they are read as they
stand. Whatever goes wrong in one turn is said in one line, and the next turn begins.
"""

import functools
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from belief.errors import BeliefError
from belief.paths import cache_dir
from belief_tools.consult import Mode
from belief_tools.conversation import Dialogue, Reply
from belief_tools.desk import Desk
from belief_tools.forecast_tool import ForecastTool
from belief_tools.llm import Endpoint
from belief_tools.recording import ConversationLog
from belief_tools.terminal import LiveText, one_line, print_answer, say, say_error, say_if_any
from belief_tools.turns import Turn

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

PROMPT = "> "
WAITING = "thinking; ctrl-c abandons"
LEAVE = "/quit or ctrl-d leaves"
LONGEST_SHOWN = 300  # characters of a turn in /history
HELP = """\
Ask about a price:   What will Nvidia's stock price be at the end of March?
and then go on:      and in six months?   and above $160?   how sure are you?
What a follow-up leaves out is taken from the question before; the answer says what.

/history   the turns so far
/help      this
/quit      leave, as does ctrl-d
ctrl-c clears the line, or abandons an answer that takes too long."""


class Conversation:
    """A conversation that is printed as it goes on."""

    def __init__(
        self,
        desk: Desk,
        connect: Callable[[], Endpoint],
        *,
        log: ConversationLog,
        mode: Mode,
        streams: bool,
        waits: bool,
    ) -> None:
        """Begin without turns.

        Args:
            desk: what can be asked about.
            connect: gives the language model; asked again only while it fails.
            log: is given every answer, and every failure, before it is shown.
            mode: as in `belief_tools.consult.consult`.
            streams: whether an answer is shown while it comes.
            waits: whether someone at a terminal is told that the model is at work.
        """
        self.desk, self.streams, self.waits = desk, streams, waits
        self._dialogue = Dialogue(desk, log, mode=mode)
        self._connect = functools.cache(connect)

    @property
    def turns(self) -> list[Turn]:
        """The turns so far, oldest first."""
        return self._dialogue.turns

    def take(self, line: str) -> bool:
        """Answer one line, or do what its command says; False when it says to leave."""
        text = line.strip("\ufeff \t\r\n")
        if text.startswith("/"):
            return self._obey(text.split()[0])
        if text:
            self._answer(text)
        return True

    def _obey(self, command: str) -> bool:
        name = command.lower()
        if name == "/help":
            print(HELP, flush=True)
        elif name == "/history":
            self._print_turns()
        elif name != "/quit":
            known = "there are /history, /help and /quit"
            say_error(f"there is no command {one_line(command, longest=40)}; {known}")
        return name != "/quit"

    def _answer(self, text: str) -> None:
        """Answer a question, for each symbol it is about."""
        with self._told_to_wait() as (connect, clear):
            live = LiveText(before=clear)

            def show(words: str) -> None:
                live.show(words)

            for reply in self._dialogue.replies(text, connect, show if self.streams else None):
                clear()
                self._print(reply, live)
                live = LiveText(before=clear)

    def _print(self, reply: Reply, live: LiveText) -> None:
        if reply.written is not None:
            say_if_any(reply.written.problem)
        if isinstance(reply.came, BeliefError):
            say_error(reply.came)
            return
        print_answer(reply.came, live)
        print(flush=True)
        if reply.came.stop_reason == "language model failed":
            say_error(reply.came.notes[-1])

    @contextmanager
    def _told_to_wait(self) -> Iterator[tuple[Callable[[], Endpoint], Callable[[], None]]]:
        """Say that a model is at work from when it is asked until it begins to answer."""
        told = False

        def connect() -> Endpoint:
            nonlocal told
            if self.waits:
                told = True
                print(f"{WAITING}\r", end="", file=sys.stderr, flush=True)
            return self._connect()

        def clear() -> None:
            nonlocal told
            if told:
                told = False
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)

        try:
            yield connect, clear
        finally:
            clear()

    def _print_turns(self) -> None:
        if not self.turns:
            print("nothing was asked yet", flush=True)
        for number, turn in enumerate(self.turns, start=1):
            print(f"{number:>3}  {one_line(turn.question.text, longest=LONGEST_SHOWN)}")
            shown = "(no answer)" if turn.shown is None else turn.shown
            print(f"     {one_line(shown, longest=LONGEST_SHOWN)}", flush=True)


def converse(
    desk: Desk, connect: Callable[[], Endpoint], *, log: ConversationLog, mode: Mode
) -> None:
    """Hold a conversation on standard input and output until it ends.

    Args:
        desk: what can be asked about.
        connect: gives the language model; called when the first question needs it.
        log: is given every answer, and every failure, before it is shown.
        mode: how the model consults the belief.
    """
    at_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    waits = at_terminal and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    usual = desk.tool(desk.default)  # prices that are not there end it before it begins
    conversation = Conversation(desk, connect, log=log, mode=mode, streams=at_terminal, waits=waits)
    if at_terminal:
        _at_terminal(conversation, usual)
    elif sys.stdin is not None:
        _from_lines(conversation)


def _from_lines(conversation: Conversation) -> None:
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for line in sys.stdin:
        if not conversation.take(line):
            return


def _at_terminal(conversation: Conversation, usual: ForecastTool) -> None:
    names = conversation.desk.names
    prices, age = usual.prices, usual.age_in_days
    old = "" if age is None else f", {age} days old"
    say(f"{prices.name} ({prices.symbol}) as of {prices.as_of}, {prices.source}{old}")
    others = [symbol for symbol in names if symbol != prices.symbol]
    if others:
        say(one_line(f"there are also prices of {', '.join(others)}", longest=LONGEST_SHOWN))
    say(f"ask about its price; /help says how, {LEAVE}")
    session, line = _line_editor(), None
    while True:
        try:
            line = None
            line = session.prompt(PROMPT)
            if not conversation.take(line):
                return
        except EOFError:
            return
        except KeyboardInterrupt:
            say(LEAVE if line is None else f"that answer was abandoned; ask on, or {LEAVE}")


def _line_editor() -> "PromptSession[str]":
    # Asking where the cursor is would print a warning on terminals that cannot say.
    os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")
    from prompt_toolkit import PromptSession

    return PromptSession(
        history=_history(),
        key_bindings=_ctrl_c_clears(),
        enable_suspend=True,
        reserve_space_for_menu=0,
    )


def _ctrl_c_clears() -> "KeyBindings":
    """Ctrl-C empties the line, and only on an empty one does it end the prompt."""
    from prompt_toolkit.key_binding import KeyBindings

    bindings = KeyBindings()

    @bindings.add("c-c")
    @bindings.add("<sigint>")
    def clear(event: "KeyPressEvent") -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return bindings


def _history() -> "History":
    """The lines typed before, from this conversation and earlier ones.

    A file that cannot be kept costs the lines of earlier conversations, nothing else.
    """
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    class KeptHistory(FileHistory):
        def store_string(self, string: str) -> None:
            with suppress(OSError):
                super().store_string(string)

    path = cache_dir() / "chat_history"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # what someone asks is nobody else's business
        path.open("r+b").close()
    except OSError:
        return InMemoryHistory()
    return KeptHistory(path)
