"""A small case of each script under benchmarks/, so that what prints the figures keeps running."""

import sys
from pathlib import Path

import numpy as np
import pytest

from belief.observations import observe
from belief.sources import load_prices

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import answer_survival
import choose_few_state
import founding_case
import hmm_speed


def test_the_e_step_is_clearly_faster_than_hmmlearn_and_gives_the_same_counts():
    returns = observe(load_prices("NVDA")).log_return
    logpdf = hmm_speed.emission_logpdf(returns, 0.001, np.array([0.015, 0.026, 0.052]), 6.0)
    runs = hmm_speed.contenders(logpdf)
    log_likelihood, counts = runs["belief"]()
    for name in hmm_speed.BOUNDS:
        other, other_counts = runs[name]()
        assert log_likelihood == pytest.approx(other, abs=1e-6)
        np.testing.assert_allclose(counts, other_counts, atol=1e-4)
    medians = hmm_speed.measure(runs, rounds=30)
    # half of what the benchmark itself asks for: this may run beside anything
    for name, bound in hmm_speed.BOUNDS.items():
        assert medians[name] / medians["belief"] > bound / 2


def test_the_founding_case_is_as_the_docs_print_it(capsys):
    founding_case.main()
    printed = capsys.readouterr().out.strip()
    page = Path(__file__).parent.parent / "docs" / "founding-case.md"
    assert printed in page.read_text(encoding="utf-8")


def test_the_choice_of_settings_scores_every_candidate_on_the_same_sessions(monkeypatch):
    monkeypatch.setattr(choose_few_state, "HALF_LIVES", (250.0, np.inf))
    monkeypatch.setattr(choose_few_state, "PRIOR_MOVES", (10.0,))
    returns = observe(load_prices("NVDA")).log_return
    scores = choose_few_state.walk(returns, 600, 650)
    assert set(scores) == {"static", (250.0, 10.0), (np.inf, 10.0)}
    assert {len(values) for values in scores.values()} == {50}
    assert all(0.5 < values.mean() < 3.5 for values in scores.values())


def test_the_choice_of_settings_never_sees_what_it_scores(monkeypatch):
    monkeypatch.setattr(choose_few_state, "HALF_LIVES", (250.0,))
    monkeypatch.setattr(choose_few_state, "PRIOR_MOVES", (10.0,))
    returns = observe(load_prices("NVDA")).log_return[:660].copy()
    before = choose_few_state.walk(returns, 600, 621)
    returns[610:] = np.random.default_rng(0).normal(0.0, 0.03, len(returns) - 610)
    after = choose_few_state.walk(returns, 600, 621)
    for name, values in before.items():
        np.testing.assert_array_equal(values[:10], after[name][:10])


def test_the_questions_of_the_repository_are_future_prices_of_nvidia():
    from belief_tools.questions import read_question

    lines = answer_survival.QUESTIONS.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 20
    for line in lines:
        as_of, text = line.split("\t")
        question = read_question(text, as_of=np.datetime64(as_of), symbols={"NVDA": ("Nvidia",)})
        assert question.kind == "future_price", text
