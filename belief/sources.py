"""Where prices come from: the bundled snapshot, or a CSV file.

Both doors hand out `Prices` as traded. A CSV whose prices are adjusted for the splits it lists is
converted here, once; a CSV without splits stays in its own basis and says so.
"""

import csv
import dataclasses
import datetime
import functools
import gzip
import hashlib
import io
import json
import re
import stat
from collections.abc import Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from belief.bars import Bars
from belief.errors import PricesError, UnknownSymbol, UsageError
from belief.events import NO_EVENTS, bundled_events
from belief.prices import COLUMNS, LARGEST_RATIO, Prices, Split
from belief.tables import Table, in_order, prices_of

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

ALIASES: Final = {"NVDA": "NVDA", "NVIDIA": "NVDA"}  # what people write -> bundled symbol
NAMES: Final = {"NVDA": "Nvidia"}

REQUIRED: Final = ("date", "open", "high", "low", "close")
OPTIONAL: Final = ("volume", "stock splits")
SYNONYMS: Final = {"close/last": "close", "splits": "stock splits"}
SAME_MOVE: Final = 1e-3  # by which daily log returns of one stock differ between sources, at most
BLANK: Final = ("nan", "null")  # what some write where there is no value

_SYMBOL: Final = re.compile(r"[A-Za-z0-9.^=_-]{1,20}", re.ASCII)
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


_Read = Callable[[Path, _Row, str], float]


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


def load_prices(symbol: str, *, csv: Path | str | None = None) -> Prices:
    """Load the prices of a symbol from a CSV file, or from the bundled snapshot.

    Args:
        symbol: a symbol or an alias of a bundled one, in any case.
        csv: a file of daily prices of that symbol; see `read_csv` for its columns.

    Returns:
        Prices as traded, with the scheduled events that are bundled for the symbol.

    Raises:
        UsageError: the symbol is empty, too long or has characters that no symbol has.
        UnknownSymbol: no CSV is given and no snapshot of the symbol is bundled.
        PricesError: the prices are missing, unreadable or damaged.

    Example:
        >>> prices = load_prices("nvda")
        >>> str(prices.as_of), prices.last_close
        ('2025-02-14', 138.85)
    """
    file = None if csv is None else Path(csv)
    check_symbol(symbol, file)
    known = bundled_symbol(symbol)
    if file is not None:
        return with_bundled_events(read_csv(file, symbol=known or symbol))
    if known is None:
        raise UnknownSymbol(
            f"no prices for {symbol!r}: the bundled snapshot has {', '.join(NAMES)}; "
            f"give a CSV with --prices FILE"
        )
    return _bundled(known)


def moves_as_bundled(prices: Prices) -> bool:
    """Say whether prices are those of the bundled symbol whose name they have.

    A file of another company's prices can be called by any symbol; a record of forecasts of the
    bundled prices says nothing about it.

    Args:
        prices: of a symbol.
    """
    if bundled_symbol(prices.symbol) != prices.symbol:
        return False
    bundled = load_prices(prices.symbol)
    _, own, other = np.intersect1d(prices.session, bundled.session, return_indices=True)
    moves = [
        np.diff(np.log(each.quoted_close()[rows]))
        for each, rows in ((prices, own), (bundled, other))
    ]
    return bool(own.size > 1 and np.median(np.abs(moves[0] - moves[1])) < SAME_MOVE)


def check_symbol(symbol: str, csv: Path | None = None) -> None:
    """Refuse what cannot be a symbol.

    Args:
        symbol: as it was written, in any case.
        csv: the file whose name it may be, so that the error can say so.

    Raises:
        UsageError: the symbol is empty, too long or has characters that no symbol has.
    """
    if not isinstance(symbol, str):
        raise UsageError(f"symbol is {_short(symbol)}; give a text such as 'NVDA'")
    if _SYMBOL.fullmatch(symbol.strip()):
        return
    from_name = csv is not None and symbol == csv.stem
    raise UsageError(
        f"{_short(symbol)}{', from the file name,' if from_name else ''} is not a symbol: "
        f"1 to 20 of A-Z 0-9 . - ^ = _ are valid, e.g. NVDA"
        f"{'; pass one with --symbol' if from_name else ''}"
    )


def _short(text: object) -> str:
    """Show a text on one line, control characters escaped, cut at 40 characters."""
    shown = ascii(text)
    return shown if len(shown) <= 40 else shown[:37] + "..."


@functools.cache
def _bundled(symbol: str) -> Prices:
    return with_bundled_events(read_snapshot(files("belief.data"), symbol=symbol))


def with_bundled_events(prices: Prices) -> Prices:
    """Attach the scheduled events that are bundled for the symbol, as known at the last session.

    Args:
        prices: of any symbol; without events.
    """
    # The list may be newer than the prices: what was not public at their end is not attached.
    return dataclasses.replace(prices, events=bundled_events(prices.symbol).until(prices.as_of))


def read_snapshot(folder: Traversable, *, symbol: str) -> Prices:
    """Read a snapshot that `belief.data.import_snapshot` wrote.

    Args:
        folder: where SYMBOL.json and the file it names are.
        symbol: the snapshot's symbol, upper case.

    Returns:
        Prices as traded, without events.

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
    and case; others, such as Adj Close, are ignored. A missing volume is 0. Dates are ISO,
    month first, or day first when only that fits the whole file, each with or without a time. The
    rows ascend or descend throughout. Stock Splits holds at the first session after a split the new
    shares for one old share, 0 or nothing elsewhere, and 1 where a jump is real and no split.

    Prices are either all as traded or all adjusted for the splits listed. Which of the two is read
    off each split by a factor of at least 1.25: the overnight jump there is nearer to none in
    adjusted prices and to the split's in prices as traded, and all such splits must agree. When
    there is none the prices are taken as adjusted, as Yahoo and yfinance write them, because an
    ordinary night's move hides a smaller split. So in a consistent file no later row changes what
    such a split has shown.

    Args:
        path: a regular file, UTF-8 with or without a byte order mark.
        symbol: whose prices these are; written in upper case.

    Returns:
        Prices as traded when the file lists splits, otherwise in the file's own basis.

    Raises:
        PricesError: the file cannot be read, a row breaks a rule, or the splits contradict the
            prices; the text names the file, the line or session, and the value.

    Example:
        >>> read_csv(Path("no-such-file.csv"), symbol="XYZ")
        Traceback (most recent call last):
        belief.errors.PricesError: no-such-file.csv cannot be read: No such file or directory
    """
    header, rows = _read_rows(path)
    table = _read_table(path, header, rows, _read_value)
    upper = symbol.strip().upper()
    return prices_of(
        in_order(table, lambda row: f"{_name(path)} line {rows[row].line}"),
        symbol=upper,
        name=NAMES.get(upper, upper),
        source=f"CSV file {_name(path)}",
        splits_known="stock splits" in header,
        named=_name(path),
    )


def bars_from_csv(path: Path, *, symbol: str) -> Bars:
    """Read the rows of a CSV file as they stand, for an audit to judge.

    The text is read as `read_csv` reads it, but a price may be missing (empty, nan or null) or
    make no sense, and the rows, in the file's order and basis, may repeat and go back.

    Raises:
        PricesError: the file cannot be read, or a cell is no date, number or split ratio; the text
            names the file, the line and the value.
    """
    header, rows = _read_rows(path)
    table = _read_table(path, header, rows, _read_value_or_none)
    upper = symbol.strip().upper()
    return Bars(
        symbol=upper,
        name=NAMES.get(upper, upper),
        currency="USD",
        session=table.session,
        **table.columns,
        splits=table.splits,
        source=f"CSV file {_name(path)}",
        splits_known="stock splits" in header,
        retrieved_at=None,
        events=NO_EVENTS,
    )


def _read_rows(path: Path) -> tuple[list[str], list[_Row]]:
    """Split the file into its header, in this module's column names, and its rows."""
    try:
        text = _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PricesError(f"{_name(path)} is not a CSV file: it is not UTF-8 text") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise PricesError(f"{_name(path)} line {reader.line_num} is not CSV: {error}") from None
    if not lines:
        raise PricesError(f"{_name(path)} is empty; it needs columns {in_titles(REQUIRED)}")
    header = _read_header(path, lines[0][1])
    return header, [_read_row(path, line, header, cells) for line, cells in lines[1:]]


def _read_bytes(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # reading a folder fails with a clear reason
            return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PricesError(f"{_printable(str(path))} cannot be read: {reason}") from None
    raise PricesError(
        f"{_printable(str(path))} is a pipe or a device, not a regular file; "
        f"save the prices in a file first"
    )


def _name(path: Path) -> str:
    return _printable(path.name)


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _read_header(path: Path, cells: list[str]) -> list[str]:
    header = [column_name(cell) for cell in cells]
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise PricesError(
            f"{_name(path)} has no column {in_titles(missing)}; it needs {in_titles(REQUIRED)}"
            f"{_delimiter_hint(header, cells)}"
        )
    for name in (*REQUIRED, *OPTIONAL):
        if header.count(name) > 1:
            raise PricesError(f"{_name(path)} has {header.count(name)} columns {in_titles([name])}")
    return header


def column_name(cell: str) -> str:
    """Write the name of a column as this package has it: lower case, and one of its synonyms.

    Args:
        cell: as the source has it.

    Example:
        >>> column_name("Stock_Splits"), column_name("Close/Last")
        ('stock splits', 'close')
    """
    plain = " ".join(cell.replace("_", " ").lower().split())
    return SYNONYMS.get(plain, plain)


def _delimiter_hint(header: list[str], cells: list[str]) -> str:
    if set(header) & {*REQUIRED, *OPTIONAL}:
        return ""
    for mark, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(mark in cell for cell in cells):
            return f", separated by commas: the header has {name}; use commas"
    return ""


def in_titles(columns: Sequence[str]) -> str:
    """List columns as a header writes them, for an error."""
    return ", ".join(column.title() for column in columns)


def _read_row(path: Path, line: int, header: list[str], cells: list[str]) -> _Row:
    if len(cells) != len(header):
        raise PricesError(
            f"{_name(path)} line {line} has {len(cells)} cells instead of {len(header)}: "
            f"{','.join(cells)[:60]!r}"
        )
    return _Row(line, dict(zip(header, map(str.strip, cells), strict=True)))


def _read_table(path: Path, header: list[str], rows: list[_Row], read: _Read) -> Table:
    """Read the rows in the order of the file; the splits are sorted."""
    if not rows:
        raise PricesError(f"{_name(path)} has a header but no rows")
    session = _read_days(path, rows)
    columns = {name: np.zeros(len(rows)) for name in COLUMNS}
    for name in columns.keys() & set(header):
        columns[name] = np.array([read(path, row, name) for row in rows])
    ratio = np.zeros(len(rows))
    if "stock splits" in header:
        ratio = np.array([_read_ratio(path, row) for row in rows])
    listed = {Split(session[row], float(ratio[row])) for row in np.flatnonzero(ratio)}
    return Table(session, columns, tuple(sorted(listed)))


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


def _read_number(path: Path, row: _Row, column: str) -> float:
    text = row.cells[column]
    if not _NUMBER.fullmatch(text):
        _refuse(path, row, column, "a number")
    return float(text.replace(",", "").replace("$", ""))


def _read_value(path: Path, row: _Row, column: str) -> float:
    """Read a price or a volume; an empty volume is 0, as it is without the column."""
    if column == "volume" and not row.cells[column]:
        return 0.0
    return _read_number(path, row, column)


def _read_value_or_none(path: Path, row: _Row, column: str) -> float:
    """Read a price or a volume; not a number where there is none, but an empty volume is 0."""
    blank = BLANK if column == "volume" else ("", *BLANK)
    return np.nan if row.cells[column].lower() in blank else _read_value(path, row, column)


def _read_ratio(path: Path, row: _Row) -> float:
    """Read a split ratio; 0 stands for none."""
    if row.cells["stock splits"].lower() in ("", "nan"):
        return 0.0
    ratio = _read_number(path, row, "stock splits")
    if ratio and not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO:
        _refuse(path, row, "stock splits", f"from 1/{LARGEST_RATIO:g} to {LARGEST_RATIO:g}")
    return ratio


def _refuse(path: Path, row: _Row, column: str, wanted: str) -> NoReturn:
    value = row.cells[column]
    shown = repr(value[:40]) if value else "empty"
    raise PricesError(
        f"{_name(path)} line {row.line}: {in_titles([column])} is {shown}, not {wanted}"
    )
