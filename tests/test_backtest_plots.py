"""Pictures of a backtest that is made up, so that what they must show is known."""

from itertools import combinations

import numpy as np
import pytest
from sheets import made_up

from belief.backtest_plots import figures
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
