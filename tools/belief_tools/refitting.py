"""A refit in the background, and how far it is, for all who look at a page."""

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from belief.errors import BeliefError, RefitRunning
from belief.paths import store_location
from belief_tools import clock
from belief_tools.new_bars import new_bars
from belief_tools.refit_table import change_in_words, headline
from belief_tools.terminal import one_line

if TYPE_CHECKING:
    from belief.refit import Refit

BROKEN: Final = "the refit ended in an error of this program; the server's log has it"


@dataclass(frozen=True)
class Progress:
    """How far a refit is.

    Attributes:
        symbol: whose it is.
        stage: what is being done, in words.
        share: of that, from 0 to 1; 0 where nobody can say.
        told: how it ended, line by line; empty while it runs.
        well: whether it ended without a failure or a refusal.
    """

    symbol: str
    stage: str = "fetching prices"
    share: float = 0.0
    told: tuple[str, ...] = ()
    well: bool = True

    @property
    def runs(self) -> bool:
        """Whether it is under way."""
        return not self.told


class Refitting:
    """Refits one symbol at a time, in a thread that nobody waits for."""

    def __init__(self) -> None:
        """Begin with nothing refitted."""
        self._lock = threading.Lock()
        self._progress: Progress | None = None

    @property
    def progress(self) -> Progress | None:
        """Of the refit under way, or of the last one; None before the first."""
        return self._progress

    def start(self, symbol: str, *, snapshot: bool) -> None:
        """Begin a refit.

        Args:
            symbol: of it.
            snapshot: whether the bundled snapshot gives the prices, in place of Yahoo Finance.

        Raises:
            RefitRunning: one that was started here is under way.
        """
        with self._lock:
            if self._progress is not None and self._progress.runs:
                raise RefitRunning(
                    f"{self._progress.symbol} is being refitted; wait until it has ended"
                )
            self._progress = Progress(symbol)
        threading.Thread(target=self._run, args=(symbol, snapshot), daemon=True).start()

    def _run(self, symbol: str, snapshot: bool) -> None:
        ended = Progress(symbol, told=(f"{symbol}: {BROKEN}",), well=False)
        try:
            ended = self._ended(symbol, snapshot)
        finally:
            self._progress = ended

    def _ended(self, symbol: str, snapshot: bool) -> Progress:
        try:
            done = self._refit(symbol, snapshot)
        except BeliefError as error:
            return Progress(symbol, told=(f"{symbol}: {one_line(str(error))}",), well=False)
        told = (f"{symbol}: {headline(done)}", *_why(done))
        return Progress(symbol, told=told, well=done.status != "refused")

    def _refit(self, symbol: str, snapshot: bool) -> "Refit":
        from belief.refit import refit
        from belief.store import open_store

        name, fetch = new_bars(symbol, snapshot=snapshot)
        with open_store(store_location()) as store:
            return refit(name, store, fetch, now=clock.now(), progress=self._tell)

    def _tell(self, stage: str, share: float) -> None:
        if self._progress is not None:
            self._progress = replace(self._progress, stage=stage, share=share)


def _why(done: "Refit") -> tuple[str, ...]:
    """What a refit found: why it was refused, or what it changed in the belief."""
    changed = () if done.change is None else change_in_words(done.change)
    return tuple(map(one_line, (*done.reasons, *changed)))
