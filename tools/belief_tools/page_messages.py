"""What a browser may say to the page over its websocket: what the page's own controls say."""

import datetime
import json
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUTTONS: Final = ("earlier", "later", "newest", "refit", "mark", "view", "anew")
DAYS: Final = ("as_of", "target")
TEXTS: Final = (
    *("symbol", "source", "mode"),
    *("view_low", "view_median", "view_high", "view_confidence", "view_note"),
)
NEEDED: Final = {"symbol", "as_of:shiny.date"}  # to begin with
LONGEST: Final = 10_000  # characters of anything written
MOST: Final = 200  # controls in a message
POLICY_VIOLATION: Final = 1008  # code with which a websocket is closed

log = logging.getLogger("page")  # of others' doing, so the log repeats it seldom


class OnlyItsOwn:
    """Stands before Shiny, which tells the terminal at length of every message it cannot read."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application.

        Args:
            app: of Shiny.
        """
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes; end a websocket that says what the page does not."""
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        messages = Messages()

        async def judged() -> Message:
            message = await receive()
            if message["type"] != "websocket.receive":
                return message
            if messages.are_sound_with(message.get("text") or ""):
                return message
            log.warning("a websocket said what the page does not say, and was closed")
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

        await self._app(scope, judged, send)


class Messages:
    """Judges the messages of one websocket, one after the other."""

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._begun = False

    def are_sound_with(self, text: str) -> bool:
        """Whether the page can go on after a message.

        Args:
            text: of the next message.
        """
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return False
        if not isinstance(message, dict) or set(message) != {"method", "data"}:
            return False
        method, said = message["method"], message["data"]
        if method != ("update" if self._begun else "init") or not isinstance(said, dict):
            return False
        lacks = not self._begun and not NEEDED <= set(said)
        self._begun = True
        return not lacks and len(said) <= MOST and all(map(_is_sound, said, said.values()))


def _is_sound(name: str, value: Any) -> bool:
    judge = KNOWN.get(name)
    if judge is not None:
        return judge(value)
    if name.startswith("came_"):
        return isinstance(value, bool)
    others = name.startswith((".clientdata_", "chat_")) and ":" not in name
    return others and name != "chat_user_input" and _is_plain(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 10**9


def _is_day(value: Any) -> bool:
    if value is None:
        return True
    try:
        return datetime.date.fromisoformat(value).year >= 1900 and len(value) == len("2024-03-01")
    except (TypeError, ValueError):
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST


def _is_plain(value: Any) -> bool:
    number = isinstance(value, int | float) and math.isfinite(value)
    return value is None or number or _is_text(value)


def _is_question(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"text", "attachments", "seq"}:
        return False
    return _is_text(value["text"]) and value["attachments"] == [] and _is_count(value["seq"])


KNOWN: Final[Mapping[str, Callable[[Any], bool]]] = {
    **{f"{name}:shiny.action": _is_count for name in BUTTONS},
    **{f"{name}:shiny.date": _is_day for name in DAYS},
    **dict.fromkeys(TEXTS, _is_text),
    "chat_user_input:shinychat.userInput": _is_question,
}
