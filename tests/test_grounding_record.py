import pytest
from grounded import RESULT, M

from belief_tools.grounding import check

RECORDED = {
    **RESULT,
    "track_record": {
        **{"horizon": 21, "source": "backtest", "first": "2013-01-02", "last": "2024-03-01"},
        **{"origins": 2787, "windows": 133, "coverage_50": 0.483, "coverage_90": 0.872},
        "skill_random_walk": [0.096, 0.175, 0.253],
        "skill_garch_t": [-0.012, 0.021, 0.054],
        "verdict": "better than a random walk, no skill over GARCH-t",
    },
}
OF_RECORD = [
    "In a backtest 90 % intervals held 87.2 % of 2,787 closes.",
    "Such intervals held 87 % of 2,787 closes.",
    "Past 90 % intervals contained the close 87.2 % of the time.",
    "The 50 % intervals held 48.3 % of closes and the 90 % intervals 87.2 %.",
    "87.2 % of 2,787 closes fell inside the 90 % interval and 48.3 % inside the 50 % interval.",
    "In a backtest since 2013, coverage of the 90 % interval was 87.2 % over 2,787 origins.",
    "The track record 21 sessions ahead rests on 133 windows that do not overlap.",
    "The track record holds about 2,800 past forecasts in 133 non-overlapping windows.",
    "The track record is better than a random walk, with no skill over GARCH-t.",
    "The skill over a random walk is 0.175 nats.",
    "The backtest has 2,787 sessions.",
    "There are two forecasts, and both are from a backtest.",
    "The interval from $665 to $1,044 contained 90 % of the belief.",
]
NOT_OF_RECORD = [
    ("In a backtest 90 % intervals held 90 % of 2,787 closes.", "percentage"),
    ("In a backtest 90 % intervals held 95 % of closes.", "percentage"),
    ("The 50 % interval held 87.2 % of closes.", "percentage"),
    ("The 80 % interval held 87.2 % of closes.", "percentage"),
    ("Backtests show an 87.2 % chance of a rise.", "percentage"),
    ("The chance of a rise is 87.2 %, as backtests show.", "percentage"),
    ("In backtests it rose 87.2 % of the time.", "percentage"),
    ("In backtests it was right 87.2 % of the time.", "percentage"),
    ("In backtests it made 87.2 % profit.", "subject"),
    ("Such intervals held 87.2 % of 3,000 closes.", "count"),
    ("The track record rests on 134 windows.", "count"),
    ("The track record rests on 2,787 windows.", "count"),
    ("The track record 63 sessions ahead is good.", "count"),
    ("The skill over a random walk is 0.5 nats.", "count"),
    ("In a backtest since 2005 it held.", "date"),
    ("It is 21 sessions from now.", "count"),
    ("It is known since 2013.", "date"),
    ("The backtest reached $2,787.", "price"),
    ("The close will be 2,787 as in the backtest.", "price"),
]


@pytest.mark.parametrize("text", OF_RECORD)
def test_the_figures_of_the_track_record_may_be_quoted(text: str) -> None:
    assert check(M + text, RECORDED) == ()


@pytest.mark.parametrize(("text", "rule"), NOT_OF_RECORD)
def test_a_figure_that_the_track_record_does_not_have_is_found(text: str, rule: str) -> None:
    assert rule in {finding.rule for finding in check(M + text, RECORDED)}


@pytest.mark.parametrize("text", [OF_RECORD[0], OF_RECORD[6], OF_RECORD[9]])
def test_without_a_track_record_none_of_its_figures_may_be_said(text: str) -> None:
    for result in (RESULT, {**RESULT, "track_record": None}):
        assert check(M + text, result) != ()
    too_few = {**RECORDED["track_record"], "skill_random_walk": None, "skill_garch_t": None}
    assert check(M + OF_RECORD[9], {**RESULT, "track_record": too_few}) != ()


def test_the_figures_of_the_track_record_are_no_answer_to_a_question_about_a_price() -> None:
    findings = check(OF_RECORD[0], RECORDED, question="What will the price be?")
    assert [finding.rule for finding in findings] == ["missing"]


VERDICTS = [
    ("It was better than a random walk.", True),
    ("It beats a random walk but shows no skill over GARCH-t.", True),
    ("It was not better than GARCH-t.", True),
    ("It beats GARCH-t.", False),
    ("It was better than both benchmarks.", False),
    ("It shows no skill over a random walk.", False),
    ("It beats the S&P 500.", False),
    ("It outperforms most analysts.", False),
]


@pytest.mark.parametrize(("text", "right"), VERDICTS)
def test_a_claim_to_be_better_is_that_of_the_verdict(text: str, right: bool) -> None:
    assert (check(M + text, RECORDED) == ()) == right


def test_without_a_track_record_nothing_is_beaten() -> None:
    findings = check(M + VERDICTS[0][0], RESULT)
    assert [finding.rule for finding in findings] == ["record"]
