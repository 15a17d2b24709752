"""The MCP server, asked by the official client in memory."""

import json
import logging

import anyio
import jsonschema
import pytest
from daily import evening
from mcp import Client
from mcp.shared.exceptions import MCPError
from published import FIRST, SECOND, fitted_through, put_in_service, renamed
from stored import answer_of

from belief.errors import BeliefError
from belief.ledger import append
from belief.store import open_store
from belief_tools import belief_tool, forecast_tool, history_tool, record_tool, serving
from belief_tools.mcp_server import CONSULT, NEWEST, build
from belief_tools.serving import Asked
from belief_tools.shared_desk import SharedDesk

MODULES = {each.NAME: each for each in (forecast_tool, belief_tool, record_tool, history_tool)}
TARGET = "2024-06-20"
CALLS = {
    "forecast_price": {"symbol": "NVDA", "target_date": TARGET, "price_levels": [1000.0, 1300.0]},
    "belief_now": {"symbol": "NVDA"},
    "track_record": {"symbol": "NVDA", "horizon": 21},
    "price_history": {"symbol": "NVDA", "first_date": "2024-05-01", "last_date": "2024-05-31"},
}


@pytest.fixture
def desk(where):
    return desk_at()


def desk_at(day=FIRST, **changes):
    values = {"stale_ok": False, "may_fit": False} | changes
    asked = Asked(None, None, None, "belief", now=evening(day), **values)
    return SharedDesk(asked, lambda: evening(day))


def with_client(desk, use):
    """What an async function gets from a client of a server."""

    async def connected():
        async with Client(build(desk)) as client:
            return await use(client)

    return anyio.run(connected)


def protocol_error(desk, use):
    """What the protocol itself says in place of an answer."""

    async def refused(client):
        with pytest.raises(MCPError) as caught:
            await use(client)
        return caught.value.error

    return with_client(desk, refused)


def call(desk, name, arguments):
    return with_client(desk, lambda client: client.call_tool(name, arguments))


def refusal(desk, name, arguments):
    """The text of a tool error."""
    result = call(desk, name, arguments)
    assert result.is_error and result.structured_content is None
    (content,) = result.content
    assert content.text.isprintable() and len(content.text) < 400
    assert "Traceback" not in content.text
    return content.text


def directly(tool, name, arguments):
    """What a tool says without the server."""
    if name == forecast_tool.NAME:
        return tool.run(tool.check(arguments))
    return MODULES[name].run(tool, arguments)


# The tools


def test_the_four_tools_are_offered_with_their_own_schemas_and_only_read(desk):
    offered = with_client(desk, lambda client: client.list_tools()).tools
    assert [tool.name for tool in offered] == list(CALLS)
    for tool in offered:
        function = MODULES[tool.name].DEFINITION["function"]
        assert tool.input_schema == dict(MODULES[tool.name].PARAMETERS)
        assert tool.description == function["description"]
        hints = tool.annotations
        assert (hints.read_only_hint, hints.idempotent_hint) == (True, True)
        assert (hints.destructive_hint, hints.open_world_hint) == (False, False)


@pytest.mark.parametrize("name", CALLS)
def test_a_tool_says_what_it_says_to_any_language_model_and_all_it_knows_beside(desk, name):
    result = call(desk, name, CALLS[name])
    said = directly(desk.tool("NVDA"), name, CALLS[name])
    assert not result.is_error
    assert [content.text for content in result.content] == [said.to_json()]
    assert result.structured_content == json.loads(json.dumps(said.to_dict()))


@pytest.mark.parametrize("name", CALLS)
def test_structured_content_is_what_the_output_schema_promises(desk, name):
    async def both(client):
        (tool,) = [each for each in (await client.list_tools()).tools if each.name == name]
        return tool.output_schema, await client.call_tool(name, CALLS[name])

    schema, result = with_client(desk, both)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(result.structured_content, schema)
    assert list(schema["properties"]) == list(result.structured_content) == schema["required"]
    for field in schema["required"]:
        lacking = {**result.structured_content}
        del lacking[field]
        for broken in (lacking, {**result.structured_content, field: object()}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(broken, schema)


def test_arguments_that_may_be_null_may_be_left_out(desk):
    whole = call(desk, "price_history", {"symbol": "NVDA", "first_date": None, "last_date": None})
    assert call(desk, "price_history", {"symbol": "nvidia"}) == whole
    assert not call(desk, "track_record", {"symbol": "NVDA"}).is_error


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("forecast_price", {"symbol": "NVDA", "target_date": "2019-01-01"}, "ask for a later date"),
        ("forecast_price", {"symbol": "NVDA", "target_date": 5}, "give a day as YYYY-MM-DD"),
        ("forecast_price", {"symbol": "NVDA"}, "target_date is None"),
        (
            "forecast_price",
            {"symbol": "NVDA", "target_date": TARGET, "price_levels": [-1]},
            "price level -1 is not a price",
        ),
        (
            "forecast_price",
            {"symbol": "NVDA", "target_date": TARGET, "price_levels": [1.0] * 100_000},
            "give at most 8",
        ),
        ("forecast_price", {"symbol": "NVDA", "when": TARGET}, "unknown argument 'when'"),
        ("belief_now", {"symbol": "AMD"}, "belief refit AMD"),
        ("belief_now", {"symbol": "x" * 1_000_000}, "is not a symbol"),
        ("belief_now", {"symbol": {"a": ["deep"]}}, "give a ticker symbol"),
        ("belief_now", {}, "symbol is None"),
        ("track_record", {"symbol": "NVDA", "horizon": 5000}, "5000"),
        ("price_history", {"symbol": "NVDA", "first_date": "2999-01-01"}, "after the last known"),
    ],
)
def test_what_a_model_can_mend_is_a_tool_error_in_the_programs_own_words(
    desk, name, arguments, words
):
    said = refusal(desk, name, arguments)
    assert words in said
    symbol = arguments.get("symbol")
    with pytest.raises(BeliefError) as caught:
        directly(desk.tool(symbol), name, arguments)
    assert str(caught.value) == said


def test_without_a_published_model_the_error_says_what_to_do(where, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(where) + ".none")
    monkeypatch.setattr(serving, "cached_fit", lambda *_: pytest.fail("a model was fitted"))
    desk = desk_at()
    for name in ("forecast_price", "belief_now", "track_record"):
        assert refusal(desk, name, CALLS[name]) == (
            "no published model of NVDA serves: there is none, or it is of another version or "
            "other prices; run belief refit NVDA (without a network: belief refit --snapshot)"
        )
    assert not call(desk, "price_history", CALLS["price_history"]).is_error


def test_a_server_that_may_fit_answers_without_a_published_model(where, monkeypatch):
    monkeypatch.setattr(serving, "code_fingerprint", lambda: "of another version")
    monkeypatch.setattr(serving, "cached_fit", lambda *_: fitted_through(FIRST)[1])
    result = call(desk_at(may_fit=True), "belief_now", CALLS["belief_now"])
    assert result.structured_content["model"].endswith("fitted now: no published model fits")


def test_prices_that_are_old_are_told_in_words(where):
    asked = {"symbol": "NVDA"}
    fresh = call(desk_at(FIRST), "belief_now", asked)
    assert len(fresh.content) == 1
    old = call(desk_at("2024-07-05"), "belief_now", asked)
    assert [each.text for each in old.content[1:]] == [
        f"The prices end on {FIRST}, 30 days ago. Say so."
    ]


def test_an_unknown_tool_is_a_protocol_error_that_names_the_tools(desk):
    error = protocol_error(desk, lambda client: client.call_tool("sell\n", {}))
    assert error.message == f"there is no tool 'sell\\n'; there are {', '.join(CALLS)}"


# What nobody foresaw


def test_a_bug_is_logged_whole_and_not_told(desk, monkeypatch, caplog):
    def fail(*_):
        raise ValueError("the secret is in /home/me/belief.db")

    monkeypatch.setattr(belief_tool, "run", fail)
    said = refusal(desk, "belief_now", CALLS["belief_now"])
    number = said.split()[2].rstrip(";")
    assert said == f"internal error {number}; the log of the server says more"
    (record,) = caplog.records
    assert record.getMessage() == (
        f"internal error {number} in belief_now: the secret is in /home/me/belief.db"
    )
    assert "in fail" in caplog.text and record.levelno == logging.ERROR
    error = protocol_error(desk, lambda client: client.read_resource("belief://NVDA/latest"))
    assert error.message.startswith("internal error") and "secret" not in str(error)


def test_a_store_that_fails_is_logged_and_its_path_not_told(desk, where, caplog):
    where.write_text("somebody's notes")
    for name, arguments in CALLS.items():
        assert refusal(desk, name, arguments).startswith("internal error")
    assert str(where) in caplog.text and "Traceback" not in caplog.text
    for read in (
        lambda client: client.list_resources(),
        lambda client: client.read_resource("belief://NVDA/ledger"),
    ):
        error = protocol_error(desk, read)
        assert error.message.startswith("internal error") and str(where) not in str(error)


def test_the_server_answers_on_after_errors(desk, monkeypatch):
    async def use(client):
        for arguments in ({}, {"symbol": "AMD"}, {"symbol": 5}):
            assert (await client.call_tool("belief_now", arguments)).is_error
        return await client.call_tool("belief_now", {"symbol": "NVDA"})

    assert not with_client(desk, use).is_error


# Many at a time, and as time goes on


def test_twenty_calls_at_a_time_get_the_right_answers(desk, where):
    put_in_service(where, *renamed(FIRST, "AMD"))
    days = ("2024-06-06", "2024-06-20", "2024-07-19")
    calls = [
        ("forecast_price", {"symbol": ("NVDA", "AMD")[n % 2], "target_date": days[n % 3]})
        if n % 5
        else ("belief_now", {"symbol": ("NVDA", "AMD")[n % 2]})
        for n in range(20)
    ]

    async def all_at_once(client):
        results = {}

        async def ask(n):
            results[n] = await client.call_tool(*calls[n])

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(ask, n)
        return [results[n].structured_content for n in range(20)]

    found = with_client(desk, all_at_once)
    apart = {symbol: desk_at().tool(symbol) for symbol in ("NVDA", "AMD")}
    for (name, arguments), result in zip(calls, found, strict=True):
        assert result == directly(apart[arguments["symbol"]], name, arguments).to_dict()


def test_a_model_published_while_the_server_runs_is_served(where):
    async def use(client):
        before = await client.call_tool("belief_now", {"symbol": "NVDA"})
        put_in_service(where, *fitted_through(SECOND))
        after = await client.call_tool("belief_now", {"symbol": "NVDA"})
        return [each.structured_content for each in (before, after)]

    before, after = with_client(desk_at(SECOND), use)
    assert (before["as_of"], after["as_of"]) == (FIRST, SECOND)
    assert f"published {SECOND}" in after["model"]


# Resources


def read(desk, uri):
    result = with_client(desk, lambda client: client.read_resource(uri))
    (content,) = result.contents
    assert content.mime_type == "application/json"
    return json.loads(content.text)


def test_each_symbol_has_its_resources_and_any_other_a_template(desk, where):
    put_in_service(where, *renamed(FIRST, "AMD"))
    listed = with_client(desk, lambda client: client.list_resources()).resources
    assert [each.uri for each in listed] == [
        "belief://NVDA/latest",
        "belief://NVDA/ledger",
        "belief://AMD/latest",
        "belief://AMD/ledger",
    ]
    templates = with_client(desk, lambda client: client.list_resource_templates())
    assert [each.uri_template for each in templates.resource_templates] == [
        "belief://{symbol}/latest",
        "belief://{symbol}/ledger",
    ]


def test_the_latest_is_the_belief_and_the_forecasts_one_and_21_sessions_ahead(desk):
    latest, tool = read(desk, "belief://nvda/latest"), desk.tool("NVDA")
    assert latest["belief"] == belief_tool.run(tool, {"symbol": "NVDA"}).to_dict()
    assert [each["horizon"] for each in latest["forecasts"]] == [1, 21]
    for each in latest["forecasts"]:
        call = {"symbol": "NVDA", "target_date": each["target"], "price_levels": None}
        assert each == directly(tool, "forecast_price", call).to_dict()


def test_the_ledger_has_the_newest_entries_with_their_scores(desk, where):
    with open_store(str(where)) as store, store.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO scores (symbol, number, scored_at, close, log_return, crps, covered_90) "
            "VALUES ('NVDA', 1, '2024-06-06', 1209.98, -0.01, 9.5, 1)"
        )
    put_in_service(where, *fitted_through(SECOND))
    ledger = read(desk_at(SECOND), "belief://NVDA/ledger")
    entries, scored = ledger["entries"], ledger["entries"][0]
    assert [(each["origin"], each["target"]) for each in entries] == [
        (FIRST, "2024-06-06"),
        (FIRST, "2024-06-07"),
        (SECOND, "2024-06-13"),
        (SECOND, "2024-06-14"),
    ]
    assert (scored["close"], scored["crps"], scored["covered_90"]) == (1209.98, 9.5, True)
    assert not any("crps" in each for each in entries[1:])
    assert all(each["q05"] < each["q50"] < each["q95"] for each in entries)


def test_the_ledger_is_bounded_and_its_texts_cut(desk, where):
    prices = fitted_through(FIRST)[0]
    said = {"text": "x" * 10_000, "question": "why?"}
    answers = []
    for n in range(NEWEST + 5):
        made = answer_of(prices, 1, None, name=f"answer{n:06d}")
        made.body.update(said)
        answers.append(made)
    with open_store(str(where)) as store, store.write() as connection:
        append(connection, "NVDA", answers)
    entries = read(desk, "belief://NVDA/ledger")["entries"]
    assert len(entries) == NEWEST
    assert all(len(each["text"]) <= 400 for each in entries if each["kind"] == "answer")


def test_without_a_store_the_ledger_is_empty(desk, monkeypatch, tmp_path):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "none.db"))
    assert read(desk, "belief://AMD/ledger") == {"symbol": "AMD", "entries": []}


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("belief://NVDA/tomorrow", "belief://SYMBOL/latest and belief://SYMBOL/ledger"),
        ("belief://NVDA", "is no resource"),
        ("file:///etc/passwd", "is no resource"),
        ("belief://AMD/latest", "belief refit AMD"),
        ("belief://a%20b/ledger", "is not a symbol"),
        ("belief://..%2F..%2Fetc/latest", "is not a symbol"),
        ("belief://[/latest", "is not a symbol"),
        ("belief://NVDA/" + "x" * 10_000, "is no resource"),
    ],
)
def test_a_resource_that_is_none_is_an_error_that_says_what_there_is(desk, uri, words):
    error = protocol_error(desk, lambda client: client.read_resource(uri))
    assert words in error.message and error.code == -32602 and len(error.message) < 300


# The prompt


def test_the_prompt_has_the_tool_consulted_first_and_interval_and_day_said(desk):
    async def use(client):
        listed = (await client.list_prompts()).prompts
        plain = await client.get_prompt(listed[0].name)
        asked = await client.get_prompt(listed[0].name, {"question": "Where will NVDA be?"})
        return [each.messages[0].content.text for each in (plain, asked)], client.instructions

    (plain, asked), instructions = with_client(desk, use)
    assert plain == instructions == CONSULT
    for words in ("Before you say any future price", "forecast_price", "90 % interval", "as_of"):
        assert words in plain
    assert asked.startswith(plain) and asked.endswith("Where will NVDA be?")


def test_an_unknown_prompt_is_an_error_that_names_the_one_there_is(desk):
    error = protocol_error(desk, lambda client: client.get_prompt("buy"))
    assert error.message == "there is no prompt 'buy'; there is predict_price"
