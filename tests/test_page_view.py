"""A view of one's own, given on the page."""

import pytest
from browsed import TARGET, page_server, without_model
from playwright.sync_api import expect
from published import FIRST


@pytest.fixture(scope="module")
def served(kept):
    with page_server(without_model) as each:
        yield each


@pytest.fixture
def visit(served, visiting):
    visit = visiting(served.url).open()
    visit.looks(FIRST)
    return visit


def mark(visit, day):
    field = visit.page.get_by_label("Target day to mark")
    field.press("Control+a")
    field.press_sequentially(day)
    field.press("Enter")
    visit.page.get_by_role("button", name="Mark", exact=True).click()


def say(visit, low, median, high, weight="0.5", why="earnings"):
    if not visit.page.get_by_role("button", name="Record my view").is_visible():
        visit.page.get_by_text("My view of that day").click()
    for label, value in {
        "Low:": low,
        "Median:": median,
        "High:": high,
        "Weight beside": weight,
        "Why": why,
    }.items():
        visit.page.get_by_label(label).fill(value)
    visit.page.get_by_role("button", name="Record my view").click()


def refused(visit):
    return visit.page.locator("#view_told .problem")


def test_a_view_is_recorded_shown_beside_the_belief_and_in_the_ledger(visit):
    mark(visit, TARGET)
    expect(visit.page.locator(".place.forecast svg")).to_contain_text(f"asked about: {TARGET}")
    say(visit, "1,100", "$1250.50", "1400")
    view = visit.page.locator("#view_told")
    expect(view).to_contain_text("your view: $1,250.50, 90 % $1,100.00 to $1,400.00")
    expect(view).to_contain_text(f"the belief for {TARGET}")
    expect(view).to_contain_text("both together")
    view.get_by_role("link", name="view").click()
    expect(visit.page.locator("h1")).to_contain_text("Ledger entry")
    assert "earnings" in visit.text("body") and "1,250.50" in visit.text("body")


def test_a_view_that_makes_no_sense_is_refused_and_says_what_would(visit):
    say(visit, "1100", "1250", "1400")
    expect(refused(visit)).to_contain_text("no day is marked")
    mark(visit, TARGET)
    expect(visit.page.locator(".place.forecast svg")).to_contain_text(f"asked about: {TARGET}")
    for values, words in (
        (("lots", "1250", "1400"), "low is 'lots'"),
        (("1100", "", "1400"), "median is ''"),
        (("1400", "1250", "1100"), "low"),
        (("1100", "1250", "1400", "7"), "confidence"),
        (("11", "12.5", "14"), "low 11 is outside what the belief can imagine"),
        (("1100", "1250", "1400", "0.5", "x" * 1001), "1,001 characters"),
    ):
        say(visit, *values)
        expect(refused(visit)).to_contain_text(words)
    assert visit.page.locator("#view_told a").count() == 0


def test_of_a_past_session_no_view_is_taken(visit):
    visit.pick("2024-05-15")
    visit.looks("2024-05-15")
    mark(visit, "2024-06-28")
    expect(visit.page.locator(".place.forecast svg")).to_contain_text("asked about: 2024-06-28")
    say(visit, "900", "950", "1000")
    expect(refused(visit)).to_contain_text("as of 2024-05-15 no view can be recorded")


def test_a_day_that_is_no_target_is_told(visit):
    mark(visit, "2024-06-03")
    expect(visit.page.locator("#mark_told .problem")).to_contain_text("2024-06-03")
    assert "asked about" not in visit.text(".place.forecast svg")
