"""Ask the local language model the questions of questions.txt and count whose text survived.

Prints, for each question, how the consultation happened and whether the model's own text passed the
grounding check ("answered"), passed at the second try ("repaired") or was replaced by the belief's
statement; then the totals.

    python benchmarks/answer_survival.py
"""

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


def ask(as_of, question, prices):
    """One question, as of its day."""
    known = prices.until(np.datetime64(as_of))
    tool = ForecastTool(known, cached_fit(DEFAULT_MODEL, known), None)
    return answer(question, tool, lambda: local_endpoint(say=print))


def main():
    prices, totals = load_prices("NVDA"), Counter()
    for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
        as_of, question = line.split("\t")
        given = ask(as_of, question, prices)
        totals[given.stop_reason] += 1
        print(f"{as_of}  {question}")
        print(f"    {given.stop_reason}, consulted by {given.consulted_by}: {given.text}")
        if given.checks["rejected"]:
            print(f"    rejected: {' '.join(given.checks['rejected'].split())}")
        sys.stdout.flush()
    own = totals["answered"] + totals["repaired"]
    print(f"{own} of {totals.total()} texts were the model's own: {dict(totals)}")


if __name__ == "__main__":
    main()
