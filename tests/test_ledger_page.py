"""A row of the ledger as a page, for those who may see it."""

import dataclasses
import html
import re

import pytest
from stored import MADE_AT, answer_of, entry_of, keep, made, opened

from belief.errors import UsageError
from belief.ledger import LIVE, append, entries, entry_named, forecast_of, view_entry
from belief.ledger_scores import score_due
from belief.view import View
from belief_tools import ledger_table
from belief_tools.forecast_tool import cents
from belief_tools.ledger_page import entry_page, may_see, page_of
from belief_tools.ledger_search import entry_with_forecasts

PRICES = made()
KNOWN = PRICES.until(PRICES.session[20])
MINE, THEIRS = "0123456789ab", "ba9876543210"
ATTACK = "<img src=x onerror=alert(1)>"
OWN = {"price": 51.0, "low": 48.0, "high": 55.0, "prob_up": 0.6, "reasons": ""}


def said(forecast_name, *, conversation):
    """What an answer holds, in which nobody can be trusted."""
    body = {
        "question": f"Where to? {ATTACK}",
        "text": f"The belief's own. {ATTACK}",
        "tool_calls": [
            {
                "name": "forecast_price",
                "arguments": {"symbol": ATTACK},
                "by": "model",
                "result": {"summary": f"On Friday {ATTACK}", "forecast_id": forecast_name},
            },
            {"name": "guess", "arguments": ATTACK, "by": "model", "error": f"no tool {ATTACK}"},
        ],
        "prediction": OWN,
        "model": "small talker",
        "checks": {
            "passed": False,
            "findings": [{"figure": "$5", "rule": "price", "message": "no such price as $5"}],
            "rejected": f"It is $5 {ATTACK}",
        },
        "receipt": [f"as of a day {ATTACK}"],
        "notes": [f"a note {ATTACK}"],
        "stop_reason": "replaced",
        "last_close": KNOWN.last_close,
    }
    return body if conversation is None else {**body, "conversation": conversation, "turn": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A ledger with a forecast, answers of two conversations and of none, and a view."""
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    forecast = entry_of(KNOWN, 10)
    answers = [
        dataclasses.replace(
            answer_of(KNOWN, 10, OWN, name=name), body=said(forecast.name, conversation=of)
        )
        for name, of in (("a" * 12, MINE), ("b" * 12, THEIRS), ("c" * 12, None))
    ]
    with opened(tmp_path) as store:
        keep(store, PRICES)
        with store.write() as connection:
            append(connection, "XYZ", [forecast, *answers])
            last = KNOWN.last_close
            view = View(median=last, low=0.95 * last, high=1.06 * last, confidence=0.5)
            about = entry_named(connection, forecast.name)
            own = view_entry(about, view, f"a hunch {ATTACK}", made_at=MADE_AT)
            append(connection, "XYZ", [own])
            score_due(connection, "XYZ", PRICES, "2023-06-01T00:00:00+00:00")
    return tmp_path


def named(folder, name):
    with opened(folder) as store, store.read() as connection:
        return entry_with_forecasts(connection, name)


def of_kind(folder, kind):
    with opened(folder) as store, store.read() as connection:
        return next(each.entry.name for each in entries(connection, kind=kind))


def seen(page):
    body = page.partition("<body>")[2]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_a_page_has_all_that_the_command_shows(folder, capsys):
    for name in ("a" * 12, of_kind(folder, "forecast"), of_kind(folder, "view")):
        found, forecasts = named(folder, name)
        ledger_table.show(found, forecasts)
        shown = seen(page_of(found, forecasts))
        for line in capsys.readouterr().out.splitlines():
            label, words = line[:12].rstrip(), " ".join(line[13:].split())
            about = f"{label}: {words}" if line[12:13] == " " and label else line[1:]
            assert about in shown, line


def test_an_answer_has_receipt_notes_reasons_and_the_forecast_it_rests_on(folder):
    shown = seen(page_of(*named(folder, "a" * 12)))
    for words in ("as of a day", "a note", "no such price as $5", "its own view: $51.00"):
        assert words in shown
    assert f"Forecast {of_kind(folder, 'forecast')} of XYZ" in shown
    assert "conversation: 0123456789ab, turn 2" in shown and "came: $" in shown


def test_a_forecast_has_its_quantiles(folder):
    found, _ = named(folder, of_kind(folder, "forecast"))
    shown, forecast = seen(page_of(found, [])), forecast_of(found)
    for share in (0.05, 0.5, 0.95, 0.99):
        assert f"{share:.0%} {cents(forecast.quantile(share))}" in shown


def test_whatever_was_said_stays_text(folder):
    for name in ("a" * 12, of_kind(folder, "view")):
        page = page_of(*named(folder, name))
        assert "<img" not in page and ATTACK in html.unescape(page)


# Who may see what


def test_an_answer_is_only_for_who_asked_it(folder):
    mine, theirs, nobodys = (named(folder, letter * 12)[0] for letter in "abc")
    assert may_see(mine, {MINE}) and may_see(theirs, {MINE, THEIRS})
    assert not may_see(theirs, {MINE}) and not may_see(mine, ())
    assert not may_see(nobodys, {MINE}) and not may_see(nobodys, {"", "None"})


@pytest.mark.parametrize("kind", ["forecast", "view"])
def test_forecasts_and_views_are_for_anybody(folder, kind):
    assert may_see(named(folder, of_kind(folder, kind))[0], ())


def test_an_entry_of_somebody_else_is_as_one_that_is_not_there(folder):
    refused = []
    for name in ("b" * 12, "c" * 12, "d" * 12, "bbbb", "aaaa", "", "%", "x" * 9_000, ATTACK):
        with pytest.raises(UsageError) as caught:
            entry_page(name, {MINE})
        refused.append(str(caught.value).replace(repr(name), "it"))
    assert set(refused[:5]) == {"there is no entry it to be seen"}
    assert all(len(each) < 90 and "\n" not in each for each in refused)
    assert "Where to?" in entry_page("a" * 12, {MINE})


def test_what_was_said_live_again_is_found_under_both_names(folder):
    late = dataclasses.replace(entry_of(KNOWN, 5), live=False)
    with opened(folder) as store, store.write() as connection:
        append(connection, "XYZ", [late])
        append(connection, "XYZ", [dataclasses.replace(late, live=True)])
    page = entry_page(late.name, ())
    assert page == entry_page(late.name + LIVE, ()) and "in hindsight" not in page
