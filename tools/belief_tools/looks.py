"""What the page shows of each symbol and session, drawn once for all who look at it."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from belief_tools import looking
from belief_tools.forecast_tool import ForecastTool
from belief_tools.once import Once
from belief_tools.report_page import section_html
from belief_tools.shared_desk import SharedDesk

MOST_DRAWN: Final = 32  # sessions whose pictures are kept; those of one have a quarter megabyte
MOST_FANS: Final = 64
SECTIONS: Final = {
    "forecast": looking.forecast_section,
    "belief": looking.belief_section,
    "regimes": looking.regimes_section,
    "record": looking.record_section,
}


class Place(NamedTuple):
    """What is looked at.

    Attributes:
        symbol: upper case.
        as_of: the session whose close is the last thing known; None for the newest, whichever it
            will be.
    """

    symbol: str
    as_of: np.datetime64 | None = None


class Look(NamedTuple):
    """What is seen there.

    Attributes:
        tool: what it shows, and what answers questions.
        sections: markup of each of `SECTIONS`.
    """

    tool: ForecastTool
    sections: Mapping[str, str]


class Looks:
    """Looks at places; safe for threads."""

    def __init__(self, desk: SharedDesk) -> None:
        """Begin with nothing drawn.

        Args:
            desk: gives prices and models.
        """
        self._desk = desk
        self._looks: Once[Look] = Once(MOST_DRAWN)
        self._fans: Once[str] = Once(MOST_FANS)
        self._last: OrderedDict[Place, Look] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, place: Place) -> Look:
        """What is seen at a place; for a session of the past a model may have to be fitted.

        Raises:
            BeliefError: there are no prices, or no model serves.
        """
        tool = self._desk.tool(place.symbol, place.as_of)
        look = self._looks.get(tool, lambda: _drawn(tool))
        with self._lock:
            self._last[place] = look
            self._last.move_to_end(place)
            while len(self._last) > MOST_DRAWN:
                self._last.popitem(last=False)
        return look

    def ready(self, place: Place) -> Look | None:
        """What was seen when somebody looked there last; nothing is drawn now."""
        with self._lock:
            return self._last.get(place)

    def forecast(self, tool: ForecastTool, target: np.datetime64 | None, *, came: bool) -> str:
        """Markup of the forecast with more in it.

        Args:
            tool: what it shows.
            target: the session that is marked; None for none.
            came: whether what came after is shown.

        Raises:
            BeliefError: there are no prices of it any more.
        """
        after = self._desk.uncut(tool.prices.symbol) if came else None

        def draw() -> str:
            section = looking.forecast_section(tool, target=target, came=after)
            return section_html(section, name="forecast")

        return self._fans.get((tool, str(target), after), draw)


def _drawn(tool: ForecastTool) -> Look:
    return Look(
        tool, {name: section_html(draw(tool), name=name) for name, draw in SECTIONS.items()}
    )
