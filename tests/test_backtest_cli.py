"""`belief backtest` as a person runs it: a process, its streams, its files, its exit code."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from belief.paths import cache_dir
from belief.sessions import FIRST_DAY, sessions_between
from belief_tools.backtest_table import print_summary, write_file

BELIEF = Path(sys.executable).with_name("belief")
SHORT = ("--models", "chain", "--horizons", "1,5", "--from", "2024-03-01", "--to", "2024-06-28")
N_PARTS = 4  # of 21 origins


@pytest.fixture(scope="module")
def sessions():
    """The calendar as it is kept; every command would compute it anew in an empty cache."""
    sessions_between(FIRST_DAY, FIRST_DAY)
    return cache_dir() / "sessions"


@pytest.fixture
def cache(tmp_path, sessions):
    shutil.copytree(sessions, tmp_path / "cache" / "sessions")
    return tmp_path / "cache"


def command(*arguments):
    return [BELIEF, "backtest", *SHORT, *map(str, arguments)]


def environment(cache):
    return {**os.environ, "BELIEF_CACHE_DIR": str(cache)}


def run(cache, *arguments, where=None):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(cache),
        cwd=where or cache.parent,
        stdin=subprocess.DEVNULL,
    )


def parts(cache):
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.part") if path.stem.isdigit()}


def interrupted(cache, how, *arguments):
    """Start the command, send the signal once something is finished, return what it said."""
    process = subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cache),
        cwd=cache.parent,
    )
    deadline = time.monotonic() + 100
    while not parts(cache) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory, sessions):
    folder = tmp_path_factory.mktemp("unbroken")
    shutil.copytree(sessions, folder / "cache" / "sessions")
    finished = run(folder / "cache", "--json", "--plot", "pictures")
    assert finished.returncode == 0, finished.stderr
    return folder, finished


def test_the_summary_is_json_and_every_forecast_is_in_the_file(unbroken):
    folder, finished = unbroken
    shown = json.loads(finished.stdout)
    assert (shown["symbol"], shown["from"], shown["to"]) == ("NVDA", "2024-03-01", "2024-06-28")
    assert (shown["models"], shown["horizons"], shown["reference"]) == (["chain"], [1, 5], "chain")
    assert [(row["horizon"], row["n"]) for row in shown["summary"]] == [(1, 83), (5, 83)]
    for row in shown["summary"]:
        assert {"model", "log_score", "crps", "gain", "t_value", "pit_distance"} <= set(row)
        assert 0.3 < row["coverage_50"] < row["coverage_80"] < row["coverage_90"] <= 1.0
    table = parquet.read_table(folder / "backtest-NVDA.parquet")
    assert table.num_rows == 166
    mean = table.filter(table.column("horizon").to_numpy() == 1).column("log_score").to_numpy()
    assert shown["summary"][0]["log_score"] == pytest.approx(mean.mean(), rel=1e-12)
    said = "166 forecasts and their scores are in backtest-NVDA.parquet"
    assert finished.stderr.splitlines() == [said, "the pictures are in pictures"]


def test_the_pictures_are_in_the_folder_and_files_are_as_open_as_others_here(unbroken):
    folder, _ = unbroken
    drawn = sorted((folder / "pictures").iterdir())
    assert [path.name for path in drawn] == [
        "coverage_by_regime.png",
        "coverage_by_year.png",
        "pit.png",
        "reliability.png",
        "staying.png",
    ]
    plain = folder / "plain"
    plain.touch()
    for path in (*drawn, folder / "backtest-NVDA.parquet"):
        assert path.stat().st_mode == plain.stat().st_mode
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


@pytest.mark.parametrize(("how", "jobs"), [(signal.SIGINT, 1), (signal.SIGKILL, 2)])
def test_stopped_and_started_again_it_ends_with_the_same_bytes(unbroken, cache, how, jobs):
    code, out, err = interrupted(cache, how, "--jobs", jobs)
    before = parts(cache)
    assert 0 < len(before) < N_PARTS, err
    assert out == "" and not (cache.parent / "backtest-NVDA.parquet").exists()
    if how == signal.SIGINT:
        assert code == 130
        assert err == "interrupted; the same command goes on from what is finished\n"
    finished = run(cache, "--jobs", jobs, "--out", "again.parquet")
    assert finished.returncode == 0, finished.stderr
    whole = (unbroken[0] / "backtest-NVDA.parquet").read_bytes()
    assert (cache.parent / "again.parquet").read_bytes() == whole
    after = parts(cache)
    assert len(after) == N_PARTS and before.items() <= after.items()


def test_the_table_is_readable_at_100_columns_and_names_the_windows(unbroken, tmp_path):
    finished = run(unbroken[0] / "cache", "--out", tmp_path / "table.parquet")
    lines = finished.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert "1 session ahead" in lines and "5 sessions ahead" in lines
    heads = [line for line in lines if line.startswith("model  ")]
    bodies = [line for line in lines if line.startswith("chain ")]
    assert len(heads) == len(bodies) == 4
    for head, body in zip(heads[::2], bodies[::2], strict=True):
        assert head.index("windows") + len("windows") == len(body[:35].rstrip())
    assert bodies[0].split()[1:3] == ["83", "83"] and bodies[2].split()[1:3] == ["83", "17"]


def test_figures_stand_under_their_headings(capsys):
    from belief.backtest_summary import Row

    row = Row(
        *("few_state_memory", 252, "garch_t", 3050, 12, 3050, -0.1234, 0.0123, 2.345),
        *(0.01234, 0.987, -1.5, 123.45, 1.01, 1234.56, 0.99),
        *(0.501, 0.085, 1.0, None, 0.9, 0.02, 0.95, 0.101, 0.123),
    )
    about = {"symbol": "NVDA", "from": "a", "to": "b", "source": "s", "currency": "USD"}
    horizons = [row.horizon, 504]
    print_summary({**about, "refit_every": 21, "horizons": horizons}, [row])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    (first, scores), (second, dollars) = (
        lines[n : n + 2] for n, line in enumerate(lines) if line.startswith("model  ")
    )
    for head, body, pairs in (
        (first, scores, {"origins": "3,050", "log score": "-0.1234", "gain": "+0.0123"}),
        (first, scores, {"windows": "12", "CRPS": "0.01234"}),
        (second, dollars, {"|error| $": "123.45", "90 % score $": "1,234.56", "PIT": "0.123"}),
    ):
        for heading, cell in pairs.items():
            assert body.index(cell) + len(cell) == head.index(heading) + len(heading), heading
    for heading, cell in {
        "50": "50.1±8.5",
        "80": "100.0",
        "90": "90.0±2.0",
        "95": "95.0±10 ",
    }.items():
        assert abs(dollars.index(cell) - second.index(f"in {heading} %")) <= 1
    assert "50.1±8.5 100.0 " in dollars  # cells do not touch
    assert "no outcome known 504 sessions ahead" in lines
    assert "+2.3?" in scores and "? fewer than 20 windows: too few to judge by" in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", "2024-07-01"), ("2024-07-01 is after the last, 2024-06-28",)),
        (("--from", "soon"), ("'soon' is not a day",)),
        (("--to", "2031-01-02"), ("after the last session", "2025-02-14")),
        (("--models", "chain,oracle"), ("'oracle'", "few_state_static")),
        (("--models", "chain,"), ("''",)),
        (("--horizons", "1,x"), ("--horizons '1,x'", "e.g. 1,5,21")),
        (("--horizons", "1,505"), ("505", "1 to 504")),
        (("--refit-every", "0"), ("refit-every is 0",)),
        (("--jobs", "0"), ("jobs is 0",)),
        (("--reference", "garch_t"), ("'garch_t' is not one of the models chain",)),
        (("--out", "nowhere/table.parquet"), ("--out", "no folder nowhere")),
        (("--out", "."), ("--out", "is not a file")),
        (("--plot", "nowhere/pictures"), ("--plot", "no folder nowhere")),
        (("--plot", "/dev/null"), ("--plot", "is not a folder")),
        (("--html", "nowhere/sheet.html"), ("--html", "no folder nowhere")),
        (("--html", "."), ("--html", "is not a file")),
        (("--out", "one.x", "--html", "one.x"), ("--out and --html are both one.x",)),
        (("--symbol", "NO SUCH"), ("NO SUCH",)),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_walked(cache, arguments, words):
    finished = run(cache, *arguments)
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    (line,) = finished.stderr.splitlines()
    assert line.startswith("belief: ")
    for word in words:
        assert word in line
    assert not parts(cache) and not list(cache.parent.glob("*.parquet"))


def test_a_csv_of_ones_own_is_walked_under_its_name(cache, tmp_path):
    from belief.sources import load_prices

    prices = load_prices("NVDA")
    rows = ["Date,Open,High,Low,Close"]
    for number in range(prices.session.size - 700, prices.session.size - 400):
        cells = (getattr(prices, name)[number] for name in ("open", "high", "low", "close"))
        rows.append(f"{prices.session[number]}," + ",".join(f"{cell:.4f}" for cell in cells))
    (tmp_path / "mine.csv").write_text("\n".join(rows), encoding="utf-8")
    dates = ("--from", rows[270][:10], "--to", rows[290][:10])
    finished = run(cache, "--prices", "mine.csv", *dates)
    assert finished.returncode == 0, finished.stderr
    (path,) = tmp_path.glob("*.parquet")
    assert path.name.lower() == "backtest-mine.parquet"
    assert parquet.read_table(path).num_rows == 42


def test_on_a_terminal_there_is_a_bar_and_off_it_there_is_none(unbroken, tmp_path):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        command("--out", tmp_path / "table.parquet"),
        stdout=subprocess.PIPE,
        stderr=child,
        env=environment(unbroken[0] / "cache") | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(child)
    shown = b""
    while True:
        try:
            piece = os.read(parent, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    out, _ = process.communicate(timeout=60)
    os.close(parent)
    assert process.returncode == 0
    assert b"/83" in shown and b"origins" in shown
    assert b"\x1b" not in out and b"1 session ahead" in out
    assert "origins" not in unbroken[1].stderr


def test_the_tear_sheet_is_one_page_that_replaces_no_other_kind_of_file(unbroken, tmp_path):
    (tmp_path / "notes.html").write_text("my own", encoding="utf-8")
    out = ("--out", tmp_path / "table.parquet")
    refused = run(unbroken[0] / "cache", *out, "--html", tmp_path / "notes.html")
    assert refused.returncode == 2 and "is there and no HTML file" in refused.stderr
    assert (tmp_path / "notes.html").read_text(encoding="utf-8") == "my own"
    sheets = []
    for _ in range(2):  # the second replaces the first
        finished = run(unbroken[0] / "cache", *out, "--html", tmp_path / "sheet.html")
        assert finished.returncode == 0, finished.stderr
        assert "the tear sheet is in " in finished.stderr.splitlines()[-1]
        sheets.append((tmp_path / "sheet.html").read_bytes())
    assert sheets[0].startswith(b"<!DOCTYPE html>") and sheets[0] == sheets[1]
    assert "Forecasts of NVDA by chain" in sheets[0].decode()


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path):
    from belief.errors import BeliefError

    (tmp_path / "folder").mkdir()
    with pytest.raises(BeliefError, match="cannot write"):
        write_file(tmp_path / "folder", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
