"""What the page shows of each symbol and session, drawn once for all who look at it."""

from typing import Final, NamedTuple

import numpy as np

from belief_tools import looking
from belief_tools.forecast_tool import ForecastTool
from belief_tools.once import Once
from belief_tools.report_page import Section, section_html
from belief_tools.shared_desk import SharedDesk

MOST_DRAWN: Final = 24  # sessions whose pictures are kept; those of one have half a megabyte
MOST_FANS: Final = 64
SECTIONS: Final = {
    "belief": looking.belief_section,
    "regimes": looking.regimes_section,
    "record": looking.record_section,
}


class Place(NamedTuple):
    """What is looked at.

    Attributes:
        symbol: upper case.
        as_of: the day whose close is the last thing known; None for the newest session.
    """

    symbol: str
    as_of: np.datetime64 | None = None


class Looks:
    """Markup of the sections of the page; safe for threads."""

    def __init__(self, desk: SharedDesk) -> None:
        """Begin with nothing drawn.

        Args:
            desk: gives prices and models.
        """
        self._desk = desk
        self._sections: Once[str] = Once(MOST_DRAWN * len(SECTIONS))
        self._fans: Once[str] = Once(MOST_FANS)
        self.ready: dict[Place, ForecastTool] = {}
        """Of the newest session of each symbol, as it was last looked at."""

    def tool(self, place: Place) -> ForecastTool:
        """What answers at a place; for a session of the past a model may have to be fitted.

        Raises:
            BeliefError: there are no prices, or no model serves.
        """
        tool = self._desk.tool(place.symbol, place.as_of)
        if place.as_of is None:
            self.ready[place] = tool
        return tool

    def section(self, name: str, tool: ForecastTool) -> str:
        """One of `SECTIONS`.

        Args:
            name: of it.
            tool: what it shows.
        """
        draw = SECTIONS[name]
        return self._sections.get((name, tool), lambda: _markup(draw(tool), name))

    def forecast(
        self, tool: ForecastTool, target: np.datetime64 | None = None, *, came: bool = False
    ) -> str:
        """The forecast.

        Args:
            tool: what it shows.
            target: the day that is marked; None for none.
            came: whether what came after is shown.

        Raises:
            BeliefError: the day cannot be forecast.
        """
        after = self._desk.uncut(tool.prices.symbol) if came else None
        key = tool, str(target), after

        def draw() -> str:
            return _markup(looking.forecast_section(tool, target=target, came=after), "forecast")

        return self._fans.get(key, draw)


def _markup(section: Section, name: str) -> str:
    return section_html(section, name=name)
