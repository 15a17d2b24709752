"""Values that are made once each, however many threads ask for them at a time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Once(Generic[Value]):
    """Makes and keeps values by key; who asks for one that is being made waits for it.

    A value that could not be made is not kept: the next who asks has it made again.

    Example:
        >>> squares = Once[int](most=2)
        >>> squares.get(3, lambda: 3 * 3), squares.get(3, lambda: 0)
        (9, 9)
    """

    def __init__(self, most: int) -> None:
        """Begin with nothing kept.

        Args:
            most: values to keep; beyond them the one goes that was asked for longest ago.
        """
        self._most = most
        self._kept: OrderedDict[Hashable, Future[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made now if there is none.

        Args:
            key: what the value follows from.
            make: makes it; what it raises goes to all who wait for it.
        """
        with self._lock:
            kept = self._kept.get(key)
            asked = self._kept[key] = Future() if kept is None else kept
            self._kept.move_to_end(key)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        if kept is None:
            self._make(key, asked, make)
        return asked.result()

    def _make(self, key: Hashable, asked: "Future[Value]", make: Callable[[], Value]) -> None:
        try:
            asked.set_result(make())
        except BaseException as error:
            with self._lock:
                if self._kept.get(key) is asked:
                    del self._kept[key]
            asked.set_exception(error)
