"""Several questions: from a file or a pipe, one after the other."""

import io
import json

import pytest
from chat_server import chat_server
from daily import belief, evening, repeating, short_history
from stored import day, opened

from belief.errors import UsageError
from belief.store import save_prices
from belief_tools.asking import questions_of

AT = evening(day("2024-06-03"))
QUESTION = "What will Nvidia cost on 2024-06-21?"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_question_of_the_command_line_is_the_only_one():
    assert questions_of("one", None) == ["one"]


def test_a_file_has_one_question_a_line(tmp_path):
    file = tmp_path / "questions.txt"
    file.write_bytes("\ufeffone\r\n\n  two \n# three\n".encode())
    assert questions_of(None, file) == ["one", "two"]


@pytest.mark.parametrize("question", [None, "-"])
def test_a_pipe_has_one_question_a_line(monkeypatch, question):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\ntwo"))
    assert questions_of(question, None) == ["one", "two"]


@pytest.mark.parametrize("stdin", [Terminal("never read"), io.StringIO(""), io.StringIO("#\n\n")])
def test_nothing_to_ask_is_said(monkeypatch, stdin):
    monkeypatch.setattr("sys.stdin", stdin)
    with pytest.raises(UsageError, match="nothing to ask"):
        questions_of(None, None)


def test_two_sources_are_refused(tmp_path):
    with pytest.raises(UsageError, match="two sources"):
        questions_of("one", tmp_path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt cannot be read"):
        questions_of(None, tmp_path / "none.txt")


@pytest.fixture
def ask(monkeypatch, tmp_path):
    monkeypatch.setenv("BELIEF_STORE", str(tmp_path / "belief.db"))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_MODEL", "test-model")
    with opened(tmp_path) as store, store.write() as connection:
        save_prices(connection, short_history(last=day("2024-06-03")))

    def run(lines, *options):
        file = tmp_path / "questions.txt"
        file.write_text("\n".join(lines), "utf-8")
        with chat_server(repeating("2024-06-21", 1000.0)) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.endpoint().base_url)
            return belief("ask", "--questions", str(file), *options, at=AT)

    return run


def test_every_question_is_answered_though_one_between_them_fails(ask):
    done = ask([QUESTION, "What will Nvidia cost on 2044-01-04?", "Should I buy Nvidia?"])
    assert done.code == 2
    assert done.out.count("> ") == 3 and "Nvidia is expected at" in done.out
    assert "2044-01-04" in done.err and "Traceback" not in done.err
    listed = belief("ledger", "--json", at=AT)
    entries = json.loads(listed.out)["entries"]
    assert [entry["kind"] for entry in entries] == ["forecast", "answer", "answer", "answer"]
    assert "2044-01-04" in entries[2]["body"]["text"]


def test_json_has_one_answer_a_line(ask):
    done = ask([QUESTION, "Should I buy Nvidia?"], "--json")
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert first["target"] == "2024-06-21" and second["stop_reason"] == "not a price question"


def test_a_question_in_a_heading_cannot_command_a_terminal(ask):
    done = ask(["How often were you \x1b]0;pwned\x07\x1b[31mright?", QUESTION])
    assert "\x1b" not in done.out and "\x07" not in done.out and done.out.startswith("> How often")


def test_one_question_fails_as_it_did(ask):
    done = ask(["What will Nvidia cost on 2044-01-04?"])
    assert done.code == 2 and done.out == "" and done.err.startswith("belief: ")
