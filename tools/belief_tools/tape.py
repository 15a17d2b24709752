"""A tape of every exchange with language models: what was asked once is never asked again.

A line is one exchange, named by a digest of the model and the request: the same request gets the
same reply, so that an evaluation goes on where it was interrupted, and plays back without a network
byte for byte. No key is ever on it.
"""

import gzip
import hashlib
import json
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from belief.errors import BeliefError, LanguageModelError, UsageError
from belief_tools.llm import LanguageModel, Message
from belief_tools.replies import Reply, ToolCall

NOT_THERE: Final = "this exchange is not on the tape, and only the tape may be asked"


class NoModel(BeliefError):
    """A language model cannot be had at all: asking it goes wrong for every question alike."""

    exit_code = LanguageModelError.exit_code


@dataclass(frozen=True)
class Exchange:
    """One exchange.

    Attributes:
        name: digest of model and request.
        model: as it was called.
        request: messages and what was wanted.
        reply: fields of the reply, or None when there was none.
        error: why there was none, in one line.
        seconds: that the reply took.
    """

    name: str
    model: str
    request: Mapping[str, Any]
    reply: Mapping[str, Any] | None
    error: str | None
    seconds: float


class Tape:
    """Exchanges in the order in which they were made; safe to use from several threads."""

    def __init__(self, path: Path, *, only: bool = False) -> None:
        """Read what is there.

        Args:
            path: a file of JSON lines; a name that ends in .gz is compressed, and only read.
            only: whether nothing may be asked that is not on it.

        Raises:
            UsageError: the file cannot be read, or a line of it is no exchange.
        """
        self.path = path
        self.only = only or path.suffix == ".gz"
        self._lock = threading.Lock()
        self._known: dict[str, Exchange] = {}
        self.n_found = self.n_missing = 0  # of what was looked for
        for exchange in _read(path, self.only):
            self._known[exchange.name] = exchange

    def __len__(self) -> int:
        """Count the exchanges with different names."""
        return len(self._known)

    def find(self, name: str) -> Exchange | None:
        """Give an exchange; one that failed is only given where nothing else may be asked.

        Args:
            name: of the exchange.
        """
        with self._lock:
            known = self._known.get(name)
            if known is not None and known.error is not None and not self.only:
                known = None
            self.n_found += known is not None
            self.n_missing += known is None
        return known

    def add(self, exchange: Exchange) -> None:
        """Write an exchange down, at once.

        Args:
            exchange: a new one.

        Raises:
            UsageError: the file cannot be written.
        """
        line = json.dumps(asdict(exchange), ensure_ascii=False, separators=(",", ":"))
        with self._lock:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8", errors="replace") as file:
                    file.write(line + "\n")
            except OSError as error:
                raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None
            self._known[exchange.name] = exchange


def _read(path: Path, must_exist: bool) -> list[Exchange]:
    if not path.exists() and not must_exist:
        return []
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"the tape {path} cannot be read: {reason}") from None
    *lines, rest = content.split(b"\n")
    if rest and not must_exist:  # an interruption may cut the last line
        _drop_last(path, rest)
    elif rest:
        lines.append(rest)
    return [_exchange(path, number, line) for number, line in enumerate(lines, start=1)]


def _drop_last(path: Path, line: bytes) -> None:
    """Take half a line off the end, so that the next one begins where it should."""
    try:
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - len(line))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _exchange(path: Path, number: int, line: bytes) -> Exchange:
    try:
        read = Exchange(**json.loads(line))
        if read.reply is not None:
            _reply(read.reply)
        if not (isinstance(read.name, str) and isinstance(read.seconds, int | float)):
            raise TypeError(read.name)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UsageError(f"line {number} of the tape {path} is no exchange") from None
    return read


@dataclass(frozen=True)
class Heard:
    """What was heard of a model while something was asked of it.

    Attributes:
        requests: exchanges, those from the tape included.
        prompt_tokens, completion_tokens: as the server counts them; None where one did not.
        seconds: that the replies took when they were made.
    """

    requests: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float


class TapedModel:
    """A language model whose every exchange goes to a tape, or comes from it."""

    def __init__(
        self,
        name: str,
        tape: Tape,
        connect: Callable[[], LanguageModel],
        *,
        calls_tools: bool,
        most_tokens: int,
        before: Callable[[], None] = lambda: None,
        after: Callable[[Exchange], None] = lambda _: None,
    ) -> None:
        """Begin with nothing heard.

        Args:
            name: what the model is called on the tape and in reports.
            tape: what was said before.
            connect: gives the model when something has to be asked; what it raises is no
                failure of one exchange, and ends everything.
            calls_tools: as `LanguageModel` has it.
            most_tokens: where every reply is cut off, whatever is asked for.
            before: is called before a request is sent; it may wait, or refuse.
            after: is given every exchange that was not on the tape.
        """
        self.name, self.tape, self.connect = name, tape, connect
        self.calls_tools, self.most_tokens, self.before = calls_tools, most_tokens, before
        self.after = after
        self._heard: list[Exchange] = []

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
        """Ask, as `belief_tools.llm.Endpoint.chat` does, or read the answer off the tape.

        Nothing is streamed: `on_text` is never called.

        Raises:
            LanguageModelError: no usable reply came, now or when it was asked.
            NoModel: the model cannot be had.
        """
        asked = {"tools": tools, "tool_choice": tool_choice, "schema": schema, "stop": stop}
        wanted: dict[str, Any] = {k: value for k, value in asked.items() if value is not None}
        wanted["max_tokens"] = min(max_tokens, self.most_tokens)
        request = json.loads(json.dumps({"messages": list(messages), **wanted}))
        name = exchange_name(self.name, request)
        exchange = self.tape.find(name)
        if exchange is None:
            exchange = self._ask(name, request, messages, wanted)
        self._heard.append(exchange)
        if exchange.reply is None:
            raise LanguageModelError(exchange.error or "no reply came")
        return _reply(exchange.reply)

    def heard(self) -> Heard:
        """Sum up what was heard since the last time, and forget it."""
        exchanges, self._heard = self._heard, []
        replies = [exchange.reply or {} for exchange in exchanges]
        prompt, completion = (
            [reply.get(name) for reply in replies]
            for name in ("prompt_tokens", "completion_tokens")
        )
        return Heard(
            requests=len(exchanges),
            prompt_tokens=_total(prompt),
            completion_tokens=_total(completion),
            seconds=round(sum(exchange.seconds for exchange in exchanges), 3),
        )

    def _ask(
        self,
        name: str,
        request: Mapping[str, Any],
        messages: Sequence[Message],
        wanted: dict[str, Any],
    ) -> Exchange:
        if self.tape.only:
            raise LanguageModelError(NOT_THERE)
        self.before()
        model = self._connected()
        reply, error, begun = None, None, time.perf_counter()
        try:
            reply = asdict(model.chat(messages, **wanted))
        except LanguageModelError as failure:
            error = str(failure)
        seconds = round(time.perf_counter() - begun, 3)
        exchange = Exchange(name, self.name, request, reply, error, seconds)
        self.tape.add(exchange)
        self.after(exchange)
        return exchange

    def _connected(self) -> LanguageModel:
        try:
            return self.connect()
        except LanguageModelError as error:
            raise NoModel(str(error)) from None


def exchange_name(model: str, request: Mapping[str, Any]) -> str:
    """Name an exchange by what is asked of whom.

    Args:
        model: as it is called on the tape.
        request: messages and what is wanted, as JSON has them.
    """
    said = json.dumps([model, request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:24]


def _reply(fields: Mapping[str, Any]) -> Reply:
    calls = tuple(ToolCall(**call) for call in fields["tool_calls"])
    return Reply(**{**fields, "tool_calls": calls, "dropped": tuple(fields["dropped"])})


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
