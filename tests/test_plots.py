import dataclasses
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from matplotlib.text import Text

from belief import models
from belief.chain import BIN_NAMES, N_BINS
from belief.events import Events
from belief.few_state import BLOCK_LENGTH, Parameters, states_over_time, transmat_path
from belief.fitted_model import FittedModel
from belief.models import belief, fit, forecasts
from belief.observations import observe
from belief.plots import (
    FORECAST_COLOUR,
    REGIME_COLOURS,
    VIEW_COLOUR,
    belief_figure,
    belief_over_time,
    fan_chart,
    settle,
    staying_over_time,
)
from belief.posterior import REGIME_NAMES
from belief.sessions import session_after
from belief.sources import load_prices
from belief.view import View

AS_OF = np.datetime64("2024-03-01")
HORIZONS = (1, 5, 19)
REGIMES = ("calm", "normal", "turbulent")


@pytest.fixture(scope="module")
def prices():
    return load_prices("NVDA").until(AS_OF)


@pytest.fixture(scope="module")
def observations(prices):
    return observe(prices)


@pytest.fixture(scope="module")
def fitted(prices):
    return fit("few_state", prices)


@pytest.fixture(scope="module")
def static(prices):
    return fit("few_state_static", prices)


@pytest.fixture(scope="module")
def month(fitted, prices):
    return forecasts(fitted, prices, [session_after(AS_OF, horizon) for horizon in HORIZONS])


@pytest.fixture
def axes():
    return Figure(figsize=(9.0, 4.0), layout="constrained").subplots()


@pytest.fixture
def panels():
    return list(Figure(figsize=(9.0, 4.0), layout="constrained").subplots(3, 1))


def save(axes, path):
    """Draw for real: only drawing runs tick locators, formatters and the layout."""
    axes.figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG\r\n")


def words(axes):
    """All text a reader finds around the axes; the subtitle is the annotation."""
    return "\n".join([axes.get_title(loc="left"), *(text.get_text() for text in axes.texts)])


def line(axes, label):
    [found] = [line for line in axes.get_lines() if line.get_label() == label]
    return found


def area(axes, label):
    """Lower and upper edge of a filled area, one pair per day: {day number: (low, high)}."""
    [found] = [area for area in axes.collections if area.get_label().startswith(label)]
    edges = {}
    for day, value in found.get_paths()[0].vertices:
        low, high = edges.get(day, (value, value))
        edges[day] = (min(low, value), max(high, value))
    return edges


def visible_texts(axes):
    low, high = sorted(axes.get_xlim())
    bottom, top = sorted(axes.get_ylim())
    texts = [
        *(child for child in axes.get_children() if isinstance(child, Text) and child.get_text()),
        axes.xaxis.label,
        axes.yaxis.label,
        *axes.get_legend().get_texts(),
        *(t.label1 for t in axes.xaxis.get_major_ticks() if low <= t.get_loc() <= high),
        *(t.label1 for t in axes.yaxis.get_major_ticks() if bottom <= t.get_loc() <= top),
    ]
    return [text for text in texts if text.get_visible() and text.get_text()]


def assert_readable(figure):
    """No text over another or outside the picture, no legend over what is drawn."""
    boxes = [
        (text.get_text(), text.get_window_extent())
        for axes in figure.axes
        for text in visible_texts(axes)
    ]
    assert not [(a, b) for (a, x), (b, y) in combinations(boxes, 2) if x.overlaps(y)]
    assert not [name for name, box in boxes if box.x0 < 0 or box.x1 > figure.bbox.x1]
    for axes in figure.axes:
        assert not axes.get_legend().get_window_extent().overlaps(axes.get_window_extent())


def test_the_fan_shows_the_closes_median_and_bands_it_was_given(axes, prices, month, tmp_path):
    fan_chart(axes, prices, month, n_closes=100)
    save(axes, tmp_path / "fan.png")
    closes = line(axes, "close")
    np.testing.assert_array_equal(closes.get_ydata(), prices.quoted_close()[-100:])
    np.testing.assert_array_equal(closes.get_xdata(), prices.session[-100:])
    median = line(axes, "median of the forecast")
    assert list(median.get_ydata()) == [822.79, *(forecast.median for forecast in month)]
    assert list(median.get_xdata()) == [AS_OF, *(forecast.target for forecast in month)]
    for level in (0.5, 0.9):
        edges = area(axes, f"{100 * level:.0f} % band")
        assert edges.pop(date2num(AS_OF)) == (822.79, 822.79)
        assert edges == {date2num(f.target): f.interval(level) for f in month}


def test_the_fan_says_what_was_known_and_in_which_dollars(axes, prices, month, tmp_path):
    fan_chart(axes, prices, month)
    save(axes, tmp_path / "fan.png")
    assert "NVDA close: forecast from 2024-03-01 to 2024-03-28" in words(axes)
    assert "made with prices through 2024-03-01 only, from bundled snapshot; " in words(axes)
    assert "last close 822.79 USD" in words(axes)
    assert "model few_state, 6,318 closes" in words(axes)
    assert axes.get_ylabel() == "closing price, USD of 2024-03-01"
    assert axes.get_xlabel() == "session (date)"
    assert list(line(axes, "as of 2024-03-01").get_xdata()) == [AS_OF, AS_OF]
    labels = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"50 % band, each day by itself", "90 % band, each day by itself"} <= labels


def test_events_that_were_public_are_marked_inside_the_fan(axes, prices, month, tmp_path):
    days = np.array(["2024-02-22", "2024-03-15", "2024-04-01"], dtype="datetime64[D]")
    known = dataclasses.replace(prices, events=Events(days))
    fan_chart(axes, known, month)
    save(axes, tmp_path / "fan.png")
    assert list(line(axes, "results, as scheduled").get_xdata()) == [days[1], days[1]]
    assert_readable(axes.figure)


def test_a_long_source_leaves_the_subtitle_inside_the_picture(axes, prices, month, tmp_path):
    fan_chart(axes, dataclasses.replace(prices, source="a file of mine " * 20), month)
    save(axes, tmp_path / "fan.png")
    assert_readable(axes.figure)


def test_closes_before_a_split_are_drawn_in_dollars_of_the_as_of_session(fitted, prices, month):
    axes = Figure().subplots()
    fan_chart(axes, prices, month, n_closes=1000)
    drawn = dict(zip(prices.session[-1000:], line(axes, "close").get_ydata(), strict=True))
    traded = dict(zip(prices.session, prices.close, strict=True))
    before, after = np.datetime64("2021-07-19"), np.datetime64("2021-07-20")
    assert drawn[before] == traded[before] / 4.0
    assert drawn[after] == traded[after]


@pytest.mark.parametrize(
    ("horizon", "n_closes", "scale"),
    [(1, 5, "linear"), (19, 42, "linear"), (252, 126, "log"), (504, 5000, "log")],
)
def test_the_price_axis_is_logarithmic_when_prices_span_more_than_a_factor_of_three(
    axes, fitted, prices, tmp_path, horizon, n_closes, scale
):
    year = forecasts(fitted, prices, [session_after(AS_OF, horizon)])
    fan_chart(axes, prices, year, n_closes=n_closes)
    save(axes, tmp_path / "fan.png")
    assert axes.get_yscale() == scale
    assert_readable(axes.figure)
    assert ("logarithmic scale" in axes.get_ylabel()) == (scale == "log")
    low, high = axes.get_ylim()
    ticks = [tick for tick in axes.yaxis.get_ticklocs() if low <= tick <= high]
    assert 3 <= len(ticks) <= 14
    # plain amounts, no powers of ten
    shown = [text.get_text() for text in axes.get_yticklabels()]
    assert all(text.replace(",", "").replace(".", "").isdigit() for text in shown), shown


def marks(axes, colour):
    """What is drawn in a colour as points: the three of a mark, then the middle one."""
    return [
        (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.get_lines()
        if line.get_color() == colour and line.get_marker() in ("_", "o", "D")
    ]


@pytest.mark.parametrize("horizon", [5, 40])
def test_the_target_asked_about_is_marked_in_the_fan_and_beyond_it(
    axes, fitted, prices, month, tmp_path, horizon
):
    [asked] = forecasts(fitted, prices, [session_after(AS_OF, horizon)])
    fan_chart(axes, prices, month, asked=asked)
    save(axes, tmp_path / "fan.png")
    low, high = asked.interval(0.9)
    whole, middle = marks(axes, FORECAST_COLOUR)
    assert whole == ([asked.target] * 3, [low, asked.median, high])
    assert middle == ([asked.target], [asked.median])
    label = f"asked about: {asked.target},\nmedian and 90 % interval"
    assert label in {text.get_text() for text in axes.get_legend().get_texts()}
    assert f"to {max(asked.target, month[-1].target)}" in words(axes)
    assert axes.get_xlim()[1] >= date2num(asked.target)
    bottom, top = axes.get_ylim()
    assert bottom < low and high < top
    assert_readable(axes.figure)


def test_what_came_after_is_drawn_apart_and_no_further_than_the_forecasts(
    axes, prices, month, tmp_path
):
    came = load_prices("NVDA").closes_after(AS_OF)
    fan_chart(axes, prices, month, came=came)
    save(axes, tmp_path / "fan.png")
    after, known = line(axes, "what came after"), line(axes, "close")
    assert list(after.get_xdata()) == [AS_OF, *came.session[:19]]
    assert list(after.get_ydata()) == [822.79, *came.close[:19]]
    assert known.get_xdata()[-1] == AS_OF and len(known.get_xdata()) == 126
    assert after.get_color() != known.get_color() and after.get_linestyle() == "--"
    assert_readable(axes.figure)


def test_a_view_stands_beside_the_mark_of_its_target(axes, prices, month, tmp_path):
    fan_chart(axes, prices, month, asked=month[1], view=View(900.0, 700.0, 1200.0, 0.5))
    save(axes, tmp_path / "fan.png")
    whole, middle = marks(axes, VIEW_COLOUR)
    assert whole == ([month[1].target] * 3, [700.0, 900.0, 1200.0])
    assert middle == ([month[1].target], [900.0])
    assert axes.get_ylim()[1] > 1200.0
    own, beside = (
        line.get_transform().transform((date2num(AS_OF), 900.0))[0]
        for line in axes.get_lines()
        if line.get_marker() in ("o", "D")
    )
    assert beside - own == pytest.approx(7.0 * axes.figure.dpi / 72.0)
    assert_readable(axes.figure)


def test_a_view_of_no_target_is_refused(axes, prices, month):
    with pytest.raises(ValueError, match="a view is about a target"):
        fan_chart(axes, prices, month, view=View(900.0, 700.0, 1200.0, 0.5))


def test_a_target_asked_about_from_another_session_is_refused(axes, prices, month):
    stranger = dataclasses.replace(month[0], origin=np.datetime64("2024-02-29"))
    with pytest.raises(ValueError, match="a forecast of NVDA from 2024-02-29; the prices are of"):
        fan_chart(axes, prices, month, asked=stranger)


def test_a_fan_without_forecasts_is_refused(axes, prices):
    with pytest.raises(ValueError, match="give at least one"):
        fan_chart(axes, prices, [])


def test_a_forecast_from_another_session_or_symbol_is_refused(axes, prices, month):
    with pytest.raises(ValueError, match="from 2024-03-01; the prices are of NVDA and end on 2024"):
        fan_chart(axes, prices.until(np.datetime64("2024-02-29")), month)
    stranger = dataclasses.replace(month[0], symbol="XYZ")
    with pytest.raises(ValueError, match="a forecast of XYZ"):
        fan_chart(axes, prices, [stranger])


def test_targets_out_of_order_are_refused(axes, prices, month):
    with pytest.raises(ValueError, match="target 2024-03-04 follows 2024-03-28"):
        fan_chart(axes, prices, [month[2], month[0]])


def test_the_filter_run_again_ends_with_the_belief_of_the_model(fitted, static, observations):
    for model in (fitted, FittedModel.from_json(fitted.to_json()), static):
        states = states_over_time(model, observations)
        assert states.shape == (len(observations), 3)
        assert states[-1].tolist() == model.parameters["filtered"].tolist()


def test_the_filter_is_not_run_over_a_history_the_model_does_not_know(fitted, prices):
    earlier = prices.until(np.datetime64("2024-02-29"))
    for read in (models.states_over_time, models.transmat_over_time):
        with pytest.raises(ValueError, match=r"knows 1999-01-25 to 2024-03-01.*to 2024-02-29"):
            read(fitted, earlier)


def test_the_stack_adds_up_the_filtered_probabilities(axes, fitted, observations, tmp_path):
    filtered = states_over_time(fitted, observations)[-300:]
    session = observations.session[-300:]
    belief_over_time(axes, belief(fitted), session, filtered)
    save(axes, tmp_path / "belief.png")
    below = np.zeros(300)
    for state, name in enumerate(("calm", "normal", "turbulent")):
        edges = area(axes, name)
        low, high = np.array([edges[day] for day in date2num(session)]).T
        np.testing.assert_allclose(low, below, rtol=0.0, atol=1e-12)
        np.testing.assert_allclose(high - low, filtered[:, state], rtol=0.0, atol=1e-12)
        below = high
    assert axes.get_ylim() == (0.0, 1.0)


def test_the_belief_says_that_its_parameters_know_the_whole_history(
    axes, fitted, observations, tmp_path
):
    filtered = states_over_time(fitted, observations)[-300:]
    belief_over_time(axes, belief(fitted), observations.session[-300:], filtered)
    save(axes, tmp_path / "belief.png")
    assert "NVDA: belief about the volatility regime through 2024-03-01" in words(axes)
    assert "300 sessions shown, each given the returns up to it" in words(axes)
    assert "parameters from all 6,317 through 2024-03-01" in words(axes)
    assert axes.get_ylabel() == "probability of the regime"
    assert axes.get_xlabel() == "session (date)"
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["turbulent", "normal", "calm"]  # as they are stacked


def test_beliefs_that_do_not_fit_the_sessions_are_refused(axes, fitted, observations):
    with pytest.raises(ValueError, match=r"filtered has shape \(4, 3\)"):
        belief_over_time(axes, belief(fitted), observations.session[:5], np.full((4, 3), 1 / 3))


def test_each_panel_follows_the_matrices_in_force_session_by_session(
    panels, fitted, observations, tmp_path
):
    parameters = fitted.parameters
    transmat = parameters["transmat"]
    n = len(observations)
    staying_over_time(panels, belief(fitted), observations.session, transmat, n_sessions=n)
    save(panels[0], tmp_path / "staying.png")
    path = transmat_path(
        Parameters(parameters["startprob"], transmat, 0.0, parameters["scale"], 5.0), n
    )
    for state, (axes, name) in enumerate(zip(panels, REGIMES, strict=True)):
        drawn = line(axes, name)
        assert drawn.get_drawstyle() == "steps-post"
        # a step holds from its day until the next one
        step = np.searchsorted(drawn.get_xdata(), observations.session, side="right") - 1
        np.testing.assert_array_equal(drawn.get_ydata()[step], 100.0 * path[:, state, state])
        assert drawn.get_xdata()[-1] == AS_OF


def test_the_panels_show_the_last_sessions_with_the_block_they_begin_in(
    panels, fitted, observations
):
    transmat, session = fitted.parameters["transmat"], observations.session
    staying_over_time(panels, belief(fitted), session, transmat, n_sessions=100)
    for state, (axes, name) in enumerate(zip(panels, REGIMES, strict=True)):
        drawn = line(axes, name)
        # blocks are aligned to the end: 95 sessions are whole ones, 5 lie in the one before
        np.testing.assert_array_equal(drawn.get_ydata()[:-1], 100.0 * transmat[-5:, state, state])
        low, high = axes.get_xlim()
        assert (low, high) == (date2num(session[-100]), date2num(AS_OF))
        assert drawn.get_xdata()[0] <= session[-100] < drawn.get_xdata()[1]


def test_the_panels_end_in_the_matrix_that_the_belief_holds(panels, fitted, observations):
    held = belief(fitted)
    shocked = np.full((3, 3), 0.2) + 0.4 * np.eye(3)
    held = dataclasses.replace(held, transition_matrix=shocked)
    staying_over_time(panels, held, observations.session, fitted.parameters["transmat"])
    for axes in panels:
        dot = line(axes, "in force now")
        assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([AS_OF], [pytest.approx(60.0)])
        assert axes.get_ylim()[0] < 60.0


def test_the_static_fit_is_dashed_in_the_panel_of_its_regime(panels, fitted, static, observations):
    staying_over_time(panels, belief(fitted), observations.session, fitted.parameters["transmat"])
    matrix = static.parameters["transmat"][0]
    for state, axes in enumerate(panels):
        dashed = line(axes, "static fit")
        assert set(dashed.get_ydata()) == {100.0 * matrix[state, state]}
        assert dashed.get_linestyle() == "--"


def test_the_panels_have_one_scale_and_dates_below_the_lowest(
    panels, fitted, observations, tmp_path
):
    staying_over_time(panels, belief(fitted), observations.session, fitted.parameters["transmat"])
    save(panels[0], tmp_path / "staying.png")
    assert len({axes.get_ylim() for axes in panels}) == 1
    assert panels[0].get_ylim()[1] == 100.0
    lowest = min(
        line(axes, name).get_ydata().min() for axes, name in zip(panels, REGIMES, strict=True)
    )
    assert panels[0].get_ylim()[0] <= lowest
    assert [axes.get_ylabel() for axes in panels] == ["staying\n(%)"] * 3
    assert [axes.get_xlabel() for axes in panels] == ["", "", "session (date)"]


def test_the_transitions_say_what_they_are_and_what_they_rest_on(panels, fitted, observations):
    staying_over_time(panels, belief(fitted), observations.session, fitted.parameters["transmat"])
    title = "NVDA: probability of staying one more session, by regime, fitted through 2024-03-01"
    assert title in words(panels[0])
    told = (
        f"one matrix per {BLOCK_LENGTH} sessions; 1,260 of the 6,317 sessions of the fit shown; "
        "dot: in force now"
    )
    assert told in words(panels[0])
    assert "model few_state beside the static fit (dashed)" in words(panels[0])


def test_one_matrix_for_all_time_is_a_level_line(panels, static, observations, tmp_path):
    staying_over_time(panels, belief(static), observations.session, static.parameters["transmat"])
    save(panels[0], tmp_path / "staying.png")
    level = 100.0 * static.parameters["transmat"][0, 0, 0]
    assert set(line(panels[0], "calm").get_ydata()) == {level}
    assert [each.get_label() for each in panels[0].get_lines()] == ["calm", "in force now"]


def test_matrices_that_do_not_fit_the_sessions_are_refused(panels, fitted, observations):
    with pytest.raises(ValueError, match=r"transmat has shape \(300, 3, 3\).*want \(301, 3, 3\)"):
        staying_over_time(
            panels, belief(fitted), observations.session, fitted.parameters["transmat"][1:]
        )


def test_the_figure_holds_all_three_and_no_text_overlaps(fitted, prices, month, tmp_path):
    figure = belief_figure(fitted, prices, month, n_sessions=500)
    figure.savefig(tmp_path / "figure.png")
    fan, regimes, *panels = figure.axes
    assert "forecast from 2024-03-01" in words(fan)
    assert "500 sessions shown" in words(regimes)
    assert "probability of staying" in words(panels[0])
    for state, (axes, name) in enumerate(zip(panels, REGIMES, strict=True)):
        drawn = line(axes, name).get_ydata()[:-1]
        known = 100.0 * fitted.parameters["transmat"][:, state, state]
        np.testing.assert_array_equal(drawn, known[-len(drawn) :])
        assert axes.get_xlim() == regimes.get_xlim()
    filtered = states_over_time(fitted, observe(prices))
    low, high = area(regimes, "calm")[date2num(AS_OF)]
    assert high - low == pytest.approx(filtered[-1, 0], rel=1e-9)
    assert_readable(figure)


def test_a_figure_of_a_model_that_knows_another_day_is_refused(fitted, prices, month):
    earlier = prices.until(np.datetime64("2024-02-29"))
    with pytest.raises(ValueError, match="the model knows 2024-03-01, the prices end on 2024-02-2"):
        belief_figure(fitted, earlier, month)


def test_a_settled_figure_keeps_its_places_whatever_the_solver_leaves(fitted, prices, month):
    figure = belief_figure(fitted, prices, month)
    settle(figure)
    for axes in figure.axes:
        bounds = axes.get_position().bounds
        np.testing.assert_allclose(bounds, np.round(bounds, 6), rtol=0.0, atol=1e-12)
    before = [axes.get_position().bounds for axes in figure.axes]
    figure.draw_without_rendering()
    assert [axes.get_position().bounds for axes in figure.axes] == before
    assert_readable(figure)


def test_every_regime_has_a_colour_of_its_own_that_colour_blind_people_can_tell():
    okabe_ito = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    bins = tuple(f"{name} move" for name in BIN_NAMES[N_BINS])
    models = (*REGIME_NAMES.values(), bins)
    assert {name for names in models for name in names} == set(REGIME_COLOURS)
    assert set(REGIME_COLOURS.values()) <= okabe_ito
    for names in models:
        assert len({to_rgb(REGIME_COLOURS[name]) for name in names}) == len(names)


def test_importing_the_pictures_loads_no_matplotlib_and_drawing_no_pyplot():
    code = (
        "import sys, belief.plots\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from matplotlib.figure import Figure\n"
        "from belief import models, plots, sessions, sources\n"
        "prices = sources.load_prices('NVDA').until(sessions.parse_day('2003-06-02'))\n"
        "fitted = models.fit('few_state_static', prices)\n"
        "target = sessions.session_after(prices.as_of, 5)\n"
        "plots.belief_figure(fitted, prices, models.forecasts(fitted, prices, [target]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
