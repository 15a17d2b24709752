"""What a thread makes, piece by piece, for a reader that must not wait in a thread itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from belief_tools.conversation import Abandoned, Connect
from belief_tools.llm import LanguageModel, Message
from belief_tools.replies import Reply

Made = TypeVar("Made")


@dataclass(frozen=True)
class Coming:
    """All of a text that may be shown so far; empty where all was taken back."""

    text: str


class Feed(Generic[Made]):
    """What was made and not read yet; of texts that follow each other only the newest."""

    def __init__(self, wake: Callable[[], object]) -> None:
        """Begin with nothing made.

        Args:
            wake: tells the reader, from any thread, that there is more.
        """
        self._wake, self._lock = wake, threading.Lock()
        self._waiting: list[Coming | Made] = []
        self._gone = self._ended = False
        self._error: BaseException | None = None

    def show(self, text: str) -> None:
        """Hand a newest text over; an empty one takes back what was shown.

        Raises:
            Abandoned: the reader has gone.
        """
        self._put(Coming(text))

    def through(self, connect: Connect) -> Connect:
        """A language model that says no more once the reader has gone.

        Args:
            connect: gives the model.
        """
        return lambda: _Heard(connect(), self.check)

    def check(self) -> None:
        """Go on only for somebody.

        Raises:
            Abandoned: the reader has gone.
        """
        if self._gone:
            raise Abandoned

    def run(self, work: "Callable[[Feed[Made]], Iterable[Made]]") -> None:
        """Hand over all that the work makes, and what ended it if it failed."""
        try:
            for made in work(self):
                self._put(made)
        except Abandoned:
            pass
        except BaseException as error:  # it belongs to the reader
            self._error = error
        self._ended = True
        self._tell()

    def take(self) -> tuple[list[Coming | Made], bool]:
        """What was made since the last call, and whether that was all."""
        with self._lock:
            taken, self._waiting = self._waiting, []
            return taken, self._ended

    def close(self) -> None:
        """Take the end of the work.

        Raises:
            BaseException: whatever the work raised.
        """
        if self._error is not None:
            raise self._error

    def leave(self) -> None:
        """The reader goes."""
        self._gone = True

    def _put(self, made: Coming | Made) -> None:
        self.check()
        with self._lock:
            if isinstance(made, Coming) and self._waiting and isinstance(self._waiting[-1], Coming):
                self._waiting.pop()
            self._waiting.append(made)
        self._tell()

    def _tell(self) -> None:
        try:
            self._wake()
        except RuntimeError:  # the loop has ended, and the reader with it
            self._gone = True


@dataclass(frozen=True)
class _Heard:
    """A language model that somebody listens to."""

    model: LanguageModel
    check: Callable[[], None]

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def calls_tools(self) -> bool:
        return self.model.calls_tools

    def chat(
        self,
        messages: Sequence[Message],
        *,
        on_text: Callable[[str], None] | None = None,
        **wanted: Any,
    ) -> Reply:
        def heard(text: str) -> None:
            self.check()
            if on_text is not None:
                on_text(text)

        self.check()
        reply = self.model.chat(messages, on_text=None if on_text is None else heard, **wanted)
        self.check()
        return reply


async def streamed(
    work: Callable[[Feed[Made]], Iterable[Made]],
) -> AsyncIterator[Coming | Made]:
    """Have work done in a thread, and read what comes of it while it comes.

    When the reader goes, the work ends at its next word: with the piece of a reply that is coming,
    or once the model has answered the request under way, within its timeout.

    Args:
        work: is given the feed, to show texts to and to ask a language model through; what it
            yields is handed on.

    Yields:
        `Coming` for each newest text that the reader was fast enough for, and everything that the
        work yields, in order.

    Raises:
        BaseException: whatever the work raises.

    Example:
        >>> def work(feed):
        ...     feed.show("On")
        ...     feed.show("On Friday")
        ...     yield 834
        >>> async def read():
        ...     return [came async for came in streamed(work)][-1]
        >>> asyncio.run(read())
        834
    """
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    feed: Feed[Made] = Feed(lambda: loop.call_soon_threadsafe(news.set))
    threading.Thread(target=feed.run, args=(work,), daemon=True).start()
    try:
        ended = False
        while not ended:
            await news.wait()
            news.clear()
            taken, ended = feed.take()
            for made in taken:
                yield made
        feed.close()
    finally:
        feed.leave()
