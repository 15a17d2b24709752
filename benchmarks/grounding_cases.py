"""Score the grounding check on answers of which each is known to be right or wrong in one place.

Half of the answers in cases/answers.jsonl say only what the forecast says; each of the others is
wrong in one figure or word. The forecasts that a file of answers is about stand beside it, in the
file that is named like it with "results" for "answers": answers.jsonl goes with results.json, and
unseen_answers.jsonl with unseen_results.json. Prints how many wrong answers were caught and how
many right ones were refused, with those that were misjudged; exits with 1 below the target.

    python benchmarks/grounding_cases.py                   our own answers, and beside them those of
                                                           an author who had not seen the check
    python benchmarks/grounding_cases.py ANSWERS.jsonl     those of a file
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from belief_tools.grounding import Finding, check

CASES = Path(__file__).with_name("cases")
LEAST_CAUGHT = 0.99  # of the wrong answers
MOST_REFUSED = 0.01  # of the right answers


@dataclass(frozen=True)
class Scored:
    """One answer and what the check found in it."""

    case: Mapping[str, Any]
    findings: tuple[Finding, ...]

    @property
    def misjudged(self) -> bool:
        """Whether a right answer was refused, or a wrong one passed."""
        return bool(self.findings) == self.case["ok"]


def results_of(answers):
    """Return the file of the forecasts that a file of answers is about."""
    return answers.with_name(answers.name.replace("answers", "results")).with_suffix(".json")


def score(answers=CASES / "answers.jsonl"):
    """Check every answer against the forecast that it is about."""
    asked = json.loads(results_of(answers).read_text(encoding="utf-8"))
    scored = []
    for line in answers.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        known = asked[case["result"]]
        found = check(case["answer"], known["result"], question=known["question"])
        scored.append(Scored(case, found))
    return scored


def rates(scored):
    """Return the share of wrong answers that were caught, and of right ones that were refused."""
    right = [one for one in scored if one.case["ok"]]
    wrong = [one for one in scored if not one.case["ok"]]
    caught = sum(bool(one.findings) for one in wrong) / len(wrong)
    return caught, sum(bool(one.findings) for one in right) / len(right)


def main(arguments):
    """Print the rates of a file, or of our own answers and beside them of the unseen ones."""
    if arguments:
        return report(Path(arguments[0]))
    print("by an author who had not seen the check:")
    report(CASES / "unseen_answers.jsonl")
    print("our own:")
    return report(CASES / "answers.jsonl")


def report(answers):
    """Print the misjudged answers of a file and the rates; 1 when they are below the target."""
    scored = score(answers)
    for number, one in enumerate(scored, 1):
        if one.misjudged:
            print(f"{number}. {'REFUSED' if one.case['ok'] else 'PASSED'}: {one.case['answer']!r}")
            print(f"    {'; '.join(f.message for f in one.findings) or one.case['wrong']!r}")
    caught, refused = rates(scored)
    n_right = sum(one.case["ok"] for one in scored)
    print(f"caught {caught:.1%} of {len(scored) - n_right} wrong answers")
    print(f"refused {refused:.1%} of {n_right} right answers")
    return 0 if caught >= LEAST_CAUGHT and refused <= MOST_REFUSED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
