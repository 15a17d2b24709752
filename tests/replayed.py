"""Short histories to replay the past on, and language models of known errors that are played."""

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from chat_server import Answer, Request, failed, structured, text, tool_call

from belief.errors import LanguageModelError
from belief.prices import COLUMNS, Prices
from belief.sources import load_prices
from belief_tools.contestants import Contestant
from belief_tools.forecast_tool import NAME
from belief_tools.replies import Reply, read_reply

ORIGINS = tuple(np.datetime64(day) for day in ("2021-07-01", "2021-07-14"))
HORIZON = 21  # sessions; the split 4:1 of 2021-07-20 lies between each origin and its target
NOTHING_KNOWN = 100.0  # dollars that a model says when its prompt names none
QUESTION_DAY = re.compile(r"be on (\d{4}-\d\d-\d\d)")

Predict = Callable[[str], float]


def history(first: str = "2019-12-02", last: str = "2021-10-29") -> Prices:
    """Prices of Nvidia, short enough that a fit takes a second."""
    prices = load_prices("NVDA").until(np.datetime64(last))
    rows = prices.session >= np.datetime64(first)
    return dataclasses.replace(
        prices,
        session=prices.session[rows],
        splits=tuple(split for split in prices.splits if split.session >= np.datetime64(first)),
        **{column: getattr(prices, column)[rows] for column in COLUMNS},
    )


def with_garbage_after(prices: Prices, day: np.datetime64) -> Prices:
    """The same prices until a day; after it they stand still elsewhere, without split or event."""
    later = prices.session > day
    still = 1.7 * float(prices.close[~later][-1])
    columns = {name: getattr(prices, name) for name in COLUMNS}
    changed = {name: np.where(later, still, each) for name, each in columns.items()}
    splits = tuple(split for split in prices.splits if split.session <= day)
    known = prices.events.until(day)
    return dataclasses.replace(prices, splits=splits, events=known, **changed)


# Models, by the price that each reads out of its prompt


def as_told(prompt: str) -> float:
    """The forecast's price where there is one, else the last close, else nothing known."""
    found = re.search(r"Forecast: price ([\d.]+)", prompt) or re.search(
        r"Last close (\d+\.?\d*)", prompt
    )
    return float(found[1]) if found else NOTHING_KNOWN


def shaded(prompt: str) -> float:
    return 1.1 * as_told(prompt)


def unmoved(prompt: str) -> float:
    """Says the same whatever it is told."""
    return 500.0


def knowing(closes: Mapping[str, float]) -> Predict:
    """A model that recalls what came, by the true day; on days it does not know it is unmoved."""
    return lambda prompt: closes.get(QUESTION_DAY.findall(prompt)[-1], unmoved(prompt))


def prediction(price: float) -> dict[str, Any]:
    low, high = round(0.9 * price, 6), round(1.1 * price, 6)
    return {"price": price, "low": low, "high": high, "prob_up": 0.6, "reasons": ""}


def plays(predict: Predict, says: str | None = None) -> Callable[[Request], Answer]:
    """A model that calls the tool it must call, and predicts what it reads out of its prompt.

    Args:
        predict: gives the price, from the last message.
        says: in words; None for the forecast's own sentence.
    """

    def respond(request: Request) -> Answer:
        last = str(request.messages[-1]["content"])
        if request.forced_tool is not None or request.schema_name == NAME:
            symbol = re.search(r"\(([A-Z]+)\)", str(request.messages[0]["content"]))
            day = QUESTION_DAY.search(last)
            call = {
                "symbol": symbol[1] if symbol else "",
                "target_date": day[1] if day else "",
                "price_levels": None,
            }
            return tool_call(NAME, call) if request.forced_tool else structured(call)
        if request.schema_name == "prediction":
            return structured(prediction(predict(last)))
        told = re.search(r"Forecast: (On .*?last close \$[\d,.]*\d)", last)
        return text(says or (f"{told[1]}." if told else "No."))

    return respond


def by_name(models: Mapping[str, Callable[[Request], Answer]]) -> Callable[[Request], Answer]:
    """One server with several models."""
    return lambda request: models[request.body["model"]](request)


def always_failing(request: Request) -> Answer:
    return failed(400, "this model is broken")


def contestants(url: str, names: Sequence[str], **known: Any) -> tuple[Contestant, ...]:
    return tuple(Contestant(name, url, None, **known) for name in names)


class Spoken:
    """A language model without a server: says replies in turn, and keeps what it was asked."""

    name, calls_tools = "spoken", True

    def __init__(self, respond: Callable[[Request], Answer]) -> None:
        self.respond = respond
        self.requests: list[dict[str, Any]] = []

    def chat(self, messages: Any, **wanted: Any) -> Reply:
        body: dict[str, Any] = {"model": self.name, "messages": list(messages), **wanted}
        if body.get("schema"):
            name, schema = body.pop("schema")
            inner = {"name": name, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": inner}
        self.requests.append(json.loads(json.dumps(body)))
        answer = self.respond(Request("POST", "/v1/chat/completions", {}, body))
        if answer.status != 200:
            raise LanguageModelError(f"answered {answer.status}")
        return read_reply(json.loads(answer.content), ())


class Played(Contestant):
    """A contestant that is `Spoken`, without a server."""

    spoken: Spoken

    def __init__(self, name: str, spoken: Spoken) -> None:
        super().__init__(name, "http://127.0.0.1:9/v1", None)
        object.__setattr__(self, "spoken", spoken)

    @property
    def calls_tools(self) -> bool:
        return bool(self.spoken.calls_tools)

    def connect(self, environ: Mapping[str, str]) -> Any:
        return self.spoken
