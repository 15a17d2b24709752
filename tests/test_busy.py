"""Blocking work of a server: so much at a time, and who no longer waits takes no place."""

import asyncio
import threading
import time

import pytest

from belief_tools.busy import Busy


class Work:
    """Calls that last until they are let go."""

    def __init__(self):
        self.begun, self.go_on = [], threading.Event()

    def __call__(self, name):
        def do():
            self.begun.append(name)
            assert self.go_on.wait(10)
            return f"{name} done"

        return do


async def seen(reached):
    for _ in range(500):
        if reached():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it does not happen")


def test_only_so_much_is_done_at_a_time_and_all_of_it_in_the_end():
    async def main():
        busy, work = Busy(2), Work()
        tasks = [asyncio.create_task(busy.run(work(name))) for name in "abcd"]
        await seen(lambda: len(work.begun) == 2)
        await asyncio.sleep(0.1)
        assert len(work.begun) == 2
        work.go_on.set()
        assert await asyncio.gather(*tasks) == [f"{name} done" for name in "abcd"]

    asyncio.run(main())


def test_who_gives_up_waiting_takes_no_place():
    async def main():
        busy, work = Busy(1), Work()
        first, second, third = (asyncio.create_task(busy.run(work(name))) for name in "abc")
        await seen(lambda: work.begun == ["a"])
        second.cancel()
        work.go_on.set()
        assert (await first, await third) == ("a done", "c done")
        assert work.begun == ["a", "c"]

    asyncio.run(main())


def test_work_that_was_begun_keeps_its_place_though_nobody_waits_for_it():
    async def main():
        busy, work = Busy(1), Work()
        first = asyncio.create_task(busy.run(work("a")))
        await seen(lambda: work.begun == ["a"])
        first.cancel()
        second = asyncio.create_task(busy.run(work("b")))
        await asyncio.sleep(0.1)
        assert work.begun == ["a"]  # two at a time would be one too many
        work.go_on.set()
        assert await second == "b done"

    asyncio.run(main())


def test_an_error_reaches_who_asked_and_frees_the_place():
    async def main():
        busy = Busy(1)
        with pytest.raises(ZeroDivisionError):
            await busy.run(lambda: 1 / 0)
        assert await busy.run(lambda: 3) == 3

    asyncio.run(main())


def test_other_things_go_on_meanwhile():
    async def main():
        waiting = asyncio.create_task(Busy(1).run(lambda: time.sleep(0.3)))
        beats = 0
        while not waiting.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert beats > 10

    asyncio.run(main())
