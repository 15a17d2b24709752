"""The language models of an evaluation: where each is, what it knows, what it costs.

An option reads ``--model gpt-5.4-mini``, ``--model local``, or names what else is to be known:
``--model name=qwen3,url=http://localhost:11434/v1,key=QWEN_KEY,cutoff=2024-10-01,in=.25,out=2``.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from belief.errors import UsageError
from belief.sessions import parse_day
from belief_tools.llm import HOSTED_URL, NO_KEY, Endpoint, LanguageModel
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
        key: name of the environment variable with its key.
        cutoff: the last day it was trained on, as it is told; None when nobody said.
        dollars_in, dollars_out: for a million tokens of prompt and of reply; None when unknown.
    """

    name: str
    url: str | None = None
    key: str = USUAL_KEY
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
            UsageError: the hosted service is asked without a key.
            LanguageModelError: the local model cannot be had.
        """
        if self.is_local:
            return local_endpoint(say=say)
        key = environ.get(self.key, "").strip()
        if not key and self.url is None:
            raise UsageError(f"{self.name} needs a key in {self.key}, or an address: url=...")
        return Endpoint(self.url, self.name, key or NO_KEY, name=self.name, calls_tools=True)

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
    named = dict(part.partition("=")[::2] for part in parts if "=" in part)
    bare = [part for part in parts if "=" not in part and part]
    unknown = [field for field in named if field not in FIELDS]
    name = named.get("name") or (bare[0] if len(bare) == 1 else "")
    if unknown or not name or len(bare) > 1 or (bare and "name" in named):
        raise UsageError(
            f"--model {one_line(ascii(text), longest=60)} makes no sense; write a name, or "
            f"name=...,url=...,key=VARIABLE,cutoff=YYYY-MM-DD,in=DOLLARS,out=DOLLARS"
        )
    if name == LOCAL:
        return Contestant(LOCAL_MODEL, cutoff=_day(named.get("cutoff")))
    url = named.get("url") or environ.get("OPENAI_BASE_URL", "").strip() or None
    made = Contestant(
        name=name,
        url=url,
        key=named.get("key") or USUAL_KEY,
        cutoff=_day(named.get("cutoff")),
        dollars_in=_dollars("in", named.get("in")),
        dollars_out=_dollars("out", named.get("out")),
    )
    Endpoint(made.url or HOSTED_URL, made.name, NO_KEY, name=name, calls_tools=True)  # checks url
    return made


def _day(text: str | None) -> np.datetime64 | None:
    return None if not text else parse_day(text)


def _dollars(field: str, text: str | None) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1e6:
        raise UsageError(f"{field}={one_line(text, longest=20)} is not a price in dollars")
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
