"""What a walk forward is summed up to, and its pictures."""

import numpy as np
import pyarrow as pa
import pytest
from walked import unbroken_walk

from belief import models
from belief.backtest import about
from belief.backtest_plots import figures
from belief.backtest_sheet import states_of
from belief.backtest_summary import Row, columns_of, summarise
from belief.errors import UsageError
from belief.sources import load_prices


@pytest.fixture(scope="module")
def unbroken():
    return unbroken_walk()


def test_a_table_says_what_it_is_of_even_from_a_file(tmp_path, unbroken):
    from pyarrow import parquet

    parquet.write_table(unbroken, tmp_path / "table.parquet")
    said = about(parquet.read_table(tmp_path / "table.parquet"))
    assert (said["symbol"], said["from"], said["to"]) == ("NVDA", "2024-01-02", "2024-04-02")
    assert said["models"] == ["chain", "few_state_static"] and said["refit_every"] == 40
    with pytest.raises(ValueError, match="does not say what it is of"):
        about(unbroken.replace_schema_metadata(None))


def newey_west(values, lag):
    """Standard error of a mean, written out."""
    n, mean = len(values), values.mean()
    total = 0.0
    for s in range(n):
        for t in range(max(0, s - lag), min(n, s + lag + 1)):
            total += (1 - abs(s - t) / (lag + 1)) * (values[s] - mean) * (values[t] - mean)
    return np.sqrt(total) / n


def test_the_summary_is_what_numpy_makes_of_the_rows(unbroken):
    rows = summarise(unbroken, "chain")
    assert [(row.model, row.horizon) for row in rows] == [
        ("chain", 1),
        ("few_state_static", 1),
        ("chain", 5),
        ("few_state_static", 5),
    ]
    found = rows[3]
    mine, base = (
        unbroken.filter(
            (pa.compute.field("model") == model) & (pa.compute.field("horizon") == 5)
        ).to_pydict()
        for model in ("few_state_static", "chain")
    )
    mine, base = ({k: np.array(v) for k, v in each.items()} for each in (mine, base))
    lag = 6  # 1.5 times the four sessions by which neighbours overlap
    gain = mine["log_score"] - base["log_score"]
    assert (found.n, found.n_windows, found.n_compared, found.reference) == (63, 13, 63, "chain")
    assert found.log_score == pytest.approx(mine["log_score"].mean(), rel=1e-12)
    assert found.gain == pytest.approx(gain.mean(), rel=1e-9)
    assert found.t_value == pytest.approx(gain.mean() / newey_west(gain, lag), rel=1e-9)
    less = base["crps"] - mine["crps"]
    assert found.crps_t_value == pytest.approx(less.mean() / newey_west(less, lag), rel=1e-9)
    for score in ("crps", "absolute_error", "interval_score"):
        assert getattr(found, score) == pytest.approx(mine[score].mean(), rel=1e-12)
        ratio = mine[score].mean() / base[score].mean()
        assert getattr(found, f"{score}_ratio") == pytest.approx(ratio, rel=1e-12)
    for level in (50, 80, 90, 95):
        hit = mine[f"covered_{level}"].astype(float)
        assert getattr(found, f"coverage_{level}") == pytest.approx(hit.mean(), rel=1e-12)
        error = getattr(found, f"coverage_{level}_se")
        assert error == pytest.approx(newey_west(hit, lag), rel=1e-9)
    pit = np.sort(mine["pit"])
    steps = np.arange(64) / 63
    distance = max((steps[1:] - pit).max(), (pit - steps[:-1]).max())
    assert found.pit_distance == pytest.approx(distance, rel=1e-12)


def test_the_reference_is_not_compared_with_itself(unbroken):
    own = summarise(unbroken, "chain")[0]
    assert own.model == own.reference == "chain"
    assert (own.gain, own.t_value, own.crps_ratio, own.crps_t_value) == (None,) * 4
    assert (own.absolute_error_ratio, own.interval_score_ratio) == (None, None)


def test_models_are_compared_on_the_origins_both_have(unbroken):
    field = pa.compute.field
    late = np.datetime64("2024-03-01").item()
    cut = unbroken.filter((field("model") == "chain") | (field("origin") >= late))
    whole, part = summarise(unbroken, "chain"), summarise(cut, "chain")
    only_late = summarise(unbroken.filter(field("origin") >= late), "chain")
    assert part[0] == whole[0]
    assert part[1] == only_late[1]
    turned = summarise(cut, "few_state_static")[0]
    assert (turned.n, turned.n_compared) == (63, only_late[1].n)
    assert turned.gain == pytest.approx(-only_late[1].gain, rel=1e-12)
    assert turned.log_score == whole[0].log_score


def test_too_few_origins_have_means_but_no_t_values(unbroken):
    few = unbroken.filter(pa.compute.field("origin") <= np.datetime64("2024-01-05").item())
    for row in summarise(few, "chain"):
        assert np.isfinite(row.log_score)
        if row.horizon == 5:
            assert (row.n, row.n_windows, row.t_value, row.coverage_50_se) == (4, 1, None, None)
    assert set(Row._fields) >= {"model", "horizon", "log_score", "crps", "gain", "t_value", "n"}


def test_a_reference_that_is_not_there_is_named(unbroken):
    for draw in (summarise, figures):
        with pytest.raises(UsageError, match="'garch_t' is not one of the models chain, few_state"):
            draw(unbroken, "garch_t")


def test_the_pictures_show_every_model_at_the_shortest_and_the_longest_horizon(unbroken):
    drawn = figures(unbroken, "chain")
    assert list(drawn) == [
        *("skill_by_horizon", "log_score_gain", "pit", "reliability"),
        *("coverage_by_year", "coverage_by_regime", "staying"),
    ]
    for name in ("log_score_gain", "pit", "reliability", "coverage_by_year", "coverage_by_regime"):
        figure = drawn[name]
        assert len(figure.axes) == (4 if name.startswith("coverage") else 2)
        for axes in figure.axes:
            labels = [text.get_text() for text in axes.get_legend().get_texts()]
            assert any("chain" in label for label in labels) and "few_state_static" in labels
            assert axes.get_xlabel() and axes.get_ylabel()
            title = axes.get_title(loc="left")
            assert title.startswith(("NVDA, 1 session ahead:", "NVDA, 5 sessions ahead:"))
    (line,) = (
        line
        for line in drawn["log_score_gain"].axes[1].lines
        if line.get_label() == "few_state_static"
    )
    row = summarise(unbroken, "chain")[3]
    assert line.get_ydata()[-1] == pytest.approx(row.gain * row.n, rel=1e-9)


def test_coverage_by_year_is_that_of_the_year(unbroken):
    axes = figures(unbroken, "chain")["coverage_by_year"].axes[1]
    at, share, (low, high) = errorbar(axes, "chain")
    assert (at.round().tolist(), axes.get_xticks().tolist()) == ([2024], [2024])
    assert share[0] == pytest.approx(100 * summarise(unbroken)[0].coverage_90, rel=1e-12)
    assert low[0] < share[0] < high[0]


def errorbar(axes, model):
    """Places, values and both ends of the bars of a model."""
    [found] = [each for each in axes.containers if each.get_label() == model]
    ends = np.array([segment[:, 1] for segment in found.lines[2][0].get_segments()])
    return *found.lines[0].get_data(), ends.reshape(-1, 2).T


def test_the_skill_drawn_is_the_gain_with_its_95_percent_interval(unbroken):
    axes = figures(unbroken, "chain")["skill_by_horizon"].axes[0]
    rows = [row for row in summarise(unbroken, "chain") if row.model == "few_state_static"]
    _, gain, (low, high) = errorbar(axes, "few_state_static")
    half = abs(rows[0].gain / rows[0].t_value) * 1.959964
    # 13 windows of five sessions are too few: nothing is drawn, and the axis says why
    assert (rows[0].n_windows, rows[1].n_windows) == (63, 13)
    assert list(gain) == pytest.approx([rows[0].gain], rel=1e-9)
    assert (low[0], high[0]) == pytest.approx((gain[0] - half, gain[0] + half), rel=1e-6)
    labels = [text.get_text() for text in axes.get_xticklabels()]
    assert labels == ["1\n63 windows", "5\n13 windows:\ntoo few"]
    assert "NVDA: mean log score gained over chain" in axes.get_title(loc="left")
    [detail] = [text.get_text() for text in axes.texts]
    assert detail.startswith("63 origins from 2024-01-02 to 2024-04-02")


def test_the_coverage_drawn_by_regime_is_a_count(unbroken):
    states = states_of(unbroken)
    assert states.model == "chain"
    axes = figures(unbroken, "chain")["coverage_by_regime"].axes[0]
    own = columns_of(unbroken, "few_state_static", 1)
    counted = [
        100.0 * own["covered_50"][states.regime == place].mean()
        for place in range(len(states.names))
        if (states.regime == place).any()
    ]
    _, share, (low, high) = errorbar(axes, "few_state_static")
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    alone = [value for line in hollow for value in line.get_ydata()]
    assert set(share) <= set(counted) and len(share) > 0
    assert set(counted) - set(share) <= set(alone)
    assert (low < share).all() and (share < high).all()
    assert (low >= 0.0).all() and (high <= 100.0).all()
    assert axes.get_xlabel() == "likeliest regime at the origin, as chain saw it"
    sizes = [int(text.get_text().split()[-2]) for text in axes.get_xticklabels()]
    assert sum(sizes) == 63


def test_the_staying_drawn_is_the_mean_of_what_was_in_force(unbroken):
    states = states_of(unbroken)
    panels = figures(unbroken, "chain")["staying"].axes
    for place, (axes, name) in enumerate(zip(panels, states.names, strict=True)):
        [drawn] = [line for line in axes.lines if line.get_label() == name]
        staying = 100.0 * states.transmat[:, place, place]
        means = staying.reshape(3, 21).mean(axis=1)
        np.testing.assert_allclose(drawn.get_ydata(), [*means, means[-1]], rtol=1e-12)
        assert list(drawn.get_xdata()) == [*states.origin[[0, 21, 42]], states.origin[-1]]
        assert (axes.get_ylabel(), axes.get_ylim()[1]) == ("staying\n(%)", 100.0)
    assert "63 origins from 2024-01-02 to 2024-04-02" in panels[0].texts[0].get_text()


def test_the_states_kept_are_those_of_the_model_at_the_origin(unbroken):
    states, last = states_of(unbroken), np.datetime64("2024-04-02")
    prices = load_prices("NVDA")
    fitted = None
    for place, origin in enumerate(states.origin):
        if place in (0, 40):
            known = prices.until(origin)
            fitted = models.fit("chain", known, start=fitted and models.carry(fitted, known))
    held = models.belief(models.carry(fitted, prices.until(last)))
    assert states.origin[-1] == last
    assert states.names == tuple(regime.name for regime in held.regimes)
    shown = [regime.probability for regime in held.regimes]
    np.testing.assert_allclose(states.probability[-1], shown, rtol=1e-12)
    np.testing.assert_allclose(states.transmat[-1], held.transition_matrix, rtol=1e-12)
    static = held.static_transition_matrix
    np.testing.assert_allclose(states.static_transmat[-1], static, rtol=1e-12)
