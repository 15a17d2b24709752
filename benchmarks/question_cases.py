"""Score how questions are understood on cases of which the right reply is written down.

Each case says what a question asks for as of Friday 2024-03-01, with Nvidia at $822.79: a forecast
(for which session, with which price levels), a past price (of which session) or something else. A
case with a question "before" is the second of a conversation.
Prints the misread ones and the share that was right; exits with 1 below 95 %.

    python benchmarks/question_cases.py [QUESTIONS.jsonl]            how they are read
    python benchmarks/question_cases.py --model [QUESTIONS.jsonl]    the reply of the whole pipeline

Without a file it is our own questions, and beside them those of an author who had not seen the
reader.

With --model the local language model answers, and a reply is right when the forecast it rests on is
for the right session and levels, when a past price is that of the right session, and when anything
else gets neither. This takes some seconds a question. It also prints how often the model's own text
passed the checks, was repaired at the second try, or was replaced by the belief's statement.
"""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from belief.errors import UnknownSymbol, UsageError
from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL
from belief.prices import Prices
from belief.sources import load_prices
from belief_tools import history_tool
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import ForecastTool
from belief_tools.local_model import local_endpoint
from belief_tools.looked_up import PAST_PRICE
from belief_tools.turns import read, turn_of

QUESTIONS = Path(__file__).with_name("cases") / "questions.jsonl"
UNSEEN = QUESTIONS.with_name("unseen_questions.jsonl")
AS_OF = "2024-03-01"
LEAST_RIGHT = 0.95
KINDS = {"future_price": "forecast", "past_price": "past_price", "other": "other"}


class Understood(NamedTuple):
    """What a question was taken for."""

    kind: str
    target: str | None = None
    levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class Known:
    """The prices and names that questions are read with, without a model fitted to them."""

    prices: Prices
    symbols: dict[str, tuple[str, ...]]


def cases(path=QUESTIONS):
    """Read the cases, one JSON object a line."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def wanted(case):
    """Say what a case takes the question for."""
    return Understood(case["kind"], case["target"], tuple(map(float, case["levels"])))


def known_then():
    """Give what was known on the day of the cases."""
    prices = load_prices("NVDA").until(np.datetime64(AS_OF))
    return Known(prices, {prices.symbol: (prices.name, "Nvidia")})


def turns_before(case, known):
    """Give the conversation that a case goes on."""
    return [turn_of(read(case["before"], known), None)] if "before" in case else []


def understood(case, known):
    """Read a case without a language model; what is about another company is none of ours."""
    asked = read(case["question"], known, turns_before(case, known))
    if asked.symbol is None and asked.other_symbols:
        return Understood("other")
    target = None if asked.target is None else str(asked.target)
    return Understood(KINDS[asked.kind], target, asked.levels)


def replied(case, tool, totals):
    """Ask through the whole pipeline; without a date in the question any session will do.

    What became of the model's text is counted in `totals`.
    """
    earlier = turns_before(case, tool)
    try:
        given = answer(case["question"], tool, lambda: local_endpoint(say=print), earlier=earlier)
    except UnknownSymbol as error:
        return Understood("other"), str(error)
    except UsageError as error:  # too far ahead, or no day: read right and refused is right
        return understood(case, tool), str(error)
    if given.checks["passed"] is not None:
        totals[given.stop_reason] += 1
    if given.result is not None:
        levels = tuple(float(entry["level"]) for entry in given.result.prob_above)
        target = given.result.target if case["target"] else None
        return Understood("forecast", target, levels), given.text
    told = next((c["result"] for c in given.tool_calls if c["name"] == history_tool.NAME), None)
    if told is None:
        return Understood("other"), given.text
    of_one = given.stop_reason == PAST_PRICE
    levels = read(case["question"], tool, earlier).levels if of_one else ()
    return Understood("past_price", told["last_date"], levels), given.text


def misread(asked, understand):
    """Yield the cases that were taken for something else, with what they were taken for."""
    for case in asked:
        got, said = understand(case)
        if got != wanted(case):
            yield case, got, said


def main(arguments):
    """Score the questions of a file, or our own and beside them the unseen ones."""
    files = [Path(name) for name in arguments if name != "--model"]
    with_model = "--model" in arguments
    if files:
        return report(files[0], with_model)
    print("by an author who had not seen the reader:")
    report(UNSEEN, with_model)
    print("our own:")
    return report(QUESTIONS, with_model)


def report(file, with_model):
    """Print the misread questions of a file, and the share read right; 1 when it is too small."""
    asked = cases(file)
    known, totals = known_then(), Counter()
    if with_model:
        tool = ForecastTool(known.prices, cached_fit(DEFAULT_MODEL, known.prices), None)
        wrong = misread(asked, lambda case: replied(case, tool, totals))
    else:
        wrong = misread(asked, lambda case: (understood(case, known), None))
    n_wrong = 0
    for case, got, said in wrong:
        n_wrong += 1
        before = f"{case['before']!r}, then " if "before" in case else ""
        print(f"{before}{case['question']!r} ({case['note']})")
        print(f"    is    {wanted(case)}\n    taken {got}" + (f"\n    {said}" if said else ""))
        sys.stdout.flush()
    right = 1.0 - n_wrong / len(asked)
    print(f"{len(asked) - n_wrong} of {len(asked)} questions were read right: {right:.1%}")
    if totals:
        print(
            f"of {totals.total()} texts of the model {totals['answered']} passed the checks, "
            f"{totals['repaired']} were repaired and {totals['replaced']} replaced"
        )
    return 0 if right >= LEAST_RIGHT else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
