"""`belief backtest` behind its options: check, walk with a progress bar, write, show."""

import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from belief.errors import BeliefError, UsageError
from belief_tools.terminal import one_line, say

if TYPE_CHECKING:
    import pyarrow

    from belief.backtest import Plan, Progress
    from belief.backtest_summary import Row
    from belief.prices import Prices

INTERRUPTED = 130
DOTS_PER_INCH = 150
FEWEST_WINDOWS = 20  # with fewer that do not overlap, a t-value says little
SECONDS_BETWEEN_LINES = 30.0  # of progress, where there is no terminal
SCORES_HEAD = (
    f"{'model':<18}{'origins':>9}{'windows':>8}{'log score':>11}{'gain':>9}{'t':>7} "
    f"{'CRPS':>10}{'ratio':>7}{'t':>7}"
)
DOLLARS_HEAD = (
    f"{'model':<17}{'|error| $':>10}{'ratio':>6}{'90 % score $':>13}{'ratio':>6} "
    + "".join(f"  in {level} % " for level in (50, 80, 90, 95))
    + f"{'PIT':>7}"
)


def run(
    prices: "Prices",
    plan: "Plan",
    reference: str | None,
    *,
    out: Path,
    plot: Path | None,
    html: Path | None,
) -> tuple[dict[str, Any], list["Row"]]:
    """Walk forward, write the table and the pictures, and sum up.

    Args:
        prices: of one symbol.
        plan: which forecasts to make.
        reference: model to compare with; None for the usual one.
        out: the Parquet file.
        plot: folder of the pictures; None for none.
        html: file of the tear sheet; None for none.

    Returns:
        What the backtest is of, and its summary.

    Raises:
        BeliefError: something cannot be fitted, read or written; nothing slow was done when it is
            a `UsageError`.
        typer.Exit: it was interrupted.
    """
    import typer

    from belief.backtest import about, walk_forward
    from belief.backtest_summary import check_reference, summarise

    if reference is not None:
        check_reference(reference, plan.models)
    check_file("--out", out, "Parquet", b"PAR1")
    if html is not None:
        _check_apart(out, html)
        check_file("--html", html, "HTML", b"<!DOCTYPE html>")
    if plot is not None:
        make_folder("--plot", plot)
    try:
        with shown_progress(plan) as progress:
            table = walk_forward(prices, plan, progress=progress)
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from what is finished")
        raise typer.Exit(INTERRUPTED) from None
    write_table(out, table)
    if plot is not None:
        write_pictures(plot, table, reference)
    if html is not None:
        write_tear_sheet(html, table, reference)
    made = "1 forecast and its scores are" if table.num_rows == 1 else None
    made = made or f"{table.num_rows:,} forecasts and their scores are"
    say(f"{made} in {one_line(str(out))}")
    if plot is not None:
        say(f"the pictures are in {one_line(str(plot))}")
    if html is not None:
        say(f"the tear sheet is in {one_line(str(html))}")
    return about(table), summarise(table, reference)


def cores() -> int:
    """How many processes this computer runs side by side."""
    import joblib

    return int(joblib.cpu_count())


def names(text: str) -> tuple[str, ...]:
    """Read the names of models from an option.

    Args:
        text: names with commas between them; "all" for all there are.

    Returns:
        The names, not checked.
    """
    from belief.models import MODELS

    if text.strip() == "all":
        return MODELS
    return tuple(name.strip() for name in text.split(","))


def whole_numbers(option: str, text: str) -> tuple[int, ...]:
    """Read whole numbers with commas between them; they are sorted.

    Raises:
        UsageError: one is no whole number.
    """
    try:
        return tuple(sorted(int(number) for number in text.split(",")))
    except ValueError:
        raise UsageError(
            f"{option} {one_line(text)!r} must be whole numbers with commas between, e.g. 1,5,21"
        ) from None


def check_file(option: str, path: Path, kind: str, begins: bytes) -> None:
    """Check that a file can be written, before anything slow is done for it.

    Args:
        option: that names it.
        path: the file.
        kind: what is written, in words; a file of another kind is not replaced.
        begins: how every file of that kind begins.

    Raises:
        UsageError: its folder does not exist, or it is no file, or one of another kind.
        BeliefError: it cannot be written there.
    """
    named = one_line(str(path))
    try:
        if not path.parent.is_dir():
            folder = one_line(str(path.parent))
            raise UsageError(f"{option} {named}: there is no folder {folder}; create it first")
        if path.exists() and not path.is_file():
            raise UsageError(f"{option} {named} is not a file; name one that can be written")
        _check_access(path if path.exists() else path.resolve().parent, named)
        if path.exists() and path.stat().st_size and not _begins(path, begins):
            raise UsageError(
                f"{option} {named} is there and no {kind} file; name another, or remove it first"
            )
    except OSError as error:
        raise BeliefError(f"cannot write {named}: {error.strerror}") from None


def _begins(path: Path, begins: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(begins)) == begins


def _check_apart(out: Path, html: Path) -> None:
    if out.resolve() == html.resolve():
        raise UsageError(f"--out and --html are both {one_line(str(html))}; name two files")


def make_folder(option: str, path: Path) -> None:
    """Create a folder for files, unless it is there, and check that it can be written to.

    Raises:
        UsageError: it is no folder, or the folder it is to be in does not exist.
        BeliefError: it cannot be written to.
    """
    named = one_line(str(path))
    try:
        if path.exists() and not path.is_dir():
            raise UsageError(f"{option} {named} is not a folder; name one")
        if not path.parent.is_dir():
            folder = one_line(str(path.parent))
            raise UsageError(f"{option} {named}: there is no folder {folder}; create it first")
        path.mkdir(exist_ok=True)
        _check_access(path, named)
    except OSError as error:
        raise BeliefError(f"cannot write {named}: {error.strerror}") from None


def _check_access(place: Path, named: str) -> None:
    if not os.access(place, os.W_OK):
        raise BeliefError(f"cannot write {named}: permission denied; name another place")


def write_table(path: Path, table: "pyarrow.Table") -> None:
    """Write a table as a Parquet file, whole or not at all.

    Raises:
        BeliefError: the file cannot be written.
    """
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(table, content)
    write_file(path, content.getvalue())


def write_file(path: Path, content: bytes) -> None:
    """Write a file for people: whole or not at all, with the permissions new files have here.

    Raises:
        BeliefError: the file cannot be written.
    """
    target = path.resolve()  # a link stays one
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise BeliefError(f"cannot write {one_line(str(path))}: {error.strerror}") from None


def write_tear_sheet(path: Path, table: "pyarrow.Table", reference: str | None) -> None:
    """Write the tear sheet of the results; the same results give the same bytes.

    Raises:
        BeliefError: the file cannot be written.
    """
    os.environ["MPLBACKEND"] = "agg"  # no window is opened, whatever the environment names
    from belief_tools.tear_sheet import html

    write_file(path, html(table, reference).encode())


def write_pictures(folder: Path, table: "pyarrow.Table", reference: str | None) -> None:
    """Draw the results into PNG files; the same results give the same bytes.

    Raises:
        BeliefError: a file cannot be written.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # fonts and settings of this computer
    os.environ["MPLBACKEND"] = "agg"  # no window is opened, whatever the environment names
    import matplotlib.style

    from belief.backtest_plots import figures

    with matplotlib.style.context("default"):
        for name, figure in figures(table, reference).items():
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=DOTS_PER_INCH)
            write_file(folder / f"{name}.png", content.getvalue())


@contextlib.contextmanager
def shown_progress(plan: "Plan") -> "Iterator[Progress]":
    """Show how many origins are done on stderr: a bar on a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("origins"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        n_models = len(plan.models)
        task = bar.add_task(f"{n_models} model{'s' if n_models > 1 else ''}", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines() -> "Progress":
    told, last = 0, time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told, last
        tenths = 10 * done // total
        if tenths > told and done < total and time.monotonic() - last > SECONDS_BETWEEN_LINES:
            told, last = tenths, time.monotonic()
            say(f"{done:,} of {total:,} origins done")

    return tell


def as_json(about: dict[str, Any], rows: Sequence["Row"]) -> dict[str, Any]:
    """The summary of a backtest in plain values.

    Args:
        about: of `belief.backtest.about`.
        rows: of `belief.backtest_summary.summarise`.
    """
    return {
        **about,
        "reference": rows[0].reference if rows else None,
        "summary": [{**row._asdict()} for row in rows],
    }


def print_summary(about: dict[str, Any], rows: Sequence["Row"]) -> None:
    """Print the summary as one table per horizon.

    Args:
        about: of `belief.backtest.about`.
        rows: of `belief.backtest_summary.summarise`.
    """
    from belief_tools.tear_sheet_tables import no_outcome

    often = about["refit_every"]
    every = "at every origin" if often == 1 else f"every {often} origins"
    print(
        f"{about['symbol']}: forecasts from the sessions {about['from']} to {about['to']}, "
        f"{one_line(about['source'])}"
    )
    print(f"models fitted anew {every}; compared with {rows[0].reference}")
    for horizon, group in groupby(rows, key=lambda row: row.horizon):
        _print_horizon(horizon, list(group))
    left = no_outcome(about["horizons"], [row.horizon for row in rows])
    if left is not None:
        print(f"\n{left}")
    print(
        "\nlog score in nats, CRPS of the log return; gain and t > 0, ratio < 1: better than the "
        "reference\nHAC t-values and standard errors; windows: origins whose targets do not "
        f"overlap\nPIT: largest distance to uniform, 0 is calibrated; {about['currency']} of the "
        "origin"
    )
    if any(row.n_windows < FEWEST_WINDOWS for row in rows):
        print(f"? fewer than {FEWEST_WINDOWS} windows: too few to judge by")
    sys.stdout.flush()


def _print_horizon(horizon: int, rows: list["Row"]) -> None:
    print(f"\n{horizon} session{'s' if horizon > 1 else ''} ahead\n{SCORES_HEAD}")
    for row in rows:
        print(
            f"{row.model:<18}{row.n:>9,}{row.n_windows:>8,}{row.log_score:>11.4f}"
            f"{_cell(row.gain, 9, '+.4f')}{_t(row, row.t_value)}{row.crps:>10.5f}"
            f"{_cell(row.crps_ratio, 7, '.3f')}{_t(row, row.crps_t_value)}".rstrip()
        )
    print(DOLLARS_HEAD)
    for row in rows:
        hits = (
            (row.coverage_50, row.coverage_50_se),
            (row.coverage_80, row.coverage_80_se),
            (row.coverage_90, row.coverage_90_se),
            (row.coverage_95, row.coverage_95_se),
        )
        print(
            f"{row.model:<17}{row.absolute_error:>10,.2f}"
            f"{_cell(row.absolute_error_ratio, 6, '.3f')}"
            f"{row.interval_score:>13,.2f}{_cell(row.interval_score_ratio, 6, '.3f')} "
            + "".join(_share(*hit) for hit in hits)
            + f"{row.pit_distance:>7.3f}"
        )


def _cell(value: float | None, width: int, form: str) -> str:
    return f"{'-' if value is None else format(value, form):>{width}}"


def _t(row: "Row", value: float | None) -> str:
    doubt = "?" if value is not None and row.n_windows < FEWEST_WINDOWS else " "
    return _cell(value, 7, "+.1f") + doubt


def _share(share: float, error: float | None) -> str:
    """A coverage in percent with its standard error, 10 characters."""
    if error is None:
        return f"{100 * share:>6.1f}    "
    digits = 1 if error < 0.0995 else 0
    return f"{100 * share:>6.1f}±{100 * error:<3.{digits}f}"
