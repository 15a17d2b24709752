"""The installed command, driven as a script would: a process, its streams, its exit code."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chat_server import KEY, chat_server, refuses_key, text, well_behaved

from belief.models import BELIEVERS
from belief_tools.cli import Model

BELIEF = Path(sys.executable).with_name("belief")
QUESTION = "Predict the stock price of Nvidia in March 2024"
CALL = {"symbol": "NVDA", "target_date": "2024-03-28", "price_levels": None}
PREDICTION = {"price": 834, "low": 681, "high": 994, "prob_up": 0.55, "reasons": "the forecast"}
GOOD = {"arguments": CALL, "replies": {"prediction": PREDICTION}, "says": "It is unsure."}
SERVED = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL")


def run(*arguments, **environment):
    """The finished process; no setting of this machine reaches it but those named."""
    clean = {name: value for name, value in os.environ.items() if name not in SERVED}
    return subprocess.run(
        [BELIEF, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, **environment},
        stdin=subprocess.DEVNULL,
    )


def served_by(server):
    return {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": "test-model"}


def assert_one_line_error(finished, code, *words):
    assert finished.returncode == code, finished.stderr
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    line = finished.stderr.strip()
    assert line.startswith("belief: ") and "\n" not in line
    for word in words:
        assert word in line


def test_a_hosted_model_calls_the_tool_and_its_answer_is_shown_with_the_receipt():
    says = "Nvidia is expected at about $834 on 2024-03-28, 90 % between $681 and $994."
    with chat_server(
        well_behaved(arguments=CALL, replies={"prediction": PREDICTION}, says=says)
    ) as s:
        finished = run("ask", QUESTION, "--as-of", "2024-03-01", "--json", **served_by(s))
    assert finished.returncode == 0, finished.stderr
    shown = json.loads(finished.stdout)
    assert shown["last_close"] == 822.79
    assert shown["consulted_by"] == "model"
    assert shown["tool_calls"][0]["name"] == "forecast_price"
    assert shown["tool_calls"][0]["result"]["target"] == "2024-03-28"
    assert abs(shown["median"] / 822.79 - 1.0) < 0.15
    assert shown["interval_90"][0] < 903.56 < shown["interval_90"][1]
    assert shown["text"] == says
    assert shown["prediction"]["price"] == 834
    assert KEY not in finished.stdout + finished.stderr


def test_the_close_of_8_march_2024_lies_in_the_interval_for_it():
    with chat_server(well_behaved(**GOOD)) as s:
        finished = run(
            "ask",
            "Nvidia's price on 2024-03-08?",
            "--as-of",
            "2024-03-01",
            "--json",
            **served_by(s),
        )
    shown = json.loads(finished.stdout)
    assert shown["target"] == "2024-03-08"
    assert shown["interval_90"][0] < 875.28 < shown["interval_90"][1]


def test_invented_figures_are_replaced_and_shown_as_rejected_with_exit_code_6():
    with chat_server(
        well_behaved(arguments=CALL, replies={"prediction": PREDICTION}, says="It will be $5,000.")
    ) as s:
        finished = run("ask", QUESTION, "--as-of", "2024-03-01", **served_by(s))
    assert finished.returncode == 6
    assert finished.stdout.startswith("On 2024-03-28 Nvidia is expected at $834")
    assert "~~It will be $5,000.~~" in finished.stdout


def test_without_consultation_the_bare_words_are_marked_as_such():
    with chat_server([text("It will be $340.")]) as s:
        finished = run(
            "ask", QUESTION, "--as-of", "2024-03-01", "--consult", "none", **served_by(s)
        )
        assert "tools" not in s.chats[0]
    assert finished.returncode == 0
    assert finished.stdout.startswith("It will be $340.")
    assert "not allowed to consult" in finished.stdout


def test_a_server_that_is_down_leaves_the_beliefs_own_statement_and_exit_code_5():
    finished = run(
        "ask", QUESTION, "--as-of", "2024-03-01", OPENAI_BASE_URL="http://127.0.0.1:9/v1",
        OPENAI_MODEL="m",
    )  # fmt: skip
    assert finished.returncode == 5
    assert finished.stdout.startswith("On 2024-03-28 Nvidia is expected at $834")
    assert "127.0.0.1:9" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_refused_key_is_never_shown():
    with chat_server(refuses_key) as s:
        finished = run("ask", QUESTION, "--as-of", "2024-03-01", **served_by(s))
    assert finished.returncode == 5
    assert "key" in finished.stderr
    assert KEY not in finished.stdout + finished.stderr


def test_a_local_model_that_cannot_be_fetched_leaves_the_beliefs_own_statement(tmp_path):
    finished = run(
        "ask", QUESTION, "--as-of", "2024-03-01", BELIEF_CACHE_DIR=str(tmp_path),
        PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path),
    )  # fmt: skip
    assert finished.returncode == 5
    assert finished.stdout.startswith("On 2024-03-28 Nvidia is expected at $834")
    assert "local language model" in finished.stderr


def test_the_local_model_answers_and_its_call_is_recorded():
    finished = run("ask", QUESTION, "--as-of", "2024-03-01", "--json")
    assert finished.returncode in (0, 6), finished.stderr
    shown = json.loads(finished.stdout)
    assert shown["tool_calls"][-1]["arguments"] == CALL
    assert shown["consulted_by"] in ("arguments", "host")
    assert shown["model"].startswith("SmolLM2")
    assert "$8" in shown["text"]


def test_now_shows_the_belief_beside_the_static_fit():
    finished = run("now", "--as-of", "2024-03-01", "--json")
    assert finished.returncode == 0, finished.stderr
    shown = json.loads(finished.stdout)
    names = [regime["name"] for regime in shown["regimes"]]
    assert names == ["calm", "normal", "turbulent", "crisis"]
    assert sum(regime["probability"] for regime in shown["regimes"]) == pytest.approx(1.0)
    matrices = ("transition_matrix", "year_ago_transition_matrix", "static_transition_matrix")
    assert len({json.dumps(shown[name]) for name in matrices}) == 3
    assert shown["last_session"]["log_return"] == pytest.approx(math.log(822.79 / 791.12))
    assert shown["last_session"]["event"] is False
    assert [row["horizon"] for row in shown["forecasts"]] == [1, 5, 21, 63, 126, 252]


def test_now_in_plain_text_is_the_same_bytes_each_time():
    first = run("now", "--as-of", "2024-03-01")
    assert first.stdout == run("now", "--as-of", "2024-03-01").stdout
    assert "last close $822.79" in first.stdout


def test_now_says_what_the_last_session_changed_and_why():
    quiet, eventful = (run("now", "--as-of", day).stdout for day in ("2024-03-01", "2024-02-22"))
    assert "last session: return +3.9%, as large in 1 session of" in quiet
    assert "last session: return +15.2% after a scheduled event, as large in" in eventful
    for told in (quiet, eventful):
        assert re.search(r"believed in: \d+% -> \d+% by the return -> \d+% by the range", told)
        assert max(map(len, told.splitlines())) <= 100


def test_the_models_to_choose_from_are_those_that_hold_a_belief():
    assert {model.value for model in Model} == set(BELIEVERS)
    finished = run("now", "--model", "garch_t")
    assert finished.returncode == 2
    assert "garch_t" in finished.stderr and "grid_static" in finished.stderr


def test_the_static_model_says_its_name():
    finished = run("now", "--as-of", "2024-03-01", "--model", "few_state_static")
    assert "model few_state_static" in finished.stdout


@pytest.mark.parametrize("shape", [[], ["--json"]])
def test_now_draws_a_picture_beside_the_same_text(tmp_path, shape):
    path = tmp_path / "belief.png"
    command = ["now", "--as-of", "2024-03-01", "--model", "few_state_static", *shape]
    finished = run(*command, "--plot", str(path), DISPLAY="", MPLBACKEND="tkagg")
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == run(*command).stdout
    assert finished.stderr == f"the picture is in {path}\n"
    assert path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 50_000


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["now", "--plot", "belief.docx"], 2, ["belief.docx", ".png"]),
        (["now", "--plot", "no-such-folder/belief.png"], 2, ["no-such-folder/belief.png"]),
        (["now", "--plot", "/proc/belief.png"], 1, ["cannot write /proc/belief.png"]),
        (["now", "--symbol", "XYZ"], 4, ["XYZ", "--prices"]),
        (["now", "--as-of", "1998-01-05"], 2, ["1998-01-05", "1999-01-2"]),
        (["now", "--as-of", "2025-02-18"], 2, ["2025-02-18", "2025-02-14"]),
        (["now", "--as-of", "today"], 2, ["today", "YYYY-MM-DD"]),
        (["now", "--as-of", "1999-06-01"], 1, ["250"]),
        (["now", "--prices", "no-such.csv"], 4, ["no-such.csv"]),
        (["ask", "What will Apple stock cost tomorrow?"], 4, ["AAPL", "NVDA"]),
        (["ask", "What will Nvidia cost in 2031?"], 2, ["2031-12-31", "504"]),
        (["ask", "What will Nvidia cost on 30 February 2026?"], 2, ["30"]),
    ],
)
def test_bad_input_is_one_line_that_names_the_value(arguments, code, words):
    assert_one_line_error(run(*arguments), code, *words)


@pytest.mark.parametrize(
    "arguments", [["ask"], ["now", "--model", "nonsense"], ["fly"], ["ask", "x", "--consult", "y"]]
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments):
    finished = run(*arguments)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["empty"]),
        ("Date,Open,High,Low\n2024-01-02,1,1,1\n", ["no column Close"]),
        ("Date,Open,High,Low,Close\n2024-01-02,1,2,1,nan\n2024-01-03,1,2,1,1\n", ["line 2"]),
        ("Date,Open,High,Low,Close\n2024-01-03,1,2,1,1\n2024-01-03,1,2,1,1\n", ["2024-01-03"]),
        ("Date,Open,High,Low,Close\n2024-01-02,1,2,1,1\n2024-01-03,1,2,1", ["line 3"]),
    ],
)
def test_a_damaged_csv_is_one_line_that_says_where(tmp_path, content, words):
    path = tmp_path / "prices.csv"
    path.write_text(content)
    assert_one_line_error(run("now", "--prices", str(path)), 4, "prices.csv", *words)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Should I buy Nvidia?", "No advice is given here"),
        ("What is a hidden Markov model?", "not a question about a future price"),
        ("", "not a question about a future price"),
    ],
)
def test_a_question_about_something_else_asks_no_model(question, words):
    finished = run("ask", question, OPENAI_BASE_URL="http://127.0.0.1:9/v1", OPENAI_MODEL="m")
    assert finished.returncode == 0
    assert words in finished.stdout


def test_a_question_without_a_date_says_which_horizon_was_assumed():
    with chat_server(well_behaved(**GOOD | {"arguments": {**CALL, "target_date": "x"}})) as s:
        finished = run(
            "ask", "What will Nvidia cost?", "--as-of", "2024-03-01", "--json", **served_by(s)
        )
    assert any("21 sessions were assumed" in note for note in json.loads(finished.stdout)["notes"])


def test_help_loads_nothing_heavy():
    code = (
        "import sys, belief_tools.cli as cli; "
        "heavy = {'numpy', 'pandas', 'numba', 'hmmlearn', 'openai', 'matplotlib', 'xllamacpp'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr


def test_make_ask_takes_the_question_as_it_stands(tmp_path):
    """A stand-in for the installed command shows what reaches it."""
    root = Path(__file__).parent.parent
    shown = tmp_path / ".venv" / "bin"
    shown.mkdir(parents=True)
    (shown / "belief").write_text('#!/bin/sh\nprintf "%s" "$3"\n')
    (shown / "belief").chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((root / name).read_bytes())
    (tmp_path / ".venv" / ".installed").touch()
    question = 'Above $150, $(shell touch pwned) or `touch pwned` "quoted"?'
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    finished = subprocess.run(
        ["make", "ask", f"Q={question}"], cwd=tmp_path, capture_output=True, text=True, env=outside
    )
    assert finished.stdout == question, finished.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2])
def test_ctrl_c_ends_an_answer_whatever_is_going_on(seconds):
    """The loading of the local model included; a first signal can be lost while Python imports."""
    clean = {name: value for name, value in os.environ.items() if name not in SERVED}
    process = subprocess.Popen(
        [BELIEF, "ask", QUESTION, "--as-of", "2024-03-01"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean,
    )  # fmt: skip
    time.sleep(seconds)
    for _ in range(20):
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=1.0)
            break
        except subprocess.TimeoutExpired:
            continue
    assert process.poll() not in (None, 0)


def test_a_full_disk_is_an_error_and_not_a_traceback():
    with Path("/dev/full").open("w") as full:
        finished = subprocess.run(
            [BELIEF, "now", "--as-of", "2024-03-01"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert finished.returncode == 1
    assert finished.stderr.startswith("belief: cannot write the answer")


def test_what_a_terminal_would_obey_is_not_printed():
    says = "\x1b[2JForecast: It will be $5,000.\x1b[8m"
    with chat_server(well_behaved(**GOOD | {"says": says})) as s:
        finished = run("ask", QUESTION, "--as-of", "2024-03-01", **served_by(s))
    assert finished.returncode == 6
    assert "\x1b" not in finished.stdout
    assert "rejected answer" in finished.stdout
