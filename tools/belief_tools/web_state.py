"""What the page holds: for everyone who looks at it, and for each browser."""

import dataclasses
import datetime
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from shiny import reactive

from belief.errors import UnknownSymbol
from belief.prices import Prices
from belief.view import View
from belief_tools.busy import Busy
from belief_tools.conversation import Connect, Dialogue
from belief_tools.looks import Look, Looks, Place
from belief_tools.recording import ConversationLog
from belief_tools.refitting import Refitting
from belief_tools.shared_desk import SharedDesk
from belief_tools.talks import Said, Talks

DRAWN_AT_ONCE: Final = 2
FRESH: Final = 1.0  # seconds for which it is not asked whether there are newer prices


class Shared:
    """What all browsers share.

    Attributes:
        desk: gives prices and models.
        now: gives the moment.
        looks: gives what is drawn.
        talks: the conversations.
        refitting: the refit under way.
        drawing: does what takes moments.
        fitting: does what may fit a model first, one at a time.
    """

    def __init__(
        self, desk: SharedDesk, connect: Connect, now: Callable[[], datetime.datetime]
    ) -> None:
        """Begin with nothing drawn, said or refitted.

        Args:
            desk: gives prices and models.
            connect: gives the language model.
            now: gives the moment.
        """
        self.desk, self.now = desk, now
        self.looks = Looks(desk)
        self.talks = Talks(self._begin, connect)
        self.refitting = Refitting()
        self._prices: dict[str, tuple[float, Prices]] = {}
        self.drawing, self.fitting = Busy(DRAWN_AT_ONCE), Busy(1)

    def _begin(self, as_of: np.datetime64 | None) -> Dialogue:
        return Dialogue(self.desk.desk(as_of), ConversationLog(self.now))

    def ask(self, visitor: str, place: Place, question: str) -> Said:
        """Put a question in a visitor's conversation.

        Args:
            visitor: who asks.
            place: what is looked at: the symbol of a question that names none, and the session.
            question: as written.

        Raises:
            UsageError: see `belief_tools.talks.Talks.ask`.
            StoreError: there is a store, and it fails.
        """
        desk = self.desk.desk(place.as_of, default=place.symbol)
        return self.talks.ask(self.talks.talk(visitor, place.as_of), question, desk)

    def symbols(self) -> dict[str, str]:
        """All symbols that there are prices of, each with its name."""
        return {symbol: f"{symbol} {name[0]}" for symbol, name in self.desk.names().items()}

    def known(self, symbol: str) -> str:
        """A symbol as it is picked.

        Args:
            symbol: as somebody has written it.

        Raises:
            UnknownSymbol: there are no prices of it.
        """
        upper = symbol.strip().upper()
        if upper not in self.desk.names():
            named = ", ".join(self.desk.names())
            raise UnknownSymbol(f"there are no prices of {symbol[:20]!r}, only of {named}")
        return upper

    def prices(self, symbol: str) -> Prices:
        """All prices of a symbol, as they were at most a moment ago.

        To see whether there are newer ones costs more than all else that a pick costs, and nothing
        else is done meanwhile.

        Args:
            symbol: one of `symbols`.

        Raises:
            BeliefError: there are none any more, or the store fails.
        """
        known, now = self._prices.get(symbol), time.monotonic()
        if known is None or now - known[0] > FRESH:
            known = self._prices[symbol] = now, self.desk.uncut(symbol)
        return known[1]

    def place(self, symbol: str, day: np.datetime64 | None) -> Place:
        """What is looked at when a symbol and a day are picked.

        Args:
            symbol: one of `symbols`.
            day: None, or one that may be no session: the last one before it counts.
        """
        session = self.prices(symbol).session
        if day is None or day >= session[-1]:
            return Place(symbol)
        last = int(np.searchsorted(session, day, side="right")) - 1
        return Place(symbol, session[max(last, 0)])

    def session(self, place: Place, steps: int = 0) -> np.datetime64:
        """The session that is looked at, or one near it.

        Args:
            place: what is looked at.
            steps: sessions later; earlier where negative.
        """
        session = self.prices(place.symbol).session
        at = session.size - 1 if place.as_of is None else int(np.searchsorted(session, place.as_of))
        found: np.datetime64 = session[min(max(at + steps, 0), session.size - 1)]
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Sitting:
    """What one browser looks at.

    Attributes:
        shared: what all share.
        visitor: whose browser it is.
        place: the symbol and the session.
        visit: grows whenever something else is looked at.
        look: what is seen there; None while there is nothing.
        target: the day that is marked; None for none.
        view: of that day, as it was recorded last; None for none.
        problem: why there is nothing to show; empty when there is.
        refused: why what was picked or marked cannot be; empty when it can.
        refitted: grows when a refit has ended, and there may be something new to see.
    """

    shared: Shared
    visitor: str
    place: "reactive.Value[Place]"
    visit: "reactive.Value[int]"
    look: "reactive.Value[Look | None]"
    target: "reactive.Value[np.datetime64 | None]"
    view: "reactive.Value[View | None]"
    problem: "reactive.Value[str]"
    refused: "reactive.Value[str]"
    refitted: "reactive.Value[int]"


def sit_down(shared: Shared, visitor: str, place: Place) -> Sitting:
    """A browser that has just connected.

    Args:
        shared: what all share.
        visitor: whose browser it is.
        place: what it looks at first.
    """
    return Sitting(
        shared,
        visitor,
        place=reactive.Value(place, name="place"),  # unnamed, it looks for a name for long
        visit=reactive.Value(0, name="visit"),
        look=reactive.Value(shared.looks.ready(place), name="look"),
        target=reactive.Value(None, name="target"),
        view=reactive.Value(None, name="view"),
        problem=reactive.Value("", name="problem"),
        refused=reactive.Value("", name="refused"),
        refitted=reactive.Value(0, name="refitted"),
    )
