"""`belief chat`: in process, from a pipe, and under a pseudo-terminal as a person types."""

import datetime
import fcntl
import os
import pty
import re
import select
import stat
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from chat_server import KEY, Answer, chat_server, failed, silence, text, well_behaved

from belief.errors import LanguageModelError
from belief.paths import cache_dir
from belief_tools.chat import HELP, LEAVE, Conversation
from belief_tools.desk import desk_of
from belief_tools.recording import ConversationLog

BELIEF = Path(sys.executable).with_name("belief")
QUESTION = "Predict the stock price of Nvidia in March 2024"
SAYS = "It is unsure."  # no price: it is replaced by the belief's own statement
STATED = "On 2024-03-28 Nvidia is expected at $834"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
PREDICTION = {"price": 834, "low": 681, "high": 994, "prob_up": 0.55, "reasons": "the forecast"}
MOMENT = datetime.datetime(2024, 3, 1, 22, tzinfo=datetime.UTC)
MODEL = well_behaved(arguments=CALL, replies={"prediction": PREDICTION}, says=SAYS)
SERVED = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")


def environment(server=None, **settings):
    clean = {name: value for name, value in os.environ.items() if name not in SERVED}
    if server is not None:
        clean |= {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
        clean |= {"OPENAI_MODEL": "test-model"}
    return {**clean, **settings}


# In process


def talk_with(desk, connect, *, streams=False):
    log = ConversationLog(lambda: MOMENT)
    return Conversation(desk, connect, log=log, mode="tool", streams=streams, waits=False)


@contextmanager
def conversation(tool, script=MODEL, **how):
    with chat_server(script) as server:
        yield talk_with(desk_of(tool), server.endpoint, **how), server


def test_a_line_is_answered_with_its_receipt(tool, capsys):
    with conversation(tool) as (talk, _):
        assert talk.take(f"  {QUESTION}\n")
    shown = capsys.readouterr()
    assert shown.out.startswith(STATED) and "as of 2024-03-01" in shown.out
    assert shown.err == ""


def test_an_empty_line_asks_nothing(tool, capsys):
    with conversation(tool) as (talk, server):
        assert all(talk.take(line) for line in ("", "\n", "  \t\r\n", "\ufeff"))
        assert server.requests == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("line", ["/quit", " /QUIT \n", "/quit now", "\ufeff/quit"])
def test_quit_leaves(tool, line):
    with conversation(tool) as (talk, _):
        assert not talk.take(line)


@pytest.mark.parametrize("line", ["/foo", "/", "/\x1b[31m", "/" + "x" * 9_000, "/quitting"])
def test_an_unknown_command_is_named_in_one_line(tool, capsys, line):
    with conversation(tool) as (talk, _):
        assert talk.take(line)
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith(f"belief: there is no command {line[0]}")
    assert "/help" in shown.err and shown.err.count("\n") == 1 and len(shown.err) < 150
    assert "\x1b" not in shown.err


def test_help_and_history_are_shown(tool, capsys):
    with conversation(tool) as (talk, _):
        talk.take("/help")
        talk.take("/history")
        assert capsys.readouterr().out == f"{HELP}\nnothing was asked yet\n"
        talk.take(QUESTION)
        talk.take("Who founded Nvidia?")
        talk.take("and in 2031?")
        capsys.readouterr()
        talk.take("/history")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"  1  {QUESTION}" and lines[1].strip().startswith(STATED)
    assert lines[2] == "  2  Who founded Nvidia?" and "not a question" in lines[3]
    assert lines[4:] == ["  3  and in 2031?", "     (no answer)"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("What will Nvidia cost on 30 February 2026?", "no such day"),
        ("What will Nvidia cost in 2031?", "2031-12-31 is more than 504"),
        ("What will Apple cost tomorrow?", "AAPL"),
        (f"Will Nvidia rise? {'x' * 10_000}", "10,018 characters"),
    ],
)
def test_an_error_is_one_line_and_the_chat_goes_on(tool, capsys, wrong, words):
    with conversation(tool) as (talk, _):
        assert talk.take(wrong)
        shown = capsys.readouterr()
        assert words in shown.err and shown.err.count("\n") == 1
        assert shown.err.startswith("belief: ") and shown.out == ""
        assert talk.take(QUESTION)
    assert STATED in capsys.readouterr().out


def test_after_a_date_that_cannot_be_a_follow_up_may_name_another(tool, capsys):
    with conversation(tool) as (talk, _):
        talk.take("Will Nvidia be above $900 in 2031?")
        talk.take("in March then?")
        shown = capsys.readouterr().out
        assert "On 2024-03-28" in shown and "above $900" in shown
        talk.take("above $900 in 2031?")
        talk.take("how sure are you?")
    assert "from the question before: NVDA; the level $900\n" in capsys.readouterr().out


def test_a_model_that_fails_leaves_the_statement_and_one_line(tool, capsys):
    with conversation(tool, lambda request: failed(500, "out of memory")) as (talk, _):
        assert talk.take(QUESTION)
    shown = capsys.readouterr()
    assert shown.out.startswith(STATED) and "out of memory" not in shown.out
    assert shown.err.count("\n") == 1 and "out of memory" in shown.err


def test_the_model_is_connected_once_and_again_only_after_a_failure(tool, capsys):
    connected = []
    with chat_server(MODEL) as server:

        def connect():
            connected.append(len(connected))
            if len(connected) == 1:
                raise LanguageModelError("not yet")
            return server.endpoint()

        talk = talk_with(desk_of(tool), connect)
        for line in (QUESTION, "and in June?", "how sure are you?", "Who founded Nvidia?"):
            talk.take(line)
    assert connected == [0, 1]
    assert capsys.readouterr().err == "belief: not yet\n"


def test_an_abandoned_question_is_kept_for_the_follow_up(tool, capsys):
    def interrupt():
        raise KeyboardInterrupt

    talk = talk_with(desk_of(tool), interrupt)
    with pytest.raises(KeyboardInterrupt):
        talk.take("Will Nvidia be above $900 at the end of March?")
    (turn,) = talk.turns
    assert turn.shown is None and turn.question.levels == (900.0,)


# From a pipe


def piped(lines, *arguments, server=None):
    return subprocess.run(
        [BELIEF, "chat", "--as-of", "2024-03-01", *arguments],
        input=lines,
        capture_output=True,
        timeout=60,
        env=environment(server, PYTHONIOENCODING="utf-8:strict"),
    )


def test_a_pipe_is_read_line_by_line_without_a_prompt_and_exits_with_0():
    sent = (
        f"{QUESTION}\n\n/foo\nand in 2031?\nand in six months?\r\n\xff\xfe caf\xe9 \x00\n"
        f"{'x' * 10_000}\nhow sure are you?"  # the end of the file comes in the middle of a line
    )
    with chat_server(MODEL) as server:
        finished = piped(sent.encode("latin-1"), server=server)
    shown, told = finished.stdout.decode(), finished.stderr.decode()
    assert finished.returncode == 0
    assert shown.startswith(STATED) and "\x1b" not in shown + told
    assert not re.search(r"^(?:> |thinking)", shown + told, re.MULTILINE)
    assert shown.count("On 2024-08-30 Nvidia is expected") == 2
    assert "from the question before: NVDA; the target 2024-08-30 ('in 6 months')" in shown
    assert [line.partition(" ")[0] for line in told.splitlines()] == ["belief:"] * 2
    assert "/foo" in told and "2031" in told
    assert KEY not in shown + told


@pytest.mark.parametrize("lines", [b"", b"\n\n", b"/quit\nWhat will Nvidia cost in June?\n"])
def test_nothing_asked_is_nothing_answered(lines):
    finished = piped(lines)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"", b"")


def test_prices_that_are_not_there_end_it_before_it_begins():
    finished = piped(b"What will it cost?\n", "--symbol", "XYZ")
    assert finished.returncode == 4 and finished.stdout == b""
    assert finished.stderr.startswith(b"belief: ") and finished.stderr.count(b"\n") == 1


# At a terminal


class Terminal:
    """A person at a terminal: waits for words, then types."""

    READY = b"\x1b[?2004h"  # the line editor is listening

    def __init__(self, server, folder, *arguments):
        mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [BELIEF, "chat", "--as-of", "2024-03-01", *arguments],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=environment(server, TERM="xterm", BELIEF_CACHE_DIR=str(folder)),
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(theirs)
        self.screen, self.read, self.shown = mine, 0, b""

    def until(self, words, seconds=20):
        """What was shown up to these words, since the last call."""
        deadline = time.monotonic() + seconds
        while (end := self.shown.find(words, self.read)) < 0:
            assert time.monotonic() < deadline, f"no {words!r} in {self.shown[self.read :]!r}"
            if select.select([self.screen], [], [], 0.05)[0]:
                try:
                    self.shown += os.read(self.screen, 65_536)
                except OSError:
                    raise AssertionError(f"it ended before {words!r}: {self.shown!r}") from None
        start, self.read = self.read, end + len(words)
        return self.shown[start : self.read]

    def type(self, keys):
        os.write(self.screen, keys)

    def leave(self):
        os.set_blocking(self.screen, False)
        code = self.process.wait(timeout=10)
        os.close(self.screen)
        return code


@pytest.fixture
def folder(tmp_path):
    """A cache of its own, except for what takes long to make."""
    for name in ("fits", "sessions"):
        (cache_dir() / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(cache_dir() / name)
    return tmp_path


UP = b"\x1b[A"


def silent_at_first():
    asked = []

    def respond(request) -> Answer:
        asked.append(request)
        return silence() if len(asked) == 1 else MODEL(request)

    return respond


def test_ctrl_c_clears_a_line_and_abandons_an_answer_and_says_how_to_leave(folder):
    with chat_server(silent_at_first()) as server:
        person = Terminal(server, folder)
        person.until(person.READY)
        person.type(b"half a quest")
        person.until(b"half a quest")
        person.type(b"\x03")
        person.type(QUESTION.encode() + b"\r")
        person.until(b"thinking")
        deadline = time.monotonic() + 10
        while not server.requests and time.monotonic() < deadline:
            time.sleep(0.02)
        person.type(b"\x03")
        person.until(b"that answer was abandoned")
        person.until(person.READY)
        person.type(b"\x03")
        assert b"abandoned" not in person.until(LEAVE.encode() + b"\r\n", 5)[-60:]
        person.until(person.READY)
        person.type(b"why?\r")
        shown = person.until(b"from the question before: NVDA; the target 2024-03-28")
        assert STATED.encode() in shown
        person.until(person.READY)
        person.type(b"\x04")
        assert person.leave() == 0
        asked = [request.messages[1]["content"] for request in server.requests]
        assert asked[0] == QUESTION  # and not "half a quest" in front of it
        assert asked[-1] == "why?"
    assert b"Traceback" not in person.shown


def test_lines_come_back_with_the_arrow_keys_in_the_next_conversation(folder):
    with chat_server(MODEL) as server:
        first = Terminal(server, folder)
        first.until(first.READY)
        first.type(b"/history\r")
        first.until(b"nothing was asked yet")
        first.until(first.READY)
        first.type(b"Who founded\xff Nvidia?\r")
        first.until(b"not a question")
        first.until(first.READY)
        first.type(UP)
        first.until(b"Who founded")
        first.type(b"\x03/quit\r")
        assert first.leave() == 0
        second = Terminal(server, folder)
        second.until(second.READY)
        second.type(UP + UP + UP)
        second.until(b"/history")
        second.type(b"\r")
        second.until(b"nothing was asked yet")
        second.until(second.READY)
        second.type(b"/quit\r")
        assert second.leave() == 0
    kept = folder / "chat_history"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert KEY not in kept.read_text()


def test_a_history_that_cannot_be_kept_costs_nothing_else(folder):
    (folder / "chat_history").mkdir()
    with chat_server([text("unused")]) as server:
        person = Terminal(server, folder)
        person.until(person.READY)
        person.type(b"\x1b[200~Who founded\nNvidia?\x1b[201~\r")  # pasted as two lines
        shown = person.until(b"not a question")
        assert shown.count(b"\x1b[?2004l") == 1  # one question
        person.until(person.READY)
        person.type(b"/quit\r")
        assert person.leave() == 0
    assert b"Traceback" not in person.shown
