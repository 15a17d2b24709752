"""What a person gets to see for a question, and how it came about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from belief_tools.forecast_tool import ForecastResult

UNCHECKED: Mapping[str, Any] = {"passed": None, "findings": [], "rejected": None}


@dataclass(frozen=True)
class Answer:
    """What a person gets to see, and how it came about.

    Attributes:
        question: as asked.
        symbol: the one it was answered for; None when no prices were looked at.
        text: the answer that is shown.
        result: the forecast it rests on; None when no price to come was asked for.
        consulted_by: "model", "arguments", "host", "context" or "none".
        tool_calls: every call in order: {"name", "arguments", "by", "result" or "error"}, where
            "asked" is what the model itself passed.
        prediction: the model's own {"price", "low", "high", "prob_up", "reasons"}, or None, with
            what `belief_tools.prediction.judged` says of it; its words are not checked.
        checks: {"passed", "findings", "rejected"}: what the grounding check found in the last text,
            and that text where it was replaced; "passed" is None where no model's text was checked.
        model: name of the language model, or None when none was asked.
        stop_reason: "answered", "repaired", "replaced", "from the tool", "past price",
            "not a price question", "not consulted" or "language model failed".
        notes: what was assumed, corrected or went wrong.
        receipt: lines by our code that say what the answer rests on.
    """

    question: str
    symbol: str | None
    text: str
    result: ForecastResult | None
    consulted_by: str
    tool_calls: tuple[dict[str, Any], ...]
    prediction: dict[str, Any] | None
    checks: Mapping[str, Any]
    model: str | None
    stop_reason: str
    notes: tuple[str, ...]
    receipt: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the fields of the result first, then those of the answer."""
        fields = {} if self.result is None else self.result.to_dict()
        own = {name: value for name, value in vars(self).items() if name != "result"}
        notes = [*fields.get("notes", []), *self.notes]
        return {**fields, **own, "notes": notes}


def without_model(
    question: str,
    text: str,
    stop_reason: str,
    *,
    symbol: str | None = None,
    calls: Sequence[dict[str, Any]] = (),
    notes: Sequence[str] = (),
    receipt: Sequence[str] = (),
) -> Answer:
    """An answer by our own code alone, for which no language model was asked.

    Args:
        question: as asked.
        text: the answer.
        stop_reason: as `Answer` has it.
        symbol: whose prices were looked at.
        calls: the tools that were called, by the host.
        notes: what was assumed.
        receipt: what it rests on.
    """
    return Answer(
        question=question,
        symbol=symbol,
        text=text,
        result=None,
        consulted_by="host" if calls else "none",
        tool_calls=tuple(calls),
        prediction=None,
        checks=UNCHECKED,
        model=None,
        stop_reason=stop_reason,
        notes=tuple(notes),
        receipt=tuple(receipt),
    )
