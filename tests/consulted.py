"""Consultations of language models that are played by a server, and what holds for all of them."""

import dataclasses
import json
from collections.abc import Callable, Sequence

from chat_server import KEY, Answer, Request, Script, chat_server, structured, text, tool_call

from belief_tools.answer import Answer as Given
from belief_tools.consult import Mode
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import NAME, ForecastResult, ForecastTool
from belief_tools.grounding import check
from belief_tools.receipt import receipt, statement

QUESTION = "What will Nvidia's stock price be at the end of March 2024?"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
WRONG = "Nvidia is expected at $1,208 on 2024-03-28."
PREDICTION = {"price": 834, "low": 680.5, "high": 994, "prob_up": 0.55, "reasons": "the tool"}
BESIDE = {"horizon": 19, "agrees": True, "own_view": False}


def result_of(tool: ForecastTool) -> ForecastResult:
    """What the tool answers to `CALL`."""
    return tool.run(tool.check(CALL))


def words_of(result: ForecastResult) -> str:
    """A model's own words, every figure of which is the tool's."""
    low, high = result.interval_90
    return (
        f"Nvidia should close near ${result.median:,.0f} on March 28, 2024, "
        f"with a 90% chance between ${low:,.0f} and ${high:,.0f}."
    )


# Models by what they do at each step of a consultation

Turns = Answer | Sequence[Answer]


def step_of(request: Request) -> str:
    if request.schema_name == NAME:
        return "arguments"
    if request.schema_name == "prediction":
        return "prediction"
    return "call" if "tools" in request.body else "text"


def plays(says: Turns | str, **steps: Turns) -> Callable[[Request], Answer]:
    """A model with one answer for each step, or several in turn of which the last repeats."""
    behaviour: dict[str, Turns] = {
        "call": tool_call(NAME, CALL),
        "arguments": structured(CALL),
        "prediction": structured(PREDICTION),
        "text": text(says) if isinstance(says, str) else says,
        **steps,
    }
    turns = {s: [a] if isinstance(a, Answer) else list(a) for s, a in behaviour.items()}

    def respond(request: Request) -> Answer:
        left = turns[step_of(request)]
        return left.pop(0) if len(left) > 1 else left[0]

    return respond


def failing_at(number: int, failure: Answer, script: Callable[[Request], Answer]) -> Script:
    """The script, except that the request of this number and all later ones fail."""
    seen: list[Request] = []

    def respond(request: Request) -> Answer:
        seen.append(request)
        return script(request) if len(seen) < number else failure

    return respond


@dataclasses.dataclass(frozen=True)
class Outcome:
    given: Given
    requests: list[Request]

    @property
    def steps(self) -> list[str]:
        return [step_of(request) for request in self.requests]

    @property
    def bodies(self) -> str:
        return json.dumps([request.body for request in self.requests])


def consulted(
    tool: ForecastTool,
    script: Script,
    *,
    question: str = QUESTION,
    mode: Mode = "tool",
    calls_tools: bool = True,
    timeout: float = 5,
) -> Outcome:
    with chat_server(script) as server:
        endpoint = server.endpoint(calls_tools=calls_tools, timeout=timeout)
        given = answer(question, tool, lambda: endpoint, mode=mode)
        outcome = Outcome(given, server.requests)
    assert_sound(outcome)
    return outcome


def assert_sound(outcome: Outcome) -> None:
    """What holds for every answer about a future price, whatever the server does."""
    given = outcome.given
    if given.stop_reason != "not consulted":
        results = [call["result"] for call in given.tool_calls if "result" in call]
        assert results and given.result is not None
        assert given.result.to_dict() == results[0]
        assert given.consulted_by in [call["by"] for call in given.tool_calls if "result" in call]
        findings = check(given.text, given.result.to_dict(), question=given.question)
        assert given.text == statement(given.result) or not findings
        assert given.receipt == receipt(given.result, given.consulted_by, given.model)
    assert KEY not in json.dumps(given.to_dict(), allow_nan=False)
    for request in outcome.requests:
        assert_calls_are_answered(request)


def assert_calls_are_answered(request: Request) -> None:
    """Servers refuse a conversation in which a call has no tool message."""
    open_calls: list[str] = []
    for sent in request.messages:
        if sent["role"] == "tool":
            open_calls.remove(sent["tool_call_id"])
        else:
            assert not open_calls
            open_calls = [call["id"] for call in sent.get("tool_calls", [])]
    assert not open_calls
