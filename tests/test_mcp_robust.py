"""The MCP server where clients take back what they asked, and where it is told to end."""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import anyio
import httpx2
import pytest
from daily import evening
from mcp import Client
from published import FIRST

from belief_tools import history_tool, server_log
from belief_tools.mcp_server import AT_ONCE, build
from belief_tools.server_log import Printable, Seldom
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
        assert "Traceback" not in process.stderr.read()


def logged(*records):
    """What the log of the command shows of records of a library."""
    kept = Seldom()
    return [Printable().format(each) for each in records if kept.filter(each)]


def record(message, line=1, name="mcp.server", trace=None):
    return logging.LogRecord(name, logging.WARNING, "library.py", line, message, None, trace)


def test_the_log_shows_nothing_a_terminal_would_obey_and_no_long_line():
    (shown,) = logged(record("Invalid Host header: \x1b]0;owned\x07\r\nbelief: " + "x" * 40_000))
    assert shown.startswith("belief: Invalid Host header: ]0;owned belief: xxx")
    assert shown.isprintable() and len(shown) < 500
    try:
        raise ValueError("\x1b[2Jgone\nbelief: all is well " + "y" * 40_000)
    except ValueError:
        (shown,) = logged(record("internal error", trace=sys.exc_info()))
    first, *below = shown.split("\n")
    assert first == "belief: internal error" and "test_mcp_robust" in shown
    assert all(line.isprintable() and line.startswith("  ") and len(line) < 500 for line in below)


def test_a_library_says_the_same_once_in_a_while_and_the_program_always(monkeypatch):
    same = [record(f"socket.accept() out of system resource {n}") for n in range(1000)]
    assert len(logged(*same)) == 1 and len(logged(*same, record("other", line=2))) == 2
    assert len(logged(*[record("internal error", name="belief_tools.mcp_server")] * 3)) == 3
    monkeypatch.setattr(server_log, "QUIET", 0.0)
    assert len(logged(*same)) == 1000


def test_the_log_of_the_command_is_such(where):
    with subprocess.Popen(
        [sys.executable, "-m", "belief_tools.cli", "mcp", "--http", "--port", "0"],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
    ) as process:
        at = process.stderr.readline().decode().split()[-1]
        host, port = at.removeprefix("http://").removesuffix("/mcp").split(":")
        for _ in range(3):
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(
                    b"POST /mcp HTTP/1.1\r\nContent-Type: application/json\r\n"
                    b"Content-Length: 2\r\nHost: evil\x9b2J" + b"x" * 4000 + b"\r\n\r\n{}"
                )
                connection.recv(1000)
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        (line,) = process.stderr.read().decode().splitlines()
        assert line.startswith("belief: Invalid Host header: evil 2jxx") and len(line) < 500
        assert line.isprintable()
