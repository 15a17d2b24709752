"""Commands that read the store: scores, the ledger, checks, answers; and a store in trouble."""

import csv
import json

import numpy as np
import pyarrow.parquet
import pytest
import stamina
from chat_server import KEY, chat_server
from daily import assert_one_line_error, belief, evening, repeating, short_history, stale_repeat
from evenings import FIRST, HORIZONS, LAST, SECOND, THIRD, first_refit, refit_on, without_refit
from yahoo_server import YahooServer

from belief.sessions import session_after
from belief.store import open_store

MODELS = ("belief", "garch_t", "random_walk")
COMMANDS = (
    ("refit",),
    ("score",),
    ("ledger",),
    ("ledger", "verify"),
    ("ledger", "export", "x.csv"),
    ("ledger", "show", "abcd"),
    ("data", "check"),
    ("now",),
)


@pytest.fixture(autouse=True)
def no_waiting():
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture(scope="module")
def history():
    return short_history(LAST)


@pytest.fixture(scope="module")
def server(history):
    with YahooServer(history, today=FIRST) as running:
        yield running


@pytest.fixture
def empty(server, history, tmp_path, monkeypatch):
    return without_refit(tmp_path / "belief.db", server, history, monkeypatch)


@pytest.fixture(scope="module")
def refitted_once():
    return first_refit()


@pytest.fixture
def where(refitted_once, empty):
    """A computer on which the first evening's refit has published."""
    empty.write_bytes(refitted_once[0])
    return empty


def statements(where, *texts):
    with open_store(str(where)) as store, store.write() as connection:
        return [connection.exec_driver_sql(text) for text in texts]


# Score


def test_what_has_come_is_scored_once(where, server):
    refit_on(server, SECOND)
    finished = belief("score", at=evening(SECOND))
    assert finished.code == 0, finished
    lines = finished.out.splitlines()
    assert lines[0] == "NVDA: 3 scored"
    table = [line.split() for line in lines if line.startswith(MODELS)]
    assert [row[:3] for row in table] == [[model, "1", "1"] for model in MODELS]
    assert belief("score", at=evening(SECOND)).out.splitlines()[0] == "NVDA: 0 scored"
    refit_on(server, THIRD)
    told = json.loads(belief("score", "--json", at=evening(THIRD)).out)
    assert told == {"NVDA": {"scored": 6, "without_close": 0}}


def test_a_symbol_may_be_written_in_any_case(where, server):
    refit_on(server, SECOND)
    finished = belief("score", "--symbol", "nvda", at=evening(SECOND))
    assert finished.out.splitlines()[0] == "NVDA: 3 scored"
    assert "garch_t" in finished.out
    assert "garch_t" in belief("ledger", "--symbol", "nvidia", at=evening(SECOND)).out


def test_without_entries_there_is_nothing_to_score(empty):
    finished = belief("score", at=evening(FIRST))
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("nothing to score")


def test_before_any_target_has_come_nothing_is_scored(where):
    finished = belief("score", at=evening(FIRST))
    first, second = finished.out.splitlines()
    assert first == "NVDA: 0 scored" and second.startswith("no live forecast has been scored yet")


# The ledger


def names(*, at):
    entries = json.loads(belief("ledger", "--json", at=at).out)["entries"]
    return {(each["model"], each["horizon"]): each["name"] for each in entries}


def test_the_ledger_lists_what_was_said(where):
    lines = belief("ledger", at=evening(FIRST)).out.splitlines()
    assert len(lines) == 1 + len(MODELS) * len(HORIZONS)
    assert all("2024-06-05T21:00:00" in line and "NVDA" in line for line in lines[1:])
    assert len(belief("ledger", "--last", "2", at=evening(FIRST)).out.splitlines()) == 3
    assert belief("ledger", "--symbol", "AMD", at=evening(FIRST)).out.startswith(
        "the ledger has no entry of AMD"
    )


def test_an_entry_is_shown_with_how_it_came_out(where, server):
    name = names(at=evening(FIRST))["belief", 1]
    assert "score        none yet" in belief("ledger", "show", name, at=evening(FIRST)).out
    refit_on(server, SECOND)
    belief("score", at=evening(SECOND))
    finished = belief("ledger", "show", name[:8], at=evening(SECOND))
    assert finished.code == 0, finished
    assert finished.out.startswith(f"forecast {name} of NVDA, number 1, made at 2024-06-05T21:00")
    assert "came         $1,209.98, inside the 90 % interval" in finished.out
    told = json.loads(belief("ledger", "show", name, "--json", at=evening(SECOND)).out)
    assert told["score"]["close"] == pytest.approx(1209.98)
    assert told["forecasts"] == []


@pytest.mark.parametrize("name, word", [("zzzz", "no entry zzzz"), ("ab", "4"), ("%%%%", "4")])
def test_a_name_that_no_entry_has_is_exit_code_2(where, name, word):
    assert_one_line_error(belief("ledger", "show", name, at=evening(FIRST)), 2, word)


def test_a_whole_ledger_is_verified(where, server):
    refit_on(server, SECOND)
    belief("score", at=evening(SECOND))
    finished = belief("ledger", "verify", at=evening(SECOND))
    assert (finished.code, finished.out) == (0, "the ledger is whole: NVDA\n")


@pytest.mark.parametrize(
    "statement, told",
    [
        ("UPDATE ledger SET made_at = '2024-06-01T21:00:00+00:00' WHERE number = 3", "entry 3: "),
        ("DELETE FROM scores WHERE number > 2; DELETE FROM ledger WHERE number = 5", "entry 5: "),
        ("UPDATE scores SET log_score = log_score + 0.001 WHERE number = 1", "its log_score"),
    ],
)
def test_a_ledger_that_was_tampered_with_is_exit_code_1(where, server, statement, told):
    refit_on(server, SECOND)
    belief("score", at=evening(SECOND))
    statements(where, *statement.split("; "))
    finished = belief("ledger", "verify", at=evening(SECOND))
    assert finished.code == 1
    assert finished.out.startswith("NVDA entry ") and told in finished.out


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_entries_and_scores_go_to_a_file(where, server, tmp_path, ending):
    refit_on(server, SECOND)
    belief("score", at=evening(SECOND))
    path = tmp_path / f"ledger.{ending}"
    finished = belief("ledger", "export", str(path), at=evening(SECOND))
    assert finished.code == 0, finished
    if ending == "csv":
        with path.open() as file:
            rows = list(csv.DictReader(file))
    else:
        rows = pyarrow.parquet.read_table(path).to_pylist()
    assert len(rows) == 12
    scored = [row for row in rows if row["log_score"] not in ("", None)]
    assert [row["model"] for row in scored] == list(MODELS)
    assert [float(row["close"]) for row in scored] == pytest.approx([1209.98] * 3)
    assert all(float(row["q05"]) < float(row["q50"]) < float(row["q95"]) for row in rows)


def test_what_cannot_be_exported_is_told_on_one_line(where, tmp_path):
    finished = belief("ledger", "export", str(tmp_path / "ledger.txt"), at=evening(FIRST))
    assert_one_line_error(finished, 2, "ledger.txt", ".csv or .parquet")
    finished = belief("ledger", "export", str(tmp_path / "no" / "x.csv"), at=evening(FIRST))
    assert_one_line_error(finished, 1, "cannot write")


# Checking prices


def test_checked_prices_are_not_kept(empty, server):
    finished = belief("data", "check", at=evening(FIRST))
    assert finished.code == 0, finished
    assert "300 sessions from 2023-03-28 to 2024-06-05" in finished.out
    assert not empty.exists()


def test_prices_are_checked_against_those_that_are_kept(where, server, history):
    server.prices, server.today = stale_repeat(history, SECOND), np.datetime64(SECOND)
    finished = belief("data", "check", "--json", at=evening(SECOND))
    told = json.loads(finished.out)
    assert (finished.code, told["refused"], told["sessions_added"]) == (4, True, 0)
    overlap = evening("2024-05-14").timestamp()
    assert int(server.chart_requests[-1].query["period1"]) > overlap  # no more than is needed
    server.prices = history
    told = json.loads(belief("data", "check", "--json", at=evening(SECOND)).out)
    assert (told["refused"], told["sessions_added"], told["as_of"]) == (False, 1, SECOND)
    assert refit_on(server, SECOND).code == 0  # it was new to the store


# Answers


def test_now_says_what_published_model_answers_and_how_old_it_is(where):
    finished = belief("now", at=evening("2024-06-10"))
    assert finished.code == 0, finished
    assert "as of 2024-06-05, Yahoo Finance, 5 days old" in finished.out
    assert "published 2024-06-05" in finished.out


def test_prices_six_sessions_old_are_exit_code_3_unless_they_are_accepted(where):
    late = evening("2024-06-13")
    for command in (("now",), ("ask", "What will Nvidia cost in a week?"), ("chat",)):
        finished = belief(*command, at=late)
        assert_one_line_error(finished, 3, "2024-06-05, 6 sessions ago", "--stale-ok")
    assert belief("now", at=evening("2024-06-12")).code == 0
    finished = belief("now", "--stale-ok", at=late)
    assert finished.code == 0
    assert "8 days old" in finished.out


def test_an_answer_rests_on_an_entry_of_the_ledger_and_is_shown_with_it(where, monkeypatch):
    target = str(session_after(np.datetime64(FIRST), 7))
    with chat_server(repeating(target, 1224.40)) as server:
        for name, value in zip(
            ("OPENAI_BASE_URL", "OPENAI_API_KEY", "OPENAI_MODEL"),
            (server.url, KEY, "test-model"),
            strict=True,
        ):
            monkeypatch.setenv(name, value)
        finished = belief("ask", f"Nvidia's price on {target}?", "--json", at=evening(FIRST))
    assert finished.code == 0, json.loads(finished.out)["checks"]
    assert KEY not in finished.out + finished.err
    answers = json.loads(belief("ledger", "--last", "1", "--json", at=evening(FIRST)).out)
    [answer] = answers["entries"]
    assert (answer["kind"], answer["target"], answer["live"]) == ("answer", target, True)
    shown = belief("ledger", "show", answer["name"], at=evening(FIRST)).out
    for words in (
        "question     Nvidia's price on",
        "tool call    forecast_price(",
        "answer       ",
    ):
        assert words in shown
    assert f"forecast {json.loads(finished.out)['forecast_id']} of NVDA" in shown


# A store in trouble


@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_that_is_damaged_is_one_line_and_exit_code_1(empty, command):
    empty.write_bytes(b"no database at all" * 500)
    finished = belief(*command, at=evening(FIRST))
    assert_one_line_error(finished, 1, "the store", "belief.db", "not a database")


@pytest.mark.parametrize("command", COMMANDS)
def test_where_the_store_is_never_shows_a_password(empty, monkeypatch, command):
    monkeypatch.setenv("BELIEF_STORE", "nosuch://someone:s3cret@127.0.0.1/belief")
    finished = belief(*command, at=evening(FIRST))
    assert finished.code in (1, 2)
    assert "s3cret" not in finished.out + finished.err
    assert "Traceback" not in finished.err


def test_a_disk_without_room_keeps_what_there_was(where, server):
    """A database that may not grow stands for a full disk."""
    from belief import store_opening as stored

    with pytest.MonkeyPatch.context() as patched:
        real = stored._sqlite

        def small(url):
            engine = real(url)
            from sqlalchemy import event

            @event.listens_for(engine, "connect")
            def limit(connection, _):
                connection.execute("PRAGMA max_page_count = 1")

            return engine

        patched.setattr(stored, "_sqlite", small)
        finished = refit_on(server, SECOND)
    assert_one_line_error(finished, 1, "full")
    assert belief("now", "--json", at=evening(SECOND)).code == 0
    assert belief("ledger", "verify", at=evening(SECOND)).code == 0
    assert refit_on(server, SECOND).code == 0
