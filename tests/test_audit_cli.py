import json
from dataclasses import replace

import numpy as np
import pytest

from belief.audit import audit
from belief.bars import Bars
from belief.prices import COLUMNS
from belief.sources import load_prices
from belief_tools.audit_table import plain, run

FULL = load_prices("NVDA")
KNOWN = FULL.until(np.datetime64("2025-02-11", "D"))
ROWS = 10


def fetched(**changes):
    columns = {name: getattr(FULL, name)[-ROWS:].copy() for name in COLUMNS}
    fields = {
        "symbol": "NVDA",
        "name": "Nvidia",
        "currency": "USD",
        "session": FULL.session[-ROWS:].copy(),
        **columns,
        "splits": (),
        "source": "Yahoo Finance",
        "splits_known": True,
        "retrieved_at": "2025-02-15",
    }
    return Bars(**fields | changes)


def with_closes(**closes):
    close = FULL.close[-ROWS:].copy()
    for row, value in closes.items():
        close[int(row.removeprefix("row"))] = value
    return fetched(close=close)


def test_clean_rows_are_told_in_two_lines_and_pass(capsys):
    assert run(fetched(), KNOWN) == 0
    assert capsys.readouterr().out == (
        "audit of NVDA, Yahoo Finance, 10 rows\n"
        "nothing found: 6,558 sessions from 1999-01-22 to 2025-02-14, 3 of them new\n"
    )


def test_repaired_rows_are_told_and_pass(capsys):
    assert run(with_closes(row9=float(FULL.high[-1]) * 1.001), KNOWN) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[1].startswith("2025-02-14  repaired  outside range: close 139.38925 > high 139.25")
    assert out[-1].startswith("1 repaired: 6,558 sessions")


def test_refused_rows_are_told_first_and_do_not_pass(capsys):
    bars = with_closes(row8=0.0, row9=float(FULL.high[-1]) * 1.001)
    assert run(bars, KNOWN) == 4
    out = capsys.readouterr().out.splitlines()
    assert out[1] == "2025-02-13  refused   non-positive: close 0; a price above 0 is needed"
    assert out[2].startswith("2025-02-14  repaired  outside range")
    assert out[-1] == "refused for 1 reason: nothing is taken"


def test_no_line_is_wider_than_100_columns_and_each_rule_shows_ten_findings(capsys):
    keep = np.r_[0:500:2, 500 : FULL.session.size]
    rows = {name: getattr(FULL, name)[keep] for name in ("session", *COLUMNS)}
    assert run(fetched(**rows), None) == 4
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert out.count("noted     gap: no row; left open") == 10
    assert "noted     gap: 240 more (--json lists all)" in out


@pytest.mark.parametrize("field", ["symbol", "source", "currency"])
def test_what_a_terminal_would_obey_is_not_printed(field, capsys):
    run(fetched(**{field: "X\x1b[2J\nY"}), KNOWN)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) <= 3


def test_as_json_has_plain_values():
    refused = plain(audit(with_closes(row8=0.0), KNOWN))
    assert json.loads(json.dumps(refused)) == {
        "refused": True,
        "sessions_added": 0,
        "as_of": None,
        "fingerprint": None,
        "findings": [
            {
                "session": "2025-02-13",
                "rule": "non-positive",
                "value": "close 0",
                "outcome": "refused",
                "action": "a price above 0 is needed",
            }
        ],
    }
    taken = plain(audit(fetched(), KNOWN))
    assert (taken["refused"], taken["sessions_added"], taken["as_of"]) == (False, 3, "2025-02-14")
    assert taken["fingerprint"] == replace(FULL, events=KNOWN.events).fingerprint()
    assert taken["findings"] == []
    assert plain(audit(fetched(currency="EUR"), KNOWN))["findings"][0]["session"] is None
