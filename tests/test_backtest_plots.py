"""Pictures of a backtest that is made up, so that what they must show is known."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from sheets import made_up

from belief.backtest_plots import coverage_by_horizon as draw_coverage
from belief.backtest_plots import figures
from belief.backtest_sheet import coverage_by_horizon
from belief.backtest_summary import columns_of
from belief.models import MODELS

MANY = {model: 0.0 for model in MODELS}


@pytest.fixture(scope="module")
def drawn():
    return figures(made_up(MANY, n=60, horizons=(1,)), "garch_t")


def look(line):
    return line.get_color(), line.get_linestyle(), line.get_marker()


def test_no_two_models_look_alike_however_many_there_are(drawn):
    [axes] = drawn["log_score_gain"].axes
    lines = {line.get_label(): look(line) for line in axes.lines if line.get_label() in MANY}
    assert len(lines) == len(set(lines.values())) == len(MODELS) - 1 > 14
    [axes] = drawn["skill_by_horizon"].axes
    points = {each.get_label(): look(each.lines[0]) for each in axes.containers}
    assert len(points) == len(set(points.values())) == len(MODELS) - 1


@pytest.mark.parametrize("name", ["skill_by_horizon", "reliability", "coverage_by_regime"])
def test_the_legend_of_many_models_covers_no_title(drawn, name):
    figure = drawn[name]
    figure.draw_without_rendering()
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        for words in (axes._left_title, *axes.texts):
            assert not legend.overlaps(words.get_window_extent()), words.get_text()
        assert legend.y0 >= 0.0 and legend.x1 <= figure.bbox.x1


def test_the_legends_of_many_models_do_not_meet(drawn):
    figure = drawn["coverage_by_year"]
    figure.draw_without_rendering()
    boxes = [axes.get_legend().get_window_extent() for axes in figure.axes]
    assert not [1 for one, other in combinations(boxes, 2) if one.overlaps(other)]


def test_the_band_around_the_reliability_holds_nine_in_ten_points_of_calibrated_models():
    table = made_up({"belief": 0.0, "garch_t": 0.0}, n=160, horizons=(1, 5))
    draw = np.random.default_rng(1)
    for axes, windows in zip(figures(table)["reliability"].axes, (160, 32), strict=True):
        [band] = [each for each in axes.collections if each.get_label() == "90 % by chance"]
        edges = band.get_paths()[0].vertices
        at = np.linspace(1.0, 99.0, 99)
        low, high = (
            np.array([pick(edges[np.isclose(edges[:, 0], x), 1]) for x in at])
            for pick in (min, max)
        )
        share = (draw.uniform(size=(4000, windows, 1)) <= at / 100).mean(axis=1)
        inside = ((low - 1e-9 <= 100 * share - at) & (100 * share - at <= high + 1e-9)).mean(axis=0)
        assert inside.min() > 0.87 and inside[30:70].mean() < 0.96


def test_the_coverage_by_horizon_is_hollow_where_windows_are_few():
    table = made_up({"belief": 0.0}, n=60, horizons=(1, 5))
    of_horizon = {horizon: columns_of(table, "belief", horizon) for horizon in (1, 5)}
    shares = coverage_by_horizon(of_horizon, 90)
    assert [share.group for share in shares] == ["1", "5"]
    assert [share.reach is None for share in shares] == [False, True]
    axes = Figure().subplots()
    draw_coverage(axes, shares, {1: 60, 5: 12}, level=90, model="belief")
    level, known, few = axes.get_lines()
    assert list(level.get_ydata()) == [90, 90]
    assert known.get_xydata().tolist() == [[0.0, 100.0 * shares[0].share]]
    assert few.get_xydata().tolist() == [[1.0, 100.0 * shares[1].share]]
    assert few.get_markerfacecolor() == "none" != known.get_markerfacecolor()
    low, high = shares[0].reach
    [bars] = axes.containers
    [bar] = bars.lines[2][0].get_segments()
    assert bar[:, 1].tolist() == pytest.approx([100.0 * low, 100.0 * high], rel=1e-12)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["1\n60 windows", "5\n12 windows:\ntoo few"]


def test_years_are_joined_where_there_are_three_and_points_where_there_are_fewer():
    for n, joined in ((160, 0), (400, 1)):
        table = made_up({"belief": 0.0}, n=n, horizons=(1,))
        axes = figures(table)["coverage_by_year"].axes[0]
        lines = [line for line in axes.lines if line.get_linestyle() == "-"]
        assert len(lines) - 1 == joined  # one is the level
        [bars] = axes.containers
        assert len(bars.lines[2][0].get_segments()) == 2 + joined


def test_the_points_beside_a_tick_are_centred_on_it():
    found = figures(made_up({"belief": 0.1, "chain": 0.1, "garch_t": 0.0}))["skill_by_horizon"]
    at = [each.lines[0].get_xdata() for each in found.axes[0].containers]
    assert np.mean(at, axis=0) == pytest.approx([0.0, 1.0])
