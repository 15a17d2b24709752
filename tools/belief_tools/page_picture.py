"""Draw a picture for a page: panels in places that stand fixed, and the figures beside in text."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from belief_tools.report_page import Picture
from belief_tools.svg import as_svg, coarsened, page_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of a picture and around its panels, inches; to the right there is room for a legend.
WIDTH, LEFT, RIGHT, TOP, BOTTOM = 9.0, 0.9, 2.2, 0.5, 0.55


class Panels(NamedTuple):
    """Panels one below the other.

    Attributes:
        n: how many.
        height: of each, inches.
        between: room between two, inches.
        below: room below the lowest, inches.
    """

    n: int
    height: float
    between: float = 0.0
    below: float = BOTTOM


class Told(NamedTuple):
    """What stands in text beside a picture.

    Attributes:
        what: what it shows, without an end.
        figures: its figures, without an end; with nothing else they tell it to those who do not
            see it.
    """

    what: str
    figures: str


def page_picture(
    name: str, panels: Panels, told: Told, draw: Callable[[list["Axes"]], None]
) -> Picture:
    """Draw a picture; the same drawing gives the same text.

    Where everything is stands fixed: matplotlib's own layout would take as long as the drawing.

    Args:
        name: of its own on the page.
        panels: how they stand.
        told: what stands beside it.
        draw: draws on them, given from the top down.
    """
    with page_style():
        from matplotlib.figure import Figure

        height = TOP + panels.n * (panels.height + panels.between) - panels.between + panels.below
        figure = Figure((WIDTH, height))
        places = figure.subplots(panels.n, 1, squeeze=False)[:, 0]
        figure.subplots_adjust(
            left=LEFT / WIDTH,
            right=1.0 - RIGHT / WIDTH,
            top=1.0 - TOP / height,
            bottom=panels.below / height,
            hspace=panels.between / panels.height,
        )
        draw(list(places))
        svg = coarsened(as_svg(figure, name))
    return Picture(svg, f"{told.figures}.", f"{told.what}. {told.figures}.")
