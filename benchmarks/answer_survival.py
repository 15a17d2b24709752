"""Ask the local language model the test questions and count whose text survived the checks.

The questions about a price to come are those of questions.txt, each as of its day, and those of
cases/questions.jsonl as of 2024-03-01. Prints, for each, how the consultation happened and whether
the model's own text passed the grounding check ("answered"), passed at the second try ("repaired")
or was replaced by the belief's statement; then the totals of both sets. The wording of the prompt
was chosen on the first.

    python benchmarks/answer_survival.py [--cases]     only the second set
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from belief.model_cache import cached_fit
from belief.models import DEFAULT_MODEL
from belief.sources import load_prices
from belief_tools.dispatch import answer
from belief_tools.forecast_tool import ForecastTool
from belief_tools.local_model import local_endpoint

QUESTIONS = Path(__file__).with_name("questions.txt")
CASES = Path(__file__).with_name("cases") / "questions.jsonl"
AS_OF = "2024-03-01"


def chosen_on():
    """Give (as of, question) of those that the wording of the prompt was chosen on."""
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        as_of, question = line.split("\t")
        yield as_of, question


def cases():
    """Give (as of, question) of the cases that ask for a price to come, follow-ups left out."""
    for line in CASES.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        if case["kind"] == "forecast" and "before" not in case:
            yield AS_OF, case["question"]


def ask(as_of, question, prices):
    """One question, as of its day."""
    known = prices.until(np.datetime64(as_of))
    tool = ForecastTool(known, cached_fit(DEFAULT_MODEL, known), None)
    return answer(question, tool, lambda: local_endpoint(say=print))


def survival(questions, prices):
    """Ask them all and print what came of each; count how the answers came about."""
    totals = Counter()
    for as_of, question in questions:
        given = ask(as_of, question, prices)
        totals[given.stop_reason] += 1
        print(f"{as_of}  {question}")
        print(f"    {given.stop_reason}, consulted by {given.consulted_by}: {given.text}")
        if given.checks["rejected"]:
            print(f"    rejected: {' '.join(given.checks['rejected'].split())}")
            print(f"    because {given.checks['findings'][0]['message']}")
        sys.stdout.flush()
    return totals


def main(arguments):
    """Print every answer and the totals of each set."""
    prices = load_prices("NVDA")
    sets = {} if arguments == ["--cases"] else {"questions.txt": chosen_on()}
    counted = {
        name: survival(asked, prices)
        for name, asked in {**sets, "cases/questions.jsonl": cases()}.items()
    }
    for name, totals in counted.items():
        passed, repaired, replaced = (
            totals[reason] for reason in ("answered", "repaired", "replaced")
        )
        print(
            f"{name}: of {totals.total()} answers {passed} passed, {repaired} were repaired, "
            f"{replaced} were replaced, {totals.total() - passed - repaired - replaced} other"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
