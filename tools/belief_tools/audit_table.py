"""An audit as lines of plain text, at most 100 columns wide where words allow it."""

import json
import sys
import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any

from belief_tools.terminal import one_line

if TYPE_CHECKING:
    from belief.audit import Audit, Finding
    from belief.bars import Bars
    from belief.prices import Prices

REFUSED = 4  # exit code, that of a PricesError
MOST_SHOWN = 10  # findings of one rule with one outcome
WIDTH = 100


def run(bars: "Bars", known: "Prices | None", *, as_json: bool = False) -> int:
    """Audit rows and print what was found.

    Args:
        bars: the rows of one symbol.
        known: the prices that are kept; None for a first load.
        as_json: print JSON in place of lines.

    Returns:
        The exit code: 0 when the rows can be taken, 4 when they are refused.
    """
    from belief.audit import audit

    audited = audit(bars, known)
    if as_json:
        print(json.dumps(plain(audited), indent=2), flush=True)
    else:
        print_audit(audited, f"{bars.symbol}, {bars.source}, {len(bars):,} rows")
    return REFUSED if audited.refused else 0


def print_audit(audited: "Audit", source: str) -> None:
    """Print the findings, those that refuse first, and what became of the rows.

    Args:
        audited: what was found.
        source: what was audited, in words.
    """
    print(one_line(f"audit of {source}"))
    shown: Counter[tuple[str, str]] = Counter()
    for found in sorted(audited.findings, key=lambda found: found.outcome != "refused"):
        shown[found.rule, found.outcome] += 1
        if shown[found.rule, found.outcome] <= MOST_SHOWN:
            _print_finding(found)
    for (rule, outcome), count in shown.items():
        if count > MOST_SHOWN:
            print(f"{'':<12}{outcome:<10}{rule}: {count - MOST_SHOWN:,} more (--json lists all)")
    print(_summary(audited))
    sys.stdout.flush()


def _print_finding(found: "Finding") -> None:
    day = "" if found.session is None else str(found.session)
    text = one_line(f"{found.rule}: {found.value}; {found.action}")
    lead = f"{day:<12}{found.outcome:<10}"
    print(textwrap.fill(text, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead)))


def _summary(audited: "Audit") -> str:
    if audited.prices is None:
        count = len(audited.reasons)
        return f"refused for {count} reason{'' if count == 1 else 's'}: nothing is taken"
    outcomes = Counter(found.outcome for found in audited.findings)
    told = ", ".join(
        f"{outcomes[name]:,} {name}" for name in ("repaired", "noted") if outcomes[name]
    )
    prices = audited.prices
    return (
        f"{told or 'nothing found'}: {prices.session.size:,} sessions from {prices.session[0]} "
        f"to {prices.as_of}, {audited.n_new:,} of them new"
    )


def plain(audited: "Audit") -> dict[str, Any]:
    """Give an audit in plain values.

    Args:
        audited: what was found.
    """
    prices = audited.prices
    return {
        "refused": audited.refused,
        "sessions_added": audited.n_new,
        "as_of": None if prices is None else str(prices.as_of),
        "fingerprint": None if prices is None else prices.fingerprint(),
        "findings": [
            {
                **found._asdict(),
                "session": None if found.session is None else str(found.session),
            }
            for found in audited.findings
        ],
    }
