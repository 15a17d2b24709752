import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from belief_tools.once import Once


def test_a_value_is_made_once_however_many_ask_at_a_time():
    made, begun = [], threading.Barrier(20)
    kept = Once(most=4)

    def ask(n):
        begun.wait()
        return kept.get(n % 2, lambda: made.append(n) or n % 2)

    with ThreadPoolExecutor(20) as threads:
        assert list(threads.map(ask, range(20))) == [n % 2 for n in range(20)]
    assert sorted(n % 2 for n in made) == [0, 1]


def test_one_value_is_made_while_another_is_waited_for():
    kept, other_made = Once(most=4), threading.Event()

    def slowly():
        assert other_made.wait(10)
        return "slow"

    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(kept.get, "slow", slowly)
        assert kept.get("fast", lambda: "fast") == "fast"
        other_made.set()
        assert waiting.result(10) == "slow"


def test_what_failed_is_told_to_all_who_wait_and_is_made_again():
    kept, entered, go_on = Once(most=4), threading.Event(), threading.Event()

    def fail():
        entered.set()
        go_on.wait(10)
        raise ValueError("not this time")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(kept.get, "key", fail)
        assert entered.wait(10)
        second = threads.submit(kept.get, "key", lambda: pytest.fail("it is being made"))
        time.sleep(0.1)  # until it waits
        go_on.set()
        for each in (first, second):
            with pytest.raises(ValueError, match="not this time"):
                each.result(10)
    assert kept.get("key", lambda: "now") == "now"


def test_only_so_many_are_kept_those_asked_for_last():
    kept = Once(most=2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda key=key: key)
    assert kept.get("a", lambda: "new") == "a"
    assert kept.get("b", lambda: "new") == "new"
