"""The sections of a page about a belief, of the fixture's tool as of 2024-03-01."""

import dataclasses
import re

import numpy as np
import pytest
from daily import short_history
from pages import Page
from playwright.sync_api import sync_playwright
from replayed import with_garbage_after

from belief import models
from belief.backtest_sheet import wilson
from belief.sessions import session_after
from belief.sources import load_prices
from belief.track_record import COLUMNS, Scored, bundled_scores
from belief.view import View
from belief_tools import (
    belief_tool,
    forecast_tool,
    looking_pictures,
    record_pictures,
    record_tool,
)
from belief_tools.belief_table import last_session_lines
from belief_tools.forecast_tool import ForecastTool, cents, money
from belief_tools.looking import (
    belief_section,
    forecast_section,
    record_section,
    regimes_section,
    standing_words,
)
from belief_tools.report_page import Claim, as_html, section_html

AS_OF = np.datetime64("2024-03-01")
TARGET = np.datetime64("2024-03-28")
BEYOND = np.datetime64("2024-06-28")  # after the fan's last session, and after a split of 10 for 1
FAR = np.datetime64("2025-06-30")  # after the last of the bundled prices
SECTIONS = (forecast_section, belief_section, regimes_section, record_section)
VIEW = View(950.0, 800.0, 1100.0, 0.5)


@pytest.fixture(scope="module")
def whole():
    return load_prices("NVDA")


@pytest.fixture(scope="module")
def sections(tool):
    return [draw(tool) for draw in SECTIONS]


@pytest.fixture(scope="module")
def result(tool):
    asked = {"symbol": "NVDA", "target_date": str(TARGET), "price_levels": None}
    return tool.run(tool.check(asked))


def texts(section):
    """All that a section says: words, cells, captions, and what stands in the pictures."""
    drawn = [text for p in section.pictures for text in re.findall(r"<text[^>]*>([^<]*)", p.svg)]
    told = [text for p in section.pictures for text in (p.alt, p.caption)]
    cells = [cell for t in section.tables for row in (t.head, *t.rows) for cell in row]
    return [*section.words, *told, *cells, *(t.caption for t in section.tables), *drawn]


def what_came(section):
    [words] = [words for words in section.words if "the close was" in words]
    return words


# The price ahead


def test_the_words_about_a_target_are_those_of_the_tool(tool, result):
    section = forecast_section(tool, target=TARGET)
    assert section.words[0].startswith(f"{result.summary}. ")
    assert f"is {100 * result.prob_up:.0f} %; that is drift" in section.words[0]
    assert section.words[1] == "No scheduled event is expected in 19 sessions."


def test_the_caption_has_no_amount_that_the_tool_does_not_have(tool, result):
    [picture] = forecast_section(tool, target=TARGET).pictures
    known = [money(each) for each in (result.median, *result.interval_50, *result.interval_90)]
    for told in (picture.alt, picture.caption):
        amounts = re.findall(r"\$[\d,]+(?:\.\d+)?(?<!,)", told)
        assert amounts == [cents(result.last_close), *known]
        assert re.findall(r"\d{4}-\d\d-\d\d", told) == [result.target]


def test_the_table_tells_every_point_of_the_fan(tool, result):
    [table] = forecast_section(tool, target=TARGET).tables
    assert table.folded
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows[result.target] == [
        str(result.horizon),
        cents(result.median),
        " to ".join(map(cents, result.interval_50)),
        " to ".join(map(cents, result.interval_90)),
        f"{100 * result.prob_up:.0f} %",
    ]
    horizons = [int(row[0]) for row in rows.values()]
    assert horizons == sorted({1, 2, 3, 5, *range(8, 64, 5), 19})


def test_the_fan_goes_on_to_a_target_that_lies_beyond_it(tool):
    [table] = forecast_section(tool, target=FAR).tables
    assert table.rows[-1][0] == str(FAR)
    horizons = [int(row[1]) for row in table.rows]
    assert 84 in horizons and max(np.diff(horizons)) <= 21
    [table] = forecast_section(tool).tables
    assert table.rows[-1][1] == "63"


def test_events_that_may_be_named_are(tool):
    assert re.fullmatch(
        r"Scheduled events in 82 sessions: about 2024-05-23 \(over 99 % by the target\)\.",
        forecast_section(tool, target=BEYOND).words[1],
    )


def test_a_view_is_told_and_marked_at_its_target(tool):
    section = forecast_section(tool, target=TARGET, view=VIEW)
    told = "Your view: $950, 90 % chance between $800 and $1,100, with a confidence of 50 %"
    assert any(words.startswith(told) for words in section.words)
    assert "your view $950, 90 % $800 to $1,100" in section.pictures[0].alt
    assert "your view of it" in section.pictures[0].svg
    assert "your view" not in forecast_section(tool, target=TARGET).pictures[0].svg


def test_a_view_without_a_target_is_refused(tool):
    with pytest.raises(ValueError, match="a view is about a target"):
        forecast_section(tool, view=VIEW)


# What came after


@pytest.mark.parametrize(
    ("target", "told"),
    [
        (TARGET, "What came: on 2024-03-28 the close was $903.56 (up 9.8 %), "),
        (BEYOND, "What came: on 2024-06-28 the close was $1,235.40 (up 50 %), "),
        (
            FAR,
            "These prices have no close of 2025-06-30; what came before it: on 2025-02-14 the "
            "close was $1,388.50 (up 69 %), ",
        ),
    ],
)
def test_what_came_is_told_in_dollars_of_as_of_and_against_the_intervals(tool, whole, target, told):
    words = what_came(forecast_section(tool, target=target, came=whole))
    assert words.startswith(told)
    day = min(target, whole.as_of)
    close = float(re.search(r"was \$([\d,.]+\d)", words)[1].replace(",", ""))
    forecast = tool.forecast(day)
    inside = [low <= close <= high for low, high in map(forecast.interval, (0.5, 0.9))]
    assert ("inside the 50 % interval" in words) == inside[0]
    assert ("inside the 90 % interval" in words) == (inside == [False, True])
    assert ("outside the 90 % interval" in words) == (not inside[1])
    split = ", in dollars of 2024-03-01, before the split of 10 for 1 on 2024-06-10"
    assert (split in words) == (target > np.datetime64("2024-06-07"))


def closing(whole, day, price):
    """The prices, as if a session had closed elsewhere."""
    close, high, low = (getattr(whole, name).copy() for name in ("close", "high", "low"))
    row = whole.session == day
    close[row] = price
    high[row], low[row] = np.maximum(high[row], price), np.minimum(low[row], price)
    return dataclasses.replace(whole, close=close, high=high, low=low)


@pytest.mark.parametrize(
    ("level", "share", "told"),
    [
        (0.5, 0.999, "inside the 50 % interval of that day"),
        (0.5, 1.001, "outside the 50 % interval, inside the 90 % interval of that day"),
        (0.9, 0.999, "outside the 50 % interval, inside the 90 % interval of that day"),
        (0.9, 1.001, "outside the 90 % interval of that day"),
    ],
)
def test_the_narrowest_interval_that_held_the_close_is_named(tool, whole, level, share, told):
    high = tool.forecast(TARGET).interval(level)[1]
    came = closing(whole, TARGET, share * high)
    assert f"), {told}" in what_came(forecast_section(tool, target=TARGET, came=came))


def test_where_nothing_came_that_is_said(tool, prices):
    words = forecast_section(tool, target=TARGET, came=prices).words[-1]
    assert words == "These prices have nothing after 2024-03-01 up to 2024-03-28."


def test_nothing_of_what_came_shows_unless_it_is_asked_for(tool, whole):
    later = whole.closes_after(AS_OF)
    amounts = {cents(close) for close in later.close.tolist()}
    for asked in (False, True):
        section = forecast_section(tool, target=BEYOND, came=whole if asked else None)
        shown = {amount for text in texts(section) for amount in re.findall(r"\$[\d,.]+\d", text)}
        assert bool(shown & amounts) == asked
        assert any("what came" in text.lower() for text in texts(section)) == asked
        assert any("split" in text for text in texts(section)) == asked


def test_what_came_after_the_target_does_not_show(tool, whole):
    shown = forecast_section(tool, target=TARGET, came=whole)
    # the fan ends after the target, and what came is drawn on to its end
    end = session_after(AS_OF, 63)
    assert forecast_section(tool, target=TARGET, came=with_garbage_after(whole, end)) == shown
    end = session_after(AS_OF, 62)
    assert forecast_section(tool, target=TARGET, came=with_garbage_after(whole, end)) != shown


def test_what_came_of_another_symbol_is_refused(tool, whole):
    other = dataclasses.replace(whole, symbol="XYZ")
    with pytest.raises(ValueError, match="prices of XYZ are not what came of NVDA"):
        forecast_section(tool, came=other)


# No look-ahead


def everything(scored, known):
    """The scores, with all that was not known on a day turned round."""
    later = scored.target > known
    turned = {
        "log_score": np.where(later, -50.0, scored.log_score),
        "pit": np.where(later, 1.0, scored.pit),
        "covered_50": scored.covered_50 & ~later,
        "covered_90": scored.covered_90 & ~later,
    }
    return Scored(**{name: turned.get(name, getattr(scored, name)) for name in COLUMNS})


def test_garbage_after_as_of_changes_no_byte_of_any_section(tool, whole, sections, monkeypatch):
    dirty = with_garbage_after(whole, AS_OF)
    assert dirty.last_close != whole.last_close
    scores = everything(bundled_scores("NVDA"), AS_OF)
    assert not np.array_equal(scores.pit, bundled_scores("NVDA").pit)
    for module in (forecast_tool, record_tool):
        monkeypatch.setattr(module, "bundled_scores", lambda symbol: scores)
    known = dirty.until(AS_OF)
    assert known.fingerprint() == tool.prices.fingerprint()
    again = ForecastTool(known, tool.fitted, None)
    assert [draw(again) for draw in SECTIONS] == sections
    assert standing_words(again) == standing_words(tool)


def test_outcomes_of_the_ledger_that_were_not_known_change_no_byte(tool):
    own = bundled_scores("NVDA")
    known = dataclasses.replace(tool, ledger=own.until(AS_OF))
    dirty = dataclasses.replace(tool, ledger=everything(own, AS_OF))
    section = record_section(known)
    assert section == record_section(dirty)
    assert {row[1] for row in section.tables[0].rows} == {"ledger"}


# Volatility and regimes


def test_the_volatility_is_told_as_belief_now_tells_it(tool):
    section, held = belief_section(tool), models.belief(tool.fitted)
    told = belief_tool.run(tool, {"symbol": "NVDA"})
    assert section.words[0] == told.summary
    for line in last_session_lines(held.last_session):
        assert line in section.words[1]
    low, high = (100 * end for end in told.volatility_interval_90)
    assert section.pictures[0].alt.startswith(
        f"Volatility {100 * told.volatility:.0f} % a year, 90 % of the belief between {low:.0f} "
        f"and {high:.0f} %; by regime "
    )
    [table] = section.tables
    assert table.folded and [row[0] for row in table.rows] == [r["name"] for r in told.regimes]
    for row, regime, each in zip(table.rows, told.regimes, held.regimes, strict=True):
        assert row[1:3] == [f"{100 * share:.1f} %" for share in (each.probability, each.before)]
        assert row[4:] == [f"{100 * regime['volatility']:.0f} %", f"{regime['sessions_left']}"]


def test_the_regimes_of_the_next_session_are_those_of_its_states(tool, sections):
    held = models.belief(tool.fitted)
    for place, row in enumerate(sections[1].tables[0].rows):
        share = 100 * held.ahead.probability[held.ahead.regime == place].sum()
        assert float(row[3].removesuffix(" %")) == pytest.approx(share, abs=0.06)
        assert f"{row[0]} {share:.1f} %" in sections[1].pictures[0].alt


def test_a_model_that_says_nothing_of_the_last_session_leaves_it_out(tool, monkeypatch):
    held = dataclasses.replace(models.belief(tool.fitted), last_session=None)
    for module in (models, belief_tool):
        monkeypatch.setattr(module, "belief", lambda fitted: held)
    assert not any("The last session:" in words for words in belief_section(tool).words)


def test_the_transition_table_has_the_matrices_in_force_a_year_ago_and_static(tool, sections):
    held = models.belief(tool.fitted)
    [table] = sections[2].tables
    assert not table.folded and "in force now (a year ago, static fit)" in table.caption
    matrices = held.transition_matrix, held.year_ago_transition_matrix
    for i, row in enumerate(table.rows):
        for j, cell in enumerate(row[1:]):
            now, ago, static = re.fullmatch(r"(\S+) % \((\S+) %, (\S+) %\)", cell).groups()
            assert float(now) == pytest.approx(100 * matrices[0][i, j], abs=0.0051)
            assert float(ago) == pytest.approx(100 * matrices[1][i, j], abs=0.051)
            assert float(static) == pytest.approx(
                100 * held.static_transition_matrix[i, j], abs=0.051
            )


def test_without_a_year_before_the_table_says_nothing_of_it(tool, monkeypatch):
    held = dataclasses.replace(models.belief(tool.fitted), year_ago_transition_matrix=None)
    monkeypatch.setattr(models, "belief", lambda fitted: held)
    section = regimes_section(tool)
    assert "in force now (static fit)" in section.tables[0].caption
    assert "a year ago" not in " ".join(section.words)
    assert re.fullmatch(r"\S+ % \(\S+ %\)", section.tables[0].rows[0][1])


def test_the_pictures_of_the_regimes_tell_their_figures(tool, sections):
    held = models.belief(tool.fitted)
    stacked, staying = sections[2].pictures
    for regime, share in zip(held.regimes, np.diag(held.transition_matrix), strict=True):
        assert f"{regime.name} {100 * regime.probability:.1f} %" in stacked.alt
        assert f"{regime.name} {100 * share:.1f} %" in staying.alt
    counts = re.findall(r" ([\d,]*\d)", stacked.alt.rpartition("of 1,260 sessions:")[2])
    assert sum(int(count.replace(",", "")) for count in counts) == 1260


@pytest.mark.parametrize("model", ["few_state_memory", "few_state_static", "chain"])
def test_a_short_history_and_a_model_of_few_states_are_shown_too(model):
    prices = short_history("2024-05-31")
    few = ForecastTool(prices, models.fit(model, prices), None)
    drawn = [draw(few) for draw in SECTIONS]
    assert [len(section.pictures) for section in drawn] == [1, 1, 2, 0]
    assert drawn[3].words == [f"No track record is kept of forecasts by the model {model}."]
    told = drawn[2].pictures[0].alt
    assert f"of {len(prices.session) - 1} sessions" in told
    # the regime of the next session is not known, even where that of the last one is
    assert "100.0 %" not in [row[3] for row in drawn[1].tables[0].rows]
    names = [regime.name for regime in models.belief(few.fitted).regimes]
    assert [row[0] for row in drawn[2].tables[0].rows] == names


def test_the_panels_are_the_end_of_what_the_model_reads_in_the_whole_past(tool, monkeypatch):
    handed = []
    monkeypatch.setattr(
        looking_pictures,
        "staying_over_time",
        lambda panels, *handed_over: handed.append(handed_over),
    )
    looking_pictures.staying(tool, models.belief(tool.fitted))
    [(_, session, transmat)] = handed
    whole = models.transmat_over_time(tool.fitted, tool.prices)
    np.testing.assert_array_equal(transmat, whole[-60:])
    np.testing.assert_array_equal(session, tool.prices.session[-1260:])


# The track record


def test_the_record_is_what_the_track_record_says(tool, sections):
    told = record_tool.run(tool, {"symbol": "NVDA"})
    assert sections[3].words[0] == told.summary
    [table] = sections[3].tables
    assert table.folded
    for row, record in zip(table.rows, told.records, strict=True):
        assert row[0] == str(record["horizon"]) and row[-1] == record["verdict"]
        assert row[4:6] == [f"{record['origins']:,}", f"{record['windows']:,}"]
        assert float(row[7].removesuffix(" %")) == pytest.approx(
            100 * record["coverage_90"], abs=0.11
        )
        low, mean, high = record["skill_garch_t"]
        assert row[9] == f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
        assert f"{row[6]} inside 50 % and {row[7]} inside 90 %" in sections[3].pictures[0].alt
        assert row[9] in sections[3].pictures[1].alt


def few(n):
    """So many forecasts of one session, one a day."""
    target = AS_OF - np.arange(n)[::-1]
    ones = {"log_score": np.zeros(n), "crps": np.zeros(n), "pit": np.full(n, 0.5)}
    held = {"covered_50": np.ones(n, dtype=bool), "covered_90": np.arange(n) > 0}
    horizon, model = np.full(n, 1), np.full(n, "belief")
    return Scored(model=model, origin=target - 1, target=target, horizon=horizon, **ones, **held)


def given_out(tool, n):
    """The tool under a name that nothing is bundled for, with so many outcomes of its own."""
    prices = dataclasses.replace(tool.prices, symbol="XYZ", name="Xyz")
    fitted = dataclasses.replace(tool.fitted, symbol="XYZ")
    return ForecastTool(prices, fitted, None, few(n))


def test_with_too_few_windows_nothing_is_claimed(tool):
    section = record_section(given_out(tool, 19))
    assert section.tables[0].rows[0][-3:] == ["too few to judge"] * 3
    assert "Gained over a random walk too few to judge 1 session ahead" in section.pictures[1].alt
    assert any("too few" in text for text in texts(section))


def test_the_pictures_of_the_record_are_of_the_ledger_where_it_speaks(tool):
    section = record_section(given_out(tool, 40))
    assert [row[:2] for row in section.tables[0].rows] == [["1", "ledger"]]
    assert "100.0 % inside 50 % and 97.5 % inside 90 % 1 session ahead" in section.pictures[0].alt
    assert "random_walk" not in section.pictures[2].svg  # nothing to compare with


def test_without_a_record_it_is_said_and_nothing_drawn(tool):
    section = record_section(given_out(tool, 0))
    assert section.words == ["No outcome of such forecasts is known by 2024-03-01."]
    assert not section.tables and not section.pictures


def test_the_intervals_of_the_coverage_are_of_windows_that_do_not_overlap(tool, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        record_pictures.plots,
        "coverage_by_horizon",
        lambda axes, shares, windows, **words: drawn.append((shares, windows)),
    )
    monkeypatch.setattr(record_pictures, "_share_ticks", lambda panels: None)
    records = record_tool.records_of(tool)
    record_pictures.coverage(tool, records)
    for shares, windows in drawn:
        assert list(windows.values()) == [record.windows for record in records]
        for share, record in zip(shares, records, strict=True):
            assert share.reach == wilson(share.share, record.windows)
    assert [shares[2].share for shares, _ in drawn] == [
        records[2].coverage_50,
        records[2].coverage_90,
    ]


# The page


def test_it_is_said_where_prices_and_model_stand(tool):
    aged = dataclasses.replace(
        tool, today=np.datetime64("2024-03-05"), service="published 2024-03-01"
    )
    assert standing_words(aged) == (
        "Nvidia (NVDA) as of 2024-03-01: last close $822.79.",
        "Prices: bundled snapshot, 4 days old.",
        "Model: belief fitted through 2024-03-01, published 2024-03-01.",
    )


def test_the_same_tool_gives_the_same_bytes(tool, sections):
    assert [draw(tool) for draw in SECTIONS] == sections


def test_every_picture_has_figures_in_text_and_ids_of_its_own(sections):
    page = Page("".join(section_html(each, name=each.title[:3]) for each in sections))
    assert page.tags.count("svg") == page.tags.count("figcaption") == 7
    told = [value for tag, name, value in page.attributes if (tag, name) == ("svg", "aria-label")]
    assert len(told) == 7 and all(re.search(r"\d", each) for each in told)
    names = [value for _, name, value in page.attributes if name == "id"]
    assert len(names) == len(set(names)) > 7


def test_no_picture_is_heavy(sections):
    sizes = {len(picture.svg) for section in sections for picture in section.pictures}
    assert max(sizes) < 100_000 and sum(sizes) < 300_000


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield opened
        opened.close()


OUTSIDE = """() => [...document.querySelectorAll('svg')].flatMap(svg => {
    const box = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')]
        .map(text => [text.textContent, text.getBoundingClientRect()])
        .filter(([, of]) => of.left < box.left - 1 || of.right > box.right + 1
            || of.top < box.top - 1 || of.bottom > box.bottom + 1)
        .map(([text]) => text) })"""
LEAST = """() => Math.min(...[...document.querySelectorAll('svg')].map(svg => Math.min(
    ...[...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize)))
    * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"""


@pytest.mark.parametrize("width", [390, 1100])
def test_pictures_scroll_in_their_box_on_a_phone_and_all_their_text_is_inside(
    tool, whole, sections, browser, tmp_path, width
):
    path = tmp_path / "page.html"
    far = forecast_section(tool, target=FAR, came=whole, view=VIEW)
    path.write_text(as_html("A page", [Claim("It stands")], [far, *sections]), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate(LEAST) >= 7.0  # pixels
    page.close()
