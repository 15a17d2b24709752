"""`belief evaluate` as a person runs it: asks, goes on, plays back, reports."""

import json

import pytest
from chat_server import chat_server
from daily import belief, evening, repeating, short_history
from stored import day, opened

from belief.store import save_prices
from belief_tools.evaluation_run import read

AT = evening(day("2024-06-03"))
SMALL = ("--pairs", "2", "--horizons", "5", "--arms", "none,price,tool", "--modes", "plain")
SPAN = ("--from", "2024-05-20", "--to", "2024-05-24")


@pytest.fixture
def evaluate(monkeypatch, tmp_path):
    """Evaluate a played model on a short history; gives what ended, and how often it was asked."""
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    monkeypatch.chdir(tmp_path)
    with opened(tmp_path) as store, store.write() as connection:
        save_prices(connection, short_history(last=day("2024-06-03")))

    def run(*options):
        with chat_server(repeating("2024-05-28", 1000.0)) as server:
            model = f"name=played,url={server.url}"
            done = belief("evaluate", "--model", model, *SMALL, *SPAN, *options, at=AT)
            return done, len(server.chats)

    return run


def rows(folder):
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text("utf-8").splitlines()]


def test_it_asks_once_and_reports(evaluate, tmp_path):
    done, asked = evaluate("--out", "first")
    assert done.code == 0, done.err
    found = rows(tmp_path / "first")
    assert asked > 0 and len(found) == 2 * (3 + 3)
    assert {row["arm"] for row in found if row["model"]} == {"none", "price", "tool"}
    again, asked_again = evaluate("--out", "first")
    assert (again.code, asked_again) == (0, 0)
    assert rows(tmp_path / "first") == found
    told = belief("evaluate", "report", "first", at=AT)
    assert told.code == 0 and told.out.startswith("The tool ")
    page = (tmp_path / "first" / "report.html").read_text("utf-8")
    table = (tmp_path / "first" / "report.md").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and table.splitlines()[0] == told.out.strip()


def test_a_tape_plays_back_without_a_server(evaluate, tmp_path):
    evaluate("--out", "first")
    done, asked = evaluate("--out", "second", "--replay", "first/tape.jsonl")
    assert (done.code, asked) == (0, 0)
    assert rows(tmp_path / "second") == rows(tmp_path / "first")
    for name in ("recall.jsonl", "rows.jsonl"):
        one, other = (tmp_path / folder / name for folder in ("first", "second"))
        assert one.read_bytes() == other.read_bytes()


def test_what_is_not_on_a_tape_is_counted_aloud(evaluate, tmp_path):
    evaluate("--out", "first", "--arms", "none")
    done, asked = evaluate(
        "--out", "second", "--replay", "first/tape.jsonl", "--arms", "none,price"
    )
    assert (done.code, asked) == (0, 0)
    assert "2 of 6 exchanges are not on the tape first/tape.jsonl" in done.err
    failed = [row["arm"] for row in rows(tmp_path / "second") if row["failed"]]
    assert failed == ["price", "price"]


def test_a_tape_of_something_else_is_refused(evaluate, tmp_path):
    evaluate("--out", "first")
    done, _ = evaluate("--out", "second", "--replay", "first/tape.jsonl", "--most-tokens", "7")
    assert done.code == 2 and "nothing that was to be asked is on the tape" in done.err
    assert not (tmp_path / "second").exists()


def test_questions_without_a_reply_are_counted_aloud(monkeypatch, evaluate, tmp_path):
    model = "name=away,url=http://someone:hunter2@127.0.0.1:9/v1?key=hunter3"
    small = (*SMALL, *SPAN, "--arms", "none")
    done = belief("evaluate", "--model", model, *small, "--out", "away", at=AT)
    assert done.code == 0 and "to 2 questions no reply came" in done.err
    belief("evaluate", "report", "away", at=AT)
    written = b"".join(path.read_bytes() for path in (tmp_path / "away").iterdir())
    assert b"127.0.0.1:9/v1" in written
    assert b"hunter" not in written and "hunter" not in done.err


def test_a_dry_run_asks_nobody(evaluate, tmp_path):
    done, asked = evaluate("--dry-run", "--out", "none")
    assert done.code == 0 and asked == 0 and not (tmp_path / "none").exists()
    assert "6 questions" in done.out and "played" in done.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--arms", "none,crystal"), "none, price, band, context, tool"),
        (("--modes", "naked"), "plain, masked, after-cutoff"),
        (("--pairs", "0"), "--pairs"),
        (("--from", "2031-01-01", "--to", "2031-02-01"), "2031-01-01"),
        (("--replay", "nowhere.jsonl"), "nowhere.jsonl"),
        (("--model", "url=x"), "--model"),
        (("--budget", "1"), "in="),
    ],
)
def test_what_makes_no_sense_is_one_line(evaluate, options, words):
    done, asked = evaluate(*options)
    assert done.code != 0 and asked == 0
    assert words in done.err and done.err.count("\n") == 1 and "Traceback" not in done.err


def test_a_text_with_breaks_that_are_no_ends_of_lines_is_read_again(evaluate, tmp_path):
    evaluate("--out", "first")
    path = tmp_path / "first" / "rows.jsonl"
    kept = [{**row, "text": "a\u2028b\x85c\x1cd"} for row in rows(tmp_path / "first")]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), "utf-8")
    assert read(tmp_path / "first")[0] == kept


@pytest.mark.parametrize("content", [None, "{", '{"model": 1}\n'])
def test_a_report_of_nothing_is_one_line(tmp_path, content):
    folder = tmp_path / "empty"
    folder.mkdir()
    if content is not None:
        for name in ("rows.jsonl", "recall.jsonl", "about.json"):
            (folder / name).write_text(content)
    done = belief("evaluate", "report", str(folder), at=AT)
    assert done.code == 2 and "no finished evaluation" in done.err
    assert done.err.count("\n") == 1
