"""The MCP server over HTTP: who may speak to it, and where it listens."""

import asyncio
import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from belief.errors import BeliefError, UsageError

if TYPE_CHECKING:
    from mcp.server import Server

TOKEN: Final = "BELIEF_MCP_TOKEN"
LACKING: Final = f"send the header Authorization: Bearer TOKEN, with the server's {TOKEN}"
CAN_BE_SENT: Final = re.compile("[!-~]+")  # as a token in a header
PATH: Final = "/mcp"
LARGEST_BODY: Final = 64 * 1024  # bytes; the largest sensible call has under one thousand
LAST_PORT: Final = 65535
PATIENCE: Final = 1  # seconds for answers under way when the server ends
MOST_CONNECTIONS: Final = 200  # at a time; a process may often have 1,024 files open
BACKLOG: Final = 64  # connections that wait to be accepted
WHOLE_WITHIN: Final = 10.0  # seconds for a request from its beginning to its end


class BearerToken:
    """Lets in those who know the token; tells all others that they must bring it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        """Stand before an application.

        Args:
            app: the application.
            token: what a request must bring as its bearer token.
        """
        self._app, self._wanted = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan" or self._knows(scope):
            await self._app(scope, receive, send)
            return
        refused = JSONResponse({"error": LACKING}, 401, headers={"WWW-Authenticate": "Bearer"})
        await refused(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._wanted)


class LowerNames:
    """Has the names of hosts in small letters, in which they are compared."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application.

        Args:
            app: the application.
        """
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            headers = [
                (name, value.lower() if name in (b"host", b"origin") else value)
                for name, value in scope["headers"]
            ]
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)


def token_for(host: str, environ: Mapping[str, str]) -> str | None:
    """The token that requests must bring; None where none is needed.

    Args:
        host: address that the server listens at.
        environ: the environment.

    Raises:
        UsageError: others than this machine could reach the server, and there is no token; or
            no request could ever bring the one there is.
    """
    token = environ[TOKEN].strip() if TOKEN in environ else None
    if token is not None and not CAN_BE_SENT.fullmatch(token):
        raise UsageError(
            f"{TOKEN} is blank, or has a space, a line break or another character that no client "
            "can send; give printable ASCII without spaces, or unset it"
        )
    if token is None and not is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other machines; set {TOKEN} to the token that clients "
            "must send, or listen at 127.0.0.1"
        )
    return token


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


def application(server: "Server[Any]", host: str, token: str | None) -> Starlette:
    """The server as a web application at `PATH`.

    Args:
        server: of `belief_tools.mcp_server.build`.
        host: address it listens at.
        token: what requests must bring; None for nothing.
    """
    # a page in a browser on this machine can reach a loopback address under a name of its own
    names = ("127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host.lower())
    hosts = [f"{name}{port}" for name in names for port in ("", ":*")]  # port 80 is left out
    security = TransportSecuritySettings(
        enable_dns_rebinding_protection=is_loopback(host),
        allowed_hosts=hosts,
        allowed_origins=[f"http://{each}" for each in hosts],
    )
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=LARGEST_BODY,
        transport_security=security,
    )
    app.add_middleware(LowerNames)
    if token is not None:
        app.add_middleware(BearerToken, token=token)
    return app


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
        raise BeliefError(f"cannot listen at {host} port {port}: {reason}") from None


def address(listening: socket.socket) -> str:
    """Where clients find the server.

    Args:
        listening: of `listen`.
    """
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PATH}"


class BoundedConnection(H11Protocol):
    """A connection that ends if no whole request comes, and of which there are not too many.

    Where there would be too many, the one goes that has waited longest for its request: whoever
    only holds connections open keeps nobody else out.
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

    def _watch(self) -> None:
        """Set the deadline where a request is yet to come or to end."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(WHOLE_WITHIN, self.transport.abort)

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


def config(app: Starlette) -> uvicorn.Config:
    """How the application is served.

    Args:
        app: of `application`.
    """
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=PATIENCE,
    )


def run_http(app: Starlette, listening: socket.socket) -> None:
    """Serve until the process is told to end.

    Args:
        app: of `application`.
        listening: of `listen`.
    """
    uvicorn.Server(config(app)).run(sockets=[listening])
