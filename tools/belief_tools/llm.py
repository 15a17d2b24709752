"""One door to any server that speaks Chat Completions: hosted, compatible, or in this process.

A call asks for text, for a tool call, or for JSON that follows a schema. What the server makes of
it comes back as a `Reply`, taken literally: nothing here trusts that a forced tool was called.
Whatever goes wrong becomes one line of `LanguageModelError`, and no line ever shows the API key.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from belief.errors import LanguageModelError, UsageError

if TYPE_CHECKING:
    from openai import APIResponse, APIStatusError, OpenAI

DEFAULT_MODEL = "gpt-5.4-mini"
"""The hosted model asked when OPENAI_API_KEY is set and neither a server nor a model is named."""

HOSTED_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""What is sent where a server needs no key; the client library insists on sending something."""

DEFAULT_TIMEOUT = 60.0
_MOST_BYTES = 8_000_000
_LONGEST_PAUSE = 8.0
_LONGEST_DETAIL = 240

# In the order in which they are given up: what changes the meaning of a reply comes last.
_OPTIONAL = (
    "seed",
    "temperature",
    "parallel_tool_calls",
    "stop",
    "strict",
    "max_tokens",
    "tool_choice",
    "response_format",
    "tools",
)
# A refusal of these is a property of the model, not of one request: it is remembered.
_REMEMBERED = frozenset({"seed", "temperature", "stop", "parallel_tool_calls", "max_tokens"})

Message = Mapping[str, Any]
Send = Callable[["OpenAI"], "AbstractContextManager[APIResponse[Any]]"]


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


class _Failure(Exception):
    """Why an exchange failed, in words of our own: status, or one of the kinds below."""

    def __init__(
        self,
        kind: str,
        *,
        status: int = 0,
        param: str = "",
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind  # "status", "late", "unreachable", "broken" or "unusable"
        self.status = status
        self.param = param
        self.detail = detail
        self.retry_after = retry_after

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        if self.kind == "status":
            return self.status in (408, 409, 429) or self.status >= 500
        return self.kind in ("unreachable", "broken")


@dataclass(frozen=True)
class Endpoint:
    """A language model on a server.

    Attributes:
        base_url: address of the API, often ending in /v1; None is the hosted service.
        model: the name the server knows the model by.
        api_key: never shown.
        name: what people are shown, such as "SmolLM2-135M-Instruct (local)".
        calls_tools: whether offering tools to this model is worth a try.
        timeout: seconds that one `chat` may take, retries included.
        retries: how often a passing failure (connection, 408, 409, 429, 5xx) is tried again.
        pause: seconds before the first of them; doubles each time.
    """

    base_url: str | None
    model: str
    api_key: str = field(repr=False)
    name: str
    calls_tools: bool
    timeout: float = DEFAULT_TIMEOUT
    retries: int = 2
    pause: float = 0.5
    _refused: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.base_url is not None:
            _check_base_url(self.base_url)
        # A key that cannot be sent as a header would be quoted in the library's own error.
        if not re.fullmatch(r"[!-~]+", self.api_key):
            raise UsageError("OPENAI_API_KEY is empty, or holds a space or a non-ASCII character")

    @property
    def where(self) -> str:
        """The server as shown in messages: scheme, host and port, never a user or password."""
        address = urlsplit(self.base_url or HOSTED_URL)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        schema: tuple[str, Mapping[str, Any]] | None = None,
        stop: str | None = None,
        max_tokens: int,
    ) -> Reply:
        """Ask the model for its next message, as repeatably as the server allows.

        Temperature is 0 and the seed fixed. A parameter that the server refuses by name is left
        out, or renamed, and the request sent again; `Reply.dropped` says which.

        Args:
            messages: the conversation in the form of the Chat Completions API.
            tools: the tools on offer, in the same form; None or empty offers none.
            tool_choice: "auto", "none", "required" or a named tool; only with `tools`.
            schema: name and JSON schema of the JSON text wanted as a reply.
            stop: text at which the reply ends; it is left out.
            max_tokens: where the server cuts the reply off (`finish_reason` "length").

        Raises:
            UsageError: `tool_choice` is given without `tools`.
            LanguageModelError: no usable reply came within `timeout`.
        """
        if tool_choice is not None and not tools:
            raise UsageError(f"tool_choice {tool_choice!r} needs tools to choose from")
        body: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        body |= {"temperature": 0, "seed": 1, "max_tokens": max_tokens}
        if tools:
            body |= {"tools": list(tools), "parallel_tool_calls": False}
        if tool_choice is not None:
            body["tool_choice"] = tool_choice
        if schema is not None:
            body["response_format"] = _response_format(*schema)
        if stop is not None:
            body["stop"] = stop
        return self._insist(body)

    def _insist(self, body: dict[str, Any]) -> Reply:
        """Send `body`, giving up one refused parameter at a time."""
        deadline = time.monotonic() + self.timeout
        dropped: list[str] = []
        for name in _OPTIONAL:
            if name in self._refused and _uses(body, name):
                body = _without(body, name, dropped)
        while True:
            try:
                return _reply(self._exchange(_completion(body), deadline), tuple(dropped))
            except _Failure as failure:
                refused = _refused_parameter(failure, body)
                if refused is None:
                    raise LanguageModelError(self._explain(failure)) from None
            # Each turn removes a parameter, so this ends.
            body = _without(body, refused, dropped)
            self._refused.update({refused} & _REMEMBERED)

    def stream(self, messages: Sequence[Message], *, max_tokens: int) -> Iterator[str]:
        """Ask for the next message and give its text piece by piece, as it comes.

        Args:
            messages: the conversation.
            max_tokens: where the server cuts the reply off.

        Raises:
            LanguageModelError: the reply does not come, or breaks off.
        """
        import openai

        body: dict[str, Any] = {"model": self.model, "messages": list(messages), "stream": True}
        body |= {"temperature": 0, "seed": 1, "max_tokens": max_tokens, "timeout": self.timeout}
        failure, finished = None, False
        try:
            with self._client() as client:
                for chunk in client.chat.completions.create(**body):
                    for choice in chunk.choices[:1]:
                        finished = finished or choice.finish_reason is not None
                        if choice.delta.content:
                            yield choice.delta.content
        except openai.APIError as error:
            failure = _Failure("broken", detail=_one_line(str(error))[:200])
        except (ValueError, AttributeError):
            failure = _Failure("unusable")
        if failure is None and not finished:  # a stream that is cut ends without a word
            failure = _Failure("broken")
        if failure is not None:
            raise LanguageModelError(self._explain(failure))

    def model_ids(self) -> tuple[str, ...]:
        """Names of the models that the server lists, in its order.

        Raises:
            LanguageModelError: the server cannot be reached or has no such list.
        """
        try:
            content = self._exchange(_model_list, time.monotonic() + self.timeout)
            listed = _mapping(content).get("data")
        except _Failure as failure:
            raise LanguageModelError(self._explain(failure)) from None
        rows = listed if isinstance(listed, list) else []
        ids = (row.get("id") for row in rows if isinstance(row, dict))
        return tuple(name for name in ids if isinstance(name, str) and name)

    def _exchange(self, send: Send, deadline: float) -> bytes:
        """Send one request, again after a passing failure while there is time, and read the body.

        The library's own retries are off: they honour a Retry-After of two minutes, per retry.
        """
        with self._client() as client:
            attempt = 0
            while True:
                try:
                    left = max(deadline - time.monotonic(), 0.001)
                    return _attempt(client.with_options(timeout=left), send, deadline)
                except _Failure as failure:
                    pause = failure.retry_after or min(self.pause * 2**attempt, _LONGEST_PAUSE)
                    in_time = time.monotonic() + pause < deadline
                    if not (failure.passing and attempt < self.retries and in_time):
                        raise
                time.sleep(pause)
                attempt += 1

    def _client(self) -> "OpenAI":
        import openai

        # A proxy from the environment cannot reach this computer's own loopback address.
        host = urlsplit(self.where).hostname or ""
        loopback = host in ("localhost", "::1") or host.startswith("127.")
        return openai.OpenAI(
            api_key=self.api_key,
            base_url=self.base_url or HOSTED_URL,
            max_retries=0,
            http_client=openai.DefaultHttpxClient(trust_env=not loopback),
        )

    def _explain(self, failure: _Failure) -> str:
        """One line: where, which model, what happened, what to do; without the key."""
        asked = f"{self.where} (model {self.model!r})"
        hidden = failure.detail
        if self.api_key != NO_KEY:
            hidden = hidden.replace(self.api_key, "***")
        told = f": {_one_line(hidden)}" if hidden else ""
        if failure.kind == "status":
            line = _explain_status(asked, failure.status, told)
        elif failure.kind == "late":
            line = f"{asked} did not answer within {self.timeout:g} s; try again, or another model"
        elif failure.kind == "unreachable":
            line = (
                f"cannot reach {asked}{told}; start that server, correct OPENAI_BASE_URL, "
                f"or check the connection"
            )
        elif failure.kind == "broken":
            line = f"{asked} broke off its answer{told}; try again"
        else:
            line = f"{asked} answered without a usable reply{told}"
        return line


def endpoint_from_environment(environ: Mapping[str, str]) -> Endpoint | None:
    """The language model that OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL name.

    An empty value counts as not set. A server without a model named is asked for its list and
    the first is taken; the hosted service without a model named gets `DEFAULT_MODEL`.

    Returns:
        None when neither a server nor a key is set: the caller then uses the local model.

    Raises:
        UsageError: OPENAI_BASE_URL is not a web address, or OPENAI_API_KEY cannot be sent.
        LanguageModelError: the server's list of models is needed, and cannot be had.
    """
    base_url = environ.get("OPENAI_BASE_URL", "").strip() or None
    key = environ.get("OPENAI_API_KEY", "").strip()
    model = environ.get("OPENAI_MODEL", "").strip()
    if base_url is None and not key:
        return None
    if base_url is None:
        model = model or DEFAULT_MODEL
    named = _endpoint(base_url, model or "not named", key or NO_KEY)
    if model:
        return named
    try:
        listed = named.model_ids()
    except LanguageModelError as error:
        raise LanguageModelError(
            f"{error}; OPENAI_MODEL is not set, so the server was asked for its models"
        ) from None
    if not listed:
        raise LanguageModelError(f"{named.where} lists no models; name one in OPENAI_MODEL")
    return _endpoint(base_url, listed[0], key or NO_KEY)


def _endpoint(base_url: str | None, model: str, key: str) -> Endpoint:
    unnamed = Endpoint(base_url, model, key, name=model, calls_tools=True)
    # the name may be the server's own word, and it is shown in the receipt
    shown = f"{_one_line(model)[:80]} ({unnamed.where.partition('://')[2]})"
    return Endpoint(base_url, model, key, name=shown, calls_tools=True)


def _check_base_url(base_url: str) -> None:
    shown = re.sub(r"//.*@", "//", base_url)  # a password has no place in a message
    try:
        address = urlsplit(base_url)
        usable = address.scheme in ("http", "https") and bool(address.hostname)
        usable = usable and address.port != 0 and re.fullmatch(r"[!-~]+", base_url) is not None
    except ValueError:  # a port that is no number, a bracket left open
        usable = False
    if not usable:
        raise UsageError(
            f"OPENAI_BASE_URL {shown!r} is not a web address; "
            f"it starts with http:// or https://, as in http://127.0.0.1:8080/v1"
        )


def _response_format(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    inner = {"name": name, "strict": True, "schema": dict(schema)}
    return {"type": "json_schema", "json_schema": inner}


def _completion(body: dict[str, Any]) -> Send:
    return lambda client: client.chat.completions.with_streaming_response.create(**body)


def _model_list(client: "OpenAI") -> "AbstractContextManager[APIResponse[Any]]":
    return client.models.with_streaming_response.list()


def _attempt(client: "OpenAI", send: Send, deadline: float) -> bytes:
    """One request; every exception of the libraries below becomes a `_Failure`."""
    import httpx2
    import openai

    try:
        with send(client) as response:
            return _read(response.iter_bytes(), deadline)
    except openai.APIStatusError as error:
        raise _failed_status(error) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        raise _Failure("late") from None
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ProxyError):
            raise _Failure("unreachable", detail=str(error.__cause__)) from None
        raise _Failure("broken", detail=str(error.__cause__ or error)) from None
    except httpx2.HTTPError as error:
        raise _Failure("broken", detail=str(error)) from None


def _read(chunks: Iterable[bytes], deadline: float) -> bytes:
    """The whole body, if it ends in time and is of a sane size.

    The library's timeout is for each read, so a body that drips would go on for ever.
    """
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if time.monotonic() > deadline:
            raise _Failure("late")
        if len(content) > _MOST_BYTES:
            raise _Failure("unusable", detail=f"more than {_MOST_BYTES:,} bytes")
    return bytes(content)


def _failed_status(error: "APIStatusError") -> _Failure:
    return _Failure(
        "status",
        status=error.status_code,
        param=error.param if isinstance(error.param, str) else "",
        detail=_told(error.body),
        retry_after=_seconds(error.response.headers.get("retry-after")),
    )


def _seconds(header: str | None) -> float | None:
    """A Retry-After in seconds; the form with a date is rare and counts as not given."""
    return float(header) if header and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", header) else None


def _told(body: object) -> str:
    """The sentence in the body of an error, wherever this server puts it."""
    if not isinstance(body, Mapping):
        return "" if body is None else str(body)
    for key in ("message", "detail", "error"):
        if body.get(key):
            return _told(body[key])
    return ""


def _refused_parameter(failure: _Failure, body: Mapping[str, Any]) -> str | None:
    """The parameter we can do without that a 400 or 422 names, if it names one."""
    if failure.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        return None
    for text in (failure.param, failure.detail):
        for name in _OPTIONAL:
            if _uses(body, name) and re.search(rf"\b{name}\b", text):
                return name
    return None


def _uses(body: Mapping[str, Any], name: str) -> bool:
    return _lenient(_formats(body)) != _formats(body) if name == "strict" else name in body


def _formats(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of `body` in which a schema may be marked strict."""
    return {name: body[name] for name in ("tools", "response_format") if name in body}


def _without(body: Mapping[str, Any], name: str, dropped: list[str]) -> dict[str, Any]:
    """`body` without one parameter; what is lost by it is added to `dropped`."""
    if name == "max_tokens":  # newer models know the same limit by another name
        kept = {key: value for key, value in body.items() if key != name}
        return kept | {"max_completion_tokens": body[name]}
    if name == "strict":
        dropped.append(name)
        return {**body, **_lenient(_formats(body))}
    gone = [name]
    if name == "tools":  # the others make no sense alone
        gone += [key for key in ("tool_choice", "parallel_tool_calls") if key in body]
    dropped.extend(gone)
    return {key: value for key, value in body.items() if key not in gone}


def _lenient(formats: Mapping[str, Any]) -> dict[str, Any]:
    """Tools and response format that ask for their schema without insisting on it."""
    loose = json.loads(json.dumps(formats))
    for tool in loose.get("tools", []):
        tool.get("function", {}).pop("strict", None)
    loose.get("response_format", {}).get("json_schema", {}).pop("strict", None)
    return dict(loose)


def _reply(content: bytes, dropped: tuple[str, ...]) -> Reply:
    """The first choice of a completion, read without trusting its shape."""
    completion = _mapping(content)
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise _Failure("unusable", detail=_told(completion.get("error")) or "no message in it")
    usage = completion.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    return Reply(
        text=_text(message.get("content") or message.get("refusal")),
        tool_calls=_tool_calls(message.get("tool_calls")),
        finish_reason=str(choice.get("finish_reason") or ""),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        completion_tokens=_count(usage.get("completion_tokens")),
        dropped=dropped,
    )


def _mapping(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise _Failure("unusable", detail="not JSON") from None
    if not isinstance(value, dict):
        raise _Failure("unusable", detail="not a JSON object")
    return value


def _text(content: object) -> str:
    """Plain text; some servers send a list of parts. Half a surrogate pair cannot be printed."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    return content.encode("utf-8", "replace").decode("utf-8")


def _tool_calls(listed: object) -> tuple[ToolCall, ...]:
    if not listed:
        return ()
    if not isinstance(listed, list):
        raise _Failure("unusable", detail="tool_calls is not a list")
    return tuple(_tool_call(number, call) for number, call in enumerate(listed))


def _tool_call(number: int, call: object) -> ToolCall:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict):
        raise _Failure("unusable", detail="a tool call without a function")
    arguments = function.get("arguments")
    if not isinstance(arguments, str):  # some servers parse them before sending
        arguments = json.dumps({} if arguments is None else arguments)
    identity = _text(call.get("id")) or f"call_{number}"
    return ToolCall(identity, _text(function.get("name")), _text(arguments))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _explain_status(asked: str, status: int, told: str) -> str:
    # What a server says about a key may hold the key, in whole or in part: it is not repeated.
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"{asked} refuses the key (HTTP {status}); set OPENAI_API_KEY to one it accepts"
    if status == HTTPStatus.NOT_FOUND:
        return (
            f"{asked} knows no such model or address (HTTP 404){told}; check OPENAI_MODEL, and "
            f"OPENAI_BASE_URL, which often ends in /v1"
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return f"{asked} is over its rate limit or quota (HTTP 429){told}; try again later"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"{asked} failed (HTTP {status}){told}; try again later"
    return f"{asked} refused the request (HTTP {status}){told}"


def _one_line(text: str) -> str:
    """`text` without line breaks or control characters, and not endless."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(printable.split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 3] + "..."
