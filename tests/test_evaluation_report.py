import re

import numpy as np
import pytest
from pages import Page
from test_evaluation_scores import figures, last_close, market, oracle, row, rows_of, shaded

from belief_tools.evaluation_report import html, markdown
from belief_tools.evaluation_scores import score

ABOUT = {
    "command": "belief evaluate --model m",
    "symbol": "NVDA",
    "first": "2016-01-05",
    "last": "2024-11-01",
    "horizons": [5, 21, 63],
    "modes": ["plain", "masked"],
    "models": [{"name": "m", "cutoff": "2023-10-01"}, {"name": "other", "cutoff": None}],
    "code_fingerprint": "0123abcd",
}
PLANTED = "<script>alert('x')</script> | **bold** [link](http://example.com) <img src=x>"
PROBE = [
    {"model": "m", "day": f"2020-01-0{day}", "said": 60.0, "actual": 60.0, "knows": day != 2}
    for day in (2, 3, 6, 7)
]


def unaided(trials):
    return rows_of({"belief": last_close, "garch_t": last_close, "random_walk": last_close}, trials)


def evaluation(tool, price=last_close, band=last_close, *, trials=None, probe=PROBE, **more):
    trials = list(market()) if trials is None else trials
    arms = {"none": shaded, "price": price, "band": band, "context": last_close, "tool": tool}
    return score(rows_of(arms, trials, **more) + unaided(trials), probe=probe)


@pytest.fixture(scope="module")
def planted():
    trials = list(market())
    arms = {"price": last_close, "band": last_close, "tool": shaded}
    rows = rows_of(arms, trials, text=PLANTED, model="<b>m</b> $x$ & \x1b]0;")
    rows += rows_of(arms, trials, mode="masked")
    return score(rows + unaided(trials), probe=PROBE)


@pytest.fixture(scope="module")
def page(planted):
    return html(planted, {**ABOUT, "note": PLANTED})


def first_lines(scored):
    """What stands first in Markdown and on the page."""
    [first, *_] = re.findall(r'<p class="headline">(.*?)</p>', html(scored, ABOUT))
    return markdown(scored, ABOUT).split("\n")[0], " ".join(Page(first).text)


def test_the_first_line_says_that_the_tool_did_not_help_where_it_did_not():
    for line in first_lines(evaluation(shaded)):
        assert line.startswith("The tool did not help m (plain), it made its predictions worse: ")
        assert "mean absolute percentage error 10.0 % with it against " in line
        assert "120 trials" in line and "90 % interval +" in line


def test_the_first_line_says_that_nothing_changed_where_the_tool_is_ignored():
    for line in first_lines(evaluation(last_close)):
        assert line.startswith("The tool did not help m (plain): ")
        assert "difference 0.00 points, 90 % interval 0.00 to 0.00, 120 trials" in line


def test_the_first_line_says_that_the_tool_helped_an_oracle():
    for line in first_lines(evaluation(oracle)):
        assert line.startswith("The tool helped m (plain): ")
        assert "0.0 % with it" in line


def test_what_the_product_shows_does_not_make_the_first_line_better():
    trials = list(market())
    rows = rows_of({"price": last_close, "band": last_close}, trials)
    rows += [row(trial, "tool", shaded(trial), shown=oracle(trial)) for trial in trials]
    for line in first_lines(score(rows)):
        assert line.startswith("The tool did not help m (plain)")


def test_a_gain_over_the_price_alone_is_not_called_a_gain_over_the_band():
    for line in first_lines(evaluation(last_close, price=shaded)):
        assert line.startswith(
            "The tool helped m (plain) against the price alone, not the band of a random walk: "
        )


def test_a_gain_that_rests_on_the_stand_in_is_told_as_one():
    def half(trial):
        return figures(0.5 * trial["actual"])

    trials = list(market())
    rows = rows_of({"price": half, "band": half}, trials)
    rows += [row(t, "tool", None if i % 3 else half(t)) for i, t in enumerate(trials)]
    line = markdown(score(rows), ABOUT).split("\n")[0]
    assert line.startswith(
        "Whether the tool helped m (plain), or the random walk that stands in, cannot be told: "
    )
    assert "80 of 120 with the tool, 0 of 120 with the price alone" in line
    assert "on the 40 trials in which the model itself said something usable both times, no" in line


def test_a_tool_with_which_nothing_usable_was_said_is_not_judged():
    trials = list(market())
    rows = rows_of({"price": shaded, "band": shaded, "tool": lambda trial: None}, trials)
    line = markdown(score(rows), ABOUT).split("\n")[0]
    assert line == (
        "Whether the tool helped m (plain) cannot be said: with it nothing usable was said."
    )


def test_a_gain_over_a_base_that_says_nothing_usable_is_the_tools():
    arms = {"price": lambda trial: None, "band": lambda trial: None, "tool": oracle}
    line = markdown(score(rows_of(arms, list(market()))), ABOUT).split("\n")[0]
    assert line.startswith("The tool helped m (plain): ")


def test_a_gain_in_too_few_windows_is_not_claimed():
    line = markdown(evaluation(oracle, trials=list(market(9))), ABOUT).split("\n")[0]
    assert line.startswith("The tool seems to have helped m (plain), in too few windows to judge: ")
    assert "windows that do not overlap, too few to judge by" in line


def test_each_model_and_mode_has_its_own_sentence(planted):
    line = markdown(planted, ABOUT).split("\n")[0]
    assert line.count("The tool did not help ") == 2
    assert "(plain)" in line and "(masked)" in line


def test_arms_that_were_not_asked_are_said_to_be_missing():
    scored = score(rows_of({"tool": oracle, "price": last_close}))
    text = markdown(scored, ABOUT)
    assert "(not compared with the band of a random walk)" in text.split("\n")[0]
    assert "tool - band (not compared)" in text
    alone = markdown(score(rows_of({"tool": oracle})), ABOUT)
    assert alone.startswith("Whether the tool helped m (plain) cannot be said")


def test_without_a_language_model_nothing_is_claimed():
    for line in first_lines(score(unaided(list(market())))):
        assert line.startswith("No language model was asked")


def test_the_page_is_well_formed_and_has_every_section(page):
    found = Page(page)
    headings = [
        "Arms side by side",
        "What the tool changes",
        "Error over time",
        "Calibration",
        "Examples",
        "What became of the answers",
        "What the models recall",
        "Tokens, seconds and cost",
        "What was left out",
        "How it was made",
    ]
    assert [text for text in found.text if text in headings] == headings
    named = found.tags.count("caption") + found.tags.count("summary")
    assert found.tags.count("table") == named >= 10
    assert found.tags.count("summary") == found.tags.count("details") > 0
    assert found.tags.count("svg") == 4  # two models and modes, over time and calibration
    assert sum(name == "aria-label" for _, name, _ in found.attributes) == 4


def test_the_page_refers_to_nothing_outside(page):
    found = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    for tag, name, value in found.attributes:
        if name in ("src", "href", "srcset", "action", "data") or name.endswith(":href"):
            assert value.startswith("#"), (tag, name, value)
        assert not name.startswith("on"), (tag, name)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "xmlns" not in page and "DOCTYPE svg" not in page


def test_pictures_do_not_share_names(page):
    names = [value for _, name, value in Page(page).attributes if name == "id"]
    assert len(names) == len(set(names)) > 0
    used = set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page))
    assert {one or other for one, other in used} <= set(names)


def test_the_page_follows_the_readers_light_or_dark(page):
    assert "prefers-color-scheme: dark" in page
    assert "currentColor" in page and "#010203" not in page


def test_what_a_model_says_is_shown_as_text_and_never_obeyed(page, planted):
    assert "<script" not in page and "<img" not in page and "<b>" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;" in page
    assert "\x1b" not in page
    text = markdown(planted, ABOUT)
    assert "<script" not in text and "<img" not in text and "**bold**" not in text
    assert "[link](" not in text.replace("\\[link\\](", "") and "\x1b" not in text


def test_a_text_with_bars_and_breaks_stays_in_its_cell():
    text = markdown(evaluation(shaded, text="one | two\n\n| three |"), ABOUT)
    for lines in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines.splitlines()}
        assert len(columns) == 1


def test_long_texts_are_cut_with_a_count_of_what_is_missing():
    page = html(evaluation(shaded, text="x" * 700), ABOUT)
    assert "x" * 600 + "... (100 more characters)" in page
    assert "x" * 601 not in page


def cells(text, heading, first):
    """Rows of the Markdown tables below a heading whose first cells are these."""
    below = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in below.splitlines()
        if line.startswith("|")
    ]
    return [each for each in rows if each[: len(first)] == list(first)]


def test_the_arms_stand_side_by_side_with_their_figures():
    text = markdown(evaluation(shaded), ABOUT)
    tool, *by_horizon = cells(text, "Arms side by side", ["tool"])
    assert tool[1:4] == ["120", "120", "10.0 %"]
    assert [each[1:4] for each in by_horizon] == [[h, "40", "10.0 %"] for h in ("5", "21", "63")]
    assert cells(text, "Arms side by side", ["garch\\_t"])


def test_forecasts_without_a_model_are_scored_on_the_trials_of_the_model():
    trials = list(market())
    rows = rows_of({"tool": shaded, "price": last_close}, trials[60:], mode="after-cutoff")
    text = markdown(score(rows + unaided(trials)), ABOUT)
    assert cells(text, "Arms side by side", ["belief"])[0][1] == "60"
    [left_out] = cells(text, "What was left out", ["m", "after-cutoff", "tool - belief"])
    assert left_out[3:6] == ["60", "0", "60"]


def test_examples_are_at_the_quantiles_of_the_error():
    draw = np.random.default_rng(0)

    def off_by_some(trial):
        return figures(trial["actual"] * (1.0 + draw.uniform(0.0, 0.2)))

    scored = evaluation(off_by_some)
    found = cells(markdown(scored, ABOUT), "Examples", ["tool"])
    assert [each[1] for each in found] == ["5 %", "25 %", "50 %", "75 %", "95 %"]
    error = scored.trials.own.error[list(scored.trials.find("m", "plain", "tool"))]
    expected = np.sort(error)[[6, 30, 60, 89, 113]]  # the nearest of 120
    shown = [float(each[8].rstrip(" %")) for each in found]
    assert shown == pytest.approx(list(100.0 * expected), abs=0.0501)


def test_calibration_is_of_what_was_stated_alone():
    trials = list(market())
    rows = [row(t, "tool", None if i % 2 else oracle(t)) for i, t in enumerate(trials)]
    rows += rows_of({"price": shaded}, trials)
    text = markdown(score(rows), ABOUT)
    [tool] = cells(text, "Calibration", ["tool"])
    assert tool[1:6] == ["60", "0 %", "100 %", "0 %", "0 %"]
    assert tool[6] == tool[7]
    [price] = cells(text, "Calibration", ["price"])
    assert price[1:6] == ["120", "0 %", "0 %", "100 %", "0 %"]


def test_a_model_that_recalls_is_unmasked():
    text = markdown(evaluation(oracle), ABOUT)
    [[_, asked, said, known, share]] = cells(text, "What the models recall", ["m"])
    assert (asked, said, known, share) == ("4", "4", "3", "75.0 %")


def test_how_it_was_made_is_told():
    text = markdown(evaluation(shaded), ABOUT)
    for told in ("belief evaluate --model m", "NVDA", "2016-01-05", "5, 21, 63", "0123abcd"):
        assert told in text
    assert "m (knowledge cutoff 2023-10-01), other (knowledge cutoff not stated)" in text


def test_an_evaluation_of_one_trial_can_be_reported():
    scored = evaluation(oracle, trials=list(market(1, horizons=(5,))))
    line, _ = first_lines(scored)
    assert "too few origins for an interval" in line


def test_the_same_evaluation_gives_the_same_bytes(planted, page):
    assert html(planted, {**ABOUT, "note": PLANTED}) == page
    assert markdown(planted, ABOUT) == markdown(planted, ABOUT)


def test_pictures_write_plain_figures_however_large_the_errors_are():
    page = html(evaluation(lambda trial: figures(300.0 * trial["actual"])), ABOUT)
    assert "mathdefault" not in page
    assert re.search(r">10,000</text>", page)
