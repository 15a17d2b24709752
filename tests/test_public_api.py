"""What `import belief` promises: few names, loaded when used, documented, typed."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import belief
from belief import models
from belief.errors import UsageError

ROOT = Path(__file__).parent.parent
NAMES = [
    "Belief",
    "BeliefError",
    "FittedModel",
    "Forecast",
    "Plan",
    "Prices",
    "belief_of",
    "fit",
    "forecast_fan",
    "forecast_on",
    "load_prices",
    "prices_from",
    "session_after",
    "sessions_between",
    "walk_forward",
]
HEAVY = ("pandas", "numba", "scipy", "matplotlib", "pyarrow", "sqlalchemy", "openai", "yfinance")
DAY = "2000-03-31"


@pytest.fixture(scope="module")
def known():
    """Prices short enough to be fitted in a second."""
    return belief.load_prices("NVDA").until(DAY)


@pytest.fixture(scope="module")
def fitted(known):
    return belief.fit(known)


def test_the_names_are_these():
    assert belief.__all__ == NAMES
    assert set(NAMES) <= set(dir(belief))
    star: dict[str, object] = {}
    exec("from belief import *", star)
    assert set(NAMES) == set(star) - {"__builtins__"}


def test_no_name_is_that_of_a_module():
    # importing the module would put it in the name's place
    assert not {path.stem for path in (ROOT / "belief").glob("*.py")} & set(NAMES)


def test_what_is_not_offered_is_no_attribute():
    with pytest.raises(AttributeError, match="module 'belief' has no attribute 'forecasts'"):
        belief.forecasts  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_name_is_explained_by_an_example_that_runs(name):
    offered = getattr(belief, name)
    text = inspect.getdoc(offered)
    assert "Example:" in text and ">>> " in text
    # where pytest finds it: in a module of this package, under the same name
    home = sys.modules[offered.__module__]
    assert home.__name__.startswith("belief.") and getattr(home, name) is offered
    if inspect.isfunction(offered):
        assert all(f"{argument}:" in text for argument in inspect.signature(offered).parameters)
        assert "Returns:" in text and "Raises:" in text


def loaded_by(code):
    """Which of the slow modules a fresh interpreter has loaded after some lines."""
    ask = f"{code}; import sys; print([m for m in {('numpy', *HEAVY)} if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return eval(printed)


@pytest.mark.parametrize("package", ["belief", "belief_tools"])
def test_the_import_alone_loads_nothing_slow(package):
    path = "import sys; sys.path.insert(0, 'tools')"
    assert loaded_by(f"{path}; import {package}") == []


def test_a_name_loads_no_more_than_it_needs():
    assert loaded_by("from belief import *") == ["numpy"]


def test_a_type_checker_knows_the_names_and_no_others(tmp_path):
    from mypy import api

    script = tmp_path / "script.py"
    script.write_text(
        "import belief\n"
        'prices = belief.load_prices("NVDA").until("2024-03-01")\n'
        "fitted = belief.fit(prices)\n"
        'reveal_type(belief.forecast_on(fitted, prices, "2024-03-28").interval(0.9))\n'
        "reveal_type(belief.belief_of(fitted))\n"
        'reveal_type(belief.Plan(first="2024-01-02"))\n'
        "reveal_type(belief.prices_from)\n"
        "belief.forecast_fan(fitted, prices, 21)\n"
        "belief.nonsense\n"
    )
    settings = ["--config-file", str(ROOT / "pyproject.toml")]
    printed, failed, _ = api.run([*settings, str(script)])
    assert not failed
    said = [line.split(": ", 1)[1] for line in printed.splitlines() if "script.py" in line]
    assert said[0] == 'note: Revealed type is "tuple[float, float]"'
    assert said[1] == 'note: Revealed type is "belief.posterior.Belief"'
    assert said[2] == 'note: Revealed type is "belief.backtest.Plan"'
    assert "symbol: str" in said[3] and "-> belief.prices.Prices" in said[3]
    assert 'argument 3 to "forecast_fan" has incompatible type "int"' in said[4].replace("A", "a")
    assert 'Module has no attribute "nonsense"' in said[5]
    assert len(said) == 6


def test_a_fit_is_that_of_the_models(known, fitted):
    assert fitted.digest() == models.fit("belief", known).digest()
    assert belief.fit(known, model="ewma_t").model == "ewma_t"


def test_the_belief_is_that_of_the_models(fitted):
    assert belief.belief_of(fitted).to_dict() == models.belief(fitted).to_dict()
    with pytest.raises(UsageError, match="has no states to hold a belief about"):
        belief.belief_of(belief.fit(belief.load_prices("NVDA").until(DAY), model="ewma_t"))


def test_a_forecast_on_a_weekend_is_that_of_the_friday_before(known, fitted):
    friday = np.datetime64("2000-04-28")
    [expected] = models.forecasts(fitted, known, [friday])
    for day in ("2000-04-28", "2000-04-30", friday.item()):
        made = belief.forecast_on(fitted, known, day)
        assert (made.target, made.horizon, made.origin) == (friday, 19, known.as_of)
        np.testing.assert_array_equal(made.log_return_quantile, expected.log_return_quantile)


def test_a_fan_is_that_of_the_sessions_so_far_ahead(known, fitted):
    fan = belief.forecast_fan(fitted, known, (1, 21))
    assert [ahead.horizon for ahead in fan] == [1, 21]
    assert [ahead.target for ahead in fan] == [belief.session_after(DAY, k) for k in (1, 21)]
    assert fan[0].interval(0.9)[1] < fan[1].interval(0.9)[1]


@pytest.mark.parametrize(
    ("horizons", "words"),
    [
        ((), "there is no horizon; give at least one"),
        ((0, 5), "a horizon of 0 sessions is not one of 1 to 504"),
        ((5, 505), "a horizon of 505 sessions is not one of 1 to 504"),
        ((5, 5), "horizons 5, 5 must increase"),
        ((21, 5), "horizons 21, 5 must increase"),
        ((1.0,), r"horizons are \(1.0,\); give whole numbers"),
        (["1"], r"horizons are \['1'\]; give whole numbers"),
        (5, "horizons are 5; give whole numbers"),
        (None, "horizons are None; give whole numbers"),
    ],
)
def test_horizons_that_are_none_are_refused(known, fitted, horizons, words):
    with pytest.raises(UsageError, match=words):
        belief.forecast_fan(fitted, known, horizons)


@pytest.mark.parametrize("day", ["2000-03-31", "1999-12-31", "2003-01-02", "next week", 21])
def test_a_day_that_cannot_be_forecast_is_refused(known, fitted, day):
    with pytest.raises(UsageError, match=str(day)):
        belief.forecast_on(fitted, known, day)


def test_a_model_of_other_prices_is_refused(fitted):
    later = belief.load_prices("NVDA").until("2000-04-07")
    with pytest.raises(UsageError, match="the model knows 1999-01-25 to 2000-03-31, the prices"):
        belief.forecast_on(fitted, later, "2000-04-28")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"symbol": "XYZ"}, "the model is of NVDA, the prices are of XYZ"),
        ({"close": 3.0}, "the model was not fitted to these prices of NVDA"),
    ],
)
def test_prices_that_a_model_was_not_fitted_to_are_refused(known, fitted, changed, words):
    if "close" in changed:
        columns = {name: 3.0 * getattr(known, name) for name in ("open", "high", "low", "close")}
        other = dataclasses.replace(known, **columns)
    else:
        other = dataclasses.replace(known, **changed)
    for forecast in (
        lambda: belief.forecast_on(fitted, other, "2000-04-28"),
        lambda: belief.forecast_fan(fitted, other, (1, 5)),
    ):
        with pytest.raises(UsageError, match=words):
            forecast()


def test_a_model_that_was_carried_on_still_forecasts(fitted):
    later = belief.load_prices("NVDA").until("2000-04-07")
    carried = models.carry(fitted, later)
    [made] = belief.forecast_fan(carried, later, np.array([5]))
    assert (made.origin, made.horizon) == (later.as_of, 5)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        (lambda known, fitted: belief.fit("NVDA"), "prices is a str, not a Prices; load_prices or"),
        (lambda known, fitted: belief.belief_of(known), "fitted is a Prices, not a FittedModel"),
        (lambda known, fitted: belief.forecast_on(None, known, "2000-04-28"), "fitted is a NoneTy"),
        (lambda known, fitted: belief.forecast_fan(fitted, "NVDA", [1]), "prices is a str, not a"),
        (lambda known, fitted: belief.load_prices(None), "symbol is None; give a text"),
        (lambda known, fitted: belief.prices_from(5, symbol=5), "symbol is 5; give a text"),
        (lambda known, fitted: belief.Plan(horizons=(1.5,)), "horizons are .1.5,.; give whole"),
        (lambda known, fitted: belief.Plan(refit_every=1.5), "refit-every is 1.5; it must be a"),
        (lambda known, fitted: belief.Plan(n_jobs=0), "jobs is 0; it must be a whole number"),
    ],
)
def test_a_slip_of_the_caller_is_one_line_that_names_it(known, fitted, slip, words):
    with pytest.raises(UsageError, match=words):
        slip(known, fitted)


def test_horizons_may_be_numpys(known, fitted):
    assert belief.Plan(horizons=np.array([1, 5])).horizons == (1, 5)
    fan = belief.forecast_fan(fitted, known, np.array([1, 5]))
    assert [ahead.horizon for ahead in fan] == [1, 5]


def test_a_file_of_prices_may_be_named_in_words(tmp_path):
    with pytest.raises(belief.BeliefError, match=r"x\.csv"):
        belief.load_prices("X", csv=str(tmp_path / "x.csv"))


def test_prices_and_forecasts_are_shown_on_one_line(known, fitted):
    assert repr(known) == (
        "<Prices of NVDA: 302 sessions from 1999-01-22 to 2000-03-31, last close "
        f"{known.last_close:.10g} USD, bundled snapshot>"
    )
    shown = repr(belief.forecast_on(fitted, known, "2000-04-28"))
    assert shown.startswith("<Forecast of NVDA on 2000-04-28, 19 sessions after 2000-03-31, by ")
    assert "\n" not in shown


def test_there_is_no_such_model(known):
    with pytest.raises(belief.BeliefError, match="there is no model 'prophet'; choose one of"):
        belief.fit(known, model="prophet")


def test_a_plan_takes_days_as_they_are_written(known):
    rows = belief.walk_forward(
        known, belief.Plan(first="2000-03-27", last="2000-03-28", horizons=(1,), models=["ewma_t"])
    )
    assert list(map(str, rows.to_pandas()["origin"])) == ["2000-03-27", "2000-03-28"]
    days = [np.datetime64(day) for day in ("2000-03-27", "2000-03-28")]
    assert belief.Plan("2000-03-27", "2000-03-28") == belief.Plan(*days)
    with pytest.raises(UsageError, match="'March' is not a day"):
        belief.Plan(first="March")


def blocks(heading):
    """The fenced blocks of a section of the README: their language and their text."""
    page = (ROOT / "README.md").read_text("utf-8")
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def test_the_examples_in_the_readme_print_what_stands_below_them(capsys):
    found = blocks("As a library")
    assert [language for language, _ in found] == ["python", "", "python", ""]
    for (_, code), (_, printed) in zip(found[::2], found[1::2], strict=True):
        exec(compile(code, "README.md", "exec"), {})
        assert capsys.readouterr().out == printed
