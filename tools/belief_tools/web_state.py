"""What the page holds: for everyone who looks at it, and for each browser."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Final

import numpy as np
from shiny import reactive

from belief.errors import UnknownSymbol
from belief_tools.busy import Busy
from belief_tools.conversation import Connect, Dialogue
from belief_tools.looks import Look, Looks, Place
from belief_tools.recording import ConversationLog
from belief_tools.refitting import Refitting
from belief_tools.shared_desk import SharedDesk
from belief_tools.talks import Said, Talks

DRAWN_AT_ONCE: Final = 2


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

    def place(self, symbol: str, day: np.datetime64 | None) -> Place:
        """What is looked at when a symbol and a day are picked.

        Args:
            symbol: one of `symbols`.
            day: None, or one that may be no session: the last one before it counts.
        """
        session = self.desk.uncut(symbol).session
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
        session = self.desk.uncut(place.symbol).session
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
        look: what is seen there; None while there is nothing.
        target: the day that is marked; None for none.
        problem: why there is nothing to show; empty when there is.
        refused: why what was picked or marked cannot be; empty when it can.
        refitted: grows when a refit has ended, and there may be something new to see.
    """

    shared: Shared
    visitor: str
    place: "reactive.Value[Place]"
    look: "reactive.Value[Look | None]"
    target: "reactive.Value[np.datetime64 | None]"
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
        reactive.Value(place),
        reactive.Value(shared.looks.ready(place)),
        reactive.Value(None),
        reactive.Value(""),
        reactive.Value(""),
        reactive.Value(0),
    )
