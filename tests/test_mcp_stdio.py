"""The MCP server as clients start it: a process that is spoken to over its standard streams."""

import json
import os
import signal
import subprocess
import sys
import time

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from published import FIRST, fitted_through, put_in_service

COMMAND = [sys.executable, "-m", "belief_tools.cli", "mcp"]
# The same command, with a tool and a library that print.
NOISY = """
import os, sys
from belief_tools import belief_tool, cli
from belief_tools.forecast_tool import ForecastTool

run = belief_tool.run
def noisy(tool, arguments):
    print("noise")
    os.write(1, b"noise of a library\\n")
    os.system("echo noise of a child")
    return run(tool, arguments)

belief_tool.run = noisy
sys.argv = ["belief", "mcp"]
cli.main()
"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory):
    where = tmp_path_factory.mktemp("served") / "belief.db"
    put_in_service(where, *fitted_through(FIRST))
    return {**os.environ, "BELIEF_STORE": str(where)}


def request(number, method, params):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def begun():
    """The messages with which a client begins."""
    about = {"name": "test", "version": "1"}
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": about}
    yield request(0, "initialize", params)
    yield {"jsonrpc": "2.0", "method": "notifications/initialized"}


def test_the_official_client_uses_it(environ):
    async def use():
        command, *arguments = COMMAND
        parameters = StdioServerParameters(command=command, args=arguments, env=environ)
        async with Client(stdio_client(parameters)) as client:
            tools = (await client.list_tools()).tools
            call = {"symbol": "NVDA", "target_date": "2024-06-20", "price_levels": None}
            forecast = await client.call_tool("forecast_price", call)
            latest = await client.read_resource("belief://NVDA/latest")
            prompt = await client.get_prompt("predict_price")
        return len(tools), forecast.structured_content, latest.contents, prompt.messages

    n_tools, forecast, latest, messages = anyio.run(use)
    assert (n_tools, len(latest), len(messages)) == (4, 1, 1)
    assert (forecast["as_of"], forecast["target"]) == (FIRST, "2024-06-20")
    low, high = forecast["interval_90"]
    assert low < forecast["last_close"] < high


def test_standard_output_holds_the_protocol_alone_whatever_is_printed_and_sent(environ):
    lines = [
        *map(json.dumps, begun()),
        json.dumps(request(1, "tools/call", {"name": "belief_now", "arguments": {}})),
        "this is no JSON",
        '{"jsonrpc": "2.0", "id": 2}',
        "[" * 100_000,
        json.dumps(request(3, "tools/nothing", {})),
        json.dumps(request(4, "tools/call", {"name": "belief_now", "arguments": "NVDA"})),
        json.dumps(request(5, "tools/call", {"name": "nothing", "arguments": {}})),
        json.dumps(
            request(
                6, "tools/call", {"name": "belief_now", "arguments": {"symbol": "x" * 3_000_000}}
            )
        ),
        json.dumps(
            request(7, "tools/call", {"name": "belief_now", "arguments": {"symbol": "NVDA"}})
        ),
    ]
    sent = b"\xff\xfe\n" + "\n".join(lines).encode() + b"\n"
    out, err, answers = spoken_to(environ, sent, last=7)
    assert "noise" not in out
    assert "noise of a library" in err and "noise of a child" in err
    assert all(each["jsonrpc"] == "2.0" for each in answers.values())
    assert answers[3]["error"]["code"] == -32601 and answers[4]["error"]["code"] == -32602
    assert "there is no tool" in answers[5]["error"]["message"]
    for number, words in ((1, "symbol is None"), (6, "is not a symbol")):
        result = answers[number]["result"]
        assert result["isError"] and words in result["content"][0]["text"]
    assert answers[7]["result"]["structuredContent"]["as_of"] == FIRST
    assert "Traceback" not in err


def spoken_to(environ, sent, last):
    """Send lines to the noisy server until an answer has come; then close its input."""
    with subprocess.Popen(
        [sys.executable, "-c", NOISY],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(sent)
        process.stdin.flush()
        out, answers = "", {}
        while last not in answers:
            line = process.stdout.readline().decode()
            assert line, process.stderr.read().decode()
            out += line
            answer = json.loads(line)
            answers[answer.get("id")] = answer
        process.stdin.close()
        assert process.wait(20) == 0
        out += process.stdout.read().decode()
        for line in out.splitlines():
            json.loads(line)
        return out, process.stderr.read().decode(), answers


def test_ctrl_c_ends_it_quietly(environ):
    with subprocess.Popen(
        COMMAND,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        for message in begun():
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["result"]["serverInfo"]["name"] == "belief"
        process.send_signal(signal.SIGINT)
        begun_at = time.monotonic()
        assert process.wait(20) == -signal.SIGINT
        assert time.monotonic() - begun_at < 5
        assert process.stderr.read() == b""


# Lines that are no message


def asked(environ, sent):
    """What the server writes to a client that closes its input at once, and what it logs."""
    ended = subprocess.run(COMMAND, input=sent, env=environ, capture_output=True, timeout=60)
    assert ended.returncode == 0
    return [json.loads(line) for line in ended.stdout.splitlines()], ended.stderr.decode()


def with_argument(written):
    return f'{{"jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {{"a": {written}}}}}'


UNREADABLE = {
    with_argument('"\\ud83d"'): (7, -32700),
    with_argument("[" * 300 + "]" * 300): (7, -32700),
    with_argument("1" * 5000): (7, -32700),
    "{nope": (None, -32700),
    "[" * 100_000: (None, -32700),
    '[{"jsonrpc": "2.0", "id": 7, "method": "tools/list"}]': (None, -32600),
    '{"jsonrpc": "2.0", "id": 7}': (7, -32600),
    '{"jsonrpc": "2.0", "id": "\\ud83d", "method": "tools/list"}': (None, -32700),
    '{"jsonrpc": "2.0", "id": 1.5, "method": "tools/list"}': (None, -32600),
    '{"jsonrpc": "2.0", "id": null, "method": "tools/list"}': (None, -32600),
    '{"jsonrpc": "2.0", "id": true, "method": "tools/list"}': (None, -32600),
}


def test_each_line_that_cannot_be_read_is_answered_by_an_error_and_logged_in_a_line(environ):
    sent = "\n".join([*map(json.dumps, begun()), *UNREADABLE, ""]).encode()
    (greeting, *answers), err = asked(environ, sent)
    assert greeting["id"] == 0
    assert [(each["id"], each["error"]["code"]) for each in answers] == list(UNREADABLE.values())
    assert len(err.splitlines()) == len(UNREADABLE)
    assert all(line.startswith("belief: refused a line") for line in err.splitlines())


# The end


def test_calls_under_way_are_answered_after_the_input_has_ended(environ):
    call = {"symbol": "NVDA", "target_date": "2024-06-20"}
    calls = [
        request(n, "tools/call", {"name": "forecast_price", "arguments": call}) for n in range(1, 4)
    ]
    cancelled = {"method": "notifications/cancelled", "params": {"requestId": 3}}
    messages = [*begun(), *calls, {"jsonrpc": "2.0", **cancelled}]
    begun_at = time.monotonic()
    answers, err = asked(environ, "".join(json.dumps(each) + "\n" for each in messages).encode())
    found = {each["id"]: each["result"] for each in answers}
    assert found[1]["structuredContent"]["as_of"] == FIRST and found[1] == found[2]
    assert err == "" and time.monotonic() - begun_at < 25


def test_an_input_that_ends_at_once_ends_it_quietly(environ):
    for sent in (b"", b"\n\n"):
        assert asked(environ, sent) == ([], "")


def test_a_client_that_reads_no_more_ends_it_quietly(environ):
    with subprocess.Popen(
        COMMAND,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        for message in begun():
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()  # and it stays open
        assert process.wait(20) == 0
        assert process.stderr.read() == b""
