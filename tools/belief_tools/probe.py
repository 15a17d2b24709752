"""What the configured language model can do, found out by asking it."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from belief.errors import LanguageModelError
from belief_tools.forecast_tool import DEFINITION, NAME

if TYPE_CHECKING:
    from belief_tools.llm import Endpoint, Message

QUESTION: Final = "What will Nvidia's stock price be on 2030-03-29? Use the tool."
SCHEMA: Final = {
    "type": "object",
    "properties": {"price": {"type": "number"}},
    "required": ["price"],
    "additionalProperties": False,
}
TOKENS: Final = 120


@dataclass(frozen=True)
class Finding:
    """One ability: its name, whether it is there, what was seen, and what to do about it."""

    name: str
    works: bool
    seen: str
    advice: str = ""


def probe(endpoint: "Endpoint") -> list[Finding]:
    """Ask a language model for everything the consultation can use.

    Args:
        endpoint: the model.

    Returns:
        What it can do; where it cannot be reached, that alone.
    """
    reachable = _reachable(endpoint)
    if not reachable.works:
        return [reachable]
    tries: list[tuple[str, Callable[[Endpoint], Finding]]] = [
        ("tool calls", _tool_calls),
        ("forced tool choice", _forced_choice),
        ("JSON schema", _json_schema),
        ("streaming", _streaming),
    ]
    found = [reachable]
    for name, ask in tries:
        try:
            found.append(ask(endpoint))
        except LanguageModelError as error:
            found.append(Finding(name, False, str(error), "the consultation does without it"))
    return found


def _asked(text: str) -> "list[Message]":
    return [{"role": "user", "content": text}]


def _reachable(endpoint: "Endpoint") -> Finding:
    begun = time.perf_counter()
    try:
        reply = endpoint.chat(_asked("Say OK."), max_tokens=20)
    except LanguageModelError as error:
        return Finding("reachable", False, str(error), "set OPENAI_BASE_URL and OPENAI_API_KEY")
    seconds = time.perf_counter() - begun
    tokens = f", {reply.completion_tokens} tokens" if reply.completion_tokens else ""
    return Finding("reachable", True, f"{endpoint.name} answered in {seconds:.1f} s{tokens}")


def _tool_calls(endpoint: "Endpoint") -> Finding:
    reply = endpoint.chat(_asked(QUESTION), tools=[DEFINITION], max_tokens=TOKENS)
    called = bool(reply.tool_calls)
    seen = f"called {reply.tool_calls[0].name}" if called else "answered without a call"
    return Finding(
        "tool calls", called, seen, "" if called else "the program asks for JSON instead"
    )


def _forced_choice(endpoint: "Endpoint") -> Finding:
    forced: dict[str, Any] = {"type": "function", "function": {"name": NAME}}
    reply = endpoint.chat(
        _asked("Good morning."), tools=[DEFINITION], tool_choice=forced, max_tokens=TOKENS
    )
    called = any(call.name == NAME for call in reply.tool_calls)
    seen = "honoured" if called else "ignored: no call came"
    advice = "" if called else "the program does not rely on it; it consults by itself if need be"
    return Finding("forced tool choice", called, seen, advice)


def _json_schema(endpoint: "Endpoint") -> Finding:
    reply = endpoint.chat(
        _asked("Name a price as JSON."), schema=("price", SCHEMA), max_tokens=TOKENS
    )
    try:
        price = json.loads(reply.text)["price"]
        works = isinstance(price, int | float) and "response_format" not in reply.dropped
    except (ValueError, KeyError, TypeError):
        works = False
    advice = "" if works else "predictions may be missing; other servers keep to a schema"
    return Finding("JSON schema", works, "kept to" if works else "not kept to", advice)


def _streaming(endpoint: "Endpoint") -> Finding:
    begun = time.perf_counter()
    arrived: list[float] = []
    endpoint.chat(
        _asked("Count from one to ten."),
        max_tokens=60,
        on_text=lambda _: arrived.append(time.perf_counter() - begun),
    )
    seconds = time.perf_counter() - begun
    works = len(arrived) > 1
    first = arrived[0] if arrived else seconds
    seen = f"{len(arrived)} pieces in {seconds:.1f} s, the first after {first:.1f} s"
    return Finding("streaming", works, seen, "" if works else "answers appear all at once")
