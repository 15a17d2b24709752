"""The import of the bundled snapshot from the source's rows, and what it refuses."""

import gzip
import json
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from csv_files import HEADER, ROWS, day, write

from belief.data import import_snapshot
from belief.errors import PricesError
from belief.prices import COLUMNS, Split
from belief.sources import load_prices, read_snapshot


@pytest.fixture(scope="module")
def source_rows():
    """The source's rows again: adjusted for all splits and rounded as the source rounds."""
    prices = load_prices("NVDA")
    factor = prices.split_factor()
    four = [np.round(getattr(prices, column) / factor, 6) for column in COLUMNS[:-1]]
    return import_snapshot.SourceRows(prices.session, np.column_stack(four), prices.volume * factor)


def test_the_import_writes_the_bundled_rows_from_the_adjusted_ones(source_rows, tmp_path):
    provenance = import_snapshot.write_snapshot(source_rows, tmp_path)
    bundled = json.loads((files("belief.data") / "NVDA.json").read_bytes())
    assert provenance["content_sha256"] == bundled["content_sha256"]
    assert provenance["splits"] == bundled["splits"]
    written = (tmp_path / "NVDA.csv.gz").read_bytes()
    assert written[4:8] == bytes(4)  # no time of writing, so that the bytes can be reproduced
    assert gzip.decompress(written) == gzip.decompress(
        (files("belief.data") / "NVDA.csv.gz").read_bytes()
    )
    again = read_snapshot(tmp_path, symbol="NVDA")
    events = load_prices("NVDA").events
    assert replace(again, events=events).fingerprint() == load_prices("NVDA").fingerprint()


def test_the_source_file_is_read_by_column_name():
    rows = import_snapshot.read_source(
        "Date,Adj Close,Close,High,Low,Open,Volume\n2024-03-08,1,2,4,0.5,3,100\n"
    )
    assert rows.session.tolist() == [day("2024-03-08").item()]
    assert rows.prices.tolist() == [[3.0, 4.0, 0.5, 2.0]]
    assert rows.volume.tolist() == [100.0]


@pytest.mark.parametrize("moved_by", [-3, -2, 2, 3])
@pytest.mark.parametrize("which", range(6))
def test_a_split_moved_by_two_sessions_does_not_verify(source_rows, which, moved_by):
    split = import_snapshot.SPLITS[which]
    at = int(np.searchsorted(source_rows.session, split.session))
    moved = Split(source_rows.session[at + moved_by], split.ratio)
    splits = tuple(moved if s is split else s for s in import_snapshot.SPLITS)
    with pytest.raises(PricesError, match=str(moved.session)):
        import_snapshot.verify_split(source_rows, moved, splits)


@pytest.mark.parametrize("ratio", [1.5, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("which", range(6))
def test_only_the_true_ratio_of_a_split_verifies(source_rows, which, ratio):
    split = import_snapshot.SPLITS[which]
    claimed = Split(split.session, ratio)
    splits = tuple(claimed if s is split else s for s in import_snapshot.SPLITS)
    if ratio == split.ratio:
        assert import_snapshot.verify_split(source_rows, claimed, splits)
        return
    with pytest.raises(PricesError, match="does not verify"):
        import_snapshot.verify_split(source_rows, claimed, splits)


def test_the_import_refuses_a_missing_session(source_rows):
    with pytest.raises(PricesError, match="6557 sessions instead of the exchange's 6558"):
        import_snapshot.check_sessions(np.delete(source_rows.session, 100))


def test_the_import_refuses_any_other_file(tmp_path, capsys):
    path = write(tmp_path, [HEADER, *ROWS])
    assert import_snapshot.main([str(path)]) == 1
    assert "not the pinned 2d6b30e2" in capsys.readouterr().err
