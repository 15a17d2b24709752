"""Tables: the rows of a file or a frame on their way to `Prices`: their order and their basis."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from belief.errors import PricesError
from belief.events import NO_EVENTS
from belief.prices import COLUMNS, Prices, Split

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

DISTINGUISHABLE: Final = 1.25  # a split by so much, up or down, stands out from a night's move


class Table(NamedTuple):
    """T daily rows, the (T,) values of each of `COLUMNS`, and the splits, sorted by session."""

    session: Days
    columns: dict[str, Array]
    splits: tuple[Split, ...]


def in_order(table: Table, name_of: Callable[[int], str]) -> Table:
    """Put rows that ascend or descend into ascending order, and refuse any others.

    Args:
        table: rows as they came.
        name_of: what to call a row in an error, from its place.

    Raises:
        PricesError: a day repeats, or the rows change direction.
    """
    session = table.session
    descending = session.size > 1 and session[0] > session[-1]
    steps = np.diff(session).astype(np.int64) * (-1 if descending else 1)
    wrong = np.flatnonzero(steps <= 0)
    if wrong.size:
        row = int(wrong[0]) + 1
        direction = "descend" if descending else "ascend"
        raise PricesError(
            f"{name_of(row)}: date {session[row]} follows {session[row - 1]}; "
            f"dates must {direction} without repeats"
        )
    order = slice(None, None, -1 if descending else 1)
    columns = {name: values[order] for name, values in table.columns.items()}
    return Table(session[order], columns, table.splits)


def prices_of(
    table: Table, *, symbol: str, name: str, source: str, splits_known: bool, named: str
) -> Prices:
    """Make checked prices in US dollars, as traded, of rows that ascend.

    Args:
        table: all as traded or all adjusted for its splits; see `belief.sources.read_csv`.
        symbol: whose prices, upper case.
        name: the name people use.
        source: where the prices come from, in words.
        splits_known: whether the source tells splits.
        named: what to call the rows in an error.

    Raises:
        PricesError: a row breaks a rule, or the splits contradict the prices.
    """
    traded = as_traded(table, named=named)
    try:
        return Prices(
            symbol=symbol,
            name=name,
            currency="USD",
            session=table.session,
            **traded,
            splits=table.splits,
            source=source,
            splits_known=splits_known,
            retrieved_at=None,
            events=NO_EVENTS,
        )
    except PricesError as error:
        raise PricesError(f"{named}: {error}") from None


def as_traded(table: Table, *, named: str) -> dict[str, Array]:
    """Undo the adjustment for the table's own splits, if its prices have one.

    `belief.sources.read_csv` says how one is told from the other.

    Args:
        table: rows that ascend, all as traded or all adjusted for its splits.
        named: what to call the rows in an error.

    Raises:
        PricesError: some splits show prices as traded, others prices adjusted for them.
    """
    factor = np.ones(table.session.size)
    for split in table.splits:
        factor[table.session < split.session] *= split.ratio
    if np.all(factor == 1.0) or not _adjusted(table, named):
        return table.columns
    # 6 decimals undo the noise of having been divided and multiplied; shares are whole.
    traded = {name: np.round(table.columns[name] * factor, 6) for name in COLUMNS[:-1]}
    return traded | {"volume": np.rint(table.columns["volume"] / factor)}


def _adjusted(table: Table, named: str) -> bool:
    """Tell prices adjusted for the listed splits from prices as traded; see `read_csv`."""
    votes = [(split, vote) for split in table.splits if (vote := _vote(table, split)) is not None]
    for split, vote in votes[1:]:
        first, adjusted = votes[0]
        if vote != adjusted:
            raise PricesError(
                f"the splits listed in {named} contradict its prices: "
                f"at {first.session} {_basis(first, adjusted)}, "
                f"at {split.session} {_basis(split, vote)}; "
                f"list every split, and give prices either all as traded or all adjusted"
            )
    return votes[0][1] if votes else True


def _basis(split: Split, adjusted: bool) -> str:
    return f"{'adjusted for' if adjusted else 'as traded through'} the ratio {split.ratio:g}"


def _vote(table: Table, split: Split) -> bool | None:
    """Say whether prices look adjusted for a split; None when it shows nothing."""
    row = int(np.searchsorted(table.session, split.session))
    if max(split.ratio, 1 / split.ratio) < DISTINGUISHABLE or row in (0, table.session.size):
        return None
    opened, before = table.columns["open"][row], table.columns["close"][row - 1]
    if not (0 < opened < np.inf and 0 < before < np.inf):
        return None  # the checks of `Prices` refuse such a value
    jump = float(np.log(opened / before))
    return abs(jump) < abs(jump + float(np.log(split.ratio)))
