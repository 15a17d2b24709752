"""The page to look and ask, as an application for a web server."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final, cast

import numpy as np
from shiny import App, Inputs, Outputs, Session, reactive
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from belief.errors import BeliefError, UsageError
from belief.sessions import parse_day
from belief_tools.desk import USUAL
from belief_tools.ledger_page import entry_page
from belief_tools.looks import Place
from belief_tools.page_messages import OnlyItsOwn
from belief_tools.serving import LIVE
from belief_tools.web_ask import ask
from belief_tools.web_layout import Opened, document
from belief_tools.web_look import heading, look, standing_line
from belief_tools.web_refit import refit
from belief_tools.web_state import Shared, sit_down
from belief_tools.web_view import view

SMALL: Final = 1_000  # bytes that are sent as they are


def application(shared: Shared) -> Starlette:
    """The page, and the entries of the ledger that it refers to.

    Args:
        shared: what all browsers share.
    """

    def page(request: Request) -> Any:
        return document(opened(shared, request.query_params))

    def serve(inputs: Inputs, output: Outputs, session: Session) -> None:
        with reactive.isolate():
            sitting = sit_down(shared, _visitor(session), _place(shared, inputs))
        for part in (look, ask, view, refit):
            part(sitting, inputs, output)

    async def entry(request: Request) -> Response:
        own = shared.talks.conversations(request.state.visitor)
        try:
            name = request.path_params["name"]
            return HTMLResponse(await run_in_threadpool(entry_page, name, own))
        except BeliefError as error:
            return PlainTextResponse(f"{error}\n", 404 if isinstance(error, UsageError) else 500)

    shiny = App(page, serve)
    shiny.sanitize_errors = True
    return Starlette(
        routes=[Route("/ledger/{name}", entry), Mount("/", app=OnlyItsOwn(shiny))],
        middleware=[Middleware(GZipMiddleware, minimum_size=SMALL)],
        lifespan=lambda _: _lifespan(shiny),
    )


def opened(shared: Shared, query: Mapping[str, str]) -> Opened:
    """What the page shows when it is opened with an address.

    Args:
        shared: what all browsers share.
        query: of the address: "symbol" and "as_of", or neither; what cannot be is told.
    """
    symbol, day, problem = USUAL, None, ""
    try:
        symbol = shared.known(query.get("symbol", USUAL))
        day = parse_day(query["as_of"]) if "as_of" in query else None
    except BeliefError as error:
        problem = str(error)
    place, prices = shared.place(symbol, day), shared.prices(symbol)
    return Opened(
        symbols=shared.symbols(),
        symbol=symbol,
        first=str(prices.session[0]),
        newest=str(prices.as_of),
        as_of=str(shared.session(place)),
        parts=dict(_drawn(shared, place)),
        problem=problem,
        published=shared.looks.ready(Place(symbol)) is not None,
        snapshot=not prices.source.startswith(LIVE),
    )


def _drawn(shared: Shared, place: Place) -> Iterator[tuple[str, str]]:
    """What can be shown at once: nothing is fitted or drawn while the browser waits."""
    look = shared.looks.ready(place)
    if look is not None:
        yield "title", str(heading(look.tool))
        yield "standing", str(standing_line(look.tool))
        yield from look.sections.items()


def _place(shared: Shared, inputs: Inputs) -> Place:
    """What the page was opened with, if that is to be had."""
    day = inputs.as_of()
    try:
        symbol = shared.known(inputs.symbol())
        return shared.place(symbol, None if day is None else np.datetime64(day, "D"))
    except BeliefError:  # why, is told where it is looked for
        return Place(USUAL)


def _visitor(session: Session) -> str:
    """Whose browser it is, as `belief_tools.page_access` has found out."""
    return str(cast(Any, session).http_conn.state.visitor)


@contextlib.asynccontextmanager
async def _lifespan(shiny: App) -> AsyncIterator[None]:
    async with shiny.starlette_app.router.lifespan_context(shiny.starlette_app):
        yield
