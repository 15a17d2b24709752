"""The button of the page that refits, for all who look."""

import threading

import pytest
from browsed import page_server, without_model
from daily import bars_until, evening
from playwright.sync_api import expect
from published import FIRST, SECOND, fitted_through, keep_prices

from belief.errors import SourceUnavailable
from belief_tools import clock, refitting


@pytest.fixture
def source(monkeypatch):
    """What the next refits fetch, by turns."""
    turns = []
    monkeypatch.setattr(clock, "now", lambda: evening(SECOND))
    fetch = lambda _: turns.pop(0)()  # noqa: E731
    monkeypatch.setattr(refitting, "new_bars", lambda symbol, *, snapshot: (symbol, fetch))
    return turns


def newer():
    return bars_until(fitted_through(SECOND)[0], SECOND)


def refit(visit):
    summary = visit.page.get_by_text("Refit the model")
    if not visit.page.get_by_role("button", name="Refit now").is_visible():
        summary.click()
    visit.page.get_by_role("button", name="Refit now").click()


def told(visit):
    return visit.page.locator("#refit_told")


def test_a_refit_shows_how_far_it_is_and_brings_the_new_session_to_all(where, source, visiting):
    go_on = threading.Event()
    source.append(lambda: go_on.wait(20) and newer())
    with page_server(without_model, day=SECOND) as served:
        first, second = visiting(served.url).open(), visiting(served.url).open()
        for each in (first, second):
            each.looks(FIRST)
        refit(first)
        expect(told(first)).to_contain_text("NVDA: fetching prices")
        expect(told(second)).to_contain_text("NVDA: fetching prices")
        assert first.page.get_by_role("progressbar").count() == 1
        refit(second)
        expect(told(second)).to_contain_text("NVDA is being refitted; wait")
        go_on.set()
        for each in (first, second):
            each.looks(SECOND)
            assert each.day.input_value() == SECOND
        expect(told(first)).to_contain_text(f"published a model of the sessions through {SECOND}")
        assert first.page.get_by_role("progressbar").count() == 0


def test_a_refit_that_fails_is_told_in_a_line_and_the_belief_stands(where, source, visiting):
    def fails():
        raise SourceUnavailable("Yahoo Finance\ndoes <b>not</b> answer")

    source.append(fails)
    with page_server(without_model, day=FIRST) as served:
        visit = visiting(served.url).open()
        refit(visit)
        expect(told(visit)).to_have_text("NVDA: Yahoo Finance does <b>not</b> answer")
        visit.looks(FIRST)


def test_where_no_model_serves_the_page_says_so_and_a_refit_mends_it(
    tmp_path, monkeypatch, source, visiting
):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    keep_prices(tmp_path / "belief.db", fitted_through(FIRST)[0])
    source.append(newer)
    with page_server(without_model, day=SECOND) as served:
        visit = visiting(served.url).open()
        expect(visit.page.locator(".place.status .problem")).to_contain_text("Refit now")
        assert visit.page.locator("svg[role=img]").count() == 0
        refit(visit)
        visit.looks(SECOND)
        assert visit.page.locator(".place.status .problem").count() == 0
