"""A loopback server that plays language models, so that tests talk real HTTP to a real client.

    with chat_server([tool_call("forecast_price", {"symbol": "NVDA"}), text("$834")]) as server:
        server.endpoint().chat(...)
        assert server.requests[0].forced_tool == "forecast_price"

A script is a list of answers, given in turn, or a function from a request to an answer.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from belief_tools.llm import Endpoint

MODEL = "test-model"
KEY = "sk-test-7f3a9c"
_LONGEST_WAIT = 8.0  # seconds after which even a stalled answer ends, so that no test hangs


@dataclass(frozen=True)
class Request:
    """What the client sent."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return list(self.body.get("messages", []))

    @property
    def tool_results(self) -> list[str]:
        """Contents of the tool messages in the conversation, oldest first."""
        return [str(m["content"]) for m in self.messages if m.get("role") == "tool"]

    @property
    def forced_tool(self) -> str | None:
        """The tool that must be called: the one named, or the only one when one is required."""
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict):
            return str(choice["function"]["name"])
        if choice == "required":
            return str(self.body["tools"][0]["function"]["name"])
        return None

    @property
    def schema_name(self) -> str | None:
        """Name of the JSON schema the reply must follow."""
        wanted = self.body.get("response_format") or {}
        return wanted["json_schema"]["name"] if wanted.get("type") == "json_schema" else None


@dataclass(frozen=True)
class Answer:
    """What the server sends, and where it goes wrong on the way."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: str = "whole"  # "cut": closes halfway; "stall": says no more; "drip": a byte at a time
    silent: bool = False  # sends nothing at all, not even headers
    pause: float = 0.0  # seconds before each server-sent event


Script = Sequence[Answer] | Callable[[Request], Answer]


# Answers of a model


def text(content: str | None, *, finish_reason: str = "stop") -> Answer:
    return message({"content": content}, finish_reason=finish_reason)


def structured(value: object) -> Answer:
    return text(json.dumps(value))


def cut_off(content: str) -> Answer:
    """Text that ran into the token limit."""
    return text(content, finish_reason="length")


def tool_call(
    name: str, arguments: Mapping[str, Any] | str, *, content: str | None = None
) -> Answer:
    """One call; a string of arguments is sent as it stands, valid JSON or not."""
    return tool_calls([(name, arguments)], content=content)


def tool_calls(
    calls: Sequence[tuple[str, Mapping[str, Any] | str]], *, content: str | None = None
) -> Answer:
    listed = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": name,
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments),
            },
        }
        for number, (name, arguments) in enumerate(calls, start=1)
    ]
    return message({"content": content, "tool_calls": listed}, finish_reason="tool_calls")


def message(fields: Mapping[str, Any], *, finish_reason: str = "stop") -> Answer:
    """A completion whose message has these fields."""
    whole = {"role": "assistant", **fields}
    return completion([{"index": 0, "message": whole, "finish_reason": finish_reason}])


def stream(*pieces: str, finish_reason: str | None = "stop", done: bool = True) -> Answer:
    """A text in pieces, as server-sent events; without a finish reason it just ends."""
    deltas: list[tuple[dict[str, Any], str | None]] = [({"role": "assistant"}, None)]
    deltas += [({"content": piece}, None) for piece in pieces]
    deltas += [({}, finish_reason)] if finish_reason else []
    chunks = [{"index": 0, "delta": delta, "finish_reason": why} for delta, why in deltas]
    about = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": MODEL}
    lines = [f"data: {json.dumps({**about, 'choices': [chunk]})}\n\n" for chunk in chunks]
    lines += ["data: [DONE]\n\n"] if done else []
    return events("".join(lines))


def events(body: str) -> Answer:
    """Server-sent events as they stand."""
    return Answer(body.encode(), headers={"content-type": "text/event-stream"})


def paced(answer: Answer, pause: float) -> Answer:
    """The same answer, one server-sent event after the other."""
    return replace(answer, pause=pause)


def completion(choices: Sequence[object]) -> Answer:
    return raw(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": list(choices),
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
    )


def models_list(*ids: str) -> Answer:
    return raw({"object": "list", "data": [{"id": name, "object": "model"} for name in ids]})


# Answers of a server in trouble


def raw(content: bytes | object, *, status: int = 200, **headers: str) -> Answer:
    """Bytes as they stand, anything else as JSON; a header retry_after="1" is Retry-After."""
    sent = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Answer(sent, status, {name.replace("_", "-"): value for name, value in headers.items()})


def failed(status: int, told: str, *, param: str | None = None, **headers: str) -> Answer:
    """An error as hosted services word it."""
    error = {"message": told, "type": "invalid_request_error", "param": param, "code": None}
    return raw({"error": error}, status=status, **headers)


def refuses_key(request: Request) -> Answer:
    """A 401 that repeats the key."""
    key = request.headers.get("authorization", "").removeprefix("Bearer ")
    return failed(401, f"Incorrect API key provided: {key}.", param=key)


def without_choices() -> Answer:
    return completion([])


def not_json() -> Answer:
    return raw(b"<html>Service portal</html>")


def silence() -> Answer:
    """The request is taken and nothing ever comes back."""
    return Answer(silent=True)


def stall(content: bytes = b'{"choices": [') -> Answer:
    """Headers and the first bytes, then nothing."""
    return Answer(content, ending="stall")


def drip() -> Answer:
    """A body that goes on and on, a byte every few hundredths of a second."""
    return Answer(b" ", ending="drip")


def cut(answer: Answer) -> Answer:
    """The connection closes in the middle of the answer."""
    return Answer(answer.content, answer.status, answer.headers, ending="cut")


def hang_up() -> Answer:
    """The connection closes before a single byte."""
    return Answer(silent=True, ending="cut")


# Scripts


def well_behaved(
    *, arguments: Mapping[str, Any], replies: Mapping[str, object], says: str
) -> Callable[[Request], Answer]:
    """A model that does as it is told.

    Args:
        arguments: of the tool it is forced to call.
        replies: what it answers to each JSON schema, by the name of the schema.
        says: its answer otherwise.
    """

    def answer(request: Request) -> Answer:
        if request.forced_tool is not None:
            return tool_call(request.forced_tool, arguments)
        if request.schema_name is not None:
            if request.schema_name not in replies:
                return failed(500, f"the test has no reply for schema {request.schema_name}")
            return structured(replies[request.schema_name])
        return text(says)

    return answer


def refusing(
    *parameters: str, then: Script, wording: str = "Unsupported parameter: '{}' is not supported"
) -> Callable[[Request], Answer]:
    """A server that answers 400 as long as a request holds one of the top-level parameters."""
    go_on = _in_turn(then)

    def answer(request: Request) -> Answer:
        for name in parameters:
            if name in request.body:
                return failed(400, wording.format(name), param=name)
        return go_on(request)

    return answer


def _in_turn(script: Script) -> Callable[[Request], Answer]:
    if callable(script):
        return script
    remaining = iter(script)
    return lambda request: next(
        remaining, failed(400, "the script of this test has no answer left")
    )


# The server


class ChatServer(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for every answer under way

    def __init__(self, script: Script, models: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.ending = threading.Event()
        self._answer = _in_turn(script)
        self._models = models
        self._turn = threading.Lock()

    @cached_property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @cached_property
    def url(self) -> str:
        """The base URL a client is given."""
        return f"{self.address}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """Bodies of the chat requests so far."""
        return [r.body for r in self.requests if r.path == "/v1/chat/completions"]

    def endpoint(
        self, *, calls_tools: bool = True, timeout: float = 5, retries: int = 0
    ) -> Endpoint:
        """An endpoint of this server, impatient as tests are."""
        return Endpoint(
            base_url=self.url,
            model=MODEL,
            api_key=KEY,
            name=f"{MODEL} (test)",
            calls_tools=calls_tools,
            timeout=timeout,
            retries=retries,
            pause=0.01,
        )

    def respond(self, request: Request) -> Answer:
        with self._turn:
            self.requests.append(request)
            if (request.method, request.path) == ("POST", "/v1/chat/completions"):
                return self._answer(request)
            if (request.method, request.path) == ("GET", "/v1/models"):
                return self._models
            return failed(404, f"no such address: {request.path}")


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"  # connections stay open, so that one left open is noticed
    timeout = 5

    def do_GET(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self._respond(json.loads(self.rfile.read(length)))

    def _respond(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.respond(Request(self.command, self.path, headers, body))
        try:
            if not answer.silent:
                self._send(answer)
            self._end(answer)
        except OSError:
            return  # the client gave up, as it may

    def _send(self, answer: Answer) -> None:
        whole = answer.ending == "whole"
        self.send_response(answer.status)
        for name, value in {"content-type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.content) + (0 if whole else 1_000_000)))
        self.end_headers()
        for part in re.split(b"(?<=\n\n)", answer.content) if answer.pause else [answer.content]:
            self.server.ending.wait(answer.pause)
            self.wfile.write(part)
            self.wfile.flush()

    def _end(self, answer: Answer) -> None:
        self.close_connection = self.close_connection or answer.silent or answer.ending != "whole"
        if answer.ending == "drip":
            for _ in range(int(_LONGEST_WAIT / 0.03)):
                if self.server.ending.wait(0.03):
                    return
                self.wfile.write(b" ")
        elif answer.ending == "stall" or (answer.silent and answer.ending != "cut"):
            self.server.ending.wait(_LONGEST_WAIT)

    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def chat_server(script: Script, *, models: Answer | None = None) -> Iterator[ChatServer]:
    """Serve `script` until the block ends, which also ends whatever stalls."""
    server = ChatServer(script, models_list(MODEL) if models is None else models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
