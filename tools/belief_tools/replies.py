"""What a server sends back, read without trusting its shape: whole, or as a stream of pieces."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from belief_tools.failures import Failure, told

_MOST_BYTES = 8_000_000
_MOST_COUNTED = 1_000_000_000  # tokens; a server that says more does not count
_MOST_CALLS = 8  # in one reply; one is wanted


@dataclass(frozen=True)
class ToolCall:
    """A call the model asks for; `arguments` is its raw text, which may not even be JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Reply:
    """What a model answered; `dropped` names the parameters the server would not take."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    dropped: tuple[str, ...] = ()


def in_time(chunks: Iterable[bytes], deadline: float) -> Iterator[bytes]:
    """Pass a body on as long as it comes in time and is of a sane size.

    The client library's timeout is for each read, so a body that drips would go on for ever.

    Raises:
        Failure: it is late, or endless.
    """
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if time.monotonic() > deadline:
            raise Failure("late")
        if size > _MOST_BYTES:
            raise Failure("unusable", detail=f"more than {_MOST_BYTES:,} bytes")
        yield chunk


def mapping(content: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        Failure: it is none.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Failure("unusable", detail="not JSON") from None
    if not isinstance(value, dict):
        raise Failure("unusable", detail="not a JSON object")
    return value


def streamed(chunks: Iterable[bytes], on_text: Callable[[str], None]) -> dict[str, Any]:
    """Put a stream of pieces together; a server that sends the whole at once is taken too.

    Args:
        chunks: the body.
        on_text: is given all the text there is so far, each time more of it comes.

    Returns:
        The completion, as if it had not been streamed.

    Raises:
        Failure: the stream breaks off, or is none.
    """
    text, finish_reason = "", ""
    for piece in _pieces(iter(chunks)):
        if piece.get("error"):
            raise Failure("broken", detail=told(piece["error"]))
        choice = _first(piece)
        if isinstance(choice.get("message"), dict):  # not streamed after all
            return piece
        delta = choice.get("delta")
        delta = delta if isinstance(delta, dict) else {}
        added = _text(delta.get("content") or delta.get("refusal"))
        if added:
            text += added
            on_text(text)
        if choice.get("finish_reason"):
            finish_reason = str(choice["finish_reason"])
            break
    if not finish_reason:  # a stream that is cut ends without a word
        raise Failure("broken")
    return {"choices": [{"message": {"content": text}, "finish_reason": finish_reason}]}


def _pieces(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a body: those of its data lines, or the one that it is."""
    body = b""
    while not body.strip():
        chunk = next(chunks, None)
        if chunk is None:
            return
        body += chunk
    if body.lstrip().startswith(b"{"):
        yield mapping(body + b"".join(chunks))
        return
    for line in _lines(body, chunks):
        if line.startswith(b"data:"):
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            yield mapping(data)


def _lines(pending: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        *lines, pending = pending.split(b"\n")
        yield from lines
        chunk = next(chunks, None)
        if chunk is None:
            yield pending
            return
        pending += chunk


def read_reply(
    completion: Mapping[str, Any],
    dropped: tuple[str, ...],
    hidden: Callable[[str], str] = lambda text: text,
) -> Reply:
    """The first choice of a completion.

    Args:
        completion: as the server sent it.
        dropped: what it would not take.
        hidden: takes out of a text what nobody may see.

    Raises:
        Failure: there is no message in it.
    """
    choice = _first(completion)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Failure("unusable", detail=told(completion.get("error")) or "no message in it")
    usage = completion.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=hidden(_text(message.get("content") or message.get("refusal"))),
        tool_calls=_tool_calls(message.get("tool_calls"), hidden),
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        dropped=dropped,
    )


def _first(completion: Mapping[str, Any]) -> dict[str, Any]:
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _text(content: object) -> str:
    """Plain text; some servers send a list of parts. Half a surrogate pair cannot be printed."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    return content.encode("utf-8", "replace").decode("utf-8")


def _tool_calls(listed: object, hidden: Callable[[str], str]) -> tuple[ToolCall, ...]:
    if not listed:
        return ()
    if not isinstance(listed, list):
        raise Failure("unusable", detail="tool_calls is not a list")
    calls = listed[:_MOST_CALLS]
    return tuple(_tool_call(number, call, hidden) for number, call in enumerate(calls))


def _tool_call(number: int, call: object, hidden: Callable[[str], str]) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise Failure("unusable", detail="a tool call without a function")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):  # some servers parse them before sending
        arguments = json.dumps({} if arguments is None else arguments)
    identity = _text(call.get("id")) or f"call_{number}"
    return ToolCall(identity, hidden(_text(function.get("name"))), hidden(_text(arguments)))


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < _MOST_COUNTED else None
