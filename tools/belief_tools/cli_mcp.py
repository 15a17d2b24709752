"""`belief mcp`: the belief for the clients of the Model Context Protocol."""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from belief.errors import BeliefError, UsageError
from belief_tools import clock
from belief_tools.terminal import LONGEST, one_line, printable, say

if TYPE_CHECKING:
    from mcp.server import Server

    from belief_tools.shared_desk import SharedDesk

HOST, PORT = "127.0.0.1", 8000
INTERRUPTED = 130
QUIET = 10.0  # seconds between lines of a library about the same

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
    _log_to_stderr()
    from belief_tools.mcp_server import build

    desk = _desk(fit=fit, stale_ok=stale_ok)
    try:
        if http:
            _serve_http(build(desk), desk, HOST if host is None else host, port)
        else:
            _serve_stdio(build(desk), desk)
    except KeyboardInterrupt:
        _end(INTERRUPTED)


class Printable(logging.Formatter):
    """Lines without what a terminal would obey, none of them long."""

    def format(self, record: logging.LogRecord) -> str:
        """A message in one line, and the trace of an error below it."""
        first, *below = record.getMessage(), *self._trace(record)
        lines = f"belief: {one_line(first)}", *(f"  {printable(line)}" for line in below)
        return "\n".join(line if len(line) <= LONGEST else line[:LONGEST] + "..." for line in lines)

    def _trace(self, record: logging.LogRecord) -> list[str]:
        return self.formatException(record.exc_info).split("\n") if record.exc_info else []


class Seldom(logging.Filter):
    """Lets a library say the same once in a while: what others do to it could fill a disk."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        super().__init__()
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is for the log."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False  # a call that was given up at the end
        if record.name.startswith("belief"):
            return True
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._said.get(place, -QUIET) < QUIET:
            return False
        self._said[place] = now
        return True


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Printable())
    handler.addFilter(Seldom())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)


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
    _end(0)


def _serve_http(server: "Server[Any]", desk: "SharedDesk", host: str, port: int | None) -> None:
    from belief_tools import http_door, mcp_http

    if not host.strip():
        raise UsageError(f"--host is {host!r}; give an address of this machine, such as {HOST}")
    token = http_door.token_for(host, os.environ, mcp_http.TOKEN)
    listening = http_door.listen(host, PORT if port is None else port)
    _warm_up(desk)
    say(f"serving MCP at {http_door.address(listening, mcp_http.PATH)}")
    http_door.run(mcp_http.application(server, host, token), listening, websockets=False)


def _end(code: int) -> None:
    """End now: neither a call that nobody waits for nor the first forecast can be called off."""
    sys.stderr.flush()
    os._exit(code)


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
