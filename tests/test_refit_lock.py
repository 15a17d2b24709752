import datetime
import signal
import subprocess
import sys
import textwrap
from unittest import mock

import pytest
from filelock import FileLock

from belief.errors import RefitRunning, SourceUnavailable, StoreError
from belief.refit import refit, refitting
from belief.store import open_store

NOW = datetime.datetime(2024, 6, 6, 21, tzinfo=datetime.UTC)
HOLDING = """
    import sys, time
    from belief.refit import refitting
    from belief.store import open_store

    with open_store(sys.argv[1]) as store, refitting("NVDA", store):
        print("held", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "belief.db")) as opened:
        yield opened


@pytest.fixture
def holder(store, tmp_path):
    """Another process that holds the symbol."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDING), str(tmp_path / "belief.db")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def unreachable():
    return mock.Mock(side_effect=SourceUnavailable("no network"))


def test_a_second_refit_is_refused_before_it_fetches(store, holder):
    fetch = unreachable()
    with pytest.raises(RefitRunning, match="NVDA is being refitted by another process"):
        refit("NVDA", store, fetch, now=NOW)
    fetch.assert_not_called()


def test_other_symbols_are_refitted_meanwhile(store, holder):
    with refitting("AMD", store):
        pass


def test_a_process_that_is_killed_lets_go(store, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    fetch = unreachable()
    with pytest.raises(SourceUnavailable):
        refit("NVDA", store, fetch, now=NOW)
    fetch.assert_called_once()


def test_the_lock_is_let_go_whatever_happens(store):
    with pytest.raises(SourceUnavailable):
        refit("NVDA", store, unreachable(), now=NOW)
    with FileLock(store.lock_path("NVDA"), timeout=0):
        pass


def test_a_lock_that_cannot_be_made_is_no_running_refit(store):
    store.lock_path("NVDA").mkdir()
    with pytest.raises(StoreError, match="cannot hold NVDA"), refitting("NVDA", store):
        pass
