"""Blocking work of a server that does other things meanwhile."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Value = TypeVar("Value")


class Busy:
    """Does work in threads, a bounded number at a time; who no longer waits takes no place."""

    def __init__(self, most: int) -> None:
        """Begin idle.

        Args:
            most: how much is done at a time.
        """
        self._free = asyncio.Semaphore(most)
        self._threads = ThreadPoolExecutor(most)

    async def run(self, work: Callable[[], Value]) -> Value:
        """Do some work.

        Args:
            work: is called in a thread; once begun it ends, whoever gives up on it.
        """
        await self._free.acquire()
        doing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        doing.add_done_callback(lambda _: self._free.release())
        return await asyncio.shield(doing)
