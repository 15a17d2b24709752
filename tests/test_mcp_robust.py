"""The MCP server where clients take back what they asked, and where it is told to end."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import anyio
import httpx2
import pytest
from daily import evening
from mcp import Client
from published import FIRST, fitted_through, put_in_service

from belief_tools import history_tool
from belief_tools.mcp_server import AT_ONCE, build
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk

CALL = ("price_history", {"symbol": "NVDA"})
# The same command, with a tool that takes long.
SLOW = """
import sys, time
from belief_tools import cli, history_tool

def slow(*_):
    sys.stderr.write("begun\\n")
    time.sleep(60)

history_tool.run = slow
sys.argv = ["belief", "mcp", "--http", "--port", "0"]
cli.main()
"""


@pytest.fixture
def where(tmp_path, monkeypatch):
    path = tmp_path / "belief.db"
    monkeypatch.setenv("BELIEF_STORE", str(path))
    put_in_service(path, *fitted_through(FIRST))
    return path


def test_of_many_calls_that_are_taken_back_few_are_worked_on_and_none_begins_later(
    where, monkeypatch
):
    begun, go_on, run = [], threading.Event(), history_tool.run

    def slow(*args):
        begun.append(args)
        go_on.wait(20)
        return run(*args)

    monkeypatch.setattr(history_tool, "run", slow)
    asked = Asked(None, None, None, "belief", False, evening(FIRST), may_fit=False)
    before = threading.active_count()

    async def use():
        async with Client(build(SharedDesk(asked, lambda: evening(FIRST)))) as client:
            async with anyio.create_task_group() as calls:
                for _ in range(60):
                    calls.start_soon(client.call_tool, *CALL)
                while len(begun) < AT_ONCE:
                    await anyio.sleep(0.01)
                await anyio.sleep(0.1)
                calls.cancel_scope.cancel()
            threads = threading.active_count() - before
            await anyio.sleep(0.1)
            go_on.set()
            return threads, await client.call_tool(*CALL)

    threads, answer = anyio.run(use)
    assert len(begun) == AT_ONCE + 1 and threads <= AT_ONCE + 3
    assert answer.structured_content["symbol"] == "NVDA"


@pytest.mark.parametrize(
    ("told", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)]
)
def test_told_to_end_it_does_not_wait_for_a_call(where, told, code):
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], env=dict(os.environ), stderr=subprocess.PIPE, text=True
    ) as process:
        at = process.stderr.readline().split()[-1]
        params = {"name": CALL[0], "arguments": CALL[1]}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        headers = {"Accept": "application/json, text/event-stream"}

        def ask():
            with contextlib.suppress(httpx2.HTTPError):
                httpx2.post(at, json=body, headers=headers, timeout=20, trust_env=False)

        asking = threading.Thread(target=ask)
        asking.start()
        assert process.stderr.readline() == "begun\n"
        process.send_signal(told)
        told_at = time.monotonic()
        assert process.wait(20) == code
        assert time.monotonic() - told_at < 2.5
        asking.join(20)
