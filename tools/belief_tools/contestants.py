"""The language models of an evaluation: where each is, what it knows, what it costs.

An option reads ``--model gpt-5.4-mini``, ``--model local``, or names what else is to be known:
``--model name=qwen3,url=http://localhost:11434/v1,key=QWEN_KEY,cutoff=2024-10-01,in=.25,out=2``.

The key in OPENAI_API_KEY goes to the usual server alone; a model with an address of its own is sent
the key it names, or none.
"""

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from belief.errors import UsageError
from belief.sessions import parse_day
from belief_tools.llm import NO_KEY, Endpoint, LanguageModel
from belief_tools.local_model import MODEL as LOCAL_MODEL
from belief_tools.local_model import local_endpoint
from belief_tools.terminal import one_line, say

LOCAL: Final = "local"
FIELDS: Final = ("name", "url", "key", "cutoff", "in", "out")
USUAL_KEY: Final = "OPENAI_API_KEY"
PER_TOKENS: Final = 1e6


@dataclass(frozen=True)
class Contestant:
    """A language model to be evaluated.

    Attributes:
        name: as the server knows it, and as it is called in the report.
        url: of its server; None is the hosted service, or this process for the local model.
        key: name of the environment variable with its key; None for a server that wants none.
        cutoff: the last day it was trained on, as it is told; None when nobody said.
        dollars_in, dollars_out: for a million tokens of prompt and of reply; None when unknown.
    """

    name: str
    url: str | None = None
    key: str | None = USUAL_KEY
    cutoff: np.datetime64 | None = None
    dollars_in: float | None = None
    dollars_out: float | None = None

    @property
    def is_local(self) -> bool:
        """Whether it runs in this process."""
        return self.name == LOCAL_MODEL and self.url is None

    @property
    def calls_tools(self) -> bool:
        """Whether offering tools to it is worth a try."""
        return not self.is_local

    def connect(self, environ: Mapping[str, str]) -> LanguageModel:
        """Give the model.

        Args:
            environ: holds the key.

        Raises:
            UsageError: the key it names is not set, or cannot be sent.
            LanguageModelError: the local model cannot be had.
        """
        if self.is_local:
            return local_endpoint(say=say)
        return self._endpoint(self._key(environ))

    def _key(self, environ: Mapping[str, str]) -> str:
        key = environ.get(self.key, "").strip() if self.key else ""
        if not key and self.key and (self.url is None or self.key != USUAL_KEY):
            raise UsageError(
                f"{one_line(self.name)} needs a key in {one_line(self.key)}, which is not set"
            )
        return key or NO_KEY

    def _endpoint(self, key: str) -> Endpoint:
        try:
            return Endpoint(self.url, self.name, key, name=self.name, calls_tools=True)
        except UsageError as error:  # it speaks of the usual server and key
            said = str(error).replace("OPENAI_BASE_URL", f"the address of {self.name}")
            raise UsageError(one_line(said.replace(USUAL_KEY, self.key or USUAL_KEY))) from None

    def check(self) -> None:
        """Check the address.

        Raises:
            UsageError: it is none.
        """
        self._endpoint(NO_KEY)

    def cost(self, prompt_tokens: int | None, completion_tokens: int | None) -> float | None:
        """Dollars for so many tokens; None where prices or counts are not known."""
        if self.is_local:
            return 0.0
        prices = (self.dollars_in, self.dollars_out)
        if None in (prompt_tokens, completion_tokens, *prices):
            return None
        paid = (prompt_tokens or 0) * (prices[0] or 0.0) + (completion_tokens or 0) * (
            prices[1] or 0.0
        )
        return paid / PER_TOKENS


def contestant(text: str, environ: Mapping[str, str]) -> Contestant:
    """Read a --model option.

    Args:
        text: a name, or fields with commas between.
        environ: whose OPENAI_BASE_URL is the server of a model that names none.

    Raises:
        UsageError: it makes no sense.
    """
    parts = [part.strip() for part in text.split(",")]
    fields = [part.partition("=")[::2] for part in parts if "=" in part]
    named = {field.strip(): value.strip() for field, value in fields}
    bare = [part for part in parts if "=" not in part and part]
    name = named.get("name") or (bare[0] if len(bare) == 1 else "")
    sound = named.keys() <= set(FIELDS) and all(named.values()) and len(named) == len(fields)
    if not (sound and name) or len(bare) > 1 or (bare and "name" in named):
        shown = ascii(re.sub(r"\b(key|url)=[^,]*", r"\1=...", text))  # perhaps not only its name
        raise UsageError(
            f"--model {one_line(shown, longest=60)} makes no sense; write a name, or "
            f"name=...,url=...,key=VARIABLE,cutoff=YYYY-MM-DD,in=DOLLARS,out=DOLLARS"
        )
    if name == LOCAL:
        return _local(named)
    url = named.get("url") or environ.get("OPENAI_BASE_URL", "").strip() or None
    made = Contestant(
        name=name,
        url=url,
        key=_variable(named.get("key")) or (None if "url" in named else USUAL_KEY),
        cutoff=_day(named.get("cutoff")),
        dollars_in=_dollars("in", named.get("in")),
        dollars_out=_dollars("out", named.get("out")),
    )
    made.check()
    return made


def _local(named: Mapping[str, str]) -> Contestant:
    idle = [field for field in named if field not in ("name", "cutoff")]
    if idle:
        raise UsageError(f"{idle[0]}= means nothing to the local model; it takes cutoff= alone")
    return Contestant(LOCAL_MODEL, cutoff=_day(named.get("cutoff")))


def _day(text: str | None) -> np.datetime64 | None:
    try:
        return None if text is None else parse_day(text)
    except UsageError as error:
        raise UsageError(f"cutoff={one_line(str(error))}") from None


def _variable(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", text):
        raise UsageError("key= names an environment variable in capitals, such as QWEN_KEY")
    return text


def _dollars(field: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e6:
        raise UsageError(
            f"{field}={one_line(text, longest=20)} is not a price in dollars, such as 0.25"
        )
    return value


class Pace:
    """Lets requests through at most so many a minute; safe to use from several threads."""

    def __init__(self, per_minute: float) -> None:
        """Begin with a request at once.

        Args:
            per_minute: how many.
        """
        self.interval = 60.0 / per_minute
        self._lock, self._next = threading.Lock(), 0.0

    def wait(self) -> None:
        """Wait for the turn of the next request."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self.interval
        time.sleep(max(0.0, turn - time.monotonic()))
