"""The MCP server over HTTP: who is let in, and what a request may be."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import anyio
import httpx2
import pytest
from daily import assert_one_line_error, belief, evening
from doors import serving
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from published import FIRST, fitted_through, put_in_service, renamed

from belief.errors import BeliefError, UsageError
from belief_tools import http_door
from belief_tools.http_door import LARGEST_BODY, is_loopback, listen, token_for
from belief_tools.mcp_http import LACKING, PATH, TOKEN, application
from belief_tools.mcp_server import build
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk

SECRET = "open-sesame-1234567890"
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
CALL = {"symbol": "NVDA", "target_date": "2024-06-20", "price_levels": None}


@contextlib.contextmanager
def served(token=None, host="127.0.0.1"):
    """A server in a thread, with the address of its `/mcp`."""
    asked = Asked(None, None, None, "belief", False, evening(FIRST), may_fit=False)
    server = build(SharedDesk(asked, lambda: evening(FIRST)))
    with serving(application(server, host, token), PATH, websockets=False) as at:
        yield at


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    path = tmp_path_factory.mktemp("served") / "belief.db"
    put_in_service(path, *fitted_through(FIRST))
    put_in_service(path, *renamed(FIRST, "AMD"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BELIEF_STORE", str(path))
        yield path


@pytest.fixture(scope="module")
def url(where):
    with served() as at:
        yield at


@pytest.fixture(scope="module")
def guarded(where):
    with served(SECRET) as at:
        yield at


def message(method="tools/list", params=None, number=1):
    body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
    return json.dumps(body).encode()


def post(url, content=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(
        url,
        content=message() if content is None else content,
        headers=HEADERS | named,
        timeout=30,
        trust_env=False,
    )


def use(url, ask, token=None):
    """What an async function gets from the official client."""

    async def connected():
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            return await ask(client)

    return anyio.run(connected)


def test_the_official_client_uses_it(url):
    async def ask(client):
        names = [tool.name for tool in (await client.list_tools()).tools]
        forecast = await client.call_tool("forecast_price", CALL)
        ledger = await client.read_resource("belief://NVDA/ledger")
        prompt = await client.get_prompt("predict_price")
        return names, forecast.structured_content, ledger.contents[0].text, prompt.messages

    names, forecast, ledger, messages = use(url, ask)
    assert names == ["forecast_price", "belief_now", "track_record", "price_history"]
    assert (forecast["as_of"], forecast["target"]) == (FIRST, "2024-06-20")
    assert len(json.loads(ledger)["entries"]) == 2 and len(messages) == 1


def test_twenty_calls_at_a_time_get_the_right_answers(url):
    async def ask(client):
        closes = {}

        async def one(n):
            symbol = ("NVDA", "AMD")[n % 2]
            result = await client.call_tool("forecast_price", {**CALL, "symbol": symbol})
            closes[n] = (symbol, result.structured_content["symbol"], result)

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(one, n)
        return closes

    found = use(url, ask)
    assert len(found) == 20 and all(asked == named for asked, named, _ in found.values())
    last_close = fitted_through(FIRST)[0].last_close
    for symbol, scale in (("NVDA", 1.0), ("AMD", 2.0)):
        results = [result for asked, _, result in found.values() if asked == symbol]
        assert {each.content[0].text for each in results} == {results[0].content[0].text}
        assert results[0].structured_content["last_close"] == pytest.approx(
            scale * last_close, rel=1e-6
        )


# Who is let in


def test_with_the_token_the_client_gets_in(guarded):
    result = use(guarded, lambda client: client.call_tool("forecast_price", CALL), SECRET)
    assert result.structured_content["as_of"] == FIRST


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Bearer",
        f"Bearer {SECRET}x",
        f"Bearer {SECRET[:-1]}",
        SECRET,
        f"Basic {SECRET}",
    ],
)
def test_any_other_token_is_answered_by_401_and_what_is_lacking(guarded, sent):
    for answer in (
        post(guarded, Authorization=sent),
        post(guarded, b"{nope", Authorization=sent),
        httpx2.get(guarded, headers={"Authorization": sent}, trust_env=False),
        httpx2.get(guarded + "/else", headers={"Authorization": sent}, trust_env=False),
    ):
        assert (answer.status_code, answer.json()) == (401, {"error": LACKING})
        assert TOKEN in LACKING and SECRET not in answer.text
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_without_any_token_and_with_two_it_is_401_too(guarded):
    assert post(guarded).status_code == 401
    two = [*HEADERS.items(), ("Authorization", "Bearer x"), ("Authorization", f"Bearer {SECRET}")]
    assert httpx2.post(guarded, content=message(), headers=two, trust_env=False).status_code == 401
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert post(guarded, Authorization=f"{scheme} {SECRET}").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_an_address_others_reach_wants_a_token(host):
    assert not is_loopback(host)
    with pytest.raises(UsageError, match=f"{host} can be reached.*{TOKEN}"):
        token_for(host, {}, TOKEN)
    assert token_for(host, {TOKEN: f" {SECRET}\n"}, TOKEN) == SECRET


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_wants_a_token_only_where_one_is_set(host):
    assert is_loopback(host)
    assert token_for(host, {}, TOKEN) is None
    assert token_for(host, {TOKEN: f" {SECRET}\n"}, TOKEN) == SECRET


@pytest.mark.parametrize(
    "token",
    ["", "  ", f"{SECRET}\n2", f"{SECRET} 2", f"{SECRET}\x7f", "\udcff", "ü"],
)
def test_a_token_that_no_client_can_send_is_one_line_that_does_not_tell_it(
    where, monkeypatch, token
):
    monkeypatch.setenv(TOKEN, token)
    refused = belief("mcp", "--http", "--port", "0", at=evening(FIRST))
    assert_one_line_error(refused, 2, TOKEN, "printable ASCII without spaces")
    assert SECRET not in refused.err


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example:80"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost:6274"}, 200),
        ({"Host": "localhost:80"}, 200),
        ({"Host": "LocalHost:8000"}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "http://LOCALHOST:80"}, 200),
        ({"Origin": "https://localhost"}, 403),
    ],
)
def test_a_page_of_another_site_gets_nothing(url, headers, status):
    answer = post(url, **headers)
    assert answer.status_code == status
    assert ("forecast_price" in answer.text) == (status == 200)


def test_the_name_by_which_others_reach_it_is_theirs_to_choose(where):
    with served(SECRET, host="0.0.0.0") as at:
        answer = post(at, Host="belief.example", Authorization=f"Bearer {SECRET}")
    assert answer.status_code == 200 and "forecast_price" in answer.text


# What a request may be


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{nope", 400, -32700),
        (b"", 400, -32700),
        (b"\xff\xfe", 400, -32700),
        (b"[" * 30_000, 400, -32700),
        (b"[]", 400, -32602),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "tools/list"}', 400, -32602),
        (message("tools/nothing"), 200, -32601),
        (message("tools/call", {"name": "belief_now", "arguments": ["NVDA"]}), 200, -32602),
        (message("tools/call", {"name": "nothing", "arguments": {}}), 200, -32602),
        (message("tools/call", {}), 200, -32602),
    ],
)
def test_a_malformed_request_is_a_protocol_error_and_the_server_answers_on(
    url, content, status, code
):
    answer = post(url, content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert "forecast_price" in post(url).text


def test_a_huge_body_is_refused_unread(url):
    at_most = b'"' + b"x" * (LARGEST_BODY - 2) + b'"'
    assert post(url, at_most).status_code == 400
    assert post(url, at_most + b" ").status_code == 413
    assert post(url, (b"x" * 1000 for _ in range(LARGEST_BODY))).status_code == 413
    assert "forecast_price" in post(url).text


def test_other_methods_paths_and_types_are_refused(url):
    assert httpx2.put(url, content=message(), trust_env=False).status_code == 405
    assert httpx2.get(url.removesuffix("/mcp"), trust_env=False).status_code == 404
    assert post(url, Content_Type="text/plain").status_code == 400


# Connections that ask nothing


def opened(url, content=b""):
    """A connection, with the beginning of a request."""
    host, port = url.removeprefix("http://").removesuffix("/mcp").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(content)
    return connection


def ended(connection):
    """Whether the server closes a connection, whatever it says before."""
    try:
        while connection.recv(1000):
            pass
        return True
    except ConnectionResetError:
        return True
    finally:
        connection.close()


HALF = (
    b"",
    b"POST /mcp HT",
    b"POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nContent-Type: application/json\r\n",
    b"POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nContent-Length: 100\r\n\r\n{",
    b"GET /else HTTP/1.1\r\nHost: localhost:1\r\n\r\nPOST /mcp HTTP/1.1\r\nContent-Length: 9\r\n",
)


@pytest.mark.parametrize("half", HALF)
def test_a_request_that_does_not_end_is_not_waited_for(url, half, monkeypatch):
    monkeypatch.setattr(http_door, "WHOLE_WITHIN", 0.3)
    connection = opened(url, half)
    if half.startswith(b"GET"):
        assert connection.recv(1000).startswith(b"HTTP/1.1 404")
    assert ended(connection)


def test_a_call_that_takes_longer_than_its_request_may_is_answered(url, monkeypatch):
    monkeypatch.setattr(http_door, "WHOLE_WITHIN", 0.2)
    prices = SharedDesk.prices
    monkeypatch.setattr(SharedDesk, "prices", lambda *args: time.sleep(0.6) or prices(*args))
    call = {"name": "price_history", "arguments": {"symbol": "NVDA"}}
    assert "NVDA" in post(url, message("tools/call", call)).text


def test_who_holds_connections_open_keeps_nobody_out(url, monkeypatch):
    monkeypatch.setattr(http_door, "MOST_CONNECTIONS", 20)
    held = [opened(url, half) for half in HALF[:4] for _ in range(20)]
    assert "forecast_price" in post(url).text
    assert all(ended(connection) for connection in held[:50])
    for connection in held[50:]:
        connection.close()


def test_where_all_connections_are_at_work_no_other_is_taken(url, monkeypatch):
    monkeypatch.setattr(http_door, "MOST_CONNECTIONS", 0)
    assert ended(opened(url, b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n"))


# Where it listens


def test_a_port_that_is_taken_is_one_line(where):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BeliefError, match=f"cannot listen at 127.0.0.1 port {port}: "):
            listen("127.0.0.1", port)
        ended = belief("mcp", "--http", "--port", str(port), at=evening(FIRST))
        assert_one_line_error(ended, 1, str(port), "in use")
        assert "while" not in ended.err


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_is_none_is_one_line(where, port):
    ended = belief("mcp", "--http", "--port", port, at=evening(FIRST))
    assert_one_line_error(ended, 2, port, "give 1 to 65535")


@pytest.mark.parametrize("host", ["", " "])
def test_no_address_at_all_is_one_line(where, host):
    assert_one_line_error(
        belief("mcp", "--http", "--host", host, at=evening(FIRST)), 2, f"--host is {host!r}"
    )


def test_an_address_that_is_not_this_machines_is_one_line(where, monkeypatch):
    monkeypatch.setenv(TOKEN, SECRET)
    ended = belief("mcp", "--http", "--host", "203.0.113.7", at=evening(FIRST))
    assert_one_line_error(ended, 1, "203.0.113.7")
    assert SECRET not in ended.err


def test_without_a_token_the_command_does_not_listen_to_others(where, monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)
    ended = belief("mcp", "--http", "--host", "0.0.0.0", at=evening(FIRST))
    assert_one_line_error(ended, 2, "0.0.0.0", TOKEN)


def test_an_address_without_http_is_a_mistake(where):
    for option in (("--host", "0.0.0.0"), ("--port", "9000")):
        assert_one_line_error(belief("mcp", *option, at=evening(FIRST)), 2, "--http")


def test_a_store_that_cannot_be_read_is_told_at_the_start(where, monkeypatch, tmp_path):
    notes = tmp_path / "belief.db"
    notes.write_text("somebody's notes")
    monkeypatch.setenv("BELIEF_STORE", str(notes))
    assert_one_line_error(belief("mcp", "--http", at=evening(FIRST)), 1, "not a database")


def test_the_command_serves_where_it_says_with_the_token_of_the_environment(where):
    environ = {**os.environ, "BELIEF_STORE": str(where), TOKEN: SECRET}
    with subprocess.Popen(
        [sys.executable, "-m", "belief_tools.cli", "mcp", "--http", "--port", "0"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        line = process.stderr.readline()
        assert line.startswith("serving MCP at http://127.0.0.1:") and line.endswith("/mcp\n")
        at = line.split()[-1]
        assert post(at).status_code == 401
        listed = post(at, Authorization=f"Bearer {SECRET}")
        assert "forecast_price" in listed.text
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert SECRET not in process.stderr.read() and process.stdout.read() == ""
