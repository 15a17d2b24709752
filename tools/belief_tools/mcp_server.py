"""The belief as an MCP server: tools, resources and a prompt. What it says is said by the tools."""

import asyncio
import json
import logging
import os
import re
import secrets
import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.metadata import version
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, Self, cast

import anyio.to_thread
import mcp_types as types
from mcp.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import TypeAdapter

from belief.errors import BeliefError, FitError, PricesError, StalePrices, UsageError
from belief.sessions import session_after
from belief_tools import belief_tool, forecast_tool, history_tool, record_tool
from belief_tools.forecast_tool import NAME
from belief_tools.serving import find_store, upper_symbol
from belief_tools.shared_desk import SharedDesk
from belief_tools.terminal import one_line

log = logging.getLogger(__name__)

# What whoever calls can do something about, or at least must know; anything else stays here.
FIXABLE: Final = (UsageError, PricesError, FitError, StalePrices)
LATEST_HORIZONS: Final = (1, 21)  # sessions ahead that belief://{symbol}/latest forecasts
NEWEST: Final = 20  # entries of belief://{symbol}/ledger
LONGEST_TEXT: Final = 400  # characters of a question or an answer there
JSON: Final = "application/json"
PATIENCE: Final = 30  # seconds for calls under way when standard input ends
AT_ONCE: Final = 8  # calls that are worked on
THREADS: Final = ThreadPoolExecutor(AT_ONCE, "call")

CONSULT: Final = (
    f"Before you say any future price of a stock, call {NAME} with its symbol and the day the "
    "price is wanted for, and say no price that is not in its result. In the answer give the "
    "median, the 90 % interval and the as_of day; give the chances of price levels from prob_above "
    "alone. The direction is hardly predictable: promise none. If the tool returns an error, say "
    "what it says in place of a price."
)

RESOURCES: Final = {
    "latest": "The belief at the last close and the forecasts "
    f"{' and '.join(map(str, LATEST_HORIZONS))} sessions ahead.",
    "ledger": f"The newest {NEWEST} forecasts and answers that were written down, with their "
    "scores where the day has come.",
}

FRESH: Final = 7  # days that prices may be old without a word; holidays make four

ADDRESS: Final = re.compile(f"belief://([^/]+)/({'|'.join(RESOURCES)})", re.I)

PROMPT: Final = types.Prompt(
    name="predict_price",
    title="Predict a price",
    description=f"Consult {NAME} before any price is said; give interval and as-of day.",
    arguments=[
        types.PromptArgument(name="question", description="What is asked about a future price.")
    ],
)


class Result(Protocol):
    """What every tool gives."""

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as plain values."""
        ...

    def to_json(self) -> str:
        """What a language model is shown."""
        ...


class Offered(NamedTuple):
    """A tool that is offered: what it says of itself, what comes out of it, and how it runs."""

    definition: Mapping[str, Any]
    title: str
    result: type
    run: Callable[[SharedDesk, Mapping[str, Any]], Result]

    @property
    def name(self) -> str:
        """By which it is called."""
        return str(self.definition["function"]["name"])


def _forecast(desk: SharedDesk, arguments: Mapping[str, Any]) -> Result:
    tool = desk.tool(arguments.get("symbol"))
    return tool.run(tool.check(arguments))


OFFERED: Final = (
    Offered(forecast_tool.DEFINITION, "Forecast a price", forecast_tool.ForecastResult, _forecast),
    Offered(
        belief_tool.DEFINITION,
        "The belief now",
        belief_tool.BeliefResult,
        lambda desk, arguments: belief_tool.run(desk.tool(arguments.get("symbol")), arguments),
    ),
    Offered(
        record_tool.DEFINITION,
        "Track record of the forecasts",
        record_tool.RecordResult,
        lambda desk, arguments: record_tool.run(desk.tool(arguments.get("symbol")), arguments),
    ),
    Offered(
        history_tool.DEFINITION,
        "Past prices",
        history_tool.HistoryResult,
        lambda desk, arguments: history_tool.run(desk.prices(arguments.get("symbol")), arguments),
    ),
)
BY_NAME: Final = {each.name: each for each in OFFERED}


class InternalError(Exception):
    """Something that is not the caller's doing; the text has the id under which it was logged."""


def build(desk: SharedDesk) -> Server[Any]:
    """Put the server together; it is run over a transport of the caller's choice.

    Args:
        desk: gives the tools of each symbol.
    """

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(each) for each in OFFERED])

    async def call_tool(_: Any, call: types.CallToolRequestParams) -> types.CallToolResult:
        offered = BY_NAME.get(call.name)
        if offered is None:
            known = f"there is no tool {_short(call.name)}; there are {', '.join(BY_NAME)}"
            raise MCPError(types.INVALID_PARAMS, known)
        arguments = call.arguments or {}
        try:
            result = await _apart(offered.name, lambda: offered.run(desk, arguments))
        except (*FIXABLE, InternalError) as error:
            return types.CallToolResult(content=[_text(_line(error))], is_error=True)
        return types.CallToolResult(
            content=[_text(result.to_json()), *_aged(result)],
            structured_content=result.to_dict(),
        )

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        names = await _told("the list of resources", desk.names)
        return types.ListResourcesResult(
            resources=[_resource(symbol, kind) for symbol in names for kind in RESOURCES]
        )

    async def list_templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(
            resource_templates=[_template(kind) for kind in RESOURCES]
        )

    async def read_resource(
        _: Any, asked: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        text = await _told("a resource", lambda: _read(desk, asked.uri))
        contents = types.TextResourceContents(uri=asked.uri, mime_type=JSON, text=text)
        return types.ReadResourceResult(contents=[contents])

    async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[PROMPT])

    async def get_prompt(_: Any, asked: types.GetPromptRequestParams) -> types.GetPromptResult:
        return _prompt(asked)

    return Server(
        "belief",
        version=version("belief"),
        title="belief",
        instructions=CONSULT,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )


async def run_stdio(server: Server[Any], begun: Callable[[], None]) -> None:
    """Serve over standard input and output until the input ends, or nobody reads the output.

    Args:
        server: of `build`.
        begun: is called once nothing but the protocol can reach standard output.
    """
    wire = Wire(_taken_input())
    try:
        async with stdio_server(stdin=cast("anyio.AsyncFile[str]", wire.lines())) as (read, write):
            wire.output = write
            begun()
            await server.run(read, wire, server.create_initialization_options())
    except* BrokenPipeError:
        pass


def _taken_input() -> BinaryIO:
    """Standard input for the protocol alone; whatever else reads it finds it empty."""
    taken = os.fdopen(os.dup(0), "rb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return taken


class Wire:
    """Standard input and output: whatever line comes is answered, also after the input's end."""

    output: Any  # where the transport takes what is to be written

    def __init__(self, source: BinaryIO) -> None:
        """Begin with nothing read.

        Args:
            source: gives the lines of the client.
        """
        self._source = source
        self._unanswered: set[types.RequestId] = set()

    async def lines(self) -> AsyncIterator[str]:
        """The lines that are messages; ends when the calls under way are answered."""
        # may be given up while it waits for a line
        while raw := await anyio.to_thread.run_sync(self._source.readline, abandon_on_cancel=True):
            line = raw.decode(errors="replace").strip()
            if line and await self._is_message(line):
                yield line
        with anyio.move_on_after(PATIENCE):
            while self._unanswered:
                await anyio.sleep(0.02)

    async def send(self, item: SessionMessage) -> None:
        """Write a message."""
        await self.output.send(item)
        if isinstance(item.message, types.JSONRPCResponse | types.JSONRPCError):
            self._unanswered.discard(item.message.id)

    async def aclose(self) -> None:
        """Write no more."""
        await self.output.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _is_message(self, line: str) -> bool:
        """Whether a line is one; if not, the client is told."""
        try:
            message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError as error:
            broken = "Invalid JSON" in str(error)
            code = types.PARSE_ERROR if broken else types.INVALID_REQUEST
            await self._refuse(line, code, "no JSON that can be read" if broken else "no message")
            return False
        if isinstance(message, types.JSONRPCNotification):
            if "id" in _fields(line):  # one that the library cannot read, and leaves out
                await self._refuse(line, types.INVALID_REQUEST, "an id is a whole number or a text")
                return False
            if message.method == "notifications/cancelled":
                self._unanswered.discard((message.params or {}).get("requestId"))
        elif isinstance(message, types.JSONRPCRequest):
            self._unanswered.add(message.id)
        return True

    async def _refuse(self, line: str, code: int, reason: str) -> None:
        log.warning("refused a line of %d characters: %s", len(line), reason)
        error = types.ErrorData(code=code, message=reason)
        refusal = types.JSONRPCError(jsonrpc="2.0", id=_id(line), error=error)
        await self.output.send(SessionMessage(refusal))


def _id(line: str) -> types.RequestId | None:
    """The id in a line that is no message, where it can be read and be sent back."""
    found = _fields(line).get("id")
    if isinstance(found, bool) or not isinstance(found, int | str):
        return None
    return None if isinstance(found, str) and not found.isprintable() else found


def _fields(line: str) -> dict[str, Any]:
    """The fields of the object in a line; a number with very many digits counts as none."""
    try:
        found = json.loads(line, parse_int=lambda digits: int(digits) if len(digits) < 20 else None)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _apart(what: str, work: "Callable[[], Any]") -> Any:
    """Work in a thread of its own; what nobody foresaw is logged and gets an id instead."""
    try:
        # a call that is cancelled keeps its thread until it ends, and never begins if it waits
        return await asyncio.wrap_future(THREADS.submit(work))
    except FIXABLE:
        raise
    except Exception as error:
        number = secrets.token_hex(4)
        # an error of the program's own says all in its line
        trace = None if isinstance(error, BeliefError) else error
        log.error("internal error %s in %s: %s", number, what, _line(error), exc_info=trace)
        raise InternalError(f"internal error {number}; the log of the server says more") from None


async def _told(what: str, work: "Callable[[], Any]") -> Any:
    """The same for what has no place for an error but the protocol's."""
    try:
        return await _apart(what, work)
    except FIXABLE as error:
        raise MCPError(types.INVALID_PARAMS, _line(error)) from None
    except InternalError as error:
        raise MCPError(types.INTERNAL_ERROR, str(error)) from None


def _described(offered: Offered) -> types.Tool:
    function = offered.definition["function"]
    return types.Tool(
        name=offered.name,
        title=offered.title,
        description=function["description"],
        input_schema=dict(function["parameters"]),
        output_schema=output_schema(offered.result),
        annotations=types.ToolAnnotations(
            read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


@cache
def output_schema(result: type) -> dict[str, Any]:
    """The JSON schema of what a result's `to_dict` gives.

    Args:
        result: one of the dataclasses of the tools.
    """
    return TypeAdapter(result).json_schema()


def _read(desk: SharedDesk, uri: str) -> str:
    """The text of a resource."""
    found = ADDRESS.fullmatch(uri)
    if found is None:
        raise UsageError(
            f"{_short(uri)} is no resource; there are "
            f"{' and '.join(f'belief://SYMBOL/{each}' for each in RESOURCES)}"
        )
    symbol, kind = urllib.parse.unquote(found[1]), found[2].lower()
    return json.dumps(_latest(desk, symbol) if kind == "latest" else _ledger(symbol))


def _latest(desk: SharedDesk, symbol: str) -> dict[str, Any]:
    tool = desk.tool(symbol)
    targets = [session_after(tool.prices.as_of, horizon) for horizon in LATEST_HORIZONS]
    return {
        "belief": belief_tool.run(tool, {"symbol": tool.prices.symbol}).to_dict(),
        "forecasts": [
            tool.run(forecast_tool.Arguments(target, ())).to_dict() for target in targets
        ],
    }


def _ledger(symbol: str) -> dict[str, Any]:
    from belief.ledger import entries
    from belief_tools.ledger_table import flat

    upper, store = upper_symbol(symbol), find_store()
    if store is None:
        return {"symbol": upper, "entries": []}
    with store, store.read() as connection:
        newest = entries(connection, symbol=upper, newest=NEWEST)
    return {"symbol": upper, "entries": [_plain(flat(each)) for each in newest]}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in JSON's own types, its texts cut."""
    return {
        name: value
        if isinstance(value, bool | int | float | None)
        else one_line(str(value), longest=LONGEST_TEXT)
        for name, value in row.items()
    }


def _resource(symbol: str, kind: str) -> types.Resource:
    return types.Resource(
        uri=f"belief://{symbol}/{kind}",
        name=f"{symbol} {kind}",
        description=RESOURCES[kind],
        mime_type=JSON,
    )


def _template(kind: str) -> types.ResourceTemplate:
    return types.ResourceTemplate(
        uri_template=f"belief://{{symbol}}/{kind}",
        name=kind,
        description=RESOURCES[kind],
        mime_type=JSON,
    )


def _prompt(asked: types.GetPromptRequestParams) -> types.GetPromptResult:
    if asked.name != PROMPT.name:
        raise MCPError(
            types.INVALID_PARAMS, f"there is no prompt {_short(asked.name)}; there is {PROMPT.name}"
        )
    question = (asked.arguments or {}).get("question", "").strip()
    said = f"{CONSULT}\n\n{question}" if question else CONSULT
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=_text(said))])


def _aged(result: Result) -> list[types.TextContent]:
    """Have it said that prices are old: a model reads over a number of days."""
    days = getattr(result, "age_in_days", None)
    if days is None or days <= FRESH:
        return []
    told = f"The prices end on {getattr(result, 'as_of', None)}, {days} days ago. Say so."
    return [_text(told)]


def _text(text: str) -> types.TextContent:
    return types.TextContent(type="text", text=text)


def _line(error: BaseException) -> str:
    return one_line(str(error))


def _short(text: str) -> str:
    return one_line(ascii(text), longest=60)
