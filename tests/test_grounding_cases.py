import json
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import grounding_cases
from grounding_cases import LEAST_CAUGHT, MOST_REFUSED, main, rates, results_of, score


@pytest.fixture(scope="module")
def scored():
    return score()


def test_there_are_at_least_300_cases_and_half_of_them_are_wrong(scored):
    n_right = sum(one.case["ok"] for one in scored)
    assert len(scored) >= 300
    assert abs(2 * n_right - len(scored)) <= 0.03 * len(scored)
    assert {one.case["result"] for one in scored} == set(range(12))


def test_every_wrong_answer_differs_from_a_right_one_and_says_where(scored):
    right = {one.case["answer"] for one in scored if one.case["ok"]}
    for one in scored:
        if not one.case["ok"]:
            assert one.case["answer"] not in right
            assert one.case["wrong"] in one.case["answer"]
            assert one.case["note"]


def test_no_answer_is_scored_twice(scored):
    counted = Counter((one.case["result"], one.case["answer"]) for one in scored)
    assert max(counted.values()) == 1


def test_the_check_catches_wrong_answers_and_passes_right_ones(scored):
    caught, refused = rates(scored)
    misjudged = [one.case["answer"] for one in scored if one.misjudged]
    assert caught >= LEAST_CAUGHT, misjudged
    assert refused <= MOST_REFUSED, misjudged


def test_a_check_that_finds_nothing_fails_the_script(monkeypatch, capsys):
    monkeypatch.setattr(grounding_cases, "check", lambda text, result, question: ())
    assert main([]) == 1
    assert "caught 0.0%" in capsys.readouterr().out


def test_the_script_prints_both_rates_and_ends_well(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "wrong answers" in out
    assert "right answers" in out


def test_a_file_of_answers_is_scored_on_the_results_named_like_it(tmp_path, capsys):
    answers, results = tmp_path / "unseen_answers.jsonl", tmp_path / "unseen_results.json"
    assert results_of(answers) == results
    asked = json.loads((grounding_cases.CASES / "results.json").read_text(encoding="utf-8"))
    results.write_text(json.dumps(asked[5:6]), encoding="utf-8")
    right = {"result": 0, "answer": "The median is $7.71.", "ok": True, "wrong": "", "note": ""}
    wrong = {"result": 0, "answer": "The median is $834.", "ok": False, "wrong": "$834", "note": ""}
    answers.write_text("\n".join(map(json.dumps, (right, wrong))), encoding="utf-8")
    assert main([answers]) == 0
    assert "caught 100.0% of 1 wrong" in capsys.readouterr().out
