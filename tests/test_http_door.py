"""Connections that hold a place for long: websockets, and answers that nobody takes."""

import contextlib
import socket
import time

import httpx2
import pytest
from doors import in_time, serving, websocket
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import ConnectionClosed, WebSocketException

from belief.errors import UsageError
from belief_tools import http_door
from belief_tools.http_door import (
    LARGEST_MESSAGE,
    BoundedConnection,
    BoundedWebsocket,
    token_for,
)

PART, PARTS = b"x" * 65536, 400  # more than what both sides of a connection keep


def hello(request):
    return PlainTextResponse("hello")


def much(request):
    return StreamingResponse(PART for _ in range(PARTS))


async def echo(asked):
    """Say what is said; flood who says so, and leave who says bye."""
    await asked.accept()
    async for text in asked.iter_text():
        if text == "bye":
            return
        for _ in range(PARTS if text == "flood" else 1):
            await asked.send_text(PART.decode() if text == "flood" else text)


APP = Starlette(
    routes=[Route("/", hello), Route("/much", much), WebSocketRoute("/websocket/", echo)]
)
HANDSHAKE = (
    b"GET /websocket/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
# frames with a mask of zeros
FLOOD = bytes([0x81, 0x85, 0, 0, 0, 0]) + b"flood"
BYE = bytes([0x81, 0x83, 0, 0, 0, 0]) + b"bye"


@pytest.fixture(scope="module")
def url():
    with serving(APP) as at:
        yield at


@pytest.fixture
def roomy(monkeypatch):
    """The server keeps whatever is not taken, as it does with a little of it always."""
    for kind in (BoundedConnection, BoundedWebsocket):

        def connection_made(self, transport, made=kind.connection_made):
            made(self, transport)
            transport.set_write_buffer_limits(high=10**9)

        monkeypatch.setattr(kind, "connection_made", connection_made)


def says_hello(url):
    try:
        return httpx2.get(url, timeout=10, trust_env=False).text == "hello"
    except httpx2.TransportError:
        return False


def opened(url, content=b""):
    """A connection that keeps little of what comes, with the beginning of a request."""
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(10)
    connection.connect((host, int(port)))
    connection.sendall(content)
    return connection


def taken(connection):
    """Number of bytes that come until the server ends the connection."""
    length = 0
    with connection, contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            length += len(part)
    return length


def test_a_websocket_lives_longer_than_a_request_may_take(url, monkeypatch):
    monkeypatch.setattr(http_door, "WHOLE_WITHIN", 0.2)
    with websocket(url) as said:
        time.sleep(0.6)
        said.send("still there?")
        assert said.recv(timeout=5) == "still there?"


def test_a_message_that_is_too_large_ends_its_websocket_alone(url):
    with websocket(url) as other, websocket(url) as said:
        said.send("x" * LARGEST_MESSAGE)
        assert len(said.recv(timeout=5)) == LARGEST_MESSAGE
        said.send("x" * (LARGEST_MESSAGE + 1))
        with pytest.raises(ConnectionClosed, match="1009"):
            said.recv(timeout=5)
        other.send("here")
        assert other.recv(timeout=5) == "here"
    assert says_hello(url)


def test_open_websockets_have_their_places_among_the_connections(monkeypatch):
    monkeypatch.setattr(http_door, "MOST_CONNECTIONS", 5)
    with serving(APP) as url, contextlib.ExitStack() as places:
        held = [places.enter_context(websocket(url)) for _ in range(5)]
        assert not says_hello(url)
        with pytest.raises((ConnectionError, EOFError, WebSocketException)):
            websocket(url)
        held[0].close()
        assert in_time(lambda: says_hello(url))
        held[1].send("here")
        assert held[1].recv(timeout=5) == "here"


def test_beside_many_idle_connections_pages_and_websockets_work(url):
    with contextlib.ExitStack() as stack:
        said = stack.enter_context(websocket(url))
        idle = [stack.enter_context(opened(url)) for _ in range(300)]
        assert says_hello(url)
        said.send("here")
        assert said.recv(timeout=5) == "here"
        with websocket(url) as later:
            later.send("too")
            assert later.recv(timeout=5) == "too"
        assert taken(idle[0]) == 0


@pytest.mark.parametrize("asked", [b"", FLOOD])
def test_a_websocket_whose_other_side_is_gone_ends(monkeypatch, asked):
    assert_ended(monkeypatch, asked)


@pytest.mark.parametrize("asked", [FLOOD, FLOOD + BYE])
def test_so_does_one_that_was_closed_before_all_was_taken(monkeypatch, asked, roomy):
    assert_ended(monkeypatch, asked)


def assert_ended(monkeypatch, asked):
    """Assert that a websocket that asks something, then takes nothing, does not stay."""
    monkeypatch.setattr(http_door, "PULSE", 0.2)
    with serving(APP) as url:
        gone = opened(url, HANDSHAKE)
        assert gone.recv(4096).startswith(b"HTTP/1.1 101")
        gone.sendall(asked)
        time.sleep(1.0)
        monkeypatch.setattr(http_door, "MOST_CONNECTIONS", 1)
        assert says_hello(url)  # its place is free
        assert taken(gone) < PARTS * len(PART)


def test_a_websocket_that_answers_pings_stays(monkeypatch):
    monkeypatch.setattr(http_door, "PULSE", 0.1)
    with serving(APP) as url, websocket(url) as said:
        time.sleep(0.8)
        said.send("here")
        assert said.recv(timeout=5) == "here"


CLOSING = pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])


@CLOSING
def test_an_answer_that_nobody_takes_is_given_up(url, monkeypatch, more):
    assert_given_up(url, monkeypatch, more)


@CLOSING
def test_so_is_the_last_of_it(url, monkeypatch, more, roomy):
    assert_given_up(url, monkeypatch, more)


def assert_given_up(url, monkeypatch, more):
    """Assert that a connection that takes no answer does not stay."""
    monkeypatch.setattr(http_door, "WHOLE_WITHIN", 0.3)
    idle = opened(url, b"GET /much HTTP/1.1\r\nHost: localhost\r\n" + more + b"\r\n")
    time.sleep(1.0)
    monkeypatch.setattr(http_door, "MOST_CONNECTIONS", 1)
    assert says_hello(url)
    assert taken(idle) < PARTS * len(PART)


def test_an_answer_that_is_taken_slowly_is_given_whole(url, monkeypatch):
    monkeypatch.setattr(http_door, "WHOLE_WITHIN", 0.5)
    begun = time.monotonic()
    length = 0
    with httpx2.stream("GET", f"{url}much", timeout=10, trust_env=False) as answer:
        for part in answer.iter_bytes(len(PART)):
            length += len(part)
            time.sleep(0.004)
    assert length == PARTS * len(PART) and time.monotonic() - begun > 1.0


def test_a_server_without_websockets_opens_none():
    with serving(APP, websockets=False) as url:
        connection = opened(url, HANDSHAKE)
        assert connection.recv(4096).startswith(b"HTTP/1.1 404")
        connection.close()


def test_a_token_is_asked_for_by_the_name_of_its_variable():
    assert token_for("0.0.0.0", {"ONE": "secret", "OTHER": "no"}, "ONE") == "secret"
    with pytest.raises(UsageError, match="set ONE to the token"):
        token_for("0.0.0.0", {"OTHER": "no"}, "ONE")
    with pytest.raises(UsageError, match="ONE is blank"):
        token_for("127.0.0.1", {"ONE": " "}, "ONE")
