"""The MCP server over HTTP: who may speak to it, and what a request may be."""

import hmac
from typing import TYPE_CHECKING, Any, Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from belief_tools.http_door import LARGEST_BODY, bearer, is_loopback

if TYPE_CHECKING:
    from mcp.server import Server

TOKEN: Final = "BELIEF_MCP_TOKEN"
LACKING: Final = f"send the header Authorization: Bearer TOKEN, with the server's {TOKEN}"
PATH: Final = "/mcp"


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
        given = bearer(scope)
        return given is not None and hmac.compare_digest(given, self._wanted)


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
