"""belief_now: what the model holds to be true of a stock at the last close."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from belief.models import belief
from belief.posterior import Belief, LastSession, Regime
from belief_tools.forecast_tool import ForecastTool
from belief_tools.history_tool import change_in_words
from belief_tools.receipt import percent

NAME: Final = "belief_now"
LEAST_SHARE: Final = 0.001  # regimes less likely are not named in the summary
# Entropy as a share of the largest there can be, and what it amounts to.
DOUBT: Final = ((0.05, "hardly any"), (0.25, "little"), (0.6, "some"), (math.inf, "much"))
# A language model is not shown what it has no use for, nor twice what the summary says.
NOT_SHOWN: Final = ("last_session", "doubt", "entropy", "model")
SHOWN_OF_REGIME: Final = ("probability", "volatility", "sessions_left")

PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "description": "Ticker symbol, for example NVDA."},
    },
    "required": ["symbol"],
    "additionalProperties": False,
}

DEFINITION: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": NAME,
        "description": "Which regime (calm, normal, turbulent, crisis) a stock is in at its last "
        "close and how sure that is, how volatile it is, what the last session changed, and how "
        "likely regimes change. It has no prices.",
        "strict": True,
        "parameters": PARAMETERS,
    },
}


@dataclass(frozen=True)
class BeliefResult:
    """The belief at as_of: plain values; shares and volatilities as fractions (0.45 is 45 %).

    Attributes:
        summary: two sentences that already answer.
        symbol, as_of: what the belief is about.
        regimes: {"name", "probability", "before", "volatility", "sessions_left"} of each, quietest
            first: its probability now and before the last session was seen, the annualised
            volatility inside it, and how long it lasts if the market is in it.
        volatility: annualised standard deviation of the next session's log return, scheduled
            events left out.
        volatility_interval_90: [low, high] that bracket 90 % of the belief; None for models whose
            volatility is no part of the belief.
        last_session: {"change", "event", "return_tail", "range_tail", "volatility_before",
            "volatility_after"}: change of the close, whether it reacted to a scheduled event, the
            probabilities of a move and (given it) of a range at least as large, and the volatility
            believed in before and after; None for models that do not say.
        transition_matrix: probabilities of moving between regimes in one session, in force now.
        doubt: how undecided the belief is, in words.
        entropy: the same in nats; 0 is certain.
        age_in_days: calendar days from as_of to today; None when as_of was asked for.
        source: where the prices come from.
        model: which model holds the belief, through which session it was fitted.
        notes: what else has to be said.
    """

    summary: str
    symbol: str
    as_of: str
    regimes: list[dict[str, Any]]
    volatility: float
    volatility_interval_90: list[float] | None
    last_session: dict[str, Any] | None
    transition_matrix: list[list[float]]
    doubt: str
    entropy: float
    age_in_days: int | None
    source: str
    model: str
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields in order, as plain values."""
        return asdict(self)

    def to_json(self) -> str:
        """What the language model is shown: the fields in fewer words, those without use left out.

        Regimes are {name: {...}}.
        """
        fields = {
            name: value
            for name, value in self.to_dict().items()
            if name not in NOT_SHOWN and value not in (None, [])
        }
        fields["regimes"] = {
            each["name"]: {name: each[name] for name in SHOWN_OF_REGIME} for each in self.regimes
        }
        return json.dumps(fields, separators=(",", ":"))


def run(tool: ForecastTool, arguments: Mapping[str, Any]) -> BeliefResult:
    """Read the belief at the last session of the tool.

    Args:
        tool: holds the prices and a model with states.
        arguments: of a call, whoever wrote them.

    Raises:
        UsageError: an argument is missing or unknown, or the model has no states.
    """
    tool.check_call(NAME, PARAMETERS, arguments)
    held = belief(tool.fitted)
    regimes = [_regime(each) for each in held.regimes]
    fields: dict[str, Any] = {
        "symbol": tool.prices.symbol,
        "as_of": str(held.as_of),
        "regimes": regimes,
        "volatility": round(held.volatility, 4),
        "volatility_interval_90": _interval(held),
        "last_session": held.last_session and _last_session(held.last_session),
        "transition_matrix": held.transition_matrix.round(3).tolist(),
        "doubt": f"{_doubt(held)} doubt about the regime",
        "entropy": round(held.entropy, 3),
        "age_in_days": tool.age_in_days,
        "source": tool.prices.source,
        "model": tool.model_in_words,
        "notes": _notes(held, tool),
    }
    return BeliefResult(summary=_summary(tool.prices.name, fields), **fields)


def _regime(regime: Regime) -> dict[str, Any]:
    return {
        "name": regime.name,
        "probability": round(regime.probability, 4),
        "before": round(regime.before, 4),
        "volatility": round(regime.volatility, 2),
        "sessions_left": round(regime.remaining_sessions),
    }


def _interval(held: Belief) -> list[float] | None:
    low, high = held.volatility_interval_90
    if low == high or not low <= held.volatility <= high:
        return None
    return [round(low, 4), round(high, 4)]


def _last_session(last: LastSession) -> dict[str, Any]:
    return {
        "change": round(math.expm1(last.log_return), 4),
        "event": last.event,
        "return_tail": round(last.return_tail, 3),
        "range_tail": None if last.range_tail is None else round(last.range_tail, 3),
        "volatility_before": round(last.volatility_before, 4),
        "volatility_after": round(last.volatility_after, 4),
    }


def _doubt(held: Belief) -> str:
    share = held.entropy / math.log(len(held.regimes))
    return next(word for most, word in DOUBT if share < most)


def _notes(held: Belief, tool: ForecastTool) -> list[str]:
    borrowed = [regime.name for regime in held.regimes if regime.from_prior]
    rows = f"moves out of {' and '.join(borrowed)} are too few: its row is that of the static fit"
    return [*tool.belief_notes, *([rows] if borrowed else [])]


def _summary(name: str, fields: Mapping[str, Any]) -> str:
    regimes = fields["regimes"]
    likeliest = max(regimes, key=lambda each: float(each["probability"]))
    others = ", ".join(
        f"{each['name']} {_share(each['probability'])}"
        for each in regimes
        if each is not likeliest and each["probability"] >= LEAST_SHARE
    )
    band = ""
    if fields["volatility_interval_90"] is not None:
        low, high = fields["volatility_interval_90"]
        band = f", 90 % of the belief between {_whole(low)} and {_whole(high)}"
    surely = "is" if likeliest["probability"] >= 0.5 else "is most likely"
    left = likeliest["sessions_left"]
    return (
        f"As of {fields['as_of']} {name} {surely} in the {likeliest['name']} regime with "
        f"{_share(likeliest['probability'])}{f' ({others})' if others else ''}; "
        f"volatility {_whole(fields['volatility'])} a year{band}; "
        f"the regime lasts about {left:,} more session{'' if left == 1 else 's'}. "
        f"{_last_in_words(fields['last_session'])}{fields['doubt']}."
    )


def _last_in_words(last: Mapping[str, Any] | None) -> str:
    if last is None:
        return "There is "
    before, after = _whole(last["volatility_before"]), _whole(last["volatility_after"])
    verb = "lowered" if last["volatility_after"] < last["volatility_before"] else "raised"
    did = ("left", f"at {after}") if before == after else (verb, f"from {before} to {after}")
    event = ", after a scheduled event" if last["event"] else ""
    # its own: the belief about the next session has moved on from there
    return (
        f"The last session ({change_in_words(last['change'])}{event}) {did[0]} the estimate of "
        f"its own volatility {did[1]}, and there is "
    )


def _share(probability: float) -> str:
    """A probability in whole percent, to a tenth below 1 %, never rounded to certainty."""
    if probability >= 0.01:
        return percent(probability)
    return f"{100.0 * probability:.1f} %" if probability >= LEAST_SHARE else percent(probability)


def _whole(volatility: float) -> str:
    return f"{100.0 * volatility:.0f} %"
