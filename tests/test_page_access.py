"""The page's door: who is let in, who is told apart, and what a request may be."""

import asyncio
import base64
import contextlib
import hashlib
import html
import json
import re
import socket

import pytest
from doors import in_time, serving, websocket
from guarded_page import (
    ANY_VISITOR,
    BEARER,
    SECRET,
    ask,
    cookies_of,
    guarded,
    port_of,
    refused,
)
from shiny import App, render, ui

from belief_tools import page_access
from belief_tools.http_door import LARGEST_BODY
from belief_tools.page_access import PageAccess

HANDSHAKE = (
    "GET /websocket/ HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def url():
    with guarded() as at:
        yield at


@pytest.fixture(scope="module")
def locked():
    with guarded(token=SECRET) as at:
        yield at


# Who asks


@pytest.mark.parametrize(
    ("host", "is_let_in"),
    [
        ("127.0.0.1", True),
        ("LocalHost:80", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example:8000", False),
        ("localhost:80:80", False),
        ("localhost:80@evil.example", False),
        ("127.0.0.2", False),
        ("", False),
    ],
)
def test_at_a_loopback_address_only_names_of_this_machine_are_answered(url, host, is_let_in):
    answer = ask(url, headers={"Host": host})
    assert answer.status_code == (200 if is_let_in else 421)
    assert ("visitor" in answer.text) == is_let_in
    handshake = HANDSHAKE.format(host, ANY_VISITOR["Cookie"])
    with socket.create_connection(("127.0.0.1", int(port_of(url))), timeout=10) as connection:
        connection.sendall(handshake.encode())
        status = connection.recv(1000).split()[1]
    assert status == (b"101" if is_let_in else b"403")


def test_the_address_it_listens_at_is_such_a_name_too():
    with guarded("127.0.0.2") as url:
        assert ask(url, headers={"Host": "127.0.0.2:8000"}).status_code == 200


@pytest.mark.parametrize("host", ["belief.example", "203.0.113.7:8000", "[2001:db8::1]"])
def test_elsewhere_the_name_is_the_visitors_to_choose(host):
    with guarded("0.0.0.0", SECRET) as url:
        assert ask(url, headers={"Host": host, **BEARER}).status_code == 200


def test_a_host_that_would_change_the_path_is_refused():
    with guarded("0.0.0.0", SECRET) as url:
        for host in ("x/?", "x/lib/?", "x#"):
            answer = ask(f"{url}session/1/upload/2", headers={"Host": host, **BEARER})
            assert answer.status_code == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1", "http://localhost:{port}", "file://"],
)
def test_another_site_gets_nothing(locked, origin):
    origin = origin.format(port=port_of(locked))
    for method in ("GET", "POST"):
        answer = ask(locked, method, headers={"Origin": origin, **BEARER}, data={"token": SECRET})
        assert answer.status_code == 403 and not cookies_of(answer)
    assert refused(locked, origin, **BEARER, **ANY_VISITOR)


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_the_own_site_is_let_in(locked, scheme):
    origin = f"{scheme}://127.0.0.1:{port_of(locked)}"
    assert ask(locked, headers={"Origin": origin, **BEARER}).status_code == 200
    assert not refused(locked, origin, **BEARER, **ANY_VISITOR)


def test_a_link_of_another_site_leads_to_the_page_by_a_page_that_changes_nothing(locked):
    """A browser leaves the cookies out there: no new visitor may come of it."""
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    asked = f'{locked}?symbol=NVDA&x="><script>'
    answer = ask(asked, headers=sent)
    assert answer.status_code == 200 and not cookies_of(answer) and "visitor" not in answer.text
    target = html.unescape(re.search(r'content="0;url=([^"]*)"', answer.text)[1])
    assert target == "./?symbol=NVDA&x=%22%3E%3Cscript%3E"
    assert ask(asked, headers={**sent, "Sec-Fetch-Site": "same-origin"}).status_code == 401


@pytest.mark.parametrize("kind", ["image", "iframe", "script", "empty", "websocket"])
def test_another_site_has_nothing_of_this_as_a_part_of_its_own(locked, kind):
    """Nor does it guess in the name of who looks at it."""
    sent = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": kind}
    for asked in (locked, f"{locked}?token={SECRET}", f"{locked}lib/script.js"):
        answer = ask(asked, headers=sent | BEARER)
        assert answer.status_code == 403 and not cookies_of(answer)
    assert refused(locked, **sent, **BEARER, **ANY_VISITOR)


# Visitors


def test_each_browser_is_a_visitor_of_its_own_for_requests_and_websockets(url):
    ids = set()
    for _ in range(50):
        answer = ask(url)
        (said,) = answer.headers.get_list("set-cookie")
        visitor = cookies_of(answer)["belief_visitor"]
        assert said.split("; ")[1:] == ["Path=/", "HttpOnly", "SameSite=Strict"]
        assert re.fullmatch("[A-Za-z0-9_-]{43}", visitor)  # 256 bits
        assert answer.json()["visitor"] == visitor
        ids.add(visitor)
    assert len(ids) == 50
    cookie = {"Cookie": f"belief_visitor={visitor}"}
    again = ask(url, headers=cookie)
    assert again.json()["visitor"] == visitor and not cookies_of(again)
    with websocket(url, **cookie) as said:
        assert said.recv(timeout=5) == visitor


@pytest.mark.parametrize(
    "given", ["", "x", "v" * 42, "v" * 44, "v" * 42 + "é", "v" * 42 + "/", "v" * 43 + "."]
)
def test_a_malformed_id_is_replaced_and_opens_no_websocket(url, given):
    cookie = {"Cookie": f"belief_visitor={given}".encode("latin-1")}
    answer = ask(url, headers=cookie)
    assert answer.json()["visitor"] == cookies_of(answer)["belief_visitor"] != given
    assert refused(url, Cookie=cookie["Cookie"].decode("latin-1"))


def test_without_an_id_there_is_no_websocket(url):
    assert refused(url)


def test_files_make_no_visitor(url):
    assert not cookies_of(ask(f"{url}lib/script.js"))


def test_a_visitor_has_so_many_websockets_and_no_more(url, monkeypatch):
    monkeypatch.setattr(page_access, "MOST_WEBSOCKETS", 3)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(websocket(url, **ANY_VISITOR)) for _ in range(3)]
        assert refused(url, **ANY_VISITOR)
        assert not refused(url, Cookie=f"belief_visitor={'w' * 43}")
        held[0].close()
        assert in_time(lambda: not refused(url, **ANY_VISITOR))


# What a request may be


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "lib/script.js", 200),
        ("HEAD", "lib/script.js", 200),
        ("POST", "lib/script.js", 405),
        ("POST", "", 405),
        ("PUT", "", 405),
        ("DELETE", "lib/script.js", 405),
        ("OPTIONS", "", 405),
        ("GET", "websocket/", 404),
        ("POST", "session/1/upload/2", 404),
        ("GET", "session/1/download/2", 404),
        ("GET", "session/1/dynamic_route/2", 404),
        ("GET", "session/1/dataobj/shinytest", 404),
        ("GET", "lib/../session/1/download/2", 404),
        ("GET", "lib/%2e%2e/session/1/download/2", 404),
        ("GET", "/session/1/download/2", 404),
        ("GET", "__shared/shiny.js", 404),
        ("GET", "nothing", 404),
        ("GET", "favicon.ico", 204),
    ],
)
def test_only_the_page_and_its_files_are_served(url, method, path, status):
    answer = ask(f"{url}{path}", method)
    assert answer.status_code == status and "reached" not in answer.text
    assert "nosniff" in answer.headers["x-content-type-options"]


def test_no_other_websocket_is_opened(url):
    assert refused(f"{url}autoreload/", **ANY_VISITOR)


def test_the_icon_needs_no_token(locked):
    assert ask(f"{locked}favicon.ico").status_code == 204


def test_a_body_that_is_too_large_is_refused_unread(locked):
    at_most = b"token=".ljust(LARGEST_BODY, b"x")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ask(locked, "POST", content=at_most, headers=form).status_code == 401
    assert ask(locked, "POST", content=at_most + b"x", headers=form).status_code == 413
    parts = (b"x" * 1000 for _ in range(LARGEST_BODY))
    assert ask(locked, "POST", content=parts, headers=form).status_code == 413
    assert ask(locked, content=at_most + b"x", headers=BEARER).status_code == 413
    with_length = f"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {'9' * 19}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(port_of(locked))), timeout=10) as connection:
        connection.sendall(with_length.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")
    assert ask(locked, headers=BEARER).status_code == 200


def test_who_leaves_in_the_middle_of_a_form_is_no_error(locked, caplog):
    begun = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\ntok"
    with socket.create_connection(("127.0.0.1", int(port_of(locked))), timeout=10) as connection:
        connection.sendall(begun)
    assert ask(locked).status_code == 401
    assert "Traceback" not in caplog.text and not caplog.records


def test_every_answer_says_how_browsers_are_to_treat_it(locked):
    answers = {
        "page": ask(locked, headers=BEARER),
        "form": ask(locked),
        "lib": ask(f"{locked}lib/script.js", headers=BEARER),
        "no lib": ask(f"{locked}lib/no.js", headers=BEARER),
        "icon": ask(f"{locked}favicon.ico"),
        "foreign": ask(locked, headers={"Origin": "null"}),
        "failed": ask(f"{locked}?fail=1", headers=BEARER),
    }
    for name, answer in answers.items():
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src 'self' " in policy and "unsafe-eval" not in policy
        assert "'unsafe-inline'" not in policy.replace("style-src 'self' 'unsafe-inline'", "")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        kept = "private, max-age=3600" if name == "lib" else "no-store"
        assert answer.headers["cache-control"] == kept
    assert answers["page"].status_code == 200 and answers["failed"].status_code == 500


def test_a_page_that_fails_says_so_plainly(url):
    answer = ask(f"{url}?fail=1")
    assert (answer.status_code, answer.text) == (500, page_access.FAILED)
    assert ask(url).status_code == 200


# Shiny itself


@pytest.fixture(scope="module")
def shiny():
    def served(request):
        return ui.page_fluid(ui.output_text("who"), ui.chat_ui("chat", show_history=False))

    def server(input, output, session):
        @render.text
        def who():
            return session.http_conn.scope["state"]["visitor"]

    with serving(PageAccess(App(served, server), host="127.0.0.1", token=None)) as at:
        yield at


def test_a_session_of_shiny_knows_its_visitor(shiny):
    visitor = cookies_of(ask(shiny))["belief_visitor"]
    begin = {"method": "init", "data": {".clientdata_output_who_hidden": False}}
    origin = shiny.rstrip("/")
    with websocket(shiny, origin, Cookie=f"belief_visitor={visitor}") as said:
        said.send(json.dumps(begin))
        shown = {}
        while "who" not in shown:
            shown |= json.loads(said.recv(timeout=10)).get("values", {})
    assert shown["who"] == visitor


def test_the_policy_lets_the_scripts_of_shiny_run_and_its_files_are_found(shiny):
    page = ask(shiny)
    sources = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]*)"', page.text)
    assert len(sources) > 5 and all(
        ask(f"{shiny}{each}").status_code == 200 and each.startswith("lib/") for each in sources
    )
    inline = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    assert inline
    for script in inline:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in page.headers["content-security-policy"]


def test_other_scopes_go_through():
    """Shiny begins and ends by one of them."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    access = PageAccess(app, host="127.0.0.1", token=SECRET)
    asyncio.run(access({"type": "lifespan"}, None, None))
    assert seen == ["lifespan"]
