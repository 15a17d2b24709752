"""A small page behind its door, and what a client does there."""

import httpx2
from doors import serving, websocket
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from websockets.exceptions import InvalidStatus

from belief_tools.page_access import PageAccess

SECRET = "open-sesame-1234567890"
BEARER = {"Authorization": f"Bearer {SECRET}"}
ANY_VISITOR = {"Cookie": f"belief_visitor={'v' * 43}"}


async def page(request):
    if "fail" in request.query_params:
        raise RuntimeError("the page's own secret")
    return JSONResponse({"visitor": request.state.visitor, "query": request.url.query})


async def lib(request):
    return PlainTextResponse("script")


async def never(request):
    return PlainTextResponse("reached")


async def talk(asked):
    await asked.accept()
    await asked.send_text(asked.state.visitor)
    async for text in asked.iter_text():
        await asked.send_text(text)


APP = Starlette(
    routes=[
        Route("/", page),
        Route("/lib/script.js", lib),
        Route("/session/{rest:path}", never, methods=["GET", "POST"]),
        Route("/__shared/{rest:path}", never),
        WebSocketRoute("/websocket/", talk),
        WebSocketRoute("/autoreload/websocket/", talk),
    ]
)


def guarded(host="127.0.0.1", token=None):
    return serving(PageAccess(APP, host=host, token=token))


def ask(url, method="GET", **kwargs):
    return httpx2.request(method, url, timeout=10, trust_env=False, **kwargs)


def cookies_of(answer):
    return {
        each.split("=")[0]: each.split(";")[0].partition("=")[2]
        for each in answer.headers.get_list("set-cookie")
    }


def port_of(url):
    return url.rstrip("/").rpartition(":")[2]


def refused(url, origin=None, **headers):
    """Whether a websocket is refused before it begins."""
    try:
        with websocket(url, origin, **headers):
            return False
    except InvalidStatus as error:
        return error.response.status_code == 403


def entered(locked, way):
    """What is answered to who gives the token to a browser."""
    if way == "form":
        return ask(f"{locked}?symbol=NVDA", "POST", data={"token": SECRET})
    return ask(f"{locked}?token={SECRET}&symbol=NVDA")
