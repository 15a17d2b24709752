"""Serve over HTTP: where to listen, who needs a token, and what a connection may hold."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import Final

import h11
import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from belief.errors import BeliefError, UsageError

CAN_BE_SENT: Final = re.compile("[!-~]+")  # as a token in a header
LARGEST_BODY: Final = 64 * 1024  # bytes; the largest sensible request has a few thousand
LARGEST_MESSAGE: Final = 256 * 1024  # bytes from a websocket
LAST_PORT: Final = 65535
PATIENCE: Final = 1  # seconds for answers under way when the server ends
MOST_CONNECTIONS: Final = 200  # at a time; a process may often have 1,024 files open
BACKLOG: Final = 64  # connections that wait to be accepted
WHOLE_WITHIN: Final = 10.0  # seconds for a request from its beginning to its end
PULSE: Final = 20.0  # seconds between pings of a websocket, and for the answer to one


def token_for(host: str, environ: Mapping[str, str], variable: str) -> str | None:
    """The token that requests must bring; None where none is needed.

    Args:
        host: address that the server listens at.
        environ: the environment.
        variable: its name for the token.

    Raises:
        UsageError: others than this machine could reach the server, and there is no token; or
            no request could ever bring the one there is.
    """
    token = environ[variable].strip() if variable in environ else None
    if token is not None and not CAN_BE_SENT.fullmatch(token):
        raise UsageError(
            f"{variable} is blank, or has a space, a line break or another character that no "
            "client can send; give printable ASCII without spaces, or unset it"
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines; set {variable} to the token that clients "
            "must send, or listen at 127.0.0.1"
        )
    return token


def bearer(scope: Scope) -> bytes | None:
    """The bearer token that a request brings; None where it brings none.

    Args:
        scope: of the request.
    """
    given = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(given) != 1:
        return None
    scheme, _, token = given[0].partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: address; of a name the first address it has.
        port: number; 0 for any that is free.

    Raises:
        UsageError: there is no such port.
        BeliefError: the address is not this machine's, or another program listens there.
    """
    if not 0 <= port <= LAST_PORT:
        raise UsageError(f"port {port} is none; give 1 to {LAST_PORT}, or 0 for any that is free")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        # the library adds the address, which is said already
        reason = str(error.strerror or error).partition(" (while ")[0]
        raise BeliefError(
            f"cannot listen at {host} port {port}: {reason}; --host and --port name others"
        ) from None


def address(listening: socket.socket, path: str) -> str:
    """Where clients find the server.

    Args:
        listening: of `listen`.
        path: where on the server; begins with a slash.
    """
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


class BoundedConnection(H11Protocol):
    """A connection that ends if it only waits, and of which there are not too many.

    It may wait so long for a whole request to come, and so long for its answer to be taken.
    Where there would be too many, the one goes that has waited longest: whoever only holds
    connections open keeps nobody else out. One that becomes a websocket still has its place, and
    is no longer waited for here.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in another's place where there is no room."""
        self.transport = transport
        if len(self.connections) >= MOST_CONNECTIONS and not self._take_a_place():
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._forget_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come of a request."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait for the answer to be taken."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        super().resume_writing()
        self._forget_deadline()
        self._watch()

    def _watch(self) -> None:
        """Set the deadline where it is the other side's turn."""
        if not self._waits():
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(WHOLE_WITHIN, self.transport.abort)

    def _waits(self) -> bool:
        if self.transport.get_protocol() is not self:
            return False  # a websocket now
        if self.transport.is_closing() or self.flow.write_paused:
            return True  # until all that was written is taken
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _take_a_place(self) -> bool:
        waiting = [
            (each._deadline.when(), each)
            for each in self.connections
            if isinstance(each, BoundedConnection) and each._deadline is not None
        ]
        if not waiting:
            return False
        longest = min(waiting, key=lambda pair: pair[0])[1]
        self.connections.discard(longest)
        longest._forget_deadline()
        longest.transport.abort()
        return True


class BoundedWebsocket(WebSocketsSansIOProtocol):
    """A websocket that ends soon after the other side takes nothing any more."""

    def send_keepalive_ping(self) -> None:
        """See whether the other side is there; end what was closed a while ago and is not gone."""
        super().send_keepalive_ping()
        if self.transport.is_closing():
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        """End: to close would be to wait until all that was written is taken."""
        super().keepalive_timeout()
        self.transport.abort()


def config(app: ASGIApp, *, websockets: bool) -> uvicorn.Config:
    """How an application is served.

    Args:
        app: the application.
        websockets: whether it has any.
    """
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws=BoundedWebsocket if websockets else "none",
        ws_max_size=LARGEST_MESSAGE,
        ws_ping_interval=PULSE,
        ws_ping_timeout=PULSE,
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=PATIENCE,
    )


def run(app: ASGIApp, listening: socket.socket, *, websockets: bool) -> None:
    """Serve until the process is told to end.

    Args:
        app: the application.
        listening: of `listen`.
        websockets: whether the application has any.
    """
    uvicorn.Server(config(app, websockets=websockets)).run(sockets=[listening])
