"""The page in a browser: what it shows, of which symbol and session, and what it keeps back."""

import dataclasses
import re

import numpy as np
import pytest
from browsed import QUESTION, TARGET, page_server, speaks, talking_server, until, without_model
from playwright.sync_api import expect
from published import FIRST, SECOND, fitted_through, keep_prices, put_in_service, renamed

from belief.prices import COLUMNS
from belief_tools.looks import Place

PAST, BEFORE_PAST, AFTER_PAST = "2024-05-15", "2024-05-14", "2024-05-16"
PARTS = ("forecast", "belief", "regimes", "record")


@pytest.fixture(scope="module")
def served(kept):
    put_in_service(kept, *renamed(FIRST, "AMD"))
    with talking_server(speaks(target="2024-06-28")) as each:
        each.shared.looks.look(Place("NVDA"))
        yield each


@pytest.fixture
def visit(served, visiting):
    return visiting(served.url).open()


def test_the_page_is_whole_without_an_error_and_asks_no_other_host(visit):
    visit.looks(FIRST)
    for part in PARTS:
        assert visit.page.locator(f".place.{part} svg").count() >= 1
        assert visit.page.locator(f".place.{part} figcaption").count() >= 1
    assert {response.status for response in visit.responses} == {200}
    assert len(visit.frames) > 0


def test_what_is_served_first_has_the_pictures_already(served, visiting):
    html = visiting(served.url).page.request.get(served.url).text()
    assert html.index('aria-labelledby="forecast-title"') < html.index("<svg")
    assert html.count("<svg") >= len(PARTS) and f"as of {FIRST}" in html


def test_the_target_asked_about_is_marked(visit):
    assert "asked about" not in visit.text(".place.forecast svg")
    visit.ask(QUESTION)
    expect(visit.page.locator(".place.forecast svg")).to_contain_text(f"asked about: {TARGET}")
    assert f"on {TARGET} median" in visit.text(".place.forecast figcaption")


def test_a_day_is_typed(visit):
    visit.pick(PAST)
    visit.looks(PAST)
    assert f"after {PAST}" in visit.text(".place.regimes figcaption")
    assert f"close of {PAST}" in visit.text("#asked_as_of")
    visit.ask("What will Nvidia cost at the end of June 2024?")
    assert f"as of {PAST}" in visit.text("#chat .answer-receipt")


def test_buttons_step_from_session_to_session(visit):
    visit.pick(PAST)
    visit.looks(PAST)
    visit.page.get_by_role("button", name="Session before").click()
    visit.looks(BEFORE_PAST)
    visit.page.get_by_role("button", name="Session after").click()
    visit.looks(PAST)
    visit.page.get_by_role("button", name="Newest").click()
    visit.looks(FIRST)
    expect(visit.day).to_have_value(FIRST)
    assert visit.page.get_by_label("Show what came after").count() == 0


def test_an_address_names_symbol_and_day(served, visiting):
    visit = visiting(served.url).open(f"?symbol=amd&as_of={PAST}")
    visit.looks(PAST)
    assert "AMD Corp (AMD)" in visit.text("h1")
    expect(visit.day).to_have_value(PAST)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?symbol=XYZ", ["there are no prices of 'XYZ'", "NVDA"]),
        ("?as_of=rubbish", ["rubbish"]),
        ("?as_of=2024-02-30", ["2024-02-30"]),
        ("?symbol=%3Cimg%20src=x%20onerror=alert(1)%3E", ["<img src=x"]),
    ],
)
def test_what_an_address_names_in_vain_is_told(served, visiting, query, words):
    visit = visiting(served.url).open(query)
    visit.looks(FIRST)
    told = visit.text("[role=alert].problem")
    assert all(each in told for each in words)
    assert visit.page.locator("main img").count() == 0


def test_a_day_without_a_session_is_the_session_before_it(visit):
    visit.pick("2024-05-18")  # a Saturday
    visit.looks("2024-05-17")
    expect(visit.day).to_have_value("2024-05-17")


def test_a_day_that_no_model_can_be_fitted_to_is_told_and_can_be_left(visit):
    visit.pick("2023-03-28")
    expect(visit.page.locator(".place.status .problem")).to_contain_text("choose a day from")
    assert visit.text("h1") == "NVDA as of 2023-03-28"
    visit.page.get_by_role("button", name="Newest").click()
    visit.looks(FIRST)
    assert visit.page.locator(".place.status .problem").count() == 0


def test_a_day_before_all_prices_is_not_shown_as_if_it_were_one(visit):
    visit.pick("1990-01-02")
    until(lambda: visit.day.input_value() != "1990-01-02")
    visit.settle()
    assert "1990" not in visit.text("body")


def test_rubbish_for_a_day_leaves_what_is_seen(visit):
    visit.pick("rubbish")
    visit.day.press("Tab")
    visit.settle()
    assert "rubbish" not in visit.text("body")
    visit.pick(PAST)
    visit.looks(PAST)
    assert visit.page.locator(".place.status .problem").count() == 0


def test_another_symbol_brings_its_own_prices_model_and_record(visit):
    nvidia = {part: visit.text(f".place.{part}") for part in PARTS}
    visit.page.get_by_label("Symbol").select_option("AMD")
    expect(visit.page.locator("h1")).to_contain_text("AMD Corp (AMD)")
    visit.looks(FIRST)
    assert "Nvidia" not in visit.text("main")
    assert visit.text(".place.forecast") != nvidia["forecast"]
    visit.page.get_by_label("Symbol").select_option("NVDA")
    expect(visit.page.locator("h1")).to_contain_text("Nvidia (NVDA)")
    visit.looks(FIRST)
    assert {part: visit.text(f".place.{part}") for part in PARTS} == nvidia


# What came after


def test_what_came_after_is_shown_when_it_is_wanted_and_for_that_session_alone(visit):
    for day in (BEFORE_PAST, PAST):
        visit.pick(day)
        visit.looks(day)
    assert "What came" not in visit.text("body")
    visit.page.get_by_label("Show what came after").check()
    expect(visit.page.locator(".place.forecast")).to_contain_text("what came, on")
    visit.settle()
    visit.frames.clear()
    visit.page.get_by_role("button", name="Session before").click()
    visit.looks(BEFORE_PAST)
    expect(visit.page.get_by_label("Show what came after")).not_to_be_checked()
    visit.page.get_by_role("button", name="Session after").click()  # where it was wanted before
    visit.looks(PAST)
    expect(visit.page.get_by_label("Show what came after")).not_to_be_checked()
    visit.settle()
    assert "hat came" not in visit.text(".place.forecast")
    assert not re.search("hat came,? on|What came:", "".join(map(str, visit.frames)))


def test_it_goes_away_again_when_it_is_not_wanted_any_more(visit):
    visit.pick(PAST)
    visit.looks(PAST)
    before = visit.text(".place.forecast")
    visit.page.get_by_label("Show what came after").check()
    expect(visit.page.locator(".place.forecast")).to_contain_text("what came, on")
    visit.page.get_by_label("Show what came after").uncheck()
    expect(visit.page.locator(".place.forecast")).not_to_contain_text("what came, on")
    assert visit.text(".place.forecast") == before


def garbled_after(prices, day):
    """The same history up to a day, and after it one that has nothing to do with it."""
    later = prices.session > np.datetime64(day, "D")
    wild = np.where(later, np.random.default_rng(0).uniform(0.8, 1.2, later.size), 1.0)
    columns = {name: getattr(prices, name) * wild for name in COLUMNS}
    return dataclasses.replace(prices, **columns)


def everything(visit):
    """All that a browser holds of what the page says, but for names of entries."""
    held = visit.page.evaluate("document.documentElement.outerHTML")
    frames = "".join(map(str, visit.frames))
    names = re.compile(r"\b[0-9a-f]{12}\b")
    return [
        names.sub("", visit.text(part)) for part in ("header", "main", "svg", "#chat .answer")
    ], held + frames


def as_of_the_past(visiting, path, prices, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(path))
    keep_prices(path, prices)
    with talking_server(speaks(target="2024-06-28"), day=SECOND) as each:
        visit = visiting(each.url).open(f"?as_of={PAST}")
        visit.looks(PAST)
        visit.ask("What will Nvidia cost at the end of June 2024?")
        marked = visit.page.locator(".place.forecast svg", has_text="asked about: 2024-06-28")
        marked.wait_for(state="attached")
        return everything(visit)


def test_nothing_of_later_sessions_is_in_the_page_of_a_past_one(visiting, tmp_path, monkeypatch):
    prices = fitted_through(SECOND)[0]
    seen, held = as_of_the_past(visiting, tmp_path / "1.db", prices, monkeypatch)
    garbled = garbled_after(prices, PAST)
    other, _ = as_of_the_past(visiting, tmp_path / "2.db", garbled, monkeypatch)
    assert seen == other and "asked about: 2024-06-28" in seen[2]
    later = prices.close[prices.session > np.datetime64(PAST, "D")]
    assert not [close for close in later.tolist() if f"{close:,.2f}" in held]
    assert not [close for close in later.tolist() if f"{close:.2f}" in held]


# Without a model


def test_without_a_model_the_page_says_what_is_to_be_done(visiting, tmp_path, monkeypatch):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    keep_prices(tmp_path / "belief.db", fitted_through(FIRST)[0])
    with page_server(without_model) as each:
        visit = visiting(each.url).open()
        expect(visit.page.locator(".place.status .problem")).to_contain_text("Refit now")
        assert visit.page.get_by_role("button", name="Refit now").is_enabled()
        assert visit.page.locator("svg[role=img]").count() == 0
