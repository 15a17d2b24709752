"""`belief mcp`: the belief for the clients of the Model Context Protocol."""

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belief.errors import BeliefError, UsageError
from belief_tools import clock
from belief_tools.server_log import end, log_to_stderr
from belief_tools.terminal import say

if TYPE_CHECKING:
    from mcp.server import Server

    from belief_tools.shared_desk import SharedDesk

HOST, PORT = "127.0.0.1", 8000
INTERRUPTED = 130

log = logging.getLogger(__name__)
app = typer.Typer(rich_markup_mode=None)


@app.command()
def mcp(
    http: Annotated[
        bool, typer.Option("--http", help="Serve HTTP at /mcp, not standard input and output.")
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen at; any that other machines reach wants a BELIEF_MCP_TOKEN.  "
            f"[default: {HOST}]",
            show_default=False,
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help=f"Port to listen at; 0 for any that is free.  [default: {PORT}]",
            show_default=False,
        ),
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit a model where no published one serves.")
    ] = False,
    stale_ok: Annotated[
        bool, typer.Option("--stale-ok", help="Answer from live prices even if they are old.")
    ] = False,
) -> None:
    """Serve the belief to MCP clients: forecast_price, belief_now, track_record, price_history.

    It answers from the models that belief refit publishes, and writes nothing.
    """
    if not http and (host is not None or port is not None):
        raise UsageError("--host and --port say where --http listens; give it, or leave them out")
    log_to_stderr()
    from belief_tools.mcp_server import build

    desk = _desk(fit=fit, stale_ok=stale_ok)
    try:
        if http:
            _serve_http(build(desk), desk, HOST if host is None else host, port)
        else:
            _serve_stdio(build(desk), desk)
    except KeyboardInterrupt:
        end(INTERRUPTED)


def _desk(*, fit: bool, stale_ok: bool) -> "SharedDesk":
    from belief_tools.serving import Asked, find_store
    from belief_tools.shared_desk import SharedDesk

    store = find_store()  # better to know now that it cannot be read
    if store is not None:
        store.close()
    asked = Asked(None, None, None, "belief", stale_ok, clock.now(), may_fit=fit)
    return SharedDesk(asked, clock.now)


def _serve_stdio(server: "Server[Any]", desk: "SharedDesk") -> None:
    import anyio

    from belief_tools.mcp_server import run_stdio

    # A thread that waits for a line of input cannot be called off: Ctrl-C ends the process itself,
    # which has nothing open that it writes to.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    anyio.run(run_stdio, server, lambda: _warm_up(desk))
    end(0)


def _serve_http(server: "Server[Any]", desk: "SharedDesk", host: str, port: int | None) -> None:
    from belief_tools import http_door, mcp_http

    if not host.strip():
        raise UsageError(f"--host is {host!r}; give an address of this machine, such as {HOST}")
    token = http_door.token_for(host, os.environ, mcp_http.TOKEN)
    listening = http_door.listen(host, PORT if port is None else port)
    _warm_up(desk)
    say(f"serving MCP at {http_door.address(listening, mcp_http.PATH)}")
    http_door.run(mcp_http.application(server, host, token), listening, websockets=False)


def _warm_up(desk: "SharedDesk") -> None:
    """Have the first forecast made, so that the first question need not wait for it."""
    threading.Thread(target=_forecast_once, args=(desk,), daemon=True).start()


def _forecast_once(desk: "SharedDesk") -> None:
    from belief.sessions import session_after

    try:
        for symbol in desk.names():
            try:
                tool = desk.tool(symbol)
            except BeliefError:  # whoever asks for it is told
                continue
            tool.forecast(session_after(tool.prices.as_of, 1))
            return
    except Exception:  # the same, or the program is about to end
        log.debug("no forecast was made ahead", exc_info=True)
