"""What a server says on standard error, and how its process ends."""

import asyncio
import logging
import os
import sys
import time
from typing import Final

from belief_tools.terminal import LONGEST, one_line, printable

QUIET: Final = 10.0  # seconds between lines of a library about the same


class Printable(logging.Formatter):
    """Lines without what a terminal would obey, none of them long."""

    def format(self, record: logging.LogRecord) -> str:
        """A message in one line, and the trace of an error below it."""
        first, *below = record.getMessage(), *self._trace(record)
        lines = f"belief: {one_line(first)}", *(f"  {printable(line)}" for line in below)
        return "\n".join(line if len(line) <= LONGEST else line[:LONGEST] + "..." for line in lines)

    def _trace(self, record: logging.LogRecord) -> list[str]:
        return self.formatException(record.exc_info).split("\n") if record.exc_info else []


class Seldom(logging.Filter):
    """Lets a library say the same once in a while: what others do to it could fill a disk."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__()
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is for the log."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False  # a call that was given up at the end
        if record.name.startswith("belief"):
            return True
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._said.get(place, -QUIET) < QUIET:
            return False
        self._said[place] = now
        return True


def log_to_stderr() -> None:
    """Have warnings and errors written in lines that a terminal can show."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Printable())
    handler.addFilter(Seldom())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


def end(code: int) -> None:
    """End now: neither a call that nobody waits for nor a forecast under way can be called off.

    Args:
        code: that the process exits with.
    """
    sys.stderr.flush()
    os._exit(code)
