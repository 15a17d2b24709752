"""The tear sheet of a backtest: what it claims, what it shows, and that a browser opens it."""

import json
import re
import shutil
import subprocess
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from pages import Page
from sheets import NAMES, SESSION, made_up

from belief.backtest import ABOUT
from belief.backtest_parts import REGIME_NAMES, STATES
from belief.backtest_sheet import coverage_by_regime, coverage_by_year, states_of, worst_origins
from belief.backtest_summary import columns_of, summarise
from belief.errors import UsageError
from belief_tools import tear_sheet
from belief_tools.svg import as_svg, page_style
from belief_tools.tear_sheet import html

BETTER = {"belief": 0.2, "random_walk": -0.1, "garch_t": 0.0}


def claim(text):
    """The sentence in bold and what stands behind it."""
    [(bold, rest)] = re.findall(r"<strong>(.*?)</strong>(.*?)</p>", text)
    return bold, re.sub("<.*?>", "", rest)


@pytest.fixture
def undrawn(monkeypatch):
    """Words and tables alone: pictures take seconds."""
    monkeypatch.setattr(tear_sheet, "figures", lambda table, reference: {})


@pytest.fixture(scope="module")
def table():
    return made_up(BETTER)


@pytest.fixture(scope="module")
def short():
    return made_up(BETTER, n=40, horizons=(1,))


@pytest.fixture(scope="module")
def text(table):
    return html(table)


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_headline_says_whose_forecasts_beat_whose_and_on_what_it_rests(text):
    bold, rest = claim(text)
    assert bold == (
        "Compared with those of garch_t, the forecasts of NVDA by belief are better beyond chance "
        "1 and 5 sessions ahead."
    )
    assert "160 origins from 2022-10-03 to " + str(SESSION[159]) in rest
    assert "forecast 1 and 5 sessions ahead" in rest
    assert "no claim of direction or profit" in rest


def test_no_skill_is_said_where_there_is_none(undrawn):
    bold, rest = claim(html(made_up({"belief": 0.0, "garch_t": 0.0})))
    assert bold.endswith("are not shown to be better or worse 1 and 5 sessions ahead.")
    assert "came from" not in rest


def test_forecasts_that_are_worse_are_said_to_be_worse(undrawn):
    bold, _ = claim(html(made_up({"belief": -0.2, "garch_t": 0.0})))
    assert bold.endswith("are worse beyond chance 1 and 5 sessions ahead.")


def test_too_few_windows_are_no_skill_however_large_the_gain(undrawn):
    found = html(made_up({"belief": 5.0, "garch_t": 0.0}, n=90))
    bold, _ = claim(found)
    assert bold.endswith(
        "are better beyond chance 1 session ahead and have too few windows that do not overlap "
        "(fewer than 20) to be judged 5 sessions ahead."
    )
    near, far = Page(found).table("belief, compared with garch_t, by horizon")
    assert near["t"][-1].isdigit() and far["t"].endswith("?")
    assert far["verdict"] == "too few to judge"
    _, alone = Page(found).table("All models, 5 sessions ahead")
    assert (alone["verdict"], alone["gain"]) == ("reference", "-")


def test_a_model_alone_has_no_skill_to_speak_of():
    found = html(made_up({"belief": 0.0}, n=30, horizons=(5,)))
    bold, _ = claim(found)
    assert bold == "Whether the forecasts of NVDA by belief have skill cannot be said."
    assert "<h2>Skill" not in found
    Page(found)


def test_a_backtest_of_one_origin_can_be_told():
    for models in ({"belief": 0.0, "garch_t": 0.0}, {"garch_t": 0.0}):
        found = html(made_up(models, n=1, horizons=(1,)))
        [row] = Page(found).table("Lowest log scores")
        assert row["origin"] == "2022-10-03"
        assert "1 origin from 2022-10-03" in found
        assert not re.search(r"\b1 (origins|sessions|windows|forecasts)\b", found)


def test_another_reference_can_be_chosen_and_one_that_is_not_there_is_named(table, undrawn):
    bold, _ = claim(html(table, "random_walk"))
    assert "Compared with those of random_walk" in bold
    with pytest.raises(UsageError, match="'chain' is not one of the models belief, random_walk"):
        html(table, "chain")


def test_the_scores_are_those_of_the_summary(page, table):
    found = page.table("belief, compared with garch_t, by horizon")
    rows = [row for row in summarise(table) if row.model == "belief"]
    assert [each["horizon"] for each in found] == ["1", "5"]
    for shown, row in zip(found, rows, strict=True):
        assert shown["log score"] == f"{row.log_score:.4f}"
        assert shown["gain"] == f"{row.gain:+.4f}" and shown["verdict"] == "better"
        assert shown["windows"] == str(row.n_windows)
        low, high = map(float, shown["95 % interval"].split(" to "))
        assert low < row.gain < high
        assert row.gain / ((high - low) / 2 / 1.96) == pytest.approx(row.t_value, rel=0.01)
    others = page.table("All models, 5 sessions ahead")
    assert [each["model"] for each in others] == list(BETTER)
    assert [each["verdict"] for each in others] == ["better", "worse", "reference"]


def test_the_worst_sessions_are_the_worst(page, table):
    own = columns_of(table, "belief", 1)
    order = np.argsort(own["log_score"])[:10]
    found = page.table("Lowest log scores of belief, 1 session ahead")
    assert [each["origin"] for each in found] == [str(day) for day in own["origin"][order]]
    assert [each["log score"] for each in found] == [f"{s:.2f}" for s in own["log_score"][order]]
    for place, each in zip(order.tolist(), found, strict=True):
        assert each["regime at the origin"] == f"{NAMES[(place // 20) % 4]} (85 %)"


def test_of_windows_that_overlap_only_the_worst_is_told(table):
    rows = worst_origins(table, "belief", 5)
    windows = sorted((row["origin"], row["target"]) for row in rows)
    assert len(windows) == 10
    assert all(end <= start for (_, end), (start, _) in pairwise(windows))
    own = columns_of(table, "belief", 5)
    assert rows[0]["log_score"] == own["log_score"].min()


def test_coverage_by_regime_and_by_year_equals_a_hand_count(page, table):
    own = columns_of(table, "garch_t", 1)
    regime = (np.arange(160) // 20) % 4
    found = page.table("Coverage by regime of the origin, 1 session ahead")
    assert [each["regime"] for each in found] == list(NAMES)
    for place, each in enumerate(found):
        hits = own["covered_90"][regime == place]
        assert each["origins"] == str(hits.size) == "40"
        assert float(each["garch_t in 90 %"].split(" (")[0]) == round(100 * hits.mean(), 1)
    years = page.table("Coverage by year of the origin, 1 session ahead")
    year = own["origin"].astype("datetime64[Y]").astype(str)
    assert [each["year"] for each in years] == ["2022", "2023"]
    for each in years:
        hits = own["covered_50"][year == each["year"]]
        assert float(each["garch_t in 50 %"].split(" (")[0]) == round(100 * hits.mean(), 1)


@pytest.mark.parametrize("horizon", [1, 5])
def test_the_interval_of_a_share_is_wilsons_of_the_windows_that_do_not_overlap(table, horizon):
    from statsmodels.stats.proportion import proportion_confint

    own, states = columns_of(table, "garch_t", horizon), states_of(table)
    alike = states._replace(probability=np.tile([1.0, 0.0, 0.0, 0.0], (160, 1)))
    [share] = coverage_by_regime(own, alike, 90)
    windows = {1: 160, 5: 32}[horizon]
    expected = proportion_confint(share.share * windows, windows, method="wilson")
    assert (share.n, share.reach) == (160, pytest.approx(expected, rel=1e-9))


def test_of_few_windows_no_interval_is_told(table):
    four = np.tile([0.0, 0.0, 1.0, 0.0], (160, 1))
    four[:4] = [0.0, 0.0, 0.0, 1.0]
    states = states_of(table)._replace(probability=four)
    many, few = coverage_by_regime(columns_of(table, "garch_t", 1), states, 50)
    assert (few.group, few.n, few.reach) == ("crisis", 4, None)
    assert many.reach[0] < many.share < many.reach[1]


def test_where_every_close_was_inside_the_interval_still_says_something(table):
    own = columns_of(table, "belief", 1)
    own["covered_90"] = np.ones(160, dtype=bool)
    for share in coverage_by_year(own, 90):
        assert share.share == share.reach[1] == 1.0
        assert 0.9 < share.reach[0] < 1.0


def test_the_matrices_in_force_are_told_beside_the_static_fit(page):
    found = page.table("Probability of moving in one session, in force at 6 of 160 origins")
    assert len(found) == 6 * 4
    last = found[-4:]
    assert {each["origin"] for each in last} == {str(SESSION[159])}
    assert last[0]["to calm"] == "85.9 % (80.0 %)"
    assert last[3]["belief in it"] == "85.0 %"


def test_a_table_of_a_time_before_states_were_kept_still_has_its_tear_sheet(table, undrawn):
    older = table.drop_columns([REGIME_NAMES, *STATES])
    found = html(older)
    assert found.count("No model of this backtest has states, or its file was written before") == 2
    assert claim(found) == claim(html(table))
    assert html(made_up(BETTER, believers=())).count("No model of this backtest has states") == 2


def test_a_static_fit_that_is_not_known_is_not_told(short):
    name = "static_transition_matrix"
    empty = [None if row is None else [float("nan")] * 16 for row in short.column(name).to_pylist()]
    place = short.column_names.index(name)
    field = short.schema.field(name)
    found = html(short.set_column(place, field, pa.array(empty, type=field.type)))
    assert "73.9 %</td>" in found and "static fit (dashed)" not in found and "nan %" not in found


def test_the_page_is_well_formed_and_every_picture_has_figures_in_text(text, page):
    assert page.tags.count("svg") == page.tags.count("figcaption") == 7
    told = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(told) == 7 and all(re.search(r"\d", each) for each in told)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert all(re.search(r"\d", each) for each in captions)
    names = [value for _, name, value in page.attributes if name == "id"]
    assert len(names) == len(set(names)) > 0


def test_the_page_refers_to_nothing_outside_and_has_no_script(text, page):
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "srcset", "action", "data") or name.endswith(":href"):
            assert value.startswith("#"), (tag, name, value)
        assert not name.startswith("on"), (tag, name)
    assert not re.search(r"@import|url\((?!#)|https?:", text)


def test_the_pictures_are_drawn_in_the_inks_of_the_page(text):
    for ink in ("#010203", "#000000"):
        assert ink not in text
    for ink in ("#0072b2", "#56b4e9"):  # each page says what they are in light and in dark
        assert text.lower().count(ink) == 1
    assert (
        "stroke: var(--blue)" in text and "currentColor" in text and "stroke: var(--quiet)" in text
    )
    assert text.count("#595959") == 1  # where the page says what its quiet ink is
    with page_style():
        figure = Figure()
        figure.subplots().plot([0, 1], color="#000000")
        assert "#000000" not in as_svg(figure, "black")


def test_markup_in_names_is_shown_and_never_obeyed(short):
    planted = "<script>alert(1)</script> $x$ &"
    names = {"symbol": planted, "source": f"{planted} \x1b"}
    said = {**json.loads(short.schema.metadata[ABOUT]), **names}
    found = html(short.replace_schema_metadata({ABOUT: json.dumps(said)}))
    assert "<script" not in found and "\x1b" not in found
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x$ &amp;" in found
    drawn = "$x$ &amp;: mean log score gained over garch_t; above 0 is better</text>"
    assert drawn in found
    Page(found)


def test_the_same_backtest_gives_the_same_bytes(text):
    assert html(made_up(BETTER)) == text


def opened(path, *more):
    """Open a page in Chromium; returns the picture and what the console said."""
    browser = shutil.which("chromium")
    assert browser, (
        "this test opens the page in Chromium; install it (Debian: apt install chromium)"
    )
    shot = path.with_suffix(".png")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={path.parent / 'profile'}", f"--screenshot={shot}"]
    done = subprocess.run(
        [browser, *options, "--window-size=1200,900", *more, path.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    return image.imread(shot), console


def test_a_browser_opens_the_page_light_and_dark_and_complains_of_nothing(text, tmp_path):
    path = tmp_path / "sheet.html"
    path.write_text(text, encoding="utf-8")
    light, console = opened(path, "--blink-settings=preferredColorScheme=1")
    assert not console
    dark, console = opened(path, "--blink-settings=preferredColorScheme=0")
    assert not console
    assert light[5, 5, :3].min() > 0.95 and dark[5, 5, :3].max() < 0.2
    assert light.std() > 0.05 and dark.std() > 0.05  # something is drawn
    path.write_text(text.replace("</body>", "<script>nowhere()</script></body>"), encoding="utf-8")
    assert opened(path)[1]  # an error would have been seen


def test_a_horizon_without_an_outcome_is_named(short, undrawn):
    said = {**json.loads(short.schema.metadata[ABOUT]), "horizons": [1, 252, 504]}
    found = html(short.replace_schema_metadata({ABOUT: json.dumps(said)}))
    assert "<p>No outcome known 252 and 504 sessions ahead. " in found
    assert "no outcome" not in html(short).lower()


def test_captions_tell_of_the_band_and_of_windows_too_few_to_tell_much():
    found = html(made_up(BETTER, n=90))
    [caption] = re.findall(r"<figcaption>(How often the close .*?)</figcaption>", found)
    assert "within the grey band lie" in caption and "nine in ten" in caption
    assert "Little can be told 5 sessions ahead, of fewer than 20 windows" in caption


def test_how_much_of_the_gain_came_from_few_origins_is_said(table, undrawn):
    gain = (
        columns_of(table, "belief", 1)["log_score"] - columns_of(table, "garch_t", 1)["log_score"]
    )
    share = 100 * np.sort(gain)[::-1][:5].sum() / gain.sum()
    _, rest = claim(html(table))
    told = f"of the gain 1 session ahead {share:.0f} % came from the 5 best of 160 origins; "
    assert told in rest


def test_how_it_was_made_names_prices_settings_and_program(page):
    rows = {row["what"]: row["value"] for row in page.table("How it was made")}
    assert (rows["prices"], rows["prices used through"]) == ("made up", str(SESSION[164]))
    assert (rows["horizons (sessions)"], rows["fitted anew"]) == ("1, 5", "every 21 origins")
    assert rows["page written by"] == f"belief {version('belief')}"
