"""What a websocket may say to the page, and that nothing else reaches Shiny."""

import asyncio
import json

import pytest

from belief_tools.page_messages import Messages, OnlyItsOwn

BEGINNING = {"symbol": "NVDA", "as_of:shiny.date": "2024-03-01", "mark:shiny.action": 0}
ASKED = {"text": "How sure are you?", "attachments": [], "seq": 1}


def said(method="update", **data):
    return json.dumps({"method": method, "data": {**data}})


def judged(*data, begun=True):
    messages = Messages()
    assert not begun or messages.are_sound_with(said("init", **BEGINNING))
    return [messages.are_sound_with(each) for each in data]


def test_a_browser_is_understood():
    beginning = {**BEGINNING, "target:shiny.date": None, "view_low": "", "mode": "dark"}
    beginning |= {".clientdata_pixelratio": 1.5, ".clientdata_url_hash": "#ask"}
    asked = {"chat_user_input:shinychat.userInput": ASKED, "chat_greeting_dismissed": None}
    later = ({"came_3fa": True}, {"earlier:shiny.action": 3}, {"view_note": "ünder"}, {})
    messages = [said("init", **beginning), *(said(**each) for each in (asked, *later))]
    assert all(judged(*messages, begun=False))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "[" * 100_000,
        "{}",
        '{"method": "init"}',
        '{"method": "update", "data": []}',
        '{"method": "\\u001b[31mevil", "data": {}}',
        '{"method": ["update"], "data": {}}',
        '{"method": "update", "data": {}, "tag": 1}',
        said("init", **BEGINNING),
        said("uploadInit"),
    ],
)
def test_what_is_no_message_of_the_page_is_not(text):
    assert judged(text) == [False]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("as_of:shiny.date", "9999-99-99"),
        ("as_of:shiny.date", "0001-01-01"),
        ("as_of:shiny.date", "20240301"),
        ("as_of:shiny.date", 5),
        ("as_of", "2024-03-01"),
        ("symbol", None),
        ("symbol", ["NVDA"]),
        ("symbol", "N" * 10_001),
        ("mark:shiny.action", -1),
        ("mark:shiny.action", "1"),
        ("view_low", 5),
        ("came_3fa", 1),
        ("x", 1),
        ("x:foo.bar", 1),
        ("chat_user_input", 5),
        ("chat_user_input:shinychat.userInput", "How?"),
        ("chat_user_input:shinychat.userInput", {**ASKED, "text": 5}),
        ("chat_user_input:shinychat.userInput", {**ASKED, "attachments": [{"a": 1}]}),
        ("chat_other", {"a": 1}),
        (".clientdata_x:y", 1),
    ],
)
def test_what_no_control_says_is_not_either(name, value):
    assert judged(said(**{name: value})) == [False]


def test_it_begins_with_what_is_looked_at():
    assert judged(said("update"), begun=False) == [False]
    assert judged(said("init", symbol="NVDA"), begun=False) == [False]
    assert judged(said("init", **BEGINNING), begun=False) == [True]


def test_shiny_hears_of_nothing_else_and_the_websocket_is_closed():
    heard, sent = [], []
    coming = [{"type": "websocket.connect"}]
    coming += [
        {"type": "websocket.receive", "text": text}
        for text in (said("init", **BEGINNING), said(x=1), said(came_3fa=True))
    ]

    async def receive():
        return coming.pop(0)

    async def send(message):
        sent.append(message)

    async def shiny(scope, receive, send):
        while (message := await receive())["type"] != "websocket.disconnect":
            heard.append(message)

    asyncio.run(OnlyItsOwn(shiny)({"type": "websocket"}, receive, send))
    assert [each.get("text") for each in heard] == [None, said("init", **BEGINNING)]
    assert sent == [{"type": "websocket.close", "code": 1008}]
