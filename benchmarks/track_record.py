"""Write the walk-forward scores that every answer's track record is made of.

Reads the tables that results.py keeps in build/results/, and runs the steps that make them where
they are missing; the scores of `belief` and of what it is compared with go to belief/data/.

    python benchmarks/track_record.py             both tables: 1 to 63 sessions, 126 and 252
    python benchmarks/track_record.py nvda        only the first
"""

import sys

import numpy as np
import results

from belief.sources import load_prices
from belief.track_record import (
    COLUMNS,
    MODEL,
    REFERENCES,
    Scored,
    scores_from_parquet,
    track_record,
    write_scored,
)

TABLES = ("nvda", "long")
BUNDLED = results.ROOT / "belief" / "data" / "NVDA.track.npz"


def kept(table):
    """Scores of one of the kept tables, which is made where it is missing."""
    path = results.KEPT / f"{table}.parquet"
    if not path.exists():
        results.KEPT.mkdir(parents=True, exist_ok=True)
        results.STEPS[table]()
    return scores_from_parquet(path)


def joined(parts):
    """Rows of all parts, by model, horizon and origin, which packs best."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS}
    order = np.lexsort((columns["origin"], columns["horizon"], columns["model"]))
    return Scored(**{name: column[order] for name, column in columns.items()})


def lines(scored, as_of):
    """What the record says at each horizon, one line each."""
    for horizon in sorted(set(scored.horizon.tolist())):
        record = track_record(scored, horizon, as_of)
        yield (
            f"{record.horizon:>3} ahead, {record.first} to {record.last}: "
            f"{record.origins:,} origins, {record.windows:,} windows, "
            f"90 % held {record.coverage_90:.1%}; {record.verdict}"
        )


def main(argv=None):
    wanted = (sys.argv[1:] if argv is None else argv) or TABLES
    unknown = set(wanted) - set(TABLES)
    if unknown:
        sys.exit(f"there is no table {unknown.pop()!r}; choose from {', '.join(TABLES)}")
    scored = joined([kept(table) for table in wanted])
    write_scored(scored, BUNDLED)
    print(f"{', '.join((MODEL, *REFERENCES))}: {len(scored):,} rows in {BUNDLED.name}")
    print("\n".join(lines(scored, load_prices("NVDA").as_of)))


if __name__ == "__main__":
    main()
