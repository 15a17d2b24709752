"""Tables of the store and the numbered migrations that make them, from an empty or an older store.

Nothing here is of one kind of database: what SQLite carries, PostgreSQL carries. A migration that
has been released never changes; what it left out is a new one.
"""

from collections.abc import Callable
from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    inspect,
    select,
)

from belief.errors import StoreError

METADATA: Final = MetaData()

migrations: Final = Table(
    "migrations",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(80), nullable=False),
)

# ---- what is known of a symbol ----

symbols: Final = Table(
    "symbols",
    METADATA,
    Column("symbol", String(20), primary_key=True),
    Column("name", Text, nullable=False),
    Column("currency", String(8), nullable=False),
    Column("source", Text, nullable=False),
    Column("splits_known", Boolean, nullable=False),
    Column("retrieved_at", String(40)),
)
prices: Final = Table(
    "prices",
    METADATA,
    Column("symbol", ForeignKey("symbols.symbol"), primary_key=True),
    Column("session", Date, primary_key=True),
    *(Column(name, Double, nullable=False) for name in ("open", "high", "low", "close", "volume")),
)
splits: Final = Table(
    "splits",
    METADATA,
    Column("symbol", ForeignKey("symbols.symbol"), primary_key=True),
    Column("session", Date, primary_key=True),
    Column("ratio", Double, nullable=False),
)
events: Final = Table(
    "events",
    METADATA,
    Column("symbol", ForeignKey("symbols.symbol"), primary_key=True),
    Column("session", Date, primary_key=True),
)

# ---- models ----

models: Final = Table(
    "models",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("symbol", ForeignKey("symbols.symbol"), nullable=False),
    Column("body", Text, nullable=False),
)
publications: Final = Table(
    "publications",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("symbol", ForeignKey("symbols.symbol"), nullable=False, index=True),
    Column("session", Date, nullable=False),
    Column("model", ForeignKey("models.digest"), nullable=False),
    Column("prices_fingerprint", String(64), nullable=False),
    Column("code_fingerprint", String(64), nullable=False),
    Column("published_at", String(40), nullable=False),
)

# ---- the ledger ----

chains: Final = Table(
    "chains",
    METADATA,
    Column("symbol", String(20), primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", String(64), nullable=False),
)
ledger: Final = Table(
    "ledger",
    METADATA,
    Column("symbol", ForeignKey("chains.symbol"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(20), nullable=False),
    Column("name", String(40), nullable=False, index=True),
    Column("made_at", String(40), nullable=False),
    Column("live", Boolean, nullable=False),
    Column("model", Text),
    Column("origin", Date),
    Column("target", Date),
    Column("horizon", Integer),
    Column("body", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("symbol", "kind", "name"),
)
scores: Final = Table(
    "scores",
    METADATA,
    Column("symbol", String(20), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("scored_at", String(40), nullable=False),
    Column("close", Double, nullable=False),
    Column("log_return", Double, nullable=False),
    *(Column(name, Double) for name in ("log_score", "crps", "pit")),
    *(Column(name, Double) for name in ("absolute_error", "interval_score", "brier")),
    *(Column(name, Boolean) for name in ("covered_50", "covered_80", "covered_90", "covered_95")),
    ForeignKeyConstraint(["symbol", "number"], ["ledger.symbol", "ledger.number"]),
)

# ---- what the audit found ----

findings: Final = Table(
    "findings",
    METADATA,
    Column("number", Integer, primary_key=True),
    Column("symbol", String(20), nullable=False, index=True),
    Column("found_at", String(40), nullable=False),
    Column("session", Date),
    Column("rule", String(40), nullable=False),
    Column("value", Text, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("action", Text, nullable=False),
)


def prices_and_models(connection: Connection) -> None:
    """Prices as traded with their splits and events; models and which of them serve."""
    made = [symbols, prices, splits, events, models, publications]
    METADATA.create_all(connection, tables=made)


def ledger_and_scores(connection: Connection) -> None:
    """Forecasts and answers in chains, and how they came out."""
    METADATA.create_all(connection, tables=[chains, ledger, scores])


def audit_findings(connection: Connection) -> None:
    """What was found wrong with prices, and what was done about it."""
    METADATA.create_all(connection, tables=[findings])


MIGRATIONS: Final[tuple[Callable[[Connection], None], ...]] = (
    prices_and_models,
    ledger_and_scores,
    audit_findings,
)


def migrate(connection: Connection) -> None:
    """Bring a store up to date, within the transaction of the connection.

    Args:
        connection: to an empty database, or to a store of any earlier version.

    Raises:
        StoreError: the store is of a later version than this program, or the database is another
            program's.
    """
    tables = inspect(connection).get_table_names()
    if tables and migrations.name not in tables:
        raise StoreError(
            f"the database is no store: it has a table {sorted(tables)[0]!r} of another program; "
            f"name an empty one or a new file in BELIEF_STORE"
        )
    METADATA.create_all(connection, tables=[migrations])
    done = connection.scalar(select(func.max(migrations.c.number))) or 0
    if done > len(MIGRATIONS):
        raise StoreError(
            f"the store is of version {done}, and this program knows versions up to "
            f"{len(MIGRATIONS)}; use the program that wrote it, or a newer one"
        )
    for number, step in enumerate(MIGRATIONS, start=1):
        if number > done:
            step(connection)
            connection.execute(migrations.insert().values(number=number, name=step.__name__))


def is_current(connection: Connection) -> bool:
    """Say whether a store needs no migration."""
    if not inspect(connection).has_table(migrations.name):
        return False
    return bool(connection.scalar(select(func.max(migrations.c.number))) == len(MIGRATIONS))
