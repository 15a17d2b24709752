"""Where prices come from: the bundled snapshot, or a CSV file.

Both doors hand out `Prices` as traded. A CSV whose prices are adjusted for the splits it lists is
converted here, once; a CSV without splits stays in its own basis and says so.
"""

import csv
import datetime
import functools
import gzip
import hashlib
import io
import json
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from belief.errors import PricesError, UnknownSymbol
from belief.prices import COLUMNS, Prices, Split

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

ALIASES: Final = {"NVDA": "NVDA", "NVIDIA": "NVDA"}  # what people write -> bundled symbol
NAMES: Final = {"NVDA": "Nvidia"}

REQUIRED: Final = ("date", "open", "high", "low", "close")
OPTIONAL: Final = ("volume", "stock splits")
SYNONYMS: Final = {"close/last": "close", "splits": "stock splits"}

_NUMBER: Final = re.compile(
    r"[-+]?\$?((\d+|\d{1,3}(,\d{3})+)(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII
)
_ISO: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})([T ][\d:.]+)?\s*(Z|[-+]\d\d:?\d\d)?", re.ASCII
)
_SLASHED: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})( [\d:.]+( ?[AaPp][Mm])?)?", re.ASCII)


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]


class _Table(NamedTuple):
    """Rows oldest first, as the file has them: not yet as traded."""

    session: Days
    columns: dict[str, Array]
    splits: tuple[Split, ...]


def bundled_symbol(text: str) -> str | None:
    """Find the bundled symbol that a text names.

    Args:
        text: a symbol or a name, in any case.

    Returns:
        The symbol, or None when no bundled snapshot goes by that name.

    Example:
        >>> bundled_symbol("nvidia")
        'NVDA'
    """
    return ALIASES.get(text.strip().upper())


def load_prices(symbol: str, *, csv: Path | None = None) -> Prices:
    """Load the prices of a symbol from a CSV file, or from the bundled snapshot.

    Args:
        symbol: a symbol or an alias of a bundled one, in any case.
        csv: a file of daily prices of that symbol; see `read_csv` for its columns.

    Returns:
        Prices as traded.

    Raises:
        UnknownSymbol: no CSV is given and no snapshot of the symbol is bundled.
        PricesError: the prices are missing, unreadable or damaged.

    Example:
        >>> prices = load_prices("nvda")
        >>> str(prices.as_of), prices.last_close
        ('2025-02-14', 138.85)
    """
    known = bundled_symbol(symbol)
    if csv is not None:
        return read_csv(csv, symbol=known or symbol)
    if known is None:
        raise UnknownSymbol(
            f"no prices for {symbol!r}: the bundled snapshot has {', '.join(NAMES)}; "
            f"give a CSV with --prices FILE"
        )
    return _bundled(known)


@functools.cache
def _bundled(symbol: str) -> Prices:
    return read_snapshot(files("belief.data"), symbol=symbol)


def read_snapshot(folder: Traversable, *, symbol: str) -> Prices:
    """Read a snapshot that `belief.data.import_snapshot` wrote.

    Args:
        folder: where SYMBOL.json and the file it names are.
        symbol: the snapshot's symbol, upper case.

    Returns:
        Prices as traded.

    Raises:
        PricesError: a file is missing or not the one its provenance describes.
    """
    try:
        provenance = json.loads((folder / f"{symbol}.json").read_bytes())
        packed = (folder / str(provenance["file"])).read_bytes()
        if hashlib.sha256(packed).hexdigest() != provenance["file_sha256"]:
            raise PricesError(f"bundled {provenance['file']} is damaged: its SHA-256 differs")
        return _unpack(gzip.decompress(packed).decode("ascii"), provenance)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PricesError(f"the bundled snapshot of {symbol} is damaged: {error!r}") from error


def _unpack(text: str, provenance: dict[str, Any]) -> Prices:
    cells = np.array([line.split(",") for line in text.splitlines()[1:]])
    numbers = cells[:, 1:].astype(np.float64)
    return Prices(
        symbol=provenance["symbol"],
        name=provenance["name"],
        currency=provenance["currency"],
        session=cells[:, 0].astype("datetime64[D]"),
        **dict(zip(COLUMNS, numbers.T, strict=True)),
        splits=tuple(
            Split(np.datetime64(split["session"], "D"), float(split["ratio"]))
            for split in provenance["splits"]
        ),
        source="bundled snapshot",
        splits_known=True,
        retrieved_at=provenance["retrieved_at"],
    )


def read_csv(path: Path, *, symbol: str) -> Prices:
    """Read daily prices in US dollars from a CSV file.

    Columns Date, Open, High, Low, Close and, optionally, Volume and Stock Splits stand in any order
    and case; others, such as Adj Close, are ignored. Without Volume the volume is 0. Dates are ISO,
    month first, or day first when only that fits the whole file, each with or without a time. The
    rows ascend or descend throughout. Stock Splits holds at the first session after a split the new
    shares for one old share, 0 or nothing elsewhere, and 1 where a jump is real and no split;
    whether prices are adjusted for these splits is read off the jumps at them.

    Args:
        path: the file, UTF-8 with or without a byte order mark.
        symbol: whose prices these are; written in upper case.

    Returns:
        Prices as traded when the file lists splits, otherwise in the file's own basis.

    Raises:
        PricesError: the file cannot be read, or a row breaks a rule; the text names file, line,
            column and value.

    Example:
        >>> read_csv(Path("no-such-file.csv"), symbol="XYZ")
        Traceback (most recent call last):
        belief.errors.PricesError: no-such-file.csv cannot be read: No such file or directory
    """
    header, rows = _read_rows(path)
    table = _read_table(path, header, rows)
    upper = symbol.strip().upper()
    try:
        return Prices(
            symbol=upper,
            name=NAMES.get(upper, upper),
            currency="USD",
            session=table.session,
            **_as_traded(table),
            splits=table.splits,
            source=f"CSV file {path.name}",
            splits_known="stock splits" in header,
            retrieved_at=None,
        )
    except PricesError as error:
        raise PricesError(f"{path.name}: {error}") from None


def _read_rows(path: Path) -> tuple[list[str], list[_Row]]:
    """Split the file into its header, in this module's column names, and its rows."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise PricesError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise PricesError(f"{path.name} is not a CSV file: it is not UTF-8 text") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise PricesError(f"{path.name} line {reader.line_num} is not CSV: {error}") from None
    if not lines:
        raise PricesError(f"{path.name} is empty; it needs columns {_names(REQUIRED)}")
    header = _read_header(path, lines[0][1])
    return header, [_read_row(path, line, header, cells) for line, cells in lines[1:]]


def _read_header(path: Path, cells: list[str]) -> list[str]:
    plain = [" ".join(cell.replace("_", " ").lower().split()) for cell in cells]
    header = [SYNONYMS.get(name, name) for name in plain]
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise PricesError(
            f"{path.name} has no column {_names(missing)}; it needs {_names(REQUIRED)}"
        )
    for name in (*REQUIRED, *OPTIONAL):
        if header.count(name) > 1:
            raise PricesError(f"{path.name} has {header.count(name)} columns {_names([name])}")
    return header


def _names(columns: list[str] | tuple[str, ...]) -> str:
    return ", ".join(column.title() for column in columns)


def _read_row(path: Path, line: int, header: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(header):
        raise PricesError(
            f"{path.name} line {line} has {len(cells)} cells instead of {len(header)}: "
            f"{','.join(cells)[:60]!r}"
        )
    return _Row(line, dict(zip(header, map(str.strip, cells), strict=True)))


def _read_table(path: Path, header: list[str], rows: list[_Row]) -> _Table:
    if not rows:
        raise PricesError(f"{path.name} has a header but no rows")
    session = _read_days(path, rows)
    columns = {name: np.zeros(len(rows)) for name in COLUMNS}
    for name in columns.keys() & set(header):
        columns[name] = np.array([_read_number(path, row, name) for row in rows])
    ratio = np.zeros(len(rows))
    if "stock splits" in header:
        ratio = np.array([_read_ratio(path, row) for row in rows])
    order = _order(path, rows, session)
    splits = tuple(
        Split(session[row], float(ratio[row])) for row in range(len(rows))[order] if ratio[row]
    )
    return _Table(session[order], {name: columns[name][order] for name in COLUMNS}, splits)


def _read_days(path: Path, rows: list[_Row]) -> Days:
    """Read the dates in the first form that fits them all."""
    failed: list[_Row] = []
    for form in (_iso_day, _month_first_day, _day_first_day):
        days: list[datetime.date] = []
        for row in rows:
            day = form(row.cells["date"])
            if day is None:
                failed.append(row)
                break
            days.append(day)
        else:
            return np.array(days, dtype="datetime64[D]")
    _refuse(path, max(failed, key=lambda row: row.line), "date", "a date such as 2024-03-28")


def _iso_day(text: str) -> datetime.date | None:
    match = _ISO.fullmatch(text)
    return _date(match[1], match[2], match[3]) if match else None


def _month_first_day(text: str) -> datetime.date | None:
    match = _SLASHED.fullmatch(text)
    return _date(match[3], match[1], match[2]) if match else None


def _day_first_day(text: str) -> datetime.date | None:
    match = _SLASHED.fullmatch(text)
    return _date(match[3], match[2], match[1]) if match else None


def _date(year: str, month: str, day: str) -> datetime.date | None:
    try:
        return datetime.date(int(year), int(month), int(day))
    except ValueError:
        return None


def _order(path: Path, rows: list[_Row], session: Days) -> slice:
    """Tell ascending from descending rows, and refuse any others."""
    descending = session.size > 1 and session[0] > session[-1]
    steps = np.diff(session).astype(np.int64) * (-1 if descending else 1)
    wrong = np.flatnonzero(steps <= 0)
    if wrong.size:
        row = int(wrong[0]) + 1
        direction = "descend" if descending else "ascend"
        raise PricesError(
            f"{path.name} line {rows[row].line}: date {session[row]} follows {session[row - 1]}; "
            f"dates must {direction} without repeats"
        )
    return slice(None, None, -1 if descending else 1)


def _read_number(path: Path, row: _Row, column: str) -> float:
    text = row.cells[column]
    if not _NUMBER.fullmatch(text):
        _refuse(path, row, column, "a number")
    return float(text.replace(",", "").replace("$", ""))


def _read_ratio(path: Path, row: _Row) -> float:
    """Read a split ratio; 0 stands for none."""
    if row.cells["stock splits"].lower() in ("", "nan"):
        return 0.0
    return _read_number(path, row, "stock splits")


def _refuse(path: Path, row: _Row, column: str, wanted: str) -> NoReturn:
    value = row.cells[column]
    shown = repr(value[:40]) if value else "empty"
    raise PricesError(f"{path.name} line {row.line}: {_names([column])} is {shown}, not {wanted}")


def _as_traded(table: _Table) -> dict[str, Array]:
    """Undo the adjustment for the table's own splits, if its prices have one."""
    if not _looks_adjusted(table):
        return table.columns
    factor = np.ones(table.session.size)
    for split in table.splits:
        factor[table.session < split.session] *= split.ratio
    # 6 decimals undo the noise of having been divided and multiplied; shares are whole.
    traded = {name: np.round(table.columns[name] * factor, 6) for name in COLUMNS[:-1]}
    return traded | {"volume": np.rint(table.columns["volume"] / factor)}


def _looks_adjusted(table: _Table) -> bool:
    """Compare the overnight jumps at the splits with none (adjusted) and with the ratios."""
    adjusted = traded = 0.0
    for split in table.splits:
        row = int(np.searchsorted(table.session, split.session))
        opened, before = table.columns["open"][row], table.columns["close"][max(row - 1, 0)]
        if row == 0 or not (opened > 0 and before > 0 and split.ratio > 0):
            continue  # no jump to see; the checks of `Prices` refuse what is not positive
        jump = float(np.log(opened / before))
        adjusted += abs(jump)
        traded += abs(jump + float(np.log(split.ratio)))
    return adjusted < traded
