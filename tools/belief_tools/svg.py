"""Turn a figure into an <svg> that a page can hold: nothing from outside, the page's own inks."""

import contextlib
import io
import logging
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from belief.plots import QUIET, settle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK: Final = "#010203"  # stands for the page's ink; black itself is left out of an <svg> at times
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a name is shown as it stands
    "font.size": 9.0,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}
PAGE_INKS: Final = {
    INK: "currentColor",
    "#000000": "currentColor",
    QUIET: "var(--quiet)",
    "#0072b2": "var(--blue)",  # too dim on dark paper, as the other would be too near it then
    "#56b4e9": "var(--sky)",
}
NUMBER: Final = re.compile(r"-?\d+\.\d+")
LEVEL: Final = re.compile(
    r"[ML] (?P<start>\S+) (?P<y>\S+) \nL (?P<middle>\S+) (?P=y) \nL (?P<end>\S+) (?P=y) "
)
# matplotlib's settings are the whole program's: who draws a page's pictures draws alone.
DRAWING: Final = threading.RLock()


@contextlib.contextmanager
def page_style() -> Iterator[None]:
    """Draw figures for a page inside this, one thread at a time.

    The settings of this computer do not count.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # fonts and settings of this computer
    with DRAWING:
        import matplotlib.style

        with matplotlib.style.context("default"), matplotlib.rc_context(STYLE):
            yield


def coarsened(svg: str) -> str:
    r"""Write the paths of a picture to a tenth of a point, which nobody can see.

    Points between two others on a level line are left out.

    Args:
        svg: of `as_svg`.

    Returns:
        The same picture in a third of the text where lines have many points.

    Example:
        >>> coarsened('<path d="M 1.04 7.96 \nL 2 8 \nL 3.23 8.01 \nL 4 0 \n"/>')
        '<path d="M 1 8 \nL 3.2 8 \nL 4 0 \n"/>'
    """
    return re.sub(r'(?<= d=")[^"]*', _coarse, svg)


def _coarse(path: "re.Match[str]") -> str:
    steps = NUMBER.sub(_tenth, path[0]).split("\n")
    around = zip(steps, steps[1:], steps[2:], strict=False)
    idle = [False, *(_goes_on_level("\n".join(three)) for three in around), False]
    return "\n".join(step for step, left_out in zip(steps, idle, strict=False) if not left_out)


def _goes_on_level(three: str) -> bool:
    """Say whether the second of three steps is on the way, level, from the first to the third."""
    level = LEVEL.fullmatch(three)
    if level is None:
        return False
    start, middle, end = (float(level[name]) for name in ("start", "middle", "end"))
    return start <= middle <= end or start >= middle >= end


def _tenth(number: "re.Match[str]") -> str:
    return f"{round(float(number[0]), 1) + 0.0:g}"


def as_svg(figure: "Figure", name: str) -> str:
    """Write a figure as an element of a page of `belief_tools.report_page`.

    Args:
        figure: drawn in `page_style`.
        name: of the picture, of its own on the page: what its ids begin with.

    Returns:
        The <svg> element; the same figure gives the same text.
    """
    import matplotlib

    settle(figure)
    content = io.StringIO()
    undated = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with DRAWING, matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(content, format="svg", transparent=True, metadata=undated)
    svg = content.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for drawn, ink in PAGE_INKS.items():
        svg = svg.replace(drawn, ink)
    return svg.strip()
