"""`belief serve`: the page to look and ask."""

import functools
import os
from typing import TYPE_CHECKING, Annotated

import typer

from belief.errors import BeliefError, UsageError
from belief_tools import clock
from belief_tools.server_log import end, log_to_stderr
from belief_tools.terminal import say

if TYPE_CHECKING:
    from belief_tools.web_state import Shared

HOST, PORT = "127.0.0.1", 8050
INTERRUPTED = 130

app = typer.Typer(rich_markup_mode=None)


@app.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen at; any that other machines reach wants a BELIEF_PAGE_TOKEN."
        ),
    ] = HOST,
    port: Annotated[int, typer.Option(help="Port to listen at; 0 for any that is free.")] = PORT,
    stale_ok: Annotated[
        bool, typer.Option("--stale-ok", help="Show live prices even if they are old.")
    ] = False,
) -> None:
    """Serve the page: the belief in pictures, a conversation, and the past as it was known then.

    The newest session is shown from the model that belief refit or the button on the page has
    published; a session of the past is fitted when it is picked. Answers and views are written to
    the ledger.
    """
    if not host.strip():
        raise UsageError(f"--host is {host!r}; give an address of this machine, such as {HOST}")
    log_to_stderr()
    from belief_tools import http_door
    from belief_tools.page_access import PageAccess
    from belief_tools.page_token import TOKEN
    from belief_tools.web import application

    token = http_door.token_for(host, os.environ, TOKEN)
    listening = http_door.listen(host, port)
    shared = _shared(stale_ok=stale_ok)
    _draw_once(shared)
    page = PageAccess(application(shared), host=host, token=token)
    say(f"serving the page at {http_door.address(listening, '/')}")
    try:
        http_door.run(page, listening, websockets=True)
    except KeyboardInterrupt:
        end(INTERRUPTED)
    end(0)


def _shared(*, stale_ok: bool) -> "Shared":
    from belief_tools.local_model import usual_endpoint
    from belief_tools.serving import Asked, find_store
    from belief_tools.shared_desk import SharedDesk
    from belief_tools.web_state import Shared

    store = find_store()  # better to know now that it cannot be read
    if store is not None:
        store.close()
    asked = Asked(None, None, None, "belief", stale_ok, clock.now(), may_fit=False)
    connect = functools.cache(lambda: usual_endpoint(os.environ, say=say))
    return Shared(SharedDesk(asked, clock.now), connect, clock.now)


def _draw_once(shared: "Shared") -> None:
    """Have the first page drawn, so that nobody waits for it."""
    from belief_tools.desk import USUAL
    from belief_tools.looks import Place

    try:
        shared.looks.look(Place(USUAL))
    except BeliefError as error:  # the page tells it too, and can mend it
        say(str(error))
