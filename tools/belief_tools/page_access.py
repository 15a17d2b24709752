"""Who may see the page, how its visitors are told apart, and what a request may be."""

import base64
import contextlib
import hashlib
import html
import re
import secrets
from collections import Counter
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from belief_tools.http_door import LARGEST_BODY, bearer, is_loopback
from belief_tools.page_token import COOKIE, FIELD, PageToken, asking

PAGE, WEBSOCKET, FILES, ICON = "/", "/websocket/", "/lib/", "/favicon.ico"
ENTRIES: Final = "/ledger/"
VISITOR: Final = "belief_visitor"  # cookie
VISITOR_ID: Final = re.compile("[A-Za-z0-9_-]{43}")
RANDOM_BYTES: Final = 32  # of a visitor's id; in 43 characters
MOST_WEBSOCKETS: Final = 20  # of one visitor at a time
HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d*)?")
POLICY_VIOLATION: Final = 1008  # code with which a websocket is closed
FAILED: Final = "The page met an error of its own; the server's log has more. Load it again."
TOO_LARGE: Final = f"A request may have {LARGEST_BODY} bytes."
NOT_HERE: Final = "This server answers for a name of this machine only, such as 127.0.0.1."
FOREIGN: Final = (
    "Another site asked for this. Where a proxy stands before the server, it must leave the Host "
    "header as the browser sent it."
)
AGAIN: Final = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>Belief</title>'
    '<meta name="color-scheme" content="light dark">'
    '<meta http-equiv="refresh" content="0;url={0}"><a href="{0}">Open the page</a>'
)


class PageAccess:
    """Stands before the page: lets through what its own visitors ask of it.

    A request for the page has the visitor's id in ``scope["state"]["visitor"]`` when it goes
    through; so has every websocket.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None) -> None:
        """Stand before an application.

        Args:
            app: of Shiny.
            host: address that the server listens at.
            token: what visitors must know; None for nothing.
        """
        self._app = app
        self._token = None if token is None else PageToken(token)
        self._hosts = _names(host) if is_loopback(host) else None
        self._policy = policy()
        self._websockets: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes, or refuse it."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            with contextlib.suppress(ClientDisconnect):
                await self._http(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headed = self._headed(send, scope)
        response = self._refused(request) or await self._asked(request) or _lacking(request)
        if response is not None:
            await response(scope, receive, headed)
            return
        await self._app(scope, receive, _told_plainly(self._with_visitor(request, headed)))

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._visitor_let_in(HTTPConnection(scope))
        if visitor is None:
            await receive()
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        scope.setdefault("state", {})["visitor"] = visitor
        self._websockets[visitor] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._websockets[visitor] -= 1
            if not self._websockets[visitor]:
                del self._websockets[visitor]

    def _visitor_let_in(self, websocket: HTTPConnection) -> str | None:
        """Id of a visitor who may have one more websocket."""
        visitor = _visitor(websocket)
        if visitor is None or self._websockets[visitor] >= MOST_WEBSOCKETS:
            return None
        if websocket.scope["path"] != WEBSOCKET or self._refused(websocket) is not None:
            return None
        return visitor if self._kept_out(websocket) is None else None

    def _refused(self, connection: HTTPConnection) -> Response | None:
        """What is answered to other sites, and to a body that is too large."""
        host = connection.headers.get("host", "").lower()
        named = HOST.fullmatch(host)
        if named is None or (self._hosts is not None and named[1] not in self._hosts):
            return PlainTextResponse(NOT_HERE, 421)
        origins = connection.headers.getlist("origin")
        is_own = all(each.lower() in (f"http://{host}", f"https://{host}") for each in origins)
        is_part = connection.headers.get("sec-fetch-dest") != "document"
        if not is_own or (_comes_from_another_site(connection) and is_part):
            return PlainTextResponse(FOREIGN, 403)
        length = connection.headers.get("content-length", "0")
        return PlainTextResponse(TOO_LARGE, 413) if int(length) > LARGEST_BODY else None

    async def _asked(self, request: Request) -> Response | None:
        """What is answered before the page is reached."""
        path, method = request.scope["path"], request.method
        if path == ICON:
            return Response(status_code=204)
        if (
            self._token is not None
            and path == PAGE
            and (method == "POST" or FIELD in request.query_params)
        ):
            return await self._exchange(request, self._token)
        if path == PAGE and _comes_from_another_site(request):
            return _again(request)
        return self._kept_out(request)

    async def _exchange(self, request: Request, token: PageToken) -> Response:
        """Give the cookie for the token, or refuse."""
        if request.method == "POST":
            body = await _body(request)
            if body is None:
                return PlainTextResponse(TOO_LARGE, 413)
            given = parse_qs(body.decode("latin-1")).get(FIELD, [""])[0]
        else:
            given = request.query_params[FIELD]
        known = token.is_shown_by(request)
        refusal = None if known else token.refusal(given.encode(), request)
        if refusal is not None:
            return refusal
        entered = RedirectResponse(_without_token(request), 303)
        entered.headers["set-cookie"] = _cookie(COOKIE, token.digest, request)
        return entered

    def _kept_out(self, connection: HTTPConnection) -> Response | None:
        """What is answered to who does not know the token."""
        if self._token is None or self._token.is_shown_by(connection):
            return None
        brought = bearer(connection.scope)
        return asking() if brought is None else self._token.refusal(brought, connection)

    def _headed(self, send: Send, scope: Scope) -> Send:
        """Say how browsers are to treat an answer."""

        async def head(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                lasts = scope["path"].startswith(FILES) and message["status"] < 400
                headers["cache-control"] = "private, max-age=3600" if lasts else "no-store"
                headers["content-security-policy"] = self._policy
                # with no referrer at all a browser gives no origin to the form of the token
                headers["referrer-policy"] = "same-origin"
                headers["x-content-type-options"] = "nosniff"
            await send(message)

        return head

    def _with_visitor(self, request: Request, send: Send) -> Send:
        """Tell the page whose request it is; give a new visitor a cookie."""
        visitor = _visitor(request)
        is_new = visitor is None and request.scope["path"] == PAGE
        if is_new:
            visitor = secrets.token_urlsafe(RANDOM_BYTES)
        request.scope.setdefault("state", {})["visitor"] = visitor

        async def give(message: Message) -> None:
            if is_new and message["type"] == "http.response.start":
                cookie = _cookie(VISITOR, str(visitor), request)
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return give


def policy() -> str:
    """What a browser may load and run on the page: nothing that is not the page's own.

    Shiny has a few short scripts in the head of every page, and styles in its elements.
    """
    from shiny.ui import page_fluid

    heads = "".join(str(each.head) for each in page_fluid().get_dependencies())
    scripts = re.findall("<script>(.*?)</script>", heads, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(each.encode()).digest()) for each in scripts]
    known = "".join(f" 'sha256-{each.decode()}'" for each in digests)
    return (
        f"default-src 'none'; script-src 'self'{known}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )


def _names(host: str) -> set[str]:
    """Names by which browsers of this machine reach a loopback address."""
    own = f"[{host}]" if ":" in host else host
    return {"127.0.0.1", "localhost", "[::1]", own.lower()}


def _visitor(connection: HTTPConnection) -> str | None:
    given = connection.cookies.get(VISITOR, "")
    return given if VISITOR_ID.fullmatch(given) else None


def _lacking(request: Request) -> Response | None:
    """What is answered where there is nothing: Shiny would also take files, which no one needs."""
    path = request.scope["path"]
    if path == PAGE or path.startswith((FILES, ENTRIES)):
        return None
    return PlainTextResponse("There is nothing here.", 404)


def _comes_from_another_site(connection: HTTPConnection) -> bool:
    """Whether a browser says so; it leaves out the cookies that are ours."""
    return connection.headers.get("sec-fetch-site") == "cross-site"


def _again(request: Request) -> Response:
    """A page that leads to the page: from there the browser sends the cookies."""
    return HTMLResponse(AGAIN.format(html.escape(_without_token(request))))


def _without_token(request: Request) -> str:
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in pairs if name != FIELD])
    return f"./?{kept}" if kept else "./"


def _cookie(name: str, value: str, request: Request) -> str:
    secure = "; Secure" if request.scope["scheme"] == "https" else ""
    return f"{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}"


async def _body(request: Request) -> bytes | None:
    """The body of a request; None where it is too large."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > LARGEST_BODY:
            return None
    return bytes(content)


def _told_plainly(send: Send) -> Send:
    """Answer for the page where it fails."""
    failed = False

    async def tell(message: Message) -> None:
        nonlocal failed
        if message["type"] == "http.response.start" and message["status"] == 500:
            failed = True
            body = FAILED.encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            headers.append((b"content-length", str(len(body)).encode()))
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        elif not failed:
            await send(message)

    return tell
