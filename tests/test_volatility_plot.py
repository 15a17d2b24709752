import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from fitted_grids import fitted_grid, known_prices
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from belief.models import belief, fit
from belief.plots import REGIME_COLOURS
from belief.posterior import StatesAhead
from belief.volatility_plot import volatility_belief


@pytest.fixture(scope="module")
def held():
    return belief(fitted_grid("belief"))


@pytest.fixture
def axes():
    return Figure(figsize=(9.0, 4.0), layout="constrained").subplots()


def bars(axes):
    """Left and right end (%), height (%), colour and hatch of every bar, from the left."""
    found = [
        (
            bar.get_x(),
            bar.get_x() + bar.get_width(),
            bar.get_height(),
            to_hex(bar.get_facecolor()).upper(),
            bar.get_hatch(),
        )
        for container in axes.containers
        for bar in container
    ]
    return sorted(found)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_each_state_has_a_bar_over_its_volatility(axes, held, tmp_path):
    volatility_belief(axes, held)
    axes.figure.savefig(tmp_path / "volatility.png")
    drawn, ahead = bars(axes), held.ahead
    for state in np.flatnonzero(ahead.probability >= 1e-3):
        at = 100.0 * ahead.volatility[state]
        [(_, _, height, colour, _)] = [bar for bar in drawn if bar[0] < at < bar[1]]
        assert height == 100.0 * ahead.probability[state]
        assert colour == REGIME_COLOURS[held.regimes[ahead.regime[state]].name]
    assert sum(bar[2] for bar in drawn) == pytest.approx(100.0, abs=2.0)
    for (_, right, *_), (left, *_) in pairwise(drawn):
        assert right == pytest.approx(left, rel=1e-6)  # a grid's bars stand side by side


def test_regimes_are_told_apart_by_pattern_and_share_too(axes, held):
    volatility_belief(axes, held)
    looks = {(colour, hatch) for *_, colour, hatch in bars(axes)}
    assert len({colour for colour, _ in looks}) == len({hatch for _, hatch in looks}) == len(looks)
    for place, regime in enumerate(held.regimes):
        share = 100.0 * held.ahead.probability[held.ahead.regime == place].sum()
        label = f"{regime.name}: {share:.1f} %"
        assert (label in legend(axes)) == any(
            colour == REGIME_COLOURS[regime.name] for *_, colour, _ in bars(axes)
        )


def test_the_volatility_and_the_interval_are_marked(axes, held):
    volatility_belief(axes, held)
    lines = {line.get_label(): line for line in axes.get_lines()}
    middle = lines[f"volatility: {100 * held.volatility:.0f} % a year"]
    assert set(middle.get_xdata()) == {100.0 * held.volatility}
    low, high = (100.0 * end for end in held.volatility_interval_90)
    bracket = lines[f"90 % of the belief:\n{low:.0f} to {high:.0f} %"]
    assert list(bracket.get_xdata()) == [low, high]
    assert bracket.get_ydata()[0] > max(height for _, _, height, *_ in bars(axes))


def test_the_axis_has_plain_amounts_in_percent(axes, held, tmp_path):
    volatility_belief(axes, held)
    axes.figure.savefig(tmp_path / "volatility.png")
    low, high = axes.get_xlim()
    ticks = [
        (text.get_text(), at)
        for text, at in zip(axes.get_xticklabels(), axes.get_xticks(), strict=True)
        if low <= at <= high
    ]
    assert len(ticks) >= 2 and all(float(text) == pytest.approx(at) for text, at in ticks)
    assert axes.get_xlabel().startswith("annualised volatility of the next session (%)")
    assert axes.get_ylabel() == "probability (%)" and axes.get_ylim()[0] == 0.0


@pytest.mark.parametrize("model", ["few_state_static", "chain"])
def test_models_of_few_states_have_a_bar_for_each_that_is_likely(axes, model):
    held = belief(fit(model, known_prices()))
    volatility_belief(axes, held)
    ahead = held.ahead
    assert ahead.probability.sum() == pytest.approx(1.0, rel=1e-9)
    assert held.volatility == pytest.approx(np.sqrt(ahead.probability @ ahead.volatility**2))
    drawn = bars(axes)
    assert len(drawn) >= (ahead.probability >= 1e-3).sum()
    assert sum(height for _, _, height, *_ in drawn) == pytest.approx(100.0, abs=0.5)


def test_states_as_volatile_as_each_other_are_drawn_all_the_same(axes, held, tmp_path):
    ahead = StatesAhead(np.full(4, 0.4), np.full(4, 0.25), np.arange(4))
    volatility_belief(axes, dataclasses.replace(held, ahead=ahead))
    axes.figure.savefig(tmp_path / "volatility.png")
    assert len(bars(axes)) == 4
