"""One door to any server that speaks Chat Completions: hosted, compatible, or in this process.

A call asks for text, for a tool call, or for JSON that follows a schema. What the server makes of
it comes back as a `Reply`, taken literally: nothing here trusts that a forced tool was called.
Whatever goes wrong becomes one line of `LanguageModelError`, and no line ever shows the API key.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from belief.errors import LanguageModelError, UsageError
from belief_tools.failures import Failure, explain, failed_status, one_line
from belief_tools.replies import Reply, in_time, mapping, read_reply, streamed

if TYPE_CHECKING:
    from openai import APIResponse, OpenAI

DEFAULT_MODEL = "gpt-5.4-mini"
"""The hosted model asked when OPENAI_API_KEY is set and neither a server nor a model is named."""

HOSTED_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""What is sent where a server needs no key; the client library insists on sending something."""

DEFAULT_TIMEOUT = 60.0
_LONGEST_PAUSE = 8.0

# In the order in which they are given up: what changes the meaning of a reply comes last.
_OPTIONAL = (
    "stream",
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
_REMEMBERED = frozenset(
    {"stream", "seed", "temperature", "stop", "parallel_tool_calls", "max_tokens"}
)

Message = Mapping[str, Any]
Send = Callable[["OpenAI"], "AbstractContextManager[APIResponse[Any]]"]
Read = Callable[[Iterable[bytes]], dict[str, Any]]


class LanguageModel(Protocol):
    """What the consultation needs of a language model."""

    @property
    def name(self) -> str:
        """What people are shown."""

    @property
    def calls_tools(self) -> bool:
        """Whether offering tools to this model is worth a try."""

    def chat(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        schema: tuple[str, Mapping[str, Any]] | None = None,
        stop: str | None = None,
        max_tokens: int,
        on_text: Callable[[str], None] | None = None,
    ) -> Reply:
        """Ask for the next message, as `Endpoint.chat` does."""


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
        on_text: Callable[[str], None] | None = None,
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
            on_text: the reply is streamed, and this is given all its text so far each time more of
                it comes; from the beginning again when the request had to be repeated.

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
        if on_text is not None:
            body["stream"] = True
        return self._insist(body, on_text)

    def _insist(self, body: dict[str, Any], on_text: Callable[[str], None] | None) -> Reply:
        """Send `body`, giving up one refused parameter at a time."""
        deadline = time.monotonic() + self.timeout
        dropped: list[str] = []
        for name in _OPTIONAL:
            if name in self._refused and _uses(body, name):
                body = _without(body, name, dropped)
        shows = None if on_text is None else self._shows(on_text)
        while True:
            try:
                read = _whole if shows is None else partial(streamed, on_text=shows)
                completion = self._exchange(_completion(body), read, deadline)
                return read_reply(completion, tuple(dropped), self._hidden)
            except Failure as failure:
                refused = _refused_parameter(failure, body)
                if refused is None:
                    raise LanguageModelError(self._explain(failure)) from None
            # Each turn removes a parameter, so this ends.
            body = _without(body, refused, dropped)
            self._refused.update({refused} & _REMEMBERED)

    def model_ids(self) -> tuple[str, ...]:
        """Names of the models that the server lists, in its order.

        Raises:
            LanguageModelError: the server cannot be reached or has no such list.
        """
        try:
            deadline = time.monotonic() + self.timeout
            listed = self._exchange(_model_list, _whole, deadline).get("data")
        except Failure as failure:
            raise LanguageModelError(self._explain(failure)) from None
        rows = listed if isinstance(listed, list) else []
        ids = (row.get("id") for row in rows if isinstance(row, dict))
        return tuple(self._hidden(name) for name in ids if isinstance(name, str) and name)

    def _exchange(self, send: Send, read: Read, deadline: float) -> dict[str, Any]:
        """Send one request, again after a passing failure while there is time, and read the body.

        The library's own retries are off: they honour a Retry-After of two minutes, per retry.
        """
        with self._client() as client:
            attempt = 0
            while True:
                try:
                    left = max(deadline - time.monotonic(), 0.001)
                    return _attempt(client.with_options(timeout=left), send, read, deadline)
                except Failure as failure:
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

    def _hidden(self, text: str) -> str:
        """What a server sends, without the key it was given: it has no place in an answer."""
        return text if self.api_key == NO_KEY else text.replace(self.api_key, "***")

    def _shows(self, on_text: Callable[[str], None]) -> Callable[[str], None]:
        return lambda text: on_text(self._hidden(text))

    def _explain(self, failure: Failure) -> str:
        """One line: where, which model, what happened, what to do; without the key."""
        asked = f"{self.where} (model {self.model!r})"
        return explain(
            failure, asked, None if self.api_key == NO_KEY else self.api_key, self.timeout
        )


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
    shown = f"{one_line(model)[:80]} ({unnamed.where.partition('://')[2]})"
    return Endpoint(base_url, model, key, name=shown, calls_tools=True)


def _check_base_url(base_url: str) -> None:
    # a password has no place in a message
    shown = base_url if "@" not in base_url else "***" + base_url[base_url.rindex("@") :]
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


def _whole(chunks: Iterable[bytes]) -> dict[str, Any]:
    return mapping(b"".join(chunks))


def _attempt(client: "OpenAI", send: Send, read: Read, deadline: float) -> dict[str, Any]:
    """One request; every exception of the libraries below becomes a `Failure`."""
    import httpx2
    import openai

    try:
        with send(client) as response:
            return read(in_time(response.iter_bytes(), deadline))
    except openai.APIStatusError as error:
        raise failed_status(error) from None
    except (openai.APITimeoutError, httpx2.TimeoutException):
        raise Failure("late") from None
    except openai.APIConnectionError as error:
        if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ProxyError):
            raise Failure("unreachable", detail=str(error.__cause__)) from None
        raise Failure("broken", detail=str(error.__cause__ or error)) from None
    except httpx2.HTTPError as error:
        raise Failure("broken", detail=str(error)) from None


def _refused_parameter(failure: Failure, body: Mapping[str, Any]) -> str | None:
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
