"""The arms of an evaluation: the same question to a model that is told more, or less.

none      nothing but the day
price     the last close, and those of the sessions before
band      the last close, and where a random walk would end in nine of ten cases
context   the belief in the prompt
tool      the belief through its tool, which the model has to consult

The last two are the product's own consultation, with its checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from belief.errors import LanguageModelError, UsageError
from belief.forecast import Forecast
from belief_tools.consult import Mode, consult, parsed
from belief_tools.forecast_tool import ForecastTool, rounded
from belief_tools.llm import LanguageModel, Message
from belief_tools.marked_text import whole_words
from belief_tools.prediction import (
    BOUNDED_PREDICTION,
    checked_prediction,
    prediction_wanted,
    whole,
)
from belief_tools.turns import read

Arm = Literal["none", "price", "band", "context", "tool"]
ARMS: Final[tuple[Arm, ...]] = ("none", "price", "band", "context", "tool")
CONSULTING: Final[Mapping[Arm, Mode]] = {"context": "context", "tool": "tool"}
TOKENS: Final = 300
FIGURES: Final = ("price", "low", "high", "prob_up")
REFUSES: Final = whole_words(r"i cannot|i can't|i'm unable|i am unable|as an ai|sorry")


@dataclass(frozen=True)
class Facts:
    """What the prompts of one question are made of.

    Attributes:
        tool: the belief at the origin, perhaps in disguise.
        target: the session asked about.
        closes: the last ones, oldest first.
        band: where a random walk ends in nine of ten cases.
        asked: the question, where it is not the usual one.
    """

    tool: ForecastTool
    target: np.datetime64
    closes: tuple[float, ...]
    band: tuple[float, float]
    asked: str = ""

    @property
    def question(self) -> str:
        """The question, in the same words for every arm."""
        return self.asked or f"What will {self.tool.prices.name}'s stock price be on {self.target}?"


@dataclass(frozen=True)
class Said:
    """What came of one question.

    Attributes:
        own: "price", "low", "high" and "prob_up" that the model itself said, or None where they
            are unusable, or where the text beside them was rejected.
        shown: the same of what the product showed, or None where it had nothing to show.
        text: in which it was said.
        unusable: no figures could be read.
        refused: the model said that it would not answer.
        replaced: the text did not pass the checks.
        failed: no reply came.
        consulted_by: as `Answer` has it; None for arms without a consultation.
        grounded: whether a text passed the checks; None where none was checked.
    """

    own: Mapping[str, float] | None
    shown: Mapping[str, float] | None
    text: str
    unusable: bool
    refused: bool
    replaced: bool
    failed: bool
    consulted_by: str | None
    grounded: bool | None


def ask(arm: Arm, facts: Facts, model: LanguageModel) -> Said:
    """Ask the question of one arm.

    Args:
        arm: one of `ARMS`.
        facts: what its prompt may hold.
        model: is asked.
    """
    if arm in CONSULTING:
        return _consulted(facts, model, CONSULTING[arm])
    try:
        reply = model.chat(
            messages(arm, facts), schema=("prediction", BOUNDED_PREDICTION), max_tokens=TOKENS
        )
    except LanguageModelError as error:
        return _nothing(str(error), failed=True)
    try:
        own = _figures(checked_prediction(parsed(whole(reply))))
    except UsageError:
        return _nothing(reply.text)
    return Said(own, own, reply.text, False, False, False, False, None, None)


def messages(arm: Arm, facts: Facts) -> list[Message]:
    """Write the prompt of an arm without a consultation.

    Args:
        arm: "none", "price" or "band".
        facts: what it may hold.
    """
    wanted = prediction_wanted(facts.tool.prices, facts.question, _told(arm, facts))
    return [{"role": "user", "content": wanted}]


def _told(arm: Arm, facts: Facts) -> str:
    """What an arm is told beside the question, in the form in which others get the belief."""
    if arm == "none":
        return ""
    last = rounded(facts.closes[-1])
    if arm == "price":
        closes = ", ".join(str(rounded(close)) for close in facts.closes)
        return f"Last close {last}. The last {len(facts.closes)} closes, oldest first: {closes}"
    low, high = map(rounded, facts.band)
    return f"Last close {last}. Random walk: price {last}, low {low}, high {high}, prob_up 0.5"


def _consulted(facts: Facts, model: LanguageModel, mode: Mode) -> Said:
    given = consult(read(facts.question, facts.tool), facts.tool, lambda: model, mode=mode)
    replaced, failed = (
        given.stop_reason == reason for reason in ("replaced", "language model failed")
    )
    usable = given.prediction is not None and not replaced and not failed
    text = given.checks["rejected"] if replaced else given.text
    return Said(
        own=_figures(given.prediction) if usable and given.prediction else None,
        shown=figures_of(facts.tool.forecast(facts.target)),
        text=text,
        unusable=given.prediction is None and not failed,
        refused=not failed and _refuses(text),
        replaced=replaced,
        failed=failed,
        consulted_by=given.consulted_by,
        grounded=given.checks["passed"],
    )


def _nothing(text: str, *, failed: bool = False) -> Said:
    refused = not failed and _refuses(text)
    return Said(None, None, text, not failed, refused, False, failed, None, None)


def _refuses(text: str) -> bool:
    return REFUSES.search(text.replace("\u2019", "'")) is not None


def _figures(prediction: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(prediction[name]) for name in FIGURES}


def figures_of(forecast: Forecast) -> dict[str, float]:
    """The figures of a forecast, as a model would state them.

    Args:
        forecast: of a model without words.
    """
    low, high = forecast.interval(0.9)
    return {
        "price": forecast.median,
        "low": low,
        "high": high,
        "prob_up": forecast.prob_up,
    }
