"""The picture of a belief and its forecasts, in a file of the kind that its ending names."""

import contextlib
import io
import logging
import os
from pathlib import Path
from typing import Any

from belief.errors import BeliefError, UsageError
from belief_tools.forecast_tool import ForecastTool
from belief_tools.terminal import one_line

HORIZONS = (1, 2, 3, 5, *range(8, 64, 5))
"""Sessions ahead at which the fan is drawn: close together where it opens, then weekly."""

DOTS_PER_INCH = 150
# PostScript knows no transparency, so the bands would be one; pgf needs TeX; nothing shows raw.
NO_PICTURES = ("eps", "ps", "pgf", "raw", "rgba")
# The day of drawing would make two pictures of the same belief differ.
UNDATED: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "svgz": {"Date": None},
    "pdf": {"CreationDate": None},
}


def check_picture(path: Path) -> None:
    """Check that a picture can be written, before anything slow is done for it.

    Args:
        path: the file; its ending says which kind of picture it is to be.

    Raises:
        UsageError: no kind of picture has this ending, or its folder does not exist.
        BeliefError: the file cannot be written there.
    """
    _silence_matplotlib()
    from matplotlib.backend_bases import FigureCanvasBase

    endings = sorted(set(FigureCanvasBase.get_supported_filetypes()) - set(NO_PICTURES))
    named = one_line(str(path))
    if _kind(path) not in endings:
        told = f"ends in {path.suffix!r}, which is" if path.suffix else "has no ending, so it is"
        valid = ", ".join(f".{ending}" for ending in endings)
        raise UsageError(f"--plot {named} {told} no kind of picture; use one of {valid}")
    try:
        if not path.parent.is_dir():
            folder = one_line(str(path.parent))
            raise UsageError(f"--plot {named}: there is no folder {folder}; create it first")
        if path.exists() and not path.is_file():
            raise UsageError(f"--plot {named} is not a file; name one that can be written")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise BeliefError(f"cannot write {named}: permission denied; name another place")
    except OSError as error:
        raise BeliefError(f"cannot write {named}: {error.strerror}") from None


def write_picture(path: Path, tool: ForecastTool) -> None:
    """Draw the belief and its forecasts; the same belief gives the same bytes.

    Args:
        path: as `check_picture` accepts it; written whole or not at all.
        tool: holds the prices and the model.

    Raises:
        BeliefError: the file cannot be written.
    """
    from belief.paths import write_whole

    target = path.resolve()  # a link stays one
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    try:
        write_whole(target, _drawn(tool, _kind(path)))
    except OSError as error:
        raise BeliefError(f"cannot write {one_line(str(path))}: {error.strerror}") from None
    with contextlib.suppress(OSError):
        target.chmod(mode)


def _drawn(tool: ForecastTool, kind: str) -> bytes:
    import matplotlib
    import matplotlib.style

    from belief.models import forecasts
    from belief.plots import belief_figure, settle
    from belief.sessions import session_after

    targets = [session_after(tool.prices.as_of, horizon) for horizon in HORIZONS]
    ahead = forecasts(tool.fitted, tool.prices, targets)
    content = io.BytesIO()
    with matplotlib.style.context("default"), matplotlib.rc_context({"svg.hashsalt": "belief"}):
        figure = belief_figure(tool.fitted, tool.prices, ahead)
        settle(figure)
        figure.savefig(content, format=kind, dpi=DOTS_PER_INCH, metadata=UNDATED.get(kind))
    return content.getvalue()


def _kind(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")


def _silence_matplotlib() -> None:
    """Keep remarks about fonts and settings of this computer off the terminal."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    os.environ["MPLBACKEND"] = "agg"  # no window is opened, whatever the environment names


def _umask() -> int:
    """The permissions a new file is not given; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
